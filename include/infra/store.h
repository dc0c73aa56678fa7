/* SQL through request objects. Knows no table: statements and migrations belong to the attio
 * layer.
 *
 * A write request is a fixed list of prepared statements with bound values, all or nothing; no C
 * runs between them, conditions are in SQL. Many requests share one transaction and one commit
 * (group commit): the writer drains its queue into one transaction at a time, and a request's
 * callback comes after that commit is durable. Nothing is reported done that a power cut could
 * undo.
 *
 * Who fails when a write fails:
 *   the request alone   CONFLICT (a constraint; of a deferred one, too), INVALID (a value SQL cannot
 *                       work with), TOOLARGE, INTERNAL (the SQL itself is wrong)
 *   its whole group     STORE_FULL, STORE (I/O error, or the COMMIT failed), STORE_BUSY, NOMEM,
 *                       CORRUPT: the group is rolled back and every request of it gets the error.
 *                       After a power cut or kill at that moment it may turn out to be there
 *                       nevertheless, as with any database: a redelivery must be harmless.
 * A request of more than one statement runs in a SAVEPOINT, or, of bulk, the others of its group run
 * again without it. Statements must not say OR FAIL, whose partial work would stay; OR ROLLBACK,
 * where a constraint is not expected to fail, saves SQLite the copies it keeps to undo one statement.
 *
 * Recovery: STORE_FULL, STORE_BUSY and NOMEM end by themselves as soon as the cause does. After
 * an I/O error the connection is reopened and everything the write-ahead log holds is written
 * and synced again before the next write, because a page whose fsync failed is not trusted. Once
 * any statement met a damaged page every later write gets CORRUPT: nothing is acknowledged into
 * a damaged file. A file that was moved or deleted under us gives STORE.
 *
 * A database locked by another program: a write waits at most `busy_ms` from being submitted,
 * then gets STORE_BUSY. A second store on the same file is refused at open: the first holds a
 * lock on `<file>.lock`, which other programs (the sqlite3 shell, a backup) do not look at.
 *
 * Order: requests of one class run, and call back, in the order they were submitted. Of a group,
 * ingest runs before normal before bulk. A group begins with at most a bounded number of bulk
 * statements; more join it, request by request, only while nobody else is in it or waits, and up to ten
 * times as many. So an acknowledgement waits for one sync chunk and one commit at most, and a group always
 * leaves room for some normal and one bulk request, so that a flood of ingest never starves them.
 *
 * A read request is one statement on a read-only connection of its own thread. It sees all that
 * was committed before it began. Interrupted after `read_ms` (TIMEOUT).
 *
 * SQLite: WAL, synchronous=FULL, foreign_keys on, one writer thread and one reader thread.
 * Deleted content is not overwritten (secure_delete off): erasing for good needs a VACUUM. */
#ifndef AD_INFRA_STORE_H
#define AD_INFRA_STORE_H

#include "base/err.h"
#include "base/list.h"
#include "base/metric.h"
#include "base/str.h"

struct ad_loop;
struct ad_store; /* opaque */

/* One statement, in each database's words; parameters are $1, $2 ... in both, and a request brings
 * exactly as many values as the highest. Constants, or held by the caller until ad_store_forget.
 * The address is the statement's identity: the store keeps the prepared form under it. */
struct ad_sql {
    const char *sqlite;
    const char *pg; /* NULL until PostgreSQL is there */
};

enum ad_value_type { AD_VALUE_NULL, AD_VALUE_I64, AD_VALUE_F64, AD_VALUE_TEXT, AD_VALUE_BLOB };

