#include "dispatch_private.h"

static void load_next(struct ad_dispatch *d);

/* ---- open -------------------------------------------------------------------------------- */

enum ad_err ad_dispatch_open(const struct ad_dispatch_opts *opts, struct ad_dispatch **out)
{
    struct ad_dispatch *d = ad_zalloc(sizeof(*d));
    if (!d) {
        return AD_ERR_NOMEM;
    }
    d->o = *opts;
    d->settle_done = ad_alloc_array(SETTLE_MAX, sizeof(int64_t));
    d->settle_dead = ad_alloc_array(SETTLE_MAX, sizeof(int64_t));
    d->settle_attempts = ad_alloc_array(SETTLE_MAX, sizeof(struct ad_attempt));
    if (!d->settle_done || !d->settle_dead || !d->settle_attempts) {
        ad_free(d->settle_done);
        ad_free(d->settle_dead);
        ad_free(d->settle_attempts);
        ad_free(d);
        return AD_ERR_NOMEM;
    }
    d->hold = true;
    d->behind = true;
    ad_rand_seed(&d->rand, opts->seed);
    ad_map_init(&d->held);
    ad_list_init(&d->to_settle);
    ad_list_init(&d->in_settle);
    ad_list_init(&d->inv_free);
    ad_list_init(&d->inv_running);
    struct ad_metrics *m = opts->metrics;
    d->g_held = ad_metric_gauge(m, "attiod_dispatch_held_events", NULL, "Events in memory.");
    d->g_running =
        ad_metric_gauge(m, "attiod_dispatch_running_invocations", NULL, "Handler calls under way.");
    d->g_retrying = ad_metric_gauge(m, "attiod_dispatch_retrying_lanes", NULL,
                                    "Subjects held back by a failing event.");
    d->c_late = ad_metric_counter(m, "attiod_handler_late_completions_total", NULL,
                                  "Completions ignored: a second one, or after the time-out.");
    d->c_timeout = ad_metric_counter(m, "attiod_handler_timeouts_total", NULL,
                                     "Handler calls that were not done in time.");
    d->c_unhandled = ad_metric_counter(m, "attiod_events_unhandled_total", NULL,
                                       "Events that no handler was registered for.");
    d->age = ad_metric_histogram(m, "attiod_event_age_seconds", NULL,
                                 "From receipt of an event until all its handlers were done.");
    *out = d;
    return AD_OK;
}

static struct ad_counter *outcome_counter(struct ad_dispatch *d, const char *handler,
                                          const char *outcome)
{
    struct ad_buf b;
    ad_buf_init(&b, 256);
    ad_buf_fmt(&b, "handler=\"%s\",outcome=\"%s\"", handler, outcome);
    ad_buf_putc(&b, '\0');
    struct ad_counter *c =
        ad_metric_counter(d->o.metrics, "attiod_handler_outcomes_total", b.failed ? "" : b.p,
                          "Handler calls by how they ended.");
    ad_buf_fini(&b);
    return c;
}

static struct handler_state *handler_get(struct ad_dispatch *d, const struct ad_handler *h)
{
    for (size_t i = 0; i < d->handlers_n; i++) {
        if (d->handlers[i].h == h) {
            return &d->handlers[i];
        }
    }
    AD_ASSERT(d->handlers_n < AD__HANDLERS_MAX); /* ad_service_handler refuses more */
    struct handler_state *hs = &d->handlers[d->handlers_n++];
    *hs = (struct handler_state){
        .d = d,
        .h = h,
        .concurrency = h->concurrency ? h->concurrency : 16,
        .timeout_ms = h->timeout_ms ? h->timeout_ms : 30000,
        .max_attempts = h->max_attempts ? h->max_attempts : 8,
        .retry_base_ms = h->retry_base_ms ? h->retry_base_ms : 1000,
        .done = outcome_counter(d, h->name, "done"),
        .retried = outcome_counter(d, h->name, "retry"),
        .died = outcome_counter(d, h->name, "dead"),
    };
    ad_map_init(&hs->lanes);
    ad_list_init(&hs->ready);
    return hs;
}

void ad_dispatch_meet(struct ad_dispatch *d, const struct ad_handler *handler)
{
    (void)handler_get(d, handler);
}

static void on_load_timer(struct ad_timer *t)
{
    load_next(ad_container_of(t, struct ad_dispatch, load_timer));
}

