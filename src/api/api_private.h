/* Inside the api: the routes by file, and how they answer. */
#ifndef AD_API_PRIVATE_H
#define AD_API_PRIVATE_H

#include "api/api.h"
#include "base/json.h"

#define AD__API_ROUTES_MAX 64
/* The largest JSON body a route of ours reads. */
#define AD__API_BODY_MAX ((size_t)64 << 10)
/* The largest answer gathered for a reply. */
#define AD__API_ANSWER_MAX ((size_t)3 << 20)

struct ad_api_auth_metrics {
    struct ad_counter *no_token, *bad_token, *role, *host, *origin;
};

/* A route as it was registered: the registry does not copy, and an action stands behind
 * ad__api_audited. */
struct ad__api_route {
    struct ad_api *api;
    struct ad_route route;
    ad_route_cb handler;
    const char *action; /* what the audit log calls it; NULL: it only looks */
};

struct ad_api {
    struct ad_api_opts o;
    struct ad_api_auth_metrics refused;
    uint64_t complained_ms; /* when a refusal was last logged, and how many were not since */
    uint64_t unsaid;
    struct ad__api_route routes[AD__API_ROUTES_MAX];
    size_t routes_n;
};

/* --- Routes: ctx is the api. --- */
void ad__api_webhook(void *ctx, struct ad_exchange *x);
void ad__api_healthz(void *ctx, struct ad_exchange *x);
void ad__api_readyz(void *ctx, struct ad_exchange *x);
void ad__api_health(void *ctx, struct ad_exchange *x);
void ad__api_metrics(void *ctx, struct ad_exchange *x);
void ad__api_status(void *ctx, struct ad_exchange *x);
void ad__api_events_list(void *ctx, struct ad_exchange *x);
void ad__api_events_show(void *ctx, struct ad_exchange *x);
void ad__api_events_replay(void *ctx, struct ad_exchange *x); /* one, by id */
void ad__api_events_discard(void *ctx, struct ad_exchange *x);
void ad__api_events_replay_all(void *ctx, struct ad_exchange *x); /* by filter */
void ad__api_events_discard_all(void *ctx, struct ad_exchange *x);
void ad__api_schema(void *ctx, struct ad_exchange *x);
void ad__api_changes(void *ctx, struct ad_exchange *x);
void ad__api_sync_list(void *ctx, struct ad_exchange *x);
void ad__api_sync_start(void *ctx, struct ad_exchange *x);
void ad__api_sync_all(void *ctx, struct ad_exchange *x);
void ad__api_backup(void *ctx, struct ad_exchange *x);
void ad__api_backup_status(void *ctx, struct ad_exchange *x);
void ad__api_audit_list(void *ctx, struct ad_exchange *x);
void ad__api_erase(void *ctx, struct ad_exchange *x);
void ad__api_restored(void *ctx, struct ad_exchange *x);
void ad__api_webhooks_list(void *ctx, struct ad_exchange *x);
void ad__api_webhooks_ensure(void *ctx, struct ad_exchange *x);
void ad__api_webhooks_rotate(void *ctx, struct ad_exchange *x);
void ad__api_webhooks_delete(void *ctx, struct ad_exchange *x);

/* --- audit.c --- */

/* The handler of every action (ctx is its struct ad__api_route): the real one runs once the audit
 * log has it. */
void ad__api_audited(void *ctx, struct ad_exchange *x);
/* What the action is about, where that is not the path's first parameter: "state=dead dry_run".
 * Only of ids, slugs and words of ours; before the reply. */
void ad__api_audit_target(struct ad_exchange *x, const char *fmt, ...) AD_PRINTF(2, 3);

/* --- auth.c --- */

/* Who is asking, and may they? Fills x->actor and x->role; false after having answered 401 or
 * 403. */
bool ad__api_authorize(struct ad_api *a, const struct ad_route *route, struct ad_exchange *x);
/* Counts a refusal and says so in the log, at most once a second. `counter` is one of
 * a->refused. */
void ad__api_note_refusal(struct ad_api *a, struct ad_counter *counter, const char *why,
                          const struct ad_exchange *x);
void ad__api_auth_metrics(struct ad_api *a);

/* --- respond.c: every function here answers the exchange, once. --- */

/* A status and nothing else; 503 and 429 with Retry-After. */
void ad__api_bare(struct ad_exchange *x, unsigned status);
/* Text that lives for ever. */
void ad__api_text(struct ad_exchange *x, unsigned status, const char *text);
/* problem+json; `detail` may be NULL: then the error's own text. */
void ad__api_problem(struct ad_exchange *x, enum ad_err err, const char *detail);
void ad__api_problem_as(struct ad_exchange *x, unsigned status, enum ad_err err,
                        const char *detail);
/* The same with one header more. */
void ad__api_problem_with(struct ad_exchange *x, unsigned status, enum ad_err err,
                          const char *detail, const struct ad_http_header *header);
/* {"data": json}, json being JSON text; with next_cursor >= 0 also the pagination (0: null). */
#define AD__API_NO_CURSOR INT64_C(-1)
void ad__api_data(struct ad_exchange *x, unsigned status, struct ad_str json, int64_t next_cursor);
/* What a question to the service came to: its JSON as data, or its error. Frees q->out. */
struct ad_service_query;
void ad__api_answer(struct ad_exchange *x, const struct ad_service_query *q, unsigned status,
                    int64_t next_cursor);
/* Moves the content of `b` to the exchange and frees it. */
void ad__api_buf(struct ad_exchange *x, unsigned status, const char *type, struct ad_buf *b);

/* --- request.c: what was asked. They answer only where that is said. --- */

/* The media type, whatever its parameters, is application/json. */
bool ad__api_is_json(const struct ad_exchange *x);
/* INVALID naming the first query parameter that is not in `known` (NULL-ended). */
AD_MUST_CHECK enum ad_err ad__api_only_params(struct ad_exchange *x, const char *const *known,
                                              struct ad_errinfo *info);
/* The body as an object with no other keys than `known`; no body is an empty object. */
AD_MUST_CHECK enum ad_err ad__api_body(struct ad_exchange *x, const char *const *known,
                                       const struct ad_json **out, struct ad_errinfo *info);
/* A number in [min, max] from a parameter; absent: *out stays. */
AD_MUST_CHECK enum ad_err ad__api_number(struct ad_exchange *x, const char *name, int64_t min,
                                         int64_t max, int64_t *out, struct ad_errinfo *info);

#endif
