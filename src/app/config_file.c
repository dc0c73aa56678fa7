#include "app/config_private.h"

#include "app/file.h"
#include "base/json_bind.h"

#include <string.h>

#define FILE_MAX ((size_t)1 << 20)

static const struct ad_config_key *find_file_key(struct ad_str name)
{
    for (size_t i = 0; i < ad_config_keys_n; i++) {
        if (ad_config_keys[i].file && ad_str_eq(ad_str_c(ad_config_keys[i].file), name)) {
            return &ad_config_keys[i];
        }
    }
    return NULL;
}

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
    const char *key = ad__config_keep(f->c, name);
    for (size_t i = 0; i < AD_LEN(secrets); i++) {
        if (has_word(name, secrets[i])) {
            ad__config_fail_at(
                f->c, at, key,
                "credentials do not belong in a file: use a variable (ATTIO_API_KEY, "
                "ATTIO_WEBHOOK_SECRET, DATABASE_URL) or its _FILE form");
            return;
        }
    }
    const char *near = ad_did_you_mean(name, names);
    ad__config_fail_at(f->c, at, key, "unknown key%s%s%s", near ? " (did you mean " : "",
                       near ? near : "", near ? "?)" : "");
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
            ad__config_set_json(f->c, key, origin_of(f, it), it);
        } else {
            fail_unknown(f, name, it);
        }
    }
}

static void read_document(const struct file *f, const struct ad_json *doc)
{
    if (!ad_json_is(doc, AD_JSON_OBJECT)) {
        ad__config_fail_at(f->c, origin_of(f, doc), "", "the file must hold one JSON object");
        return;
    }
    AD_JSON_FOREACH (it, doc) {
        if (!is_section(it->key)) {
            fail_unknown(f, it->key, it);
        } else if (!ad_json_is(it, AD_JSON_OBJECT)) {
            ad__config_fail_at(f->c, origin_of(f, it), ad__config_keep(f->c, it->key),
                               "must be an object, not %s", ad__config_type_name(it));
        } else {
            read_section(f, it);
        }
    }
}

enum ad_err ad__config_read_file(struct ad_config *c, const char *path)
{
    struct ad_errinfo info = { .code = AD_OK };
    struct file f = { .c = c, .path = path };
    const struct ad_json *doc = NULL;
    enum ad_err err = ad_file_read(&c->arena, path, FILE_MAX, &f.text, &info);
    if (!err) {
        static const struct ad_json_limits limits = { FILE_MAX, 16, 10000 };
        err = ad_json_parse(&c->arena, f.text, &limits, &doc, &info);
        if (err && err != AD_ERR_NOMEM) {
            ad__config_fail_at(c, (struct ad_config_origin){ .what = path }, "", "%s", info.msg);
            return AD_OK;
        }
    }
    if (err == AD_ERR_NOMEM) {
        return err;
    }
    if (err) {
        ad__config_fail_at(c, (struct ad_config_origin){ .what = path }, "", "cannot be read: %s",
                           info.os ? strerror(info.os) : info.msg);
        return AD_OK;
    }
    read_document(&f, doc);
    return AD_OK;
}
