#include "contract/store_fixture.h"

#include "base/log.h"

#include "support/torture.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

/* The suite is made once for each of these; libcheck hands a test its index. */
static const struct store_backend *const backends[] = { &sqlite_backend, &sqlite_on_loop_backend };
static const struct store_backend *backend;

static void setup(void)
{
    fixture_open(backend);
}

static void setup_bare(void)
{
    fixture_open_bare(backend);
}

static void teardown(void)
{
    fixture_close();
}

/* Rows are only valid in the callback; these copy what a test asks about. */
static struct ad_value seen[16];
static char seen_bytes[16][64];
static size_t seen_rows, seen_columns;

static void on_rows(struct ad_store_req *req)
{
    struct job *job = req->data;
    seen_rows = req->rows.rows;
    seen_columns = req->rows.columns;
    for (size_t i = 0; i < seen_rows * seen_columns && i < 16; i++) {
        seen[i] = ad_row(&req->rows, i / seen_columns)[i % seen_columns];
        if (seen[i].str.n > 0 && seen[i].str.n <= sizeof(seen_bytes[i])) {
            memcpy(seen_bytes[i], seen[i].str.p, seen[i].str.n);
            seen[i].str.p = seen_bytes[i];
        }
    }
    job->done++;
    f.done++;
}

static void read_rows(struct job *job)
{
    job->req.cb = on_rows;
    job_read(job);
    job_await(job);
    ck_assert_msg(job->req.err == AD_OK, "%s", job->req.info.msg);
}

/* --- values --- */

static const struct ad_sql echo_sql = { "SELECT $1, $2, $3, $4, $5, $6", NULL };

START_TEST(every_type_comes_back_as_it_went)
{
    struct job job;
    job_init(&job, AD_STORE_NORMAL);
    STEP(&job, &echo_sql, AD_V_I64(INT64_MIN), AD_V_I64(INT64_MAX), AD_V_F64(-DBL_MAX),
         AD_V_TEXT(AD_STR("a\0b")), AD_V_BLOB(AD_STR("\0\xff\0")), AD_V_NULL);
    read_rows(&job);
    ck_assert_uint_eq(seen_rows, 1);
    ck_assert_uint_eq(seen_columns, 6);
    ck_assert_int_eq(seen[0].type, AD_VALUE_I64);
    ck_assert(seen[0].i64 == INT64_MIN && seen[1].i64 == INT64_MAX);
    ck_assert_int_eq(seen[2].type, AD_VALUE_F64);
    ck_assert(seen[2].f64 == -DBL_MAX);
    ck_assert_int_eq(seen[3].type, AD_VALUE_TEXT);
    ck_assert(ad_str_eq(seen[3].str, AD_STR("a\0b")));
    ck_assert_int_eq(seen[4].type, AD_VALUE_BLOB);
    ck_assert(ad_str_eq(seen[4].str, AD_STR("\0\xff\0")));
    ck_assert_int_eq(seen[5].type, AD_VALUE_NULL);
}
END_TEST

START_TEST(stored_values_come_back_as_they_went)
{
    static const struct ad_sql put = SQL("INSERT INTO v (a, b, c, d) VALUES ($1, $2, $3, $4)");
    static const struct ad_sql get = SQL("SELECT a, b, c, d FROM v ORDER BY a");
    run_sql("CREATE TABLE v (a BIGINT, b DOUBLE PRECISION, c TEXT, d BLOB)");
    struct job rows[2];
    job_init(&rows[0], AD_STORE_INGEST);
    STEP(&rows[0], &put, AD_V_I64(INT64_MIN), AD_V_F64(DBL_MIN), AD_V_TEXT(AD_STR("x\0y")),
         AD_V_BLOB(AD_STR("\0")));
    job_init(&rows[1], AD_STORE_INGEST);
    STEP(&rows[1], &put, AD_V_I64(INT64_MAX), AD_V_F64(INFINITY), AD_V_TEXT(AD_STR("")),
         AD_V_BLOB(AD_STR("")));
    job_write(&rows[0]);
    job_write(&rows[1]);
    jobs_await(2);
    struct job job;
    job_init(&job, AD_STORE_NORMAL);
    job_step(&job, &get, NULL, 0);
    read_rows(&job);
    ck_assert_uint_eq(seen_rows, 2);
    ck_assert(seen[0].i64 == INT64_MIN && seen[4].i64 == INT64_MAX);
    ck_assert(seen[1].f64 == DBL_MIN && isinf(seen[5].f64));
    ck_assert(ad_str_eq(seen[2].str, AD_STR("x\0y")));
    ck_assert(ad_str_eq(seen[3].str, AD_STR("\0")));
    ck_assert(seen[6].type == AD_VALUE_TEXT && seen[6].str.n == 0 && seen[6].str.p);
    ck_assert(seen[7].type == AD_VALUE_BLOB && seen[7].str.n == 0 && seen[7].str.p);
}
END_TEST

START_TEST(absent_slice_and_not_a_number_are_null)
{
    struct job job;
    job_init(&job, AD_STORE_NORMAL);
    STEP(&job, &echo_sql, AD_V_TEXT(AD_STR_NONE), AD_V_BLOB(AD_STR_NONE), AD_V_F64(NAN), AD_V_NULL,
         AD_V_TEXT(AD_STR("")), AD_V_F64(-0.0));
    read_rows(&job);
    for (size_t i = 0; i < 4; i++) {
        ck_assert_int_eq(seen[i].type, AD_VALUE_NULL);
    }
    ck_assert_int_eq(seen[4].type, AD_VALUE_TEXT);
    ck_assert_int_eq(seen[5].type, AD_VALUE_F64);
}
END_TEST

