/* What full sync's sources share:
 *
 *   sync.c          the queue of runs: asking, joining, start, period, open and close
 *   sync_run.c      one run: page after page in the order of creation, and its end
 *   sync_page.c     one page: asked for, read, handed to the mirror
 *   sync_deleted.c  what a page should have shown and did not, confirmed one by one
 *   sync_comments.c a run of comments, which is another walk
 *   sync_ids.c      sets of ids
 *   sync_list.c     telling how far runs are
 *   sync_prune.c    old tombstones go
 *
 * A run has at most a few operations under way (run->ops). Whatever fails among them is kept
 * (run->err) until the last has called back; then the page is asked for again, after a pause. */
#ifndef AD_SERVICE_SYNC_PRIVATE_H
#define AD_SERVICE_SYNC_PRIVATE_H

#include "service/sync.h"

#include "attio/activity.h"
#include "service_private.h"
#include "sync_ids.h"

#define AD__SYNC_PAGE 500
#define AD__SYNC_CHECKS 4 /* confirming reads at once */
#define AD__SYNC_CANDIDATES 1000
#define AD__SYNC_LIMIT_MIN 2 /* a tie is walked with one record of overlap */

struct ad__sync_run;

/* A record on a page. */
struct ad__sync_seen {
    struct ad__sync_id id;
    int64_t ns; /* created */
};

struct ad__sync_page {
    struct ad__sync_seen *items;
    unsigned n, cap;
    unsigned again; /* of them, known from the page before */
    struct ad__sync_ids ids;
    int64_t version;
    bool mismatch;          /* inside a tie, it does not go on from what was seen */
    bool shuffled;          /* and what was seen comes in another order */
    const char *fault;      /* why the answer makes no sense, or NULL */
    int64_t from_ns, to_ns; /* [from, to): all there is, it shows */
};

/* The page behind the one at hand. */
struct ad__sync_ahead {
    struct ad_records_op op;
    int64_t key_ns; /* asked for with these */
    unsigned limit;
    bool busy;          /* under way */
    bool valid;         /* and its answer will be of use; else it was given up */
    bool wanted;        /* the run waits for it, to go on or to end: it is one of its operations */
    struct ad_buf text; /* the answer */
};

/* A record that a page did not show; of comments' walk also a record or entry whose threads are asked
 * for, at `offset`. */
struct ad__sync_check {
    struct ad__sync_run *run;
    const char *id;
    unsigned offset, threads;
    struct ad_records_op op;
    struct ad_mirror_op apply;
    bool busy;
};

/* Records or entries whose comments are asked for. */
struct ad__sync_places {
    const struct ad_object *in;
    char (*ids)[37];
    unsigned n, at;
    bool more; /* behind them */
};

struct ad__sync_run {
    struct ad_list link; /* sync->queue */
    struct ad_sync *sync;
    const struct ad_object *object;
    char name[256];           /* as operators call it */
    struct ad_sync_run state; /* as of the last page that was done */
    struct ad_records_op op;
    struct ad_buf
        text; /* of the page at hand; its memory and that of the one ahead serve in turn */
    struct ad_mirror_op apply;
    struct ad_mirror_scan scan;
    struct ad_sync_save save;
    struct ad_timer timer; /* of a pause */
    unsigned ops;          /* under way */
    enum ad_err err;       /* the first failure of this try */
    char detail[160];
    /* the place */
    int64_t key_ns;               /* state.key, INT64_MIN: from the beginning */
    unsigned limit;               /* of a page: halved when Attio finds it too large */
    int64_t total;                /* records counted */
    struct ad__sync_ids boundary; /* those at the key that were counted */
    unsigned overlap;             /* rows that pages inside a tie have in common */
    unsigned failures, nonsense, merging, tie_restarts;
    struct ad__sync_ahead ahead;
    /* of the page at hand, over all its tries */
    struct ad__sync_page page;
    int64_t created, updated;
    /* its candidates */
    char (*candidates)[37];
    unsigned candidates_n, candidates_at;
    bool more;
    char from[AD_TIME_MAX], to[AD_TIME_MAX], after[37];
    struct ad__sync_check checks[AD__SYNC_CHECKS];
    struct ad__sync_places places; /* of comments */
};

struct ad_sync {
    struct ad_service *s;
    struct ad_list queue; /* the first one runs */
    struct ad_list known; /* earlier runs, until sync_on_start */
    struct ad_arena arena;
    struct ad_rand rand;
    struct ad_timer timer, period;
    struct ad_timer prune_timer;
    struct ad_mirror_prune prune;
    bool pruning; /* a piece is under way */
    bool closing;
    void (*done)(void *ctx);
    void *done_ctx;
    struct ad_counter *c_pages, *c_records, *c_deleted, *c_checks, *c_pruned;
    struct ad_gauge *g_active;
};

/* ---- sync_run.c -------------------------------------------------------------------------- */

/* `from`: a run to go on with, or NULL. NOMEM; STORE: no number for it. */
AD_MUST_CHECK enum ad_err ad__sync_run_new(struct ad_sync *y, const struct ad_object *o,
                                           const struct ad_sync_run *from, bool dry_run,
                                           struct ad__sync_run **out);
void ad__sync_run_free(struct ad__sync_run *r);
/* Puts it into SQL; then the queue goes on. */
void ad__sync_run_record(struct ad__sync_run *r);
void ad__sync_run_go(struct ad__sync_run *r);
void ad__sync_run_cancel(struct ad__sync_run *r);

/* An operation has called back. False when nothing may follow: others are still under way, or the
 * service closes, or the page failed. */
bool ad__sync_op_ended(struct ad__sync_run *r, enum ad_err err, const char *detail);
/* The run's phase is its last, and nothing of it is under way any more: recorded, then freed. */
void ad__sync_run_end(struct ad__sync_run *r);
/* Keeps the first failure of this try; OK is none. */
void ad__sync_note(struct ad__sync_run *r, enum ad_err err, const char *detail);
/* No operation is under way and nothing failed: the page is behind us. */
void ad__sync_page_done(struct ad__sync_run *r);

/* The run's place is another one: recorded, then the next page. */
void ad__sync_checkpoint(struct ad__sync_run *r);

/* The answer is well-formed and cannot be. */
void ad__sync_page_nonsense(struct ad__sync_run *r, const char *why);

/* ---- sync_page.c ------------------------------------------------------------------------- */

/* Asks for the page at the run's place. */
void ad__sync_page_next(struct ad__sync_run *r);
/* The one that was asked for ahead is not to be used. */
void ad__sync_ahead_drop(struct ad__sync_run *r);

/* ---- sync_comments.c --------------------------------------------------------------------- */

/* The same of a run of comments. */
void ad__sync_comments_next(struct ad__sync_run *r);

/* ---- sync_deleted.c ---------------------------------------------------------------------- */

/* Looks for candidates in the page's interval; ends in ad__sync_page_done or in a failure. */
void ad__sync_deleted_begin(struct ad__sync_run *r);

/* ---- sync_prune.c ------------------------------------------------------------------------ */

/* Now and then from here on. */
void ad__sync_prune_begin(struct ad_sync *y);

/* ---- sync.c ------------------------------------------------------------------------------ */

void ad__sync_next(struct ad_sync *y);
/* A run of comments takes hours: true when it has let another one go first. */
bool ad__sync_yield(struct ad__sync_run *r);
/* The run is over and freed. */
void ad__sync_run_over(struct ad_sync *y);
void ad__sync_maybe_closed(struct ad_sync *y);

#endif
