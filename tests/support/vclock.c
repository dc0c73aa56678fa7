#include "support/vclock.h"

static const struct vclock *of(const struct ad_clock *clock)
{
    const void *v = (const char *)clock - offsetof(struct vclock, clock);
    return v;
}

static uint64_t mono_ms(const struct ad_clock *clock)
{
    return of(clock)->mono_ms;
}

static int64_t wall_ns(const struct ad_clock *clock)
{
    return of(clock)->wall_ns;
}

void vclock_init(struct vclock *v)
{
    *v = (struct vclock){
        .clock = { mono_ms, wall_ns },
        .mono_ms = 1000000,
        .wall_ns = INT64_C(1767225600) * AD_NS_PER_S,
    };
}

void vclock_advance(struct vclock *v, uint64_t ms)
{
    v->mono_ms += ms;
    v->wall_ns += (int64_t)ms * AD_NS_PER_MS;
}
