/* The client of Attio's REST API: one call = schedule, send, retry, classify.
 *
 * When a call goes out is attio/scheduler.h's matter, whether it is repeated attio/retry.h's, what
 * an answer means attio/error.h's. Here a call is led through them:
 *
 *   waiting   in the scheduler's queue; the deadline runs already
 *   flying    one try on the wire
 *   waiting   again, when the try failed and may be repeated
 *   ended     the callback, exactly once
 *
 * A 429 pauses its lane until the server's own time (Retry-After against its Date). The call goes
 * back to the front of its priority and loses no attempt. From its third 429 on it lets others go
 * first; if those are answered and it alone is refused, again and again, the query itself is too
 * complex for Attio (which has no error of its own for that): TOOLARGE.
 *
 * The latch: a token that is dead, or that belongs to another workspace, stops outgoing calls.
 * attio/account.h closes and opens it. */
#ifndef AD_ATTIO_CLIENT_H
#define AD_ATTIO_CLIENT_H

#include "attio/scheduler.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/metric.h"
#include "base/rand.h"
#include "base/timer.h"

struct ad_dialer;
struct ad_loop;
struct ad_client; /* opaque */

/* A call that alone of its lane gets that many 429 while others are answered is TOOLARGE; twice
 * that many when it is a query and nothing else was tried meanwhile (Attio's window of query scores
 * is 10 s long: by then it has passed). */
#define AD_CLIENT_COMPLEX_AFTER 5

struct ad_client_opts {
    struct ad_str base_url; /* attio/base_url.h */
    struct ad_dialer
        *dialer; /* how to connect: TLS for https, without which it is CONFIG; NULL: TCP */
    bool allow_plain_http; /* http: to elsewhere than this machine (not in production) */
    struct ad_str api_key; /* 8 to 512 printable characters; copied, hidden from the log, wiped */
    const struct ad_clock *clock;
    struct ad_timers *timers;
    struct ad_metrics *metrics;
    uint64_t seed;       /* of the jitter */
    bool enabled;        /* ATTIO_ENABLED: false: every call is DISABLED at once */
    bool writes_enabled; /* false: every call in the write lane is DISABLED at once */
    unsigned concurrency, interval_cap, interval_ms, reads_per_s, writes_per_s; /* none may be 0 */
    /* Below, 0 means the default. */
    unsigned queue_max;                   /* 10000 calls waiting; more are BUSY */
    unsigned connect_ms, timeout_ms;      /* 5000, 30000: each try */
    unsigned total_ms;                    /* 120000: all tries and waits of one call */
    unsigned attempts_max;                /* 5 tries that failed */
    unsigned retry_base_ms, retry_cap_ms; /* 1000, 30000: backoff with full jitter */
    size_t response_max;                  /* 16 MiB */
};

/* What may change while the client runs. */
struct ad_client_settings {
    struct ad_str api_key;
    bool writes_enabled;
    unsigned concurrency, interval_cap, interval_ms, reads_per_s, writes_per_s;
};
struct ad_client_change; /* opaque: settings that can be taken over without failing */

struct ad_call;
typedef void (*ad_call_cb)(struct ad_call *call);

/* Caller-owned from start to callback; zero it first. */
struct ad_call {
    /* set by the caller; slices live until the callback */
    const char *method;
    struct ad_str path; /* "/v2/objects/people/records/query"; printable, no blanks */
    const char *route; /* template for messages: "/v2/objects/{object}/records/query"; a constant */
    struct ad_str body; /* JSON, or absent */
    enum ad_lane lane;
    enum ad_priority priority;
    bool reads_only;      /* safe to repeat: GET, query */
    bool past_latch;      /* goes out although the latch is closed: asking who we are */
    unsigned deadline_ms; /* from now; 0, or more than it: total_ms */
    size_t response_max;  /* 0: the client's */
    /* Where the answer is put, up to its max: stays when the call is over. NULL: the client's own,
     * which is as large as response_max. Not to be touched until cb. */
    struct ad_buf *into;
    /* Right before each try is sent: where a version is taken. Must not call the client. May be
     * NULL. */
    void (*on_send)(struct ad_call *call);
    /* For a 2xx answer, before it is accepted: does `response` make sense? Anything but OK makes
     * the try fail with PROTOCOL, which is repeated for calls that only read. Must not call the
     * client. May be NULL. */
    enum ad_err (*on_check)(struct ad_call *call);
    ad_call_cb cb;
    void *data;
    /* result */
    /* OK: a 2xx answer. What Attio said: attio/error.h. What the network did: NETWORK, DNS,
     * TIMEOUT, PROTOCOL. TOOLARGE: also an answer over response_max. TIMEOUT: also waited too long;
     * CANCELED; DISABLED: the latch closed while it waited. */
    enum ad_err err;
    struct ad_errinfo info; /* sent: Attio may have acted (false for 4xx and for never sent) */
    unsigned status;        /* of the last answer, 0 without one */
    struct ad_str response; /* body of the last answer; valid during cb, or as long as `into` is */
    int64_t accurate_ns;    /* x-accurate-at, 0 when absent */
    char attio_type[32], attio_code[48]; /* of an error body; "" */
    struct ad_str attio_message;         /* valid during cb; may hold personal data: never log it */
    unsigned attempts;                   /* tries sent */
    uint64_t sent_ms; /* monotonic, when the last try was sent; set for on_send */
    /* private */
    void *impl;
};

