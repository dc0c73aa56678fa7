#include "app/app_private.h"

#include "app/file.h"
#include "attio/migrate.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HOUR_MS INT64_C(3600000)

static void close_on(struct ad_app *a);

/* A stage, or a part of one, is closed. Never from inside the call that began it. */
static void on_post(struct ad_post *post)
{
    close_on(ad_container_of(post, struct ad_app, post));
}

void ad__app_part_closed(void *ctx)
{
    struct ad_app *a = ctx;
    if (--a->pending == 0) {
        ad_loop_post(a->loop, &a->post, on_post);
    }
}

/* --- Infra and attio ---------------------------------------------------------------------- */

static enum ad_err open_store(struct ad_app *a, struct ad_errinfo *info)
{
    const struct ad_store_opts opts = { .url = a->c->database_url,
                                        .metrics = a->metrics,
                                        .on_loop = a->simulated };
    enum ad_err err = ad_file_make_parent(ad_file_of_database(a->c->database_url), info);
    return err ? err : ad_store_open(a->loop, &opts, &a->store, info);
}

static bool close_store(struct ad_app *a)
{
    a->pending = 1;
    ad_store_close(a->store, ad__app_part_closed, a);
    return false;
}

static enum ad_err open_tables(struct ad_app *a, struct ad_errinfo *info)
{
    return ad_migrate(a->store, strcmp(a->c->migrate, "check") == 0, NULL, NULL, info);
}

static enum ad_err open_audit(struct ad_app *a, struct ad_errinfo *info)
{
    (void)info;
    const struct ad_audit_opts opts = {
        .store = a->store,
        .clock = a->clock,
        .keep_ms = a->c->audit_days * 24 * HOUR_MS,
    };
    return ad_audit_open(&opts, &a->audit);
}

static bool close_audit(struct ad_app *a)
{
    ad_audit_close(a->audit);
    return true;
}

static enum ad_err open_versions(struct ad_app *a, struct ad_errinfo *info)
{
    return ad_versions_open(a->store, &a->versions, info);
}

static bool close_versions(struct ad_app *a)
{
    ad_versions_close(a->versions);
    return true;
}

static enum ad_err open_secrets(struct ad_app *a, struct ad_errinfo *info)
{
    (void)info;
    enum ad_err err = ad_webhook_secrets_new(&a->secrets);
    for (size_t i = 0; !err && a->c->webhook_secrets && a->c->webhook_secrets[i]; i++) {
        err = ad_webhook_secrets_add(a->secrets, ad_str_c(a->c->webhook_secrets[i]));
    }
    if (err && a->secrets) {
        ad_webhook_secrets_free(a->secrets);
    }
    return err;
}

static bool close_secrets(struct ad_app *a)
{
    ad_webhook_secrets_free(a->secrets);
    return true;
}

static enum ad_err open_tls(struct ad_app *a, struct ad_errinfo *info)
{
    const struct ad_config *c = a->c;
    const struct ad_tls_client_opts client = { .trust_file = c->trust_file, .metrics = a->metrics };
    const struct ad_tls_server_opts server = {
        .cert_file = c->tls_cert,
        .key_file = c->tls_key,
        .handshake_ms = (unsigned)c->header_ms,
        .metrics = a->metrics,
    };
    enum ad_err err = AD_OK;
    if (c->base_is_tls && c->enabled) {
        err = ad_tls_client_open(a->loop, &client, &a->trust, info);
    }
    if (!err && c->tls_cert && !a->offline) {
        err = ad_tls_server_open(a->loop, &server, &a->tls, info);
    }
    if (err) {
        ad_tls_client_close(a->trust);
    }
    return err;
}

static bool close_tls(struct ad_app *a)
{
    ad_tls_client_close(a->trust);
    ad_tls_server_close(a->tls);
    return true;
}

