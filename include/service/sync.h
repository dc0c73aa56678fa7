/* Full sync of an object: every record of it into the mirror, resumable, never pretending to be
 * complete. */
#ifndef AD_SERVICE_SYNC_H
#define AD_SERVICE_SYNC_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct ad_service;

/* Starts (or joins) the run of an object, a list, or one of notes, tasks, comments,
 * workspace_members, by any name of ad_schema_find; progress is in ad_service_sync_list. A dry run reads and compares all the
 * same, says what would be created, updated and deleted, and changes nothing. Comments take a call
 * for each record and entry that is mirrored; they let every other run go first. NOTFOUND with "did
 * you mean"; DISABLED; BUSY while the schema is unknown. */
AD_MUST_CHECK enum ad_err ad_service_sync_start(struct ad_service *s, struct ad_str object,
                                                bool dry_run, int64_t *run_id,
                                                struct ad_errinfo *info);
/* Same for all that sync is configured for, records and entries first; *runs counts them. */
AD_MUST_CHECK enum ad_err ad_service_sync_all(struct ad_service *s, bool dry_run, unsigned *runs,
                                              struct ad_errinfo *info);

struct ad_service_query;
typedef void (*ad_service_query_cb)(struct ad_service_query *q);
/* A question answered with JSON in `out`. Caller-owned until cb. */
struct ad_service_query {
    struct ad_buf *out;
    ad_service_query_cb cb;
    void *data;
    enum ad_err err;
    struct ad_errinfo info;
    void *impl;
};
/* Array of runs, those under way first, then the newest finished. */
AD_MUST_CHECK enum ad_err ad_service_sync_list(struct ad_service *s, struct ad_service_query *q);

#endif
