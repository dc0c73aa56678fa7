#include "base/timer.h"

#include <string.h>

#include "base/mem.h"

/* A binary heap; each timer knows its slot (plus one), so that stopping needs no search. */

void ad_timers_init(struct ad_timers *q, const struct ad_clock *clock,
                    void (*rearm)(struct ad_timers *timers, uint64_t at_ms))
{
    *q = (struct ad_timers){ .clock = clock, .rearm = rearm };
}

void ad_timers_fini(struct ad_timers *q)
{
    AD_ASSERT(q->count == 0);
    ad_free(q->heap);
    q->heap = NULL;
    q->cap = 0;
}

enum ad_err ad_timers_reserve(struct ad_timers *q, size_t n)
{
    if (n <= q->cap) {
        return AD_OK;
    }
    if (n > SIZE_MAX / sizeof(struct ad_timer *)) {
        return AD_ERR_NOMEM;
    }
    struct ad_timer **heap = ad_resize(q->heap, n * sizeof(struct ad_timer *));
    if (!heap) {
        return AD_ERR_NOMEM;
    }
    q->heap = heap;
    q->cap = n;
    return AD_OK;
}

static bool is_before(const struct ad_timer *a, const struct ad_timer *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static void place(struct ad_timers *q, size_t i, struct ad_timer *t)
{
    q->heap[i] = t;
    t->slot = i + 1;
}

/* Puts t where it belongs, starting from the free place i. */
static void settle(struct ad_timers *q, size_t i, struct ad_timer *t)
{
    while (i > 0 && is_before(t, q->heap[(i - 1) / 2])) {
        place(q, i, q->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    for (;;) {
        size_t child = 2 * i + 1;
        if (child + 1 < q->count && is_before(q->heap[child + 1], q->heap[child])) {
            child++;
        }
        if (child >= q->count || !is_before(q->heap[child], t)) {
            break;
        }
        place(q, i, q->heap[child]);
        i = child;
    }
    place(q, i, t);
}

static void take_out(struct ad_timers *q, struct ad_timer *t)
{
    size_t i = t->slot - 1;
    AD_ASSERT(i < q->count && q->heap[i] == t);
    t->slot = 0;
    struct ad_timer *last = q->heap[--q->count];
    if (last != t) {
        settle(q, i, last);
    }
}

uint64_t ad_timers_next(const struct ad_timers *q)
{
    return q->count ? q->heap[0]->at_ms : UINT64_MAX;
}

static void rearm(struct ad_timers *q)
{
    if (q->rearm) {
        q->rearm(q, ad_timers_next(q));
    }
}

/* During a pass the owner is told once, at its end. */
static void rearm_if_changed(struct ad_timers *q, uint64_t before)
{
    if (!q->running && ad_timers_next(q) != before) {
        rearm(q);
    }
}

void ad_timer_start(struct ad_timers *q, struct ad_timer *t, uint64_t delay_ms, ad_timer_cb cb)
{
    uint64_t before = ad_timers_next(q);
    uint64_t now = ad_mono_ms(q->clock);
    if (t->slot) {
        take_out(q, t);
    }
    if (q->count == q->cap) {
        AD_ASSERT(ad_timers_reserve(q, q->cap ? q->cap * 2 : 64) == AD_OK);
    }
    t->cb = cb;
    t->at_ms = delay_ms < UINT64_MAX - now ? now + delay_ms : UINT64_MAX - 1;
    t->order = q->next_order++;
    settle(q, q->count++, t);
    rearm_if_changed(q, before);
}

void ad_timer_stop(struct ad_timers *q, struct ad_timer *t)
{
    if (t->slot == 0) {
        return;
    }
    uint64_t before = ad_timers_next(q);
    take_out(q, t);
    rearm_if_changed(q, before);
}

void ad_timers_run(struct ad_timers *q)
{
    AD_ASSERT(!q->running);
    q->running = true;
    uint64_t now = ad_mono_ms(q->clock);
    /* Timers started from now on sort behind all that are due: their deadline is not before `now`
     * and their order is higher. So the first of them ends the pass. */
    uint64_t first_new = q->next_order;
    while (q->count && q->heap[0]->at_ms <= now && q->heap[0]->order < first_new) {
        struct ad_timer *t = q->heap[0];
        take_out(q, t);
        t->cb(t);
    }
    q->running = false;
    rearm(q);
}
