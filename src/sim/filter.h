/* Filters and sorts of a query: compiled once, asked of each record.
 *
 * A filter is a tree of $and, $or and $not over predicates; it is kept in postfix order, so that
 * neither compiling nor matching recurses. A predicate is a path of references (one step for a
 * plain attribute) and conditions that one value at its end must all meet. */
#ifndef AD_SIM_FILTER_H
#define AD_SIM_FILTER_H

#include "types.h"

#define AD_SIM_HOPS_MAX 8

struct ad_sim_cond {
    const struct ad_sim_prop *prop;
    enum ad_sim_op op;
    struct ad_str s; /* operand, by the kind of the property */
    int64_t i;
    struct ad_str *in; /* operands of $in */
    size_t in_n;
    struct ad_sim_cond *next;
};

struct ad_sim_pred {
    const struct ad_sim_attr *hops[AD_SIM_HOPS_MAX];
    unsigned hops_n;
    struct ad_sim_cond *conds;
    struct ad_sim_pred *next_must;
};

struct ad_sim_filter; /* on the arena it was compiled on */

/* Predicates that every match meets (those under nothing but $and): what an index can use. */
struct ad_sim_pred *ad_sim_filter_musts(const struct ad_sim_filter *f);
/* True when there is nothing but those. */
bool ad_sim_filter_is_musts(const struct ad_sim_filter *f);

/* False: Attio would answer filter_error. A NULL `json` matches everything. */
AD_MUST_CHECK bool ad_sim_filter_compile(const struct ad_sim_store *s,
                                         const struct ad_sim_object *o, const struct ad_json *json,
                                         struct ad_arena *arena, struct ad_sim_filter **out);
bool ad_sim_filter_match(const struct ad_sim_filter *f, const struct ad_sim_record *r);

struct ad_sim_sort {
    const struct ad_sim_attr *hops[AD_SIM_HOPS_MAX];
    unsigned hops_n;
    const struct ad_sim_prop *prop;
    bool descending;
};
#define AD_SIM_SORTS_MAX 8

AD_MUST_CHECK bool ad_sim_sort_compile(const struct ad_sim_store *s, const struct ad_sim_object *o,
                                       const struct ad_json *json, struct ad_sim_sort *out);

struct ad_sim_query {
    struct ad_sim_store *store;
    struct ad_sim_object *object;
    struct ad_sim_filter *filter;
    struct ad_sim_sort sorts[AD_SIM_SORTS_MAX];
    size_t sorts_n;
    size_t limit, offset;
    struct ad_arena *arena;
    uint64_t *looked_at; /* goes up by one for each record that was held against the query */
};
/* How much is asked of each record: a point a comparison, two more for a search within text, four
 * for each step of a path; two a sort. What the indexes answer is free. */
size_t ad_sim_query_points(const struct ad_sim_query *q);
size_t ad_sim_filter_points(const struct ad_sim_filter *f);
/* The page asked for, on the arena. */
const struct ad_sim_record **ad_sim_query_run(const struct ad_sim_query *q, size_t *n);

#endif
