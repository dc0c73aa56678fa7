#include "api_private.h"

#include "base/json_write.h"
#include "service/health.h"

struct ask {
    struct ad_service_query q;
    struct ad_buf out;
    const char *version;
};

/* The service's object with our version in front. */
static enum ad_err with_version(struct ad_exchange *x, const char *version, struct ad_str json,
                                struct ad_buf *out)
{
    struct ad_errinfo info;
    const struct ad_json *doc;
    struct ad_json_writer w;
    enum ad_err err = ad_json_parse(x->arena, json, NULL, &doc, &info);
    if (err) {
        return err;
    }
    ad_json_write_init(&w, out);
    ad_json_obj(&w);
    ad_json_f_cstr(&w, "version", version);
    AD_JSON_FOREACH (it, doc) {
        ad_json_key_str(&w, it->key);
        ad_json_w_value(&w, it);
    }
    ad_json_end(&w);
    return ad_json_write_done(&w);
}

static void on_status(struct ad_service_query *q)
{
    struct ask *ask = ad_container_of(q, struct ask, q);
    struct ad_exchange *x = q->data;
    struct ad_buf plain = ask->out;
    if (!q->err) {
        ad_buf_init(&ask->out, AD__API_ANSWER_MAX);
        q->err = with_version(x, ask->version, ad_buf_str(&plain), &ask->out);
        ad_buf_fini(&plain);
    }
    ad__api_answer(x, q, 200, AD__API_NO_CURSOR);
}

void ad__api_status(void *ctx, struct ad_exchange *x)
{
    struct ad_api *a = ctx;
    struct ask *ask = ad_arena_zalloc(x->arena, sizeof(*ask));
    if (!ask) {
        ad__api_problem(x, AD_ERR_NOMEM, NULL);
        return;
    }
    ad_buf_init(&ask->out, AD__API_ANSWER_MAX);
    ask->version = a->o.version;
    ask->q = (struct ad_service_query){ .out = &ask->out, .cb = on_status, .data = x };
    enum ad_err err = ad_service_status(a->o.service, &ask->q);
    if (err) {
        ask->q.err = err;
        ad__api_answer(x, &ask->q, 200, AD__API_NO_CURSOR);
    }
}
