#include "sim.h"

#include "base/log.h"
#include "base/mem.h"

#define BODY_MAX (16u << 20)
#define OUT_MAX (8ull << 30)
#define REPLY_MS 600000 /* longer than any latency a test asks for */
#define DRAIN_MS 2000

/* --- The reply --- */

#define HEADERS_MAX 6

struct pending {
    struct ad_sim *sim;
    struct ad_exchange *x;
    struct ad_list link;
    struct ad_timer timer;
    struct ad_reply reply;
    struct ad_http_header headers[HEADERS_MAX];
    struct ad_sim_harm harm;
    bool traced;
};

static void add_header(struct pending *p, const char *name, struct ad_str value)
{
    AD_ASSERT(p->reply.headers_n < HEADERS_MAX && value.p);
    p->headers[p->reply.headers_n++] = (struct ad_http_header){ ad_str_c(name), value };
}

static void send(struct pending *p)
{
    struct ad_sim *sim = p->sim;
    ad_list_remove(&p->link);
    ad_timer_stop(sim->timers, &p->timer);
    if (p->traced) {
        ad_sim_trace_end(&sim->trace, p->reply.status);
    }
    if (p->harm.kind >= AD_SIM_FAULT_GARBAGE && p->harm.kind <= AD_SIM_FAULT_SLOW &&
        p->harm.kind != AD_SIM_FAULT_BROKEN) {
        ad_sim_wire_harm(&sim->wires, p->x->peer, &p->harm);
    }
    p->reply.headers = p->headers;
    ad_reply(p->x, &p->reply);
}

static void on_latency(struct ad_timer *timer)
{
    send(ad_container_of(timer, struct pending, timer));
}

static void send_later(struct pending *p)
{
    if (p->harm.latency_ms == 0 || p->sim->closing) {
        send(p);
        return;
    }
    ad_list_push(&p->sim->delayed, &p->link);
    ad_timer_start(p->sim->timers, &p->timer, p->harm.latency_ms, on_latency);
}

/* The body moves from the shared buffer to the exchange. */
static void take_body(struct pending *p, struct ad_sim_call *c)
{
    struct ad_str body = ad_buf_str(c->out);
    AD_ASSERT(ad_buf_status(c->out) == AD_OK);
    p->reply.status = c->status;
    p->reply.content_type = "application/json; charset=utf-8";
    p->reply.more = c->more;
    p->reply.more_ctx = c->more_ctx;
    p->reply.body = ad_arena_str(c->arena, body);
    AD_ASSERT(p->reply.body.p);
    if (p->harm.kind == AD_SIM_FAULT_BROKEN) {
        p->reply.body.n = p->reply.body.n * 2 / 3;
    }
    if (ad_buf_len(c->out) > (64u << 20)) {
        ad_buf_fini(c->out); /* a dump need not stay */
        ad_buf_init(c->out, OUT_MAX);
    }
}

static void add_common_headers(struct pending *p, const struct ad_sim_call *c)
{
    char uuid[37];
    char text[AD_TIME_MAX];
    struct ad_sim *sim = p->sim;
    ad_rand_uuid(&sim->rand, uuid);
    add_header(p, "x-attio-execution-id", ad_arena_str(c->arena, ad_str_c(uuid)));
    add_header(
        p, "access-control-expose-headers",
        AD_STR("x-attio-client, x-attio-execution-id, x-attio-platform, x-attio-platform-version, "
               "x-attio-record-query-score, x-attio-app-installation-bundle-id, WWW-Authenticate"));
    if (c->route && c->route->lane == AD_SIM_READ && c->status == 200) {
        int64_t at_ns = ad_wall_ns(sim->clock) -
                        (int64_t)p->harm.stale_ms * AD_NS_PER_MS * (c->stale_since_ms != 0);
        struct ad_str at = ad_time_format(at_ns / 1000 * 1000, 9, text);
        add_header(p, "x-accurate-at", ad_arena_str(c->arena, at));
    }
    if (c->scored) {
        add_header(p, "x-attio-record-query-score",
                   ad_arena_fmt(c->arena, "%lld", (long long)c->score));
    }
    if (c->retry_after_s) {
        add_header(p, "Retry-After",
                   ad_arena_str(c->arena, ad_http_date_format(c->retry_after_s, text)));
    }
}

