/* Rising numbers that say which of two answers from Attio was asked for later.
 *
 * Every fetch and every write to Attio takes one when it is sent. They are unique and rising over
 * restarts, because blocks are reserved in SQL before any number of them is used: the row
 * attiod_sequence('version') rises by the block's size, the first time at open. What a crash leaves
 * unused of a block is never used. */
#ifndef AD_ATTIO_VERSION_H
#define AD_ATTIO_VERSION_H

#include <stdint.h>

#include "base/err.h"

struct ad_store;
struct ad_versions;

/* Numbers in a block: at 15 calls a second one lasts over four minutes, so the database may be away
 * for two (see next) before we have to stop. */
#define AD_VERSION_BLOCK 4096

/* Reserves the first block (synchronous): the store's errors. */
AD_MUST_CHECK enum ad_err ad_versions_open(struct ad_store *store, struct ad_versions **out,
                                           struct ad_errinfo *info);
/* Also while a reservation is under way: its memory goes when the store has answered. */
void ad_versions_close(struct ad_versions *v);
/* The next one, greater than 0. Reserves the next block in the background when half of this one is
 * used. 0: all are used and the database has not given new ones; what is fetched now cannot be put
 * in order and must not be applied. */
int64_t ad_versions_next(struct ad_versions *v);

/* Numbers passed over by a leap: more than a process could ever use. */
#define AD_VERSION_LEAP (INT64_C(1) << 40)

struct ad_versions_leap {
    /* set by the caller; caller-owned from start to callback */
    void (*cb)(struct ad_versions_leap *leap);
    void *data;
    /* result */
    enum ad_err err;
    struct ad_errinfo info;
    /* private */
    void *impl;
};
/* After a restore: what was lost with the newer database had higher numbers, and may be remembered
 * somewhere (a cursor of the change feed, a run's id). When cb says OK, every number from then on,
 * and of the change feed, is above all of them, durably. OK: cb comes exactly once, later; before close. */
AD_MUST_CHECK enum ad_err ad_versions_leap(struct ad_versions *v, struct ad_versions_leap *leap);

#endif
