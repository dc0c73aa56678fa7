#include "base/json.h"

#include <string.h>

#include "base/buf.h"
#include "support/run.h"
#include "support/torture.h"

static struct ad_arena arena;
static struct ad_errinfo info;
static struct ad_buf seen; /* raw text of each element and a bar */
static enum ad_err stop_with;
static size_t stop_after;
static size_t calls;

static void setup(void)
{
    ad_arena_init(&arena, 1 << 20);
    ad_buf_init(&seen, 1 << 20);
    stop_after = SIZE_MAX;
    calls = 0;
}

static void teardown(void)
{
    ad_arena_fini(&arena);
    ad_buf_fini(&seen);
}

static enum ad_err on_element(void *ctx, const struct ad_json *element)
{
    ck_assert_ptr_eq(ctx, &seen);
    ad_buf_put(&seen, element->raw);
    ad_buf_putc(&seen, '|');
    return ++calls > stop_after ? stop_with : AD_OK;
}

static enum ad_err each(const char *text)
{
    ad_buf_clear(&seen);
    calls = 0;
    return ad_json_each(&arena, ad_str_c(text), AD_STR("data"), NULL, on_element, &seen, &info);
}

START_TEST(each_element_is_a_document_of_its_own)
{
    static const struct {
        const char *text, *seen;
    } rows[] = {
        { "{\"data\":[]}", "" },
        { "{\"data\":[1]}", "1|" },
        { " { \"data\" : [ 1 , \"a\\n\" , null , true,false,-1.5 ] } ",
          "1|\"a\\n\"|null|true|false|-1.5|" },
        { "{\"data\":[{},[],{\"a\":[1,{}]},[[2]]]}", "{}|[]|{\"a\":[1,{}]}|[[2]]|" },
        { "{\"a\":{\"data\":[1]},\"data\":[2],\"b\":[{\"data\":[3]}],\"c\":null}", "2|" },
        { "{\"x\":[1,[2]],\"y\":\"\\u00e4\",\"z\":1.5,\"t\":true,\"d\\u0061ta\":[7,8]}", "7|8|" },
        { "{\"data\":[[\"data\"],{\"data\":1}]}", "[\"data\"]|{\"data\":1}|" },
    };
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        ck_assert_msg(each(rows[i].text) == AD_OK, "%s: %s", rows[i].text, info.msg);
        assert_str(ad_buf_str(&seen), rows[i].seen);
    }
}
END_TEST

START_TEST(a_page_without_the_array_or_with_two_is_refused)
{
    static const char *const texts[] = {
        "{}",
        "[]",
        "1",
        "\"data\"",
        "[{\"data\":[1]}]",
        "{\"date\":[1]}",
        "{\"a\":{\"data\":[1]}}",
        "{\"data\":1}",
        "{\"data\":null}",
        "{\"data\":true}",
        "{\"data\":\"x\"}",
        "{\"data\":{}}",
        "{\"data\":{\"data\":[1]}}",
        "{\"data\":[1],\"data\":[2]}",
        "{\"data\":[],\"data\":1}",
    };
    for (size_t i = 0; i < AD_LEN(texts); i++) {
        ck_assert_msg(each(texts[i]) == AD_ERR_PARSE, "%s", texts[i]);
    }
    ck_assert_int_eq(each("{\"date\":[1]}"), AD_ERR_PARSE);
    ck_assert_str_eq(info.msg, "no array \"data\" in the JSON");
    ck_assert_int_eq(each("{\"data\":{}}"), AD_ERR_PARSE);
    ck_assert_int_eq(strncmp(info.msg, "array expected at byte ", 23), 0);
}
END_TEST

START_TEST(what_is_skipped_is_checked_too)
{
    static const char *const texts[] = {
        "{\"a\":\"\\ud800\",\"data\":[]}",
        "{\"a\":[1,\f2],\"data\":[]}",
        "{\"a\":01,\"data\":[]}",
        "{\"data\":[],\"a\":\"\xff\"}",
        "{\"data\":[]} x",
        "{\"data\":[]}\f",
        "{\"data\":[{\"a\":1,\"a\":2}]}",
        "{\"data\":[1,]}",
        "{\"data\":[",
        "{\"\\udc00\":1,\"data\":[]}",
    };
    for (size_t i = 0; i < AD_LEN(texts); i++) {
        ck_assert_msg(each(texts[i]) == AD_ERR_PARSE, "%s", texts[i]);
    }
}
END_TEST

