/* TLS over a pair in memory: who is believed, how it ends, what is remembered. */
#include "tls_fixture.h"

#include "support/run.h"
#include "support/torture.h"

#include <stdio.h>
#include <sys/stat.h>

#define HOST "api.example.com"

/* --- whom the client believes --- */

static const struct belief {
    const char *cert, *host, *says; /* says NULL: believed */
} beliefs[] = {
    { "good", HOST, NULL },
    { "good", "API.example.com", NULL },
    { "good", "127.0.0.1", NULL },
    { "good", "::1", NULL },
    { "rsa", HOST, NULL },
    { "chain", HOST, NULL },
    { "wrong-host", HOST, "certificate is for other.example, not for api.example.com" },
    { "good", "example.com", "certificate is for api.example.com, not for example.com" },
    { "good", "127.0.0.9", "certificate is for api.example.com, not for 127.0.0.9" },
    { "wrong-host", "::1", "certificate is for other.example, not for ::1" },
    { "expired", HOST, "certificate of api.example.com expired on 2021-02-03 04:05 UTC" },
    { "future", HOST, "certificate of api.example.com is not valid before 2048-09-10 11:12 UTC" },
    { "expired-chain", HOST, "certificate of Test old-between expired on 2021-02-03 04:05 UTC" },
    { "unknown", HOST, "certificate of api.example.com is not signed by a known authority" },
    { "self-signed", HOST, "certificate of api.example.com is self-signed" },
};

START_TEST(a_certificate_is_believed_or_it_is_said_why_not)
{
    const struct belief *b = &beliefs[_i];
    tls_open(b->cert);
    enum ad_err err = tls_connect(b->host);
    if (b->says) {
        ck_assert_int_eq(err, AD_ERR_TLS);
        ck_assert_str_eq(f.dial.info.msg, b->says);
        ck_assert_uint_eq(tls_count("client", "refused"), 1);
        world_until_true(&f.w, &f.s.over);
        ck_assert_int_eq(f.s.end, AD_ERR_TLS);
        /* An alert, if it can be read: mbedTLS 3.6 sends it before its keys are in use. */
        ck_assert_uint_eq(tls_count("server", "refused") + tls_count("server", "failed"), 1);
    } else {
        ck_assert_msg(err == AD_OK, "%s", f.dial.info.msg);
        tls_say(&f.c, "question");
        tls_until_got(&f.s, "question");
        tls_say(&f.s, "answer");
        tls_until_got(&f.c, "answer");
        ck_assert_uint_eq(tls_count("client", "full"), 1);
        ck_assert_uint_eq(tls_count("server", "full"), 1);
    }
    tls_close_all();
}
END_TEST

START_TEST(a_pinned_certificate_is_believed_under_any_name_and_no_other_is)
{
    tls_open("self-signed");
    tls_new_client(&(struct ad_tls_client_opts){ .pin_file = certs_path("self-signed.pem") });
    ck_assert_int_eq(tls_connect("whatever.example"), AD_OK);
    tls_hang_up();
    tls_new_client(&(struct ad_tls_client_opts){ .pin_file = certs_path("self-signed.pem") });
    tls_new_server("good.pem", "good.key");
    ck_assert_int_eq(tls_connect(HOST), AD_ERR_TLS);
    ck_assert_str_eq(f.dial.info.msg,
                     "certificate of api.example.com is another than the configured one");
    tls_close_all();
}
END_TEST

/* --- files --- */

static void assert_client(const char *trust, const char *says)
{
    struct ad_tls_client *c = NULL;
    struct ad_errinfo info = { .msg = "" };
    const struct ad_tls_client_opts opts = { .trust_file = certs_path(trust) };
    ck_assert_int_eq(ad_tls_client_open(f.w.loop, &opts, &c, &info), AD_ERR_CONFIG);
    ck_assert_msg(strstr(info.msg, trust) && strstr(info.msg, says), "%s", info.msg);
    ck_assert_int_eq(ad_tls_check_trust(certs_path(trust), &info), AD_ERR_CONFIG);
}

