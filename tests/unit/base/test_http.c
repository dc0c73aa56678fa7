#include "base/http.h"

#include <signal.h>

#include "support/run.h"

static struct ad_arena arena;

static void setup(void)
{
    ad_arena_init(&arena, 1 << 16);
}

static void teardown(void)
{
    ad_arena_fini(&arena);
}

START_TEST(methods_have_names_and_unknown_ones_are_other)
{
    for (unsigned m = AD_HTTP_GET; m < AD_HTTP_OTHER; m <<= 1) {
        const char *name = ad_http_method_name((enum ad_http_method)m);
        ck_assert_uint_eq(ad_http_method_parse(ad_str_c(name)), m);
    }
    ck_assert_str_eq(ad_http_method_name(AD_HTTP_PATCH), "PATCH");
    ck_assert_str_eq(ad_http_method_name(AD_HTTP_OTHER), "OTHER");
    ck_assert_int_eq(ad_http_method_parse(AD_STR("get")), AD_HTTP_OTHER);
    ck_assert_int_eq(ad_http_method_parse(AD_STR("")), AD_HTTP_OTHER);
}
END_TEST

START_TEST(reasons_are_known_for_the_statuses_we_send)
{
    ck_assert_str_eq(ad_http_reason(200), "OK");
    ck_assert_str_eq(ad_http_reason(404), "Not Found");
    ck_assert_str_eq(ad_http_reason(299), "Unknown");
    for (int e = AD_OK; e <= AD_ERR_INTERNAL; e++) {
        ck_assert_str_ne(ad_http_reason(ad_err_http((enum ad_err)e)), "Unknown");
    }
}
END_TEST

START_TEST(headers_are_found_without_case_and_counted)
{
    const struct ad_http_header h[] = {
        { AD_STR("Host"), AD_STR("a") },
        { AD_STR("X-A"), AD_STR("1") },
        { AD_STR("x-a"), AD_STR("2") },
        { AD_STR("Empty"), AD_STR_NONE },
    };
    assert_str(ad_http_header(h, AD_LEN(h), "host"), "a");
    assert_str(ad_http_header(h, AD_LEN(h), "X-a"), "1");
    ck_assert_ptr_nonnull(ad_http_header(h, AD_LEN(h), "empty").p);
    ck_assert_ptr_null(ad_http_header(h, AD_LEN(h), "hos").p);
    ck_assert_ptr_null(ad_http_header(NULL, 0, "host").p);
    ck_assert_uint_eq(ad_http_header_count(h, AD_LEN(h), "X-A"), 2);
    ck_assert_uint_eq(ad_http_header_count(h, AD_LEN(h), "none"), 0);
}
END_TEST

START_TEST(percent_escapes_are_decoded_strictly)
{
    static const struct {
        const char *text;
        bool plus;
        const char *decoded; /* NULL: refused */
    } rows[] = {
        { "plain", false, "plain" },
        { "", false, "" },
        { "a%20b", false, "a b" },
        { "%41%4a%4A", false, "AJJ" },
        { "a+b", false, "a+b" },
        { "a+b%2B", true, "a b+" },
        { "%E2%82%AC", false, "\xe2\x82\xac" },
        { "%", false, NULL },
        { "%4", false, NULL },
        { "a%4", false, NULL },
        { "%g0", false, NULL },
        { "%%41", false, NULL },
        { "%00", false, NULL },
        { "%2500", false, "%00" },
    };
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        struct ad_str out = AD_STR("untouched");
        bool ok = ad_percent_decode(&arena, ad_str_c(rows[i].text), rows[i].plus, &out);
        ck_assert_msg(ok == (rows[i].decoded != NULL), "%s", rows[i].text);
        assert_str(out, ok ? rows[i].decoded : "untouched");
    }
    struct ad_str out;
    ck_assert(!ad_percent_decode(&arena, ad_str_n("a\0b", 3), false, &out));
}
END_TEST

