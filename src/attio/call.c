/* The way of one call through the client: see attio/client.h. */
#include "attio/client.h"

#include "attio/error.h"
#include "attio/retry.h"
#include "base/log.h"
#include "base/mem.h"

#include "client_private.h"

static const char *const lane_names[AD_LANES] = { "read", "write" };

/* Response headers and an error body as a document. */
#define CALL_ARENA_MAX ((size_t)1 << 20)

static uint64_t now_of(const struct ad_call_impl *impl)
{
    return ad_mono_ms(impl->client->opts.clock);
}

/* --- The end --- */

static void impl_free(struct ad_call_impl *impl)
{
    ad__client_key_put(impl->key);
    ad_arena_fini(&impl->arena);
    ad_buf_fini(&impl->response);
    ad_free(impl);
}

/* Calls the user, whose answer lives in impl until then. The client may be closing and is not
 * touched afterwards. */
static void finish(struct ad_call_impl *impl)
{
    struct ad_call *call = impl->call;
    ad_timer_stop(impl->client->opts.timers, &impl->timer);
    ad_list_remove(&impl->link);
    ad__client_kick(impl->client); /* others may go now; or it was the last one */
    call->impl = NULL;
    call->cb(call);
    impl_free(impl);
}

static void on_end(struct ad_timer *timer)
{
    finish(ad_container_of(timer, struct ad_call_impl, timer));
}

/* What a call that ends while it waits has to say. A call that was tried says what happened to it,
 * which tells more than that the time is over. */
static void set_end(struct ad_call_impl *impl, enum ad_err err)
{
    struct ad_call *call = impl->call;
    if (err == AD_ERR_TIMEOUT && call->attempts) {
        ad_errinfo_prefix(&call->info, "gave up after %u tries", call->attempts);
        return;
    }
    call->err = ad_fail(&call->info, err, "%s %s: %s", call->method, call->route,
                        err == AD_ERR_TIMEOUT ? "its time was over before it could be sent"
                                              : ad_err_text(err));
}

void ad__call_end_later(struct ad_call_impl *impl, enum ad_err err)
{
    if (impl->state == AD_CALL_WAITING) {
        ad_sched_remove(&impl->client->sched, &impl->item);
    }
    impl->state = AD_CALL_ENDING;
    set_end(impl, err);
    ad_timer_start(impl->client->opts.timers, &impl->timer, 0, on_end);
}

/* --- Reading the answer --- */

/* A message of route and numbers: never of what was sent or answered. */
static void describe_answer(struct ad_call *call, enum ad_err err)
{
    bool words = call->attio_type[0] || call->attio_code[0];
    call->err = ad_fail(&call->info, err, "Attio answered %u%s%s%s%s to %s %s", call->status,
                        words ? " " : "", call->attio_type, words ? " " : "", call->attio_code,
                        call->method, call->route);
}

static void read_error(struct ad_call_impl *impl)
{
    struct ad_call *call = impl->call;
    struct ad_attio_error error;
    ad_attio_error_read(&impl->arena, call->response, &error);
    memcpy(call->attio_type, error.type, sizeof(call->attio_type));
    memcpy(call->attio_code, error.code, sizeof(call->attio_code));
    call->attio_message = error.message;
    describe_answer(call, ad_attio_error_class(call->status, &error));
    call->info.sent = !ad_attio_error_is_refusal(call->status);
}

static void check_success(struct ad_call *call)
{
    enum ad_err err = call->on_check ? call->on_check(call) : AD_OK;
    call->info.sent = true;
    if (err) {
        call->err = ad_fail(&call->info, err == AD_ERR_NOMEM ? err : AD_ERR_PROTOCOL,
                            "Attio's answer %u to %s %s makes no sense", call->status, call->method,
                            call->route);
    }
}

static void read_headers(struct ad_call_impl *impl)
{
    struct ad_str at =
        ad_http_header(impl->http.response_headers, impl->http.response_headers_n, "x-accurate-at");
    if (!ad_time_parse(at, &impl->call->accurate_ns)) {
        impl->call->accurate_ns = 0;
    }
}

