#include "scripted.h"

#include "base/buf.h"
#include "base/http.h"
#include "base/mem.h"

#include <check.h>
#include <stdio.h>

struct connection {
    struct ad_list link;
    struct scripted *sv;
    struct ad_stream *stream;
    struct ad_buf in, out;
    struct ad_write write;
    struct ad_timer delay;
    struct answer answer;
    unsigned number;
    bool busy, close_after;
};

static void on_closed(struct ad_stream *s)
{
    struct connection *c = s->data;
    ad_buf_fini(&c->in);
    ad_buf_fini(&c->out);
    ad_free(c);
}

static void leave(struct connection *c)
{
    if (c->busy) {
        c->sv->in_flight--;
    }
    ad_timer_stop(ad_loop_timers(c->sv->w->loop), &c->delay);
    ad_list_remove(&c->link);
    ad_stream_close(c->stream, on_closed);
}

static void on_written(struct ad_write *w, enum ad_err err)
{
    struct connection *c = ad_container_of(w, struct connection, write);
    if (err == AD_ERR_CANCELED) {
        return; /* it is closing */
    }
    if (err || c->close_after) {
        leave(c);
    }
}

static void put_answer(struct connection *c)
{
    const struct answer *a = &c->answer;
    const char *body = a->body ? a->body : "";
    if (a->act == ACT_GARBAGE) {
        ad_buf_put(&c->out, AD_STR("\x16\x03\x01 not http at all\r\n\r\n"));
        return;
    }
    if (a->act == ACT_RAW) {
        ad_buf_put(&c->out, ad_str_c(body));
        return;
    }
    ad_buf_fmt(&c->out, "HTTP/1.1 %u %s\r\n", a->status, ad_http_reason(a->status));
    ad_buf_fmt(&c->out, "Content-Type: application/json\r\nContent-Length: %zu\r\n%s\r\n",
               strlen(body), a->headers ? a->headers : "");
    size_t n = strlen(body);
    ad_buf_put(&c->out, ad_str_n(body, a->act == ACT_HALF ? n / 2 : n));
}

static void answer(struct ad_timer *timer)
{
    struct connection *c = ad_container_of(timer, struct connection, delay);
    c->busy = false;
    c->sv->in_flight--;
    if (c->answer.act == ACT_HANG_UP) {
        leave(c);
        return;
    }
    ad_buf_clear(&c->out);
    put_answer(c);
    c->close_after = c->answer.act != ACT_ANSWER;
    struct ad_str out = ad_buf_str(&c->out);
    if (ad_buf_status(&c->out) || ad_stream_write(c->stream, &c->write, &out, 1, on_written)) {
        leave(c);
    }
}

static void choose(struct scripted *sv, const struct request *r, struct answer *out)
{
    if (sv->decide) {
        sv->decide(sv, r, out);
        return;
    }
    ck_assert_msg(sv->script_n > 0, "%s was not expected", r->line);
    unsigned i = sv->n - 1;
    *out = sv->script[i < sv->script_n ? i : sv->script_n - 1];
}

static size_t body_length(struct ad_str head)
{
    while (head.p) {
        struct ad_str line = ad_str_cut(&head, '\n');
        struct ad_str name = ad_str_cut(&line, ':');
        uint64_t n;
        if (ad_str_eq_nocase(name, AD_STR("content-length"))) {
            line.n -= ad_str_ends(line, AD_STR("\r"));
            ck_assert(ad_str_u64(ad_str_trim(line), SIZE_MAX, &n));
            return n;
        }
    }
    return 0;
}

static void copy(char *out, size_t cap, struct ad_str s)
{
    size_t n = s.n < cap ? s.n : cap - 1;
    memcpy(out, s.p, n);
    out[n] = '\0';
}