START_TEST(elements_before_a_mistake_are_handed_over)
{
    ck_assert_int_eq(each("{\"data\":[{\"a\":1},2,x"), AD_ERR_PARSE);
    assert_str(ad_buf_str(&seen), "{\"a\":1}|2|");
    ck_assert_str_eq(info.msg, "malformed JSON at byte 20");
}
END_TEST

START_TEST(an_error_of_the_caller_stops_and_is_returned)
{
    stop_with = AD_ERR_STORE_BUSY;
    stop_after = 1;
    ck_assert_int_eq(each("{\"data\":[1,2,3]}"), AD_ERR_STORE_BUSY);
    assert_str(ad_buf_str(&seen), "1|2|");
}
END_TEST

START_TEST(the_arena_holds_one_element_at_a_time)
{
    struct ad_buf page;
    ad_buf_init(&page, 8 << 20);
    ad_buf_put(&page, AD_STR("{\"data\":["));
    for (int i = 0; i < 1000; i++) {
        ad_buf_fmt(&page, "%s{\"n\":[%d,\"a\\n\",[]],\"text\":\"%01000d\"}", i ? "," : "", i, i);
    }
    ad_buf_put(&page, AD_STR("]}"));
    struct ad_arena small;
    ad_arena_init(&small, 8 << 10);
    ck_assert_int_eq(
        ad_json_each(&small, ad_buf_str(&page), AD_STR("data"), NULL, on_element, &seen, &info),
        AD_OK);
    ck_assert_uint_eq(calls, 1000);
    ad_arena_fini(&small);
    ad_buf_fini(&page);
}
END_TEST

START_TEST(depth_counts_from_the_page_and_nodes_from_the_element)
{
    const struct ad_json_limits limits = { 1000, 4, 3 };
    static const struct {
        const char *text;
        enum ad_err err;
    } rows[] = {
        { "{\"data\":[[[]],[[]]]}", AD_OK },
        { "{\"data\":[[[[]]]]}", AD_ERR_TOOLARGE },
        { "{\"a\":[[[]]],\"data\":[]}", AD_OK },
        { "{\"a\":[[[[]]]],\"data\":[]}", AD_ERR_TOOLARGE },
        { "{\"a\":[1,2,3,4,5],\"data\":[[1,2],[3,4],[5,6]]}", AD_OK },
        { "{\"data\":[[1,2,3]]}", AD_ERR_TOOLARGE },
    };
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        enum ad_err err = ad_json_each(&arena, ad_str_c(rows[i].text), AD_STR("data"), &limits,
                                       on_element, &seen, &info);
        ck_assert_msg(err == rows[i].err, "%s: %s", rows[i].text, ad_err_name(err));
    }
}
END_TEST

static enum ad_err on_nested(void *ctx, const struct ad_json *element)
{
    (void)ctx;
    struct ad_arena inner;
    const struct ad_json *doc;
    ad_arena_init(&inner, 1 << 20);
    enum ad_err err = ad_json_parse(&inner, element->raw, NULL, &doc, NULL);
    ad_arena_fini(&inner);
    return err;
}

static enum ad_err read_page(void *ctx)
{
    struct ad_arena a;
    ad_arena_init(&a, 1 << 20);
    const struct ad_buf *page = ctx;
    enum ad_err err =
        ad_json_each(&a, ad_buf_str(page), AD_STR("data"), NULL, on_nested, NULL, NULL);
    ad_arena_fini(&a);
    return err;
}

START_TEST(no_memory_at_any_place_leaks_nothing_also_when_parsers_nest)
{
    struct ad_buf page;
    ad_buf_init(&page, 1 << 20);
    ad_buf_fmt(&page, "{\"data\":[{\"a\":\"\\n%05000d\"},{\"b\":\"\\t%06000d\"}]}", 1, 2);
    torture(read_page, &page);
    ad_buf_fini(&page);
}
END_TEST

static Suite *suite(void)
{
    const TTest *const tests[] = {
        each_element_is_a_document_of_its_own,
        a_page_without_the_array_or_with_two_is_refused,
        what_is_skipped_is_checked_too,
        elements_before_a_mistake_are_handed_over,
        an_error_of_the_caller_stops_and_is_returned,
        the_arena_holds_one_element_at_a_time,
        depth_counts_from_the_page_and_nodes_from_the_element,
        no_memory_at_any_place_leaks_nothing_also_when_parsers_nest,
    };
    Suite *s = suite_create("json_each");
    TCase *tcase = tcase_create("json_each");
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < AD_LEN(tests); i++) {
        tcase_add_test(tcase, tests[i]);
    }
    suite_add_tcase(s, tcase);
    return s;
}

RUN_SUITE(suite)
