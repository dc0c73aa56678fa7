#include "attio/retry.h"

#include "support/run.h"

/* 2026-01-01T00:00:00Z */
#define WALL_S INT64_C(1767225600)

START_TEST(the_rule_is_ambiguity)
{
    static const struct {
        const char *what;
        struct ad_retry_try t;
        enum ad_retry want;
    } rows[] = {
        { "refused connection, write", { .err = AD_ERR_NETWORK }, AD_RETRY_LATER },
        { "no name, write", { .err = AD_ERR_DNS }, AD_RETRY_LATER },
        { "never sent, time-out, write", { .err = AD_ERR_TIMEOUT }, AD_RETRY_LATER },
        { "reset after sending, write", { .err = AD_ERR_NETWORK, .sent = true }, AD_RETRY_NO },
        { "reset after sending, read",
          { .err = AD_ERR_NETWORK, .sent = true, .reads_only = true },
          AD_RETRY_LATER },
        { "time-out, write", { .err = AD_ERR_TIMEOUT, .sent = true }, AD_RETRY_NO },
        { "time-out, read",
          { .err = AD_ERR_TIMEOUT, .sent = true, .reads_only = true },
          AD_RETRY_LATER },
        { "500, write", { .err = AD_ERR_UPSTREAM, .sent = true }, AD_RETRY_NO },
        { "500, read",
          { .err = AD_ERR_UPSTREAM, .sent = true, .reads_only = true },
          AD_RETRY_LATER },
        { "garbage, read",
          { .err = AD_ERR_PROTOCOL, .sent = true, .reads_only = true },
          AD_RETRY_LATER },
        { "garbage, write", { .err = AD_ERR_PROTOCOL, .sent = true }, AD_RETRY_NO },
        { "keep-alive race, read",
          { .err = AD_ERR_NETWORK, .sent = true, .reused = true, .reads_only = true },
          AD_RETRY_AT_ONCE },
        { "keep-alive race, write that was sent",
          { .err = AD_ERR_NETWORK, .sent = true, .reused = true },
          AD_RETRY_NO },
        { "keep-alive race, write that was not sent",
          { .err = AD_ERR_NETWORK, .reused = true },
          AD_RETRY_AT_ONCE },
        { "written by two at once, write",
          { .err = AD_ERR_CONFLICT, .asks_again = true },
          AD_RETRY_LATER },
        { "conflict", { .err = AD_ERR_CONFLICT, .reads_only = true }, AD_RETRY_NO },
        { "rejected", { .err = AD_ERR_UPSTREAM_REJECTED, .reads_only = true }, AD_RETRY_NO },
        { "not found", { .err = AD_ERR_NOTFOUND, .reads_only = true }, AD_RETRY_NO },
        { "unauthorized", { .err = AD_ERR_UNAUTHORIZED, .reads_only = true }, AD_RETRY_NO },
        { "too large", { .err = AD_ERR_TOOLARGE, .reads_only = true }, AD_RETRY_NO },
        { "no memory", { .err = AD_ERR_NOMEM, .reads_only = true }, AD_RETRY_NO },
        { "canceled", { .err = AD_ERR_CANCELED, .reads_only = true }, AD_RETRY_NO },
        { "bad certificate", { .err = AD_ERR_TLS, .reads_only = true }, AD_RETRY_NO },
    };
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        ck_assert_msg(ad_retry_decide(&rows[i].t) == rows[i].want, "%s", rows[i].what);
    }
}
END_TEST

START_TEST(backoff_is_even_over_a_range_that_doubles_to_its_cap)
{
    static const uint64_t most[] = { 1000, 2000, 4000, 8000, 16000, 30000, 30000 };
    struct ad_rand r;
    ad_rand_seed(&r, 7);
    for (unsigned failures = 1; failures <= AD_LEN(most); failures++) {
        uint64_t sum = 0;
        uint64_t largest = 0;
        for (int i = 0; i < 4000; i++) {
            uint64_t ms = ad_retry_backoff_ms(&r, failures, AD_RETRY_BASE_MS, AD_RETRY_CAP_MS);
            ck_assert_uint_le(ms, most[failures - 1]);
            largest = ms > largest ? ms : largest;
            sum += ms;
        }
        uint64_t half = most[failures - 1] / 2;
        ck_assert_uint_gt(largest, most[failures - 1] * 95 / 100);
        ck_assert_uint_gt(sum / 4000, half * 95 / 100);
        ck_assert_uint_lt(sum / 4000, half * 105 / 100);
    }
    ck_assert_uint_le(ad_retry_backoff_ms(&r, UINT32_MAX, 1000, 30000), 30000);
}
END_TEST

