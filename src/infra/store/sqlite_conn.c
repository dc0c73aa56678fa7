#include "store/sqlite_conn.h"

#include "base/mem.h"

#include <errno.h>
#include <string.h>
#include <time.h>

enum {
    /* The write-ahead log grows to this many pages before it is copied into the database: 1,000,
     * SQLite's own, costs a stall four times as often (p99 of a commit 7.1 ms against 1.8). */
    CHECKPOINT_PAGES = 4000,
    CHECK_BYTES_MAX = 256 << 20, /* quick_check reads some 500 MB a second */
    BUSY_SLEEP_MS = 5,
    PROGRESS_OPS = 1000, /* about 20 us of SQL between two looks at the clock */
    VALUES_BYTES_MAX = 64 << 20,
    BYTES_MAX = 64 << 20, /* of a first row; further ones stop at AD_STORE_ROWS_BYTES_MAX */
    SCRATCH_KEPT = 1 << 20,
    ROWS_DEFAULT = 1000,
    PARAMS_MAX = 32766,
};

struct stmt {
    struct ad_map_node node;
    const struct ad_sql *sql; /* the key is this pointer's own bytes */
    sqlite3_stmt *prepared;
    unsigned values_n;
    unsigned params_n;
    /* SQLite numbers $-parameters in order of appearance: which value the i-th one takes */
    unsigned value_of[];
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
        return AD_ERR_INTERNAL;
    case SQLITE_INTERRUPT:
        return AD_ERR_TIMEOUT;
    case SQLITE_NOMEM:
        return AD_ERR_NOMEM;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
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
static enum ad_err fail(struct store_conn *c, int rc, struct ad_errinfo *info)
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

static enum ad_err fail_nomem(struct ad_errinfo *info)
{
    return ad_fail(info, AD_ERR_NOMEM, "no memory");
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
    ad_buf_init(&c->values, VALUES_BYTES_MAX);
    ad_buf_init(&c->bytes, BYTES_MAX);
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
    return rc ? fail(c, rc, info) : AD_OK;
}

/* The order matters: page_size before the first page, synchronous before the file is first written. */
static const char writer_setup[] = "PRAGMA page_size=4096;"
                                   "PRAGMA synchronous=FULL;"
                                   "PRAGMA foreign_keys=ON;"
                                   "PRAGMA secure_delete=OFF;" /* Debian's default is on */
                                   "PRAGMA temp_store=MEMORY;"
                                   "PRAGMA mmap_size=0;" /* an I/O error would be a SIGBUS */
                                   "PRAGMA cache_size=-16384;"
                                   "PRAGMA analysis_limit=400;"
                                   "PRAGMA journal_size_limit=67108864;";
static const char reader_setup[] = "PRAGMA query_only=ON;"
                                   "PRAGMA temp_store=MEMORY;"
                                   "PRAGMA mmap_size=0;"
                                   "PRAGMA cache_size=-4096;";

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
    if (rc == SQLITE_ROW) {
        const char *got = (const char *)sqlite3_column_text(stmt, 0);
        same = got && strcmp(got, wanted) == 0;
        if (!same) {
            ad_fail(info, AD_ERR_CORRUPT, "%s: %s", c->file->shown, got ? got : "no memory");
        }
    }
    *err = rc == SQLITE_ROW || rc == SQLITE_DONE ? AD_OK : fail(c, rc, info);
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
    return rc ? fail(c, rc, info) : AD_OK;
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
    int rc = sqlite3_open_v2(c->file->path, &c->db, flags, NULL);
    if (!c->db) {
        return fail_nomem(info);
    }
    enum ad_err err = AD_OK;
    if (rc) {
        err = fail(c, rc, info);
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

static void drop(struct store_conn *c, struct stmt *s)
{
    ad_map_remove(&c->stmts, &s->node);
    sqlite3_finalize(s->prepared);
    ad_free(s);
}

void store_conn_close(struct store_conn *c)
{
    struct ad_map_node *node;
    while ((node = ad_map_any(&c->stmts))) {
        drop(c, ad_container_of(node, struct stmt, node));
    }
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
        err = fail(c, rc, info);
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

/* --- prepared statements --- */

static struct ad_str key_of(const struct ad_sql *const *sql)
{
    return ad_str_n((const char *)sql, sizeof(void *));
}

static struct stmt *find(const struct store_conn *c, const struct ad_sql *sql)
{
    struct ad_map_node *node = ad_map_get(&c->stmts, key_of(&sql));
    return node ? ad_container_of(node, struct stmt, node) : NULL;
}

/* The values' numbers out of "$1", "$2"; false for any other way of naming one. */
static bool map_params(struct stmt *s)
{
    for (unsigned i = 0; i < s->params_n; i++) {
        const char *name = sqlite3_bind_parameter_name(s->prepared, (int)i + 1);
        int64_t number;
        if (!name || name[0] != '$' || !ad_str_i64(ad_str_c(name + 1), 1, PARAMS_MAX, &number)) {
            return false;
        }
        s->value_of[i] = (unsigned)number - 1;
        s->values_n = number > s->values_n ? (unsigned)number : s->values_n;
    }
    return true;
}

static enum ad_err inspect(const struct store_conn *c, const struct stmt *s, bool mapped,
                           const char *tail, struct ad_errinfo *info)
{
    if (tail[strspn(tail, " \t\r\n;")] != '\0') {
        return ad_fail(info, AD_ERR_INTERNAL, "a step is one statement");
    }
    if (!mapped) {
        return ad_fail(info, AD_ERR_INTERNAL, "parameters are named $1, $2 ...");
    }
    if (c->read_only && !sqlite3_stmt_readonly(s->prepared)) {
        return ad_fail(info, AD_ERR_INTERNAL, "a read must not write");
    }
    return AD_OK;
}

static enum ad_err wrap(struct store_conn *c, const struct ad_sql *sql, sqlite3_stmt *prepared,
                        const char *tail, struct stmt **out, struct ad_errinfo *info)
{
    unsigned params_n = (unsigned)sqlite3_bind_parameter_count(prepared);
    struct stmt *s = ad_zalloc(sizeof(*s) + params_n * sizeof(s->value_of[0]));
    if (!s) {
        return fail_nomem(info);
    }
    s->sql = sql;
    s->prepared = prepared;
    s->params_n = params_n;
    enum ad_err err = inspect(c, s, map_params(s), tail, info);
    if (err) {
        ad_free(s);
        return err;
    }
    ad_map_put(&c->stmts, &s->node, key_of(&s->sql));
    *out = s;
    return AD_OK;
}

static enum ad_err prepare(struct store_conn *c, const struct ad_sql *sql, struct stmt **out,
                           struct ad_errinfo *info)
{
    sqlite3_stmt *prepared = NULL;
    const char *tail = "";
    int rc =
        sqlite3_prepare_v3(c->db, sql->sqlite, -1, SQLITE_PREPARE_PERSISTENT, &prepared, &tail);
    if (rc) {
        enum ad_err err = fail(c, rc, info);
        /* SQL that cannot be prepared is our bug, not the fault of a value. */
        return err == AD_ERR_INVALID ? ad_fail(info, AD_ERR_INTERNAL, "%s", sqlite3_errmsg(c->db))
                                     : err;
    }
    if (!prepared) {
        return ad_fail(info, AD_ERR_INTERNAL, "a step without SQL");
    }
    enum ad_err err = wrap(c, sql, prepared, tail, out, info);
    if (err) {
        sqlite3_finalize(prepared);
    }
    return err;
}

void store_conn_forget(struct store_conn *c, const struct ad_sql *sql)
{
    struct stmt *s = find(c, sql);
    if (s) {
        drop(c, s);
    }
}

/* --- values in --- */

/* Static: the caller's bytes stay where they are until its callback. */
static int bind_value(sqlite3_stmt *stmt, int i, const struct ad_value *v)
{
    switch (v->type) {
    case AD_VALUE_I64:
        return sqlite3_bind_int64(stmt, i, v->i64);
    case AD_VALUE_F64:
        return sqlite3_bind_double(stmt, i, v->f64);
    case AD_VALUE_TEXT:
        return sqlite3_bind_text64(stmt, i, v->str.p, v->str.n, SQLITE_STATIC, SQLITE_UTF8);
    case AD_VALUE_BLOB:
        return sqlite3_bind_blob64(stmt, i, v->str.p, v->str.n, SQLITE_STATIC);
    case AD_VALUE_NULL:
        break;
    }
    return sqlite3_bind_null(stmt, i);
}

static enum ad_err bind(struct store_conn *c, const struct stmt *s, const struct ad_step *step,
                        struct ad_errinfo *info)
{
    if (step->values_n != s->values_n) {
        return ad_fail(info, AD_ERR_INTERNAL, "a statement of %u values got %u", s->values_n,
                       step->values_n);
    }
    for (unsigned i = 0; i < s->params_n; i++) {
        int rc = bind_value(s->prepared, (int)i + 1, &step->values[s->value_of[i]]);
        if (rc) {
            return fail(c, rc, info);
        }
    }
    return AD_OK;
}

/* --- rows out --- */

void store_rows_drop(struct ad_store_req *req)
{
    ad_free(req->block);
    req->block = NULL;
    req->rows = (struct ad_rows){ NULL, 0, 0 };
    req->more = false;
}

static void start_rows(struct store_conn *c, struct ad_store_req *req, size_t columns)
{
    store_rows_drop(req);
    req->rows.columns = columns;
    ad_buf_clear(&c->values);
    ad_buf_clear(&c->bytes);
    c->no_memory = false;
}

static size_t row_bytes(sqlite3_stmt *stmt, size_t columns)
{
    size_t n = columns * sizeof(struct ad_value);
    for (size_t i = 0; i < columns; i++) {
        int type = sqlite3_column_type(stmt, (int)i);
        if (type == SQLITE_TEXT || type == SQLITE_BLOB) {
            n += (size_t)sqlite3_column_bytes(stmt, (int)i);
        }
    }
    return n;
}

/* Until the block is made, i64 of a text or blob is its place in `bytes`. */
static struct ad_value take_bytes(struct store_conn *c, sqlite3_stmt *stmt, int i,
                                  enum ad_value_type type)
{
    struct ad_value v = { .type = type, .i64 = (int64_t)ad_buf_len(&c->bytes) };
    /* Of a text, too: the same bytes, without the copy that a NUL behind them may take. */
    const void *p = sqlite3_column_blob(stmt, i);
    v.str.n = (size_t)sqlite3_column_bytes(stmt, i);
    if (p) {
        ad_buf_put(&c->bytes, ad_str_n(p, v.str.n));
    } else if (v.str.n > 0) {
        c->no_memory = true;
    }
    return v;
}

static struct ad_value take_value(struct store_conn *c, sqlite3_stmt *stmt, int i)
{
    switch (sqlite3_column_type(stmt, i)) {
    case SQLITE_INTEGER:
        return AD_V_I64(sqlite3_column_int64(stmt, i));
    case SQLITE_FLOAT:
        return AD_V_F64(sqlite3_column_double(stmt, i));
    case SQLITE_TEXT:
        return take_bytes(c, stmt, i, AD_VALUE_TEXT);
    case SQLITE_BLOB:
        return take_bytes(c, stmt, i, AD_VALUE_BLOB);
    default:
        return AD_V_NULL;
    }
}

/* False when the row no longer fits the request's bounds. */
static bool take_row(struct store_conn *c, sqlite3_stmt *stmt, struct ad_store_req *req)
{
    struct ad_rows *rows = &req->rows;
    size_t max = req->rows_max ? req->rows_max : ROWS_DEFAULT;
    size_t held = ad_buf_len(&c->values) + ad_buf_len(&c->bytes);
    if (rows->rows == max ||
        (rows->rows > 0 && held + row_bytes(stmt, rows->columns) > AD_STORE_ROWS_BYTES_MAX)) {
        return false;
    }
    for (size_t i = 0; i < rows->columns; i++) {
        struct ad_value v = take_value(c, stmt, (int)i);
        ad_buf_put(&c->values, ad_str_n((const char *)&v, sizeof(v)));
    }
    rows->rows++;
    return true;
}

static void place_values(struct ad_value *values, size_t n, const char *bytes)
{
    for (size_t i = 0; i < n; i++) {
        if (values[i].type == AD_VALUE_TEXT || values[i].type == AD_VALUE_BLOB) {
            values[i].str.p = bytes + values[i].i64;
            values[i].i64 = 0;
        }
    }
}

static void trim_scratch(struct ad_buf *b)
{
    if (b->cap > SCRATCH_KEPT) {
        size_t max = b->max;
        ad_buf_fini(b);
        ad_buf_init(b, max);
    }
}

/* One exact block: values, then the bytes they point to, and one more so that an empty text at the
 * end points into it. */
static enum ad_err finish_rows(struct store_conn *c, struct ad_store_req *req)
{
    enum ad_err err = ad_buf_status(&c->values);
    err = err ? err : ad_buf_status(&c->bytes);
    err = c->no_memory ? AD_ERR_NOMEM : err;
    if (err) {
        return ad_fail(&req->info, err, "the rows do not fit in memory");
    }
    size_t head = ad_buf_len(&c->values);
    size_t tail = ad_buf_len(&c->bytes);
    if (head == 0) {
        return AD_OK;
    }
    char *block = ad_alloc(head + tail + 1);
    if (!block) {
        return fail_nomem(&req->info);
    }
    memcpy(block, ad_buf_str(&c->values).p, head);
    if (tail > 0) {
        memcpy(block + head, ad_buf_str(&c->bytes).p, tail);
    }
    place_values((struct ad_value *)(void *)block, head / sizeof(struct ad_value), block + head);
    req->block = block;
    req->rows.values = (const struct ad_value *)(const void *)block;
    return AD_OK;
}

/* --- steps --- */

/* The first step may prepare the statement anew for a changed table: only then is it known how many
 * columns there are. A read stops when it has enough; a write runs to its end whatever is kept. */
static int run_to_end(struct store_conn *c, sqlite3_stmt *stmt, struct ad_store_req *req)
{
    int rc = sqlite3_step(stmt);
    size_t columns = (size_t)sqlite3_column_count(stmt);
    if (columns > 0) {
        start_rows(c, req, columns);
    }
    for (; rc == SQLITE_ROW; rc = sqlite3_step(stmt)) {
        if (!req->more && !take_row(c, stmt, req)) {
            req->more = true;
        }
        if (req->more && c->read_only) {
            return SQLITE_DONE;
        }
    }
    return rc;
}

static enum ad_err execute(struct store_conn *c, const struct stmt *s, struct ad_step *step,
                           struct ad_store_req *req)
{
    sqlite3_stmt *stmt = s->prepared;
    sqlite3_int64 total = sqlite3_total_changes64(c->db);
    sqlite3_set_last_insert_rowid(c->db, 0);
    int rc = run_to_end(c, stmt, req);
    if (rc != SQLITE_DONE) {
        return fail(c, rc, &req->info);
    }
    /* SQLite keeps both from an earlier statement when this one changed nothing. */
    step->changes = sqlite3_total_changes64(c->db) == total ? 0 : sqlite3_changes64(c->db);
    step->id = sqlite3_last_insert_rowid(c->db);
    return sqlite3_column_count(stmt) > 0 ? finish_rows(c, req) : AD_OK;
}

static enum ad_err run_step(struct store_conn *c, struct ad_store_req *req, struct ad_step *step)
{
    struct stmt *s = find(c, step->sql);
    step->changes = step->id = 0;
    enum ad_err err = s ? AD_OK : prepare(c, step->sql, &s, &req->info);
    if (err) {
        return err;
    }
    err = bind(c, s, step, &req->info);
    err = err ? err : execute(c, s, step, req);
    sqlite3_reset(s->prepared);
    sqlite3_clear_bindings(s->prepared); /* the values' memory goes with the callback */
    return err;
}

enum ad_err store_conn_steps(struct store_conn *c, struct ad_store_req *req)
{
    enum ad_err err = AD_OK;
    for (unsigned i = 0; i < req->steps_n && !err; i++) {
        err = run_step(c, req, &req->steps[i]);
        if (err && req->steps_n > 1) {
            ad_errinfo_prefix(&req->info, "step %u", i + 1);
        }
    }
    trim_scratch(&c->values);
    trim_scratch(&c->bytes);
    return err;
}

/* --- scripts --- */

static enum ad_err run_one(struct store_conn *c, sqlite3_stmt *stmt, struct ad_errinfo *info)
{
    int rc; /* rows of a PRAGMA are not wanted */
    do {
        rc = sqlite3_step(stmt);
    } while (rc == SQLITE_ROW);
    enum ad_err err = rc == SQLITE_DONE ? AD_OK : fail(c, rc, info);
    sqlite3_finalize(stmt);
    return err;
}

/* The line of the first word at or behind `at`. */
static unsigned line_of(struct ad_str script, const char *at)
{
    unsigned line = 1;
    const char *end = script.p + script.n;
    for (const char *p = script.p; p < end && (p < at || strchr(" \t\r\n", *p)); p++) {
        line += *p == '\n' ? 1 : 0;
    }
    return line;
}

enum ad_err store_conn_script(struct store_conn *c, struct ad_str script, struct ad_errinfo *info)
{
    const char *at = script.p;
    const char *end = script.p + script.n;
    while (at < end) {
        const char *tail = end;
        sqlite3_stmt *stmt = NULL;
        int rc = sqlite3_prepare_v2(c->db, at, (int)(end - at), &stmt, &tail);
        enum ad_err err = rc ? fail(c, rc, info) : AD_OK;
        err = err || !stmt ? err : run_one(c, stmt, info);
        if (err) {
            ad_errinfo_prefix(info, "line %u", line_of(script, at));
            return err;
        }
        at = tail;
    }
    return AD_OK;
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
    *err = rc == SQLITE_OK || (rc & 0xff) == SQLITE_BUSY ? AD_OK : fail(c, rc, info);
    return true;
}
