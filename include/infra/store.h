/* SQL through request objects. Knows no table: statements and migrations belong to the attio layer.
 *
 * A write request is a fixed list of prepared statements with bound values, all or nothing; no C runs between them, conditions are in SQL. Many requests share one transaction
 * and one commit (group commit): the writer drains its queue into one transaction at a time, and a request's callback comes after that commit is durable. A
 * request of more than one statement runs in a SAVEPOINT, so a constraint fails it alone (CONFLICT), while a full disk, an I/O error or a failed COMMIT fails the whole
 * group, of which nothing then remains. A database locked by another process: STORE_BUSY after `busy_ms`.
 *
 * Priorities: ingest before normal before bulk in each group, and a group takes at most a bounded number of bulk rows, so a sync page never delays an
 * acknowledgement for long.
 *
 * A read request is one statement on a read-only connection of its own thread, interrupted after `read_ms` (TIMEOUT).
 *
 * SQLite: WAL, synchronous=FULL, foreign_keys on, one writer thread and one reader thread. */
#ifndef AD_INFRA_STORE_H
#define AD_INFRA_STORE_H

#include "base/err.h"
#include "base/list.h"
#include "base/metric.h"
#include "base/str.h"

struct ad_loop;
struct ad_store; /* opaque */

/* One statement, in each database's words ($1 ... in both). Constants, or held by the caller until ad_store_forget. The address is its identity: the store keeps the prepared
 * statement under it. */
struct ad_sql {
    const char *sqlite;
    const char *pg; /* NULL until PostgreSQL is there */
};

enum ad_value_type { AD_VALUE_NULL, AD_VALUE_I64, AD_VALUE_F64, AD_VALUE_TEXT, AD_VALUE_BLOB };

struct ad_value {
    enum ad_value_type type;
    int64_t i64;
    double f64;
    struct ad_str str; /* text or blob */
};

#define AD_V_NULL ((struct ad_value){ .type = AD_VALUE_NULL })
#define AD_V_I64(v) ((struct ad_value){ .type = AD_VALUE_I64, .i64 = (v) })
#define AD_V_F64(v) ((struct ad_value){ .type = AD_VALUE_F64, .f64 = (v) })
/* Absent slices become NULL. */
#define AD_V_TEXT(s) ad_value_bytes(AD_VALUE_TEXT, (s))
#define AD_V_BLOB(s) ad_value_bytes(AD_VALUE_BLOB, (s))
static inline struct ad_value ad_value_bytes(enum ad_value_type type, struct ad_str s)
{
    return (struct ad_value){ .type = s.p ? type : AD_VALUE_NULL, .str = s };
}

struct ad_step {
    /* set by the caller */
    const struct ad_sql *sql;
    const struct ad_value *values;
    unsigned values_n;
    /* result */
    int64_t changes; /* rows changed by this statement */
    int64_t id;      /* integer key of the row it inserted last, 0 if none */
};

/* Result rows, owned by the store, valid during the callback. */
struct ad_rows {
    const struct ad_value *values; /* row-major */
    size_t rows, columns;
};
static inline const struct ad_value *ad_row(const struct ad_rows *r, size_t row)
{
    return r->values + row * r->columns;
}

enum ad_store_class { AD_STORE_INGEST, AD_STORE_NORMAL, AD_STORE_BULK };

struct ad_store_req;
typedef void (*ad_store_cb)(struct ad_store_req *req);

/* Caller-owned from submit to callback; so are steps, values and the bytes they point to, unchanged. */
struct ad_store_req {
    /* set by the caller */
    struct ad_step *steps;
    unsigned steps_n;
    enum ad_store_class cls; /* writes */
    ad_store_cb cb;
    void *data;
    /* result */
    enum ad_err err;
    struct ad_errinfo info;
    struct ad_rows rows; /* of a read, or of the last step of a write that returns rows (RETURNING); at most rows_max */
    bool more;           /* a read stopped at rows_max */
    /* set by the caller: reads stop there; 0 means 1000 */
    size_t rows_max;
    /* private */
    struct ad_list link;
    void *impl;
};

struct ad_store_opts {
    const char *url;    /* sqlite:var/x.db, sqlite:/path, sqlite:///path, sqlite::memory: is refused (two connections) */
    unsigned busy_ms;   /* 3000 */
    unsigned read_ms;   /* 250 */
    unsigned group_max; /* requests in one transaction, 512 */
    unsigned bulk_max;  /* bulk steps in one transaction, 50 */
    struct ad_metrics *metrics;
};

/* Opens both connections synchronously (start-up) and starts the threads. Creates the file (0600) but not its directory. STORE, CORRUPT (quick_check says so),
 * STORE_BUSY; info names the file and SQLite's own text. */
AD_MUST_CHECK enum ad_err ad_store_open(struct ad_loop *loop, const struct ad_store_opts *opts, struct ad_store **out,
                                        struct ad_errinfo *info);
/* OK: cb comes exactly once, later. CLOSED after close began. A write is never cancelled once submitted. */
AD_MUST_CHECK enum ad_err ad_store_write(struct ad_store *s, struct ad_store_req *req);
AD_MUST_CHECK enum ad_err ad_store_read(struct ad_store *s, struct ad_store_req *req);
/* Finalises the prepared statements of `sql`, whose memory may go when cb comes. Queued behind what was submitted before. `req` needs only cb and data. */
AD_MUST_CHECK enum ad_err ad_store_forget(struct ad_store *s, const struct ad_sql *sql, struct ad_store_req *req);
/* Runs several statements of plain SQL text (migrations, DDL), in one transaction, all or nothing; the text stays valid until cb. Prepared statements adapt by
 * themselves to changed tables. */
AD_MUST_CHECK enum ad_err ad_store_exec(struct ad_store *s, struct ad_store_req *req, struct ad_str script);

/* Synchronous versions for start-up and commands, before the loop runs: submit and turn the loop until done. */
AD_MUST_CHECK enum ad_err ad_store_exec_now(struct ad_store *s, struct ad_str script, struct ad_errinfo *info);
/* `req->rows` stay valid until ad_store_rows_free. */
AD_MUST_CHECK enum ad_err ad_store_read_now(struct ad_store *s, struct ad_store_req *req);
AD_MUST_CHECK enum ad_err ad_store_write_now(struct ad_store *s, struct ad_store_req *req);
void ad_store_rows_free(struct ad_store_req *req);

/* Writes waiting or under way. */
size_t ad_store_pending(const struct ad_store *s);
/* True while the last write group failed for a reason that is the database's (full, I/O, locked): /readyz asks. */
bool ad_store_failing(const struct ad_store *s);
/* Finishes what was submitted, checkpoints, closes; done after the last callback. Frees the store. */
void ad_store_close(struct ad_store *s, void (*done)(void *ctx), void *ctx);

#endif
