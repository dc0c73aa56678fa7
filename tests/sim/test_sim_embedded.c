/* attio-sim on a test's own loop: connections in memory, time turned by hand. What a week of a
 * degraded webhook needs takes no time here. */
#include <stdio.h>
#include <string.h>

#include "infra/http_client.h"
#include "infra/http_server.h"
#include "sim/sim.h"
#include "support/pair_dialer.h"
#include "support/run.h"
#include "support/world.h"

#define KEY "sim-test-key-0123456789"
#define WEEK_MS (UINT64_C(7) * 86400 * 1000)

static struct {
    struct world w;
    struct ad_sim sim;
    struct pair_dialer to_sim, to_target;
    struct ad_http_client *client;
    struct ad_http_call call;
    struct ad_http_header headers[2];
    struct ad_arena arena;
    struct ad_buf answer;
    bool answered;
    /* where deliveries go */
    struct ad_registry *routes;
    struct ad_http_server *target;
    unsigned got, status;
    char last_key[40];
    uint64_t last_ms, gaps_below_40;
    unsigned parts_open;
    bool closed;
} t;

/* --- The target --- */

static void on_delivery(void *ctx, struct ad_exchange *x)
{
    (void)ctx;
    uint64_t now_ms = ad_mono_ms(&t.w.clock.clock);
    struct ad_str key = ad_http_header(x->headers, x->headers_n, "idempotency-key");
    (void)snprintf(t.last_key, sizeof(t.last_key), "%.*s", AD_FMT(key));
    t.gaps_below_40 += t.got > 0 && now_ms - t.last_ms < 40;
    t.last_ms = now_ms;
    t.got++;
    ad_reply(x, &(struct ad_reply){ .status = t.status });
}

static void adopt_target(void *ctx, struct ad_stream *s)
{
    (void)ctx;
    ad_http_server_adopt(t.target, s);
}

static void open_target(void)
{
    struct ad_errinfo info = { 0 };
    struct ad_route route = {
        .methods = AD_HTTP_POST, .pattern = "/hook", .handler = on_delivery, .body_max = 1 << 20
    };
    struct ad_http_server_opts opts = { .name = "target", .limits = ad_http_limits_default };
    ck_assert_int_eq(ad_registry_new(&t.routes), AD_OK);
    ck_assert_int_eq(ad_registry_route(t.routes, &route, &info), AD_OK);
    ck_assert_int_eq(ad_registry_seal(t.routes, &info), AD_OK);
    opts.registry = t.routes;
    ck_assert_int_eq(ad_http_server_open(t.w.loop, &opts, &t.target), AD_OK);
    t.status = 200;
}

/* --- Opening and closing --- */

static void adopt_sim(void *ctx, struct ad_stream *s)
{
    ad_sim_adopt(ctx, s);
}

static void setup(void)
{
    struct ad_errinfo info = { 0 };
    struct ad_http_client_opts client = { .dialer = &t.to_sim.dialer };
    struct ad_sim_opts opts = { .api_key = KEY,
                                .slug = "sim",
                                .seed = 7,
                                .rate_per_url = 25,
                                .limits = true,
                                .sizes = { .people = 20, .companies = 5, .lists = 1, .entries = 4 },
                                .dialer = &t.to_target.dialer };
    memset(&t, 0, sizeof(t));
    world_open(&t.w);
    pair_dialer_init(&t.to_sim, t.w.loop, adopt_sim, &t.sim);
    pair_dialer_init(&t.to_target, t.w.loop, adopt_target, NULL);
    open_target();
    ad_sim_init(&t.sim, t.w.loop, &opts);
    ck_assert_int_eq(ad_sim_serve(&t.sim, &opts, &info), AD_OK);
    ck_assert_int_eq(ad_endpoint_parse(AD_STR("127.0.0.1:1"), &client.origin), AD_OK);
    ck_assert_int_eq(ad_http_client_open(t.w.loop, &client, &t.client), AD_OK);
    t.headers[0] = (struct ad_http_header){ AD_STR("Authorization"), AD_STR("Bearer " KEY) };
    t.headers[1] = (struct ad_http_header){ AD_STR("Content-Type"), AD_STR("application/json") };
    ad_buf_init(&t.answer, 1 << 20);
    ad_arena_init(&t.arena, 1 << 20);
}

static void part_closed(void *ctx)
{
    (void)ctx;
    t.closed = --t.parts_open == 0;
}

