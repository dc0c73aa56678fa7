/* No memory, at every place: a scenario is run once to count its allocations, then again and
 * again with each of them failing in turn; first that one alone, then that one and all that
 * follow.
 *
 *   static enum ad_err parse_a_page(void *ctx) { ...; return err; }
 *   torture(parse_a_page, NULL);
 *
 * The scenario opens, works, cleans up, and returns its first error. It must return AD_OK when
 * memory is there; with a failing allocation NOMEM, or AD_OK where the code gets by without (a
 * map whose table could not grow). Any other answer, a crash, or memory still held at its end
 * fails the test. */
#ifndef AD_TEST_TORTURE_H
#define AD_TEST_TORTURE_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "support/heap.h"

/* Under valgrind everything is some fifty times as slow, and its own question needs no numbers. */
static inline bool torture_takes_few(void)
{
    const char *form = getenv("ATTIOD_TORTURE");
    return form && strcmp(form, "few") == 0;
}

static inline bool torture_takes_each(void)
{
    const char *form = getenv("ATTIOD_TORTURE");
    return form && strcmp(form, "full") == 0;
}

/* Where a scenario is too slow for each n in every run, n goes up like this: the first places one by
 * one, then ever fewer, so that thousands of places take some dozens of rounds. `tests/run long` sets
 * ATTIOD_TORTURE=full, which takes each, and under valgrind "few". */
static inline size_t torture_next(size_t n)
{
    if (torture_takes_each()) {
        return n + 1;
    }
    return n + 1 + n / (torture_takes_few() ? 2 : 8);
}

/* Where each n is not too slow for every run, but is so under valgrind. */
static inline size_t torture_next_of_all(size_t n)
{
    return torture_takes_few() ? torture_next(n) : n + 1;
}

typedef enum ad_err (*torture_cb)(void *ctx);

static inline void torture(torture_cb scenario, void *ctx)
{
    heap_install();
    enum ad_err err = scenario(ctx);
    size_t requests = heap_requests();
    size_t held = heap_uninstall();
    ck_assert_msg(err == AD_OK, "with memory the scenario gives %s", ad_err_name(err));
    ck_assert_msg(held == 0, "%zu pieces are still held with memory", held);
    size_t step = torture_takes_few() ? 5 : 1; /* odd: both kinds of rounds */
    for (size_t round = 0; round < 2 * requests; round += step) {
        heap_install();
        heap_fail(round / 2, round % 2 ? SIZE_MAX : 1);
        err = scenario(ctx);
        held = heap_uninstall();
        ck_assert_msg(err == AD_OK || err == AD_ERR_NOMEM, "request %zu of %zu failing gives %s",
                      round / 2, requests, ad_err_name(err));
        ck_assert_msg(held == 0, "%zu pieces are still held after request %zu of %zu failed", held,
                      round / 2, requests);
    }
}

#endif
