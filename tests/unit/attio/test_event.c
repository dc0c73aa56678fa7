#include "attio/event.h"

#include <stdio.h>

#include "base/json_write.h"
#include "support/run.h"
#include "support/torture.h"

#define ID(n) "00000000-0000-4000-8000-00000000000" #n
#define WORKSPACE "\"workspace_id\":\"" ID(1) "\""

static struct ad_arena arena;

static enum ad_err decode(const char *text, struct ad_event *e, struct ad_errinfo *info)
{
    const struct ad_json *doc = NULL;
    ad_arena_init(&arena, 1 << 20);
    enum ad_err err = ad_json_parse(&arena, ad_str_c(text), NULL, &doc, info);
    return err ? err : ad_event_decode(&arena, doc, e, info);
}

/* One row a documented type: what Attio's guide to webhooks says it carries, and its subject. */
static const struct {
    const char *type, *ids, *beside, *subject;
    enum ad_event_family family;
} samples[] = {
#define RECORD_IDS "\"object_id\":\"" ID(2) "\",\"record_id\":\"" ID(3) "\""
#define PARENT "\"parent_object_id\":\"" ID(2) "\",\"parent_record_id\":\"" ID(3) "\","
    { "record.created", RECORD_IDS, "", "record:" ID(3), AD_EVENT_RECORD },
    { "record.updated", RECORD_IDS ",\"attribute_id\":\"" ID(4) "\"", "", "record:" ID(3),
      AD_EVENT_RECORD },
    { "record.deleted", RECORD_IDS, "", "record:" ID(3), AD_EVENT_RECORD },
    { "record.merged", RECORD_IDS,
      "\"duplicate_object_id\":\"" ID(2) "\",\"duplicate_record_id\":\"" ID(5) "\",",
      "record:" ID(3), AD_EVENT_RECORD },
#define ENTRY_IDS "\"list_id\":\"" ID(2) "\",\"entry_id\":\"" ID(3) "\""
    { "list-entry.created", ENTRY_IDS, PARENT, "entry:" ID(3), AD_EVENT_LIST_ENTRY },
    { "list-entry.updated", ENTRY_IDS ",\"attribute_id\":\"" ID(4) "\"", PARENT, "entry:" ID(3),
      AD_EVENT_LIST_ENTRY },
    { "list-entry.deleted", ENTRY_IDS, PARENT, "entry:" ID(3), AD_EVENT_LIST_ENTRY },
#define NOTE_IDS "\"note_id\":\"" ID(3) "\""
    { "note.created", NOTE_IDS, PARENT, "note:" ID(3), AD_EVENT_NOTE },
    { "note.updated", NOTE_IDS, PARENT, "note:" ID(3), AD_EVENT_NOTE },
    { "note.deleted", NOTE_IDS, PARENT, "note:" ID(3), AD_EVENT_NOTE },
    { "note-content.updated", NOTE_IDS, PARENT, "note:" ID(3), AD_EVENT_NOTE },
#define TASK_IDS "\"task_id\":\"" ID(3) "\""
    { "task.created", TASK_IDS, "", "task:" ID(3), AD_EVENT_TASK },
    { "task.updated", TASK_IDS, "", "task:" ID(3), AD_EVENT_TASK },
    { "task.deleted", TASK_IDS, "", "task:" ID(3), AD_EVENT_TASK },
#define COMMENT_IDS "\"comment_id\":\"" ID(3) "\""
#define THREAD                                                                     \
    "\"thread_id\":\"" ID(6) "\",\"object_id\":\"" ID(2) "\",\"record_id\":\"" ID( \
        7) "\",\"list_id\":null,\"entry_id\":null,"
    { "comment.created", COMMENT_IDS, THREAD, "comment:" ID(3), AD_EVENT_COMMENT },
    { "comment.resolved", COMMENT_IDS, THREAD, "comment:" ID(3), AD_EVENT_COMMENT },
    { "comment.unresolved", COMMENT_IDS, THREAD, "comment:" ID(3), AD_EVENT_COMMENT },
    { "comment.deleted", COMMENT_IDS, THREAD, "comment:" ID(3), AD_EVENT_COMMENT },
#define LIST_IDS "\"list_id\":\"" ID(2) "\""
    { "list.created", LIST_IDS, "", "list:" ID(2), AD_EVENT_LIST },
    { "list.updated", LIST_IDS, "", "list:" ID(2), AD_EVENT_LIST },
    { "list.deleted", LIST_IDS, "", "list:" ID(2), AD_EVENT_LIST },
#define ATTRIBUTE ",\"attribute_id\":\"" ID(4) "\""
    { "list-attribute.created", LIST_IDS ATTRIBUTE, "", "attribute:" ID(4),
      AD_EVENT_LIST_ATTRIBUTE },
    { "list-attribute.updated", LIST_IDS ATTRIBUTE, "", "attribute:" ID(4),
      AD_EVENT_LIST_ATTRIBUTE },
    { "object-attribute.created", "\"object_id\":\"" ID(2) "\"" ATTRIBUTE, "", "attribute:" ID(4),
      AD_EVENT_OBJECT_ATTRIBUTE },
    { "object-attribute.updated", "\"object_id\":\"" ID(2) "\"" ATTRIBUTE, "", "attribute:" ID(4),
      AD_EVENT_OBJECT_ATTRIBUTE },
    { "workspace-member.created", "\"workspace_member_id\":\"" ID(3) "\"", "",
      "workspace-member:" ID(3), AD_EVENT_WORKSPACE_MEMBER },
    { "call-recording.created", "\"meeting_id\":\"" ID(2) "\",\"call_recording_id\":\"" ID(3) "\"",
      "", "call-recording:" ID(3), AD_EVENT_CALL_RECORDING },
};

