#include "service/webhooks.h"

#include "service_private.h"

struct work {
    struct ad_account_op op;
    struct ad_service *s;
    struct ad_webhooks_query *w;
};

static void on_answer(struct ad_account_op *op)
{
    struct work *k = op->data;
    struct ad_webhooks_query *w = k->w;
    /* What is too large is Attio's answer, nothing that the caller sent. */
    w->q.err = op->err == AD_ERR_TOOLARGE ? AD_ERR_UPSTREAM : op->err;
    w->q.info = op->info;
    w->q.info.code = w->q.err;
    struct ad_service *s = k->s;
    if (!s->closing) {
        ad__watch_saw(s->watch, op);
    }
    ad_free(k);
    w->q.cb(&w->q);
    ad__question_end(s);
}

typedef enum ad_err (*account_fn)(struct ad_account *a, struct ad_account_op *op);

static enum ad_err start(struct ad_service *s, struct ad_webhooks_query *w, account_fn fn)
{
    if (!s->receiver) {
        return ad_fail(&w->q.info, AD_ERR_CONFIG,
                       "ATTIOD_PUBLIC_URL is not set: there is no webhook of ours");
    }
    if (s->closing) {
        return ad_fail(&w->q.info, AD_ERR_CLOSED, "closing");
    }
    struct work *k = ad_zalloc(sizeof(*k));
    if (!k) {
        return ad_fail(&w->q.info, AD_ERR_NOMEM, "no memory");
    }
    k->w = w;
    k->s = s;
    k->op = (struct ad_account_op){
        .url = ad_str_c(s->receiver),
        .events = s->o.webhook_events,
        .replace = w->replace,
        .id = w->id,
        .out = w->q.out,
        .cb = on_answer,
        .data = k,
    };
    enum ad_err err = fn(s->o.account, &k->op);
    if (err) {
        w->q.info = k->op.info;
        ad_free(k);
    } else {
        ad__question_begin(s);
    }
    return err;
}

enum ad_err ad_service_webhooks_list(struct ad_service *s, struct ad_webhooks_query *w)
{
    return start(s, w, ad_account_webhook_list);
}

enum ad_err ad_service_webhooks_ensure(struct ad_service *s, struct ad_webhooks_query *w)
{
    return start(s, w, ad_account_webhook_ensure);
}

enum ad_err ad_service_webhooks_rotate(struct ad_service *s, struct ad_webhooks_query *w)
{
    return start(s, w, ad_account_webhook_rotate);
}

enum ad_err ad_service_webhooks_delete(struct ad_service *s, struct ad_webhooks_query *w)
{
    return start(s, w, ad_account_webhook_delete);
}
