#include "base/mem.h"
#include "sim.h"

static uint64_t horizon_ms(const struct ad_sim_trace *t)
{
    return t->interval_ms > 1000 ? t->interval_ms : 1000;
}

static uint64_t recent_at(const struct ad_sim_trace *t, size_t i)
{
    return t->recent_ms[(t->recent_from + i) % t->recent_cap];
}

static void grow(struct ad_sim_trace *t)
{
    size_t cap = t->recent_cap ? t->recent_cap * 2 : 256;
    uint64_t *ring = ad_sim_alloc(cap * sizeof(ring[0]));
    for (size_t i = 0; i < t->recent_n; i++) {
        ring[i] = recent_at(t, i);
    }
    ad_free(t->recent_ms);
    t->recent_ms = ring;
    t->recent_cap = cap;
    t->recent_from = 0;
}

static void remember(struct ad_sim_trace *t, uint64_t now_ms)
{
    while (t->recent_n > 0 && recent_at(t, 0) + horizon_ms(t) <= now_ms) {
        t->recent_from = (t->recent_from + 1) % t->recent_cap;
        t->recent_n--;
    }
    if (t->recent_n == t->recent_cap) {
        grow(t);
    }
    t->recent_ms[(t->recent_from + t->recent_n++) % t->recent_cap] = now_ms;
}

/* Arrivals in the last `ms`, the newest included. They are sorted. */
static uint64_t within(const struct ad_sim_trace *t, uint64_t now_ms, uint64_t ms)
{
    size_t low = 0;
    size_t high = t->recent_n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (recent_at(t, mid) + ms <= now_ms) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return t->recent_n - low;
}

void ad_sim_trace_begin(struct ad_sim_trace *t, uint64_t now_ms)
{
    t->total++;
    t->in_flight++;
    remember(t, now_ms);
    uint64_t second = within(t, now_ms, 1000);
    t->most_in_second = second > t->most_in_second ? second : t->most_in_second;
    t->most_in_flight = t->in_flight > t->most_in_flight ? t->in_flight : t->most_in_flight;
    bool over = (t->cap && within(t, now_ms, t->interval_ms) > t->cap) ||
                (t->concurrency && t->in_flight > t->concurrency);
    t->violations += over;
}

void ad_sim_trace_route(struct ad_sim_trace *t, const struct ad_sim_route *route)
{
    if (!route) {
        t->unknown++;
        return;
    }
    t->by_lane[route->lane]++;
    for (size_t i = 0; i < t->routes_n; i++) {
        if (t->routes[i].route == route) {
            t->routes[i].n++;
            return;
        }
    }
    if (t->routes_n < AD_SIM_ROUTES_MAX) {
        t->routes[t->routes_n].route = route;
        t->routes[t->routes_n++].n = 1;
    }
}

void ad_sim_trace_end(struct ad_sim_trace *t, unsigned status)
{
    t->in_flight--;
    t->by_status[status / 100 % AD_LEN(t->by_status)]++;
}

void ad_sim_trace_reset(struct ad_sim_trace *t)
{
    struct ad_sim_trace fresh = { .in_flight = t->in_flight,
                                  .most_in_flight = t->in_flight,
                                  .recent_ms = t->recent_ms,
                                  .recent_cap = t->recent_cap };
    *t = fresh;
}

static void write_routes(const struct ad_sim_trace *t, struct ad_json_writer *w)
{
    ad_json_key(w, "routes");
    ad_json_arr(w);
    for (size_t i = 0; i < t->routes_n; i++) {
        const struct ad_sim_route *route = t->routes[i].route;
        ad_json_obj(w);
        ad_json_f_cstr(w, "method", ad_http_method_name((enum ad_http_method)route->methods));
        ad_json_f_cstr(w, "route", route->pattern);
        ad_json_f_cstr(w, "lane", route->lane == AD_SIM_READ ? "read" : "write");
        ad_json_f_i64(w, "count", (int64_t)t->routes[i].n);
        ad_json_end(w);
    }
    ad_json_end(w);
}

void ad_sim_trace_write(const struct ad_sim_trace *t, struct ad_json_writer *w)
{
    static const char *const classes[] = { NULL, NULL, "2xx", "3xx", "4xx", "5xx" };
    ad_json_obj(w);
    ad_json_f_i64(w, "total", (int64_t)t->total);
    ad_json_f_i64(w, "reads", (int64_t)t->by_lane[AD_SIM_READ]);
    ad_json_f_i64(w, "writes", (int64_t)t->by_lane[AD_SIM_WRITE]);
    ad_json_f_i64(w, "unknown_endpoint", (int64_t)t->unknown);
    ad_json_f_i64(w, "records_looked_at", (int64_t)t->looked_at);
    for (size_t i = 2; i < AD_LEN(classes); i++) {
        ad_json_f_i64(w, classes[i], (int64_t)t->by_status[i]);
    }
    ad_json_f_i64(w, "rate_limited", (int64_t)t->limited);
    ad_json_f_i64(w, "most_in_second", (int64_t)t->most_in_second);
    ad_json_f_i64(w, "in_flight", (int64_t)t->in_flight);
    ad_json_f_i64(w, "most_in_flight", (int64_t)t->most_in_flight);
    ad_json_f_i64(w, "violations", (int64_t)t->violations);
    write_routes(t, w);
    ad_json_end(w);
}

void ad_sim_trace_fini(struct ad_sim_trace *t)
{
    ad_free(t->recent_ms);
}
