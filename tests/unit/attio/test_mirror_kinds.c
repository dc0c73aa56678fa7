#include "mirror_fixture.h"
#include "support/run.h"

#define ACTOR "{\"type\":\"workspace-member\",\"id\":\"" R(9) "\"}"
#define ID(key, id) "{\"id\":{\"workspace_id\":\"" WS "\",\"" key "\":\"" id "\"},"
#define CREATED "\"created_at\":\"2026-01-01T00:00:00.000000001Z\"}"

#define ENTRY(id, title)                                                       \
    ID("entry_id", id)                                                         \
    "\"parent_record_id\":\"" R(                                               \
        5) "\",\"parent_object\":\"people\",\"entry_values\":{\"stage\":"      \
           "[{\"status\":{\"title\":\"" title "\",\"id\":{\"status_id\":\"" R( \
               6) "\"}}}],\"parent_object\":[{\"value\":\"theirs\"}]}," CREATED

static bool kind_counted;

static void on_kind_count(struct ad_mirror_count *c)
{
    (void)c;
    kind_counted = true;
}

static void on_kind_scan(struct ad_mirror_scan *s)
{
    *(bool *)s->data = true;
}

START_TEST(entries_become_rows_of_their_list)
{
    list(L, 1, "sales");
    attribute(L, ATTR(02), 0, "stage", "status", false, false);
    attribute(L, ATTR(03), 1, "parent_object", "text", false, false);
    attribute(L, ATTR(04), 2, "entry_id", "text", false, false);
    reopen();
    const struct ad_object *o = ad_schema_list(schema, AD_STR("sales"));
    assert_counts(apply_to(o, 1, PAGE(ENTRY(R(1), "Lead") "," ENTRY(R(2), "Won"))), 2, 0, 0, 0);
    assert_counts(apply_to(o, 2, PAGE(ENTRY(R(1), "Lead") "," ENTRY(R(2), "Lost"))), 0, 1, 1, 0);
    assert_text("SELECT group_concat(entry_id || stage) FROM (SELECT * FROM list_sales_live ORDER"
                " BY 1)",
                R(1) "Lead," R(2) "Lost");
    assert_text("SELECT parent_object || parent_record_id || parent_object__2 || stage_id FROM"
                " list_sales WHERE entry_id = '" R(1) "'",
                "people" R(5) "theirs" R(6));
    ck_assert_int_eq(fixture_i64(&f, "SELECT count(*) FROM " L_TABLE), 2);
}
END_TEST

START_TEST(lists_views_give_way_to_names_that_were_there_before)
{
    object(O2, 1, "list_sales");
    list(L, 2, "sales");
    list("50000000-0000-4000-8000-0000000000b2", 3, "Sales");
    object("00000000-0000-4000-8000-0000000000a3", 4, "tasks");
    reopen();
    for (const struct ad_object *o = NULL; (o = ad_schema_next(schema, o));) {
        assert_counts(apply_to(o, 1, PAGE()), 0, 0, 0, 0);
    }
    assert_text("SELECT group_concat(view) FROM (SELECT view FROM attiod_shape ORDER BY view)",
                "comments,list_Sales__3,list_sales,list_sales__2,notes,people,tasks,tasks__2,"
                "workspace_members");
    assert_text("SELECT view FROM attiod_shape WHERE object_id = '" O2 "'", "list_sales");
    assert_text("SELECT view FROM attiod_shape WHERE object_id = 'tasks'", "tasks");
}
END_TEST

#define NOTE                                                                            \
    ID("note_id", R(1))                                                                 \
    "\"parent_object\":\"people\",\"parent_record_id\":\"" R(                           \
        5) "\",\"title\":\"Call\",\"meeting_id\":null,\"content_plaintext\":\"a\\nb\"," \
           "\"content_markdown\":\"# a\",\"tags\":[{\"type\":\"workspace-member\","     \
           "\"workspace_member_id\":\"" R(9) "\"}],\"created_by_actor\":" ACTOR "," CREATED
