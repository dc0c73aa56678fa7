/* Long random schedules on simulated time: whatever happens to deliveries, calls, the process and the
 * schema, the mirror equals the workspace when things come to rest.
 *
 *   ATTIOD_SEED=n        the first schedule's seed (default 1)
 *   ATTIOD_SCHEDULES=n   how many, each with the next seed (default 40)
 *
 * A schedule that fails names its seed; ATTIOD_SEED=that ATTIOD_SCHEDULES=1 runs it again exactly.
 *
 * What "equals" means: a second attiod, which is started on an empty database when all is quiet and
 * never disturbed, must come to the same rows in every view; and what its rows hold as Attio said it is
 * compared with the simulator's own dump. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rand.h"
#include "converge/town.h"
#include "support/run.h"

#define STEPS 30
#define SYNC_MS 600000
#define REST_MS (UINT64_C(3) * SYNC_MS)

static struct town t;
static struct ad_rand rnd;
static uint64_t seed;
/* Every other schedule loses deliveries for good, and is mended by full syncs; the others lose none,
 * and events alone must do. */
static bool lossy;
static unsigned fields;     /* attributes made so far */
static struct ad_buf story; /* what was done, for whoever has to understand a failure */

static unsigned below(unsigned n)
{
    return (unsigned)ad_rand_below(&rnd, n);
}

static void note(const char *what, uint64_t n)
{
    ad_buf_fmt(&story, "  %8llu ms  %s %llu\n", (unsigned long long)(t.w.clock.mono_ms - 1000000),
               what, (unsigned long long)n);
    if (getenv("ATTIOD_VERBOSE")) {
        (void)fprintf(stderr, "  %8llu ms  %s %llu\n",
                      (unsigned long long)(t.w.clock.mono_ms - 1000000), what,
                      (unsigned long long)n);
    }
}

/* --- what happens --- */

static void edit(void)
{
    static const char *const kinds[] = { "\"edit\"", "\"insert\"", "\"delete\"",
                                         "\"edit\",\"insert\",\"delete\"" };
    unsigned n = 1 + below(8);
    note("changes", n);
    town_tell(&t, "/_sim/edit", "{\"count\":%u,\"objects\":[\"all\"],\"kinds\":[%s]}", n,
              kinds[below(4)]);
}

static void spoil_deliveries(void)
{
    static const char *const kinds[] = { "drop", "duplicate", "delay", "reorder" };
    unsigned kind = lossy ? below(4) : 1 + below(3);
    note(kinds[kind], 0);
    town_tell(&t, "/_sim/faults", "{\"kind\":\"%s\",\"rate\":0.%u,\"count\":%u,\"latency_ms\":%u}",
              kinds[kind], 1 + below(9), 1 + below(20), below(20000));
}

static void spoil_calls(void)
{
    static const char *const kinds[] = {
        "\"status\":500",       "\"status\":429",           "\"status\":503",
        "\"kind\":\"silence\"", "\"status\":401",           "\"kind\":\"half_body\"",
        "\"kind\":\"garbage\"", "\"kind\":\"broken_json\"",
    };
    unsigned kind = below(AD_LEN(kinds));
    note(kinds[kind], 0);
    town_tell(&t, "/_sim/faults", "{%s,\"rate\":0.%u,\"count\":%u}", kinds[kind], 1 + below(9),
              1 + below(6));
}

static void outage(void)
{
    unsigned kind = below(4);
    note("outage", kind);
    if (kind == 0) {
        t.to_sim.refuses = true; /* Attio cannot be reached */
    } else if (kind == 1) {
        t.to_node.refuses = true; /* we cannot */
    } else {
        town_tell(&t, "/_sim/faults", "{\"status\":%u}", kind == 2 ? 503 : 500);
    }
    world_advance(&t.w, 1000 + below(120000));
    t.to_sim.refuses = t.to_node.refuses = false;
    if (kind >= 2) {
        town_tell(&t, "/_sim/faults", "{\"clear\":true}");
    }
}

static void merge(void)
{
    static const char *const objects[] = { "people", "companies" };
    const char *object = objects[below(2)];
    char path[96];
    char ids[2][40];
    (void)snprintf(path, sizeof(path), "/v2/objects/%s/records/query", object);
    unsigned status;
    const struct ad_json *data =
        ad_json_get(town_ask(&t, "POST", path, "{\"limit\":20,\"offset\":0}", &status), "data");
    if (!ad_json_is(data, AD_JSON_ARRAY) || data->count < 4) {
        return;
    }
    unsigned first = below((unsigned)data->count);
    unsigned second = (first + 1 + below((unsigned)data->count - 1)) % (unsigned)data->count;
    for (unsigned i = 0; i < 2; i++) {
        struct ad_str id =
            ad_json_str(ad_json_path(ad_json_at(data, i ? second : first), "id.record_id"));
        (void)snprintf(ids[i], sizeof(ids[i]), "%.*s", AD_FMT(id));
    }
    char body[160];
    note("merge", 0);
    town_tell(&t, "/_sim/merge", "{\"vintage\":\"%s\",\"apply_ms\":%u}", below(2) ? "old" : "new",
              below(3) * 2000);
    (void)snprintf(path, sizeof(path), "/v2/objects/%s/records/merge", object);
    (void)snprintf(body, sizeof(body),
                   "{\"data\":{\"primary_record_id\":\"%s\",\"secondary_record_id\":\"%s\"}}",
                   ids[0], ids[1]);
    town_ask(&t, "POST", path, body, &status);
}