static void reset_result(struct ad_call *call)
{
    call->err = AD_OK;
    call->info = (struct ad_errinfo){ .code = AD_OK };
    call->status = 0;
    call->response = call->attio_message = AD_STR_NONE;
    call->accurate_ns = 0;
    call->attio_type[0] = call->attio_code[0] = '\0';
}

static void read_answer(struct ad_call_impl *impl)
{
    struct ad_call *call = impl->call;
    const struct ad_http_call *http = &impl->http;
    reset_result(call);
    if (http->err) {
        call->err = http->err;
        call->info = http->info;
        call->info.code = http->err;
        call->info.sent = http->sent;
        ad_errinfo_prefix(&call->info, "%s %s", call->method, call->route);
        return;
    }
    call->status = http->status;
    call->response = ad_buf_str(impl->http.response);
    read_headers(impl);
    if (call->status >= 200 && call->status < 300) {
        check_success(call);
    } else {
        read_error(impl);
    }
}

/* --- Keeping the books --- */

static enum ad_outcome outcome_of_answer(const struct ad_call *call)
{
    switch (call->err) {
    case AD_OK:
        return AD_OUTCOME_OK;
    case AD_ERR_RATELIMITED:
        return AD_OUTCOME_LIMITED;
    case AD_ERR_UPSTREAM:
        return AD_OUTCOME_SERVER;
    case AD_ERR_PROTOCOL:
    case AD_ERR_NOMEM:
        return AD_OUTCOME_GARBAGE;
    default:
        return AD_OUTCOME_REJECTED;
    }
}

static enum ad_outcome outcome_of(const struct ad_call_impl *impl)
{
    switch (impl->http.err) {
    case AD_OK:
        return outcome_of_answer(impl->call);
    case AD_ERR_TIMEOUT:
        return AD_OUTCOME_TIMEOUT;
    case AD_ERR_CANCELED:
        return impl->end_err == AD_ERR_TIMEOUT ? AD_OUTCOME_TIMEOUT : AD_OUTCOME_CANCELED;
    case AD_ERR_PROTOCOL:
    case AD_ERR_TOOLARGE:
        return AD_OUTCOME_GARBAGE;
    default:
        return AD_OUTCOME_NETWORK;
    }
}

/* Who ended the try: what we hung up on may still be worked on. */
static enum ad_sched_end end_of(const struct ad_call_impl *impl)
{
    switch (impl->http.err) {
    case AD_OK:
        return impl->http.status == 429 ? AD_SCHED_LIMITED : AD_SCHED_ANSWERED;
    case AD_ERR_TIMEOUT:
    case AD_ERR_CANCELED:
    case AD_ERR_PROTOCOL:
    case AD_ERR_TOOLARGE:
    case AD_ERR_NOMEM:
        return impl->http.sent ? AD_SCHED_GIVEN_UP : AD_SCHED_FAILED;
    default:
        return AD_SCHED_FAILED;
    }
}

static void keep_books(struct ad_call_impl *impl, enum ad_outcome outcome, uint64_t now)
{
    struct ad_client *c = impl->client;
    enum ad_lane lane = impl->call->lane;
    unsigned took_ms = (unsigned)(now - impl->call->sent_ms);
    c->metrics.requests[lane][outcome]->v++;
    ad_histogram_observe_ms(c->metrics.seconds, took_ms);
    if (outcome == AD_OUTCOME_OK || outcome == AD_OUTCOME_REJECTED) {
        c->health.last_ok_ms = now;
        c->health.last_latency_ms = took_ms;
    } else if (outcome != AD_OUTCOME_CANCELED) {
        c->health.last_fail_ms = now;
        c->health.last_err = impl->call->err;
    }
    if (impl->http.err) {
        return;
    }
    if (impl->http.status == 429) {
        c->limited[lane]++;
        c->metrics.limited[lane]->v++;
    } else {
        c->answered[lane]++;
    }
}

/* --- Once more --- */

