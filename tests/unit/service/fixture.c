#include "fixture.h"

#include <limits.h>
#include <stdio.h>

#include "base/log.h"
#include "infra/crypto.h"
#include "service/service_private.h"

/* ---- names ------------------------------------------------------------------------------- */

const char *object_id(unsigned object)
{
    static const char *const ids[OBJECTS_MAX] = { "97052eb9-e65e-443f-a297-f2d9a4a7f795",
                                                  "4a3b1c2d-0000-4000-8000-000000000001",
                                                  "4a3b1c2d-0000-4000-8000-000000000002" };
    ck_assert_uint_lt(object, OBJECTS_MAX);
    return ids[object];
}

static const char *const slugs[OBJECTS_MAX] = { "people", "companies", "deals" };

const char *record_id(unsigned n)
{
    static char id[37];
    (void)snprintf(id, sizeof(id), "00000000-0000-4000-8000-%012u", n);
    return id;
}

struct record *record_of(struct service_fixture *s, unsigned object, unsigned n)
{
    for (unsigned i = 0; i < s->records_n; i++) {
        if (s->records[i].object == object && s->records[i].n == n) {
            return &s->records[i];
        }
    }
    return NULL;
}

struct record *record_put(struct service_fixture *s, unsigned object, unsigned n, const char *name)
{
    struct record *r = record_of(s, object, n);
    if (!r) {
        ck_assert_uint_lt(s->records_n, RECORDS_MAX);
        r = &s->records[s->records_n++];
        *r = (struct record){ .object = object, .n = n };
        r->created_ns = (INT64_C(1700000000) + s->records_n) * AD_NS_PER_S;
    }
    (void)snprintf(r->name, sizeof(r->name), "%s", name);
    return r;
}

struct answer *fault_add(struct service_fixture *s, const char *match, unsigned times,
                         unsigned status)
{
    ck_assert_uint_lt(s->faults_n, FAULTS_MAX);
    struct fault *f = &s->faults[s->faults_n++];
    *f = (struct fault){ .match = match, .times = times };
    f->answer = (struct answer){ .status = status, .body = "{}" };
    return &f->answer;
}

/* ---- Attio ------------------------------------------------------------------------------- */

struct page {
    char *at, *end;
};

static struct page page_new(struct service_fixture *s, struct answer *a)
{
    char *p = s->answers[s->answers_n++ % ANSWERS];
    p[0] = '\0';
    a->body = p;
    return (struct page){ .at = p, .end = p + ANSWER_MAX };
}

#define ADD(page, ...) \
    ((page)->at += snprintf((page)->at, (size_t)((page)->end - (page)->at), __VA_ARGS__))

static void add_record(struct page *p, const struct record *r)
{
    char at[AD_TIME_MAX];
    ad_time_format(r->created_ns, 9, at);
    ADD(p,
        "{\"id\":{\"workspace_id\":\"" WORKSPACE "\",\"object_id\":\"%s\",\"record_id\":\"%s\"},"
        "\"created_at\":\"%s\",\"values\":{\"name\":[{\"value\":\"%s\"}],"
        "\"created_at\":[{\"value\":\"%s\"}]}}",
        object_id(r->object), record_id(r->n), at, r->name, at);
}

static void answer_ids(struct service_fixture *s, unsigned object, const struct request *r,
                       struct answer *a)
{
    struct page p = page_new(s, a);
    const char *at = strstr(r->body, "\"$in\":[");
    unsigned n = 0;
    ADD(&p, "{\"data\":[");
    for (at = strchr(at, '['); (at = strchr(at, '"')) && at[1] == '0'; at += 38) {
        unsigned id;
        ck_assert_int_eq(sscanf(at, "\"00000000-0000-4000-8000-%12u\"", &id), 1);
        const struct record *rec = record_of(s, object, id);
        if (rec && (rec->state == REC_LIVE || rec->state == REC_STALE)) {
            ADD(&p, "%s", p.at[-1] == '[' ? "" : ",");
            add_record(&p, rec);
        }
        n++;
    }
    ADD(&p, "]}");
    ck_assert_uint_lt(s->queries, AD_LEN(s->asked));
    s->asked[s->queries++] = (struct asked_ids){ object, n };
}

