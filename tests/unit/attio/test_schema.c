#include "attio/schema.h"

#include "fixture.h"
#include "support/run.h"
#include "support/torture.h"

#include <stdio.h>

#define WS "20000000-0000-4000-8000-000000000001"
#define O(n) "00000000-0000-4000-8000-00000000000" #n
#define A(n) "30000000-0000-4000-8000-00000000000" #n

static struct attio_fixture f;
static struct ad_schema *s;
static unsigned ttl_ms;

static void schema_open(void)
{
    struct ad_errinfo info = { 0 };
    struct ad_schema_opts opts = { .store = f.store,
                                   .client = f.client,
                                   .clock = ad_loop_clock(f.w.loop),
                                   .timers = ad_loop_timers(f.w.loop),
                                   .metrics = f.metrics,
                                   .ttl_ms = ttl_ms };
    enum ad_err err = ad_schema_open(&opts, &s, &info);
    ck_assert_msg(err == AD_OK, "%s", info.msg);
}

static void on_closed(void *ctx)
{
    *(bool *)ctx = true;
}

static void schema_close(void)
{
    bool closed = false;
    ad_schema_close(s, on_closed, &closed);
    ck_assert(!closed);
    world_until_true(&f.w, &closed);
    s = NULL;
}

static void setup(void)
{
    fixture_open(&f);
    ttl_ms = 0;
    schema_open();
}

static void teardown(void)
{
    if (s) {
        schema_close();
    }
    fixture_close(&f);
}

/* --- What Attio says --- */

#define OBJECT(id, slug)                                                                \
    "{\"id\":{\"workspace_id\":\"" WS "\",\"object_id\":\"" id "\"},\"api_slug\":" slug \
    ",\"singular_noun\":\"One\",\"plural_noun\":\"Many\",\"created_at\":\"2026-01-01T00:00:00Z\"}"
#define ATTRIBUTE(id, slug, type, more)                                                        \
    "{\"id\":{\"workspace_id\":\"" WS                                                          \
    "\",\"object_id\":\"" O(1) "\",\"attribute_id\":\"" id                                     \
                               "\"},\"title\":\"T\",\"description\":null,\"api_slug\":\"" slug \
                               "\",\"type\":\"" type                                           \
                               "\",\"is_system_attribute\":true,\"is_writable\":true,\"is_"    \
                               "required\":false,\"is_unique\":"                               \
                               "false,\"is_multiselect\":false,\"is_archived\":" more "}"
#define DATA(...) "{\"data\":[" __VA_ARGS__ "]}"

static const char *objects, *people, *companies, *lists, *sales;
static unsigned status = 200, lists_status, sales_status;

static void attio(struct scripted *sv, const struct request *r, struct answer *out)
{
    (void)sv;
    *out = (struct answer){ .act = ACT_ANSWER, .status = status };
    if (strcmp(r->line, "GET /v2/objects") == 0) {
        out->body = objects;
    } else if (strcmp(r->line, "GET /v2/lists") == 0) {
        out->status = lists_status ? lists_status : status;
        out->body = lists;
    } else if (strstr(r->line, "/v2/lists/")) {
        out->status = sales_status ? sales_status : status;
        out->body = sales;
    } else if (strstr(r->line, O(1))) {
        out->body = people;
    } else {
        out->body = companies;
    }
}

static void usual(void)
{
    f.sv.decide = attio;
    status = 200;
    lists_status = sales_status = 0;
    lists = sales = DATA();
    objects = DATA(OBJECT(O(1), "\"people\"") "," OBJECT(O(2), "\"companies\""));
    people = DATA(ATTRIBUTE(A(1), "name", "personal-name", "false") "," ATTRIBUTE(A(2), "old",
                                                                                  "text", "true"));
    companies = DATA();
}

static void on_refreshed(struct ad_schema_wait *w)
{
    *(bool *)w->data = true;
}

