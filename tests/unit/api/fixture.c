#include "unit/api/fixture.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "support/heap.h"
#include "support/run.h"

struct double_service the_double;
struct got got;

static struct ad_api *api;
static struct ad_registry *routes[2];
static struct ad_metrics *metrics;
static struct ad_arena arena;
static struct ad_exchange exchange;
static struct ad_http_header headers[16];
static char text[8192]; /* the request's own bytes */

/* --- The service's double ----------------------------------------------------------------- */

static void keep(char *out, size_t cap, struct ad_str s)
{
    (void)snprintf(out, cap, "%.*s", AD_FMT(s));
}

static enum ad_err ask(const char *name, struct ad_errinfo *info, void (*run)(void *ctx), void *ctx)
{
    the_double.asked = name;
    if (the_double.refuse) {
        return ad_fail(info, the_double.refuse, "%s", the_double.message ? the_double.message : "");
    }
    ck_assert(the_double.run == NULL);
    the_double.run = run;
    the_double.ctx = ctx;
    return AD_OK;
}

void api_answer(void)
{
    void (*run)(void *ctx) = the_double.run;
    if (run) {
        the_double.run = NULL;
        run(the_double.ctx);
    }
}

static void end(void *ctx)
{
    struct ad_service_query *q = ctx;
    q->err = the_double.fail;
    if (q->err) {
        q->err = ad_fail(&q->info, q->err, "%s", the_double.message ? the_double.message : "");
    } else if (the_double.json) {
        ad_buf_put(q->out, ad_str_c(the_double.json));
    }
    q->cb(q);
}

static void end_events(void *ctx)
{
    struct ad_events_query *e = ctx;
    e->next_before = the_double.next_before;
    e->changed = the_double.changed;
    end(&e->q);
}

static enum ad_err events(const char *name, struct ad_events_query *e)
{
    the_double.events = *e;
    keep(the_double.state, sizeof(the_double.state), e->state);
    keep(the_double.type, sizeof(the_double.type), e->type);
    keep(the_double.subject, sizeof(the_double.subject), e->subject);
    keep(the_double.since, sizeof(the_double.since), e->since);
    return ask(name, &e->q.info, end_events, e);
}

enum ad_err ad_service_events_list(struct ad_service *s, struct ad_events_query *e)
{
    (void)s;
    return events("list", e);
}

enum ad_err ad_service_events_show(struct ad_service *s, struct ad_events_query *e)
{
    (void)s;
    return events("show", e);
}

enum ad_err ad_service_events_replay(struct ad_service *s, struct ad_events_query *e)
{
    (void)s;
    return events("replay", e);
}

enum ad_err ad_service_events_discard(struct ad_service *s, struct ad_events_query *e)
{
    (void)s;
    return events("discard", e);
}

enum ad_err ad_service_changes(struct ad_service *s, struct ad_changes_query *c)
{
    (void)s;
    keep(the_double.object, sizeof(the_double.object), c->object);
    the_double.after = c->after;
    the_double.limit = c->limit;
    c->next = the_double.next_before;
    return ask("changes", &c->q.info, end, &c->q);
}

enum ad_err ad_service_schema(struct ad_service *s, struct ad_service_query *q)
{
    (void)s;
    return ask("schema", &q->info, end, q);
}

enum ad_err ad_service_sync_list(struct ad_service *s, struct ad_service_query *q)
{
    (void)s;
    return ask("sync_list", &q->info, end, q);
}

enum ad_err ad_service_status(struct ad_service *s, struct ad_service_query *q)
{
    (void)s;
    return ask("status", &q->info, end, q);
}

enum ad_err ad_service_sync_start(struct ad_service *s, struct ad_str object, bool dry_run,
                                  int64_t *run_id, struct ad_errinfo *info)
{
    (void)s;
    the_double.asked = "sync_start";
    the_double.dry_run = dry_run;
    keep(the_double.object, sizeof(the_double.object), object);
    if (the_double.refuse) {
        return ad_fail(info, the_double.refuse, "%s", the_double.message ? the_double.message : "");
    }
    *run_id = 17;
    return AD_OK;
}

