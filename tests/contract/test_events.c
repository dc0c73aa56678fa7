/* The contract with Attio's webhooks: each of the 27 documented types of event causes the fetch, the
 * mirror row or the invalidation that it should.
 *
 * The samples are our own. With ATTIOD_ATTIO_FACTS=<file> also those of a list of events like
 * {"sample_ids": {...}, "events": [{"event_type", "id": [...], "extra": [...]}]} are sent, and every
 * type in it must be one of ours. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attio/event.h"
#include "base/json_write.h"
#include "service/service_private.h"
#include "unit/service/fixture.h"

#define OBJECT "97052eb9-e65e-443f-a297-f2d9a4a7f795"
#define RECORD "bf071e1f-6035-429d-b874-d83ea64ea13b"
#define OTHER "00000000-0000-4000-8000-000000000077"
#define ATTRIBUTE "41252299-f8c7-4b5e-99c9-4ff8321d2f96"
#define LIST "33ebdbe9-e529-47c9-b894-0ba25e9c15c0"
#define ENTRY "2e6e29ea-c4e0-4f44-842d-78a891f8c156"
#define NOTE "ff3f3bd4-40f4-4f80-8187-cd02385af424"
#define TASK "649e34f4-c39a-4f4d-99ef-48a36bef8f04"
#define COMMENT "aa1dc1d9-93ac-4c6c-987e-16b6eea9aab2"
#define THREAD "a649e4d9-435c-43fb-83ba-847b4876f27a"
#define MEMBER "50cf242c-7fa3-4cad-87d0-75b1af71c57b"
#define MEETING "cb59ab17-ad15-460c-a126-0715617c0853"
#define RECORDING "e8f2a3b7-9b4d-4c5e-8a1f-3d7b2c5e8f9a"
#define AT "\"created_at\":\"2026-01-01T00:00:00.000000000Z\""
#define WHO "{\"type\":\"workspace-member\",\"id\":\"" MEMBER "\"}"

/* What Attio holds, by the path of a GET; what is not in it is 404. */
static const struct thing {
    const char *path, *json;
} things[] = {
    { "/v2/objects/" OBJECT "/records/" RECORD,
      "{\"id\":{\"workspace_id\":\"" WORKSPACE "\",\"object_id\":\"" OBJECT
      "\",\"record_id\":\"" RECORD "\"}," AT ",\"values\":{\"name\":[{\"value\":\"Ada\"}]}}" },
    { "/v2/lists/" LIST "/entries/" ENTRY,
      "{\"id\":{\"workspace_id\":\"" WORKSPACE "\",\"list_id\":\"" LIST "\",\"entry_id\":\"" ENTRY
      "\"},\"parent_record_id\":\"" RECORD "\",\"parent_object\":\"people\"," AT
      ",\"entry_values\":{\"name\":[{\"value\":\"hot\"}]}}" },
    { "/v2/notes/" NOTE,
      "{\"id\":{\"workspace_id\":\"" WORKSPACE "\",\"note_id\":\"" NOTE
      "\"},\"parent_object\":\"people\",\"parent_record_id\":\"" RECORD
      "\",\"title\":\"Call\",\"content_plaintext\":\"good\",\"content_markdown\":\"*good*\","
      "\"tags\":[],\"created_by_actor\":" WHO "," AT "}" },
    { "/v2/tasks/" TASK, "{\"id\":{\"workspace_id\":\"" WORKSPACE "\",\"task_id\":\"" TASK
                         "\"},\"content_plaintext\":\"ring\",\"is_completed\":false,"
                         "\"deadline_at\":null,\"linked_records\":[],\"assignees\":[]," AT "}" },
    { "/v2/comments/" COMMENT,
      "{\"id\":{\"workspace_id\":\"" WORKSPACE "\",\"comment_id\":\"" COMMENT
      "\"},\"thread_id\":\"" THREAD
      "\",\"content_plaintext\":\"nice\",\"entry\":null,\"record\":{\"record_id\":\"" RECORD
      "\",\"object_id\":\"" OBJECT "\"},\"resolved_at\":\"2026-01-02T00:00:00.000000000Z\","
      "\"resolved_by\":" WHO ",\"author\":" WHO "," AT "}" },
    { "/v2/workspace_members/" MEMBER,
      "{\"id\":{\"workspace_id\":\"" WORKSPACE "\",\"workspace_member_id\":\"" MEMBER
      "\"},\"first_name\":\"Ada\",\"last_name\":\"L\",\"access_level\":\"member\"," AT "}" },
};

