/* Random changes of attributes, as an administrator of the workspace would make them: with events. */
#include <stdio.h>

#include "attributes.h"
#include "random.h"

#define CUSTOM_MAX 40 /* of one object or list: enough for any test, and reading stays quick */

static struct ad_sim_attr *random_custom(const struct ad_sim_object *o, struct ad_rand *rand)
{
    struct ad_sim_attr *found[CUSTOM_MAX];
    size_t n = 0;
    for (size_t i = 0; i < o->attrs_n && n < CUSTOM_MAX; i++) {
        if (!o->attrs[i]->system) {
            found[n++] = o->attrs[i];
        }
    }
    return n ? found[ad_rand_below(rand, n)] : NULL;
}

static size_t count_custom(const struct ad_sim_object *o)
{
    size_t n = 0;
    for (size_t i = 0; i < o->attrs_n; i++) {
        n += !o->attrs[i]->system;
    }
    return n;
}

/* Now and then one that needs quoting everywhere. */
static struct ad_str new_slug(struct ad_rand *rand, char room[48])
{
    static const char *const shapes[][2] = {
        { "custom_", "" }, { "Custom ", "" }, { "select_", "" }, { "c\"", "'" }
    };
    size_t shape = ad_rand_below(rand, AD_LEN(shapes));
    AD_IGNORE(snprintf(room, 48, "%s%05u%s", shapes[shape][0],
                       (unsigned)ad_rand_below(rand, 100000), shapes[shape][1]) < 0,
              "fits");
    return ad_str_c(room);
}

/* Types whose values can be made up and read from text. */
static enum ad_sim_type_id random_type(struct ad_rand *rand)
{
    static const enum ad_sim_type_id types[] = { AD_SIM_TEXT,   AD_SIM_NUMBER,    AD_SIM_CHECKBOX,
                                                 AD_SIM_DATE,   AD_SIM_TIMESTAMP, AD_SIM_RATING,
                                                 AD_SIM_SELECT, AD_SIM_CURRENCY,  AD_SIM_EMAIL,
                                                 AD_SIM_DOMAIN, AD_SIM_ACTOR,     AD_SIM_PHONE };
    return types[ad_rand_below(rand, AD_LEN(types))];
}

static void add_options(struct ad_sim_store *s, struct ad_sim_attr *a)
{
    static const char *const titles[] = { "North", "East", "South", "West" };
    for (size_t i = 0; a->options_n == 0 && i < AD_LEN(titles); i++) {
        AD_IGNORE(!ad_sim_option_add(s, a, ad_str_c(titles[i])), "never NULL");
    }
}

static bool add_attr(struct ad_sim_store *s, struct ad_sim_object *o, struct ad_rand *rand)
{
    char room[48];
    struct ad_str slug = new_slug(rand, room);
    enum ad_sim_type_id type = random_type(rand);
    if (count_custom(o) >= CUSTOM_MAX || ad_sim_attr_find(o, slug)) {
        return false;
    }
    struct ad_sim_attr *a = ad_sim_attr_add(s, o, slug, slug, type);
    a->created_ns = ad_sim_now(s);
    if (type == AD_SIM_SELECT) {
        add_options(s, a);
    }
    ad_sim_attr_emit(s, true, a, AD_SIM_ACTOR_MEMBERS);
    return true;
}

static bool rename_attr(struct ad_sim_attr *a, struct ad_rand *rand)
{
    char room[48];
    struct ad_str slug = new_slug(rand, room);
    if (ad_sim_attr_find(a->object, slug)) {
        return false;
    }
    ad_sim_attr_rename(a, slug);
    return true;
}

static bool retype_attr(struct ad_sim_store *s, struct ad_sim_attr *a, struct ad_rand *rand)
{
    enum ad_sim_type_id type = random_type(rand);
    if (a->partner || a->type == type) {
        return false;
    }
    ad_sim_retype(a, type, false);
    if (type == AD_SIM_SELECT) {
        add_options(s, a);
    }
    return true;
}

/* Half of the time one more, else one of the others. */
bool ad_sim_random_schema(struct ad_sim_store *s, struct ad_sim_object *o, struct ad_rand *rand)
{
    struct ad_sim_attr *a = random_custom(o, rand);
    uint64_t what = ad_rand_below(rand, 6);
    bool done = true;
    if (!a || what >= 3) {
        return add_attr(s, o, rand);
    }
    if (what == 0) {
        done = rename_attr(a, rand);
    } else if (what == 1) {
        a->archived = !a->archived;
    } else {
        done = retype_attr(s, a, rand);
    }
    if (done) {
        ad_sim_attr_emit(s, false, a, AD_SIM_ACTOR_MEMBERS);
    }
    return done;
}
