#include "service/sync.h"

#include "base/json_bind.h"
#include "sync_private.h"

/* An object's newest run as SQL knew it at start. */
struct known {
    struct ad_list link;
    struct ad_sync_run run;
};

/* ---- the queue of runs ------------------------------------------------------------------- */

void ad__sync_next(struct ad_sync *y)
{
    if (ad_list_empty(&y->queue) || y->closing) {
        return;
    }
    struct ad__sync_run *r = ad_container_of(y->queue.next, struct ad__sync_run, link);
    if (r->ops == 0 && !ad_timer_running(&r->timer)) {
        ad__sync_run_go(r);
    }
}

bool ad__sync_yield(struct ad__sync_run *r)
{
    struct ad_sync *y = r->sync;
    AD_LIST_FOREACH (l, &y->queue) {
        if (ad_container_of(l, struct ad__sync_run, link)->object != r->object) {
            ad_list_remove(&r->link);
            ad_list_push(&y->queue, &r->link);
            ad__sync_next(y);
            return true;
        }
    }
    return false;
}

void ad__sync_run_over(struct ad_sync *y)
{
    y->g_active->v--;
    if (y->closing) {
        ad__sync_maybe_closed(y);
    } else {
        ad__sync_next(y);
    }
}

static struct ad__sync_run *run_of(struct ad_sync *y, const struct ad_object *o, bool dry_run)
{
    AD_LIST_FOREACH (l, &y->queue) {
        struct ad__sync_run *r = ad_container_of(l, struct ad__sync_run, link);
        if (r->object == o && r->state.dry_run == dry_run) {
            return r;
        }
    }
    return NULL;
}

/* `from`: a run to resume, or NULL. */
static enum ad_err run_new(struct ad_sync *y, const struct ad_object *o,
                           const struct ad_sync_run *from, bool dry_run, int64_t *id)
{
    struct ad__sync_run *r = run_of(y, o, dry_run);
    bool is_new = !r;
    enum ad_err err = is_new ? ad__sync_run_new(y, o, from, dry_run, &r) : AD_OK;
    if (err) {
        return err;
    }
    if (id) {
        *id = r->state.id;
    }
    if (is_new) {
        ad_list_push(&y->queue, &r->link);
        y->g_active->v++;
        ad__sync_run_record(r); /* it may be over already */
    }
    return AD_OK;
}

static const char **slugs_of(struct ad_service *s, size_t *n)
{
    *n = 0;
    AD_LIST_FOREACH (l, ad_schema_objects(s->o.schema)) {
        (*n)++;
    }
    const char **list = ad_alloc_array(*n + 1, sizeof(*list));
    size_t i = 0;
    if (list) {
        AD_LIST_FOREACH (l, ad_schema_objects(s->o.schema)) {
            list[i++] = ad_container_of(l, struct ad_object, link)->slug.p;
        }
    }
    return list;
}

static enum ad_err usable(struct ad_service *s, struct ad_errinfo *info)
{
    if (s->closing) {
        return ad_fail(info, AD_ERR_CLOSED, "closing");
    }
    if (!ad_client_enabled(s->o.client)) {
        return ad_fail(info, AD_ERR_DISABLED, "calls to Attio are switched off (ATTIO_ENABLED)");
    }
    if (!ad_schema_known(s->o.schema) || !ad_account_workspace_id(s->o.account).n) {
        return ad_fail(info, AD_ERR_BUSY, "Attio's schema is not known yet");
    }
    return AD_OK;
}

