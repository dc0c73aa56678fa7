/* Objects, attributes, select options, statuses. */
#include "base/mem.h"
#include "call.h"
#include "types.h"

/* --- Writing them --- */

static void write_object(struct ad_json_writer *w, const struct ad_sim_object *o)
{
    ad_json_obj(w);
    ad_json_key(w, "id");
    ad_json_obj(w);
    ad_sim_w_uuid(w, "workspace_id", o->store->workspace_id);
    ad_sim_w_uuid(w, "object_id", o->id);
    ad_json_end(w);
    ad_json_f_cstr(w, "api_slug", o->slug);
    ad_json_f_cstr(w, "singular_noun", o->singular);
    ad_json_f_cstr(w, "plural_noun", o->plural);
    ad_json_key(w, "created_at");
    ad_json_w_time(w, o->created_ns);
    ad_json_end(w);
}

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

static void answer_object(struct ad_sim_call *c, const struct ad_sim_object *o)
{
    struct ad_json_writer w;
    ad_sim_data_begin(c, &w);
    write_object(&w, o);
    ad_sim_data_end(c, &w);
}

static void answer_attr(struct ad_sim_call *c, const struct ad_sim_attr *a)
{
    struct ad_json_writer w;
    ad_sim_data_begin(c, &w);
    write_attr(&w, a);
    ad_sim_data_end(c, &w);
}

static void answer_option(struct ad_sim_call *c, const struct ad_sim_option *option)
{
    struct ad_json_writer w;
    ad_sim_data_begin(c, &w);
    ad_json_w_raw(&w, ad_str_c(option->json));
    ad_sim_data_end(c, &w);
}

static void set_text(char **to, const struct ad_json *v)
{
    if (v) {
        ad_free(*to);
        *to = ad_sim_copy(ad_json_str(v));
    }
}

/* --- Objects --- */

static void list_objects(struct ad_sim_call *c)
{
    struct ad_json_writer w;
    ad_sim_data_begin(c, &w);
    ad_json_arr(&w);
    for (size_t i = 0; i < c->store->objects_n; i++) {
        write_object(&w, c->store->objects[i]);
    }
    ad_json_end(&w);
    ad_sim_data_end(c, &w);
}

static void get_object(struct ad_sim_call *c)
{
    struct ad_sim_object *o = ad_sim_call_object(c, 0);
    if (o) {
        answer_object(c, o);
    }
}

static void create_object(struct ad_sim_call *c)
{
    static const struct ad_sim_field fields[] = {
        { "data", AD_SIM_IS(OBJECT), true },
        { "data.api_slug", AD_SIM_IS(STRING), true },
        { "data.singular_noun", AD_SIM_IS(STRING), true },
        { "data.plural_noun", AD_SIM_IS(STRING), true },
    };
    ad_sim_check(c, c->body, "", fields, AD_LEN(fields));
    if (!ad_sim_body_ok(c)) {
        return;
    }
    const struct ad_json *data = ad_json_get(c->body, "data");
    struct ad_str slug = ad_json_str(ad_json_get(data, "api_slug"));
    if (ad_sim_object_find(c->store, slug)) {
        ad_sim_fail(c, 409, "invalid_request_error", "slug_conflict",
                    "Failed to create object. Please ensure your api_slug and names are unique.");
        return;
    }
    struct ad_sim_object *o =
        ad_sim_object_add(c->store, slug, ad_json_str(ad_json_get(data, "singular_noun")),
                          ad_json_str(ad_json_get(data, "plural_noun")));
    o->created_ns = ad_sim_now(c->store);
    ad_sim_object_made(c->store, o);
    answer_object(c, o);
}

