#include "api/api.h"

#include <stdio.h>

#include "support/heap.h"
#include "support/json_assert.h"
#include "support/run.h"
#include "unit/api/fixture.h"

#define UUID "23e42eaf-323a-41da-b5bb-fd67eebda553"

/* --- The receiver ------------------------------------------------------------------------- */

START_TEST(a_durable_delivery_is_200_with_its_counts)
{
    the_double.accepted = 2;
    the_double.duplicate = 1;
    public_request("POST", "/webhooks/attio", NULL, "{\"raw\": true}");
    ck_assert_uint_eq(got.status, 200);
    ck_assert_str_eq(got.type, "application/json");
    json_assert(got_body(), "{'accepted': 2, 'duplicate': 1}");
    ck_assert_str_eq(the_double.body, "{\"raw\": true}");
    public_request("POST", "/webhooks/attio/b", NULL, "{}");
    ck_assert_uint_eq(got.status, 200);
}
END_TEST

START_TEST(the_answer_waits_for_the_commit_and_the_body_stays_until_then)
{
    the_double.later = true;
    public_request("POST", "/webhooks/attio", NULL, "the raw body");
    ck_assert_uint_eq(got.n, 0);
    api_answer();
    ck_assert_uint_eq(got.n, 1);
    ck_assert_uint_eq(got.status, 200);
    ck_assert_str_eq(the_double.body, "the raw body");
}
END_TEST

START_TEST(each_way_to_fail_has_its_status_and_no_words)
{
    static const struct {
        enum ad_err err;
        unsigned status;
    } rows[] = {
        { AD_ERR_UNAUTHORIZED, 401 }, { AD_ERR_INVALID, 400 },  { AD_ERR_TOOLARGE, 413 },
        { AD_ERR_BUSY, 503 },         { AD_ERR_STORE, 503 },    { AD_ERR_STORE_FULL, 503 },
        { AD_ERR_STORE_BUSY, 503 },   { AD_ERR_CORRUPT, 503 },  { AD_ERR_NOMEM, 503 },
        { AD_ERR_CLOSED, 503 },       { AD_ERR_INTERNAL, 503 },
    };
    for (size_t i = 0; i < AD_LEN(rows) * 2; i++) {
        the_double.refuse = i % 2 ? rows[i / 2].err : AD_OK;
        the_double.fail = rows[i / 2].err;
        public_request("POST", "/webhooks/attio", NULL, "{}");
        ck_assert_uint_eq(got.status, rows[i / 2].status);
        ck_assert_uint_eq(got.body_n, 0);
        ck_assert_str_eq(got.retry_after, got.status == 503 ? "5" : "");
    }
}
END_TEST

START_TEST(the_content_type_must_be_json_whatever_its_parameters)
{
    static const struct {
        const char *headers;
        unsigned status;
    } rows[] = {
        { "Content-Type: application/json\n", 200 },
        { "content-type: Application/JSON; charset=utf-8\n", 200 },
        { "Content-Type: application/json ;charset=utf-8\n", 200 },
        { "Content-Type: text/plain\n", 415 },
        { "Content-Type: application/jsonx\n", 415 },
        { "Content-Type: application/x-www-form-urlencoded\n", 415 },
        { "Content-Type:\n", 415 },
        { "Host: x\n", 415 },
        { "Content-Type: application/json\nContent-Type: application/json\n", 415 },
    };
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        public_request("POST", "/webhooks/attio", rows[i].headers, "{}");
        ck_assert_msg(got.status == rows[i].status, "%s: %u", rows[i].headers, got.status);
        ck_assert_msg((got.status == 200) == (the_double.asked != NULL), "%s", rows[i].headers);
    }
}
END_TEST

START_TEST(without_memory_the_receiver_says_503)
{
    the_double.later = true; /* whichever answer comes is the last */
    heap_fail(0, 1000);
    public_request("POST", "/webhooks/attio", NULL, NULL);
    heap_fail(0, 0);
    api_answer();
    ck_assert_uint_eq(got.n, 1);
    ck_assert_uint_eq(got.status, 503);
}
END_TEST

START_TEST(the_public_listener_knows_four_routes_and_no_more)
{
    static const struct {
        const char *method, *target;
        unsigned allow;
    } rows[] = {
        { "GET", "/webhooks/attio", AD_HTTP_POST },
        { "GET", "/webhooks/attio/a/b", 0 },
        { "GET", "/webhooks", 0 },
        { "GET", "/", 0 },
        { "GET", "/health", 0 },
        { "GET", "/metrics", 0 },
        { "GET", "/api/v1/events", 0 },
        { "POST", "/healthz", AD_HTTP_GET | AD_HTTP_HEAD },
    };
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        public_request(rows[i].method, rows[i].target, NULL, NULL);
        ck_assert_msg(got.route == NULL, "%s", rows[i].target);
        ck_assert_uint_eq(got.allow, rows[i].allow);
    }
}
END_TEST

START_TEST(without_webhooks_there_is_no_receiver)
{
    api_open(&(struct ad_api_opts){ .webhooks = false });
    public_request("POST", "/webhooks/attio", NULL, "{}");
    ck_assert_ptr_null(got.route);
    ck_assert_uint_eq(got.allow, 0);
    public_request("GET", "/healthz", NULL, NULL);
    ck_assert_uint_eq(got.status, 200);
}
END_TEST

