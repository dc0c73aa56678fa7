/* Endpoints, listening and dialing over loopback sockets. */
#include "infra/net.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/run.h"
#include "support/world.h"

enum { STREAMS = 64 };

static struct world w;
static struct ad_stream *accepted[STREAMS];
static unsigned accepted_n;
static struct ad_listener *listener;
static struct ad_endpoint here;

/* --- endpoints --- */

static const struct {
    const char *text;
    const char *host;
    unsigned port;
    bool ok;
} endpoints[] = {
    { "127.0.0.1:8080", "127.0.0.1", 8080, true },
    { "[::1]:8080", "::1", 8080, true },
    { ":8080", "", 8080, true },
    { "8080", "", 8080, true },
    { "0", "", 0, true },
    { "localhost:65535", "localhost", 65535, true },
    { "api.example-1.com:443", "api.example-1.com", 443, true },
    { "", "", 0, false },
    { ":", "", 0, false },
    { "host", "", 0, false },
    { "host:", "", 0, false },
    { "host:65536", "", 0, false },
    { "host:-1", "", 0, false },
    { "host:+1", "", 0, false },
    { "host: 80", "", 0, false },
    { "host:80 ", "", 0, false },
    { "ho st:80", "", 0, false },
    { "http://host:80", "", 0, false },
    { "::1:80", "", 0, false },
    { "[::1]", "", 0, false },
    { "[::1]80", "", 0, false },
    { "[::1:80", "", 0, false },
    { "[]:80", "", 0, false },
    { "[host]:80", "", 0, false },
    { "[127.0.0.1]:80", "", 0, false },
    { "user@host:80", "", 0, false },
};

START_TEST(an_endpoint_is_read_or_refused_whole)
{
    struct ad_endpoint e = { .host = "before", .port = 7 };
    enum ad_err err = ad_endpoint_parse(ad_str_c(endpoints[_i].text), &e);
    ck_assert_msg((err == AD_OK) == endpoints[_i].ok, "%s", endpoints[_i].text);
    ck_assert_str_eq(e.host, endpoints[_i].ok ? endpoints[_i].host : "before");
    ck_assert_uint_eq(e.port, endpoints[_i].ok ? endpoints[_i].port : 7);
}
END_TEST

START_TEST(a_host_too_long_is_refused)
{
    char text[300];
    memset(text, 'a', sizeof(text));
    memcpy(text + sizeof(text) - 4, ":80", 4);
    struct ad_endpoint e;
    ck_assert_int_eq(ad_endpoint_parse(ad_str_c(text), &e), AD_ERR_INVALID);
    ck_assert_int_eq(ad_endpoint_parse(ad_str_n("a\0b:80", 6), &e), AD_ERR_INVALID);
    ck_assert_int_eq(ad_endpoint_parse(ad_str_n("[::1\0]:80", 9), &e), AD_ERR_INVALID);
}
END_TEST

START_TEST(loopback_is_known_by_address_and_by_its_one_name)
{
    static const char *const yes[] = { "127.0.0.1", "127.9.8.7", "::1", "localhost", "LocalHost" };
    static const char *const no[] = { "",         "0.0.0.0",   "::",
                                      "10.0.0.1", "128.0.0.1", "localhost.example.com" };
    struct ad_endpoint e = { .port = 1 };
    for (size_t i = 0; i < AD_LEN(yes); i++) {
        memcpy(e.host, yes[i], strlen(yes[i]) + 1);
        ck_assert_msg(ad_endpoint_is_loopback(&e), "%s", yes[i]);
    }
    for (size_t i = 0; i < AD_LEN(no); i++) {
        memcpy(e.host, no[i], strlen(no[i]) + 1);
        ck_assert_msg(!ad_endpoint_is_loopback(&e), "%s", no[i]);
    }
}
END_TEST

/* --- listening --- */

static void open_world(void)
{
    world_open(&w);
    accepted_n = 0;
    listener = NULL;
}

static void close_world(void)
{
    if (listener) {
        ad_listener_close(listener);
    }
    while (accepted_n > 0) {
        ad_stream_close(accepted[--accepted_n], NULL);
    }
    world_close(&w);
}

static void on_accept(void *ctx, struct ad_stream *s)
{
    ck_assert_ptr_eq(ctx, &w);
    ck_assert_uint_lt(accepted_n, STREAMS);
    accepted[accepted_n++] = s;
}

