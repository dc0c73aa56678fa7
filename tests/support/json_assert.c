#include "support/json_assert.h"

#include <check.h>
#include <string.h>

#include "base/buf.h"

enum { ARENA_MAX = 64 << 20 };

/* Where both documents are compared, from the outside in. */
struct place {
    const struct ad_json *actual, *expected; /* parents */
    const struct ad_json *next;              /* child of `expected` to be compared next */
    size_t index;
};

struct walk {
    struct place places[AD_JSON_DEPTH_MAX];
    size_t depth;
};

static const struct ad_json *parse(struct ad_arena *a, struct ad_str text, const char *what)
{
    const struct ad_json *doc = NULL;
    struct ad_errinfo info = { 0 };
    enum ad_err err = ad_json_parse(a, text, NULL, &doc, &info);
    ck_assert_msg(err == AD_OK, "%s is not JSON: %s\n%.*s", what, info.msg, AD_FMT(text));
    return doc;
}

static const struct ad_json *parse_quoted(struct ad_arena *a, const char *text)
{
    char *copy = ad_arena_alloc(a, strlen(text) + 1);
    ck_assert_ptr_nonnull(copy);
    size_t n = 0;
    for (; text[n]; n++) {
        copy[n] = text[n];
        if (copy[n] == '\'') {
            copy[n] = '"';
        }
    }
    return parse(a, ad_str_n(copy, n), "the expected text");
}

static bool same_number(const struct ad_json *a, const struct ad_json *b)
{
    double x;
    double y;
    return ad_str_eq(a->str, b->str) || (ad_json_f64(a, &x) && ad_json_f64(b, &y) && x == y);
}

/* Without their children. */
static bool same_node(const struct ad_json *a, const struct ad_json *b)
{
    if (!a || a->type != b->type || a->count != b->count || a->boolean != b->boolean) {
        return false;
    }
    return a->type == AD_JSON_NUMBER ? same_number(a, b) : ad_str_eq(a->str, b->str);
}

static struct ad_str path_of(const struct walk *w, struct ad_buf *out)
{
    for (size_t i = 0; i < w->depth; i++) {
        const struct place *p = &w->places[i];
        if (p->expected->type == AD_JSON_ARRAY) {
            ad_buf_fmt(out, "[%zu]", p->index);
        } else {
            ad_buf_fmt(out, "%s%.*s", i ? "." : "", AD_FMT(p->next->key));
        }
    }
    return ad_buf_len(out) ? ad_buf_str(out) : AD_STR("the document");
}

static void compare(const struct walk *w, const struct ad_json *a, const struct ad_json *e)
{
    if (!same_node(a, e)) {
        struct ad_buf path;
        ad_buf_init(&path, 4096);
        struct ad_str at = path_of(w, &path);
        struct ad_str was = a ? a->raw : AD_STR("absent");
        ck_abort_msg("%.*s is\n  %.*s\nand not\n  %.*s", AD_FMT(at), AD_FMT(was), AD_FMT(e->raw));
    }
}

static void walk_down(struct walk *w, const struct ad_json *a, const struct ad_json *e)
{
    if (e->child) {
        w->places[w->depth++] = (struct place){ .actual = a, .expected = e, .next = e->child };
    }
}

static void compare_documents(const struct ad_json *actual, const struct ad_json *expected)
{
    struct walk w = { .depth = 0 };
    compare(&w, actual, expected);
    walk_down(&w, actual, expected);
    while (w.depth) {
        struct place *p = &w.places[w.depth - 1];
        const struct ad_json *e = p->next;
        if (!e) {
            w.depth--;
            if (w.depth) {
                w.places[w.depth - 1].next = w.places[w.depth - 1].next->next;
                w.places[w.depth - 1].index++;
            }
            continue;
        }
        const struct ad_json *a = p->expected->type == AD_JSON_OBJECT
                                      ? ad_json_get_str(p->actual, e->key)
                                      : ad_json_at(p->actual, p->index);
        compare(&w, a, e);
        if (e->child) {
            walk_down(&w, a, e);
        } else {
            p->next = e->next;
            p->index++;
        }
    }
}

void json_assert_at(struct ad_str actual, const char *path, const char *expected)
{
    struct ad_arena a;
    ad_arena_init(&a, ARENA_MAX);
    const struct ad_json *doc = parse(&a, actual, "the answer");
    compare_documents(ad_json_path(doc, path), parse_quoted(&a, expected));
    ad_arena_fini(&a);
}

void json_assert(struct ad_str actual, const char *expected)
{
    json_assert_at(actual, "", expected);
}
