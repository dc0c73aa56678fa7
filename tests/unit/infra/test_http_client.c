/* Calls and their connections: requests as sent, the pool, deadlines, cancel and close at each
 * stage, no memory. */
#include "client_fixture.h"

#define OK_EMPTY AD_STR("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

static struct call a;
static struct call b;

static void expect(struct call *call, enum ad_err err)
{
    call_until_done(call);
    world_settle(&f.w);
    ck_assert_uint_eq(call->calls, 1);
    ck_assert_msg(call->c.err == err, "%s: %s", ad_err_name(call->c.err), call->c.info.msg);
    ck_assert_int_eq(call->c.info.code, err);
    ck_assert(call->c.info.sent == call->c.sent);
    call_fini(call);
}

static void open_pair(void)
{
    fixture_open_pair();
    client_open();
}

/* --- what is sent --- */

static void expect_request(const char *text)
{
    peer_until_asked(0);
    world_settle(&f.w);
    assert_str(ad_str_n(f.peers[0]->got, f.peers[0]->got_n), text);
    peer_send(0, OK_EMPTY);
    expect(&a, AD_OK);
}

START_TEST(a_get_has_host_and_connection_and_no_length)
{
    open_pair();
    call_init(&a, "GET", "/v2/self?a=b");
    call_start(&a);
    expect_request(
        "GET /v2/self?a=b HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nConnection: keep-alive\r\n\r\n");
    fixture_close();
}
END_TEST

START_TEST(a_post_has_its_fields_length_and_body)
{
    open_pair();
    struct ad_http_header h[] = { { AD_STR("Authorization"), AD_STR("Bearer x") },
                                  { AD_STR("Content-Type"), AD_STR("application/json") } };
    call_init(&a, "POST", "/x");
    a.c.headers = h;
    a.c.headers_n = 2;
    a.c.body = AD_STR("{\"a\":1}");
    call_start(&a);
    expect_request("POST /x HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nConnection: keep-alive\r\n"
                   "Authorization: Bearer x\r\nContent-Type: application/json\r\n"
                   "Content-Length: 7\r\n\r\n{\"a\":1}");
    fixture_close();
}
END_TEST

START_TEST(a_post_without_a_body_says_so)
{
    open_pair();
    call_init(&a, "POST", "/x");
    call_start(&a);
    expect_request("POST /x HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nConnection: keep-alive\r\n"
                   "Content-Length: 0\r\n\r\n");
    fixture_close();
}
END_TEST

START_TEST(the_host_field_may_be_set_and_leaves_out_port_80)
{
    fixture_open_pair();
    f.opts.host_header = "api.example.com";
    client_open();
    call_init(&a, "GET", "/");
    call_start(&a);
    expect_request("GET / HTTP/1.1\r\nHost: api.example.com\r\nConnection: keep-alive\r\n\r\n");
    fixture_close();
    fixture_open_pair();
    f.opts.origin = (struct ad_endpoint){ .host = "::1", .port = 80 };
    client_open();
    call_init(&a, "GET", "/");
    call_start(&a);
    expect_request("GET / HTTP/1.1\r\nHost: [::1]\r\nConnection: keep-alive\r\n\r\n");
    fixture_close();
}
END_TEST

