#include "attio/mirror.h"

#include "mirror_fixture.h"
#include "support/run.h"
#include "support/sqlite_heap.h"
#include "support/torture.h"

#include <stdio.h>

/* --- Rows --- */

START_TEST(records_become_rows_under_their_names)
{
    struct ad_mirror_op op = apply(7, PAGE(RECORD(R(1), "Boss") "," RECORD(R(2), "Cook")));
    ck_assert_uint_eq(op.seen, 2);
    assert_counts(op, 2, 0, 0, 0);
    assert_text("SELECT group_concat(record_id || job_title) FROM people ORDER BY record_id",
                R(1) "Boss," R(2) "Cook");
    assert_text("SELECT _raw FROM people_live WHERE record_id = '" R(1) "'", RECORD(R(1), "Boss"));
    assert_text("SELECT created_at FROM people LIMIT 1", "2026-01-01T00:00:00.000000001Z");
    assert_text("SELECT _workspace_id FROM people LIMIT 1", WS);
    assert_text("SELECT _synced_at FROM people LIMIT 1", "2026-01-01T00:00:00.000Z");
    ck_assert_int_eq(fixture_i64(&f, "SELECT max(_version) FROM people"), 7);
    ck_assert_int_eq(fixture_i64(&f, "SELECT count(*) FROM people WHERE _deleted_at IS NULL"
                                     " AND _accurate_at IS NULL"),
                     2);
}
END_TEST

START_TEST(one_record_alone_is_an_answer_too)
{
    assert_counts(apply(1, "{\"data\":" RECORD(R(1), "Boss") "}"), 1, 0, 0, 0);
    assert_counts(apply(2, "{\"data\":[]}"), 0, 0, 0, 0);
    assert_text("SELECT job_title FROM people", "Boss");
}
END_TEST

START_TEST(unchanged_records_cost_no_write)
{
    apply(1, PAGE(RECORD(R(1), "Boss") "," RECORD(R(2), "Cook")));
    int64_t before = fixture_i64(&f, "SELECT sum(_version) FROM people");
    assert_counts(
        apply(2, PAGE(RECORD(R(1), "Boss") "," RECORD(R(2), "Chef") "," RECORD(R(3), "x"))), 1, 1,
        1, 0);
    ck_assert_int_eq(fixture_i64(&f, "SELECT sum(_version) FROM people"), before + 1 + 2);
    assert_text("SELECT group_concat(job_title) FROM (SELECT * FROM people ORDER BY record_id)",
                "Boss,Chef,x");
}
END_TEST

START_TEST(an_older_answer_after_a_newer_one_is_stale)
{
    apply(5, PAGE(RECORD(R(1), "new")));
    assert_counts(apply(4, PAGE(RECORD(R(1), "old"))), 0, 0, 0, 1);
    assert_counts(apply(5, PAGE(RECORD(R(1), "same version"))), 0, 0, 0, 1);
    assert_text("SELECT job_title FROM people", "new");
}
END_TEST

START_TEST(an_older_answer_after_one_that_showed_nothing_new_is_stale)
{
    apply(1, PAGE(RECORD(R(1), "a") "," RECORD(R(2), "a")));
    assert_counts(apply(5, PAGE(RECORD(R(1), "a"))), 0, 0, 1, 0);
    /* sent before version 5, arrives after it: what it says of R(1) is past, of R(2) it is news */
    assert_counts(apply(4, PAGE(RECORD(R(1), "b") "," RECORD(R(2), "b"))), 0, 1, 0, 1);
    assert_counts(delete_at(3, R(1)), 0, 0, 0, 1);
    assert_counts(apply(6, PAGE(RECORD(R(1), "c"))), 0, 1, 0, 0);
    assert_text("SELECT group_concat(job_title) FROM (SELECT * FROM people_live ORDER BY 1)",
                "c,b");
}
END_TEST

START_TEST(what_can_no_longer_be_late_is_forgotten)
{
    late_ms = 1000;
    reopen();
    apply(1, PAGE(RECORD(R(1), "a")));
    apply(5, PAGE(RECORD(R(1), "a")));
    world_advance(&f.w, 1001);
    assert_counts(apply(7, PAGE(RECORD(R(2), "a"))), 1, 0, 0, 0);
    assert_counts(apply(4, PAGE(RECORD(R(1), "b"))), 0, 1, 0, 0);
}
END_TEST

