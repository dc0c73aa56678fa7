#include "tls/tls_private.h"

#include "base/mem.h"
#include "infra/crypto.h"

#include <string.h>

/* A dial: the lower one, then the handshake, in the time that is left of one deadline.
 *
 *   the lower dial fails, is late, is cancelled     its error
 *   the handshake fails or is late                  its error; the connection is closed
 *   cancelled in the handshake                      CANCELED on a later turn; closed */

enum {
    ORIGINS = 8,
    SESSION_MS = 3600 * 1000, /* then the certificate is looked at again */
};

struct origin {
    struct ad_endpoint at;
    mbedtls_ssl_session session;
    uint64_t since_ms; /* of the certificate that was looked at */
    bool known, has_session;
};

struct ad_tls_client {
    struct ad__tls_side side;
    struct ad_dialer dialer; /* ours, for others */
    struct ad_dialer *below;
    struct ad__tls_conf *conf;
    bool pinned; /* conf->certs is the one to be shown, not authorities */
    struct origin origins[ORIGINS];
};

struct tls_dial {
    struct ad_tls_client *client;
    struct ad_loop *loop;
    struct ad_dial *dial; /* the caller's */
    struct ad_dial below;
    struct ad__tls *t; /* NULL until there is a connection */
    struct origin *origin;
    struct ad__tls_peer peer;
    struct ad_post post;
    uint64_t end_ms;
};

static uint64_t now_ms(const struct ad_tls_client *c)
{
    return ad_mono_ms(ad_loop_clock(c->side.loop));
}

/* --- sessions --- */

static bool is_same(const struct ad_endpoint *a, const struct ad_endpoint *b)
{
    return a->port == b->port && ad_str_eq_nocase(ad_str_c(a->host), ad_str_c(b->host));
}

/* NULL when all places are taken: then every handshake there is a full one. */
static struct origin *origin_of(struct ad_tls_client *c, const struct ad_endpoint *at)
{
    for (size_t i = 0; i < ORIGINS; i++) {
        struct origin *o = &c->origins[i];
        if (!o->known) {
            o->known = true;
            o->at = *at;
            return o;
        }
        if (is_same(&o->at, at)) {
            return o;
        }
    }
    return NULL;
}

static void forget(struct origin *o)
{
    if (o->has_session) {
        mbedtls_ssl_session_free(&o->session); /* which wipes */
        o->has_session = false;
    }
}

static void offer_session(struct tls_dial *d)
{
    struct origin *o = d->origin;
    if (!o || !o->has_session) {
        return;
    }
    bool old = now_ms(d->client) - o->since_ms >= SESSION_MS;
    if (old || mbedtls_ssl_set_session(&d->t->ssl, &o->session)) {
        forget(o);
    }
}

/* TLS 1.2 has a session once the handshake is over; with 1.3 tickets come later, if ever. */
static bool has_session(const struct ad__tls *t)
{
#if AD__MBEDTLS_3
    return mbedtls_ssl_get_version_number(&t->ssl) == MBEDTLS_SSL_VERSION_TLS1_2 || !t->peer;
#else
    (void)t;
    return true;
#endif
}

static void on_session(struct ad__tls *t)
{
    struct ad_tls_client *c = ad_container_of(t->side, struct ad_tls_client, side);
    struct origin *o = t->session_ctx;
    if (!o || !has_session(t)) {
        return;
    }
    if (!t->resumed) {
        o->since_ms = now_ms(c);
    }
    forget(o);
    mbedtls_ssl_session_init(&o->session);
    o->has_session = mbedtls_ssl_get_session(&t->ssl, &o->session) == 0;
    if (!o->has_session) {
        mbedtls_ssl_session_free(&o->session);
    }
}

/* --- a dial --- */

static void report(struct tls_dial *d, enum ad_err err, struct ad_stream *s)
{
    struct ad_dial *dial = d->dial;
    ad_free(d);
    dial->impl = NULL;
    dial->cb(dial, err, s);
}

static void drop_connection(struct tls_dial *d)
{
    d->t->on_ready = NULL;
    d->t->peer = NULL;
    ad_stream_close(&d->t->stream, NULL);
    d->t = NULL;
}

static void on_ready(struct ad__tls *t, enum ad_err err)
{
    struct tls_dial *d = t->ready_ctx;
    if (err) {
        d->dial->info = d->peer.info;
        d->dial->info.code = err;
        if (d->origin) {
            forget(d->origin); /* whatever it was, the next try begins from nothing */
        }
        drop_connection(d);
        report(d, err, NULL);
        return;
    }
    t->peer = NULL;
    report(d, AD_OK, &t->stream);
}

static enum ad_err prepare(struct tls_dial *d)
{
    struct ad__tls *t = d->t;
    enum ad_err err = ad__tls_setup(t);
    if (err) {
        return err;
    }
    t->peer = &d->peer;
    t->on_ready = on_ready;
    t->ready_ctx = d;
    t->on_session = on_session;
    t->session_ctx = d->origin;
    mbedtls_ssl_set_verify(&t->ssl, ad__tls_on_certificate, &d->peer);
    /* An address is no name to ask for (RFC 6066), and is compared in tls_verify.c; pinned, any
     * name will do. */
    const char *name = d->peer.address_n || d->peer.pin ? NULL : d->peer.host;
    if (mbedtls_ssl_set_hostname(&t->ssl, name)) {
        return AD_ERR_NOMEM;
    }
    offer_session(d);
    return AD_OK;
}