static void answer_page(struct service_fixture *s, unsigned object, const struct request *r,
                        struct answer *a)
{
    struct page p = page_new(s, a);
    const char *from = strstr(r->body, "\"$gte\":\"");
    const char *limit = strstr(r->body, "\"limit\":");
    const char *offset = strstr(r->body, "\"offset\":");
    int64_t from_ns = 0;
    if (from) {
        ck_assert(ad_time_parse(ad_str_n(from + 8, strcspn(from + 8, "\"")), &from_ns));
    }
    unsigned left = (unsigned)strtoul(limit + 8, NULL, 10);
    unsigned skip = (unsigned)strtoul(offset + 9, NULL, 10);
    ck_assert_uint_eq(left, 500);
    ADD(&p, "{\"data\":[");
    for (unsigned i = 0; i < s->records_n && left > 0; i++) {
        const struct record *rec = &s->records[i];
        if (rec->object != object || rec->state != REC_LIVE ||
            (!s->ignore_from && rec->created_ns < from_ns)) {
            continue;
        }
        if (skip > 0) {
            skip--;
            continue;
        }
        ADD(&p, "%s", p.at[-1] == '[' ? "" : ",");
        add_record(&p, rec);
        left--;
    }
    ADD(&p, "]}");
    s->pages++;
}

static void answer_get(struct service_fixture *s, unsigned object, const struct request *r,
                       struct answer *a)
{
    struct page p = page_new(s, a);
    unsigned id = (unsigned)strtoul(strrchr(r->line, '-') + 1, NULL, 10);
    const struct record *rec = record_of(s, object, id);
    s->gets++;
    if (rec && (rec->state == REC_LIVE || rec->state == REC_HIDDEN)) {
        ADD(&p, "{\"data\":");
        add_record(&p, rec);
        ADD(&p, "}");
        return;
    }
    a->status = 404;
    ADD(&p, "{\"status_code\":404,\"type\":\"invalid_request_error\",\"code\":\"%s\"}",
        rec && rec->state == REC_MERGING ? "merge_in_progress" : "not_found");
}

static void answer_objects(struct service_fixture *s, struct answer *a)
{
    struct page p = page_new(s, a);
    ADD(&p, "{\"data\":[");
    for (unsigned i = 0; i < s->objects_n; i++) {
        ADD(&p,
            "%s{\"id\":{\"workspace_id\":\"" WORKSPACE "\",\"object_id\":\"%s\"},"
            "\"api_slug\":\"%s\",\"singular_noun\":\"x\",\"plural_noun\":\"xs\"}",
            i ? "," : "", object_id(i), slugs[i]);
    }
    ADD(&p, "]}");
    s->schemas++;
}

static const char *const attributes =
    "{\"data\":[{\"id\":{\"attribute_id\":\"11111111-0000-4000-8000-000000000001\"},"
    "\"api_slug\":\"name\",\"title\":\"Name\",\"type\":\"text\"},"
    "{\"id\":{\"attribute_id\":\"11111111-0000-4000-8000-000000000002\"},"
    "\"api_slug\":\"created_at\",\"title\":\"Created at\",\"type\":\"timestamp\"}]}";

/* One webhook, once it was made. */
static void answer_hooks(struct service_fixture *s, const struct request *r, struct answer *a)
{
    struct page p = page_new(s, a);
    bool made = strncmp(r->line, "POST", 4) == 0;
    bool list = strncmp(r->line, "GET /v2/webhooks?", 17) == 0;
    s->hooks_made += made;
    ADD(&p, "{\"data\":%s", list ? "[" : "");
    if (s->hooks_made) {
        ADD(&p,
            "{\"id\":{\"workspace_id\":\"" WORKSPACE "\","
            "\"webhook_id\":\"22222222-0000-4000-8000-000000000001\"},"
            "\"target_url\":\"https://hooks.example.com/webhooks/attio\","
            "\"status\":\"active\",%s\"created_at\":\"2026-01-01T00:00:00.000000000Z\","
            "\"subscriptions\":[",
            made ? "\"secret\":\"another-secret\"," : "");
        for (size_t i = 0; i < ad_event_types_n; i++) {
            ADD(&p, "%s{\"event_type\":\"%s\",\"filter\":null}", i ? "," : "",
                ad_event_types[i].name);
        }
        ADD(&p, "]}");
    }
    ADD(&p, "%s}", list ? "]" : "");
}

