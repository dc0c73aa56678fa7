#include "base/json.h"

#include <math.h>
#include <stdlib.h>

bool ad_json_is(const struct ad_json *v, enum ad_json_type type)
{
    return v && v->type == type;
}

const struct ad_json *ad_json_get_str(const struct ad_json *object, struct ad_str key)
{
    if (ad_json_is(object, AD_JSON_OBJECT)) {
        AD_JSON_FOREACH (it, object) {
            if (ad_str_eq(it->key, key)) {
                return it;
            }
        }
    }
    return NULL;
}

const struct ad_json *ad_json_get(const struct ad_json *object, const char *key)
{
    return ad_json_get_str(object, ad_str_c(key));
}

const struct ad_json *ad_json_at(const struct ad_json *array, size_t i)
{
    if (!ad_json_is(array, AD_JSON_ARRAY) || i >= array->count) {
        return NULL;
    }
    const struct ad_json *it = array->child;
    while (i--) {
        it = it->next;
    }
    return it;
}

/* "[0]" and the like at the front of *path. */
static const struct ad_json *step_index(const struct ad_json *v, struct ad_str *path)
{
    uint64_t i;
    size_t close = ad_str_find(*path, ']');
    if (close == path->n || !ad_str_u64(ad_str_n(path->p + 1, close - 1), SIZE_MAX, &i)) {
        return NULL;
    }
    path->p += close + 1;
    path->n -= close + 1;
    return ad_json_at(v, (size_t)i);
}

static const struct ad_json *step_key(const struct ad_json *v, struct ad_str *path)
{
    size_t n = 0;
    while (n < path->n && path->p[n] != '.' && path->p[n] != '[') {
        n++;
    }
    struct ad_str key = ad_str_n(path->p, n);
    path->p += n;
    path->n -= n;
    return ad_json_get_str(v, key);
}

const struct ad_json *ad_json_path(const struct ad_json *v, const char *path)
{
    struct ad_str rest = ad_str_c(path);
    bool first = true;
    while (v && rest.n) {
        if (rest.p[0] == '[') {
            v = step_index(v, &rest);
        } else {
            size_t dot = first ? 0 : 1;
            if (dot && rest.p[0] != '.') {
                return NULL;
            }
            rest.p += dot;
            rest.n -= dot;
            v = step_key(v, &rest);
        }
        first = false;
    }
    return v;
}

struct ad_str ad_json_str(const struct ad_json *v)
{
    return ad_json_is(v, AD_JSON_STRING) ? v->str : AD_STR_NONE;
}

bool ad_json_ident(const struct ad_json *v, struct ad_str *out)
{
    if (!ad_json_is(v, AD_JSON_STRING) || ad_str_find(v->str, '\0') < v->str.n) {
        return false;
    }
    *out = v->str;
    return true;
}

bool ad_json_i64(const struct ad_json *v, int64_t *out)
{
    return ad_json_is(v, AD_JSON_NUMBER) && ad_str_i64(v->str, INT64_MIN, INT64_MAX, out);
}

bool ad_json_f64(const struct ad_json *v, double *out)
{
    /* strtod wants a NUL behind the text, and the text is in the middle of another. */
    char text[128];
    if (!ad_json_is(v, AD_JSON_NUMBER) || v->str.n >= sizeof(text)) {
        return false;
    }
    memcpy(text, v->str.p, v->str.n);
    text[v->str.n] = '\0';
    double value = strtod(text, NULL);
    if (!isfinite(value)) {
        return false;
    }
    *out = value;
    return true;
}

bool ad_json_bool(const struct ad_json *v, bool *out)
{
    if (!ad_json_is(v, AD_JSON_BOOL)) {
        return false;
    }
    *out = v->boolean;
    return true;
}