START_TEST(parameters_go_by_number_not_by_place)
{
    static const struct ad_sql sql = SQL("SELECT $3, $1, $2, $1");
    struct job job;
    job_init(&job, AD_STORE_NORMAL);
    STEP(&job, &sql, AD_V_I64(1), AD_V_I64(2), AD_V_I64(3));
    read_rows(&job);
    ck_assert(seen[0].i64 == 3 && seen[1].i64 == 1 && seen[2].i64 == 2 && seen[3].i64 == 1);
}
END_TEST

/* --- writes --- */

START_TEST(changes_and_id_are_those_of_each_statement)
{
    static const struct ad_sql put = SQL("INSERT INTO t (n) VALUES ($1)");
    static const struct ad_sql set = SQL("UPDATE t SET n = n + 1");
    static const struct ad_sql none = SQL("UPDATE t SET n = 0 WHERE id = -1");
    static const struct ad_sql again = SQL("INSERT INTO t (id) VALUES (1) ON CONFLICT DO NOTHING");
    struct job job;
    job_init(&job, AD_STORE_NORMAL);
    STEP(&job, &put, AD_V_I64(1));
    STEP(&job, &put, AD_V_I64(2));
    job_step(&job, &set, NULL, 0);
    job_step(&job, &none, NULL, 0);
    job_write(&job);
    job_await(&job);
    ck_assert_int_eq(job.req.err, AD_OK);
    ck_assert_int_eq(job.steps[0].changes, 1);
    ck_assert_int_eq(job.steps[0].id, 1);
    ck_assert_int_eq(job.steps[1].id, 2);
    ck_assert_int_eq(job.steps[2].changes, 2);
    ck_assert_int_eq(job.steps[2].id, 0);
    ck_assert_int_eq(job.steps[3].changes, 0);
    job_init(&job, AD_STORE_NORMAL);
    job_step(&job, &again, NULL, 0);
    job_write(&job);
    job_await(&job);
    ck_assert_int_eq(job.req.err, AD_OK);
    ck_assert_int_eq(job.steps[0].changes, 0);
    ck_assert_int_eq(job.steps[0].id, 0);
}
END_TEST

START_TEST(request_of_several_steps_is_all_or_nothing)
{
    struct job good[2];
    struct job bad;
    job_insert(&good[0], AD_STORE_NORMAL, 1, 0);
    job_init(&bad, AD_STORE_NORMAL);
    STEP(&bad, &insert_sql, AD_V_I64(10), AD_V_I64(0));
    STEP(&bad, &insert_sql, AD_V_I64(1), AD_V_I64(0)); /* taken by its neighbour */
    STEP(&bad, &insert_sql, AD_V_I64(11), AD_V_I64(0));
    job_write(&bad);
    job_insert(&good[1], AD_STORE_NORMAL, 2, 0);
    jobs_await(3);
    ck_assert_int_eq(bad.req.err, AD_ERR_CONFLICT);
    ck_assert_ptr_nonnull(strstr(bad.req.info.msg, "step 2"));
    ck_assert_int_eq(good[0].req.err, AD_OK);
    ck_assert_int_eq(good[1].req.err, AD_OK);
    ck_assert_int_eq(rows_of_t(), 2);
}
END_TEST

START_TEST(constraint_fails_its_request_alone)
{
    struct job jobs[9];
    uint64_t before = counter("attiod_store_commits_total", NULL);
    for (int i = 0; i < 9; i++) {
        job_insert(&jobs[i], AD_STORE_INGEST, i % 3 ? i : 100, 0); /* 0, 3 and 6 collide */
    }
    jobs_await(9);
    for (int i = 0; i < 9; i++) {
        ck_assert_int_eq(jobs[i].req.err, i == 3 || i == 6 ? AD_ERR_CONFLICT : AD_OK);
    }
    ck_assert_int_eq(rows_of_t(), 7);
    ck_assert_uint_eq(counter("attiod_store_commits_total", NULL), before + 1);
    ck_assert_uint_eq(counter("attiod_store_errors_total", "kind=\"conflict\""), 2);
    ck_assert(!ad_store_failing(f.store));
}
END_TEST

START_TEST(foreign_key_checked_at_commit_fails_its_request_alone)
{
    static const struct ad_sql child = SQL("INSERT INTO c (id, parent) VALUES ($1, $2)");
    run_sql("CREATE TABLE c (id INTEGER PRIMARY KEY,"
            " parent INTEGER REFERENCES t (id) DEFERRABLE INITIALLY DEFERRED)");
    struct job jobs[5];
    job_insert(&jobs[0], AD_STORE_NORMAL, 1, 0);
    job_init(&jobs[1], AD_STORE_NORMAL); /* an orphan, one statement */
    STEP(&jobs[1], &child, AD_V_I64(1), AD_V_I64(99));
    job_init(&jobs[2], AD_STORE_NORMAL); /* an orphan with a sibling */
    STEP(&jobs[2], &child, AD_V_I64(2), AD_V_I64(1));
    STEP(&jobs[2], &child, AD_V_I64(3), AD_V_I64(98));
    job_init(&jobs[3], AD_STORE_NORMAL); /* before its parent, in one request: allowed */
    STEP(&jobs[3], &child, AD_V_I64(4), AD_V_I64(2));
    STEP(&jobs[3], &insert_sql, AD_V_I64(2), AD_V_I64(0));
    for (int i = 1; i < 4; i++) {
        job_write(&jobs[i]);
    }
    job_insert(&jobs[4], AD_STORE_NORMAL, 3, 0);
    jobs_await(5);
    ck_assert_int_eq(jobs[0].req.err, AD_OK);
    ck_assert_int_eq(jobs[1].req.err, AD_ERR_CONFLICT);
    ck_assert_int_eq(jobs[2].req.err, AD_ERR_CONFLICT);
    ck_assert_int_eq(jobs[3].req.err, AD_OK);
    ck_assert_int_eq(jobs[4].req.err, AD_OK);
    ck_assert_int_eq(rows_of_t(), 3);
    ck_assert_int_eq(ask_i64("SELECT count(*) FROM c"), 1);
}
END_TEST

