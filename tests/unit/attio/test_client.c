#include "attio/client.h"

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"

#include "scripted.h"
#include "support/run.h"
#include "support/torture.h"

#include <stdio.h>

#define KEY "attio-test-key-0123456789"
#define OK_BODY "{\"data\":{\"x\":1}}"
#define NOT_FOUND                                                                     \
    "{\"status_code\":404,\"type\":\"invalid_request_error\",\"code\":\"not_found\"," \
    "\"message\":\"Record with ID \\\"ann@example.com\\\" not found.\"}"
#define LIMITED                                                                            \
    "{\"status_code\":429,\"type\":\"rate_limit_error\",\"code\":\"rate_limit_exceeded\"," \
    "\"message\":\"Rate limit exceeded, please try again later\"}"

enum { CALLS = 64 };

static struct world w;
static struct scripted sv;
static struct ad_metrics *metrics;
static struct ad_client_opts opts;
static struct ad_client *client;
static bool closed;

/* One call and what became of it. */
static struct probe {
    struct ad_call call;
    unsigned called, sent;
    uint64_t at_ms;
    char response[128], message[128];
    bool close_in_cb;
} probes[CALLS];
static unsigned called, order[CALLS];

static void on_client_closed(void *ctx)
{
    *(bool *)ctx = true;
}

static void on_call(struct ad_call *call)
{
    struct probe *p = call->data;
    p->called++;
    p->at_ms = w.clock.mono_ms;
    (void)snprintf(p->response, sizeof(p->response), "%.*s", AD_FMT(call->response));
    (void)snprintf(p->message, sizeof(p->message), "%.*s", AD_FMT(call->attio_message));
    order[called++ % CALLS] = (unsigned)(p - probes);
    if (p->close_in_cb) {
        ad_client_close(client, on_client_closed, &closed);
    }
}

static void on_send(struct ad_call *call)
{
    struct probe *p = call->data;
    p->sent++;
}

static enum ad_err is_json(struct ad_call *call)
{
    struct ad_arena arena;
    const struct ad_json *doc;
    ad_arena_init(&arena, 1 << 20);
    enum ad_err err = ad_json_parse(&arena, call->response, NULL, &doc, NULL);
    ad_arena_fini(&arena);
    return err;
}

static void reopen(void)
{
    struct ad_errinfo info = { .code = AD_OK };
    enum ad_err err = ad_client_open(w.loop, &opts, &client, &info);
    ck_assert_msg(err == AD_OK, "%s", info.msg);
}

static void setup(void)
{
    memset(probes, 0, sizeof(probes));
    called = 0;
    closed = false;
    world_open(&w);
    scripted_open(&sv, &w);
    ck_assert_int_eq(ad_metrics_new(&metrics), AD_OK);
    opts = (struct ad_client_opts){
        .base_url = ad_str_c(sv.url),
        .api_key = AD_STR(KEY),
        .clock = ad_loop_clock(w.loop),
        .timers = ad_loop_timers(w.loop),
        .metrics = metrics,
        .seed = 1,
        .enabled = true,
        .writes_enabled = true,
        .concurrency = 4,
        .interval_cap = 1000,
        .interval_ms = 1000,
        .reads_per_s = 1000,
        .writes_per_s = 1000,
    };
    reopen();
}

static void close_client(void)
{
    if (!closed) {
        ad_client_close(client, on_client_closed, &closed);
    }
    world_until_true(&w, &closed);
}

static void teardown(void)
{
    close_client();
    scripted_close(&sv);
    ad_metrics_free(metrics);
    ad_log_forget_all();
    world_close(&w);
}

static struct ad_call *call(size_t i, const char *method)
{
    bool get = strcmp(method, "GET") == 0;
    struct probe *p = &probes[i];
    p->call = (struct ad_call){
        .method = method,
        .path = AD_STR("/v2/things/1"),
        .route = "/v2/things/{thing}",
        .body = get ? AD_STR_NONE : AD_STR("{\"data\":{}}"),
        .lane = get ? AD_LANE_READ : AD_LANE_WRITE,
        .priority = AD_PRIO_PULL,
        .reads_only = get,
        .on_send = on_send,
        .cb = on_call,
        .data = p,
    };
    return &p->call;
}

static struct ad_call *get(size_t i)
{
    return call(i, "GET");
}

static struct ad_call *query(size_t i)
{
    struct ad_call *c = call(i, "POST");
    c->lane = AD_LANE_READ;
    c->reads_only = true;
    return c;
}

static void start(struct ad_call *c)
{
    ck_assert_int_eq(ad_call_start(client, c), AD_OK);
}

/* Lets time pass, a little at a time, until n calls have called back. */
static void run_until_called(unsigned n)
{
    for (unsigned i = 0; called < n; i++) {
        ck_assert_msg(i < 40000, "%u of %u called back", called, n);
        world_advance(&w, 10);
    }
}

static uint64_t metric(const char *series)
{
    struct ad_buf text;
    uint64_t v = 0;
    ad_buf_init(&text, 1 << 20);
    ad_metrics_write(metrics, &text);
    struct ad_str rest = ad_buf_str(&text);
    while (rest.p) {
        struct ad_str line = ad_str_cut(&rest, '\n');
        struct ad_str name = ad_str_n(line.p, strlen(series) < line.n ? strlen(series) : 0);
        if (ad_str_eq(name, ad_str_c(series)) && line.p[name.n] == ' ') {
            ck_assert(
                ad_str_u64(ad_str_n(line.p + name.n + 1, line.n - name.n - 1), UINT64_MAX, &v));
        }
    }
    ad_buf_fini(&text);
    return v;
}

/* --- One call --- */