static const struct {
    const char *method;
    const char *path;
    struct ad_http_header h;
} unsendable[] = {
#define TEXT(literal)                   \
    {                                   \
        "" literal, sizeof(literal) - 1 \
    }
#define FINE                 \
    {                        \
        TEXT("X"), TEXT("y") \
    }
    { "", "/", FINE },
    { "GE T", "/", FINE },
    { "GET\r\nX:", "/", FINE },
    { "GET", "", FINE },
    { "GET", "x", FINE },
    { "GET", "http://other/", FINE },
    { "GET", "/a b", FINE },
    { "GET", "/a\r\nX: y", FINE },
    { "GET", "/a#b", FINE },
    { "GET", "/\xc3\xa9", FINE },
    { "GET", "/", { TEXT(""), TEXT("y") } },
    { "GET", "/", { TEXT("X Y"), TEXT("y") } },
    { "GET", "/", { TEXT("X:"), TEXT("y") } },
    { "GET", "/", { TEXT("X"), TEXT("a\r\nY: z") } },
    { "GET", "/", { TEXT("X"), TEXT("a\nY: z") } },
    { "GET", "/", { TEXT("X"), TEXT("a\rb") } },
    { "GET", "/", { TEXT("X"), TEXT("a\0b") } },
    { "GET", "/", { TEXT("host"), TEXT("other") } },
    { "GET", "/", { TEXT("Content-Length"), TEXT("5") } },
    { "GET", "/", { TEXT("Transfer-Encoding"), TEXT("chunked") } },
    { "GET", "/", { TEXT("Connection"), TEXT("close") } },
};

START_TEST(what_is_not_one_request_is_refused_and_nothing_happens)
{
    open_pair();
    call_init(&a, unsendable[_i].method, unsendable[_i].path);
    a.c.headers = &unsendable[_i].h;
    a.c.headers_n = 1;
    ck_assert_int_eq(ad_http_call_start(f.client, &a.c), AD_ERR_INVALID);
    world_settle(&f.w);
    ck_assert_uint_eq(a.calls, 0);
    ck_assert_uint_eq(f.dials, 0);
    ad_http_call_cancel(f.client, &a.c);
    call_fini(&a);
    fixture_close();
}
END_TEST

START_TEST(a_client_without_a_usable_host_is_refused)
{
    fixture_open_pair();
    f.opts.host_header = "a\r\nX: y";
    ck_assert_int_eq(ad_http_client_open(f.w.loop, &f.opts, &f.client), AD_ERR_INVALID);
    f.opts.host_header = NULL;
    f.opts.origin.host[0] = '\0';
    ck_assert_int_eq(ad_http_client_open(f.w.loop, &f.opts, &f.client), AD_ERR_INVALID);
    f.opts.host_header = "x";
    client_open();
    fixture_close();
}
END_TEST

/* --- the pool --- */

START_TEST(calls_in_a_row_share_one_connection)
{
    open_pair();
    for (unsigned i = 0; i < 5; i++) {
        call_until_asked(&a, 0);
        peer_send(0, OK_EMPTY);
        expect(&a, AD_OK);
    }
    ck_assert_uint_eq(f.peers_n, 1);
    fixture_close();
}
END_TEST

enum { MANY = 7 };

static struct call many[MANY];
static unsigned order[MANY];
static unsigned order_n;

static void note_order(struct call *call)
{
    order[order_n++] = (unsigned)(call - many);
}

static bool all_done(void *ctx)
{
    (void)ctx;
    for (unsigned i = 0; i < f.peers_n; i++) {
        if (ad_str_contains(ad_str_n(f.peers[i]->got, f.peers[i]->got_n), AD_STR("\r\n\r\n"))) {
            peer_send(i, OK_EMPTY);
        }
    }
    return order_n == MANY;
}

START_TEST(over_the_cap_calls_wait_in_line_and_all_are_served)
{
    fixture_open_pair();
    f.opts.connections_max = 2;
    client_open();
    order_n = 0;
    for (unsigned i = 0; i < MANY; i++) {
        call_init(&many[i], "GET", "/x");
        many[i].then = note_order;
        call_start(&many[i]);
    }
    world_until(&f.w, all_done, NULL);
    ck_assert_uint_eq(f.peers_n, 2);
    for (unsigned i = 0; i < MANY; i++) {
        ck_assert_int_eq(many[i].c.err, AD_OK);
        ck_assert(order[i] / 2 ==
                  i / 2); /* in order, but for the two that are under way together */
        call_fini(&many[i]);
    }
    fixture_close();
}
END_TEST

