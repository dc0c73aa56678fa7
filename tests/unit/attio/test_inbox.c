#include "attio/inbox.h"

#include "fixture.h"
#include "support/run.h"
#include "support/sqlite_heap.h"
#include "support/torture.h"

#include <stdio.h>

#define WS "\"workspace_id\":\"00000000-0000-4000-8000-000000000001\""
#define TASK_ID "00000000-0000-4000-8000-0000000000"
#define MINUTE_MS (INT64_C(60) * 1000)

static struct attio_fixture f;
static struct ad_inbox *in;
static struct ad_inbox_opts opts;

struct sent {
    struct ad_arena arena;
    struct ad_delivery d;
    struct ad_inbox_append a;
    bool done;
    char text[4096];
};

static struct sent sent;  /* by send() */
static struct ad_buf out; /* of a query */

static void inbox_open(void)
{
    struct ad_errinfo info = { 0 };
    enum ad_err err = ad_inbox_open(&opts, &in, &info);
    ck_assert_msg(err == AD_OK, "%s", info.msg);
}

static void setup(void)
{
    sqlite_heap_install();
    fixture_open(&f);
    ad_arena_init(&sent.arena, 1);
    ad_buf_init(&out, 1);
    opts = (struct ad_inbox_opts){ .store = f.store,
                                   .clock = ad_loop_clock(f.w.loop),
                                   .timers = ad_loop_timers(f.w.loop),
                                   .metrics = f.metrics,
                                   .pending_max = 1000,
                                   .body_ms = 10 * MINUTE_MS,
                                   .key_ms = 60 * MINUTE_MS };
    inbox_open();
}

static void teardown(void)
{
    if (in) {
        ad_inbox_close(in);
    }
    ad_arena_fini(&sent.arena);
    ad_buf_fini(&out);
    fixture_close(&f);
}

/* --- Deliveries --- */

static void on_append(struct ad_inbox_append *a)
{
    ((struct sent *)a->data)->done = true;
}

/* A delivery of `n` task events on the tasks `first` and up. */
static void make(struct sent *s, const char *key, unsigned first, unsigned n)
{
    size_t at = (size_t)snprintf(s->text, sizeof(s->text), "{\"webhook_id\":\"w\",\"events\":[");
    for (unsigned i = 0; i < n; i++) {
        at += (size_t)snprintf(s->text + at, sizeof(s->text) - at,
                               "%s{\"event_type\":\"task.updated\",\"id\":{" WS
                               ",\"task_id\":\"" TASK_ID "%02u\"},\"actor\":{}}",
                               i ? "," : "", first + i);
    }
    (void)snprintf(s->text + at, sizeof(s->text) - at, "]}");
    ad_arena_init(&s->arena, 1 << 20);
    ck_assert_int_eq(ad_webhook_decode(&s->arena, &s->arena, ad_str_c(s->text), &s->d, NULL),
                     AD_OK);
    s->d.key = ad_str_c(key);
    s->a = (struct ad_inbox_append){
        .delivery = &s->d, .arena = &s->arena, .cb = on_append, .data = s
    };
    s->done = false;
}

static void finish(struct sent *s)
{
    world_until_true(&f.w, &s->done);
    ad_arena_fini(&s->arena);
}

/* The one before is forgotten. */
static struct sent *send(const char *key, unsigned first, unsigned n)
{
    ad_arena_fini(&sent.arena);
    make(&sent, key, first, n);
    ck_assert_int_eq(ad_inbox_append(in, &sent.a), AD_OK);
    ck_assert(!sent.done);
    world_until_true(&f.w, &sent.done);
    ck_assert_msg(sent.a.err == AD_OK, "%s", sent.a.info.msg);
    return &sent;
}

static void quarantine(const char *key, const char *text)
{
    static struct sent s;
    ad_arena_init(&s.arena, 1 << 20);
    s.d = (struct ad_delivery){ .key = ad_str_c(key) };
    s.a = (struct ad_inbox_append){
        .delivery = &s.d, .arena = &s.arena, .cb = on_append, .data = &s
    };
    s.done = false;
    ck_assert_int_eq(ad_inbox_quarantine(in, &s.a, ad_str_c(text), AD_STR("events: required")),
                     AD_OK);
    finish(&s);
    ck_assert_int_eq(s.a.err, AD_OK);
}

