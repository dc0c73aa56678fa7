/* Full sync: every record once, whatever happens on the way. */
#include "sync_fixture.h"

#include "support/sqlite_heap.h"

/* ---- walking ----------------------------------------------------------------------------- */

static const unsigned sizes[] = { 0, 1, 499, 500, 501, 1000, 1203, 2500 };

START_TEST(every_record_is_mirrored_and_counted_once)
{
    records_add(sizes[_i]);
    up();
    sync_all_of(sizes[_i]);
    ck_assert_int_eq(newest("created"), sizes[_i]);
    start(); /* and once more, over what is there */
    done(sizes[_i]);
    ck_assert_int_eq(newest("created"), 0);
    ck_assert_int_eq(newest("unchanged"), sizes[_i]);
}
END_TEST

static const unsigned ties[][3] = {
    { 1100, 490, 520 },   /* over a border */
    { 1100, 1, 500 },     /* one page exactly */
    { 1100, 2, 501 },     /* behind one record */
    { 1400, 100, 1300 },  /* more than two pages */
    { 1500, 1, 1500 },    /* nothing else */
    { 1499, 500, 998 },   /* from one border to the next */
    { 1600, 1101, 1600 }, /* the last page */
    { 3100, 51, 3050 },   /* 3,000 */
};

START_TEST(records_of_one_creation_time_are_all_mirrored_and_counted_once)
{
    records_add(ties[_i][0]);
    tie(ties[_i][1], ties[_i][2]);
    up();
    sync_all_of(ties[_i][0]);
}
END_TEST

/* The first request at offset 499 finds `victims` records of the tie gone. */
static unsigned victims;

static void shrink_tie(struct service_fixture *f, const struct request *r)
{
    if (victims && strstr(r->body, "\"offset\":499")) {
        for (unsigned i = 1; i <= victims; i++) {
            record_of(f, 0, i)->state = REC_GONE;
        }
        victims = 0;
    }
}

static const unsigned shrinks[] = { 1, 200, 399 };

/* One record of the tie is gone before each page. */
static void wear_tie(struct service_fixture *f, const struct request *r)
{
    if (victims < 600 && strstr(r->body, "\"$gte\"")) {
        record_of(f, 0, ++victims)->state = REC_GONE;
    }
}

START_TEST(tie_that_wears_away_all_the_time_is_walked_to_its_end)
{
    records_add(3100);
    tie(1, 3000);
    s.before = wear_tie;
    victims = 0;
    up();
    start();
    pass_until(&s, is_over, NULL);
    ck_assert_int_eq(newest("phase"), AD_SYNC_DONE);
    ck_assert_uint_lt(s.pages, 30);
    s.before = NULL;
    ad_buf_clear(&s.f.w.log);
    start();
    done(3100 - victims);
    ck_assert_int_eq(newest("created"), 0); /* none was passed over */
    ck_assert_int_eq(mirror_count(&s, "_deleted_at IS NULL"), 3100 - victims);
}
END_TEST

START_TEST(tie_that_changes_under_the_walk_is_read_from_its_start)
{
    records_add(800);
    tie(1, 800);
    s.before = shrink_tie;
    victims = shrinks[_i];
    up();
    start();
    done(800);
    ck_assert_int_eq(mirror_count(&s, "_deleted_at IS NULL"), 800 - shrinks[_i]);
    ck_assert_int_eq(newest("deleted"), shrinks[_i]);
}
END_TEST

static void shuffle_tie(struct service_fixture *f, const struct request *r)
{
    if (strstr(r->body, "\"offset\":") && !strstr(r->body, "\"offset\":0")) {
        struct record first = f->records[0];
        memmove(f->records, f->records + 1, 799 * sizeof(first));
        f->records[799] = first;
    }
}

START_TEST(tie_that_never_rests_fails_the_run)
{
    records_add(800);
    tie(1, 800);
    s.before = shuffle_tie;
    up();
    start();
    pass_until(&s, is_over, NULL);
    ck_assert_int_eq(newest("phase"), AD_SYNC_FAILED);
}
END_TEST

/* A record that was committed late, under an earlier time, and is there when the tail is read. */
static void add_late(struct service_fixture *f, const struct request *r)
{
    if (strstr(r->body, "\"$gte\"") && f->records_n == 10) {
        struct record *late = record_put(f, 0, 11, "late");
        late->created_ns = f->records[8].created_ns;
        struct record last = *late;
        f->records[10] = f->records[9]; /* in the order of creation */
        f->records[9] = last;
    }
}

