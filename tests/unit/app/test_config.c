#include "app/config.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "support/heap.h"
#include "support/run.h"
#include "support/torture.h"

static char dir[64];
static char extra[128];
static struct ad_config c;
static bool loaded;
static struct ad_config_flag flags[4];
static size_t flags_n;

static const char *source_dir(void)
{
    static char path[512];
    const char *root = getenv("ATTIOD_SOURCE_DIR");
    (void)snprintf(path, sizeof(path), "%s/config", root ? root : ".");
    return path;
}

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (int)strlen(text));
    ck_assert_int_eq(close(fd), 0);
}

static void setup(void)
{
    (void)snprintf(dir, sizeof(dir), "/tmp/attiod-config-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    (void)snprintf(extra, sizeof(extra), "%s/extra.json", dir);
    loaded = false;
    flags_n = 0;
    heap_install();
}

static void teardown(void)
{
    char path[512];
    if (loaded) {
        ad_config_fini(&c);
    }
    ck_assert_uint_eq(heap_uninstall(), 0);
    (void)unlink(extra);
    (void)snprintf(path, sizeof(path), "%s/attio.development.json", dir);
    (void)unlink(path);
    (void)snprintf(path, sizeof(path), "%s/secret", dir);
    (void)unlink(path);
    ck_assert_int_eq(rmdir(dir), 0);
}

/* Loads with the variables given, NULL-ended, on the three files of the tree. `text`: an extra
 * file. */
static enum ad_err load(const char *text, char *const *variables, bool serve)
{
    struct ad_config_input in = {
        .environ = variables,
        .flags = flags,
        .flags_n = flags_n,
        .source_dir = source_dir(),
        .serve = serve,
    };
    if (text) {
        write_file(extra, text);
        in.file = extra;
    }
    if (loaded) {
        ad_config_fini(&c);
    }
    loaded = true;
    return ad_config_load(&c, &in);
}

#define VARS(...)         \
    (char *const[])       \
    {                     \
        __VA_ARGS__, NULL \
    }
#define KEY "ATTIO_API_KEY=key-of-a-test"
#define HTTP "ATTIO_BASE_URL=http://127.0.0.1:4010"
#define GOOD KEY, HTTP, "ATTIO_WEBHOOK_SECRET=a-secret-of-a-test"

static const struct ad_config_error *find(const struct ad_list *list, const char *key,
                                          const char *part)
{
    AD_LIST_FOREACH (it, list) {
        const struct ad_config_error *e = ad_container_of(it, struct ad_config_error, link);
        if (strcmp(e->key, key) == 0 && strstr(e->message, part)) {
            return e;
        }
    }
    return NULL;
}

static void show_errors(void)
{
    AD_LIST_FOREACH (it, &c.errors) {
        const struct ad_config_error *e = ad_container_of(it, struct ad_config_error, link);
        (void)fprintf(stderr, "%s:%u %s: %s\n", e->at.what, e->at.line, e->key, e->message);
    }
}

static void assert_good(enum ad_err err)
{
    if (err) {
        show_errors();
    }
    ck_assert_int_eq(err, AD_OK);
}

static const struct ad_config_error *assert_error(const char *key, const char *part)
{
    const struct ad_config_error *e = find(&c.errors, key, part);
    if (!e) {
        show_errors();
    }
    ck_assert_msg(e != NULL, "no error \"%s\" about %s", part, key);
    return e;
}

/* --- Values ------------------------------------------------------------------------------- */

START_TEST(each_environment_has_the_reference_values)
{
    static const struct {
        const char *env;
        int64_t schema, record, concurrency, cap;
    } rows[] = {
        { "ATTIO_ENV=development", 60000, 10000, 2, 5 },
        { "ATTIO_ENV=staging", 300000, 60000, 5, 8 },
        { "ATTIO_ENV=production", 1800000, 300000, 10, 15 },
    };
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        assert_good(load(NULL, VARS((char *)(uintptr_t)rows[i].env, GOOD), true));
        ck_assert_int_eq(c.schema_ttl_ms, rows[i].schema);
        ck_assert_int_eq(c.record_ttl_ms, rows[i].record);
        ck_assert_int_eq(c.concurrency, rows[i].concurrency);
        ck_assert_int_eq(c.interval_cap, rows[i].cap);
        ck_assert_int_eq(c.interval_ms, 1000);
        ck_assert_int_eq(c.reads_per_s, 100);
        ck_assert_int_eq(c.writes_per_s, 25);
    }
}
END_TEST

