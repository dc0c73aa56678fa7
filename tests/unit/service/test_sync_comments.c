/* Full sync of comments: the threads of every record, one call each, whatever happens on the way. */
#include "sync_fixture.h"

enum { COMMENTS_MAX = 200, TEXT_MAX = 1 << 16, TEXTS = 16 };

/* What Attio holds: each comment is a thread of its own. */
static struct comment {
    unsigned object, record;
    bool gone;
    const char *words;
} comments[COMMENTS_MAX];
static unsigned comments_n;

static char texts[TEXTS][TEXT_MAX];
static unsigned texts_n, asked, asked_twice, got;
static unsigned times_asked[2][1000];
static void (*on_threads)(unsigned nth);

static unsigned comment_add(unsigned object, unsigned record)
{
    comments[comments_n] = (struct comment){ object, record, false, "well" };
    return comments_n++;
}

#define ADD(p, ...) ((p) += snprintf((p), 1024, __VA_ARGS__))

static char *add_comment(char *p, unsigned i)
{
    const struct comment *c = &comments[i];
    ADD(p, "{\"id\":{\"workspace_id\":\"" WORKSPACE "\",\"comment_id\":\"%s\"},",
        record_id(100000 + i));
    ADD(p, "\"thread_id\":\"%s\",\"content_plaintext\":\"%s\",\"entry\":null,",
        record_id(100000 + i), c->words);
    ADD(p, "\"record\":{\"object_id\":\"%s\",\"record_id\":\"%s\"},", object_id(c->object),
        record_id(c->record));
    ADD(p, "\"resolved_at\":null,\"resolved_by\":null,\"author\":null,"
           "\"created_at\":\"2026-01-01T00:00:00.000000000Z\"}");
    return p;
}

static void say_threads(const struct request *r, char *p)
{
    unsigned object = strstr(r->line, object_id(0)) ? 0 : 1;
    unsigned record = (unsigned)strtoul(strrchr(strstr(r->line, "record_id="), '-') + 1, NULL, 10);
    unsigned left = (unsigned)strtoul(strstr(r->line, "limit=") + 6, NULL, 10);
    unsigned skip = (unsigned)strtoul(strstr(r->line, "offset=") + 7, NULL, 10);
    bool first = true;
    ck_assert_uint_eq(left, 50);
    ck_assert_uint_lt(record, AD_LEN(times_asked[0]));
    asked++;
    asked_twice += skip == 0 && times_asked[object][record]++ > 0;
    ADD(p, "{\"data\":[");
    for (unsigned i = 0; i < comments_n && left > 0; i++) {
        const struct comment *c = &comments[i];
        if (c->object != object || c->record != record || c->gone || (skip > 0 && skip--)) {
            continue;
        }
        ADD(p, "%s{\"comments\":[", first ? "" : ",");
        p = add_comment(p, i);
        ADD(p, "]}");
        first = false;
        left--;
    }
    ADD(p, "]}");
}

static bool attio(struct service_fixture *f, const struct request *r, struct answer *a)
{
    (void)f;
    bool threads = strstr(r->line, "/v2/threads") != NULL;
    const char *one = strstr(r->line, "/v2/comments/");
    if (!threads && !one) {
        return false;
    }
    char *p = texts[texts_n++ % TEXTS];
    a->body = p;
    if (threads) {
        if (on_threads) {
            on_threads(asked);
        }
        say_threads(r, p);
        return true;
    }
    unsigned i = (unsigned)strtoul(strrchr(one, '-') + 1, NULL, 10) - 100000;
    got++;
    if (i >= comments_n || comments[i].gone) {
        a->status = 404;
        ADD(p, "{\"status_code\":404,\"type\":\"invalid_request_error\",\"code\":\"not_found\"}");
        return true;
    }
    ADD(p, "{\"data\":");
    p = add_comment(p, i);
    ADD(p, "}");
    return true;
}

