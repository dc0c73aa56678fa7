#include "base/json.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "support/run.h"
#include "support/torture.h"

static struct ad_arena arena;
static struct ad_errinfo info;

static void setup(void)
{
    ad_arena_init(&arena, 256 << 20);
}

static void teardown(void)
{
    ad_arena_fini(&arena);
}

static const struct ad_json *parse(const char *text)
{
    const struct ad_json *doc = NULL;
    enum ad_err err = ad_json_parse(&arena, ad_str_c(text), NULL, &doc, &info);
    ck_assert_msg(err == AD_OK, "%s: %s", text, info.msg);
    return doc;
}

START_TEST(values_of_every_type_know_what_they_are)
{
    const struct ad_json *v = parse("{\"n\":null,\"t\":true,\"f\":false,\"i\":-12,\"d\":1.50e3,"
                                    "\"s\":\"x\",\"a\":[1,2],\"o\":{}}");
    ck_assert_uint_eq(v->count, 8);
    bool b = false;
    int64_t i = 0;
    double d = 0;
    ck_assert(ad_json_is(ad_json_get(v, "n"), AD_JSON_NULL));
    ck_assert(ad_json_bool(ad_json_get(v, "t"), &b) && b);
    ck_assert(ad_json_bool(ad_json_get(v, "f"), &b) && !b);
    ck_assert(ad_json_i64(ad_json_get(v, "i"), &i) && i == -12);
    ck_assert(ad_json_f64(ad_json_get(v, "d"), &d) && d == 1500);
    assert_str(ad_json_get(v, "d")->str, "1.50e3");
    assert_str(ad_json_str(ad_json_get(v, "s")), "x");
    ck_assert_uint_eq(ad_json_get(v, "a")->count, 2);
    ck_assert_uint_eq(ad_json_get(v, "o")->count, 0);
    ck_assert_ptr_null(ad_json_get(v, "o")->child);
}
END_TEST

