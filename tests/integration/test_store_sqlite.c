/* What the store promises when SQLite's world goes wrong: the disk, the file, other processes,
 * memory, power. What it promises on any database is in contract/test_store.c. */
#include "contract/store_fixture.h"

#include "integration/sqlite_vfs.h"
#include "support/sqlite_heap.h"
#include "support/torture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void setup(void)
{
    fixture_open(&sqlite_backend);
}

static void setup_bare(void)
{
    fixture_open_bare(&sqlite_backend);
}

static void setup_vfs(void)
{
    vfs_install();
    fixture_open(&sqlite_backend);
}

static void teardown(void)
{
    fixture_close();
}

static enum ad_err insert(int64_t id)
{
    struct job job;
    job_insert(&job, AD_STORE_INGEST, id, 0);
    job_await(&job);
    return job.req.err;
}

static enum ad_err open_at(const char *url, struct ad_errinfo *info)
{
    struct ad_store_opts opts = { .url = url, .busy_ms = 100 };
    struct ad_store *store = NULL;
    enum ad_err err = ad_store_open(f.w.loop, &opts, &store, info);
    ck_assert_ptr_null(store);
    return err;
}

/* One number from a database that no store has open. */
static int64_t ask_file(const char *path, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *stmt;
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    ck_assert_msg(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK, "%s: %s", path,
                  sqlite3_errmsg(db));
    ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
    int64_t answer = sqlite3_column_int64(stmt, 0);
    ck_assert_int_eq(sqlite3_finalize(stmt), SQLITE_OK);
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
    return answer;
}

static void assert_intact(const char *path)
{
    ck_assert_int_eq(ask_file(path, "SELECT count(*) FROM pragma_integrity_check"
                                    " WHERE integrity_check = 'ok'"),
                     1);
}

/* --- where and who --- */

START_TEST(urls_of_all_forms_are_understood)
{
    static const struct {
        const char *format; /* of the path */
        enum ad_err err;
    } cases[] = {
        { "sqlite:%s", AD_OK },
        { "sqlite://%s", AD_OK }, /* three slashes with the path's own */
        { "sqlite::memory:", AD_ERR_CONFIG },
        { "sqlite:", AD_ERR_CONFIG },
        { "sqlite://host/x.db", AD_ERR_CONFIG },
        { "sqlite:%s?mode=ro", AD_ERR_CONFIG },
        { "postgresql://localhost/x", AD_ERR_CONFIG },
        { "%s", AD_ERR_CONFIG },
        { "", AD_ERR_CONFIG },
        { "sqlite:/nowhere/at/all/x.db", AD_ERR_STORE },
        { "sqlite:/", AD_ERR_CONFIG },
    };
    for (size_t i = 0; i < AD_LEN(cases); i++) {
        char url[200];
        const char *path = strstr(cases[i].format, "%s");
        text_of(url, sizeof(url), "%.*s%s%s",
                (int)(path ? path - cases[i].format : (long)strlen(cases[i].format)),
                cases[i].format, path ? f.path : "", path ? path + 2 : "");
        if (cases[i].err == AD_OK) {
            f.opts.url = url;
            fixture_open_store();
            ck_assert_str_eq(ad_store_path(f.store), f.path);
            fixture_close_store();
        } else {
            struct ad_errinfo info = { .code = AD_OK };
            ck_assert_msg(open_at(url, &info) == cases[i].err, "%s: %s", url, info.msg);
            ck_assert_str_ne(info.msg, "");
        }
    }
}
END_TEST

START_TEST(file_is_private)
{
    struct stat st;
    ck_assert_int_eq(insert(1), AD_OK);
    static const char *const suffixes[] = { "", "-wal", "-shm", ".lock" };
    for (size_t i = 0; i < AD_LEN(suffixes); i++) {
        char path[128];
        text_of(path, sizeof(path), "%s%s", f.path, suffixes[i]);
        ck_assert_int_eq(stat(path, &st), 0);
        ck_assert_msg((st.st_mode & 0777) == 0600, "%s: %o", path, st.st_mode);
    }
}
END_TEST

START_TEST(second_store_is_refused_by_whatever_name)
{
    struct ad_errinfo info = { .code = AD_OK };
    ck_assert_int_eq(open_at(f.url, &info), AD_ERR_BUSY);
    ck_assert_ptr_nonnull(strstr(info.msg, "test.db"));
    char alias[128];
    char url[160];
    text_of(alias, sizeof(alias), "%s/alias.db", f.dir);
    text_of(url, sizeof(url), "sqlite:%s", alias);
    ck_assert_int_eq(symlink(f.path, alias), 0);
    ck_assert_int_eq(open_at(url, NULL), AD_ERR_BUSY);
    ck_assert_int_eq(insert(1), AD_OK); /* the first has kept its locks */
    f.backend->lock();
    f.backend->unlock();
    ck_assert_int_eq(insert(2), AD_OK);
    fixture_close_store();
    fixture_open_store();
}
END_TEST

