#include "attio/account.h"

#include "attio/event.h"
#include "base/json_write.h"

#include "fixture.h"
#include "infra/crypto.h"
#include "support/json_assert.h"
#include "support/run.h"
#include "support/torture.h"

#include <stdio.h>

#define WORKSPACE "33333333-3333-4333-8333-333333333333"
#define OTHER "44444444-4444-4444-8444-444444444444"
#define URL "https://hooks.example.com/webhooks/attio"
#define SELF "{\"active\":true,\"workspace_id\":\"" WORKSPACE "\",\"workspace_slug\":\"acme\"}"
#define REFUSED "{\"status_code\":401,\"type\":\"auth_error\",\"code\":\"unauthorized\"}"

enum { HOOKS = 256 };

/* Attio's side of it: the webhooks of a workspace. */
struct hook {
    char id[40], url[128];
    const char *events[32];
    size_t events_n;
    bool filtered, deleted;
    const char *status; /* NULL: active */
};

static struct attio_fixture f;
static struct ad_account_opts opts;
static struct ad_account *account;
static struct ad_webhook_secrets *secrets;
static struct ad_account_op op;
static struct ad_buf out;
static bool done;
static struct hook hooks[HOOKS];
static unsigned hooks_n, made, changed, deleted;
static char reply[256 << 10];
/* What goes wrong. */
static const char *create_reply;
static bool self_hangs;

static void on_op(struct ad_account_op *o)
{
    (void)o;
    done = true;
}

static void reopen(void)
{
    struct ad_errinfo info = { .code = AD_OK };
    if (account) {
        ad_account_close(account);
        ad_webhook_secrets_free(secrets);
    }
    ck_assert_int_eq(ad_webhook_secrets_new(&secrets), AD_OK);
    opts.secrets = secrets;
    enum ad_err err = ad_account_open(&opts, &account, &info);
    ck_assert_msg(err == AD_OK, "%s", info.msg);
}

static void setup(void)
{
    hooks_n = made = changed = deleted = 0;
    create_reply = NULL;
    done = self_hangs = false;
    memset(hooks, 0, sizeof(hooks));
    account = NULL;
    fixture_open(&f);
    opts = (struct ad_account_opts){ .store = f.store, .client = f.client };
    ad_buf_init(&out, 1 << 20);
    reopen();
    op = (struct ad_account_op){ .cb = on_op, .url = AD_STR(URL), .out = &out };
}

static void teardown(void)
{
    ad_account_close(account);
    ad_webhook_secrets_free(secrets);
    ad_buf_fini(&out);
    fixture_close(&f);
}

typedef enum ad_err (*verb)(struct ad_account *a, struct ad_account_op *o);

static enum ad_err run(verb v)
{
    done = false;
    ad_buf_clear(&out);
    enum ad_err err = v(account, &op);
    if (err) {
        return err;
    }
    ck_assert(!done);
    for (int i = 0; !done && i < 2000; i++) { /* a rotation waits a while */
        world_advance(&f.w, i < 100 ? 1 : 10);
    }
    world_until_true(&f.w, &done);
    ck_assert_ptr_null(op.impl);
    return op.err;
}

/* --- The other side --- */

static struct hook *hook_add(const char *url)
{
    struct hook *h = &hooks[hooks_n];
    (void)snprintf(h->id, sizeof(h->id), "55555555-5555-4555-8555-%012u", ++hooks_n);
    (void)snprintf(h->url, sizeof(h->url), "%s", url);
    return h;
}

static void hook_subscribe_all(struct hook *h)
{
    for (h->events_n = 0; h->events_n < ad_event_types_n; h->events_n++) {
        h->events[h->events_n] = ad_event_types[h->events_n].name;
    }
}

static void write_hook(struct ad_json_writer *j, const struct hook *h, bool secret)
{
    char text[80];
    ad_json_obj(j);
    ad_json_key(j, "id");
    ad_json_obj(j);
    ad_json_f_cstr(j, "workspace_id", WORKSPACE);
    ad_json_f_cstr(j, "webhook_id", h->id);
    ad_json_end(j);
    ad_json_f_cstr(j, "target_url", h->url);
    ad_json_f_cstr(j, "status", h->status ? h->status : "active");
    (void)snprintf(text, sizeof(text), "2026-01-01T00:%02u:%02u.000000000Z",
                   (unsigned)(h - hooks) / 60, (unsigned)(h - hooks) % 60);
    ad_json_f_cstr(j, "created_at", text);
    ad_json_key(j, "subscriptions");
    ad_json_arr(j);
    for (size_t i = 0; i < h->events_n; i++) {
        ad_json_obj(j);
        ad_json_f_cstr(j, "event_type", h->events[i]);
        ad_json_key(j, "filter");
        if (h->filtered) {
            ad_json_obj(j);
            ad_json_key(j, "$and");
            ad_json_arr(j);
            ad_json_w_i64(j, 1);
            ad_json_end(j);
            ad_json_end(j);
        } else {
            ad_json_w_null(j);
        }
        ad_json_end(j);
    }
    ad_json_end(j);
    if (secret) {
        (void)snprintf(text, sizeof(text), "secret-of-%.60s", h->id);
        ad_json_f_cstr(j, "secret", text);
    }
    ad_json_end(j);
}

static enum ad_err write_hooks(struct ad_buf *b, unsigned from, unsigned n, bool one, bool secret)
{
    struct ad_json_writer j;
    ad_json_write_init(&j, b);
    ad_json_obj(&j);
    ad_json_key(&j, "data");
    if (!one) {
        ad_json_arr(&j);
    }
    for (unsigned i = 0, seen = 0; i < hooks_n; i++) {
        if (!hooks[i].deleted && seen++ >= from && seen <= from + n) {
            write_hook(&j, &hooks[i], secret);
        }
    }
    if (!one) {
        ad_json_end(&j);
    }
    ad_json_end(&j);
    return ad_json_write_done(&j);
}

/* `n` webhooks from `from` as {"data": [...]}, or one as {"data": {...}}. A failing allocation is
 * not meant for this side: once more. */
