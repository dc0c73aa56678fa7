#include "sim/universe.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "attio/account.h"
#include "attio/inbox.h"
#include "attio/merges.h"
#include "attio/migrate.h"
#include "attio/mirror.h"
#include "attio/records.h"
#include "attio/sync_state.h"
#include "base/log.h"
#include "base/mem.h"
#include "service/ingest.h"
#include "service/service_private.h"
#include "service/sync.h"
#include "sim/activity.h"

#define KEY "sim-test-key-0123456789"
#define HOOK_URL "http://127.0.0.1:2"

enum { TURNS = 24 /* of each instant: what is left then goes on in the next */ };

static void must(enum ad_err err, const struct ad_errinfo *info)
{
    ck_assert_msg(err == AD_OK, "%s: %s", ad_err_name(err), info->msg);
}

static void on_done(void *ctx)
{
    *(bool *)ctx = true;
}

/* --- Time --- */

static void turns(struct universe *u)
{
    for (unsigned i = 0; i < TURNS; i++) {
        ad_loop_turn(u->w.loop, 0);
    }
}

void universe_pass(struct universe *u, uint64_t ms)
{
    uint64_t end = u->w.clock.mono_ms + ms;
    turns(u);
    uint64_t next = 0;
    while ((next = ad_timers_next(ad_loop_timers(u->w.loop))) <= end) {
        uint64_t now = u->w.clock.mono_ms;
        vclock_advance(&u->w.clock, next > now ? next - now : 0);
        turns(u);
    }
    vclock_advance(&u->w.clock, end - u->w.clock.mono_ms);
    turns(u);
}

static void pass_until(struct universe *u, const bool *flag)
{
    for (unsigned i = 0; i < 100000 && !*flag; i++) {
        universe_pass(u, 10);
    }
    ck_assert_msg(*flag, "waited in vain; the log says:\n%.*s", AD_FMT(ad_buf_str(&u->w.log)));
}

/* --- Where deliveries arrive --- */

static void on_ingested(struct ad_ingest *in)
{
    struct ad_exchange *x = in->data;
    bool refused = in->err == AD_ERR_UNAUTHORIZED || in->err == AD_ERR_INVALID;
    ad_reply(x, &(struct ad_reply){ .status = in->err == AD_OK ? 200 : refused ? 401 : 503 });
}

static void on_delivery(void *ctx, struct ad_exchange *x)
{
    struct universe *u = ctx;
    struct ad_ingest *in = ad_arena_zalloc(x->arena, sizeof(*in));
    ck_assert_ptr_nonnull(in);
    *in = (struct ad_ingest){ .body = x->body,
                              .headers = x->headers,
                              .headers_n = x->headers_n,
                              .arena = x->arena,
                              .cb = on_ingested,
                              .data = x };
    if (ad_ingest(u->service, in)) {
        on_ingested(in);
    }
}

static void adopt_hook(void *ctx, struct ad_stream *s)
{
    struct universe *u = ctx;
    ad_http_server_adopt(u->hook, s);
}

static void open_hook(struct universe *u)
{
    struct ad_errinfo info = { 0 };
    struct ad_route route = { .methods = AD_HTTP_POST,
                              .pattern = "/webhooks/attio/**",
                              .handler = on_delivery,
                              .ctx = u,
                              .body_max = 1 << 20 };
    struct ad_http_server_opts opts = { .name = "hook", .limits = ad_http_limits_default };
    must(ad_registry_new(&u->hook_routes), &info);
    must(ad_registry_route(u->hook_routes, &route, &info), &info);
    route.pattern = "/webhooks/attio";
    must(ad_registry_route(u->hook_routes, &route, &info), &info);
    must(ad_registry_seal(u->hook_routes, &info), &info);
    opts.registry = u->hook_routes;
    must(ad_http_server_open(u->w.loop, &opts, &u->hook), &info);
    u->to_hook.refuses = false;
}

/* Cuts what is on its way: it will be sent again. */
static void close_hook(struct universe *u)
{
    bool closed = false;
    u->to_hook.refuses = true;
    ad_http_server_close(u->hook, on_done, &closed);
    pass_until(u, &closed);
    ad_registry_free(u->hook_routes);
    u->hook = NULL;
}

/* --- attiod --- */