START_TEST(an_idle_connection_is_closed_after_its_time)
{
    fixture_open_pair();
    f.opts.idle_ms = 1000;
    client_open();
    call_until_asked(&a, 0);
    peer_send(0, OK_EMPTY);
    expect(&a, AD_OK);
    world_advance(&f.w, 999);
    ck_assert_uint_eq(peers_open(), 1);
    world_advance(&f.w, 1);
    ck_assert_uint_eq(peers_open(), 0);
    call_until_asked(&a, 1);
    peer_send(1, OK_EMPTY);
    expect(&a, AD_OK);
    fixture_close();
}
END_TEST

START_TEST(an_idle_connection_the_peer_closed_is_not_used)
{
    open_pair();
    call_until_asked(&a, 0);
    peer_send(0, OK_EMPTY);
    expect(&a, AD_OK);
    peer_close(0);
    world_settle(&f.w);
    call_until_asked(&a, 1);
    peer_send(1, OK_EMPTY);
    expect(&a, AD_OK);
    fixture_close();
}
END_TEST

START_TEST(an_idle_connection_that_speaks_is_not_used)
{
    open_pair();
    call_until_asked(&a, 0);
    peer_send(0, OK_EMPTY);
    expect(&a, AD_OK);
    peer_send(0, OK_EMPTY);
    world_settle(&f.w);
    ck_assert_uint_eq(peers_open(), 0);
    call_until_asked(&a, 1);
    peer_send(1, AD_STR("HTTP/1.1 204 No\r\n\r\n"));
    expect(&a, AD_OK);
    ck_assert_uint_eq(a.c.status, 204);
    fixture_close();
}
END_TEST

/* --- peers that leave --- */

START_TEST(a_reused_connection_that_ends_unanswered_is_marked)
{
    open_pair();
    call_until_asked(&a, 0);
    peer_send(0, OK_EMPTY);
    expect(&a, AD_OK);
    call_init(&a, "GET", "/x");
    call_start(&a);
    _i ? peer_reset(0) : peer_close(0);
    expect(&a, AD_ERR_NETWORK);
    ck_assert(a.c.reused);
    ck_assert(a.c.sent);
    fixture_close();
}
END_TEST

START_TEST(a_new_connection_that_ends_unanswered_is_not)
{
    open_pair();
    call_until_asked(&a, 0);
    _i ? peer_reset(0) : peer_close(0);
    expect(&a, AD_ERR_NETWORK);
    ck_assert(!a.c.reused);
    ck_assert(a.c.sent);
    fixture_close();
}
END_TEST

START_TEST(a_reset_inside_the_response_is_a_network_error)
{
    open_pair();
    call_until_asked(&a, 0);
    peer_send(0, AD_STR("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"));
    world_settle(&f.w);
    peer_reset(0);
    expect(&a, AD_ERR_NETWORK);
    ck_assert(!a.c.reused);
    fixture_close();
}
END_TEST

START_TEST(a_reset_is_no_end_of_a_body_without_length)
{
    open_pair();
    call_until_asked(&a, 0);
    peer_send(0, AD_STR("HTTP/1.1 200 OK\r\n\r\nhe"));
    world_settle(&f.w);
    peer_reset(0);
    expect(&a, AD_ERR_NETWORK);
    fixture_close();
}
END_TEST

/* --- dialing --- */

START_TEST(a_failed_dial_fails_the_call_and_says_nothing_was_sent)
{
    open_pair();
    f.dial_mode = DIAL_FAILS;
    call_init(&a, "GET", "/x");
    call_start(&a);
    ck_assert_uint_eq(f.dial_timeout_ms, 5000);
    expect(&a, AD_ERR_NETWORK);
    ck_assert_ptr_nonnull(strstr(a.c.info.msg, "connect test"));
    ck_assert(!a.c.sent);
    f.dial_mode = DIAL_OK;
    call_until_asked(&a, 0);
    peer_send(0, OK_EMPTY);
    expect(&a, AD_OK);
    fixture_close();
}
END_TEST

