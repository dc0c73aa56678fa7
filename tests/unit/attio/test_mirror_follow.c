#include "mirror_fixture.h"
#include "support/run.h"
#include "support/torture.h"

#include <stdio.h>

/* The schema changes while rows are there: table, views and rows follow. */

static void on_followed(struct ad_mirror_follow *fo)
{
    *(bool *)fo->data = true;
}

static struct ad_mirror_follow follow_of(const struct ad_object *o)
{
    bool done = false;
    struct ad_mirror_follow fo = { .object = o, .cb = on_followed, .data = &done };
    ck_assert_int_eq(ad_mirror_follow(m, &fo), AD_OK);
    ck_assert(!done);
    world_until_true(&f.w, &done);
    ck_assert_msg(fo.err == AD_OK, "%s", fo.info.msg);
    return fo;
}

static struct ad_mirror_follow follow(void)
{
    return follow_of(the_object());
}

/* With a table; a new one needs a full sync, which is not what is tested here. */
static void setup(void)
{
    mirror_setup();
    ck_assert(follow().resync);
    fixture_sql(&f, "UPDATE attiod_shape SET resync_at = NULL");
    ck_assert(!follow().resync);
}

static void change(const char *set)
{
    char sql[300];
    (void)snprintf(sql, sizeof(sql), "UPDATE attiod_attribute SET %s WHERE attribute_id = '%s'",
                   set, ATTR(11));
    fixture_sql(&f, sql);
    reopen();
}

/* {"x": values} of records 1, 2, ... each a JSON array. */
static void rows_are(int64_t version, const char *slug, const char *const *values, size_t n)
{
    struct ad_buf b;
    ad_buf_init(&b, (size_t)1 << 20);
    ad_buf_put(&b, AD_STR("{\"data\":["));
    for (size_t i = 0; i < n; i++) {
        ad_buf_fmt(&b, "%s{\"id\":{\"record_id\":\"10000000-0000-4000-8000-%012zu\"},\"values\":{",
                   i ? "," : "", i + 1);
        if (values[i]) {
            ad_buf_fmt(&b, "\"%s\":%s", slug, values[i]);
        }
        ad_buf_put(&b, AD_STR("}}"));
    }
    ad_buf_put(&b, AD_STR("]}"));
    ad_buf_putc(&b, '\0');
    (void)apply(version, ad_buf_str(&b).p);
    ad_buf_fini(&b);
}
#define ROWS_ARE(version, slug, ...)                              \
    rows_are(version, slug, (const char *const[]){ __VA_ARGS__ }, \
             AD_LEN(((const char *const[]){ __VA_ARGS__ })))

/* Column of all live rows, in order: "a,-,b". */
static void assert_rows(const char *column, const char *want)
{
    char sql[200];
    (void)snprintf(sql, sizeof(sql),
                   "SELECT group_concat(coalesce(%s, '-')) FROM (SELECT * FROM people_live ORDER BY"
                   " record_id)",
                   column);
    assert_text(sql, want);
}

#define X(v) "[{\"value\":" v "}]"
#define TYPED(v, type) "[{\"value\":" v ",\"attribute_type\":\"" type "\"}]"

START_TEST(an_attribute_that_came_is_filled_from_what_was_sent)
{
    ROWS_ARE(1, "x", X("\"a\""), NULL, X("\"c\""), "[]");
    attribute(O, ATTR(11), 10, "x", "text", false, false);
    reopen();
    struct ad_mirror_follow fo = follow();
    ck_assert_uint_eq(fo.rows, 3);
    ck_assert(!fo.resync);
    assert_rows("x", "a,-,c,-");
    ck_assert_uint_eq(follow().rows, 0); /* once only */
    ck_assert_int_eq(fixture_i64(&f, "SELECT count(*) FROM attiod_shape WHERE backfill IS NULL"),
                     1);
}
END_TEST

