#include "seed.h"

#include <stdio.h>

#include "names.h"
#include "random.h"
#include "types.h"

#define FIRST_NS (INT64_C(1609459200) * AD_NS_PER_S) /* 2021-01-01T00:00:00Z */
#define SPAN_NS (INT64_C(157766400) * AD_NS_PER_S)   /* five years */
#define TEAM_MAX 200 /* a company larger than that says nothing new and costs much */

static const char *const job_titles[] = {
    "Head of Operations", "Account Executive", "Founder",          "Buyer",
    "Staff Engineer",     "Office Manager",    "Research Fellow",  "Treasurer",
    "Design Lead",        "Support Analyst",   "Procurement Lead", "Advisor"
};
static const char *const remarks[] = {
    "Prefers to be called in the morning.",    "Met at the trade fair; asked for a second round.",
    "Renewal due, see last quarter.",          "Says \"maybe\" when the answer is no.",
    "Line one.\nLine two, with a tab\tin it.", "Grüße aus der Nähe – € 12"
};
static const struct {
    const char *locality, *region, *country, *latitude, *longitude;
} places[] = {
    { "Fernhollow", "CA", "US", "37.331741", "-122.030333" },
    { "Oststadt", "BE", "DE", "52.520008", "13.404954" },
    { "Upper Mill", NULL, "GB", "51.507351", "-0.127758" },
    { "Rivebelle", NULL, "FR", "48.856613", "2.352222" },
    { "Norrvik", NULL, "SE", "59.329323", "18.068581" },
};

static const char *pick(struct ad_rand *r, const char *const *from, size_t n)
{
    return from[ad_rand_below(r, n)];
}

static bool chance(struct ad_rand *r, unsigned percent)
{
    return ad_rand_below(r, 100) < percent;
}

/* --- One value each --- */

struct maker {
    struct ad_sim_store *store;
    struct ad_sim_object *object;
    struct ad_rand *rand;
    uint64_t serial; /* makes e-mails, domains, phones unlike all others */
    int64_t at_ns;
    struct ad_sim_draft drafts[24];
    size_t n;
};

static struct ad_sim_draft *draft(struct maker *m, const char *slug)
{
    AD_ASSERT(m->n < AD_LEN(m->drafts));
    struct ad_sim_draft *d = &m->drafts[m->n++];
    *d = (struct ad_sim_draft){ .attr = ad_sim_attr_find(m->object, ad_str_c(slug)) };
    AD_ASSERT(d->attr);
    return d;
}

static void text(struct maker *m, const char *slug, const char *s)
{
    ad_sim_draft_add(draft(m, slug), ad_sim_make_text(AD_SIM_TEXT, ad_str_c(s)));
}

static void number(struct maker *m, const char *slug, enum ad_sim_type_id type, int64_t v)
{
    ad_sim_draft_add(draft(m, slug), (struct ad_sim_value){ .type = (uint8_t)type, .u.i = v });
}

static void options(struct maker *m, const char *slug, uint64_t n)
{
    struct ad_sim_draft *d = draft(m, slug);
    uint64_t from = ad_rand_below(m->rand, d->attr->options_n);
    for (uint64_t i = 0; i < n; i++) {
        struct ad_sim_option *option = d->attr->options[(from + i) % d->attr->options_n];
        ad_sim_draft_add(
            d, (struct ad_sim_value){ .type = (uint8_t)d->attr->type, .u.option = option });
    }
}

static void location(struct maker *m)
{
    size_t i = ad_rand_below(m->rand, AD_LEN(places));
    char line[32];
    AD_IGNORE(
        snprintf(line, sizeof(line), "%u Long Acre", (unsigned)ad_rand_below(m->rand, 900) + 1) < 0,
        "fits");
    struct ad_str parts[] = { ad_str_c(line),
                              AD_STR_NONE,
                              AD_STR_NONE,
                              AD_STR_NONE,
                              ad_str_c(places[i].locality),
                              ad_str_c(places[i].region),
                              AD_STR_NONE,
                              ad_str_c(places[i].country),
                              ad_str_c(places[i].latitude),
                              ad_str_c(places[i].longitude) };
    struct ad_sim_value v = { .type = AD_SIM_LOCATION,
                              .u.pack = ad_sim_pack_new(parts, AD_LEN(parts)) };
    ad_sim_draft_add(draft(m, "primary_location"), v);
}

