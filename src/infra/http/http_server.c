#include "infra/http_server.h"

#include "base/log.h"
#include "base/mem.h"

#include "http/http_server_private.h"
#include "infra/tls.h"

#include <string.h>

/* A burst of clients while the loop is busy: whoever finds no place tries again only after a second. */
#define BACKLOG 4096

const struct ad_http_limits ad_http_limits_default = {
    .target_max = 8192,
    .headers_max = 32768,
    .headers_n_max = 100,
    /* With the time to see the answer and leave, a slow client is gone within 10 s. */
    .header_ms = 7500,
    .body_ms = 7500,
    .keep_alive_ms = 75000,
    .write_ms = 5000,
    .reply_ms = 30000,
    .late_status = 500,
    .connections_max = 20000,
    .arena_max = 4U << 20,
};

/* --- The pool ----------------------------------------------------------------------------- */

struct ad__http_request *ad__http_request_get(struct ad_http_server *s)
{
    struct ad_list *free_one = ad_list_pop(&s->pool);
    struct ad__http_request *r;
    if (free_one) {
        s->pool_n--;
        r = ad_container_of(free_one, struct ad__http_request, link);
    } else {
        r = ad_alloc(sizeof(*r));
        if (!r) {
            return NULL;
        }
        r->server = s;
        ad_list_init(&r->link);
        ad_arena_init_with(&r->arena, s->opts.limits.arena_max, r->arena_first,
                           sizeof(r->arena_first));
    }
    memset(r, 0, offsetof(struct ad__http_request, server));
    return r;
}

static void request_free(struct ad__http_request *r)
{
    ad_arena_fini(&r->arena);
    ad_free(r);
}

void ad__http_request_put(struct ad__http_request *r)
{
    struct ad_http_server *s = r->server;
    bool was_orphan = ad_list_linked(&r->link);
    ad_list_remove(&r->link);
    ad_arena_reset(&r->arena);
    if (s->pool_n < AD__HTTP_POOL_MAX) {
        s->pool_n++;
        ad_list_push_front(&s->pool, &r->link); /* the warmest first */
    } else {
        request_free(r);
    }
    if (was_orphan) {
        ad__http_server_less(s);
    }
}

/* --- Draining and closing ----------------------------------------------------------------- */

static void destroy(struct ad_http_server *s)
{
    for (struct ad_list *l = ad_list_pop(&s->pool); l; l = ad_list_pop(&s->pool)) {
        request_free(ad_container_of(l, struct ad__http_request, link));
    }
    ad_free(s);
}

static bool is_empty(const struct ad_http_server *s)
{
    return s->conns_n == 0 && ad_list_empty(&s->orphans);
}

static void cut_all(struct ad_http_server *s)
{
    /* Nobody leaves the list before a later turn, whatever the handlers do that are told. */
    AD_LIST_FOREACH (it, &s->conns) {
        ad__http_conn_close(ad_container_of(it, struct ad__http_conn, link));
    }
}

static void on_timer(struct ad_timer *timer)
{
    struct ad_http_server *s = ad_container_of(timer, struct ad_http_server, timer);
    if (s->closing) {
        void (*done)(void *ctx) = s->close_done;
        void *ctx = s->close_ctx;
        destroy(s);
        if (done) {
            done(ctx);
        }
        return;
    }
    void (*done)(void *ctx) = s->drain_done;
    void *ctx = s->drain_ctx;
    s->drain_done = NULL;
    cut_all(s);
    if (done) {
        done(ctx);
    }
}

void ad__http_server_less(struct ad_http_server *s)
{
    if (is_empty(s) && (s->closing || s->drain_done)) {
        ad_timer_start(s->timers, &s->timer, 0, on_timer);
    }
}

static void stop_listening(struct ad_http_server *s)
{
    while (s->listeners_n > 0) {
        ad_listener_close(s->listeners[--s->listeners_n]);
    }
}

void ad_http_server_drain(struct ad_http_server *s, unsigned deadline_ms, void (*done)(void *ctx),
                          void *ctx)
{
    AD_ASSERT(!s->draining && !s->closing);
    s->draining = true;
    s->drain_done = done;
    s->drain_ctx = ctx;
    stop_listening(s);
    AD_LIST_FOREACH (it, &s->conns) {
        struct ad__http_conn *c = ad_container_of(it, struct ad__http_conn, link);
        if (ad__http_conn_is_idle(c)) {
            ad__http_conn_close(c);
        }
    }
    ad_timer_start(s->timers, &s->timer, is_empty(s) ? 0 : deadline_ms, on_timer);
}

void ad_http_server_close(struct ad_http_server *s, void (*done)(void *ctx), void *ctx)
{
    if (s->closing) {
        return;
    }
    s->closing = s->draining = true;
    s->close_done = done;
    s->close_ctx = ctx;
    ad_timer_stop(s->timers, &s->timer);
    stop_listening(s);
    cut_all(s);
    ad__http_server_less(s);
}