static int64_t states(const char *list)
{
    char sql[200];
    (void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM attiod_inbox WHERE state IN (%s)", list);
    return fixture_i64(&f, sql);
}

/* --- Append --- */

START_TEST(an_event_is_stored_once_with_all_it_says)
{
    const struct sent *s = send("k1", 10, 1);
    ck_assert_uint_eq(s->a.accepted, 1);
    ck_assert_uint_eq(s->a.duplicate, 0);
    ck_assert_int_eq(s->d.events[0].seq, 1);
    ck_assert_int_eq(s->d.events[0].received_ns, ad_wall_ns(opts.clock));
    ck_assert_int_eq(ad_inbox_pending(in), 1);
    ck_assert(fixture_text_is(&f,
                              "SELECT dedupe || ' ' || part || ' ' || type || ' ' || subject || ' '"
                              " || state FROM attiod_inbox",
                              "k1 0 task.updated task:" TASK_ID "10 0"));
    ck_assert(
        fixture_text_is(&f, "SELECT body -> 'id' ->> 'task_id' FROM attiod_inbox", TASK_ID "10"));
}
END_TEST

START_TEST(a_delivery_that_comes_again_is_a_duplicate_whatever_became_of_the_first)
{
    send("k1", 10, 2);
    const struct sent *s = send("k1", 10, 2);
    ck_assert_uint_eq(s->a.accepted, 0);
    ck_assert_uint_eq(s->a.duplicate, 2);
    ck_assert_int_eq(s->d.events[0].seq, 0);
    fixture_sql(&f, "UPDATE attiod_inbox SET state = 3");
    ck_assert_uint_eq(send("k1", 10, 2)->a.duplicate, 2);
    ck_assert_int_eq(ad_inbox_pending(in), 2);
    s = send("k1", 10, 3); /* one more event under the same key is a new one */
    ck_assert_uint_eq(s->a.accepted, 1);
    ck_assert_int_eq(s->d.events[1].seq, 0);
    ck_assert_int_gt(s->d.events[2].seq, 2);
}
END_TEST

START_TEST(keys_and_places_are_not_confused)
{
    ck_assert_uint_eq(send("k", 10, 2)->a.accepted, 2);
    ck_assert_uint_eq(send("k#1", 10, 1)->a.accepted, 1);
    ck_assert_uint_eq(send("k1", 10, 1)->a.accepted, 1);
}
END_TEST

START_TEST(without_a_key_equal_deliveries_are_different)
{
    ck_assert_uint_eq(send(NULL, 10, 1)->a.accepted, 1);
    ck_assert_uint_eq(send(NULL, 10, 1)->a.accepted, 1);
    ck_assert_int_eq(ad_inbox_pending(in), 2);
}
END_TEST

START_TEST(the_same_delivery_many_times_at_once_is_stored_once)
{
    static struct sent s[50];
    unsigned accepted = 0;
    for (size_t i = 0; i < AD_LEN(s); i++) {
        make(&s[i], "same", 10, 1);
        ck_assert_int_eq(ad_inbox_append(in, &s[i].a), AD_OK);
    }
    for (size_t i = 0; i < AD_LEN(s); i++) {
        finish(&s[i]);
        accepted += s[i].a.accepted;
    }
    ck_assert_uint_eq(accepted, 1);
    ck_assert_int_eq(ad_inbox_pending(in), 1);
}
END_TEST

START_TEST(seqs_rise_in_order_of_arrival)
{
    static struct sent s[20];
    char key[16];
    for (unsigned i = 0; i < AD_LEN(s); i++) {
        (void)snprintf(key, sizeof(key), "%u", i);
        make(&s[i], key, 10, 1 + i % 3);
        s[i].d.key = ad_arena_str(&s[i].arena, ad_str_c(key));
        ck_assert_int_eq(ad_inbox_append(in, &s[i].a), AD_OK);
    }
    int64_t last = 0;
    for (unsigned i = 0; i < AD_LEN(s); i++) {
        world_until_true(&f.w, &s[i].done);
        for (size_t k = 0; k < s[i].d.events_n; k++) {
            ck_assert_int_gt(s[i].d.events[k].seq, last);
            last = s[i].d.events[k].seq;
        }
        ad_arena_fini(&s[i].arena);
    }
}
END_TEST

START_TEST(a_delivery_without_events_is_accepted_later)
{
    const struct sent *s = send("k", 10, 0);
    ck_assert_uint_eq(s->a.accepted + s->a.duplicate, 0);
}
END_TEST

START_TEST(a_full_backlog_is_busy_before_anything_is_stored)
{
    static struct sent s[3];
    ad_inbox_close(in);
    opts.pending_max = 3;
    inbox_open();
    make(&s[0], "a", 10, 2);
    make(&s[1], "b", 10, 2);
    make(&s[2], "c", 10, 1);
    ck_assert_int_eq(ad_inbox_append(in, &s[0].a), AD_OK);
    ck_assert_int_eq(ad_inbox_append(in, &s[1].a), AD_ERR_BUSY);
    ck_assert_int_eq(ad_inbox_append(in, &s[2].a), AD_OK);
    finish(&s[0]);
    finish(&s[2]);
    ad_arena_fini(&s[1].arena);
    ad_inbox_note_done(in, 3);
    send("b", 10, 2);
}
END_TEST

START_TEST(no_memory_for_an_append_stores_nothing_or_all)
{
    for (size_t n = 0; n < 12; n++) {
        static struct sent s;
        char key[16];
        (void)snprintf(key, sizeof(key), "n%zu", n);
        make(&s, key, 10, 2);
        heap_fail(n, 1);
        enum ad_err err = ad_inbox_append(in, &s.a);
        if (err == AD_OK) {
            world_until_true(&f.w, &s.done);
            err = s.a.err;
        }
        heap_fail(0, 0);
        ad_arena_fini(&s.arena);
        ck_assert_msg(err == AD_OK || err == AD_ERR_NOMEM, "%s", ad_err_name(err));
        ck_assert_uint_eq(s.a.accepted, err ? 0 : 2);
    }
    ck_assert_int_eq(fixture_i64(&f, "SELECT count(*) FROM attiod_inbox"), ad_inbox_pending(in));
}
END_TEST

START_TEST(the_pending_count_survives_a_restart)
{
    send("k", 10, 3);
    fixture_sql(&f, "UPDATE attiod_inbox SET state = 3 WHERE seq = 1;"
                    "UPDATE attiod_inbox SET state = 1 WHERE seq = 2");
    ad_inbox_close(in);
    inbox_open();
    ck_assert_int_eq(ad_inbox_pending(in), 2);
}
END_TEST

/* --- Load and settle --- */

struct waiter {
    bool done;
    struct ad_event events[10];
    size_t n;
    struct ad_attempt attempts[10];
    char handlers[10][16], errors[10][16];
    size_t attempts_n;
    bool more;
    enum ad_err err;
};

static void on_load(struct ad_inbox_load *l)
{
    struct waiter *w = l->data;
    w->done = true;
    w->err = l->err;
    w->n = l->events_n;
    w->more = l->more;
    w->attempts_n = l->attempts_n;
    ck_assert_uint_le(l->events_n, 10);
    for (size_t i = 0; i < l->events_n; i++) {
        w->events[i] = l->events[i];
        ck_assert(l->events[i].body.n > 0);
        assert_str(l->events[i].type, "task.updated");
        ck_assert_uint_eq(l->events[i].primary_id.n, 36);
    }
    for (size_t i = 0; i < l->attempts_n; i++) {
        w->attempts[i] = l->attempts[i];
        (void)snprintf(w->handlers[i], 16, "%.*s", AD_FMT(l->attempts[i].handler));
        (void)snprintf(w->errors[i], 16, "%.*s", AD_FMT(l->attempts[i].error));
    }
}

static struct waiter *load(int64_t after, unsigned max)
{
    static struct waiter w;
    w = (struct waiter){ .done = false };
    struct ad_inbox_load l = { .after = after, .max = max, .cb = on_load, .data = &w };
    ck_assert_int_eq(ad_inbox_load(in, &l), AD_OK);
    world_until_true(&f.w, &w.done);
    ck_assert_int_eq(w.err, AD_OK);
    return &w;
}

static void on_settle(struct ad_inbox_settle *s)
{
    *(bool *)s->data = true;
}

static void settle(struct ad_inbox_settle *s)
{
    bool done = false;
    s->cb = on_settle;
    s->data = &done;
    ck_assert_int_eq(ad_inbox_settle(in, s), AD_OK);
    ck_assert(!done);
    world_until_true(&f.w, &done);
    ck_assert_msg(s->err == AD_OK, "%s", s->info.msg);
}

START_TEST(open_events_are_loaded_in_order_and_in_pages)
{
    send("k", 10, 5);
    fixture_sql(&f, "UPDATE attiod_inbox SET state = 3 WHERE seq = 2");
    struct waiter *w = load(0, 2);
    ck_assert_uint_eq(w->n, 2);
    ck_assert_int_eq(w->events[0].seq, 1);
    ck_assert_int_eq(w->events[1].seq, 3);
    ck_assert(w->more);
    w = load(3, 2);
    ck_assert_uint_eq(w->n, 2);
    ck_assert_int_eq(w->events[1].seq, 5);
    ck_assert(!w->more);
    ck_assert_uint_eq(load(5, 10)->n, 0);
    struct ad_inbox_load l = { .max = 0 };
    ck_assert_int_eq(ad_inbox_load(in, &l), AD_ERR_INVALID);
}
END_TEST

START_TEST(outcomes_are_recorded_together)
{
    send("k", 10, 6);
    struct ad_attempt attempts[] = {
        { 3, AD_STR("a"), AD_EVENT_RETRY, 2, 777, AD_STR("why") },
        { 3, AD_STR("b"), AD_EVENT_DONE, 1, 0, AD_STR_NONE },
        { 4, AD_STR("a"), AD_EVENT_DEAD, 8, 0, AD_STR("\"'\n") },
    };
    settle(&(struct ad_inbox_settle){ .done = (int64_t[]){ 1, 2 },
                                      .done_n = 2,
                                      .attempts = attempts,
                                      .attempts_n = 3,
                                      .dead = (int64_t[]){ 4 },
                                      .dead_n = 1 });
    ck_assert_int_eq(ad_inbox_pending(in), 3);
    ck_assert_int_eq(states("3"), 2);
    ck_assert_int_eq(states("1"), 1);
    ck_assert_int_eq(states("2"), 1);
    struct waiter *w = load(0, 10);
    ck_assert_uint_eq(w->n, 3);
    ck_assert_uint_eq(w->attempts_n, 2);
    ck_assert_int_eq(w->attempts[0].seq, 3);
    ck_assert_str_eq(w->handlers[0], "a");
    ck_assert_int_eq(w->attempts[0].state, AD_EVENT_RETRY);
    ck_assert_uint_eq(w->attempts[0].attempts, 2);
    ck_assert_int_eq(w->attempts[0].next_ns, 777);
    ck_assert_str_eq(w->errors[0], "why");
    ck_assert_int_eq(w->attempts[1].state, AD_EVENT_DONE);
    attempts[0].attempts = 3;
    settle(&(struct ad_inbox_settle){ .attempts = attempts, .attempts_n = 1 });
    ck_assert_int_eq(
        fixture_i64(&f, "SELECT attempts FROM attiod_attempt WHERE handler = 'a' AND seq = 3"), 3);
    settle(&(struct ad_inbox_settle){ .done = (int64_t[]){ 3, 3 }, .done_n = 2 });
    ck_assert_int_eq(ad_inbox_pending(in), 2);
}
END_TEST

START_TEST(settling_what_is_settled_changes_nothing)
{
    send("k", 10, 2);
    fixture_sql(&f, "UPDATE attiod_inbox SET state = 5 WHERE seq = 1");
    ad_inbox_note_done(in, 1);
    struct ad_attempt gone = { 99, AD_STR("a"), AD_EVENT_RETRY, 1, 1, AD_STR_NONE };
    settle(&(struct ad_inbox_settle){ .done = (int64_t[]){ 1, 99 },
                                      .done_n = 2,
                                      .attempts = &gone,
                                      .attempts_n = 1,
                                      .dead = (int64_t[]){ 1 },
                                      .dead_n = 1 });
    ck_assert_int_eq(ad_inbox_pending(in), 1);
    ck_assert_int_eq(states("5"), 1);
    ck_assert_int_eq(fixture_i64(&f, "SELECT count(*) FROM attiod_attempt"), 0);
    struct ad_inbox_settle nothing = { .done_n = 0 };
    ck_assert_int_eq(ad_inbox_settle(in, &nothing), AD_ERR_INVALID);
}
END_TEST

START_TEST(a_stored_event_that_cannot_be_decoded_is_quarantined)
{
    send("k", 10, 3);
    fixture_sql(&f, "UPDATE attiod_inbox SET body = '{\"event_type\":7}' WHERE seq = 2");
    struct waiter *w = load(0, 10);
    ck_assert_uint_eq(w->n, 2);
    ck_assert_int_eq(w->events[1].seq, 3);
    ck_assert_int_eq(states("4"), 1);
    ck_assert_int_eq(ad_inbox_pending(in), 2);
}
END_TEST

START_TEST(no_memory_to_load_or_settle_is_reported)
{
    send("k", 10, 3);
    struct ad_attempt attempt = { 1, AD_STR("a"), AD_EVENT_RETRY, 1, 1, AD_STR("e") };
    settle(&(struct ad_inbox_settle){ .attempts = &attempt, .attempts_n = 1 });
    for (size_t n = 0; n < 12; n++) {
        struct waiter w = { .done = false };
        struct ad_inbox_load l = { .max = 10, .cb = on_load, .data = &w };
        heap_fail(n, 1);
        enum ad_err err = ad_inbox_load(in, &l);
        if (!err) {
            world_until_true(&f.w, &w.done);
            err = w.err;
        }
        heap_fail(0, 0);
        ck_assert_msg(err == AD_OK || err == AD_ERR_NOMEM, "%s", ad_err_name(err));
        bool done = false;
        struct ad_inbox_settle s = { .attempts = &attempt,
                                     .attempts_n = 1,
                                     .done = (int64_t[]){ 2 },
                                     .done_n = 1,
                                     .cb = on_settle,
                                     .data = &done };
        heap_fail(n, 1);
        err = ad_inbox_settle(in, &s);
        if (!err) {
            world_until_true(&f.w, &done);
            err = s.err;
        }
        heap_fail(0, 0);
        ck_assert_msg(err == AD_OK || err == AD_ERR_NOMEM, "%s", ad_err_name(err));
    }
}
END_TEST

/* --- Operators --- */

static void on_query(struct ad_inbox_query *q)
{
    *(bool *)q->data = true;
}

typedef enum ad_err (*query_fn)(struct ad_inbox *in, struct ad_inbox_query *q);

static enum ad_err ask(query_fn fn, struct ad_inbox_query *q)
{
    bool done = false;
    ad_buf_fini(&out);
    ad_buf_init(&out, 1 << 20);
    q->out = &out;
    q->cb = on_query;
    q->data = &done;
    enum ad_err err = fn(in, q);
    if (err) {
        return err;
    }
    ck_assert(!done);
    world_until_true(&f.w, &done);
    ad_buf_putc(&out, '\0');
    return q->err;
}

static void assert_list(const char *path, const char *want)
{
    struct ad_arena arena;
    const struct ad_json *doc;
    ad_arena_init(&arena, 1 << 20);
    ck_assert_int_eq(ad_json_parse(&arena, ad_str_c(out.p), NULL, &doc, NULL), AD_OK);
    const struct ad_json *v = *path == '[' ? ad_json_at(doc, (size_t)(path[1] - '0')) : doc;
    v = ad_json_path(v, *path == '[' ? path + 4 : path);
    ck_assert_msg(v && ad_str_eq(v->raw, ad_str_c(want)), "%s: %.*s is not %s in %s", path,
                  AD_FMT(v ? v->raw : AD_STR_NONE), want, out.p);
    ad_arena_fini(&arena);
}

static void fates(void) /* 1 done, 2 retry, 3 dead, 4 pending, 5 quarantined */
{
    send("k", 10, 4);
    quarantine("q", "{\"oops\":\"\xff\"}");
    struct ad_attempt attempts[] = {
        { 2, AD_STR("a"), AD_EVENT_RETRY, 2, INT64_C(1767225600000000000), AD_STR("why") },
        { 3, AD_STR("a"), AD_EVENT_DEAD, 8, 0, AD_STR("late") },
    };
    settle(&(struct ad_inbox_settle){ .done = (int64_t[]){ 1 },
                                      .done_n = 1,
                                      .attempts = attempts,
                                      .attempts_n = 2,
                                      .dead = (int64_t[]){ 3 },
                                      .dead_n = 1 });
}

START_TEST(events_are_listed_newest_first_with_their_fates)
{
    fates();
    struct ad_inbox_query q = { .filter = { .state = -1, .limit = 3 } };
    ck_assert_int_eq(ask(ad_inbox_list, &q), AD_OK);
    ck_assert_int_eq(q.next_before, 3);
    assert_list("[0].id", "5");
    assert_list("[0].idempotency_key", "\"q\"");
    assert_list("[0].event_type", "null");
    assert_list("[0].state", "\"quarantined\"");
    assert_list("[0].reason", "\"events: required\"");
    assert_list("[1].state", "\"pending\"");
    assert_list("[1].event_type", "\"task.updated\"");
    assert_list("[1].subject", "\"task:" TASK_ID "13\"");
    assert_list("[1].received_at", "\"2026-01-01T00:00:00.000000000Z\"");
    assert_list("[2].attempts[0].handler", "\"a\"");
    assert_list("[2].attempts[0].state", "\"dead\"");
    assert_list("[2].attempts[0].next_at", "null");
    assert_list("[2].attempts[0].error", "\"late\"");
    q.filter.before = q.next_before;
    ck_assert_int_eq(ask(ad_inbox_list, &q), AD_OK);
    ck_assert_int_eq(q.next_before, 0);
    assert_list("[0].id", "2");
    assert_list("[0].attempts[0].next_at", "\"2026-01-01T00:00:00.000000000Z\"");
    assert_list("[1].state", "\"done\"");
    q.filter.limit = 0;
    ck_assert_int_eq(ask(ad_inbox_list, &q), AD_ERR_INVALID);
}
END_TEST

START_TEST(filters_choose)
{
    fates();
    static const struct {
        struct ad_inbox_filter filter;
        const char *ids;
    } rows[] = {
        { { .state = AD_EVENT_DONE }, "1" },
        { { .state = AD_EVENT_RETRY }, "2" },
        { { .state = AD_EVENT_DEAD }, "3" },
        { { .state = AD_EVENT_PENDING }, "4" },
        { { .state = AD_EVENT_QUARANTINED }, "5" },
        { { .state = AD_EVENT_DISCARDED }, "" },
        { { .state = -1, .type = { "task.updated", 12 } }, "4321" },
        { { .state = -1, .type = { "task.*", 6 } }, "4321" },
        { { .state = -1, .type = { "task.", 5 } }, "" },
        { { .state = -1, .type = { "record.*", 8 } }, "" },
        { { .state = -1, .subject = { "task:" TASK_ID "11", 41 } }, "2" },
        { { .state = AD_EVENT_RETRY, .subject = { "task:" TASK_ID "12", 41 } }, "" },
        { { .state = -1, .since_ns = INT64_C(1767225600000000000) }, "54321" },
        { { .state = -1, .since_ns = INT64_C(1767225600000000001) }, "" },
    };
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        struct ad_inbox_query q = { .filter = rows[i].filter };
        char ids[16] = "";
        q.filter.limit = 10;
        ck_assert_int_eq(ask(ad_inbox_list, &q), AD_OK);
        for (const char *p = out.p; (p = strstr(p, "\"id\":")) != NULL; p += 5) {
            ids[strlen(ids)] = p[5];
        }
        ck_assert_msg(strcmp(ids, rows[i].ids) == 0, "row %zu: %s is not %s", i, ids, rows[i].ids);
    }
}
END_TEST