static void sample_text(size_t i, struct ad_buf *b)
{
    ad_buf_init(b, 4096);
    ad_buf_fmt(b,
               "{\"event_type\":\"%s\",\"id\":{" WORKSPACE ",%s},%s\"actor\":{\"type\":"
               "\"api-token\",\"id\":\"" ID(9) "\"}}",
               samples[i].type, samples[i].ids, samples[i].beside);
    ad_buf_putc(b, '\0');
}

START_TEST(each_documented_type_is_known_and_decoded)
{
    ck_assert_uint_eq(AD_LEN(samples), 27);
    ck_assert_uint_eq(ad_event_types_n, 27);
    struct ad_buf b;
    struct ad_event e;
    struct ad_errinfo info;
    sample_text((size_t)_i, &b);
    ck_assert_msg(decode(b.p, &e, &info) == AD_OK, "%s", info.msg);
    assert_str(e.type, samples[_i].type);
    assert_str(e.subject, samples[_i].subject);
    assert_str(e.workspace_id, ID(1));
    assert_str(e.actor_type, "api-token");
    assert_str(e.actor_id, ID(9));
    assert_str(e.body, b.p);
    ck_assert_int_eq(e.family, samples[_i].family);
    ck_assert_ptr_nonnull(ad_event_type_find(e.type));
    ad_arena_fini(&arena);
    ad_buf_fini(&b);
}
END_TEST

START_TEST(ids_have_their_places)
{
    struct ad_event e;
    ck_assert_int_eq(decode("{\"event_type\":\"record.merged\",\"id\":{" WORKSPACE "," RECORD_IDS
                            "},\"duplicate_object_id\":\"" ID(2) "\",\"duplicate_record_id\":\"" ID(
                                5) "\",\"actor\":{\"type\":\"system\",\"id\":null}}",
                            &e, NULL),
                     AD_OK);
    assert_str(e.object_id, ID(2));
    assert_str(e.record_id, ID(3));
    assert_str(e.primary_id, ID(3));
    assert_str(e.duplicate_record_id, ID(5));
    assert_str(e.actor_type, "system");
    ck_assert_ptr_null(e.actor_id.p);
    ck_assert_ptr_null(e.attribute_id.p);
    ck_assert_ptr_null(e.list_id.p);
    ck_assert_int_eq(e.seq, 0);
    ad_arena_fini(&arena);
}
END_TEST

START_TEST(upper_case_ids_become_lower_case)
{
    struct ad_event e;
    ck_assert_int_eq(decode("{\"event_type\":\"task.created\",\"id\":{" WORKSPACE
                            ",\"task_id\":\"ABCDEF00-0000-4000-8000-00000000000F\"},\"actor\":{}}",
                            &e, NULL),
                     AD_OK);
    assert_str(e.subject, "task:abcdef00-0000-4000-8000-00000000000f");
    assert_str(e.primary_id, "abcdef00-0000-4000-8000-00000000000f");
    ad_arena_fini(&arena);
}
END_TEST

