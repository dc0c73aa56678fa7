/* /_sim/: what tests turn and read. */
#include <stdlib.h>

#include "sim.h"

static void post_clock(struct ad_sim_call *c)
{
    double factor = 0;
    struct ad_json_writer w;
    if (!ad_json_f64(ad_json_get(c->body, "factor"), &factor) || factor < 0.001 || factor > 1e9) {
        ad_sim_issue(c, "number", NULL, "factor");
        AD_IGNORE(ad_sim_body_ok(c), "it is not");
        return;
    }
    ad_sim_webhooks_set_factor(&c->sim->webhooks, factor);
    ad_json_write_init(&w, c->out);
    ad_json_obj(&w);
    ad_json_key(&w, "factor");
    ad_json_w_f64(&w, factor);
    ad_json_end(&w);
    AD_ASSERT(ad_json_write_done(&w) == AD_OK);
}

static void get_requests(struct ad_sim_call *c)
{
    struct ad_json_writer w;
    ad_json_write_init(&w, c->out);
    ad_sim_trace_write(&c->sim->trace, &w);
    AD_ASSERT(ad_json_write_done(&w) == AD_OK);
}

static void take(struct ad_sim_call *c, const char *key, uint64_t *out)
{
    const struct ad_json *v = ad_json_get(c->body, key);
    int64_t n = 0;
    if (v && (!ad_json_i64(v, &n) || n < 0)) {
        ad_sim_issue(c, "number", "number", "%s", key);
        return;
    }
    *out = v ? (uint64_t)n : *out;
}

/* Starts counting anew, and sets the budget that violations are counted against. */
static void post_requests(struct ad_sim_call *c)
{
    struct ad_sim_trace *t = &c->sim->trace;
    ad_sim_trace_reset(t);
    t->interval_ms = 1000;
    take(c, "cap", &t->cap);
    take(c, "interval_ms", &t->interval_ms);
    take(c, "concurrency", &t->concurrency);
    if (ad_sim_body_ok(c)) {
        get_requests(c);
    }
}

static int by_id(const void *a, const void *b)
{
    const struct ad_sim_record *const *x = a;
    const struct ad_sim_record *const *y = b;
    return memcmp((*x)->id, (*y)->id, sizeof((*x)->id));
}

static bool is_after(const struct ad_sim_record *r, const uint8_t *after)
{
    return !after || memcmp(r->id, after, sizeof(r->id)) > 0;
}

/* All records of an object in the order of their ids; `after` and `limit` cut it into pages;
 * form=compact leaves out what is only true of this run. */
static void get_state(struct ad_sim_call *c)
{
    bool bad = false;
    int64_t limit = INT64_MAX;
    uint8_t id[16];
    struct ad_str slug = ad_query_get(c->x, "object", &bad);
    struct ad_str after = ad_query_get(c->x, "after", &bad);
    struct ad_str form = ad_query_get(c->x, "form", &bad);
    struct ad_str cut = ad_query_get(c->x, "limit", &bad);
    struct ad_sim_object *o = ad_sim_object_find(c->store, slug);
    if (!o || bad || (after.p && !ad_sim_uuid_parse(after, id)) ||
        (cut.p && !ad_str_i64(cut, 1, INT64_MAX, &limit))) {
        ad_sim_missing(c, "Object with slug/ID \"%.*s\" not found.", AD_FMT(slug));
        return;
    }
    bool compact = ad_str_eq(form, AD_STR("compact"));
    const struct ad_sim_record **all =
        ad_arena_alloc(c->arena, (o->n + 1) * sizeof(struct ad_sim_record *));
    AD_ASSERT(all);
    for (size_t i = 0; i < o->n; i++) {
        all[i] = o->sorted[i];
    }
    qsort(all, o->n, sizeof(struct ad_sim_record *), by_id);
    struct ad_sim_pen p;
    ad_sim_pen_init(&p, c->out);
    AD_SIM_PUT(&p, "{\"object_id\":");
    ad_sim_put_uuid(&p, o->id);
    AD_SIM_PUT(&p, ",\"records\":[");
    bool some = false;
    for (size_t i = 0; i < o->n && limit > 0; i++) {
        if (!is_after(all[i], after.p ? id : NULL)) {
            continue;
        }
        ad_sim_put(&p, some ? AD_STR(",\n") : AD_STR("\n"));
        some = true;
        limit--;
        ad_sim_render_state(&p, c->store, all[i], compact);
    }
    AD_SIM_PUT(&p, "]}");
    ad_sim_pen_done(&p);
}

static void get_deliveries(struct ad_sim_call *c)
{
    struct ad_json_writer w;
    ad_json_write_init(&w, c->out);
    ad_sim_webhooks_report(&c->sim->webhooks, &w);
    AD_ASSERT(ad_json_write_done(&w) == AD_OK);
}

const struct ad_sim_route ad_sim_control_routes[] = {
    { AD_HTTP_GET, "/_sim/faults", ad_sim_faults_get, AD_SIM_READ, false },
    { AD_HTTP_POST, "/_sim/faults", ad_sim_faults_post, AD_SIM_READ, true },
    { AD_HTTP_GET, "/_sim/limits", ad_sim_limits_get, AD_SIM_READ, false },
    { AD_HTTP_POST, "/_sim/limits", ad_sim_limits_post, AD_SIM_READ, true },
    { AD_HTTP_POST, "/_sim/clock", post_clock, AD_SIM_READ, true },
    { AD_HTTP_GET, "/_sim/edit", ad_sim_edits_get, AD_SIM_READ, false },
    { AD_HTTP_POST, "/_sim/edit", ad_sim_edits_post, AD_SIM_READ, true },
    { AD_HTTP_GET, "/_sim/requests", get_requests, AD_SIM_READ, false },
    { AD_HTTP_POST, "/_sim/requests", post_requests, AD_SIM_READ, true },
    { AD_HTTP_GET, "/_sim/state", get_state, AD_SIM_READ, false },
    { AD_HTTP_GET, "/_sim/deliveries", get_deliveries, AD_SIM_READ, false },
    { AD_HTTP_POST, "/_sim/webhooks/{webhook}", ad_sim_webhook_control, AD_SIM_READ, true },
    { AD_HTTP_DELETE, "/_sim/webhooks/{webhook}", ad_sim_webhook_remove, AD_SIM_READ, false },
    { 0, NULL, NULL, AD_SIM_READ, false },
};
