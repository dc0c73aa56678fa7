/* Full sync and everybody else: a delivery that comes while a page is applied is on disk before the
 * page is. Its threads are held at a statement of the page; no time is measured. */
#include "sync_fixture.h"

#include <semaphore.h>
#include <sqlite3.h>
#include <stdatomic.h>

enum { PAGE = 500, BATCH = 100, CHUNK = 50 };

/* What is seen of the statements, by the threads that run them. */
static struct {
    unsigned hold_look, hold_row;        /* held at that one, from 1; 0: at none */
    atomic_uint looks, rows;             /* of the page: what stands in SQL; written */
    atomic_uint looks_before_rows;       /* looks, at the first row */
    atomic_uint rows_before, rows_along; /* rows, when the delivery is written; and committed */
    atomic_bool arrived, committed;
    sem_t reached, open;
} seen;

static bool begins(const char *sql, const char *with)
{
    return strncmp(sql, with, strlen(with)) == 0;
}

static void hold(unsigned n, unsigned at)
{
    if (n == at) {
        sem_post(&seen.reached);
        sem_wait(&seen.open);
    }
}

static void on_row(void)
{
    unsigned n = atomic_fetch_add(&seen.rows, 1) + 1;
    if (n == 1) {
        atomic_store(&seen.looks_before_rows, atomic_load(&seen.looks));
    }
    hold(n, seen.hold_row);
}

static int on_statement(unsigned type, void *ctx, void *statement, void *text)
{
    const char *sql = text;
    (void)type;
    (void)ctx;
    (void)statement;
    if (begins(sql, "SELECT record_id, _version, _accurate_at")) {
        hold(atomic_fetch_add(&seen.looks, 1) + 1, seen.hold_look);
    } else if (begins(sql, "INSERT OR ROLLBACK INTO \"attiod_o_")) {
        on_row();
    } else if (begins(sql, "INSERT INTO attiod_inbox") && !atomic_exchange(&seen.arrived, true)) {
        atomic_store(&seen.rows_before, atomic_load(&seen.rows));
    } else if (begins(sql, "COMMIT") && atomic_load(&seen.arrived) &&
               !atomic_exchange(&seen.committed, true)) {
        atomic_store(&seen.rows_along, atomic_load(&seen.rows));
    }
    return 0;
}

static int watch(sqlite3 *db, char **error, const struct sqlite3_api_routines *api)
{
    (void)error;
    (void)api;
    return sqlite3_trace_v2(db, SQLITE_TRACE_STMT, on_statement, NULL);
}

/* Who is held may take longer than a read usually may. */
static void setup_watched(void)
{
    char url[200];
    struct ad_errinfo info = { .code = AD_OK };
    setup();
    fixture_close_store(&s.f);
    memset(&seen, 0, sizeof(seen));
    ck_assert_int_eq(sem_init(&seen.reached, 0, 0), 0);
    ck_assert_int_eq(sem_init(&seen.open, 0, 0), 0);
    ck_assert_int_eq(sqlite3_auto_extension((void (*)(void))watch), SQLITE_OK);
    (void)snprintf(url, sizeof(url), "sqlite:%s/test.db", s.f.folder);
    const struct ad_store_opts opts = { .url = url, .metrics = s.f.metrics, .read_ms = 120000 };
    enum ad_err err = ad_store_open(s.f.w.loop, &opts, &s.f.store, &info);
    ck_assert_msg(err == AD_OK, "%s", info.msg);
    s.f.store_closed = false;
    records_add(PAGE);
    up();
}

static bool is_held(void *ctx)
{
    (void)ctx;
    return sem_trywait(&seen.reached) == 0;
}

static void start_and_hold(void)
{
    start();
    world_until(&s.f.w, is_held, NULL);
}

/* The loop is free after a hundred records at most: there a delivery is taken and acknowledged. */
START_TEST(delivery_is_acknowledged_between_two_batches_of_a_page)
{
    seen.hold_look = (unsigned)_i;
    start_and_hold();
    event_send(&s, "record.created", 0, 1, 0);
    ck_assert_uint_eq(atomic_load(&seen.looks), (unsigned)_i);
    ck_assert_uint_eq(atomic_load(&seen.rows), 0);
    sem_post(&seen.open);
    done(PAGE);
    ck_assert_uint_eq(atomic_load(&seen.looks_before_rows), PAGE / BATCH);
}
END_TEST

struct delivery {
    struct ad_ingest in;
    struct ad_arena arena;
    struct ad_http_header headers[2];
    char hex[65];
    bool done;
};

static void on_ingested(struct ad_ingest *in)
{
    ((struct delivery *)in->data)->done = true;
}

static void delivery_begin(struct delivery *d)
{
    static const char body[] =
        "{\"webhook_id\":\"" WORKSPACE "\",\"events\":[{\"event_type\":\"task.created\",\"id\":{"
        "\"workspace_id\":\"" WORKSPACE "\",\"task_id\":\"" WORKSPACE "\"},"
        "\"actor\":{\"type\":\"system\",\"id\":null}}]}";
    sign(body, d->hex);
    ad_arena_init(&d->arena, 8 << 20);
    d->headers[0] = (struct ad_http_header){ AD_STR("Attio-Signature"), ad_str_c(d->hex) };
    d->headers[1] = (struct ad_http_header){ AD_STR("Idempotency-Key"), AD_STR("key") };
    d->done = false;
    d->in = (struct ad_ingest){ .body = ad_str_c(body),
                                .headers = d->headers,
                                .headers_n = AD_LEN(d->headers),
                                .arena = &d->arena,
                                .cb = on_ingested,
                                .data = d };
    ck_assert_int_eq(ad_ingest(s.service, &d->in), AD_OK);
}

static const unsigned rows[] = { 1, CHUNK, CHUNK + 1, PAGE / 2, PAGE - CHUNK, PAGE };

/* It waits for the chunk that is being written, and its own commit takes one more along. */
START_TEST(delivery_waits_for_one_chunk_of_a_page_and_one_commit)
{
    struct delivery d;
    seen.hold_row = rows[_i];
    start_and_hold();
    delivery_begin(&d);
    world_settle(&s.f.w);
    ck_assert(!d.done);
    sem_post(&seen.open);
    world_until_true(&s.f.w, &d.done);
    ck_assert_int_eq(d.in.err, AD_OK);
    ck_assert_uint_eq(d.in.accepted, 1);
    unsigned end = (rows[_i] + CHUNK - 1) / CHUNK * CHUNK; /* of the chunk */
    ck_assert_uint_eq(atomic_load(&seen.rows_before), end);
    ck_assert_uint_le(atomic_load(&seen.rows_along), end + CHUNK);
    ad_arena_fini(&d.arena);
    done(PAGE);
    ck_assert_uint_eq(atomic_load(&seen.rows), PAGE);
}
END_TEST

static Suite *sync_beside_suite(void)
{
    Suite *suite = suite_create("sync_beside");
    TCase *tcase = tcase_create("sync_beside");
    tcase_add_checked_fixture(tcase, setup_watched, teardown);
    tcase_add_loop_test(tcase, delivery_is_acknowledged_between_two_batches_of_a_page, 1,
                        1 + PAGE / BATCH);
    tcase_add_loop_test(tcase, delivery_waits_for_one_chunk_of_a_page_and_one_commit, 0,
                        (int)AD_LEN(rows));
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITE(sync_beside_suite)