static void assert_server(const char *cert, const char *key, const char *says)
{
    struct ad_tls_server *s = NULL;
    struct ad_errinfo info = { .msg = "" };
    struct ad_tls_check check;
    const struct ad_tls_server_opts opts = { .cert_file = certs_path(cert),
                                             .key_file = certs_path(key) };
    ck_assert_int_eq(ad_tls_server_open(f.w.loop, &opts, &s, &info), AD_ERR_CONFIG);
    ck_assert_msg(strstr(info.msg, says), "%s", info.msg);
    ck_assert_int_eq(ad_tls_check_files(certs_path(cert), certs_path(key), &check, &info),
                     AD_ERR_CONFIG);
}

START_TEST(files_that_cannot_be_used_are_named)
{
    tls_open("good");
    assert_client("missing.pem", "No such file");
    assert_client("garbage.pem", "no certificate");
    assert_client("empty.pem", "empty");
    assert_client("good.key", "no certificate");
    assert_server("missing.pem", "good.key", "No such file");
    assert_server("good.pem", "missing.key", "No such file");
    assert_server("good.pem", "rsa.key", "is not the key of the certificate");
    assert_server("good.pem", "good.pem", "no private key");
    assert_server("good.key", "good.key", "no certificate");
    assert_server("good.pem", "locked.key", "encrypted");
    ck_assert_int_eq(ad_tls_check_trust(certs_path("ca.pem"), NULL), AD_OK);
    tls_new_server("both.pem", "both.pem");
    ck_assert_int_eq(tls_connect(HOST), AD_OK);
    tls_close_all();
}
END_TEST

START_TEST(a_check_tells_the_end_of_validity_and_a_key_that_is_open_to_all)
{
    struct ad_tls_check check = { 0 };
    tls_open("good");
    ck_assert_int_eq(chmod(certs_path("good.key"), 0640), 0);
    ck_assert_int_eq(
        ad_tls_check_files(certs_path("good.pem"), certs_path("good.key"), &check, NULL), AD_OK);
    ck_assert(!check.key_open && !check.expired);
    ck_assert_int_eq(chmod(certs_path("expired.key"), 0644), 0);
    ck_assert_int_eq(
        ad_tls_check_files(certs_path("expired.pem"), certs_path("expired.key"), &check, NULL),
        AD_OK);
    ck_assert(check.key_open && check.expired);
    ck_assert_int_eq(check.until_s, 1612325106); /* 2021-02-03 04:05:06 */
    tls_close_all();
}
END_TEST

/* --- resumption --- */

/* One exchange on the connection that is there, so that tickets of TLS 1.3 have come too. */
static void talk(void)
{
    tls_say(&f.c, "ping");
    tls_until_got(&f.s, "ping");
    tls_say(&f.s, "pong");
    tls_until_got(&f.c, "pong");
}

static void assert_handshakes(uint64_t full, uint64_t resumed)
{
    ck_assert_uint_eq(tls_count("client", "full"), full);
    ck_assert_uint_eq(tls_count("server", "full"), full);
    ck_assert_uint_eq(tls_count("client", "resumed"), resumed);
    ck_assert_uint_eq(tls_count("server", "resumed"), resumed);
}

static void connect_and_talk(const char *host)
{
    enum ad_err err = tls_connect(host);
    ck_assert_msg(err == AD_OK, "%s", f.dial.info.msg);
    talk();
    tls_hang_up();
}

START_TEST(a_session_is_resumed_and_both_sides_know)
{
    tls_open("good");
    connect_and_talk(HOST);
    assert_handshakes(1, 0);
    connect_and_talk(HOST);
    assert_handshakes(1, 1);
    connect_and_talk(HOST);
    assert_handshakes(1, 2);
    tls_close_all();
}
END_TEST

START_TEST(a_session_belongs_to_one_origin_and_to_an_hour)
{
    tls_open("good");
    connect_and_talk(HOST);
    connect_and_talk("localhost");
    assert_handshakes(2, 0);
    world_advance(&f.w, UINT64_C(3600) * 1000);
    connect_and_talk(HOST);
    assert_handshakes(3, 0);
    tls_close_all();
}
END_TEST

START_TEST(a_server_with_other_tickets_or_a_new_client_begins_anew)
{
    tls_open("good");
    connect_and_talk(HOST);
    tls_new_server("good.pem", "good.key");
    connect_and_talk(HOST);
    assert_handshakes(2, 0);
    tls_new_client(&(struct ad_tls_client_opts){ .trust_file = certs_path("ca.pem") });
    connect_and_talk(HOST);
    assert_handshakes(3, 0);
    tls_close_all();
}
END_TEST