/* Back into the queue, unless that would end behind the deadline: then it fails now. */
static bool again_at(struct ad_call_impl *impl, uint64_t ready_ms, enum ad_outcome reason)
{
    if (ready_ms >= impl->deadline_at_ms) {
        return false;
    }
    ad_log(AD_LOG_DEBUG, "attio_again", AD_KC("route", impl->call->route),
           AD_KE("err", impl->call->err), AD_KI("status", impl->call->status),
           AD_KI("wait_ms", ready_ms - now_of(impl)), AD_KI("tries", impl->call->attempts));
    impl->client->metrics.retries[reason]->v++;
    impl->state = AD_CALL_WAITING;
    ad_sched_again(&impl->client->sched, &impl->item, ready_ms);
    ad__client_kick(impl->client);
    return true;
}

/* After a 429: is it the query that is refused, and not the rate? Only queries have a score. */
static bool is_too_complex(struct ad_call_impl *impl)
{
    const struct ad_client *c = impl->client;
    enum ad_lane lane = impl->call->lane;
    bool first = impl->limited == 1;
    bool others_answered = !first && c->answered[lane] != impl->answered_seen;
    bool others_limited = !first && c->limited[lane] != impl->limited_seen + 1;
    impl->answered_seen = c->answered[lane];
    impl->limited_seen = c->limited[lane];
    impl->alone_among += others_answered;
    impl->alone = others_answered || others_limited ? 0 : impl->alone + 1;
    return impl->call->reads_only && strcmp(impl->call->method, "POST") == 0 &&
           (impl->alone_among >= AD_CLIENT_COMPLEX_AFTER ||
            impl->alone >= 2 * AD_CLIENT_COMPLEX_AFTER);
}

static uint64_t asked_wait_ms(struct ad_call_impl *impl, uint64_t otherwise)
{
    uint64_t wait = otherwise;
    int64_t wall_s = ad_wall_ms(impl->client->opts.clock) / 1000;
    if (!ad_retry_after_ms(impl->http.response_headers, impl->http.response_headers_n, wall_s,
                           &wait)) {
        wait = otherwise;
    }
    return wait;
}

static bool again_after_429(struct ad_call_impl *impl, uint64_t now)
{
    struct ad_client *c = impl->client;
    uint64_t wait = asked_wait_ms(impl, ad_retry_default_ms(&c->rand));
    enum ad_lane lane = impl->call->lane;
    impl->limited++;
    ad_sched_pause(&c->sched, lane, now + wait);
    ad_log(AD_LOG_WARN, "attio_rate_limited", AD_KC("lane", lane_names[lane]),
           AD_KC("route", impl->call->route), AD_KI("pause_ms", wait));
    if (is_too_complex(impl)) {
        impl->call->err =
            ad_fail(&impl->call->info, AD_ERR_TOOLARGE, "Attio refused %s %s %u times: too complex",
                    impl->call->method, impl->call->route, impl->limited);
        return false;
    }
    /* The third and later ones stand back, so that one hopeless query does not hold the lane. */
    uint64_t stand_back = impl->limited > 2 ? wait + UINT64_C(100) * impl->limited : 0;
    return now + wait < impl->deadline_at_ms &&
           again_at(impl, now + stand_back, AD_OUTCOME_LIMITED);
}

static bool again_after_failure(struct ad_call_impl *impl, uint64_t now)
{
    struct ad_client *c = impl->client;
    const struct ad_call *call = impl->call;
    enum ad_outcome reason = outcome_of(impl);
    struct ad_retry_try try = {
        .err = call->err,
        .sent = call->info.sent,
        .reused = impl->http.err && impl->http.reused && !impl->free_used,
        .asks_again = strcmp(call->attio_code, "concurrent_write_conflict") == 0,
        .reads_only = call->reads_only,
    };
    switch (ad_retry_decide(&try)) {
    case AD_RETRY_AT_ONCE:
        impl->free_used = true;
        return again_at(impl, now, reason);
    case AD_RETRY_LATER:
        if (++impl->failures >= c->opts.attempts_max) {
            return false;
        }
        break;
    default:
        return false;
    }
    uint64_t wait =
        ad_retry_backoff_ms(&c->rand, impl->failures, c->opts.retry_base_ms, c->opts.retry_cap_ms);
    uint64_t asked = call->status >= 500 ? asked_wait_ms(impl, 0) : 0;
    return again_at(impl, now + (wait > asked ? wait : asked), reason);
}

