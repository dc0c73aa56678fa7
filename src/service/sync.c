#include "service/sync.h"

#include "base/json_bind.h"
#include "base/map.h"
#include "service_private.h"

/* A full sync walks an object's records in the order of their creation:
 *
 *   page (created_at >= key) -> mirror (bulk) -> checkpoint -> next page ... -> tail -> done
 *
 * The key is the creation time of the last record seen, so inserts land behind the walk and
 * deletions cannot shift it. Records at exactly the key come again with the next page and are
 * told by their ids. A page that is one single tie is walked through by offset with one record
 * of overlap, and from its start again when the overlap differs. The tail is the last minute
 * once more: records that were committed late under an earlier time. */
#define PAGE 500
#define TAIL_NS (60 * AD_NS_PER_S)
#define FAILURES_MAX 10
#define RETRY_BASE_MS 1000
#define RETRY_CAP_MS 30000
#define TIE_RESTARTS_MAX 5

/* An id at the key: already counted. */
struct seen {
    struct ad_map_node node;
    char id[37];
};

struct run {
    struct ad_list link; /* sync->queue */
    struct ad_sync *sync;
    const struct ad_object *object;
    struct ad_sync_run state;
    struct ad_records_op op;
    struct ad_mirror_op apply;
    struct ad_sync_save save;
    struct ad_timer timer;
    int64_t total;          /* records counted */
    struct ad_map boundary; /* those at the key */
    bool busy;
    unsigned failures, tie_restarts;
    char overlap_id[37]; /* the last page ended with it, in a tie */
    /* of the page being read */
    struct ad_map page; /* ids at its last key */
    unsigned n, again;  /* again: counted before */
    bool mismatch;      /* it does not begin with overlap_id */
    char last_key[40], last_id[37];
};

struct ad_sync {
    struct ad_service *s;
    struct ad_list queue; /* the first one runs */
    struct ad_list known; /* earlier runs, until sync_on_start */
    struct ad_arena arena;
    struct ad_rand rand;
    struct ad_timer timer, period;
    bool closing;
    void (*done)(void *ctx);
    void *done_ctx;
    struct ad_counter *c_pages, *c_records;
    struct ad_gauge *g_active;
};

/* An object's newest run as SQL knew it at start. */
struct known {
    struct ad_list link;
    struct ad_sync_run run;
};

static void page_next(struct run *r);
static void sync_next(struct ad_sync *y);
static void maybe_closed(struct ad_sync *y);

static void key_set(char *to, size_t cap, struct ad_str from)
{
    size_t n = from.n < cap ? from.n : cap - 1;
    if (n) {
        memcpy(to, from.p, n);
    }
    to[n] = '\0';
}

/* ---- the boundary ------------------------------------------------------------------------ */

static void ids_clear(struct ad_map *ids)
{
    for (struct ad_map_node *n = ad_map_any(ids); n; n = ad_map_any(ids)) {
        ad_map_remove(ids, n);
        ad_free(ad_container_of(n, struct seen, node));
    }
}

/* Without memory a record may be counted twice, nothing else. */
static void ids_add(struct ad_map *ids, struct ad_str id)
{
    struct seen *s = id.n < sizeof(s->id) ? ad_zalloc(sizeof(*s)) : NULL;
    if (s) {
        memcpy(s->id, id.p, id.n);
        ad_map_put(ids, &s->node, ad_str_n(s->id, id.n));
    }
}

/* What the page ended with is what the next one may show again. */
static void boundary_follow(struct run *r)
{
    if (strcmp(r->last_key, r->state.key) != 0) {
        ids_clear(&r->boundary);
    }
    for (struct ad_map_node *n = ad_map_any(&r->page); n; n = ad_map_any(&r->page)) {
        struct ad_str key = n->key;
        ad_map_remove(&r->page, n);
        ad_map_put(&r->boundary, n, key);
    }
}

/* ---- ends -------------------------------------------------------------------------------- */

static void run_free(struct run *r)
{
    ad_timer_stop(r->sync->s->o.timers, &r->timer);
    ad_list_remove(&r->link);
    ids_clear(&r->boundary);
    ids_clear(&r->page);
    ad_map_fini(&r->boundary);
    ad_map_fini(&r->page);
    ad_free(r);
}

