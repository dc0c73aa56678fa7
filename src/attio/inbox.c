#include "attio/inbox.h"

#include "base/log.h"
#include "base/mem.h"
#include "inbox_private.h"

#define PRUNE_EVERY_MS 60000
/* Events done long after they arrived were passed by: now and then the walk begins anew. */
#define REWIND_EVERY_MS (UINT64_C(24) * 3600 * 1000)

static const char *const state_names[] = {
    [AD_EVENT_PENDING] = "pending",
    [AD_EVENT_RETRY] = "retry",
    [AD_EVENT_DEAD] = "dead",
    [AD_EVENT_DONE] = "done",
    [AD_EVENT_QUARANTINED] = "quarantined",
    [AD_EVENT_DISCARDED] = "discarded",
};

const char *ad_event_state_name(enum ad_event_state s)
{
    return (size_t)s < AD_LEN(state_names) ? state_names[s] : "unknown";
}

bool ad_event_state_parse(struct ad_str s, enum ad_event_state *out)
{
    for (size_t i = 0; i < AD_LEN(state_names); i++) {
        if (ad_str_eq(s, ad_str_c(state_names[i]))) {
            *out = (enum ad_event_state)i;
            return true;
        }
    }
    return false;
}

void ad__inbox_count(struct ad_inbox *in, int64_t change)
{
    in->pending += change;
    in->g_pending->v = in->pending;
}

int64_t ad_inbox_pending(const struct ad_inbox *in)
{
    return in->pending;
}

void ad_inbox_note_done(struct ad_inbox *in, int64_t n)
{
    ad__inbox_count(in, -n);
}

/* --- Append --- */

const struct ad_sql ad__inbox_insert_sql = {
    .sqlite = "INSERT INTO attiod_inbox"
              " (dedupe, part, received_at, state, workspace_id, type, subject, body, reason)"
              " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
              " ON CONFLICT (dedupe, part) WHERE dedupe IS NOT NULL DO NOTHING",
};

void ad__inbox_insert_values(const struct ad_inbox_row *row,
                             struct ad_value values[AD_INBOX_INSERT_VALUES])
{
    const struct ad_event *e = row->event;
    values[0] = AD_V_TEXT(row->key);
    values[1] = AD_V_I64((int64_t)row->part);
    values[2] = AD_V_I64(row->received_ns);
    values[3] = AD_V_I64(row->state);
    values[4] = e ? AD_V_TEXT(e->workspace_id) : AD_V_NULL;
    values[5] = e ? AD_V_TEXT(e->type) : AD_V_NULL;
    values[6] = e ? AD_V_TEXT(e->subject) : AD_V_NULL;
    values[7] = e ? AD_V_TEXT(e->body) : AD_V_BLOB(row->body); /* may be no text at all */
    values[8] = AD_V_TEXT(row->reason);
}

struct append {
    struct ad_inbox *in;
    struct ad_inbox_append *a;
    struct ad_store_req req;
    struct ad_timer timer; /* when there is nothing to store */
    int64_t received_ns;
    size_t n;
    bool quarantine;
    struct ad_step *steps;
    struct ad_value (*values)[AD_INBOX_INSERT_VALUES];
};

static struct append *append_new(struct ad_inbox *in, struct ad_inbox_append *a, size_t n)
{
    struct append *w = ad_arena_zalloc(a->arena, sizeof(*w));
    if (!w) {
        return NULL;
    }
    /* Not cleared: each is written whole. The parser's limit keeps n far from overflowing. */
    w->steps = ad_arena_alloc(a->arena, n * sizeof(*w->steps));
    w->values = ad_arena_alloc(a->arena, n * sizeof(*w->values));
    if (!w->steps || !w->values) {
        return NULL;
    }
    w->in = in;
    w->a = a;
    w->n = n;
    w->received_ns = ad_wall_ns(in->o.clock);
    return w;
}

static void take_result(struct append *w, size_t i)
{
    struct ad_inbox_append *a = w->a;
    if (w->steps[i].changes == 0) {
        a->duplicate++;
        return;
    }
    a->accepted++;
    if (!w->quarantine) {
        a->delivery->events[i].seq = w->steps[i].id;
        a->delivery->events[i].received_ns = w->received_ns;
    }
}

static void on_appended(struct ad_store_req *req)
{
    struct append *w = ad_container_of(req, struct append, req);
    struct ad_inbox_append *a = w->a;
    w->in->appending -= (int64_t)w->n;
    a->err = req->err;
    if (req->err) {
        a->info = req->info;
    }
    for (size_t i = 0; !req->err && i < w->n; i++) {
        take_result(w, i);
    }
    if (!w->quarantine) {
        ad__inbox_count(w->in, a->accepted);
    }
    a->cb(a);
}

