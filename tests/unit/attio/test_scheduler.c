#include "attio/scheduler.h"

#include "base/rand.h"

#include "support/run.h"
#include "support/torture.h"

enum { ITEMS = 4000 };

static struct ad_sched s;
static struct ad_sched_item items[ITEMS];
static uint64_t look;

static struct ad_sched_opts usual(void)
{
    return (struct ad_sched_opts){
        .concurrency = 100,
        .interval_cap = 1000,
        .interval_ms = 1000,
        .per_s = { 1000, 1000 },
        .queue_max = ITEMS,
    };
}

static void open_with(struct ad_sched_opts opts)
{
    ck_assert_int_eq(ad_sched_init(&s, &opts, NULL), AD_OK);
    memset(items, 0, sizeof(items));
}

static void setup(void)
{
    open_with(usual());
}

/* Whatever a test left waiting. */
static void teardown(void)
{
    for (size_t i = 0; i < ITEMS; i++) {
        if (items[i].link.next && ad_list_linked(&items[i].link)) {
            ad_sched_remove(&s, &items[i]);
        }
    }
    ad_sched_fini(&s);
}

static void reopen_with(struct ad_sched_opts opts)
{
    teardown();
    open_with(opts);
}

static void add(size_t i, enum ad_lane lane, enum ad_priority priority, uint64_t now)
{
    items[i] = (struct ad_sched_item){ .lane = lane, .priority = priority };
    ck_assert_int_eq(ad_sched_add(&s, &items[i], now), AD_OK);
}

/* The number of the call that goes now, or -1. */
static long next(uint64_t now)
{
    struct ad_sched_item *item = ad_sched_next(&s, now, &look);
    return item ? (long)(item - items) : -1;
}

static void done(long i, enum ad_sched_end end, uint64_t now)
{
    ad_sched_done(&s, &items[i], end, now);
}

START_TEST(calls_of_one_priority_go_in_order)
{
    for (size_t i = 0; i < 3; i++) {
        add(i, AD_LANE_READ, AD_PRIO_PULL, 0);
    }
    ck_assert_int_eq(next(0), 0);
    ck_assert_int_eq(next(0), 1);
    ck_assert_int_eq(next(0), 2);
    ck_assert_int_eq(next(0), -1);
    ck_assert_uint_eq(look, UINT64_MAX);
}
END_TEST

START_TEST(a_higher_priority_goes_first_in_either_lane)
{
    add(0, AD_LANE_READ, AD_PRIO_BACKFILL, 0);
    add(1, AD_LANE_WRITE, AD_PRIO_OUTBOX, 0);
    add(2, AD_LANE_READ, AD_PRIO_INTERACTIVE, 0);
    add(3, AD_LANE_READ, AD_PRIO_PULL, 0);
    ck_assert_int_eq(next(0), 2);
    ck_assert_int_eq(next(0), 3);
    ck_assert_int_eq(next(0), 1);
    ck_assert_int_eq(next(0), 0);
}
END_TEST

START_TEST(a_low_priority_is_late_but_never_starved)
{
    struct ad_sched_opts o = usual();
    o.concurrency = 1;
    reopen_with(o);
    add(0, AD_LANE_READ, AD_PRIO_BACKFILL, 0);
    long gone = -1;
    uint64_t now = 0;
    for (size_t i = 1; gone != 0 && i < 1000; i++) {
        add(i, AD_LANE_READ, AD_PRIO_INTERACTIVE, now);
        gone = next(now);
        done(gone, AD_SCHED_ANSWERED, now + 50);
        now += 100;
    }
    ck_assert_int_eq(gone, 0);
    ck_assert_uint_ge(now, UINT64_C(3) * AD_SCHED_AGING_MS);
    ck_assert_uint_le(now, UINT64_C(3) * AD_SCHED_AGING_MS + 1000);
}
END_TEST

START_TEST(the_queue_has_an_end)
{
    struct ad_sched_opts o = usual();
    o.queue_max = 2;
    reopen_with(o);
    add(0, AD_LANE_READ, AD_PRIO_PULL, 0);
    add(1, AD_LANE_READ, AD_PRIO_PULL, 0);
    ck_assert_int_eq(ad_sched_add(&s, &items[2], 0), AD_ERR_BUSY);
    ck_assert_int_eq(next(0), 0);
    add(2, AD_LANE_READ, AD_PRIO_PULL, 0);
    /* One that was admitted once always finds its way back. */
    done(0, AD_SCHED_FAILED, 10);
    ad_sched_again(&s, &items[0], 10);
    ck_assert_uint_eq(s.waiting, 3);
}
END_TEST