/* The child ends by a signal: nobody shall look there for what only the parent's threads hold. */
START_TEST(second_process_is_refused)
{
    pid_t child = fork();
    if (child == 0) {
        struct ad_loop *loop = NULL;
        struct ad_store *store = NULL;
        struct ad_store_opts opts = { .url = f.url };
        bool refused =
            ad_loop_open(&loop) == AD_OK && ad_store_open(loop, &opts, &store, NULL) == AD_ERR_BUSY;
        AD_IGNORE(kill(getpid(), refused ? SIGKILL : SIGABRT), "then it hangs, and the test fails");
    }
    int status = -1;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status));
    ck_assert_int_eq(WTERMSIG(status), SIGKILL);
}
END_TEST

START_TEST(other_programs_can_read)
{
    ck_assert_int_eq(insert(1), AD_OK);
    ck_assert_int_eq(ask_file(f.path, "SELECT count(*) FROM t"), 1);
    ck_assert_int_eq(insert(2), AD_OK);
    ck_assert_int_eq(ask_file(f.path, "SELECT count(*) FROM t"), 2);
}
END_TEST

START_TEST(close_leaves_one_file_with_everything)
{
    char log[128];
    struct stat st;
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(insert(i), AD_OK);
    }
    fixture_close_store();
    text_of(log, sizeof(log), "%s-wal", f.path);
    ck_assert_int_eq(stat(log, &st), -1);
    ck_assert_int_eq(ask_file(f.path, "SELECT count(*) FROM t"), 100);
    assert_intact(f.path);
}
END_TEST

START_TEST(file_replaced_under_us_takes_no_writes)
{
    char away[128];
    text_of(away, sizeof(away), "%s/away.db", f.dir);
    ck_assert_int_eq(insert(1), AD_OK);
    ck_assert_int_eq(rename(f.path, away), 0);
    ck_assert_int_eq(insert(2), AD_ERR_STORE);
    ck_assert(ad_store_failing(f.store));
    ck_assert_int_eq(close(open(f.path, O_CREAT | O_WRONLY, 0600)), 0);
    ck_assert_int_eq(insert(3), AD_ERR_STORE);
    ck_assert_int_eq(rename(away, f.path), 0);
    ck_assert_int_eq(insert(4), AD_OK);
    ck_assert_int_eq(rows_of_t(), 2);
}
END_TEST

/* --- damaged --- */

static void scribble(off_t at, size_t n)
{
    char junk[8192];
    int fd = open(f.path, O_WRONLY);
    memset(junk, 0xa5, sizeof(junk));
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pwrite(fd, junk, n, at), (ssize_t)n);
    close(fd);
}

static void make_file(void)
{
    fixture_open_store();
    run_sql("CREATE TABLE t (id INTEGER PRIMARY KEY, n BIGINT, s TEXT);"
            "WITH RECURSIVE r (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r WHERE x < 20000)"
            " INSERT INTO t (id, s) SELECT x, hex(zeroblob(50)) FROM r");
    fixture_close_store();
}

START_TEST(damaged_file_is_refused_by_name)
{
    static const struct {
        off_t at;
        size_t n;
    } cases[] = { { 0, 16 }, { 100, 200 }, { 4096, 4096 }, { 10L * 4096, 8192 } };
    make_file();
    for (size_t i = 0; i < AD_LEN(cases); i++) {
        struct ad_errinfo info = { .code = AD_OK };
        char copy[256];
        text_of(copy, sizeof(copy), "cp %s %s.good", f.path, f.path);
        ck_assert_int_eq(system(copy), 0);
        scribble(cases[i].at, cases[i].n);
        ck_assert_msg(open_at(f.url, &info) == AD_ERR_CORRUPT, "case %zu: %s", i, info.msg);
        ck_assert_ptr_nonnull(strstr(info.msg, "test.db"));
        text_of(copy, sizeof(copy), "mv %s.good %s", f.path, f.path);
        ck_assert_int_eq(system(copy), 0);
    }
    fixture_open_store();
}
END_TEST

START_TEST(file_that_is_no_database_is_refused)
{
    int fd = open(f.path, O_CREAT | O_WRONLY, 0600);
    ck_assert_int_eq(write(fd, "not a database at all, just some text\n", 38), 38);
    close(fd);
    ck_assert_int_eq(open_at(f.url, NULL), AD_ERR_CORRUPT);
}
END_TEST

START_TEST(nothing_is_written_into_a_file_found_damaged_while_running)
{
    static const struct ad_sql scan = SQL("SELECT sum(length(s)) FROM t");
    make_file();
    fixture_open_store();
    ck_assert_int_eq(insert(30000), AD_OK);
    scribble(50L * 4096, 8192);
    struct job job;
    job_init(&job, AD_STORE_NORMAL);
    job_step(&job, &scan, NULL, 0);
    job_read(&job);
    job_await(&job);
    ck_assert_int_eq(job.req.err, AD_ERR_CORRUPT);
    ck_assert(ad_store_failing(f.store));
    ck_assert_int_eq(insert(30001), AD_ERR_CORRUPT);
    ck_assert(ad_store_failing(f.store));
    ck_assert_uint_eq(counter("attiod_store_errors_total", "kind=\"corrupt\""), 2);
}
END_TEST

