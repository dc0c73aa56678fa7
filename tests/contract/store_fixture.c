#include "contract/store_fixture.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

struct store_fixture f;
const struct ad_sql insert_sql = { "INSERT INTO t (id, n) VALUES ($1, $2)",
                                   "INSERT INTO t (id, n) VALUES ($1, $2)" };

uint64_t real_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void text_of(char *out, size_t cap, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start is right above */
    int n = vsnprintf(out, cap, fmt, args);
    va_end(args);
    ck_assert_int_ge(n, 0);
    ck_assert_uint_lt((size_t)n, cap);
}

void fixture_open_bare(const struct store_backend *backend)
{
    f = (struct store_fixture){ .backend = backend };
    world_open_real_time(&f.w);
    backend->create();
    ck_assert_int_eq(ad_metrics_new(&f.metrics), AD_OK);
    f.opts =
        (struct ad_store_opts){ .url = f.url, .metrics = f.metrics, .on_loop = backend->on_loop };
}

void fixture_open_store(void)
{
    struct ad_errinfo info = { .code = AD_OK };
    enum ad_err err = ad_store_open(f.w.loop, &f.opts, &f.store, &info);
    ck_assert_msg(err == AD_OK, "%s: %s", ad_err_name(err), info.msg);
}

void fixture_open(const struct store_backend *backend)
{
    fixture_open_bare(backend);
    fixture_open_store();
    run_sql("CREATE TABLE t (id INTEGER PRIMARY KEY, n BIGINT, s TEXT)");
}

static void on_closed(void *ctx)
{
    *(bool *)ctx = true;
}

void fixture_close_store(void)
{
    bool closed = false;
    ad_store_close(f.store, on_closed, &closed);
    world_until_true(&f.w, &closed);
    f.store = NULL;
}

void fixture_close(void)
{
    if (f.store) {
        fixture_close_store();
    }
    ad_metrics_free(f.metrics);
    f.backend->destroy();
    world_close(&f.w);
}

/* --- jobs --- */

static void on_job(struct ad_store_req *req)
{
    struct job *job = req->data;
    job->done++;
    job->place = ++f.done;
}

void job_init(struct job *job, enum ad_store_class cls)
{
    *job = (struct job){ .req = { .cls = cls, .cb = on_job, .data = job } };
    job->req.steps = job->steps;
}

void job_step(struct job *job, const struct ad_sql *sql, const struct ad_value *values, size_t n)
{
    unsigned i = job->req.steps_n++;
    ck_assert_uint_lt(i, STEPS);
    ck_assert_uint_le(n, VALUES);
    if (n > 0) {
        memcpy(job->values[i], values, n * sizeof(*values));
    }
    job->steps[i] =
        (struct ad_step){ .sql = sql, .values = job->values[i], .values_n = (unsigned)n };
}

void job_write(struct job *job)
{
    ck_assert_int_eq(ad_store_write(f.store, &job->req), AD_OK);
}

void job_read(struct job *job)
{
    ck_assert_int_eq(ad_store_read(f.store, &job->req), AD_OK);
}

void job_await(struct job *job)
{
    world_until_count(&f.w, &job->done, 1);
}

void jobs_await(unsigned callbacks)
{
    world_until_count(&f.w, &f.done, callbacks);
    ck_assert_uint_eq(f.done, callbacks);
}

void job_insert(struct job *job, enum ad_store_class cls, int64_t id, int64_t n)
{
    job_init(job, cls);
    STEP(job, &insert_sql, AD_V_I64(id), AD_V_I64(n));
    job_write(job);
}

/* --- synchronous --- */

void run_sql(const char *script)
{
    struct ad_errinfo info = { .code = AD_OK };
    enum ad_err err = ad_store_exec_now(f.store, ad_str_c(script), &info);
    ck_assert_msg(err == AD_OK, "%s: %s: %s", script, ad_err_name(err), info.msg);
}

int64_t ask_i64(const char *text)
{
    struct ad_sql sql = { text, text };
    struct ad_step step = { .sql = &sql };
    struct ad_store_req req = { .steps = &step, .steps_n = 1 };
    enum ad_err err = ad_store_read_now(f.store, &req);
    ck_assert_msg(err == AD_OK, "%s: %s: %s", text, ad_err_name(err), req.info.msg);
    ck_assert_uint_eq(req.rows.rows, 1);
    int64_t answer = req.rows.values[0].i64;
    ad_store_rows_free(&req);
    /* The statement is this function's: the store must not meet its address again. */
    struct job job;
    job_init(&job, AD_STORE_NORMAL);
    ck_assert_int_eq(ad_store_forget(f.store, &sql, &job.req), AD_OK);
    job_await(&job);
    f.done--;
    return answer;
}

int64_t rows_of_t(void)
{
    return ask_i64("SELECT count(*) FROM t");
}

uint64_t counter(const char *name, const char *labels)
{
    return ad_metric_counter(f.metrics, name, labels, "")->v;
}