static enum ad_err append_submit(struct append *w)
{
    w->req.steps = w->steps;
    w->req.steps_n = (unsigned)w->n;
    w->req.cls = AD_STORE_INGEST;
    w->req.cb = on_appended;
    for (size_t i = 0; i < w->n; i++) {
        w->steps[i] = (struct ad_step){ .sql = &ad__inbox_insert_sql,
                                        .values = w->values[i],
                                        .values_n = AD_INBOX_INSERT_VALUES };
    }
    w->a->accepted = w->a->duplicate = 0;
    w->in->appending += (int64_t)w->n;
    enum ad_err err = ad_store_write(w->in->o.store, &w->req);
    if (err) {
        w->in->appending -= (int64_t)w->n;
        return ad_fail(&w->a->info, err, "the event cannot be stored: %s", ad_err_text(err));
    }
    return AD_OK;
}

static void on_nothing(struct ad_timer *t)
{
    struct append *w = ad_container_of(t, struct append, timer);
    w->a->cb(w->a);
}

enum ad_err ad_inbox_append(struct ad_inbox *in, struct ad_inbox_append *a)
{
    const struct ad_delivery *d = a->delivery;
    if (in->pending + in->appending + (int64_t)d->events_n > in->o.pending_max) {
        return ad_fail(&a->info, AD_ERR_BUSY, "%lld events are pending already",
                       (long long)in->pending);
    }
    struct append *w = append_new(in, a, d->events_n);
    if (!w) {
        return ad_fail(&a->info, AD_ERR_NOMEM, "no memory for the delivery");
    }
    if (d->events_n == 0) {
        a->err = AD_OK;
        a->accepted = a->duplicate = 0;
        ad_timer_start(in->o.timers, &w->timer, 0, on_nothing);
        return AD_OK;
    }
    for (size_t i = 0; i < d->events_n; i++) {
        d->events[i].seq = 0;
        ad__inbox_insert_values(
            &(struct ad_inbox_row){
                .key = d->key, .part = i, .received_ns = w->received_ns, .event = &d->events[i] },
            w->values[i]);
    }
    return append_submit(w);
}

enum ad_err ad_inbox_quarantine(struct ad_inbox *in, struct ad_inbox_append *a, struct ad_str body,
                                struct ad_str reason)
{
    struct append *w = append_new(in, a, 1);
    if (!w) {
        return ad_fail(&a->info, AD_ERR_NOMEM, "no memory for the delivery");
    }
    w->quarantine = true;
    ad__inbox_insert_values(&(struct ad_inbox_row){ .key = a->delivery->key,
                                                    .received_ns = w->received_ns,
                                                    .state = AD_EVENT_QUARANTINED,
                                                    .body = body.p ? body : AD_STR(""),
                                                    .reason = reason },
                            w->values[0]);
    return append_submit(w);
}

/* --- Prune --- */

static const struct ad_sql old_sql = {
    .sqlite = "SELECT max(seq) FROM (SELECT seq, received_at FROM attiod_inbox"
              " WHERE seq > $1 ORDER BY seq LIMIT 500) WHERE received_at < $2",
};
static const struct ad_sql bodies_sql = {
    .sqlite = "UPDATE attiod_inbox NOT INDEXED SET body = NULL"
              " WHERE seq > $1 AND seq <= $2 AND state IN (3, 5) AND body IS NOT NULL",
};
/* The newest row stays whatever it is, so that its seq is not given again. */
static const struct ad_sql rows_sql = {
    .sqlite = "DELETE FROM attiod_inbox NOT INDEXED"
              " WHERE seq > $1 AND seq <= $2 AND state IN (3, 5)"
              " AND seq < (SELECT max(seq) FROM attiod_inbox)",
};

static void prune_next(struct ad_inbox *in);

static void on_prune_timer(struct ad_timer *t)
{
    struct ad_inbox *in = ad_container_of(t, struct ad_inbox, prune_timer);
    uint64_t now = ad_mono_ms(in->o.clock);
    if (now - in->rewound_ms >= REWIND_EVERY_MS) {
        in->rewound_ms = now;
        in->passes[0].seq = in->passes[1].seq = 0;
    }
    in->pass = 0;
    prune_next(in);
}

static void prune_pause(struct ad_inbox *in)
{
    ad_timer_start(in->o.timers, &in->prune_timer, PRUNE_EVERY_MS, on_prune_timer);
}

/* The end of every piece; true when it was the last of all. */
static bool prune_ended(struct ad_inbox *in, enum ad_err err)
{
    in->pruning = false;
    if (in->closed) {
        ad_free(in);
        return true;
    }
    if (err) {
        ad_log(AD_LOG_WARN, "inbox_prune_failed", AD_KE("error", err),
               AD_KC("detail", in->req.info.msg));
        prune_pause(in);
        return true;
    }
    return false;
}

