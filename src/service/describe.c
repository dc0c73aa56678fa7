#include "service/describe.h"

#include "service_private.h"

struct work {
    struct ad_mirror_describe d;
    struct ad_service *s;
    struct ad_service_query *q;
};

static void on_described(struct ad_mirror_describe *d)
{
    struct work *w = d->data;
    struct ad_service *s = w->s;
    struct ad_service_query *q = w->q;
    q->err = d->err;
    q->info = d->info;
    ad_free(w);
    q->cb(q);
    ad__question_end(s);
}

enum ad_err ad_service_schema(struct ad_service *s, struct ad_service_query *q)
{
    if (s->closing) {
        return AD_ERR_CLOSED;
    }
    struct work *w = ad_zalloc(sizeof(*w));
    if (!w) {
        return AD_ERR_NOMEM;
    }
    w->s = s;
    w->q = q;
    w->d = (struct ad_mirror_describe){ .out = q->out, .cb = on_described, .data = w };
    enum ad_err err = ad_mirror_describe(s->o.mirror, &w->d);
    if (err) {
        q->info = w->d.info;
        ad_free(w);
    } else {
        ad__question_begin(s);
    }
    return err;
}
