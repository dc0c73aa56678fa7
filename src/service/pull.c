#include "pull.h"

#include <limits.h>

#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "dispatch.h"

/* Attio's page size; a query with that many ids is known to work, more is not known. */
#define IDS_MAX 500
#define BACKOFF_BASE_MS 500
#define BACKOFF_CAP_MS 60000
/* An unknown object id asks for the schema at most this often: test deliveries carry random ids. */
#define UNKNOWN_REFRESH_MS 5000
/* Merges are applied within seconds. */
#define MERGING_WAIT_MS 2000

/* One record to look at. Gathers until its object's query is sent; events that arrive later make
 * a new one. */
struct want {
    struct ad_map_node node; /* source->gathering while waiting, batch map while in flight */
    struct ad_list link;     /* source->waiting, ->batch, ->confirm or ->gone */
    struct ad_list claims;
    bool deleted, seen;
    char id[37];
};

struct claim {
    struct ad_list link; /* want->claims */
    struct job *job;
};

/* One invocation and what it still waits for. */
struct job {
    struct ad_list link; /* pull->unknown while its object is not known */
    struct ad_invocation *inv;
    struct source *source;
    unsigned open;
    size_t scanned;  /* events looked at */
    unsigned named;  /* source->serial of the transaction that names its events as done */
    const char *why; /* it cannot succeed: the dispatcher runs it again after a pause */
};

/* Where records of one object come from. */
struct source {
    struct ad_list link; /* pull->sources */
    struct ad_pull *pull;
    const struct ad_object *object;
    struct ad_map gathering, flight;
    struct ad_list waiting, batch, confirm, gone;
    size_t ids_max;
    struct ad_timer timer; /* pacing and backoff */
    unsigned failures;
    bool busy; /* a query, a confirmation or a mirror transaction is under way */
    struct ad_records_op op;
    struct ad_mirror_op apply;
    struct want *confirming;
    bool merging;    /* some record is to be asked after again, but not at once */
    unsigned serial; /* of the mirror transaction */
    int64_t *done;
    size_t done_n, done_cap;
};

struct ad_pull {
    struct ad_pull_opts o;
    struct ad_handler handler;
    struct ad_rand rand;
    struct ad_list sources;
    struct ad_list unknown,
        asked; /* jobs whose object is not known; asked: of the refresh under way */
    struct ad_timer unknown_timer;
    struct ad_schema_wait refresh;
    bool refreshing, closing;
    uint64_t last_query_ms, last_refresh_ms;
    struct ad_counter *c_queries, *c_gets, *c_foreign, *c_unknown, *c_coalesced;
    void (*done)(void *ctx);
    void *done_ctx;
    struct ad_timer close_timer;
};

static void source_next(struct source *s);
static void maybe_closed(struct ad_pull *p);

static void on_source_timer(struct ad_timer *t)
{
    source_next(ad_container_of(t, struct source, timer));
}

static void source_soon(struct source *s, uint64_t delay_ms)
{
    if (!s->busy && !ad_timer_running(&s->timer)) {
        ad_timer_start(s->pull->o.timers, &s->timer, delay_ms, on_source_timer);
    }
}

/* ---- jobs and wants ---------------------------------------------------------------------- */

static void job_end(struct job *job, enum ad_outcome outcome, const char *why)
{
    struct ad_invocation *inv = job->inv;
    ad_list_remove(&job->link);
    ad_free(job);
    ad_invocation_done(inv, outcome, why);
}

/* All claims on a want end with it, and with its last one a job. */
static void want_end(struct source *s, struct want *w)
{
    ad_list_remove(&w->link);
    for (struct ad_list *l = ad_list_pop(&w->claims); l; l = ad_list_pop(&w->claims)) {
        struct claim *c = ad_container_of(l, struct claim, link);
        struct job *job = c->job;
        ad_free(c);
        if (--job->open > 0) {
            continue;
        }
        if (job->named == s->serial) {
            ad_invocation_recorded(job->inv);
        }
        job_end(job, job->why ? AD_OUTCOME_RETRY : AD_OUTCOME_DONE, job->why);
    }
    ad_free(w);
}

