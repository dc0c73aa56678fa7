#include "attio/account.h"

#include "base/mem.h"

#include "account_private.h"
#include "client_private.h"

static const struct ad_sql meta_read_sql = {
    .sqlite = "SELECT key, value FROM attiod_meta"
              " WHERE key IN ('workspace_id', 'workspace_slug', 'webhook_creating')",
};
static const struct ad_sql meta_write_sql = {
    .sqlite = "INSERT INTO attiod_meta (key, value) VALUES ($1, $2)"
              " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
};
static const struct ad_sql webhooks_read_sql = {
    .sqlite = "SELECT webhook_id, secret, retired_at FROM attiod_webhook ORDER BY created_at DESC",
};

#define BODY_MAX ((size_t)64 << 10)
#define PATH_BYTES_MAX ((size_t)256)
#define ARENA_MAX ((size_t)32 << 20) /* 100 webhooks of 27 subscriptions are 1 MiB */

bool ad__account_copy(char *out, size_t cap, struct ad_str s)
{
    if (s.n >= cap || memchr(s.p ? s.p : "", '\0', s.n)) {
        return false;
    }
    memcpy(out, s.p ? s.p : "", s.n);
    out[s.n] = '\0';
    return true;
}

/* --- Steps --- */

enum ad_err ad__account_begin(struct ad_account *a, struct ad_account_op *op,
                              struct ad_account_impl **out)
{
    struct ad_account_impl *impl = ad_zalloc(sizeof(*impl));
    if (!impl) {
        return AD_ERR_NOMEM;
    }
    impl->account = a;
    impl->op = op;
    ad_buf_init(&impl->path, PATH_BYTES_MAX);
    ad_buf_init(&impl->body, BODY_MAX);
    ad_arena_init(&impl->arena, ARENA_MAX);
    ad_arena_init(&impl->keep, ARENA_MAX);
    ad_list_init(&impl->listed);
    ad_list_init(&impl->link);
    op->err = AD_OK;
    op->info = (struct ad_errinfo){ .code = AD_OK };
    op->created = false;
    op->found = op->status = AD_WEBHOOK_UNCHECKED;
    op->impl = impl;
    a->open += op != &a->check;
    *out = impl;
    return AD_OK;
}

static void impl_free(struct ad_account_impl *impl)
{
    ad_buf_fini(&impl->path);
    ad_buf_fini(&impl->body);
    ad_arena_fini(&impl->arena);
    ad_arena_fini(&impl->keep);
    ad__known_free(impl->fresh);
    ad_free(impl);
}

enum ad_err ad__account_drop(struct ad_account_impl *impl, enum ad_err err)
{
    struct ad_account *a = impl->account;
    impl->op->impl = NULL;
    a->open -= impl->op != &a->check;
    a->changing = a->changing && !impl->turn;
    impl_free(impl);
    return err;
}

/* --- One change after the other --- */

enum ad_err ad__account_change(struct ad_account_impl *impl,
                               enum ad_err (*start)(struct ad_account_impl *impl))
{
    struct ad_account *a = impl->account;
    impl->start = start;
    if (a->changing) {
        ad_list_push(&a->waiting, &impl->link);
        return AD_OK;
    }
    a->changing = impl->turn = true;
    return start(impl);
}

static void on_turn(struct ad_timer *timer)
{
    struct ad_account_impl *impl = ad_container_of(timer, struct ad_account_impl, timer);
    ad__account_or_finish(impl, impl->start(impl));
}

/* The next in line gets the turn before anybody is called back: a callback may ask for more, or
 * close the account when nobody is in line. */
static struct ad_account_impl *pass_turn(struct ad_account_impl *impl)
{
    struct ad_account *a = impl->account;
    struct ad_list *link = impl->turn ? ad_list_pop(&a->waiting) : NULL;
    if (!link) {
        return NULL;
    }
    struct ad_account_impl *next = ad_container_of(link, struct ad_account_impl, link);
    next->turn = true;
    impl->turn = false;
    return next;
}

void ad__account_finish(struct ad_account_impl *impl)
{
    struct ad_account_op *op = impl->op;
    struct ad_account_impl *next = pass_turn(impl);
    (void)ad__account_drop(impl, AD_OK);
    if (next) {
        ad_timer_start(next->account->client->opts.timers, &next->timer, 0, on_turn);
    }
    op->cb(op);
}