START_TEST(a_renamed_attribute_keeps_its_values)
{
    attribute(O, ATTR(11), 10, "x", "text", false, false);
    reopen();
    ROWS_ARE(1, "x", X("\"a\""), X("\"b\""), X("\"c\""));
    ROWS_ARE(2, "y", X("\"new\"")); /* was renamed already, and we did not know */
    assert_rows("x", "-,b,c");
    change("slug = 'y'");
    struct ad_mirror_follow fo = follow();
    ck_assert_uint_eq(fo.rows, 1);
    ck_assert(!fo.resync);
    assert_rows("y", "new,b,c");
    change("slug = 'x'"); /* and back */
    (void)follow();
    assert_rows("x", "new,b,c");
}
END_TEST

START_TEST(a_restored_attribute_needs_a_full_sync)
{
    attribute(O, ATTR(11), 10, "x", "text", false, false);
    reopen();
    ROWS_ARE(1, "x", X("\"a\""), X("\"b\""));
    change("archived = 1");
    ck_assert(!follow().resync);
    ROWS_ARE(2, "x", NULL, NULL, NULL);
    change("archived = 0");
    struct ad_mirror_follow fo = follow();
    ck_assert(fo.resync);
    ck_assert_uint_eq(fo.rows, 0);
    assert_rows("x", "a,b,-"); /* nobody could change them meanwhile */
    reopen();
    ck_assert(follow().resync);
    fixture_sql(&f,
                "INSERT INTO attiod_sync_run VALUES (1, '" O "', 'people', 4, '', 0, 1, 1, 2, 0,"
                " 0, 0, 0, 0, 0, 0, '')");
    ck_assert(follow().resync); /* that one began before */
    fixture_sql(&f, "INSERT INTO attiod_sync_run SELECT 2, object_id, '', 1, '', 0, 1, resync_at +"
                    " 1, 0, 0, 0, 0, 0, 0, 0, 0, '' FROM attiod_shape");
    ck_assert(follow().resync); /* that one is not complete */
    fixture_sql(&f, "UPDATE attiod_sync_run SET phase = 4 WHERE id = 2");
    ck_assert(!follow().resync);
}
END_TEST

START_TEST(single_values_become_lists)
{
    attribute(O, ATTR(11), 10, "x", "domain", false, false);
    reopen();
    ROWS_ARE(1, "x", "[{\"domain\":\"a.example\"}]", "[]");
    change("multiselect = 1, revision = 1");
    struct ad_mirror_follow fo = follow();
    ck_assert_uint_eq(fo.rows, 2);
    ck_assert(!fo.resync);
    assert_rows("x", "[\"a.example\"],-");
    assert_rows("x_domain", "a.example,-");
    change("multiselect = 0, revision = 2, slug = 'y'"); /* and its name with it */
    ck_assert(!follow().resync);
    assert_rows("y", "a.example,-");
}
END_TEST

START_TEST(another_type_has_other_columns)
{
    attribute(O, ATTR(11), 10, "x", "text", false, false);
    reopen();
    ROWS_ARE(1, "x", TYPED("\"007\"", "text"), TYPED("\"b\"", "text"), X("\"8\""));
    ROWS_ARE(2, "x", TYPED("7", "number")); /* came before we knew */
    change("type = 'number', revision = 1");
    struct ad_mirror_follow fo = follow();
    ck_assert(fo.resync);
    assert_rows("typeof(x) || x", "integer7,-,integer8");
    ROWS_ARE(3, "x", TYPED("7", "number"), TYPED("2.5", "number"), TYPED("8", "number"));
    assert_rows("typeof(x) || x", "integer7,real2.5,integer8");
    change("type = 'select', revision = 2");
    (void)follow();
    assert_rows("coalesce(x, x_id)", "-,-,-");
}
END_TEST

START_TEST(a_slug_that_was_anothers_is_not_trusted)
{
    attribute(O, ATTR(11), 10, "x", "text", false, false);
    reopen();
    ROWS_ARE(1, "x", X("\"a\""), X("\"b\""));
    change("slug = 'y'");
    attribute(O, ATTR(12), 11, "x", "text", false, false);
    reopen();
    ck_assert(follow().resync);
    assert_rows("y", "a,b");
    assert_rows("x", "-,-");
    /* The full sync brings what the rows have already, or what they should have: all is written. */
    ROWS_ARE(2, "x", X("\"a\""), X("\"b\""));
    assert_rows("x", "a,b");
    assert_rows("y", "-,-");
    assert_rows("_raw NOT LIKE '% '", "1,1");
}
END_TEST

