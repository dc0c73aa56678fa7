/* Raw responses and what becomes of them: in one piece, byte by byte, cut at every place, over
 * pairs and over TCP, always with the same outcome. */
#include "client_fixture.h"

struct response_case {
    const char *name;
    const char *method;
    struct ad_str raw;
    const char *body;
    enum ad_err err;
    unsigned status;
    bool ends; /* the server closes behind it */
    bool kept; /* the connection may serve again */
};

#define RAW(text)                 \
    {                             \
        "" text, sizeof(text) - 1 \
    }
/* In columns: name, bytes; then what comes of them. */
#define OK_KEPT(name, raw, status, body)                        \
    {                                                           \
        name, "GET", RAW(raw), body, AD_OK, status, false, true \
    }
#define OK_SHUT(name, raw, status, body)                         \
    {                                                            \
        name, "GET", RAW(raw), body, AD_OK, status, false, false \
    }
#define OK_END(name, raw, status, body)                         \
    {                                                           \
        name, "GET", RAW(raw), body, AD_OK, status, true, false \
    }
#define HEAD_KEPT(name, raw, status)                           \
    {                                                          \
        name, "HEAD", RAW(raw), "", AD_OK, status, false, true \
    }
#define HEAD_SHUT(name, raw, status)                            \
    {                                                           \
        name, "HEAD", RAW(raw), "", AD_OK, status, false, false \
    }
#define BAD(name, raw)                                                \
    {                                                                 \
        name, "GET", RAW(raw), NULL, AD_ERR_PROTOCOL, 0, false, false \
    }
#define CUT(name, raw)                                               \
    {                                                                \
        name, "GET", RAW(raw), NULL, AD_ERR_PROTOCOL, 0, true, false \
    }
#define LARGE(name, raw)                                              \
    {                                                                 \
        name, "GET", RAW(raw), NULL, AD_ERR_TOOLARGE, 0, false, false \
    }

#define R "HTTP/1.1 200 OK\r\n"
#define CHUNKED R "Transfer-Encoding: chunked\r\n\r\n"

