#include "base/mem.h"

#include "loop/uv_private.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>

_Static_assert(sizeof(uv_write_t) <= sizeof(((struct ad_write *)0)->impl),
               "a write fits its request");
_Static_assert(sizeof(uv_shutdown_t) <= sizeof(((struct ad_write *)0)->impl),
               "a shutdown fits its request");
_Static_assert(sizeof(struct ad__tcp) < 400, "an idle connection stays small");

enum {
    SLICES_MAX = AD_LEN(((struct ad_write *)0)->bufs),
    /* Without it the kernel takes up to 4 MiB for a peer that does not read, with it about 100 KiB. */
    UNSENT_MAX = 16 << 10,
};

static struct ad__tcp *of_stream(struct ad_stream *s)
{
    return ad_container_of(s, struct ad__tcp, stream);
}

static uv_stream_t *uv_of(struct ad_stream *s)
{
    return (uv_stream_t *)&of_stream(s)->uv;
}

static unsigned to_uv(const struct ad_str *in, unsigned n, uv_buf_t out[SLICES_MAX])
{
    for (unsigned i = 0; i < n; i++) {
        out[i] = uv_buf_init((char *)(uintptr_t)in[i].p, (unsigned)in[i].n);
    }
    return n;
}

/* --- reading --- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    (void)suggested;
    *out = ad__loop_input(uv_handle_get_loop(handle));
}

static void on_read(uv_stream_t *uv, ssize_t n, const uv_buf_t *buf)
{
    struct ad__tcp *tcp = ad_container_of(uv, struct ad__tcp, uv);
    if (n == 0) {
        return; /* nothing there after all */
    }
    if (n > 0) {
        tcp->stream.on_read(&tcp->stream, AD_OK, buf->base, (size_t)n);
        return;
    }
    uv_read_stop(uv);
    tcp->ended = true;
    tcp->stream.on_read(&tcp->stream, n == UV_EOF ? AD_ERR_CLOSED : AD_ERR_NETWORK, NULL, 0);
}

static enum ad_err tcp_read_start(struct ad_stream *s)
{
    if (of_stream(s)->ended) {
        return AD_ERR_CLOSED;
    }
    int status = uv_read_start(uv_of(s), on_alloc, on_read);
    return status == UV_EALREADY ? AD_OK : ad__uv_err(status);
}

static void tcp_read_stop(struct ad_stream *s)
{
    uv_read_stop(uv_of(s));
}

/* --- writing --- */

static size_t tcp_try_write(struct ad_stream *s, const struct ad_str *in, unsigned n)
{
    uv_buf_t bufs[SLICES_MAX];
    int done = uv_try_write(uv_of(s), bufs, to_uv(in, n, bufs));
    return done > 0 ? (size_t)done : 0;
}

static void end_write(struct ad_write *w, int status)
{
    enum ad_err err = ad__uv_err(status);
    w->cb(w, err == AD_ERR_CLOSED ? AD_ERR_NETWORK : err);
}

static void on_write(uv_write_t *req, int status)
{
    end_write(ad_container_of(req, struct ad_write, impl), status);
}

static void on_shutdown(uv_shutdown_t *req, int status)
{
    end_write(ad_container_of(req, struct ad_write, impl), status);
}

/* libuv keeps up to four slices inside the request, so this allocates nothing. */
static enum ad_err tcp_write(struct ad_stream *s, struct ad_write *w)
{
    uv_buf_t bufs[SLICES_MAX] = { uv_buf_init(NULL, 0) };
    unsigned n = to_uv(w->bufs, w->n, bufs);
    return ad__uv_err(uv_write((uv_write_t *)&w->impl, uv_of(s), bufs, n ? n : 1, on_write));
}

static enum ad_err tcp_shutdown(struct ad_stream *s, struct ad_write *w)
{
    return ad__uv_err(uv_shutdown((uv_shutdown_t *)&w->impl, uv_of(s), on_shutdown));
}

/* --- the rest --- */