START_TEST(what_is_json_is_taken_and_what_is_not_is_refused)
{
    static const struct {
        const char *text;
        enum ad_err err;
    } rows[] = {
        { "null", AD_OK },
        { " \t\r\n[ ]\n", AD_OK },
        { "\"\"", AD_OK },
        { "0", AD_OK },
        { "-0", AD_OK },
        { "1E+5", AD_OK },
        { "123456789012345678901234567890.5e-400", AD_OK },
        { "[1,[2,[3]],{\"a\":{\"b\":[]}}]", AD_OK },
        { "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e4\"", AD_OK },
        { "\"\\ud83d\\ude00\"", AD_OK },
        { "\"\\\\ud800\"", AD_OK },
        { "\"\x7f\"", AD_OK },
        { "", AD_ERR_PARSE },
        { "  ", AD_ERR_PARSE },
        { "nul", AD_ERR_PARSE },
        { "True", AD_ERR_PARSE },
        { "NaN", AD_ERR_PARSE },
        { "[1,]", AD_ERR_PARSE },
        { "[,1]", AD_ERR_PARSE },
        { "[1 2]", AD_ERR_PARSE },
        { "{\"a\":1,}", AD_ERR_PARSE },
        { "{\"a\"}", AD_ERR_PARSE },
        { "{a:1}", AD_ERR_PARSE },
        { "{1:1}", AD_ERR_PARSE },
        { "{'a':1}", AD_ERR_PARSE },
        { "[1}", AD_ERR_PARSE },
        { "[", AD_ERR_PARSE },
        { "{\"a\":", AD_ERR_PARSE },
        { "\"abc", AD_ERR_PARSE },
        { "]", AD_ERR_PARSE },
        { "1 2", AD_ERR_PARSE },
        { "{}{}", AD_ERR_PARSE },
        { "[] x", AD_ERR_PARSE },
        { "01", AD_ERR_PARSE },
        { "+1", AD_ERR_PARSE },
        { "1.", AD_ERR_PARSE },
        { ".5", AD_ERR_PARSE },
        { "-", AD_ERR_PARSE },
        { "1e", AD_ERR_PARSE },
        { "0x10", AD_ERR_PARSE },
        { "// no\n1", AD_ERR_PARSE },
        { "/* no */1", AD_ERR_PARSE },
        { "\xef\xbb\xbf{}", AD_ERR_PARSE }, /* byte order mark */
        { "\f1", AD_ERR_PARSE },
        { "1\f", AD_ERR_PARSE },
        { "[1,\f2]", AD_ERR_PARSE },
        { "[1\f]", AD_ERR_PARSE },
        { "{\"a\"\v:1}", AD_ERR_PARSE },
        { "[\f]", AD_ERR_PARSE },
        { "\"\n\"", AD_ERR_PARSE },
        { "\"\t\"", AD_ERR_PARSE },
        { "\"\\x41\"", AD_ERR_PARSE },
        { "\"\\u12g4\"", AD_ERR_PARSE },
        { "\"\\u12\"", AD_ERR_PARSE },
        { "\"\\ud800\"", AD_ERR_PARSE },
        { "\"\\udc00\"", AD_ERR_PARSE },
        { "\"\\ud800x\\udc00\"", AD_ERR_PARSE },
        { "\"\\ud800\\n\"", AD_ERR_PARSE },
        { "\"\\ud800\\ud800\"", AD_ERR_PARSE },
        { "\"\\ud800\\u0041\"", AD_ERR_PARSE },
        { "\"\\udc00\\ud800\"", AD_ERR_PARSE },
        { "{\"\\ud800\":1}", AD_ERR_PARSE },
        { "\"\xff\"", AD_ERR_PARSE },
        { "\"\xc0\x80\"", AD_ERR_PARSE },
        { "\"\xed\xa0\x80\"", AD_ERR_PARSE },
        { "{\"a\":1,\"a\":2}", AD_ERR_PARSE },
        { "{\"a\":1,\"\\u0061\":2}", AD_ERR_PARSE },
        { "{\"\":1,\"\":2}", AD_ERR_PARSE },
        { "[{\"a\":1,\"b\":{\"a\":1},\"c\":[{\"a\":1}]},{\"a\":1}]", AD_OK },
    };
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        const struct ad_json *doc = NULL;
        enum ad_err err = ad_json_parse(&arena, ad_str_c(rows[i].text), NULL, &doc, &info);
        ck_assert_msg(err == rows[i].err, "%s gives %s", rows[i].text, ad_err_name(err));
        ck_assert(err == AD_OK || (doc == NULL && info.code == err));
    }
    const struct ad_json *doc = NULL;
    ck_assert_int_eq(ad_json_parse(&arena, ad_str_n("1\0", 2), NULL, &doc, &info), AD_ERR_PARSE);
}
END_TEST

START_TEST(every_cut_of_a_document_is_refused)
{
    static const char text[] = "{\"a\":[1,-2.5e3,\"x\\u00e4\\ud83d\\ude00\",null,true],\"b\":{}}";
    for (size_t n = 0; n < sizeof(text) - 1; n++) {
        /* A copy of its own size, so that reading past the end is seen. */
        char *copy = malloc(n ? n : 1);
        memcpy(copy, text, n);
        const struct ad_json *doc;
        ck_assert_int_eq(ad_json_parse(&arena, ad_str_n(copy, n), NULL, &doc, &info), AD_ERR_PARSE);
        free(copy);
    }
}
END_TEST

START_TEST(a_mistake_is_told_with_its_place)
{
    static const struct {
        const char *text, *msg;
    } rows[] = {
        { "[1, x]", "malformed JSON at byte 5" },
        { "{\"a\":1,\"b\":2,\"a\":3}", "duplicate JSON key at byte 13" },
        { "[\"a\", \"\\ud800\"]", "lone surrogate in the string at byte 6" },
        { "[1,\f2]", "malformed JSON at byte 3" },
        { "[1", "malformed JSON at byte 2" },
        { "\"\xff\"", "malformed JSON: not UTF-8" },
    };
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        const struct ad_json *doc;
        ck_assert_int_ne(ad_json_parse(&arena, ad_str_c(rows[i].text), NULL, &doc, &info), AD_OK);
        ck_assert_str_eq(info.msg, rows[i].msg);
    }
}
END_TEST

