#include "api_private.h"

#include "base/mem.h"

#define ROW(method_, role_, pattern_, handler_, body_max_, action_) \
    {                                                               \
        .route = { .methods = AD_HTTP_##method_,                    \
                   .role = AD_ROLE_##role_,                         \
                   .pattern = (pattern_),                           \
                   .body_max = (body_max_) },                       \
        .handler = (handler_), .action = (action_)                  \
    }
/* Only looks. */
#define ROUTE(method, role, pattern, handler) ROW(method, role, pattern, handler, 0, NULL)
/* An operator's action: in the audit log by that name before it is done. */
#define ACTION(method, pattern, handler, body_max, name) \
    ROW(method, OPERATE, pattern, handler, body_max, name)
#define JSON AD__API_BODY_MAX

static const struct ad__api_route probes[] = {
    ROUTE(GET, NONE, "/healthz", ad__api_healthz),
    ROUTE(GET, NONE, "/readyz", ad__api_readyz),
};

static const struct ad__api_route receiver[] = {
    ROUTE(POST, NONE, "/webhooks/attio", ad__api_webhook),
    ROUTE(POST, NONE, "/webhooks/attio/{slot}", ad__api_webhook),
};

static const struct ad__api_route internal[] = {
    ROUTE(GET, NONE, "/health", ad__api_health), /* its details are for METRICS */
    ROUTE(GET, METRICS, "/metrics", ad__api_metrics),
    ROUTE(GET, READ, "/api/v1/status", ad__api_status),
    ROUTE(GET, READ, "/api/v1/events", ad__api_events_list),
    ROUTE(GET, READ, "/api/v1/events/{id}", ad__api_events_show),
    ACTION(POST, "/api/v1/events/replay", ad__api_events_replay_all, JSON, "events.replay"),
    ACTION(POST, "/api/v1/events/discard", ad__api_events_discard_all, JSON, "events.discard"),
    ACTION(POST, "/api/v1/events/{id}/replay", ad__api_events_replay, JSON, "events.replay"),
    ACTION(POST, "/api/v1/events/{id}/discard", ad__api_events_discard, JSON, "events.discard"),
    ROUTE(GET, READ, "/api/v1/changes", ad__api_changes),
    ROUTE(GET, READ, "/api/v1/schema", ad__api_schema),
    ROUTE(GET, READ, "/api/v1/sync", ad__api_sync_list),
    ACTION(POST, "/api/v1/sync", ad__api_sync_all, JSON, "sync.start"),
    ACTION(POST, "/api/v1/sync/{object}", ad__api_sync_start, JSON, "sync.start"),
    ROUTE(GET, READ, "/api/v1/backup", ad__api_backup_status),
    ACTION(POST, "/api/v1/backup", ad__api_backup, JSON, "backup"),
    ACTION(POST, "/api/v1/erase", ad__api_erase, JSON, "erase"),
    ACTION(POST, "/api/v1/restored", ad__api_restored, JSON, "restored"),
    ROUTE(GET, OPERATE, "/api/v1/audit", ad__api_audit_list),
    ROUTE(GET, READ, "/api/v1/webhooks", ad__api_webhooks_list),
    ACTION(POST, "/api/v1/webhooks", ad__api_webhooks_ensure, JSON, "webhooks.ensure"),
    ACTION(POST, "/api/v1/webhooks/rotate", ad__api_webhooks_rotate, JSON, "webhooks.rotate"),
    ACTION(DELETE, "/api/v1/webhooks/{id}", ad__api_webhooks_delete, 0, "webhooks.delete"),
};

_Static_assert(AD_LEN(probes) * 2 + AD_LEN(receiver) + AD_LEN(internal) <= AD__API_ROUTES_MAX,
               "room for every route of both listeners");

enum ad_err ad_api_new(const struct ad_api_opts *opts, struct ad_api **out)
{
    struct ad_api *a = ad_zalloc(sizeof(*a));
    if (!a) {
        return AD_ERR_NOMEM;
    }
    a->o = *opts;
    ad__api_auth_metrics(a);
    *out = a;
    return AD_OK;
}

void ad_api_free(struct ad_api *a)
{
    ad_free(a);
}

static enum ad_err add(struct ad_api *a, struct ad_registry *r, const struct ad__api_route *table,
                       size_t n, struct ad_errinfo *info)
{
    for (size_t i = 0; i < n; i++) {
        struct ad__api_route *row = &a->routes[a->routes_n];
        *row = table[i];
        row->api = a;
        row->route.handler = row->action ? ad__api_audited : row->handler;
        row->route.ctx = row->action ? (void *)row : (void *)a;
        if (table == receiver) {
            row->route.body_max = a->o.webhook_body_max;
        }
        enum ad_err err = ad_registry_route(r, &row->route, info);
        if (err) {
            return err;
        }
        a->routes_n++;
    }
    return AD_OK;
}

enum ad_err ad_api_public_routes(struct ad_api *a, struct ad_registry *r, struct ad_errinfo *info)
{
    enum ad_err err = add(a, r, probes, AD_LEN(probes), info);
    if (!err && a->o.webhooks) {
        err = add(a, r, receiver, AD_LEN(receiver), info);
    }
    return err;
}

enum ad_err ad_api_internal_routes(struct ad_api *a, struct ad_registry *r, struct ad_errinfo *info)
{
    enum ad_err err = add(a, r, probes, AD_LEN(probes), info);
    return err ? err : add(a, r, internal, AD_LEN(internal), info);
}
