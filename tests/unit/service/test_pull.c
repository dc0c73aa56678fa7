/* From a record event to the mirror: what is asked of Attio, and when an event counts as done. */
#include "fixture.h"

#include <limits.h>
#include <stdio.h>

static struct service_fixture s;

static void setup(void)
{
    service_fixture_open(&s);
}

static void teardown(void)
{
    service_fixture_close(&s);
}

static void up(void)
{
    service_fixture_up(&s);
    s.queries = s.gets = s.schemas = 0;
    s.f.sv.most_in_flight = 0;
}

static void done(void)
{
    pass_until(&s, nothing_pending, &s);
}

static bool query_flies(void *ctx)
{
    (void)ctx;
    return s.queries >= 1;
}

static int64_t attempt_rows(void)
{
    return fixture_i64(&s.f, "SELECT count(*) FROM attiod_attempt");
}

/* ---- folding ----------------------------------------------------------------------------- */

START_TEST(twenty_events_of_one_record_cost_one_query)
{
    record_put(&s, 0, 1, "ada");
    up();
    events_send(&s, "record.updated", 0, 1, 20);
    done();
    ck_assert_uint_eq(s.queries, 1);
    ck_assert_uint_eq(s.gets, 0);
    ck_assert(name_is(&s, 1, "ada"));
    ck_assert_int_eq(attempt_rows(), 0);
}
END_TEST

START_TEST(events_that_arrive_before_the_query_is_sent_are_done_by_it)
{
    record_put(&s, 0, 1, "ada");
    record_put(&s, 0, 2, "bob");
    up();
    s.delay_ms = 100;
    event_send(&s, "record.updated", 0, 2, 0);
    pass_until(&s, query_flies, NULL);
    event_send(&s, "record.updated", 0, 1, 0); /* waits for the first query's end */
    world_settle(&s.f.w);
    event_send(&s, "record.updated", 0, 1, 0); /* taken in when the second is sent */
    done();
    ck_assert_uint_eq(s.queries, 2);
    ck_assert_uint_eq(s.asked[1].n, 1);
}
END_TEST

START_TEST(event_that_arrives_after_the_query_was_sent_causes_another)
{
    record_put(&s, 0, 1, "ada");
    up();
    s.delay_ms = 100;
    event_send(&s, "record.updated", 0, 1, 0);
    pass_until(&s, query_flies, NULL);
    record_put(&s, 0, 1, "ada lovelace"); /* the answer was made before */
    event_send(&s, "record.updated", 0, 1, 0);
    done();
    ck_assert_uint_eq(s.queries, 2);
    ck_assert(name_is(&s, 1, "ada lovelace"));
}
END_TEST

START_TEST(ids_gather_while_a_query_is_in_flight_and_share_the_next)
{
    for (unsigned i = 1; i <= 151; i++) {
        record_put(&s, 0, i, "x");
    }
    up();
    s.delay_ms = 100;
    event_send(&s, "record.created", 0, 1, 0);
    pass_until(&s, query_flies, NULL);
    for (unsigned i = 2; i <= 151; i++) {
        event_send(&s, "record.created", 0, i, 0);
    }
    done();
    ck_assert_uint_eq(s.queries, 2);
    ck_assert_uint_eq(s.asked[1].n, 150);
    ck_assert_uint_eq(s.f.sv.most_in_flight, 1);
    ck_assert_int_eq(mirror_count(&s, "1"), 151);
}
END_TEST

START_TEST(objects_do_not_wait_for_each_other)
{
    s.objects_n = 2;
    record_put(&s, 0, 1, "ada");
    record_put(&s, 1, 2, "acme");
    up();
    s.delay_ms = 100;
    event_send(&s, "record.created", 0, 1, 0);
    event_send(&s, "record.created", 1, 2, 0);
    done();
    ck_assert_uint_eq(s.f.sv.most_in_flight, 2);
    ck_assert_int_eq(fixture_i64(&s.f, "SELECT count(*) FROM companies"), 1);
}
END_TEST

/* ---- records that are not shown ---------------------------------------------------------- */

START_TEST(deleted_record_that_is_not_shown_becomes_a_tombstone_without_a_get)
{
    record_put(&s, 0, 1, "ada");
    up();
    event_send(&s, "record.created", 0, 1, 0);
    done();
    record_of(&s, 0, 1)->state = REC_GONE;
    event_send(&s, "record.deleted", 0, 1, 0);
    done();
    ck_assert(is_tombstone(&s, 1));
    ck_assert_uint_eq(s.gets, 0);
}
END_TEST

