#include "base/timer.h"

#include <string.h>

#include "base/rand.h"
#include "support/heap.h"
#include "support/run.h"

enum { MANY = 500 };

struct item {
    struct ad_timer timer;
    char name;
    uint64_t due; /* what a plain list expects; UINT64_MAX: stopped */
    uint64_t order;
};

static struct ad_timers timers;
static uint64_t now;
static uint64_t armed; /* what the owner was told last */
static int rearms;
static char ran[64];
static size_t ran_n;
static struct item items[MANY];

static uint64_t mono_ms(const struct ad_clock *clock)
{
    (void)clock;
    return now;
}

static const struct ad_clock test_clock = { .mono_ms = mono_ms };

static void on_rearm(struct ad_timers *q, uint64_t at_ms)
{
    ck_assert_ptr_eq(q, &timers);
    armed = at_ms;
    rearms++;
}

static void on_timer(struct ad_timer *t)
{
    ck_assert(!ad_timer_running(t));
    ran[ran_n++ % (sizeof(ran) - 1)] = ad_container_of(t, struct item, timer)->name;
}

static void setup(void)
{
    heap_install();
    now = 1000;
    armed = UINT64_MAX;
    rearms = 0;
    ran_n = 0;
    memset(ran, 0, sizeof(ran));
    memset(items, 0, sizeof(items));
    for (size_t i = 0; i < MANY; i++) {
        items[i].name = (char)('a' + i % 26);
    }
    ad_timers_init(&timers, &test_clock, on_rearm);
}

static void teardown(void)
{
    for (size_t i = 0; i < MANY; i++) {
        ad_timer_stop(&timers, &items[i].timer);
    }
    ad_timers_fini(&timers);
    ck_assert_uint_eq(heap_uninstall(), 0);
}

static void start(size_t i, uint64_t delay_ms)
{
    ad_timer_start(&timers, &items[i].timer, delay_ms, on_timer);
}

static void run_at(uint64_t ms)
{
    now = ms;
    ad_timers_run(&timers);
}

START_TEST(timers_run_in_the_order_of_deadlines_then_of_starting)
{
    start(0, 30);
    start(1, 10);
    start(2, 20);
    start(3, 10);
    run_at(1009);
    ck_assert_str_eq(ran, "");
    run_at(1010);
    ck_assert_str_eq(ran, "bd");
    run_at(2000);
    ck_assert_str_eq(ran, "bdca");
}
END_TEST

START_TEST(restarting_moves_a_timer_and_its_order)
{
    start(0, 10);
    start(1, 10);
    start(0, 10);
    run_at(1010);
    ck_assert_str_eq(ran, "ba");
    start(2, 5);
    start(2, 50);
    run_at(1020);
    ck_assert_str_eq(ran, "ba");
    ck_assert_uint_eq(ad_timers_next(&timers), 1060);
}
END_TEST

START_TEST(a_stopped_timer_does_not_run)
{
    start(0, 10);
    ck_assert(ad_timer_running(&items[0].timer));
    ad_timer_stop(&timers, &items[0].timer);
    ad_timer_stop(&timers, &items[0].timer);
    ad_timer_stop(&timers, &items[1].timer);
    ck_assert(!ad_timer_running(&items[0].timer));
    run_at(5000);
    ck_assert_str_eq(ran, "");
    ck_assert_uint_eq(ad_timers_next(&timers), UINT64_MAX);
}
END_TEST

START_TEST(the_owner_is_told_when_the_earliest_changes)
{
    start(0, 50);
    ck_assert_uint_eq(armed, 1050);
    start(1, 60);
    ck_assert_int_eq(rearms, 1);
    start(2, 40);
    ck_assert_uint_eq(armed, 1040);
    ad_timer_stop(&timers, &items[1].timer);
    ck_assert_int_eq(rearms, 2);
    ad_timer_stop(&timers, &items[2].timer);
    ck_assert_uint_eq(armed, 1050);
    ad_timer_stop(&timers, &items[0].timer);
    ck_assert_uint_eq(armed, UINT64_MAX);
    ck_assert_int_eq(rearms, 4);
}
END_TEST

START_TEST(a_pass_tells_the_owner_once_at_its_end_also_when_nothing_was_due)
{
    start(0, 10);
    start(1, 10);
    start(2, 30);
    rearms = 0;
    run_at(1005);
    ck_assert_int_eq(rearms, 1);
    ck_assert_uint_eq(armed, 1010);
    run_at(1010);
    ck_assert_int_eq(rearms, 2);
    ck_assert_uint_eq(armed, 1030);
}
END_TEST

static void on_start_again(struct ad_timer *t)
{
    on_timer(t);
    ad_timer_start(&timers, t, 0, on_start_again);
    ad_timer_start(&timers, &items[7].timer, 0, on_timer);
}