START_TEST(unknown_types_need_only_their_name)
{
    static const struct {
        const char *text, *subject;
    } rows[] = {
        { "{\"event_type\":\"foo.bar\"}", "foo.bar" },
        { "{\"event_type\":\"activity.created\",\"id\":{" WORKSPACE
          ",\"activity_id\":\"" ID(3) "\"}}",
          "activity:" ID(3) },
        { "{\"event_type\":\"activity-attribute.created\",\"id\":{" WORKSPACE
          ",\"activity_id\":\"" ID(3) "\",\"attribute_id\":\"" ID(4) "\"}}",
          "attribute:" ID(4) },
        { "{\"event_type\":\"x.y\",\"id\":{\"x_id\":\"no uuid\"}}", "x.y" },
        { "{\"event_type\":\"x.y\",\"id\":{\"object_id\":7}}", "x.y" },
        { "{\"event_type\":\"x.y\",\"id\":[1]}", "x.y" },
    };
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        struct ad_event e;
        ck_assert_int_eq(decode(rows[i].text, &e, NULL), AD_OK);
        assert_str(e.subject, rows[i].subject);
        ck_assert_int_eq(e.family, AD_EVENT_UNKNOWN);
        ad_arena_fini(&arena);
    }
}
END_TEST

START_TEST(malformed_events_name_what_is_wrong)
{
    static const struct {
        const char *text, *msg;
    } rows[] = {
        { "7", "event_type: required, a string" },
        { "{}", "event_type: required, a string" },
        { "{\"event_type\":\"\"}", "event_type: required, a string" },
        { "{\"event_type\":\"a\\u0000b\"}", "event_type: required, a string" },
        { "{\"event_type\":\"task.created\"}", "id.workspace_id: required" },
        { "{\"event_type\":\"task.created\",\"id\":{\"workspace_id\":null}}",
          "id.workspace_id: required" },
        { "{\"event_type\":\"task.created\",\"id\":{" WORKSPACE "}}", "id.task_id: required" },
        { "{\"event_type\":\"task.created\",\"id\":{\"workspace_id\":1,\"task_id\":\"" ID(3) "\"}}",
          "id.workspace_id: not a UUID" },
        { "{\"event_type\":\"task.created\",\"id\":{" WORKSPACE ",\"task_id\":\"x\"}}",
          "id.task_id: not a UUID" },
        { "{\"event_type\":\"record.updated\",\"id\":{" WORKSPACE "," RECORD_IDS "}}",
          "id.attribute_id: required" },
        { "{\"event_type\":\"record.created\",\"id\":{" WORKSPACE ",\"record_id\":\"" ID(3) "\"}}",
          "id.object_id: required" },
        { "{\"event_type\":\"record.merged\",\"id\":{" WORKSPACE "," RECORD_IDS
          "},\"duplicate_record_id\":\"x\"}",
          "duplicate_record_id: not a UUID" },
    };
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        struct ad_event e;
        struct ad_errinfo info = { 0 };
        ck_assert_int_eq(decode(rows[i].text, &e, &info), AD_ERR_PARSE);
        ck_assert_str_eq(info.msg, rows[i].msg);
        ad_arena_fini(&arena);
    }
}
END_TEST

START_TEST(an_endless_type_is_refused)
{
    char name[400];
    char text[512];
    struct ad_event e;
    memset(name, 'a', sizeof(name));
    (void)snprintf(text, sizeof(text), "{\"event_type\":\"%.*s\"}", (int)sizeof(name), name);
    ck_assert_int_eq(decode(text, &e, NULL), AD_ERR_PARSE);
    ad_arena_fini(&arena);
}
END_TEST

static enum ad_err decode_all(void *ctx)
{
    (void)ctx;
    struct ad_event e;
    enum ad_err err = decode("{\"event_type\":\"task.created\",\"id\":{" WORKSPACE
                             ",\"task_id\":\"ABCDEF00-0000-4000-8000-00000000000F\"}}",
                             &e, NULL);
    ad_arena_fini(&arena);
    return err;
}

START_TEST(no_memory_is_no_event)
{
    torture(decode_all, NULL);
}
END_TEST

static Suite *event_suite(void)
{
    const TTest *const tests[] = {
        ids_have_their_places,
        upper_case_ids_become_lower_case,
        unknown_types_need_only_their_name,
        malformed_events_name_what_is_wrong,
        an_endless_type_is_refused,
        no_memory_is_no_event,
    };
    Suite *suite = suite_of("event", tests, AD_LEN(tests));
    TCase *types = tcase_create("types");
    tcase_add_loop_test(types, each_documented_type_is_known_and_decoded, 0, (int)AD_LEN(samples));
    suite_add_tcase(suite, types);
    return suite;
}

RUN_SUITE(event_suite)