static void load_soon(struct ad_dispatch *d, unsigned delay_ms)
{
    if (!ad_timer_running(&d->load_timer)) {
        ad_timer_start(d->o.timers, &d->load_timer, delay_ms, on_load_timer);
    }
}

void ad_dispatch_without_attio(struct ad_dispatch *d)
{
    d->without_attio = true;
}

void ad_dispatch_hold(struct ad_dispatch *d, bool hold)
{
    if (d->hold && !hold) {
        d->behind = true;
        load_soon(d, 0);
        ad__pump_soon(d);
    }
    d->hold = hold;
}

/* ---- taking events into memory ----------------------------------------------------------- */

static bool matches(const struct ad_handler *h, const struct ad_handler_event *e)
{
    if (h->object && strcmp(h->object, e->object) != 0 && strcmp(h->object, e->object_id) != 0) {
        return false;
    }
    if (h->list_id && strcmp(h->list_id, e->list_id) != 0) {
        return false;
    }
    if (h->attribute_id && strcmp(h->attribute_id, e->attribute_id) != 0) {
        return false;
    }
    return !h->actor_type || strcmp(h->actor_type, e->actor_type) == 0;
}

static const char *put(char **at, struct ad_str s)
{
    char *p = *at;
    if (s.n) {
        memcpy(p, s.p, s.n);
    }
    p[s.n] = '\0';
    *at += s.n + 1;
    return p;
}

static struct ad_str slug_of(const struct ad_dispatch *d, struct ad_str object_id)
{
    const struct ad_object *o = object_id.n ? ad_schema_object(d->o.schema, object_id) : NULL;
    return o ? o->slug : AD_STR_NONE;
}

/* One block: the event, its items, its strings. */
static struct held *held_new(struct ad_dispatch *d, const struct ad_event *e, size_t items)
{
    const struct ad_str all[] = { e->type,
                                  e->subject,
                                  e->workspace_id,
                                  e->object_id,
                                  slug_of(d, e->object_id),
                                  e->record_id,
                                  e->duplicate_record_id,
                                  e->attribute_id,
                                  e->list_id,
                                  e->entry_id,
                                  e->primary_id,
                                  e->actor_type,
                                  e->actor_id,
                                  e->body };
    size_t size = sizeof(struct held) + items * sizeof(struct item);
    size_t text = 0;
    for (size_t i = 0; i < AD_LEN(all); i++) {
        text += all[i].n + 1;
    }
    struct held *h = ad_zalloc(size + text);
    if (!h) {
        return NULL;
    }
    char *at = (char *)h + size;
    struct ad_handler_event *v = &h->view;
    const char **to[] = { &v->type,     &v->subject,   &v->workspace_id,        &v->object_id,
                          &v->object,   &v->record_id, &v->duplicate_record_id, &v->attribute_id,
                          &v->list_id,  &v->entry_id,  &v->primary_id,          &v->actor_type,
                          &v->actor_id, &v->body };
    for (size_t i = 0; i < AD_LEN(all); i++) {
        *to[i] = put(&at, all[i]);
    }
    v->id = e->seq;
    v->received_ns = e->received_ns;
    v->body_n = e->body.n;
    memcpy(h->seq_key, &e->seq, sizeof(e->seq));
    ad_list_init(&h->link);
    return h;
}

void ad__held_free(struct ad_dispatch *d, struct held *h)
{
    ad_map_remove(&d->held, &h->node);
    ad_list_remove(&h->link);
    ad_free(h);
}

/* The state that earlier runs left in SQL for this handler's share. */
static void item_restore(struct item *it, const struct ad_attempt *attempts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct ad_attempt *a = &attempts[i];
        if (a->seq == it->event->view.id && ad_str_eq(a->handler, ad_str_c(it->handler->h->name))) {
            it->state = a->state;
            it->attempts = a->attempts;
            it->next_ns = a->next_ns;
            it->written = true;
            it->event->failed = true;
            it->event->dead = it->event->dead || a->state == AD_EVENT_DEAD;
            return;
        }
    }
}

/* One item for each handler that wants the event. */
static void items_make(struct ad_dispatch *d, struct held *h, const struct ad_handler **list,
                       size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!matches(list[i], &h->view)) {
            continue;
        }
        struct item *it = &h->items[h->items_n++];
        *it = (struct item){ .event = h, .handler = handler_get(d, list[i]) };
        ad_list_init(&it->link);
    }
}