static const char *hooks_json(unsigned from, unsigned n, bool one, bool secret)
{
    struct ad_buf b;
    ad_buf_init(&b, sizeof(reply) - 1);
    while (write_hooks(&b, from, n, one, secret)) {
        ck_assert(heap_failed());
        ad_buf_clear(&b);
    }
    (void)snprintf(reply, sizeof(reply), "%.*s", AD_FMT(ad_buf_str(&b)));
    ad_buf_fini(&b);
    return reply;
}

static struct hook *hook_of(const char *line)
{
    for (unsigned i = 0; i < hooks_n; i++) {
        if (!hooks[i].deleted && strstr(line, hooks[i].id)) {
            return &hooks[i];
        }
    }
    return NULL;
}

static const char *hook_json(const struct hook *h, bool secret)
{
    unsigned before = 0;
    for (unsigned i = 0; &hooks[i] < h; i++) {
        before += !hooks[i].deleted;
    }
    return hooks_json(before, 1, true, secret);
}

static void create(const struct request *r, struct answer *a)
{
    static char types[32][64];
    struct ad_arena arena;
    const struct ad_json *doc = NULL;
    ad_arena_init(&arena, 1 << 20);
    while (ad_json_parse(&arena, ad_str_c(r->body), NULL, &doc, NULL)) {
        ck_assert(heap_failed());
    }
    char url[128];
    (void)snprintf(url, sizeof(url), "%.*s",
                   AD_FMT(ad_json_str(ad_json_path(doc, "data.target_url"))));
    struct hook *h = hook_add(url);
    AD_JSON_FOREACH (s, ad_json_path(doc, "data.subscriptions")) {
        ck_assert(ad_json_is(ad_json_get(s, "filter"), AD_JSON_NULL));
        (void)snprintf(types[h->events_n], 64, "%.*s",
                       AD_FMT(ad_json_str(ad_json_get(s, "event_type"))));
        h->events[h->events_n] = types[h->events_n];
        h->events_n++;
    }
    ad_arena_fini(&arena);
    made++;
    a->body = create_reply ? create_reply : hook_json(h, true);
}

static void attio(struct scripted *sv, const struct request *r, struct answer *a)
{
    unsigned offset = 0;
    struct hook *h = hook_of(r->line);
    (void)sv;
    *a = (struct answer){ .status = 200, .body = "{}" };
    if (sscanf(r->line, "GET /v2/webhooks?limit=100&offset=%u", &offset) == 1) {
        a->body = hooks_json(offset, 100, false, false);
    } else if (strcmp(r->line, "POST /v2/webhooks") == 0) {
        create(r, a);
    } else if (!h) {
        a->status = 404;
        a->body = "{\"type\":\"invalid_request_error\",\"code\":\"not_found\"}";
    } else if (strncmp(r->line, "DELETE", 6) == 0) {
        h->deleted = true;
        deleted++;
    } else if (strncmp(r->line, "PATCH", 5) == 0) {
        json_assert_at(ad_str_c(r->body), "data.subscriptions[0].filter", "null");
        hook_subscribe_all(h);
        h->filtered = false;
        changed++;
        a->body = hook_json(h, false);
    } else {
        a->body = hook_json(h, false);
    }
}

/* --- Who we are --- */

START_TEST(the_workspace_is_learned_and_remembered)
{
    ck_assert_ptr_null(ad_account_workspace_id(account).p);
    scripted_say(&f.sv, 200, SELF);
    ck_assert_int_eq(run(ad_account_identify), AD_OK);
    ck_assert_str_eq(f.sv.requests[0].line, "GET /v2/self");
    assert_str(ad_account_workspace_id(account), WORKSPACE);
    assert_str(ad_account_workspace_slug(account), "acme");
    reopen();
    assert_str(ad_account_workspace_id(account), WORKSPACE);
    assert_str(ad_account_workspace_slug(account), "acme");
}
END_TEST

START_TEST(a_renamed_workspace_is_still_ours)
{
    scripted_say(&f.sv, 200, SELF);
    scripted_say(&f.sv, 200,
                 "{\"active\":true,\"workspace_id\":\"" WORKSPACE "\",\"workspace_slug\":\"new\"}");
    ck_assert_int_eq(run(ad_account_identify), AD_OK);
    ck_assert_int_eq(run(ad_account_identify), AD_OK);
    assert_str(ad_account_workspace_slug(account), "new");
}
END_TEST

START_TEST(a_token_that_is_not_active_closes_the_latch_until_it_is_well)
{
    scripted_say(&f.sv, 200, "{\"active\":false}");
    scripted_say(&f.sv, 200, SELF);
    ck_assert_int_eq(run(ad_account_identify), AD_ERR_UNAUTHORIZED);
    ck_assert_int_eq(ad_client_latched(f.client), AD_ERR_UNAUTHORIZED);
    ck_assert_int_eq(run(ad_account_webhook_list), AD_ERR_DISABLED);
    ck_assert_int_eq(run(ad_account_identify), AD_OK);
    ck_assert_int_eq(ad_client_latched(f.client), AD_OK);
}
END_TEST

START_TEST(one_401_is_not_believed_two_are)
{
    scripted_say(&f.sv, 401, REFUSED);
    scripted_say(&f.sv, 200, SELF);
    scripted_say(&f.sv, 401, REFUSED);
    ck_assert_int_eq(run(ad_account_identify), AD_OK);
    ck_assert_int_eq(ad_client_latched(f.client), AD_OK);
    ck_assert_int_eq(run(ad_account_identify), AD_ERR_UNAUTHORIZED);
    ck_assert_int_eq(ad_client_latched(f.client), AD_ERR_UNAUTHORIZED);
    ck_assert_uint_eq(f.sv.n, 4);
}
END_TEST

/* Any call of somebody else. */
static struct ad_call other;

static void on_other(struct ad_call *call)
{
    *(bool *)call->data = true;
}

static void call_other(void)
{
    bool over = false;
    other = (struct ad_call){ .method = "GET",
                              .path = AD_STR("/v2/other"),
                              .route = "/v2/other",
                              .reads_only = true,
                              .cb = on_other,
                              .data = &over };
    ck_assert_int_eq(ad_call_start(f.client, &other), AD_OK);
    world_until_true(&f.w, &over);
    world_settle(&f.w);
}

