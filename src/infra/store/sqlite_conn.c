#include "store/sqlite_conn.h"

#include "store/sqlite_log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    /* The write-ahead log grows to this many pages before it is copied into the database. Whatever
     * is submitted meanwhile waits, so the copy has to be short: 4,000 pages took four times as long
     * (of keys in order 33 ms against 10, on a busy disk) and cost the same processor time. */
    CHECKPOINT_PAGES = 1000,
    CHECK_BYTES_MAX = 256 << 20, /* quick_check reads some 500 MB a second */
    BUSY_SLEEP_MS = 5,
    PROGRESS_OPS = 1000, /* about 20 us of SQL between two looks at the clock */
};

uint64_t store_now_ms(void)
{
    struct timespec t = { 0 };
    AD_IGNORE(clock_gettime(CLOCK_MONOTONIC, &t), "cannot fail for this clock");
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* --- what SQLite's codes mean --- */

/* `errno` of a failed write tells a full disk from a broken one where SQLite's code does not. */
static enum ad_err io_error(sqlite3 *db, int rc)
{
    if (rc == SQLITE_IOERR_NOMEM) {
        return AD_ERR_NOMEM;
    }
    if ((rc & 0xff) == SQLITE_IOERR && rc == SQLITE_IOERR_CORRUPTFS) {
        return AD_ERR_CORRUPT;
    }
    int os = sqlite3_system_errno(db);
    return os == ENOSPC || os == EDQUOT ? AD_ERR_STORE_FULL : AD_ERR_STORE;
}

static enum ad_err translate(sqlite3 *db, int rc)
{
    switch (rc & 0xff) {
    case SQLITE_OK:
        return AD_OK;
    case SQLITE_CONSTRAINT:
        return AD_ERR_CONFLICT;
    case SQLITE_ERROR:
    case SQLITE_MISMATCH:
        return AD_ERR_INVALID;
    case SQLITE_TOOBIG:
        return AD_ERR_TOOLARGE;
    case SQLITE_RANGE:
    case SQLITE_MISUSE:
    case SQLITE_AUTH:
    case SQLITE_LOCKED: /* by a statement of this same connection */
        return AD_ERR_INTERNAL;
    case SQLITE_INTERRUPT:
        return AD_ERR_TIMEOUT;
    case SQLITE_NOMEM:
        return AD_ERR_NOMEM;
    case SQLITE_BUSY:
        return AD_ERR_STORE_BUSY;
    case SQLITE_FULL:
        return AD_ERR_STORE_FULL;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return AD_ERR_CORRUPT;
    default: /* I/O, read-only, cannot open, locking protocol */
        return io_error(db, rc);
    }
}

/* SQLite's message names tables, columns and SQL, never a bound value. */
enum ad_err store_conn_fail(struct store_conn *c, int rc, struct ad_errinfo *info)
{
    if ((rc & 0xff) == SQLITE_IOERR && rc != SQLITE_IOERR_NOMEM) {
        c->suspect = true;
    }
    if (info) {
        info->os = rc;
    }
    enum ad_err err = translate(c->db, rc);
    if (!store_err_is_group(err)) {
        return ad_fail(info, err, "%s", sqlite3_errmsg(c->db));
    }
    return ad_fail(info, err, "%s: %s (code %d, errno %d)", c->file->shown, sqlite3_errmsg(c->db),
                   rc, sqlite3_system_errno(c->db));
}

/* --- opening --- */

static int on_busy(void *ctx, int tries)
{
    const struct store_conn *c = ctx;
    (void)tries;
    if (store_now_ms() >= c->deadline_ms) {
        return 0;
    }
    sqlite3_sleep(BUSY_SLEEP_MS);
    return 1;
}

static int on_progress(void *ctx)
{
    const struct store_conn *c = ctx;
    return store_now_ms() >= c->deadline_ms;
}

static int on_log_grown(void *ctx, sqlite3 *db, const char *schema, int pages)
{
    struct store_conn *c = ctx;
    (void)db;
    (void)schema;
    c->log_pages = (unsigned)pages;
    return SQLITE_OK;
}

void store_conn_init(struct store_conn *c, const struct store_file *file, bool read_only)
{
    *c = (struct store_conn){ .file = file, .read_only = read_only };
    ad_map_init(&c->stmts);
    ad_buf_init(&c->values, STORE_ROW_VALUES_MAX);
    ad_buf_init(&c->bytes, STORE_ROW_BYTES_MAX);
}

void store_conn_fini(struct store_conn *c)
{
    store_conn_close(c);
    ad_map_fini(&c->stmts);
    ad_buf_fini(&c->values);
    ad_buf_fini(&c->bytes);
}

static enum ad_err run_sql(struct store_conn *c, const char *sql, struct ad_errinfo *info)
{
    int rc = sqlite3_exec(c->db, sql, NULL, NULL, NULL);
    return rc ? store_conn_fail(c, rc, info) : AD_OK;
}

/* The order matters: page_size before the first page, synchronous before the file is first
 * written. */
static const char writer_setup[] = "PRAGMA page_size=4096;"
                                   "PRAGMA synchronous=FULL;"
                                   "PRAGMA foreign_keys=ON;"
                                   "PRAGMA secure_delete=OFF;" /* Debian's default is on */
                                   "PRAGMA temp_store=MEMORY;"
                                   "PRAGMA mmap_size=0;" /* an I/O error would be a SIGBUS */
                                   "PRAGMA cache_size=-8192;"
                                   "PRAGMA analysis_limit=400;"
                                   "PRAGMA journal_size_limit=67108864;";
static const char reader_setup[] = "PRAGMA query_only=ON;"
                                   "PRAGMA temp_store=MEMORY;"
                                   "PRAGMA mmap_size=0;"
                                   "PRAGMA cache_size=-2048;"; /* each commit empties it */

/* quick_check also reports as found what it could not read: SQLite's code for that, or OK. */
static int code_of_reading(const char *found)
{
    static const char words[] = "unable to get the page. error code=";
    const char *at = strstr(found, words);
    return at ? (int)strtol(at + sizeof(words) - 1, NULL, 10) : SQLITE_OK;
}

/* A query of one text: is it what we want? *err is OK when it could be asked. */
static bool answers(struct store_conn *c, const char *sql, const char *wanted, enum ad_err *err,
                    struct ad_errinfo *info)
{
    sqlite3_stmt *stmt = NULL;
    bool same = false;
    int rc = sqlite3_prepare_v2(c->db, sql, -1, &stmt, NULL);
    if (!rc) {
        rc = sqlite3_step(stmt);
    }
    *err = rc == SQLITE_ROW || rc == SQLITE_DONE ? AD_OK : store_conn_fail(c, rc, info);
    if (rc == SQLITE_ROW) {
        const char *got = (const char *)sqlite3_column_text(stmt, 0);
        same = got && strcmp(got, wanted) == 0;
        rc = got ? code_of_reading(got) : SQLITE_NOMEM;
        *err = rc ? translate(c->db, rc) : AD_OK;
        if (!same) {
            ad_fail(info, *err ? *err : AD_ERR_CORRUPT, "%s: %s", c->file->shown,
                    got ? got : "no memory");
        }
    }
    sqlite3_finalize(stmt);
    return same;
}

static enum ad_err use_write_ahead_log(struct store_conn *c, struct ad_errinfo *info)
{
    enum ad_err err = AD_OK;
    if (!answers(c, "PRAGMA journal_mode=WAL", "wal", &err, info) && !err) {
        return ad_fail(info, AD_ERR_STORE, "%s: its file system cannot share a write-ahead log",
                       c->file->shown);
    }
    /* Rows are handed out as their stored bytes. */
    if (!err && !answers(c, "PRAGMA encoding", "UTF-8", &err, info) && !err) {
        return ad_fail(info, AD_ERR_CONFIG, "%s: its encoding is not UTF-8", c->file->shown);
    }
    return err;
}

static enum ad_err check(struct store_conn *c, struct ad_errinfo *info)
{
    bool whole = store_file_bytes(c->file) <= CHECK_BYTES_MAX;
    enum ad_err err = AD_OK;
    if (!answers(c, whole ? "PRAGMA quick_check(1)" : "PRAGMA quick_check(sqlite_schema)", "ok",
                 &err, info) &&
        !err) {
        err = AD_ERR_CORRUPT; /* info has what it found */
    }
    return err;
}

static const char *const control_sql[STORE_CONTROLS] = {
    [STORE_BEGIN] = "BEGIN IMMEDIATE", [STORE_COMMIT] = "COMMIT",
    [STORE_ROLLBACK] = "ROLLBACK",     [STORE_SAVE] = "SAVEPOINT r",
    [STORE_RELEASE] = "RELEASE r",     [STORE_REVERT] = "ROLLBACK TO r",
};

static enum ad_err prepare_controls(struct store_conn *c, struct ad_errinfo *info)
{
    int rc = SQLITE_OK;
    c->controlling = true;
    for (size_t i = 0; i < STORE_CONTROLS && !rc; i++) {
        rc = sqlite3_prepare_v3(c->db, control_sql[i], -1, SQLITE_PREPARE_PERSISTENT,
                                &c->control[i], NULL);
    }
    c->controlling = false;
    return rc ? store_conn_fail(c, rc, info) : AD_OK;
}

static enum ad_err resync_log(struct store_conn *c, struct ad_errinfo *info)
{
    enum ad_err err = store_conn_control(c, STORE_BEGIN, info);
    if (!err) {
        err = store_file_resync_log(c->file, info);
        store_conn_rollback(c);
    }
    return err;
}

/* Transactions are the store's: a stray COMMIT would make half a group durable. */
static int on_authorize(void *ctx, int action, const char *a, const char *b, const char *schema,
                        const char *trigger)
{
    const struct store_conn *c = ctx;
    (void)a;
    (void)b;
    (void)schema;
    (void)trigger;
    bool ours = action == SQLITE_TRANSACTION || action == SQLITE_SAVEPOINT ||
                action == SQLITE_ATTACH || action == SQLITE_DETACH;
    return ours && !c->controlling ? SQLITE_DENY : SQLITE_OK;
}

static enum ad_err set_up_writer(struct store_conn *c, struct ad_errinfo *info)
{
    /* Our own checkpoints instead, after the acknowledgements are out. */
    sqlite3_wal_autocheckpoint(c->db, 0);
    sqlite3_wal_hook(c->db, on_log_grown, c);
    sqlite3_rollback_hook(c->db, store_log_rolled_back, c->db);
    sqlite3_set_authorizer(c->db, on_authorize, c);
    enum ad_err err = run_sql(c, writer_setup, info);
    err = err ? err : use_write_ahead_log(c, info);
    err = err ? err : prepare_controls(c, info);
    err = err ? err : resync_log(c, info);
    return err ? err : check(c, info);
}

static enum ad_err set_up_reader(struct store_conn *c, struct ad_errinfo *info)
{
    enum ad_err err = run_sql(c, reader_setup, info);
    /* Only now: opening may take longer than a read may. */
    sqlite3_progress_handler(c->db, PROGRESS_OPS, on_progress, c);
    return err;
}

static void harden(sqlite3 *db)
{
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    /* "x" is a column, never a text: a misspelt column must not become a value. */
    sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
}

enum ad_err store_conn_open(struct store_conn *c, struct ad_errinfo *info)
{
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | SQLITE_OPEN_PRIVATECACHE |
                (c->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE);
    c->suspect = false;
    c->log_pages = c->log_pages_at_checkpoint = 0;
    const char *vfs = c->read_only ? NULL : STORE_LOG_VFS;
    int rc = sqlite3_open_v2(c->file->path, &c->db, flags, vfs);
    if (!c->db) {
        return ad_fail(info, AD_ERR_NOMEM, "no memory");
    }
    enum ad_err err = AD_OK;
    if (rc) {
        err = store_conn_fail(c, rc, info);
    } else {
        harden(c->db);
        sqlite3_busy_handler(c->db, on_busy, c);
        err = c->read_only ? set_up_reader(c, info) : set_up_writer(c, info);
    }
    if (err) {
        store_conn_close(c);
    }
    return err;
}

void store_conn_close(struct store_conn *c)
{
    store_conn_forget_all(c);
    for (size_t i = 0; i < STORE_CONTROLS; i++) {
        sqlite3_finalize(c->control[i]);
        c->control[i] = NULL;
    }
    AD_ASSERT(sqlite3_close(c->db) == SQLITE_OK); /* BUSY: a statement of ours is left */
    c->db = NULL;
}

void store_conn_optimize(struct store_conn *c)
{
    if (c->db && !c->suspect) {
        AD_IGNORE(run_sql(c, "PRAGMA optimize", NULL), "statistics are for speed only");
    }
}

/* --- transactions --- */

static int control(struct store_conn *c, enum store_control what)
{
    c->controlling = true; /* a step may prepare anew */
    int rc = sqlite3_step(c->control[what]);
    c->controlling = false;
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* SQLite does not ask the busy handler in every case; the deadline holds in all. */
enum ad_err store_conn_control(struct store_conn *c, enum store_control what,
                               struct ad_errinfo *info)
{
    enum ad_err err = AD_OK;
    int rc;
    while ((rc = control(c, what))) {
        err = store_conn_fail(c, rc, info);
        sqlite3_reset(c->control[what]);
        if (err != AD_ERR_STORE_BUSY || what != STORE_BEGIN || on_busy(c, 0) == 0) {
            return err;
        }
    }
    sqlite3_reset(c->control[what]);
    return AD_OK;
}

bool store_conn_in_transaction(const struct store_conn *c)
{
    return c->db && !sqlite3_get_autocommit(c->db);
}

void store_conn_rollback(struct store_conn *c)
{
    if (store_conn_in_transaction(c)) {
        AD_IGNORE(store_conn_control(c, STORE_ROLLBACK, NULL), "fails only by having happened");
        /* Whatever it was, the next group must not find itself inside. */
        c->suspect = c->suspect || store_conn_in_transaction(c);
    }
}

bool store_conn_owes_parent(const struct store_conn *c)
{
    int owed = 0;
    int high = 0;
    sqlite3_db_status(c->db, SQLITE_DBSTATUS_DEFERRED_FKS, &owed, &high, 0);
    return owed > 0;
}

/* The version a user may keep in the file's header, written over itself: one page, one commit. */
enum ad_err store_conn_probe(struct store_conn *c, struct ad_errinfo *info)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(c->db, "PRAGMA user_version", -1, &stmt, NULL);
    rc = rc ? rc : sqlite3_step(stmt);
    int version = rc == SQLITE_ROW ? sqlite3_column_int(stmt, 0) : 0;
    enum ad_err err = rc == SQLITE_ROW ? AD_OK : store_conn_fail(c, rc, info);
    sqlite3_finalize(stmt);
    if (err) {
        return err;
    }
    char sql[64];
    AD_IGNORE(snprintf(sql, sizeof(sql), "PRAGMA user_version=%d", version) < 0, "it fits");
    return run_sql(c, sql, info);
}

/* --- checkpoints --- */

/* Passive: takes what no reader still needs, waits for nobody. While some other program keeps a
 * reader open it tries again only after as many further pages, not after each commit. */
bool store_conn_checkpoint(struct store_conn *c, enum ad_err *err, struct ad_errinfo *info)
{
    if (c->log_pages < c->log_pages_at_checkpoint) {
        c->log_pages_at_checkpoint = 0; /* the log began anew */
    }
    if (!c->db || c->log_pages - c->log_pages_at_checkpoint < CHECKPOINT_PAGES) {
        return false;
    }
    int rc = sqlite3_wal_checkpoint_v2(c->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    c->log_pages_at_checkpoint = c->log_pages;
    *err = rc == SQLITE_OK || (rc & 0xff) == SQLITE_BUSY ? AD_OK : store_conn_fail(c, rc, info);
    return true;
}

/* --- writing anew --- */

/* The copy goes to a file, since it may not fit into memory. VACUUM attaches it, which is ours to
 * allow. */
enum ad_err store_conn_rewrite(struct store_conn *c, struct ad_errinfo *info)
{
    c->controlling = true;
    enum ad_err err = run_sql(c, "PRAGMA temp_store=FILE; VACUUM;", info);
    if (err) {
        store_log_rolled_back(c->db); /* VACUUM tells no hook */
    }
    AD_IGNORE(run_sql(c, "PRAGMA temp_store=MEMORY", NULL), "slower, not wrong");
    c->controlling = false;
    if (err) {
        return err;
    }
    int rc = sqlite3_wal_checkpoint_v2(c->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    c->log_pages_at_checkpoint = c->log_pages = 0;
    return rc ? store_conn_fail(c, rc, info) : AD_OK;
}
