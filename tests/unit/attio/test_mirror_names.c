#include "mirror_fixture.h"
#include "support/heap.h"
#include "support/run.h"
#include "support/torture.h"

#include "base/json_write.h"

#include <stdio.h>

START_TEST(clashing_and_hostile_names_get_others)
{
    object(O2, 1, "people_live");
    attribute(O, ATTR(11), 11, "_raw", "text", false, false);
    attribute(O, ATTR(12), 12, "JOB_title", "text", false, false);
    attribute(O, ATTR(13), 13, "amount", "currency", false, false);
    attribute(O, ATTR(14), 14, "amount_currency_code", "text", false, false);
    attribute(O, ATTR(15), 15, "mail", "email-address", false, false);
    attribute(O, ATTR(16), 16, "email", "text", false, false);
    attribute(O, ATTR(17), 17, "a\"; DROP TABLE attiod_inbox; COMMIT; --", "text", false, false);
    attribute(O, ATTR(18), 18, "select", "text", false, false);
    attribute(O, ATTR(19), 19,
              "a_very_long_name_that_nobody_would_ever_want_to_type_by_hand_even_once", "text",
              false, false);
    attribute(O2, ATTR(21), 1, "t", "text", false, false);
    reopen();
    apply(1,
          "{\"data\":{\"id\":{\"record_id\":\"" R(
              1) "\"},\"values\":{\"_raw\":[{\"value\":\"r\"}],\"JOB_title\":[{\"value\":\"J\"}],"
                 "\"amount\":[{\"currency_value\":1,\"currency_code\":\"X\"}],"
                 "\"amount_currency_code\":[{\"value\":\"mine\"}],\"email\":[{\"value\":\"e\"}],"
                 "\"a\\\"; DROP TABLE attiod_inbox; COMMIT; --\":[{\"value\":\"h\"}],"
                 "\"select\":[{\"value\":\"s\"}]}}}");
    assert_text("SELECT _raw__2 || JOB_title__2 || amount_currency_code ||"
                " amount_currency_code__2 || email || \"select\" ||"
                " \"a\"\"; DROP TABLE attiod_inbox; COMMIT; --\" FROM people",
                "rJmineXesh");
    ck_assert_int_eq(fixture_i64(&f,
                                 "SELECT count(*) FROM pragma_table_info('people') WHERE name ="
                                 " 'a_very_long_name_that_nobody_would_ever_want_to_type_by_h__2'"),
                     1);
    struct ad_mirror_op op = { .object = ad_schema_object(schema, AD_STR(O2)) };
    apply_op(&op, 1, "{\"data\":{\"id\":{\"record_id\":\"" R(2) "\"},\"values\":{}}}");
    ck_assert_int_eq(fixture_i64(&f, "SELECT count(*) FROM people_live"), 1);
    ck_assert_int_eq(fixture_i64(&f, "SELECT count(*) FROM people_live__2"), 1);
    assert_text("SELECT record_id FROM people_live", R(1)); /* it was there first */
    assert_text("SELECT record_id FROM people_live__2_live", R(2));
}
END_TEST

START_TEST(our_own_names_are_not_taken)
{
    static const char *const slugs[] = { "attiod_inbox", "sqlite_schema", "Attiod_x", "" };
    static const char *const views[] = { "attiod_inbox__2", "o_sqlite_schema", "Attiod_x__2",
                                         "__2" };
    object(O, 0, slugs[_i]);
    reopen();
    apply(1, PAGE(RECORD(R(1), "a")));
    char sql[100];
    (void)snprintf(sql, sizeof(sql), "SELECT job_title FROM \"%s\"", views[_i]);
    assert_text(sql, "a");
    ck_assert_int_eq(fixture_i64(&f, "SELECT count(*) FROM attiod_inbox"), 0);
}
END_TEST

/* As an attribute's, an object's and a list's slug: in each case there is a row, under a name that
 * is the slug itself unless it is taken or too long. */