/* Those whose handler needs Attio, while it is switched off. */
static void items_set_apart(struct held *h)
{
    for (size_t i = 0; i < h->items_n; i++) {
        struct item *it = &h->items[i];
        it->waits = it->handler->h->needs_attio && item_open(it);
        h->waits += it->waits;
    }
}

static bool item_runs(const struct item *it)
{
    return item_open(it) && !it->waits;
}

/* All items that run into their lanes, or, on no memory, none. */
static bool items_queue(struct held *h)
{
    for (size_t i = 0; i < h->items_n; i++) {
        struct item *it = &h->items[i];
        if (item_runs(it) && !(it->lane = ad__lane_get(it->handler, h->view.subject))) {
            for (size_t k = 0; k < i; k++) {
                if (h->items[k].lane) {
                    ad__lane_drop_if_empty(h->items[k].lane);
                }
            }
            return false;
        }
    }
    for (size_t i = 0; i < h->items_n; i++) {
        struct item *it = &h->items[i];
        if (item_runs(it)) {
            h->open++;
            ad__lane_insert(it->lane, it);
            ad__lane_schedule(it->lane);
        }
    }
    return true;
}

static struct held *held_get(const struct ad_dispatch *d, int64_t seq)
{
    struct ad_map_node *node = ad_map_get(&d->held, ad_str_n((const char *)&seq, sizeof(seq)));
    return node ? ad_container_of(node, struct held, node) : NULL;
}

static bool all_need_attio(const struct ad_handler *const *list, size_t n)
{
    size_t i = 0;
    while (i < n && list[i]->needs_attio) {
        i++;
    }
    return n > 0 && i == n;
}

/* False: no room, or no memory. The event stays in SQL and is loaded later. */
static bool take(struct ad_dispatch *d, const struct ad_event *e, const struct ad_attempt *attempts,
                 size_t attempts_n)
{
    if (held_get(d, e->seq)) {
        return true;
    }
    if (d->held.count >= d->o.window_max) {
        return false;
    }
    const struct ad_handler *list[AD__HANDLERS_MAX];
    size_t n = ad_registry_handlers(d->o.registry, e->type, list, AD__HANDLERS_MAX);
    if (d->without_attio && all_need_attio(list, n)) {
        return true; /* it stays in SQL, and is no concern of ours */
    }
    struct held *h = held_new(d, e, n);
    if (!h) {
        return false;
    }
    items_make(d, h, list, n);
    for (size_t i = 0; i < h->items_n; i++) {
        item_restore(&h->items[i], attempts, attempts_n);
    }
    if (d->without_attio) {
        items_set_apart(h);
    }
    if (!items_queue(h)) {
        ad_free(h);
        return false;
    }
    if (h->open == 0 && h->waits > 0) { /* what can be done was done before */
        ad_free(h);
        return true;
    }
    ad_map_put(&d->held, &h->node, ad_str_n(h->seq_key, sizeof(h->seq_key)));
    if (h->open == 0) {
        d->c_unhandled->v += h->items_n == 0;
        ad__settle_soon(d, h);
    }
    return true;
}

void ad_dispatch_push(struct ad_dispatch *d, const struct ad_event *events, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (events[i].seq == 0) {
            continue; /* a duplicate */
        }
        if (events[i].seq > d->seen_to) {
            d->seen_to = events[i].seq;
        }
        if (d->hold || d->behind || d->closing) {
            continue;
        }
        if (!take(d, &events[i], NULL, 0)) {
            d->behind = true; /* loaded from SQL when there is room */
            load_soon(d, 10);
            continue;
        }
        d->loaded_to = events[i].seq;
    }
    d->g_held->v = (int64_t)d->held.count;
}

/* ---- after an operator was there --------------------------------------------------------- */

static bool has_attempt(const struct item *it, const struct ad_attempt *attempts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (ad_str_eq(attempts[i].handler, ad_str_c(it->handler->h->name))) {
            return true;
        }
    }
    return false;
}

/* Replayed while it was held: whatever failed begins anew. */
static void check_shown(struct held *h, const struct ad_attempt *attempts, size_t n)
{
    h->shown = true;
    h->discarded = false;
    if (h->settling || ad_list_linked(&h->link)) {
        return; /* there is news that SQL does not know */
    }
    for (size_t i = 0; i < h->items_n; i++) {
        struct item *it = &h->items[i];
        if (it->state == AD_EVENT_RETRY && !it->inv && !it->waits &&
            !has_attempt(it, attempts, n)) {
            it->state = AD_EVENT_PENDING;
            it->attempts = 0;
            it->next_ns = 0;
            ad_list_remove(&it->link);
            ad__lane_insert(it->lane, it);
            ad__lane_schedule(it->lane);
        }
    }
}

