/* One attribute's values of a record or an entry, with history. */
#include "call.h"

struct past_list {
    const struct ad_sim_value **values;
    int64_t *until;
    size_t n;
};

static void gather_past(struct ad_sim_call *c, const struct ad_sim_record *r,
                        const struct ad_sim_attr *a, struct past_list *list)
{
    size_t count = 0;
    for (const struct ad_sim_past *past = r->past; past; past = past->next) {
        count += past->value.attr == a->place;
    }
    list->values = ad_arena_array(c->arena, count + 1, sizeof(struct ad_sim_value *));
    list->until = ad_arena_array(c->arena, count + 1, sizeof(list->until[0]));
    AD_ASSERT(list->values && list->until);
    list->n = count;
    for (const struct ad_sim_past *past = r->past; past; past = past->next) {
        if (past->value.attr == a->place) {
            list->values[--count] = &past->value; /* the chain is newest first */
            list->until[count] = past->until_ns;
        }
    }
}

struct page {
    struct ad_sim_pen pen;
    int64_t offset, limit;
    bool some;
};

static void put_value(struct ad_sim_call *c, struct page *page, const struct ad_sim_attr *a,
                      const struct ad_sim_value *v, int64_t until_ns)
{
    if (page->offset > 0) {
        page->offset--;
        return;
    }
    if (page->limit-- <= 0) {
        return;
    }
    if (page->some) {
        AD_SIM_PUT(&page->pen, ",");
    }
    page->some = true;
    ad_sim_render_value(&page->pen, c->store, a, v, until_ns);
}

static void get_values(struct ad_sim_call *c)
{
    struct page page = { .limit = INT64_MAX };
    struct past_list past = { 0 };
    struct ad_sim_object *o = ad_sim_call_set(c, 0);
    struct ad_sim_record *r = o ? ad_sim_call_record(c, o, 1) : NULL;
    struct ad_sim_attr *a = r ? ad_sim_call_attr(c, o, 2) : NULL;
    bool historic = ad_sim_query_flag(c, "show_historic");
    if (!a || !ad_sim_paging(c, 1, INT64_MAX, &page.limit, &page.offset)) {
        return;
    }
    if (historic && a->enriched) {
        ad_sim_bad(c, "validation_type",
                   "Cannot set show_historic param to true when querying a COMINT attribute.");
        return;
    }
    if (historic) {
        gather_past(c, r, a, &past);
    }
    struct ad_sim_value made;
    size_t n = 0;
    const struct ad_sim_value *v = ad_sim_values(r, a, &made, &n);
    ad_sim_pen_init(&page.pen, c->out);
    AD_SIM_PUT(&page.pen, "{\"data\":[");
    for (size_t i = 0; i < past.n; i++) {
        put_value(c, &page, a, past.values[i], past.until[i]);
    }
    for (size_t i = 0; i < n; i++) {
        put_value(c, &page, a, &v[i], 0);
    }
    AD_SIM_PUT(&page.pen, "]}");
    ad_sim_pen_done(&page.pen);
}

const struct ad_sim_route ad_sim_history_routes[] = {
    { AD_HTTP_GET, "/v2/objects/{object}/records/{record}/attributes/{attribute}/values",
      get_values, AD_SIM_READ, false },
    { AD_HTTP_GET, "/v2/lists/{list}/entries/{entry}/attributes/{attribute}/values", get_values,
      AD_SIM_READ, false },
    { 0, NULL, NULL, AD_SIM_READ, false },
};
