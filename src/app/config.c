#include "app/config.h"

#include "app/config_private.h"
#include "infra/crypto.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ARENA_MAX ((size_t)16 << 20)

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

static AD_PRINTF(2, 0) const char *format(struct ad_config *c, const char *fmt, va_list ap)
{
    char text[512];
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    struct ad_str s = ad_arena_str(&c->arena, ad_str_c(text));
    return s.p ? s.p : "out of memory";
}

void ad__config_fail_at(struct ad_config *c, struct ad_config_origin at, const char *key,
                        const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    add(c, &c->errors, at, key, format(c, fmt, ap));
    va_end(ap);
    c->errors_n++;
}

size_t ad__config_place(const struct ad_config_key *key)
{
    return (size_t)(key - ad_config_keys);
}

void ad_config_fail(struct ad_config *c, const struct ad_config_key *key, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct ad_config_origin at = c->origin[ad__config_place(key)];
    add(c, &c->errors, at, at.line && key->file ? key->file : ad_config_name(key),
        format(c, fmt, ap));
    va_end(ap);
    c->errors_n++;
}

void ad_config_warn(struct ad_config *c, const char *key, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    add(c, &c->warnings, (struct ad_config_origin){ .what = AD__CONFIG_ENVIRONMENT }, key,
        format(c, fmt, ap));
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
    AD_ASSERT(false && "a member without a row");
    return NULL;
}

const char *ad_config_name(const struct ad_config_key *key)
{
    return key->env ? key->env : key->file ? key->file : key->flag;
}

bool ad_config_is_default(const struct ad_config *c, const struct ad_config_key *key)
{
    return strcmp(c->origin[ad__config_place(key)].what, "built in") == 0;
}

void *ad__config_member(struct ad_config *c, const struct ad_config_key *key)
{
    return (char *)c + key->at;
}

const char *ad__config_keep(struct ad_config *c, struct ad_str s)
{
    return ad_arena_str(&c->arena, s).p;
}

/* --- Where the environment's file is ------------------------------------------------------ */

static const char *env_file(struct ad_config *c, const char *dir)
{
    return ad_arena_fmt(&c->arena, "%s/attio.%s.json", dir, c->env).p;
}

static const char *choose_file(struct ad_config *c, const struct ad_config_input *in)
{
    ad__config_read_variable(c, in, ad_config_key_of(config_dir));
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
    ad__config_fail_at(c, (struct ad_config_origin){ .what = AD__CONFIG_ENVIRONMENT },
                       "ATTIOD_CONFIG_DIR", "there is no attio.%s.json in %s: say where it is",
                       c->env, in->etc_dir ? in->etc_dir : "/etc/attiod");
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
            ad__config_set_text(c, &ad_config_keys[i], built_in, ad_str_c(ad_config_keys[i].def));
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
    ad__config_choose_env(c, in);
    const char *path = c->errors_n ? NULL : choose_file(c, in);
    enum ad_err err = path ? ad__config_read_file(c, path) : AD_OK;
    if (!err && in->file) {
        err = ad__config_read_file(c, in->file);
    }
    if (err) {
        return err;
    }
    ad__config_read_variables(c, in);
    ad__config_read_flags(c, in);
    ad__config_check_names(c, in);
    ad_config_rules(c, in);
    return c->errors_n ? AD_ERR_CONFIG : AD_OK;
}

/* The strings are ours: made by ad__config_keep(), const only for those who read them. */
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
            wipe(*(const char **)ad__config_member(c, &ad_config_keys[i]));
        }
    }
    for (size_t i = 0; c->webhook_secrets && c->webhook_secrets[i]; i++) {
        wipe(c->webhook_secrets[i]);
    }
    for (const struct ad_config_token *t = c->access; t && t->name; t++) {
        wipe(t->token);
    }
    ad_arena_fini(&c->arena);
}
