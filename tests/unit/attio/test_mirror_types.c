#include "mirror_fixture.h"
#include "support/run.h"

#include <stdio.h>

/* Every type of attribute: absent, one value, many, archived and restored. */

struct expected {
    const char *expression, *want; /* of columns x and x_<property>, as text */
};
#define EXPECTED_MAX 8
static const struct type_row {
    const char *type;
    const char *one, *two;     /* values as Attio sends them */
    const char *single, *many; /* typeof and column x of `one`; of both, as JSON */
    const char *properties[11];
    struct expected of_one[EXPECTED_MAX];
} rows[] = {
    { .type = "text",
      .one = "{\"value\":\"it's \\\"q\\\" \\u00e9\"}",
      .two = "{\"value\":\"\\u0000\"}",
      .single = "text|it's \"q\" \xc3\xa9",
      .many = "[\"it's \\\"q\\\" \xc3\xa9\",\"\\u0000\"]" },
    { .type = "number",
      .one = "{\"value\":9007199254740993}",
      .two = "{\"value\":0.1}",
      .single = "integer|9007199254740993",
      .many = "[9007199254740993,0.1]" },
    { .type = "number",
      .one = "{\"value\":-12345.6789}",
      .two = "{\"value\":1e3}",
      .single = "real|-12345.6789",
      .many = "[-12345.6789,1e3]" },
    { .type = "checkbox",
      .one = "{\"value\":true}",
      .two = "{\"value\":false}",
      .single = "integer|1",
      .many = "[true,false]" },
    { .type = "currency",
      .one = "{\"currency_value\":10000.2501,\"currency_code\":\"EUR\"}",
      .two = "{\"currency_value\":\"499.00\",\"currency_code\":\"USD\"}",
      .single = "real|10000.2501",
      .many = "[10000.2501,\"499.00\"]",
      .properties = { "currency_value", "currency_code" },
      .of_one = { { "typeof(x_currency_value) || x_currency_code", "realEUR" } } },
    { .type = "currency", /* the type's page shows text */
      .one = "{\"currency_value\":\"499.50\",\"currency_code\":\"USD\"}",
      .two = "{\"currency_value\":0,\"currency_code\":\"JPY\"}",
      .single = "real|499.5",
      .many = "[\"499.50\",0]",
      .properties = { "currency_value", "currency_code" },
      .of_one = { { "x_currency_value > 499", "1" } } },
    { .type = "date",
      .one = "{\"value\":\"2026-02-03\"}",
      .two = "{\"value\":\"0001-01-01\"}",
      .single = "text|2026-02-03",
      .many = "[\"2026-02-03\",\"0001-01-01\"]" },
    { .type = "timestamp",
      .one = "{\"value\":\"2026-02-03T04:05:06.123456789Z\"}",
      .two = "{\"value\":\"9999-12-31T23:59:59.999999999Z\"}",
      .single = "text|2026-02-03T04:05:06.123456789Z",
      .many = "[\"2026-02-03T04:05:06.123456789Z\",\"9999-12-31T23:59:59.999999999Z\"]" },
    { .type = "rating",
      .one = "{\"value\":0}",
      .two = "{\"value\":5}",
      .single = "integer|0",
      .many = "[0,5]" },
    { .type = "status",
      .one = "{\"status\":{\"title\":\"Won \xf0\x9f\x8e\x89\",\"id\":{\"status_id\":\"s1\"}}}",
      .two = "{\"status\":{\"title\":\"Lost\",\"id\":{\"status_id\":\"s2\"}}}",
      .single = "text|Won \xf0\x9f\x8e\x89",
      .many = "[\"Won \xf0\x9f\x8e\x89\",\"Lost\"]",
      .properties = { "title", "id" },
      .of_one = { { "x_title || x_id", "Won \xf0\x9f\x8e\x89s1" } } },
    { .type = "select",
      .one = "{\"option\":{\"title\":\"A\",\"id\":{\"option_id\":\"o1\"},\"is_archived\":true}}",
      .two = "{\"option\":{\"title\":\"B\",\"id\":{\"option_id\":\"o2\"}}}",
      .single = "text|A",
      .many = "[\"A\",\"B\"]",
      .properties = { "title", "id" },
      .of_one = { { "x_title || x_id", "Ao1" } } },
    { .type = "record-reference",
      .one = "{\"target_object\":\"companies\",\"target_record_id\":\"" R(2) "\"}",
      .two = "{\"target_object\":\"people\",\"target_record_id\":\"" R(3) "\"}",
      .single = "text|" R(2),
      .many = "[\"" R(2) "\",\"" R(3) "\"]",
      .properties = { "target_object", "target_record_id" },
      .of_one = { { "x_target_object || x_target_record_id", "companies" R(2) } } },
    { .type = "actor-reference",
      .one =
          "{\"referenced_actor_type\":\"workspace-member\",\"referenced_actor_id\":\"" R(4) "\"}",
      .two = "{\"referenced_actor_type\":\"system\",\"referenced_actor_id\":null}",
      .single = "text|" R(4),
      .many = "[\"" R(4) "\",null]",
      .properties = { "referenced_actor_type", "referenced_actor_id" },
      .of_one = { { "x_referenced_actor_type || x_referenced_actor_id",
                    "workspace-member" R(4) } } },
    { .type = "actor-reference",
      .one = "{\"referenced_actor_type\":\"system\",\"referenced_actor_id\":null}",
      .two = "{\"referenced_actor_type\":\"app\",\"referenced_actor_id\":\"" R(4) "\"}",
      .single = "null|-",
      .many = "[null,\"" R(4) "\"]",
      .properties = { "referenced_actor_type", "referenced_actor_id" },
      .of_one = { { "x_referenced_actor_type", "system" } } },
    { .type = "location",
      .one = "{\"line_1\":\"1 High St\",\"line_2\":null,\"line_3\":null,\"line_4\":null,"
             "\"locality\":\"Bath\",\"region\":null,\"postcode\":\"BA1\",\"country_code\":\"GB\","
             "\"latitude\":\"51.3810640\",\"longitude\":\"-2.36\"}",
      .two = "{\"country_code\":\"DE\"}",
      .single = "text|{\"line_1\":\"1 High St\",\"line_2\":null,\"line_3\":null,\"line_4\":null,"
                "\"locality\":\"Bath\",\"region\":null,\"postcode\":\"BA1\",\"country_code\":"
                "\"GB\",\"latitude\":\"51.3810640\",\"longitude\":\"-2.36\"}",
      .many = "[{\"line_1\":\"1 High St\",\"line_2\":null,\"line_3\":null,\"line_4\":null,"
              "\"locality\":\"Bath\",\"region\":null,\"postcode\":\"BA1\",\"country_code\":\"GB\","
              "\"latitude\":\"51.3810640\",\"longitude\":\"-2.36\"},"
              "{\"line_1\":null,\"line_2\":null,\"line_3\":null,\"line_4\":null,\"locality\":null,"
              "\"region\":null,\"postcode\":null,\"country_code\":\"DE\",\"latitude\":null,"
              "\"longitude\":null}]",
      .properties = { "line_1", "line_2", "line_3", "line_4", "locality", "region", "postcode",
                      "country_code", "latitude", "longitude" },
      .of_one = { { "typeof(x_latitude) || x_latitude || x_longitude", "text51.3810640-2.36" },
                  { "x_line_1 || x_locality || x_postcode || x_country_code",
                    "1 High StBathBA1GB" },
                  { "coalesce(x_line_2, x_line_3, x_line_4, x_region, '-')", "-" } } },
    { .type = "domain",
      .one = "{\"domain\":\"a.example.com\",\"root_domain\":\"example.com\"}",
      .two = "{\"domain\":\"b.example\",\"root_domain\":\"b.example\"}",
      .single = "text|a.example.com",
      .many = "[\"a.example.com\",\"b.example\"]",
      .properties = { "domain", "root_domain" },
      .of_one = { { "x_domain || x_root_domain || domain",
                    "a.example.comexample.coma.example.com" } } },
    { .type = "email-address",
      .one = "{\"original_email_address\":\"A@b.example\",\"email_address\":\"a@b.example\","
             "\"email_domain\":\"b.example\",\"email_root_domain\":\"example\","
             "\"email_local_specifier\":\"a\"}",
      .two = "{\"email_address\":\"c@d.example\"}",
      .single = "text|a@b.example",
      .many = "[\"a@b.example\",\"c@d.example\"]",
      .properties = { "original_email_address", "email_address", "email_domain",
                      "email_root_domain", "email_local_specifier" },
      .of_one = { { "x_original_email_address || x_email_domain || x_email_root_domain ||"
                    " x_email_local_specifier",
                    "A@b.exampleb.exampleexamplea" },
                  { "email || x_email_address", "a@b.examplea@b.example" } } },
    { .type = "phone-number",
      .one = "{\"original_phone_number\":\"012\",\"phone_number\":\"+4412\",\"country_code\":"
             "\"GB\"}",
      .two = "{\"phone_number\":\"+4913\",\"country_code\":null}",
      .single = "text|+4412",
      .many = "[\"+4412\",\"+4913\"]",
      .properties = { "original_phone_number", "phone_number", "country_code" },
      .of_one = { { "x_original_phone_number || x_phone_number || x_country_code",
                    "012+4412GB" } } },
    { .type = "interaction",
      .one = "{\"interaction_type\":\"email\",\"interacted_at\":\"2026-01-02T03:04:05.000000001Z\","
             "\"owner_actor\":{\"type\":\"workspace-member\",\"id\":\"" R(4) "\"}}",
      .two = "{\"interaction_type\":\"calendar-event\"}",
      .single =
          "text|{\"interaction_type\":\"email\",\"interacted_at\":\"2026-01-02T03:04:05."
          "000000001Z\",\"owner_actor_type\":\"workspace-member\",\"owner_actor_id\":\"" R(4) "\"}",
      .many = "[{\"interaction_type\":\"email\",\"interacted_at\":\"2026-01-02T03:04:05."
              "000000001Z\",\"owner_actor_type\":\"workspace-member\",\"owner_actor_id\":\"" R(
                  4) "\"},{\"interaction_type\":\"calendar-event\",\"interacted_at\":null,"
                     "\"owner_actor_type\":null,\"owner_actor_id\":null}]",
      .properties = { "interaction_type", "interacted_at", "owner_actor_type", "owner_actor_id" },
      .of_one = { { "x_interaction_type || x_interacted_at || x_owner_actor_type ||"
                    " x_owner_actor_id",
                    "email2026-01-02T03:04:05.000000001Zworkspace-member" R(4) } } },
    { .type = "personal-name",
      .one = "{\"first_name\":\"Ada\",\"last_name\":null,\"full_name\":\"Ada\"}",
      .two = "{\"first_name\":\"Al\",\"last_name\":\"B\",\"full_name\":\"Al B\"}",
      .single = "text|{\"first_name\":\"Ada\",\"last_name\":null,\"full_name\":\"Ada\"}",
      .many = "[{\"first_name\":\"Ada\",\"last_name\":null,\"full_name\":\"Ada\"},"
              "{\"first_name\":\"Al\",\"last_name\":\"B\",\"full_name\":\"Al B\"}]",
      .properties = { "first_name", "last_name", "full_name" },
      .of_one = { { "x_first_name || (x_last_name IS NULL) || x_full_name", "Ada1Ada" },
                  { "first_name || (last_name IS NULL) || full_name", "Ada1Ada" } } },
    { .type = "hologram", /* a type of tomorrow */
      .one = "{\"depth\":1.50,\"attribute_type\":\"hologram\"}",
      .two = "{\"depth\":[2]}",
      .single = "text|{\"depth\":1.50,\"attribute_type\":\"hologram\"}",
      .many = "[{\"depth\":1.50,\"attribute_type\":\"hologram\"},{\"depth\":[2]}]" },
};

