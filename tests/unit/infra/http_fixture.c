#include "http_fixture.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

/* --- routes --- */

static void reply_text(struct ad_exchange *x, struct ad_str text)
{
    ad_reply(x, &(struct ad_reply){ .status = 200, .content_type = "text/plain", .body = text });
}

static void on_hello(void *ctx, struct ad_exchange *x)
{
    struct http_fixture *f = ctx;
    f->handled++;
    (void)snprintf(f->last_peer, sizeof(f->last_peer), "%.*s", AD_FMT(x->peer));
    if (f->close_in_handler) {
        ad_http_server_close(f->server, NULL, NULL);
        f->server = NULL;
    }
    reply_text(x, AD_STR("hello"));
}

static void on_echo(void *ctx, struct ad_exchange *x)
{
    struct http_fixture *f = ctx;
    f->handled++;
    reply_text(x, x->body);
}

static void on_gone(struct ad_exchange *x)
{
    struct http_fixture *f = x->data;
    f->gone++;
    if (f->reply_when_gone) {
        f->owed_n = 0;
        ad_reply(x, &(struct ad_reply){ .status = 503 });
    }
}

static void on_later(void *ctx, struct ad_exchange *x)
{
    struct http_fixture *f = ctx;
    f->handled++;
    ck_assert_uint_lt(f->owed_n, OWED_MAX);
    x->data = f;
    x->on_peer_gone = on_gone;
    f->owed[f->owed_n++] = x;
}

static void on_param(void *ctx, struct ad_exchange *x)
{
    (void)ctx;
    struct ad_str q = ad_arena_fmt(x->arena, "%.*s|%.*s|%s", AD_FMT(x->params[0]), AD_FMT(x->query),
                                   x->query.p ? "query" : "none");
    reply_text(x, q);
}

static void on_large(void *ctx, struct ad_exchange *x)
{
    (void)ctx;
    char *body = ad_arena_alloc(x->arena, 1 << 20);
    if (!body) {
        ad_reply(x, &(struct ad_reply){ .status = 503 });
        return;
    }
    memset(body, 'x', 1 << 20);
    reply_text(x, ad_str_n(body, 1 << 20));
}

/* "one", "two" ... or, with ?n, so many pieces of 64 KiB; the exchange's arena holds one. */
struct pieces {
    struct http_fixture *f;
    char *large;
    int64_t left;
};

static struct ad_str next_piece(void *ctx)
{
    struct pieces *p = ctx;
    p->f->pieces_asked++;
    if (p->left == 0) {
        return AD_STR_NONE;
    }
    p->left--;
    if (p->large) {
        return ad_str_n(p->large, 1 << 16);
    }
    return p->left == 1 ? AD_STR("one") : AD_STR("and a second");
}

static void on_pieces(void *ctx, struct ad_exchange *x)
{
    bool bad = false;
    struct ad_str n = ad_query_get(x, "n", &bad);
    struct pieces *p = ad_arena_zalloc(x->arena, sizeof(*p));
    char *large = n.p ? ad_arena_zalloc(x->arena, 1 << 16) : NULL;
    if (!p || bad || (n.p && !large)) {
        ad_reply(x, &(struct ad_reply){ .status = 503 });
        return;
    }
    *p = (struct pieces){ .f = ctx, .large = large, .left = 2 };
    AD_IGNORE(n.p && !ad_str_i64(n, 0, 1000000, &p->left), "ours");
    ad_reply(x,
             &(struct ad_reply){
                 .status = 200, .content_type = "text/plain", .more = next_piece, .more_ctx = p });
}

static void on_forge(void *ctx, struct ad_exchange *x)
{
    (void)ctx;
    struct ad_http_header h = { AD_STR("X-Echo"), AD_STR("a\r\nSet-Cookie: b") };
    ad_reply(x, &(struct ad_reply){ .status = 200, .headers = &h, .headers_n = 1 });
}

static void on_none(void *ctx, struct ad_exchange *x)
{
    (void)ctx;
    struct ad_http_header h = { AD_STR("X-Extra"), AD_STR("yes") };
    ad_reply(x, &(struct ad_reply){ .status = 204, .headers = &h, .headers_n = 1 });
}

static void on_bye(void *ctx, struct ad_exchange *x)
{
    (void)ctx;
    ad_reply(x, &(struct ad_reply){ .status = 200, .close = true });
}

static void on_field(void *ctx, struct ad_exchange *x)
{
    (void)ctx;
    struct ad_str v = ad_http_header(x->headers, x->headers_n, "x-field");
    reply_text(x, ad_arena_fmt(x->arena, "%u:%.*s", (unsigned)x->headers_n, AD_FMT(v)));
}

