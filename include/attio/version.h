/* Rising numbers that say which of two answers from Attio was asked for later.
 *
 * Every fetch and every write to Attio takes one when it is sent. Unique and rising over restarts: blocks are reserved in SQL before use (one row, rising by the block size), the first one
 * at open. */
#ifndef AD_ATTIO_VERSION_H
#define AD_ATTIO_VERSION_H

#include <stdint.h>

#include "base/err.h"

struct ad_store;
struct ad_versions;

AD_MUST_CHECK enum ad_err ad_versions_open(struct ad_store *store, struct ad_versions **out, struct ad_errinfo *info);
void ad_versions_close(struct ad_versions *v);
/* The next one. Reserves the next block in the background when half of this one is used. */
int64_t ad_versions_next(struct ad_versions *v);

#endif
