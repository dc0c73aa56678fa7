/* Objects. */
#include "base/mem.h"
#include "call.h"
#include "seed.h"

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

static void answer_object(struct ad_sim_call *c, const struct ad_sim_object *o)
{
    struct ad_json_writer w;
    ad_sim_data_begin(c, &w);
    write_object(&w, o);
    ad_sim_data_end(c, &w);
}

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
        ad_sim_empty_payload(c);
        return;
    }
    struct ad_sim_object *other = slug ? ad_sim_object_find(c->store, slug->str) : NULL;
    if (other && other != o) {
        ad_sim_fail(c, 409, "invalid_request_error", "slug_conflict",
                    "Failed to update object. Please ensure api_slug is unique.");
        return;
    }
    ad_sim_set_text(&o->slug, slug);
    ad_sim_set_text(&o->singular, ad_json_get(data, "singular_noun"));
    ad_sim_set_text(&o->plural, ad_json_get(data, "plural_noun"));
    answer_object(c, o);
}

/* What an administrator does in Attio's settings: {"object":"users"}. */
static void post_activate(struct ad_sim_call *c)
{
    struct ad_str slug = ad_json_str(ad_json_get(c->body, "object"));
    const struct ad_sim_object *o = slug.p ? ad_sim_activate(c->store, slug) : NULL;
    if (o) {
        answer_object(c, o);
    } else {
        ad_sim_missing(c, "Object with slug/ID \"%.*s\" not found.", AD_FMT(slug));
    }
}

const struct ad_sim_route ad_sim_object_routes[] = {
    { AD_HTTP_POST, "/_sim/activate", post_activate, AD_SIM_READ, true },
    { AD_HTTP_GET, "/v2/objects", list_objects, AD_SIM_READ, false },
    { AD_HTTP_POST, "/v2/objects", create_object, AD_SIM_WRITE, true },
    { AD_HTTP_GET, "/v2/objects/{object}", get_object, AD_SIM_READ, false },
    { AD_HTTP_PATCH, "/v2/objects/{object}", patch_object, AD_SIM_WRITE, true },
    { 0, NULL, NULL, AD_SIM_READ, false },
};
