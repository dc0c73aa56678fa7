/* Receipt of deliveries: what is taken, what is refused, what is kept aside. */
#include "fixture.h"

#include <stdio.h>

static struct service_fixture s;
static struct ad_ingest in;

static void setup(void)
{
    service_fixture_open(&s);
}

static void teardown(void)
{
    service_fixture_close(&s);
}

#define EVENT(record)                                                                \
    "{\"event_type\":\"record.updated\",\"id\":{\"workspace_id\":\"" WORKSPACE "\"," \
    "\"object_id\":\"97052eb9-e65e-443f-a297-f2d9a4a7f795\","                        \
    "\"record_id\":\"00000000-0000-4000-8000-00000000000" record "\","               \
    "\"attribute_id\":\"11111111-0000-4000-8000-000000000001\"},"                    \
    "\"actor\":{\"type\":\"system\",\"id\":null}}"
#define BODY "{\"webhook_id\":\"" WORKSPACE "\",\"events\":[" EVENT("1") "," EVENT("2") "]}"

static int64_t rows(const char *where)
{
    char sql[160];
    (void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM attiod_inbox WHERE %s", where);
    return fixture_i64(&s.f, sql);
}

static uint64_t outcomes(const char *outcome)
{
    char label[64];
    (void)snprintf(label, sizeof(label), "outcome=\"%s\"", outcome);
    return ad_metric_counter(s.f.metrics, "attiod_webhook_deliveries_total", label, "x")->v;
}

START_TEST(genuine_delivery_is_durable_then_handled)
{
    record_put(&s, 0, 1, "ada");
    record_put(&s, 0, 2, "bob");
    service_fixture_up(&s);
    ck_assert_int_eq(deliver(&s, BODY, NULL, 0, &in), AD_OK);
    ck_assert_uint_eq(in.accepted, 2);
    ck_assert_uint_eq(in.duplicate, 0);
    ck_assert_int_eq(rows("1"), 2);
    pass_until(&s, nothing_pending, &s);
    ck_assert(name_is(&s, 2, "bob"));
    ck_assert_uint_eq(outcomes("accepted"), 1);
}
END_TEST

START_TEST(same_key_again_is_acknowledged_and_changes_nothing)
{
    char hex[65];
    sign(BODY, hex);
    const struct ad_http_header h[] = { { AD_STR("X-Attio-Signature"), ad_str_c(hex) },
                                        { AD_STR("idempotency-key"), AD_STR("same") } };
    service_fixture_up(&s);
    ck_assert_int_eq(deliver(&s, BODY, h, 2, &in), AD_OK);
    ck_assert_int_eq(deliver(&s, BODY, h, 2, &in), AD_OK);
    ck_assert_uint_eq(in.accepted, 0);
    ck_assert_uint_eq(in.duplicate, 2);
    ck_assert_int_eq(rows("1"), 2);
    ck_assert_uint_eq(outcomes("duplicate"), 1);
    ck_assert_int_eq(deliver(&s, BODY, h, 1, &in), AD_OK); /* no key, no dedupe */
    ck_assert_uint_eq(in.accepted, 2);
    pass_until(&s, nothing_pending, &s);
}
END_TEST

START_TEST(delivery_that_is_not_signed_by_us_is_refused)
{
    char hex[65];
    sign("another body", hex);
    const struct ad_http_header h[] = { { AD_STR("Attio-Signature"), ad_str_c(hex) } };
    service_fixture_up(&s);
    ck_assert_int_eq(deliver(&s, BODY, h, 1, &in), AD_ERR_UNAUTHORIZED);
    ck_assert_int_eq(deliver(&s, BODY, h, 0, &in), AD_ERR_UNAUTHORIZED);
    ck_assert_int_eq(deliver(&s, "not even JSON", h, 1, &in), AD_ERR_UNAUTHORIZED);
    ck_assert_int_eq(rows("1"), 0);
    ck_assert_uint_eq(outcomes("bad_signature"), 3);
}
END_TEST

START_TEST(without_any_secret_attio_is_told_to_come_again)
{
    s.no_secret = true;
    service_fixture_up(&s);
    ck_assert_int_eq(deliver(&s, BODY, NULL, 0, &in), AD_ERR_BUSY);
    ck_assert_uint_eq(outcomes("no_secret"), 1);
}
END_TEST

START_TEST(signed_body_that_makes_no_sense_is_kept_aside_and_acknowledged)
{
    static const char *const bodies[] = {
        "not JSON at all",
        "{\"events\":7}",
        "{\"webhook_id\":\"" WORKSPACE "\",\"events\":[{\"event_type\":\"record.updated\"}]}",
    };
    service_fixture_up(&s);
    for (size_t i = 0; i < AD_LEN(bodies); i++) {
        ck_assert_int_eq(deliver(&s, bodies[i], NULL, 0, &in), AD_OK);
        ck_assert(in.quarantined);
        ck_assert_uint_eq(in.accepted, 0);
    }
    ck_assert_int_eq(rows("state = 4"), 3);
    ck_assert_int_eq(pending(&s), 0);
    ck_assert_uint_eq(outcomes("malformed"), 3);
}
END_TEST

START_TEST(delivery_without_events_is_accepted)
{
    service_fixture_up(&s);
    ck_assert_int_eq(deliver(&s, "{\"webhook_id\":\"" WORKSPACE "\",\"events\":[]}", NULL, 0, &in),
                     AD_OK);
    ck_assert_uint_eq(in.accepted + in.duplicate, 0);
    ck_assert(!in.quarantined);
}
END_TEST

START_TEST(bad_idempotency_key_is_refused)
{
    char hex[65];
    char key[300];
    sign(BODY, hex);
    memset(key, 'k', sizeof(key));
    struct ad_http_header h[] = { { AD_STR("Attio-Signature"), ad_str_c(hex) },
                                  { AD_STR("Idempotency-Key"), AD_STR("one") },
                                  { AD_STR("Idempotency-Key"), AD_STR("two") } };
    service_fixture_up(&s);
    ck_assert_int_eq(deliver(&s, BODY, h, 3, &in), AD_ERR_INVALID);
    h[1].value = ad_str_n(key, sizeof(key));
    ck_assert_int_eq(deliver(&s, BODY, h, 2, &in), AD_ERR_INVALID);
    ck_assert_int_eq(rows("1"), 0);
    ck_assert_uint_eq(outcomes("bad_key"), 2);
}
END_TEST

START_TEST(what_cannot_be_stored_is_not_acknowledged_and_nothing_of_it_runs)
{
    service_fixture_up(&s);
    fixture_sql(&s.f, "CREATE TRIGGER no_insert BEFORE INSERT ON attiod_inbox"
                      " BEGIN SELECT RAISE(ABORT, 'the test says so'); END");
    ck_assert_int_ne(deliver(&s, BODY, NULL, 0, &in), AD_OK);
    ck_assert_int_ne(deliver(&s, "not JSON", NULL, 0, &in), AD_OK);
    ck_assert_uint_eq(outcomes("unavailable"), 2);
    fixture_sql(&s.f, "DROP TRIGGER no_insert");
    ck_assert_int_eq(rows("1"), 0);
    ck_assert_int_eq(pending(&s), 0);
    ck_assert_int_eq(deliver(&s, BODY, NULL, 0, &in), AD_OK);
    pass_until(&s, nothing_pending, &s);
}
END_TEST

START_TEST(while_attio_is_away_events_wait_until_the_backlog_is_full)
{
    fault_add(&s, "/v2/self", 1, 200)->act = ACT_HANG;
    service_fixture_start(&s);
    for (unsigned i = 0; i < 10; i++) {
        events_send(&s, "record.updated", 0, 1, 99);
    }
    ck_assert_int_eq(pending(&s), 990);
    ck_assert_int_eq(deliver(&s, BODY, NULL, 0, &in), AD_OK);
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_int_eq(deliver(&s, BODY, NULL, 0, &in), AD_OK);
    }
    ck_assert_int_eq(deliver(&s, BODY, NULL, 0, &in), AD_ERR_BUSY);
    ck_assert_int_eq(pending(&s), 1000);
    service_fixture_stop(&s);
    s.faults_n = 0;
    service_fixture_up(&s);
    pass_until(&s, nothing_pending, &s);
    ck_assert_uint_le(s.queries, 2);
}
END_TEST