static void change_schema(void)
{
    static const char *const types[] = { "text", "number", "checkbox", "date", "rating" };
    char path[192];
    char body[320];
    unsigned status;
    unsigned n = ++fields;
    note("schema", n);
    if (below(2)) {
        (void)snprintf(
            body, sizeof(body),
            "{\"data\":{\"title\":\"Field %u\",\"description\":null,\"api_slug\":\"field_%u\","
            "\"type\":\"%s\",\"is_required\":false,\"is_unique\":false,"
            "\"is_multiselect\":false,\"config\":{}}}",
            n, n, types[below(5)]);
        town_ask(&t, "POST",
                 below(2) ? "/v2/objects/people/attributes" : "/v2/objects/deals/attributes", body,
                 &status);
        return;
    }
    if (below(2)) { /* another name */
        const struct ad_sim_object *list = ad_sim_list_find(&t.sim.store, AD_STR("sales_pipeline"));
        (void)snprintf(path, sizeof(path), "/v2/lists/sales_pipeline/attributes/%s",
                       list->attrs[below((unsigned)list->attrs_n)]->slug);
        (void)snprintf(body, sizeof(body), "{\"data\":{\"api_slug\":\"name_%u\"}}", n);
    } else { /* archived, or back */
        static const char *const slugs[] = { "job_title", "description", "facebook" };
        (void)snprintf(path, sizeof(path), "/v2/objects/people/attributes/%s", slugs[below(3)]);
        (void)snprintf(body, sizeof(body), "{\"data\":{\"is_archived\":%s}}",
                       below(2) ? "true" : "false");
    }
    town_ask(&t, "PATCH", path, body, &status); /* Attio refuses some of these, as it should */
}

static void kill_node(void)
{
    note("kill", t.lives);
    town_kill(&t);
    world_advance(&t.w, below(2) ? 0 : below(20000));
    town_start(&t);
}

static void restart_node(void)
{
    note("restart", t.lives);
    town_stop(&t);
    world_advance(&t.w, below(5000));
    town_start(&t);
}

static void step(void)
{
    unsigned what = below(100);
    if (what < 45) {
        edit();
    } else if (what < 60) {
        spoil_deliveries();
    } else if (what < 72) {
        spoil_calls();
    } else if (what < 76) {
        outage();
    } else if (what < 82) {
        merge();
    } else if (what < 88) {
        change_schema();
    } else if (what < 95) {
        kill_node();
    } else {
        restart_node();
    }
    /* Sometimes the next thing happens in the middle of this one. */
    if (below(3) == 0) {
        for (unsigned turns = below(40); turns > 0; turns--) {
            ad_loop_turn(t.w.loop, 0);
        }
    } else {
        world_advance(&t.w, below(2) ? below(300) : below(15000));
    }
}

/* --- what must be true at the end --- */

static void give_up(const char *what, const char *detail)
{
    ck_abort_msg("seed %llu: %s %s\n%.*s", (unsigned long long)seed, what, detail,
                 AD_FMT(ad_buf_str(&story)));
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    ck_assert_msg(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK, "%s: %s", sql,
                  sqlite3_errmsg(db));
    return stmt;
}

static bool is_compared(const char *column)
{
    static const char *const ours[] = { "_version", "_accurate_at", "_synced_at", "_raw" };
    for (size_t i = 0; i < AD_LEN(ours); i++) {
        if (strcmp(column, ours[i]) == 0) {
            return false;
        }
    }
    return true;
}

/* The columns that both views must agree on. */
static void columns_of(sqlite3 *db, const char *schema, const char *view, struct ad_buf *out)
{
    char sql[256];
    (void)snprintf(sql, sizeof(sql), "SELECT name FROM pragma_table_info('%s', '%s') ORDER BY cid",
                   view, schema);
    sqlite3_stmt *stmt = prepare(db, sql);
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(stmt, 0);
        if (is_compared(name)) {
            ad_buf_fmt(out, "%s\"%s\"", ad_buf_len(out) ? "," : "", name);
        }
    }
    sqlite3_finalize(stmt);
}