START_TEST(more_origins_than_are_remembered_work_all_the_same)
{
    tls_open("good");
    for (unsigned round = 0; round < 2; round++) {
        tls_new_client(&(struct ad_tls_client_opts){ .pin_file = certs_path("good.pem") });
        for (const char *c = "abcdefghijk"; *c; c++) {
            connect_and_talk((char[]){ *c, '.', 'x', '\0' });
        }
    }
    assert_handshakes(22, 0);
    connect_and_talk("a.x");
    connect_and_talk("k.x");
    assert_handshakes(23, 1);
    tls_close_all();
}
END_TEST

/* --- a new certificate --- */

static void copy(const char *from, const char *to)
{
    static char bytes[16384];
    FILE *in = fopen(certs_path(from), "rb");
    FILE *out = fopen(certs_path(to), "wb");
    ck_assert(in && out);
    size_t n = fread(bytes, 1, sizeof(bytes), in);
    ck_assert_uint_eq(fwrite(bytes, 1, n, out), n);
    ck_assert_int_eq(fclose(in) | fclose(out), 0);
}

START_TEST(a_reload_gives_new_connections_the_new_certificate_and_leaves_the_open_ones)
{
    struct ad_errinfo info = { .msg = "" };
    tls_open("good");
    copy("good.pem", "live.pem");
    copy("good.key", "live.key");
    tls_new_server("live.pem", "live.key");
    ck_assert_int_eq(tls_connect(HOST), AD_OK);
    copy("rsa.pem", "live.pem");
    ck_assert_int_eq(ad_tls_server_reload(f.server, &info), AD_ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(info.msg, "is not the key of"));
    talk();
    copy("wrong-host.pem", "live.pem");
    copy("wrong-host.key", "live.key");
    ck_assert_int_eq(ad_tls_server_reload(f.server, &info), AD_OK);
    talk(); /* the open one goes on, and its configuration with it */
    tls_hang_up();
    tls_new_client(&(struct ad_tls_client_opts){ .trust_file = certs_path("ca.pem") });
    ck_assert_int_eq(tls_connect("other.example"), AD_OK);
    tls_close_all();
}
END_TEST

/* --- how it ends --- */

START_TEST(close_notify_is_the_orderly_end)
{
    tls_open("good");
    ck_assert_int_eq(tls_connect(HOST), AD_OK);
    tls_say(&f.s, "last words");
    struct tls_end *s = &f.s;
    ad_stream_close(s->s, NULL);
    s->s = NULL;
    world_until_true(&f.w, &f.c.over);
    ck_assert_int_eq(f.c.end, AD_ERR_CLOSED);
    assert_str(ad_buf_str(&f.c.got), "last words");
    tls_close_all();
}
END_TEST

START_TEST(a_reset_is_no_orderly_end)
{
    tls_open("good");
    ck_assert_int_eq(tls_connect(HOST), AD_OK);
    tls_say(&f.s, "and then");
    tls_until_got(&f.c, "and then");
    pair_reset(f.lower[1]);
    world_until_true(&f.w, &f.c.over);
    ck_assert_int_eq(f.c.end, AD_ERR_NETWORK);
    tls_close_all();
}
END_TEST

static void on_ignored(struct ad_write *w, enum ad_err err)
{
    (void)w;
    (void)err;
}

/* What somebody on the way can do. */
START_TEST(an_orderly_end_of_the_lower_stream_alone_is_a_truncation)
{
    struct ad_write w = { .cb = NULL };
    tls_open("good");
    ck_assert_int_eq(tls_connect(HOST), AD_OK);
    ck_assert_int_eq(ad_stream_shutdown(f.lower[1], &w, on_ignored), AD_OK);
    world_until_true(&f.w, &f.c.over);
    ck_assert_int_eq(f.c.end, AD_ERR_NETWORK);
    tls_close_all();
}
END_TEST

START_TEST(a_forged_record_ends_it_and_breaks_what_is_written)
{
    static const char forged[] = "\x17\x03\x03\x00\x20"
                                 "0123456789abcdef0123456789abcdef";
    struct ad_str bytes = ad_str_n(forged, sizeof(forged) - 1);
    struct ad_str x = AD_STR("x");
    tls_open("good");
    ck_assert_int_eq(tls_connect(HOST), AD_OK);
    ck_assert_uint_eq(ad_stream_try_write(f.lower[0], &bytes, 1), bytes.n);
    world_until_true(&f.w, &f.s.over);
    ck_assert_int_eq(f.s.end, AD_ERR_TLS);
    ck_assert_uint_eq(ad_stream_try_write(f.s.s, &x, 1), 0);
    world_until_true(&f.w, &f.c.over); /* the alert */
    ck_assert_int_eq(f.c.end, AD_ERR_TLS);
    tls_close_all();
}
END_TEST

