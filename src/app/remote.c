#include "app/remote.h"

#include "attio/base_url.h"
#include "base/mem.h"
#include "infra/http_client.h"
#include "infra/loop.h"
#include "infra/tls.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define RESPONSE_MAX ((size_t)16 << 20)
#define ARENA_MAX ((size_t)256 << 20)
#define TIMEOUT_MS 70000 /* longer than the server gives itself */

struct ad_remote {
    struct ad_loop *loop;
    struct ad_http_client *client;
    struct ad_tls_client *trust;
    struct ad_base_url url;
    char shown[320];         /* "http://127.0.0.1:8081" */
    char authorization[600]; /* "" without a token */
    char trust_file[512];    /* "" for the usual one */
    bool is_pin;             /* it is the certificate of the server on this machine */
    struct ad_arena arena;   /* of one call */
    struct ad_buf response;
    struct ad_timer timer;
    bool done;
    /* without a server */
    const struct ad_cli *cli;
    enum ad_need need;
    bool named; /* the server was, so it is meant */
    struct ad_offline *offline;
    bool absent;
    char why[320]; /* AD_NEED_SERVER: the last failure */
};

static void complain(struct ad_remote *r, const char *fmt, ...) AD_PRINTF(2, 3);

static void complain(struct ad_remote *r, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(r->why, sizeof(r->why), fmt, ap);
    va_end(ap);
    if (r->need != AD_NEED_SERVER) {
        ad_cli_complain("%s", r->why);
    }
}

/* --- Opening ------------------------------------------------------------------------------ */

/* An unspecified address is one to listen on; to connect to it means this machine. Its certificate
 * is made out to a public name, not to this address: known by its file, it needs no name. */
static void write_default_url(struct ad_remote *r, const struct ad_config *c)
{
    const char *host = c->internal_at.host;
    bool any = !*host || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
    bool v6 = !any && strchr(host, ':');
    (void)snprintf(r->shown, sizeof(r->shown), "%s://%s%s%s:%u", c->tls_cert ? "https" : "http",
                   v6 ? "[" : "", any ? "127.0.0.1" : host, v6 ? "]" : "", c->internal_at.port);
    if (c->tls_cert) {
        (void)snprintf(r->trust_file, sizeof(r->trust_file), "%s", c->tls_cert);
        r->is_pin = true;
    }
}

/* --url says where the server is: then no configuration has to be right, or even there. */
static int find_server(const struct ad_cli *cli, struct ad_remote *r, struct ad_config *c)
{
    for (unsigned i = 0; i < cli->flags_n; i++) {
        if (strcmp(cli->flags[i].flag, "--url") == 0) {
            (void)snprintf(r->shown, sizeof(r->shown), "%s", cli->flags[i].value);
        }
    }
    int code = ad_cli_config_quiet(cli, c);
    if (c->client_token) {
        (void)snprintf(r->authorization, sizeof(r->authorization), "Bearer %s", c->client_token);
    }
    if (c->trust_file) {
        (void)snprintf(r->trust_file, sizeof(r->trust_file), "%s", c->trust_file);
    }
    r->named = *r->shown || c->client_url;
    if (*r->shown) {
        return AD_EXIT_OK;
    }
    if (c->client_url) {
        (void)snprintf(r->shown, sizeof(r->shown), "%s", c->client_url);
        return AD_EXIT_OK;
    }
    if (code) {
        ad_cli_show_errors(c);
        return code;
    }
    write_default_url(r, c);
    return AD_EXIT_OK;
}

static int parse_server(struct ad_remote *r)
{
    struct ad_errinfo info;
    if (ad_base_url_parse(ad_str_c(r->shown), true, &r->url, &info)) {
        ad_cli_complain("%s is no URL of a server: http://host:port", r->shown);
        return AD_EXIT_USAGE;
    }
    return AD_EXIT_OK;
}

