/* /_sim/: what tests turn and read. */
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
    { AD_HTTP_GET, "/_sim/keys", ad_sim_keys_get, AD_SIM_READ, false },
    { AD_HTTP_POST, "/_sim/keys", ad_sim_keys_post, AD_SIM_READ, true },
    { AD_HTTP_POST, "/_sim/clock", post_clock, AD_SIM_READ, true },
    { AD_HTTP_GET, "/_sim/edit", ad_sim_edits_get, AD_SIM_READ, false },
    { AD_HTTP_POST, "/_sim/edit", ad_sim_edits_post, AD_SIM_READ, true },
    { AD_HTTP_GET, "/_sim/requests", get_requests, AD_SIM_READ, false },
    { AD_HTTP_POST, "/_sim/requests", post_requests, AD_SIM_READ, true },
    { AD_HTTP_GET, "/_sim/deliveries", get_deliveries, AD_SIM_READ, false },
    { AD_HTTP_POST, "/_sim/webhooks/{webhook}", ad_sim_webhook_control, AD_SIM_READ, true },
    { AD_HTTP_DELETE, "/_sim/webhooks/{webhook}", ad_sim_webhook_remove, AD_SIM_READ, false },
    { 0, NULL, NULL, AD_SIM_READ, false },
};