static void on_finish_saved(struct ad_sync_save *save)
{
    struct run *r = save->data;
    struct ad_sync *y = r->sync;
    const struct ad_sync_run *st = &r->state;
    r->busy = false;
    if (save->err) { /* the next start finds it unfinished and resumes it */
        ad_log(AD_LOG_WARN, "sync_end_not_recorded", AD_KS("object", r->object->slug),
               AD_KE("error", save->err), AD_KC("detail", save->info.msg));
    }
    ad_log(
        st->phase == AD_SYNC_DONE ? AD_LOG_INFO : AD_LOG_ERROR,
        st->phase == AD_SYNC_DONE ? "sync_done" : "sync_failed", AD_KS("object", r->object->slug),
        AD_KI("seen", st->seen), AD_KI("created", st->created), AD_KI("updated", st->updated),
        AD_KI("unchanged", st->unchanged), AD_KI("pages", st->pages),
        AD_KI("ms", (st->finished_ns - st->started_ns) / AD_NS_PER_MS), AD_KC("error", st->error));
    run_free(r);
    y->g_active->v--;
    if (y->closing) {
        maybe_closed(y);
        return;
    }
    sync_next(y);
}

/* A run that is resumed reads the records at its key again: they are not counted until it has
 * left them behind. */
static void save(struct run *r, void (*cb)(struct ad_sync_save *s))
{
    bool walks = r->state.phase == AD_SYNC_WALK;
    r->state.seen = r->total - (walks ? (int64_t)r->boundary.count : 0);
    r->save = (struct ad_sync_save){ .run = &r->state, .cb = cb, .data = r };
    r->busy = true;
    r->save.err = ad_sync_save(r->sync->s->o.sync_state, &r->save);
    if (r->save.err) {
        cb(&r->save);
    }
}

static void run_finish(struct run *r, enum ad_sync_phase phase, const char *error)
{
    r->state.phase = phase;
    r->state.finished_ns = ad_wall_ns(r->sync->s->o.clock);
    key_set(r->state.error, sizeof(r->state.error), ad_str_c(error));
    save(r, on_finish_saved);
}

static void on_run_timer(struct ad_timer *t)
{
    page_next(ad_container_of(t, struct run, timer));
}

/* The page is asked for again after a pause; a run that cannot get on at all is failed, never
 * complete. */
static void page_failed(struct run *r, enum ad_err err, const char *detail)
{
    struct ad_sync *y = r->sync;
    r->busy = false;
    if (y->closing) {
        maybe_closed(y);
        return;
    }
    if (++r->failures > FAILURES_MAX || !ad_err_retryable(err)) {
        run_finish(r, AD_SYNC_FAILED, detail && *detail ? detail : ad_err_text(err));
        return;
    }
    uint64_t cap = (uint64_t)RETRY_BASE_MS << (r->failures < 6 ? r->failures : 6);
    cap = cap < RETRY_CAP_MS ? cap : RETRY_CAP_MS;
    uint64_t wait = cap / 2 + ad_rand_below(&y->rand, cap / 2 + 1);
    ad_log(AD_LOG_WARN, "sync_page_failed", AD_KS("object", r->object->slug), AD_KE("error", err),
           AD_KC("detail", detail), AD_KI("retry_in_ms", wait));
    ad_timer_start(y->s->o.timers, &r->timer, wait, on_run_timer);
}

/* ---- walking ----------------------------------------------------------------------------- */

static void tail_begin(struct run *r)
{
    int64_t ns;
    r->state.phase = AD_SYNC_TAIL;
    if (ad_time_parse(ad_str_c(r->state.key), &ns)) {
        char text[AD_TIME_MAX];
        key_set(r->state.key, sizeof(r->state.key), ad_time_format(ns - TAIL_NS, 9, text));
    }
    r->state.offset = 0;
}

/* Where the next page begins. False: the walk is over. */
static bool advance(struct run *r)
{
    struct ad_sync_run *st = &r->state;
    if (r->mismatch) {
        st->offset = 0; /* the tie changed under us: from its start */
        return ++r->tie_restarts <= TIE_RESTARTS_MAX;
    }
    if (r->n < PAGE) {
        return false;
    }
    if (strcmp(r->last_key, st->key) != 0) {
        key_set(st->key, sizeof(st->key), ad_str_c(r->last_key));
        st->offset = 0;
        r->tie_restarts = 0;
        return true;
    }
    st->offset += PAGE - 1;
    memcpy(r->overlap_id, r->last_id, sizeof(r->overlap_id));
    return true;
}

