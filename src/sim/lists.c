/* Lists: their names and who may use them. Attributes are in attributes.c, entries in entries.c. */
#include "base/mem.h"
#include "call.h"

static void write_list(struct ad_json_writer *w, const struct ad_sim_object *list)
{
    const struct ad_sim_store *s = list->store;
    const struct ad_sim_sharing *sharing = list->sharing;
    ad_json_obj(w);
    ad_sim_w_id(w, s, "list_id", list->id);
    ad_json_f_cstr(w, "api_slug", list->slug);
    ad_json_f_cstr(w, "name", list->plural);
    ad_json_key(w, "parent_object");
    ad_json_arr(w);
    ad_json_w_cstr(w, list->parent->slug);
    ad_json_end(w);
    ad_json_f_cstr(w, "workspace_access", sharing->workspace);
    ad_json_key(w, "workspace_member_access");
    ad_json_arr(w);
    for (size_t i = 0; i < sharing->n; i++) {
        ad_json_obj(w);
        ad_sim_w_uuid(w, "workspace_member_id", s->actors[sharing->grants[i].actor].id);
        ad_json_f_cstr(w, "level", sharing->grants[i].level);
        ad_json_end(w);
    }
    ad_json_end(w);
    ad_sim_w_actor(w, s, "created_by_actor", sharing->actor);
    ad_json_key(w, "created_at");
    ad_json_w_time(w, list->created_ns);
    ad_json_end(w);
}

static void answer(struct ad_sim_call *c, const struct ad_sim_object *list)
{
    struct ad_json_writer w;
    ad_sim_data_begin(c, &w);
    write_list(&w, list);
    ad_sim_data_end(c, &w);
}

static void list_lists(struct ad_sim_call *c)
{
    struct ad_json_writer w;
    ad_sim_data_begin(c, &w);
    ad_json_arr(&w);
    for (size_t i = 0; i < c->store->lists_n; i++) {
        write_list(&w, c->store->lists[i]);
    }
    ad_json_end(&w);
    ad_sim_data_end(c, &w);
}

static void get_list(struct ad_sim_call *c)
{
    const struct ad_sim_object *list = ad_sim_call_list(c, 0);
    if (list) {
        answer(c, list);
    }
}

/* --- Who may use it --- */

static const char *known_level(struct ad_str s)
{
    static const char *const levels[] = { "full-access", "read-and-write", "read-only" };
    for (size_t i = 0; i < AD_LEN(levels); i++) {
        if (ad_str_eq(s, ad_str_c(levels[i]))) {
            return levels[i];
        }
    }
    return NULL;
}

/* What is no level is noted. */
static void check_levels(struct ad_sim_call *c, const struct ad_json *data)
{
    static const struct ad_sim_field fields[] = {
        { "workspace_member_id", AD_SIM_IS(STRING), true },
        { "level", AD_SIM_IS(STRING), true },
    };
    const struct ad_json *access = ad_json_get(data, "workspace_access");
    size_t i = 0;
    if (ad_json_is(access, AD_JSON_STRING) && !known_level(access->str)) {
        ad_sim_issue(c, "a level of access", "string", "data.workspace_access");
    }
    AD_JSON_FOREACH (it, ad_json_get(data, "workspace_member_access")) {
        struct ad_str at = ad_arena_fmt(c->arena, "data.workspace_member_access.%zu", i++);
        struct ad_str level = ad_json_str(ad_json_get(it, "level"));
        ad_sim_check(c, it, at.p, fields, AD_LEN(fields));
        if (level.p && !known_level(level)) {
            ad_sim_issue(c, "a level of access", "string", "%s.level", at.p);
        }
    }
    if (i > AD_SIM_MEMBERS_MAX) {
        ad_sim_issue(c, "fewer grants", "array", "data.workspace_member_access");
    }
}

static bool take_grants(struct ad_sim_call *c, const struct ad_json *grants,
                        struct ad_sim_sharing *out)
{
    out->n = 0;
    AD_JSON_FOREACH (it, grants) {
        struct ad_str id = ad_json_str(ad_json_get(it, "workspace_member_id"));
        const struct ad_sim_member *m = ad_sim_member_find(c->store, id);
        if (!m || !ad_str_is_uuid(id)) {
            ad_sim_bad(c, "value_not_found", "Workspace member with ID \"%.*s\" not found.",
                       AD_FMT(id));
            return false;
        }
        out->grants[out->n].actor = m->actor;
        out->grants[out->n++].level = known_level(ad_json_str(ad_json_get(it, "level")));
    }
    return true;
}

static bool is_full(const char *level)
{
    return level && strcmp(level, "full-access") == 0;
}

/* What the body says over what is in `out`; somebody must have full access. False: an error has been
 * set. */
static bool take_sharing(struct ad_sim_call *c, const struct ad_json *data,
                         struct ad_sim_sharing *out)
{
    const struct ad_json *access = ad_json_get(data, "workspace_access");
    const struct ad_json *grants = ad_json_get(data, "workspace_member_access");
    if (access) {
        out->workspace = known_level(ad_json_str(access));
    }
    if (grants && !take_grants(c, grants, out)) {
        return false;
    }
    bool full = is_full(out->workspace);
    for (size_t i = 0; i < out->n; i++) {
        full = full || is_full(out->grants[i].level);
    }
    if (!full) {
        ad_sim_bad(c, "validation_type",
                   "Lists must have either workspace_access set to \"full-access\" or at least one "
                   "workspace member with \"full-access\".");
    }
    return full;
}

