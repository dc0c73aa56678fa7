/* Inside the HTTP client: what its three files share.
 *
 *   http_response.c   bytes -> a checked response head, and the body into the caller's buffer
 *   http_pool.c       connections: dial, hand to the next call in line, keep while idle, close
 *   http_client.c     calls: check and compose, deadline, cancel, the one callback; open and close
 *
 * A call waits in line until the pool gives it a connection. Whatever ends it first (response,
 * failure, deadline, cancel, close of the client) settles it: it leaves line and connection, and
 * its callback comes when the stream has let go of its bytes. */
#ifndef AD_INFRA_HTTP_CLIENT_PRIVATE_H
#define AD_INFRA_HTTP_CLIENT_PRIVATE_H

#include "infra/http_client.h"

#include "base/timer.h"
#include "http/http_text.h"
#include "infra/loop.h"

#include <llhttp.h>

/* --- one response --- */

enum ad__http_response_phase {
    AD__RESPONSE_HEAD,
    AD__RESPONSE_LENGTH,
    AD__RESPONSE_CHUNKED,
    AD__RESPONSE_UNTIL_END, /* the end of the connection is the end of the body */
    AD__RESPONSE_DONE,
};

struct ad__http_response {
    struct ad_http_call *call;
    size_t head_max, body_max;
    enum ad__http_response_phase phase;
    bool any;        /* at least one byte came */
    bool keep_alive; /* the connection may serve again */
    llhttp_t llhttp;
    struct ad_buf head; /* as received, until it is whole; then on the call's arena */
    unsigned interims;
    bool http10, chunked, has_length, close, keep;
    uint64_t length; /* of the body, then what is left of it */
    size_t body_n;
    struct ad__http_chunks chunks;
    const char *gap; /* framing since here was not looked at */
    enum ad_err err; /* why parsing stopped; the text is in the call's info */
};

void ad__http_response_init(struct ad__http_response *r, struct ad_http_call *call, size_t head_max,
                            size_t body_max);
void ad__http_response_fini(struct ad__http_response *r);
/* Takes bytes until the response is whole (phase DONE); *used says how many were its own. */
enum ad_err ad__http_response_feed(struct ad__http_response *r, const char *p, size_t n,
                                   size_t *used);
/* The peer ended its direction: OK when that completes the body. */
enum ad_err ad__http_response_end(struct ad__http_response *r);

/* --- calls and connections --- */

struct ad__http_conn;

/* On the call's arena. */
struct ad__http_task {
    struct ad_list link; /* in the client's line */
    struct ad_http_call *call;
    struct ad_http_client *client;
    struct ad__http_conn *conn; /* NULL while in line, and once settled */
    struct ad_timer deadline;
    struct ad_post post;
    struct ad_str head; /* request line and fields */
    struct ad__http_response response;
    bool settled;
    bool reusable; /* a whole response came, and nothing behind it */
};

struct ad__http_conn {
    struct ad_list link; /* dialing, idle, busy or closing */
    struct ad_http_client *client;
    struct ad_dial dial;
    struct ad_stream *stream;
    struct ad_timer idle;
    struct ad_write write;
    struct ad__http_task *task;   /* whose response is expected */
    struct ad__http_task *parked; /* settled; its callback waits for `write` */
    size_t served;
    bool writing, closing;
};

struct ad_http_client {
    struct ad_loop *loop;
    struct ad_http_client_opts opts; /* with the defaults filled in */
    char host[sizeof(((struct ad_endpoint *)0)->host) + 16];
    struct ad_list line;
    size_t waiting; /* in line */
    size_t calls;   /* started and not called back */
    struct ad_list dialing, idle, busy, closing_conns;
    size_t dials; /* under way */
    struct ad_dial_last last;
    size_t open;  /* dialing, idle or busy: what the cap counts */
    size_t conns; /* holding memory */
    bool closing;
    struct ad_post done_post;
    void (*done)(void *ctx);
    void *done_ctx;
};

/* Gives connections to those in line: idle ones first, then new ones up to the cap. Calls no
 * user back. */
void ad__http_pool_pump(struct ad_http_client *c);
/* Nobody uses the connection now: kept for the next call, or closed. */
void ad__http_pool_release(struct ad__http_conn *conn, bool keep);
void ad__http_pool_close(struct ad_http_client *c);

/* Settles with call->err and call->info already set; the callback comes at once if it can. Last
 * thing to do. */
void ad__http_task_end(struct ad__http_task *t, enum ad_err err);
/* As end, on a later turn; the pool is pumped by the caller. */
void ad__http_task_end_later(struct ad__http_task *t, enum ad_err err);
/* The stream has let go of a parked task's bytes. Last thing to do. */
void ad__http_task_finish(struct ad__http_task *t);
void ad__http_client_maybe_closed(struct ad_http_client *c);

#endif
