/* Configuration: every value with its name, where it came from, and all that is wrong at once.
 *
 * One table (config_keys.c) says what there is: the name in files, the variable, the flag, the
 * type, the default, the range. Everything else here goes by that table, and so do
 * config/README.md and .env.example (tests/lint/config_docs.sh).
 *
 *   built in  <  attio.<env>.json  <  --config FILE  <  environment (NAME or NAME_FILE)  <  flags
 *
 * Loading never stops at the first mistake: it collects them, each with file, line and key. */
#ifndef AD_APP_CONFIG_H
#define AD_APP_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/http.h"
#include "base/list.h"
#include "base/log.h"
#include "base/str.h"
#include "infra/net.h"

#define AD_CONFIG_KEYS_MAX 80

enum ad_config_type {
    AD_CONFIG_INT,    /* int64_t */
    AD_CONFIG_BOOL,   /* bool; "true", "false", "1", "0" in a variable */
    AD_CONFIG_STRING, /* const char *, NULL while unset */
    AD_CONFIG_CHOICE, /* const char *, one of the blank-separated words in `choices` */
    AD_CONFIG_LIST,   /* const char *const *, NULL-ended, NULL while empty; "a,b" in a variable */
};

struct ad_config_key {
    const char *file; /* "rateLimit.concurrency"; NULL: not allowed in files */
    const char *env;  /* variable; NULL: none */
    const char *flag; /* "--listen"; NULL: none */
    const char *def;  /* as in a variable; NULL: unset */
    const char *choices;
    const char *doc;
    size_t at;        /* offset in struct ad_config */
    int64_t min, max; /* of an INT; of the length of a STRING when max > 0 */
    enum ad_config_type type;
    bool reload; /* SIGHUP takes it over; the rest needs a restart */
    bool secret; /* never shown */
    bool url;    /* shown without its password */
};
extern const struct ad_config_key ad_config_keys[];
extern const size_t ad_config_keys_n;

/* Variables that this release knows by name and does not serve yet. */
struct ad_config_later {
    const char *env;
    bool fatal; /* ignoring it would be unsafe: an error; else a warning */
    const char *doc;
};
extern const struct ad_config_later ad_config_later[];
extern const size_t ad_config_later_n;

/* One of ATTIOD_TOKENS. */
struct ad_config_token {
    const char *name;
    const char *token;
    enum ad_role role;
};
#define AD_CONFIG_TOKEN_MIN 16 /* characters: shorter ones can be guessed */

/* Where a value stands. */
struct ad_config_origin {
    const char *what; /* "built in", "environment", "flag", or a file's path */
    unsigned line;    /* in a file; else 0 */
};

struct ad_config_error {
    struct ad_list link;
    struct ad_config_origin at;
    const char *key;
    const char *message; /* holds no secret */
};

struct ad_config {
    /* environment and files */
    const char *env; /* "development", "staging", "production" */
    const char *config_dir;

    /* credentials and places: variables */
    const char *api_key;
    const char *webhook_secret; /* as given; webhook_secrets is it taken apart */
    const char *public_url;     /* without a '/' at its end */
    const char *base_url;
    const char *workspace_id;
    bool enabled, writes_enabled;
    const char *database_url, *redis_url;
    const char *listen, *internal_listen;
    const char *tls_cert, *tls_key; /* files; both or neither */
    const char *trust_file, *https_proxy;
    int64_t port; /* -1: unset */
    const char *migrate;
    const char *tokens; /* as given; access is it taken apart */
    const char *const *trusted_proxies;
    const char *const *allowed_hosts;
    const char *client_url, *client_token; /* of the commands that talk to a running server */
    bool no_webhooks;

    /* files */
    int64_t body_max, target_max, headers_max, headers_count_max;
    int64_t header_ms, body_ms, keep_alive_ms, write_ms, connections_max;
    int64_t drain_delay_ms, drain_ms;
    int64_t attio_connect_ms, attio_timeout_ms, attio_total_ms, attio_attempts;
    int64_t attio_response_max, attio_queue_max;
    int64_t concurrency, interval_cap, interval_ms, reads_per_s, writes_per_s;
    int64_t schema_ttl_ms, record_ttl_ms;
    int64_t max_pending, body_hours, key_days, audit_days;
    const char *const *sync_objects;
    bool sync_comments, sync_on_start;
    int64_t sync_period_ms;
    int64_t tombstone_days;
    const char *const *webhook_events;
    int64_t webhook_watch_ms, webhook_gap_hours;
    int64_t window_max;
    const char *log_level, *log_format;

    /* derived by the rules (config_rules.c) */
    const char *const *webhook_secrets;   /* newest first; NULL: none */
    const struct ad_config_token *access; /* ended by a NULL name; NULL: none */
    struct ad_endpoint public_at, internal_at;
    bool base_is_loopback, base_is_tls;

    struct ad_config_origin origin[AD_CONFIG_KEYS_MAX]; /* by place in ad_config_keys */
    struct ad_list errors, warnings;                    /* struct ad_config_error */
    unsigned errors_n;
    struct ad_arena arena; /* all strings */
};

struct ad_config_flag {
    const char *flag; /* "--listen" */
    const char *value;
};

struct ad_config_input {
    char *const *environ; /* "NAME=value", NULL-ended */
    const char *file;     /* --config; NULL: none */
    const struct ad_config_flag *flags;
    size_t flags_n;
    /* Where files are looked for when ATTIOD_CONFIG_DIR does not say; NULL: not there. */
    const char *etc_dir, *source_dir;
    bool serve; /* what `serve` needs must be there too */
};

/* OK: usable. CONFIG: see c->errors. NOMEM. In any case warnings may be there, and ad_config_fini
 * is owed. Strings live until then. */
AD_MUST_CHECK enum ad_err ad_config_load(struct ad_config *c, const struct ad_config_input *in);
/* Wipes secrets and frees. */
void ad_config_fini(struct ad_config *c);

/* Adds an error about a key (its name in the table as in files, else the variable). */
void ad_config_fail(struct ad_config *c, const struct ad_config_key *key, const char *fmt, ...)
    AD_PRINTF(3, 4);
void ad_config_warn(struct ad_config *c, const char *key, const char *fmt, ...) AD_PRINTF(3, 4);
/* Something is already wrong with that key. */
bool ad_config_has_error(const struct ad_config *c, const char *name);
/* The table's row for a member of struct ad_config. */
#define ad_config_key_of(member) ad_config_key_at(offsetof(struct ad_config, member))
const struct ad_config_key *ad_config_key_at(size_t offset);
/* What a key is called: its variable, else its name in files, else its flag. */
const char *ad_config_name(const struct ad_config_key *key);
bool ad_config_is_default(const struct ad_config *c, const struct ad_config_key *key);
/* The value as text for people, secrets masked, NULL when unset; on the arena. */
const char *ad_config_show(struct ad_config *c, const struct ad_config_key *key);

/* Whether a key's value differs between two configurations. */
bool ad_config_differs(const struct ad_config *a, const struct ad_config *b,
                       const struct ad_config_key *key);
enum ad_log_level ad_config_log_level(const struct ad_config *c);

/* config_rules.c: what holds between keys, and what values must look like. */
void ad_config_rules(struct ad_config *c, const struct ad_config_input *in);

#endif
