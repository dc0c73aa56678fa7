#include "base/json_write.h"

#include <math.h>
#include <stdlib.h>

#include "base/rand.h"
#include "support/heap.h"
#include "support/json_assert.h"
#include "support/run.h"

static struct ad_buf buf;
static struct ad_json_writer w;
static struct ad_arena arena;

static void setup(void)
{
    ad_buf_init(&buf, 1 << 20);
    ad_arena_init(&arena, 1 << 20);
    ad_json_write_init(&w, &buf);
}

static void teardown(void)
{
    ad_buf_fini(&buf);
    ad_arena_fini(&arena);
}

static void again(void)
{
    ad_buf_clear(&buf);
    ad_json_write_init(&w, &buf);
}

START_TEST(a_document_of_every_kind_of_value)
{
    ad_json_obj(&w);
    ad_json_f_str(&w, "s", AD_STR("x"));
    ad_json_f_str(&w, "absent", AD_STR_NONE);
    ad_json_f_str(&w, "empty", AD_STR(""));
    ad_json_f_cstr(&w, "c", "y");
    ad_json_f_cstr(&w, "nothing", NULL);
    ad_json_f_i64(&w, "i", INT64_MIN);
    ad_json_f_bool(&w, "b", true);
    ad_json_key_str(&w, AD_STR("a"));
    ad_json_arr(&w);
    ad_json_w_u64(&w, UINT64_MAX);
    ad_json_w_f64(&w, 0.1);
    ad_json_w_bool(&w, false);
    ad_json_w_null(&w);
    ad_json_w_time(&w, INT64_C(1775038830123456789));
    ad_json_w_number(&w, AD_STR("1.50"));
    ad_json_w_raw(&w, AD_STR("{\"r\": 1}"));
    ad_json_arr(&w);
    ad_json_end(&w);
    ad_json_obj(&w);
    ad_json_end(&w);
    ad_json_end(&w);
    ad_json_end(&w);
    ck_assert_int_eq(ad_json_write_done(&w), AD_OK);
    assert_str(ad_buf_str(&buf),
               "{\"s\":\"x\",\"absent\":null,\"empty\":\"\",\"c\":\"y\",\"nothing\":null,"
               "\"i\":-9223372036854775808,\"b\":true,\"a\":[18446744073709551615,0.1,false,null,"
               "\"2026-04-01T10:20:30.123456789Z\",1.50,{\"r\": 1},[],{}]}");
}
END_TEST

START_TEST(strings_are_escaped)
{
    ad_json_w_str(&w, ad_str_n("\"\\/\b\f\n\r\t\x01\x1f\0\x7f\xc3\xa4", 14));
    ck_assert_int_eq(ad_json_write_done(&w), AD_OK);
    const struct ad_json *doc;
    ck_assert_int_eq(ad_json_parse(&arena, ad_buf_str(&buf), NULL, &doc, NULL), AD_OK);
    ck_assert(ad_str_eq(doc->str, ad_str_n("\"\\/\b\f\n\r\t\x01\x1f\0\x7f\xc3\xa4", 14)));
}
END_TEST

START_TEST(the_writer_allocates_nothing_of_its_own)
{
    ck_assert_ptr_nonnull(ad_buf_reserve(&buf, 1000));
    heap_install();
    ad_json_write_init(&w, &buf);
    ad_json_arr(&w);
    ad_json_w_cstr(&w, "a\nb");
    ad_json_end(&w);
    ck_assert_int_eq(ad_json_write_done(&w), AD_OK);
    ck_assert_uint_eq(heap_requests(), 0);
    ck_assert_uint_eq(heap_uninstall(), 0);
}
END_TEST

START_TEST(pretty_output_is_indented_by_two)
{
    ad_json_write_pretty(&w);
    ad_json_obj(&w);
    ad_json_f_i64(&w, "a", 1);
    ad_json_end(&w);
    ck_assert_int_eq(ad_json_write_done(&w), AD_OK);
    assert_str(ad_buf_str(&buf), "{\n  \"a\": 1\n}\n");
}
END_TEST

