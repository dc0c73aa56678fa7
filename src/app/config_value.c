#include "app/config_private.h"

#include "base/json_bind.h"

#include <string.h>

/* --- From text ------------------------------------------------------------------------------- */

bool ad__config_is_choice(const char *choices, struct ad_str word)
{
    struct ad_str rest = ad_str_c(choices);
    while (rest.p) {
        if (ad_str_eq(ad_str_cut(&rest, ' '), word)) {
            return true;
        }
    }
    return false;
}

static const char *nearest(struct ad_config *c, const char *choices, struct ad_str word)
{
    const char *words[16] = { NULL };
    struct ad_str rest = ad_str_c(choices);
    for (size_t i = 0; rest.p && i + 1 < AD_LEN(words); i++) {
        words[i] = ad__config_keep(c, ad_str_cut(&rest, ' '));
    }
    return ad_did_you_mean(word, words);
}

static bool set_int(struct ad_config *c, const struct ad_config_key *key,
                    struct ad_config_origin at, int64_t v)
{
    if (v < key->min || v > key->max) {
        ad__config_fail_at(c, at, at.line ? key->file : ad_config_name(key),
                           "must be between %lld and %lld, not %lld", (long long)key->min,
                           (long long)key->max, (long long)v);
        return false;
    }
    *(int64_t *)ad__config_member(c, key) = v;
    return true;
}

