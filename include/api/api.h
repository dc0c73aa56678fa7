/* Every HTTP route of attiod, registered by two functions.
 *
 * A handler checks shape and size, calls one service function, writes the reply. The public
 * listener says as little as it can: a status, and a body only where somebody reads it. The
 * internal one answers {"data": ...}, lists with {"pagination": {"next_cursor": ...}}, and
 * errors as application/problem+json with `code` (base/err.h in lower case) and `detail`.
 *
 * Everything that does something (POST, DELETE) is in the audit log before it is done, or it is
 * not done (service/audit.h).
 *
 * public    POST /webhooks/attio[/{slot}]      200 {"accepted":n,"duplicate":n} once durable
 *           GET  /healthz, /readyz             also on the internal listener
 * internal  GET  /health, /metrics, /api/v1/status
 *           GET  /api/v1/events                ?state= type= subject= since= limit= cursor=
 *           GET  /api/v1/events/{id}
 *           POST /api/v1/events/{id}/replay    {"dry_run"?}, and .../discard: {"events":n}
 *           POST /api/v1/events/replay         {"state"? "type"? "subject"? "since"? "dry_run"?}, and
 *                                              .../discard: at least one filter; dry_run is false
 *                                              unless said, as on the command line
 *           GET  /api/v1/changes               ?object= limit= cursor=
 *           GET  /api/v1/schema                views, columns, what is still to be done
 *           GET  /api/v1/sync                  runs with progress
 *           POST /api/v1/sync/{object}         {"dry_run"?}: 202 {"run_id":n}
 *           POST /api/v1/sync                  {"all":true, "dry_run"?}: 202 {"runs":n}
 *           POST /api/v1/backup                {"file":"/absolute"}: 202, begun; GET: how it goes
 *           GET  /api/v1/audit                 ?actor= action= limit= cursor=
 *           GET  /api/v1/webhooks              ours and others
 *           POST /api/v1/webhooks              {"replace"?}: ensures the one that is ours
 *           POST /api/v1/webhooks/rotate       {"replace"?}: another one takes its place
 *           POST /api/v1/erase                 {"object","record_id","force"?}
 *           POST /api/v1/restored              after a restore: everything is synced
 *           DELETE /api/v1/webhooks/{id} */
#ifndef AD_API_API_H
#define AD_API_API_H

#include "base/clock.h"
#include "base/metric.h"
#include "base/registry.h"

struct ad_service;

struct ad_api; /* opaque: what routes need */

struct ad_api_who {
    const char *name;
    enum ad_role role;
};

/* What the internal listener answers to; may be changed while running (ad_api_set_admission). */
struct ad_api_admission {
    /* Whose bearer token is that? Absent: none was sent. False: nobody's. True: *who, whose name
     * lives until the next call. */
    bool (*identify)(void *ctx, struct ad_str token, struct ad_api_who *who);
    void *ctx;
    const char *const *hosts; /* NULL-ended: more names allowed in Host; NULL: none. Not copied */
};

struct ad_api_opts {
    struct ad_service *service;
    struct ad_metrics *metrics;
    const struct ad_clock *clock; /* may be NULL: then every refusal is logged */
    size_t webhook_body_max;      /* 1 MiB */
    bool webhooks;                /* false: there is no receiver (404) */
    /* Where the internal listener is bound: that name is allowed in Host; when it is every address
     * of the machine, all addresses in digits are. */
    const char *internal_host;
    struct ad_api_admission admission;
    /* Who is behind a connection, for the log: the peer, or whom a trusted proxy names. NULL: the
     * peer. */
    struct ad_str (*client)(void *ctx, const struct ad_exchange *x);
    void *client_ctx;
    const char *version;
    /* Called before /metrics is written, so that gauges of the process can be set. May be NULL. */
    void (*refresh)(void *ctx);
    void *refresh_ctx;
};
AD_MUST_CHECK enum ad_err ad_api_new(const struct ad_api_opts *opts, struct ad_api **out);
/* No route may be running any more. */
void ad_api_free(struct ad_api *a);

/* POST /webhooks/attio[/{slot}], GET /healthz, GET /readyz. */
AD_MUST_CHECK enum ad_err ad_api_public_routes(struct ad_api *a, struct ad_registry *r,
                                               struct ad_errinfo *info);
/* GET /health, /metrics, /api/v1/...; and /healthz, /readyz as well. */
AD_MUST_CHECK enum ad_err ad_api_internal_routes(struct ad_api *a, struct ad_registry *r,
                                                 struct ad_errinfo *info);

/* For the internal listener's `admit` (ctx is the api): false after having answered.
 *
 * First the rules against browsers, because one on the same machine is not a friend: Host must be
 * a loopback name, the listener's own or an allowed one (403: DNS rebinding), an Origin must be
 * that same host (403). Then who asks: a route with a role needs a token that has it, 401 with
 * WWW-Authenticate without one, 403 naming the role with a lesser one; whose it is stands in
 * x->actor. Then POST, PUT and PATCH must say application/json (415), which no form can. */
bool ad_api_admit(void *ctx, const struct ad_route *route, struct ad_exchange *x);
/* For the internal listener's `explain`: 404, 405, 413 and the like as problem+json too. */
void ad_api_explain(void *ctx, struct ad_exchange *x, struct ad_reply *reply);
/* Takes effect with the next request. */
void ad_api_set_admission(struct ad_api *a, const struct ad_api_admission *admission);

#endif
