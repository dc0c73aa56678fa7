/* Pages of records and entries: query with filter, sorts, limit and offset. */
#include "call.h"
#include "filter.h"
#include "sim.h"

#define PAGE_DEFAULT 500
/* Attio names no maximum; a larger page is refused rather than cut, so that nobody relies on it. */
#define PAGE_MAX 500

static bool query_number(struct ad_sim_call *c, const char *key, int64_t min, int64_t max,
                         size_t *out)
{
    const struct ad_json *v = ad_json_get(c->body, key);
    int64_t n = 0;
    if (!v) {
        return true;
    }
    if (!ad_json_i64(v, &n) || n < min || n > max) {
        ad_sim_issue(c, "number", "number", "%s", key);
        return false;
    }
    *out = (size_t)n;
    return true;
}

static bool query_sorts(struct ad_sim_call *c, struct ad_sim_query *q)
{
    AD_JSON_FOREACH (it, ad_json_get(c->body, "sorts")) {
        if (q->sorts_n == AD_SIM_SORTS_MAX ||
            !ad_sim_sort_compile(c->store, q->object, it, &q->sorts[q->sorts_n++])) {
            ad_sim_issue(c, "object", "object", "sorts.%zu", q->sorts_n ? q->sorts_n - 1 : 0);
            return ad_sim_body_ok(c);
        }
    }
    return true;
}

static bool query_parse(struct ad_sim_call *c, struct ad_sim_query *q)
{
    static const struct ad_sim_field fields[] = {
        { "filter", AD_SIM_IS(OBJECT), false },
        { "filter_view_id", AD_SIM_IS(STRING), false },
        { "sorts", AD_SIM_IS(ARRAY), false },
    };
    q->limit = PAGE_DEFAULT;
    ad_sim_check(c, c->body, "", fields, AD_LEN(fields));
    bool numbers = query_number(c, "limit", 1, PAGE_MAX, &q->limit) &&
                   query_number(c, "offset", 0, INT64_MAX, &q->offset);
    const struct ad_json *filter = ad_json_get(c->body, "filter");
    if (ad_json_get(c->body, "filter_view_id")) {
        ad_sim_issue(c, "no filter_view_id", "string",
                     "filter_view_id"); /* there are no views here */
    }
    if (!ad_sim_body_ok(c) || !numbers || !query_sorts(c, q)) {
        return false;
    }
    if (!ad_sim_filter_compile(c->store, q->object, filter, c->arena, &q->filter)) {
        ad_sim_bad(c, "filter_error", "Error in filter.");
        return false;
    }
    return true;
}

static void answer_page(struct ad_sim_call *c, const struct ad_sim_record **page, size_t n)
{
    struct ad_sim_pen p;
    bool some = false;
    ad_sim_pen_init(&p, c->out);
    AD_SIM_PUT(&p, "{\"data\":[");
    for (size_t i = 0; i < n; i++) {
        const struct ad_sim_record *r = ad_sim_as_of(c, page[i]);
        if (!r) {
            continue;
        }
        if (some) {
            AD_SIM_PUT(&p, ",");
        }
        some = true;
        ad_sim_render_record(&p, c->store, r);
    }
    AD_SIM_PUT(&p, "]}");
    ad_sim_pen_done(&p);
}

/* Attio says what goes in (sorts, filters, the number of records) and not how. */
static bool score_ok(struct ad_sim_call *c, const struct ad_sim_query *q)
{
    c->score = (int64_t)(ad_sim_query_points(q) * q->object->n / 1000);
    if (ad_sim_limits_take_score(&c->sim->limits, c->score, ad_mono_ms(c->sim->clock))) {
        return true;
    }
    ad_sim_refuse_rate(c);
    return false;
}

static void query_set(struct ad_sim_call *c)
{
    struct ad_sim_query q = { .store = c->store,
                              .arena = c->arena,
                              .looked_at = &c->sim->trace.looked_at };
    c->scored = true;
    q.object = ad_sim_call_set(c, 0);
    if (q.object && query_parse(c, &q) && score_ok(c, &q)) {
        size_t n = 0;
        const struct ad_sim_record **page = ad_sim_query_run(&q, &n);
        answer_page(c, page, n);
    }
}

const struct ad_sim_route ad_sim_page_routes[] = {
    { AD_HTTP_POST, "/v2/objects/{object}/records/query", query_set, AD_SIM_READ, true },
    { AD_HTTP_POST, "/v2/lists/{list}/entries/query", query_set, AD_SIM_READ, true },
    { 0, NULL, NULL, AD_SIM_READ, false },
};