START_TEST(a_call_brings_the_answer_and_sends_what_it_must)
{
    scripted_say(&sv, 200, OK_BODY)->headers = "x-accurate-at: 2026-01-01T00:00:00.123456789Z\r\n";
    start(call(0, "POST"));
    ck_assert_uint_eq(called, 0);
    run_until_called(1);
    ck_assert_int_eq(probes[0].call.err, AD_OK);
    ck_assert_uint_eq(probes[0].call.status, 200);
    ck_assert_str_eq(probes[0].response, OK_BODY);
    ck_assert_uint_eq(probes[0].call.attempts, 1);
    ck_assert(probes[0].call.info.sent);
    ck_assert_int_eq(probes[0].call.accurate_ns, INT64_C(1767225600123456789));
    ck_assert_str_eq(sv.requests[0].line, "POST /v2/things/1");
    ck_assert_str_eq(sv.requests[0].body, "{\"data\":{}}");
    ck_assert_ptr_nonnull(strstr(sv.requests[0].head, "Authorization: Bearer " KEY "\r\n"));
    ck_assert_ptr_nonnull(strstr(sv.requests[0].head, "Accept: application/json\r\n"));
    ck_assert_ptr_nonnull(strstr(sv.requests[0].head, "Content-Type: application/json\r\n"));
    ck_assert_ptr_nonnull(strstr(sv.requests[0].head, "User-Agent: attiod/"));
    ck_assert_uint_eq(metric("attiod_attio_requests_total{lane=\"write\",outcome=\"ok\"}"), 1);
}
END_TEST

START_TEST(a_prefix_of_the_base_url_is_put_before_every_path)
{
    char url[128];
    close_client();
    closed = false;
    (void)snprintf(url, sizeof(url), "%s/proxy/v2/", sv.url);
    opts.base_url = ad_str_c(url);
    reopen();
    scripted_say(&sv, 200, OK_BODY);
    start(get(0));
    run_until_called(1);
    ck_assert_str_eq(sv.requests[0].line, "GET /proxy/v2/things/1");
}
END_TEST

START_TEST(an_error_of_attio_is_told_without_its_message)
{
    scripted_say(&sv, 404, NOT_FOUND);
    start(get(0));
    run_until_called(1);
    ck_assert_int_eq(probes[0].call.err, AD_ERR_NOTFOUND);
    ck_assert_str_eq(probes[0].call.attio_type, "invalid_request_error");
    ck_assert_str_eq(probes[0].call.attio_code, "not_found");
    ck_assert_str_eq(probes[0].message, "Record with ID \"ann@example.com\" not found.");
    ck_assert_str_eq(probes[0].call.info.msg, "Attio answered 404 invalid_request_error not_found "
                                              "to GET /v2/things/{thing}");
    ck_assert(!probes[0].call.info.sent);
    ck_assert_uint_eq(sv.n, 1);
}
END_TEST

START_TEST(refusals_are_final_and_are_not_repeated)
{
    static const struct {
        const char *body;
        unsigned status;
        enum ad_err want;
    } rows[] = {
        { "{\"type\":\"invalid_request_error\",\"code\":\"validation_type\"}", 400,
          AD_ERR_UPSTREAM_REJECTED },
        { "{\"type\":\"invalid_request_error\",\"code\":\"uniqueness_conflict\"}", 400,
          AD_ERR_CONFLICT },
        { "{\"type\":\"auth_error\",\"code\":\"unauthorized\"}", 401, AD_ERR_UNAUTHORIZED },
        { "<html>", 403, AD_ERR_FORBIDDEN },
        { "{\"type\":\"invalid_request_error\",\"code\":\"merge_in_progress\"}", 404,
          AD_ERR_MERGING },
        { "", 413, AD_ERR_TOOLARGE },
    };
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        scripted_say(&sv, rows[i].status, rows[i].body);
    }
    for (unsigned i = 0; i < AD_LEN(rows); i++) {
        start(get(i));
        run_until_called(i + 1);
        ck_assert_int_eq(probes[i].call.err, rows[i].want);
        ck_assert_uint_eq(sv.n, i + 1);
    }
}
END_TEST

START_TEST(calls_keep_their_connections)
{
    scripted_say(&sv, 200, OK_BODY);
    for (unsigned i = 0; i < 20; i++) {
        start(get(i));
        run_until_called(i + 1);
    }
    ck_assert_uint_eq(sv.n, 20);
    ck_assert_uint_eq(sv.accepted, 1);
}
END_TEST

/* --- Repeating --- */

START_TEST(a_read_is_repeated_whatever_happened_to_it)
{
    scripted_say(&sv, 500, "oops");
    scripted_do(&sv, ACT_HANG_UP);
    scripted_do(&sv, ACT_HALF);
    scripted_do(&sv, ACT_GARBAGE);
    scripted_say(&sv, 200, OK_BODY);
    start(get(0));
    run_until_called(1);
    ck_assert_int_eq(probes[0].call.err, AD_OK);
    ck_assert_uint_eq(probes[0].call.attempts, 5);
    ck_assert_uint_eq(probes[0].sent, 5);
    ck_assert_str_eq(probes[0].response, OK_BODY);
    ck_assert_uint_eq(metric("attiod_attio_retries_total{reason=\"server_error\"}"), 1);
    ck_assert_uint_eq(metric("attiod_attio_retries_total{reason=\"network\"}") +
                          metric("attiod_attio_retries_total{reason=\"garbage\"}"),
                      3);
}
END_TEST

START_TEST(a_read_that_keeps_failing_fails_after_the_last_attempt)
{
    scripted_say(&sv, 503, "");
    start(get(0));
    run_until_called(1);
    ck_assert_int_eq(probes[0].call.err, AD_ERR_UPSTREAM);
    ck_assert_uint_eq(probes[0].call.status, 503);
    ck_assert_uint_eq(sv.n, 5);
}
END_TEST

START_TEST(a_write_whose_fate_is_unknown_is_not_repeated)
{
    static const enum act acts[] = { ACT_HANG_UP, ACT_HALF, ACT_GARBAGE, ACT_HANG };
    for (unsigned i = 0; i < AD_LEN(acts); i++) {
        scripted_do(&sv, acts[i]);
    }
    scripted_say(&sv, 500, "");
    for (unsigned i = 0; i < AD_LEN(acts) + 1; i++) {
        start(call(i, "POST"));
        run_until_called(i + 1);
        ck_assert_int_ne(probes[i].call.err, AD_OK);
        ck_assert(probes[i].call.info.sent);
        ck_assert_uint_eq(sv.n, i + 1);
    }
    ck_assert_int_eq(probes[3].call.err, AD_ERR_TIMEOUT);
    ck_assert_int_eq(probes[4].call.err, AD_ERR_UPSTREAM);
}
END_TEST

