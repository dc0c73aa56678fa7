#include "app/config.h"

#include "app/file.h"
#include "base/json.h"
#include "base/json_bind.h"
#include "infra/crypto.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX ((size_t)1 << 20)
#define SECRET_MAX ((size_t)64 << 10) /* of a NAME_FILE */
#define ARENA_MAX ((size_t)16 << 20)
#define ENVIRONMENT "environment"

/* --- Errors ------------------------------------------------------------------------------- */

static void add(struct ad_config *c, struct ad_list *list, struct ad_config_origin at,
                const char *key, const char *message)
{
    struct ad_config_error *e = ad_arena_zalloc(&c->arena, sizeof(*e));
    if (e) { /* without memory the count alone says that something is wrong */
        *e = (struct ad_config_error){ .at = at, .key = key, .message = message };
        ad_list_push(list, &e->link);
    }
}

static const char *format(struct ad_config *c, const char *fmt, va_list ap)
{
    char text[512];
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    struct ad_str s = ad_arena_str(&c->arena, ad_str_c(text));
    return s.p ? s.p : "out of memory";
}

static void fail_at(struct ad_config *c, struct ad_config_origin at, const char *key,
                    const char *fmt, ...) AD_PRINTF(4, 5);
static void fail_at(struct ad_config *c, struct ad_config_origin at, const char *key,
                    const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    add(c, &c->errors, at, key, format(c, fmt, ap));
    va_end(ap);
    c->errors_n++;
}

static size_t place(const struct ad_config_key *key)
{
    return (size_t)(key - ad_config_keys);
}

void ad_config_fail(struct ad_config *c, const struct ad_config_key *key, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct ad_config_origin at = c->origin[place(key)];
    add(c, &c->errors, at, at.line && key->file ? key->file : ad_config_name(key),
        format(c, fmt, ap));
    va_end(ap);
    c->errors_n++;
}

void ad_config_warn(struct ad_config *c, const char *key, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    add(c, &c->warnings, (struct ad_config_origin){ .what = ENVIRONMENT }, key, format(c, fmt, ap));
    va_end(ap);
}

bool ad_config_has_error(const struct ad_config *c, const char *name)
{
    AD_LIST_FOREACH (it, &c->errors) {
        const struct ad_config_error *e = ad_container_of(it, struct ad_config_error, link);
        if (e->key && strncmp(e->key, name, strlen(name)) == 0) {
            return true;
        }
    }
    return false;
}

/* --- The table ---------------------------------------------------------------------------- */

const struct ad_config_key *ad_config_key_at(size_t offset)
{
    for (size_t i = 0; i < ad_config_keys_n; i++) {
        if (ad_config_keys[i].at == offset) {
            return &ad_config_keys[i];
        }
    }
    AD_ASSERT(!"a member without a row");
    return NULL;
}

const char *ad_config_name(const struct ad_config_key *key)
{
    return key->env ? key->env : key->file ? key->file : key->flag;
}

static const struct ad_config_key *find_file_key(struct ad_str name)
{
    for (size_t i = 0; i < ad_config_keys_n; i++) {
        if (ad_config_keys[i].file && ad_str_eq(ad_str_c(ad_config_keys[i].file), name)) {
            return &ad_config_keys[i];
        }
    }
    return NULL;
}

bool ad_config_is_default(const struct ad_config *c, const struct ad_config_key *key)
{
    return strcmp(c->origin[place(key)].what, "built in") == 0;
}

static void *member(struct ad_config *c, const struct ad_config_key *key)
{
    return (char *)c + key->at;
}

/* --- Values ------------------------------------------------------------------------------- */

static const char *keep(struct ad_config *c, struct ad_str s)
{
    return ad_arena_str(&c->arena, s).p;
}

static bool is_choice(const char *choices, struct ad_str word)
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
        words[i] = keep(c, ad_str_cut(&rest, ' '));
    }
    return ad_did_you_mean(word, words);
}

static bool set_int(struct ad_config *c, const struct ad_config_key *key,
                    struct ad_config_origin at, int64_t v)
{
    if (v < key->min || v > key->max) {
        fail_at(c, at, at.line ? key->file : ad_config_name(key),
                "must be between %lld and %lld, not %lld", (long long)key->min, (long long)key->max,
                (long long)v);
        return false;
    }
    *(int64_t *)member(c, key) = v;
    return true;
}