/* --- a trigger that ends the transaction --- */

START_TEST(request_that_rolls_all_back_costs_its_neighbours_nothing)
{
    struct job jobs[6];
    run_sql("CREATE TRIGGER no BEFORE INSERT ON t WHEN NEW.n = 13"
            " BEGIN SELECT RAISE(ROLLBACK, 'thirteen'); END");
    for (int i = 0; i < 6; i++) {
        /* 2 and 4 trip it; 3 is a duplicate of 1 */
        job_insert(&jobs[i], AD_STORE_NORMAL, i == 3 ? 1 : i, i == 2 || i == 4 ? 13 : 0);
    }
    jobs_await(6);
    for (int i = 0; i < 6; i++) {
        ck_assert_int_eq(jobs[i].req.err, i >= 2 && i <= 4 ? AD_ERR_CONFLICT : AD_OK);
    }
    ck_assert_ptr_nonnull(strstr(jobs[2].req.info.msg, "thirteen"));
    ck_assert_int_eq(rows_of_t(), 3);
}
END_TEST

/* --- disk full --- */

static char filler[64 * 1024];

static void insert_large(struct job *job, int64_t id)
{
    static const struct ad_sql put = SQL("INSERT INTO t (id, s) VALUES ($1, $2)");
    job_init(job, AD_STORE_INGEST);
    STEP(job, &put, AD_V_I64(id), AD_V_TEXT(ad_str_n(filler, sizeof(filler))));
    job_write(job);
}

/* Rows in groups of four until one fails; gives how many were acknowledged. */
static unsigned fill(enum ad_err wanted)
{
    struct job jobs[4];
    unsigned acked = 0;
    memset(filler, 'f', sizeof(filler));
    for (int id = 0; id < 4000; id += 4) {
        f.done = 0;
        for (int i = 0; i < 4; i++) {
            insert_large(&jobs[i], id + i);
        }
        jobs_await(4);
        for (int i = 1; i < 4; i++) {
            ck_assert_int_eq(jobs[i].req.err, jobs[0].req.err);
        }
        if (jobs[0].req.err) {
            ck_assert_int_eq(jobs[0].req.err, wanted);
            return acked;
        }
        acked += 4;
    }
    ck_abort_msg("it never was full");
    return 0;
}

/* A statement that holds the writer up in the middle of a group: gate() gives 0 when it may. */
static sem_t gate_reached, gate_open;

static void gate(sqlite3_context *c, int n, sqlite3_value **values)
{
    (void)n;
    (void)values;
    sem_post(&gate_reached);
    sem_wait(&gate_open);
    sqlite3_result_int(c, 0);
}

static int add_gate(sqlite3 *db, char **error, const struct sqlite3_api_routines *api)
{
    (void)error;
    (void)api;
    return sqlite3_create_function_v2(db, "gate", 0, SQLITE_UTF8, NULL, gate, NULL, NULL, NULL);
}

static bool gate_is_reached(void *ctx)
{
    (void)ctx;
    return sem_trywait(&gate_reached) == 0;
}

enum { PAGE = 100, BULK_MAX = 10 };

/* Of a hundred chunks that would share a commit, one is being written when a delivery arrives: `at`
 * is among those that the group began with, or that joined it. */
static void deliver_into_a_group(unsigned at)
{
    static const struct ad_sql gated = SQL("INSERT INTO t (id, n) VALUES ($1, gate() + $2)");
    static struct job page[PAGE];
    f.opts.bulk_max = BULK_MAX;
    ck_assert_int_eq(sem_init(&gate_reached, 0, 0), 0);
    ck_assert_int_eq(sem_init(&gate_open, 0, 0), 0);
    ck_assert_int_eq(sqlite3_auto_extension((void (*)(void))add_gate), SQLITE_OK);
    fixture_open_store();
    run_sql("CREATE TABLE t (id INTEGER PRIMARY KEY, n BIGINT, s TEXT)");
    uint64_t before = counter("attiod_store_commits_total", NULL);
    for (unsigned i = 0; i < PAGE; i++) {
        job_init(&page[i], AD_STORE_BULK);
        STEP(&page[i], i == at ? &gated : &insert_sql, AD_V_I64(i), AD_V_I64(0));
        job_write(&page[i]);
    }
    world_until(&f.w, gate_is_reached, NULL);
    struct job delivery;
    job_insert(&delivery, AD_STORE_INGEST, PAGE, 0);
    world_settle(&f.w);
    ck_assert_uint_eq(f.done, 0);
    sem_post(&gate_open);
    jobs_await(PAGE + 1);
    unsigned first = at < BULK_MAX ? BULK_MAX : at + 1; /* all that it waited for */
    ck_assert_int_eq(delivery.req.err, AD_OK);
    ck_assert_uint_eq(delivery.place, first + 1);
    for (unsigned i = 0; i < PAGE; i++) {
        ck_assert_int_eq(page[i].req.err, AD_OK);
        ck_assert_uint_eq(page[i].place, i < first ? i + 1 : i + 2);
    }
    ck_assert_int_eq(rows_of_t(), PAGE + 1);
    /* What was begun; the delivery, with as much as a group begins with; the rest. */
    ck_assert_uint_eq(counter("attiod_store_commits_total", NULL) - before, 3);
}