/* --- Probes ------------------------------------------------------------------------------- */

START_TEST(readiness_follows_the_service_and_says_no_more)
{
    public_request("GET", "/readyz", NULL, NULL);
    ck_assert_uint_eq(got.status, 200);
    the_double.ready = false;
    public_request("GET", "/readyz", NULL, NULL);
    ck_assert_uint_eq(got.status, 503);
    assert_str(got_body(), "not ready\n");
    internal_request("GET", "/readyz", NULL, NULL);
    ck_assert_uint_eq(got.status, 503);
    public_request("GET", "/healthz", NULL, NULL);
    ck_assert_uint_eq(got.status, 200);
}
END_TEST

START_TEST(health_is_503_only_when_down)
{
    static const unsigned statuses[] = { 200, 200, 503 };
    for (unsigned i = 0; i < AD_LEN(statuses); i++) {
        the_double.health = (enum ad_health)i;
        internal_request("GET", "/health", NULL, NULL);
        ck_assert_uint_eq(got.status, statuses[i]);
        json_assert(got_body(), "{'status': 'x'}");
    }
}
END_TEST

START_TEST(metrics_are_prometheus_text)
{
    internal_request("GET", "/metrics", NULL, NULL);
    ck_assert_uint_eq(got.status, 200);
    ck_assert_str_eq(got.type, "text/plain; version=0.0.4; charset=utf-8");
}
END_TEST

START_TEST(status_is_the_services_with_our_version)
{
    the_double.json = "{\"ready\":true,\"objects\":{\"people\":{\"live\":3}}}";
    internal_request("GET", "/api/v1/status", NULL, NULL);
    ck_assert_uint_eq(got.status, 200);
    json_assert(
        got_body(),
        "{'data': {'version': '1.2.3', 'ready': true, 'objects': {'people': {'live': 3}}}}");
    the_double.fail = AD_ERR_STORE;
    internal_request("GET", "/api/v1/status", NULL, NULL);
    assert_problem(503, "store", "database failed");
    ck_assert_str_eq(got.retry_after, "5");
}
END_TEST

/* --- Who may ask -------------------------------------------------------------------------- */

START_TEST(only_known_hosts_are_served)
{
    static const struct {
        const char *host;
        bool allowed;
    } rows[] = {
        { "Host: 127.0.0.1:8081\n", true },
        { "Host: 127.0.0.1\n", true },
        { "Host: 127.1.2.3:1\n", true },
        { "Host: localhost:8081\n", true },
        { "Host: LocalHost\n", true },
        { "Host: [::1]:8081\n", true },
        { "Host: attiod.internal:8081\n", true },
        { "Host: evil.example.com\n", false },
        { "Host: 127.0.0.1.example.com\n", false },
        { "Host: 127.0.0\n", false },
        { "Host: 127.0.0.256\n", false },
        { "Host: localhost.example.com\n", false },
        { "Host: [::2]\n", false },
        { "Host: [::1\n", false },
        { "Host:\n", false },
        { "X: y\n", false },
    };
    the_double.json = "[]";
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        internal_request("GET", "/api/v1/sync", rows[i].host, NULL);
        ck_assert_msg((got.status == 200) == rows[i].allowed, "%s %u", rows[i].host, got.status);
        if (!rows[i].allowed) {
            assert_problem(403, "forbidden", "Host");
            ck_assert_ptr_null(the_double.asked);
        }
    }
}
END_TEST

START_TEST(a_foreign_origin_is_refused)
{
    the_double.json = "[]";
    internal_request("GET", "/api/v1/sync", "Host: localhost:8081\nOrigin: http://localhost:8081\n",
                     NULL);
    ck_assert_uint_eq(got.status, 200);
    static const char *const foreign[] = {
        "Host: localhost:8081\nOrigin: http://localhost:3000\n",
        "Host: localhost:8081\nOrigin: https://evil.example.com\n",
        "Host: localhost:8081\nOrigin: null\n",
        "Host: localhost:8081\nOrigin:\n",
        "Host: localhost:8081\nOrigin: http://localhost:8081\nOrigin: http://evil\n",
    };
    for (size_t i = 0; i < AD_LEN(foreign); i++) {
        internal_request("GET", "/api/v1/sync", foreign[i], NULL);
        assert_problem(403, "forbidden", "Origin");
    }
}
END_TEST

START_TEST(writes_must_say_application_json)
{
    static const char *const targets[] = { "/api/v1/sync", "/api/v1/sync/people",
                                           "/api/v1/events/replay", "/api/v1/events/1/discard",
                                           "/api/v1/webhooks" };
    for (size_t i = 0; i < AD_LEN(targets); i++) {
        internal_request("POST", targets[i], "Host: localhost\nContent-Type: text/plain\n", "{}");
        assert_problem(415, "invalid", "application/json");
        internal_request("POST", targets[i], "Host: localhost\n", NULL);
        assert_problem(415, "invalid", "application/json");
        ck_assert_ptr_null(the_double.asked);
    }
}
END_TEST

