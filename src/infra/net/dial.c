#include "base/mem.h"

#include "loop/uv_private.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/* 1. A name goes to the resolver's threads; a literal address, or the last good one of a name that
 * is not resolved in time, is a list of one.
 * 2. Each address in turn gets a socket and its share of the time that is left, so that a first address that
 *    swallows everything does not use up the time of a second that works.
 * 3. The first connection made is handed over. If none is, the last failure is reported.
 *
 * The deadline and cancel report at once and leave what libuv has in hand (`pending`) to end by
 * itself: a name being resolved cannot be interrupted. Whoever comes last frees the object. */

struct dialing {
    struct ad_loop *loop;
    struct ad_dial *dial; /* NULL once reported */
    struct ad_endpoint to;
    uint64_t end_ms;
    struct ad_timer deadline, attempt;
    struct ad_post post; /* begins a literal address, or reports a cancel */
    uv_getaddrinfo_t resolve;
    struct addrinfo *resolved, *next;
    struct addrinfo literal;
    struct sockaddr_storage literal_address;
    uv_connect_t connect;
    struct ad__tcp *tcp;                                     /* being connected */
    char what[sizeof(((struct ad_endpoint *)0)->host) + 16]; /* "connect 127.0.0.1:80" */
    unsigned pending;                                        /* requests in libuv's hands */
    bool ended, resolving, attempt_timed_out;
};

/* --- ending --- */

static void maybe_free(struct dialing *d)
{
    if (d->dial || d->pending > 0) {
        return;
    }
    uv_freeaddrinfo(d->resolved);
    ad_free(d);
}

/* From here on the callbacks of libuv only count down. */
static void let_go(struct dialing *d)
{
    d->ended = true;
    ad_loop_unpost(&d->post);
    ad_timer_stop(ad_loop_timers(d->loop), &d->deadline);
    ad_timer_stop(ad_loop_timers(d->loop), &d->attempt);
    if (d->resolving) {
        uv_cancel((uv_req_t *)&d->resolve); /* works only while it waits for a thread */
    }
    if (d->tcp) {
        ad_stream_close(&d->tcp->stream, NULL);
        d->tcp = NULL;
    }
}

static void report(struct dialing *d, enum ad_err err, struct ad_stream *s)
{
    struct ad_dial *dial = d->dial;
    d->dial = NULL;
    dial->impl = NULL;
    if (!err) {
        dial->info = (struct ad_errinfo){ .code = AD_OK }; /* an earlier address may have failed */
    }
    maybe_free(d);
    dial->cb(dial, err, s);
}

static void fail(struct dialing *d, enum ad_err err)
{
    let_go(d);
    report(d, err, NULL);
}

static void on_deadline(struct ad_timer *timer)
{
    struct dialing *d = ad_container_of(timer, struct dialing, deadline);
    fail(d, ad_fail(&d->dial->info, AD_ERR_TIMEOUT, "%s: timed out", d->what));
}

/* --- the last good address --- */

_Static_assert(sizeof(struct sockaddr_in6) <= sizeof(((struct ad_dial_last *)0)->address) &&
                   sizeof(struct sockaddr_in) <= sizeof(((struct ad_dial_last *)0)->address),
               "an address of either family fits");

static void remember(struct dialing *d)
{
    struct ad_dial_last *last = d->dial->last;
    struct sockaddr_storage peer = { 0 };
    int len = sizeof(peer);
    if (last && d->resolved &&
        uv_tcp_getpeername(&d->tcp->uv, (struct sockaddr *)&peer, &len) == 0) {
        memcpy(last->address, &peer, sizeof(last->address));
        last->known = true;
    }
}

static bool has_last(const struct dialing *d)
{
    return d->dial->last && d->dial->last->known;
}

static void use_last(struct dialing *d)
{
    memcpy(&d->literal_address, d->dial->last->address, sizeof(d->dial->last->address));
    d->literal.ai_addr = (struct sockaddr *)&d->literal_address;
    d->next = &d->literal;
}

/* --- connecting --- */

static void on_connect(uv_connect_t *req, int status);

static void on_attempt_deadline(struct ad_timer *timer)
{
    struct dialing *d = ad_container_of(timer, struct dialing, attempt);
    d->attempt_timed_out = true;
    ad_stream_close(&d->tcp->stream, NULL); /* on_connect goes on */
}

static void start_attempt_deadline(struct dialing *d)
{
    uint64_t now = ad_mono_ms(ad_loop_clock(d->loop));
    uint64_t left = d->end_ms > now ? d->end_ms - now : 0;
    unsigned addresses = 1;
    for (const struct addrinfo *ai = d->next; ai; ai = ai->ai_next) {
        addresses++;
    }
    if (addresses > 1) {
        ad_timer_start(ad_loop_timers(d->loop), &d->attempt, left / addresses, on_attempt_deadline);
    }
}

static int try_address(struct dialing *d, const struct sockaddr *sa)
{
    char address[64];
    ad__address_text(sa, address, sizeof(address));
    (void)snprintf(d->what, sizeof(d->what), "connect %s", address);
    d->tcp = ad__tcp_new(d->loop);
    if (!d->tcp) {
        return UV_ENOMEM;
    }
    int status = uv_tcp_connect(&d->connect, &d->tcp->uv, sa, on_connect);
    if (status) {
        ad_stream_close(&d->tcp->stream, NULL);
        d->tcp = NULL;
        return status;
    }
    d->pending++;
    start_attempt_deadline(d);
    return 0;
}

