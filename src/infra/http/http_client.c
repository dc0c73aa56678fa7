#include "infra/http_client.h"

#include "base/mem.h"

#include "http/http_client_private.h"

#include <stdio.h>
#include <string.h>

enum {
    CONNECTIONS = 16,
    IDLE_MS = 30000,
    CONNECT_MS = 5000,
    RESPONSE_MAX = 16 << 20,
    HEADERS_MAX = 64 * 1024,
    REQUEST_HEAD_MAX = 64 * 1024,
};

/* --- the request's head --- */

static bool is_method(struct ad_str s)
{
    return s.n > 0 && ad__http_token_length(s) == s.n;
}

/* Printable and without blank: what is sent is one request line, whatever the path holds. */
static bool is_target(struct ad_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char b = (unsigned char)s.p[i];
        if (b <= 0x20 || b >= 0x7f || b == '#') {
            return false;
        }
    }
    return s.n > 0 && s.p[0] == '/';
}

/* What decides where the message ends and the connection lives is the client's own. */
static bool is_ours(struct ad_str name)
{
    static const char *const ours[] = { "Host",       "Content-Length", "Transfer-Encoding",
                                        "Connection", "Upgrade",        "Expect",
                                        "TE",         "Trailer" };
    for (size_t i = 0; i < AD_LEN(ours); i++) {
        if (ad_str_eq_nocase(name, ad_str_c(ours[i]))) {
            return true;
        }
    }
    return false;
}

static bool is_sendable(const struct ad_http_header *h)
{
    return is_method(h->name) && !is_ours(h->name) && ad__http_is_field_value(h->value);
}

static bool is_valid(const struct ad_http_call *call)
{
    if (!is_method(ad_str_c(call->method)) || !is_target(call->path)) {
        return false;
    }
    for (size_t i = 0; i < call->headers_n; i++) {
        if (!is_sendable(&call->headers[i])) {
            return false;
        }
    }
    return true;
}

/* A body of unknown meaning is announced even when there is none. */
static bool wants_length(const struct ad_http_call *call)
{
    return call->body.p || strcmp(call->method, "POST") == 0 || strcmp(call->method, "PUT") == 0 ||
           strcmp(call->method, "PATCH") == 0;
}

static void put_field(struct ad_buf *out, struct ad_str name, struct ad_str value)
{
    ad_buf_put(out, name);
    ad_buf_put(out, AD_STR(": "));
    ad_buf_put(out, value);
    ad_buf_put(out, AD_STR("\r\n"));
}

static void put_head(struct ad_buf *out, const struct ad_http_call *call, const char *host)
{
    ad_buf_put(out, ad_str_c(call->method));
    ad_buf_putc(out, ' ');
    ad_buf_put(out, call->path);
    ad_buf_put(out, AD_STR(" HTTP/1.1\r\n"));
    put_field(out, AD_STR("Host"), ad_str_c(host));
    put_field(out, AD_STR("Connection"), AD_STR("keep-alive"));
    for (size_t i = 0; i < call->headers_n; i++) {
        put_field(out, call->headers[i].name, call->headers[i].value);
    }
    if (wants_length(call)) {
        ad_buf_put(out, AD_STR("Content-Length: "));
        ad_buf_put_u64(out, call->body.n);
        ad_buf_put(out, AD_STR("\r\n"));
    }
    ad_buf_put(out, AD_STR("\r\n"));
}

static enum ad_err compose_head(struct ad_http_client *c, struct ad__http_task *t)
{
    struct ad_buf out;
    ad_buf_init(&out, REQUEST_HEAD_MAX);
    put_head(&out, t->call, c->opts.host_header ? c->opts.host_header : c->host);
    enum ad_err err = ad_buf_status(&out);
    if (!err) {
        t->head = ad_arena_str(t->call->arena, ad_buf_str(&out));
        err = t->head.p ? AD_OK : AD_ERR_NOMEM;
    }
    ad_buf_fini(&out);
    return err;
}

/* --- ending a call --- */

void ad__http_task_finish(struct ad__http_task *t)
{
    struct ad_http_call *call = t->call;
    ad__http_response_fini(&t->response);
    call->impl = NULL;
    call->info.code = call->err;
    call->info.sent = call->sent;
    t->client->calls--;
    ad__http_client_maybe_closed(t->client);
    call->cb(call);
}

static void leave_line(struct ad__http_task *t)
{
    if (ad_list_linked(&t->link)) {
        ad_list_remove(&t->link);
        t->client->waiting--;
    }
}

/* Out of line and off its connection, which is kept only after a whole response to a whole
 * request. True when the callback may come now; false when the stream still holds the request's
 * bytes. */
static bool settle(struct ad__http_task *t, enum ad_err err)
{
    struct ad__http_conn *conn = t->conn;
    t->settled = true;
    t->call->err = err;
    ad_timer_stop(ad_loop_timers(t->client->loop), &t->deadline);
    leave_line(t);
    if (!conn) {
        return true;
    }
    t->conn = NULL;
    conn->task = NULL;
    conn->parked = conn->writing ? t : NULL;
    ad__http_pool_release(conn, t->reusable && !conn->writing);
    return !conn->writing;
}

void ad__http_task_end(struct ad__http_task *t, enum ad_err err)
{
    bool now = settle(t, err);
    ad__http_pool_pump(t->client);
    if (now) {
        ad__http_task_finish(t);
    }
}

static void on_later(struct ad_post *post)
{
    ad__http_task_finish(ad_container_of(post, struct ad__http_task, post));
}

void ad__http_task_end_later(struct ad__http_task *t, enum ad_err err)
{
    if (settle(t, err)) {
        ad_loop_post(t->client->loop, &t->post, on_later);
    }
}