#define TASK                                                                                     \
    ID("task_id", R(2))                                                                          \
    "\"content_plaintext\":\"Do\",\"deadline_at\":\"2026-02-01T00:00:00.000000000Z\","           \
    "\"is_completed\":true,\"completed_at\":null,\"linked_records\":[{\"target_object_id\":\"" O \
    "\",\"target_record_id\":\"" R(5) "\"}],\"assignees\":[],\"created_by_actor\":" ACTOR        \
                                      "," CREATED
#define COMMENT(id, entry)                                    \
    ID("comment_id", id)                                      \
    "\"thread_id\":\"" R(                                     \
        3) "\",\"content_plaintext\":\"Hm\",\"entry\":" entry \
           ",\"record\":{\"record_id\":\"" R(                 \
               5) "\",\"object_id\":\"" O                     \
                  "\"},\"resolved_at\":null,\"resolved_by\":null,\"author\":" ACTOR "," CREATED
#define MEMBER                                                                          \
    ID("workspace_member_id", R(9))                                                     \
    "\"first_name\":\"Ada\",\"last_name\":\"L\",\"avatar_url\":null,\"email_address\":" \
    "\"ada@example.com\",\"access_level\":\"admin\"," CREATED
#define THREAD                                          \
    ID("thread_id", R(3))                               \
    "\"comments\":[" COMMENT(R(3), "null") "," COMMENT( \
        R(4), "{\"entry_id\":\"" R(7) "\",\"list_id\":\"" L "\"}") "]," CREATED

static const struct kind_row {
    enum ad_kind kind;
    unsigned rows;
    const char *answer, *query, *want;
} kind_rows[] = {
    { AD_KIND_NOTE, 1, PAGE(NOTE),
      "SELECT note_id || parent_object || parent_record_id || title || (meeting_id IS NULL) ||"
      " content_plaintext || content_markdown || tags || created_by_actor_type ||"
      " created_by_actor_id || created_at FROM notes_live",
      R(1) "people" R(5) "Call1a\nb# a[{\"type\":\"workspace-member\",\"workspace_member_id\":\"" R(
          9) "\"}]workspace-member" R(9) "2026-01-01T00:00:00.000000001Z" },
    { AD_KIND_TASK, 1, "{\"data\":" TASK "}",
      "SELECT task_id || content_plaintext || deadline_at || is_completed || (completed_at IS NULL)"
      " || (linked_records ->> '$[0].target_record_id') || (assignees IS NULL) ||"
      " created_by_actor_id FROM tasks_live",
      R(2) "Do2026-02-01T00:00:00.000000000Z11" R(5) "1" R(9) },
    { AD_KIND_COMMENT, 2, PAGE(THREAD),
      "SELECT group_concat(comment_id || thread_id || content_plaintext || object_id || record_id"
      " || coalesce(list_id || entry_id, '-') || author_id || (resolved_at IS NULL) ||"
      " (resolved_by_id IS NULL)) FROM (SELECT * FROM comments_live ORDER BY comment_id)",
      R(3) R(3) "Hm" O R(5) "-" R(9) "11," R(4) R(3) "Hm" O R(5) L R(7) R(9) "11" },
    { AD_KIND_MEMBER, 1, PAGE(MEMBER),
      "SELECT workspace_member_id || first_name || last_name || email_address || access_level ||"
      " (avatar_url IS NULL) FROM workspace_members_live",
      R(9) "AdaLada@example.comadmin1" },
};

