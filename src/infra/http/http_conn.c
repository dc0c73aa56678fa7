/* One connection.
 *
 *   idle --first byte--> HEAD --> BODY --> HANDLER --reply--> WRITE --> idle
 *                          \________\_______________________/   \--> LINGER --> closed
 *                            refusals                    close
 *
 * on_read feeds the parser in a loop; whatever is answered inside the loop is settled by the
 * loop, a reply that comes later settles the connection itself. Either way what was read behind a
 * request is kept for a later turn: no handler runs inside another's reply, and a thousand
 * clients that pipeline do not keep the others waiting for more than a request each.
 *
 * How it ends, and what then happens:
 *   peer ends its direction, idle           close
 *   the same, half a request                close, counted as truncated
 *   the same, a handler owes the reply      it is told (on_peer_gone); the reply is still sent
 *   peer resets, or the server cuts         close; the request becomes an orphan and its handler is told
 *   a phase passes its time                 head, body: 408 · handler: 500, orphan, told · write: reset · idle: close
 *   after a reply with Connection: close    our direction ends, what still comes is dropped for a while */
#include "http/http_server_private.h"

#include "base/mem.h"

#include <string.h>

/* What is handed to the stream at once, and what a peer that lets a write wait has to take within
 * write_ms. Counted over replies: one who pipelines and hardly reads finishes a small reply now and
 * then. */
#define WRITE_PIECE (64U << 10)

static void rest(struct ad__http_conn *c);
static void on_read(struct ad_stream *stream, enum ad_err err, const char *p, size_t n);
static void on_timer(struct ad_timer *timer);
static void exchange_reply(struct ad_exchange *x, const struct ad_reply *reply);

static const struct ad_exchange_ops exchange_ops = { .reply = exchange_reply };

static uint64_t now_ms(const struct ad__http_conn *c)
{
    return ad_mono_ms(c->server->clock);
}

static void enter(struct ad__http_request *r, enum ad__http_phase phase)
{
    r->phase = phase;
    r->since_ms = ad_mono_ms(r->server->clock);
}

static void count_refusal(struct ad_http_server *s, enum ad__http_reason reason)
{
    s->refused[reason]->v++;
}

/* --- Ending ------------------------------------------------------------------------------- */

static void drop_kept(struct ad__http_conn *c)
{
    ad_free(c->kept);
    c->kept = NULL;
    c->kept_at = c->kept_n = 0;
}

static void on_closed(struct ad_stream *stream)
{
    struct ad__http_conn *c = stream->data;
    struct ad_http_server *s = c->server;
    if (c->req) {
        ad__http_request_put(c->req);
    }
    ad_list_remove(&c->link);
    ad_free(c);
    s->conns_n--;
    s->connections->v--;
    ad__http_server_less(s);
}

/* The request stays its handler's until the reply. */
static struct ad__http_request *orphan(struct ad__http_conn *c)
{
    struct ad__http_request *r = c->req;
    c->req = NULL;
    r->conn = NULL;
    ad_list_push(&c->server->orphans, &r->link);
    return r;
}

static void tell_gone(struct ad__http_request *r)
{
    if (!r->gone_told && !r->x.replied && r->x.on_peer_gone) {
        r->gone_told = true;
        r->x.on_peer_gone(&r->x);
    }
}

void ad__http_conn_close(struct ad__http_conn *c)
{
    if (c->state == AD__CONN_CLOSING) {
        return;
    }
    c->state = AD__CONN_CLOSING;
    ad_timer_stop(c->server->timers, &c->timer);
    ad_loop_unpost(&c->post);
    drop_kept(c);
    struct ad__http_request *owed = c->req && c->req->phase == AD__HTTP_HANDLER ? orphan(c) : NULL;
    ad_stream_close(c->stream, on_closed);
    if (owed) {
        tell_gone(owed);
    }
}

bool ad__http_conn_is_idle(const struct ad__http_conn *c)
{
    return c->state == AD__CONN_OPEN && !c->req && !c->kept_n;
}