START_TEST(one_event_is_shown_with_its_body)
{
    fates();
    struct ad_inbox_query q = { .seq = 1 };
    ck_assert_int_eq(ask(ad_inbox_show, &q), AD_OK);
    assert_list("id", "1");
    assert_list("body.event_type", "\"task.updated\"");
    q.seq = 5;
    ck_assert_int_eq(ask(ad_inbox_show, &q), AD_OK);
    assert_list("body", "\"{\\\"oops\\\":\\\"?\\\"}\"");
    q.seq = 6;
    ck_assert_int_eq(ask(ad_inbox_show, &q), AD_ERR_NOTFOUND);
    fixture_sql(&f, "UPDATE attiod_inbox SET body = NULL WHERE seq = 1");
    q.seq = 1;
    ck_assert_int_eq(ask(ad_inbox_show, &q), AD_OK);
    assert_list("body", "null");
}
END_TEST

START_TEST(replay_makes_them_pending_and_forgets_the_attempts)
{
    fates();
    struct ad_inbox_query q = { .filter = { .state = -1 }, .dry_run = true };
    ck_assert_int_eq(ask(ad_inbox_replay, &q), AD_OK);
    ck_assert_int_eq(q.changed, 1);
    ck_assert_int_eq(q.lowest, 3);
    ck_assert_int_eq(ad_inbox_pending(in), 2);
    q.dry_run = false;
    ck_assert_int_eq(ask(ad_inbox_replay, &q), AD_OK); /* dead and quarantined ones */
    ck_assert_int_eq(q.changed, 1);
    ck_assert_int_eq(q.lowest, 3);
    ck_assert_int_eq(ad_inbox_pending(in), 3);
    ck_assert_int_eq(states("4"), 1);
    q = (struct ad_inbox_query){ .seq = 2 };
    ck_assert_int_eq(ask(ad_inbox_replay, &q), AD_OK);
    ck_assert_int_eq(q.changed, 1);
    ck_assert_int_eq(ad_inbox_pending(in), 3);
    ck_assert_int_eq(fixture_i64(&f, "SELECT count(*) FROM attiod_attempt"), 0);
    q = (struct ad_inbox_query){ .seq = 1 };
    ck_assert_int_eq(ask(ad_inbox_replay, &q), AD_OK);
    ck_assert_int_eq(ad_inbox_pending(in), 4);
    ck_assert_int_eq(ask(ad_inbox_replay, &q), AD_OK);
    ck_assert_int_eq(q.changed, 0);
    ck_assert_int_eq(q.lowest, 0);
    q = (struct ad_inbox_query){ .seq = 77 };
    ck_assert_int_eq(ask(ad_inbox_replay, &q), AD_ERR_NOTFOUND);
}
END_TEST

