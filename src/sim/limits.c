#include "sim.h"

void ad_sim_limits_init(struct ad_sim_limits *l, bool on)
{
    *l = (struct ad_sim_limits){ .on = on };
    l->lanes[AD_SIM_READ].cap = AD_SIM_READS;
    l->lanes[AD_SIM_WRITE].cap = AD_SIM_WRITES;
}

bool ad_sim_limits_take(struct ad_sim_limits *l, enum ad_sim_lane lane, uint64_t now_ms)
{
    struct ad_sim_window *w = &l->lanes[lane];
    if (!l->on) {
        return true;
    }
    /* The slot to be overwritten holds the oldest of the last `cap`. */
    if (w->full && w->at_ms[w->next] + 1000 > now_ms) {
        return false;
    }
    w->at_ms[w->next] = now_ms;
    w->next = (w->next + 1) % w->cap;
    w->full = w->full || w->next == 0;
    return true;
}
