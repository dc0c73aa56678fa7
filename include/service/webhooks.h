/* Our webhook at Attio, for operators: list, ensure, rotate, delete. */
#ifndef AD_SERVICE_WEBHOOKS_H
#define AD_SERVICE_WEBHOOKS_H

#include "service/sync.h"

struct ad_webhooks_query {
    struct ad_service_query q; /* out: JSON */
    struct ad_str id;          /* delete */
    bool replace;              /* ensure, rotate */
    void *impl;
};
/* CONFIG when no public URL is configured. */
AD_MUST_CHECK enum ad_err ad_service_webhooks_list(struct ad_service *s,
                                                   struct ad_webhooks_query *w);
AD_MUST_CHECK enum ad_err ad_service_webhooks_ensure(struct ad_service *s,
                                                     struct ad_webhooks_query *w);
AD_MUST_CHECK enum ad_err ad_service_webhooks_rotate(struct ad_service *s,
                                                     struct ad_webhooks_query *w);
AD_MUST_CHECK enum ad_err ad_service_webhooks_delete(struct ad_service *s,
                                                     struct ad_webhooks_query *w);

#endif