START_TEST(what_was_quarantined_is_decoded_again)
{
    static struct sent s;
    make(&s, "k", 10, 2);
    quarantine("k", s.text);
    ad_arena_fini(&s.arena);
    send("other", 30, 1);
    fixture_sql(&f,
                "UPDATE attiod_inbox SET state = 4 WHERE seq = 2"); /* one event, not a delivery */
    struct ad_inbox_query q = { .filter = { .state = AD_EVENT_QUARANTINED } };
    ad_inbox_note_done(in, 1);
    ck_assert_int_eq(ask(ad_inbox_replay, &q), AD_OK);
    ck_assert_int_eq(q.changed, 3);
    ck_assert_int_eq(q.lowest, 1);
    ck_assert_int_eq(ad_inbox_pending(in), 3);
    const struct waiter *w = load(0, 10);
    ck_assert_uint_eq(w->n, 3);
    ck_assert_uint_eq(send("k", 10, 2)->a.duplicate, 2);
    ck_assert_int_eq(fixture_i64(&f, "SELECT count(*) FROM attiod_inbox WHERE reason IS NOT NULL"),
                     0);
}
END_TEST

START_TEST(discarded_events_are_done_with)
{
    fates();
    struct ad_inbox_query q = { .seq = 4 };
    ck_assert_int_eq(ask(ad_inbox_discard, &q), AD_OK);
    ck_assert_int_eq(q.changed, 1);
    ck_assert_int_eq(ad_inbox_pending(in), 1);
    q = (struct ad_inbox_query){ .filter = { .state = -1 } };
    ck_assert_int_eq(ask(ad_inbox_discard, &q), AD_OK);
    ck_assert_int_eq(q.changed, 2);
    ck_assert_int_eq(states("5"), 3);
    ck_assert_int_eq(ad_inbox_pending(in), 1);
    q = (struct ad_inbox_query){ .seq = 1 };
    ck_assert_int_eq(ask(ad_inbox_discard, &q), AD_OK);
    ck_assert_int_eq(q.changed, 0);
}
END_TEST