START_TEST(strings_are_unescaped_and_may_hold_nul)
{
    const struct ad_json *v =
        parse("[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\",\"\\u00e4\\u20ac\\ud83d\\ude00\",\"a\\u0000b\"]");
    assert_str(ad_json_str(ad_json_at(v, 0)), "\"\\/\b\f\n\r\t");
    assert_str(ad_json_str(ad_json_at(v, 1)), "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
    struct ad_str nul = ad_json_str(ad_json_at(v, 2));
    ck_assert(ad_str_eq(nul, ad_str_n("a\0b", 3)));
    struct ad_str ident = AD_STR("untouched");
    ck_assert(!ad_json_ident(ad_json_at(v, 2), &ident));
    assert_str(ident, "untouched");
    ck_assert(ad_json_ident(ad_json_at(v, 1), &ident));
}
END_TEST

START_TEST(strings_without_escapes_point_into_the_text)
{
    static const char text[] = "{\"key\":\"value\",\"k\\n\":\"v\\n\"}";
    const struct ad_json *v = parse(text);
    struct ad_str plain = v->child->str;
    struct ad_str escaped = v->child->next->str;
    ck_assert(plain.p >= text && plain.p < text + sizeof(text));
    ck_assert(v->child->key.p == text + 2);
    ck_assert(escaped.p < text || escaped.p >= text + sizeof(text));
    assert_str(escaped, "v\n");
    assert_str(v->child->next->key, "k\n");
}
END_TEST

START_TEST(every_value_knows_its_own_text)
{
    static const struct {
        const char *text, *path, *raw;
    } rows[] = {
        { " 12 ", "", "12" },
        { "12", "", "12" },
        { "-1.5e3", "", "-1.5e3" },
        { " \"a\" ", "", "\"a\"" },
        { "\"a\\n\"", "", "\"a\\n\"" },
        { "\ttrue\n", "", "true" },
        { "[1,22 , 333]", "[0]", "1" },
        { "[1,22 , 333]", "[1]", "22" },
        { "[1,22 , 333]", "[2]", "333" },
        { "[1,22 , 333]", "", "[1,22 , 333]" },
        { "[ \"a\\u00e4\" ,\"\",\"\\\"\" ]", "[0]", "\"a\\u00e4\"" },
        { "[ \"a\\u00e4\" ,\"\",\"\\\"\" ]", "[1]", "\"\"" },
        { "[ \"a\\u00e4\" ,\"\",\"\\\"\" ]", "[2]", "\"\\\"\"" },
        { "{ \"a\" : { \"b\" : [ ] } , \"c\":null}", "a", "{ \"b\" : [ ] }" },
        { "{ \"a\" : { \"b\" : [ ] } , \"c\":null}", "a.b", "[ ]" },
        { "{ \"a\" : { \"b\" : [ ] } , \"c\":null}", "c", "null" },
        { "{\"a\\n\":\n\n-0.5\n}", "a\n", "-0.5" },
        { "{\"x\":false,\"y\":[{},[]]}", "x", "false" },
        { "{\"x\":false,\"y\":[{},[]]}", "y[0]", "{}" },
        { "{\"x\":false,\"y\":[{},[]]}", "y[1]", "[]" },
        { "{\"x\":\",:[]{}\",\"y\":1e2}", "x", "\",:[]{}\"" },
        { "{\"x\":\",:[]{}\",\"y\":1e2}", "y", "1e2" },
    };
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        const struct ad_json *v = ad_json_path(parse(rows[i].text), rows[i].path);
        ck_assert_msg(v != NULL, "%s of %s", rows[i].path, rows[i].text);
        assert_str(v->raw, rows[i].raw);
        ck_assert(v->raw.p >= rows[i].text && v->raw.p < rows[i].text + strlen(rows[i].text));
    }
}
END_TEST