static void on_connected(struct tls_dial *d, struct ad_stream *lower)
{
    uint64_t now = now_ms(d->client);
    unsigned left = d->end_ms > now ? (unsigned)(d->end_ms - now) : 0;
    enum ad_err err = ad__tls_new(&d->client->side, d->client->conf, lower, left, &d->t);
    if (err) {
        ad_stream_close(lower, NULL);
    } else {
        err = prepare(d);
        if (!err) {
            ad__tls_begin(d->t);
            return;
        }
        drop_connection(d);
    }
    ad_fail(&d->dial->info, err, "TLS with %s: %s", d->peer.host, ad_err_text(err));
    report(d, err, NULL);
}

static void on_below(struct ad_dial *below, enum ad_err err, struct ad_stream *lower)
{
    struct tls_dial *d = below->data;
    if (err) {
        d->dial->info = below->info;
        report(d, err, NULL);
        return;
    }
    on_connected(d, lower);
}

static enum ad_err start(struct ad_dialer *self, struct ad_loop *loop, struct ad_dial *dial,
                         const struct ad_endpoint *to, unsigned timeout_ms, ad_dial_cb cb)
{
    struct ad_tls_client *c = ad_container_of(self, struct ad_tls_client, dialer);
    struct tls_dial *d = ad_zalloc(sizeof(*d));
    if (!d) {
        return AD_ERR_NOMEM;
    }
    d->client = c;
    d->loop = loop;
    d->dial = dial;
    d->below.data = d;
    d->below.last = dial->last;
    d->end_ms = now_ms(c) + timeout_ms;
    d->origin = origin_of(c, to);
    ad__tls_peer_init(&d->peer, to->host, c->pinned ? &c->conf->certs : NULL);
    enum ad_err err = c->below->start(c->below, loop, &d->below, to, timeout_ms, on_below);
    if (err) {
        ad_free(d);
        return err;
    }
    dial->info = (struct ad_errinfo){ .code = AD_OK };
    dial->cb = cb;
    dial->impl = d;
    return AD_OK;
}

static void on_canceled(struct ad_post *post)
{
    struct tls_dial *d = ad_container_of(post, struct tls_dial, post);
    ad_fail(&d->dial->info, AD_ERR_CANCELED, "TLS handshake with %s: canceled", d->peer.host);
    report(d, AD_ERR_CANCELED, NULL);
}

static void cancel(struct ad_dialer *self, struct ad_dial *dial)
{
    struct ad_tls_client *c = ad_container_of(self, struct ad_tls_client, dialer);
    struct tls_dial *d = dial->impl;
    if (!d || d->post.cb) {
        return;
    }
    if (!d->t) {
        c->below->cancel(c->below, &d->below);
        return;
    }
    drop_connection(d);
    ad_loop_post(d->loop, &d->post, on_canceled);
}

/* --- opening and closing --- */

static const char *trust_file(const struct ad_tls_client_opts *opts)
{
    return opts->pin_file     ? opts->pin_file
           : opts->trust_file ? opts->trust_file
                              : AD_TLS_TRUST_FILE;
}

enum ad_err ad_tls_client_open(struct ad_loop *loop, const struct ad_tls_client_opts *opts,
                               struct ad_tls_client **out, struct ad_errinfo *info)
{
    struct ad_tls_client *c = ad_zalloc(sizeof(*c));
    if (!c || ad__tls_conf_new(MBEDTLS_SSL_IS_CLIENT, &c->conf)) {
        ad_free(c);
        return ad_fail(info, AD_ERR_NOMEM, "TLS: no memory");
    }
    ad__tls_side_init(&c->side, loop, "client", opts->metrics);
    c->pinned = opts->pin_file != NULL;
    c->dialer = (struct ad_dialer){ start, cancel };
    c->below = opts->below ? opts->below : &ad_dialer_tcp;
    enum ad_err err = ad__tls_read_certs(&c->conf->certs, trust_file(opts), info);
    if (err) {
        ad_tls_client_close(c);
        return err;
    }
    mbedtls_ssl_conf_authmode(&c->conf->ssl, MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_ca_chain(&c->conf->ssl, &c->conf->certs, NULL);
#if AD__MBEDTLS_3
    mbedtls_ssl_conf_tls13_enable_signal_new_session_tickets(
        &c->conf->ssl, MBEDTLS_SSL_TLS1_3_SIGNAL_NEW_SESSION_TICKETS_ENABLED);
#endif
    *out = c;
    return AD_OK;
}

void ad_tls_client_close(struct ad_tls_client *c)
{
    if (!c) {
        return;
    }
    for (size_t i = 0; i < ORIGINS; i++) {
        forget(&c->origins[i]);
    }
    ad__tls_conf_unref(c->conf);
    ad_free(c);
}

struct ad_dialer *ad_tls_client_dialer(struct ad_tls_client *c)
{
    return &c->dialer;
}

enum ad_err ad_tls_check_trust(const char *trust_file, struct ad_errinfo *info)
{
    mbedtls_x509_crt certs;
    mbedtls_x509_crt_init(&certs);
    enum ad_err err = ad__tls_read_certs(&certs, trust_file, info);
    mbedtls_x509_crt_free(&certs);
    return err;
}