static void path_of(const struct universe *u, unsigned life, const char *suffix, char out[256])
{
    (void)snprintf(out, 256, "%s/%u.db%s", u->folder, life, suffix);
}

static void open_store(struct universe *u)
{
    struct ad_errinfo info = { 0 };
    char path[256];
    char url[300];
    path_of(u, u->lives, "", path);
    (void)snprintf(url, sizeof(url), "sqlite:%s", path);
    struct ad_store_opts opts = { .url = url, .metrics = u->metrics, .on_loop = true };
    must(ad_store_open(u->w.loop, &opts, &u->store, &info), &info);
    must(ad_migrate(u->store, false, NULL, NULL, &info), &info);
}

static void open_client(struct universe *u)
{
    struct ad_errinfo info = { 0 };
    struct ad_client_opts opts = { .base_url = AD_STR("http://127.0.0.1:1"),
                                   .dialer = &u->to_sim.dialer,
                                   .api_key = AD_STR(KEY),
                                   .clock = ad_loop_clock(u->w.loop),
                                   .timers = ad_loop_timers(u->w.loop),
                                   .metrics = u->metrics,
                                   .seed = u->seed,
                                   .enabled = true,
                                   .writes_enabled = true,
                                   .concurrency = 10,
                                   .interval_cap = 15,
                                   .interval_ms = 1000,
                                   .reads_per_s = 100,
                                   .writes_per_s = 25 };
    must(ad_client_open(u->w.loop, &opts, &u->client, &info), &info);
}

static void open_attio(struct universe *u)
{
    struct ad_errinfo info = { 0 };
    const struct ad_clock *clock = ad_loop_clock(u->w.loop);
    struct ad_timers *timers = ad_loop_timers(u->w.loop);
    must(ad_versions_open(u->store, &u->versions, &info), &info);
    must(ad_records_open(u->client, u->versions, &u->records), &info);
    must(ad_webhook_secrets_new(&u->secrets), &info);
    struct ad_schema_opts schema = { .store = u->store,
                                     .client = u->client,
                                     .clock = clock,
                                     .timers = timers,
                                     .metrics = u->metrics };
    must(ad_schema_open(&schema, &u->schema, &info), &info);
    struct ad_inbox_opts inbox = { .store = u->store,
                                   .clock = clock,
                                   .timers = timers,
                                   .metrics = u->metrics,
                                   .pending_max = 100000,
                                   .body_ms = 86400000,
                                   .key_ms = 604800000 };
    must(ad_inbox_open(&inbox, &u->inbox, &info), &info);
    struct ad_mirror_opts mirror = { .store = u->store,
                                     .schema = u->schema,
                                     .inbox = u->inbox,
                                     .clock = clock,
                                     .metrics = u->metrics };
    must(ad_mirror_open(&mirror, &u->mirror, &info), &info);
    must(ad_merges_open(u->store, clock, &u->merges), &info);
    struct ad_account_opts account = { .store = u->store,
                                       .client = u->client,
                                       .secrets = u->secrets };
    must(ad_account_open(&account, &u->account, &info), &info);
    must(ad_sync_state_open(u->store, &u->sync_state), &info);
}

static bool never(void *ctx)
{
    (void)ctx;
    return false;
}

void universe_start(struct universe *u)
{
    struct ad_errinfo info = { 0 };
    must(ad_metrics_new(&u->metrics), &info);
    open_store(u);
    open_client(u);
    open_attio(u);
    ad_arena_init(&u->arena, 1 << 20);
    must(ad_registry_new(&u->handlers), &info);
    struct ad_service_opts opts = { .clock = ad_loop_clock(u->w.loop),
                                    .timers = ad_loop_timers(u->w.loop),
                                    .metrics = u->metrics,
                                    .registry = u->handlers,
                                    .client = u->client,
                                    .schema = u->schema,
                                    .records = u->records,
                                    .mirror = u->mirror,
                                    .merges = u->merges,
                                    .inbox = u->inbox,
                                    .account = u->account,
                                    .secrets = u->secrets,
                                    .sync_state = u->sync_state,
                                    .versions = u->versions,
                                    .store = u->store,
                                    .store_failing = never,
                                    .seed = u->seed,
                                    .public_url = HOOK_URL,
                                    .sync_on_start = true,
                                    .arena = &u->arena };
    must(ad_service_open(&opts, &u->service, &info), &info);
    must(ad_registry_seal(u->handlers, &info), &info);
    must(ad_service_start(u->service, &info), &info);
    open_hook(u);
}