/* Time passes meanwhile: a failed try is made again after a pause. */
static void until(const bool *done)
{
    for (int i = 0; i < 5000 && !*done; i++) {
        ad_loop_turn(f.w.loop, 1);
        world_advance(&f.w, i % 10 ? 0 : 10);
    }
    ck_assert(*done);
}

static enum ad_err refresh(void)
{
    bool done = false;
    struct ad_schema_wait w = { .cb = on_refreshed, .data = &done };
    enum ad_err err = ad_schema_refresh(s, AD_PRIO_INTERACTIVE, &w);
    if (err) {
        return err;
    }
    ck_assert(!done);
    until(&done);
    return w.err;
}

static const struct ad_object *find(const char *name)
{
    return ad_schema_object(s, ad_str_c(name));
}

static const struct ad_attribute *find_attribute(const char *name)
{
    return ad_object_attribute(find(O(1)), ad_str_c(name));
}

START_TEST(a_refresh_brings_objects_and_attributes)
{
    usual();
    ck_assert(!ad_schema_known(s));
    ck_assert_uint_eq(ad_schema_age_ms(s), UINT64_MAX);
    ck_assert_int_eq(refresh(), AD_OK);
    ck_assert(ad_schema_known(s));
    world_advance(&f.w, 5);
    ck_assert_uint_ge(ad_schema_age_ms(s), 5);
    const struct ad_object *o = find("people");
    ck_assert_ptr_nonnull(o);
    ck_assert_ptr_eq(o, find(O(1)));
    ck_assert_ptr_null(find("deals"));
    assert_str(o->workspace_id, WS);
    assert_str(o->singular, "One");
    ck_assert_uint_eq(o->attributes_n, 2);
    const struct ad_attribute *a = find_attribute("name");
    ck_assert_ptr_eq(a, find_attribute(A(1)));
    ck_assert_int_eq(a->type, AD_ATTR_PERSONAL_NAME);
    ck_assert(a->system && a->writable && !a->multiselect && !a->archived);
    ck_assert(find_attribute("old")->archived);
    ck_assert_uint_eq(find_attribute("old")->position, 1);
    ck_assert_uint_eq(f.sv.n, 4);
    ck_assert_str_eq(f.sv.requests[1].line,
                     "GET /v2/objects/" O(1) "/attributes?limit=500&offset=0&show_archived="
                                             "true");
}
END_TEST

START_TEST(a_restart_knows_it_without_asking)
{
    usual();
    ck_assert_int_eq(refresh(), AD_OK);
    unsigned asked = f.sv.n;
    schema_close();
    schema_open();
    ck_assert(ad_schema_known(s));
    ck_assert_uint_eq(ad_schema_age_ms(s), UINT64_MAX);
    ck_assert_ptr_nonnull(find("companies"));
    ck_assert_int_eq(find_attribute("name")->type, AD_ATTR_PERSONAL_NAME);
    ck_assert(find_attribute("old")->archived);
    ck_assert_uint_eq(f.sv.n, asked);
}
END_TEST

START_TEST(generations_rise_with_changes_only_and_positions_stay)
{
    usual();
    ck_assert_int_eq(refresh(), AD_OK);
    const struct ad_object *o = find("people");
    const struct ad_object *c = find("companies");
    uint64_t people_was = o->generation;
    uint64_t companies_was = c->generation;
    ck_assert_int_eq(refresh(), AD_OK);
    ck_assert_uint_eq(o->generation, people_was);
    people = DATA(ATTRIBUTE(A(3), "new", "hologram",
                            "false") "," ATTRIBUTE(A(1), "full", "personal-name", "false"));
    ck_assert_int_eq(refresh(), AD_OK);
    ck_assert_uint_gt(o->generation, people_was);
    ck_assert_uint_eq(c->generation, companies_was);
    ck_assert_ptr_null(find_attribute("name"));
    ck_assert_uint_eq(find_attribute("full")->position, 0);
    ck_assert_uint_eq(find_attribute("new")->position, 2);
    ck_assert_int_eq(find_attribute("new")->type, AD_ATTR_UNKNOWN);
    assert_str(find_attribute("new")->type_name, "hologram");
    ck_assert(find_attribute("old")->archived); /* listed no more */
    schema_close();
    schema_open();
    ck_assert_uint_eq(find_attribute("new")->position, 2);
}
END_TEST