START_TEST(built_in_values_are_those_of_the_specification)
{
    assert_good(load(NULL, VARS(GOOD), true));
    ck_assert_str_eq(c.env, "development");
    ck_assert_int_eq(c.body_max, 1048576);
    ck_assert_int_eq(c.keep_alive_ms, 75000);
    ck_assert_int_eq(c.drain_delay_ms, 0);
    ck_assert_int_eq(c.max_pending, 1000000);
    ck_assert_int_eq(c.body_hours, 24);
    ck_assert_int_eq(c.key_days, 7);
    ck_assert_int_eq(c.tombstone_days, 30);
    ck_assert(c.enabled && c.writes_enabled && !c.no_webhooks);
    ck_assert_str_eq(c.database_url, "sqlite:var/attiod.db");
    ck_assert_str_eq(c.public_at.host, "0.0.0.0");
    ck_assert_uint_eq(c.public_at.port, 8080);
    ck_assert_str_eq(c.internal_at.host, "127.0.0.1");
    ck_assert_uint_eq(c.internal_at.port, 8081);
    ck_assert_ptr_null(c.webhook_events);
    ck_assert_ptr_null(c.sync_objects);
}
END_TEST

START_TEST(every_row_of_the_table_is_named_documented_and_within_its_own_range)
{
    for (size_t i = 0; i < ad_config_keys_n; i++) {
        const struct ad_config_key *k = &ad_config_keys[i];
        ck_assert_msg(k->file || k->env || k->flag, "row %zu has no name", i);
        ck_assert_msg(k->doc && *k->doc, "%s has no text", ad_config_name(k));
        ck_assert_msg(!k->secret || !k->file, "%s is a secret and may stand in a file", k->env);
        for (size_t j = 0; j < i; j++) {
            ck_assert_msg(k->at != ad_config_keys[j].at, "%s shares its member", ad_config_name(k));
        }
    }
    assert_good(load(NULL, VARS(GOOD), true)); /* refuses a default outside of its range */
}
END_TEST

/* --- Order -------------------------------------------------------------------------------- */

START_TEST(flags_win_over_variables_over_the_extra_file_over_the_environments_file)
{
    const char *file = "{\"log\":{\"level\":\"error\"},\"rateLimit\":{\"intervalCap\":7}}";
    assert_good(load(file, VARS(GOOD), true));
    ck_assert_str_eq(c.log_level, "error");
    ck_assert_int_eq(c.interval_cap, 7);
    ck_assert_int_eq(c.concurrency, 2);

    assert_good(load(file, VARS(GOOD, "LOG_LEVEL=warn"), true));
    ck_assert_str_eq(c.log_level, "warn");

    flags[flags_n++] = (struct ad_config_flag){ "--log-level", "debug" };
    assert_good(load(file, VARS(GOOD, "LOG_LEVEL=warn"), true));
    ck_assert_str_eq(c.log_level, "debug");
}
END_TEST

START_TEST(every_value_knows_where_it_comes_from)
{
    assert_good(load("{\n \"inbox\": {\n  \"keyDays\": 9\n }\n}", VARS(GOOD), true));
    size_t keys = (size_t)(ad_config_key_of(key_days) - ad_config_keys);
    size_t api = (size_t)(ad_config_key_of(api_key) - ad_config_keys);
    size_t body = (size_t)(ad_config_key_of(body_max) - ad_config_keys);
    ck_assert_str_eq(c.origin[keys].what, extra);
    ck_assert_uint_eq(c.origin[keys].line, 3);
    ck_assert_str_eq(c.origin[api].what, "environment");
    ck_assert_str_eq(c.origin[body].what, "built in");
}
END_TEST

START_TEST(node_env_counts_where_attio_env_is_unset)
{
    assert_good(load(NULL, VARS(GOOD, "NODE_ENV=staging"), true));
    ck_assert_str_eq(c.env, "staging");
    assert_good(load(NULL, VARS(GOOD, "NODE_ENV=staging", "ATTIO_ENV=production"), true));
    ck_assert_str_eq(c.env, "production");
    assert_good(load(NULL, VARS(GOOD, "NODE_ENV=test", "ATTIO_ENV=production"), true));
}
END_TEST

