/* The endpoint that merges records, and how merges behave: /_sim/merge. */
#include "sim.h"

/* A record named in the body; NULL: the error has been set. */
static struct ad_sim_record *named(struct ad_sim_call *c, const struct ad_sim_object *o,
                                   const char *path)
{
    uint8_t id[16];
    struct ad_str ref = ad_json_str(ad_json_path(c->body, path));
    struct ad_sim_record *r = ad_sim_uuid_parse(ref, id) ? ad_sim_record_find(o, id) : NULL;
    if (!r) {
        ad_sim_fail(c, 404, "invalid_request_error", "value_not_found",
                    "Record with ID \"%.*s\" not found.", AD_FMT(ref));
    } else if (ad_sim_is_busy(c, r)) {
        return NULL;
    }
    return r;
}

static void merge(struct ad_sim_call *c, struct ad_sim_record *primary,
                  struct ad_sim_record *secondary)
{
    struct ad_json_writer w;
    struct ad_sim_record *r = ad_sim_merge(c->store, primary, secondary, AD_SIM_ACTOR_TOKEN);
    c->status = r->merging ? 202 : 200;
    ad_sim_data_begin(c, &w);
    ad_json_obj(&w);
    ad_sim_w_uuid(&w, "new_record_id", r->id);
    ad_json_end(&w);
    ad_sim_data_end(c, &w);
}

static void post_merge(struct ad_sim_call *c)
{
    static const struct ad_sim_field fields[] = {
        { "data", AD_SIM_IS(OBJECT), true },
        { "data.primary_record_id", AD_SIM_IS(STRING), true },
        { "data.secondary_record_id", AD_SIM_IS(STRING), true },
    };
    struct ad_sim_object *o = ad_sim_call_object(c, 0);
    if (!o) {
        return;
    }
    ad_sim_check(c, c->body, "", fields, AD_LEN(fields));
    if (!ad_sim_body_ok(c)) {
        return;
    }
    if (!ad_sim_limits_take_merge(&c->sim->limits, ad_mono_ms(c->sim->clock))) {
        c->sim->trace.violations++;
        ad_sim_refuse_rate(c);
        return;
    }
    struct ad_sim_record *primary = named(c, o, fields[1].path);
    struct ad_sim_record *secondary = primary ? named(c, o, fields[2].path) : NULL;
    if (secondary && primary == secondary) {
        ad_sim_bad(c, "self_merge", "A record cannot be merged with itself.");
    } else if (secondary) {
        merge(c, primary, secondary);
    }
}

/* --- Control --- */

static void get_rules(struct ad_sim_call *c)
{
    struct ad_json_writer w;
    ad_json_write_init(&w, c->out);
    ad_json_obj(&w);
    ad_json_f_cstr(&w, "vintage", c->store->merge.old ? "old" : "new");
    ad_json_f_i64(&w, "apply_ms", (int64_t)c->store->merge.apply_ms);
    ad_json_f_i64(&w, "in_progress", (int64_t)c->store->merging_n);
    ad_json_end(&w);
    AD_ASSERT(ad_json_write_done(&w) == AD_OK);
}

/* {"vintage":"old"|"new","apply_ms":500} */
static void post_rules(struct ad_sim_call *c)
{
    const struct ad_json *vintage = ad_json_get(c->body, "vintage");
    const struct ad_json *apply = ad_json_get(c->body, "apply_ms");
    struct ad_str name = ad_json_str(vintage);
    int64_t ms = (int64_t)c->store->merge.apply_ms;
    if (vintage && !ad_str_eq(name, AD_STR("old")) && !ad_str_eq(name, AD_STR("new"))) {
        ad_sim_issue(c, "old or new", ad_sim_type_name(vintage), "vintage");
    }
    if (apply && (!ad_json_i64(apply, &ms) || ms < 0)) {
        ad_sim_issue(c, "number", ad_sim_type_name(apply), "apply_ms");
    }
    if (!ad_sim_body_ok(c)) {
        return;
    }
    c->store->merge.old = vintage ? ad_str_eq(name, AD_STR("old")) : c->store->merge.old;
    c->store->merge.apply_ms = (uint64_t)ms;
    get_rules(c);
}

const struct ad_sim_route ad_sim_merge_routes[] = {
    { AD_HTTP_POST, "/v2/objects/{object}/records/merge", post_merge, AD_SIM_WRITE, true },
    { AD_HTTP_GET, "/_sim/merge", get_rules, AD_SIM_READ, false },
    { AD_HTTP_POST, "/_sim/merge", post_rules, AD_SIM_READ, true },
    { 0, NULL, NULL, AD_SIM_READ, false },
};
