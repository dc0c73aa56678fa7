#include "dispatch_private.h"

static void settle_now(struct ad_dispatch *d);

static void on_settle_timer(struct ad_timer *t)
{
    settle_now(ad_container_of(t, struct ad_dispatch, settle_timer));
}

/* On a later turn, so that one batch holds all that ended in this one. */
static void arm(struct ad_dispatch *d, unsigned delay_ms)
{
    if (!d->settling && !ad_list_empty(&d->to_settle) && !ad_timer_running(&d->settle_timer)) {
        ad_timer_start(d->o.timers, &d->settle_timer, delay_ms, on_settle_timer);
    }
}

void ad__settle_soon(struct ad_dispatch *d, struct held *h)
{
    if (h->settling) {
        h->dirty = true;
    } else if (!ad_list_linked(&h->link)) {
        ad_list_push(&d->to_settle, &h->link);
    }
    arm(d, 0);
}

static void observe_age(struct ad_dispatch *d, const struct held *h)
{
    int64_t ns = ad_wall_ns(d->o.clock) - h->view.received_ns;
    ad_histogram_observe_ms(d->age, ns > 0 ? (double)ns / 1e6 : 0);
}

static void event_settled(struct ad_dispatch *d, struct held *h)
{
    h->settling = false;
    ad_list_remove(&h->link);
    if (h->dirty) {
        h->dirty = false;
        ad_list_push(&d->to_settle, &h->link);
    } else if (h->open == 0) {
        if (h->waits == 0) {
            observe_age(d, h);
        }
        ad__held_free(d, h);
    }
}

/* Nothing was recorded: the whole batch is news again. */
static void batch_failed(struct ad_dispatch *d)
{
    AD_LIST_FOREACH (l, &d->in_settle) {
        struct held *h = ad_container_of(l, struct held, link);
        h->settling = false;
        h->dirty = false;
        for (size_t i = 0; i < h->items_n; i++) {
            h->items[i].written = false;
        }
    }
    ad_list_move(&d->in_settle, &d->to_settle);
    ad_list_move(&d->to_settle, &d->in_settle);
}

static void on_settled(struct ad_inbox_settle *s)
{
    struct ad_dispatch *d = s->data;
    d->settling = false;
    if (s->err && !d->closing) {
        ad_log(AD_LOG_WARN, "settle_failed", AD_KE("error", s->err), AD_KC("detail", s->info.msg));
        batch_failed(d);
        arm(d, SETTLE_RETRY_MS);
        return;
    }
    while (!ad_list_empty(&d->in_settle)) {
        event_settled(d, ad_container_of(d->in_settle.next, struct held, link));
    }
    d->g_held->v = (int64_t)d->held.count;
    arm(d, 0);
    ad__dispatch_maybe_closed(d);
}

/* Rows for what is news of an event that failed somewhere. */
static void gather_attempts(struct ad_dispatch *d, struct held *h, size_t *n)
{
    for (size_t i = 0; i < h->items_n; i++) {
        struct item *it = &h->items[i];
        if (it->written || it->state == AD_EVENT_PENDING) {
            continue;
        }
        it->written = true;
        d->settle_attempts[(*n)++] = (struct ad_attempt){
            .seq = h->view.id,
            .handler = ad_str_c(it->handler->h->name),
            .state = it->state,
            .attempts = it->attempts,
            .next_ns = it->next_ns,
            .error = ad_str_c(it->why),
        };
    }
}

static bool gather(struct ad_dispatch *d, struct ad_inbox_settle *s)
{
    while (!ad_list_empty(&d->to_settle)) {
        struct held *h = ad_container_of(d->to_settle.next, struct held, link);
        if (s->done_n == SETTLE_MAX || s->dead_n == SETTLE_MAX ||
            s->attempts_n + h->items_n > SETTLE_MAX) {
            break;
        }
        ad_list_remove(&h->link);
        ad_list_push(&d->in_settle, &h->link);
        h->settling = true;
        if (h->failed || h->waits) {
            gather_attempts(d, h, &s->attempts_n);
        }
        if (h->waits) {
            continue; /* its end is not ours to record */
        }
        if (h->open == 0 && h->dead) {
            d->settle_dead[s->dead_n++] = h->view.id;
        } else if (h->open == 0 && !h->recorded) {
            d->settle_done[s->done_n++] = h->view.id;
        }
    }
    return s->done_n + s->dead_n + s->attempts_n > 0;
}

static void settle_now(struct ad_dispatch *d)
{
    if (d->settling) {
        return;
    }
    d->settle = (struct ad_inbox_settle){ .done = d->settle_done,
                                          .attempts = d->settle_attempts,
                                          .dead = d->settle_dead,
                                          .cb = on_settled,
                                          .data = d };
    d->settling = true;
    if (!gather(d, &d->settle)) {
        on_settled(&d->settle); /* all of it stands in SQL already */
        return;
    }
    d->settle.err = ad_inbox_settle(d->o.inbox, &d->settle);
    if (d->settle.err) {
        on_settled(&d->settle);
    }
}
