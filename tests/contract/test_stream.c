/* One suite for every kind of stream: what stream.h promises, over TCP, over the in-memory pair, and
 * for TLS over that pair. */
#include "infra/stream.h"

#include "base/buf.h"
#include "base/mem.h"
#include "infra/net.h"
#include "infra/tls.h"
#include "support/certs.h"
#include "support/pair.h"
#include "support/run.h"
#include "support/world.h"

struct end {
    struct ad_stream *s;
    struct ad_buf got;
    enum ad_err ended;
    bool over, closed;
    unsigned reads;
};

static struct world w;
static struct end a;
static struct end b;

/* --- kinds --- */

static struct ad_listener *listener;

static void on_accept(void *ctx, struct ad_stream *s)
{
    *(struct ad_stream **)ctx = s;
}

static void on_dial(struct ad_dial *d, enum ad_err err, struct ad_stream *s)
{
    ck_assert_int_eq(err, AD_OK);
    *(struct ad_stream **)d->data = s;
}

static bool both_connected(void *ctx)
{
    (void)ctx;
    return a.s && b.s;
}

static void connect_tcp(void)
{
    char address[64];
    struct ad_endpoint at = { .host = "127.0.0.1" };
    ck_assert_int_eq(ad_listen(w.loop, &at, 8, on_accept, &b.s, &listener, NULL), AD_OK);
    ad_listener_address(listener, address, sizeof(address));
    ck_assert_int_eq(ad_endpoint_parse(ad_str_c(address), &at), AD_OK);
    struct ad_dial dial = { .data = &a.s };
    ck_assert_int_eq(ad_dial_start(w.loop, &dial, &at, 1000, on_dial), AD_OK);
    world_until(&w, both_connected, NULL);
    ad_listener_close(listener);
}

static void connect_pair(void)
{
    pair_open(w.loop, &a.s, &b.s);
}

/* Every byte by itself: no promise may depend on how bytes are grouped. */
static void connect_chopped_pair(void)
{
    connect_pair();
    pair_faults(a.s)->chop = 1;
    pair_faults(b.s)->chop = 1;
    pair_faults(a.s)->try_max = 1;
    pair_faults(b.s)->try_max = 1;
}

/* --- TLS: a dialer that makes a pair, and a server on the pair's other end --- */

static struct ad_tls_client *tls_client;
static struct ad_tls_server *tls_server;
static struct ad_post tls_post;
static struct ad_dial *tls_asked;
static size_t tls_chop;

static void on_tls_pair(struct ad_post *post)
{
    struct ad_stream *lower[2];
    (void)post;
    pair_open(w.loop, &lower[0], &lower[1]);
    pair_faults(lower[0])->chop = tls_chop;
    pair_faults(lower[1])->chop = tls_chop;
    ck_assert_int_eq(ad_tls_server_wrap(tls_server, lower[1], &b.s), AD_OK);
    tls_asked->cb(tls_asked, AD_OK, lower[0]);
}

static enum ad_err start_pair(struct ad_dialer *self, struct ad_loop *loop, struct ad_dial *d,
                              const struct ad_endpoint *to, unsigned timeout_ms, ad_dial_cb cb)
{
    (void)self;
    (void)to;
    (void)timeout_ms;
    d->cb = cb;
    tls_asked = d;
    ad_loop_post(loop, &tls_post, on_tls_pair);
    return AD_OK;
}

static struct ad_dialer pair_dialer = { start_pair, NULL };

static void connect_tls(void)
{
    const struct ad_tls_client_opts client = { .trust_file = certs_path("ca.pem"),
                                               .below = &pair_dialer };
    const struct ad_tls_server_opts server = { .cert_file = certs_path("good.pem"),
                                               .key_file = certs_path("good.key") };
    const struct ad_endpoint to = { .host = "localhost", .port = 443 };
    struct ad_dial dial = { .data = &a.s };
    ck_assert_int_eq(ad_tls_client_open(w.loop, &client, &tls_client, NULL), AD_OK);
    ck_assert_int_eq(ad_tls_server_open(w.loop, &server, &tls_server, NULL), AD_OK);
    struct ad_dialer *d = ad_tls_client_dialer(tls_client);
    ck_assert_int_eq(d->start(d, w.loop, &dial, &to, 1000, on_dial), AD_OK);
    world_until(&w, both_connected, NULL);
}

