/* Actions of operators: each is in the audit log before it is done (ad__api_audited stands in front
 * of the route's handler) and gets its outcome from the reply, which passes through here; and the
 * log itself, to be read. */
#include "api_private.h"

#include "service/audit.h"

#include <stdarg.h>
#include <stdio.h>

struct action {
    struct ad_audited e;
    struct ad_exchange *x;
    const struct ad__api_route *route;
    const struct ad_exchange_ops *ops; /* whose reply it is */
    struct ad_exchange_ops mine;
    char target[192]; /* as the handler said; "" while it has not */
};

/* --- The outcome -------------------------------------------------------------------------- */

static const char *outcome_of(unsigned status)
{
    static const struct {
        unsigned status;
        const char *outcome;
    } rows[] = {
        { 400, "invalid" },  { 401, "unauthorized" }, { 403, "forbidden" },   { 404, "not found" },
        { 409, "conflict" }, { 422, "rejected" },     { 503, "unavailable" },
    };
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        if (rows[i].status == status) {
            return rows[i].outcome;
        }
    }
    return status < 300 ? "ok" : "failed";
}

static void on_reply(struct ad_exchange *x, const struct ad_reply *reply);

/* The action that an exchange is, NULL when it is none: told by who takes its reply. */
static struct action *action_of(const struct ad_exchange *x)
{
    struct ad_exchange_ops *ops = (struct ad_exchange_ops *)(uintptr_t)x->ops; /* ours, if any */
    return ops->reply == on_reply ? ad_container_of(ops, struct action, mine) : NULL;
}

static void on_reply(struct ad_exchange *x, const struct ad_reply *reply)
{
    struct action *act = action_of(x);
    x->ops = act->ops;
    ad_service_audit_end(act->route->api->o.service, &act->e, outcome_of(reply->status),
                         *act->target ? ad_str_c(act->target) : AD_STR_NONE);
    x->ops->reply(x, reply);
}

void ad__api_audit_target(struct ad_exchange *x, const char *fmt, ...)
{
    struct action *act = action_of(x);
    va_list ap;
    va_start(ap, fmt);
    if (act) {
        (void)vsnprintf(act->target, sizeof(act->target), fmt, ap);
    }
    va_end(ap);
}

/* --- The beginning ------------------------------------------------------------------------ */

static void refuse(struct ad_exchange *x, enum ad_err err)
{
    char detail[160];
    (void)snprintf(detail, sizeof(detail),
                   "nothing was done, because the audit log cannot be written: %s",
                   ad_err_text(err));
    /* Whatever is wrong there is not wrong with the request. */
    ad__api_problem(x, ad_err_http(err) == 503 ? err : AD_ERR_STORE, detail);
}

static void on_begun(struct ad_audited *e)
{
    struct action *act = e->data;
    struct ad_exchange *x = act->x;
    if (e->err) {
        refuse(x, e->err);
        return;
    }
    act->ops = x->ops;
    act->mine = (struct ad_exchange_ops){ .reply = on_reply };
    x->ops = &act->mine;
    act->route->handler(act->route->api, x);
}

/* "people/bf071e1f-...": what stands in the path, absent when nothing does. */
static struct ad_str path_target(struct ad_exchange *x)
{
    struct ad_str target = x->params[0];
    for (size_t i = 1; i < AD_ROUTE_PARAMS_MAX && x->params[i].p && target.p; i++) {
        target = ad_arena_fmt(x->arena, "%.*s/%.*s", AD_FMT(target), AD_FMT(x->params[i]));
    }
    return target;
}

void ad__api_audited(void *ctx, struct ad_exchange *x)
{
    const struct ad__api_route *route = ctx;
    struct action *act = ad_arena_zalloc(x->arena, sizeof(*act));
    if (!act) {
        refuse(x, AD_ERR_NOMEM);
        return;
    }
    act->x = x;
    act->route = route;
    act->e = (struct ad_audited){ .actor = x->actor,
                                  .action = ad_str_c(route->action),
                                  .target = path_target(x),
                                  .cb = on_begun,
                                  .data = act };
    enum ad_err err = ad_service_audit_begin(route->api->o.service, &act->e);
    if (err) {
        refuse(x, err);
    }
}

/* --- Reading it --------------------------------------------------------------------------- */

struct ask {
    struct ad_audit_question a;
    struct ad_buf out;
};

static void on_listed(struct ad_service_query *q)
{
    struct ask *ask = ad_container_of(q, struct ask, a.q);
    ad__api_answer(q->data, q, 200, ask->a.next_before);
}

static enum ad_err read_params(struct ad_exchange *x, struct ask *ask)
{
    static const char *const known[] = { "actor", "action", "limit", "cursor", NULL };
    struct ad_errinfo *info = &ask->a.q.info;
    bool bad = false;
    int64_t limit = 50;
    enum ad_err err = ad__api_only_params(x, known, info);
    if (err) {
        return err;
    }
    ask->a.actor = ad_query_get(x, "actor", &bad);
    ask->a.action = ad_query_get(x, "action", &bad);
    if (bad) {
        return ad_fail(info, AD_ERR_INVALID, "a parameter is repeated or badly escaped");
    }
    err = ad__api_number(x, "limit", 1, 500, &limit, info);
    ask->a.limit = (unsigned)limit;
    return err ? err : ad__api_number(x, "cursor", 1, INT64_MAX, &ask->a.before, info);
}

void ad__api_audit_list(void *ctx, struct ad_exchange *x)
{
    struct ad_api *a = ctx;
    struct ask *ask = ad_arena_zalloc(x->arena, sizeof(*ask));
    if (!ask) {
        ad__api_problem(x, AD_ERR_NOMEM, NULL);
        return;
    }
    ad_buf_init(&ask->out, AD__API_ANSWER_MAX);
    ask->a.q = (struct ad_service_query){ .out = &ask->out, .cb = on_listed, .data = x };
    enum ad_err err = read_params(x, ask);
    err = err ? err : ad_service_audit_list(a->o.service, &ask->a);
    if (err) {
        ask->a.q.err = err;
        ad__api_answer(x, &ask->a.q, 200, AD__API_NO_CURSOR);
    }
}
