#include "filter.h"

enum op_code { OP_PRED, OP_AND, OP_OR, OP_NOT };

struct op {
    enum op_code code;
    size_t n; /* operands of AND and OR */
    struct ad_sim_pred *pred;
};

struct ad_sim_filter {
    const struct ad_sim_store *store;
    struct op *ops;
    size_t n, cap;
    uint8_t *stack;
    struct ad_sim_pred *musts;
    bool is_musts;
};

static void *take(struct ad_arena *a, size_t size)
{
    void *p = ad_arena_zalloc(a, size);
    AD_ASSERT(p);
    return p;
}

struct ad_sim_pred *ad_sim_filter_musts(const struct ad_sim_filter *f)
{
    return f->musts;
}

bool ad_sim_filter_is_musts(const struct ad_sim_filter *f)
{
    return f->is_musts;
}

/* --- Conditions --- */

struct compiler {
    const struct ad_sim_store *store;
    const struct ad_sim_object *object;
    struct ad_arena *arena;
    struct ad_sim_filter *filter;
};

static const struct {
    const char *name;
    enum ad_sim_op op;
} operators[] = {
    { "$eq", AD_SIM_EQ },
    { "$in", AD_SIM_IN },
    { "$not_empty", AD_SIM_NOT_EMPTY },
    { "$contains", AD_SIM_CONTAINS },
    { "$starts_with", AD_SIM_STARTS },
    { "$ends_with", AD_SIM_ENDS },
    { "$lt", AD_SIM_LT },
    { "$lte", AD_SIM_LTE },
    { "$gt", AD_SIM_GT },
    { "$gte", AD_SIM_GTE },
};

static bool find_operator(struct ad_str name, enum ad_sim_op *out)
{
    for (size_t i = 0; i < AD_LEN(operators); i++) {
        if (ad_str_eq(name, ad_str_c(operators[i].name))) {
            *out = operators[i].op;
            return true;
        }
    }
    return false;
}

static bool has_time(struct ad_str s)
{
    return ad_str_find(s, 'T') < s.n;
}

static bool operand_number(const struct ad_json *v, int64_t *out)
{
    double d = 0;
    if (v->type != AD_JSON_NUMBER && v->type != AD_JSON_STRING) {
        return false;
    }
    if (ad_sim_fixed_parse(v->str, out)) {
        return true;
    }
    if (!ad_json_f64(v, &d) || d > 9e13 || d < -9e13) {
        return false;
    }
    *out = (int64_t)(d * 10000.0);
    return true;
}

/* The operand by the property's kind; false when it makes no sense there. */
static bool operand(const struct ad_json *v, struct ad_sim_cond *c)
{
    bool on = false;
    struct ad_str s = ad_json_str(v);
    switch (c->prop->kind) {
    case AD_SIM_KIND_TEXT:
    case AD_SIM_KIND_OPTION:
    case AD_SIM_KIND_OBJECT:
        c->s = s;
        return s.p != NULL;
    case AD_SIM_KIND_UUID:
        c->s = s;
        return s.p && ad_str_is_uuid(s);
    case AD_SIM_KIND_NUMBER:
        return operand_number(v, &c->i);
    case AD_SIM_KIND_WHOLE:
        return ad_json_i64(v, &c->i);
    case AD_SIM_KIND_BOOL:
        c->i = ad_json_bool(v, &on) && on;
        return v->type == AD_JSON_BOOL;
    case AD_SIM_KIND_DATE:
        return s.p && ad_sim_date_loose(s, &c->i);
    case AD_SIM_KIND_TIME:
        return s.p && has_time(s) && ad_sim_time_loose(s, &c->i);
    }
    return false;
}

static bool operand_in(const struct compiler *k, const struct ad_json *v, struct ad_sim_cond *c)
{
    if (v->type != AD_JSON_ARRAY) {
        return false;
    }
    c->in = take(k->arena, (v->count + 1) * sizeof(c->in[0]));
    AD_JSON_FOREACH (it, v) {
        struct ad_sim_cond one = { .prop = c->prop };
        if (!operand(it, &one) || !one.s.p) {
            return false;
        }
        c->in[c->in_n++] = one.s;
    }
    return true;
}

