#include "store/store_sqlite.h"

#include "base/mem.h"

#include "loop/uv_private.h"
#include "store/sqlite_conn.h"
#include "store/sqlite_group.h"
#include "store/sqlite_log.h"

#include <stdatomic.h>

struct store_sqlite {
    struct ad_loop *loop;
    uv_async_t wake;
    uv_thread_t writer, reader;
    struct store_file file;
    struct ad_store_opts opts;
    struct store_events events;
    atomic_bool corrupt; /* a damaged page was met: no more writes */

    uv_mutex_t lock; /* for all down to `ended` */
    uv_cond_t to_writer, to_reader;
    struct ad_list writes, reads; /* handed over */
    struct ad_list done;
    struct store_report report;
    bool stop;  /* both threads end when they have nothing left */
    bool ended; /* the writer, which outlives the reader, is through */

    /* the writer thread's */
    struct store_conn write_conn;
    struct store_queues queues;
    /* the reader thread's */
    struct store_conn read_conn;
};

static double elapsed_ms(uint64_t since_ns)
{
    return (double)(uv_hrtime() - since_ns) / 1e6;
}

static void note_time(struct store_times *times, double ms)
{
    if (times->n < STORE_TIMES_MAX) {
        times->ms[times->n++] = ms;
    }
}

/* Takes what was handed over. */
static void look_for_writes(struct store_sqlite *s)
{
    struct ad_list taken;
    ad_list_init(&taken);
    uv_mutex_lock(&s->lock);
    ad_list_move(&taken, &s->writes);
    uv_mutex_unlock(&s->lock);
    store_queues_sort_in(&s->queues, &taken);
}

/* May we write at all? */
static enum ad_err make_ready(struct store_sqlite *s, struct store_group *g)
{
    if (atomic_load(&s->corrupt)) {
        return ad_fail(&g->info, AD_ERR_CORRUPT, "%s: is damaged, nothing is written any more",
                       s->file.shown);
    }
    enum ad_err err = store_file_verify(&s->file, &g->info);
    struct store_conn *c = &s->write_conn;
    if (err || (c->db && !c->suspect)) {
        return err;
    }
    store_conn_close(c);
    err = store_conn_open(c, &g->info);
    uv_mutex_lock(&s->lock);
    s->report.reopened += err ? 0 : 1;
    uv_mutex_unlock(&s->lock);
    return err;
}

static void run_group(struct store_sqlite *s, struct store_group *g)
{
    struct store_conn *c = &s->write_conn;
    c->deadline_ms = store_group_deadline(g, s->opts.busy_ms);
    g->err = make_ready(s, g);
    if (!g->err && g->alone && store_first_of(&g->reqs)->kind == STORE_REWRITE) {
        struct ad_store_req *req = store_first_of(&g->reqs);
        req->err = store_conn_rewrite(c, &req->info);
        g->err = store_err_is_group(req->err) ? req->err : AD_OK;
        g->info = req->info;
    } else if (!g->err && g->alone) {
        store_group_script(c, g);
    } else if (!g->err) {
        store_group_transact(c, g);
        do {
            look_for_writes(s);
        } while (store_group_grow(c, g, &s->queues, &s->opts));
    }
}

static void report_group(struct store_sqlite *s, struct store_group *g, double commit_ms)
{
    uv_mutex_lock(&s->lock);
    struct store_report *r = &s->report;
    r->grouped = true;
    r->group_err = g->err;
    r->group_info = g->info;
    if (g->committed) {
        r->commits++;
        r->requests += g->n;
        note_time(&r->commit, commit_ms);
    }
    ad_list_move(&s->done, &g->reqs);
    uv_mutex_unlock(&s->lock);
    uv_async_send(&s->wake);
}