static struct want *want_get(struct source *s, const char *record_id)
{
    struct ad_str id = ad_str_c(record_id);
    struct ad_map_node *node = ad_map_get(&s->gathering, id);
    if (node) {
        s->pull->c_coalesced->v++;
        return ad_container_of(node, struct want, node);
    }
    struct want *w = ad_zalloc(sizeof(*w));
    if (!w || !id.p || id.n >= sizeof(w->id)) {
        ad_free(w);
        return NULL;
    }
    memcpy(w->id, id.p, id.n + 1);
    ad_list_init(&w->claims);
    ad_list_push(&s->waiting, &w->link);
    ad_map_put(&s->gathering, &w->node, ad_str_n(w->id, id.n));
    return w;
}

static struct want *job_claim(struct job *job, const char *record_id)
{
    struct claim *c = ad_zalloc(sizeof(*c));
    struct want *w = c ? want_get(job->source, record_id) : NULL;
    if (!w) {
        ad_free(c);
        return NULL;
    }
    c->job = job;
    ad_list_push(&w->claims, &c->link);
    job->open++;
    return w;
}

/* What the events not yet looked at ask for. The subject's own record is claimed once; a merge
 * also asks after the record that was merged away. */
static void job_scan(struct job *job, struct want *own)
{
    for (; job->scanned < ad_invocation_count(job->inv); job->scanned++) {
        const struct ad_handler_event *e = ad_invocation_event(job->inv, job->scanned);
        own->deleted = own->deleted || strcmp(e->type, "record.deleted") == 0;
        if (*e->duplicate_record_id && !job_claim(job, e->duplicate_record_id)) {
            job->why = "no memory";
        }
    }
}

static struct source *source_get(struct ad_pull *p, const struct ad_object *o)
{
    AD_LIST_FOREACH (l, &p->sources) {
        struct source *s = ad_container_of(l, struct source, link);
        if (s->object == o) {
            return s;
        }
    }
    struct source *s = ad_zalloc(sizeof(*s));
    if (!s) {
        return NULL;
    }
    s->pull = p;
    s->object = o;
    s->ids_max = IDS_MAX;
    ad_map_init(&s->gathering);
    ad_map_init(&s->flight);
    ad_list_init(&s->waiting);
    ad_list_init(&s->batch);
    ad_list_init(&s->confirm);
    ad_list_init(&s->gone);
    ad_list_push(&p->sources, &s->link);
    return s;
}

static void job_begin(struct job *job, const struct ad_object *o)
{
    const char *id = ad_invocation_event(job->inv, 0)->record_id;
    job->source = source_get(ad_invocation_data(job->inv), o);
    struct want *own = job->source ? job_claim(job, id) : NULL;
    if (!own) {
        job_end(job, AD_OUTCOME_RETRY, "no memory");
        return;
    }
    job_scan(job, own);
    source_soon(job->source, 0);
}

/* ---- objects we do not know yet ---------------------------------------------------------- */

static void unknown_next(struct ad_pull *p);

static void on_unknown_timer(struct ad_timer *t)
{
    unknown_next(ad_container_of(t, struct ad_pull, unknown_timer));
}

static void unknown_later(struct ad_pull *p, uint64_t delay_ms)
{
    ad_timer_start(p->o.timers, &p->unknown_timer, delay_ms, on_unknown_timer);
}

/* Back in line, before those that came meanwhile. */
static void asked_back(struct ad_pull *p)
{
    ad_list_move(&p->asked, &p->unknown);
    ad_list_move(&p->unknown, &p->asked);
}

static void on_refreshed(struct ad_schema_wait *w)
{
    struct ad_pull *p = w->data;
    p->refreshing = false;
    p->last_refresh_ms = ad_mono_ms(p->o.clock);
    if (w->err) {
        asked_back(p);
        unknown_later(p, UNKNOWN_REFRESH_MS);
        return;
    }
    for (struct ad_list *l = ad_list_pop(&p->asked); l; l = ad_list_pop(&p->asked)) {
        struct job *job = ad_container_of(l, struct job, link);
        const char *id = ad_invocation_event(job->inv, 0)->object_id;
        const struct ad_object *o = ad_schema_object(p->o.schema, ad_str_c(id));
        if (o) {
            job_begin(job, o);
        } else {
            p->c_unknown->v++;
            job_end(job, AD_OUTCOME_DONE, NULL); /* Attio has no such object: a test delivery */
        }
    }
    unknown_next(p);
}

