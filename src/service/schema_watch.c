#include "service_private.h"

/* One refresh answers every attribute event that arrived before it was asked for. */
struct watch {
    struct ad_list link;
    struct ad_invocation *inv;
    struct ad_schema_wait wait;
    struct ad_schema_watch *owner;
};

struct ad_schema_watch {
    struct ad_service *s;
    struct ad_handler handler;
    struct ad_list waiting;
};

static void on_refreshed(struct ad_schema_wait *wait)
{
    struct watch *w = wait->data;
    struct ad_invocation *inv = w->inv;
    enum ad_err err = wait->err;
    ad_list_remove(&w->link);
    ad_free(w);
    ad_invocation_done(inv, err ? AD_OUTCOME_RETRY : AD_OUTCOME_DONE, ad_err_text(err));
}

static void run(void *ctx, struct ad_invocation *inv)
{
    struct ad_schema_watch *o = ctx;
    struct watch *w = ad_zalloc(sizeof(*w));
    if (w) {
        w->inv = inv;
        w->owner = o;
        w->wait = (struct ad_schema_wait){ .cb = on_refreshed, .data = w };
        ad_list_push(&o->waiting, &w->link);
        if (!ad_schema_refresh(o->s->o.schema, AD_PRIO_PULL, &w->wait)) {
            return;
        }
        ad_list_remove(&w->link);
        ad_free(w);
    }
    ad_invocation_done(inv, AD_OUTCOME_RETRY, "schema refresh could not start");
}

static const char *const types[] = { "object-attribute.*", "list.*", "list-attribute.*", NULL };

enum ad_err ad__schema_watch_open(struct ad_service *s, struct ad_schema_watch **out)
{
    struct ad_schema_watch *o = ad_zalloc(sizeof(*o));
    if (!o) {
        return AD_ERR_NOMEM;
    }
    o->s = s;
    ad_list_init(&o->waiting);
    o->handler = (struct ad_handler){
        .abi = AD_HANDLER_ABI,
        .name = "schema",
        .types = types,
        .mode = AD_HANDLER_LATEST,
        .concurrency = 100,
        .timeout_ms = 300000,
        .max_attempts = 50,
        .run = run,
        .ctx = o,
    };
    *out = o;
    return AD_OK;
}

const struct ad_handler *ad__schema_watch_handler(const struct ad_schema_watch *w)
{
    return &w->handler;
}

void ad__schema_watch_close(struct ad_schema_watch *o)
{
    for (struct ad_list *l = ad_list_pop(&o->waiting); l; l = ad_list_pop(&o->waiting)) {
        struct watch *w = ad_container_of(l, struct watch, link);
        ad_schema_wait_cancel(o->s->o.schema, &w->wait);
        ad_invocation_done(w->inv, AD_OUTCOME_RETRY, "closing");
        ad_free(w);
    }
    ad_free(o);
}