START_TEST(paths_lead_to_values_or_to_nothing)
{
    const struct ad_json *v =
        parse("{\"data\":{\"id\":{\"record_id\":\"r\"}},\"values\":{\"name\":[{\"full\":\"N\"},"
              "[7,8]]},\"\":1}");
    assert_str(ad_json_str(ad_json_path(v, "data.id.record_id")), "r");
    assert_str(ad_json_str(ad_json_path(v, "values.name[0].full")), "N");
    assert_str(ad_json_path(v, "values.name[1][1]")->str, "8");
    ck_assert_ptr_eq(ad_json_path(v, ""), v);
    static const char *const nothing[] = {
        "dat",
        "data.",
        "data.id.x",
        "data[0]",
        "values.name.",
        "values.name[2]",
        "values.name[-1]",
        "values.name[x]",
        "values.name[",
        "values.name[]",
        "values.name[0]full",
        "values.name[0].full.x",
        ".data",
        "values.name[99999999999999999999]",
    };
    for (size_t i = 0; i < AD_LEN(nothing); i++) {
        ck_assert_msg(!ad_json_path(v, nothing[i]), "%s", nothing[i]);
    }
}
END_TEST

START_TEST(absent_values_and_wrong_types_give_nothing)
{
    const struct ad_json *v = parse("{\"a\":[1]}");
    int64_t i = 77;
    double d = 77;
    bool b = true;
    struct ad_str s = AD_STR("x");
    ck_assert_ptr_null(ad_json_get(NULL, "a"));
    ck_assert_ptr_null(ad_json_at(NULL, 0));
    ck_assert_ptr_null(ad_json_path(NULL, "a"));
    ck_assert_ptr_null(ad_json_get(ad_json_get(v, "a"), "b"));
    ck_assert_ptr_null(ad_json_at(v, 0));
    ck_assert_ptr_null(ad_json_at(ad_json_get(v, "a"), 1));
    ck_assert(!ad_json_is(NULL, AD_JSON_NULL));
    ck_assert_ptr_null(ad_json_str(v).p);
    ck_assert_ptr_null(ad_json_str(NULL).p);
    ck_assert(!ad_json_ident(v, &s) && !ad_json_i64(v, &i) && !ad_json_f64(v, &d) &&
              !ad_json_bool(v, &b));
    ck_assert(!ad_json_ident(NULL, &s) && !ad_json_i64(NULL, &i) && !ad_json_f64(NULL, &d) &&
              !ad_json_bool(NULL, &b));
    ck_assert(i == 77 && d == 77 && b && s.n == 1);
    int n = 0;
    AD_JSON_FOREACH (it, ad_json_get(v, "x")) {
        n++;
    }
    ck_assert_int_eq(n, 0);
}
END_TEST

START_TEST(numbers_are_converted_only_when_they_fit)
{
    static const struct {
        const char *text;
        bool whole, real;
        int64_t i64;
        double f64;
    } rows[] = {
        { "0", true, true, 0, 0 },
        { "-0", true, true, 0, 0 },
        { "9223372036854775807", true, true, INT64_MAX, 9223372036854775807.0 },
        { "-9223372036854775808", true, true, INT64_MIN, -9223372036854775808.0 },
        { "9223372036854775808", false, true, 0, 9223372036854775808.0 },
        { "1.0", false, true, 0, 1 },
        { "1e0", false, true, 0, 1 },
        { "0.1", false, true, 0, 0.1 },
        { "1e308", false, true, 0, 1e308 },
        { "1e309", false, false, 0, 0 },
        { "-1e309", false, false, 0, 0 },
        { "1e-400", false, true, 0, 0 },
    };
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        const struct ad_json *v = parse(rows[i].text);
        int64_t whole = 0;
        double real = 0;
        ck_assert_msg(ad_json_i64(v, &whole) == rows[i].whole, "%s", rows[i].text);
        ck_assert_int_eq(whole, rows[i].i64);
        ck_assert_msg(ad_json_f64(v, &real) == rows[i].real, "%s", rows[i].text);
        ck_assert(real == rows[i].f64);
    }
    char long_number[200];
    memset(long_number, '1', sizeof(long_number));
    long_number[1] = '.';
    long_number[199] = '\0';
    double real = 77;
    ck_assert(!ad_json_f64(parse(long_number), &real));
    ck_assert(real == 77);
}
END_TEST