static bool add_cond(const struct compiler *k, struct ad_sim_pred *p,
                     const struct ad_sim_prop *prop, enum ad_sim_op op, const struct ad_json *v)
{
    struct ad_sim_cond *c = take(k->arena, sizeof(*c));
    c->prop = prop;
    c->op = op;
    c->next = p->conds;
    p->conds = c;
    if (!prop || !(prop->ops & (unsigned)op)) {
        return false;
    }
    if (op == AD_SIM_NOT_EMPTY) {
        return v->type == AD_JSON_BOOL && v->boolean;
    }
    return op == AD_SIM_IN ? operand_in(k, v, c) : operand(v, c);
}

/* {"$gte":1,"$lt":5} of one property. */
static bool add_operators(const struct compiler *k, struct ad_sim_pred *p,
                          const struct ad_sim_prop *prop, const struct ad_json *v)
{
    AD_JSON_FOREACH (it, v) {
        enum ad_sim_op op = AD_SIM_EQ;
        if (!find_operator(it->key, &op) || !add_cond(k, p, prop, op, it)) {
            return false;
        }
    }
    return v->count > 0;
}

/* Attio compares actors by both of their properties at once. */
static bool is_whole(const struct ad_sim_attr *a, const struct ad_json *v)
{
    return a->type != AD_SIM_ACTOR ||
           (ad_json_get(v, "referenced_actor_type") && ad_json_get(v, "referenced_actor_id"));
}

/* What an attribute is asked: a value, operators, or properties with either. */
static bool add_conds(const struct compiler *k, struct ad_sim_pred *p, const struct ad_json *v)
{
    const struct ad_sim_attr *a = p->hops[p->hops_n - 1];
    const struct ad_sim_prop *main = ad_sim_props(a);
    if (!is_whole(a, v)) {
        return false;
    }
    if (v->type != AD_JSON_OBJECT) {
        return add_cond(k, p, main, AD_SIM_EQ, v);
    }
    AD_JSON_FOREACH (it, v) {
        enum ad_sim_op op = AD_SIM_EQ;
        bool ok = false;
        if (find_operator(it->key, &op)) {
            ok = add_cond(k, p, main, op, it);
        } else if (it->type == AD_JSON_OBJECT) {
            ok = add_operators(k, p, ad_sim_prop_find(a, it->key), it);
        } else {
            ok = add_cond(k, p, ad_sim_prop_find(a, it->key), AD_SIM_EQ, it);
        }
        if (!ok) {
            return false;
        }
    }
    return v->count > 0;
}

/* --- Paths --- */

static bool is_object(const struct ad_sim_object *o, const struct ad_sim_store *s,
                      struct ad_str ref)
{
    return (o->kind == AD_SIM_LIST ? ad_sim_list_find(s, ref) : ad_sim_object_find(s, ref)) == o;
}

/* [["people","company"],["companies","name"]] from the object being queried. */
static bool walk_path(const struct ad_sim_store *s, const struct ad_sim_object *o,
                      const struct ad_json *path, const struct ad_sim_attr *hops[AD_SIM_HOPS_MAX],
                      unsigned *n)
{
    *n = 0;
    if (!ad_json_is(path, AD_JSON_ARRAY) || path->count == 0 || path->count > AD_SIM_HOPS_MAX) {
        return false;
    }
    AD_JSON_FOREACH (it, path) {
        struct ad_str object = ad_json_str(ad_json_at(it, 0));
        struct ad_str attr = ad_json_str(ad_json_at(it, 1));
        const struct ad_sim_object *here = *n == 0    ? o
                                           : object.p ? ad_sim_object_find(s, object)
                                                      : NULL;
        if (!here || !object.p || !attr.p || (*n == 0 && !is_object(o, s, object)) ||
            (*n > 0 && hops[*n - 1]->type != AD_SIM_REFERENCE)) {
            return false;
        }
        hops[*n] = ad_sim_attr_find(here, attr);
        if (!hops[(*n)++]) {
            return false;
        }
    }
    return true;
}

/* --- The tree --- */

