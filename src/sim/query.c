#include "filter.h"

#include <stdlib.h>

/* How a page is found:
 *
 *   by id or by a unique value    the few candidates come from the hash indexes
 *   otherwise                     the records in the order of creation, within bounds on created_at
 *
 * Without another sort the second walk stops when the page is full, and when the bounds are the
 * whole filter it begins at the offset. */

struct bounds {
    size_t from, to; /* places in object->sorted */
};

static bool is_made(const struct ad_sim_pred *p, enum ad_sim_made made)
{
    return p->hops_n == 1 && p->hops[0]->made == made;
}

static int64_t next_ns(int64_t ns)
{
    return ns == INT64_MAX ? ns : ns + 1;
}

static void narrow(const struct ad_sim_object *o, const struct ad_sim_cond *c, struct bounds *b)
{
    int64_t low = INT64_MIN;
    int64_t high = INT64_MAX; /* exclusive */
    switch (c->op) {
    case AD_SIM_GT:
        low = next_ns(c->i);
        break;
    case AD_SIM_GTE:
        low = c->i;
        break;
    case AD_SIM_LT:
        high = c->i;
        break;
    case AD_SIM_LTE:
        high = next_ns(c->i);
        break;
    case AD_SIM_EQ:
        low = c->i;
        high = next_ns(c->i);
        break;
    default:
        break;
    }
    size_t from = low == INT64_MIN ? 0 : ad_sim_sorted_from(o, low);
    size_t to = high == INT64_MAX ? o->n : ad_sim_sorted_from(o, high);
    b->from = from > b->from ? from : b->from;
    b->to = to < b->to ? to : b->to;
}

/* Bounds from all conditions on created_at; *whole when the filter says nothing else. */
static struct bounds find_bounds(const struct ad_sim_query *q, bool *whole)
{
    struct bounds b = { 0, q->object->n };
    *whole = ad_sim_filter_is_musts(q->filter);
    for (const struct ad_sim_pred *p = ad_sim_filter_musts(q->filter); p; p = p->next_must) {
        if (!is_made(p, AD_SIM_MADE_CREATED_AT)) {
            *whole = false;
            continue;
        }
        for (const struct ad_sim_cond *c = p->conds; c; c = c->next) {
            narrow(q->object, c, &b);
        }
    }
    if (b.from > b.to) {
        b.from = b.to;
    }
    return b;
}

static const struct ad_sim_record **room(const struct ad_sim_query *q, size_t n)
{
    const struct ad_sim_record **p =
        ad_arena_alloc(q->arena, (n + 1) * sizeof(struct ad_sim_record *));
    AD_ASSERT(p);
    return p;
}

/* The condition that names a few records outright. */
static const struct ad_sim_cond *find_few(const struct ad_sim_query *q,
                                          const struct ad_sim_attr **attr)
{
    for (const struct ad_sim_pred *p = ad_sim_filter_musts(q->filter); p; p = p->next_must) {
        const struct ad_sim_attr *a = p->hops[0];
        bool by_id = is_made(p, AD_SIM_MADE_ID);
        if (p->hops_n != 1 || !(by_id || a->unique)) {
            continue;
        }
        for (const struct ad_sim_cond *c = p->conds; c; c = c->next) {
            bool main = c->prop == ad_sim_props(a) && (by_id || c->prop->kind == AD_SIM_KIND_TEXT);
            if (main && (c->op == AD_SIM_EQ || c->op == AD_SIM_IN)) {
                *attr = a;
                return c;
            }
        }
    }
    return NULL;
}

static const struct ad_sim_record *look_up(const struct ad_sim_query *q,
                                           const struct ad_sim_attr *a, struct ad_str key)
{
    uint8_t id[16];
    if (a->made == AD_SIM_MADE_ID) {
        return ad_sim_uuid_parse(key, id) ? ad_sim_record_find(q->object, id) : NULL;
    }
    return ad_sim_unique_find(a, key);
}

/* What is still being merged is on no page. */
static bool is_shown(const struct ad_sim_record *r)
{
    return r && !r->merging;
}

static bool has(const struct ad_sim_record **list, size_t n, const struct ad_sim_record *r)
{
    for (size_t i = 0; i < n; i++) {
        if (list[i] == r) {
            return true;
        }
    }
    return false;
}

static int by_creation(const void *a, const void *b)
{
    const struct ad_sim_record *const *x = a;
    const struct ad_sim_record *const *y = b;
    if ((*x)->created_ns != (*y)->created_ns) {
        return (*x)->created_ns < (*y)->created_ns ? -1 : 1;
    }
    return memcmp((*x)->id, (*y)->id, sizeof((*x)->id));
}

