#include "attio/audit.h"

#include "fixture.h"
#include "support/heap.h"
#include "support/json_assert.h"
#include "support/run.h"

#include <stdio.h>

static struct attio_fixture f;
static struct ad_audit *audit;

#define DAY_MS INT64_C(86400000)

static void open_audit(int64_t keep_ms)
{
    const struct ad_audit_opts opts = { f.store, ad_loop_clock(f.w.loop), keep_ms };
    ck_assert_int_eq(ad_audit_open(&opts, &audit), AD_OK);
}

static void setup(void)
{
    fixture_open(&f);
    open_audit(365 * DAY_MS);
}

static void teardown(void)
{
    ad_audit_close(audit);
    fixture_close(&f);
}

static void on_begun(struct ad_audit_entry *e)
{
    *(bool *)e->data = true;
}

static struct ad_audit_entry begin(const char *actor, const char *action, const char *target)
{
    bool done = false;
    struct ad_audit_entry e = { .actor = ad_str_c(actor),
                                .action = ad_str_c(action),
                                .target = ad_str_c(target),
                                .cb = on_begun,
                                .data = &done };
    enum ad_err err = ad_audit_begin(audit, &e);
    if (err) {
        e.err = err;
        return e;
    }
    ck_assert(!done);
    world_until_true(&f.w, &done);
    return e;
}

static bool nothing_pending(void *ctx)
{
    (void)ctx;
    return ad_store_pending(f.store) == 0;
}

static void flush(void)
{
    world_until(&f.w, nothing_pending, NULL);
}

START_TEST(an_entry_is_durable_before_the_action_and_ended_after_it)
{
    struct ad_audit_entry e = begin("ana", "events.replay", "17");
    ck_assert_int_eq(e.err, AD_OK);
    ck_assert_int_eq(fixture_i64(&f, "SELECT id FROM attiod_audit"), e.id);
    ck_assert(
        fixture_text_is(&f,
                        "SELECT concat FROM (SELECT actor || ' ' || action || ' ' || target ||"
                        " ' ' || outcome AS concat FROM attiod_audit)",
                        "ana events.replay 17 started"));
    ck_assert_int_eq(fixture_i64(&f, "SELECT ended_at IS NULL AND at > 0 FROM attiod_audit"), 1);
    ad_audit_end(audit, &e, "ok", AD_STR_NONE);
    flush();
    ck_assert(fixture_text_is(&f, "SELECT target || ' ' || outcome FROM attiod_audit", "17 ok"));
    ck_assert_int_eq(fixture_i64(&f, "SELECT ended_at >= at FROM attiod_audit"), 1);
}
END_TEST

START_TEST(the_end_may_say_better_what_it_was_about)
{
    struct ad_audit_entry e = begin("ana", "events.replay", NULL);
    ad_audit_end(audit, &e, "not found", AD_STR("state=dead type=record.* dry_run"));
    flush();
    ck_assert(
        fixture_text_is(&f, "SELECT target FROM attiod_audit", "state=dead type=record.* dry_run"));
}
END_TEST

START_TEST(what_could_be_personal_is_not_kept)
{
    static const char *const rows[] = { "ada@example.com", "+1 555 0100", "O'Hara", "(x)",
                                        "caf\xc3\xa9",     "a\nb" };
    char sql[96];
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        struct ad_audit_entry e = begin("ana", "erase", rows[i]);
        (void)snprintf(sql, sizeof(sql), "SELECT target FROM attiod_audit WHERE id = %lld",
                       (long long)e.id);
        ck_assert_msg(fixture_text_is(&f, sql, "?"), "%s", rows[i]);
        ad_audit_end(audit, &e, "ok", ad_str_c(rows[i]));
        flush();
        ck_assert_msg(fixture_text_is(&f, sql, "?"), "%s", rows[i]);
    }
}
END_TEST

START_TEST(a_note_is_begun_and_ended_at_once)
{
    ad_audit_note(audit, AD_STR("signal"), AD_STR("reload"), AD_STR("log.level"), "ok");
    flush();
    ck_assert_int_eq(
        fixture_i64(&f, "SELECT count(*) FROM attiod_audit WHERE actor = 'signal' AND action ="
                        " 'reload' AND target = 'log.level' AND outcome = 'ok' AND ended_at = at"),
        1);
}
END_TEST

START_TEST(old_entries_go_when_new_ones_come)
{
    fixture_sql(&f, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 45)"
                    " INSERT INTO attiod_audit SELECT i, i, 'a', 'b', NULL, 'ok', i FROM n");
    for (int left = 45; left > 0; left = left > 20 ? left - 20 : 0) {
        ck_assert_int_eq(fixture_i64(&f, "SELECT count(*) FROM attiod_audit WHERE at < 100"), left);
        ad_audit_note(audit, AD_STR("a"), AD_STR("b"), AD_STR_NONE, "ok");
        flush();
    }
    ck_assert_int_eq(fixture_i64(&f, "SELECT count(*) FROM attiod_audit WHERE at < 100"), 0);
    ck_assert_int_eq(fixture_i64(&f, "SELECT count(*) FROM attiod_audit"), 3);
}
END_TEST

/* --- Listing ------------------------------------------------------------------------------ */

struct listed {
    struct ad_audit_query q;
    struct ad_buf out;
    bool done;
};