/* --- cut anywhere --- */

static size_t cut_at;

static void cut_client(struct tls_fixture *fix)
{
    pair_faults(fix->lower[0])->read_fails_at = cut_at;
}

static void cut_server(struct tls_fixture *fix)
{
    pair_faults(fix->lower[1])->read_fails_at = cut_at;
}

/* Cuts what one side reads after every number of bytes, until the handshake gets through and the
 * exchange with it. Returns how many cuts there were. */
static unsigned cut_everywhere(void (*cut)(struct tls_fixture *), size_t pace)
{
    unsigned cuts = 0;
    f.on_pair = cut;
    f.s.leaves = true;
    for (cut_at = 1;; cut_at += pace, cuts++) {
        ck_assert_uint_lt(cut_at, 20000);
        enum ad_err err = tls_connect(HOST);
        if (err) {
            ck_assert_msg(err == AD_ERR_NETWORK || err == AD_ERR_TLS, "cut at %zu: %s", cut_at,
                          f.dial.info.msg);
        } else {
            tls_say(&f.c, "question");
            world_settle(&f.w);
            if (!f.s.over) {
                tls_say(&f.s, "answer");
                world_settle(&f.w);
            }
            ck_assert(!f.c.over || f.c.end == AD_ERR_NETWORK || !f.s.s); /* !s: it left in order */
            ck_assert(!f.s.over || f.s.end == AD_ERR_NETWORK);
        }
        bool whole = !err && !f.c.over && !f.s.over;
        tls_hang_up();
        if (whole) {
            return cuts;
        }
    }
}

START_TEST(a_full_handshake_cut_anywhere_fails_and_leaves_nothing)
{
    tls_open("good");
    tls_new_client(&(struct ad_tls_client_opts){ .trust_file = certs_path("ca.pem") });
    size_t few = torture_takes_few() ? 5 : 1;
    ck_assert_uint_gt(cut_everywhere(_i ? cut_server : cut_client, 11 * few), 20 / few);
    tls_close_all();
}
END_TEST

START_TEST(a_resumed_connection_cut_after_every_byte_fails_and_leaves_nothing)
{
    tls_open("good");
    connect_and_talk(HOST);
    size_t few = torture_takes_few() ? 5 : 1;
    ck_assert_uint_gt(cut_everywhere(_i ? cut_server : cut_client, few), 100 / few);
    tls_close_all();
}
END_TEST

static size_t piece;

static void chop_both(struct tls_fixture *fix)
{
    pair_faults(fix->lower[0])->chop = piece;
    pair_faults(fix->lower[1])->chop = piece;
    pair_faults(fix->lower[0])->try_max = piece;
    pair_faults(fix->lower[1])->try_max = piece;
}

START_TEST(it_does_not_matter_how_the_bytes_are_grouped)
{
    tls_open("good");
    f.on_pair = chop_both;
    size_t few = torture_takes_few() ? 7 : 1;
    for (piece = 1; piece < 1500; piece += few * (piece < 40 ? 1 : 61)) {
        connect_and_talk(HOST);
        if (piece % 5 == 0) {
            tls_new_client(&(struct ad_tls_client_opts){ .trust_file = certs_path("ca.pem") });
        }
    }
    tls_close_all();
}
END_TEST

/* --- time, and closing early --- */

/* The peer is not one of ours: the test has its end of the pair. */
static void peer_says(struct ad_str s)
{
    ck_assert_uint_eq(ad_stream_try_write(f.lower[0], &s, 1), s.n);
}

START_TEST(a_peer_that_stalls_in_its_hello_is_cut)
{
    static const struct ad_str said[] = { { "", 0 },
                                          { "\x16", 1 },
                                          { "\x16\x03\x01\x02\x00\x01", 6 } };
    tls_open("good");
    for (size_t i = 0; i < AD_LEN(said); i++) {
        tls_accept();
        peer_says(said[i]);
        world_advance(&f.w, 7499);
        ck_assert(!f.s.over);
        world_advance(&f.w, 1);
        ck_assert(f.s.over);
        ck_assert_int_eq(f.s.end, AD_ERR_TIMEOUT);
        ck_assert_uint_eq(tls_count("server", "timeout"), i + 1);
        tls_hang_up();
    }
    tls_close_all();
}
END_TEST