static void apply_values(int64_t version, const char *value, const char *more)
{
    char text[2000];
    (void)snprintf(text, sizeof(text),
                   "{\"data\":{\"id\":{\"record_id\":\"" R(1) "\"},\"values\":{\"x\":[%s%s%s]}}}",
                   value, *more ? "," : "", more);
    (void)apply(version, text);
}

static void assert_value(const char *expression, const char *want)
{
    char sql[400];
    (void)snprintf(sql, sizeof(sql), "SELECT CAST(%s AS TEXT) FROM people", expression);
    assert_text(sql, want);
}

#define SHOWN "typeof(x) || '|' || coalesce(x, '-')"

static void assert_properties_are_null(const struct type_row *row)
{
    for (size_t i = 0; row->properties[i]; i++) {
        char expression[80];
        (void)snprintf(expression, sizeof(expression), "typeof(x_%s)", row->properties[i]);
        assert_value(expression, "null");
    }
}

static void assert_properties_of_one(const struct type_row *row)
{
    for (size_t i = 0; i < EXPECTED_MAX && row->of_one[i].expression; i++) {
        assert_value(row->of_one[i].expression, row->of_one[i].want);
    }
}

START_TEST(a_value_is_absent_or_one)
{
    const struct type_row *row = &rows[_i];
    attribute(O, ATTR(11), 10, "x", row->type, false, false);
    reopen();
    apply_values(1, "", "");
    assert_value(SHOWN, "null|-");
    assert_properties_are_null(row);
    apply_values(2, row->one, "");
    assert_value(SHOWN, row->single);
    assert_properties_of_one(row);
    apply_values(3, "", "");
    assert_value(SHOWN, "null|-");
    assert_properties_are_null(row);
}
END_TEST