static bool again(struct ad_call_impl *impl, uint64_t now)
{
    const struct ad_client *c = impl->client;
    if (c->stopped || (c->latched && !impl->call->past_latch)) {
        return false;
    }
    if (impl->call->err == AD_ERR_UNAUTHORIZED && impl->key != c->key) {
        return again_at(impl, now, AD_OUTCOME_REJECTED); /* the key was changed meanwhile */
    }
    return impl->call->err == AD_ERR_RATELIMITED ? again_after_429(impl, now)
                                                 : again_after_failure(impl, now);
}

/* --- One try --- */

/* It was cancelled, or its time was over, while it flew. Whether it was sent is kept. */
static void end_flying(struct ad_call_impl *impl)
{
    struct ad_call *call = impl->call;
    call->err = ad_fail(&call->info, impl->end_err, "%s %s: %s", call->method, call->route,
                        ad_err_text(impl->end_err));
    finish(impl);
}

/* The listener may start calls but not end any, so this one is still there afterwards. */
static void tell_of_401(const struct ad_call_impl *impl)
{
    const struct ad_client *c = impl->client;
    if (impl->call->err == AD_ERR_UNAUTHORIZED && impl->key == c->key && !impl->call->past_latch &&
        c->on_unauthorized) {
        c->on_unauthorized(c->unauthorized_ctx, impl->call->sent_ms);
    }
}

static void on_http(struct ad_http_call *http)
{
    struct ad_call_impl *impl = ad_container_of(http, struct ad_call_impl, http);
    uint64_t now = now_of(impl);
    read_answer(impl);
    ad_sched_done(&impl->client->sched, &impl->item, end_of(impl), now);
    keep_books(impl, outcome_of(impl), now);
    impl->state = AD_CALL_ENDING;
    tell_of_401(impl);
    if (http->err && impl->end_err) {
        end_flying(impl);
        return;
    }
    if (impl->call->err && !impl->end_err && again(impl, now)) {
        return;
    }
    finish(impl);
}

static void take_key(struct ad_call_impl *impl)
{
    ad__client_key_put(impl->key);
    impl->key = impl->client->key;
    impl->key->users++;
}

static void fill_headers(struct ad_call_impl *impl)
{
    impl->headers[0] =
        (struct ad_http_header){ AD_STR("Authorization"), ad_str_n(impl->key->text, impl->key->n) };
    impl->headers[1] = (struct ad_http_header){ AD_STR("Accept"), AD_STR("application/json") };
    impl->headers[2] =
        (struct ad_http_header){ AD_STR("User-Agent"), AD_STR("attiod/" ATTIOD_VERSION) };
    impl->headers[3] =
        (struct ad_http_header){ AD_STR("Content-Type"), AD_STR("application/json") };
}

static void fill_http(struct ad_call_impl *impl, uint64_t now)
{
    const struct ad_call *call = impl->call;
    uint64_t left = impl->deadline_at_ms > now ? impl->deadline_at_ms - now : 1;
    unsigned timeout = impl->client->opts.timeout_ms;
    ad_arena_reset(&impl->arena);
    struct ad_buf *response = call->into ? call->into : &impl->response;
    ad_buf_clear(response);
    take_key(impl);
    fill_headers(impl);
    impl->http = (struct ad_http_call){
        .method = call->method,
        .path = ad_str_c(impl->path),
        .headers = impl->headers,
        .headers_n = call->body.p ? 4 : 3,
        .body = call->body,
        .timeout_ms = left < timeout ? (unsigned)left : timeout,
        .arena = &impl->arena,
        .response = response,
        .cb = on_http,
    };
}

void ad__call_send(struct ad_call_impl *impl)
{
    struct ad_client *c = impl->client;
    struct ad_call *call = impl->call;
    uint64_t now = now_of(impl);
    impl->state = AD_CALL_FLYING;
    call->sent_ms = now;
    if (!call->attempts) {
        ad_histogram_observe_ms(c->metrics.wait_seconds, (double)(now - impl->queued_ms));
    }
    reset_result(call); /* its slices point to what fill_http empties */
    fill_http(impl, now);
    if (call->on_send) {
        call->on_send(call);
    }
    enum ad_err err = ad_http_call_start(c->http, &impl->http);
    if (err) {
        ad_sched_done(&c->sched, &impl->item, AD_SCHED_FAILED, now);
        impl->state = AD_CALL_ENDING;
        ad__call_end_later(impl, err);
        return;
    }
    call->attempts++;
    c->health.calls++;
}