START_TEST(many_events_are_replayed_in_pieces)
{
    fixture_sql(&f, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1234)"
                    " INSERT INTO attiod_inbox (part, received_at, state, type, subject, body)"
                    " SELECT 0, 1, 2, 'x.y', 's', '{\"event_type\":\"x.y\"}' FROM n");
    struct ad_inbox_query q = { .filter = { .state = AD_EVENT_DEAD, .type = { "x.y", 3 } } };
    ck_assert_int_eq(ask(ad_inbox_replay, &q), AD_OK);
    ck_assert_int_eq(q.changed, 1234);
    ck_assert_int_eq(q.lowest, 1);
    ck_assert_int_eq(ad_inbox_pending(in), 1234);
}
END_TEST

START_TEST(no_memory_for_operators_is_reported)
{
    fates();
    static const query_fn fns[] = { ad_inbox_list, ad_inbox_show, ad_inbox_replay,
                                    ad_inbox_discard };
    for (size_t i = 0; i < AD_LEN(fns); i++) {
        for (size_t n = 0; n < 10; n++) {
            struct ad_inbox_query q = { .filter = { .state = -1, .limit = 5 }, .seq = i ? 3 : 0 };
            bool done = false;
            struct ad_buf text;
            ad_buf_init(&text, 1 << 16);
            q.out = &text;
            q.cb = on_query;
            q.data = &done;
            heap_fail(n, 1);
            enum ad_err err = fns[i](in, &q);
            if (!err) {
                world_until_true(&f.w, &done);
                err = q.err;
            }
            heap_fail(0, 0);
            ad_buf_fini(&text);
            ck_assert_msg(err == AD_OK || err == AD_ERR_NOMEM, "%zu: %s", i, ad_err_name(err));
        }
    }
}
END_TEST

