#include "base/json_bind.h"

#include "base/clock.h"
#include "support/run.h"

struct contact {
    struct ad_str id, email, uuid;
    int64_t limit, created;
    bool active;
    const struct ad_json *values;
};

static const struct ad_json_field fields[] = {
    AD_FIELD(STR, struct contact, id, "id.record_id", AD_REQUIRED),
    AD_FIELD(STR, struct contact, email, "values.email[0].address", AD_OPTIONAL),
    AD_FIELD(UUID, struct contact, uuid, "uuid", AD_OPTIONAL),
    AD_FIELD(I64, struct contact, limit, "limit", AD_OPTIONAL),
    AD_FIELD(TIME, struct contact, created, "created_at", AD_OPTIONAL),
    AD_FIELD(BOOL, struct contact, active, "active", AD_OPTIONAL),
    AD_FIELD(JSON, struct contact, values, "values", AD_OPTIONAL),
};

static struct ad_arena arena;
static struct ad_errinfo info;
static struct contact contact;

static void setup(void)
{
    ad_arena_init(&arena, 1 << 20);
    contact = (struct contact){ .limit = 77 };
}

static void teardown(void)
{
    ad_arena_fini(&arena);
}

static const struct ad_json *parse(const char *text)
{
    const struct ad_json *doc = NULL;
    ck_assert_int_eq(ad_json_parse(&arena, ad_str_c(text), NULL, &doc, &info), AD_OK);
    return doc;
}

static enum ad_err bind(const char *text)
{
    return ad_json_bind(parse(text), fields, AD_LEN(fields), &contact, &info);
}

START_TEST(every_type_reaches_its_member)
{
    ck_assert_int_eq(bind("{\"id\":{\"record_id\":\"r1\"},\"limit\":-3,\"active\":true,"
                          "\"uuid\":\"bf071e1f-6035-429d-b874-d83ea64ea13b\","
                          "\"created_at\":\"1970-01-01T00:00:01Z\","
                          "\"values\":{\"email\":[{\"address\":\"x\"}]}}"),
                     AD_OK);
    assert_str(contact.id, "r1");
    assert_str(contact.email, "x");
    assert_str(contact.uuid, "bf071e1f-6035-429d-b874-d83ea64ea13b");
    ck_assert_int_eq(contact.limit, -3);
    ck_assert_int_eq(contact.created, AD_NS_PER_S);
    ck_assert(contact.active);
    ck_assert(ad_json_is(contact.values, AD_JSON_OBJECT));
}
END_TEST

START_TEST(optional_fields_absent_or_null_leave_their_member)
{
    ck_assert_int_eq(bind("{\"id\":{\"record_id\":\"r1\"},\"limit\":null,\"values\":null}"), AD_OK);
    ck_assert_int_eq(contact.limit, 77);
    ck_assert_ptr_null(contact.email.p);
    ck_assert_ptr_null(contact.values);
}
END_TEST

START_TEST(what_does_not_fit_is_named_by_its_path_and_not_by_its_value)
{
    static const struct {
        const char *text, *msg;
    } rows[] = {
        { "{}", "id.record_id: required, got nothing" },
        { "[]", "id.record_id: required, got nothing" },
        { "{\"id\":{\"record_id\":null}}", "id.record_id: required, got null" },
        { "{\"id\":{\"record_id\":7}}", "id.record_id: expected string, got number" },
        { "{\"id\":{\"record_id\":{}}}", "id.record_id: expected string, got object" },
        { "{\"id\":{\"record_id\":\"a\\u0000\"}}", "id.record_id: not a valid string" },
        { "{\"id\":{\"record_id\":\"r\"},\"uuid\":\"private\"}", "uuid: not a valid UUID" },
        { "{\"id\":{\"record_id\":\"r\"},\"uuid\":[]}", "uuid: expected UUID, got array" },
        { "{\"id\":{\"record_id\":\"r\"},\"limit\":\"7\"}",
          "limit: expected whole number, got string" },
        { "{\"id\":{\"record_id\":\"r\"},\"limit\":1.5}", "limit: not a valid whole number" },
        { "{\"id\":{\"record_id\":\"r\"},\"active\":0}", "active: expected boolean, got number" },
        { "{\"id\":{\"record_id\":\"r\"},\"created_at\":\"now\"}",
          "created_at: not a valid RFC 3339 time" },
        { "{\"id\":{\"record_id\":\"r\"},\"values\":{\"email\":[{\"address\":true}]}}",
          "values.email[0].address: expected string, got boolean" },
    };
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        ck_assert_int_eq(bind(rows[i].text), AD_ERR_PARSE);
        ck_assert_str_eq(info.msg, rows[i].msg);
    }
    ck_assert_int_eq(contact.limit, 77);
}
END_TEST