enum ad_err ad_service_sync_all(struct ad_service *s, bool dry_run, unsigned *runs,
                                struct ad_errinfo *info)
{
    (void)s;
    the_double.asked = "sync_all";
    the_double.dry_run = dry_run;
    if (the_double.refuse) {
        return ad_fail(info, the_double.refuse, "%s", the_double.message ? the_double.message : "");
    }
    *runs = 3;
    return AD_OK;
}

enum ad_err ad_service_backup_start(struct ad_service *s, struct ad_str path,
                                    struct ad_errinfo *info)
{
    (void)s;
    the_double.asked = "backup";
    keep(the_double.object, sizeof(the_double.object), path);
    return the_double.refuse ? ad_fail(info, the_double.refuse, "%s", the_double.message) : AD_OK;
}

enum ad_err ad_service_backup_status(struct ad_service *s, struct ad_buf *out)
{
    (void)s;
    ad_buf_put(out, AD_STR("{\"state\":\"running\"}"));
    return ad_buf_status(out);
}

enum ad_err ad_service_erase(struct ad_service *s, struct ad_erase_query *e)
{
    (void)s;
    keep(the_double.object, sizeof(the_double.object), e->object);
    keep(the_double.id, sizeof(the_double.id), e->record_id);
    the_double.replace = e->force;
    return ask("erase", &e->q.info, end, &e->q);
}

enum ad_err ad_service_restored(struct ad_service *s, struct ad_service_query *q)
{
    (void)s;
    return ask("restored", &q->info, end, q);
}

static enum ad_err webhooks(const char *name, struct ad_webhooks_query *w)
{
    keep(the_double.id, sizeof(the_double.id), w->id);
    the_double.replace = w->replace;
    return ask(name, &w->q.info, end, &w->q);
}

enum ad_err ad_service_webhooks_list(struct ad_service *s, struct ad_webhooks_query *w)
{
    (void)s;
    return webhooks("webhooks_list", w);
}

enum ad_err ad_service_webhooks_ensure(struct ad_service *s, struct ad_webhooks_query *w)
{
    (void)s;
    return webhooks("webhooks_ensure", w);
}

enum ad_err ad_service_webhooks_rotate(struct ad_service *s, struct ad_webhooks_query *w)
{
    (void)s;
    return webhooks("webhooks_rotate", w);
}

enum ad_err ad_service_webhooks_delete(struct ad_service *s, struct ad_webhooks_query *w)
{
    (void)s;
    return webhooks("webhooks_delete", w);
}

enum ad_err ad_service_audit_begin(struct ad_service *s, struct ad_audited *e)
{
    (void)s;
    keep(the_double.actor, sizeof(the_double.actor), e->actor);
    keep(the_double.action, sizeof(the_double.action), e->action);
    keep(the_double.target, sizeof(the_double.target), e->target);
    ck_assert(!the_double.asked && !the_double.begun);
    the_double.outcome[0] = '\0';
    the_double.begun = the_double.audit_refuse ? NULL : e;
    return the_double.audit_refuse;
}

void ad_service_audit_end(struct ad_service *s, const struct ad_audited *e, const char *outcome,
                          struct ad_str target)
{
    (void)s;
    ck_assert_int_eq(e->id, 41);
    ck_assert_uint_eq(got.n, 0); /* before the reply, which may be the end of it */
    keep(the_double.outcome, sizeof(the_double.outcome), ad_str_c(outcome));
    if (target.p) {
        keep(the_double.target, sizeof(the_double.target), target);
    }
}

static void begin_action(void)
{
    struct ad_audited *e = the_double.begun;
    if (e) {
        the_double.begun = NULL;
        e->id = 41;
        e->err = the_double.audit_fail;
        e->cb(e);
    }
}

static void end_audit(void *ctx)
{
    struct ad_audit_question *a = ctx;
    a->next_before = the_double.next_before;
    end(&a->q);
}