/* A refresh answers only for those that waited when it was asked for: an object may be younger
 * than the list that does not show it. */
static void unknown_next(struct ad_pull *p)
{
    if (p->refreshing || p->closing || ad_list_empty(&p->unknown)) {
        return;
    }
    uint64_t since = ad_mono_ms(p->o.clock) - p->last_refresh_ms;
    if (p->last_refresh_ms && since < UNKNOWN_REFRESH_MS) {
        unknown_later(p, UNKNOWN_REFRESH_MS - since);
        return;
    }
    p->refresh = (struct ad_schema_wait){ .cb = on_refreshed, .data = p };
    if (ad_schema_refresh(p->o.schema, AD_PRIO_PULL, &p->refresh)) {
        unknown_later(p, UNKNOWN_REFRESH_MS);
        return;
    }
    p->refreshing = true;
    ad_list_move(&p->asked, &p->unknown);
}

/* ---- asking Attio ------------------------------------------------------------------------ */

static void backoff(struct source *s, const char *what, enum ad_err err, const char *detail)
{
    struct ad_pull *p = s->pull;
    unsigned shift = s->failures < 7 ? s->failures : 7;
    uint64_t cap = (uint64_t)BACKOFF_BASE_MS << shift;
    cap = cap < BACKOFF_CAP_MS ? cap : BACKOFF_CAP_MS;
    uint64_t wait = cap / 2 + ad_rand_below(&p->rand, cap / 2 + 1);
    if (s->failures++ == 0 || err == AD_ERR_INTERNAL) {
        ad_log(AD_LOG_WARN, what, AD_KS("object", s->object->slug), AD_KE("error", err),
               AD_KC("detail", detail), AD_KI("retry_in_ms", wait));
    }
    source_soon(s, wait);
}

/* Back in line, before what gathered meanwhile; a want for the same record that gathered takes
 * the claims over. */
static void requeue(struct source *s, struct ad_list *from)
{
    while (!ad_list_empty(from)) {
        struct want *w = ad_container_of(from->prev, struct want, link);
        ad_list_remove(&w->link);
        struct ad_map_node *node = ad_map_get(&s->gathering, ad_str_c(w->id));
        w->seen = false;
        if (!node) {
            ad_list_push_front(&s->waiting, &w->link);
            ad_map_put(&s->gathering, &w->node, ad_str_c(w->id));
            continue;
        }
        struct want *other = ad_container_of(node, struct want, node);
        other->deleted = other->deleted || w->deleted;
        ad_list_move(&other->claims, &w->claims);
        ad_free(w);
    }
}

static void flight_clear(struct source *s)
{
    for (struct ad_map_node *n = ad_map_any(&s->flight); n; n = ad_map_any(&s->flight)) {
        ad_map_remove(&s->flight, n);
    }
}

/* Nothing of what was asked is known: all of it again. */
static void all_back(struct source *s)
{
    flight_clear(s);
    if (s->confirming) {
        ad_list_push_front(&s->confirm, &s->confirming->link);
        s->confirming = NULL;
    }
    requeue(s, &s->gone);
    requeue(s, &s->confirm);
    requeue(s, &s->batch);
    s->merging = false;
    s->busy = false;
}

static void failed(struct source *s, const char *what, enum ad_err err, const char *detail)
{
    all_back(s);
    if (s->pull->closing) {
        maybe_closed(s->pull);
        return;
    }
    backoff(s, what, err, detail);
}

/* The events that this want's record completes, if it is the last thing their jobs wait for. Those
 * that there is no memory for are settled by the dispatcher. */
static void collect_done(struct source *s, struct want *w)
{
    AD_LIST_FOREACH (l, &w->claims) {
        struct job *job = ad_container_of(l, struct claim, link)->job;
        if (job->open != 1 || job->why) {
            continue;
        }
        size_t need = s->done_n + ad_invocation_count(job->inv);
        if (need > s->done_cap) {
            int64_t *more = ad_resize(s->done, need * 2 * sizeof(*more));
            if (!more) {
                return;
            }
            s->done = more;
            s->done_cap = need * 2;
        }
        s->done_n += ad_invocation_last_seqs(job->inv, s->done + s->done_n);
        job->named = s->serial;
    }
}