START_TEST(each_failed_dial_fails_one_call_and_the_line_moves_on)
{
    fixture_open_pair();
    f.opts.connections_max = 2;
    client_open();
    f.dial_mode = DIAL_FAILS;
    order_n = 0;
    for (unsigned i = 0; i < MANY; i++) {
        call_init(&many[i], "GET", "/x");
        many[i].then = note_order;
        call_start(&many[i]);
    }
    world_until_count(&f.w, &order_n, MANY);
    for (unsigned i = 0; i < MANY; i++) {
        ck_assert_uint_eq(order[i], i);
        ck_assert_int_eq(many[i].c.err, AD_ERR_NETWORK);
        call_fini(&many[i]);
    }
    fixture_close();
}
END_TEST

START_TEST(a_dial_that_cannot_start_fails_the_call_later)
{
    open_pair();
    f.dial_mode = DIAL_REFUSED;
    call_init(&a, "GET", "/x");
    call_start(&a);
    expect(&a, AD_ERR_NOMEM);
    fixture_close();
}
END_TEST

/* --- stages: at each of them a call may be cancelled, time out, or see its client closed --- */

static void until_dialing(void)
{
    f.dial_mode = DIAL_HANGS;
    call_init(&a, "GET", "/x");
    call_start(&a);
    world_settle(&f.w);
}

static void until_started(void)
{
    call_init(&a, "GET", "/x");
    call_start(&a);
}

static void until_in_line(void)
{
    for (unsigned i = 0; i < 2; i++) { /* the cap */
        call_init(&many[i], "GET", "/x");
        call_start(&many[i]);
    }
    peer_until_asked(0);
    peer_until_asked(1);
    call_init(&a, "GET", "/x");
    call_start(&a);
    world_settle(&f.w);
}

static void until_asked(void)
{
    call_until_asked(&a, 0);
}

static void until_in_head(void)
{
    call_until_asked(&a, 0);
    peer_send(0, AD_STR("HTTP/1.1 200 OK\r\nConte"));
    world_settle(&f.w);
}

static void until_in_body(void)
{
    call_until_asked(&a, 0);
    peer_send(0, AD_STR("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"));
    world_settle(&f.w);
}

enum { LARGE_BODY = 200 * 1024 };

static char big[1 << 20];

/* The peer's window is full: the body is still being written. */
static void until_writing(void)
{
    call_init(&a, "POST", "/x");
    a.c.body = ad_str_n(big, sizeof(big));
    call_start(&a);
    while (f.peers_n == 0) {
        ad_loop_turn(f.w.loop, 0);
    }
    ad_stream_read_stop(f.peers[0]->s);
    world_settle(&f.w);
    ck_assert_uint_eq(a.calls, 0);
}

static void (*const stages[])(void) = { until_started, until_dialing, until_in_line, until_asked,
                                        until_in_head, until_in_body, until_writing };

static void open_stage(int i)
{
    fixture_open_pair();
    f.opts.connections_max = 2;
    client_open();
    many[0].calls = many[1].calls = 0;
    stages[i]();
    ck_assert_uint_eq(a.calls, 0);
}

static void close_stage(void)
{
    if (f.client) {
        client_close();
    }
    world_until_true(&f.w, &f.closed);
    for (unsigned i = 0; i < 2; i++) {
        if (many[i].calls) {
            call_fini(&many[i]);
        }
    }
    fixture_close();
}

START_TEST(cancel_reports_canceled_once_at_each_stage)
{
    open_stage(_i);
    ad_http_call_cancel(f.client, &a.c);
    ad_http_call_cancel(f.client, &a.c);
    ck_assert_uint_eq(a.calls, 0);
    expect(&a, AD_ERR_CANCELED);
    ck_assert(a.c.sent == (_i >= 3));
    ad_http_call_cancel(f.client, &a.c);
    close_stage();
}
END_TEST