static void write_group(struct store_sqlite *s, struct store_group *g)
{
    run_group(s, g);
    uint64_t begun = uv_hrtime();
    store_group_commit(&s->write_conn, g);
    double commit_ms = elapsed_ms(begun);
    if (g->err == AD_ERR_STORE_BUSY) {
        store_group_keep_expired(g, &s->queues, s->opts.busy_ms);
        if (ad_list_empty(&g->reqs)) {
            return;
        }
    }
    if (g->err == AD_ERR_CORRUPT) {
        atomic_store(&s->corrupt, true);
    }
    if (g->err) {
        store_group_fail(g);
    }
    report_group(s, g, commit_ms);
}

/* The acknowledgements are out; what follows delays only the next group. */
static void checkpoint(struct store_sqlite *s)
{
    enum ad_err err = AD_OK;
    uint64_t begun = uv_hrtime();
    bool ran = store_conn_checkpoint(&s->write_conn, &err, NULL);
    uv_mutex_lock(&s->lock);
    s->report.log_pages = s->write_conn.log_pages;
    if (ran) {
        note_time(&s->report.checkpoint, elapsed_ms(begun));
        s->report.bad_checkpoints += err ? 1 : 0;
    }
    uv_mutex_unlock(&s->lock);
}

/* --- the writer --- */

/* On to the reader, which may have it prepared as well; it then reports it done. */
static void forget(struct store_sqlite *s, struct store_group *g)
{
    store_conn_forget(&s->write_conn, store_first_of(&g->reqs)->forget);
    uv_mutex_lock(&s->lock);
    ad_list_move(&s->reads, &g->reqs);
    uv_cond_signal(&s->to_reader);
    uv_mutex_unlock(&s->lock);
}

/* Waits for work, but not on the loop's thread; false when there is none and will be none. */
static bool take_writes(struct store_sqlite *s)
{
    uv_mutex_lock(&s->lock);
    while (ad_list_empty(&s->writes) && store_queues_empty(&s->queues) && !s->stop &&
           !s->opts.on_loop) {
        uv_cond_wait(&s->to_writer, &s->lock);
    }
    uv_mutex_unlock(&s->lock);
    look_for_writes(s);
    return !store_queues_empty(&s->queues);
}

static void write_all(struct store_sqlite *s)
{
    while (take_writes(s)) {
        struct store_group g;
        store_group_form(&g, &s->queues, &s->opts);
        if (g.alone && store_first_of(&g.reqs)->kind == STORE_FORGET) {
            forget(s, &g);
        } else {
            write_group(s, &g);
            checkpoint(s);
        }
    }
}

static void write_main(void *arg)
{
    struct store_sqlite *s = arg;
    write_all(s);
    /* The reader closes first, so that the last one to close copies the log into the database. */
    uv_thread_join(&s->reader);
    store_conn_optimize(&s->write_conn);
    store_conn_close(&s->write_conn);
    uv_mutex_lock(&s->lock);
    s->ended = true;
    uv_mutex_unlock(&s->lock);
    uv_async_send(&s->wake);
}

/* --- the reader --- */

static void read_one(struct store_sqlite *s, struct ad_store_req *req)
{
    uint64_t now = store_now_ms();
    if (now > req->since_ms + s->opts.busy_ms) {
        req->err =
            ad_fail(&req->info, AD_ERR_BUSY, "waited %u ms behind other reads", s->opts.busy_ms);
        return;
    }
    s->read_conn.deadline_ms = now + s->opts.read_ms;
    req->err = store_conn_steps(&s->read_conn, req);
    if (req->err) {
        store_rows_drop(req);
    }
    if (req->err == AD_ERR_CORRUPT) {
        atomic_store(&s->corrupt, true);
    }
}

static struct ad_store_req *take_read(struct store_sqlite *s)
{
    uv_mutex_lock(&s->lock);
    while (ad_list_empty(&s->reads) && !s->stop && !s->opts.on_loop) {
        uv_cond_wait(&s->to_reader, &s->lock);
    }
    struct ad_list *link = ad_list_pop(&s->reads);
    uv_mutex_unlock(&s->lock);
    return link ? store_req_of(link) : NULL;
}