START_TEST(record_that_was_committed_late_is_found_by_the_tail)
{
    records_add(10);
    s.before = add_late;
    up();
    sync_all_of(11);
    ck_assert_uint_eq(s.pages, 2);
}
END_TEST

static void answer_backwards(struct service_fixture *f, const struct request *r)
{
    if (strstr(r->body, "\"$gte\"")) {
        for (unsigned i = 0; i < 600; i++) {
            f->records[i].created_ns = INT64_C(1600000000) * AD_NS_PER_S;
        }
        f->ignore_from = true;
    }
}

START_TEST(answer_that_is_not_in_order_fails_the_run)
{
    records_add(600);
    s.before = answer_backwards;
    up();
    start();
    pass_until(&s, is_over, NULL);
    ck_assert_int_eq(newest("phase"), AD_SYNC_FAILED);
}
END_TEST

/* ---- failures ---------------------------------------------------------------------------- */

static const enum act outages[] = { ACT_ANSWER, ACT_GARBAGE, ACT_HANG_UP, ACT_HALF };

START_TEST(page_that_fails_is_asked_for_again)
{
    records_add(1203);
    tie(490, 520);
    up();
    fault_add(&s, "/query", 9, 500)->act = outages[_i];
    sync_all_of(1203);
}
END_TEST

static bool two_pages(void *ctx)
{
    (void)ctx;
    return s.pages >= 2;
}

START_TEST(page_that_cannot_be_written_is_asked_for_again_and_counted_once)
{
    records_add(1203);
    tie(490, 520);
    up();
    event_send(&s, "record.created", 0, 1, 0);
    pass_until(&s, nothing_pending, &s);
    fixture_sql(&s.f, "CREATE TRIGGER no_insert BEFORE INSERT ON"
                      " attiod_o_97052eb9_e65e_443f_a297_f2d9a4a7f795"
                      " WHEN NEW.record_id = '00000000-0000-4000-8000-000000000700'"
                      " BEGIN SELECT RAISE(ABORT, 'the test says so'); END");
    start();
    pass_until(&s, two_pages, NULL);
    world_advance(&s.f.w, 3000);
    ck_assert(!is_over(NULL));
    fixture_sql(&s.f, "DROP TRIGGER no_insert");
    done(1203);
    ck_assert_int_eq(mirror_count(&s, "1"), 1203);
}
END_TEST

static const char *const unwritable[] = {
    "BEFORE UPDATE ON attiod_sync_run WHEN NEW.phase < 4",
    "BEFORE UPDATE ON attiod_sync_run WHEN NEW.phase = 4",
};

START_TEST(checkpoint_or_end_that_cannot_be_written_is_tried_again)
{
    char sql[200];
    records_add(1300);
    up();
    (void)snprintf(sql, sizeof(sql),
                   "CREATE TRIGGER no_save %s BEGIN SELECT RAISE(ABORT, 'the test says so'); END",
                   unwritable[_i]);
    fixture_sql(&s.f, sql);
    start();
    for (unsigned i = 0; i < 100; i++) {
        ad_loop_turn(s.f.w.loop, 1);
        world_advance(&s.f.w, 1000);
    }
    ck_assert(!world_logged(&s.f.w, "sync_failed"));
    ck_assert(_i == 0 || !is_over(NULL)); /* the end is told until it is recorded */
    fixture_sql(&s.f, "DROP TRIGGER no_save");
    done(1300);
}
END_TEST

START_TEST(run_that_is_refused_is_failed_and_never_done)
{
    records_add(700);
    up();
    fault_add(&s, "\"$gte\"", UINT_MAX, 403);
    start();
    pass_until(&s, is_over, NULL);
    ck_assert_int_eq(newest("phase"), AD_SYNC_FAILED);
    ck_assert(fixture_i64(&s.f, "SELECT length(error) FROM attiod_sync_run") > 0);
    service_fixture_stop(&s);
    s.faults_n = 0;
    s.opts.sync_on_start = true;
    up(); /* begins anew */
    done(700);
    ck_assert_int_eq(fixture_i64(&s.f, "SELECT count(*) FROM attiod_sync_run"), 2);
}
END_TEST

