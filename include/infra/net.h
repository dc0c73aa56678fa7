/* TCP: listen, resolve, connect. What comes out are streams. */
#ifndef AD_INFRA_NET_H
#define AD_INFRA_NET_H

#include "base/err.h"
#include "infra/stream.h"

/* "127.0.0.1:8080", "[::1]:8080", ":8080" and "8080" (all addresses). Port 0 picks one. INVALID
 * otherwise. */
struct ad_endpoint {
    char host[256]; /* literal address or name; empty: all addresses */
    unsigned port;
};
AD_MUST_CHECK enum ad_err ad_endpoint_parse(struct ad_str s, struct ad_endpoint *out);
/* A literal loopback address (127/8, ::1) or the name localhost. */
bool ad_endpoint_is_loopback(const struct ad_endpoint *e);

struct ad_listener; /* opaque */

/* Each accepted stream is the callee's. EMFILE is survived with a spare descriptor: the
 * connection is accepted and closed, the listener goes on. */
typedef void (*ad_accept_cb)(void *ctx, struct ad_stream *s);

/* Listens at once (synchronously); NETWORK with address and errno text in info. */
AD_MUST_CHECK enum ad_err ad_listen(struct ad_loop *loop, const struct ad_endpoint *at, int backlog,
                                    ad_accept_cb on_accept, void *ctx, struct ad_listener **out,
                                    struct ad_errinfo *info);
/* The address really bound, "127.0.0.1:40217". */
void ad_listener_address(const struct ad_listener *l, char *out, size_t cap);
/* Pauses and resumes accepting (connection cap reached). */
void ad_listener_pause(struct ad_listener *l, bool paused);
/* Frees itself after its handle closed; no accept callback comes after this call. */
void ad_listener_close(struct ad_listener *l);

/* Where a name led when a connection was last made; zeroed at first. Caller-owned. */
struct ad_dial_last {
    _Alignas(8) unsigned char address[28]; /* as the system writes it */
    bool known;
};

/* Caller-owned request: resolve the name (getaddrinfo off the loop), then try each address in
 * turn. A resolver that fails, or has not answered after half of the time, is not waited for where
 * the last good address is known. */
struct ad_dial;
typedef void (*ad_dial_cb)(struct ad_dial *d, enum ad_err err, struct ad_stream *s);

struct ad_dial {
    /* set by the caller */
    struct ad_dial_last *last; /* read and written until the callback; may be NULL */
    /* result, also on failure */
    struct ad_errinfo info; /* DNS, NETWORK, TIMEOUT, CANCELED */
    uint64_t resolved_ms;   /* monotonic, when the name had its addresses; 0: not, or it was one */
    void *data;             /* the caller's */
    /* private */
    ad_dial_cb cb;
    void *impl;
};

/* OK: cb comes exactly once, later, also after cancel and when timeout_ms passes. */
AD_MUST_CHECK enum ad_err ad_dial_start(struct ad_loop *loop, struct ad_dial *d,
                                        const struct ad_endpoint *to, unsigned timeout_ms,
                                        ad_dial_cb cb);
/* The callback still comes, with CANCELED, on a later turn. Harmless after the callback. */
void ad_dial_cancel(struct ad_dial *d);

/* How connections are made, where there is a choice: ad_dial_start and ad_dial_cancel, the same
 * with TLS on top (infra/tls.h), a test without sockets. */
struct ad_dialer {
    enum ad_err (*start)(struct ad_dialer *self, struct ad_loop *loop, struct ad_dial *d,
                         const struct ad_endpoint *to, unsigned timeout_ms, ad_dial_cb cb);
    void (*cancel)(struct ad_dialer *self, struct ad_dial *d);
};
/* Plain TCP. */
extern struct ad_dialer ad_dialer_tcp;

#endif