START_TEST(a_delivery_ends_the_group_of_chunks_that_it_meets)
{
    static const unsigned places[] = { 0, BULK_MAX - 1, BULK_MAX, 30 };
    deliver_into_a_group(places[_i]);
}
END_TEST

START_TEST(full_database_fails_the_group_and_recovers)
{
    run_sql("PRAGMA max_page_count = 300");
    unsigned acked = fill(AD_ERR_STORE_FULL);
    ck_assert_uint_gt(acked, 0);
    ck_assert_int_eq(rows_of_t(), acked);
    ck_assert(ad_store_failing(f.store));
    run_sql("PRAGMA max_page_count = 1000000");
    ck_assert_int_eq(insert(9999), AD_OK);
    ck_assert(!ad_store_failing(f.store));
    ck_assert_int_eq(rows_of_t(), acked + 1);
}
END_TEST

/* A disk of 6 MiB that only this process sees; false where that is not allowed. */
static bool mount_small_disk(const char *dir)
{
    return unshare(CLONE_NEWNS) == 0 && mount("", "/", "", MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tmpfs", dir, "tmpfs", 0, "size=6m") == 0;
}

START_TEST(full_disk_fails_the_group_and_recovers)
{
    char ballast[128];
    if (!mount_small_disk(f.dir)) {
        return;
    }
    text_of(ballast, sizeof(ballast), "%s/ballast", f.dir);
    int fd = open(ballast, O_CREAT | O_WRONLY, 0600);
    memset(filler, 'b', sizeof(filler));
    for (int i = 0; i < 16; i++) {
        ck_assert_int_eq(write(fd, filler, sizeof(filler)), (ssize_t)sizeof(filler));
    }
    close(fd);
    fixture_open_store();
    run_sql("CREATE TABLE t (id INTEGER PRIMARY KEY, n BIGINT, s TEXT)");
    unsigned acked = fill(AD_ERR_STORE_FULL);
    ck_assert_uint_gt(acked, 0);
    ck_assert_int_eq(rows_of_t(), acked);
    int64_t id = 5000;
    struct job job;
    do { /* what was too little for four may be enough for one */
        insert_large(&job, id++);
        job_await(&job);
        acked += job.req.err ? 0 : 1;
    } while (!job.req.err && id < 5100);
    ck_assert_int_eq(job.req.err, AD_ERR_STORE_FULL);
    ck_assert_int_eq(unlink(ballast), 0);
    insert_large(&job, id);
    job_await(&job);
    ck_assert_int_eq(job.req.err, AD_OK);
    acked++;
    ck_assert_int_eq(rows_of_t(), acked);
    fixture_close_store();
    assert_intact(f.path);
    ck_assert_int_eq(ask_file(f.path, "SELECT count(*) FROM t"), acked);
    fixture_open_store(); /* and closed again, with its disk, by the teardown */
    fixture_close_store();
    ck_assert_int_eq(umount2(f.dir, MNT_DETACH), 0);
}
END_TEST

/* --- a disk that fails --- */

START_TEST(failed_fsync_fails_the_group_and_the_connection_is_replaced)
{
    struct job jobs[3];
    ck_assert_int_eq(insert(1), AD_OK);
    vfs_fail(VFS_SYNC, "-wal", 0, 1, SQLITE_IOERR_FSYNC);
    for (int i = 0; i < 3; i++) {
        job_insert(&jobs[i], AD_STORE_INGEST, 10 + i, 0);
    }
    for (int i = 0; i < 3; i++) {
        job_await(&jobs[i]);
        ck_assert_int_eq(jobs[i].req.err, AD_ERR_STORE);
        ck_assert_int_eq(jobs[i].req.info.os, SQLITE_IOERR_FSYNC);
    }
    ck_assert_uint_eq(vfs_failed(), 1);
    ck_assert(ad_store_failing(f.store));
    ck_assert_uint_eq(counter("attiod_store_reopened_total", NULL), 0);
    ck_assert_int_eq(insert(2), AD_OK);
    ck_assert_uint_eq(counter("attiod_store_reopened_total", NULL), 1);
    ck_assert(!ad_store_failing(f.store));
    ck_assert(world_logged(&f.w, "store_reopened"));
    ck_assert_int_eq(rows_of_t(), 2);
    fixture_close_store();
    assert_intact(f.path);
}
END_TEST

START_TEST(disk_that_stays_broken_acknowledges_nothing)
{
    ck_assert_int_eq(insert(1), AD_OK);
    vfs_fail(VFS_SYNC, "-wal", 0, 1000000, SQLITE_IOERR_FSYNC);
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(insert(10 + i), AD_ERR_STORE);
    }
    vfs_fail(VFS_WRITE, "-wal", 0, 1000000, SQLITE_IOERR_WRITE);
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(insert(20 + i), AD_ERR_STORE);
    }
    vfs_fail(VFS_WRITE, "", 0, 0, 0);
    ck_assert_int_eq(insert(2), AD_OK);
    ck_assert_int_eq(rows_of_t(), 2);
}
END_TEST

