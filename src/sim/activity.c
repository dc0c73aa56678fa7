#include "activity.h"

#include "base/mem.h"

struct ad_sim_activity *ad_sim_activity_new(uint64_t seed)
{
    static const struct ad_sim_item_ops *const all[AD_SIM_SHELVES] = { &ad_sim_note_ops,
                                                                       &ad_sim_task_ops,
                                                                       &ad_sim_comment_ops };
    struct ad_sim_activity *a = ad_sim_alloc(sizeof(*a));
    for (size_t i = 0; i < AD_SIM_SHELVES; i++) {
        a->shelves[i].ops = all[i];
        ad_map_init(&a->shelves[i].by_id);
        ad_rand_seed(&a->shelves[i].rand, seed ^ (UINT64_C(0x61637469) + i));
    }
    return a;
}

void ad_sim_activity_free(struct ad_sim_activity *a)
{
    for (size_t i = 0; i < AD_SIM_SHELVES; i++) {
        struct ad_sim_shelf *shelf = &a->shelves[i];
        for (size_t k = 0; k < shelf->n; k++) {
            shelf->ops->free(shelf->sorted[k]);
        }
        ad_map_fini(&shelf->by_id);
        ad_free(shelf->sorted);
    }
    ad_free(a);
}

/* Newest first: what goes from under the walk is behind it, answers go before their thread. */
static void leave(struct ad_sim_store *s, struct ad_sim_record *r, struct ad_sim_record *to,
                  uint8_t actor)
{
    for (size_t i = 0; i < AD_SIM_SHELVES; i++) {
        struct ad_sim_shelf *shelf = &s->activity->shelves[i];
        for (size_t k = shelf->n; k-- > 0;) {
            if (k < shelf->n) {
                shelf->ops->leave(s, shelf->sorted[k], r, to, actor);
            }
        }
    }
}

void ad_sim_activity_forget(struct ad_sim_store *s, struct ad_sim_record *r, uint8_t actor)
{
    leave(s, r, NULL, actor);
}

void ad_sim_activity_move(struct ad_sim_store *s, struct ad_sim_record *from,
                          struct ad_sim_record *to, uint8_t actor)
{
    leave(s, from, to, actor);
}

/* --- Shelves --- */

struct ad_sim_shelf *ad_sim_shelf(const struct ad_sim_store *s, enum ad_sim_shelf_id which)
{
    return &s->activity->shelves[which];
}

struct ad_sim_shelf *ad_sim_shelf_named(const struct ad_sim_store *s, struct ad_str name)
{
    for (size_t i = 0; i < AD_SIM_SHELVES; i++) {
        if (ad_str_eq(name, ad_str_c(s->activity->shelves[i].ops->name))) {
            return &s->activity->shelves[i];
        }
    }
    return NULL;
}

/* Where an item of that time belongs: behind those of the same time. */
static size_t place_of(const struct ad_sim_shelf *shelf, int64_t created_ns)
{
    size_t at = shelf->n;
    while (at > 0 && shelf->sorted[at - 1]->created_ns > created_ns) {
        at--;
    }
    return at;
}

void ad_sim_shelf_put(struct ad_sim_shelf *shelf, struct ad_sim_item *item, int64_t created_ns)
{
    if (shelf->n == shelf->cap) {
        shelf->cap = shelf->cap ? shelf->cap * 2 : 64;
        shelf->sorted = ad_sim_grow(shelf->sorted, shelf->cap * sizeof(struct ad_sim_item *));
    }
    ad_sim_new_id(&shelf->rand, item->id);
    item->created_ns = created_ns;
    item->serial = shelf->serial++;
    size_t at = place_of(shelf, created_ns);
    memmove(shelf->sorted + at + 1, shelf->sorted + at,
            (shelf->n - at) * sizeof(struct ad_sim_item *));
    shelf->sorted[at] = item;
    shelf->n++;
    ad_map_put(&shelf->by_id, &item->node, ad_str_n((const char *)item->id, sizeof(item->id)));
}

void ad_sim_shelf_take(struct ad_sim_shelf *shelf, struct ad_sim_item *item)
{
    size_t at = 0;
    while (shelf->sorted[at] != item) {
        at++;
    }
    memmove(shelf->sorted + at, shelf->sorted + at + 1,
            (--shelf->n - at) * sizeof(struct ad_sim_item *));
    ad_map_remove(&shelf->by_id, &item->node);
}

struct ad_sim_item *ad_sim_shelf_find(const struct ad_sim_shelf *shelf, struct ad_str ref)
{
    uint8_t id[16];
    struct ad_map_node *node = NULL;
    if (ad_sim_uuid_parse(ref, id)) {
        node = ad_map_get(&shelf->by_id, ad_str_n((const char *)id, sizeof(id)));
    }
    return node ? ad_container_of(node, struct ad_sim_item, node) : NULL;
}

struct ad_str ad_sim_text(struct ad_str s)
{
    return s.p ? ad_str_n(ad_sim_copy(s), s.n) : AD_STR_NONE;
}

void ad_sim_text_free(struct ad_str s)
{
    ad_free((void *)(uintptr_t)s.p);
}
