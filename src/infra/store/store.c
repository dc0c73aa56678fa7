#include "infra/store.h"

#include "base/log.h"
#include "base/mem.h"

#include "infra/loop.h"

#include "store/sqlite_conn.h"
#include "store/store_sqlite.h"

#include <limits.h>

enum {
    BUSY_MS = 3000,
    READ_MS = 250,
    GROUP_MAX = 512,
    BULK_MAX = 50,
    NOW_TURN_MS = 100,
    PROBE_MS = 1000,
    ERROR_KINDS = 9,
};

static const struct {
    enum ad_err err;
    const char *label;
} error_kinds[ERROR_KINDS] = {
    /* The first also takes what no other names. */
    { AD_ERR_INTERNAL, "kind=\"statement\"" }, { AD_ERR_CONFLICT, "kind=\"conflict\"" },
    { AD_ERR_TIMEOUT, "kind=\"timeout\"" },    { AD_ERR_BUSY, "kind=\"overload\"" },
    { AD_ERR_STORE, "kind=\"io\"" },           { AD_ERR_STORE_FULL, "kind=\"full\"" },
    { AD_ERR_STORE_BUSY, "kind=\"locked\"" },  { AD_ERR_NOMEM, "kind=\"nomem\"" },
    { AD_ERR_CORRUPT, "kind=\"corrupt\"" },
};

struct series {
    struct ad_counter *commits, *requests, *reopened, *bad_checkpoints, *errors[ERROR_KINDS];
    struct ad_histogram *commit, *checkpoint, *read;
    struct ad_gauge *queue, *log_pages;
};

struct ad_store {
    struct ad_loop *loop;
    struct store_sqlite *db;
    struct ad_loop_hook hook;
    struct ad_post nudge;         /* makes sure of a turn, and so of the hook */
    struct ad_list writes, reads; /* submitted in this turn */
    uint64_t order;
    size_t writes_pending, reads_pending;
    bool failing, closing, stopping;
    struct ad_timer probe_timer; /* runs while failing */
    struct ad_store_req probe;
    bool probing;
    void (*closed)(void *ctx);
    void *closed_ctx;
    bool measured;
    struct series series;
};

/* --- metrics --- */

static void register_series(struct series *m, struct ad_metrics *set)
{
    m->commits =
        ad_metric_counter(set, "attiod_store_commits_total", NULL, "Transactions made durable");
    m->requests = ad_metric_counter(set, "attiod_store_group_requests_total", NULL,
                                    "Requests in those transactions");
    m->reopened = ad_metric_counter(set, "attiod_store_reopened_total", NULL,
                                    "Connections replaced after an I/O error");
    m->bad_checkpoints = ad_metric_counter(set, "attiod_store_checkpoint_errors_total", NULL,
                                           "Checkpoints that failed and will be repeated");
    for (size_t i = 0; i < ERROR_KINDS; i++) {
        m->errors[i] = ad_metric_counter(set, "attiod_store_errors_total", error_kinds[i].label,
                                         "Requests that failed");
    }
    m->commit = ad_metric_histogram(set, "attiod_store_commit_seconds", NULL,
                                    "Time of a COMMIT, its fsync included");
    m->checkpoint = ad_metric_histogram(set, "attiod_store_checkpoint_seconds", NULL,
                                        "Time to copy the write-ahead log into the database");
    m->read = ad_metric_histogram(set, "attiod_store_read_seconds", NULL, "Time of a read");
    m->queue = ad_metric_gauge(set, "attiod_store_queue", NULL, "Writes waiting or under way");
    m->log_pages =
        ad_metric_gauge(set, "attiod_store_log_pages", NULL, "Pages in the write-ahead log");
}

static void observe(struct ad_histogram *h, const struct store_times *times)
{
    for (unsigned i = 0; i < times->n; i++) {
        ad_histogram_observe_ms(h, times->ms[i]);
    }
}

