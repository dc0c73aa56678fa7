/* Backup of the database, one at a time, in the background; and what is due after a restore. */
#ifndef AD_SERVICE_BACKUP_H
#define AD_SERVICE_BACKUP_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "service/sync.h"

struct ad_service;

/* Begins a copy to `path`, absolute, on the server's machine; copied. How it goes is in
 * ad_service_backup_status. BUSY while one is under way; INVALID for no absolute path. Closing the
 * service cancels it. */
AD_MUST_CHECK enum ad_err ad_service_backup_start(struct ad_service *s, struct ad_str path,
                                                  struct ad_errinfo *info);
/* Appends {"state": "none", "running", "done" or "failed", "file", "pages", "pages_done", "bytes",
 * "started_at", "finished_at", "code", "error"} of the newest one. */
AD_MUST_CHECK enum ad_err ad_service_backup_status(struct ad_service *s, struct ad_buf *out);

/* The database is a backup's: what happened since is not in it. Numbers leap above all that the lost
 * one may have used, and a gap is noted, so a full sync of everything follows, over restarts if need
 * be. q->out: {"gap"}. */
AD_MUST_CHECK enum ad_err ad_service_restored(struct ad_service *s, struct ad_service_query *q);

#endif
