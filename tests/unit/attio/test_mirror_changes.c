#include "attio/changes.h"

#include "base/json.h"
#include "base/rand.h"
#include "mirror_fixture.h"
#include "support/run.h"
#include "support/torture.h"

#include <stdio.h>
#include <string.h>

static struct ad_buf out;
static struct ad_arena arena;

static void setup(void)
{
    mirror_setup();
    ad_buf_init(&out, (size_t)16 << 20);
    ad_arena_init(&arena, (size_t)64 << 20);
    attribute(O, ATTR(02), 2, "n", "number", false, false);
    attribute(O, ATTR(03), 3, "tags", "select", true, false);
    attribute(O, ATTR(04), 4, "done", "checkbox", false, false);
    attribute(O, ATTR(05), 5, "name", "personal-name", false, false);
    attribute(O, ATTR(06), 6, "stage", "status", false, false);
    reopen();
}

static void teardown(void)
{
    ad_buf_fini(&out);
    ad_arena_fini(&arena);
    mirror_teardown();
}

static void on_listed(struct ad_changes_list *l)
{
    *(bool *)l->data = true;
}

static struct ad_changes_list changes(int64_t after, unsigned max, const struct ad_object *o)
{
    bool done = false;
    struct ad_changes_list l = {
        .after = after, .max = max, .object = o, .out = &out, .cb = on_listed, .data = &done
    };
    ad_buf_clear(&out);
    ck_assert_int_eq(ad_changes_list(m, &l), AD_OK);
    ck_assert(!done);
    world_until_true(&f.w, &done);
    return l;
}

static const struct ad_json *parsed(void)
{
    const struct ad_json *doc;
    ad_arena_reset(&arena);
    ck_assert_int_eq(ad_json_parse(&arena, ad_buf_str(&out), NULL, &doc, NULL), AD_OK);
    return doc;
}

/* All of it, each without seq, ids and time: "[{change...}]". */
static void assert_feed(int64_t after, const char *want)
{
    struct ad_changes_list l = changes(after, 500, NULL);
    ck_assert_int_eq(l.err, AD_OK);
    ck_assert(!l.more);
    ck_assert_int_eq(l.last, l.latest);
    struct ad_buf b;
    ad_buf_init(&b, 1 << 20);
    AD_JSON_FOREACH (e, parsed()) {
        const struct ad_json *values = ad_json_get(e, "values");
        const struct ad_json *fields = ad_json_get(e, "fields");
        const struct ad_json *merged = ad_json_get(e, "merged_into");
        struct ad_str id = ad_json_str(ad_json_get(e, "id"));
        ad_buf_fmt(&b, "%.*s %c", AD_FMT(ad_json_str(ad_json_get(e, "change"))), id.p[id.n - 1]);
        const struct ad_json *more = values ? values : fields ? fields : merged;
        if (more) {
            ad_buf_fmt(&b, " %.*s", AD_FMT(more->raw));
        }
        ad_buf_putc(&b, '\n');
    }
    ad_buf_putc(&b, '\0');
    ck_assert_str_eq(ad_buf_str(&b).p, want);
    ad_buf_fini(&b);
}

#define ROW(id, values) "{\"id\":{\"record_id\":\"" id "\"},\"values\":{" values "}}"
#define TITLE(t) "\"job_title\":[{\"value\":\"" t "\"}]"

START_TEST(each_change_makes_one_entry_and_none_makes_none)
{
    assert_feed(0, "");
    apply(1, PAGE(ROW(R(1), TITLE("a")) "," ROW(R(2), "")));
    apply(2, PAGE(ROW(R(1), TITLE("a"))));
    assert_feed(0, "ADDED 1 {\"job_title\":\"a\"}\nADDED 2 {}\n");
    int64_t last = changes(-1, 1, NULL).latest;
    apply(3, PAGE(ROW(R(1), TITLE("b"))));
    apply(4, PAGE(ROW(R(1), TITLE("b") ",\"unknown\":[{\"value\":1}]"))); /* _raw differs only */
    apply(2, PAGE(ROW(R(1), TITLE("stale"))));
    assert_feed(last, "UPDATED 1 {\"job_title\":{\"old\":\"a\",\"new\":\"b\"}}\n");
    delete_at(5, R(1));
    delete_at(6, R(1));
    delete_at(6, R(3)); /* was never seen */
    assert_feed(last, "UPDATED 1 {\"job_title\":{\"old\":\"a\",\"new\":\"b\"}}\nDELETED 1\n");
    assert_feed(0, "ADDED 1 null\nADDED 2 {}\nUPDATED 1 {\"job_title\":{\"old\":\"a\",\"new\":"
                   "\"b\"}}\nDELETED 1\n");
    apply(7, PAGE(ROW(R(1), TITLE("c")) "," ROW(R(3), TITLE("d"))));
    last += 2;
    assert_feed(last, "ADDED 1 {\"job_title\":\"c\"}\nADDED 3 {\"job_title\":\"d\"}\n");
}
END_TEST