static enum ad_err open_client(struct ad_app *a, struct ad_errinfo *info)
{
    const struct ad_config *c = a->c;
    const struct ad_client_opts opts = {
        .base_url = ad_str_c(c->base_url),
        .dialer = a->trust ? ad_tls_client_dialer(a->trust) : a->dialer,
        .allow_plain_http = strcmp(c->env, "production") != 0,
        /* Who never calls needs none. */
        .api_key = ad_str_c(c->api_key || c->enabled ? c->api_key : "none-was-given"),
        .clock = a->clock,
        .timers = a->timers,
        .metrics = a->metrics,
        .seed = a->seed,
        .enabled = c->enabled,
        .writes_enabled = c->writes_enabled,
        .concurrency = (unsigned)c->concurrency,
        .interval_cap = (unsigned)c->interval_cap,
        .interval_ms = (unsigned)c->interval_ms,
        .reads_per_s = (unsigned)c->reads_per_s,
        .writes_per_s = (unsigned)c->writes_per_s,
        .queue_max = (unsigned)c->attio_queue_max,
        .connect_ms = (unsigned)c->attio_connect_ms,
        .timeout_ms = (unsigned)c->attio_timeout_ms,
        .total_ms = (unsigned)c->attio_total_ms,
        .attempts_max = (unsigned)c->attio_attempts,
        .response_max = (size_t)c->attio_response_max,
    };
    return ad_client_open(a->loop, &opts, &a->client, info);
}

static bool close_client(struct ad_app *a)
{
    a->pending = 1;
    ad_client_close(a->client, ad__app_part_closed, a);
    return false;
}

static enum ad_err open_schema(struct ad_app *a, struct ad_errinfo *info)
{
    const struct ad_schema_opts opts = {
        .store = a->store,
        .client = a->client,
        .clock = a->clock,
        .timers = a->timers,
        .metrics = a->metrics,
        .ttl_ms = (unsigned)a->c->schema_ttl_ms,
    };
    return ad_schema_open(&opts, &a->schema, info);
}

static bool close_schema(struct ad_app *a)
{
    a->pending = 1;
    ad_schema_close(a->schema, ad__app_part_closed, a);
    return false;
}

static enum ad_err open_account(struct ad_app *a, struct ad_errinfo *info)
{
    const struct ad_account_opts opts = {
        .store = a->store,
        .client = a->client,
        .secrets = a->secrets,
        .expected_workspace_id = ad_str_c(a->c->workspace_id),
    };
    return ad_account_open(&opts, &a->account, info);
}

static bool close_account(struct ad_app *a)
{
    ad_account_close(a->account);
    return true;
}

static enum ad_err open_inbox(struct ad_app *a, struct ad_errinfo *info)
{
    const struct ad_inbox_opts opts = {
        .store = a->store,
        .clock = a->clock,
        .timers = a->timers,
        .metrics = a->metrics,
        .workspace_id = ad_account_workspace_id(a->account),
        .pending_max = a->c->max_pending,
        .body_ms = a->c->body_hours * HOUR_MS,
        .key_ms = a->c->key_days * 24 * HOUR_MS,
    };
    return ad_inbox_open(&opts, &a->inbox, info);
}

static bool close_inbox(struct ad_app *a)
{
    ad_inbox_close(a->inbox);
    return true;
}

static enum ad_err open_mirror(struct ad_app *a, struct ad_errinfo *info)
{
    const struct ad_mirror_opts opts = {
        .store = a->store,
        .schema = a->schema,
        .inbox = a->inbox,
        .clock = a->clock,
        .metrics = a->metrics,
        .late_ms = (unsigned)a->c->attio_total_ms,
    };
    return ad_mirror_open(&opts, &a->mirror, info);
}

static bool close_mirror(struct ad_app *a)
{
    ad_mirror_close(a->mirror);
    return true;
}

static enum ad_err open_merges(struct ad_app *a, struct ad_errinfo *info)
{
    (void)info;
    return ad_merges_open(a->store, a->clock, &a->merges);
}

static bool close_merges(struct ad_app *a)
{
    ad_merges_close(a->merges);
    return true;
}

static enum ad_err open_records(struct ad_app *a, struct ad_errinfo *info)
{
    (void)info;
    return ad_records_open(a->client, a->versions, &a->records);
}

static bool close_records(struct ad_app *a)
{
    ad_records_close(a->records);
    return true;
}

static enum ad_err open_sync_state(struct ad_app *a, struct ad_errinfo *info)
{
    (void)info;
    return ad_sync_state_open(a->store, &a->sync_state);
}

static bool close_sync_state(struct ad_app *a)
{
    ad_sync_state_close(a->sync_state);
    return true;
}

/* --- Service ------------------------------------------------------------------------------ */

static bool store_failing(void *ctx)
{
    const struct ad_app *a = ctx;
    return ad_store_failing(a->store);
}

