/* Our own tables and their versions: forward only, each step whole or not at all.
 *
 * A step adds; it takes away only what no program of the version before used, so that version N-1
 * of the program runs on N's tables while replicas are replaced. A step says so itself, in
 * attiod_meta: ('compatible:<N>', '<oldest version that may run>'). Tables newer than that are
 * refused. The mirror's tables, which follow Attio's schema, are attio/mirror.h's. */
#ifndef AD_ATTIO_MIGRATE_H
#define AD_ATTIO_MIGRATE_H

#include <stdbool.h>

#include "base/err.h"

struct ad_store;

/* Brings the database to the current version (synchronous, start-up). `check_only`: changes
 * nothing, CONFLICT when something would have to be done. CONFLICT for tables that are too new;
 * info names both versions. *from and *to (may be NULL) are set when versions could be read. */
AD_MUST_CHECK enum ad_err ad_migrate(struct ad_store *store, bool check_only, int *from, int *to,
                                     struct ad_errinfo *info);

#endif
