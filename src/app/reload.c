#include "app/reload.h"

#include "base/log.h"

#include <string.h>

/* What the audit log keeps of a list of names. */
#define NAMES_MAX 180

void ad_reload_init(struct ad_reload *r, const struct ad_cli *cli, const struct ad_config *start)
{
    *r = (struct ad_reload){ .cli = cli, .start = start };
}

void ad_reload_fini(struct ad_reload *r)
{
    if (r->taken) {
        ad_config_fini(&r->now);
    }
}

static const struct ad_config *current(const struct ad_reload *r)
{
    return r->taken ? &r->now : r->start;
}

/* --- Refusing ----------------------------------------------------------------------------- */

static void log_errors(const struct ad_config *c)
{
    AD_LIST_FOREACH (it, &c->errors) {
        const struct ad_config_error *e = ad_container_of(it, struct ad_config_error, link);
        ad_log(AD_LOG_ERROR, "configuration", AD_KC("name", e->key), AD_KC("from", e->at.what),
               AD_KI("line", e->at.line), AD_KC("message", e->message));
    }
}

static void refuse(struct ad_app *app, const char *why, unsigned errors)
{
    ad_log(AD_LOG_ERROR, "reload_refused", AD_KC("why", why), AD_KI("errors", errors),
           AD_KC("effect", "nothing was changed"));
    ad_app_note_reload(app, false, AD_STR_NONE);
}

/* --- Comparing ---------------------------------------------------------------------------- */

/* The names of keys that differ and are reloadable or not, separated by commas; "" for none. Cut
 * at its end when there are very many. */
static void differing(const struct ad_config *a, const struct ad_config *b, bool reloadable,
                      char names[NAMES_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < ad_config_keys_n; i++) {
        const struct ad_config_key *key = &ad_config_keys[i];
        if (key->reload != reloadable || !ad_config_differs(a, b, key)) {
            continue;
        }
        const char *name = key->file ? key->file : ad_config_name(key);
        size_t len = strlen(name);
        if (n + len + 5 > NAMES_MAX) {
            memcpy(names + n, ",...", 5);
            return;
        }
        names[n] = ',';
        n += n > 0;
        memcpy(names + n, name, len);
        n += len;
    }
    names[n] = '\0';
}

/* --- Taking over -------------------------------------------------------------------------- */

static void take(struct ad_reload *r, struct ad_config *fresh)
{
    if (r->taken) {
        ad_config_fini(&r->now);
    }
    r->now = *fresh;
    /* Lists that were empty point to where they were. */
    ad_list_init(&r->now.errors);
    ad_list_init(&r->now.warnings);
    r->taken = true;
}

static void compare_and_take(struct ad_reload *r, struct ad_app *app, struct ad_config *fresh)
{
    char changed[NAMES_MAX];
    char waiting[NAMES_MAX];
    struct ad_errinfo info = { .code = AD_OK };
    differing(current(r), fresh, true, changed);
    differing(r->start, fresh, false, waiting);
    enum ad_err err = ad_app_reload(app, current(r), fresh, &info);
    if (err) {
        refuse(app, info.msg, 0);
        ad_config_fini(fresh);
        return;
    }
    enum ad_log_level before = ad_config_log_level(current(r));
    enum ad_log_level after = ad_config_log_level(fresh);
    ad_log_set_level(before < after ? before : after); /* whichever shows the next lines */
    ad_log(AD_LOG_INFO, "reloaded", AD_KC("changed", changed), AD_KC("needs_restart", waiting));
    ad_app_note_reload(app, true, ad_str_c(changed));
    ad_log_set_level(after);
    take(r, fresh);
}

void ad_reload_run(struct ad_reload *r, struct ad_app *app)
{
    struct ad_config fresh;
    switch (ad_cli_load(r->cli, true, &fresh)) {
    case AD_EXIT_OK:
        compare_and_take(r, app, &fresh);
        return;
    case AD_EXIT_CONFIG:
        log_errors(&fresh);
        refuse(app, "the configuration is wrong", fresh.errors_n);
        break;
    default:
        refuse(app, "no memory", 0);
        break;
    }
    ad_config_fini(&fresh);
}
