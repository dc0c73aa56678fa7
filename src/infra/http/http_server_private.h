/* Inside the HTTP server: what its four files share.
 *
 *   http_parse.c    bytes -> a checked request head and its body
 *   http_conn.c     one connection: read, decide, run the handler, reply, linger, close
 *   http_write.c    a reply -> bytes, and onto the stream
 *   http_server.c   listeners, connections, the pool of requests, drain and close
 *
 * A request is an exchange with everything it needs (parser, head, arena, output). It is taken
 * from the pool with the first byte and given back after the reply; an idle connection has none.
 * While a handler owes a reply the request is the handler's: when the connection ends first the
 * request becomes an orphan of the server until the reply comes. */
#ifndef AD_INFRA_HTTP_SERVER_PRIVATE_H
#define AD_INFRA_HTTP_SERVER_PRIVATE_H

#include "infra/http_server.h"

#include "base/timer.h"
#include "infra/loop.h"

#include <llhttp.h>

#define AD__HTTP_LISTENERS_MAX 4
/* Requests kept for reuse, 11 KiB each: as many as a busy hour has under way at once. What is not kept
 * goes back to the system and comes as page faults with the next request. */
#define AD__HTTP_POOL_MAX 512
/* A webhook with its head, body and parsed document fits; with the rest of a request this stays
 * below the 16 KiB that one stalled client may cost. */
#define AD__HTTP_ARENA_FIRST 8192
#define AD__HTTP_OUT_FIRST 512
/* After the last reply: how long, and for how many bytes, a peer that still sends is listened to. A
 * close with unread bytes would reset the connection and take the reply with it. */
#define AD__HTTP_LINGER_MS 2000
#define AD__HTTP_LINGER_BYTES (8U << 20)
/* A refused request's body up to this size is read and dropped so that the connection lives on. */
#define AD__HTTP_DISCARD_MAX (64U << 10)
/* Connections past the cap that are told so at a time; those past these are closed at once. */
#define AD__HTTP_OVER_MAX 128

/* X(reason): why a request was refused before any handler saw it; the label of a counter. */
#define AD__HTTP_REASON_LIST(X) \
    X(method)                   \
    X(target)                   \
    X(version)                  \
    X(header)                   \
    X(host)                     \
    X(framing)                  \
    X(chunk)                    \
    X(expect)                   \
    X(head_too_large)           \
    X(body_too_large)           \
    X(truncated)                \
    X(timeout)                  \
    X(memory)

enum ad__http_reason {
    AD__HTTP_REASON_NONE,
#define AD__HTTP_REASON_ENUM(name) AD__HTTP_REASON_##name,
    AD__HTTP_REASON_LIST(AD__HTTP_REASON_ENUM)
#undef AD__HTTP_REASON_ENUM
        AD__HTTP_REASONS
};

enum ad__http_phase {
    AD__HTTP_HEAD,    /* request line and fields are coming */
    AD__HTTP_BODY,    /* the body is coming; the reply may be out already (a refusal) */
    AD__HTTP_HANDLER, /* a handler owes the reply */
    AD__HTTP_WRITE,   /* the reply is on its way */
};

enum ad__http_chunk { AD__CHUNK_LINE, AD__CHUNK_LINE_LF, AD__CHUNK_DATA_CR, AD__CHUNK_DATA_LF };

struct ad__http_conn;

struct ad__http_request {
    struct ad_exchange x;
    struct ad__http_conn *conn; /* NULL: an orphan */
    const struct ad_route *route;
    uint64_t since_ms; /* when the phase began */
    enum ad__http_phase phase;

    /* what the head says */
    bool http10, keep_alive, expect, chunked;
    uint64_t content_length;

    /* what has come of it */
    char *head;
    size_t head_n, head_cap;
    size_t line_n; /* of head_n: up to the end of the request line, 0 while it is incomplete */
    char *body;
    size_t body_n, body_cap, body_max;
    bool discard;  /* the body is of no use any more */
    bool complete; /* the message has ended */
    bool parser_running;
    bool chunk_blank_ok; /* framing between chunks, see chunk_lint: this and all chunk_ */
    unsigned fail_status;
    enum ad__http_reason fail_reason;
    enum ad__http_chunk chunk;
    uint64_t chunk_left;
    size_t chunk_line_n, chunk_name_n, chunk_framing_n;
    const char *chunk_gap;

    /* the reply */
    bool composed, sent, closing;
    bool w_busy, gone_told;
    bool more_begun; /* a piece went before: its line end is owed */
    struct ad_str out[2];
    size_t queued_n;
    struct ad_str (*more)(void *ctx); /* pieces still to come */
    void *more_ctx;
    /* Everything above is zeroed for each request. */

