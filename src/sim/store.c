#include "model.h"

#include "base/mem.h"
#include "types.h"

void *ad_sim_alloc(size_t size)
{
    void *p = ad_zalloc(size);
    AD_ASSERT(p);
    return p;
}

void *ad_sim_grow(void *p, size_t size)
{
    p = ad_resize(p, size);
    AD_ASSERT(p);
    return p;
}

char *ad_sim_copy(struct ad_str s)
{
    if (!s.p) {
        return NULL;
    }
    char *p = ad_sim_alloc(s.n + 1);
    memcpy(p, s.p, s.n);
    return p;
}

struct ad_sim_pack *ad_sim_pack_new(const struct ad_str *parts, uint32_t n)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < n; i++) {
        bytes += parts[i].p ? parts[i].n : 0;
    }
    struct ad_sim_pack *p = ad_sim_alloc(sizeof(*p) + n * sizeof(p->len[0]) + bytes);
    p->n = n;
    char *to = (char *)&p->len[n];
    for (uint32_t i = 0; i < n; i++) {
        p->len[i] = parts[i].p ? (uint32_t)parts[i].n : UINT32_MAX;
        if (parts[i].p && parts[i].n) {
            memcpy(to, parts[i].p, parts[i].n);
            to += parts[i].n;
        }
    }
    return p;
}

struct ad_str ad_sim_pack_get(const struct ad_sim_pack *p, uint32_t i)
{
    const char *at = (const char *)&p->len[p->n];
    for (uint32_t k = 0; k < i; k++) {
        at += p->len[k] == UINT32_MAX ? 0 : p->len[k];
    }
    return p->len[i] == UINT32_MAX ? AD_STR_NONE : ad_str_n(at, p->len[i]);
}

int64_t ad_sim_now(struct ad_sim_store *s)
{
    int64_t ns = ad_wall_ns(s->clock) / AD_NS_PER_MS * AD_NS_PER_MS;
    if (ns > s->last_ns) {
        s->last_ns = ns;
    }
    return s->last_ns;
}

void ad_sim_new_id(struct ad_rand *r, uint8_t out[16])
{
    for (unsigned half = 0; half < 2; half++) {
        uint64_t v = ad_rand_u64(r);
        memcpy(out + 8 * (size_t)half, &v, sizeof(v));
    }
    out[6] = (uint8_t)((out[6] & 0x0f) | 0x40);
    out[8] = (uint8_t)((out[8] & 0x3f) | 0x80);
}

void ad_sim_emit(struct ad_sim_store *s, const struct ad_sim_event *event)
{
    if (s->on_event) {
        s->on_event(s->on_event_ctx, event);
    }
}

/* --- Objects, attributes, options --- */

static bool is_ref(struct ad_str ref, const char *slug, const uint8_t id[16])
{
    uint8_t wanted[16];
    if (slug && ad_str_eq(ref, ad_str_c(slug))) {
        return true;
    }
    return ad_sim_uuid_parse(ref, wanted) && memcmp(wanted, id, sizeof(wanted)) == 0;
}

static struct ad_sim_object *set_new(struct ad_sim_store *s, struct ad_str slug,
                                     struct ad_str singular, struct ad_str plural)
{
    struct ad_sim_object *o = ad_sim_alloc(sizeof(*o));
    o->store = s;
    ad_sim_new_id(&s->rand, o->id);
    ad_rand_seed(&o->rand, ad_rand_u64(&s->rand));
    o->slug = ad_sim_copy(slug);
    o->singular = ad_sim_copy(singular);
    o->plural = ad_sim_copy(plural);
    ad_map_init(&o->by_id);
    return o;
}

static void keep(struct ad_sim_object ***sets, size_t *n, struct ad_sim_object *o)
{
    *sets = ad_sim_grow(*sets, (*n + 1) * sizeof(struct ad_sim_object *));
    (*sets)[(*n)++] = o;
}

struct ad_sim_object *ad_sim_object_add(struct ad_sim_store *s, struct ad_str slug,
                                        struct ad_str singular, struct ad_str plural)
{
    struct ad_sim_object *o = set_new(s, slug, singular, plural);
    keep(&s->objects, &s->objects_n, o);
    return o;
}

struct ad_sim_object *ad_sim_list_add(struct ad_sim_store *s, struct ad_str slug,
                                      struct ad_str name, struct ad_sim_object *parent)
{
    struct ad_sim_object *o = set_new(s, slug, AD_STR_NONE, name);
    o->kind = AD_SIM_LIST;
    o->parent = parent;
    o->created_ns = ad_sim_now(s);
    keep(&s->lists, &s->lists_n, o);
    ad_sim_object_made(s, o);
    return o;
}

static struct ad_sim_object *find_set(struct ad_sim_object **sets, size_t n, struct ad_str ref)
{
    for (size_t i = 0; i < n; i++) {
        if (is_ref(ref, sets[i]->slug, sets[i]->id)) {
            return sets[i];
        }
    }
    return NULL;
}