/* CONFIG for a base URL, key or limit we cannot work with; NOMEM. `info` never holds the key. */
AD_MUST_CHECK enum ad_err ad_client_open(struct ad_loop *loop, const struct ad_client_opts *opts,
                                         struct ad_client **out, struct ad_errinfo *info);
/* OK: cb comes exactly once, later. DISABLED (switched off, or the latch is closed), BUSY, CLOSED,
 * INVALID (method, path or callback), NOMEM: it does not. */
AD_MUST_CHECK enum ad_err ad_call_start(struct ad_client *c, struct ad_call *call);
/* The callback comes with CANCELED on a later turn. Harmless on a call that was zeroed or ended. */
void ad_call_cancel(struct ad_client *c, struct ad_call *call);
/* From now on no call is accepted (CLOSED), and all that wait or fly end with CANCELED on a later
 * turn. Shutdown begins with it, so that nobody above waits for Attio. Harmless again. */
void ad_client_stop(struct ad_client *c);
/* Stops; done after the last callback. Frees. */
void ad_client_close(struct ad_client *c, void (*done)(void *ctx), void *ctx);

/* CONFIG as for open, NOMEM. Owed: commit or drop. */
AD_MUST_CHECK enum ad_err ad_client_prepare(struct ad_client *c,
                                            const struct ad_client_settings *settings,
                                            struct ad_client_change **out, struct ad_errinfo *info);
/* In force from here on; frees `change`. What was sent counts against the new limits. Calls under
 * way keep the key they were sent with; one that is then refused (401) goes out once more with the
 * new one, and nobody hears of it. True when the key is another: who it belongs to is not known, and
 * until ad_client_trust only calls with past_latch go out. */
bool ad_client_commit(struct ad_client *c, struct ad_client_change *change);
void ad_client_drop(struct ad_client_change *change);
void ad_client_trust(struct ad_client *c);

/* `why` other than OK closes the latch: calls without past_latch are DISABLED, those waiting end so
 * on a later turn. OK opens it. */
void ad_client_latch(struct ad_client *c, enum ad_err why);
enum ad_err ad_client_latched(const struct ad_client *c); /* why, or OK */

/* `cb` hears of every 401 that a call without past_latch got, and when that call was sent: somebody
 * should ask who we are. Right before the call's own callback; it may start calls and set the
 * latch. One listener; NULL takes it away. */
void ad_client_on_unauthorized(struct ad_client *c, void (*cb)(void *ctx, uint64_t sent_ms),
                               void *ctx);

bool ad_client_writes_enabled(const struct ad_client *c);
/* Share of the window used by tries sent in the last interval_ms, in percent: pull spaces its
 * queries out above 50. */
unsigned ad_client_window_percent(const struct ad_client *c);
unsigned ad_client_interval_ms(const struct ad_client *c);
unsigned ad_client_interval_cap(const struct ad_client *c);
bool ad_client_enabled(const struct ad_client *c);
/* For health: when the last answer came and how the last try ended. */
struct ad_client_health {
    uint64_t last_ok_ms, last_fail_ms; /* monotonic, 0: never */
    enum ad_err last_err;              /* of the last failed try */
    unsigned last_latency_ms;
    uint64_t calls; /* tries sent in all */
    unsigned in_flight, waiting;
    uint64_t paused_ms; /* how long the longest-paused lane still is */
    enum ad_err latched;
};
void ad_client_health(const struct ad_client *c, struct ad_client_health *out);

#endif
