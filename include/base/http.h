/* Words of HTTP that every layer shares: methods, headers, and the exchange: one request and its
 * one reply.
 *
 * An exchange is made by the HTTP server (infra) or by a test, handed to a route's handler, and
 * must be answered exactly once, now or later, by ad_reply. It outlives its connection: if the peer
 * leaves first, the handler's work goes on and its reply is dropped. `arena` lives until the reply
 * is written; request slices point into it and may be pinned by store requests until then. */
#ifndef AD_BASE_HTTP_H
#define AD_BASE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

enum ad_http_method {
    AD_HTTP_GET = 1 << 0,
    AD_HTTP_HEAD = 1 << 1,
    AD_HTTP_POST = 1 << 2,
    AD_HTTP_PUT = 1 << 3,
    AD_HTTP_PATCH = 1 << 4,
    AD_HTTP_DELETE = 1 << 5,
    AD_HTTP_OPTIONS = 1 << 6,
    AD_HTTP_OTHER = 1 << 7, /* known to no route */
};

const char *ad_http_method_name(enum ad_http_method m); /* "GET"; "OTHER" */
enum ad_http_method ad_http_method_parse(struct ad_str s);
const char *ad_http_reason(unsigned status); /* "Not Found"; "Unknown" */

struct ad_http_header {
    struct ad_str name; /* as received; compare without case */
    struct ad_str value;
};

/* First header of that name, value absent when there is none; and how many there are. */
struct ad_str ad_http_header(const struct ad_http_header *h, size_t n, const char *name);
size_t ad_http_header_count(const struct ad_http_header *h, size_t n, const char *name);

/* What somebody may do. Each role includes those before it. */
enum ad_role { AD_ROLE_NONE, AD_ROLE_METRICS, AD_ROLE_READ, AD_ROLE_WRITE, AD_ROLE_OPERATE };

const char *ad_role_name(enum ad_role role); /* "operate" */
/* False, *out untouched, for a word that names none; "none" does not. */
AD_MUST_CHECK bool ad_role_parse(struct ad_str s, enum ad_role *out);

#define AD_ROUTE_PARAMS_MAX 4

struct ad_exchange;

struct ad_reply {
    unsigned status;
    const char *content_type;             /* NULL: no body */
    const struct ad_http_header *headers; /* extra ones */
    size_t headers_n;
    struct ad_str body; /* static, or on the exchange's arena */
    /* For a body that shall not lie in memory whole: asked for the next piece, instead of `body`,
     * each time the last one is out; an absent piece ends it. A piece must stay until the next call.
     * Sent chunked. When the peer leaves it is not asked again; what it needs lives on the arena. */
    struct ad_str (*more)(void *ctx);
    void *more_ctx;
    bool close; /* end the connection afterwards */
};

struct ad_exchange_ops {
    void (*reply)(struct ad_exchange *x, const struct ad_reply *reply);
};

struct ad_exchange {
    /* the request: read-only for the handler */
    enum ad_http_method method;
    struct ad_str path;  /* without the query; as sent, not percent-decoded */
    struct ad_str query; /* behind '?', absent when there is none */
    const struct ad_http_header *headers;
    size_t headers_n;
    struct ad_str body; /* whole, within the route's body_max */
    struct ad_str peer; /* "127.0.0.1:40312" */
    /* {name} parts of the pattern in order, percent-decoded */
    struct ad_str params[AD_ROUTE_PARAMS_MAX];
    uint64_t received_ms; /* monotonic, when the request line began */
    struct ad_arena *arena;
    /* set by whoever admitted it: who asks (absent: anybody) and what they may do */
    struct ad_str actor;
    enum ad_role role;
    /* set by the handler, if it wants to know: the peer left before the reply. The reply is still
     * owed. */
    void (*on_peer_gone)(struct ad_exchange *x);
    void *data; /* the handler's own */
    /* private */
    const struct ad_exchange_ops *ops;
    bool replied;
};

/* Answers. A second call on the same exchange is our bug (AD_ASSERT). The exchange and its arena
 * must not be touched afterwards. */
void ad_reply(struct ad_exchange *x, const struct ad_reply *reply);

/* One query parameter, percent-decoded onto the arena; absent when missing. `+` means blank. *bad
 * is set on broken escapes, a repeated name, or no memory, and never cleared: one check after
 * several calls is enough. */
struct ad_str ad_query_get(struct ad_exchange *x, const char *name, bool *bad);
/* %XX decoded onto the arena (`s` itself when there is nothing to decode); false on broken escapes,
 * NUL, or no memory. */
AD_MUST_CHECK bool ad_percent_decode(struct ad_arena *a, struct ad_str s, bool plus_is_blank,
                                     struct ad_str *out);
void ad_percent_encode(struct ad_buf *out, struct ad_str s); /* all but unreserved characters */

#endif
