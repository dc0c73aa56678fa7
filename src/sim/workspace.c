/* The workspace itself: who am I. */
#include "call.h"
#include "sim.h"

static void write_self(struct ad_sim_call *c, struct ad_json_writer *w)
{
    const struct ad_sim_store *s = c->store;
    static const char scope[] = "user_management:read record_permission:read-write "
                                "object_configuration:read-write list_entry:read-write "
                                "list_configuration:read-write note:read-write task:read-write "
                                "comment:read-write webhook:read-write";
    ad_json_f_bool(w, "active", true);
    ad_json_f_cstr(w, "scope", scope);
    ad_sim_w_uuid(w, "client_id", s->actors[AD_SIM_ACTOR_TOKEN].id);
    ad_json_f_cstr(w, "token_type", "Bearer");
    ad_json_key(w, "exp");
    ad_json_w_null(w);
    ad_json_f_i64(w, "iat", s->members[0].created_ns / AD_NS_PER_S);
    ad_sim_w_uuid(w, "sub", s->workspace_id);
    ad_sim_w_uuid(w, "aud", s->actors[AD_SIM_ACTOR_TOKEN].id);
    ad_json_f_cstr(w, "iss", "attio.com");
    ad_sim_w_uuid(w, "authorized_by_workspace_member_id", s->members[0].id);
    ad_sim_w_uuid(w, "workspace_id", s->workspace_id);
    ad_json_f_cstr(w, "workspace_name", s->name);
    ad_json_f_cstr(w, "workspace_slug", s->slug);
    ad_json_key(w, "workspace_logo_url");
    ad_json_w_null(w);
}

/* A bare object; never 401. */
static void get_self(struct ad_sim_call *c)
{
    struct ad_json_writer w;
    enum ad_sim_auth auth = ad_sim_authenticate(&c->sim->keys, c->x);
    if (auth == AD_SIM_AUTH_MALFORMED) {
        ad_sim_bad(c, "missing_value",
                   "Token was not recognised, please check that it is passed as a Bearer token in "
                   "the Authorization header.");
        return;
    }
    ad_json_write_init(&w, c->out);
    ad_json_obj(&w);
    if (auth == AD_SIM_AUTH_OK) {
        write_self(c, &w);
    } else {
        ad_json_f_bool(&w, "active", false);
    }
    ad_json_end(&w);
    AD_ASSERT(ad_json_write_done(&w) == AD_OK);
}

const struct ad_sim_route ad_sim_workspace_routes[] = {
    { AD_HTTP_GET, "/v2/self", get_self, AD_SIM_READ, false },
    { 0, NULL, NULL, AD_SIM_READ, false },
};
