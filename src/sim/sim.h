/* attio-sim as one object: the workspace, what it is asked, what it suffers.
 *
 * The HTTP server knows a single route for everything. Behind it stand, in this order: the trace,
 * faults, the table of Attio's endpoints (an unknown one is Attio's own 404), authentication, rate
 * limits, the handler. /_sim/ is answered before all that.
 *
 * It needs no process of its own: a test opens it on its own loop, whose clock may be turned by hand,
 * serves connections in memory (ad_sim_adopt) and has deliveries dial what it likes (opts.dialer). */
#ifndef AD_SIM_SIM_H
#define AD_SIM_SIM_H

#include "base/registry.h"
#include "call.h"
#include "infra/http_server.h"
#include "infra/loop.h"
#include "infra/tls.h"
#include "seed.h"
#include "webhooks.h"

/* --- Attio's limits (limits.c) ---
 *
 * 100 reads, 25 writes and 5 merges in a sliding second; the score of one query, and the sum of all
 * scores in ten sliding seconds. Attio does not publish the two last numbers: ours are settable. */

#define AD_SIM_READS 100
#define AD_SIM_WRITES 25
#define AD_SIM_MERGES 5
#define AD_SIM_SCORE_QUERY 20000
#define AD_SIM_SCORE_WINDOW 100000
#define AD_SIM_SCORE_MS 10000

struct ad_sim_window {
    uint64_t at_ms[AD_SIM_READS]; /* ring of the last accepted */
    size_t next, cap;
    bool full;
};

struct ad_sim_scored {
    uint64_t at_ms;
    int64_t score;
};

struct ad_sim_limits {
    bool on;
    struct ad_sim_window lanes[AD_SIM_LANES], merges;
    int64_t score_query, score_window; /* the most that is allowed */
    struct ad_sim_scored *scores; /* queries taken in the last ten seconds that cost anything */
    size_t scores_n, scores_cap;
};

void ad_sim_limits_init(struct ad_sim_limits *l, bool on);
void ad_sim_limits_fini(struct ad_sim_limits *l);
/* True: take it; counts it. */
bool ad_sim_limits_take(struct ad_sim_limits *l, enum ad_sim_lane lane, uint64_t now_ms);
bool ad_sim_limits_take_merge(struct ad_sim_limits *l, uint64_t now_ms);
bool ad_sim_limits_take_score(struct ad_sim_limits *l, int64_t score, uint64_t now_ms);
/* GET and POST /_sim/limits. */
void ad_sim_limits_get(struct ad_sim_call *c);
void ad_sim_limits_post(struct ad_sim_call *c);

/* --- What was asked (trace.c) --- */

#define AD_SIM_ROUTES_MAX 160

struct ad_sim_trace {
    uint64_t total, by_lane[AD_SIM_LANES], limited, violations;
    uint64_t by_status[6];
    struct {
        const struct ad_sim_route *route;
        uint64_t n;
    } routes[AD_SIM_ROUTES_MAX];
    size_t routes_n;
    uint64_t unknown;   /* endpoints that do not exist */
    uint64_t looked_at; /* records held against queries */
    uint64_t in_flight, most_in_flight, most_in_second;
    /* a budget to hold the client to, besides Attio's limits; 0: none */
    uint64_t cap, interval_ms, concurrency;
    uint64_t
        *recent_ms; /* ring of arrivals within the interval or the second, whichever is longer */
    size_t recent_from, recent_n, recent_cap;
};

void ad_sim_trace_begin(struct ad_sim_trace *t, uint64_t now_ms);
void ad_sim_trace_route(struct ad_sim_trace *t, const struct ad_sim_route *route);
void ad_sim_trace_end(struct ad_sim_trace *t, unsigned status);
/* Forgets all counts but what is in flight. */
void ad_sim_trace_reset(struct ad_sim_trace *t);
void ad_sim_trace_write(const struct ad_sim_trace *t, struct ad_json_writer *w);
void ad_sim_trace_fini(struct ad_sim_trace *t);

/* --- Faults on request (faults.c), and on the wire (wire.c) --- */

