/* Tombstones that are old enough go, a few at a time, object after object. */
#include "sync_private.h"

#define FIRST_MS 60000
#define EVERY_MS 3600000
#define PIECE 50

static void prune_next(struct ad_sync *y);

static void on_prune_timer(struct ad_timer *t)
{
    struct ad_sync *y = ad_container_of(t, struct ad_sync, prune_timer);
    y->prune.object = ad_schema_next(y->s->o.schema, NULL);
    prune_next(y);
}

static void start_in(struct ad_sync *y, uint64_t in_ms)
{
    if (y->s->o.tombstone_days) {
        ad_timer_start(y->s->o.timers, &y->prune_timer, in_ms, on_prune_timer);
    }
}

static void on_pruned(struct ad_mirror_prune *p)
{
    struct ad_sync *y = p->data;
    y->pruning = false;
    if (y->closing) {
        ad__sync_maybe_closed(y);
        return;
    }
    y->c_pruned->v += (uint64_t)p->removed;
    if (p->err) { /* the next round does it */
        ad_log(AD_LOG_WARN, "prune_failed", AD_KS("object", p->object->slug),
               AD_KE("error", p->err), AD_KC("detail", p->info.msg));
    }
    if (p->err || p->removed < PIECE) {
        y->prune.object = ad_schema_next(y->s->o.schema, p->object);
    }
    prune_next(y);
}

static void prune_next(struct ad_sync *y)
{
    enum ad_err err = AD_OK;
    while (y->prune.object && !y->pruning) {
        int64_t age_ns = (int64_t)y->s->o.tombstone_days * 86400 * AD_NS_PER_S;
        y->prune.before_ns = ad_wall_ns(y->s->o.clock) - age_ns;
        y->prune.max = PIECE;
        y->prune.cb = on_pruned;
        y->prune.data = y;
        err = ad_mirror_prune(y->s->o.mirror, &y->prune);
        y->pruning = !err;
        if (err) {
            y->prune.object = ad_schema_next(y->s->o.schema, y->prune.object);
        }
    }
    if (!y->pruning) {
        start_in(y, EVERY_MS);
    }
}

void ad__sync_prune_begin(struct ad_sync *y)
{
    if (!y->pruning && !ad_timer_running(&y->prune_timer)) {
        start_in(y, FIRST_MS);
    }
}
