/* Receipt of a webhook delivery: genuine? decodable? durable? Then, and only then, dispatched. */
#ifndef AD_SERVICE_INGEST_H
#define AD_SERVICE_INGEST_H

#include "base/err.h"
#include "base/http.h"

struct ad_service;
struct ad_ingest;

/* Caller-owned from start to callback, zeroed first; body, headers and arena (an exchange's) as
 * well. */
struct ad_ingest {
    /* set by the caller */
    struct ad_str body;
    const struct ad_http_header *headers;
    size_t headers_n;
    struct ad_arena *arena;
    void (*cb)(struct ad_ingest *in);
    void *data;
    /* result: OK when durable, also for duplicates and for a genuine body that had to be
     * quarantined (accepted 0). UNAUTHORIZED: bad or missing signature. INVALID: bad
     * Idempotency-Key. BUSY, STORE...: could not be made durable: to be sent again. */
    enum ad_err err;
    struct ad_errinfo info;
    unsigned accepted, duplicate;
    bool quarantined;
    /* private */
    void *impl;
};
/* OK: cb comes exactly once, later. Any other result is final and already in in->err (no
 * callback). */
AD_MUST_CHECK enum ad_err ad_ingest(struct ad_service *s, struct ad_ingest *in);

#endif
