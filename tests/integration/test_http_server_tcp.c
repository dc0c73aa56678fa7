/* The server over real sockets: what the in-memory pair cannot show (the kernel's buffers,
 * resets, many descriptors). */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit/infra/http_fixture.h"

#include "support/run.h"

#define HELLO "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"

static struct http_fixture f;
static char address[64];

static void setup(void)
{
    memset(&f, 0, sizeof(f));
    fixture_open(&f);
    struct ad_endpoint at = { .host = "127.0.0.1", .port = 0 };
    struct ad_errinfo info = { 0 };
    ck_assert_int_eq(ad_http_server_listen(f.server, &at, address, sizeof(address), &info), AD_OK);
}

static void teardown(void)
{
    fixture_close(&f);
}

static int dial(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    ck_assert_int_ge(fd, 0);
    struct sockaddr_in sa = { .sin_family = AF_INET,
                              .sin_port =
                                  htons((uint16_t)strtoul(strrchr(address, ':') + 1, NULL, 10)),
                              .sin_addr = { htonl(INADDR_LOOPBACK) } };
    int rc = connect(fd, (struct sockaddr *)&sa, sizeof(sa));
    ck_assert(rc == 0 || errno == EINPROGRESS);
    return fd;
}

struct peer {
    int fd;
    char in[4096];
    size_t n;
    const char *wanted;
    bool ended;
};

static void pull(struct peer *p)
{
    ssize_t n = recv(p->fd, p->in + p->n, sizeof(p->in) - 1 - p->n, 0);
    p->ended |= n == 0 || (n < 0 && errno != EAGAIN);
    p->n += n > 0 ? (size_t)n : 0;
    p->in[p->n] = '\0';
}

static bool has_wanted(void *ctx)
{
    struct peer *p = ctx;
    pull(p);
    return strstr(p->in, p->wanted) != NULL;
}

static bool has_ended(void *ctx)
{
    struct peer *p = ctx;
    pull(p);
    return p->ended;
}

static bool has_connections(void *ctx)
{
    return ad_http_server_connections(f.server) == *(size_t *)ctx;
}