/* What GET /v2/self and every other call are answered with. */
static unsigned self_status, other_status;
static const char *self_body;

static void by_path(struct scripted *sv, const struct request *r, struct answer *a)
{
    bool self = strcmp(r->line, "GET /v2/self") == 0;
    (void)sv;
    *a = (struct answer){ .status = self ? self_status : other_status };
    a->act = self && self_hangs ? ACT_HANG : ACT_ANSWER;
    a->body = a->status == 401 ? REFUSED : self ? self_body : "{}";
}

static void token(unsigned self, const char *body, unsigned others)
{
    self_status = self;
    self_body = body;
    other_status = others;
    f.sv.decide = by_path;
}

static unsigned asked_who_we_are(void)
{
    unsigned n = 0;
    for (unsigned i = 0; i < f.sv.n; i++) {
        n += strcmp(f.sv.requests[i].line, "GET /v2/self") == 0;
    }
    return n;
}

START_TEST(a_401_makes_us_ask_who_we_are)
{
    token(200, "{\"active\":false}", 401);
    call_other();
    world_until_count(&f.w, &f.sv.n, 2);
    world_settle(&f.w);
    ck_assert_int_eq(other.err, AD_ERR_UNAUTHORIZED);
    ck_assert_uint_eq(asked_who_we_are(), 1);
    ck_assert_int_eq(ad_client_latched(f.client), AD_ERR_UNAUTHORIZED);
    /* Nothing else goes out; we ask again now and then, and go on when the token is well. */
    ck_assert_int_eq(ad_call_start(f.client, &other), AD_ERR_DISABLED);
    world_advance(&f.w, 2 * AD_ACCOUNT_RECHECK_MS + 1000);
    ck_assert_uint_eq(asked_who_we_are(), 3);
    token(200, SELF, 200);
    for (int i = 0; ad_client_latched(f.client) && i < 100; i++) {
        world_advance(&f.w, AD_ACCOUNT_RECHECK_MS / 10);
    }
    ck_assert_int_eq(ad_client_latched(f.client), AD_OK);
    call_other();
    ck_assert_int_eq(other.err, AD_OK);
}
END_TEST

static bool is_well(void *ctx)
{
    (void)ctx;
    return ad_account_workspace_id(account).p != NULL;
}

START_TEST(a_401_again_after_a_good_answer_closes_the_latch)
{
    token(200, SELF, 401);
    call_other();
    world_until(&f.w, is_well, NULL);
    ck_assert_int_eq(ad_client_latched(f.client), AD_OK); /* one is not believed */
    world_advance(&f.w, 1000);
    call_other();
    ck_assert_int_eq(ad_client_latched(f.client), AD_ERR_UNAUTHORIZED);
    ck_assert_uint_eq(asked_who_we_are(), 1);
    world_advance(&f.w, AD_ACCOUNT_RECHECK_MS + 1000);
    ck_assert_int_eq(ad_client_latched(f.client), AD_OK);
}
END_TEST

START_TEST(rare_401s_close_nothing)
{
    token(200, SELF, 401);
    call_other();
    world_until(&f.w, is_well, NULL);
    for (unsigned i = 2; i < 5; i++) {
        world_advance(&f.w, AD_ACCOUNT_TRUST_MS + 1000);
        call_other();
        world_advance(&f.w, 100);
        ck_assert_int_eq(ad_client_latched(f.client), AD_OK);
        ck_assert_uint_eq(asked_who_we_are(), i);
    }
}
END_TEST

START_TEST(closing_while_we_ask_who_we_are)
{
    token(200, SELF, 401);
    self_hangs = true;
    call_other();
    world_until_count(&f.w, &f.sv.n, 2);
    reopen(); /* closes the one that asks; what it asks ends with the client */
    self_hangs = false;
    call_other();
    world_until(&f.w, is_well, NULL);
}
END_TEST

static void other_key(const char *key)
{
    struct ad_client_change *change;
    const struct ad_client_settings settings = {
        .api_key = ad_str_c(key),
        .writes_enabled = true,
        .concurrency = f.opts.concurrency,
        .interval_cap = f.opts.interval_cap,
        .interval_ms = f.opts.interval_ms,
        .reads_per_s = f.opts.reads_per_s,
        .writes_per_s = f.opts.writes_per_s,
    };
    ck_assert_int_eq(ad_client_prepare(f.client, &settings, &change, NULL), AD_OK);
    ck_assert(ad_client_commit(f.client, change));
    ad_account_key_changed(account);
}

START_TEST(another_key_of_the_same_workspace_is_trusted)
{
    token(200, SELF, 200);
    ck_assert_int_eq(run(ad_account_identify), AD_OK);
    other_key("another-key-0123456789");
    call_other();
    ck_assert_int_eq(other.err, AD_OK);
    ck_assert_uint_eq(asked_who_we_are(), 2);
    ck_assert_str_eq(f.sv.requests[1].line, "GET /v2/self"); /* before any other call */
}
END_TEST

START_TEST(another_key_of_another_workspace_is_used_for_nothing)
{
    token(200, SELF, 200);
    ck_assert_int_eq(run(ad_account_identify), AD_OK);
    token(200, "{\"active\":true,\"workspace_id\":\"" OTHER "\"}", 200);
    other_key("another-key-0123456789");
    call_other();
    ck_assert_int_eq(other.err, AD_ERR_DISABLED);
    ck_assert_int_eq(ad_client_latched(f.client), AD_ERR_CONFLICT);
    ck_assert_uint_eq(f.sv.n, asked_who_we_are());
    token(200, SELF, 200);
    other_key("the-right-key-again-0123456789");
    for (int i = 0; ad_client_latched(f.client) && i < 100; i++) {
        world_advance(&f.w, 100);
    }
    call_other();
    ck_assert_int_eq(other.err, AD_OK);
}
END_TEST