static void email(struct maker *m, struct ad_sim_draft *d, const char *first, const char *last,
                  unsigned which)
{
    char s[128];
    AD_IGNORE(snprintf(s, sizeof(s), "%s.%s%u%llu@%s.example", first, last, which,
                       (unsigned long long)m->serial, last) < 0,
              "fits");
    ad_sim_draft_add(d, ad_sim_make_email(ad_str_c(s)));
}

static void phone(struct maker *m)
{
    char s[24];
    AD_IGNORE(snprintf(s, sizeof(s), "+1555%07llu", (unsigned long long)(m->serial % 10000000)) < 0,
              "fits");
    ad_sim_draft_add(draft(m, "phone_numbers"), ad_sim_make_phone(ad_str_c(s), ad_str_c(s), "US"));
}

static void owner(struct maker *m, const char *slug)
{
    uint32_t actor = (uint32_t)(AD_SIM_ACTOR_MEMBERS + ad_rand_below(m->rand, AD_SIM_MEMBERS));
    ad_sim_draft_add(draft(m, slug), (struct ad_sim_value){ .type = AD_SIM_ACTOR, .aux = actor });
}

static void interactions(struct maker *m)
{
    static const char *const slugs[] = { "first_email_interaction", "last_email_interaction",
                                         "first_interaction", "last_interaction" };
    uint8_t who = (uint8_t)(AD_SIM_ACTOR_MEMBERS + ad_rand_below(m->rand, AD_SIM_MEMBERS));
    for (size_t i = 0; i < AD_LEN(slugs); i++) {
        int64_t at = m->at_ns + (int64_t)(i % 2 * 30 + 1) * 86400 * AD_NS_PER_S;
        ad_sim_draft_add(draft(m, slugs[i]), ad_sim_make_interaction(0, at, who));
    }
    options(m, "strongest_connection_strength", 1);
    owner(m, "strongest_connection_user");
}

static struct ad_sim_record *any_record(struct ad_sim_store *s, const char *object,
                                        struct ad_rand *rand)
{
    const struct ad_sim_object *o = ad_sim_object_find(s, ad_str_c(object));
    return o && o->n ? o->sorted[ad_rand_below(rand, o->n)] : NULL;
}

static void refer(struct maker *m, const char *slug, const char *object, uint64_t n)
{
    struct ad_sim_draft *d = draft(m, slug);
    for (uint64_t i = 0; i < n; i++) {
        struct ad_sim_record *to = any_record(m->store, object, m->rand);
        if (to) {
            ad_sim_draft_add(d, (struct ad_sim_value){ .type = AD_SIM_REFERENCE, .u.record = to });
        }
    }
}

/* --- One record each --- */

static void make_person(struct maker *m)
{
    const char *first = pick(m->rand, ad_sim_first_names, ad_sim_first_names_n);
    const char *last = pick(m->rand, ad_sim_last_names, ad_sim_last_names_n);
    char full[80];
    AD_IGNORE(snprintf(full, sizeof(full), "%s %s", first, last) < 0, "fits");
    ad_sim_draft_add(draft(m, "name"),
                     ad_sim_make_name(ad_str_c(first), ad_str_c(last), ad_str_c(full)));
    struct ad_sim_draft *emails = draft(m, "email_addresses");
    for (unsigned i = 0; i < 1 + (unsigned)chance(m->rand, 15); i++) {
        email(m, emails, first, last, i);
    }
    if (chance(m->rand, 30)) {
        text(m, "description", pick(m->rand, remarks, AD_LEN(remarks)));
    }
    if (chance(m->rand, 85)) {
        refer(m, "company", "companies", 1);
    }
    if (chance(m->rand, 75)) {
        text(m, "job_title", pick(m->rand, job_titles, AD_LEN(job_titles)));
    }
    if (chance(m->rand, 60)) {
        phone(m);
    }
    if (chance(m->rand, 40)) {
        location(m);
    }
    if (chance(m->rand, 20)) {
        number(m, "twitter_follower_count", AD_SIM_NUMBER,
               (int64_t)ad_rand_below(m->rand, 90000) * 10000);
    }
    if (chance(m->rand, 30)) {
        interactions(m);
    }
}

