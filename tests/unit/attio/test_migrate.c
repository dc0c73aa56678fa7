#include "attio/migrate.h"

#include "fixture.h"
#include "support/run.h"

static struct attio_fixture f;

static void setup(void)
{
    fixture_open(&f); /* migrates */
}

static void teardown(void)
{
    fixture_close(&f);
}

#define TABLES "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'attiod_%' AND type = 'table'"
#define VERSION "SELECT user_version FROM pragma_user_version"

START_TEST(an_empty_database_gets_all_tables)
{
    ck_assert_int_eq(fixture_i64(&f, TABLES), 9);
    ck_assert_int_eq(fixture_i64(&f, VERSION), 1);
    ck_assert_int_eq(fixture_i64(&f, "SELECT value FROM attiod_sequence WHERE name = 'version'"),
                     0);
}
END_TEST

START_TEST(a_current_database_is_left_alone)
{
    int from = -1;
    int to = -1;
    ck_assert_int_eq(ad_migrate(f.store, false, &from, &to, NULL), AD_OK);
    ck_assert_int_eq(from, 1);
    ck_assert_int_eq(to, 1);
    ck_assert_int_eq(ad_migrate(f.store, true, NULL, NULL, NULL), AD_OK);
}
END_TEST

START_TEST(checking_only_says_what_is_missing_and_does_nothing)
{
    int from = -1;
    int to = -1;
    struct ad_errinfo info = { 0 };
    fixture_sql(&f, "PRAGMA user_version = 0");
    ck_assert_int_eq(ad_migrate(f.store, true, &from, &to, &info), AD_ERR_CONFLICT);
    ck_assert_int_eq(from, 0);
    ck_assert_int_eq(to, 1);
    ck_assert_str_eq(info.msg, "the database has tables of version 0, this program needs 1");
    ck_assert_int_eq(fixture_i64(&f, VERSION), 0);
}
END_TEST

START_TEST(a_step_that_fails_leaves_nothing)
{
    struct ad_errinfo info = { 0 };
    fixture_sql(&f, "PRAGMA user_version = 0; DROP TABLE attiod_meta");
    ck_assert_int_ne(ad_migrate(f.store, false, NULL, NULL, &info), AD_OK);
    ck_assert_ptr_nonnull(strstr(info.msg, "migration to version 1"));
    ck_assert_int_eq(fixture_i64(&f, TABLES), 8);
    ck_assert_int_eq(fixture_i64(&f, VERSION), 0);
}
END_TEST

START_TEST(newer_tables_are_refused_with_both_versions)
{
    struct ad_errinfo info = { 0 };
    fixture_sql(&f, "PRAGMA user_version = 7");
    ck_assert_int_eq(ad_migrate(f.store, false, NULL, NULL, &info), AD_ERR_CONFLICT);
    ck_assert_str_eq(info.msg, "the database has tables of version 7, this program knows up to 1");
    ck_assert_int_eq(fixture_i64(&f, VERSION), 7);
}
END_TEST

START_TEST(newer_tables_that_say_we_may_run_are_taken)
{
    int from = -1;
    int to = -1;
    fixture_sql(&f,
                "PRAGMA user_version = 2; INSERT INTO attiod_meta VALUES ('compatible:2', '1')");
    ck_assert_int_eq(ad_migrate(f.store, false, &from, &to, NULL), AD_OK);
    ck_assert_int_eq(from, 2);
    ck_assert_int_eq(to, 2);
    fixture_sql(&f,
                "PRAGMA user_version = 3; INSERT INTO attiod_meta VALUES ('compatible:3', '2')");
    ck_assert_int_eq(ad_migrate(f.store, false, NULL, NULL, NULL), AD_ERR_CONFLICT);
}
END_TEST

START_TEST(no_memory_is_reported_and_the_next_try_succeeds)
{
    fixture_sql(&f,
                "PRAGMA user_version = 0; DROP TABLE attiod_meta; DROP TABLE attiod_sequence;"
                "DROP TABLE attiod_webhook; DROP TABLE attiod_attempt; DROP TABLE attiod_inbox;"
                "DROP TABLE attiod_object; DROP TABLE attiod_attribute; DROP TABLE attiod_shape;"
                "DROP TABLE attiod_sync_run");
    enum ad_err err = AD_ERR_NOMEM;
    for (size_t n = 0; err == AD_ERR_NOMEM; n++) {
        struct ad_errinfo info = { 0 };
        heap_fail(n, 1);
        err = ad_migrate(f.store, false, NULL, NULL, &info);
        heap_fail(0, 0);
        ck_assert_msg(err == AD_OK || err == AD_ERR_NOMEM, "%s: %s", ad_err_name(err), info.msg);
        ck_assert_uint_lt(n, 1000);
    }
    ck_assert_int_eq(fixture_i64(&f, TABLES), 9);
}
END_TEST

static Suite *migrate_suite(void)
{
    const TTest *const tests[] = {
        an_empty_database_gets_all_tables,
        a_current_database_is_left_alone,
        checking_only_says_what_is_missing_and_does_nothing,
        a_step_that_fails_leaves_nothing,
        newer_tables_are_refused_with_both_versions,
        newer_tables_that_say_we_may_run_are_taken,
        no_memory_is_reported_and_the_next_try_succeeds,
    };
    Suite *suite = suite_create("migrate");
    TCase *tcase = tcase_create("migrate");
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < AD_LEN(tests); i++) {
        tcase_add_test(tcase, tests[i]);
    }
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITE(migrate_suite)