START_TEST(returned_rows_are_those_of_the_last_step_that_has_some)
{
    static const struct ad_sql put = SQL("INSERT INTO t (n) VALUES ($1) RETURNING id, n");
    struct job job;
    job_init(&job, AD_STORE_NORMAL);
    STEP(&job, &put, AD_V_I64(7));
    STEP(&job, &put, AD_V_I64(8));
    STEP(&job, &insert_sql, AD_V_I64(50), AD_V_I64(9));
    job.req.cb = on_rows;
    job_write(&job);
    job_await(&job);
    ck_assert_uint_eq(seen_rows, 1);
    ck_assert(seen[0].i64 == 2 && seen[1].i64 == 8);
}
END_TEST

START_TEST(write_that_returns_too_many_rows_still_writes_all)
{
    static const struct ad_sql set = SQL("UPDATE t SET n = 5 RETURNING id");
    struct job job;
    run_sql("INSERT INTO t (id) VALUES (1), (2), (3), (4)");
    job_init(&job, AD_STORE_NORMAL);
    job_step(&job, &set, NULL, 0);
    job.req.rows_max = 2;
    job.req.cb = on_rows;
    job_write(&job);
    job_await(&job);
    ck_assert_uint_eq(seen_rows, 2);
    ck_assert(job.req.more);
    ck_assert_int_eq(job.steps[0].changes, 4);
    ck_assert_int_eq(ask_i64("SELECT count(*) FROM t WHERE n = 5"), 4);
}
END_TEST

/* --- wrong requests --- */

static void refuses(const struct ad_sql *sql, size_t values, enum ad_err wanted, const char *text)
{
    static const struct ad_value none[VALUES];
    struct job job;
    job_init(&job, AD_STORE_NORMAL);
    job_step(&job, sql, none, values);
    job_write(&job);
    job_await(&job);
    ck_assert_msg(job.req.err == wanted && strstr(job.req.info.msg, text), "%s: %s: %s",
                  sql->sqlite, ad_err_name(job.req.err), job.req.info.msg);
    f.done--;
}

START_TEST(wrong_statement_is_internal_and_says_why)
{
    static const struct ad_sql wrong[] = {
        SQL("SELEKT 1"),           SQL("INSERT INTO nowhere VALUES (1)"),
        SQL("SELECT 1; SELECT 2"), SQL("COMMIT"),
        SQL("SELECT :name"),       SQL(" "),
    };
    refuses(&wrong[0], 0, AD_ERR_INTERNAL, "SELEKT");
    refuses(&wrong[1], 0, AD_ERR_INTERNAL, "nowhere");
    refuses(&wrong[2], 0, AD_ERR_INTERNAL, "one statement");
    refuses(&wrong[3], 0, AD_ERR_INTERNAL, "not authorized");
    refuses(&wrong[4], 1, AD_ERR_INTERNAL, "$1");
    refuses(&wrong[5], 0, AD_ERR_INTERNAL, "");
    refuses(&insert_sql, 3, AD_ERR_INTERNAL, "2 values got 3");
    ck_assert(!ad_store_failing(f.store));
}
END_TEST

START_TEST(message_never_holds_a_value)
{
    static const struct ad_sql put = SQL("INSERT INTO u (s) VALUES ($1)");
    static const struct ad_sql sum = SQL("SELECT abs($1)");
    run_sql("CREATE TABLE u (s TEXT UNIQUE CHECK (length(s) < 9))");
    struct job jobs[3];
    for (int i = 0; i < 3; i++) {
        job_init(&jobs[i], AD_STORE_NORMAL);
    }
    STEP(&jobs[0], &put, AD_V_TEXT(AD_STR("secret")));
    STEP(&jobs[0], &put, AD_V_TEXT(AD_STR("secret")));
    STEP(&jobs[1], &put, AD_V_TEXT(AD_STR("secret that is too long")));
    STEP(&jobs[2], &sum, AD_V_I64(INT64_MIN)); /* overflows */
    for (int i = 0; i < 3; i++) {
        job_write(&jobs[i]);
    }
    jobs_await(3);
    ck_assert_int_eq(jobs[0].req.err, AD_ERR_CONFLICT);
    ck_assert_int_eq(jobs[1].req.err, AD_ERR_CONFLICT);
    ck_assert_int_eq(jobs[2].req.err, AD_ERR_INVALID);
    for (int i = 0; i < 3; i++) {
        ck_assert_str_ne(jobs[i].req.info.msg, "");
        ck_assert_ptr_null(strstr(jobs[i].req.info.msg, "secret"));
    }
}
END_TEST

