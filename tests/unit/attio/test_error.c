#include "attio/error.h"

#include "base/mem.h"
#include "support/run.h"

#include <stdio.h>

static struct ad_arena arena;

static void setup(void)
{
    ad_arena_init(&arena, 1 << 20);
}

static void teardown(void)
{
    ad_arena_fini(&arena);
}

static enum ad_err class_of(unsigned status, const char *code)
{
    struct ad_attio_error e = { .type = "invalid_request_error" };
    (void)snprintf(e.code, sizeof(e.code), "%s", code);
    return ad_attio_error_class(status, &e);
}

START_TEST(status_decides_then_the_code)
{
    static const struct {
        const char *code;
        unsigned status;
        enum ad_err want;
    } rows[] = {
        { "", 200, AD_OK },
        { "", 201, AD_OK },
        { "", 204, AD_OK },
        { "", 302, AD_ERR_PROTOCOL },
        { "validation_type", 400, AD_ERR_UPSTREAM_REJECTED },
        { "value_not_found", 400, AD_ERR_UPSTREAM_REJECTED },
        { "missing_value", 400, AD_ERR_UPSTREAM_REJECTED },
        { "filter_error", 400, AD_ERR_UPSTREAM_REJECTED },
        { "immutable_value", 400, AD_ERR_UPSTREAM_REJECTED },
        { "system_edit_unauthorized", 400, AD_ERR_UPSTREAM_REJECTED },
        { "quota_exceeded", 400, AD_ERR_UPSTREAM_REJECTED },
        { "self_merge", 400, AD_ERR_UPSTREAM_REJECTED },
        { "a_code_of_next_year", 400, AD_ERR_UPSTREAM_REJECTED },
        { "", 400, AD_ERR_UPSTREAM_REJECTED },
        { "uniqueness_conflict", 400, AD_ERR_CONFLICT },
        { "multiple_match_results", 400, AD_ERR_CONFLICT },
        { "merge_in_progress", 400, AD_ERR_MERGING },
        { "unauthorized", 401, AD_ERR_UNAUTHORIZED },
        { "", 401, AD_ERR_UNAUTHORIZED },
        { "unauthorized", 403, AD_ERR_FORBIDDEN },
        { "billing_error", 403, AD_ERR_FORBIDDEN },
        { "quota_exceeded", 403, AD_ERR_FORBIDDEN },
        { "not_found", 404, AD_ERR_NOTFOUND },
        { "value_not_found", 404, AD_ERR_NOTFOUND },
        { "merge_in_progress", 404, AD_ERR_MERGING },
        { "", 405, AD_ERR_UPSTREAM_REJECTED },
        { "", 408, AD_ERR_UPSTREAM },
        { "slug_conflict", 409, AD_ERR_CONFLICT },
        { "uniqueness_conflict", 409, AD_ERR_CONFLICT },
        { "concurrent_write_conflict", 409, AD_ERR_CONFLICT },
        { "validation_type", 413, AD_ERR_TOOLARGE },
        { "", 414, AD_ERR_TOOLARGE },
        { "", 422, AD_ERR_UPSTREAM_REJECTED },
        { "rate_limit_exceeded", 429, AD_ERR_RATELIMITED },
        { "", 429, AD_ERR_RATELIMITED },
        { "", 500, AD_ERR_UPSTREAM },
        { "", 502, AD_ERR_UPSTREAM },
        { "merge_in_progress", 503, AD_ERR_UPSTREAM },
        { "", 599, AD_ERR_UPSTREAM },
        { "", 999, AD_ERR_UPSTREAM },
    };
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        ck_assert_msg(class_of(rows[i].status, rows[i].code) == rows[i].want, "%u %s gives %s",
                      rows[i].status, rows[i].code,
                      ad_err_name(class_of(rows[i].status, rows[i].code)));
    }
}
END_TEST

START_TEST(a_404_that_is_not_attios_own_deletes_nothing)
{
    struct ad_attio_error e;
    ad_attio_error_read(&arena, AD_STR("<html><h1>404 Not Found</h1></html>"), &e);
    ck_assert_int_eq(ad_attio_error_class(404, &e), AD_ERR_UPSTREAM);
    ad_attio_error_read(&arena, AD_STR_NONE, &e);
    ck_assert_int_eq(ad_attio_error_class(404, &e), AD_ERR_UPSTREAM);
}
END_TEST

