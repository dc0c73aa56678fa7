#include "base/log.h"

#include <string.h>

#include "base/buf.h"
#include "support/heap.h"
#include "support/json_assert.h"
#include "support/run.h"

static struct ad_buf lines;
static enum ad_log_level last_level;

static int64_t wall_ns(const struct ad_clock *clock)
{
    (void)clock;
    return INT64_C(1775038830123456789);
}

static const struct ad_clock test_clock = { .wall_ns = wall_ns };

static void on_line(void *ctx, enum ad_log_level level, struct ad_str line)
{
    last_level = level;
    ad_buf_put(ctx, line);
}

static void setup(void)
{
    heap_install();
    ad_buf_init(&lines, 1 << 20);
    ad_log_install(on_line, &lines, &test_clock, AD_LOG_JSON);
    ad_log_set_level(AD_LOG_DEBUG);
}

static void teardown(void)
{
    ad_log_install(NULL, NULL, NULL, AD_LOG_JSON);
    ad_log_forget_all();
    ad_buf_fini(&lines);
    ck_assert_uint_eq(heap_uninstall(), 0);
}

/* The text a string value is logged as, in a text line: what is behind "v=". */
static struct ad_str logged_as(const char *key, struct ad_str value)
{
    ad_buf_clear(&lines);
    ad_log_install(on_line, &lines, &test_clock, AD_LOG_TEXT);
    ad_log(AD_LOG_INFO, "e", AD_KS(key, value));
    struct ad_str line = ad_buf_str(&lines);
    ck_assert(ad_str_ends(line, AD_STR("\n")));
    ck_assert_uint_eq(ad_str_find(line, '\n'), line.n - 1);
    (void)ad_str_cut(&line, '=');
    return ad_str_n(line.p, line.n - 1);
}

START_TEST(a_json_line_carries_time_level_event_and_pairs)
{
    ad_log(AD_LOG_WARN, "slow_query", AD_KC("name", "a b"), AD_KI("ms", -12), AD_KB("ok", true),
           AD_KE("err", AD_ERR_TIMEOUT), AD_KC("none", NULL));
    assert_str(ad_buf_str(&lines),
               "{\"time\":\"2026-04-01T10:20:30.123Z\",\"level\":\"warn\",\"event\":\"slow_query\","
               "\"name\":\"a b\",\"ms\":-12,\"ok\":true,\"err\":\"TIMEOUT\",\"none\":null}\n");
    ck_assert_int_eq(last_level, AD_LOG_WARN);
}
END_TEST

START_TEST(a_text_line_quotes_only_what_needs_it)
{
    ad_log_install(on_line, &lines, &test_clock, AD_LOG_TEXT);
    ad_log(AD_LOG_ERROR, "failed", AD_KC("a", "x"), AD_KC("b", "x y"), AD_KC("c", ""),
           AD_KC("d", "k=v"), AD_KI("n", 1), AD_KB("t", false));
    assert_str(ad_buf_str(&lines), "2026-04-01T10:20:30.123Z error failed a=x b=\"x y\" c=\"\" "
                                   "d=\"k=v\" n=1 t=false\n");
}
END_TEST

START_TEST(an_event_needs_no_pairs)
{
    ad_log(AD_LOG_INFO, "started");
    json_assert(ad_buf_str(&lines),
                "{'time':'2026-04-01T10:20:30.123Z','level':'info','event':'started'}");
}
END_TEST

static int evaluated;

static int64_t evaluate(void)
{
    evaluated++;
    return 1;
}

START_TEST(lines_below_the_level_are_dropped_and_not_evaluated)
{
    ad_log_set_level(AD_LOG_WARN);
    ad_log(AD_LOG_INFO, "e", AD_KI("n", evaluate()));
    ck_assert_int_eq(evaluated, 0);
    ck_assert_uint_eq(ad_buf_len(&lines), 0);
    ad_log(AD_LOG_WARN, "e", AD_KI("n", evaluate()));
    ck_assert_int_eq(evaluated, 1);
    ck_assert(!ad_log_wants(AD_LOG_DEBUG));
    ck_assert(ad_log_wants(AD_LOG_ERROR));
}
END_TEST

START_TEST(without_a_sink_lines_are_dropped)
{
    ad_log_install(NULL, NULL, NULL, AD_LOG_JSON);
    ck_assert(!ad_log_wants(AD_LOG_ERROR));
    ad_log_write(AD_LOG_ERROR, "e", &(const struct ad_kv){ .key = NULL });
    ck_assert_uint_eq(ad_buf_len(&lines), 0);
}
END_TEST