START_TEST(record_that_is_not_shown_is_confirmed_by_a_get)
{
    record_put(&s, 0, 1, "ada")->state = REC_GONE;
    record_put(&s, 0, 2, "bob")->state = REC_HIDDEN;
    record_put(&s, 0, 3, "cyd");
    up();
    for (unsigned i = 1; i <= 3; i++) {
        event_send(&s, "record.updated", 0, i, 0);
    }
    done();
    ck_assert(is_tombstone(&s, 1));
    ck_assert(name_is(&s, 2, "bob"));
    ck_assert(name_is(&s, 3, "cyd"));
    ck_assert_uint_eq(s.gets, 2);
}
END_TEST

START_TEST(deleted_record_that_a_lagging_query_shows_is_left_to_the_get)
{
    record_put(&s, 0, 1, "ada")->state = REC_STALE;
    up();
    event_send(&s, "record.deleted", 0, 1, 0);
    done();
    ck_assert(is_tombstone(&s, 1));
    ck_assert_uint_eq(s.gets, 1);
}
END_TEST

static bool other_is_gone(void *ctx)
{
    (void)ctx;
    return pending(&s) == 1 && is_tombstone(&s, 2);
}

START_TEST(merge_in_progress_is_asked_again_and_is_no_tombstone)
{
    record_put(&s, 0, 1, "ada")->state = REC_MERGING;
    record_put(&s, 0, 2, "bob")->state = REC_GONE;
    up();
    event_send(&s, "record.updated", 0, 1, 0);
    event_send(&s, "record.updated", 0, 2, 0);
    record_put(&s, 0, 3, "cyd");
    event_send(&s, "record.updated", 0, 3, 0); /* the table is there */
    pass_until(&s, other_is_gone, NULL);       /* need not wait for the merge */
    world_advance(&s.f.w, 5000);
    ck_assert_int_eq(mirror_count(&s, "1"), 2);
    record_of(&s, 0, 1)->state = REC_LIVE;
    done();
    ck_assert(name_is(&s, 1, "ada"));
}
END_TEST

/* ---- merges ------------------------------------------------------------------------------ */

START_TEST(merge_into_a_survivor_ends_with_the_duplicate_gone)
{
    record_put(&s, 0, 1, "ada");
    record_put(&s, 0, 2, "ada too");
    up();
    event_send(&s, "record.created", 0, 1, 0);
    event_send(&s, "record.created", 0, 2, 0);
    done();
    record_put(&s, 0, 1, "ada merged");
    record_of(&s, 0, 2)->state = REC_GONE;
    event_send(&s, "record.merged", 0, 1, 2);
    done();
    ck_assert(name_is(&s, 1, "ada merged"));
    ck_assert(is_tombstone(&s, 2));
}
END_TEST

START_TEST(merge_into_a_new_record_ends_with_both_old_ones_gone)
{
    record_put(&s, 0, 1, "ada");
    record_put(&s, 0, 2, "ada too");
    up();
    event_send(&s, "record.created", 0, 1, 0);
    event_send(&s, "record.created", 0, 2, 0);
    done();
    record_of(&s, 0, 1)->state = record_of(&s, 0, 2)->state = REC_GONE;
    record_put(&s, 0, 3, "ada merged");
    event_send(&s, "record.merged", 0, 3, 1);
    event_send(&s, "record.merged", 0, 3, 2);
    done();
    ck_assert(name_is(&s, 3, "ada merged"));
    ck_assert(is_tombstone(&s, 1));
    ck_assert(is_tombstone(&s, 2));
}
END_TEST

static bool survivor_shown(void *ctx)
{
    (void)ctx;
    return name_is(&s, 1, "ada merged");
}

START_TEST(event_of_a_survivor_that_waits_for_its_duplicate_is_not_done_by_an_older_answer)
{
    record_put(&s, 0, 9, "x");
    up();
    event_send(&s, "record.created", 0, 9, 0);
    done();
    record_put(&s, 0, 1, "ada merged");
    record_put(&s, 0, 2, "ada too")->state = REC_MERGING;
    event_send(&s, "record.merged", 0, 1, 2);
    pass_until(&s, survivor_shown, NULL);
    record_put(&s, 0, 1, "ada renamed");
    event_send(&s, "record.updated", 0, 1, 0);
    world_advance(&s.f.w, 5000);
    record_of(&s, 0, 2)->state = REC_GONE;
    done();
    ck_assert(name_is(&s, 1, "ada renamed"));
    ck_assert(is_tombstone(&s, 2));
}
END_TEST

/* ---- objects we do not know -------------------------------------------------------------- */