static void listen_on(const char *text, int backlog)
{
    char address[64];
    ck_assert_int_eq(ad_endpoint_parse(ad_str_c(text), &here), AD_OK);
    ck_assert_int_eq(ad_listen(w.loop, &here, backlog, on_accept, &w, &listener, NULL), AD_OK);
    ad_listener_address(listener, address, sizeof(address));
    ck_assert_int_eq(ad_endpoint_parse(ad_str_c(address), &here), AD_OK);
    ck_assert_uint_ne(here.port, 0);
}

static int new_socket(void)
{
    return socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static int connect_socket(int fd)
{
    struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons((uint16_t)here.port) };
    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return connect(fd, (struct sockaddr *)&sa, sizeof(sa));
}

static int client(void)
{
    int fd = new_socket();
    ck_assert_int_ge(fd, 0);
    connect_socket(fd);
    return fd;
}

START_TEST(a_connection_is_accepted_with_its_peers_address_and_without_delay)
{
    listen_on("127.0.0.1:0", 8);
    int fd = client();
    world_until_count(&w, &accepted_n, 1);
    struct sockaddr_in sa;
    socklen_t len = sizeof(sa);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    char peer[64];
    char expected[64];
    ad_stream_peer(accepted[0], peer, sizeof(peer));
    (void)snprintf(expected, sizeof(expected), "127.0.0.1:%u", ntohs(sa.sin_port));
    ck_assert_str_eq(peer, expected);
    close(fd);
}
END_TEST

START_TEST(all_addresses_means_both_families_and_peers_read_alike)
{
    listen_on("0", 8);
    int fd = client();
    world_until_count(&w, &accepted_n, 1);
    char peer[64];
    ad_stream_peer(accepted[0], peer, sizeof(peer));
    ck_assert_int_eq(strncmp(peer, "127.0.0.1:", 10), 0);
    close(fd);
}
END_TEST

START_TEST(a_name_may_be_listened_on)
{
    listen_on("localhost:0", 8);
    ck_assert(ad_endpoint_is_loopback(&here));
}
END_TEST

START_TEST(a_taken_address_fails_at_once_and_says_which)
{
    listen_on("127.0.0.1:0", 8);
    struct ad_listener *second = NULL;
    struct ad_errinfo info = { .code = AD_OK };
    ck_assert_int_eq(ad_listen(w.loop, &here, 8, on_accept, &w, &second, &info), AD_ERR_NETWORK);
    ck_assert_ptr_null(second);
    ck_assert_int_eq(info.os, EADDRINUSE);
    ck_assert_ptr_nonnull(strstr(info.msg, "127.0.0.1:"));
    ck_assert_ptr_nonnull(strstr(info.msg, "in use"));
}
END_TEST

START_TEST(an_address_that_is_not_ours_fails)
{
    struct ad_endpoint at = { .host = "192.0.2.1", .port = 0 };
    struct ad_errinfo info = { .code = AD_OK };
    ck_assert_int_eq(ad_listen(w.loop, &at, 8, on_accept, &w, &listener, &info), AD_ERR_NETWORK);
    struct ad_endpoint name = { .host = "no..name", .port = 0 };
    ck_assert_int_eq(ad_listen(w.loop, &name, 8, on_accept, &w, &listener, &info), AD_ERR_DNS);
    ck_assert_ptr_null(listener);
}
END_TEST

START_TEST(a_paused_listener_accepts_nothing_and_loses_nothing)
{
    int fds[5];
    listen_on("127.0.0.1:0", 8);
    ad_listener_pause(listener, true);
    for (size_t i = 0; i < AD_LEN(fds); i++) {
        fds[i] = client();
    }
    world_settle(&w);
    ck_assert_uint_eq(accepted_n, 0);
    ad_listener_pause(listener, false);
    ck_assert_uint_eq(accepted_n, 0);
    world_until_count(&w, &accepted_n, 5);
    ad_listener_pause(listener, true);
    ad_listener_pause(listener, false);
    for (size_t i = 0; i < AD_LEN(fds); i++) {
        close(fds[i]);
    }
}
END_TEST

static void pause_after_one(void *ctx, struct ad_stream *s)
{
    on_accept(ctx, s);
    ad_listener_pause(listener, true);
}

