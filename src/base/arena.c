#include "base/arena.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

/* With AddressSanitizer, memory of the arena that nobody asked for, or that was reset, is poisoned:
 * a slice that outlives its exchange is then a report and not a riddle. */
#if defined(__SANITIZE_ADDRESS__)
#define AD_ARENA_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define AD_ARENA_ASAN 1
#endif
#endif
#ifdef AD_ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define poison(p, n) __asan_poison_memory_region(p, n)
#define unpoison(p, n) __asan_unpoison_memory_region(p, n)
#else
#define poison(p, n) ((void)(p), (void)(n))
#define unpoison(p, n) ((void)(p), (void)(n))
#endif

enum {
    ALIGN = 16,
    CHUNK_FIRST = 4096 - 32, /* with malloc's own header a page or less */
    CHUNK_LARGEST = 256 * 1024,
};

struct ad_arena_chunk {
    _Alignas(ALIGN) struct ad_arena_chunk *next; /* older */
    size_t size;                                 /* of the data behind this header */
    bool borrowed;                               /* the caller's memory */
};

static char *data_of(struct ad_arena_chunk *c)
{
    return (char *)(c + 1);
}

/* Makes c the chunk that is being filled. */
static void fill(struct ad_arena *a, struct ad_arena_chunk *c)
{
    a->at = data_of(c);
    a->end = a->at + c->size;
}

void ad_arena_init(struct ad_arena *a, size_t max)
{
    *a = (struct ad_arena){ .max = max };
}

void ad_arena_init_with(struct ad_arena *a, size_t max, void *first, size_t first_size)
{
    ad_arena_init(a, max);
    size_t skew = (ALIGN - (uintptr_t)first % ALIGN) % ALIGN;
    if (first_size < skew + sizeof(struct ad_arena_chunk) + ALIGN) {
        return;
    }
    struct ad_arena_chunk *c = (struct ad_arena_chunk *)(void *)((char *)first + skew);
    *c = (struct ad_arena_chunk){
        .size = (first_size - skew - sizeof(*c)) / ALIGN * ALIGN,
        .borrowed = true,
    };
    a->chunks = c;
    a->used = sizeof(*c) + c->size;
    fill(a, c);
    poison(data_of(c), c->size);
}

/* Frees all chunks but the oldest. */
static void free_newer(struct ad_arena *a)
{
    while (a->chunks && a->chunks->next) {
        struct ad_arena_chunk *c = a->chunks;
        a->chunks = c->next;
        a->used -= sizeof(*c) + c->size;
        unpoison(data_of(c), c->size);
        ad_free(c);
    }
}

void ad_arena_fini(struct ad_arena *a)
{
    free_newer(a);
    if (a->chunks) {
        unpoison(data_of(a->chunks), a->chunks->size);
        if (!a->chunks->borrowed) {
            ad_free(a->chunks);
        }
    }
    ad_arena_init(a, a->max);
}

void ad_arena_reset(struct ad_arena *a)
{
    free_newer(a);
    if (a->chunks) {
        poison(data_of(a->chunks), a->chunks->size);
        fill(a, a->chunks);
    }
}

/* The usual size of the next chunk: twice the newest, between two bounds. */
static size_t usual_size(const struct ad_arena *a)
{
    size_t size = a->chunks ? a->chunks->size * 2 : CHUNK_FIRST;
    size = size < CHUNK_FIRST ? CHUNK_FIRST : size;
    return size > CHUNK_LARGEST ? CHUNK_LARGEST : size;
}

static struct ad_arena_chunk *chunk_new(struct ad_arena *a, size_t size)
{
    struct ad_arena_chunk *c = ad_alloc(sizeof(*c) + size);
    if (c) {
        *c = (struct ad_arena_chunk){ .size = size };
        a->used += sizeof(*c) + size;
        poison(data_of(c), size);
    }
    return c;
}

/* A piece for which the newest chunk has no room. */
static void *alloc_slow(struct ad_arena *a, size_t size)
{
    size_t left = a->max > a->used ? a->max - a->used : 0;
    left = left > sizeof(struct ad_arena_chunk) ? left - sizeof(struct ad_arena_chunk) : 0;
    left = left / ALIGN * ALIGN;
    if (size > left) {
        return NULL;
    }
    size_t usual = usual_size(a);
    bool alone = size > usual / 2 && a->chunks;
    size_t want = alone || size > usual ? size : usual;
    struct ad_arena_chunk *c = chunk_new(a, want > left ? left : want);
    if (!c) {
        return NULL;
    }
    if (alone) {
        /* A large piece gets its own chunk behind the newest, whose free rest stays in use. But
         * not behind the oldest: that one is what reset keeps. */
        if (a->chunks->next) {
            c->next = a->chunks->next;
            a->chunks->next = c;
        } else {
            c->next = a->chunks;
            a->chunks = c;
            a->at = a->end = data_of(c) + c->size;
        }
        unpoison(data_of(c), size);
        return data_of(c);
    }
    c->next = a->chunks;
    a->chunks = c;
    fill(a, c);
    char *p = a->at;
    a->at += size;
    unpoison(p, size);
    return p;
}

void *ad_arena_alloc(struct ad_arena *a, size_t size)
{
    if (size > SIZE_MAX / 2) {
        return NULL;
    }
    size_t rounded = size ? (size + ALIGN - 1) / ALIGN * ALIGN : ALIGN;
    if (rounded > (size_t)(a->end - a->at)) {
        return alloc_slow(a, rounded);
    }
    char *p = a->at;
    a->at += rounded;
    unpoison(p, rounded);
    return p;
}

void *ad_arena_zalloc(struct ad_arena *a, size_t size)
{
    void *p = ad_arena_alloc(a, size);
    if (p) {
        memset(p, 0, size);
    }
    return p;
}

void *ad_arena_array(struct ad_arena *a, size_t n, size_t size)
{
    if (size && n > SIZE_MAX / size) {
        return NULL;
    }
    return ad_arena_zalloc(a, n * size);
}

struct ad_str ad_arena_str(struct ad_arena *a, struct ad_str s)
{
    char *p = s.n < SIZE_MAX ? ad_arena_alloc(a, s.n + 1) : NULL;
    if (!p) {
        return AD_STR_NONE;
    }
    if (s.n) {
        memcpy(p, s.p, s.n);
    }
    p[s.n] = '\0';
    return ad_str_n(p, s.n);
}

struct ad_str ad_arena_fmt(struct ad_arena *a, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *p = n < 0 ? NULL : ad_arena_alloc(a, (size_t)n + 1);
    if (!p) {
        return AD_STR_NONE;
    }
    va_start(args, fmt);
    n = vsnprintf(p, (size_t)n + 1, fmt, args);
    va_end(args);
    return n < 0 ? AD_STR_NONE : ad_str_n(p, (size_t)n);
}

size_t ad_arena_used(const struct ad_arena *a)
{
    return a->used;
}