static const struct ad_sim_record **gather_few(const struct ad_sim_query *q,
                                               const struct ad_sim_attr *a,
                                               const struct ad_sim_cond *c, size_t *n)
{
    size_t keys_n = c->op == AD_SIM_IN ? c->in_n : 1;
    const struct ad_sim_pred *must = ad_sim_filter_musts(q->filter);
    bool whole = ad_sim_filter_is_musts(q->filter) && !must->next_must && !must->conds->next;
    const struct ad_str *keys = c->op == AD_SIM_IN ? c->in : &c->s;
    const struct ad_sim_record **found = room(q, keys_n);
    *n = 0;
    for (size_t i = 0; i < keys_n; i++) {
        const struct ad_sim_record *r = look_up(q, a, keys[i]);
        *q->looked_at += r != NULL;
        if (is_shown(r) && !has(found, *n, r) && (whole || ad_sim_filter_match(q->filter, r))) {
            found[(*n)++] = r;
        }
    }
    qsort(found, *n, sizeof(struct ad_sim_record *), by_creation);
    return found;
}

/* --- Sorting --- */

static const struct ad_sim_value *
sort_value(const struct ad_sim_sort *s, const struct ad_sim_record *r, struct ad_sim_value *made)
{
    for (unsigned i = 0; i < s->hops_n; i++) {
        size_t n = 0;
        const struct ad_sim_value *v = ad_sim_values(r, s->hops[i], made, &n);
        if (n == 0) {
            return NULL;
        }
        if (i + 1 == s->hops_n) {
            return v;
        }
        r = v->u.record;
        if (r->deleted || r->object != s->hops[i + 1]->object) {
            return NULL;
        }
    }
    return NULL;
}

static bool sort_key(const struct ad_sim_store *store, const struct ad_sim_sort *s,
                     const struct ad_sim_record *r, struct ad_sim_key *key)
{
    struct ad_sim_value made;
    const struct ad_sim_value *v = sort_value(s, r, &made);
    *key = (struct ad_sim_key){ .store = store };
    if (!v) {
        return false;
    }
    s->prop->get(v, key);
    return !key->none;
}

/* Records without a value come last in either direction: Attio does not say. */
static int compare_by(const struct ad_sim_store *store, const struct ad_sim_sort *s,
                      const struct ad_sim_record *a, const struct ad_sim_record *b)
{
    struct ad_sim_key x;
    struct ad_sim_key y;
    bool has_x = sort_key(store, s, a, &x);
    bool has_y = sort_key(store, s, b, &y);
    if (!has_x || !has_y) {
        return (int)has_y - (int)has_x;
    }
    int order = x.s.p || y.s.p ? ad_str_cmp(x.s, y.s) : (x.i > y.i) - (x.i < y.i);
    return s->descending ? -order : order;
}

static int compare(const void *a, const void *b, void *ctx)
{
    const struct ad_sim_query *q = ctx;
    const struct ad_sim_record *const *x = a;
    const struct ad_sim_record *const *y = b;
    for (size_t i = 0; i < q->sorts_n; i++) {
        int order = compare_by(q->store, &q->sorts[i], *x, *y);
        if (order) {
            return order;
        }
    }
    return by_creation(a, b);
}

size_t ad_sim_query_points(const struct ad_sim_query *q)
{
    size_t points = ad_sim_filter_points(q->filter);
    for (size_t i = 0; i < q->sorts_n; i++) {
        const struct ad_sim_sort *s = &q->sorts[i];
        points += s->hops_n > 1 || s->hops[0]->made == AD_SIM_STORED ? 2 : 0;
        points += ((size_t)s->hops_n - 1) * 4;
    }
    return points;
}

/* --- The page --- */

static const struct ad_sim_record **cut(const struct ad_sim_query *q,
                                        const struct ad_sim_record **list, size_t *n)
{
    size_t from = q->offset < *n ? q->offset : *n;
    size_t left = *n - from;
    *n = left < q->limit ? left : q->limit;
    return list + from;
}

/* 1: by created_at ascending (also without any sort), -1: descending, 0: something else. */
static int natural(const struct ad_sim_query *q)
{
    if (q->sorts_n == 0) {
        return 1;
    }
    const struct ad_sim_sort *s = &q->sorts[0];
    if (q->sorts_n > 1 || s->hops_n != 1 || s->hops[0]->made != AD_SIM_MADE_CREATED_AT) {
        return 0;
    }
    return s->descending ? -1 : 1;
}

