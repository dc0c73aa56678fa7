#include "base/clock.h"

#include "base/rand.h"
#include "support/run.h"

START_TEST(rfc_3339_is_read_to_the_letter)
{
    static const struct {
        const char *text;
        bool ok;
        int64_t ns;
    } rows[] = {
        { "1970-01-01T00:00:00Z", true, 0 },
        { "1970-01-01t00:00:00z", true, 0 },
        { "1970-01-01T00:00:00.000000001Z", true, 1 },
        { "1970-01-01T00:00:00.5Z", true, 500000000 },
        { "1969-12-31T23:59:59.999999999Z", true, -1 },
        { "1970-01-01T01:30:00+01:30", true, 0 },
        { "1969-12-31T22:30:00-01:30", true, 0 },
        { "1970-01-01T00:00:00-00:00", true, 0 },
        { "2026-04-01T10:20:30.123456789Z", true, INT64_C(1775038830123456789) },
        { "2024-02-29T00:00:00Z", true, INT64_C(1709164800000000000) },
        { "2000-02-29T00:00:00Z", true, INT64_C(951782400000000000) },
        { "1678-01-01T00:00:00Z", true, INT64_C(-9214560000000000000) },
        { "2261-12-31T23:59:59.999999999Z", true, INT64_C(9214646399999999999) },
        { "2261-12-31T23:59:59.999999999-23:59", true, INT64_C(9214732739999999999) },
        { "1677-12-31T00:00:00Z", false, 0 },
        { "2262-01-01T00:00:00Z", false, 0 },
        { "2023-02-29T00:00:00Z", false, 0 },
        { "1900-02-29T00:00:00Z", false, 0 },
        { "2026-00-01T00:00:00Z", false, 0 },
        { "2026-13-01T00:00:00Z", false, 0 },
        { "2026-01-00T00:00:00Z", false, 0 },
        { "2026-04-31T00:00:00Z", false, 0 },
        { "2026-01-01T24:00:00Z", false, 0 },
        { "2026-01-01T00:60:00Z", false, 0 },
        { "2026-01-01T00:00:60Z", false, 0 },
        { "2026-01-01T00:00:00", false, 0 },
        { "2026-01-01 00:00:00Z", false, 0 },
        { "2026-01-01T00:00:00.Z", false, 0 },
        { "2026-01-01T00:00:00.1234567890Z", false, 0 },
        { "2026-01-01T00:00:00,1Z", false, 0 },
        { "2026-01-01T00:00:00+24:00", false, 0 },
        { "2026-01-01T00:00:00+01:60", false, 0 },
        { "2026-01-01T00:00:00+0100", false, 0 },
        { "2026-01-01T00:00:00+01", false, 0 },
        { "2026-1-01T00:00:00Z", false, 0 },
        { "+026-01-01T00:00:00Z", false, 0 },
        { "2026-01-01T00:00:00ZZ", false, 0 },
        { " 2026-01-01T00:00:00Z", false, 0 },
        { "2026-01-01", false, 0 },
        { "", false, 0 },
    };
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        int64_t ns = 77;
        bool ok = ad_time_parse(ad_str_c(rows[i].text), &ns);
        ck_assert_msg(ok == rows[i].ok, "%s", rows[i].text);
        ck_assert_msg(ns == (ok ? rows[i].ns : 77), "%s: %lld", rows[i].text, (long long)ns);
    }
}
END_TEST

START_TEST(times_are_written_with_the_digits_asked_for)
{
    char out[AD_TIME_MAX];
    int64_t ns = INT64_C(1775038830123456789);
    assert_str(ad_time_format(ns, 0, out), "2026-04-01T10:20:30Z");
    assert_str(ad_time_format(ns, 3, out), "2026-04-01T10:20:30.123Z");
    assert_str(ad_time_format(ns, 6, out), "2026-04-01T10:20:30.123456Z");
    assert_str(ad_time_format(ns, 9, out), "2026-04-01T10:20:30.123456789Z");
    assert_str(ad_time_format(-1, 9, out), "1969-12-31T23:59:59.999999999Z");
    assert_str(ad_time_format(-1, 0, out), "1969-12-31T23:59:59Z");
    assert_str(ad_time_format(INT64_MIN, 9, out), "1677-09-21T00:12:43.145224192Z");
    assert_str(ad_time_format(INT64_MAX, 9, out), "2262-04-11T23:47:16.854775807Z");
}
END_TEST