struct ad_sim_object *ad_sim_object_find(const struct ad_sim_store *s, struct ad_str ref)
{
    return find_set(s->objects, s->objects_n, ref);
}

struct ad_sim_object *ad_sim_list_find(const struct ad_sim_store *s, struct ad_str ref)
{
    return find_set(s->lists, s->lists_n, ref);
}

struct ad_sim_object *ad_sim_set_find(const struct ad_sim_store *s, struct ad_str ref)
{
    struct ad_sim_object *o = ad_sim_object_find(s, ref);
    return o ? o : ad_sim_list_find(s, ref);
}

static struct ad_str format(const char *before, const char *word, const char *after)
{
    struct ad_buf b;
    ad_buf_init(&b, 65536);
    ad_buf_put(&b, ad_str_c(before));
    ad_buf_put(&b, ad_str_c(word));
    ad_buf_put(&b, ad_str_c(after));
    size_t n = ad_buf_len(&b);
    struct ad_str s = ad_str_n(ad_sim_copy(ad_buf_str(&b)), n);
    ad_buf_fini(&b);
    return s;
}

static void free_str(struct ad_str s)
{
    ad_free((void *)(uintptr_t)s.p);
}

/* "slug":[ */
static struct ad_str opening(const char *slug)
{
    struct ad_buf b;
    struct ad_sim_pen p;
    ad_buf_init(&b, 1 << 20);
    ad_sim_pen_init(&p, &b);
    ad_sim_put_str(&p, ad_str_c(slug));
    AD_SIM_PUT(&p, ":[");
    ad_sim_pen_done(&p);
    size_t n = ad_buf_len(&b);
    struct ad_str s = ad_str_n(ad_sim_copy(ad_buf_str(&b)), n);
    ad_buf_fini(&b);
    return s;
}

void ad_sim_attr_rename(struct ad_sim_attr *a, struct ad_str slug)
{
    char *old = a->slug;
    a->slug = ad_sim_copy(slug);
    ad_free(old);
    free_str(a->open);
    a->open = opening(a->slug);
}

struct ad_sim_attr *ad_sim_attr_add(struct ad_sim_store *s, struct ad_sim_object *o,
                                    struct ad_str slug, struct ad_str title,
                                    enum ad_sim_type_id type)
{
    struct ad_sim_attr *a = ad_sim_alloc(sizeof(*a));
    AD_ASSERT(o->attrs_n < UINT16_MAX);
    o->attrs = ad_sim_grow(o->attrs, (o->attrs_n + 1) * sizeof(struct ad_sim_attr *));
    a->place = (uint16_t)o->attrs_n;
    o->attrs[o->attrs_n++] = a;
    ad_sim_new_id(&s->rand, a->id);
    a->object = o;
    a->type = type;
    a->title = ad_sim_copy(title);
    a->writable = true;
    a->tail = format(",\"attribute_type\":\"", ad_sim_types[type].name, "\"}");
    ad_map_init(&a->uniques);
    ad_sim_attr_rename(a, slug);
    return a;
}

struct ad_sim_attr *ad_sim_attr_find(const struct ad_sim_object *o, struct ad_str ref)
{
    for (size_t i = 0; i < o->attrs_n; i++) {
        if (is_ref(ref, o->attrs[i]->slug, o->attrs[i]->id)) {
            return o->attrs[i];
        }
    }
    return NULL;
}

void ad_sim_object_made(struct ad_sim_store *s, struct ad_sim_object *o)
{
    static const struct {
        const char *slug, *title;
        enum ad_sim_type_id type;
        enum ad_sim_made made;
    } made[] = {
        { "record_id", "Record ID", AD_SIM_TEXT, AD_SIM_MADE_ID },
        { "created_at", "Created at", AD_SIM_TIMESTAMP, AD_SIM_MADE_CREATED_AT },
        { "created_by", "Created by", AD_SIM_ACTOR, AD_SIM_MADE_CREATED_BY },
        { "parent_record", "Parent record", AD_SIM_REFERENCE, AD_SIM_MADE_PARENT },
    };
    bool list = o->kind == AD_SIM_LIST;
    for (size_t i = 0; i < AD_LEN(made) - !list; i++) {
        bool id = made[i].made == AD_SIM_MADE_ID;
        struct ad_sim_attr *a = ad_sim_attr_add(
            s, o, list && id ? AD_STR("entry_id") : ad_str_c(made[i].slug),
            list && id ? AD_STR("Entry ID") : ad_str_c(made[i].title), made[i].type);
        a->made = made[i].made;
        a->system = true;
        a->writable = false;
        a->unique = id;
        a->hidden = a->made == AD_SIM_MADE_PARENT;
        a->created_ns = o->created_ns;
    }
}