static enum ad_err late(int64_t version, const char *text)
{
    struct ad_mirror_op op = { .bulk = false };
    bool done;
    prepare(&op, version, &done);
    enum ad_err err = ad_mirror_apply(m, &op, ad_str_c(text));
    if (!err) { /* others are before it */
        world_until_true(&f.w, &done);
    }
    return err ? err : op.err;
}

START_TEST(what_is_remembered_has_a_bound_and_what_is_older_is_refused)
{
    unchanged_max = 2;
    reopen();
    const char *both = PAGE(RECORD(R(1), "a") "," RECORD(R(2), "a"));
    apply(1, both);
    apply(5, both);
    apply(6, both);
    apply(8, both); /* 5 and 6 are forgotten by what was shown since, 8 is not */
    apply(9, PAGE(RECORD(R(3), "a")));
    ck_assert_int_eq(late(4, PAGE(RECORD(R(1), "b"))), AD_ERR_BUSY);
    ck_assert_int_eq(late(5, PAGE(RECORD(R(1), "b"))), AD_ERR_BUSY);
    assert_counts(apply(7, PAGE(RECORD(R(1), "b"))), 0, 0, 0, 1);
    assert_text("SELECT job_title FROM people WHERE record_id = '" R(1) "'", "a");
    assert_counts(apply(10, PAGE(RECORD(R(1), "b"))), 0, 1, 0, 0);
}
END_TEST

/* A tombstone of a record that was never seen has no creation time, so a page's interval does not show
 * it. */
START_TEST(a_page_meets_rows_that_its_interval_does_not_show)
{
    delete_at(2, R(1));
    delete_at(8, R(2));
    assert_counts(apply(5, PAGE(RECORD(R(1), "a") "," RECORD(R(2), "a") "," RECORD(R(3), "a"))), 1,
                  1, 0, 1);
    assert_text("SELECT group_concat(record_id) FROM (SELECT * FROM people_live ORDER BY 1)",
                R(1) "," R(3));
}
END_TEST

START_TEST(an_answer_of_an_older_state_is_stale)
{
    apply_at(1, 1000, PAGE(RECORD(R(1), "a")));
    assert_counts(apply_at(2, 999, PAGE(RECORD(R(1), "b"))), 0, 0, 0, 1);
    assert_counts(apply_at(3, 1000, PAGE(RECORD(R(1), "c"))), 0, 1, 0, 0);
    assert_counts(apply_at(4, 2000, PAGE(RECORD(R(1), "c"))), 0, 0, 1, 0);
    assert_counts(apply_at(5, 1500, PAGE(RECORD(R(1), "b"))), 0, 0, 0, 1); /* a lagging replica */
    assert_counts(apply_at(6, 0, PAGE(RECORD(R(1), "d"))), 0, 1, 0, 0);
    assert_counts(apply_at(7, 1, PAGE(RECORD(R(1), "e"))), 0, 0, 0, 1);
    assert_text("SELECT job_title FROM people", "d");
    assert_text("SELECT coalesce(_accurate_at, 'none') FROM people", "none");
}
END_TEST

START_TEST(a_tombstone_keeps_its_version)
{
    apply(1, PAGE(RECORD(R(1), "a")));
    assert_counts(delete_at(5, R(1)), 0, 1, 0, 0);
    assert_counts(apply(4, PAGE(RECORD(R(1), "a"))), 0, 0, 0, 1);
    ck_assert_int_eq(fixture_i64(&f, "SELECT count(*) FROM people_live"), 0);
    ck_assert_int_eq(fixture_i64(&f, "SELECT count(*) FROM people WHERE _deleted_at NOT NULL"), 1);
    assert_counts(delete_at(8, R(1)), 0, 1, 0, 0);
    assert_counts(apply(7, PAGE(RECORD(R(1), "b"))), 0, 0, 0, 1);
    assert_counts(apply(9, PAGE(RECORD(R(1), "a"))), 0, 1, 0, 0); /* restored, content as before */
    ck_assert_int_eq(fixture_i64(&f, "SELECT count(*) FROM people_live"), 1);
}
END_TEST