static void connect_chopped_tls(void)
{
    tls_chop = 1;
    connect_tls();
}

static const struct kind {
    const char *name;
    void (*connect)(void);
    bool slow;
} kinds[] = {
    { "tcp", connect_tcp, false },
    { "pair", connect_pair, false },
    { "pair, byte by byte", connect_chopped_pair, true },
    { "TLS over a pair", connect_tls, true },
    { "TLS over a pair, byte by byte", connect_chopped_tls, true },
};

static void open_end(struct end *e)
{
    *e = (struct end){ .s = NULL };
    ad_buf_init(&e->got, 64 << 20);
}

static void open_kind(int i)
{
    world_open(&w);
    open_end(&a);
    open_end(&b);
    kinds[i].connect();
    a.s->data = &a;
    b.s->data = &b;
}

static void on_closed(struct ad_stream *s)
{
    struct end *e = s->data;
    ck_assert(!e->closed);
    e->closed = true;
}

static bool both_closed(void *ctx)
{
    (void)ctx;
    return a.closed && b.closed;
}

static void close_kind(void)
{
    if (!a.closed) {
        ad_stream_close(a.s, on_closed);
    }
    if (!b.closed) {
        ad_stream_close(b.s, on_closed);
    }
    world_until(&w, both_closed, NULL);
    ad_buf_fini(&a.got);
    ad_buf_fini(&b.got);
    ad_tls_client_close(tls_client);
    ad_tls_server_close(tls_server);
    tls_client = NULL;
    tls_server = NULL;
    tls_chop = 0;
    world_close(&w);
}

/* --- reading and writing --- */

static void on_read(struct ad_stream *s, enum ad_err err, const char *p, size_t n)
{
    struct end *e = s->data;
    ck_assert_msg(!e->over, "something came after the end");
    if (err) {
        e->over = true;
        e->ended = err;
        ck_assert_uint_eq(n, 0);
        return;
    }
    ck_assert_uint_gt(n, 0);
    e->reads++;
    ad_buf_put(&e->got, ad_str_n(p, n));
}

static void read_from(struct end *e)
{
    ck_assert_int_eq(ad_stream_read_start(e->s, on_read), AD_OK);
}

struct wrote {
    struct ad_write w;
    unsigned calls;
    enum ad_err err;
};

static unsigned writes_over;

static void on_written(struct ad_write *write, enum ad_err err)
{
    struct wrote *r = ad_container_of(write, struct wrote, w);
    r->calls++;
    r->err = err;
    writes_over++;
}

static enum ad_err write_text(struct end *e, struct wrote *r, const char *text)
{
    *r = (struct wrote){ .calls = 0 };
    struct ad_str s = ad_str_c(text);
    enum ad_err err = ad_stream_write(e->s, &r->w, &s, 1, on_written);
    ck_assert_uint_eq(r->calls, 0);
    return err;
}

struct amount {
    const struct ad_buf *buf;
    size_t n;
};

static bool has_amount(void *ctx)
{
    const struct amount *amount = ctx;
    return ad_buf_len(amount->buf) >= amount->n;
}

static void until_got(const struct end *e, size_t n)
{
    world_until(&w, has_amount, &(struct amount){ &e->got, n });
}

START_TEST(bytes_arrive_whole_and_in_order_in_both_directions)
{
    open_kind(_i);
    struct wrote r1;
    struct wrote r2;
    struct wrote r3;
    writes_over = 0;
    read_from(&a);
    read_from(&b);
    ck_assert_int_eq(write_text(&a, &r1, "hello "), AD_OK);
    ck_assert_int_eq(write_text(&a, &r2, "world"), AD_OK);
    ck_assert_int_eq(write_text(&b, &r3, "back"), AD_OK);
    until_got(&b, 11);
    until_got(&a, 4);
    world_until_count(&w, &writes_over, 3);
    assert_str(ad_buf_str(&b.got), "hello world");
    assert_str(ad_buf_str(&a.got), "back");
    ck_assert(!r1.err && !r2.err && !r3.err);
    close_kind();
}
END_TEST

