/* Cutting and peeking: as reading would, for every text that reading takes. */
#include "base/json.h"

#include <string.h>

#include "base/buf.h"
#include "base/rand.h"
#include "support/run.h"

static struct ad_arena arena;
static struct ad_errinfo info;
static struct ad_buf text, cut, was_read; /* raw text of each element and a bar */

static void setup(void)
{
    ad_arena_init(&arena, 8 << 20);
    ad_buf_init(&text, 8 << 20);
    ad_buf_init(&cut, 8 << 20);
    ad_buf_init(&was_read, 8 << 20);
}

static void teardown(void)
{
    ad_arena_fini(&arena);
    ad_buf_fini(&text);
    ad_buf_fini(&cut);
    ad_buf_fini(&was_read);
}

static enum ad_err on_cut(void *ctx, struct ad_str element)
{
    ck_assert_ptr_eq(ctx, &cut);
    ad_buf_put(&cut, element);
    ad_buf_putc(&cut, '|');
    return ad_str_eq(element, AD_STR("\"stop\"")) ? AD_ERR_CLOSED : AD_OK;
}

static enum ad_err on_read(void *ctx, const struct ad_json *element)
{
    ad_buf_put(ctx, element->raw);
    ad_buf_putc(ctx, '|');
    return AD_OK;
}

static enum ad_err do_cut(struct ad_str s)
{
    ad_buf_clear(&cut);
    return ad_json_cut(s, AD_STR("data"), on_cut, &cut, &info);
}

static void assert_as_read(struct ad_str s)
{
    ad_buf_clear(&was_read);
    ck_assert_int_eq(ad_json_each(&arena, s, AD_STR("data"), NULL, on_read, &was_read, &info),
                     AD_OK);
    ck_assert_msg(do_cut(s) == AD_OK, "%.*s: %s", AD_FMT(s), info.msg);
    ck_assert_msg(ad_str_eq(ad_buf_str(&cut), ad_buf_str(&was_read)), "%.*s\n%.*s\n%.*s", AD_FMT(s),
                  AD_FMT(ad_buf_str(&cut)), AD_FMT(ad_buf_str(&was_read)));
}

START_TEST(elements_are_what_reading_finds)
{
    static const char *const texts[] = {
        "{\"data\":[]}",
        " { \"data\" : [ 1 , \"a\\n\" , null , true,false,-1.5 ] } ",
        "{\"data\":[{},[],{\"a\":[1,{}]},[[2]]]}",
        "{\"a\":{\"data\":[1]},\"data\":[2],\"b\":[{\"data\":[3]}],\"c\":null}",
        "{\"x\":[1,[2]],\"y\":\"\\u00e4\\\\\",\"z\":1.5,\"data\":[\"]\\\"[\",\"\\\\\"]}",
        "{\"data\":[[\"data\"],{\"data\":1}]}",
    };
    for (size_t i = 0; i < AD_LEN(texts); i++) {
        assert_as_read(ad_str_c(texts[i]));
    }
}
END_TEST

/* NOLINTNEXTLINE(misc-no-recursion): `depth` bounds it */
static void put_random(struct ad_rand *r, unsigned depth)
{
    static const char *const scalars[] = { "1",     "-0.5e3",   "null",           "\"\"",
                                           "\"a\"", "\"\\\"\"", "\"\\\\\"",       "\"[{\"",
                                           "true",  "\"}\\\"",  "\"\\u005c\\\"]", "\" , : \"" };
    uint64_t n = ad_rand_below(r, 6);
    uint64_t what = depth ? ad_rand_below(r, 4) : 3;
    if (what >= 2) {
        const char *s = scalars[ad_rand_below(r, AD_LEN(scalars))];
        bool open = s[0] == '"' && (s[strlen(s) - 1] != '"' || strlen(s) == 5);
        ad_buf_put(&text, ad_str_c(s));
        for (; open && n > 0; n--) {
            ad_buf_put(&text, AD_STR("\\\\xyz[]{}"));
        }
        ad_buf_put(&text, open ? AD_STR("\"") : AD_STR(""));
        return;
    }
    ad_buf_putc(&text, what ? '{' : '[');
    for (uint64_t i = 0; i < n; i++) {
        ad_buf_put(&text, i ? AD_STR(" ,") : AD_STR(""));
        if (what) {
            ad_buf_fmt(&text, "\"key%u\\\"%.*s\" :", (unsigned)i, (int)ad_rand_below(r, 40),
                       "{{{{[[[[\\\\\\\\]]]]]]]]}}}}}}}}}}}}}}}}}}}}");
        }
        put_random(r, depth - 1);
    }
    ad_buf_putc(&text, what ? '}' : ']');
}

/* Every way that quotes, backslashes and brackets can lie over the borders of blocks. */
START_TEST(elements_of_random_pages_are_what_reading_finds)
{
    struct ad_rand r;
    unsigned sound = 0;
    ad_rand_seed(&r, (uint64_t)_i);
    for (unsigned round = 0; round < 400; round++) {
        ad_buf_clear(&text);
        ad_buf_put(&text, AD_STR("{\"data\":["));
        uint64_t n = ad_rand_below(&r, 8);
        for (uint64_t i = 0; i < n; i++) {
            ad_buf_put(&text, i ? AD_STR(",") : AD_STR(""));
            put_random(&r, 4);
        }
        ad_buf_put(&text, AD_STR("]}"));
        ad_buf_clear(&was_read);
        struct ad_str s = ad_buf_str(&text);
        if (!ad_json_each(&arena, s, AD_STR("data"), NULL, on_read, &was_read, NULL)) {
            assert_as_read(s);
            sound++;
        }
    }
    ck_assert_uint_gt(sound, 50);
}
END_TEST