/* Applied, unchanged, scanned, deleted, counted: as records are. */
START_TEST(every_built_in_kind_is_treated_alike)
{
    const struct kind_row *row = &kind_rows[_i];
    const struct ad_object *o = ad_schema_builtin(schema, row->kind);
    assert_counts(apply_to(o, 1, row->answer), row->rows, 0, 0, 0);
    assert_counts(apply_to(o, 2, row->answer), 0, 0, row->rows, 0);
    assert_text(row->query, row->want);
    reopen();
    o = ad_schema_builtin(schema, row->kind);
    bool done = false;
    struct ad_mirror_scan s = { .object = o,
                                .workspace_id = AD_STR(WS),
                                .version = 9,
                                .from = AD_STR("2026-01-01T00:00:00Z"),
                                .max = 10,
                                .cb = on_kind_scan,
                                .data = &done };
    ck_assert_int_eq(ad_mirror_scan(m, &s), AD_OK);
    world_until_true(&f.w, &done);
    ck_assert_uint_eq(s.ids_n, row->rows);
    struct ad_mirror_op gone = { .object = o };
    struct ad_str id = AD_STR(R(3));
    prepare(&gone, 5, &done);
    ck_assert_int_eq(ad_mirror_delete(m, &gone, &id, 1), AD_OK);
    world_until_true(&f.w, &done);
    assert_counts(gone, 0, 1, 0, 0);
    bool is_comment = row->kind == AD_KIND_COMMENT;
    struct ad_mirror_count c = { .object = o, .cb = on_kind_count };
    kind_counted = false;
    ck_assert_int_eq(ad_mirror_count(m, &c), AD_OK);
    world_until_true(&f.w, &kind_counted);
    ck_assert_int_eq(c.live, 1);
    ck_assert_int_eq(c.deleted, 1);
    ck_assert_uint_eq(is_comment ? row->rows : row->rows + 1, 2);
}
END_TEST

START_TEST(another_kinds_answer_is_refused)
{
    struct ad_mirror_op op = { .object = ad_schema_builtin(schema, AD_KIND_NOTE) };
    bool done;
    prepare(&op, 1, &done);
    ck_assert_int_eq(ad_mirror_apply(m, &op, AD_STR(PAGE(TASK))), AD_ERR_PARSE);
    op.object = ad_schema_builtin(schema, AD_KIND_COMMENT);
    ck_assert_int_eq(ad_mirror_apply(m, &op, AD_STR(PAGE("{\"comments\":[{}]}"))), AD_ERR_PARSE);
    ck_assert_int_eq(ad_mirror_apply(m, &op, AD_STR("{\"data\":" THREAD "}")), AD_OK);
    world_until_true(&f.w, &done);
    assert_counts(op, 2, 0, 0, 0);
}
END_TEST

START_TEST(views_that_swap_names_are_made_anew_for_both)
{
    list(L, 2, "people");
    reopen();
    apply(1, PAGE(RECORD(R(1), "a")));
    assert_counts(apply_to(ad_schema_list(schema, AD_STR(L)), 1, PAGE()), 0, 0, 0, 0);
    object(O, 0, "list_people");
    list(L, 2, "x");
    reopen();
    apply(2, PAGE(RECORD(R(1), "b"))); /* takes a name whose owner has not let go yet */
    assert_text("SELECT job_title FROM list_people", "b");
    ck_assert_int_eq(fixture_i64(&f, "SELECT count(*) FROM sqlite_schema WHERE name = 'people'"),
                     0);
    assert_counts(apply_to(ad_schema_list(schema, AD_STR(L)), 2, PAGE()), 0, 0, 0, 0);
    assert_text("SELECT job_title FROM list_people_live", "b");
    ck_assert_int_eq(fixture_i64(&f, "SELECT count(*) FROM list_x"), 0);
}
END_TEST

static Suite *mirror_kinds_suite(void)
{
    Suite *suite = suite_create("mirror_kinds");
    TCase *tcase = tcase_create("kinds");
    tcase_add_checked_fixture(tcase, mirror_setup, mirror_teardown);
    tcase_add_test(tcase, entries_become_rows_of_their_list);
    tcase_add_test(tcase, lists_views_give_way_to_names_that_were_there_before);
    tcase_add_loop_test(tcase, every_built_in_kind_is_treated_alike, 0, AD_LEN(kind_rows));
    tcase_add_test(tcase, another_kinds_answer_is_refused);
    tcase_add_test(tcase, views_that_swap_names_are_made_anew_for_both);
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITE(mirror_kinds_suite)