#define LONG_59 "a23456789_123456789_123456789_123456789_123456789_123456789"
static const struct {
    const char *slug, *column, *view; /* NULL: the slug itself */
} hostile[] = {
    { "select", NULL, NULL },
    { "order", NULL, NULL },
    { "group by", NULL, NULL },
    { "table", NULL, NULL },
    { "a\"b", NULL, NULL },
    { "a'b", NULL, NULL },
    { "`a`", NULL, NULL },
    { "[a]", NULL, NULL },
    { "a;b--", NULL, NULL },
    { "$1", NULL, NULL },
    { "%s%n", NULL, NULL },
    { "a.b", NULL, NULL },
    { " ", NULL, NULL },
    { "\xc3\xa4\xc3\xb6\xe4\xb8\xad", NULL, NULL },
    { "\xf0\x9f\x8e\x89", NULL, NULL },
    { "rowid", NULL, NULL },
    { "_raw", "_raw__2", NULL },
    { "_RAW", "_RAW__2", NULL },
    { "_version", "_version__2", NULL },
    { "_created_ns", NULL, NULL },
    { "JOB_TITLE", "JOB_TITLE__2", NULL },
    { "sqlite_x", NULL, "o_sqlite_x" },
    { "SQLITE_X", NULL, "o_SQLITE_X" },
    { "Notes", NULL, "Notes__2" },
    { "people_live", NULL, "people_live__2" },
    { LONG_59 "abcd", NULL, NULL },
    { LONG_59 "abcde", "a23456789_123456789_123456789_123456789_123456789_1234567__2",
      "a23456789_123456789_123456789_123456789_123456789_1234567__2" },
};

static char *page_of(const char *key, const char *values, const char *slug)
{
    struct ad_json_writer w;
    struct ad_buf b;
    ad_buf_init(&b, 10000);
    ad_json_write_init(&w, &b);
    ad_json_obj(&w);
    ad_json_key(&w, "data");
    ad_json_obj(&w);
    ad_json_key(&w, "id");
    ad_json_obj(&w);
    ad_json_f_cstr(&w, key, R(1));
    ad_json_end(&w);
    ad_json_key(&w, values);
    ad_json_obj(&w);
    ad_json_key(&w, slug);
    ad_json_arr(&w);
    ad_json_obj(&w);
    ad_json_f_cstr(&w, "value", "here");
    for (int i = 0; i < 5; i++) {
        ad_json_end(&w);
    }
    ck_assert_int_eq(ad_json_write_done(&w), AD_OK);
    char *text = strndup(ad_buf_str(&b).p, ad_buf_len(&b));
    ad_buf_fini(&b);
    return text;
}

/* value of column in view is "here" */
static void assert_here(struct ad_str column, struct ad_str view)
{
    struct ad_buf b;
    ad_buf_init(&b, 1000);
    const struct ad_str parts[] = { column, view };
    static const char *const before[] = { "SELECT ", " FROM " };
    for (int i = 0; i < 2; i++) {
        ad_buf_fmt(&b, "%s\"", before[i]);
        for (size_t c = 0; c < parts[i].n; c++) {
            ad_buf_put(&b, parts[i].p[c] == '"' ? AD_STR("\"\"") : ad_str_n(parts[i].p + c, 1));
        }
        ad_buf_putc(&b, '"');
    }
    ad_buf_putc(&b, '\0');
    assert_text(ad_buf_str(&b).p, "here");
    ad_buf_fini(&b);
}

/* What is called "placeholder" gets the slug; then as after a restart. */
static void hostile_rename(const char *table, const char *slug)
{
    struct ad_buf b;
    ad_buf_init(&b, 1000);
    ad_buf_fmt(&b, "UPDATE %s SET slug = '", table);
    for (const char *p = slug; *p; p++) {
        ad_buf_put(&b, *p == '\'' ? AD_STR("''") : ad_str_n(p, 1));
    }
    ad_buf_put(&b, AD_STR("' WHERE slug = 'placeholder'"));
    ad_buf_putc(&b, '\0');
    fixture_sql(&f, ad_buf_str(&b).p);
    ad_buf_fini(&b);
    reopen();
}

START_TEST(hostile_names_of_attributes_have_their_column)
{
    const char *slug = hostile[_i].slug;
    const char *column = hostile[_i].column ? hostile[_i].column : slug;
    attribute(O, ATTR(11), 11, "placeholder", "text", false, false);
    hostile_rename("attiod_attribute", slug);
    char *page = page_of("record_id", "values", slug);
    assert_counts(apply(1, page), 1, 0, 0, 0);
    free(page);
    assert_here(ad_str_c(column), AD_STR("people"));
    assert_here(ad_str_c(column), AD_STR("people_live"));
}
END_TEST

