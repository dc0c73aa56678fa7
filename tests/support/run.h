/* The main of a test file: one suite, run and counted.
 *
 *   RUN_SUITE(buf_suite)
 *
 * Each test is a process of its own unless CK_FORK=no says otherwise (in a debugger, and in tests/run
 * for most); libcheck reads that, and where to write its TAP log, from the environment by itself. */
#ifndef AD_TEST_RUN_H
#define AD_TEST_RUN_H

#include <check.h>
#include <stdlib.h>

#include "base/attr.h"
#include "base/str.h"

static inline int run_suite(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#define RUN_SUITE(make_suite)           \
    int main(void)                      \
    {                                   \
        return run_suite(make_suite()); \
    }

/* One suite of one case from a list of tests; for files that need no fixture. */
static inline Suite *suite_of(const char *name, const TTest *const *tests, size_t n)
{
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);
    for (size_t i = 0; i < n; i++) {
        tcase_add_test(tcase, tests[i]);
    }
    suite_add_tcase(suite, tcase);
    return suite;
}

/* Slices compared as text, so that a failure shows both. */
#define assert_str(actual, expected)                                                          \
    do {                                                                                      \
        struct ad_str a_ = (actual);                                                          \
        struct ad_str e_ = ad_str_c(expected);                                                \
        ck_assert_msg(ad_str_eq(a_, e_), "%s: \"%.*s\" is not \"%.*s\"", #actual, AD_FMT(a_), \
                      AD_FMT(e_));                                                            \
    } while (0)

#endif
