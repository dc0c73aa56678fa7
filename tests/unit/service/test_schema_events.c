/* Events that say that the schema changed: Attio is asked, and the mirror follows. */
#include "fixture.h"

#include <stdio.h>

static struct service_fixture s;
static const char *attributes; /* NULL: the fixture's */
static const char *lists, *list_attributes, *entries;

#define LIST "33333333-0000-4000-8000-000000000001"
#define ATTRIBUTE(n, slug, type)                                                             \
    "{\"id\":{\"attribute_id\":\"11111111-0000-4000-8000-00000000000" #n "\"},\"api_slug\":" \
    "\"" slug "\",\"title\":\"T\",\"type\":\"" type "\"}"
#define DATA(...) "{\"data\":[" __VA_ARGS__ "]}"

static bool other(struct service_fixture *sf, const struct request *r, struct answer *a)
{
    (void)sf;
    if (strstr(r->line, "/v2/lists/" LIST "/attributes")) {
        a->body = list_attributes;
    } else if (strstr(r->line, "/v2/lists/" LIST "/entries/query")) {
        a->body = strstr(r->body, "\"offset\":0") ? entries : DATA();
    } else if (strcmp(r->line, "GET /v2/lists") == 0) {
        a->body = lists;
    } else if (attributes && strstr(r->line, "/v2/objects/") && strstr(r->line, "/attributes")) {
        a->body = attributes;
    } else {
        return false;
    }
    return true;
}

static void setup(void)
{
    service_fixture_open(&s);
    s.other = other;
    s.opts.sync_on_start = true;
    attributes = NULL;
    lists = list_attributes = entries = DATA();
    record_put(&s, 0, 1, "ada");
    record_put(&s, 0, 2, "bob");
}

static void teardown(void)
{
    service_fixture_close(&s);
}

static bool done(void *ctx)
{
    (void)ctx;
    return pending(&s) == 0;
}

static void event_of(const char *type)
{
    struct ad_ingest in;
    char body[600];
    bool attribute = strstr(type, "attribute");
    bool list = strncmp(type, "list", 4) == 0;
    (void)snprintf(body, sizeof(body),
                   "{\"webhook_id\":\"" WORKSPACE "\",\"events\":[{\"event_type\":\"%s\",\"id\":{"
                   "\"workspace_id\":\"" WORKSPACE "\",\"%s\":\"%s\"%s},\"actor\":{\"type\":"
                   "\"system\",\"id\":null}}]}",
                   type, list ? "list_id" : "object_id", list ? LIST : object_id(0),
                   attribute ? ",\"attribute_id\":\"11111111-0000-4000-8000-000000000001\"" : "");
    ck_assert_int_eq(deliver(&s, body, NULL, 0, &in), AD_OK);
    ck_assert_uint_eq(in.accepted, 1);
}

/* The answer to a question of SQL, as time passes. */
struct wish {
    const char *sql;
    int64_t want;
};

static bool is_so(void *ctx)
{
    const struct wish *w = ctx;
    return fixture_i64(&s.f, w->sql) == w->want;
}

static void until_is(const char *sql, int64_t want)
{
    struct wish w = { sql, want };
    pass_until(&s, is_so, &w);
}

#define HAS(view, column) \
    "SELECT count(*) FROM pragma_table_info('" view "') WHERE name = '" column "'"
#define VIEW(name) "SELECT count(*) FROM sqlite_schema WHERE name = '" name "'"

static void until_people(int64_t n)
{
    until_is(VIEW("people_live"), 1);
    until_is("SELECT count(name) FROM people", n);
}

static const char *const types[] = {
    "object-attribute.created",
    "object-attribute.updated",
    "list-attribute.created",
    "list-attribute.updated",
    "list.created",
    "list.updated",
    "list.deleted",
};

START_TEST(each_such_event_asks_for_the_schema)
{
    service_fixture_up(&s);
    s.schemas = 0;
    event_of(types[_i]);
    pass_until(&s, done, NULL);
    ck_assert_uint_eq(s.schemas, 1);
}
END_TEST

START_TEST(attributes_that_come_and_are_renamed_are_followed_by_views_and_rows)
{
    service_fixture_up(&s);
    until_people(2);
    attributes = DATA(ATTRIBUTE(1, "called", "text") "," ATTRIBUTE(3, "more", "text"));
    event_of("object-attribute.updated");
    until_is(HAS("people", "called"), 1);
    ck_assert_int_eq(fixture_i64(&s.f, HAS("people", "name")), 0);
    ck_assert_int_eq(fixture_i64(&s.f, HAS("people", "more")), 1);
    ck_assert_int_eq(fixture_i64(&s.f, "SELECT count(called) FROM people"), 2);
    pass_until(&s, done, NULL);
}
END_TEST

