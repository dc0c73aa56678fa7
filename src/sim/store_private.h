/* Between the files of the store (store, sets, values, shadow, change, life, merge). */
#ifndef AD_SIM_STORE_PRIVATE_H
#define AD_SIM_STORE_PRIVATE_H

#include "model.h"

/* store.c: three texts as one, and its end */
struct ad_str ad__sim_text3(const char *before, const char *word, const char *after);
void ad__sim_free_str(struct ad_str s);

/* sets.c */
void ad__sim_set_free(struct ad_sim_object *o);

/* values.c: places in record->values */
uint32_t ad__sim_first_of(const struct ad_sim_record *r, uint16_t place);
uint32_t ad__sim_count_of(const struct ad_sim_record *r, uint32_t from, uint16_t place);
/* Place of an equal value of the same attribute, or -1. */
int64_t ad__sim_find_equal(const struct ad_sim_record *r, const struct ad_sim_value *v);
void ad__sim_insert_at(struct ad_sim_record *r, uint32_t at, struct ad_sim_value v);
/* The value goes into the record's past. */
void ad__sim_remove_at(struct ad_sim_record *r, uint32_t at, int64_t now_ns);
void ad__sim_unique_put(struct ad_sim_record *r, const struct ad_sim_value *v);
void ad__sim_unique_remove(struct ad_sim_record *r, const struct ad_sim_value *v);
void ad__sim_free_past(struct ad_sim_record *r);
void ad__sim_free_values(struct ad_sim_record *r);

/* shadow.c: called before each change; `existed` is false for a record just made */
void ad__sim_shadow(struct ad_sim_store *s, struct ad_sim_record *r, bool existed);
void ad__sim_shadow_fini(struct ad_sim_store *s);

/* change.c */
struct ad__sim_change {
    struct ad_sim_store *store;
    int64_t now_ns;
    uint8_t actor;
};
enum ad__sim_happening { AD__SIM_CREATED, AD__SIM_UPDATED, AD__SIM_DELETED };
/* record.* or list-entry.*; `a` only when one attribute changed. */
void ad__sim_emit_record(struct ad_sim_store *s, enum ad__sim_happening what,
                         const struct ad_sim_record *r, const struct ad_sim_attr *a, uint8_t actor);
bool ad__sim_apply(const struct ad__sim_change *c, struct ad_sim_record *r, struct ad_sim_draft *d);
/* One side of a relationship loses a reference; the event names that side. */
void ad__sim_drop_reference(const struct ad__sim_change *c, struct ad_sim_record *from,
                            const struct ad_sim_attr *a, struct ad_sim_record *to);

/* referrers.c: attributes without another side that refer to `from` refer to `to` instead, or to
 * nothing when it is NULL; each record with its event. */
void ad__sim_retarget(const struct ad__sim_change *c, struct ad_sim_record *from,
                      struct ad_sim_record *to);

/* life.c: in and out of the object's indexes */
void ad__sim_place(struct ad_sim_object *o, struct ad_sim_record *r);
/* Only by id; not found by walks until it is placed. */
void ad__sim_place_by_id(struct ad_sim_object *o, struct ad_sim_record *r);
void ad__sim_place_by_time(struct ad_sim_object *o, struct ad_sim_record *r);
void ad__sim_unplace(struct ad_sim_object *o, struct ad_sim_record *r);
/* The struct itself stays: one-way references, old values and shadows may still name it. */
void ad__sim_bury(struct ad_sim_store *s, struct ad_sim_record *r);
void ad__sim_free_record(struct ad_sim_record *r);

#endif
