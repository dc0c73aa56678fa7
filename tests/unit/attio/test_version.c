#include "attio/version.h"

#include "fixture.h"
#include "support/run.h"

#define VALUE "SELECT value FROM attiod_sequence WHERE name = 'version'"

static struct attio_fixture f;

static void setup(void)
{
    fixture_open(&f);
}

static void teardown(void)
{
    fixture_close(&f);
}

static struct ad_versions *versions_open(void)
{
    struct ad_versions *v = NULL;
    struct ad_errinfo info = { .code = AD_OK };
    enum ad_err err = ad_versions_open(f.store, &v, &info);
    ck_assert_msg(err == AD_OK, "%s", info.msg);
    return v;
}

static bool store_idle(void *ctx)
{
    (void)ctx;
    return ad_store_pending(f.store) == 0;
}

START_TEST(a_block_is_reserved_before_it_is_used)
{
    struct ad_versions *v = versions_open();
    ck_assert_int_eq(fixture_i64(&f, VALUE), AD_VERSION_BLOCK);
    ck_assert_int_eq(ad_versions_next(v), 1);
    ck_assert_int_eq(ad_versions_next(v), 2);
    ad_versions_close(v);
}
END_TEST

START_TEST(they_rise_over_restarts_and_never_come_twice)
{
    int64_t last = 0;
    for (int i = 0; i < 5; i++) {
        struct ad_versions *v = versions_open();
        for (int j = 0; j < 10; j++) {
            int64_t next = ad_versions_next(v);
            ck_assert_int_gt(next, last);
            last = next;
        }
        ad_versions_close(v);
    }
}
END_TEST

START_TEST(the_next_block_is_there_before_this_one_ends)
{
    struct ad_versions *v = versions_open();
    int64_t last = 0;
    for (int i = 0; i < 3 * AD_VERSION_BLOCK; i++) {
        int64_t next = ad_versions_next(v);
        ck_assert_int_eq(next, last + 1);
        last = next;
        if (i % 500 == 0) {
            world_until(&f.w, store_idle, NULL);
            world_settle(&f.w);
        }
    }
    ck_assert_int_ge(fixture_i64(&f, VALUE), last);
    ad_versions_close(v);
}
END_TEST

START_TEST(two_that_share_a_database_never_give_the_same)
{
    struct ad_versions *a = versions_open();
    struct ad_versions *b = versions_open();
    ck_assert_int_eq(ad_versions_next(a), 1);
    ck_assert_int_eq(ad_versions_next(b), AD_VERSION_BLOCK + 1);
    ad_versions_close(a);
    ad_versions_close(b);
}
END_TEST

START_TEST(without_a_database_they_end_rather_than_repeat)
{
    struct ad_versions *v = versions_open();
    fixture_sql(&f, "DROP TABLE attiod_sequence");
    int64_t last = 0;
    for (int i = 0; i < AD_VERSION_BLOCK; i++) {
        last = ad_versions_next(v);
        ck_assert_int_eq(last, i + 1);
    }
    world_until(&f.w, store_idle, NULL);
    world_settle(&f.w);
    ck_assert_int_eq(ad_versions_next(v), 0);
    fixture_sql(&f, "CREATE TABLE attiod_sequence (name TEXT PRIMARY KEY, value INTEGER NOT NULL);"
                    "INSERT INTO attiod_sequence VALUES ('version', 4096)");
    world_until(&f.w, store_idle, NULL);
    world_settle(&f.w);
    (void)ad_versions_next(v); /* asks again */
    world_until(&f.w, store_idle, NULL);
    world_settle(&f.w);
    ck_assert_int_gt(ad_versions_next(v), last);
    ad_versions_close(v);
}
END_TEST

START_TEST(closing_while_a_block_is_being_reserved)
{
    struct ad_versions *v = versions_open();
    for (int i = 0; i < AD_VERSION_BLOCK / 2 + 1; i++) {
        (void)ad_versions_next(v);
    }
    ad_versions_close(v);
}
END_TEST

START_TEST(a_database_without_our_tables_is_an_error)
{
    struct ad_versions *v = NULL;
    struct ad_errinfo info = { .code = AD_OK };
    fixture_sql(&f, "DROP TABLE attiod_sequence");
    ck_assert_int_ne(ad_versions_open(f.store, &v, &info), AD_OK);
    ck_assert_ptr_null(v);
    ck_assert_ptr_nonnull(strstr(info.msg, "cannot reserve versions"));
}
END_TEST

static void on_leapt(struct ad_versions_leap *leap)
{
    *(bool *)leap->data = true;
}

START_TEST(after_a_leap_all_numbers_are_above_what_was_lost)
{
    bool done = false;
    struct ad_versions *v = versions_open();
    struct ad_versions_leap leap = { .cb = on_leapt, .data = &done };
    fixture_sql(&f, "INSERT INTO attiod_change (seq, object_id, record_id, at, change)"
                    " VALUES (5, 'o', 'a', 't', 1), (6, 'o', 'b', 't', 1)");
    ck_assert_int_eq(ad_versions_next(v), 1);
    ck_assert_int_eq(ad_versions_leap(v, &leap), AD_OK);
    ck_assert(!done);
    world_until_true(&f.w, &done);
    ck_assert_int_eq(leap.err, AD_OK);
    int64_t last = ad_versions_next(v);
    ck_assert_int_gt(last, AD_VERSION_LEAP);
    ad_versions_close(v);
    v = versions_open();
    ck_assert_int_gt(ad_versions_next(v), last);
    ad_versions_close(v);
    ck_assert_int_eq(fixture_i64(&f, "SELECT max(seq) FROM attiod_change"), 6 + AD_VERSION_LEAP);
    ck_assert_int_eq(fixture_i64(&f, "SELECT count(*) FROM attiod_change"), 2);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("version");
    TCase *tc = tcase_create("version");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_block_is_reserved_before_it_is_used);
    tcase_add_test(tc, they_rise_over_restarts_and_never_come_twice);
    tcase_add_test(tc, the_next_block_is_there_before_this_one_ends);
    tcase_add_test(tc, two_that_share_a_database_never_give_the_same);
    tcase_add_test(tc, without_a_database_they_end_rather_than_repeat);
    tcase_add_test(tc, closing_while_a_block_is_being_reserved);
    tcase_add_test(tc, a_database_without_our_tables_is_an_error);
    tcase_add_test(tc, after_a_leap_all_numbers_are_above_what_was_lost);
    suite_add_tcase(suite, tc);
    return suite;
}

RUN_SUITE(suite)
