/* Numbers, amounts of money, ratings, checkboxes. */
#include "types_private.h"

#define FIXED_MAX INT64_C(900000000000000000)

/* Digits before and behind the point to ten-thousandths; further digits are rounded half up. */
static bool fixed_digits(struct ad_str s, int64_t *out)
{
    int64_t v = 0;
    int decimals = -1;
    bool any = false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '.' && decimals < 0) {
            decimals = 0;
            continue;
        }
        if (c < '0' || c > '9') {
            return false;
        }
        any = true;
        if (decimals == 4) {
            v += c >= '5';
            decimals++;
        }
        if (decimals > 4) {
            continue;
        }
        if (v > FIXED_MAX / 10) {
            return false;
        }
        v = v * 10 + (c - '0');
        decimals += decimals >= 0;
    }
    for (int i = decimals < 0 ? 0 : decimals; i < 4; i++) {
        if (v > FIXED_MAX / 10) {
            return false;
        }
        v *= 10;
    }
    *out = v;
    return any;
}

bool ad_sim_fixed_parse(struct ad_str s, int64_t *out)
{
    bool negative = s.n > 0 && s.p[0] == '-';
    struct ad_str rest = negative ? ad_str_n(s.p + 1, s.n - 1) : s;
    int64_t v = 0;
    if (!fixed_digits(rest, &v)) {
        return false;
    }
    *out = negative ? -v : v;
    return true;
}

/* JSON numbers may carry an exponent. */
static bool fixed_json(const struct ad_json *in, int64_t *out)
{
    double d = 0;
    if (!ad_json_is(in, AD_JSON_NUMBER)) {
        return false;
    }
    if (ad_sim_fixed_parse(in->str, out)) {
        return true;
    }
    if (!ad_json_f64(in, &d) || d > 9e13 || d < -9e13) {
        return false;
    }
    *out = (int64_t)(d * 10000.0 + (d < 0 ? -0.5 : 0.5));
    return true;
}

bool ad__sim_parse_number(const struct ad_sim_parse *p, const struct ad_json *in,
                          struct ad_sim_value *out)
{
    out->type = AD_SIM_NUMBER;
    return fixed_json(ad__sim_unwrap(in, "value"), &out->u.i) || ad__sim_invalid(p);
}

void ad__sim_print_number(struct ad_sim_pen *p, const struct ad_sim_value *v,
                          const struct ad_sim_attr *a)
{
    (void)a;
    AD_SIM_PUT(p, "\"value\":");
    ad_sim_put_fixed(p, v->u.i);
}

const struct ad_sim_prop ad__sim_number_props[] = {
    { "value", AD_SIM_KIND_NUMBER, AD__SIM_OPS_ORDER, ad__sim_get_int }, { 0 }
};

bool ad__sim_parse_currency(const struct ad_sim_parse *p, const struct ad_json *in,
                            struct ad_sim_value *out)
{
    const struct ad_json *v = ad__sim_unwrap(in, "currency_value");
    out->type = AD_SIM_CURRENCY;
    if (ad_json_is(v, AD_JSON_STRING)) {
        return ad_sim_fixed_parse(v->str, &out->u.i) || ad__sim_invalid(p);
    }
    return fixed_json(v, &out->u.i) || ad__sim_invalid(p);
}

void ad__sim_print_currency(struct ad_sim_pen *p, const struct ad_sim_value *v,
                            const struct ad_sim_attr *a)
{
    AD_SIM_PUT(p, "\"currency_value\":");
    ad_sim_put_fixed(p, v->u.i);
    AD_SIM_PUT(p, ",\"currency_code\":");
    ad_sim_put_str(p, a->currency[0] ? ad_str_c(a->currency) : AD_STR_NONE);
}

const struct ad_sim_prop ad__sim_currency_props[] = {
    { "currency_value", AD_SIM_KIND_NUMBER, AD__SIM_OPS_ORDER, ad__sim_get_int },
    { 0 },
};

bool ad__sim_parse_rating(const struct ad_sim_parse *p, const struct ad_json *in,
                          struct ad_sim_value *out)
{
    out->type = AD_SIM_RATING;
    if (!ad_json_i64(ad__sim_unwrap(in, "value"), &out->u.i) || out->u.i < 0 || out->u.i > 5) {
        return ad__sim_invalid(p);
    }
    return true;
}

void ad__sim_print_rating(struct ad_sim_pen *p, const struct ad_sim_value *v,
                          const struct ad_sim_attr *a)
{
    (void)a;
    AD_SIM_PUT(p, "\"value\":");
    ad_sim_put_i64(p, v->u.i);
}

const struct ad_sim_prop ad__sim_rating_props[] = {
    { "value", AD_SIM_KIND_WHOLE, AD__SIM_OPS_ORDER, ad__sim_get_int }, { 0 }
};

bool ad__sim_parse_checkbox(const struct ad_sim_parse *p, const struct ad_json *in,
                            struct ad_sim_value *out)
{
    const struct ad_json *v = ad__sim_unwrap(in, "value");
    bool on = false;
    out->type = AD_SIM_CHECKBOX;
    if (ad_json_bool(v, &on)) {
        out->u.i = on;
        return true;
    }
    struct ad_str s = ad_json_str(v);
    out->u.i = ad_str_eq(s, AD_STR("true"));
    return out->u.i || ad_str_eq(s, AD_STR("false")) || ad__sim_invalid(p);
}

void ad__sim_print_checkbox(struct ad_sim_pen *p, const struct ad_sim_value *v,
                            const struct ad_sim_attr *a)
{
    (void)a;
    ad_sim_put(p, v->u.i ? AD_STR("\"value\":true") : AD_STR("\"value\":false"));
}

const struct ad_sim_prop ad__sim_checkbox_props[] = {
    { "value", AD_SIM_KIND_BOOL, AD__SIM_OPS_SAME, ad__sim_get_int }, { 0 }
};
