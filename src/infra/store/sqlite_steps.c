#include "store/sqlite_conn.h"

#include "base/mem.h"

#include <string.h>

enum {
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

static enum ad_err fail_nomem(struct ad_errinfo *info)
{
    return ad_fail(info, AD_ERR_NOMEM, "no memory");
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
        enum ad_err err = store_conn_fail(c, rc, info);
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

static void drop(struct store_conn *c, struct stmt *s)
{
    ad_map_remove(&c->stmts, &s->node);
    sqlite3_finalize(s->prepared);
    ad_free(s);
}

void store_conn_forget_all(struct store_conn *c)
{
    struct ad_map_node *node;
    while ((node = ad_map_any(&c->stmts))) {
        drop(c, ad_container_of(node, struct stmt, node));
    }
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
            return store_conn_fail(c, rc, info);
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
        return store_conn_fail(c, rc, &req->info);
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
    enum ad_err err = rc == SQLITE_DONE ? AD_OK : store_conn_fail(c, rc, info);
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
        enum ad_err err = rc ? store_conn_fail(c, rc, info) : AD_OK;
        err = err || !stmt ? err : run_one(c, stmt, info);
        if (err) {
            ad_errinfo_prefix(info, "line %u", line_of(script, at));
            return err;
        }
        at = tail;
    }
    return AD_OK;
}
