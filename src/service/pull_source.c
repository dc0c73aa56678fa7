#include "pull_private.h"

#define BACKOFF_BASE_MS 500
#define BACKOFF_CAP_MS 60000
/* What is got by id is got by so many at once, each id always by the same. */
#define PARTS 4
/* Asked for at once, and as many again: the pause after the query grows by its usual length. */
#define MANY_IDS 64

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

static bool is_got(const struct ad_object *o)
{
    return o->kind != AD_KIND_OBJECT && o->kind != AD_KIND_LIST;
}

static struct source *source_new(struct ad_pull *p, const struct ad_object *o, unsigned part)
{
    struct source *s = ad_zalloc(sizeof(*s));
    if (!s) {
        return NULL;
    }
    s->pull = p;
    s->object = o;
    s->part = part;
    s->by_get = is_got(o);
    s->ids_max = s->by_get ? 1 : IDS_MAX;
    s->serial = ++p->serial;
    ad_map_init(&s->gathering);
    ad_map_init(&s->flight);
    struct ad_list *const lists[] = { &s->waiting, &s->batch, &s->unseen,
                                      &s->confirm, &s->gone,  &s->later };
    for (size_t i = 0; i < AD_LEN(lists); i++) {
        ad_list_init(lists[i]);
    }
    ad_list_push(&p->sources, &s->link);
    return s;
}

struct source *ad__source_get(struct ad_pull *p, const struct ad_object *o, struct ad_str id)
{
    unsigned part = is_got(o) && id.n ? (unsigned char)id.p[id.n - 1] % PARTS : 0;
    AD_LIST_FOREACH (l, &p->sources) {
        struct source *s = ad_container_of(l, struct source, link);
        if (s->object == o && s->part == part) {
            return s;
        }
    }
    return source_new(p, o, part);
}

void ad__source_free(struct source *s)
{
    ad_timer_stop(s->pull->o.timers, &s->timer);
    ad_timer_stop(s->pull->o.timers, &s->later_timer);
    for (struct ad_map_node *n = ad_map_any(&s->gathering); n; n = ad_map_any(&s->gathering)) {
        ad_map_remove(&s->gathering, n);
    }
    ad__wants_give_up(&s->waiting);
    ad__wants_give_up(&s->later);
    ad_map_fini(&s->gathering);
    ad_map_fini(&s->flight);
    ad_free(s->done);
    ad_list_remove(&s->link);
    ad_free(s);
}

/* ---- the way back ------------------------------------------------------------------------ */

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
void ad__source_requeue(struct source *s, struct ad_list *from)
{
    while (!ad_list_empty(from)) {
        struct want *w = ad_container_of(from->prev, struct want, link);
        ad_list_remove(&w->link);
        struct ad_map_node *node = ad_map_get(&s->gathering, ad_str_c(w->id));
        w->seen = w->dead = w->behind = false;
        if (!node) {
            ad_list_push_front(&s->waiting, &w->link);
            ad_map_put(&s->gathering, &w->node, ad_str_c(w->id));
            continue;
        }
        struct want *other = ad_container_of(node, struct want, node);
        other->deleted = other->deleted || w->deleted;
        other->inherited = other->inherited && w->inherited;
        ad_list_move(&other->claims, &w->claims);
        ad_free(w);
    }
}

void ad__source_flight_clear(struct source *s)
{
    for (struct ad_map_node *n = ad_map_any(&s->flight); n; n = ad_map_any(&s->flight)) {
        ad_map_remove(&s->flight, n);
    }
}

static void all_back(struct source *s)
{
    ad__source_flight_clear(s);
    if (s->confirming) {
        ad_list_push_front(&s->confirm, &s->confirming->link);
        s->confirming = NULL;
    }
    ad__source_requeue(s, &s->gone);
    ad__source_requeue(s, &s->confirm);
    ad__source_requeue(s, &s->unseen);
    ad__source_requeue(s, &s->batch);
    s->serial = ++s->pull->serial; /* what a transaction was to record, it did not */
    s->busy = false;
}

void ad__source_failed(struct source *s, const char *what, enum ad_err err, const char *detail)
{
    all_back(s);
    if (s->pull->closing) {
        ad__pull_maybe_closed(s->pull);
        return;
    }
    backoff(s, what, err, detail);
}