void ad_sim_option_render(struct ad_sim_store *s, struct ad_sim_attr *a,
                          struct ad_sim_option *option)
{
    struct ad_buf b;
    struct ad_sim_pen p;
    ad_buf_init(&b, 1 << 20);
    ad_sim_pen_init(&p, &b);
    bool status = a->type == AD_SIM_STATUS;
    AD_SIM_PUT(&p, "{\"id\":{\"workspace_id\":");
    ad_sim_put_uuid(&p, s->workspace_id);
    AD_SIM_PUT(&p, ",\"object_id\":");
    ad_sim_put_uuid(&p, a->object->id);
    AD_SIM_PUT(&p, ",\"attribute_id\":");
    ad_sim_put_uuid(&p, a->id);
    ad_sim_put(&p, status ? AD_STR(",\"status_id\":") : AD_STR(",\"option_id\":"));
    ad_sim_put_uuid(&p, option->id);
    AD_SIM_PUT(&p, "},\"title\":");
    ad_sim_put_str(&p, ad_str_c(option->title));
    ad_sim_put(&p, option->archived ? AD_STR(",\"is_archived\":true")
                                    : AD_STR(",\"is_archived\":false"));
    if (status) {
        ad_sim_put(&p, option->celebrates ? AD_STR(",\"celebration_enabled\":true")
                                          : AD_STR(",\"celebration_enabled\":false"));
        AD_SIM_PUT(&p, ",\"target_time_in_status\":");
        ad_sim_put_str(&p, ad_str_c(option->target_time));
    }
    AD_SIM_PUT(&p, "}");
    ad_sim_pen_done(&p);
    ad_free(option->json);
    option->json = ad_sim_copy(ad_buf_str(&b));
    ad_buf_fini(&b);
}

struct ad_sim_option *ad_sim_option_add(struct ad_sim_store *s, struct ad_sim_attr *a,
                                        struct ad_str title)
{
    struct ad_sim_option *option = ad_sim_alloc(sizeof(*option));
    a->options = ad_sim_grow(a->options, (a->options_n + 1) * sizeof(struct ad_sim_option *));
    a->options[a->options_n++] = option;
    ad_sim_new_id(&s->rand, option->id);
    option->title = ad_sim_copy(title);
    ad_sim_option_render(s, a, option);
    return option;
}

struct ad_sim_option *ad_sim_option_find(const struct ad_sim_attr *a, struct ad_str ref)
{
    for (size_t i = 0; i < a->options_n; i++) {
        if (is_ref(ref, a->options[i]->title, a->options[i]->id)) {
            return a->options[i];
        }
    }
    return NULL;
}

void ad_sim_relate(struct ad_sim_attr *a, struct ad_sim_attr *b)
{
    a->partner = b;
    b->partner = a;
}

void ad_sim_allow(struct ad_sim_attr *a, struct ad_sim_object *target)
{
    a->allowed = ad_sim_grow(a->allowed, (a->allowed_n + 1) * sizeof(struct ad_sim_object *));
    a->allowed[a->allowed_n++] = target;
}

/* --- Records: finding --- */

struct ad_sim_record *ad_sim_record_find(const struct ad_sim_object *o, const uint8_t id[16])
{
    struct ad_map_node *node = ad_map_get(&o->by_id, ad_str_n((const char *)id, 16));
    return node ? ad_container_of(node, struct ad_sim_record, node) : NULL;
}