static void on_saved(struct ad_sync_save *s)
{
    struct run *r = s->data;
    r->busy = false;
    if (r->sync->closing) {
        maybe_closed(r->sync);
        return;
    }
    if (s->err) {
        page_failed(r, s->err, s->info.msg); /* the page is read again: nothing is lost */
        return;
    }
    page_next(r);
}

/* An answer that is not in the order of creation would lead the walk in circles. */
static bool is_backwards(const struct run *r)
{
    int64_t key;
    int64_t last;
    return ad_time_parse(ad_str_c(r->state.key), &key) &&
           ad_time_parse(ad_str_c(r->last_key), &last) && last < key;
}

static void page_done(struct run *r)
{
    struct ad_sync_run *st = &r->state;
    if (is_backwards(r)) {
        run_finish(r, AD_SYNC_FAILED, "Attio's answer is not in the order of creation");
        return;
    }
    bool more = advance(r);
    if (r->tie_restarts > TIE_RESTARTS_MAX) {
        run_finish(r, AD_SYNC_FAILED,
                   "records of one creation time change faster than they can be read");
        return;
    }
    if (!more && st->phase == AD_SYNC_WALK && r->n > 0) {
        key_set(st->key, sizeof(st->key), ad_str_c(r->last_key));
        tail_begin(r);
        more = true;
    }
    if (!more) {
        run_finish(r, AD_SYNC_DONE, "");
        return;
    }
    save(r, on_saved);
}

/* A page that must be read again from its tie's start counts then. In the tail only what is new
 * counts: the others were counted on the walk. */
static void count(struct run *r, const struct ad_mirror_op *op)
{
    struct ad_sync_run *st = &r->state;
    st->pages++;
    st->created += op->created;
    st->updated += op->updated;
    if (st->phase == AD_SYNC_TAIL) {
        r->total += op->created;
    } else if (!r->mismatch) {
        unsigned same = op->unchanged + op->stale;
        st->unchanged += same - (r->again < same ? r->again : same);
        r->total += r->n - r->again;
        boundary_follow(r);
    }
    r->sync->c_pages->v++;
    r->sync->c_records->v += op->seen;
}

static void on_applied(struct ad_mirror_op *op)
{
    struct run *r = op->data;
    if (op->err) {
        page_failed(r, op->err, op->info.msg);
        return;
    }
    r->failures = 0;
    r->busy = false;
    count(r, op);
    if (r->sync->closing) {
        maybe_closed(r->sync);
        return;
    }
    page_done(r);
}

static void on_record(struct ad_mirror_op *op, struct ad_str record_id, struct ad_str created_at)
{
    struct run *r = op->data;
    if (r->n++ == 0 && ad_str_eq(record_id, ad_str_c(r->overlap_id))) {
        r->mismatch = false;
    }
    if (!ad_str_eq(created_at, ad_str_c(r->last_key))) {
        ids_clear(&r->page);
        key_set(r->last_key, sizeof(r->last_key), created_at);
    }
    if (ad_map_get(&r->boundary, record_id) || ad_map_get(&r->page, record_id)) {
        r->again++;
    } else {
        ids_add(&r->page, record_id);
    }
    key_set(r->last_id, sizeof(r->last_id), record_id);
}

static void on_page(struct ad_records_op *op)
{
    struct run *r = op->data;
    struct ad_service *s = r->sync->s;
    if (op->err || r->sync->closing) {
        page_failed(r, op->err, op->info.msg);
        return;
    }
    if (r->state.version == 0) {
        r->state.version = op->version;
    }
    r->n = r->again = 0;
    r->mismatch = r->state.offset > 0; /* until the first record proves otherwise */
    ids_clear(&r->page);
    key_set(r->last_key, sizeof(r->last_key), ad_str_c(r->state.key));
    r->apply = (struct ad_mirror_op){
        .object = r->object,
        .version = op->version,
        .accurate_ns = op->accurate_ns,
        .workspace_id = ad_account_workspace_id(s->o.account),
        .bulk = true,
        .on_record = on_record,
        .cb = on_applied,
        .data = r,
    };
    enum ad_err err = ad_mirror_apply(s->o.mirror, &r->apply, op->response);
    if (err) {
        page_failed(r, err, r->apply.info.msg);
    }
}