static bool set_string(struct ad_config *c, const struct ad_config_key *key,
                       struct ad_config_origin at, struct ad_str s)
{
    const char *name = at.line ? key->file : ad_config_name(key);
    if (memchr(s.p, '\0', s.n)) {
        ad__config_fail_at(c, at, name, "must not hold a NUL character");
        return false;
    }
    if (key->max && (s.n < (size_t)key->min || s.n > (size_t)key->max)) {
        ad__config_fail_at(c, at, name, "has %zu characters, not %lld to %lld", s.n,
                           (long long)key->min, (long long)key->max);
        return false;
    }
    if (key->type == AD_CONFIG_CHOICE && !ad__config_is_choice(key->choices, s)) {
        const char *near = nearest(c, key->choices, s);
        ad__config_fail_at(c, at, name, "must be one of: %s; not \"%.40s\"%s%s%s", key->choices,
                           s.p, near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
        return false;
    }
    const char *copy = ad__config_keep(c, s);
    *(const char **)ad__config_member(c, key) = copy;
    return copy != NULL;
}

static bool add_word(struct ad_config *c, const char **list, size_t *n, struct ad_str word)
{
    list[*n] = ad__config_keep(c, word);
    return list[(*n)++] != NULL;
}

static bool set_list_text(struct ad_config *c, const struct ad_config_key *key, struct ad_str s)
{
    size_t commas = 0;
    for (size_t i = 0; i < s.n; i++) {
        commas += s.p[i] == ',';
    }
    const char **list = ad_arena_array(&c->arena, commas + 2, sizeof(*list));
    size_t n = 0;
    while (list && s.p) {
        struct ad_str word = ad_str_trim(ad_str_cut(&s, ','));
        if (word.n && !add_word(c, list, &n, word)) {
            return false;
        }
    }
    *(const char *const **)ad__config_member(c, key) = n ? list : NULL;
    return list != NULL;
}

static bool set_bool_text(struct ad_config *c, const struct ad_config_key *key,
                          struct ad_config_origin at, struct ad_str s)
{
    bool yes = ad_str_eq(s, AD_STR("true")) || ad_str_eq(s, AD_STR("1"));
    bool no = ad_str_eq(s, AD_STR("false")) || ad_str_eq(s, AD_STR("0"));
    if (!yes && !no) {
        ad__config_fail_at(c, at, ad_config_name(key), "must be true or false");
        return false;
    }
    *(bool *)ad__config_member(c, key) = yes;
    return true;
}

/* A value that could not be kept for want of memory must not pass for one that was not given. */
static void settle(struct ad_config *c, const struct ad_config_key *key, struct ad_config_origin at,
                   bool ok, unsigned errors_before)
{
    if (ok) {
        c->origin[ad__config_place(key)] = at;
    } else if (c->errors_n == errors_before) {
        c->errors_n++;
    }
}

/* From a variable, a flag or the table's default. */
void ad__config_set_text(struct ad_config *c, const struct ad_config_key *key,
                         struct ad_config_origin at, struct ad_str s)
{
    bool ok = false;
    int64_t number;
    unsigned errors = c->errors_n;
    switch (key->type) {
    case AD_CONFIG_INT:
        if (ad_str_i64(s, INT64_MIN, INT64_MAX, &number)) {
            ok = set_int(c, key, at, number);
        } else {
            ad__config_fail_at(c, at, ad_config_name(key), "must be a whole number");
        }
        break;
    case AD_CONFIG_BOOL:
        ok = set_bool_text(c, key, at, s);
        break;
    case AD_CONFIG_STRING:
    case AD_CONFIG_CHOICE:
        ok = set_string(c, key, at, s);
        break;
    case AD_CONFIG_LIST:
        ok = set_list_text(c, key, s);
        break;
    }
    settle(c, key, at, ok, errors);
}

/* --- From JSON -------------------------------------------------------------------------- */

const char *ad__config_type_name(const struct ad_json *v)
{
    switch (v->type) {
    case AD_JSON_NULL:
        return "null";
    case AD_JSON_BOOL:
        return "a boolean";
    case AD_JSON_NUMBER:
        return "a number";
    case AD_JSON_STRING:
        return "a string";
    case AD_JSON_ARRAY:
        return "an array";
    case AD_JSON_OBJECT:
        return "an object";
    }
    return "something else";
}

static bool set_list_json(struct ad_config *c, const struct ad_config_key *key,
                          const struct ad_json *v)
{
    const char **list = ad_arena_array(&c->arena, (size_t)v->count + 1, sizeof(*list));
    size_t n = 0;
    if (!list) {
        return false;
    }
    AD_JSON_FOREACH (it, v) {
        struct ad_str word;
        if (!ad_json_ident(it, &word) || !add_word(c, list, &n, word)) {
            return false;
        }
    }
    *(const char *const **)ad__config_member(c, key) = n ? list : NULL;
    return true;
}

static bool is_words(const struct ad_json *v)
{
    struct ad_str word;
    AD_JSON_FOREACH (it, v) {
        if (!ad_json_ident(it, &word) || word.n == 0) {
            return false;
        }
    }
    return ad_json_is(v, AD_JSON_ARRAY);
}

void ad__config_set_json(struct ad_config *c, const struct ad_config_key *key,
                         struct ad_config_origin at, const struct ad_json *v)
{
    const char *expected = NULL;
    int64_t number;
    bool ok = false;
    unsigned errors = c->errors_n;
    switch (key->type) {
    case AD_CONFIG_INT:
        if (ad_json_i64(v, &number)) {
            ok = set_int(c, key, at, number);
        } else {
            expected = "a whole number";
        }
        break;
    case AD_CONFIG_BOOL:
        ok = ad_json_bool(v, (bool *)ad__config_member(c, key));
        expected = ok ? NULL : "true or false";
        break;
    case AD_CONFIG_STRING:
    case AD_CONFIG_CHOICE:
        if (ad_json_is(v, AD_JSON_STRING)) {
            ok = set_string(c, key, at, v->str);
        } else {
            expected = "a string";
        }
        break;
    case AD_CONFIG_LIST:
        if (is_words(v)) {
            ok = set_list_json(c, key, v);
        } else {
            expected = "an array of strings";
        }
        break;
    }
    if (expected) {
        ad__config_fail_at(c, at, key->file, "must be %s, not %s", expected,
                           ad__config_type_name(v));
    }
    settle(c, key, at, ok, errors);
}

/* --- Showing ------------------------------------------------------------------------------ */

/* sqlite:…, scheme://user:***@host/… */
static const char *mask_password(struct ad_config *c, const char *url)
{
    struct ad_str s = ad_str_c(url);
    size_t from = 0;
    while (from + 3 < s.n && memcmp(s.p + from, "://", 3) != 0) {
        from++;
    }
    size_t colon = ad_str_find(ad_str_n(s.p + from, s.n - from), '@') + from;
    if (from + 3 >= s.n || colon >= s.n) {
        return url;
    }
    return ad_arena_fmt(&c->arena, "%.*s://***@%.*s", (int)from, s.p, (int)(s.n - colon - 1),
                        s.p + colon + 1)
        .p;
}

static const char *show_list(struct ad_config *c, const char *const *list)
{
    const char *text = "";
    for (size_t i = 0; list && list[i]; i++) {
        text = ad_arena_fmt(&c->arena, "%s%s%s", text, i ? "," : "", list[i]).p;
    }
    return text;
}

const char *ad_config_show(struct ad_config *c, const struct ad_config_key *key)
{
    const char *s;
    switch (key->type) {
    case AD_CONFIG_INT:
        if (!key->def && *(int64_t *)ad__config_member(c, key) < key->min) {
            return NULL;
        }
        return ad_arena_fmt(&c->arena, "%lld", (long long)*(int64_t *)ad__config_member(c, key)).p;
    case AD_CONFIG_BOOL:
        return *(bool *)ad__config_member(c, key) ? "true" : "false";
    case AD_CONFIG_LIST:
        return show_list(c, *(const char *const **)ad__config_member(c, key));
    case AD_CONFIG_STRING:
    case AD_CONFIG_CHOICE:
        break;
    }
    s = *(const char **)ad__config_member(c, key);
    if (!s || key->secret) {
        return s ? "***" : NULL;
    }
    return key->url ? mask_password(c, s) : s;
}

/* --- Comparing ---------------------------------------------------------------------------- */

static bool is_same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool is_same_list(const char *const *a, const char *const *b)
{
    size_t i = 0;
    while (a && a[i] && b && b[i] && strcmp(a[i], b[i]) == 0) {
        i++;
    }
    return !(a && a[i]) && !(b && b[i]);
}

bool ad_config_differs(const struct ad_config *a, const struct ad_config *b,
                       const struct ad_config_key *key)
{
    const void *x = (const char *)a + key->at;
    const void *y = (const char *)b + key->at;
    switch (key->type) {
    case AD_CONFIG_INT:
        return *(const int64_t *)x != *(const int64_t *)y;
    case AD_CONFIG_BOOL:
        return *(const bool *)x != *(const bool *)y;
    case AD_CONFIG_STRING:
    case AD_CONFIG_CHOICE:
        return !is_same_text(*(const char *const *)x, *(const char *const *)y);
    case AD_CONFIG_LIST:
        return !is_same_list(*(const char *const *const *)x, *(const char *const *const *)y);
    }
    return true;
}

enum ad_log_level ad_config_log_level(const struct ad_config *c)
{
    static const char *const names[] = { "debug", "info", "warn", "error" };
    for (unsigned i = 0; i < AD_LEN(names); i++) {
        if (strcmp(c->log_level, names[i]) == 0) {
            return (enum ad_log_level)i;
        }
    }
    return AD_LOG_INFO;
}
