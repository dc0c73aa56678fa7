#include "base/map.h"

#include "base/mem.h"

void ad_map_init(struct ad_map *m)
{
    *m = (struct ad_map){ .mask = AD_LEN(m->first) - 1 };
    m->buckets = m->first;
}

void ad_map_fini(struct ad_map *m)
{
    if (m->buckets != m->first) {
        ad_free(m->buckets);
    }
    ad_map_init(m);
}

static struct ad_map_node *find(const struct ad_map *m, struct ad_str key, uint64_t hash)
{
    struct ad_map_node *node = m->buckets[hash & m->mask];
    while (node && !(node->hash == hash && ad_str_eq(node->key, key))) {
        node = node->next;
    }
    return node;
}

struct ad_map_node *ad_map_get(const struct ad_map *m, struct ad_str key)
{
    return m->count ? find(m, key, ad_hash(key)) : NULL;
}

static void insert(struct ad_map *m, struct ad_map_node *node)
{
    size_t at = node->hash & m->mask;
    node->next = m->buckets[at];
    m->buckets[at] = node;
    if (at < m->any_from) {
        m->any_from = at;
    }
}

/* Twice the buckets. Without memory the chains just get longer, until a later put succeeds. */
static void grow(struct ad_map *m)
{
    size_t old_n = m->mask + 1;
    struct ad_map_node **old = m->buckets;
    struct ad_map_node **buckets = ad_alloc_array(old_n * 2, sizeof(struct ad_map_node *));
    if (!buckets) {
        return;
    }
    m->buckets = buckets;
    m->mask = old_n * 2 - 1;
    for (size_t i = 0; i < old_n; i++) {
        struct ad_map_node *node = old[i];
        while (node) {
            struct ad_map_node *next = node->next;
            insert(m, node);
            node = next;
        }
    }
    m->any_from = 0;
    if (old != m->first) {
        ad_free(old);
    }
}

void ad_map_put(struct ad_map *m, struct ad_map_node *node, struct ad_str key)
{
    node->key = key;
    node->hash = ad_hash(key);
    AD_ASSERT(find(m, key, node->hash) == NULL);
    if (m->count > m->mask) {
        grow(m);
    }
    insert(m, node);
    m->count++;
}

void ad_map_remove(struct ad_map *m, struct ad_map_node *node)
{
    struct ad_map_node **link = &m->buckets[node->hash & m->mask];
    while (*link && *link != node) {
        link = &(*link)->next;
    }
    AD_ASSERT(*link == node);
    *link = node->next;
    node->next = NULL;
    m->count--;
}

struct ad_map_node *ad_map_any(struct ad_map *m)
{
    if (m->count == 0) {
        return NULL;
    }
    while (!m->buckets[m->any_from]) {
        m->any_from++;
    }
    return m->buckets[m->any_from];
}

void ad_map_each(struct ad_map *m, void (*cb)(void *ctx, struct ad_map_node *node), void *ctx)
{
    for (size_t i = 0; i <= m->mask; i++) {
        struct ad_map_node *node = m->buckets[i];
        while (node) {
            struct ad_map_node *next = node->next;
            cb(ctx, node);
            node = next;
        }
    }
}