static void page_next(struct run *r)
{
    struct ad_service *s = r->sync->s;
    struct ad_records_page page = {
        .from = *r->state.key ? ad_str_c(r->state.key) : AD_STR_NONE,
        .limit = PAGE,
        .offset = r->state.offset,
    };
    r->op = (struct ad_records_op){
        .object = r->object, .priority = AD_PRIO_BACKFILL, .cb = on_page, .data = r
    };
    r->busy = true;
    r->state.calls++;
    enum ad_err err = ad_records_page(s->o.records, &r->op, &page);
    if (err) {
        page_failed(r, err, ad_err_text(err));
    }
}

/* ---- the queue of runs ------------------------------------------------------------------- */

static void sync_next(struct ad_sync *y)
{
    if (ad_list_empty(&y->queue) || y->closing) {
        return;
    }
    struct run *r = ad_container_of(y->queue.next, struct run, link);
    if (r->busy || ad_timer_running(&r->timer)) {
        return;
    }
    if (r->state.phase == AD_SYNC_IDLE) {
        r->state.phase = AD_SYNC_WALK;
    }
    ad_log(AD_LOG_INFO, "sync_started", AD_KS("object", r->object->slug),
           AD_KB("resumed", r->state.pages > 0));
    page_next(r);
}

static void on_queued(struct ad_sync_save *queued)
{
    struct run *r = queued->data;
    r->busy = false;
    if (r->sync->closing) {
        maybe_closed(r->sync);
        return;
    }
    sync_next(r->sync);
}

static struct run *run_of(struct ad_sync *y, const struct ad_object *o)
{
    AD_LIST_FOREACH (l, &y->queue) {
        struct run *r = ad_container_of(l, struct run, link);
        if (r->object == o) {
            return r;
        }
    }
    return NULL;
}