size_t ad_sim_sorted_from(const struct ad_sim_object *o, int64_t ns)
{
    size_t low = 0;
    size_t high = o->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (o->sorted[mid]->created_ns < ns) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

/* Where the values of attribute `place` begin. */
static uint32_t first_of(const struct ad_sim_record *r, uint16_t place)
{
    uint32_t low = 0;
    uint32_t high = r->n;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (r->values[mid].attr < place) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static uint32_t count_of(const struct ad_sim_record *r, uint32_t from, uint16_t place)
{
    uint32_t n = 0;
    while (from + n < r->n && r->values[from + n].attr == place) {
        n++;
    }
    return n;
}

static void make(const struct ad_sim_record *r, const struct ad_sim_attr *a, struct ad_sim_value *v)
{
    *v = (struct ad_sim_value){
        .attr = a->place, .actor = r->actor, .type = (uint8_t)a->type, .from_ns = r->created_ns
    };
    if (a->made == AD_SIM_MADE_ID) {
        v->u.id = r->id;
    } else if (a->made == AD_SIM_MADE_CREATED_AT) {
        v->u.i = r->created_ns;
    } else if (a->made == AD_SIM_MADE_PARENT) {
        v->u.record = ad_sim_parent(r);
    } else {
        v->aux = r->actor;
    }
}

const struct ad_sim_value *ad_sim_values(const struct ad_sim_record *r, const struct ad_sim_attr *a,
                                         struct ad_sim_value *made, size_t *n)
{
    if (a->made != AD_SIM_STORED) {
        make(r, a, made);
        *n = 1;
        return made;
    }
    uint32_t from = first_of(r, a->place);
    *n = count_of(r, from, a->place);
    return r->values + from;
}

/* --- Unique values --- */

struct ad_sim_record *ad_sim_unique_find(const struct ad_sim_attr *a, struct ad_str key)
{
    struct ad_map_node *node = ad_map_get(&a->uniques, key);
    struct ad_sim_record *r =
        node ? ad_container_of(node, struct ad_sim_unique, node)->record : NULL;
    /* While an attribute is not unique nobody keeps its index. */
    return r && !r->deleted ? r : NULL;
}

static struct ad_sim_attr *unique_attr(const struct ad_sim_record *r, const struct ad_sim_value *v)
{
    struct ad_sim_attr *a = r->object->attrs[v->attr];
    return a->unique ? a : NULL;
}

static void unique_put(struct ad_sim_record *r, const struct ad_sim_value *v)
{
    struct ad_sim_attr *a = unique_attr(r, v);
    struct ad_sim_key room;
    if (!a) {
        return;
    }
    struct ad_str key = ad_sim_value_unique(v, &room);
    struct ad_map_node *node = ad_map_get(&a->uniques, key);
    if (node) {
        /* Data older than the attribute's uniqueness: the first one counts, while it lives. */
        struct ad_sim_unique *old = ad_container_of(node, struct ad_sim_unique, node);
        old->record = old->record->deleted ? r : old->record;
        return;
    }
    struct ad_sim_unique *u = ad_sim_alloc(sizeof(*u) + key.n + 1);
    memcpy(u->key, key.p, key.n);
    u->record = r;
    ad_map_put(&a->uniques, &u->node, ad_str_n(u->key, key.n));
}

static void unique_remove(struct ad_sim_record *r, const struct ad_sim_value *v)
{
    struct ad_sim_attr *a = unique_attr(r, v);
    struct ad_sim_key room;
    struct ad_map_node *node = a ? ad_map_get(&a->uniques, ad_sim_value_unique(v, &room)) : NULL;
    if (!node) {
        return;
    }
    struct ad_sim_unique *u = ad_container_of(node, struct ad_sim_unique, node);
    if (u->record == r) {
        ad_map_remove(&a->uniques, node);
        ad_free(u);
    }
}

/* --- Values of a record --- */

static void insert_at(struct ad_sim_record *r, uint32_t at, struct ad_sim_value v)
{
    if (r->n == r->cap) {
        r->cap = r->cap < 8 ? r->cap + 4 : r->cap + r->cap / 2;
        r->values = ad_sim_grow(r->values, r->cap * sizeof(r->values[0]));
    }
    memmove(r->values + at + 1, r->values + at, (r->n - at) * sizeof(r->values[0]));
    r->values[at] = v;
    r->n++;
    unique_put(r, &v);
}

void ad_sim_value_append(struct ad_sim_record *r, struct ad_sim_value v)
{
    uint32_t from = first_of(r, v.attr);
    insert_at(r, from + count_of(r, from, v.attr), v);
}

#define PAST_MAX \
    64 /* old values kept per record; Attio keeps all, nobody asks a simulator for more */

static void remember(struct ad_sim_record *r, struct ad_sim_value v, int64_t until_ns)
{
    struct ad_sim_past *past = ad_sim_alloc(sizeof(*past));
    past->value = v;
    past->until_ns = until_ns;
    past->next = r->past;
    r->past = past;
    struct ad_sim_past **link = &r->past;
    for (unsigned i = 0; *link && i < PAST_MAX; i++) {
        link = &(*link)->next;
    }
    if (*link) {
        ad_sim_value_free(&(*link)->value);
        ad_free(*link);
        *link = NULL;
    }
}

static void remove_at(struct ad_sim_record *r, uint32_t at, int64_t now_ns)
{
    struct ad_sim_value v = r->values[at];
    unique_remove(r, &v);
    memmove(r->values + at, r->values + at + 1, (r->n - at - 1) * sizeof(r->values[0]));
    r->n--;
    remember(r, v, now_ns);
}

static void free_past(struct ad_sim_record *r)
{
    while (r->past) {
        struct ad_sim_past *past = r->past;
        r->past = past->next;
        ad_sim_value_free(&past->value);
        ad_free(past);
    }
}

static void free_values(struct ad_sim_record *r)
{
    for (uint32_t i = 0; i < r->n; i++) {
        ad_sim_value_free(&r->values[i]);
    }
    ad_free(r->values);
    r->values = NULL;
    r->n = r->cap = 0;
}

/* --- Shadows: what stale reads see --- */

static struct ad_sim_record *clone(const struct ad_sim_record *r)
{
    bool entry = ad_sim_is_entry(r);
    struct ad_sim_record *c = ad_sim_alloc(entry ? sizeof(struct ad_sim_entry) : sizeof(*c));
    memcpy(c, r, entry ? sizeof(struct ad_sim_entry) : sizeof(*c));
    c->past = NULL;
    c->cap = r->n;
    c->values = ad_sim_alloc(r->n * sizeof(c->values[0]) + 1);
    for (uint32_t i = 0; i < r->n; i++) {
        c->values[i] = ad_sim_value_copy(&r->values[i]);
    }
    return c;
}

static void shadow_free(struct ad_sim_shadow *shadow)
{
    if (shadow->was) {
        free_values(shadow->was);
        ad_free(shadow->was);
    }
    *shadow = (struct ad_sim_shadow){ NULL, NULL, 0 };
}

/* Called before each change; `existed` is false for a record just made. */
static void shadow(struct ad_sim_store *s, struct ad_sim_record *r, bool existed)
{
    if (!s->shadowing) {
        return;
    }
    struct ad_sim_shadow *slot = &s->shadows[s->shadows_n++ % AD_SIM_SHADOWS];
    shadow_free(slot);
    *slot = (struct ad_sim_shadow){ r, existed ? clone(r) : NULL, ad_mono_ms(s->clock) };
}

const struct ad_sim_record *ad_sim_record_was(const struct ad_sim_store *s,
                                              const struct ad_sim_record *r, uint64_t since_ms)
{
    size_t from = s->shadows_n > AD_SIM_SHADOWS ? s->shadows_n - AD_SIM_SHADOWS : 0;
    for (size_t i = from; i < s->shadows_n; i++) {
        const struct ad_sim_shadow *shadow = &s->shadows[i % AD_SIM_SHADOWS];
        if (shadow->record == r && shadow->at_ms >= since_ms) {
            return shadow->was;
        }
    }
    return r;
}

const struct ad_sim_record *ad_sim_deleted_was(const struct ad_sim_store *s,
                                               const struct ad_sim_object *o, const uint8_t id[16],
                                               uint64_t since_ms)
{
    size_t from = s->shadows_n > AD_SIM_SHADOWS ? s->shadows_n - AD_SIM_SHADOWS : 0;
    for (size_t i = from; i < s->shadows_n; i++) {
        const struct ad_sim_record *was = s->shadows[i % AD_SIM_SHADOWS].was;
        if (was && was->object == o && memcmp(was->id, id, 16) == 0 &&
            s->shadows[i % AD_SIM_SHADOWS].at_ms >= since_ms) {
            return was;
        }
    }
    return NULL;
}

/* --- Events of records --- */

enum happening { CREATED, UPDATED, DELETED };

static void name_id(struct ad_sim_event *event, const char *key, const uint8_t *id)
{
    event->ids[event->n].key = key;
    event->ids[event->n++].id = id;
}

/* `a` only when one attribute changed. */
static void emit_record(struct ad_sim_store *s, enum happening what, const struct ad_sim_record *r,
                        const struct ad_sim_attr *a, uint8_t actor)
{
    static const char *const types[][3] = {
        [AD_SIM_OBJECT] = { "record.created", "record.updated", "record.deleted" },
        [AD_SIM_LIST] = { "list-entry.created", "list-entry.updated", "list-entry.deleted" },
    };
    bool entry = ad_sim_is_entry(r);
    struct ad_sim_event event = { .type = types[r->object->kind][what], .actor = actor };
    name_id(&event, "id.workspace_id", s->workspace_id);
    name_id(&event, entry ? "id.list_id" : "id.object_id", r->object->id);
    name_id(&event, entry ? "id.entry_id" : "id.record_id", r->id);
    if (a) {
        name_id(&event, "id.attribute_id", a->id);
    }
    if (entry) {
        name_id(&event, "parent_object_id", ad_sim_parent(r)->object->id);
        name_id(&event, "parent_record_id", ad_sim_parent(r)->id);
    }
    ad_sim_emit(s, &event);
}

/* --- Writing --- */

struct change {
    struct ad_sim_store *store;
    int64_t now_ns;
    uint8_t actor;
};

void ad_sim_draft_add(struct ad_sim_draft *d, struct ad_sim_value v)
{
    d->values = ad_sim_grow(d->values, (d->n + 1) * sizeof(d->values[0]));
    d->values[d->n++] = v;
}

void ad_sim_draft_drop(struct ad_sim_draft *d)
{
    for (size_t i = 0; i < d->n; i++) {
        ad_sim_value_free(&d->values[i]);
    }
    ad_free(d->values);
    d->values = NULL;
    d->n = 0;
}

/* Place of an equal value of the same attribute, or -1. */
static int64_t find_equal(const struct ad_sim_record *r, const struct ad_sim_value *v)
{
    uint32_t from = first_of(r, v->attr);
    uint32_t n = count_of(r, from, v->attr);
    for (uint32_t i = from; i < from + n; i++) {
        if (ad_sim_value_equal(&r->values[i], v)) {
            return i;
        }
    }
    return -1;
}

static bool draft_has(const struct ad_sim_draft *d, const struct ad_sim_value *v)
{
    for (size_t i = 0; i < d->n; i++) {
        if (ad_sim_value_equal(&d->values[i], v)) {
            return true;
        }
    }
    return false;
}

static struct ad_sim_value reference(const struct change *c, const struct ad_sim_attr *a,
                                     struct ad_sim_record *to)
{
    return (struct ad_sim_value){ .attr = a->place,
                                  .actor = c->actor,
                                  .type = AD_SIM_REFERENCE,
                                  .from_ns = c->now_ns,
                                  .u.record = to };
}

/* One side of a relationship loses a reference; the event names that side. */
static void drop_reference(const struct change *c, struct ad_sim_record *from,
                           const struct ad_sim_attr *a, struct ad_sim_record *to)
{
    struct ad_sim_value v = reference(c, a, to);
    int64_t at = find_equal(from, &v);
    if (at >= 0) {
        shadow(c->store, from, true);
        remove_at(from, (uint32_t)at, c->now_ns);
        emit_record(c->store, UPDATED, from, a, c->actor);
    }
}

/* The other side of a relationship gains `r`; what a single-valued side pointed to before loses it
 * in turn. */
static void mirror_reference(const struct change *c, struct ad_sim_record *r,
                             const struct ad_sim_attr *a, struct ad_sim_record *target)
{
    const struct ad_sim_attr *b = a->partner;
    struct ad_sim_value v = reference(c, b, r);
    if (find_equal(target, &v) >= 0) {
        return;
    }
    shadow(c->store, target, true);
    uint32_t from = first_of(target, b->place);
    if (!b->multi && count_of(target, from, b->place) > 0) {
        struct ad_sim_record *before = target->values[from].u.record;
        remove_at(target, from, c->now_ns);
        drop_reference(c, before, a, target);
    }
    insert_at(target, first_of(target, b->place), v);
    emit_record(c->store, UPDATED, target, b, c->actor);
}

/* Takes out what the draft replaces. True when something went. */
static bool take_out(const struct change *c, struct ad_sim_record *r, const struct ad_sim_draft *d)
{
    bool changed = false;
    uint32_t i = first_of(r, d->attr->place);
    while (i < r->n && r->values[i].attr == d->attr->place) {
        struct ad_sim_value v = r->values[i];
        if (draft_has(d, &v)) {
            i++;
            continue;
        }
        remove_at(r, i, c->now_ns);
        changed = true;
        if (d->attr->partner) {
            drop_reference(c, v.u.record, d->attr->partner, r);
        }
    }
    return changed;
}

/* Puts in what is new, in the draft's order, in front. */
static bool put_in(const struct change *c, struct ad_sim_record *r, struct ad_sim_draft *d)
{
    bool changed = false;
    for (size_t i = d->n; i-- > 0;) {
        struct ad_sim_value *v = &d->values[i];
        v->attr = d->attr->place;
        v->actor = c->actor;
        v->from_ns = c->now_ns;
        if (find_equal(r, v) >= 0) {
            continue;
        }
        struct ad_sim_value taken = *v;
        v->u.i = 0;
        v->type = AD_SIM_NUMBER; /* nothing left to free */
        insert_at(r, first_of(r, taken.attr), taken);
        changed = true;
        if (d->attr->partner) {
            mirror_reference(c, r, d->attr, taken.u.record);
        }
    }
    return changed;
}

/* After values were kept and others put in front: the order that was written. */
static bool reorder(struct ad_sim_record *r, const struct ad_sim_draft *wanted)
{
    bool changed = false;
    uint32_t from = first_of(r, wanted->attr->place);
    for (uint32_t i = 0; i < wanted->n && from + i < r->n; i++) {
        uint32_t k = from + i;
        while (k < r->n && r->values[k].attr == wanted->attr->place &&
               !ad_sim_value_equal(&r->values[k], &wanted->values[i])) {
            k++;
        }
        if (k == from + i || k >= r->n || r->values[k].attr != wanted->attr->place) {
            continue;
        }
        struct ad_sim_value v = r->values[k];
        memmove(r->values + from + i + 1, r->values + from + i, (k - from - i) * sizeof(v));
        r->values[from + i] = v;
        changed = true;
    }
    return changed;
}

static bool apply(const struct change *c, struct ad_sim_record *r, struct ad_sim_draft *d)
{
    struct ad_sim_draft order = { .attr = d->attr };
    bool changed = false;
    if (!d->prepend) {
        for (size_t i = 0; i < d->n; i++) {
            struct ad_sim_value v = ad_sim_value_copy(&d->values[i]);
            v.attr = d->attr->place;
            ad_sim_draft_add(&order, v);
        }
        changed = take_out(c, r, d);
    }
    changed = put_in(c, r, d) || changed;
    changed = reorder(r, &order) || changed;
    ad_sim_draft_drop(&order);
    return changed;
}

size_t ad_sim_record_write(struct ad_sim_store *s, struct ad_sim_record *r,
                           struct ad_sim_draft *drafts, size_t n, uint8_t actor)
{
    struct change c = { .store = s, .now_ns = ad_sim_now(s), .actor = actor };
    size_t changed = 0;
    shadow(s, r, true);
    for (size_t i = 0; i < n; i++) {
        if (apply(&c, r, &drafts[i])) {
            changed++;
            emit_record(s, UPDATED, r, drafts[i].attr, actor);
        }
        ad_sim_draft_drop(&drafts[i]);
    }
    return changed;
}

static void place(struct ad_sim_object *o, struct ad_sim_record *r)
{
    if (o->n == o->cap) {
        o->cap = o->cap ? o->cap * 2 : 64;
        o->sorted = ad_sim_grow(o->sorted, o->cap * sizeof(struct ad_sim_record *));
    }
    size_t at = o->n;
    if (at > 0 && o->sorted[at - 1]->created_ns > r->created_ns) {
        at = ad_sim_sorted_from(o, r->created_ns + 1);
        memmove(o->sorted + at + 1, o->sorted + at, (o->n - at) * sizeof(struct ad_sim_record *));
    }
    o->sorted[at] = r;
    o->n++;
    ad_map_put(&o->by_id, &r->node, ad_str_n((const char *)r->id, sizeof(r->id)));
}

static void seed_into(struct ad_sim_object *o, struct ad_sim_record *r, int64_t created_ns,
                      uint8_t actor)
{
    ad_sim_new_id(&o->rand, r->id);
    r->object = o;
    r->created_ns = created_ns;
    r->actor = actor;
    place(o, r);
}

struct ad_sim_record *ad_sim_record_seed(struct ad_sim_object *o, int64_t created_ns, uint8_t actor)
{
    struct ad_sim_record *r = ad_sim_alloc(sizeof(*r));
    seed_into(o, r, created_ns, actor);
    return r;
}

struct ad_sim_entry *ad_sim_entry_seed(struct ad_sim_object *list, struct ad_sim_record *parent,
                                       int64_t created_ns, uint8_t actor)
{
    struct ad_sim_entry *e = ad_sim_alloc(sizeof(*e));
    e->parent = parent;
    seed_into(list, &e->record, created_ns, actor);
    ad_sim_listed_put(list->store, e);
    return e;
}

static void fill(const struct change *c, struct ad_sim_record *r, struct ad_sim_draft *drafts,
                 size_t n)
{
    shadow(c->store, r, false);
    emit_record(c->store, CREATED, r, NULL, c->actor);
    for (size_t i = 0; i < n; i++) {
        AD_IGNORE(apply(c, r, &drafts[i]), "a new record differs from nothing");
        ad_sim_draft_drop(&drafts[i]);
    }
}

struct ad_sim_record *ad_sim_record_create(struct ad_sim_store *s, struct ad_sim_object *o,
                                           struct ad_sim_draft *drafts, size_t n, uint8_t actor)
{
    struct change c = { .store = s, .now_ns = ad_sim_now(s), .actor = actor };
    struct ad_sim_record *r = ad_sim_record_seed(o, c.now_ns, actor);
    fill(&c, r, drafts, n);
    return r;
}

struct ad_sim_entry *ad_sim_entry_create(struct ad_sim_store *s, struct ad_sim_object *list,
                                         struct ad_sim_record *parent, struct ad_sim_draft *drafts,
                                         size_t n, uint8_t actor)
{
    struct change c = { .store = s, .now_ns = ad_sim_now(s), .actor = actor };
    struct ad_sim_entry *e = ad_sim_entry_seed(list, parent, c.now_ns, actor);
    fill(&c, &e->record, drafts, n);
    return e;
}

static void unplace(struct ad_sim_object *o, struct ad_sim_record *r)
{
    size_t at = ad_sim_sorted_from(o, r->created_ns);
    while (o->sorted[at] != r) {
        at++;
    }
    memmove(o->sorted + at, o->sorted + at + 1, (o->n - at - 1) * sizeof(struct ad_sim_record *));
    o->n--;
    ad_map_remove(&o->by_id, &r->node);
}

/* Attio does not say; entries without a record could not be read. */
/* NOLINTNEXTLINE(misc-no-recursion): once; an entry has no entries */
static void delete_entries(struct ad_sim_store *s, struct ad_sim_record *r, uint8_t actor)
{
    struct ad_sim_entry *e = ad_sim_is_entry(r) ? NULL : ad_sim_entries_of(s, r);
    while (e) {
        struct ad_sim_entry *next = e->next;
        ad_sim_record_delete(s, &e->record, actor);
        e = next;
    }
}

/* NOLINTNEXTLINE(misc-no-recursion): once; an entry has no entries */
void ad_sim_record_delete(struct ad_sim_store *s, struct ad_sim_record *r, uint8_t actor)
{
    struct change c = { .store = s, .now_ns = ad_sim_now(s), .actor = actor };
    delete_entries(s, r, actor);
    shadow(s, r, true);
    unplace(r->object, r);
    r->deleted = true;
    while (r->n > 0) {
        struct ad_sim_value v = r->values[r->n - 1];
        const struct ad_sim_attr *a = r->object->attrs[v.attr];
        unique_remove(r, &v);
        r->n--;
        if (v.type == AD_SIM_REFERENCE && a->partner) {
            drop_reference(&c, v.u.record, a->partner, r);
        }
        ad_sim_value_free(&v);
    }
    free_past(r);
    free_values(r);
    emit_record(s, DELETED, r, NULL, actor);
    if (ad_sim_is_entry(r)) {
        ad_sim_listed_remove(s, ad_container_of(r, struct ad_sim_entry, record));
    }
    /* The struct itself stays: one-way references, old values and shadows may still name it. */
    r->node.next = s->graves ? &s->graves->node : NULL;
    s->graves = r;
}

/* --- Opening and closing --- */

static void free_option(struct ad_sim_option *option)
{
    ad_free(option->title);
    ad_free(option->target_time);
    ad_free(option->json);
    ad_free(option);
}

static void free_attr(struct ad_sim_attr *a)
{
    for (size_t i = 0; i < a->options_n; i++) {
        free_option(a->options[i]);
    }
    struct ad_map_node *node = NULL;
    while ((node = ad_map_any(&a->uniques)) != NULL) {
        ad_map_remove(&a->uniques, node);
        ad_free(ad_container_of(node, struct ad_sim_unique, node));
    }
    ad_map_fini(&a->uniques);
    free_str(a->open);
    free_str(a->tail);
    ad_free(a->options);
    ad_free(a->allowed);
    ad_free(a->slug);
    ad_free(a->title);
    ad_free(a->description);
    ad_free(a->default_json);
    ad_free(a);
}

static void free_record(struct ad_sim_record *r)
{
    free_past(r);
    free_values(r);
    ad_free(r);
}

static void free_object(struct ad_sim_object *o)
{
    for (size_t i = 0; i < o->n; i++) {
        free_record(o->sorted[i]);
    }
    ad_map_fini(&o->by_id);
    for (size_t i = 0; i < o->attrs_n; i++) {
        free_attr(o->attrs[i]);
    }
    ad_free(o->attrs);
    ad_free(o->sorted);
    ad_free(o->slug);
    ad_free(o->singular);
    ad_free(o->plural);
    ad_free(o);
}

static void free_graves(struct ad_sim_store *s)
{
    while (s->graves) {
        struct ad_sim_record *r = s->graves;
        s->graves = r->node.next ? ad_container_of(r->node.next, struct ad_sim_record, node) : NULL;
        free_record(r);
    }
}

static void set_actor(struct ad_sim_actor *a, const char *type, const uint8_t id[16])
{
    char text[37];
    a->type = type;
    a->has_id = id != NULL;
    if (!id) {
        a->json = format("{\"type\":\"", type, "\",\"id\":null}");
        return;
    }
    memcpy(a->id, id, sizeof(a->id));
    ad_sim_uuid_text(id, text);
    struct ad_str head = format("{\"type\":\"", type, "\",\"id\":\"");
    a->json = format(head.p, text, "\"}");
    free_str(head);
}

void ad_sim_store_init(struct ad_sim_store *s, const struct ad_clock *clock, uint64_t seed,
                       const char *slug)
{
    memset(s, 0, sizeof(*s));
    s->clock = clock;
    s->slug = ad_sim_copy(ad_str_c(slug));
    s->name = ad_sim_copy(AD_STR("Simulated workspace"));
    ad_map_init(&s->listed);
    ad_rand_seed(&s->rand, seed);
    ad_sim_new_id(&s->rand, s->workspace_id);
    uint8_t id[16];
    set_actor(&s->actors[AD_SIM_ACTOR_SYSTEM], "system", NULL);
    ad_sim_new_id(&s->rand, id);
    set_actor(&s->actors[AD_SIM_ACTOR_TOKEN], "api-token", id);
    for (size_t i = 0; i < AD_SIM_MEMBERS; i++) {
        ad_sim_new_id(&s->rand, s->members[i].id);
        s->members[i].actor = (uint8_t)(AD_SIM_ACTOR_MEMBERS + i);
        set_actor(&s->actors[AD_SIM_ACTOR_MEMBERS + i], "workspace-member", s->members[i].id);
    }
}

void ad_sim_store_fini(struct ad_sim_store *s)
{
    for (size_t i = 0; i < AD_SIM_SHADOWS; i++) {
        shadow_free(&s->shadows[i]);
    }
    free_graves(s);
    ad_sim_listed_fini(s);
    for (size_t i = 0; i < s->objects_n; i++) {
        free_object(s->objects[i]);
    }
    for (size_t i = 0; i < s->lists_n; i++) {
        free_object(s->lists[i]);
    }
    for (size_t i = 0; i < AD_SIM_ACTORS; i++) {
        free_str(s->actors[i].json);
    }
    for (size_t i = 0; i < AD_SIM_MEMBERS; i++) {
        ad_free(s->members[i].first);
        ad_free(s->members[i].last);
        ad_free(s->members[i].email);
    }
    ad_free(s->objects);
    ad_free(s->lists);
    ad_free(s->slug);
    ad_free(s->name);
}