static void answer_records(struct service_fixture *s, unsigned object, const struct request *r,
                           struct answer *a)
{
    if (strstr(r->line, "/attributes")) {
        a->body = attributes;
    } else if (!strstr(r->line, "/query")) {
        answer_get(s, object, r, a);
    } else if (strstr(r->body, "\"$in\"")) {
        answer_ids(s, object, r, a);
    } else {
        answer_page(s, object, r, a);
    }
}

static bool answer_fault(struct service_fixture *s, const struct request *r, struct answer *a)
{
    for (unsigned i = 0; i < s->faults_n; i++) {
        struct fault *f = &s->faults[i];
        if (f->times > 0 && (strstr(r->line, f->match) || strstr(r->body, f->match))) {
            f->times -= f->times != UINT_MAX;
            *a = f->answer;
            return true;
        }
    }
    return false;
}

static void add_note(struct page *p, const struct record *r)
{
    char at[AD_TIME_MAX];
    ad_time_format(r->created_ns, 9, at);
    ADD(p,
        "{\"id\":{\"workspace_id\":\"" WORKSPACE "\",\"note_id\":\"%s\"},\"title\":\"%s\","
        "\"parent_object\":\"people\",\"created_at\":\"%s\"}",
        record_id(r->n), r->name, at);
}

/* Notes are the records of object NOTES; tasks and members there are none. */
static void answer_notes(struct service_fixture *s, const struct request *r, struct answer *a)
{
    struct page p = page_new(s, a);
    const char *query = strchr(r->line, '?');
    unsigned id = query ? 0 : (unsigned)strtoul(strrchr(r->line, '-') + 1, NULL, 10);
    const struct record *one = query ? NULL : record_of(s, NOTES, id);
    if (!query && (!one || one->state != REC_LIVE)) {
        s->gets++;
        a->status = 404;
        ADD(&p, "{\"status_code\":404,\"type\":\"invalid_request_error\",\"code\":\"not_found\"}");
        return;
    }
    unsigned left = query ? (unsigned)strtoul(strstr(query, "limit=") + 6, NULL, 10) : 1;
    unsigned skip = query ? (unsigned)strtoul(strstr(query, "offset=") + 7, NULL, 10) : 0;
    ADD(&p, query ? "{\"data\":[" : "{\"data\":");
    for (unsigned i = 0; i < s->records_n && left > 0; i++) {
        const struct record *note = &s->records[i];
        if (note->object != NOTES || note->state != REC_LIVE || (one && note != one)) {
            continue;
        }
        if (skip > 0) {
            skip--;
            continue;
        }
        ADD(&p, "%s", p.at[-1] == '[' || one ? "" : ",");
        add_note(&p, note);
        left--;
    }
    ADD(&p, query ? "]}" : "}");
}

static void answer(struct service_fixture *s, const struct request *r, struct answer *a)
{
    if (strcmp(r->line, "GET /v2/self") == 0) {
        a->body = s->self_body;
        s->selfs++;
        return;
    }
    if (strstr(r->line, "/v2/webhooks")) {
        answer_hooks(s, r, a);
        return;
    }
    for (unsigned i = 0; i < s->objects_n; i++) {
        if (strstr(r->line, object_id(i))) {
            answer_records(s, i, r, a);
            return;
        }
    }
    if (strstr(r->line, "/v2/notes")) {
        answer_notes(s, r, a);
        return;
    }
    if (strcmp(r->line, "GET /v2/lists") == 0 || strstr(r->line, "GET /v2/tasks") ||
        strstr(r->line, "GET /v2/workspace_members")) {
        a->body = "{\"data\":[]}";
        return;
    }
    ck_assert_msg(strncmp(r->line, "GET /v2/objects", 15) == 0, "%s was not expected", r->line);
    answer_objects(s, a);
}