/* --- Starting and stopping --- */

static void on_deadline(struct ad_timer *timer)
{
    struct ad_call_impl *impl = ad_container_of(timer, struct ad_call_impl, timer);
    if (impl->state == AD_CALL_FLYING) {
        impl->end_err = AD_ERR_TIMEOUT;
        ad_http_call_cancel(impl->client->http, &impl->http);
        return;
    }
    ad_sched_remove(&impl->client->sched, &impl->item);
    set_end(impl, AD_ERR_TIMEOUT);
    finish(impl);
}

void ad_call_cancel(struct ad_client *c, struct ad_call *call)
{
    struct ad_call_impl *impl = call->impl;
    if (!impl || impl->end_err || impl->state == AD_CALL_ENDING) {
        return;
    }
    if (impl->state == AD_CALL_WAITING) {
        ad__call_end_later(impl, AD_ERR_CANCELED);
        return;
    }
    impl->end_err = AD_ERR_CANCELED;
    ad_http_call_cancel(c->http, &impl->http);
}

/* What goes into a request line must not be able to begin another line. */
static bool is_sound(const struct ad_call *call)
{
    if (!call->method || !call->route || !call->cb || call->path.n == 0 || call->path.p[0] != '/') {
        return false;
    }
    for (size_t i = 0; i < call->path.n; i++) {
        if (call->path.p[i] <= ' ' || call->path.p[i] > '~') {
            return false;
        }
    }
    return true;
}

static enum ad_err check_start(const struct ad_client *c, const struct ad_call *call)
{
    if (c->stopped) {
        return AD_ERR_CLOSED;
    }
    if (!c->opts.enabled || (call->lane == AD_LANE_WRITE && !c->opts.writes_enabled) ||
        (c->latched && !call->past_latch)) {
        return AD_ERR_DISABLED;
    }
    return is_sound(call) ? AD_OK : AD_ERR_INVALID;
}

static struct ad_call_impl *impl_new(struct ad_client *c, struct ad_call *call)
{
    size_t prefix_n = strlen(c->base.prefix);
    struct ad_call_impl *impl = ad_zalloc(sizeof(*impl) + prefix_n + call->path.n + 1);
    if (!impl) {
        return NULL;
    }
    size_t most = call->response_max ? call->response_max : c->opts.response_max;
    impl->client = c;
    impl->call = call;
    impl->item.lane = call->lane;
    impl->item.priority = call->priority;
    impl->item.urgent = call->past_latch;
    memcpy(impl->path, c->base.prefix, prefix_n);
    memcpy(impl->path + prefix_n, call->path.p, call->path.n);
    ad_arena_init(&impl->arena, CALL_ARENA_MAX);
    ad_buf_init(&impl->response, most);
    return impl;
}

static void start(struct ad_call_impl *impl, uint64_t now)
{
    struct ad_client *c = impl->client;
    struct ad_call *call = impl->call;
    unsigned most = c->opts.total_ms;
    unsigned deadline = call->deadline_ms && call->deadline_ms < most ? call->deadline_ms : most;
    reset_result(call);
    call->attempts = 0;
    call->impl = impl;
    impl->queued_ms = now;
    impl->deadline_at_ms = now + deadline;
    ad_list_push(&c->calls, &impl->link);
    ad_timer_start(c->opts.timers, &impl->timer, deadline, on_deadline);
    ad__client_kick(c);
}

enum ad_err ad_call_start(struct ad_client *c, struct ad_call *call)
{
    enum ad_err err = check_start(c, call);
    if (err) {
        return err;
    }
    struct ad_call_impl *impl = impl_new(c, call);
    if (!impl) {
        return AD_ERR_NOMEM;
    }
    uint64_t now = now_of(impl);
    err = ad_sched_add(&c->sched, &impl->item, now);
    if (err) {
        impl_free(impl);
        return err;
    }
    start(impl, now);
    return AD_OK;
}
