#include "attio/client.h"

#include "base/log.h"
#include "base/mem.h"
#include "infra/crypto.h"

#include "client_private.h"

/* --- Scheduling --- */

static void on_wake(struct ad_timer *timer);

void ad__client_kick(struct ad_client *c)
{
    ad_timer_start(c->opts.timers, &c->wake, 0, on_wake);
}

static void show(struct ad_client *c, uint64_t now)
{
    c->metrics.waiting->v = c->sched.waiting;
    c->metrics.in_flight->v = c->sched.in_flight;
    for (unsigned l = 0; l < AD_LANES; l++) {
        c->metrics.paused[l]->v = c->sched.lanes[l].paused_until_ms > now;
    }
}

/* When to look at the scheduler again: when it says, and when a pause ends, for the gauge. */
static void arm(struct ad_client *c, uint64_t now, uint64_t look)
{
    for (unsigned l = 0; l < AD_LANES; l++) {
        uint64_t until = c->sched.lanes[l].paused_until_ms;
        look = until > now && until < look ? until : look;
    }
    if (look != UINT64_MAX) {
        ad_timer_start(c->opts.timers, &c->wake, look - now, on_wake);
    }
}

static void on_http_closed(void *ctx)
{
    struct ad_client *c = ctx;
    void (*done)(void *) = c->done;
    void *done_ctx = c->ctx;
    ad_timer_stop(c->opts.timers, &c->wake);
    ad_sched_fini(&c->sched);
    ad__client_key_put(c->key);
    ad_free(c);
    done(done_ctx);
}

/* The last call's callback has come, or is coming in the turn that is running: what is closed here
 * says so on a later one. */
static void maybe_closed(struct ad_client *c)
{
    if (c->http && ad_list_empty(&c->calls)) {
        struct ad_http_client *http = c->http;
        c->http = NULL;
        ad_http_client_close(http, on_http_closed, c);
    }
}

static void on_wake(struct ad_timer *timer)
{
    struct ad_client *c = ad_container_of(timer, struct ad_client, wake);
    if (c->closing) {
        maybe_closed(c);
        return;
    }
    uint64_t now = ad_mono_ms(c->opts.clock);
    uint64_t look = UINT64_MAX;
    struct ad_sched_item *item;
    while ((item = ad_sched_next(&c->sched, now, &look))) {
        ad__call_send(ad_container_of(item, struct ad_call_impl, item));
    }
    show(c, now);
    arm(c, now, look);
}

/* --- Opening --- */

static unsigned or_default(unsigned v, unsigned otherwise)
{
    return v ? v : otherwise;
}

static void fill_defaults(struct ad_client_opts *o)
{
    o->queue_max = or_default(o->queue_max, 10000);
    o->connect_ms = or_default(o->connect_ms, 5000);
    o->timeout_ms = or_default(o->timeout_ms, 30000);
    o->total_ms = or_default(o->total_ms, 120000);
    o->attempts_max = or_default(o->attempts_max, 5);
    o->retry_base_ms = or_default(o->retry_base_ms, 1000);
    o->retry_cap_ms = or_default(o->retry_cap_ms, 30000);
    o->response_max = o->response_max ? o->response_max : (size_t)16 << 20;
}