static void report_read(struct store_sqlite *s, struct ad_store_req *req, double ms)
{
    uv_mutex_lock(&s->lock);
    if (req->kind == STORE_READ) {
        note_time(&s->report.read, ms);
    }
    if (req->err == AD_ERR_CORRUPT) { /* as good as a failed group: none will be written */
        s->report.grouped = true;
        s->report.group_err = req->err;
        s->report.group_info = req->info;
    }
    ad_list_push(&s->done, &req->link);
    uv_mutex_unlock(&s->lock);
    uv_async_send(&s->wake);
}

static void read_all(struct store_sqlite *s)
{
    struct ad_store_req *req;
    while ((req = take_read(s))) {
        uint64_t begun = uv_hrtime();
        if (req->kind == STORE_FORGET) {
            store_conn_forget(&s->read_conn, req->forget);
        } else {
            read_one(s, req);
        }
        report_read(s, req, elapsed_ms(begun));
    }
}

static void read_main(void *arg)
{
    struct store_sqlite *s = arg;
    read_all(s);
    store_conn_close(&s->read_conn);
}

/* --- both, on the loop's thread --- */

static void work_on_loop(struct store_sqlite *s)
{
    write_all(s); /* a write may hand on to the reader, never the other way round */
    read_all(s);
    if (s->stop) {
        store_conn_close(&s->read_conn);
        store_conn_optimize(&s->write_conn);
        store_conn_close(&s->write_conn);
        s->ended = true;
    }
}

/* --- the loop's side --- */

void store_sqlite_submit(struct store_sqlite *s, struct ad_list *writes, struct ad_list *reads)
{
    uint64_t now = store_now_ms();
    AD_LIST_FOREACH (it, writes) {
        store_req_of(it)->since_ms = now;
    }
    AD_LIST_FOREACH (it, reads) {
        store_req_of(it)->since_ms = now;
    }
    uv_mutex_lock(&s->lock);
    if (!ad_list_empty(writes)) {
        ad_list_move(&s->writes, writes);
        uv_cond_signal(&s->to_writer);
    }
    if (!ad_list_empty(reads)) {
        ad_list_move(&s->reads, reads);
        uv_cond_signal(&s->to_reader);
    }
    uv_mutex_unlock(&s->lock);
    if (s->opts.on_loop) {
        uv_async_send(&s->wake);
    }
}

const char *store_sqlite_path(const struct store_sqlite *s)
{
    return s->file.path;
}

const struct store_file *store_sqlite_file(const struct store_sqlite *s)
{
    return &s->file;
}

static void fini_sync(struct store_sqlite *s)
{
    uv_cond_destroy(&s->to_reader);
    uv_cond_destroy(&s->to_writer);
    uv_mutex_destroy(&s->lock);
}

static void release(struct store_sqlite *s)
{
    store_conn_fini(&s->read_conn);
    store_conn_fini(&s->write_conn);
    store_file_close(&s->file);
    fini_sync(s);
    ad_free(s);
}

static void on_closed(uv_handle_t *wake)
{
    struct store_sqlite *s = ad_container_of(wake, struct store_sqlite, wake);
    struct store_events events = s->events;
    release(s);
    if (events.closed) {
        events.closed(events.ctx);
    }
}

static void on_wake(uv_async_t *wake)
{
    struct store_sqlite *s = ad_container_of(wake, struct store_sqlite, wake);
    struct ad_list done;
    ad_list_init(&done);
    if (s->opts.on_loop) {
        work_on_loop(s);
    }
    uv_mutex_lock(&s->lock);
    ad_list_move(&done, &s->done);
    struct store_report report = s->report;
    s->report = (struct store_report){ .log_pages = report.log_pages };
    bool ended = s->ended;
    uv_mutex_unlock(&s->lock);
    if (ended) {
        if (!s->opts.on_loop) {
            uv_thread_join(&s->writer);
        }
        uv_close((uv_handle_t *)&s->wake, on_closed);
        return;
    }
    s->events.done(s->events.ctx, &done, &report);
}