static void emit(const struct compiler *k, enum op_code code, size_t n, struct ad_sim_pred *pred)
{
    struct ad_sim_filter *f = k->filter;
    if (f->n == f->cap) {
        size_t cap = f->cap ? f->cap * 2 : 16;
        struct op *ops = take(k->arena, cap * sizeof(ops[0]));
        if (f->n > 0) {
            memcpy(ops, f->ops, f->n * sizeof(ops[0]));
        }
        f->ops = ops;
        f->cap = cap;
    }
    f->ops[f->n++] = (struct op){ code, n, pred };
}

struct frame {
    enum op_code code;
    bool list;                /* elements are filters; else members are conditions */
    const struct ad_json *it; /* what comes next */
    size_t n;                 /* operands so far */
};

static bool emit_pred(const struct compiler *k, const struct frame *stack, size_t depth,
                      struct ad_sim_pred *p)
{
    bool must = true;
    for (size_t i = 0; i < depth; i++) {
        must = must && stack[i].code == OP_AND;
    }
    if (must) {
        p->next_must = k->filter->musts;
        k->filter->musts = p;
    } else {
        k->filter->is_musts = false;
    }
    emit(k, OP_PRED, 0, p);
    return true;
}

static bool compile_attr(const struct compiler *k, const struct ad_json *member,
                         struct ad_sim_pred **out)
{
    struct ad_sim_pred *p = take(k->arena, sizeof(*p));
    p->hops[0] = ad_sim_attr_find(k->object, member->key);
    p->hops_n = 1;
    *out = p;
    return p->hops[0] && add_conds(k, p, member);
}

static bool compile_path(const struct compiler *k, const struct ad_json *filter,
                         struct ad_sim_pred **out)
{
    struct ad_sim_pred *p = take(k->arena, sizeof(*p));
    const struct ad_json *constraints = ad_json_get(filter, "constraints");
    *out = p;
    return filter->count == 2 && constraints &&
           walk_path(k->store, k->object, ad_json_get(filter, "path"), p->hops, &p->hops_n) &&
           add_conds(k, p, constraints);
}

static bool push(struct frame *stack, size_t *depth, struct frame frame)
{
    if (*depth == AD_JSON_DEPTH_MAX) {
        return false;
    }
    stack[(*depth)++] = frame;
    return true;
}

/* A filter object: a path, or members that all must hold. */
static bool open_filter(const struct compiler *k, const struct ad_json *filter, struct frame *stack,
                        size_t *depth)
{
    if (!ad_json_is(filter, AD_JSON_OBJECT)) {
        return false;
    }
    if (ad_json_get(filter, "path")) {
        struct ad_sim_pred *p = NULL;
        stack[*depth - 1].n++;
        return compile_path(k, filter, &p) && emit_pred(k, stack, *depth, p);
    }
    return push(stack, depth, (struct frame){ OP_AND, false, filter->child, 0 });
}

static bool open_member(const struct compiler *k, const struct ad_json *member, struct frame *stack,
                        size_t *depth)
{
    struct ad_sim_pred *p = NULL;
    bool all = ad_str_eq(member->key, AD_STR("$and"));
    if (all || ad_str_eq(member->key, AD_STR("$or"))) {
        return member->type == AD_JSON_ARRAY &&
               push(stack, depth, (struct frame){ all ? OP_AND : OP_OR, true, member->child, 0 });
    }
    if (ad_str_eq(member->key, AD_STR("$not"))) {
        return push(stack, depth, (struct frame){ OP_NOT, true, NULL, 0 }) &&
               open_filter(k, member, stack, depth);
    }
    stack[*depth - 1].n++;
    return compile_attr(k, member, &p) && emit_pred(k, stack, *depth, p);
}

static void close_frame(const struct compiler *k, struct frame *stack, size_t *depth)
{
    struct frame done = stack[--*depth];
    emit(k, done.code, done.n, NULL);
    if (*depth > 0) {
        stack[*depth - 1].n++;
    }
}