static void make_company(struct maker *m)
{
    const char *stem = pick(m->rand, ad_sim_last_names, ad_sim_last_names_n);
    struct ad_sim_draft *domains = draft(m, "domains");
    char s[96];
    for (unsigned i = 0; i < 1 + (unsigned)chance(m->rand, 10); i++) {
        AD_IGNORE(
            snprintf(s, sizeof(s), "%s%u%llu.example", stem, i, (unsigned long long)m->serial) < 0,
            "fits");
        for (char *c = s; *c; c++) {
            *c = (char)(*c >= 'A' && *c <= 'Z' ? *c + ('a' - 'A') : *c);
        }
        ad_sim_draft_add(domains, ad_sim_make_text(AD_SIM_DOMAIN, ad_str_c(s)));
    }
    AD_IGNORE(snprintf(s, sizeof(s), "%s Works %llu", stem, (unsigned long long)m->serial) < 0,
              "fits");
    text(m, "name", s);
    if (chance(m->rand, 50)) {
        text(m, "description", pick(m->rand, remarks, AD_LEN(remarks)));
    }
    options(m, "categories", ad_rand_below(m->rand, 4));
    options(m, "employee_range", 1);
    if (chance(m->rand, 60)) {
        location(m);
    }
    if (chance(m->rand, 50)) {
        options(m, "estimated_arr_usd", 1);
        number(m, "funding_raised_usd", AD_SIM_CURRENCY,
               (int64_t)ad_rand_below(m->rand, 500000000) * 2500);
    }
    if (chance(m->rand, 50)) {
        number(m, "foundation_date", AD_SIM_DATE, (int64_t)ad_rand_below(m->rand, 18000));
    }
    if (chance(m->rand, 30)) {
        interactions(m);
    }
}

static void make_deal(struct maker *m)
{
    char s[96];
    AD_IGNORE(snprintf(s, sizeof(s), "%s renewal %llu",
                       pick(m->rand, ad_sim_last_names, ad_sim_last_names_n),
                       (unsigned long long)m->serial) < 0,
              "fits");
    text(m, "name", s);
    options(m, "stage", 1);
    owner(m, "owner");
    if (chance(m->rand, 80)) {
        number(m, "value", AD_SIM_CURRENCY, (int64_t)ad_rand_below(m->rand, 10000000) * 100);
    }
    refer(m, "associated_people", "people", ad_rand_below(m->rand, 4));
    if (chance(m->rand, 80)) {
        refer(m, "associated_company", "companies", 1);
    }
}

static void make_user(struct maker *m)
{
    const char *last = pick(m->rand, ad_sim_last_names, ad_sim_last_names_n);
    char s[32];
    email(m, draft(m, "primary_email_address"),
          pick(m->rand, ad_sim_first_names, ad_sim_first_names_n), last, 0);
    AD_IGNORE(snprintf(s, sizeof(s), "usr-%llu", (unsigned long long)m->serial) < 0, "fits");
    text(m, "user_id", s);
    if (chance(m->rand, 70)) {
        refer(m, "person", "people", 1);
    }
    if (chance(m->rand, 80)) {
        refer(m, "workspace", "workspaces", 1);
    }
}

static void make_workspace(struct maker *m)
{
    char s[96];
    AD_IGNORE(snprintf(s, sizeof(s), "wsp-%llu", (unsigned long long)m->serial) < 0, "fits");
    text(m, "workspace_id", s);
    AD_IGNORE(snprintf(s, sizeof(s), "%s Space %llu",
                       pick(m->rand, ad_sim_last_names, ad_sim_last_names_n),
                       (unsigned long long)m->serial) < 0,
              "fits");
    text(m, "name", s);
    if (chance(m->rand, 60)) {
        refer(m, "company", "companies", 1);
    }
}

static const struct {
    const char *slug;
    void (*make)(struct maker *m);
} kinds[] = { { "companies", make_company },
              { "people", make_person },
              { "deals", make_deal },
              { "users", make_user },
              { "workspaces", make_workspace } };