static void stop(struct universe *u)
{
    bool service = false;
    bool schema = false;
    bool client = false;
    bool store = false;
    close_hook(u);
    ad_client_stop(u->client);
    ad_service_close(u->service, on_done, &service);
    pass_until(u, &service);
    u->service = NULL;
    ad_registry_free(u->handlers);
    ad_sync_state_close(u->sync_state);
    ad_account_close(u->account);
    ad_merges_close(u->merges);
    ad_mirror_close(u->mirror);
    ad_inbox_close(u->inbox);
    ad_schema_close(u->schema, on_done, &schema);
    pass_until(u, &schema);
    ad_webhook_secrets_free(u->secrets);
    ad_records_close(u->records);
    ad_versions_close(u->versions);
    ad_arena_fini(&u->arena);
    ad_client_close(u->client, on_done, &client);
    pass_until(u, &client);
    ad_store_close(u->store, on_done, &store);
    pass_until(u, &store);
    ad_metrics_free(u->metrics);
}

static void copy(const char *from, const char *to)
{
    static char room[1 << 16];
    FILE *in = fopen(from, "rb");
    FILE *out = in ? fopen(to, "wb") : NULL;
    size_t n = 0;
    if (!in) {
        return; /* no log yet */
    }
    ck_assert_ptr_nonnull(out);
    while ((n = fread(room, 1, sizeof(room), in)) > 0) {
        ck_assert_uint_eq(fwrite(room, 1, n, out), n);
    }
    ck_assert_int_eq(fclose(in), 0);
    ck_assert_int_eq(fclose(out), 0);
}

/* The file and its log as they are now are what a dead process would leave; the living one may do
 * what it likes to the old ones. No answer of it gets out any more. */
void universe_crash(struct universe *u)
{
    static const char *const suffixes[] = { "", "-wal" };
    char from[256];
    char to[256];
    for (size_t i = 0; i < AD_LEN(suffixes); i++) {
        path_of(u, u->lives, suffixes[i], from);
        path_of(u, u->lives + 1, suffixes[i], to);
        copy(from, to);
    }
    stop(u);
    u->lives++;
    universe_start(u);
}

/* --- Attio, and our own hand --- */

static void adopt_sim(void *ctx, struct ad_stream *s)
{
    struct universe *u = ctx;
    ad_sim_adopt(&u->sim, s);
}

void universe_open(struct universe *u, uint64_t seed, const struct ad_sim_opts *opts)
{
    struct ad_errinfo info = { 0 };
    struct ad_http_client_opts hand = { .dialer = &u->by_hand.dialer };
    struct stat st;
    memset(u, 0, sizeof(*u));
    u->seed = seed;
    world_open(&u->w);
    (void)snprintf(u->folder, sizeof(u->folder), "%s/attiod-XXXXXX",
                   stat("/dev/shm", &st) == 0 ? "/dev/shm" : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(u->folder));
    pair_dialer_init(&u->to_sim, u->w.loop, adopt_sim, u);
    pair_dialer_init(&u->by_hand, u->w.loop, adopt_sim, u);
    pair_dialer_init(&u->to_hook, u->w.loop, adopt_hook, u);
    u->to_hook.refuses = true;
    u->sim_opts = *opts;
    u->sim_opts.api_key = KEY;
    u->sim_opts.slug = "sim";
    u->sim_opts.seed = seed;
    u->sim_opts.dialer = &u->to_hook.dialer;
    ad_sim_init(&u->sim, u->w.loop, &u->sim_opts);
    must(ad_sim_serve(&u->sim, &u->sim_opts, &info), &info);
    must(ad_endpoint_parse(AD_STR("127.0.0.1:1"), &hand.origin), &info);
    must(ad_http_client_open(u->w.loop, &hand, &u->hand), &info);
}

static void remove_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *e = NULL;
    ck_assert_ptr_nonnull(dir);
    while ((e = readdir(dir))) {
        char path[512];
        (void)snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
        if (e->d_name[0] != '.') {
            ck_assert_int_eq(unlink(path), 0);
        }
    }
    closedir(dir);
    ck_assert_int_eq(rmdir(folder), 0);
}