struct ad_value {
    enum ad_value_type type;
    int64_t i64;
    double f64;        /* not a number is stored as NULL */
    struct ad_str str; /* text or blob; in results p is not NULL */
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
    int64_t changes; /* rows this statement changed itself, without those its triggers changed */
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

/* INGEST: somebody outside waits for an acknowledgement. BULK: sync pages and clean-up. */
enum ad_store_class { AD_STORE_INGEST, AD_STORE_NORMAL, AD_STORE_BULK };

/* Most bytes of one result: 1,000 rows of a full webhook body each must not take a gigabyte. */
#define AD_STORE_ROWS_BYTES_MAX ((size_t)8 << 20)

struct ad_store_req;
typedef void (*ad_store_cb)(struct ad_store_req *req);

/* Caller-owned from submit to callback; so are steps, values and the bytes they point to,
 * unchanged. */
struct ad_store_req {
    /* set by the caller */
    struct ad_step *steps; /* a read has one */
    unsigned steps_n;
    enum ad_store_class cls; /* writes */
    size_t rows_max;         /* rows kept; 0 means 1000 */
    ad_store_cb cb;
    void *data;
    /* result */
    enum ad_err err;
    struct ad_errinfo info; /* SQLite's text, which holds no bound value; `os`: its code */
    struct ad_rows rows;    /* of a read, or of the last step of a write that returns rows */
    bool more;              /* there were more than rows_max, or than AD_STORE_ROWS_BYTES_MAX */
    /* private */
    struct ad_list link;
    uint64_t order, since_ms;
    struct ad_str script;
    const struct ad_sql *forget;
    void *block; /* memory of rows */
    int kind;
    bool keep_rows, barred;
};

struct ad_store_opts {
    /* sqlite:var/x.db, sqlite:/path, sqlite:///path; sqlite::memory: is refused, because each
     * connection would have its own */
    const char *url;
    /* 0 means the default */
    unsigned busy_ms;   /* 3000: Attio's webhook is answered within 4 s */
    unsigned read_ms;   /* 250 */
    unsigned group_max; /* 512 ingest and normal requests in one transaction */
    unsigned bulk_max;  /* 50 bulk statements that others may have to wait for */
    /* Everything runs on the loop's own thread, which waits for the disk meanwhile: for tests that
     * must replay exactly. */
    bool on_loop;
    struct ad_metrics *metrics; /* may be NULL */
};

/* Opens both connections synchronously (start-up) and starts the threads. Creates the file (0600)
 * but not its directory. A log left by a crash is written and synced again. A file of up to 256 MiB
 * is checked (quick_check); of a larger one only the schema, since a start must not take long.
 * CONFIG: the url; BUSY: another store holds the file; STORE_BUSY: another program has it locked;
 * CORRUPT; STORE_FULL; STORE; NOMEM. `info` names the file and has SQLite's own text. */
AD_MUST_CHECK enum ad_err ad_store_open(struct ad_loop *loop, const struct ad_store_opts *opts,
                                        struct ad_store **out, struct ad_errinfo *info);
/* The database's absolute path. */
const char *ad_store_path(const struct ad_store *s);

/* OK: cb comes exactly once, later. CLOSED after close began; INVALID: no step, no statement, no
 * callback. A write is never cancelled once submitted. */
AD_MUST_CHECK enum ad_err ad_store_write(struct ad_store *s, struct ad_store_req *req);
/* Also BUSY (in the callback): `busy_ms` passed before its turn came. */
AD_MUST_CHECK enum ad_err ad_store_read(struct ad_store *s, struct ad_store_req *req);
/* Finalises the prepared forms of `sql`, whose memory may go when cb comes. Behind everything
 * submitted before, of any class; must not be used in anything submitted later. `req` needs only cb
 * and data. */
AD_MUST_CHECK enum ad_err ad_store_forget(struct ad_store *s, const struct ad_sql *sql,
                                          struct ad_store_req *req);
/* Runs several statements of plain SQL text (migrations, DDL) in a transaction of their own, all or
 * nothing; the text stays valid until cb, and must not begin or end transactions (INTERNAL). Behind
 * everything submitted before, of any class; what is submitted later may run earlier, so await cb.
 * Prepared statements adapt by themselves to changed tables. `req` needs only cb and data. */
AD_MUST_CHECK enum ad_err ad_store_exec(struct ad_store *s, struct ad_store_req *req,
                                        struct ad_str script);

/* Synchronous versions for start-up and commands, before the loop runs: submit and turn the loop
 * until done. `req->cb` and `data` are theirs meanwhile. */
AD_MUST_CHECK enum ad_err ad_store_exec_now(struct ad_store *s, struct ad_str script,
                                            struct ad_errinfo *info);
/* `req->rows` stay valid until ad_store_rows_free, which both need, failed or not. */
AD_MUST_CHECK enum ad_err ad_store_read_now(struct ad_store *s, struct ad_store_req *req);
AD_MUST_CHECK enum ad_err ad_store_write_now(struct ad_store *s, struct ad_store_req *req);
void ad_store_rows_free(struct ad_store_req *req);

/* Writes the whole file anew and empties the log, so that nothing of what was deleted or replaced
 * before is left in either (SQLite: VACUUM and a checkpoint that truncates). Behind everything
 * submitted before, of any class. Takes as long as copying the database does, holds all writes up
 * meanwhile, and needs its size again on the disk. `req` needs only cb and data. STORE_BUSY: another
 * program reads the file: it is written anew, but the log could not be emptied. */
AD_MUST_CHECK enum ad_err ad_store_rewrite(struct ad_store *s, struct ad_store_req *req);

/* --- Backup -------------------------------------------------------------------------------------
 *
 * A copy of the whole database as of the moment it begins, in one file that needs nothing beside it
 * (0600), made in small steps on another thread: writes go on, only the log is not shortened before
 * the end. The file has its name only when it is whole, was checked (quick_check) and is durable;
 * until then it is `<path>.part`, which a process that is killed leaves behind. An existing file is
 * never replaced. */
struct ad_store_backup {
    /* set by the caller; caller-owned from start to callback */
    const char *path; /* absolute; lives until cb */
    void (*cb)(struct ad_store_backup *b);
    void *data;
    /* result. CONFLICT: the file, or its .part, is there already. INVALID: it cannot be made there.
     * STORE_FULL, STORE, CORRUPT, NOMEM. CANCELED. */
    enum ad_err err;
    struct ad_errinfo info;
    uint64_t bytes;
    /* private */
    void *impl;
};
/* OK: cb comes exactly once, later. CLOSED, NOMEM, INVALID (no absolute path) in b->info: it does
 * not. Every backup must have called back before ad_store_close. */
AD_MUST_CHECK enum ad_err ad_store_backup(struct ad_store *s, struct ad_store_backup *b);
/* It ends soon, with CANCELED unless it was through. Harmless after the callback. */
void ad_store_backup_cancel(struct ad_store_backup *b);
/* Pages copied, and in all; both 0 before it is known. */
void ad_store_backup_progress(const struct ad_store_backup *b, unsigned *done, unsigned *all);

/* Writes waiting or under way. */
size_t ad_store_pending(const struct ad_store *s);
/* True while the last write group failed for a reason that is the database's (full, I/O, locked,
 * corrupt, no memory): /readyz asks. While it is true the store itself writes once a second
 * something that changes nothing, so it becomes false by itself. */
bool ad_store_failing(const struct ad_store *s);
/* Finishes what was submitted, checkpoints, closes; done after the last callback. Frees the store.
 * Once only. */
void ad_store_close(struct ad_store *s, void (*done)(void *ctx), void *ctx);

#endif