/* A type of event, what it is about, and what must come of it. */
static const struct sample {
    const char *type;
    const char *id, *extra; /* JSON members behind workspace_id, and beside id */
    bool gone;              /* Attio has nothing any more */
    const char *asks; /* part of a request line or body that must be seen; NULL: none at all */
    const char *sql;  /* must be 1 afterwards; NULL: no row */
} samples[] = {
#define RECORD_ID "\"object_id\":\"" OBJECT "\",\"record_id\":\"" RECORD "\""
#define BY_ID "\"record_id\":{\"$in\":[\"" RECORD "\"]}"
#define PERSON "SELECT count(*) FROM people WHERE record_id = '" RECORD "' AND _deleted_at IS "
    { "record.created", RECORD_ID, "", false, BY_ID, PERSON "NULL AND name = 'Ada'" },
    { "record.updated", RECORD_ID ",\"attribute_id\":\"" ATTRIBUTE "\"", "", false, BY_ID,
      PERSON "NULL AND name = 'Ada'" },
    { "record.deleted", RECORD_ID, "", true, BY_ID, PERSON "NOT NULL" },
    { "record.merged", RECORD_ID,
      "\"duplicate_object_id\":\"" OBJECT "\",\"duplicate_record_id\":\"" OTHER "\"", false,
      "GET /v2/objects/" OBJECT "/records/" OTHER,
      "SELECT count(*) = 2 AND sum(name IS NOT NULL) = 1 AND sum(_deleted_at IS NOT NULL) = 1 AND"
      " (SELECT new_id FROM attiod_merge WHERE old_id = '" OTHER "') = '" RECORD "' FROM people" },
#define ENTRY_ID "\"list_id\":\"" LIST "\",\"entry_id\":\"" ENTRY "\""
#define PARENT "\"parent_object_id\":\"" OBJECT "\",\"parent_record_id\":\"" RECORD "\""
#define BY_ENTRY "\"entry_id\":{\"$in\":[\"" ENTRY "\"]}"
#define SALE "SELECT count(*) FROM list_sales WHERE entry_id = '" ENTRY "' AND _deleted_at IS "
    { "list-entry.created", ENTRY_ID, PARENT, false, BY_ENTRY,
      SALE "NULL AND name = 'hot' AND parent_record_id = '" RECORD "'" },
    { "list-entry.updated", ENTRY_ID ",\"attribute_id\":\"" ATTRIBUTE "\"", PARENT, false, BY_ENTRY,
      SALE "NULL AND name = 'hot'" },
    { "list-entry.deleted", ENTRY_ID, PARENT, true, BY_ENTRY, SALE "NOT NULL" },
#define NOTE_ID "\"note_id\":\"" NOTE "\""
#define NOTED "SELECT count(*) FROM notes WHERE note_id = '" NOTE "' AND _deleted_at IS "
    { "note.created", NOTE_ID, PARENT, false, "GET /v2/notes/" NOTE, NOTED "NULL" },
    { "note.updated", NOTE_ID, PARENT, false, "GET /v2/notes/" NOTE,
      NOTED "NULL AND title = 'Call'" },
    { "note-content.updated", NOTE_ID, PARENT, false, "GET /v2/notes/" NOTE,
      NOTED "NULL AND content_plaintext = 'good'" },
    { "note.deleted", NOTE_ID, PARENT, true, "GET /v2/notes/" NOTE, NOTED "NOT NULL" },
#define TASK_ID "\"task_id\":\"" TASK "\""
#define TASKED "SELECT count(*) FROM tasks WHERE task_id = '" TASK "' AND _deleted_at IS "
    { "task.created", TASK_ID, "", false, "GET /v2/tasks/" TASK, TASKED "NULL" },
    { "task.updated", TASK_ID, "", false, "GET /v2/tasks/" TASK,
      TASKED "NULL AND content_plaintext = 'ring' AND is_completed = 0" },
    { "task.deleted", TASK_ID, "", true, "GET /v2/tasks/" TASK, TASKED "NOT NULL" },
#define COMMENT_ID "\"comment_id\":\"" COMMENT "\""
#define ON                                                                              \
    "\"thread_id\":\"" THREAD "\",\"object_id\":\"" OBJECT "\",\"record_id\":\"" RECORD \
    "\",\"list_id\":null,\"entry_id\":null"
#define SAID "SELECT count(*) FROM comments WHERE comment_id = '" COMMENT "' AND _deleted_at IS "
    { "comment.created", COMMENT_ID, ON, false, "GET /v2/comments/" COMMENT,
      SAID "NULL AND record_id = '" RECORD "'" },
    { "comment.resolved", COMMENT_ID, ON, false, "GET /v2/comments/" COMMENT,
      SAID "NULL AND resolved_at > '2026'" },
    { "comment.unresolved", COMMENT_ID, ON, false, "GET /v2/comments/" COMMENT, SAID "NULL" },
    { "comment.deleted", COMMENT_ID, ON, true, "GET /v2/comments/" COMMENT, SAID "NOT NULL" },
    { "object-attribute.created", "\"object_id\":\"" OBJECT "\",\"attribute_id\":\"" ATTRIBUTE "\"",
      "", false, "GET /v2/objects/" OBJECT "/attributes", NULL },
    { "object-attribute.updated", "\"object_id\":\"" OBJECT "\",\"attribute_id\":\"" ATTRIBUTE "\"",
      "", false, "GET /v2/objects/" OBJECT "/attributes", NULL },
#define LIST_ID "\"list_id\":\"" LIST "\""
#define LISTED "SELECT count(*) FROM attiod_list WHERE list_id = '" LIST "' AND NOT gone"
    { "list.created", LIST_ID, "", false, "GET /v2/lists", LISTED },
    { "list.updated", LIST_ID, "", false, "GET /v2/lists", LISTED },
    { "list.deleted", LIST_ID, "", true, "GET /v2/lists", LISTED },
    { "list-attribute.created", LIST_ID ",\"attribute_id\":\"" ATTRIBUTE "\"", "", false,
      "GET /v2/lists/" LIST "/attributes", LISTED },
    { "list-attribute.updated", LIST_ID ",\"attribute_id\":\"" ATTRIBUTE "\"", "", false,
      "GET /v2/lists/" LIST "/attributes", LISTED },
    { "workspace-member.created", "\"workspace_member_id\":\"" MEMBER "\"", "", false,
      "GET /v2/workspace_members/" MEMBER,
      "SELECT count(*) FROM workspace_members WHERE workspace_member_id = '" MEMBER
      "' AND first_name = 'Ada'" },
    { "call-recording.created",
      "\"meeting_id\":\"" MEETING "\",\"call_recording_id\":\"" RECORDING "\"", "", false, NULL,
      NULL },
};

