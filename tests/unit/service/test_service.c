/* The rest of the service: handlers of users, health, status, the operator's questions. */
#include "fixture.h"

#include <limits.h>
#include <stdio.h>

#include "service/backup.h"
#include "service/describe.h"
#include "service/service_private.h"

static struct service_fixture s;
static struct ad_buf out;
static bool answered;
static unsigned runs;

static void setup(void)
{
    service_fixture_open(&s);
    ad_buf_init(&out, 1 << 20);
    answered = false;
}

static void teardown(void)
{
    ad_buf_fini(&out);
    service_fixture_close(&s);
}

static void on_answer(struct ad_service_query *q)
{
    (void)q;
    answered = true;
}

static struct ad_service_query question(void)
{
    answered = false;
    ad_buf_clear(&out);
    return (struct ad_service_query){ .out = &out, .cb = on_answer };
}

static bool is_answered(void *ctx)
{
    (void)ctx;
    return answered;
}

static bool says(const char *text)
{
    return ad_str_contains(ad_buf_str(&out), ad_str_c(text));
}

/* ---- handlers ---------------------------------------------------------------------------- */

static void run(void *ctx, struct ad_invocation *inv)
{
    (void)ctx;
    runs++;
    ad_invocation_done(inv, runs == 1 ? AD_OUTCOME_DEAD : AD_OUTCOME_DONE, "the first one");
}

static const char *const types[] = { "record.*", NULL };
static const struct ad_handler good = {
    .abi = AD_HANDLER_ABI, .name = "mine", .types = types, .run = run
};

START_TEST(handler_that_lacks_something_is_refused_and_named)
{
    static const char *const none[] = { NULL };
    struct ad_errinfo info = { .code = AD_OK };
    struct ad_handler bad[6];
    service_fixture_open_only(&s);
    for (unsigned i = 0; i < AD_LEN(bad); i++) {
        bad[i] = good;
    }
    bad[0].abi = 99;
    bad[1].name = "";
    bad[2].run = NULL;
    bad[3].types = none;
    bad[4].mode = (enum ad_handler_mode)7;
    bad[5].name = "0123456789012345678901234567890123456789012345678901234567890123456789";
    for (unsigned i = 0; i < AD_LEN(bad); i++) {
        ck_assert_int_eq(ad_service_handler(s.service, &bad[i], &info), AD_ERR_INVALID);
        ck_assert_uint_gt(strlen(info.msg), 0);
    }
    ck_assert_int_eq(ad_service_handler(s.service, &good, &info), AD_OK);
    struct ad_handler same = good;
    ck_assert_int_eq(ad_service_handler(s.service, &same, &info), AD_ERR_CONFLICT);
    same.name = "mirror";
    ck_assert_int_eq(ad_service_handler(s.service, &same, &info), AD_ERR_CONFLICT);
}
END_TEST

START_TEST(no_more_handlers_than_there_is_room_for)
{
    static struct ad_handler many[64];
    static char names[64][8];
    struct ad_errinfo info = { .code = AD_OK };
    service_fixture_open_only(&s);
    unsigned n = 0;
    for (enum ad_err err = AD_OK; n < AD_LEN(many) && !err; n++) {
        many[n] = good;
        (void)snprintf(names[n], sizeof(names[n]), "h%u", n);
        many[n].name = names[n];
        err = ad_service_handler(s.service, &many[n], &info);
        ck_assert(err == AD_OK || err == AD_ERR_INVALID);
    }
    ck_assert_uint_gt(n, 50); /* some are built in */
    ck_assert_int_eq(ad_service_handler(s.service, &good, &info), AD_ERR_INVALID);
}
END_TEST

/* ---- the operator's questions ------------------------------------------------------------ */

static void events(enum ad_err (*ask)(struct ad_service *, struct ad_events_query *),
                   struct ad_events_query *e)
{
    e->q = question();
    enum ad_err err = ask(s.service, e);
    ck_assert_msg(err == AD_OK, "%s", e->q.info.msg);
    ck_assert(!answered);
    pass_until(&s, is_answered, NULL);
    ck_assert_int_eq(e->q.err, AD_OK);
}

static bool ran_twice(void *ctx)
{
    (void)ctx;
    return runs == 2 && pending(&s) == 0;
}

