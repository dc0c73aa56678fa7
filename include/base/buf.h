/* Growable bytes with a stated maximum, two indices and sticky failure.
 *
 *      0 ........ start ............. end ......... cap <= max
 *        consumed       |  content  |    free room
 *
 * An append that would pass `max`, or finds no memory, appends nothing and sets `failed` for good;
 * so a writer appends at will and checks once. Failed buffers keep the content they had. */
#ifndef AD_BASE_BUF_H
#define AD_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct ad_buf {
    /* read-only */
    char *p;
    size_t start, end, cap, max;
    bool failed;
    bool no_memory; /* why it failed: memory, or else max */
};

/* Allocates nothing yet. */
void ad_buf_init(struct ad_buf *b, size_t max);
void ad_buf_fini(struct ad_buf *b);
/* Drops the content and the failure, keeps the memory. */
void ad_buf_clear(struct ad_buf *b);

static inline size_t ad_buf_len(const struct ad_buf *b)
{
    return b->end - b->start;
}

static inline struct ad_str ad_buf_str(const struct ad_buf *b)
{
    /* As a number: before anything was put, p is NULL, and even NULL + 0 is undefined. */
    return (struct ad_str){ (const char *)((uintptr_t)b->p + b->start), b->end - b->start };
}

/* Room for n more bytes behind the content: where to write, or NULL. Call ad_buf_commit with what
 * was written. */
AD_MUST_CHECK char *ad_buf_reserve(struct ad_buf *b, size_t n);
void ad_buf_commit(struct ad_buf *b, size_t n);

void ad_buf_put(struct ad_buf *b, struct ad_str s);
void ad_buf_putc(struct ad_buf *b, char c);
void ad_buf_put_u64(struct ad_buf *b, uint64_t v);
void ad_buf_put_i64(struct ad_buf *b, int64_t v);
void ad_buf_fmt(struct ad_buf *b, const char *fmt, ...) AD_PRINTF(2, 3);
/* Takes n bytes from the front. */
void ad_buf_consume(struct ad_buf *b, size_t n);
/* AD_OK, or TOOLARGE / NOMEM when an append failed. */
AD_MUST_CHECK enum ad_err ad_buf_status(const struct ad_buf *b);

#endif