START_TEST(hostile_names_of_objects_have_their_view)
{
    const char *slug = hostile[_i].slug;
    object(O2, 1, "placeholder");
    attribute(O2, ATTR(11), 11, "x", "text", false, false);
    hostile_rename("attiod_object", slug);
    apply(1, PAGE());
    char *page = page_of("record_id", "values", "x");
    assert_counts(apply_to(ad_schema_object(schema, AD_STR(O2)), 1, page), 1, 0, 0, 0);
    free(page);
    assert_here(AD_STR("x"), ad_str_c(hostile[_i].view ? hostile[_i].view : slug));
}
END_TEST

START_TEST(hostile_names_of_lists_have_their_view)
{
    const char *slug = hostile[_i].slug;
    char view[100];
    list(L, 1, "placeholder");
    attribute(L, ATTR(11), 11, "x", "text", false, false);
    hostile_rename("attiod_list", slug);
    char *page = page_of("entry_id", "entry_values", "x");
    assert_counts(apply_to(ad_schema_list(schema, AD_STR(L)), 1, page), 1, 0, 0, 0);
    free(page);
    bool fits = strlen(slug) + 5 <= 63;
    (void)snprintf(view, sizeof(view), fits ? "list_%s" : "list_%.52s__2", slug);
    assert_here(AD_STR("x"), ad_str_c(view));
}
END_TEST

/* As many as SQL has columns for: what has no room is in the attribute's own column as JSON. */
START_TEST(an_object_may_have_very_many_attributes)
{
    fixture_sql(&f,
                "WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i <"
                " 499) INSERT INTO attiod_attribute SELECT '" O "', '30000000-0000-4000-8000-'"
                " || printf('%012d', i), i, 'place_' || i, 'T', 'location', 0, 1, 0, 0, 0, 1, 0, 0"
                " FROM n");
    reopen();
    struct ad_buf b;
    ad_buf_init(&b, (size_t)1 << 20);
    ad_buf_put(&b, AD_STR("{\"data\":{\"id\":{\"record_id\":\"" R(1) "\"},\"values\":{"));
    for (int i = 100; i < 500; i++) {
        ad_buf_fmt(&b, "%s\"place_%d\":[{\"locality\":\"Bath %d\"}]", i > 100 ? "," : "", i, i);
    }
    ad_buf_put(&b, AD_STR("}}}"));
    ad_buf_putc(&b, '\0');
    assert_counts(apply(1, ad_buf_str(&b).p), 1, 0, 0, 0);
    ad_buf_fini(&b);
    assert_text("SELECT place_100_locality FROM people", "Bath 100");
    assert_text("SELECT place_499 ->> 'locality' FROM people_live", "Bath 499");
    ck_assert_int_lt(fixture_i64(&f, "SELECT count(*) FROM pragma_table_info('people')"), 2000);
}
END_TEST

/* ---- all of it described ----------------------------------------------------------------- */

static struct ad_buf described;

static void on_described(struct ad_mirror_describe *d)
{
    *(bool *)d->data = true;
}

static enum ad_err describe(void)
{
    bool done = false;
    struct ad_mirror_describe d = { .out = &described, .cb = on_described, .data = &done };
    ad_buf_clear(&described);
    enum ad_err err = ad_mirror_describe(m, &d);
    ck_assert(!done);
    if (!err) {
        world_until_true(&f.w, &done);
        err = d.err;
    }
    ck_assert_int_eq(err, d.info.code);
    return err;
}

/* What is said of an object, by the slug. */
static const struct ad_json *said_of(const struct ad_json *all, const char *slug)
{
    AD_JSON_FOREACH (o, all) {
        if (ad_str_eq(ad_json_str(ad_json_get(o, "slug")), ad_str_c(slug))) {
            return o;
        }
    }
    ck_abort_msg("nothing of %s", slug);
}

static void assert_said(const struct ad_json *o, const char *key, const char *want)
{
    const struct ad_json *v = ad_json_get(o, key);
    struct ad_str s = v ? v->raw : AD_STR("nothing");
    ck_assert_msg(ad_str_eq(s, ad_str_c(want)), "%s: %.*s is not %s", key, AD_FMT(s), want);
}

static const struct ad_json *column_of(const struct ad_json *o, const char *attribute)
{
    AD_JSON_FOREACH (c, ad_json_get(o, "columns")) {
        if (ad_str_eq(ad_json_str(ad_json_get(c, "attribute")), ad_str_c(attribute))) {
            return c;
        }
    }
    ck_abort_msg("no column of %s", attribute);
}

static const struct ad_json *describe_all(struct ad_arena *arena)
{
    const struct ad_json *all;
    ck_assert_int_eq(describe(), AD_OK);
    ck_assert_int_eq(ad_json_parse(arena, ad_buf_str(&described), NULL, &all, NULL), AD_OK);
    return all;
}

