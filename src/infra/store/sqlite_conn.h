/* One SQLite connection: how it is set up, its transactions and what SQLite's codes mean to us
 * (sqlite_conn.c); its prepared statements, a request's steps, values and rows (sqlite_steps.c); how
 * the writer's log is written (sqlite_log.c).
 * Used by one thread at a time; starts none. */
#ifndef AD_INFRA_STORE_SQLITE_CONN_H
#define AD_INFRA_STORE_SQLITE_CONN_H

#include <sqlite3.h>

#include "base/buf.h"
#include "base/map.h"

#include "infra/store.h"

#include "store/sqlite_file.h"

/* Transaction control, kept prepared. */
enum store_control {
    STORE_BEGIN,
    STORE_COMMIT,
    STORE_ROLLBACK,
    STORE_SAVE,
    STORE_RELEASE,
    STORE_REVERT,
    STORE_CONTROLS,
};

/* Most of one row; further rows stop at AD_STORE_ROWS_BYTES_MAX. */
#define STORE_ROW_VALUES_MAX ((size_t)64 << 20)
#define STORE_ROW_BYTES_MAX ((size_t)64 << 20)

struct store_conn {
    sqlite3 *db;
    const struct store_file *file;
    bool read_only;
    bool controlling;     /* a statement of our own transaction control is under way */
    bool no_memory;       /* SQLite had none while the rows were gathered */
    bool suspect;         /* met an I/O error: to be reopened before it writes again */
    uint64_t deadline_ms; /* for waiting on locks and, when read-only, for running; store_now_ms */
    sqlite3_stmt *control[STORE_CONTROLS];
    struct ad_map stmts;         /* of struct stmt, by the address of their ad_sql */
    struct ad_buf values, bytes; /* the rows being gathered */
    unsigned log_pages;          /* in the write-ahead log after the last commit */
    unsigned log_pages_at_checkpoint;
};

uint64_t store_now_ms(void);

/* Errors that concern the database and not one request: the group fails, nothing of it remains. */
static inline bool store_err_is_group(enum ad_err err)
{
    return err == AD_ERR_STORE || err == AD_ERR_STORE_FULL || err == AD_ERR_STORE_BUSY ||
           err == AD_ERR_NOMEM || err == AD_ERR_CORRUPT;
}

void store_conn_init(struct store_conn *c, const struct store_file *file, bool read_only);
/* Opens and sets up; waits for locks until c->deadline_ms. The writer also checks the file and
 * makes what the log holds durable. On failure it stays closed. */
AD_MUST_CHECK enum ad_err store_conn_open(struct store_conn *c, struct ad_errinfo *info);
/* Gathers what the query planner wants to know; before the last close. */
void store_conn_optimize(struct store_conn *c);
/* Harmless when closed; may be opened again. */
void store_conn_close(struct store_conn *c);
void store_conn_fini(struct store_conn *c);

AD_MUST_CHECK enum ad_err store_conn_control(struct store_conn *c, enum store_control what,
                                             struct ad_errinfo *info);
/* Ends whatever transaction is open, be it none. */
void store_conn_rollback(struct store_conn *c);
bool store_conn_in_transaction(const struct store_conn *c);
/* True when a foreign key that is only checked at commit would fail it. */
bool store_conn_owes_parent(const struct store_conn *c);

/* Runs the steps in order and gathers rows into req; stops at the first failure, which it leaves in
 * place: who may be undone how is the caller's to know. */
AD_MUST_CHECK enum ad_err store_conn_steps(struct store_conn *c, struct ad_store_req *req);
/* Runs a script statement by statement. */
AD_MUST_CHECK enum ad_err store_conn_script(struct store_conn *c, struct ad_str script,
                                            struct ad_errinfo *info);
/* VACUUM, and the log copied and emptied. Outside of a transaction. */
AD_MUST_CHECK enum ad_err store_conn_rewrite(struct store_conn *c, struct ad_errinfo *info);
/* A write that changes nothing. */
AD_MUST_CHECK enum ad_err store_conn_probe(struct store_conn *c, struct ad_errinfo *info);
void store_conn_forget(struct store_conn *c, const struct ad_sql *sql);
void store_conn_forget_all(struct store_conn *c);
/* Translates and describes what SQLite just answered, and remembers what it says about the disk. */
enum ad_err store_conn_fail(struct store_conn *c, int rc, struct ad_errinfo *info);

/* Copies the log into the database when it has grown enough since the last time. True when it did
 * anything; *err then says how it went. */
bool store_conn_checkpoint(struct store_conn *c, enum ad_err *err, struct ad_errinfo *info);

/* Frees and clears the rows of a request. */
void store_rows_drop(struct ad_store_req *req);

#endif
