/* The way to Attio, one step after the other, each on a connection of its own, and what Attio says
 * once it is reached. Nothing is tried twice: somebody wants to see what happens. */
#include "app/doctor.h"

#include "attio/base_url.h"
#include "attio/webhook.h"
#include "base/json.h"
#include "infra/crypto.h"
#include "infra/http_client.h"
#include "infra/tls.h"

#include <stdio.h>
#include <string.h>

#define ANSWER_MAX ((size_t)4 << 20)
#define ARENA_MAX ((size_t)64 << 20)
#define TURN_MS 1000
#define PAGE 100      /* of webhooks: Attio's largest */
#define PAGES_MAX 50  /* then we do not believe that it ends */
#define SKEW_MAX_S 30 /* a clock that is further off makes times and certificates wrong */

struct probe {
    struct ad_doctor *d;
    struct ad_base_url url;
    struct ad_tls_client *trust; /* NULL: plain */
    struct ad_http_client *http;
    struct ad_dial dial;
    struct ad_arena arena; /* of one call */
    struct ad_buf response;
    struct ad_http_call call;
    const struct ad_json *doc; /* of the last call, NULL: no JSON */
    char authorization[600];
    char scopes[2048]; /* " a:read b:read-write " */
    enum ad_err err;
    bool done;
};

static void wait_done(struct probe *p)
{
    while (!p->done) {
        ad_loop_turn(p->d->loop, TURN_MS);
    }
}

static void skip(struct probe *p, const char *layer, const char *why)
{
    ad_doctor_say(p->d, layer, AD_FINDING_SKIPPED, AD_EXIT_OK, "%s", why);
}

/* --- Connections ------------------------------------------------------------------------------ */

static void on_stream_closed(struct ad_stream *s)
{
    struct probe *p = s->data;
    p->done = true;
}

static void on_dialed(struct ad_dial *dial, enum ad_err err, struct ad_stream *s)
{
    struct probe *p = dial->data;
    p->err = err;
    p->done = !s;
    if (s) {
        s->data = p;
        ad_stream_close(s, on_stream_closed);
    }
}

static enum ad_err dial(struct probe *p, struct ad_dialer *dialer)
{
    struct ad_endpoint to = { .port = p->url.port };
    memcpy(to.host, p->url.host, sizeof(to.host));
    p->done = false;
    p->dial = (struct ad_dial){ .data = p };
    enum ad_err err = dialer->start(dialer, p->d->loop, &p->dial, &to,
                                    (unsigned)p->d->config->attio_connect_ms, on_dialed);
    if (err) {
        return ad_fail(&p->dial.info, err, "%s", ad_err_text(err));
    }
    wait_done(p);
    return p->err;
}

/* The time of the name is told apart from that of the connection. */
static bool reach(struct probe *p)
{
    struct ad_doctor *d = p->d;
    enum ad_err err = dial(p, &ad_dialer_tcp);
    uint64_t resolved_ms = p->dial.resolved_ms;
    uint64_t begun_ms = d->since_ms;
    if (err && !resolved_ms && err != AD_ERR_NETWORK) {
        ad_doctor_say(d, "dns", AD_FINDING_FAILED, AD_EXIT_UNREACHABLE, "%s", p->dial.info.msg);
        skip(p, "tcp", "needs the address");
        return false;
    }
    ad_doctor_say(d, "dns", AD_FINDING_OK, AD_EXIT_OK, "%s %s", p->url.host,
                  resolved_ms ? "has an address" : "is an address");
    d->since_ms = resolved_ms ? resolved_ms : begun_ms;
    d->checks[d->checks_n - 1].ms = d->since_ms - begun_ms;
    if (err) {
        ad_doctor_say(d, "tcp", AD_FINDING_FAILED, AD_EXIT_UNREACHABLE, "%s", p->dial.info.msg);
        return false;
    }
    ad_doctor_say(d, "tcp", AD_FINDING_OK, AD_EXIT_OK, "port %u takes connections", p->url.port);
    return true;
}

static bool shake_hands(struct probe *p)
{
    struct ad_doctor *d = p->d;
    const struct ad_tls_client_opts opts = { .trust_file = d->config->trust_file };
    struct ad_errinfo info = { .code = AD_OK };
    if (!p->url.tls) {
        skip(p, "tls", "ATTIO_BASE_URL is http:");
        return true;
    }
    if (ad_tls_client_open(d->loop, &opts, &p->trust, &info)) {
        ad_doctor_say(d, "tls", AD_FINDING_FAILED, AD_EXIT_CONFIG, "%s", info.msg);
        return false;
    }
    if (dial(p, ad_tls_client_dialer(p->trust))) {
        ad_doctor_say(d, "tls", AD_FINDING_FAILED, AD_EXIT_UNREACHABLE, "%s", p->dial.info.msg);
        return false;
    }
    ad_doctor_say(d, "tls", AD_FINDING_OK, AD_EXIT_OK,
                  "the certificate is good (time of connection and handshake)");
    return true;
}