START_TEST(outage_however_long_only_delays_the_run)
{
    records_add(700);
    up();
    fault_add(&s, "/query", UINT_MAX, 500);
    start();
    for (unsigned i = 0; i < 2000; i++) {
        ad_loop_turn(s.f.w.loop, 1);
        world_advance(&s.f.w, 500);
    }
    ck_assert(!is_over(NULL));
    ck_assert_int_gt(fixture_i64(&s.f, "SELECT length(error) FROM attiod_sync_run"), 0);
    s.faults_n = 0;
    done(700);
    ck_assert_int_eq(fixture_i64(&s.f, "SELECT length(error) FROM attiod_sync_run"), 0);
}
END_TEST

START_TEST(record_that_is_no_json_is_never_mirrored_and_asked_for_again)
{
    records_add(3);
    up();
    fault_add(&s, "/query", 3, 200)->body =
        "{\"data\":[{\"id\":{\"record_id\":\"00000000-0000-4000-8000-000000000001\"},"
        "\"created_at\":\"2024-01-01T00:00:00.000000000Z\",x}]}";
    start();
    pass_until(&s, is_over, NULL);
    ck_assert(world_logged(&s.f.w, "\"PARSE\""));
    done(3);
}
END_TEST

/* What a broken cache on the way would do. */
static unsigned repeats;

static void repeat_pages(struct service_fixture *f, const struct request *r)
{
    f->ignore_from = strstr(r->body, "\"$gte\"") && repeats > 0 && repeats-- > 0;
}

START_TEST(page_that_comes_again_is_asked_for_anew)
{
    records_add(1203);
    s.before = repeat_pages;
    repeats = 3;
    up();
    sync_all_of(1203);
    ck_assert_uint_eq(repeats, 0);
}
END_TEST

START_TEST(page_that_comes_again_and_again_fails_the_run)
{
    records_add(1203);
    s.before = repeat_pages;
    repeats = UINT_MAX;
    up();
    start();
    pass_until(&s, is_over, NULL);
    ck_assert_int_eq(newest("phase"), AD_SYNC_FAILED);
    ck_assert_uint_lt(s.pages, 10);
}
END_TEST

static void setup_failing_memory(void)
{
    sqlite_heap_install();
    setup();
}

/* Ours or SQLite's, once or three times. */
START_TEST(allocation_that_fails_anywhere_delays_the_run_or_fails_it)
{
    size_t times = _i % 2 ? 3 : 1;
    records_add(3);
    up();
    bool failed = true;
    for (size_t n = 0; failed; n = torture_next(n)) {
        struct ad_errinfo info = { .code = AD_OK };
        ad_buf_clear(&s.f.w.log);
        heap_fail(n, _i < 2 ? times : 0);
        sqlite_heap_fail(n, _i < 2 ? 0 : times);
        enum ad_err err = ad_service_sync_start(s.service, AD_STR("people"), false, NULL, &info);
        if (!err) {
            pass_until(&s, is_over, NULL);
        }
        failed = heap_failed() || sqlite_heap_failed();
        heap_fail(0, 0);
        sqlite_heap_fail(0, 0);
        ck_assert(err == AD_OK || err == AD_ERR_NOMEM);
        ck_assert(failed || newest("phase") == AD_SYNC_DONE);
        s.f.sv.n = 0;
    }
    ad_buf_clear(&s.f.w.log);
    sync_all_of(3);
}
END_TEST

/* ---- close and resume -------------------------------------------------------------------- */

/* How many pages are answered before the process ends, then what hangs. */
static unsigned let_through;

static void hang_later(struct service_fixture *f, const struct request *r)
{
    if (strstr(r->line, "/query") && let_through-- == 0) {
        fault_add(f, "/query", UINT_MAX, 0)->act = ACT_HANG;
    }
}

static bool query_hangs(void *ctx)
{
    (void)ctx;
    return s.faults_n > 0;
}

START_TEST(run_that_was_interrupted_goes_on_where_it_was)
{
    records_add(1400);
    tie(490, 510);
    tie(600, 1250);
    let_through = (unsigned)_i;
    s.before = hang_later;
    s.opts.sync_on_start = true;
    up();
    pass_until(&s, query_hangs, NULL);
    world_settle(&s.f.w);
    service_fixture_stop(&s);
    s.before = NULL;
    s.faults_n = 0;
    up();
    done(1400);
    ck_assert_int_eq(newest("created") + newest("unchanged"), 1400);
    ck_assert_int_eq(mirror_count(&s, "1"), 1400);
    ck_assert_int_eq(fixture_i64(&s.f, "SELECT count(*) FROM attiod_sync_run"), 1);
    service_fixture_stop(&s);
    up(); /* complete: nothing more to do */
    world_settle(&s.f.w);
    ck_assert_uint_eq(s.pages, 0);
}
END_TEST