START_TEST(a_write_that_was_never_sent_is_repeated)
{
    scripted_refuse(&sv);
    start(call(0, "POST"));
    run_until_called(1);
    ck_assert_int_eq(probes[0].call.err, AD_ERR_NETWORK);
    ck_assert(!probes[0].call.info.sent);
    ck_assert_uint_eq(probes[0].call.attempts, 5);
}
END_TEST

START_TEST(a_write_in_conflict_with_another_is_repeated_when_attio_asks)
{
    scripted_say(&sv, 409,
                 "{\"type\":\"invalid_request_error\","
                 "\"code\":\"concurrent_write_conflict\"}");
    scripted_say(&sv, 200, OK_BODY);
    start(call(0, "POST"));
    run_until_called(1);
    ck_assert_int_eq(probes[0].call.err, AD_OK);
    ck_assert_uint_eq(sv.n, 2);
}
END_TEST

START_TEST(a_kept_connection_that_ended_costs_a_read_no_attempt_and_no_wait)
{
    scripted_say(&sv, 200, OK_BODY);
    start(get(0));
    run_until_called(1);
    sv.script_n = 0;
    sv.n = 0;
    scripted_do(&sv, ACT_HANG_UP);
    scripted_say(&sv, 200, OK_BODY);
    uint64_t before = w.clock.mono_ms;
    start(get(1));
    run_until_called(2);
    ck_assert_int_eq(probes[1].call.err, AD_OK);
    ck_assert_uint_le(w.clock.mono_ms - before, 10);
}
END_TEST

START_TEST(garbage_in_a_good_answer_counts_as_a_failure)
{
    scripted_say(&sv, 200, "<html>hello</html>");
    scripted_say(&sv, 200, "");
    scripted_say(&sv, 200, "{\"data\":{\"x\":");
    scripted_say(&sv, 200, OK_BODY);
    struct ad_call *c = get(0);
    c->on_check = is_json;
    start(c);
    run_until_called(1);
    ck_assert_int_eq(c->err, AD_OK);
    ck_assert_uint_eq(sv.n, 4);
    sv.script_n = 0;
    sv.n = 0;
    scripted_say(&sv, 200, "<html>hello</html>");
    c = call(1, "POST");
    c->on_check = is_json;
    start(c);
    run_until_called(2);
    ck_assert_int_eq(c->err, AD_ERR_PROTOCOL);
    ck_assert(c->info.sent);
    ck_assert_uint_eq(sv.n, 1);
}
END_TEST

START_TEST(an_answer_over_the_cap_is_too_large_at_once)
{
    char *big = ad_alloc(70001);
    memset(big, 'x', 70000);
    big[70000] = '\0';
    scripted_say(&sv, 200, big);
    struct ad_call *c = get(0);
    c->response_max = 65536;
    start(c);
    run_until_called(1);
    ck_assert_int_eq(c->err, AD_ERR_TOOLARGE);
    ck_assert_uint_eq(sv.n, 1);
    ad_free(big);
}
END_TEST

/* --- 429 --- */

START_TEST(a_429_holds_its_lane_until_the_servers_own_time)
{
    struct answer *a = scripted_say(&sv, 429, LIMITED);
    a->headers = "Date: Tue, 23 May 2023 14:42:00 GMT\r\n"
                 "Retry-After: Tue, 23 May 2023 14:42:03 GMT\r\n";
    scripted_say(&sv, 200, OK_BODY);
    start(get(0));
    world_advance(&w, 0);
    start(get(1));
    start(call(2, "POST"));
    run_until_called(3);
    ck_assert_uint_eq(order[0], 2); /* the other lane does not care */
    ck_assert_uint_le(probes[2].at_ms, 1000020);
    ck_assert_uint_ge(probes[0].at_ms, 1003000);
    ck_assert_uint_le(probes[0].at_ms, 1003020);
    ck_assert_uint_eq(order[1], 0); /* back at the front */
    ck_assert_uint_eq(order[2], 1);
    ck_assert_int_eq(probes[0].call.err, AD_OK);
    ck_assert_uint_eq(metric("attiod_attio_429_total{lane=\"read\"}"), 1);
}
END_TEST

START_TEST(a_write_is_repeated_after_a_429)
{
    scripted_say(&sv, 429, LIMITED);
    scripted_say(&sv, 429, "<html>");
    scripted_say(&sv, 200, OK_BODY);
    start(call(0, "POST"));
    run_until_called(1);
    ck_assert_int_eq(probes[0].call.err, AD_OK);
    ck_assert_uint_eq(sv.n, 3);
    ck_assert_uint_ge(sv.requests[1].at_ms - sv.requests[0].at_ms, 1000);
    ck_assert_uint_le(sv.requests[1].at_ms - sv.requests[0].at_ms, 1300);
}
END_TEST

START_TEST(a_storm_of_429_is_asked_once_a_pause_whatever_waits)
{
    for (unsigned i = 0; i < 30; i++) {
        scripted_say(&sv, 429, LIMITED)->headers = "Retry-After: 1\r\n";
    }
    scripted_say(&sv, 200, OK_BODY);
    for (unsigned i = 0; i < 40; i++) {
        start(get(i));
    }
    world_advance(&w, 20000);
    /* At first all that were in flight together, then one a second. */
    ck_assert_uint_le(sv.n, opts.concurrency + 21);
    run_until_called(40);
    for (unsigned i = 0; i < 40; i++) {
        ck_assert_int_eq(probes[i].call.err, AD_OK);
    }
}
END_TEST

static void too_complex(struct scripted *s, const struct request *r, struct answer *out)
{
    (void)s;
    bool complex = strncmp(r->line, "POST", 4) == 0;
    *out = (struct answer){ .status = complex ? 429 : 200,
                            .body = complex ? LIMITED : OK_BODY,
                            .headers = complex ? "Retry-After: 1\r\n" : NULL };
}