START_TEST(an_unknown_record_gets_a_tombstone_too)
{
    assert_counts(delete_at(5, R(1)), 0, 1, 0, 0);
    assert_counts(apply(4, PAGE(RECORD(R(1), "a"))), 0, 0, 0, 1);
    assert_counts(delete_at(4, R(1)), 0, 0, 0, 1);
    assert_counts(apply(6, PAGE(RECORD(R(1), "a"))), 0, 1, 0, 0);
    assert_text("SELECT job_title FROM people_live", "a");
}
END_TEST

START_TEST(a_record_listed_twice_counts_once)
{
    assert_counts(apply(1, PAGE(RECORD(R(1), "a") "," RECORD(R(1), "b"))), 1, 0, 0, 1);
    assert_text("SELECT job_title FROM people", "a");
}
END_TEST

static unsigned calls;
static char last_id[40], last_created_at[40];

static void on_record(struct ad_mirror_op *op, struct ad_str record_id, struct ad_str created_at)
{
    (void)op;
    calls++;
    (void)snprintf(last_id, sizeof(last_id), "%.*s", AD_FMT(record_id));
    (void)snprintf(last_created_at, sizeof(last_created_at), "%.*s", AD_FMT(created_at));
}

START_TEST(each_record_is_told_before_it_is_queued)
{
    struct ad_mirror_op op = { .on_record = on_record };
    calls = 0;
    apply_op(&op, 1, PAGE(RECORD(R(1), "a") "," RECORD(R(2), "b")));
    ck_assert_uint_eq(calls, 2);
    ck_assert_str_eq(last_id, R(2));
    ck_assert_str_eq(last_created_at, "2026-01-01T00:00:00.000000001Z");
}
END_TEST

START_TEST(an_answer_that_is_none_changes_nothing)
{
    static const char *const rows[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"data\":7}",
        "{\"data\":null}",
        PAGE("7"),
        PAGE("{}"),
        PAGE("{\"id\":{\"record_id\":\"x\"}}"),
        PAGE(RECORD(R(1), "a") ",{\"id\":{}}"),
        PAGE(RECORD(R(1), "a")) "]",
        "{\"data\":[" RECORD(R(1), "a"),
    };
    calls = 0;
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        struct ad_mirror_op op = { .on_record = on_record };
        bool done;
        prepare(&op, 1, &done);
        ck_assert_int_eq(ad_mirror_apply(m, &op, ad_str_c(rows[i])), AD_ERR_PARSE);
    }
    ck_assert_uint_eq(calls, 0);
    struct ad_mirror_op op = { .object = the_object() };
    ck_assert_int_eq(ad_mirror_apply(m, &op, AD_STR(PAGE())), AD_ERR_INVALID);
    op.version = 1;
    ck_assert_int_eq(ad_mirror_delete(m, &op, NULL, 0), AD_ERR_INVALID);
    op.workspace_id = AD_STR(WS);
    struct ad_str bad = AD_STR("x");
    ck_assert_int_eq(ad_mirror_delete(m, &op, &bad, 1), AD_ERR_INVALID);
    ck_assert_int_eq(ad_mirror_settle(m, &op), AD_ERR_INVALID);
}
END_TEST

static char *big_page(unsigned n, const char *title)
{
    struct ad_buf b;
    ad_buf_init(&b, (size_t)64 << 20);
    ad_buf_put(&b, AD_STR("{\"data\":["));
    for (unsigned i = 0; i < n; i++) {
        ad_buf_fmt(&b,
                   "%s{\"id\":{\"record_id\":\"10000000-0000-4000-8000-%012u\"},\"created_at\":"
                   "\"2026-01-01T00:00:%02u.000000000Z\",\"values\":{\"job_title\":[{\"value\":"
                   "\"%s%u\"}]}}",
                   i ? "," : "", i, i % 60, title, i);
    }
    ad_buf_put(&b, AD_STR("]}"));
    char *text = strndup(ad_buf_str(&b).p, ad_buf_len(&b));
    ad_buf_fini(&b);
    return text;
}

