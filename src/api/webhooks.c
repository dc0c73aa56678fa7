#include "api_private.h"

#include "service/webhooks.h"

struct ask {
    struct ad_webhooks_query w;
    struct ad_buf out;
};

typedef enum ad_err (*service_fn)(struct ad_service *s, struct ad_webhooks_query *w);

/* The attio layer writes {"data": ...} as Attio would; delete writes nothing. Either way what is
 * left is what belongs under our own "data". */
static enum ad_err unwrap(struct ad_exchange *x, struct ad_buf *out)
{
    struct ad_errinfo info;
    const struct ad_json *doc = NULL;
    struct ad_str text = ad_arena_str(x->arena, ad_buf_str(out));
    if (!text.p) {
        return AD_ERR_NOMEM;
    }
    enum ad_err err = text.n ? ad_json_parse(x->arena, text, NULL, &doc, &info) : AD_OK;
    const struct ad_json *data = ad_json_get(doc, "data");
    ad_buf_clear(out);
    ad_buf_put(out, data ? data->raw : text.n ? text : AD_STR("{}"));
    return err ? err : ad_buf_status(out);
}

static void on_answer(struct ad_service_query *q)
{
    if (!q->err) {
        q->err = unwrap(q->data, q->out);
    }
    ad__api_answer(q->data, q, 200, AD__API_NO_CURSOR);
}

static struct ask *ask_new(struct ad_exchange *x)
{
    struct ask *ask = ad_arena_zalloc(x->arena, sizeof(*ask));
    if (!ask) {
        ad__api_problem(x, AD_ERR_NOMEM, NULL);
        return NULL;
    }
    ad_buf_init(&ask->out, AD__API_ANSWER_MAX);
    ask->w.q = (struct ad_service_query){ .out = &ask->out, .cb = on_answer, .data = x };
    return ask;
}

static void ask_run(struct ad_api *a, struct ask *ask, service_fn fn, enum ad_err err)
{
    if (!err) {
        err = fn(a->o.service, &ask->w);
    }
    if (err) {
        ask->w.q.err = err;
        ad__api_answer(ask->w.q.data, &ask->w.q, 200, AD__API_NO_CURSOR);
    }
}

void ad__api_webhooks_list(void *ctx, struct ad_exchange *x)
{
    struct ask *ask = ask_new(x);
    if (ask) {
        ask_run(ctx, ask, ad_service_webhooks_list, AD_OK);
    }
}

static enum ad_err read_replace(struct ad_exchange *x, struct ask *ask)
{
    static const char *const known[] = { "replace", NULL };
    struct ad_errinfo *info = &ask->w.q.info;
    const struct ad_json *doc = NULL;
    enum ad_err err = ad__api_body(x, known, &doc, info);
    const struct ad_json *v = err ? NULL : ad_json_get(doc, "replace");
    if (v && !ad_json_bool(v, &ask->w.replace)) {
        err = ad_fail(info, AD_ERR_INVALID, "replace must be true or false");
    }
    return err;
}

void ad__api_webhooks_ensure(void *ctx, struct ad_exchange *x)
{
    struct ask *ask = ask_new(x);
    if (ask) {
        ask_run(ctx, ask, ad_service_webhooks_ensure, read_replace(x, ask));
    }
}

void ad__api_webhooks_rotate(void *ctx, struct ad_exchange *x)
{
    struct ask *ask = ask_new(x);
    if (ask) {
        ask_run(ctx, ask, ad_service_webhooks_rotate, read_replace(x, ask));
    }
}

void ad__api_webhooks_delete(void *ctx, struct ad_exchange *x)
{
    struct ask *ask = ask_new(x);
    if (!ask) {
        return;
    }
    enum ad_err err = AD_OK;
    ask->w.id = x->params[0];
    if (!ad_str_is_uuid(ask->w.id)) {
        err = ad_fail(&ask->w.q.info, AD_ERR_NOTFOUND, "there is no such webhook");
    }
    ask_run(ctx, ask, ad_service_webhooks_delete, err);
}
