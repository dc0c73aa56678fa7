/* The durable queue of webhook events: appended once, handled at least once, every fate visible.
 *
 *   pending -> done | retry -> ... -> done | dead      discarded: an operator's word
 *   quarantined: a signed body that could not be decoded, kept whole
 *
 * An event row names its state. A row per (event, handler) exists only when some handler of the
 * event failed: then every handler that has finished has a row too, so a restart knows whom to run
 * again.
 *
 * Dedupe: (Idempotency-Key, index in events) is unique for `key_ms`, enforced by SQL in the same
 * statement that appends. Events without a key are never deduplicated.
 *
 * Pruning, every minute, in small pieces behind everything else: done and discarded events lose
 * their body after `body_ms` and their row, with its key, after `key_ms`. Dead and quarantined ones
 * stay. */
#ifndef AD_ATTIO_INBOX_H
#define AD_ATTIO_INBOX_H

#include "attio/webhook.h"
#include "base/list.h"
#include "base/metric.h"
#include "base/timer.h"

struct ad_store;
struct ad_inbox; /* opaque */

/* These numbers stand in SQL. */
enum ad_event_state {
    AD_EVENT_PENDING,
    AD_EVENT_RETRY,
    AD_EVENT_DEAD,
    AD_EVENT_DONE,
    AD_EVENT_QUARANTINED,
    AD_EVENT_DISCARDED,
};
const char *ad_event_state_name(enum ad_event_state s); /* "pending" */
AD_MUST_CHECK bool ad_event_state_parse(struct ad_str s, enum ad_event_state *out);

struct ad_inbox_opts {
    struct ad_store *store;
    const struct ad_clock *clock;
    struct ad_timers *timers;
    struct ad_metrics *metrics;
    struct ad_str workspace_id; /* unused by the inbox itself: events carry their own */
    int64_t pending_max;        /* inbox.maxPending: appends beyond it are BUSY */
    int64_t body_ms, key_ms;
};

/* Counts what is pending (synchronous, start-up). The tables are ad_migrate's. */
AD_MUST_CHECK enum ad_err ad_inbox_open(const struct ad_inbox_opts *opts, struct ad_inbox **out,
                                        struct ad_errinfo *info);
/* Every operation must have called back. Stops pruning; a piece under way ends by itself. */
void ad_inbox_close(struct ad_inbox *in);

/* --- append: the ingest path -------------------------------------------------------------- */

struct ad_inbox_append;
typedef void (*ad_inbox_append_cb)(struct ad_inbox_append *a);

/* Caller-owned from start to callback, together with the delivery, its events and the body they
 * point into (the exchange's arena). */
struct ad_inbox_append {
    /* set by the caller */
    struct ad_delivery *delivery;
    struct ad_arena *arena; /* for what this operation needs */
    ad_inbox_append_cb cb;
    void *data;
    /* result */
    enum ad_err err; /* the store's: STORE_BUSY, STORE_FULL, STORE, NOMEM, CORRUPT */
    struct ad_errinfo info;
    /* Events. A duplicate keeps seq 0; accepted ones have seq and received_ns set in the
     * delivery. */
    unsigned accepted, duplicate;
    /* private */
    void *impl;
};
/* Durable when cb says OK. OK: cb comes exactly once, later. BUSY (the backlog is full), NOMEM,
 * CLOSED: it does not. */
AD_MUST_CHECK enum ad_err ad_inbox_append(struct ad_inbox *in, struct ad_inbox_append *a);
/* A genuine delivery whose body could not be decoded: one row, quarantined, with the reason.
 * `delivery` needs its key only; body and reason live until cb. */
AD_MUST_CHECK enum ad_err ad_inbox_quarantine(struct ad_inbox *in, struct ad_inbox_append *a,
                                              struct ad_str body, struct ad_str reason);
/* Events that are pending or in retry. */
int64_t ad_inbox_pending(const struct ad_inbox *in);

/* --- the dispatcher's side ---------------------------------------------------------------- */

/* What is known of one handler's work on one event that some handler failed. */
struct ad_attempt {
    int64_t seq;
    struct ad_str handler;
    enum ad_event_state state; /* RETRY, DEAD or DONE */
    unsigned attempts;
    int64_t next_ns; /* RETRY: not before */
    struct ad_str error;
};

#define AD_INBOX_LOAD_MAX 1000