START_TEST(a_key_about_which_attio_says_nothing_is_used_and_asked_about_again)
{
    token(403, "{}", 200);
    other_key("another-key-0123456789");
    call_other();
    ck_assert_int_eq(other.err, AD_OK);
    ck_assert_uint_eq(asked_who_we_are(), 1);
    token(200, SELF, 200);
    world_advance(&f.w, AD_ACCOUNT_RECHECK_MS + 1000);
    ck_assert_uint_eq(asked_who_we_are(), 2);
    world_advance(&f.w, UINT64_C(3) * AD_ACCOUNT_RECHECK_MS);
    ck_assert_uint_eq(asked_who_we_are(), 2);
}
END_TEST

START_TEST(a_second_key_while_the_first_is_asked_about)
{
    token(200, SELF, 200);
    other_key("another-key-0123456789");
    other_key("a-third-key-0123456789");
    call_other();
    ck_assert_int_eq(other.err, AD_OK);
    ck_assert_uint_eq(asked_who_we_are(), 2);
    ck_assert_ptr_nonnull(strstr(f.sv.requests[1].head, "a-third-key"));
    ck_assert_ptr_nonnull(strstr(f.sv.requests[2].head, "a-third-key"));
}
END_TEST

START_TEST(closing_while_another_key_is_asked_about)
{
    token(200, SELF, 200);
    self_hangs = true;
    other_key("another-key-0123456789");
    world_until_count(&f.w, &f.sv.n, 1);
    reopen();
    ad_client_trust(f.client);
}
END_TEST

START_TEST(what_does_not_look_like_a_token_is_refused_too)
{
    scripted_say(&f.sv, 400, "{\"type\":\"invalid_request_error\",\"code\":\"missing_value\"}");
    ck_assert_int_eq(run(ad_account_identify), AD_ERR_UNAUTHORIZED);
}
END_TEST

START_TEST(another_workspace_than_the_databases_stops_calls)
{
    scripted_say(&f.sv, 200, SELF);
    scripted_say(&f.sv, 200, "{\"active\":true,\"workspace_id\":\"" OTHER "\"}");
    ck_assert_int_eq(run(ad_account_identify), AD_OK);
    ck_assert_int_eq(run(ad_account_identify), AD_ERR_CONFLICT);
    ck_assert_int_eq(ad_client_latched(f.client), AD_ERR_CONFLICT);
    assert_str(ad_account_workspace_id(account), WORKSPACE);
}
END_TEST

START_TEST(another_workspace_than_expected_stops_calls)
{
    opts.expected_workspace_id = AD_STR(OTHER);
    reopen();
    scripted_say(&f.sv, 200, SELF);
    ck_assert_int_eq(run(ad_account_identify), AD_ERR_CONFLICT);
    ck_assert_ptr_null(ad_account_workspace_id(account).p);
    ck_assert_int_eq(ad_client_latched(f.client), AD_ERR_CONFLICT);
}
END_TEST

START_TEST(an_answer_about_nothing_decides_nothing)
{
    static const char *const bad[] = {
        "{}",
        "[]",
        "",
        "{\"active\":true}",
        "{\"active\":true,\"workspace_id\":\"acme\"}",
        "{\"active\":\"yes\",\"workspace_id\":\"33333333-3333-4333-8333-333333333333\"}",
    };
    for (size_t i = 0; i < AD_LEN(bad); i++) {
        f.sv.script_n = f.sv.n = 0;
        scripted_say(&f.sv, 200, bad[i]);
        ck_assert_int_eq(run(ad_account_identify), AD_ERR_PROTOCOL);
        ck_assert_int_eq(ad_client_latched(f.client), AD_OK);
    }
}
END_TEST

/* --- The webhook --- */

static void use_attio(void)
{
    f.sv.decide = attio;
}

START_TEST(a_webhook_is_made_and_its_secret_stored)
{
    use_attio();
    ck_assert_int_eq(run(ad_account_webhook_ensure), AD_OK);
    ck_assert(op.created);
    ck_assert_uint_eq(made, 1);
    ck_assert_uint_eq(hooks[0].events_n, 27);
    ck_assert_uint_eq(ad_webhook_secrets_count(secrets), 1);
    ck_assert(fixture_text_is(&f, "SELECT secret FROM attiod_webhook",
                              "secret-of-55555555-5555-4555-8555-000000000001"));
    ck_assert_int_eq(
        fixture_i64(&f, "SELECT count(*) FROM attiod_meta WHERE key = 'webhook_creating'"), 0);
    json_assert_at(ad_buf_str(&out), "data.created", "true");
    ck_assert(!ad_str_contains(ad_buf_str(&out), AD_STR("secret-of")));
    ck_assert(!world_logged(&f.w, "secret-of"));
}
END_TEST

START_TEST(ensuring_again_changes_nothing)
{
    use_attio();
    ck_assert_int_eq(run(ad_account_webhook_ensure), AD_OK);
    ck_assert_int_eq(run(ad_account_webhook_ensure), AD_OK);
    ck_assert(!op.created);
    reopen();
    ck_assert_uint_eq(ad_webhook_secrets_count(secrets), 1);
    ck_assert_int_eq(run(ad_account_webhook_ensure), AD_OK);
    ck_assert_uint_eq(made, 1);
    ck_assert_uint_eq(changed + deleted, 0);
    json_assert_at(ad_buf_str(&out), "data.created", "false");
}
END_TEST

START_TEST(only_the_wanted_events_are_subscribed)
{
    static const char *const events[] = { "record.created", "record.updated", NULL };
    use_attio();
    op.events = events;
    ck_assert_int_eq(run(ad_account_webhook_ensure), AD_OK);
    ck_assert_uint_eq(hooks[0].events_n, 2);
    ck_assert_int_eq(run(ad_account_webhook_ensure), AD_OK);
    ck_assert_uint_eq(changed, 0);
    op.events = NULL;
    ck_assert_int_eq(run(ad_account_webhook_ensure), AD_OK);
    ck_assert_uint_eq(changed, 1);
    ck_assert_uint_eq(hooks[0].events_n, 27);
}
END_TEST