static void on_record(struct ad_mirror_op *op, struct ad_str record_id, struct ad_str created_at)
{
    (void)created_at;
    struct source *s = op->data;
    struct ad_map_node *node = ad_map_get(&s->flight, record_id);
    if (!node) {
        return; /* not asked for: mirrored all the same */
    }
    struct want *w = ad_container_of(node, struct want, node);
    if (w->deleted) {
        w->deleted = false; /* an answer from before: a GET decides */
    } else if (!w->seen) {
        w->seen = true;
        collect_done(s, w);
        op->done = s->done;
        op->done_n = s->done_n;
    }
}

static void confirm_next(struct source *s);

static void apply_prepare(struct source *s, ad_mirror_cb cb)
{
    s->done_n = 0;
    s->serial++;
    s->apply = (struct ad_mirror_op){
        .object = s->object,
        .version = s->op.version,
        .accurate_ns = s->op.accurate_ns,
        .workspace_id = ad_account_workspace_id(s->pull->o.account),
        .on_record = on_record,
        .cb = cb,
        .data = s,
    };
}

/* What the query showed is mirrored; the rest is confirmed one by one. */
static void on_applied(struct ad_mirror_op *op)
{
    struct source *s = op->data;
    if (op->err) {
        failed(s, "mirror_failed", op->err, op->info.msg);
        return;
    }
    flight_clear(s);
    AD_LIST_FOREACH_SAFE (l, &s->batch) {
        struct want *w = ad_container_of(l, struct want, link);
        if (!w->seen) {
            ad_list_remove(&w->link);
            ad_list_push(w->deleted ? &s->gone : &s->confirm, &w->link);
        }
    }
    while (!ad_list_empty(&s->batch)) {
        want_end(s, ad_container_of(s->batch.next, struct want, link));
    }
    confirm_next(s);
}

/* Attio does not take the query. Half of it; a single record is left to its own GET. */
static void refused(struct source *s, size_t asked)
{
    if (asked == 1) {
        flight_clear(s);
        ad_list_move(&s->confirm, &s->batch);
        confirm_next(s);
        return;
    }
    s->ids_max = asked / 2;
    ad_log(AD_LOG_INFO, "pull_query_halved", AD_KS("object", s->object->slug),
           AD_KI("ids", s->ids_max));
    all_back(s);
    source_next(s);
}

static bool is_refusal(enum ad_err err)
{
    return err == AD_ERR_TOOLARGE || err == AD_ERR_UPSTREAM_REJECTED;
}

static void on_answer(struct ad_records_op *op)
{
    struct source *s = op->data;
    size_t asked = s->flight.count;
    if (is_refusal(op->err) && !s->pull->closing) {
        refused(s, asked);
        return;
    }
    if (op->err || s->pull->closing) {
        failed(s, "pull_failed", op->err, op->info.msg);
        return;
    }
    if (asked == s->ids_max && s->ids_max < IDS_MAX) { /* carefully up again */
        size_t more = s->ids_max + s->ids_max / 8 + 1;
        s->ids_max = more < IDS_MAX ? more : IDS_MAX;
    }
    apply_prepare(s, on_applied);
    enum ad_err err = ad_mirror_apply(s->pull->o.mirror, &s->apply, op->response);
    if (err) {
        failed(s, "mirror_failed", err, s->apply.info.msg);
    }
}

/* ---- records that the query did not show ------------------------------------------------- */

/* All that was asked is answered and written. */
static void rest(struct source *s)
{
    s->busy = false;
    s->failures = 0;
    if (s->pull->closing) {
        maybe_closed(s->pull);
    } else if (s->merging) {
        s->merging = false;
        source_soon(s, MERGING_WAIT_MS);
    } else {
        source_next(s);
    }
}