START_TEST(another_type_is_completed_by_a_full_sync)
{
    service_fixture_up(&s);
    until_people(2);
    unsigned pages = s.pages;
    attributes = DATA(ATTRIBUTE(1, "name", "number"));
    event_of("object-attribute.updated");
    until_is("SELECT count(*) FROM attiod_sync_run WHERE object_slug = 'people' AND phase = 4", 2);
    ck_assert_uint_gt(s.pages, pages);
    world_advance(&s.f.w, 120000);
    world_settle(&s.f.w);
    until_is("SELECT count(*) FROM attiod_sync_run WHERE object_slug = 'people'",
             2); /* not again */
}
END_TEST

START_TEST(an_object_that_came_gets_its_full_sync)
{
    s.objects_n = 1;
    service_fixture_up(&s);
    until_people(2);
    s.objects_n = 2;
    record_put(&s, 1, 7, "acme");
    event_of("object-attribute.created");
    until_is(VIEW("companies"), 1);
    until_is("SELECT count(*) FROM companies WHERE name = 'acme'", 1);
}
END_TEST

START_TEST(a_list_comes_with_its_entries_and_goes_with_its_views)
{
    service_fixture_up(&s);
    lists = DATA("{\"id\":{\"workspace_id\":\"" WORKSPACE "\",\"list_id\":\"" LIST
                 "\"},\"api_slug\":\"sales\",\"name\":\"Sales\",\"parent_object\":[\"people\"]}");
    list_attributes = DATA(ATTRIBUTE(5, "stage", "status"));
    entries = DATA("{\"id\":{\"workspace_id\":\"" WORKSPACE "\",\"list_id\":\"" LIST
                   "\",\"entry_id\":\"44444444-0000-4000-8000-000000000001\"},"
                   "\"parent_record_id\":\"44444444-0000-4000-8000-000000000002\","
                   "\"parent_object\":\"people\",\"created_at\":\"2026-01-01T00:00:00.000000000Z\","
                   "\"entry_values\":{\"stage\":[{\"status\":{\"title\":\"Won\",\"id\":{"
                   "\"status_id\":\"x\"}}}]}}");
    event_of("list.created");
    until_is(VIEW("list_sales_live"), 1);
    until_is("SELECT count(*) FROM list_sales_live WHERE stage = 'Won'", 1);
    lists = DATA();
    event_of("list.deleted");
    until_is(VIEW("list_sales_live"), 0);
    pass_until(&s, done, NULL);
}
END_TEST

/* The tables of all kinds are there after start-up, before anything came. */
START_TEST(start_up_brings_all_views)
{
    service_fixture_up(&s);
    until_is(VIEW("workspace_members_live"), 1);
    until_is(VIEW("comments"), 1);
}
END_TEST

/* After the n-th request of what follows an event. */
START_TEST(closing_at_any_stage_leaves_it_for_the_next_start)
{
    for (unsigned i = 0; i < 200; i++) {
        record_put(&s, 0, 10 + i, "x");
    }
    service_fixture_up(&s);
    until_people(202);
    attributes = DATA(ATTRIBUTE(1, "name", "text") "," ATTRIBUTE(3, "again", "text"));
    event_of("object-attribute.updated");
    for (int turns = 0; turns < _i * 3; turns++) {
        ad_loop_turn(s.f.w.loop, 1);
    }
    service_fixture_stop(&s);
    service_fixture_up(&s);
    until_is(HAS("people", "again"), 1);
    until_is("SELECT count(*) FROM attiod_shape WHERE backfill IS NOT NULL", 0);
    pass_until(&s, done, NULL);
    ck_assert_int_eq(fixture_i64(&s.f, "SELECT count(name) FROM people"), 202);
}
END_TEST

static Suite *schema_events_suite(void)
{
    Suite *suite = suite_create("schema_events");
    TCase *tcase = tcase_create("schema_events");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, each_such_event_asks_for_the_schema, 0, (int)AD_LEN(types));
    tcase_add_test(tcase, attributes_that_come_and_are_renamed_are_followed_by_views_and_rows);
    tcase_add_test(tcase, another_type_is_completed_by_a_full_sync);
    tcase_add_test(tcase, an_object_that_came_gets_its_full_sync);
    tcase_add_test(tcase, a_list_comes_with_its_entries_and_goes_with_its_views);
    tcase_add_test(tcase, start_up_brings_all_views);
    tcase_add_loop_test(tcase, closing_at_any_stage_leaves_it_for_the_next_start, 0, 12);
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITE(schema_events_suite)