START_TEST(timers_started_in_a_callback_wait_for_the_next_pass)
{
    ad_timer_start(&timers, &items[0].timer, 10, on_start_again);
    start(1, 10);
    start(2, 11);
    run_at(1011);
    ck_assert_str_eq(ran, "abc");
    ck_assert_uint_eq(armed, 1011);
    ad_timers_run(&timers);
    ck_assert_str_eq(ran, "abca"); /* which has put off the other again */
    ad_timer_stop(&timers, &items[0].timer);
    ad_timers_run(&timers);
    ck_assert_str_eq(ran, "abcah");
}
END_TEST

START_TEST(a_delay_of_zero_runs_in_the_next_pass_of_the_same_time)
{
    start(0, 0);
    ck_assert_uint_eq(armed, 1000);
    ck_assert_str_eq(ran, "");
    ad_timers_run(&timers);
    ck_assert_str_eq(ran, "a");
}
END_TEST

static void on_stop_others(struct ad_timer *t)
{
    on_timer(t);
    ad_timer_stop(&timers, &items[1].timer);
    ad_timer_start(&timers, &items[2].timer, 100, on_timer);
}

START_TEST(a_callback_may_stop_and_delay_those_that_are_due_with_it)
{
    ad_timer_start(&timers, &items[0].timer, 10, on_stop_others);
    start(1, 10);
    start(2, 10);
    start(3, 10);
    run_at(1010);
    ck_assert_str_eq(ran, "ad");
    run_at(1110);
    ck_assert_str_eq(ran, "adc");
}
END_TEST

START_TEST(the_longest_delay_does_not_wrap_around)
{
    start(0, UINT64_MAX);
    start(1, UINT64_MAX - 10);
    run_at(UINT64_MAX - 2);
    ck_assert_str_eq(ran, "");
    ck_assert_uint_eq(ad_timers_next(&timers), UINT64_MAX - 1);
}
END_TEST

START_TEST(reserved_timers_start_without_allocating)
{
    ck_assert_int_eq(ad_timers_reserve(&timers, MANY), AD_OK);
    heap_fail(0, SIZE_MAX);
    for (size_t i = 0; i < MANY; i++) {
        start(i, i);
    }
    ck_assert(!heap_failed());
    ck_assert_int_eq(ad_timers_reserve(&timers, MANY + 1), AD_ERR_NOMEM);
    ck_assert_int_eq(ad_timers_reserve(&timers, SIZE_MAX), AD_ERR_NOMEM);
    ck_assert_uint_eq(ad_timers_next(&timers), 1000);
}
END_TEST

static size_t expected_next(void)
{
    size_t best = MANY;
    for (size_t i = 0; i < MANY; i++) {
        if (items[i].due != UINT64_MAX &&
            (best == MANY || items[i].due < items[best].due ||
             (items[i].due == items[best].due && items[i].order < items[best].order))) {
            best = i;
        }
    }
    return best;
}

static void on_expected(struct ad_timer *t)
{
    struct item *item = ad_container_of(t, struct item, timer);
    ck_assert_uint_eq((size_t)(item - items), expected_next());
    item->due = UINT64_MAX;
}

START_TEST(a_random_history_matches_a_plain_list)
{
    struct ad_rand r;
    ad_rand_seed(&r, 5);
    for (size_t i = 0; i < MANY; i++) {
        items[i].due = UINT64_MAX;
    }
    for (uint64_t step = 0; step < 20000; step++) {
        size_t i = ad_rand_below(&r, MANY);
        uint64_t delay = ad_rand_below(&r, 300);
        switch (ad_rand_below(&r, 4)) {
        case 0:
            ad_timer_stop(&timers, &items[i].timer);
            items[i].due = UINT64_MAX;
            break;
        case 1:
            run_at(now + ad_rand_below(&r, 3));
            break;
        default:
            ad_timer_start(&timers, &items[i].timer, delay, on_expected);
            items[i].due = now + delay;
            items[i].order = step;
        }
        size_t next = expected_next();
        ck_assert_uint_eq(ad_timers_next(&timers), next == MANY ? UINT64_MAX : items[next].due);
        ck_assert_uint_eq(armed, ad_timers_next(&timers));
    }
}
END_TEST

static Suite *suite(void)
{
    const TTest *const tests[] = {
        timers_run_in_the_order_of_deadlines_then_of_starting,
        restarting_moves_a_timer_and_its_order,
        a_stopped_timer_does_not_run,
        the_owner_is_told_when_the_earliest_changes,
        a_pass_tells_the_owner_once_at_its_end_also_when_nothing_was_due,
        timers_started_in_a_callback_wait_for_the_next_pass,
        a_delay_of_zero_runs_in_the_next_pass_of_the_same_time,
        a_callback_may_stop_and_delay_those_that_are_due_with_it,
        the_longest_delay_does_not_wrap_around,
        reserved_timers_start_without_allocating,
        a_random_history_matches_a_plain_list,
    };
    Suite *s = suite_create("timer");
    TCase *tcase = tcase_create("timer");
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < AD_LEN(tests); i++) {
        tcase_add_test(tcase, tests[i]);
    }
    suite_add_tcase(s, tcase);
    return s;
}

RUN_SUITE(suite)
