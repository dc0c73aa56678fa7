/* The fixture of tests that need a loop: real loop, clock turned by hand, counting heap,
 * captured log.
 *
 *   static struct world w;
 *   setup:    world_open(&w);      teardown: world_close(&w);
 *
 * Sockets and threads are real; time passes only in world_advance, so a test of an hour takes no
 * time and one that forgets a deadline hangs nowhere: world_until gives up after some seconds of
 * real time. world_close fails the test when a handle, a running timer, a piece of memory or a
 * descriptor is left. */
#ifndef AD_TEST_WORLD_H
#define AD_TEST_WORLD_H

#include "base/buf.h"
#include "infra/loop.h"

#include "support/heap.h"
#include "support/vclock.h"

struct world {
    struct ad_loop *loop;
    struct vclock clock;
    struct ad_buf log; /* JSON lines */
    size_t descriptors;
    bool leftovers_expected; /* world_close then wants INTERNAL from ad_loop_close */
};

void world_open(struct world *w);
/* As open, on the system's clock: for what measures real time. world_advance may not be used. */
void world_open_real_time(struct world *w);
void world_close(struct world *w);

/* Passes time, deadline by deadline in order, each with the turns its consequences need. */
void world_advance(struct world *w, uint64_t ms);
/* Turns until cond; fails the test when it does not come true within 40 s of real time. */
void world_until(struct world *w, bool (*cond)(void *ctx), void *ctx);
/* The usual conditions: a flag set, a counter reached. */
void world_until_true(struct world *w, const bool *flag);
void world_until_count(struct world *w, const unsigned *counter, unsigned n);
/* Turns often enough for everything in memory (posts, pairs) to come to rest: for "and nothing
 * else happens". */
void world_settle(struct world *w);
/* Whether the log holds `text`. */
bool world_logged(const struct world *w, const char *text);
size_t world_descriptors(void);

#endif