static void on_listed(struct ad_audit_query *q)
{
    *(bool *)q->data = true;
}

static void list(struct listed *a)
{
    ad_buf_init(&a->out, 1U << 20);
    a->done = false;
    a->q.out = &a->out;
    a->q.cb = on_listed;
    a->q.data = &a->done;
    ck_assert_int_eq(ad_audit_list(audit, &a->q), AD_OK);
    ck_assert(!a->done);
    world_until_true(&f.w, &a->done);
}

START_TEST(the_newest_come_first_and_pages_follow)
{
    fixture_sql(
        &f, "INSERT INTO attiod_audit VALUES"
            " (1, 1767225600000000000, 'ana', 'sync.start', 'people', 'ok', 1767225601000000000),"
            " (2, 1767225602000000000, 'bob', 'sync.start', NULL, 'started', NULL),"
            " (3, 1767225603000000000, 'ana', 'reload', '?', 'invalid', 1767225603000000000)");
    struct listed a = { .q = { .limit = 2 } };
    list(&a);
    ck_assert_int_eq(a.q.err, AD_OK);
    ck_assert_int_eq(a.q.next_before, 2);
    json_assert(
        ad_buf_str(&a.out),
        "[{'id': 3, 'at': '2026-01-01T00:00:03.000000000Z', 'actor': 'ana', 'action': 'reload',"
        "'target': '?', 'outcome': 'invalid', 'ended_at': '2026-01-01T00:00:03.000000000Z'},"
        "{'id': 2, 'at': '2026-01-01T00:00:02.000000000Z', 'actor': 'bob', 'action':"
        "'sync.start', 'target': null, 'outcome': 'started', 'ended_at': null}]");
    ad_buf_fini(&a.out);
    a.q = (struct ad_audit_query){ .limit = 2, .before = 2 };
    list(&a);
    ck_assert_int_eq(a.q.next_before, 0);
    ck_assert(ad_str_contains(ad_buf_str(&a.out), AD_STR("\"people\"")));
    ad_buf_fini(&a.out);
    a.q = (struct ad_audit_query){ .actor = AD_STR("ana"), .action = AD_STR("reload") };
    list(&a);
    ck_assert(ad_str_contains(ad_buf_str(&a.out), AD_STR("\"id\":3")));
    ck_assert(!ad_str_contains(ad_buf_str(&a.out), AD_STR("\"id\":1")));
    ad_buf_fini(&a.out);
}
END_TEST

/* --- When it cannot be -------------------------------------------------------------------- */

START_TEST(without_its_table_an_entry_is_an_error)
{
    fixture_sql(&f, "DROP TABLE attiod_audit");
    struct ad_audit_entry e = begin("ana", "reload", NULL);
    ck_assert_int_eq(e.err, AD_ERR_INTERNAL);
    struct listed a = { .done = false };
    list(&a);
    ck_assert_int_eq(a.q.err, AD_ERR_INTERNAL);
    ad_buf_fini(&a.out);
    ad_audit_note(audit, AD_STR("signal"), AD_STR("reload"), AD_STR_NONE, "ok"); /* only logged */
    flush();
}
END_TEST

START_TEST(without_memory_nothing_is_begun)
{
    struct listed a = { .q = { .out = &a.out, .cb = on_listed } };
    struct ad_audit *other;
    const struct ad_audit_opts opts = { f.store, ad_loop_clock(f.w.loop), DAY_MS };
    heap_fail(0, 1000);
    struct ad_audit_entry e = begin("ana", "reload", NULL);
    enum ad_err listed = ad_audit_list(audit, &a.q);
    ad_audit_note(audit, AD_STR("signal"), AD_STR("reload"), AD_STR_NONE, "ok");
    ad_audit_end(audit, &e, "ok", AD_STR_NONE);
    enum ad_err opened = ad_audit_open(&opts, &other);
    heap_fail(0, 0);
    ck_assert_int_eq(e.err, AD_ERR_NOMEM);
    ck_assert_int_eq(listed, AD_ERR_NOMEM);
    ck_assert_int_eq(opened, AD_ERR_NOMEM);
    ck_assert_int_eq(fixture_i64(&f, "SELECT count(*) FROM attiod_audit"), 0);
}
END_TEST

START_TEST(closed_while_an_end_is_on_its_way)
{
    struct ad_audit_entry e = begin("ana", "reload", NULL);
    ad_audit_end(audit, &e, "ok", AD_STR_NONE);
    ad_audit_close(audit);
    flush();
    ck_assert(fixture_text_is(&f, "SELECT outcome FROM attiod_audit", "ok"));
    open_audit(DAY_MS);
}
END_TEST

static Suite *audit_suite(void)
{
    const TTest *const tests[] = {
        an_entry_is_durable_before_the_action_and_ended_after_it,
        the_end_may_say_better_what_it_was_about,
        what_could_be_personal_is_not_kept,
        a_note_is_begun_and_ended_at_once,
        old_entries_go_when_new_ones_come,
        the_newest_come_first_and_pages_follow,
        without_its_table_an_entry_is_an_error,
        without_memory_nothing_is_begun,
        closed_while_an_end_is_on_its_way,
    };
    Suite *suite = suite_create("audit");
    TCase *tcase = tcase_create("audit");
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < AD_LEN(tests); i++) {
        tcase_add_test(tcase, tests[i]);
    }
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITE(audit_suite)
