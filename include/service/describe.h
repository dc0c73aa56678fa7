/* The mirror's schema, for people: names and columns, and what still has to be done. */
#ifndef AD_SERVICE_DESCRIBE_H
#define AD_SERVICE_DESCRIBE_H

#include "service/sync.h"

/* As ad_mirror_describe. CLOSED, NOMEM. */
AD_MUST_CHECK enum ad_err ad_service_schema(struct ad_service *s, struct ad_service_query *q);

#endif