static int open_trust(struct ad_remote *r, struct ad_http_client_opts *opts)
{
    const char *file = *r->trust_file ? r->trust_file : NULL;
    const struct ad_tls_client_opts trust = { .trust_file = r->is_pin ? NULL : file,
                                              .pin_file = r->is_pin ? file : NULL };
    struct ad_errinfo info;
    if (ad_tls_client_open(r->loop, &trust, &r->trust, &info)) {
        ad_cli_complain("%s", info.msg);
        return AD_EXIT_CONFIG;
    }
    opts->dialer = ad_tls_client_dialer(r->trust);
    return AD_EXIT_OK;
}

static int connect_to(struct ad_remote *r)
{
    struct ad_http_client_opts opts = {
        .connections_max = 1,
        .host_header = r->url.origin,
        .response_max = RESPONSE_MAX,
    };
    opts.origin.port = r->url.port;
    memcpy(opts.origin.host, r->url.host, sizeof(opts.origin.host));
    if (ad_loop_open(&r->loop)) {
        ad_cli_complain("cannot start the event loop");
        return AD_EXIT_FAILED;
    }
    int code = r->url.tls ? open_trust(r, &opts) : AD_EXIT_OK;
    if (!code && ad_http_client_open(r->loop, &opts, &r->client)) {
        ad_cli_complain("no memory");
        code = AD_EXIT_FAILED;
    }
    return code;
}

int ad_remote_open(const struct ad_cli *cli, enum ad_need need, struct ad_remote **out)
{
    struct ad_config c;
    struct ad_remote *r = ad_zalloc(sizeof(*r));
    if (!r) {
        ad_cli_complain("no memory");
        return AD_EXIT_FAILED;
    }
    r->cli = cli;
    r->need = need;
    ad_arena_init(&r->arena, ARENA_MAX);
    ad_buf_init(&r->response, RESPONSE_MAX);
    int code = find_server(cli, r, &c);
    ad_config_fini(&c);
    code = code ? code : parse_server(r);
    code = code ? code : connect_to(r);
    if (code) {
        ad_remote_close(r);
        return code;
    }
    *out = r;
    return AD_EXIT_OK;
}

static void on_closed(void *ctx)
{
    struct ad_remote *r = ctx;
    r->done = true;
}

static void wait_done(struct ad_remote *r)
{
    while (!r->done) {
        ad_loop_turn(r->loop, 1000);
    }
}

void ad_remote_close(struct ad_remote *r)
{
    if (r->offline) {
        ad_offline_close(r->offline);
    }
    if (r->client) {
        r->done = false;
        ad_http_client_close(r->client, on_closed, r);
        wait_done(r);
    }
    ad_tls_client_close(r->trust);
    if (r->loop) {
        AD_IGNORE(ad_loop_close(r->loop), "the command ends here anyway");
    }
    ad_arena_fini(&r->arena);
    ad_buf_fini(&r->response);
    ad_free(r);
}

/* --- One call ----------------------------------------------------------------------------- */

static void on_answer(struct ad_http_call *call)
{
    struct ad_remote *r = call->data;
    r->done = true;
}

/* "store_busy" back to its number. */
static enum ad_err code_of(struct ad_str code)
{
    static const enum ad_err all[] = {
#define CODE(name, text, http, retryable) AD_ERR_##name,
        AD_ERR_LIST(CODE)
#undef CODE
    };
    for (size_t i = 0; i < AD_LEN(all); i++) {
        if (ad_str_eq_nocase(ad_str_c(ad_err_name(all[i])), code)) {
            return all[i];
        }
    }
    return AD_ERR_INTERNAL;
}

int ad_remote_exit(struct ad_str code)
{
    return ad_cli_exit(code_of(code));
}

static int complain_status(struct ad_remote *r, const struct ad_remote_answer *a)
{
    struct ad_str code = ad_json_str(ad_json_get(a->doc, "code"));
    struct ad_str detail = ad_json_str(ad_json_get(a->doc, "detail"));
    if (!code.p || !detail.p) { /* not our words */
        complain(r, "the server answered %u %s", a->status, ad_http_reason(a->status));
        return a->status == 401 || a->status == 403 ? AD_EXIT_CREDENTIAL : AD_EXIT_FAILED;
    }
    complain(r, "%.*s", AD_FMT(detail));
    /* What only --replace can solve is a matter of configuration. */
    return ad_str_contains(detail, AD_STR("--replace")) ? AD_EXIT_CONFIG
                                                        : ad_cli_exit(code_of(code));
}

