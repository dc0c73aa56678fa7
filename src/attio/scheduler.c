#include "attio/scheduler.h"

#include "base/mem.h"

/* --- The window --- */

static enum ad_err window_init(struct ad_sched_window *w, unsigned cap, uint64_t span_ms)
{
    w->tries = ad_alloc_array(cap, sizeof(*w->tries));
    w->cap = cap;
    w->span_ms = span_ms;
    return w->tries ? AD_OK : AD_ERR_NOMEM;
}

/* When the next try may start. */
static uint64_t window_opens(const struct ad_sched_window *w)
{
    if (w->next < w->cap) {
        return 0;
    }
    return w->tries[w->next % w->cap].arrived_ms + w->span_ms + AD_SCHED_GUARD_MS;
}

static uint64_t window_take(struct ad_sched_window *w, uint64_t now)
{
    w->tries[w->next % w->cap] =
        (struct ad_sched_sent){ .sent_ms = now, .arrived_ms = now + w->span_ms / 4 };
    return w->next++;
}

/* The try at `place` has arrived by now, if the ring still knows it. */
static void window_arrived(struct ad_sched_window *w, uint64_t place, uint64_t now)
{
    struct ad_sched_sent *t = &w->tries[place % w->cap];
    if (w->next - place <= w->cap && now < t->arrived_ms) {
        t->arrived_ms = now;
    }
}

unsigned ad_sched_window_percent(const struct ad_sched *s, uint64_t now)
{
    const struct ad_sched_window *w = &s->window;
    unsigned n = 0;
    while (n < w->cap && n < w->next &&
           w->tries[(w->next - 1 - n) % w->cap].sent_ms + w->span_ms > now) {
        n++;
    }
    return w->cap ? (unsigned)((uint64_t)n * 100 / w->cap) : 0;
}

/* --- Those given up --- */

static void linger_push(struct ad_sched *s, uint64_t until)
{
    AD_ASSERT(s->linger_n < s->linger_cap);
    s->linger[(s->linger_first + s->linger_n) % s->linger_cap] = until;
    s->linger_n++;
}

static void linger_drop(struct ad_sched *s, uint64_t now)
{
    while (s->linger_n && s->linger[s->linger_first] <= now) {
        s->linger_first = (s->linger_first + 1) % s->linger_cap;
        s->linger_n--;
    }
}

/* When a place in flight is free. */
static uint64_t place_opens(const struct ad_sched *s)
{
    if (s->in_flight + s->linger_n < s->opts.concurrency) {
        return 0;
    }
    return s->linger_n ? s->linger[s->linger_first] : UINT64_MAX;
}

/* --- Waiting --- */

static struct ad_list *list_of(struct ad_sched *s, const struct ad_sched_item *item)
{
    return &s->lanes[item->lane].waiting[item->priority];
}

enum ad_err ad_sched_add(struct ad_sched *s, struct ad_sched_item *item, uint64_t now)
{
    if (s->waiting >= s->opts.queue_max) {
        return AD_ERR_BUSY;
    }
    item->since_ms = now;
    ad_list_init(&item->link);
    if (item->urgent) {
        ad_list_push_front(list_of(s, item), &item->link);
    } else {
        ad_list_push(list_of(s, item), &item->link);
    }
    s->waiting++;
    return AD_OK;
}

/* Into the list of the delayed, which is in order of ready_ms. */
static void delay(struct ad_sched_lane *lane, struct ad_sched_item *item)
{
    struct ad_list *before = lane->delayed.prev;
    while (before != &lane->delayed &&
           ad_container_of(before, struct ad_sched_item, link)->ready_ms > item->ready_ms) {
        before = before->prev;
    }
    ad_list_push_front(before, &item->link);
}

void ad_sched_again(struct ad_sched *s, struct ad_sched_item *item, uint64_t ready_ms)
{
    item->ready_ms = ready_ms;
    delay(&s->lanes[item->lane], item);
    s->waiting++;
}

void ad_sched_remove(struct ad_sched *s, struct ad_sched_item *item)
{
    AD_ASSERT(ad_list_linked(&item->link) && s->waiting > 0);
    ad_list_remove(&item->link);
    s->waiting--;
}

static const struct ad_sched_item *first_delayed(const struct ad_sched_lane *lane)
{
    return ad_list_empty(&lane->delayed)
               ? NULL
               : ad_container_of(lane->delayed.next, struct ad_sched_item, link);
}

static void wake_delayed(struct ad_sched *s, struct ad_sched_lane *lane, uint64_t now)
{
    while (first_delayed(lane) && first_delayed(lane)->ready_ms <= now) {
        struct ad_list *l = ad_list_pop(&lane->delayed);
        ad_list_push_front(list_of(s, ad_container_of(l, struct ad_sched_item, link)), l);
    }
}

