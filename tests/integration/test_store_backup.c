/* The store's backup: on a real disk, beside real writes. */
#include "contract/store_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/heap.h"

static struct ad_store_backup b;
static char path[128];
static unsigned called;

static void setup(void)
{
    fixture_open(&sqlite_backend);
    called = 0;
    text_of(path, sizeof(path), "%s/copy.db", f.dir);
}

static void teardown(void)
{
    char part[160];
    text_of(part, sizeof(part), "%s.part", path);
    (void)unlink(path);
    (void)unlink(part);
    fixture_close();
}

static void on_backup(struct ad_store_backup *backup)
{
    ck_assert_ptr_eq(backup, &b);
    ck_assert_ptr_null(backup->impl);
    called++;
}

static enum ad_err begin(const char *to)
{
    b = (struct ad_store_backup){ .path = to, .cb = on_backup };
    return ad_store_backup(f.store, &b);
}

/* The pool's threads take real time. */
static void await_backup(void)
{
    while (!called) {
        ad_loop_turn(f.w.loop, 10);
    }
    ck_assert_uint_eq(called, 1);
}

static enum ad_err backup(const char *to)
{
    called = 0;
    ck_assert_int_eq(begin(to), AD_OK);
    ck_assert_uint_eq(called, 0);
    await_backup();
    return b.err;
}

static void fill(void)
{
    run_sql("WITH RECURSIVE r (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r WHERE x < 20000)"
            " INSERT INTO t (id, s) SELECT x, hex(zeroblob(50)) FROM r");
}

/* As a stranger finds it. */
static int64_t ask_copy(const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    ck_assert_int_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    ck_assert_msg(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK, "%s",
                  sqlite3_errmsg(db));
    ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
    int64_t n = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
    return n;
}

static bool exists(const char *suffix)
{
    char name[160];
    text_of(name, sizeof(name), "%s%s", path, suffix);
    return access(name, F_OK) == 0;
}

START_TEST(copy_is_one_private_whole_file)
{
    struct stat st;
    fill();
    ck_assert_msg(backup(path) == AD_OK, "%s", b.info.msg);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    ck_assert_uint_eq((uint64_t)st.st_size, b.bytes);
    ck_assert(!exists(".part") && !exists("-wal") && !exists("-shm") && !exists("-journal"));
    ck_assert_int_eq(ask_copy("SELECT count(*) FROM t"), 20000);
    ck_assert_int_eq(ask_copy("SELECT count(*) FROM pragma_integrity_check"
                              " WHERE integrity_check = 'ok'"),
                     1);
    ck_assert(!exists("-wal"));
}
END_TEST

START_TEST(copy_is_of_one_moment_and_writes_go_on)
{
    fill();
    ck_assert_int_eq(begin(path), AD_OK);
    int64_t n = 20000;
    struct job job;
    /* Commits meanwhile: each would make a copy without its own moment begin anew. */
    while (!called) {
        job_insert(&job, AD_STORE_INGEST, ++n, 1);
        job_await(&job);
        ck_assert_int_eq(job.req.err, AD_OK);
    }
    ck_assert_msg(b.err == AD_OK, "%s", b.info.msg);
    int64_t copied = ask_copy("SELECT count(*) FROM t");
    ck_assert_int_ge(copied, 20000);
    ck_assert_int_eq(copied, ask_copy("SELECT max(id) FROM t"));
    ck_assert_int_gt(n, 20010);
    ck_assert_int_lt(copied, n);
    ck_assert_int_eq(rows_of_t(), n);
}
END_TEST

START_TEST(copy_opens_as_a_store_and_goes_on_from_there)
{
    fill();
    ck_assert_int_eq(backup(path), AD_OK);
    fixture_close_store();
    char url[160];
    text_of(url, sizeof(url), "sqlite:%s", path);
    const char *before = f.opts.url;
    f.opts.url = url;
    fixture_open_store();
    run_sql("INSERT INTO t (id, n) VALUES (30000, 1)");
    ck_assert_int_eq(rows_of_t(), 20001);
    fixture_close_store();
    f.opts.url = before;
    char lock[160];
    text_of(lock, sizeof(lock), "%s.lock", path);
    ck_assert_int_eq(unlink(lock), 0);
    fixture_open_store();
}
END_TEST

START_TEST(nothing_that_exists_is_replaced)
{
    char part[160];
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    ck_assert_int_eq(write(fd, "mine", 4), 4);
    close(fd);
    ck_assert_int_eq(backup(path), AD_ERR_CONFLICT);
    struct stat st;
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_size, 4);
    ck_assert(!exists(".part"));
    ck_assert_int_eq(unlink(path), 0);
    /* A dangling link is a name as well. */
    ck_assert_int_eq(symlink("/nowhere/at/all", path), 0);
    ck_assert_int_eq(backup(path), AD_ERR_CONFLICT);
    ck_assert_int_eq(unlink(path), 0);
    text_of(part, sizeof(part), "%s.part", path);
    close(open(part, O_CREAT | O_WRONLY, 0600));
    ck_assert_int_eq(backup(path), AD_ERR_CONFLICT);
    ck_assert_ptr_nonnull(strstr(b.info.msg, ".part"));
    ck_assert(exists(".part") && !exists(""));
}
END_TEST