enum ad_err ad_service_audit_list(struct ad_service *s, struct ad_audit_question *a)
{
    (void)s;
    keep(the_double.actor, sizeof(the_double.actor), a->actor);
    keep(the_double.action, sizeof(the_double.action), a->action);
    the_double.events.limit = a->limit;
    the_double.events.before = a->before;
    return ask("audit", &a->q.info, end_audit, a);
}

bool ad_service_ready(const struct ad_service *s, const char **why)
{
    (void)s;
    *why = the_double.ready ? "ready" : "database unusable";
    return the_double.ready;
}

enum ad_health ad_service_health(struct ad_service *s, struct ad_buf *out)
{
    (void)s;
    ad_buf_put(out, AD_STR("{\"status\":\"x\"}"));
    return the_double.health;
}

static void end_ingest(void *ctx)
{
    struct ad_ingest *in = ctx;
    in->err = the_double.fail;
    in->accepted = the_double.accepted;
    in->duplicate = the_double.duplicate;
    keep(the_double.body, sizeof(the_double.body), in->body); /* still there */
    in->cb(in);
}

enum ad_err ad_ingest(struct ad_service *s, struct ad_ingest *in)
{
    (void)s;
    enum ad_err err = ask("ingest", &in->info, end_ingest, in);
    in->err = err;
    return err;
}

/* --- Requests ----------------------------------------------------------------------------- */

static void on_reply(struct ad_exchange *x, const struct ad_reply *reply)
{
    (void)x;
    got.n++;
    got.status = reply->status;
    keep(got.type, sizeof(got.type), ad_str_c(reply->content_type ? reply->content_type : ""));
    keep(got.authenticate, sizeof(got.authenticate),
         ad_http_header(reply->headers, reply->headers_n, "WWW-Authenticate"));
    keep(got.retry_after, sizeof(got.retry_after),
         ad_http_header(reply->headers, reply->headers_n, "Retry-After"));
    ck_assert_uint_lt(reply->body.n, sizeof(got.body));
    memcpy(got.body, reply->body.n ? reply->body.p : "", reply->body.n);
    got.body_n = reply->body.n;
    ad_arena_reset(&arena); /* whoever touches it afterwards is found by ASan */
}

static const struct ad_exchange_ops ops = { on_reply };

static size_t read_headers(struct ad_str lines)
{
    size_t n = 0;
    while (lines.p) {
        struct ad_str rest = ad_str_cut(&lines, '\n');
        if (rest.n) {
            struct ad_str name = ad_str_cut(&rest, ':');
            headers[n++] = (struct ad_http_header){ name, ad_str_trim(rest) };
        }
    }
    return n;
}

static void decode_params(void)
{
    for (size_t i = 0; i < AD_ROUTE_PARAMS_MAX; i++) {
        if (exchange.params[i].p) {
            ck_assert(ad_percent_decode(&arena, exchange.params[i], false, &exchange.params[i]));
        }
    }
}

static void request(unsigned which, const char *method, const char *target, const char *header_text,
                    const char *body)
{
    (void)snprintf(text, sizeof(text), "%s", header_text);
    got = (struct got){ .n = 0 };
    the_double.asked = NULL;
    struct ad_str path = ad_str_c(target);
    struct ad_str query = path;
    path = ad_str_cut(&query, '?');
    exchange = (struct ad_exchange){
        .method = ad_http_method_parse(ad_str_c(method)),
        .path = path,
        .query = query,
        .headers = headers,
        .headers_n = read_headers(ad_str_c(text)),
        .body = ad_arena_str(&arena, ad_str_c(body ? body : "")),
        .arena = &arena,
        .ops = &ops,
    };
    got.route =
        ad_registry_match(routes[which], exchange.method, path, exchange.params, &got.allow);
    const struct ad_route *route = got.route;
    if (!route) {
        ad_arena_reset(&arena);
        return;
    }
    decode_params();
    if (which == 1 && !ad_api_admit(api, route, &exchange)) {
        ck_assert_uint_eq(got.n, 1);
        return;
    }
    route->handler(route->ctx, &exchange);
    begin_action();
    got.route = route;
    if (!the_double.later) {
        api_answer();
        ck_assert_uint_eq(got.n, 1);
    }
}

