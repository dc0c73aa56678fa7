#include "base/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

enum { CAP_FIRST = 256 };

void ad_buf_init(struct ad_buf *b, size_t max)
{
    *b = (struct ad_buf){ .max = max };
}

void ad_buf_fini(struct ad_buf *b)
{
    ad_free(b->p);
    ad_buf_init(b, b->max);
}

void ad_buf_clear(struct ad_buf *b)
{
    b->start = b->end = 0;
    b->failed = b->no_memory = false;
}

/* Moves the content to the front, over what was consumed. */
static void slide(struct ad_buf *b)
{
    if (b->p && b->start) {
        memmove(b->p, b->p + b->start, b->end - b->start);
        b->end -= b->start;
        b->start = 0;
    }
}

static void fail(struct ad_buf *b, bool no_memory)
{
    b->failed = true;
    b->no_memory = no_memory;
}

/* Memory for `need` bytes of content (at most max), by doubling. */
static bool grow(struct ad_buf *b, size_t need)
{
    size_t cap = b->cap < CAP_FIRST / 2 ? CAP_FIRST / 2 : b->cap;
    do {
        cap = cap > SIZE_MAX / 2 ? SIZE_MAX : cap * 2;
    } while (cap < need);
    cap = cap > b->max ? b->max : cap;
    char *p = ad_resize(b->p, cap);
    if (!p) {
        return false;
    }
    b->p = p;
    b->cap = cap;
    return true;
}

char *ad_buf_reserve(struct ad_buf *b, size_t n)
{
    size_t len = ad_buf_len(b);
    if (b->failed) {
        return NULL;
    }
    if (b->p && n <= b->cap - b->end) {
        return b->p + b->end;
    }
    if (n > b->max - len) {
        fail(b, false);
        return NULL;
    }
    bool cheap = b->start >= len;
    slide(b);
    /* Growing although sliding made room, unless it freed more than it moved: else a queue that is
     * nearly full would move all its content for every few bytes. */
    bool room = b->p && len + n <= b->cap;
    if (room && (cheap || b->cap == b->max)) {
        return b->p + b->end;
    }
    if (!grow(b, len + n) && !room) {
        fail(b, true);
        return NULL;
    }
    return b->p + b->end;
}

void ad_buf_commit(struct ad_buf *b, size_t n)
{
    AD_ASSERT(n <= b->cap - b->end);
    b->end += n;
}

void ad_buf_put(struct ad_buf *b, struct ad_str s)
{
    if (s.n == 0) {
        return;
    }
    /* The usual case without a call: writers append a few bytes at a time. */
    bool room = s.n <= b->cap - b->end && !b->failed;
    char *at = room ? b->p + b->end : ad_buf_reserve(b, s.n);
    if (at) {
        memcpy(at, s.p, s.n);
        b->end += s.n;
    }
}

void ad_buf_putc(struct ad_buf *b, char c)
{
    ad_buf_put(b, ad_str_n(&c, 1));
}

/* The decimal digits of v at the end of `digits`; returns where they begin. */
static size_t digits_of(uint64_t v, char digits[20])
{
    size_t at = 20;
    do {
        digits[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    return at;
}

void ad_buf_put_u64(struct ad_buf *b, uint64_t v)
{
    char digits[20];
    size_t at = digits_of(v, digits);
    ad_buf_put(b, ad_str_n(digits + at, sizeof(digits) - at));
}

void ad_buf_put_i64(struct ad_buf *b, int64_t v)
{
    char digits[20];
    size_t at = digits_of(v < 0 ? 0 - (uint64_t)v : (uint64_t)v, digits);
    if (v < 0) {
        digits[--at] = '-'; /* no int64_t has more than 19 digits */
    }
    ad_buf_put(b, ad_str_n(digits + at, sizeof(digits) - at));
}

/* Through a text of its own, because vsnprintf's NUL may be one byte more than max. */
void ad_buf_fmt(struct ad_buf *b, const char *fmt, ...)
{
    char small[256];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(small, sizeof(small), fmt, args);
    va_end(args);
    if (n < 0 || b->failed || (size_t)n > b->max - ad_buf_len(b)) {
        fail(b, b->no_memory);
        return;
    }
    if ((size_t)n < sizeof(small)) {
        ad_buf_put(b, ad_str_n(small, (size_t)n));
        return;
    }
    char *large = ad_alloc((size_t)n + 1);
    if (!large) {
        fail(b, true);
        return;
    }
    va_start(args, fmt);
    AD_IGNORE(vsnprintf(large, (size_t)n + 1, fmt, args) < 0, "the first call measured it");
    va_end(args);
    ad_buf_put(b, ad_str_n(large, (size_t)n));
    ad_free(large);
}

void ad_buf_consume(struct ad_buf *b, size_t n)
{
    AD_ASSERT(n <= ad_buf_len(b));
    b->start += n;
    if (b->start == b->end) {
        b->start = b->end = 0;
    }
}

enum ad_err ad_buf_status(const struct ad_buf *b)
{
    if (!b->failed) {
        return AD_OK;
    }
    return b->no_memory ? AD_ERR_NOMEM : AD_ERR_TOOLARGE;
}