static void teardown(void)
{
    t.parts_open = 3;
    ad_http_client_close(t.client, part_closed, NULL);
    ad_sim_close(&t.sim, part_closed, NULL);
    ad_http_server_close(t.target, part_closed, NULL);
    world_until_true(&t.w, &t.closed);
    ad_sim_fini(&t.sim);
    ad_registry_free(t.routes);
    ad_buf_fini(&t.answer);
    ad_arena_fini(&t.arena);
    world_close(&t.w);
}

/* --- Asking --- */

static void on_answer(struct ad_http_call *call)
{
    (void)call;
    t.answered = true;
}

/* The answer to one request, with time standing still. */
static const struct ad_json *ask(const char *method, const char *path, const char *body,
                                 unsigned status)
{
    const struct ad_json *json = NULL;
    struct ad_errinfo info = { 0 };
    ad_buf_clear(&t.answer);
    ad_arena_reset(&t.arena);
    t.answered = false;
    t.call = (struct ad_http_call){ .method = method,
                                    .path = ad_str_c(path),
                                    .headers = t.headers,
                                    .headers_n = AD_LEN(t.headers),
                                    .body = ad_str_c(body),
                                    .timeout_ms = 60000,
                                    .arena = &t.arena,
                                    .response = &t.answer,
                                    .cb = on_answer };
    ck_assert_int_eq(ad_http_call_start(t.client, &t.call), AD_OK);
    world_until_true(&t.w, &t.answered);
    ck_assert_int_eq(t.call.err, AD_OK);
    ck_assert_uint_eq(t.call.status, status);
    ck_assert_int_eq(ad_json_parse(&t.arena, ad_buf_str(&t.answer), NULL, &json, &info), AD_OK);
    return json;
}

static struct ad_str hook_status(void)
{
    const struct ad_json *list = ask("GET", "/v2/webhooks", NULL, 200);
    return ad_json_str(ad_json_get(ad_json_at(ad_json_get(list, "data"), 0), "status"));
}

static void subscribe(void)
{
    ask("POST", "/v2/webhooks",
        "{\"data\":{\"target_url\":\"http://127.0.0.1:2/hook\",\"subscriptions\":["
        "{\"event_type\":\"record.created\",\"filter\":null}]}}",
        200);
}

static void make_people(unsigned n)
{
    char body[96];
    (void)snprintf(body, sizeof(body),
                   "{\"count\":%u,\"objects\":[\"people\"],\"kinds\":[\"insert\"]}", n);
    ask("POST", "/_sim/edit", body, 200);
}

static uint64_t count_of(const char *key)
{
    int64_t n = -1;
    ck_assert(ad_json_i64(ad_json_get(ask("GET", "/_sim/deliveries", NULL, 200), key), &n));
    return (uint64_t)n;
}

/* --- Tests --- */

START_TEST(test_it_answers_in_memory)
{
    const struct ad_json *page = ask("POST", "/v2/objects/people/records/query", "{}", 200);
    ck_assert_uint_eq(ad_json_get(page, "data")->count, 20);
    page = ask("POST", "/v2/lists/sales_pipeline/entries/query", "{}", 200);
    ck_assert_uint_eq(ad_json_get(page, "data")->count, 4);
    ask("GET", "/v2/nothing", NULL, 404);
    ck_assert_uint_ge(t.to_sim.dials, 1);
}
END_TEST

START_TEST(test_deliveries_arrive_in_memory)
{
    subscribe();
    make_people(1);
    world_settle(&t.w);
    ck_assert_uint_eq(t.got, 1);
    ck_assert_uint_eq(count_of("delivered"), 1);
}
END_TEST

START_TEST(test_a_hundred_are_smoothed_over_four_seconds)
{
    subscribe();
    make_people(100);
    world_advance(&t.w, 1000);
    ck_assert_uint_ge(t.got, 25);
    ck_assert_uint_le(t.got, 27);
    world_advance(&t.w, 3000);
    ck_assert_uint_eq(t.got, 100);
    ck_assert_uint_eq(t.gaps_below_40, 0);
}
END_TEST

