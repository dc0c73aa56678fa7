/* Changing records: drafts are applied, both sides of relationships kept equal, events sent. */
#include "base/mem.h"
#include "store_private.h"
#include "types.h"

void ad_sim_event_id(struct ad_sim_event *event, const char *key, const uint8_t *id)
{
    AD_ASSERT(event->n < AD_LEN(event->ids));
    event->ids[event->n].key = key;
    event->ids[event->n++].id = id;
}

void ad__sim_emit_record(struct ad_sim_store *s, enum ad__sim_happening what,
                         const struct ad_sim_record *r, const struct ad_sim_attr *a, uint8_t actor)
{
    static const char *const types[][3] = {
        [AD_SIM_OBJECT] = { "record.created", "record.updated", "record.deleted" },
        [AD_SIM_LIST] = { "list-entry.created", "list-entry.updated", "list-entry.deleted" },
    };
    bool entry = ad_sim_is_entry(r);
    struct ad_sim_event event = { .type = types[r->object->kind][what], .actor = actor };
    ad_sim_event_id(&event, "id.workspace_id", s->workspace_id);
    ad_sim_event_id(&event, entry ? "id.list_id" : "id.object_id", r->object->id);
    ad_sim_event_id(&event, entry ? "id.entry_id" : "id.record_id", r->id);
    if (a) {
        ad_sim_event_id(&event, "id.attribute_id", a->id);
    }
    if (entry) {
        ad_sim_event_id(&event, "parent_object_id", ad_sim_parent(r)->object->id);
        ad_sim_event_id(&event, "parent_record_id", ad_sim_parent(r)->id);
    }
    ad_sim_emit(s, &event);
}

/* --- Drafts --- */

void ad_sim_draft_add(struct ad_sim_draft *d, struct ad_sim_value v)
{
    d->values = ad_sim_grow(d->values, (d->n + 1) * sizeof(d->values[0]));
    d->values[d->n++] = v;
}

void ad_sim_draft_drop(struct ad_sim_draft *d)
{
    for (size_t i = 0; i < d->n; i++) {
        ad_sim_value_free(&d->values[i]);
    }
    ad_free(d->values);
    d->values = NULL;
    d->n = 0;
}

static bool draft_has(const struct ad_sim_draft *d, const struct ad_sim_value *v)
{
    for (size_t i = 0; i < d->n; i++) {
        if (ad_sim_value_equal(&d->values[i], v)) {
            return true;
        }
    }
    return false;
}

/* --- Applying them --- */

static struct ad_sim_value reference(const struct ad__sim_change *c, const struct ad_sim_attr *a,
                                     struct ad_sim_record *to)
{
    return (struct ad_sim_value){ .attr = a->place,
                                  .actor = c->actor,
                                  .type = AD_SIM_REFERENCE,
                                  .from_ns = c->now_ns,
                                  .u.record = to };
}

void ad__sim_drop_reference(const struct ad__sim_change *c, struct ad_sim_record *from,
                            const struct ad_sim_attr *a, struct ad_sim_record *to)
{
    struct ad_sim_value v = reference(c, a, to);
    int64_t at = ad__sim_find_equal(from, &v);
    if (at >= 0) {
        ad__sim_shadow(c->store, from, true);
        ad__sim_remove_at(from, (uint32_t)at, c->now_ns);
        ad__sim_emit_record(c->store, AD__SIM_UPDATED, from, a, c->actor);
    }
}

/* The other side of a relationship gains `r`; what a single-valued side pointed to before loses it
 * in turn. */
static void mirror_reference(const struct ad__sim_change *c, struct ad_sim_record *r,
                             const struct ad_sim_attr *a, struct ad_sim_record *target)
{
    const struct ad_sim_attr *b = a->partner;
    struct ad_sim_value v = reference(c, b, r);
    if (ad__sim_find_equal(target, &v) >= 0) {
        return;
    }
    ad__sim_shadow(c->store, target, true);
    uint32_t from = ad__sim_first_of(target, b->place);
    if (!b->multi && ad__sim_count_of(target, from, b->place) > 0) {
        struct ad_sim_record *before = target->values[from].u.record;
        ad__sim_remove_at(target, from, c->now_ns);
        ad__sim_drop_reference(c, before, a, target);
    }
    ad__sim_insert_at(target, ad__sim_first_of(target, b->place), v);
    ad__sim_emit_record(c->store, AD__SIM_UPDATED, target, b, c->actor);
}

