/* What may become of an attribute. */
#ifndef AD_SIM_ATTRIBUTES_H
#define AD_SIM_ATTRIBUTES_H

#include "call.h"
#include "types.h"

/* Checks the body of a POST (attribute_check.c). *other is the object on the far side of a
 * relationship, or NULL. False: the error has been set. */
AD_MUST_CHECK bool ad_sim_attr_new_ok(struct ad_sim_call *c, const struct ad_sim_object *o,
                                      enum ad_sim_type_id *type, struct ad_sim_object **other);
/* Likewise of a PATCH. */
AD_MUST_CHECK bool ad_sim_attr_change_ok(struct ad_sim_call *c, const struct ad_sim_attr *a);

/* object-attribute.* or list-attribute.*. */
void ad_sim_attr_emit(struct ad_sim_store *s, bool created, const struct ad_sim_attr *a,
                      uint8_t actor);
/* Becoming unique indexes what is there: of equal values the oldest record counts. */
void ad_sim_attr_set_unique(struct ad_sim_attr *a, bool unique);
/* Another type (retype.c): values are read anew from their text, as if somebody had typed them;
 * those that make no sense are gone, options are made as needed. No events of records. */
void ad_sim_retype(struct ad_sim_attr *a, enum ad_sim_type_id type, bool multi);

#endif
