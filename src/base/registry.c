#include "base/registry.h"

#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"

/* After seal a literal pattern is found by one look into the map; it is always the most literal
 * of all that match its path. The other patterns are tried in the order of `compare_patterns`,
 * so that the first that fits is the right one. They are few, and most differ within their
 * literal start. */

enum { SEGMENTS_MAX = 16 };

enum kind { LITERAL, PARAM, REST }; /* in the order of preference */

struct segment {
    enum kind kind;
    struct ad_str text; /* of a literal */
};

struct entry {
    struct ad_list link;
    struct ad_route route;
    unsigned methods;    /* with the HEAD that follows GET */
    struct ad_str start; /* literal start of the pattern */
    bool literal;        /* all of it is */
    struct entry *same;  /* another entry with the same literal pattern */
    struct ad_map_node node;
    size_t n;
    struct segment segments[SEGMENTS_MAX];
};

struct subscription {
    struct ad_list link;
    const char *types;
    struct ad_str prefix; /* "record." of "record.*", empty of "*" */
    bool family;
    const struct ad_handler *handler;
};

struct ad_registry {
    struct ad_list entries;
    struct ad_list subscriptions;
    struct ad_map literals; /* struct entry by pattern; after seal */
    struct entry **patterns;
    size_t patterns_n;
    bool sealed;
};

enum ad_err ad_registry_new(struct ad_registry **out)
{
    struct ad_registry *r = ad_zalloc(sizeof(*r));
    if (!r) {
        return AD_ERR_NOMEM;
    }
    ad_list_init(&r->entries);
    ad_list_init(&r->subscriptions);
    ad_map_init(&r->literals);
    *out = r;
    return AD_OK;
}

void ad_registry_free(struct ad_registry *r)
{
    if (!r) {
        return;
    }
    ad_map_fini(&r->literals);
    AD_LIST_FOREACH_SAFE (it, &r->entries) {
        ad_free(ad_container_of(it, struct entry, link));
    }
    AD_LIST_FOREACH_SAFE (it, &r->subscriptions) {
        ad_free(ad_container_of(it, struct subscription, link));
    }
    ad_free(r->patterns);
    ad_free(r);
}

/* --- Patterns --- */

static bool is_param(struct ad_str s)
{
    return s.n > 2 && s.p[0] == '{' && s.p[s.n - 1] == '}' &&
           ad_str_find(ad_str_n(s.p + 1, s.n - 2), '{') == s.n - 2 &&
           ad_str_find(s, '}') == s.n - 1;
}

static bool is_literal(struct ad_str s)
{
    return ad_str_find(s, '{') == s.n && ad_str_find(s, '}') == s.n && ad_str_find(s, '*') == s.n;
}

/* One part; `last` when the pattern ends with it. */
static bool parse_segment(struct ad_str text, bool last, struct segment *out)
{
    *out = (struct segment){ .kind = LITERAL, .text = text };
    if (last && ad_str_eq(text, AD_STR("**"))) {
        out->kind = REST;
    } else if (is_param(text)) {
        out->kind = PARAM;
    } else {
        return is_literal(text) && (last || text.n > 0);
    }
    return true;
}

static bool parse_pattern(const char *pattern, struct entry *e)
{
    struct ad_str rest = ad_str_c(pattern);
    size_t params = 0;
    if (!ad_str_starts(rest, AD_STR("/"))) {
        return false;
    }
    e->literal = true;
    e->start = rest;
    (void)ad_str_cut(&rest, '/');
    while (rest.p) {
        struct ad_str text = ad_str_cut(&rest, '/');
        if (e->n == SEGMENTS_MAX || !parse_segment(text, !rest.p, &e->segments[e->n])) {
            return false;
        }
        if (e->segments[e->n++].kind == LITERAL) {
            continue;
        }
        params++;
        if (e->literal) {
            e->literal = false;
            e->start.n = (size_t)(text.p - pattern);
        }
    }
    return params <= AD_ROUTE_PARAMS_MAX;
}

/* Literal before parameter before rest at the first part that differs; then the longer first.
 * 0 means that exactly the same paths match. */