START_TEST(four_slices_and_empty_ones_are_one_write)
{
    open_kind(_i);
    struct wrote r = { .calls = 0 };
    struct ad_str slices[4] = { AD_STR("one "), AD_STR_NONE, AD_STR("two "), AD_STR("three") };
    writes_over = 0;
    read_from(&b);
    ck_assert_int_eq(ad_stream_write(a.s, &r.w, slices, 4, on_written), AD_OK);
    until_got(&b, 13);
    world_until_count(&w, &writes_over, 1);
    assert_str(ad_buf_str(&b.got), "one two three");
    close_kind();
}
END_TEST

START_TEST(a_write_of_nothing_ends_too)
{
    open_kind(_i);
    struct wrote r = { .calls = 0 };
    writes_over = 0;
    ck_assert_int_eq(ad_stream_write(a.s, &r.w, NULL, 0, on_written), AD_OK);
    ck_assert_uint_eq(r.calls, 0);
    world_until_count(&w, &writes_over, 1);
    ck_assert_int_eq(r.err, AD_OK);
    close_kind();
}
END_TEST

START_TEST(try_write_says_how_much_it_took)
{
    open_kind(_i);
    read_from(&b);
    struct ad_str rest = AD_STR("0123456789");
    for (unsigned i = 0; i < 1000 && rest.n > 0; i++) {
        size_t n = ad_stream_try_write(a.s, &rest, 1);
        ck_assert_uint_le(n, rest.n);
        rest.p += n;
        rest.n -= n;
        ad_loop_turn(w.loop, 0);
    }
    ck_assert_uint_eq(rest.n, 0);
    until_got(&b, 10);
    assert_str(ad_buf_str(&b.got), "0123456789");
    close_kind();
}
END_TEST

START_TEST(try_write_takes_nothing_while_a_write_is_pending)
{
    open_kind(_i);
    static char big[8 << 20];
    struct wrote r = { .calls = 0 };
    struct ad_str slice = ad_str_n(big, sizeof(big));
    struct ad_str small = AD_STR("x");
    ck_assert_int_eq(ad_stream_write(a.s, &r.w, &slice, 1, on_written), AD_OK);
    ck_assert_uint_eq(ad_stream_try_write(a.s, &small, 1), 0);
    close_kind();
    ck_assert_uint_eq(r.calls, 1);
    ck_assert_int_eq(r.err, AD_ERR_CANCELED);
}
END_TEST

START_TEST(a_reader_that_stops_holds_the_writer_up_and_loses_nothing)
{
    open_kind(_i);
    size_t size = kinds[_i].slow ? 200 * 1024 : 8 << 20;
    char *big = ad_zalloc(size);
    struct wrote r = { .calls = 0 };
    struct ad_str slice = ad_str_n(big, size);
    writes_over = 0;
    ck_assert_int_eq(ad_stream_write(a.s, &r.w, &slice, 1, on_written), AD_OK);
    world_settle(&w);
    ck_assert_uint_eq(r.calls, 0);
    read_from(&b);
    until_got(&b, 1);
    ad_stream_read_stop(b.s);
    size_t before = ad_buf_len(&b.got);
    world_settle(&w);
    ck_assert_uint_eq(ad_buf_len(&b.got), before);
    ck_assert_uint_eq(r.calls, 0);
    read_from(&b);
    until_got(&b, size);
    world_until_count(&w, &writes_over, 1);
    ck_assert_uint_eq(ad_buf_len(&b.got), size);
    ad_free(big);
    close_kind();
}
END_TEST

START_TEST(starting_to_read_twice_is_harmless)
{
    open_kind(_i);
    struct wrote r;
    read_from(&b);
    read_from(&b);
    ck_assert_int_eq(write_text(&a, &r, "x"), AD_OK);
    until_got(&b, 1);
    ck_assert_uint_eq(b.reads, 1);
    close_kind();
}
END_TEST

/* --- ends --- */

