#include "base/log.h"
#include "base/mem.h"

#include "loop/uv_private.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/* Accepting, and what may go wrong with it:
 *
 * - paused, or no memory for a connection: it is not accepted from libuv, which then stops polling the socket with one
 *   connection in hand (`held`); accepting that one starts it again. Without memory that is tried again
 *   after RETRY_MS.
 * - no descriptor left (EMFILE): libuv keeps a spare one for listeners, gives it up, accepts and closes what waits,
 *   and takes it back. Only when another thread snatched the descriptor in between does the error come
 *   here; there is nothing to do but say so, at most once a second. */

enum {
    RETRY_MS = 50,
    COMPLAIN_MS = 1000,
};

struct ad_listener {
    uv_tcp_t uv;
    struct ad_loop *loop;
    ad_accept_cb on_accept;
    void *ctx;
    struct ad_post resume;
    struct ad_timer retry;
    uint64_t complain_ms; /* not before */
    bool paused, held;
};

static void on_closed(uv_handle_t *handle)
{
    ad_free(ad_container_of((uv_tcp_t *)handle, struct ad_listener, uv));
}

static void on_retry(struct ad_timer *timer);

/* Takes the one connection libuv holds. */
static void accept_held(struct ad_listener *l)
{
    struct ad__tcp *tcp = ad__tcp_new(l->loop);
    if (!tcp) {
        ad_timer_start(ad_loop_timers(l->loop), &l->retry, RETRY_MS, on_retry);
        return;
    }
    l->held = false;
    if (uv_accept((uv_stream_t *)&l->uv, (uv_stream_t *)&tcp->uv)) {
        ad_stream_close(&tcp->stream, NULL);
        return;
    }
    ad__tcp_connected(tcp);
    l->on_accept(l->ctx, &tcp->stream);
}

static void accept_unless_paused(struct ad_listener *l)
{
    if (l->held && !l->paused) {
        accept_held(l);
    }
}

static void on_retry(struct ad_timer *timer)
{
    accept_unless_paused(ad_container_of(timer, struct ad_listener, retry));
}

static void on_resume(struct ad_post *post)
{
    accept_unless_paused(ad_container_of(post, struct ad_listener, resume));
}

static void complain(struct ad_listener *l, int status)
{
    uint64_t now = ad_mono_ms(ad_loop_clock(l->loop));
    if (now >= l->complain_ms) {
        l->complain_ms = now + COMPLAIN_MS;
        ad_log(AD_LOG_WARN, "accept_failed", AD_KC("reason", uv_err_name(status)));
    }
}

static void on_connection(uv_stream_t *server, int status)
{
    struct ad_listener *l = ad_container_of((uv_tcp_t *)server, struct ad_listener, uv);
    if (uv_is_closing((uv_handle_t *)server)) {
        return;
    }
    if (status < 0) {
        complain(l, status);
        return;
    }
    l->held = true;
    accept_unless_paused(l);
}

/* --- opening --- */

static int bind_listen(struct ad_listener *l, const struct sockaddr *sa, int backlog)
{
    int status = uv_tcp_bind(&l->uv, sa, 0);
    return status ? status : uv_listen((uv_stream_t *)&l->uv, backlog, on_connection);
}

/* A name: only at start-up, so waiting for the resolver is allowed. */
static int lookup(struct ad_listener *l, const struct ad_endpoint *at, struct sockaddr_storage *out)
{
    char port[8];
    (void)snprintf(port, sizeof(port), "%u", at->port);
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
    uv_getaddrinfo_t req;
    int status = uv_getaddrinfo(ad__loop_uv(l->loop), &req, NULL, at->host, port, &hints);
    if (status == 0) {
        memcpy(out, req.addrinfo->ai_addr, req.addrinfo->ai_addrlen);
        uv_freeaddrinfo(req.addrinfo);
    }
    return status;
}

static int listen_on(struct ad_listener *l, const struct ad_endpoint *at, int backlog)
{
    struct sockaddr_storage sa = { 0 };
    if (!ad__literal_address(at, &sa)) {
        int status = lookup(l, at, &sa);
        if (status) {
            return status;
        }
    }
    return bind_listen(l, (struct sockaddr *)&sa, backlog);
}

/* Both families on one socket; a kernel without IPv6 gets IPv4. */
static int listen_on_all(struct ad_listener *l, const struct ad_endpoint *at, int backlog)
{
    struct sockaddr_in6 any6;
    struct sockaddr_in any4;
    uv_ip6_addr("::", (int)at->port, &any6);
    uv_ip4_addr("0.0.0.0", (int)at->port, &any4);
    int status = bind_listen(l, (struct sockaddr *)&any6, backlog);
    if (status == UV_EAFNOSUPPORT || status == UV_EADDRNOTAVAIL) {
        status = bind_listen(l, (struct sockaddr *)&any4, backlog);
    }
    return status;
}

static enum ad_err fail_listen(struct ad_errinfo *info, int status, const struct ad_endpoint *at)
{
    bool v6 = strchr(at->host, ':');
    char what[sizeof(at->host) + 32];
    (void)snprintf(what, sizeof(what), "listen on %s%s%s:%u", v6 ? "[" : "", at->host,
                   v6 ? "]" : "", at->port);
    return ad__uv_fail(info, status, what);
}

enum ad_err ad_listen(struct ad_loop *loop, const struct ad_endpoint *at, int backlog,
                      ad_accept_cb on_accept, void *ctx, struct ad_listener **out,
                      struct ad_errinfo *info)
{
    struct ad_listener *l = ad_zalloc(sizeof(*l));
    if (!l) {
        return ad_fail(info, AD_ERR_NOMEM, "listen: out of memory");
    }
    l->loop = loop;
    l->on_accept = on_accept;
    l->ctx = ctx;
    int status = uv_tcp_init(ad__loop_uv(loop), &l->uv);
    if (status) {
        ad_free(l);
        return fail_listen(info, status, at);
    }
    ad__label(&l->uv, "listener");
    status = at->host[0] ? listen_on(l, at, backlog) : listen_on_all(l, at, backlog);
    if (status) {
        uv_close((uv_handle_t *)&l->uv, on_closed);
        return fail_listen(info, status, at);
    }
    *out = l;
    return AD_OK;
}

/* --- the rest --- */

void ad_listener_address(const struct ad_listener *l, char *out, size_t cap)
{
    struct sockaddr_storage sa = { 0 };
    int len = sizeof(sa);
    uv_tcp_getsockname(&l->uv, (struct sockaddr *)&sa, &len);
    ad__address_text((struct sockaddr *)&sa, out, cap);
}

void ad_listener_pause(struct ad_listener *l, bool paused)
{
    l->paused = paused;
    if (l->held && !paused && !l->resume.cb) {
        ad_loop_post(l->loop, &l->resume, on_resume);
    }
}

void ad_listener_close(struct ad_listener *l)
{
    ad_loop_unpost(&l->resume);
    ad_timer_stop(ad_loop_timers(l->loop), &l->retry);
    uv_close((uv_handle_t *)&l->uv, on_closed);
}
