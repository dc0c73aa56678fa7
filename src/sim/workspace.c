/* The workspace itself: who am I, who works here, which lists are there. */
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
    enum ad_sim_auth auth = ad_sim_authenticate(c->sim, c->x);
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

static void write_member(struct ad_json_writer *w, const struct ad_sim_store *s,
                         const struct ad_sim_member *m)
{
    ad_json_obj(w);
    ad_json_key(w, "id");
    ad_json_obj(w);
    ad_sim_w_uuid(w, "workspace_id", s->workspace_id);
    ad_sim_w_uuid(w, "workspace_member_id", m->id);
    ad_json_end(w);
    ad_json_f_cstr(w, "first_name", m->first);
    ad_json_f_cstr(w, "last_name", m->last);
    ad_json_f_cstr(w, "avatar_url", NULL);
    ad_json_f_cstr(w, "email_address", m->email);
    ad_json_f_cstr(w, "access_level", m->level);
    ad_json_key(w, "created_at");
    ad_json_w_time(w, m->created_ns);
    ad_json_end(w);
}

static void list_members(struct ad_sim_call *c)
{
    struct ad_json_writer w;
    ad_sim_data_begin(c, &w);
    ad_json_arr(&w);
    for (size_t i = 0; i < AD_SIM_MEMBERS; i++) {
        write_member(&w, c->store, &c->store->members[i]);
    }
    ad_json_end(&w);
    ad_sim_data_end(c, &w);
}

static void get_member(struct ad_sim_call *c)
{
    uint8_t id[16];
    struct ad_str ref = c->x->params[0];
    bool ok = ad_sim_uuid_parse(ref, id);
    for (size_t i = 0; ok && i < AD_SIM_MEMBERS; i++) {
        if (memcmp(id, c->store->members[i].id, sizeof(id)) == 0) {
            struct ad_json_writer w;
            ad_sim_data_begin(c, &w);
            write_member(&w, c->store, &c->store->members[i]);
            ad_sim_data_end(c, &w);
            return;
        }
    }
    ad_sim_missing(c, "Workspace member with ID \"%.*s\" not found.", AD_FMT(ref));
}

/* The workspace has no lists yet. */
static void list_lists(struct ad_sim_call *c)
{
    ad_buf_put(c->out, AD_STR("{\"data\":[]}"));
}

static void get_list(struct ad_sim_call *c)
{
    ad_sim_missing(c, "List with slug/ID \"%.*s\" not found.", AD_FMT(c->x->params[0]));
}

const struct ad_sim_route ad_sim_workspace_routes[] = {
    { AD_HTTP_GET, "/v2/self", get_self, AD_SIM_READ, false },
    { AD_HTTP_GET, "/v2/workspace_members", list_members, AD_SIM_READ, false },
    { AD_HTTP_GET, "/v2/workspace_members/{member}", get_member, AD_SIM_READ, false },
    { AD_HTTP_GET, "/v2/lists", list_lists, AD_SIM_READ, false },
    { AD_HTTP_GET | AD_HTTP_PATCH, "/v2/lists/{list}", get_list, AD_SIM_READ, false },
    { AD_HTTP_POST | AD_HTTP_PUT, "/v2/lists/{list}/entries", get_list, AD_SIM_WRITE, false },
    { 0, NULL, NULL, AD_SIM_READ, false },
};