START_TEST(a_query_refused_while_others_are_answered_is_too_complex)
{
    sv.decide = too_complex;
    start(query(0));
    for (unsigned i = 1; i < 60; i++) {
        start(get(i));
        world_advance(&w, 500);
    }
    run_until_called(60);
    ck_assert_int_eq(probes[0].call.err, AD_ERR_TOOLARGE);
    /* The first says nothing, before the second nothing else was let through. */
    ck_assert_uint_le(probes[0].call.attempts, AD_CLIENT_COMPLEX_AFTER + 2);
    for (unsigned i = 1; i < 60; i++) {
        ck_assert_int_eq(probes[i].call.err, AD_OK);
    }
}
END_TEST

START_TEST(a_query_alone_and_always_refused_is_too_complex_in_the_end)
{
    sv.decide = too_complex;
    start(query(0));
    run_until_called(1);
    ck_assert_int_eq(probes[0].call.err, AD_ERR_TOOLARGE);
    ck_assert_uint_eq(probes[0].call.attempts, UINT64_C(2) * AD_CLIENT_COMPLEX_AFTER);
    ck_assert_uint_ge(w.clock.mono_ms - 1000000, 10000);
}
END_TEST

START_TEST(a_429_that_outlasts_the_deadline_fails_at_once)
{
    scripted_say(&sv, 429, LIMITED)->headers = "Retry-After: 30\r\n";
    struct ad_call *c = get(0);
    c->deadline_ms = 5000;
    start(c);
    run_until_called(1);
    ck_assert_int_eq(c->err, AD_ERR_RATELIMITED);
    ck_assert(!c->info.sent);
    ck_assert_uint_le(w.clock.mono_ms, 1000100);
}
END_TEST

/* --- Limits --- */

START_TEST(the_server_sees_the_window_and_the_concurrency_kept)
{
    close_client();
    closed = false;
    opts.interval_cap = 5;
    opts.concurrency = 2;
    reopen();
    scripted_say(&sv, 200, OK_BODY)->delay_ms = 60;
    for (unsigned i = 0; i < 30; i++) {
        start(get(i));
    }
    run_until_called(30);
    ck_assert_uint_le(sv.most_in_flight, 2);
    for (unsigned i = 5; i < sv.n; i++) {
        ck_assert_uint_ge(sv.requests[i].at_ms - sv.requests[i - 5].at_ms, 1000);
    }
    ck_assert_uint_le(w.clock.mono_ms - 1000000, 8000);
    ck_assert_uint_le(sv.accepted, 2);
}
END_TEST

START_TEST(interactive_calls_pass_a_queue_of_others)
{
    close_client();
    closed = false;
    opts.concurrency = 1;
    reopen();
    scripted_say(&sv, 200, OK_BODY)->delay_ms = 10;
    for (unsigned i = 0; i < 10; i++) {
        struct ad_call *c = get(i);
        c->priority = AD_PRIO_BACKFILL;
        start(c);
    }
    world_advance(&w, 5);
    struct ad_call *c = get(10);
    c->priority = AD_PRIO_INTERACTIVE;
    start(c);
    run_until_called(11);
    ck_assert_uint_eq(order[1], 10);
}
END_TEST

START_TEST(a_full_queue_says_busy)
{
    close_client();
    closed = false;
    opts.queue_max = 2;
    reopen();
    scripted_say(&sv, 200, OK_BODY);
    start(get(0));
    start(get(1));
    ck_assert_int_eq(ad_call_start(client, get(2)), AD_ERR_BUSY);
    run_until_called(2);
    start(get(2));
    run_until_called(3);
}
END_TEST

START_TEST(the_share_of_the_window_falls_with_time)
{
    close_client();
    closed = false;
    opts.interval_cap = 10;
    reopen();
    ck_assert_uint_eq(ad_client_interval_cap(client), 10);
    ck_assert_uint_eq(ad_client_interval_ms(client), 1000);
    scripted_say(&sv, 200, OK_BODY);
    for (unsigned i = 0; i < 6; i++) {
        start(get(i));
    }
    run_until_called(6);
    ck_assert_uint_eq(ad_client_window_percent(client), 60);
    world_advance(&w, 1000);
    ck_assert_uint_eq(ad_client_window_percent(client), 0);
}
END_TEST

/* --- Ends --- */

START_TEST(a_try_that_hangs_is_repeated_after_its_time)
{
    scripted_do(&sv, ACT_HANG);
    scripted_say(&sv, 200, OK_BODY);
    start(get(0));
    run_until_called(1);
    ck_assert_int_eq(probes[0].call.err, AD_OK);
    ck_assert_uint_ge(w.clock.mono_ms - 1000000, 30000);
    ck_assert_uint_eq(metric("attiod_attio_requests_total{lane=\"read\",outcome=\"timeout\"}"), 1);
}
END_TEST

START_TEST(the_deadline_ends_a_call_in_flight)
{
    scripted_do(&sv, ACT_HANG);
    struct ad_call *c = get(0);
    c->deadline_ms = 700;
    start(c);
    run_until_called(1);
    ck_assert_int_eq(c->err, AD_ERR_TIMEOUT);
    ck_assert(c->info.sent);
    ck_assert_uint_ge(probes[0].at_ms, 1000700);
    ck_assert_uint_le(probes[0].at_ms, 1000720);
}
END_TEST

START_TEST(the_deadline_ends_a_call_that_waits)
{
    close_client();
    closed = false;
    opts.concurrency = 1;
    reopen();
    scripted_do(&sv, ACT_HANG);
    start(get(0));
    struct ad_call *c = get(1);
    c->deadline_ms = 500;
    start(c);
    run_until_called(1);
    ck_assert_uint_eq(order[0], 1);
    ck_assert_int_eq(c->err, AD_ERR_TIMEOUT);
    ck_assert(!c->info.sent);
    ck_assert_uint_eq(c->attempts, 0);
    ck_assert_str_eq(c->info.msg,
                     "GET /v2/things/{thing}: its time was over before it could be sent");
}
END_TEST