START_TEST(unknown_object_costs_one_refresh_for_many_events)
{
    up();
    for (unsigned i = 1; i <= 10; i++) {
        event_send(&s, "record.created", 2, i, 0);
    }
    done();
    ck_assert_uint_le(s.schemas, 2); /* those that came while it was asked wait for the next */
    ck_assert_uint_eq(s.queries, 0);
}
END_TEST

START_TEST(records_of_a_new_object_are_mirrored)
{
    up();
    s.objects_n = 2;
    record_put(&s, 1, 1, "acme");
    event_send(&s, "record.created", 1, 1, 0);
    done();
    ck_assert_uint_eq(s.schemas, 1);
    ck_assert_int_eq(fixture_i64(&s.f, "SELECT count(*) FROM companies"), 1);
}
END_TEST

static bool refresh_flies(void *ctx)
{
    (void)ctx;
    return s.schemas == 1;
}

START_TEST(object_that_is_younger_than_the_refresh_under_way_is_not_given_up)
{
    up();
    s.delay_ms = 100;
    event_send(&s, "record.created", 2, 1, 0);
    pass_until(&s, refresh_flies, NULL);
    s.objects_n = 2;
    record_put(&s, 1, 1, "acme");
    event_send(&s, "record.created", 1, 1, 0);
    done();
    ck_assert_int_eq(fixture_i64(&s.f, "SELECT count(*) FROM companies"), 1);
}
END_TEST

START_TEST(schema_that_cannot_be_had_keeps_the_events_waiting)
{
    up();
    s.objects_n = 2;
    record_put(&s, 1, 1, "acme");
    fault_add(&s, "GET /v2/objects", 6, 500);
    event_send(&s, "record.created", 1, 1, 0);
    done();
    ck_assert_int_eq(attempt_rows(), 0);
    ck_assert_int_eq(fixture_i64(&s.f, "SELECT count(*) FROM companies"), 1);
}
END_TEST

START_TEST(events_that_name_no_record_of_ours_are_done_without_a_call)
{
    struct ad_ingest in;
    up();
    ck_assert_int_eq(
        deliver(&s,
                "{\"webhook_id\":\"" WORKSPACE "\",\"events\":[{\"event_type\":\"record.updated\","
                "\"id\":{\"workspace_id\":\"99999999-99f7-4534-a87e-70b564330a4c\",\"object_id\":"
                "\"97052eb9-e65e-443f-a297-f2d9a4a7f795\",\"record_id\":"
                "\"00000000-0000-4000-8000-000000000001\",\"attribute_id\":"
                "\"11111111-0000-4000-8000-000000000001\"},"
                "\"actor\":{\"type\":\"system\",\"id\":null}},"
                "{\"event_type\":\"record.archived\",\"id\":{\"workspace_id\":\"" WORKSPACE "\","
                "\"object_id\":\"97052eb9-e65e-443f-a297-f2d9a4a7f795\"},"
                "\"actor\":{\"type\":\"system\",\"id\":null}}]}",
                NULL, 0, &in),
        AD_OK);
    ck_assert_uint_eq(in.accepted, 2);
    done();
    ck_assert_uint_eq(s.queries, 0);
    ck_assert_uint_eq(s.schemas, 0);
}
END_TEST

/* ---- refusals and outages ---------------------------------------------------------------- */

START_TEST(query_that_is_refused_is_halved)
{
    for (unsigned i = 1; i <= 101; i++) {
        record_put(&s, 0, i, "x");
    }
    up();
    s.delay_ms = 100;
    event_send(&s, "record.created", 0, 1, 0);
    pass_until(&s, query_flies, NULL);
    fault_add(&s, "\"$in\"", 1, 400);
    for (unsigned i = 2; i <= 101; i++) {
        event_send(&s, "record.created", 0, i, 0);
    }
    done();
    ck_assert_int_eq(mirror_count(&s, "1"), 101);
    ck_assert_uint_eq(s.asked[1].n, 50);
    ck_assert_uint_eq(s.asked[2].n, 50);
    ck_assert_uint_eq(s.gets, 0);
}
END_TEST

START_TEST(record_that_attio_refuses_holds_no_other_back)
{
    for (unsigned i = 1; i <= 20; i++) {
        record_put(&s, 0, i, "x");
    }
    up();
    fault_add(&s, "-000000000013", UINT_MAX, 400);
    for (unsigned i = 1; i <= 20; i++) {
        event_send(&s, "record.created", 0, i, 0);
    }
    for (unsigned i = 0; i < 400 && mirror_count(&s, "1") < 19; i++) {
        world_advance(&s.f.w, 10);
        ad_loop_turn(s.f.w.loop, 1);
    }
    ck_assert_int_eq(mirror_count(&s, "1"), 19);
    world_advance(&s.f.w, 2000);
    ck_assert_int_eq(pending(&s), 1);
    ck_assert_int_ge(attempt_rows(), 1);
    s.faults[0].times = 0;
    done();
    ck_assert(name_is(&s, 13, "x"));
}
END_TEST

