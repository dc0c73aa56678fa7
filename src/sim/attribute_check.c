/* What is refused when an attribute is made or changed. */
#include "attributes.h"
#include "write.h"

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
static bool relationship_ok(struct ad_sim_call *c, const struct ad_sim_object *o,
                            enum ad_sim_type_id type, struct ad_sim_object **other)
{
    const struct ad_json *r = ad_json_path(c->body, "data.relationship");
    *other = NULL;
    if (!ad_json_is(r, AD_JSON_OBJECT)) {
        return true;
    }
    if (o->kind == AD_SIM_LIST || type != AD_SIM_REFERENCE) {
        ad_sim_issue(c, "a record-reference on an object", "object", "data.relationship");
        return ad_sim_body_ok(c);
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

static bool may_be_multi(enum ad_sim_type_id type)
{
    static const enum ad_sim_type_id multi[] = { AD_SIM_SELECT, AD_SIM_REFERENCE, AD_SIM_ACTOR,
                                                 AD_SIM_DOMAIN, AD_SIM_EMAIL,     AD_SIM_PHONE };
    for (size_t i = 0; i < AD_LEN(multi); i++) {
        if (multi[i] == type) {
            return true;
        }
    }
    return false;
}

static bool may_be_unique(const struct ad_sim_object *o, enum ad_sim_type_id type)
{
    return type != AD_SIM_SELECT && type != AD_SIM_STATUS && !ad_sim_is_standard(o, "companies");
}

/* What Attio says in prose; the answers to it are not documented. */
static void check_rules(struct ad_sim_call *c, const struct ad_sim_object *o,
                        const struct ad_json *data, enum ad_sim_type_id type)
{
    bool multi = false;
    bool unique = false;
    bool plain = ad_sim_is_standard(o, "people") || ad_sim_is_standard(o, "companies");
    ad_sim_set_flag(&multi, ad_json_get(data, "is_multiselect"));
    ad_sim_set_flag(&unique, ad_json_get(data, "is_unique"));
    if (multi && !may_be_multi(type)) {
        ad_sim_issue(c, "false", "boolean", "data.is_multiselect");
    }
    if (unique && !may_be_unique(o, type)) {
        ad_sim_issue(c, "false", "boolean", "data.is_unique");
    }
    if (plain && type == AD_SIM_STATUS) {
        ad_sim_issue(c, "a type this object supports", "string", "data.type");
    }
}

static void check_default(struct ad_sim_call *c, const struct ad_sim_object *o,
                          const struct ad_sim_attr *a, const struct ad_json *v)
{
    bool plain = ad_sim_is_standard(o, "people") || ad_sim_is_standard(o, "companies");
    if (ad_json_is(v, AD_JSON_OBJECT) && (plain || !ad_sim_default_ok(a, v))) {
        ad_sim_issue(c, "a default that the type and the object support", "object",
                     "data.default_value");
    }
}

static bool slug_conflict(struct ad_sim_call *c)
{
    ad_sim_fail(c, 409, "invalid_request_error", "slug_conflict",
                "An attribute with the same API slug already exists on this object. Please "
                "choose a different API slug.");
    return false;
}

static bool slugs_free(struct ad_sim_call *c, const struct ad_sim_object *o,
                       const struct ad_sim_object *other)
{
    struct ad_str here = ad_json_str(ad_json_path(c->body, "data.api_slug"));
    struct ad_str there = ad_json_str(ad_json_path(c->body, "data.relationship.api_slug"));
    bool taken = ad_sim_attr_find(o, here) || (other && ad_sim_attr_find(other, there)) ||
                 (other == o && ad_str_eq(here, there));
    return !taken || slug_conflict(c);
}

bool ad_sim_attr_new_ok(struct ad_sim_call *c, const struct ad_sim_object *o,
                        enum ad_sim_type_id *type, struct ad_sim_object **other)
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
        { "data.default_value", AD_SIM_IS(OBJECT) | AD_SIM_IS(NULL), false },
        { "data.relationship", AD_SIM_IS(OBJECT) | AD_SIM_IS(NULL), false },
        { "data.config", AD_SIM_IS(OBJECT), true },
    };
    ad_sim_check(c, c->body, "", fields, AD_LEN(fields));
    const struct ad_json *data = ad_json_get(c->body, "data");
    *type = ad_sim_type_find(ad_json_str(ad_json_get(data, "type")));
    if (c->issues_n == 0 && (*type == AD_SIM_TYPES || !ad_sim_types[*type].creatable)) {
        ad_sim_issue(c, "one of the attribute types", "string", "data.type");
    }
    if (c->issues_n == 0) {
        struct ad_sim_attr a = { .type = *type };
        ad_sim_set_flag(&a.multi, ad_json_get(data, "is_multiselect"));
        check_rules(c, o, data, *type);
        check_default(c, o, &a, ad_json_get(data, "default_value"));
    }
    return ad_sim_body_ok(c) && config_ok(c, data) && relationship_ok(c, o, *type, other) &&
           slugs_free(c, o, *other);
}

bool ad_sim_attr_change_ok(struct ad_sim_call *c, const struct ad_sim_attr *a)
{
    static const struct ad_sim_field fields[] = {
        { "data", AD_SIM_IS(OBJECT), true },
        { "data.title", AD_SIM_IS(STRING), false },
        { "data.api_slug", AD_SIM_IS(STRING), false },
        { "data.description", AD_SIM_IS(STRING) | AD_SIM_IS(NULL), false },
        { "data.is_required", AD_SIM_IS(BOOL), false },
        { "data.is_unique", AD_SIM_IS(BOOL), false },
        { "data.is_archived", AD_SIM_IS(BOOL), false },
        { "data.default_value", AD_SIM_IS(OBJECT) | AD_SIM_IS(NULL), false },
        { "data.config", AD_SIM_IS(OBJECT), false },
    };
    ad_sim_check(c, c->body, "", fields, AD_LEN(fields));
    const struct ad_json *data = ad_json_get(c->body, "data");
    if (c->issues_n == 0) {
        check_rules(c, a->object, data, a->type);
        check_default(c, a->object, a, ad_json_get(data, "default_value"));
    }
    if (!ad_sim_body_ok(c) || !config_ok(c, data)) {
        return false;
    }
    if (a->system) {
        ad_sim_bad(c, "system_edit_unauthorized", "Cannot update a System attribute.");
        return false;
    }
    const struct ad_json *slug = ad_json_get(data, "api_slug");
    struct ad_sim_attr *same = slug ? ad_sim_attr_find(a->object, slug->str) : NULL;
    return !same || same == a || slug_conflict(c);
}