START_TEST(values_are_exact)
{
    apply(1, PAGE(ROW(R(1), "")));
    int64_t last = changes(-1, 1, NULL).latest;
    apply(2,
          PAGE(ROW(R(1), "\"job_title\":[{\"value\":\"a\\\"\\u0000;:\\u00e9\"}],\"n\":[{\"value\":"
                         "0.30000000000000004}],\"done\":[{\"value\":false}],\"tags\":[{"
                         "\"option\":{\"title\":\"x\"}}],\"stage\":[{\"status\":{\"title\":\"s\","
                         "\"id\":{\"status_id\":\"i\"}}}],\"name\":[{\"first_name\":\"A\"}]")));
    assert_feed(last, "UPDATED 1 {\"job_title\":{\"old\":null,\"new\":\"a\\\"\\u0000;:\xc3\xa9\"},"
                      "\"n\":{\"old\":null,\"new\":0.30000000000000004},"
                      "\"tags\":{\"old\":null,\"new\":[\"x\"]},\"done\":{\"old\":null,\"new\":"
                      "false},\"name\":{\"old\":null,\"new\":{\"first_name\":\"A\",\"last_name\":"
                      "null,\"full_name\":null}},\"stage\":{\"old\":null,\"new\":\"s\"},"
                      "\"stage_id\":{\"old\":null,\"new\":\"i\"}}\n");
    last = changes(-1, 1, NULL).latest;
    apply(
        3,
        PAGE(ROW(R(1), "\"n\":[{\"value\":9007199254740993}],\"done\":[{\"value\":true}]") "," ROW(
            R(2), "\"n\":[{\"value\":1e300}],\"done\":[{\"value\":true}]")));
    changes(last, 10, NULL);
    const struct ad_json *doc = parsed();
    assert_str(ad_json_path(doc, "[0].fields.n.new")->raw, "9007199254740993");
    assert_str(ad_json_path(doc, "[0].fields.done.new")->raw, "true");
    assert_str(ad_json_path(doc, "[0].fields.done.old")->raw, "false");
    double n;
    ck_assert(ad_json_f64(ad_json_path(doc, "[1].values.n"), &n));
    ck_assert_double_eq(n, 1e300);
    assert_str(ad_json_path(doc, "[1].values.done")->raw, "true");
    assert_str(ad_json_str(ad_json_path(doc, "[1].object")), "people");
    assert_str(ad_json_str(ad_json_path(doc, "[1].object_id")), O);
    assert_str(ad_json_str(ad_json_path(doc, "[1].kind")), "object");
    assert_str(ad_json_str(ad_json_path(doc, "[1].id")), R(2));
}
END_TEST

/* Columns of text and of numbers are compared in one place: never a text as a number. */
START_TEST(digits_that_stand_for_one_number_are_different_texts)
{
    apply(1, PAGE(ROW(R(1), TITLE("1") ",\"n\":[{\"value\":1}]")));
    int64_t last = changes(-1, 1, NULL).latest;
    apply(2, PAGE(ROW(R(1), TITLE("01") ",\"n\":[{\"value\":1.0}]")));
    assert_feed(last, "UPDATED 1 {\"job_title\":{\"old\":\"1\",\"new\":\"01\"}}\n");
}
END_TEST

START_TEST(a_record_that_was_merged_away_says_into_which)
{
    apply(1, PAGE(ROW(R(1), "") "," ROW(R(2), "")));
    int64_t last = changes(-1, 1, NULL).latest;
    fixture_sql(&f,
                "INSERT INTO attiod_merge VALUES ('" WS "', '" O "', '" R(1) "', '" R(2) "', 0)");
    delete_at(2, R(1));
    delete_at(2, R(2));
    assert_feed(last, "MERGED 1 \"" R(2) "\"\nDELETED 2\n");
}
END_TEST