static const enum act outages[] = { ACT_ANSWER, ACT_GARBAGE, ACT_HANG_UP, ACT_HALF };

START_TEST(outage_is_waited_out_and_leaves_no_failure_rows)
{
    record_put(&s, 0, 1, "ada");
    record_put(&s, 0, 2, "bob")->state = REC_HIDDEN;
    up();
    struct answer *a = fault_add(&s, "/records/", 12, 500);
    a->act = outages[_i];
    event_send(&s, "record.created", 0, 1, 0);
    event_send(&s, "record.created", 0, 2, 0);
    world_advance(&s.f.w, 1000);
    ck_assert_int_eq(pending(&s), 2);
    done();
    ck_assert_int_eq(attempt_rows(), 0);
    ck_assert(name_is(&s, 1, "ada"));
    ck_assert(name_is(&s, 2, "bob"));
}
END_TEST

START_TEST(get_that_fails_sends_all_back_in_line)
{
    for (unsigned i = 1; i <= 4; i++) {
        record_put(&s, 0, i, "x")->state = i == 4 ? REC_LIVE : i == 3 ? REC_HIDDEN : REC_GONE;
    }
    up();
    fault_add(&s, "-000000000002 ", 0, 500);
    fault_add(&s, "/records/00000000-0000-4000-8000-000000000002", 5, 503);
    for (unsigned i = 1; i <= 4; i++) {
        event_send(&s, "record.updated", 0, i, 0);
    }
    done();
    ck_assert(is_tombstone(&s, 1));
    ck_assert(is_tombstone(&s, 2));
    ck_assert(name_is(&s, 3, "x"));
    ck_assert(name_is(&s, 4, "x"));
}
END_TEST

/* ---- the database ------------------------------------------------------------------------ */

#define TABLE "attiod_o_97052eb9_e65e_443f_a297_f2d9a4a7f795"

static const enum record_state unwritable[] = { REC_LIVE, REC_HIDDEN, REC_GONE };

START_TEST(rows_that_cannot_be_written_leave_the_events_pending_until_they_can)
{
    up();
    record_put(&s, 0, 9, "x");
    event_send(&s, "record.created", 0, 9, 0);
    done();
    for (unsigned i = 1; i <= 3; i++) {
        record_put(&s, 0, i, "ada")->state = unwritable[_i];
    }
    fixture_sql(&s.f, "CREATE TRIGGER no_insert BEFORE INSERT ON " TABLE
                      " BEGIN SELECT RAISE(ABORT, 'the test says so'); END");
    s.queries = 0;
    for (unsigned i = 1; i <= 3; i++) {
        event_send(&s, "record.updated", 0, i, 0);
    }
    world_advance(&s.f.w, 3000);
    pass_until(&s, query_flies, NULL);
    world_advance(&s.f.w, 3000);
    ck_assert_int_eq(pending(&s), 3);
    fixture_sql(&s.f, "DROP TRIGGER no_insert");
    done();
    ck_assert_int_eq(attempt_rows(), 0);
    for (unsigned i = 1; i <= 3; i++) {
        ck_assert(unwritable[_i] == REC_GONE ? is_tombstone(&s, i) : name_is(&s, i, "ada"));
    }
}
END_TEST

/* ---- no memory --------------------------------------------------------------------------- */

START_TEST(allocation_that_fails_anywhere_delays_the_event_and_loses_nothing)
{
    up();
    bool failed = true; /* how many a round makes differs: some of them find tables grown before */
    for (unsigned i = 0; failed || i < 90; i++) {
        unsigned n = i * 3 + 1;
        record_put(&s, 0, n, "ada");
        record_put(&s, 0, n + 1, "bob")->state = REC_GONE;
        record_put(&s, 0, n + 2, "cyd")->state = REC_HIDDEN;
        event_send(&s, "record.merged", 0, n, n + 1);
        event_send(&s, "record.updated", 0, n + 2, 0);
        heap_fail(i, i % 2 ? 3 : 1);
        pass_until(&s, nothing_pending, &s);
        failed = heap_failed();
        heap_fail(0, 0);
        ck_assert(name_is(&s, n, "ada"));
        ck_assert(is_tombstone(&s, n + 1));
        ck_assert(name_is(&s, n + 2, "cyd"));
        s.queries = 0;
        s.f.sv.n = 0;
    }
}
END_TEST

