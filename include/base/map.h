/* Intrusive hash map keyed by slice. The table of buckets is ours, the elements are the caller's.
 *
 * Each element embeds `struct ad_map_node`; its key slice must stay valid and unchanged while it is
 * in the map. Grows by doubling; growing can fail only on no memory, and then the map goes on with
 * longer chains. */
#ifndef AD_BASE_MAP_H
#define AD_BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"

struct ad_map_node {
    struct ad_map_node *next;
    struct ad_str key;
    uint64_t hash;
};

struct ad_map {
    struct ad_map_node **buckets;
    size_t mask, count;
    size_t any_from;              /* no element in the buckets before this one */
    struct ad_map_node *first[8]; /* until the first growth: a small map allocates nothing */
};

void ad_map_init(struct ad_map *m);
/* Frees the table; elements are not touched. */
void ad_map_fini(struct ad_map *m);
struct ad_map_node *ad_map_get(const struct ad_map *m, struct ad_str key); /* or NULL */
/* `node->key` set by this call. The key must not be present. */
void ad_map_put(struct ad_map *m, struct ad_map_node *node, struct ad_str key);
void ad_map_remove(struct ad_map *m, struct ad_map_node *node);
/* Any element, or NULL when empty: for emptying. Iteration order is unspecified. */
struct ad_map_node *ad_map_any(struct ad_map *m);
/* Calls cb for each element; cb may remove the element it was given, nothing else. */
void ad_map_each(struct ad_map *m, void (*cb)(void *ctx, struct ad_map_node *node), void *ctx);

#endif
