/* The HTTP server, whole, over an in-memory connection. The same bytes are sent in one piece and one
 * byte at a time: a server whose answers depend on how the network cuts its input can be lied to.
 * So both runs must hand the same requests to the handlers and send the same bytes back, but for
 * two things: no invitation (100) is sent to a body that is there already, and which refusal is
 * sent may differ where a message is wrong in two ways. */
#include "fuzz.h"

#include <string.h>

#include "base/mem.h"
#include "infra/http_server.h"
#include "infra/loop.h"
#include "support/pair.h"
#include "support/vclock.h"

#define ANSWER_MAX ((size_t)1 << 20)

static struct ad_loop *loop;
static struct vclock vclock;
static struct ad_http_server *server;
static struct ad_registry *registry;
static struct ad_metrics *metrics;

struct run {
    struct ad_buf requests; /* what handlers saw */
    struct ad_buf answers;
    struct ad_stream *client;
    struct ad_write w;
    bool ended, written, gone;
};
static struct run *now;

static void note(struct ad_str s)
{
    ad_buf_fmt(&now->requests, "%zu:", s.n);
    ad_buf_put(&now->requests, s);
}

static void on_any(void *ctx, struct ad_exchange *x)
{
    (void)ctx;
    note(ad_str_c(ad_http_method_name(x->method)));
    note(x->path);
    note(x->query);
    for (size_t i = 0; i < x->headers_n; i++) {
        FUZZ_CHECK(!memchr(x->headers[i].value.p ? x->headers[i].value.p : "", '\n',
                           x->headers[i].value.n));
        note(x->headers[i].name);
        note(x->headers[i].value);
    }
    note(x->body);
    FUZZ_CHECK(x->body.n <= 4096);
    ad_reply(x, &(struct ad_reply){ .status = 200, .content_type = "text/plain", .body = x->body });
}

static const struct ad_route routes[] = {
    { .methods = AD_HTTP_GET | AD_HTTP_HEAD, .pattern = "/", .handler = on_any },
    { .methods = AD_HTTP_GET, .pattern = "/p/{id}", .handler = on_any },
    { .methods = AD_HTTP_POST | AD_HTTP_PUT,
      .pattern = "/webhooks/attio",
      .handler = on_any,
      .body_max = 4096 },
};

static void setup(void)
{
    FUZZ_CHECK(ad_metrics_new(&metrics) == AD_OK);
    vclock_init(&vclock);
    FUZZ_CHECK(ad_loop_open_on(&vclock.clock, &loop) == AD_OK);
    FUZZ_CHECK(ad_registry_new(&registry) == AD_OK);
    for (size_t i = 0; i < AD_LEN(routes); i++) {
        FUZZ_CHECK(ad_registry_route(registry, &routes[i], NULL) == AD_OK);
    }
    FUZZ_CHECK(ad_registry_seal(registry, NULL) == AD_OK);
    struct ad_http_server_opts opts = {
        .name = "fuzz", .registry = registry, .limits = ad_http_limits_default, .metrics = metrics
    };
    opts.limits.headers_max = 2048;
    opts.limits.headers_n_max = 16;
    opts.limits.target_max = 256;
    FUZZ_CHECK(ad_http_server_open(loop, &opts, &server) == AD_OK);
}

static void on_read(struct ad_stream *s, enum ad_err err, const char *p, size_t n)
{
    (void)s;
    now->ended |= err != AD_OK;
    ad_buf_put(&now->answers, ad_str_n(p, n));
    FUZZ_CHECK(ad_buf_len(&now->answers) < ANSWER_MAX);
}

static void on_written(struct ad_write *w, enum ad_err err)
{
    (void)w;
    (void)err;
    now->written = true;
}

static void on_client_closed(struct ad_stream *s)
{
    (void)s;
    now->gone = true;
}

static void turns(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ad_loop_turn(loop, 0);
    }
}

static void on_shut(struct ad_write *w, enum ad_err err)
{
    (void)w;
    (void)err;
}

static void run(struct run *r, struct ad_str input, size_t chop)
{
    struct ad_stream *theirs;
    struct ad_write shut = { .n = 0 };
    now = r;
    ad_buf_init(&r->requests, (size_t)16 << 20);
    ad_buf_init(&r->answers, 2 * ANSWER_MAX);
    pair_open(loop, &r->client, &theirs);
    pair_faults(theirs)->chop = chop;
    pair_faults(theirs)->window = input.n + 1;
    ad_http_server_adopt(server, theirs);
    FUZZ_CHECK(ad_stream_read_start(r->client, on_read) == AD_OK);
    if (input.n > 0) {
        FUZZ_CHECK(ad_stream_write(r->client, &r->w, &input, 1, on_written) == AD_OK);
    }
    turns((chop ? input.n / chop : 1) + 20);
    if (!r->ended) {
        FUZZ_CHECK(ad_stream_shutdown(r->client, &shut, on_shut) == AD_OK);
    }
    turns(40);
    for (int i = 0; i < 40 && !r->ended; i++) { /* whatever it still waits for has a deadline */
        vclock_advance(&vclock, 1000);
        turns(4);
    }
    FUZZ_CHECK(r->ended);
    ad_stream_close(r->client, on_client_closed);
    while (!r->gone || ad_http_server_connections(server) > 0) {
        vclock_advance(&vclock, 1000);
        ad_loop_turn(loop, 0);
    }
}

static struct ad_str comparable(struct ad_buf *out, struct ad_str s)
{
    struct ad_str invitation = AD_STR("HTTP/1.1 100 Continue\r\n\r\n");
    ad_buf_init(out, 2 * ANSWER_MAX);
    while (s.n > 0) {
        size_t skip = 0;
        if (ad_str_starts(s, invitation)) {
            skip = invitation.n;
        } else if (ad_str_starts(s, AD_STR("HTTP/1.1 4")) ||
                   ad_str_starts(s, AD_STR("HTTP/1.1 5"))) {
            skip = ad_str_find(s, '\n');
            ad_buf_put(out, AD_STR("refused"));
        } else {
            ad_buf_put(out, ad_str_n(s.p, 1));
            skip = 1;
        }
        s = ad_str_n(s.p + skip, s.n - skip);
    }
    return ad_buf_str(out);
}

static void check_alike(const struct ad_buf *whole, const struct ad_buf *bytes)
{
    struct ad_buf whole_rest;
    struct ad_buf bytes_rest;
    struct ad_str a = comparable(&whole_rest, ad_buf_str(whole));
    struct ad_str b = comparable(&bytes_rest, ad_buf_str(bytes));
    if (!ad_str_eq(a, b)) {
        (void)fprintf(stderr, "in one piece:\n%.*s\nin bytes:\n%.*s\n", AD_FMT(a), AD_FMT(b));
    }
    FUZZ_CHECK(ad_str_eq(a, b));
    ad_buf_fini(&whole_rest);
    ad_buf_fini(&bytes_rest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    if (!ready) {
        setup();
        ready = true;
    }
    if (size > 16384) {
        return 0;
    }
    struct ad_str input = ad_str_n((const char *)data, size);
    struct run whole = { .client = NULL };
    struct run bytes = { .client = NULL };
    int64_t wall = vclock.wall_ns;
    run(&whole, input, 0);
    vclock.wall_ns = wall; /* for the same Date */
    run(&bytes, input, 1);
    check_alike(&whole.requests, &bytes.requests);
    check_alike(&whole.answers, &bytes.answers);
    ad_buf_fini(&whole.requests);
    ad_buf_fini(&whole.answers);
    ad_buf_fini(&bytes.requests);
    ad_buf_fini(&bytes.answers);
    return 0;
}
