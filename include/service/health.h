/* How are we: readiness, deep health, status. */
#ifndef AD_SERVICE_HEALTH_H
#define AD_SERVICE_HEALTH_H

#include "service/sync.h"

/* Ready unless draining or SQL is unusable. Redis, Attio or a backlog do not count. `why` is a
 * constant. */
bool ad_service_ready(const struct ad_service *s, const char **why);

enum ad_health { AD_HEALTH_OK, AD_HEALTH_DEGRADED, AD_HEALTH_DOWN };
/* JSON object {"status":"ok|degraded|down","dependencies":{"database":{state,
 * ...},"attio":{state, latency_ms, age_ms}}}. Probes Attio (GET /v2/self) at most every 15 s,
 * single flight, and answers from what is known meanwhile: never waits for Attio. */
enum ad_health ad_service_health(struct ad_service *s, struct ad_buf *out);
/* JSON object for /api/v1/status: version, workspace, inbox (pending), dispatch (held, running,
 * per handler), schema, per object live and deleted rows, client. */
AD_MUST_CHECK enum ad_err ad_service_status(struct ad_service *s, struct ad_service_query *q);

#endif