static bool compile(const struct compiler *k, const struct ad_json *json)
{
    struct frame stack[AD_JSON_DEPTH_MAX];
    size_t depth = 0;
    stack[depth++] = (struct frame){ OP_AND, true, NULL, 0 };
    if (!open_filter(k, json, stack, &depth)) {
        return false;
    }
    while (depth > 0) {
        struct frame *top = &stack[depth - 1];
        const struct ad_json *it = top->it;
        if (!it) {
            close_frame(k, stack, &depth);
            continue;
        }
        top->it = it->next;
        if (!(top->list ? open_filter(k, it, stack, &depth) : open_member(k, it, stack, &depth))) {
            return false;
        }
    }
    return true;
}

bool ad_sim_filter_compile(const struct ad_sim_store *s, const struct ad_sim_object *o,
                           const struct ad_json *json, struct ad_arena *arena,
                           struct ad_sim_filter **out)
{
    struct ad_sim_filter *f = take(arena, sizeof(*f));
    struct compiler k = { .store = s, .object = o, .arena = arena, .filter = f };
    f->store = s;
    f->is_musts = true;
    *out = f;
    if (json && !compile(&k, json)) {
        return false;
    }
    for (size_t i = 0; i < f->n; i++) {
        f->is_musts = f->is_musts && (f->ops[i].code == OP_PRED || f->ops[i].code == OP_AND);
    }
    f->stack = take(arena, f->n + 1);
    return true;
}

/* --- Matching --- */

bool ad_sim_contains(struct ad_str s, struct ad_str part)
{
    for (size_t i = 0; i + part.n <= s.n; i++) {
        if (ad_str_eq_nocase(ad_str_n(s.p + i, part.n), part)) {
            return true;
        }
    }
    return false;
}

/* Equality of text by kind: ids in either case, options and objects by name or id. */
static bool same_text(enum ad_sim_kind kind, const struct ad_sim_key *key, struct ad_str wanted)
{
    switch (kind) {
    case AD_SIM_KIND_UUID:
        return ad_str_eq_nocase(key->s, wanted);
    case AD_SIM_KIND_OPTION:
    case AD_SIM_KIND_OBJECT:
        return ad_str_eq(key->s, wanted) || ad_str_eq_nocase(ad_str_c(key->room), wanted);
    default:
        return ad_str_eq(key->s, wanted);
    }
}

static bool is_text(enum ad_sim_kind kind)
{
    return kind == AD_SIM_KIND_TEXT || kind == AD_SIM_KIND_OPTION || kind == AD_SIM_KIND_OBJECT ||
           kind == AD_SIM_KIND_UUID;
}

static bool is_among(const struct ad_sim_cond *c, const struct ad_sim_key *key)
{
    for (size_t i = 0; i < c->in_n; i++) {
        if (same_text(c->prop->kind, key, c->in[i])) {
            return true;
        }
    }
    return false;
}

static bool holds(const struct ad_sim_cond *c, const struct ad_sim_key *key)
{
    switch (c->op) {
    case AD_SIM_EQ:
        return is_text(c->prop->kind) ? same_text(c->prop->kind, key, c->s) : key->i == c->i;
    case AD_SIM_IN:
        return is_among(c, key);
    case AD_SIM_NOT_EMPTY:
        return true;
    case AD_SIM_CONTAINS:
        return ad_sim_contains(key->s, c->s);
    case AD_SIM_STARTS:
        return ad_str_starts(key->s, c->s);
    case AD_SIM_ENDS:
        return ad_str_ends(key->s, c->s);
    case AD_SIM_LT:
        return key->i < c->i;
    case AD_SIM_LTE:
        return key->i <= c->i;
    case AD_SIM_GT:
        return key->i > c->i;
    case AD_SIM_GTE:
        return key->i >= c->i;
    }
    return false;
}

static bool meets_all(const struct ad_sim_store *s, const struct ad_sim_cond *c,
                      const struct ad_sim_value *v)
{
    for (; c; c = c->next) {
        struct ad_sim_key key;
        key.store = s;
        key.none = false;
        key.room[36] = '\0';
        c->prop->get(v, &key);
        if (key.none || !holds(c, &key)) {
            return false;
        }
    }
    return true;
}

