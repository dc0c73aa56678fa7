/* A clock turned by hand. Both clocks move together; wall starts at a fixed date, so that texts
 * can be compared. */
#ifndef AD_TEST_VCLOCK_H
#define AD_TEST_VCLOCK_H

#include "base/clock.h"

struct vclock {
    struct ad_clock clock;
    uint64_t mono_ms;
    int64_t wall_ns;
};

/* 1,000,000 ms and 2026-01-01T00:00:00Z. */
void vclock_init(struct vclock *v);
void vclock_advance(struct vclock *v, uint64_t ms);

#endif
