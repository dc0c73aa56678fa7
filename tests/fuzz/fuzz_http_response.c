/* The HTTP client's reading of an answer, over an in-memory connection: in one piece and one byte at
 * a time, with the same result. A 200 that is reported whole must have been whole. */
#include "fuzz.h"

#include <string.h>

#include "infra/http_client.h"
#include "infra/loop.h"
#include "support/pair.h"
#include "support/vclock.h"

#define BODY_MAX ((size_t)64 << 10)

static struct ad_loop *loop;
static struct vclock vclock;
static struct ad_http_client *client;

struct dialing {
    struct ad_dialer dialer;
    struct ad_post post;
    struct ad_dial *d;
    struct ad_stream *theirs;
    size_t chop;
};

static void on_request(struct ad_stream *s, enum ad_err err, const char *p, size_t n)
{
    (void)s;
    (void)err;
    (void)p;
    (void)n;
}

static void on_dialed(struct ad_post *post)
{
    struct dialing *dial = ad_container_of(post, struct dialing, post);
    struct ad_stream *ours;
    pair_open(loop, &ours, &dial->theirs);
    pair_faults(ours)->chop = dial->chop;
    pair_faults(ours)->window = BODY_MAX;
    FUZZ_CHECK(ad_stream_read_start(dial->theirs, on_request) == AD_OK);
    struct ad_dial *d = dial->d;
    dial->d = NULL;
    d->cb(d, AD_OK, ours);
}

static enum ad_err dial_start(struct ad_dialer *self, struct ad_loop *l, struct ad_dial *d,
                              const struct ad_endpoint *to, unsigned timeout_ms, ad_dial_cb cb)
{
    (void)to;
    (void)timeout_ms;
    struct dialing *dial = ad_container_of(self, struct dialing, dialer);
    d->cb = cb;
    dial->d = d;
    ad_loop_post(l, &dial->post, on_dialed);
    return AD_OK;
}

static void dial_cancel(struct ad_dialer *self, struct ad_dial *d)
{
    (void)self;
    (void)d;
    FUZZ_CHECK(false && "dialing takes one turn");
}

static struct dialing dialing = { .dialer = { dial_start, dial_cancel } };

struct run {
    struct ad_http_call call;
    struct ad_arena arena;
    struct ad_buf body;
    struct ad_write w, shut;
    bool done, gone;
};

static void on_done(struct ad_http_call *c)
{
    ad_container_of(c, struct run, call)->done = true;
}

static bool *gone;

static void on_gone(struct ad_stream *s)
{
    (void)s;
    *gone = true;
}

static void on_write(struct ad_write *w, enum ad_err err)
{
    (void)w;
    (void)err;
}

static void turns(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ad_loop_turn(loop, 0);
    }
}

static void answer(struct run *r, struct ad_str input)
{
    if (input.n > 0) {
        FUZZ_CHECK(ad_stream_write(dialing.theirs, &r->w, &input, 1, on_write) == AD_OK);
    }
    FUZZ_CHECK(ad_stream_shutdown(dialing.theirs, &r->shut, on_write) == AD_OK);
}

static void run(struct run *r, struct ad_str input, size_t chop)
{
    dialing.chop = chop;
    dialing.theirs = NULL;
    ad_arena_init(&r->arena, (size_t)1 << 20);
    ad_buf_init(&r->body, BODY_MAX);
    r->call = (struct ad_http_call){ .method = "GET",
                                     .path = AD_STR("/"),
                                     .timeout_ms = 10000,
                                     .arena = &r->arena,
                                     .response = &r->body,
                                     .cb = on_done };
    FUZZ_CHECK(ad_http_call_start(client, &r->call) == AD_OK);
    turns(8);
    FUZZ_CHECK(dialing.theirs != NULL);
    answer(r, input);
    turns((chop ? input.n / chop : 1) + 20);
    for (int i = 0; i < 20 && !r->done; i++) {
        vclock_advance(&vclock, 1000);
        turns(4);
    }
    FUZZ_CHECK(r->done);
    gone = &r->gone;
    ad_stream_close(dialing.theirs, on_gone);
    while (!r->gone) {
        ad_loop_turn(loop, 0);
    }
    vclock_advance(&vclock, 60000); /* nothing stays in the pool */
    turns(8);
}

static void check_alike(const struct run *a, const struct run *b)
{
    FUZZ_CHECK(a->call.err == b->call.err);
    FUZZ_CHECK(!a->call.err == !a->call.info.msg[0]);
    if (a->call.err) {
        return;
    }
    FUZZ_CHECK(a->call.status == b->call.status);
    FUZZ_CHECK(ad_str_eq(ad_buf_str(&a->body), ad_buf_str(&b->body)));
    FUZZ_CHECK(a->call.response_headers_n == b->call.response_headers_n);
    for (size_t i = 0; i < a->call.response_headers_n; i++) {
        const struct ad_http_header *x = &a->call.response_headers[i];
        const struct ad_http_header *y = &b->call.response_headers[i];
        FUZZ_CHECK(ad_str_eq(x->name, y->name) && ad_str_eq(x->value, y->value));
    }
}

static void setup(void)
{
    vclock_init(&vclock);
    FUZZ_CHECK(ad_loop_open_on(&vclock.clock, &loop) == AD_OK);
    const struct ad_http_client_opts opts = { .origin = { .host = "127.0.0.1", .port = 80 },
                                              .headers_max = 4096,
                                              .response_max = BODY_MAX / 2,
                                              .dialer = &dialing.dialer };
    FUZZ_CHECK(ad_http_client_open(loop, &opts, &client) == AD_OK);
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
    static struct run whole;
    static struct run bytes;
    whole = (struct run){ .done = false };
    bytes = (struct run){ .done = false };
    run(&whole, ad_str_n((const char *)data, size), 0);
    run(&bytes, ad_str_n((const char *)data, size), 1);
    check_alike(&whole, &bytes);
    ad_buf_fini(&whole.body);
    ad_buf_fini(&bytes.body);
    ad_arena_fini(&whole.arena);
    ad_arena_fini(&bytes.arena);
    return 0;
}
