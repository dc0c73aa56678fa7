#include "base/registry.h"

#include <stdio.h>

#include "support/heap.h"
#include "support/run.h"
#include "support/torture.h"

/* The registry keeps the pointer only, so anything may be a handler here. */
struct ad_handler {
    char name;
};

static const struct ad_handler handlers[4] = { { 'a' }, { 'b' }, { 'c' }, { 'd' } };

static struct ad_registry *registry;
static struct ad_errinfo info;

static void setup(void)
{
    heap_install();
    ck_assert_int_eq(ad_registry_new(&registry), AD_OK);
}

static void teardown(void)
{
    ad_registry_free(registry);
    ck_assert_uint_eq(heap_uninstall(), 0);
}

static void on_request(void *ctx, struct ad_exchange *x)
{
    (void)ctx;
    (void)x;
}

static enum ad_err add(unsigned methods, const char *pattern)
{
    const struct ad_route route = { .methods = methods, .pattern = pattern, .handler = on_request };
    return ad_registry_route(registry, &route, &info);
}

static void must_add(unsigned methods, const char *pattern)
{
    enum ad_err err = add(methods, pattern);
    ck_assert_msg(err == AD_OK, "%s", info.msg);
}

static void seal(void)
{
    ck_assert_int_eq(ad_registry_seal(registry, &info), AD_OK);
}

static struct ad_str params[AD_ROUTE_PARAMS_MAX];
static unsigned allow;

/* The pattern that takes a request, or "none". */
static const char *match(enum ad_http_method method, const char *path)
{
    const struct ad_route *r = ad_registry_match(registry, method, ad_str_c(path), params, &allow);
    return r ? r->pattern : "none";
}

START_TEST(literals_parameters_and_rests_are_matched)
{
    must_add(AD_HTTP_GET, "/");
    must_add(AD_HTTP_GET, "/api/v1/records/{object}/{id}");
    must_add(AD_HTTP_POST, "/webhooks/attio");
    must_add(AD_HTTP_GET, "/ui/**");
    seal();
    static const struct {
        enum ad_http_method method;
        const char *path, *pattern, *first, *second;
    } rows[] = {
        { AD_HTTP_GET, "/", "/", "", "" },
        { AD_HTTP_POST, "/webhooks/attio", "/webhooks/attio", "", "" },
        { AD_HTTP_GET, "/api/v1/records/people/7", "/api/v1/records/{object}/{id}", "people", "7" },
        { AD_HTTP_GET, "/api/v1/records/p%2Fq/7", "/api/v1/records/{object}/{id}", "p%2Fq", "7" },
        { AD_HTTP_GET, "/ui/", "/ui/**", "", "" },
        { AD_HTTP_GET, "/ui/a/b.js", "/ui/**", "a/b.js", "" },
        { AD_HTTP_GET, "/ui/a//b/", "/ui/**", "a//b/", "" },
        { AD_HTTP_GET, "/ui", "none", "", "" },
        { AD_HTTP_GET, "/uix/a", "none", "", "" },
        { AD_HTTP_GET, "", "none", "", "" },
        { AD_HTTP_GET, "*", "none", "", "" },
        { AD_HTTP_GET, "//", "none", "", "" },
        { AD_HTTP_GET, "/webhooks/attio/", "none", "", "" },
        { AD_HTTP_GET, "/Webhooks/attio", "none", "", "" },
        { AD_HTTP_GET, "/api/v1/records/people", "none", "", "" },
        { AD_HTTP_GET, "/api/v1/records/people/", "none", "", "" },
        { AD_HTTP_GET, "/api/v1/records//7", "none", "", "" },
        { AD_HTTP_GET, "/api/v1/records/people/7/", "none", "", "" },
        { AD_HTTP_GET, "/api/v1/records/people/7/x", "none", "", "" },
        { AD_HTTP_GET, "api/v1/records/people/7", "none", "", "" },
    };
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        ck_assert_msg(
            ad_str_eq(ad_str_c(match(rows[i].method, rows[i].path)), ad_str_c(rows[i].pattern)),
            "%s is taken by %s", rows[i].path, match(rows[i].method, rows[i].path));
        assert_str(params[0], rows[i].first);
        assert_str(params[1], rows[i].second);
        ck_assert_ptr_null(params[2].p);
    }
}
END_TEST