START_TEST(slugs_move_between_objects)
{
    usual();
    ck_assert_int_eq(refresh(), AD_OK);
    const struct ad_object *first = find("people");
    objects = DATA(OBJECT(O(2), "\"people\"") "," OBJECT(O(1), "\"companies\""));
    ck_assert_int_eq(refresh(), AD_OK);
    ck_assert_ptr_eq(find("companies"), first);
    ck_assert_ptr_eq(find("people"), find(O(2)));
    objects = DATA(OBJECT(O(2), "null"));
    ck_assert_int_eq(refresh(), AD_OK);
    ck_assert(first->gone);
    ck_assert_ptr_null(find("companies"));
    ck_assert_ptr_eq(find(O(1)), first);
    assert_str(find(O(2))->slug, O(2));
    schema_close();
    schema_open();
    ck_assert(find(O(1))->gone);
    ck_assert_ptr_null(find("companies"));
}
END_TEST

/* --- Lists --- */

#define L(n) "40000000-0000-4000-8000-00000000000" #n
#define LIST(id, slug, parents)                                                                  \
    "{\"id\":{\"workspace_id\":\"" WS "\",\"list_id\":\"" id "\"},\"api_slug\":\"" slug          \
    "\",\"name\":\"Sales\",\"parent_object\":" parents                                           \
    ",\"workspace_access\":\"full-access\",\"workspace_member_access\":[],\"created_by_actor\":" \
    "{\"type\":\"system\",\"id\":null},\"created_at\":\"2026-01-01T00:00:00Z\"}"

static const struct ad_object *list_find(const char *name)
{
    return ad_schema_list(s, ad_str_c(name));
}

START_TEST(lists_come_with_objects_and_have_slugs_of_their_own)
{
    usual();
    lists = DATA(LIST(L(1), "sales", "[\"people\"]") "," LIST(L(2), "people", "[\"people\"]"));
    sales = DATA(ATTRIBUTE(A(5), "stage", "status", "false"));
    ck_assert_int_eq(refresh(), AD_OK);
    const struct ad_object *o = list_find("sales");
    ck_assert_ptr_nonnull(o);
    ck_assert_int_eq(o->kind, AD_KIND_LIST);
    ck_assert_ptr_eq(o, list_find(L(1)));
    ck_assert_ptr_eq(o, ad_schema_find(s, AD_STR("list_sales")));
    ck_assert_ptr_eq(o, ad_schema_find(s, AD_STR(L(1))));
    ck_assert_ptr_null(find("sales"));
    ck_assert_ptr_null(find(L(1)));
    ck_assert_ptr_null(list_find(O(1)));
    ck_assert_ptr_eq(list_find("people"), list_find(L(2)));
    assert_str(find("people")->id, O(1));
    assert_str(o->plural, "Sales");
    assert_str(o->parents, "[\"people\"]");
    assert_str(o->workspace_id, WS);
    ck_assert_int_eq(ad_object_attribute(o, AD_STR("stage"))->type, AD_ATTR_STATUS);
    ck_assert_str_eq(f.sv.requests[4].line,
                     "GET /v2/lists/" L(1) "/attributes?limit=500&offset=0&show_archived=true");
    ck_assert_uint_eq(f.sv.n, 6);
    schema_close();
    schema_open();
    assert_str(list_find("sales")->parents, "[\"people\"]");
    ck_assert_ptr_nonnull(ad_object_attribute(list_find("sales"), AD_STR("stage")));
    ck_assert_uint_eq(list_find("people")->position, 3);
}
END_TEST