enum ad_sim_fault_kind {
    AD_SIM_FAULT_NONE,    /* latency alone */
    AD_SIM_FAULT_STATUS,  /* an error instead of the answer; nothing was done */
    AD_SIM_FAULT_GARBAGE, /* bytes that are not HTTP */
    AD_SIM_FAULT_BROKEN,  /* HTTP with a body that is not JSON */
    AD_SIM_FAULT_HALF,    /* headers and half of the body, then the end */
    AD_SIM_FAULT_RESET,   /* cut after `at` bytes */
    AD_SIM_FAULT_SILENCE, /* the answer never leaves */
    AD_SIM_FAULT_SLOW,    /* `at` bytes every 20 ms */
    AD_SIM_FAULT_STALE,   /* reads answer as of `stale_ms` ago */
    /* of webhook deliveries, not of requests */
    AD_SIM_FAULT_DROP,      /* never sent */
    AD_SIM_FAULT_DUPLICATE, /* sent twice, the second one `latency_ms` later */
    AD_SIM_FAULT_REORDER,   /* sent after the next `by` to the same URL, or after `latency_ms` */
    AD_SIM_FAULT_DELAY,     /* sent `latency_ms` later */
    AD_SIM_FAULT_KINDS
};

struct ad_sim_fault {
    struct ad_list link;
    char *route;     /* prefix of the path, or of the event type of a delivery */
    unsigned method; /* 0: any */
    enum ad_sim_fault_kind kind;
    unsigned status;
    double rate;
    uint64_t latency_ms, at, stale_ms, by;
    uint64_t left; /* how often still; UINT64_MAX: until cleared */
    uint64_t hits;
};

struct ad_sim_faults {
    struct ad_list list;
    struct ad_rand rand;
};

/* What falls on one request. */
struct ad_sim_harm {
    enum ad_sim_fault_kind kind;
    unsigned status;
    uint64_t latency_ms, at, stale_ms;
};

void ad_sim_faults_init(struct ad_sim_faults *f, uint64_t seed);
void ad_sim_faults_clear(struct ad_sim_faults *f);
struct ad_sim_harm ad_sim_faults_pick(struct ad_sim_faults *f, unsigned method, struct ad_str path);
struct ad_sim_fate ad_sim_faults_fate(struct ad_sim_faults *f, struct ad_str event_type);
/* POST and GET /_sim/faults. */
void ad_sim_faults_post(struct ad_sim_call *c);
void ad_sim_faults_get(struct ad_sim_call *c);

/* A stream between the listener's and the server's, that can misbehave. */
struct ad_sim_wires {
    struct ad_timers *timers;
    struct ad_list list;
};
/* Takes `inner` over; what comes back is handed to the server. */
struct ad_stream *ad_sim_wire_new(struct ad_sim_wires *ws, struct ad_stream *inner);
/* From now on the connection with this peer spoils what is written to it. */
void ad_sim_wire_harm(struct ad_sim_wires *ws, struct ad_str peer, const struct ad_sim_harm *harm);

/* A set as /_sim/ names it: an object's slug or id, or "list:" and a list's; NULL: there is none
 * (state.c). */
struct ad_sim_object *ad_sim_state_set(const struct ad_sim_store *s, struct ad_str name);

/* --- Random edits (edits.c) --- */

enum {
    AD_SIM_EDIT,
    AD_SIM_INSERT,
    AD_SIM_DELETE,
    AD_SIM_MERGE,  /* of two records of an object */
    AD_SIM_SCHEMA, /* an attribute is made, renamed, archived, restored, of another type */
    AD_SIM_EDIT_KINDS
};

struct ad_sim_shelf;

struct ad_sim_edits {
    struct ad_sim *sim;
    struct ad_rand rand;
    struct ad_timer timer;
    uint64_t begin_ms, end_ms;
    double per_second[AD_SIM_EDIT_KINDS];
    uint64_t due[AD_SIM_EDIT_KINDS]; /* done of this run */
    uint64_t done[AD_SIM_EDIT_KINDS];
    struct {
        struct ad_sim_object *set; /* or */
        struct ad_sim_shelf *shelf;
    } targets[64]; /* only these; none: all objects */
    size_t targets_n;
    bool alone; /* edits of records touch no relationship */
};

