/* The loop: order inside a turn, wake-ups, what is left at the end. */
#include "infra/loop.h"

#include <signal.h>
#include <time.h>

#include "base/mem.h"
#include "infra/net.h"
#include "support/run.h"
#include "support/world.h"

enum { HOUR_MS = 3600 * 1000 };

static struct world w;

static void open_world(void)
{
    world_open(&w);
}

static void open_real_time(void)
{
    world_open_real_time(&w);
}

static void close_world(void)
{
    world_close(&w);
}

/* What ran, in order, one letter each. */
static char trace[64];
static size_t trace_n;

static void note(char c)
{
    ck_assert_uint_lt(trace_n, sizeof(trace) - 1);
    trace[trace_n++] = c;
    trace[trace_n] = '\0';
}

static void start_trace(void)
{
    trace_n = 0;
    trace[0] = '\0';
}

/* --- posts and hooks --- */

static struct ad_post again;

static void on_again(struct ad_post *post)
{
    note('a');
    if (trace_n < 3) {
        ad_loop_post(w.loop, post, on_again);
    }
}

START_TEST(a_post_made_in_a_post_waits_for_the_next_turn)
{
    start_trace();
    again = (struct ad_post){ .cb = NULL };
    ad_loop_post(w.loop, &again, on_again);
    ad_loop_turn(w.loop, 0);
    ck_assert_str_eq(trace, "a");
    ad_loop_turn(w.loop, 0);
    ck_assert_str_eq(trace, "aa");
    ad_loop_turn(w.loop, 0);
    ad_loop_turn(w.loop, 0);
    ck_assert_str_eq(trace, "aaa");
}
END_TEST

static struct ad_post first;
static struct ad_post second;

static void on_first(struct ad_post *post)
{
    (void)post;
    note('1');
    ad_loop_unpost(&second);
}

static void on_second(struct ad_post *post)
{
    (void)post;
    note('2');
}

START_TEST(a_post_taken_back_is_not_called_even_in_the_same_turn)
{
    start_trace();
    first = second = (struct ad_post){ .cb = NULL };
    ad_loop_unpost(&first);
    ad_loop_post(w.loop, &first, on_first);
    ad_loop_post(w.loop, &second, on_second);
    world_settle(&w);
    ck_assert_str_eq(trace, "1");
}
END_TEST

static struct ad_loop_hook hooks[3];
static bool remove_all;

static void on_hook(struct ad_loop_hook *hook)
{
    note((char)('A' + (hook - hooks)));
    if (remove_all) {
        for (size_t i = 0; i < AD_LEN(hooks); i++) {
            ad_loop_hook_remove(&hooks[i]);
        }
    }
}

static void add_hooks(void)
{
    remove_all = false;
    for (size_t i = 0; i < AD_LEN(hooks); i++) {
        hooks[i].cb = on_hook;
        ad_loop_hook_add(w.loop, &hooks[i]);
    }
}

START_TEST(each_hook_runs_once_a_turn_in_order)
{
    start_trace();
    add_hooks();
    ad_loop_turn(w.loop, 0);
    ck_assert_str_eq(trace, "ABC");
    ad_loop_turn(w.loop, 0);
    ck_assert_str_eq(trace, "ABCABC");
    remove_all = true;
    ad_loop_turn(w.loop, 0);
}
END_TEST

START_TEST(a_hook_may_remove_itself_and_those_that_have_not_run)
{
    start_trace();
    add_hooks();
    remove_all = true;
    ad_loop_turn(w.loop, 0);
    ad_loop_turn(w.loop, 0);
    ck_assert_str_eq(trace, "A");
}
END_TEST

static struct ad_timer timer;

static void on_timer(struct ad_timer *t)
{
    (void)t;
    note('t');
    first = (struct ad_post){ .cb = NULL };
    ad_loop_post(w.loop, &first, on_second);
}

START_TEST(timers_run_before_posts_and_posts_before_hooks)
{
    start_trace();
    add_hooks();
    ad_timer_start(ad_loop_timers(w.loop), &timer, 0, on_timer);
    ad_loop_turn(w.loop, 0);
    ck_assert_str_eq(trace, "t2ABC");
    remove_all = true;
    ad_loop_turn(w.loop, 0);
}
END_TEST