START_TEST(a_page_comes_in_chunks_and_is_counted_as_one)
{
    char *first = big_page(1234, "a");
    char *second = big_page(1300, "a");
    char *third = big_page(1300, "b");
    assert_counts(apply(1, first), 1234, 0, 0, 0);
    assert_counts(apply(2, second), 66, 0, 1234, 0);
    assert_counts(apply(3, third), 0, 1300, 0, 0);
    ck_assert_int_eq(fixture_i64(&f, "SELECT count(*) FROM people WHERE job_title LIKE 'b%'"),
                     1300);
    free(first);
    free(second);
    free(third);
}
END_TEST

START_TEST(rows_much_larger_than_the_answer_are_read_in_smaller_pieces)
{
    char *page = big_page(40, "a");
    apply(1, page);
    fixture_sql(&f, "UPDATE " O_TABLE " SET _raw = printf('%1000000d', 1)");
    assert_counts(apply(2, page), 0, 40, 0, 0);
    free(page);
}
END_TEST

/* --- Events --- */

static void events(void)
{
    fixture_sql(&f, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4)"
                    " INSERT INTO attiod_inbox (part, received_at, state, type, subject, body)"
                    " SELECT 0, 1, i = 2, 'x.y', 's', '{}' FROM n");
    ad_inbox_note_done(in, -4);
}

#define DONE "SELECT group_concat(seq) FROM (SELECT seq FROM attiod_inbox WHERE state = 3)"

START_TEST(events_are_done_with_the_rows_that_complete_them)
{
    events();
    struct ad_mirror_op op = { .done = (int64_t[]){ 1, 2 }, .done_n = 2 };
    apply_op(&op, 1, PAGE(RECORD(R(1), "a")));
    assert_text(DONE, "1,2");
    ck_assert_int_eq(ad_inbox_pending(in), 2);
    struct ad_mirror_op again = { .done = (int64_t[]){ 3 }, .done_n = 1 };
    apply_op(&again, 2, PAGE(RECORD(R(1), "a"))); /* nothing to write */
    assert_text(DONE, "1,2,3");
    struct ad_mirror_op none = { .done = (int64_t[]){ 3, 4 }, .done_n = 2 };
    apply_op(&none, 3, PAGE());
    assert_text(DONE, "1,2,3,4");
    ck_assert_int_eq(ad_inbox_pending(in), 0);
}
END_TEST

START_TEST(events_without_rows_are_settled_alone)
{
    events();
    bool done;
    struct ad_mirror_op op = { .done = (int64_t[]){ 1, 4 }, .done_n = 2 };
    prepare(&op, 0, &done);
    op.object = NULL;
    ck_assert_int_eq(ad_mirror_settle(m, &op), AD_OK);
    ck_assert(!done);
    world_until_true(&f.w, &done);
    ck_assert_int_eq(op.err, AD_OK);
    assert_text(DONE, "1,4");
    ck_assert_int_eq(ad_inbox_pending(in), 2);
}
END_TEST

START_TEST(a_delete_settles_too)
{
    events();
    bool done;
    struct ad_mirror_op op = { .done = (int64_t[]){ 1 }, .done_n = 1 };
    struct ad_str ids[] = { AD_STR(R(1)), AD_STR(R(2)) };
    prepare(&op, 1, &done);
    ck_assert_int_eq(ad_mirror_delete(m, &op, ids, 2), AD_OK);
    world_until_true(&f.w, &done);
    ck_assert_uint_eq(op.updated, 2);
    assert_text(DONE, "1");
}
END_TEST

START_TEST(operations_on_one_object_keep_their_order)
{
    struct ad_mirror_op ops[20] = { { .version = 0 } };
    bool done[20];
    for (int i = 0; i < 20; i++) {
        char title[16];
        char text[600];
        (void)snprintf(title, sizeof(title), "t%d", i);
        (void)snprintf(text, sizeof(text),
                       "{\"data\":[{\"id\":{\"record_id\":\"" R(1) "\"},\"values\":{\"job_title\":"
                                                                   "[{\"value\":\"%s\"}]}}]}",
                       title);
        prepare(&ops[i], i + 1, &done[i]);
        ops[i].bulk = i % 2;
        ck_assert_int_eq(ad_mirror_apply(m, &ops[i], ad_str_c(text)), AD_OK);
    }
    world_until_true(&f.w, &done[19]);
    for (int i = 0; i < 20; i++) {
        ck_assert(done[i]);
        ck_assert_uint_eq(i ? ops[i].updated : ops[i].created, 1);
    }
    assert_text("SELECT job_title FROM people", "t19");
}
END_TEST

