/* Full sync: what is gone from Attio is found, and nothing else is deleted. */
#include "sync_fixture.h"

/* ---- what is gone ------------------------------------------------------------------------ */

static void gone(unsigned n)
{
    record_of(&s, 0, n)->state = REC_GONE;
}

/* A complete mirror of n records, then nothing asked for any more. */
static void mirrored(unsigned n)
{
    records_add(n);
    up();
    sync_all_of(n);
    s.gets = s.pages = 0;
}

/* The stand-in keeps all it was asked, up to a limit. */
static void forget_asked(struct service_fixture *f, const struct request *r)
{
    (void)r;
    f->f.sv.n = 0;
}

static const unsigned places[] = { 1, 2, 250, 499, 500, 501, 999, 1000, 1203 };

START_TEST(record_that_is_gone_becomes_a_tombstone_wherever_it_stood)
{
    mirrored(1203);
    gone(places[_i]);
    start();
    done(1202);
    ck_assert(is_tombstone(&s, places[_i]));
    ck_assert_int_eq(newest("deleted"), 1);
    ck_assert_int_eq(newest("unchanged"), 1202);
    ck_assert_uint_eq(s.gets, 1);
    ck_assert_int_eq(mirror_count(&s, "_deleted_at IS NULL"), 1202);
    start(); /* and is not asked about again */
    done(1202);
    ck_assert_uint_eq(s.gets, 1);
}
END_TEST

START_TEST(all_that_are_gone_are_found_even_when_nothing_is_left)
{
    mirrored(1203);
    s.before = forget_asked;
    for (unsigned i = 1; i <= 1203; i++) {
        gone(i);
    }
    start();
    done(0);
    ck_assert_int_eq(newest("deleted"), 1203);
    ck_assert_int_eq(mirror_count(&s, "_deleted_at IS NULL"), 0);
}
END_TEST

START_TEST(records_gone_from_a_tie_are_found)
{
    records_add(3100);
    tie(51, 3050);
    up();
    sync_all_of(3100);
    for (unsigned i = 40; i < 3100; i += 400) {
        gone(i);
    }
    start();
    done(3092);
    ck_assert_int_eq(newest("deleted"), 8);
    ck_assert_int_eq(mirror_count(&s, "_deleted_at IS NULL"), 3092);
}
END_TEST

/* ---- what is not -------------------------------------------------------------------------- */

START_TEST(record_that_only_a_read_shows_is_not_deleted)
{
    mirrored(700);
    record_of(&s, 0, 300)->state = REC_HIDDEN;
    (void)record_put(&s, 0, 300, "changed");
    start();
    done(699);
    ck_assert_uint_ge(s.gets, 1);
    ck_assert_int_eq(newest("deleted"), 0);
    ck_assert(name_is(&s, 300, "changed"));
}
END_TEST

START_TEST(page_that_was_cut_short_deletes_nothing)
{
    mirrored(1203);
    s.before = forget_asked;
    for (unsigned i = 100; i <= 1203; i++) {
        record_of(&s, 0, i)->state = REC_HIDDEN;
    }
    start();
    done(99);
    ck_assert_int_eq(newest("deleted"), 0);
    ck_assert_int_eq(mirror_count(&s, "_deleted_at IS NULL"), 1203);
}
END_TEST

static bool merge_was_met(void *ctx)
{
    (void)ctx;
    return s.gets >= 2;
}

START_TEST(merge_under_way_is_waited_for)
{
    mirrored(700);
    record_of(&s, 0, 300)->state = REC_MERGING;
    start();
    pass_until(&s, merge_was_met, NULL);
    ck_assert(!is_over(NULL));
    ck_assert(!is_tombstone(&s, 300));
    gone(300);
    done(699);
    ck_assert(is_tombstone(&s, 300));
}
END_TEST

START_TEST(merge_without_end_is_left_to_its_events)
{
    mirrored(700);
    record_of(&s, 0, 300)->state = REC_MERGING;
    start();
    pass_until(&s, is_over, NULL);
    ck_assert(world_logged(&s.f.w, "sync_merge_left"));
    done(699);
    ck_assert_int_eq(newest("deleted"), 0);
    ck_assert_int_eq(mirror_count(&s, "_deleted_at IS NULL"), 700);
}
END_TEST

/* ---- failures ---------------------------------------------------------------------------- */

static const enum act outages[] = { ACT_ANSWER, ACT_GARBAGE, ACT_HANG_UP, ACT_HALF };

START_TEST(confirmation_that_fails_is_asked_for_again)
{
    mirrored(700);
    for (unsigned i = 200; i < 210; i++) {
        gone(i);
    }
    fault_add(&s, "/records/0", 17, 500)->act = outages[_i];
    start();
    done(690);
    ck_assert_int_eq(newest("deleted"), 10);
}
END_TEST

START_TEST(confirmation_that_is_refused_fails_the_run_and_deletes_nothing)
{
    mirrored(700);
    for (unsigned i = 200; i < 210; i++) {
        gone(i);
    }
    fault_add(&s, "/records/0", UINT_MAX, 403);
    start();
    pass_until(&s, is_over, NULL);
    ck_assert_int_eq(newest("phase"), AD_SYNC_FAILED);
    ck_assert_int_eq(mirror_count(&s, "_deleted_at IS NULL"), 700);
}
END_TEST