START_TEST(encoding_escapes_all_but_unreserved_characters)
{
    struct ad_buf b;
    ad_buf_init(&b, 4096);
    ad_percent_encode(&b, AD_STR("aZ9-._~ /?&=+%\xc3\xa4"));
    assert_str(ad_buf_str(&b), "aZ9-._~%20%2F%3F%26%3D%2B%25%C3%A4");
    ad_buf_clear(&b);
    char all[256];
    for (size_t i = 0; i < 256; i++) {
        all[i] = (char)(i ? i : 1);
    }
    ad_percent_encode(&b, ad_str_n(all, 256));
    struct ad_str back;
    ck_assert(ad_percent_decode(&arena, ad_buf_str(&b), true, &back));
    ck_assert(ad_str_eq(back, ad_str_n(all, 256)));
    ad_buf_fini(&b);
}
END_TEST

static struct ad_str query(const char *text, const char *name, bool *bad)
{
    struct ad_exchange x = { .query = ad_str_c(text), .arena = &arena };
    return ad_query_get(&x, name, bad);
}

START_TEST(query_parameters_are_found_and_decoded)
{
    bool bad = false;
    assert_str(query("limit=10&q=a+b%26c", "q", &bad), "a b&c");
    assert_str(query("limit=10&q=a", "limit", &bad), "10");
    assert_str(query("li%6dit=10", "limit", &bad), "10");
    ck_assert_ptr_null(query("limit=10", "lim", &bad).p);
    ck_assert_ptr_null(query(NULL, "q", &bad).p);
    ck_assert_ptr_null(query("", "q", &bad).p);
    assert_str(query("a=1&&q=x=y", "q", &bad), "x=y");
    ck_assert_ptr_nonnull(query("q", "q", &bad).p);
    ck_assert_ptr_nonnull(query("q=", "q", &bad).p);
    ck_assert(!bad);
}
END_TEST

START_TEST(a_broken_or_repeated_parameter_is_bad_and_stays_so)
{
    static const char *const texts[] = { "q=1&q=2", "q=%4", "%zz=1&q=1", "q=%00" };
    for (size_t i = 0; i < AD_LEN(texts); i++) {
        bool bad = false;
        ck_assert_ptr_null(query(texts[i], "q", &bad).p);
        ck_assert_msg(bad, "%s", texts[i]);
        (void)query("q=1", "q", &bad);
        ck_assert(bad);
    }
}
END_TEST

static int replies;

static void on_reply(struct ad_exchange *x, const struct ad_reply *reply)
{
    (void)x;
    replies += (int)reply->status;
}

static const struct ad_exchange_ops ops = { .reply = on_reply };

START_TEST(a_reply_reaches_the_exchange)
{
    struct ad_exchange x = { .ops = &ops };
    ad_reply(&x, &(struct ad_reply){ .status = 204 });
    ck_assert_int_eq(replies, 204);
    ck_assert(x.replied);
}
END_TEST

START_TEST(a_second_reply_aborts)
{
    struct ad_exchange x = { .ops = &ops };
    ad_reply(&x, &(struct ad_reply){ .status = 204 });
    ad_reply(&x, &(struct ad_reply){ .status = 204 });
}
END_TEST

static Suite *suite(void)
{
    const TTest *const tests[] = {
        methods_have_names_and_unknown_ones_are_other,
        reasons_are_known_for_the_statuses_we_send,
        headers_are_found_without_case_and_counted,
        percent_escapes_are_decoded_strictly,
        encoding_escapes_all_but_unreserved_characters,
        query_parameters_are_found_and_decoded,
        a_broken_or_repeated_parameter_is_bad_and_stays_so,
        a_reply_reaches_the_exchange,
    };
    Suite *s = suite_create("http");
    TCase *tcase = tcase_create("http");
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < AD_LEN(tests); i++) {
        tcase_add_test(tcase, tests[i]);
    }
    tcase_add_test_raise_signal(tcase, a_second_reply_aborts, SIGABRT);
    suite_add_tcase(s, tcase);
    return s;
}

RUN_SUITE(suite)