START_TEST(the_total_time_ends_a_call_however_often_it_is_put_off)
{
    for (unsigned i = 0; i < 60; i++) {
        scripted_say(&sv, 429, LIMITED)->headers = "Retry-After: 7\r\n";
    }
    struct ad_call *c = get(0);
    start(c);
    run_until_called(1);
    ck_assert_int_eq(c->err, AD_ERR_RATELIMITED);
    ck_assert_uint_le(w.clock.mono_ms - 1000000, 120010);
    ck_assert_uint_le(sv.n, 18);
}
END_TEST

START_TEST(a_waiting_call_is_cancelled)
{
    start(get(0));
    ad_call_cancel(client, &probes[0].call);
    ad_call_cancel(client, &probes[0].call);
    ck_assert_uint_eq(called, 0);
    run_until_called(1);
    ck_assert_int_eq(probes[0].call.err, AD_ERR_CANCELED);
    ck_assert_uint_eq(probes[0].sent, 0);
    ad_call_cancel(client, &probes[0].call); /* ended: harmless */
    world_settle(&w);
    ck_assert_uint_eq(called, 1);
    ck_assert_uint_eq(sv.n, 0);
}
END_TEST

static bool has_request(void *ctx)
{
    (void)ctx;
    return sv.n > 0;
}

START_TEST(a_call_in_flight_is_cancelled)
{
    scripted_do(&sv, ACT_HANG);
    start(get(0));
    world_until(&w, has_request, NULL);
    ad_call_cancel(client, &probes[0].call);
    ad_call_cancel(client, &probes[0].call);
    ck_assert_uint_eq(called, 0);
    run_until_called(1);
    ck_assert_int_eq(probes[0].call.err, AD_ERR_CANCELED);
    ck_assert(probes[0].call.info.sent);
    world_settle(&w);
    ck_assert_uint_eq(called, 1);
}
END_TEST

START_TEST(a_call_in_backoff_is_cancelled)
{
    scripted_say(&sv, 500, "");
    start(get(0));
    world_until(&w, has_request, NULL);
    world_settle(&w);
    ad_call_cancel(client, &probes[0].call);
    run_until_called(1);
    ck_assert_int_eq(probes[0].call.err, AD_ERR_CANCELED);
}
END_TEST

START_TEST(closing_at_each_stage_cancels_each_call_once)
{
    scripted_say(&sv, 500, "");
    for (unsigned i = 0; i < 8; i++) {
        scripted_do(&sv, ACT_HANG);
    }
    start(get(0)); /* in backoff */
    world_until(&w, has_request, NULL);
    world_settle(&w);
    for (unsigned i = 1; i < 12; i++) { /* in flight, and waiting behind */
        start(get(i));
    }
    world_settle(&w);
    ad_client_close(client, on_client_closed, &closed);
    ck_assert_uint_eq(called, 0);
    ck_assert_int_eq(ad_call_start(client, get(20)), AD_ERR_CLOSED);
    ck_assert(!closed);
    world_until_true(&w, &closed);
    ck_assert_uint_eq(called, 12);
    for (unsigned i = 0; i < 12; i++) {
        ck_assert_uint_eq(probes[i].called, 1);
        ck_assert_int_eq(probes[i].call.err, AD_ERR_CANCELED);
    }
}
END_TEST

START_TEST(closing_with_calls_that_never_began)
{
    start(get(0));
    start(get(1));
    ad_client_close(client, on_client_closed, &closed);
    world_until_true(&w, &closed);
    ck_assert_uint_eq(called, 2);
    ck_assert_uint_eq(sv.n, 0);
}
END_TEST

START_TEST(closing_from_inside_the_callback)
{
    scripted_say(&sv, 200, OK_BODY);
    start(get(0));
    start(get(1));
    probes[0].close_in_cb = true;
    world_until_true(&w, &closed);
    ck_assert_uint_eq(called, 2);
}
END_TEST

START_TEST(a_stopped_client_takes_no_calls)
{
    scripted_do(&sv, ACT_HANG);
    start(get(0));
    world_until(&w, has_request, NULL);
    ad_client_stop(client);
    ad_client_stop(client);
    ck_assert_int_eq(ad_call_start(client, get(1)), AD_ERR_CLOSED);
    run_until_called(1);
    ck_assert_int_eq(probes[0].call.err, AD_ERR_CANCELED);
}
END_TEST

/* --- Switches --- */

START_TEST(a_disabled_client_sends_nothing)
{
    close_client();
    closed = false;
    opts.enabled = false;
    reopen();
    ck_assert(!ad_client_enabled(client));
    ck_assert_int_eq(ad_call_start(client, get(0)), AD_ERR_DISABLED);
    world_settle(&w);
    ck_assert_uint_eq(called, 0);
}
END_TEST

START_TEST(without_writes_only_reads_are_sent)
{
    close_client();
    closed = false;
    opts.writes_enabled = false;
    reopen();
    scripted_say(&sv, 200, OK_BODY);
    ck_assert_int_eq(ad_call_start(client, call(0, "POST")), AD_ERR_DISABLED);
    start(query(1));
    run_until_called(1);
    ck_assert_int_eq(probes[1].call.err, AD_OK);
}
END_TEST

START_TEST(the_latch_holds_back_all_but_the_question_who_we_are)
{
    scripted_say(&sv, 200, OK_BODY);
    start(get(0)); /* waits when the latch closes */
    struct ad_call *self = get(1);
    self->past_latch = true;
    ad_client_latch(client, AD_ERR_UNAUTHORIZED);
    ck_assert_int_eq(ad_client_latched(client), AD_ERR_UNAUTHORIZED);
    ck_assert_int_eq(ad_call_start(client, get(2)), AD_ERR_DISABLED);
    start(self);
    run_until_called(2);
    ck_assert_int_eq(probes[0].call.err, AD_ERR_DISABLED);
    ck_assert_int_eq(self->err, AD_OK);
    ck_assert_uint_eq(sv.n, 1);
    ck_assert_uint_eq(metric("attiod_attio_latched"), 1);
    ad_client_latch(client, AD_OK);
    start(get(2));
    run_until_called(3);
    ck_assert_int_eq(probes[2].call.err, AD_OK);
}
END_TEST