START_TEST(a_listener_may_be_paused_in_its_own_callback)
{
    ck_assert_int_eq(ad_endpoint_parse(AD_STR("127.0.0.1:0"), &here), AD_OK);
    ck_assert_int_eq(ad_listen(w.loop, &here, 8, pause_after_one, &w, &listener, NULL), AD_OK);
    char address[64];
    ad_listener_address(listener, address, sizeof(address));
    ck_assert_int_eq(ad_endpoint_parse(ad_str_c(address), &here), AD_OK);
    int fds[3] = { client(), client(), client() };
    for (unsigned n = 1; n <= 3; n++) {
        world_until_count(&w, &accepted_n, n);
        world_settle(&w);
        ck_assert_uint_eq(accepted_n, n);
        ad_listener_pause(listener, false);
    }
    for (size_t i = 0; i < AD_LEN(fds); i++) {
        close(fds[i]);
    }
}
END_TEST

START_TEST(closing_a_paused_listener_drops_what_it_held)
{
    listen_on("127.0.0.1:0", 8);
    ad_listener_pause(listener, true);
    int fd = client();
    world_settle(&w);
    ad_listener_pause(listener, false);
    ad_listener_close(listener);
    listener = NULL;
    world_settle(&w);
    ck_assert_uint_eq(accepted_n, 0);
    close(fd);
}
END_TEST

START_TEST(without_memory_a_connection_waits_and_is_accepted_later)
{
    ck_assert_int_eq(ad_timers_reserve(ad_loop_timers(w.loop), 16), AD_OK);
    listen_on("127.0.0.1:0", 8);
    int fd = client();
    heap_fail(0, 3);
    world_settle(&w);
    ck_assert(heap_failed());
    ck_assert_uint_eq(accepted_n, 0);
    world_advance(&w, 1000);
    world_until_count(&w, &accepted_n, 1);
    close(fd);
}
END_TEST

/* Every connection is taken and dropped while there is no descriptor, so nobody waits and
 * nothing spins. */