START_TEST(dead_event_is_listed_replayed_and_done)
{
    struct ad_events_query e = { .state = AD_STR("dead") };
    runs = 0;
    record_put(&s, 0, 1, "ada");
    s.handler = &good;
    service_fixture_up(&s);
    event_send(&s, "record.updated", 0, 1, 0);
    pass_until(&s, nothing_pending, &s);
    events(ad_service_events_list, &e);
    ck_assert(says("\"mine\""));
    ck_assert(says("the first one"));
    e = (struct ad_events_query){ .dry_run = true };
    events(ad_service_events_replay, &e);
    ck_assert_int_eq(e.changed, 1);
    ck_assert_uint_eq(runs, 1);
    e = (struct ad_events_query){ .dry_run = false };
    events(ad_service_events_replay, &e);
    pass_until(&s, ran_twice, NULL);
    e = (struct ad_events_query){ .id = 1 };
    events(ad_service_events_show, &e);
    ck_assert(says("\"done\""));
}
END_TEST

START_TEST(questions_that_make_no_sense_are_refused_with_a_hint)
{
    struct ad_events_query e = { .q = question(), .state = AD_STR("pendng") };
    service_fixture_up(&s);
    ck_assert_int_eq(ad_service_events_list(s.service, &e), AD_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(e.q.info.msg, "did you mean 'pending'?"));
    e = (struct ad_events_query){ .q = question(), .since = AD_STR("yesterday") };
    ck_assert_int_eq(ad_service_events_list(s.service, &e), AD_ERR_INVALID);
    e = (struct ad_events_query){ .q = question(), .limit = 501 };
    ck_assert_int_eq(ad_service_events_list(s.service, &e), AD_ERR_INVALID);
    struct ad_webhooks_query w = { .q = question() };
    ck_assert_int_eq(ad_service_webhooks_list(s.service, &w), AD_ERR_CONFIG);
}
END_TEST

START_TEST(webhooks_are_listed_made_and_deleted)
{
    struct ad_webhooks_query w = { .q = question() };
    s.opts.public_url = "https://hooks.example.com";
    service_fixture_up(&s);
    ck_assert_int_eq(ad_service_webhooks_list(s.service, &w), AD_OK);
    pass_until(&s, is_answered, NULL);
    ck_assert_int_eq(w.q.err, AD_OK);
    ck_assert(says("\"data\""));
    w.q = question();
    ck_assert_int_eq(ad_service_webhooks_ensure(s.service, &w), AD_OK);
    pass_until(&s, is_answered, NULL);
    ck_assert_int_eq(w.q.err, AD_OK);
    w = (struct ad_webhooks_query){ .q = question() };
    ck_assert_int_eq(ad_service_webhooks_delete(s.service, &w), AD_ERR_INVALID);
}
END_TEST

/* ---- health ------------------------------------------------------------------------------ */

static enum ad_health health(void)
{
    ad_buf_clear(&out);
    return ad_service_health(s.service, &out);
}

START_TEST(health_says_how_each_dependency_is_and_probes_rarely)
{
    service_fixture_up(&s);
    unsigned before = s.selfs;
    for (unsigned i = 0; i < 20; i++) {
        ck_assert_int_eq(health(), AD_HEALTH_OK);
        world_settle(&s.f.w);
    }
    ck_assert_uint_le(s.selfs - before, 1);
    fault_add(&s, "/v2/self", UINT_MAX, 500);
    world_advance(&s.f.w, 16000);
    (void)health();
    for (unsigned i = 0; i < 20; i++) {
        ad_loop_turn(s.f.w.loop, 1);
        world_advance(&s.f.w, 20);
    }
    ck_assert_int_eq(health(), AD_HEALTH_DEGRADED);
    ck_assert(says("\"last_error\":\"UPSTREAM\""));
    s.store_failing = true;
    ck_assert_int_eq(health(), AD_HEALTH_DOWN);
    ck_assert(says("\"status\":\"down\""));
}
END_TEST

START_TEST(close_waits_for_a_probe_under_way)
{
    service_fixture_up(&s);
    fault_add(&s, "/v2/self", UINT_MAX, 500)->act = ACT_HANG;
    (void)health();
    world_settle(&s.f.w);
    service_fixture_stop(&s);
}
END_TEST

