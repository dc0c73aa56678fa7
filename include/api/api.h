/* Every HTTP route of attiod, registered by two functions. */
#ifndef AD_API_API_H
#define AD_API_API_H

#include "base/metric.h"
#include "base/registry.h"

struct ad_service;

struct ad_api; /* opaque: what routes need */

struct ad_api_opts {
    struct ad_service *service;
    struct ad_metrics *metrics;
    size_t webhook_body_max; /* 1 MiB */
    const char *version;
};
AD_MUST_CHECK enum ad_err ad_api_new(const struct ad_api_opts *opts, struct ad_api **out);
void ad_api_free(struct ad_api *a);

/* POST /webhooks/attio[/{slot}], GET /healthz, GET /readyz. */
AD_MUST_CHECK enum ad_err ad_api_public_routes(struct ad_api *a, struct ad_registry *r, struct ad_errinfo *info);
/* GET /health, /metrics, /api/v1/...; and /healthz, /readyz as well. */
AD_MUST_CHECK enum ad_err ad_api_internal_routes(struct ad_api *a, struct ad_registry *r, struct ad_errinfo *info);

#endif