static const struct response_case cases[] = {
    /* what is right */
    OK_KEPT("length", R "Content-Length: 5\r\n\r\nhello", 200, "hello"),
    OK_KEPT("length 0", R "Content-Length: 0\r\n\r\n", 200, ""),
    OK_KEPT("length with leading zeros", R "Content-Length: 005\r\n\r\nhello", 200, "hello"),
    OK_KEPT("no reason", "HTTP/1.1 404\r\nContent-Length: 1\r\n\r\nx", 404, "x"),
    OK_KEPT("empty reason", "HTTP/1.1 404 \r\nContent-Length: 1\r\n\r\nx", 404, "x"),
    OK_KEPT("names without case", R "cOnTeNt-LeNgTh: 5\r\n\r\nhello", 200, "hello"),
    OK_KEPT("no blank behind the colon", R "Content-Length:5\r\n\r\nhello", 200, "hello"),
    OK_KEPT("empty value", R "X:\r\nContent-Length: 5\r\n\r\nhello", 200, "hello"),
    OK_KEPT("chunked", CHUNKED "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", 200, "hello!"),
    OK_KEPT("chunked, coding without case", R "transfer-encoding: CHUNKED\r\n\r\n0\r\n\r\n", 200,
            ""),
    OK_KEPT("chunked, upper and lower hex",
            CHUNKED "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", 200, "01234567890123456789"),
    OK_KEPT("chunked, extensions", CHUNKED "5;a=b\r\nhello\r\n0;c\r\n\r\n", 200, "hello"),
    OK_KEPT("chunked, trailers", CHUNKED "5\r\nhello\r\n0\r\nX: y\r\n\r\n", 200, "hello"),
    OK_KEPT("chunked, leading zeros", CHUNKED "0005\r\nhello\r\n000\r\n\r\n", 200, "hello"),
    OK_KEPT("data that looks like framing", CHUNKED "7\r\n0\r\n\r\n\r\n\r\n0\r\n\r\n", 200,
            "0\r\n\r\n\r\n"),
    OK_KEPT("204", "HTTP/1.1 204 No Content\r\n\r\n", 204, ""),
    OK_KEPT("204 with a length", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", 204, ""),
    OK_KEPT("304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, ""),
    HEAD_KEPT("HEAD with a length", R "Content-Length: 5\r\n\r\n", 200),
    HEAD_KEPT("HEAD without", R "\r\n", 200),
    HEAD_KEPT("HEAD, chunked", CHUNKED, 200),
    OK_KEPT("interim", "HTTP/1.1 100 Continue\r\n\r\n" R "Content-Length: 1\r\n\r\nx", 200, "x"),
    OK_KEPT(
        "interims with fields",
        "HTTP/1.1 103 Early Hints\r\nLink: a\r\nContent-Length: 9\r\n\r\nHTTP/1.1 102 P\r\n\r\n" R
        "Content-Length: 1\r\n\r\nx",
        200, "x"),
    OK_KEPT("1.0 with keep-alive",
            "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\nx", 200, "x"),
    OK_KEPT("500", "HTTP/1.1 500 Oops\r\nContent-Length: 1\r\n\r\nx", 500, "x"),
    OK_KEPT("value of any bytes", R "X: \xc3\xa9\xff\tz\r\nContent-Length: 0\r\n\r\n", 200, ""),
    /* right, but the connection is used up */
    OK_SHUT("close", R "Connection: close\r\nContent-Length: 1\r\n\r\nx", 200, "x"),
    OK_SHUT("close in a list", R "Connection: x, Close\r\nContent-Length: 1\r\n\r\nx", 200, "x"),
    OK_SHUT("1.0", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, "x"),
    OK_END("until the end", R "\r\nhello", 200, "hello"),
    OK_END("until the end, nothing", R "\r\n", 200, ""),
    OK_END("1.0 until the end", "HTTP/1.0 200 OK\r\n\r\nhello", 200, "hello"),
    OK_END("whole, then the end", R "Content-Length: 5\r\n\r\nhello", 200, "hello"),
    OK_SHUT("bytes behind", R "Content-Length: 5\r\n\r\nhelloHTTP/1.1 200", 200, "hello"),
    OK_SHUT("bytes behind chunks", CHUNKED "0\r\n\r\nx", 200, ""),
    OK_SHUT("a body behind 204", "HTTP/1.1 204 No\r\nContent-Length: 1\r\n\r\nx", 204, ""),
    HEAD_SHUT("a body behind HEAD", R "Content-Length: 1\r\n\r\nx", 200),
    /* framing that is said twice or badly */
    BAD("two equal lengths", R "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
    BAD("two lengths", R "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"),
    BAD("a list of lengths", R "Content-Length: 5, 5\r\n\r\nhello"),
    BAD("length with a sign", R "Content-Length: +5\r\n\r\nhello"),
    BAD("negative length", R "Content-Length: -5\r\n\r\nhello"),
    BAD("hex length", R "Content-Length: 0x5\r\n\r\nhello"),
    BAD("empty length", R "Content-Length:\r\n\r\nhello"),
    BAD("length past 2^63", R "Content-Length: 9223372036854775808\r\n\r\nx"),
    BAD("length past 2^64", R "Content-Length: 18446744073709551617\r\n\r\nx"),
    BAD("length and chunked", R "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    BAD("chunked and length", R "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
    BAD("coding unknown", R "Transfer-Encoding: gzip\r\n\r\nx"),
    BAD("coding before chunked", R "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    BAD("chunked twice", R "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
    BAD("two codings",
        R "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    BAD("chunked with a tail", R "Transfer-Encoding: chunkedx\r\n\r\n0\r\n\r\n"),
    BAD("identity", R "Transfer-Encoding: identity\r\n\r\nx"),
    BAD("chunked in 1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    /* chunks */
    BAD("chunk size is no number", CHUNKED "x\r\n"),
    BAD("empty chunk size", CHUNKED "\r\n"),
    BAD("negative chunk size", CHUNKED "-1\r\n"),
    BAD("0x chunk size", CHUNKED "0x5\r\nhello\r\n0\r\n\r\n"),
    BAD("blank before the chunk size", CHUNKED " 5\r\nhello\r\n0\r\n\r\n"),
    BAD("blank behind the chunk size", CHUNKED "5 \r\nhello\r\n0\r\n\r\n"),
    BAD("chunk size past 2^64", CHUNKED "10000000000000000\r\n"),
    BAD("chunk too long", CHUNKED "5\r\nhello!\r\n0\r\n\r\n"),
    BAD("any two bytes behind a chunk", CHUNKED "5\r\nhelloXX0\r\n\r\n"),
    BAD("bare LF behind a chunk", CHUNKED "5\r\nhello\n0\r\n\r\n"),
    BAD("bare LF behind a size", CHUNKED "5\nhello\r\n0\r\n\r\n"),
    BAD("bare CR in a size line", CHUNKED "5\rxhello\r\n0\r\n\r\n"),
    /* heads */
    BAD("not HTTP", "SSH-2.0-OpenSSH\r\n\r\n"),
    BAD("garbage", "\x16\x03\x01\x02garbage"),
    BAD("empty line first", "\r\n" R "Content-Length: 0\r\n\r\n"),
    BAD("lower case", "http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    BAD("HTTP/2", "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"),
    BAD("HTTP/1.2", "HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n"),
    BAD("HTTP/0.9", "HTTP/0.9 200 OK\r\nContent-Length: 0\r\n\r\n"),
    BAD("status of two digits", "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"),
    BAD("status of four digits", "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"),
    BAD("status 099", "HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n"),
    BAD("status 600", "HTTP/1.1 600 OK\r\nContent-Length: 0\r\n\r\n"),
    BAD("no status", "HTTP/1.1  OK\r\nContent-Length: 0\r\n\r\n"),
    BAD("bare LF lines", "HTTP/1.1 200 OK\nContent-Length: 0\n\n"),
    BAD("one bare LF", R "X: y\nContent-Length: 0\r\n\r\n"),
    BAD("folded line", R "X: y\r\n z\r\nContent-Length: 0\r\n\r\n"),
    BAD("folded length", R "Content-Length:\r\n 0\r\n\r\n"),
    BAD("blank before the colon", R "Content-Length : 0\r\n\r\n"),
    BAD("no colon", R "Content-Length\r\n\r\n"),
    BAD("empty name", R ": x\r\nContent-Length: 0\r\n\r\n"),
    BAD("NUL in a value", R "X: a\0b\r\nContent-Length: 0\r\n\r\n"),
    BAD("bare CR in a value", R "X: a\rb\r\nContent-Length: 0\r\n\r\n"),
    BAD("switching protocols",
        "HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
    BAD("interims without end",
        "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 100 C\r\n\r\nHTTP/1.1 100 C\r\n\r\n"
        "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 100 C\r\n\r\nHTTP/1.1 100 C\r\n\r\n"
        "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 100 C\r\n\r\nHTTP/1.1 100 C\r\n\r\n"),
    /* an end before the end */
    CUT("end in the status line", "HTTP/1.1 2"),
    CUT("end in the head", R "Content-Length: 5\r\n"),
    CUT("end behind an interim", "HTTP/1.1 100 Continue\r\n\r\n"),
    CUT("end in the body", R "Content-Length: 5\r\n\r\nhell"),
    CUT("end before the body", R "Content-Length: 5\r\n\r\n"),
    CUT("end in a chunk", CHUNKED "5\r\nhel"),
    CUT("end behind a chunk", CHUNKED "5\r\nhello\r\n"),
    CUT("end before the last empty line", CHUNKED "5\r\nhello\r\n0\r\n"),
    /* caps: 64 bytes of body here */
    LARGE("length over the cap", R "Content-Length: 65\r\n\r\n"),
    LARGE("huge length", R "Content-Length: 9223372036854775807\r\n\r\n"),
    LARGE("chunk over the cap", CHUNKED "41\r\n"),
    LARGE("huge chunk", CHUNKED "ffffffffffffffff\r\n"),
    LARGE("chunks over the cap", CHUNKED "20\r\n01234567890123456789012345678901\r\n21\r\n"),
    LARGE("until the end, over the cap",
          R "\r\n01234567890123456789012345678901234567890123456789012345678901234"),
    OK_KEPT("length at the cap",
            R "Content-Length: "
              "64\r\n\r\n0123456789012345678901234567890123456789012345678901234567890123",
            200, "0123456789012345678901234567890123456789012345678901234567890123"),
};

enum { BODY_CAP = 64 };

static void check(const struct response_case *rc, const struct call *call, const char *how,
                  size_t cut)
{
    ck_assert_msg(call->c.err == rc->err, "%s (%s %zu): %s, %s", rc->name, how, cut,
                  ad_err_name(call->c.err), call->c.info.msg);
    ck_assert_int_eq(call->c.info.code, rc->err);
    ck_assert_msg(call->c.sent, "%s", rc->name);
    ck_assert(!call->c.reused);
    if (!rc->err) {
        ck_assert_msg(call->c.status == rc->status, "%s: %u", rc->name, call->c.status);
        assert_str(ad_buf_str(&call->response), rc->body);
    }
}

static bool is_over(void *ctx)
{
    struct peer *peer = ctx;
    return peer->s == NULL || peer->over;
}

/* Kept: a second call comes on the same connection. Not kept: the server sees the end. */
static void check_kept(const struct response_case *rc)
{
    struct call again;
    if (!rc->kept) {
        world_until(&f.w, is_over, f.peers[0]);
        return;
    }
    call_until_asked(&again, 0);
    peer_send(0, AD_STR("HTTP/1.1 202 Again\r\nContent-Length: 0\r\n\r\n"));
    call_until_done(&again);
    ck_assert_msg(again.c.err == AD_OK && again.c.status == 202, "%s, then %s", rc->name,
                  again.c.info.msg);
    ck_assert_uint_eq(f.peers_n, 1);
    call_fini(&again);
}

static void run_case(const struct response_case *rc, size_t cut, const char *how)
{
    struct call call;
    f.opts.response_max = BODY_CAP;
    client_open();
    call_init(&call, rc->method, "/x");
    call_start(&call);
    peer_until_asked(0);
    peer_send(0, ad_str_n(rc->raw.p, cut));
    if (cut < rc->raw.n) {
        world_settle(&f.w);
        peer_send(0, ad_str_n(rc->raw.p + cut, rc->raw.n - cut));
    }
    if (rc->ends) {
        peer_close(0);
    }
    call_until_done(&call);
    check(rc, &call, how, cut);
    check_kept(rc);
    call_fini(&call);
}

START_TEST(a_response_in_one_piece)
{
    fixture_open_pair();
    run_case(&cases[_i], cases[_i].raw.n, "whole");
    fixture_close();
}
END_TEST

START_TEST(a_response_byte_by_byte)
{
    fixture_open_pair();
    f.chop = 1;
    run_case(&cases[_i], cases[_i].raw.n, "bytes");
    fixture_close();
}
END_TEST

/* Bytes behind a response that come later meet an idle connection; also then it is not used
 * again, which the cut itself decides, so those cases are left out. */
START_TEST(a_response_cut_at_every_place)
{
    const struct response_case *rc = &cases[_i];
    if (rc->err == AD_OK && !rc->kept && !rc->ends) {
        return;
    }
    for (size_t cut = 1; cut < rc->raw.n; cut++) {
        fixture_open_pair();
        run_case(rc, cut, "cut at");
        fixture_close();
    }
}
END_TEST

START_TEST(a_response_over_tcp)
{
    fixture_open_tcp();
    run_case(&cases[_i], cases[_i].raw.n, "tcp");
    fixture_close();
}
END_TEST

START_TEST(a_response_over_tcp_in_two_pieces)
{
    fixture_open_tcp();
    run_case(&cases[_i], cases[_i].raw.n / 2, "tcp, cut at");
    fixture_close();
}
END_TEST

/* --- caps of the head --- */

START_TEST(a_head_over_its_cap_is_refused)
{
    struct call call;
    char big[4096];
    memset(big, 'x', sizeof(big));
    fixture_open_pair();
    f.opts.headers_max = 2048;
    client_open();
    call_until_asked(&call, 0);
    peer_send(0, AD_STR("HTTP/1.1 200 OK\r\nX: "));
    peer_send(0, ad_str_n(big, sizeof(big)));
    call_until_done(&call);
    ck_assert_int_eq(call.c.err, AD_ERR_TOOLARGE);
    call_fini(&call);
    fixture_close();
}
END_TEST

START_TEST(too_many_fields_are_refused)
{
    struct call call;
    fixture_open_pair();
    client_open();
    call_until_asked(&call, 0);
    peer_send(0, AD_STR("HTTP/1.1 200 OK\r\n"));
    for (unsigned i = 0; i < 300; i++) {
        peer_send(0, AD_STR("X: y\r\n"));
    }
    peer_send(0, AD_STR("\r\n"));
    call_until_done(&call);
    ck_assert_int_eq(call.c.err, AD_ERR_TOOLARGE);
    call_fini(&call);
    fixture_close();
}
END_TEST

START_TEST(endless_chunk_framing_is_refused)
{
    struct call call;
    char blanks[2000];
    memset(blanks, 'e', sizeof(blanks));
    fixture_open_pair();
    client_open();
    call_until_asked(&call, 0);
    peer_send(0, AD_STR(CHUNKED "1;"));
    peer_send(0, ad_str_n(blanks, sizeof(blanks)));
    call_until_done(&call);
    ck_assert_int_eq(call.c.err, AD_ERR_PROTOCOL);
    call_fini(&call);
    fixture_close();
}
END_TEST

START_TEST(the_buffers_own_maximum_counts_too)
{
    struct call call;
    fixture_open_pair();
    client_open();
    call_init(&call, "GET", "/x");
    ad_buf_init(&call.response, 4);
    call_start(&call);
    peer_until_asked(0);
    peer_send(0, AD_STR(R "Content-Length: 5\r\n\r\n"));
    call_until_done(&call);
    ck_assert_int_eq(call.c.err, AD_ERR_TOOLARGE);
    call_fini(&call);
    fixture_close();
}
END_TEST

START_TEST(without_a_buffer_the_body_is_dropped)
{
    struct call call;
    fixture_open_pair();
    client_open();
    call_init(&call, "GET", "/x");
    call.c.response = NULL;
    call_start(&call);
    peer_until_asked(0);
    peer_send(0, AD_STR(R "Content-Length: 5\r\n\r\nhello"));
    call_until_done(&call);
    ck_assert_int_eq(call.c.err, AD_OK);
    call_fini(&call);
    fixture_close();
}
END_TEST

START_TEST(fields_are_given_as_received)
{
    struct call call;
    fixture_open_pair();
    client_open();
    call_until_asked(&call, 0);
    peer_send(0, AD_STR(R "X-One:  a b \r\nx-one: c\r\nContent-Length: 0\r\n\r\n"));
    call_until_done(&call);
    ck_assert_uint_eq(call.c.response_headers_n, 3);
    assert_str(call.c.response_headers[0].name, "X-One");
    assert_str(call.c.response_headers[0].value, "a b");
    ck_assert_uint_eq(ad_http_header_count(call.c.response_headers, 3, "X-ONE"), 2);
    call_fini(&call);
    fixture_close();
}
END_TEST

static Suite *http_response_suite(void)
{
    Suite *suite = suite_create("http_response");
    TCase *tcase = tcase_create("cases");
    int n = (int)AD_LEN(cases);
    tcase_add_loop_test(tcase, a_response_in_one_piece, 0, n);
    tcase_add_loop_test(tcase, a_response_byte_by_byte, 0, n);
    tcase_add_loop_test(tcase, a_response_cut_at_every_place, 0, n);
    tcase_add_loop_test(tcase, a_response_over_tcp, 0, n);
    tcase_add_loop_test(tcase, a_response_over_tcp_in_two_pieces, 0, n);
    tcase_add_test(tcase, a_head_over_its_cap_is_refused);
    tcase_add_test(tcase, too_many_fields_are_refused);
    tcase_add_test(tcase, endless_chunk_framing_is_refused);
    tcase_add_test(tcase, the_buffers_own_maximum_counts_too);
    tcase_add_test(tcase, without_a_buffer_the_body_is_dropped);
    tcase_add_test(tcase, fields_are_given_as_received);
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITE(http_response_suite)