START_TEST(senseless_request_is_refused_without_callback)
{
    struct job job;
    job_init(&job, AD_STORE_NORMAL);
    ck_assert_int_eq(ad_store_write(f.store, &job.req), AD_ERR_INVALID);
    job_step(&job, &insert_sql, NULL, 0);
    job_step(&job, &insert_sql, NULL, 0);
    ck_assert_int_eq(ad_store_read(f.store, &job.req), AD_ERR_INVALID);
    job.req.cb = NULL;
    ck_assert_int_eq(ad_store_write(f.store, &job.req), AD_ERR_INVALID);
    ck_assert_int_eq(ad_store_forget(f.store, &insert_sql, &job.req), AD_ERR_INVALID);
    ck_assert_int_eq(ad_store_exec(f.store, &job.req, AD_STR("SELECT 1")), AD_ERR_INVALID);
    world_settle(&f.w);
    ck_assert_uint_eq(job.done, 0);
    ck_assert_uint_eq(ad_store_pending(f.store), 0);
}
END_TEST

/* --- groups and order --- */

enum { MANY = 2000 };
static struct job many[MANY];

START_TEST(many_requests_share_commits_and_call_back_in_order)
{
    uint64_t before = counter("attiod_store_commits_total", NULL);
    for (int i = 0; i < MANY; i++) {
        job_insert(&many[i], AD_STORE_INGEST, i, i);
        ck_assert_uint_eq(f.done, 0); /* never from inside submit */
    }
    ck_assert_uint_eq(ad_store_pending(f.store), MANY);
    jobs_await(MANY);
    ck_assert_uint_eq(ad_store_pending(f.store), 0);
    for (int i = 0; i < MANY; i++) {
        ck_assert_int_eq(many[i].req.err, AD_OK);
        ck_assert_uint_eq(many[i].done, 1);
        ck_assert_uint_eq(many[i].place, (unsigned)i + 1);
    }
    uint64_t commits = counter("attiod_store_commits_total", NULL) - before;
    ck_assert_uint_ge(commits, MANY / 512);
    ck_assert_uint_le(commits, MANY / 100);
    ck_assert_int_eq(rows_of_t(), MANY);
}
END_TEST

START_TEST(ingest_overtakes_bulk)
{
    f.opts.bulk_max = 10;
    fixture_open_store();
    run_sql("CREATE TABLE t (id INTEGER PRIMARY KEY, n BIGINT, s TEXT)");
    uint64_t before = counter("attiod_store_commits_total", NULL);
    for (int i = 0; i < 100; i++) {
        job_insert(&many[i], AD_STORE_BULK, i, 0);
    }
    struct job ingest;
    job_insert(&ingest, AD_STORE_INGEST, 1000, 0);
    jobs_await(101);
    ck_assert_uint_eq(ingest.place, 1);
    for (unsigned i = 0; i < 100; i++) {
        ck_assert_uint_eq(many[i].place, i + 2);
    }
    /* Its own commit takes no more than bulk_max along; then nobody else waits. */
    ck_assert_uint_eq(counter("attiod_store_commits_total", NULL) - before, 2);
}
END_TEST

/* One of forty that share a commit fails of its second statement: among those that
 * the group begins with, among those that join, as the last; of a constraint, of SQL that is wrong. */
START_TEST(bulk_that_fails_in_a_group_costs_its_neighbours_nothing)
{
    static const unsigned places[] = { 0, 3, 30, 39 };
    static const struct ad_sql wrong = SQL("INSERT INTO nowhere (id, n) VALUES ($1, $2)");
    unsigned bad = places[_i / 2];
    bool conflicts = _i % 2;
    f.opts.bulk_max = 10;
    fixture_open_store();
    run_sql(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n BIGINT, s TEXT); INSERT INTO t (id) VALUES (0)");
    uint64_t before = counter("attiod_store_commits_total", NULL);
    for (unsigned i = 0; i < 40; i++) {
        job_init(&many[i], AD_STORE_BULK);
        STEP(&many[i], &insert_sql, AD_V_I64(2 * i + 1), AD_V_I64(i));
        STEP(&many[i], i != bad || conflicts ? &insert_sql : &wrong,
             AD_V_I64(i != bad ? 2 * i + 2 : 0), AD_V_I64(i));
        job_write(&many[i]);
    }
    jobs_await(40);
    for (unsigned i = 0; i < 40; i++) {
        enum ad_err want = i != bad ? AD_OK : conflicts ? AD_ERR_CONFLICT : AD_ERR_INTERNAL;
        ck_assert_msg(many[i].req.err == want, "%u: %s", i, many[i].req.info.msg);
        ck_assert_uint_eq(many[i].place, i + 1);
        ck_assert_int_eq(many[i].steps[1].changes, i != bad);
    }
    ck_assert_int_eq(rows_of_t(), 1 + 2 * 39);
    ck_assert_int_eq(
        ask_i64("SELECT count(*) FROM t WHERE id > 0 AND n * 2 + 2 - id NOT IN (0, 1)"), 0);
    ck_assert_uint_eq(counter("attiod_store_commits_total", NULL) - before, 1);
}
END_TEST

START_TEST(bulk_request_larger_than_the_bound_gets_its_turn)
{
    f.opts.bulk_max = 2;
    fixture_open_store();
    run_sql("CREATE TABLE t (id INTEGER PRIMARY KEY, n BIGINT, s TEXT)");
    struct job job;
    job_init(&job, AD_STORE_BULK);
    for (int i = 0; i < STEPS; i++) {
        STEP(&job, &insert_sql, AD_V_I64(i), AD_V_I64(0));
    }
    job_write(&job);
    job_await(&job);
    ck_assert_int_eq(job.req.err, AD_OK);
    ck_assert_int_eq(rows_of_t(), STEPS);
}
END_TEST