START_TEST(a_place_that_cannot_be_is_refused)
{
    ck_assert_int_eq(begin("copy.db"), AD_ERR_INVALID);
    ck_assert_int_eq(begin("/"), AD_ERR_INVALID);
    ck_assert_int_eq(begin("/tmp/"), AD_ERR_INVALID);
    ck_assert_int_eq(backup("/nowhere/at/all/copy.db"), AD_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(b.info.msg, "No such file"));
}
END_TEST

START_TEST(no_room_leaves_nothing_behind)
{
    struct rlimit limit;
    fill();
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    struct rlimit small = { .rlim_cur = UINT64_C(256) * 1024, .rlim_max = limit.rlim_max };
    ck_assert(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    enum ad_err err = backup(path);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_msg(err == AD_ERR_STORE || err == AD_ERR_STORE_FULL, "%s", b.info.msg);
    ck_assert(!exists("") && !exists(".part"));
    ck_assert_int_eq(backup(path), AD_OK);
}
END_TEST

START_TEST(cancelled_it_ends_and_leaves_nothing_behind)
{
    unsigned done;
    unsigned all = 0;
    fill();
    /* At once, and in the middle. */
    for (int i = 0; i < 2; i++) {
        called = 0;
        ck_assert_int_eq(begin(path), AD_OK);
        while (i == 1 && all == 0 && !called) {
            ad_loop_turn(f.w.loop, 1);
            ad_store_backup_progress(&b, &done, &all);
            ck_assert_uint_le(done, all);
        }
        ad_store_backup_cancel(&b);
        await_backup();
        ck_assert(b.err == AD_ERR_CANCELED);
        ck_assert(!exists("") && !exists(".part"));
        ad_store_backup_cancel(&b); /* harmless */
        ad_store_backup_progress(&b, &done, &all);
        ck_assert_uint_eq(all, 0);
    }
}
END_TEST

START_TEST(without_memory_it_does_not_begin)
{
    heap_fail(0, 1);
    enum ad_err err = begin(path);
    heap_fail(0, 0);
    ck_assert_int_eq(err, AD_ERR_NOMEM);
    ck_assert_int_eq(backup(path), AD_OK);
}
END_TEST

/* --- Written anew --- */

static bool file_holds(const char *suffix, const char *text)
{
    static char bytes[8 << 20];
    char name[160];
    text_of(name, sizeof(name), "%s%s", f.path, suffix);
    FILE *file = fopen(name, "rb");
    if (!file) {
        return false;
    }
    size_t n = fread(bytes, 1, sizeof(bytes), file);
    (void)fclose(file);
    ck_assert_uint_lt(n, sizeof(bytes));
    return memmem(bytes, n, text, strlen(text)) != NULL;
}

static void on_rewritten(struct ad_store_req *req)
{
    (void)req;
    called++;
}

static enum ad_err rewrite(void)
{
    struct ad_store_req req = { .cb = on_rewritten };
    called = 0;
    ck_assert_int_eq(ad_store_rewrite(f.store, &req), AD_OK);
    await_backup();
    return req.err;
}

START_TEST(written_anew_nothing_deleted_is_left)
{
    fill();
    run_sql("UPDATE t SET s = 'quoxlewhim' WHERE id % 7 = 0");
    run_sql("UPDATE t SET s = NULL WHERE s = 'quoxlewhim'; DELETE FROM t WHERE id > 15000");
    ck_assert(file_holds("", "quoxlewhim") || file_holds("-wal", "quoxlewhim"));
    ck_assert_int_eq(rewrite(), AD_OK);
    ck_assert(!file_holds("", "quoxlewhim") && !file_holds("-wal", "quoxlewhim"));
    ck_assert_int_eq(rows_of_t(), 15000);
    run_sql("INSERT INTO t (id, n) VALUES (30000, 1)");
    ck_assert_int_eq(rows_of_t(), 15001);
}
END_TEST

START_TEST(what_another_program_reads_cannot_be_emptied)
{
    sqlite3 *db = NULL;
    fill();
    ck_assert_int_eq(sqlite3_open_v2(f.path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, "BEGIN; SELECT count(*) FROM t", NULL, NULL, NULL),
                     SQLITE_OK);
    ck_assert_int_eq(rewrite(), AD_ERR_STORE_BUSY);
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
    ck_assert_int_eq(rewrite(), AD_OK);
    run_sql("INSERT INTO t (id, n) VALUES (30000, 1)");
}
END_TEST

static Suite *backup_suite(void)
{
    const TTest *const tests[] = {
        copy_is_one_private_whole_file,
        copy_is_of_one_moment_and_writes_go_on,
        copy_opens_as_a_store_and_goes_on_from_there,
        nothing_that_exists_is_replaced,
        a_place_that_cannot_be_is_refused,
        no_room_leaves_nothing_behind,
        cancelled_it_ends_and_leaves_nothing_behind,
        without_memory_it_does_not_begin,
        written_anew_nothing_deleted_is_left,
        what_another_program_reads_cannot_be_emptied,
    };
    Suite *suite = suite_create("store_backup");
    TCase *tcase = tcase_create("backup");
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < AD_LEN(tests); i++) {
        tcase_add_test(tcase, tests[i]);
    }
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITE(backup_suite)