START_TEST(the_wait_counts_from_the_servers_own_clock)
{
    static const struct {
        const char *after, *date;
        uint64_t want; /* 0: says nothing */
    } rows[] = {
        { "Thu, 01 Jan 2026 00:00:02 GMT", "Thu, 01 Jan 2026 00:00:00 GMT", 2000 },
        { "Thu, 01 Jan 2026 00:00:01 GMT", "Thu, 01 Jan 2026 00:00:00 GMT", 1000 },
        /* Their clock is an hour behind and an hour ahead of ours. */
        { "Wed, 31 Dec 2025 23:00:03 GMT", "Wed, 31 Dec 2025 23:00:00 GMT", 3000 },
        { "Thu, 01 Jan 2026 01:00:03 GMT", "Thu, 01 Jan 2026 01:00:00 GMT", 3000 },
        /* The obsolete forms. */
        { "Thursday, 01-Jan-26 00:00:05 GMT", "Thu Jan  1 00:00:00 2026", 5000 },
        /* This second, the past, far away: kept within limits. */
        { "Thu, 01 Jan 2026 00:00:00 GMT", "Thu, 01 Jan 2026 00:00:00 GMT", 100 },
        { "Wed, 31 Dec 2025 00:00:00 GMT", "Thu, 01 Jan 2026 00:00:00 GMT", 100 },
        { "Thu, 01 Jan 2099 00:00:00 GMT", "Thu, 01 Jan 2026 00:00:00 GMT", 60000 },
        { "5", NULL, 5000 },
        { "0", NULL, 100 },
        { "60", "Thu, 01 Jan 2026 00:00:00 GMT", 60000 },
        { "9223372036854775807", NULL, 60000 },
        { "Thu, 01 Jan 2026 00:00:02 GMT", NULL, 0 },
        { "Thu, 01 Jan 2026 00:00:02 GMT", "yesterday", 0 },
        { NULL, "Thu, 01 Jan 2026 00:00:00 GMT", 0 },
        { "", NULL, 0 },
        { "-1", NULL, 0 },
        { "1.5", NULL, 0 },
        { "soon", "Thu, 01 Jan 2026 00:00:00 GMT", 0 },
        { "99999999999999999999", NULL, 0 },
    };
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        struct ad_http_header h[2];
        size_t n = 0;
        uint64_t ms = 0;
        if (rows[i].after) {
            h[n++] = (struct ad_http_header){ AD_STR("retry-after"), ad_str_c(rows[i].after) };
        }
        if (rows[i].date) {
            h[n++] = (struct ad_http_header){ AD_STR("date"), ad_str_c(rows[i].date) };
        }
        bool said = ad_retry_after_ms(h, n, WALL_S, &ms);
        ck_assert_msg(said == (rows[i].want != 0) && ms == rows[i].want, "row %zu: %lu", i,
                      (unsigned long)ms);
    }
}
END_TEST

START_TEST(without_a_word_from_the_server_the_wait_is_a_second_and_a_bit)
{
    struct ad_rand r;
    ad_rand_seed(&r, 3);
    for (int i = 0; i < 1000; i++) {
        uint64_t ms = ad_retry_default_ms(&r);
        ck_assert_uint_ge(ms, 1000);
        ck_assert_uint_le(ms, 1250);
    }
}
END_TEST

static Suite *suite(void)
{
    static const TTest *tests[4];
    tests[0] = the_rule_is_ambiguity;
    tests[1] = backoff_is_even_over_a_range_that_doubles_to_its_cap;
    tests[2] = the_wait_counts_from_the_servers_own_clock;
    tests[3] = without_a_word_from_the_server_the_wait_is_a_second_and_a_bit;
    return suite_of("retry", tests, AD_LEN(tests));
}

RUN_SUITE(suite)
