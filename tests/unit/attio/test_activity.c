#include "attio/activity.h"

#include "fixture.h"
#include "support/json_assert.h"
#include "support/run.h"
#include "support/torture.h"

#include <stdio.h>

#define OBJECT "11111111-1111-4111-8111-111111111111"
#define LIST "33333333-3333-4333-8333-333333333333"
#define ID "22222222-2222-4222-8222-222222222221"
#define PAGE "{\"data\":[{\"id\":1},{\"id\":2}]}"
#define THREADS                                                                                \
    "{\"data\":[{\"id\":1,\"comments\":[{\"id\":11},{\"id\":12}]},{\"id\":2,\"comments\":[]}," \
    "{\"id\":3,\"comments\":[{\"id\":31,\"entry\":null}]}]}"

static struct attio_fixture f;
static struct ad_versions *versions;
static struct ad_records *records;
static const struct ad_object people = { .id = { OBJECT, 36 }, .slug = { "people", 6 } };
static const struct ad_object sales = { .kind = AD_KIND_LIST, .id = { LIST, 36 } };
static const struct ad_object notes = { .kind = AD_KIND_NOTE, .id = { "notes", 5 } };
static const struct ad_object tasks = { .kind = AD_KIND_TASK, .id = { "tasks", 5 } };
static const struct ad_object comments = { .kind = AD_KIND_COMMENT, .id = { "comments", 8 } };
static const struct ad_object members = { .kind = AD_KIND_MEMBER, .id = { "members", 7 } };
static struct ad_records_op op;
static char response[256];
static bool done;

static void on_op(struct ad_records_op *o)
{
    (void)snprintf(response, sizeof(response), "%.*s", AD_FMT(o->response));
    done = true;
}

static void begin(const struct ad_object *of)
{
    op = (struct ad_records_op){ .object = of, .priority = AD_PRIO_PULL, .cb = on_op };
    f.sv.script_n = f.sv.n = 0;
    done = false;
}

static void setup(void)
{
    fixture_open(&f);
    ck_assert_int_eq(ad_versions_open(f.store, &versions, NULL), AD_OK);
    ck_assert_int_eq(ad_records_open(f.client, versions, &records), AD_OK);
}

static void teardown(void)
{
    ad_records_close(records);
    ad_versions_close(versions);
    fixture_close(&f);
}

static void finish(void)
{
    for (int i = 0; !done && i < 1000; i++) {
        world_advance(&f.w, 10);
    }
    world_until_true(&f.w, &done);
    ck_assert_ptr_null(op.impl);
}

static enum ad_err ask_threads(const struct ad_object *in, struct ad_str id)
{
    struct ad_activity_page page = { .limit = 50, .offset = 100 };
    return ad_activity_threads(records, &op, in, id, &page);
}

/* --- One by its id, entries by ids --- */

static const struct one {
    const struct ad_object *of;
    const char *line;
} ones[] = {
    { &people, "GET /v2/objects/" OBJECT "/records/" ID },
    { &sales, "GET /v2/lists/" LIST "/entries/" ID },
    { &notes, "GET /v2/notes/" ID },
    { &tasks, "GET /v2/tasks/" ID },
    { &comments, "GET /v2/comments/" ID },
    { &members, "GET /v2/workspace_members/" ID },
};

START_TEST(one_of_each_kind_is_got)
{
    begin(ones[_i].of);
    scripted_say(&f.sv, 200, "{\"data\":{\"id\":1}}");
    ck_assert_int_eq(ad_records_get(records, &op, AD_STR(ID)), AD_OK);
    finish();
    ck_assert_int_eq(op.err, AD_OK);
    ck_assert_int_eq(op.version, 1);
    ck_assert_str_eq(f.sv.requests[0].line, ones[_i].line);
}
END_TEST

START_TEST(entries_are_asked_for_by_their_ids)
{
    struct ad_str id = AD_STR(ID);
    begin(&sales);
    scripted_say(&f.sv, 200, PAGE);
    ck_assert_int_eq(ad_records_by_ids(records, &op, &id, 1), AD_OK);
    finish();
    ck_assert_int_eq(op.err, AD_OK);
    ck_assert_uint_eq(op.items, 2);
    ck_assert_str_eq(f.sv.requests[0].line, "POST /v2/lists/" LIST "/entries/query");
    json_assert(ad_str_c(f.sv.requests[0].body),
                "{'filter':{'entry_id':{'$in':['" ID "']}},'limit':1}");
}
END_TEST