void ad_sim_refuse_rate(struct ad_sim_call *c)
{
    c->sim->trace.limited++;
    c->retry_after_s = ad_wall_ns(c->sim->clock) / AD_NS_PER_S + 1;
    ad_sim_fail(c, 429, "rate_limit_error", "rate_limit_exceeded",
                "Rate limit exceeded, please try again later");
}

static void refuse_token(struct ad_sim_call *c)
{
    ad_sim_fail(c, 401, "auth_error", "unauthorized",
                "The API Key provided could not be found. This is most commonly caused by the "
                "token having been revoked.");
}

/* An error that was asked for. 5xx bodies of Attio are not documented: what a proxy would say. */
static void fail_on_purpose(struct pending *p, struct ad_sim_call *c)
{
    if (p->harm.status == 429) {
        ad_sim_refuse_rate(c);
    } else if (p->harm.status == 401) {
        refuse_token(c);
    } else {
        ad_sim_fail(c, p->harm.status, "invalid_request_error", "simulated_fault",
                    "A fault was asked for.");
    }
}

/* --- The request --- */

static bool parse_body(struct ad_sim_call *c)
{
    struct ad_errinfo info = { 0 };
    struct ad_str body = c->x->body;
    if (!c->route->takes_body || body.n == 0) {
        return true;
    }
    if (ad_json_parse(c->arena, body, NULL, &c->body, &info) != AD_OK) {
        ad_sim_bad(c, "validation_type", "Body payload validation error.");
        return false;
    }
    if (c->body->type != AD_JSON_OBJECT) {
        ad_sim_issue(c, "object", "array", "%s", "");
    }
    return ad_sim_body_ok(c);
}

/* The route, with decoded parameters; NULL: Attio's 404 has been set. */
static const struct ad_sim_route *find_route(struct ad_sim_call *c)
{
    unsigned allow = 0;
    struct ad_exchange *x = c->x;
    const struct ad_route *found =
        ad_registry_match(c->sim->routes, x->method, x->path, x->params, &allow);
    for (size_t i = 0; found && i < AD_ROUTE_PARAMS_MAX && x->params[i].p; i++) {
        if (!ad_percent_decode(c->arena, x->params[i], false, &x->params[i])) {
            found = NULL;
        }
    }
    if (!found || x->method == AD_HTTP_HEAD) {
        ad_sim_missing(c, "Could not find endpoint \"%s %.*s\".", ad_http_method_name(x->method),
                       AD_FMT(x->path));
        return NULL;
    }
    return found->ctx;
}

static void run(struct ad_sim_call *c)
{
    if (parse_body(c)) {
        c->route->handler(c);
    }
}

/* Attio's endpoints: what is asked before the handler is. */
static void run_attio(struct pending *p, struct ad_sim_call *c)
{
    struct ad_sim *sim = p->sim;
    bool self = c->route && ad_str_eq(c->x->path, AD_STR("/v2/self"));
    if (p->harm.kind == AD_SIM_FAULT_STATUS) {
        fail_on_purpose(p, c);
    } else if (!c->route) {
        return;
    } else if (!self && ad_sim_authenticate(&sim->keys, c->x) != AD_SIM_AUTH_OK) {
        refuse_token(c);
    } else if (!ad_sim_limits_take(&sim->limits, c->route->lane, ad_mono_ms(sim->clock))) {
        sim->trace.violations++;
        ad_sim_refuse_rate(c);
    } else {
        if (p->harm.kind == AD_SIM_FAULT_STALE && c->route->lane == AD_SIM_READ) {
            uint64_t now_ms = ad_mono_ms(sim->clock);
            c->stale_since_ms = now_ms > p->harm.stale_ms ? now_ms - p->harm.stale_ms : 1;
        }
        run(c);
    }
}

void ad_sim_handle(void *ctx, struct ad_exchange *x)
{
    struct ad_sim *sim = ctx;
    struct pending *p = ad_arena_zalloc(x->arena, sizeof(*p));
    AD_ASSERT(p);
    p->sim = sim;
    p->x = x;
    ad_list_init(&p->link);
    struct ad_sim_call c = {
        .sim = sim, .store = &sim->store, .x = x, .arena = x->arena, .out = &sim->out, .status = 200
    };
    ad_buf_clear(&sim->out);
    ad_sim_merges_settle(&sim->store);
    bool control = ad_str_starts(x->path, AD_STR("/_sim/"));
    c.route = find_route(&c);
    if (!control) {
        p->traced = true;
        ad_sim_trace_begin(&sim->trace, ad_mono_ms(sim->clock));
        ad_sim_trace_route(&sim->trace, c.route);
        p->harm = ad_sim_faults_pick(&sim->faults, (unsigned)x->method, x->path);
        run_attio(p, &c);
    } else if (c.route) {
        run(&c);
    }
    add_common_headers(p, &c);
    take_body(p, &c);
    send_later(p);
}