/* Discarded while it was held: what has not begun does not begin, what fails does not begin again. */
static void drop(struct ad_dispatch *d, struct held *h)
{
    h->discarded = true;
    for (size_t i = 0; i < h->items_n; i++) {
        struct item *it = &h->items[i];
        if (item_runs(it) && !it->inv) {
            it->state = AD_EVENT_DONE;
            it->written = true;
            h->open--;
            ad__lane_leave(it);
        }
    }
    if (h->open == 0 && !h->settling && !ad_list_linked(&h->link)) {
        ad__held_free(d, h);
    }
}

struct sweep {
    struct ad_dispatch *d;
    int64_t after, to;
};

static void sweep_one(void *ctx, struct ad_map_node *node)
{
    const struct sweep *s = ctx;
    struct held *h = ad_container_of(node, struct held, node);
    if (h->view.id > s->after && h->view.id <= s->to && !h->shown) {
        drop(s->d, h);
    } else {
        h->shown = false;
    }
}

static void sweep(struct ad_dispatch *d, int64_t to)
{
    struct sweep s = { .d = d, .after = d->load.after, .to = to };
    ad_map_each(&d->held, sweep_one, &s);
}

/* ---- loading from SQL -------------------------------------------------------------------- */

/* False: there is no room for it now. */
static bool load_one(struct ad_dispatch *d, const struct ad_event *e,
                     const struct ad_attempt *attempts, size_t n)
{
    bool taken = take(d, e, attempts, n);
    struct held *h = taken && d->check ? held_get(d, e->seq) : NULL;
    if (h) { /* else it is one that only waits for Attio */
        check_shown(h, attempts, n);
    }
    return taken;
}

/* As far as there is room; false when it did not reach the end. */
static bool load_all(struct ad_dispatch *d, const struct ad_inbox_load *l)
{
    size_t a = 0;
    for (size_t i = 0; i < l->events_n; i++) {
        const struct ad_event *e = &l->events[i];
        while (a < l->attempts_n && l->attempts[a].seq < e->seq) {
            a++;
        }
        size_t b = a;
        while (b < l->attempts_n && l->attempts[b].seq == e->seq) {
            b++;
        }
        if (!load_one(d, e, l->attempts + a, b - a)) {
            return false;
        }
        d->loaded_to = e->seq;
    }
    return true;
}

static void on_loaded(struct ad_inbox_load *l)
{
    struct ad_dispatch *d = l->data;
    d->loading = false;
    if (d->closing) {
        ad__dispatch_maybe_closed(d);
        return;
    }
    if (l->err) {
        ad_log(AD_LOG_WARN, "inbox_load_failed", AD_KE("error", l->err),
               AD_KC("detail", l->info.msg));
        load_soon(d, 500);
        return;
    }
    if (d->reload) { /* it may have looked before the operator was there */
        d->reload = false;
        load_soon(d, 0);
        return;
    }
    bool room = load_all(d, l);
    if (d->check) {
        sweep(d, room && !l->more ? INT64_MAX : d->loaded_to);
    }
    d->g_held->v = (int64_t)d->held.count;
    if (!room) {
        load_soon(d, d->check ? CHECK_RETRY_MS : 10);
        return;
    }
    if (l->more) {
        load_soon(d, 0);
        return;
    }
    /* The read saw everything committed before it was submitted. Events pushed since were only
     * counted: look again. */
    if (d->load_seen < d->seen_to) {
        load_soon(d, 0);
        return;
    }
    if (d->loaded_to < d->seen_to) {
        d->loaded_to = d->seen_to;
    }
    d->behind = d->check = false;
}

static void load_next(struct ad_dispatch *d)
{
    if (d->loading || d->closing || d->hold || !d->behind) {
        return;
    }
    if (d->held.count >= d->o.window_max && !d->check) {
        load_soon(d, 10);
        return;
    }
    d->load = (struct ad_inbox_load){
        .after = d->loaded_to, .max = LOAD_MAX, .cb = on_loaded, .data = d
    };
    d->loading = true;
    d->load_seen = d->seen_to;
    if (ad_inbox_load(d->o.inbox, &d->load)) {
        d->loading = false;
        load_soon(d, 500);
    }
}