START_TEST(a_listener_on_every_address_is_called_by_any_of_them_in_digits)
{
    static const struct {
        const char *host;
        bool allowed;
    } rows[] = {
        { "Host: 192.0.2.7:8081\n", true },        { "Host: [2001:db8::1]:8081\n", true },
        { "Host: attiod.internal\n", true },       { "Host: ATTIOD.internal:1\n", true },
        { "Host: evil.example.com\n", false },     { "Host: 192.0.2.7.example.com\n", false },
        { "Host: attiod.internal.evil\n", false }, { "Host: 192.0.2\n", false },
    };
    static const char *const hosts[] = { "attiod.internal", NULL };
    api_open(&(struct ad_api_opts){ .internal_host = "0.0.0.0", .admission = { .hosts = hosts } });
    the_double.json = "[]";
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        internal_request("GET", "/api/v1/sync", rows[i].host, NULL);
        ck_assert_msg((got.status == 200) == rows[i].allowed, "%s %u", rows[i].host, got.status);
    }
}
END_TEST

/* Every route of the internal listener with the role it takes. */
static const struct {
    const char *method, *target;
    enum ad_role role;
} roles[] = {
    { "GET", "/healthz", AD_ROLE_NONE },
    { "GET", "/readyz", AD_ROLE_NONE },
    { "GET", "/health", AD_ROLE_NONE },
    { "GET", "/metrics", AD_ROLE_METRICS },
    { "GET", "/api/v1/status", AD_ROLE_READ },
    { "GET", "/api/v1/events", AD_ROLE_READ },
    { "GET", "/api/v1/events/1", AD_ROLE_READ },
    { "POST", "/api/v1/events/replay", AD_ROLE_OPERATE },
    { "POST", "/api/v1/events/discard", AD_ROLE_OPERATE },
    { "POST", "/api/v1/events/1/replay", AD_ROLE_OPERATE },
    { "POST", "/api/v1/events/1/discard", AD_ROLE_OPERATE },
    { "GET", "/api/v1/audit", AD_ROLE_OPERATE },
    { "GET", "/api/v1/sync", AD_ROLE_READ },
    { "POST", "/api/v1/sync", AD_ROLE_OPERATE },
    { "POST", "/api/v1/sync/people", AD_ROLE_OPERATE },
    { "GET", "/api/v1/webhooks", AD_ROLE_READ },
    { "POST", "/api/v1/webhooks", AD_ROLE_OPERATE },
    { "DELETE", "/api/v1/webhooks/" UUID, AD_ROLE_OPERATE },
};

START_TEST(each_route_takes_its_role_and_those_above_it)
{
    for (size_t i = 0; i < AD_LEN(roles); i++) {
        for (int role = AD_ROLE_METRICS; role <= AD_ROLE_OPERATE; role++) {
            char part[64];
            the_caller.role = (enum ad_role)role;
            the_double.json = "{}";
            internal_request(roles[i].method, roles[i].target, NULL, "{}");
            if (the_caller.role >= roles[i].role) {
                ck_assert_msg(got.status != 401 && got.status != 403, "%s", roles[i].target);
                continue;
            }
            (void)snprintf(part, sizeof(part), "the role %s, not %s", ad_role_name(roles[i].role),
                           ad_role_name(the_caller.role));
            assert_problem(403, "forbidden", part);
            ck_assert_ptr_null(the_double.asked);
        }
    }
}
END_TEST

START_TEST(without_a_token_or_with_a_wrong_one_it_is_401)
{
    the_caller.name = NULL;
    for (size_t i = 0; i < AD_LEN(roles); i++) {
        the_double.json = "{}";
        internal_request(roles[i].method, roles[i].target, NULL, "{}");
        if (roles[i].role == AD_ROLE_NONE) {
            ck_assert_uint_eq(got.status, 200);
        } else {
            assert_problem(401, "unauthorized", "is required");
            ck_assert_str_eq(got.authenticate, "Bearer realm=\"attiod\"");
        }
        internal_request(roles[i].method, roles[i].target,
                         "Host: localhost\nAuthorization: Bearer nobody's\n", "{}");
        assert_problem(401, "unauthorized", "not known");
        ck_assert_str_eq(got.authenticate, "Bearer realm=\"attiod\", error=\"invalid_token\"");
        ck_assert_ptr_null(the_double.asked);
    }
}
END_TEST

START_TEST(what_is_no_bearer_token_is_a_wrong_one)
{
    static const char *const rows[] = {
        "Host: localhost\nAuthorization: Basic b3BzOjEyMw==\n",
        "Host: localhost\nAuthorization: Bearer\n",
        "Host: localhost\nAuthorization:\n",
        "Host: localhost\nAuthorization: Bearer a\nAuthorization: Bearer a\n",
    };
    the_caller.name = NULL;
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        internal_request("GET", "/metrics", rows[i], NULL);
        assert_problem(401, "unauthorized", "not known");
    }
}
END_TEST

START_TEST(health_tells_strangers_one_word)
{
    static const char *const words[] = { "{'status':'ok'}", "{'status':'degraded'}",
                                         "{'status':'down'}" };
    the_caller.name = NULL;
    for (unsigned i = 0; i < AD_LEN(words); i++) {
        the_double.health = (enum ad_health)i;
        internal_request("GET", "/health", NULL, NULL);
        ck_assert_uint_eq(got.status, the_double.health == AD_HEALTH_DOWN ? 503 : 200);
        json_assert(got_body(), words[i]);
    }
    the_caller = (struct ad_api_who){ "prom", AD_ROLE_METRICS };
    internal_request("GET", "/health", NULL, NULL);
    json_assert(got_body(), "{'status': 'x'}");
}
END_TEST