static void register_metrics(struct ad_client_metrics *m, struct ad_metrics *set)
{
#define LABELS_OF_READ(label) "lane=\"read\",outcome=\"" label "\""
#define LABELS_OF_WRITE(label) "lane=\"write\",outcome=\"" label "\""
#define REGISTER(name, label)                                                         \
    m->requests[AD_LANE_READ][AD_OUTCOME_##name] =                                    \
        ad_metric_counter(set, "attiod_attio_requests_total", LABELS_OF_READ(label),  \
                          "Tries sent to Attio by how they ended");                   \
    m->requests[AD_LANE_WRITE][AD_OUTCOME_##name] =                                   \
        ad_metric_counter(set, "attiod_attio_requests_total", LABELS_OF_WRITE(label), \
                          "Tries sent to Attio by how they ended");                   \
    m->retries[AD_OUTCOME_##name] =                                                   \
        ad_metric_counter(set, "attiod_attio_retries_total", "reason=\"" label "\"",  \
                          "Calls to Attio queued once more by what went wrong");
    AD_OUTCOME_LIST(REGISTER)
#undef REGISTER
    static const char *const lane_labels[AD_LANES] = { "lane=\"read\"", "lane=\"write\"" };
    for (unsigned l = 0; l < AD_LANES; l++) {
        m->limited[l] = ad_metric_counter(set, "attiod_attio_429_total", lane_labels[l],
                                          "Answers of Attio that said too many requests");
        m->paused[l] = ad_metric_gauge(set, "attiod_attio_lane_paused", lane_labels[l],
                                       "1 while a lane waits for the time Attio named");
    }
    m->seconds = ad_metric_histogram(set, "attiod_attio_request_seconds", NULL,
                                     "Time from sending a try to its end");
    m->wait_seconds = ad_metric_histogram(set, "attiod_attio_queue_wait_seconds", NULL,
                                          "Time a call waited before its first try");
    m->waiting = ad_metric_gauge(set, "attiod_attio_queue_waiting", NULL,
                                 "Calls waiting to be sent to Attio");
    m->in_flight = ad_metric_gauge(set, "attiod_attio_in_flight", NULL, "Tries under way to Attio");
    m->latched = ad_metric_gauge(set, "attiod_attio_latched", NULL,
                                 "1 while the credential is refused and calls are held back");
}

static enum ad_err open_http(struct ad_loop *loop, struct ad_client *c)
{
    struct ad_http_client_opts opts = {
        .origin = { .port = c->base.port },
        .host_header = c->base.origin,
        .dialer = c->opts.dialer,
        .connections_max = c->opts.concurrency,
        .connect_ms = c->opts.connect_ms,
        .idle_ms = 30000,
        .response_max = c->opts.response_max,
        .headers_max = (size_t)64 << 10,
    };
    _Static_assert(sizeof(opts.origin.host) >= sizeof(c->base.host), "a host fits");
    memcpy(opts.origin.host, c->base.host, sizeof(c->base.host));
    return ad_http_client_open(loop, &opts, &c->http);
}

/* All that can fail before there are handles to close. */
static enum ad_err prepare(struct ad_client *c, struct ad_str key, struct ad_errinfo *info)
{
    struct ad_sched_opts limits = {
        .concurrency = c->opts.concurrency,
        .interval_cap = c->opts.interval_cap,
        .interval_ms = c->opts.interval_ms,
        .per_s = { c->opts.reads_per_s, c->opts.writes_per_s },
        .queue_max = c->opts.queue_max,
    };
    enum ad_err err = ad_sched_init(&c->sched, &limits, info);
    if (err) {
        return err;
    }
    /* Every call has a timer; so many fit without asking for memory when one is started. */
    if (ad_timers_reserve(c->opts.timers, (size_t)c->opts.queue_max + c->opts.concurrency + 256)) {
        return ad_fail(info, AD_ERR_NOMEM, "no memory for the timers");
    }
    c->opts.api_key = AD_STR_NONE; /* the caller's memory */
    return ad__client_key_new(key, &c->key, info);
}

static enum ad_err check_opts(const struct ad_client_opts *opts, struct ad_base_url *base,
                              struct ad_errinfo *info)
{
    enum ad_err err = ad_base_url_parse(opts->base_url, opts->allow_plain_http, base, info);
    if (err) {
        return err;
    }
    if (base->tls && opts->enabled && !opts->dialer) { /* who never calls needs no TLS */
        return ad_fail(info, AD_ERR_CONFIG, "https to Attio needs a dialer that speaks TLS");
    }
    return AD_OK;
}

enum ad_err ad_client_open(struct ad_loop *loop, const struct ad_client_opts *opts,
                           struct ad_client **out, struct ad_errinfo *info)
{
    struct ad_base_url base;
    enum ad_err err = check_opts(opts, &base, info);
    if (err) {
        return err;
    }
    struct ad_client *c = ad_zalloc(sizeof(*c));
    if (!c) {
        return ad_fail(info, AD_ERR_NOMEM, "no memory for the client");
    }
    c->opts = *opts;
    c->opts.base_url = AD_STR_NONE;
    c->base = base;
    fill_defaults(&c->opts);
    ad_rand_seed(&c->rand, opts->seed);
    ad_list_init(&c->calls);
    register_metrics(&c->metrics, opts->metrics);
    err = prepare(c, opts->api_key, info);
    if (err) {
        goto fail;
    }
    err = open_http(loop, c);
    if (err) {
        err = ad_fail(info, err, "cannot open the HTTP client: %s", ad_err_text(err));
        goto fail;
    }
    *out = c;
    return AD_OK;

fail:
    ad__client_key_put(c->key);
    ad_sched_fini(&c->sched);
    ad_free(c);
    return err;
}

void ad_client_stop(struct ad_client *c)
{
    c->stopped = true;
    AD_LIST_FOREACH_SAFE (it, &c->calls) {
        ad_call_cancel(c, ad_container_of(it, struct ad_call_impl, link)->call);
    }
}

void ad_client_close(struct ad_client *c, void (*done)(void *ctx), void *ctx)
{
    AD_ASSERT(!c->closing);
    ad_client_stop(c);
    c->closing = true;
    c->done = done;
    c->ctx = ctx;
    ad__client_kick(c);
}

/* --- The latch --- */

void ad_client_latch(struct ad_client *c, enum ad_err why)
{
    if (c->latched != why) {
        ad_log(why ? AD_LOG_ERROR : AD_LOG_INFO, why ? "attio_latch_closed" : "attio_latch_opened",
               AD_KE("why", why ? why : c->latched));
    }
    c->latched = why;
    c->metrics.latched->v = why != AD_OK;
    if (!why) {
        return;
    }
    AD_LIST_FOREACH_SAFE (it, &c->calls) {
        struct ad_call_impl *impl = ad_container_of(it, struct ad_call_impl, link);
        if (impl->state == AD_CALL_WAITING && !impl->call->past_latch) {
            ad__call_end_later(impl, AD_ERR_DISABLED);
        }
    }
}

enum ad_err ad_client_latched(const struct ad_client *c)
{
    return c->latched;
}

void ad_client_on_unauthorized(struct ad_client *c, void (*cb)(void *ctx, uint64_t sent_ms),
                               void *ctx)
{
    c->on_unauthorized = cb;
    c->unauthorized_ctx = ctx;
}

/* --- For others to look at --- */

unsigned ad_client_window_percent(const struct ad_client *c)
{
    return ad_sched_window_percent(&c->sched, ad_mono_ms(c->opts.clock));
}

unsigned ad_client_interval_ms(const struct ad_client *c)
{
    return c->opts.interval_ms;
}

unsigned ad_client_interval_cap(const struct ad_client *c)
{
    return c->opts.interval_cap;
}

bool ad_client_writes_enabled(const struct ad_client *c)
{
    return c->opts.writes_enabled;
}

bool ad_client_enabled(const struct ad_client *c)
{
    return c->opts.enabled;
}

void ad_client_health(const struct ad_client *c, struct ad_client_health *out)
{
    uint64_t now = ad_mono_ms(c->opts.clock);
    *out = c->health;
    out->in_flight = c->sched.in_flight;
    out->waiting = c->sched.waiting;
    out->latched = c->latched;
    for (unsigned l = 0; l < AD_LANES; l++) {
        uint64_t until = c->sched.lanes[l].paused_until_ms;
        out->paused_ms = until > now + out->paused_ms ? until - now : out->paused_ms;
    }
}