static void attio(struct scripted *sv, const struct request *r, struct answer *a)
{
    struct service_fixture *s = sv->data;
    *a = (struct answer){ .status = 200 };
    if (s->before) {
        s->before(s, r);
    }
    if (!answer_fault(s, r, a) && !(s->other && s->other(s, r, a))) {
        answer(s, r, a);
    }
    a->delay_ms = s->delay_ms;
    a->headers = a->headers ? a->headers : s->headers;
}

/* ---- open and close ---------------------------------------------------------------------- */

static bool store_failing(void *ctx)
{
    return ((const struct service_fixture *)ctx)->store_failing;
}

void service_fixture_open(struct service_fixture *s)
{
    memset(s, 0, sizeof(*s));
    fixture_open(&s->f);
    s->f.sv.decide = attio;
    s->f.sv.data = s;
    s->objects_n = 1;
    s->self_body =
        "{\"active\":true,\"workspace_id\":\"" WORKSPACE "\",\"workspace_slug\":\"acme\"}";
}

static void must(enum ad_err err, const struct ad_errinfo *info)
{
    ck_assert_msg(err == AD_OK, "%s: %s", ad_err_name(err), info->msg);
}

static void open_attio(struct service_fixture *s)
{
    struct ad_errinfo info = { .code = AD_OK };
    struct attio_fixture *f = &s->f;
    const struct ad_clock *clock = ad_loop_clock(f->w.loop);
    struct ad_timers *timers = ad_loop_timers(f->w.loop);
    must(ad_versions_open(f->store, &s->versions, &info), &info);
    must(ad_records_open(f->client, s->versions, &s->rec), &info);
    must(ad_webhook_secrets_new(&s->secrets), &info);
    if (!s->no_secret) {
        must(ad_webhook_secrets_add(s->secrets, AD_STR(SECRET)), &info);
    }
    must(ad_schema_open(&(struct ad_schema_opts){ .store = f->store,
                                                  .client = f->client,
                                                  .clock = clock,
                                                  .timers = timers,
                                                  .metrics = f->metrics },
                        &s->schema, &info),
         &info);
    must(ad_inbox_open(&(struct ad_inbox_opts){ .store = f->store,
                                                .clock = clock,
                                                .timers = timers,
                                                .metrics = f->metrics,
                                                .pending_max = 1000,
                                                .body_ms = 86400000,
                                                .key_ms = 604800000 },
                       &s->inbox, &info),
         &info);
    must(ad_mirror_open(&(struct ad_mirror_opts){ .store = f->store,
                                                  .schema = s->schema,
                                                  .inbox = s->inbox,
                                                  .clock = clock,
                                                  .metrics = f->metrics },
                        &s->mirror, &info),
         &info);
    must(ad_merges_open(f->store, clock, &s->merges), &info);
    must(ad_account_open(
             &(struct ad_account_opts){ .store = f->store,
                                        .client = f->client,
                                        .secrets = s->secrets,
                                        .expected_workspace_id = s->expected_workspace_id },
             &s->account, &info),
         &info);
    must(ad_sync_state_open(f->store, &s->sync_state), &info);
}

/* After a stop: the client and the store too. */
static void open_again(struct service_fixture *s)
{
    struct ad_errinfo info = { .code = AD_OK };
    fixture_reopen_store(&s->f);
    s->f.client_closed = false;
    must(ad_client_open(s->f.w.loop, &s->f.opts, &s->f.client, &info), &info);
}

static void fill_opts(struct service_fixture *s)
{
    s->opts.clock = ad_loop_clock(s->f.w.loop);
    s->opts.timers = ad_loop_timers(s->f.w.loop);
    s->opts.metrics = s->f.metrics;
    s->opts.registry = s->registry;
    s->opts.client = s->f.client;
    s->opts.schema = s->schema;
    s->opts.records = s->rec;
    s->opts.mirror = s->mirror;
    s->opts.merges = s->merges;
    s->opts.inbox = s->inbox;
    s->opts.account = s->account;
    s->opts.secrets = s->secrets;
    s->opts.sync_state = s->sync_state;
    s->opts.versions = s->versions;
    s->opts.store = s->f.store;
    s->opts.store_failing = store_failing;
    s->opts.store_ctx = s;
    s->opts.seed = 7;
    s->opts.arena = &s->arena;
}