static void connect_next(struct dialing *d)
{
    while (d->next) {
        const struct sockaddr *sa = d->next->ai_addr;
        d->next = d->next->ai_next;
        int status = try_address(d, sa);
        if (status == 0) {
            return;
        }
        ad__uv_fail(&d->dial->info, status, d->what);
    }
    fail(d, d->dial->info.code ? d->dial->info.code : AD_ERR_DNS);
}

static void on_attempt_failed(struct dialing *d, int status)
{
    if (d->attempt_timed_out) {
        d->attempt_timed_out = false;
        ad_fail(&d->dial->info, AD_ERR_TIMEOUT, "%s: timed out", d->what);
    } else {
        ad__uv_fail(&d->dial->info, status, d->what);
        ad_stream_close(&d->tcp->stream, NULL);
    }
    d->tcp = NULL;
    connect_next(d);
}

static void on_connect(uv_connect_t *req, int status)
{
    struct dialing *d = ad_container_of(req, struct dialing, connect);
    d->pending--;
    if (d->ended) {
        maybe_free(d);
        return;
    }
    ad_timer_stop(ad_loop_timers(d->loop), &d->attempt);
    if (status) {
        on_attempt_failed(d, status);
        return;
    }
    struct ad__tcp *tcp = d->tcp;
    remember(d);
    d->tcp = NULL;
    let_go(d);
    ad__tcp_connected(tcp);
    report(d, AD_OK, &tcp->stream);
}

/* --- resolving --- */

static void on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
    struct dialing *d = ad_container_of(req, struct dialing, resolve);
    bool waited_for = d->resolving;
    d->pending--;
    d->resolving = false;
    d->resolved = list;
    if (d->ended) {
        maybe_free(d);
        return;
    }
    if (!waited_for) {
        return; /* the last good address is being tried */
    }
    ad_timer_stop(ad_loop_timers(d->loop), &d->attempt);
    d->next = list;
    if (status && has_last(d)) {
        use_last(d);
    } else if (status) {
        ad__uv_fail(&d->dial->info, status, d->what);
        fail(d, d->dial->info.code);
        return;
    } else {
        d->dial->resolved_ms = ad_mono_ms(ad_loop_clock(d->loop));
    }
    connect_next(d);
}

static void on_resolver_late(struct ad_timer *timer)
{
    struct dialing *d = ad_container_of(timer, struct dialing, attempt);
    d->resolving = false;
    uv_cancel((uv_req_t *)&d->resolve); /* works only while it waits for a thread */
    use_last(d);
    connect_next(d);
}

static int resolve(struct dialing *d)
{
    char port[8];
    (void)snprintf(port, sizeof(port), "%u", d->to.port);
    (void)snprintf(d->what, sizeof(d->what), "resolve %s", d->to.host);
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
    uv_loop_t *uv = ad__loop_uv(d->loop);
    int status = uv_getaddrinfo(uv, &d->resolve, on_resolved, d->to.host, port, &hints);
    d->resolving = status == 0;
    d->pending += d->resolving ? 1 : 0;
    if (d->resolving && has_last(d)) {
        uint64_t left = d->end_ms - ad_mono_ms(ad_loop_clock(d->loop));
        ad_timer_start(ad_loop_timers(d->loop), &d->attempt, left / 2, on_resolver_late);
    }
    return status;
}

/* --- starting --- */

static void on_begin(struct ad_post *post)
{
    connect_next(ad_container_of(post, struct dialing, post));
}

static enum ad_err begin(struct dialing *d)
{
    if (!ad__literal_address(&d->to, &d->literal_address)) {
        return ad__uv_err(resolve(d));
    }
    d->literal.ai_addr = (struct sockaddr *)&d->literal_address;
    d->next = &d->literal;
    ad_loop_post(d->loop, &d->post, on_begin);
    return AD_OK;
}

enum ad_err ad_dial_start(struct ad_loop *loop, struct ad_dial *dial, const struct ad_endpoint *to,
                          unsigned timeout_ms, ad_dial_cb cb)
{
    struct dialing *d = ad_zalloc(sizeof(*d));
    if (!d) {
        return AD_ERR_NOMEM;
    }
    d->loop = loop;
    d->dial = dial;
    d->to = *to;
    (void)snprintf(d->what, sizeof(d->what), "connect %s", to->host);
    d->end_ms = ad_mono_ms(ad_loop_clock(loop)) + timeout_ms;
    enum ad_err err = begin(d);
    if (err) {
        ad_free(d);
        return err;
    }
    ad_timer_start(ad_loop_timers(loop), &d->deadline, timeout_ms, on_deadline);
    dial->info = (struct ad_errinfo){ .code = AD_OK };
    dial->resolved_ms = 0;
    dial->cb = cb;
    dial->impl = d;
    return AD_OK;
}

static void on_canceled(struct ad_post *post)
{
    struct dialing *d = ad_container_of(post, struct dialing, post);
    report(d, ad_fail(&d->dial->info, AD_ERR_CANCELED, "%s: canceled", d->what), NULL);
}

void ad_dial_cancel(struct ad_dial *dial)
{
    struct dialing *d = dial->impl;
    if (d && !d->ended) {
        let_go(d);
        ad_loop_post(d->loop, &d->post, on_canceled);
    }
}

/* --- as one choice of several --- */

static enum ad_err tcp_start(struct ad_dialer *self, struct ad_loop *loop, struct ad_dial *d,
                             const struct ad_endpoint *to, unsigned timeout_ms, ad_dial_cb cb)
{
    (void)self;
    return ad_dial_start(loop, d, to, timeout_ms, cb);
}

static void tcp_cancel(struct ad_dialer *self, struct ad_dial *d)
{
    (void)self;
    ad_dial_cancel(d);
}

struct ad_dialer ad_dialer_tcp = { tcp_start, tcp_cancel };