void ad__account_or_finish(struct ad_account_impl *impl, enum ad_err err)
{
    if (err) {
        impl->op->err = ad_fail(&impl->op->info, err, "%s", ad_err_text(err));
        ad__account_finish(impl);
    }
}

/* An answer that is no JSON object is garbage, and asked for again where that is safe. The document
 * is kept: the step looks at it. */
static enum ad_err on_check(struct ad_call *call)
{
    struct ad_account_impl *impl = ad_container_of(call, struct ad_account_impl, call);
    ad_arena_reset(&impl->arena);
    impl->doc = NULL;
    enum ad_err err = ad_json_parse(&impl->arena, call->response, NULL, &impl->doc, NULL);
    if (err) {
        return err;
    }
    return ad_json_is(impl->doc, AD_JSON_OBJECT) ? AD_OK : AD_ERR_PARSE;
}

static void on_call(struct ad_call *call)
{
    struct ad_account_impl *impl = ad_container_of(call, struct ad_account_impl, call);
    impl->then(impl);
}

void ad__account_request(struct ad_account_impl *impl, const char *method, const char *route)
{
    bool reads = strcmp(method, "GET") == 0;
    ad_buf_clear(&impl->path);
    ad_buf_clear(&impl->body);
    impl->doc = NULL;
    impl->call = (struct ad_call){
        .method = method,
        .route = route,
        .lane = reads ? AD_LANE_READ : AD_LANE_WRITE,
        .priority = AD_PRIO_INTERACTIVE,
        .reads_only = reads,
        .on_check = on_check,
        .cb = on_call,
    };
}

enum ad_err ad__account_send(struct ad_account_impl *impl,
                             void (*then)(struct ad_account_impl *impl))
{
    enum ad_err err = ad_buf_status(&impl->path);
    err = err ? err : ad_buf_status(&impl->body);
    if (err) {
        return err;
    }
    impl->then = then;
    impl->call.path = ad_buf_str(&impl->path);
    impl->call.body = ad_buf_len(&impl->body) ? ad_buf_str(&impl->body) : AD_STR_NONE;
    return ad_call_start(impl->account->client, &impl->call);
}

bool ad__account_call_failed(struct ad_account_impl *impl)
{
    impl->op->err = impl->call.err;
    impl->op->info = impl->call.info;
    return impl->call.err != AD_OK;
}

void ad__account_sql(struct ad_account_impl *impl, const struct ad_sql *sql,
                     const struct ad_value *values, unsigned n)
{
    unsigned used = 0;
    for (unsigned i = 0; i < impl->req.steps_n; i++) {
        used += impl->steps[i].values_n;
    }
    AD_ASSERT(impl->req.steps_n < AD_LEN(impl->steps) && used + n <= AD_LEN(impl->values));
    for (unsigned i = 0; i < n; i++) {
        impl->values[used + i] = values[i];
    }
    impl->steps[impl->req.steps_n++] =
        (struct ad_step){ .sql = sql, .values = impl->values + used, .values_n = n };
}

static void on_written(struct ad_store_req *req)
{
    struct ad_account_impl *impl = ad_container_of(req, struct ad_account_impl, req);
    impl->then(impl);
}

enum ad_err ad__account_write(struct ad_account_impl *impl,
                              void (*then)(struct ad_account_impl *impl))
{
    unsigned n = impl->req.steps_n;
    impl->req = (struct ad_store_req){
        .steps = impl->steps,
        .steps_n = n,
        .cls = AD_STORE_NORMAL,
        .cb = on_written,
    };
    impl->then = then;
    return ad_store_write(impl->account->store, &impl->req);
}

bool ad__account_write_failed(struct ad_account_impl *impl)
{
    impl->req.steps_n = 0;
    impl->op->err = impl->req.err;
    impl->op->info = impl->req.info;
    return impl->req.err != AD_OK;
}

/* --- Who we are --- */

static void ask_self(struct ad_account_impl *impl);
static void on_recheck(struct ad_timer *timer);

static void set_latch(struct ad_account *a, enum ad_err err)
{
    struct ad_timers *timers = a->client->opts.timers;
    ad_client_latch(a->client, err);
    if (err) {
        ad_timer_start(timers, &a->recheck, AD_ACCOUNT_RECHECK_MS, on_recheck);
    } else {
        ad_timer_stop(timers, &a->recheck);
    }
}

