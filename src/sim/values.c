/* The values of one record, the index of unique ones, and what they were before. */
#include "base/mem.h"
#include "store_private.h"
#include "types.h"

/* Where the values of attribute `place` begin. */
uint32_t ad__sim_first_of(const struct ad_sim_record *r, uint16_t place)
{
    uint32_t low = 0;
    uint32_t high = r->n;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (r->values[mid].attr < place) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

uint32_t ad__sim_count_of(const struct ad_sim_record *r, uint32_t from, uint16_t place)
{
    uint32_t n = 0;
    while (from + n < r->n && r->values[from + n].attr == place) {
        n++;
    }
    return n;
}

static void make(const struct ad_sim_record *r, const struct ad_sim_attr *a, struct ad_sim_value *v)
{
    *v = (struct ad_sim_value){
        .attr = a->place, .actor = r->actor, .type = (uint8_t)a->type, .from_ns = r->created_ns
    };
    if (a->made == AD_SIM_MADE_ID) {
        v->u.id = r->id;
    } else if (a->made == AD_SIM_MADE_CREATED_AT) {
        v->u.i = r->created_ns;
    } else if (a->made == AD_SIM_MADE_PARENT) {
        v->u.record = ad_sim_parent(r);
    } else {
        v->aux = r->actor;
    }
}

const struct ad_sim_value *ad_sim_values(const struct ad_sim_record *r, const struct ad_sim_attr *a,
                                         struct ad_sim_value *made, size_t *n)
{
    if (a->made != AD_SIM_STORED) {
        make(r, a, made);
        *n = 1;
        return made;
    }
    uint32_t from = ad__sim_first_of(r, a->place);
    *n = ad__sim_count_of(r, from, a->place);
    return r->values + from;
}

/* --- Unique values --- */

struct ad_sim_record *ad_sim_unique_find(const struct ad_sim_attr *a, struct ad_str key)
{
    struct ad_map_node *node = ad_map_get(&a->uniques, key);
    struct ad_sim_record *r =
        node ? ad_container_of(node, struct ad_sim_unique, node)->record : NULL;
    /* While an attribute is not unique nobody keeps its index. */
    return r && !r->deleted ? r : NULL;
}

static struct ad_sim_attr *unique_attr(const struct ad_sim_record *r, const struct ad_sim_value *v)
{
    struct ad_sim_attr *a = r->object->attrs[v->attr];
    return a->unique ? a : NULL;
}

void ad__sim_unique_put(struct ad_sim_record *r, const struct ad_sim_value *v)
{
    struct ad_sim_attr *a = unique_attr(r, v);
    struct ad_sim_key room;
    if (!a) {
        return;
    }
    struct ad_str key = ad_sim_value_unique(v, &room);
    struct ad_map_node *node = ad_map_get(&a->uniques, key);
    if (node) {
        /* Data older than the attribute's uniqueness: the first one counts, while it lives. */
        struct ad_sim_unique *old = ad_container_of(node, struct ad_sim_unique, node);
        old->record = old->record->deleted ? r : old->record;
        return;
    }
    struct ad_sim_unique *u = ad_sim_alloc(sizeof(*u) + key.n + 1);
    memcpy(u->key, key.p, key.n);
    u->record = r;
    ad_map_put(&a->uniques, &u->node, ad_str_n(u->key, key.n));
}

void ad__sim_unique_remove(struct ad_sim_record *r, const struct ad_sim_value *v)
{
    struct ad_sim_attr *a = unique_attr(r, v);
    struct ad_sim_key room;
    struct ad_map_node *node = a ? ad_map_get(&a->uniques, ad_sim_value_unique(v, &room)) : NULL;
    if (!node) {
        return;
    }
    struct ad_sim_unique *u = ad_container_of(node, struct ad_sim_unique, node);
    if (u->record == r) {
        ad_map_remove(&a->uniques, node);
        ad_free(u);
    }
}

/* --- Values of a record --- */

void ad__sim_insert_at(struct ad_sim_record *r, uint32_t at, struct ad_sim_value v)
{
    if (r->n == r->cap) {
        r->cap = r->cap < 8 ? r->cap + 4 : r->cap + r->cap / 2;
        r->values = ad_sim_grow(r->values, r->cap * sizeof(r->values[0]));
    }
    memmove(r->values + at + 1, r->values + at, (r->n - at) * sizeof(r->values[0]));
    r->values[at] = v;
    r->n++;
    ad__sim_unique_put(r, &v);
}

void ad_sim_value_append(struct ad_sim_record *r, struct ad_sim_value v)
{
    uint32_t from = ad__sim_first_of(r, v.attr);
    ad__sim_insert_at(r, from + ad__sim_count_of(r, from, v.attr), v);
}

#define PAST_MAX \
    64 /* old values kept per record; Attio keeps all, nobody asks a simulator for more */

static void remember(struct ad_sim_record *r, struct ad_sim_value v, int64_t until_ns)
{
    struct ad_sim_past *past = ad_sim_alloc(sizeof(*past));
    past->value = v;
    past->until_ns = until_ns;
    past->next = r->past;
    r->past = past;
    struct ad_sim_past **link = &r->past;
    for (unsigned i = 0; *link && i < PAST_MAX; i++) {
        link = &(*link)->next;
    }
    if (*link) {
        ad_sim_value_free(&(*link)->value);
        ad_free(*link);
        *link = NULL;
    }
}

void ad__sim_remove_at(struct ad_sim_record *r, uint32_t at, int64_t now_ns)
{
    struct ad_sim_value v = r->values[at];
    ad__sim_unique_remove(r, &v);
    memmove(r->values + at, r->values + at + 1, (r->n - at - 1) * sizeof(r->values[0]));
    r->n--;
    remember(r, v, now_ns);
}

void ad__sim_free_past(struct ad_sim_record *r)
{
    while (r->past) {
        struct ad_sim_past *past = r->past;
        r->past = past->next;
        ad_sim_value_free(&past->value);
        ad_free(past);
    }
}

void ad__sim_free_values(struct ad_sim_record *r)
{
    for (uint32_t i = 0; i < r->n; i++) {
        ad_sim_value_free(&r->values[i]);
    }
    ad_free(r->values);
    r->values = NULL;
    r->n = r->cap = 0;
}

/* Place of an equal value of the same attribute, or -1. */
int64_t ad__sim_find_equal(const struct ad_sim_record *r, const struct ad_sim_value *v)
{
    uint32_t from = ad__sim_first_of(r, v->attr);
    uint32_t n = ad__sim_count_of(r, from, v->attr);
    for (uint32_t i = from; i < from + n; i++) {
        if (ad_sim_value_equal(&r->values[i], v)) {
            return i;
        }
    }
    return -1;
}