static void patch_object(struct ad_sim_call *c)
{
    static const struct ad_sim_field fields[] = {
        { "data", AD_SIM_IS(OBJECT), true },
        { "data.api_slug", AD_SIM_IS(STRING), false },
        { "data.singular_noun", AD_SIM_IS(STRING), false },
        { "data.plural_noun", AD_SIM_IS(STRING), false },
    };
    struct ad_sim_object *o = ad_sim_call_object(c, 0);
    if (!o) {
        return;
    }
    ad_sim_check(c, c->body, "", fields, AD_LEN(fields));
    if (!ad_sim_body_ok(c)) {
        return;
    }
    const struct ad_json *data = ad_json_get(c->body, "data");
    const struct ad_json *slug = ad_json_get(data, "api_slug");
    if (data->count == 0) {
        ad_sim_bad(c, "validation_type",
                   "You passed an empty payload. Please ensure you are updating at least one "
                   "property in your request.");
        return;
    }
    struct ad_sim_object *other = slug ? ad_sim_object_find(c->store, slug->str) : NULL;
    if (other && other != o) {
        ad_sim_fail(c, 409, "invalid_request_error", "slug_conflict",
                    "Failed to update object. Please ensure api_slug is unique.");
        return;
    }
    set_text(&o->slug, slug);
    set_text(&o->singular, ad_json_get(data, "singular_noun"));
    set_text(&o->plural, ad_json_get(data, "plural_noun"));
    answer_object(c, o);
}

/* --- Attributes --- */

static void emit_attr(struct ad_sim_call *c, const char *type, const struct ad_sim_attr *a)
{
    struct ad_sim_event event = { .type = type, .n = 3, .actor = AD_SIM_ACTOR_TOKEN };
    event.ids[0].key = "id.workspace_id";
    event.ids[0].id = c->store->workspace_id;
    event.ids[1].key = "id.object_id";
    event.ids[1].id = a->object->id;
    event.ids[2].key = "id.attribute_id";
    event.ids[2].id = a->id;
    ad_sim_emit(c->store, &event);
}