START_TEST(the_more_literal_pattern_wins_whatever_the_order)
{
    static const char *const patterns[] = {
        "/a/**", "/a/{x}/c", "/a/b/{y}", "/a/b/c", "/{z}/b/c", "/a/{x}/**", "/**",
    };
    static const struct {
        const char *path, *pattern;
    } rows[] = {
        { "/a/b/c", "/a/b/c" },   { "/a/b/d", "/a/b/{y}" },
        { "/a/x/c", "/a/{x}/c" }, { "/a/x/d", "/a/{x}/**" },
        { "/a/x", "/a/**" },      { "/q/b/c", "/{z}/b/c" },
        { "/q/b/d", "/**" },      { "/a/x/c/d", "/a/{x}/**" },
        { "/a/", "/a/**" },       { "/", "/**" },
    };
    for (size_t turn = 0; turn < AD_LEN(patterns); turn++) {
        ad_registry_free(registry);
        ck_assert_int_eq(ad_registry_new(&registry), AD_OK);
        for (size_t i = 0; i < AD_LEN(patterns); i++) {
            must_add(AD_HTTP_GET, patterns[(i + turn) % AD_LEN(patterns)]);
        }
        seal();
        for (size_t i = 0; i < AD_LEN(rows); i++) {
            ck_assert_str_eq(match(AD_HTTP_GET, rows[i].path), rows[i].pattern);
        }
    }
}
END_TEST

START_TEST(an_unknown_method_names_those_the_path_knows)
{
    must_add(AD_HTTP_GET, "/a/{x}");
    must_add(AD_HTTP_POST | AD_HTTP_PUT, "/a/{y}");
    must_add(AD_HTTP_DELETE, "/a/b");
    seal();
    ck_assert_str_eq(match(AD_HTTP_PATCH, "/a/b"), "none");
    ck_assert_uint_eq(allow,
                      AD_HTTP_GET | AD_HTTP_HEAD | AD_HTTP_POST | AD_HTTP_PUT | AD_HTTP_DELETE);
    ck_assert_str_eq(match(AD_HTTP_OTHER, "/a/c"), "none");
    ck_assert_uint_eq(allow, AD_HTTP_GET | AD_HTTP_HEAD | AD_HTTP_POST | AD_HTTP_PUT);
    ck_assert_ptr_null(params[0].p);
    ck_assert_str_eq(match(AD_HTTP_GET, "/b"), "none");
    ck_assert_uint_eq(allow, 0);
    ck_assert_str_eq(match(AD_HTTP_PUT, "/a/b"), "/a/{y}");
    assert_str(params[0], "b");
}
END_TEST

START_TEST(head_follows_get)
{
    must_add(AD_HTTP_GET, "/a");
    must_add(AD_HTTP_POST, "/a");
    must_add(AD_HTTP_POST, "/b");
    seal();
    ck_assert_str_eq(match(AD_HTTP_HEAD, "/a"), "/a");
    ck_assert_str_eq(match(AD_HTTP_HEAD, "/b"), "none");
}
END_TEST

START_TEST(two_routes_for_the_same_requests_are_a_conflict)
{
    must_add(AD_HTTP_GET | AD_HTTP_POST, "/a/{x}");
    must_add(AD_HTTP_GET, "/a");
    must_add(AD_HTTP_GET, "/a/b/**");
    ck_assert_int_eq(add(AD_HTTP_POST, "/a/{other}"), AD_ERR_CONFLICT);
    ck_assert_str_eq(info.msg, "routes /a/{x} and /a/{other} take the same requests");
    ck_assert_int_eq(add(AD_HTTP_HEAD, "/a"), AD_ERR_CONFLICT);
    ck_assert_int_eq(add(AD_HTTP_GET, "/a/b/**"), AD_ERR_CONFLICT);
    must_add(AD_HTTP_PUT, "/a/{other}");
    must_add(AD_HTTP_GET, "/a/");
}
END_TEST

START_TEST(a_bad_pattern_is_refused_by_name)
{
    static const char *const patterns[] = {
        "",
        "a",
        "/a//b",
        "/{}",
        "/{a",
        "/a}",
        "/x{a}",
        "/{a}x",
        "/{a{b}}",
        "/**/a",
        "/a*",
        "/*",
        "/{a}/{b}/{c}/{d}/{e}",
        "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17",
    };
    for (size_t i = 0; i < AD_LEN(patterns); i++) {
        ck_assert_msg(add(AD_HTTP_GET, patterns[i]) == AD_ERR_INVALID, "%s", patterns[i]);
        ck_assert(ad_str_contains(ad_str_c(info.msg), ad_str_c(patterns[i])));
    }
    ck_assert_int_eq(add(0, "/a"), AD_ERR_INVALID);
    ck_assert_int_eq(add(AD_HTTP_OTHER, "/a"), AD_ERR_INVALID);
    const struct ad_route no_handler = { .methods = AD_HTTP_GET, .pattern = "/a" };
    ck_assert_int_eq(ad_registry_route(registry, &no_handler, &info), AD_ERR_INVALID);
}
END_TEST

