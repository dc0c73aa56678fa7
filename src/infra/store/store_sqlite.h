/* The SQLite store's two threads and what passes between them and the loop.
 *
 * The loop hands over requests in lists, once a turn; the writer makes groups of them, the reader
 * runs them one by one; what is done comes back in lists with a report, on the loop. */
#ifndef AD_INFRA_STORE_STORE_SQLITE_H
#define AD_INFRA_STORE_STORE_SQLITE_H

#include "infra/store.h"

struct store_sqlite;

/* A probe writes something that changes nothing, to learn whether writing works again. */
enum store_kind { STORE_WRITE, STORE_READ, STORE_EXEC, STORE_FORGET, STORE_PROBE, STORE_REWRITE };

enum { STORE_TIMES_MAX = 64 };
/* Durations in milliseconds; in a turn with more than these, the rest is only counted. */
struct store_times {
    double ms[STORE_TIMES_MAX];
    unsigned n;
};

/* What happened since the last report. */
struct store_report {
    uint64_t commits;  /* groups made durable */
    uint64_t requests; /* in them */
    struct store_times commit, checkpoint, read;
    unsigned log_pages;
    unsigned reopened; /* connections replaced after an I/O error */
    unsigned bad_checkpoints;
    bool grouped; /* a group ran: this is how the last one went */
    enum ad_err group_err;
    struct ad_errinfo group_info;
};

struct store_events {
    /* Takes all requests off `done`; they carry their results. */
    void (*done)(void *ctx, struct ad_list *done, const struct store_report *report);
    /* The store_sqlite is gone. */
    void (*closed)(void *ctx);
    void *ctx;
};

/* `opts` without zeroes. */
AD_MUST_CHECK enum ad_err store_sqlite_open(struct ad_loop *loop, const struct ad_store_opts *opts,
                                            const struct store_events *events,
                                            struct store_sqlite **out, struct ad_errinfo *info);
const char *store_sqlite_path(const struct store_sqlite *s);
/* Takes all off both lists. All but STORE_READ go with the writes. */
void store_sqlite_submit(struct store_sqlite *s, struct ad_list *writes, struct ad_list *reads);
/* sqlite_backup.c; as ad_store_backup. */
struct store_file;
AD_MUST_CHECK enum ad_err store_sqlite_backup(struct ad_loop *loop, const struct store_file *file,
                                              struct ad_store_backup *b);
const struct store_file *store_sqlite_file(const struct store_sqlite *s);
/* Only when everything submitted was reported done. */
void store_sqlite_close(struct store_sqlite *s);

#endif
