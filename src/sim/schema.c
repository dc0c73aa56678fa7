#include "names.h"
#include "seed.h"

/* Workspaces of one seed are of one age, whenever they are started. */
#define SCHEMA_NS (INT64_C(1577872800) * AD_NS_PER_S) /* 2020-01-01T10:00:00Z */

enum flags {
    UNIQUE = 1 << 0,
    MULTI = 1 << 1,
    REQUIRED = 1 << 2,
    READ_ONLY = 1 << 3,
    ENRICHED = 1 << 4 | READ_ONLY
};

struct attr_def {
    const char *slug, *title;
    enum ad_sim_type_id type;
    unsigned flags;
    const char *options; /* titles of a select or status, separated by | */
    const char *target;  /* object of a reference */
};

#define SOCIAL                                                                                   \
    { "angellist", "AngelList", AD_SIM_TEXT, 0, NULL, NULL },                                    \
        { "facebook", "Facebook", AD_SIM_TEXT, 0, NULL, NULL },                                  \
        { "instagram", "Instagram", AD_SIM_TEXT, 0, NULL, NULL },                                \
        { "linkedin", "LinkedIn", AD_SIM_TEXT, 0, NULL, NULL },                                  \
        { "twitter", "Twitter", AD_SIM_TEXT, 0, NULL, NULL },                                    \
    {                                                                                            \
        "twitter_follower_count", "Twitter follower count", AD_SIM_NUMBER, READ_ONLY, NULL, NULL \
    }

#define STRENGTHS "Very weak|Weak|Good|Strong|Very strong"

#define INTERACTIONS                                                                            \
    { "first_calendar_interaction",                                                             \
      "First calendar interaction",                                                             \
      AD_SIM_INTERACTION,                                                                       \
      ENRICHED,                                                                                 \
      NULL,                                                                                     \
      NULL },                                                                                   \
        { "last_calendar_interaction",                                                          \
          "Last calendar interaction",                                                          \
          AD_SIM_INTERACTION,                                                                   \
          ENRICHED,                                                                             \
          NULL,                                                                                 \
          NULL },                                                                               \
        { "next_calendar_interaction",                                                          \
          "Next calendar interaction",                                                          \
          AD_SIM_INTERACTION,                                                                   \
          ENRICHED,                                                                             \
          NULL,                                                                                 \
          NULL },                                                                               \
        { "first_email_interaction",                                                            \
          "First email interaction",                                                            \
          AD_SIM_INTERACTION,                                                                   \
          ENRICHED,                                                                             \
          NULL,                                                                                 \
          NULL },                                                                               \
        { "last_email_interaction",                                                             \
          "Last email interaction",                                                             \
          AD_SIM_INTERACTION,                                                                   \
          ENRICHED,                                                                             \
          NULL,                                                                                 \
          NULL },                                                                               \
        { "first_interaction", "First interaction", AD_SIM_INTERACTION, ENRICHED, NULL, NULL }, \
        { "last_interaction", "Last interaction", AD_SIM_INTERACTION, ENRICHED, NULL, NULL },   \
        { "next_interaction", "Next interaction", AD_SIM_INTERACTION, ENRICHED, NULL, NULL },   \
        { "strongest_connection_strength_legacy",                                               \
          "Connection strength (legacy)",                                                       \
          AD_SIM_NUMBER,                                                                        \
          ENRICHED,                                                                             \
          NULL,                                                                                 \
          NULL },                                                                               \
        { "strongest_connection_strength",                                                      \
          "Connection strength",                                                                \
          AD_SIM_SELECT,                                                                        \
          ENRICHED,                                                                             \
          STRENGTHS,                                                                            \
          NULL },                                                                               \
    {                                                                                           \
        "strongest_connection_user", "Strongest connection", AD_SIM_ACTOR, ENRICHED, NULL, NULL \
    }

static const struct attr_def people[] = {
    { "name", "Name", AD_SIM_NAME, 0, NULL, NULL },
    { "email_addresses", "Email addresses", AD_SIM_EMAIL, UNIQUE | MULTI, NULL, NULL },
    { "description", "Description", AD_SIM_TEXT, 0, NULL, NULL },
    { "company", "Company", AD_SIM_REFERENCE, 0, NULL, "companies" },
    { "job_title", "Job title", AD_SIM_TEXT, 0, NULL, NULL },
    { "avatar_url", "Avatar URL", AD_SIM_TEXT, READ_ONLY, NULL, NULL },
    { "phone_numbers", "Phone numbers", AD_SIM_PHONE, MULTI, NULL, NULL },
    { "primary_location", "Primary location", AD_SIM_LOCATION, 0, NULL, NULL },
    SOCIAL,
    INTERACTIONS,
    { "associated_deals", "Associated deals", AD_SIM_REFERENCE, MULTI, NULL, "deals" },
};