static int compare_patterns(const struct entry *a, const struct entry *b)
{
    for (size_t i = 0; i < a->n && i < b->n; i++) {
        const struct segment *x = &a->segments[i];
        const struct segment *y = &b->segments[i];
        if (x->kind != y->kind) {
            return x->kind < y->kind ? -1 : 1;
        }
        int order = x->kind == LITERAL ? ad_str_cmp(x->text, y->text) : 0;
        if (order) {
            return order;
        }
    }
    return (a->n < b->n) - (a->n > b->n);
}

static enum ad_err check_route(const struct ad_registry *r, const struct entry *e,
                               struct ad_errinfo *info)
{
    const struct ad_route *route = &e->route;
    if (!route->handler || e->methods == 0 || e->methods >= AD_HTTP_OTHER) {
        return ad_fail(info, AD_ERR_INVALID, "route %s: no handler or no methods", route->pattern);
    }
    AD_LIST_FOREACH (it, &r->entries) {
        const struct entry *other = ad_container_of(it, struct entry, link);
        if ((other->methods & e->methods) && compare_patterns(other, e) == 0) {
            return ad_fail(info, AD_ERR_CONFLICT, "routes %s and %s take the same requests",
                           other->route.pattern, route->pattern);
        }
    }
    return AD_OK;
}

enum ad_err ad_registry_route(struct ad_registry *r, const struct ad_route *route,
                              struct ad_errinfo *info)
{
    if (r->sealed) {
        return ad_fail(info, AD_ERR_INVALID, "route %s: the registry is sealed", route->pattern);
    }
    struct entry *e = ad_zalloc(sizeof(*e));
    if (!e) {
        return ad_fail(info, AD_ERR_NOMEM, "route %s: out of memory", route->pattern);
    }
    e->route = *route;
    e->methods = route->methods | (route->methods & AD_HTTP_GET ? AD_HTTP_HEAD : 0u);
    enum ad_err err = parse_pattern(route->pattern, e)
                          ? check_route(r, e, info)
                          : ad_fail(info, AD_ERR_INVALID, "route %s: bad pattern", route->pattern);
    if (err) {
        ad_free(e);
        return err;
    }
    ad_list_push(&r->entries, &e->link);
    return AD_OK;
}

/* --- Seal --- */

static int compare_entries(const void *a, const void *b)
{
    const struct entry *const *x = a;
    const struct entry *const *y = b;
    return compare_patterns(*x, *y);
}

static void add_literal(struct ad_registry *r, struct entry *e)
{
    struct ad_map_node *node = ad_map_get(&r->literals, e->start);
    if (node) {
        struct entry *first = ad_container_of(node, struct entry, node);
        e->same = first->same;
        first->same = e;
    } else {
        ad_map_put(&r->literals, &e->node, e->start);
    }
}

enum ad_err ad_registry_seal(struct ad_registry *r, struct ad_errinfo *info)
{
    if (r->sealed) {
        return ad_fail(info, AD_ERR_INVALID, "the registry is already sealed");
    }
    size_t n = 0;
    AD_LIST_FOREACH (it, &r->entries) {
        n++;
    }
    r->patterns = ad_alloc_array(n, sizeof(struct entry *));
    if (!r->patterns) {
        return ad_fail(info, AD_ERR_NOMEM, "sealing the registry: out of memory");
    }
    AD_LIST_FOREACH (it, &r->entries) {
        struct entry *e = ad_container_of(it, struct entry, link);
        if (e->literal) {
            add_literal(r, e);
        } else {
            r->patterns[r->patterns_n++] = e;
        }
    }
    qsort(r->patterns, r->patterns_n, sizeof(struct entry *), compare_entries);
    r->sealed = true;
    return AD_OK;
}

/* --- Match --- */

static bool fits(const struct entry *e, struct ad_str path, struct ad_str params[])
{
    if (!ad_str_starts(path, e->start)) {
        return false;
    }
    struct ad_str rest = path;
    (void)ad_str_cut(&rest, '/');
    size_t taken = 0;
    for (size_t i = 0; i < e->n; i++) {
        const struct segment *s = &e->segments[i];
        if (!rest.p) {
            return false;
        }
        if (s->kind == REST) {
            params[taken] = rest;
            return true;
        }
        struct ad_str text = ad_str_cut(&rest, '/');
        if (s->kind == LITERAL ? !ad_str_eq(text, s->text) : text.n == 0) {
            return false;
        }
        if (s->kind == PARAM) {
            params[taken++] = text;
        }
    }
    return !rest.p;
}

