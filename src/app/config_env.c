#include "app/config_private.h"

#include "app/file.h"
#include "base/json_bind.h"
#include "infra/crypto.h"

#include <string.h>

#define SECRET_MAX ((size_t)64 << 10) /* of a NAME_FILE */

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

/* Editors and `echo` end a file with a line break, which is no part of a secret; anything more is
 * left for the key's own check to name. */
static struct ad_str without_newline(struct ad_str s)
{
    s.n -= s.n && s.p[s.n - 1] == '\n';
    s.n -= s.n && s.p[s.n - 1] == '\r';
    return s;
}

static void read_variable_file(struct ad_config *c, const struct ad_config_key *key,
                               struct ad_str path)
{
    struct ad_config_origin at = { .what = ad__config_keep(c, path) };
    struct ad_errinfo info = { .code = AD_OK };
    struct ad_str text;
    const char *name = ad_arena_fmt(&c->arena, "%s_FILE", key->env).p;
    if (ad_file_read(&c->arena, at.what ? at.what : "", SECRET_MAX, &text, &info)) {
        ad__config_fail_at(c, at, name, "cannot be read: %s",
                           info.os ? strerror(info.os) : info.msg);
        return;
    }
    struct ad_str value = without_newline(text);
    if (value.n) {
        ad__config_set_text(c, key, at, value);
    } else {
        ad__config_fail_at(c, at, name, "the file is empty");
    }
    ad_wipe((void *)(uintptr_t)text.p, text.n); /* the arena's copy of it; set_text made its own */
}

/* An empty variable is an unset one, because that is what `FOO=` means in most places it is
 * written; but not for the webhook secret, where it would pass for "no check". */
void ad__config_read_variable(struct ad_config *c, const struct ad_config_input *in,
                              const struct ad_config_key *key)
{
    struct ad_config_origin at = { .what = AD__CONFIG_ENVIRONMENT };
    struct ad_str value = variable(in, key->env, "");
    struct ad_str path = variable(in, key->env, "_FILE");
    if (value.p && value.n == 0 && key->at == offsetof(struct ad_config, webhook_secret)) {
        ad__config_fail_at(c, at, key->env, "is empty: unset it, or give a secret");
    } else if (value.n && path.n) {
        ad__config_fail_at(c, at, key->env, "is set, and %s_FILE as well: which one counts?",
                           key->env);
    } else if (value.n) {
        ad__config_set_text(c, key, at, ad_str_trim(value));
    } else if (path.n) {
        read_variable_file(c, key, path);
    }
}

void ad__config_read_variables(struct ad_config *c, const struct ad_config_input *in)
{
    for (size_t i = 0; i < ad_config_keys_n; i++) {
        const struct ad_config_key *key = &ad_config_keys[i];
        if (key->env && key->at != offsetof(struct ad_config, env) &&
            key->at != offsetof(struct ad_config, config_dir)) {
            ad__config_read_variable(c, in, key);
        }
    }
}

void ad__config_read_flags(struct ad_config *c, const struct ad_config_input *in)
{
    for (size_t i = 0; i < in->flags_n; i++) {
        for (size_t k = 0; k < ad_config_keys_n; k++) {
            const char *flag = ad_config_keys[k].flag;
            if (flag && strcmp(flag, in->flags[i].flag) == 0) {
                ad__config_set_text(c, &ad_config_keys[k],
                                    (struct ad_config_origin){ .what = "flag" },
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
            ad__config_fail_at(c, (struct ad_config_origin){ .what = AD__CONFIG_ENVIRONMENT },
                               l->env, "not in this release: %s", l->doc);
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

/* Other programs own names that begin like ours, so an unknown one is an error nowhere; but one
 * that is nearly ours is worth a word. */
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
            check_typo(c, ad__config_keep(c, name), names);
        }
    }
}

void ad__config_choose_env(struct ad_config *c, const struct ad_config_input *in)
{
    const struct ad_config_key *key = ad_config_key_of(env);
    struct ad_config_origin at = { .what = AD__CONFIG_ENVIRONMENT };
    struct ad_str node = ad_str_trim(variable(in, "NODE_ENV", ""));
    if (variable(in, "ATTIO_ENV", "").n || variable(in, "ATTIO_ENV", "_FILE").n) {
        ad__config_read_variable(c, in, key);
    } else if (node.n && ad__config_is_choice(key->choices, node)) {
        ad__config_set_text(c, key, at, node);
    } else if (node.n) {
        ad__config_fail_at(c, at, "NODE_ENV", "must be one of: %s; not \"%.*s\"; or set ATTIO_ENV",
                           key->choices, (int)(node.n < 40 ? node.n : 40), node.p);
    }
}

void ad__config_check_names(struct ad_config *c, const struct ad_config_input *in)
{
    check_later(c, in);
    check_typos(c, in);
}