START_TEST(values_are_absent_one_or_many)
{
    const struct type_row *row = &rows[_i];
    char one_of_many[2000];
    attribute(O, ATTR(11), 10, "x", row->type, true, false);
    reopen();
    apply_values(1, "", "");
    assert_value(SHOWN, "null|-");
    assert_properties_are_null(row);
    apply_values(2, row->one, row->two);
    (void)snprintf(one_of_many, sizeof(one_of_many), "text|%s", row->many);
    assert_value(SHOWN, one_of_many);
    assert_value("json_array_length(x)", "2");
    assert_properties_of_one(row);
    apply_values(3, row->one, "");
    assert_value("json_array_length(x)", "1");
    assert_properties_of_one(row);
}
END_TEST

START_TEST(an_archived_attribute_leaves_the_view_until_it_is_restored)
{
    const struct type_row *row = &rows[_i];
    attribute(O, ATTR(11), 10, "x", row->type, false, false);
    reopen();
    apply_values(1, row->one, "");
    attribute(O, ATTR(11), 10, "x", row->type, false, true);
    reopen();
    apply_values(2, row->one, "");
    ck_assert_int_eq(fixture_i64(&f, "SELECT count(*) FROM pragma_table_info('people') WHERE name"
                                     " LIKE 'x%'"),
                     0);
    attribute(O, ATTR(11), 10, "x", row->type, false, false);
    reopen();
    apply_values(3, row->one, "");
    assert_value(SHOWN, row->single);
    assert_properties_of_one(row);
}
END_TEST

