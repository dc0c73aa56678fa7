/* Does the mirror equal the workspace, whatever happens on the way? Schedules are made from a seed:
 * edits of all kinds, deliveries lost, doubled, late and out of order, calls that fail, hang and are
 * refused, outages, crashes, merges, changes of the schema. At the end, at rest, both are equal.
 *
 * A failing schedule names its seed; ATTIOD_SEED=N runs that one alone, exactly as it was, and shows the
 * log. ATTIOD_SCHEDULES=N runs so many; more than a minute of them needs CK_FORK=no. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/activity.h"
#include "sim/universe.h"
#include "support/run.h"

enum { SCHEDULES = 12, STEPS = 5 };

struct schedule {
    struct universe u;
    struct ad_rand rand;
    bool lost; /* something only a full sync can find */
};

static bool chance(struct schedule *s, unsigned percent)
{
    return ad_rand_below(&s->rand, 100) < percent;
}

static unsigned between(struct schedule *s, unsigned low, unsigned high)
{
    return low + (unsigned)ad_rand_below(&s->rand, high - low + 1);
}

static unsigned control(struct schedule *s, const char *path, const char *body)
{
    return universe_ask(&s->u, "POST", path, body, NULL);
}

/* --- What happens --- */

static void edit(struct schedule *s)
{
    char body[160];
    (void)snprintf(
        body, sizeof(body),
        "{\"per_second\":%u,\"seconds\":%u,\"objects\":[\"all\"],\"edits\":6,\"inserts\":3,"
        "\"deletes\":1}",
        between(s, 1, 8), between(s, 1, 6));
    ck_assert_uint_eq(control(s, "/_sim/edit", body), 200);
}

static void trouble_deliveries(struct schedule *s)
{
    /* Comments that were never told of cannot be found by a sync: Attio lists them per record. */
    static const char *const events[] = { "record.", "list-entry.", "note", "task" };
    char body[128];
    if (chance(s, 40)) {
        (void)snprintf(body, sizeof(body), "{\"kind\":\"drop\",\"rate\":0.%u,\"event\":\"%s\"}",
                       between(s, 1, 6), events[between(s, 0, 3)]);
        ck_assert_uint_eq(control(s, "/_sim/faults", body), 200);
        s->lost = true;
    }
    if (chance(s, 50)) {
        (void)snprintf(body, sizeof(body),
                       "{\"kind\":\"duplicate\",\"rate\":0.%u,\"latency_ms\":%u}", between(s, 1, 5),
                       between(s, 0, 20000));
        ck_assert_uint_eq(control(s, "/_sim/faults", body), 200);
    }
    if (chance(s, 50)) {
        (void)snprintf(body, sizeof(body), "{\"kind\":\"reorder\",\"rate\":0.%u,\"by\":%u}",
                       between(s, 1, 5), between(s, 1, 5));
        ck_assert_uint_eq(control(s, "/_sim/faults", body), 200);
    }
    if (chance(s, 50)) {
        (void)snprintf(body, sizeof(body), "{\"kind\":\"delay\",\"rate\":0.%u,\"latency_ms\":%u}",
                       between(s, 1, 5), between(s, 10, 30000));
        ck_assert_uint_eq(control(s, "/_sim/faults", body), 200);
    }
}

static void trouble_calls(struct schedule *s)
{
    static const char *const kinds[] = { "\"status\":500",           "\"status\":429",
                                         "\"kind\":\"reset\"",       "\"kind\":\"silence\"",
                                         "\"kind\":\"half_body\"",   "\"kind\":\"garbage\"",
                                         "\"kind\":\"broken_json\"", "\"latency_ms\":3000" };
    char body[128];
    (void)snprintf(body, sizeof(body), "{%s,\"rate\":0.%u,\"count\":%u}",
                   kinds[between(s, 0, AD_LEN(kinds) - 1)], between(s, 1, 9), between(s, 1, 12));
    ck_assert_uint_eq(control(s, "/_sim/faults", body), 200);
}