START_TEST(doubles_are_short_and_read_back_equal)
{
    static const struct {
        double v;
        const char *text;
    } rows[] = {
        { 0, "0" },           { -0.0, "-0" },
        { 1, "1" },           { 0.1, "0.1" },
        { 1.5, "1.5" },       { 1e300, "1e+300" },
        { 5e-324, "5e-324" }, { 1.0 / 3, "0.3333333333333333" },
    };
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        again();
        ad_json_w_f64(&w, rows[i].v);
        ck_assert_int_eq(ad_json_write_done(&w), AD_OK);
        assert_str(ad_buf_str(&buf), rows[i].text);
    }
    struct ad_rand r;
    ad_rand_seed(&r, 1);
    for (int i = 0; i < 2000; i++) {
        uint64_t bits = ad_rand_u64(&r);
        double v;
        double back;
        memcpy(&v, &bits, sizeof(v));
        if (!isfinite(v)) {
            continue;
        }
        again();
        ad_json_w_f64(&w, v);
        ck_assert_int_eq(ad_json_write_done(&w), AD_OK);
        ad_buf_putc(&buf, '\0');
        back = strtod(ad_buf_str(&buf).p, NULL);
        ck_assert_mem_eq(&v, &back, sizeof(v));
    }
}
END_TEST

START_TEST(what_json_cannot_say_is_invalid)
{
    ad_json_w_f64(&w, INFINITY);
    ck_assert_int_eq(ad_json_write_done(&w), AD_ERR_INVALID);
    again();
    ad_json_w_f64(&w, NAN);
    ck_assert_int_eq(ad_json_write_done(&w), AD_ERR_INVALID);
    again();
    ad_json_w_str(&w, AD_STR("\xff"));
    ck_assert_int_eq(ad_json_write_done(&w), AD_ERR_INVALID);
    again();
    ad_json_obj(&w);
    ad_json_key(&w, "\xed\xa0\x80");
    ad_json_w_null(&w);
    ad_json_end(&w);
    ck_assert_int_eq(ad_json_write_done(&w), AD_ERR_INVALID);
}
END_TEST

static void nothing(void)
{
}

static void open_only(void)
{
    ad_json_obj(&w);
}

static void end_too_many(void)
{
    ad_json_arr(&w);
    ad_json_end(&w);
    ad_json_end(&w);
}

static void two_documents(void)
{
    ad_json_w_i64(&w, 1);
    ad_json_w_i64(&w, 2);
}

static void value_without_key(void)
{
    ad_json_obj(&w);
    ad_json_w_cstr(&w, "key?");
    ad_json_w_i64(&w, 1);
    ad_json_end(&w);
}

static void object_without_key(void)
{
    ad_json_obj(&w);
    ad_json_obj(&w);
    ad_json_end(&w);
    ad_json_end(&w);
}

static void key_in_array(void)
{
    ad_json_arr(&w);
    ad_json_key(&w, "k");
    ad_json_end(&w);
}

static void key_on_top(void)
{
    ad_json_key(&w, "k");
}

static void two_keys(void)
{
    ad_json_obj(&w);
    ad_json_key(&w, "a");
    ad_json_key(&w, "b");
    ad_json_end(&w);
}

static void key_without_value(void)
{
    ad_json_obj(&w);
    ad_json_key(&w, "a");
    ad_json_end(&w);
}

START_TEST(mistakes_in_the_calls_are_internal)
{
    void (*const mistakes[])(void) = {
        nothing,           open_only,          end_too_many, two_documents,
        value_without_key, object_without_key, key_in_array, key_on_top,
        two_keys,          key_without_value,
    };
    for (size_t i = 0; i < AD_LEN(mistakes); i++) {
        again();
        mistakes[i]();
        ck_assert_msg(ad_json_write_done(&w) == AD_ERR_INTERNAL, "mistake %zu", i);
    }
}
END_TEST

START_TEST(the_first_failure_sticks)
{
    ad_json_arr(&w);
    ad_json_w_str(&w, AD_STR("\xff"));
    ad_json_key(&w, "not here");
    ad_json_w_i64(&w, 1);
    ck_assert_int_eq(ad_json_write_done(&w), AD_ERR_INVALID);
    assert_str(ad_buf_str(&buf), "[");
}
END_TEST

START_TEST(a_full_buffer_is_reported)
{
    struct ad_buf small;
    ad_buf_init(&small, 5);
    ad_json_write_init(&w, &small);
    ad_json_w_cstr(&w, "longer than five");
    ck_assert_int_eq(ad_json_write_done(&w), AD_ERR_TOOLARGE);
    ad_buf_fini(&small);
    heap_install();
    heap_fail(0, 1);
    ad_buf_init(&small, 500);
    ad_json_write_init(&w, &small);
    ad_json_w_i64(&w, 1);
    ck_assert_int_eq(ad_json_write_done(&w), AD_ERR_NOMEM);
    ad_buf_fini(&small);
    ck_assert_uint_eq(heap_uninstall(), 0);
}
END_TEST