START_TEST(a_peer_that_says_nothing_costs_nothing_of_mbedtls)
{
    tls_open("good");
    size_t before = heap_held_bytes();
    tls_accept();
    world_settle(&f.w);
    ck_assert_uint_lt(heap_held_bytes() - before, 8192); /* with the pair itself */
    tls_close_all();
}
END_TEST

START_TEST(a_server_that_stalls_costs_the_client_its_deadline)
{
    tls_open("good");
    f.no_server = true;
    tls_dial(HOST, 3000);
    world_advance(&f.w, 2999);
    ck_assert_uint_eq(f.dialed, 0);
    world_advance(&f.w, 1);
    ck_assert_uint_eq(f.dialed, 1);
    ck_assert_int_eq(f.err, AD_ERR_TIMEOUT);
    ck_assert_str_eq(f.dial.info.msg, "TLS handshake with api.example.com: timed out");
    ck_assert_uint_eq(tls_count("client", "timeout"), 1);
    tls_close_all();
}
END_TEST

START_TEST(a_server_that_hangs_up_in_the_handshake_is_a_network_error)
{
    tls_open("good");
    f.no_server = true;
    tls_dial(HOST, 3000);
    world_settle(&f.w);
    ad_stream_close(f.lower[1], NULL);
    f.no_server = false;
    world_until_count(&f.w, &f.dialed, 1);
    ck_assert_int_eq(f.err, AD_ERR_NETWORK);
    ck_assert_uint_eq(tls_count("client", "cut"), 1);
    tls_close_all();
}
END_TEST

static void drop_bytes(struct ad_stream *s, enum ad_err err, const char *p, size_t n)
{
    struct ad_buf *got = s->data;
    if (!err) {
        ad_buf_put(got, ad_str_n(p, n));
    }
}