START_TEST(options_that_cannot_work_are_refused_without_showing_the_key)
{
    static const char *const keys[] = { "", "short", "has a blank in it", "line\r\nbreak: x",
                                        "umlaut-\xc3\xa4-12345" };
    struct ad_client *other;
    struct ad_errinfo info = { .code = AD_OK };
    for (size_t i = 0; i < AD_LEN(keys); i++) {
        struct ad_client_opts o = opts;
        o.api_key = ad_str_c(keys[i]);
        ck_assert_int_eq(ad_client_open(w.loop, &o, &other, &info), AD_ERR_CONFIG);
        ck_assert(keys[i][0] == '\0' || !strstr(info.msg, keys[i]));
    }
    struct ad_client_opts o = opts;
    o.base_url = AD_STR("https://api.attio.com");
    ck_assert_int_eq(ad_client_open(w.loop, &o, &other, &info), AD_ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(info.msg, "TLS"));
    o.enabled = false;
    ck_assert_int_eq(ad_client_open(w.loop, &o, &other, &info), AD_OK);
    bool shut = false;
    ad_client_close(other, on_client_closed, &shut);
    world_until_true(&w, &shut);
    o.enabled = true;
    o.base_url = AD_STR("http://api.attio.com");
    ck_assert_int_eq(ad_client_open(w.loop, &o, &other, &info), AD_ERR_CONFIG);
    o = opts;
    o.interval_cap = 0;
    ck_assert_int_eq(ad_client_open(w.loop, &o, &other, &info), AD_ERR_CONFIG);
}
END_TEST

START_TEST(a_call_that_could_break_the_request_line_is_refused)
{
    struct ad_call *c = get(0);
    c->path = AD_STR("/v2/a b");
    ck_assert_int_eq(ad_call_start(client, c), AD_ERR_INVALID);
    c->path = AD_STR("/v2/a\r\nX: y");
    ck_assert_int_eq(ad_call_start(client, c), AD_ERR_INVALID);
    c->path = AD_STR("v2/self");
    ck_assert_int_eq(ad_call_start(client, c), AD_ERR_INVALID);
    c->path = AD_STR_NONE;
    ck_assert_int_eq(ad_call_start(client, c), AD_ERR_INVALID);
}
END_TEST

START_TEST(the_key_is_never_logged)
{
    scripted_say(&sv, 401,
                 "{\"type\":\"auth_error\",\"code\":\"unauthorized\","
                 "\"message\":\"" KEY "\"}");
    ad_log_set_level(AD_LOG_DEBUG);
    start(get(0));
    run_until_called(1);
    ad_log(AD_LOG_INFO, "probe", AD_KC("route", "x " KEY " y"));
    ck_assert(!world_logged(&w, KEY));
    ck_assert(world_logged(&w, "probe"));
}
END_TEST

START_TEST(health_tells_what_happened_last)
{
    struct ad_client_health h;
    scripted_say(&sv, 200, OK_BODY)->delay_ms = 30;
    start(get(0));
    run_until_called(1);
    ad_client_health(client, &h);
    ck_assert_uint_ge(h.last_ok_ms, 1000030);
    ck_assert_uint_ge(h.last_latency_ms, 30);
    ck_assert_uint_eq(h.last_fail_ms, 0);
    ck_assert_uint_eq(h.calls, 1);
    sv.script_n = sv.n = 0;
    scripted_say(&sv, 503, "")->headers = "Retry-After: 2\r\n";
    start(get(1));
    run_until_called(2);
    ad_client_health(client, &h);
    ck_assert_uint_gt(h.last_fail_ms, h.last_ok_ms);
    ck_assert_int_eq(h.last_err, AD_ERR_UPSTREAM);
    ck_assert_uint_ge(sv.requests[1].at_ms - sv.requests[0].at_ms, 2000);
}
END_TEST

/* --- No memory --- */

/* Each allocation of a call and its retry fails in turn, alone or with the three after it; the client
 * lives through it and works. */
START_TEST(a_call_without_memory_fails_and_leaves_nothing)
{
    bool failed = true;
    for (size_t n = 0; failed; n = torture_next_of_all(n)) {
        ck_assert_uint_lt(n, 1000);
        called = sv.script_n = sv.n = 0;
        scripted_say(&sv, 500, "{}");
        scripted_say(&sv, 200, OK_BODY);
        struct ad_call *c = get(0);
        c->on_check = is_json;
        heap_fail(n, _i ? 4 : 1);
        enum ad_err err = ad_call_start(client, c);
        if (err) {
            ck_assert_int_eq(err, AD_ERR_NOMEM);
        } else {
            run_until_called(1);
            ck_assert_msg(c->err == AD_OK || c->err == AD_ERR_NOMEM || c->err == AD_ERR_NETWORK ||
                              c->err == AD_ERR_UPSTREAM,
                          "%zu: %s", n, ad_err_name(c->err));
        }
        failed = heap_failed();
        heap_fail(0, 0);
        ck_assert(failed || c->err == AD_OK);
    }
}
END_TEST

START_TEST(opening_without_memory_fails_and_leaves_nothing)
{
    struct ad_client *other = NULL;
    bool other_closed = false;
    enum ad_err err = AD_ERR_NOMEM;
    for (size_t n = 0; err && n < 200; n++) {
        size_t held = heap_held();
        heap_fail(n, 1);
        err = ad_client_open(w.loop, &opts, &other, NULL);
        bool failed = heap_failed();
        heap_fail(0, 0);
        if (err) {
            ck_assert_int_eq(err, AD_ERR_NOMEM);
            /* Series are the set's. */
            ck_assert_uint_le(heap_held() - held, failed ? 64 : 0);
        }
    }
    ck_assert_int_eq(err, AD_OK);
    ad_client_close(other, on_client_closed, &other_closed);
    world_until_true(&w, &other_closed);
}
END_TEST

/* --- Settings that change ------------------------------------------------------------------ */