/* Smaller goes first. It does not change while the call waits, and grows with the time at which the
 * call came: that is what aging is. */
static uint64_t rank(const struct ad_sched_item *item)
{
    return item->since_ms + (uint64_t)item->priority * AD_SCHED_AGING_MS;
}

static struct ad_sched_item *first_waiting(const struct ad_sched *s,
                                           const struct ad_sched_lane *lane)
{
    struct ad_sched_item *best = NULL;
    for (unsigned p = 0; p < AD_PRIORITIES; p++) {
        if (ad_list_empty(&lane->waiting[p])) {
            continue;
        }
        struct ad_sched_item *item =
            ad_container_of(lane->waiting[p].next, struct ad_sched_item, link);
        if (!s->held || item->urgent) {
            best = !best || rank(item) < rank(best) ? item : best;
        }
    }
    return best;
}

/* --- Choosing --- */

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t lane_opens(const struct ad_sched_lane *lane)
{
    if (lane->probing && lane->probe) {
        return UINT64_MAX;
    }
    return later(lane->paused_until_ms, window_opens(&lane->window));
}

static void take(struct ad_sched *s, struct ad_sched_item *item, uint64_t now)
{
    struct ad_sched_lane *lane = &s->lanes[item->lane];
    ad_sched_remove(s, item);
    item->place = window_take(&s->window, now);
    item->lane_place = window_take(&lane->window, now);
    s->in_flight++;
    if (lane->probing) {
        lane->probe = item;
    }
}

struct ad_sched_item *ad_sched_next(struct ad_sched *s, uint64_t now, uint64_t *look_ms)
{
    struct ad_sched_item *best = NULL;
    uint64_t opens = UINT64_MAX; /* of a lane where somebody waits */
    uint64_t look = UINT64_MAX;
    linger_drop(s, now);
    for (unsigned l = 0; l < AD_LANES; l++) {
        struct ad_sched_lane *lane = &s->lanes[l];
        wake_delayed(s, lane, now);
        look = first_delayed(lane) ? earlier(look, first_delayed(lane)->ready_ms) : look;
        struct ad_sched_item *item = first_waiting(s, lane);
        if (!item) {
            continue;
        }
        opens = earlier(opens, lane_opens(lane));
        if (lane_opens(lane) <= now && (!best || rank(item) < rank(best))) {
            best = item;
        }
    }
    opens =
        opens == UINT64_MAX ? opens : later(opens, later(window_opens(&s->window), place_opens(s)));
    if (best && opens <= now) {
        take(s, best, now);
        return best;
    }
    *look_ms = earlier(look, opens);
    return NULL;
}

void ad_sched_done(struct ad_sched *s, struct ad_sched_item *item, enum ad_sched_end end,
                   uint64_t now)
{
    struct ad_sched_lane *lane = &s->lanes[item->lane];
    AD_ASSERT(s->in_flight > 0);
    s->in_flight--;
    window_arrived(&s->window, item->place, now);
    window_arrived(&lane->window, item->lane_place, now);
    if (end == AD_SCHED_GIVEN_UP) {
        linger_push(s, now + AD_SCHED_LINGER_MS);
    }
    if (lane->probe == item) {
        lane->probe = NULL;
        lane->probing = end != AD_SCHED_ANSWERED;
    }
}

void ad_sched_pause(struct ad_sched *s, enum ad_lane lane, uint64_t until_ms)
{
    struct ad_sched_lane *l = &s->lanes[lane];
    l->paused_until_ms = later(l->paused_until_ms, until_ms);
    l->probing = true;
}

/* --- Life --- */

static bool is_limit(unsigned v)
{
    return v > 0 && v <= AD_SCHED_CAP_MAX;
}

static enum ad_err check(const struct ad_sched_opts *o, struct ad_errinfo *info)
{
    if (!is_limit(o->concurrency) || !is_limit(o->interval_cap) || !is_limit(o->interval_ms) ||
        !is_limit(o->per_s[AD_LANE_READ]) || !is_limit(o->per_s[AD_LANE_WRITE])) {
        return ad_fail(info, AD_ERR_CONFIG, "rate limits must be from 1 to %d", AD_SCHED_CAP_MAX);
    }
    return AD_OK;
}

static void lane_init(struct ad_sched_lane *lane)
{
    ad_list_init(&lane->delayed);
    for (unsigned p = 0; p < AD_PRIORITIES; p++) {
        ad_list_init(&lane->waiting[p]);
    }
}

