/* From events of entries, notes and the like to the mirror. */
#include "fixture.h"

#include <limits.h>
#include <stdio.h>

#define LIST "33ebdbe9-e529-47c9-b894-0ba25e9c15c0"
#define NOT_FOUND "{\"status_code\":404,\"type\":\"invalid_request_error\",\"code\":\"not_found\"}"

enum { THINGS = 64 };

static struct service_fixture s;
/* What Attio holds, by number: entries of the list and notes alike. */
static struct {
    enum record_state state;  /* REC_GONE: not there */
    unsigned version, parent; /* parent: of the record */
} entries[THINGS], notes[THINGS];
static bool listed, by_ids_refused;
static unsigned entry_queries, asked_entries, entry_gets, note_gets;

/* ---- Attio ------------------------------------------------------------------------------- */

/* Answers are sent later: several are under way. */
static char texts[8][1 << 15];
static unsigned texts_n;
static char *text;

#define ADD(...) (void)snprintf(text + strlen(text), sizeof(texts[0]) - strlen(text), __VA_ARGS__)

static void add_entry(unsigned n)
{
    ADD("{\"id\":{\"list_id\":\"" LIST "\",\"entry_id\":\"%s\"},", record_id(n));
    ADD("\"parent_object\":\"people\",\"parent_record_id\":\"%s\","
        "\"created_at\":\"2026-01-01T00:00:00.000000000Z\","
        "\"entry_values\":{\"name\":[{\"value\":\"v%u\"}]}}",
        record_id(entries[n].parent), entries[n].version);
}

static void answer_ids(const struct request *r, struct answer *a)
{
    const char *at = strstr(r->body, "\"$in\":[");
    entry_queries++;
    asked_entries = 0;
    if (by_ids_refused) {
        a->status = 400;
        ADD("{\"status_code\":400,\"type\":\"invalid_request_error\",\"code\":\"filter_error\"}");
        return;
    }
    ADD("{\"data\":[");
    for (at = strchr(at, '['); (at = strchr(at, '"')) && at[1] == '0'; at += 38) {
        unsigned n = (unsigned)strtoul(at + 25, NULL, 10);
        ck_assert_uint_lt(n, THINGS);
        asked_entries++;
        if (entries[n].state == REC_LIVE || entries[n].state == REC_STALE) {
            ADD("%s", text[strlen(text) - 1] == '[' ? "" : ",");
            add_entry(n);
        }
    }
    ADD("]}");
}

static void answer_entry(const struct request *r, struct answer *a)
{
    unsigned n = (unsigned)strtoul(strrchr(r->line, '-') + 1, NULL, 10);
    entry_gets++;
    if (entries[n].state == REC_LIVE || entries[n].state == REC_HIDDEN) {
        ADD("{\"data\":");
        add_entry(n);
        ADD("}");
    } else {
        a->status = 404;
        ADD(NOT_FOUND);
    }
}

static void answer_note(const struct request *r, struct answer *a)
{
    unsigned n = (unsigned)strtoul(strrchr(r->line, '-') + 1, NULL, 10);
    note_gets++;
    if (notes[n].state == REC_GONE) {
        a->status = 404;
        ADD(NOT_FOUND);
        return;
    }
    ADD("{\"data\":{\"id\":{\"note_id\":\"%s\"},\"title\":\"v%u\",", record_id(n),
        notes[n].version);
    ADD("\"parent_object\":\"people\",\"parent_record_id\":\"%s\","
        "\"created_at\":\"2026-01-01T00:00:00.000000000Z\"}}",
        record_id(notes[n].parent));
    notes[n].state = notes[n].state == REC_STALE ? REC_GONE : notes[n].state; /* once */
}

