#include "tls_fixture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tls_fixture f;

/* --- what the owners of the streams do --- */

static void on_read(struct ad_stream *s, enum ad_err err, const char *p, size_t n)
{
    struct tls_end *e = s->data;
    ck_assert(!e->over);
    if (err) {
        e->over = true;
        e->end = err;
        if (e->leaves) {
            ad_stream_close(s, NULL);
            e->s = NULL;
        }
        return;
    }
    ad_buf_put(&e->got, ad_str_n(p, n));
}

static void own(struct tls_end *e, struct ad_stream *s)
{
    e->s = s;
    e->over = false;
    e->end = AD_OK;
    ad_buf_clear(&e->got);
    s->data = e;
    ck_assert_int_eq(ad_stream_read_start(s, on_read), AD_OK);
}

/* --- the lower dialer --- */

static void serve_pair(void)
{
    struct ad_stream *s;
    if (f.no_server) {
        return;
    }
    if (ad_tls_server_wrap(f.server, f.lower[1], &s)) {
        ad_stream_close(f.lower[1], NULL);
        f.lower[1] = NULL;
    } else {
        own(&f.s, s);
    }
}

static void on_answer(struct ad_post *post)
{
    struct ad_dial *d = f.asked;
    (void)post;
    f.asked = NULL;
    pair_open(f.w.loop, &f.lower[0], &f.lower[1]);
    if (f.on_pair) {
        f.on_pair(&f);
    }
    if (f.fails) {
        heap_fail(f.fail_at, f.fail_times);
    }
    serve_pair();
    d->cb(d, AD_OK, f.lower[0]);
}

static enum ad_err below_start(struct ad_dialer *self, struct ad_loop *loop, struct ad_dial *d,
                               const struct ad_endpoint *to, unsigned timeout_ms, ad_dial_cb cb)
{
    (void)to;
    (void)timeout_ms;
    ck_assert_ptr_eq(self, &f.below);
    d->cb = cb;
    f.asked = d;
    if (!f.fork) {
        ad_loop_post(loop, &f.post, on_answer);
    }
    return AD_OK;
}

static void on_cancel(struct ad_post *post)
{
    struct ad_dial *d = f.asked;
    (void)post;
    f.asked = NULL;
    ad_fail(&d->info, AD_ERR_CANCELED, "canceled");
    d->cb(d, AD_ERR_CANCELED, NULL);
}

static void below_cancel(struct ad_dialer *self, struct ad_dial *d)
{
    ck_assert_ptr_eq(self, &f.below);
    ck_assert_ptr_eq(d, f.asked);
    ad_loop_unpost(&f.post);
    ad_loop_post(f.w.loop, &f.post, on_cancel);
}

/* --- opening --- */

void tls_new_client(const struct ad_tls_client_opts *opts)
{
    struct ad_tls_client_opts mine = *opts;
    struct ad_errinfo info = { .msg = "" };
    ad_tls_client_close(f.client);
    mine.below = &f.below;
    mine.metrics = f.metrics;
    enum ad_err err = ad_tls_client_open(f.w.loop, &mine, &f.client, &info);
    ck_assert_msg(err == AD_OK, "%s", info.msg);
}

void tls_new_server(const char *cert, const char *key)
{
    struct ad_errinfo info = { .msg = "" };
    const struct ad_tls_server_opts opts = { .cert_file = certs_path(cert),
                                             .key_file = certs_path(key),
                                             .metrics = f.metrics };
    ad_tls_server_close(f.server);
    enum ad_err err = ad_tls_server_open(f.w.loop, &opts, &f.server, &info);
    ck_assert_msg(err == AD_OK, "%s", info.msg);
}

void tls_open(const char *name)
{
    char cert[64];
    char key[64];
    f = (struct tls_fixture){ .below = { below_start, below_cancel } };
    (void)snprintf(cert, sizeof(cert), "%s.pem", name);
    (void)snprintf(key, sizeof(key), "%s.key", name);
    world_open(&f.w);
    ck_assert_int_eq(ad_metrics_new(&f.metrics), AD_OK);
    ad_buf_init(&f.c.got, 64 << 20);
    ad_buf_init(&f.s.got, 64 << 20);
    tls_new_client(&(struct ad_tls_client_opts){ .trust_file = certs_path("ca.pem") });
    tls_new_server(cert, key);
}