START_TEST(a_filter_somebody_set_is_taken_away)
{
    use_attio();
    ck_assert_int_eq(run(ad_account_webhook_ensure), AD_OK);
    hooks[0].filtered = true;
    ck_assert_int_eq(run(ad_account_webhook_ensure), AD_OK);
    ck_assert_uint_eq(changed, 1);
}
END_TEST

START_TEST(a_webhook_whose_secret_is_unknown_is_a_conflict)
{
    use_attio();
    hook_subscribe_all(hook_add(URL));
    ck_assert_int_eq(run(ad_account_webhook_ensure), AD_ERR_CONFLICT);
    ck_assert_ptr_nonnull(strstr(op.info.msg, "--replace"));
    ck_assert_ptr_nonnull(strstr(op.info.msg, hooks[0].id));
    ck_assert_uint_eq(made + deleted, 0);
    op.replace = true;
    ck_assert_int_eq(run(ad_account_webhook_ensure), AD_OK);
    ck_assert_uint_eq(made, 1);
    ck_assert_uint_eq(deleted, 1);
    ck_assert(hooks[0].deleted);
}
END_TEST

START_TEST(webhooks_of_others_are_left_alone)
{
    use_attio();
    hook_add("https://elsewhere.example.com/webhooks/attio");
    hook_add("https://hooks.example.com/webhooks/attio-other");
    hook_add("https://hooks.example.com/webhooks/attio/mine");
    op.replace = true;
    ck_assert_int_eq(run(ad_account_webhook_ensure), AD_OK);
    ck_assert_uint_eq(deleted, 0);
    ck_assert_uint_eq(made, 1);
}
END_TEST

START_TEST(of_two_at_our_url_the_known_one_stays)
{
    use_attio();
    hook_add(URL);
    op.replace = true;
    ck_assert_int_eq(run(ad_account_webhook_ensure), AD_OK);
    op.replace = false;
    hook_add(URL);
    ck_assert_int_eq(run(ad_account_webhook_ensure), AD_ERR_CONFLICT);
    op.replace = true;
    ck_assert_int_eq(run(ad_account_webhook_ensure), AD_OK);
    ck_assert(!hooks[1].deleted);
    ck_assert(hooks[2].deleted);
    ck_assert_uint_eq(made, 1);
}
END_TEST

START_TEST(all_pages_are_looked_at)
{
    use_attio();
    for (unsigned i = 0; i < 205; i++) {
        hook_add("https://elsewhere.example.com/");
    }
    hook_add(URL);
    ck_assert_int_eq(run(ad_account_webhook_ensure), AD_ERR_CONFLICT);
    ck_assert_uint_eq(f.sv.n, 3);
}
END_TEST

START_TEST(what_a_crash_left_behind_is_replaced_without_asking)
{
    use_attio();
    create_reply = "{\"data\":{\"id\":"; /* we never learn the secret */
    ck_assert_int_eq(run(ad_account_webhook_ensure), AD_ERR_PROTOCOL);
    ck_assert_uint_eq(made, 1);
    create_reply = NULL;
    reopen();
    ck_assert_int_eq(run(ad_account_webhook_ensure), AD_OK);
    ck_assert_uint_eq(made, 2);
    ck_assert(hooks[0].deleted);
    ck_assert(!hooks[1].deleted);
    reopen();
    hook_add(URL); /* not of our making: asked about */
    ck_assert_int_eq(run(ad_account_webhook_ensure), AD_ERR_CONFLICT);
}
END_TEST

START_TEST(a_webhook_whose_secret_cannot_be_stored_is_deleted_again)
{
    use_attio();
    fixture_sql(&f, "CREATE TRIGGER no BEFORE INSERT ON attiod_webhook"
                    " BEGIN SELECT RAISE(ABORT, 'no'); END");
    ck_assert_int_ne(run(ad_account_webhook_ensure), AD_OK);
    ck_assert_uint_eq(made, 1);
    ck_assert(hooks[0].deleted);
    ck_assert(!op.created);
    ck_assert_uint_eq(ad_webhook_secrets_count(secrets), 0);
    fixture_sql(&f, "DROP TRIGGER no");
    ck_assert_int_eq(run(ad_account_webhook_ensure), AD_OK);
}
END_TEST

/* --- One takes another's place --- */

static const char *secret_of(unsigned i)
{
    static char text[80];
    (void)snprintf(text, sizeof(text), "secret-of-%.60s", hooks[i].id);
    return text;
}

/* Would a delivery signed by that webhook be taken? */
static bool accepts(unsigned i)
{
    struct ad_hmac_key *key;
    uint8_t digest[AD_SHA256_SIZE];
    char hex[2 * AD_SHA256_SIZE + 1] = "";
    ck_assert_int_eq(ad_hmac_key_new(ad_str_c(secret_of(i)), &key), AD_OK);
    ad_hmac(key, AD_STR("body"), digest);
    ad_hmac_key_free(key);
    for (size_t k = 0; k < sizeof(digest); k++) {
        (void)snprintf(hex + 2 * k, 3, "%02x", digest[k]);
    }
    struct ad_http_header h = { AD_STR("Attio-Signature"), ad_str_c(hex) };
    return ad_webhook_verify(secrets, &h, 1, AD_STR("body")) == AD_WEBHOOK_GENUINE;
}

static unsigned alive(void)
{
    unsigned n = 0;
    for (unsigned i = 0; i < hooks_n; i++) {
        n += !hooks[i].deleted;
    }
    return n;
}

/* The newest that is there. */
static unsigned current(void)
{
    unsigned i = hooks_n;
    do {
        ck_assert_uint_gt(i, 0);
        i--;
    } while (hooks[i].deleted);
    return i;
}

#define NO_RUN "SELECT count(*) FROM attiod_meta WHERE key LIKE 'gap%'"
static void have_a_run(void)
{
    fixture_sql(&f, "INSERT INTO attiod_sync_run (id, object_id, object_slug, phase, key,"
                    " key_offset, version, started_at, finished_at, pages, seen, created, updated,"
                    " unchanged, deleted, calls, error)"
                    " VALUES (1, 'o', 's', 4, '', 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, '')");
}

