/* The event loop: one per process, one thread, everything on it.
 *
 * Gives base its clock and timers, runs posted callbacks, counts what is open, and says by name
 * what a shutdown forgot. */
#ifndef AD_INFRA_LOOP_H
#define AD_INFRA_LOOP_H

#include "base/clock.h"
#include "base/err.h"
#include "base/list.h"
#include "base/metric.h"
#include "base/timer.h"

struct ad_loop; /* opaque */

/* A callback for a later turn, embedded in its owner and zeroed before first use. Posting a
 * posted one again is a bug. */
struct ad_post {
    /* private */
    struct ad_list link;
    void (*cb)(struct ad_post *post);
};

/* With memory for 64 timers at once: to start the first of them cannot fail (base/timer.h). */
AD_MUST_CHECK enum ad_err ad_loop_open(struct ad_loop **out);
/* As open, with another clock: a test's, turned by hand. Each turn runs the timers due on it;
 * nothing sleeps until one is. */
AD_MUST_CHECK enum ad_err ad_loop_open_on(const struct ad_clock *clock, struct ad_loop **out);
/* Runs until ad_loop_stop, or until nothing is open any more. */
void ad_loop_run(struct ad_loop *loop);
/* From the loop thread: ad_loop_run returns after this turn. */
void ad_loop_stop(struct ad_loop *loop);
/* Runs one turn; waits at most `wait_ms` (0: does not wait). For tests and for programs that
 * wait for one thing. */
void ad_loop_turn(struct ad_loop *loop, unsigned wait_ms);
/* Whether the next turn would find nothing to do: nothing posted, due, closing, or ready to be read or
 * written. What the last turn began to watch is looked at from the next on, and what threads are
 * still at is not seen. */
bool ad_loop_is_idle(struct ad_loop *loop);
/* Closes. Everything on it must have been closed; leftovers are logged by name, counted, and
 * INTERNAL is returned (memory is released anyway where that is safe). Runs the loop until
 * closing callbacks are through. */
AD_MUST_CHECK enum ad_err ad_loop_close(struct ad_loop *loop);

const struct ad_clock *ad_loop_clock(const struct ad_loop *loop);
struct ad_timers *ad_loop_timers(struct ad_loop *loop);
void ad_loop_post(struct ad_loop *loop, struct ad_post *post, void (*cb)(struct ad_post *post));
/* Takes it back; harmless when it is not posted (zeroed, or already called). */
void ad_loop_unpost(struct ad_post *post);
/* Called once at the end of each turn, after all I/O, timers and posts of the turn: where work
 * gathered in a turn is handed over in one go. Work gathered by a later hook, or off the loop's
 * turns, waits for the next turn: post to be sure of one. */
struct ad_loop_hook {
    struct ad_list link;
    void (*cb)(struct ad_loop_hook *hook);
};
void ad_loop_hook_add(struct ad_loop *loop, struct ad_loop_hook *hook);
void ad_loop_hook_remove(struct ad_loop_hook *hook);
/* Milliseconds the last turns were late (a 100 ms probe timer), as a running maximum since the
 * last call. */
unsigned ad_loop_lag_ms(struct ad_loop *loop);
/* Each probe's lateness goes there, too. NULL before the histogram's memory goes. */
void ad_loop_observe_lag(struct ad_loop *loop, struct ad_histogram *lag);

/* Signals as callbacks: SIGINT and SIGTERM to `stop`, SIGHUP to `reload`. SIGPIPE is ignored by
 * ad_loop_open. */
struct ad_signals;
AD_MUST_CHECK enum ad_err ad_signals_open(struct ad_loop *loop, void (*stop)(void *ctx, int signum),
                                          void (*reload)(void *ctx), void *ctx,
                                          struct ad_signals **out);
void ad_signals_close(struct ad_signals *s); /* frees itself on a later turn */

#endif
