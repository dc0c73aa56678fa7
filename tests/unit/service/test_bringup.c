/* From start to ready: the steps, what goes wrong in each, and close at each. */
#include "fixture.h"
#include "service/service_private.h"
#include "support/torture.h"

#include <limits.h>
#include <stdio.h>

static struct service_fixture s;

static void setup(void)
{
    service_fixture_open(&s);
    s.opts.public_url = "https://hooks.example.com/";
    s.opts.sync_on_start = true;
    record_put(&s, 0, 1, "ada");
}

static void teardown(void)
{
    service_fixture_close(&s);
}

static bool synced(void *ctx)
{
    (void)ctx;
    return world_logged(&s.f.w, "sync_done");
}

static unsigned place_of(const char *line)
{
    for (unsigned i = 0; i < s.f.sv.n; i++) {
        if (strstr(s.f.sv.requests[i].line, line)) {
            return i;
        }
    }
    ck_abort_msg("%s was not asked", line);
}

static unsigned asked(const char *line)
{
    unsigned n = 0;
    for (unsigned i = 0; i < s.f.sv.n; i++) {
        n += strstr(s.f.sv.requests[i].line, line) != NULL;
    }
    return n;
}

START_TEST(identity_schema_webhook_and_sync_come_up_in_order)
{
    service_fixture_up(&s);
    pass_until(&s, synced, NULL);
    ck_assert_uint_lt(place_of("/v2/self"), place_of("GET /v2/objects"));
    ck_assert_uint_lt(place_of("/attributes"), place_of("POST /v2/webhooks"));
    ck_assert_uint_lt(place_of("POST /v2/webhooks"), place_of("/query"));
    ck_assert_uint_eq(s.hooks_made, 1);
    ck_assert(name_is(&s, 1, "ada"));
    ck_assert_ptr_nonnull(strstr(s.f.sv.requests[place_of("POST /v2/webhooks")].body,
                                 "\"https://hooks.example.com/webhooks/attio\""));
}
END_TEST

START_TEST(without_a_public_url_there_is_no_webhook)
{
    s.opts.public_url = NULL;
    service_fixture_up(&s);
    pass_until(&s, synced, NULL);
    ck_assert_uint_eq(asked("/v2/webhooks"), 0);
}
END_TEST

static const char *const steps[] = { "/v2/self",  "GET /v2/objects", "/attributes",
                                     "/v2/lists", "/v2/webhooks",    "/query" };

START_TEST(each_step_is_tried_again_until_it_succeeds)
{
    fault_add(&s, steps[_i], 5, 500);
    service_fixture_up(&s);
    pass_until(&s, synced, NULL);
    ck_assert_uint_gt(asked(steps[_i]), 5);
    ck_assert_uint_eq(s.hooks_made, 1);
}
END_TEST

START_TEST(token_that_is_refused_stops_calls_until_it_is_well)
{
    fault_add(&s, "/v2/self", 6, 401);
    service_fixture_start(&s);
    world_advance(&s.f.w, 500);
    ck_assert_uint_eq(asked("/v2/objects"), 0);
    s.faults[0].times = 0;
    pass_until(&s, synced, NULL);
}
END_TEST

START_TEST(token_of_another_workspace_gets_nothing_done)
{
    s.expected_workspace_id = AD_STR("99999999-99f7-4534-a87e-70b564330a4c");
    service_fixture_start(&s);
    for (unsigned i = 0; i < 20; i++) {
        world_advance(&s.f.w, 1000);
        ad_loop_turn(s.f.w.loop, 1);
    }
    ck_assert_uint_ge(asked("/v2/self"), 2);
    ck_assert_uint_eq(asked("/v2/self"), s.f.sv.n);
    ck_assert_int_eq(ad_client_latched(s.f.client), AD_ERR_CONFLICT);
    event_send(&s, "record.updated", 0, 1, 0); /* stored and waiting */
    ck_assert_int_eq(pending(&s), 1);
}
END_TEST

static const unsigned refusals[] = { 403, 400, 422 };

START_TEST(webhook_that_needs_an_operator_does_not_keep_the_sync_waiting)
{
    fault_add(&s, "POST /v2/webhooks", UINT_MAX, refusals[_i]);
    service_fixture_up(&s);
    pass_until(&s, synced, NULL);
    ck_assert(world_logged(&s.f.w, "webhook_not_ready"));
}
END_TEST