START_TEST(references_say_whether_they_go_to_several_objects)
{
#define REFERENCE(id, slug, allowed)                                                       \
    "{\"id\":{\"attribute_id\":\"" id "\"},\"api_slug\":\"" slug                           \
    "\",\"type\":\"record-reference\",\"config\":{\"record_reference\":{\"allowed_object_" \
    "ids\":" allowed "}}}"
    usual();
    people = DATA(REFERENCE(A(1), "one", "[\"" O(1) "\"]") "," REFERENCE(
        A(2), "two", "[\"" O(1) "\",\"" O(2) "\"]") "," REFERENCE(A(3), "any", "null"));
    ck_assert_int_eq(refresh(), AD_OK);
    for (int round = 0; round < 2; round++) {
        ck_assert(!find_attribute("one")->many_targets);
        ck_assert(find_attribute("two")->many_targets);
        ck_assert(find_attribute("any")->many_targets);
        schema_close();
        schema_open();
    }
    people = DATA(REFERENCE(A(1), "one", "null"));
    uint64_t was = find("people")->generation;
    ck_assert_int_eq(refresh(), AD_OK);
    ck_assert(find_attribute("one")->many_targets);
    ck_assert_uint_gt(find("people")->generation, was);
}
END_TEST

START_TEST(a_revision_rises_when_values_change_their_form)
{
#define FORMED(type, multi)                                                       \
    "{\"id\":{\"attribute_id\":\"" A(1) "\"},\"api_slug\":\"x\",\"type\":\"" type \
                                        "\",\"is_multiselect\":" multi ",\"title\":\"T\"}"
    static const struct {
        const char *attribute;
        unsigned revision;
    } steps[] = {
        { FORMED("text", "false"), 0 },  { FORMED("select", "false"), 1 },
        { FORMED("select", "true"), 2 }, { FORMED("select", "true"), 2 },
        { FORMED("text", "false"), 3 },
    };
    usual();
    for (size_t i = 0; i < AD_LEN(steps); i++) {
        char data[300];
        (void)snprintf(data, sizeof(data), "{\"data\":[%s]}", steps[i].attribute);
        people = data;
        ck_assert_int_eq(refresh(), AD_OK);
        ck_assert_uint_eq(find_attribute("x")->revision, steps[i].revision);
    }
    people = DATA(); /* archived and restored: the same columns */
    ck_assert_int_eq(refresh(), AD_OK);
    schema_close();
    schema_open();
    ck_assert_uint_eq(find_attribute("x")->revision, 3);
}
END_TEST

START_TEST(a_list_that_is_renamed_or_deleted_changes_what_we_know)
{
    usual();
    lists = DATA(LIST(L(1), "sales", "[\"people\"]"));
    ck_assert_int_eq(refresh(), AD_OK);
    const struct ad_object *o = list_find("sales");
    uint64_t names = ad_schema_names_generation(s);
    ck_assert_int_eq(refresh(), AD_OK);
    ck_assert_uint_eq(ad_schema_names_generation(s), names);
    lists = DATA(LIST(L(1), "deals", "[\"people\",\"companies\"]"));
    ck_assert_int_eq(refresh(), AD_OK);
    ck_assert_ptr_null(list_find("sales"));
    ck_assert_ptr_eq(list_find("deals"), o);
    assert_str(o->parents, "[\"people\",\"companies\"]");
    ck_assert_uint_gt(ad_schema_names_generation(s), names);
    lists = DATA();
    ck_assert_int_eq(refresh(), AD_OK);
    ck_assert(o->gone);
    ck_assert_ptr_null(list_find("deals"));
    lists = DATA(LIST(L(1), "deals", "[\"people\"]"));
    ck_assert_int_eq(refresh(), AD_OK);
    ck_assert(!o->gone);
}
END_TEST