void ad_sim_edits_init(struct ad_sim_edits *e, struct ad_sim *sim, uint64_t seed);
void ad_sim_edits_stop(struct ad_sim_edits *e);
/* POST and GET /_sim/edit. */
void ad_sim_edits_post(struct ad_sim_call *c);
void ad_sim_edits_get(struct ad_sim_call *c);

/* --- API keys (keys.c) --- */

#define AD_SIM_KEYS_MAX 4

struct ad_sim_api_key {
    struct ad_str bearer, basic; /* the two forms of Authorization that are right */
    uint64_t used;               /* requests that came with it */
};

struct ad_sim_keys {
    struct ad_sim_api_key list[AD_SIM_KEYS_MAX];
    size_t n;
    uint64_t refused; /* requests that came with none of them */
};

enum ad_sim_auth { AD_SIM_AUTH_OK, AD_SIM_AUTH_UNKNOWN, AD_SIM_AUTH_MALFORMED };

void ad_sim_keys_init(struct ad_sim_keys *k, const char *key);
void ad_sim_keys_fini(struct ad_sim_keys *k);
enum ad_sim_auth ad_sim_authenticate(struct ad_sim_keys *k, const struct ad_exchange *x);
/* GET and POST /_sim/keys. */
void ad_sim_keys_get(struct ad_sim_call *c);
void ad_sim_keys_post(struct ad_sim_call *c);

/* --- The whole (sim.c) --- */

struct ad_sim_opts {
    struct ad_endpoint listen;
    const char *api_key, *slug;
    struct ad_sim_sizes sizes;
    uint64_t seed, rate_per_url;
    bool limits;
    bool merge_old;
    const char *tls_cert, *tls_key; /* NULL: plain HTTP */
    const char *tls_ca;             /* who vouches for https: targets of deliveries; NULL: nobody */
    struct ad_dialer *dialer;       /* how http: targets are reached; NULL: TCP */
};

struct ad_sim {
    struct ad_loop *loop;
    struct ad_timers *timers;
    const struct ad_clock *clock;
    struct ad_sim_store store;
    struct ad_sim_webhooks webhooks;
    struct ad_sim_limits limits;
    struct ad_sim_trace trace;
    struct ad_sim_faults faults;
    struct ad_sim_wires wires;
    struct ad_sim_edits edits;
    struct ad_rand rand; /* execution ids */
    struct ad_buf out;
    struct ad_sim_keys keys;
    struct ad_registry *routes; /* Attio's and ours */
    struct ad_registry *front;  /* the one route the server knows */
    struct ad_tls_server *tls;
    struct ad_tls_client *trust;
    struct ad_listener *listener;
    struct ad_http_server *server;
    struct ad_list delayed; /* replies waiting for their latency to pass */
    bool closing;
    unsigned closing_parts;
    void (*closed)(void *ctx);
    void *closed_ctx;
};

/* Seeds and mounts everything without a network: ad_sim_handle can be called with any exchange. */
void ad_sim_init(struct ad_sim *sim, struct ad_loop *loop, const struct ad_sim_opts *opts);
/* ad_route_cb: answers one exchange, now or when its latency has passed. */
void ad_sim_handle(void *ctx, struct ad_exchange *x);
/* Opens the server without a network: connections come by ad_sim_adopt. */
AD_MUST_CHECK enum ad_err ad_sim_serve(struct ad_sim *sim, const struct ad_sim_opts *opts,
                                       struct ad_errinfo *info);
/* One connection, taken over: a socket's or one in memory. */
void ad_sim_adopt(struct ad_sim *sim, struct ad_stream *s);
/* The same, and listens at opts->listen; logs `listening`. */
AD_MUST_CHECK enum ad_err ad_sim_listen(struct ad_sim *sim, const struct ad_sim_opts *opts,
                                        struct ad_errinfo *info);
/* Finishes what has begun, then closes; `done` when nothing is open. */
void ad_sim_close(struct ad_sim *sim, void (*done)(void *ctx), void *ctx);
void ad_sim_fini(struct ad_sim *sim);

#endif
