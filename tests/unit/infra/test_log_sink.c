/* The log's descriptor: nothing lost while it takes, nothing blocked while it does not. */
#include "infra/log_sink.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "infra/loop.h"
#include "support/run.h"
#include "support/world.h"

static struct world w;
static struct ad_log_fd *sink;
static int fds[2]; /* read here, log there */
static struct ad_buf got;

static void setup(void)
{
    world_open(&w);
    ad_buf_init(&got, 64 << 20);
    ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
    ck_assert_int_eq(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
}

static void open_sink(void)
{
    ck_assert_int_eq(ad_log_fd_open(w.loop, fds[1], AD_LOG_JSON, &sink), AD_OK);
}

static void teardown(void)
{
    close(fds[0]);
    close(fds[1]);
    ad_buf_fini(&got);
    world_close(&w);
}

static void read_all(void)
{
    char bytes[65536];
    ssize_t n;
    while ((n = read(fds[0], bytes, sizeof(bytes))) > 0) {
        ad_buf_put(&got, ad_str_n(bytes, (size_t)n));
    }
}

static size_t count(const char *text)
{
    size_t n = 0;
    struct ad_str rest = ad_buf_str(&got);
    while (rest.p) {
        n += ad_str_contains(ad_str_cut(&rest, '\n'), ad_str_c(text));
    }
    return n;
}

START_TEST(lines_are_written_at_the_end_of_the_turn_not_before)
{
    open_sink();
    ad_log(AD_LOG_INFO, "first", AD_KI("n", 1));
    ad_log(AD_LOG_INFO, "second", AD_KI("n", 2));
    read_all();
    ck_assert_uint_eq(ad_buf_len(&got), 0);
    ad_loop_turn(w.loop, 0);
    read_all();
    ck_assert_uint_eq(count("\"first\""), 1);
    ck_assert_uint_eq(count("\"second\""), 1);
    ck_assert_int_eq(ad_buf_str(&got).p[ad_buf_len(&got) - 1], '\n');
    ad_log_fd_close(sink);
}
END_TEST

START_TEST(close_writes_what_is_left)
{
    open_sink();
    ad_log(AD_LOG_INFO, "last_words", AD_KI("n", 1));
    ad_log_fd_close(sink);
    read_all();
    ck_assert_uint_eq(count("last_words"), 1);
    ad_log(AD_LOG_INFO, "too_late", AD_KI("n", 1));
    world_settle(&w);
}
END_TEST

static void log_many(unsigned n)
{
    char text[1000];
    memset(text, 'x', sizeof(text));
    for (unsigned i = 0; i < n; i++) {
        ad_log(AD_LOG_INFO, "many", AD_KS("text", ad_str_n(text, sizeof(text))));
    }
}

START_TEST(a_full_pipe_blocks_nobody_and_the_lost_lines_are_counted)
{
    open_sink();
    log_many(3000); /* three rings full */
    world_settle(&w);
    log_many(10);
    for (unsigned i = 0; i < 100 && count("log_dropped") == 0; i++) {
        read_all();
        world_advance(&w, 60);
    }
    read_all();
    ck_assert_uint_eq(count("log_dropped"), 1);
    size_t kept = count("\"many\"");
    ck_assert_uint_gt(kept, 900);
    ck_assert_uint_lt(kept, 3010);
    char dropped[64];
    (void)snprintf(dropped, sizeof(dropped), "\"lines\":%zu", 3010 - kept);
    ck_assert_uint_eq(count(dropped), 1);
    ad_log(AD_LOG_INFO, "going_on", AD_KI("n", 1));
    world_settle(&w);
    read_all();
    ck_assert_uint_eq(count("going_on"), 1);
    ad_log_fd_close(sink);
}
END_TEST

START_TEST(a_reader_that_never_reads_delays_close_by_less_than_a_second)
{
    open_sink();
    log_many(500);
    world_settle(&w);
    struct timespec before;
    struct timespec after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    ad_log_fd_close(sink);
    clock_gettime(CLOCK_MONOTONIC, &after);
    ck_assert_int_le(after.tv_sec - before.tv_sec, 1);
}
END_TEST

START_TEST(a_reader_that_is_gone_hurts_nobody)
{
    open_sink();
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(dup2(null, fds[0]), fds[0]);
    close(null);
    log_many(10);
    world_advance(&w, 1000);
    ad_log_fd_close(sink);
}
END_TEST

START_TEST(the_descriptors_own_mode_is_left_alone)
{
    int before = fcntl(fds[1], F_GETFL);
    open_sink();
    log_many(200);
    world_settle(&w);
    ck_assert_int_eq(fcntl(fds[1], F_GETFL), before);
    ad_log_fd_close(sink);
    ck_assert_int_eq(fcntl(fds[1], F_GETFL), before);
}
END_TEST

START_TEST(a_socket_is_never_waited_for)
{
    close(fds[0]);
    close(fds[1]);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    ck_assert_int_eq(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    open_sink();
    log_many(900);
    for (unsigned i = 0; i < 100 && count("\"many\"") < 900; i++) {
        world_advance(&w, 60);
        read_all();
    }
    ck_assert_uint_eq(count("\"many\""), 900);
    ad_log_fd_close(sink);
}
END_TEST

START_TEST(a_file_takes_everything)
{
    close(fds[0]);
    close(fds[1]);
    char path[] = "/tmp/attiod-log-XXXXXX";
    fds[1] = mkstemp(path);
    ck_assert_int_ge(fds[1], 0);
    fds[0] = open(path, O_RDONLY | O_CLOEXEC);
    unlink(path);
    open_sink();
    log_many(900);
    world_settle(&w);
    read_all();
    ck_assert_uint_eq(count("\"many\""), 900);
    ad_log_fd_close(sink);
}
END_TEST

enum { THREADS = 2, LINES = 200, ALL_LINES = THREADS * LINES };

static void *log_from_thread(void *arg)
{
    for (int i = 0; i < LINES; i++) {
        ad_log(AD_LOG_INFO, "thread", AD_KI("n", i));
    }
    return arg;
}

static bool all_there(void *ctx)
{
    (void)ctx;
    read_all();
    return count("\"thread\"") == ALL_LINES;
}

START_TEST(other_threads_may_log_and_wake_the_loop)
{
    open_sink();
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, log_from_thread, NULL), 0);
    }
    world_until(&w, all_there, NULL);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    ad_log_fd_close(sink);
}
END_TEST