START_TEST(refusals_are_counted_by_reason)
{
    the_caller.role = AD_ROLE_READ;
    internal_request("POST", "/api/v1/sync", NULL, "{}");
    internal_request("GET", "/metrics", "Host: evil\n", NULL);
    internal_request("GET", "/metrics", "Host: localhost\nOrigin: http://evil\n", NULL);
    internal_request("GET", "/metrics", "Host: localhost\nAuthorization: Bearer nobody's\n", NULL);
    the_caller.name = NULL;
    internal_request("GET", "/metrics", NULL, NULL);
    the_caller.name = "prom";
    internal_request("GET", "/metrics", NULL, NULL);
    static const char *const reasons[] = { "role", "host", "origin", "bad_token", "no_token" };
    for (size_t i = 0; i < AD_LEN(reasons); i++) {
        char line[96];
        (void)snprintf(line, sizeof(line), "attiod_auth_failures_total{reason=\"%s\"} 1\n",
                       reasons[i]);
        ck_assert_msg(ad_str_contains(got_body(), ad_str_c(line)), "%s", line);
    }
}
END_TEST

START_TEST(what_the_server_refuses_is_explained)
{
    static const struct {
        unsigned status;
        const char *code, *part;
    } rows[] = {
        { 404, "notfound", "no such route" },
        { 405, "invalid", "Allow" },
        { 413, "toolarge", "body" },
        { 408, "timeout", "slowly" },
        { 431, "toolarge", "header" },
        { 400, "invalid", "malformed" },
        { 503, "busy", "busy" },
        { 505, "internal", "" },
    };
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        explain(rows[i].status);
        assert_problem(rows[i].status, rows[i].code, rows[i].part);
    }
    heap_fail(0, 1000);
    explain(404);
    heap_fail(0, 0);
    ck_assert_uint_eq(got.body_n, 0);
    ck_assert_str_eq(got.type, "");
}
END_TEST

/* --- Events ------------------------------------------------------------------------------- */

START_TEST(listing_takes_filters_and_gives_a_cursor)
{
    the_double.json = "[{\"id\":7}]";
    the_double.next_before = 7;
    internal_request("GET",
                     "/api/v1/events?state=dead&type=record.%2A&subject=record%3Ax&since=2026-01-"
                     "01T00:00:00Z&limit=3&cursor=10",
                     NULL, NULL);
    json_assert(got_body(), "{'data': [{'id': 7}], 'pagination': {'next_cursor': '7'}}");
    ck_assert_str_eq(the_double.asked, "list");
    ck_assert_str_eq(the_double.state, "dead");
    ck_assert_str_eq(the_double.type, "record.*");
    ck_assert_str_eq(the_double.subject, "record:x");
    ck_assert_str_eq(the_double.since, "2026-01-01T00:00:00Z");
    ck_assert_uint_eq(the_double.events.limit, 3);
    ck_assert_int_eq(the_double.events.before, 10);
}
END_TEST

START_TEST(the_last_page_has_no_cursor)
{
    the_double.json = "[]";
    internal_request("GET", "/api/v1/events", NULL, NULL);
    json_assert(got_body(), "{'data': [], 'pagination': {'next_cursor': null}}");
    ck_assert_uint_eq(the_double.events.limit, 50);
}
END_TEST

START_TEST(bad_parameters_are_named)
{
    static const struct {
        const char *target, *part;
    } rows[] = {
        { "/api/v1/events?limit=0", "limit" },
        { "/api/v1/events?limit=501", "limit" },
        { "/api/v1/events?limit=ten", "limit" },
        { "/api/v1/events?cursor=-1", "cursor" },
        { "/api/v1/events?stat=dead", "did you mean \"state\"" },
        { "/api/v1/events?zzz=1", "unknown parameter \"zzz\"" },
        { "/api/v1/events?state=%zz", "escaped" },
        { "/api/v1/events?state=a&state=b", "repeated" },
    };
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        internal_request("GET", rows[i].target, NULL, NULL);
        assert_problem(400, "invalid", rows[i].part);
        ck_assert_ptr_null(the_double.asked);
    }
}
END_TEST

START_TEST(what_the_service_refuses_becomes_a_problem)
{
    the_double.refuse = AD_ERR_INVALID;
    the_double.message = "state: unknown 'ded'; did you mean 'dead'?";
    internal_request("GET", "/api/v1/events?state=ded", NULL, NULL);
    assert_problem(400, "invalid", "did you mean 'dead'");
    the_double.refuse = AD_OK;
    the_double.fail = AD_ERR_NOTFOUND;
    the_double.message = NULL;
    internal_request("GET", "/api/v1/events/12", NULL, NULL);
    assert_problem(404, "notfound", "not found");
}
END_TEST