START_TEST(depth_is_limited)
{
    for (size_t depth = AD_JSON_DEPTH_MAX; depth <= AD_JSON_DEPTH_MAX + 1; depth++) {
        again();
        for (size_t i = 0; i < depth; i++) {
            ad_json_arr(&w);
        }
        for (size_t i = 0; i < depth; i++) {
            ad_json_end(&w);
        }
        ck_assert_int_eq(ad_json_write_done(&w),
                         depth == AD_JSON_DEPTH_MAX ? AD_OK : AD_ERR_TOOLARGE);
    }
}
END_TEST

START_TEST(parsed_values_are_written_again_without_blanks)
{
    static const struct {
        const char *text, *again;
    } rows[] = {
        { " null ", "null" },
        { "[ ]", "[]" },
        { "{ }", "{}" },
        { "[ 1 , 2.50, true, false, \"a\\u00e4\\n\" ]", "[1,2.50,true,false,\"a\xc3\xa4\\n\"]" },
        { "{ \"a\" : { \"b\" : [ { } , [ ] , [ [ 1 ] ] ] , \"c\" : 1 } , \"d\" : null }",
          "{\"a\":{\"b\":[{},[],[[1]]],\"c\":1},\"d\":null}" },
    };
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        again();
        const struct ad_json *doc;
        ck_assert_int_eq(ad_json_parse(&arena, ad_str_c(rows[i].text), NULL, &doc, NULL), AD_OK);
        ad_json_arr(&w);
        ad_json_w_value(&w, doc);
        ad_json_w_value(&w, NULL);
        ad_json_end(&w);
        ck_assert_int_eq(ad_json_write_done(&w), AD_OK);
        struct ad_str written = ad_buf_str(&buf);
        ck_assert(ad_str_ends(written, AD_STR(",null]")));
        assert_str(ad_str_n(written.p + 1, written.n - 7), rows[i].again);
    }
}
END_TEST

START_TEST(a_value_inside_an_object_is_written_alone)
{
    const struct ad_json *doc;
    ck_assert_int_eq(ad_json_parse(&arena, AD_STR("{\"a\":{\"x\":[1]},\"b\":2}"), NULL, &doc, NULL),
                     AD_OK);
    ad_json_w_value(&w, ad_json_get(doc, "a"));
    ck_assert_int_eq(ad_json_write_done(&w), AD_OK);
    assert_str(ad_buf_str(&buf), "{\"x\":[1]}");
    json_assert(ad_buf_str(&buf), "{'x': [1.0]}");
    json_assert_at(ad_buf_str(&buf), "x[0]", "1");
}
END_TEST

START_TEST(a_value_too_deep_for_the_writer_is_reported)
{
    char text[2 * AD_JSON_DEPTH_MAX];
    memset(text, '[', AD_JSON_DEPTH_MAX);
    memset(text + AD_JSON_DEPTH_MAX, ']', AD_JSON_DEPTH_MAX);
    const struct ad_json *doc;
    ck_assert_int_eq(ad_json_parse(&arena, ad_str_n(text, sizeof(text)), NULL, &doc, NULL), AD_OK);
    ad_json_w_value(&w, doc);
    ck_assert_int_eq(ad_json_write_done(&w), AD_OK);
    again();
    ad_json_arr(&w);
    ad_json_w_value(&w, doc);
    ad_json_end(&w);
    ck_assert_int_eq(ad_json_write_done(&w), AD_ERR_TOOLARGE);
}
END_TEST

static Suite *suite(void)
{
    const TTest *const tests[] = {
        a_document_of_every_kind_of_value,
        strings_are_escaped,
        the_writer_allocates_nothing_of_its_own,
        pretty_output_is_indented_by_two,
        doubles_are_short_and_read_back_equal,
        what_json_cannot_say_is_invalid,
        mistakes_in_the_calls_are_internal,
        the_first_failure_sticks,
        a_full_buffer_is_reported,
        depth_is_limited,
        parsed_values_are_written_again_without_blanks,
        a_value_inside_an_object_is_written_alone,
        a_value_too_deep_for_the_writer_is_reported,
    };
    Suite *s = suite_create("json_write");
    TCase *tcase = tcase_create("json_write");
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < AD_LEN(tests); i++) {
        tcase_add_test(tcase, tests[i]);
    }
    suite_add_tcase(s, tcase);
    return s;
}

RUN_SUITE(suite)