static struct service_fixture s;
static const struct sample *now;
static unsigned offered; /* to a handler of the user */

/* ---- Attio ------------------------------------------------------------------------------- */

static char text[1 << 14];

static void add(const char *json)
{
    size_t n = strlen(text);
    (void)snprintf(text + n, sizeof(text) - n, "%s", json);
}

static const char *held(const char *path)
{
    for (size_t i = 0; i < AD_LEN(things); i++) {
        if (strcmp(things[i].path, path) == 0 && !now->gone) {
            return things[i].json;
        }
    }
    return NULL;
}

/* Those of `base` whose id is in the query. */
static void answer_query(const char *base, const struct request *r)
{
    bool first = true;
    add("{\"data\":[");
    for (size_t i = 0; i < AD_LEN(things); i++) {
        const char *path = things[i].path;
        size_t n = strlen(base);
        if (strncmp(path, base, n) == 0 && strstr(r->body, path + n) && held(path)) {
            add(first ? "" : ",");
            add(things[i].json);
            first = false;
        }
    }
    add("]}");
}

static bool answer_path(const char *line, const struct request *r, struct answer *a)
{
    if (strcmp(line, "POST /v2/objects/" OBJECT "/records/query") == 0) {
        answer_query("/v2/objects/" OBJECT "/records/", r);
    } else if (strcmp(line, "POST /v2/lists/" LIST "/entries/query") == 0) {
        answer_query("/v2/lists/" LIST "/entries/", r);
    } else if (strncmp(line, "GET /v2/lists/" LIST "/attributes", 60) == 0 ||
               strstr(line, LIST "/attributes")) {
        add("{\"data\":[{\"id\":{\"attribute_id\":\"" ATTRIBUTE "\"},\"api_slug\":\"name\","
            "\"title\":\"Name\",\"type\":\"text\"}]}");
    } else if (strcmp(line, "GET /v2/lists") == 0) {
        add("{\"data\":[");
        add(now->gone && strcmp(now->type, "list.deleted") == 0
                ? ""
                : "{\"id\":{\"workspace_id\":\"" WORKSPACE "\",\"list_id\":\"" LIST
                  "\"},\"api_slug\":\"sales\",\"name\":\"Sales\",\"parent_object\":[\"people\"]}");
        add("]}");
    } else if (strncmp(line, "GET /v2/", 8) == 0 && held(line + 4)) {
        add("{\"data\":");
        add(held(line + 4));
        add("}");
    } else if (strstr(line, "/records/") || strstr(line, "/entries/") || strstr(line, "/notes/") ||
               strstr(line, "/tasks/") || strstr(line, "/comments/")) {
        a->status = 404;
        add("{\"status_code\":404,\"type\":\"invalid_request_error\",\"code\":\"not_found\"}");
    } else {
        return false;
    }
    return true;
}