static void on_line_log_again(void *ctx, enum ad_log_level level, struct ad_str line)
{
    ad_log(AD_LOG_ERROR, "again");
    on_line(ctx, level, line);
}

START_TEST(a_line_logged_inside_the_sink_is_dropped)
{
    ad_log_install(on_line_log_again, &lines, &test_clock, AD_LOG_TEXT);
    ad_log(AD_LOG_INFO, "one");
    ad_log(AD_LOG_INFO, "two");
    assert_str(ad_buf_str(&lines),
               "2026-04-01T10:20:30.123Z info one\n2026-04-01T10:20:30.123Z info two\n");
}
END_TEST

START_TEST(control_characters_and_bad_bytes_are_escaped)
{
    static const struct {
        const char *value, *logged;
    } rows[] = {
        { "a\nb", "\"a\\u000ab\"" },
        { "a\"b\\c", "\"a\\\"b\\\\c\"" },
        { "\x1b[31m", "\"\\u001b[31m\"" },
        { "\x7f", "\"\\u007f\"" },
        { "\xc2\x9b", "\"\\u009b\"" },
        { "\xc2\xa0", "\"\xc2\xa0\"" },
        { "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"" },
        { "\xff", "\"\\ufffd\"" },
        { "\xc3", "\"\\ufffd\"" },
        { "\xe2\x82", "\"\\ufffd\\ufffd\"" },
        { "\xc0\x80", "\"\\ufffd\\ufffd\"" },
    };
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        assert_str(logged_as("v", ad_str_c(rows[i].value)), rows[i].logged);
    }
    assert_str(logged_as("v", ad_str_n("a\0b", 3)), "\"a\\u0000b\"");
}
END_TEST

START_TEST(addresses_and_phone_numbers_are_masked)
{
    static const struct {
        const char *value, *logged;
    } rows[] = {
        { "ada@example.com", "***" },
        { "<ada.l+x@mail.example.com>", "<***>" },
        { "to:a@b,c@d;e", "to:***,***;e" },
        { "j\xc3\xbcrgen@example.com", "***" },
        { "ada@localhost", "***" },
        { "ada@", "ada@" },
        { "@ada", "@ada" },
        { "+14155550100", "***" },
        { "tel:+14155550100.", "tel:***." },
        { "+1(415)555-0100x", "***x" },
        { "+123456", "+123456" },
        { "+1234567", "***" },
        { "14155550100", "14155550100" },
        { "a+14155550100", "a***" },
        { "2026-04-01T10:20:30+02:00", "2026-04-01T10:20:30+02:00" },
        { "bf071e1f-6035-429d-b874-d83ea64ea13b", "bf071e1f-6035-429d-b874-d83ea64ea13b" },
        { "/api/v1/records/{object}/{id}", "/api/v1/records/{object}/{id}" },
    };
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        struct ad_str logged = logged_as("v", ad_str_c(rows[i].value));
        if (ad_str_starts(logged, AD_STR("\""))) {
            logged = ad_str_n(logged.p + 1, logged.n - 2);
        }
        assert_str(logged, rows[i].logged);
    }
    assert_str(logged_as("v", AD_STR("call +49 170 123 4567 now")), "\"call *** now\"");
}
END_TEST

START_TEST(values_under_keys_that_name_secrets_are_masked)
{
    static const char *const keys[] = { "token",        "access_token",  "Webhook_Secret",
                                        "x-signature",  "authorization", "password",
                                        "attio_api_key" };
    for (size_t i = 0; i < AD_LEN(keys); i++) {
        assert_str(logged_as(keys[i], AD_STR("abc")), "***");
    }
    assert_str(logged_as("key", AD_STR("abc")), "abc");
    ad_buf_clear(&lines);
    ad_log(AD_LOG_INFO, "e", AD_KI("tokens", 7));
    ck_assert(ad_str_ends(ad_buf_str(&lines), AD_STR("tokens=7\n")));
}
END_TEST