static void stop(struct store_sqlite *s)
{
    uv_mutex_lock(&s->lock);
    s->stop = true;
    uv_cond_signal(&s->to_writer);
    uv_cond_signal(&s->to_reader);
    uv_mutex_unlock(&s->lock);
}

void store_sqlite_close(struct store_sqlite *s)
{
    stop(s);
    if (s->opts.on_loop) {
        uv_async_send(&s->wake);
    }
}

/* --- opening --- */

static enum ad_err init_sync(struct store_sqlite *s, struct ad_errinfo *info)
{
    int status = uv_mutex_init(&s->lock);
    if (status) {
        return ad__uv_fail(info, status, "mutex");
    }
    status = uv_cond_init(&s->to_writer);
    if (status) {
        goto fail_mutex;
    }
    status = uv_cond_init(&s->to_reader);
    if (status) {
        goto fail_writer;
    }
    return AD_OK;

fail_writer:
    uv_cond_destroy(&s->to_writer);
fail_mutex:
    uv_mutex_destroy(&s->lock);
    return ad__uv_fail(info, status, "condition");
}

/* The writer first: it recovers the log, which a read-only connection could not. */
static enum ad_err open_conns(struct store_sqlite *s, struct ad_errinfo *info)
{
    uint64_t deadline = store_now_ms() + s->opts.busy_ms;
    s->write_conn.deadline_ms = deadline;
    enum ad_err err = store_conn_open(&s->write_conn, info);
    if (!err) {
        s->read_conn.deadline_ms = deadline;
        err = store_conn_open(&s->read_conn, info);
    }
    return err;
}

static enum ad_err start_threads(struct store_sqlite *s, struct ad_errinfo *info)
{
    int status = s->opts.on_loop ? 0 : uv_thread_create(&s->reader, read_main, s);
    if (status || s->opts.on_loop) {
        return status ? ad__uv_fail(info, status, "thread") : AD_OK;
    }
    status = uv_thread_create(&s->writer, write_main, s);
    if (status) {
        stop(s);
        uv_thread_join(&s->reader);
        return ad__uv_fail(info, status, "thread");
    }
    return AD_OK;
}

/* SQLite's statistics take a process-wide lock at each of its allocations. Only possible before its
 * first use in this process; later it is refused, which is as well. */
static bool configure_library(void)
{
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    return store_log_register();
}

static void init(struct store_sqlite *s)
{
    ad_list_init(&s->writes);
    ad_list_init(&s->reads);
    ad_list_init(&s->done);
    store_queues_init(&s->queues);
    store_conn_init(&s->write_conn, &s->file, false);
    store_conn_init(&s->read_conn, &s->file, true);
}

enum ad_err store_sqlite_open(struct ad_loop *loop, const struct ad_store_opts *opts,
                              const struct store_events *events, struct store_sqlite **out,
                              struct ad_errinfo *info)
{
    struct store_sqlite *s = configure_library() ? ad_zalloc(sizeof(*s)) : NULL;
    if (!s) {
        return ad_fail(info, AD_ERR_NOMEM, "no memory");
    }
    s->loop = loop;
    s->opts = *opts;
    init(s);
    enum ad_err err = init_sync(s, info);
    if (err) {
        ad_free(s);
        return err;
    }
    err = store_file_open(&s->file, opts->url, info);
    err = err ? err : open_conns(s, info);
    if (err) {
        release(s);
        return err;
    }
    int status = uv_async_init(ad__loop_uv(loop), &s->wake, on_wake);
    if (status) {
        release(s);
        return ad__uv_fail(info, status, "wake-up");
    }
    ad__label(&s->wake, "store");
    err = start_threads(s, info);
    if (err) {
        uv_close((uv_handle_t *)&s->wake, on_closed);
        return err;
    }
    s->events = *events;
    *out = s;
    return AD_OK;
}
