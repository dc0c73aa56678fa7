/* One run walks an object's records in the order of their creation:
 *
 *   page (created_at >= key) -> mirror (bulk) -> deletions -> checkpoint -> next page ...
 *        -> tail -> done
 *
 * The key is the creation time of the last record seen, so inserts land behind the walk and
 * deletions cannot shift it. Records at exactly the key come again with the next page and are
 * told by their ids. A page that is one single tie is walked through by offset with one record of
 * overlap. Where that was not seen before, records before it are gone: some steps back, and with a
 * larger overlap from there. Where the order is another one, from the tie's start again. The tail is the last minute
 * once more: records that were committed late under an earlier time.
 *
 * Notes, tasks and members cannot be asked for by time. They are walked as if all of them were one
 * tie: by offset, with one of overlap.
 *
 * What fails is tried again, after pauses that grow. Only what cannot get better ends a run. */
#include "sync_private.h"

#define TAIL_NS (60 * AD_NS_PER_S)
#define RETRY_BASE_MS 1000
#define RETRY_CAP_MS 60000
#define TIE_RESTARTS_MAX 5
#define NONSENSE_MAX 5
#define OVERLAP_STEP 8 /* the first step back: that part of a page */

static void text_set(char *to, size_t cap, const char *from)
{
    size_t n = strlen(from);
    n = n < cap ? n : cap - 1;
    memcpy(to, from, n);
    to[n] = '\0';
}

static void key_set(struct ad__sync_run *r, int64_t ns)
{
    r->key_ns = ns;
    (void)ad_time_format(ns, 9, r->state.key);
}

/* ---- ends -------------------------------------------------------------------------------- */

void ad__sync_run_free(struct ad__sync_run *r)
{
    ad_timer_stop(r->sync->s->o.timers, &r->timer);
    ad_list_remove(&r->link);
    ad__sync_ids_fini(&r->boundary);
    ad__sync_ids_fini(&r->page.ids);
    ad_free(r->page.items);
    ad_buf_fini(&r->text);
    ad_buf_fini(&r->ahead.text);
    ad_free(r->candidates);
    ad_free(r->places.ids);
    ad_free(r);
}

static bool is_comments(const struct ad__sync_run *r)
{
    return r->object->kind == AD_KIND_COMMENT;
}

/* A run that is resumed reads the records at its key again: they are not counted until it has
 * left them behind. */
static void save(struct ad__sync_run *r, void (*cb)(struct ad_sync_save *s))
{
    bool walks = r->state.phase == AD_SYNC_WALK && !is_comments(r);
    int64_t unchanged = r->total - r->state.created - r->state.updated;
    r->state.unchanged = unchanged > 0 ? unchanged : 0;
    r->state.seen = r->total - (walks ? (int64_t)r->boundary.n : 0);
    r->save = (struct ad_sync_save){ .run = &r->state, .cb = cb, .data = r };
    r->ops++;
    if (r->state.dry_run) {
        ad_sync_keep_dry(r->sync->s->o.sync_state, &r->state);
        cb(&r->save);
        return;
    }
    r->save.err = ad_sync_save(r->sync->s->o.sync_state, &r->save);
    if (r->save.err) {
        cb(&r->save);
    }
}

static uint64_t pause_ms(struct ad__sync_run *r)
{
    uint64_t cap = (uint64_t)RETRY_BASE_MS << (r->failures < 6 ? r->failures : 6);
    cap = cap < RETRY_CAP_MS ? cap : RETRY_CAP_MS;
    r->failures++;
    return cap / 2 + ad_rand_below(&r->sync->rand, cap / 2 + 1);
}

static void log_end(const struct ad__sync_run *r)
{
    const struct ad_sync_run *st = &r->state;
    bool done = st->phase == AD_SYNC_DONE;
    ad_log(done ? AD_LOG_INFO : AD_LOG_ERROR, done ? "sync_done" : "sync_failed",
           AD_KC("object", r->name), AD_KI("seen", st->seen), AD_KI("created", st->created),
           AD_KI("updated", st->updated), AD_KI("unchanged", st->unchanged),
           AD_KI("deleted", st->deleted), AD_KI("pages", st->pages),
           AD_KI("ms", (st->finished_ns - st->started_ns) / AD_NS_PER_MS),
           AD_KC("error", st->error));
}

static void on_end_timer(struct ad_timer *t)
{
    ad__sync_run_end(ad_container_of(t, struct ad__sync_run, timer));
}

