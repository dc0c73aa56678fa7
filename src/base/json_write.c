#include "base/json_write.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <yajl/yajl_gen.h>

#include "base/clock.h"

/* yajl_gen allocates twice, when it is made, and does not look at what it gets: both pieces fit the
 * writer's own room, so there is nothing to fail and nothing to free. The print callback keeps it
 * from allocating later. */

static void *room_alloc(void *ctx, size_t size)
{
    struct ad_json_writer *w = ctx;
    size_t rounded = (size + 15) / 16 * 16;
    AD_ASSERT(rounded <= sizeof(w->room) - w->room_used);
    void *at = w->room + w->room_used;
    w->room_used += rounded;
    return at;
}

static void *room_resize(void *ctx, void *p, size_t size)
{
    AD_ASSERT(p == NULL);
    return room_alloc(ctx, size);
}

static void room_free(void *ctx, void *p)
{
    (void)ctx;
    (void)p;
}

static void print(void *ctx, const char *s, size_t n)
{
    ad_buf_put(ctx, ad_str_n(s, n));
}

void ad_json_write_init(struct ad_json_writer *w, struct ad_buf *buf)
{
    w->buf = buf;
    w->depth = 0;
    w->keyed = false;
    w->err = AD_OK;
    w->room_used = 0;
    yajl_alloc_funcs memory = {
        .malloc = room_alloc,
        .realloc = room_resize,
        .free = room_free,
        .ctx = w,
    };
    w->gen = yajl_gen_alloc(&memory);
    (void)yajl_gen_config(w->gen, yajl_gen_print_callback, print, buf);
}

void ad_json_write_pretty(struct ad_json_writer *w)
{
    (void)yajl_gen_config(w->gen, yajl_gen_beautify, 1);
    (void)yajl_gen_config(w->gen, yajl_gen_indent_string, "  ");
}

static void fail(struct ad_json_writer *w, enum ad_err err)
{
    if (!w->err) {
        w->err = err;
    }
}

/* A value where a key is due, a second document, an `end` too many: our own mistakes. */
static void check(struct ad_json_writer *w, yajl_gen_status status)
{
    if (status != yajl_gen_status_ok) {
        fail(w, AD_ERR_INTERNAL);
    }
}

enum ad_err ad_json_write_done(struct ad_json_writer *w)
{
    enum ad_err full = ad_buf_status(w->buf);
    if (full) {
        fail(w, full);
    }
    /* A complete document takes no other. */
    if (w->depth > 0 || yajl_gen_null(w->gen) != yajl_gen_generation_complete) {
        fail(w, AD_ERR_INTERNAL);
    }
    yajl_gen_free(w->gen);
    w->gen = NULL;
    return w->err;
}

/* Before each value: whether it may be written. yajl would take a string for the key that is
 * missing. */
static bool begin_value(struct ad_json_writer *w)
{
    if (w->depth && w->open[w->depth - 1] == '{' && !w->keyed) {
        fail(w, AD_ERR_INTERNAL);
    }
    w->keyed = false;
    return w->err == AD_OK;
}

static void open_level(struct ad_json_writer *w, char bracket)
{
    if (!begin_value(w)) {
        return;
    }
    if (w->depth == AD_JSON_DEPTH_MAX) {
        fail(w, AD_ERR_TOOLARGE);
        return;
    }
    check(w, bracket == '{' ? yajl_gen_map_open(w->gen) : yajl_gen_array_open(w->gen));
    w->open[w->depth++] = bracket;
}

void ad_json_obj(struct ad_json_writer *w)
{
    open_level(w, '{');
}

void ad_json_arr(struct ad_json_writer *w)
{
    open_level(w, '[');
}

void ad_json_end(struct ad_json_writer *w)
{
    if (w->err) {
        return;
    }
    if (w->depth == 0 || w->keyed) {
        fail(w, AD_ERR_INTERNAL);
        return;
    }
    char bracket = w->open[--w->depth];
    check(w, bracket == '{' ? yajl_gen_map_close(w->gen) : yajl_gen_array_close(w->gen));
}

static void put_string(struct ad_json_writer *w, struct ad_str s)
{
    if (!ad_utf8_valid(s)) {
        fail(w, AD_ERR_INVALID);
        return;
    }
    check(w, yajl_gen_string(w->gen, (const unsigned char *)(s.n ? s.p : ""), s.n));
}

void ad_json_key(struct ad_json_writer *w, const char *key)
{
    ad_json_key_str(w, ad_str_c(key));
}

void ad_json_key_str(struct ad_json_writer *w, struct ad_str key)
{
    if (w->depth == 0 || w->open[w->depth - 1] != '{' || w->keyed) {
        fail(w, AD_ERR_INTERNAL);
    }
    w->keyed = true;
    if (!w->err) {
        put_string(w, key);
    }
}