START_TEST(an_unknown_environment_is_an_error_that_names_the_near_one)
{
    ck_assert_int_eq(load(NULL, VARS(GOOD, "ATTIO_ENV=produktion"), true), AD_ERR_CONFIG);
    assert_error("ATTIO_ENV", "did you mean production");
    ck_assert_int_eq(load(NULL, VARS(GOOD, "NODE_ENV=test"), true), AD_ERR_CONFIG);
    assert_error("NODE_ENV", "test");
}
END_TEST

START_TEST(a_variable_may_come_from_a_file)
{
    char variable[256];
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/secret", dir);
    (void)snprintf(variable, sizeof(variable), "ATTIO_API_KEY_FILE=%s", path);
    write_file(path, "key-from-a-file\n");
    assert_good(load(NULL, VARS(HTTP, variable, "ATTIO_WEBHOOK_SECRET=a-secret-of-a-test"), true));
    ck_assert_str_eq(c.api_key, "key-from-a-file");

    ck_assert_int_eq(load(NULL, VARS(GOOD, variable), true), AD_ERR_CONFIG);
    assert_error("ATTIO_API_KEY", "as well");

    static char large[70000];
    memset(large, 'k', sizeof(large) - 1);
    const struct {
        const char *text, *key, *part;
    } rows[] = {
        { "key-of-windows\r\n", NULL, NULL },
        { "key-without-end", NULL, NULL },
        { "\n", "ATTIO_API_KEY_FILE", "empty" },
        { "", "ATTIO_API_KEY_FILE", "empty" },
        { "two-line-ends\n\n", "ATTIO_API_KEY", "line break" },
        { "a-blank-behind \n", "ATTIO_API_KEY", "blank" },
        { large, "ATTIO_API_KEY_FILE", "larger than 65536 bytes" },
    };
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        write_file(path, rows[i].text);
        enum ad_err err =
            load(NULL, VARS(HTTP, variable, "ATTIO_WEBHOOK_SECRET=a-secret-of-a-test"), true);
        if (!rows[i].key) {
            assert_good(err);
            continue;
        }
        ck_assert_int_eq(err, AD_ERR_CONFIG);
        assert_error(rows[i].key, rows[i].part);
        ck_assert_uint_eq(c.errors_n, 1);
    }
}
END_TEST

START_TEST(a_folder_that_was_named_must_hold_the_file)
{
    char variable[256];
    (void)snprintf(variable, sizeof(variable), "ATTIOD_CONFIG_DIR=%s", dir);
    ck_assert_int_eq(load(NULL, VARS(GOOD, variable), true), AD_ERR_CONFIG);
    ck_assert_uint_eq(c.errors_n, 1);

    char path[128];
    (void)snprintf(path, sizeof(path), "%s/attio.development.json", dir);
    write_file(path, "{\"cache\":{\"schemaTtlMs\":7000}}");
    assert_good(load(NULL, VARS(GOOD, variable), true));
    ck_assert_int_eq(c.schema_ttl_ms, 7000);
}
END_TEST

START_TEST(port_counts_where_attiod_listen_is_unset)
{
    assert_good(load(NULL, VARS(GOOD, "PORT=3000"), true));
    ck_assert_str_eq(c.public_at.host, "0.0.0.0");
    ck_assert_uint_eq(c.public_at.port, 3000);
    assert_good(load(NULL, VARS(GOOD, "PORT=3000", "ATTIOD_LISTEN=127.0.0.1:0"), true));
    ck_assert_str_eq(c.public_at.host, "127.0.0.1");
    ck_assert_uint_eq(c.public_at.port, 0);
}
END_TEST

/* --- Errors ------------------------------------------------------------------------------- */