/* The answer decides over the latch. */
static void identified(struct ad_account_impl *impl, enum ad_err err)
{
    if (!impl->account->closed) {
        set_latch(impl->account, err);
    }
    ad__account_finish(impl);
}

static void refuse(struct ad_account_impl *impl, enum ad_err err, const char *why)
{
    impl->op->err = ad_fail(&impl->op->info, err, "%s", why);
    impl->op->info.sent = true;
    identified(impl, err);
}

static void on_remembered(struct ad_account_impl *impl)
{
    struct ad_account *a = impl->account;
    if (ad__account_write_failed(impl)) {
        ad__account_finish(impl);
        return;
    }
    (void)ad__account_copy(a->workspace_id, sizeof(a->workspace_id), impl->workspace_id);
    (void)ad__account_copy(a->workspace_slug, sizeof(a->workspace_slug), impl->workspace_slug);
    identified(impl, AD_OK);
}

static enum ad_err remember(struct ad_account_impl *impl)
{
    struct ad_value id[2] = { AD_V_TEXT(AD_STR("workspace_id")), AD_V_TEXT(impl->workspace_id) };
    struct ad_value slug[2] = { AD_V_TEXT(AD_STR("workspace_slug")),
                                AD_V_TEXT(impl->workspace_slug) };
    ad__account_sql(impl, &meta_write_sql, id, 2);
    ad__account_sql(impl, &meta_write_sql, slug, 2);
    return ad__account_write(impl, on_remembered);
}

/* False: the answer is not what it should be, or there is no memory. */
static enum ad_err read_workspace(struct ad_account_impl *impl)
{
    char slug[AD_SLUG_BYTES];
    struct ad_str id;
    struct ad_str text;
    if (!ad_json_ident(ad_json_get(impl->doc, "workspace_id"), &id) || !ad_str_is_uuid(id)) {
        return ad_fail(&impl->op->info, AD_ERR_PROTOCOL, "Attio named no workspace");
    }
    text = ad_json_str(ad_json_get(impl->doc, "workspace_slug"));
    if (!text.p || !ad__account_copy(slug, sizeof(slug), text)) {
        text = AD_STR("");
    }
    impl->workspace_id = ad_arena_str(&impl->keep, id);
    impl->workspace_slug = ad_arena_str(&impl->keep, text);
    return impl->workspace_id.p && impl->workspace_slug.p
               ? AD_OK
               : ad_fail(&impl->op->info, AD_ERR_NOMEM, "no memory");
}

static void on_active(struct ad_account_impl *impl)
{
    struct ad_account *a = impl->account;
    struct ad_str id = impl->workspace_id;
    if (a->expected_id[0] && !ad_str_eq_nocase(id, ad_str_c(a->expected_id))) {
        refuse(impl, AD_ERR_CONFLICT,
               "the API key belongs to another workspace than ATTIO_EXPECTED_WORKSPACE_ID");
        return;
    }
    if (a->workspace_id[0] && !ad_str_eq_nocase(id, ad_str_c(a->workspace_id))) {
        refuse(impl, AD_ERR_CONFLICT,
               "the API key belongs to another workspace than this database");
        return;
    }
    if (a->workspace_id[0] && ad_str_eq(impl->workspace_slug, ad_str_c(a->workspace_slug))) {
        identified(impl, AD_OK);
        return;
    }
    ad__account_or_finish(impl, remember(impl));
}

/* 401, or the 400 with which Attio answers what does not even look like a token. */
static bool is_refused(const struct ad_call *call)
{
    return call->err == AD_ERR_UNAUTHORIZED ||
           (call->status == 400 && strcmp(call->attio_code, "missing_value") == 0);
}