/* Behind the exchange's bound. */
static void on_hog(void *ctx, struct ad_exchange *x)
{
    (void)ctx;
    struct ad_http_header h = { AD_STR("X-Long"), ad_str_n(NULL, 0) };
    char *value = ad_arena_alloc(x->arena, 1000);
    if (value) {
        memset(value, 'v', 1000);
        h.value = ad_str_n(value, 1000);
    }
    for (size_t size = 1 << 20; size > 8; size /= 2) {
        while (ad_arena_alloc(x->arena, size)) {
        }
    }
    ad_reply(x, &(struct ad_reply){ .status = 200, .headers = &h, .headers_n = 1 });
}

static const struct ad_route templates[] = {
    { .methods = AD_HTTP_GET, .pattern = "/hello", .handler = on_hello },
    { .methods = AD_HTTP_POST, .pattern = "/echo", .handler = on_echo, .body_max = 1024 },
    { .methods = AD_HTTP_PUT | AD_HTTP_POST,
      .pattern = "/big",
      .handler = on_echo,
      .body_max = 1 << 20 },
    { .methods = AD_HTTP_GET | AD_HTTP_POST,
      .pattern = "/later",
      .handler = on_later,
      .body_max = 1024 },
    { .methods = AD_HTTP_GET, .pattern = "/p/{id}", .handler = on_param },
    { .methods = AD_HTTP_GET, .pattern = "/large", .handler = on_large },
    { .methods = AD_HTTP_GET, .pattern = "/pieces", .handler = on_pieces },
    { .methods = AD_HTTP_GET, .pattern = "/forge", .handler = on_forge },
    { .methods = AD_HTTP_GET, .pattern = "/none", .handler = on_none },
    { .methods = AD_HTTP_GET, .pattern = "/bye", .handler = on_bye },
    { .methods = AD_HTTP_GET, .pattern = "/field", .handler = on_field },
    { .methods = AD_HTTP_GET, .pattern = "/hog", .handler = on_hog },
};
static struct ad_route routes[AD_LEN(templates)];

static void explain(void *ctx, struct ad_exchange *x, struct ad_reply *reply)
{
    struct http_fixture *f = ctx;
    if (f->explains) {
        reply->content_type = "text/plain";
        reply->body = ad_arena_fmt(x->arena, "%u: %.*s", reply->status, AD_FMT(x->path));
    }
}

static bool admit(void *ctx, const struct ad_route *route, struct ad_exchange *x)
{
    struct http_fixture *f = ctx;
    (void)route;
    if (f->admit_status) {
        ad_reply(x, &(struct ad_reply){ .status = f->admit_status });
        return false;
    }
    return true;
}

/* --- server --- */

static enum ad_err open_registry(struct http_fixture *f)
{
    struct ad_errinfo info = { 0 };
    enum ad_err err = ad_registry_new(&f->registry);
    for (size_t i = 0; i < AD_LEN(routes) && !err; i++) {
        routes[i] = templates[i];
        routes[i].ctx = f;
        err = ad_registry_route(f->registry, &routes[i], &info);
    }
    return err ? err : ad_registry_seal(f->registry, &info);
}

enum ad_err fixture_try_open(struct http_fixture *f)
{
    enum ad_err err = open_registry(f);
    err = err ? err : ad_metrics_new(&f->metrics);
    return err ? err
               : ad_http_server_open(f->w.loop,
                                     &(struct ad_http_server_opts){
                                         .name = "public",
                                         .registry = f->registry,
                                         .limits = f->limits,
                                         .metrics = f->metrics,
                                         .admit = admit,
                                         .explain = explain,
                                         .admit_ctx = f,
                                     },
                                     &f->server);
}

void fixture_open(struct http_fixture *f)
{
    world_open(&f->w);
    if (!f->limits.connections_max) {
        f->limits = ad_http_limits_default;
    }
    ck_assert_int_eq(fixture_try_open(f), AD_OK);
}

static void on_server_closed(void *ctx)
{
    *(bool *)ctx = true;
}

void fixture_close(struct http_fixture *f)
{
    while (f->owed_n) {
        fixture_reply(f, 200, "late");
    }
    if (f->server) {
        f->closed = false;
        ad_http_server_close(f->server, on_server_closed, &f->closed);
        world_until_true(&f->w, &f->closed);
    }
    world_settle(&f->w);
    ad_metrics_free(f->metrics);
    ad_registry_free(f->registry);
    world_close(&f->w);
}

void fixture_reply(struct http_fixture *f, unsigned status, const char *text)
{
    ck_assert_uint_gt(f->owed_n, 0);
    struct ad_exchange *x = f->owed[0];
    f->owed_n--;
    for (unsigned i = 0; i < f->owed_n; i++) {
        f->owed[i] = f->owed[i + 1];
    }
    ad_reply(x, &(struct ad_reply){
                    .status = status, .content_type = "text/plain", .body = ad_str_c(text) });
}

