/* Attributes of objects and lists. */
#include "attributes.h"
#include "base/mem.h"

/* --- Writing them --- */

static void write_attr_id(struct ad_json_writer *w, const struct ad_sim_attr *a)
{
    ad_json_key(w, "id");
    ad_json_obj(w);
    ad_sim_w_uuid(w, "workspace_id", a->object->store->workspace_id);
    ad_sim_w_uuid(w, "object_id", a->object->id);
    ad_sim_w_uuid(w, "attribute_id", a->id);
    ad_json_end(w);
}

static void write_relationship(struct ad_json_writer *w, const struct ad_sim_attr *a)
{
    ad_json_key(w, "relationship");
    if (!a->partner) {
        ad_json_w_null(w);
        return;
    }
    ad_json_obj(w);
    write_attr_id(w, a->partner);
    ad_json_f_cstr(w, "object_slug", a->partner->object->slug);
    ad_json_f_cstr(w, "title", a->partner->title);
    ad_json_f_cstr(w, "api_slug", a->partner->slug);
    ad_json_f_bool(w, "is_multiselect", a->partner->multi);
    ad_json_end(w);
}

static void write_config(struct ad_json_writer *w, const struct ad_sim_attr *a)
{
    ad_json_key(w, "config");
    ad_json_obj(w);
    ad_json_key(w, "currency");
    ad_json_obj(w);
    ad_json_f_cstr(w, "default_currency_code", a->currency[0] ? a->currency : NULL);
    ad_json_f_cstr(w, "display_type", a->currency[0] ? a->display : NULL);
    ad_json_end(w);
    ad_json_key(w, "record_reference");
    ad_json_obj(w);
    ad_json_key(w, "allowed_object_ids");
    if (a->allowed_n == 0) {
        ad_json_w_null(w);
    } else {
        ad_json_arr(w);
        for (size_t i = 0; i < a->allowed_n; i++) {
            char id[37];
            ad_sim_uuid_text(a->allowed[i]->id, id);
            ad_json_w_cstr(w, id);
        }
        ad_json_end(w);
    }
    ad_json_end(w);
    ad_json_end(w);
}

static void write_attr(struct ad_json_writer *w, const struct ad_sim_attr *a)
{
    ad_json_obj(w);
    write_attr_id(w, a);
    ad_json_f_cstr(w, "title", a->title);
    ad_json_f_cstr(w, "description", a->description);
    ad_json_f_cstr(w, "api_slug", a->slug);
    ad_json_f_cstr(w, "type", ad_sim_types[a->type].name);
    ad_json_f_bool(w, "is_system_attribute", a->system);
    ad_json_f_bool(w, "is_writable", a->writable);
    ad_json_f_bool(w, "is_required", a->required);
    ad_json_f_bool(w, "is_unique", a->unique);
    ad_json_f_bool(w, "is_multiselect", a->multi);
    ad_json_f_bool(w, "is_default_value_enabled", a->default_enabled);
    ad_json_f_bool(w, "is_archived", a->archived);
    ad_json_key(w, "default_value");
    if (a->default_json) {
        ad_json_w_raw(w, ad_str_c(a->default_json));
    } else {
        ad_json_w_null(w);
    }
    write_relationship(w, a);
    ad_json_key(w, "created_at");
    ad_json_w_time(w, a->created_ns);
    write_config(w, a);
    ad_json_end(w);
}

static void answer_attr(struct ad_sim_call *c, const struct ad_sim_attr *a)
{
    struct ad_json_writer w;
    ad_sim_data_begin(c, &w);
    write_attr(&w, a);
    ad_sim_data_end(c, &w);
}

/* --- Attributes --- */

void ad_sim_attr_emit(struct ad_sim_store *s, bool created, const struct ad_sim_attr *a,
                      uint8_t actor)
{
    static const char *const types[][2] = {
        [AD_SIM_OBJECT] = { "object-attribute.updated", "object-attribute.created" },
        [AD_SIM_LIST] = { "list-attribute.updated", "list-attribute.created" },
    };
    enum ad_sim_set_kind kind = a->object->kind;
    struct ad_sim_event event = { .type = types[kind][created], .actor = actor };
    ad_sim_event_id(&event, "id.workspace_id", s->workspace_id);
    ad_sim_event_id(&event, kind == AD_SIM_LIST ? "id.list_id" : "id.object_id", a->object->id);
    ad_sim_event_id(&event, "id.attribute_id", a->id);
    ad_sim_emit(s, &event);
}