START_TEST(lists_we_may_not_see_stay_as_they_were)
{
    usual();
    lists_status = 403;
    ck_assert_int_eq(refresh(), AD_OK); /* objects are known all the same */
    ck_assert_ptr_nonnull(find("people"));
    usual();
    lists = DATA(LIST(L(1), "sales", "[\"people\"]"));
    sales = DATA(ATTRIBUTE(A(5), "stage", "status", "false"));
    ck_assert_int_eq(refresh(), AD_OK);
    lists_status = 403;
    ck_assert_int_eq(refresh(), AD_OK);
    ck_assert(!list_find("sales")->gone);
    lists_status = 0;
    static const unsigned statuses[] = { 403, 404 }; /* 404: deleted after it was listed */
    for (size_t i = 0; i < AD_LEN(statuses); i++) {
        sales_status = statuses[i];
        sales = "{\"status_code\":404,\"type\":\"invalid_request_error\",\"code\":\"not_found\","
                "\"message\":\"List with slug/ID \\\"x\\\" not found.\"}";
        ck_assert_int_eq(refresh(), AD_OK);
        ck_assert(!ad_object_attribute(list_find("sales"), AD_STR("stage"))->archived);
    }
    sales_status = 500;
    ck_assert_int_ne(refresh(), AD_OK);
}
END_TEST

START_TEST(all_kinds_come_one_after_the_other)
{
    usual();
    lists = DATA(LIST(L(1), "sales", "[\"people\"]"));
    ck_assert_int_eq(refresh(), AD_OK);
    objects = DATA(
        OBJECT(O(1), "\"people\"") "," OBJECT(O(2), "\"companies\"") "," OBJECT(O(3), "\"deals\""));
    ck_assert_int_eq(refresh(), AD_OK);
    for (int round = 0; round < 2; round++) {
        static const char *const want[] = { "notes",  "tasks",     "comments", "workspace_members",
                                            "people", "companies", "sales",    "deals" };
        const struct ad_object *o = NULL;
        for (size_t i = 0; i < AD_LEN(want); i++) {
            o = ad_schema_next(s, o);
            assert_str(o->slug, want[i]);
        }
        ck_assert_ptr_null(ad_schema_next(s, o));
        schema_close();
        schema_open(); /* objects and lists are loaded apart, and mixed again */
    }
    const struct ad_object *tasks = ad_schema_builtin(s, AD_KIND_TASK);
    ck_assert_ptr_eq(ad_schema_find(s, AD_STR("tasks")), tasks);
    ck_assert_int_eq(tasks->kind, AD_KIND_TASK);
    ck_assert_ptr_null(ad_schema_find(s, AD_STR("list_")));
    ck_assert_ptr_null(ad_schema_find(s, AD_STR("nothing")));
    ck_assert_str_eq(ad_kind_name(AD_KIND_MEMBER), "workspace-member");
}
END_TEST

static char *many(unsigned from, unsigned n)
{
    struct ad_buf b;
    ad_buf_init(&b, 1 << 20);
    ad_buf_put(&b, AD_STR("{\"data\":["));
    for (unsigned i = 0; i < n; i++) {
        ad_buf_fmt(&b,
                   "%s{\"id\":{\"attribute_id\":\"30000000-0000-4000-8000-%012u\"},\"api_slug\":"
                   "\"s%u\",\"type\":\"text\"}",
                   i ? "," : "", from + i, from + i);
    }
    ad_buf_put(&b, AD_STR("]}"));
    char *text = strndup(ad_buf_str(&b).p, ad_buf_len(&b));
    ad_buf_fini(&b);
    return text;
}

static char *page_one, *page_two;

static void paged(struct scripted *sv, const struct request *r, struct answer *out)
{
    attio(sv, r, out);
    if (strstr(r->line, O(1))) {
        out->body = strstr(r->line, "offset=0") ? page_one : page_two;
    }
}

START_TEST(attributes_are_read_page_by_page)
{
    usual();
    f.sv.decide = paged;
    page_one = many(0, 500);
    page_two = many(499, 3); /* one moved over the edge */
    ck_assert_int_eq(refresh(), AD_OK);
    ck_assert_uint_eq(find("people")->attributes_n, 502);
    free(page_two);
    page_two = page_one; /* a server that does not know offset */
    ck_assert_int_eq(refresh(), AD_ERR_PROTOCOL);
    ck_assert_uint_eq(find("people")->attributes_n, 502);
    free(page_one);
}
END_TEST

