#include "random.h"
#include "sim.h"

#define STEP_MS 20

static const char *const kind_names[AD_SIM_EDIT_KINDS] = { "edit", "insert", "delete", "merge",
                                                           "schema" };
static const char *const rate_names[AD_SIM_EDIT_KINDS] = { "edits", "inserts", "deletes", "merges",
                                                           "schemas" };

void ad_sim_edits_init(struct ad_sim_edits *e, struct ad_sim *sim, uint64_t seed)
{
    *e = (struct ad_sim_edits){ .sim = sim };
    ad_rand_seed(&e->rand, seed ^ UINT64_C(0x65646974));
}

void ad_sim_edits_stop(struct ad_sim_edits *e)
{
    ad_timer_stop(e->sim->timers, &e->timer);
}

static bool do_merge(struct ad_sim_edits *e, struct ad_sim_object *o)
{
    if (o->kind == AD_SIM_LIST || o->n < 2) {
        return false;
    }
    size_t first = ad_rand_below(&e->rand, o->n);
    size_t second = (first + 1 + ad_rand_below(&e->rand, o->n - 1)) % o->n;
    return ad_sim_merge(&e->sim->store, o->sorted[first], o->sorted[second],
                        AD_SIM_ACTOR_MEMBERS) != NULL;
}

/* True when something happened. */
static bool do_set(struct ad_sim_edits *e, struct ad_sim_object *o, int kind)
{
    struct ad_sim_store *s = &e->sim->store;
    bool list = o->kind == AD_SIM_LIST;
    if (kind == AD_SIM_MERGE) {
        return do_merge(e, o);
    }
    if (kind == AD_SIM_SCHEMA) {
        return ad_sim_random_schema(s, o, &e->rand);
    }
    if (kind == AD_SIM_INSERT) {
        return list ? ad_sim_random_put(s, o, &o->rand) : ad_sim_random_insert(s, o);
    }
    if (o->n == 0) {
        return false;
    }
    struct ad_sim_record *r = o->sorted[ad_rand_below(&e->rand, o->n)];
    if (kind == AD_SIM_DELETE) {
        ad_sim_record_delete(s, r, AD_SIM_ACTOR_MEMBERS);
        return true;
    }
    return list ? ad_sim_random_change(s, r, &e->rand)
                : ad_sim_random_edit(s, r, &e->rand, e->alone);
}

static bool do_shelf(struct ad_sim_edits *e, struct ad_sim_shelf *shelf, int kind)
{
    struct ad_sim_store *s = &e->sim->store;
    switch (kind) {
    case AD_SIM_INSERT:
        return ad_sim_random_add(s, shelf, &e->rand, ad_sim_now(s));
    case AD_SIM_DELETE:
        return ad_sim_random_remove(s, shelf, &e->rand);
    case AD_SIM_EDIT:
        return ad_sim_random_touch(s, shelf, &e->rand);
    default:
        return false;
    }
}

static bool do_one(struct ad_sim_edits *e, int kind)
{
    struct ad_sim_store *s = &e->sim->store;
    if (e->targets_n == 0) {
        return do_set(e, s->objects[ad_rand_below(&e->rand, s->objects_n)], kind);
    }
    size_t i = ad_rand_below(&e->rand, e->targets_n);
    return e->targets[i].set ? do_set(e, e->targets[i].set, kind)
                             : do_shelf(e, e->targets[i].shelf, kind);
}

#define TRIES_MAX 50 /* an edit may happen to write what was there; a workspace may be empty */

static void do_kind(struct ad_sim_edits *e, int kind)
{
    for (unsigned i = 0; i < TRIES_MAX; i++) {
        if (do_one(e, kind)) {
            e->done[kind]++;
            return;
        }
    }
}

/* The kind whose next turn comes first, or -1. Turns are taken in the order of their times, however
 * late the timer: the same seed makes the same changes. */