static bool attio(struct service_fixture *f, const struct request *r, struct answer *a)
{
    (void)f;
    text = texts[texts_n++ % AD_LEN(texts)];
    text[0] = '\0';
    a->body = text;
    if (strcmp(r->line, "GET /v2/lists") == 0) {
        ADD("{\"data\":[%s]}", listed ? "{\"id\":{\"workspace_id\":\"" WORKSPACE
                                        "\",\"list_id\":\"" LIST
                                        "\"},\"api_slug\":\"sales\",\"name\":\"Sales\","
                                        "\"parent_object\":[\"people\"]}"
                                      : "");
    } else if (strstr(r->line, LIST "/attributes")) {
        ADD("{\"data\":[{\"id\":{\"attribute_id\":\"11111111-0000-4000-8000-000000000001\"},"
            "\"api_slug\":\"name\",\"title\":\"Name\",\"type\":\"text\"}]}");
    } else if (strcmp(r->line, "POST /v2/lists/" LIST "/entries/query") == 0) {
        answer_ids(r, a);
    } else if (strstr(r->line, "GET /v2/lists/" LIST "/entries/")) {
        answer_entry(r, a);
    } else if (strstr(r->line, "GET /v2/notes/")) {
        answer_note(r, a);
    } else {
        return false;
    }
    return true;
}

/* ---- helpers ----------------------------------------------------------------------------- */

static void setup(void)
{
    service_fixture_open(&s);
    s.other = attio;
    listed = true;
    by_ids_refused = false;
    entry_queries = asked_entries = entry_gets = note_gets = 0;
    for (size_t i = 0; i < THINGS; i++) {
        entries[i].state = notes[i].state = REC_GONE;
        entries[i].version = notes[i].version = 0;
    }
}

static void teardown(void)
{
    service_fixture_close(&s);
}

static void up(void)
{
    service_fixture_up(&s);
    entry_queries = entry_gets = note_gets = s.schemas = 0;
    s.f.sv.n = 0;
}

static void done(void)
{
    pass_until(&s, nothing_pending, &s);
}

static void pass(unsigned ms)
{
    for (unsigned i = 0; i < ms; i += 20) {
        ad_loop_turn(s.f.w.loop, 1);
        world_advance(&s.f.w, 20);
    }
    world_settle(&s.f.w);
}

static void send_id(const char *type, const char *ids)
{
    char body[1024];
    struct ad_ingest in;
    (void)snprintf(body, sizeof(body),
                   "{\"webhook_id\":\"" WORKSPACE "\",\"events\":[{\"event_type\":\"%s\",\"id\":{"
                   "\"workspace_id\":\"" WORKSPACE "\",%s},\"parent_object_id\":\"%s\","
                   "\"parent_record_id\":\"%s\",\"actor\":{\"type\":\"system\",\"id\":null}}]}",
                   type, ids, object_id(0), record_id(1));
    ck_assert_msg(deliver(&s, body, NULL, 0, &in) == AD_OK, "%s", in.info.msg);
    ck_assert(!in.quarantined);
}

static void entry_event(const char *type, unsigned n)
{
    char ids[256];
    (void)snprintf(ids, sizeof(ids),
                   "\"list_id\":\"" LIST "\",\"entry_id\":\"%s\",\"attribute_id\":"
                   "\"11111111-0000-4000-8000-000000000001\"",
                   record_id(n));
    send_id(type, ids);
}

static void note_event(const char *type, unsigned n)
{
    char ids[128];
    (void)snprintf(ids, sizeof(ids), "\"note_id\":\"%s\"", record_id(n));
    send_id(type, ids);
}

static void entry_put(unsigned n, enum record_state state)
{
    entries[n].state = state;
    entries[n].version++;
}

static void note_put(unsigned n, enum record_state state)
{
    notes[n].state = state;
    notes[n].version++;
}