static bool attio(struct service_fixture *f, const struct request *r, struct answer *a)
{
    (void)f;
    text[0] = '\0';
    a->body = text;
    return answer_path(r->line, r, a);
}

/* ---- the test ---------------------------------------------------------------------------- */

static void on_offered(void *ctx, struct ad_invocation *inv)
{
    (void)ctx;
    for (size_t i = 0; i < ad_invocation_count(inv); i++) {
        offered += strcmp(ad_invocation_event(inv, i)->type, now->type) == 0;
    }
    ad_invocation_done(inv, AD_OUTCOME_DONE, NULL);
}

static const char *const all[] = { "*", NULL };
static const struct ad_handler user = {
    .abi = AD_HANDLER_ABI, .name = "user", .types = all, .run = on_offered
};

static void setup(void)
{
    offered = 0;
    service_fixture_open(&s);
    s.other = attio;
    s.handler = &user;
}

static void teardown(void)
{
    service_fixture_close(&s);
}

static void send(const char *event)
{
    static char body[1 << 13];
    struct ad_ingest in;
    (void)snprintf(body, sizeof(body), "{\"webhook_id\":\"" WORKSPACE "\",\"events\":[%s]}", event);
    ck_assert_msg(deliver(&s, body, NULL, 0, &in) == AD_OK, "%s", in.info.msg);
    ck_assert_msg(!in.quarantined, "%s", event);
    ck_assert_uint_eq(in.accepted, 1);
    pass_until(&s, nothing_pending, &s);
}

static unsigned seen(const char *part)
{
    unsigned n = 0;
    for (unsigned i = 0; i < s.f.sv.n; i++) {
        const struct request *r = &s.f.sv.requests[i];
        n += strstr(r->line, part) || strstr(r->body, part);
    }
    return n;
}

/* Sends it twice, as Attio may: the second time nothing may change. */
static void check(const char *event)
{
    service_fixture_up(&s);
    s.f.sv.n = 0;
    send(event);
    if (now->asks) {
        ck_assert_msg(seen(now->asks) > 0, "%s: nobody asked for %s", now->type, now->asks);
    } else {
        ck_assert_msg(s.f.sv.n == 0, "%s: asked %s", now->type, s.f.sv.requests[0].line);
    }
    bool gone_list = strcmp(now->type, "list.deleted") == 0;
    if (now->sql) {
        ck_assert_msg(fixture_i64(&s.f, now->sql) == (gone_list ? 0 : 1), "%s: %s", now->type,
                      now->sql);
    }
    ck_assert_uint_eq(offered, 1);
    send(event);
    if (now->sql) {
        ck_assert_msg(fixture_i64(&s.f, now->sql) == (gone_list ? 0 : 1), "%s: %s", now->type,
                      now->sql);
    }
    ck_assert_int_eq(fixture_i64(&s.f, "SELECT count(*) FROM attiod_attempt"), 0);
    ck_assert_int_eq(fixture_i64(&s.f, "SELECT count(*) FROM attiod_inbox WHERE state <> 3"), 0);
}

START_TEST(event_causes_its_fetch_and_its_row)
{
    char event[1024];
    now = &samples[_i];
    (void)snprintf(event, sizeof(event),
                   "{\"event_type\":\"%s\",\"id\":{\"workspace_id\":\"" WORKSPACE
                   "\",%s},%s%s\"actor\":" WHO "}",
                   now->type, now->id, now->extra, *now->extra ? "," : "");
    check(event);
}
END_TEST