/* Each write and sync of a few groups in turn; the database takes the next request after each. */
START_TEST(failure_of_any_one_call_loses_nothing)
{
    static const struct {
        const char *suffix;
        enum vfs_op op;
        int code;
    } cases[] = {
        { "-wal", VFS_WRITE, SQLITE_IOERR_WRITE }, { "-wal", VFS_WRITE, SQLITE_FULL },
        { "-wal", VFS_SYNC, SQLITE_IOERR_FSYNC },  { ".db", VFS_WRITE, SQLITE_IOERR_WRITE },
        { ".db", VFS_SYNC, SQLITE_IOERR_FSYNC },
    };
    int64_t id = 0;
    int64_t acked = 0;
    for (size_t c = 0; c < AD_LEN(cases); c++) {
        unsigned failed = 1;
        for (unsigned n = 0; failed && n < 40; n++) {
            vfs_fail(cases[c].op, cases[c].suffix, n, 1, cases[c].code);
            for (int i = 0; i < 6; i++) {
                acked += insert(id++) == AD_OK ? 1 : 0;
            }
            failed = vfs_failed();
            vfs_fail(VFS_WRITE, "", 0, 0, 0);
            acked += insert(id++) == AD_OK ? 1 : 0;
            ck_assert(!ad_store_failing(f.store));
            ck_assert_int_eq(rows_of_t(), acked);
        }
    }
    fixture_close_store();
    assert_intact(f.path);
    ck_assert_int_eq(ask_file(f.path, "SELECT count(*) FROM t"), acked);
}
END_TEST

START_TEST(failed_checkpoint_is_repeated_and_loses_nothing)
{
    struct job job;
    memset(filler, 'c', sizeof(filler));
    vfs_fail(VFS_SYNC, ".db", 0, 1, SQLITE_IOERR_FSYNC);
    int64_t id = 0;
    while (vfs_failed() == 0) { /* 17 pages each; a checkpoint is due after 1000 */
        ck_assert_int_lt(id, 2000);
        insert_large(&job, id++);
        job_await(&job);
        ck_assert_int_eq(job.req.err, AD_OK);
    }
    insert_large(&job, id++);
    job_await(&job);
    ck_assert_int_eq(job.req.err, AD_OK);
    ck_assert_uint_eq(counter("attiod_store_checkpoint_errors_total", NULL), 1);
    ck_assert_uint_eq(counter("attiod_store_reopened_total", NULL), 1);
    ck_assert_int_eq(rows_of_t(), id);
    fixture_close_store();
    assert_intact(f.path);
    ck_assert_int_eq(ask_file(f.path, "SELECT count(*) FROM t"), id);
}
END_TEST

/* 17 pages each, which SQLite writes by 34 calls. */
START_TEST(pages_of_a_commit_reach_the_log_by_few_writes)
{
    struct job jobs[8];
    memset(filler, 'w', sizeof(filler));
    insert_large(&jobs[0], 0); /* begins the log */
    job_await(&jobs[0]);
    vfs_fail(VFS_WRITE, "-wal", 0, 0, 0);
    insert_large(&jobs[0], 1);
    job_await(&jobs[0]);
    ck_assert_uint_eq(vfs_seen(), 1);
    f.done = 0;
    for (int i = 0; i < 8; i++) { /* more than is gathered at once */
        insert_large(&jobs[i], 10 + i);
    }
    jobs_await(8);
    ck_assert_uint_le(vfs_seen(), 1 + 8);
    fixture_close_store();
    assert_intact(f.path);
    ck_assert_int_eq(ask_file(f.path, "SELECT count(*) FROM t WHERE length(s) = 65536"), 10);
}
END_TEST

/* SQLite fills the last sector after the sync there: nothing may be gathered then. */
START_TEST(where_sectors_may_be_spoiled_a_commit_is_whole_when_it_is_told)
{
    struct job job;
    memset(filler, 'w', sizeof(filler));
    vfs_spoils_sectors(true);
    fixture_close_store();
    fixture_open_store();
    vfs_fail(VFS_WRITE, "-wal", 0, 0, 0);
    insert_large(&job, 1);
    job_await(&job);
    ck_assert_uint_gt(vfs_seen(), 32);
    ck_assert_int_eq(ask_file(f.path, "SELECT count(*) FROM t WHERE length(s) = 65536"), 1);
    vfs_spoils_sectors(false);
}
END_TEST

/* Larger than the cache, so that part of it is in the log, and part gathered for it, when a trigger
 * rolls it back; then the place in the log is another program's. */