/* --- Calls ------------------------------------------------------------------------------------ */

static void on_answer(struct ad_http_call *call)
{
    struct probe *p = call->data;
    p->done = true;
}

static bool open_http(struct probe *p)
{
    struct ad_http_client_opts opts = {
        .connections_max = 1,
        .host_header = p->url.origin,
        .connect_ms = (unsigned)p->d->config->attio_connect_ms,
        .response_max = ANSWER_MAX,
        .dialer = p->trust ? ad_tls_client_dialer(p->trust) : NULL,
    };
    opts.origin.port = p->url.port;
    memcpy(opts.origin.host, p->url.host, sizeof(opts.origin.host));
    return ad_http_client_open(p->d->loop, &opts, &p->http) == AD_OK;
}

/* GET, waited for: any answer at all is OK; p->doc is what it says. */
static enum ad_err get(struct probe *p, const char *path)
{
    char target[512];
    const struct ad_http_header headers[] = {
        { AD_STR("Authorization"), ad_str_c(p->authorization) },
        { AD_STR("Accept"), AD_STR("application/json") },
        { AD_STR("User-Agent"), AD_STR("attiod/" ATTIOD_VERSION) },
    };
    (void)snprintf(target, sizeof(target), "%s%s", p->url.prefix, path);
    ad_arena_reset(&p->arena);
    ad_buf_clear(&p->response);
    p->call = (struct ad_http_call){
        .method = "GET",
        .path = ad_str_c(target),
        .headers = headers,
        .headers_n = AD_LEN(headers),
        .timeout_ms = (unsigned)p->d->config->attio_timeout_ms,
        .arena = &p->arena,
        .response = &p->response,
        .cb = on_answer,
        .data = p,
    };
    p->doc = NULL;
    p->done = false;
    enum ad_err err = ad_http_call_start(p->http, &p->call);
    if (err) {
        return ad_fail(&p->call.info, err, "%s", ad_err_text(err));
    }
    wait_done(p);
    if (!p->call.err) {
        AD_IGNORE(ad_json_parse(&p->arena, ad_buf_str(&p->response), NULL, &p->doc, NULL),
                  "then doc is NULL");
    }
    return p->call.err;
}

/* None that is of use. */
static void no_answer(struct probe *p, const char *layer, const char *path)
{
    if (p->call.err) {
        ad_doctor_say(p->d, layer, AD_FINDING_FAILED, AD_EXIT_UNREACHABLE, "GET %s: %s", path,
                      p->call.info.msg);
    } else {
        ad_doctor_say(p->d, layer, AD_FINDING_FAILED, AD_EXIT_UNREACHABLE, "GET %s: status %u %s",
                      path, p->call.status, ad_http_reason(p->call.status));
    }
}

/* --- Who we are ------------------------------------------------------------------------------- */

static void refuse(struct probe *p, const char *why)
{
    ad_doctor_say(p->d, "token", AD_FINDING_FAILED, AD_EXIT_CREDENTIAL, "%s", why);
}

static bool judge_workspace(struct probe *p)
{
    const char *expected = p->d->config->workspace_id;
    struct ad_str id = ad_json_str(ad_json_get(p->doc, "workspace_id"));
    struct ad_str slug = ad_json_str(ad_json_get(p->doc, "workspace_slug"));
    if (expected && !ad_str_eq_nocase(id, ad_str_c(expected))) {
        refuse(p, "the API key belongs to another workspace than ATTIO_EXPECTED_WORKSPACE_ID");
        return false;
    }
    ad_doctor_say(p->d, "token", AD_FINDING_OK, AD_EXIT_OK, "workspace %.*s (%.*s)", AD_FMT(slug),
                  AD_FMT(id));
    return true;
}