START_TEST(references_to_several_objects_say_whose_they_are)
{
    attribute(O, ATTR(11), 10, "x", "record-reference", true, false);
    fixture_sql(&f, "UPDATE attiod_attribute SET many_targets = 1 WHERE slug = 'x'");
    reopen();
    apply_values(1, "{\"target_object\":\"a\",\"target_record_id\":\"1\"}",
                 "{\"target_object\":\"b\",\"target_record_id\":\"2\",\"more\":3}");
    assert_value("x", "[{\"target_object\":\"a\",\"target_record_id\":\"1\"},"
                      "{\"target_object\":\"b\",\"target_record_id\":\"2\"}]");
    assert_value("x_target_object", "a");
    attribute(O, ATTR(11), 10, "x", "record-reference", false, false);
    reopen();
    apply_values(2, "{\"target_object\":\"a\",\"target_record_id\":\"1\"}", "");
    assert_value("x || x_target_object", "1a");
}
END_TEST

/* What no double holds is whole in _raw only; nothing is refused. */
static const struct {
    const char *text, *single;
} numbers[] = {
    { "9223372036854775807", "integer|9223372036854775807" },
    { "-9223372036854775808", "integer|-9223372036854775808" },
    { "9223372036854775808", "real|9.22337203685478e+18" },
    { "10.00", "integer|10" },
    { "0.30000000000000004", "real|0.3" }, /* as SQLite prints it */
    { "123456789012345678901234567890.5", "real|1.23456789012346e+29" },
    { "5e-324", "real|4.94065645841247e-324" },
};

START_TEST(numbers_are_as_exact_as_a_double)
{
    char value[200];
    char expression[200];
    attribute(O, ATTR(11), 10, "x", "number", false, false);
    reopen();
    (void)snprintf(value, sizeof(value), "{\"value\":%s}", numbers[_i].text);
    apply_values(1, value, "");
    assert_value(SHOWN, numbers[_i].single);
    (void)snprintf(expression, sizeof(expression), "x = %s", numbers[_i].text);
    assert_value(expression, "1");
    (void)snprintf(expression, sizeof(expression), "instr(_raw, ':%s}') > 0", numbers[_i].text);
    assert_value(expression, "1");
}
END_TEST

static Suite *mirror_types_suite(void)
{
    Suite *suite = suite_create("mirror_types");
    TCase *tcase = tcase_create("types");
    tcase_add_checked_fixture(tcase, mirror_setup, mirror_teardown);
    tcase_add_loop_test(tcase, a_value_is_absent_or_one, 0, AD_LEN(rows));
    tcase_add_loop_test(tcase, values_are_absent_one_or_many, 0, AD_LEN(rows));
    tcase_add_loop_test(tcase, an_archived_attribute_leaves_the_view_until_it_is_restored, 0,
                        AD_LEN(rows));
    tcase_add_test(tcase, references_to_several_objects_say_whose_they_are);
    tcase_add_loop_test(tcase, numbers_are_as_exact_as_a_double, 0, AD_LEN(numbers));
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITE(mirror_types_suite)