static void on_followed(struct ad_mirror_follow *fo)
{
    *(bool *)fo->data = true;
}

START_TEST(rows_completed_after_a_change_of_the_schema_are_changes)
{
    apply(1, PAGE(ROW(R(1), "\"later\":[{\"value\":\"x\"}]") "," ROW(R(2), "")));
    int64_t last = changes(-1, 1, NULL).latest;
    attribute(O, ATTR(9), 9, "later", "text", false, false);
    reopen();
    bool done = false;
    struct ad_mirror_follow fo = { .object = the_object(), .cb = on_followed, .data = &done };
    ck_assert_int_eq(ad_mirror_follow(m, &fo), AD_OK);
    world_until_true(&f.w, &done);
    assert_feed(last, "UPDATED 1 {\"later\":{\"old\":null,\"new\":\"x\"}}\n");
    assert_feed(0, "ADDED 1 {\"later\":\"x\"}\nADDED 2 {}\n"
                   "UPDATED 1 {\"later\":{\"old\":null,\"new\":\"x\"}}\n");
}
END_TEST

START_TEST(all_kinds_are_in_one_feed_and_can_be_told_apart)
{
    list(L, 1, "sales");
    reopen();
    apply(1, PAGE(ROW(R(1), TITLE("a"))));
    (void)apply_to(ad_schema_list(schema, AD_STR(L)), 2,
                   PAGE("{\"id\":{\"entry_id\":\"" R(2) "\"},\"parent_object\":\"people\"}"));
    const struct ad_object *tasks = ad_schema_builtin(schema, AD_KIND_TASK);
    (void)apply_to(tasks, 3, PAGE("{\"id\":{\"task_id\":\"" R(3) "\"},\"is_completed\":true}"));
    assert_feed(0, "ADDED 1 {\"job_title\":\"a\"}\nADDED 2 {\"parent_object\":\"people\"}\n"
                   "ADDED 3 {\"is_completed\":true}\n");
    struct ad_changes_list l = changes(0, 10, tasks);
    const struct ad_json *doc = parsed();
    ck_assert_uint_eq(doc->count, 1);
    assert_str(ad_json_str(ad_json_path(doc, "[0].kind")), "task");
    ck_assert_int_eq(l.last, 3);
}
END_TEST

START_TEST(whoever_comes_too_late_is_told)
{
    apply(1, PAGE(ROW(R(1), "") "," ROW(R(2), "") "," ROW(R(3), "")));
    fixture_sql(&f, "DELETE FROM attiod_change WHERE seq <= 2;"
                    "INSERT INTO attiod_meta VALUES ('changes_pruned', 2)");
    ck_assert_int_eq(changes(1, 10, NULL).err, AD_ERR_NOTFOUND);
    assert_feed(2, "ADDED 3 {}\n");
    struct ad_changes_list l = changes(-1, 10, NULL);
    ck_assert_int_eq(l.err, AD_OK);
    ck_assert_int_eq(l.last, 3);
    assert_str(ad_buf_str(&out), "[]");
    l = (struct ad_changes_list){ .max = 501, .out = &out };
    ck_assert_int_eq(ad_changes_list(m, &l), AD_ERR_INVALID);
}
END_TEST

static void on_pruned(struct ad_mirror_prune *p)
{
    *(bool *)p->data = true;
}

static int64_t prune(const char *before)
{
    bool done = false;
    struct ad_mirror_prune p = { .object = the_object(), .max = 2, .cb = on_pruned, .data = &done };
    ck_assert(ad_time_parse(ad_str_c(before), &p.before_ns));
    ck_assert_int_eq(ad_mirror_prune(m, &p), AD_OK);
    world_until_true(&f.w, &done);
    ck_assert_int_eq(p.err, AD_OK);
    return p.removed;
}

