/* What refers to something else: options, statuses, records, actors, interactions. */
#include "types_private.h"

/* --- select, status --- */

bool ad__sim_parse_option(const struct ad_sim_parse *p, const struct ad_json *in,
                          struct ad_sim_value *out)
{
    bool status = p->attr->type == AD_SIM_STATUS;
    struct ad_str ref = ad_json_str(ad__sim_unwrap(in, status ? "status" : "option"));
    if (!ref.p) {
        return ad__sim_invalid(p);
    }
    struct ad_sim_option *option = ad_sim_option_find(p->attr, ref);
    if (!option) {
        return ad__sim_refuse(
            p, "value_not_found",
            status ? "Cannot find status attribute with status option title \"%.*s\"."
                   : "Cannot find select attribute with select option title \"%.*s\".",
            AD_FMT(ref));
    }
    out->type = (uint8_t)p->attr->type;
    out->u.option = option;
    return true;
}

void ad__sim_print_option(struct ad_sim_pen *p, const struct ad_sim_value *v,
                          const struct ad_sim_attr *a)
{
    ad_sim_put(p, a->type == AD_SIM_STATUS ? AD_STR("\"status\":") : AD_STR("\"option\":"));
    ad_sim_put(p, ad_str_c(v->u.option->json));
}

static void get_option(const struct ad_sim_value *v, struct ad_sim_key *out)
{
    out->s = ad_str_c(v->u.option->title);
    ad_sim_uuid_text(v->u.option->id, out->room);
}

#define OPS_FROM (AD_SIM_LT | AD_SIM_LTE | AD_SIM_GT | AD_SIM_GTE)

const struct ad_sim_prop ad__sim_select_props[] = {
    { "option", AD_SIM_KIND_OPTION, AD__SIM_OPS_REF, get_option },
    { "title", AD_SIM_KIND_OPTION, AD__SIM_OPS_REF, get_option },
    { "id", AD_SIM_KIND_OPTION, AD__SIM_OPS_REF, get_option },
    { "active_from", AD_SIM_KIND_TIME, OPS_FROM, ad__sim_get_from },
    { 0 },
};

const struct ad_sim_prop ad__sim_status_props[] = {
    { "status", AD_SIM_KIND_OPTION, AD__SIM_OPS_REF, get_option },
    { "title", AD_SIM_KIND_OPTION, AD__SIM_OPS_REF, get_option },
    { "id", AD_SIM_KIND_OPTION, AD__SIM_OPS_REF, get_option },
    { "active_from", AD_SIM_KIND_TIME, OPS_FROM, ad__sim_get_from },
    { 0 },
};

/* --- record-reference --- */

static bool is_allowed(const struct ad_sim_attr *a, const struct ad_sim_object *o)
{
    for (size_t i = 0; i < a->allowed_n; i++) {
        if (a->allowed[i] == o) {
            return true;
        }
    }
    return a->allowed_n == 0;
}

/* The attribute that a plain string names a record of a standard object by. */
static struct ad_sim_attr *plain_match(const struct ad_sim_object *o)
{
    static const struct {
        const char *object, *attr;
    } by[] = {
        { "companies", "domains" },
        { "people", "email_addresses" },
        { "users", "user_id" },
        { "workspaces", "workspace_id" },
    };
    for (size_t i = 0; i < AD_LEN(by); i++) {
        if (o->slug && strcmp(o->slug, by[i].object) == 0) {
            return ad_sim_attr_find(o, ad_str_c(by[i].attr));
        }
    }
    return NULL;
}

static bool has_value(const struct ad_sim_record *r, const struct ad_sim_value *v)
{
    for (uint32_t i = 0; i < r->n; i++) {
        if (r->values[i].attr == v->attr && ad_sim_value_equal(&r->values[i], v)) {
            return true;
        }
    }
    return false;
}