START_TEST(what_was_written_reads_back_equal)
{
    struct ad_rand r;
    ad_rand_seed(&r, 3);
    for (int i = 0; i < 100000; i++) {
        /* Days one after another, at a random time of each. */
        int64_t ns = (i - 50000) * INT64_C(86400000000000) +
                     (int64_t)ad_rand_below(&r, UINT64_C(86400000000000));
        char out[AD_TIME_MAX];
        int64_t back = 0;
        ck_assert(ad_time_parse(ad_time_format(ns, 9, out), &back));
        ck_assert_int_eq(back, ns);
        int64_t s = 0;
        char date[AD_TIME_MAX];
        int64_t unix_s = ns / AD_NS_PER_S - (ns % AD_NS_PER_S < 0);
        ck_assert(ad_http_date_parse(ad_http_date_format(unix_s, date), 0, &s));
        ck_assert_int_eq(s, unix_s);
    }
}
END_TEST

START_TEST(the_three_forms_of_an_http_date_are_read)
{
    static const struct {
        const char *text;
        bool ok;
        int64_t unix_s;
    } rows[] = {
        { "Sun, 06 Nov 1994 08:49:37 GMT", true, 784111777 },
        { "Sunday, 06-Nov-94 08:49:37 GMT", true, 784111777 },
        { "Sun Nov  6 08:49:37 1994", true, 784111777 },
        { "Wed Nov 16 08:49:37 1994", true, 784975777 },
        { "Mon, 06 Nov 1994 08:49:37 GMT", false, 0 },
        { "Sunday, 06 Nov 1994 08:49:37 GMT", false, 0 },
        { "Sun, 06-Nov-94 08:49:37 GMT", false, 0 },
        { "Sun, 6 Nov 1994 08:49:37 GMT", false, 0 },
        { "Sun, 06 nov 1994 08:49:37 GMT", false, 0 },
        { "Sun, 06 Nov 1994 08:49:37 UTC", false, 0 },
        { "Sun, 06 Nov 1994 08:49:37 +0000", false, 0 },
        { "Sun, 06 Nov 1994 08:49:60 GMT", false, 0 },
        { "Sun, 06 Nov 1994 24:49:37 GMT", false, 0 },
        { "Thu, 31 Nov 1994 08:49:37 GMT", false, 0 },
        { "Sun, 06 Nov 1994 08:49:37 GMT ", false, 0 },
        { "Sun Nov 06 08:49:37 1994", true, 784111777 },
        { "Sun Nov 6 08:49:37 1994", false, 0 },
        { "Sun Nov  6 08:49:37 94", false, 0 },
        { "Sun Nov  6 08:49:37 1994 ", false, 0 },
        { "120", false, 0 },
        { "", false, 0 },
    };
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        int64_t s = 77;
        bool ok = ad_http_date_parse(ad_str_c(rows[i].text), INT64_C(1775038830), &s);
        ck_assert_msg(ok == rows[i].ok, "%s", rows[i].text);
        ck_assert_msg(s == (ok ? rows[i].unix_s : 77), "%s: %lld", rows[i].text, (long long)s);
    }
}
END_TEST

START_TEST(a_two_digit_year_is_at_most_50_years_ahead)
{
    const int64_t in_2026 = INT64_C(1775038830); /* 2026-04-01 */
    const int64_t in_1999 = INT64_C(930000000);
    int64_t s = 0;
    /* 2076-03-31 is within 50 years, 2076-04-30 is not: 1976, which was a Friday. */
    ck_assert(ad_http_date_parse(AD_STR("Tuesday, 31-Mar-76 00:00:00 GMT"), in_2026, &s));
    ck_assert_int_eq(s, INT64_C(3352838400));
    ck_assert(ad_http_date_parse(AD_STR("Friday, 30-Apr-76 00:00:00 GMT"), in_2026, &s));
    ck_assert_int_eq(s, INT64_C(199670400));
    /* Over the turn of the century. */
    ck_assert(ad_http_date_parse(AD_STR("Saturday, 01-Jan-00 00:00:00 GMT"), in_1999, &s));
    ck_assert_int_eq(s, INT64_C(946684800));
}
END_TEST

START_TEST(http_dates_are_written_in_the_fixed_form)
{
    char out[AD_TIME_MAX];
    assert_str(ad_http_date_format(784111777, out), "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_str(ad_http_date_format(0, out), "Thu, 01 Jan 1970 00:00:00 GMT");
    assert_str(ad_http_date_format(-1, out), "Wed, 31 Dec 1969 23:59:59 GMT");
    assert_str(ad_http_date_format(INT64_MAX, out), "Fri, 31 Dec 9999 23:59:59 GMT");
    assert_str(ad_http_date_format(INT64_MIN, out), "Sat, 01 Jan 0000 00:00:00 GMT");
}
END_TEST

static Suite *suite(void)
{
    const TTest *const tests[] = {
        rfc_3339_is_read_to_the_letter,
        times_are_written_with_the_digits_asked_for,
        what_was_written_reads_back_equal,
        the_three_forms_of_an_http_date_are_read,
        a_two_digit_year_is_at_most_50_years_ahead,
        http_dates_are_written_in_the_fixed_form,
    };
    return suite_of("clock", tests, AD_LEN(tests));
}

RUN_SUITE(suite)
