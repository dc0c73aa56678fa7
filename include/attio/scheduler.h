/* Which call to Attio goes next, and when: pure bookkeeping, told what happens and what time it is.
 *
 *   lane       reads and writes; each has a ceiling per second and can be paused
 *   priority   interactive > pull > outbox > backfill. A call gains one level for every
 *              AD_SCHED_AGING_MS it has waited, so the low ones are late but never starved
 *   window     at most `interval_cap` calls of both lanes together in any `interval_ms`
 *   try        one sending of a call; a call may need several
 *   probe      after a pause the lane sends one call alone; the lane opens when that one is
 *              answered. So a server that refuses for a minute is asked once for each pause,
 *              whatever waits
 *
 * The limits hold as the server sees them, which is not when we send. Of a try we know only that
 * it arrived between the moment it was started and the moment its answer was here. The window
 * keeps the last `cap` tries; the next may start `interval_ms` (and AD_SCHED_GUARD_MS, because two
 * clocks and two network paths differ) after the oldest of them was answered: then the two arrived
 * at least an interval apart, whatever delays lie between. An answer that takes long says little
 * about when its request arrived, so waiting for it is cut at a quarter of the interval.
 *
 * A try that we gave up (time-out, cancel) may still be worked on over there. Its place among those
 * in flight is kept AD_SCHED_LINGER_MS longer, for the server to notice that the connection is
 * closed; what a server does beyond that we cannot know. */
#ifndef AD_ATTIO_SCHEDULER_H
#define AD_ATTIO_SCHEDULER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"

#define AD_SCHED_AGING_MS 5000
#define AD_SCHED_GUARD_MS 20
#define AD_SCHED_LINGER_MS 250

enum ad_lane { AD_LANE_READ, AD_LANE_WRITE };
#define AD_LANES 2
enum ad_priority { AD_PRIO_INTERACTIVE, AD_PRIO_PULL, AD_PRIO_OUTBOX, AD_PRIO_BACKFILL };
#define AD_PRIORITIES 4

struct ad_sched_opts {
    unsigned concurrency;               /* tries in flight */
    unsigned interval_cap, interval_ms; /* the window */
    unsigned per_s[AD_LANES];           /* the ceilings */
    unsigned queue_max;                 /* calls waiting */
};
/* The largest window or ceiling: one costs 16 bytes. */
#define AD_SCHED_CAP_MAX 100000

/* One call, embedded in its owner; zero it first. */
struct ad_sched_item {
    /* set by the caller */
    enum ad_lane lane;
    enum ad_priority priority;
    bool urgent; /* first of its priority, and goes while the rest is held */
    /* private */
    struct ad_list link;
    uint64_t since_ms;          /* waits since then, for aging */
    uint64_t ready_ms;          /* backoff: not before */
    uint64_t place, lane_place; /* of the last try in the two windows */
};

/* The last `cap` tries as a ring; `next` counts all there ever were. */
struct ad_sched_window {
    struct ad_sched_sent {
        uint64_t sent_ms;
        uint64_t arrived_ms; /* at the latest */
    } * tries;
    unsigned cap;
    uint64_t span_ms, next;
};

struct ad_sched_lane {
    struct ad_list waiting[AD_PRIORITIES];
    struct ad_list delayed; /* by ready_ms */
    struct ad_sched_window window;
    uint64_t paused_until_ms;
    bool probing;
    const struct ad_sched_item *probe; /* in flight */
};

struct ad_sched {
    /* read-only */
    struct ad_sched_opts opts;
    unsigned waiting, in_flight; /* in_flight: without those that linger */
    struct ad_sched_lane lanes[AD_LANES];
    /* private */
    struct ad_sched_window window;
    uint64_t *linger; /* ring of the times at which given-up tries leave */
    unsigned linger_first, linger_n, linger_cap;
    bool held;
};

/* CONFIG for a limit of 0 or past AD_SCHED_CAP_MAX, NOMEM. */
AD_MUST_CHECK enum ad_err ad_sched_init(struct ad_sched *s, const struct ad_sched_opts *opts,
                                        struct ad_errinfo *info);
/* Nothing may wait any more. */
void ad_sched_fini(struct ad_sched *s);

/* Other limits, while it runs. Prepared, so that committing them cannot fail. `opts` as for init; a
 * change is committed or dropped, and nothing may be prepared twice meanwhile. */
struct ad_sched_change {
    struct ad_sched_opts opts;
    struct ad_sched_sent *window, *lanes[AD_LANES];
    uint64_t *linger;
    unsigned linger_cap;
};
AD_MUST_CHECK enum ad_err ad_sched_prepare(const struct ad_sched *s,
                                           const struct ad_sched_opts *opts,
                                           struct ad_sched_change *out, struct ad_errinfo *info);
/* What was sent before counts: the new limits hold over the old tries, too. Those in flight above
 * a lower concurrency end on their own. */
void ad_sched_commit(struct ad_sched *s, struct ad_sched_change *change, uint64_t now);
void ad_sched_drop(struct ad_sched_change *change);
/* While held, only urgent calls go. */
void ad_sched_hold(struct ad_sched *s, bool held);

/* A new call joins the end of its priority. BUSY when the queue is full. */
AD_MUST_CHECK enum ad_err ad_sched_add(struct ad_sched *s, struct ad_sched_item *item,
                                       uint64_t now);
/* A call whose try is done goes to the front of its priority, not before `ready_ms`. Keeps its age;
 * never refused. */
void ad_sched_again(struct ad_sched *s, struct ad_sched_item *item, uint64_t ready_ms);
/* A waiting call leaves. */
void ad_sched_remove(struct ad_sched *s, struct ad_sched_item *item);

/* The call to send now: it is in flight from here on. NULL: none may go; ask again at *look_ms
 * (UINT64_MAX: only when something happens). */
struct ad_sched_item *ad_sched_next(struct ad_sched *s, uint64_t now, uint64_t *look_ms);

enum ad_sched_end {
    AD_SCHED_ANSWERED, /* any answer but 429 */
    AD_SCHED_LIMITED,  /* 429 */
    AD_SCHED_FAILED,   /* the other side ended it, or it never went out */
    AD_SCHED_GIVEN_UP, /* we ended it and cannot know whether they did */
};
void ad_sched_done(struct ad_sched *s, struct ad_sched_item *item, enum ad_sched_end end,
                   uint64_t now);
/* Sends nothing of the lane before `until_ms`, then one probe. Never shortens a pause. */
void ad_sched_pause(struct ad_sched *s, enum ad_lane lane, uint64_t until_ms);

/* Tries started within the last interval, in percent of interval_cap. */
unsigned ad_sched_window_percent(const struct ad_sched *s, uint64_t now);

#endif