/* --- Writing --- */

static bool slug_free(struct ad_sim_call *c, struct ad_str slug, const struct ad_sim_object *self)
{
    for (size_t i = 0; i < c->store->lists_n; i++) {
        const struct ad_sim_object *list = c->store->lists[i];
        if (list != self && ad_str_eq(slug, ad_str_c(list->slug))) {
            ad_sim_fail(c, 409, "invalid_request_error", "slug_conflict",
                        "A list with api_slug \"%.*s\" already exists.", AD_FMT(slug));
            return false;
        }
    }
    return true;
}

static void create_list(struct ad_sim_call *c)
{
    static const struct ad_sim_field fields[] = {
        { "data", AD_SIM_IS(OBJECT), true },
        { "data.name", AD_SIM_IS(STRING), true },
        { "data.api_slug", AD_SIM_IS(STRING), true },
        { "data.parent_object", AD_SIM_IS(STRING), true },
        { "data.workspace_access", AD_SIM_IS(STRING) | AD_SIM_IS(NULL), true },
        { "data.workspace_member_access", AD_SIM_IS(ARRAY), true },
    };
    struct ad_sim_sharing sharing = { .actor = AD_SIM_ACTOR_TOKEN };
    ad_sim_check(c, c->body, "", fields, AD_LEN(fields));
    const struct ad_json *data = ad_json_get(c->body, "data");
    check_levels(c, data);
    if (!ad_sim_body_ok(c)) {
        return;
    }
    struct ad_str slug = ad_json_str(ad_json_get(data, "api_slug"));
    struct ad_str ref = ad_json_str(ad_json_get(data, "parent_object"));
    struct ad_sim_object *parent = ad_sim_object_find(c->store, ref);
    if (!parent) {
        ad_sim_missing(c, "Parent object with slug/ID \"%.*s\" not found.", AD_FMT(ref));
        return;
    }
    if (take_sharing(c, data, &sharing) && slug_free(c, slug, NULL)) {
        struct ad_sim_object *list =
            ad_sim_list_add(c->store, slug, ad_json_str(ad_json_get(data, "name")), parent);
        *list->sharing = sharing;
        ad_sim_list_emit(c->store, "list.created", list, AD_SIM_ACTOR_TOKEN);
        answer(c, list);
    }
}

static void patch_list(struct ad_sim_call *c)
{
    static const struct ad_sim_field fields[] = {
        { "data", AD_SIM_IS(OBJECT), true },
        { "data.name", AD_SIM_IS(STRING), false },
        { "data.api_slug", AD_SIM_IS(STRING), false },
        { "data.workspace_access", AD_SIM_IS(STRING) | AD_SIM_IS(NULL), false },
        { "data.workspace_member_access", AD_SIM_IS(ARRAY), false },
    };
    struct ad_sim_object *list = ad_sim_call_list(c, 0);
    if (!list) {
        return;
    }
    ad_sim_check(c, c->body, "", fields, AD_LEN(fields));
    const struct ad_json *data = ad_json_get(c->body, "data");
    check_levels(c, data);
    if (!ad_sim_body_ok(c)) {
        return;
    }
    struct ad_sim_sharing sharing = *list->sharing;
    const struct ad_json *slug = ad_json_get(data, "api_slug");
    if (!take_sharing(c, data, &sharing) || (slug && !slug_free(c, slug->str, list))) {
        return;
    }
    *list->sharing = sharing;
    ad_sim_set_text(&list->slug, slug);
    ad_sim_set_text(&list->plural, ad_json_get(data, "name"));
    ad_sim_list_emit(c->store, "list.updated", list, AD_SIM_ACTOR_TOKEN);
    answer(c, list);
}

/* DELETE /_sim/lists/{list}: Attio's API cannot, its users can. */
static void delete_list(struct ad_sim_call *c)
{
    struct ad_sim_object *list = ad_sim_call_list(c, 0);
    if (list) {
        ad_sim_list_delete(c->store, list, AD_SIM_ACTOR_MEMBERS);
        ad_buf_put(c->out, AD_STR("{}"));
    }
}

const struct ad_sim_route ad_sim_list_routes[] = {
    { AD_HTTP_GET, "/v2/lists", list_lists, AD_SIM_READ, false },
    { AD_HTTP_POST, "/v2/lists", create_list, AD_SIM_WRITE, true },
    { AD_HTTP_GET, "/v2/lists/{list}", get_list, AD_SIM_READ, false },
    { AD_HTTP_PATCH, "/v2/lists/{list}", patch_list, AD_SIM_WRITE, true },
    { AD_HTTP_DELETE, "/_sim/lists/{list}", delete_list, AD_SIM_READ, false },
    { 0, NULL, NULL, AD_SIM_READ, false },
};