START_TEST(all_errors_are_listed_at_once_with_file_line_and_key)
{
    enum ad_err err = load("{\n"
                           " \"rateLimit\": { \"concurency\": 3, \"intervalCap\": 0,\n"
                           "   \"intervalMs\": \"1s\" },\n"
                           " \"attio\": { \"apiKey\": \"key-in-a-file\" },\n"
                           " \"sync\": { \"onStart\": 1, \"objects\": [\"people\", 3] },\n"
                           " \"log\": 5,\n"
                           " \"surver\": {},\n"
                           " \"server\": { \"bodyMax\": 1.5 }\n"
                           "}\n",
                           VARS("DATABASE_URL=postgresql://db/attiod", "ATTIO_ENABLED=maybe",
                                "ATTIOD_INTERNAL_LISTEN=0.0.0.0:8081", "PORT=70000"),
                           true);
    ck_assert_int_eq(err, AD_ERR_CONFIG);
    ck_assert_uint_eq(
        assert_error("rateLimit.concurency", "did you mean rateLimit.concurrency")->at.line, 2);
    ck_assert_uint_eq(assert_error("rateLimit.intervalCap", "between 1 and")->at.line, 2);
    ck_assert_uint_eq(assert_error("rateLimit.intervalMs", "whole number, not a string")->at.line,
                      3);
    ck_assert_uint_eq(assert_error("attio.apiKey", "do not belong in a file")->at.line, 4);
    ck_assert_uint_eq(assert_error("sync.onStart", "true or false")->at.line, 5);
    ck_assert_uint_eq(assert_error("sync.objects", "array of strings")->at.line, 5);
    ck_assert_uint_eq(assert_error("log", "must be an object")->at.line, 6);
    ck_assert_uint_eq(assert_error("surver", "unknown key")->at.line, 7);
    ck_assert_uint_eq(assert_error("server.bodyMax", "whole number")->at.line, 8);
    assert_error("DATABASE_URL", "PostgreSQL");
    assert_error("ATTIO_ENABLED", "true or false");
    assert_error("ATTIOD_INTERNAL_LISTEN", "ATTIOD_TOKENS");
    assert_error("PORT", "between 0 and 65535");
    assert_error("ATTIO_API_KEY", "required");
    assert_error("ATTIO_WEBHOOK_SECRET", "--no-webhooks");
    ck_assert_uint_eq(c.errors_n, 15);
}
END_TEST

START_TEST(no_error_shows_the_value_of_a_secret)
{
    (void)load("{\"attio\":{\"token\":\"visible-1\"},\"webhooks\":{\"secret\":\"visible-2\"}}",
               VARS("ATTIO_API_KEY=visi ble-3", "ATTIO_WEBHOOK_SECRET=visible-4,,v5"), true);
    ck_assert_uint_ge(c.errors_n, 4);
    AD_LIST_FOREACH (it, &c.errors) {
        const struct ad_config_error *e = ad_container_of(it, struct ad_config_error, link);
        ck_assert_msg(!strstr(e->message, "visi") && !strstr(e->message, "v5"), "%s", e->message);
    }
}
END_TEST

START_TEST(a_file_that_is_no_json_is_one_error_among_others)
{
    ck_assert_int_eq(load("{\"cache\": ", VARS("ATTIO_ENABLED=maybe", GOOD), true), AD_ERR_CONFIG);
    ck_assert_uint_eq(c.errors_n, 2);
    ck_assert_int_eq(load("[]", VARS(GOOD), true), AD_ERR_CONFIG);
    assert_error("", "one JSON object");
    ck_assert_int_eq(load("{\"log\":{\"level\":\"info\",\"level\":\"warn\"}}", VARS(GOOD), true),
                     AD_ERR_CONFIG);
}
END_TEST

START_TEST(an_api_key_must_look_like_one)
{
    static const struct {
        const char *variable, *part;
    } rows[] = {
        { "ATTIO_API_KEY=short", "characters" },
        { "ATTIO_API_KEY=key with blanks", "blank" },
        { "ATTIO_API_KEY=key-with\r\nX-Evil: 1", "line break" },
        { "ATTIO_API_KEY=key-\xc3\xa4\xc3\xb6\xc3\xbc-utf8", "character" },
    };
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        ck_assert_int_eq(load(NULL,
                              VARS((char *)(uintptr_t)rows[i].variable, HTTP,
                                   "ATTIO_WEBHOOK_SECRET=a-secret-of-a-test"),
                              true),
                         AD_ERR_CONFIG);
        assert_error("ATTIO_API_KEY", rows[i].part);
        ck_assert_uint_eq(c.errors_n, 1);
    }
}
END_TEST