static void on_deadline(struct ad_timer *timer)
{
    struct ad__http_task *t = ad_container_of(timer, struct ad__http_task, deadline);
    const char *where = !t->conn           ? "waiting for a connection"
                        : !t->response.any ? "waiting for the response"
                                           : "inside the response";
    ad__http_task_end(t, ad_fail(&t->call->info, AD_ERR_TIMEOUT, "timed out %s", where));
}

/* --- starting and cancelling --- */

static void clear_result(struct ad_http_call *call)
{
    call->err = AD_OK;
    call->info = (struct ad_errinfo){ .code = AD_OK };
    call->status = 0;
    call->response_headers = NULL;
    call->response_headers_n = 0;
    call->sent = false;
    call->reused = false;
}

enum ad_err ad_http_call_start(struct ad_http_client *c, struct ad_http_call *call)
{
    if (c->closing) {
        return AD_ERR_CLOSED;
    }
    if (!is_valid(call)) {
        return AD_ERR_INVALID;
    }
    struct ad__http_task *t = ad_arena_zalloc(call->arena, sizeof(*t));
    if (!t) {
        return AD_ERR_NOMEM;
    }
    t->call = call;
    t->client = c;
    enum ad_err err = compose_head(c, t);
    if (err) {
        return err;
    }
    clear_result(call);
    ad__http_response_init(&t->response, call, c->opts.headers_max, c->opts.response_max);
    call->impl = t;
    ad_list_push(&c->line, &t->link);
    c->waiting++;
    c->calls++;
    ad_timer_start(ad_loop_timers(c->loop), &t->deadline, call->timeout_ms, on_deadline);
    ad__http_pool_pump(c);
    return AD_OK;
}

void ad_http_call_cancel(struct ad_http_client *c, struct ad_http_call *call)
{
    struct ad__http_task *t = call->impl;
    if (t && !t->settled) {
        ad__http_task_end_later(t, ad_fail(&call->info, AD_ERR_CANCELED, "canceled"));
        ad__http_pool_pump(c);
    }
}

/* --- the client --- */

static struct ad_http_client_opts with_defaults(struct ad_http_client_opts o)
{
    o.connections_max = o.connections_max ? o.connections_max : CONNECTIONS;
    o.idle_ms = o.idle_ms ? o.idle_ms : IDLE_MS;
    o.connect_ms = o.connect_ms ? o.connect_ms : CONNECT_MS;
    o.response_max = o.response_max ? o.response_max : RESPONSE_MAX;
    o.headers_max = o.headers_max ? o.headers_max : HEADERS_MAX;
    o.dialer = o.dialer ? o.dialer : &ad_dialer_tcp;
    return o;
}

static void compose_host(struct ad_http_client *c)
{
    const struct ad_endpoint *at = &c->opts.origin;
    bool v6 = strchr(at->host, ':');
    int n = snprintf(c->host, sizeof(c->host), "%s%s%s", v6 ? "[" : "", at->host, v6 ? "]" : "");
    if (at->port != 80) {
        (void)snprintf(c->host + n, sizeof(c->host) - (size_t)n, ":%u", at->port);
    }
}

enum ad_err ad_http_client_open(struct ad_loop *loop, const struct ad_http_client_opts *opts,
                                struct ad_http_client **out)
{
    struct ad_str host = ad_str_c(opts->host_header ? opts->host_header : opts->origin.host);
    if (host.n == 0 || !ad__http_is_field_value(host)) {
        return AD_ERR_INVALID;
    }
    struct ad_http_client *c = ad_zalloc(sizeof(*c));
    if (!c) {
        return AD_ERR_NOMEM;
    }
    c->loop = loop;
    c->opts = with_defaults(*opts);
    compose_host(c);
    ad_list_init(&c->line);
    ad_list_init(&c->dialing);
    ad_list_init(&c->idle);
    ad_list_init(&c->busy);
    ad_list_init(&c->closing_conns);
    *out = c;
    return AD_OK;
}

void ad_http_client_set_connections_max(struct ad_http_client *c, unsigned max)
{
    c->opts.connections_max = max ? max : CONNECTIONS;
    ad__http_pool_pump(c);
}

static void on_done(struct ad_post *post)
{
    struct ad_http_client *c = ad_container_of(post, struct ad_http_client, done_post);
    void (*done)(void *ctx) = c->done;
    void *ctx = c->done_ctx;
    ad_free(c);
    if (done) {
        done(ctx);
    }
}

/* By a post, so that the last call's own callback is over. */
void ad__http_client_maybe_closed(struct ad_http_client *c)
{
    if (c->closing && c->calls == 0 && c->conns == 0 && !c->done_post.cb) {
        ad_loop_post(c->loop, &c->done_post, on_done);
    }
}

static struct ad__http_task *any_task(struct ad_http_client *c)
{
    if (!ad_list_empty(&c->line)) {
        return ad_container_of(c->line.next, struct ad__http_task, link);
    }
    if (!ad_list_empty(&c->busy)) {
        return ad_container_of(c->busy.next, struct ad__http_conn, link)->task;
    }
    return NULL;
}

void ad_http_client_close(struct ad_http_client *c, void (*done)(void *ctx), void *ctx)
{
    AD_ASSERT(!c->closing);
    c->closing = true;
    c->done = done;
    c->done_ctx = ctx;
    struct ad__http_task *t;
    while ((t = any_task(c))) {
        ad_http_call_cancel(c, t->call);
    }
    ad__http_pool_close(c);
    ad__http_client_maybe_closed(c);
}
