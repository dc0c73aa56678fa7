/* The graph's upper end: who may ask, the routes, the two servers and their listeners. */
#include "app/app_private.h"

#include "app/proxies.h"

/* A webhook is answered within 4 s: the store gives up on a locked database after 3, and what
 * even that does not bound (a disk that hangs) is answered at this. */
#define PUBLIC_REPLY_MS 3800
/* An operator's request may wait for several calls to Attio. */
#define INTERNAL_REPLY_MS 60000

static struct ad_str client_of(void *ctx, const struct ad_exchange *x)
{
    const struct ad_app *a = ctx;
    return ad_client_of(a->c->trusted_proxies, x);
}

enum ad_err ad__app_open_api(struct ad_app *a, struct ad_errinfo *info)
{
    (void)info;
    enum ad_err err = ad_tokens_new(a->c->access, &a->tokens);
    if (err) {
        return err;
    }
    const struct ad_api_opts opts = {
        .service = a->service,
        .metrics = a->metrics,
        .clock = a->clock,
        .webhook_body_max = (size_t)a->c->body_max,
        .webhooks = !a->c->no_webhooks,
        .internal_host = a->c->internal_at.host,
        .admission = { ad_tokens_identify, a->tokens, a->c->allowed_hosts },
        .client = client_of,
        .client_ctx = a,
        .version = ATTIOD_VERSION,
        .refresh = ad__app_refresh,
        .refresh_ctx = a,
    };
    err = ad_api_new(&opts, &a->api);
    if (err) {
        ad_tokens_free(a->tokens);
    }
    return err;
}

bool ad__app_close_api(struct ad_app *a)
{
    ad_api_free(a->api);
    ad_tokens_free(a->tokens);
    return true;
}

enum ad_err ad__app_open_routes(struct ad_app *a, struct ad_errinfo *info)
{
    enum ad_err err = ad_registry_new(&a->public_routes);
    err = err ? err : ad_registry_new(&a->internal_routes);
    err = err ? err : ad_api_public_routes(a->api, a->public_routes, info);
    err = err ? err : ad_api_internal_routes(a->api, a->internal_routes, info);
    err = err ? err : ad_registry_seal(a->public_routes, info);
    err = err ? err : ad_registry_seal(a->internal_routes, info);
    if (err) {
        ad_registry_free(a->public_routes);
        ad_registry_free(a->internal_routes);
    }
    return err;
}

bool ad__app_close_routes(struct ad_app *a)
{
    ad_registry_free(a->public_routes);
    ad_registry_free(a->internal_routes);
    return true;
}

static struct ad_http_limits limits(const struct ad_config *c, unsigned reply_ms)
{
    struct ad_http_limits l = ad_http_limits_default;
    l.target_max = (size_t)c->target_max;
    l.headers_max = (size_t)c->headers_max;
    l.headers_n_max = (unsigned)c->headers_count_max;
    l.header_ms = (unsigned)c->header_ms;
    l.body_ms = (unsigned)c->body_ms;
    l.keep_alive_ms = (unsigned)c->keep_alive_ms;
    l.write_ms = (unsigned)c->write_ms;
    l.reply_ms = reply_ms;
    l.late_status = 503;
    l.connections_max = (unsigned)c->connections_max;
    l.arena_max += 4 * (size_t)c->body_max; /* a body's document and rows */
    return l;
}

enum ad_err ad__app_open_public(struct ad_app *a, struct ad_errinfo *info)
{
    (void)info;
    const struct ad_http_server_opts opts = {
        .name = "public",
        .registry = a->public_routes,
        .limits = limits(a->c, PUBLIC_REPLY_MS),
        .metrics = a->metrics,
        .tls = a->tls,
    };
    return a->offline ? AD_OK : ad_http_server_open(a->loop, &opts, &a->public_server);
}

bool ad__app_close_public(struct ad_app *a)
{
    if (!a->public_server) {
        return true; /* went together with the other one; offline there is none */
    }
    a->pending = 1;
    ad_http_server_close(a->public_server, ad__app_part_closed, a);
    return false;
}

enum ad_err ad__app_open_internal(struct ad_app *a, struct ad_errinfo *info)
{
    (void)info;
    const struct ad_http_server_opts opts = {
        .name = "internal",
        .registry = a->internal_routes,
        .limits = limits(a->c, INTERNAL_REPLY_MS),
        .metrics = a->metrics,
        .tls = a->tls,
        .admit = ad_api_admit,
        .explain = ad_api_explain,
        .admit_ctx = a->api,
    };
    return a->offline ? AD_OK : ad_http_server_open(a->loop, &opts, &a->internal_server);
}

/* Both servers and the service go together: a reply that waits for Attio is owed until the service
 * cancels it, one that waits for SQL until the store answered, which is closed later. */
bool ad__app_close_internal(struct ad_app *a)
{
    if (!a->internal_server) {
        return true;
    }
    a->pending = 3;
    ad_http_server_close(a->internal_server, ad__app_part_closed, a);
    ad_http_server_close(a->public_server, ad__app_part_closed, a);
    a->public_server = NULL;
    ad_service_close(a->service, ad__app_service_closed, a);
    return false;
}

enum ad_err ad__app_open_listeners(struct ad_app *a, struct ad_errinfo *info)
{
    if (a->offline || a->simulated) {
        return AD_OK;
    }
    enum ad_err err = ad_http_server_listen(a->public_server, &a->c->public_at, a->public_address,
                                            sizeof(a->public_address), info);
    return err ? err
               : ad_http_server_listen(a->internal_server, &a->c->internal_at, a->internal_address,
                                       sizeof(a->internal_address), info);
}

enum ad_err ad__app_open_work(struct ad_app *a, struct ad_errinfo *info)
{
    (void)info;
    if (!a->offline || a->attio) {
        ad_service_start(a->service);
    }
    return AD_OK;
}

void ad_app_adopt(struct ad_app *a, struct ad_stream *stream)
{
    ad_http_server_adopt(a->public_server, stream);
}