START_TEST(flood_of_ingest_starves_nobody)
{
    f.opts.group_max = 16;
    fixture_open_store();
    run_sql("CREATE TABLE t (id INTEGER PRIMARY KEY, n BIGINT, s TEXT)");
    for (int i = 0; i < 500; i++) {
        job_insert(&many[i], AD_STORE_INGEST, i, 0);
    }
    struct job normal;
    struct job bulk;
    job_insert(&normal, AD_STORE_NORMAL, 1000, 0);
    job_insert(&bulk, AD_STORE_BULK, 1001, 0);
    jobs_await(502);
    ck_assert_uint_le(normal.place, 18);
    ck_assert_uint_le(bulk.place, 18);
}
END_TEST

static unsigned resubmissions;

static void on_resubmit(struct ad_store_req *req)
{
    struct job *job = req->data;
    ck_assert_int_eq(req->err, AD_OK);
    if (++resubmissions < 5) {
        job->values[0][0].i64++;
        ck_assert_int_eq(ad_store_write(f.store, req), AD_OK);
        return;
    }
    job->done = 1;
}

START_TEST(request_may_be_submitted_again_in_its_callback)
{
    struct job job;
    resubmissions = 0;
    job_init(&job, AD_STORE_INGEST);
    STEP(&job, &insert_sql, AD_V_I64(1), AD_V_I64(0));
    job.req.cb = on_resubmit;
    job_write(&job);
    job_await(&job);
    ck_assert_int_eq(rows_of_t(), 5);
}
END_TEST

/* --- reads --- */

START_TEST(read_sees_what_was_acknowledged)
{
    for (int i = 0; i < 50; i++) {
        struct job job;
        job_insert(&job, AD_STORE_INGEST, i, 0);
        job_await(&job);
        ck_assert_int_eq(rows_of_t(), i + 1);
    }
}
END_TEST

START_TEST(read_stops_at_its_most_rows_and_says_so)
{
    static const struct ad_sql all = SQL("SELECT id FROM t ORDER BY id");
    run_sql("INSERT INTO t (id) VALUES (1), (2), (3)");
    for (size_t max = 1; max <= 4; max++) {
        struct job job;
        job_init(&job, AD_STORE_NORMAL);
        job_step(&job, &all, NULL, 0);
        job.req.rows_max = max;
        read_rows(&job);
        ck_assert_uint_eq(seen_rows, max < 3 ? max : 3);
        ck_assert_int_eq(job.req.more, max < 3);
        ck_assert_int_eq(seen[seen_rows - 1].i64, (int64_t)seen_rows);
    }
}
END_TEST

START_TEST(read_of_no_rows_has_columns)
{
    static const struct ad_sql none = SQL("SELECT id, n FROM t");
    struct job job;
    job_init(&job, AD_STORE_NORMAL);
    job_step(&job, &none, NULL, 0);
    read_rows(&job);
    ck_assert_uint_eq(seen_rows, 0);
    ck_assert_uint_eq(seen_columns, 2);
    ck_assert(!job.req.more);
}
END_TEST

static char megabyte[1 << 20];

START_TEST(read_is_bounded_in_bytes)
{
    static const struct ad_sql put = SQL("INSERT INTO t (id, s) VALUES ($1, $2)");
    static const struct ad_sql all = SQL("SELECT id, s FROM t ORDER BY id");
    memset(megabyte, 'x', sizeof(megabyte));
    for (int i = 0; i < 12; i++) {
        job_init(&many[i], AD_STORE_BULK);
        STEP(&many[i], &put, AD_V_I64(i),
             AD_V_TEXT(ad_str_n(megabyte, i == 0 ? 10 : sizeof(megabyte))));
        job_write(&many[i]);
    }
    jobs_await(12);
    struct job job;
    job_init(&job, AD_STORE_NORMAL);
    job_step(&job, &all, NULL, 0);
    read_rows(&job);
    ck_assert_uint_eq(seen_rows, 8); /* the short one and seven whole megabytes below 8 MiB */
    ck_assert(job.req.more);
    ck_assert_uint_eq(seen[3].str.n, sizeof(megabyte));
}
END_TEST

static const struct ad_sql endless_sql =
    SQL("WITH RECURSIVE r (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) SELECT max(x) FROM r");

START_TEST(long_read_is_interrupted)
{
    f.opts.read_ms = 50;
    fixture_open_store();
    struct job job;
    uint64_t begun = real_ms();
    job_init(&job, AD_STORE_NORMAL);
    job_step(&job, &endless_sql, NULL, 0);
    job_read(&job);
    job_await(&job);
    ck_assert_int_eq(job.req.err, AD_ERR_TIMEOUT);
    ck_assert_uint_ge(real_ms() - begun, 50);
    ck_assert_uint_le(real_ms() - begun, 2000);
    ck_assert_uint_eq(counter("attiod_store_errors_total", "kind=\"timeout\""), 1);
    ck_assert_int_eq(ask_i64("SELECT 5"), 5);
}
END_TEST

START_TEST(read_that_waits_too_long_behind_others_is_busy)
{
    f.opts.read_ms = 50;
    f.opts.busy_ms = 20;
    fixture_open_store();
    struct job jobs[2];
    for (int i = 0; i < 2; i++) {
        job_init(&jobs[i], AD_STORE_NORMAL);
        job_step(&jobs[i], &endless_sql, NULL, 0);
        job_read(&jobs[i]);
    }
    jobs_await(2);
    ck_assert_int_eq(jobs[0].req.err, AD_ERR_TIMEOUT);
    ck_assert_int_eq(jobs[1].req.err, AD_ERR_BUSY);
}
END_TEST

START_TEST(long_read_delays_no_write)
{
    f.opts.read_ms = 400;
    fixture_open_store();
    run_sql("CREATE TABLE t (id INTEGER PRIMARY KEY, n BIGINT, s TEXT)");
    struct job slow;
    struct job quick;
    job_init(&slow, AD_STORE_NORMAL);
    job_step(&slow, &endless_sql, NULL, 0);
    job_read(&slow);
    job_insert(&quick, AD_STORE_INGEST, 1, 0);
    jobs_await(2);
    ck_assert_uint_eq(quick.place, 1);
}
END_TEST

