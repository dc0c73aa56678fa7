/* Bump allocator: many small pieces, freed together. One per exchange, call, page.
 *
 * Not thread-safe. Memory is 16-byte aligned and valid until reset or fini. The arena states the
 * most it will ever hold; past that, or without memory, it returns NULL like the heap does. */
#ifndef AD_BASE_ARENA_H
#define AD_BASE_ARENA_H

#include <stddef.h>

#include "base/attr.h"
#include "base/str.h"

struct ad_arena_chunk;

struct ad_arena {
    /* private */
    struct ad_arena_chunk *chunks; /* newest first */
    char *at, *end;                /* free part of the newest chunk */
    size_t used;                   /* bytes of all chunks, against max */
    size_t max;
};

/* Allocates nothing yet. `max` bounds the bytes of all chunks together. */
void ad_arena_init(struct ad_arena *a, size_t max);
/* As init, with caller's memory as the first chunk (never freed by the arena). */
void ad_arena_init_with(struct ad_arena *a, size_t max, void *first, size_t first_size);
void ad_arena_fini(struct ad_arena *a);
/* Frees all pieces; keeps the first chunk for reuse. */
void ad_arena_reset(struct ad_arena *a);

AD_MUST_CHECK void *ad_arena_alloc(struct ad_arena *a, size_t size);  /* not zeroed */
AD_MUST_CHECK void *ad_arena_zalloc(struct ad_arena *a, size_t size); /* zeroed */
/* n pieces of that size, zeroed; NULL also on overflow. */
AD_MUST_CHECK void *ad_arena_array(struct ad_arena *a, size_t n, size_t size);
/* Copy with a NUL behind it; p == NULL on no memory. */
struct ad_str ad_arena_str(struct ad_arena *a, struct ad_str s);
struct ad_str ad_arena_fmt(struct ad_arena *a, const char *fmt, ...) AD_PRINTF(2, 3);
/* Bytes held in all chunks. */
size_t ad_arena_used(const struct ad_arena *a);

#endif