static void measure(struct ad_store *s, const struct store_report *r)
{
    struct series *m = &s->series;
    if (!s->measured) {
        return;
    }
    m->commits->v += r->commits;
    m->requests->v += r->requests;
    m->reopened->v += r->reopened;
    m->bad_checkpoints->v += r->bad_checkpoints;
    observe(m->commit, &r->commit);
    observe(m->checkpoint, &r->checkpoint);
    observe(m->read, &r->read);
    m->log_pages->v = r->log_pages;
}

static void measure_error(struct ad_store *s, enum ad_err err)
{
    size_t kind = 0;
    for (size_t i = 1; i < ERROR_KINDS; i++) {
        kind = error_kinds[i].err == err ? i : kind;
    }
    if (err && s->measured) {
        s->series.errors[kind]->v++;
    }
}

static void measure_queue(struct ad_store *s)
{
    if (s->measured) {
        s->series.queue->v = (int64_t)s->writes_pending;
    }
}

/* --- what goes in --- */

static void hand_over(struct ad_store *s)
{
    if (!ad_list_empty(&s->writes) || !ad_list_empty(&s->reads)) {
        store_sqlite_submit(s->db, &s->writes, &s->reads);
        measure_queue(s);
    }
}

static void on_nudge(struct ad_post *post)
{
    (void)post; /* the hook does the work */
}

static void nudge(struct ad_store *s)
{
    if (!s->nudge.cb) {
        ad_loop_post(s->loop, &s->nudge, on_nudge);
    }
}

static void submit(struct ad_store *s, struct ad_store_req *req, enum store_kind kind)
{
    req->kind = (int)kind;
    req->err = AD_OK;
    ad_errinfo_clear(&req->info);
    req->rows = (struct ad_rows){ NULL, 0, 0 };
    req->more = false;
    req->block = NULL;
    req->barred = false;
    req->order = s->order++;
    if (kind == STORE_READ) {
        s->reads_pending++;
        ad_list_push(&s->reads, &req->link);
    } else {
        s->writes_pending++;
        ad_list_push(&s->writes, &req->link);
    }
    nudge(s);
}

/* --- trying again --- */

/* Whoever asks ad_store_failing may keep all work away from us while it is true: then nobody but us
 * finds out that it works again. */
static void arm_probe(struct ad_store *s);

static void on_probed(struct ad_store_req *req)
{
    struct ad_store *s = req->data;
    s->probing = false;
    arm_probe(s);
}

static void on_probe_due(struct ad_timer *timer)
{
    struct ad_store *s = ad_container_of(timer, struct ad_store, probe_timer);
    if (!s->failing) {
        return;
    }
    s->probing = true;
    s->probe = (struct ad_store_req){ .cb = on_probed, .data = s };
    submit(s, &s->probe, STORE_PROBE);
}

static void arm_probe(struct ad_store *s)
{
    if (s->failing && !s->closing && !s->probing && !ad_timer_running(&s->probe_timer)) {
        ad_timer_start(ad_loop_timers(s->loop), &s->probe_timer, PROBE_MS, on_probe_due);
    }
}

/* --- what comes back --- */

static void note_health(struct ad_store *s, const struct store_report *r)
{
    if (r->reopened) {
        ad_log(AD_LOG_WARN, "store_reopened", AD_KC("database", ad_store_path(s)));
    }
    if (!r->grouped || s->failing == (r->group_err != AD_OK)) {
        return;
    }
    s->failing = r->group_err != AD_OK;
    if (s->failing) {
        arm_probe(s);
        ad_log(AD_LOG_ERROR, "store_failing", AD_KE("error", r->group_err),
               AD_KC("detail", r->group_info.msg));
    } else {
        ad_log(AD_LOG_INFO, "store_recovered", AD_KC("database", ad_store_path(s)));
    }
}

static void stop_when_idle(struct ad_store *s)
{
    if (s->closing && !s->stopping && s->writes_pending + s->reads_pending == 0) {
        s->stopping = true;
        ad_loop_hook_remove(&s->hook);
        store_sqlite_close(s->db);
    }
}