/* n times `open`, then n times `close`. */
static struct ad_str nested(size_t n, const char *open, char close)
{
    size_t each = strlen(open);
    char *text = ad_arena_alloc(&arena, n * (each + 1));
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < each; k++) {
            text[i * each + k] = open[k];
        }
    }
    memset(text + n * each, close, n);
    return ad_str_n(text, n * (each + 1));
}

START_TEST(depth_is_limited)
{
    const struct ad_json *doc;
    const struct ad_json_limits three = { 1 << 20, 3, 100 };
    const struct ad_json_limits more = { 64 << 20, 1000, 10000000 };
    ck_assert_int_eq(ad_json_parse(&arena, nested(64, "[", ']'), NULL, &doc, &info), AD_OK);
    ck_assert_int_eq(ad_json_parse(&arena, nested(65, "[", ']'), NULL, &doc, &info),
                     AD_ERR_TOOLARGE);
    ck_assert_int_eq(ad_json_parse(&arena, nested(65, "[", ']'), &more, &doc, &info),
                     AD_ERR_TOOLARGE);
    ck_assert_int_eq(ad_json_parse(&arena, AD_STR("[[[1]]]"), &three, &doc, &info), AD_OK);
    ck_assert_int_eq(ad_json_parse(&arena, AD_STR("[[[{}]]]"), &three, &doc, &info),
                     AD_ERR_TOOLARGE);
    ck_assert_int_eq(ad_json_parse(&arena, nested(1000000, "[", ']'), NULL, &doc, &info),
                     AD_ERR_TOOLARGE);
    ck_assert_int_eq(ad_json_parse(&arena, nested(1000000, "{\"a\":", '}'), NULL, &doc, &info),
                     AD_ERR_TOOLARGE);
}
END_TEST

START_TEST(bytes_and_nodes_are_limited)
{
    const struct ad_json *doc;
    const struct ad_json_limits five_bytes = { 5, 10, 100 };
    const struct ad_json_limits three_nodes = { 100, 10, 3 };
    ck_assert_int_eq(ad_json_parse(&arena, AD_STR("[1,2]"), &five_bytes, &doc, &info), AD_OK);
    ck_assert_int_eq(ad_json_parse(&arena, AD_STR("[1,2] "), &five_bytes, &doc, &info),
                     AD_ERR_TOOLARGE);
    ck_assert_int_eq(ad_json_parse(&arena, AD_STR("[1,2]"), &three_nodes, &doc, &info), AD_OK);
    ck_assert_int_eq(ad_json_parse(&arena, AD_STR("[1,2,3]"), &three_nodes, &doc, &info),
                     AD_ERR_TOOLARGE);
    struct ad_arena small;
    ad_arena_init(&small, 64);
    ck_assert_int_eq(ad_json_parse(&small, AD_STR("[1,2,3]"), NULL, &doc, &info), AD_ERR_NOMEM);
    ad_arena_fini(&small);
}
END_TEST

/* An object of n keys; the last repeats the key numbered `again`, unless that is n. */
static struct ad_str many_keys(struct ad_buf *b, size_t n, size_t again)
{
    ad_buf_clear(b);
    ad_buf_putc(b, '{');
    for (size_t i = 0; i < n; i++) {
        bool last = i == n - 1;
        ad_buf_fmt(b, "%s\"key-%zu\":0", i ? "," : "", last && again < n ? again : i);
    }
    ad_buf_putc(b, '}');
    ck_assert_int_eq(ad_buf_status(b), AD_OK);
    return ad_buf_str(b);
}