START_TEST(hidden_secrets_never_appear)
{
    ck_assert_int_eq(ad_log_hide(AD_STR("short12")), AD_ERR_INVALID);
    ck_assert_int_eq(ad_log_hide(AD_STR("s3cr3t-one")), AD_OK);
    ck_assert_int_eq(ad_log_hide(AD_STR("s3cr3t-one-longer")), AD_OK);
    ck_assert_int_eq(ad_log_hide(AD_STR("s3cr3t-one")), AD_OK);
    ck_assert_int_eq(ad_log_hide(AD_STR("with \"quotes\"/+tail")), AD_OK);
    assert_str(logged_as("v", AD_STR("s3cr3t-one")), "***");
    assert_str(logged_as("v", AD_STR("xs3cr3t-oney")), "x***y");
    assert_str(logged_as("v", AD_STR("s3cr3t-one-longer")), "***");
    assert_str(logged_as("v", AD_STR("s3cr3t-ones3cr3t-one")), "******");
    assert_str(logged_as("v", AD_STR("a with \"quotes\"/+tail b")), "\"a *** b\"");
    /* A secret that begins inside an address and ends behind it. */
    ck_assert_int_eq(ad_log_hide(AD_STR("example/rest-of-it")), AD_OK);
    assert_str(logged_as("v", AD_STR("me@example/rest-of-it.")), "***.");
    ad_log_forget_all();
    assert_str(logged_as("v", AD_STR("s3cr3t-one")), "s3cr3t-one");
    heap_fail(0, 1);
    ck_assert_int_eq(ad_log_hide(AD_STR("s3cr3t-one")), AD_ERR_NOMEM);
}
END_TEST

START_TEST(long_values_are_cut_but_not_inside_a_secret)
{
    char text[2000];
    memset(text, 'x', sizeof(text));
    struct ad_str logged = logged_as("v", ad_str_n(text, sizeof(text)));
    ck_assert_uint_eq(logged.n, 512 + 3);
    ck_assert(ad_str_ends(logged, AD_STR("x...")));
    ck_assert_uint_eq(logged_as("v", ad_str_n(text, 512)).n, 512);
    ck_assert_int_eq(ad_log_hide(AD_STR("top-secret-value")), AD_OK);
    static const char secret[16] = "top-secret-value"; /* a slice: no NUL */
    memcpy(text + 505, secret, sizeof(secret));
    logged = logged_as("v", ad_str_n(text, sizeof(text)));
    ck_assert(!ad_str_contains(logged, AD_STR("top")));
    ck_assert(ad_str_contains(logged, AD_STR("***")));
}
END_TEST

START_TEST(a_line_too_long_says_so_and_stays_json)
{
    char text[512];
    memset(text, '\x01', sizeof(text));
    struct ad_kv kvs[30];
    for (size_t i = 0; i < AD_LEN(kvs) - 1; i++) {
        kvs[i] = AD_KS("k", ad_str_n(text, sizeof(text) - i));
    }
    kvs[AD_LEN(kvs) - 1] = (struct ad_kv){ .key = NULL };
    /* Different keys, or the line would not parse. */
    static const char *const keys[] = { "a", "b", "c", "d", "e", "f" };
    for (size_t i = 0; i < AD_LEN(kvs) - 1; i++) {
        kvs[i].key = i < AD_LEN(keys) ? keys[i] : "z";
    }
    ad_log_write(AD_LOG_INFO, "e", kvs);
    struct ad_str line = ad_buf_str(&lines);
    ck_assert_uint_le(line.n, 8192);
    json_assert_at(line, "truncated", "true");
    json_assert_at(line, "event", "'e'");
    ad_buf_clear(&lines);
    ad_log_install(on_line, &lines, &test_clock, AD_LOG_TEXT);
    ad_log_write(AD_LOG_INFO, "e", kvs);
    ck_assert(ad_str_ends(ad_buf_str(&lines), AD_STR(" truncated=true\n")));
}
END_TEST

START_TEST(a_line_allocates_nothing)
{
    ck_assert_ptr_nonnull(ad_buf_reserve(&lines, 10000));
    size_t requests = heap_requests();
    ad_log(AD_LOG_INFO, "e", AD_KC("v", "ada@example.com"), AD_KI("n", 1));
    ck_assert_uint_eq(heap_requests(), requests);
}
END_TEST

static Suite *suite(void)
{
    const TTest *const tests[] = {
        a_json_line_carries_time_level_event_and_pairs,
        a_text_line_quotes_only_what_needs_it,
        an_event_needs_no_pairs,
        lines_below_the_level_are_dropped_and_not_evaluated,
        without_a_sink_lines_are_dropped,
        a_line_logged_inside_the_sink_is_dropped,
        control_characters_and_bad_bytes_are_escaped,
        addresses_and_phone_numbers_are_masked,
        values_under_keys_that_name_secrets_are_masked,
        hidden_secrets_never_appear,
        long_values_are_cut_but_not_inside_a_secret,
        a_line_too_long_says_so_and_stays_json,
        a_line_allocates_nothing,
    };
    Suite *s = suite_create("log");
    TCase *tcase = tcase_create("log");
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < AD_LEN(tests); i++) {
        tcase_add_test(tcase, tests[i]);
    }
    suite_add_tcase(s, tcase);
    return s;
}

RUN_SUITE(suite)