static void on_shutdown(struct ad_write *w, enum ad_err err)
{
    struct ad__http_request *r = ad_container_of(w, struct ad__http_request, w);
    r->w_busy = false;
    if (err && r->conn) {
        ad__http_conn_close(r->conn);
    }
}

/* The last reply is out. Ends our direction and waits for the peer to end its own. */
static void linger(struct ad__http_conn *c)
{
    struct ad__http_request *r = c->req;
    drop_kept(c);
    c->state = AD__CONN_LINGER;
    enter(r, AD__HTTP_WRITE);
    if (c->eof || ad_stream_shutdown(c->stream, &r->w, on_shutdown)) {
        ad__http_conn_close(c);
        return;
    }
    r->w_busy = true;
    if (c->stopped && ad_stream_read_start(c->stream, on_read)) {
        ad__http_conn_close(c);
        return;
    }
    c->stopped = false;
}

/* --- Time --------------------------------------------------------------------------------- */

static uint64_t phase_end(const struct ad__http_conn *c)
{
    const struct ad_http_limits *l = &c->server->opts.limits;
    const struct ad__http_request *r = c->req;
    if (!r) {
        return now_ms(c) + l->keep_alive_ms;
    }
    if (c->state == AD__CONN_LINGER) {
        return r->since_ms + AD__HTTP_LINGER_MS;
    }
    switch (r->phase) {
    case AD__HTTP_HEAD:
        return r->since_ms + l->header_ms;
    case AD__HTTP_BODY:
        return r->since_ms + l->body_ms;
    case AD__HTTP_HANDLER:
        return r->since_ms + l->reply_ms;
    case AD__HTTP_WRITE:
        break;
    }
    return (c->stalled ? c->stalled_ms : r->since_ms) + l->write_ms;
}

static void arm(struct ad__http_conn *c, uint64_t at_ms)
{
    uint64_t now = now_ms(c);
    c->armed_ms = at_ms;
    ad_timer_start(c->server->timers, &c->timer, at_ms > now ? at_ms - now : 0, on_timer);
}

/* A deadline that moves away only takes a note: the timer fires early, looks, and goes on. So a
 * busy connection touches the heap of timers about once per shortest limit and not several times
 * a request. */
static void set_deadline(struct ad__http_conn *c)
{
    c->deadline_ms = phase_end(c);
    if (!ad_timer_running(&c->timer) || c->deadline_ms < c->armed_ms) {
        arm(c, c->deadline_ms);
    }
}

/* --- Replying ----------------------------------------------------------------------------- */

/* May the body of a request that was answered early be read and dropped? */
static bool is_discardable(const struct ad__http_request *r)
{
    return r->phase != AD__HTTP_HEAD && !r->chunked && !r->expect &&
           r->content_length <= AD__HTTP_DISCARD_MAX;
}

static void sent(struct ad__http_request *r)
{
    r->sent = true;
    if (!r->complete && !r->closing) {
        enter(r, AD__HTTP_BODY);
    }
}

/* After a reply: next request, the rest of a body nobody wants, or the end. */
static void settle(struct ad__http_conn *c)
{
    struct ad__http_request *r = c->req;
    if (c->state != AD__CONN_OPEN || !r || !r->sent) {
        return;
    }
    if (r->closing) {
        linger(c);
    } else if (r->complete) {
        c->req = NULL;
        ad__http_request_put(r);
    }
}

static void on_written(struct ad_write *w, enum ad_err err);

static unsigned next_piece(const struct ad__http_request *r, struct ad_str piece[2])
{
    unsigned n = 0;
    size_t room = WRITE_PIECE;
    for (size_t i = 0; i < AD_LEN(r->out); i++) {
        size_t take = r->out[i].n < room ? r->out[i].n : room;
        if (take) {
            piece[n++] = ad_str_n(r->out[i].p, take);
            room -= take;
        }
    }
    return n;
}

static void stall(struct ad__http_conn *c)
{
    if (!c->stalled) {
        c->stalled = true;
        c->stalled_ms = now_ms(c);
        c->taken = 0;
    }
}

