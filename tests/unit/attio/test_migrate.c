#include "attio/migrate.h"

#include "fixture.h"
#include "support/run.h"
#include "support/torture.h"

#include <stdio.h>
#include <unistd.h>

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

/* The version that this program brings a database to. */
static int current(void)
{
    int to = -1;
    ck_assert_int_eq(ad_migrate(f.store, true, NULL, &to, NULL), AD_OK);
    return to;
}

static void set_version(int version)
{
    char sql[64];
    (void)snprintf(sql, sizeof(sql), "PRAGMA user_version = %d", version);
    fixture_sql(&f, sql);
}

/* As the program of version 1 left it: its tables, its data. Written down here and not taken from
 * the program, which could change what it once did without anybody noticing. */
static const char version_1[] =
    "CREATE TABLE attiod_meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "CREATE TABLE attiod_sequence (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE attiod_webhook (webhook_id TEXT PRIMARY KEY, target_url TEXT NOT NULL,"
    " secret TEXT NOT NULL, created_at INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE attiod_inbox (seq INTEGER PRIMARY KEY, dedupe TEXT, part INTEGER NOT NULL,"
    " received_at INTEGER NOT NULL, state INTEGER NOT NULL, workspace_id TEXT, type TEXT,"
    " subject TEXT, body TEXT, reason TEXT);"
    "CREATE UNIQUE INDEX attiod_inbox_dedupe ON attiod_inbox (dedupe, part)"
    " WHERE dedupe IS NOT NULL;"
    "CREATE INDEX attiod_inbox_open ON attiod_inbox (seq, state) WHERE state < 2;"
    "CREATE INDEX attiod_inbox_failed ON attiod_inbox (state, seq) WHERE state IN (2, 4, 5);"
    "CREATE TABLE attiod_attempt (seq INTEGER NOT NULL REFERENCES attiod_inbox (seq)"
    " ON DELETE CASCADE, handler TEXT NOT NULL, state INTEGER NOT NULL, attempts INTEGER NOT NULL,"
    " next_at INTEGER NOT NULL, error TEXT, PRIMARY KEY (seq, handler)) WITHOUT ROWID;"
    "CREATE TABLE attiod_object (object_id TEXT PRIMARY KEY, workspace_id TEXT,"
    " position INTEGER NOT NULL, slug TEXT NOT NULL, singular TEXT, plural TEXT,"
    " gone INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE attiod_attribute (object_id TEXT NOT NULL, attribute_id TEXT NOT NULL,"
    " position INTEGER NOT NULL, slug TEXT NOT NULL, title TEXT, type TEXT NOT NULL,"
    " multiselect INTEGER NOT NULL, writable INTEGER NOT NULL, required INTEGER NOT NULL,"
    " is_unique INTEGER NOT NULL, archived INTEGER NOT NULL, system INTEGER NOT NULL,"
    " PRIMARY KEY (object_id, attribute_id)) WITHOUT ROWID;"
    "CREATE TABLE attiod_shape (object_id TEXT PRIMARY KEY, digest TEXT NOT NULL,"
    " view TEXT NOT NULL, live_view TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE attiod_sync_run (id INTEGER PRIMARY KEY, object_id TEXT NOT NULL,"
    " object_slug TEXT NOT NULL, phase INTEGER NOT NULL, key TEXT NOT NULL,"
    " key_offset INTEGER NOT NULL, version INTEGER NOT NULL, started_at INTEGER NOT NULL,"
    " finished_at INTEGER NOT NULL, pages INTEGER NOT NULL, seen INTEGER NOT NULL,"
    " created INTEGER NOT NULL, updated INTEGER NOT NULL, unchanged INTEGER NOT NULL,"
    " deleted INTEGER NOT NULL, calls INTEGER NOT NULL, error TEXT NOT NULL);"
    "CREATE INDEX attiod_sync_run_object ON attiod_sync_run (object_id, id);"
    "INSERT INTO attiod_meta VALUES ('workspace_id', '14beef7a-99f7-4534-a87e-70b564330a4c');"
    "INSERT INTO attiod_sequence VALUES ('version', 4711);"
    "INSERT INTO attiod_webhook VALUES ('w1', 'https://x/webhooks/attio', 's', 1);"
    "INSERT INTO attiod_inbox VALUES (7, 'k', 0, 1, 1, 'w', 'record.updated', 'record:r', '{}',"
    " NULL);"
    "INSERT INTO attiod_attempt VALUES (7, 'mirror', 1, 3, 0, 'late');"
    "INSERT INTO attiod_object VALUES ('o1', 'w', 0, 'people', 'Person', 'People', 0);"
    "INSERT INTO attiod_attribute VALUES ('o1', 'a1', 0, 'name', 'Name', 'text', 0, 1, 0, 0, 0, 0);"
    "INSERT INTO attiod_shape VALUES ('o1', 'd', 'people', 'people_live');"
    "INSERT INTO attiod_sync_run VALUES (9, 'o1', 'people', 4, '', 0, 5, 1, 2, 1, 1, 1, 0, 0, 0, 1,"
    " '');"
    "PRAGMA user_version = 1;";

/* A file without anything in it. */
static void empty(void)
{
    static const char *const suffixes[] = { "", "-wal", "-shm" };
    fixture_close_store(&f);
    for (size_t i = 0; i < AD_LEN(suffixes); i++) {
        char path[200];
        (void)snprintf(path, sizeof(path), "%s/test.db%s", f.folder, suffixes[i]);
        (void)unlink(path);
    }
    fixture_reopen_store(&f);
    ck_assert_int_eq(fixture_i64(&f, TABLES), 0);
}

START_TEST(an_empty_database_gets_all_tables)
{
    ck_assert_int_ge(fixture_i64(&f, TABLES), 9);
    ck_assert_int_eq(fixture_i64(&f, VERSION), current());
    ck_assert_int_eq(fixture_i64(&f, "SELECT value FROM attiod_sequence WHERE name = 'version'"),
                     0);
}
END_TEST

START_TEST(a_current_database_is_left_alone)
{
    int from = -1;
    int to = -1;
    int64_t tables = fixture_i64(&f, TABLES);
    ck_assert_int_eq(ad_migrate(f.store, false, &from, &to, NULL), AD_OK);
    ck_assert_int_eq(from, to);
    ck_assert_int_eq(ad_migrate(f.store, true, NULL, NULL, NULL), AD_OK);
    ck_assert_int_eq(fixture_i64(&f, TABLES), tables);
}
END_TEST

START_TEST(checking_only_says_what_is_missing_and_does_nothing)
{
    int from = -1;
    int to = -1;
    struct ad_errinfo info = { 0 };
    empty();
    ck_assert_int_eq(ad_migrate(f.store, true, &from, &to, &info), AD_ERR_CONFLICT);
    ck_assert_int_eq(from, 0);
    ck_assert_int_gt(to, 1);
    ck_assert_ptr_nonnull(
        strstr(info.msg, "the database has tables of version 0, this program needs "));
    ck_assert_int_eq(fixture_i64(&f, VERSION), 0);
    ck_assert_int_eq(fixture_i64(&f, TABLES), 0);
}
END_TEST

START_TEST(a_step_that_fails_leaves_nothing)
{
    struct ad_errinfo info = { 0 };
    int64_t tables = fixture_i64(&f, TABLES);
    fixture_sql(&f, "PRAGMA user_version = 0; DROP TABLE attiod_meta");
    ck_assert_int_ne(ad_migrate(f.store, false, NULL, NULL, &info), AD_OK);
    ck_assert_ptr_nonnull(strstr(info.msg, "migration to version 1"));
    ck_assert_int_eq(fixture_i64(&f, TABLES), tables - 1);
    ck_assert_int_eq(fixture_i64(&f, VERSION), 0);
}
END_TEST

START_TEST(version_1_becomes_the_current_one_with_its_data)
{
    int from = -1;
    int to = -1;
    struct ad_errinfo info = { 0 };
    empty();
    fixture_sql(&f, version_1);
    enum ad_err err = ad_migrate(f.store, false, &from, &to, &info);
    ck_assert_msg(err == AD_OK, "%s", info.msg);
    ck_assert_int_eq(from, 1);
    ck_assert_int_eq(fixture_i64(&f, VERSION), to);
    ck_assert_int_eq(fixture_i64(&f, "SELECT value FROM attiod_sequence"), 4711);
    ck_assert(
        fixture_text_is(&f, "SELECT secret FROM attiod_webhook WHERE retired_at IS NULL", "s"));
    ck_assert_int_eq(fixture_i64(&f, "SELECT seq FROM attiod_inbox WHERE dedupe = 'k'"), 7);
    ck_assert_int_eq(fixture_i64(&f, "SELECT attempts FROM attiod_attempt WHERE seq = 7"), 3);
    ck_assert_int_eq(fixture_i64(&f, "SELECT phase FROM attiod_sync_run WHERE id = 9"), 4);
    ck_assert(fixture_text_is(&f, "SELECT slug FROM attiod_object", "people"));
    ck_assert_int_eq(fixture_i64(&f, "SELECT count(*) FROM attiod_attribute"), 1);
    ck_assert_int_eq(fixture_i64(&f, "SELECT count(*) FROM pragma_integrity_check"
                                     " WHERE integrity_check = 'ok'"),
                     1);
}
END_TEST

/* Made by either way, a database is the same: as many tables, indexes and columns. */
START_TEST(version_1_migrated_is_what_a_new_database_is)
{
    static const char shape[] =
        "SELECT group_concat(it, ' ') FROM (SELECT s.name || '.' || c.name AS it"
        " FROM sqlite_schema AS s, pragma_table_info(s.name) AS c WHERE s.type = 'table'"
        " AND s.name LIKE 'attiod_%' UNION ALL SELECT name FROM sqlite_schema"
        " WHERE type IN ('index', 'trigger') AND sql IS NOT NULL ORDER BY 1)";
    char want[8192];
    struct ad_sql sql = { .sqlite = shape };
    struct ad_step step = { .sql = &sql };
    struct ad_store_req req = { .steps = &step, .steps_n = 1 };
    ck_assert_int_eq(ad_store_read_now(f.store, &req), AD_OK);
    (void)snprintf(want, sizeof(want), "%.*s", AD_FMT(ad_row(&req.rows, 0)[0].str));
    ad_store_rows_free(&req);
    empty();
    fixture_sql(&f, version_1);
    ck_assert_int_eq(ad_migrate(f.store, false, NULL, NULL, NULL), AD_OK);
    ck_assert(fixture_text_is(&f, shape, want));
}
END_TEST

/* The statements by which a program of version 1 writes; all columns that it does not know must
 * do without a value. */
START_TEST(a_program_of_version_1_still_writes)
{
    int from = -1;
    ck_assert_int_eq(fixture_i64(&f, "SELECT CAST(value AS INTEGER) FROM attiod_meta"
                                     " WHERE key = 'compatible:' || (SELECT user_version FROM"
                                     " pragma_user_version)"),
                     1);
    fixture_sql(
        &f, "INSERT INTO attiod_inbox (dedupe, part, received_at, state, workspace_id, type,"
            " subject, body, reason) VALUES ('k', 0, 1, 0, 'w', 't', 's', '{}', NULL)"
            " ON CONFLICT (dedupe, part) WHERE dedupe IS NOT NULL DO NOTHING;"
            "INSERT INTO attiod_attempt (seq, handler, state, attempts, next_at, error)"
            " VALUES (1, 'h', 1, 1, 1, 'e');"
            "INSERT INTO attiod_webhook (webhook_id, target_url, secret, created_at)"
            " VALUES ('w', 'u', 's', 1);"
            "INSERT INTO attiod_object (object_id, workspace_id, position, slug, singular, plural,"
            " gone) VALUES ('o', 'w', 0, 's', 'p', 'p', 0);"
            "INSERT INTO attiod_attribute (object_id, attribute_id, position, slug, title, type,"
            " multiselect, writable, required, is_unique, archived, system)"
            " VALUES ('o', 'a', 0, 's', 't', 'text', 0, 0, 0, 0, 0, 0);"
            "INSERT INTO attiod_shape (object_id, digest, view, live_view)"
            " VALUES ('o', 'd', 'v', 'l');"
            "INSERT INTO attiod_sync_run (id, object_id, object_slug, phase, key, key_offset,"
            " version, started_at, finished_at, pages, seen, created, updated, unchanged, deleted,"
            " calls, error) VALUES (1, 'o', 's', 1, '', 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, '');"
            "UPDATE attiod_sequence SET value = value + 10 WHERE name = 'version';"
            "INSERT INTO attiod_meta (key, value) VALUES ('workspace_id', 'w')"
            " ON CONFLICT (key) DO UPDATE SET value = excluded.value");
    ck_assert_int_eq(ad_migrate(f.store, false, &from, NULL, NULL), AD_OK);
    ck_assert_int_eq(from, current());
}
END_TEST

START_TEST(newer_tables_are_refused_with_both_versions)
{
    char want[96];
    struct ad_errinfo info = { 0 };
    (void)snprintf(want, sizeof(want),
                   "the database has tables of version 97, this program knows up to %d", current());
    set_version(97);
    ck_assert_int_eq(ad_migrate(f.store, false, NULL, NULL, &info), AD_ERR_CONFLICT);
    ck_assert_str_eq(info.msg, want);
    ck_assert_int_eq(fixture_i64(&f, VERSION), 97);
}
END_TEST

START_TEST(newer_tables_that_say_we_may_run_are_taken)
{
    int from = -1;
    int to = -1;
    char sql[96];
    int now = current();
    (void)snprintf(sql, sizeof(sql), "INSERT INTO attiod_meta VALUES ('compatible:98', '%d')", now);
    fixture_sql(&f, sql);
    set_version(98);
    ck_assert_int_eq(ad_migrate(f.store, false, &from, &to, NULL), AD_OK);
    ck_assert_int_eq(from, 98);
    ck_assert_int_eq(to, 98);
    (void)snprintf(sql, sizeof(sql), "INSERT INTO attiod_meta VALUES ('compatible:99', '%d')",
                   now + 1);
    fixture_sql(&f, sql);
    set_version(99);
    ck_assert_int_eq(ad_migrate(f.store, false, NULL, NULL, NULL), AD_ERR_CONFLICT);
}
END_TEST

START_TEST(no_memory_is_reported_and_the_next_try_succeeds)
{
    int64_t tables = fixture_i64(&f, TABLES);
    empty();
    enum ad_err err = AD_ERR_NOMEM;
    for (size_t n = 0; err == AD_ERR_NOMEM; n = torture_next_of_all(n)) {
        struct ad_errinfo info = { 0 };
        heap_fail(n, 1);
        err = ad_migrate(f.store, false, NULL, NULL, &info);
        heap_fail(0, 0);
        ck_assert_msg(err == AD_OK || err == AD_ERR_NOMEM, "%s: %s", ad_err_name(err), info.msg);
        ck_assert_uint_lt(n, 1000);
    }
    ck_assert_int_eq(fixture_i64(&f, TABLES), tables);
}
END_TEST

static Suite *migrate_suite(void)
{
    const TTest *const tests[] = {
        an_empty_database_gets_all_tables,
        a_current_database_is_left_alone,
        checking_only_says_what_is_missing_and_does_nothing,
        a_step_that_fails_leaves_nothing,
        version_1_becomes_the_current_one_with_its_data,
        version_1_migrated_is_what_a_new_database_is,
        a_program_of_version_1_still_writes,
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
