/* The dispatcher: events from the inbox to handlers, in order per (handler, subject), and their
 * fates back.
 *
 *   held event -> item -> lane (handler, subject) -> invocation -> done | retry | dead -> settle
 *
 * held      an event in memory: at most window_max of them; the rest stays in SQL and is loaded
 *           when there is room
 * item      one handler's share of a held event, in its lane in order of seq
 * lane      the queue of one (handler, subject): one invocation at a time; waits while its first
 *           item is in retry
 * settle    one transaction that records a batch of fates; one under way, the next gathering
 *
 * An event whose handlers all succeeded costs its share of one batched UPDATE. Only failures
 * write rows of their own (attio/inbox.h). */
#ifndef AD_SERVICE_DISPATCH_H
#define AD_SERVICE_DISPATCH_H

#include "attio/inbox.h"
#include "attio/schema.h"
#include "attiod/handler.h"
#include "base/metric.h"
#include "base/rand.h"
#include "base/registry.h"
#include "base/timer.h"

/* Of a process: as many as ad_service_handler takes. */
#define AD__HANDLERS_MAX 64

struct ad_dispatch;

struct ad_dispatch_opts {
    struct ad_inbox *inbox;
    const struct ad_schema *schema; /* object id -> slug */
    const struct ad_registry *registry;
    const struct ad_clock *clock;
    struct ad_timers *timers;
    struct ad_metrics *metrics;
    uint64_t seed;
    unsigned window_max;
};

/* Held at first: nothing runs, and nothing is loaded from SQL, until ad_dispatch_hold(d, false).
 * The registry must be sealed by then. */
AD_MUST_CHECK enum ad_err ad_dispatch_open(const struct ad_dispatch_opts *opts,
                                           struct ad_dispatch **out);
/* A handler that is registered: its counters are there from now on, at nought. */
void ad_dispatch_meet(struct ad_dispatch *d, const struct ad_handler *handler);
/* While held events are only counted; they are loaded from SQL on release. */
void ad_dispatch_hold(struct ad_dispatch *d, bool hold);
/* Attio is switched off, before it is released: handlers that need it get nothing. Their share of
 * each event stays open in SQL, that of the others is done and recorded there, and the event is
 * forgotten here until a dispatcher runs with Attio. */
void ad_dispatch_without_attio(struct ad_dispatch *d);
/* Fresh events, just made durable, in order of seq; copied. */
void ad_dispatch_push(struct ad_dispatch *d, const struct ad_event *events, size_t n);
/* An operator replayed or discarded events, `seq` the first of them (0: not known). What is held and
 * idle is made what SQL says; a call under way goes on. */
void ad_dispatch_reload(struct ad_dispatch *d, int64_t seq);
/* Shutdown begins: no new invocations, and those that end without success leave their events
 * pending in SQL, without a trace. */
void ad_dispatch_stop(struct ad_dispatch *d);
/* Stopped; done when no invocation runs (a handler that does not end in time is left behind) and
 * nothing is to be settled. Frees. */
void ad_dispatch_close(struct ad_dispatch *d, void (*done)(void *ctx), void *ctx);

struct ad_dispatch_stats {
    size_t held, running, lanes, retrying;
    bool behind; /* SQL holds events that are not in memory */
};
void ad_dispatch_stats(const struct ad_dispatch *d, struct ad_dispatch_stats *out);

/* --- for built-in handlers whose own transaction records their success (pull)
 * ------------------------------------ */

/* AD_HANDLER_LATEST: takes in the events of the subject that arrived since the invocation began. */
void ad_invocation_absorb(struct ad_invocation *inv);
/* Appends to `out` (room for ad_invocation_count) the seqs of the events that are finished once
 * this invocation succeeds: no other handler is still at work on them and none has failed.
 * Returns how many. The invocation takes in nothing more until it is done or this is asked
 * again. */
size_t ad_invocation_last_seqs(struct ad_invocation *inv, int64_t *out);
/* The events last named by ad_invocation_last_seqs have been recorded as done by the caller's
 * transaction: they need no settling. Right before ad_invocation_done. */
void ad_invocation_recorded(struct ad_invocation *inv);

#endif