/* The request may be gone when its callback returns, its rows are not yet. */
static void finish(struct ad_store *s, struct ad_store_req *req)
{
    size_t *pending = req->kind == STORE_READ ? &s->reads_pending : &s->writes_pending;
    (*pending)--;
    if (req->kind != STORE_PROBE) {
        measure_error(s, req->err);
    }
    void *block = req->keep_rows ? NULL : req->block;
    req->cb(req);
    ad_free(block);
}

static void on_done(void *ctx, struct ad_list *done, const struct store_report *report)
{
    struct ad_store *s = ctx;
    measure(s, report);
    note_health(s, report);
    struct ad_list *link;
    while ((link = ad_list_pop(done))) {
        finish(s, ad_container_of(link, struct ad_store_req, link));
    }
    measure_queue(s);
    stop_when_idle(s);
}

static void on_closed(void *ctx)
{
    struct ad_store *s = ctx;
    void (*closed)(void *ctx) = s->closed;
    void *closed_ctx = s->closed_ctx;
    ad_loop_unpost(&s->nudge);
    ad_free(s);
    closed(closed_ctx);
}

static void on_turn_end(struct ad_loop_hook *hook)
{
    struct ad_store *s = ad_container_of(hook, struct ad_store, hook);
    hand_over(s);
    stop_when_idle(s);
}

/* --- requests --- */

static bool steps_make_sense(const struct ad_store_req *req)
{
    bool sense = req->steps_n > 0 && req->steps && req->cb && req->cls >= AD_STORE_INGEST &&
                 req->cls <= AD_STORE_BULK;
    for (unsigned i = 0; sense && i < req->steps_n; i++) {
        const struct ad_step *step = &req->steps[i];
        sense = step->sql && step->sql->sqlite && (step->values || step->values_n == 0);
    }
    return sense;
}

static enum ad_err submit_steps(struct ad_store *s, struct ad_store_req *req, enum store_kind kind)
{
    if (s->closing) {
        return AD_ERR_CLOSED;
    }
    if (!steps_make_sense(req) || (kind == STORE_READ && req->steps_n != 1)) {
        return AD_ERR_INVALID;
    }
    submit(s, req, kind);
    return AD_OK;
}

enum ad_err ad_store_write(struct ad_store *s, struct ad_store_req *req)
{
    req->keep_rows = false;
    return submit_steps(s, req, STORE_WRITE);
}

enum ad_err ad_store_read(struct ad_store *s, struct ad_store_req *req)
{
    req->keep_rows = false;
    return submit_steps(s, req, STORE_READ);
}

enum ad_err ad_store_forget(struct ad_store *s, const struct ad_sql *sql, struct ad_store_req *req)
{
    if (s->closing) {
        return AD_ERR_CLOSED;
    }
    if (!sql || !req->cb) {
        return AD_ERR_INVALID;
    }
    req->forget = sql;
    req->keep_rows = false;
    submit(s, req, STORE_FORGET);
    return AD_OK;
}

enum ad_err ad_store_exec(struct ad_store *s, struct ad_store_req *req, struct ad_str script)
{
    if (s->closing) {
        return AD_ERR_CLOSED;
    }
    if (!script.p || script.n > INT_MAX || !req->cb) {
        return AD_ERR_INVALID;
    }
    req->script = script;
    req->keep_rows = false;
    submit(s, req, STORE_EXEC);
    return AD_OK;
}

enum ad_err ad_store_rewrite(struct ad_store *s, struct ad_store_req *req)
{
    if (s->closing) {
        return AD_ERR_CLOSED;
    }
    if (!req->cb) {
        return AD_ERR_INVALID;
    }
    req->keep_rows = false;
    submit(s, req, STORE_REWRITE);
    return AD_OK;
}