START_TEST(no_more_than_the_concurrency_are_in_flight)
{
    struct ad_sched_opts o = usual();
    o.concurrency = 2;
    reopen_with(o);
    for (size_t i = 0; i < 4; i++) {
        add(i, AD_LANE_READ, AD_PRIO_PULL, 0);
    }
    ck_assert_int_eq(next(0), 0);
    ck_assert_int_eq(next(0), 1);
    ck_assert_int_eq(next(0), -1);
    ck_assert_uint_eq(look, UINT64_MAX);
    done(0, AD_SCHED_ANSWERED, 5);
    ck_assert_int_eq(next(5), 2);
    ck_assert_int_eq(next(5), -1);
}
END_TEST

START_TEST(a_try_that_was_given_up_keeps_its_place_a_little)
{
    struct ad_sched_opts o = usual();
    o.concurrency = 1;
    reopen_with(o);
    add(0, AD_LANE_READ, AD_PRIO_PULL, 0);
    add(1, AD_LANE_READ, AD_PRIO_PULL, 0);
    ck_assert_int_eq(next(0), 0);
    done(0, AD_SCHED_GIVEN_UP, 100);
    ck_assert_int_eq(next(100), -1);
    ck_assert_uint_eq(look, 100 + AD_SCHED_LINGER_MS);
    ck_assert_int_eq(next(look - 1), -1);
    ck_assert_int_eq(next(look), 1);
}
END_TEST

START_TEST(the_window_opens_an_interval_after_the_oldest_answer)
{
    struct ad_sched_opts o = usual();
    o.interval_cap = 2;
    reopen_with(o);
    for (size_t i = 0; i < 4; i++) {
        add(i, AD_LANE_READ, AD_PRIO_PULL, 1000);
    }
    ck_assert_int_eq(next(1000), 0);
    ck_assert_int_eq(next(1000), 1);
    done(0, AD_SCHED_ANSWERED, 1040);
    done(1, AD_SCHED_ANSWERED, 1100);
    ck_assert_int_eq(next(1100), -1);
    ck_assert_uint_eq(look, 1040 + 1000 + AD_SCHED_GUARD_MS);
    ck_assert_int_eq(next(look), 2);
    ck_assert_int_eq(next(look), -1);
    ck_assert_uint_eq(look, 1100 + 1000 + AD_SCHED_GUARD_MS);
}
END_TEST

START_TEST(an_answer_that_takes_long_does_not_hold_the_window)
{
    struct ad_sched_opts o = usual();
    o.interval_cap = 1;
    reopen_with(o);
    add(0, AD_LANE_READ, AD_PRIO_PULL, 0);
    add(1, AD_LANE_READ, AD_PRIO_PULL, 0);
    ck_assert_int_eq(next(0), 0);
    ck_assert_int_eq(next(0), -1);
    ck_assert_uint_eq(look, 250 + 1000 + AD_SCHED_GUARD_MS);
    ck_assert_int_eq(next(look), 1);
}
END_TEST

START_TEST(each_lane_has_its_own_ceiling)
{
    struct ad_sched_opts o = usual();
    o.per_s[AD_LANE_WRITE] = 2;
    reopen_with(o);
    for (size_t i = 0; i < 3; i++) {
        add(i, AD_LANE_WRITE, AD_PRIO_INTERACTIVE, 0);
    }
    add(3, AD_LANE_READ, AD_PRIO_BACKFILL, 0);
    ck_assert_int_eq(next(0), 0);
    ck_assert_int_eq(next(0), 1);
    ck_assert_int_eq(next(0), 3);
    ck_assert_int_eq(next(0), -1);
    ck_assert_uint_eq(look, 250 + 1000 + AD_SCHED_GUARD_MS);
}
END_TEST

START_TEST(a_pause_holds_its_lane_only)
{
    add(0, AD_LANE_READ, AD_PRIO_INTERACTIVE, 0);
    add(1, AD_LANE_WRITE, AD_PRIO_BACKFILL, 0);
    ad_sched_pause(&s, AD_LANE_READ, 700);
    ad_sched_pause(&s, AD_LANE_READ, 300); /* never shorter */
    ck_assert_int_eq(next(0), 1);
    ck_assert_int_eq(next(0), -1);
    ck_assert_uint_eq(look, 700);
    ck_assert_int_eq(next(700), 0);
}
END_TEST