START_TEST(a_table_of_the_version_before_is_completed)
{
    attribute(O, ATTR(11), 10, "x", "text", false, false);
    reopen();
    ROWS_ARE(1, "x", X("\"a\""), X("\"b\""));
    fixture_sql(&f, "DELETE FROM attiod_slot");
    change("multiselect = 1, revision = 1");
    ck_assert(!follow().resync);
    assert_rows("x", "[\"a\"],[\"b\"]");
}
END_TEST

/* --- Many rows --- */

enum { MANY = 400 };

static void many_rows(int64_t version)
{
    static char texts[MANY][32];
    static const char *values[MANY];
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(texts[i], sizeof(texts[i]), X("%d"), i);
        values[i] = texts[i];
    }
    rows_are(version, "x", values, MANY);
}

START_TEST(it_goes_chunk_by_chunk_and_lets_others_in_between)
{
    many_rows(1);
    attribute(O, ATTR(11), 10, "x", "number", false, false);
    reopen();
    bool followed = false;
    bool done;
    struct ad_mirror_follow fo = { .object = the_object(), .cb = on_followed, .data = &followed };
    struct ad_mirror_op op = { .object = NULL };
    ck_assert_int_eq(ad_mirror_follow(m, &fo), AD_OK);
    prepare(&op, 5, &done);
    ck_assert_int_eq(ad_mirror_apply(m, &op, AD_STR(PAGE(RECORD(R(1), "between")))), AD_OK);
    world_until_true(&f.w, &done);
    ck_assert(!followed);
    world_until_true(&f.w, &followed);
    ck_assert_int_eq(fo.err, AD_OK);
    ck_assert_uint_ge(fo.rows, MANY - 1); /* row 1 was written anew, or first completed */
    ck_assert_int_eq(fixture_i64(&f, "SELECT sum(x) FROM people"), MANY * (MANY - 1) / 2);
    assert_text("SELECT job_title FROM people WHERE x IS NULL", "between");
}
END_TEST

START_TEST(what_a_stop_left_undone_is_done_by_the_next)
{
    many_rows(1);
    attribute(O, ATTR(11), 10, "x", "number", false, false);
    reopen();
    uint64_t rows = 0;
    unsigned stops = 0;
    for (bool again = true; again; stops++) {
        bool followed = false;
        struct ad_mirror_follow fo = {
            .object = the_object(), .stop = true, .cb = on_followed, .data = &followed
        };
        ck_assert_int_eq(ad_mirror_follow(m, &fo), AD_OK);
        world_until_true(&f.w, &followed);
        ck_assert(fo.err == AD_ERR_CANCELED || fo.err == AD_OK);
        again = fo.err == AD_ERR_CANCELED;
        rows += fo.rows;
        reopen(); /* as after a kill */
    }
    ck_assert_uint_gt(stops, 5);
    ck_assert_uint_eq(rows, MANY); /* none of them twice */
    ck_assert_int_eq(fixture_i64(&f, "SELECT sum(x) FROM people"), MANY * (MANY - 1) / 2);
}
END_TEST

START_TEST(a_change_in_the_middle_begins_anew_for_both)
{
    many_rows(1);
    attribute(O, ATTR(11), 10, "x", "number", false, false);
    reopen();
    bool followed = false;
    struct ad_mirror_follow fo = {
        .object = the_object(), .stop = true, .cb = on_followed, .data = &followed
    };
    ck_assert_int_eq(ad_mirror_follow(m, &fo), AD_OK);
    world_until_true(&f.w, &followed);
    ck_assert_int_eq(fo.err, AD_ERR_CANCELED);
    attribute(O, ATTR(12), 11, "z", "text", false, false);
    reopen();
    (void)follow();
    ck_assert_int_eq(fixture_i64(&f, "SELECT sum(x) FROM people WHERE z IS NULL"),
                     MANY * (MANY - 1) / 2);
}
END_TEST