START_TEST(a_page_without_the_array_or_with_two_or_cut_short_is_refused)
{
    static const char *const texts[] = {
        "",
        "{}",
        "[]",
        "1",
        "\"data\"",
        "[{\"data\":[1]}]",
        "{\"date\":[1]}",
        "{\"a\":{\"data\":[1]}}",
        "{\"data\":1}",
        "{\"data\":null}",
        "{\"data\":\"x\"}",
        "{\"data\":{}}",
        "{\"data\":[1],\"data\":[2]}",
        "{\"data\":[]} x",
        "{\"data\":[1,]}",
        "{\"data\":[,1]}",
        "{\"data\":[1 2]}",
        "{\"data\":[",
        "{\"data\":[\"",
        "{\"data\":[1",
        "{\"data\":[1]",
        "{\"data\":[{\"a\":\"}]}\"",
        "{\"data\":[1],}",
        "{\"data\" [1]}",
        "{data:[1]}",
    };
    for (size_t i = 0; i < AD_LEN(texts); i++) {
        ck_assert_msg(do_cut(ad_str_c(texts[i])) == AD_ERR_PARSE, "%s", texts[i]);
    }
    ck_assert_int_eq(do_cut(AD_STR("{\"date\":[1]}")), AD_ERR_PARSE);
    ck_assert_str_eq(info.msg, "no array \"data\" in the JSON");
}
END_TEST

/* No byte behind the text is looked at (sanitizers would tell), wherever it ends. */
START_TEST(text_that_ends_anywhere_is_refused)
{
    static const char page[] =
        "{\"data\":[{\"id\":{\"record_id\":\"00000000-0000-4000-8000-000000000001\"},\"values\":"
        "{\"name\":[{\"value\":\"a \\\"b\\\" \\\\\"}],\"x\":[[[[[[[[[[]]]]]]]]]],\"y\":{}}},2]}";
    ck_assert_int_eq(do_cut(ad_str_c(page)), AD_OK);
    for (size_t n = 0; n < sizeof(page) - 1; n++) {
        char *copy = ad_arena_alloc(&arena, n + 1);
        ck_assert_ptr_nonnull(copy);
        memcpy(copy, page, n);
        ck_assert_int_eq(do_cut(ad_str_n(copy, n)), AD_ERR_PARSE);
        ad_arena_reset(&arena);
    }
}
END_TEST

START_TEST(an_error_of_the_caller_stops_and_is_returned)
{
    ck_assert_int_eq(do_cut(AD_STR("{\"data\":[1,\"stop\",3]}")), AD_ERR_CLOSED);
    ck_assert(ad_str_eq(ad_buf_str(&cut), AD_STR("1|\"stop\"|")));
}
END_TEST

START_TEST(peeking_finds_what_a_path_names)
{
    static const char record[] =
        " {\"a\\\"\":1, \"id\" : {\"workspace_id\":\"w\",\"record_id\":\"r\"},"
        "\"values\":{\"x\":[{\"value\":\"}]\"}],\"created_at\":[{\"value\":\"t0\"},{\"value\":"
        "\"t1\"}],\"e\":[]},\"n\":-1.5}";
    static const char *const rows[][2] = {
        { "id.record_id", "\"r\"" },
        { "values.created_at[0].value", "\"t0\"" },
        { "values.created_at[1].value", "\"t1\"" },
        { "values.created_at[1]", "{\"value\":\"t1\"}" },
        { "values.x[0].value", "\"}]\"" },
        { "n", "-1.5" },
        { "values.created_at[2].value", NULL },
        { "values.e[0]", NULL },
        { "values.created_at.value", NULL },
        { "id[0]", NULL },
        { "id.none", NULL },
        { "none.record_id", NULL },
        { "n.m", NULL },
    };
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        struct ad_str found = ad_json_peek(ad_str_c(record), rows[i][0]);
        ck_assert_msg(rows[i][1] ? ad_str_eq(found, ad_str_c(rows[i][1])) : !found.p, "%s: %.*s",
                      rows[i][0], AD_FMT(found));
    }
    ck_assert_ptr_null(ad_json_peek(AD_STR_NONE, "a").p);
    ck_assert_ptr_null(ad_json_peek(AD_STR("{\"a\""), "a").p);
    ck_assert_ptr_null(ad_json_peek(AD_STR("{\"a\":"), "a").p);
    ck_assert_ptr_null(ad_json_peek(AD_STR("{\"a\":[1"), "a[1]").p);
}
END_TEST

static Suite *json_cut_suite(void)
{
    const TTest *const tests[] = {
        elements_are_what_reading_finds,
        a_page_without_the_array_or_with_two_or_cut_short_is_refused,
        text_that_ends_anywhere_is_refused,
        an_error_of_the_caller_stops_and_is_returned,
        peeking_finds_what_a_path_names,
    };
    Suite *suite = suite_create("json_cut");
    TCase *tcase = tcase_create("json_cut");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, elements_of_random_pages_are_what_reading_finds, 0, 8);
    for (size_t i = 0; i < AD_LEN(tests); i++) {
        tcase_add_test(tcase, tests[i]);
    }
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITE(json_cut_suite)
