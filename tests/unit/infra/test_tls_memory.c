/* TLS without memory: each allocation of ours fails in turn; of mbedTLS's, which asks 50,000 times in one
 * handshake, those that come from a new chain of calls (support/calls.h), as support/torture.h says.
 *
 * Debian builds mbedTLS without its hook for allocation, so this program puts its own calloc before
 * the C library's (and before the sanitizer's) and lets only those calls fail that come from
 * mbedTLS. */
#include "tls_fixture.h"

#include "support/calls.h"
#include "support/run.h"
#include "support/torture.h"

#include <dlfcn.h>

/* --- mbedTLS's memory --- */

extern void *__interceptor_calloc(size_t n, size_t size) __attribute__((weak)); /* NOLINT */

static bool watching, refused;
static size_t asked, fail_from, fail_n, refused_at;

/* dladdr searches for long, and callers are few. */
static bool is_mbedtls(const void *caller)
{
    static struct {
        const void *caller;
        bool is;
    } known[4096];
    size_t i = ((uintptr_t)caller >> 2) % AD_LEN(known);
    if (known[i].caller != caller) {
        Dl_info info;
        known[i].caller = caller;
        known[i].is = dladdr(caller, &info) && info.dli_fname && strstr(info.dli_fname, "libmbed");
    }
    return known[i].is;
}

/* The first new one from fail_from on, and those behind it. */
static bool must_fail(void)
{
    size_t n = asked++;
    if (!refused && n >= fail_from && calls_are_new()) {
        refused = true;
        refused_at = n;
    }
    return refused && n - refused_at < fail_n;
}

void *calloc(size_t n, size_t size) /* NOLINT(readability-inconsistent-declaration-*) */
{
    if (watching && is_mbedtls(__builtin_return_address(0)) && must_fail()) {
        return NULL;
    }
    static void *(*next)(size_t n, size_t size); /* valgrind has its own in the place of that */
    if (!next && __interceptor_calloc) {
        next = __interceptor_calloc;
    } else if (!next) {
        *(void **)(uintptr_t)&next = dlsym(RTLD_NEXT, "calloc");
    }
    return next(n, size);
}

static void watch(size_t from, size_t n)
{
    asked = 0;
    refused = false;
    fail_from = from;
    fail_n = n;
    watching = true;
}

/* --- one connection, with everything that may go wrong --- */

static void reserve(struct tls_fixture *fix)
{
    pair_reserve(fix->lower[0]);
    pair_reserve(fix->lower[1]);
}

static bool is_settled(void *ctx)
{
    (void)ctx;
    return (f.dialed && (f.err || f.c.over)) || f.s.over || !f.s.s || ad_buf_len(&f.c.got) == 4;
}

/* Dials, asks, answers. True when all of it worked. */
static bool connect_and_talk(void)
{
    tls_dial("api.example.com", 5000);
    world_until_count(&f.w, &f.dialed, 1);
    if (f.err) {
        return false;
    }
    tls_try_to_say(&f.c, "ping");
    tls_try_to_say(&f.s, "pong");
    world_until(&f.w, is_settled, NULL);
    return ad_buf_len(&f.c.got) == 4;
}

/* No allocation of the fixture's own may fail: they are all made here. */
static void prepare(void)
{
    tls_open("chain");
    f.on_pair = reserve;
    f.s.leaves = true;
    AD_ASSERT(ad_timers_reserve(ad_loop_timers(f.w.loop), 64) == AD_OK);
    AD_ASSERT(ad_buf_reserve(&f.c.got, 4096) && ad_buf_reserve(&f.s.got, 4096));
}

START_TEST(each_allocation_of_ours_may_fail)
{
    prepare();
    bool failed = true;
    for (size_t n = 0; failed; n = torture_next_of_all(n)) {
        ck_assert_uint_lt(n, 1000);
        tls_fail_from_pair(n, _i ? SIZE_MAX : 1);
        bool worked = connect_and_talk();
        failed = heap_failed();
        heap_fail(0, 0);
        ck_assert(worked || failed);
        tls_hang_up();
    }
    tls_close_all();
}
END_TEST

START_TEST(allocations_of_mbedtls_may_fail)
{
    prepare();
    bool missing = true;
    for (size_t n = 0; missing; n = torture_next(refused_at)) {
        /* No session from before: the same handshake each time. */
        tls_new_client(&(struct ad_tls_client_opts){ .trust_file = certs_path("ca.pem") });
        watch(n, _i ? SIZE_MAX : 1);
        bool worked = connect_and_talk();
        watching = false;
        missing = refused;
        ck_assert(worked || missing);
        ck_assert_msg(worked || f.err == AD_ERR_NOMEM || f.err == AD_ERR_TLS ||
                          f.err == AD_ERR_NETWORK || f.c.over || !f.s.s,
                      "allocation %zu of %zu: %s", refused_at, asked, ad_err_name(f.err));
        tls_hang_up();
    }
    ck_assert_uint_gt(asked, 50);
    tls_close_all();
}
END_TEST

START_TEST(opening_without_memory_says_so)
{
    struct ad_errinfo info;
    struct ad_tls_client *client;
    struct ad_tls_server *server;
    const struct ad_tls_client_opts copts = { .trust_file = certs_path("ca.pem") };
    const struct ad_tls_server_opts sopts = { .cert_file = certs_path("chain.pem"),
                                              .key_file = certs_path("chain.key") };
    prepare();
    bool whole = false;
    for (size_t n = 0; !whole; n = torture_next(refused_at)) {
        watch(n, _i ? SIZE_MAX : 1);
        enum ad_err err = ad_tls_client_open(f.w.loop, &copts, &client, &info);
        enum ad_err err2 = ad_tls_server_open(f.w.loop, &sopts, &server, &info);
        watching = false;
        whole = !refused;
        /* Inside a file mbedTLS does not always tell no memory from nonsense. */
        ck_assert(!err || err == AD_ERR_NOMEM || err == AD_ERR_CONFIG);
        ck_assert(!err2 || err2 == AD_ERR_NOMEM || err2 == AD_ERR_CONFIG);
        if (!err) {
            ad_tls_client_close(client);
        }
        if (!err2) {
            ad_tls_server_close(server);
        }
    }
    tls_close_all();
}
END_TEST

static Suite *tls_memory_suite(void)
{
    Suite *suite = suite_create("tls_memory");
    TCase *tcase = tcase_create("once, and from then on");
    tcase_add_loop_test(tcase, each_allocation_of_ours_may_fail, 0, 2);
    tcase_add_loop_test(tcase, allocations_of_mbedtls_may_fail, 0, 2);
    tcase_add_loop_test(tcase, opening_without_memory_says_so, 0, 2);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    certs_make();
    int status = run_suite(tls_memory_suite());
    certs_remove();
    return status;
}