static enum ad_err open_events(struct ad_app *a, struct ad_errinfo *info)
{
    (void)info;
    return ad_registry_new(&a->events);
}

static bool close_events(struct ad_app *a)
{
    ad_registry_free(a->events);
    return true;
}

static enum ad_err open_service(struct ad_app *a, struct ad_errinfo *info)
{
    const struct ad_config *c = a->c;
    const struct ad_service_opts opts = {
        .clock = a->clock,
        .timers = a->timers,
        .metrics = a->metrics,
        .registry = a->events,
        .client = a->client,
        .schema = a->schema,
        .records = a->records,
        .mirror = a->mirror,
        .merges = a->merges,
        .inbox = a->inbox,
        .account = a->account,
        .audit = a->audit,
        .secrets = a->secrets,
        .sync_state = a->sync_state,
        .versions = a->versions,
        .store = a->store,
        .offline = a->offline,
        .store_failing = store_failing,
        .store_ctx = a,
        .seed = a->seed ^ UINT64_C(0x5e21ce),
        .public_url = c->no_webhooks ? NULL : c->public_url,
        .webhook_events = c->webhook_events,
        .webhook_watch_ms = (unsigned)c->webhook_watch_ms,
        .webhook_gap_ms = c->webhook_gap_hours * HOUR_MS,
        .sync_objects = c->sync_objects,
        .sync_comments = c->sync_comments,
        .sync_on_start = c->sync_on_start,
        .sync_period_ms = (unsigned)c->sync_period_ms,
        .tombstone_days = (unsigned)c->tombstone_days,
        .window_max = (unsigned)c->window_max,
        .arena = &a->arena,
    };
    return ad_service_open(&opts, &a->service, info);
}

void ad__app_service_closed(void *ctx)
{
    struct ad_app *a = ctx;
    a->service = NULL;
    ad__app_part_closed(a);
}

static bool close_service(struct ad_app *a)
{
    if (!a->service) {
        return true; /* went together with the listeners */
    }
    a->pending = 1;
    ad_service_close(a->service, ad__app_service_closed, a);
    return false;
}

static enum ad_err open_handlers(struct ad_app *a, struct ad_errinfo *info)
{
    for (size_t i = 0; ad_user_handlers[i]; i++) {
        enum ad_err err = ad_service_handler(a->service, ad_user_handlers[i], info);
        if (err) {
            return err;
        }
    }
    return ad_registry_seal(a->events, info);
}

/* --- The order ---------------------------------------------------------------------------- */

struct stage {
    const char *name;
    enum ad_err (*open)(struct ad_app *a, struct ad_errinfo *info);
    bool (*close)(struct ad_app *a); /* false: ad__app_part_closed comes; NULL: nothing to close */
    enum ad_exit exit;               /* when it cannot be opened and nothing better is known */
};

static const struct stage stages[] = {
    { "metrics", ad__app_open_metrics, ad__app_close_metrics, AD_EXIT_FAILED },
    { "database", open_store, close_store, AD_EXIT_DATABASE },
    { "tables", open_tables, NULL, AD_EXIT_DATABASE },
    { "audit log", open_audit, close_audit, AD_EXIT_DATABASE },
    { "versions", open_versions, close_versions, AD_EXIT_DATABASE },
    { "secrets", open_secrets, close_secrets, AD_EXIT_CONFIG },
    { "TLS", open_tls, close_tls, AD_EXIT_FAILED },
    { "client", open_client, close_client, AD_EXIT_FAILED },
    { "schema", open_schema, close_schema, AD_EXIT_DATABASE },
    { "account", open_account, close_account, AD_EXIT_DATABASE },
    { "inbox", open_inbox, close_inbox, AD_EXIT_DATABASE },
    { "mirror", open_mirror, close_mirror, AD_EXIT_DATABASE },
    { "merges", open_merges, close_merges, AD_EXIT_FAILED },
    { "records", open_records, close_records, AD_EXIT_FAILED },
    { "sync state", open_sync_state, close_sync_state, AD_EXIT_DATABASE },
    { "event handlers", open_events, close_events, AD_EXIT_FAILED },
    { "service", open_service, close_service, AD_EXIT_FAILED },
    { "handlers", open_handlers, NULL, AD_EXIT_FAILED },
    { "api", ad__app_open_api, ad__app_close_api, AD_EXIT_FAILED },
    { "routes", ad__app_open_routes, ad__app_close_routes, AD_EXIT_FAILED },
    { "public server", ad__app_open_public, ad__app_close_public, AD_EXIT_FAILED },
    { "internal server", ad__app_open_internal, ad__app_close_internal, AD_EXIT_FAILED },
    { "listeners", ad__app_open_listeners, NULL, AD_EXIT_FAILED },
    { "work", ad__app_open_work, NULL, AD_EXIT_FAILED },
};