static int next_due(const struct ad_sim_edits *e, double elapsed_s)
{
    int first = -1;
    double first_s = elapsed_s + 1e-9;
    for (int kind = 0; kind < AD_SIM_EDIT_KINDS; kind++) {
        double at_s =
            e->per_second[kind] > 0 ? (double)(e->due[kind] + 1) / e->per_second[kind] : 1e18;
        if (at_s < first_s || (first < 0 && at_s <= first_s)) {
            first = kind;
            first_s = at_s;
        }
    }
    return first;
}

static void on_step(struct ad_timer *timer)
{
    struct ad_sim_edits *e = ad_container_of(timer, struct ad_sim_edits, timer);
    uint64_t now_ms = ad_mono_ms(e->sim->clock);
    uint64_t until_ms = now_ms < e->end_ms ? now_ms : e->end_ms;
    double elapsed_s = (double)(until_ms - e->begin_ms) / 1000.0;
    int kind = 0;
    while ((kind = next_due(e, elapsed_s)) >= 0) {
        e->due[kind]++;
        do_kind(e, kind);
    }
    if (now_ms < e->end_ms) {
        ad_timer_start(e->sim->timers, &e->timer, STEP_MS, on_step);
    }
}

/* --- Control --- */

static void add_target(struct ad_sim_edits *e, struct ad_sim_object *set,
                       struct ad_sim_shelf *shelf)
{
    if (e->targets_n < AD_LEN(e->targets)) {
        e->targets[e->targets_n].set = set;
        e->targets[e->targets_n++].shelf = shelf;
    }
}

/* Every object, list and shelf there is now. */
static void add_all(struct ad_sim_edits *e)
{
    struct ad_sim_store *s = &e->sim->store;
    for (size_t i = 0; i < s->objects_n; i++) {
        add_target(e, s->objects[i], NULL);
    }
    for (size_t i = 0; i < s->lists_n; i++) {
        add_target(e, s->lists[i], NULL);
    }
    for (size_t i = 0; i < AD_SIM_SHELVES; i++) {
        add_target(e, NULL, &s->activity->shelves[i]);
    }
    e->alone = false;
}

/* "people", "list:pipeline", "notes", or "all". Restricted to some, an edit leaves the records of all
 * others as they are. */
static bool parse_objects(struct ad_sim_call *c, struct ad_sim_edits *e)
{
    const struct ad_json *names = ad_json_get(c->body, "objects");
    e->targets_n = 0;
    e->alone = names && names->count > 0;
    AD_JSON_FOREACH (it, names) {
        struct ad_str name = ad_json_str(it);
        struct ad_sim_object *set = ad_sim_state_set(c->store, name);
        struct ad_sim_shelf *shelf = ad_sim_shelf_named(c->store, name);
        if (ad_str_eq(name, AD_STR("all"))) {
            add_all(e);
        } else if (set || shelf) {
            add_target(e, set, set ? NULL : shelf);
        } else {
            ad_sim_bad(c, "value_not_found", "Object with slug/ID \"%.*s\" not found.",
                       AD_FMT(name));
            return false;
        }
    }
    return true;
}

static int find_kind(struct ad_str name)
{
    for (int i = 0; i < AD_SIM_EDIT_KINDS; i++) {
        if (ad_str_eq(name, ad_str_c(kind_names[i]))) {
            return i;
        }
    }
    return -1;
}

/* Eight edits to one insert and one delete, unless "kinds" names what is wanted. */
static int dice(struct ad_sim_edits *e, const struct ad_json *kinds)
{
    if (kinds && kinds->count > 0) {
        return find_kind(ad_json_str(ad_json_at(kinds, ad_rand_below(&e->rand, kinds->count))));
    }
    uint64_t n = ad_rand_below(&e->rand, 10);
    return n == 0 ? AD_SIM_DELETE : n == 1 ? AD_SIM_INSERT : AD_SIM_EDIT;
}