START_TEST(the_deadline_counts_at_each_stage)
{
    open_stage(_i);
    world_advance(&f.w, 9999);
    ck_assert_uint_eq(a.calls, 0);
    world_advance(&f.w, 1);
    expect(&a, AD_ERR_TIMEOUT);
    close_stage();
}
END_TEST

START_TEST(closing_the_client_cancels_at_each_stage_and_ends_after_the_callbacks)
{
    open_stage(_i);
    struct ad_http_client *client = f.client;
    client_close();
    ck_assert_uint_eq(a.calls, 0);
    struct call late;
    call_init(&late, "GET", "/x");
    ck_assert_int_eq(ad_http_call_start(client, &late.c), AD_ERR_CLOSED);
    call_fini(&late);
    world_until_true(&f.w, &f.closed);
    ck_assert_uint_eq(a.calls, 1);
    expect(&a, AD_ERR_CANCELED);
    close_stage();
}
END_TEST

START_TEST(a_cancelled_call_leaves_its_connection_to_nobody)
{
    open_pair();
    call_until_asked(&a, 0);
    ad_http_call_cancel(f.client, &a.c);
    expect(&a, AD_ERR_CANCELED);
    ck_assert_uint_eq(peers_open(), 0);
    call_until_asked(&a, 1);
    peer_send(1, OK_EMPTY);
    expect(&a, AD_OK);
    fixture_close();
}
END_TEST

START_TEST(a_dial_outlives_its_cancelled_call_and_serves_the_next)
{
    open_pair();
    call_init(&a, "GET", "/x");
    call_start(&a);
    ad_http_call_cancel(f.client, &a.c);
    expect(&a, AD_ERR_CANCELED);
    call_until_asked(&a, 0);
    peer_send(0, OK_EMPTY);
    expect(&a, AD_OK);
    ck_assert_uint_eq(f.dials, 1);
    fixture_close();
}
END_TEST

START_TEST(cancelling_one_gives_its_place_to_the_next_in_line)
{
    fixture_open_pair();
    f.opts.connections_max = 1;
    client_open();
    call_until_asked(&a, 0);
    call_init(&b, "GET", "/y");
    call_start(&b);
    world_settle(&f.w);
    ck_assert_uint_eq(f.peers_n, 1);
    ad_http_call_cancel(f.client, &a.c);
    peer_until_asked(1);
    peer_send(1, OK_EMPTY);
    expect(&b, AD_OK);
    expect(&a, AD_ERR_CANCELED);
    fixture_close();
}
END_TEST

/* --- writing --- */

START_TEST(a_large_body_is_written_whole_in_pieces)
{
    fixture_open_tcp();
    client_open();
    memset(big, 'b', sizeof(big));
    call_init(&a, "POST", "/x");
    a.c.body = ad_str_n(big, LARGE_BODY);
    call_start(&a);
    peer_until_asked(0);
    for (unsigned i = 0; i < 1000 && f.peers[0]->got_n < LARGE_BODY; i++) {
        ad_loop_turn(f.w.loop, 10);
    }
    ck_assert_uint_gt(f.peers[0]->got_n, LARGE_BODY);
    peer_send(0, OK_EMPTY);
    expect(&a, AD_OK);
    fixture_close();
}
END_TEST

START_TEST(an_answer_before_the_request_is_whole_counts_and_ends_the_connection)
{
    open_pair();
    until_writing();
    peer_send(0, AD_STR("HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno"));
    call_until_done(&a);
    ck_assert_uint_eq(a.c.status, 413);
    expect(&a, AD_OK);
    call_until_asked(&a, 1);
    peer_send(1, OK_EMPTY);
    expect(&a, AD_OK);
    fixture_close();
}
END_TEST