enum ad_err ad_store_backup(struct ad_store *s, struct ad_store_backup *b)
{
    if (s->closing) {
        return ad_fail(&b->info, AD_ERR_CLOSED, "closing");
    }
    return store_sqlite_backup(s->loop, store_sqlite_file(s->db), b);
}

/* --- synchronous --- */

static void on_now(struct ad_store_req *req)
{
    bool *done = req->data;
    *done = true;
}

static void await(struct ad_store *s, const bool *done)
{
    hand_over(s);
    while (!*done) {
        ad_loop_turn(s->loop, NOW_TURN_MS);
    }
}

static enum ad_err steps_now(struct ad_store *s, struct ad_store_req *req, enum store_kind kind)
{
    bool done = false;
    req->cb = on_now;
    req->data = &done;
    req->keep_rows = true;
    req->block = NULL;
    enum ad_err err = submit_steps(s, req, kind);
    if (err) {
        return ad_fail(&req->info, err, "not submitted");
    }
    await(s, &done);
    return req->err;
}

enum ad_err ad_store_read_now(struct ad_store *s, struct ad_store_req *req)
{
    return steps_now(s, req, STORE_READ);
}

enum ad_err ad_store_write_now(struct ad_store *s, struct ad_store_req *req)
{
    return steps_now(s, req, STORE_WRITE);
}

void ad_store_rows_free(struct ad_store_req *req)
{
    store_rows_drop(req);
}

enum ad_err ad_store_exec_now(struct ad_store *s, struct ad_str script, struct ad_errinfo *info)
{
    bool done = false;
    struct ad_store_req req = { .cb = on_now, .data = &done };
    enum ad_err err = ad_store_exec(s, &req, script);
    if (err) {
        return ad_fail(info, err, "not submitted");
    }
    await(s, &done);
    if (req.err && info) {
        *info = req.info;
    }
    return req.err;
}

/* --- the store --- */

static void set_defaults(struct ad_store_opts *opts)
{
    opts->busy_ms = opts->busy_ms ? opts->busy_ms : BUSY_MS;
    opts->read_ms = opts->read_ms ? opts->read_ms : READ_MS;
    opts->group_max = opts->group_max ? opts->group_max : GROUP_MAX;
    opts->bulk_max = opts->bulk_max ? opts->bulk_max : BULK_MAX;
}

enum ad_err ad_store_open(struct ad_loop *loop, const struct ad_store_opts *opts,
                          struct ad_store **out, struct ad_errinfo *info)
{
    struct ad_store *s = ad_zalloc(sizeof(*s));
    if (!s) {
        return ad_fail(info, AD_ERR_NOMEM, "no memory");
    }
    s->loop = loop;
    ad_list_init(&s->writes);
    ad_list_init(&s->reads);
    struct ad_store_opts complete = *opts;
    set_defaults(&complete);
    struct store_events events = { on_done, on_closed, s };
    enum ad_err err = store_sqlite_open(loop, &complete, &events, &s->db, info);
    if (err) {
        ad_free(s);
        return err;
    }
    if (opts->metrics) {
        s->measured = true;
        register_series(&s->series, opts->metrics);
    }
    s->hook.cb = on_turn_end;
    ad_loop_hook_add(loop, &s->hook);
    *out = s;
    return AD_OK;
}

const char *ad_store_path(const struct ad_store *s)
{
    return store_sqlite_path(s->db);
}

size_t ad_store_pending(const struct ad_store *s)
{
    return s->writes_pending;
}

bool ad_store_failing(const struct ad_store *s)
{
    return s->failing;
}

void ad_store_close(struct ad_store *s, void (*done)(void *ctx), void *ctx)
{
    AD_ASSERT(!s->closing);
    s->closing = true;
    s->closed = done;
    s->closed_ctx = ctx;
    ad_timer_stop(ad_loop_timers(s->loop), &s->probe_timer);
    nudge(s); /* stopping begins at the end of a turn, whatever is pending */
}