/* --- Types --- */

START_TEST(values_of_unexpected_kinds_are_kept_as_text)
{
    attribute(O, ATTR(11), 11, "number", "number", false, false);
    attribute(O, ATTR(12), 12, "place", "location", false, false);
    attribute(O, ATTR(13), 13, "tags", "select", true, false);
    reopen();
    apply(1, "{\"data\":{\"id\":{\"record_id\":\"" R(
                 1) "\"},\"values\":{\"job_title\":[{\"value\":{\"a\":1}}],\"number\":[{\"value\":"
                    "\"n/a\"}],\"place\":[7],\"tags\":{\"not\":\"a list\"}}}}");
    assert_text("SELECT job_title FROM people", "{\"a\":1}");
    assert_text("SELECT typeof(number) || number FROM people", "textn/a");
    assert_text("SELECT (place ->> 'locality' IS NULL) || (tags IS NULL) FROM people", "11");
}
END_TEST

/* --- Generations --- */

START_TEST(table_and_views_follow_the_schema)
{
    apply(1, PAGE(RECORD(R(1), "a")));
    attribute(O, ATTR(01), 1, "role", "text", false, false); /* renamed */
    attribute(O, ATTR(02), 2, "score", "number", false, false);
    reopen();
    apply(2, "{\"data\":{\"id\":{\"record_id\":\"" R(
                 2) "\"},\"values\":{\"role\":[{\"value\":\"b\"}],\"score\":[{\"value\":3}]}}}");
    assert_text("SELECT group_concat(role || coalesce(score, '-')) FROM people", "a-,b3");
    attribute(O, ATTR(01), 1, "role", "text", false, true); /* archived */
    reopen();
    apply(3, "{\"data\":{\"id\":{\"record_id\":\"" R(
                 3) "\"},\"values\":{\"score\":[{\"value\":4}]}}}");
    ck_assert_int_eq(
        fixture_i64(&f, "SELECT count(*) FROM pragma_table_info('people') WHERE name = 'role'"), 0);
    ck_assert_int_eq(fixture_i64(&f, "SELECT count(*) FROM " O_TABLE " WHERE " COL(01) " NOT NULL"),
                     2);
    attribute(O, ATTR(01), 1, "role", "text", false, false); /* restored */
    reopen();
    apply(4,
          "{\"data\":{\"id\":{\"record_id\":\"" R(3) "\"},\"values\":{\"role\":[{\"value\":\"c\"}],"
                                                     "\"score\":[{\"value\":4}]}}}");
    assert_text("SELECT group_concat(role || coalesce(score, '-')) FROM people", "a-,b3,c4");
}
END_TEST

START_TEST(a_slug_that_moves_to_another_object_takes_its_view_along)
{
    apply(1, PAGE(RECORD(R(1), "first")));
    object(O, 0, "persons");
    object(O2, 1, "people");
    attribute(O2, ATTR(21), 1, "job_title", "text", false, false);
    reopen();
    struct ad_mirror_op op = { .object = ad_schema_object(schema, AD_STR(O2)) };
    apply_op(&op, 2, PAGE(RECORD(R(2), "second")));
    apply(3, PAGE(RECORD(R(3), "third")));
    assert_text("SELECT group_concat(job_title) FROM people", "second");
    assert_text("SELECT group_concat(job_title) FROM persons_live", "first,third");
}
END_TEST

START_TEST(a_database_in_shape_is_left_alone)
{
    apply(1, PAGE(RECORD(R(1), "a")));
    int64_t before = fixture_i64(&f, "PRAGMA schema_version");
    uint64_t shapes = ad_metric_counter(f.metrics, "attiod_mirror_shapes_total", NULL, "")->v;
    reopen();
    apply(2, PAGE(RECORD(R(1), "b")));
    ck_assert_int_eq(fixture_i64(&f, "PRAGMA schema_version"), before);
    ck_assert_uint_eq(ad_metric_counter(f.metrics, "attiod_mirror_shapes_total", NULL, "")->v,
                      shapes);
}
END_TEST