START_TEST(shutdown_ends_one_direction_behind_what_was_written)
{
    open_kind(_i);
    struct wrote r1;
    struct wrote r2 = { .calls = 0 };
    struct wrote r3;
    read_from(&a);
    read_from(&b);
    ck_assert_int_eq(write_text(&a, &r1, "last"), AD_OK);
    ck_assert_int_eq(ad_stream_shutdown(a.s, &r2.w, on_written), AD_OK);
    ck_assert_uint_eq(r2.calls, 0);
    world_until_true(&w, &b.over);
    ck_assert_int_eq(b.ended, AD_ERR_CLOSED);
    assert_str(ad_buf_str(&b.got), "last");
    ck_assert_int_eq(r2.err, AD_OK);
    ck_assert_int_eq(write_text(&b, &r3, "still open"), AD_OK);
    until_got(&a, 10);
    ck_assert(!a.over);
    close_kind();
}
END_TEST

START_TEST(reading_after_the_end_is_refused)
{
    open_kind(_i);
    read_from(&b);
    ad_stream_close(a.s, on_closed);
    world_until_true(&w, &b.over);
    ck_assert_int_eq(ad_stream_read_start(b.s, on_read), AD_ERR_CLOSED);
    world_settle(&w);
    close_kind();
}
END_TEST

START_TEST(closing_gives_the_other_end_an_orderly_end)
{
    open_kind(_i);
    struct wrote r;
    writes_over = 0;
    ck_assert_int_eq(write_text(&a, &r, "bye"), AD_OK);
    world_until_count(&w, &writes_over, 1);
    ad_stream_close(a.s, on_closed);
    ck_assert(!a.closed);
    read_from(&b);
    world_until_true(&w, &b.over);
    ck_assert_int_eq(b.ended, AD_ERR_CLOSED);
    assert_str(ad_buf_str(&b.got), "bye");
    ck_assert(a.closed);
    close_kind();
}
END_TEST

START_TEST(closing_twice_keeps_the_first_callback)
{
    open_kind(_i);
    ad_stream_close(a.s, on_closed);
    ad_stream_close(a.s, NULL);
    world_until_true(&w, &a.closed);
    close_kind();
}
END_TEST

START_TEST(after_close_every_function_refuses)
{
    open_kind(_i);
    struct wrote r;
    struct ad_str x = AD_STR("x");
    char peer[32] = "?";
    ad_stream_close(a.s, on_closed);
    ck_assert_int_eq(write_text(&a, &r, "x"), AD_ERR_CLOSED);
    ck_assert_int_eq(ad_stream_shutdown(a.s, &r.w, on_written), AD_ERR_CLOSED);
    ck_assert_uint_eq(ad_stream_try_write(a.s, &x, 1), 0);
    ck_assert_int_eq(ad_stream_read_start(a.s, on_read), AD_ERR_CLOSED);
    ad_stream_read_stop(a.s);
    ck_assert_uint_eq(ad_stream_peer(a.s, peer, sizeof(peer)), strlen(peer));
    world_settle(&w);
    ck_assert_uint_eq(r.calls, 0);
    close_kind();
}
END_TEST

static struct wrote pending[3];

static void on_closed_after_writes(struct ad_stream *s)
{
    for (size_t i = 0; i < AD_LEN(pending); i++) {
        ck_assert_uint_eq(pending[i].calls, 1);
        ck_assert_int_eq(pending[i].err, AD_ERR_CANCELED);
    }
    on_closed(s);
}

START_TEST(pending_writes_end_with_canceled_before_closed)
{
    open_kind(_i);
    static char big[8 << 20];
    struct ad_str slice = ad_str_n(big, sizeof(big));
    for (size_t i = 0; i < 2; i++) {
        pending[i] = (struct wrote){ .calls = 0 };
        ck_assert_int_eq(ad_stream_write(a.s, &pending[i].w, &slice, 1, on_written), AD_OK);
    }
    pending[2] = (struct wrote){ .calls = 0 };
    ck_assert_int_eq(ad_stream_shutdown(a.s, &pending[2].w, on_written), AD_OK);
    ad_stream_close(a.s, on_closed_after_writes);
    ck_assert_uint_eq(pending[0].calls, 0);
    world_until_true(&w, &a.closed);
    close_kind();
}
END_TEST

static void close_in_read(struct ad_stream *s, enum ad_err err, const char *p, size_t n)
{
    on_read(s, err, p, n);
    ad_stream_close(s, on_closed);
}