static void open_below(struct service_fixture *s)
{
    struct ad_errinfo info = { .code = AD_OK };
    if (!s->f.client) {
        open_again(s);
    }
    open_attio(s);
    ad_arena_init(&s->arena, 1 << 20);
    must(ad_registry_new(&s->registry), &info);
    fill_opts(s);
}

void service_fixture_open_only(struct service_fixture *s)
{
    struct ad_errinfo info = { .code = AD_OK };
    open_below(s);
    must(ad_service_open(&s->opts, &s->service, &info), &info);
}

bool service_fixture_try_open(struct service_fixture *s, unsigned n)
{
    struct ad_errinfo info = { .code = AD_OK };
    open_below(s);
    heap_fail(n, 1);
    enum ad_err err = ad_service_open(&s->opts, &s->service, &info);
    heap_fail(0, 0);
    if (!err) {
        return true;
    }
    ck_assert_int_eq(err, AD_ERR_NOMEM);
    world_advance(&s->f.w, 5000); /* what was open closes on later turns */
    service_fixture_closed(s);
    return false;
}

void service_fixture_start(struct service_fixture *s)
{
    struct ad_errinfo info = { .code = AD_OK };
    service_fixture_open_only(s);
    if (s->handler) {
        must(ad_service_handler(s->service, s->handler, &info), &info);
    }
    must(ad_registry_seal(s->registry, &info), &info);
    ad_service_start(s->service);
}

static bool is_up(void *ctx)
{
    const struct service_fixture *s = ctx;
    return world_logged(&s->f.w, "attio_ready");
}

void service_fixture_up(struct service_fixture *s)
{
    ad_buf_clear(&s->f.w.log);
    service_fixture_start(s);
    pass_until(s, is_up, s);
}

static void on_closed(void *ctx)
{
    *(bool *)ctx = true;
}

static void close_attio(struct service_fixture *s)
{
    bool closed = false;
    ad_sync_state_close(s->sync_state);
    ad_account_close(s->account);
    ad_merges_close(s->merges);
    ad_mirror_close(s->mirror);
    ad_inbox_close(s->inbox);
    ad_schema_close(s->schema, on_closed, &closed);
    world_until_true(&s->f.w, &closed);
    ad_webhook_secrets_free(s->secrets);
    ad_records_close(s->rec);
    ad_versions_close(s->versions);
}

static bool is_true(void *ctx)
{
    return *(const bool *)ctx;
}

void service_fixture_stop(struct service_fixture *s)
{
    bool closed = false;
    if (!s->service) {
        return;
    }
    ad_service_close(s->service, on_closed, &closed);
    pass_until(s, is_true, &closed);
    service_fixture_closed(s);
}

void service_fixture_closed(struct service_fixture *s)
{
    bool closed = false;
    s->service = NULL;
    ad_registry_free(s->registry);
    close_attio(s);
    ad_arena_fini(&s->arena);
    ad_client_close(s->f.client, on_closed, &closed);
    world_until_true(&s->f.w, &closed);
    s->f.client = NULL;
    fixture_close_store(&s->f);
}

void service_fixture_close(struct service_fixture *s)
{
    service_fixture_stop(s);
    fixture_close(&s->f);
}

/* ---- deliveries -------------------------------------------------------------------------- */

void sign(const char *body, char hex[65])
{
    struct ad_hmac_key *key;
    uint8_t mac[AD_SHA256_SIZE];
    ck_assert_int_eq(ad_hmac_key_new(AD_STR(SECRET), &key), AD_OK);
    ad_hmac(key, ad_str_c(body), mac);
    ad_hmac_key_free(key);
    for (unsigned i = 0; i < AD_SHA256_SIZE; i++) {
        (void)snprintf(hex + 2 * (size_t)i, 3, "%02x", mac[i]);
    }
}

static void on_ingested(struct ad_ingest *in)
{
    *(bool *)in->data = true;
}

