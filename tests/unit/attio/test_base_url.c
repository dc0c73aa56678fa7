#include "attio/base_url.h"

#include "support/run.h"

START_TEST(a_url_is_taken_apart)
{
    static const struct {
        const char *url;
        struct ad_base_url want;
    } rows[] = {
        { "https://api.attio.com",
          { .tls = true, .host = "api.attio.com", .port = 443, .origin = "api.attio.com" } },
        { "https://api.attio.com/",
          { .tls = true, .host = "api.attio.com", .port = 443, .origin = "api.attio.com" } },
        { "https://api.attio.com/v2",
          { .tls = true, .host = "api.attio.com", .port = 443, .origin = "api.attio.com" } },
        { "HTTPS://api.attio.com:443/v2/",
          { .tls = true, .host = "api.attio.com", .port = 443, .origin = "api.attio.com" } },
        { "https://proxy.example:8443/attio/eu/v2",
          { .tls = true,
            .host = "proxy.example",
            .port = 8443,
            .origin = "proxy.example:8443",
            .prefix = "/attio/eu" } },
        { "http://127.0.0.1:4010",
          { .loopback = true, .host = "127.0.0.1", .port = 4010, .origin = "127.0.0.1:4010" } },
        { "http://localhost",
          { .loopback = true, .host = "localhost", .port = 80, .origin = "localhost" } },
        { "http://[::1]:4010/v2",
          { .loopback = true, .host = "::1", .port = 4010, .origin = "[::1]:4010" } },
    };
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        struct ad_base_url u;
        struct ad_errinfo info = { .code = AD_OK };
        enum ad_err err = ad_base_url_parse(ad_str_c(rows[i].url), false, &u, &info);
        ck_assert_msg(err == AD_OK, "%s: %s", rows[i].url, info.msg);
        ck_assert_int_eq(u.tls, rows[i].want.tls);
        ck_assert_int_eq(u.loopback, rows[i].want.loopback);
        ck_assert_uint_eq(u.port, rows[i].want.port);
        ck_assert_str_eq(u.host, rows[i].want.host);
        ck_assert_str_eq(u.origin, rows[i].want.origin);
        ck_assert_str_eq(u.prefix, rows[i].want.prefix);
    }
}
END_TEST

START_TEST(what_is_wrong_is_refused_with_a_reason)
{
    static const struct {
        const char *url, *why;
    } rows[] = {
        { "", "must begin with https://" },
        { "api.attio.com", "must begin with https://" },
        { "ftp://api.attio.com", "must begin with https://" },
        { "https://", "names no host" },
        { "https:///v2", "names no host" },
        { "https://:443", "names no host" },
        { "https://a:0", "has a port that is none" },
        { "https://a:65536", "has a port that is none" },
        { "https://a:", "has a port that is none" },
        { "https://a:b:c", "has a port that is none" },
        { "https://[::1", "names no host" },
        { "https://[::1]x", "has something behind the address" },
        { "https://key@api.attio.com", "must not hold a user name or password" },
        { "https://a/v2?x=1", "must not have a query or a fragment" },
        { "https://a/#x", "must not have a query or a fragment" },
        { "https://a b", "holds a blank" },
        { "https://a\r\nX: y", "holds a blank" },
        { "http://api.attio.com", "must be https" },
        { "http://127.0.0.1.example.com", "must be https" },
    };
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        struct ad_base_url u;
        struct ad_errinfo info = { .code = AD_OK };
        enum ad_err err = ad_base_url_parse(ad_str_c(rows[i].url), false, &u, &info);
        ck_assert_msg(err == AD_ERR_CONFIG, "%s", rows[i].url);
        ck_assert_msg(strstr(info.msg, rows[i].why) != NULL, "%s: %s", rows[i].url, info.msg);
    }
}
END_TEST

START_TEST(plain_http_to_elsewhere_has_to_be_allowed)
{
    struct ad_base_url u;
    ck_assert_int_eq(ad_base_url_parse(AD_STR("http://attio.test:8080"), true, &u, NULL), AD_OK);
    ck_assert(!u.tls);
    ck_assert(!u.loopback);
    ck_assert_uint_eq(u.port, 8080);
}
END_TEST

START_TEST(what_does_not_fit_is_refused)
{
    char url[1024];
    struct ad_base_url u;
    memset(url, 'a', sizeof(url));
    struct ad_str begin = AD_STR("https://");
    memcpy(url, begin.p, begin.n);
    ck_assert_int_eq(ad_base_url_parse(ad_str_n(url, 8 + 256), false, &u, NULL), AD_ERR_CONFIG);
    url[9] = '/';
    ck_assert_int_eq(ad_base_url_parse(ad_str_n(url, 600), false, &u, NULL), AD_ERR_CONFIG);
    ck_assert_int_eq(ad_base_url_parse(ad_str_n(url, 9 + 255), false, &u, NULL), AD_OK);
}
END_TEST

static Suite *suite(void)
{
    static const TTest *tests[4];
    tests[0] = a_url_is_taken_apart;
    tests[1] = what_is_wrong_is_refused_with_a_reason;
    tests[2] = plain_http_to_elsewhere_has_to_be_allowed;
    tests[3] = what_does_not_fit_is_refused;
    return suite_of("base_url", tests, AD_LEN(tests));
}

RUN_SUITE(suite)
