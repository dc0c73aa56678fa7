#include "support/heap.h"

#include "base/mem.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>

static atomic_size_t held;
static atomic_size_t bytes;
static atomic_size_t requests;
static atomic_size_t fail_from;
static atomic_size_t fail_times;
static atomic_bool failed;

static bool must_fail(void)
{
    size_t n = atomic_fetch_add(&requests, 1);
    size_t from = atomic_load(&fail_from);
    bool yes = n >= from && n - from < atomic_load(&fail_times);
    if (yes) {
        atomic_store(&failed, true);
    }
    return yes;
}

static void *counted_alloc(void *ctx, size_t size)
{
    (void)ctx;
    void *p = must_fail() ? NULL : malloc(size);
    if (p) {
        atomic_fetch_add(&held, 1);
        atomic_fetch_add(&bytes, malloc_usable_size(p));
    }
    return p;
}

static void *counted_resize(void *ctx, void *p, size_t size)
{
    if (!p) {
        return counted_alloc(ctx, size);
    }
    size_t before = malloc_usable_size(p);
    void *q = must_fail() ? NULL : realloc(p, size);
    if (q) {
        atomic_fetch_add(&bytes, malloc_usable_size(q) - before);
    }
    return q;
}

static void counted_release(void *ctx, void *p)
{
    (void)ctx;
    if (p) {
        atomic_fetch_sub(&held, 1);
        atomic_fetch_sub(&bytes, malloc_usable_size(p));
        free(p);
    }
}

static const struct ad_heap counted = { counted_alloc, counted_resize, counted_release, NULL };

void heap_install(void)
{
    atomic_store(&held, 0);
    atomic_store(&bytes, 0);
    atomic_store(&requests, 0);
    heap_fail(0, 0);
    ad_heap_set(&counted);
}

size_t heap_uninstall(void)
{
    ad_heap_set(NULL);
    return atomic_load(&held);
}

size_t heap_held(void)
{
    return atomic_load(&held);
}

size_t heap_held_bytes(void)
{
    return atomic_load(&bytes);
}

size_t heap_requests(void)
{
    return atomic_load(&requests);
}

void heap_fail(size_t n, size_t times)
{
    atomic_store(&fail_from, atomic_load(&requests) + n);
    atomic_store(&fail_times, times);
    atomic_store(&failed, false);
}

bool heap_failed(void)
{
    return atomic_load(&failed);
}