static void on_deleted(struct ad_mirror_op *op)
{
    struct source *s = op->data;
    if (op->err) {
        failed(s, "mirror_failed", op->err, op->info.msg);
        return;
    }
    while (!ad_list_empty(&s->gone)) {
        want_end(s, ad_container_of(s->gone.next, struct want, link));
    }
    rest(s);
}

/* All that is known to be gone, in one transaction. The tombstones' version is later than that of
 * every answer that showed them. */
static void delete_gone(struct source *s)
{
    struct ad_str ids[IDS_MAX];
    size_t n = 0;
    s->op.version = ad_versions_next(s->pull->o.versions);
    if (s->op.version == 0) {
        failed(s, "pull_failed", AD_ERR_STORE, "no version number could be had");
        return;
    }
    apply_prepare(s, on_deleted);
    AD_LIST_FOREACH (l, &s->gone) { /* of one query: no more than IDS_MAX */
        struct want *w = ad_container_of(l, struct want, link);
        collect_done(s, w);
        ids[n++] = ad_str_c(w->id);
    }
    s->apply.done = s->done;
    s->apply.done_n = s->done_n;
    enum ad_err err = ad_mirror_delete(s->pull->o.mirror, &s->apply, ids, n);
    if (err) {
        failed(s, "mirror_failed", err, s->apply.info.msg);
    }
}

static void on_confirmed_applied(struct ad_mirror_op *op)
{
    struct source *s = op->data;
    if (op->err) {
        failed(s, "mirror_failed", op->err, op->info.msg);
        return;
    }
    struct want *w = s->confirming;
    s->confirming = NULL;
    flight_clear(s);
    want_end(s, w);
    confirm_next(s);
}

static void confirmed(struct source *s, const struct ad_records_op *op)
{
    apply_prepare(s, on_confirmed_applied);
    ad_map_put(&s->flight, &s->confirming->node, ad_str_c(s->confirming->id));
    enum ad_err err = ad_mirror_apply(s->pull->o.mirror, &s->apply, op->response);
    if (err) {
        failed(s, "mirror_failed", err, s->apply.info.msg);
    }
}

/* 404, but not gone: asked after again. */
static void merging(struct source *s, struct want *w)
{
    struct ad_list one;
    ad_list_init(&one);
    ad_list_push(&one, &w->link);
    requeue(s, &one);
    s->merging = true;
}

/* Nobody else shall wait for a record that Attio does not want to talk about. */
static void give_back(struct source *s, struct want *w)
{
    AD_LIST_FOREACH (l, &w->claims) {
        ad_container_of(l, struct claim, link)->job->why = "Attio refused to show the record";
    }
    want_end(s, w);
}

static void on_confirmed(struct ad_records_op *op)
{
    struct source *s = op->data;
    struct want *w = s->confirming;
    if (!op->err) {
        confirmed(s, op);
        return;
    }
    if (op->err != AD_ERR_NOTFOUND && op->err != AD_ERR_MERGING && !is_refusal(op->err)) {
        failed(s, "pull_failed", op->err, op->info.msg);
        return;
    }
    s->confirming = NULL;
    if (op->err == AD_ERR_NOTFOUND) {
        ad_list_push(&s->gone, &w->link);
    } else if (op->err == AD_ERR_MERGING) {
        merging(s, w);
    } else {
        give_back(s, w);
    }
    confirm_next(s);
}

static void confirm_next(struct source *s)
{
    if (s->pull->closing) {
        failed(s, "closing", AD_OK, "");
        return;
    }
    struct ad_list *l = ad_list_pop(&s->confirm);
    if (!l && !ad_list_empty(&s->gone)) {
        delete_gone(s);
        return;
    }
    if (!l) {
        rest(s);
        return;
    }
    s->confirming = ad_container_of(l, struct want, link);
    s->op = (struct ad_records_op){
        .object = s->object, .priority = AD_PRIO_PULL, .cb = on_confirmed, .data = s
    };
    s->pull->c_gets->v++;
    enum ad_err err = ad_records_get(s->pull->o.records, &s->op, ad_str_c(s->confirming->id));
    if (err) {
        failed(s, "pull_failed", err, s->op.info.msg);
    }
}

/* ---- the query --------------------------------------------------------------------------- */