/* Takes out what the draft replaces. True when something went. */
static bool take_out(const struct ad__sim_change *c, struct ad_sim_record *r,
                     const struct ad_sim_draft *d)
{
    bool changed = false;
    uint32_t i = ad__sim_first_of(r, d->attr->place);
    while (i < r->n && r->values[i].attr == d->attr->place) {
        struct ad_sim_value v = r->values[i];
        if (draft_has(d, &v)) {
            i++;
            continue;
        }
        ad__sim_remove_at(r, i, c->now_ns);
        changed = true;
        if (d->attr->partner) {
            ad__sim_drop_reference(c, v.u.record, d->attr->partner, r);
        }
    }
    return changed;
}

/* Puts in what is new, in the draft's order, in front. */
static bool put_in(const struct ad__sim_change *c, struct ad_sim_record *r, struct ad_sim_draft *d)
{
    bool changed = false;
    for (size_t i = d->n; i-- > 0;) {
        struct ad_sim_value *v = &d->values[i];
        v->attr = d->attr->place;
        v->actor = c->actor;
        v->from_ns = c->now_ns;
        if (ad__sim_find_equal(r, v) >= 0) {
            continue;
        }
        struct ad_sim_value taken = *v;
        v->u.i = 0;
        v->type = AD_SIM_NUMBER; /* nothing left to free */
        ad__sim_insert_at(r, ad__sim_first_of(r, taken.attr), taken);
        changed = true;
        if (d->attr->partner) {
            mirror_reference(c, r, d->attr, taken.u.record);
        }
    }
    return changed;
}

/* After values were kept and others put in front: the order that was written. */
static bool reorder(struct ad_sim_record *r, const struct ad_sim_draft *wanted)
{
    bool changed = false;
    uint32_t from = ad__sim_first_of(r, wanted->attr->place);
    for (uint32_t i = 0; i < wanted->n && from + i < r->n; i++) {
        uint32_t k = from + i;
        while (k < r->n && r->values[k].attr == wanted->attr->place &&
               !ad_sim_value_equal(&r->values[k], &wanted->values[i])) {
            k++;
        }
        if (k == from + i || k >= r->n || r->values[k].attr != wanted->attr->place) {
            continue;
        }
        struct ad_sim_value v = r->values[k];
        memmove(r->values + from + i + 1, r->values + from + i, (k - from - i) * sizeof(v));
        r->values[from + i] = v;
        changed = true;
    }
    return changed;
}

bool ad__sim_apply(const struct ad__sim_change *c, struct ad_sim_record *r, struct ad_sim_draft *d)
{
    struct ad_sim_draft order = { .attr = d->attr };
    bool changed = false;
    if (!d->prepend) {
        for (size_t i = 0; i < d->n; i++) {
            struct ad_sim_value v = ad_sim_value_copy(&d->values[i]);
            v.attr = d->attr->place;
            ad_sim_draft_add(&order, v);
        }
        changed = take_out(c, r, d);
    }
    changed = put_in(c, r, d) || changed;
    changed = reorder(r, &order) || changed;
    ad_sim_draft_drop(&order);
    return changed;
}

size_t ad_sim_record_write(struct ad_sim_store *s, struct ad_sim_record *r,
                           struct ad_sim_draft *drafts, size_t n, uint8_t actor)
{
    struct ad__sim_change c = { .store = s, .now_ns = ad_sim_now(s), .actor = actor };
    size_t changed = 0;
    ad__sim_shadow(s, r, true);
    for (size_t i = 0; i < n; i++) {
        if (ad__sim_apply(&c, r, &drafts[i])) {
            changed++;
            ad__sim_emit_record(s, AD__SIM_UPDATED, r, drafts[i].attr, actor);
        }
        ad_sim_draft_drop(&drafts[i]);
    }
    return changed;
}