/* `from`: a run to resume, or NULL. */
static enum ad_err run_new(struct ad_sync *y, const struct ad_object *o,
                           const struct ad_sync_run *from, int64_t *id)
{
    struct run *r = run_of(y, o);
    bool is_new = false;
    if (!r) {
        r = ad_zalloc(sizeof(*r));
        if (!r) {
            return AD_ERR_NOMEM;
        }
        r->sync = y;
        r->object = o;
        ad_map_init(&r->boundary);
        ad_map_init(&r->page);
        if (from) {
            r->state = *from;
            r->total = from->seen;
            r->state.offset = 0; /* the overlap is not known any more */
        } else {
            r->state.id = ad_versions_next(y->s->o.versions);
            r->state.started_ns = ad_wall_ns(y->s->o.clock);
        }
        if (r->state.id == 0) { /* no number could be reserved: the database is in trouble */
            ad_free(r);
            return AD_ERR_STORE;
        }
        r->state.object_id = o->id;
        r->state.object_slug = o->slug;
        ad_list_push(&y->queue, &r->link);
        y->g_active->v++;
        is_new = true;
    }
    if (id) {
        *id = r->state.id;
    }
    if (is_new) {
        save(r, on_queued); /* it may be over already */
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

enum ad_err ad_service_sync_start(struct ad_service *s, struct ad_str object, int64_t *run_id,
                                  struct ad_errinfo *info)
{
    enum ad_err err = usable(s, info);
    if (err) {
        return err;
    }
    const struct ad_object *o = ad_schema_object(s->o.schema, object);
    if (o) {
        return run_new(s->sync, o, NULL, run_id);
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
        if (ad_str_eq(ad_str_c(*c), o->slug) || ad_str_eq(ad_str_c(*c), o->id)) {
            return true;
        }
    }
    return !s->o.sync_objects;
}

enum ad_err ad_service_sync_all(struct ad_service *s, unsigned *runs, struct ad_errinfo *info)
{
    enum ad_err err = usable(s, info);
    *runs = 0;
    if (err) {
        return err;
    }
    AD_LIST_FOREACH (l, ad_schema_objects(s->o.schema)) {
        const struct ad_object *o = ad_container_of(l, struct ad_object, link);
        if (configured(s, o)) {
            err = run_new(s->sync, o, NULL, NULL);
            if (err) {
                return ad_fail(info, err, "%s", ad_err_text(err));
            }
            (*runs)++;
        }
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
    AD_LIST_FOREACH (l, ad_schema_objects(y->s->o.schema)) {
        const struct ad_object *o = ad_container_of(l, struct ad_object, link);
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
    enum ad_err err = ad_service_sync_all(y->s, &runs, &info);
    if (err) {
        ad_log(AD_LOG_WARN, "periodic_sync_not_started", AD_KE("error", err),
               AD_KC("detail", info.msg));
    }
    ad_timer_start(y->s->o.timers, &y->period, y->s->o.sync_period_ms, on_period);
}

static void start_all(struct ad_sync *y)
{
    AD_LIST_FOREACH (l, ad_schema_objects(y->s->o.schema)) {
        const struct ad_object *o = ad_container_of(l, struct ad_object, link);
        const struct ad_sync_run *k = known_run(y, o);
        if (!configured(y->s, o) || (k && k->phase == AD_SYNC_DONE)) {
            continue;
        }
        bool resume = k && k->phase != AD_SYNC_FAILED;
        enum ad_err err = run_new(y, o, resume ? k : NULL, NULL);
        if (err) {
            ad_log(AD_LOG_WARN, "sync_not_started", AD_KS("object", o->slug), AD_KE("error", err));
        }
    }
}

void ad__sync_on_start(struct ad_sync *y)
{
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
    y->g_active = ad_metric_gauge(s->o.metrics, "attiod_sync_active_runs", NULL,
                                  "Full syncs under way or in line.");
    *out = y;
    return AD_OK;
}

static void maybe_closed(struct ad_sync *y)
{
    AD_LIST_FOREACH (l, &y->queue) {
        if (ad_container_of(l, struct run, link)->busy) {
            return;
        }
    }
    while (!ad_list_empty(&y->queue)) {
        run_free(ad_container_of(y->queue.next, struct run, link)); /* its checkpoint is in SQL */
    }
    void (*done)(void *ctx) = y->done;
    void *ctx = y->done_ctx;
    ad_timer_stop(y->s->o.timers, &y->timer);
    ad_timer_stop(y->s->o.timers, &y->period);
    ad_arena_fini(&y->arena);
    ad_free(y);
    done(ctx);
}

static void on_close_timer(struct ad_timer *t)
{
    maybe_closed(ad_container_of(t, struct ad_sync, timer));
}

void ad__sync_close(struct ad_sync *y, void (*done)(void *ctx), void *ctx)
{
    y->closing = true;
    y->done = done;
    y->done_ctx = ctx;
    AD_LIST_FOREACH (l, &y->queue) {
        struct run *r = ad_container_of(l, struct run, link);
        if (r->busy) {
            ad_records_cancel(y->s->o.records, &r->op);
        }
    }
    ad_timer_start(y->s->o.timers, &y->timer, 0, on_close_timer);
}

/* ---- listing ----------------------------------------------------------------------------- */

struct listing {
    struct ad_sync_list list;
    struct ad_service *s;
    struct ad_service_query *q;
};

static void on_listed(struct ad_sync_list *l)
{
    struct listing *w = l->data;
    struct ad_service_query *q = w->q;
    q->err = l->err;
    q->info = l->info;
    struct ad_service *s = w->s;
    ad_free(w);
    q->cb(q);
    ad__question_end(s);
}

enum ad_err ad_service_sync_list(struct ad_service *s, struct ad_service_query *q)
{
    if (s->closing) {
        return AD_ERR_CLOSED;
    }
    struct listing *w = ad_zalloc(sizeof(*w));
    if (!w) {
        return AD_ERR_NOMEM;
    }
    w->q = q;
    w->s = s;
    w->list = (struct ad_sync_list){ .out = q->out, .cb = on_listed, .data = w };
    enum ad_err err = ad_sync_list(s->o.sync_state, &w->list);
    if (err) {
        ad_free(w);
    } else {
        ad__question_begin(s);
    }
    return err;
}