START_TEST(what_is_rolled_back_never_lands_on_the_commit_of_another_program)
{
#define LARGE(n, of)                                                                             \
    "INSERT INTO t (id, s) WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE" \
    " i < " n ") SELECT 1000 + i, replace(hex(zeroblob(32768)), '0', '" of "') FROM c"
    static const struct ad_sql ours = SQL(LARGE("$1", "f"));
    struct job job;
    sqlite3 *other;
    run_sql("CREATE TRIGGER no BEFORE INSERT ON t WHEN NEW.n = 13"
            " BEGIN SELECT RAISE(ROLLBACK, 'thirteen'); END");
    fixture_close_store(); /* the log begins anew, so that taking back does not read it */
    fixture_open_store();
    job_init(&job, AD_STORE_BULK);
    vfs_fail(VFS_WRITE, "-wal", 0, 0, 0);
    STEP(&job, &ours, AD_V_I64(200));
    STEP(&job, &insert_sql, AD_V_I64(1), AD_V_I64(13));
    job_write(&job);
    job_await(&job);
    ck_assert_int_eq(job.req.err, AD_ERR_CONFLICT);
    ck_assert_uint_gt(vfs_seen(), 0);
    ck_assert_int_eq(sqlite3_open(f.path, &other), SQLITE_OK);
    ck_assert_int_eq(
        sqlite3_exec(other, "PRAGMA wal_autocheckpoint = 0;" LARGE("250", "x"), NULL, NULL, NULL),
        SQLITE_OK);
    ck_assert_int_eq(insert(1), AD_OK);
    ck_assert_int_eq(sqlite3_close(other), SQLITE_OK);
    fixture_close_store();
    assert_intact(f.path);
    ck_assert_int_eq(ask_file(f.path, "SELECT count(*) FROM t"), 251);
    ck_assert_int_eq(ask_file(f.path, "SELECT count(*) FROM t WHERE length(s) = 65536"
                                      " AND replace(s, 'x', '') = ''"),
                     250);
#undef LARGE
}
END_TEST

START_TEST(log_stays_bounded)
{
    struct job jobs[8];
    struct stat st;
    char log[128];
    memset(filler, 'l', sizeof(filler));
    for (int64_t id = 0; id < 1200; id += 8) {
        f.done = 0;
        for (int i = 0; i < 8; i++) {
            insert_large(&jobs[i], id + i);
        }
        jobs_await(8);
    }
    text_of(log, sizeof(log), "%s-wal", f.path);
    ck_assert_int_eq(stat(log, &st), 0);
    ck_assert_int_lt(st.st_size, 5000L * 4120);
    ck_assert_int_eq(rows_of_t(), 1200);
}
END_TEST

/* --- power --- */

enum { CUTS = 12 };
static unsigned cut_rows;
static struct job flood[64];
static int64_t next_id;

static void on_flood(struct ad_store_req *req)
{
    struct job *job = req->data;
    ck_assert_int_eq(req->err, AD_OK);
    f.done++;
    if (next_id < cut_rows) {
        job->values[0][0].i64 = next_id++;
        ck_assert_int_eq(ad_store_write(f.store, req), AD_OK);
    }
}

static void start_flood(void)
{
    static const struct ad_sql put = SQL("INSERT INTO t (id, s) VALUES ($1, $2)");
    memset(filler, 'p', sizeof(filler));
    for (size_t i = 0; i < AD_LEN(flood); i++) {
        job_init(&flood[i], AD_STORE_INGEST);
        STEP(&flood[i], &put, AD_V_I64(next_id), AD_V_TEXT(ad_str_n(filler, 1200)));
        next_id++;
        flood[i].req.cb = on_flood;
        job_write(&flood[i]);
    }
}

static void remove_all(const char *dir)
{
    char command[256];
    text_of(command, sizeof(command), "rm -r %s", dir);
    ck_assert_int_eq(system(command), 0);
}

/* Rows are acknowledged in the order of their ids, so "the first `acked`" are to be there. */
static void assert_survived(const char *dir, unsigned acked)
{
    char path[300];
    char sql[96];
    text_of(path, sizeof(path), "%s/test.db", dir);
    text_of(sql, sizeof(sql), "SELECT count(*) FROM t WHERE id < %u", acked);
    assert_intact(path);
    ck_assert_int_eq(ask_file(path, sql), acked);
}

START_TEST(power_cut_keeps_what_was_acknowledged)
{
    unsigned acked[CUTS];
    char dir[CUTS][128];
    unsigned cuts = 0;
    cut_rows = torture_takes_few() ? 2000 : 40000;
    start_flood();
    while (f.done < cut_rows) {
        ad_loop_turn(f.w.loop, 100);
        if (cuts < CUTS && f.done > (cuts + 1) * (cut_rows / (CUTS + 1))) {
            text_of(dir[cuts], sizeof(dir[cuts]), "%s-cut-%u", f.dir, cuts);
            ck_assert_int_eq(mkdir(dir[cuts], 0700), 0);
            acked[cuts] = f.done;
            vfs_power_cut(dir[cuts], cuts * 7919 + 1);
            cuts++;
        }
    }
    ck_assert_uint_eq(cuts, CUTS);
    fixture_close_store();
    vfs_forget();
    for (unsigned i = 0; i < cuts; i++) {
        assert_survived(dir[i], acked[i]);
        remove_all(dir[i]);
    }
}
END_TEST

