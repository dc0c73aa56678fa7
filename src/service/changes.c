#include "service/changes.h"

#include "attio/changes.h"
#include "service_private.h"

struct reading {
    struct ad_changes_list list;
    struct ad_service *s;
    struct ad_changes_query *c;
};

static void on_listed(struct ad_changes_list *l)
{
    struct reading *w = l->data;
    struct ad_changes_query *c = w->c;
    struct ad_service *s = w->s;
    c->q.err = l->err;
    c->q.info = l->info;
    c->next = l->last;
    ad_free(w);
    c->q.cb(&c->q);
    ad__question_end(s);
}

enum ad_err ad_service_changes(struct ad_service *s, struct ad_changes_query *c)
{
    struct ad_errinfo *info = &c->q.info;
    const struct ad_object *o = c->object.p ? ad_schema_find(s->o.schema, c->object) : NULL;
    if (s->closing) {
        return ad_fail(info, AD_ERR_CLOSED, "closing");
    }
    if (c->object.p && !o) {
        return ad_fail(info, AD_ERR_NOTFOUND, "no object '%.*s'", AD_FMT(c->object));
    }
    struct reading *w = ad_zalloc(sizeof(*w));
    if (!w) {
        return ad_fail(info, AD_ERR_NOMEM, "no memory");
    }
    w->s = s;
    w->c = c;
    w->list = (struct ad_changes_list){ .after = c->after,
                                        .object = o,
                                        .max = c->limit ? c->limit : 100,
                                        .out = c->q.out,
                                        .cb = on_listed,
                                        .data = w };
    enum ad_err err = ad_changes_list(s->o.mirror, &w->list);
    if (err) {
        *info = w->list.info;
        ad_free(w);
    } else {
        ad__question_begin(s);
    }
    return err;
}