static void list_attrs(struct ad_sim_call *c)
{
    struct ad_sim_object *o = ad_sim_call_object(c, 0);
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
        if (o->attrs[i]->archived && !archived) {
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
    struct ad_sim_object *o = ad_sim_call_object(c, 0);
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

static bool set_flag(bool *to, const struct ad_json *v)
{
    return !v || ad_json_bool(v, to);
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
    struct ad_str code = ad_json_str(ad_json_path(config, "currency.default_currency_code"));
    if (a->type == AD_SIM_CURRENCY) {
        memcpy(a->currency, code.n == 3 ? code.p : "USD", 3);
        a->display = known_display(ad_json_str(ad_json_path(config, "currency.display_type")));
    }
    const struct ad_json *allowed = ad_json_path(config, "record_reference.allowed_objects");
    if (allowed && a->type == AD_SIM_REFERENCE) {
        a->allowed_n = 0;
        AD_JSON_FOREACH (it, allowed) {
            ad_sim_allow(a, ad_sim_object_find(a->object->store, ad_json_str(it)));
        }
    }
}

/* The objects a reference may point to exist; else the 400 has been set. */
static bool config_ok(struct ad_sim_call *c, const struct ad_json *data)
{
    AD_JSON_FOREACH (it, ad_json_path(data, "config.record_reference.allowed_objects")) {
        struct ad_str ref = ad_json_str(it);
        if (!ref.p || !ad_sim_object_find(c->store, ref)) {
            ad_sim_bad(c, "value_not_found", "Object with slug/ID \"%.*s\" not found.",
                       AD_FMT(ref));
            return false;
        }
    }
    return true;
}

/* The other side of a two-way pair. False: an error has been set. */
static bool relationship_ok(struct ad_sim_call *c, const struct ad_json *data,
                            struct ad_sim_object **other)
{
    const struct ad_json *r = ad_json_get(data, "relationship");
    *other = NULL;
    if (!ad_json_is(r, AD_JSON_OBJECT)) {
        return true;
    }
    static const struct ad_sim_field fields[] = {
        { "object", AD_SIM_IS(STRING), true },
        { "title", AD_SIM_IS(STRING), true },
        { "api_slug", AD_SIM_IS(STRING), true },
        { "is_multiselect", AD_SIM_IS(BOOL), true },
    };
    ad_sim_check(c, r, "data.relationship", fields, AD_LEN(fields));
    if (!ad_sim_body_ok(c)) {
        return false;
    }
    struct ad_str ref = ad_json_str(ad_json_get(r, "object"));
    *other = ad_sim_object_find(c->store, ref);
    if (!*other) {
        ad_sim_bad(c, "value_not_found", "Object with slug/ID \"%.*s\" not found.", AD_FMT(ref));
        return false;
    }
    return true;
}

static struct ad_sim_attr *add_attr(struct ad_sim_call *c, struct ad_sim_object *o,
                                    const struct ad_json *data, enum ad_sim_type_id type)
{
    struct ad_sim_attr *a = ad_sim_attr_add(c->store, o, ad_json_str(ad_json_get(data, "api_slug")),
                                            ad_json_str(ad_json_get(data, "title")), type);
    a->description = ad_sim_copy(ad_json_str(ad_json_get(data, "description")));
    a->created_ns = ad_sim_now(c->store);
    AD_IGNORE(!set_flag(&a->required, ad_json_get(data, "is_required")), "checked before");
    AD_IGNORE(!set_flag(&a->unique, ad_json_get(data, "is_unique")), "checked before");
    AD_IGNORE(!set_flag(&a->multi, ad_json_get(data, "is_multiselect")), "checked before");
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
    AD_IGNORE(!set_flag(&b->multi, ad_json_get(data, "is_multiselect")), "checked before");
    b->created_ns = a->created_ns;
    ad_sim_allow(b, a->object);
    a->allowed_n = 0;
    ad_sim_allow(a, other);
    ad_sim_relate(a, b);
}

static void create_attr(struct ad_sim_call *c)
{
    static const struct ad_sim_field fields[] = {
        { "data", AD_SIM_IS(OBJECT), true },
        { "data.title", AD_SIM_IS(STRING), true },
        { "data.description", AD_SIM_IS(STRING) | AD_SIM_IS(NULL), true },
        { "data.api_slug", AD_SIM_IS(STRING), true },
        { "data.type", AD_SIM_IS(STRING), true },
        { "data.is_required", AD_SIM_IS(BOOL), true },
        { "data.is_unique", AD_SIM_IS(BOOL), true },
        { "data.is_multiselect", AD_SIM_IS(BOOL), true },
        { "data.config", AD_SIM_IS(OBJECT), true },
    };
    struct ad_sim_object *o = ad_sim_call_object(c, 0);
    struct ad_sim_object *other = NULL;
    if (!o) {
        return;
    }
    ad_sim_check(c, c->body, "", fields, AD_LEN(fields));
    const struct ad_json *data = ad_json_get(c->body, "data");
    enum ad_sim_type_id type = ad_sim_type_find(ad_json_str(ad_json_get(data, "type")));
    if (c->issues_n == 0 && (type == AD_SIM_TYPES || !ad_sim_types[type].creatable)) {
        ad_sim_issue(c, "one of the attribute types", "string", "data.type");
    }
    if (!ad_sim_body_ok(c) || !config_ok(c, data) || !relationship_ok(c, data, &other)) {
        return;
    }
    const struct ad_json *there = ad_json_get(data, "relationship");
    if (ad_sim_attr_find(o, ad_json_str(ad_json_get(data, "api_slug"))) ||
        (other && ad_sim_attr_find(other, ad_json_str(ad_json_get(there, "api_slug"))))) {
        ad_sim_fail(c, 409, "invalid_request_error", "slug_conflict",
                    "An attribute with the same API slug already exists on this object. Please "
                    "choose a different API slug.");
        return;
    }
    struct ad_sim_attr *a = add_attr(c, o, data, type);
    if (other && type == AD_SIM_REFERENCE) {
        add_partner(c, a, other, there);
        emit_attr(c, "object-attribute.created", a->partner);
    }
    emit_attr(c, "object-attribute.created", a);
    answer_attr(c, a);
}

static void patch_attr(struct ad_sim_call *c)
{
    static const struct ad_sim_field fields[] = {
        { "data", AD_SIM_IS(OBJECT), true },
        { "data.title", AD_SIM_IS(STRING), false },
        { "data.api_slug", AD_SIM_IS(STRING), false },
        { "data.description", AD_SIM_IS(STRING) | AD_SIM_IS(NULL), false },
        { "data.is_required", AD_SIM_IS(BOOL), false },
        { "data.is_unique", AD_SIM_IS(BOOL), false },
        { "data.is_archived", AD_SIM_IS(BOOL), false },
    };
    struct ad_sim_object *o = ad_sim_call_object(c, 0);
    struct ad_sim_attr *a = o ? ad_sim_call_attr(c, o, 1) : NULL;
    if (!a) {
        return;
    }
    ad_sim_check(c, c->body, "", fields, AD_LEN(fields));
    const struct ad_json *data = ad_json_get(c->body, "data");
    if (!ad_sim_body_ok(c) || !config_ok(c, data)) {
        return;
    }
    if (a->system) {
        ad_sim_bad(c, "system_edit_unauthorized", "Cannot update a System attribute.");
        return;
    }
    const struct ad_json *slug = ad_json_get(data, "api_slug");
    struct ad_sim_attr *same = slug ? ad_sim_attr_find(o, slug->str) : NULL;
    if (same && same != a) {
        ad_sim_fail(c, 409, "invalid_request_error", "slug_conflict",
                    "An attribute with the same API slug already exists on this object. Please "
                    "choose a different API slug.");
        return;
    }
    if (slug) {
        ad_sim_attr_rename(a, slug->str);
    }
    set_text(&a->title, ad_json_get(data, "title"));
    set_text(&a->description, ad_json_get(data, "description"));
    AD_IGNORE(!set_flag(&a->required, ad_json_get(data, "is_required")), "checked before");
    AD_IGNORE(!set_flag(&a->unique, ad_json_get(data, "is_unique")), "checked before");
    AD_IGNORE(!set_flag(&a->archived, ad_json_get(data, "is_archived")), "checked before");
    set_default(a, ad_json_get(data, "default_value"));
    set_config(a, ad_json_get(data, "config"));
    emit_attr(c, "object-attribute.updated", a);
    answer_attr(c, a);
}

/* --- Options and statuses: one life, two names --- */

static bool is_status_route(const struct ad_sim_call *c)
{
    return ad_str_contains(ad_str_c(c->route->pattern), AD_STR("/statuses"));
}

/* The attribute in the path when it is of the route's type; else an error has been set. */
static struct ad_sim_attr *option_attr(struct ad_sim_call *c)
{
    struct ad_sim_object *o = ad_sim_call_object(c, 0);
    struct ad_sim_attr *a = o ? ad_sim_call_attr(c, o, 1) : NULL;
    bool status = is_status_route(c);
    if (a && a->type != (status ? AD_SIM_STATUS : AD_SIM_SELECT)) {
        ad_sim_bad(c, "validation_type", "This attribute is not a %s attribute.",
                   status ? "status" : "select");
        return NULL;
    }
    return a;
}

static void list_options(struct ad_sim_call *c)
{
    struct ad_sim_attr *a = option_attr(c);
    struct ad_json_writer w;
    if (!a) {
        return;
    }
    bool archived = ad_sim_query_flag(c, "show_archived");
    ad_sim_data_begin(c, &w);
    ad_json_arr(&w);
    for (size_t i = 0; i < a->options_n; i++) {
        if (archived || !a->options[i]->archived) {
            ad_json_w_raw(&w, ad_str_c(a->options[i]->json));
        }
    }
    ad_json_end(&w);
    ad_sim_data_end(c, &w);
}

static bool title_free(struct ad_sim_call *c, const struct ad_sim_attr *a, struct ad_str title,
                       const struct ad_sim_option *except)
{
    struct ad_sim_option *same = ad_sim_option_find(a, title);
    if (!same || same == except) {
        return true;
    }
    ad_sim_fail(c, 409, "invalid_request_error", "slug_conflict",
                "There is already another %s with the title \"%.*s\".",
                is_status_route(c) ? "status" : "select option", AD_FMT(title));
    return false;
}

static void set_option(struct ad_sim_option *option, const struct ad_json *data)
{
    AD_IGNORE(!set_flag(&option->celebrates, ad_json_get(data, "celebration_enabled")),
              "checked before");
    AD_IGNORE(!set_flag(&option->archived, ad_json_get(data, "is_archived")), "checked before");
    set_text(&option->target_time, ad_json_get(data, "target_time_in_status"));
}

static const struct ad_sim_field option_fields[] = {
    { "data", AD_SIM_IS(OBJECT), true },
    { "data.title", AD_SIM_IS(STRING), false },
    { "data.is_archived", AD_SIM_IS(BOOL), false },
    { "data.celebration_enabled", AD_SIM_IS(BOOL), false },
    { "data.target_time_in_status", AD_SIM_IS(STRING) | AD_SIM_IS(NULL), false },
};

static void create_option(struct ad_sim_call *c)
{
    struct ad_sim_attr *a = option_attr(c);
    if (!a) {
        return;
    }
    struct ad_str title = ad_json_str(ad_json_path(c->body, "data.title"));
    ad_sim_check(c, c->body, "", option_fields, AD_LEN(option_fields));
    if (c->issues_n == 0 && title.n == 0) {
        ad_sim_issue(c, "string", NULL, "data.title");
    }
    if (!ad_sim_body_ok(c) || !title_free(c, a, title, NULL)) {
        return;
    }
    struct ad_sim_option *option = ad_sim_option_add(c->store, a, title);
    set_option(option, ad_json_get(c->body, "data"));
    ad_sim_option_render(c->store, a, option);
    answer_option(c, option);
}

static void patch_option(struct ad_sim_call *c)
{
    struct ad_sim_attr *a = option_attr(c);
    if (!a) {
        return;
    }
    struct ad_str ref = c->x->params[2];
    struct ad_sim_option *option = ad_sim_option_find(a, ref);
    const char *word = is_status_route(c) ? "status" : "select";
    if (!option) {
        ad_sim_bad(c, "value_not_found", "Cannot find %s attribute with %s option title \"%.*s\".",
                   word, word, AD_FMT(ref));
        return;
    }
    ad_sim_check(c, c->body, "", option_fields, AD_LEN(option_fields));
    const struct ad_json *data = ad_json_get(c->body, "data");
    const struct ad_json *title = ad_json_get(data, "title");
    if (!ad_sim_body_ok(c) || (title && !title_free(c, a, title->str, option))) {
        return;
    }
    set_text(&option->title, title);
    set_option(option, data);
    ad_sim_option_render(c->store, a, option);
    answer_option(c, option);
}

#define ATTRS "/v2/objects/{object}/attributes"
const struct ad_sim_route ad_sim_object_routes[] = {
    { AD_HTTP_GET, "/v2/objects", list_objects, AD_SIM_READ, false },
    { AD_HTTP_POST, "/v2/objects", create_object, AD_SIM_WRITE, true },
    { AD_HTTP_GET, "/v2/objects/{object}", get_object, AD_SIM_READ, false },
    { AD_HTTP_PATCH, "/v2/objects/{object}", patch_object, AD_SIM_WRITE, true },
    { AD_HTTP_GET, ATTRS, list_attrs, AD_SIM_READ, false },
    { AD_HTTP_POST, ATTRS, create_attr, AD_SIM_WRITE, true },
    { AD_HTTP_GET, ATTRS "/{attribute}", get_attr, AD_SIM_READ, false },
    { AD_HTTP_PATCH, ATTRS "/{attribute}", patch_attr, AD_SIM_WRITE, true },
    { AD_HTTP_GET, ATTRS "/{attribute}/options", list_options, AD_SIM_READ, false },
    { AD_HTTP_POST, ATTRS "/{attribute}/options", create_option, AD_SIM_WRITE, true },
    { AD_HTTP_PATCH, ATTRS "/{attribute}/options/{option}", patch_option, AD_SIM_WRITE, true },
    { AD_HTTP_GET, ATTRS "/{attribute}/statuses", list_options, AD_SIM_READ, false },
    { AD_HTTP_POST, ATTRS "/{attribute}/statuses", create_option, AD_SIM_WRITE, true },
    { AD_HTTP_PATCH, ATTRS "/{attribute}/statuses/{status}", patch_option, AD_SIM_WRITE, true },
    { 0, NULL, NULL, AD_SIM_READ, false },
};