void universe_close(struct universe *u)
{
    bool hand = false;
    bool sim = false;
    if (u->service) {
        stop(u);
    }
    ad_http_client_close(u->hand, on_done, &hand);
    pass_until(u, &hand);
    ad_sim_close(&u->sim, on_done, &sim);
    pass_until(u, &sim);
    ad_sim_fini(&u->sim);
    ad_log_forget_all();
    world_close(&u->w);
    remove_folder(u->folder);
}

static void on_answer(struct ad_http_call *call)
{
    *(bool *)call->data = true;
}

unsigned universe_ask(struct universe *u, const char *method, const char *path, const char *body,
                      struct ad_buf *out)
{
    const struct ad_http_header headers[] = {
        { AD_STR("Authorization"), AD_STR("Bearer " KEY) },
        { AD_STR("Content-Type"), AD_STR("application/json") },
    };
    bool answered = false;
    struct ad_arena arena;
    ad_arena_init(&arena, 1 << 20);
    struct ad_http_call call = { .method = method,
                                 .path = ad_str_c(path),
                                 .headers = headers,
                                 .headers_n = AD_LEN(headers),
                                 .body = ad_str_c(body),
                                 .timeout_ms = 60000,
                                 .arena = &arena,
                                 .response = out,
                                 .cb = on_answer,
                                 .data = &answered };
    ck_assert_int_eq(ad_http_call_start(u->hand, &call), AD_OK);
    pass_until(u, &answered);
    ad_arena_fini(&arena);
    return call.err ? 0 : call.status;
}

/* --- At rest --- */

static bool is_quiet(struct universe *u)
{
    struct ad_dispatch_stats d;
    enum ad_err err = AD_OK;
    const char *detail = NULL;
    uint64_t flying = 0;
    ad_dispatch_stats(u->service->dispatch, &d);
    AD_LIST_FOREACH (it, &u->sim.webhooks.list) {
        flying += ad_container_of(it, struct ad_sim_webhook, link)->pending;
    }
    return flying == 0 && !ad_timer_running(&u->sim.edits.timer) &&
           ad_service_is_up(u->service, &err, &detail) && ad_inbox_pending(u->inbox) == 0 &&
           d.held == 0 && !d.behind && ad__sync_active(u->service->sync) == 0;
}

bool universe_rest(struct universe *u, unsigned seconds)
{
    unsigned quiet = 0;
    for (unsigned i = 0; i < seconds && quiet < 3; i++) {
        universe_pass(u, 1000);
        quiet = is_quiet(u) ? quiet + 1 : 0;
    }
    return quiet == 3;
}

bool universe_sync(struct universe *u)
{
    struct ad_errinfo info = { 0 };
    unsigned runs = 0;
    return ad_service_sync_all(u->service, false, &runs, &info) == AD_OK;
}

/* --- Comparing --- */

struct side {
    struct ad_buf texts; /* one after another, each ended by NUL */
    size_t n;
};

static void differ(struct ad_buf *out, unsigned *n, const char *view, const char *what,
                   const char *text)
{
    if ((*n)++ < 5) {
        ad_buf_fmt(out, "%s: %s: %.1400s\n", view, what, text);
    }
}

/* An attribute without a value says nothing: Attio shows a new one on every record at once, and no
 * event tells of that. */