#define NEW_KEY "attio-new-key-9876543210"

static struct ad_client_settings settings_of_opts(void)
{
    return (struct ad_client_settings){
        .api_key = AD_STR(KEY),
        .writes_enabled = true,
        .concurrency = opts.concurrency,
        .interval_cap = opts.interval_cap,
        .interval_ms = opts.interval_ms,
        .reads_per_s = opts.reads_per_s,
        .writes_per_s = opts.writes_per_s,
    };
}

static bool take_over(const struct ad_client_settings *s)
{
    struct ad_client_change *change;
    struct ad_errinfo info = { .code = AD_OK };
    enum ad_err err = ad_client_prepare(client, s, &change, &info);
    ck_assert_msg(err == AD_OK, "%s", info.msg);
    return ad_client_commit(client, change);
}

static bool has_key(unsigned request, const char *key)
{
    char line[128];
    (void)snprintf(line, sizeof(line), "Authorization: Bearer %s\r\n", key);
    return strstr(sv.requests[request].head, line) != NULL;
}

START_TEST(after_another_key_others_wait_until_it_is_trusted)
{
    struct ad_client_settings s = settings_of_opts();
    scripted_say(&sv, 200, OK_BODY);
    s.api_key = AD_STR(NEW_KEY);
    ck_assert(take_over(&s));
    start(get(0));
    world_advance(&w, 1000);
    ck_assert_uint_eq(sv.n, 0);
    get(1)->past_latch = true;
    start(&probes[1].call);
    run_until_called(1);
    ck_assert_uint_eq(probes[1].called, 1);
    ck_assert(has_key(0, NEW_KEY));
    world_advance(&w, 1000);
    ck_assert_uint_eq(probes[0].called, 0);
    ad_client_trust(client);
    run_until_called(2);
    ck_assert_int_eq(probes[0].call.err, AD_OK);
    ck_assert(has_key(1, NEW_KEY));
    ck_assert(!world_logged(&w, NEW_KEY));
}
END_TEST

START_TEST(the_same_key_holds_nobody_up)
{
    struct ad_client_settings s = settings_of_opts();
    scripted_say(&sv, 200, OK_BODY);
    s.concurrency = 1;
    ck_assert(!take_over(&s));
    start(get(0));
    run_until_called(1);
    ck_assert_int_eq(probes[0].call.err, AD_OK);
}
END_TEST

static unsigned told_of_401;

static void on_401(void *ctx, uint64_t sent_ms)
{
    (void)ctx;
    (void)sent_ms;
    told_of_401++;
}

/* Sent with the old key, which is deleted before it is answered. */
START_TEST(a_call_refused_with_the_old_key_goes_out_with_the_new_one)
{
    struct ad_client_settings s = settings_of_opts();
    scripted_say(&sv, 401, "{}")->delay_ms = 100;
    scripted_say(&sv, 200, OK_BODY);
    told_of_401 = 0;
    ad_client_on_unauthorized(client, on_401, NULL);
    start(call(0, "POST"));
    world_until_count(&w, &sv.n, 1);
    s.api_key = AD_STR(NEW_KEY);
    ck_assert(take_over(&s));
    ad_client_trust(client);
    run_until_called(1);
    ck_assert_int_eq(probes[0].call.err, AD_OK);
    ck_assert_uint_eq(probes[0].call.attempts, 2);
    ck_assert(has_key(0, KEY) && has_key(1, NEW_KEY));
    ck_assert_uint_eq(told_of_401, 0);
}
END_TEST

START_TEST(a_refusal_of_the_new_key_is_final)
{
    struct ad_client_settings s = settings_of_opts();
    scripted_say(&sv, 401, "{}");
    told_of_401 = 0;
    ad_client_on_unauthorized(client, on_401, NULL);
    s.api_key = AD_STR(NEW_KEY);
    ck_assert(take_over(&s));
    ad_client_trust(client);
    start(get(0));
    run_until_called(1);
    ck_assert_int_eq(probes[0].call.err, AD_ERR_UNAUTHORIZED);
    ck_assert_uint_eq(sv.n, 1);
    ck_assert_uint_eq(told_of_401, 1);
}
END_TEST

START_TEST(writes_that_wait_end_when_they_are_switched_off)
{
    struct ad_client_settings s = settings_of_opts();
    scripted_say(&sv, 200, OK_BODY)->delay_ms = 1000;
    s.concurrency = 1;
    ck_assert(!take_over(&s));
    start(call(0, "POST")); /* under way: cannot be called back */
    world_until_count(&w, &sv.n, 1);
    start(call(1, "POST"));
    start(get(2));
    s.writes_enabled = false;
    ck_assert(!take_over(&s));
    ck_assert_int_eq(ad_call_start(client, call(3, "POST")), AD_ERR_DISABLED);
    run_until_called(3);
    ck_assert_int_eq(probes[0].call.err, AD_OK);
    ck_assert_int_eq(probes[1].call.err, AD_ERR_DISABLED);
    ck_assert_int_eq(probes[2].call.err, AD_OK);
    s.writes_enabled = true;
    ck_assert(!take_over(&s));
    start(call(4, "POST"));
    run_until_called(4);
    ck_assert_int_eq(probes[4].call.err, AD_OK);
}
END_TEST

START_TEST(more_connections_are_made_when_more_may_be_in_flight)
{
    struct ad_client_settings s = settings_of_opts();
    scripted_do(&sv, ACT_HANG);
    s.concurrency = 1;
    ck_assert(!take_over(&s));
    for (size_t i = 0; i < 6; i++) {
        start(get(i));
    }
    world_until_count(&w, &sv.n, 1);
    world_settle(&w);
    ck_assert_uint_eq(sv.n, 1);
    s.concurrency = 6;
    ck_assert(!take_over(&s));
    world_until_count(&w, &sv.n, 6);
    ck_assert_uint_eq(sv.most_in_flight, 6);
}
END_TEST

