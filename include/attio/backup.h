/* A copy of the whole database for keeping, made while it is in use: infra/store.h's backup, for
 * the layers that know no store. It holds everything, webhook secrets too; so the file is 0600. */
#ifndef AD_ATTIO_BACKUP_H
#define AD_ATTIO_BACKUP_H

#include <stdint.h>

#include "base/err.h"

struct ad_store;

struct ad_backup {
    /* set by the caller; caller-owned from start to callback */
    const char *path; /* absolute; lives until cb */
    void (*cb)(struct ad_backup *b);
    void *data;
    /* result, as ad_store_backup's */
    enum ad_err err;
    struct ad_errinfo info;
    uint64_t bytes;
    /* private */
    void *impl;
};
/* OK: cb comes exactly once, later; before the store is closed. */
AD_MUST_CHECK enum ad_err ad_backup_start(struct ad_store *store, struct ad_backup *b);
/* It ends soon, with CANCELED unless it was through. Harmless after the callback. */
void ad_backup_cancel(struct ad_backup *b);
/* Pages copied, and in all; both 0 before it is known. */
void ad_backup_progress(const struct ad_backup *b, unsigned *done, unsigned *all);

#endif
