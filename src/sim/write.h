/* Values on their way into a record or an entry: what the body says becomes drafts, and drafts are
 * checked before anything is changed.
 *
 *   struct ad_sim_write w = { .call = c, .object = set };
 *   if (ad_sim_write_parse(&w) && ad_sim_write_may_insert(&w)) {
 *       ad_sim_record_create(c->store, set, w.drafts, w.n, actor);
 *   }
 *   ad_sim_write_drop(&w);
 *
 * Every function that returns false has set the whole error. */
#ifndef AD_SIM_WRITE_H
#define AD_SIM_WRITE_H

#include "call.h"
#include "types.h"

struct ad_sim_write {
    struct ad_sim_call *call;
    struct ad_sim_object *object; /* or list */
    struct ad_sim_draft *drafts;
    size_t n;
};

/* From data.values, or data.entry_values for a list. Drafts replace; callers that append set
 * `prepend`. */
AD_MUST_CHECK bool ad_sim_write_parse(struct ad_sim_write *w);
/* One attribute's values as written, bare or in an array, into a draft of w. */
AD_MUST_CHECK bool ad_sim_write_list(struct ad_sim_write *w, struct ad_sim_draft *d,
                                     const struct ad_json *in);
/* Fills in defaults; required attributes have values; nobody else holds a unique one. */
AD_MUST_CHECK bool ad_sim_write_may_insert(struct ad_sim_write *w);
/* Required attributes are not emptied; nobody but `r` holds a unique value. */
AD_MUST_CHECK bool ad_sim_write_may_update(struct ad_sim_write *w, const struct ad_sim_record *r);
/* What was not applied is freed. Always called at the end. */
void ad_sim_write_drop(struct ad_sim_write *w);

/* The draft of that attribute, or NULL. */
struct ad_sim_draft *ad_sim_write_draft(const struct ad_sim_write *w, const struct ad_sim_attr *a);
/* 400 missing_value. */
void ad_sim_report_required(struct ad_sim_call *c, const struct ad_sim_attr *a);
/* A draft for each attribute that has a default and was not written (defaults.c). */
AD_MUST_CHECK bool ad_sim_defaults_add(struct ad_sim_write *w);
/* May `v` be the default of that attribute? */
AD_MUST_CHECK bool ad_sim_default_ok(const struct ad_sim_attr *a, const struct ad_json *v);

#endif
