/* Looking after our webhook, and after what it may have cost us when it was not well.
 *
 *   every watchMs: ensure (it heals what can be healed) -> look at the gap in SQL
 *   a gap is open and armed, and no sync is under way: sync everything; look every few seconds
 *   until a complete run of every object has closed it
 *
 * Who changes the webhook otherwise (bringup, operators) tells what came of it: ad__watch_saw. */
#include "attio/gap.h"
#include "attio/version.h"
#include "base/json_write.h"
#include "service/sync.h"
#include "service_private.h"

#define GAP_POLL_MS 5000
#define RETRY_BASE_MS 60000
#define RETRY_CAP_MS 3600000

static const char degraded[] = "the webhook was degraded: deliveries were given up";

struct ad_watch {
    struct ad_service *s;
    struct ad_timer timer;
    struct ad_account_op op;
    struct ad_gap gap;
    bool started, asking, looking, again;
    enum ad_webhook_status status;
    uint64_t asked_ms;
    const char *note; /* a gap to be noted with the next look */
    bool open;
    int64_t after; /* as armed */
    char why[128];
    unsigned syncs;   /* begun for this gap */
    uint64_t sync_ms; /* not before this is another begun */
    struct ad_gauge *g_status[AD_WEBHOOK_STATUSES], *g_gap;
    struct ad_counter *c_healed, *c_syncs;
    void (*done)(void *ctx);
    void *done_ctx;
};

static void tick(struct ad_watch *w);

static void on_timer(struct ad_timer *t)
{
    tick(ad_container_of(t, struct ad_watch, timer));
}

static uint64_t now_ms(const struct ad_watch *w)
{
    return ad_mono_ms(w->s->o.clock);
}

static void finish_close(struct ad_watch *w)
{
    void (*done)(void *ctx) = w->done;
    void *ctx = w->done_ctx;
    ad_free(w);
    done(ctx);
}

/* True: nothing may follow. */
static bool maybe_closed(struct ad_watch *w)
{
    if (w->done && !w->asking && !w->looking) {
        finish_close(w);
        return true;
    }
    return w->done != NULL;
}

static void sleep_until_next(struct ad_watch *w)
{
    uint64_t wait = w->s->o.webhook_watch_ms;
    if (w->again) {
        wait = 0;
    } else if (w->open && wait > GAP_POLL_MS) {
        wait = GAP_POLL_MS;
    }
    w->again = false;
    ad_timer_start(w->s->o.timers, &w->timer, wait, on_timer);
}

/* --- The gap --- */

static void begin_sync(struct ad_watch *w)
{
    struct ad_errinfo info = { .code = AD_OK };
    unsigned runs = 0;
    uint64_t now = now_ms(w);
    if (ad__sync_active(w->s->sync) > 0 || now < w->sync_ms) {
        return;
    }
    enum ad_err err = ad_service_sync_all(w->s, false, &runs, &info);
    if (err) {
        ad_log(AD_LOG_WARN, "gap_sync_not_begun", AD_KC("why", w->why), AD_KE("error", err),
               AD_KC("detail", info.msg));
        return;
    }
    unsigned shift = w->syncs < 6 ? w->syncs : 6;
    uint64_t wait = (uint64_t)RETRY_BASE_MS << shift;
    w->syncs++;
    w->sync_ms = now + (wait < RETRY_CAP_MS ? wait : RETRY_CAP_MS);
    w->c_syncs->v++;
    ad_log(AD_LOG_WARN, "gap_sync", AD_KC("why", w->why), AD_KI("runs", runs));
}

static void note_gap(struct ad_watch *w, const struct ad_gap *g)
{
    if (g->closed) {
        ad_log(AD_LOG_INFO, "gap_closed", AD_KC("why", w->why));
    }
    if (g->open && (!w->open || strcmp(w->why, g->why) != 0)) {
        ad_log(AD_LOG_WARN, "gap", AD_KC("why", g->why));
    }
    if (g->after != w->after) { /* another gap, or one that was noted again */
        w->syncs = 0;
        w->sync_ms = 0;
    }
    w->open = g->open;
    w->after = g->after;
    w->g_gap->v = g->open;
    memcpy(w->why, g->why, sizeof(w->why));
}

static void on_looked(struct ad_gap *g)
{
    struct ad_watch *w = g->data;
    w->looking = false;
    if (maybe_closed(w)) {
        return;
    }
    if (g->err) {
        ad_log(AD_LOG_WARN, "gap_not_looked_at", AD_KE("error", g->err),
               AD_KC("detail", g->info.msg));
    } else {
        w->note = w->note == g->note ? NULL : w->note;
        note_gap(w, g);
    }
    if (w->open && w->after) {
        begin_sync(w);
    }
    sleep_until_next(w);
}

static bool is_well(const struct ad_watch *w)
{
    return !w->s->receiver || w->status == AD_WEBHOOK_ACTIVE;
}

static void look(struct ad_watch *w)
{
    const struct ad_service_opts *o = &w->s->o;
    w->gap = (struct ad_gap){
        .note = w->note,
        /* Where nobody sends anything, silence says nothing. */
        .silent_ns = ad_webhook_secrets_count(o->secrets) ? o->webhook_gap_ms * AD_NS_PER_MS : 0,
        .now_ns = ad_wall_ns(o->clock),
        .version = ad_versions_next(o->versions),
        .cb = on_looked,
        .data = w,
    };
    w->gap.well = is_well(w) && w->gap.version > 0;
    w->looking = ad_gap_look(o->store, &w->gap) == AD_OK;
    if (!w->looking) {
        sleep_until_next(w);
    }
}

/* --- The webhook --- */

