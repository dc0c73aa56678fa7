/* Records that were merged away, are gone, or may not be seen. */
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
    s.f.sv.n = 0;
}

static void done(void)
{
    pass_until(&s, nothing_pending, &s);
}

static int64_t attempt_rows(void)
{
    return fixture_i64(&s.f, "SELECT count(*) FROM attiod_attempt");
}

static int64_t merged_into(unsigned old, unsigned new)
{
    char sql[256];
    char id[37];
    (void)snprintf(id, sizeof(id), "%s", record_id(old));
    (void)snprintf(sql, sizeof(sql),
                   "SELECT count(*) FROM attiod_merge WHERE old_id = '%s' AND new_id = '%s'", id,
                   record_id(new));
    return fixture_i64(&s.f, sql);
}

static unsigned requests(const char *part)
{
    unsigned n = 0;
    for (unsigned i = 0; i < s.f.sv.n; i++) {
        n += strstr(s.f.sv.requests[i].line, part) != NULL;
    }
    return n;
}

static bool one_is_left(void *ctx)
{
    (void)ctx;
    return pending(&s) == 1;
}

static bool two_have_failed(void *ctx)
{
    (void)ctx;
    return attempt_rows() == 2;
}

static bool schema_asked(void *ctx)
{
    (void)ctx;
    return requests("GET /v2/objects") > 0;
}

static void pass(unsigned ms)
{
    for (unsigned i = 0; i < ms; i += 20) {
        ad_loop_turn(s.f.w.loop, 1);
        world_advance(&s.f.w, 20);
    }
    world_settle(&s.f.w);
}

/* ---- what is known to be gone ------------------------------------------------------------ */

START_TEST(event_of_a_tombstone_costs_no_get)
{
    record_put(&s, 0, 1, "ada")->state = REC_GONE;
    up();
    event_send(&s, "record.updated", 0, 1, 0);
    done();
    ck_assert_uint_eq(s.gets, 1);
    ck_assert(is_tombstone(&s, 1));
    event_send(&s, "record.updated", 0, 1, 0);
    event_send(&s, "record.created", 0, 1, 0);
    done();
    ck_assert_uint_eq(s.gets, 1);
    ck_assert(is_tombstone(&s, 1));
    record_of(&s, 0, 1)->state = REC_LIVE; /* and if it is shown after all, it is there */
    event_send(&s, "record.updated", 0, 1, 0);
    done();
    ck_assert(name_is(&s, 1, "ada"));
}
END_TEST

/* ---- merges ------------------------------------------------------------------------------ */

static void merge_two(void)
{
    record_put(&s, 0, 1, "ada");
    record_put(&s, 0, 2, "ada too");
    up();
    event_send(&s, "record.created", 0, 1, 0);
    event_send(&s, "record.created", 0, 2, 0);
    done();
    record_of(&s, 0, 1)->state = record_of(&s, 0, 2)->state = REC_GONE;
    record_put(&s, 0, 3, "merged");
}

START_TEST(two_events_of_a_merge_in_either_order_leave_the_new_record_and_two_tombstones)
{
    merge_two();
    event_send(&s, "record.merged", 0, 3, _i ? 1 : 2);
    if (_i > 1) {
        done();
    }
    event_send(&s, "record.merged", 0, 3, _i ? 2 : 1);
    done();
    ck_assert(name_is(&s, 3, "merged"));
    ck_assert(is_tombstone(&s, 1));
    ck_assert(is_tombstone(&s, 2));
    ck_assert_int_eq(merged_into(1, 3), 1);
    ck_assert_int_eq(merged_into(2, 3), 1);
    ck_assert_int_eq(attempt_rows(), 0);
}
END_TEST

START_TEST(event_of_an_old_record_leads_to_what_it_became)
{
    merge_two();
    event_send(&s, "record.merged", 0, 3, 1);
    done();
    record_put(&s, 0, 3, "renamed");
    s.gets = 0;
    event_send(&s, "record.updated", 0, 1, 0);
    done();
    ck_assert(name_is(&s, 3, "renamed"));
    ck_assert(is_tombstone(&s, 1));
    ck_assert_uint_eq(s.gets, 0);
}
END_TEST

START_TEST(event_of_an_old_record_that_comes_first_ends_the_same)
{
    merge_two();
    event_send(&s, "record.updated", 0, 1, 0);
    event_send(&s, "record.merged", 0, 3, 1);
    event_send(&s, "record.updated", 0, 3, 0);
    done();
    ck_assert(name_is(&s, 3, "merged"));
    ck_assert(is_tombstone(&s, 1));
}
END_TEST

START_TEST(merges_of_merges_lead_to_the_last_record)
{
    merge_two();
    event_send(&s, "record.merged", 0, 3, 1);
    done();
    record_of(&s, 0, 3)->state = REC_GONE;
    record_put(&s, 0, 5, "merged again");
    event_send(&s, "record.merged", 0, 5, 3);
    done();
    ck_assert(is_tombstone(&s, 3));
    record_put(&s, 0, 5, "renamed");
    event_send(&s, "record.updated", 0, 1, 0);
    done();
    ck_assert(name_is(&s, 5, "renamed"));
}
END_TEST