/* --- Scan and count --- */

static char found[400];

static void on_scan(struct ad_mirror_scan *s)
{
    found[0] = '\0';
    for (size_t i = 0; i < s->ids_n; i++) {
        size_t at = strlen(found);
        (void)snprintf(found + at, sizeof(found) - at, "%c", s->ids[i].p[s->ids[i].n - 1]);
    }
    *(bool *)s->data = true;
}

static struct ad_mirror_scan scan(struct ad_mirror_scan s)
{
    bool done = false;
    s.object = the_object();
    s.workspace_id = AD_STR(WS);
    s.cb = on_scan;
    s.data = &done;
    ck_assert_int_eq(ad_mirror_scan(m, &s), AD_OK);
    ck_assert(!done);
    world_until_true(&f.w, &done);
    ck_assert_msg(s.err == AD_OK, "%s", s.info.msg);
    return s;
}

START_TEST(candidates_for_deletion_are_found)
{
    char *page = big_page(6, "a"); /* created at second 0 to 5 */
    apply(1, page);
    free(page);
    apply(3, "{\"data\":{\"id\":{\"record_id\":\"10000000-0000-4000-8000-000000000002\"},"
             "\"created_at\":\"2026-01-01T00:00:02.000000000Z\",\"values\":{}}}");
    delete_at(2, "10000000-0000-4000-8000-000000000004");
    scan((struct ad_mirror_scan){ .version = 3, .max = 10 });
    ck_assert_str_eq(found, "0135");
    struct ad_mirror_scan s = scan((struct ad_mirror_scan){ .version = 3, .max = 2 });
    ck_assert_str_eq(found, "01");
    ck_assert(s.more);
    s = scan((struct ad_mirror_scan){
        .version = 3, .max = 2, .after = AD_STR("10000000-0000-4000-8000-000000000001") });
    ck_assert_str_eq(found, "35");
    ck_assert(!s.more);
    scan((struct ad_mirror_scan){ .version = 9,
                                  .max = 9,
                                  .from = AD_STR("2026-01-01T00:00:01Z"),
                                  .to = AD_STR("2026-01-01T00:00:03Z") });
    ck_assert_str_eq(found, "12");
    scan((struct ad_mirror_scan){ .version = 9, .max = 9, .to = AD_STR("2026-01-01T00:00:01Z") });
    ck_assert_str_eq(found, "0");
    struct ad_mirror_scan bad = {
        .object = the_object(), .max = 1, .workspace_id = AD_STR(WS), .from = AD_STR("x")
    };
    ck_assert_int_eq(ad_mirror_scan(m, &bad), AD_ERR_INVALID);
}
END_TEST

static void on_pruned(struct ad_mirror_prune *p)
{
    *(bool *)p->data = true;
}

static int64_t prune(int64_t before_ns, unsigned max)
{
    bool done = false;
    struct ad_mirror_prune p = {
        .object = the_object(), .before_ns = before_ns, .max = max, .cb = on_pruned, .data = &done
    };
    ck_assert_int_eq(ad_mirror_prune(m, &p), AD_OK);
    ck_assert(!done);
    world_until_true(&f.w, &done);
    ck_assert_msg(p.err == AD_OK, "%s", p.info.msg);
    return p.removed;
}

START_TEST(old_tombstones_are_pruned_a_piece_at_a_time_and_nothing_else)
{
    char *page = big_page(6, "a");
    int64_t day = 86400 * AD_NS_PER_S;
    apply(1, page);
    free(page);
    for (unsigned i = 0; i < 3; i++) {
        char id[] = "10000000-0000-4000-8000-000000000000";
        id[sizeof(id) - 2] = (char)('0' + i);
        delete_at(2 + i, id);
    }
    fixture_sql(&f, "DELETE FROM attiod_change"); /* its pruning has a test of its own */
    int64_t now = ad_wall_ns(&f.w.clock.clock);
    ck_assert_int_eq(prune(now - day, 10), 0);
    ck_assert_int_eq(prune(now + day, 2), 2);
    ck_assert_int_eq(prune(now + day, 2), 1);
    ck_assert_int_eq(fixture_i64(&f, "SELECT count(*) FROM people"), 3);
    ck_assert_int_eq(fixture_i64(&f, "SELECT count(*) FROM people_live"), 3);
    struct ad_mirror_prune bad = { .object = the_object() };
    ck_assert_int_eq(ad_mirror_prune(m, &bad), AD_ERR_INVALID);
}
END_TEST