static void on_end_saved(struct ad_sync_save *s)
{
    struct ad__sync_run *r = s->data;
    struct ad_sync *y = r->sync;
    r->ops--;
    if (s->err && !y->closing) {
        uint64_t wait = pause_ms(r);
        ad_log(AD_LOG_WARN, "sync_end_not_recorded", AD_KC("object", r->name),
               AD_KE("error", s->err), AD_KC("detail", s->info.msg), AD_KI("retry_in_ms", wait));
        ad_timer_start(y->s->o.timers, &r->timer, wait, on_end_timer);
        return;
    }
    if (!s->err) {
        log_end(r);
    }
    ad__sync_run_free(r);
    ad__sync_run_over(y);
}

/* The end is told until it is recorded. Should the process end before that, the next one goes on
 * from the last page. */
void ad__sync_run_end(struct ad__sync_run *r)
{
    save(r, on_end_saved);
}

/* A page that was asked for ahead calls back first: the run waits for it as for an operation. */
static void run_finish(struct ad__sync_run *r, enum ad_sync_phase phase, const char *error)
{
    r->failures = 0;
    r->state.phase = phase;
    r->state.finished_ns = ad_wall_ns(r->sync->s->o.clock);
    text_set(r->state.error, sizeof(r->state.error), error);
    ad__sync_ahead_drop(r);
    r->ahead.wanted = r->ahead.busy;
    if (r->ahead.wanted) {
        r->ops++;
    } else {
        ad__sync_run_end(r);
    }
}

/* ---- failures ---------------------------------------------------------------------------- */

/* What cannot get better by waiting, as people should read it; NULL: it can. A credential that is
 * refused, a database that is full, an outage: somebody will see to that. */
static const char *final_text(enum ad_err err)
{
    switch (err) {
    case AD_ERR_NOTFOUND:
        return "Attio has no such object any more (404)";
    case AD_ERR_FORBIDDEN:
        return "the token lacks the scope to read this object (403)";
    case AD_ERR_UPSTREAM_REJECTED:
        return "Attio does not take the query (400)";
    case AD_ERR_INVALID:
    case AD_ERR_CORRUPT:
    case AD_ERR_INTERNAL:
        return ad_err_text(err);
    default:
        return NULL;
    }
}

static void on_run_timer(struct ad_timer *t)
{
    ad__sync_page_next(ad_container_of(t, struct ad__sync_run, timer));
}

/* Recorded or not, the page is asked for again. */
static void on_failure_saved(struct ad_sync_save *s)
{
    struct ad__sync_run *r = s->data;
    r->ops--;
    if (r->sync->closing) {
        ad__sync_maybe_closed(r->sync);
        return;
    }
    uint64_t wait = pause_ms(r);
    ad_log(AD_LOG_WARN, "sync_page_failed", AD_KC("object", r->name), AD_KE("error", r->err),
           AD_KC("detail", r->detail), AD_KI("retry_in_ms", wait));
    ad_timer_start(r->sync->s->o.timers, &r->timer, wait, on_run_timer);
}

/* Nothing is under way any more. */
static void page_failed(struct ad__sync_run *r)
{
    const char *final = final_text(r->err);
    if (r->err == AD_ERR_TOOLARGE) { /* less at once */
        r->limit = r->limit / 2 > AD__SYNC_LIMIT_MIN ? r->limit / 2 : AD__SYNC_LIMIT_MIN;
        r->state.offset = is_comments(r) ? r->state.offset : 0;
        final = ++r->nonsense > 2 * NONSENSE_MAX ? "the answers are too large" : NULL;
    }
    if (r->err == AD_ERR_PARSE && ++r->nonsense > NONSENSE_MAX) {
        final = "Attio's answer is not JSON";
    }
    if (final) {
        run_finish(r, AD_SYNC_FAILED, final);
        return;
    }
    ad__sync_ahead_drop(r);
    r->merging += r->err == AD_ERR_MERGING;
    text_set(r->state.error, sizeof(r->state.error), r->detail);
    save(r, on_failure_saved);
}

void ad__sync_note(struct ad__sync_run *r, enum ad_err err, const char *detail)
{
    if (err && !r->err) {
        r->err = err;
        text_set(r->detail, sizeof(r->detail), detail && *detail ? detail : ad_err_text(err));
    }
}

bool ad__sync_op_ended(struct ad__sync_run *r, enum ad_err err, const char *detail)
{
    r->ops--;
    ad__sync_note(r, err, detail);
    if (r->ops > 0) {
        return !r->err && !r->sync->closing;
    }
    if (r->sync->closing) {
        ad__sync_maybe_closed(r->sync);
        return false;
    }
    if (r->err) {
        page_failed(r);
        return false;
    }
    return true;
}