    struct ad_http_server *server;
    struct ad_list link; /* pool or orphans */
    struct ad_arena arena;
    llhttp_t llhttp;
    struct ad_write w;
    char peer[56];
    char out_first[AD__HTTP_OUT_FIRST];
    _Alignas(16) char arena_first[AD__HTTP_ARENA_FIRST];
};

enum ad__http_conn_state { AD__CONN_OPEN, AD__CONN_LINGER, AD__CONN_CLOSING };

struct ad__http_conn {
    struct ad_http_server *server;
    struct ad_stream *stream;
    struct ad_list link;
    struct ad__http_request *req; /* NULL: idle */
    struct ad_post post;          /* goes on with kept bytes */
    struct ad_timer timer;
    uint64_t armed_ms;    /* when the timer fires; never later than the deadline */
    uint64_t deadline_ms; /* what is meant; moving it away costs nothing, see set_deadline */
    char *kept; /* pipelined bytes not parsed yet; reading is stopped while there are any */
    size_t kept_at, kept_n;
    size_t discarded;
    uint64_t stalled_ms; /* since when a write waits for the peer */
    size_t taken;        /* what it took since */
    enum ad__http_conn_state state;
    bool running; /* the parse loop is on the stack and will settle whatever was replied */
    bool stopped, eof, stalled;
    unsigned char peer_n;
    char peer[56];
};

struct ad_http_server {
    struct ad_loop *loop;
    struct ad_timers *timers;
    const struct ad_clock *clock;
    struct ad_http_server_opts opts;
    struct ad_listener *listeners[AD__HTTP_LISTENERS_MAX];
    unsigned listeners_n;

    struct ad_list conns;
    size_t conns_n;
    struct ad_list orphans;
    struct ad_list pool;
    unsigned pool_n;

    bool draining, closing;
    struct ad_timer timer; /* the drain's deadline, or the later turn on which done is called */
    void (*drain_done)(void *ctx);
    void *drain_ctx;
    void (*close_done)(void *ctx);
    void *close_ctx;

    int64_t date_s;
    char date[48]; /* "Date: ...\r\n" */
    size_t date_n;

    struct ad_counter scrap;
    struct ad_gauge scrap_gauge;
    struct ad_counter *requests[6]; /* by class of status, 1 unused */
    struct ad_counter *timeouts;
    struct ad_counter *refused[AD__HTTP_REASONS];
    struct ad_gauge *connections;
};

/* --- http_parse.c --- */

enum ad__http_step {
    AD__HTTP_MORE, /* all bytes used, more are needed */
    AD__HTTP_HEAD_DONE,
    AD__HTTP_MESSAGE_DONE,
    AD__HTTP_FAIL, /* fail_status and fail_reason are set */
};

/* Takes bytes of the request (n > 0); *used says how many were its. After HEAD_DONE the caller
 * decides and calls ad__http_body_begin before it goes on. */
enum ad__http_step ad__http_parse(struct ad__http_request *r, const char *p, size_t n,
                                  size_t *used);
/* Room for the body. TOOLARGE when its length passes body_max, NOMEM. */
AD_MUST_CHECK enum ad_err ad__http_body_begin(struct ad__http_request *r, size_t body_max);
bool ad__http_is_token(struct ad_str s);

/* --- http_write.c --- */

/* Makes r->out of a reply. Never fails: what cannot be composed becomes a bare 500 or 503. */
void ad__http_compose(struct ad__http_request *r, const struct ad_reply *reply);
/* Drops n bytes from the front of r->out; true when nothing is left, and nothing comes: else
 * r->out holds the next piece. */
bool ad__http_out_skip(struct ad__http_request *r, size_t n);

/* --- http_conn.c --- */

/* Takes the stream; closes it when there is no memory. */
void ad__http_conn_open(struct ad_http_server *s, struct ad_stream *stream, bool over_cap);
/* Ends the connection now. May call on_peer_gone of the exchange under way, last. */
void ad__http_conn_close(struct ad__http_conn *c);
bool ad__http_conn_is_idle(const struct ad__http_conn *c);

/* --- http_server.c --- */

struct ad__http_request *ad__http_request_get(struct ad_http_server *s); /* NULL: no memory */
void ad__http_request_put(struct ad__http_request *r);
/* A connection's memory is gone, or an orphan was answered. */
void ad__http_server_less(struct ad_http_server *s);

static inline struct ad__http_request *ad__http_request_of(struct ad_exchange *x)
{
    return ad_container_of(x, struct ad__http_request, x);
}

#endif
