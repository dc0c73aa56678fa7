/* Raw requests and what they must bring: each in one piece and byte by byte, with the same
 * outcome. */
#include "http_fixture.h"

#include <string.h>

#include "support/run.h"

#define H "Host: a\r\n"
#define CHUNKED "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"
#define NEXT "GET /hello HTTP/1.1\r\n" H "\r\n"

struct request_case {
    const char *name;
    struct ad_str raw;
    const char *statuses; /* "" when the server still waits */
    bool closes;
};

#define OPEN(name, raw, statuses)                       \
    {                                                   \
        name, { raw, sizeof(raw) - 1 }, statuses, false \
    }
#define SHUT(name, raw, statuses)                      \
    {                                                  \
        name, { raw, sizeof(raw) - 1 }, statuses, true \
    }
#define FIELD(line) "GET /hello HTTP/1.1\r\n" H line "\r\n" NEXT
#define POST(fields, body) "POST /echo HTTP/1.1\r\n" H fields "\r\n" body

static const struct request_case cases[] = {
    /* what is right */
    OPEN("plain", NEXT, "200"),
    OPEN("two in a row", NEXT NEXT, "200,200"),
    OPEN("one empty line in front", "\r\n" NEXT, "200"),
    OPEN("empty line between", POST("Content-Length: 2\r\n", "hi") "\r\n" NEXT, "200,200"),
    OPEN("length", POST("Content-Length: 5\r\n", "hello") NEXT, "200,200"),
    OPEN("length 0", POST("Content-Length: 0\r\n", "") NEXT, "200,200"),
    OPEN("length with leading zeros", POST("Content-Length: 005\r\n", "hello") NEXT, "200,200"),
    OPEN("no body at all", POST("", "") NEXT, "200,200"),
    OPEN("body on GET", "GET /hello HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n" NEXT, "200,200"),
    OPEN("chunked", CHUNKED "5\r\nhello\r\n3\r\nyou\r\n0\r\n\r\n" NEXT, "200,200"),
    OPEN("coding in capitals", POST("Transfer-Encoding: CHUNKED\r\n", "1\r\na\r\n0\r\n\r\n") NEXT,
         "200,200"),
    OPEN("chunk sizes in hex of both cases",
         CHUNKED "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "200"),
    OPEN("chunk size with zeros in front", CHUNKED "0005\r\nhello\r\n000\r\n\r\n" NEXT, "200,200"),
    OPEN("chunk extension", CHUNKED "5;a=\"b c\"\r\nhello\r\n0;x\r\n\r\n" NEXT, "200,200"),
    OPEN("trailers", CHUNKED "5\r\nhello\r\n0\r\nX-Sum: 12 3\r\n\r\n" NEXT, "200,200"),
    OPEN("forbidden trailers are ignored", CHUNKED "5\r\nhello\r\n0\r\nHost: b\r\n\r\n" NEXT,
         "200,200"),
    OPEN("a trailer that begins as a length",
         CHUNKED "0\r\nX-Content-Length: 1\r\nContent-Lengthy: 1\r\n\r\n" NEXT, "200,200"),
    SHUT("a length among the trailers",
         CHUNKED "5\r\nhello\r\n0\r\nX: y\r\ncontent-Length: 9\r\n\r\n" NEXT, "400"),
    OPEN("chunked, data that looks like a request",
         CHUNKED "23\r\nGET /hello HTTP/1.1\r\nHost: evil\r\n\r\n\r\n0\r\n\r\n", "200"),
    OPEN("half a head", "GET /hello HTTP/1.1\r\nHos", ""),
    OPEN("half a body", POST("Content-Length: 5\r\n", "hel"), ""),
    OPEN("half a chunk", CHUNKED "5\r\nhel", ""),
    OPEN("query", "GET /hello?a=b HTTP/1.1\r\n" H "\r\n", "200"),
    OPEN("OPTIONS *", "OPTIONS * HTTP/1.1\r\n" H "\r\n", "404"),
    OPEN("absolute form of our host", "GET http://a/hello HTTP/1.1\r\n" H "\r\n", "200"),
    OPEN("absolute form, case of host", "GET HTTP://A/hello HTTP/1.1\r\n" H "\r\n", "200"),
    OPEN("absolute form without a path", "GET http://a HTTP/1.1\r\n" H "\r\n", "404"),
    OPEN("host with port", "GET /hello HTTP/1.1\r\nHost: a.example:8080\r\n\r\n", "200"),
    OPEN("host literal v6", "GET /hello HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "200"),
    OPEN("tab around a value", FIELD("X:\ta\t\r\n"), "200,200"),
    OPEN("empty value", FIELD("X:\r\n"), "200,200"),
    OPEN("bytes past ASCII in a value", FIELD("X: \xc3\xa9\xff\r\n"), "200,200"),
    OPEN("upgrade is ignored", FIELD("Connection: upgrade\r\nUpgrade: h2c\r\n"), "200,200"),
    OPEN("unknown path", "GET /nope HTTP/1.1\r\n" H "\r\n" NEXT, "404,200"),
    OPEN("wrong method", "DELETE /hello HTTP/1.1\r\n" H "\r\n" NEXT, "405,200"),
    OPEN("method no route knows", "MKCOL /hello HTTP/1.1\r\n" H "\r\n" NEXT, "405,200"),
    OPEN("refused body is skipped",
         "POST /nope HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello" NEXT, "404,200"),
    OPEN("HTTP/1.0 keep-alive", "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "200"),
    SHUT("HTTP/1.0", "GET /hello HTTP/1.0\r\n\r\n" NEXT, "200"),
    SHUT("Connection: close", FIELD("Connection: close\r\n"), "200"),
    SHUT("close in a list, in capitals", FIELD("Connection: foo, CLOSE\r\n"), "200"),
    SHUT("close wins over keep-alive", FIELD("Connection: keep-alive\r\nConnection: close\r\n"),
         "200"),
    SHUT("handler closes", "GET /bye HTTP/1.1\r\n" H "\r\n" NEXT, "200"),

    /* request line */
    SHUT("HTTP/0.9 style", "GET /hello\r\n" H "\r\n", "400"),
    SHUT("no target", "GET HTTP/1.1\r\n" H "\r\n", "400"),
    SHUT("two blanks", "GET  /hello HTTP/1.1\r\n" H "\r\n", "400"),
    SHUT("two blanks before the version", "GET /hello  HTTP/1.1\r\n" H "\r\n", "400"),
    SHUT("tab for a blank", "GET\t/hello HTTP/1.1\r\n" H "\r\n", "400"),
    SHUT("blank behind the version", "GET /hello HTTP/1.1 \r\n" H "\r\n", "400"),
    SHUT("blank in front", " GET /hello HTTP/1.1\r\n" H "\r\n", "400"),
    SHUT("blank in the target", "GET /he llo HTTP/1.1\r\n" H "\r\n", "400"),
    SHUT("fragment", "GET /hello#x HTTP/1.1\r\n" H "\r\n", "400"),
    SHUT("bytes past ASCII in the target", "GET /h\xc3\xa9 HTTP/1.1\r\n" H "\r\n", "400"),
    SHUT("NUL in the target", "GET /h\0 HTTP/1.1\r\n" H "\r\n", "400"),
    SHUT("relative target", "GET hello HTTP/1.1\r\n" H "\r\n", "400"),
    SHUT("* on GET", "GET * HTTP/1.1\r\n" H "\r\n", "400"),
    SHUT("absolute form of another host", "GET http://b/hello HTTP/1.1\r\n" H "\r\n", "400"),
    SHUT("absolute form with userinfo", "GET http://u@a/hello HTTP/1.1\r\n" H "\r\n", "400"),
    SHUT("absolute form of another scheme", "GET ftp://a/hello HTTP/1.1\r\n" H "\r\n", "400"),
    SHUT("CONNECT", "CONNECT a:80 HTTP/1.1\r\n" H "\r\n", "400"),
    SHUT("unknown method", "FOO /hello HTTP/1.1\r\n" H "\r\n", "501"),
    SHUT("method in small letters", "get /hello HTTP/1.1\r\n" H "\r\n", "501"),
    SHUT("no method", "\x16\x03\x01\x02\x00\x01", "400"),
    SHUT("HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505"),
    SHUT("HTTP/2.0", "GET /hello HTTP/2.0\r\n" H "\r\n", "505"),
    SHUT("HTTP/1.2", "GET /hello HTTP/1.2\r\n" H "\r\n", "505"),
    SHUT("HTTP/3.0", "GET /hello HTTP/3.0\r\n" H "\r\n", "505"),
    SHUT("HTTP/0.9 in words", "GET /hello HTTP/0.9\r\n" H "\r\n", "505"),
    SHUT("HTTP/1.10", "GET /hello HTTP/1.10\r\n" H "\r\n", "400"),
    SHUT("HTTP/11.1", "GET /hello HTTP/11.1\r\n" H "\r\n", "400"),
    SHUT("HTTP/1", "GET /hello HTTP/1\r\n" H "\r\n", "400"),
    SHUT("http/1.1 in small letters", "GET /hello http/1.1\r\n" H "\r\n", "400"),
    SHUT("RTSP", "DESCRIBE /hello RTSP/1.0\r\n" H "\r\n", "400"),
    SHUT("bare LF behind the request line", "GET /hello HTTP/1.1\n" H "\r\n", "400"),
    SHUT("bare CR behind the request line", "GET /hello HTTP/1.1\r" H "\r\n", "400"),
    SHUT("two empty lines in front", "\r\n\r\n" NEXT, "400"),
    SHUT("bare LF in front", "\n" NEXT, "400"),

    /* fields */
    SHUT("blank before the colon", FIELD("X : a\r\n"), "400"),
    SHUT("tab before the colon", FIELD("X\t: a\r\n"), "400"),
    SHUT("blank in a name", FIELD("X Y: a\r\n"), "400"),
    SHUT("blank in front of the first name", "GET /hello HTTP/1.1\r\n Host: a\r\n\r\n", "400"),
    SHUT("no name", FIELD(": a\r\n"), "400"),
    SHUT("no colon", FIELD("abc\r\n"), "400"),
    SHUT("folded", FIELD("X: a\r\n b\r\n"), "400"),
    SHUT("folded with a tab", FIELD("X: a\r\n\tb\r\n"), "400"),
    SHUT("folded, empty", FIELD("X: a\r\n \r\n"), "400"),
    SHUT("bare LF", FIELD("X: a\nY: b\r\n"), "400"),
    SHUT("bare LF ends the head", "GET /hello HTTP/1.1\r\nHost: a\r\n\n", "400"),
    SHUT("bare CR in a value", FIELD("X: a\rb\r\n"), "400"),
    SHUT("CR CR LF", FIELD("X: a\r\r\n"), "400"),
    SHUT("CR at the end of the head", "GET /hello HTTP/1.1\r\n" H "\r\r\n", "400"),
    SHUT("CR and a letter at the end of the head", "GET /hello HTTP/1.1\r\n" H "\rX", "400"),
    SHUT("NUL in a value", FIELD("X: a\0b\r\n"), "400"),
    SHUT("NUL in a name", FIELD("X\0: a\r\n"), "400"),
    SHUT("control character in a value", FIELD("X: a\001b\r\n"), "400"),
    SHUT("DEL in a value", FIELD("X: a\177b\r\n"), "400"),
    SHUT("bracket in a name", FIELD("X(: a\r\n"), "400"),

    /* Host */
    SHUT("no Host", "GET /hello HTTP/1.1\r\n\r\n", "400"),
    SHUT("two Hosts", FIELD(H), "400"),
    SHUT("two Hosts that differ", FIELD("host: b\r\n"), "400"),
    SHUT("two Hosts in HTTP/1.0", "GET /hello HTTP/1.0\r\n" H H "\r\n", "400"),
    SHUT("empty Host", "GET /hello HTTP/1.1\r\nHost:\r\n\r\n", "400"),
    SHUT("blank in Host", "GET /hello HTTP/1.1\r\nHost: a b\r\n\r\n", "400"),
    SHUT("list in Host", "GET /hello HTTP/1.1\r\nHost: a,b\r\n\r\n", "400"),
    SHUT("userinfo in Host", "GET /hello HTTP/1.1\r\nHost: u@a\r\n\r\n", "400"),
    SHUT("path in Host", "GET /hello HTTP/1.1\r\nHost: a/b\r\n\r\n", "400"),
    SHUT("port that is none", "GET /hello HTTP/1.1\r\nHost: a:x\r\n\r\n", "400"),
    SHUT("port too large", "GET /hello HTTP/1.1\r\nHost: a:65536\r\n\r\n", "400"),
    SHUT("open bracket in Host", "GET /hello HTTP/1.1\r\nHost: [::1\r\n\r\n", "400"),

    /* length and coding */
    SHUT("length and coding",
         POST("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n" NEXT), "400"),
    SHUT("coding and length",
         POST("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n" NEXT), "400"),
    SHUT("two lengths", POST("Content-Length: 5\r\nContent-Length: 6\r\n", "hello!" NEXT), "400"),
    SHUT("two lengths, alike", POST("Content-Length: 5\r\nContent-Length: 5\r\n", "hello" NEXT),
         "400"),
    SHUT("list of lengths", POST("Content-Length: 5, 5\r\n", "hello" NEXT), "400"),
    SHUT("length with a plus", POST("Content-Length: +5\r\n", "hello" NEXT), "400"),
    SHUT("length with a minus", POST("Content-Length: -5\r\n", "hello" NEXT), "400"),
    SHUT("length in hex", POST("Content-Length: 0x5\r\n", "hello" NEXT), "400"),
    SHUT("length with a blank inside", POST("Content-Length: 1 2\r\n", "hello" NEXT), "400"),
    SHUT("length with a point", POST("Content-Length: 5.0\r\n", "hello" NEXT), "400"),
    SHUT("length with letters", POST("Content-Length: 5a\r\n", "hello" NEXT), "400"),
    SHUT("empty length", POST("Content-Length:\r\n", "hello" NEXT), "400"),
    SHUT("length 2^63", POST("Content-Length: 9223372036854775808\r\n", ""), "400"),
    SHUT("length 2^64", POST("Content-Length: 18446744073709551616\r\n", ""), "400"),
    SHUT("length 2^64 + 5", POST("Content-Length: 18446744073709551621\r\n", "hello" NEXT), "400"),
    SHUT("length of 10 GB", POST("Content-Length: 10000000000\r\n", ""), "413"),
    SHUT("length above the route's", POST("Content-Length: 1025\r\n", ""), "413"),
    SHUT("length above the route's on PUT",
         "PUT /big HTTP/1.1\r\n" H "Content-Length: 1048577\r\n\r\n", "413"),
    SHUT("body on a route without", "GET /hello HTTP/1.1\r\n" H "Content-Length: 1\r\n\r\nx",
         "413"),
    SHUT("unknown coding", POST("Transfer-Encoding: gzip\r\n", "0\r\n\r\n" NEXT), "400"),
    SHUT("unknown coding before chunked",
         POST("Transfer-Encoding: foo, chunked\r\n", "0\r\n\r\n" NEXT), "400"),
    SHUT("coding behind chunked",
         POST("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n" NEXT), "400"),
    SHUT("chunked twice", POST("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n" NEXT), "400"),
    SHUT("two codings",
         POST("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n" NEXT),
         "400"),
    SHUT("two codings, one unknown",
         POST("Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n" NEXT), "400"),
    SHUT("almost chunked", POST("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n" NEXT), "400"),
    SHUT("chunked in quotes", POST("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n" NEXT), "400"),
    SHUT("chunked with a parameter", POST("Transfer-Encoding: chunked;q=1\r\n", "0\r\n\r\n" NEXT),
         "400"),
    SHUT("chunked behind a vertical tab",
         POST("Transfer-Encoding: \vchunked\r\n", "0\r\n\r\n" NEXT), "400"),
    SHUT("identity", POST("Transfer-Encoding: identity\r\n", "" NEXT), "400"),
    SHUT("empty coding", POST("Transfer-Encoding:\r\n", "" NEXT), "400"),
    SHUT("coding with a blank before the colon",
         POST("Transfer-Encoding : chunked\r\n", "0\r\n\r\n" NEXT), "400"),
    SHUT("folded coding", POST("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n" NEXT), "400"),
    SHUT("coding in HTTP/1.0",
         "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" NEXT, "400"),

    /* chunks */
    SHUT("chunk size not hex", CHUNKED "x\r\nhello\r\n0\r\n\r\n", "400"),
    SHUT("chunk size 0x5", CHUNKED "0x5\r\nhello\r\n0\r\n\r\n", "400"),
    SHUT("chunk size +5", CHUNKED "+5\r\nhello\r\n0\r\n\r\n", "400"),
    SHUT("chunk size -5", CHUNKED "-5\r\nhello\r\n0\r\n\r\n", "400"),
    SHUT("chunk size with a blank in front", CHUNKED " 5\r\nhello\r\n0\r\n\r\n", "400"),
    SHUT("chunk size with a blank behind", CHUNKED "5 \r\nhello\r\n0\r\n\r\n", "400"),
    SHUT("chunk size with a blank before ;", CHUNKED "5 ;a\r\nhello\r\n0\r\n\r\n", "400"),
    SHUT("empty chunk size", CHUNKED "\r\nhello\r\n0\r\n\r\n", "400"),
    SHUT("chunk size 2^64", CHUNKED "10000000000000000\r\nhello\r\n0\r\n\r\n", "400"),
    SHUT("chunk size 2^64 + 5", CHUNKED "10000000000000005\r\nhello\r\n0\r\n\r\n", "400"),
    SHUT("chunk size 2^64 - 1", CHUNKED "ffffffffffffffff\r\nhello\r\n0\r\n\r\n", "413"),
    SHUT("chunk above the route's limit", CHUNKED "401\r\n", "413"),
    SHUT("chunks together above the limit", CHUNKED "5\r\nhello\r\n3fc\r\n", "413"),
    SHUT("chunk size ended by LF", CHUNKED "5\nhello\r\n0\r\n\r\n", "400"),
    SHUT("chunk size ended by CR", CHUNKED "5\rhello\r\n0\r\n\r\n", "400"),
    SHUT("chunk data longer than its size", CHUNKED "5\r\nhelloXX0\r\n\r\n", "400"),
    SHUT("chunk data ended by LF", CHUNKED "5\r\nhello\n0\r\n\r\n", "400"),
    SHUT("chunk data ended by CR and a letter", CHUNKED "5\r\nhello\rX0\r\n\r\n", "400"),
    SHUT("chunk extension with LF", CHUNKED "5;a\nb\r\nhello\r\n0\r\n\r\n", "400"),
    SHUT("chunk extension with NUL", CHUNKED "5;a\0b\r\nhello\r\n0\r\n\r\n", "400"),
    SHUT("last chunk ended by LF", CHUNKED "5\r\nhello\r\n0\n\n", "400"),
    SHUT("end ended by LF", CHUNKED "5\r\nhello\r\n0\r\n\n" NEXT, "400"),
    SHUT("end ended by CR CR", CHUNKED "5\r\nhello\r\n0\r\n\r\r" NEXT, "400"),
    SHUT("trailer with a blank before the colon", CHUNKED "5\r\nhello\r\n0\r\nX : a\r\n\r\n",
         "400"),
    SHUT("folded trailer", CHUNKED "5\r\nhello\r\n0\r\nX: a\r\n b\r\n\r\n", "400"),
    SHUT("trailer ended by LF", CHUNKED "5\r\nhello\r\n0\r\nX: a\n\r\n", "400"),

    /* Expect */
    SHUT("another expectation", POST("Expect: 200-ok\r\nContent-Length: 5\r\n", "hello"), "417"),
    SHUT("two expectations",
         POST("Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 5\r\n", "hello"),
         "417"),
    OPEN("100-continue without a body", "GET /hello HTTP/1.1\r\n" H "Expect: 100-continue\r\n\r\n",
         "200"),
    SHUT("100-continue, too large", POST("Expect: 100-continue\r\nContent-Length: 2000\r\n", ""),
         "413"),
    SHUT("100-continue, unknown path",
         "POST /nope HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n", "404"),
};

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

static void run(const struct request_case *t, size_t chop)
{
    struct http_client c;
    client_open(&c, &f, chop);
    client_send(&c, t->raw);
    world_settle(&f.w);
    for (unsigned i = 0; i < 100 && pair_unread(c.server_end) > 0 && !c.ended; i++) {
        world_settle(&f.w);
    }
    const char *got = client_statuses(&c);
    ck_assert_msg(strcmp(got, t->statuses) == 0, "%s, %zu bytes a read: %s instead of %s", t->name,
                  chop, got, t->statuses);
    ck_assert_msg(c.ended == t->closes, "%s, %zu bytes a read: %s", t->name, chop,
                  c.ended ? "closed" : "left open");
    client_close(&c);
    ck_assert_uint_eq(ad_http_server_connections(f.server), 0);
}

START_TEST(each_request_has_its_answer_in_one_piece)
{
    run(&cases[_i], 0);
}
END_TEST

START_TEST(each_request_has_the_same_answer_byte_by_byte)
{
    run(&cases[_i], 1);
}
END_TEST

START_TEST(each_request_has_the_same_answer_in_threes_and_sevens)
{
    run(&cases[_i], 3);
    run(&cases[_i], 7);
}
END_TEST

static Suite *http_cases_suite(void)
{
    Suite *suite = suite_create("http_server_cases");
    TCase *tcase = tcase_create("requests");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, each_request_has_its_answer_in_one_piece, 0, (int)AD_LEN(cases));
    tcase_add_loop_test(tcase, each_request_has_the_same_answer_byte_by_byte, 0,
                        (int)AD_LEN(cases));
    tcase_add_loop_test(tcase, each_request_has_the_same_answer_in_threes_and_sevens, 0,
                        (int)AD_LEN(cases));
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITE(http_cases_suite)