START_TEST(webhook_whose_secret_is_unknown_does_not_keep_the_sync_waiting)
{
    fault_add(&s, "GET /v2/webhooks", UINT_MAX, 200)->body =
        "{\"data\":[{\"id\":{\"workspace_id\":\"" WORKSPACE "\","
        "\"webhook_id\":\"22222222-0000-4000-8000-000000000009\"},"
        "\"target_url\":\"https://hooks.example.com/webhooks/attio\",\"status\":\"active\","
        "\"subscriptions\":[],\"created_at\":\"2026-01-01T00:00:00.000000000Z\"}]}";
    service_fixture_up(&s);
    pass_until(&s, synced, NULL);
    ck_assert(world_logged(&s.f.w, "webhook_not_ready"));
    ck_assert_uint_eq(asked("POST /v2/webhooks"), 0);
}
END_TEST

static bool bob_is_mirrored(void *ctx)
{
    (void)ctx;
    return name_is(&s, 2, "bob");
}

START_TEST(after_a_restart_events_are_handled_although_attio_does_not_say_who_we_are)
{
    service_fixture_up(&s);
    pass_until(&s, synced, NULL);
    service_fixture_stop(&s);
    fault_add(&s, "/v2/self", UINT_MAX, 500);
    service_fixture_start(&s);
    record_put(&s, 0, 2, "bob");
    event_send(&s, "record.created", 0, 2, 0);
    pass_until(&s, bob_is_mirrored, NULL);
}
END_TEST

START_TEST(switched_off_nothing_is_asked_and_events_are_stored)
{
    service_fixture_start(&s); /* opens; this test wants a client that is off */
    service_fixture_stop(&s);
    s.f.opts.enabled = false;
    s.f.sv.n = 0;
    service_fixture_start(&s);
    event_send(&s, "record.updated", 0, 1, 0);
    world_advance(&s.f.w, 100000);
    ck_assert_uint_eq(s.f.sv.n, 0);
    ck_assert_int_eq(pending(&s), 1);
    struct ad_errinfo info = { .code = AD_OK };
    ck_assert_int_eq(ad_service_sync_start(s.service, AD_STR("people"), false, NULL, &info),
                     AD_ERR_DISABLED);
}
END_TEST

START_TEST(close_at_each_step)
{
    static const enum act acts[] = { ACT_HANG, ACT_ANSWER };
    fault_add(&s, steps[_i / 2], UINT_MAX, 500)->act = acts[_i % 2];
    service_fixture_start(&s);
    for (unsigned i = 0; i < 200 && asked(steps[_i / 2]) == 0; i++) {
        ad_loop_turn(s.f.w.loop, 1);
        world_advance(&s.f.w, 20);
    }
    ck_assert_uint_gt(asked(steps[_i / 2]), 0);
    world_settle(&s.f.w);
    service_fixture_stop(&s);
}
END_TEST

START_TEST(close_right_after_start)
{
    service_fixture_start(&s);
    service_fixture_stop(&s);
}
END_TEST

static bool is_up(void *ctx)
{
    (void)ctx;
    return !ad__bringup_step(s.service->bringup);
}

START_TEST(allocation_that_fails_anywhere_delays_bringup)
{
    bool failed = true;
    for (size_t n = 0; failed; n = torture_next(n)) {
        s.f.sv.n = 0;
        service_fixture_start(&s);
        heap_fail(n, _i ? 3 : 1);
        pass_until(&s, is_up, NULL);
        failed = heap_failed();
        heap_fail(0, 0);
        service_fixture_stop(&s);
    }
    ck_assert_uint_eq(s.hooks_made, 1);
}
END_TEST

static Suite *bringup_suite(void)
{
    const TTest *const tests[] = {
        identity_schema_webhook_and_sync_come_up_in_order,
        without_a_public_url_there_is_no_webhook,
        token_that_is_refused_stops_calls_until_it_is_well,
        token_of_another_workspace_gets_nothing_done,
        webhook_whose_secret_is_unknown_does_not_keep_the_sync_waiting,
        after_a_restart_events_are_handled_although_attio_does_not_say_who_we_are,
        switched_off_nothing_is_asked_and_events_are_stored,
        close_right_after_start,
    };
    Suite *suite = suite_create("bringup");
    TCase *tcase = tcase_create("bringup");
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < AD_LEN(tests); i++) {
        tcase_add_test(tcase, tests[i]);
    }
    tcase_add_loop_test(tcase, allocation_that_fails_anywhere_delays_bringup, 0, 2);
    tcase_add_loop_test(tcase, each_step_is_tried_again_until_it_succeeds, 0, (int)AD_LEN(steps));
    tcase_add_loop_test(tcase, webhook_that_needs_an_operator_does_not_keep_the_sync_waiting, 0,
                        (int)AD_LEN(refusals));
    tcase_add_loop_test(tcase, close_at_each_step, 0, 2 * (int)AD_LEN(steps));
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITE(bringup_suite)
