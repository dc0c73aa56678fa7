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
/* Tells the C library's heap what a server wants of it: large blocks come from the kernel and go
 * back to it at once; of the rest a few megabytes are kept although free, because a page's worth of
 * memory that comes and goes costs a fault for each 4 KiB; few threads' heaps, so that none holds
 * what another one needs. First thing in main, before there are threads. */
void ad_heap_tune(void);

AD_MUST_CHECK void *ad_alloc(size_t size);                 /* not zeroed */
AD_MUST_CHECK void *ad_zalloc(size_t size);                /* zeroed */
AD_MUST_CHECK void *ad_alloc_array(size_t n, size_t size); /* NULL also on overflow; zeroed */
AD_MUST_CHECK void *ad_resize(void *p, size_t size);       /* p stays valid on failure */
void ad_free(void *p);

#endif