START_TEST(a_failed_refresh_keeps_what_we_know)
{
    usual();
    ck_assert_int_eq(refresh(), AD_OK);
    static const char *const answers[] = { "{\"data\":[{}]}", "{\"data\":[{\"id\":{}}]}", "{}",
                                           "garbage" };
    for (size_t i = 0; i < AD_LEN(answers); i++) {
        usual();
        people = answers[i];
        objects = DATA(OBJECT(O(1), "\"renamed\""));
        ck_assert_int_eq(refresh(), AD_ERR_PROTOCOL);
        ck_assert_ptr_nonnull(find("people"));
        objects = answers[i];
        ck_assert_int_eq(refresh(), AD_ERR_PROTOCOL);
    }
    usual();
    status = 403;
    ck_assert_int_eq(refresh(), AD_ERR_FORBIDDEN);
    ck_assert(ad_schema_known(s));
}
END_TEST

START_TEST(many_who_ask_are_answered_by_one_refresh)
{
    usual();
    bool done[100] = { false };
    struct ad_schema_wait w[100];
    for (size_t i = 0; i < AD_LEN(w); i++) {
        w[i] = (struct ad_schema_wait){ .cb = on_refreshed, .data = &done[i] };
        ck_assert_int_eq(ad_schema_refresh(s, AD_PRIO_PULL, &w[i]), AD_OK);
    }
    for (size_t i = 0; i < AD_LEN(w); i++) {
        world_until_true(&f.w, &done[i]);
        ck_assert_int_eq(w[i].err, AD_OK);
    }
    ck_assert_uint_eq(f.sv.n, 4);
}
END_TEST

START_TEST(who_asks_after_the_first_request_waits_for_the_next_refresh)
{
    usual();
    bool first = false;
    bool second = false;
    struct ad_schema_wait a = { .cb = on_refreshed, .data = &first };
    struct ad_schema_wait b = { .cb = on_refreshed, .data = &second };
    ck_assert_int_eq(ad_schema_refresh(s, AD_PRIO_PULL, &a), AD_OK);
    world_until_count(&f.w, &f.sv.n, 1);
    ck_assert_int_eq(ad_schema_refresh(s, AD_PRIO_PULL, &b), AD_OK);
    world_until_true(&f.w, &first);
    ck_assert(!second);
    world_until_true(&f.w, &second);
    ck_assert_uint_eq(f.sv.n, 8);
}
END_TEST

START_TEST(a_canceled_wait_is_not_called)
{
    usual();
    bool first = false;
    bool second = false;
    struct ad_schema_wait a = { .cb = on_refreshed, .data = &first };
    struct ad_schema_wait b = { .cb = on_refreshed, .data = &second };
    struct ad_schema_wait zeroed = { .cb = NULL };
    ad_schema_wait_cancel(s, &zeroed);
    ck_assert_int_eq(ad_schema_refresh(s, AD_PRIO_PULL, &a), AD_OK);
    ck_assert_int_eq(ad_schema_refresh(s, AD_PRIO_PULL, &b), AD_OK);
    ad_schema_wait_cancel(s, &a);
    world_until_true(&f.w, &second);
    ck_assert(!first);
    ad_schema_wait_cancel(s, &b);
}
END_TEST

START_TEST(closing_at_each_stage_cancels_those_who_wait)
{
    usual();
    for (unsigned n = 0; n < 6; n++) {
        bool done = false;
        bool closed = false;
        struct ad_schema_wait w = { .cb = on_refreshed, .data = &done };
        unsigned before = f.sv.n;
        fixture_sql(&f, "DELETE FROM attiod_object; DELETE FROM attiod_attribute");
        schema_close();
        schema_open();
        ck_assert_int_eq(ad_schema_refresh(s, AD_PRIO_PULL, &w), AD_OK);
        if (n < 5) {
            world_until_count(&f.w, &f.sv.n, before + n);
        }
        ad_schema_close(s, on_closed, &closed);
        struct ad_schema_wait late = { .cb = on_refreshed };
        ck_assert_int_eq(ad_schema_refresh(s, AD_PRIO_PULL, &late), AD_ERR_CLOSED);
        world_until_true(&f.w, &closed);
        ck_assert(done);
        ck_assert_int_eq(w.err, AD_ERR_CANCELED);
        schema_open();
    }
}
END_TEST