static int read_answer(struct ad_remote *r, unsigned status, struct ad_remote_answer *out)
{
    struct ad_errinfo info;
    *out = (struct ad_remote_answer){ .status = status, .text = ad_buf_str(&r->response) };
    if (out->text.n) {
        enum ad_err err = ad_json_parse(&r->arena, out->text, NULL, &out->doc, &info);
        if (err && status < 300) {
            complain(r, "what answers at %s is no attiod", r->shown);
            return AD_EXIT_FAILED;
        }
        out->data = ad_json_get(out->doc, "data");
    }
    return status < 300 ? AD_EXIT_OK : complain_status(r, out);
}

static int complain_call(struct ad_remote *r, const struct ad_http_call *call)
{
    if (call->sent || call->err == AD_ERR_TLS) {
        complain(r, "%s: %s", r->shown, call->info.msg);
    } else {
        complain(r, "no server answers at %s; start attiod serve", r->shown);
    }
    return AD_EXIT_FAILED;
}

static int call_offline(struct ad_remote *r, const char *method, const char *path,
                        struct ad_str body, struct ad_remote_answer *out)
{
    unsigned status = ad_offline_call(r->offline, method, path, body, &r->response);
    if (status == 0) {
        complain(r, "no memory");
        return AD_EXIT_FAILED;
    }
    return read_answer(r, status, out);
}

/* Nothing listens: whoever named no server gets along without. */
static bool may_do_without(const struct ad_remote *r)
{
    return r->need != AD_NEED_SERVER && r->absent && !r->named;
}

static int call_without(struct ad_remote *r, const char *method, const char *path,
                        struct ad_str body, struct ad_remote_answer *out)
{
    int code = ad_offline_open(r->cli, r->loop, r->need, &r->offline);
    return code ? code : call_offline(r, method, path, body, out);
}

int ad_remote_call(struct ad_remote *r, const char *method, const char *path, struct ad_str body,
                   struct ad_remote_answer *out)
{
    struct ad_http_header headers[3] = {
        { AD_STR("Accept"), AD_STR("application/json") },
        { AD_STR("Content-Type"), AD_STR("application/json") },
        { AD_STR("Authorization"), ad_str_c(r->authorization) },
    };
    ad_arena_reset(&r->arena);
    ad_buf_clear(&r->response);
    if (r->offline) {
        return call_offline(r, method, path, body, out);
    }
    struct ad_http_call call = {
        .method = method,
        .path = ad_str_c(path),
        .headers = headers,
        .headers_n = *r->authorization ? 3 : 2,
        .body = body,
        .timeout_ms = TIMEOUT_MS,
        .arena = &r->arena,
        .response = &r->response,
        .cb = on_answer,
        .data = r,
    };
    r->done = false;
    if (ad_http_call_start(r->client, &call)) {
        complain(r, "no memory");
        return AD_EXIT_FAILED;
    }
    wait_done(r);
    r->absent = call.err == AD_ERR_NETWORK && !call.sent;
    if (call.err && may_do_without(r)) {
        return call_without(r, method, path, body, out);
    }
    return call.err ? complain_call(r, &call) : read_answer(r, call.status, out);
}

bool ad_remote_is_absent(const struct ad_remote *r)
{
    return r->absent && !r->named;
}

const char *ad_remote_why(const struct ad_remote *r)
{
    return r->why;
}

bool ad_remote_is_offline(const struct ad_remote *r)
{
    return r->offline != NULL;
}

/* --- Time --------------------------------------------------------------------------------- */

static void on_time(struct ad_timer *t)
{
    ad_container_of(t, struct ad_remote, timer)->done = true;
}

void ad_remote_wait(struct ad_remote *r, unsigned ms)
{
    r->done = false;
    ad_timer_start(ad_loop_timers(r->loop), &r->timer, ms, on_time);
    wait_done(r);
}

uint64_t ad_remote_now_ms(const struct ad_remote *r)
{
    return ad_mono_ms(ad_loop_clock(r->loop));
}