START_TEST(names_and_what_is_there_of_them_are_described)
{
    struct ad_arena arena;
    ad_arena_init(&arena, 1 << 20);
    ad_buf_init(&described, 1 << 20);
    attribute(O, ATTR(11), 11, "_raw", "number", false, false);
    object(O2, 1, "people_live");
    reopen();
    const struct ad_json *all = describe_all(&arena);
    ck_assert_uint_eq(all->count, 2 + 4); /* and the built-in ones */
    const struct ad_json *o = said_of(all, "people");
    assert_said(o, "state", "\"new\"");
    assert_said(o, "table", "\"" O_TABLE "\"");
    assert_said(o, "instead_of", "nothing");
    assert_said(column_of(o, "job_title"), "missing", "true");
    assert_said(column_of(o, "_raw"), "name", "\"_raw__2\"");
    assert_said(column_of(o, "_raw"), "instead_of", "\"_raw\"");
    assert_said(column_of(o, "_raw"), "type", "\"number\"");
    o = said_of(all, "people_live");
    assert_said(o, "view", "\"people_live__2\"");
    assert_said(o, "instead_of", "\"people_live\"");
    apply(1, PAGE(RECORD(R(1), "a")));
    o = said_of(describe_all(&arena), "people");
    assert_said(o, "state", "\"same\"");
    assert_said(o, "rows_lacking", "false");
    assert_said(column_of(o, "job_title"), "missing", "false");
    assert_said(column_of(o, "job_title"), "column", "\"" COL(01) "\"");
    attribute(O, ATTR(12), 12, "more", "text", false, false);
    reopen();
    o = said_of(describe_all(&arena), "people");
    assert_said(o, "state", "\"changed\"");
    assert_said(column_of(o, "more"), "missing", "true");
    assert_said(column_of(o, "job_title"), "missing", "false");
    ad_buf_fini(&described);
    ad_arena_fini(&arena);
}
END_TEST

START_TEST(without_memory_nothing_is_described)
{
    bool clean = false;
    ad_buf_init(&described, 1 << 20);
    apply(1, PAGE(RECORD(R(1), "a")));
    for (size_t n = 0; !clean; n = torture_next_of_all(n)) {
        heap_fail(n, 1);
        enum ad_err err = describe();
        clean = !heap_failed();
        heap_fail(0, 0);
        ck_assert_msg(err == AD_OK || err == AD_ERR_NOMEM, "%zu: %s", n, ad_err_name(err));
        ck_assert_uint_lt(n, 2000);
    }
    ad_buf_fini(&described);
}
END_TEST

START_TEST(a_description_that_cannot_be_read_says_why)
{
    ad_buf_init(&described, 1 << 20);
    fixture_sql(&f, "ALTER TABLE attiod_shape RENAME TO elsewhere");
    ck_assert_int_ne(describe(), AD_OK);
    fixture_sql(&f, "ALTER TABLE elsewhere RENAME TO attiod_shape");
    ck_assert_int_eq(describe(), AD_OK);
    ad_buf_fini(&described);
    ad_buf_init(&described, 64); /* an answer without room for it */
    ck_assert_int_eq(describe(), AD_ERR_TOOLARGE);
    ad_buf_fini(&described);
}
END_TEST

static Suite *mirror_names_suite(void)
{
    Suite *suite = suite_create("mirror_names");
    TCase *tcase = tcase_create("names");
    tcase_add_checked_fixture(tcase, mirror_setup, mirror_teardown);
    tcase_set_timeout(tcase, 20);
    tcase_add_test(tcase, clashing_and_hostile_names_get_others);
    tcase_add_loop_test(tcase, our_own_names_are_not_taken, 0, 4);
    tcase_add_loop_test(tcase, hostile_names_of_attributes_have_their_column, 0, AD_LEN(hostile));
    tcase_add_loop_test(tcase, hostile_names_of_objects_have_their_view, 0, AD_LEN(hostile));
    tcase_add_loop_test(tcase, hostile_names_of_lists_have_their_view, 0, AD_LEN(hostile));
    tcase_add_test(tcase, an_object_may_have_very_many_attributes);
    tcase_add_test(tcase, names_and_what_is_there_of_them_are_described);
    tcase_add_test(tcase, without_memory_nothing_is_described);
    tcase_add_test(tcase, a_description_that_cannot_be_read_says_why);
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITE(mirror_names_suite)