START_TEST(it_is_refreshed_when_older_than_the_ttl)
{
    schema_close();
    ttl_ms = 60000;
    schema_open();
    usual();
    world_advance(&f.w, 200000);
    ck_assert_uint_eq(f.sv.n, 0); /* never by itself at first */
    ck_assert_int_eq(refresh(), AD_OK);
    world_advance(&f.w, 59000);
    world_settle(&f.w);
    ck_assert_uint_eq(f.sv.n, 4);
    world_advance(&f.w, 2000);
    world_until_count(&f.w, &f.sv.n, 8);
    world_settle(&f.w);
}
END_TEST

START_TEST(switched_off_is_told_at_once)
{
    ad_client_latch(f.client, AD_ERR_UNAUTHORIZED);
    ck_assert_int_eq(refresh(), AD_ERR_DISABLED);
    ad_client_latch(f.client, AD_OK);
    usual();
    ck_assert_int_eq(refresh(), AD_OK);
}
END_TEST

START_TEST(no_memory_keeps_what_we_know)
{
    usual();
    bool clean = false;
    for (size_t n = 0; !clean; n = torture_next_of_all(n)) {
        heap_fail(n, 1);
        enum ad_err err = refresh();
        clean = !heap_failed();
        heap_fail(0, 0);
        ck_assert_msg(err == AD_OK || ad_err_retryable(err) || err == AD_ERR_PROTOCOL, "%zu: %s", n,
                      ad_err_name(err));
        ck_assert_uint_lt(n, 2000);
    }
    ck_assert_ptr_nonnull(find("people"));
}
END_TEST

START_TEST(types_have_names)
{
    for (int t = 0; t < AD_ATTR_UNKNOWN; t++) {
        enum ad_attr_type type = (enum ad_attr_type)t;
        ck_assert_int_eq(ad_attr_type_parse(ad_str_c(ad_attr_type_name(type))), type);
    }
    ck_assert_int_eq(ad_attr_type_parse(AD_STR("x")), AD_ATTR_UNKNOWN);
    ck_assert_str_eq(ad_attr_type_name(AD_ATTR_UNKNOWN), "unknown");
}
END_TEST

static Suite *schema_suite(void)
{
    const TTest *const tests[] = {
        a_refresh_brings_objects_and_attributes,
        a_restart_knows_it_without_asking,
        generations_rise_with_changes_only_and_positions_stay,
        slugs_move_between_objects,
        lists_come_with_objects_and_have_slugs_of_their_own,
        references_say_whether_they_go_to_several_objects,
        a_revision_rises_when_values_change_their_form,
        a_list_that_is_renamed_or_deleted_changes_what_we_know,
        lists_we_may_not_see_stay_as_they_were,
        all_kinds_come_one_after_the_other,
        attributes_are_read_page_by_page,
        a_failed_refresh_keeps_what_we_know,
        many_who_ask_are_answered_by_one_refresh,
        who_asks_after_the_first_request_waits_for_the_next_refresh,
        a_canceled_wait_is_not_called,
        closing_at_each_stage_cancels_those_who_wait,
        it_is_refreshed_when_older_than_the_ttl,
        switched_off_is_told_at_once,
        no_memory_keeps_what_we_know,
        types_have_names,
    };
    Suite *suite = suite_create("schema");
    TCase *tcase = tcase_create("schema");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 20);
    for (size_t i = 0; i < AD_LEN(tests); i++) {
        tcase_add_test(tcase, tests[i]);
    }
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITE(schema_suite)