/* The one record that has such a value; NULL when there is none, or several. */
static struct ad_sim_record *only_holder(const struct ad_sim_attr *by, const struct ad_sim_value *v)
{
    struct ad_sim_key room;
    struct ad_sim_record *found = NULL;
    if (by->unique) {
        return ad_sim_unique_find(by, ad_sim_value_unique(v, &room));
    }
    for (size_t i = 0; i < by->object->n; i++) {
        if (has_value(by->object->sorted[i], v)) {
            if (found) {
                return NULL;
            }
            found = by->object->sorted[i];
        }
    }
    return found;
}

static bool can_match(const struct ad_sim_attr *by)
{
    static const enum ad_sim_type_id types[] = { AD_SIM_DOMAIN, AD_SIM_EMAIL, AD_SIM_NUMBER,
                                                 AD_SIM_PHONE, AD_SIM_TEXT };
    for (size_t i = 0; i < AD_LEN(types); i++) {
        if (by->type == types[i] && by->made == AD_SIM_STORED) {
            return true;
        }
    }
    return false;
}

/* By one value of one attribute, bare or in an array. */
static struct ad_sim_record *match_record(const struct ad_sim_parse *p, struct ad_sim_attr *by,
                                          const struct ad_json *in)
{
    struct ad_sim_parse inner = {
        .store = p->store, .attr = by, .arena = p->arena, .refusal = p->refusal
    };
    struct ad_sim_value v = { 0 };
    if (in && in->type == AD_JSON_ARRAY) {
        in = in->count == 1 ? in->child : NULL;
    }
    if (!in || !can_match(by) || !ad_sim_types[by->type].parse(&inner, in, &v)) {
        return NULL;
    }
    v.attr = by->place;
    struct ad_sim_record *found = only_holder(by, &v);
    ad_sim_value_free(&v);
    return found;
}

static bool set_reference(const struct ad_sim_parse *p, struct ad_sim_record *target,
                          struct ad_sim_value *out)
{
    if (!target) {
        return ad__sim_refuse(
            p, "value_not_found",
            "Could not find exactly one record for the value passed to attribute with slug \"%s\".",
            p->attr->slug);
    }
    out->type = AD_SIM_REFERENCE;
    out->u.record = target;
    return true;
}

static bool parse_plain_reference(const struct ad_sim_parse *p, const struct ad_json *in,
                                  struct ad_sim_value *out)
{
    struct ad_sim_object *o = p->attr->allowed_n == 1 ? p->attr->allowed[0] : NULL;
    struct ad_sim_attr *by = o ? plain_match(o) : NULL;
    return by ? set_reference(p, match_record(p, by, in), out) : ad__sim_invalid(p);
}

static bool parse_match(const struct ad_sim_parse *p, const struct ad_json *match,
                        const struct ad_sim_object *o, struct ad_sim_value *out)
{
    struct ad_sim_attr *by = match ? ad_sim_attr_find(o, match->key) : NULL;
    return by ? set_reference(p, match_record(p, by, match), out) : ad__sim_invalid(p);
}

/* {"target_object":..., "<attribute>":[value]} */
static bool parse_reference_by_match(const struct ad_sim_parse *p, const struct ad_json *in,
                                     const struct ad_sim_object *o, struct ad_sim_value *out)
{
    const struct ad_json *match = in->child;
    if (match && ad_str_eq(match->key, AD_STR("target_object"))) {
        match = match->next;
    }
    return in->count == 2 ? parse_match(p, match, o, out) : ad__sim_invalid(p);
}

/* {"target_object":..., "target_record_reference":{"match":{"<attribute>":value}}}. What it takes to
 * have the record made is not known to us: refused. */
static bool parse_reference_object(const struct ad_sim_parse *p, const struct ad_json *in,
                                   const struct ad_sim_object *o, struct ad_sim_value *out)
{
    const struct ad_json *match = ad_json_get(in, "match");
    size_t known = 1 + (ad_json_get(in, "if_multiple_matches") != NULL);
    if (!ad_json_is(match, AD_JSON_OBJECT) || match->count != 1 || in->count != known) {
        return ad__sim_invalid(p);
    }
    return parse_match(p, match->child, o, out);
}