static bool make(struct maker *m)
{
    for (size_t i = 0; i < AD_LEN(kinds); i++) {
        if (strcmp(m->object->slug, kinds[i].slug) == 0) {
            kinds[i].make(m);
            return true;
        }
    }
    return false;
}

/* --- Seeding: straight into the records, without events --- */

static bool has_room(const struct ad_sim_record *target, const struct ad_sim_attr *b)
{
    struct ad_sim_value made;
    size_t n = 0;
    AD_IGNORE(!ad_sim_values(target, b, &made, &n), "only the count is wanted");
    return n < (b->multi ? TEAM_MAX : 1);
}

static bool has_value(const struct ad_sim_record *r, const struct ad_sim_value *v)
{
    for (uint32_t i = 0; i < r->n; i++) {
        if (r->values[i].attr == v->attr && ad_sim_value_equal(&r->values[i], v)) {
            return true;
        }
    }
    return false;
}

static void settle_value(struct ad_sim_record *r, const struct ad_sim_attr *a,
                         struct ad_sim_value v)
{
    v.attr = a->place;
    v.actor = r->actor;
    v.from_ns = r->created_ns;
    if (a->partner) {
        struct ad_sim_value back = v;
        back.attr = a->partner->place;
        back.u.record = r;
        if (has_value(r, &v) || !has_room(v.u.record, a->partner)) {
            return;
        }
        ad_sim_value_append(v.u.record, back);
    }
    ad_sim_value_append(r, v);
}

static void settle(struct maker *m, struct ad_sim_record *r)
{
    for (size_t i = 0; i < m->n; i++) {
        struct ad_sim_draft *d = &m->drafts[i];
        for (size_t k = 0; k < d->n; k++) {
            settle_value(r, d->attr, d->values[k]);
        }
        d->n = 0; /* packs were handed over */
        ad_sim_draft_drop(d);
    }
}

static void seed_object(struct ad_sim_store *s, const char *slug, uint64_t n, uint64_t ties)
{
    struct ad_sim_object *o = ad_sim_object_find(s, ad_str_c(slug));
    int64_t step = n ? SPAN_NS / (int64_t)n : 0;
    int64_t at = FIRST_NS;
    for (uint64_t i = 0; i < n; i++) {
        /* One in eight shares its time with the one before, as imports do. */
        if (i >= ties && !chance(&o->rand, 12)) {
            int64_t to = FIRST_NS + step * (int64_t)i +
                         (int64_t)ad_rand_below(&o->rand, (uint64_t)(step / AD_NS_PER_MS + 1)) *
                             AD_NS_PER_MS;
            to = to / AD_NS_PER_MS * AD_NS_PER_MS;
            at = to > at ? to : at;
        }
        uint8_t actor = (uint8_t)(AD_SIM_ACTOR_TOKEN + ad_rand_below(&o->rand, 3));
        struct ad_sim_record *r = ad_sim_record_seed(o, at, actor);
        struct maker m = {
            .store = s, .object = o, .rand = &o->rand, .serial = ++o->serial, .at_ns = at
        };
        AD_IGNORE(!make(&m), "a standard object");
        settle(&m, r);
    }
}

void ad_sim_seed_records(struct ad_sim_store *s, const struct ad_sim_sizes *sizes)
{
    seed_object(s, "companies", sizes->companies, 0);
    seed_object(s, "people", sizes->people, sizes->ties);
    seed_object(s, "deals", sizes->deals, 0);
    if (sizes->workspaces) {
        AD_IGNORE(!ad_sim_activate(s, AD_STR("workspaces")), "it is one");
        seed_object(s, "workspaces", sizes->workspaces, 0);
    }
    if (sizes->users) {
        AD_IGNORE(!ad_sim_activate(s, AD_STR("users")), "it is one");
        seed_object(s, "users", sizes->users, 0);
    }
}

/* --- While running: with events --- */

static void drop(struct maker *m)
{
    for (size_t i = 0; i < m->n; i++) {
        ad_sim_draft_drop(&m->drafts[i]);
    }
}

static uint8_t some_member(struct ad_rand *rand)
{
    return (uint8_t)(AD_SIM_ACTOR_MEMBERS + ad_rand_below(rand, AD_SIM_MEMBERS));
}