/* --- Pruning --- */

static uint64_t bodies(void)
{
    return ad_metric_counter(f.metrics, "attiod_inbox_pruned_bodies_total", NULL, "")->v;
}

static uint64_t rows(void)
{
    return ad_metric_counter(f.metrics, "attiod_inbox_pruned_events_total", NULL, "")->v;
}

struct pruned {
    uint64_t bodies, rows;
};

static bool is_pruned(void *ctx)
{
    const struct pruned *p = ctx;
    return bodies() >= p->bodies && rows() >= p->rows;
}

static void until_pruned(uint64_t bodies_n, uint64_t rows_n)
{
    struct pruned p = { bodies_n, rows_n };
    /* a piece under way when the time passed goes by the time it began */
    for (int i = 0; i < 500 && !is_pruned(&p); i++) {
        world_advance(&f.w, i % 10 ? 0 : MINUTE_MS);
        ad_loop_turn(f.w.loop, 5);
    }
    ck_assert_uint_ge(bodies(), bodies_n);
    ck_assert_uint_ge(rows(), rows_n);
}

static bool idle(void *ctx)
{
    (void)ctx;
    return ad_store_pending(f.store) == 0;
}

static void advance(int64_t ms)
{
    world_advance(&f.w, (uint64_t)ms);
}