START_TEST(readiness_follows_the_database_and_shutdown_only)
{
    const char *why;
    fault_add(&s, "/v2/self", UINT_MAX, 500);
    service_fixture_start(&s);
    ck_assert(ad_service_ready(s.service, &why));
    s.store_failing = true;
    ck_assert(!ad_service_ready(s.service, &why));
    s.store_failing = false;
    ad_service_drain(s.service);
    ck_assert(!ad_service_ready(s.service, &why));
    ck_assert_str_eq(why, "draining");
}
END_TEST

START_TEST(status_counts_what_is_mirrored_and_answers_later)
{
    struct ad_service_query q = question();
    service_fixture_start(&s); /* no object is known yet */
    ck_assert_int_eq(ad_service_status(s.service, &q), AD_OK);
    ck_assert(!answered);
    pass_until(&s, is_answered, NULL);
    ck_assert(says("\"schema_known\":false"));
    service_fixture_stop(&s);
    record_put(&s, 0, 1, "ada");
    service_fixture_up(&s);
    event_send(&s, "record.created", 0, 1, 0);
    pass_until(&s, nothing_pending, &s);
    q = question();
    ck_assert_int_eq(ad_service_status(s.service, &q), AD_OK);
    pass_until(&s, is_answered, NULL);
    ck_assert_int_eq(q.err, AD_OK);
    ck_assert(says("\"live\":1"));
    ck_assert(says("\"bringup\":null"));
}
END_TEST

static void on_closed(void *ctx)
{
    *(bool *)ctx = true;
}

START_TEST(while_closing_no_question_begins_and_those_under_way_are_answered)
{
    bool closed = false;
    struct ad_errinfo info = { .code = AD_OK };
    s.opts.public_url = "https://hooks.example.com";
    service_fixture_up(&s);
    struct ad_events_query e = { .q = question() };
    ck_assert_int_eq(ad_service_events_list(s.service, &e), AD_OK);
    ad_service_close(s.service, on_closed, &closed);
    struct ad_events_query late = { .q = { .out = &out, .cb = on_answer } };
    ck_assert_int_eq(ad_service_events_list(s.service, &late), AD_ERR_CLOSED);
    struct ad_webhooks_query w = { .q = { .out = &out, .cb = on_answer } };
    ck_assert_int_eq(ad_service_webhooks_list(s.service, &w), AD_ERR_CLOSED);
    struct ad_service_query q = { .out = &out, .cb = on_answer };
    ck_assert_int_eq(ad_service_status(s.service, &q), AD_ERR_CLOSED);
    ck_assert_int_eq(ad_service_sync_list(s.service, &q), AD_ERR_CLOSED);
    ck_assert_int_eq(ad_service_schema(s.service, &q), AD_ERR_CLOSED);
    ck_assert_int_eq(ad_service_sync_start(s.service, AD_STR("people"), false, NULL, &info),
                     AD_ERR_CLOSED);
    pass_until(&s, is_answered, NULL);
    world_until_true(&s.f.w, &closed);
    service_fixture_closed(&s);
}
END_TEST

static bool store_is_idle(void *ctx)
{
    (void)ctx;
    return ad_store_pending(s.f.store) == 0;
}

START_TEST(what_is_asked_of_the_webhook_ends_while_closing)
{
    bool closed = false;
    s.opts.public_url = "https://hooks.example.com";
    service_fixture_up(&s);
    fault_add(&s, "/v2/webhooks", UINT_MAX, 500)->act = ACT_HANG;
    struct ad_webhooks_query w = { .q = question() };
    ck_assert_int_eq(ad_service_webhooks_ensure(s.service, &w), AD_OK);
    world_until(&s.f.w, store_is_idle, NULL); /* nobody waits for anything but Attio */
    ck_assert(!answered);
    ad_service_close(s.service, on_closed, &closed);
    pass_until(&s, is_answered, NULL);
    ck_assert_int_eq(w.q.err, AD_ERR_CANCELED);
    world_until_true(&s.f.w, &closed);
    service_fixture_closed(&s);
}
END_TEST

START_TEST(a_restored_database_is_noted_also_while_closing)
{
    bool closed = false;
    service_fixture_up(&s);
    struct ad_service_query q = question();
    ck_assert_int_eq(ad_service_restored(s.service, &q), AD_OK);
    ck_assert(!answered);
    ad_service_close(s.service, on_closed, &closed);
    pass_until(&s, is_answered, NULL);
    ck_assert_int_eq(q.err, AD_OK);
    world_until_true(&s.f.w, &closed);
    service_fixture_closed(&s);
}
END_TEST

