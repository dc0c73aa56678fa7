/* Deadlines: one heap of timers, driven by whoever owns the clock.
 *
 * Timers are embedded in their owners and cost nothing while stopped. The loop drives one queue
 * from a single libuv timer; a test drives one from a virtual clock. A delay of 0 means "on a later
 * turn, not from inside this call", which is how an operation that is already finished keeps the
 * promise that its callback never comes from inside submit.
 *
 * Callbacks run in the order of their deadlines, equal deadlines in the order of starting. A timer
 * is stopped when its callback runs and may be started again in it. Timers started in a callback do
 * not run in the same pass. */
#ifndef AD_BASE_TIMER_H
#define AD_BASE_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/clock.h"
#include "base/err.h"

struct ad_timer;
typedef void (*ad_timer_cb)(struct ad_timer *timer);

struct ad_timer {
    /* private */
    ad_timer_cb cb;
    uint64_t at_ms;
    uint64_t order;
    size_t slot; /* place in the heap plus one, 0 while stopped */
};

struct ad_timers {
    const struct ad_clock *clock;
    /* Called when the earliest deadline changed (UINT64_MAX: none left), so that the owner can
     * re-arm. May be NULL. */
    void (*rearm)(struct ad_timers *timers, uint64_t at_ms);
    /* private */
    struct ad_timer **heap;
    size_t count, cap;
    uint64_t next_order;
    bool running; /* inside ad_timers_run */
};

void ad_timers_init(struct ad_timers *q, const struct ad_clock *clock,
                    void (*rearm)(struct ad_timers *timers, uint64_t at_ms));
/* No timer may be left running. */
void ad_timers_fini(struct ad_timers *q);
/* Memory for `n` timers running at once, so that starting up to n cannot fail for memory:
 * ad_timer_start aborts otherwise only when the process has no memory at all for a pointer. The
 * heap grows by itself past n. */
AD_MUST_CHECK enum ad_err ad_timers_reserve(struct ad_timers *q, size_t n);

/* Starts or restarts. */
void ad_timer_start(struct ad_timers *q, struct ad_timer *t, uint64_t delay_ms, ad_timer_cb cb);
/* Harmless on a stopped (zeroed) timer. */
void ad_timer_stop(struct ad_timers *q, struct ad_timer *t);

static inline bool ad_timer_running(const struct ad_timer *t)
{
    return t->slot != 0;
}

/* Runs all that are due at the clock's now, then calls rearm, also when nothing was due: the
 * owner's own timer has fired and has to be set again. Not from inside a timer's callback. */
void ad_timers_run(struct ad_timers *q);
/* The earliest deadline, or UINT64_MAX. */
uint64_t ad_timers_next(const struct ad_timers *q);

#endif