START_TEST(old_events_lose_their_body_then_their_row)
{
    fates();
    send("new", 20, 2);
    settle(&(struct ad_inbox_settle){ .done = (int64_t[]){ 6, 7 }, .done_n = 2 });
    advance(8 * MINUTE_MS);
    until_pruned(0, 0);
    ck_assert_int_eq(fixture_i64(&f, "SELECT count(*) FROM attiod_inbox WHERE body IS NULL"), 0);
    advance(5 * MINUTE_MS);
    until_pruned(3, 0);
    ck_assert_int_eq(fixture_i64(&f, "SELECT count(*) FROM attiod_inbox WHERE body IS NULL"), 3);
    ck_assert_uint_eq(send("new", 20, 2)->a.duplicate, 2);
    advance(60 * MINUTE_MS);
    until_pruned(3, 2);
    /* 1 and 6 are gone; 7 is the newest of all and keeps its seq taken */
    ck_assert_int_eq(fixture_i64(&f, "SELECT count(*) FROM attiod_inbox WHERE state = 3"), 1);
    ck_assert_int_eq(fixture_i64(&f, "SELECT count(*) FROM attiod_inbox"), 5);
    ck_assert_int_eq(send("later", 20, 1)->d.events[0].seq, 8);
    ck_assert_int_eq(fixture_i64(&f, "SELECT count(*) FROM attiod_attempt"), 2);
}
END_TEST