struct ad_inbox_load;
typedef void (*ad_inbox_load_cb)(struct ad_inbox_load *l);
/* Events pending or in retry with seq > after, in order, with the attempts of those in retry. */
struct ad_inbox_load {
    /* set by the caller */
    int64_t after;
    unsigned max; /* 1 to AD_INBOX_LOAD_MAX */
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
/* A stored event that this program cannot decode (another version of it could) becomes quarantined
 * and is not among them. */
AD_MUST_CHECK enum ad_err ad_inbox_load(struct ad_inbox *in, struct ad_inbox_load *l);

struct ad_inbox_settle;
typedef void (*ad_inbox_settle_cb)(struct ad_inbox_settle *s);
/* Records outcomes in one transaction: `attempts` are written and their events become RETRY, then
 * `dead` and `done` events become that. Only events still pending or in retry change: an operator's
 * discard stands. */
struct ad_inbox_settle {
    /* set by the caller; unchanged until cb */
    const int64_t *done;
    size_t done_n;
    const struct ad_attempt *attempts;
    size_t attempts_n;
    const int64_t *dead; /* nothing but dead handlers are left */
    size_t dead_n;
    ad_inbox_settle_cb cb;
    void *data;
    /* result */
    enum ad_err err;
    struct ad_errinfo info;
    /* private */
    void *impl;
};
/* INVALID when there is nothing to record. */
AD_MUST_CHECK enum ad_err ad_inbox_settle(struct ad_inbox *in, struct ad_inbox_settle *s);
/* The mirror settles events inside its own transaction (attio/mirror.h) and reports how many became
 * done, so that the pending count stays right. */
void ad_inbox_note_done(struct ad_inbox *in, int64_t n);

/* --- the operator's side: listings and actions as JSON ------------------------------------ */

struct ad_inbox_filter {
    int state;             /* enum ad_event_state, or -1: any */
    struct ad_str type;    /* exact, or a family "record.*"; absent: any */
    struct ad_str subject; /* exact; absent: any */
    int64_t since_ns;      /* received then or later; 0: any */
    int64_t before;        /* list: cursor, seq below; 0: newest */
    unsigned limit;        /* list: 1 to 500 */
};

struct ad_inbox_query;
typedef void (*ad_inbox_query_cb)(struct ad_inbox_query *q);
/* Slices live until the callback. */
struct ad_inbox_query {
    /* set by the caller */
    struct ad_inbox_filter filter;
    int64_t seq;  /* show, replay, discard: one event; 0 (replay, discard): by filter */
    bool dry_run; /* replay, discard: only say what would change */
    /* list, show: a JSON array / object is appended: id, idempotency_key, event_type, subject,
     * state, received_at, reason, attempts [{handler, state, attempts, next_at, error}]; show: also
     * body (of a quarantined one a string; null when pruned) */
    struct ad_buf *out;
    ad_inbox_query_cb cb;
    void *data;
    /* result */
    enum ad_err err; /* NOTFOUND: no event of that seq. TIMEOUT: the filter matches too rarely */
    struct ad_errinfo info;
    int64_t next_before; /* list: cursor of the next page, 0 at the end */
    int64_t changed;     /* replay, discard: events concerned */
    int64_t lowest;      /* replay: the lowest seq concerned, 0 when none */
    /* private */
    void *impl;
};
/* Newest first. */
AD_MUST_CHECK enum ad_err ad_inbox_list(struct ad_inbox *in, struct ad_inbox_query *q);
AD_MUST_CHECK enum ad_err ad_inbox_show(struct ad_inbox *in, struct ad_inbox_query *q);
/* Replay: dead, quarantined, retry, done or discarded -> pending, attempts forgotten.
 * Quarantined ones are decoded again: those still malformed stay and are not counted; of a
 * delivery with several events the further ones are appended. An event whose body was pruned
 * stays. The dispatcher must load again from `lowest`. Discard: pending, retry, dead or
 * quarantined -> discarded. By filter, in pieces, oldest first; with no state given only dead
 * and quarantined ones, so that an omission does not replay a week. */
AD_MUST_CHECK enum ad_err ad_inbox_replay(struct ad_inbox *in, struct ad_inbox_query *q);
AD_MUST_CHECK enum ad_err ad_inbox_discard(struct ad_inbox *in, struct ad_inbox_query *q);

#endif
