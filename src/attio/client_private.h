/* Inside of the client: client.c (life, scheduling, health), client_change.c (the
 * key, and what may change) and call.c (the way of one call). */
#ifndef AD_ATTIO_CLIENT_PRIVATE_H
#define AD_ATTIO_CLIENT_PRIVATE_H

#include "attio/base_url.h"
#include "attio/client.h"

#include "infra/http_client.h"

/* How a try ended, for people who look at metrics. */
#define AD_OUTCOME_LIST(X)     \
    X(OK, "ok")                \
    X(REJECTED, "rejected")    \
    X(LIMITED, "rate_limited") \
    X(SERVER, "server_error")  \
    X(GARBAGE, "garbage")      \
    X(TIMEOUT, "timeout")      \
    X(NETWORK, "network")      \
    X(CANCELED, "canceled")

enum ad_outcome {
#define AD_OUTCOME_ENUM(name, label) AD_OUTCOME_##name,
    AD_OUTCOME_LIST(AD_OUTCOME_ENUM)
#undef AD_OUTCOME_ENUM
        AD_OUTCOMES
};

struct ad_client_metrics {
    struct ad_counter *requests[AD_LANES][AD_OUTCOMES];
    struct ad_counter *retries[AD_OUTCOMES]; /* by what made them necessary */
    struct ad_counter *limited[AD_LANES];
    struct ad_histogram *seconds, *wait_seconds;
    struct ad_gauge *waiting, *in_flight, *latched;
    struct ad_gauge *paused[AD_LANES];
};

/* An API key as its header. Calls under way hold the one they were sent with; it is wiped when
 * the last of them, or the client, lets go. */
struct ad_client_key {
    unsigned users;
    size_t n;
    char text[]; /* "Bearer ..." */
};

struct ad_client {
    struct ad_client_opts opts; /* its slices are not valid any more */
    struct ad_base_url base;
    struct ad_http_client *http;
    struct ad_sched sched;
    struct ad_rand rand;
    struct ad_timer wake; /* the next look at the scheduler */
    struct ad_list calls; /* all of them, call_impl.link */
    struct ad_client_key *key;
    enum ad_err latched;
    void (*on_unauthorized)(void *ctx, uint64_t sent_ms);
    void *unauthorized_ctx;
    /* Answers and 429 of each lane: by their growth a call knows how others fare. */
    uint64_t answered[AD_LANES], limited[AD_LANES];
    struct ad_client_metrics metrics;
    struct ad_client_health health;
    bool stopped, closing;
    void (*done)(void *ctx);
    void *ctx;
};

enum ad_call_state { AD_CALL_WAITING, AD_CALL_FLYING, AD_CALL_ENDING };

struct ad_call_impl {
    struct ad_client *client;
    struct ad_call *call;
    struct ad_list link; /* client->calls */
    struct ad_sched_item item;
    enum ad_call_state state;
    enum ad_err end_err;   /* cancelled or out of time while flying: what to say */
    struct ad_timer timer; /* the deadline; when ending, the turn until the callback */
    uint64_t queued_ms, deadline_at_ms;
    unsigned failures;
    bool free_used;       /* the immediate repetition after a keep-alive race */
    unsigned limited;     /* 429s of this call */
    unsigned alone_among; /* of them: others were answered meanwhile */
    unsigned alone;       /* in a row: nothing else was tried meanwhile */
    /* the lane's counts at the last 429 */
    uint64_t answered_seen, limited_seen;
    struct ad_client_key *key; /* of the try under way */
    struct ad_http_call http;
    struct ad_http_header headers[4];
    struct ad_arena arena;
    struct ad_buf response;
    char path[]; /* prefix and path */
};

/* client_change.c. CONFIG, NOMEM. Hidden from the log from here on. */
AD_MUST_CHECK enum ad_err ad__client_key_new(struct ad_str api_key, struct ad_client_key **out,
                                             struct ad_errinfo *info);
void ad__client_key_put(struct ad_client_key *key); /* NULL is fine */

/* Looks at the scheduler on a later turn. */
void ad__client_kick(struct ad_client *c);
/* The scheduler chose this call. */
void ad__call_send(struct ad_call_impl *impl);
/* Ends a waiting call on a later turn. */
void ad__call_end_later(struct ad_call_impl *impl, enum ad_err err);

#endif
