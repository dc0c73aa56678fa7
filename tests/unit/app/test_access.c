/* Who is it: tokens, and the clients behind trusted proxies. */
#include "app/proxies.h"
#include "app/tokens.h"

#include <string.h>

#include "base/log.h"
#include "support/heap.h"
#include "support/run.h"

static const struct ad_config_token list[] = {
    { "prom", "0123456789abcdef", AD_ROLE_METRICS },
    { "ops", "fedcba9876543210-long", AD_ROLE_OPERATE },
    { NULL, NULL, AD_ROLE_NONE },
};

static void teardown(void)
{
    ad_log_forget_all();
    ck_assert_uint_eq(heap_uninstall(), 0);
}

START_TEST(a_token_is_found_whole_or_not_at_all)
{
    static const struct {
        const char *token, *name;
    } rows[] = {
        { "0123456789abcdef", "prom" },
        { "fedcba9876543210-long", "ops" },
        { "fedcba9876543210", NULL },
        { "0123456789abcdef ", NULL },
        { "0123456789ABCDEF", NULL },
        { "", NULL },
        { NULL, NULL },
    };
    struct ad_tokens *t;
    struct ad_api_who who = { NULL, AD_ROLE_NONE };
    ck_assert_int_eq(ad_tokens_new(list, &t), AD_OK);
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        bool found = ad_tokens_identify(t, ad_str_c(rows[i].token), &who);
        ck_assert_msg(found == (rows[i].name != NULL), "row %zu", i);
        if (found) {
            ck_assert_str_eq(who.name, rows[i].name);
        }
    }
    ck_assert(ad_tokens_identify(t, ad_str_c(list[0].token), &who));
    ck_assert_int_eq(who.role, AD_ROLE_METRICS);
    ad_tokens_free(t);
}
END_TEST

START_TEST(without_tokens_everybody_is_the_local_operator)
{
    struct ad_tokens *t;
    struct ad_api_who who;
    ck_assert_int_eq(ad_tokens_new(NULL, &t), AD_OK);
    ck_assert(ad_tokens_identify(t, AD_STR_NONE, &who));
    ck_assert_str_eq(who.name, "local");
    ck_assert_int_eq(who.role, AD_ROLE_OPERATE);
    ck_assert(ad_tokens_identify(t, AD_STR("whatever a command sends"), &who));
    ad_tokens_free(t);
}
END_TEST

START_TEST(without_memory_there_are_no_tokens)
{
    for (size_t n = 0;; n++) {
        struct ad_tokens *t = NULL;
        heap_fail(n, 1);
        enum ad_err err = ad_tokens_new(list, &t);
        bool failed = heap_failed();
        heap_fail(0, 0);
        ck_assert_int_eq(err, failed ? AD_ERR_NOMEM : AD_OK);
        ad_tokens_free(t);
        ad_log_forget_all();
        if (!failed) {
            break;
        }
    }
}
END_TEST

START_TEST(networks_hold_their_addresses)
{
    static const struct {
        const char *net, *address;
        bool holds;
    } rows[] = {
        { "10.0.0.0/8", "10.255.0.1", true },
        { "10.0.0.0/8", "11.0.0.1", false },
        { "10.1.2.3", "10.1.2.3", true },
        { "10.1.2.3", "10.1.2.4", false },
        { "0.0.0.0/0", "192.0.2.1", true },
        { "0.0.0.0/0", "2001:db8::1", false },
        { "::/0", "2001:db8::1", true },
        { "2001:db8::/33", "2001:db8:7fff::1", true },
        { "::1", "::1", true },
        { "2001:db8::/33", "2001:db8:8000::1", false },
        { "192.168.1.128/25", "192.168.1.127", false },
        { "192.168.1.128/25", "192.168.1.129", true },
        { "10.0.0.0/8", "::ffff:10.1.1.1", true },
        { "10.0.0.0/8", "ten", false },
    };
    static const char *const bad[] = { "",   "10.0.0", "10.0.0.0/",  "10.0.0.0/33", "::/129",
                                       "/8", "a",      "1.2.3.4:80", "::1/-1" };
    struct ad_net net;
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        ck_assert_int_eq(ad_net_parse(ad_str_c(rows[i].net), &net), AD_OK);
        ck_assert_msg(ad_net_holds(&net, ad_str_c(rows[i].address)) == rows[i].holds, "%s in %s",
                      rows[i].address, rows[i].net);
    }
    for (size_t i = 0; i < AD_LEN(bad); i++) {
        ck_assert_msg(ad_net_parse(ad_str_c(bad[i]), &net) == AD_ERR_INVALID, "%s", bad[i]);
    }
}
END_TEST

START_TEST(the_client_is_the_first_address_from_the_end_that_is_no_proxy)
{
    static const char *const trusted[] = { "127.0.0.1", "10.0.0.0/8", NULL };
    static const struct {
        const char *peer, *field, *client;
    } rows[] = {
        { "192.0.2.1:5", "198.51.100.7", "192.0.2.1:5" }, /* says so itself */
        { "127.0.0.1:5", NULL, "127.0.0.1:5" },
        { "127.0.0.1:5", "198.51.100.7", "198.51.100.7" },
        { "127.0.0.1:5", "203.0.113.9, 198.51.100.7, 10.2.3.4", "198.51.100.7" },
        { "127.0.0.1:5", "10.2.3.4", "10.2.3.4" },
        { "127.0.0.1:5", "198.51.100.7, unknown", "127.0.0.1:5" },
        { "127.0.0.1:5", "198.51.100.7,", "127.0.0.1:5" },
        { "[::1]:5", "198.51.100.7", "[::1]:5" },
    };
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        struct ad_http_header h = { AD_STR("X-Forwarded-For"), ad_str_c(rows[i].field) };
        struct ad_exchange x = { .peer = ad_str_c(rows[i].peer),
                                 .headers = &h,
                                 .headers_n = rows[i].field ? 1 : 0 };
        assert_str(ad_client_of(trusted, &x), rows[i].client);
        assert_str(ad_client_of(NULL, &x), rows[i].peer);
    }
}
END_TEST

START_TEST(several_fields_are_one_list)
{
    static const char *const trusted[] = { "127.0.0.1", NULL };
    const struct ad_http_header h[] = {
        { AD_STR("X-Forwarded-For"), AD_STR("203.0.113.9") },
        { AD_STR("Host"), AD_STR("a") },
        { AD_STR("x-forwarded-for"), AD_STR("198.51.100.7, 127.0.0.1") },
    };
    struct ad_exchange x = { .peer = AD_STR("127.0.0.1:5"), .headers = h, .headers_n = AD_LEN(h) };
    assert_str(ad_client_of(trusted, &x), "198.51.100.7");
}
END_TEST

static Suite *access_suite(void)
{
    const TTest *const tests[] = {
        a_token_is_found_whole_or_not_at_all,
        without_tokens_everybody_is_the_local_operator,
        without_memory_there_are_no_tokens,
        networks_hold_their_addresses,
        the_client_is_the_first_address_from_the_end_that_is_no_proxy,
        several_fields_are_one_list,
    };
    Suite *suite = suite_create("access");
    TCase *tcase = tcase_create("access");
    tcase_add_checked_fixture(tcase, heap_install, teardown);
    for (size_t i = 0; i < AD_LEN(tests); i++) {
        tcase_add_test(tcase, tests[i]);
    }
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITE(access_suite)
