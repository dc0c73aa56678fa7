/* The two statements that note a gap ($1: why), for transactions of others in this layer. */
#ifndef AD_ATTIO_GAP_PRIVATE_H
#define AD_ATTIO_GAP_PRIVATE_H

#include "infra/store.h"

extern const struct ad_sql ad__gap_note_sql;  /* $1: why */
extern const struct ad_sql ad__gap_unarm_sql; /* no values */

#endif