static bool gap_is(const char *why)
{
    return fixture_text_is(&f, "SELECT value FROM attiod_meta WHERE key = 'gap_why'", why);
}

START_TEST(rotating_makes_the_other_slots_webhook_before_the_old_one_goes)
{
    static const char *const urls[] = { URL, URL "/a", URL "/b", URL "/a" };
    use_attio();
    have_a_run();
    ck_assert_int_eq(run(ad_account_webhook_ensure), AD_OK);
    ck_assert(gap_is("the webhook was missing"));
    fixture_sql(&f, "DELETE FROM attiod_meta WHERE key = 'gap_why'");
    for (unsigned i = 1; i < AD_LEN(urls); i++) {
        f.sv.n = 0;
        ck_assert_int_eq(run(ad_account_webhook_rotate), AD_OK);
        ck_assert(op.created);
        ck_assert_int_eq(op.found, AD_WEBHOOK_ACTIVE);
        ck_assert_int_eq(op.status, AD_WEBHOOK_ACTIVE);
        ck_assert_uint_eq(hooks_n, i + 1);
        ck_assert_str_eq(hooks[i].url, urls[i]);
        ck_assert_uint_eq(alive(), 1);
        ck_assert_uint_eq(f.sv.n, 3);
        ck_assert_str_eq(f.sv.requests[1].line, "POST /v2/webhooks");
        ck_assert_ptr_nonnull(strstr(f.sv.requests[2].line, "DELETE"));
        json_assert_at(ad_buf_str(&out), "data.created", "true");
        ck_assert(gap_is("the webhook was rotated: what it had yet to repeat is gone"));
        /* What the old one still has under way is taken. */
        ck_assert(accepts(i) && accepts(i - 1));
    }
    ck_assert_int_eq(
        fixture_i64(&f, "SELECT count(*) FROM attiod_webhook WHERE retired_at IS NULL"), 1);
}
END_TEST

START_TEST(a_retired_secret_is_accepted_for_a_while_and_then_forgotten)
{
    use_attio();
    ck_assert_int_eq(run(ad_account_webhook_ensure), AD_OK);
    ck_assert_int_eq(run(ad_account_webhook_rotate), AD_OK);
    reopen(); /* also by the next process */
    ck_assert(accepts(0) && accepts(1));
    world_advance(&f.w, AD_WEBHOOK_RETIRED_MS - 60000);
    ck_assert_int_eq(run(ad_account_webhook_ensure), AD_OK);
    ck_assert(accepts(0));
    world_advance(&f.w, 120000);
    ck_assert_int_eq(run(ad_account_webhook_ensure), AD_OK);
    ck_assert(!accepts(0) && accepts(1));
    ck_assert_int_eq(fixture_i64(&f, "SELECT count(*) FROM attiod_webhook"), 1);
    ck_assert_uint_eq(alive(), 1);
}
END_TEST

/* As a process that was killed between two steps left it. */
START_TEST(a_rotation_cut_off_is_finished_by_whoever_comes_next)
{
    static const verb verbs[] = { ad_account_webhook_ensure, ad_account_webhook_rotate };
    use_attio();
    ck_assert_int_eq(run(ad_account_webhook_ensure), AD_OK);
    for (unsigned i = 0; i < AD_LEN(verbs); i++) {
        unsigned n = current() + 1;
        /* The new one is stored, the old one not deleted. */
        ck_assert_int_eq(run(ad_account_webhook_rotate), AD_OK);
        unsigned m = hooks_n - 1; /* the new one */
        hooks[n - 1].deleted = false;
        fixture_sql(&f, "UPDATE attiod_webhook SET retired_at = NULL");
        reopen();
        ck_assert_uint_eq(alive(), 2);
        enum ad_err finished = run(verbs[i]);
        ck_assert_msg(finished == AD_OK, "%u: %s", i, op.info.msg);
        ck_assert(!op.created);
        ck_assert_uint_eq(hooks_n, m + 1);
        ck_assert(hooks[n - 1].deleted && !hooks[m].deleted);
        ck_assert(accepts(n - 1) && accepts(m));
        /* Deleted at Attio, but not retired here. */
        fixture_sql(&f, "UPDATE attiod_webhook SET retired_at = NULL");
        reopen();
        ck_assert_int_eq(run(ad_account_webhook_ensure), AD_OK);
        ck_assert(!op.created);
        ck_assert_int_eq(
            fixture_i64(&f, "SELECT count(*) FROM attiod_webhook WHERE retired_at IS NULL"), 1);
        /* Made, its secret lost: only a rotation makes another one. */
        create_reply = "{\"data\":{\"id\":";
        ck_assert_int_eq(run(ad_account_webhook_rotate), AD_ERR_PROTOCOL);
        create_reply = NULL;
        reopen();
        ck_assert_uint_eq(alive(), 2);
        enum ad_err err = run(verbs[i]);
        ck_assert_msg(err == AD_OK, "%s", op.info.msg);
        ck_assert(op.created == (verbs[i] == ad_account_webhook_rotate));
        ck_assert_uint_eq(alive(), 1);
        ck_assert(accepts(current()));
        ck_assert_int_eq(
            fixture_i64(&f, "SELECT count(*) FROM attiod_meta WHERE key = 'webhook_creating'"), 0);
    }
}
END_TEST