static void on_self(struct ad_account_impl *impl)
{
    bool active;
    if (impl->account->closed) {
        ad__account_finish(impl);
        return;
    }
    if (is_refused(&impl->call)) {
        if (!impl->asked_twice) { /* a valid key is refused now and then under load */
            impl->asked_twice = true;
            ask_self(impl);
            return;
        }
        refuse(impl, AD_ERR_UNAUTHORIZED, "Attio refuses the API key");
        return;
    }
    if (ad__account_call_failed(impl)) {
        ad__account_finish(impl);
        return;
    }
    if (!ad_json_bool(ad_json_get(impl->doc, "active"), &active)) {
        impl->op->err = ad_fail(&impl->op->info, AD_ERR_PROTOCOL,
                                "Attio did not say whether the API key is active");
        ad__account_finish(impl);
        return;
    }
    if (!active) {
        refuse(impl, AD_ERR_UNAUTHORIZED, "the API key is not active");
        return;
    }
    impl->op->err = read_workspace(impl);
    if (impl->op->err) {
        ad__account_finish(impl);
        return;
    }
    on_active(impl);
}

static enum ad_err send_self(struct ad_account_impl *impl)
{
    ad__account_request(impl, "GET", "/v2/self");
    impl->call.past_latch = true;
    ad_buf_put(&impl->path, AD_STR("/v2/self"));
    return ad__account_send(impl, on_self);
}

static void ask_self(struct ad_account_impl *impl)
{
    ad__account_or_finish(impl, send_self(impl));
}

enum ad_err ad_account_identify(struct ad_account *a, struct ad_account_op *op)
{
    struct ad_account_impl *impl;
    enum ad_err err = ad__account_begin(a, op, &impl);
    if (err) {
        return err;
    }
    err = send_self(impl);
    return err ? ad__account_drop(impl, err) : AD_OK;
}

/* --- Watching the token --- */

static void account_free(struct ad_account *a);

static void check_or_later(struct ad_account *a);

static void on_checked(struct ad_account_op *op)
{
    struct ad_account *a = ad_container_of(op, struct ad_account, check);
    a->checking = false;
    if (a->closed) {
        account_free(a);
        return;
    }
    if (op->err == AD_OK && a->after_401) {
        a->well_ms = ad_mono_ms(a->client->opts.clock);
    }
    if (a->check_again) {
        a->check_again = false;
        check_or_later(a);
        return;
    }
    a->unproven = a->unproven && op->err && !ad_client_latched(a->client);
    ad_client_trust(a->client);
    if ((a->unproven || ad_client_latched(a->client)) && !ad_timer_running(&a->recheck)) {
        ad_timer_start(a->client->opts.timers, &a->recheck, AD_ACCOUNT_RECHECK_MS, on_recheck);
    }
}

static void check(struct ad_account *a, bool after_401)
{
    if (a->checking) {
        return;
    }
    a->check = (struct ad_account_op){ .cb = on_checked };
    a->after_401 = after_401;
    a->checking = ad_account_identify(a, &a->check) == AD_OK;
}

/* What cannot be asked, for want of memory or because the client stops, holds nobody up. */
static void check_or_later(struct ad_account *a)
{
    check(a, false);
    if (!a->checking) {
        ad_client_trust(a->client);
        ad_timer_start(a->client->opts.timers, &a->recheck, AD_ACCOUNT_RECHECK_MS, on_recheck);
    }
}

void ad_account_key_changed(struct ad_account *a)
{
    if (!ad_client_enabled(a->client)) {
        ad_client_trust(a->client); /* nobody will ever ask */
        return;
    }
    a->unproven = true;
    a->well_ms = 0;
    a->check_again = a->checking;
    check_or_later(a);
}

static void on_recheck(struct ad_timer *timer)
{
    check_or_later(ad_container_of(timer, struct ad_account, recheck));
}

static void on_unauthorized(void *ctx, uint64_t sent_ms)
{
    struct ad_account *a = ctx;
    if (a->checking || ad_client_latched(a->client)) {
        return;
    }
    if (a->well_ms && sent_ms >= a->well_ms && sent_ms - a->well_ms < AD_ACCOUNT_TRUST_MS) {
        a->well_ms = 0;
        set_latch(a, AD_ERR_UNAUTHORIZED);
        return;
    }
    check(a, true);
}

/* --- Life --- */

static void keep_meta(struct ad_account *a, struct ad_str key, struct ad_str value)
{
    static const struct ad_str id = { "workspace_id", 12 };
    static const struct ad_str slug = { "workspace_slug", 14 };
    if (ad_str_eq(key, id)) {
        (void)ad__account_copy(a->workspace_id, sizeof(a->workspace_id), value);
    } else if (ad_str_eq(key, slug)) {
        (void)ad__account_copy(a->workspace_slug, sizeof(a->workspace_slug), value);
    } else {
        (void)ad__account_copy(a->creating, sizeof(a->creating), value);
    }
}