/* --- Opening --- */

static void on_unreachable(void *ctx, struct ad_exchange *x)
{
    (void)ctx;
    (void)x;
    AD_ASSERT(false && "the inner table is only matched, never dispatched");
}

static void mount(struct ad_registry *r, const struct ad_sim_route *routes)
{
    struct ad_errinfo info = { 0 };
    for (; routes->pattern; routes++) {
        union {
            const struct ad_sim_route *in;
            void *out;
        } ctx = { routes };
        struct ad_route route = { .methods = routes->methods,
                                  .pattern = routes->pattern,
                                  .handler = on_unreachable,
                                  .ctx = ctx.out };
        AD_ASSERT(ad_registry_route(r, &route, &info) == AD_OK);
    }
}

static void mount_all(struct ad_sim *sim)
{
    static const struct ad_sim_route *const tables[] = {
        ad_sim_workspace_routes, ad_sim_object_routes,  ad_sim_attribute_routes,
        ad_sim_option_routes,    ad_sim_record_routes,  ad_sim_page_routes,
        ad_sim_merge_routes,     ad_sim_search_routes,  ad_sim_history_routes,
        ad_sim_webhook_routes,   ad_sim_control_routes, ad_sim_member_routes,
        ad_sim_list_routes,      ad_sim_entry_routes,   ad_sim_note_routes,
        ad_sim_task_routes,      ad_sim_comment_routes, ad_sim_state_routes
    };
    struct ad_errinfo info = { 0 };
    struct ad_route all = { .methods = AD_HTTP_GET | AD_HTTP_POST | AD_HTTP_PUT | AD_HTTP_PATCH |
                                       AD_HTTP_DELETE | AD_HTTP_OPTIONS,
                            .pattern = "/**",
                            .handler = ad_sim_handle,
                            .ctx = sim,
                            .body_max = BODY_MAX };
    AD_ASSERT(ad_registry_new(&sim->routes) == AD_OK && ad_registry_new(&sim->front) == AD_OK);
    for (size_t i = 0; i < AD_LEN(tables); i++) {
        mount(sim->routes, tables[i]);
    }
    AD_ASSERT(ad_registry_route(sim->front, &all, &info) == AD_OK);
    AD_ASSERT(ad_registry_seal(sim->routes, &info) == AD_OK &&
              ad_registry_seal(sim->front, &info) == AD_OK);
}

void ad_sim_init(struct ad_sim *sim, struct ad_loop *loop, const struct ad_sim_opts *opts)
{
    memset(sim, 0, sizeof(*sim));
    sim->loop = loop;
    sim->timers = ad_loop_timers(loop);
    sim->clock = ad_loop_clock(loop);
    ad_buf_init(&sim->out, OUT_MAX);
    ad_list_init(&sim->delayed);
    ad_list_init(&sim->wires.list);
    sim->wires.timers = sim->timers;
    ad_rand_seed(&sim->rand, opts->seed ^ UINT64_C(0x65786563));
    ad_sim_store_init(&sim->store, sim->clock, opts->seed, opts->slug);
    sim->store.merge.old = opts->merge_old;
    ad_sim_seed_schema(&sim->store);
    ad_sim_seed_records(&sim->store, &opts->sizes);
    ad_sim_seed_activity(&sim->store, &opts->sizes);
    ad_sim_webhooks_open(&sim->webhooks, loop, &sim->store, opts->seed);
    sim->webhooks.rate_per_url = opts->rate_per_url;
    sim->webhooks.faults = &sim->faults;
    sim->webhooks.plain = opts->dialer;
    sim->store.on_event = ad_sim_webhooks_on_event;
    sim->store.on_event_ctx = &sim->webhooks;
    ad_sim_limits_init(&sim->limits, opts->limits);
    ad_sim_faults_init(&sim->faults, opts->seed);
    ad_sim_edits_init(&sim->edits, sim, opts->seed);
    ad_sim_keys_init(&sim->keys, opts->api_key);
    mount_all(sim);
}