START_TEST(after_a_pause_one_probe_goes_alone_until_it_is_answered)
{
    for (size_t i = 0; i < 4; i++) {
        add(i, AD_LANE_READ, AD_PRIO_PULL, 0);
    }
    ck_assert_int_eq(next(0), 0);
    done(0, AD_SCHED_LIMITED, 10);
    ad_sched_pause(&s, AD_LANE_READ, 1000);
    ad_sched_again(&s, &items[0], 10);
    ck_assert_int_eq(next(1000), 0); /* back at the front */
    ck_assert_int_eq(next(1000), -1);
    ck_assert_uint_eq(look, UINT64_MAX);
    done(0, AD_SCHED_LIMITED, 1010);
    ad_sched_pause(&s, AD_LANE_READ, 2000);
    ck_assert_int_eq(next(1500), -1);
    ck_assert_int_eq(next(2000), 1);
    done(1, AD_SCHED_FAILED, 2010); /* says nothing: one more probe */
    ck_assert_int_eq(next(2010), 2);
    ck_assert_int_eq(next(2010), -1);
    done(2, AD_SCHED_ANSWERED, 2020);
    ck_assert_int_eq(next(2020), 3);
}
END_TEST

START_TEST(an_answer_sent_for_before_the_pause_opens_nothing)
{
    for (size_t i = 0; i < 4; i++) {
        add(i, AD_LANE_READ, AD_PRIO_PULL, 0);
    }
    ck_assert_int_eq(next(0), 0);
    ck_assert_int_eq(next(0), 1);
    done(0, AD_SCHED_LIMITED, 10);
    ad_sched_pause(&s, AD_LANE_READ, 500);
    done(1, AD_SCHED_ANSWERED, 20);
    ck_assert_int_eq(next(500), 2);
    ck_assert_int_eq(next(500), -1);
}
END_TEST

START_TEST(a_delayed_call_waits_and_then_goes_first)
{
    add(0, AD_LANE_READ, AD_PRIO_PULL, 0);
    ck_assert_int_eq(next(0), 0);
    done(0, AD_SCHED_FAILED, 0);
    ad_sched_again(&s, &items[0], 400);
    ck_assert_int_eq(next(0), -1);
    ck_assert_uint_eq(look, 400);
    add(1, AD_LANE_READ, AD_PRIO_PULL, 100);
    ck_assert_int_eq(next(100), 1);
    add(2, AD_LANE_READ, AD_PRIO_PULL, 200);
    ck_assert_int_eq(next(400), 0);
    ck_assert_int_eq(next(400), 2);
}
END_TEST

START_TEST(delayed_calls_wake_in_the_order_of_their_times)
{
    static const uint64_t ready[] = { 300, 100, 200, 100 };
    for (size_t i = 0; i < 4; i++) {
        add(i, AD_LANE_READ, AD_PRIO_PULL, 0);
    }
    for (long i = 0; i < 4; i++) {
        ck_assert_int_eq(next(0), i);
        done(i, AD_SCHED_FAILED, 0);
        ad_sched_again(&s, &items[i], ready[i]);
    }
    ck_assert_int_eq(next(0), -1);
    ck_assert_uint_eq(look, 100);
    ad_sched_remove(&s, &items[1]);
    ck_assert_int_eq(next(100), 3);
    ck_assert_int_eq(next(200), 2);
    ck_assert_int_eq(next(299), -1);
    ck_assert_int_eq(next(300), 0);
    ck_assert_uint_eq(s.waiting, 0);
}
END_TEST

START_TEST(a_call_that_left_is_never_chosen)
{
    add(0, AD_LANE_READ, AD_PRIO_PULL, 0);
    add(1, AD_LANE_READ, AD_PRIO_PULL, 0);
    ad_sched_remove(&s, &items[0]);
    ck_assert_int_eq(next(0), 1);
    ck_assert_int_eq(next(0), -1);
}
END_TEST

