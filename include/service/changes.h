/* The change feed as other systems read it (attio/changes.h): ordered, never ending. */
#ifndef AD_SERVICE_CHANGES_H
#define AD_SERVICE_CHANGES_H

#include "service/sync.h"

struct ad_changes_query {
    struct ad_service_query q; /* out: array of entries. NOTFOUND in the callback: the cursor is too
                                  old, some entries behind it are kept no longer */
    struct ad_str object;      /* a name of ad_schema_find; absent: all */
    int64_t after;             /* the cursor; 0: from the first kept; below 0: none, only `next` */
    unsigned limit;            /* 1 to 500; 0: 100. Fewer come when they are large */
    int64_t next;              /* result: the cursor to go on with */
};
/* NOTFOUND at once: no such object. */
AD_MUST_CHECK enum ad_err ad_service_changes(struct ad_service *s, struct ad_changes_query *c);

#endif