static void set_status(struct ad_watch *w, enum ad_webhook_status status)
{
    if (status == w->status) {
        return;
    }
    ad_log(status == AD_WEBHOOK_ACTIVE ? AD_LOG_INFO : AD_LOG_ERROR, "webhook_status",
           AD_KC("status", ad_webhook_status_name(status)),
           AD_KC("before", ad_webhook_status_name(w->status)));
    w->g_status[w->status]->v = 0;
    w->status = status;
    w->g_status[status]->v = 1;
    if (status == AD_WEBHOOK_DEGRADED) {
        w->note = degraded;
    }
}

static bool was_healed(const struct ad_account_op *op)
{
    return op->err == AD_OK && op->status == AD_WEBHOOK_ACTIVE &&
           (op->found == AD_WEBHOOK_INACTIVE || op->found == AD_WEBHOOK_ALTERED ||
            op->found == AD_WEBHOOK_MISSING);
}

static void take(struct ad_watch *w, const struct ad_account_op *op)
{
    if (op->status != AD_WEBHOOK_UNCHECKED) {
        set_status(w, op->status);
    } else if (op->found != AD_WEBHOOK_UNCHECKED) {
        set_status(w, op->found); /* healing it failed */
    }
    if (was_healed(op)) {
        w->c_healed->v++;
    }
}

static void on_ensured(struct ad_account_op *op)
{
    struct ad_watch *w = op->data;
    w->asking = false;
    if (maybe_closed(w)) {
        return;
    }
    if (op->err) {
        ad_log(AD_LOG_WARN, "webhook_watch_failed", AD_KE("error", op->err),
               AD_KC("detail", op->info.msg));
    }
    take(w, op);
    look(w);
}

static void ask(struct ad_watch *w)
{
    w->asked_ms = now_ms(w);
    w->op = (struct ad_account_op){
        .url = ad_str_c(w->s->receiver),
        .events = w->s->o.webhook_events,
        .cb = on_ensured,
        .data = w,
    };
    w->asking = ad_account_webhook_ensure(w->s->o.account, &w->op) == AD_OK;
    if (!w->asking) {
        look(w);
    }
}

static void tick(struct ad_watch *w)
{
    bool due = now_ms(w) - w->asked_ms >= w->s->o.webhook_watch_ms;
    if (w->s->receiver && due) {
        ask(w);
    } else {
        look(w);
    }
}

/* --- For the other parts --- */

/* Soon, and behind what is under way. */
static void look_soon(struct ad_watch *w)
{
    if (w->asking || w->looking) {
        w->again = true;
    } else if (w->started && !w->done) {
        ad_timer_start(w->s->o.timers, &w->timer, 0, on_timer);
    }
}

void ad__watch_saw(struct ad_watch *w, const struct ad_account_op *op)
{
    take(w, op);
    w->asked_ms = now_ms(w);
    look_soon(w);
}

void ad__watch_look(struct ad_watch *w)
{
    look_soon(w);
}

void ad__watch_start(struct ad_watch *w)
{
    w->started = true;
    look_soon(w);
}

bool ad__watch_is_well(const struct ad_watch *w)
{
    bool bad = w->status != AD_WEBHOOK_ACTIVE && w->status != AD_WEBHOOK_UNCHECKED;
    return !w->open && !(w->s->receiver && bad);
}

void ad__watch_write(const struct ad_watch *w, struct ad_json_writer *out)
{
    ad_json_obj(out);
    ad_json_f_cstr(out, "state", ad__watch_is_well(w) ? "ok" : "degraded");
    ad_json_f_cstr(out, "status", w->s->receiver ? ad_webhook_status_name(w->status) : "none");
    ad_json_key(out, "age_ms");
    if (w->asked_ms) {
        ad_json_w_u64(out, now_ms(w) - w->asked_ms);
    } else {
        ad_json_w_null(out);
    }
    ad_json_f_cstr(out, "gap", w->open ? w->why : NULL);
    ad_json_end(out);
}

enum ad_err ad__watch_open(struct ad_service *s, struct ad_watch **out)
{
    static const char *const labels[AD_WEBHOOK_STATUSES] = {
        "status=\"unchecked\"",      "status=\"active\"",  "status=\"degraded\"",
        "status=\"inactive\"",       "status=\"altered\"", "status=\"missing\"",
        "status=\"secret_unknown\"",
    };
    struct ad_metrics *m = s->o.metrics;
    struct ad_watch *w = ad_zalloc(sizeof(*w));
    if (!w) {
        return AD_ERR_NOMEM;
    }
    w->s = s;
    for (unsigned i = 0; i < AD_WEBHOOK_STATUSES; i++) {
        w->g_status[i] = ad_metric_gauge(m, "attiod_webhook_status", labels[i],
                                         "1 for what our webhook at Attio is.");
    }
    w->g_status[AD_WEBHOOK_UNCHECKED]->v = 1;
    w->g_gap =
        ad_metric_gauge(m, "attiod_webhook_gap", NULL,
                        "1 while events may be missing and no full sync has made up for it.");
    w->c_healed = ad_metric_counter(m, "attiod_webhook_healed_total", NULL,
                                    "Times our webhook was made anew or changed back.");
    w->c_syncs = ad_metric_counter(m, "attiod_gap_syncs_total", NULL,
                                   "Full syncs begun because events may be missing.");
    *out = w;
    return AD_OK;
}

void ad__watch_close(struct ad_watch *w, void (*done)(void *ctx), void *ctx)
{
    ad_timer_stop(w->s->o.timers, &w->timer);
    w->done = done;
    w->done_ctx = ctx;
    (void)maybe_closed(w);
}