START_TEST(a_stream_may_be_closed_in_its_own_read_callback)
{
    open_kind(_i);
    struct wrote r;
    ck_assert_int_eq(ad_stream_read_start(b.s, close_in_read), AD_OK);
    ck_assert_int_eq(write_text(&a, &r, "several bytes"), AD_OK);
    world_until_true(&w, &b.closed);
    ck_assert_uint_eq(b.reads, 1);
    close_kind();
}
END_TEST

static void close_in_write(struct ad_write *write, enum ad_err err)
{
    ad_stream_close(write->stream, on_closed);
    on_written(write, err);
}

START_TEST(a_stream_may_be_closed_in_its_own_write_callback)
{
    open_kind(_i);
    struct wrote r = { .calls = 0 };
    struct ad_str x = AD_STR("x");
    ck_assert_int_eq(ad_stream_write(a.s, &r.w, &x, 1, close_in_write), AD_OK);
    world_until_true(&w, &a.closed);
    ck_assert_uint_eq(r.calls, 1);
    close_kind();
}
END_TEST

START_TEST(close_without_a_callback_is_allowed)
{
    open_kind(_i);
    ad_stream_close(a.s, NULL);
    a.closed = true;
    close_kind();
}
END_TEST

START_TEST(writing_to_an_end_that_is_gone_fails_or_is_lost_but_ends)
{
    open_kind(_i);
    struct wrote r;
    read_from(&a);
    ad_stream_close(b.s, on_closed);
    world_until_true(&w, &a.over);
    /* The first write after the end may still go into the system's buffer. */
    for (unsigned i = 0; i < 100; i++) {
        writes_over = 0;
        ck_assert_int_eq(write_text(&a, &r, "x"), AD_OK);
        world_until_count(&w, &writes_over, 1);
        if (r.err) {
            break;
        }
    }
    ck_assert_int_eq(r.err, AD_ERR_NETWORK);
    close_kind();
}
END_TEST

START_TEST(the_peer_has_a_name_that_is_cut_to_fit)
{
    open_kind(_i);
    char peer[64];
    char small[5];
    size_t n = ad_stream_peer(a.s, peer, sizeof(peer));
    ck_assert_uint_eq(n, strlen(peer));
    ck_assert_uint_gt(n, 4);
    ck_assert_uint_eq(ad_stream_peer(a.s, small, sizeof(small)), 4);
    ck_assert_int_eq(strncmp(peer, small, 4), 0);
    close_kind();
}
END_TEST

static Suite *stream_suite(void)
{
    static const TTest *const *tests[] = {
        &bytes_arrive_whole_and_in_order_in_both_directions,
        &four_slices_and_empty_ones_are_one_write,
        &a_write_of_nothing_ends_too,
        &try_write_says_how_much_it_took,
        &try_write_takes_nothing_while_a_write_is_pending,
        &a_reader_that_stops_holds_the_writer_up_and_loses_nothing,
        &starting_to_read_twice_is_harmless,
        &shutdown_ends_one_direction_behind_what_was_written,
        &reading_after_the_end_is_refused,
        &closing_gives_the_other_end_an_orderly_end,
        &closing_twice_keeps_the_first_callback,
        &after_close_every_function_refuses,
        &pending_writes_end_with_canceled_before_closed,
        &a_stream_may_be_closed_in_its_own_read_callback,
        &a_stream_may_be_closed_in_its_own_write_callback,
        &close_without_a_callback_is_allowed,
        &writing_to_an_end_that_is_gone_fails_or_is_lost_but_ends,
        &the_peer_has_a_name_that_is_cut_to_fit,
    };
    Suite *suite = suite_create("stream");
    TCase *each_kind = tcase_create("each kind");
    for (size_t i = 0; i < AD_LEN(tests); i++) {
        tcase_add_loop_test(each_kind, *tests[i], 0, (int)AD_LEN(kinds));
    }
    suite_add_tcase(suite, each_kind);
    return suite;
}

int main(void)
{
    certs_make(); /* once, before the tests fork */
    int status = run_suite(stream_suite());
    certs_remove();
    return status;
}