START_TEST(entries_are_paged_in_the_order_of_creation_or_in_none)
{
    struct ad_records_page page = { .limit = 500 };
    begin(&sales);
    scripted_say(&f.sv, 200, PAGE);
    ck_assert_int_eq(ad_records_page(records, &op, &page), AD_OK);
    finish();
    ck_assert_str_eq(f.sv.requests[0].line, "POST /v2/lists/" LIST "/entries/query");
    json_assert(ad_str_c(f.sv.requests[0].body),
                "{'sorts':[{'attribute':'created_at','direction':'asc'}],'limit':500,'offset':0}");
    begin(&sales);
    page.unsorted = true;
    scripted_say(&f.sv, 200, PAGE);
    ck_assert_int_eq(ad_records_page(records, &op, &page), AD_OK);
    finish();
    json_assert(ad_str_c(f.sv.requests[0].body), "{'limit':500,'offset':0}");
}
END_TEST

START_TEST(what_is_neither_object_nor_list_has_no_queries)
{
    struct ad_records_page page = { .limit = 500 };
    struct ad_str id = AD_STR(ID);
    for (size_t i = 2; i < AD_LEN(ones); i++) {
        begin(ones[i].of);
        ck_assert_int_eq(ad_records_by_ids(records, &op, &id, 1), AD_ERR_INVALID);
        ck_assert_int_eq(ad_records_page(records, &op, &page), AD_ERR_INVALID);
    }
}
END_TEST

/* --- Pages --- */

static const struct listed {
    const struct ad_object *of;
    struct ad_activity_page page;
    const char *line; /* NULL: refused */
} listed[] = {
    { &notes, { 50, 100 }, "GET /v2/notes?limit=50&offset=100" },
    { &notes, { 51, 0 }, NULL },
    { &notes, { 0, 0 }, NULL },
    { &tasks, { 500, 0 }, "GET /v2/tasks?sort=created_at:asc&limit=500&offset=0" },
    { &tasks, { 501, 0 }, NULL },
    { &members, { 0, 0 }, "GET /v2/workspace_members" },
    { &comments, { 50, 0 }, NULL },
    { &people, { 50, 0 }, NULL },
    { &sales, { 50, 0 }, NULL },
};

START_TEST(pages_of_each_kind)
{
    const struct listed *l = &listed[_i];
    begin(l->of);
    scripted_say(&f.sv, 200, PAGE);
    enum ad_err err = ad_activity_page(records, &op, &l->page);
    ck_assert_int_eq(err, l->line ? AD_OK : AD_ERR_INVALID);
    if (l->line) {
        finish();
        ck_assert_int_eq(op.err, AD_OK);
        ck_assert_str_eq(f.sv.requests[0].line, l->line);
        ck_assert_str_eq(response, PAGE);
        ck_assert_uint_eq(op.items, 2);
    }
}
END_TEST

START_TEST(threads_of_a_record_or_an_entry_become_a_page_of_comments)
{
    begin(&comments);
    scripted_say(&f.sv, 200, THREADS)->headers = "X-Accurate-At: 2026-01-01T00:00:00.5Z\r\n";
    ck_assert_int_eq(ask_threads(&people, AD_STR(ID)), AD_OK);
    finish();
    ck_assert_int_eq(op.err, AD_OK);
    ck_assert_str_eq(f.sv.requests[0].line,
                     "GET /v2/threads?object=" OBJECT "&record_id=" ID "&limit=50&offset=100");
    json_assert(ad_str_c(response), "{'data':[{'id':11},{'id':12},{'id':31,'entry':null}]}");
    ck_assert_uint_eq(op.items, 3);
    ck_assert_int_eq(op.version, 1);
    ck_assert_int_eq(op.accurate_ns, INT64_C(1767225600500000000));
    begin(&comments);
    scripted_say(&f.sv, 200, "{\"data\":[]}");
    ck_assert_int_eq(ask_threads(&sales, AD_STR(ID)), AD_OK);
    finish();
    ck_assert_str_eq(f.sv.requests[0].line,
                     "GET /v2/threads?list=" LIST "&entry_id=" ID "&limit=50&offset=100");
    json_assert(ad_str_c(response), "{'data':[]}");
    ck_assert_uint_eq(op.items, 0);
}
END_TEST

START_TEST(threads_of_nothing_are_refused)
{
    begin(&comments);
    ck_assert_int_eq(ask_threads(&notes, AD_STR(ID)), AD_ERR_INVALID);
    ck_assert_int_eq(ask_threads(&people, AD_STR("x&y")), AD_ERR_INVALID);
    struct ad_activity_page page = { .limit = 51 };
    ck_assert_int_eq(ad_activity_threads(records, &op, &people, AD_STR(ID), &page), AD_ERR_INVALID);
}
END_TEST