void ad_sim_adopt(struct ad_sim *sim, struct ad_stream *s)
{
    if (sim->tls && ad_tls_server_wrap(sim->tls, s, &s)) {
        ad_stream_close(s, NULL);
        return;
    }
    ad_http_server_adopt(sim->server, ad_sim_wire_new(&sim->wires, s));
}

static void on_accept(void *ctx, struct ad_stream *s)
{
    ad_sim_adopt(ctx, s);
}

/* Without --tls-ca nothing is believed, and deliveries to https: targets fail. */
static enum ad_err open_tls(struct ad_sim *sim, const struct ad_sim_opts *opts,
                            struct ad_errinfo *info)
{
    const struct ad_tls_server_opts server = { .cert_file = opts->tls_cert,
                                               .key_file = opts->tls_key };
    const struct ad_tls_client_opts client = { .trust_file = opts->tls_ca };
    enum ad_err err = AD_OK;
    if (opts->tls_cert) {
        err = ad_tls_server_open(sim->loop, &server, &sim->tls, info);
    }
    if (!err && opts->tls_ca) {
        err = ad_tls_client_open(sim->loop, &client, &sim->trust, info);
        sim->webhooks.dialer = err ? NULL : ad_tls_client_dialer(sim->trust);
    }
    return err;
}

enum ad_err ad_sim_serve(struct ad_sim *sim, const struct ad_sim_opts *sim_opts,
                         struct ad_errinfo *info)
{
    struct ad_http_server_opts opts = { .name = "attio-sim",
                                        .registry = sim->front,
                                        .limits = ad_http_limits_default };
    opts.limits.arena_max = SIZE_MAX / 4;
    opts.limits.reply_ms = REPLY_MS;
    opts.limits.write_ms = 60000;
    enum ad_err err = ad_http_server_open(sim->loop, &opts, &sim->server);
    if (err) {
        return ad_fail(info, err, "no server");
    }
    return open_tls(sim, sim_opts, info);
}

enum ad_err ad_sim_listen(struct ad_sim *sim, const struct ad_sim_opts *opts,
                          struct ad_errinfo *info)
{
    char address[300];
    enum ad_err err = ad_sim_serve(sim, opts, info);
    err =
        err ? err : ad_listen(sim->loop, &opts->listen, 1024, on_accept, sim, &sim->listener, info);
    if (err) {
        return err;
    }
    ad_listener_address(sim->listener, address, sizeof(address));
    ad_log(AD_LOG_INFO, "listening", AD_KC("name", "attio-sim"), AD_KC("address", address));
    return AD_OK;
}

/* --- Closing --- */

static void part_closed(void *ctx)
{
    struct ad_sim *sim = ctx;
    if (--sim->closing_parts == 0) {
        sim->closed(sim->closed_ctx);
    }
}

static void on_drained(void *ctx)
{
    struct ad_sim *sim = ctx;
    ad_http_server_close(sim->server, part_closed, sim);
    ad_sim_webhooks_close(&sim->webhooks, part_closed, sim);
}

void ad_sim_close(struct ad_sim *sim, void (*done)(void *ctx), void *ctx)
{
    sim->closing = true;
    sim->closing_parts = 2;
    sim->closed = done;
    sim->closed_ctx = ctx;
    ad_sim_edits_stop(&sim->edits);
    if (sim->listener) {
        ad_listener_close(sim->listener);
    }
    AD_LIST_FOREACH_SAFE (it, &sim->delayed) {
        send(ad_container_of(it, struct pending, link));
    }
    ad_http_server_drain(sim->server, DRAIN_MS, on_drained, sim);
}

void ad_sim_fini(struct ad_sim *sim)
{
    ad_sim_limits_fini(&sim->limits);
    ad_sim_faults_clear(&sim->faults);
    ad_sim_trace_fini(&sim->trace);
    ad_sim_store_fini(&sim->store);
    ad_registry_free(sim->routes);
    ad_registry_free(sim->front);
    ad_buf_fini(&sim->out);
    ad_sim_keys_fini(&sim->keys);
    ad_tls_server_close(sim->tls);
    ad_tls_client_close(sim->trust);
}