enum ad_err deliver(struct service_fixture *s, const char *body,
                    const struct ad_http_header *headers, size_t headers_n, struct ad_ingest *in)
{
    bool done = false;
    char hex[65];
    char key[32];
    struct ad_arena arena;
    sign(body, hex);
    (void)snprintf(key, sizeof(key), "key-%u", s->keys++);
    const struct ad_http_header own[] = { { AD_STR("Attio-Signature"), ad_str_c(hex) },
                                          { AD_STR("Idempotency-Key"), ad_str_c(key) } };
    ad_arena_init(&arena, 8 << 20);
    *in = (struct ad_ingest){ .body = ad_str_c(body),
                              .headers = headers ? headers : own,
                              .headers_n = headers ? headers_n : AD_LEN(own),
                              .arena = &arena,
                              .cb = on_ingested,
                              .data = &done };
    if (ad_ingest(s->service, in)) {
        ck_assert(!done);
    } else {
        world_until_true(&s->f.w, &done);
    }
    ad_arena_fini(&arena);
    return in->err;
}

static void add_event(struct page *p, const char *type, unsigned object, unsigned record,
                      unsigned duplicate)
{
    ADD(p,
        "{\"event_type\":\"%s\",\"id\":{\"workspace_id\":\"" WORKSPACE "\",\"object_id\":\"%s\","
        "\"record_id\":\"%s\"",
        type, object_id(object), record_id(record));
    if (strcmp(type, "record.updated") == 0) {
        ADD(p, ",\"attribute_id\":\"11111111-0000-4000-8000-000000000001\"");
    }
    if (duplicate) {
        ADD(p, ",\"duplicate_object_id\":\"%s\",\"duplicate_record_id\":\"%s\"", object_id(object),
            record_id(duplicate));
    }
    ADD(p, "},\"actor\":{\"type\":\"system\",\"id\":null}}");
}

static void send_n(struct service_fixture *s, const char *type, unsigned object, unsigned record,
                   unsigned duplicate, unsigned n)
{
    static char text[1 << 16];
    struct page p = { .at = text, .end = text + sizeof(text) };
    struct ad_ingest in;
    ADD(&p, "{\"webhook_id\":\"" WORKSPACE "\",\"events\":[");
    for (unsigned i = 0; i < n; i++) {
        ADD(&p, "%s", i ? "," : "");
        add_event(&p, type, object, record, duplicate);
    }
    ADD(&p, "]}");
    ck_assert_msg(deliver(s, text, NULL, 0, &in) == AD_OK, "%s", in.info.msg);
    ck_assert_uint_eq(in.accepted, n);
    ck_assert(!in.quarantined);
}

void event_send(struct service_fixture *s, const char *type, unsigned object, unsigned record,
                unsigned duplicate)
{
    send_n(s, type, object, record, duplicate, 1);
}

void events_send(struct service_fixture *s, const char *type, unsigned object, unsigned record,
                 unsigned n)
{
    send_n(s, type, object, record, 0, n);
}

/* ---- waiting and looking ----------------------------------------------------------------- */

void pass_until(struct service_fixture *s, bool (*cond)(void *ctx), void *ctx)
{
    for (unsigned i = 0; i < 8000 && !cond(ctx); i++) {
        ad_loop_turn(s->f.w.loop, 1);
        world_advance(&s->f.w, 20);
    }
    ck_assert_msg(cond(ctx), "waited in vain; the log says:\n%.*s",
                  AD_FMT(ad_buf_str(&s->f.w.log)));
}

int64_t pending(struct service_fixture *s)
{
    return ad_inbox_pending(s->inbox);
}

bool nothing_pending(void *ctx)
{
    struct service_fixture *s = ctx;
    struct ad_dispatch_stats d;
    ad_dispatch_stats(s->service->dispatch, &d);
    return pending(s) == 0 && d.held == 0 && !d.behind;
}

int64_t mirror_count(struct service_fixture *s, const char *where)
{
    char sql[512];
    (void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM people WHERE %s", where);
    return fixture_i64(&s->f, sql);
}

bool name_is(struct service_fixture *s, unsigned record, const char *name)
{
    char where[256];
    (void)snprintf(where, sizeof(where), "record_id = '%s' AND name = '%s' AND _deleted_at IS NULL",
                   record_id(record), name);
    return mirror_count(s, where) == 1;
}

bool is_tombstone(struct service_fixture *s, unsigned record)
{
    char where[256];
    (void)snprintf(where, sizeof(where), "record_id = '%s' AND _deleted_at IS NOT NULL",
                   record_id(record));
    return mirror_count(s, where) == 1;
}