static int64_t count(const char *view, const char *where)
{
    char sql[256];
    (void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s WHERE %s", view, where);
    return fixture_i64(&s.f, sql);
}

static int64_t attempt_rows(void)
{
    return fixture_i64(&s.f, "SELECT count(*) FROM attiod_attempt");
}

static bool one_is_left_and_failed(void *ctx)
{
    (void)ctx;
    return pending(&s) == 1 && attempt_rows() == 1;
}

static bool note_asked(void *ctx)
{
    (void)ctx;
    return note_gets > 0;
}

static bool entries_asked(void *ctx)
{
    (void)ctx;
    return entry_queries > 0;
}

/* ---- entries ----------------------------------------------------------------------------- */

START_TEST(entries_gather_and_share_a_query)
{
    up();
    s.delay_ms = 100;
    for (unsigned i = 1; i <= 20; i++) {
        entry_put(i, REC_LIVE);
        entry_event("list-entry.created", i);
        if (i == 1) {
            pass_until(&s, entries_asked, NULL);
        }
    }
    done();
    ck_assert_uint_eq(entry_queries, 2);
    ck_assert_uint_eq(asked_entries, 19);
    ck_assert_uint_eq(entry_gets, 0);
    ck_assert_int_eq(count("list_sales_live", "name = 'v1'"), 20);
}
END_TEST

START_TEST(entries_that_are_not_shown_are_confirmed)
{
    up();
    entry_put(1, REC_HIDDEN);
    entry_put(3, REC_LIVE);
    entry_event("list-entry.created", 1);
    entry_event("list-entry.updated", 2);
    entry_event("list-entry.updated", 3);
    done();
    ck_assert_uint_eq(entry_gets, 2);
    ck_assert_int_eq(count("list_sales_live", "1"), 2);
    ck_assert_int_eq(count("list_sales", "_deleted_at IS NOT NULL"), 1);
    entries[3].state = REC_GONE;
    entry_event("list-entry.deleted", 3);
    entry_event("list-entry.deleted", 2);
    done();
    ck_assert_uint_eq(entry_gets, 2); /* Attio's word and the query's silence are enough */
    ck_assert_int_eq(count("list_sales", "_deleted_at IS NOT NULL"), 2);
}
END_TEST

START_TEST(entries_that_attio_does_not_let_us_query_by_id_are_got_one_by_one)
{
    by_ids_refused = true;
    up();
    s.delay_ms = 100;
    for (unsigned i = 1; i <= 8; i++) {
        entry_put(i, i == 8 ? REC_GONE : REC_LIVE);
        entry_event("list-entry.created", i);
    }
    done();
    ck_assert_uint_le(entry_queries, 3);
    ck_assert_int_eq(count("list_sales_live", "1"), 7);
    ck_assert_int_eq(count("list_sales", "_deleted_at IS NOT NULL"), 1);
    ck_assert_int_eq(attempt_rows(), 0);
    entry_queries = entry_gets = 0;
    entry_put(1, REC_LIVE);
    entry_event("list-entry.updated", 1);
    entry_event("list-entry.updated", 1);
    done();
    ck_assert_uint_eq(entry_queries, 0);
    ck_assert_uint_le(entry_gets, 2);
    ck_assert_int_eq(count("list_sales_live", "name = 'v2'"), 1);
    by_ids_refused = false;
}
END_TEST

START_TEST(entries_of_a_list_that_is_new_wait_for_the_schema)
{
    listed = false;
    up();
    listed = true;
    entry_put(1, REC_LIVE);
    entry_event("list-entry.created", 1);
    done();
    ck_assert_uint_eq(s.schemas, 1);
    ck_assert_int_eq(count("list_sales_live", "1"), 1);
}
END_TEST

START_TEST(entries_of_no_list_of_ours_are_done_without_a_call_for_them)
{
    listed = false;
    up();
    entry_event("list-entry.created", 1);
    entry_event("list-entry.deleted", 2);
    done();
    ck_assert_uint_le(s.schemas, 2);
    ck_assert_uint_eq(entry_queries + entry_gets, 0);
    ck_assert_int_eq(attempt_rows(), 0);
}
END_TEST

START_TEST(events_of_a_list_that_is_gone_are_done)
{
    up();
    entry_put(1, REC_LIVE);
    entry_event("list-entry.created", 1);
    done();
    listed = false;
    fault_add(&s, "/entries/", UINT_MAX, 404)->body = NOT_FOUND;
    entry_event("list-entry.updated", 1);
    entry_event("list-entry.updated", 2);
    done();
    ck_assert(world_logged(&s.f.w, "collection_gone"));
    ck_assert_int_eq(attempt_rows(), 0);
}
END_TEST

/* ---- notes: got by id -------------------------------------------------------------------- */

START_TEST(events_of_one_note_share_a_get)
{
    up();
    note_put(1, REC_LIVE);
    s.delay_ms = 100;
    note_event("note.created", 1);
    pass_until(&s, note_asked, NULL);
    note_put(1, REC_LIVE);
    for (unsigned i = 0; i < 20; i++) {
        note_event(i % 2 ? "note.updated" : "note-content.updated", 1);
    }
    done();
    ck_assert_uint_eq(note_gets, 2);
    ck_assert_int_eq(count("notes_live", "title = 'v2'"), 1);
    ck_assert_int_eq(attempt_rows(), 0);
}
END_TEST

START_TEST(notes_do_not_wait_for_each_other)
{
    up();
    s.f.sv.most_in_flight = 0;
    s.delay_ms = 100;
    for (unsigned i = 1; i <= 12; i++) {
        note_put(i, REC_LIVE);
        note_event("note.created", i);
    }
    done();
    ck_assert_uint_eq(note_gets, 12);
    ck_assert_uint_ge(s.f.sv.most_in_flight, 3);
    ck_assert_int_eq(count("notes_live", "1"), 12);
}
END_TEST

START_TEST(note_that_is_gone_becomes_a_tombstone)
{
    up();
    note_put(1, REC_LIVE);
    note_event("note.created", 1);
    note_event("note.updated", 2); /* never heard of */
    done();
    notes[1].state = REC_GONE;
    note_event("note.deleted", 1);
    done();
    ck_assert_int_eq(count("notes", "_deleted_at IS NOT NULL"), 2);
    ck_assert_uint_eq(note_gets, 3);
}
END_TEST

START_TEST(note_that_was_deleted_and_is_still_shown_is_asked_after_again)
{
    up();
    note_put(1, REC_STALE);
    note_put(2, REC_LIVE);
    note_event("note.deleted", 1);
    note_event("note.deleted", 2); /* not true: a test delivery */
    note_event("note.created", 3);
    done();
    ck_assert_int_eq(count("notes", "_deleted_at IS NOT NULL"), 2);
    ck_assert_int_eq(count("notes_live", "title = 'v1'"), 1);
    ck_assert_uint_eq(note_gets, 5);
}
END_TEST

START_TEST(answer_that_shows_another_note_is_not_taken_for_the_one_asked_for)
{
    up();
    note_put(1, REC_LIVE);
    fault_add(&s, "/v2/notes/", 2, 200)->body = "{\"data\":{\"id\":{\"note_id\":\"00000000-0000-"
                                                "4000-8000-000000000009\"},\"title\":\"x\"}}";
    note_event("note.created", 1);
    pass(1000);
    ck_assert_int_eq(pending(&s), 1);
    done();
    ck_assert_int_eq(count("notes_live", "title = 'v1'"), 1);
    ck_assert_int_eq(attempt_rows(), 0);
}
END_TEST

static const enum act outages[] = { ACT_ANSWER, ACT_GARBAGE, ACT_HANG_UP, ACT_HALF };

START_TEST(outage_is_waited_out_and_leaves_no_failure_rows)
{
    up();
    fault_add(&s, "/v2/notes/", 10, 500)->act = outages[_i];
    note_put(1, REC_LIVE);
    note_event("note.created", 1);
    note_event("note.deleted", 2);
    pass(500);
    ck_assert_int_eq(pending(&s), 2);
    done();
    ck_assert_int_eq(attempt_rows(), 0);
    ck_assert_int_eq(count("notes_live", "1"), 1);
    ck_assert_int_eq(count("notes", "_deleted_at IS NOT NULL"), 1);
}
END_TEST

START_TEST(missing_scope_is_visible_and_holds_nothing_else_back)
{
    up();
    fault_add(&s, "/v2/notes/", UINT_MAX, 403)->body =
        "{\"status_code\":403,\"type\":\"auth_error\",\"code\":\"unauthorized\"}";
    note_put(1, REC_LIVE);
    note_event("note.created", 1);
    entry_put(1, REC_LIVE);
    entry_event("list-entry.created", 1);
    pass_until(&s, one_is_left_and_failed, NULL);
    ck_assert_int_eq(count("list_sales_live", "1"), 1);
    s.faults_n = 0;
    done();
    ck_assert_int_eq(count("notes_live", "1"), 1);
}
END_TEST

START_TEST(types_that_we_do_not_know_are_done_and_hide_no_others)
{
    up();
    note_put(1, REC_LIVE);
    note_event("note.archived", 1);
    done();
    ck_assert_uint_eq(note_gets, 0);
    s.delay_ms = 50;
    note_event("note.updated", 2);
    note_event("note.archived", 1);
    note_event("note.created", 1);
    note_event("note.archived", 1);
    done();
    ck_assert_int_eq(count("notes_live", "1"), 1);
}
END_TEST

/* ---- merges of the records they hang on --------------------------------------------------- */

static void hang_on(unsigned record)
{
    for (unsigned i = 1; i <= 5; i++) {
        notes[i].parent = entries[i].parent = record;
    }
}

static int64_t hanging_on(const char *view, unsigned record)
{
    char where[128];
    (void)snprintf(where, sizeof(where), "parent_record_id = '%s'", record_id(record));
    return count(view, where);
}

/* Five notes and entries on record 1, one each on another; 1 gives way to 3. */
static void merge_parents(enum record_state at_first)
{
    record_put(&s, 0, 1, "ada");
    for (unsigned i = 1; i <= 6; i++) {
        note_put(i, REC_LIVE);
        entry_put(i, REC_LIVE);
        note_event("note.created", i);
        entry_event("list-entry.created", i);
    }
    event_send(&s, "record.created", 0, 1, 0);
    done();
    ck_assert_int_eq(hanging_on("notes_live", 1) + hanging_on("list_sales_live", 1), 10);
    entry_queries = entry_gets = note_gets = 0;
    record_of(&s, 0, 1)->state = REC_GONE;
    record_put(&s, 0, 3, "merged")->state = at_first;
    event_send(&s, "record.merged", 0, 3, 1);
}

START_TEST(what_hung_on_a_merged_record_is_fetched_again)
{
    hang_on(1);
    notes[6].parent = entries[6].parent = 2;
    up();
    merge_parents(_i ? REC_MERGING : REC_LIVE);
    if (_i) { /* as long as it is not applied nothing has moved */
        pass(3000);
        ck_assert_uint_eq(note_gets, 0);
    }
    record_of(&s, 0, 3)->state = REC_LIVE;
    hang_on(3);
    done();
    ck_assert_int_eq(hanging_on("notes_live", 3), 5);
    ck_assert_int_eq(hanging_on("list_sales_live", 3), 5);
    ck_assert_uint_eq(note_gets, 5); /* the others were not asked for */
    ck_assert_uint_le(entry_queries, 2);
    ck_assert_uint_eq(entry_gets, 0);
    ck_assert_int_eq(attempt_rows(), 0);
    ck_assert(name_is(&s, 3, "merged"));
    ck_assert(is_tombstone(&s, 1));
}
END_TEST

START_TEST(closing_amid_a_merge_leaves_its_event_for_the_next_start)
{
    static const char *const hangs[] = { "/records/query", "GET /v2/notes/", "/entries/query" };
    hang_on(1);
    notes[6].parent = entries[6].parent = 2;
    up();
    merge_parents(REC_LIVE);
    fault_add(&s, hangs[_i], UINT_MAX, 0)->act = ACT_HANG;
    hang_on(3);
    pass(500);
    ck_assert_int_gt(pending(&s), 0);
    service_fixture_stop(&s);
    s.faults_n = 0;
    up();
    done();
    ck_assert_int_eq(hanging_on("notes_live", 3), 5);
    ck_assert_int_eq(hanging_on("list_sales_live", 3), 5);
    ck_assert(is_tombstone(&s, 1));
}
END_TEST

START_TEST(merge_without_memory_loses_nothing)
{
    hang_on(1);
    notes[6].parent = entries[6].parent = 2;
    up();
    merge_parents(REC_LIVE);
    hang_on(3);
    done();
    for (unsigned i = 0; i < 40; i++) {
        unsigned old = 3 + i;
        record_of(&s, 0, old)->state = REC_GONE;
        record_put(&s, 0, old + 1, "merged again");
        hang_on(old + 1);
        event_send(&s, "record.merged", 0, old + 1, old);
        heap_fail((size_t)i * 3, i % 2 ? 3 : 1);
        pass_until(&s, nothing_pending, &s);
        heap_fail(0, 0);
        ck_assert_int_eq(hanging_on("notes_live", old + 1), 5);
        ck_assert_int_eq(hanging_on("list_sales_live", old + 1), 5);
        ck_assert(is_tombstone(&s, old));
        s.f.sv.n = 0;
    }
}
END_TEST

/* ---- no memory, close -------------------------------------------------------------------- */

START_TEST(allocation_that_fails_anywhere_delays_the_event_and_loses_nothing)
{
    by_ids_refused = _i == 1;
    up();
    for (unsigned i = 0; i < 60; i++) {
        unsigned n = i % 20 * 3 + 1;
        note_put(n, REC_LIVE);
        notes[n + 1].state = REC_GONE;
        entry_put(n, REC_HIDDEN);
        entries[n + 1].state = REC_GONE;
        note_event("note.created", n);
        note_event("note.deleted", n + 1);
        entry_event("list-entry.updated", n);
        entry_event("list-entry.updated", n + 1);
        heap_fail(i, i % 2 ? 3 : 1);
        pass_until(&s, nothing_pending, &s);
        heap_fail(0, 0);
        char where[128];
        (void)snprintf(where, sizeof(where), "note_id = '%s' AND title = 'v%u'", record_id(n),
                       notes[n].version);
        ck_assert_int_eq(count("notes_live", where), 1);
        (void)snprintf(where, sizeof(where), "entry_id = '%s' AND name = 'v%u'", record_id(n),
                       entries[n].version);
        ck_assert_int_eq(count("list_sales_live", where), 1);
        s.f.sv.n = 0;
    }
    by_ids_refused = false;
}
END_TEST

/* Where the events are when the process ends. */
static const struct {
    const char *hangs; /* this request is never answered, or so */
    unsigned status;
    enum record_state state;
} stages[] = {
    { "/entries/query", 0, REC_LIVE },   { "GET /v2/lists/", 0, REC_HIDDEN },
    { "GET /v2/notes/", 0, REC_LIVE },   { "GET /v2/notes/", 500, REC_LIVE },
    { "GET /v2/notes/", 403, REC_LIVE },
};

START_TEST(closing_at_any_stage_leaves_the_events_for_the_next_start)
{
    up();
    fault_add(&s, stages[_i].hangs, UINT_MAX, stages[_i].status)->act =
        stages[_i].status ? ACT_ANSWER : ACT_HANG;
    for (unsigned i = 1; i <= 3; i++) {
        entry_put(i, stages[_i].state);
        note_put(i, REC_LIVE);
        entry_event("list-entry.updated", i);
        note_event("note.created", i);
    }
    pass(1500);
    ck_assert_int_gt(pending(&s), 0);
    service_fixture_stop(&s);
    s.faults_n = 0;
    up();
    done();
    ck_assert_int_eq(count("notes_live", "1"), 3);
    ck_assert_int_eq(count("list_sales_live", "1"), 3);
}
END_TEST

static Suite *kinds_suite(void)
{
    const TTest *const tests[] = {
        entries_gather_and_share_a_query,
        entries_that_are_not_shown_are_confirmed,
        entries_that_attio_does_not_let_us_query_by_id_are_got_one_by_one,
        entries_of_a_list_that_is_new_wait_for_the_schema,
        entries_of_no_list_of_ours_are_done_without_a_call_for_them,
        events_of_a_list_that_is_gone_are_done,
        events_of_one_note_share_a_get,
        notes_do_not_wait_for_each_other,
        note_that_is_gone_becomes_a_tombstone,
        note_that_was_deleted_and_is_still_shown_is_asked_after_again,
        answer_that_shows_another_note_is_not_taken_for_the_one_asked_for,
        missing_scope_is_visible_and_holds_nothing_else_back,
        types_that_we_do_not_know_are_done_and_hide_no_others,
        merge_without_memory_loses_nothing,
    };
    Suite *suite = suite_create("pull_kinds");
    TCase *tcase = tcase_create("pull_kinds");
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < AD_LEN(tests); i++) {
        tcase_add_test(tcase, tests[i]);
    }
    tcase_add_loop_test(tcase, outage_is_waited_out_and_leaves_no_failure_rows, 0,
                        (int)AD_LEN(outages));
    tcase_add_loop_test(tcase, allocation_that_fails_anywhere_delays_the_event_and_loses_nothing, 0,
                        2);
    tcase_add_loop_test(tcase, closing_at_any_stage_leaves_the_events_for_the_next_start, 0,
                        (int)AD_LEN(stages));
    tcase_add_loop_test(tcase, what_hung_on_a_merged_record_is_fetched_again, 0, 2);
    tcase_add_loop_test(tcase, closing_amid_a_merge_leaves_its_event_for_the_next_start, 0, 3);
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITE(kinds_suite)