START_TEST(without_descriptors_connections_are_dropped_and_listening_goes_on)
{
    int fds[4];
    int hogs[256];
    size_t n = 0;
    char byte;
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = 128; /* the hard limit stays: valgrind cannot change that */
    listen_on("127.0.0.1:0", 16);
    for (size_t i = 0; i < AD_LEN(fds); i++) {
        fds[i] = new_socket();
    }
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    while (n < AD_LEN(hogs) && (hogs[n] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0) {
        n++;
    }
    for (size_t i = 0; i < AD_LEN(fds); i++) {
        connect_socket(fds[i]);
    }
    world_settle(&w);
    ck_assert_uint_eq(accepted_n, 0);
    for (size_t i = 0; i < AD_LEN(fds); i++) {
        ssize_t n_read = recv(fds[i], &byte, 1, MSG_DONTWAIT);
        ck_assert(n_read == 0 || (n_read < 0 && errno == ECONNRESET));
        close(fds[i]);
    }
    while (n > 0) {
        close(hogs[--n]);
    }
    int fd = client();
    world_until_count(&w, &accepted_n, 1);
    close(fd);
}
END_TEST

/* --- dialing --- */

struct dialed {
    struct ad_dial d;
    unsigned calls;
    enum ad_err err;
    struct ad_stream *s;
};

static struct dialed dialed;
static struct ad_dial_last *last;

static void on_dial(struct ad_dial *d, enum ad_err err, struct ad_stream *s)
{
    struct dialed *r = ad_container_of(d, struct dialed, d);
    r->calls++;
    r->err = err;
    r->s = s;
    if (s) {
        ck_assert_uint_lt(accepted_n, STREAMS);
        accepted[accepted_n++] = s; /* closed with the others */
    }
}

static enum ad_err dial(const char *text, unsigned timeout_ms)
{
    struct ad_endpoint to;
    dialed = (struct dialed){ .d.last = last };
    ck_assert_int_eq(ad_endpoint_parse(ad_str_c(text), &to), AD_OK);
    enum ad_err err = ad_dial_start(w.loop, &dialed.d, &to, timeout_ms, on_dial);
    ck_assert_uint_eq(dialed.calls, 0);
    return err;
}

static const char *here_as(const char *host)
{
    static char text[80];
    (void)snprintf(text, sizeof(text), "%s:%u", host, here.port);
    return text;
}

static void expect(enum ad_err err)
{
    world_until_count(&w, &dialed.calls, 1);
    world_settle(&w);
    ck_assert_uint_eq(dialed.calls, 1);
    ck_assert_msg(dialed.err == err, "%s: %s", ad_err_name(dialed.err), dialed.d.info.msg);
    ck_assert((dialed.s != NULL) == (err == AD_OK));
    ck_assert_int_eq(dialed.d.info.code, err);
}

START_TEST(a_literal_address_is_connected)
{
    listen_on("127.0.0.1:0", 8);
    ck_assert_int_eq(dial(here_as("127.0.0.1"), 1000), AD_OK);
    expect(AD_OK);
    char peer[64];
    ad_stream_peer(dialed.s, peer, sizeof(peer));
    ck_assert_str_eq(peer, here_as("127.0.0.1"));
    ck_assert_uint_eq(dialed.d.resolved_ms, 0); /* there was nothing to resolve */
}
END_TEST

START_TEST(a_name_is_resolved_and_its_addresses_are_tried_in_turn)
{
    listen_on("127.0.0.1:0", 8);
    uint64_t before_ms = ad_mono_ms(ad_loop_clock(w.loop));
    ck_assert_int_eq(dial(here_as("localhost"), 1000), AD_OK);
    expect(AD_OK);
    ck_assert_uint_ge(dialed.d.resolved_ms, before_ms);
    ck_assert_uint_le(dialed.d.resolved_ms, ad_mono_ms(ad_loop_clock(w.loop)));
}
END_TEST

START_TEST(a_refused_connection_says_where_and_why)
{
    listen_on("127.0.0.1:0", 8);
    ad_listener_close(listener);
    listener = NULL;
    world_settle(&w);
    ck_assert_int_eq(dial(here_as("127.0.0.1"), 1000), AD_OK);
    expect(AD_ERR_NETWORK);
    ck_assert_int_eq(dialed.d.info.os, ECONNREFUSED);
    ck_assert_ptr_nonnull(strstr(dialed.d.info.msg, here_as("127.0.0.1")));
    ck_assert(!dialed.d.info.sent);
}
END_TEST

START_TEST(an_unknown_name_is_dns)
{
    ck_assert_int_eq(dial("no..such.name:80", 60000), AD_OK);
    expect(AD_ERR_DNS);
    ck_assert_ptr_nonnull(strstr(dialed.d.info.msg, "no..such.name"));
}
END_TEST

START_TEST(an_unknown_name_leads_where_it_led_last)
{
    struct ad_dial_last led = { .known = false };
    last = &led;
    listen_on("127.0.0.1:0", 8);
    ck_assert_int_eq(dial("no..such.name:80", 60000), AD_OK);
    expect(AD_ERR_DNS);
    ck_assert_int_eq(dial(here_as("127.0.0.1"), 1000), AD_OK);
    expect(AD_OK);
    ck_assert(!led.known); /* no name led there */
    ck_assert_int_eq(dial(here_as("localhost"), 1000), AD_OK);
    expect(AD_OK);
    ck_assert(led.known);
    ck_assert_int_eq(dial("no..such.name:80", 60000), AD_OK);
    expect(AD_OK);
    last = NULL;
}
END_TEST

START_TEST(a_resolver_that_is_late_is_not_waited_for_where_the_last_address_is_known)
{
    struct ad_dial_last led = { .known = false };
    last = &led;
    listen_on("127.0.0.1:0", 8);
    ck_assert_int_eq(dial(here_as("localhost"), 1000), AD_OK);
    expect(AD_OK);
    ck_assert_int_eq(dial(here_as("localhost"), 1000), AD_OK);
    vclock_advance(&w.clock, 500); /* before the loop can hear of an answer */
    expect(AD_OK);
    last = NULL;
}
END_TEST

/* A listening socket whose queue is full: connecting to it neither succeeds nor fails. */
static int silent_fd;
static int fillers[8];

static void open_silent(void)
{
    struct sockaddr_in sa = { .sin_family = AF_INET };
    socklen_t len = sizeof(sa);
    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    silent_fd = new_socket();
    ck_assert_int_eq(bind(silent_fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    ck_assert_int_eq(listen(silent_fd, 0), 0);
    ck_assert_int_eq(getsockname(silent_fd, (struct sockaddr *)&sa, &len), 0);
    here.port = ntohs(sa.sin_port);
    for (size_t i = 0; i < AD_LEN(fillers); i++) {
        fillers[i] = client();
    }
}

static void close_silent(void)
{
    for (size_t i = 0; i < AD_LEN(fillers); i++) {
        close(fillers[i]);
    }
    close(silent_fd);
}

/* The system's resolver, which libuv calls on a thread of its own: it may be told to hang. */
static atomic_bool resolver_hangs;
static sem_t resolver_asked, resolver_may_answer;

int getaddrinfo(const char *restrict name, const char *restrict service,
                const struct addrinfo *restrict req, struct addrinfo **restrict pai)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    if (atomic_load(&resolver_hangs)) {
        sem_post(&resolver_asked);
        sem_wait(&resolver_may_answer);
    }
    return real(name, service, req, pai);
}

static void resolver_hang(void)
{
    ck_assert_int_eq(sem_init(&resolver_asked, 0, 0), 0);
    ck_assert_int_eq(sem_init(&resolver_may_answer, 0, 0), 0);
    atomic_store(&resolver_hangs, true);
}

static void resolver_answer(void)
{
    atomic_store(&resolver_hangs, false);
    sem_post(&resolver_may_answer);
}

/* To a name that leads where here_as("127.0.0.1") says, while the resolver hangs: tried is the last
 * address. */
static void dial_past_the_resolver(struct ad_dial_last *led)
{
    struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons((uint16_t)here.port) };
    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *led = (struct ad_dial_last){ .known = true };
    memcpy(led->address, &sa, sizeof(sa));
    last = led;
    resolver_hang();
    ck_assert_int_eq(dial(here_as("localhost"), 1000), AD_OK);
    last = NULL;
    sem_wait(&resolver_asked);
    world_advance(&w, 500);
}

START_TEST(connected_at_the_last_address_it_ends_though_the_resolver_answers_later)
{
    struct ad_dial_last led;
    listen_on("127.0.0.1:0", 8);
    dial_past_the_resolver(&led);
    expect(AD_OK);
    memset(&dialed, 0xff, sizeof(dialed)); /* it is the caller's again, and so is the address */
    memset(&led, 0xff, sizeof(led));
    resolver_answer();
}
END_TEST

START_TEST(cancel_while_the_resolver_is_late_reports_canceled_once)
{
    struct ad_dial_last led;
    open_silent();
    dial_past_the_resolver(&led);
    ck_assert_uint_eq(dialed.calls, 0);
    ad_dial_cancel(&dialed.d);
    expect(AD_ERR_CANCELED);
    resolver_answer();
    close_silent();
}
END_TEST

START_TEST(the_deadline_ends_it_while_the_resolver_is_late)
{
    struct ad_dial_last led;
    open_silent();
    dial_past_the_resolver(&led);
    world_advance(&w, 499);
    ck_assert_uint_eq(dialed.calls, 0);
    world_advance(&w, 1);
    expect(AD_ERR_TIMEOUT);
    resolver_answer();
    close_silent();
}
END_TEST

START_TEST(an_address_that_does_not_answer_times_out)
{
    open_silent();
    ck_assert_int_eq(dial(here_as("127.0.0.1"), 5000), AD_OK);
    world_advance(&w, 4999);
    ck_assert_uint_eq(dialed.calls, 0);
    world_advance(&w, 1);
    expect(AD_ERR_TIMEOUT);
    ck_assert_ptr_nonnull(strstr(dialed.d.info.msg, "timed out"));
    close_silent();
}
END_TEST

START_TEST(cancel_while_connecting_reports_canceled_once)
{
    open_silent();
    ck_assert_int_eq(dial(here_as("127.0.0.1"), 5000), AD_OK);
    world_settle(&w);
    ad_dial_cancel(&dialed.d);
    ad_dial_cancel(&dialed.d);
    ck_assert_uint_eq(dialed.calls, 0);
    expect(AD_ERR_CANCELED);
    close_silent();
}
END_TEST

START_TEST(cancel_before_the_first_turn_reports_canceled_once)
{
    listen_on("127.0.0.1:0", 8);
    ck_assert_int_eq(dial(here_as("127.0.0.1"), 1000), AD_OK);
    ad_dial_cancel(&dialed.d);
    ck_assert_uint_eq(dialed.calls, 0);
    expect(AD_ERR_CANCELED);
}
END_TEST

START_TEST(cancel_while_resolving_reports_canceled_once)
{
    listen_on("127.0.0.1:0", 8);
    ck_assert_int_eq(dial(here_as("localhost"), 1000), AD_OK);
    ad_dial_cancel(&dialed.d);
    expect(AD_ERR_CANCELED);
}
END_TEST

START_TEST(cancel_after_the_callback_is_harmless)
{
    listen_on("127.0.0.1:0", 8);
    ck_assert_int_eq(dial(here_as("127.0.0.1"), 1000), AD_OK);
    expect(AD_OK);
    ad_dial_cancel(&dialed.d);
    world_settle(&w);
    ck_assert_uint_eq(dialed.calls, 1);
}
END_TEST

START_TEST(the_deadline_ends_resolving_too)
{
    ck_assert_int_eq(dial("localhost:1", 0), AD_OK);
    expect(AD_ERR_TIMEOUT);
}
END_TEST

START_TEST(no_memory_is_told_at_once_or_in_the_callback)
{
    listen_on("127.0.0.1:0", 8);
    heap_fail(0, 1);
    ck_assert_int_eq(dial(here_as("127.0.0.1"), 1000), AD_ERR_NOMEM);
    world_settle(&w);
    ck_assert_uint_eq(dialed.calls, 0);
    ck_assert_int_eq(ad_timers_reserve(ad_loop_timers(w.loop), 16), AD_OK);
    ck_assert_int_eq(dial(here_as("127.0.0.1"), 1000), AD_OK);
    heap_fail(0, 1);
    expect(AD_ERR_NOMEM);
}
END_TEST

START_TEST(no_memory_for_a_listener_is_an_error)
{
    struct ad_endpoint at = { .host = "127.0.0.1" };
    heap_fail(0, 1);
    ck_assert_int_eq(ad_listen(w.loop, &at, 8, on_accept, &w, &listener, NULL), AD_ERR_NOMEM);
    ck_assert_ptr_null(listener);
}
END_TEST

static Suite *net_suite(void)
{
    Suite *suite = suite_create("net");
    TCase *text = tcase_create("endpoints");
    tcase_add_loop_test(text, an_endpoint_is_read_or_refused_whole, 0, (int)AD_LEN(endpoints));
    tcase_add_test(text, a_host_too_long_is_refused);
    tcase_add_test(text, loopback_is_known_by_address_and_by_its_one_name);
    suite_add_tcase(suite, text);

    TCase *listening = tcase_create("listening");
    tcase_add_checked_fixture(listening, open_world, close_world);
    tcase_add_test(listening, a_connection_is_accepted_with_its_peers_address_and_without_delay);
    tcase_add_test(listening, all_addresses_means_both_families_and_peers_read_alike);
    tcase_add_test(listening, a_name_may_be_listened_on);
    tcase_add_test(listening, a_taken_address_fails_at_once_and_says_which);
    tcase_add_test(listening, an_address_that_is_not_ours_fails);
    tcase_add_test(listening, a_paused_listener_accepts_nothing_and_loses_nothing);
    tcase_add_test(listening, a_listener_may_be_paused_in_its_own_callback);
    tcase_add_test(listening, closing_a_paused_listener_drops_what_it_held);
    tcase_add_test(listening, without_memory_a_connection_waits_and_is_accepted_later);
    tcase_add_test(listening, without_descriptors_connections_are_dropped_and_listening_goes_on);
    tcase_add_test(listening, no_memory_for_a_listener_is_an_error);
    suite_add_tcase(suite, listening);

    TCase *dialing = tcase_create("dialing");
    tcase_add_checked_fixture(dialing, open_world, close_world);
    tcase_add_test(dialing, a_literal_address_is_connected);
    tcase_add_test(dialing, a_name_is_resolved_and_its_addresses_are_tried_in_turn);
    tcase_add_test(dialing, a_refused_connection_says_where_and_why);
    tcase_add_test(dialing, an_unknown_name_is_dns);
    tcase_add_test(dialing, an_unknown_name_leads_where_it_led_last);
    tcase_add_test(dialing,
                   a_resolver_that_is_late_is_not_waited_for_where_the_last_address_is_known);
    tcase_add_test(dialing,
                   connected_at_the_last_address_it_ends_though_the_resolver_answers_later);
    tcase_add_test(dialing, cancel_while_the_resolver_is_late_reports_canceled_once);
    tcase_add_test(dialing, the_deadline_ends_it_while_the_resolver_is_late);
    tcase_add_test(dialing, an_address_that_does_not_answer_times_out);
    tcase_add_test(dialing, cancel_while_connecting_reports_canceled_once);
    tcase_add_test(dialing, cancel_before_the_first_turn_reports_canceled_once);
    tcase_add_test(dialing, cancel_while_resolving_reports_canceled_once);
    tcase_add_test(dialing, cancel_after_the_callback_is_harmless);
    tcase_add_test(dialing, the_deadline_ends_resolving_too);
    tcase_add_test(dialing, no_memory_is_told_at_once_or_in_the_callback);
    suite_add_tcase(suite, dialing);
    return suite;
}

RUN_SUITE(net_suite)