START_TEST(no_memory_is_an_error_and_nothing_is_installed)
{
    for (size_t i = 0; i < 2; i++) {
        heap_fail(i, 1);
        ck_assert_int_eq(ad_log_fd_open(w.loop, fds[1], AD_LOG_JSON, &sink), AD_ERR_NOMEM);
    }
    heap_fail(0, 0);
    ad_log(AD_LOG_INFO, "captured", AD_KI("n", 1));
    ck_assert(world_logged(&w, "captured"));
}
END_TEST

static Suite *log_sink_suite(void)
{
    Suite *suite = suite_create("log_sink");
    TCase *tcase = tcase_create("log_sink");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, lines_are_written_at_the_end_of_the_turn_not_before);
    tcase_add_test(tcase, close_writes_what_is_left);
    tcase_add_test(tcase, a_full_pipe_blocks_nobody_and_the_lost_lines_are_counted);
    tcase_add_test(tcase, a_reader_that_never_reads_delays_close_by_less_than_a_second);
    tcase_add_test(tcase, a_reader_that_is_gone_hurts_nobody);
    tcase_add_test(tcase, the_descriptors_own_mode_is_left_alone);
    tcase_add_test(tcase, a_socket_is_never_waited_for);
    tcase_add_test(tcase, a_file_takes_everything);
    tcase_add_test(tcase, other_threads_may_log_and_wake_the_loop);
    tcase_add_test(tcase, no_memory_is_an_error_and_nothing_is_installed);
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITE(log_sink_suite)
