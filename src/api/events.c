#include "api_private.h"

#include "base/json_bind.h"
#include "base/json_write.h"
#include "service/events.h"

struct ask {
    struct ad_events_query e;
    struct ad_buf out;
    struct ad_exchange *x;
};

typedef enum ad_err (*service_fn)(struct ad_service *s, struct ad_events_query *e);

static struct ask *ask_new(struct ad_exchange *x, ad_service_query_cb cb)
{
    struct ask *ask = ad_arena_zalloc(x->arena, sizeof(*ask));
    if (!ask) {
        ad__api_problem(x, AD_ERR_NOMEM, NULL);
        return NULL;
    }
    ad_buf_init(&ask->out, AD__API_ANSWER_MAX);
    ask->x = x;
    ask->e.q = (struct ad_service_query){ .out = &ask->out, .cb = cb, .data = ask };
    return ask;
}

/* Runs the question; what fails at once is answered here. */
static void ask_run(struct ad_api *a, struct ask *ask, service_fn fn, enum ad_err err)
{
    if (!err) {
        err = fn(a->o.service, &ask->e);
    }
    if (err) {
        ask->e.q.err = err;
        ad__api_answer(ask->x, &ask->e.q, 200, AD__API_NO_CURSOR);
    }
}

static enum ad_err read_id(struct ask *ask)
{
    struct ad_str id = ask->x->params[0];
    if (!ad_str_i64(id, 1, INT64_MAX, &ask->e.id)) {
        return ad_fail(&ask->e.q.info, AD_ERR_NOTFOUND, "there is no such event");
    }
    return AD_OK;
}

/* --- Listing ------------------------------------------------------------------------------ */

static void on_listed(struct ad_service_query *q)
{
    struct ask *ask = q->data;
    ad__api_answer(ask->x, q, 200, ask->e.next_before);
}

static void on_shown(struct ad_service_query *q)
{
    struct ask *ask = q->data;
    ad__api_answer(ask->x, q, 200, AD__API_NO_CURSOR);
}

static enum ad_err read_list_params(struct ask *ask)
{
    static const char *const known[] = { "state", "type",   "subject", "since",
                                         "limit", "cursor", NULL };
    struct ad_events_query *e = &ask->e;
    struct ad_exchange *x = ask->x;
    bool bad = false;
    int64_t limit = 50;
    enum ad_err err = ad__api_only_params(x, known, &e->q.info);
    if (err) {
        return err;
    }
    e->state = ad_query_get(x, "state", &bad);
    e->type = ad_query_get(x, "type", &bad);
    e->subject = ad_query_get(x, "subject", &bad);
    e->since = ad_query_get(x, "since", &bad);
    if (bad) {
        return ad_fail(&e->q.info, AD_ERR_INVALID, "a parameter is repeated or badly escaped");
    }
    err = ad__api_number(x, "limit", 1, 500, &limit, &e->q.info);
    e->limit = (unsigned)limit;
    return err ? err : ad__api_number(x, "cursor", 1, INT64_MAX, &e->before, &e->q.info);
}

void ad__api_events_list(void *ctx, struct ad_exchange *x)
{
    struct ask *ask = ask_new(x, on_listed);
    if (ask) {
        ask_run(ctx, ask, ad_service_events_list, read_list_params(ask));
    }
}

void ad__api_events_show(void *ctx, struct ad_exchange *x)
{
    struct ask *ask = ask_new(x, on_shown);
    if (ask) {
        ask_run(ctx, ask, ad_service_events_show, read_id(ask));
    }
}

/* --- Replay and discard ------------------------------------------------------------------- */

/* {"events": n, "dry_run": false}: n events are concerned, or would be. */
static void on_changed(struct ad_service_query *q)
{
    struct ask *ask = q->data;
    struct ad_json_writer w;
    if (!q->err) {
        ad_buf_clear(&ask->out);
        ad_json_write_init(&w, &ask->out);
        ad_json_obj(&w);
        ad_json_f_i64(&w, "events", ask->e.changed);
        ad_json_f_bool(&w, "dry_run", ask->e.dry_run);
        ad_json_end(&w);
        q->err = ad_json_write_done(&w);
    }
    ad__api_answer(ask->x, q, 200, AD__API_NO_CURSOR);
}

static enum ad_err read_dry_run(struct ask *ask)
{
    static const char *const known[] = { "dry_run", NULL };
    static const struct ad_json_field fields[] = {
        AD_FIELD(BOOL, struct ad_events_query, dry_run, "dry_run", AD_OPTIONAL),
    };
    const struct ad_json *doc;
    struct ad_errinfo *info = &ask->e.q.info;
    enum ad_err err = ad__api_body(ask->x, known, &doc, info);
    err = err ? err : ad_json_bind(doc, fields, AD_LEN(fields), &ask->e, info);
    err = err ? err : read_id(ask);
    if (!err && ask->e.dry_run) {
        ad__api_audit_target(ask->x, "%lld dry_run", (long long)ask->e.id);
    }
    return err;
}

/* All events at once is nobody's wish: a filter must say which. */
static enum ad_err read_filter(struct ask *ask)
{
    static const char *const known[] = { "state", "type", "subject", "since", "dry_run", NULL };
    static const struct ad_json_field fields[] = {
        AD_FIELD(STR, struct ad_events_query, state, "state", AD_OPTIONAL),
        AD_FIELD(STR, struct ad_events_query, type, "type", AD_OPTIONAL),
        AD_FIELD(STR, struct ad_events_query, subject, "subject", AD_OPTIONAL),
        AD_FIELD(STR, struct ad_events_query, since, "since", AD_OPTIONAL),
        AD_FIELD(BOOL, struct ad_events_query, dry_run, "dry_run", AD_OPTIONAL),
    };
    const struct ad_json *doc;
    struct ad_events_query *e = &ask->e;
    enum ad_err err = ad__api_body(ask->x, known, &doc, &e->q.info);
    err = err ? err : ad_json_bind(doc, fields, AD_LEN(fields), e, &e->q.info);
    ad__api_audit_target(ask->x, "state=%.*s type=%.*s subject=%.*s since=%.*s%s", AD_FMT(e->state),
                         AD_FMT(e->type), AD_FMT(e->subject), AD_FMT(e->since),
                         e->dry_run ? " dry_run" : "");
    if (!err && !e->state.p && !e->type.p && !e->subject.p && !e->since.p) {
        err = ad_fail(&e->q.info, AD_ERR_INVALID,
                      "say which events: at least one of state, type, subject, since");
    }
    return err;
}

void ad__api_events_replay(void *ctx, struct ad_exchange *x)
{
    struct ask *ask = ask_new(x, on_changed);
    if (ask) {
        ask_run(ctx, ask, ad_service_events_replay, read_dry_run(ask));
    }
}

void ad__api_events_discard(void *ctx, struct ad_exchange *x)
{
    struct ask *ask = ask_new(x, on_changed);
    if (ask) {
        ask_run(ctx, ask, ad_service_events_discard, read_dry_run(ask));
    }
}

void ad__api_events_replay_all(void *ctx, struct ad_exchange *x)
{
    struct ask *ask = ask_new(x, on_changed);
    if (ask) {
        ask_run(ctx, ask, ad_service_events_replay, read_filter(ask));
    }
}

void ad__api_events_discard_all(void *ctx, struct ad_exchange *x)
{
    struct ask *ask = ask_new(x, on_changed);
    if (ask) {
        ask_run(ctx, ask, ad_service_events_discard, read_filter(ask));
    }
}
