/* Our own tables and their versions. Forward only; version N-1 of the program runs on N's tables; a schema newer than known is refused. */
#ifndef AD_ATTIO_MIGRATE_H
#define AD_ATTIO_MIGRATE_H

#include <stdbool.h>

#include "base/err.h"

struct ad_store;

/* Brings the database to the current version (synchronous, start-up). `check_only`: CONFLICT when something would have to be done. CONFLICT for a newer schema; info names
 * both versions. *from and *to may be NULL. */
AD_MUST_CHECK enum ad_err ad_migrate(struct ad_store *store, bool check_only, int *from, int *to, struct ad_errinfo *info);

#endif