void explain(unsigned status)
{
    struct ad_reply reply = { .status = status };
    got = (struct got){ .n = 0 };
    exchange = (struct ad_exchange){ .arena = &arena, .ops = &ops };
    ad_api_explain(api, &exchange, &reply);
    ad_reply(&exchange, &reply);
}

void public_request(const char *method, const char *target, const char *h, const char *body)
{
    request(0, method, target, h ? h : "Host: hooks\nContent-Type: application/json\n", body);
}

void internal_request(const char *method, const char *target, const char *h, const char *body)
{
    request(1, method, target, h ? h : "Host: 127.0.0.1:8081\nContent-Type: application/json\n",
            body);
}

struct ad_str got_body(void)
{
    return ad_str_n(got.body, got.body_n);
}

void assert_problem(unsigned status, const char *code, const char *part)
{
    struct ad_arena scratch;
    const struct ad_json *doc;
    struct ad_errinfo info;
    int64_t number = 0;
    ad_arena_init(&scratch, 1U << 20);
    ck_assert_msg(got.status == status, "%u: %.*s", got.status, AD_FMT(got_body()));
    ck_assert_str_eq(got.type, "application/problem+json");
    ck_assert_int_eq(ad_json_parse(&scratch, got_body(), NULL, &doc, &info), AD_OK);
    assert_str(ad_json_str(ad_json_get(doc, "code")), code);
    ck_assert(ad_json_i64(ad_json_get(doc, "status"), &number) && number == status);
    ck_assert_ptr_nonnull(ad_json_str(ad_json_get(doc, "title")).p);
    ck_assert_msg(ad_str_contains(ad_json_str(ad_json_get(doc, "detail")), ad_str_c(part)), "%.*s",
                  AD_FMT(got_body()));
    ad_arena_fini(&scratch);
}

/* --- Setup -------------------------------------------------------------------------------- */

struct ad_api_who the_caller;

static bool identify(void *ctx, struct ad_str token, struct ad_api_who *who)
{
    (void)ctx;
    if (ad_str_eq(token, AD_STR("nobody's")) || !the_caller.name) {
        return false;
    }
    *who = the_caller;
    return true;
}

static void api_close(void)
{
    ad_registry_free(routes[0]);
    ad_registry_free(routes[1]);
    ad_api_free(api);
}

void api_open(const struct ad_api_opts *opts)
{
    struct ad_errinfo info = { .code = AD_OK };
    struct ad_api_opts o = *opts;
    o.metrics = metrics;
    if (!o.admission.identify) {
        o.admission.identify = identify;
    }
    if (api) {
        api_close();
    }
    ck_assert_int_eq(ad_api_new(&o, &api), AD_OK);
    ck_assert_int_eq(ad_registry_new(&routes[0]), AD_OK);
    ck_assert_int_eq(ad_registry_new(&routes[1]), AD_OK);
    ck_assert_msg(ad_api_public_routes(api, routes[0], &info) == AD_OK, "%s", info.msg);
    ck_assert_msg(ad_api_internal_routes(api, routes[1], &info) == AD_OK, "%s", info.msg);
    ck_assert_msg(ad_registry_seal(routes[0], &info) == AD_OK, "%s", info.msg);
    ck_assert_msg(ad_registry_seal(routes[1], &info) == AD_OK, "%s", info.msg);
}

void api_setup(void)
{
    heap_install();
    the_double = (struct double_service){ .ready = true };
    the_caller = (struct ad_api_who){ "tester", AD_ROLE_OPERATE };
    ad_arena_init(&arena, 8U << 20);
    ck_assert_int_eq(ad_metrics_new(&metrics), AD_OK);
    api_open(&(struct ad_api_opts){
        .metrics = metrics,
        .webhook_body_max = 1U << 20,
        .webhooks = true,
        .internal_host = "attiod.internal",
        .version = "1.2.3",
    });
}

void api_teardown(void)
{
    api_close();
    api = NULL;
    ad_metrics_free(metrics);
    ad_arena_fini(&arena);
    ck_assert_uint_eq(heap_uninstall(), 0);
}