static void do_count(struct ad_sim_call *c, struct ad_sim_edits *e, int64_t count)
{
    const struct ad_json *kinds = ad_json_get(c->body, "kinds");
    for (int64_t i = 0; i < count; i++) {
        int kind = dice(e, kinds);
        if (kind < 0) {
            ad_sim_issue(c, "edit, insert, delete, merge or schema", "string", "kinds");
            AD_IGNORE(ad_sim_body_ok(c), "it is not");
            return;
        }
        do_kind(e, kind);
    }
    ad_sim_edits_get(c);
}

/* Absent: leaves *out. */
static bool take_rate(struct ad_sim_call *c, const char *key, double *out)
{
    const struct ad_json *v = ad_json_get(c->body, key);
    if (v && (!ad_json_f64(v, out) || *out < 0 || *out > 100000)) {
        ad_sim_issue(c, "number", "number", "%s", key);
    }
    return v != NULL;
}

/* How many of each kind a second: named one by one, or as shares of per_second. */
static void take_rates(struct ad_sim_call *c, double rates[AD_SIM_EDIT_KINDS])
{
    static const double usual[AD_SIM_EDIT_KINDS] = { 8, 1, 1 };
    double total = 0;
    double sum = 0;
    bool named = false;
    for (int kind = 0; kind < AD_SIM_EDIT_KINDS; kind++) {
        rates[kind] = 0;
        named = take_rate(c, rate_names[kind], &rates[kind]) || named;
    }
    if (!take_rate(c, "per_second", &total)) {
        return;
    }
    for (int kind = 0; kind < AD_SIM_EDIT_KINDS; kind++) {
        rates[kind] = named ? rates[kind] : usual[kind];
        sum += rates[kind];
    }
    for (int kind = 0; kind < AD_SIM_EDIT_KINDS; kind++) {
        rates[kind] = sum > 0 ? total * rates[kind] / sum : 0;
    }
}

static void start(struct ad_sim_call *c, struct ad_sim_edits *e)
{
    double rates[AD_SIM_EDIT_KINDS];
    double seconds = 0;
    take_rates(c, rates);
    if (!ad_json_f64(ad_json_get(c->body, "seconds"), &seconds) || seconds < 0 || seconds > 1e6) {
        ad_sim_issue(c, "number", NULL, "seconds");
    }
    if (!ad_sim_body_ok(c)) {
        return;
    }
    memcpy(e->per_second, rates, sizeof(rates));
    memset(e->due, 0, sizeof(e->due));
    e->begin_ms = ad_mono_ms(e->sim->clock);
    e->end_ms = e->begin_ms + (uint64_t)(seconds * 1000.0);
    ad_timer_start(e->sim->timers, &e->timer, STEP_MS, on_step);
    ad_sim_edits_get(c);
}

void ad_sim_edits_post(struct ad_sim_call *c)
{
    struct ad_sim_edits *e = &c->sim->edits;
    int64_t count = 0;
    const struct ad_json *v = ad_json_get(c->body, "count");
    if (!parse_objects(c, e)) {
        return;
    }
    if (!v) {
        start(c, e);
    } else if (!ad_json_i64(v, &count) || count < 0 || count > 1000000) {
        ad_sim_issue(c, "number", "number", "count");
        AD_IGNORE(ad_sim_body_ok(c), "it is not");
    } else {
        do_count(c, e, count);
    }
}

void ad_sim_edits_get(struct ad_sim_call *c)
{
    struct ad_json_writer w;
    const struct ad_sim_edits *e = &c->sim->edits;
    ad_json_write_init(&w, c->out);
    ad_json_obj(&w);
    ad_json_f_bool(&w, "running", ad_timer_running(&e->timer));
    for (int kind = 0; kind < AD_SIM_EDIT_KINDS; kind++) {
        ad_json_f_i64(&w, rate_names[kind], (int64_t)e->done[kind]);
    }
    ad_json_end(&w);
    AD_ASSERT(ad_json_write_done(&w) == AD_OK);
}