static void setup_failing_memory(void)
{
    sqlite_heap_install();
    mirror_setup();
}

START_TEST(without_memory_pruning_takes_nothing_and_the_next_takes_it)
{
    int64_t later = ad_wall_ns(&f.w.clock.clock) + 86400 * AD_NS_PER_S;
    int64_t version = 1;
    bool failed = true;
    for (size_t n = 0; failed; n = memory_next(_i, n)) {
        bool done = false;
        struct ad_mirror_prune p = {
            .object = the_object(), .before_ns = later, .max = 100, .cb = on_pruned, .data = &done
        };
        apply(version++, PAGE(RECORD(R(1), "a") "," RECORD(R(2), "b")));
        delete_at(version++, R(2));
        memory_fail(_i, n);
        enum ad_err err = ad_mirror_prune(m, &p);
        if (!err) {
            world_until_true(&f.w, &done);
            err = p.err;
        }
        failed = memory_back();
        ck_assert_msg(err == AD_OK || (failed && err == AD_ERR_NOMEM), "%zu: %s: %s", n,
                      ad_err_name(err), p.info.msg);
        ck_assert_int_eq(fixture_i64(&f, "SELECT count(*) FROM people"), err ? 2 : 1);
        if (err) {
            ck_assert_int_gt(prune(later, 100), 0);
        }
        ck_assert_int_eq(fixture_i64(&f, "SELECT count(*) FROM people"), 1);
        ck_assert_int_eq(fixture_i64(&f, "SELECT count(*) FROM attiod_change"), 1);
    }
}
END_TEST

static void on_count(struct ad_mirror_count *c)
{
    *(bool *)c->data = true;
}

START_TEST(rows_are_counted)
{
    bool done = false;
    struct ad_mirror_count c = { .object = the_object(), .cb = on_count, .data = &done };
    ck_assert_int_eq(ad_mirror_count(m, &c), AD_OK); /* makes the table, too */
    world_until_true(&f.w, &done);
    ck_assert_int_eq(c.live + c.deleted, 0);
    apply(1, PAGE(RECORD(R(1), "a") "," RECORD(R(2), "b") "," RECORD(R(3), "c")));
    delete_at(2, R(2));
    done = false;
    ck_assert_int_eq(ad_mirror_count(m, &c), AD_OK);
    world_until_true(&f.w, &done);
    ck_assert_int_eq(c.live, 2);
    ck_assert_int_eq(c.deleted, 1);
}
END_TEST

/* --- Trouble --- */

START_TEST(an_operation_that_fails_lets_the_next_ones_run)
{
    fixture_sql(&f, "CREATE TABLE " O_TABLE " (x)"); /* somebody else's table under our name */
    struct ad_mirror_op ops[3] = { { .version = 0 } };
    bool done[3];
    for (int i = 0; i < 3; i++) {
        prepare(&ops[i], i + 1, &done[i]);
        ck_assert_int_eq(ad_mirror_apply(m, &ops[i], AD_STR(PAGE(RECORD(R(1), "a")))), AD_OK);
    }
    world_until_true(&f.w, &done[2]);
    for (int i = 0; i < 3; i++) {
        ck_assert(done[i]);
        ck_assert_int_ne(ops[i].err, AD_OK);
    }
    fixture_sql(&f, "DROP VIEW IF EXISTS people_live; DROP VIEW IF EXISTS people;"
                    "DROP TABLE " O_TABLE "; DELETE FROM attiod_shape");
    reopen();
    assert_counts(apply(4, PAGE(RECORD(R(1), "a"))), 1, 0, 0, 0);
}
END_TEST