START_TEST(an_empty_webhook_secret_is_an_error_in_every_form)
{
    static const char *const rows[] = { "ATTIO_WEBHOOK_SECRET=", "ATTIO_WEBHOOK_SECRET=,",
                                        "ATTIO_WEBHOOK_SECRET=a-good-secret,",
                                        "ATTIO_WEBHOOK_SECRET=a-good-secret, ,another-one" };
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        ck_assert_int_eq(load(NULL, VARS(KEY, HTTP, (char *)(uintptr_t)rows[i]), true),
                         AD_ERR_CONFIG);
        assert_error("ATTIO_WEBHOOK_SECRET", "empty");
    }
}
END_TEST

START_TEST(several_webhook_secrets_keep_their_order)
{
    assert_good(load(NULL, VARS(KEY, HTTP, "ATTIO_WEBHOOK_SECRET=newest-one, second-one"), true));
    ck_assert_str_eq(c.webhook_secrets[0], "newest-one");
    ck_assert_str_eq(c.webhook_secrets[1], "second-one");
    ck_assert_ptr_null(c.webhook_secrets[2]);
}
END_TEST

START_TEST(without_secret_and_public_url_only_no_webhooks_serves)
{
    ck_assert_int_eq(load(NULL, VARS(KEY, HTTP), true), AD_ERR_CONFIG);
    assert_error("ATTIO_WEBHOOK_SECRET", "--no-webhooks");
    assert_good(load(NULL, VARS(KEY, HTTP, "ATTIOD_PUBLIC_URL=https://hooks.example.com/"), true));
    ck_assert_str_eq(c.public_url, "https://hooks.example.com");
    flags[flags_n++] = (struct ad_config_flag){ "--no-webhooks", "true" };
    assert_good(load(NULL, VARS(KEY, HTTP), true));
    ck_assert(c.no_webhooks);
}
END_TEST

START_TEST(other_commands_need_neither_key_nor_secret)
{
    assert_good(load(NULL, VARS(HTTP), false));
}
END_TEST

START_TEST(rates_above_attios_ceilings_need_a_loopback_base_url)
{
    const char *file = "{\"rateLimit\":{\"readsPerSecond\":101,\"writesPerSecond\":26}}";
    assert_good(load(file, VARS(GOOD), true));
    ck_assert_int_eq(load(file,
                          VARS(KEY, "ATTIO_WEBHOOK_SECRET=a-secret-of-a-test",
                               "ATTIO_BASE_URL=http://sim.example.com:4010"),
                          true),
                     AD_ERR_CONFIG);
    assert_error("rateLimit.readsPerSecond", "Attio allows 100");
    assert_error("rateLimit.writesPerSecond", "Attio allows 25");
    ck_assert_uint_eq(c.errors_n, 2);
}
END_TEST

START_TEST(plain_http_is_for_loopback_or_outside_of_production)
{
    char *const away = "ATTIO_BASE_URL=http://sim.example.com:4010/v2";
    char *const secret = "ATTIO_WEBHOOK_SECRET=a-secret-of-a-test";
    assert_good(load(NULL, VARS(KEY, secret, away), true));
    ck_assert_int_eq(load(NULL, VARS(KEY, secret, away, "ATTIO_ENV=production"), true),
                     AD_ERR_CONFIG);
    assert_error("ATTIO_BASE_URL", "https");
    assert_good(load(NULL, VARS(GOOD, "ATTIO_ENV=production"), true));
}
END_TEST

START_TEST(https_to_attio_needs_authorities_and_a_direct_way_unless_nothing_is_called)
{
    char *const secret = "ATTIO_WEBHOOK_SECRET=a-secret-of-a-test";
    char *const trust = "SSL_CERT_FILE=/nowhere/ca.pem";
    char *const proxy = "HTTPS_PROXY=http://ana:secret@proxy.example.com:3128";
    assert_good(load(NULL, VARS(KEY, secret), true)); /* Debian's */
    ck_assert(c.base_is_tls && !c.base_is_loopback);
    ck_assert_int_eq(load(NULL, VARS(KEY, secret, trust, proxy), true), AD_ERR_CONFIG);
    assert_error("SSL_CERT_FILE", "/nowhere/ca.pem: No such file");
    assert_error("HTTPS_PROXY", "proxy");
    ck_assert_uint_eq(c.errors_n, 2);
    assert_good(load(NULL, VARS(KEY, secret, trust, proxy, "ATTIO_ENABLED=false"), true));
    assert_good(load(NULL, VARS(GOOD, trust, proxy), true)); /* to this machine, without TLS */
    assert_good(load(NULL, VARS(trust, proxy), false));
}
END_TEST