START_TEST(one_event_is_shown_replayed_and_discarded_by_its_id)
{
    the_double.json = "{\"id\":12}";
    internal_request("GET", "/api/v1/events/12", NULL, NULL);
    json_assert(got_body(), "{'data': {'id': 12}}");
    ck_assert_int_eq(the_double.events.id, 12);

    the_double.json = NULL;
    the_double.changed = 1;
    internal_request("POST", "/api/v1/events/12/replay", NULL, NULL);
    json_assert(got_body(), "{'data': {'events': 1, 'dry_run': false}}");
    ck_assert_str_eq(the_double.asked, "replay");
    internal_request("POST", "/api/v1/events/12/discard", NULL, "{\"dry_run\":true}");
    json_assert(got_body(), "{'data': {'events': 1, 'dry_run': true}}");
    ck_assert_str_eq(the_double.asked, "discard");
    ck_assert(the_double.events.dry_run);
}
END_TEST

START_TEST(an_id_that_is_none_is_not_found)
{
    static const char *const ids[] = { "x", "0", "-1", "1.5", "99999999999999999999", "%00" };
    for (size_t i = 0; i + 1 < AD_LEN(ids); i++) {
        char target[64];
        (void)snprintf(target, sizeof(target), "/api/v1/events/%s", ids[i]);
        internal_request("GET", target, NULL, NULL);
        assert_problem(404, "notfound", "no such event");
        ck_assert_ptr_null(the_double.asked);
    }
}
END_TEST

START_TEST(replay_by_filter_needs_a_filter)
{
    static const char *const empty[] = { "{}", "", "{\"dry_run\":true}", "{\"state\":null}" };
    for (size_t i = 0; i < AD_LEN(empty); i++) {
        internal_request("POST", "/api/v1/events/replay", NULL, empty[i]);
        assert_problem(400, "invalid", "at least one of");
        ck_assert_ptr_null(the_double.asked);
    }
    the_double.changed = 40;
    internal_request("POST", "/api/v1/events/discard", NULL,
                     "{\"state\":\"dead\",\"type\":\"record.*\",\"dry_run\":true}");
    json_assert(got_body(), "{'data': {'events': 40, 'dry_run': true}}");
    ck_assert_str_eq(the_double.state, "dead");
    ck_assert_str_eq(the_double.type, "record.*");
    ck_assert_int_eq(the_double.events.id, 0);
}
END_TEST

START_TEST(bodies_that_do_not_fit_are_named)
{
    static const struct {
        const char *body, *code, *part;
    } rows[] = {
        { "{\"state\":", "parse", "" },
        { "[]", "invalid", "JSON object" },
        { "{\"stat\":\"dead\"}", "parse", "did you mean \"state\"" },
        { "{\"state\":3}", "parse", "state" },
        { "{\"state\":\"dead\",\"dry_run\":\"yes\"}", "parse", "dry_run" },
        { "{\"state\":\"dead\",\"state\":\"retry\"}", "parse", "" },
    };
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        internal_request("POST", "/api/v1/events/replay", NULL, rows[i].body);
        assert_problem(400, rows[i].code, rows[i].part);
        ck_assert_ptr_null(the_double.asked);
    }
}
END_TEST

/* --- Sync, webhooks ----------------------------------------------------------------------- */

static void get(const char *target)
{
    internal_request("GET", target, NULL, NULL);
    if (the_double.run) {
        api_answer();
    }
}

START_TEST(changes_are_read_from_a_cursor_and_always_give_the_next)
{
    the_double.json = "[{\"seq\":7}]";
    the_double.next_before = 7;
    get("/api/v1/changes");
    ck_assert_uint_eq(got.status, 200);
    json_assert(got_body(), "{'data': [{'seq': 7}], 'pagination': {'next_cursor': '7'}}");
    ck_assert_int_eq(the_double.after, 0);
    ck_assert_uint_eq(the_double.limit, 100);
    get("/api/v1/changes?cursor=5&limit=500&object=people");
    ck_assert_int_eq(the_double.after, 5);
    ck_assert_uint_eq(the_double.limit, 500);
    ck_assert_str_eq(the_double.object, "people");
    get("/api/v1/changes?cursor=latest");
    ck_assert_int_eq(the_double.after, -1);
}
END_TEST

START_TEST(the_schema_is_shown_or_it_is_said_why_not)
{
    the_double.json = "[{\"view\":\"people\"}]";
    get("/api/v1/schema");
    ck_assert_uint_eq(got.status, 200);
    json_assert(got_body(), "{'data': [{'view': 'people'}]}");
    ck_assert_str_eq(the_double.asked, "schema");
    the_double.fail = AD_ERR_STORE;
    the_double.message = "disk I/O error";
    get("/api/v1/schema");
    assert_problem(503, "store", "disk I/O error");
    the_double.refuse = AD_ERR_CLOSED;
    the_double.message = "closing";
    get("/api/v1/schema");
    assert_problem(503, "closed", "closing");
}
END_TEST

START_TEST(changes_that_cannot_be_read_say_why)
{
    the_double.fail = AD_ERR_NOTFOUND;
    the_double.message = "changes up to 9 are kept no longer";
    get("/api/v1/changes?cursor=5");
    assert_problem(410, "notfound", "are kept no longer");
    the_double.refuse = AD_ERR_NOTFOUND;
    the_double.message = "no object 'x'";
    get("/api/v1/changes?object=x");
    assert_problem(404, "notfound", "no object");
    static const char *const bad[] = { "cursor=-1", "cursor=x",   "limit=0",          "limit=501",
                                       "since=1",   "object=%ff", "object=a&object=b" };
    for (size_t i = 0; i < AD_LEN(bad); i++) {
        char target[100];
        (void)snprintf(target, sizeof(target), "/api/v1/changes?%s", bad[i]);
        get(target);
        ck_assert_msg(got.status == 400, "%s: %u", bad[i], got.status);
    }
}
END_TEST

