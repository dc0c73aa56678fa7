#include "api_private.h"

#include "service/ingest.h"

#include <string.h>

/* The hot path: one piece of the exchange's arena, no other memory of ours.
 *
 * Every answer within 4 s: the store reports a locked database after 3 s, and where even that
 * does not come (a disk that hangs) the public listener's own reply time is up before (app sets
 * it); the exchange then lives on without its connection until the store is through with it. */

struct receipt {
    struct ad_ingest in;
    char text[80]; /* the answer: 28 bytes and two numbers */
};

static unsigned status_of(enum ad_err err)
{
    switch (err) {
    case AD_OK:
        return 200;
    case AD_ERR_UNAUTHORIZED:
        return 401;
    case AD_ERR_INVALID:
        return 400;
    case AD_ERR_TOOLARGE:
        return 413;
    default:
        return 503; /* could not be made durable: Attio sends it again */
    }
}

static void put(struct receipt *r, size_t *n, struct ad_str s)
{
    memcpy(r->text + *n, s.p, s.n);
    *n += s.n;
}

/* Two numbers: nothing that would need a JSON writer's care. */
static struct ad_str accepted_text(struct receipt *r)
{
    size_t n = 0;
    put(r, &n, AD_STR("{\"accepted\":"));
    n += ad_u64_format(r->in.accepted, r->text + n);
    put(r, &n, AD_STR(",\"duplicate\":"));
    n += ad_u64_format(r->in.duplicate, r->text + n);
    put(r, &n, AD_STR("}"));
    return ad_str_n(r->text, n);
}

static void answer(struct ad_exchange *x, struct receipt *r)
{
    unsigned status = status_of(r->in.err);
    if (status != 200) {
        ad__api_bare(x, status);
        return;
    }
    struct ad_reply reply = { .status = 200,
                              .content_type = "application/json",
                              .body = accepted_text(r) };
    ad_reply(x, &reply);
}

static void on_ingested(struct ad_ingest *in)
{
    answer(in->data, ad_container_of(in, struct receipt, in));
}

void ad__api_webhook(void *ctx, struct ad_exchange *x)
{
    struct ad_api *a = ctx;
    if (!ad__api_is_json(x)) {
        ad__api_bare(x, 415);
        return;
    }
    struct receipt *r = ad_arena_alloc(x->arena, sizeof(*r));
    if (!r) {
        ad__api_bare(x, 503);
        return;
    }
    r->in = (struct ad_ingest){
        .body = x->body,
        .headers = x->headers,
        .headers_n = x->headers_n,
        .arena = x->arena,
        .cb = on_ingested,
        .data = x,
    };
    enum ad_err err = ad_ingest(a->o.service, &r->in);
    if (err) {
        r->in.err = err;
        answer(x, r);
    }
}
