#include "app/config.h"

#include "attio/base_url.h"
#include "attio/event.h"
#include "base/json_bind.h"

#include <string.h>

/* What Attio allows a workspace (facts.md section 2). */
#define ATTIO_READS_PER_S 100
#define ATTIO_WRITES_PER_S 25
/* A shorter secret can be guessed, and the log could not hide it (base/log.h). */
#define SECRET_MIN 8

#define FAIL(c, member, ...) ad_config_fail(c, ad_config_key_of(member), __VA_ARGS__)

static bool is_production(const struct ad_config *c)
{
    return strcmp(c->env, "production") == 0;
}

static bool is_visible(struct ad_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] <= ' ' || s.p[i] > '~') {
            return false;
        }
    }
    return true;
}

/* --- Credentials -------------------------------------------------------------------------- */

static void check_api_key(struct ad_config *c, const struct ad_config_input *in)
{
    if (c->api_key && !is_visible(ad_str_c(c->api_key))) {
        FAIL(c, api_key, "holds a blank, a line break or another character that no token has");
    } else if (!c->api_key && in->serve && !ad_config_has_error(c, "ATTIO_API_KEY")) {
        FAIL(c, api_key, "is required");
    }
    if (c->client_token && !is_visible(ad_str_c(c->client_token))) {
        FAIL(c, client_token, "holds a blank, a line break or another character that no token has");
    }
}

static void split_secrets(struct ad_config *c)
{
    struct ad_str rest = ad_str_c(c->webhook_secret);
    const char **list = ad_arena_array(&c->arena, rest.n + 2, sizeof(*list));
    size_t n = 0;
    while (list && rest.p) {
        struct ad_str s = ad_str_trim(ad_str_cut(&rest, ','));
        if (s.n == 0) {
            FAIL(c, webhook_secret, "holds an empty secret, which anybody could sign with");
        } else if (s.n < SECRET_MIN || !is_visible(s)) {
            FAIL(c, webhook_secret,
                 "secret %zu must have at least %d characters, none of them a blank", n + 1,
                 SECRET_MIN);
        }
        list[n++] = ad_arena_str(&c->arena, s).p;
    }
    c->webhook_secrets = list;
}

/* Without a secret nothing could be told genuine; with a public URL `webhooks ensure` gets one. */
static void check_webhooks(struct ad_config *c, const struct ad_config_input *in)
{
    if (c->webhook_secret) {
        split_secrets(c);
    } else if (in->serve && !c->public_url && !c->no_webhooks &&
               !ad_config_has_error(c, "ATTIO_WEBHOOK_SECRET") &&
               !ad_config_has_error(c, "ATTIOD_PUBLIC_URL")) {
        FAIL(c, webhook_secret,
             "is required: without it, and without ATTIOD_PUBLIC_URL, no webhook can be told "
             "genuine; serve --no-webhooks does without webhooks");
    }
}

/* --- Places ------------------------------------------------------------------------------- */

static void check_public_url(struct ad_config *c)
{
    struct ad_base_url u;
    struct ad_errinfo info;
    if (!c->public_url) {
        return;
    }
    struct ad_str s = ad_str_c(c->public_url);
    while (s.n && s.p[s.n - 1] == '/') {
        s.n--;
    }
    /* The same form as Attio's own URL, whose parser knows all that can be wrong with one. */
    if (ad_base_url_parse(s, true, &u, &info)) {
        FAIL(c, public_url,
             "must be an http: or https: URL without query, such as "
             "https://hooks.example.com");
        return;
    }
    if (!u.tls && !u.loopback) {
        FAIL(c, public_url, "must be https: Attio delivers to nothing else");
    }
    c->public_url = ad_arena_str(&c->arena, s).p;
    if (strcmp(c->env, "development") == 0 && !u.loopback) {
        ad_config_warn(c, "ATTIO_ENV",
                       "is development, with a public URL: set ATTIO_ENV=production there");
    }
}

static void check_base_url(struct ad_config *c)
{
    struct ad_base_url u;
    struct ad_errinfo info;
    if (ad_base_url_parse(ad_str_c(c->base_url), !is_production(c), &u, &info)) {
        FAIL(c, base_url, "%s", info.msg);
        return;
    }
    c->base_is_loopback = u.loopback;
    if (u.tls && c->enabled) {
        FAIL(c, base_url,
             "is https, and TLS to Attio comes with the next release: until then only http: to a "
             "simulator, or ATTIO_ENABLED=false");
    }
}