START_TEST(a_sync_is_accepted_with_its_run)
{
    internal_request("POST", "/api/v1/sync/people", NULL, NULL);
    ck_assert_uint_eq(got.status, 202);
    json_assert(got_body(), "{'data': {'run_id': 17, 'object': 'people'}}");
    ck_assert_str_eq(the_double.object, "people");
    internal_request("POST", "/api/v1/sync", NULL, "{\"all\":true}");
    ck_assert_uint_eq(got.status, 202);
    json_assert(got_body(), "{'data': {'runs': 3}}");
}
END_TEST

START_TEST(a_sync_of_everything_must_be_meant)
{
    static const char *const bodies[] = { "", "{}", "{\"all\":false}", "{\"all\":1}" };
    for (size_t i = 0; i < AD_LEN(bodies); i++) {
        internal_request("POST", "/api/v1/sync", NULL, bodies[i]);
        assert_problem(400, "invalid", "{\"all\": true}");
        ck_assert_ptr_null(the_double.asked);
    }
}
END_TEST

START_TEST(a_sync_that_cannot_start_says_why)
{
    static const struct {
        enum ad_err err;
        unsigned status;
        const char *code;
    } rows[] = {
        { AD_ERR_NOTFOUND, 404, "notfound" },
        { AD_ERR_BUSY, 503, "busy" },
        { AD_ERR_DISABLED, 503, "disabled" },
    };
    the_double.message = "no object 'peple'; did you mean 'people'?";
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        the_double.refuse = rows[i].err;
        internal_request("POST", "/api/v1/sync/peple", NULL, "{}");
        assert_problem(rows[i].status, rows[i].code, "did you mean");
        internal_request("POST", "/api/v1/sync", NULL, "{\"all\":true}");
        ck_assert_uint_eq(got.status, rows[i].status);
    }
}
END_TEST

START_TEST(webhooks_are_listed_ensured_and_deleted)
{
    the_double.json = "{\"data\":[{\"id\":\"" UUID "\"}]}";
    internal_request("GET", "/api/v1/webhooks", NULL, NULL);
    json_assert(got_body(), "{'data': [{'id': '" UUID "'}]}");

    the_double.json = "{\"data\":{\"id\":\"" UUID "\",\"created\":true}}";
    internal_request("POST", "/api/v1/webhooks", NULL, "{\"replace\":true}");
    json_assert(got_body(), "{'data': {'id': '" UUID "', 'created': true}}");
    ck_assert(the_double.replace);
    internal_request("POST", "/api/v1/webhooks", NULL, NULL);
    ck_assert_uint_eq(got.status, 200);
    ck_assert(!the_double.replace);

    the_double.json = NULL;
    internal_request("DELETE", "/api/v1/webhooks/" UUID, "Host: localhost\n", NULL);
    json_assert(got_body(), "{'data': {}}");
    ck_assert_str_eq(the_double.id, UUID);
}
END_TEST

START_TEST(a_webhook_is_rotated)
{
    the_double.json = "{\"data\":{\"id\":\"" UUID "\",\"created\":true}}";
    internal_request("POST", "/api/v1/webhooks/rotate", NULL, "{}");
    json_assert(got_body(), "{'data': {'id': '" UUID "', 'created': true}}");
    ck_assert_str_eq(the_double.asked, "webhooks_rotate");
    internal_request("POST", "/api/v1/webhooks/rotate", NULL, "{\"force\":true}");
    ck_assert_uint_eq(got.status, 400);
}
END_TEST

START_TEST(a_backup_is_begun_and_looked_at)
{
    internal_request("POST", "/api/v1/backup", NULL, "{\"file\":\"/srv/a.db\"}");
    ck_assert_uint_eq(got.status, 202);
    ck_assert_str_eq(the_double.object, "/srv/a.db");
    json_assert(got_body(), "{'data': {'state': 'running'}}");
    internal_request("GET", "/api/v1/backup", NULL, NULL);
    ck_assert_uint_eq(got.status, 200);
    the_double.refuse = AD_ERR_BUSY;
    the_double.message = "a backup is under way";
    internal_request("POST", "/api/v1/backup", NULL, "{\"file\":\"/srv/a.db\"}");
    assert_problem(503, "busy", "under way");
    the_double.asked = NULL;
    internal_request("POST", "/api/v1/backup", NULL, "{\"path\":\"/srv/a.db\"}");
    ck_assert_uint_eq(got.status, 400);
    ck_assert_ptr_null(the_double.asked);
}
END_TEST