START_TEST(a_peer_that_stops_reading_and_leaves_fails_the_call)
{
    open_pair();
    until_writing();
    peer_close(0);
    expect(&a, AD_ERR_NETWORK);
    ck_assert(a.c.sent);
    fixture_close();
}
END_TEST

/* --- inside the callback --- */

static void start_b(struct call *call)
{
    (void)call;
    call_init(&b, "GET", "/next");
    call_start(&b);
}

START_TEST(a_call_may_be_started_in_a_callback_and_uses_the_same_connection)
{
    open_pair();
    call_until_asked(&a, 0);
    a.then = start_b;
    peer_send(0, OK_EMPTY);
    call_until_done(&a);
    peer_until_asked(0);
    peer_send(0, OK_EMPTY);
    expect(&b, AD_OK);
    ck_assert_uint_eq(f.peers_n, 1);
    call_fini(&a);
    fixture_close();
}
END_TEST

static void close_client(struct call *call)
{
    (void)call;
    client_close();
}

START_TEST(the_client_may_be_closed_in_a_callback)
{
    open_pair();
    call_until_asked(&a, 0);
    a.then = close_client;
    call_init(&b, "GET", "/x");
    call_start(&b);
    peer_send(0, OK_EMPTY);
    world_until_true(&f.w, &f.closed);
    expect(&a, AD_OK);
    expect(&b, AD_ERR_CANCELED);
    fixture_close();
}
END_TEST

START_TEST(an_unused_client_closes)
{
    open_pair();
    client_close();
    world_until_true(&f.w, &f.closed);
    fixture_close();
}
END_TEST

START_TEST(a_client_with_idle_connections_closes)
{
    open_pair();
    call_until_asked(&a, 0);
    peer_send(0, OK_EMPTY);
    expect(&a, AD_OK);
    client_close();
    world_until_true(&f.w, &f.closed);
    fixture_close();
}
END_TEST

/* --- no memory --- */

static bool is_done_or_asked(void *ctx)
{
    (void)ctx;
    return a.calls || (f.peers_n > 0 && f.peers[0]->got_n > 0);
}

/* The n-th allocation fails: NOMEM or success, and the client works afterwards. False when none
 * failed. */
static bool call_with_failure(size_t n)
{
    fixture_open_tcp();
    client_open();
    call_init(&a, "GET", "/x");
    heap_fail(n, 1);
    enum ad_err err = ad_http_call_start(f.client, &a.c);
    if (!err) {
        for (unsigned i = 0; i < 200 && !is_done_or_asked(NULL); i++) {
            world_advance(&f.w, 10); /* the server may have had no memory either, and tries again */
        }
        if (!a.calls) {
            peer_send(0, AD_STR("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"));
        }
        call_until_done(&a);
        err = a.c.err;
    }
    bool failed = heap_failed();
    heap_fail(0, 0);
    ck_assert_msg(err == AD_OK || err == AD_ERR_NOMEM, "%zu: %s", n, ad_err_name(err));
    ck_assert(failed || err == AD_OK);
    call_fini(&a);
    unsigned next = err == AD_OK && f.peers_n > 0 ? 0 : f.peers_n;
    call_init(&a, "GET", "/again");
    call_start(&a);
    for (unsigned i = 0; i < 200 && next >= f.peers_n; i++) {
        world_advance(&f.w, 10);
    }
    peer_until_asked(next < f.peers_n ? next : 0);
    peer_send(next < f.peers_n ? next : 0, OK_EMPTY);
    expect(&a, AD_OK);
    fixture_close();
    return failed;
}

START_TEST(no_memory_at_any_place_fails_one_call_and_nothing_else)
{
    size_t n = 0;
    while (call_with_failure(n)) {
        n++;
    }
    ck_assert_uint_gt(n, 5);
}
END_TEST

START_TEST(no_memory_for_a_client_is_an_error)
{
    open_pair();
    struct ad_http_client *other = NULL;
    heap_fail(0, 1);
    ck_assert_int_eq(ad_http_client_open(f.w.loop, &f.opts, &other), AD_ERR_NOMEM);
    fixture_close();
}
END_TEST