START_TEST(the_share_of_the_window_is_that_of_the_last_interval)
{
    struct ad_sched_opts o = usual();
    o.interval_cap = 4;
    reopen_with(o);
    ck_assert_uint_eq(ad_sched_window_percent(&s, 0), 0);
    for (size_t i = 0; i < 3; i++) {
        add(i, AD_LANE_READ, AD_PRIO_PULL, 5000);
        ck_assert_int_eq(next(5000 + 100 * i), (long)i);
    }
    ck_assert_uint_eq(ad_sched_window_percent(&s, 5200), 75);
    ck_assert_uint_eq(ad_sched_window_percent(&s, 6050), 50);
    ck_assert_uint_eq(ad_sched_window_percent(&s, 9000), 0);
}
END_TEST

/* A server at the end of a network that delays every request by up to a quarter of a second, and
 * the strictest reading of both limits: what it saw, at the times it saw it. */
struct seen {
    uint64_t arrived, left;
    enum ad_lane lane;
};

static int by_arrival(const void *a, const void *b)
{
    const struct seen *x = a;
    const struct seen *y = b;
    return x->arrived < y->arrived ? -1 : x->arrived > y->arrived;
}

static void check_window(const struct seen *seen, size_t n, size_t cap, uint64_t span)
{
    for (size_t i = cap; i < n; i++) {
        ck_assert_msg(seen[i].arrived - seen[i - cap].arrived >= span,
                      "%zu calls within %lu ms of %lu", cap + 1, (unsigned long)span,
                      (unsigned long)seen[i - cap].arrived);
    }
}

static void check_in_flight(const struct seen *seen, size_t n, size_t most)
{
    for (size_t i = 0; i < n; i++) {
        size_t at_once = 0;
        for (size_t j = 0; j < n; j++) {
            at_once += seen[j].arrived <= seen[i].arrived && seen[j].left > seen[i].arrived;
        }
        ck_assert_uint_le(at_once, most);
    }
}

START_TEST(whatever_the_delays_the_server_sees_the_limits_kept)
{
    static struct seen seen[ITEMS];
    static struct seen writes[ITEMS];
    static struct {
        long item;
        uint64_t over;
    } flying[8];
    struct ad_sched_opts o = {
        .concurrency = 8,
        .interval_cap = 15,
        .interval_ms = 1000,
        .per_s = { 12, 6 },
        .queue_max = ITEMS,
    };
    struct ad_rand r;
    size_t n = 0;
    size_t n_writes = 0;
    size_t added = 0;
    size_t n_flying = 0;
    ad_rand_seed(&r, (uint64_t)_i + 1);
    reopen_with(o);
    for (uint64_t now = 0; now < 60000; now += 1 + ad_rand_below(&r, 3)) {
        if (added < ITEMS && ad_rand_below(&r, 100) < 6) {
            add(added, ad_rand_below(&r, 2) ? AD_LANE_WRITE : AD_LANE_READ,
                (enum ad_priority)ad_rand_below(&r, AD_PRIORITIES), now);
            added++;
        }
        for (size_t i = 0; i < n_flying; i++) {
            if (flying[i].over <= now) {
                done(flying[i].item, AD_SCHED_ANSWERED, now);
                flying[i--] = flying[--n_flying];
            }
        }
        long i;
        while ((i = next(now)) >= 0) {
            uint64_t out = ad_rand_below(&r, 250);
            uint64_t work = ad_rand_below(&r, 40);
            seen[n] = (struct seen){ now + out, now + out + work, items[i].lane };
            if (items[i].lane == AD_LANE_WRITE) {
                writes[n_writes++] = seen[n];
            }
            flying[n_flying].item = i;
            flying[n_flying++].over = seen[n++].left + ad_rand_below(&r, 250);
        }
    }
    ck_assert_uint_gt(n, 400); /* the limits were what slowed it, not the test */
    qsort(seen, n, sizeof(*seen), by_arrival);
    qsort(writes, n_writes, sizeof(*writes), by_arrival);
    check_window(seen, n, 15, 1000);
    check_window(writes, n_writes, 6, 1000);
    check_in_flight(seen, n, 8);
    for (size_t i = 0; i < n_flying; i++) {
        done(flying[i].item, AD_SCHED_ANSWERED, 70000);
    }
}
END_TEST

START_TEST(limits_of_nothing_are_refused)
{
    struct ad_errinfo info = { .code = AD_OK };
    struct ad_sched other;
    struct ad_sched_opts o = usual();
    o.interval_cap = 0;
    ck_assert_int_eq(ad_sched_init(&other, &o, &info), AD_ERR_CONFIG);
    o = usual();
    o.per_s[AD_LANE_WRITE] = 0;
    ck_assert_int_eq(ad_sched_init(&other, &o, &info), AD_ERR_CONFIG);
    o = usual();
    o.concurrency = AD_SCHED_CAP_MAX + 1;
    ck_assert_int_eq(ad_sched_init(&other, &o, &info), AD_ERR_CONFIG);
    assert_str(ad_str_c(info.msg), "rate limits must be from 1 to 100000");
}
END_TEST