START_TEST(attempts_go_with_their_event)
{
    fates();
    struct ad_inbox_query q = { .seq = 3 };
    ck_assert_int_eq(ask(ad_inbox_discard, &q), AD_OK);
    advance(65 * MINUTE_MS);
    until_pruned(0, 2);
    ck_assert_int_eq(fixture_i64(&f, "SELECT count(*) FROM attiod_attempt"), 1);
    ck_assert_int_eq(states("0, 1, 4"), 3);
}
END_TEST

START_TEST(closing_while_pruning_is_fine)
{
    fates();
    world_advance(&f.w, 60000);
    ad_inbox_close(in);
    in = NULL;
    world_until(&f.w, idle, NULL);
}
END_TEST

/* The only timer that runs here is that of the next round. */
static bool round_is_over(void *ctx)
{
    (void)ctx;
    return ad_timers_next(ad_loop_timers(f.w.loop)) != UINT64_MAX;
}

static void prune_once(void)
{
    world_advance(&f.w, MINUTE_MS);
    world_until(&f.w, round_is_over, NULL);
}

START_TEST(without_memory_pruning_is_left_to_the_next_round)
{
    int64_t left = 0; /* of each round before, what was the newest of all */
    bool failed = true;
    ad_inbox_close(in);
    opts.body_ms = opts.key_ms = 1000;
    inbox_open();
    ck_assert_ptr_nonnull(ad_buf_reserve(&f.w.log, 1 << 16)); /* kept when it is cleared */
    for (size_t n = 0; failed; n = memory_next(_i, n), left++) {
        char key[32];
        (void)snprintf(key, sizeof(key), "key-%zu", n);
        int64_t seq = send(key, 20, 2)->d.events[0].seq;
        settle(&(struct ad_inbox_settle){ .done = (int64_t[]){ seq, seq + 1 }, .done_n = 2 });
        ad_buf_clear(&f.w.log);
        memory_fail(_i, n);
        prune_once();
        failed = memory_back();
        int64_t held = fixture_i64(&f, "SELECT count(*) FROM attiod_inbox") - left;
        ck_assert(held == 1 || (held == 2 && world_logged(&f.w, "inbox_prune_failed")));
        prune_once();
        ck_assert_int_eq(fixture_i64(&f, "SELECT count(*) FROM attiod_inbox"), left + 1);
    }
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *const *tests, size_t n)
{
    TCase *tcase = tcase_create(name);
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < n; i++) {
        tcase_add_test(tcase, tests[i]);
    }
    suite_add_tcase(suite, tcase);
}

static Suite *inbox_suite(void)
{
    const TTest *const append[] = {
        an_event_is_stored_once_with_all_it_says,
        a_delivery_that_comes_again_is_a_duplicate_whatever_became_of_the_first,
        keys_and_places_are_not_confused,
        without_a_key_equal_deliveries_are_different,
        the_same_delivery_many_times_at_once_is_stored_once,
        seqs_rise_in_order_of_arrival,
        a_delivery_without_events_is_accepted_later,
        a_full_backlog_is_busy_before_anything_is_stored,
        no_memory_for_an_append_stores_nothing_or_all,
        the_pending_count_survives_a_restart,
    };
    const TTest *const work[] = {
        open_events_are_loaded_in_order_and_in_pages,
        outcomes_are_recorded_together,
        settling_what_is_settled_changes_nothing,
        a_stored_event_that_cannot_be_decoded_is_quarantined,
        no_memory_to_load_or_settle_is_reported,
    };
    const TTest *const operators[] = {
        events_are_listed_newest_first_with_their_fates,
        filters_choose,
        one_event_is_shown_with_its_body,
        replay_makes_them_pending_and_forgets_the_attempts,
        what_was_quarantined_is_decoded_again,
        discarded_events_are_done_with,
        many_events_are_replayed_in_pieces,
        no_memory_for_operators_is_reported,
    };
    const TTest *const prune[] = {
        old_events_lose_their_body_then_their_row,
        attempts_go_with_their_event,
        closing_while_pruning_is_fine,
    };
    Suite *suite = suite_create("inbox");
    add(suite, "append", append, AD_LEN(append));
    add(suite, "work", work, AD_LEN(work));
    add(suite, "operators", operators, AD_LEN(operators));
    add(suite, "prune", prune, AD_LEN(prune));
    TCase *memory = tcase_create("prune without memory");
    tcase_add_checked_fixture(memory, setup, teardown);
    tcase_add_loop_test(memory, without_memory_pruning_is_left_to_the_next_round, 0, MEMORY_KINDS);
    suite_add_tcase(suite, memory);
    return suite;
}

RUN_SUITE(inbox_suite)