enum ad_err ad_service_sync_start(struct ad_service *s, struct ad_str object, bool dry_run,
                                  int64_t *run_id, struct ad_errinfo *info)
{
    enum ad_err err = usable(s, info);
    if (err) {
        return err;
    }
    const struct ad_object *o = ad_schema_find(s->o.schema, object);
    if (o) {
        return run_new(s->sync, o, NULL, dry_run, run_id);
    }
    size_t n;
    const char **list = slugs_of(s, &n);
    const char *near = list ? ad_did_you_mean(object, list) : NULL;
    err = ad_fail(info, AD_ERR_NOTFOUND, "no object '%.*s'%s%s%s", AD_FMT(object),
                  near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    ad_free(list);
    return err;
}

static bool configured(const struct ad_service *s, const struct ad_object *o)
{
    if (o->gone) {
        return false;
    }
    for (const char *const *c = s->o.sync_objects; c && *c; c++) {
        if (ad_schema_find(s->o.schema, ad_str_c(*c)) == o) {
            return true;
        }
    }
    return o->kind == AD_KIND_COMMENT ? s->o.sync_comments : !s->o.sync_objects;
}

/* The next one that is configured: records and entries first, then what hangs on them. */
static const struct ad_object *next_object(const struct ad_service *s,
                                           const struct ad_object *after)
{
    const struct ad_schema *schema = s->o.schema;
    bool activity = after && after->kind > AD_KIND_LIST;
    const struct ad_object *o = ad_schema_next(schema, after);
    for (;;) {
        for (; o; o = ad_schema_next(schema, o)) {
            if ((o->kind > AD_KIND_LIST) == activity && configured(s, o)) {
                return o;
            }
        }
        if (activity) {
            return NULL;
        }
        activity = true;
        o = ad_schema_next(schema, NULL);
    }
}

enum ad_err ad_service_sync_all(struct ad_service *s, bool dry_run, unsigned *runs,
                                struct ad_errinfo *info)
{
    enum ad_err err = usable(s, info);
    *runs = 0;
    if (err) {
        return err;
    }
    for (const struct ad_object *o = next_object(s, NULL); o; o = next_object(s, o)) {
        err = run_new(s->sync, o, NULL, dry_run, NULL);
        if (err) {
            return ad_fail(info, err, "%s", ad_err_text(err));
        }
        (*runs)++;
    }
    return AD_OK;
}

static const struct ad_sync_run *known_run(struct ad_sync *y, const struct ad_object *o)
{
    AD_LIST_FOREACH (l, &y->known) {
        const struct known *k = ad_container_of(l, struct known, link);
        if (ad_str_eq(k->run.object_id, o->id)) {
            return &k->run;
        }
    }
    return NULL;
}

void ad__sync_load(struct ad_sync *y)
{
    const struct ad_schema *schema = y->s->o.schema;
    for (const struct ad_object *o = ad_schema_next(schema, NULL); o;
         o = ad_schema_next(schema, o)) {
        struct known *k = ad_arena_zalloc(&y->arena, sizeof(*k));
        if (k && !ad_sync_newest(y->s->o.sync_state, o->id, &y->arena, &k->run)) {
            ad_list_push(&y->known, &k->link);
        }
    }
}

static void on_period(struct ad_timer *t)
{
    struct ad_sync *y = ad_container_of(t, struct ad_sync, period);
    struct ad_errinfo info = { 0 };
    unsigned runs;
    enum ad_err err = ad_service_sync_all(y->s, false, &runs, &info);
    if (err) {
        ad_log(AD_LOG_WARN, "periodic_sync_not_started", AD_KE("error", err),
               AD_KC("detail", info.msg));
    }
    ad_timer_start(y->s->o.timers, &y->period, y->s->o.sync_period_ms, on_period);
}

static bool is_unfinished(const struct ad_sync_run *k)
{
    return k && k->phase != AD_SYNC_DONE && k->phase != AD_SYNC_FAILED;
}

static void start_one(struct ad_sync *y, const struct ad_object *o, const struct ad_sync_run *from)
{
    enum ad_err err = run_new(y, o, from, false, NULL);
    if (err) {
        ad_log(AD_LOG_WARN, "sync_not_started", AD_KS("object", o->slug), AD_KE("error", err));
    }
}

static void start_all(struct ad_sync *y)
{
    for (const struct ad_object *o = next_object(y->s, NULL); o; o = next_object(y->s, o)) {
        const struct ad_sync_run *k = known_run(y, o);
        if (k && k->phase == AD_SYNC_DONE) {
            continue;
        }
        start_one(y, o, is_unfinished(k) ? k : NULL);
    }
    /* What an operator had asked for besides. */
    const struct ad_schema *schema = y->s->o.schema;
    for (const struct ad_object *o = ad_schema_next(schema, NULL); o;
         o = ad_schema_next(schema, o)) {
        const struct ad_sync_run *k = known_run(y, o);
        if (!o->gone && !configured(y->s, o) && is_unfinished(k)) {
            start_one(y, o, k);
        }
    }
}

bool ad__sync_wanted(struct ad_sync *y, const struct ad_object *o)
{
    if (!configured(y->s, o)) {
        return false;
    }
    enum ad_err err = usable(y->s, NULL);
    err = err ? err : run_new(y, o, NULL, false, NULL);
    if (err) {
        ad_log(AD_LOG_WARN, "sync_not_started", AD_KS("object", o->slug), AD_KE("error", err));
    }
    return true;
}

void ad__sync_on_start(struct ad_sync *y)
{
    ad__sync_prune_begin(y);
    if (y->s->o.sync_on_start) {
        start_all(y);
    }
    if (y->s->o.sync_period_ms && !ad_timer_running(&y->period)) {
        ad_timer_start(y->s->o.timers, &y->period, y->s->o.sync_period_ms, on_period);
    }
}

size_t ad__sync_active(const struct ad_sync *y)
{
    return (size_t)y->g_active->v;
}

/* ---- open and close ---------------------------------------------------------------------- */

enum ad_err ad__sync_open(struct ad_service *s, struct ad_sync **out)
{
    struct ad_sync *y = ad_zalloc(sizeof(*y));
    if (!y) {
        return AD_ERR_NOMEM;
    }
    y->s = s;
    ad_list_init(&y->queue);
    ad_list_init(&y->known);
    ad_arena_init(&y->arena, (size_t)1024 * 1024);
    ad_rand_seed(&y->rand, s->o.seed ^ 0x57c);
    y->c_pages = ad_metric_counter(s->o.metrics, "attiod_sync_pages_total", NULL,
                                   "Pages read by full syncs.");
    y->c_records = ad_metric_counter(s->o.metrics, "attiod_sync_records_total", NULL,
                                     "Records read by full syncs.");
    y->c_deleted = ad_metric_counter(s->o.metrics, "attiod_sync_deleted_total", NULL,
                                     "Deletions found by full syncs.");
    y->c_checks = ad_metric_counter(s->o.metrics, "attiod_sync_confirmations_total", NULL,
                                    "Records that a page did not show, read one by one.");
    y->c_pruned = ad_metric_counter(s->o.metrics, "attiod_mirror_tombstones_pruned_total", NULL,
                                    "Tombstones that were old enough to go.");
    y->g_active = ad_metric_gauge(s->o.metrics, "attiod_sync_active_runs", NULL,
                                  "Full syncs under way or in line.");
    *out = y;
    return AD_OK;
}

void ad__sync_maybe_closed(struct ad_sync *y)
{
    if (y->pruning) {
        return;
    }
    AD_LIST_FOREACH (l, &y->queue) {
        const struct ad__sync_run *r = ad_container_of(l, struct ad__sync_run, link);
        if (r->ops > 0 || r->ahead.busy) {
            return;
        }
    }
    while (!ad_list_empty(&y->queue)) {
        ad__sync_run_free(/* its checkpoint is in SQL */
                          ad_container_of(y->queue.next, struct ad__sync_run, link));
    }
    void (*done)(void *ctx) = y->done;
    void *ctx = y->done_ctx;
    ad_timer_stop(y->s->o.timers, &y->timer);
    ad_timer_stop(y->s->o.timers, &y->period);
    ad_timer_stop(y->s->o.timers, &y->prune_timer);
    ad_arena_fini(&y->arena);
    ad_free(y);
    done(ctx);
}

static void on_close_timer(struct ad_timer *t)
{
    ad__sync_maybe_closed(ad_container_of(t, struct ad_sync, timer));
}

void ad__sync_close(struct ad_sync *y, void (*done)(void *ctx), void *ctx)
{
    y->closing = true;
    y->done = done;
    y->done_ctx = ctx;
    AD_LIST_FOREACH (l, &y->queue) {
        ad__sync_run_cancel(ad_container_of(l, struct ad__sync_run, link));
    }
    ad_timer_start(y->s->o.timers, &y->timer, 0, on_close_timer);
}