START_TEST(test_limits_let_go_after_a_second)
{
    char path[64];
    for (unsigned i = 0; i < AD_SIM_READS; i++) {
        (void)snprintf(path, sizeof(path), "/v2/workspace_members?%u", i);
        ask("GET", path, NULL, 200);
    }
    ask("GET", "/v2/workspace_members", NULL, 429);
    world_advance(&t.w, 999);
    ask("GET", "/v2/workspace_members", NULL, 429);
    world_advance(&t.w, 1);
    ask("GET", "/v2/workspace_members", NULL, 200);
}
END_TEST

START_TEST(test_three_days_of_tries_and_a_week)
{
    char key[40];
    subscribe();
    t.status = 500;
    make_people(1);
    world_advance(&t.w, 10 * 1000 - 1);
    ck_assert_uint_eq(t.got, 1);
    memcpy(key, t.last_key, sizeof(key));
    world_advance(&t.w, 2);
    ck_assert_uint_eq(t.got, 2);
    world_advance(&t.w, UINT64_C(3) * 86400 * 1000);
    ck_assert_uint_eq(t.got, 11);
    ck_assert_str_eq(t.last_key, key);
    assert_str(hook_status(), "degraded");
    world_advance(&t.w, WEEK_MS);
    assert_str(hook_status(), "inactive");
    make_people(1);
    world_advance(&t.w, 1000);
    ck_assert_uint_eq(t.got, 11);
}
END_TEST

START_TEST(test_a_target_that_answers_too_late_is_asked_again)
{
    t.to_target.refuses = true;
    subscribe();
    make_people(1);
    world_advance(&t.w, 5000);
    ck_assert_uint_eq(count_of("retried"), 1);
    t.to_target.refuses = false;
    world_advance(&t.w, 10000);
    ck_assert_uint_eq(t.got, 1);
}
END_TEST

START_TEST(test_held_deliveries_wait_for_time)
{
    subscribe();
    ask("POST", "/_sim/faults", "{\"kind\":\"delay\",\"latency_ms\":60000}", 200);
    make_people(3);
    world_advance(&t.w, 59999);
    ck_assert_uint_eq(t.got, 0);
    world_advance(&t.w, 200);
    ck_assert_uint_eq(t.got, 3);
}
END_TEST

START_TEST(test_edits_take_their_time)
{
    ask("POST", "/_sim/edit",
        "{\"edits\":40,\"inserts\":8,\"deletes\":2,\"seconds\":60,\"objects\":[\"all\"]}", 200);
    world_advance(&t.w, 30000);
    const struct ad_json *done = ask("GET", "/_sim/edit", NULL, 200);
    int64_t n = 0;
    ck_assert(ad_json_i64(ad_json_get(done, "edits"), &n));
    ck_assert_int_ge(n, 1199);
    ck_assert_int_le(n, 1200);
    world_advance(&t.w, 30000);
    done = ask("GET", "/_sim/edit", NULL, 200);
    ck_assert(ad_json_i64(ad_json_get(done, "edits"), &n));
    ck_assert_int_eq(n, 2400);
}
END_TEST

START_TEST(test_faults_hit_one_connection)
{
    ask("POST", "/_sim/faults", "{\"kind\":\"silence\",\"count\":1}", 200);
    ad_buf_clear(&t.answer);
    t.answered = false;
    t.call.path = AD_STR("/v2/objects");
    t.call.method = "GET";
    t.call.body = AD_STR_NONE;
    t.call.timeout_ms = 3000;
    ck_assert_int_eq(ad_http_call_start(t.client, &t.call), AD_OK);
    world_settle(&t.w);
    ck_assert(!t.answered);
    world_advance(&t.w, 3000);
    ck_assert(t.answered);
    ck_assert_int_eq(t.call.err, AD_ERR_TIMEOUT);
    ask("GET", "/v2/objects", NULL, 200);
}
END_TEST

static Suite *embedded_suite(void)
{
    const TTest *const tests[] = { test_it_answers_in_memory,
                                   test_deliveries_arrive_in_memory,
                                   test_a_hundred_are_smoothed_over_four_seconds,
                                   test_limits_let_go_after_a_second,
                                   test_three_days_of_tries_and_a_week,
                                   test_a_target_that_answers_too_late_is_asked_again,
                                   test_held_deliveries_wait_for_time,
                                   test_edits_take_their_time,
                                   test_faults_hit_one_connection };
    Suite *suite = suite_create("sim_embedded");
    TCase *tcase = tcase_create("sim_embedded");
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < AD_LEN(tests); i++) {
        tcase_add_test(tcase, tests[i]);
    }
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITE(embedded_suite)