START_TEST(a_certificate_needs_its_key_and_both_are_looked_at_by_who_serves)
{
    char *const cert = "ATTIOD_TLS_CERT=/nowhere/cert.pem";
    char *const key = "ATTIOD_TLS_KEY=/nowhere/key.pem";
    ck_assert_int_eq(load(NULL, VARS(GOOD, cert), true), AD_ERR_CONFIG);
    assert_error("ATTIOD_TLS_KEY", "belong together");
    ck_assert_int_eq(load(NULL, VARS(GOOD, key), true), AD_ERR_CONFIG);
    assert_error("ATTIOD_TLS_CERT", "belong together");
    ck_assert_int_eq(load(NULL, VARS(GOOD, cert, key), true), AD_ERR_CONFIG);
    assert_error("ATTIOD_TLS_CERT", "/nowhere/cert.pem: No such file");
    assert_good(load(NULL, VARS(cert, key), false));
}
END_TEST

START_TEST(places_must_be_well_formed)
{
    static const struct {
        const char *variable, *key, *part;
    } rows[] = {
        { "ATTIOD_LISTEN=everywhere", "ATTIOD_LISTEN", "host:port" },
        { "ATTIOD_INTERNAL_LISTEN=nowhere:x", "ATTIOD_INTERNAL_LISTEN", "host:port" },
        { "ATTIOD_INTERNAL_LISTEN=:8081", "ATTIOD_INTERNAL_LISTEN", "ATTIOD_TOKENS" },
        { "ATTIOD_PUBLIC_URL=hooks.example.com", "ATTIOD_PUBLIC_URL", "https" },
        { "ATTIOD_PUBLIC_URL=http://hooks.example.com", "ATTIOD_PUBLIC_URL", "must be https" },
        { "DATABASE_URL=sqlite:", "DATABASE_URL", "sqlite:" },
        { "DATABASE_URL=sqlite::memory:", "DATABASE_URL", "memory" },
        { "DATABASE_URL=mysql://x/y", "DATABASE_URL", "sqlite:" },
        { "ATTIO_EXPECTED_WORKSPACE_ID=mine", "ATTIO_EXPECTED_WORKSPACE_ID", "UUID" },
        { "ATTIO_BASE_URL=ftp://attio", "ATTIO_BASE_URL", "" },
        { "ATTIOD_MIGRATE=never", "ATTIOD_MIGRATE", "auto check" },
        { "LOG_LEVEL=wern", "LOG_LEVEL", "did you mean warn" },
        { "ATTIOD_TRUSTED_PROXIES=10.0.0.0/33", "ATTIOD_TRUSTED_PROXIES", "10.0.0.0/33" },
    };
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        char *const variable = (char *)(uintptr_t)rows[i].variable;
        ck_assert_int_eq(load(NULL, VARS(variable, GOOD), true), AD_ERR_CONFIG);
        assert_error(rows[i].key, rows[i].part);
        ck_assert_uint_eq(c.errors_n, 1);
    }
}
END_TEST

START_TEST(tokens_are_taken_apart)
{
    static const struct ad_config_token expected[] = {
        { "prom", "0123456789abcdef", AD_ROLE_METRICS },
        { "ops.1", "with:colons:in:it", AD_ROLE_OPERATE },
        { "reader_2", "0123456789abcdeg", AD_ROLE_READ },
    };
    static char tokens[] = "ATTIOD_TOKENS=prom:metrics:0123456789abcdef, "
                           "ops.1:operate:with:colons:in:it,\r\n "
                           "reader_2:read:0123456789abcdeg\n";
    assert_good(load(NULL, VARS(GOOD, "ATTIOD_INTERNAL_LISTEN=0.0.0.0:8081", tokens), true));
    for (size_t i = 0; i < AD_LEN(expected); i++) {
        ck_assert_str_eq(c.access[i].name, expected[i].name);
        ck_assert_str_eq(c.access[i].token, expected[i].token);
        ck_assert_int_eq(c.access[i].role, expected[i].role);
    }
    ck_assert_ptr_null(c.access[AD_LEN(expected)].name);
    ck_assert_str_eq(ad_config_show(&c, ad_config_key_of(tokens)), "***");
    assert_good(load(NULL, VARS(GOOD), true));
    ck_assert_ptr_null(c.access);
}
END_TEST

