#include "base/json_bind.h"

#include <string.h>

#include "base/clock.h"

static const char *type_name(const struct ad_json *v)
{
    static const char *const names[] = {
        [AD_JSON_NULL] = "null",     [AD_JSON_BOOL] = "boolean", [AD_JSON_NUMBER] = "number",
        [AD_JSON_STRING] = "string", [AD_JSON_ARRAY] = "array",  [AD_JSON_OBJECT] = "object",
    };
    return v ? names[v->type] : "nothing";
}

static const struct {
    enum ad_json_type json;
    const char *expected;
} kinds[] = {
    [AD_FIELD_STR] = { AD_JSON_STRING, "string" },
    [AD_FIELD_UUID] = { AD_JSON_STRING, "UUID" },
    [AD_FIELD_I64] = { AD_JSON_NUMBER, "whole number" },
    [AD_FIELD_BOOL] = { AD_JSON_BOOL, "boolean" },
    [AD_FIELD_TIME] = { AD_JSON_STRING, "RFC 3339 time" },
};

/* False when v does not fit; *to is then untouched. memcpy, because a member reached by its
 * offset is bytes to the compiler. */
static bool store(enum ad_field_type type, const struct ad_json *v, char *to)
{
    struct ad_str str;
    int64_t number;
    bool boolean;
    switch (type) {
    case AD_FIELD_STR:
    case AD_FIELD_UUID:
        if (!ad_json_ident(v, &str) || (type == AD_FIELD_UUID && !ad_str_is_uuid(str))) {
            return false;
        }
        memcpy(to, &str, sizeof(str));
        return true;
    case AD_FIELD_I64:
    case AD_FIELD_TIME:
        if (type == AD_FIELD_I64 ? !ad_json_i64(v, &number)
                                 : !ad_time_parse(ad_json_str(v), &number)) {
            return false;
        }
        memcpy(to, &number, sizeof(number));
        return true;
    case AD_FIELD_BOOL:
        if (!ad_json_bool(v, &boolean)) {
            return false;
        }
        memcpy(to, &boolean, sizeof(boolean));
        return true;
    case AD_FIELD_JSON:
        memcpy(to, &v, sizeof(v)); /* NOLINT(bugprone-sizeof-expression): the pointer is meant */
        return true;
    }
    return false;
}

/* A wrong type is named; a wrong value is not, because it may be personal. */
static enum ad_err misfit(const struct ad_json_field *f, const struct ad_json *v,
                          struct ad_errinfo *info)
{
    if (v->type != kinds[f->type].json) {
        return ad_fail(info, AD_ERR_PARSE, "%s: expected %s, got %s", f->path,
                       kinds[f->type].expected, type_name(v));
    }
    return ad_fail(info, AD_ERR_PARSE, "%s: not a valid %s", f->path, kinds[f->type].expected);
}

enum ad_err ad_json_bind(const struct ad_json *doc, const struct ad_json_field *fields, size_t n,
                         void *out, struct ad_errinfo *info)
{
    for (size_t i = 0; i < n; i++) {
        const struct ad_json_field *f = &fields[i];
        const struct ad_json *v = ad_json_path(doc, f->path);
        if (!v || v->type == AD_JSON_NULL) {
            if (f->need == AD_REQUIRED) {
                return ad_fail(info, AD_ERR_PARSE, "%s: required, got %s", f->path, type_name(v));
            }
            continue;
        }
        if (!store(f->type, v, (char *)out + f->offset)) {
            return misfit(f, v, info);
        }
    }
    return AD_OK;
}

enum { WORD_MAX = 64 };

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* Levenshtein's distance, a row at a time; both at most WORD_MAX bytes. */
static size_t edit_distance(struct ad_str a, struct ad_str b)
{
    size_t row[WORD_MAX + 1];
    for (size_t j = 0; j <= b.n; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a.n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            size_t replaced = diagonal + (a.p[i - 1] != b.p[j - 1]);
            diagonal = row[j];
            row[j] = min3(replaced, row[j] + 1, row[j - 1] + 1);
        }
    }
    return row[b.n];
}

const char *ad_did_you_mean(struct ad_str word, const char *const *candidates)
{
    const char *best = NULL;
    size_t best_distance = SIZE_MAX;
    for (; *candidates && word.n <= WORD_MAX; candidates++) {
        struct ad_str candidate = ad_str_c(*candidates);
        if (candidate.n > WORD_MAX) {
            continue;
        }
        size_t distance = edit_distance(word, candidate);
        if (distance <= candidate.n / 3 && distance < best_distance) {
            best = *candidates;
            best_distance = distance;
        }
    }
    return best;
}

static bool is_known(struct ad_str key, const char *const *known)
{
    for (; *known; known++) {
        if (ad_str_eq(key, ad_str_c(*known))) {
            return true;
        }
    }
    return false;
}

/* A key for a message: it came from outside, so it is cut and loses what could upset a terminal. */
static struct ad_str printable(struct ad_str key, char out[WORD_MAX])
{
    size_t n = key.n < WORD_MAX ? key.n : WORD_MAX;
    for (size_t i = 0; i < n; i++) {
        bool plain = key.p[i] >= ' ' && key.p[i] <= '~';
        out[i] = (char)(plain ? key.p[i] : '?');
    }
    return ad_str_n(out, n);
}

enum ad_err ad_json_only(const struct ad_json *object, const char *const *known,
                         struct ad_errinfo *info)
{
    if (!ad_json_is(object, AD_JSON_OBJECT)) {
        return ad_fail(info, AD_ERR_PARSE, "expected object, got %s", type_name(object));
    }
    AD_JSON_FOREACH (it, object) {
        if (is_known(it->key, known)) {
            continue;
        }
        char text[WORD_MAX];
        struct ad_str key = printable(it->key, text);
        const char *near = ad_did_you_mean(it->key, known);
        return near ? ad_fail(info, AD_ERR_PARSE, "unknown key \"%.*s\"; did you mean \"%s\"?",
                              AD_FMT(key), near)
                    : ad_fail(info, AD_ERR_PARSE, "unknown key \"%.*s\"", AD_FMT(key));
    }
    return AD_OK;
}
