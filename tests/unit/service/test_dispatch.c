/* The dispatcher over a real inbox and a real database, on a virtual clock. */
#include "service/dispatch.h"

#include <stdio.h>
#include <unistd.h>

#include "attio/migrate.h"
#include "base/mem.h"
#include "infra/store.h"
#include "support/run.h"
#include "support/world.h"

#define WORKSPACE "14beef7a-99f7-4534-a87e-70b564330a4c"
#define OBJECT "97052eb9-e65e-443f-a297-f2d9a4a7f795"
#define RUNS_MAX 256

/* A handler whose every call is kept until the test ends it, or ended at once with `outcome`. */
struct probe {
    struct ad_handler h;
    struct ad_invocation *inv[RUNS_MAX];
    int64_t first[RUNS_MAX]; /* id of the first event of each call */
    size_t events[RUNS_MAX];
    unsigned attempt[RUNS_MAX];
    unsigned runs;
    bool at_once;
    enum ad_outcome outcome;
};

static struct world w;
static char directory[64];
static struct ad_store *store;
static struct ad_metrics *metrics;
static struct ad_inbox *inbox;
static struct ad_schema *schema;
static struct ad_registry *registry;
static struct ad_dispatch *dispatch;
static struct probe a, b;
static bool closed, no_memory;

static void on_closed(void *ctx)
{
    *(bool *)ctx = true;
}

static void probe_run(void *ctx, struct ad_invocation *inv)
{
    struct probe *p = ctx;
    ck_assert_uint_lt(p->runs, RUNS_MAX);
    p->inv[p->runs] = inv;
    p->events[p->runs] = ad_invocation_count(inv);
    p->first[p->runs] = ad_invocation_event(inv, 0)->id;
    p->attempt[p->runs] = ad_invocation_event(inv, 0)->attempt;
    p->runs++;
    if (p->at_once) {
        ad_invocation_done(inv, p->outcome, "as the test says");
    }
}

static const char *const records[] = { "record.*", NULL };

static void probe_init(struct probe *p, const char *name, enum ad_handler_mode mode)
{
    *p = (struct probe){ .h = { .abi = AD_HANDLER_ABI,
                                .name = name,
                                .types = records,
                                .mode = mode,
                                .max_attempts = 3,
                                .run = probe_run,
                                .ctx = p },
                         .at_once = true };
}

static void database_open(void)
{
    char url[96];
    struct ad_errinfo info = { 0 };
    (void)snprintf(url, sizeof(url), "sqlite:%s/x.db", directory);
    const struct ad_store_opts so = { .url = url, .metrics = metrics };
    ck_assert_msg(ad_store_open(w.loop, &so, &store, &info) == AD_OK, "%s", info.msg);
    ck_assert_msg(ad_migrate(store, false, NULL, NULL, &info) == AD_OK, "%s", info.msg);
    const struct ad_inbox_opts io = { .store = store,
                                      .clock = ad_loop_clock(w.loop),
                                      .timers = ad_loop_timers(w.loop),
                                      .metrics = metrics,
                                      .pending_max = 100000,
                                      .body_ms = 86400000,
                                      .key_ms = 604800000 };
    ck_assert_msg(ad_inbox_open(&io, &inbox, &info) == AD_OK, "%s", info.msg);
    const struct ad_schema_opts sc = { .store = store,
                                       .clock = ad_loop_clock(w.loop),
                                       .timers = ad_loop_timers(w.loop),
                                       .metrics = metrics,
                                       .ttl_ms = 60000 };
    ck_assert_msg(ad_schema_open(&sc, &schema, &info) == AD_OK, "%s", info.msg);
}

static bool without_attio;

static void dispatch_open(unsigned window)
{
    struct ad_errinfo info = { 0 };
    ck_assert_int_eq(ad_registry_new(&registry), AD_OK);
    ck_assert_int_eq(ad_registry_on(registry, "record.*", &a.h, &info), AD_OK);
    if (b.h.name) {
        ck_assert_int_eq(ad_registry_on(registry, "record.*", &b.h, &info), AD_OK);
    }
    ck_assert_int_eq(ad_registry_seal(registry, &info), AD_OK);
    const struct ad_dispatch_opts o = { .inbox = inbox,
                                        .schema = schema,
                                        .registry = registry,
                                        .clock = ad_loop_clock(w.loop),
                                        .timers = ad_loop_timers(w.loop),
                                        .metrics = metrics,
                                        .seed = 1,
                                        .window_max = window };
    ck_assert_int_eq(ad_dispatch_open(&o, &dispatch), AD_OK);
    if (without_attio) {
        ad_dispatch_without_attio(dispatch);
    }
    ad_dispatch_hold(dispatch, false);
}

