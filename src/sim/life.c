/* Records come and go. */
#include "activity.h"
#include "base/mem.h"
#include "store_private.h"
#include "types.h"

struct ad_sim_record *ad_sim_record_find(const struct ad_sim_object *o, const uint8_t id[16])
{
    struct ad_map_node *node = ad_map_get(&o->by_id, ad_str_n((const char *)id, 16));
    return node ? ad_container_of(node, struct ad_sim_record, node) : NULL;
}

size_t ad_sim_sorted_from(const struct ad_sim_object *o, int64_t ns)
{
    size_t low = 0;
    size_t high = o->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (o->sorted[mid]->created_ns < ns) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

void ad__sim_place_by_time(struct ad_sim_object *o, struct ad_sim_record *r)
{
    if (o->n == o->cap) {
        o->cap = o->cap ? o->cap * 2 : 64;
        o->sorted = ad_sim_grow(o->sorted, o->cap * sizeof(struct ad_sim_record *));
    }
    size_t at = o->n;
    if (at > 0 && o->sorted[at - 1]->created_ns > r->created_ns) {
        at = ad_sim_sorted_from(o, r->created_ns + 1);
        memmove(o->sorted + at + 1, o->sorted + at, (o->n - at) * sizeof(struct ad_sim_record *));
    }
    o->sorted[at] = r;
    o->n++;
}

void ad__sim_place_by_id(struct ad_sim_object *o, struct ad_sim_record *r)
{
    ad_map_put(&o->by_id, &r->node, ad_str_n((const char *)r->id, sizeof(r->id)));
}

void ad__sim_place(struct ad_sim_object *o, struct ad_sim_record *r)
{
    ad__sim_place_by_time(o, r);
    ad__sim_place_by_id(o, r);
}

static void seed_into(struct ad_sim_object *o, struct ad_sim_record *r, int64_t created_ns,
                      uint8_t actor)
{
    ad_sim_new_id(&o->rand, r->id);
    r->object = o;
    r->created_ns = created_ns;
    r->actor = actor;
    ad__sim_place(o, r);
}

struct ad_sim_record *ad_sim_record_seed(struct ad_sim_object *o, int64_t created_ns, uint8_t actor)
{
    struct ad_sim_record *r = ad_sim_alloc(sizeof(*r));
    seed_into(o, r, created_ns, actor);
    return r;
}

struct ad_sim_entry *ad_sim_entry_seed(struct ad_sim_object *list, struct ad_sim_record *parent,
                                       int64_t created_ns, uint8_t actor)
{
    struct ad_sim_entry *e = ad_sim_alloc(sizeof(*e));
    e->parent = parent;
    seed_into(list, &e->record, created_ns, actor);
    ad_sim_listed_put(list->store, e);
    return e;
}

static void fill(const struct ad__sim_change *c, struct ad_sim_record *r,
                 struct ad_sim_draft *drafts, size_t n)
{
    ad__sim_shadow(c->store, r, false);
    ad__sim_emit_record(c->store, AD__SIM_CREATED, r, NULL, c->actor);
    for (size_t i = 0; i < n; i++) {
        AD_IGNORE(ad__sim_apply(c, r, &drafts[i]), "a new record differs from nothing");
        ad_sim_draft_drop(&drafts[i]);
    }
}

struct ad_sim_record *ad_sim_record_create(struct ad_sim_store *s, struct ad_sim_object *o,
                                           struct ad_sim_draft *drafts, size_t n, uint8_t actor)
{
    struct ad__sim_change c = { .store = s, .now_ns = ad_sim_now(s), .actor = actor };
    struct ad_sim_record *r = ad_sim_record_seed(o, c.now_ns, actor);
    fill(&c, r, drafts, n);
    return r;
}

struct ad_sim_entry *ad_sim_entry_create(struct ad_sim_store *s, struct ad_sim_object *list,
                                         struct ad_sim_record *parent, struct ad_sim_draft *drafts,
                                         size_t n, uint8_t actor)
{
    struct ad__sim_change c = { .store = s, .now_ns = ad_sim_now(s), .actor = actor };
    struct ad_sim_entry *e = ad_sim_entry_seed(list, parent, c.now_ns, actor);
    fill(&c, &e->record, drafts, n);
    return e;
}

void ad__sim_unplace(struct ad_sim_object *o, struct ad_sim_record *r)
{
    size_t at = ad_sim_sorted_from(o, r->created_ns);
    while (o->sorted[at] != r) {
        at++;
    }
    memmove(o->sorted + at, o->sorted + at + 1, (o->n - at - 1) * sizeof(struct ad_sim_record *));
    o->n--;
    ad_map_remove(&o->by_id, &r->node);
}

void ad__sim_bury(struct ad_sim_store *s, struct ad_sim_record *r)
{
    ad__sim_free_past(r);
    ad__sim_free_values(r);
    r->node.next = s->graves ? &s->graves->node : NULL;
    s->graves = r;
}

/* Attio does not say; entries without a record could not be read. */
/* NOLINTNEXTLINE(misc-no-recursion): once; an entry has no entries */
static void delete_entries(struct ad_sim_store *s, struct ad_sim_record *r, uint8_t actor)
{
    struct ad_sim_entry *e = ad_sim_is_entry(r) ? NULL : ad_sim_entries_of(s, r);
    while (e) {
        struct ad_sim_entry *next = e->next;
        ad_sim_record_delete(s, &e->record, actor);
        e = next;
    }
}

/* NOLINTNEXTLINE(misc-no-recursion): once; an entry has no entries */
void ad_sim_record_delete(struct ad_sim_store *s, struct ad_sim_record *r, uint8_t actor)
{
    struct ad__sim_change c = { .store = s, .now_ns = ad_sim_now(s), .actor = actor };
    delete_entries(s, r, actor);
    ad_sim_activity_forget(s, r, actor);
    ad__sim_retarget(&c, r, NULL);
    ad__sim_shadow(s, r, true);
    ad__sim_unplace(r->object, r);
    r->deleted = true;
    while (r->n > 0) {
        struct ad_sim_value v = r->values[r->n - 1];
        const struct ad_sim_attr *a = r->object->attrs[v.attr];
        ad__sim_unique_remove(r, &v);
        r->n--;
        if (v.type == AD_SIM_REFERENCE && a->partner) {
            ad__sim_drop_reference(&c, v.u.record, a->partner, r);
        }
        ad_sim_value_free(&v);
    }
    ad__sim_emit_record(s, AD__SIM_DELETED, r, NULL, actor);
    if (ad_sim_is_entry(r)) {
        ad_sim_listed_remove(s, ad_container_of(r, struct ad_sim_entry, record));
    }
    ad__sim_bury(s, r);
}
