/* All heap memory of the program, through a heap that tests can replace.
 *
 * malloc and free appear in mem.c only. Every function may return NULL and every caller answers
 * that with an error; only start-up may give up. ad_free(NULL) is allowed. */
#ifndef AD_BASE_MEM_H
#define AD_BASE_MEM_H

#include <stddef.h>

#include "base/attr.h"

struct ad_heap {
    void *(*alloc)(void *ctx, size_t size);               /* not zeroed */
    void *(*resize)(void *ctx, void *p, size_t new_size); /* as realloc; keeps p on failure */
    void (*release)(void *ctx, void *p);
    void *ctx;
};

/* Replaces the process's heap (NULL: back to the C library's). Only while no memory of ours is
 * held, or by a heap that forwards to the previous one (a counting or failing heap in tests).
 * Thread-safe heaps only: the store's threads allocate too. */
void ad_heap_set(const struct ad_heap *heap);

AD_MUST_CHECK void *ad_alloc(size_t size);                 /* not zeroed */
AD_MUST_CHECK void *ad_zalloc(size_t size);                /* zeroed */
AD_MUST_CHECK void *ad_alloc_array(size_t n, size_t size); /* NULL also on overflow; zeroed */
AD_MUST_CHECK void *ad_resize(void *p, size_t size);       /* p stays valid on failure */
void ad_free(void *p);

#endif