START_TEST(what_is_due_after_a_restore_is_accepted)
{
    the_double.json = "{\"gap\":\"x\"}";
    internal_request("POST", "/api/v1/restored", NULL, NULL);
    ck_assert_uint_eq(got.status, 202);
    json_assert(got_body(), "{'data': {'gap': 'x'}}");
    internal_request("POST", "/api/v1/restored", NULL, "{\"all\":true}");
    ck_assert_uint_eq(got.status, 400);
    the_double.refuse = AD_ERR_STORE_BUSY;
    the_double.message = "the database is locked";
    internal_request("POST", "/api/v1/restored", NULL, "{}");
    assert_problem(503, "store_busy", "locked");
}
END_TEST

START_TEST(webhook_requests_that_do_not_fit_are_refused)
{
    internal_request("DELETE", "/api/v1/webhooks/mine", NULL, NULL);
    assert_problem(404, "notfound", "no such webhook");
    internal_request("POST", "/api/v1/webhooks", NULL, "{\"replace\":1}");
    assert_problem(400, "invalid", "replace");
    the_double.refuse = AD_ERR_CONFIG;
    the_double.message = "ATTIOD_PUBLIC_URL is not set";
    internal_request("GET", "/api/v1/webhooks", NULL, NULL);
    assert_problem(500, "config", "ATTIOD_PUBLIC_URL");
    the_double.refuse = AD_OK;
    the_double.fail = AD_ERR_CONFLICT;
    the_double.message = "its secret is unknown: --replace";
    internal_request("POST", "/api/v1/webhooks", NULL, NULL);
    assert_problem(409, "conflict", "--replace");
}
END_TEST

/* --- The audit log ------------------------------------------------------------------------ */

START_TEST(every_action_is_begun_and_ended_in_the_audit_log)
{
    static const struct {
        const char *method, *target, *body, *action, *what;
    } rows[] = {
        { "POST", "/api/v1/events/replay", "{\"state\":\"dead\",\"dry_run\":true}", "events.replay",
          "state=dead type= subject= since= dry_run" },
        { "POST", "/api/v1/events/discard", "{\"type\":\"record.*\"}", "events.discard",
          "state= type=record.* subject= since=" },
        { "POST", "/api/v1/events/7/replay", "{}", "events.replay", "7" },
        { "POST", "/api/v1/events/7/discard", "{\"dry_run\":true}", "events.discard", "7 dry_run" },
        { "POST", "/api/v1/sync", "{\"all\":true}", "sync.start", "all" },
        { "POST", "/api/v1/sync/people", "{}", "sync.start", "people" },
        { "POST", "/api/v1/webhooks", "{}", "webhooks.ensure", "" },
        { "DELETE", "/api/v1/webhooks/" UUID, NULL, "webhooks.delete", UUID },
    };
    the_caller.name = "ana";
    the_double.json = "{}";
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        internal_request(rows[i].method, rows[i].target, NULL, rows[i].body);
        ck_assert_msg(got.status == 200 || got.status == 202, "%s %u", rows[i].target, got.status);
        ck_assert_str_eq(the_double.actor, "ana");
        ck_assert_str_eq(the_double.action, rows[i].action);
        ck_assert_str_eq(the_double.target, rows[i].what);
        ck_assert_str_eq(the_double.outcome, "ok");
        ck_assert_ptr_nonnull(the_double.asked);
    }
}
END_TEST

START_TEST(what_only_looks_is_in_no_audit_log)
{
    the_double.json = "{}";
    for (size_t i = 0; i < AD_LEN(roles); i++) {
        if (strcmp(roles[i].method, "GET") == 0 && !strstr(roles[i].target, "audit")) {
            internal_request("GET", roles[i].target, NULL, NULL);
            ck_assert_msg(!*the_double.action, "%s", roles[i].target);
        } else if (strcmp(roles[i].method, "GET") != 0) {
            ck_assert_int_eq(roles[i].role, AD_ROLE_OPERATE);
        }
    }
}
END_TEST

START_TEST(an_action_that_fails_says_so_in_the_audit_log)
{
    static const struct {
        enum ad_err err;
        const char *outcome;
    } rows[] = {
        { AD_ERR_NOTFOUND, "not found" }, { AD_ERR_CONFLICT, "conflict" },
        { AD_ERR_STORE, "unavailable" },  { AD_ERR_UPSTREAM, "failed" },
        { AD_ERR_INVALID, "invalid" },
    };
    for (size_t i = 0; i < AD_LEN(rows) * 2; i++) {
        the_double.refuse = i % 2 ? rows[i / 2].err : AD_OK;
        the_double.fail = rows[i / 2].err;
        internal_request("POST", "/api/v1/events/7/replay", NULL, "{}");
        ck_assert_str_eq(the_double.outcome, rows[i / 2].outcome);
    }
    internal_request("POST", "/api/v1/events/7/replay", NULL, "[]");
    ck_assert_str_eq(the_double.outcome, "invalid");
    ck_assert_ptr_null(the_double.asked);
}
END_TEST

START_TEST(without_an_entry_nothing_is_done)
{
    for (unsigned later = 0; later < 2; later++) {
        the_double.audit_refuse = later ? AD_OK : AD_ERR_CLOSED;
        the_double.audit_fail = AD_ERR_STORE_FULL;
        internal_request("POST", "/api/v1/sync/people", NULL, "{}");
        assert_problem(503, later ? "store_full" : "closed", "nothing was done");
        ck_assert_ptr_null(the_double.asked);
        ck_assert_str_eq(the_double.outcome, "");
    }
}
END_TEST