enum ad_err ad_sched_init(struct ad_sched *s, const struct ad_sched_opts *opts,
                          struct ad_errinfo *info)
{
    enum ad_err err = check(opts, info);
    if (err) {
        return err;
    }
    *s = (struct ad_sched){ .opts = *opts };
    err = window_init(&s->window, opts->interval_cap, opts->interval_ms);
    for (unsigned l = 0; l < AD_LANES; l++) {
        lane_init(&s->lanes[l]);
        err = err ? err : window_init(&s->lanes[l].window, opts->per_s[l], 1000);
    }
    s->linger = ad_alloc_array(opts->concurrency, sizeof(*s->linger));
    s->linger_cap = opts->concurrency;
    if (err || !s->linger) {
        ad_sched_fini(s);
        return ad_fail(info, AD_ERR_NOMEM, "no memory for the rate limits");
    }
    return AD_OK;
}

void ad_sched_hold(struct ad_sched *s, bool held)
{
    s->held = held;
}

/* --- Other limits ------------------------------------------------------------------------- */

enum ad_err ad_sched_prepare(const struct ad_sched *s, const struct ad_sched_opts *opts,
                             struct ad_sched_change *out, struct ad_errinfo *info)
{
    enum ad_err err = check(opts, info);
    if (err) {
        return err;
    }
    /* As many as are in flight by the old limit may still be given up. */
    unsigned linger_cap = s->linger_cap > opts->concurrency ? s->linger_cap : opts->concurrency;
    *out = (struct ad_sched_change){ .opts = *opts, .linger_cap = linger_cap };
    out->window = ad_alloc_array(opts->interval_cap, sizeof(*out->window));
    out->linger = ad_alloc_array(linger_cap, sizeof(*out->linger));
    bool ok = out->window && out->linger;
    for (unsigned l = 0; l < AD_LANES; l++) {
        out->lanes[l] = ad_alloc_array(opts->per_s[l], sizeof(*out->lanes[l]));
        ok = ok && out->lanes[l];
    }
    if (!ok) {
        ad_sched_drop(out);
        return ad_fail(info, AD_ERR_NOMEM, "no memory for the rate limits");
    }
    return AD_OK;
}

void ad_sched_drop(struct ad_sched_change *change)
{
    ad_free(change->window);
    ad_free(change->linger);
    for (unsigned l = 0; l < AD_LANES; l++) {
        ad_free(change->lanes[l]);
    }
    *change = (struct ad_sched_change){ .window = NULL };
}

/* Tries keep their places. Of those that the old ring had forgotten we know that they arrived
 * longer ago than its span; for a longer one that says nothing, and they count as new. */
static void window_change(struct ad_sched_window *w, struct ad_sched_sent *tries, unsigned cap,
                          uint64_t span_ms, uint64_t now)
{
    struct ad_sched_sent forgotten = { .sent_ms = 0 };
    if (span_ms > w->span_ms) {
        forgotten = (struct ad_sched_sent){ .sent_ms = now, .arrived_ms = now };
    }
    uint64_t first = w->next > cap ? w->next - cap : 0;
    for (uint64_t place = first; place < w->next; place++) {
        bool known = w->next - place <= w->cap;
        tries[place % cap] = known ? w->tries[place % w->cap] : forgotten;
    }
    ad_free(w->tries);
    w->tries = tries;
    w->cap = cap;
    w->span_ms = span_ms;
}

void ad_sched_commit(struct ad_sched *s, struct ad_sched_change *change, uint64_t now)
{
    const struct ad_sched_opts *o = &change->opts;
    window_change(&s->window, change->window, o->interval_cap, o->interval_ms, now);
    for (unsigned l = 0; l < AD_LANES; l++) {
        window_change(&s->lanes[l].window, change->lanes[l], o->per_s[l], 1000, now);
    }
    for (unsigned i = 0; i < s->linger_n; i++) {
        change->linger[i] = s->linger[(s->linger_first + i) % s->linger_cap];
    }
    ad_free(s->linger);
    s->linger = change->linger;
    s->linger_first = 0;
    s->linger_cap = change->linger_cap;
    unsigned queue_max = s->opts.queue_max;
    s->opts = *o;
    s->opts.queue_max = queue_max;
}

/* --- The end --- */

void ad_sched_fini(struct ad_sched *s)
{
    AD_ASSERT(s->waiting == 0);
    ad_free(s->window.tries);
    for (unsigned l = 0; l < AD_LANES; l++) {
        ad_free(s->lanes[l].window.tries);
    }
    ad_free(s->linger);
    *s = (struct ad_sched){ .waiting = 0 };
}