static void on_close(uv_handle_t *handle)
{
    struct ad__tcp *tcp = ad_container_of((uv_tcp_t *)handle, struct ad__tcp, uv);
    if (tcp->stream.on_closed) {
        tcp->stream.on_closed(&tcp->stream);
    }
    ad_free(tcp);
}

static void tcp_close(struct ad_stream *s)
{
    /* A reset is refused while a shutdown is under way: then it stays an orderly end. */
    if (!s->abrupt || uv_tcp_close_reset(&of_stream(s)->uv, on_close)) {
        uv_close((uv_handle_t *)&of_stream(s)->uv, on_close);
    }
}

static size_t tcp_peer(struct ad_stream *s, char *out, size_t cap)
{
    struct sockaddr_storage sa = { 0 };
    int len = sizeof(sa);
    if (s->closing || uv_tcp_getpeername(&of_stream(s)->uv, (struct sockaddr *)&sa, &len)) {
        sa.ss_family = AF_UNSPEC;
    }
    return ad__address_text((struct sockaddr *)&sa, out, cap);
}

static const struct ad_stream_ops tcp_ops = {
    .read_start = tcp_read_start,
    .read_stop = tcp_read_stop,
    .try_write = tcp_try_write,
    .write = tcp_write,
    .shutdown = tcp_shutdown,
    .close = tcp_close,
    .peer = tcp_peer,
};

struct ad__tcp *ad__tcp_new(struct ad_loop *loop)
{
    struct ad__tcp *tcp = ad_zalloc(sizeof(*tcp));
    if (!tcp) {
        return NULL;
    }
    if (uv_tcp_init(ad__loop_uv(loop), &tcp->uv)) {
        ad_free(tcp);
        return NULL;
    }
    ad__label(&tcp->uv, "connection");
    tcp->stream.ops = &tcp_ops;
    return tcp;
}

/* Small replies wait for nothing, and little waits in the kernel. A socket that refuses an option
 * works all the same. */
void ad__tcp_connected(struct ad__tcp *tcp)
{
    int unsent = UNSENT_MAX;
    uv_os_fd_t fd;
    uv_tcp_nodelay(&tcp->uv, 1);
    if (uv_fileno((uv_handle_t *)&tcp->uv, &fd) == 0) {
        AD_IGNORE(setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent)),
                  "see above");
    }
}

/* --- addresses as text --- */

static bool is_v4_mapped(const struct sockaddr *sa)
{
    return sa->sa_family == AF_INET6 &&
           IN6_IS_ADDR_V4MAPPED(&((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr);
}

static struct sockaddr_in unmapped(const struct sockaddr *sa)
{
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)sa;
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = in6->sin6_port };
    memcpy(&in.sin_addr, in6->sin6_addr.s6_addr + 12, 4);
    return in;
}

static int text_v4(const struct sockaddr_in *in, char *out, size_t cap)
{
    char host[INET_ADDRSTRLEN] = "";
    uv_ip4_name(in, host, sizeof(host));
    return snprintf(out, cap, "%s:%u", host, ntohs(in->sin_port));
}

static int text_v6(const struct sockaddr_in6 *in6, char *out, size_t cap)
{
    char host[INET6_ADDRSTRLEN] = "";
    uv_ip6_name(in6, host, sizeof(host));
    return snprintf(out, cap, "[%s]:%u", host, ntohs(in6->sin6_port));
}

size_t ad__address_text(const struct sockaddr *sa, char *out, size_t cap)
{
    int n = 0;
    if (is_v4_mapped(sa)) {
        struct sockaddr_in in = unmapped(sa);
        n = text_v4(&in, out, cap);
    } else if (sa->sa_family == AF_INET) {
        n = text_v4((const struct sockaddr_in *)(const void *)sa, out, cap);
    } else if (sa->sa_family == AF_INET6) {
        n = text_v6((const struct sockaddr_in6 *)(const void *)sa, out, cap);
    } else {
        n = snprintf(out, cap, "unknown");
    }
    size_t len = n > 0 ? (size_t)n : 0;
    return len < cap ? len : cap - 1;
}