bool ad__sim_parse_reference(const struct ad_sim_parse *p, const struct ad_json *in,
                             struct ad_sim_value *out)
{
    uint8_t id[16];
    if (in->type == AD_JSON_STRING) {
        return parse_plain_reference(p, in, out);
    }
    struct ad_str object = ad_json_str(ad_json_get(in, "target_object"));
    if (!object.p) {
        return ad__sim_invalid(p);
    }
    struct ad_sim_object *o = ad_sim_object_find(p->store, object);
    if (!o || !is_allowed(p->attr, o)) {
        return ad__sim_refuse(p, "value_not_found", "Object with slug/ID \"%.*s\" not found.",
                              AD_FMT(object));
    }
    const struct ad_json *by_id = ad_json_get(in, "target_record_id");
    const struct ad_json *reference = ad_json_get(in, "target_record_reference");
    if (reference) {
        return parse_reference_object(p, reference, o, out);
    }
    if (!by_id) {
        return parse_reference_by_match(p, in, o, out);
    }
    struct ad_str text = ad_json_str(by_id);
    if (!text.p || !ad_sim_uuid_parse(text, id)) {
        return ad__sim_invalid(p);
    }
    struct ad_sim_record *target = ad_sim_record_find(o, id);
    if (!target) {
        return ad__sim_refuse(p, "value_not_found", "Record with ID \"%.*s\" not found.",
                              AD_FMT(text));
    }
    return set_reference(p, target, out);
}

void ad__sim_print_reference(struct ad_sim_pen *p, const struct ad_sim_value *v,
                             const struct ad_sim_attr *a)
{
    (void)a;
    AD_SIM_PUT(p, "\"target_object\":");
    ad_sim_put_str(p, ad_str_c(v->u.record->object->slug));
    AD_SIM_PUT(p, ",\"target_record_id\":");
    ad_sim_put_uuid(p, v->u.record->id);
}

static void get_target_id(const struct ad_sim_value *v, struct ad_sim_key *out)
{
    ad_sim_uuid_text(v->u.record->id, out->room);
    out->s = ad_str_n(out->room, 36);
}

static void get_target_object(const struct ad_sim_value *v, struct ad_sim_key *out)
{
    ad_sim_uuid_text(v->u.record->object->id, out->room);
    out->s = ad_str_c(v->u.record->object->slug);
}

const struct ad_sim_prop ad__sim_reference_props[] = {
    { "target_record_id", AD_SIM_KIND_UUID, AD__SIM_OPS_REF, get_target_id },
    { "target_object", AD_SIM_KIND_OBJECT, AD__SIM_OPS_REF, get_target_object },
    { 0 },
};

/* --- actor-reference --- */

bool ad__sim_parse_actor(const struct ad_sim_parse *p, const struct ad_json *in,
                         struct ad_sim_value *out)
{
    struct ad_str email = ad_json_str(ad__sim_unwrap(in, "workspace_member_email_address"));
    struct ad_str id =
        ad_json_str(in->type == AD_JSON_OBJECT ? ad_json_get(in, "referenced_actor_id") : NULL);
    struct ad_str type =
        ad_json_str(in->type == AD_JSON_OBJECT ? ad_json_get(in, "referenced_actor_type") : NULL);
    uint8_t wanted[16] = { 0 };
    if (!email.p &&
        (!ad_str_eq(type, AD_STR("workspace-member")) || !id.p || !ad_sim_uuid_parse(id, wanted))) {
        return ad__sim_invalid(p);
    }
    for (size_t i = 0; i < p->store->members_n; i++) {
        const struct ad_sim_member *m = &p->store->members[i];
        if (email.p ? ad_str_eq_nocase(email, ad_str_c(m->email))
                    : memcmp(wanted, m->id, 16) == 0) {
            out->type = AD_SIM_ACTOR;
            out->aux = m->actor;
            return true;
        }
    }
    return ad__sim_refuse(p, "value_not_found", "Workspace member with %s \"%.*s\" not found.",
                          email.p ? "email address" : "ID", AD_FMT(email.p ? email : id));
}