static void clear_params(struct ad_str params[AD_ROUTE_PARAMS_MAX])
{
    for (size_t i = 0; i < AD_ROUTE_PARAMS_MAX; i++) {
        params[i] = AD_STR_NONE;
    }
}

const struct ad_route *ad_registry_match(const struct ad_registry *r, enum ad_http_method method,
                                         struct ad_str path,
                                         struct ad_str params[AD_ROUTE_PARAMS_MAX], unsigned *allow)
{
    AD_ASSERT(r->sealed);
    *allow = 0;
    clear_params(params);
    struct ad_map_node *node = ad_map_get(&r->literals, path);
    struct entry *e = node ? ad_container_of(node, struct entry, node) : NULL;
    for (; e; e = e->same) {
        *allow |= e->methods;
        if (e->methods & (unsigned)method) {
            return &e->route;
        }
    }
    for (size_t i = 0; i < r->patterns_n; i++) {
        e = r->patterns[i];
        if (fits(e, path, params)) {
            *allow |= e->methods;
            if (e->methods & (unsigned)method) {
                return &e->route;
            }
        }
        clear_params(params);
    }
    return NULL;
}

/* --- Event handlers --- */

static bool is_type_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* "*", or words joined by points of which the last may be "*". */
static bool parse_types(const char *types, struct subscription *s)
{
    struct ad_str rest = ad_str_c(types);
    while (rest.p) {
        struct ad_str word = ad_str_cut(&rest, '.');
        if (!rest.p && ad_str_eq(word, AD_STR("*"))) {
            s->family = true;
            s->prefix = ad_str_n(types, (size_t)(word.p - types));
            return true;
        }
        for (size_t i = 0; i < word.n; i++) {
            if (!is_type_char(word.p[i])) {
                return false;
            }
        }
        if (word.n == 0) {
            return false;
        }
    }
    s->prefix = ad_str_c(types);
    return true;
}

static enum ad_err check_subscription(const struct ad_registry *r, struct subscription *s,
                                      struct ad_errinfo *info)
{
    if (!s->handler || !s->types || !parse_types(s->types, s)) {
        return ad_fail(info, AD_ERR_INVALID, "event type %s: not a type, family.* or *",
                       s->types ? s->types : "(none)");
    }
    AD_LIST_FOREACH (it, &r->subscriptions) {
        const struct subscription *other = ad_container_of(it, struct subscription, link);
        if (other->handler == s->handler && strcmp(other->types, s->types) == 0) {
            return ad_fail(info, AD_ERR_CONFLICT, "event type %s: the same handler twice",
                           s->types);
        }
    }
    return AD_OK;
}

enum ad_err ad_registry_on(struct ad_registry *r, const char *types,
                           const struct ad_handler *handler, struct ad_errinfo *info)
{
    if (r->sealed) {
        return ad_fail(info, AD_ERR_INVALID, "event type %s: the registry is sealed", types);
    }
    struct subscription *s = ad_zalloc(sizeof(*s));
    if (!s) {
        return ad_fail(info, AD_ERR_NOMEM, "event type %s: out of memory", types);
    }
    s->types = types;
    s->handler = handler;
    enum ad_err err = check_subscription(r, s, info);
    if (err) {
        ad_free(s);
        return err;
    }
    ad_list_push(&r->subscriptions, &s->link);
    return AD_OK;
}

static bool is_among(const struct ad_handler *h, const struct ad_handler *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (list[i] == h) {
            return true;
        }
    }
    return false;
}

size_t ad_registry_handlers(const struct ad_registry *r, struct ad_str type,
                            const struct ad_handler **out, size_t max)
{
    AD_ASSERT(r->sealed);
    size_t n = 0;
    AD_LIST_FOREACH (it, &r->subscriptions) {
        const struct subscription *s = ad_container_of(it, struct subscription, link);
        bool wants = s->family ? ad_str_starts(type, s->prefix) : ad_str_eq(type, s->prefix);
        if (n < max && wants && !is_among(s->handler, out, n)) {
            out[n++] = s->handler;
        }
    }
    return n;
}