static bool judge_token(struct probe *p)
{
    bool active = false;
    struct ad_str code = ad_json_str(ad_json_get(p->doc, "code"));
    if (p->call.status == 400 && ad_str_eq(code, AD_STR("missing_value"))) {
        refuse(p, "Attio does not take ATTIO_API_KEY for a token");
    } else if (p->call.status == 401 || p->call.status == 403) {
        refuse(p, "Attio refuses the API key");
    } else if (!ad_json_bool(ad_json_get(p->doc, "active"), &active)) {
        ad_doctor_say(p->d, "token", AD_FINDING_FAILED, AD_EXIT_UNREACHABLE,
                      "GET /v2/self: status %u, and no word about the API key", p->call.status);
    } else if (!active) {
        refuse(p, "the API key is not active: revoked, or of another Attio");
    } else {
        return judge_workspace(p);
    }
    return false;
}

static void judge_clock(struct probe *p, int64_t now_s)
{
    int64_t there_s;
    struct ad_str date =
        ad_http_header(p->call.response_headers, p->call.response_headers_n, "date");
    if (!date.p || !ad_http_date_parse(date, now_s, &there_s)) {
        skip(p, "clock", "the answer has no date");
        return;
    }
    int64_t ahead_s = now_s - there_s;
    bool well = ahead_s <= SKEW_MAX_S && ahead_s >= -SKEW_MAX_S;
    ad_doctor_say(p->d, "clock", well ? AD_FINDING_OK : AD_FINDING_WARNING, AD_EXIT_OK,
                  "%lld s %s of Attio's", (long long)(ahead_s < 0 ? -ahead_s : ahead_s),
                  ahead_s < 0 ? "behind" : "ahead");
}

/* False: nothing more can be learnt. */
static bool ask_self(struct probe *p)
{
    struct ad_doctor *d = p->d;
    int64_t before_ns = ad_wall_ns(ad_loop_clock(d->loop));
    if (get(p, "/v2/self") || p->call.status == 429 || p->call.status >= 500) {
        no_answer(p, "attio", "/v2/self");
        skip(p, "token", "needs an answer of Attio");
        return false;
    }
    int64_t between_ns = (ad_wall_ns(ad_loop_clock(d->loop)) - before_ns) / 2;
    ad_doctor_say(d, "attio", AD_FINDING_OK, AD_EXIT_OK, "answers GET /v2/self with %u",
                  p->call.status);
    judge_clock(p, (before_ns + between_ns) / AD_NS_PER_S);
    return judge_token(p);
}

/* --- What we may ------------------------------------------------------------------------------ */

/* What each call's description at Attio asks for. */
static const struct scope {
    const char *layer;
    const char *read, *write; /* either will do; read NULL: only the second */
    const char *without;      /* it, this is missing */
    bool vital;
} scopes[] = {
    { "scope object_configuration", "object_configuration:read", "object_configuration:read-write",
      "objects and their attributes, so the mirror", true },
    { "scope record_permission", "record_permission:read", "record_permission:read-write",
      "records, notes and tasks, so the mirror", true },
    { "scope list_configuration", "list_configuration:read", "list_configuration:read-write",
      "lists and their entries", false },
    { "scope list_entry", "list_entry:read", "list_entry:read-write", "entries of lists", false },
    { "scope note", "note:read", "note:read-write", "notes", false },
    { "scope task", "task:read", "task:read-write", "tasks", false },
    { "scope comment", "comment:read", "comment:read-write", "comments", false },
    { "scope user_management", "user_management:read", "user_management:read-write",
      "workspace members, and tasks", false },
};
static const struct scope webhook_scope = { "scope webhook", NULL, "webhook:read-write",
                                            "webhook of our own, made, watched and healed", false };

static bool has_scope(const struct probe *p, const char *scope)
{
    char word[64];
    (void)snprintf(word, sizeof(word), " %s ", scope ? scope : "-");
    return strstr(p->scopes, word) != NULL;
}

static bool judge_scope(struct probe *p, const struct scope *s)
{
    if (has_scope(p, s->read) || has_scope(p, s->write)) {
        ad_doctor_say(p->d, s->layer, AD_FINDING_OK, AD_EXIT_OK, "granted");
        return true;
    }
    ad_doctor_say(p->d, s->layer, s->vital ? AD_FINDING_FAILED : AD_FINDING_WARNING,
                  AD_EXIT_CREDENTIAL, "the API key lacks %s. Without it: no %s",
                  s->read ? s->read : s->write, s->without);
    return false;
}

static void judge_scopes(struct probe *p)
{
    struct ad_str granted = ad_json_str(ad_json_get(p->doc, "scope"));
    (void)snprintf(p->scopes, sizeof(p->scopes), " %.*s ", AD_FMT(granted));
    for (size_t i = 0; i < AD_LEN(scopes); i++) {
        AD_IGNORE(!judge_scope(p, &scopes[i]), "each is said for itself");
    }
}

