/* The server's behaviour in time: order, deadlines, peers that leave or do not read, drain,
 * close, no memory. */
#include "http_fixture.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "support/run.h"

#define HELLO "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"
#define LATER "GET /later HTTP/1.1\r\nHost: a\r\n\r\n"
#define LARGE "GET /large HTTP/1.1\r\nHost: a\r\n\r\n"

static struct http_fixture f;

static void setup(void)
{
    memset(&f, 0, sizeof(f));
    fixture_open(&f);
}

static void teardown(void)
{
    fixture_close(&f);
}

static void settle(void)
{
    world_settle(&f.w);
}

static void on_shut(struct ad_write *w, enum ad_err err)
{
    (void)w;
    (void)err;
}

static void on_flag(void *ctx)
{
    *(bool *)ctx = true;
}

static size_t connections(void)
{
    return ad_http_server_connections(f.server);
}

/* --- replies --- */

START_TEST(a_reply_carries_date_type_and_length)
{
    struct http_client c;
    client_open(&c, &f, 0);
    client_say(&c, HELLO);
    settle();
    assert_str(ad_buf_str(&c.in), "HTTP/1.1 200 OK\r\n"
                                  "Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
                                  "Content-Type: text/plain\r\n"
                                  "Content-Length: 5\r\n\r\nhello");
    ad_buf_clear(&c.in);
    world_advance(&f.w, 61000);
    client_say(&c, HELLO);
    settle();
    ck_assert(client_got(&c, "Date: Thu, 01 Jan 2026 00:01:01 GMT\r\n"));
    client_close(&c);
}
END_TEST

