#include "converge/town.h"

#include "base/log.h"

#include <check.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY "town-key-0123456789abcdef"
#define MINUTE_MS UINT64_C(60000)

/* --- connections --- */

static void adopt_sim(void *ctx, struct ad_stream *s)
{
    ad_sim_adopt(&((struct town *)ctx)->sim, s);
}

/* Whoever dials a node that is down finds nobody: the connection ends at once. */
static void adopt_node(void *ctx, struct ad_stream *s)
{
    struct town *t = ctx;
    if (t->node) {
        ad_app_adopt(t->node, s);
    } else {
        ad_stream_close(s, NULL);
    }
}

/* --- the node --- */

static void on_closed(void *ctx)
{
    *(bool *)ctx = true;
}

static struct ad_app *open_node(struct town *t, struct ad_config *config, const char *db,
                                bool webhooks)
{
    static char database[160];
    static char *const with[] = { (char *)"ATTIO_ENV=staging",
                                  (char *)"ATTIO_API_KEY=" KEY,
                                  (char *)"ATTIO_BASE_URL=http://127.0.0.1:1",
                                  (char *)"ATTIOD_PUBLIC_URL=http://127.0.0.1:2",
                                  (char *)"LOG_LEVEL=warn",
                                  database,
                                  NULL };
    static char *const without[] = { (char *)"ATTIO_ENV=staging",
                                     (char *)"ATTIO_API_KEY=" KEY,
                                     (char *)"ATTIO_BASE_URL=http://127.0.0.1:1",
                                     (char *)"LOG_LEVEL=warn",
                                     database,
                                     NULL };
    static char file[512];
    static char source[512];
    const char *root = getenv("ATTIOD_SOURCE_DIR");
    (void)snprintf(database, sizeof(database), "DATABASE_URL=sqlite:%s", db);
    (void)snprintf(source, sizeof(source), "%s/config", root ? root : ".");
    (void)snprintf(file, sizeof(file), "%s/converge.json", t->dir);
    static const struct ad_config_flag no_webhooks = { "--no-webhooks", "true" };
    const struct ad_config_input in = { .environ = webhooks ? with : without,
                                        .file = file,
                                        .flags = &no_webhooks,
                                        .flags_n = webhooks ? 0 : 1,
                                        .source_dir = source,
                                        .serve = true };
    enum ad_err err = ad_config_load(config, &in);
    AD_LIST_FOREACH (it, &config->errors) {
        const struct ad_config_error *e = ad_container_of(it, struct ad_config_error, link);
        (void)fprintf(stderr, "%s: %s\n", e->key, e->message);
    }
    ck_assert_int_eq(err, AD_OK);
    const struct ad_app_opts opts = { .loop = t->w.loop,
                                      .config = config,
                                      .seed = 7 + t->lives,
                                      .simulated = true,
                                      .dialer = &t->to_sim.dialer };
    struct ad_app_failure failure;
    struct ad_app *app = NULL;
    err = ad_app_open(&opts, &app, &failure);
    ck_assert_msg(err == AD_OK, "%s: %s", failure.stage, failure.info.msg);
    return app;
}

static void close_node(struct town *t, struct ad_app *app, struct ad_config *config)
{
    bool closed = false;
    ad_app_close(app, on_closed, &closed);
    world_until_true(&t->w, &closed);
    ad_config_fini(config);
}

void town_start(struct town *t)
{
    t->lives++;
    t->node = open_node(t, &t->config, t->db, true);
}

void town_stop(struct town *t)
{
    struct ad_app *app = t->node;
    t->node = NULL;
    close_node(t, app, &t->config);
}

static void copy_file(const char *from, const char *to)
{
    char block[65536];
    int in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0) {
        return; /* there is no log */
    }
    int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_int_ge(out, 0);
    ssize_t n;
    while ((n = read(in, block, sizeof(block))) > 0) {
        ck_assert_int_eq(write(out, block, (size_t)n), n);
    }
    ck_assert_int_eq(n, 0);
    (void)close(in);
    (void)close(out);
}

static void name_db(struct town *t)
{
    (void)snprintf(t->db, sizeof(t->db), "%s/life%u.db", t->dir, t->lives);
}

/* Between two turns the database is at rest: its files are what a killed process would leave. What the
 * node still does while it is closed goes to files that nobody looks at any more, and nothing it
 * had not committed is acknowledged: its servers are cut before the next commit can be reported. */
void town_kill(struct town *t)
{
    char from[128];
    char to[128];
    char old[96];
    (void)snprintf(old, sizeof(old), "%s", t->db);
    name_db(t);
    copy_file(old, t->db);
    (void)snprintf(from, sizeof(from), "%s-wal", old);
    (void)snprintf(to, sizeof(to), "%s-wal", t->db);
    copy_file(from, to);
    town_stop(t);
    (void)unlink(old);
}

const char *town_fresh(struct town *t, char path[128])
{
    struct ad_config config;
    (void)snprintf(path, 128, "%s/fresh.db", t->dir);
    struct ad_app *app = open_node(t, &config, path, false);
    world_advance(&t->w, 4 * MINUTE_MS);
    close_node(t, app, &config);
    return path;
}

/* --- our own requests --- */