START_TEST(a_sealed_registry_takes_nothing_more)
{
    seal();
    ck_assert_int_eq(add(AD_HTTP_GET, "/a"), AD_ERR_INVALID);
    ck_assert_int_eq(ad_registry_on(registry, "*", &handlers[0], &info), AD_ERR_INVALID);
    ck_assert_int_eq(ad_registry_seal(registry, &info), AD_ERR_INVALID);
    ck_assert_str_eq(match(AD_HTTP_GET, "/a"), "none");
}
END_TEST

static void on(const char *types, size_t handler)
{
    ck_assert_int_eq(ad_registry_on(registry, types, &handlers[handler], &info), AD_OK);
}

/* Names of the handlers of a type, in order. */
static const char *handlers_of(const char *type, size_t max)
{
    static char names[8];
    const struct ad_handler *out[4];
    size_t n = ad_registry_handlers(registry, ad_str_c(type), out, max);
    for (size_t i = 0; i < n; i++) {
        names[i] = out[i]->name;
    }
    names[n] = '\0';
    return names;
}

START_TEST(handlers_come_once_and_in_the_order_of_registration)
{
    on("record.updated", 2);
    on("record.*", 0);
    on("*", 1);
    on("record.created", 0);
    on("record.deleted", 0);
    on("list-entry.*", 3);
    seal();
    ck_assert_str_eq(handlers_of("record.updated", 4), "cab");
    ck_assert_str_eq(handlers_of("record.created", 4), "ab");
    ck_assert_str_eq(handlers_of("list-entry.created", 4), "bd");
    ck_assert_str_eq(handlers_of("task.created", 4), "b");
    ck_assert_str_eq(handlers_of("records.created", 4), "b");
    ck_assert_str_eq(handlers_of("record", 4), "b");
    ck_assert_str_eq(handlers_of("record.updated", 2), "ca");
    ck_assert_str_eq(handlers_of("record.updated", 0), "");
}
END_TEST

START_TEST(a_bad_event_type_or_a_repeated_handler_is_refused)
{
    static const char *const types[] = { "",    ".",    "record.", ".created", "rec*",
                                         "*.x", "a..b", "A.b",     "a b",      "record.**" };
    for (size_t i = 0; i < AD_LEN(types); i++) {
        ck_assert_msg(ad_registry_on(registry, types[i], &handlers[0], &info) == AD_ERR_INVALID,
                      "%s", types[i]);
    }
    ck_assert_int_eq(ad_registry_on(registry, "*", NULL, &info), AD_ERR_INVALID);
    on("*", 0);
    on("*", 1);
    ck_assert_int_eq(ad_registry_on(registry, "*", &handlers[0], &info), AD_ERR_CONFLICT);
}
END_TEST

static enum ad_err build(void *ctx)
{
    (void)ctx;
    static char paths[12][8];
    struct ad_registry *r;
    enum ad_err err = ad_registry_new(&r);
    if (err) {
        return err;
    }
    for (size_t i = 0; !err && i < AD_LEN(paths); i++) {
        (void)snprintf(paths[i], sizeof(paths[i]), "/p%zu", i);
        const struct ad_route route = {
            .methods = AD_HTTP_GET,
            .pattern = paths[i],
            .handler = on_request,
        };
        err = ad_registry_route(r, &route, NULL);
    }
    err = err ? err : ad_registry_on(r, "*", &handlers[0], NULL);
    err = err ? err : ad_registry_seal(r, NULL);
    ad_registry_free(r);
    return err;
}

START_TEST(no_memory_at_any_place_leaks_nothing)
{
    torture(build, NULL);
    ad_registry_free(NULL);
}
END_TEST

static Suite *suite(void)
{
    const TTest *const tests[] = {
        literals_parameters_and_rests_are_matched,
        the_more_literal_pattern_wins_whatever_the_order,
        an_unknown_method_names_those_the_path_knows,
        head_follows_get,
        two_routes_for_the_same_requests_are_a_conflict,
        a_bad_pattern_is_refused_by_name,
        a_sealed_registry_takes_nothing_more,
        handlers_come_once_and_in_the_order_of_registration,
        a_bad_event_type_or_a_repeated_handler_is_refused,
    };
    Suite *s = suite_create("registry");
    TCase *tcase = tcase_create("registry");
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < AD_LEN(tests); i++) {
        tcase_add_test(tcase, tests[i]);
    }
    suite_add_tcase(s, tcase);
    TCase *memory = tcase_create("memory");
    tcase_add_test(memory, no_memory_at_any_place_leaks_nothing);
    suite_add_tcase(s, memory);
    return s;
}

RUN_SUITE(suite)