/* --- Opening ------------------------------------------------------------------------------ */

static struct ad_counter *counter(struct ad_http_server *s, const char *name, const char *label,
                                  const char *value, const char *help)
{
    if (!s->opts.metrics) {
        return &s->scrap;
    }
    char text[128];
    char *at = text;
    const char *parts[] = { "listener=\"",      s->opts.name,       label ? "\"," : "\"",
                            label ? label : "", label ? "=\"" : "", label ? value : "",
                            label ? "\"" : "" };
    for (size_t i = 0; i < AD_LEN(parts); i++) {
        size_t n = strlen(parts[i]);
        AD_ASSERT(n < (size_t)(text + sizeof(text) - at));
        memcpy(at, parts[i], n);
        at += n;
    }
    *at = '\0';
    return ad_metric_counter(s->opts.metrics, name, text, help);
}

static void open_metrics(struct ad_http_server *s)
{
    static const char *const classes[] = { "1xx", "1xx", "2xx", "3xx", "4xx", "5xx" };
    static const char *const reasons[] = { "",
#define REASON_TEXT(name) #name,
                                           AD__HTTP_REASON_LIST(REASON_TEXT)
#undef REASON_TEXT
    };
    for (size_t i = 0; i < AD_LEN(s->requests); i++) {
        s->requests[i] = i < 2 ? &s->scrap
                               : counter(s, "attiod_http_requests_total", "code", classes[i],
                                         "Replies sent, by class of status");
    }
    for (size_t i = 0; i < AD_LEN(s->refused); i++) {
        s->refused[i] = i ? counter(s, "attiod_http_refused_total", "reason", reasons[i],
                                    "Requests refused or lost before a handler saw them")
                          : &s->scrap;
    }
    s->timeouts = counter(s, "attiod_http_exchange_timeouts_total", NULL, NULL,
                          "Handlers that did not reply in time");
    s->connections = &s->scrap_gauge;
    if (s->opts.metrics) {
        char label[64] = "listener=\"";
        size_t n = strlen(s->opts.name);
        AD_ASSERT(n < 48);
        memcpy(label + 10, s->opts.name, n);
        label[10 + n] = '"';
        s->connections =
            ad_metric_gauge(s->opts.metrics, "attiod_http_connections", label, "Connections open");
    }
}

enum ad_err ad_http_server_open(struct ad_loop *loop, const struct ad_http_server_opts *opts,
                                struct ad_http_server **out)
{
    struct ad_http_server *s = ad_zalloc(sizeof(*s));
    if (!s) {
        return AD_ERR_NOMEM;
    }
    s->loop = loop;
    s->timers = ad_loop_timers(loop);
    s->clock = ad_loop_clock(loop);
    s->opts = *opts;
    ad_list_init(&s->conns);
    ad_list_init(&s->orphans);
    ad_list_init(&s->pool);
    open_metrics(s);
    *out = s;
    return AD_OK;
}

void ad_http_server_adopt(struct ad_http_server *s, struct ad_stream *stream)
{
    size_t max = s->opts.limits.connections_max;
    if (s->draining || s->conns_n >= max + AD__HTTP_OVER_MAX) {
        ad_stream_close(stream, NULL);
        return;
    }
    ad__http_conn_open(s, stream, s->conns_n >= max);
}

static void on_accept(void *ctx, struct ad_stream *stream)
{
    struct ad_http_server *s = ctx;
    if (s->opts.tls && ad_tls_server_wrap(s->opts.tls, stream, &stream)) {
        ad_stream_close(stream, NULL);
        return;
    }
    ad_http_server_adopt(s, stream);
}

enum ad_err ad_http_server_listen(struct ad_http_server *s, const struct ad_endpoint *at, char *out,
                                  size_t cap, struct ad_errinfo *info)
{
    if (s->listeners_n == AD__HTTP_LISTENERS_MAX || s->draining) {
        return ad_fail(info, AD_ERR_INVALID, "listener %s: no more addresses", s->opts.name);
    }
    struct ad_listener **l = &s->listeners[s->listeners_n];
    enum ad_err err = ad_listen(s->loop, at, BACKLOG, on_accept, s, l, info);
    if (err) {
        return err;
    }
    s->listeners_n++;
    char address[300];
    ad_listener_address(*l, address, sizeof(address));
    if (out && cap) {
        size_t n = strlen(address);
        n = n < cap ? n : cap - 1;
        memcpy(out, address, n);
        out[n] = '\0';
    }
    ad_log(AD_LOG_INFO, "listening", AD_KC("name", s->opts.name), AD_KC("address", address),
           AD_KB("tls", s->opts.tls != NULL));
    return AD_OK;
}

size_t ad_http_server_connections(const struct ad_http_server *s)
{
    return s->conns_n;
}
