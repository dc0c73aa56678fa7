/* HTTP/1.1 server: accepts, parses strictly, finds the route, collects the body within its
 * limit, runs the handler, writes the reply.
 *
 * Strict: what could be read in two ways is refused and the connection closed, never repaired.
 *
 *   400  two lengths, length with a coding, a coding other than one "chunked", a coding in HTTP/1.0, a
 *        bad chunk, folded fields, a blank before the colon, NUL, bare CR or LF, no Host (but in 1.0),
 *        several, or one with blanks, userinfo or a list; CONNECT; a target that is not ours (below)
 *   404  no route   405  with Allow   408  head or body too slow   413  body above the route's limit
 *   414  target too long   417  an expectation other than 100-continue   431  head too large
 *   501  unknown method   505  a well-formed other version   500  no reply in time
 *   503  with Retry-After: past the cap of connections, or no memory
 *
 * Targets are paths. "http://host/path" is taken too, as RFC 9112 section 3.2.2 asks, when its
 * host is that of the Host field; "*" for OPTIONS only. One empty line before a request is
 * skipped. Trailers (but Content-Length: 400) and chunk extensions are dropped, Upgrade is ignored.
 *
 * 404, 405 and what `admit` answers keep the connection when there is no body or a small one
 * with a length, which is read and dropped. All other refusals close: our direction ends first
 * and what the peer still sends is dropped for a while, so that it sees the answer. Replies of
 * the server's own have no body, unless `explain` gives them one.
 *
 * One exchange per connection at a time: bytes of pipelined requests wait, at most what one read
 * brings, and reading stops. A connection without a request costs no parser, no buffer and no
 * arena.
 *
 * When the peer ends its direction while a handler owes the reply, the handler is told
 * (on_peer_gone) and its reply is still sent: such a peer may be waiting for it. After a reset,
 * at the reply deadline and when the server is closed the handler is told too, and its reply is
 * dropped. */
#ifndef AD_INFRA_HTTP_SERVER_H
#define AD_INFRA_HTTP_SERVER_H

#include "base/clock.h"
#include "base/http.h"
#include "base/metric.h"
#include "base/registry.h"
#include "infra/net.h"

struct ad_tls_server;

struct ad_http_limits {
    size_t target_max;      /* 8192 bytes; 414 */
    size_t headers_max;     /* 32768 bytes of header section; 431 */
    unsigned headers_n_max; /* 100 fields; 431 */
    unsigned header_ms;     /* 7500: whole header section since its first byte; 408 */
    unsigned body_ms;       /* 7500: whole body since the headers; 408 */
    unsigned keep_alive_ms; /* 75000 idle between requests */
    unsigned write_ms;      /* 5000: a peer that takes less than 64 KiB of replies in it is reset */
    unsigned reply_ms;      /* 30000: a handler that has not replied: late_status and a counter */
    unsigned late_status;   /* 500; 503 (with Retry-After) where the sender had better try again */
    unsigned connections_max; /* 20000 */
    size_t arena_max;         /* per exchange, 4 MiB */
};
/* The values above. */
extern const struct ad_http_limits ad_http_limits_default;

struct ad_http_server; /* opaque */

/* Metrics, each with listener="<name>":
 *   attiod_http_requests_total{code="2xx".."5xx"}   replies made
 *   attiod_http_refused_total{reason}               refused or lost before a handler saw them
 *   attiod_http_exchange_timeouts_total             handlers that did not reply in time
 *   attiod_http_connections                         open now */

struct ad_http_server_opts {
    const char *name;                   /* "public": in logs and metrics */
    const struct ad_registry *registry; /* sealed */
    struct ad_http_limits limits;
    struct ad_metrics *metrics;
    struct ad_tls_server *tls; /* accepted connections speak TLS (infra/tls.h); NULL: plain */
    /* Asked before the body is read: false when it replied itself or will (401, 403, wrong
     * Host). May be NULL. x->body is not there yet. */
    bool (*admit)(void *ctx, const struct ad_route *route, struct ad_exchange *x);
    /* May give a refusal of the server's own a content type and a body, on x->arena or static; of
     * `x` only path, method and headers are there, and of these only what was read by then. Must
     * not answer. May be NULL. */
    void (*explain)(void *ctx, struct ad_exchange *x, struct ad_reply *reply);
    void *admit_ctx; /* of both */
};

AD_MUST_CHECK enum ad_err ad_http_server_open(struct ad_loop *loop,
                                              const struct ad_http_server_opts *opts,
                                              struct ad_http_server **out);
/* Listens and logs `listening {name, address}`; the bound address into out (may be NULL). Up to
 * four addresses, before drain and close. */
AD_MUST_CHECK enum ad_err ad_http_server_listen(struct ad_http_server *s,
                                                const struct ad_endpoint *at, char *out, size_t cap,
                                                struct ad_errinfo *info);
/* Takes over a connected stream as it is (in-memory pairs in tests); closes it while draining. */
void ad_http_server_adopt(struct ad_http_server *s, struct ad_stream *stream);
/* Stops listening, closes idle connections, answers requests that have begun with Connection:
 * close. done comes, once and later, when no connection and no exchange is left, or after
 * deadline_ms, when the rest is cut. Once only; not if ad_http_server_close comes first. */
void ad_http_server_drain(struct ad_http_server *s, unsigned deadline_ms, void (*done)(void *ctx),
                          void *ctx);
/* Cuts everything. done (may be NULL) comes later, after the last handle and the last owed
 * reply; the server is freed by then. May be called from a handler. A second call does nothing. */
void ad_http_server_close(struct ad_http_server *s, void (*done)(void *ctx), void *ctx);
size_t ad_http_server_connections(const struct ad_http_server *s);

#endif
