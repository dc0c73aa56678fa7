#include "attio/records.h"

#include "fixture.h"
#include "support/json_assert.h"
#include "support/run.h"
#include "support/torture.h"

#include <stdio.h>

#define OBJECT "11111111-1111-4111-8111-111111111111"
#define ID1 "22222222-2222-4222-8222-222222222221"
#define ID2 "22222222-2222-4222-8222-222222222222"
#define PAGE "{\"data\":[{\"id\":1},{\"id\":2}]}"

static struct attio_fixture f;
static struct ad_versions *versions;
static struct ad_records *records;
static const struct ad_object object = { .id = { OBJECT, 36 }, .slug = { "people", 6 } };
static struct ad_records_op op;
static char response[128];
static bool done;

static void on_op(struct ad_records_op *o)
{
    (void)snprintf(response, sizeof(response), "%.*s", AD_FMT(o->response));
    done = true;
}

static void setup(void)
{
    fixture_open(&f);
    ck_assert_int_eq(ad_versions_open(f.store, &versions, NULL), AD_OK);
    ck_assert_int_eq(ad_records_open(f.client, versions, &records), AD_OK);
    op = (struct ad_records_op){ .object = &object, .priority = AD_PRIO_PULL, .cb = on_op };
    done = false;
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

static enum ad_err ask_ids(size_t n)
{
    struct ad_str ids[] = { AD_STR(ID1), AD_STR(ID2) };
    return ad_records_by_ids(records, &op, ids, n);
}

START_TEST(records_are_asked_for_by_their_ids)
{
    scripted_say(&f.sv, 200, PAGE)->headers = "X-Accurate-At: 2026-01-01T00:00:00.5Z\r\n";
    ck_assert_int_eq(ask_ids(2), AD_OK);
    finish();
    ck_assert_int_eq(op.err, AD_OK);
    ck_assert_str_eq(f.sv.requests[0].line, "POST /v2/objects/" OBJECT "/records/query");
    json_assert(ad_str_c(f.sv.requests[0].body),
                "{'filter':{'record_id':{'$in':['" ID1 "','" ID2 "']}},'limit':2}");
    ck_assert_str_eq(response, PAGE);
    ck_assert_int_eq(op.version, 1);
    ck_assert_uint_ge(op.sent_ms, 1000000);
    ck_assert_int_eq(op.accurate_ns, INT64_C(1767225600500000000));
    ck_assert_uint_eq(op.status, 200);
}
END_TEST

START_TEST(a_page_is_in_the_order_of_creation)
{
    struct ad_records_page page = { .from = AD_STR("2026-01-01T10:00:00.123000000Z"),
                                    .limit = 500,
                                    .offset = 7 };
    scripted_say(&f.sv, 200, PAGE);
    ck_assert_int_eq(ad_records_page(records, &op, &page), AD_OK);
    finish();
    ck_assert_int_eq(op.err, AD_OK);
    json_assert(ad_str_c(f.sv.requests[0].body),
                "{'filter':{'created_at':{'$gte':'2026-01-01T10:00:00.123000000Z'}},"
                "'sorts':[{'attribute':'created_at','direction':'asc'}],'limit':500,'offset':7}");
}
END_TEST

START_TEST(the_first_page_has_no_filter)
{
    struct ad_records_page page = { .limit = 10 };
    scripted_say(&f.sv, 200, "{\"data\":[]}");
    ck_assert_int_eq(ad_records_page(records, &op, &page), AD_OK);
    finish();
    ck_assert_int_eq(op.err, AD_OK);
    json_assert(ad_str_c(f.sv.requests[0].body),
                "{'sorts':[{'attribute':'created_at','direction':'asc'}],'limit':10,'offset':0}");
}
END_TEST

START_TEST(one_record_is_got)
{
    scripted_say(&f.sv, 200, "{\"data\":{\"id\":1}}");
    ck_assert_int_eq(ad_records_get(records, &op, AD_STR(ID1)), AD_OK);
    finish();
    ck_assert_int_eq(op.err, AD_OK);
    ck_assert_str_eq(f.sv.requests[0].line, "GET /v2/objects/" OBJECT "/records/" ID1);
}
END_TEST

START_TEST(a_record_that_is_gone_or_merging_is_told_apart)
{
    scripted_say(&f.sv, 404, "{\"type\":\"invalid_request_error\",\"code\":\"not_found\"}");
    scripted_say(&f.sv, 404, "{\"type\":\"invalid_request_error\",\"code\":\"merge_in_progress\"}");
    ck_assert_int_eq(ad_records_get(records, &op, AD_STR(ID1)), AD_OK);
    finish();
    ck_assert_int_eq(op.err, AD_ERR_NOTFOUND);
    ck_assert_int_eq(op.version, 1);
    done = false;
    ck_assert_int_eq(ad_records_get(records, &op, AD_STR(ID1)), AD_OK);
    finish();
    ck_assert_int_eq(op.err, AD_ERR_MERGING);
    ck_assert_int_eq(op.version, 2);
}
END_TEST

START_TEST(every_try_takes_its_own_version)
{
    scripted_say(&f.sv, 500, "");
    scripted_say(&f.sv, 200, PAGE);
    ck_assert_int_eq(ask_ids(1), AD_OK);
    finish();
    ck_assert_int_eq(op.err, AD_OK);
    ck_assert_int_eq(op.version, 2);
}
END_TEST

START_TEST(an_answer_that_is_no_page_is_never_handed_out_as_one)
{
    static const char *const bad[] = {
        "",
        "<html>",
        "{}",
        "[]",
        "{\"data\":{}}",
        "{\"data\":null}",
        "{\"data\":[1]}",
        "{\"data\":[{\"id\":1},{\"id\":",
        "{\"data\":[{\"id\":1}]",
        "{\"data\":[]} and more",
    };
    for (size_t i = 0; i < AD_LEN(bad); i++) {
        f.sv.script_n = f.sv.n = 0;
        done = false;
        scripted_say(&f.sv, 200, bad[i]);
        ck_assert_int_eq(ask_ids(2), AD_OK);
        finish();
        ck_assert_msg(op.err == AD_ERR_PROTOCOL, "%s: %s", bad[i], ad_err_name(op.err));
        ck_assert_uint_eq(f.sv.n, 2); /* asked for again */
    }
    f.sv.script_n = f.sv.n = 0;
    done = false;
    scripted_say(&f.sv, 200, "{\"data\":[]}");
    ck_assert_int_eq(ad_records_get(records, &op, AD_STR(ID1)), AD_OK);
    finish();
    ck_assert_int_eq(op.err, AD_ERR_PROTOCOL);
}
END_TEST

START_TEST(a_query_that_attio_does_not_take_is_to_be_halved)
{
    scripted_say(&f.sv, 400, "{\"type\":\"invalid_request_error\",\"code\":\"filter_error\"}");
    ck_assert_int_eq(ask_ids(2), AD_OK);
    finish();
    ck_assert_int_eq(op.err, AD_ERR_TOOLARGE);
    done = false;
    ck_assert_int_eq(ask_ids(1), AD_OK);
    finish();
    ck_assert_int_eq(op.err, AD_ERR_UPSTREAM_REJECTED);
}
END_TEST

START_TEST(ids_that_are_none_are_refused)
{
    struct ad_str id = AD_STR("../../self");
    ck_assert_int_eq(ad_records_by_ids(records, &op, &id, 1), AD_ERR_INVALID);
    ck_assert_int_eq(ad_records_by_ids(records, &op, NULL, 0), AD_ERR_INVALID);
    ck_assert_int_eq(ad_records_get(records, &op, id), AD_ERR_INVALID);
    static struct ad_str many[AD_RECORDS_IDS_MAX + 1];
    for (size_t i = 0; i < AD_LEN(many); i++) {
        many[i] = AD_STR(ID1);
    }
    ck_assert_int_eq(ad_records_by_ids(records, &op, many, AD_LEN(many)), AD_ERR_INVALID);
}
END_TEST

START_TEST(a_full_query_fits)
{
    static struct ad_str many[AD_RECORDS_IDS_MAX];
    for (size_t i = 0; i < AD_LEN(many); i++) {
        many[i] = AD_STR(ID1);
    }
    scripted_say(&f.sv, 200, PAGE);
    ck_assert_int_eq(ad_records_by_ids(records, &op, many, AD_LEN(many)), AD_OK);
    finish();
    ck_assert_int_eq(op.err, AD_OK);
}
END_TEST

START_TEST(an_operation_is_cancelled)
{
    scripted_do(&f.sv, ACT_HANG);
    ck_assert_int_eq(ask_ids(2), AD_OK);
    world_until_count(&f.w, &f.sv.n, 1);
    ad_records_cancel(records, &op);
    ck_assert(!done);
    world_until_true(&f.w, &done);
    ck_assert_int_eq(op.err, AD_ERR_CANCELED);
    ad_records_cancel(records, &op);
}
END_TEST

START_TEST(no_memory_at_any_place)
{
    bool failed = true;
    for (size_t n = 0; failed || n < 120; n = torture_next_of_all(n)) {
        f.sv.script_n = f.sv.n = 0;
        done = false;
        scripted_say(&f.sv, 200, PAGE);
        heap_fail(n, 1);
        enum ad_err err = ask_ids(2);
        if (err) {
            ck_assert_int_eq(err, AD_ERR_NOMEM);
        } else {
            finish();
            ck_assert_msg(op.err == AD_OK || op.err == AD_ERR_NOMEM || op.err == AD_ERR_NETWORK,
                          "%zu: %s", n, ad_err_name(op.err));
        }
        failed = heap_failed();
        heap_fail(0, 0);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("records");
    TCase *tc = tcase_create("records");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, records_are_asked_for_by_their_ids);
    tcase_add_test(tc, a_page_is_in_the_order_of_creation);
    tcase_add_test(tc, the_first_page_has_no_filter);
    tcase_add_test(tc, one_record_is_got);
    tcase_add_test(tc, a_record_that_is_gone_or_merging_is_told_apart);
    tcase_add_test(tc, every_try_takes_its_own_version);
    tcase_add_test(tc, an_answer_that_is_no_page_is_never_handed_out_as_one);
    tcase_add_test(tc, a_query_that_attio_does_not_take_is_to_be_halved);
    tcase_add_test(tc, ids_that_are_none_are_refused);
    tcase_add_test(tc, a_full_query_fits);
    tcase_add_test(tc, an_operation_is_cancelled);
    tcase_add_test(tc, no_memory_at_any_place);
    suite_add_tcase(suite, tc);
    return suite;
}

RUN_SUITE(suite)