START_TEST(head_is_get_without_its_body)
{
    struct http_client c;
    client_open(&c, &f, 0);
    client_say(&c, "HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    settle();
    ck_assert(client_got(&c, "Content-Length: 5\r\n\r\n"));
    ck_assert(!client_got(&c, "hello"));
    client_close(&c);
}
END_TEST

START_TEST(a_reply_in_pieces_is_chunked_and_the_connection_lives)
{
    struct http_client c;
    client_open(&c, &f, 1);
    client_say(&c, "GET /pieces HTTP/1.1\r\nHost: a\r\n\r\n" HELLO);
    settle();
    ck_assert(client_got(&c, "Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
                             "3\r\none\r\nc\r\nand a second\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n"));
    ck_assert(client_got(&c, "hello"));
    client_close(&c);
}
END_TEST

START_TEST(a_reply_in_pieces_without_any_ends_at_once)
{
    struct http_client c;
    client_open(&c, &f, 0);
    client_say(&c, "GET /pieces?n=0 HTTP/1.1\r\nHost: a\r\n\r\n");
    settle();
    ck_assert(client_got(&c, "\r\n\r\n0\r\n\r\n"));
    client_close(&c);
}
END_TEST

START_TEST(a_reply_in_pieces_to_1_0_ends_with_the_connection)
{
    struct http_client c;
    client_open(&c, &f, 0);
    client_say(&c, "GET /pieces HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    settle();
    ck_assert(client_got(&c, "Connection: close\r\n\r\noneand a second"));
    ck_assert(!client_got(&c, "chunked"));
    ck_assert(c.ended);
    client_close(&c);
}
END_TEST

START_TEST(head_of_a_reply_in_pieces_asks_for_none)
{
    struct http_client c;
    client_open(&c, &f, 0);
    client_say(&c, "HEAD /pieces HTTP/1.1\r\nHost: a\r\n\r\n" HELLO);
    settle();
    ck_assert(client_got(&c, "chunked\r\n\r\nHTTP/1.1 200 OK\r\n"));
    ck_assert_uint_eq(f.pieces_asked, 0);
    client_close(&c);
}
END_TEST

START_TEST(a_peer_that_leaves_ends_the_pieces)
{
    struct http_client c;
    client_open_deaf(&c, &f);
    client_say(&c, "GET /pieces?n=1000000 HTTP/1.1\r\nHost: a\r\n\r\n");
    settle();
    unsigned asked = f.pieces_asked;
    ck_assert_uint_lt(asked, 100); /* no more than the peer takes */
    ck_assert_uint_eq(connections(), 1);
    client_close(&c);
    settle();
    ck_assert_uint_eq(connections(), 0);
    ck_assert_uint_eq(f.pieces_asked, asked);
}
END_TEST

START_TEST(pieces_nobody_reads_pass_their_time)
{
    struct http_client c;
    client_open_deaf(&c, &f);
    client_say(&c, "GET /pieces?n=1000000 HTTP/1.1\r\nHost: a\r\n\r\n");
    settle();
    world_advance(&f.w, 5000);
    ck_assert_uint_eq(connections(), 0);
    client_close(&c);
}
END_TEST

START_TEST(no_content_has_no_length)
{
    struct http_client c;
    client_open(&c, &f, 0);
    client_say(&c, "GET /none HTTP/1.1\r\nHost: a\r\n\r\n" HELLO);
    settle();
    ck_assert(client_got(&c, "HTTP/1.1 204 No Content\r\n"));
    ck_assert(client_got(&c, "X-Extra: yes\r\n\r\nHTTP/1.1 200"));
    ck_assert_str_eq(client_statuses(&c), "204,200");
    client_close(&c);
}
END_TEST

START_TEST(a_forged_header_value_becomes_500)
{
    struct http_client c;
    client_open(&c, &f, 0);
    client_say(&c, "GET /forge HTTP/1.1\r\nHost: a\r\n\r\n");
    settle();
    ck_assert_str_eq(client_statuses(&c), "500");
    ck_assert(!client_got(&c, "Set-Cookie"));
    ck_assert(c.ended);
    client_close(&c);
}
END_TEST

START_TEST(a_reply_that_does_not_fit_the_arena_becomes_503)
{
    struct http_client c;
    client_open(&c, &f, 0);
    client_say(&c, "GET /hog HTTP/1.1\r\nHost: a\r\n\r\n");
    settle();
    ck_assert_str_eq(client_statuses(&c), "503");
    client_close(&c);
}
END_TEST

START_TEST(wrong_method_names_the_right_ones)
{
    struct http_client c;
    client_open(&c, &f, 0);
    client_say(&c, "DELETE /later HTTP/1.1\r\nHost: a\r\n\r\n");
    settle();
    ck_assert(client_got(&c, "Allow: GET, HEAD, POST\r\n"));
    client_close(&c);
}
END_TEST

START_TEST(params_are_decoded_and_the_query_is_apart)
{
    struct http_client c;
    client_open(&c, &f, 0);
    client_say(&c, "GET /p/a%2Fb%20c?x=%20y HTTP/1.1\r\nHost: a\r\n\r\n");
    settle();
    ck_assert(client_got(&c, "\r\n\r\na/b c|x=%20y|query"));
    ad_buf_clear(&c.in);
    client_say(&c, "GET http://A/p/1? HTTP/1.1\r\nHost: a\r\n\r\n");
    settle();
    ck_assert(client_got(&c, "\r\n\r\n1||query"));
    ad_buf_clear(&c.in);
    client_say(&c, "GET /p/%00 HTTP/1.1\r\nHost: a\r\n\r\nGET /p/%zz HTTP/1.1\r\nHost: a\r\n\r\n");
    settle();
    ck_assert_str_eq(client_statuses(&c), "400,400");
    client_close(&c);
}
END_TEST

START_TEST(header_values_are_trimmed_and_the_peer_is_known)
{
    struct http_client c;
    client_open(&c, &f, 1);
    client_say(&c, "GET /field HTTP/1.1\r\nHost: a\r\nX-FIELD: \t a  b \t\r\n\r\n" HELLO);
    settle();
    world_until_count(&f.w, &f.handled, 1);
    settle();
    ck_assert(client_got(&c, "\r\n\r\n2:a  b"));
    ck_assert_str_eq(f.last_peer, "pair:a");
    client_close(&c);
}
END_TEST

/* --- bodies --- */

static bool large_echo_is_back(void *ctx)
{
    struct http_client *c = ctx;
    return ad_buf_len(&c->in) > (1 << 20);
}

static void echo_large(const char *head, const char *tail, size_t size)
{
    struct http_client c;
    client_open(&c, &f, 0);
    char *body = malloc(size);
    for (size_t i = 0; i < size; i++) {
        body[i] = (char)('a' + i % 23);
    }
    struct ad_buf all;
    ad_buf_init(&all, 8 << 20);
    ad_buf_put(&all, ad_str_c(head));
    ad_buf_put(&all, ad_str_n(body, size));
    ad_buf_put(&all, ad_str_c(tail));
    client_send(&c, ad_buf_str(&all));
    world_until(&f.w, large_echo_is_back, &c);
    settle();
    ck_assert_str_eq(client_statuses(&c), "200");
    struct ad_str in = ad_buf_str(&c.in);
    ck_assert_mem_eq(in.p + in.n - size, body, size);
    free(body);
    ad_buf_fini(&all);
    client_close(&c);
}

START_TEST(a_body_of_the_routes_limit_is_whole)
{
    echo_large("PUT /big HTTP/1.1\r\nHost: a\r\nContent-Length: 1048576\r\n\r\n", "", 1 << 20);
}
END_TEST

START_TEST(a_chunked_body_of_the_routes_limit_is_whole)
{
    echo_large("PUT /big HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n100000\r\n",
               "\r\n0\r\n\r\n", 1 << 20);
}
END_TEST

START_TEST(many_small_chunks_become_one_body)
{
    struct http_client c;
    client_open(&c, &f, 0);
    client_say(&c, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 1000; i++) {
        client_say(&c, "1\r\nz\r\n");
        settle();
    }
    client_say(&c, "0\r\n\r\n");
    settle();
    ck_assert(client_got(&c, "Content-Length: 1000\r\n\r\nzzzz"));
    client_close(&c);
}
END_TEST

START_TEST(framing_that_outweighs_the_body_is_refused)
{
    struct http_client c;
    client_open(&c, &f, 0);
    client_say(&c, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    char line[1008];
    memset(line, 'x', 1000);
    line[0] = '1';
    line[1] = ';';
    (void)snprintf(line + 1000, 8, "\r\nz\r\n");
    for (int i = 0; i < 200 && !c.ended; i++) {
        client_send(&c, ad_str_n(line, 1005));
        settle();
    }
    ck_assert_str_eq(client_statuses(&c), "400");
    client_close(&c);
}
END_TEST

START_TEST(expect_is_answered_once_the_body_is_wanted)
{
    struct http_client c;
    client_open(&c, &f, 0);
    client_say(
        &c, "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 3\r\n\r\n");
    settle();
    assert_str(ad_buf_str(&c.in), "HTTP/1.1 100 Continue\r\n\r\n");
    client_say(&c, "abc" HELLO);
    settle();
    ck_assert_str_eq(client_statuses(&c), "100,200,200");
    client_close(&c);
}
END_TEST

START_TEST(continue_that_must_wait_comes_before_the_reply)
{
    struct http_client c;
    client_open(&c, &f, 0);
    pair_faults(c.server_end)->try_refused = true;
    pair_faults(c.server_end)->stall = false;
    client_say(
        &c, "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    settle();
    client_say(&c, "abc");
    settle();
    ck_assert_str_eq(client_statuses(&c), "100,200");
    client_close(&c);
}
END_TEST

START_TEST(continue_that_stalls_and_a_handler_that_is_late_end_alike)
{
    struct http_client c;
    client_open_deaf(&c, &f);
    pair_faults(c.server_end)->try_refused = true;
    pair_faults(c.stream)->window = 1;
    client_say(
        &c, "POST /later HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    settle();
    client_say(&c, "abc");
    settle();
    ck_assert_uint_eq(f.owed_n, 1);
    world_advance(&f.w, 30000);
    ck_assert_uint_eq(connections(), 0);
    ck_assert_uint_eq(f.gone, 1);
    fixture_reply(&f, 200, "x");
    client_close(&c);
}
END_TEST

START_TEST(a_reply_from_within_the_reset_waits_for_the_stalled_continue)
{
    struct http_client c;
    f.reply_when_gone = true;
    client_open_deaf(&c, &f);
    pair_faults(c.server_end)->try_refused = true;
    pair_faults(c.stream)->window = 1;
    client_say(&c, "POST /later HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                   "Content-Length: 3\r\n\r\n");
    settle();
    client_say(&c, "abc");
    settle();
    ck_assert_uint_eq(f.owed_n, 1);
    ad_http_server_close(f.server, on_flag, &f.closed);
    f.server = NULL;
    ck_assert_uint_eq(f.gone, 1);
    ck_assert(!f.closed);
    world_until_true(&f.w, &f.closed);
    client_close(&c);
}
END_TEST

START_TEST(a_refused_body_that_breaks_off_ends_the_connection)
{
    struct http_client c;
    client_open(&c, &f, 0);
    client_say(&c, "POST /nope HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    settle();
    ck_assert_str_eq(client_statuses(&c), "404");
    client_close(&c);
    ck_assert_uint_eq(connections(), 0);
}
END_TEST

START_TEST(expect_is_not_answered_when_the_body_is_here)
{
    struct http_client c;
    client_open(&c, &f, 0);
    client_say(
        &c,
        "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc");
    settle();
    ck_assert_str_eq(client_statuses(&c), "200");
    client_close(&c);
}
END_TEST

START_TEST(admit_answers_before_the_body_and_the_connection_lives)
{
    struct http_client c;
    f.admit_status = 401;
    client_open(&c, &f, 0);
    client_say(&c, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    settle();
    ck_assert_str_eq(client_statuses(&c), "401");
    f.admit_status = 0;
    client_say(&c, "defghij" HELLO);
    settle();
    ck_assert_str_eq(client_statuses(&c), "401,200");
    ck_assert_uint_eq(f.handled, 1);
    client_close(&c);
}
END_TEST

START_TEST(admit_that_refuses_a_large_body_closes)
{
    struct http_client c;
    f.admit_status = 403;
    client_open(&c, &f, 0);
    client_say(&c, "PUT /big HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nabc");
    settle();
    ck_assert_str_eq(client_statuses(&c), "403");
    ck_assert(c.ended);
    client_close(&c);
}
END_TEST

START_TEST(refusals_carry_what_explain_says)
{
    static const struct {
        const char *request, *status, *body;
    } rows[] = {
        { "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n", "404", "404: /nowhere" },
        { "DELETE /echo HTTP/1.1\r\nHost: a\r\n\r\n", "405", "405: /echo" },
        { "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n", "413",
          "413: /echo" },
        { "GET /echo HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400", "400: " },
        { "nonsense\r\n\r\n", "501", "501: " },
    };
    f.explains = true;
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        struct http_client c;
        client_open(&c, &f, 0);
        client_send(&c, ad_str_c(rows[i].request));
        settle();
        ck_assert_str_eq(client_statuses(&c), rows[i].status);
        ck_assert_msg(client_got(&c, rows[i].body), "%s", rows[i].request);
        ck_assert(client_got(&c, "Content-Type: text/plain\r\n"));
        client_close(&c);
    }
}
END_TEST

START_TEST(a_client_that_sends_on_after_413_sees_the_answer)
{
    struct http_client c;
    client_open(&c, &f, 0);
    client_say(&c, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n");
    static char piece[60000];
    size_t sent = 0;
    for (unsigned i = 0; i < 1000 && connections() > 0; i++) {
        sent += ad_stream_try_write(c.stream, &(struct ad_str){ piece, sizeof(piece) }, 1);
        settle();
    }
    ck_assert_uint_gt(sent, 1 << 20);
    ck_assert_uint_lt(sent, 16 << 20);
    ck_assert_str_eq(client_statuses(&c), "413");
    ck_assert_int_eq(c.end, AD_ERR_CLOSED);
    client_close(&c);
}
END_TEST

START_TEST(a_client_that_keeps_a_refused_connection_open_is_dropped)
{
    struct http_client c;
    client_open(&c, &f, 0);
    client_say(&c, "bad\r\n\r\n");
    settle();
    ck_assert_uint_eq(connections(), 1);
    world_advance(&f.w, 2000);
    ck_assert_uint_eq(connections(), 0);
    client_close(&c);
}
END_TEST

/* --- bounds --- */

static void bomb(const char *unit, unsigned n, const char *expected)
{
    struct http_client c;
    client_open(&c, &f, 0);
    client_say(&c, "GET /hello HTTP/1.1\r\nHost: a\r\n");
    struct ad_str piece = ad_str_c(unit);
    for (unsigned i = 0; i < n && !c.ended; i++) {
        client_send(&c, piece);
        if (i % 100 == 0) {
            settle();
        }
    }
    client_say(&c, "\r\n\r\n");
    settle();
    ck_assert_str_eq(client_statuses(&c), expected);
    client_close(&c);
}

START_TEST(twenty_thousand_fields_are_refused)
{
    bomb("X: y\r\n", 20000, "431");
}
END_TEST

START_TEST(more_fields_than_allowed_are_refused)
{
    bomb("X: y\r\n", 99, "200");
    bomb("X: y\r\n", 100, "431");
}
END_TEST

START_TEST(an_endless_value_is_refused)
{
    struct http_client c;
    client_open(&c, &f, 0);
    client_say(&c, "GET /hello HTTP/1.1\r\nHost: a\r\nX: ");
    static char piece[1024];
    memset(piece, 'x', sizeof(piece));
    for (int i = 0; i < 1024 && !c.ended; i++) {
        client_send(&c, ad_str_n(piece, sizeof(piece)));
        settle();
    }
    ck_assert_str_eq(client_statuses(&c), "431");
    client_close(&c);
}
END_TEST

START_TEST(an_endless_target_is_refused)
{
    struct http_client c;
    client_open(&c, &f, 0);
    client_say(&c, "GET /");
    for (unsigned i = 0; i < 1000 && !c.ended; i++) {
        client_say(&c, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
        settle();
    }
    ck_assert_str_eq(client_statuses(&c), "414");
    client_close(&c);
}
END_TEST

START_TEST(a_target_past_its_limit_is_refused_and_one_at_it_is_not)
{
    for (size_t over = 0; over < 2; over++) {
        struct http_client c;
        client_open(&c, &f, 0);
        static char target[8194];
        memset(target, 'a', sizeof(target));
        target[0] = '/';
        client_say(&c, "GET ");
        client_send(&c, ad_str_n(target, 8192 + over));
        client_say(&c, " HTTP/1.1\r\nHost: a\r\n\r\n");
        settle();
        ck_assert_str_eq(client_statuses(&c), over ? "414" : "404");
        client_close(&c);
    }
}
END_TEST

START_TEST(an_idle_connection_costs_little)
{
    struct http_client c;
    client_open(&c, &f, 0);
    client_say(&c, HELLO);
    settle();
    size_t before = heap_held_bytes();
    struct ad_stream *a = NULL;
    struct ad_stream *b = NULL;
    pair_open(f.w.loop, &a, &b);
    size_t pair = heap_held_bytes() - before;
    before = heap_held_bytes();
    struct http_client d;
    client_open(&d, &f, 0);
    settle();
    size_t ours = heap_held_bytes() - before - pair;
    ck_assert_msg(ours < 400, "%zu bytes", ours);
    client_close(&c);
    client_close(&d);
    ad_stream_close(a, NULL);
    ad_stream_close(b, NULL);
}
END_TEST

/* --- pipelining --- */

static bool has_the_last(void *ctx)
{
    return client_got(ctx, "\r\n\r\n499||none");
}

START_TEST(five_hundred_pipelined_requests_are_answered_in_order)
{
    struct http_client c;
    struct ad_buf all;
    client_open(&c, &f, 0);
    ad_buf_init(&all, 1 << 20);
    for (int i = 0; i < 500; i++) {
        ad_buf_fmt(&all, "GET /p/%d HTTP/1.1\r\nHost: a\r\n\r\n", i);
    }
    client_send(&c, ad_buf_str(&all));
    world_until(&f.w, has_the_last, &c);
    struct ad_str in = ad_buf_str(&c.in);
    size_t at = 0;
    for (int i = 0; i < 500; i++) {
        char want[40];
        int n = snprintf(want, sizeof(want), "\r\n\r\n%d||none", i);
        const char *found = memmem(in.p + at, in.n - at, want, (size_t)n);
        ck_assert_msg(found != NULL, "no reply %d", i);
        at = (size_t)(found - in.p) + (size_t)n;
    }
    ad_buf_fini(&all);
    client_close(&c);
}
END_TEST

static bool has_hello(void *ctx)
{
    return client_got(ctx, "hello");
}

START_TEST(who_pipelines_does_not_hold_up_the_others)
{
    struct http_client many;
    struct http_client one;
    client_open(&many, &f, 0);
    client_open(&one, &f, 0);
    for (int i = 0; i < 200; i++) {
        client_say(&many, "GET /p/0 HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    client_say(&one, HELLO);
    world_until(&f.w, has_hello, &one);
    ck_assert_uint_lt(strlen(client_statuses(&many)), strlen("200,") * 20);
    client_close(&many);
    client_close(&one);
}
END_TEST

static void pipelined_later(size_t chop)
{
    struct http_client c;
    unsigned before = f.handled;
    client_open(&c, &f, chop);
    struct ad_buf all;
    ad_buf_init(&all, 1 << 20);
    for (int i = 0; i < 200; i++) {
        ad_buf_put(&all, AD_STR("POST /later HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"));
    }
    client_send(&c, ad_buf_str(&all));
    for (unsigned i = 0; i < 200; i++) {
        world_until_count(&f.w, &f.handled, before + i + 1);
        settle();
        ck_assert_uint_eq(f.owed_n, 1); /* one at a time */
        char text[16];
        (void)snprintf(text, sizeof(text), "<%u>", i);
        fixture_reply(&f, 200, text);
        settle();
        ck_assert(client_got(&c, text));
    }
    ad_buf_fini(&all);
    client_close(&c);
}

START_TEST(pipelined_requests_wait_for_a_reply_that_comes_later)
{
    pipelined_later(0);
    pipelined_later(17);
}
END_TEST

START_TEST(reading_stops_while_a_reply_is_owed)
{
    struct http_client c;
    client_open(&c, &f, 0);
    client_say(&c, LATER HELLO);
    settle();
    static char piece[60000];
    memset(piece, 'x', sizeof(piece));
    for (int i = 0; i < 100; i++) {
        ad_stream_try_write(c.stream, &(struct ad_str){ piece, sizeof(piece) }, 1);
        settle();
    }
    /* The window is full, not our memory. */
    ck_assert_uint_eq(pair_unread(c.server_end), 65536);
    fixture_reply(&f, 200, "x");
    settle();
    client_close(&c);
}
END_TEST

START_TEST(a_client_that_ends_its_direction_gets_all_its_replies)
{
    struct http_client c;
    struct ad_write w;
    client_open(&c, &f, 0);
    client_say(&c, HELLO HELLO LATER HELLO);
    ck_assert_int_eq(ad_stream_shutdown(c.stream, &w, on_shut), AD_OK);
    settle();
    fixture_reply(&f, 200, "x");
    settle();
    ck_assert_str_eq(client_statuses(&c), "200,200,200,200");
    ck_assert(c.ended);
    client_close(&c);
}
END_TEST

/* --- time --- */

/* Says `text`, then one more byte each second, and gives the answer and when it came. */
static unsigned drip(const char *text, char byte, const char *expected)
{
    struct http_client c;
    client_open(&c, &f, 0);
    client_send(&c, ad_str_c(text));
    settle();
    unsigned seconds = 0;
    while (!c.ended && seconds < 100) {
        client_send(&c, ad_str_n(&byte, 1));
        world_advance(&f.w, 1000);
        seconds++;
    }
    ck_assert_str_eq(client_statuses(&c), expected);
    client_close(&c);
    return seconds;
}

START_TEST(a_head_that_drips_is_408)
{
    ck_assert_uint_eq(drip("GET /hello HTTP/1.1\r\nX: ", 'y', "408"), 8);
    ck_assert_uint_eq(
        fixture_metric(&f, "attiod_http_refused_total{listener=\"public\",reason=\"timeout\"}"), 1);
}
END_TEST

START_TEST(a_body_that_drips_is_408)
{
    ck_assert_uint_eq(
        drip("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n", 'y', "408"), 8);
}
END_TEST

START_TEST(chunks_that_drip_are_408)
{
    ck_assert_uint_eq(
        drip("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n200\r\n", 'y',
             "408"),
        8);
}
END_TEST

START_TEST(a_refused_body_that_drips_ends_the_connection)
{
    ck_assert_uint_eq(
        drip("POST /nope HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n", 'y', "404"), 8);
}
END_TEST

START_TEST(a_head_may_take_its_time_after_a_long_idle)
{
    struct http_client c;
    client_open(&c, &f, 0);
    client_say(&c, HELLO);
    world_advance(&f.w, 74000);
    client_say(&c, "GET /hello HTTP/1.1\r\n");
    world_advance(&f.w, 7400);
    client_say(&c, "Host: a\r\n\r\n");
    settle();
    ck_assert_str_eq(client_statuses(&c), "200,200");
    ck_assert(!c.ended);
    client_close(&c);
}
END_TEST

START_TEST(an_idle_connection_ends_after_keep_alive)
{
    struct http_client c;
    client_open(&c, &f, 0);
    world_advance(&f.w, 1000);
    client_say(&c, HELLO);
    world_advance(&f.w, 74999);
    ck_assert(!c.ended);
    world_advance(&f.w, 2);
    ck_assert(c.ended);
    ck_assert_str_eq(client_statuses(&c), "200");
    client_close(&c);
}
END_TEST

START_TEST(a_connection_that_says_nothing_ends)
{
    struct http_client c;
    client_open(&c, &f, 0);
    world_advance(&f.w, 75000);
    ck_assert(c.ended);
    client_close(&c);
}
END_TEST

START_TEST(a_handler_that_does_not_reply_is_500_and_counted)
{
    struct http_client c;
    client_open(&c, &f, 0);
    client_say(&c, LATER);
    settle();
    world_advance(&f.w, 29999);
    ck_assert_str_eq(client_statuses(&c), "");
    world_advance(&f.w, 1);
    ck_assert_str_eq(client_statuses(&c), "500");
    ck_assert(c.ended);
    ck_assert_uint_eq(f.gone, 1);
    ck_assert_uint_eq(
        fixture_metric(&f, "attiod_http_exchange_timeouts_total{listener=\"public\"}"), 1);
    client_close(&c);
    fixture_reply(&f, 200, "too late");
    settle();
}
END_TEST

START_TEST(a_client_that_never_reads_is_dropped)
{
    struct http_client c;
    client_open_deaf(&c, &f);
    client_say(&c, LARGE);
    world_advance(&f.w, 4999);
    ck_assert_uint_eq(connections(), 1);
    world_advance(&f.w, 1);
    ck_assert_uint_eq(connections(), 0);
    client_close(&c);
}
END_TEST

START_TEST(a_client_that_pipelines_and_never_reads_costs_one_reply)
{
    struct http_client c;
    client_open_deaf(&c, &f);
    client_say(&c, LARGE LARGE LARGE LARGE);
    settle();
    size_t before = heap_held_bytes();
    world_advance(&f.w, 4999);
    ck_assert_uint_le(heap_held_bytes(), before);
    ck_assert_uint_lt(before, (size_t)4 << 20);
    world_advance(&f.w, 1);
    ck_assert_uint_eq(connections(), 0);
    client_close(&c);
}
END_TEST

static void on_slow_read(struct ad_stream *s, enum ad_err err, const char *p, size_t n)
{
    struct http_client *c = s->data;
    (void)p;
    if (!err) {
        c->out_busy += n;
    }
}

/* Small replies that are finished now and then are no sign of a reader. */
START_TEST(a_client_that_pipelines_and_takes_a_little_now_and_then_is_dropped)
{
    struct http_client c;
    client_open_deaf(&c, &f);
    pair_faults(c.stream)->window = 1024;
    for (unsigned i = 0; i < 200; i++) {
        client_say(&c, HELLO);
    }
    for (unsigned i = 0; i < 5; i++) {
        settle();
        ck_assert_uint_eq(connections(), 1);
        ck_assert_int_eq(ad_stream_read_start(c.stream, on_slow_read), AD_OK);
        ad_loop_turn(f.w.loop, 0);
        ad_stream_read_stop(c.stream);
        world_advance(&f.w, 1000);
    }
    ck_assert_uint_gt(c.out_busy, 1024);
    settle();
    ck_assert_uint_eq(connections(), 0);
    c.out_busy = 0;
    client_close(&c);
}
END_TEST

START_TEST(a_client_that_reads_slowly_gets_all_of_it)
{
    struct http_client c;
    client_open_deaf(&c, &f);
    pair_faults(c.stream)->window = 32768;
    client_say(&c, LARGE);
    settle();
    for (unsigned i = 0; i < 40; i++) {
        world_advance(&f.w, 2000);
        ck_assert_int_eq(ad_stream_read_start(c.stream, on_slow_read), AD_OK);
        ad_loop_turn(f.w.loop, 0);
        ad_stream_read_stop(c.stream);
    }
    ck_assert_int_eq(ad_stream_read_start(c.stream, on_slow_read), AD_OK);
    settle();
    ck_assert_uint_gt(c.out_busy, 1 << 20);
    c.out_busy = 0;
    client_close(&c);
}
END_TEST

START_TEST(a_large_reply_is_whole_however_it_is_taken)
{
    struct http_client c;
    client_open(&c, &f, 0);
    pair_faults(c.server_end)->try_max = 7;
    client_say(&c, LARGE HELLO);
    for (int i = 0; i < 200 && ad_buf_len(&c.in) < (1 << 20) + 300; i++) {
        settle();
    }
    ck_assert_str_eq(client_statuses(&c), "200,200");
    client_close(&c);
}
END_TEST

/* --- peers that leave --- */

START_TEST(a_peer_that_resets_is_told_and_its_reply_is_dropped)
{
    struct http_client c;
    client_open(&c, &f, 0);
    client_say(&c, LATER);
    settle();
    pair_reset(c.stream);
    settle();
    ck_assert_uint_eq(f.gone, 1);
    ck_assert_uint_eq(connections(), 0);
    client_close(&c);
    fixture_reply(&f, 200, "nobody");
}
END_TEST

START_TEST(a_peer_that_ends_its_direction_is_told_and_answered)
{
    struct http_client c;
    struct ad_write w;
    client_open(&c, &f, 0);
    client_say(&c, LATER);
    ck_assert_int_eq(ad_stream_shutdown(c.stream, &w, on_shut), AD_OK);
    settle();
    ck_assert_uint_eq(f.gone, 1);
    fixture_reply(&f, 200, "still there");
    settle();
    ck_assert_str_eq(client_statuses(&c), "200");
    ck_assert(c.ended);
    client_close(&c);
    ck_assert_uint_eq(f.gone, 1);
}
END_TEST

START_TEST(a_handler_may_reply_when_told_that_the_peer_left)
{
    f.reply_when_gone = true;
    for (int reset = 0; reset < 2; reset++) {
        struct http_client c;
        client_open(&c, &f, 0);
        client_say(&c, LATER);
        settle();
        if (reset) {
            pair_reset(c.stream);
        }
        client_close(&c);
        ck_assert_uint_eq(connections(), 0);
    }
    ck_assert_uint_eq(f.gone, 2);
}
END_TEST

START_TEST(peers_that_leave_at_each_byte_leave_nothing)
{
    struct ad_str raw =
        AD_STR("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
               "3\r\nabc\r\n0\r\n\r\n" LATER HELLO);
    for (size_t n = 0; n <= raw.n; n++) {
        for (int reset = 0; reset < 2; reset++) {
            struct http_client c;
            client_open(&c, &f, 0);
            client_send(&c, ad_str_n(raw.p, n));
            if (n % 3) {
                settle();
            }
            if (reset) {
                pair_reset(c.stream);
            }
            client_close(&c);
            while (f.owed_n) {
                fixture_reply(&f, 200, "x");
            }
            settle();
            ck_assert_uint_eq(connections(), 0);
        }
    }
}
END_TEST

START_TEST(a_write_that_fails_ends_the_connection)
{
    for (size_t at = 1; at < 160; at += 13) {
        struct http_client c;
        client_open(&c, &f, 0);
        pair_faults(c.server_end)->write_fails_at = at;
        client_say(&c, HELLO HELLO);
        settle();
        client_close(&c);
        ck_assert_uint_eq(connections(), 0);
    }
}
END_TEST

START_TEST(a_stream_without_memory_ends_the_connection)
{
    struct http_client c;
    client_open(&c, &f, 0);
    pair_faults(c.server_end)->no_memory = true;
    client_say(&c, LARGE);
    settle();
    ck_assert_uint_eq(connections(), 0);
    client_close(&c);
}
END_TEST

/* --- many --- */

START_TEST(connections_past_the_cap_are_told_to_come_back)
{
    static struct http_client c[5];
    for (size_t i = 0; i < AD_LEN(c); i++) {
        client_open(&c[i], &f, 0);
    }
    settle();
    for (size_t i = 0; i < AD_LEN(c); i++) {
        ck_assert_str_eq(client_statuses(&c[i]), i < 3 ? "" : "503");
        ck_assert(c[i].ended == (i >= 3));
        ck_assert(client_got(&c[i], "Retry-After: 1\r\n") == (i >= 3));
        client_close(&c[i]);
    }
}
END_TEST

static void setup_later(void)
{
    memset(&f, 0, sizeof(f));
    f.limits = ad_http_limits_default;
    f.limits.late_status = 503;
    fixture_open(&f);
}

START_TEST(a_late_handler_can_be_503_with_retry_after)
{
    struct http_client c;
    client_open(&c, &f, 0);
    client_say(&c, LATER);
    settle();
    world_advance(&f.w, 30000);
    ck_assert_str_eq(client_statuses(&c), "503");
    ck_assert(client_got(&c, "Retry-After: "));
    client_close(&c);
    fixture_reply(&f, 200, "too late");
    settle();
}
END_TEST

static void setup_capped(void)
{
    memset(&f, 0, sizeof(f));
    f.limits = ad_http_limits_default;
    f.limits.connections_max = 3;
    fixture_open(&f);
}

START_TEST(metrics_count_replies_refusals_and_connections)
{
    struct http_client c;
    client_open(&c, &f, 0);
    client_say(&c, HELLO "GET /nope HTTP/1.1\r\nHost: a\r\n\r\n");
    settle();
    ck_assert_uint_eq(fixture_metric(&f, "attiod_http_connections{listener=\"public\"}"), 1);
    client_say(&c, "GET / HTTP/1.1\r\n\r\n");
    settle();
    client_close(&c);
    ck_assert_uint_eq(
        fixture_metric(&f, "attiod_http_requests_total{listener=\"public\",code=\"2xx\"}"), 1);
    ck_assert_uint_eq(
        fixture_metric(&f, "attiod_http_requests_total{listener=\"public\",code=\"4xx\"}"), 2);
    ck_assert_uint_eq(
        fixture_metric(&f, "attiod_http_refused_total{listener=\"public\",reason=\"host\"}"), 1);
    ck_assert_uint_eq(fixture_metric(&f, "attiod_http_connections{listener=\"public\"}"), 0);
}
END_TEST

/* --- the end --- */

START_TEST(drain_without_connections_is_done_on_a_later_turn)
{
    ad_http_server_drain(f.server, 5000, on_flag, &f.drained);
    ck_assert(!f.drained);
    settle();
    ck_assert(f.drained);
}
END_TEST

START_TEST(drain_closes_the_idle_and_answers_what_has_begun)
{
    struct http_client idle;
    struct http_client begun;
    struct http_client owed;
    client_open(&idle, &f, 0);
    client_open(&begun, &f, 0);
    client_open(&owed, &f, 0);
    client_say(&idle, HELLO);
    client_say(&begun, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab");
    client_say(&owed, LATER);
    settle();
    ad_http_server_drain(f.server, 5000, on_flag, &f.drained);
    settle();
    ck_assert(idle.ended && !begun.ended && !owed.ended && !f.drained);
    client_say(&begun, "c");
    fixture_reply(&f, 200, "x");
    settle();
    ck_assert(begun.ended && owed.ended);
    ck_assert(client_got(&begun, "Connection: close\r\n"));
    ck_assert(client_got(&owed, "Connection: close\r\n"));
    client_close(&idle);
    client_close(&begun);
    client_close(&owed);
    settle();
    ck_assert(f.drained);
}
END_TEST

START_TEST(drain_cuts_what_is_left_at_its_deadline)
{
    struct http_client c;
    client_open(&c, &f, 0);
    client_say(&c, LATER);
    settle();
    ad_http_server_drain(f.server, 5000, on_flag, &f.drained);
    world_advance(&f.w, 4999);
    ck_assert(!f.drained);
    world_advance(&f.w, 1);
    ck_assert(f.drained && c.ended);
    ck_assert_uint_eq(f.gone, 1);
    client_close(&c);
}
END_TEST

START_TEST(streams_adopted_while_draining_are_closed)
{
    struct http_client c;
    ad_http_server_drain(f.server, 5000, on_flag, &f.drained);
    client_open(&c, &f, 0);
    settle();
    ck_assert(c.ended);
    client_close(&c);
}
END_TEST

START_TEST(close_waits_for_the_owed_reply)
{
    struct http_client c;
    client_open(&c, &f, 0);
    client_say(&c, LATER);
    settle();
    ad_http_server_close(f.server, on_flag, &f.closed);
    settle();
    ck_assert(c.ended && !f.closed);
    ck_assert_uint_eq(f.gone, 1);
    fixture_reply(&f, 200, "x");
    ck_assert(!f.closed);
    settle();
    ck_assert(f.closed);
    f.server = NULL;
    client_close(&c);
}
END_TEST

START_TEST(close_at_each_byte_of_a_conversation_ends_it)
{
    struct ad_str raw =
        AD_STR("POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: "
               "3\r\n\r\nabc" HELLO "GET /bye HTTP/1.1\r\nHost: a\r\n\r\nxxxx");
    for (size_t n = 0; n <= raw.n; n++) {
        struct http_client c;
        client_open(&c, &f, 0);
        client_send(&c, ad_str_n(raw.p, n));
        for (size_t turns = n % 5; turns > 0; turns--) {
            ad_loop_turn(f.w.loop, 0);
        }
        f.closed = false;
        ad_http_server_close(f.server, on_flag, &f.closed);
        world_until_true(&f.w, &f.closed);
        client_close(&c);
        ad_metrics_free(f.metrics);
        ad_registry_free(f.registry);
        ck_assert_int_eq(fixture_try_open(&f), AD_OK);
    }
}
END_TEST

START_TEST(a_handler_may_close_the_server)
{
    struct http_client c;
    client_open(&c, &f, 0);
    f.close_in_handler = true;
    client_say(&c, HELLO HELLO);
    settle();
    ck_assert(c.ended);
    ck_assert_uint_eq(f.handled, 1);
    client_close(&c);
}
END_TEST

START_TEST(a_second_reply_is_our_bug)
{
    struct http_client c;
    client_open(&c, &f, 0);
    client_say(&c, LATER);
    settle();
    struct ad_exchange *x = f.owed[0];
    ad_reply(x, &(struct ad_reply){ .status = 200 });
    ad_reply(x, &(struct ad_reply){ .status = 200 });
}
END_TEST

/* --- no memory --- */

/* Everything a connection may allocate, with the n-th request for memory failing (once, or from
 * there on). */
static bool converse(size_t n, size_t times)
{
    struct http_client c;
    client_prepare(&c, &f);
    heap_fail(n, times);
    client_join(&c);
    client_say(&c, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab");
    settle();
    client_say(&c, "c\r\n0\r\n\r\n" LATER HELLO LARGE);
    settle();
    while (f.owed_n) {
        fixture_reply(&f, 200, "x");
        settle();
    }
    client_say(&c, "PUT /big HTTP/1.1\r\nHost: a\r\nContent-Length: 40000\r\n\r\n0123456789");
    settle();
    client_close(&c);
    bool failed = heap_failed();
    heap_fail(0, 0);
    return failed;
}

START_TEST(no_memory_at_each_place_costs_a_connection_at_most)
{
    ck_assert_int_eq(ad_timers_reserve(ad_loop_timers(f.w.loop), 64), AD_OK);
    for (int forever = 0; forever < 2; forever++) {
        size_t n = 0;
        while (converse(n, forever ? SIZE_MAX : 1)) {
            n++;
            ck_assert_uint_eq(connections(), 0);
        }
        ck_assert_uint_gt(n, 3);
    }
    struct http_client c;
    client_open(&c, &f, 0);
    client_say(&c, HELLO);
    settle();
    ck_assert_str_eq(client_statuses(&c), "200");
    client_close(&c);
}
END_TEST

START_TEST(no_memory_for_a_request_is_503)
{
    struct http_client c;
    client_open(&c, &f, 0);
    client_say(&c, HELLO);
    heap_fail(0, SIZE_MAX); /* the bytes are in the pair already */
    ad_loop_turn(f.w.loop, 0);
    ad_loop_turn(f.w.loop, 0);
    heap_fail(0, 0);
    settle();
    /* The pair needs memory for our answer too; what counts is that the connection is gone. */
    ck_assert_uint_eq(connections(), 0);
    client_close(&c);
}
END_TEST

START_TEST(no_memory_to_open_is_said)
{
    for (size_t n = 0;; n++) {
        struct ad_http_server *s = NULL;
        heap_fail(n, 1);
        enum ad_err err =
            ad_http_server_open(f.w.loop,
                                &(struct ad_http_server_opts){
                                    .name = "x", .registry = f.registry, .limits = f.limits },
                                &s);
        bool failed = heap_failed();
        heap_fail(0, 0);
        if (!err) {
            f.closed = false;
            ad_http_server_close(s, on_flag, &f.closed);
            world_until_true(&f.w, &f.closed);
            ck_assert(!failed);
            break;
        }
        ck_assert_int_eq(err, AD_ERR_NOMEM);
    }
}
END_TEST

static Suite *http_server_suite(void)
{
    Suite *suite = suite_create("http_server");
    TCase *tcase = tcase_create("conversations");
    const TTest *const tests[] = {
        a_reply_carries_date_type_and_length,
        head_is_get_without_its_body,
        a_reply_in_pieces_is_chunked_and_the_connection_lives,
        a_reply_in_pieces_without_any_ends_at_once,
        a_reply_in_pieces_to_1_0_ends_with_the_connection,
        head_of_a_reply_in_pieces_asks_for_none,
        a_peer_that_leaves_ends_the_pieces,
        pieces_nobody_reads_pass_their_time,
        no_content_has_no_length,
        a_forged_header_value_becomes_500,
        a_reply_that_does_not_fit_the_arena_becomes_503,
        wrong_method_names_the_right_ones,
        params_are_decoded_and_the_query_is_apart,
        header_values_are_trimmed_and_the_peer_is_known,
        a_body_of_the_routes_limit_is_whole,
        a_chunked_body_of_the_routes_limit_is_whole,
        many_small_chunks_become_one_body,
        framing_that_outweighs_the_body_is_refused,
        expect_is_answered_once_the_body_is_wanted,
        continue_that_must_wait_comes_before_the_reply,
        continue_that_stalls_and_a_handler_that_is_late_end_alike,
        a_reply_from_within_the_reset_waits_for_the_stalled_continue,
        a_refused_body_that_breaks_off_ends_the_connection,
        expect_is_not_answered_when_the_body_is_here,
        admit_answers_before_the_body_and_the_connection_lives,
        admit_that_refuses_a_large_body_closes,
        refusals_carry_what_explain_says,
        a_client_that_sends_on_after_413_sees_the_answer,
        a_client_that_keeps_a_refused_connection_open_is_dropped,
        twenty_thousand_fields_are_refused,
        more_fields_than_allowed_are_refused,
        an_endless_value_is_refused,
        an_endless_target_is_refused,
        a_target_past_its_limit_is_refused_and_one_at_it_is_not,
        an_idle_connection_costs_little,
        five_hundred_pipelined_requests_are_answered_in_order,
        who_pipelines_does_not_hold_up_the_others,
        pipelined_requests_wait_for_a_reply_that_comes_later,
        reading_stops_while_a_reply_is_owed,
        a_client_that_ends_its_direction_gets_all_its_replies,
        a_head_that_drips_is_408,
        a_body_that_drips_is_408,
        chunks_that_drip_are_408,
        a_refused_body_that_drips_ends_the_connection,
        a_head_may_take_its_time_after_a_long_idle,
        an_idle_connection_ends_after_keep_alive,
        a_connection_that_says_nothing_ends,
        a_handler_that_does_not_reply_is_500_and_counted,
        a_client_that_never_reads_is_dropped,
        a_client_that_pipelines_and_never_reads_costs_one_reply,
        a_client_that_pipelines_and_takes_a_little_now_and_then_is_dropped,
        a_client_that_reads_slowly_gets_all_of_it,
        a_large_reply_is_whole_however_it_is_taken,
        a_peer_that_resets_is_told_and_its_reply_is_dropped,
        a_peer_that_ends_its_direction_is_told_and_answered,
        a_handler_may_reply_when_told_that_the_peer_left,
        peers_that_leave_at_each_byte_leave_nothing,
        a_write_that_fails_ends_the_connection,
        a_stream_without_memory_ends_the_connection,
        metrics_count_replies_refusals_and_connections,
        drain_without_connections_is_done_on_a_later_turn,
        drain_closes_the_idle_and_answers_what_has_begun,
        drain_cuts_what_is_left_at_its_deadline,
        streams_adopted_while_draining_are_closed,
        close_waits_for_the_owed_reply,
        close_at_each_byte_of_a_conversation_ends_it,
        a_handler_may_close_the_server,
        no_memory_at_each_place_costs_a_connection_at_most,
        no_memory_for_a_request_is_503,
        no_memory_to_open_is_said,
    };
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < AD_LEN(tests); i++) {
        tcase_add_test(tcase, tests[i]);
    }
    suite_add_tcase(suite, tcase);
    TCase *later = tcase_create("later");
    tcase_add_checked_fixture(later, setup_later, teardown);
    tcase_add_test(later, a_late_handler_can_be_503_with_retry_after);
    suite_add_tcase(suite, later);
    TCase *capped = tcase_create("capped");
    tcase_add_checked_fixture(capped, setup_capped, teardown);
    tcase_add_test(capped, connections_past_the_cap_are_told_to_come_back);
    suite_add_tcase(suite, capped);
    TCase *abort_case = tcase_create("our_bugs");
    tcase_add_checked_fixture(abort_case, setup, NULL);
    tcase_add_test_raise_signal(abort_case, a_second_reply_is_our_bug, SIGABRT);
    suite_add_tcase(suite, abort_case);
    return suite;
}

RUN_SUITE(http_server_suite)