void ad_json_w_str(struct ad_json_writer *w, struct ad_str s)
{
    if (!s.p) {
        ad_json_w_null(w);
    } else if (begin_value(w)) {
        put_string(w, s);
    }
}

void ad_json_w_cstr(struct ad_json_writer *w, const char *s)
{
    ad_json_w_str(w, ad_str_c(s));
}

void ad_json_w_i64(struct ad_json_writer *w, int64_t v)
{
    if (begin_value(w)) {
        check(w, yajl_gen_integer(w->gen, v));
    }
}

void ad_json_w_number(struct ad_json_writer *w, struct ad_str text)
{
    if (begin_value(w)) {
        check(w, yajl_gen_number(w->gen, text.p, text.n));
    }
}

static void put_printed(struct ad_json_writer *w, const char *text, int n)
{
    ad_json_w_number(w, ad_str_n(text, (size_t)n));
}

void ad_json_w_u64(struct ad_json_writer *w, uint64_t v)
{
    char text[24];
    put_printed(w, text, snprintf(text, sizeof(text), "%llu", (unsigned long long)v));
}

void ad_json_w_f64(struct ad_json_writer *w, double v)
{
    if (!isfinite(v)) {
        fail(w, AD_ERR_INVALID);
        return;
    }
    char text[32];
    int n = 0;
    for (int digits = 1; digits <= 17; digits++) {
        n = snprintf(text, sizeof(text), "%.*g", digits, v);
        if (strtod(text, NULL) == v) {
            break;
        }
    }
    put_printed(w, text, n);
}

void ad_json_w_bool(struct ad_json_writer *w, bool v)
{
    if (begin_value(w)) {
        check(w, yajl_gen_bool(w->gen, v));
    }
}

void ad_json_w_null(struct ad_json_writer *w)
{
    if (begin_value(w)) {
        check(w, yajl_gen_null(w->gen));
    }
}

void ad_json_w_time(struct ad_json_writer *w, int64_t ns)
{
    char text[AD_TIME_MAX];
    ad_json_w_str(w, ad_time_format(ns, 9, text));
}

void ad_json_w_raw(struct ad_json_writer *w, struct ad_str json)
{
    ad_json_w_number(w, json); /* yajl prints a number's text as it is */
}

/* Without descending: true when v is an object or array that has children. */
static bool write_node(struct ad_json_writer *w, const struct ad_json *v)
{
    switch (v->type) {
    case AD_JSON_NULL:
        ad_json_w_null(w);
        break;
    case AD_JSON_BOOL:
        ad_json_w_bool(w, v->boolean);
        break;
    case AD_JSON_NUMBER:
        ad_json_w_number(w, v->str);
        break;
    case AD_JSON_STRING:
        if (v->raw.n == v->str.n + 2) { /* without escapes: it would come out as it came in */
            ad_json_w_raw(w, v->raw);
        } else {
            ad_json_w_str(w, v->str);
        }
        break;
    case AD_JSON_ARRAY:
    case AD_JSON_OBJECT:
        open_level(w, v->type == AD_JSON_OBJECT ? '{' : '[');
        if (v->child) {
            return true;
        }
        ad_json_end(w);
        break;
    }
    return false;
}

void ad_json_w_value(struct ad_json_writer *w, const struct ad_json *v)
{
    const struct ad_json *parents[AD_JSON_DEPTH_MAX];
    size_t depth = 0;
    if (!v) {
        ad_json_w_null(w);
        return;
    }
    const struct ad_json *it = v;
    while (!w->err) {
        if (depth && parents[depth - 1]->type == AD_JSON_OBJECT) {
            ad_json_key_str(w, it->key);
        }
        if (write_node(w, it) && !w->err) {
            parents[depth++] = it;
            it = it->child;
            continue;
        }
        while (depth && !it->next) {
            ad_json_end(w);
            it = parents[--depth];
        }
        if (depth == 0) {
            return;
        }
        it = it->next;
    }
}

void ad_json_f_str(struct ad_json_writer *w, const char *key, struct ad_str s)
{
    ad_json_key(w, key);
    ad_json_w_str(w, s);
}

void ad_json_f_cstr(struct ad_json_writer *w, const char *key, const char *s)
{
    ad_json_key(w, key);
    ad_json_w_cstr(w, s);
}

void ad_json_f_i64(struct ad_json_writer *w, const char *key, int64_t v)
{
    ad_json_key(w, key);
    ad_json_w_i64(w, v);
}

void ad_json_f_bool(struct ad_json_writer *w, const char *key, bool v)
{
    ad_json_key(w, key);
    ad_json_w_bool(w, v);
}