START_TEST(what_is_wrong_is_healed_and_may_have_made_a_gap)
{
    use_attio();
    ck_assert_int_eq(run(ad_account_webhook_ensure), AD_OK);
    ck_assert_int_eq(op.found, AD_WEBHOOK_MISSING);
    ck_assert_int_eq(fixture_i64(&f, NO_RUN), 0); /* there is nothing yet that could have one */
    have_a_run();
    /* Degraded: it receives. */
    hooks[0].status = "degraded";
    ck_assert_int_eq(run(ad_account_webhook_ensure), AD_OK);
    ck_assert(op.found == AD_WEBHOOK_DEGRADED && op.status == AD_WEBHOOK_DEGRADED && !op.created);
    ck_assert_int_eq(fixture_i64(&f, NO_RUN), 0);
    /* Inactive: nobody knows how to wake one. */
    hooks[0].status = "inactive";
    ck_assert_int_eq(run(ad_account_webhook_ensure), AD_OK);
    ck_assert(op.found == AD_WEBHOOK_INACTIVE && op.status == AD_WEBHOOK_ACTIVE && op.created);
    ck_assert(gap_is("the webhook was inactive"));
    ck_assert(hooks[0].deleted && !hooks[1].deleted);
    /* Missing: deleted in Attio's settings. */
    hooks[1].deleted = true;
    ck_assert_int_eq(run(ad_account_webhook_ensure), AD_OK);
    ck_assert(op.found == AD_WEBHOOK_MISSING && op.created);
    ck_assert(gap_is("the webhook was missing"));
    ck_assert_str_eq(hooks[2].url, URL);
    ck_assert_int_eq(
        fixture_i64(&f, "SELECT count(*) FROM attiod_webhook WHERE retired_at IS NULL"), 1);
    /* Other subscriptions. */
    hooks[2].events_n = 3;
    ck_assert_int_eq(run(ad_account_webhook_ensure), AD_OK);
    ck_assert(op.found == AD_WEBHOOK_ALTERED && op.status == AD_WEBHOOK_ACTIVE && !op.created);
    ck_assert(gap_is("the webhook had other subscriptions"));
    ck_assert_uint_eq(alive(), 1);
}
END_TEST

START_TEST(full_slots_are_emptied_first)
{
    use_attio();
    hook_add(URL);
    hook_add(URL "/a");
    hook_add(URL "/b");
    ck_assert_int_eq(run(ad_account_webhook_ensure), AD_ERR_CONFLICT);
    ck_assert_int_eq(op.status, AD_WEBHOOK_SECRET_UNKNOWN);
    op.replace = true;
    ck_assert_int_eq(run(ad_account_webhook_ensure), AD_OK);
    ck_assert_uint_eq(alive(), 1);
    ck_assert(accepts(3));
}
END_TEST

static bool done_2;

static void on_op_2(struct ad_account_op *o)
{
    (void)o;
    ck_assert(done); /* the first one is through */
    done_2 = true;
}

START_TEST(changes_run_one_after_the_other)
{
    struct ad_account_op second = { .cb = on_op_2, .url = AD_STR(URL) };
    use_attio();
    ck_assert_int_eq(run(ad_account_webhook_ensure), AD_OK);
    done = done_2 = false;
    ck_assert_int_eq(ad_account_webhook_rotate(account, &op), AD_OK);
    ck_assert_int_eq(ad_account_webhook_ensure(account, &second), AD_OK);
    for (int i = 0; !done_2 && i < 2000; i++) {
        world_advance(&f.w, 10);
    }
    ck_assert(done_2);
    ck_assert_int_eq(op.err, AD_OK);
    ck_assert_int_eq(second.err, AD_OK);
    ck_assert_uint_eq(made, 2);
    ck_assert_uint_eq(alive(), 1);
    ck_assert(!second.created);
}
END_TEST

START_TEST(stopping_ends_those_in_line_too)
{
    struct ad_account_op second = { .cb = on_op_2, .url = AD_STR(URL) };
    scripted_do(&f.sv, ACT_HANG);
    done = done_2 = false;
    ck_assert_int_eq(ad_account_webhook_rotate(account, &op), AD_OK);
    ck_assert_int_eq(ad_account_webhook_ensure(account, &second), AD_OK);
    world_until_count(&f.w, &f.sv.n, 1);
    op.cb = on_op;
    ad_client_stop(f.client);
    for (int i = 0; !(done && second.impl == NULL) && i < 100; i++) {
        world_advance(&f.w, 1);
    }
    ck_assert_int_eq(op.err, AD_ERR_CANCELED);
    ck_assert_int_eq(second.err, AD_ERR_CLOSED);
}
END_TEST

START_TEST(no_memory_at_any_place_of_a_rotation)
{
    use_attio();
    ck_assert_int_eq(run(ad_account_webhook_ensure), AD_OK);
    for (size_t n = 0; n < 120 && hooks_n < HOOKS - 2; n = torture_next_of_all(n)) {
        heap_fail(n, 1);
        (void)run(ad_account_webhook_rotate);
        heap_fail(0, 0);
        f.sv.n = 0;
        unsigned good = 0;
        for (unsigned i = 0; i < hooks_n; i++) {
            good += !hooks[i].deleted && accepts(i);
        }
        ck_assert_uint_ge(good, 1); /* at no time is there none that we take */
    }
    ck_assert_int_eq(run(ad_account_webhook_ensure), AD_OK);
    ck_assert_uint_eq(alive(), 1);
}
END_TEST

START_TEST(the_list_says_which_are_ours)
{
    use_attio();
    ck_assert_int_eq(run(ad_account_webhook_ensure), AD_OK);
    hook_add("https://elsewhere.example.com/");
    ck_assert_int_eq(run(ad_account_webhook_list), AD_OK);
    struct ad_str text = ad_buf_str(&out);
    json_assert_at(text, "data[0].ours", "true");
    json_assert_at(text, "data[0].secret_known", "true");
    json_assert_at(text, "data[0].target_url", "'" URL "'");
    json_assert_at(text, "data[1].ours", "false");
    json_assert_at(text, "data[1].secret_known", "false");
    ck_assert(!ad_str_contains(text, AD_STR("secret-of")));
}
END_TEST

START_TEST(a_list_of_garbage_is_an_error)
{
    scripted_say(&f.sv, 200, "{\"data\":{}}");
    ck_assert_int_eq(run(ad_account_webhook_list), AD_ERR_PROTOCOL);
    f.sv.script_n = f.sv.n = 0;
    scripted_say(&f.sv, 200, "{\"data\":[{\"id\":7}]}");
    ck_assert_int_eq(run(ad_account_webhook_list), AD_ERR_PROTOCOL);
}
END_TEST