/* ---- the schema -------------------------------------------------------------------------- */

START_TEST(the_schema_is_described_also_while_closing)
{
    bool closed = false;
    service_fixture_up(&s);
    struct ad_service_query q = question();
    ck_assert_int_eq(ad_service_schema(s.service, &q), AD_OK);
    ck_assert(!answered);
    ad_service_close(s.service, on_closed, &closed);
    pass_until(&s, is_answered, NULL);
    ck_assert_int_eq(q.err, AD_OK);
    ck_assert(says("\"view\":\"people\""));
    world_until_true(&s.f.w, &closed);
    service_fixture_closed(&s);
}
END_TEST

static bool schema_event_done(void *ctx)
{
    (void)ctx;
    return pending(&s) == 0;
}

static void attribute_events(unsigned n)
{
    struct ad_ingest in;
    for (unsigned i = 0; i < n; i++) {
        ck_assert_int_eq(
            deliver(&s,
                    "{\"webhook_id\":\"" WORKSPACE "\",\"events\":[{\"event_type\":"
                    "\"object-attribute.updated\",\"id\":{\"workspace_id\":\"" WORKSPACE "\","
                    "\"object_id\":\"97052eb9-e65e-443f-a297-f2d9a4a7f795\",\"attribute_id\":"
                    "\"11111111-0000-4000-8000-000000000001\"},"
                    "\"actor\":{\"type\":\"system\",\"id\":null}}]}",
                    NULL, 0, &in),
            AD_OK);
        ck_assert_uint_eq(in.accepted, 1);
    }
}

START_TEST(attribute_events_refresh_the_schema_and_few_refreshes_answer_many)
{
    service_fixture_up(&s);
    s.schemas = 0;
    s.delay_ms = 100;
    attribute_events(10);
    pass_until(&s, schema_event_done, NULL);
    ck_assert_uint_ge(s.schemas, 1);
    ck_assert_uint_le(s.schemas, 3);
}
END_TEST

START_TEST(attribute_event_is_tried_again_and_close_while_it_waits_leaves_it)
{
    service_fixture_up(&s);
    fault_add(&s, "GET /v2/objects", 2, 500);
    attribute_events(1);
    pass_until(&s, schema_event_done, NULL);
    fault_add(&s, "GET /v2/objects", UINT_MAX, 500)->act = ACT_HANG;
    attribute_events(1);
    world_settle(&s.f.w);
    service_fixture_stop(&s);
    s.faults_n = 0;
    service_fixture_up(&s);
    pass_until(&s, schema_event_done, NULL);
}
END_TEST

/* ---- open without memory ----------------------------------------------------------------- */

START_TEST(service_that_cannot_be_opened_for_memory_leaves_nothing)
{
    service_fixture_open_only(&s);
    service_fixture_stop(&s);
    for (unsigned i = 0; i < 40; i++) {
        if (service_fixture_try_open(&s, i)) {
            service_fixture_stop(&s);
        }
    }
}
END_TEST

static Suite *service_suite(void)
{
    const TTest *const tests[] = {
        handler_that_lacks_something_is_refused_and_named,
        no_more_handlers_than_there_is_room_for,
        dead_event_is_listed_replayed_and_done,
        questions_that_make_no_sense_are_refused_with_a_hint,
        webhooks_are_listed_made_and_deleted,
        health_says_how_each_dependency_is_and_probes_rarely,
        close_waits_for_a_probe_under_way,
        readiness_follows_the_database_and_shutdown_only,
        status_counts_what_is_mirrored_and_answers_later,
        while_closing_no_question_begins_and_those_under_way_are_answered,
        what_is_asked_of_the_webhook_ends_while_closing,
        a_restored_database_is_noted_also_while_closing,
        the_schema_is_described_also_while_closing,
        attribute_events_refresh_the_schema_and_few_refreshes_answer_many,
        attribute_event_is_tried_again_and_close_while_it_waits_leaves_it,
        service_that_cannot_be_opened_for_memory_leaves_nothing,
    };
    Suite *suite = suite_create("service");
    TCase *tcase = tcase_create("service");
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < AD_LEN(tests); i++) {
        tcase_add_test(tcase, tests[i]);
    }
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITE(service_suite)