START_TEST(tokens_that_protect_nothing_are_refused_without_being_shown)
{
    static const struct {
        const char *text, *part;
    } rows[] = {
        { "ops:operate:0123456789abcde", "16 to 512" },
        { "ops:operate", "16 to 512" },
        { "ops:operator:0123456789abcdef", "no role" },
        { "ops:none:0123456789abcdef", "no role" },
        { "0123456789abcdef", "no role" },
        { ":operate:0123456789abcdef", "no name" },
        { "o ps:operate:0123456789abcdef", "no name" },
        { "ops:operate:0123456789 abcdef", "blank" },
        { "a:read:0123456789abcdef,a:read:0123456789abcdeg", "entry 2 has the name" },
        { "a:read:0123456789abcdef,b:read:0123456789abcdef", "entry 2 has the name or the token" },
        { ",", "names nobody" },
    };
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        char text[256];
        (void)snprintf(text, sizeof(text), "ATTIOD_TOKENS=%s", rows[i].text);
        ck_assert_int_eq(load(NULL, VARS(text, GOOD), true), AD_ERR_CONFIG);
        const struct ad_config_error *e = assert_error("ATTIOD_TOKENS", rows[i].part);
        ck_assert_msg(!strstr(e->message, "0123456789"), "%s", e->message);
        ck_assert_uint_eq(c.errors_n, 1);
    }
}
END_TEST

START_TEST(allowed_hosts_are_names)
{
    assert_good(load("{\"server\":{\"allowedHosts\":[\"attiod.internal\"]}}", VARS(GOOD), true));
    ck_assert_str_eq(c.allowed_hosts[0], "attiod.internal");
    static const char *const bad[] = { "http://a", "*.example.com", "a b" };
    for (size_t i = 0; i < AD_LEN(bad); i++) {
        char text[128];
        (void)snprintf(text, sizeof(text), "{\"server\":{\"allowedHosts\":[\"%s\"]}}", bad[i]);
        ck_assert_int_eq(load(text, VARS(GOOD), true), AD_ERR_CONFIG);
        assert_error("server.allowedHosts", bad[i]);
    }
}
END_TEST

START_TEST(lists_and_relations_are_checked)
{
    ck_assert_int_eq(load("{\"webhooks\":{\"events\":[\"record.updated\",\"record.deleeted\"]},"
                          "\"attio\":{\"connectMs\":9000,\"timeoutMs\":8000,\"totalMs\":7000}}",
                          VARS(GOOD), true),
                     AD_ERR_CONFIG);
    assert_error("webhooks.events", "did you mean record.deleted");
    assert_error("attio.connectMs", "attio.timeoutMs");
    assert_error("attio.timeoutMs", "attio.totalMs");
    ck_assert_uint_eq(c.errors_n, 3);
}
END_TEST

START_TEST(lists_come_through_in_order)
{
    assert_good(load("{\"webhooks\":{\"events\":[\"record.updated\"]},"
                     "\"sync\":{\"objects\":[\"people\",\"deals\"]}}",
                     VARS(GOOD), true));
    ck_assert_str_eq(c.sync_objects[0], "people");
    ck_assert_str_eq(c.sync_objects[1], "deals");
    ck_assert_ptr_null(c.sync_objects[2]);
    ck_assert_str_eq(c.webhook_events[0], "record.updated");
    assert_good(load("{\"sync\":{\"objects\":[]}}", VARS(GOOD), true));
    ck_assert_ptr_null(c.sync_objects);
}
END_TEST

/* --- Warnings, showing -------------------------------------------------------------------- */

START_TEST(what_is_odd_but_not_wrong_is_a_warning)
{
    assert_good(load(NULL,
                     VARS(GOOD, "ATTIOD_PUBLIC_URL=https://hooks.example.com",
                          "REDIS_URL=redis://127.0.0.1", "ATTIO_WEBHOOK_SECRETT=x",
                          "ATTIOD_SOURCE_DIR=/src", "ATTIOD_BUILD_DIR=/build"),
                     true));
    ck_assert_ptr_nonnull(find(&c.warnings, "ATTIO_ENV", "development"));
    ck_assert_ptr_nonnull(find(&c.warnings, "REDIS_URL", "not used"));
    ck_assert_ptr_nonnull(find(&c.warnings, "ATTIO_WEBHOOK_SECRETT", "ATTIO_WEBHOOK_SECRET?"));
    ck_assert_ptr_null(find(&c.warnings, "ATTIOD_SOURCE_DIR", ""));
    ck_assert_ptr_null(find(&c.warnings, "ATTIOD_BUILD_DIR", ""));
}
END_TEST