/* A comment that moves with its record is told by no event, and listed only for a record that somebody
 * has to know: nothing can find it. */
static bool has_comments(const struct schedule *s, const struct ad_sim_record *r)
{
    const struct ad_sim_shelf *shelf = ad_sim_shelf(&s->u.sim.store, AD_SIM_COMMENTS);
    for (size_t i = 0; i < shelf->n; i++) {
        if (((const struct ad_sim_comment *)shelf->sorted[i])->record == r) {
            return true;
        }
    }
    return false;
}

static void merge(struct schedule *s)
{
    char rules[48];
    (void)snprintf(rules, sizeof(rules), "{\"apply_ms\":%u}",
                   chance(s, 50) ? 0 : between(s, 100, 20000));
    ck_assert_uint_eq(control(s, "/_sim/merge", rules), 200);
    const struct ad_sim_object *people = ad_sim_object_find(&s->u.sim.store, AD_STR("people"));
    char a[37];
    char b[37];
    char body[160];
    if (people->n < 2) {
        return;
    }
    size_t i = ad_rand_below(&s->rand, people->n);
    size_t k = (i + 1 + ad_rand_below(&s->rand, people->n - 1)) % people->n;
    if (has_comments(s, people->sorted[i]) || has_comments(s, people->sorted[k])) {
        return;
    }
    ad_sim_uuid_text(people->sorted[i]->id, a);
    ad_sim_uuid_text(people->sorted[k]->id, b);
    (void)snprintf(body, sizeof(body),
                   "{\"data\":{\"primary_record_id\":\"%s\",\"secondary_record_id\":\"%s\"}}", a,
                   b);
    /* It may be refused: then it did not happen. What moved to the result is told by no event. */
    control(s, "/v2/objects/people/records/merge", body);
    s->lost = true;
}

static void change_schema(struct schedule *s)
{
    static const char *const types[] = { "text", "number", "checkbox", "date", "rating" };
    char body[320];
    unsigned n = between(s, 1, 9999);
    if (chance(s, 60)) {
        (void)snprintf(
            body, sizeof(body),
            "{\"data\":{\"title\":\"Made %u\",\"description\":null,\"api_slug\":\"made_%u\","
            "\"type\":\"%s\",\"is_required\":false,\"is_unique\":false,"
            "\"is_multiselect\":false,\"config\":{}}}",
            n, n, types[between(s, 0, AD_LEN(types) - 1)]);
        control(s,
                chance(s, 50) ? "/v2/objects/people/attributes"
                              : "/v2/lists/sales_pipeline/attributes",
                body);
        return;
    }
    (void)snprintf(
        body, sizeof(body),
        "{\"data\":{\"title\":\"Renamed %u\",\"api_slug\":\"slug_%u\",\"is_archived\":%s}}", n, n,
        chance(s, 30) ? "true" : "false");
    const struct ad_sim_object *list = ad_sim_list_find(&s->u.sim.store, AD_STR("sales_pipeline"));
    const struct ad_sim_attr *a = list->attrs[ad_rand_below(&s->rand, list->attrs_n)];
    char path[192];
    (void)snprintf(path, sizeof(path), "/v2/lists/sales_pipeline/attributes/%s", a->slug);
    universe_ask(&s->u, "PATCH", path, body, NULL); /* refused for a system attribute */
    s->lost =
        true; /* no event tells of the values under another name, or gone with an archived one */
}

static void outage(struct schedule *s)
{
    s->u.to_sim.refuses = true;
    universe_pass(&s->u, between(s, 100, 40000));
    s->u.to_sim.refuses = false;
}

static void deaf(struct schedule *s)
{
    s->u.to_hook.refuses = true;
    universe_pass(&s->u, between(s, 100, 40000));
    s->u.to_hook.refuses = false;
}