START_TEST(read_must_not_write)
{
    struct job job;
    job_init(&job, AD_STORE_NORMAL);
    STEP(&job, &insert_sql, AD_V_I64(1), AD_V_I64(1));
    job_read(&job);
    job_await(&job);
    ck_assert_int_eq(job.req.err, AD_ERR_INTERNAL);
    ck_assert_int_eq(rows_of_t(), 0);
}
END_TEST

/* --- scripts, forgetting --- */

START_TEST(script_is_all_or_nothing)
{
    struct ad_errinfo info = { .code = AD_OK };
    ck_assert_int_eq(ad_store_exec_now(f.store,
                                       AD_STR("CREATE TABLE one (a INTEGER);\n"
                                              "INSERT INTO one VALUES (1);\n\n"
                                              "  INSERT INTO two VALUES (1);"),
                                       &info),
                     AD_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(info.msg, "line 4"));
    ck_assert_ptr_nonnull(strstr(info.msg, "two"));
    run_sql("CREATE TABLE one (a INTEGER); -- free again\n"
            "INSERT INTO one VALUES (1), (2); /* and an end without semicolon */ "
            "DELETE FROM one WHERE a = 1");
    ck_assert_int_eq(ask_i64("SELECT sum(a) FROM one"), 2);
    run_sql("");
}
END_TEST

START_TEST(script_cannot_end_its_transaction)
{
    static const char *const scripts[] = {
        "INSERT INTO t (id) VALUES (1); COMMIT; INSERT INTO t (id) VALUES (2)",
        "INSERT INTO t (id) VALUES (1); ROLLBACK",
        "INSERT INTO t (id) VALUES (1); SAVEPOINT x",
    };
    for (size_t i = 0; i < AD_LEN(scripts); i++) {
        ck_assert_int_eq(ad_store_exec_now(f.store, ad_str_c(scripts[i]), NULL), AD_ERR_INTERNAL);
    }
    ck_assert_int_eq(rows_of_t(), 0);
}
END_TEST

START_TEST(script_runs_behind_what_was_submitted_before)
{
    for (int i = 0; i < 600; i++) {
        job_insert(&many[i], i % 2 ? AD_STORE_BULK : AD_STORE_INGEST, i, 0);
    }
    struct job script;
    job_init(&script, AD_STORE_NORMAL);
    ck_assert_int_eq(ad_store_exec(f.store, &script.req, AD_STR("UPDATE t SET n = 1")), AD_OK);
    jobs_await(601);
    ck_assert_uint_eq(script.place, 601);
    ck_assert_int_eq(ask_i64("SELECT sum(n) FROM t"), 600);
}
END_TEST

START_TEST(prepared_statements_follow_changed_tables)
{
    static const struct ad_sql all = SQL("SELECT * FROM t");
    struct job job;
    for (int i = 0; i < 4; i++) {
        char script[64];
        job_insert(&job, AD_STORE_INGEST, i, 0);
        job_await(&job);
        ck_assert_int_eq(job.req.err, AD_OK);
        job_init(&job, AD_STORE_NORMAL);
        job_step(&job, &all, NULL, 0);
        read_rows(&job);
        ck_assert_uint_eq(seen_columns, 3 + (size_t)i);
        text_of(script, sizeof(script), "ALTER TABLE t ADD COLUMN c%d TEXT", i);
        run_sql(script);
    }
    run_sql("DROP TABLE t");
    job_insert(&job, AD_STORE_INGEST, 9, 0);
    job_await(&job);
    ck_assert_int_ne(job.req.err, AD_OK);
    ck_assert(!ad_store_failing(f.store));
}
END_TEST

START_TEST(forgotten_address_may_stand_for_another_statement)
{
    struct ad_sql sql = SQL("SELECT 1");
    for (int i = 0; i < 3; i++) {
        struct job job;
        struct job forget;
        job_init(&job, AD_STORE_NORMAL);
        job_step(&job, &sql, NULL, 0);
        job_init(&forget, AD_STORE_NORMAL);
        job.req.cb = on_rows;
        job_read(&job);
        ck_assert_int_eq(ad_store_forget(f.store, &sql, &forget.req), AD_OK);
        job_await(&forget);
        ck_assert_uint_eq(job.done, 1);
        ck_assert_int_eq(seen[0].i64, i == 0 ? 1 : 2);
        sql = (struct ad_sql)SQL("SELECT 2");
    }
}
END_TEST

START_TEST(now_functions_keep_rows_until_freed)
{
    static const struct ad_sql put = SQL("INSERT INTO t (n) VALUES ($1) RETURNING id");
    struct ad_value value = AD_V_I64(5);
    struct ad_step step = { .sql = &put, .values = &value, .values_n = 1 };
    struct ad_store_req req = { .steps = &step, .steps_n = 1 };
    ck_assert_int_eq(ad_store_write_now(f.store, &req), AD_OK);
    ck_assert_int_eq(req.rows.values[0].i64, 1);
    ad_store_rows_free(&req);
    ck_assert_uint_eq(req.rows.rows, 0);
    req.steps_n = 0;
    ck_assert_int_eq(ad_store_write_now(f.store, &req), AD_ERR_INVALID);
    ad_store_rows_free(&req);
}
END_TEST

/* --- locked --- */