static void dispatch_close(void)
{
    closed = false;
    ad_dispatch_close(dispatch, on_closed, &closed);
    for (int i = 0; i < 20 && !closed; i++) {
        world_settle(&w);
        if (!closed) {
            world_advance(&w, 1000);
        }
    }
    world_until_true(&w, &closed);
    ad_registry_free(registry);
}

static void database_close(void)
{
    closed = false;
    ad_schema_close(schema, on_closed, &closed);
    world_until_true(&w, &closed);
    ad_inbox_close(inbox);
    closed = false;
    ad_store_close(store, on_closed, &closed);
    world_until_true(&w, &closed);
}

static void setup(void)
{
    memset(&b, 0, sizeof(b));
    (void)snprintf(directory, sizeof(directory), "/tmp/attiod-dispatch-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    world_open(&w);
    ck_assert_int_eq(ad_metrics_new(&metrics), AD_OK);
    database_open();
}

static void teardown(void)
{
    database_close();
    ad_metrics_free(metrics);
    world_close(&w);
    static const char *const files[] = { "x.db", "x.db-wal", "x.db-shm", "x.db.lock" };
    for (size_t i = 0; i < AD_LEN(files); i++) {
        char path[96];
        (void)snprintf(path, sizeof(path), "%s/%s", directory, files[i]);
        (void)unlink(path);
    }
    (void)rmdir(directory);
}

/* ---- events ---- */

struct delivery {
    struct ad_arena arena;
    struct ad_delivery d;
    struct ad_inbox_append append;
    bool done;
};

static void on_appended(struct ad_inbox_append *x)
{
    struct delivery *d = x->data;
    d->done = true;
}

/* One durable delivery of n record.updated events of one record, handed to the dispatcher. Returns the seq of the first. */
static int64_t receive(unsigned record, unsigned n)
{
    struct delivery d = { .done = false };
    ad_arena_init(&d.arena, 1 << 20);
    struct ad_buf body;
    ad_buf_init(&body, 1 << 20);
    ad_buf_fmt(&body, "{\"webhook_id\":\"%s\",\"events\":[", WORKSPACE);
    for (unsigned i = 0; i < n; i++) {
        ad_buf_fmt(&body,
                   "%s{\"event_type\":\"record.updated\",\"id\":{\"workspace_id\":\"%s\","
                   "\"object_id\":\"%s\",\"record_id\":\"00000000-0000-4000-8000-%012u\","
                   "\"attribute_id\":\"%s\"},\"actor\":{\"type\":\"system\",\"id\":null}}",
                   i ? "," : "", WORKSPACE, OBJECT, record, OBJECT);
    }
    ad_buf_fmt(&body, "]}");
    struct ad_errinfo info = { 0 };
    ck_assert_msg(ad_webhook_decode(&d.arena, &d.arena, ad_buf_str(&body), &d.d, &info) == AD_OK,
                  "%s", info.msg);
    d.append = (struct ad_inbox_append){
        .delivery = &d.d, .arena = &d.arena, .cb = on_appended, .data = &d
    };
    ck_assert_int_eq(ad_inbox_append(inbox, &d.append), AD_OK);
    world_until_true(&w, &d.done);
    ck_assert_int_eq(d.append.err, AD_OK);
    int64_t seq = d.d.events[0].seq;
    if (no_memory) {
        heap_fail(0, SIZE_MAX);
    }
    ad_dispatch_push(dispatch, d.d.events, d.d.events_n);
    heap_fail(0, 0);
    ad_buf_fini(&body);
    ad_arena_fini(&d.arena);
    return seq;
}

static bool nothing_pending(void *ctx)
{
    (void)ctx;
    struct ad_dispatch_stats s;
    ad_dispatch_stats(dispatch, &s);
    return ad_inbox_pending(inbox) == 0 && s.held == 0;
}

static bool nothing_running(void *ctx)
{
    (void)ctx;
    struct ad_dispatch_stats s;
    ad_dispatch_stats(dispatch, &s);
    return s.running == 0 && !s.behind;
}

static bool is_level(void *ctx)
{
    (void)ctx;
    struct ad_dispatch_stats s;
    ad_dispatch_stats(dispatch, &s);
    return !s.behind;
}

/* As world_until, with time passing in small steps. */
static void pass_until(bool (*cond)(void *ctx), void *ctx)
{
    for (int i = 0; i < 5000 && !cond(ctx); i++) {
        world_advance(&w, 5);
        ad_loop_turn(w.loop, 1);
    }
    ck_assert(cond(ctx));
}

static bool has_runs(void *ctx)
{
    return a.runs >= *(const unsigned *)ctx;
}

struct shown {
    struct ad_inbox_query q;
    struct ad_buf out;
    bool done;
};

static void on_shown(struct ad_inbox_query *q)
{
    struct shown *s = q->data;
    s->done = true;
}

static bool shows(int64_t seq, const char *text)
{
    struct shown s = { .done = false };
    ad_buf_init(&s.out, 1 << 16);
    s.q = (struct ad_inbox_query){ .seq = seq, .out = &s.out, .cb = on_shown, .data = &s };
    ck_assert_int_eq(ad_inbox_show(inbox, &s.q), AD_OK);
    world_until_true(&w, &s.done);
    ck_assert_int_eq(s.q.err, AD_OK);
    bool found = ad_str_contains(ad_buf_str(&s.out), ad_str_c(text));
    ad_buf_fini(&s.out);
    return found;
}

/* ---- tests ---- */

START_TEST(event_goes_to_every_handler_and_is_done_when_all_are)
{
    probe_init(&a, "a", AD_HANDLER_EACH);
    probe_init(&b, "b", AD_HANDLER_EACH);
    b.at_once = false;
    dispatch_open(100);
    int64_t seq = receive(1, 1);
    world_until_count(&w, &b.runs, 1);
    ck_assert_uint_eq(a.runs, 1);
    ck_assert_int_eq(a.first[0], seq);
    ck_assert_int_eq(ad_inbox_pending(inbox), 1);
    ad_invocation_done(b.inv[0], AD_OUTCOME_DONE, NULL);
    world_until(&w, nothing_pending, NULL);
    ck_assert(shows(seq, "\"done\""));
    dispatch_close();
}
END_TEST

START_TEST(order_holds_per_subject_and_subjects_do_not_wait_for_each_other)
{
    probe_init(&a, "a", AD_HANDLER_EACH);
    a.at_once = false;
    dispatch_open(100);
    int64_t first = receive(1, 1);
    int64_t second = receive(1, 1);
    int64_t other = receive(2, 1);
    world_until_count(&w, &a.runs, 2);
    world_settle(&w);
    ck_assert_uint_eq(a.runs, 2);
    ck_assert_int_eq(a.first[0], first);
    ck_assert_int_eq(a.first[1], other);
    ad_invocation_done(a.inv[0], AD_OUTCOME_DONE, NULL);
    world_until_count(&w, &a.runs, 3);
    ck_assert_int_eq(a.first[2], second);
    ad_invocation_done(a.inv[1], AD_OUTCOME_DONE, NULL);
    ad_invocation_done(a.inv[2], AD_OUTCOME_DONE, NULL);
    world_until(&w, nothing_pending, NULL);
    dispatch_close();
}
END_TEST

START_TEST(failing_handler_is_retried_alone_holds_its_subject_back_and_ends_dead)
{
    probe_init(&a, "a", AD_HANDLER_EACH);
    probe_init(&b, "b", AD_HANDLER_EACH);
    a.outcome = AD_OUTCOME_RETRY;
    dispatch_open(100);
    int64_t seq = receive(1, 1);
    receive(1, 1);
    world_until_count(&w, &b.runs, 2);
    ck_assert_uint_eq(a.runs, 1);
    for (unsigned want = 2; want <= 3; want++) {
        world_advance(&w, 4000);
        world_until_count(&w, &a.runs, want);
        ck_assert_int_eq(a.first[want - 1], seq);
        ck_assert_uint_eq(a.attempt[want - 1], want);
    }
    a.outcome = AD_OUTCOME_DONE;
    world_until_count(&w, &a.runs, 4); /* the dead one releases the next */
    world_until(&w, nothing_pending, NULL);
    ck_assert_uint_eq(b.runs, 2);
    ck_assert(shows(seq, "\"dead\""));
    ck_assert(shows(seq, "as the test says"));
    dispatch_close();
}
END_TEST

START_TEST(latest_handler_gets_all_pending_events_of_a_subject_in_one_call)
{
    probe_init(&a, "a", AD_HANDLER_LATEST);
    a.at_once = false;
    dispatch_open(100);
    receive(1, 1);
    world_until_count(&w, &a.runs, 1);
    receive(1, 3);
    receive(1, 2);
    world_settle(&w);
    ck_assert_uint_eq(a.runs, 1);
    ad_invocation_done(a.inv[0], AD_OUTCOME_DONE, NULL);
    world_until_count(&w, &a.runs, 2);
    ck_assert_uint_eq(a.events[1], 5);
    ad_invocation_done(a.inv[1], AD_OUTCOME_DONE, NULL);
    world_until(&w, nothing_pending, NULL);
    dispatch_close();
}
END_TEST

START_TEST(absorbed_events_are_completed_by_the_invocation_that_took_them_in)
{
    probe_init(&a, "a", AD_HANDLER_LATEST);
    a.at_once = false;
    dispatch_open(100);
    receive(1, 1);
    world_until_count(&w, &a.runs, 1);
    receive(1, 2);
    ad_invocation_absorb(a.inv[0]);
    ck_assert_uint_eq(ad_invocation_count(a.inv[0]), 3);
    int64_t seqs[3];
    ck_assert_uint_eq(ad_invocation_last_seqs(a.inv[0], seqs), 3);
    ad_invocation_done(a.inv[0], AD_OUTCOME_DONE, NULL);
    world_until(&w, nothing_pending, NULL);
    ck_assert_uint_eq(a.runs, 1);
    dispatch_close();
}
END_TEST

START_TEST(last_seqs_leave_out_what_another_handler_still_works_on)
{
    probe_init(&a, "a", AD_HANDLER_LATEST);
    probe_init(&b, "b", AD_HANDLER_EACH);
    a.at_once = b.at_once = false;
    dispatch_open(100);
    int64_t seq = receive(1, 1);
    world_until_count(&w, &b.runs, 1);
    int64_t seqs[1];
    ck_assert_uint_eq(ad_invocation_last_seqs(a.inv[0], seqs), 0);
    ad_invocation_done(b.inv[0], AD_OUTCOME_DONE, NULL);
    ck_assert_uint_eq(ad_invocation_last_seqs(a.inv[0], seqs), 1);
    ck_assert_int_eq(seqs[0], seq);
    ad_invocation_done(a.inv[0], AD_OUTCOME_DONE, NULL);
    world_until(&w, nothing_pending, NULL);
    dispatch_close();
}
END_TEST

START_TEST(handler_that_never_ends_times_out_and_its_late_end_is_ignored)
{
    probe_init(&a, "a", AD_HANDLER_EACH);
    a.at_once = false;
    a.h.timeout_ms = 1000;
    dispatch_open(100);
    receive(1, 1);
    world_until_count(&w, &a.runs, 1);
    world_advance(&w, 1001);
    pass_until(has_runs, &(unsigned){ 2 });
    ck_assert_uint_eq(a.attempt[1], 2);
    ad_invocation_done(a.inv[0], AD_OUTCOME_DONE, NULL); /* late */
    ck_assert_int_eq(ad_inbox_pending(inbox), 1);
    ad_invocation_done(a.inv[1], AD_OUTCOME_DONE, NULL);
    ad_invocation_done(a.inv[1], AD_OUTCOME_DEAD, NULL); /* twice */
    world_until(&w, nothing_pending, NULL);
    dispatch_close();
}
END_TEST

START_TEST(after_a_restart_only_handlers_that_had_not_finished_run_again)
{
    probe_init(&a, "a", AD_HANDLER_EACH);
    probe_init(&b, "b", AD_HANDLER_EACH);
    a.outcome = AD_OUTCOME_RETRY;
    dispatch_open(100);
    int64_t seq = receive(1, 1);
    world_until_count(&w, &b.runs, 1);
    world_until(&w, nothing_running, NULL);
    dispatch_close();
    database_close();
    database_open();
    ck_assert_int_eq(ad_inbox_pending(inbox), 1);
    a.outcome = AD_OUTCOME_DONE;
    dispatch_open(100);
    world_until(&w, nothing_running, NULL);
    world_advance(&w, 5000);
    world_until(&w, nothing_pending, NULL);
    ck_assert_uint_eq(a.runs, 2);
    ck_assert_uint_eq(a.attempt[1], 2);
    ck_assert_uint_eq(b.runs, 1);
    ck_assert(shows(seq, "\"done\""));
    dispatch_close();
}
END_TEST

START_TEST(events_beyond_the_window_stay_in_sql_and_are_handled_in_order)
{
    probe_init(&a, "a", AD_HANDLER_EACH);
    a.at_once = false;
    dispatch_open(4);
    int64_t seq[12];
    for (unsigned i = 0; i < 12; i++) {
        seq[i] = receive(1, 1);
    }
    struct ad_dispatch_stats s;
    ad_dispatch_stats(dispatch, &s);
    ck_assert_uint_le(s.held, 4);
    ck_assert(s.behind);
    for (unsigned i = 0; i < 12; i++) {
        pass_until(has_runs, &(unsigned){ i + 1 });
        ck_assert_int_eq(a.first[i], seq[i]);
        ad_invocation_done(a.inv[i], AD_OUTCOME_DONE, NULL);
    }
    pass_until(nothing_pending, NULL);
    ck_assert_uint_eq(a.runs, 12);
    dispatch_close();
}
END_TEST

typedef enum ad_err (*operator_fn)(struct ad_inbox *in, struct ad_inbox_query *q);

static void operate(operator_fn fn, int64_t seq)
{
    struct shown s = { .done = false };
    s.q = (struct ad_inbox_query){
        .filter = { .state = -1 }, .seq = seq, .cb = on_shown, .data = &s
    };
    ck_assert_int_eq(fn(inbox, &s.q), AD_OK);
    world_until_true(&w, &s.done);
    ck_assert_int_eq(s.q.changed, 1);
    ad_dispatch_reload(dispatch, s.q.lowest);
}

START_TEST(replayed_event_runs_again)
{
    probe_init(&a, "a", AD_HANDLER_EACH);
    a.outcome = AD_OUTCOME_DEAD;
    dispatch_open(100);
    int64_t seq = receive(1, 1);
    world_until(&w, nothing_pending, NULL);
    ck_assert(shows(seq, "\"dead\""));
    a.outcome = AD_OUTCOME_DONE;
    operate(ad_inbox_replay, seq);
    world_until_count(&w, &a.runs, 2);
    world_until(&w, nothing_pending, NULL);
    ck_assert(shows(seq, "\"done\""));
    dispatch_close();
}
END_TEST

START_TEST(replaying_an_event_in_retry_runs_it_at_once_with_its_attempts_forgotten)
{
    probe_init(&a, "a", AD_HANDLER_EACH);
    a.outcome = AD_OUTCOME_RETRY;
    a.h.retry_base_ms = 3600000;
    dispatch_open(100);
    int64_t seq = receive(1, 1);
    receive(1, 1);
    world_until_count(&w, &a.runs, 1);
    world_settle(&w);
    while (!shows(seq, "\"retry\"")) {
        world_settle(&w);
    }
    a.outcome = AD_OUTCOME_DONE;
    operate(ad_inbox_replay, seq);
    world_until_count(&w, &a.runs, 3);
    ck_assert_int_eq(a.first[1], seq);
    ck_assert_uint_eq(a.attempt[1], 1);
    world_until(&w, nothing_pending, NULL);
    dispatch_close();
}
END_TEST

START_TEST(discarding_an_event_in_retry_releases_its_subject)
{
    probe_init(&a, "a", AD_HANDLER_EACH);
    a.outcome = AD_OUTCOME_RETRY;
    a.h.retry_base_ms = 3600000;
    dispatch_open(100);
    int64_t seq = receive(1, 1);
    int64_t next = receive(1, 1);
    world_until_count(&w, &a.runs, 1);
    while (!shows(seq, "\"retry\"")) {
        world_settle(&w);
    }
    a.outcome = AD_OUTCOME_DONE;
    operate(ad_inbox_discard, seq);
    world_until_count(&w, &a.runs, 2);
    ck_assert_int_eq(a.first[1], next);
    world_until(&w, nothing_pending, NULL);
    ck_assert_uint_eq(a.runs, 2);
    ck_assert(shows(seq, "\"discarded\""));
    dispatch_close();
}
END_TEST

START_TEST(event_discarded_under_a_running_handler_stays_discarded)
{
    probe_init(&a, "a", AD_HANDLER_EACH);
    a.at_once = false;
    dispatch_open(100);
    int64_t seq = receive(1, 1);
    int64_t waiting = receive(1, 1);
    world_until_count(&w, &a.runs, 1);
    operate(ad_inbox_discard, waiting);
    operate(ad_inbox_discard, seq);
    world_until(&w, is_level, NULL);
    ad_invocation_done(a.inv[0], AD_OUTCOME_DONE, NULL);
    world_until(&w, nothing_pending, NULL);
    ck_assert_uint_eq(a.runs, 1);
    ck_assert(shows(seq, "\"discarded\""));
    ck_assert(shows(waiting, "\"discarded\""));
    dispatch_close();
}
END_TEST

/* A loop test: the handler's end, whether it is replayed before that, the event's end. */
static const struct {
    enum ad_outcome outcome;
    bool replayed;
    const char *state;
} discarded[] = {
    { AD_OUTCOME_RETRY, false, "\"discarded\"" },
    { AD_OUTCOME_DEAD, false, "\"discarded\"" },
    { AD_OUTCOME_RETRY, true, "\"retry\"" },
};

START_TEST(event_discarded_while_it_ran_is_not_tried_again)
{
    probe_init(&a, "a", AD_HANDLER_EACH);
    a.at_once = false;
    a.h.retry_base_ms = 1000;
    dispatch_open(100);
    int64_t seq = receive(1, 1);
    world_until_count(&w, &a.runs, 1);
    operate(ad_inbox_discard, seq);
    world_until(&w, is_level, NULL);
    if (discarded[_i].replayed) {
        operate(ad_inbox_replay, seq);
        world_until(&w, is_level, NULL);
    }
    ad_invocation_done(a.inv[0], discarded[_i].outcome, "it failed");
    int64_t next = receive(1, 1);
    for (int i = 0; i < 5; i++) {
        world_settle(&w);
        world_advance(&w, 1000);
    }
    world_until_count(&w, &a.runs, 2); /* of the next, or again */
    ck_assert_int_eq(a.first[1], discarded[_i].replayed ? seq : next);
    ck_assert(shows(seq, discarded[_i].state));
    ad_invocation_done(a.inv[1], AD_OUTCOME_DONE, NULL);
    if (discarded[_i].replayed) {
        world_until_count(&w, &a.runs, 3);
        ad_invocation_done(a.inv[2], AD_OUTCOME_DONE, NULL);
    }
    world_until(&w, nothing_pending, NULL);
    dispatch_close();
}
END_TEST

START_TEST(replayed_event_goes_before_a_younger_one_that_is_in_retry)
{
    probe_init(&a, "a", AD_HANDLER_EACH);
    a.outcome = AD_OUTCOME_DEAD;
    a.h.retry_base_ms = 3600000;
    dispatch_open(100);
    int64_t seq = receive(1, 1);
    world_until(&w, nothing_pending, NULL);
    a.outcome = AD_OUTCOME_RETRY;
    int64_t younger = receive(1, 1);
    world_until_count(&w, &a.runs, 2);
    while (!shows(younger, "\"retry\"")) {
        world_settle(&w);
    }
    a.outcome = AD_OUTCOME_DONE;
    operate(ad_inbox_replay, seq);
    world_until_count(&w, &a.runs, 3);
    ck_assert_int_eq(a.first[2], seq);
    world_settle(&w);
    ck_assert_uint_eq(a.runs, 3); /* the younger one still pauses */
    world_advance(&w, 3600001);
    world_until_count(&w, &a.runs, 4);
    ck_assert_int_eq(a.first[3], younger);
    world_until(&w, nothing_pending, NULL);
    dispatch_close();
}
END_TEST

START_TEST(settle_that_fails_is_tried_again_and_nothing_runs_twice)
{
    probe_init(&a, "a", AD_HANDLER_EACH);
    a.at_once = false;
    dispatch_open(100);
    receive(1, 1);
    world_until_count(&w, &a.runs, 1);
    heap_fail(0, SIZE_MAX);
    ad_invocation_done(a.inv[0], AD_OUTCOME_DONE, NULL);
    world_settle(&w);
    ck_assert(heap_failed());
    heap_fail(0, 0);
    ck_assert_int_eq(ad_inbox_pending(inbox), 1);
    pass_until(nothing_pending, NULL);
    ck_assert_uint_eq(a.runs, 1);
    dispatch_close();
}
END_TEST

START_TEST(handler_that_ends_after_close_began_finds_its_event_done)
{
    probe_init(&a, "a", AD_HANDLER_EACH);
    a.at_once = false;
    dispatch_open(100);
    int64_t seq = receive(1, 1);
    int64_t left = receive(2, 1);
    world_until_count(&w, &a.runs, 2);
    closed = false;
    ad_dispatch_stop(dispatch);
    ad_dispatch_close(dispatch, on_closed, &closed);
    world_settle(&w);
    ck_assert(!closed);
    ad_invocation_done(a.inv[0], AD_OUTCOME_DONE, NULL);
    ad_invocation_done(a.inv[1], AD_OUTCOME_RETRY, "closing");
    ck_assert(!closed); /* never from inside done */
    world_until_true(&w, &closed);
    dispatch = NULL;
    ad_registry_free(registry);
    ck_assert(shows(seq, "\"done\""));
    ck_assert(shows(left, "\"pending\""));
}
END_TEST

START_TEST(without_memory_events_wait_in_sql_and_come_later)
{
    probe_init(&a, "a", AD_HANDLER_EACH);
    dispatch_open(100);
    world_until(&w, is_level, NULL);
    no_memory = true;
    receive(1, 1);
    receive(1, 1);
    no_memory = false;
    pass_until(nothing_pending, NULL);
    ck_assert_uint_eq(a.runs, 2);
    ck_assert_int_lt(a.first[0], a.first[1]);
    dispatch_close();
}
END_TEST

START_TEST(event_that_no_handler_wants_is_done)
{
    probe_init(&a, "a", AD_HANDLER_EACH);
    a.h.object = "some-other-object";
    dispatch_open(100);
    int64_t seq = receive(1, 1);
    world_until(&w, nothing_pending, NULL);
    ck_assert_uint_eq(a.runs, 0);
    ck_assert(shows(seq, "\"done\""));
    dispatch_close();
}
END_TEST

/* --- Attio switched off -------------------------------------------------------------------- */

static bool nothing_held(void *ctx)
{
    (void)ctx;
    struct ad_dispatch_stats stats;
    ad_dispatch_stats(dispatch, &stats);
    return stats.held == 0 && stats.running == 0 && !stats.behind;
}

static void two_handlers(void)
{
    probe_init(&a, "a", AD_HANDLER_EACH);
    probe_init(&b, "b", AD_HANDLER_EACH);
    b.h.needs_attio = true;
    without_attio = true;
}

START_TEST(without_attio_the_others_run_and_are_not_run_again)
{
    two_handlers();
    dispatch_open(3); /* less than there are: those that wait must not fill it */
    int64_t last = 0;
    for (unsigned i = 0; i < 20; i++) {
        last = receive(i, 1);
    }
    world_until_count(&w, &a.runs, 20);
    world_until(&w, nothing_held, NULL);
    ck_assert_uint_eq(b.runs, 0);
    ck_assert_int_eq(ad_inbox_pending(inbox), 20);
    ck_assert(shows(last, "\"retry\""));
    dispatch_close();
    dispatch_open(3); /* still without: nothing is done twice */
    world_until(&w, nothing_held, NULL);
    ck_assert_uint_eq(a.runs, 20);
    dispatch_close();
    without_attio = false;
    dispatch_open(100);
    world_until(&w, nothing_pending, NULL);
    ck_assert_uint_eq(a.runs, 20);
    ck_assert_uint_eq(b.runs, 20);
    ck_assert(shows(last, "\"done\""));
    dispatch_close();
}
END_TEST

START_TEST(without_attio_a_failing_handler_is_retried_and_dies_alone)
{
    two_handlers();
    a.outcome = AD_OUTCOME_RETRY;
    dispatch_open(100);
    int64_t seq = receive(1, 1);
    for (int i = 0; i < 100 && a.runs < 3; i++) {
        world_advance(&w, 1000);
        world_settle(&w);
    }
    ck_assert_uint_eq(a.runs, 3);
    world_until(&w, nothing_held, NULL);
    ck_assert_int_eq(ad_inbox_pending(inbox), 1); /* b is still to come */
    dispatch_close();
    without_attio = false;
    dispatch_open(100);
    world_until(&w, nothing_pending, NULL);
    ck_assert_uint_eq(a.runs, 3);
    ck_assert_uint_eq(b.runs, 1);
    ck_assert(shows(seq, "\"dead\""));
    dispatch_close();
}
END_TEST

START_TEST(without_attio_events_of_handlers_that_all_need_it_stay_untouched)
{
    two_handlers();
    a.h.needs_attio = true;
    dispatch_open(1);
    int64_t seq = receive(1, 2);
    world_until(&w, nothing_held, NULL);
    ck_assert_uint_eq(a.runs + b.runs, 0);
    ck_assert(shows(seq, "\"pending\""));
    dispatch_close();
    without_attio = false;
}
END_TEST

START_TEST(without_attio_an_operator_may_discard_and_replay)
{
    two_handlers();
    a.outcome = AD_OUTCOME_DEAD;
    dispatch_open(100);
    int64_t seq = receive(1, 1);
    world_until_count(&w, &a.runs, 1);
    world_until(&w, nothing_held, NULL);
    a.outcome = AD_OUTCOME_DONE;
    operate(ad_inbox_replay, seq);
    world_until_count(&w, &a.runs, 2);
    world_until(&w, nothing_held, NULL);
    operate(ad_inbox_discard, seq);
    world_until(&w, nothing_held, NULL);
    ck_assert_int_eq(ad_inbox_pending(inbox), 0);
    ck_assert(shows(seq, "\"discarded\""));
    dispatch_close();
    without_attio = false;
}
END_TEST

START_TEST(while_held_nothing_runs_and_release_runs_it_all)
{
    probe_init(&a, "a", AD_HANDLER_EACH);
    dispatch_open(100);
    world_until(&w, nothing_running, NULL);
    ad_dispatch_hold(dispatch, true);
    receive(1, 2);
    world_settle(&w);
    ck_assert_uint_eq(a.runs, 0);
    ad_dispatch_hold(dispatch, false);
    world_until(&w, nothing_pending, NULL);
    ck_assert_uint_eq(a.runs, 2);
    dispatch_close();
}
END_TEST

START_TEST(closing_under_a_running_handler_leaves_its_event_pending)
{
    probe_init(&a, "a", AD_HANDLER_EACH);
    a.at_once = false;
    dispatch_open(100);
    int64_t seq = receive(1, 1);
    world_until_count(&w, &a.runs, 1);
    dispatch_close();
    ck_assert(shows(seq, "\"pending\""));
    ck_assert_int_eq(ad_inbox_pending(inbox), 1);
    /* The handler was left behind and does not know. */
    ck_assert_uint_eq(ad_invocation_count(a.inv[0]), 0);
    ck_assert_ptr_null(ad_invocation_event(a.inv[0], 0));
    ad_invocation_absorb(a.inv[0]);
    ad_invocation_set_data(a.inv[0], &a);
    ck_assert_ptr_eq(ad_invocation_data(a.inv[0]), &a);
    ad_invocation_done(a.inv[0], AD_OUTCOME_DONE, NULL);
    ck_assert_int_eq(ad_inbox_pending(inbox), 1);
}
END_TEST

START_TEST(handler_whose_time_was_over_may_end_after_the_close)
{
    probe_init(&a, "a", AD_HANDLER_EACH);
    a.at_once = false;
    a.h.timeout_ms = 1000;
    a.h.max_attempts = 1;
    dispatch_open(100);
    int64_t seq = receive(1, 1);
    world_until_count(&w, &a.runs, 1);
    world_advance(&w, 1001);
    world_until(&w, nothing_pending, NULL);
    dispatch_close();
    ck_assert(shows(seq, "\"dead\""));
    ad_invocation_done(a.inv[0], AD_OUTCOME_DONE, NULL);
    ck_assert(shows(seq, "\"dead\""));
}
END_TEST

static Suite *dispatch_suite(void)
{
    const TTest *const tests[] = {
        event_goes_to_every_handler_and_is_done_when_all_are,
        order_holds_per_subject_and_subjects_do_not_wait_for_each_other,
        failing_handler_is_retried_alone_holds_its_subject_back_and_ends_dead,
        latest_handler_gets_all_pending_events_of_a_subject_in_one_call,
        absorbed_events_are_completed_by_the_invocation_that_took_them_in,
        last_seqs_leave_out_what_another_handler_still_works_on,
        handler_that_never_ends_times_out_and_its_late_end_is_ignored,
        after_a_restart_only_handlers_that_had_not_finished_run_again,
        events_beyond_the_window_stay_in_sql_and_are_handled_in_order,
        replayed_event_runs_again,
        replaying_an_event_in_retry_runs_it_at_once_with_its_attempts_forgotten,
        discarding_an_event_in_retry_releases_its_subject,
        event_discarded_under_a_running_handler_stays_discarded,
        replayed_event_goes_before_a_younger_one_that_is_in_retry,
        settle_that_fails_is_tried_again_and_nothing_runs_twice,
        handler_that_ends_after_close_began_finds_its_event_done,
        without_memory_events_wait_in_sql_and_come_later,
        event_that_no_handler_wants_is_done,
        without_attio_the_others_run_and_are_not_run_again,
        without_attio_a_failing_handler_is_retried_and_dies_alone,
        without_attio_events_of_handlers_that_all_need_it_stay_untouched,
        without_attio_an_operator_may_discard_and_replay,
        while_held_nothing_runs_and_release_runs_it_all,
        closing_under_a_running_handler_leaves_its_event_pending,
        handler_whose_time_was_over_may_end_after_the_close,
    };
    Suite *suite = suite_create("dispatch");
    TCase *tcase = tcase_create("dispatch");
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < AD_LEN(tests); i++) {
        tcase_add_test(tcase, tests[i]);
    }
    tcase_add_loop_test(tcase, event_discarded_while_it_ran_is_not_tried_again, 0,
                        (int)AD_LEN(discarded));
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITE(dispatch_suite)