static enum ad_err open_and_close(void *ctx)
{
    (void)ctx;
    struct ad_sched other;
    struct ad_sched_opts o = usual();
    enum ad_err err = ad_sched_init(&other, &o, NULL);
    if (!err) {
        ad_sched_fini(&other);
    }
    return err;
}

START_TEST(no_memory_is_said_at_opening)
{
    torture(open_and_close, NULL);
}
END_TEST

/* --- Other limits while it runs ----------------------------------------------------------- */

static void change(struct ad_sched_opts opts, uint64_t now)
{
    struct ad_sched_change ch;
    ck_assert_int_eq(ad_sched_prepare(&s, &opts, &ch, NULL), AD_OK);
    ad_sched_commit(&s, &ch, now);
}

START_TEST(a_lower_cap_counts_what_was_sent_before)
{
    struct ad_sched_opts o = usual();
    o.interval_cap = 10;
    reopen_with(o);
    for (size_t i = 0; i < 20; i++) {
        add(i, AD_LANE_READ, AD_PRIO_PULL, 0);
    }
    for (long i = 0; i < 6; i++) { /* at 0, 100 ... 500 */
        ck_assert_int_eq(next((uint64_t)i * 100), i);
        done(i, AD_SCHED_ANSWERED, (uint64_t)i * 100);
    }
    o.interval_cap = 3;
    change(o, 600);
    ck_assert_int_eq(next(600), -1);
    ck_assert_uint_eq(look, 300 + 1000 + AD_SCHED_GUARD_MS); /* an interval after the third last */
    ck_assert_int_eq(next(look), 6);
}
END_TEST

START_TEST(a_higher_cap_lets_more_go_at_once_but_counts_the_old_ones)
{
    struct ad_sched_opts o = usual();
    o.interval_cap = 3;
    reopen_with(o);
    for (size_t i = 0; i < 20; i++) {
        add(i, AD_LANE_READ, AD_PRIO_PULL, 0);
    }
    for (long i = 0; i < 3; i++) {
        ck_assert_int_eq(next(0), i);
        done(i, AD_SCHED_ANSWERED, 0);
    }
    ck_assert_int_eq(next(0), -1);
    o.interval_cap = 5;
    change(o, 10);
    ck_assert_int_eq(next(10), 3);
    ck_assert_int_eq(next(10), 4);
    ck_assert_int_eq(next(10), -1);
    ck_assert_uint_eq(look, 1000 + AD_SCHED_GUARD_MS);
    done(3, AD_SCHED_ANSWERED, 11);
    done(4, AD_SCHED_ANSWERED, 11);
}
END_TEST

START_TEST(a_longer_interval_forgets_nothing_it_cannot_know)
{
    struct ad_sched_opts o = usual();
    o.interval_cap = 2;
    reopen_with(o);
    for (size_t i = 0; i < 20; i++) {
        add(i, AD_LANE_READ, AD_PRIO_PULL, 0);
    }
    for (long i = 0; i < 4; i++) { /* two of them are no longer in the ring */
        uint64_t now = (uint64_t)(i / 2) * 2000;
        ck_assert_int_eq(next(now), i);
        done(i, AD_SCHED_ANSWERED, now);
    }
    o.interval_cap = 4;
    o.interval_ms = 10000;
    change(o, 3000);
    ck_assert_int_eq(next(3000), -1);
    ck_assert_uint_eq(look, 3000 + 10000 + AD_SCHED_GUARD_MS);
}
END_TEST

START_TEST(a_lower_concurrency_waits_for_those_in_flight)
{
    struct ad_sched_opts o = usual();
    o.concurrency = 4;
    reopen_with(o);
    for (size_t i = 0; i < 8; i++) {
        add(i, AD_LANE_READ, AD_PRIO_PULL, 0);
    }
    for (long i = 0; i < 4; i++) {
        ck_assert_int_eq(next(0), i);
    }
    o.concurrency = 1;
    change(o, 0);
    for (long i = 0; i < 3; i++) { /* all of them given up: more than the new limit linger */
        done(i, AD_SCHED_GIVEN_UP, 10);
        ck_assert_int_eq(next(10), -1);
    }
    done(3, AD_SCHED_ANSWERED, 10);
    ck_assert_int_eq(next(10), -1);
    ck_assert_int_eq(next(10 + AD_SCHED_LINGER_MS), 4);
    ck_assert_int_eq(next(10 + AD_SCHED_LINGER_MS), -1);
    o.concurrency = 6;
    change(o, 300);
    ck_assert_int_eq(next(300), 5);
    ck_assert_int_eq(next(300), 6);
}
END_TEST