void ad__source_rest(struct source *s)
{
    s->busy = false;
    s->failures = 0;
    if (ad_list_empty(&s->later)) {
        s->later_rounds = 0;
    }
    if (s->pull->closing) {
        ad__pull_maybe_closed(s->pull);
    } else {
        source_next(s);
    }
}

void ad__source_stop(struct source *s)
{
    ad_timer_stop(s->pull->o.timers, &s->later_timer);
    if (s->schema_asked) {
        s->schema_asked = false;
        ad_schema_wait_cancel(s->pull->o.schema, &s->schema);
        all_back(s);
    } else if (s->busy) {
        ad_records_cancel(s->pull->o.records, &s->op);
    }
}

/* ---- the answer -------------------------------------------------------------------------- */

/* Events that there is no memory for are settled by the dispatcher. */
void ad__source_collect(struct source *s, struct want *w)
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
        ad__source_collect(s, w);
        op->done = s->done;
        op->done_n = s->done_n;
    }
}

static struct want *behind_of(struct source *s, struct ad_str id)
{
    struct ad_map_node *node = ad_map_get(&s->flight, id);
    AD_LIST_FOREACH (l, &s->gone) { /* these do not fly any more */
        struct want *w = ad_container_of(l, struct want, link);
        if (ad_str_eq(ad_str_c(w->id), id)) {
            return w;
        }
    }
    return node ? ad_container_of(node, struct want, node) : NULL;
}

static void collect_again(struct source *s, struct want *w)
{
    if (w->seen && !w->behind) {
        ad__source_collect(s, w);
    }
}

/* An answer from before what we know completes nothing: its events are named no more. */
static void on_behind(struct ad_mirror_op *op, struct ad_str record_id)
{
    struct source *s = op->data;
    struct want *late = behind_of(s, record_id);
    if (!late) {
        return;
    }
    late->behind = true;
    s->pull->c_behind->v++;
    s->serial = ++s->pull->serial;
    s->done_n = 0;
    AD_LIST_FOREACH (l, &s->batch) {
        collect_again(s, ad_container_of(l, struct want, link));
    }
    AD_LIST_FOREACH (l, &s->gone) {
        collect_again(s, ad_container_of(l, struct want, link));
    }
    if (s->confirming) {
        collect_again(s, s->confirming);
    }
    op->done = s->done;
    op->done_n = s->done_n;
}

void ad__source_prepare(struct source *s, ad_mirror_cb cb)
{
    s->done_n = 0;
    s->serial = ++s->pull->serial;
    s->apply = (struct ad_mirror_op){
        .object = s->object,
        .version = s->op.version,
        .accurate_ns = s->op.accurate_ns,
        .workspace_id = ad_account_workspace_id(s->pull->o.account),
        .on_record = on_record,
        .on_behind = on_behind,
        .cb = cb,
        .data = s,
    };
}

/* What the query showed is mirrored; the rest is looked into. */
static void on_applied(struct ad_mirror_op *op)
{
    struct source *s = op->data;
    if (op->err) {
        ad__source_failed(s, "mirror_failed", op->err, op->info.msg);
        return;
    }
    AD_LIST_FOREACH_SAFE (l, &s->batch) {
        struct want *w = ad_container_of(l, struct want, link);
        if (w->seen) {
            ad_map_remove(&s->flight, &w->node);
            ad_list_remove(&w->link);
            if (w->behind) {
                ad__later(s, w);
            } else {
                ad__want_end(s, w);
            }
        }
    }
    ad_list_move(&s->unseen, &s->batch);
    if (ad_list_empty(&s->unseen)) {
        ad__source_rest(s);
    } else {
        ad__confirm(s);
    }
}

/* Nobody may be asked about these: each event by itself, again and again, until somebody looks. */
static void forbidden(struct source *s)
{
    ad__source_flight_clear(s);
    while (!ad_list_empty(&s->batch)) {
        ad__want_give_back(s, ad_container_of(s->batch.next, struct want, link),
                           "Attio refuses: does the token lack a scope?");
    }
    ad__source_rest(s);
}

/* Attio does not take the query. Half of it; a single record is left to its own GET. By which ids
 * entries may be asked for is not documented: they begin again with one, and if that is refused are
 * never asked for so again. */
static void refused(struct source *s, size_t asked)
{
    bool list = s->object->kind == AD_KIND_LIST;
    if (asked == 1) {
        s->by_get = list;
        ad__source_flight_clear(s);
        ad_list_move(&s->confirm, &s->batch);
        ad__confirm_next(s);
        return;
    }
    s->ids_max = list ? 1 : asked / 2;
    ad_log(AD_LOG_INFO, "pull_query_halved", AD_KS("object", s->object->slug),
           AD_KI("ids", s->ids_max));
    all_back(s);
    source_next(s);
}