/* --- the virtual clock --- */

START_TEST(time_passes_only_when_the_test_says_so)
{
    start_trace();
    uint64_t before = ad_mono_ms(ad_loop_clock(w.loop));
    int64_t wall = ad_wall_ms(ad_loop_clock(w.loop));
    ad_timer_start(ad_loop_timers(w.loop), &timer, HOUR_MS, on_timer);
    world_advance(&w, HOUR_MS - 1);
    ck_assert_str_eq(trace, "");
    world_advance(&w, 1);
    ck_assert_str_eq(trace, "t2");
    ck_assert_uint_eq(ad_mono_ms(ad_loop_clock(w.loop)) - before, HOUR_MS);
    ck_assert_int_eq(ad_wall_ms(ad_loop_clock(w.loop)) - wall, HOUR_MS);
}
END_TEST

static void on_alarm(void *ctx)
{
    (void)ctx;
    note('s');
}

/* Each in its turn: something posted, a deadline that is over, a descriptor to be read, a handle that
 * is closing. */
START_TEST(idle_is_a_loop_with_nothing_to_do)
{
    start_trace();
    struct ad_signals *s = NULL;
    ck_assert_int_eq(ad_signals_open(w.loop, NULL, on_alarm, NULL, &s), AD_OK);
    ad_loop_turn(w.loop, 0);
    ck_assert(ad_loop_is_idle(w.loop));
    again = (struct ad_post){ .cb = NULL };
    ad_loop_post(w.loop, &again, on_second);
    ck_assert(!ad_loop_is_idle(w.loop));
    ad_loop_turn(w.loop, 0);
    ck_assert(ad_loop_is_idle(w.loop));
    ad_timer_start(ad_loop_timers(w.loop), &timer, HOUR_MS, on_timer);
    ck_assert(ad_loop_is_idle(w.loop));
    vclock_advance(&w.clock, HOUR_MS);
    ck_assert(!ad_loop_is_idle(w.loop));
    ad_loop_turn(w.loop, 0);
    ck_assert(ad_loop_is_idle(w.loop));
    (void)raise(SIGHUP);
    ck_assert(!ad_loop_is_idle(w.loop));
    world_settle(&w);
    ck_assert_str_eq(trace, "2t2s");
    ck_assert(ad_loop_is_idle(w.loop));
    ad_signals_close(s);
    ck_assert(!ad_loop_is_idle(w.loop));
}
END_TEST

/* --- real time --- */

static unsigned ticks;

static void on_tick(struct ad_timer *t)
{
    if (++ticks < 3) {
        ad_timer_start(ad_loop_timers(w.loop), t, 0, on_tick);
    }
}

START_TEST(run_ends_by_itself_when_nothing_is_open)
{
    ticks = 0;
    ad_timer_start(ad_loop_timers(w.loop), &timer, 5, on_tick);
    ad_loop_run(w.loop);
    ck_assert_uint_eq(ticks, 3);
}
END_TEST

static void on_stop(struct ad_timer *t)
{
    ad_loop_stop(w.loop);
    ad_timer_start(ad_loop_timers(w.loop), t, HOUR_MS, on_stop);
}

START_TEST(stop_ends_run_although_something_is_open)
{
    ad_timer_start(ad_loop_timers(w.loop), &timer, 1, on_stop);
    ad_loop_run(w.loop);
    ck_assert(ad_timer_running(&timer));
    ad_timer_stop(ad_loop_timers(w.loop), &timer);
}
END_TEST

/* A hook hands over work that a timer gathered; were hooks only run after polling, the loop
 * would sleep on it. */
static bool gathered;
static struct ad_timer late;

static void on_gather(struct ad_timer *t)
{
    (void)t;
    gathered = true;
}

static void on_never(struct ad_timer *t)
{
    (void)t;
    ck_abort_msg("work gathered in a timer was slept on");
}