START_TEST(unknown_keys_are_refused_with_a_near_one)
{
    static const char *const known[] = { "limit", "offset", "created_at", NULL };
    static const struct {
        const char *text;
        enum ad_err err;
        const char *msg;
    } rows[] = {
        { "{}", AD_OK, "" },
        { "{\"offset\":1,\"limit\":2}", AD_OK, "" },
        { "{\"limt\":1}", AD_ERR_PARSE, "unknown key \"limt\"; did you mean \"limit\"?" },
        { "{\"Limit\":1}", AD_ERR_PARSE, "unknown key \"Limit\"; did you mean \"limit\"?" },
        { "{\"createdAt\":1}", AD_ERR_PARSE,
          "unknown key \"createdAt\"; did you mean \"created_at\"?" },
        { "{\"limit\":1,\"xyz\":2}", AD_ERR_PARSE, "unknown key \"xyz\"" },
        { "{\"\\u001b[0m\":2}", AD_ERR_PARSE, "unknown key \"?[0m\"" },
        { "[]", AD_ERR_PARSE, "expected object, got array" },
    };
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        info.msg[0] = '\0';
        ck_assert_msg(ad_json_only(parse(rows[i].text), known, &info) == rows[i].err, "%s",
                      rows[i].text);
        ck_assert_str_eq(info.msg, rows[i].msg);
    }
    ck_assert_int_eq(ad_json_only(NULL, known, &info), AD_ERR_PARSE);
}
END_TEST

START_TEST(the_nearest_candidate_is_meant_if_it_is_near_enough)
{
    static const char *const words[] = { "people", "companies", "deals", "deal", NULL };
    ck_assert_str_eq(ad_did_you_mean(AD_STR("poeple"), words), "people");
    ck_assert_str_eq(ad_did_you_mean(AD_STR("company"), words), "companies");
    ck_assert_str_eq(ad_did_you_mean(AD_STR("deal"), words), "deal");
    ck_assert_ptr_null(ad_did_you_mean(AD_STR("tasks"), words));
    ck_assert_ptr_null(ad_did_you_mean(AD_STR(""), words));
    char longest[200];
    memset(longest, 'x', sizeof(longest));
    ck_assert_ptr_null(ad_did_you_mean(ad_str_n(longest, sizeof(longest)), words));
    static const char *const none[] = { NULL };
    ck_assert_ptr_null(ad_did_you_mean(AD_STR("a"), none));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("json_bind");
    TCase *tcase = tcase_create("json_bind");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, every_type_reaches_its_member);
    tcase_add_test(tcase, optional_fields_absent_or_null_leave_their_member);
    tcase_add_test(tcase, what_does_not_fit_is_named_by_its_path_and_not_by_its_value);
    tcase_add_test(tcase, unknown_keys_are_refused_with_a_near_one);
    tcase_add_test(tcase, the_nearest_candidate_is_meant_if_it_is_near_enough);
    suite_add_tcase(s, tcase);
    return s;
}

RUN_SUITE(suite)
