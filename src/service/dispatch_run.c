#include "dispatch_private.h"

static void pump(struct ad_dispatch *d);

static void on_pump(struct ad_timer *t)
{
    pump(ad_container_of(t, struct ad_dispatch, pump_timer));
}

/* Handlers are never called from inside the call that made work for them. */
void ad__pump_soon(struct ad_dispatch *d)
{
    if (!ad_timer_running(&d->pump_timer)) {
        ad_timer_start(d->o.timers, &d->pump_timer, 0, on_pump);
    }
}

struct lane *ad__lane_get(struct handler_state *hs, const char *subject)
{
    struct ad_map_node *node = ad_map_get(&hs->lanes, ad_str_c(subject));
    if (node) {
        return ad_container_of(node, struct lane, node);
    }
    size_t n = strlen(subject) + 1;
    struct lane *l = ad_zalloc(sizeof(*l) + n);
    if (!l) {
        return NULL;
    }
    l->handler = hs;
    l->subject = (char *)(l + 1);
    memcpy(l->subject, subject, n);
    ad_list_init(&l->items);
    ad_list_init(&l->link);
    ad_map_put(&hs->lanes, &l->node, ad_str_n(l->subject, n - 1));
    return l;
}

static void pause_end(struct lane *l)
{
    if (ad_timer_running(&l->timer)) {
        ad_timer_stop(l->handler->d->o.timers, &l->timer);
        l->handler->d->retrying--;
    }
}

void ad__lane_drop_if_empty(struct lane *l)
{
    if (!ad_list_empty(&l->items) || l->running) {
        return;
    }
    ad_list_remove(&l->link);
    pause_end(l);
    ad_map_remove(&l->handler->lanes, &l->node);
    ad_free(l);
}

static void on_lane_timer(struct ad_timer *t)
{
    struct lane *l = ad_container_of(t, struct lane, timer);
    struct ad_dispatch *d = l->handler->d;
    d->retrying--;
    ad_list_push(&l->handler->ready, &l->link);
    ad__pump_soon(d);
}

/* Ready now, or when its first item's pause is over. */
void ad__lane_schedule(struct lane *l)
{
    struct ad_dispatch *d = l->handler->d;
    if (l->running || ad_list_linked(&l->link) || ad_list_empty(&l->items) ||
        ad_timer_running(&l->timer)) {
        return;
    }
    const struct item *first = ad_container_of(l->items.next, struct item, link);
    int64_t wait_ns = first->next_ns - ad_wall_ns(d->o.clock);
    if (wait_ns > 0) {
        uint64_t ms = (uint64_t)(wait_ns / AD_NS_PER_MS) + 1;
        ad_timer_start(d->o.timers, &l->timer, ms < RETRY_CAP_MS ? ms : RETRY_CAP_MS,
                       on_lane_timer);
        d->retrying++;
        return;
    }
    ad_list_push(&l->handler->ready, &l->link);
    ad__pump_soon(d);
}

/* In order of seq: an event made pending again by an operator goes before younger ones. */
void ad__lane_insert(struct lane *l, struct item *it)
{
    struct ad_list *at = &l->items;
    while (at->prev != &l->items) {
        const struct item *before = ad_container_of(at->prev, struct item, link);
        if (before->event->view.id < it->event->view.id) {
            break;
        }
        at = at->prev;
    }
    ad__list_insert(at, &it->link);
    if (l->items.next == &it->link) {
        pause_end(l); /* it was that of another event */
    }
}

void ad__lane_leave(struct item *it)
{
    struct lane *l = it->lane;
    if (l->items.next == &it->link) {
        pause_end(l);
    }
    ad_list_remove(&it->link);
    ad__lane_schedule(l);
    ad__lane_drop_if_empty(l);
}

/* ---- running handlers -------------------------------------------------------------------- */

static bool inv_add(struct ad_invocation *inv, struct item *it)
{
    if (inv->n == inv->cap) {
        size_t cap = inv->cap ? inv->cap * 2 : 4;
        struct item **items = ad_resize(inv->items, cap * sizeof(struct item *));
        if (!items) {
            return false;
        }
        inv->items = items;
        inv->cap = cap;
    }
    it->inv = inv;
    it->event->view.attempt = it->attempts + 1;
    inv->items[inv->n++] = it;
    return true;
}

void ad_invocation_absorb(struct ad_invocation *inv)
{
    if (inv->state != INV_RUNNING || inv->lane->handler->h->mode != AD_HANDLER_LATEST) {
        return;
    }
    AD_LIST_FOREACH (l, &inv->lane->items) {
        struct item *it = ad_container_of(l, struct item, link);
        if (!it->inv && !inv_add(inv, it)) {
            return;
        }
    }
}