/* The answer is well-formed and cannot be: a cache or a fault on the way. Asked for again a few
 * times, because such things pass. */
void ad__sync_page_nonsense(struct ad__sync_run *r, const char *why)
{
    if (++r->nonsense > NONSENSE_MAX) {
        run_finish(r, AD_SYNC_FAILED, why);
        return;
    }
    r->ops++;
    (void)ad__sync_op_ended(r, AD_ERR_PROTOCOL, why);
}

/* ---- walking ----------------------------------------------------------------------------- */

static void tail_begin(struct ad__sync_run *r)
{
    r->state.phase = AD_SYNC_TAIL;
    r->state.offset = 0;
    key_set(r, r->key_ns - TAIL_NS);
    ad__sync_ids_clear(&r->boundary);
}

static int64_t last_ns(const struct ad__sync_run *r)
{
    return r->page.n ? r->page.items[r->page.n - 1].ns : r->key_ns;
}

/* What the page ended with is what the next one may show again. */
static enum ad_err boundary_follow(struct ad__sync_run *r)
{
    const struct ad__sync_page *p = &r->page;
    enum ad_err err = AD_OK;
    if (last_ns(r) != r->key_ns) {
        ad__sync_ids_clear(&r->boundary);
    }
    for (unsigned i = p->n; i > 0 && !err && p->items[i - 1].ns == last_ns(r); i--) {
        err = ad__sync_ids_add(&r->boundary, &p->items[i - 1].id);
    }
    return err;
}

/* The tie changed under us. From its start everything of it is counted anew. */
static void tie_back(struct ad__sync_run *r)
{
    struct ad_sync_run *st = &r->state;
    unsigned wider = r->overlap > 1 ? 2 * r->overlap : r->limit / OVERLAP_STEP;
    r->overlap = wider < r->limit / 2 ? wider : r->limit / 2;
    r->overlap += r->overlap == 0;
    st->offset -= st->offset < r->overlap ? st->offset : r->overlap;
    if (r->page.shuffled || st->offset == 0) {
        st->offset = 0;
        r->tie_restarts++;
        r->total -= st->phase == AD_SYNC_WALK ? (int64_t)r->boundary.n : 0;
        ad__sync_ids_clear(&r->boundary);
    }
}

/* Where the next page begins. False: the walk is over. */
static bool advance(struct ad__sync_run *r)
{
    const struct ad__sync_page *p = &r->page;
    struct ad_sync_run *st = &r->state;
    bool more = p->n == r->limit;
    if (p->mismatch) {
        tie_back(r);
        return true;
    }
    if (p->n > 0 && last_ns(r) == r->key_ns) {
        st->offset += more ? r->limit - r->overlap : 0;
    } else if (p->n > 0) {
        key_set(r, last_ns(r));
        st->offset = 0;
        r->overlap = 1;
        r->tie_restarts = r->nonsense = 0;
    }
    return more;
}

/* A page that must be read again from its tie's start counts then. In the tail only what is new
 * counts: the others were counted on the walk. */
static enum ad_err count(struct ad__sync_run *r)
{
    struct ad_sync_run *st = &r->state;
    const struct ad__sync_page *p = &r->page;
    enum ad_err err = p->mismatch ? AD_OK : boundary_follow(r);
    if (st->phase == AD_SYNC_TAIL) {
        r->total += r->created;
    } else if (!p->mismatch) {
        r->total += p->n - p->again;
    }
    st->pages++;
    st->created += r->created;
    st->updated += r->updated;
    r->created = r->updated = 0;
    r->sync->c_pages->v++;
    r->sync->c_records->v += p->n;
    return err;
}

static void on_saved(struct ad_sync_save *s)
{
    struct ad__sync_run *r = s->data;
    if (ad__sync_op_ended(r, s->err, s->info.msg)) { /* else the next one records this one too */
        r->failures = 0;
        if (!is_comments(r) || !ad__sync_yield(r)) {
            ad__sync_page_next(r);
        }
    }
}

void ad__sync_checkpoint(struct ad__sync_run *r)
{
    save(r, on_saved);
}