/* Milliseconds to wait so that queries stay apart once half the window is used: ids gather
 * meanwhile, calls are saved. */
static uint64_t pacing_ms(const struct ad_pull *p)
{
    if (ad_client_window_percent(p->o.client) < 50) {
        return 0;
    }
    unsigned apart = ad_client_interval_ms(p->o.client) / ad_client_interval_cap(p->o.client) + 1;
    uint64_t since = ad_mono_ms(p->o.clock) - p->last_query_ms;
    return since < apart ? apart - since : 0;
}

static size_t batch_take(struct source *s, struct ad_str *ids)
{
    size_t n = 0;
    while (n < s->ids_max && !ad_list_empty(&s->waiting)) {
        struct want *w = ad_container_of(ad_list_pop(&s->waiting), struct want, link);
        ad_map_remove(&s->gathering, &w->node);
        ad_list_push(&s->batch, &w->link);
        ad_map_put(&s->flight, &w->node, ad_str_c(w->id));
        ids[n++] = ad_str_c(w->id);
    }
    return n;
}

/* The answer will also speak for the events that arrived since their invocation began: they are
 * about the subject's own record. */
static void absorb(struct source *s)
{
    AD_LIST_FOREACH (l, &s->batch) {
        struct want *w = ad_container_of(l, struct want, link);
        AD_LIST_FOREACH (c, &w->claims) {
            struct job *job = ad_container_of(c, struct claim, link)->job;
            if (strcmp(w->id, ad_invocation_event(job->inv, 0)->record_id) == 0) {
                ad_invocation_absorb(job->inv);
                job_scan(job, w);
            }
        }
    }
}

static void source_next(struct source *s)
{
    struct ad_pull *p = s->pull;
    if (s->busy || p->closing || ad_timer_running(&s->timer) || ad_list_empty(&s->waiting)) {
        return;
    }
    uint64_t wait = pacing_ms(p);
    if (wait > 0) {
        source_soon(s, wait);
        return;
    }
    struct ad_str ids[IDS_MAX];
    size_t n = batch_take(s, ids);
    absorb(s);
    s->op = (struct ad_records_op){
        .object = s->object, .priority = AD_PRIO_PULL, .cb = on_answer, .data = s
    };
    s->busy = true;
    p->last_query_ms = ad_mono_ms(p->o.clock);
    p->c_queries->v++;
    enum ad_err err = ad_records_by_ids(p->o.records, &s->op, ids, n);
    if (err) {
        failed(s, "pull_failed", err, s->op.info.msg);
    }
}

/* ---- the handler ------------------------------------------------------------------------- */

static void run(void *ctx, struct ad_invocation *inv)
{
    struct ad_pull *p = ctx;
    const struct ad_handler_event *e = ad_invocation_event(inv, 0);
    if (!ad_str_eq(ad_str_c(e->workspace_id), ad_account_workspace_id(p->o.account))) {
        p->c_foreign->v++;
        ad_invocation_done(inv, AD_OUTCOME_DONE, NULL);
        return;
    }
    if (!*e->record_id) { /* of a type that this version does not know */
        ad_invocation_done(inv, AD_OUTCOME_DONE, NULL);
        return;
    }
    struct job *job = p->closing ? NULL : ad_zalloc(sizeof(*job));
    if (!job) {
        ad_invocation_done(inv, AD_OUTCOME_RETRY, p->closing ? "closing" : "no memory");
        return;
    }
    ad_list_init(&job->link);
    job->inv = inv;
    ad_invocation_set_data(inv, p);
    const struct ad_object *o = ad_schema_object(p->o.schema, ad_str_c(e->object_id));
    if (o) {
        job_begin(job, o);
        return;
    }
    ad_list_push(&p->unknown, &job->link);
    unknown_next(p);
}

static const char *const types[] = { "record.*", NULL };