static enum ad_err keep_webhook(struct ad_account *a, const struct ad_value *row)
{
    struct ad_str id = row[0].str;
    struct ad_str secret = row[1].str;
    struct ad_known_webhook *k = ad_zalloc(sizeof(*k));
    if (!k) {
        return AD_ERR_NOMEM;
    }
    k->secret = ad_zalloc(secret.n + 1);
    if (!k->secret || !ad__account_copy(k->id, sizeof(k->id), id)) {
        enum ad_err err = k->secret ? AD_ERR_CORRUPT : AD_ERR_NOMEM;
        ad__known_free(k);
        return err;
    }
    memcpy(k->secret, secret.p, secret.n);
    k->retired_ns = row[2].type == AD_VALUE_I64 ? row[2].i64 : 0;
    ad_list_init(&k->link);
    ad_list_push(&a->known, &k->link);
    return ad_webhook_secrets_add(a->secrets, secret);
}

static enum ad_err keep_row(struct ad_account *a, const struct ad_sql *sql,
                            const struct ad_value *row)
{
    if (sql == &webhooks_read_sql) {
        return keep_webhook(a, row);
    }
    keep_meta(a, row[0].str, row[1].str);
    return AD_OK;
}

static enum ad_err load(struct ad_account *a, const struct ad_sql *sql, struct ad_errinfo *info)
{
    struct ad_step step = { .sql = sql };
    struct ad_store_req req = { .steps = &step, .steps_n = 1 };
    enum ad_err err = ad_store_read_now(a->store, &req);
    if (err) {
        err = ad_fail(info, err, "cannot read the account: %s", req.info.msg);
    }
    for (size_t i = 0; !err && i < req.rows.rows; i++) {
        err = keep_row(a, sql, ad_row(&req.rows, i));
        if (err) {
            err = ad_fail(info, err, "cannot take over a stored webhook: %s", ad_err_text(err));
        }
    }
    ad_store_rows_free(&req);
    return err;
}

enum ad_err ad_account_open(const struct ad_account_opts *opts, struct ad_account **out,
                            struct ad_errinfo *info)
{
    struct ad_account *a = ad_zalloc(sizeof(*a));
    if (!a) {
        return ad_fail(info, AD_ERR_NOMEM, "no memory for the account");
    }
    a->store = opts->store;
    a->client = opts->client;
    a->secrets = opts->secrets;
    ad_list_init(&a->known);
    ad_list_init(&a->waiting);
    enum ad_err err = AD_OK;
    if (!ad__account_copy(a->expected_id, sizeof(a->expected_id), opts->expected_workspace_id)) {
        err = ad_fail(info, AD_ERR_CONFIG, "ATTIO_EXPECTED_WORKSPACE_ID is no UUID");
    }
    err = err ? err : load(a, &meta_read_sql, info);
    err = err ? err : load(a, &webhooks_read_sql, info);
    if (err) {
        account_free(a);
        return err;
    }
    ad_client_on_unauthorized(a->client, on_unauthorized, a);
    *out = a;
    return AD_OK;
}

static void account_free(struct ad_account *a)
{
    struct ad_list *l;
    while ((l = ad_list_pop(&a->known))) {
        ad__known_free(ad_container_of(l, struct ad_known_webhook, link));
    }
    ad_free(a);
}

void ad_account_close(struct ad_account *a)
{
    AD_ASSERT(a->open == 0);
    ad_timer_stop(a->client->opts.timers, &a->recheck);
    ad_client_on_unauthorized(a->client, NULL, NULL);
    if (a->checking) {
        a->closed = true; /* on_checked frees */
        return;
    }
    account_free(a);
}

static struct ad_str or_absent(const char *s)
{
    return s[0] ? ad_str_c(s) : AD_STR_NONE;
}

struct ad_str ad_account_workspace_id(const struct ad_account *a)
{
    return or_absent(a->workspace_id);
}

struct ad_str ad_account_workspace_slug(const struct ad_account *a)
{
    return or_absent(a->workspace_slug);
}