static void strip_empty(char *text)
{
    char *at = text;
    while ((at = strstr(at, "\":[]"))) {
        char *from = at - 1;
        char *to = at + 4;
        while (from > text && *from != '"') {
            from--;
        }
        if (at[-1] == '\\' || from == text) {
            at = to;
            continue;
        }
        if (*to == ',') {
            to++;
        } else if (from[-1] == ',') {
            from--;
        }
        memmove(from, to, strlen(to) + 1);
        at = from;
    }
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static char **sorted(const struct side *side)
{
    char **all = calloc(side->n + 1, sizeof(char *));
    const char *at = ad_buf_str(&side->texts).p;
    ck_assert(all && (at || side->n == 0));
    for (size_t i = 0; i < side->n; i++) {
        all[i] = (char *)(uintptr_t)at;
        at += strlen(at) + 1;
        strip_empty(all[i]);
    }
    qsort(all, side->n, sizeof(char *), by_text);
    return all;
}

static void compare(struct ad_buf *out, unsigned *n, const char *view, const struct side *theirs,
                    const struct side *ours)
{
    char **a = sorted(theirs);
    char **b = sorted(ours);
    size_t i = 0;
    size_t k = 0;
    while (i < theirs->n || k < ours->n) {
        int order = i == theirs->n ? 1 : k == ours->n ? -1 : strcmp(a[i], b[k]);
        if (order < 0) {
            differ(out, n, view, "only in the workspace", a[i]);
        } else if (order > 0) {
            differ(out, n, view, "only in the mirror", b[k]);
        }
        i += order <= 0;
        k += order >= 0;
    }
    free(a);
    free(b);
}

/* Blanks at the end are the mirror's own mark, and no part of what Attio said. */
static void read_mirror(sqlite3 *db, const char *view, struct side *side)
{
    char sql[256];
    sqlite3_stmt *stmt = NULL;
    ad_buf_init(&side->texts, 64 << 20);
    (void)snprintf(sql, sizeof(sql), "SELECT rtrim(_raw) FROM \"%s_live\"", view);
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK) {
        return; /* no such table: nothing is there */
    }
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        const char *raw = (const char *)sqlite3_column_text(stmt, 0);
        ck_assert_ptr_nonnull(raw);
        ad_buf_put(&side->texts, ad_str_n(raw, strlen(raw) + 1));
        side->n++;
    }
    sqlite3_finalize(stmt);
}

static void compare_set(struct universe *u, sqlite3 *db, const struct ad_sim_object *set,
                        struct ad_buf *out, unsigned *n)
{
    char view[128];
    struct side theirs = { .n = 0 };
    struct side ours = { .n = 0 };
    struct ad_sim_pen pen;
    ad_buf_init(&theirs.texts, 64 << 20);
    ad_sim_pen_init(&pen, &theirs.texts);
    for (size_t i = 0; i < set->n; i++) {
        ad_sim_render_record(&pen, &u->sim.store, set->sorted[i]);
        ad_sim_put_n(&pen, "", 1);
        theirs.n++;
    }
    ad_sim_pen_done(&pen);
    (void)snprintf(view, sizeof(view), "%s%s", set->kind == AD_SIM_LIST ? "list_" : "", set->slug);
    read_mirror(db, view, &ours);
    compare(out, n, view, &theirs, &ours);
    ad_buf_fini(&theirs.texts);
    ad_buf_fini(&ours.texts);
}

static void compare_shelf(struct universe *u, sqlite3 *db, const struct ad_sim_shelf *shelf,
                          struct ad_buf *out, unsigned *n)
{
    struct side theirs = { .n = 0 };
    struct side ours = { .n = 0 };
    ad_buf_init(&theirs.texts, 64 << 20);
    for (size_t i = 0; i < shelf->n; i++) {
        struct ad_json_writer w;
        ad_json_write_init(&w, &theirs.texts);
        shelf->ops->write(&w, &u->sim.store, shelf->sorted[i]);
        ck_assert_int_eq(ad_json_write_done(&w), AD_OK);
        ad_buf_put(&theirs.texts, ad_str_n("", 1));
        theirs.n++;
    }
    read_mirror(db, shelf->ops->name, &ours);
    compare(out, n, shelf->ops->name, &theirs, &ours);
    ad_buf_fini(&theirs.texts);
    ad_buf_fini(&ours.texts);
}

unsigned universe_differences(struct universe *u, struct ad_buf *out)
{
    char path[256];
    sqlite3 *db = NULL;
    unsigned n = 0;
    const struct ad_sim_store *s = &u->sim.store;
    path_of(u, u->lives, "", path);
    ck_assert_int_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    for (size_t i = 0; i < s->objects_n; i++) {
        compare_set(u, db, s->objects[i], out, &n);
    }
    for (size_t i = 0; i < s->lists_n; i++) {
        compare_set(u, db, s->lists[i], out, &n);
    }
    for (size_t i = 0; i < AD_SIM_SHELVES; i++) {
        compare_shelf(u, db, &s->activity->shelves[i], out, &n);
    }
    sqlite3_close(db);
    return n;
}