/* Depth first over all values on the way, with a cursor per step. */
static bool match_pred(const struct ad_sim_store *s, const struct ad_sim_pred *p,
                       const struct ad_sim_record *r)
{
    struct {
        const struct ad_sim_value *v;
        size_t n;
        struct ad_sim_value made;
    } at[AD_SIM_HOPS_MAX];
    size_t depth = 0;
    at[0].v = ad_sim_values(r, p->hops[0], &at[0].made, &at[0].n);
    while (true) {
        if (at[depth].n == 0) {
            if (depth == 0) {
                return false;
            }
            depth--;
            continue;
        }
        const struct ad_sim_value *v = at[depth].v++;
        at[depth].n--;
        if (depth + 1 == p->hops_n) {
            if (meets_all(s, p->conds, v)) {
                return true;
            }
            continue;
        }
        const struct ad_sim_record *to = v->u.record;
        if (!to->deleted && to->object == p->hops[depth + 1]->object) {
            depth++;
            at[depth].v = ad_sim_values(to, p->hops[depth], &at[depth].made, &at[depth].n);
        }
    }
}

static size_t combine(const struct op *op, uint8_t *stack, size_t top)
{
    if (op->code == OP_NOT) {
        stack[top - 1] = !stack[top - 1];
        return top;
    }
    uint8_t result = op->code == OP_AND;
    for (size_t i = 0; i < op->n; i++) {
        uint8_t v = stack[--top];
        result = op->code == OP_AND ? (result && v) : (result || v);
    }
    stack[top++] = result;
    return top;
}

bool ad_sim_filter_match(const struct ad_sim_filter *f, const struct ad_sim_record *r)
{
    size_t top = 0;
    for (size_t i = 0; i < f->n; i++) {
        const struct op *op = &f->ops[i];
        if (op->code == OP_PRED) {
            f->stack[top++] = match_pred(f->store, op->pred, r);
        } else {
            top = combine(op, f->stack, top);
        }
    }
    return f->n == 0 || f->stack[0];
}

/* --- What it costs --- */

#define OPS_WITHIN (AD_SIM_CONTAINS | AD_SIM_STARTS | AD_SIM_ENDS)

static size_t pred_points(const struct ad_sim_pred *p)
{
    size_t points = ((size_t)p->hops_n - 1) * 4;
    for (const struct ad_sim_cond *c = p->conds; c; c = c->next) {
        bool looked_up = p->hops[0]->unique && (c->op == AD_SIM_EQ || c->op == AD_SIM_IN);
        points += p->hops_n > 1 || (p->hops[0]->made == AD_SIM_STORED && !looked_up);
        points += (c->op & OPS_WITHIN) ? 2 : 0;
    }
    return points;
}

size_t ad_sim_filter_points(const struct ad_sim_filter *f)
{
    size_t points = 0;
    for (size_t i = 0; i < f->n; i++) {
        points += f->ops[i].code == OP_PRED ? pred_points(f->ops[i].pred) : 0;
    }
    return points;
}

/* --- Sorts --- */

bool ad_sim_sort_compile(const struct ad_sim_store *s, const struct ad_sim_object *o,
                         const struct ad_json *json, struct ad_sim_sort *out)
{
    struct ad_str direction = ad_json_str(ad_json_get(json, "direction"));
    struct ad_str attr = ad_json_str(ad_json_get(json, "attribute"));
    struct ad_str field = ad_json_str(ad_json_get(json, "field"));
    *out = (struct ad_sim_sort){ .descending = ad_str_eq(direction, AD_STR("desc")) };
    if (!out->descending && !ad_str_eq(direction, AD_STR("asc"))) {
        return false;
    }
    if (attr.p) {
        out->hops[0] = ad_sim_attr_find(o, attr);
        out->hops_n = 1;
    } else if (!walk_path(s, o, ad_json_get(json, "path"), out->hops, &out->hops_n)) {
        return false;
    }
    const struct ad_sim_attr *last = out->hops[out->hops_n - 1];
    if (!last) {
        return false;
    }
    out->prop = field.p ? ad_sim_prop_find(last, field) : ad_sim_props(last);
    return out->prop != NULL;
}