static void count_taken(struct ad__http_conn *c, size_t n)
{
    c->taken += n;
    c->stalled &= c->taken < WRITE_PIECE;
}

/* False when the connection has to go. */
static bool write_out(struct ad__http_conn *c, struct ad__http_request *r)
{
    size_t done = ad_stream_try_write(c->stream, r->out, r->out[1].n ? 2 : 1);
    count_taken(c, done);
    if (ad__http_out_skip(r, done)) {
        sent(r);
        return true;
    }
    struct ad_str piece[2] = { AD_STR_NONE, AD_STR_NONE };
    unsigned n = next_piece(r, piece);
    r->queued_n = piece[0].n + piece[1].n;
    r->w_busy = ad_stream_write(c->stream, &r->w, piece, n, on_written) == AD_OK;
    stall(c);
    return r->w_busy;
}

static void write_on(struct ad__http_conn *c, struct ad__http_request *r)
{
    if (!write_out(c, r)) {
        ad__http_conn_close(c);
        return;
    }
    if (!c->running) {
        settle(c);
        rest(c);
    }
}

static void on_written(struct ad_write *w, enum ad_err err)
{
    struct ad__http_request *r = ad_container_of(w, struct ad__http_request, w);
    struct ad__http_conn *c = r->conn;
    r->w_busy = false;
    if (!c) {
        if (r->x.replied) {
            ad__http_request_put(r); /* an orphan, answered while "100 Continue" was in its way */
        }
        return;
    }
    if (c->state != AD__CONN_OPEN) {
        return;
    }
    if (err) {
        ad__http_conn_close(c);
        return;
    }
    if (!r->composed) {
        return; /* it was "100 Continue" */
    }
    count_taken(c, r->queued_n);
    if (ad__http_out_skip(r, r->queued_n)) {
        sent(r);
        settle(c);
        rest(c);
        return;
    }
    write_on(c, r);
}

static void respond(struct ad__http_conn *c, struct ad__http_request *r,
                    const struct ad_reply *reply)
{
    r->x.replied = true;
    r->closing = reply->close || !r->keep_alive || c->server->draining || (c->eof && !c->kept_n) ||
                 (!r->complete && !is_discardable(r));
    r->discard = !r->complete;
    ad__http_compose(r, reply);
    enter(r, AD__HTTP_WRITE);
    r->queued_n = 0;
    if (!r->w_busy) { /* else "100 Continue" goes first */
        write_on(c, r);
    }
}

/* Ours: no body but what `explain` finds to say. */
static void respond_own(struct ad__http_conn *c, struct ad_reply *reply)
{
    const struct ad_http_server_opts *o = &c->server->opts;
    if (o->explain) {
        o->explain(o->admit_ctx, &c->req->x, reply);
    }
    respond(c, c->req, reply);
}

static void refuse(struct ad__http_conn *c, unsigned status, enum ad__http_reason reason)
{
    static const struct ad_http_header later[] = { { { "Retry-After", 11 }, { "1", 1 } } };
    struct ad_reply reply = { .status = status };
    if (reason) {
        count_refusal(c->server, reason);
    }
    if (status == 503) {
        reply.headers = later;
        reply.headers_n = AD_LEN(later);
    }
    respond_own(c, &reply);
}

static void exchange_reply(struct ad_exchange *x, const struct ad_reply *reply)
{
    struct ad__http_request *r = ad__http_request_of(x);
    if (r->conn) {
        respond(r->conn, r, reply);
    } else if (!r->w_busy) {
        ad__http_request_put(r);
    }
}

/* --- Deciding ----------------------------------------------------------------------------- */