START_TEST(close_while_a_page_is_being_written)
{
    records_add(1000);
    up();
    start();
    pass_until(&s, two_pages, NULL);
    service_fixture_stop(&s);
    ck_assert(!is_over(NULL));
}
END_TEST

START_TEST(close_while_a_page_pauses_and_others_wait)
{
    struct ad_errinfo info = { .code = AD_OK };
    unsigned runs = 0;
    s.opts.sync_objects = NULL;
    s.objects_n = 3;
    up();
    fault_add(&s, "/query", UINT_MAX, 500);
    ck_assert_int_eq(ad_service_sync_all(s.service, false, &runs, &info), AD_OK);
    ck_assert_uint_eq(runs, 3 + 3); /* notes, tasks and members */
    world_advance(&s.f.w, 100);
    service_fixture_stop(&s);
}
END_TEST

/* ---- the page ahead, given up ------------------------------------------------------------ */

static bool confirming(void *ctx)
{
    (void)ctx;
    return s.gets > 0;
}

static void count_gets(struct service_fixture *f, const struct request *r)
{
    f->gets += strstr(r->line, "GET /v2/objects/") && strstr(r->line, "/records/");
}

/* Up to where a run (the end of a dry one is recorded at once) asks for a record that the first page
 * did not show, which will be refused for good; the second page was asked for ahead and hangs. */
static void refused_while_the_next_page_hangs(bool dry)
{
    struct ad_errinfo info = { .code = AD_OK };
    s.objects_n = 2;
    records_add(600);
    up();
    sync_all_of(600);
    record_of(&s, 0, 7)->state = REC_GONE;
    s.before = count_gets;
    s.gets = s.f.sv.most_in_flight = 0;
    fault_add(&s, "\"$gte\"", UINT_MAX, 0)->act = ACT_HANG;
    fault_add(&s, "/records/0", UINT_MAX, 403);
    ck_assert_int_eq(ad_service_sync_start(s.service, AD_STR("people"), dry, NULL, &info), AD_OK);
    ck_assert_int_eq(ad_service_sync_start(s.service, AD_STR("companies"), dry, NULL, &info),
                     AD_OK);
    world_until(&s.f.w, confirming, NULL);
    ck_assert_uint_eq(s.f.sv.most_in_flight, 2);
}

static bool next_one_runs(void *ctx)
{
    (void)ctx;
    return world_logged(&s.f.w, "\"object\":\"companies\"");
}

START_TEST(run_ends_with_the_callback_of_the_page_it_gave_up)
{
    refused_while_the_next_page_hangs(true);
    uint64_t before_ms = s.f.w.clock.mono_ms;
    world_until(&s.f.w, next_one_runs, NULL);
    ck_assert(world_logged(&s.f.w, "sync_failed"));
    ck_assert_uint_eq(s.f.w.clock.mono_ms, before_ms);
}
END_TEST

START_TEST(close_at_any_turn_around_the_end)
{
    refused_while_the_next_page_hangs(_i % 2);
    for (int i = 0; i < _i / 2; i++) {
        ad_loop_turn(s.f.w.loop, 1);
    }
    service_fixture_stop(&s);
}
END_TEST

/* ---- the queue of runs ------------------------------------------------------------------- */

static bool two_are_done(void *ctx)
{
    (void)ctx;
    return fixture_i64(&s.f, "SELECT count(*) FROM attiod_sync_run WHERE phase = 4") == 5;
}

START_TEST(asking_twice_joins_the_run_and_objects_take_turns)
{
    struct ad_errinfo info = { .code = AD_OK };
    unsigned runs = 0;
    s.opts.sync_objects = NULL;
    s.objects_n = 2;
    records_add(3);
    record_put(&s, 1, 9, "acme");
    up();
    s.f.sv.most_in_flight = 0;
    int64_t id = start();
    ck_assert_int_eq(start(), id);
    ck_assert_int_eq(ad_service_sync_all(s.service, false, &runs, &info), AD_OK);
    ck_assert_uint_eq(runs, 2 + 3);
    pass_until(&s, two_are_done, NULL);
    ck_assert_uint_eq(s.f.sv.most_in_flight, 1);
    ck_assert_int_eq(fixture_i64(&s.f, "SELECT count(*) FROM companies"), 1);
    ck_assert_int_eq(fixture_i64(&s.f, "SELECT count(*) FROM attiod_sync_run WHERE phase = 4"), 5);
}
END_TEST

