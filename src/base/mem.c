#include "base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

static void *libc_alloc(void *ctx, size_t size)
{
    (void)ctx;
    return malloc(size);
}

static void *libc_resize(void *ctx, void *p, size_t new_size)
{
    (void)ctx;
    return realloc(p, new_size);
}

static void libc_release(void *ctx, void *p)
{
    (void)ctx;
    free(p);
}

static const struct ad_heap libc_heap = {
    .alloc = libc_alloc,
    .resize = libc_resize,
    .release = libc_release,
};
static const struct ad_heap *current = &libc_heap;

void ad_heap_set(const struct ad_heap *heap)
{
    current = heap ? heap : &libc_heap;
}

void ad_heap_tune(void)
{
#ifdef __GLIBC__
    /* Set, they also no longer grow by themselves with whatever was freed last. */
    (void)mallopt(M_MMAP_THRESHOLD, 1 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 4 << 20);
    (void)mallopt(M_TOP_PAD, 256 << 10);
    (void)mallopt(M_ARENA_MAX, 2);
#endif
}

/* A size of 0 becomes 1: otherwise NULL could mean both "empty" and "no memory". */
static size_t at_least_one(size_t size)
{
    return size ? size : 1;
}

void *ad_alloc(size_t size)
{
    return current->alloc(current->ctx, at_least_one(size));
}

void *ad_zalloc(size_t size)
{
    void *p = ad_alloc(size);
    if (p) {
        memset(p, 0, at_least_one(size));
    }
    return p;
}

void *ad_alloc_array(size_t n, size_t size)
{
    if (size && n > SIZE_MAX / size) {
        return NULL;
    }
    return ad_zalloc(n * size);
}

void *ad_resize(void *p, size_t size)
{
    return current->resize(current->ctx, p, at_least_one(size));
}

void ad_free(void *p)
{
    if (p) {
        current->release(current->ctx, p);
    }
}