static void refuse_method(struct ad__http_conn *c, unsigned allow)
{
    static const enum ad_http_method methods[] = { AD_HTTP_GET,    AD_HTTP_HEAD,  AD_HTTP_POST,
                                                   AD_HTTP_PUT,    AD_HTTP_PATCH, AD_HTTP_DELETE,
                                                   AD_HTTP_OPTIONS };
    char text[64];
    size_t n = 0;
    for (size_t i = 0; i < AD_LEN(methods); i++) {
        if (allow & (unsigned)methods[i]) {
            struct ad_str name = ad_str_c(ad_http_method_name(methods[i]));
            memcpy(text + n, n ? ", " : "", n ? 2 : 0);
            n += n ? 2 : 0;
            memcpy(text + n, name.p, name.n);
            n += name.n;
        }
    }
    struct ad_http_header header = { AD_STR("Allow"), ad_str_n(text, n) };
    respond_own(c, &(struct ad_reply){ .status = 405, .headers = &header, .headers_n = 1 });
}

static bool decode_params(struct ad__http_request *r)
{
    for (size_t i = 0; i < AD_ROUTE_PARAMS_MAX; i++) {
        struct ad_str *param = &r->x.params[i];
        if (param->p && memchr(param->p, '%', param->n) &&
            !ad_percent_decode(&r->arena, *param, false, param)) {
            return false;
        }
    }
    return true;
}

static void invite_body(struct ad__http_conn *c)
{
    struct ad__http_request *r = c->req;
    r->out[0] = AD_STR("HTTP/1.1 100 Continue\r\n\r\n");
    r->out[1] = AD_STR_NONE;
    r->expect = false; /* from here on the body will come */
    if (ad__http_out_skip(r, ad_stream_try_write(c->stream, r->out, 1))) {
        return;
    }
    r->w_busy = ad_stream_write(c->stream, &r->w, r->out, 1, on_written) == AD_OK;
    if (!r->w_busy) {
        ad__http_conn_close(c);
    }
}

/* False when it was refused, or admit answered. */
static bool find_route(struct ad__http_conn *c)
{
    struct ad__http_request *r = c->req;
    const struct ad_http_server_opts *o = &c->server->opts;
    unsigned allow = 0;
    r->route = ad_registry_match(o->registry, r->x.method, r->x.path, r->x.params, &allow);
    if (!r->route) {
        if (allow) {
            refuse_method(c, allow);
        } else {
            refuse(c, 404, AD__HTTP_REASON_NONE);
        }
        return false;
    }
    if (!decode_params(r)) {
        refuse(c, 400, AD__HTTP_REASON_target);
        return false;
    }
    return true;
}

static bool is_admitted(struct ad__http_conn *c)
{
    struct ad__http_request *r = c->req;
    const struct ad_http_server_opts *o = &c->server->opts;
    if (!o->admit) {
        return true;
    }
    enter(r, AD__HTTP_HANDLER); /* it may reply now or later, and may close the server */
    bool admitted = o->admit(o->admit_ctx, r->route, &r->x);
    if (!admitted || c->req != r || c->state != AD__CONN_OPEN || r->x.replied) {
        return false;
    }
    enter(r, AD__HTTP_BODY);
    return true;
}

/* The head is here and sound. */
static void decide(struct ad__http_conn *c, bool more_is_here)
{
    struct ad__http_request *r = c->req;
    enter(r, AD__HTTP_BODY);
    r->complete = !r->chunked && r->content_length == 0;
    if (!find_route(c) || !is_admitted(c)) {
        return;
    }
    switch (ad__http_body_begin(r, r->route->body_max)) {
    case AD_OK:
        break;
    case AD_ERR_TOOLARGE:
        r->keep_alive = false;
        refuse(c, 413, AD__HTTP_REASON_body_too_large);
        return;
    default:
        r->keep_alive = false;
        refuse(c, 503, AD__HTTP_REASON_memory);
        return;
    }
    if (r->expect && !more_is_here) {
        invite_body(c);
    }
}

static void run_handler(struct ad__http_conn *c)
{
    struct ad__http_request *r = c->req;
    enter(r, AD__HTTP_HANDLER);
    r->route->handler(r->route->ctx, &r->x);
}

/* --- Reading ------------------------------------------------------------------------------ */

static bool wants_bytes(const struct ad__http_conn *c)
{
    return c->state == AD__CONN_OPEN &&
           (!c->req || c->req->phase == AD__HTTP_HEAD || c->req->phase == AD__HTTP_BODY);
}