static void list_attrs(struct ad_sim_call *c)
{
    struct ad_sim_object *o = ad_sim_call_set(c, 0);
    int64_t limit = INT64_MAX;
    int64_t offset = 0;
    struct ad_json_writer w;
    if (!o || !ad_sim_paging(c, 1, INT64_MAX, &limit, &offset)) {
        return;
    }
    bool archived = ad_sim_query_flag(c, "show_archived");
    ad_sim_data_begin(c, &w);
    ad_json_arr(&w);
    for (size_t i = 0; i < o->attrs_n && limit > 0; i++) {
        if (o->attrs[i]->hidden || (o->attrs[i]->archived && !archived)) {
            continue;
        }
        if (offset > 0) {
            offset--;
            continue;
        }
        write_attr(&w, o->attrs[i]);
        limit--;
    }
    ad_json_end(&w);
    ad_sim_data_end(c, &w);
}

static void get_attr(struct ad_sim_call *c)
{
    struct ad_sim_object *o = ad_sim_call_set(c, 0);
    struct ad_sim_attr *a = o ? ad_sim_call_attr(c, o, 1) : NULL;
    if (a) {
        answer_attr(c, a);
    }
}

static void set_default(struct ad_sim_attr *a, const struct ad_json *v)
{
    if (!v) {
        return;
    }
    ad_free(a->default_json);
    a->default_enabled = v->type == AD_JSON_OBJECT;
    a->default_json = a->default_enabled ? ad_sim_copy(v->raw) : NULL;
}

static const char *known_display(struct ad_str s)
{
    static const char *const all[] = { "code", "name", "narrowSymbol", "symbol" };
    for (size_t i = 0; i < AD_LEN(all); i++) {
        if (ad_str_eq(s, ad_str_c(all[i]))) {
            return all[i];
        }
    }
    return "symbol";
}

static void set_config(struct ad_sim_attr *a, const struct ad_json *config)
{
    const struct ad_json *currency = ad_json_get(config, "currency");
    struct ad_str code = ad_json_str(ad_json_get(currency, "default_currency_code"));
    if (a->type == AD_SIM_CURRENCY && (currency || !a->currency[0])) {
        memcpy(a->currency, code.n == 3 ? code.p : "USD", 3);
        a->display = known_display(ad_json_str(ad_json_get(currency, "display_type")));
    }
    const struct ad_json *allowed = ad_json_path(config, "record_reference.allowed_objects");
    if (allowed && a->type == AD_SIM_REFERENCE) {
        a->allowed_n = 0;
        AD_JSON_FOREACH (it, allowed) {
            ad_sim_allow(a, ad_sim_object_find(a->object->store, ad_json_str(it)));
        }
    }
}

static struct ad_sim_attr *add_attr(struct ad_sim_call *c, struct ad_sim_object *o,
                                    const struct ad_json *data, enum ad_sim_type_id type)
{
    struct ad_sim_attr *a = ad_sim_attr_add(c->store, o, ad_json_str(ad_json_get(data, "api_slug")),
                                            ad_json_str(ad_json_get(data, "title")), type);
    a->description = ad_sim_copy(ad_json_str(ad_json_get(data, "description")));
    a->created_ns = ad_sim_now(c->store);
    ad_sim_set_flag(&a->required, ad_json_get(data, "is_required"));
    ad_sim_set_flag(&a->unique, ad_json_get(data, "is_unique"));
    ad_sim_set_flag(&a->multi, ad_json_get(data, "is_multiselect"));
    set_default(a, ad_json_get(data, "default_value"));
    set_config(a, ad_json_get(data, "config"));
    return a;
}

static void add_partner(struct ad_sim_call *c, struct ad_sim_attr *a, struct ad_sim_object *other,
                        const struct ad_json *data)
{
    struct ad_sim_attr *b =
        ad_sim_attr_add(c->store, other, ad_json_str(ad_json_get(data, "api_slug")),
                        ad_json_str(ad_json_get(data, "title")), AD_SIM_REFERENCE);
    ad_sim_set_flag(&b->multi, ad_json_get(data, "is_multiselect"));
    b->created_ns = a->created_ns;
    ad_sim_allow(b, a->object);
    a->allowed_n = 0;
    ad_sim_allow(a, other);
    ad_sim_relate(a, b);
}

