/* Gaps: changes in Attio that no event told us of, because our webhook was missing, inactive, gave
 * up deliveries, or nobody was there to take them. A full sync closes a gap.
 *
 *   noted   why, in SQL, before anything is done about the cause, so that no crash forgets it
 *   armed   the cause is gone: only runs that began after this one number count (run ids are
 *           versions, attio/version.h; earlier runs may have passed what changed later)
 *   closed  everything that had a run since, and ever had a complete one, has had another such
 *
 * One at a time: what is noted while one is open takes its place and must be armed anew. */
#ifndef AD_ATTIO_GAP_H
#define AD_ATTIO_GAP_H

#include <stdint.h>

#include "base/err.h"

struct ad_store;

struct ad_gap;
/* One look, in one transaction: notes, closes, arms, and says how it stands. Caller-owned from
 * start to callback. */
struct ad_gap {
    /* set by the caller */
    /* Note this one, a constant; NULL: none. Without any sync run ever there is nothing that could
     * have a gap, and it is not. */
    const char *note;
    /* Also note one when the look before this one is longer ago: nobody was there. 0: not. */
    int64_t silent_ns;
    int64_t now_ns;  /* wall clock */
    bool well;       /* the cause is gone, as far as can be told: arm */
    int64_t version; /* arm with this one */
    void (*cb)(struct ad_gap *g);
    void *data;
    /* result */
    enum ad_err err;
    struct ad_errinfo info;
    bool open;
    bool closed;   /* by this look */
    int64_t after; /* while open and armed: the number, else 0 */
    char why[128]; /* while open */
    /* private */
    void *impl;
};
/* OK: cb comes exactly once, later. CLOSED, NOMEM: it does not. */
AD_MUST_CHECK enum ad_err ad_gap_look(struct ad_store *store, struct ad_gap *g);

#endif