START_TEST(shown_values_hide_secrets_and_passwords)
{
    (void)load(NULL, VARS(GOOD, "DATABASE_URL=postgresql://attiod:hunter2@db/attiod"), true);
    ck_assert_str_eq(ad_config_show(&c, ad_config_key_of(api_key)), "***");
    ck_assert_str_eq(ad_config_show(&c, ad_config_key_of(webhook_secret)), "***");
    ck_assert_ptr_null(ad_config_show(&c, ad_config_key_of(client_token)));
    ck_assert_str_eq(ad_config_show(&c, ad_config_key_of(database_url)),
                     "postgresql://***@db/attiod");
    ck_assert_str_eq(ad_config_show(&c, ad_config_key_of(concurrency)), "2");
    ck_assert_str_eq(ad_config_show(&c, ad_config_key_of(sync_objects)), "");
    ck_assert_ptr_null(ad_config_show(&c, ad_config_key_of(port)));
}
END_TEST

static enum ad_err scenario(void *ctx)
{
    (void)ctx;
    struct ad_config one;
    const struct ad_config_input in = { .environ = VARS(GOOD, "ATTIO_ENV=production"),
                                        .file = extra,
                                        .source_dir = source_dir(),
                                        .serve = true };
    enum ad_err err = ad_config_load(&one, &in);
    ad_config_fini(&one);
    /* Without memory for a value the value counts as missing: an error, and no start. */
    return err == AD_ERR_CONFIG ? AD_ERR_NOMEM : err;
}

START_TEST(no_memory_at_any_place_never_gives_a_configuration)
{
    write_file(extra,
               "{\"sync\":{\"objects\":[\"people\",\"deals\"]},\"log\":{\"level\":\"warn\"}}");
    torture(scenario, NULL);
}
END_TEST

static Suite *config_suite(void)
{
    const TTest *const tests[] = {
        each_environment_has_the_reference_values,
        built_in_values_are_those_of_the_specification,
        every_row_of_the_table_is_named_documented_and_within_its_own_range,
        flags_win_over_variables_over_the_extra_file_over_the_environments_file,
        every_value_knows_where_it_comes_from,
        node_env_counts_where_attio_env_is_unset,
        an_unknown_environment_is_an_error_that_names_the_near_one,
        a_variable_may_come_from_a_file,
        a_folder_that_was_named_must_hold_the_file,
        port_counts_where_attiod_listen_is_unset,
        all_errors_are_listed_at_once_with_file_line_and_key,
        no_error_shows_the_value_of_a_secret,
        a_file_that_is_no_json_is_one_error_among_others,
        an_api_key_must_look_like_one,
        an_empty_webhook_secret_is_an_error_in_every_form,
        several_webhook_secrets_keep_their_order,
        without_secret_and_public_url_only_no_webhooks_serves,
        other_commands_need_neither_key_nor_secret,
        rates_above_attios_ceilings_need_a_loopback_base_url,
        plain_http_is_for_loopback_or_outside_of_production,
        https_to_attio_needs_authorities_and_a_direct_way_unless_nothing_is_called,
        a_certificate_needs_its_key_and_both_are_looked_at_by_who_serves,
        places_must_be_well_formed,
        tokens_are_taken_apart,
        tokens_that_protect_nothing_are_refused_without_being_shown,
        allowed_hosts_are_names,
        lists_and_relations_are_checked,
        lists_come_through_in_order,
        what_is_odd_but_not_wrong_is_a_warning,
        shown_values_hide_secrets_and_passwords,
        no_memory_at_any_place_never_gives_a_configuration,
    };
    Suite *suite = suite_create("config");
    TCase *tcase = tcase_create("config");
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < AD_LEN(tests); i++) {
        tcase_add_test(tcase, tests[i]);
    }
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITE(config_suite)