static void setup_power(void)
{
    vfs_install();
    vfs_watch();
    fixture_open(&sqlite_backend);
}

/* --- kill -9 --- */

static int acks;

static void on_child_ack(struct ad_store_req *req)
{
    struct job *job = req->data;
    int64_t id = job->values[0][0].i64;
    if (req->err || write(acks, &id, sizeof(id)) != (ssize_t)sizeof(id)) {
        _exit(1);
    }
    job->values[0][0].i64 = next_id++;
    job->values[1][0].i64 = job->values[0][0].i64;
    if (ad_store_write(f.store, req)) {
        _exit(1);
    }
}

/* Two tables in one request, so that half a request would show. Never returns. */
static void write_until_killed(int64_t first)
{
    static const struct ad_sql one = SQL("INSERT INTO one (id) VALUES ($1)");
    static const struct ad_sql two = SQL("INSERT INTO two (id) VALUES ($1)");
    struct ad_loop *loop = NULL;
    struct ad_store_opts opts = { .url = f.url };
    next_id = first;
    if (ad_loop_open(&loop) || ad_store_open(loop, &opts, &f.store, NULL) ||
        ad_store_exec_now(f.store,
                          AD_STR("CREATE TABLE IF NOT EXISTS one (id INTEGER PRIMARY KEY);"
                                 "CREATE TABLE IF NOT EXISTS two (id INTEGER PRIMARY KEY)"),
                          NULL)) {
        _exit(1);
    }
    for (size_t i = 0; i < AD_LEN(flood); i++) {
        job_init(&flood[i], AD_STORE_INGEST);
        STEP(&flood[i], &one, AD_V_I64(next_id));
        STEP(&flood[i], &two, AD_V_I64(next_id));
        next_id++;
        flood[i].req.cb = on_child_ack;
        job_write(&flood[i]);
    }
    ad_loop_run(loop);
    _exit(1);
}

static void assert_row(sqlite3_stmt *stmt, int64_t id)
{
    sqlite3_bind_int64(stmt, 1, id);
    ck_assert_msg(sqlite3_step(stmt) == SQLITE_ROW, "acknowledged row %lld is lost", (long long)id);
    sqlite3_reset(stmt);
}

/* Reads ids until the pipe ends; each must be in the database. */
static unsigned assert_acked_rows(int pipe_end)
{
    sqlite3 *db;
    sqlite3_stmt *stmt;
    unsigned n = 0;
    int64_t id;
    ck_assert_int_eq(sqlite3_open(f.path, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_prepare_v2(db, "SELECT 1 FROM one JOIN two USING (id) WHERE id = ?1",
                                        -1, &stmt, NULL),
                     SQLITE_OK);
    while (read(pipe_end, &id, sizeof(id)) == (ssize_t)sizeof(id)) {
        assert_row(stmt, id);
        n++;
    }
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return n;
}

static unsigned kill_round(int64_t first)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    /* Room for all acknowledgements: the child must not wait for us. */
    ck_assert_int_gt(fcntl(ends[1], F_SETPIPE_SZ, 1 << 20), 0);
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        acks = ends[1];
        write_until_killed(first);
    }
    close(ends[1]);
    int64_t id;
    unsigned wanted = 200 + (unsigned)(first % 1999); /* dies at a different moment each time */
    unsigned n = 0;
    while (n < wanted && read(ends[0], &id, sizeof(id)) == (ssize_t)sizeof(id)) {
        n++;
    }
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_uint_eq(n, wanted);
    n += assert_acked_rows(ends[0]);
    close(ends[0]);
    return n;
}

START_TEST(kill_in_flight_keeps_what_was_acknowledged)
{
    int64_t acked = 0;
    for (int round = 0; round < 8; round++) {
        acked += kill_round(round * INT64_C(1000003));
        uint64_t begun = real_ms();
        fixture_open_store();
        ck_assert_uint_lt(real_ms() - begun, 1000);
        ck_assert_int_ge(ask_i64("SELECT count(*) FROM one"), acked);
        ck_assert_int_eq(ask_i64("SELECT count(*) FROM one LEFT JOIN two USING (id)"
                                 " WHERE two.id IS NULL"),
                         0);
        fixture_close_store();
        assert_intact(f.path);
    }
}
END_TEST

/* --- no memory inside SQLite --- */

static void setup_failing_memory(void)
{
    sqlite_heap_install();
    fixture_open(&sqlite_backend);
}