static void on_hand_over(struct ad_loop_hook *hook)
{
    if (gathered) {
        ad_loop_hook_remove(hook);
        ad_timer_stop(ad_loop_timers(w.loop), &late);
        ad_loop_stop(w.loop);
    }
}

START_TEST(work_gathered_in_a_timer_is_handed_over_in_the_same_turn)
{
    gathered = false;
    hooks[0].cb = on_hand_over;
    ad_loop_hook_add(w.loop, &hooks[0]);
    ad_timer_start(ad_loop_timers(w.loop), &late, 5000, on_never);
    ad_timer_start(ad_loop_timers(w.loop), &timer, 1, on_gather);
    ad_loop_run(w.loop);
    ck_assert(gathered);
}
END_TEST

START_TEST(work_from_before_run_is_handed_over_at_once)
{
    gathered = true;
    hooks[0].cb = on_hand_over;
    ad_loop_hook_add(w.loop, &hooks[0]);
    ad_timer_start(ad_loop_timers(w.loop), &late, 5000, on_never);
    ad_loop_run(w.loop);
}
END_TEST

static void on_block(struct ad_timer *t)
{
    uint64_t end = ad_mono_ms(ad_loop_clock(w.loop)) + 250;
    struct timespec now;
    do {
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000 < end);
    ad_timer_start(ad_loop_timers(w.loop), t, 20, on_stop);
}

START_TEST(lag_is_what_a_long_callback_cost_and_is_told_once)
{
    ck_assert_uint_lt(ad_loop_lag_ms(w.loop), 1000);
    ad_timer_start(ad_loop_timers(w.loop), &timer, 0, on_block);
    ad_loop_run(w.loop);
    ad_timer_stop(ad_loop_timers(w.loop), &timer);
    ck_assert_uint_ge(ad_loop_lag_ms(w.loop), 100);
    ck_assert_uint_eq(ad_loop_lag_ms(w.loop), 0);
}
END_TEST

START_TEST(the_clocks_are_the_systems)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t diff = ad_wall_ns(ad_loop_clock(w.loop)) / AD_NS_PER_S - now.tv_sec;
    ck_assert_int_le(diff, 1);
    ck_assert_int_ge(diff, -1);
    uint64_t before = ad_mono_ms(ad_loop_clock(w.loop));
    ad_timer_start(ad_loop_timers(w.loop), &timer, 20, on_stop);
    ad_loop_run(w.loop);
    ad_timer_stop(ad_loop_timers(w.loop), &timer);
    ck_assert_uint_ge(ad_mono_ms(ad_loop_clock(w.loop)) - before, 20);
}
END_TEST

/* --- signals --- */

static unsigned stops;
static unsigned reloads;

static void on_stop_signal(void *ctx, int signum)
{
    ck_assert_ptr_eq(ctx, &w);
    ck_assert(signum == SIGTERM || signum == SIGINT);
    stops++;
}

static void on_reload_signal(void *ctx)
{
    ck_assert_ptr_eq(ctx, &w);
    reloads++;
}

START_TEST(signals_become_callbacks_and_sigpipe_is_ignored)
{
    stops = reloads = 0;
    struct ad_signals *s = NULL;
    ck_assert_int_eq(ad_signals_open(w.loop, on_stop_signal, on_reload_signal, &w, &s), AD_OK);
    (void)raise(SIGPIPE);
    (void)raise(SIGHUP);
    world_until_count(&w, &reloads, 1);
    (void)raise(SIGTERM);
    world_until_count(&w, &stops, 1);
    (void)raise(SIGINT);
    world_until_count(&w, &stops, 2);
    ad_signals_close(s);
}
END_TEST

START_TEST(signals_alone_do_not_keep_the_loop_running)
{
    struct ad_signals *s = NULL;
    ck_assert_int_eq(ad_signals_open(w.loop, on_stop_signal, on_reload_signal, &w, &s), AD_OK);
    ad_loop_run(w.loop);
    ad_signals_close(s);
}
END_TEST

/* --- what is left --- */

static void on_accept(void *ctx, struct ad_stream *s)
{
    (void)ctx;
    ad_stream_close(s, NULL);
}