static void check_rates(struct ad_config *c)
{
    if (c->base_is_loopback) {
        return;
    }
    if (c->reads_per_s > ATTIO_READS_PER_S) {
        FAIL(c, reads_per_s,
             "Attio allows %d reads a second; more only for a loopback "
             "ATTIO_BASE_URL",
             ATTIO_READS_PER_S);
    }
    if (c->writes_per_s > ATTIO_WRITES_PER_S) {
        FAIL(c, writes_per_s,
             "Attio allows %d writes a second; more only for a loopback "
             "ATTIO_BASE_URL",
             ATTIO_WRITES_PER_S);
    }
}

static void check_listeners(struct ad_config *c)
{
    if (c->port >= 0 && ad_config_is_default(c, ad_config_key_of(listen))) {
        c->public_at = (struct ad_endpoint){ .host = "0.0.0.0", .port = (unsigned)c->port };
    } else if (ad_endpoint_parse(ad_str_c(c->listen), &c->public_at)) {
        FAIL(c, listen, "must be host:port");
    }
    if (ad_endpoint_parse(ad_str_c(c->internal_listen), &c->internal_at)) {
        FAIL(c, internal_listen, "must be host:port");
    } else if (!ad_endpoint_is_loopback(&c->internal_at)) {
        FAIL(c, internal_listen,
             "must be a loopback address: anything else needs ATTIOD_TOKENS, which comes with the "
             "next release");
    }
}

static void check_database(struct ad_config *c)
{
    struct ad_str url = ad_str_c(c->database_url);
    if (ad_str_starts(url, AD_STR("postgresql:")) || ad_str_starts(url, AD_STR("postgres:"))) {
        FAIL(c, database_url, "PostgreSQL is not in this release yet: use sqlite:");
    } else if (!ad_str_starts(url, AD_STR("sqlite:")) || url.n == strlen("sqlite:")) {
        FAIL(c, database_url, "must be sqlite:relative/path or sqlite:/absolute/path");
    } else if (ad_str_eq(url, AD_STR("sqlite::memory:"))) {
        FAIL(c, database_url, "a database in memory keeps no promise: give it a file");
    }
}

/* --- The rest ----------------------------------------------------------------------------- */

static const char *nearest_event(struct ad_str word)
{
    const char *names[64] = { NULL };
    for (size_t i = 0; i < ad_event_types_n && i + 1 < AD_LEN(names); i++) {
        names[i] = ad_event_types[i].name;
    }
    return ad_did_you_mean(word, names);
}

static void check_lists(struct ad_config *c)
{
    for (size_t i = 0; c->webhook_events && c->webhook_events[i]; i++) {
        struct ad_str type = ad_str_c(c->webhook_events[i]);
        if (!ad_event_type_find(type)) {
            const char *near = nearest_event(type);
            FAIL(c, webhook_events, "Attio has no event \"%.40s\"%s%s%s", type.p,
                 near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
        }
    }
    for (size_t i = 0; c->sync_objects && c->sync_objects[i]; i++) {
        if (!is_visible(ad_str_c(c->sync_objects[i]))) {
            FAIL(c, sync_objects, "\"%.40s\" is no slug", c->sync_objects[i]);
        }
    }
}

static void check_times(struct ad_config *c)
{
    if (c->attio_connect_ms > c->attio_timeout_ms) {
        FAIL(c, attio_connect_ms, "must not be longer than attio.timeoutMs");
    }
    if (c->attio_timeout_ms > c->attio_total_ms) {
        FAIL(c, attio_timeout_ms, "must not be longer than attio.totalMs");
    }
}

static void check_workspace(struct ad_config *c)
{
    if (c->workspace_id && !ad_str_is_uuid(ad_str_c(c->workspace_id))) {
        FAIL(c, workspace_id, "must be a workspace's id, a UUID");
    }
}

void ad_config_rules(struct ad_config *c, const struct ad_config_input *in)
{
    check_api_key(c, in);
    check_public_url(c);
    check_webhooks(c, in);
    check_base_url(c);
    check_rates(c);
    check_listeners(c);
    check_database(c);
    check_lists(c);
    check_times(c);
    check_workspace(c);
}