START_TEST(merge_in_progress_is_asked_after_slowly_whatever_else_goes_on)
{
    record_put(&s, 0, 3, "merged")->state = REC_MERGING;
    record_put(&s, 0, 1, "ada")->state = REC_GONE;
    record_put(&s, 0, 9, "busy");
    up();
    event_send(&s, "record.merged", 0, 3, 1);
    for (unsigned i = 0; i < 40; i++) { /* 20 s */
        event_send(&s, "record.updated", 0, 9, 0);
        pass(500);
    }
    ck_assert_uint_ge(s.queries, 20);
    ck_assert_uint_ge(requests("-000000000003"), 2);
    ck_assert_uint_le(requests("-000000000003"), 10); /* after 2, 4, 8 s ... */
    ck_assert(is_tombstone(&s, 1));
    ck_assert_int_eq(mirror_count(&s, "name = 'merged' OR _deleted_at IS NOT NULL"), 1);
    record_of(&s, 0, 3)->state = REC_LIVE;
    done();
    ck_assert(name_is(&s, 3, "merged"));
    ck_assert_int_eq(attempt_rows(), 0);
}
END_TEST

START_TEST(merge_that_cannot_be_remembered_makes_no_tombstone)
{
    merge_two();
    fixture_sql(&s.f, "CREATE TRIGGER no_merge BEFORE INSERT ON attiod_merge"
                      " BEGIN SELECT RAISE(ABORT, 'the test says so'); END");
    event_send(&s, "record.merged", 0, 3, 1);
    pass(400);
    ck_assert_int_eq(pending(&s), 1);
    ck_assert(name_is(&s, 1, "ada"));
    fixture_sql(&s.f, "DROP TRIGGER no_merge");
    done();
    ck_assert(name_is(&s, 3, "merged"));
    ck_assert(is_tombstone(&s, 1));
    ck_assert_int_eq(merged_into(1, 3), 1);
}
END_TEST

START_TEST(merge_of_a_record_with_itself_is_none)
{
    record_put(&s, 0, 1, "ada");
    up();
    event_send(&s, "record.merged", 0, 1, 1);
    done();
    ck_assert(name_is(&s, 1, "ada"));
    ck_assert_int_eq(fixture_i64(&s.f, "SELECT count(*) FROM attiod_merge"), 0);
}
END_TEST

START_TEST(lookups_that_fail_are_repeated)
{
    merge_two();
    /* The old way of renaming: triggers that name the table are left as they are. */
    fixture_sql(&s.f, "PRAGMA legacy_alter_table = ON; ALTER TABLE attiod_merge RENAME TO away");
    event_send(&s, "record.updated", 0, 1, 0);
    pass(3000);
    ck_assert_int_eq(pending(&s), 1);
    ck_assert_int_eq(attempt_rows(), 0);
    fixture_sql(&s.f, "ALTER TABLE away RENAME TO attiod_merge");
    done();
    ck_assert(is_tombstone(&s, 1));
}
END_TEST

/* ---- answers from before ----------------------------------------------------------------- */

#define ACCURATE(s) "X-Accurate-At: 2026-01-01T00:00:" #s "Z\r\n"

/* How the record comes to be seen: by the query, by the GET, or not at all. */
static const enum record_state shown[] = { REC_LIVE, REC_HIDDEN, REC_GONE };

START_TEST(answer_from_before_what_we_know_completes_nothing)
{
    record_put(&s, 0, 1, "ada");
    record_put(&s, 0, 2, "bob");
    up();
    s.headers = ACCURATE(20.5);
    event_send(&s, "record.created", 0, 1, 0);
    done();
    record_put(&s, 0, 1, "as it was")->state = shown[_i];
    s.headers = ACCURATE(10.5); /* another replica */
    event_send(&s, "record.updated", 0, 1, 0);
    event_send(&s, "record.updated", 0, 2, 0);
    pass_until(&s, one_is_left, NULL); /* nothing else waits for it */
    pass(5000);
    ck_assert_int_eq(pending(&s), 1);
    ck_assert(name_is(&s, 1, "ada"));
    ck_assert(name_is(&s, 2, "bob"));
    ck_assert_uint_le(s.queries, 5);
    record_put(&s, 0, 1, "as it is")->state = REC_LIVE;
    s.headers = ACCURATE(30.5);
    done();
    ck_assert(name_is(&s, 1, "as it is"));
    ck_assert_int_eq(attempt_rows(), 0);
}
END_TEST

/* ---- objects that are gone, scopes that are missing -------------------------------------- */

static struct answer *object_is_404(void)
{
    struct answer *a = fault_add(&s, "4a3b1c2d-0000-4000-8000-000000000001", UINT_MAX, 404);
    a->body = "{\"status_code\":404,\"type\":\"invalid_request_error\",\"code\":\"not_found\"}";
    return a;
}

