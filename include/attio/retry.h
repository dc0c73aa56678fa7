/* Whether a failed try may be repeated, and when: pure rules.
 *
 * The rule is ambiguity, not method alone: what certainly did nothing (never sent, 429, "try
 * again") may be repeated whatever it is; what was sent and whose fate is unknown (time-out, reset,
 * 5xx, an answer that makes no sense) only if it merely reads. */
#ifndef AD_ATTIO_RETRY_H
#define AD_ATTIO_RETRY_H

#include "base/clock.h"
#include "base/err.h"
#include "base/http.h"
#include "base/rand.h"

#define AD_RETRY_BASE_MS 1000
#define AD_RETRY_CAP_MS 30000
/* Waits asked for by the server are kept within these: a date in the past must not make a tight
 * loop, a mistaken one must not stop us for a day. */
#define AD_RETRY_AFTER_MIN_MS 100
#define AD_RETRY_AFTER_MAX_MS 60000

/* A finished try. RATELIMITED is not for here: it pauses its whole lane. */
struct ad_retry_try {
    enum ad_err err;
    bool sent;       /* a byte of the request may have reached the server */
    bool reused;     /* a kept connection ended before a byte of answer: the usual race */
    bool asks_again; /* the server did nothing and asks to try again */
    bool reads_only;
};

enum ad_retry {
    AD_RETRY_NO,
    AD_RETRY_AT_ONCE, /* costs no attempt; the caller grants it once a call */
    AD_RETRY_LATER,   /* after ad_retry_backoff_ms */
};
enum ad_retry ad_retry_decide(const struct ad_retry_try *t);

/* Full jitter: even over [0, min(cap, base * 2^(failures - 1))]. */
uint64_t ad_retry_backoff_ms(struct ad_rand *rand, unsigned failures, unsigned base_ms,
                             unsigned cap_ms);

/* The wait that Retry-After asks for. An HTTP date counts from the answer's own Date, so that
 * our clock does not matter (`wall_s` only resolves two-digit years); seconds count from now.
 * Within the limits above; absent, garbage, or a date without a Date: false. */
AD_MUST_CHECK bool ad_retry_after_ms(const struct ad_http_header *h, size_t n, int64_t wall_s,
                                     uint64_t *out_ms);
/* The wait after a 429 that does not say: one second with jitter. */
uint64_t ad_retry_default_ms(struct ad_rand *rand);

#endif