void ad__sim_print_actor(struct ad_sim_pen *p, const struct ad_sim_value *v,
                         const struct ad_sim_attr *a)
{
    const struct ad_sim_actor *actor = &a->object->store->actors[v->aux];
    AD_SIM_PUT(p, "\"referenced_actor_type\":");
    ad_sim_put_str(p, ad_str_c(actor->type));
    AD_SIM_PUT(p, ",\"referenced_actor_id\":");
    if (actor->has_id) {
        ad_sim_put_uuid(p, actor->id);
    } else {
        AD_SIM_PUT(p, "null");
    }
}

static void get_actor_id(const struct ad_sim_value *v, struct ad_sim_key *out)
{
    const struct ad_sim_actor *actor = &out->store->actors[v->aux];
    out->none = !actor->has_id;
    ad_sim_uuid_text(actor->id, out->room);
    out->s = ad_str_n(out->room, 36);
}

static void get_actor_type(const struct ad_sim_value *v, struct ad_sim_key *out)
{
    out->s = ad_str_c(out->store->actors[v->aux].type);
}

const struct ad_sim_prop ad__sim_actor_props[] = {
    { "referenced_actor_id", AD_SIM_KIND_UUID, AD__SIM_OPS_SAME, get_actor_id },
    { "referenced_actor_type", AD_SIM_KIND_TEXT, AD__SIM_OPS_SAME, get_actor_type },
    { 0 },
};

/* --- interaction --- */

static const char *const interactions[AD_SIM_INTERACTIONS] = {
    "email", "calendar-event", "call", "chat-thread", "in-person-meeting", "meeting"
};

struct ad_sim_value ad_sim_make_interaction(unsigned kind, int64_t at_ns, uint8_t owner_actor)
{
    return (struct ad_sim_value){ .type = AD_SIM_INTERACTION,
                                  .aux = kind | ((uint32_t)owner_actor << 8),
                                  .u.i = at_ns };
}

bool ad__sim_parse_interaction(const struct ad_sim_parse *p, const struct ad_json *in,
                               struct ad_sim_value *out)
{
    (void)in;
    (void)out;
    return ad__sim_invalid(p);
}

void ad__sim_print_interaction(struct ad_sim_pen *p, const struct ad_sim_value *v,
                               const struct ad_sim_attr *a)
{
    AD_SIM_PUT(p, "\"interaction_type\":");
    ad_sim_put_str(p, ad_str_c(interactions[v->aux & 255]));
    AD_SIM_PUT(p, ",\"interacted_at\":");
    ad_sim_put_time(p, v->u.i);
    AD_SIM_PUT(p, ",\"owner_actor\":");
    ad_sim_put(p, a->object->store->actors[v->aux >> 8].json);
}

static void get_interaction(const struct ad_sim_value *v, struct ad_sim_key *out)
{
    out->s = ad_str_c(interactions[v->aux & 255]);
}

static void get_owner(const struct ad_sim_value *v, struct ad_sim_key *out)
{
    ad_sim_uuid_text(out->store->actors[v->aux >> 8].id, out->room);
    out->s = ad_str_n(out->room, 36);
}

const struct ad_sim_prop ad__sim_interaction_props[] = {
    { "interacted_at", AD_SIM_KIND_TIME, AD__SIM_OPS_ORDER, ad__sim_get_int },
    { "interaction_type", AD_SIM_KIND_TEXT, AD__SIM_OPS_SAME, get_interaction },
    { "owner_member_id", AD_SIM_KIND_UUID, AD__SIM_OPS_SAME, get_owner },
    { 0 },
};