static void on_answer(struct ad_http_call *call)
{
    ((struct town *)call->data)->answered = true;
}

const struct ad_json *town_ask(struct town *t, const char *method, const char *path,
                               const char *body, unsigned *status)
{
    const struct ad_http_header headers[] = { { AD_STR("Authorization"), AD_STR("Bearer " KEY) },
                                              { AD_STR("Content-Type"),
                                                AD_STR("application/json") } };
    const struct ad_json *json = NULL;
    ad_buf_clear(&t->answer);
    ad_arena_reset(&t->arena);
    t->answered = false;
    t->call = (struct ad_http_call){ .method = method,
                                     .path = ad_str_c(path),
                                     .headers = headers,
                                     .headers_n = AD_LEN(headers),
                                     .body = ad_str_c(body),
                                     .timeout_ms = 60000,
                                     .arena = &t->arena,
                                     .response = &t->answer,
                                     .cb = on_answer,
                                     .data = t };
    ck_assert_int_eq(ad_http_call_start(t->client, &t->call), AD_OK);
    world_settle(&t->w);
    while (!t->answered) { /* a silence that was meant for the node: ours ends too, in its time */
        world_advance(&t->w, 1000);
    }
    *status = t->call.err ? 0 : t->call.status;
    bool ok = !t->call.err &&
              ad_json_parse(&t->arena, ad_buf_str(&t->answer), NULL, &json, NULL) == AD_OK;
    return ok ? json : NULL; /* a fault that was meant for the node */
}

const struct ad_json *town_tell(struct town *t, const char *path, const char *fmt, ...)
{
    char body[1024];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(body, sizeof(body), fmt, args);
    va_end(args);
    ck_assert(n >= 0 && (size_t)n < sizeof(body));
    unsigned status;
    const struct ad_json *answer = town_ask(t, "POST", path, body, &status);
    ck_assert_msg(status == 200, "%s %s: %u %s %.*s", path, body, status, t->call.info.msg,
                  AD_FMT(ad_buf_str(&t->answer)));
    return answer;
}

/* --- opening and closing --- */

static void write_config(const struct town *t, unsigned sync_period_ms)
{
    char text[128];
    char path[128];
    int n = snprintf(text, sizeof(text),
                     "{\"sync\":{\"periodMs\":%u},"
                     "\"rateLimit\":{\"concurrency\":10,\"intervalCap\":25}}",
                     sync_period_ms);
    (void)snprintf(path, sizeof(path), "%s/converge.json", t->dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, (size_t)n), n);
    (void)close(fd);
}

void town_open(struct town *t, uint64_t seed, unsigned sync_period_ms)
{
    *t = (struct town){ .node = NULL };
    world_open(&t->w);
    /* In memory, where the system has that: nothing here tests the disk. */
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    (void)snprintf(t->dir, sizeof(t->dir), "%s/attiod-town-XXXXXX", base);
    ck_assert_ptr_nonnull(mkdtemp(t->dir));
    write_config(t, sync_period_ms);
    name_db(t);
    pair_dialer_init(&t->to_sim, t->w.loop, adopt_sim, t);
    pair_dialer_init(&t->to_node, t->w.loop, adopt_node, t);
    const struct ad_sim_opts opts = { .api_key = KEY,
                                      .slug = "town",
                                      .seed = seed,
                                      .rate_per_url = 25,
                                      .limits = true,
                                      .sizes = { .people = 12 + seed % 20,
                                                 .companies = 5,
                                                 .deals = 6,
                                                 .ties = seed % 7,
                                                 .lists = 1,
                                                 .entries = 5,
                                                 .notes = 4,
                                                 .tasks = 4,
                                                 .comments = 4 },
                                      .dialer = &t->to_node.dialer };
    struct ad_errinfo info;
    ad_sim_init(&t->sim, t->w.loop, &opts);
    ck_assert_int_eq(ad_sim_serve(&t->sim, &opts, &info), AD_OK);
    struct ad_http_client_opts client = { .dialer = &t->to_sim.dialer };
    ck_assert_int_eq(ad_endpoint_parse(AD_STR("127.0.0.1:1"), &client.origin), AD_OK);
    ck_assert_int_eq(ad_http_client_open(t->w.loop, &client, &t->client), AD_OK);
    ad_buf_init(&t->answer, 16 << 20);
    ad_arena_init(&t->arena, 64 << 20);
}

static void part_closed(void *ctx)
{
    struct town *t = ctx;
    t->closed = --t->parts_open == 0;
}

static void remove_files(const struct town *t)
{
    char command[128];
    (void)snprintf(command, sizeof(command), "rm -rf %s", t->dir);
    ck_assert_int_eq(system(command), 0);
}

void town_close(struct town *t)
{
    if (t->node) {
        town_stop(t);
    }
    t->parts_open = 2;
    ad_http_client_close(t->client, part_closed, t);
    ad_sim_close(&t->sim, part_closed, t);
    world_until_true(&t->w, &t->closed);
    ad_sim_fini(&t->sim);
    ad_buf_fini(&t->answer);
    ad_arena_fini(&t->arena);
    remove_files(t);
    ad_log_forget_all(); /* the secrets that the node had hidden */
    world_close(&t->w);
}