START_TEST(an_arena_that_is_full_is_no_memory)
{
    open_pair();
    call_init(&a, "GET", "/x");
    ad_arena_init(&a.arena, 64);
    ck_assert_int_eq(ad_http_call_start(f.client, &a.c), AD_ERR_NOMEM);
    call_fini(&a);
    fixture_close();
}
END_TEST

static Suite *http_client_suite(void)
{
    Suite *suite = suite_create("http_client");
    TCase *tcase = tcase_create("http_client");
    int n = (int)AD_LEN(stages);
    tcase_add_test(tcase, a_get_has_host_and_connection_and_no_length);
    tcase_add_test(tcase, a_post_has_its_fields_length_and_body);
    tcase_add_test(tcase, a_post_without_a_body_says_so);
    tcase_add_test(tcase, the_host_field_may_be_set_and_leaves_out_port_80);
    tcase_add_loop_test(tcase, what_is_not_one_request_is_refused_and_nothing_happens, 0,
                        (int)AD_LEN(unsendable));
    tcase_add_test(tcase, a_client_without_a_usable_host_is_refused);
    tcase_add_test(tcase, calls_in_a_row_share_one_connection);
    tcase_add_test(tcase, over_the_cap_calls_wait_in_line_and_all_are_served);
    tcase_add_test(tcase, an_idle_connection_is_closed_after_its_time);
    tcase_add_test(tcase, an_idle_connection_the_peer_closed_is_not_used);
    tcase_add_test(tcase, an_idle_connection_that_speaks_is_not_used);
    tcase_add_loop_test(tcase, a_reused_connection_that_ends_unanswered_is_marked, 0, 2);
    tcase_add_loop_test(tcase, a_new_connection_that_ends_unanswered_is_not, 0, 2);
    tcase_add_test(tcase, a_reset_inside_the_response_is_a_network_error);
    tcase_add_test(tcase, a_reset_is_no_end_of_a_body_without_length);
    tcase_add_test(tcase, a_failed_dial_fails_the_call_and_says_nothing_was_sent);
    tcase_add_test(tcase, each_failed_dial_fails_one_call_and_the_line_moves_on);
    tcase_add_test(tcase, a_dial_that_cannot_start_fails_the_call_later);
    tcase_add_loop_test(tcase, cancel_reports_canceled_once_at_each_stage, 0, n);
    tcase_add_loop_test(tcase, the_deadline_counts_at_each_stage, 0, n);
    tcase_add_loop_test(
        tcase, closing_the_client_cancels_at_each_stage_and_ends_after_the_callbacks, 0, n);
    tcase_add_test(tcase, a_cancelled_call_leaves_its_connection_to_nobody);
    tcase_add_test(tcase, a_dial_outlives_its_cancelled_call_and_serves_the_next);
    tcase_add_test(tcase, cancelling_one_gives_its_place_to_the_next_in_line);
    tcase_add_test(tcase, a_large_body_is_written_whole_in_pieces);
    tcase_add_test(tcase, an_answer_before_the_request_is_whole_counts_and_ends_the_connection);
    tcase_add_test(tcase, a_peer_that_stops_reading_and_leaves_fails_the_call);
    tcase_add_test(tcase, a_call_may_be_started_in_a_callback_and_uses_the_same_connection);
    tcase_add_test(tcase, the_client_may_be_closed_in_a_callback);
    tcase_add_test(tcase, an_unused_client_closes);
    tcase_add_test(tcase, a_client_with_idle_connections_closes);
    tcase_add_test(tcase, no_memory_at_any_place_fails_one_call_and_nothing_else);
    tcase_add_test(tcase, no_memory_for_a_client_is_an_error);
    tcase_add_test(tcase, an_arena_that_is_full_is_no_memory);
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITE(http_client_suite)
