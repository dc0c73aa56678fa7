#include "base/mem.h"
#include "sim.h"

static const char *const kinds[AD_SIM_FAULT_KINDS] = {
    "latency", "status", "garbage", "broken_json", "half_body", "reset", "silence",
    "slow",    "stale",  "drop",    "duplicate",   "reorder",   "delay"
};

static bool of_deliveries(const struct ad_sim_fault *fault)
{
    return fault->kind >= AD_SIM_FAULT_DROP;
}

void ad_sim_faults_init(struct ad_sim_faults *f, uint64_t seed)
{
    ad_list_init(&f->list);
    ad_rand_seed(&f->rand, seed ^ UINT64_C(0x66617574));
}

static void drop(struct ad_sim_fault *fault)
{
    ad_list_remove(&fault->link);
    ad_free(fault->route);
    ad_free(fault);
}

void ad_sim_faults_clear(struct ad_sim_faults *f)
{
    AD_LIST_FOREACH_SAFE (it, &f->list) {
        drop(ad_container_of(it, struct ad_sim_fault, link));
    }
}

static bool strikes(struct ad_sim_faults *f, const struct ad_sim_fault *fault, unsigned method,
                    struct ad_str path)
{
    return (!fault->method || fault->method == method) &&
           ad_str_starts(path, ad_str_c(fault->route)) &&
           (double)ad_rand_below(&f->rand, 1000000) < fault->rate * 1000000.0;
}

static void count_hit(struct ad_sim_fault *fault)
{
    fault->hits++;
    if (fault->left != UINT64_MAX && --fault->left == 0) {
        drop(fault);
    }
}

/* Latencies add up; of the rest the first one that strikes counts. */
struct ad_sim_harm ad_sim_faults_pick(struct ad_sim_faults *f, unsigned method, struct ad_str path)
{
    struct ad_sim_harm harm = { .kind = AD_SIM_FAULT_NONE };
    AD_LIST_FOREACH_SAFE (it, &f->list) {
        struct ad_sim_fault *fault = ad_container_of(it, struct ad_sim_fault, link);
        bool taken = harm.kind != AD_SIM_FAULT_NONE && fault->kind != AD_SIM_FAULT_NONE;
        if (taken || of_deliveries(fault) || !strikes(f, fault, method, path)) {
            continue;
        }
        harm.latency_ms += fault->latency_ms;
        if (fault->kind != AD_SIM_FAULT_NONE) {
            harm.kind = fault->kind;
            harm.status = fault->status;
            harm.at = fault->at;
            harm.stale_ms = fault->stale_ms;
        }
        count_hit(fault);
    }
    return harm;
}

/* All that strike count together. */
struct ad_sim_fate ad_sim_faults_fate(struct ad_sim_faults *f, struct ad_str event_type)
{
    struct ad_sim_fate fate = { 0 };
    AD_LIST_FOREACH_SAFE (it, &f->list) {
        struct ad_sim_fault *fault = ad_container_of(it, struct ad_sim_fault, link);
        if (!of_deliveries(fault) || !strikes(f, fault, 0, event_type)) {
            continue;
        }
        if (fault->kind == AD_SIM_FAULT_DROP) {
            fate.lost = true;
        } else if (fault->kind == AD_SIM_FAULT_DUPLICATE) {
            fate.twice = true;
            fate.copy_ms += fault->latency_ms;
        } else {
            fate.hold_ms += fault->latency_ms;
            fate.overtakers += fault->kind == AD_SIM_FAULT_REORDER ? fault->by : 0;
        }
        count_hit(fault);
    }
    return fate;
}

/* --- Control --- */

static bool take_number(struct ad_sim_call *c, const char *key, uint64_t *out)
{
    const struct ad_json *v = ad_json_get(c->body, key);
    int64_t n = 0;
    if (v && (!ad_json_i64(v, &n) || n < 0)) {
        ad_sim_issue(c, "number", "number", "%s", key);
        return false;
    }
    *out = v ? (uint64_t)n : *out;
    return v != NULL;
}