static void comments_setup(void)
{
    setup();
    comments_n = texts_n = asked = asked_twice = got = 0;
    memset(times_asked, 0, sizeof(times_asked));
    on_threads = NULL;
    s.other = attio;
    s.objects_n = 2;
    s.opts.sync_objects = NULL;
}

/* All records mirrored. */
static void mirrored(unsigned people, unsigned companies)
{
    struct ad_errinfo info = { .code = AD_OK };
    records_add(people);
    for (unsigned i = 1; i <= companies; i++) {
        record_put(&s, 1, 500 + i, "acme");
    }
    up();
    start();
    done(people);
    ck_assert_int_eq(ad_service_sync_start(s.service, AD_STR("companies"), false, NULL, &info),
                     AD_OK);
    done(companies);
}

static void comments_start(bool dry)
{
    struct ad_errinfo info = { .code = AD_OK };
    enum ad_err err = ad_service_sync_start(s.service, AD_STR("comments"), dry, NULL, &info);
    ck_assert_msg(err == AD_OK, "%s", info.msg);
}

static int64_t live(void)
{
    return fixture_i64(&s.f, "SELECT count(*) FROM comments_live");
}

static void sync_comments(unsigned n)
{
    comments_start(false);
    done(n);
    ck_assert_int_eq(live(), n);
}

/* ---- walking ----------------------------------------------------------------------------- */

static const unsigned sizes[][2] = { { 0, 0 }, { 1, 0 }, { 0, 1 }, { 50, 51 } };

START_TEST(every_record_is_asked_for_once_and_every_comment_mirrored)
{
    unsigned people = sizes[_i][0];
    unsigned companies = sizes[_i][1];
    mirrored(people, companies);
    for (unsigned i = 1; i <= people; i += 2) {
        comment_add(0, i);
    }
    for (unsigned i = 1; i <= companies; i += 3) {
        comment_add(1, 500 + i);
    }
    sync_comments(comments_n);
    ck_assert_uint_eq(asked, people + companies);
    ck_assert_uint_eq(asked_twice, 0);
    ck_assert_int_eq(newest("created"), comments_n);
    ck_assert_int_eq(newest("calls"), people + companies);
    sync_comments(comments_n); /* and once more, over what is there */
    ck_assert_int_eq(newest("created") + newest("updated") + newest("deleted"), 0);
    ck_assert_int_eq(newest("unchanged"), comments_n);
    ck_assert_uint_eq(got, 0);
}
END_TEST

static const unsigned threads[] = { 49, 50, 51, 100 };

START_TEST(threads_of_one_record_come_in_pages)
{
    mirrored(2, 0);
    for (unsigned i = 0; i < threads[_i]; i++) {
        comment_add(0, 1);
    }
    sync_comments(threads[_i]);
    ck_assert_uint_eq(asked, 1 + threads[_i] / 50 + 1);
}
END_TEST

START_TEST(comments_that_are_gone_or_changed_are_found)
{
    mirrored(3, 0);
    for (unsigned i = 1; i <= 3; i++) {
        comment_add(0, i);
    }
    sync_comments(3);
    comments[0].gone = true;
    comments[1].words = "changed";
    sync_comments(2);
    ck_assert_int_eq(newest("deleted"), 1);
    ck_assert_int_eq(newest("updated"), 1);
    ck_assert_uint_eq(got, 1);
    ck_assert_int_eq(
        fixture_i64(&s.f, "SELECT count(*) FROM comments WHERE _deleted_at IS NOT NULL"), 1);
}
END_TEST

START_TEST(a_comment_that_no_place_showed_but_is_there_stays)
{
    mirrored(2, 0);
    comment_add(0, 1);
    sync_comments(1);
    comments[0].record = 77; /* on a record that is not mirrored */
    comments_start(false);
    done(0);
    ck_assert_uint_eq(got, 1);
    ck_assert_int_eq(live(), 1);
    ck_assert_int_eq(newest("deleted"), 0);
}
END_TEST

