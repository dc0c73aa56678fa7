#include "client_fixture.h"

#include "base/mem.h"

#include <check.h>
#include <stdlib.h>

struct client_fixture f;

/* --- the server --- */

static void on_request(struct ad_stream *s, enum ad_err err, const char *p, size_t n)
{
    struct peer *peer = s->data;
    peer->over |= err != AD_OK;
    ck_assert_uint_le(n, sizeof(peer->got) - peer->got_n);
    if (n > 0) {
        memcpy(peer->got + peer->got_n, p, n);
        peer->got_n += n;
    }
}

static void add_peer(struct ad_stream *s)
{
    ck_assert_uint_lt(f.peers_n, PEERS_MAX);
    struct peer *peer = calloc(1, sizeof(*peer)); /* not of the heap that is made to fail */
    ck_assert_ptr_nonnull(peer);
    peer->s = s;
    s->data = peer;
    f.peers[f.peers_n++] = peer;
    ck_assert_int_eq(ad_stream_read_start(s, on_request), AD_OK);
}

static void on_accept(void *ctx, struct ad_stream *s)
{
    (void)ctx;
    add_peer(s);
}

/* --- dialing pairs --- */

struct fake_dial {
    struct ad_post post;
    struct ad_dial *d;
    enum ad_err err;
};

static struct fake_dial fake_dials[PEERS_MAX];

static void on_fake_dial(struct ad_post *post)
{
    struct fake_dial *fake = ad_container_of(post, struct fake_dial, post);
    struct ad_dial *d = fake->d;
    struct ad_stream *ours = NULL;
    fake->d = NULL;
    if (fake->err) {
        d->cb(d, ad_fail(&d->info, fake->err, "connect test: failed"), NULL);
        return;
    }
    struct ad_stream *theirs = NULL;
    pair_open(f.w.loop, &ours, &theirs);
    pair_faults(ours)->chop = f.chop;
    add_peer(theirs);
    d->cb(d, AD_OK, ours);
}

static void finish_dial(struct fake_dial *fake, enum ad_err err)
{
    fake->err = err;
    ad_loop_post(f.w.loop, &fake->post, on_fake_dial);
}

static enum ad_err fake_start(struct ad_dialer *self, struct ad_loop *loop, struct ad_dial *d,
                              const struct ad_endpoint *to, unsigned timeout_ms, ad_dial_cb cb)
{
    (void)loop;
    (void)to;
    ck_assert_ptr_eq(self, &f.dialer);
    ck_assert_uint_lt(f.dials, PEERS_MAX);
    if (f.dial_mode == DIAL_REFUSED) {
        return AD_ERR_NOMEM;
    }
    struct fake_dial *fake = &fake_dials[f.dials++];
    *fake = (struct fake_dial){ .d = d };
    f.dial_timeout_ms = timeout_ms;
    d->cb = cb;
    d->info = (struct ad_errinfo){ .code = AD_OK };
    d->impl = fake;
    if (f.dial_mode != DIAL_HANGS) {
        finish_dial(fake, f.dial_mode == DIAL_FAILS ? AD_ERR_NETWORK : AD_OK);
    }
    return AD_OK;
}

static void fake_cancel(struct ad_dialer *self, struct ad_dial *d)
{
    (void)self;
    struct fake_dial *fake = d->impl;
    ad_loop_unpost(&fake->post);
    finish_dial(fake, AD_ERR_CANCELED);
}

/* --- opening and closing --- */

static void fixture_open(bool tcp)
{
    f = (struct client_fixture){ .tcp = tcp, .dialer = { fake_start, fake_cancel } };
    world_open(&f.w);
    ck_assert_int_eq(ad_timers_reserve(ad_loop_timers(f.w.loop), 64), AD_OK);
    f.opts = (struct ad_http_client_opts){ .origin = { .host = "127.0.0.1", .port = 8080 } };
    f.opts.dialer = tcp ? NULL : &f.dialer;
}

void fixture_open_pair(void)
{
    fixture_open(false);
}

