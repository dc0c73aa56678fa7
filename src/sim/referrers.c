/* One-way references: who points at a record that goes away. There is no index of them: only sets
 * that have such an attribute are walked. */
#include "store_private.h"

static bool may_refer(const struct ad_sim_attr *a, const struct ad_sim_object *to)
{
    if (a->type != AD_SIM_REFERENCE || a->made != AD_SIM_STORED || a->partner) {
        return false;
    }
    for (size_t i = 0; i < a->allowed_n; i++) {
        if (a->allowed[i] == to) {
            return true;
        }
    }
    return a->allowed_n == 0;
}

static void retarget_value(const struct ad__sim_change *c, struct ad_sim_record *r,
                           const struct ad_sim_attr *a, struct ad_sim_record *from,
                           struct ad_sim_record *to)
{
    struct ad_sim_value v = { .attr = a->place,
                              .actor = c->actor,
                              .type = AD_SIM_REFERENCE,
                              .from_ns = c->now_ns,
                              .u.record = from };
    int64_t at = ad__sim_find_equal(r, &v);
    if (at < 0) {
        return;
    }
    ad__sim_shadow(c->store, r, true);
    ad__sim_remove_at(r, (uint32_t)at, c->now_ns);
    v.u.record = to;
    if (to && ad__sim_find_equal(r, &v) < 0) {
        ad__sim_insert_at(r, (uint32_t)at, v);
    }
    ad__sim_emit_record(c->store, AD__SIM_UPDATED, r, a, c->actor);
}

static void retarget_attr(const struct ad__sim_change *c, const struct ad_sim_attr *a,
                          struct ad_sim_record *from, struct ad_sim_record *to)
{
    for (size_t i = 0; i < a->object->n; i++) {
        retarget_value(c, a->object->sorted[i], a, from, to);
    }
    for (size_t i = 0; i < c->store->merging_n; i++) {
        if (c->store->merging[i].record->object == a->object) {
            retarget_value(c, c->store->merging[i].record, a, from, to);
        }
    }
}

static void retarget_set(const struct ad__sim_change *c, const struct ad_sim_object *o,
                         struct ad_sim_record *from, struct ad_sim_record *to)
{
    for (size_t i = 0; i < o->attrs_n; i++) {
        if (may_refer(o->attrs[i], from->object)) {
            retarget_attr(c, o->attrs[i], from, to);
        }
    }
}

void ad__sim_retarget(const struct ad__sim_change *c, struct ad_sim_record *from,
                      struct ad_sim_record *to)
{
    const struct ad_sim_store *s = c->store;
    for (size_t i = 0; i < s->objects_n; i++) {
        retarget_set(c, s->objects[i], from, to);
    }
    for (size_t i = 0; i < s->lists_n && !ad_sim_is_entry(from); i++) {
        retarget_set(c, s->lists[i], from, to);
    }
}
