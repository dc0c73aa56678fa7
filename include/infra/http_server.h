/* HTTP/1.1 server: accepts, parses strictly, finds the route, collects the body within its limit, runs the handler, writes the reply.
 *
 * Strict: any ambiguity of framing is 400 and close: two lengths, length with chunked, bad chunk, a coding other than chunked, chunked in 1.0, obsolete
 * folding, space before the colon, NUL, bare CR or LF, no Host or several, bad Host, absolute and authority forms, another HTTP version (505 for
 * a well-formed other version). 431 headers too large or too many, 414 target too long, 413 body over the route's limit (before the body is read, also for
 * Expect), 417 another expectation, 408 too slow, 404, 405 with Allow, 503 with Retry-After over the connection cap.
 *
 * One exchange per connection at a time: parsing pauses for pipelined requests. A connection without a request costs no parser, no buffer and no arena. */
#ifndef AD_INFRA_HTTP_SERVER_H
#define AD_INFRA_HTTP_SERVER_H

#include "base/clock.h"
#include "base/http.h"
#include "base/metric.h"
#include "base/registry.h"
#include "infra/net.h"

struct ad_http_limits {
    size_t target_max;        /* 8192 bytes; 414 */
    size_t headers_max;       /* 32768 bytes of header section; 431 */
    unsigned headers_n_max;   /* 100 fields; 431 */
    unsigned header_ms;       /* 10000: whole header section since its first byte; 408 */
    unsigned body_ms;         /* 10000: whole body since the headers; 408 */
    unsigned keep_alive_ms;   /* 75000 idle between requests */
    unsigned write_ms;        /* 10000: a peer that does not read the reply is dropped */
    unsigned reply_ms;        /* 30000: a handler that has not replied: 500 and a counter */
    unsigned connections_max; /* 20000 */
    size_t arena_max;         /* per exchange, 4 MiB */
};
/* The values above. */
extern const struct ad_http_limits ad_http_limits_default;

struct ad_http_server; /* opaque */

struct ad_http_server_opts {
    const char *name; /* "public": in logs and metrics */
    const struct ad_registry *registry; /* sealed */
    struct ad_http_limits limits;
    struct ad_metrics *metrics;
    /* Asked before a handler runs (and before the body is read): return false after having replied (401, 403, wrong Host). May be NULL. */
    bool (*admit)(void *ctx, const struct ad_route *route, struct ad_exchange *x);
    void *admit_ctx;
};

AD_MUST_CHECK enum ad_err ad_http_server_open(struct ad_loop *loop, const struct ad_http_server_opts *opts,
                                              struct ad_http_server **out);
/* Listens and logs `listening {name, address}`; the bound address into out (may be NULL). */
AD_MUST_CHECK enum ad_err ad_http_server_listen(struct ad_http_server *s, const struct ad_endpoint *at, char *out, size_t cap,
                                                struct ad_errinfo *info);
/* Takes over a connected stream (in-memory pairs in tests, TLS later). */
void ad_http_server_adopt(struct ad_http_server *s, struct ad_stream *stream);
/* Stops listening, closes idle connections, answers requests that have begun with Connection: close; done comes when no exchange is left or
 * after deadline_ms (then the rest is cut). */
void ad_http_server_drain(struct ad_http_server *s, unsigned deadline_ms, void (*done)(void *ctx), void *ctx);
/* Cuts everything; done after the last handle and the last owed reply. Frees the server. */
void ad_http_server_close(struct ad_http_server *s, void (*done)(void *ctx), void *ctx);
size_t ad_http_server_connections(const struct ad_http_server *s);

#endif