/* --- Objects and lists --- */

START_TEST(what_is_gone_has_no_views_and_what_comes_back_has)
{
#define VIEWS "SELECT count(*) FROM sqlite_schema WHERE type = 'view'"
    list(L, 1, "sales");
    reopen();
    const struct ad_object *o = NULL;
    while ((o = ad_schema_next(schema, o))) {
        (void)follow_of(o); /* all tables are there before anything came */
    }
    ck_assert_int_eq(fixture_i64(&f, VIEWS), 12);
    fixture_sql(&f, "UPDATE attiod_list SET gone = 1; UPDATE attiod_object SET gone = 1");
    reopen();
    (void)follow();
    (void)follow_of(ad_schema_list(schema, AD_STR(L)));
    ck_assert_int_eq(fixture_i64(&f, VIEWS), 8);
    object(O2, 2, "people");
    reopen();
    (void)follow_of(ad_schema_object(schema, AD_STR(O2)));
    fixture_sql(&f, "UPDATE attiod_object SET gone = 0");
    reopen();
    (void)follow();
    (void)follow_of(ad_schema_object(schema, AD_STR(O2)));
    assert_text("SELECT view FROM attiod_shape WHERE object_id = '" O "'", "people");
    assert_text("SELECT view FROM attiod_shape WHERE object_id = '" O2 "'", "people__2");
    ck_assert_int_eq(fixture_i64(&f, "SELECT count(*) FROM people"), 0);
    ck_assert_int_eq(fixture_i64(&f, "SELECT count(*) FROM people__2_live"), 0);
}
END_TEST

START_TEST(no_memory_is_reported_and_the_next_one_does_it)
{
    attribute(O, ATTR(11), 10, "x", "text", false, false);
    reopen();
    ROWS_ARE(1, "x", X("\"a\""), X("\"b\""));
    attribute(O, ATTR(11), 10, "x", "text", true, false);
    fixture_sql(&f, "UPDATE attiod_attribute SET revision = 1 WHERE slug = 'x'");
    bool clean = false;
    for (size_t n = 0; !clean; n = torture_next_of_all(n)) {
        bool done = false;
        struct ad_mirror_follow fo = { .cb = on_followed, .data = &done };
        reopen();
        fo.object = the_object();
        heap_fail(n, 1);
        enum ad_err err = ad_mirror_follow(m, &fo);
        if (!err) {
            world_until_true(&f.w, &done);
            err = fo.err;
        }
        clean = !heap_failed();
        heap_fail(0, 0);
        ck_assert_msg(err == AD_OK || err == AD_ERR_NOMEM, "%zu: %s %s", n, ad_err_name(err),
                      fo.info.msg);
        ck_assert_uint_lt(n, 2000);
    }
    assert_rows("x", "[\"a\"],[\"b\"]");
    struct ad_mirror_follow fo = { .object = NULL };
    ck_assert_int_eq(ad_mirror_follow(m, &fo), AD_ERR_INVALID);
}
END_TEST

static Suite *mirror_follow_suite(void)
{
    const TTest *const tests[] = {
        an_attribute_that_came_is_filled_from_what_was_sent,
        a_renamed_attribute_keeps_its_values,
        a_restored_attribute_needs_a_full_sync,
        single_values_become_lists,
        another_type_has_other_columns,
        a_slug_that_was_anothers_is_not_trusted,
        a_table_of_the_version_before_is_completed,
        it_goes_chunk_by_chunk_and_lets_others_in_between,
        what_a_stop_left_undone_is_done_by_the_next,
        a_change_in_the_middle_begins_anew_for_both,
        what_is_gone_has_no_views_and_what_comes_back_has,
        no_memory_is_reported_and_the_next_one_does_it,
    };
    Suite *suite = suite_create("mirror_follow");
    TCase *tcase = tcase_create("follow");
    tcase_add_checked_fixture(tcase, setup, mirror_teardown);
    tcase_set_timeout(tcase, 30);
    for (size_t i = 0; i < AD_LEN(tests); i++) {
        tcase_add_test(tcase, tests[i]);
    }
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITE(mirror_follow_suite)