static void step(struct schedule *s)
{
    edit(s);
    switch (ad_rand_below(&s->rand, 9)) {
    case 0:
        trouble_calls(s);
        break;
    case 1:
        outage(s);
        break;
    case 2:
        deaf(s);
        break;
    case 3:
    case 4:
        universe_pass(&s->u, between(s, 1, 3000));
        universe_crash(&s->u);
        break;
    case 5:
        merge(s);
        break;
    case 6:
        change_schema(s);
        break;
    default:
        trouble_deliveries(s);
        break;
    }
    universe_pass(&s->u, between(s, 0, 8000));
}

/* --- A schedule --- */

static void say(const struct schedule *s, const char *what, const struct ad_buf *text)
{
    (void)fprintf(stderr, "seed %llu: %s\n%.*s\n", (unsigned long long)s->u.seed, what,
                  AD_FMT(ad_buf_str(text)));
}

static bool settle(struct schedule *s)
{
    struct universe *u = &s->u;
    control(s, "/_sim/faults", "{\"clear\":true}");
    control(s, "/_sim/clock",
            "{\"factor\":50}"); /* repetitions of deliveries need not take hours */
    bool rests = universe_rest(u, 20000);
    if (rests && s->lost) {
        rests = universe_sync(u) && universe_rest(u, 20000);
    }
    if (!rests) {
        say(s, "does not come to rest", &u->w.log);
    }
    return rests;
}

/* Its log is handed over, to be freed, unless `log` is NULL. */
static bool run(uint64_t seed, char **log)
{
    struct schedule *s = calloc(1, sizeof(*s));
    struct ad_sim_opts opts = { .rate_per_url = 25,
                                .limits = true,
                                .merge_old = seed % 2,
                                .sizes = { .people = 12,
                                           .companies = 4,
                                           .deals = 3,
                                           .lists = 2,
                                           .entries = 8,
                                           .notes = 5,
                                           .tasks = 4 } };
    struct ad_buf out;
    ad_rand_seed(&s->rand, seed);
    universe_open(&s->u, seed, &opts);
    ad_buf_init(&out, 1 << 20);
    universe_start(&s->u);
    bool ok = universe_rest(&s->u, 3600);
    if (!ok) {
        say(s, "does not come up", &s->u.w.log);
    }
    for (unsigned i = 0; ok && i < STEPS; i++) {
        step(s);
    }
    ok = ok && settle(s);
    if (ok && universe_differences(&s->u, &out) > 0) {
        say(s, "differs", &out);
        if (getenv("ATTIOD_SEED")) {
            say(s, "the log", &s->u.w.log);
        }
        ok = false;
    }
    if (log) {
        struct ad_str text = ad_buf_str(&s->u.w.log);
        *log = text.p ? strndup(text.p, text.n) : NULL;
    }
    ad_buf_fini(&out);
    universe_close(&s->u);
    free(s);
    return ok;
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

START_TEST(test_schedules)
{
    uint64_t seed = number_of("ATTIOD_SEED", 0);
    uint64_t n = number_of("ATTIOD_SCHEDULES", seed ? 1 : SCHEDULES);
    unsigned failed = 0;
    for (uint64_t i = 0; i < n; i++) {
        failed += !run((seed ? seed : 1) + i, NULL);
    }
    ck_assert_msg(failed == 0, "%u of %llu schedules failed", failed, (unsigned long long)n);
}
END_TEST

START_TEST(test_a_schedule_replays_exactly)
{
    for (uint64_t seed = 100; seed < 103; seed++) {
        char *first = NULL;
        char *again = NULL;
        ck_assert(run(seed, &first));
        ck_assert(run(seed, &again));
        ck_assert_str_eq(again, first);
        free(first);
        free(again);
    }
}
END_TEST

static Suite *converge_suite(void)
{
    const TTest *const tests[] = { test_schedules, test_a_schedule_replays_exactly };
    return suite_of("converge", tests, AD_LEN(tests));
}

RUN_SUITE(converge_suite)