static void create_attr(struct ad_sim_call *c)
{
    enum ad_sim_type_id type = AD_SIM_TYPES;
    struct ad_sim_object *other = NULL;
    struct ad_sim_object *o = ad_sim_call_set(c, 0);
    if (!o || !ad_sim_attr_new_ok(c, o, &type, &other)) {
        return;
    }
    const struct ad_json *data = ad_json_get(c->body, "data");
    struct ad_sim_attr *a = add_attr(c, o, data, type);
    if (other) {
        add_partner(c, a, other, ad_json_get(data, "relationship"));
        ad_sim_attr_emit(c->store, true, a->partner, AD_SIM_ACTOR_TOKEN);
    }
    ad_sim_attr_emit(c->store, true, a, AD_SIM_ACTOR_TOKEN);
    answer_attr(c, a);
}

static void patch_attr(struct ad_sim_call *c)
{
    struct ad_sim_object *o = ad_sim_call_set(c, 0);
    struct ad_sim_attr *a = o ? ad_sim_call_attr(c, o, 1) : NULL;
    if (!a || !ad_sim_attr_change_ok(c, a)) {
        return;
    }
    const struct ad_json *data = ad_json_get(c->body, "data");
    const struct ad_json *slug = ad_json_get(data, "api_slug");
    bool unique = a->unique;
    if (slug) {
        ad_sim_attr_rename(a, slug->str);
    }
    ad_sim_set_text(&a->title, ad_json_get(data, "title"));
    ad_sim_set_text(&a->description, ad_json_get(data, "description"));
    ad_sim_set_flag(&a->required, ad_json_get(data, "is_required"));
    ad_sim_set_flag(&unique, ad_json_get(data, "is_unique"));
    ad_sim_set_flag(&a->archived, ad_json_get(data, "is_archived"));
    ad_sim_attr_set_unique(a, unique);
    set_default(a, ad_json_get(data, "default_value"));
    set_config(a, ad_json_get(data, "config"));
    ad_sim_attr_emit(c->store, false, a, AD_SIM_ACTOR_TOKEN);
    answer_attr(c, a);
}

/* Attio cannot change the type of an attribute; a mirror must survive that somebody archived one
 * and made another under its slug, and this is the shortest way to ask how. Tests only:
 * {"object" or "list":slug,"attribute":slug,"type":...,"is_multiselect":bool?} */
static void post_retype(struct ad_sim_call *c)
{
    struct ad_str object = ad_json_str(ad_json_get(c->body, "object"));
    struct ad_str list = ad_json_str(ad_json_get(c->body, "list"));
    struct ad_str slug = ad_json_str(ad_json_get(c->body, "attribute"));
    enum ad_sim_type_id type = ad_sim_type_find(ad_json_str(ad_json_get(c->body, "type")));
    struct ad_sim_object *o = object.p ? ad_sim_object_find(c->store, object)
                              : list.p ? ad_sim_list_find(c->store, list)
                                       : NULL;
    struct ad_sim_attr *a = o ? ad_sim_attr_find(o, slug) : NULL;
    if (!a || a->made != AD_SIM_STORED || a->partner || type == AD_SIM_TYPES) {
        ad_sim_bad(c, "validation_type",
                   "This takes an attribute with stored values, no relationship, and a type.");
        return;
    }
    bool multi = a->multi;
    ad_sim_set_flag(&multi, ad_json_get(c->body, "is_multiselect"));
    ad_sim_retype(a, type, multi);
    ad_sim_attr_emit(c->store, false, a, AD_SIM_ACTOR_TOKEN);
    answer_attr(c, a);
}

#define ROUTES(set)                                                                   \
    { AD_HTTP_GET, set "/attributes", list_attrs, AD_SIM_READ, false },               \
        { AD_HTTP_POST, set "/attributes", create_attr, AD_SIM_WRITE, true },         \
        { AD_HTTP_GET, set "/attributes/{attribute}", get_attr, AD_SIM_READ, false }, \
    {                                                                                 \
        AD_HTTP_PATCH, set "/attributes/{attribute}", patch_attr, AD_SIM_WRITE, true  \
    }
const struct ad_sim_route ad_sim_attribute_routes[] = {
    ROUTES("/v2/objects/{object}"),
    ROUTES("/v2/lists/{list}"),
    { AD_HTTP_POST, "/_sim/attribute", post_retype, AD_SIM_READ, true },
    { 0, NULL, NULL, AD_SIM_READ, false },
};