START_TEST(events_of_an_object_that_is_gone_are_done)
{
    s.objects_n = 2;
    record_put(&s, 1, 1, "acme");
    up();
    object_is_404();
    s.objects_n = 1;
    for (unsigned i = 1; i <= 5; i++) {
        event_send(&s, "record.updated", 1, i, 0);
    }
    done();
    ck_assert_int_eq(attempt_rows(), 0);
    ck_assert(world_logged(&s.f.w, "collection_gone"));
    ck_assert_int_eq(fixture_i64(&s.f, "SELECT gone FROM attiod_object WHERE slug = 'companies'"),
                     1);
    unsigned asked = requests("/records/");
    event_send(&s, "record.updated", 1, 7, 0); /* known by now */
    done();
    ck_assert_uint_eq(requests("/records/"), asked);
    s.faults_n = 0;
    s.objects_n = 2; /* switched on again */
    event_send(&s, "record.updated", 1, 1, 0);
    done();
    ck_assert_int_eq(fixture_i64(&s.f, "SELECT count(*) FROM companies WHERE name = 'acme'"), 1);
}
END_TEST

START_TEST(object_that_is_listed_but_not_found_is_waited_for)
{
    s.objects_n = 2;
    record_put(&s, 1, 1, "acme");
    up();
    fault_add(&s, "4a3b1c2d-0000-4000-8000-000000000001/records", UINT_MAX, 404)->body =
        "{\"status_code\":404,\"type\":\"invalid_request_error\",\"code\":\"not_found\"}";
    event_send(&s, "record.updated", 1, 1, 0);
    pass_until(&s, schema_asked, NULL);
    pass(5000);
    ck_assert_int_eq(pending(&s), 1);
    s.faults_n = 0;
    done();
    ck_assert_int_eq(attempt_rows(), 0);
    ck_assert_int_eq(fixture_i64(&s.f, "SELECT count(*) FROM companies WHERE name = 'acme'"), 1);
}
END_TEST

START_TEST(closing_while_the_schema_is_asked_leaves_the_events_for_the_next_start)
{
    s.objects_n = 2;
    record_put(&s, 1, 1, "acme");
    up();
    object_is_404();
    fault_add(&s, "GET /v2/objects", UINT_MAX, 0)->act = ACT_HANG;
    event_send(&s, "record.updated", 1, 1, 0);
    pass_until(&s, schema_asked, NULL);
    service_fixture_stop(&s);
    s.faults_n = 0;
    up();
    done();
    ck_assert_int_eq(fixture_i64(&s.f, "SELECT count(*) FROM companies WHERE name = 'acme'"), 1);
}
END_TEST

static const char *const forbidden[] = { "\"$in\"", "GET /v2/objects/" };

START_TEST(what_attio_forbids_is_visible_and_done_once_it_is_allowed)
{
    record_put(&s, 0, 1, "ada")->state = REC_HIDDEN;
    record_put(&s, 0, 2, "bob")->state = REC_HIDDEN;
    up();
    fault_add(&s, forbidden[_i], UINT_MAX, 403)->body =
        "{\"status_code\":403,\"type\":\"auth_error\",\"code\":\"unauthorized\"}";
    event_send(&s, "record.updated", 0, 1, 0);
    event_send(&s, "record.updated", 0, 2, 0);
    pass_until(&s, two_have_failed, NULL);
    ck_assert_int_eq(pending(&s), 2);
    ck_assert_uint_le(s.f.sv.n, 30); /* ever more slowly */
    s.faults_n = 0;
    done();
    ck_assert(name_is(&s, 1, "ada"));
    ck_assert(name_is(&s, 2, "bob"));
}
END_TEST

static Suite *merges_suite(void)
{
    const TTest *const tests[] = {
        event_of_a_tombstone_costs_no_get,
        event_of_an_old_record_leads_to_what_it_became,
        event_of_an_old_record_that_comes_first_ends_the_same,
        merges_of_merges_lead_to_the_last_record,
        merge_in_progress_is_asked_after_slowly_whatever_else_goes_on,
        merge_that_cannot_be_remembered_makes_no_tombstone,
        merge_of_a_record_with_itself_is_none,
        lookups_that_fail_are_repeated,
        events_of_an_object_that_is_gone_are_done,
        object_that_is_listed_but_not_found_is_waited_for,
        closing_while_the_schema_is_asked_leaves_the_events_for_the_next_start,
    };
    Suite *suite = suite_create("pull_merges");
    TCase *tcase = tcase_create("pull_merges");
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < AD_LEN(tests); i++) {
        tcase_add_test(tcase, tests[i]);
    }
    tcase_add_loop_test(
        tcase, two_events_of_a_merge_in_either_order_leave_the_new_record_and_two_tombstones, 0, 3);
    tcase_add_loop_test(tcase, what_attio_forbids_is_visible_and_done_once_it_is_allowed, 0,
                        (int)AD_LEN(forbidden));
    tcase_add_loop_test(tcase, answer_from_before_what_we_know_completes_nothing, 0,
                        (int)AD_LEN(shown));
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITE(merges_suite)