START_TEST(allocation_that_fails_anywhere_is_answered_and_loses_nothing_acknowledged)
{
    unsigned acknowledged = 0;
    record_put(&s, 0, 1, "ada");
    record_put(&s, 0, 2, "bob");
    service_fixture_up(&s);
    bool failed = true;
    for (unsigned i = 0; failed; i++) {
        ck_assert_uint_lt(i, 1000);
        heap_fail(i + 1, 1); /* 0 is the test's own key */
        acknowledged += deliver(&s, BODY, NULL, 0, &in) == AD_OK;
        failed = heap_failed();
        heap_fail(0, 0);
        ck_assert(!in.quarantined);
        ck_assert(in.err == AD_OK || in.err == AD_ERR_NOMEM);
    }
    ck_assert_uint_gt(acknowledged, 0);
    pass_until(&s, nothing_pending, &s);
    ck_assert_int_eq(rows("state = 3"), 2 * (int64_t)acknowledged);
}
END_TEST

static void on_late(struct ad_ingest *late)
{
    *(bool *)late->data = true;
}

static void on_closed(void *ctx)
{
    *(bool *)ctx = true;
}

START_TEST(close_waits_for_a_delivery_under_way_and_refuses_the_next)
{
    bool ingested = false;
    char hex[65];
    struct ad_arena arena;
    sign(BODY, hex);
    const struct ad_http_header h[] = { { AD_STR("Attio-Signature"), ad_str_c(hex) } };
    ad_arena_init(&arena, 1 << 20);
    service_fixture_up(&s);
    in = (struct ad_ingest){ .body = AD_STR(BODY),
                             .headers = h,
                             .headers_n = 1,
                             .arena = &arena,
                             .cb = on_late,
                             .data = &ingested };
    ck_assert_int_eq(ad_ingest(s.service, &in), AD_OK);
    bool closed = false;
    struct ad_service *service = s.service;
    ad_service_close(service, on_closed, &closed);
    struct ad_ingest next = in;
    ck_assert_int_eq(ad_ingest(service, &next), AD_ERR_CLOSED);
    ck_assert(!ingested);
    world_until_true(&s.f.w, &ingested);
    ck_assert_int_eq(in.err, AD_OK);
    world_until_true(&s.f.w, &closed);
    ck_assert_int_eq(pending(&s), 2);
    service_fixture_closed(&s);
    ad_arena_fini(&arena);
}
END_TEST

static Suite *ingest_suite(void)
{
    const TTest *const tests[] = {
        genuine_delivery_is_durable_then_handled,
        same_key_again_is_acknowledged_and_changes_nothing,
        delivery_that_is_not_signed_by_us_is_refused,
        without_any_secret_attio_is_told_to_come_again,
        signed_body_that_makes_no_sense_is_kept_aside_and_acknowledged,
        delivery_without_events_is_accepted,
        bad_idempotency_key_is_refused,
        what_cannot_be_stored_is_not_acknowledged_and_nothing_of_it_runs,
        while_attio_is_away_events_wait_until_the_backlog_is_full,
        allocation_that_fails_anywhere_is_answered_and_loses_nothing_acknowledged,
        close_waits_for_a_delivery_under_way_and_refuses_the_next,
    };
    Suite *suite = suite_create("ingest");
    TCase *tcase = tcase_create("ingest");
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < AD_LEN(tests); i++) {
        tcase_add_test(tcase, tests[i]);
    }
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITE(ingest_suite)