static struct ad_invocation *inv_get(struct ad_dispatch *d)
{
    struct ad_list *l = ad_list_pop(&d->inv_free);
    struct ad_invocation *inv =
        l ? ad_container_of(l, struct ad_invocation, link) : ad_zalloc(sizeof(*inv));
    if (inv && !l) {
        ad_list_init(&inv->link);
    }
    if (inv) {
        inv->state = INV_RUNNING;
        inv->d = d;
        inv->n = 0;
        inv->data = NULL;
        ad_list_push(&d->inv_running, &inv->link);
        d->running++;
    }
    return inv;
}

static void inv_put(struct ad_invocation *inv)
{
    if (inv->state == INV_RUNNING) {
        inv->d->running--;
    }
    inv->state = INV_FREE;
    ad_list_remove(&inv->link);
    ad_list_push(&inv->d->inv_free, &inv->link);
}

static void finish(struct ad_invocation *inv, enum ad_outcome outcome, const char *why);

/* Late: the handler may still call done on it, so the object stays aside until it does. */
static void on_inv_timeout(struct ad_timer *t)
{
    struct ad_invocation *inv = ad_container_of(t, struct ad_invocation, timer);
    inv->d->c_timeout->v++;
    finish(inv, AD_OUTCOME_RETRY, "timed out");
}

static bool lane_run(struct lane *l)
{
    struct handler_state *hs = l->handler;
    struct ad_dispatch *d = hs->d;
    struct ad_invocation *inv = inv_get(d);
    if (!inv) {
        return false;
    }
    inv->lane = l;
    if (hs->h->mode == AD_HANDLER_LATEST) {
        ad_invocation_absorb(inv);
    } else {
        struct item *first = ad_container_of(l->items.next, struct item, link);
        AD_IGNORE(!inv_add(inv, first), "n stays 0, seen below");
    }
    if (inv->n == 0) {
        inv_put(inv);
        return false;
    }
    l->running = inv;
    hs->running++;
    if (hs->timeout_ms != UINT_MAX) {
        ad_timer_start(d->o.timers, &inv->timer, hs->timeout_ms, on_inv_timeout);
    }
    hs->h->run(hs->h->ctx, inv);
    return true;
}

/* Each handler in turn up to its concurrency. A handler may finish within run and so make its
 * lane ready again: bounded by the pass's snapshot, the rest comes on the next turn. */
static void pump(struct ad_dispatch *d)
{
    if (d->hold || d->closing) {
        return;
    }
    for (size_t i = 0; i < d->handlers_n; i++) {
        struct handler_state *hs = &d->handlers[i];
        struct ad_list pass;
        ad_list_init(&pass);
        ad_list_move(&pass, &hs->ready);
        bool memory = true;
        while (memory && hs->running < hs->concurrency && !ad_list_empty(&pass)) {
            struct lane *l = ad_container_of(ad_list_pop(&pass), struct lane, link);
            memory = lane_run(l);
            if (!memory) {
                ad_list_push_front(&hs->ready, &l->link);
            }
        }
        ad_list_move(&pass, &hs->ready);
        ad_list_move(&hs->ready, &pass);
        if (!memory) {
            ad__pump_soon(d);
        }
    }
    d->g_running->v = (int64_t)d->running;
    d->g_retrying->v = (int64_t)d->retrying;
}

static int64_t backoff_ns(struct ad_dispatch *d, const struct handler_state *hs, unsigned attempts)
{
    uint64_t cap = hs->retry_base_ms;
    for (unsigned i = 1; i < attempts && cap < RETRY_CAP_MS; i++) {
        cap *= 2;
    }
    cap = cap < RETRY_CAP_MS ? cap : RETRY_CAP_MS;
    /* full jitter above half: never at once, never in step */
    return (int64_t)(cap / 2 + ad_rand_below(&d->rand, cap / 2 + 1)) * AD_NS_PER_MS;
}

static void item_done(struct item *it)
{
    it->state = AD_EVENT_DONE;
    it->written = false;
    ad_list_remove(&it->link);
    if (--it->event->open == 0 || it->event->failed) {
        ad__settle_soon(it->handler->d, it->event);
    }
}

static void item_failed(struct item *it, bool dead, int64_t next_ns, struct ad_str why)
{
    size_t n = why.n < sizeof(it->why) ? why.n : sizeof(it->why) - 1;
    if (n) {
        memcpy(it->why, why.p, n);
    }
    it->why[n] = '\0';
    it->attempts++;
    it->event->failed = true;
    it->written = false;
    it->state = dead ? AD_EVENT_DEAD : AD_EVENT_RETRY;
    it->next_ns = next_ns;
    if (dead) {
        it->event->dead = true;
        it->event->open--;
        ad_list_remove(&it->link);
    }
    ad__settle_soon(it->handler->d, it->event);
}

/* An operator discarded its event meanwhile: SQL says so already. */
static void item_dropped(struct item *it)
{
    it->state = AD_EVENT_DONE;
    it->written = true;
    ad_list_remove(&it->link);
    if (--it->event->open == 0) {
        ad__settle_soon(it->handler->d, it->event);
    }
}