static void take_kind(struct ad_sim_call *c, struct ad_sim_fault *fault)
{
    const struct ad_json *kind = ad_json_get(c->body, "kind");
    for (size_t i = 0; kind && i < AD_LEN(kinds); i++) {
        if (ad_str_eq(ad_json_str(kind), ad_str_c(kinds[i]))) {
            fault->kind = (enum ad_sim_fault_kind)i;
            return;
        }
    }
    if (kind) {
        ad_sim_issue(c, "a kind of fault", "string", "kind");
    }
}

/* The requests a fault is about, or the deliveries. */
static void take_scope(struct ad_sim_call *c, struct ad_sim_fault *fault)
{
    bool deliveries = of_deliveries(fault);
    const char *key = deliveries ? "event" : "route";
    struct ad_str method = ad_json_str(ad_json_get(c->body, "method"));
    const struct ad_json *scope = ad_json_get(c->body, key);
    fault->method = !deliveries && method.p ? (unsigned)ad_http_method_parse(method) : 0;
    fault->route = ad_sim_copy(scope        ? ad_json_str(scope)
                               : deliveries ? AD_STR("")
                                            : AD_STR("/v2"));
    if (!fault->route) {
        ad_sim_issue(c, "string", "number", "%s", key);
        fault->route = ad_sim_copy(AD_STR("/v2"));
    }
}

static struct ad_sim_fault *parse(struct ad_sim_call *c)
{
    struct ad_sim_fault *fault = ad_sim_alloc(sizeof(*fault));
    uint64_t status = 500;
    *fault = (struct ad_sim_fault){
        .rate = 1.0, .at = 100, .by = 1, .left = UINT64_MAX, .stale_ms = 5000
    };
    ad_list_init(&fault->link);
    if (take_number(c, "status", &status)) {
        fault->kind = AD_SIM_FAULT_STATUS;
    }
    if (status < 200 || status > 599) {
        ad_sim_issue(c, "200 to 599", "number", "status");
    }
    fault->status = (unsigned)status;
    if (take_number(c, "stale_ms", &fault->stale_ms)) {
        fault->kind = AD_SIM_FAULT_STALE;
    }
    take_kind(c, fault);
    if (fault->kind == AD_SIM_FAULT_REORDER || fault->kind == AD_SIM_FAULT_DELAY) {
        fault->latency_ms = 1000;
    }
    AD_IGNORE(take_number(c, "latency_ms", &fault->latency_ms), "optional");
    AD_IGNORE(take_number(c, "at", &fault->at), "optional");
    AD_IGNORE(take_number(c, "by", &fault->by), "optional");
    AD_IGNORE(take_number(c, "count", &fault->left), "optional");
    const struct ad_json *rate = ad_json_get(c->body, "rate");
    if (rate && (!ad_json_f64(rate, &fault->rate) || fault->rate < 0 || fault->rate > 1)) {
        ad_sim_issue(c, "0 to 1", "number", "rate");
    }
    take_scope(c, fault);
    return fault;
}

void ad_sim_faults_get(struct ad_sim_call *c)
{
    struct ad_json_writer w;
    ad_sim_data_begin(c, &w);
    ad_json_arr(&w);
    AD_LIST_FOREACH (it, &c->sim->faults.list) {
        const struct ad_sim_fault *fault = ad_container_of(it, struct ad_sim_fault, link);
        ad_json_obj(&w);
        ad_json_f_cstr(&w, "kind", kinds[fault->kind]);
        ad_json_f_cstr(&w, of_deliveries(fault) ? "event" : "route", fault->route);
        ad_json_f_i64(&w, "hits", (int64_t)fault->hits);
        ad_json_end(&w);
    }
    ad_json_end(&w);
    ad_sim_data_end(c, &w);
}

void ad_sim_faults_post(struct ad_sim_call *c)
{
    bool clear = false;
    if (ad_json_bool(ad_json_get(c->body, "clear"), &clear) && clear) {
        ad_sim_faults_clear(&c->sim->faults);
    } else {
        struct ad_sim_fault *fault = parse(c);
        if (!ad_sim_body_ok(c) || fault->left == 0) {
            drop(fault);
            if (c->issues_n > 0) {
                return;
            }
        } else {
            /* Staleness needs to be remembered from now on. */
            c->store->shadowing = c->store->shadowing || fault->kind == AD_SIM_FAULT_STALE;
            ad_list_push(&c->sim->faults.list, &fault->link);
        }
    }
    ad_sim_faults_get(c);
}