START_TEST(a_webhook_of_ours_is_deleted_there_and_here)
{
    use_attio();
    ck_assert_int_eq(run(ad_account_webhook_ensure), AD_OK);
    op.id = ad_str_c(hooks[0].id);
    ck_assert_int_eq(run(ad_account_webhook_delete), AD_OK);
    ck_assert(hooks[0].deleted);
    ck_assert_int_eq(fixture_i64(&f, "SELECT count(*) FROM attiod_webhook"), 0);
    ck_assert_int_eq(run(ad_account_webhook_delete), AD_ERR_NOTFOUND);
    ck_assert_int_eq(run(ad_account_webhook_ensure), AD_OK);
    ck_assert(op.created);
}
END_TEST

START_TEST(a_webhook_of_others_is_not_deleted)
{
    use_attio();
    hook_add("https://hooks.example.com/webhooks/attio-other");
    op.id = ad_str_c(hooks[0].id);
    ck_assert_int_eq(run(ad_account_webhook_delete), AD_ERR_FORBIDDEN);
    ck_assert(!hooks[0].deleted);
    op.id = AD_STR("../self");
    ck_assert_int_eq(run(ad_account_webhook_delete), AD_ERR_INVALID);
}
END_TEST

START_TEST(a_stopped_client_starts_no_operation)
{
    scripted_do(&f.sv, ACT_HANG);
    ad_client_stop(f.client);
    ck_assert_int_eq(run(ad_account_webhook_ensure), AD_ERR_CLOSED);
    ck_assert_int_eq(run(ad_account_identify), AD_ERR_CLOSED);
}
END_TEST

START_TEST(stopping_ends_an_operation_under_way)
{
    scripted_do(&f.sv, ACT_HANG);
    done = false;
    ck_assert_int_eq(ad_account_webhook_ensure(account, &op), AD_OK);
    world_until_count(&f.w, &f.sv.n, 1);
    ad_client_stop(f.client);
    world_until_true(&f.w, &done);
    ck_assert_int_eq(op.err, AD_ERR_CANCELED);
}
END_TEST

/* Whatever fails, nothing leaks, and a later run finds its way. */
START_TEST(no_memory_at_any_place)
{
    use_attio();
    for (size_t n = 0; n < 400; n = torture_next_of_all(n)) {
        heap_fail(n, 1);
        (void)run(ad_account_webhook_ensure);
        heap_fail(0, 0);
        f.sv.n = 0;
    }
    op.replace = true;
    ck_assert_int_eq(run(ad_account_webhook_ensure), AD_OK);
    unsigned left = 0;
    for (unsigned i = 0; i < hooks_n; i++) {
        left += !hooks[i].deleted;
    }
    ck_assert_uint_eq(left, 1);
    ck_assert_int_eq(fixture_i64(&f, "SELECT count(*) FROM attiod_webhook"), 1);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("account");
    TCase *tc = tcase_create("account");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, the_workspace_is_learned_and_remembered);
    tcase_add_test(tc, a_renamed_workspace_is_still_ours);
    tcase_add_test(tc, a_token_that_is_not_active_closes_the_latch_until_it_is_well);
    tcase_add_test(tc, one_401_is_not_believed_two_are);
    tcase_add_test(tc, a_401_makes_us_ask_who_we_are);
    tcase_add_test(tc, a_401_again_after_a_good_answer_closes_the_latch);
    tcase_add_test(tc, rare_401s_close_nothing);
    tcase_add_test(tc, closing_while_we_ask_who_we_are);
    tcase_add_test(tc, another_key_of_the_same_workspace_is_trusted);
    tcase_add_test(tc, another_key_of_another_workspace_is_used_for_nothing);
    tcase_add_test(tc, a_key_about_which_attio_says_nothing_is_used_and_asked_about_again);
    tcase_add_test(tc, a_second_key_while_the_first_is_asked_about);
    tcase_add_test(tc, closing_while_another_key_is_asked_about);
    tcase_add_test(tc, what_does_not_look_like_a_token_is_refused_too);
    tcase_add_test(tc, another_workspace_than_the_databases_stops_calls);
    tcase_add_test(tc, another_workspace_than_expected_stops_calls);
    tcase_add_test(tc, an_answer_about_nothing_decides_nothing);
    tcase_add_test(tc, a_webhook_is_made_and_its_secret_stored);
    tcase_add_test(tc, ensuring_again_changes_nothing);
    tcase_add_test(tc, only_the_wanted_events_are_subscribed);
    tcase_add_test(tc, a_filter_somebody_set_is_taken_away);
    tcase_add_test(tc, a_webhook_whose_secret_is_unknown_is_a_conflict);
    tcase_add_test(tc, webhooks_of_others_are_left_alone);
    tcase_add_test(tc, of_two_at_our_url_the_known_one_stays);
    tcase_add_test(tc, all_pages_are_looked_at);
    tcase_add_test(tc, what_a_crash_left_behind_is_replaced_without_asking);
    tcase_add_test(tc, a_webhook_whose_secret_cannot_be_stored_is_deleted_again);
    tcase_add_test(tc, rotating_makes_the_other_slots_webhook_before_the_old_one_goes);
    tcase_add_test(tc, a_retired_secret_is_accepted_for_a_while_and_then_forgotten);
    tcase_add_test(tc, a_rotation_cut_off_is_finished_by_whoever_comes_next);
    tcase_add_test(tc, what_is_wrong_is_healed_and_may_have_made_a_gap);
    tcase_add_test(tc, full_slots_are_emptied_first);
    tcase_add_test(tc, changes_run_one_after_the_other);
    tcase_add_test(tc, stopping_ends_those_in_line_too);
    tcase_add_test(tc, no_memory_at_any_place_of_a_rotation);
    tcase_add_test(tc, the_list_says_which_are_ours);
    tcase_add_test(tc, a_list_of_garbage_is_an_error);
    tcase_add_test(tc, a_webhook_of_ours_is_deleted_there_and_here);
    tcase_add_test(tc, a_webhook_of_others_is_not_deleted);
    tcase_add_test(tc, a_stopped_client_starts_no_operation);
    tcase_add_test(tc, stopping_ends_an_operation_under_way);
    tcase_add_test(tc, no_memory_at_any_place);
    suite_add_tcase(suite, tc);
    return suite;
}

RUN_SUITE(suite)