static const struct attr_def companies[] = {
    { "domains", "Domains", AD_SIM_DOMAIN, UNIQUE | MULTI, NULL, NULL },
    { "name", "Name", AD_SIM_TEXT, 0, NULL, NULL },
    { "description", "Description", AD_SIM_TEXT, 0, NULL, NULL },
    { "team", "Team", AD_SIM_REFERENCE, MULTI, NULL, "people" },
    { "categories", "Categories", AD_SIM_SELECT, MULTI,
      "B2B|B2C|SaaS|Marketplace|Hardware|Healthcare|Finance|Education|Energy|Logistics|Media|"
      "Public sector",
      NULL },
    { "primary_location", "Primary location", AD_SIM_LOCATION, 0, NULL, NULL },
    { "logo_url", "Logo URL", AD_SIM_TEXT, READ_ONLY, NULL, NULL },
    SOCIAL,
    { "estimated_arr_usd", "Estimated ARR", AD_SIM_SELECT, 0,
      "$0-$1M|$1M-$10M|$10M-$50M|$50M-$100M|$100M-$250M|$250M-$500M|$500M-$1B|$1B-$10B|$10B+",
      NULL },
    { "funding_raised_usd", "Funding raised", AD_SIM_CURRENCY, 0, NULL, NULL },
    { "foundation_date", "Foundation date", AD_SIM_DATE, 0, NULL, NULL },
    { "employee_range", "Employee range", AD_SIM_SELECT, 0,
      "1-10|11-50|51-250|251-1K|1K-5K|5K-10K|10K-50K|50K-100K|100K+", NULL },
    INTERACTIONS,
    { "associated_deals", "Associated deals", AD_SIM_REFERENCE, MULTI, NULL, "deals" },
};

static const struct attr_def deals[] = {
    { "name", "Deal name", AD_SIM_TEXT, REQUIRED, NULL, NULL },
    { "stage", "Deal stage", AD_SIM_STATUS, REQUIRED, "Lead|In Progress|Won \xF0\x9F\x8E\x89|Lost",
      NULL },
    { "owner", "Deal owner", AD_SIM_ACTOR, REQUIRED, NULL, NULL },
    { "value", "Deal value", AD_SIM_CURRENCY, 0, NULL, NULL },
    { "associated_people", "Associated people", AD_SIM_REFERENCE, MULTI, NULL, "people" },
    { "associated_company", "Associated company", AD_SIM_REFERENCE, 0, NULL, "companies" },
};

static const struct attr_def users[] = {
    { "primary_email_address", "Primary email address", AD_SIM_EMAIL, UNIQUE | REQUIRED, NULL,
      NULL },
    { "user_id", "User ID", AD_SIM_TEXT, UNIQUE | REQUIRED, NULL, NULL },
    { "person", "Person", AD_SIM_REFERENCE, 0, NULL, "people" },
    { "workspace", "Workspace", AD_SIM_REFERENCE, 0, NULL, "workspaces" },
};

static const struct attr_def workspaces[] = {
    { "workspace_id", "Workspace ID", AD_SIM_TEXT, UNIQUE | REQUIRED, NULL, NULL },
    { "name", "Name", AD_SIM_TEXT, 0, NULL, NULL },
    { "users", "Users", AD_SIM_REFERENCE, MULTI, NULL, "users" },
    { "company", "Company", AD_SIM_REFERENCE, 0, NULL, "companies" },
    { "avatar_url", "Avatar URL", AD_SIM_TEXT, 0, NULL, NULL },
};

static const struct object_def {
    const char *slug, *singular, *plural, *web;
    const struct attr_def *attrs;
    size_t n;
    bool optional; /* until an administrator activates it */
} objects[] = {
    { "people", "Person", "People", "person", people, AD_LEN(people), false },
    { "companies", "Company", "Companies", "company", companies, AD_LEN(companies), false },
    { "deals", "Deal", "Deals", NULL, deals, AD_LEN(deals), false },
    { "users", "User", "Users", NULL, users, AD_LEN(users), true },
    { "workspaces", "Workspace", "Workspaces", NULL, workspaces, AD_LEN(workspaces), true },
};

/* Both sides of relationships; one may belong to an object that is not there yet. A side that is
 * not in the tables above comes with the optional object. */
static const struct {
    const char *object, *slug, *back_object, *back_slug;
    const struct attr_def *back;
} relations[] = {
    { "people", "company", "companies", "team", NULL },
    { "people", "associated_deals", "deals", "associated_people", NULL },
    { "companies", "associated_deals", "deals", "associated_company", NULL },
    { "users", "person", "people", "associated_users",
      &(const struct attr_def){ "associated_users", "Associated users", AD_SIM_REFERENCE, 0, NULL,
                                "users" } },
    { "workspaces", "company", "companies", "associated_workspaces",
      &(const struct attr_def){ "associated_workspaces", "Associated workspaces", AD_SIM_REFERENCE,
                                0, NULL, "workspaces" } },
    { "workspaces", "users", "users", "workspace", NULL },
};

static void add_options(struct ad_sim_store *s, struct ad_sim_attr *a, const char *titles)
{
    struct ad_str rest = ad_str_c(titles);
    while (rest.p) {
        struct ad_str title = ad_str_cut(&rest, '|');
        struct ad_sim_option *option = ad_sim_option_add(s, a, title);
        option->celebrates = ad_str_starts(title, AD_STR("Won"));
        ad_sim_option_render(s, a, option);
    }
}

