/* Two records become one. */
#include "activity.h"
#include "base/mem.h"
#include "store_private.h"
#include "types.h"

struct move {
    struct ad__sim_change change;
    struct ad_sim_record *from, *to;
};

/* The other side of a relationship refers to the record that has the values now. */
static void follow(const struct move *m, const struct ad_sim_attr *back,
                   struct ad_sim_record *other)
{
    struct ad_sim_value v = { .attr = back->place,
                              .actor = m->change.actor,
                              .type = AD_SIM_REFERENCE,
                              .from_ns = m->change.now_ns,
                              .u.record = m->from };
    int64_t at = ad__sim_find_equal(other, &v);
    AD_ASSERT(at >= 0);
    ad__sim_shadow(m->change.store, other, true);
    ad__sim_remove_at(other, (uint32_t)at, m->change.now_ns);
    v.u.record = m->to;
    ad__sim_insert_at(other, (uint32_t)at, v);
    ad__sim_emit_record(m->change.store, AD__SIM_UPDATED, other, back, m->change.actor);
}

/* Not moved: the survivor has such a value already, or it would refer to itself. */
static bool is_superfluous(const struct move *m, const struct ad_sim_attr *a,
                           const struct ad_sim_value *v)
{
    uint32_t from = ad__sim_first_of(m->to, a->place);
    bool full = !a->multi && ad__sim_count_of(m->to, from, a->place) > 0;
    bool itself = v->type == AD_SIM_REFERENCE && (v->u.record == m->from || v->u.record == m->to);
    return full || itself || ad__sim_find_equal(m->to, v) >= 0;
}

static void move_value(const struct move *m, struct ad_sim_value v)
{
    const struct ad_sim_attr *a = m->from->object->attrs[v.attr];
    if (is_superfluous(m, a, &v)) {
        if (a->partner) {
            ad__sim_drop_reference(&m->change, v.u.record, a->partner, m->from);
        }
        ad_sim_value_free(&v);
        return;
    }
    if (a->partner) {
        follow(m, a->partner, v.u.record);
    }
    ad_sim_value_append(m->to, v);
}

static void move_entries(const struct move *m)
{
    struct ad_sim_store *s = m->change.store;
    struct ad_sim_entry *e = NULL;
    while ((e = ad_sim_entries_of(s, m->from)) != NULL) {
        ad_sim_listed_remove(s, e);
        e->parent = m->to;
        ad_sim_listed_put(s, e);
    }
}

/* `from` is empty and gone afterwards. */
static void move_all(const struct move *m)
{
    struct ad_sim_record *from = m->from;
    ad__sim_shadow(m->change.store, from, true);
    ad__sim_unplace(from->object, from);
    while (from->n > 0) {
        struct ad_sim_value v = from->values[0];
        ad__sim_unique_remove(from, &v);
        memmove(from->values, from->values + 1, (from->n - 1) * sizeof(v));
        from->n--;
        move_value(m, v);
    }
    from->deleted = true;
    move_entries(m);
    ad_sim_activity_move(m->change.store, from, m->to, m->change.actor);
    ad__sim_retarget(&m->change, from, m->to);
    ad__sim_bury(m->change.store, from);
}

static void emit_merged(const struct ad__sim_change *c, const struct ad_sim_record *result,
                        const struct ad_sim_record *original)
{
    struct ad_sim_event event = { .type = "record.merged", .actor = c->actor };
    ad_sim_event_id(&event, "id.workspace_id", c->store->workspace_id);
    ad_sim_event_id(&event, "id.object_id", result->object->id);
    ad_sim_event_id(&event, "id.record_id", result->id);
    ad_sim_event_id(&event, "duplicate_object_id", original->object->id);
    ad_sim_event_id(&event, "duplicate_record_id", original->id);
    ad_sim_emit(c->store, &event);
}

static struct ad_sim_record *third_record(const struct ad__sim_change *c, struct ad_sim_object *o)
{
    struct ad_sim_record *r = ad_sim_alloc(sizeof(*r));
    ad_sim_new_id(&o->rand, r->id);
    r->object = o;
    r->created_ns = c->now_ns;
    r->actor = c->actor;
    ad__sim_place(o, r);
    return r;
}

/* Out of every walk until it is settled; its id and its unique values are known. */
static void hide(struct ad_sim_store *s, struct ad_sim_record *r)
{
    if (s->merge.apply_ms == 0) {
        return;
    }
    ad__sim_unplace(r->object, r);
    ad__sim_place_by_id(r->object, r);
    r->merging = true;
    s->merging = ad_sim_grow(s->merging, (s->merging_n + 1) * sizeof(s->merging[0]));
    s->merging[s->merging_n++] =
        (struct ad_sim_merging){ r, ad_mono_ms(s->clock) + s->merge.apply_ms };
}

struct ad_sim_record *ad_sim_merge(struct ad_sim_store *s, struct ad_sim_record *primary,
                                   struct ad_sim_record *secondary, uint8_t actor)
{
    struct move m = { .change = { .store = s, .now_ns = ad_sim_now(s), .actor = actor } };
    AD_ASSERT(primary != secondary && primary->object == secondary->object && !primary->merging &&
              !secondary->merging);
    m.to = primary;
    if (!s->merge.old) {
        m.to = third_record(&m.change, primary->object);
        m.from = primary;
        move_all(&m);
    }
    m.from = secondary;
    ad__sim_shadow(s, m.to, s->merge.old);
    move_all(&m);
    hide(s, m.to);
    if (!s->merge.old) {
        emit_merged(&m.change, m.to, primary);
    }
    emit_merged(&m.change, m.to, secondary);
    return m.to;
}

void ad_sim_merges_settle(struct ad_sim_store *s)
{
    if (s->merging_n == 0) {
        return;
    }
    uint64_t now_ms = ad_mono_ms(s->clock);
    for (size_t i = s->merging_n; i-- > 0;) {
        struct ad_sim_record *r = s->merging[i].record;
        if (s->merging[i].until_ms <= now_ms) {
            r->merging = false;
            ad__sim_place_by_time(r->object, r);
            s->merging[i] = s->merging[--s->merging_n];
        }
    }
}
