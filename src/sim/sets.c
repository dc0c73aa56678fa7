/* Objects and lists, their attributes, options. */
#include "base/mem.h"
#include "store_private.h"
#include "types.h"

/* --- Objects and lists --- */

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
    o->sharing = ad_sim_alloc(sizeof(*o->sharing));
    o->sharing->workspace = "full-access";
    o->sharing->actor = AD_SIM_ACTOR_TOKEN;
    o->created_ns = ad_sim_now(s);
    keep(&s->lists, &s->lists_n, o);
    ad_sim_object_made(s, o);
    return o;
}

void ad_sim_list_emit(struct ad_sim_store *s, const char *type, const struct ad_sim_object *list,
                      uint8_t actor)
{
    struct ad_sim_event event = { .type = type, .actor = actor };
    ad_sim_event_id(&event, "id.workspace_id", s->workspace_id);
    ad_sim_event_id(&event, "id.list_id", list->id);
    ad_sim_emit(s, &event);
}

void ad_sim_list_delete(struct ad_sim_store *s, struct ad_sim_object *list, uint8_t actor)
{
    ad_sim_event_cb on_event = s->on_event;
    s->on_event = NULL;
    while (list->n > 0) {
        ad_sim_record_delete(s, list->sorted[list->n - 1], actor);
    }
    s->on_event = on_event;
    size_t i = 0;
    while (s->lists[i] != list) {
        i++;
    }
    memmove(s->lists + i, s->lists + i + 1, (--s->lists_n - i) * sizeof(struct ad_sim_object *));
    list->gone = true;
    keep(&s->gone, &s->gone_n, list);
    ad_sim_list_emit(s, "list.deleted", list, actor);
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

bool ad_sim_is_standard(const struct ad_sim_object *o, const char *slug)
{
    return o->kind == AD_SIM_OBJECT && o->web && strcmp(o->slug, slug) == 0;
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

/* --- Attributes --- */

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
    ad__sim_free_str(a->open);
    a->open = opening(a->slug);
}

void ad_sim_attr_set_type(struct ad_sim_attr *a, enum ad_sim_type_id type)
{
    a->type = type;
    ad__sim_free_str(a->tail);
    a->tail = ad__sim_text3(",\"attribute_type\":\"", ad_sim_types[type].name, "\"}");
    if (type == AD_SIM_CURRENCY && !a->currency[0]) {
        memcpy(a->currency, "USD", sizeof(a->currency));
        a->display = "symbol";
    } else if (type != AD_SIM_CURRENCY) {
        a->currency[0] = '\0';
    }
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
    a->title = ad_sim_copy(title);
    a->writable = true;
    ad_sim_attr_set_type(a, type);
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

/* --- The end of them --- */

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
    ad__sim_free_str(a->open);
    ad__sim_free_str(a->tail);
    ad_free(a->options);
    ad_free(a->allowed);
    ad_free(a->slug);
    ad_free(a->title);
    ad_free(a->description);
    ad_free(a->default_json);
    ad_free(a);
}

void ad__sim_free_record(struct ad_sim_record *r)
{
    ad__sim_free_past(r);
    ad__sim_free_values(r);
    ad_free(r);
}

void ad__sim_set_free(struct ad_sim_object *o)
{
    for (size_t i = 0; i < o->n; i++) {
        ad__sim_free_record(o->sorted[i]);
    }
    ad_map_fini(&o->by_id);
    for (size_t i = 0; i < o->attrs_n; i++) {
        free_attr(o->attrs[i]);
    }
    ad_free(o->attrs);
    ad_free(o->sharing);
    ad_free(o->sorted);
    ad_free(o->slug);
    ad_free(o->singular);
    ad_free(o->plural);
    ad_free(o);
}