START_TEST(the_audit_log_is_listed_by_page)
{
    the_double.json = "[{\"id\":7}]";
    the_double.next_before = 7;
    internal_request("GET", "/api/v1/audit?actor=ana&action=sync.start&limit=2&cursor=9", NULL,
                     NULL);
    ck_assert_uint_eq(got.status, 200);
    json_assert(got_body(), "{'data': [{'id': 7}], 'pagination': {'next_cursor': '7'}}");
    ck_assert_str_eq(the_double.actor, "ana");
    ck_assert_str_eq(the_double.action, "sync.start");
    ck_assert_uint_eq(the_double.events.limit, 2);
    ck_assert_int_eq(the_double.events.before, 9);
    internal_request("GET", "/api/v1/audit?who=ana", NULL, NULL);
    assert_problem(400, "invalid", "unknown parameter");
    internal_request("GET", "/api/v1/audit?limit=501", NULL, NULL);
    assert_problem(400, "invalid", "limit");
    internal_request("GET", "/api/v1/audit?actor=%zz", NULL, NULL);
    assert_problem(400, "invalid", "escaped");
}
END_TEST

START_TEST(without_memory_every_route_still_answers_once)
{
    static const struct {
        const char *method, *target, *body;
    } rows[] = {
        { "GET", "/health", NULL },
        { "GET", "/metrics", NULL },
        { "GET", "/api/v1/status", NULL },
        { "GET", "/api/v1/events?state=dead", NULL },
        { "GET", "/api/v1/events/1", NULL },
        { "POST", "/api/v1/events/replay", "{\"state\":\"dead\"}" },
        { "POST", "/api/v1/events/1/discard", "{}" },
        { "GET", "/api/v1/audit", NULL },
        { "GET", "/api/v1/sync", NULL },
        { "POST", "/api/v1/sync", "{\"all\":true}" },
        { "POST", "/api/v1/sync/people", "{}" },
        { "POST", "/api/v1/webhooks", "{}" },
        { "POST", "/api/v1/sync/people", "{" },
    };
    the_double.json = "{}";
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        for (size_t n = 0; n < 40; n++) {
            heap_fail(n, n % 2 ? 1 : 1000);
            internal_request(rows[i].method, rows[i].target, NULL, rows[i].body);
            bool failed = heap_failed();
            heap_fail(0, 0);
            ck_assert_uint_eq(got.n, 1);
            ck_assert_msg(got.status >= 200 && got.status <= 503, "%u", got.status);
            if (!failed) {
                break;
            }
        }
    }
}
END_TEST

static Suite *api_suite(void)
{
    const TTest *const tests[] = {
        a_durable_delivery_is_200_with_its_counts,
        the_answer_waits_for_the_commit_and_the_body_stays_until_then,
        each_way_to_fail_has_its_status_and_no_words,
        the_content_type_must_be_json_whatever_its_parameters,
        without_memory_the_receiver_says_503,
        the_public_listener_knows_four_routes_and_no_more,
        without_webhooks_there_is_no_receiver,
        readiness_follows_the_service_and_says_no_more,
        health_is_503_only_when_down,
        metrics_are_prometheus_text,
        status_is_the_services_with_our_version,
        only_known_hosts_are_served,
        a_foreign_origin_is_refused,
        writes_must_say_application_json,
        a_listener_on_every_address_is_called_by_any_of_them_in_digits,
        each_route_takes_its_role_and_those_above_it,
        without_a_token_or_with_a_wrong_one_it_is_401,
        what_is_no_bearer_token_is_a_wrong_one,
        health_tells_strangers_one_word,
        refusals_are_counted_by_reason,
        what_the_server_refuses_is_explained,
        listing_takes_filters_and_gives_a_cursor,
        the_last_page_has_no_cursor,
        bad_parameters_are_named,
        what_the_service_refuses_becomes_a_problem,
        one_event_is_shown_replayed_and_discarded_by_its_id,
        an_id_that_is_none_is_not_found,
        replay_by_filter_needs_a_filter,
        bodies_that_do_not_fit_are_named,
        changes_are_read_from_a_cursor_and_always_give_the_next,
        the_schema_is_shown_or_it_is_said_why_not,
        changes_that_cannot_be_read_say_why,
        a_sync_is_accepted_with_its_run,
        a_sync_of_everything_must_be_meant,
        a_sync_that_cannot_start_says_why,
        webhooks_are_listed_ensured_and_deleted,
        a_webhook_is_rotated,
        a_backup_is_begun_and_looked_at,
        what_is_due_after_a_restore_is_accepted,
        webhook_requests_that_do_not_fit_are_refused,
        every_action_is_begun_and_ended_in_the_audit_log,
        what_only_looks_is_in_no_audit_log,
        an_action_that_fails_says_so_in_the_audit_log,
        without_an_entry_nothing_is_done,
        the_audit_log_is_listed_by_page,
        without_memory_every_route_still_answers_once,
    };
    Suite *suite = suite_create("api");
    TCase *tcase = tcase_create("api");
    tcase_add_checked_fixture(tcase, api_setup, api_teardown);
    for (size_t i = 0; i < AD_LEN(tests); i++) {
        tcase_add_test(tcase, tests[i]);
    }
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITE(api_suite)
