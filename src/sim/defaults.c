/* Default values of attributes, given to what is created without them. */
#include "base/mem.h"
#include "write.h"

/* --- ISO 8601 durations: P1Y2M3W4DT5H6M7S --- */

#define DAY_S INT64_C(86400)

struct duration {
    int64_t months, seconds;
};

static bool add_part(struct duration *d, bool time, char unit, int64_t n)
{
    switch (unit) {
    case 'Y':
        d->months += 12 * n;
        return !time;
    case 'M':
        d->months += time ? 0 : n;
        d->seconds += time ? 60 * n : 0;
        return true;
    case 'W':
        d->seconds += 7 * DAY_S * n;
        return !time;
    case 'D':
        d->seconds += DAY_S * n;
        return !time;
    case 'H':
        d->seconds += 3600 * n;
        return time;
    case 'S':
        d->seconds += n;
        return time;
    default:
        return false;
    }
}

static bool duration_parse(struct ad_str s, struct duration *d)
{
    bool time = false;
    size_t i = 1;
    *d = (struct duration){ 0 };
    if (s.n < 3 || s.p[0] != 'P') {
        return false;
    }
    while (i < s.n) {
        if (s.p[i] == 'T' && !time) {
            time = true;
            i++;
            continue;
        }
        size_t from = i;
        int64_t n = 0;
        while (i < s.n && s.p[i] >= '0' && s.p[i] <= '9') {
            i++;
        }
        if (i == s.n || !ad_str_i64(ad_str_n(s.p + from, i - from), 0, 100000, &n) ||
            !add_part(d, time, s.p[i++], n)) {
            return false;
        }
    }
    return true;
}

/* Months first, as calendars do; a day that is not in the month becomes its last. */
static int64_t later(int64_t ns, const struct duration *d)
{
    int64_t s = ns / AD_NS_PER_S;
    int64_t year = 0;
    unsigned month = 0;
    unsigned day = 0;
    ad_sim_civil(s / DAY_S, &year, &month, &day);
    int64_t months = year * 12 + (int64_t)month - 1 + d->months;
    int64_t first = ad_sim_days(months / 12, (unsigned)(months % 12) + 1, 1);
    int64_t next = ad_sim_days((months + 1) / 12, (unsigned)((months + 1) % 12) + 1, 1);
    int64_t days = first + (int64_t)day - 1 < next ? first + (int64_t)day - 1 : next - 1;
    return (days * DAY_S + s % DAY_S + d->seconds) * AD_NS_PER_S + ns % AD_NS_PER_S;
}

static bool add_dynamic(struct ad_sim_write *w, struct ad_sim_draft *d, struct ad_str template)
{
    struct ad_sim_value v = { .attr = d->attr->place, .type = (uint8_t)d->attr->type };
    struct duration span;
    if (d->attr->type == AD_SIM_ACTOR) {
        v.aux = AD_SIM_ACTOR_TOKEN;
    } else if (duration_parse(template, &span)) {
        int64_t at = later(ad_sim_now(w->call->store), &span);
        v.u.i = d->attr->type == AD_SIM_DATE ? at / AD_NS_PER_S / DAY_S : at;
    } else {
        return true;
    }
    ad_sim_draft_add(d, v);
    return true;
}

static bool add_default(struct ad_sim_write *w, struct ad_sim_attr *a)
{
    struct ad_errinfo info = { 0 };
    const struct ad_json *def = NULL;
    AD_ASSERT(ad_json_parse(w->call->arena, ad_str_c(a->default_json), NULL, &def, &info) == AD_OK);
    const struct ad_json *template = ad_json_get(def, "template");
    struct ad_sim_draft *d = &w->drafts[w->n++];
    *d = (struct ad_sim_draft){ .attr = a };
    if (ad_json_is(template, AD_JSON_ARRAY)) {
        return ad_sim_write_list(w, d, template);
    }
    return add_dynamic(w, d, ad_json_str(template));
}

bool ad_sim_defaults_add(struct ad_sim_write *w)
{
    for (size_t i = 0; i < w->object->attrs_n; i++) {
        struct ad_sim_attr *a = w->object->attrs[i];
        if (a->default_json && !a->archived && !ad_sim_write_draft(w, a) && !add_default(w, a)) {
            return false;
        }
    }
    return true;
}

bool ad_sim_default_ok(const struct ad_sim_attr *a, const struct ad_json *v)
{
    struct duration span;
    struct ad_str kind = ad_json_str(ad_json_get(v, "type"));
    const struct ad_json *template = ad_json_get(v, "template");
    if (ad_str_eq(kind, AD_STR("static"))) {
        return ad_json_is(template, AD_JSON_ARRAY) && (a->multi || template->count <= 1);
    }
    struct ad_str text = ad_json_str(template);
    if (!ad_str_eq(kind, AD_STR("dynamic")) || !text.p) {
        return false;
    }
    if (a->type == AD_SIM_ACTOR) {
        return ad_str_eq(text, AD_STR("current-user"));
    }
    return (a->type == AD_SIM_DATE || a->type == AD_SIM_TIMESTAMP) && duration_parse(text, &span);
}