START_TEST(while_held_only_urgent_calls_go)
{
    add(0, AD_LANE_READ, AD_PRIO_INTERACTIVE, 0);
    ad_sched_hold(&s, true);
    ck_assert_int_eq(next(0), -1);
    ck_assert_uint_eq(look, UINT64_MAX);
    items[1] = (struct ad_sched_item){ .priority = AD_PRIO_INTERACTIVE, .urgent = true };
    ck_assert_int_eq(ad_sched_add(&s, &items[1], 5), AD_OK);
    ck_assert_int_eq(next(5), 1);
    done(1, AD_SCHED_LIMITED, 6);
    ad_sched_again(&s, &items[1], 20);
    ck_assert_int_eq(next(10), -1);
    ck_assert_int_eq(next(20), 1);
    ck_assert_int_eq(next(20), -1);
    ad_sched_hold(&s, false);
    ck_assert_int_eq(next(20), 0);
}
END_TEST

static enum ad_err prepare_and_drop(void *ctx)
{
    (void)ctx;
    struct ad_sched other;
    struct ad_sched_change ch;
    struct ad_sched_opts o = usual();
    enum ad_err err = ad_sched_init(&other, &o, NULL);
    if (!err) {
        err = ad_sched_prepare(&other, &o, &ch, NULL);
        if (!err) {
            ad_sched_drop(&ch);
        }
        ad_sched_fini(&other);
    }
    return err;
}

START_TEST(no_memory_is_said_when_preparing)
{
    torture(prepare_and_drop, NULL);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("scheduler");
    TCase *tc = tcase_create("scheduler");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, calls_of_one_priority_go_in_order);
    tcase_add_test(tc, a_higher_priority_goes_first_in_either_lane);
    tcase_add_test(tc, a_low_priority_is_late_but_never_starved);
    tcase_add_test(tc, the_queue_has_an_end);
    tcase_add_test(tc, no_more_than_the_concurrency_are_in_flight);
    tcase_add_test(tc, a_try_that_was_given_up_keeps_its_place_a_little);
    tcase_add_test(tc, the_window_opens_an_interval_after_the_oldest_answer);
    tcase_add_test(tc, an_answer_that_takes_long_does_not_hold_the_window);
    tcase_add_test(tc, each_lane_has_its_own_ceiling);
    tcase_add_test(tc, a_pause_holds_its_lane_only);
    tcase_add_test(tc, after_a_pause_one_probe_goes_alone_until_it_is_answered);
    tcase_add_test(tc, an_answer_sent_for_before_the_pause_opens_nothing);
    tcase_add_test(tc, a_delayed_call_waits_and_then_goes_first);
    tcase_add_test(tc, delayed_calls_wake_in_the_order_of_their_times);
    tcase_add_test(tc, a_call_that_left_is_never_chosen);
    tcase_add_test(tc, the_share_of_the_window_is_that_of_the_last_interval);
    tcase_add_loop_test(tc, whatever_the_delays_the_server_sees_the_limits_kept, 0, 10);
    tcase_add_test(tc, limits_of_nothing_are_refused);
    tcase_add_test(tc, a_lower_cap_counts_what_was_sent_before);
    tcase_add_test(tc, a_higher_cap_lets_more_go_at_once_but_counts_the_old_ones);
    tcase_add_test(tc, a_longer_interval_forgets_nothing_it_cannot_know);
    tcase_add_test(tc, a_lower_concurrency_waits_for_those_in_flight);
    tcase_add_test(tc, while_held_only_urgent_calls_go);
    suite_add_tcase(suite, tc);
    /* Alone: the counting heap must see all there is. */
    TCase *memory = tcase_create("memory");
    tcase_add_test(memory, no_memory_is_said_at_opening);
    tcase_add_test(memory, no_memory_is_said_when_preparing);
    suite_add_tcase(suite, memory);
    return suite;
}

RUN_SUITE(suite)
