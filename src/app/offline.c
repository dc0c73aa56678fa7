#include "app/offline.h"

#include "app/app.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/registry.h"
#include "infra/crypto.h"

#include <stdio.h>
#include <string.h>

#define ARENA_MAX ((size_t)16 << 20)
#define TURN_MS 1000

struct ad_offline {
    struct ad_loop *loop;
    struct ad_config config;
    struct ad_app *app;
    bool closed;
};

struct call {
    struct ad_exchange x;
    struct ad_arena arena;
    struct ad_buf *out;
    unsigned status;
    bool done;
};

/* --- Opening ------------------------------------------------------------------------------ */

/* Warnings and worse; stdout is for answers. */
static void to_stderr(void *ctx, enum ad_log_level level, struct ad_str line)
{
    (void)ctx;
    (void)level;
    (void)fwrite(line.p, 1, line.n, stderr);
}

static int configure(const struct ad_cli *cli, enum ad_need need, struct ad_config *c)
{
    int code = ad_cli_config(cli, false, c);
    if (code) {
        return code;
    }
    if (need == AD_NEED_DATABASE) {
        c->enabled = false;
    } else if (!c->api_key) {
        ad_cli_complain("no server runs here, and without one ATTIO_API_KEY is required");
        return AD_EXIT_CONFIG;
    }
    return AD_EXIT_OK;
}

static int complain_open(const struct ad_app_failure *f)
{
    if (f->info.code == AD_ERR_BUSY) {
        ad_cli_complain("a server has this database open, but does not answer where it is asked "
                        "(ATTIOD_URL, ATTIOD_INTERNAL_LISTEN): %s",
                        f->info.msg);
    } else {
        ad_cli_complain("%s: %s", f->stage, f->info.msg);
    }
    return (int)f->exit;
}

static int open_app(struct ad_offline *o, enum ad_need need)
{
    struct ad_app_opts opts = {
        .loop = o->loop,
        .config = &o->config,
        .offline = true,
        .attio = need == AD_NEED_ATTIO,
    };
    struct ad_app_failure failure;
    if (ad_random_bytes(&opts.seed, sizeof(opts.seed))) {
        ad_cli_complain("no random numbers");
        return AD_EXIT_FAILED;
    }
    return ad_app_open(&opts, &o->app, &failure) ? complain_open(&failure) : AD_EXIT_OK;
}

/* One try of each step, and no more: somebody is waiting. */
static int come_up(struct ad_offline *o)
{
    enum ad_err err = AD_OK;
    const char *detail;
    while (!ad_app_is_up(o->app, &err, &detail)) {
        if (err) {
            ad_cli_complain("%s", detail);
            return ad_cli_exit(err);
        }
        ad_loop_turn(o->loop, TURN_MS);
    }
    return AD_EXIT_OK;
}

int ad_offline_open(const struct ad_cli *cli, struct ad_loop *loop, enum ad_need need,
                    struct ad_offline **out)
{
    struct ad_offline *o = ad_zalloc(sizeof(*o));
    if (!o) {
        ad_cli_complain("no memory");
        return AD_EXIT_FAILED;
    }
    o->loop = loop;
    ad_log_set_level(AD_LOG_WARN);
    ad_log_install(to_stderr, NULL, ad_loop_clock(loop), AD_LOG_TEXT);
    int code = configure(cli, need, &o->config);
    code = code ? code : open_app(o, need);
    code = code || need == AD_NEED_DATABASE ? code : come_up(o);
    if (code) {
        ad_offline_close(o);
        return code;
    }
    *out = o;
    return AD_EXIT_OK;
}

static void on_closed(void *ctx)
{
    struct ad_offline *o = ctx;
    o->closed = true;
}

void ad_offline_close(struct ad_offline *o)
{
    if (o->app) {
        ad_app_close(o->app, on_closed, o);
        while (!o->closed) {
            ad_loop_turn(o->loop, TURN_MS);
        }
    }
    ad_config_fini(&o->config);
    ad_log_install(NULL, NULL, NULL, AD_LOG_JSON);
    ad_log_forget_all();
    ad_free(o);
}

/* --- One call ----------------------------------------------------------------------------- */

static void on_reply(struct ad_exchange *x, const struct ad_reply *reply)
{
    struct call *c = ad_container_of(x, struct call, x);
    c->status = reply->status;
    ad_buf_put(c->out, reply->body.p ? reply->body : AD_STR(""));
    c->done = true;
}

static bool decode_params(struct call *c)
{
    for (size_t i = 0; i < AD_ROUTE_PARAMS_MAX; i++) {
        struct ad_str *param = &c->x.params[i];
        if (param->p && !ad_percent_decode(&c->arena, *param, false, param)) {
            return false;
        }
    }
    return true;
}

unsigned ad_offline_call(struct ad_offline *o, const char *method, const char *path,
                         struct ad_str body, struct ad_buf *out)
{
    static const struct ad_exchange_ops ops = { .reply = on_reply };
    static const struct ad_http_header json = { { "Content-Type", 12 },
                                                { "application/json", 16 } };
    struct call c = { .out = out };
    struct ad_str rest = ad_str_c(path);
    unsigned allow;
    ad_arena_init(&c.arena, ARENA_MAX);
    c.x = (struct ad_exchange){
        .method = ad_http_method_parse(ad_str_c(method)),
        .path = ad_str_cut(&rest, '?'),
        .query = rest,
        .headers = &json,
        .headers_n = 1,
        .body = body.p ? body : AD_STR(""),
        .peer = AD_STR("command"),
        .actor = AD_STR("command"), /* who may open the database may do everything */
        .role = AD_ROLE_OPERATE,
        .received_ms = ad_mono_ms(ad_loop_clock(o->loop)),
        .arena = &c.arena,
        .ops = &ops,
    };
    const struct ad_route *route =
        ad_registry_match(ad_app_routes(o->app), c.x.method, c.x.path, c.x.params, &allow);
    if (!route || !decode_params(&c)) {
        c.status = route ? 400 : 404;
        c.done = true;
    } else {
        route->handler(route->ctx, &c.x);
    }
    while (!c.done) {
        ad_loop_turn(o->loop, TURN_MS);
    }
    ad_arena_fini(&c.arena);
    return ad_buf_status(out) ? 0 : c.status;
}
