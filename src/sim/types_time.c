/* Dates and timestamps. */
#include <stdio.h>

#include "types_private.h"

static bool two(struct ad_str s, size_t at, int64_t max, int64_t *out)
{
    return at + 2 <= s.n && ad_str_i64(ad_str_n(s.p + at, 2), 0, max, out);
}

/* "2023", "2023-01", "2023-01-02" at the front of s: its days, and how much was read. */
static size_t date_front(struct ad_str s, int64_t *days)
{
    static const uint8_t length[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    int64_t year = 0;
    int64_t month = 1;
    int64_t day = 1;
    size_t used = 4;
    if (s.n < 4 || !ad_str_i64(ad_str_n(s.p, 4), 0, 9999, &year)) {
        return 0;
    }
    if (s.n > 4 && s.p[4] == '-') {
        if (!two(s, 5, 12, &month) || month == 0) {
            return 0;
        }
        used = 7;
    }
    if (used == 7 && s.n > 7 && s.p[7] == '-') {
        if (!two(s, 8, 31, &day) || day == 0) {
            return 0;
        }
        used = 10;
    }
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (day > length[month - 1] + (month == 2 && leap)) {
        return 0;
    }
    *days = ad_sim_days(year, (unsigned)month, (unsigned)day);
    return used;
}

/* "T13:00", "T13:00:02", with a zone or without (UTC), made whole and given to the strict
 * parser. */
bool ad_sim_time_loose(struct ad_str s, int64_t *ns)
{
    char text[64];
    int64_t days = 0;
    size_t used = date_front(s, &days);
    if (used == 0 || s.n > 40) {
        return false;
    }
    if (used == s.n) {
        if (days < -100000 || days > 106000) {
            return false;
        }
        *ns = days * 86400 * AD_NS_PER_S;
        return true;
    }
    struct ad_str rest = ad_str_n(s.p + used, s.n - used);
    size_t zone = 1;
    while (zone < rest.n && rest.p[zone] != 'Z' && rest.p[zone] != '+' && rest.p[zone] != '-') {
        zone++;
    }
    int n = snprintf(text, sizeof(text), "%.*s%.*s%s%.*s", (int)used, s.p, (int)zone, rest.p,
                     zone == 6 ? ":00" : "", (int)(rest.n - zone), rest.p + zone);
    if (n > 0 && zone == rest.n && (size_t)n + 1 < sizeof(text)) {
        text[n++] = 'Z';
    }
    return n > 0 && ad_time_parse(ad_str_n(text, (size_t)n), ns);
}

bool ad_sim_date_loose(struct ad_str s, int64_t *days)
{
    int64_t ns = 0;
    size_t used = date_front(s, days);
    if (used == 0 || used == s.n) {
        return used > 0;
    }
    if (!ad_sim_time_loose(s, &ns)) {
        return false;
    }
    int64_t day = 86400 * AD_NS_PER_S;
    *days = ns / day - (ns % day < 0);
    return true;
}

bool ad__sim_parse_date(const struct ad_sim_parse *p, const struct ad_json *in,
                        struct ad_sim_value *out)
{
    struct ad_str s = ad_json_str(ad__sim_unwrap(in, "value"));
    out->type = AD_SIM_DATE;
    return (s.p && ad_sim_date_loose(s, &out->u.i)) || ad__sim_invalid(p);
}

void ad__sim_print_date(struct ad_sim_pen *p, const struct ad_sim_value *v,
                        const struct ad_sim_attr *a)
{
    (void)a;
    AD_SIM_PUT(p, "\"value\":");
    ad_sim_put_date(p, v->u.i);
}

const struct ad_sim_prop ad__sim_date_props[] = {
    { "value", AD_SIM_KIND_DATE, AD__SIM_OPS_ORDER, ad__sim_get_int }, { 0 }
};

bool ad__sim_parse_timestamp(const struct ad_sim_parse *p, const struct ad_json *in,
                             struct ad_sim_value *out)
{
    struct ad_str s = ad_json_str(ad__sim_unwrap(in, "value"));
    out->type = AD_SIM_TIMESTAMP;
    return (s.p && ad_sim_time_loose(s, &out->u.i)) || ad__sim_invalid(p);
}

void ad__sim_print_timestamp(struct ad_sim_pen *p, const struct ad_sim_value *v,
                             const struct ad_sim_attr *a)
{
    (void)a;
    AD_SIM_PUT(p, "\"value\":");
    ad_sim_put_time(p, v->u.i);
}

const struct ad_sim_prop ad__sim_timestamp_props[] = {
    { "value", AD_SIM_KIND_TIME, AD__SIM_OPS_ORDER, ad__sim_get_int }, { 0 }
};