static void on_schema(struct ad_schema_wait *wait)
{
    struct source *s = wait->data;
    s->schema_asked = false;
    if (wait->err || !s->object->gone) {
        ad__source_failed(s, "pull_failed", wait->err ? wait->err : AD_ERR_NOTFOUND, "not found");
        return;
    }
    all_back(s);
    ad_log(AD_LOG_WARN, "collection_gone", AD_KS("object", s->object->slug),
           AD_KI("ids", s->gathering.count), AD_KC("effect", "their events are done"));
    s->pull->c_gone->v += s->gathering.count;
    while (!ad_list_empty(&s->waiting)) {
        struct want *w = ad_container_of(s->waiting.next, struct want, link);
        ad_map_remove(&s->gathering, &w->node);
        ad__want_end(s, w);
    }
    ad__source_rest(s);
}

/* Attio does not know the collection: it is gone, or will be back. */
static void unknown(struct source *s)
{
    s->schema = (struct ad_schema_wait){ .cb = on_schema, .data = s };
    enum ad_err err = ad_schema_refresh(s->pull->o.schema, AD_PRIO_PULL, &s->schema);
    if (err) {
        ad__source_failed(s, "pull_failed", err, "not found");
        return;
    }
    s->schema_asked = true;
}

static void answered(struct source *s, size_t asked)
{
    if (asked == s->ids_max && s->ids_max < IDS_MAX) { /* carefully up again */
        size_t more = s->ids_max + s->ids_max / 8 + 1;
        s->ids_max = more < IDS_MAX ? more : IDS_MAX;
    }
    ad__source_prepare(s, on_applied);
    enum ad_err err = ad_mirror_apply(s->pull->o.mirror, &s->apply, s->op.response);
    if (err) {
        ad__source_failed(s, "mirror_failed", err, s->apply.info.msg);
    }
}

static void on_answer(struct ad_records_op *op)
{
    struct source *s = op->data;
    size_t asked = s->flight.count;
    if (s->pull->closing) {
        ad__source_failed(s, "closing", AD_OK, "");
    } else if (ad__is_refusal(op->err)) {
        refused(s, asked);
    } else if (op->err == AD_ERR_NOTFOUND) {
        unknown(s);
    } else if (op->err == AD_ERR_FORBIDDEN) {
        forbidden(s);
    } else if (op->err) {
        ad__source_failed(s, "pull_failed", op->err, op->info.msg);
    } else {
        answered(s, asked);
    }
}

/* ---- the query --------------------------------------------------------------------------- */

/* Milliseconds to wait so that queries stay apart once half the window is used: ids gather
 * meanwhile, calls are saved. A query for many is followed by a longer wait: in a storm the same
 * records come again and again, and however long it lasts, they are not asked for at every turn. */
static uint64_t pacing_ms(const struct ad_pull *p)
{
    if (ad_client_window_percent(p->o.client) < 50) {
        return 0;
    }
    uint64_t apart = ad_client_interval_ms(p->o.client) / ad_client_interval_cap(p->o.client) + 1;
    apart *= 1 + p->last_query_ids / MANY_IDS;
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

static void query(struct source *s, const struct ad_str *ids, size_t n)
{
    s->op = (struct ad_records_op){
        .object = s->object, .priority = AD_PRIO_PULL, .cb = on_answer, .data = s
    };
    s->pull->c_queries->v++;
    enum ad_err err = ad_records_by_ids(s->pull->o.records, &s->op, ids, n);
    if (err) {
        ad__source_failed(s, "pull_failed", err, s->op.info.msg);
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
        ad__source_soon(s, wait);
        return;
    }
    struct ad_str ids[IDS_MAX];
    size_t n = batch_take(s, ids);
    AD_LIST_FOREACH (l, &s->batch) { /* the answer will also speak for them */
        ad__want_absorb(s, ad_container_of(l, struct want, link));
    }
    s->busy = true;
    p->last_query_ms = ad_mono_ms(p->o.clock);
    p->last_query_ids = n;
    if (s->by_get) {
        ad__source_flight_clear(s);
        ad_list_move(&s->confirm, &s->batch);
        ad__confirm_next(s);
    } else {
        query(s, ids, n);
    }
}