static void say(int fd, const char *text)
{
    ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static void wait_connections(size_t n)
{
    world_until(&f.w, has_connections, &n);
}

START_TEST(a_socket_is_answered_kept_and_closed)
{
    ck_assert(world_logged(&f.w, "\"listening\""));
    struct peer p = { .fd = dial(), .wanted = "hello" };
    wait_connections(1);
    say(p.fd, HELLO);
    world_until(&f.w, has_wanted, &p);
    ck_assert(strncmp(f.last_peer, "127.0.0.1:", 10) == 0);
    p.n = 0;
    say(p.fd, "GET /bye HTTP/1.1\r\nHost: a\r\n\r\n");
    p.wanted = "Connection: close";
    world_until(&f.w, has_wanted, &p);
    world_until(&f.w, has_ended, &p);
    close(p.fd);
    wait_connections(0);
}
END_TEST

START_TEST(a_client_that_sends_too_much_reads_413_and_no_reset)
{
    struct peer p = { .fd = dial(), .wanted = "HTTP/1.1 413 " };
    wait_connections(1);
    say(p.fd, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000000\r\n\r\n");
    static char piece[65536];
    size_t sent = 0;
    for (int i = 0; i < 2000 && sent < (4 << 20); i++) {
        ssize_t n = send(p.fd, piece, sizeof(piece), MSG_NOSIGNAL);
        ck_assert(n > 0 || errno == EAGAIN);
        sent += n > 0 ? (size_t)n : 0;
        ad_loop_turn(f.w.loop, 0);
    }
    ck_assert_uint_ge(sent, 4 << 20);
    world_until(&f.w, has_wanted, &p);
    close(p.fd);
    wait_connections(0);
}
END_TEST

START_TEST(a_reset_while_a_reply_is_owed_tells_the_handler)
{
    int fd = dial();
    wait_connections(1);
    say(fd, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    world_until_count(&f.w, &f.handled, 1);
    struct linger hard = { .l_onoff = 1 };
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    close(fd);
    wait_connections(0);
    ck_assert_uint_eq(f.gone, 1);
    fixture_reply(&f, 200, "nobody");
}
END_TEST

START_TEST(a_client_that_never_reads_fills_the_kernel_and_is_dropped)
{
    int fd = dial();
    int small = 4096;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    wait_connections(1);
    for (int i = 0; i < 16; i++) {
        say(fd, "GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    world_settle(&f.w);
    ck_assert_uint_eq(ad_http_server_connections(f.server), 1);
    world_advance(&f.w, 10000);
    wait_connections(0);
    close(fd);
}
END_TEST

START_TEST(without_descriptors_the_server_lives_and_recovers)
{
    enum { MANY = 60 };
    struct rlimit old;
    getrlimit(RLIMIT_NOFILE, &old);
    int fds[MANY];
    int n = 0;
    for (; n < MANY; n++) {
        fds[n] = dial(); /* ours; their other ends find no room */
        if (n == 0) {
            struct rlimit few = { (rlim_t)fds[0] + 40, old.rlim_max };
            setrlimit(RLIMIT_NOFILE, &few);
        }
        if (fds[n] >= fds[0] + 35) {
            n++;
            break;
        }
    }
    for (int i = 0; i < 200; i++) {
        ad_loop_turn(f.w.loop, 1);
    }
    for (int i = 0; i < n; i++) {
        close(fds[i]);
    }
    setrlimit(RLIMIT_NOFILE, &old);
    wait_connections(0);
    struct peer p = { .fd = dial(), .wanted = "hello" };
    wait_connections(1);
    say(p.fd, HELLO);
    world_until(&f.w, has_wanted, &p);
    close(p.fd);
    wait_connections(0);
}
END_TEST

START_TEST(two_thousand_idle_connections_are_held_and_cheap)
{
    enum { MANY = 2000 };
    static int fds[MANY];
    struct rlimit want = { 2 * MANY + 200, 2 * MANY + 200 };
    struct rlimit old;
    getrlimit(RLIMIT_NOFILE, &old);
    if (old.rlim_cur < want.rlim_cur && setrlimit(RLIMIT_NOFILE, &want)) {
        ck_abort_msg("the limit of descriptors is too low here");
    }
    size_t before = heap_held_bytes();
    for (size_t i = 0; i < MANY; i++) {
        fds[i] = dial();
        if (i % 200 == 199) {
            wait_connections(i + 1);
        }
    }
    size_t each = (heap_held_bytes() - before) / MANY;
    ck_assert_msg(each < 1024, "%zu bytes each", each);
    struct peer p = { .fd = fds[MANY / 2], .wanted = "hello" };
    say(p.fd, HELLO);
    world_until(&f.w, has_wanted, &p);
    for (size_t i = 0; i < MANY; i++) {
        close(fds[i]);
    }
    wait_connections(0);
}
END_TEST

START_TEST(a_second_server_on_the_same_port_is_refused_by_name)
{
    struct ad_endpoint at = { 0 };
    struct ad_errinfo info = { 0 };
    ck_assert_int_eq(ad_endpoint_parse(ad_str_c(address), &at), AD_OK);
    ck_assert_int_eq(ad_http_server_listen(f.server, &at, NULL, 0, &info), AD_ERR_NETWORK);
    ck_assert_ptr_nonnull(strstr(info.msg, address));
}
END_TEST

static Suite *http_tcp_suite(void)
{
    Suite *suite = suite_create("http_server_tcp");
    TCase *tcase = tcase_create("sockets");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_socket_is_answered_kept_and_closed);
    tcase_add_test(tcase, a_client_that_sends_too_much_reads_413_and_no_reset);
    tcase_add_test(tcase, a_reset_while_a_reply_is_owed_tells_the_handler);
    tcase_add_test(tcase, a_client_that_never_reads_fills_the_kernel_and_is_dropped);
    tcase_add_test(tcase, without_descriptors_the_server_lives_and_recovers);
    tcase_add_test(tcase, two_thousand_idle_connections_are_held_and_cheap);
    tcase_add_test(tcase, a_second_server_on_the_same_port_is_refused_by_name);
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITE(http_tcp_suite)