enum ad_err ad_pull_open(const struct ad_pull_opts *opts, struct ad_pull **out)
{
    struct ad_pull *p = ad_zalloc(sizeof(*p));
    if (!p) {
        return AD_ERR_NOMEM;
    }
    p->o = *opts;
    ad_rand_seed(&p->rand, opts->seed);
    ad_list_init(&p->sources);
    ad_list_init(&p->unknown);
    ad_list_init(&p->asked);
    struct ad_metrics *m = opts->metrics;
    p->c_queries = ad_metric_counter(m, "attiod_pull_queries_total", NULL, "Queries by record id.");
    p->c_gets = ad_metric_counter(m, "attiod_pull_confirmations_total", NULL,
                                  "Single reads of records a query did not show.");
    p->c_coalesced = ad_metric_counter(m, "attiod_pull_coalesced_total", NULL,
                                       "Requests for a record that was already asked for.");
    p->c_foreign = ad_metric_counter(m, "attiod_events_foreign_workspace_total", NULL,
                                     "Events of another workspace, not followed.");
    p->c_unknown = ad_metric_counter(m, "attiod_events_unknown_object_total", NULL,
                                     "Record events of an object that Attio does not list.");
    p->handler = (struct ad_handler){
        .abi = AD_HANDLER_ABI,
        .name = "mirror",
        .types = types,
        .mode = AD_HANDLER_LATEST,
        .concurrency = 5000,    /* invocations only wait here, in one query's line */
        .timeout_ms = UINT_MAX, /* an outage may last */
        .max_attempts = UINT_MAX,
        .run = run,
        .ctx = p,
    };
    *out = p;
    return AD_OK;
}

const struct ad_handler *ad_pull_handler(const struct ad_pull *p)
{
    return &p->handler;
}

/* ---- close ------------------------------------------------------------------------------- */

static void give_up(struct ad_list *wants)
{
    while (!ad_list_empty(wants)) {
        struct want *w = ad_container_of(wants->next, struct want, link);
        ad_list_remove(&w->link);
        for (struct ad_list *l = ad_list_pop(&w->claims); l; l = ad_list_pop(&w->claims)) {
            struct claim *c = ad_container_of(l, struct claim, link);
            struct job *job = c->job;
            ad_free(c);
            if (--job->open == 0) {
                job_end(job, AD_OUTCOME_RETRY, "closing");
            }
        }
        ad_free(w);
    }
}

static void source_free(struct source *s)
{
    ad_timer_stop(s->pull->o.timers, &s->timer);
    for (struct ad_map_node *n = ad_map_any(&s->gathering); n; n = ad_map_any(&s->gathering)) {
        ad_map_remove(&s->gathering, n);
    }
    give_up(&s->waiting);
    ad_map_fini(&s->gathering);
    ad_map_fini(&s->flight);
    ad_free(s->done);
    ad_list_remove(&s->link);
    ad_free(s);
}

static void maybe_closed(struct ad_pull *p)
{
    if (!p->closing) {
        return;
    }
    AD_LIST_FOREACH (l, &p->sources) {
        if (ad_container_of(l, struct source, link)->busy) {
            return;
        }
    }
    ad_timer_stop(p->o.timers, &p->close_timer);
    while (!ad_list_empty(&p->sources)) {
        source_free(ad_container_of(p->sources.next, struct source, link));
    }
    while (!ad_list_empty(&p->unknown)) {
        job_end(ad_container_of(p->unknown.next, struct job, link), AD_OUTCOME_RETRY, "closing");
    }
    void (*done)(void *ctx) = p->done;
    void *ctx = p->done_ctx;
    ad_free(p);
    done(ctx);
}

static void on_close_timer(struct ad_timer *t)
{
    maybe_closed(ad_container_of(t, struct ad_pull, close_timer));
}

void ad_pull_close(struct ad_pull *p, void (*done)(void *ctx), void *ctx)
{
    p->closing = true;
    p->done = done;
    p->done_ctx = ctx;
    ad_timer_stop(p->o.timers, &p->unknown_timer);
    if (p->refreshing) {
        ad_schema_wait_cancel(p->o.schema, &p->refresh);
        p->refreshing = false;
        asked_back(p);
    }
    AD_LIST_FOREACH (l, &p->sources) {
        struct source *s = ad_container_of(l, struct source, link);
        if (s->busy) {
            ad_records_cancel(p->o.records, &s->op);
        }
    }
    ad_timer_start(p->o.timers, &p->close_timer, 0, on_close_timer);
}