static void on_gone(struct ad_stream *s)
{
    bool *gone = s->data;
    *gone = true;
}

static void drop(struct ad_stream *s)
{
    bool gone = false;
    if (s) {
        s->data = &gone;
        ad_stream_close(s, on_gone);
        world_until_true(&f.w, &gone);
    }
}

void tls_accept(void)
{
    f.accepted = true;
    pair_open(f.w.loop, &f.lower[0], &f.lower[1]);
    serve_pair();
}

void tls_hang_up(void)
{
    if (f.accepted) {
        drop(f.lower[0]);
        f.accepted = false;
    }
    drop(f.c.s);
    drop(f.s.s);
    if (f.no_server) {
        drop(f.lower[1]);
    }
    f.c.s = f.s.s = f.lower[0] = f.lower[1] = NULL;
    world_settle(&f.w);
}

void tls_close_all(void)
{
    tls_hang_up();
    ad_tls_client_close(f.client);
    ad_tls_server_close(f.server);
    ad_metrics_free(f.metrics);
    ad_buf_fini(&f.c.got);
    ad_buf_fini(&f.s.got);
    world_close(&f.w);
}

/* --- doing --- */

static void on_dial(struct ad_dial *d, enum ad_err err, struct ad_stream *s)
{
    ck_assert_ptr_eq(d, &f.dial);
    ck_assert_int_eq(err != AD_OK, s == NULL);
    f.dialed++;
    f.err = err;
    if (s) {
        own(&f.c, s);
    } else {
        ck_assert_int_eq(d->info.code, err);
        ck_assert(!d->info.sent);
    }
}

void tls_dial(const char *host, unsigned timeout_ms)
{
    struct ad_endpoint to = { .port = 443 };
    (void)snprintf(to.host, sizeof(to.host), "%s", host);
    struct ad_dialer *dialer = ad_tls_client_dialer(f.client);
    f.dialed = 0;
    f.dial = (struct ad_dial){ .data = NULL };
    ck_assert_int_eq(dialer->start(dialer, f.w.loop, &f.dial, &to, timeout_ms, on_dial), AD_OK);
    ck_assert_uint_eq(f.dialed, 0);
}

static uint64_t server_handshakes(void)
{
    return tls_count("server", "full") + tls_count("server", "resumed");
}

static bool server_is_through(void *ctx)
{
    return server_handshakes() > *(uint64_t *)ctx || f.s.over || !f.s.s;
}

enum ad_err tls_connect(const char *host)
{
    tls_dial(host, 5000);
    uint64_t before = server_handshakes();
    world_until_count(&f.w, &f.dialed, 1);
    if (!f.err && !f.no_server) {
        world_until(&f.w, server_is_through, &before); /* in TLS 1.3 it is the later one */
    }
    return f.err;
}

static void on_said(struct ad_write *w, enum ad_err err)
{
    (void)w;
    (void)err;
}

static enum ad_err say(struct tls_end *from, const char *text)
{
    struct ad_str s = ad_str_c(text);
    size_t n = ad_stream_try_write(from->s, &s, 1);
    s = ad_str_n(s.p + n, s.n - n);
    return s.n ? ad_stream_write(from->s, &from->w, &s, 1, on_said) : AD_OK;
}

void tls_say(struct tls_end *from, const char *text)
{
    ck_assert_int_eq(say(from, text), AD_OK);
}

void tls_try_to_say(struct tls_end *from, const char *text)
{
    if (from->s) {
        AD_IGNORE(say(from, text), "the test sees what came of it");
    }
}

void tls_fail_from_pair(size_t n, size_t times)
{
    f.fails = true;
    f.fail_at = n;
    f.fail_times = times;
}

struct expected {
    struct tls_end *at;
    const char *text;
};

static bool has_text(void *ctx)
{
    const struct expected *e = ctx;
    return ad_str_eq(ad_buf_str(&e->at->got), ad_str_c(e->text));
}

void tls_until_got(struct tls_end *at, const char *text)
{
    world_until(&f.w, has_text, &(struct expected){ at, text });
    ad_buf_clear(&at->got);
}

uint64_t tls_count(const char *side, const char *outcome)
{
    char labels[64];
    (void)snprintf(labels, sizeof(labels), "side=\"%s\",outcome=\"%s\"", side, outcome);
    return ad_metric_counter(f.metrics, "attiod_tls_handshakes_total", labels, "")->v;
}
