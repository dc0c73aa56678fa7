/* The audit log as the api sees it: every operator's action is begun there before it is done, and
 * ended with its outcome. */
#ifndef AD_SERVICE_AUDIT_H
#define AD_SERVICE_AUDIT_H

#include "service/sync.h"

struct ad_audited;

/* Caller-owned from begin until it was ended, zeroed first; slices as well. */
struct ad_audited {
    /* set by the caller */
    struct ad_str actor, action, target; /* attio/audit.h says what they may hold */
    void (*cb)(struct ad_audited *e);
    void *data;
    /* result */
    enum ad_err err;
    struct ad_errinfo info;
    /* private */
    int64_t id;
    void *impl;
};
/* OK: cb comes exactly once, later; when it brings OK, the action may be done and ad_service_audit_end
 * is owed. Anything else: nothing may be done. */
AD_MUST_CHECK enum ad_err ad_service_audit_begin(struct ad_service *s, struct ad_audited *e);
/* `outcome`: "ok" or an error's name; `target` replaces what begin said where it is not absent. */
void ad_service_audit_end(struct ad_service *s, const struct ad_audited *e, const char *outcome,
                          struct ad_str target);

struct ad_audit_question {
    struct ad_service_query q;
    struct ad_str actor, action; /* absent: any */
    int64_t before;
    unsigned limit;      /* 1 to 500 */
    int64_t next_before; /* result */
};
AD_MUST_CHECK enum ad_err ad_service_audit_list(struct ad_service *s, struct ad_audit_question *a);

#endif
