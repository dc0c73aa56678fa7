#include "base/err.h"

#include <signal.h>
#include <string.h>

#include "support/run.h"

START_TEST(a_code_knows_its_name_text_status_and_retry)
{
    ck_assert_str_eq(ad_err_name(AD_ERR_NOTFOUND), "NOTFOUND");
    ck_assert_str_eq(ad_err_text(AD_ERR_NOTFOUND), "not found");
    ck_assert_uint_eq(ad_err_http(AD_ERR_NOTFOUND), 404);
    ck_assert(!ad_err_retryable(AD_ERR_NOTFOUND));
    ck_assert(ad_err_retryable(AD_ERR_TIMEOUT));
    ck_assert_str_eq(ad_err_name(AD_OK), "OK");
    ck_assert_uint_eq(ad_err_http(AD_OK), 200);
}
END_TEST

START_TEST(an_unknown_code_reads_as_internal)
{
    ck_assert_str_eq(ad_err_name((enum ad_err)9999), "INTERNAL");
    ck_assert_uint_eq(ad_err_http((enum ad_err)9999), 500);
}
END_TEST

START_TEST(fail_sets_code_and_message_and_keeps_the_rest)
{
    struct ad_errinfo info = { .os = 7, .sent = true };
    ck_assert_int_eq(ad_fail(&info, AD_ERR_PARSE, "line %d", 12), AD_ERR_PARSE);
    ck_assert_int_eq(info.code, AD_ERR_PARSE);
    ck_assert_int_eq(info.os, 7);
    ck_assert(info.sent);
    ck_assert_str_eq(info.msg, "line 12");
}
END_TEST

START_TEST(fail_and_prefix_take_no_info)
{
    ck_assert_int_eq(ad_fail(NULL, AD_ERR_BUSY, "x"), AD_ERR_BUSY);
    ad_errinfo_prefix(NULL, "x");
}
END_TEST

START_TEST(a_prefix_goes_in_front_and_the_tail_is_cut)
{
    struct ad_errinfo info = { 0 };
    (void)ad_fail(&info, AD_ERR_PARSE, "bad");
    ad_errinfo_prefix(&info, "page %d", 3);
    ck_assert_str_eq(info.msg, "page 3: bad");
    for (int i = 0; i < 40; i++) {
        ad_errinfo_prefix(&info, "again");
    }
    ck_assert_uint_eq(strlen(info.msg), sizeof(info.msg) - 1);
    ck_assert_int_eq(strncmp(info.msg, "again: again: ", 14), 0);
}
END_TEST

START_TEST(a_cut_message_ends_with_a_whole_character)
{
    struct ad_errinfo info = { 0 };
    char text[260];
    for (size_t shift = 0; shift < 4; shift++) {
        memset(text, 'x', shift);
        for (size_t i = shift; i + 4 < sizeof(text); i += 4) {
            memcpy(text + i, "\xf0\x9f\x98\x80", 5);
        }
        (void)ad_fail(&info, AD_ERR_PARSE, "%s", text);
        ck_assert(ad_utf8_valid(ad_str_c(info.msg)));
        ck_assert_uint_gt(strlen(info.msg), sizeof(info.msg) - 5);
        ad_errinfo_prefix(&info, "p");
        ck_assert(ad_utf8_valid(ad_str_c(info.msg)));
    }
}
END_TEST

START_TEST(a_failed_assertion_aborts)
{
    int two = 2;
    AD_ASSERT(two == 2);
    AD_ASSERT(two == 3);
}
END_TEST

static Suite *suite(void)
{
    const TTest *const tests[] = {
        a_code_knows_its_name_text_status_and_retry,   an_unknown_code_reads_as_internal,
        fail_sets_code_and_message_and_keeps_the_rest, fail_and_prefix_take_no_info,
        a_prefix_goes_in_front_and_the_tail_is_cut,    a_cut_message_ends_with_a_whole_character,
    };
    Suite *s = suite_of("err", tests, AD_LEN(tests));
    TCase *aborts = tcase_create("abort");
    tcase_add_test_raise_signal(aborts, a_failed_assertion_aborts, SIGABRT);
    suite_add_tcase(s, aborts);
    return s;
}

RUN_SUITE(suite)
