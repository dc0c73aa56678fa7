#include "service/audit.h"

#include "attio/audit.h"
#include "service_private.h"

struct begun {
    struct ad_audit_entry entry;
    struct ad_service *s;
    struct ad_audited *e;
};

static void on_begun(struct ad_audit_entry *entry)
{
    struct begun *b = entry->data;
    struct ad_service *s = b->s;
    struct ad_audited *e = b->e;
    e->err = entry->err;
    e->info = entry->info;
    e->id = entry->id;
    ad_free(b);
    e->cb(e);
    ad__question_end(s);
}

enum ad_err ad_service_audit_begin(struct ad_service *s, struct ad_audited *e)
{
    if (s->closing) {
        return ad_fail(&e->info, AD_ERR_CLOSED, "closing");
    }
    struct begun *b = ad_zalloc(sizeof(*b));
    if (!b) {
        return ad_fail(&e->info, AD_ERR_NOMEM, "no memory");
    }
    b->s = s;
    b->e = e;
    b->entry = (struct ad_audit_entry){
        .actor = e->actor, .action = e->action, .target = e->target, .cb = on_begun, .data = b
    };
    enum ad_err err = ad_audit_begin(s->o.audit, &b->entry);
    if (err) {
        e->info = b->entry.info;
        ad_free(b);
        return err;
    }
    ad__question_begin(s);
    return AD_OK;
}

void ad_service_audit_end(struct ad_service *s, const struct ad_audited *e, const char *outcome,
                          struct ad_str target)
{
    const struct ad_audit_entry entry = {
        .actor = e->actor, .action = e->action, .target = e->target, .id = e->id
    };
    ad_audit_end(s->o.audit, &entry, outcome, target);
}

/* --- Listing ------------------------------------------------------------------------------ */

struct listing {
    struct ad_audit_query query;
    struct ad_service *s;
    struct ad_audit_question *a;
};

static void on_listed(struct ad_audit_query *query)
{
    struct listing *l = query->data;
    struct ad_service *s = l->s;
    struct ad_audit_question *a = l->a;
    a->q.err = query->err;
    a->q.info = query->info;
    a->next_before = query->next_before;
    ad_free(l);
    a->q.cb(&a->q);
    ad__question_end(s);
}

enum ad_err ad_service_audit_list(struct ad_service *s, struct ad_audit_question *a)
{
    if (s->closing) {
        return ad_fail(&a->q.info, AD_ERR_CLOSED, "closing");
    }
    struct listing *l = ad_zalloc(sizeof(*l));
    if (!l) {
        return ad_fail(&a->q.info, AD_ERR_NOMEM, "no memory");
    }
    l->s = s;
    l->a = a;
    l->query = (struct ad_audit_query){ .actor = a->actor,
                                        .action = a->action,
                                        .before = a->before,
                                        .limit = a->limit,
                                        .out = a->q.out,
                                        .cb = on_listed,
                                        .data = l };
    enum ad_err err = ad_audit_list(s->o.audit, &l->query);
    if (err) {
        a->q.info = l->query.info;
        ad_free(l);
        return err;
    }
    ad__question_begin(s);
    return AD_OK;
}