void ad_dispatch_reload(struct ad_dispatch *d, int64_t seq)
{
    int64_t after = seq > 0 ? seq - 1 : 0;
    d->loaded_to = after < d->loaded_to ? after : d->loaded_to;
    d->reload = d->loading;
    d->check = d->behind = true;
    load_soon(d, 0);
}

/* ---- close ------------------------------------------------------------------------------- */

/* Handlers that do not end by then are left behind: their events stay pending in SQL. */
#define CLOSE_GRACE_MS 3000

static void on_close_timer(struct ad_timer *t)
{
    struct ad_dispatch *d = ad_container_of(t, struct ad_dispatch, close_timer);
    ad__inv_abandon_all(d);
    ad__dispatch_maybe_closed(d);
}

static void free_lane(void *ctx, struct ad_map_node *node)
{
    struct handler_state *hs = ctx;
    struct lane *l = ad_container_of(node, struct lane, node);
    ad_timer_stop(hs->d->o.timers, &l->timer);
    ad_map_remove(&hs->lanes, node);
    ad_free(l);
}

static void free_held(void *ctx, struct ad_map_node *node)
{
    struct ad_dispatch *d = ctx;
    ad_map_remove(&d->held, node);
    ad_free(ad_container_of(node, struct held, node));
}

static void free_invocations(struct ad_list *list)
{
    for (struct ad_list *l = ad_list_pop(list); l; l = ad_list_pop(list)) {
        ad_free(ad_container_of(l, struct ad_invocation, link)->items);
        ad_free(ad_container_of(l, struct ad_invocation, link));
    }
}

/* Their handlers hold them, and may still look at them. */
static void leave_invocations(struct ad_list *list)
{
    for (struct ad_list *l = ad_list_pop(list); l; l = ad_list_pop(list)) {
        struct ad_invocation *inv = ad_container_of(l, struct ad_invocation, link);
        ad_free(inv->items);
        inv->items = NULL;
        inv->n = 0;
        inv->d = NULL;
        inv->state = INV_ORPHAN;
    }
}

void ad__dispatch_maybe_closed(struct ad_dispatch *d)
{
    if (!d->done || d->loading || d->settling || d->running > 0 || !ad_list_empty(&d->to_settle)) {
        return;
    }
    void (*done)(void *ctx) = d->done;
    void *ctx = d->done_ctx;
    struct ad_timers *q = d->o.timers;
    ad_timer_stop(q, &d->pump_timer);
    ad_timer_stop(q, &d->settle_timer);
    ad_timer_stop(q, &d->load_timer);
    ad_timer_stop(q, &d->close_timer);
    for (size_t i = 0; i < d->handlers_n; i++) {
        ad_map_each(&d->handlers[i].lanes, free_lane, &d->handlers[i]);
        ad_map_fini(&d->handlers[i].lanes);
    }
    ad_map_each(&d->held, free_held, d);
    ad_map_fini(&d->held);
    free_invocations(&d->inv_free);
    leave_invocations(&d->inv_running);
    ad_free(d->settle_done);
    ad_free(d->settle_dead);
    ad_free(d->settle_attempts);
    ad_free(d);
    done(ctx);
}

static void on_close_start(struct ad_timer *t)
{
    ad__dispatch_maybe_closed(ad_container_of(t, struct ad_dispatch, pump_timer));
}

void ad__dispatch_closed_soon(struct ad_dispatch *d)
{
    ad_timer_start(d->o.timers, &d->pump_timer, 0, on_close_start);
}

void ad_dispatch_stop(struct ad_dispatch *d)
{
    d->closing = true;
}

void ad_dispatch_close(struct ad_dispatch *d, void (*done)(void *ctx), void *ctx)
{
    d->closing = true;
    d->done = done;
    d->done_ctx = ctx;
    ad_timer_start(d->o.timers, &d->close_timer, CLOSE_GRACE_MS, on_close_timer);
    ad__dispatch_closed_soon(d);
}

void ad_dispatch_stats(const struct ad_dispatch *d, struct ad_dispatch_stats *out)
{
    *out = (struct ad_dispatch_stats){
        .held = d->held.count, .running = d->running, .retrying = d->retrying, .behind = d->behind
    };
    for (size_t i = 0; i < d->handlers_n; i++) {
        out->lanes += d->handlers[i].lanes.count;
    }
}
