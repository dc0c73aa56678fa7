/* No memory, at every place, of the whole program: the n-th allocation fails, once or from there on,
 * ours or SQLite's, while it reads its configuration and starts, while it takes a delivery from
 * the first byte to the 200, and in doctor.
 *
 * Attio is switched off, so nothing in the process allocates but what is under test. mbedTLS's own
 * memory is in unit/infra/test_tls_memory.c; calls and full syncs in the tests of client and sync. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/app.h"
#include "app/cli.h"
#include "base/log.h"
#include "infra/crypto.h"
#include "support/certs.h"
#include "support/pair.h"
#include "support/run.h"
#include "support/sqlite_heap.h"
#include "support/torture.h"
#include "support/world.h"

#define SECRET "torture-secret-0123456789abcdef"
#define BODY                                                                \
    "{\"webhook_id\":\"23e42eaf-323a-41da-b5bb-fd67eebda553\",\"events\":[" \
    "{\"event_type\":\"record.created\",\"id\":{"                           \
    "\"workspace_id\":\"14beef7a-99f7-4534-a87e-70b564330a4c\","            \
    "\"object_id\":\"97052eb9-e65e-443f-a297-f2d9a4a7f795\","               \
    "\"record_id\":\"bf071e1f-6035-429d-b874-d83ea64ea13b\"},"              \
    "\"actor\":{\"type\":\"system\",\"id\":null}}]}"

static struct world w;
static char dir[64], db[96];
static char variables[6][160];
static struct ad_config config;
static struct ad_app *app;

#define NEVER (SIZE_MAX / 2)
static int kind; /* of memory that fails: a libcheck loop test's _i */

/* --- the program --- */

static void fresh_database(void)
{
    static unsigned made;
    (void)snprintf(db, sizeof(db), "%s/%u.db", dir, made++);
    (void)snprintf(variables[0], sizeof(variables[0]), "DATABASE_URL=sqlite:%s", db);
}

static char *environment[] = { variables[0],
                               (char *)"ATTIO_ENV=staging",
                               (char *)"ATTIO_API_KEY=torture-key-0123456789",
                               (char *)"ATTIO_WEBHOOK_SECRET=" SECRET,
                               (char *)"ATTIOD_LISTEN=127.0.0.1:0",
                               variables[5],
                               (char *)"ATTIOD_TOKENS=me:operate:0123456789abcdef0123456789ab",
                               (char *)"LOG_LEVEL=warn",
                               variables[1],
                               variables[2],
                               variables[3],
                               variables[4],
                               NULL };

static enum ad_err try_start(bool simulated, struct ad_app_failure *failure)
{
    static char source[512];
    const char *root = getenv("ATTIOD_SOURCE_DIR");
    (void)snprintf(source, sizeof(source), "%s/config", root ? root : ".");
    const struct ad_config_input in = { .environ = environment,
                                        .source_dir = source,
                                        .serve = true };
    *failure = (struct ad_app_failure){ .stage = "configuration" };
    enum ad_err err = ad_config_load(&config, &in);
    if (!err) {
        const struct ad_app_opts opts = {
            .loop = w.loop, .config = &config, .seed = 7, .simulated = simulated
        };
        err = ad_app_open(&opts, &app, failure);
    } else if (err == AD_ERR_CONFIG) {
        err = AD_ERR_NOMEM; /* without memory for a value it counts as missing: no start */
    }
    if (err) {
        AD_LIST_FOREACH (it, &config.errors) {
            const struct ad_config_error *e = ad_container_of(it, struct ad_config_error, link);
            ad_fail(&failure->info, err, "%s: %s", e->key, e->message);
        }
        ad_config_fini(&config);
    }
    return err;
}

static void start(bool simulated)
{
    struct ad_app_failure failure;
    enum ad_err err = try_start(simulated, &failure);
    ck_assert_msg(err == AD_OK, "%s: %s", failure.stage, failure.info.msg);
}

static void on_closed(void *ctx)
{
    *(bool *)ctx = true;
}

static void stop(void)
{
    bool closed = false;
    ad_app_close(app, on_closed, &closed);
    world_until_true(&w, &closed);
    ad_config_fini(&config);
}

static void open_world(void)
{
    ck_assert_int_eq(ad_timers_reserve(ad_loop_timers(w.loop), 64), AD_OK);
    ck_assert_ptr_nonnull(ad_buf_reserve(&w.log, 1 << 20)); /* kept when it is cleared */
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    (void)snprintf(dir, sizeof(dir), "%s/attiod-torture-XXXXXX", base);
    ck_assert_ptr_nonnull(mkdtemp(dir));
    (void)snprintf(variables[3], sizeof(variables[3]), "ATTIO_ENABLED=false");
    (void)snprintf(variables[5], sizeof(variables[5]), "ATTIOD_INTERNAL_LISTEN=127.0.0.1:0");
    fresh_database();
}