START_TEST(no_memory_in_sqlite_fails_the_group_or_nothing)
{
    static const struct ad_sql put = SQL("INSERT INTO t (n, s) VALUES ($1, $2) RETURNING id");
    static struct ad_sql sqls[400]; /* a new address each time: prepared anew */
    int64_t acked = 0;
    bool failed = true;
    for (int n = 0; failed && n < (int)AD_LEN(sqls); n++) {
        struct job jobs[2];
        sqls[n] = put;
        f.done = 0;
        sqlite_heap_fail((size_t)n, 1);
        for (int i = 0; i < 2; i++) {
            job_init(&jobs[i], AD_STORE_INGEST);
            STEP(&jobs[i], &sqls[n], AD_V_I64(n), AD_V_TEXT(ad_str_n(filler, 5000)));
            job_write(&jobs[i]);
        }
        jobs_await(2);
        failed = sqlite_heap_failed();
        sqlite_heap_fail(0, 0);
        ck_assert_int_eq(jobs[0].req.err, jobs[1].req.err);
        ck_assert_msg(jobs[0].req.err == AD_OK || jobs[0].req.err == AD_ERR_NOMEM, "request %d: %s",
                      n, jobs[0].req.info.msg);
        acked += jobs[0].req.err ? 0 : 2;
        ck_assert_int_eq(rows_of_t(), acked);
    }
    ck_assert(!failed);
    fixture_close_store();
    assert_intact(f.path);
}
END_TEST

START_TEST(no_memory_in_sqlite_while_opening_is_an_error)
{
    for (int i = 0; i < 20; i++) { /* more pages than there is memory for at once */
        char sql[64];
        (void)snprintf(sql, sizeof(sql), "CREATE TABLE page%d (a TEXT UNIQUE)", i);
        run_sql(sql);
    }
    fixture_close_store();
    bool failed = true;
    int n;
    for (n = 0; failed && n < 5000; n = (int)torture_next_of_all((size_t)n)) {
        struct ad_errinfo info = { .code = AD_OK };
        sqlite_heap_fail((size_t)n, 1);
        enum ad_err err = ad_store_open(f.w.loop, &f.opts, &f.store, &info);
        failed = sqlite_heap_failed();
        sqlite_heap_fail(0, 0);
        ck_assert_msg(err == AD_OK || err == AD_ERR_NOMEM, "request %d: %s", n, info.msg);
        if (!err) {
            fixture_close_store();
        }
    }
    ck_assert(!failed);
    fixture_open_store();
}
END_TEST

/* --- */

#define TEST(name) tcase_add_test(tcase, name)

static TCase *file_tests(void)
{
    TCase *tcase = tcase_create("file");
    tcase_add_checked_fixture(tcase, setup, teardown);
    TEST(file_is_private);
    TEST(second_store_is_refused_by_whatever_name);
    TEST(second_process_is_refused);
    TEST(other_programs_can_read);
    TEST(close_leaves_one_file_with_everything);
    TEST(file_replaced_under_us_takes_no_writes);
    TEST(request_that_rolls_all_back_costs_its_neighbours_nothing);
    TEST(full_database_fails_the_group_and_recovers);
    TEST(log_stays_bounded);
    return tcase;
}

static TCase *bare_tests(void)
{
    TCase *tcase = tcase_create("bare");
    tcase_add_checked_fixture(tcase, setup_bare, teardown);
    TEST(urls_of_all_forms_are_understood);
    TEST(damaged_file_is_refused_by_name);
    TEST(file_that_is_no_database_is_refused);
    TEST(nothing_is_written_into_a_file_found_damaged_while_running);
    tcase_add_loop_test(tcase, a_delivery_ends_the_group_of_chunks_that_it_meets, 0, 4);
    TEST(full_disk_fails_the_group_and_recovers);
    TEST(kill_in_flight_keeps_what_was_acknowledged);
    return tcase;
}

static TCase *disk_tests(void)
{
    TCase *tcase = tcase_create("disk");
    tcase_add_checked_fixture(tcase, setup_vfs, teardown);
    TEST(failed_fsync_fails_the_group_and_the_connection_is_replaced);
    TEST(disk_that_stays_broken_acknowledges_nothing);
    TEST(failure_of_any_one_call_loses_nothing);
    TEST(failed_checkpoint_is_repeated_and_loses_nothing);
    TEST(pages_of_a_commit_reach_the_log_by_few_writes);
    TEST(where_sectors_may_be_spoiled_a_commit_is_whole_when_it_is_told);
    TEST(what_is_rolled_back_never_lands_on_the_commit_of_another_program);
    return tcase;
}

static TCase *power_tests(void)
{
    TCase *tcase = tcase_create("power");
    tcase_add_checked_fixture(tcase, setup_power, teardown);
    tcase_set_timeout(tcase, 30);
    TEST(power_cut_keeps_what_was_acknowledged);
    return tcase;
}

static TCase *memory_tests(void)
{
    TCase *tcase = tcase_create("memory");
    tcase_add_checked_fixture(tcase, setup_failing_memory, teardown);
    TEST(no_memory_in_sqlite_fails_the_group_or_nothing);
    TEST(no_memory_in_sqlite_while_opening_is_an_error);
    return tcase;
}

static Suite *store_sqlite_suite(void)
{
    Suite *suite = suite_create("store_sqlite");
    suite_add_tcase(suite, file_tests());
    suite_add_tcase(suite, bare_tests());
    suite_add_tcase(suite, disk_tests());
    suite_add_tcase(suite, power_tests());
    suite_add_tcase(suite, memory_tests());
    return suite;
}

RUN_SUITE(store_sqlite_suite)
