/* One record's data out of everything we hold: its mirror row, what belongs to it (entries, notes,
 * tasks and comments that name it), their entries in the change feed, the bodies of events about it,
 * what handlers said of those. Rows stay as tombstones without a value, so that what counts them
 * stays right; ids stay.
 *
 * Then the file is written anew and its log emptied, because deleted content is not overwritten
 * otherwise. That holds every other write up for as long as copying the whole database takes. */
#ifndef AD_ATTIO_ERASE_H
#define AD_ATTIO_ERASE_H

#include "base/err.h"
#include "base/str.h"

struct ad_store;

struct ad_erase {
    /* set by the caller; caller-owned from start to callback */
    struct ad_str object_id, record_id; /* UUIDs; live until cb */
    int64_t now_ns;                     /* wall clock */
    void (*cb)(struct ad_erase *e);
    void *data;
    /* result. NOTFOUND: the mirror never had that record; what else names it is erased all the same.
     * STORE_BUSY after the erasing: another program reads the file, and older copies of what was
     * erased may be left in it; to be repeated. */
    enum ad_err err;
    struct ad_errinfo info;
    /* private */
    void *impl;
};
/* OK: cb comes exactly once, later. INVALID (no UUIDs), NOMEM, CLOSED: it does not. */
AD_MUST_CHECK enum ad_err ad_erase_start(struct ad_store *store, struct ad_erase *e);

#endif