uint64_t fixture_metric(struct http_fixture *f, const char *series)
{
    struct ad_buf text;
    ad_buf_init(&text, 1 << 20);
    ad_metrics_write(f->metrics, &text);
    ad_buf_putc(&text, '\0');
    const char *at = strstr(text.p, series);
    ck_assert_msg(at != NULL, "no series %s in %s", series, text.p);
    unsigned long long v = 0;
    ck_assert_int_eq(sscanf(at + strlen(series), " %llu", &v), 1);
    ad_buf_fini(&text);
    return v;
}

/* --- client --- */

static void on_client_read(struct ad_stream *s, enum ad_err err, const char *p, size_t n)
{
    struct http_client *c = s->data;
    if (err) {
        c->ended = true;
        c->end = err;
        return;
    }
    ad_buf_put(&c->in, ad_str_n(p, n));
}

void client_prepare(struct http_client *c, struct http_fixture *f)
{
    *c = (struct http_client){ .f = f };
    ad_buf_init(&c->in, 64 << 20);
    ad_buf_init(&c->out, 64 << 20);
    pair_open(f->w.loop, &c->stream, &c->server_end);
    c->stream->data = c;
}

void client_open_deaf(struct http_client *c, struct http_fixture *f)
{
    client_prepare(c, f);
    ad_http_server_adopt(f->server, c->server_end);
}

void client_join(struct http_client *c)
{
    ck_assert_int_eq(ad_stream_read_start(c->stream, on_client_read), AD_OK);
    ad_http_server_adopt(c->f->server, c->server_end);
}

void client_open(struct http_client *c, struct http_fixture *f, size_t chop)
{
    client_prepare(c, f);
    pair_faults(c->server_end)->chop = chop;
    client_join(c);
}

static void client_flush(struct http_client *c);

static void on_client_written(struct ad_write *w, enum ad_err err)
{
    struct http_client *c = ad_container_of(w, struct http_client, w);
    ad_buf_consume(&c->out, c->out_busy);
    c->out_busy = 0;
    if (!err) {
        client_flush(c);
    }
}

static void client_flush(struct http_client *c)
{
    if (c->out_busy || ad_buf_len(&c->out) == 0) {
        return;
    }
    struct ad_str all = ad_buf_str(&c->out);
    c->out_busy = all.n;
    if (ad_stream_write(c->stream, &c->w, &all, 1, on_client_written)) {
        c->out_busy = 0;
    }
}

void client_send(struct http_client *c, struct ad_str raw)
{
    ck_assert_uint_eq(c->out_busy, 0); /* appending would move what is being written */
    if (ad_buf_len(&c->out) == 0) {
        size_t n = ad_stream_try_write(c->stream, &raw, 1);
        raw = ad_str_n(raw.p + n, raw.n - n);
    }
    ad_buf_put(&c->out, raw);
    client_flush(c);
}

static void on_client_closed(struct ad_stream *s)
{
    struct http_client *c = s->data;
    c->closed = true;
    ad_buf_fini(&c->in);
    ad_buf_fini(&c->out);
}

void client_close(struct http_client *c)
{
    ad_stream_close(c->stream, on_client_closed);
    world_until_true(&c->f->w, &c->closed);
    world_settle(&c->f->w);
}

static size_t find(struct ad_str s, const char *text)
{
    size_t n = strlen(text);
    for (size_t i = 0; i + n <= s.n; i++) {
        if (memcmp(s.p + i, text, n) == 0) {
            return i;
        }
    }
    return s.n;
}

bool client_got(const struct http_client *c, const char *text)
{
    struct ad_str all = ad_buf_str(&c->in);
    return find(all, text) < all.n;
}

const char *client_statuses(const struct http_client *c)
{
    static char text[4096];
    size_t n = 0;
    struct ad_str all = ad_buf_str(&c->in);
    text[0] = '\0';
    while (all.n && all.p) {
        size_t head = find(all, "\r\n\r\n");
        ck_assert_msg(head < all.n && all.n > 12 && memcmp(all.p, "HTTP/1.1 ", 9) == 0,
                      "not a reply: %.*s", AD_FMT(all));
        struct ad_str h = ad_str_n(all.p, head);
        size_t at = find(h, "Content-Length: ");
        uint64_t length = 0;
        if (at < h.n) {
            struct ad_str rest = ad_str_n(h.p + at + 16, h.n - at - 16);
            size_t end = find(rest, "\r\n");
            ck_assert(ad_str_u64(ad_str_n(rest.p, end < rest.n ? end : rest.n), all.n, &length));
        }
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%.3s", n ? "," : "", h.p + 9);
        ck_assert_uint_le(head + 4 + length, all.n);
        all = ad_str_n(all.p + head + 4 + length, all.n - head - 4 - length);
    }
    return text;
}
