/* How far the runs are. */
#include "service/sync.h"

#include "service_private.h"

struct listing {
    struct ad_sync_list list;
    struct ad_service *s;
    struct ad_service_query *q;
};

static void on_listed(struct ad_sync_list *l)
{
    struct listing *w = l->data;
    struct ad_service_query *q = w->q;
    q->err = l->err;
    q->info = l->info;
    struct ad_service *s = w->s;
    ad_free(w);
    q->cb(q);
    ad__question_end(s);
}

enum ad_err ad_service_sync_list(struct ad_service *s, struct ad_service_query *q)
{
    if (s->closing) {
        return AD_ERR_CLOSED;
    }
    struct listing *w = ad_zalloc(sizeof(*w));
    if (!w) {
        return AD_ERR_NOMEM;
    }
    w->q = q;
    w->s = s;
    w->list = (struct ad_sync_list){ .out = q->out, .cb = on_listed, .data = w };
    enum ad_err err = ad_sync_list(s->o.sync_state, &w->list);
    if (err) {
        ad_free(w);
    } else {
        ad__question_begin(s);
    }
    return err;
}