START_TEST(locked_database_is_busy_within_bounds_and_recovers)
{
    f.opts.busy_ms = 300;
    fixture_open_store();
    run_sql("CREATE TABLE t (id INTEGER PRIMARY KEY, n BIGINT, s TEXT)");
    f.backend->lock();
    uint64_t begun = real_ms();
    struct job first;
    job_insert(&first, AD_STORE_INGEST, 1, 0);
    while (real_ms() - begun < 150) {
        ad_loop_turn(f.w.loop, 10);
    }
    struct job second[3]; /* queue up behind it: their time counts from their own submitting */
    uint64_t begun_second = real_ms();
    job_insert(&second[0], AD_STORE_INGEST, 2, 0);
    job_insert(&second[1], AD_STORE_NORMAL, 3, 0);
    job_insert(&second[2], AD_STORE_BULK, 4, 0);
    job_await(&first);
    ck_assert_int_eq(first.req.err, AD_ERR_STORE_BUSY);
    ck_assert_uint_ge(real_ms() - begun, 290);
    ck_assert_uint_le(real_ms() - begun, 1500);
    ck_assert(ad_store_failing(f.store));
    jobs_await(4);
    ck_assert_uint_le(real_ms() - begun_second, 1500);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(second[i].req.err, AD_ERR_STORE_BUSY);
    }
    ck_assert(world_logged(&f.w, "store_failing"));
    f.backend->unlock();
    job_insert(&first, AD_STORE_INGEST, 5, 0);
    job_await(&first);
    ck_assert_int_eq(first.req.err, AD_OK);
    ck_assert(!ad_store_failing(f.store));
    ck_assert(world_logged(&f.w, "store_recovered"));
    ck_assert_int_eq(rows_of_t(), 1);
}
END_TEST

static bool is_well(void *ctx)
{
    (void)ctx;
    return !ad_store_failing(f.store);
}

START_TEST(failing_store_finds_out_by_itself_that_it_works_again)
{
    f.opts.busy_ms = 50;
    fixture_open_store();
    run_sql("CREATE TABLE t (id INTEGER PRIMARY KEY, n BIGINT, s TEXT)");
    f.backend->lock();
    struct job job;
    job_insert(&job, AD_STORE_INGEST, 1, 0);
    job_await(&job);
    ck_assert(ad_store_failing(f.store));
    f.backend->unlock();
    world_until(&f.w, is_well, NULL);
    ck_assert_int_eq(rows_of_t(), 0);
}
END_TEST

START_TEST(failing_store_closes)
{
    f.opts.busy_ms = 50;
    fixture_open_store();
    run_sql("CREATE TABLE t (id INTEGER PRIMARY KEY, n BIGINT, s TEXT)");
    f.backend->lock();
    struct job job;
    job_insert(&job, AD_STORE_INGEST, 1, 0);
    job_await(&job);
    fixture_close_store();
    f.backend->unlock();
}
END_TEST

START_TEST(lock_that_goes_in_time_is_only_a_delay)
{
    f.backend->lock();
    for (int i = 0; i < 10; i++) {
        job_insert(&many[i], AD_STORE_INGEST, i, 0);
    }
    uint64_t begun = real_ms();
    while (real_ms() - begun < 100) {
        ad_loop_turn(f.w.loop, 10);
    }
    ck_assert_uint_eq(f.done, 0);
    static const struct ad_sql count_sql = SQL("SELECT count(*) FROM t");
    struct job read;
    job_init(&read, AD_STORE_NORMAL);
    job_step(&read, &count_sql, NULL, 0);
    read_rows(&read); /* reads go on */
    ck_assert_int_eq(seen[0].i64, 0);
    f.backend->unlock();
    jobs_await(11);
    ck_assert_int_eq(rows_of_t(), 10);
}
END_TEST

/* --- closing --- */

static void on_closed(void *ctx)
{
    *(unsigned *)ctx = f.done + 1; /* what was done by then, plus one */
}

START_TEST(close_finishes_what_was_submitted)
{
    unsigned closed = 0;
    for (int i = 0; i < 1000; i++) {
        job_insert(&many[i], (enum ad_store_class)(i % 3), i, 0);
    }
    struct job read;
    struct job late;
    job_init(&read, AD_STORE_NORMAL);
    job_step(&read, &endless_sql, NULL, 0);
    job_read(&read);
    ad_store_close(f.store, on_closed, &closed);
    job_init(&late, AD_STORE_NORMAL);
    STEP(&late, &insert_sql, AD_V_I64(5000), AD_V_I64(0));
    ck_assert_int_eq(ad_store_write(f.store, &late.req), AD_ERR_CLOSED);
    ck_assert_int_eq(ad_store_read(f.store, &late.req), AD_ERR_CLOSED);
    ck_assert_int_eq(ad_store_forget(f.store, &insert_sql, &late.req), AD_ERR_CLOSED);
    ck_assert_int_eq(ad_store_exec_now(f.store, AD_STR(""), NULL), AD_ERR_CLOSED);
    world_until_count(&f.w, &closed, 1);
    ck_assert_uint_eq(closed, 1002);
    fixture_open_store();
    ck_assert_int_eq(rows_of_t(), 1000);
}
END_TEST

static unsigned closed_from_callback;

static void on_last(struct ad_store_req *req)
{
    struct job *job = req->data;
    job->done++;
    ad_store_close(f.store, on_closed, &closed_from_callback);
}

START_TEST(store_may_be_closed_from_a_callback)
{
    struct job jobs[3];
    closed_from_callback = 0;
    job_insert(&jobs[0], AD_STORE_NORMAL, 1, 0);
    jobs[0].req.cb = on_last;
    job_insert(&jobs[1], AD_STORE_NORMAL, 2, 0);
    job_insert(&jobs[2], AD_STORE_NORMAL, 3, 0);
    world_until_count(&f.w, &closed_from_callback, 1);
    f.store = NULL;
    ck_assert_uint_eq(jobs[0].done + jobs[1].done + jobs[2].done, 3);
}
END_TEST

