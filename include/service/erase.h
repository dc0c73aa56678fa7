/* Erasing one record's data, for operators. */
#ifndef AD_SERVICE_ERASE_H
#define AD_SERVICE_ERASE_H

#include "service/sync.h"

struct ad_erase_query {
    struct ad_service_query q; /* out: {"object", "record_id"} */
    struct ad_str object;      /* slug or id */
    struct ad_str record_id;
    bool force; /* without asking whether Attio still has it, from where it would come again */
    void *impl;
};
/* As attio/erase.h. Before that Attio is asked for the record: CONFLICT when it is still there.
 * NOTFOUND: no such object. */
AD_MUST_CHECK enum ad_err ad_service_erase(struct ad_service *s, struct ad_erase_query *e);

#endif