struct ad_sim_record *ad_sim_random_insert(struct ad_sim_store *s, struct ad_sim_object *o)
{
    struct maker m = { .store = s, .object = o, .rand = &o->rand, .at_ns = ad_sim_now(s) };
    m.serial = ++o->serial;
    if (!make(&m)) {
        drop(&m);
        return ad_sim_random_put(s, o, &o->rand);
    }
    return ad_sim_record_create(s, o, m.drafts, m.n, some_member(&o->rand));
}

static void edit_title(struct maker *m)
{
    char s[64];
    AD_IGNORE(snprintf(s, sizeof(s), "%s %u", pick(m->rand, job_titles, AD_LEN(job_titles)),
                       (unsigned)ad_rand_below(m->rand, 1000)) < 0,
              "fits");
    text(m, "job_title", s);
}

static void edit_description(struct maker *m)
{
    char s[128];
    AD_IGNORE(snprintf(s, sizeof(s), "%s (%u)", pick(m->rand, remarks, AD_LEN(remarks)),
                       (unsigned)ad_rand_below(m->rand, 100000)) < 0,
              "fits");
    text(m, "description", s);
}

static void edit_company(struct maker *m)
{
    refer(m, "company", "companies", 1);
}

static void edit_phone(struct maker *m)
{
    phone(m);
    m->drafts[m->n - 1].prepend = true;
}

static void edit_categories(struct maker *m)
{
    options(m, "categories", ad_rand_below(m->rand, 4));
}

static void edit_funding(struct maker *m)
{
    number(m, "funding_raised_usd", AD_SIM_CURRENCY,
           (int64_t)ad_rand_below(m->rand, 500000000) * 2500);
}

static void edit_stage(struct maker *m)
{
    options(m, "stage", 1);
}

static void edit_value(struct maker *m)
{
    number(m, "value", AD_SIM_CURRENCY, (int64_t)ad_rand_below(m->rand, 1000000) * 100);
}

static void edit_deal_people(struct maker *m)
{
    refer(m, "associated_people", "people", ad_rand_below(m->rand, 4));
}

static void edit_name(struct maker *m)
{
    char s[64];
    AD_IGNORE(snprintf(s, sizeof(s), "%s Space %u",
                       pick(m->rand, ad_sim_last_names, ad_sim_last_names_n),
                       (unsigned)ad_rand_below(m->rand, 100000)) < 0,
              "fits");
    text(m, "name", s);
}

static void edit_user_person(struct maker *m)
{
    refer(m, "person", "people", 1);
}

static const struct {
    const char *slug;
    void (*edits[5])(struct maker *m);
    unsigned n;
    unsigned alone_n; /* so many of the first touch no relationship */
} edits[] = {
    { "people", { edit_title, edit_description, edit_phone, location, edit_company }, 5, 4 },
    { "companies", { edit_description, edit_categories, edit_funding, location }, 4, 4 },
    { "deals", { edit_stage, edit_value, edit_deal_people }, 3, 2 },
    { "workspaces", { edit_name }, 1, 1 },
    { "users", { edit_user_person }, 1, 0 },
};

static bool has_custom(const struct ad_sim_object *o)
{
    return o->attrs_n > 0 && !o->attrs[o->attrs_n - 1]->system;
}

bool ad_sim_random_edit(struct ad_sim_store *s, struct ad_sim_record *r, struct ad_rand *rand,
                        bool alone)
{
    struct maker m = { .store = s, .object = r->object, .rand = rand, .at_ns = ad_sim_now(s) };
    if (has_custom(r->object) && chance(rand, 30)) {
        return ad_sim_random_change(s, r, rand);
    }
    m.serial = ad_rand_below(rand, 10000000);
    for (size_t i = 0; i < AD_LEN(edits); i++) {
        if (strcmp(r->object->slug, edits[i].slug) == 0) {
            unsigned n = alone ? edits[i].alone_n : edits[i].n;
            if (n == 0) {
                return false;
            }
            edits[i].edits[ad_rand_below(rand, n)](&m);
            return ad_sim_record_write(s, r, m.drafts, m.n, some_member(rand)) > 0;
        }
    }
    return ad_sim_random_change(s, r, rand);
}