static void setup(void)
{
    sqlite_heap_install();
    world_open(&w);
    open_world();
}

/* Connections of the real kind, the database on its threads. */
static void setup_real(void)
{
    sqlite_heap_install();
    world_open_real_time(&w);
    open_world();
}

/* TLS costs time, and SQLite's memory is nothing to it. */
static void set_kind(int which)
{
    kind = which;
    if (kind < 2) {
        (void)snprintf(variables[1], sizeof(variables[1]), "ATTIOD_TLS_CERT=%s",
                       certs_path("chain.pem"));
        (void)snprintf(variables[2], sizeof(variables[2]), "ATTIOD_TLS_KEY=%s",
                       certs_path("chain.key"));
    }
}

static void teardown(void)
{
    char command[128];
    (void)snprintf(command, sizeof(command), "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
    ad_log_forget_all();
    world_close(&w);
}

/* --- start-up --- */

static void start_and_stop(size_t n, bool *failed)
{
    struct ad_app_failure failure;
    ad_log_forget_all();
    ad_buf_clear(&w.log);
    size_t held = heap_held();
    size_t descriptors = world_descriptors();
    memory_fail(kind, n);
    enum ad_err err = try_start(false, &failure);
    *failed = memory_back();
    ck_assert_msg(err == AD_OK || err == AD_ERR_NOMEM, "request %zu: %s: %s", n, failure.stage,
                  failure.info.msg);
    ck_assert_msg(err == AD_OK || *failed, "%s: %s", failure.stage, failure.info.msg);
    if (!err) {
        stop();
    }
    ad_log_forget_all();
    ck_assert_msg(heap_held() == held, "request %zu: %zu pieces are still held", n,
                  heap_held() - held);
    ck_assert_uint_eq(world_descriptors(), descriptors);
}

/* Each start goes on with what the one before left half made. */
START_TEST(start_on_no_database_without_memory)
{
    bool failed = true;
    set_kind(_i);
    for (size_t n = 0; failed; n = memory_next(kind, n)) {
        fresh_database();
        start_and_stop(n, &failed);
        char command[128];
        if (n % 16 == 0) { /* what was left half made is no hindrance */
            start(false);
            stop();
        }
        (void)snprintf(command, sizeof(command), "rm -f %s*", db);
        ck_assert_int_eq(system(command), 0);
    }
}
END_TEST

START_TEST(start_without_memory)
{
    bool failed = true;
    set_kind(_i);
    start(false);
    stop();
    for (size_t n = 0; failed; n = memory_next(kind, n)) {
        start_and_stop(n, &failed);
    }
    start(false);
    stop();
}
END_TEST

/* --- doctor --- */

/* Looks at the database; nobody takes its connections to a server and to Attio. */
static int doctor(void)
{
    const struct ad_cli cli = { .environ = environment };
    (void)snprintf(variables[5], sizeof(variables[5]), "ATTIOD_INTERNAL_LISTEN=127.0.0.1:1");
    (void)snprintf(variables[3], sizeof(variables[3]), "ATTIO_ENABLED=true");
    (void)snprintf(variables[4], sizeof(variables[4]), "ATTIO_BASE_URL=http://127.0.0.1:1");
    return ad_cmd_doctor(&cli);
}

START_TEST(doctor_without_memory)
{
    bool failed = true;
    kind = _i;
    start(false);
    stop();
    ck_assert_ptr_nonnull(freopen("/dev/null", "w", stdout));
    ck_assert_int_eq(doctor(), AD_EXIT_UNREACHABLE);
    for (size_t n = 0; failed; n = memory_next(kind, n)) {
        size_t held = heap_held();
        size_t descriptors = world_descriptors();
        memory_fail(kind, n);
        int code = doctor();
        failed = memory_back();
        ck_assert_msg(code == AD_EXIT_UNREACHABLE ||
                          (failed && (code == AD_EXIT_FAILED || code == AD_EXIT_CONFIG ||
                                      code == AD_EXIT_DATABASE)),
                      "request %zu: %d", n, code);
        ck_assert_msg(heap_held() == held, "request %zu: %zu pieces are still held", n,
                      heap_held() - held);
        ck_assert_uint_eq(world_descriptors(), descriptors);
    }
}
END_TEST

/* --- receipt --- */

static struct {
    struct ad_stream *stream, *far_end;
    struct ad_write write;
    char head[512], got[1024];
    size_t got_n;
    bool over, closed;
} peer;

static void on_peer_closed(struct ad_stream *s)
{
    (void)s;
    peer.closed = true;
}

static void on_answer(struct ad_stream *s, enum ad_err err, const char *p, size_t n)
{
    (void)s;
    if (!err) {
        ck_assert_uint_lt(peer.got_n + n, sizeof(peer.got));
        memcpy(peer.got + peer.got_n, p, n);
        peer.got_n += n;
        peer.got[peer.got_n] = '\0';
    }
    const char *body = strstr(peer.got, "\r\n\r\n");
    peer.over = peer.over || err || (body && (body[4] || strstr(peer.got, "ength: 0\r\n")));
}

static void on_sent(struct ad_write *write, enum ad_err err)
{
    (void)write;
    (void)err;
}

static void sign(char hex[2 * AD_SHA256_SIZE + 1])
{
    struct ad_hmac_key *key = NULL;
    uint8_t mac[AD_SHA256_SIZE];
    ck_assert_int_eq(ad_hmac_key_new(AD_STR(SECRET), &key), AD_OK);
    ad_hmac(key, AD_STR(BODY), mac);
    ad_hmac_key_free(key);
    for (size_t i = 0; i < sizeof(mac); i++) {
        (void)snprintf(hex + 2 * i, 3, "%02x", mac[i]);
    }
}

/* A connection with one delivery, from its beginning; the n-th request for memory fails meanwhile.
 * Gives the status, 0 when the connection ended without one. */
static unsigned deliver(size_t number, size_t n, bool *failed)
{
    char hex[2 * AD_SHA256_SIZE + 1];
    sign(hex);
    pair_open(w.loop, &peer.stream, &peer.far_end);
    pair_reserve(peer.stream);
    pair_reserve(peer.far_end);
    (void)snprintf(peer.head, sizeof(peer.head),
                   "POST /webhooks/attio HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                   "Attio-Signature: %s\r\nIdempotency-Key: key-%zu\r\nContent-Length: %zu\r\n\r\n",
                   hex, number, sizeof(BODY) - 1);
    const struct ad_str parts[] = { ad_str_c(peer.head), AD_STR(BODY) };
    peer.got_n = 0;
    peer.got[0] = '\0';
    peer.over = peer.closed = false;
    ck_assert_int_eq(ad_stream_read_start(peer.stream, on_answer), AD_OK);
    memory_fail(kind, n);
    ad_app_adopt(app, peer.far_end);
    ck_assert_int_eq(ad_stream_write(peer.stream, &peer.write, parts, AD_LEN(parts), on_sent),
                     AD_OK);
    world_until_true(&w, &peer.over);
    *failed = memory_back();
    ad_stream_close(peer.stream, on_peer_closed);
    world_until_true(&w, &peer.closed);
    world_settle(&w);
    unsigned status = 0;
    return sscanf(peer.got, "HTTP/1.1 %u", &status) == 1 ? status : 0;
}

/* What a delivery of before is told when it comes again. */
static void redeliver(size_t number, const char *answer)
{
    bool failed;
    unsigned status = deliver(number, NEVER, &failed);
    ck_assert_msg(status == 200 && strstr(peer.got, answer), "delivery %zu: %s; the log: %.*s",
                  number, peer.got, AD_FMT(ad_buf_str(&w.log)));
}

START_TEST(receipt_without_memory)
{
    static bool acknowledged[8192];
    size_t number = 0;
    size_t all = 0;
    bool failed = true;
    kind = _i;
    start(true);
    redeliver(number++, "\"accepted\":1"); /* everything that is made once is there */
    for (size_t n = 0; failed; n = memory_next(kind, n)) {
        ad_buf_clear(&w.log);
        ck_assert_uint_lt(number + 1, AD_LEN(acknowledged));
        unsigned status = deliver(number, n, &failed);
        ck_assert_msg(status == 0 || status == 200 || status == 503, "request %zu: %s", n,
                      peer.got);
        ck_assert(status == 200 || failed);
        acknowledged[number++] = status == 200;
        redeliver(number++, "\"accepted\":1"); /* at once as good as ever */
        acknowledged[number - 1] = true;
    }
    stop();
    start(true);
    for (size_t i = 1; i < number; i++) {
        if (acknowledged[i]) {
            redeliver(i, "\"duplicate\":1");
            all++;
        }
    }
    ck_assert_uint_gt(all, number / 2);
    stop();
}
END_TEST

static Suite *torture_suite(void)
{
    Suite *suite = suite_create("torture");
    TCase *simulated = tcase_create("receipt");
    tcase_add_checked_fixture(simulated, setup, teardown);
    tcase_set_timeout(simulated, 0); /* ctest has a limit */
    tcase_add_loop_test(simulated, receipt_without_memory, 0, MEMORY_KINDS);
    suite_add_tcase(suite, simulated);
    TCase *real = tcase_create("start");
    tcase_add_checked_fixture(real, setup_real, teardown);
    tcase_set_timeout(real, 0);
    tcase_add_loop_test(real, start_on_no_database_without_memory, 0, MEMORY_KINDS);
    tcase_add_loop_test(real, start_without_memory, 0, MEMORY_KINDS);
    tcase_add_loop_test(real, doctor_without_memory, 0, MEMORY_KINDS);
    suite_add_tcase(suite, real);
    return suite;
}

int main(void)
{
    certs_make();
    int status = run_suite(torture_suite());
    certs_remove();
    return status;
}