/* --- Our webhook ------------------------------------------------------------------------------ */

static bool is_ours(struct ad_str target, struct ad_str public_url)
{
    struct ad_str path = AD_STR(AD_WEBHOOK_PATH);
    if (!ad_str_starts(target, public_url)) {
        return false;
    }
    struct ad_str rest = ad_str_n(target.p + public_url.n, target.n - public_url.n);
    return ad_str_starts(rest, path) && (rest.n == path.n || rest.p[path.n] == '/');
}

static void judge_webhook(struct probe *p, const struct ad_json *webhook)
{
    struct ad_str status = ad_json_str(ad_json_get(webhook, "status"));
    bool well = ad_str_eq(status, AD_STR("active"));
    bool degraded = ad_str_eq(status, AD_STR("degraded"));
    ad_doctor_say(p->d, "webhook", well ? AD_FINDING_OK : AD_FINDING_WARNING, AD_EXIT_OK, "%.*s%s",
                  AD_FMT(status),
                  well       ? ""
                  : degraded ? ": Attio gave up deliveries; serve syncs what may be missing"
                             : ": it gets nothing; serve makes another one");
}

/* True: one of ours was on this page. */
static bool find_webhook(struct probe *p)
{
    struct ad_str public_url = ad_str_c(p->d->config->public_url);
    AD_JSON_FOREACH (w, ad_json_get(p->doc, "data")) {
        if (is_ours(ad_json_str(ad_json_get(w, "target_url")), public_url)) {
            judge_webhook(p, w);
            return true;
        }
    }
    return false;
}

static void ask_webhooks(struct probe *p)
{
    char path[64];
    for (unsigned page = 0; page < PAGES_MAX; page++) {
        (void)snprintf(path, sizeof(path), "/v2/webhooks?limit=%d&offset=%u", PAGE, page * PAGE);
        if (get(p, path) || p->call.status != 200) {
            no_answer(p, "webhook", "/v2/webhooks");
            return;
        }
        const struct ad_json *data = ad_json_get(p->doc, "data");
        if (find_webhook(p)) {
            return;
        }
        if (!data || data->count < PAGE) {
            break;
        }
    }
    ad_doctor_say(p->d, "webhook", AD_FINDING_WARNING, AD_EXIT_OK,
                  "none under ATTIOD_PUBLIC_URL; serve makes it");
}

static void look_at_webhook(struct probe *p)
{
    if (!p->d->config->public_url) {
        skip(p, "webhook", "without ATTIOD_PUBLIC_URL there is none of our own");
    } else if (judge_scope(p, &webhook_scope)) {
        ask_webhooks(p);
    } else {
        skip(p, "webhook", "needs that scope");
    }
}

/* --- All of it -------------------------------------------------------------------------------- */

static void on_closed(void *ctx)
{
    struct probe *p = ctx;
    p->done = true;
}

static void look(struct probe *p)
{
    if (!reach(p) || !shake_hands(p)) {
        skip(p, "attio", "cannot be reached");
    } else if (!open_http(p)) {
        ad_doctor_say(p->d, "attio", AD_FINDING_FAILED, AD_EXIT_FAILED, "no memory");
    } else if (ask_self(p)) {
        judge_scopes(p);
        look_at_webhook(p);
    }
}

void ad_doctor_attio(struct ad_doctor *d)
{
    struct probe p = { .d = d };
    struct ad_errinfo info = { .code = AD_OK };
    if (!d->config->enabled) {
        skip(&p, "attio", "calls to Attio are switched off (ATTIO_ENABLED)");
        return;
    }
    if (ad_base_url_parse(ad_str_c(d->config->base_url), true, &p.url, &info)) {
        ad_doctor_say(d, "dns", AD_FINDING_FAILED, AD_EXIT_CONFIG, "%s", info.msg);
        return;
    }
    (void)snprintf(p.authorization, sizeof(p.authorization), "Bearer %s", d->config->api_key);
    ad_arena_init(&p.arena, ARENA_MAX);
    ad_buf_init(&p.response, ANSWER_MAX);
    look(&p);
    if (p.http) {
        p.done = false;
        ad_http_client_close(p.http, on_closed, &p);
        wait_done(&p);
    }
    ad_tls_client_close(p.trust);
    ad_wipe(p.authorization, sizeof(p.authorization));
    ad_arena_fini(&p.arena);
    ad_buf_fini(&p.response);
}