/* ---- close ------------------------------------------------------------------------------- */

/* Where the event is when the process ends. */
static const struct stage {
    const char *hangs; /* this request is never answered */
    unsigned object, status;
    enum record_state state;
} stages[] = {
    { NULL, 0, 0, REC_LIVE },                 /* not asked yet */
    { "\"$in\"", 0, 0, REC_LIVE },            /* the query is in flight */
    { "GET /v2/objects/", 0, 0, REC_HIDDEN }, /* the GET is */
    { "\"$in\"", 0, 500, REC_LIVE },          /* pausing */
    { NULL, 0, 0, REC_MERGING },              /* waiting for a merge */
    { "GET /v2/objects", 1, 0, REC_LIVE },    /* the schema is asked for */
    { "GET /v2/objects", 1, 500, REC_LIVE },  /* the schema is to be asked for again */
};

START_TEST(closing_at_any_stage_leaves_the_events_for_the_next_start)
{
    const struct stage *at = &stages[_i];
    up();
    s.objects_n = 2;
    record_put(&s, at->object, 1, "ada")->state = at->state;
    record_put(&s, at->object, 2, "bob")->state = at->state;
    if (at->hangs) {
        fault_add(&s, at->hangs, UINT_MAX, at->status)->act = at->status ? ACT_ANSWER : ACT_HANG;
    }
    event_send(&s, "record.merged", at->object, 1, 2);
    event_send(&s, "record.updated", at->object, 2, 0);
    if (_i > 0) {
        world_advance(&s.f.w, 1500);
        for (unsigned i = 0; i < 50; i++) {
            world_settle(&s.f.w);
            ad_loop_turn(s.f.w.loop, 1);
        }
    }
    ck_assert_int_gt(pending(&s), 0);
    service_fixture_stop(&s);
    s.faults_n = 0;
    record_of(&s, at->object, 1)->state = record_of(&s, at->object, 2)->state = REC_LIVE;
    up();
    done();
    ck_assert_int_eq(fixture_i64(&s.f, at->object ? "SELECT count(*) FROM companies"
                                                  : "SELECT count(*) FROM people"),
                     2);
    ck_assert_int_eq(attempt_rows(), 0);
}
END_TEST

static Suite *pull_suite(void)
{
    const TTest *const tests[] = {
        twenty_events_of_one_record_cost_one_query,
        events_that_arrive_before_the_query_is_sent_are_done_by_it,
        event_that_arrives_after_the_query_was_sent_causes_another,
        ids_gather_while_a_query_is_in_flight_and_share_the_next,
        objects_do_not_wait_for_each_other,
        deleted_record_that_is_not_shown_becomes_a_tombstone_without_a_get,
        record_that_is_not_shown_is_confirmed_by_a_get,
        deleted_record_that_a_lagging_query_shows_is_left_to_the_get,
        merge_in_progress_is_asked_again_and_is_no_tombstone,
        merge_into_a_survivor_ends_with_the_duplicate_gone,
        merge_into_a_new_record_ends_with_both_old_ones_gone,
        event_of_a_survivor_that_waits_for_its_duplicate_is_not_done_by_an_older_answer,
        unknown_object_costs_one_refresh_for_many_events,
        records_of_a_new_object_are_mirrored,
        object_that_is_younger_than_the_refresh_under_way_is_not_given_up,
        schema_that_cannot_be_had_keeps_the_events_waiting,
        events_that_name_no_record_of_ours_are_done_without_a_call,
        query_that_is_refused_is_halved,
        record_that_attio_refuses_holds_no_other_back,
        get_that_fails_sends_all_back_in_line,
        allocation_that_fails_anywhere_delays_the_event_and_loses_nothing,
    };
    Suite *suite = suite_create("pull");
    TCase *tcase = tcase_create("pull");
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < AD_LEN(tests); i++) {
        tcase_add_test(tcase, tests[i]);
    }
    tcase_add_loop_test(tcase, outage_is_waited_out_and_leaves_no_failure_rows, 0,
                        (int)AD_LEN(outages));
    tcase_add_loop_test(tcase, rows_that_cannot_be_written_leave_the_events_pending_until_they_can,
                        0, (int)AD_LEN(unwritable));
    tcase_add_loop_test(tcase, closing_at_any_stage_leaves_the_events_for_the_next_start, 0,
                        (int)AD_LEN(stages));
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITE(pull_suite)
