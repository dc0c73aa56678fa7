/* Which entries a record has, over all lists. */
#include "base/mem.h"
#include "model.h"

/* One record that is in some list. */
struct listed {
    struct ad_map_node node;
    struct ad_sim_entry *first;
    uint8_t id[16]; /* the record's: the key */
};

struct ad_sim_record *ad_sim_parent(const struct ad_sim_record *r)
{
    AD_ASSERT(ad_sim_is_entry(r));
    return ((const struct ad_sim_entry *)(const void *)r)->parent; /* the record comes first */
}

static struct listed *find(const struct ad_sim_store *s, const struct ad_sim_record *r)
{
    struct ad_map_node *node = ad_map_get(&s->listed, ad_str_n((const char *)r->id, sizeof(r->id)));
    return node ? ad_container_of(node, struct listed, node) : NULL;
}

struct ad_sim_entry *ad_sim_entries_of(const struct ad_sim_store *s, const struct ad_sim_record *r)
{
    struct listed *l = find(s, r);
    return l ? l->first : NULL;
}

void ad_sim_listed_put(struct ad_sim_store *s, struct ad_sim_entry *e)
{
    struct listed *l = find(s, e->parent);
    if (!l) {
        l = ad_sim_alloc(sizeof(*l));
        memcpy(l->id, e->parent->id, sizeof(l->id));
        ad_map_put(&s->listed, &l->node, ad_str_n((const char *)l->id, sizeof(l->id)));
    }
    struct ad_sim_entry **link = &l->first;
    while (*link) {
        link = &(*link)->next;
    }
    e->next = NULL;
    *link = e;
}

void ad_sim_listed_remove(struct ad_sim_store *s, struct ad_sim_entry *e)
{
    struct listed *l = find(s, e->parent);
    struct ad_sim_entry **link = &l->first;
    while (*link != e) {
        link = &(*link)->next;
    }
    *link = e->next;
    if (!l->first) {
        ad_map_remove(&s->listed, &l->node);
        ad_free(l);
    }
}

void ad_sim_listed_fini(struct ad_sim_store *s)
{
    struct ad_map_node *node = NULL;
    while ((node = ad_map_any(&s->listed)) != NULL) {
        ad_map_remove(&s->listed, node);
        ad_free(ad_container_of(node, struct listed, node));
    }
    ad_map_fini(&s->listed);
}