static void on_pruned(struct ad_store_req *req)
{
    struct ad_inbox *in = ad_container_of(req, struct ad_inbox, req);
    struct ad_inbox_pass *pass = &in->passes[in->pass];
    if (prune_ended(in, req->err)) {
        return;
    }
    pass->changed->v += (uint64_t)in->step.changes;
    pass->seq = pass->to;
    prune_next(in);
}

static void prune_submit(struct ad_inbox *in, const struct ad_sql *sql, int64_t second,
                         ad_store_cb cb)
{
    in->values[0] = AD_V_I64(in->passes[in->pass].seq);
    in->values[1] = AD_V_I64(second);
    in->step = (struct ad_step){ .sql = sql, .values = in->values, .values_n = 2 };
    in->req = (struct ad_store_req){
        .steps = &in->step, .steps_n = 1, .cls = AD_STORE_BULK, .rows_max = 1, .cb = cb
    };
    in->pruning = true;
    enum ad_err err = cb == on_pruned ? ad_store_write(in->o.store, &in->req)
                                      : ad_store_read(in->o.store, &in->req);
    if (err) {
        prune_ended(in, err);
    }
}

static void on_old(struct ad_store_req *req)
{
    struct ad_inbox *in = ad_container_of(req, struct ad_inbox, req);
    struct ad_inbox_pass *pass = &in->passes[in->pass];
    bool any = !req->err && req->rows.rows == 1 && req->rows.values[0].type == AD_VALUE_I64;
    pass->to = any ? req->rows.values[0].i64 : 0;
    if (prune_ended(in, req->err)) {
        return;
    }
    if (any) {
        prune_submit(in, pass->sql, pass->to, on_pruned);
        return;
    }
    in->pass++;
    prune_next(in);
}

static void prune_next(struct ad_inbox *in)
{
    if (in->pass >= AD_LEN(in->passes)) {
        prune_pause(in);
        return;
    }
    prune_submit(in, &old_sql, ad_wall_ns(in->o.clock) - in->passes[in->pass].age_ns, on_old);
}

static void prune_open(struct ad_inbox *in)
{
    struct ad_metrics *m = in->o.metrics;
    in->passes[0] = (struct ad_inbox_pass){
        .sql = &bodies_sql,
        .age_ns = in->o.body_ms * AD_NS_PER_MS,
        .changed = ad_metric_counter(m, "attiod_inbox_pruned_bodies_total", NULL,
                                     "Old events whose body was dropped."),
    };
    in->passes[1] = (struct ad_inbox_pass){
        .sql = &rows_sql,
        .age_ns = in->o.key_ms * AD_NS_PER_MS,
        .changed = ad_metric_counter(m, "attiod_inbox_pruned_events_total", NULL,
                                     "Old events whose row was dropped."),
    };
    in->rewound_ms = ad_mono_ms(in->o.clock);
    prune_pause(in);
}

/* --- Open and close --- */

static const struct ad_sql count_sql = {
    .sqlite = "SELECT count(*) FROM attiod_inbox INDEXED BY attiod_inbox_open WHERE state < 2",
};

static enum ad_err count_pending(struct ad_inbox *in, struct ad_errinfo *info)
{
    struct ad_step step = { .sql = &count_sql };
    struct ad_store_req req = { .steps = &step, .steps_n = 1, .rows_max = 1 };
    enum ad_err err = ad_store_read_now(in->o.store, &req);
    if (err) {
        err = ad_fail(info, err, "cannot count the inbox: %s", req.info.msg);
    } else {
        ad__inbox_count(in, req.rows.values[0].i64);
    }
    ad_store_rows_free(&req);
    return err;
}

enum ad_err ad_inbox_open(const struct ad_inbox_opts *opts, struct ad_inbox **out,
                          struct ad_errinfo *info)
{
    struct ad_inbox *in = ad_zalloc(sizeof(*in));
    if (!in) {
        return ad_fail(info, AD_ERR_NOMEM, "no memory for the inbox");
    }
    in->o = *opts;
    in->g_pending = ad_metric_gauge(opts->metrics, "attiod_inbox_pending_events", NULL,
                                    "Events that are pending or in retry.");
    enum ad_err err = count_pending(in, info);
    if (err) {
        ad_free(in);
        return err;
    }
    prune_open(in);
    *out = in;
    return AD_OK;
}

void ad_inbox_close(struct ad_inbox *in)
{
    ad_timer_stop(in->o.timers, &in->prune_timer);
    if (in->pruning) {
        in->closed = true;
        return;
    }
    ad_free(in);
}