START_TEST(every_documented_type_has_a_sample)
{
    for (size_t i = 0; i < ad_event_types_n; i++) {
        bool found = false;
        for (size_t k = 0; k < AD_LEN(samples); k++) {
            found = found || strcmp(samples[k].type, ad_event_types[i].name) == 0;
        }
        ck_assert_msg(found, "%s", ad_event_types[i].name);
    }
    ck_assert_uint_eq(ad_event_types_n, AD_LEN(samples));
}
END_TEST

/* ---- somebody else's list ---------------------------------------------------------------- */

static struct ad_arena arena;
static const struct ad_json *facts;

/* False: there is none. */
static bool facts_read(void)
{
    const char *path = getenv("ATTIOD_ATTIO_FACTS");
    FILE *file = path ? fopen(path, "rb") : NULL;
    if (!file) {
        ck_assert_ptr_null(path);
        return false;
    }
    static char all_of_it[1 << 18];
    size_t n = fread(all_of_it, 1, sizeof(all_of_it), file);
    (void)fclose(file);
    ad_arena_init(&arena, 8 << 20);
    ck_assert_int_eq(ad_json_parse(&arena, ad_str_n(all_of_it, n), NULL, &facts, NULL), AD_OK);
    return true;
}

/* "list_id|null": null, unless the event is about an entry. */
static void write_id(struct ad_json_writer *w, struct ad_str key)
{
    static const char *const others[][2] = { { "duplicate_object_id", OBJECT },
                                             { "duplicate_record_id", OTHER },
                                             { "parent_object_id", OBJECT },
                                             { "parent_record_id", RECORD } };
    bool null = ad_str_ends(key, AD_STR("|null"));
    key.n -= null ? 5 : 0;
    struct ad_str id = ad_json_str(ad_json_get_str(ad_json_get(facts, "sample_ids"), key));
    for (size_t i = 0; i < AD_LEN(others); i++) {
        id = ad_str_eq(key, ad_str_c(others[i][0])) ? ad_str_c(others[i][1]) : id;
    }
    ck_assert_msg(id.p != NULL, "no sample of %.*s", AD_FMT(key));
    ad_json_key_str(w, key);
    ad_json_w_str(w, null ? AD_STR_NONE : id);
}

static void write_event(struct ad_buf *out, const struct ad_json *e)
{
    struct ad_json_writer w;
    ad_json_write_init(&w, out);
    ad_json_obj(&w);
    ad_json_f_str(&w, "event_type", ad_json_str(ad_json_get(e, "event_type")));
    ad_json_key(&w, "id");
    ad_json_obj(&w);
    AD_JSON_FOREACH (key, ad_json_get(e, "id")) {
        write_id(&w, key->str);
    }
    ad_json_end(&w);
    AD_JSON_FOREACH (key, ad_json_get(e, "extra")) {
        write_id(&w, key->str);
    }
    ad_json_key(&w, "actor");
    ad_json_obj(&w);
    ad_json_f_cstr(&w, "type", "system");
    ad_json_f_cstr(&w, "id", NULL);
    ad_json_end(&w);
    ad_json_end(&w);
    ck_assert_int_eq(ad_json_write_done(&w), AD_OK);
    ad_buf_putc(out, '\0');
}

START_TEST(listed_event_causes_its_fetch_and_its_row)
{
    if (!facts_read()) {
        return;
    }
    const struct ad_json *events = ad_json_get(facts, "events");
    const struct ad_json *e = ad_json_at(events, (size_t)_i);
    struct ad_buf event;
    ad_buf_init(&event, 4096);
    ck_assert_uint_eq(events->count, AD_LEN(samples));
    for (size_t i = 0; i < AD_LEN(samples); i++) {
        if (ad_str_eq(ad_json_str(ad_json_get(e, "event_type")), ad_str_c(samples[i].type))) {
            now = &samples[i];
        }
    }
    ck_assert_ptr_nonnull(now);
    write_event(&event, e);
    check(event.p);
    ad_buf_fini(&event);
    ad_arena_fini(&arena);
}
END_TEST

static Suite *events_suite(void)
{
    Suite *suite = suite_create("events");
    TCase *tcase = tcase_create("events");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, event_causes_its_fetch_and_its_row, 0, (int)AD_LEN(samples));
    tcase_add_test(tcase, every_documented_type_has_a_sample);
    tcase_add_loop_test(tcase, listed_event_causes_its_fetch_and_its_row, 0, (int)AD_LEN(samples));
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITE(events_suite)