START_TEST(duplicate_keys_are_found_in_objects_of_any_size)
{
    static const size_t sizes[] = { 2, 3, 63, 64, 65, 66, 67, 128, 129, 1000, 100000 };
    struct ad_buf b;
    ad_buf_init(&b, 16 << 20);
    for (size_t i = 0; i < AD_LEN(sizes); i++) {
        size_t n = sizes[i];
        const size_t agains[] = { 0, (n - 1) / 2, n - 2 };
        const struct ad_json *doc;
        ck_assert_int_eq(ad_json_parse(&arena, many_keys(&b, n, n), NULL, &doc, &info), AD_OK);
        ck_assert_uint_eq(doc->count, n);
        for (size_t k = 0; k < AD_LEN(agains); k++) {
            enum ad_err err = ad_json_parse(&arena, many_keys(&b, n, agains[k]), NULL, &doc, &info);
            ck_assert_msg(err == AD_ERR_PARSE, "key %zu again after %zu", agains[k], n);
        }
        ad_arena_reset(&arena);
    }
    ad_buf_fini(&b);
}
END_TEST

START_TEST(a_long_escaped_string_needs_memory_beyond_the_scratch)
{
    static char text[200000];
    memset(text, 'x', sizeof(text));
    text[0] = text[sizeof(text) - 2] = '"';
    text[sizeof(text) - 1] = '\0';
    memcpy(text + 1, "\\n", 2);
    memcpy(text + 150000, "\\n", 2);
    const struct ad_json *v = parse(text);
    ck_assert_uint_eq(v->str.n, sizeof(text) - 5);
    ck_assert_int_eq(v->str.p[0], '\n');
    ck_assert_int_eq(v->str.p[149998], '\n');
    ck_assert_int_eq(v->str.p[v->str.n - 1], 'x');
}
END_TEST

/* Large enough for each place that allocates: chunks, key table, unescaping. */
static enum ad_err parse_large(void *ctx)
{
    const struct ad_buf *text = ctx;
    struct ad_arena a;
    ad_arena_init(&a, 16 << 20);
    const struct ad_json *doc;
    enum ad_err err = ad_json_parse(&a, ad_buf_str(text), NULL, &doc, NULL);
    ad_arena_fini(&a);
    return err;
}

START_TEST(no_memory_at_any_place_leaks_nothing)
{
    struct ad_buf b;
    ad_buf_init(&b, 1 << 20);
    (void)many_keys(&b, 300, 300);
    b.end--;
    ad_buf_fmt(&b, ",\"long\":\"\\n%09000d\"}", 7);
    ck_assert_int_eq(ad_buf_status(&b), AD_OK);
    torture(parse_large, &b);
    ad_buf_fini(&b);
}
END_TEST

static Suite *suite(void)
{
    const TTest *const tests[] = {
        values_of_every_type_know_what_they_are,
        what_is_json_is_taken_and_what_is_not_is_refused,
        every_cut_of_a_document_is_refused,
        a_mistake_is_told_with_its_place,
        strings_are_unescaped_and_may_hold_nul,
        strings_without_escapes_point_into_the_text,
        every_value_knows_its_own_text,
        paths_lead_to_values_or_to_nothing,
        absent_values_and_wrong_types_give_nothing,
        numbers_are_converted_only_when_they_fit,
        depth_is_limited,
        bytes_and_nodes_are_limited,
        duplicate_keys_are_found_in_objects_of_any_size,
        a_long_escaped_string_needs_memory_beyond_the_scratch,
    };
    Suite *s = suite_create("json");
    TCase *tcase = tcase_create("json");
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < AD_LEN(tests); i++) {
        tcase_add_test(tcase, tests[i]);
    }
    suite_add_tcase(s, tcase);
    TCase *memory = tcase_create("memory");
    tcase_add_test(memory, no_memory_at_any_place_leaks_nothing);
    suite_add_tcase(s, memory);
    return s;
}

RUN_SUITE(suite)
