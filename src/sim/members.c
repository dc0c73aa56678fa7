/* Workspace members: who works here. They come by invitation, that is by /_sim/. */
#include "base/mem.h"
#include "call.h"
#include "names.h"
#include "sim.h"

static void write_member(struct ad_json_writer *w, const struct ad_sim_store *s,
                         const struct ad_sim_member *m)
{
    ad_json_obj(w);
    ad_sim_w_id(w, s, "workspace_member_id", m->id);
    ad_json_f_cstr(w, "first_name", m->first);
    ad_json_f_cstr(w, "last_name", m->last);
    ad_json_f_cstr(w, "avatar_url", NULL);
    ad_json_f_cstr(w, "email_address", m->email);
    ad_json_f_cstr(w, "access_level", m->level);
    ad_json_key(w, "created_at");
    ad_json_w_time(w, m->created_ns);
    ad_json_end(w);
}

void ad_sim_members_write(struct ad_json_writer *w, const struct ad_sim_store *s)
{
    ad_json_arr(w);
    for (size_t i = 0; i < s->members_n; i++) {
        write_member(w, s, &s->members[i]);
    }
    ad_json_end(w);
}

static void answer(struct ad_sim_call *c, const struct ad_sim_member *m)
{
    struct ad_json_writer w;
    ad_sim_data_begin(c, &w);
    write_member(&w, c->store, m);
    ad_sim_data_end(c, &w);
}

static void list_members(struct ad_sim_call *c)
{
    struct ad_json_writer w;
    ad_sim_data_begin(c, &w);
    ad_sim_members_write(&w, c->store);
    ad_sim_data_end(c, &w);
}

static void get_member(struct ad_sim_call *c)
{
    struct ad_str ref = c->x->params[0];
    const struct ad_sim_member *m = ad_str_is_uuid(ref) ? ad_sim_member_find(c->store, ref) : NULL;
    if (m) {
        answer(c, m);
    } else {
        ad_sim_missing(c, "Workspace member with ID \"%.*s\" not found.", AD_FMT(ref));
    }
}

/* --- Control --- */

static const char *known_level(struct ad_str s)
{
    static const char *const levels[] = { "member", "admin", "suspended" };
    for (size_t i = 0; i < AD_LEN(levels); i++) {
        if (!s.p || ad_str_eq(s, ad_str_c(levels[i]))) {
            return levels[i];
        }
    }
    return NULL;
}

static void emit(struct ad_sim_store *s, const struct ad_sim_member *m)
{
    struct ad_sim_event event = { .type = "workspace-member.created",
                                  .actor = AD_SIM_ACTOR_MEMBERS };
    ad_sim_event_id(&event, "id.workspace_id", s->workspace_id);
    ad_sim_event_id(&event, "id.workspace_member_id", m->id);
    ad_sim_emit(s, &event);
}

/* POST /_sim/members: what is not given is made up. */
static void add_member(struct ad_sim_call *c)
{
    struct ad_sim_store *s = c->store;
    struct ad_str email = ad_json_str(ad_json_get(c->body, "email_address"));
    const char *level = known_level(ad_json_str(ad_json_get(c->body, "access_level")));
    struct ad_str first = ad_str_c(ad_sim_first_names[s->members_n % ad_sim_first_names_n]);
    struct ad_str last = ad_str_c(ad_sim_last_names[s->members_n % ad_sim_last_names_n]);
    if (!email.p) {
        email = ad_arena_fmt(c->arena, "member%zu@example.com", s->members_n);
    }
    if (!level) {
        ad_sim_issue(c, "member, admin or suspended", "string", "access_level");
    }
    if (ad_sim_member_find(s, email)) {
        ad_sim_issue(c, "an address nobody has", "string", "email_address");
    }
    if (s->members_n == AD_SIM_MEMBERS_MAX) {
        ad_sim_issue(c, "fewer members", "object", "%s", "");
    }
    if (!ad_sim_body_ok(c)) {
        return;
    }
    const struct ad_sim_member *m = ad_sim_member_add(s, first, last, email, level);
    emit(s, m);
    answer(c, m);
}

/* POST /_sim/call-recordings: there are no meetings here, but their one event can be had. */
static void add_recording(struct ad_sim_call *c)
{
    uint8_t meeting[16];
    uint8_t recording[16];
    struct ad_json_writer w;
    struct ad_sim_event event = { .type = "call-recording.created", .actor = AD_SIM_ACTOR_SYSTEM };
    ad_sim_new_id(&c->sim->rand, meeting);
    ad_sim_new_id(&c->sim->rand, recording);
    ad_sim_event_id(&event, "id.workspace_id", c->store->workspace_id);
    ad_sim_event_id(&event, "id.meeting_id", meeting);
    ad_sim_event_id(&event, "id.call_recording_id", recording);
    ad_sim_emit(c->store, &event);
    ad_sim_data_begin(c, &w);
    ad_json_obj(&w);
    ad_sim_w_uuid(&w, "meeting_id", meeting);
    ad_sim_w_uuid(&w, "call_recording_id", recording);
    ad_json_end(&w);
    ad_sim_data_end(c, &w);
}

const struct ad_sim_route ad_sim_member_routes[] = {
    { AD_HTTP_GET, "/v2/workspace_members", list_members, AD_SIM_READ, false },
    { AD_HTTP_GET, "/v2/workspace_members/{member}", get_member, AD_SIM_READ, false },
    { AD_HTTP_POST, "/_sim/members", add_member, AD_SIM_READ, true },
    { AD_HTTP_POST, "/_sim/call-recordings", add_recording, AD_SIM_READ, true },
    { 0, NULL, NULL, AD_SIM_READ, false },
};