START_TEST(configured_objects_are_synced_at_start_and_again_each_period)
{
    static const char *const objects[] = { "people", NULL };
    s.objects_n = 2;
    s.opts.sync_objects = objects;
    s.opts.sync_on_start = true;
    s.opts.sync_period_ms = 60000;
    records_add(2);
    up();
    done(2);
    records_add(3);
    world_advance(&s.f.w, 60001);
    done(3);
    ck_assert_int_eq(fixture_i64(&s.f, "SELECT count(DISTINCT object_id) FROM attiod_sync_run"), 1);
}
END_TEST

START_TEST(what_cannot_be_synced_is_refused_with_a_reason)
{
    struct ad_errinfo info = { .code = AD_OK };
    unsigned runs;
    int64_t id;
    fault_add(&s, "/v2/self", 1, 500)->act = ACT_HANG;
    service_fixture_start(&s);
    ck_assert_int_eq(ad_service_sync_start(s.service, AD_STR("people"), false, &id, &info),
                     AD_ERR_BUSY);
    ck_assert_int_eq(ad_service_sync_all(s.service, false, &runs, &info), AD_ERR_BUSY);
    service_fixture_stop(&s);
    s.faults_n = 0;
    up();
    ck_assert_int_eq(ad_service_sync_start(s.service, AD_STR("poeple"), false, &id, &info),
                     AD_ERR_NOTFOUND);
    ck_assert_ptr_nonnull(strstr(info.msg, "did you mean 'people'?"));
}
END_TEST

/* ---- dry runs and other kinds ------------------------------------------------------------ */

static bool dry_is_over(void *ctx)
{
    (void)ctx;
    return world_logged(&s.f.w, "sync_done");
}

static void dry_run(const char *object)
{
    struct ad_errinfo info = { .code = AD_OK };
    int64_t id;
    ck_assert_int_eq(ad_service_sync_start(s.service, ad_str_c(object), true, &id, &info), AD_OK);
    pass_until(&s, dry_is_over, NULL);
}

static void assert_listed(const char *part);

START_TEST(dry_run_says_what_would_happen_and_changes_nothing)
{
    records_add(1203);
    up();
    sync_all_of(1203);
    (void)record_put(&s, 0, 7, "changed");
    (void)record_put(&s, 0, 8, "changed");
    (void)record_put(&s, 0, 1204, "new");
    record_of(&s, 0, 900)->state = REC_GONE;
    int64_t before = fixture_i64(&s.f, "SELECT sum(_version) FROM people");
    dry_run("people");
    assert_listed("\"dry_run\":true");
    assert_listed("\"seen\":1203,\"expected\":1203,\"created\":1,\"updated\":2,"
                  "\"unchanged\":1200,\"deleted\":1");
    ck_assert_int_eq(fixture_i64(&s.f, "SELECT sum(_version) FROM people"), before);
    ck_assert_int_eq(mirror_count(&s, "_deleted_at IS NULL"), 1203);
    ck_assert_int_eq(fixture_i64(&s.f, "SELECT count(*) FROM attiod_sync_run"), 1);
    ad_buf_clear(&s.f.w.log);
    start();
    done(1203);
    ck_assert_int_eq(newest("created") + newest("updated") * 10 + newest("deleted") * 100, 121);
}
END_TEST

START_TEST(notes_are_walked_by_offset_and_what_is_gone_is_found)
{
    struct ad_errinfo info = { .code = AD_OK };
    for (unsigned i = 1; i <= 120; i++) {
        record_put(&s, NOTES, i, "note");
    }
    up();
    for (unsigned round = 0; round < 2; round++) {
        ck_assert_int_eq(ad_service_sync_start(s.service, AD_STR("notes"), false, NULL, &info),
                         AD_OK);
        done(120 - 2 * round);
        ck_assert_int_eq(fixture_i64(&s.f, "SELECT count(*) FROM notes_live"), 120 - 2 * round);
        record_of(&s, NOTES, 3)->state = record_of(&s, NOTES, 120)->state = REC_GONE;
    }
    ck_assert_int_eq(newest("deleted"), 2);
    ck_assert_int_eq(newest("unchanged"), 118);
}
END_TEST