void ad__sync_page_done(struct ad__sync_run *r)
{
    struct ad_sync_run *st = &r->state;
    if (is_comments(r)) { /* its last page: what no place showed was looked at */
        run_finish(r, AD_SYNC_DONE, "");
        return;
    }
    enum ad_err err = count(r);
    bool more = advance(r);
    if (r->tie_restarts > TIE_RESTARTS_MAX) {
        r->tie_restarts = 0;
        ad__sync_page_nonsense(r, "records of one creation time come in another order each time");
        return;
    }
    r->merging = 0;
    st->error[0] = '\0';
    if (!more && st->phase == AD_SYNC_WALK && r->key_ns != INT64_MIN && !st->dry_run) {
        tail_begin(r);
        more = true;
    }
    if (err) { /* the page's border is not known: on from its start */
        r->ops++;
        (void)ad__sync_op_ended(r, err, NULL);
    } else if (more) {
        ad__sync_checkpoint(r);
    } else {
        run_finish(r, AD_SYNC_DONE, "");
    }
}

/* ---- begin ------------------------------------------------------------------------------- */

static enum ad_err run_resume(struct ad__sync_run *r, const struct ad_sync_run *from)
{
    r->state = *from;
    r->total = from->seen;
    if (is_comments(r)) { /* its place is not a time */
        return AD_OK;
    }
    r->state.offset = 0; /* the overlap is not known any more */
    bool has_key = ad_time_parse(ad_str_c(from->key), &r->key_ns);
    return has_key || !*from->key ? AD_OK : AD_ERR_CORRUPT;
}

/* Members come all at once. */
static unsigned limit_of(enum ad_kind kind)
{
    switch (kind) {
    case AD_KIND_NOTE:
        return AD_ACTIVITY_NOTES_MAX;
    case AD_KIND_TASK:
        return AD_ACTIVITY_TASKS_MAX;
    case AD_KIND_COMMENT:
        return AD_ACTIVITY_THREADS_MAX;
    case AD_KIND_MEMBER:
        return UINT32_MAX;
    default:
        return AD__SYNC_PAGE;
    }
}

static struct ad__sync_run *run_zero(struct ad_sync *y, const struct ad_object *o)
{
    struct ad__sync_run *r = ad_zalloc(sizeof(*r));
    if (!r) {
        return NULL;
    }
    r->sync = y;
    r->object = o;
    r->limit = limit_of(o->kind);
    r->key_ns = INT64_MIN;
    r->overlap = 1;
    text_set(r->name, sizeof(r->name), o->kind == AD_KIND_LIST ? "list_" : "");
    text_set(r->name + strlen(r->name), sizeof(r->name) - strlen(r->name), o->slug.p);
    for (unsigned i = 0; i < AD__SYNC_CHECKS; i++) {
        r->checks[i].run = r;
    }
    return r;
}

enum ad_err ad__sync_run_new(struct ad_sync *y, const struct ad_object *o,
                             const struct ad_sync_run *from, bool dry_run,
                             struct ad__sync_run **out)
{
    struct ad__sync_run *r = run_zero(y, o);
    if (!r) {
        return AD_ERR_NOMEM;
    }
    enum ad_err err = AD_OK;
    if (from) {
        err = run_resume(r, from);
    } else {
        r->state.id = ad_versions_next(y->s->o.versions);
        r->state.started_ns = ad_wall_ns(y->s->o.clock);
        err = r->state.id ? AD_OK : AD_ERR_STORE; /* no number: the database is in trouble */
    }
    if (err) {
        ad_free(r);
        return err;
    }
    r->state.object_id = o->id;
    r->state.object_slug = ad_str_c(r->name);
    r->state.dry_run = dry_run;
    *out = r;
    return AD_OK;
}

static void on_queued(struct ad_sync_save *s)
{
    struct ad__sync_run *r = s->data;
    struct ad_sync *y = r->sync;
    r->ops--;
    if (y->closing) {
        ad__sync_maybe_closed(y);
    } else {
        ad__sync_next(y); /* recorded or not */
    }
}

void ad__sync_run_record(struct ad__sync_run *r)
{
    save(r, on_queued);
}

void ad__sync_run_go(struct ad__sync_run *r)
{
    if (r->state.phase == AD_SYNC_IDLE) {
        r->state.phase = AD_SYNC_WALK;
    }
    ad_log(AD_LOG_INFO, "sync_started", AD_KC("object", r->name),
           AD_KB("resumed", r->state.pages > 0));
    ad__sync_page_next(r);
}

void ad__sync_run_cancel(struct ad__sync_run *r)
{
    struct ad_records *records = r->sync->s->o.records;
    ad_records_cancel(records, &r->op);
    ad_records_cancel(records, &r->ahead.op);
    for (unsigned i = 0; i < AD__SYNC_CHECKS; i++) {
        ad_records_cancel(records, &r->checks[i].op);
    }
}