static void on_request(struct connection *c, struct ad_str head, struct ad_str body)
{
    struct scripted *sv = c->sv;
    ck_assert_uint_lt(sv->n, REQUESTS_MAX);
    struct request *r = &sv->requests[sv->n++];
    struct ad_str line = ad_str_n(head.p, ad_str_find(head, '\r'));
    ck_assert(ad_str_ends(line, AD_STR(" HTTP/1.1")));
    copy(r->line, sizeof(r->line), ad_str_n(line.p, line.n - 9));
    copy(r->head, sizeof(r->head), head);
    copy(r->body, sizeof(r->body), body);
    r->at_ms = ad_mono_ms(ad_loop_clock(sv->w->loop));
    r->connection = c->number;
    c->busy = true;
    sv->in_flight++;
    sv->most_in_flight = sv->in_flight > sv->most_in_flight ? sv->in_flight : sv->most_in_flight;
    choose(sv, r, &c->answer);
    if (c->answer.act != ACT_HANG) {
        ad_timer_start(ad_loop_timers(sv->w->loop), &c->delay, c->answer.delay_ms, answer);
    }
}

static bool find_end(struct ad_str s, size_t *at)
{
    for (size_t i = 0; i + 4 <= s.n; i++) {
        if (memcmp(s.p + i, "\r\n\r\n", 4) == 0) {
            *at = i + 4;
            return true;
        }
    }
    return false;
}

static void on_read(struct ad_stream *s, enum ad_err err, const char *p, size_t n)
{
    struct connection *c = s->data;
    size_t head;
    if (err) {
        leave(c);
        return;
    }
    ad_buf_put(&c->in, ad_str_n(p, n));
    if (ad_buf_status(&c->in)) {
        leave(c);
        return;
    }
    struct ad_str in = ad_buf_str(&c->in);
    if (c->busy || !find_end(in, &head)) {
        return;
    }
    size_t body = body_length(ad_str_n(in.p, head));
    if (in.n < head + body) {
        return;
    }
    on_request(c, ad_str_n(in.p, head), ad_str_n(in.p + head, body));
    ad_buf_consume(&c->in, head + body);
}

static void on_accept(void *ctx, struct ad_stream *s)
{
    struct scripted *sv = ctx;
    struct connection *c = ad_zalloc(sizeof(*c));
    if (!c) {
        ad_stream_close(s, NULL); /* a test takes memory away from all of us */
        return;
    }
    c->sv = sv;
    c->stream = s;
    c->number = sv->accepted++;
    s->data = c;
    ad_buf_init(&c->in, 1 << 20);
    ad_buf_init(&c->out, 8 << 20);
    ad_list_init(&c->link);
    ad_list_push(&sv->connections, &c->link);
    ck_assert_int_eq(ad_stream_read_start(s, on_read), AD_OK);
}

void scripted_open(struct scripted *sv, struct world *w)
{
    struct ad_errinfo info = { .code = AD_OK };
    struct ad_endpoint at;
    char address[48];
    *sv = (struct scripted){ .w = w };
    ad_list_init(&sv->connections);
    sv->requests = ad_alloc_array(REQUESTS_MAX, sizeof(*sv->requests));
    ck_assert_ptr_nonnull(sv->requests);
    ck_assert_int_eq(ad_endpoint_parse(AD_STR("127.0.0.1:0"), &at), AD_OK);
    enum ad_err err = ad_listen(w->loop, &at, 64, on_accept, sv, &sv->listener, &info);
    ck_assert_msg(err == AD_OK, "%s", info.msg);
    ad_listener_address(sv->listener, address, sizeof(address));
    (void)snprintf(sv->url, sizeof(sv->url), "http://%s", address);
}

void scripted_drop(struct scripted *sv)
{
    AD_LIST_FOREACH_SAFE (it, &sv->connections) {
        leave(ad_container_of(it, struct connection, link));
    }
}

void scripted_refuse(struct scripted *sv)
{
    if (sv->listener) {
        ad_listener_close(sv->listener);
        sv->listener = NULL;
    }
    scripted_drop(sv);
    world_settle(sv->w);
}

void scripted_close(struct scripted *sv)
{
    scripted_refuse(sv);
    ad_free(sv->requests);
}

struct answer *scripted_say(struct scripted *sv, unsigned status, const char *body)
{
    ck_assert_uint_lt(sv->script_n, SCRIPT_MAX);
    struct answer *a = &sv->script[sv->script_n++];
    *a = (struct answer){ .status = status, .body = body };
    return a;
}

struct answer *scripted_do(struct scripted *sv, enum act act)
{
    struct answer *a = scripted_say(sv, 200, "{\"data\":{\"x\":1}}");
    a->act = act;
    return a;
}
