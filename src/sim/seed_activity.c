/* Lists with entries, and notes, tasks and comments, of a fresh workspace. */
#include <stdio.h>

#include "base/mem.h"
#include "random.h"
#include "seed.h"

#define FIRST_NS (INT64_C(1609459200) * AD_NS_PER_S) /* 2021-01-01T00:00:00Z */
#define BEGIN_NS (INT64_C(1767225600) * AD_NS_PER_S) /* 2026-01-01: after the last seeded record */
#define SPAN_NS (INT64_C(2592000) * AD_NS_PER_S)     /* thirty days */

static const struct {
    const char *slug, *name, *parent;
} lists[] = { { "sales_pipeline", "Sales pipeline", "companies" },
              { "candidates", "Candidates", "people" },
              { "renewals", "Renewals", "deals" } };

static const struct {
    const char *slug, *title;
    enum ad_sim_type_id type;
    bool multi;
    const char *options[5];
} attrs[] = {
    { "stage", "Stage", AD_SIM_STATUS, false, { "New", "In review", "Won", "Dropped" } },
    { "owner", "Owner", AD_SIM_ACTOR, false, { 0 } },
    { "deal_value", "Value", AD_SIM_CURRENCY, false, { 0 } },
    { "priority", "Priority", AD_SIM_RATING, false, { 0 } },
    { "tags", "Tags", AD_SIM_SELECT, true, { "Hot", "Warm", "Cold", "Inbound" } },
    { "due", "Due", AD_SIM_DATE, false, { 0 } },
    { "summary", "Summary", AD_SIM_TEXT, false, { 0 } },
    { "advisor", "Advisor", AD_SIM_REFERENCE, false, { 0 } },
};

static void add_attrs(struct ad_sim_store *s, struct ad_sim_object *list)
{
    for (size_t i = 0; i < AD_LEN(attrs); i++) {
        struct ad_sim_attr *a = ad_sim_attr_add(s, list, ad_str_c(attrs[i].slug),
                                                ad_str_c(attrs[i].title), attrs[i].type);
        a->multi = attrs[i].multi;
        for (size_t k = 0; attrs[i].options[k]; k++) {
            AD_IGNORE(!ad_sim_option_add(s, a, ad_str_c(attrs[i].options[k])), "made");
        }
        if (a->type == AD_SIM_CURRENCY) {
            memcpy(a->currency, "EUR", 3);
            a->display = "symbol";
        } else if (a->type == AD_SIM_REFERENCE) {
            ad_sim_allow(a, ad_sim_object_find(s, AD_STR("people")));
        }
    }
    for (size_t i = 0; i < list->attrs_n; i++) {
        list->attrs[i]->created_ns = list->created_ns;
    }
}

static void seed_list(struct ad_sim_store *s, uint64_t i)
{
    char slug[48];
    size_t which = i % AD_LEN(lists);
    bool first = i < AD_LEN(lists);
    AD_IGNORE(snprintf(slug, sizeof(slug), first ? "%s" : "%s_%u", lists[which].slug,
                       (unsigned)(i / AD_LEN(lists) + 1)) < 0,
              "fits");
    struct ad_sim_object *list =
        ad_sim_list_add(s, ad_str_c(slug), ad_str_c(lists[which].name),
                        ad_sim_object_find(s, ad_str_c(lists[which].parent)));
    list->created_ns = FIRST_NS;
    add_attrs(s, list);
}

/* An entry's values, as of its creation. */
static void fill(struct ad_sim_store *s, struct ad_sim_record *r, struct ad_rand *rand)
{
    size_t n = 0;
    struct ad_sim_draft *drafts = ad_sim_random_drafts(s, r->object, rand, 70, &n);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < drafts[i].n; k++) {
            struct ad_sim_value v = drafts[i].values[k];
            v.actor = r->actor;
            v.from_ns = r->created_ns;
            ad_sim_value_append(r, v);
        }
        drafts[i].n = 0; /* packs were handed over */
        ad_sim_draft_drop(&drafts[i]);
    }
    ad_free(drafts);
}

static int64_t time_of(uint64_t i, uint64_t n)
{
    return (BEGIN_NS + SPAN_NS / (int64_t)n * (int64_t)i) / AD_NS_PER_MS * AD_NS_PER_MS;
}

static void seed_entries(struct ad_sim_store *s, uint64_t n)
{
    for (uint64_t i = 0; i < n && s->lists_n; i++) {
        struct ad_sim_object *list = s->lists[i % s->lists_n];
        const struct ad_sim_object *parent = list->parent;
        if (parent->n == 0) {
            continue;
        }
        struct ad_sim_record *on = parent->sorted[ad_rand_below(&list->rand, parent->n)];
        struct ad_sim_entry *e = ad_sim_entry_seed(list, on, time_of(i, n), AD_SIM_ACTOR_TOKEN);
        fill(s, &e->record, &list->rand);
    }
}

static void seed_shelf(struct ad_sim_store *s, enum ad_sim_shelf_id which, uint64_t n)
{
    struct ad_sim_shelf *shelf = ad_sim_shelf(s, which);
    for (uint64_t i = 0; i < n; i++) {
        AD_IGNORE(!ad_sim_random_add(s, shelf, &shelf->rand, time_of(i, n)),
                  "without records there is nothing to hang on");
    }
}

void ad_sim_seed_activity(struct ad_sim_store *s, const struct ad_sim_sizes *sizes)
{
    for (uint64_t i = 0; i < sizes->lists; i++) {
        seed_list(s, i);
    }
    seed_entries(s, sizes->entries);
    seed_shelf(s, AD_SIM_NOTES, sizes->notes);
    seed_shelf(s, AD_SIM_TASKS, sizes->tasks);
    seed_shelf(s, AD_SIM_COMMENTS, sizes->comments);
}