static void add_attr(struct ad_sim_store *s, struct ad_sim_object *o, const struct attr_def *def)
{
    struct ad_sim_attr *a =
        ad_sim_attr_add(s, o, ad_str_c(def->slug), ad_str_c(def->title), def->type);
    a->system = true;
    a->unique = def->flags & UNIQUE;
    a->multi = def->flags & MULTI;
    a->required = def->flags & REQUIRED;
    a->writable = !(def->flags & READ_ONLY);
    a->enriched = (def->flags & ENRICHED) == ENRICHED;
    a->created_ns = o->created_ns;
    if (def->type == AD_SIM_CURRENCY) {
        memcpy(a->currency, "USD", sizeof(a->currency));
        a->display = "symbol";
    }
    add_options(s, a, def->options);
}

static void allow(struct ad_sim_store *s, struct ad_sim_object *o, const struct attr_def *def)
{
    struct ad_sim_attr *a = ad_sim_attr_find(o, ad_str_c(def->slug));
    struct ad_sim_object *target =
        def->target ? ad_sim_object_find(s, ad_str_c(def->target)) : NULL;
    if (target && a->allowed_n == 0) {
        ad_sim_allow(a, target);
    }
}

/* References to what is there by now. */
static void connect(struct ad_sim_store *s)
{
    for (size_t i = 0; i < AD_LEN(objects); i++) {
        struct ad_sim_object *o = ad_sim_object_find(s, ad_str_c(objects[i].slug));
        for (size_t k = 0; o && k < objects[i].n; k++) {
            allow(s, o, &objects[i].attrs[k]);
        }
    }
}

static void relate(struct ad_sim_store *s)
{
    for (size_t i = 0; i < AD_LEN(relations); i++) {
        struct ad_sim_object *o = ad_sim_object_find(s, ad_str_c(relations[i].object));
        struct ad_sim_object *there = ad_sim_object_find(s, ad_str_c(relations[i].back_object));
        if (!o || !there) {
            continue;
        }
        struct ad_sim_attr *a = ad_sim_attr_find(o, ad_str_c(relations[i].slug));
        if (relations[i].back && !a->partner) {
            add_attr(s, there, relations[i].back);
            allow(s, there, relations[i].back);
        }
        ad_sim_relate(a, ad_sim_attr_find(there, ad_str_c(relations[i].back_slug)));
    }
}

static void add_object(struct ad_sim_store *s, const struct object_def *def)
{
    struct ad_sim_object *o =
        ad_sim_object_add(s, ad_str_c(def->slug), ad_str_c(def->singular), ad_str_c(def->plural));
    o->web = def->web;
    o->created_ns = SCHEMA_NS;
    ad_sim_object_made(s, o);
    for (size_t i = 0; i < def->n; i++) {
        add_attr(s, o, &def->attrs[i]);
    }
}

struct ad_sim_object *ad_sim_activate(struct ad_sim_store *s, struct ad_str slug)
{
    for (size_t i = 0; i < AD_LEN(objects); i++) {
        if (!ad_str_eq(slug, ad_str_c(objects[i].slug))) {
            continue;
        }
        if (!ad_sim_object_find(s, slug)) {
            add_object(s, &objects[i]);
            connect(s);
            relate(s);
        }
        return ad_sim_object_find(s, slug);
    }
    return NULL;
}

static void seed_members(struct ad_sim_store *s)
{
    static const char *const levels[AD_SIM_MEMBERS] = { "admin", "admin", "member", "member",
                                                        "suspended" };
    for (size_t i = 0; i < AD_SIM_MEMBERS; i++) {
        struct ad_sim_member *m = &s->members[i];
        m->first = ad_sim_copy(
            ad_str_c(ad_sim_first_names[ad_rand_below(&s->rand, ad_sim_first_names_n)]));
        m->last =
            ad_sim_copy(ad_str_c(ad_sim_last_names[ad_rand_below(&s->rand, ad_sim_last_names_n)]));
        m->level = levels[i];
        m->created_ns = SCHEMA_NS + (int64_t)i * 86400 * AD_NS_PER_S;
        struct ad_buf b;
        ad_buf_init(&b, 256);
        ad_buf_fmt(&b, "%s.%s%zu@example.com", m->first, m->last, i);
        for (size_t k = b.start; k < b.end; k++) {
            b.p[k] = (char)(b.p[k] >= 'A' && b.p[k] <= 'Z' ? b.p[k] + ('a' - 'A') : b.p[k]);
        }
        m->email = ad_sim_copy(ad_buf_str(&b));
        ad_buf_fini(&b);
    }
}

void ad_sim_seed_schema(struct ad_sim_store *s)
{
    seed_members(s);
    for (size_t i = 0; i < AD_LEN(objects); i++) {
        if (!objects[i].optional) {
            add_object(s, &objects[i]);
        }
    }
    connect(s);
    relate(s);
}