START_TEST(idle_store_closes_at_once)
{
    fixture_close_store();
    fixture_open_store();
    fixture_close_store();
}
END_TEST

/* --- no memory --- */

static void on_torture_closed(void *ctx)
{
    *(bool *)ctx = true;
}

static enum ad_err open_write_read_close(void *ctx)
{
    static const struct ad_sql put = SQL("INSERT INTO m (n) VALUES ($1) RETURNING id");
    static const struct ad_sql all = SQL("SELECT n FROM m");
    (void)ctx;
    struct ad_store *store = NULL;
    struct ad_store_opts opts = { .url = f.url };
    enum ad_err err = ad_store_open(f.w.loop, &opts, &store, NULL);
    if (err) {
        ad_loop_turn(f.w.loop, 0);
        return err;
    }
    struct ad_value value = AD_V_I64(1);
    struct ad_step step = { .sql = &put, .values = &value, .values_n = 1 };
    struct ad_store_req req = { .steps = &step, .steps_n = 1 };
    err = ad_store_exec_now(store, AD_STR("CREATE TABLE IF NOT EXISTS m (id INTEGER, n INTEGER)"),
                            NULL);
    if (!err) {
        err = ad_store_write_now(store, &req);
        ad_store_rows_free(&req);
    }
    if (!err) {
        step = (struct ad_step){ .sql = &all };
        err = ad_store_read_now(store, &req);
        ad_store_rows_free(&req);
    }
    bool closed = false;
    ad_store_close(store, on_torture_closed, &closed);
    world_until_true(&f.w, &closed);
    return err;
}

START_TEST(no_memory_at_any_place_is_an_error_and_no_leak)
{
    ad_log_install(NULL, NULL, NULL, AD_LOG_JSON); /* captured lines would count as held */
    ck_assert_int_eq(ad_timers_reserve(ad_loop_timers(f.w.loop), 4),
                     AD_OK); /* the loop's heap too */
    torture(open_write_read_close, NULL);
}
END_TEST

/* --- */

#define TEST(name) tcase_add_test(tcase, name)

static TCase *opened_tests(void)
{
    TCase *tcase = tcase_create("open");
    tcase_add_checked_fixture(tcase, setup, teardown);
    TEST(every_type_comes_back_as_it_went);
    TEST(stored_values_come_back_as_they_went);
    TEST(absent_slice_and_not_a_number_are_null);
    TEST(parameters_go_by_number_not_by_place);
    TEST(changes_and_id_are_those_of_each_statement);
    TEST(request_of_several_steps_is_all_or_nothing);
    TEST(constraint_fails_its_request_alone);
    TEST(foreign_key_checked_at_commit_fails_its_request_alone);
    TEST(returned_rows_are_those_of_the_last_step_that_has_some);
    TEST(write_that_returns_too_many_rows_still_writes_all);
    TEST(wrong_statement_is_internal_and_says_why);
    TEST(message_never_holds_a_value);
    TEST(senseless_request_is_refused_without_callback);
    TEST(many_requests_share_commits_and_call_back_in_order);
    TEST(request_may_be_submitted_again_in_its_callback);
    TEST(read_sees_what_was_acknowledged);
    TEST(read_stops_at_its_most_rows_and_says_so);
    TEST(read_of_no_rows_has_columns);
    TEST(read_is_bounded_in_bytes);
    TEST(read_must_not_write);
    TEST(script_is_all_or_nothing);
    TEST(script_cannot_end_its_transaction);
    TEST(script_runs_behind_what_was_submitted_before);
    TEST(prepared_statements_follow_changed_tables);
    TEST(forgotten_address_may_stand_for_another_statement);
    TEST(now_functions_keep_rows_until_freed);
    if (!backend->on_loop) { /* nobody could let go of the lock meanwhile */
        TEST(lock_that_goes_in_time_is_only_a_delay);
    }
    TEST(close_finishes_what_was_submitted);
    TEST(store_may_be_closed_from_a_callback);
    TEST(idle_store_closes_at_once);
    return tcase;
}

static TCase *bare_tests(void)
{
    TCase *tcase = tcase_create("bare");
    tcase_add_checked_fixture(tcase, setup_bare, teardown);
    TEST(ingest_overtakes_bulk);
    tcase_add_loop_test(tcase, bulk_that_fails_in_a_group_costs_its_neighbours_nothing, 0, 8);
    TEST(bulk_request_larger_than_the_bound_gets_its_turn);
    TEST(flood_of_ingest_starves_nobody);
    TEST(long_read_is_interrupted);
    TEST(read_that_waits_too_long_behind_others_is_busy);
    TEST(long_read_delays_no_write);
    TEST(locked_database_is_busy_within_bounds_and_recovers);
    TEST(failing_store_finds_out_by_itself_that_it_works_again);
    TEST(failing_store_closes);
    TEST(no_memory_at_any_place_is_an_error_and_no_leak);
    return tcase;
}

int main(void)
{
    int status = EXIT_SUCCESS;
    for (size_t i = 0; i < AD_LEN(backends); i++) {
        backend = backends[i];
        Suite *suite = suite_create(backend->name);
        suite_add_tcase(suite, opened_tests());
        suite_add_tcase(suite, bare_tests());
        status = run_suite(suite) == EXIT_SUCCESS ? status : EXIT_FAILURE;
    }
    return status;
}