/* Live rows of one that the other has not. */
static void expect_none(sqlite3 *db, const char *view, struct ad_str columns, const char *a,
                        const char *b)
{
    struct ad_buf sql;
    ad_buf_init(&sql, 1 << 20);
    ad_buf_fmt(&sql,
               "SELECT * FROM (SELECT %.*s FROM %s.\"%s\" WHERE _deleted_at IS NULL EXCEPT"
               " SELECT %.*s FROM %s.\"%s\" WHERE _deleted_at IS NULL) LIMIT 3",
               AD_FMT(columns), a, view, AD_FMT(columns), b, view);
    ad_buf_put(&sql, ad_str_n("", 1));
    sqlite3_stmt *stmt = prepare(db, ad_buf_str(&sql).p);
    char detail[1024] = "";
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        size_t n = strlen(detail);
        (void)snprintf(detail + n, sizeof(detail) - n, " [%s: %s %s]", a,
                       (const char *)sqlite3_column_text(stmt, 0),
                       sqlite3_column_count(stmt) > 1 && sqlite3_column_text(stmt, 1)
                           ? (const char *)sqlite3_column_text(stmt, 1)
                           : "");
    }
    sqlite3_finalize(stmt);
    ad_buf_fini(&sql);
    if (detail[0]) {
        give_up(view, detail);
    }
}

static void compare_view(sqlite3 *db, const char *view)
{
    struct ad_buf lived;
    struct ad_buf fresh;
    ad_buf_init(&lived, 1 << 20);
    ad_buf_init(&fresh, 1 << 20);
    columns_of(db, "main", view, &lived);
    columns_of(db, "fresh", view, &fresh);
    /* Columns may come in another order: the older mirror saw the attributes come one by one. */
    size_t n = ad_buf_len(&lived);
    if (n != ad_buf_len(&fresh)) {
        char detail[64];
        (void)snprintf(detail, sizeof(detail), "has other columns (%zu, %zu bytes of names)", n,
                       ad_buf_len(&fresh));
        give_up(view, detail);
    }
    expect_none(db, view, ad_buf_str(&lived), "main", "fresh");
    expect_none(db, view, ad_buf_str(&lived), "fresh", "main");
    ad_buf_fini(&lived);
    ad_buf_fini(&fresh);
}

static int64_t count_rows(sqlite3 *db, const char *view)
{
    char sql[128];
    (void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM fresh.\"%s\" WHERE _deleted_at IS NULL",
                   view);
    sqlite3_stmt *stmt = prepare(db, sql);
    ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
    int64_t n = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return n;
}

static const struct view {
    const char *view, *state, *key;
    const char *ours, *theirs; /* what is equal of what Attio said, and of the dump */
} views[] = {
    { "people", "people", "record_id", "$.values", "$.values" },
    { "companies", "companies", "record_id", "$.values", "$.values" },
    { "deals", "deals", "record_id", "$.values", "$.values" },
    { "list_sales_pipeline", "list:sales_pipeline", "entry_id", "$.entry_values", "$.values" },
    { "notes", "notes", "note_id", "$", "$" },
    { "tasks", "tasks", "task_id", "$", "$" },
    { "workspace_members", "workspace_members", "workspace_member_id", "$", "$" },
};