START_TEST(close_names_what_was_forgotten)
{
    struct ad_endpoint at = { .host = "127.0.0.1" };
    struct ad_listener *l = NULL;
    ck_assert_int_eq(ad_listen(w.loop, &at, 8, on_accept, NULL, &l, NULL), AD_OK);
    static struct ad_loop_hook hook = { .cb = on_hook };
    ad_loop_hook_add(w.loop, &hook);
    ad_timer_start(ad_loop_timers(w.loop), &timer, 1000, on_timer);
    ck_assert_int_eq(ad_loop_close(w.loop), AD_ERR_INTERNAL);
    ck_assert(world_logged(&w, "\"type\":\"tcp\",\"owner\":\"listener\""));
    ck_assert(world_logged(&w, "\"type\":\"deadline\""));
    ck_assert(world_logged(&w, "\"type\":\"hook\""));
    ad_free(l); /* whose handle the loop has closed */
    ck_assert_int_eq(ad_loop_open(&w.loop), AD_OK);
}
END_TEST

START_TEST(close_runs_what_was_posted)
{
    start_trace();
    first = (struct ad_post){ .cb = NULL };
    ad_loop_post(w.loop, &first, on_second);
    ck_assert_int_eq(ad_loop_close(w.loop), AD_OK);
    ck_assert_str_eq(trace, "2");
    ck_assert_int_eq(ad_loop_open(&w.loop), AD_OK);
}
END_TEST

START_TEST(no_memory_for_a_loop_is_an_error)
{
    struct ad_loop *loop = NULL;
    heap_fail(0, 1);
    ck_assert_int_eq(ad_loop_open(&loop), AD_ERR_NOMEM);
    struct ad_signals *s = NULL;
    heap_fail(0, 1);
    ck_assert_int_eq(ad_signals_open(w.loop, on_stop_signal, on_reload_signal, &w, &s),
                     AD_ERR_NOMEM);
    heap_fail(0, 0);
}
END_TEST

static Suite *loop_suite(void)
{
    Suite *suite = suite_create("loop");
    TCase *virtual_time = tcase_create("virtual time");
    tcase_add_checked_fixture(virtual_time, open_world, close_world);
    tcase_add_test(virtual_time, a_post_made_in_a_post_waits_for_the_next_turn);
    tcase_add_test(virtual_time, a_post_taken_back_is_not_called_even_in_the_same_turn);
    tcase_add_test(virtual_time, each_hook_runs_once_a_turn_in_order);
    tcase_add_test(virtual_time, a_hook_may_remove_itself_and_those_that_have_not_run);
    tcase_add_test(virtual_time, timers_run_before_posts_and_posts_before_hooks);
    tcase_add_test(virtual_time, time_passes_only_when_the_test_says_so);
    tcase_add_test(virtual_time, idle_is_a_loop_with_nothing_to_do);
    tcase_add_test(virtual_time, signals_become_callbacks_and_sigpipe_is_ignored);
    tcase_add_test(virtual_time, close_names_what_was_forgotten);
    tcase_add_test(virtual_time, close_runs_what_was_posted);
    tcase_add_test(virtual_time, no_memory_for_a_loop_is_an_error);
    suite_add_tcase(suite, virtual_time);
    TCase *real_time = tcase_create("real time");
    tcase_add_checked_fixture(real_time, open_real_time, close_world);
    tcase_add_test(real_time, run_ends_by_itself_when_nothing_is_open);
    tcase_add_test(real_time, stop_ends_run_although_something_is_open);
    tcase_add_test(real_time, work_gathered_in_a_timer_is_handed_over_in_the_same_turn);
    tcase_add_test(real_time, work_from_before_run_is_handed_over_at_once);
    tcase_add_test(real_time, lag_is_what_a_long_callback_cost_and_is_told_once);
    tcase_add_test(real_time, the_clocks_are_the_systems);
    tcase_add_test(real_time, signals_alone_do_not_keep_the_loop_running);
    suite_add_tcase(suite, real_time);
    return suite;
}

RUN_SUITE(loop_suite)