START_TEST(a_record_that_is_gone_meanwhile_has_no_threads)
{
    mirrored(3, 0);
    comment_add(0, 3);
    fault_add(&s, "/v2/threads", 1, 404)->body =
        "{\"status_code\":404,\"type\":\"invalid_request_error\",\"code\":\"not_found\"}";
    sync_comments(1);
}
END_TEST

static bool dry_done(void *ctx)
{
    (void)ctx;
    return world_logged(&s.f.w, "sync_done");
}

START_TEST(a_dry_run_changes_nothing)
{
    mirrored(3, 0);
    comment_add(0, 1);
    comments_start(true);
    pass_until(&s, dry_done, NULL);
    ck_assert_int_eq(fixture_i64(&s.f, "SELECT count(*) FROM attiod_sync_run"
                                       " WHERE object_slug = 'comments'"),
                     0);
    ck_assert(world_logged(&s.f.w, "\"created\":1"));
    ad_buf_clear(&s.f.w.log);
    sync_comments(1);
    ck_assert_int_eq(newest("created"), 1);
}
END_TEST

/* ---- failures ---------------------------------------------------------------------------- */

START_TEST(what_fails_is_asked_for_again)
{
    mirrored(7, 0);
    comment_add(0, 1);
    comment_add(0, 7);
    struct answer *a = fault_add(&s, "/v2/threads", 12, 500);
    a->act = (enum act[]){ ACT_ANSWER, ACT_HANG_UP, ACT_HALF, ACT_GARBAGE }[_i];
    a->body = "{}";
    comments_start(false);
    done(2);
    ck_assert_int_eq(live(), 2);
}
END_TEST

START_TEST(what_attio_forbids_fails_the_run_and_says_why)
{
    mirrored(2, 0);
    fault_add(&s, "/v2/threads", UINT_MAX, 403)->body =
        "{\"status_code\":403,\"type\":\"auth_error\",\"code\":\"unauthorized\"}";
    comments_start(false);
    pass_until(&s, is_over, NULL);
    ck_assert_int_eq(newest("phase"), AD_SYNC_FAILED);
    ck_assert_int_eq(newest("error LIKE '%scope%'"), 1);
}
END_TEST

START_TEST(an_answer_that_never_comes_is_late_and_asked_for_again)
{
    mirrored(2, 0);
    comment_add(0, 2);
    fault_add(&s, "/v2/threads", 2, 200)->act = ACT_HANG;
    comments_start(false);
    done(1);
}
END_TEST

START_TEST(allocations_that_fail_delay_the_run)
{
    mirrored(1, 0);
    comment_add(0, 1);
    for (unsigned i = 0; i < 40; i++) {
        struct ad_errinfo info = { .code = AD_OK };
        ad_buf_clear(&s.f.w.log);
        heap_fail(i, i % 2 ? 3 : 1);
        enum ad_err err = ad_service_sync_start(s.service, AD_STR("comments"), false, NULL, &info);
        if (!err) {
            pass_until(&s, is_over, NULL);
        }
        heap_fail(0, 0);
        ck_assert(err == AD_OK || err == AD_ERR_NOMEM);
        s.f.sv.n = 0;
    }
    ad_buf_clear(&s.f.w.log);
    sync_comments(1);
}
END_TEST

/* ---- close, resume, other runs ----------------------------------------------------------- */

static unsigned hang_at;

static void hang(unsigned nth)
{
    if (nth == hang_at) {
        fault_add(&s, "/v2/threads", UINT_MAX, 0)->act = ACT_HANG;
    }
}

static bool hangs(void *ctx)
{
    (void)ctx;
    return s.faults_n > 0;
}

static const unsigned stops[] = { 0, 45, 49, 50, 57, 95 };

