/* Attributes that change in place: another type, or unique from now on. */
#include "attributes.h"
#include "base/mem.h"
#include "store_private.h"

static bool holds(const struct ad_sim_record *r, const struct ad_sim_attr *a, uint32_t *from,
                  uint32_t *n)
{
    *from = ad__sim_first_of(r, a->place);
    *n = ad__sim_count_of(r, *from, a->place);
    return *n > 0;
}

void ad_sim_attr_set_unique(struct ad_sim_attr *a, bool unique)
{
    bool before = a->unique;
    a->unique = unique;
    for (size_t i = 0; unique && !before && i < a->object->n; i++) {
        struct ad_sim_record *r = a->object->sorted[i];
        uint32_t from = 0;
        uint32_t n = 0;
        AD_IGNORE(holds(r, a, &from, &n), "none is fine");
        for (uint32_t k = from; k < from + n; k++) {
            ad__sim_unique_put(r, &r->values[k]);
        }
    }
}

/* --- Text of a value, as a person would type it --- */

static bool text_of(const struct ad_sim_attr *a, const struct ad_sim_value *v, struct ad_buf *out)
{
    struct ad_sim_key key = { .store = a->object->store };
    const struct ad_sim_prop *prop = ad_sim_props(a);
    struct ad_sim_pen p;
    ad_buf_clear(out);
    if (a->type == AD_SIM_REFERENCE) {
        return false;
    }
    prop->get(v, &key);
    if (key.none) {
        return false;
    }
    if (key.s.p) {
        ad_buf_put(out, key.s);
        return true;
    }
    ad_sim_pen_init(&p, out);
    if (prop->kind == AD_SIM_KIND_NUMBER) {
        ad_sim_put_fixed(&p, key.i);
    } else if (prop->kind == AD_SIM_KIND_BOOL) {
        ad_sim_put(&p, key.i ? AD_STR("true") : AD_STR("false"));
    } else if (prop->kind == AD_SIM_KIND_DATE) {
        ad_sim_put_date(&p, key.i);
    } else if (prop->kind == AD_SIM_KIND_TIME) {
        ad_sim_put_time(&p, key.i);
    } else {
        ad_sim_put_i64(&p, key.i);
    }
    ad_sim_pen_done(&p);
    return true;
}

/* Times are printed with quotes. */
static struct ad_str unquoted(struct ad_str s)
{
    bool quoted = s.p && s.n > 1 && s.p[0] == '"' && s.p[s.n - 1] == '"';
    return quoted ? ad_str_n(s.p + 1, s.n - 2) : s;
}

struct retype {
    struct ad_sim_attr *attr;
    struct ad_arena arena;
    struct ad_buf text;
    int64_t now_ns;
};

/* The text read as the new type; false: it makes no sense there. */
static bool reread(struct retype *t, struct ad_str text, struct ad_sim_value *out)
{
    struct ad_sim_store *s = t->attr->object->store;
    struct ad_sim_refusal refusal;
    struct ad_sim_parse parse = {
        .store = s, .attr = t->attr, .arena = &t->arena, .refusal = &refusal
    };
    struct ad_json as_text = { .type = AD_JSON_STRING, .str = text };
    struct ad_errinfo info = { 0 };
    const struct ad_json *as_number = NULL; /* or whatever else JSON it happens to be */
    bool option = t->attr->type == AD_SIM_SELECT || t->attr->type == AD_SIM_STATUS;
    if (option && text.n > 0 && !ad_sim_option_find(t->attr, text)) {
        AD_IGNORE(!ad_sim_option_add(s, t->attr, text), "it is found below");
    }
    return ad_sim_types[t->attr->type].parse(&parse, &as_text, out) ||
           (ad_json_parse(&t->arena, text, NULL, &as_number, &info) == AD_OK &&
            ad_sim_types[t->attr->type].parse(&parse, as_number, out));
}

/* Old values out, with what is known of their past: it is of the old type. */
static size_t take_out(struct retype *t, struct ad_sim_record *r, struct ad_str **texts)
{
    uint32_t from = 0;
    uint32_t n = 0;
    size_t kept = 0;
    if (!holds(r, t->attr, &from, &n)) {
        return 0;
    }
    *texts = ad_arena_array(&t->arena, n, sizeof(**texts));
    AD_ASSERT(*texts);
    for (uint32_t i = from; i < from + n; i++) {
        struct ad_sim_value *v = &r->values[i];
        if (text_of(t->attr, v, &t->text)) {
            (*texts)[kept++] = ad_arena_str(&t->arena, unquoted(ad_buf_str(&t->text)));
        }
        ad__sim_unique_remove(r, v);
        ad_sim_value_free(v);
    }
    memmove(r->values + from, r->values + from + n, (r->n - from - n) * sizeof(r->values[0]));
    r->n -= n;
    return kept;
}

static void forget_past(struct ad_sim_record *r, const struct ad_sim_attr *a)
{
    struct ad_sim_past **link = &r->past;
    while (*link) {
        struct ad_sim_past *past = *link;
        if (past->value.attr != a->place) {
            link = &past->next;
            continue;
        }
        *link = past->next;
        ad_sim_value_free(&past->value);
        ad_free(past);
    }
}

static void put_back(struct retype *t, struct ad_sim_record *r, const struct ad_str *texts,
                     size_t n)
{
    bool some = false;
    for (size_t i = 0; i < n && (t->attr->multi || !some); i++) {
        struct ad_sim_value v = { 0 };
        if (!reread(t, texts[i], &v)) {
            continue;
        }
        v.attr = t->attr->place;
        v.actor = AD_SIM_ACTOR_SYSTEM;
        v.from_ns = t->now_ns;
        if (ad__sim_find_equal(r, &v) >= 0) {
            ad_sim_value_free(&v);
            continue;
        }
        ad_sim_value_append(r, v);
        some = true;
    }
}

static void retype_record(struct retype *t, struct ad_sim_record *r, enum ad_sim_type_id type,
                          bool multi)
{
    enum ad_sim_type_id old = t->attr->type;
    bool old_multi = t->attr->multi;
    struct ad_str *texts = NULL;
    forget_past(r, t->attr);
    size_t n = take_out(t, r, &texts);
    t->attr->type = type;
    t->attr->multi = multi;
    put_back(t, r, texts, n);
    t->attr->type = old;
    t->attr->multi = old_multi;
    ad_arena_reset(&t->arena);
}

void ad_sim_retype(struct ad_sim_attr *a, enum ad_sim_type_id type, bool multi)
{
    struct ad_sim_store *s = a->object->store;
    struct retype t = { .attr = a, .now_ns = ad_sim_now(s) };
    ad_arena_init(&t.arena, SIZE_MAX / 4);
    ad_buf_init(&t.text, 64u << 20);
    for (size_t i = 0; i < a->object->n; i++) {
        retype_record(&t, a->object->sorted[i], type, multi);
    }
    for (size_t i = 0; i < s->merging_n; i++) {
        if (s->merging[i].record->object == a->object) {
            retype_record(&t, s->merging[i].record, type, multi);
        }
    }
    ad_sim_attr_set_type(a, type);
    a->unique = a->unique && type != AD_SIM_SELECT && type != AD_SIM_STATUS;
    a->multi = multi;
    ad_buf_fini(&t.text);
    ad_arena_fini(&t.arena);
}