static const struct ad_sim_record **walk(const struct ad_sim_query *q, struct bounds b, bool whole,
                                         int direction, size_t *n)
{
    size_t count = b.to - b.from;
    size_t skip = q->offset;
    size_t i = 0;
    const struct ad_sim_record **page = room(q, q->limit < count ? q->limit : count);
    if (whole) {
        i = skip < count ? skip : count;
        skip = 0;
    }
    *n = 0;
    for (; i < count && *n < q->limit; i++) {
        const struct ad_sim_record *r =
            q->object->sorted[direction > 0 ? b.from + i : b.to - 1 - i];
        ++*q->looked_at;
        if (!whole && !ad_sim_filter_match(q->filter, r)) {
            continue;
        }
        if (skip > 0) {
            skip--;
            continue;
        }
        page[(*n)++] = r;
    }
    return page;
}

static const struct ad_sim_record **gather_all(const struct ad_sim_query *q, struct bounds b,
                                               size_t *n)
{
    const struct ad_sim_record **all = room(q, b.to - b.from);
    *n = 0;
    *q->looked_at += b.to - b.from;
    for (size_t i = b.from; i < b.to; i++) {
        if (ad_sim_filter_match(q->filter, q->object->sorted[i])) {
            all[(*n)++] = q->object->sorted[i];
        }
    }
    return all;
}

/* --- The first few of very many: a heap with the last of them on top --- */

struct top {
    struct ad_sim_query query;
    const struct ad_sim_record **heap;
    size_t n, cap;
};

static bool is_later(struct top *t, size_t a, size_t b)
{
    return compare(&t->heap[a], &t->heap[b], &t->query) > 0;
}

static void swap(struct top *t, size_t a, size_t b)
{
    const struct ad_sim_record *r = t->heap[a];
    t->heap[a] = t->heap[b];
    t->heap[b] = r;
}

static void sink(struct top *t)
{
    size_t i = 0;
    while (2 * i + 1 < t->n) {
        size_t child = 2 * i + 1;
        child += child + 1 < t->n && is_later(t, child + 1, child);
        if (!is_later(t, child, i)) {
            return;
        }
        swap(t, i, child);
        i = child;
    }
}

static void offer(struct top *t, const struct ad_sim_record *r)
{
    if (t->n == t->cap) {
        if (compare(&r, &t->heap[0], &t->query) < 0) {
            t->heap[0] = r;
            sink(t);
        }
        return;
    }
    size_t i = t->n++;
    for (t->heap[i] = r; i > 0 && is_later(t, i, (i - 1) / 2); i = (i - 1) / 2) {
        swap(t, i, (i - 1) / 2);
    }
}

static const struct ad_sim_record **gather_top(const struct ad_sim_query *q, struct bounds b,
                                               size_t *n)
{
    struct top t = { .query = *q, .cap = q->offset + q->limit };
    t.heap = room(q, t.cap);
    *q->looked_at += b.to - b.from;
    for (size_t i = b.from; i < b.to; i++) {
        if (ad_sim_filter_match(q->filter, q->object->sorted[i])) {
            offer(&t, q->object->sorted[i]);
        }
    }
    *n = t.n;
    return t.heap;
}

/* Sorting all is cheaper when most of it is wanted. */
static bool wants_few(const struct ad_sim_query *q, struct bounds b)
{
    size_t all = (b.to - b.from) / 8;
    return q->sorts_n > 0 && q->limit < all && q->offset < all - q->limit;
}

const struct ad_sim_record **ad_sim_query_run(const struct ad_sim_query *q, size_t *n)
{
    const struct ad_sim_attr *attr = NULL;
    const struct ad_sim_cond *few = find_few(q, &attr);
    const struct ad_sim_record **found = NULL;
    if (few) {
        found = gather_few(q, attr, few, n);
    } else {
        bool whole = false;
        struct bounds b = find_bounds(q, &whole);
        int direction = natural(q);
        if (direction) {
            return walk(q, b, whole, direction, n);
        }
        found = wants_few(q, b) ? gather_top(q, b, n) : gather_all(q, b, n);
    }
    if (q->sorts_n > 0) {
        struct ad_sim_query copy = *q;
        qsort_r(found, *n, sizeof(struct ad_sim_record *), compare, &copy);
    }
    return cut(q, found, n);
}