/* How many of the dump's items the view has not, or not like this, and one of them. */
static int64_t count_wrong(sqlite3 *db, const struct view *v, char id[40])
{
    char sql[640];
    struct ad_str dump = ad_buf_str(&t.answer);
    int n = snprintf(sql, sizeof(sql),
                     "SELECT count(*), coalesce(min(d.id), '') FROM"
                     " (SELECT value, coalesce(value ->> '$.%s', value ->> '$.id.%s') AS id"
                     "  FROM json_each(?1, '$.records')) d"
                     " LEFT JOIN fresh.\"%s\" v ON v.\"%s\" = d.id AND v._deleted_at IS NULL"
                     " WHERE v._raw IS NULL OR json_extract(CAST(v._raw AS TEXT), '%s')"
                     "  IS NOT json_extract(d.value, '%s')",
                     v->key, v->key, v->view, v->key, v->ours, v->theirs);
    ck_assert(n > 0 && (size_t)n < sizeof(sql));
    sqlite3_stmt *stmt = prepare(db, sql);
    ck_assert_int_eq(sqlite3_bind_text(stmt, 1, dump.p, (int)dump.n, SQLITE_STATIC), SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
    int64_t wrong = sqlite3_column_int64(stmt, 0);
    (void)snprintf(id, 40, "%s", (const char *)sqlite3_column_text(stmt, 1));
    sqlite3_finalize(stmt);
    return wrong;
}

/* The undisturbed mirror against the simulator's own account, so that both cannot be wrong alike. */
static void compare_with_workspace(sqlite3 *db, const struct view *v)
{
    char path[64];
    char id[40];
    char detail[128];
    unsigned status;
    (void)snprintf(path, sizeof(path), "/_sim/state?object=%s", v->state);
    const struct ad_json *dump = town_ask(&t, "GET", path, "", &status);
    const struct ad_json *list = ad_json_get(dump, "records");
    int64_t n = count_rows(db, v->view);
    if (status != 200 || !ad_json_is(list, AD_JSON_ARRAY) || (int64_t)list->count != n) {
        (void)snprintf(detail, sizeof(detail), "has %lld rows, the workspace %zu", (long long)n,
                       list ? (size_t)list->count : 0);
        give_up(v->view, detail);
    }
    int64_t wrong = count_wrong(db, v, id);
    if (wrong > 0) {
        (void)snprintf(detail, sizeof(detail), "has %lld rows that are not the workspace's: %s",
                       (long long)wrong, id);
        give_up(v->view, detail);
    }
}

static void expect_nothing_open(sqlite3 *db)
{
    sqlite3_stmt *stmt = prepare(
        db,
        "SELECT count(*), coalesce(min(type), '') FROM main.attiod_inbox WHERE state IN (0,1,2,4)");
    ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
    int64_t n = sqlite3_column_int64(stmt, 0);
    char detail[64];
    (void)snprintf(detail, sizeof(detail), "%lld, %s", (long long)n,
                   (const char *)sqlite3_column_text(stmt, 1));
    sqlite3_finalize(stmt);
    if (n > 0) {
        give_up("events are not done:", detail);
    }
}

static void compare(void)
{
    char path[128];
    char sql[200];
    sqlite3 *db = NULL;
    town_fresh(&t, path);
    town_stop(&t);
    ck_assert_int_eq(sqlite3_open(t.db, &db), SQLITE_OK);
    (void)snprintf(sql, sizeof(sql), "ATTACH '%s' AS fresh", path);
    ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    expect_nothing_open(db);
    for (size_t i = 0; i < AD_LEN(views); i++) {
        compare_with_workspace(db, &views[i]);
        compare_view(db, views[i].view);
    }
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}

/* Its log is handed over when `log` is given. */
static void run(uint64_t with, char **log)
{
    if (getenv("ATTIOD_VERBOSE")) {
        (void)fprintf(stderr, "seed %llu\n", (unsigned long long)with);
    }
    seed = with;
    fields = 0;
    ad_rand_seed(&rnd, seed);
    ad_buf_init(&story, 1 << 20);
    lossy = seed % 2 == 0;
    town_open(&t, seed, lossy ? SYNC_MS : 0);
    town_start(&t);
    world_advance(&t.w, below(2) ? 30000 : below(2000));
    for (unsigned i = 0; i < STEPS; i++) {
        step();
    }
    note("rest", 0);
    town_tell(&t, "/_sim/faults", "{\"clear\":true}");
    town_tell(&t, "/_sim/clock",
              "{\"factor\":1000}"); /* no more hours between a delivery's tries */
    world_advance(&t.w, REST_MS);
    compare();
    ad_buf_fini(&story);
    if (log) {
        struct ad_str text = ad_buf_str(&t.w.log);
        *log = strndup(text.p, text.n);
    }
    town_close(&t);
}

static uint64_t number(const char *name, uint64_t def)
{
    const char *text = getenv(name);
    uint64_t n = def;
    ck_assert(!text || ad_str_u64(ad_str_c(text), UINT64_MAX, &n));
    return n;
}

START_TEST(the_mirror_equals_the_workspace_at_rest)
{
    uint64_t first = number("ATTIOD_SEED", 1);
    uint64_t n = number("ATTIOD_SCHEDULES", 40);
    for (uint64_t i = 0; i < n; i++) {
        run(first + i, NULL);
    }
    (void)printf("%llu schedules from seed %llu\n", (unsigned long long)n,
                 (unsigned long long)first);
}
END_TEST

START_TEST(a_schedule_replays_exactly)
{
    for (uint64_t with = 1000; with < 1003; with++) {
        char *first = NULL;
        char *again = NULL;
        run(with, &first);
        run(with, &again);
        ck_assert_str_eq(again, first);
        free(first);
        free(again);
    }
}
END_TEST

static Suite *converge_suite(void)
{
    Suite *suite = suite_create("converge");
    TCase *tcase = tcase_create("converge");
    tcase_set_timeout(tcase, 0); /* as long as ATTIOD_SCHEDULES says; ctest has a limit */
    tcase_add_test(tcase, the_mirror_equals_the_workspace_at_rest);
    tcase_add_test(tcase, a_schedule_replays_exactly);
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITE(converge_suite)