START_TEST(tombstone_that_cannot_be_written_is_tried_again)
{
    mirrored(700);
    gone(300);
    fixture_sql(&s.f, "CREATE TRIGGER no_delete BEFORE UPDATE ON"
                      " attiod_o_97052eb9_e65e_443f_a297_f2d9a4a7f795"
                      " BEGIN SELECT RAISE(ABORT, 'the test says so'); END");
    start();
    pass_until(&s, merge_was_met, NULL); /* asked twice */
    fixture_sql(&s.f, "DROP TRIGGER no_delete");
    done(699);
    ck_assert_int_eq(newest("deleted"), 1);
    ck_assert(is_tombstone(&s, 300));
}
END_TEST

START_TEST(allocation_that_fails_anywhere_only_delays_deletions)
{
    mirrored(3);
    bool failed = true;
    for (size_t n = 0; failed; n = torture_next(n)) {
        struct ad_errinfo info = { .code = AD_OK };
        ad_buf_clear(&s.f.w.log);
        record_of(&s, 0, 2)->state = REC_GONE;
        heap_fail(n, _i ? 3 : 1);
        enum ad_err err = ad_service_sync_start(s.service, AD_STR("people"), false, NULL, &info);
        if (!err) {
            pass_until(&s, is_over, NULL);
        }
        failed = heap_failed();
        heap_fail(0, 0);
        ck_assert(err == AD_OK || err == AD_ERR_NOMEM);
        record_of(&s, 0, 2)->state = REC_LIVE; /* for the next one to find it gone again */
        ad_buf_clear(&s.f.w.log);
        start();
        done(3);
        s.f.sv.n = 0;
    }
    gone(2);
    ad_buf_clear(&s.f.w.log);
    start();
    done(2);
    ck_assert(is_tombstone(&s, 2));
}
END_TEST

/* ---- close and resume -------------------------------------------------------------------- */

static bool confirmations_hang(void *ctx)
{
    (void)ctx;
    return s.faults[0].times <= 1000 - 4;
}

START_TEST(close_while_confirmations_are_under_way_and_a_restart_finds_the_rest)
{
    mirrored(1203);
    for (unsigned i = 200; i < 210; i++) {
        gone(i);
    }
    fault_add(&s, "/records/0", 1000, 0)->act = ACT_HANG;
    start();
    pass_until(&s, confirmations_hang, NULL);
    service_fixture_stop(&s);
    s.faults_n = 0;
    s.opts.sync_on_start = true;
    up();
    done(1193);
    ck_assert_int_eq(newest("deleted"), 10);
    ck_assert_int_eq(mirror_count(&s, "_deleted_at IS NULL"), 1193);
    ck_assert_int_eq(fixture_i64(&s.f, "SELECT count(*) FROM attiod_sync_run"), 2);
}
END_TEST

/* ---- tombstones grow old ----------------------------------------------------------------- */

static bool no_tombstones(void *ctx)
{
    (void)ctx;
    return mirror_count(&s, "_deleted_at IS NOT NULL") == 0;
}

START_TEST(tombstones_go_when_their_days_are_over)
{
    s.opts.tombstone_days = 2;
    mirrored(300);
    for (unsigned i = 100; i < 220; i++) {
        gone(i);
    }
    start();
    done(180);
    world_advance(&s.f.w, 7200000);
    world_settle(&s.f.w);
    ck_assert_int_eq(mirror_count(&s, "_deleted_at IS NOT NULL"), 120);
    for (unsigned turns = 0; turns < 4000 && !no_tombstones(NULL); turns++) {
        ad_loop_turn(s.f.w.loop, 1);
        world_advance(&s.f.w, 600000);
    }
    ck_assert(no_tombstones(NULL));
    ck_assert_int_eq(mirror_count(&s, "1"), 180);
}
END_TEST

static Suite *sync_deleted_suite(void)
{
    const TTest *const tests[] = {
        all_that_are_gone_are_found_even_when_nothing_is_left,
        records_gone_from_a_tie_are_found,
        record_that_only_a_read_shows_is_not_deleted,
        page_that_was_cut_short_deletes_nothing,
        merge_under_way_is_waited_for,
        merge_without_end_is_left_to_its_events,
        confirmation_that_is_refused_fails_the_run_and_deletes_nothing,
        tombstone_that_cannot_be_written_is_tried_again,
        tombstones_go_when_their_days_are_over,
        close_while_confirmations_are_under_way_and_a_restart_finds_the_rest,
    };
    Suite *suite = suite_create("sync_deleted");
    TCase *tcase = tcase_create("sync_deleted");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, record_that_is_gone_becomes_a_tombstone_wherever_it_stood, 0,
                        (int)AD_LEN(places));
    tcase_add_loop_test(tcase, allocation_that_fails_anywhere_only_delays_deletions, 0, 2);
    tcase_add_loop_test(tcase, confirmation_that_fails_is_asked_for_again, 0, (int)AD_LEN(outages));
    for (size_t i = 0; i < AD_LEN(tests); i++) {
        tcase_add_test(tcase, tests[i]);
    }
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITE(sync_deleted_suite)
