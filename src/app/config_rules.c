#include "app/config.h"

#include "app/proxies.h"
#include "attio/base_url.h"
#include "attio/event.h"
#include "base/clock.h"
#include "base/json_bind.h"
#include "infra/tls.h"

#include <string.h>

/* What Attio allows a workspace (its guide to rate limits). */
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
    c->base_is_tls = u.tls;
}

/* --- TLS ---------------------------------------------------------------------------------- */

/* Files are looked at where they will be used: commands may run where nobody may read the key. */
static void check_certificate(struct ad_config *c)
{
    struct ad_errinfo info;
    struct ad_tls_check check;
    if (!c->tls_cert && !c->tls_key) {
        return;
    }
    if (!c->tls_cert || !c->tls_key) {
        ad_config_fail(c, c->tls_cert ? ad_config_key_of(tls_key) : ad_config_key_of(tls_cert),
                       "is required too: a certificate and its key belong together");
        return;
    }
    if (ad_tls_check_files(c->tls_cert, c->tls_key, &check, &info)) {
        FAIL(c, tls_cert, "%s", info.msg);
        return;
    }
    if (check.key_open) {
        ad_config_warn(c, "ATTIOD_TLS_KEY", "%s is open to every user of this machine: chmod o= it",
                       c->tls_key);
    }
    if (check.expired) {
        char until[AD_TIME_MAX];
        (void)ad_time_format(check.until_s * AD_NS_PER_S, 0, until);
        ad_config_warn(c, "ATTIOD_TLS_CERT", "expired on %s: clients will refuse it", until);
    }
}

static void check_trust(struct ad_config *c)
{
    struct ad_errinfo info;
    if (!c->base_is_tls || !c->enabled) {
        return;
    }
    if (c->trust_file && ad_tls_check_trust(c->trust_file, &info)) {
        FAIL(c, trust_file, "%s", info.msg);
    } else if (!c->trust_file && ad_tls_check_trust(AD_TLS_TRUST_FILE, &info)) {
        FAIL(c, trust_file, "%s; install the package ca-certificates, or name a file", info.msg);
    }
    if (c->https_proxy && !c->base_is_loopback) {
        FAIL(c, https_proxy,
             "attiod cannot go through a proxy yet: unset it where api.attio.com can be reached "
             "directly");
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

/* --- Who may use the internal listener ---------------------------------------------------- */

static bool is_name(struct ad_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char ch = s.p[i];
        if (!((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') ||
              ch == '.' || ch == '_' || ch == '-')) {
            return false;
        }
    }
    return s.n > 0 && s.n <= 64;
}

/* What is wrong with "name:role:token", NULL for nothing. No word of it is shown: whoever swapped
 * the parts would find the token in the log. */
static const char *token_fault(struct ad_str name, struct ad_str role, struct ad_str token)
{
    enum ad_role known;
    if (!is_name(name)) {
        return "has no name of 1 to 64 letters, digits, '.', '_' or '-'";
    }
    if (!ad_role_parse(role, &known)) {
        return "has no role: metrics, read, write or operate";
    }
    if (token.n < AD_CONFIG_TOKEN_MIN || token.n > 512) {
        return "has a token that is not of 16 to 512 characters";
    }
    return is_visible(token) ? NULL : "has a token with a blank or a control character";
}

static bool is_taken(const struct ad_config_token *list, struct ad_str name, struct ad_str token)
{
    for (; list->name; list++) {
        if (ad_str_eq(ad_str_c(list->name), name) || ad_str_eq(ad_str_c(list->token), token)) {
            return true;
        }
    }
    return false;
}

static void add_token(struct ad_config *c, struct ad_config_token *list, unsigned n,
                      struct ad_str rest)
{
    struct ad_str name = ad_str_trim(ad_str_cut(&rest, ':'));
    struct ad_str role = ad_str_trim(ad_str_cut(&rest, ':'));
    const char *fault = token_fault(name, role, rest);
    if (!fault && is_taken(list, name, rest)) {
        fault = "has the name or the token of one before it";
    }
    if (fault) {
        FAIL(c, tokens, "entry %u %s", n, fault);
        return;
    }
    while (list->name) {
        list++;
    }
    AD_IGNORE(!ad_role_parse(role, &list->role), "token_fault has seen it");
    list->token = ad_arena_str(&c->arena, rest).p;
    list->name = list->token ? ad_arena_str(&c->arena, name).p : NULL;
    if (!list->name) {
        FAIL(c, tokens, "no memory");
    }
}

/* Commas or lines: a file with one a line reads better. */
static void check_tokens(struct ad_config *c)
{
    struct ad_str rest = ad_str_c(c->tokens);
    struct ad_config_token *list = ad_arena_zalloc(&c->arena, (rest.n / 2 + 2) * sizeof(*list));
    unsigned n = 0;
    if (!c->tokens) {
        return;
    }
    if (!list) {
        FAIL(c, tokens, "no memory");
        return;
    }
    while (rest.p) {
        struct ad_str line = ad_str_cut(&rest, '\n');
        while (line.p) {
            struct ad_str entry = ad_str_cut(&line, ',');
            while (entry.n && (entry.p[entry.n - 1] == '\r' || entry.p[entry.n - 1] == ' ')) {
                entry.n--;
            }
            if (entry.n) {
                add_token(c, list, ++n, entry);
            }
        }
    }
    if (n == 0) {
        FAIL(c, tokens, "names nobody: unset it, or give name:role:token");
    }
    c->access = list;
}

static void check_proxies(struct ad_config *c)
{
    struct ad_net net;
    for (size_t i = 0; c->trusted_proxies && c->trusted_proxies[i]; i++) {
        if (ad_net_parse(ad_str_c(c->trusted_proxies[i]), &net)) {
            FAIL(c, trusted_proxies, "\"%.60s\" is no address or network such as 10.0.0.0/8",
                 c->trusted_proxies[i]);
        }
    }
}

static void check_hosts(struct ad_config *c)
{
    for (size_t i = 0; c->allowed_hosts && c->allowed_hosts[i]; i++) {
        struct ad_str host = ad_str_c(c->allowed_hosts[i]);
        if (!is_visible(host) || ad_str_find(host, '/') < host.n ||
            ad_str_find(host, '*') < host.n) {
            FAIL(c, allowed_hosts, "\"%.60s\" is no host name: without scheme, port and wildcard",
                 host.p);
        }
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
    } else if (!c->tokens && !ad_endpoint_is_loopback(&c->internal_at)) {
        FAIL(c, internal_listen,
             "must be a loopback address while ATTIOD_TOKENS is unset: whoever reached it could do "
             "everything");
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
    if (in->serve) {
        check_certificate(c);
        check_trust(c);
    }
    check_rates(c);
    check_tokens(c);
    check_proxies(c);
    check_hosts(c);
    check_listeners(c);
    check_database(c);
    check_lists(c);
    check_times(c);
    check_workspace(c);
}