static bool set_string(struct ad_config *c, const struct ad_config_key *key,
                       struct ad_config_origin at, struct ad_str s)
{
    const char *name = at.line ? key->file : ad_config_name(key);
    if (memchr(s.p, '\0', s.n)) {
        fail_at(c, at, name, "must not hold a NUL character");
        return false;
    }
    if (key->max && (s.n < (size_t)key->min || s.n > (size_t)key->max)) {
        fail_at(c, at, name, "has %zu characters, not %lld to %lld", s.n, (long long)key->min,
                (long long)key->max);
        return false;
    }
    if (key->type == AD_CONFIG_CHOICE && !is_choice(key->choices, s)) {
        const char *near = nearest(c, key->choices, s);
        fail_at(c, at, name, "must be one of: %s; not \"%.40s\"%s%s%s", key->choices, s.p,
                near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
        return false;
    }
    const char *copy = keep(c, s);
    *(const char **)member(c, key) = copy;
    return copy != NULL;
}

static bool add_word(struct ad_config *c, const char **list, size_t *n, struct ad_str word)
{
    list[*n] = keep(c, word);
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
    *(const char *const **)member(c, key) = n ? list : NULL;
    return list != NULL;
}

static bool set_bool_text(struct ad_config *c, const struct ad_config_key *key,
                          struct ad_config_origin at, struct ad_str s)
{
    bool yes = ad_str_eq(s, AD_STR("true")) || ad_str_eq(s, AD_STR("1"));
    bool no = ad_str_eq(s, AD_STR("false")) || ad_str_eq(s, AD_STR("0"));
    if (!yes && !no) {
        fail_at(c, at, ad_config_name(key), "must be true or false");
        return false;
    }
    *(bool *)member(c, key) = yes;
    return true;
}

/* From a variable, a flag or the table's default. */
static void set_text(struct ad_config *c, const struct ad_config_key *key,
                     struct ad_config_origin at, struct ad_str s)
{
    bool ok = false;
    int64_t number;
    switch (key->type) {
    case AD_CONFIG_INT:
        if (ad_str_i64(s, INT64_MIN, INT64_MAX, &number)) {
            ok = set_int(c, key, at, number);
        } else {
            fail_at(c, at, ad_config_name(key), "must be a whole number");
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
    if (ok) {
        c->origin[place(key)] = at;
    }
}

/* --- Files -------------------------------------------------------------------------------- */

struct file {
    struct ad_config *c;
    const char *path;
    struct ad_str text;
};

static struct ad_config_origin origin_of(const struct file *f, const struct ad_json *v)
{
    unsigned line = 1;
    const char *end = v && v->raw.p ? v->raw.p : f->text.p;
    for (const char *p = f->text.p; p < end; p++) {
        line += *p == '\n';
    }
    return (struct ad_config_origin){ .what = f->path, .line = line };
}

static const char *type_name(const struct ad_json *v)
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
    *(const char *const **)member(c, key) = n ? list : NULL;
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

static void set_json(const struct file *f, const struct ad_config_key *key, const struct ad_json *v)
{
    struct ad_config *c = f->c;
    struct ad_config_origin at = origin_of(f, v);
    const char *expected = NULL;
    int64_t number;
    bool ok = false;
    switch (key->type) {
    case AD_CONFIG_INT:
        if (ad_json_i64(v, &number)) {
            ok = set_int(c, key, at, number);
        } else {
            expected = "a whole number";
        }
        break;
    case AD_CONFIG_BOOL:
        ok = ad_json_bool(v, (bool *)member(c, key));
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
        fail_at(c, at, key->file, "must be %s, not %s", expected, type_name(v));
    }
    if (ok) {
        c->origin[place(key)] = at;
    }
}

static bool has_word(struct ad_str name, const char *word)
{
    size_t n = strlen(word);
    for (size_t i = 0; i + n <= name.n; i++) {
        if (ad_str_eq_nocase(ad_str_n(name.p + i, n), ad_str_c(word))) {
            return true;
        }
    }
    return false;
}

/* A key that does not exist; when it looks like a secret, say where that belongs. The value is
 * never shown. */
static void fail_unknown(const struct file *f, struct ad_str name, const struct ad_json *v)
{
    static const char *const secrets[] = { "secret",  "token",    "password", "apikey",
                                           "api_key", "database", "redis" };
    const char *names[AD_CONFIG_KEYS_MAX + 1] = { NULL };
    size_t n = 0;
    for (size_t i = 0; i < ad_config_keys_n; i++) {
        if (ad_config_keys[i].file) {
            names[n++] = ad_config_keys[i].file;
        }
    }
    struct ad_config_origin at = origin_of(f, v);
    const char *key = keep(f->c, name);
    for (size_t i = 0; i < AD_LEN(secrets); i++) {
        if (has_word(name, secrets[i])) {
            fail_at(f->c, at, key,
                    "credentials do not belong in a file: use a variable (ATTIO_API_KEY, "
                    "ATTIO_WEBHOOK_SECRET, DATABASE_URL) or its _FILE form");
            return;
        }
    }
    const char *near = ad_did_you_mean(name, names);
    fail_at(f->c, at, key, "unknown key%s%s%s", near ? " (did you mean " : "", near ? near : "",
            near ? "?)" : "");
}

static bool is_section(struct ad_str name)
{
    for (size_t i = 0; i < ad_config_keys_n; i++) {
        struct ad_str file = ad_str_c(ad_config_keys[i].file);
        if (file.n > name.n && file.p[name.n] == '.' && ad_str_starts(file, name)) {
            return true;
        }
    }
    return false;
}

static void read_section(const struct file *f, const struct ad_json *section)
{
    AD_JSON_FOREACH (it, section) {
        struct ad_str name =
            ad_arena_fmt(&f->c->arena, "%.*s.%.*s", AD_FMT(section->key), AD_FMT(it->key));
        const struct ad_config_key *key = find_file_key(name);
        if (key) {
            set_json(f, key, it);
        } else {
            fail_unknown(f, name, it);
        }
    }
}

static void read_document(const struct file *f, const struct ad_json *doc)
{
    if (!ad_json_is(doc, AD_JSON_OBJECT)) {
        fail_at(f->c, origin_of(f, doc), "", "the file must hold one JSON object");
        return;
    }
    AD_JSON_FOREACH (it, doc) {
        if (!is_section(it->key)) {
            fail_unknown(f, it->key, it);
        } else if (!ad_json_is(it, AD_JSON_OBJECT)) {
            fail_at(f->c, origin_of(f, it), keep(f->c, it->key), "must be an object, not %s",
                    type_name(it));
        } else {
            read_section(f, it);
        }
    }
}

static enum ad_err read_file(struct ad_config *c, const char *path)
{
    struct ad_errinfo info = { .code = AD_OK };
    struct file f = { .c = c, .path = path };
    const struct ad_json *doc = NULL;
    enum ad_err err = ad_file_read(&c->arena, path, FILE_MAX, &f.text, &info);
    if (!err) {
        static const struct ad_json_limits limits = { FILE_MAX, 16, 10000 };
        err = ad_json_parse(&c->arena, f.text, &limits, &doc, &info);
        if (err && err != AD_ERR_NOMEM) {
            fail_at(c, (struct ad_config_origin){ .what = path }, "", "%s", info.msg);
            return AD_OK;
        }
    }
    if (err == AD_ERR_NOMEM) {
        return err;
    }
    if (err) {
        fail_at(c, (struct ad_config_origin){ .what = path }, "", "cannot be read: %s",
                info.os ? strerror(info.os) : info.msg);
        return AD_OK;
    }
    read_document(&f, doc);
    return AD_OK;
}

/* --- Variables and flags ------------------------------------------------------------------ */

/* The value of a variable, absent when unset. */
static struct ad_str variable(const struct ad_config_input *in, const char *name,
                              const char *suffix)
{
    size_t n = strlen(name);
    size_t m = strlen(suffix);
    for (char *const *e = in->environ; e && *e; e++) {
        if (strncmp(*e, name, n) == 0 && strncmp(*e + n, suffix, m) == 0 && (*e)[n + m] == '=') {
            return ad_str_c(*e + n + m + 1);
        }
    }
    return AD_STR_NONE;
}

static void read_variable_file(struct ad_config *c, const struct ad_config_key *key,
                               struct ad_str path)
{
    struct ad_config_origin at = { .what = keep(c, path) };
    struct ad_errinfo info = { .code = AD_OK };
    struct ad_str text;
    const char *name = ad_arena_fmt(&c->arena, "%s_FILE", key->env).p;
    if (ad_file_read(&c->arena, at.what ? at.what : "", SECRET_MAX, &text, &info)) {
        fail_at(c, at, name, "cannot be read: %s", info.os ? strerror(info.os) : info.msg);
        return;
    }
    struct ad_str value = text;
    while (value.n && strchr(" \t\r\n", value.p[value.n - 1])) {
        value.n--;
    }
    if (value.n) {
        set_text(c, key, at, value);
    } else {
        fail_at(c, at, name, "the file is empty");
    }
    ad_wipe((void *)(uintptr_t)text.p, text.n); /* the arena's copy of it; set_text made its own */
}

/* An empty variable is an unset one, because that is what `FOO=` means in most places it is
 * written; but not for the webhook secret, where it would pass for "no check". */
static void read_variable(struct ad_config *c, const struct ad_config_input *in,
                          const struct ad_config_key *key)
{
    struct ad_config_origin at = { .what = ENVIRONMENT };
    struct ad_str value = variable(in, key->env, "");
    struct ad_str path = variable(in, key->env, "_FILE");
    if (value.p && value.n == 0 && key->at == offsetof(struct ad_config, webhook_secret)) {
        fail_at(c, at, key->env, "is empty: unset it, or give a secret");
    } else if (value.n && path.n) {
        fail_at(c, at, key->env, "is set, and %s_FILE as well: which one counts?", key->env);
    } else if (value.n) {
        set_text(c, key, at, ad_str_trim(value));
    } else if (path.n) {
        read_variable_file(c, key, path);
    }
}

static void read_variables(struct ad_config *c, const struct ad_config_input *in)
{
    for (size_t i = 0; i < ad_config_keys_n; i++) {
        const struct ad_config_key *key = &ad_config_keys[i];
        if (key->env && key->at != offsetof(struct ad_config, env) &&
            key->at != offsetof(struct ad_config, config_dir)) {
            read_variable(c, in, key);
        }
    }
}

static void read_flags(struct ad_config *c, const struct ad_config_input *in)
{
    for (size_t i = 0; i < in->flags_n; i++) {
        for (size_t k = 0; k < ad_config_keys_n; k++) {
            const char *flag = ad_config_keys[k].flag;
            if (flag && strcmp(flag, in->flags[i].flag) == 0) {
                set_text(c, &ad_config_keys[k], (struct ad_config_origin){ .what = "flag" },
                         ad_str_c(in->flags[i].value));
            }
        }
    }
}

static void check_later(struct ad_config *c, const struct ad_config_input *in)
{
    for (size_t i = 0; i < ad_config_later_n; i++) {
        const struct ad_config_later *l = &ad_config_later[i];
        if (!variable(in, l->env, "").n && !variable(in, l->env, "_FILE").n) {
            continue;
        }
        if (l->fatal) {
            fail_at(c, (struct ad_config_origin){ .what = ENVIRONMENT }, l->env,
                    "not in this release: %s", l->doc);
        } else {
            ad_config_warn(c, l->env, "is not used by this release: %s", l->doc);
        }
    }
}

/* Behind "ATTIO_" or "ATTIOD_"; absent for another prefix. */
static const char *own_part(const char *name)
{
    const char *cut = strchr(name, '_');
    return cut && strncmp(name, "ATTIO", 5) == 0 ? cut + 1 : NULL;
}

/* Other programs own names that begin like ours, so an unknown one is an error nowhere; but one that
 * is nearly ours is worth a word. */
static void check_typo(struct ad_config *c, const char *name, const char *const *names)
{
    const char *own = own_part(name);
    struct ad_str word = ad_str_c(own);
    if (word.n > 5 && ad_str_ends(word, AD_STR("_FILE"))) {
        word.n -= 5;
    }
    const char *near = own ? ad_did_you_mean(word, names) : NULL;
    if (near && !ad_str_eq(word, ad_str_c(near))) {
        ad_config_warn(c, name, "is no variable of attiod; did you mean %s%s?",
                       strncmp(name, "ATTIOD", 6) == 0 ? "ATTIOD_" : "ATTIO_", near);
    }
}

static void check_typos(struct ad_config *c, const struct ad_config_input *in)
{
    const char *names[AD_CONFIG_KEYS_MAX + 1] = { NULL };
    size_t n = 0;
    for (size_t i = 0; i < ad_config_keys_n; i++) {
        if (ad_config_keys[i].env && own_part(ad_config_keys[i].env)) {
            names[n++] = own_part(ad_config_keys[i].env);
        }
    }
    for (size_t i = 0; i < ad_config_later_n && n < AD_CONFIG_KEYS_MAX; i++) {
        names[n++] = own_part(ad_config_later[i].env) ? own_part(ad_config_later[i].env) : "";
    }
    for (char *const *e = in->environ; e && *e; e++) {
        struct ad_str rest = ad_str_c(*e);
        struct ad_str name = ad_str_cut(&rest, '=');
        if (ad_str_starts(name, AD_STR("ATTIO"))) {
            check_typo(c, keep(c, name), names);
        }
    }
}

/* --- Where the environment's file is ------------------------------------------------------ */

static void choose_env(struct ad_config *c, const struct ad_config_input *in)
{
    const struct ad_config_key *key = ad_config_key_of(env);
    struct ad_config_origin at = { .what = ENVIRONMENT };
    struct ad_str node = ad_str_trim(variable(in, "NODE_ENV", ""));
    if (variable(in, "ATTIO_ENV", "").n || variable(in, "ATTIO_ENV", "_FILE").n) {
        read_variable(c, in, key);
    } else if (node.n && is_choice(key->choices, node)) {
        set_text(c, key, at, node);
    } else if (node.n) {
        fail_at(c, at, "NODE_ENV", "must be one of: %s; not \"%.*s\"; or set ATTIO_ENV",
                key->choices, (int)(node.n < 40 ? node.n : 40), node.p);
    }
}

static const char *env_file(struct ad_config *c, const char *dir)
{
    return ad_arena_fmt(&c->arena, "%s/attio.%s.json", dir, c->env).p;
}

static const char *choose_file(struct ad_config *c, const struct ad_config_input *in)
{
    read_variable(c, in, ad_config_key_of(config_dir));
    if (c->config_dir) {
        return env_file(c, c->config_dir); /* said so: then it must be there */
    }
    const char *const dirs[] = { in->etc_dir, in->source_dir };
    for (size_t i = 0; i < AD_LEN(dirs); i++) {
        const char *path = dirs[i] ? env_file(c, dirs[i]) : NULL;
        if (path && access(path, F_OK) == 0) {
            c->config_dir = dirs[i];
            return path;
        }
    }
    fail_at(c, (struct ad_config_origin){ .what = ENVIRONMENT }, "ATTIOD_CONFIG_DIR",
            "there is no attio.%s.json in %s: say where it is", c->env,
            in->etc_dir ? in->etc_dir : "/etc/attiod");
    return NULL;
}

/* --- Loading ------------------------------------------------------------------------------ */

static void set_defaults(struct ad_config *c)
{
    struct ad_config_origin built_in = { .what = "built in" };
    c->port = -1;
    for (size_t i = 0; i < ad_config_keys_n; i++) {
        c->origin[i] = built_in;
        if (ad_config_keys[i].def) {
            set_text(c, &ad_config_keys[i], built_in, ad_str_c(ad_config_keys[i].def));
        }
    }
}

enum ad_err ad_config_load(struct ad_config *c, const struct ad_config_input *in)
{
    *c = (struct ad_config){ .errors_n = 0 };
    ad_arena_init(&c->arena, ARENA_MAX);
    ad_list_init(&c->errors);
    ad_list_init(&c->warnings);
    set_defaults(c);
    if (c->errors_n) {
        return AD_ERR_NOMEM; /* the table's own defaults fit: see its test */
    }
    choose_env(c, in);
    const char *path = c->errors_n ? NULL : choose_file(c, in);
    enum ad_err err = path ? read_file(c, path) : AD_OK;
    if (!err && in->file) {
        err = read_file(c, in->file);
    }
    if (err) {
        return err;
    }
    read_variables(c, in);
    read_flags(c, in);
    check_later(c, in);
    check_typos(c, in);
    ad_config_rules(c, in);
    return c->errors_n ? AD_ERR_CONFIG : AD_OK;
}

/* The strings are ours: made by keep(), const only for those who read them. */
static void wipe(const char *s)
{
    if (s) {
        ad_wipe((void *)(uintptr_t)s, strlen(s));
    }
}

void ad_config_fini(struct ad_config *c)
{
    for (size_t i = 0; i < ad_config_keys_n; i++) {
        if (ad_config_keys[i].secret) {
            wipe(*(const char **)member(c, &ad_config_keys[i]));
        }
    }
    for (size_t i = 0; c->webhook_secrets && c->webhook_secrets[i]; i++) {
        wipe(c->webhook_secrets[i]);
    }
    ad_arena_fini(&c->arena);
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
        if (!key->def && *(int64_t *)member(c, key) < key->min) {
            return NULL;
        }
        return ad_arena_fmt(&c->arena, "%lld", (long long)*(int64_t *)member(c, key)).p;
    case AD_CONFIG_BOOL:
        return *(bool *)member(c, key) ? "true" : "false";
    case AD_CONFIG_LIST:
        return show_list(c, *(const char *const **)member(c, key));
    case AD_CONFIG_STRING:
    case AD_CONFIG_CHOICE:
        break;
    }
    s = *(const char **)member(c, key);
    if (!s || key->secret) {
        return s ? "***" : NULL;
    }
    return key->url ? mask_password(c, s) : s;
}