START_TEST(settings_that_cannot_be_are_refused_and_change_nothing)
{
    struct ad_client_change *change = NULL;
    struct ad_errinfo info = { .code = AD_OK };
    struct ad_client_settings s = settings_of_opts();
    s.api_key = AD_STR("with a blank");
    ck_assert_int_eq(ad_client_prepare(client, &s, &change, &info), AD_ERR_CONFIG);
    ck_assert(!strstr(info.msg, "with a blank"));
    s = settings_of_opts();
    s.interval_cap = 0;
    ck_assert_int_eq(ad_client_prepare(client, &s, &change, &info), AD_ERR_CONFIG);
    scripted_say(&sv, 200, OK_BODY);
    start(get(0));
    run_until_called(1);
    ck_assert(has_key(0, KEY));
}
END_TEST

START_TEST(preparing_without_memory_fails_and_leaves_nothing)
{
    struct ad_client_settings s = settings_of_opts();
    s.api_key = AD_STR(NEW_KEY);
    for (size_t n = 0;; n++) {
        struct ad_client_change *change = NULL;
        heap_fail(n, 1);
        enum ad_err err = ad_client_prepare(client, &s, &change, NULL);
        bool failed = heap_failed();
        heap_fail(0, 0);
        if (!err) {
            ad_client_drop(change);
        }
        if (!failed) {
            ck_assert_int_eq(err, AD_OK);
            break;
        }
        ck_assert_int_eq(err, AD_ERR_NOMEM);
    }
}
END_TEST

START_TEST(closing_while_calls_are_held)
{
    struct ad_client_settings s = settings_of_opts();
    s.api_key = AD_STR(NEW_KEY);
    ck_assert(take_over(&s));
    start(get(0));
    world_settle(&w);
    close_client();
    ck_assert_int_eq(probes[0].call.err, AD_ERR_CANCELED);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("client");
    TCase *tc = tcase_create("client");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_call_brings_the_answer_and_sends_what_it_must);
    tcase_add_test(tc, a_prefix_of_the_base_url_is_put_before_every_path);
    tcase_add_test(tc, an_error_of_attio_is_told_without_its_message);
    tcase_add_test(tc, refusals_are_final_and_are_not_repeated);
    tcase_add_test(tc, calls_keep_their_connections);
    tcase_add_test(tc, a_read_is_repeated_whatever_happened_to_it);
    tcase_add_test(tc, a_read_that_keeps_failing_fails_after_the_last_attempt);
    tcase_add_test(tc, a_write_whose_fate_is_unknown_is_not_repeated);
    tcase_add_test(tc, a_write_that_was_never_sent_is_repeated);
    tcase_add_test(tc, a_write_in_conflict_with_another_is_repeated_when_attio_asks);
    tcase_add_test(tc, a_kept_connection_that_ended_costs_a_read_no_attempt_and_no_wait);
    tcase_add_test(tc, garbage_in_a_good_answer_counts_as_a_failure);
    tcase_add_test(tc, an_answer_over_the_cap_is_too_large_at_once);
    tcase_add_test(tc, a_429_holds_its_lane_until_the_servers_own_time);
    tcase_add_test(tc, a_write_is_repeated_after_a_429);
    tcase_add_test(tc, a_storm_of_429_is_asked_once_a_pause_whatever_waits);
    tcase_add_test(tc, a_query_refused_while_others_are_answered_is_too_complex);
    tcase_add_test(tc, a_query_alone_and_always_refused_is_too_complex_in_the_end);
    tcase_add_test(tc, a_429_that_outlasts_the_deadline_fails_at_once);
    tcase_add_test(tc, the_server_sees_the_window_and_the_concurrency_kept);
    tcase_add_test(tc, interactive_calls_pass_a_queue_of_others);
    tcase_add_test(tc, a_full_queue_says_busy);
    tcase_add_test(tc, the_share_of_the_window_falls_with_time);
    tcase_add_test(tc, a_try_that_hangs_is_repeated_after_its_time);
    tcase_add_test(tc, the_deadline_ends_a_call_in_flight);
    tcase_add_test(tc, the_deadline_ends_a_call_that_waits);
    tcase_add_test(tc, the_total_time_ends_a_call_however_often_it_is_put_off);
    tcase_add_test(tc, a_waiting_call_is_cancelled);
    tcase_add_test(tc, a_call_in_flight_is_cancelled);
    tcase_add_test(tc, a_call_in_backoff_is_cancelled);
    tcase_add_test(tc, closing_at_each_stage_cancels_each_call_once);
    tcase_add_test(tc, closing_with_calls_that_never_began);
    tcase_add_test(tc, closing_from_inside_the_callback);
    tcase_add_test(tc, a_stopped_client_takes_no_calls);
    tcase_add_test(tc, a_disabled_client_sends_nothing);
    tcase_add_test(tc, without_writes_only_reads_are_sent);
    tcase_add_test(tc, the_latch_holds_back_all_but_the_question_who_we_are);
    tcase_add_test(tc, options_that_cannot_work_are_refused_without_showing_the_key);
    tcase_add_test(tc, a_call_that_could_break_the_request_line_is_refused);
    tcase_add_test(tc, the_key_is_never_logged);
    tcase_add_test(tc, health_tells_what_happened_last);
    tcase_add_test(tc, after_another_key_others_wait_until_it_is_trusted);
    tcase_add_test(tc, the_same_key_holds_nobody_up);
    tcase_add_test(tc, a_call_refused_with_the_old_key_goes_out_with_the_new_one);
    tcase_add_test(tc, a_refusal_of_the_new_key_is_final);
    tcase_add_test(tc, writes_that_wait_end_when_they_are_switched_off);
    tcase_add_test(tc, more_connections_are_made_when_more_may_be_in_flight);
    tcase_add_test(tc, settings_that_cannot_be_are_refused_and_change_nothing);
    tcase_add_test(tc, preparing_without_memory_fails_and_leaves_nothing);
    tcase_add_test(tc, closing_while_calls_are_held);
    tcase_add_loop_test(tc, a_call_without_memory_fails_and_leaves_nothing, 0, 2);
    tcase_add_test(tc, opening_without_memory_fails_and_leaves_nothing);
    suite_add_tcase(suite, tc);
    return suite;
}

RUN_SUITE(suite)