/* While closing, what did not succeed simply stays pending in SQL. */
static void drop_items(struct ad_invocation *inv)
{
    for (size_t i = 0; i < inv->n; i++) {
        inv->items[i]->inv = NULL;
    }
}

/* Each event by its own count: one that joined a failing subject late is not dead with the others. */
static void fail_items(struct ad_invocation *inv, enum ad_outcome outcome, const char *why)
{
    struct handler_state *hs = inv->lane->handler;
    const struct item *first = inv->items[0];
    unsigned attempts = first->attempts + 1;
    int64_t next = ad_wall_ns(inv->d->o.clock) + backoff_ns(inv->d, hs, attempts);
    for (size_t i = 0; i < inv->n; i++) {
        struct item *it = inv->items[i];
        bool dead = outcome == AD_OUTCOME_DEAD ||
                    (hs->max_attempts != UINT_MAX && it->attempts + 1 >= hs->max_attempts);
        it->inv = NULL;
        if (it->event->discarded) {
            item_dropped(it);
        } else {
            item_failed(it, dead, next, ad_str_c(why));
        }
    }
    if (first->event->discarded) {
        return;
    }
    bool dead = first->state == AD_EVENT_DEAD;
    (dead ? hs->died : hs->retried)->v++;
    ad_log(dead ? AD_LOG_ERROR : AD_LOG_WARN, dead ? "event_dead" : "event_retry",
           AD_KC("handler", hs->h->name), AD_KC("subject", inv->lane->subject),
           AD_KI("event", first->event->view.id), AD_KI("attempts", attempts),
           AD_KC("why", why ? why : ""));
}

static void finish(struct ad_invocation *inv, enum ad_outcome outcome, const char *why)
{
    struct lane *l = inv->lane;
    struct handler_state *hs = l->handler;
    struct ad_dispatch *d = inv->d;
    bool timed_out = !ad_timer_running(&inv->timer) && hs->timeout_ms != UINT_MAX;
    ad_timer_stop(d->o.timers, &inv->timer);
    l->running = NULL;
    hs->running--;
    if (outcome == AD_OUTCOME_DONE) {
        hs->done->v++;
        for (size_t i = 0; i < inv->n; i++) {
            inv->items[i]->inv = NULL;
            item_done(inv->items[i]);
        }
    } else if (d->closing) {
        drop_items(inv);
    } else {
        fail_items(inv, outcome, why);
    }
    if (timed_out) {
        inv->state = INV_ABANDONED;
        inv->n = 0;
        d->running--;
    } else {
        inv_put(inv);
    }
    if (d->closing) {
        ad__dispatch_closed_soon(d);
        return;
    }
    ad__lane_schedule(l);
    ad__lane_drop_if_empty(l);
    if (!ad_list_empty(&hs->ready)) {
        ad__pump_soon(d);
    }
}

void ad__inv_abandon_all(struct ad_dispatch *d)
{
    AD_LIST_FOREACH (l, &d->inv_running) {
        struct ad_invocation *inv = ad_container_of(l, struct ad_invocation, link);
        if (inv->state == INV_RUNNING) {
            ad_timer_stop(d->o.timers, &inv->timer);
            ad_log(AD_LOG_WARN, "handler_left_behind",
                   AD_KC("handler", inv->lane->handler->h->name),
                   AD_KC("subject", inv->lane->subject));
            inv->state = INV_ABANDONED;
            inv->n = 0;
            d->running--;
        }
    }
}

void ad_invocation_done(struct ad_invocation *inv, enum ad_outcome outcome, const char *why)
{
    if (inv->state == INV_ORPHAN) {
        ad_free(inv);
        return;
    }
    if (inv->state != INV_RUNNING) {
        inv->d->c_late->v++;
        if (inv->state == INV_ABANDONED) {
            inv_put(inv);
        }
        return;
    }
    finish(inv, outcome, why);
}

size_t ad_invocation_count(const struct ad_invocation *inv)
{
    return inv->n;
}

const struct ad_handler_event *ad_invocation_event(const struct ad_invocation *inv, size_t i)
{
    return i < inv->n ? &inv->items[i]->event->view : NULL;
}

void ad_invocation_set_data(struct ad_invocation *inv, void *data)
{
    inv->data = data;
}

void *ad_invocation_data(const struct ad_invocation *inv)
{
    return inv->data;
}

size_t ad_invocation_last_seqs(struct ad_invocation *inv, int64_t *out)
{
    size_t n = 0;
    for (size_t i = 0; i < inv->n; i++) {
        struct item *it = inv->items[i];
        it->last = it->event->open == 1 && !it->event->failed;
        if (it->last) {
            out[n++] = it->event->view.id;
        }
    }
    return n;
}

void ad_invocation_recorded(struct ad_invocation *inv)
{
    for (size_t i = 0; i < inv->n; i++) {
        inv->items[i]->event->recorded = inv->items[i]->last;
    }
}