START_TEST(old_entries_go_a_few_at_a_time_and_the_newest_stays)
{
    ck_assert_int_eq(prune("2027-01-01T00:00:00Z"), 0); /* there is none */
    apply(1, PAGE(ROW(R(1), "") "," ROW(R(2), "") "," ROW(R(3), "")));
    world_advance(&f.w, 60000);
    apply(2, PAGE(ROW(R(4), "") "," ROW(R(5), "")));
    ck_assert_int_eq(prune("2026-01-01T00:00:00Z"), 0);
    assert_feed(0, "ADDED 1 {}\nADDED 2 {}\nADDED 3 {}\nADDED 4 {}\nADDED 5 {}\n");
    ck_assert_int_eq(prune("2026-01-01T00:00:30Z"), 2);
    ck_assert_int_eq(prune("2026-01-01T00:00:30Z"), 1);
    ck_assert_int_eq(prune("2026-01-01T00:00:30Z"), 0);
    ck_assert_int_eq(changes(2, 10, NULL).err, AD_ERR_NOTFOUND);
    assert_feed(3, "ADDED 4 {}\nADDED 5 {}\n");
    ck_assert_int_eq(prune("2027-01-01T00:00:00Z"), 1);
    ck_assert_int_eq(prune("2027-01-01T00:00:00Z"), 0);
    assert_feed(4, "ADDED 5 {}\n");
    delete_at(3, R(5));
    assert_feed(5, "DELETED 5\n");
}
END_TEST

START_TEST(large_entries_make_short_pages)
{
    fixture_sql(&f,
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9)"
                " INSERT INTO attiod_change (object_id, record_id, at, change, fields) SELECT '" O
                "', '" R(1) "', 't', 2, 'T1:ant500000:' || printf('%500000d', 1) FROM n");
    apply(1, PAGE(ROW(R(1), TITLE("a"))));
    unsigned pages = 0;
    unsigned entries = 0;
    int64_t after = 0;
    for (bool more = true; more; pages++) {
        struct ad_changes_list l = changes(after, 500, NULL);
        ck_assert_int_eq(l.err, AD_OK);
        more = l.more;
        after = l.last;
        entries += parsed()->count;
    }
    ck_assert_uint_eq(entries, 10);
    ck_assert_uint_gt(pages, 2);
}
END_TEST

/* --- Followed, the feed gives the mirror --- */

enum { RECORDS = 40 };
static const char *const names[] = { "job_title", "n", "tags" };
static struct {
    bool live;
    char values[AD_LEN(names)][40]; /* JSON */
} replica[RECORDS];

static void take(unsigned i, unsigned k, const struct ad_json *v)
{
    (void)snprintf(replica[i].values[k], sizeof(replica[i].values[k]), "%.*s",
                   v ? (int)v->raw.n : 4, v ? v->raw.p : "null");
}

static void replay(const struct ad_json *e)
{
    struct ad_str id = ad_json_str(ad_json_get(e, "id"));
    struct ad_str change = ad_json_str(ad_json_get(e, "change"));
    unsigned i = (unsigned)strtoul(id.p + 24, NULL, 10);
    const struct ad_json *values = ad_json_get(e, "values");
    if (ad_str_eq(change, AD_STR("ADDED"))) {
        replica[i].live = true;
        for (unsigned k = 0; k < AD_LEN(names); k++) {
            take(i, k, ad_json_get(values, names[k]));
        }
    } else if (ad_str_eq(change, AD_STR("UPDATED"))) {
        for (unsigned k = 0; k < AD_LEN(names); k++) {
            const struct ad_json *field = ad_json_get(ad_json_get(e, "fields"), names[k]);
            if (field) {
                take(i, k, ad_json_get(field, "new"));
            }
        }
    } else {
        replica[i].live = false;
    }
}

static int64_t replay_from(int64_t after, unsigned max)
{
    struct ad_changes_list l = changes(after, max, NULL);
    ck_assert_int_eq(l.err, AD_OK);
    AD_JSON_FOREACH (e, parsed()) {
        replay(e);
    }
    return l.last;
}

static void assert_replica(void)
{
    for (unsigned i = 0; i < RECORDS; i++) {
        char sql[400];
        (void)snprintf(sql, sizeof(sql),
                       "SELECT count(*) FROM people_live WHERE record_id ="
                       " '10000000-0000-4000-8000-%012u' AND json_quote(job_title) = '%s' AND"
                       " json_quote(n) = '%s' AND coalesce(tags, 'null') = '%s'",
                       i, replica[i].values[0], replica[i].values[1], replica[i].values[2]);
        if (replica[i].live) {
            ck_assert_msg(fixture_i64(&f, sql) == 1, "%s", sql);
        }
        *strstr(sql, " AND json_quote(job") = '\0';
        ck_assert_int_eq(fixture_i64(&f, sql), replica[i].live);
    }
}