const char *ad_app_stage(const struct ad_app *a)
{
    return a->opened < AD_LEN(stages) ? stages[a->opened].name : "";
}

static void finish(struct ad_app *a)
{
    void (*done)(void *ctx) = a->done;
    void *ctx = a->done_ctx;
    ad_arena_fini(&a->arena);
    ad_free(a);
    done(ctx);
}

/* Closes stage after stage until one needs time. */
static void close_on(struct ad_app *a)
{
    while (a->opened > 0) {
        const struct stage *stage = &stages[--a->opened];
        if (stage->close && !stage->close(a)) {
            return;
        }
    }
    finish(a);
}

void ad_app_close(struct ad_app *a, void (*done)(void *ctx), void *ctx)
{
    a->done = done;
    a->done_ctx = ctx;
    ad_loop_post(a->loop, &a->post, on_post);
}

static void on_undone(void *ctx)
{
    *(bool *)ctx = true;
}

static void undo(struct ad_app *a)
{
    bool undone = false;
    struct ad_loop *loop = a->loop;
    ad_app_close(a, on_undone, &undone);
    while (!undone) {
        ad_loop_turn(loop, 1000);
    }
}

enum ad_err ad_app_open(const struct ad_app_opts *opts, struct ad_app **out,
                        struct ad_app_failure *failure)
{
    *failure = (struct ad_app_failure){ .stage = "start", .exit = AD_EXIT_FAILED };
    struct ad_app *a = ad_zalloc(sizeof(*a));
    if (!a) {
        return ad_fail(&failure->info, AD_ERR_NOMEM, "no memory");
    }
    a->loop = opts->loop;
    a->c = opts->config;
    a->seed = opts->seed;
    a->log = opts->log;
    a->offline = opts->offline;
    a->attio = opts->attio;
    a->simulated = opts->simulated;
    a->dialer = opts->dialer;
    a->clock = ad_loop_clock(a->loop);
    a->timers = ad_loop_timers(a->loop);
    ad_arena_init(&a->arena, (size_t)64 << 20);
    for (; a->opened < AD_LEN(stages); a->opened++) {
        const struct stage *stage = &stages[a->opened];
        enum ad_err err = stage->open(a, &failure->info);
        if (err) {
            failure->stage = stage->name;
            failure->exit = err == AD_ERR_CONFIG ? AD_EXIT_CONFIG : stage->exit;
            if (!failure->info.msg[0]) {
                err = ad_fail(&failure->info, err, "%s", ad_err_text(err));
            }
            undo(a);
            return err;
        }
    }
    *out = a;
    return AD_OK;
}

const struct ad_registry *ad_app_routes(const struct ad_app *a)
{
    return a->internal_routes;
}

bool ad_app_is_up(const struct ad_app *a, enum ad_err *err, const char **detail)
{
    return ad_service_is_up(a->service, err, detail);
}

/* --- Winding down ------------------------------------------------------------------------- */

void ad_app_unready(struct ad_app *a)
{
    ad_service_drain(a->service);
}

static void on_drained(void *ctx)
{
    struct ad_app *a = ctx;
    if (--a->pending == 0) {
        a->drained(a->drained_ctx);
    }
}

void ad_app_drain(struct ad_app *a, unsigned deadline_ms, void (*done)(void *ctx), void *ctx)
{
    a->drained = done;
    a->drained_ctx = ctx;
    a->pending = 2;
    ad_http_server_drain(a->public_server, deadline_ms, on_drained, a);
    ad_http_server_drain(a->internal_server, deadline_ms, on_drained, a);
}

const char *ad_app_public_address(const struct ad_app *a)
{
    return a->public_address;
}

const char *ad_app_internal_address(const struct ad_app *a)
{
    return a->internal_address;
}
