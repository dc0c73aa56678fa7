#include "api_private.h"

#include "service/describe.h"

#define SCHEMA_MAX ((size_t)16 << 20) /* many objects of many attributes */

struct ask {
    struct ad_service_query q;
    struct ad_buf out;
};

static void on_described(struct ad_service_query *q)
{
    ad__api_answer(q->data, q, 200, AD__API_NO_CURSOR);
}

void ad__api_schema(void *ctx, struct ad_exchange *x)
{
    struct ad_api *a = ctx;
    struct ask *ask = ad_arena_zalloc(x->arena, sizeof(*ask));
    if (!ask) {
        ad__api_problem(x, AD_ERR_NOMEM, NULL);
        return;
    }
    ad_buf_init(&ask->out, SCHEMA_MAX);
    ask->q = (struct ad_service_query){ .out = &ask->out, .cb = on_described, .data = x };
    enum ad_err err = ad_service_schema(a->o.service, &ask->q);
    if (err) {
        ask->q.err = err;
        ad__api_answer(x, &ask->q, 200, AD__API_NO_CURSOR);
    }
}