/* ---- listing ----------------------------------------------------------------------------- */

static void on_listed(struct ad_service_query *q)
{
    *(bool *)q->data = true;
}

START_TEST(runs_are_listed_and_close_waits_for_the_list)
{
    bool listed = false;
    struct ad_buf out;
    ad_buf_init(&out, 1 << 16);
    struct ad_service_query q = { .out = &out, .cb = on_listed, .data = &listed };
    records_add(2);
    up();
    sync_all_of(2);
    ck_assert_int_eq(ad_service_sync_list(s.service, &q), AD_OK);
    ck_assert(!listed);
    service_fixture_stop(&s);
    ck_assert(listed);
    ck_assert_int_eq(q.err, AD_OK);
    ck_assert(ad_str_contains(ad_buf_str(&out), AD_STR("\"seen\":2")));
    ck_assert(ad_str_contains(ad_buf_str(&out), AD_STR("\"phase\":\"done\"")));
    ad_buf_fini(&out);
}
END_TEST

static void assert_listed(const char *part)
{
    bool listed = false;
    struct ad_buf out;
    ad_buf_init(&out, 1 << 16);
    struct ad_service_query q = { .out = &out, .cb = on_listed, .data = &listed };
    ck_assert_int_eq(ad_service_sync_list(s.service, &q), AD_OK);
    world_until_true(&s.f.w, &listed);
    ck_assert_msg(ad_str_contains(ad_buf_str(&out), ad_str_c(part)), "%.*s",
                  AD_FMT(ad_buf_str(&out)));
    ad_buf_fini(&out);
}

static Suite *sync_suite(void)
{
    const TTest *const tests[] = {
        tie_that_never_rests_fails_the_run,
        tie_that_wears_away_all_the_time_is_walked_to_its_end,
        record_that_was_committed_late_is_found_by_the_tail,
        answer_that_is_not_in_order_fails_the_run,
        page_that_cannot_be_written_is_asked_for_again_and_counted_once,
        run_that_is_refused_is_failed_and_never_done,
        outage_however_long_only_delays_the_run,
        record_that_is_no_json_is_never_mirrored_and_asked_for_again,
        page_that_comes_again_is_asked_for_anew,
        page_that_comes_again_and_again_fails_the_run,
        close_while_a_page_is_being_written,
        close_while_a_page_pauses_and_others_wait,
        run_ends_with_the_callback_of_the_page_it_gave_up,
        asking_twice_joins_the_run_and_objects_take_turns,
        configured_objects_are_synced_at_start_and_again_each_period,
        what_cannot_be_synced_is_refused_with_a_reason,
        dry_run_says_what_would_happen_and_changes_nothing,
        notes_are_walked_by_offset_and_what_is_gone_is_found,
        runs_are_listed_and_close_waits_for_the_list,
    };
    Suite *suite = suite_create("sync");
    TCase *tcase = tcase_create("sync");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, every_record_is_mirrored_and_counted_once, 0, (int)AD_LEN(sizes));
    tcase_add_loop_test(tcase, records_of_one_creation_time_are_all_mirrored_and_counted_once, 0,
                        (int)AD_LEN(ties));
    tcase_add_loop_test(tcase, tie_that_changes_under_the_walk_is_read_from_its_start, 0,
                        (int)AD_LEN(shrinks));
    tcase_add_loop_test(tcase, page_that_fails_is_asked_for_again, 0, (int)AD_LEN(outages));
    tcase_add_loop_test(tcase, checkpoint_or_end_that_cannot_be_written_is_tried_again, 0,
                        (int)AD_LEN(unwritable));
    tcase_add_loop_test(tcase, run_that_was_interrupted_goes_on_where_it_was, 0, 5);
    tcase_add_loop_test(tcase, close_at_any_turn_around_the_end, 0, 16);
    for (size_t i = 0; i < AD_LEN(tests); i++) {
        tcase_add_test(tcase, tests[i]);
    }
    suite_add_tcase(suite, tcase);
    TCase *memory = tcase_create("memory");
    tcase_add_checked_fixture(memory, setup_failing_memory, teardown);
    tcase_add_loop_test(memory, allocation_that_fails_anywhere_delays_the_run_or_fails_it, 0, 4);
    suite_add_tcase(suite, memory);
    return suite;
}

RUN_SUITE(sync_suite)
