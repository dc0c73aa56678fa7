/* HTTP/1.1 client for one origin, with a keep-alive pool. One try per request: retry policy
 * belongs to the caller, who is told whether the request was sent.
 *
 * Strict about responses: conflicting lengths, unknown codings, bad chunks, garbage, a body over
 * the cap, an answer longer than its length or an end before it fail the request with PROTOCOL
 * or TOOLARGE and close the connection. A pooled connection that the peer closed before the
 * first response byte of a reused connection is reported with reused = true, so that the caller
 * may try idempotent calls again at once. */
#ifndef AD_INFRA_HTTP_CLIENT_H
#define AD_INFRA_HTTP_CLIENT_H

#include "base/arena.h"
#include "base/http.h"
#include "base/metric.h"
#include "infra/net.h"

struct ad_http_client; /* opaque */

/* A zero means the value named. */
struct ad_http_client_opts {
    struct ad_endpoint origin;
    const char *host_header;  /* value of Host; NULL: from origin */
    unsigned connections_max; /* 16; more requests wait in line */
    unsigned idle_ms;         /* 30000: an idle pooled connection is closed */
    unsigned connect_ms;      /* 5000 */
    size_t response_max;      /* bytes of one response body, 16 MiB */
    size_t headers_max;       /* 64 KiB */
    struct ad_dialer *dialer; /* NULL: TCP */
};

struct ad_http_call;
typedef void (*ad_http_call_cb)(struct ad_http_call *c);

/* Caller-owned from start to callback, and zeroed before its first start. */
struct ad_http_call {
    /* set by the caller; slices live until the callback */
    const char *method;
    struct ad_str path; /* with the query */
    const struct ad_http_header
        *headers; /* Host, Content-Length and Connection are added, and refused here */
    size_t headers_n;
    struct ad_str body;      /* absent: no body */
    unsigned timeout_ms;     /* whole call, waiting for a connection included */
    struct ad_arena *arena;  /* the client's own state and the response headers go here */
    struct ad_buf *response; /* the body goes here; its own max also bounds it. NULL: dropped */
    ad_http_call_cb cb;
    void *data;
    /* result */
    enum ad_err err; /* OK: a whole response of any status */
    struct ad_errinfo info;
    unsigned status;
    const struct ad_http_header *response_headers;
    size_t response_headers_n;
    bool sent;   /* at least one byte of the request went out */
    bool reused; /* the connection had served before and ended before one byte of response */
    /* private */
    struct ad_list link;
    void *impl;
};

AD_MUST_CHECK enum ad_err ad_http_client_open(struct ad_loop *loop,
                                              const struct ad_http_client_opts *opts,
                                              struct ad_http_client **out);
/* OK: cb comes exactly once, never from inside. INVALID: a method, path or header that is not
 * HTTP (line breaks, blanks, control characters) or is the client's to write. CLOSED after close
 * began. NOMEM. */
AD_MUST_CHECK enum ad_err ad_http_call_start(struct ad_http_client *c, struct ad_http_call *call);
/* The callback comes with CANCELED on a later turn. Harmless when not under way. */
void ad_http_call_cancel(struct ad_http_client *c, struct ad_http_call *call);
/* More go at once; fewer as those that are open end. */
void ad_http_client_set_connections_max(struct ad_http_client *c, unsigned max);
/* Cancels what is under way; done after the last callback and the last handle. Frees the client. */
void ad_http_client_close(struct ad_http_client *c, void (*done)(void *ctx), void *ctx);

#endif