START_TEST(closed_anywhere_it_goes_on_where_it_was)
{
    mirrored(55, 53);
    for (unsigned i = 1; i <= 53; i += 4) {
        comment_add(0, i);
        comment_add(1, 500 + i);
    }
    hang_at = stops[_i];
    on_threads = hang;
    comments_start(false);
    pass_until(&s, hangs, NULL);
    world_settle(&s.f.w);
    service_fixture_stop(&s);
    on_threads = NULL;
    s.faults_n = 0;
    s.opts.sync_on_start = true; /* it is no part of what is configured: but it was asked for */
    s.opts.sync_objects = (const char *const[]){ "people", NULL };
    unsigned before = asked;
    up();
    done(comments_n);
    ck_assert_int_eq(live(), comments_n);
    ck_assert_int_eq(newest("deleted"), 0);
    ck_assert_int_eq(fixture_i64(&s.f, "SELECT count(*) FROM attiod_sync_run"
                                       " WHERE object_slug = 'comments'"),
                     1);
    /* At most one batch was asked for again. */
    ck_assert_uint_le(asked - before, 108 - stops[_i] + 50);
}
END_TEST

static unsigned asked_before_query;

static void note_query(struct service_fixture *f, const struct request *r)
{
    (void)f;
    if (strstr(r->line, "/query") && !asked_before_query) {
        asked_before_query = asked;
    }
}

static bool comments_done(void *ctx)
{
    (void)ctx;
    return fixture_i64(&s.f, "SELECT count(*) FROM attiod_sync_run WHERE phase = 4"
                             " AND object_slug = 'comments'") == 1;
}

START_TEST(others_go_first_after_a_batch)
{
    mirrored(60, 0);
    asked_before_query = 0;
    s.before = note_query;
    comments_start(false);
    start(); /* people, behind it in the queue */
    pass_until(&s, comments_done, NULL);
    ck_assert_uint_eq(asked_before_query, 50);
    ck_assert_uint_eq(asked, 60);
    ck_assert_uint_eq(asked_twice, 0);
}
END_TEST

START_TEST(all_has_comments_where_it_is_told_to)
{
    struct ad_errinfo info = { .code = AD_OK };
    unsigned runs = 0;
    s.opts.sync_comments = _i == 1;
    up();
    ck_assert_int_eq(ad_service_sync_all(s.service, true, &runs, &info), AD_OK);
    ck_assert_uint_eq(runs, 2 + 3 + (_i == 1)); /* notes, tasks, members */
}
END_TEST

static Suite *sync_comments_suite(void)
{
    const TTest *const tests[] = {
        comments_that_are_gone_or_changed_are_found,
        a_comment_that_no_place_showed_but_is_there_stays,
        a_record_that_is_gone_meanwhile_has_no_threads,
        a_dry_run_changes_nothing,
        what_attio_forbids_fails_the_run_and_says_why,
        an_answer_that_never_comes_is_late_and_asked_for_again,
        allocations_that_fail_delay_the_run,
        others_go_first_after_a_batch,
    };
    Suite *suite = suite_create("sync_comments");
    TCase *tcase = tcase_create("sync_comments");
    tcase_add_checked_fixture(tcase, comments_setup, teardown);
    tcase_add_loop_test(tcase, every_record_is_asked_for_once_and_every_comment_mirrored, 0,
                        (int)AD_LEN(sizes));
    tcase_add_loop_test(tcase, threads_of_one_record_come_in_pages, 0, (int)AD_LEN(threads));
    tcase_add_loop_test(tcase, what_fails_is_asked_for_again, 0, 4);
    tcase_add_loop_test(tcase, closed_anywhere_it_goes_on_where_it_was, 0, (int)AD_LEN(stops));
    tcase_add_loop_test(tcase, all_has_comments_where_it_is_told_to, 0, 2);
    for (size_t i = 0; i < AD_LEN(tests); i++) {
        tcase_add_test(tcase, tests[i]);
    }
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITE(sync_comments_suite)
