/* The durable queue of webhook events: appended once, handled at least once, every fate visible.
 *
 * An event is pending -> done, or retry -> ... -> done | dead, or discarded; a signed but malformed body is quarantined. An event row names its state; a row per (event,
 * handler) exists only when some handler of the event failed: then every handler that has finished has a row too, so a restart knows whom to run again.
 *
 * Dedupe: (Idempotency-Key, index in events) is unique for inbox.keyDays, enforced by SQL in the same statement that appends. Events without a key are never deduplicated. */
#ifndef AD_ATTIO_INBOX_H
#define AD_ATTIO_INBOX_H

#include "attio/webhook.h"
#include "base/list.h"
#include "base/metric.h"

struct ad_store;
struct ad_inbox; /* opaque */

enum ad_event_state {
    AD_EVENT_PENDING,
    AD_EVENT_RETRY,
    AD_EVENT_DEAD,
    AD_EVENT_DONE,
    AD_EVENT_QUARANTINED,
    AD_EVENT_DISCARDED,
};
const char *ad_event_state_name(enum ad_event_state s);
AD_MUST_CHECK bool ad_event_state_parse(struct ad_str s, enum ad_event_state *out);

struct ad_inbox_opts {
    struct ad_store *store;
    const struct ad_clock *clock;
    struct ad_timers *timers;
    struct ad_metrics *metrics;
    struct ad_str workspace_id;  /* may be absent until known: events carry their own */
    int64_t pending_max;         /* inbox.maxPending: appends beyond it are BUSY */
    int64_t body_ms, key_ms;     /* done events lose their body, then their row */
};

/* Counts what is pending (one indexed read at start-up, synchronous). */
AD_MUST_CHECK enum ad_err ad_inbox_open(const struct ad_inbox_opts *opts, struct ad_inbox **out, struct ad_errinfo *info);
/* Every operation must have called back. Stops pruning. */
void ad_inbox_close(struct ad_inbox *in);

/* --- append: the ingest path ------------------------------------------------------------------------------------ */
struct ad_inbox_append;
typedef void (*ad_inbox_append_cb)(struct ad_inbox_append *a);

/* Caller-owned from start to callback, together with the delivery, its events and the body they point into (the exchange's arena). */
struct ad_inbox_append {
    /* set by the caller */
    struct ad_delivery *delivery;
    struct ad_arena *arena;
    ad_inbox_append_cb cb;
    void *data;
    /* result */
    enum ad_err err; /* BUSY (backlog full, database locked), STORE..., NOMEM */
    struct ad_errinfo info;
    unsigned accepted, duplicate; /* events; a duplicate keeps seq 0, accepted ones have seq and received_ns set in the delivery */
    /* private */
    void *impl;
};
/* Durable when cb says OK. */
AD_MUST_CHECK enum ad_err ad_inbox_append(struct ad_inbox *in, struct ad_inbox_append *a);
/* A genuine delivery whose body could not be decoded: one row, state quarantined, with the reason. `delivery` needs key only. */
AD_MUST_CHECK enum ad_err ad_inbox_quarantine(struct ad_inbox *in, struct ad_inbox_append *a, struct ad_str body,
                                              struct ad_str reason);
/* Events that are pending or in retry. */
int64_t ad_inbox_pending(const struct ad_inbox *in);

/* --- the dispatcher's side -------------------------------------------------------------------------------------- */
/* What is known of one handler's work on one event that some handler failed. */
struct ad_attempt {
    int64_t seq;
    struct ad_str handler;
    enum ad_event_state state; /* RETRY, DEAD or DONE */
    unsigned attempts;
    int64_t next_ns; /* RETRY: not before */
    struct ad_str error;
    bool fresh; /* set by the dispatcher: this attempt is news and must be written */
};

struct ad_inbox_load;
typedef void (*ad_inbox_load_cb)(struct ad_inbox_load *l);
/* Events pending or in retry with seq > after, in order, with the attempts of those in retry. */
struct ad_inbox_load {
    int64_t after;
    unsigned max; /* at most 1000 */
    ad_inbox_load_cb cb;
    void *data;
    /* result, valid during cb */
    enum ad_err err;
    struct ad_errinfo info;
    const struct ad_event *events;
    size_t events_n;
    const struct ad_attempt *attempts; /* ordered by seq */
    size_t attempts_n;
    bool more;
    /* private */
    void *impl;
};
AD_MUST_CHECK enum ad_err ad_inbox_load(struct ad_inbox *in, struct ad_inbox_load *l);

struct ad_inbox_settle;
typedef void (*ad_inbox_settle_cb)(struct ad_inbox_settle *s);
/* Records outcomes in one transaction: `done` events become DONE; `attempts` are written and their events become RETRY or DEAD (`dead` tells which have nothing left
 * but dead handlers). */
struct ad_inbox_settle {
    const int64_t *done;
    size_t done_n;
    const struct ad_attempt *attempts;
    size_t attempts_n;
    const int64_t *dead;
    size_t dead_n;
    ad_inbox_settle_cb cb;
    void *data;
    enum ad_err err;
    struct ad_errinfo info;
    /* private */
    void *impl;
};
AD_MUST_CHECK enum ad_err ad_inbox_settle(struct ad_inbox *in, struct ad_inbox_settle *s);
/* The mirror settles events inside its own transaction (attio/mirror.h) and reports how many became done, so that the pending count stays right. */
void ad_inbox_note_done(struct ad_inbox *in, int64_t n);

/* --- the operator's side: listings and actions as JSON ----------------------------------------------------------- */
struct ad_inbox_filter {
    int state; /* enum ad_event_state, or -1: any */
    struct ad_str type, subject; /* exact; absent: any. type may be a family "record.*" */
    int64_t since_ns;            /* 0: any */
    int64_t before;              /* cursor: seq below; 0: newest */
    unsigned limit;              /* 1..500 */
};
struct ad_inbox_query;
typedef void (*ad_inbox_query_cb)(struct ad_inbox_query *q);
struct ad_inbox_query {
    struct ad_inbox_filter filter;
    int64_t seq;     /* show, replay, discard: one event; 0: by filter */
    bool dry_run;    /* replay and discard */
    struct ad_buf *out; /* list, show: a JSON array / object is appended: id, idempotency_key, event_type, subject, state, received_at, attempts[{handler, state, attempts, next_at, error}], and for show body */
    ad_inbox_query_cb cb;
    void *data;
    enum ad_err err; /* NOTFOUND for an unknown seq */
    struct ad_errinfo info;
    int64_t next_before; /* list: cursor of the next page, 0 at the end */
    int64_t changed;     /* replay, discard: events concerned */
    int64_t lowest;      /* replay: the lowest seq concerned */
    /* private */
    void *impl;
};
AD_MUST_CHECK enum ad_err ad_inbox_list(struct ad_inbox *in, struct ad_inbox_query *q);
AD_MUST_CHECK enum ad_err ad_inbox_show(struct ad_inbox *in, struct ad_inbox_query *q);
/* dead, quarantined, retry, done or discarded -> pending (quarantined ones are decoded again: still malformed ones stay and are not counted). Attempts are forgotten. The
 * dispatcher must then load again from the lowest seq concerned (`lowest`). */
AD_MUST_CHECK enum ad_err ad_inbox_replay(struct ad_inbox *in, struct ad_inbox_query *q);
AD_MUST_CHECK enum ad_err ad_inbox_discard(struct ad_inbox *in, struct ad_inbox_query *q);

#endif