START_TEST(an_error_body_gives_type_code_and_message)
{
    struct ad_attio_error e;
    ad_attio_error_read(
        &arena,
        AD_STR("{\"status_code\":404,\"type\":\"invalid_request_error\",\"code\":\"not_found\","
               "\"message\":\"Record with ID \\\"x\\\" not found.\",\"validation_errors\":[{}]}"),
        &e);
    assert_str(ad_str_c(e.type), "invalid_request_error");
    assert_str(ad_str_c(e.code), "not_found");
    assert_str(e.message, "Record with ID \"x\" not found.");
}
END_TEST

START_TEST(whatever_else_a_body_is_it_is_survived)
{
    static const char *const bodies[] = {
        "",
        "<!DOCTYPE html><html><body>502 Bad Gateway</body></html>",
        "{\"status_code\":400,\"type\":\"invalid_requ",
        "[]",
        "null",
        "{}",
        "{\"type\":7,\"code\":{\"a\":1},\"message\":[]}",
        "{\"type\":null,\"code\":null,\"message\":null}",
        "\xff\xfe\x00",
        "{\"code\":\"a\",\"code\":\"b\"}",
    };
    for (size_t i = 0; i < AD_LEN(bodies); i++) {
        struct ad_attio_error e;
        ad_attio_error_read(&arena, ad_str_c(bodies[i]), &e);
        ck_assert_msg(e.type[0] == '\0' && e.code[0] == '\0', "body %zu", i);
        ck_assert_msg(!e.message.p, "body %zu", i);
        ck_assert_int_eq(ad_attio_error_class(400, &e), AD_ERR_UPSTREAM_REJECTED);
    }
}
END_TEST

START_TEST(words_that_could_be_sentences_are_not_taken_over)
{
    struct ad_attio_error e;
    ad_attio_error_read(&arena, AD_STR("{\"type\":\"ann@example.com\",\"code\":\"has a blank\"}"),
                        &e);
    assert_str(ad_str_c(e.type), "");
    assert_str(ad_str_c(e.code), "");
    ad_attio_error_read(&arena,
                        AD_STR("{\"type\":\"a2345678901234567890123456789012\","
                               "\"code\":\"c2345678901234567890123456789012345678901234567\"}"),
                        &e);
    assert_str(ad_str_c(e.type), ""); /* 32 characters do not fit */
    ck_assert_uint_eq(strlen(e.code), 47);
}
END_TEST

START_TEST(a_body_of_a_megabyte_is_not_looked_at)
{
    size_t n = 1 << 20;
    char *body = ad_alloc(n);
    struct ad_attio_error e;
    ck_assert_ptr_nonnull(body);
    memset(body, ' ', n);
    struct ad_str begin = AD_STR("{\"code\":\"not_found\"}");
    memcpy(body, begin.p, begin.n);
    ad_attio_error_read(&arena, ad_str_n(body, n), &e);
    assert_str(ad_str_c(e.code), "");
    ck_assert_uint_eq(ad_arena_used(&arena), 0);
    ad_free(body);
}
END_TEST

START_TEST(what_was_refused_did_nothing)
{
    ck_assert(ad_attio_error_is_refusal(400));
    ck_assert(ad_attio_error_is_refusal(404));
    ck_assert(ad_attio_error_is_refusal(429));
    ck_assert(!ad_attio_error_is_refusal(408));
    ck_assert(!ad_attio_error_is_refusal(500));
    ck_assert(!ad_attio_error_is_refusal(200));
    ck_assert(!ad_attio_error_is_refusal(302));
}
END_TEST

START_TEST(one_conflict_asks_to_try_again)
{
    struct ad_attio_error e = { .code = "concurrent_write_conflict" };
    ck_assert(ad_attio_error_asks_again(&e));
    e = (struct ad_attio_error){ .code = "slug_conflict" };
    ck_assert(!ad_attio_error_asks_again(&e));
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("error");
    TCase *tc = tcase_create("error");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, status_decides_then_the_code);
    tcase_add_test(tc, a_404_that_is_not_attios_own_deletes_nothing);
    tcase_add_test(tc, an_error_body_gives_type_code_and_message);
    tcase_add_test(tc, whatever_else_a_body_is_it_is_survived);
    tcase_add_test(tc, words_that_could_be_sentences_are_not_taken_over);
    tcase_add_test(tc, a_body_of_a_megabyte_is_not_looked_at);
    tcase_add_test(tc, what_was_refused_did_nothing);
    tcase_add_test(tc, one_conflict_asks_to_try_again);
    suite_add_tcase(suite, tc);
    return suite;
}

RUN_SUITE(suite)