static void random_page(struct ad_rand *rand, int64_t version)
{
    struct ad_buf b;
    ad_buf_init(&b, 1 << 20);
    ad_buf_put(&b, AD_STR("{\"data\":["));
    unsigned from = (unsigned)ad_rand_below(rand, RECORDS);
    for (unsigned i = from; i < RECORDS && i < from + 10; i++) {
        ad_buf_fmt(&b,
                   "%s{\"id\":{\"record_id\":\"10000000-0000-4000-8000-%012u\"},\"values\":{"
                   "\"job_title\":[{\"value\":\"t%u\"}]",
                   i > from ? "," : "", i, (unsigned)ad_rand_below(rand, 3));
        if (ad_rand_below(rand, 2)) {
            ad_buf_fmt(&b, ",\"n\":[{\"value\":%u}]", (unsigned)ad_rand_below(rand, 2));
        }
        ad_buf_fmt(&b, ",\"tags\":[{\"option\":{\"title\":\"x%u\"}}]}}",
                   (unsigned)ad_rand_below(rand, 2));
    }
    ad_buf_put(&b, AD_STR("]}"));
    ad_buf_putc(&b, '\0');
    (void)apply(version, ad_buf_str(&b).p);
    ad_buf_fini(&b);
}

START_TEST(the_feed_followed_is_the_mirror)
{
    memset(replica, 0, sizeof(replica)); /* an earlier round ran in this process */
    struct ad_rand rand;
    int64_t after = 0;
    ad_rand_seed(&rand, 0x0feed + (unsigned)_i);
    apply(1, PAGE());
    for (int64_t version = 2; version < 120; version++) {
        char id[40];
        switch (ad_rand_below(&rand, 4)) {
        case 0:
            (void)snprintf(id, sizeof(id), "10000000-0000-4000-8000-%012u",
                           (unsigned)ad_rand_below(&rand, RECORDS));
            (void)delete_at(version, id);
            break;
        case 1:
            after = replay_from(after, 1 + (unsigned)ad_rand_below(&rand, 60));
            break;
        default:
            random_page(&rand, version);
        }
    }
    for (int64_t before = -1; before != after;) {
        before = after;
        after = replay_from(after, 7);
    }
    assert_replica();
    memset(replica, 0, sizeof(replica)); /* and by somebody who comes late */
    after = 0;
    for (int64_t before = -1; before != after;) {
        before = after;
        after = replay_from(after, 500);
    }
    assert_replica();
}
END_TEST

START_TEST(no_memory_is_reported)
{
    apply(1, PAGE(ROW(R(1), TITLE("a")) "," ROW(R(2), "")));
    apply(2, PAGE(ROW(R(1), TITLE("b"))));
    bool clean = false;
    for (size_t n = 0; !clean; n = torture_next_of_all(n)) {
        bool done = false;
        struct ad_changes_list l = { .max = 9, .out = &out, .cb = on_listed, .data = &done };
        ad_buf_clear(&out);
        heap_fail(n, 1);
        enum ad_err err = ad_changes_list(m, &l);
        if (!err) {
            world_until_true(&f.w, &done);
            err = l.err;
        }
        clean = !heap_failed();
        heap_fail(0, 0);
        ck_assert_msg(err == AD_OK || err == AD_ERR_NOMEM, "%zu: %s", n, ad_err_name(err));
        ck_assert_uint_lt(n, 500);
    }
}
END_TEST

static Suite *mirror_changes_suite(void)
{
    const TTest *const tests[] = {
        each_change_makes_one_entry_and_none_makes_none,
        values_are_exact,
        digits_that_stand_for_one_number_are_different_texts,
        a_record_that_was_merged_away_says_into_which,
        rows_completed_after_a_change_of_the_schema_are_changes,
        all_kinds_are_in_one_feed_and_can_be_told_apart,
        whoever_comes_too_late_is_told,
        old_entries_go_a_few_at_a_time_and_the_newest_stays,
        large_entries_make_short_pages,
        no_memory_is_reported,
    };
    Suite *suite = suite_create("mirror_changes");
    TCase *tcase = tcase_create("changes");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 30);
    for (size_t i = 0; i < AD_LEN(tests); i++) {
        tcase_add_test(tcase, tests[i]);
    }
    tcase_add_loop_test(tcase, the_feed_followed_is_the_mirror, 0, 5);
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITE(mirror_changes_suite)