START_TEST(no_memory_is_reported_and_the_same_answer_can_be_applied_again)
{
    attribute(O, ATTR(21), 2, "tags", "select", true, false);
    events();
    int64_t version = 1;
    bool clean = false;
    for (size_t n = 0; !clean; n = torture_next_of_all(n)) {
        struct ad_mirror_op op = { .done = (int64_t[]){ 1 }, .done_n = 1 };
        bool done;
        reopen(); /* a new shape each time */
        fixture_sql(&f, "DELETE FROM attiod_shape");
        prepare(&op, version++, &done);
        heap_fail(n, 1);
        enum ad_err err = ad_mirror_apply(
            m, &op,
            AD_STR("{\"data\":[{\"id\":{\"record_id\":\"" R(
                1) "\"},\"values\":{\"tags\":[{\"option\":{\"title\":\"A\"}}]}}]}"));
        if (err == AD_OK) {
            world_until_true(&f.w, &done);
            err = op.err;
        }
        clean = !heap_failed();
        heap_fail(0, 0);
        ck_assert_msg(err == AD_OK || err == AD_ERR_NOMEM, "%zu: %s %s", n, ad_err_name(err),
                      op.info.msg);
        ck_assert_uint_lt(n, 2000);
    }
    assert_text("SELECT tags FROM people", "[\"A\"]");
    assert_text(DONE, "1");
    ck_assert_int_eq(ad_inbox_pending(in), 3);
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *const *tests, size_t n)
{
    TCase *tcase = tcase_create(name);
    tcase_add_checked_fixture(tcase, mirror_setup, mirror_teardown);
    tcase_set_timeout(tcase, 20);
    for (size_t i = 0; i < n; i++) {
        tcase_add_test(tcase, tests[i]);
    }
    suite_add_tcase(suite, tcase);
}

static Suite *mirror_suite(void)
{
    const TTest *const rows[] = {
        records_become_rows_under_their_names,
        one_record_alone_is_an_answer_too,
        unchanged_records_cost_no_write,
        an_older_answer_after_a_newer_one_is_stale,
        an_older_answer_after_one_that_showed_nothing_new_is_stale,
        what_can_no_longer_be_late_is_forgotten,
        what_is_remembered_has_a_bound_and_what_is_older_is_refused,
        a_page_meets_rows_that_its_interval_does_not_show,
        an_answer_of_an_older_state_is_stale,
        a_tombstone_keeps_its_version,
        an_unknown_record_gets_a_tombstone_too,
        a_record_listed_twice_counts_once,
        each_record_is_told_before_it_is_queued,
        an_answer_that_is_none_changes_nothing,
        a_page_comes_in_chunks_and_is_counted_as_one,
        rows_much_larger_than_the_answer_are_read_in_smaller_pieces,
    };
    const TTest *const settling[] = {
        events_are_done_with_the_rows_that_complete_them,
        events_without_rows_are_settled_alone,
        a_delete_settles_too,
        operations_on_one_object_keep_their_order,
    };
    const TTest *const shapes[] = {
        values_of_unexpected_kinds_are_kept_as_text,
        table_and_views_follow_the_schema,
        a_slug_that_moves_to_another_object_takes_its_view_along,
        a_database_in_shape_is_left_alone,
    };
    const TTest *const others[] = {
        candidates_for_deletion_are_found,
        old_tombstones_are_pruned_a_piece_at_a_time_and_nothing_else,
        rows_are_counted,
        an_operation_that_fails_lets_the_next_ones_run,
        no_memory_is_reported_and_the_same_answer_can_be_applied_again,
    };
    Suite *suite = suite_create("mirror");
    add(suite, "rows", rows, AD_LEN(rows));
    add(suite, "settling", settling, AD_LEN(settling));
    add(suite, "shapes", shapes, AD_LEN(shapes));
    add(suite, "others", others, AD_LEN(others));
    TCase *memory = tcase_create("prune without memory");
    tcase_add_checked_fixture(memory, setup_failing_memory, mirror_teardown);
    tcase_add_loop_test(memory, without_memory_pruning_takes_nothing_and_the_next_takes_it, 0,
                        MEMORY_KINDS);
    suite_add_tcase(suite, memory);
    return suite;
}

RUN_SUITE(mirror_suite)
