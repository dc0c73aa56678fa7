#include "pull_private.h"

/* Attio's page size; a query with that many ids is known to work, more is not known. */
#define IDS_MAX 500
#define BACKOFF_BASE_MS 500
#define BACKOFF_CAP_MS 60000
/* Merges are applied within seconds. */
#define MERGING_WAIT_MS 2000

static void source_next(struct source *s);

static void on_source_timer(struct ad_timer *t)
{
    source_next(ad_container_of(t, struct source, timer));
}

void ad__source_soon(struct source *s, uint64_t delay_ms)
{
    if (!s->busy && !ad_timer_running(&s->timer)) {
        ad_timer_start(s->pull->o.timers, &s->timer, delay_ms, on_source_timer);
    }
}

struct source *ad__source_get(struct ad_pull *p, const struct ad_object *o)
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
    ad__source_soon(s, wait);
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
        ad__pull_maybe_closed(s->pull);
        return;
    }
    backoff(s, what, err, detail);
}

/* The events that this want's record completes, if it is the last thing their jobs wait for. Those
 * that there is no memory for are settled by the dispatcher. */
static void collect_done(struct source *s, struct want *w)
{
    AD_LIST_FOREACH (l, &w->claims) {
        struct ad_pull_job *job = ad_container_of(l, struct claim, link)->job;
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
        ad__want_end(s, ad_container_of(s->batch.next, struct want, link));
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
        ad__pull_maybe_closed(s->pull);
    } else if (s->merging) {
        s->merging = false;
        ad__source_soon(s, MERGING_WAIT_MS);
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
        ad__want_end(s, ad_container_of(s->gone.next, struct want, link));
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
    ad__want_end(s, w);
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
    ad__want_end(s, w);
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

static void source_next(struct source *s)
{
    struct ad_pull *p = s->pull;
    if (s->busy || p->closing || ad_timer_running(&s->timer) || ad_list_empty(&s->waiting)) {
        return;
    }
    uint64_t wait = pacing_ms(p);
    if (wait > 0) {
        ad__source_soon(s, wait);
        return;
    }
    struct ad_str ids[IDS_MAX];
    size_t n = batch_take(s, ids);
    AD_LIST_FOREACH (l, &s->batch) { /* the answer will also speak for them */
        ad__want_absorb(ad_container_of(l, struct want, link));
    }
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

void ad__source_free(struct source *s)
{
    ad_timer_stop(s->pull->o.timers, &s->timer);
    for (struct ad_map_node *n = ad_map_any(&s->gathering); n; n = ad_map_any(&s->gathering)) {
        ad_map_remove(&s->gathering, n);
    }
    ad__wants_give_up(&s->waiting);
    ad_map_fini(&s->gathering);
    ad_map_fini(&s->flight);
    ad_free(s->done);
    ad_list_remove(&s->link);
    ad_free(s);
}
