/* The client of Attio's REST API: one call = schedule, send, retry, classify.
 *
 * Scheduling: two lanes (reads, writes), priorities with aging, at most `concurrency` in flight, at most `interval_cap` calls in any sliding `interval_ms` over both lanes, ceilings
 * of reads_per_s and writes_per_s, a 429 pauses its lane until the server's own time. Retry by ambiguity: never sent or 429 -> any call; sent and
 * unknown (time-out, reset, 5xx, broken answer) -> reads only here. Limits on attempts and on total time. */
#ifndef AD_ATTIO_CLIENT_H
#define AD_ATTIO_CLIENT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/metric.h"
#include "base/rand.h"
#include "base/timer.h"

struct ad_loop;
struct ad_client; /* opaque */

enum ad_lane { AD_LANE_READ, AD_LANE_WRITE };
enum ad_priority { AD_PRIO_INTERACTIVE, AD_PRIO_PULL, AD_PRIO_OUTBOX, AD_PRIO_BACKFILL };

struct ad_client_opts {
    struct ad_str base_url;       /* "https://api.attio.com", a trailing /v2 accepted; http only to loopback here (TLS: later) */
    struct ad_str api_key;        /* copied, hidden from the log, wiped at close */
    const struct ad_clock *clock;
    struct ad_timers *timers;
    struct ad_metrics *metrics;
    uint64_t seed;                /* jitter */
    bool enabled;                 /* ATTIO_ENABLED: false: every call is DISABLED at once */
    bool writes_enabled;
    unsigned concurrency, interval_cap, interval_ms, reads_per_s, writes_per_s;
    unsigned queue_max;           /* waiting calls, 10000; more are BUSY */
    unsigned connect_ms, timeout_ms; /* 5000, 30000 per try */
    unsigned total_ms;            /* 120000: all tries and waits of one call */
    unsigned attempts_max;        /* 5 */
    size_t response_max;          /* 16 MiB */
};

struct ad_call;
typedef void (*ad_call_cb)(struct ad_call *call);

/* Caller-owned from start to callback; zero it first. */
struct ad_call {
    /* set by the caller; slices live until the callback */
    const char *method;
    struct ad_str path;   /* "/v2/objects/people/records/query" */
    const char *route;    /* template for logs and metrics: "/v2/objects/{object}/records/query"; a constant */
    struct ad_str body;   /* JSON, or absent */
    enum ad_lane lane;
    enum ad_priority priority;
    bool reads_only;      /* safe to repeat: GET, query */
    unsigned deadline_ms; /* from now; 0: total_ms */
    size_t response_max;  /* 0: the client's */
    /* Called right before each try is sent: where a version is taken. May be NULL. */
    void (*on_send)(struct ad_call *call);
    ad_call_cb cb;
    void *data;
    /* result */
    enum ad_err err;        /* OK: a 2xx answer. RATELIMITED, NOTFOUND, MERGING, UNAUTHORIZED, FORBIDDEN, CONFLICT, UPSTREAM_REJECTED (other 4xx), UPSTREAM (5xx), ... */
    struct ad_errinfo info; /* sent: whether Attio may have acted */
    unsigned status;        /* of the last answer, 0 without one */
    struct ad_str response; /* body of the last answer; the client's memory, valid during cb */
    int64_t accurate_ns;    /* x-accurate-at, 0 when absent */
    char attio_type[32], attio_code[48]; /* of an error body; "" */
    struct ad_str attio_message;         /* valid during cb; may hold personal data: never log it */
    unsigned attempts;
    /* private */
    struct ad_list link;
    void *impl;
};

/* CONFIG for a base URL we cannot use. */
AD_MUST_CHECK enum ad_err ad_client_open(struct ad_loop *loop, const struct ad_client_opts *opts, struct ad_client **out,
                                         struct ad_errinfo *info);
/* OK: cb comes exactly once, later. DISABLED, BUSY, CLOSED: it does not. */
AD_MUST_CHECK enum ad_err ad_call_start(struct ad_client *c, struct ad_call *call);
void ad_call_cancel(struct ad_client *c, struct ad_call *call);
/* No new calls (CLOSED); what waits is cancelled, what is in flight is cancelled; done after the last callback. Frees. */
void ad_client_close(struct ad_client *c, void (*done)(void *ctx), void *ctx);

/* Share of the sliding window used by calls sent in the last interval_ms, in percent: pull spaces its queries out above 50. */
unsigned ad_client_window_percent(const struct ad_client *c);
unsigned ad_client_interval_ms(const struct ad_client *c);
unsigned ad_client_interval_cap(const struct ad_client *c);
bool ad_client_enabled(const struct ad_client *c);
/* For health: when the last answer came and how the last call ended. */
struct ad_client_health {
    uint64_t last_ok_ms, last_fail_ms; /* monotonic, 0: never */
    enum ad_err last_err;
    unsigned last_latency_ms;
    uint64_t calls;                    /* tries sent in all */
    unsigned in_flight, waiting;
};
void ad_client_health(const struct ad_client *c, struct ad_client_health *out);

#endif