static bool begin_request(struct ad__http_conn *c)
{
    struct ad__http_request *r = ad__http_request_get(c->server);
    if (!r) {
        /* Without a request there is nowhere to put a reply; this needs none. */
        struct ad_str busy = AD_STR("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
                                    "Retry-After: 1\r\nConnection: close\r\n\r\n");
        count_refusal(c->server, AD__HTTP_REASON_memory);
        ad_stream_try_write(c->stream, &busy, 1);
        ad__http_conn_close(c);
        return false;
    }
    r->conn = c;
    r->x.ops = &exchange_ops;
    r->x.arena = &r->arena;
    memcpy(r->peer, c->peer, c->peer_n);
    r->x.peer = ad_str_n(r->peer, c->peer_n);
    enter(r, AD__HTTP_HEAD);
    r->x.received_ms = r->since_ms;
    c->req = r;
    return true;
}

/* Feeds the parser once; returns how many bytes it took. */
static size_t step(struct ad__http_conn *c, const char *p, size_t n)
{
    if (!c->req && !begin_request(c)) {
        return n;
    }
    struct ad__http_request *r = c->req;
    size_t used = 0;
    switch (ad__http_parse(r, p, n, &used)) {
    case AD__HTTP_MORE:
        break;
    case AD__HTTP_HEAD_DONE:
        decide(c, used < n);
        if (c->req == r && r->complete && r->phase == AD__HTTP_BODY && c->state == AD__CONN_OPEN) {
            run_handler(c);
        }
        break;
    case AD__HTTP_MESSAGE_DONE:
        if (!r->x.replied) {
            run_handler(c);
        }
        break;
    case AD__HTTP_FAIL:
        r->keep_alive = false;
        if (r->x.replied) {
            ad__http_conn_close(c); /* the body that was being dropped is broken */
        } else {
            refuse(c, r->fail_status, r->fail_reason);
        }
        break;
    }
    return used;
}

/* Up to the end of one request. */
static size_t feed(struct ad__http_conn *c, const char *p, size_t n)
{
    size_t at = 0;
    c->running = true;
    for (bool more = wants_bytes(c); more; more = at < n && c->req && wants_bytes(c)) {
        at += step(c, p + at, n - at);
        settle(c);
    }
    c->running = false;
    return at;
}

/* Bytes behind the request under way: at most what one read brings, because reading stops. */
static void keep(struct ad__http_conn *c, const char *p, size_t n)
{
    char *kept = ad_alloc(c->kept_n + n);
    if (!kept) {
        /* The request under way is still answered; what follows cannot be. */
        if (c->req) {
            c->req->keep_alive = false;
            c->req->closing |= !c->req->composed;
        }
        ad_stream_read_stop(c->stream);
        c->stopped = true;
        c->eof = true;
        return;
    }
    if (c->kept_n) {
        memcpy(kept, c->kept + c->kept_at, c->kept_n);
    }
    memcpy(kept + c->kept_n, p, n);
    ad_free(c->kept);
    c->kept = kept;
    c->kept_at = 0;
    c->kept_n += n;
    if (!c->stopped) {
        ad_stream_read_stop(c->stream);
        c->stopped = true;
    }
}

static void on_resume(struct ad_post *post)
{
    struct ad__http_conn *c = ad_container_of(post, struct ad__http_conn, post);
    size_t used = feed(c, c->kept + c->kept_at, c->kept_n);
    if (c->state == AD__CONN_OPEN) {
        c->kept_at += used;
        c->kept_n -= used;
        if (c->kept_n == 0) {
            drop_kept(c);
        }
    }
    rest(c);
}

/* What every callback ends with: wait for the right thing, for the right time. */
static void rest(struct ad__http_conn *c)
{
    if (c->state == AD__CONN_CLOSING) {
        return;
    }
    if (c->state == AD__CONN_OPEN && !c->kept_n) {
        c->stalled &= c->req != NULL; /* idle, there is nothing to take */
        if (!c->req && (c->eof || c->server->draining)) {
            ad__http_conn_close(c);
            return;
        }
        if (c->stopped && !c->eof) {
            c->stopped = false;
            if (ad_stream_read_start(c->stream, on_read)) {
                ad__http_conn_close(c);
                return;
            }
        }
    } else if (wants_bytes(c) && !c->post.cb) {
        ad_loop_post(c->server->loop, &c->post, on_resume);
    }
    set_deadline(c);
}