START_TEST(answers_that_are_no_threads_are_asked_for_again)
{
    static const char *const bad[] = {
        "{\"data\":{}}",
        "{\"data\":[1]}",
        "{\"data\":[{}]}",
        "{\"data\":[{\"comments\":null}]}",
        "{\"data\":[{\"comments\":[{\"id\":1}]},{\"comments\":[2]}]}",
        "{\"data\":[{\"comments\":[{\"id\":1}]}",
    };
    for (size_t i = 0; i < AD_LEN(bad); i++) {
        begin(&comments);
        scripted_say(&f.sv, 200, bad[i]);
        scripted_say(&f.sv, 200, THREADS);
        ck_assert_int_eq(ask_threads(&people, AD_STR(ID)), AD_OK);
        finish();
        ck_assert_msg(op.err == AD_OK, "%s: %s", bad[i], ad_err_name(op.err));
        ck_assert_uint_eq(f.sv.n, 2);
        ck_assert_uint_eq(op.items, 3); /* of the good answer alone */
    }
}
END_TEST

/* --- How it may end otherwise --- */

START_TEST(what_attio_refuses_is_said)
{
    begin(&notes);
    scripted_say(&f.sv, 404, "{\"type\":\"invalid_request_error\",\"code\":\"not_found\"}");
    ck_assert_int_eq(ad_records_get(records, &op, AD_STR(ID)), AD_OK);
    finish();
    ck_assert_int_eq(op.err, AD_ERR_NOTFOUND);
    begin(&comments);
    scripted_say(&f.sv, 403, "{\"type\":\"auth_error\",\"code\":\"unauthorized\"}");
    ck_assert_int_eq(ask_threads(&people, AD_STR(ID)), AD_OK);
    finish();
    ck_assert_int_eq(op.err, AD_ERR_FORBIDDEN);
}
END_TEST

START_TEST(an_operation_is_cancelled)
{
    begin(&comments);
    scripted_do(&f.sv, ACT_HANG);
    ck_assert_int_eq(ask_threads(&people, AD_STR(ID)), AD_OK);
    world_until_count(&f.w, &f.sv.n, 1);
    ad_records_cancel(records, &op);
    ck_assert(!done);
    world_until_true(&f.w, &done);
    ck_assert_int_eq(op.err, AD_ERR_CANCELED);
}
END_TEST

static const enum act cuts[] = { ACT_HANG_UP, ACT_HALF, ACT_GARBAGE };

START_TEST(a_peer_that_closes_is_asked_again)
{
    begin(&tasks);
    scripted_do(&f.sv, cuts[_i])->body = PAGE;
    scripted_say(&f.sv, 200, PAGE);
    struct ad_activity_page page = { .limit = 10 };
    ck_assert_int_eq(ad_activity_page(records, &op, &page), AD_OK);
    finish();
    ck_assert_int_eq(op.err, AD_OK);
    ck_assert_int_eq(op.version, 2);
}
END_TEST

START_TEST(an_answer_that_never_comes_times_out)
{
    begin(&members);
    scripted_do(&f.sv, ACT_HANG);
    ck_assert_int_eq(ad_activity_page(records, &op, &(struct ad_activity_page){ 0 }), AD_OK);
    for (int i = 0; !done && i < 300; i++) {
        world_advance(&f.w, 1000);
    }
    finish();
    ck_assert_int_eq(op.err, AD_ERR_TIMEOUT);
}
END_TEST

START_TEST(no_memory_at_any_place)
{
    for (size_t n = 0; n < 120; n = torture_next_of_all(n)) {
        begin(&comments);
        scripted_say(&f.sv, 200, THREADS);
        heap_fail(n, 1);
        enum ad_err err = ask_threads(&people, AD_STR(ID));
        if (err) {
            ck_assert_int_eq(err, AD_ERR_NOMEM);
        } else {
            finish();
            ck_assert_msg(op.err == AD_OK || op.err == AD_ERR_NOMEM || op.err == AD_ERR_NETWORK,
                          "%zu: %s", n, ad_err_name(op.err));
        }
        heap_fail(0, 0);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("activity");
    TCase *tc = tcase_create("activity");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, one_of_each_kind_is_got, 0, (int)AD_LEN(ones));
    tcase_add_test(tc, entries_are_asked_for_by_their_ids);
    tcase_add_test(tc, entries_are_paged_in_the_order_of_creation_or_in_none);
    tcase_add_test(tc, what_is_neither_object_nor_list_has_no_queries);
    tcase_add_loop_test(tc, pages_of_each_kind, 0, (int)AD_LEN(listed));
    tcase_add_test(tc, threads_of_a_record_or_an_entry_become_a_page_of_comments);
    tcase_add_test(tc, threads_of_nothing_are_refused);
    tcase_add_test(tc, answers_that_are_no_threads_are_asked_for_again);
    tcase_add_test(tc, what_attio_refuses_is_said);
    tcase_add_test(tc, an_operation_is_cancelled);
    tcase_add_loop_test(tc, a_peer_that_closes_is_asked_again, 0, (int)AD_LEN(cuts));
    tcase_add_test(tc, an_answer_that_never_comes_times_out);
    tcase_add_test(tc, no_memory_at_any_place);
    suite_add_tcase(suite, tc);
    return suite;
}

RUN_SUITE(suite)