void fixture_open_tcp(void)
{
    char address[64];
    fixture_open(true);
    struct ad_endpoint at = { .host = "127.0.0.1" };
    ck_assert_int_eq(ad_listen(f.w.loop, &at, 64, on_accept, NULL, &f.listener, NULL), AD_OK);
    ad_listener_address(f.listener, address, sizeof(address));
    ck_assert_int_eq(ad_endpoint_parse(ad_str_c(address), &f.opts.origin), AD_OK);
}

void client_open(void)
{
    ck_assert_int_eq(ad_http_client_open(f.w.loop, &f.opts, &f.client), AD_OK);
}

static void on_done(void *ctx)
{
    ck_assert_ptr_eq(ctx, &f);
    ck_assert(!f.closed);
    f.closed = true;
}

void client_close(void)
{
    ad_http_client_close(f.client, on_done, &f);
    f.client = NULL;
    ck_assert(!f.closed);
}

void fixture_close(void)
{
    heap_fail(0, 0);
    if (f.client) {
        client_close();
    }
    world_until_true(&f.w, &f.closed);
    for (unsigned i = 0; i < f.peers_n; i++) {
        if (f.peers[i]->s) {
            ad_stream_close(f.peers[i]->s, NULL);
        }
    }
    if (f.listener) {
        ad_listener_close(f.listener);
    }
    world_close(&f.w);
    for (unsigned i = 0; i < f.peers_n; i++) {
        struct peer *peer = f.peers[i];
        free(peer);
    }
}

/* --- calls --- */

static void on_call(struct ad_http_call *c)
{
    struct call *call = ad_container_of(c, struct call, c);
    ck_assert_uint_eq(call->calls++, 0);
    if (call->then) {
        call->then(call);
    }
}

void call_init(struct call *call, const char *method, const char *path)
{
    *call = (struct call){ .calls = 0 };
    ad_arena_init(&call->arena, 1 << 20);
    ad_buf_init(&call->response, 1 << 20);
    call->c = (struct ad_http_call){
        .method = method,
        .path = ad_str_c(path),
        .timeout_ms = 10000,
        .arena = &call->arena,
        .response = &call->response,
        .cb = on_call,
    };
}

void call_fini(struct call *call)
{
    ad_arena_fini(&call->arena);
    ad_buf_fini(&call->response);
}

void call_start(struct call *call)
{
    enum ad_err err = ad_http_call_start(f.client, &call->c);
    ck_assert_int_eq(err, AD_OK);
    ck_assert_uint_eq(call->calls, 0);
}

void call_until_done(struct call *call)
{
    world_until_count(&f.w, &call->calls, 1);
}

void call_until_asked(struct call *call, unsigned i)
{
    call_init(call, "GET", "/x");
    call_start(call);
    peer_until_asked(i);
}

/* --- what the server does --- */

static bool is_asked(void *ctx)
{
    unsigned i = *(unsigned *)ctx;
    return i < f.peers_n &&
           ad_str_contains(ad_str_n(f.peers[i]->got, f.peers[i]->got_n), AD_STR("\r\n\r\n"));
}

void peer_until_asked(unsigned i)
{
    world_until(&f.w, is_asked, &i);
}

void peer_send(unsigned i, struct ad_str bytes)
{
    struct peer *peer = f.peers[i];
    peer->got_n = 0;
    while (bytes.n > 0) {
        size_t n = ad_stream_try_write(peer->s, &bytes, 1);
        bytes.p += n;
        bytes.n -= n;
        if (n == 0) {
            return; /* the client has closed */
        }
    }
}

void peer_close(unsigned i)
{
    ad_stream_close(f.peers[i]->s, NULL);
    f.peers[i]->s = NULL;
}

void peer_reset(unsigned i)
{
    pair_reset(f.peers[i]->s);
}

unsigned peers_open(void)
{
    unsigned n = 0;
    for (unsigned i = 0; i < f.peers_n; i++) {
        n += f.peers[i]->s && !f.peers[i]->over;
    }
    return n;
}