static void on_end(struct ad__http_conn *c, enum ad_err err)
{
    struct ad__http_request *r = c->req;
    c->eof = true;
    if (err != AD_ERR_CLOSED || c->state != AD__CONN_OPEN || wants_bytes(c)) {
        if (r && c->state == AD__CONN_OPEN && wants_bytes(c)) {
            count_refusal(c->server, AD__HTTP_REASON_truncated);
        }
        ad__http_conn_close(c);
        return;
    }
    if (r->phase == AD__HTTP_HANDLER) {
        tell_gone(r);
    }
}

static void on_read(struct ad_stream *stream, enum ad_err err, const char *p, size_t n)
{
    struct ad__http_conn *c = stream->data;
    if (c->state == AD__CONN_CLOSING) {
        return;
    }
    if (err) {
        on_end(c, err);
        return;
    }
    if (c->state == AD__CONN_LINGER) {
        c->discarded += n;
        if (c->discarded > AD__HTTP_LINGER_BYTES) {
            ad__http_conn_close(c);
        }
        return;
    }
    size_t used = c->kept_n ? 0 : feed(c, p, n);
    if (c->state == AD__CONN_OPEN && used < n) {
        keep(c, p + used, n - used);
    }
    rest(c);
}

/* --- Timing out --------------------------------------------------------------------------- */

/* The handler has not replied: its request goes on as an orphan, the peer is told so by a new
 * one. */
static void handler_is_late(struct ad__http_conn *c)
{
    c->server->timeouts->v++;
    bool http10 = c->req->http10;
    struct ad__http_request *late = orphan(c);
    if (late->w_busy) {
        ad__http_conn_close(c); /* not even "100 Continue" went out */
    } else if (begin_request(c)) {
        c->req->http10 = http10;
        refuse(c, c->server->opts.limits.late_status, AD__HTTP_REASON_NONE);
    }
    tell_gone(late);
}

static void on_deadline(struct ad__http_conn *c)
{
    struct ad__http_request *r = c->req;
    if (c->state == AD__CONN_OPEN && r && !r->x.replied) {
        if (r->phase == AD__HTTP_HANDLER) {
            handler_is_late(c);
            return;
        }
        r->keep_alive = false;
        refuse(c, 408, AD__HTTP_REASON_timeout);
        return;
    }
    /* What the peer does not take is not kept for it by the kernel either. */
    c->stream->abrupt = c->state == AD__CONN_OPEN && c->stalled;
    ad__http_conn_close(c);
}

static void on_timer(struct ad_timer *timer)
{
    struct ad__http_conn *c = ad_container_of(timer, struct ad__http_conn, timer);
    if (now_ms(c) < c->deadline_ms) {
        arm(c, c->deadline_ms);
    } else {
        on_deadline(c);
    }
}

/* --- Beginning ---------------------------------------------------------------------------- */

void ad__http_conn_open(struct ad_http_server *s, struct ad_stream *stream, bool over_cap)
{
    struct ad__http_conn *c = ad_zalloc(sizeof(*c));
    if (!c) {
        ad_stream_close(stream, NULL);
        return;
    }
    c->server = s;
    c->stream = stream;
    stream->data = c;
    size_t peer_n = ad_stream_peer(stream, c->peer, sizeof(c->peer));
    c->peer_n = (unsigned char)(peer_n < sizeof(c->peer) ? peer_n : sizeof(c->peer) - 1);
    ad_list_push(&s->conns, &c->link);
    s->conns_n++;
    s->connections->v++;
    if (ad_stream_read_start(stream, on_read)) {
        ad__http_conn_close(c);
        return;
    }
    if (over_cap && begin_request(c)) {
        refuse(c, 503, AD__HTTP_REASON_NONE);
    }
    rest(c);
}