START_TEST(a_server_that_is_none_is_said_to_be_none)
{
    struct ad_str http = AD_STR("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
    tls_open("good");
    f.no_server = true;
    tls_dial(HOST, 3000);
    world_settle(&f.w);
    ck_assert_uint_eq(ad_stream_try_write(f.lower[1], &http, 1), http.n);
    world_until_count(&f.w, &f.dialed, 1);
    ck_assert_int_eq(f.err, AD_ERR_TLS);
    ck_assert_str_eq(f.dial.info.msg, "what answers at api.example.com does not speak TLS");
    tls_close_all();
}
END_TEST

START_TEST(plain_http_is_told_so_and_anything_else_is_cut)
{
    struct ad_buf got;
    tls_open("good");
    ad_buf_init(&got, 4096);
    for (unsigned i = 0; i < 2; i++) {
        tls_accept();
        f.lower[0]->data = &got;
        ck_assert_int_eq(ad_stream_read_start(f.lower[0], drop_bytes), AD_OK);
        peer_says(i == 0 ? AD_STR("GET / HTTP/1.1\r\nHost: x\r\n\r\n") : AD_STR("\x80\x2e junk"));
        world_until_true(&f.w, &f.s.over);
        ck_assert_int_eq(f.s.end, AD_ERR_TLS);
        world_settle(&f.w);
        ck_assert_int_eq(ad_str_starts(ad_buf_str(&got), AD_STR("HTTP/1.1 400 ")), i == 0);
        ck_assert_int_eq(
            ad_str_ends(ad_buf_str(&got), AD_STR("\r\n\r\nThis port speaks TLS: use https.\n")),
            i == 0);
        ad_buf_clear(&got);
        ck_assert_uint_eq(tls_count("server", "plain"), i + 1);
        tls_hang_up();
    }
    ad_buf_fini(&got);
    tls_close_all();
}
END_TEST

/* Turns the loop `turns` times after the dial began; true when the dial was still under way. */
static bool dial_for(unsigned turns)
{
    tls_dial(HOST, 5000);
    for (unsigned i = 0; i < turns && !f.dialed; i++) {
        ad_loop_turn(f.w.loop, 0);
    }
    return !f.dialed;
}

START_TEST(a_dial_may_be_cancelled_at_each_stage)
{
    tls_open("good");
    struct ad_dialer *d = ad_tls_client_dialer(f.client);
    unsigned turns = 0;
    while (dial_for(turns)) {
        d->cancel(d, &f.dial);
        d->cancel(d, &f.dial);
        ck_assert_uint_eq(f.dialed, 0);
        world_until_count(&f.w, &f.dialed, 1);
        ck_assert_int_eq(f.err, AD_ERR_CANCELED);
        tls_hang_up();
        turns++;
    }
    ck_assert_int_eq(f.err, AD_OK);
    ck_assert_uint_gt(turns, 2);
    tls_close_all();
}
END_TEST

START_TEST(a_server_may_close_at_each_stage)
{
    tls_open("good");
    unsigned turns = 0;
    while (dial_for(turns)) {
        if (f.s.s) {
            ad_stream_close(f.s.s, NULL);
            f.s.s = NULL;
            world_until_count(&f.w, &f.dialed, 1);
            ck_assert_int_eq(f.err, AD_ERR_NETWORK);
        } else {
            world_until_count(&f.w, &f.dialed, 1);
        }
        tls_hang_up();
        turns++;
    }
    ck_assert_uint_gt(turns, 2);
    tls_close_all();
}
END_TEST

START_TEST(bytes_that_come_with_the_handshake_s_end_are_not_lost)
{
    struct ad_write w = { .cb = NULL };
    struct ad_str early = AD_STR("early");
    tls_open("good");
    tls_dial(HOST, 5000);
    while (!f.s.s) {
        ad_loop_turn(f.w.loop, 0);
    }
    ck_assert_uint_eq(ad_stream_try_write(f.s.s, &early, 1), 0); /* not yet */
    ck_assert_int_eq(ad_stream_write(f.s.s, &w, &early, 1, on_ignored), AD_OK);
    tls_until_got(&f.c, "early");
    tls_close_all();
}
END_TEST

static Suite *tls_suite(void)
{
    static const TTest *const *tests[] = {
        &a_pinned_certificate_is_believed_under_any_name_and_no_other_is,
        &files_that_cannot_be_used_are_named,
        &a_check_tells_the_end_of_validity_and_a_key_that_is_open_to_all,
        &a_session_is_resumed_and_both_sides_know,
        &a_session_belongs_to_one_origin_and_to_an_hour,
        &a_server_with_other_tickets_or_a_new_client_begins_anew,
        &more_origins_than_are_remembered_work_all_the_same,
        &a_reload_gives_new_connections_the_new_certificate_and_leaves_the_open_ones,
        &close_notify_is_the_orderly_end,
        &a_reset_is_no_orderly_end,
        &an_orderly_end_of_the_lower_stream_alone_is_a_truncation,
        &a_forged_record_ends_it_and_breaks_what_is_written,
        &it_does_not_matter_how_the_bytes_are_grouped,
        &a_peer_that_stalls_in_its_hello_is_cut,
        &a_peer_that_says_nothing_costs_nothing_of_mbedtls,
        &a_server_that_stalls_costs_the_client_its_deadline,
        &a_server_that_hangs_up_in_the_handshake_is_a_network_error,
        &a_server_that_is_none_is_said_to_be_none,
        &plain_http_is_told_so_and_anything_else_is_cut,
        &a_dial_may_be_cancelled_at_each_stage,
        &a_server_may_close_at_each_stage,
        &bytes_that_come_with_the_handshake_s_end_are_not_lost,
    };
    Suite *suite = suite_create("tls");
    TCase *once = tcase_create("once");
    TCase *loops = tcase_create("each");
    for (size_t i = 0; i < AD_LEN(tests); i++) {
        tcase_add_test(once, *tests[i]);
    }
    tcase_add_loop_test(loops, a_certificate_is_believed_or_it_is_said_why_not, 0,
                        (int)AD_LEN(beliefs));
    tcase_add_loop_test(loops, a_full_handshake_cut_anywhere_fails_and_leaves_nothing, 0, 2);
    tcase_add_loop_test(loops, a_resumed_connection_cut_after_every_byte_fails_and_leaves_nothing,
                        0, 2);
    suite_add_tcase(suite, once);
    suite_add_tcase(suite, loops);
    return suite;
}

/* The certificates are made once, before the tests fork. */
int main(void)
{
    certs_make();
    int status = run_suite(tls_suite());
    certs_remove();
    return status;
}
