#include "types.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

#define OPS_TEXT \
    (AD_SIM_EQ | AD_SIM_IN | AD_SIM_NOT_EMPTY | AD_SIM_CONTAINS | AD_SIM_STARTS | AD_SIM_ENDS)
#define OPS_ORDER (AD_SIM_EQ | AD_SIM_NOT_EMPTY | AD_SIM_LT | AD_SIM_LTE | AD_SIM_GT | AD_SIM_GTE)
#define OPS_SAME (AD_SIM_EQ | AD_SIM_NOT_EMPTY)
#define OPS_REF (AD_SIM_EQ | AD_SIM_IN | AD_SIM_NOT_EMPTY)

/* --- Refusals --- */

static bool refuse(const struct ad_sim_parse *p, const char *code, const char *fmt, ...)
    AD_PRINTF(3, 4);

static bool refuse(const struct ad_sim_parse *p, const char *code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    p->refusal->code = code;
    AD_IGNORE(vsnprintf(p->refusal->message, sizeof(p->refusal->message), fmt, args) < 0,
              "cut is fine");
    va_end(args);
    return false;
}

static bool invalid(const struct ad_sim_parse *p)
{
    return refuse(p, "validation_type",
                  "An invalid value was passed to attribute with slug \"%s\".", p->attr->slug);
}

/* The value itself, or its property: 5 and {"value":5} say the same. */
static const struct ad_json *unwrap(const struct ad_json *in, const char *key)
{
    return in->type == AD_JSON_OBJECT ? ad_json_get(in, key) : in;
}

/* --- Text of several parts --- */

static void get_part(const struct ad_sim_value *v, uint32_t i, struct ad_sim_key *out)
{
    out->s = ad_sim_pack_get(v->u.pack, i);
    out->none = !out->s.p;
}

static void get_0(const struct ad_sim_value *v, struct ad_sim_key *out)
{
    get_part(v, 0, out);
}

static void get_1(const struct ad_sim_value *v, struct ad_sim_key *out)
{
    get_part(v, 1, out);
}

static void get_2(const struct ad_sim_value *v, struct ad_sim_key *out)
{
    get_part(v, 2, out);
}

static void get_int(const struct ad_sim_value *v, struct ad_sim_key *out)
{
    out->i = v->u.i;
}

static void get_from(const struct ad_sim_value *v, struct ad_sim_key *out)
{
    out->i = v->from_ns;
}

struct ad_sim_value ad_sim_make_text(enum ad_sim_type_id type, struct ad_str s)
{
    return (struct ad_sim_value){ .type = (uint8_t)type, .u.pack = ad_sim_pack_new(&s, 1) };
}

static void print_part(struct ad_sim_pen *p, const struct ad_sim_value *v, uint32_t i)
{
    ad_sim_put_str(p, ad_sim_pack_get(v->u.pack, i));
}

/* --- text --- */

#define TEXT_MAX (10u << 20)

static bool parse_text(const struct ad_sim_parse *p, const struct ad_json *in,
                       struct ad_sim_value *out)
{
    struct ad_str s = ad_json_str(unwrap(in, "value"));
    if (!s.p || s.n > TEXT_MAX) {
        return invalid(p);
    }
    *out = ad_sim_make_text(AD_SIM_TEXT, s);
    return true;
}

static void print_text(struct ad_sim_pen *p, const struct ad_sim_value *v,
                       const struct ad_sim_attr *a)
{
    AD_SIM_PUT(p, "\"value\":");
    if (a->made == AD_SIM_MADE_ID) {
        ad_sim_put_uuid(p, v->u.id);
    } else {
        print_part(p, v, 0);
    }
}

static const struct ad_sim_prop text_props[] = { { "value", AD_SIM_KIND_TEXT, OPS_TEXT, get_0 },
                                                 { 0 } };

static void get_own_id(const struct ad_sim_value *v, struct ad_sim_key *out)
{
    ad_sim_uuid_text(v->u.id, out->room);
    out->s = ad_str_n(out->room, 36);
}

const struct ad_sim_prop ad_sim_id_props[] = {
    { "value", AD_SIM_KIND_UUID, OPS_REF, get_own_id },
    { "record_id", AD_SIM_KIND_UUID, OPS_REF, get_own_id },
    { 0 },
};

/* --- number, currency, rating, checkbox --- */

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

static bool parse_number(const struct ad_sim_parse *p, const struct ad_json *in,
                         struct ad_sim_value *out)
{
    out->type = AD_SIM_NUMBER;
    return fixed_json(unwrap(in, "value"), &out->u.i) || invalid(p);
}

static void print_number(struct ad_sim_pen *p, const struct ad_sim_value *v,
                         const struct ad_sim_attr *a)
{
    (void)a;
    AD_SIM_PUT(p, "\"value\":");
    ad_sim_put_fixed(p, v->u.i);
}

static const struct ad_sim_prop number_props[] = {
    { "value", AD_SIM_KIND_NUMBER, OPS_ORDER, get_int }, { 0 }
};

static bool parse_currency(const struct ad_sim_parse *p, const struct ad_json *in,
                           struct ad_sim_value *out)
{
    const struct ad_json *v = unwrap(in, "currency_value");
    out->type = AD_SIM_CURRENCY;
    if (ad_json_is(v, AD_JSON_STRING)) {
        return ad_sim_fixed_parse(v->str, &out->u.i) || invalid(p);
    }
    return fixed_json(v, &out->u.i) || invalid(p);
}

static void print_currency(struct ad_sim_pen *p, const struct ad_sim_value *v,
                           const struct ad_sim_attr *a)
{
    AD_SIM_PUT(p, "\"currency_value\":");
    ad_sim_put_fixed(p, v->u.i);
    AD_SIM_PUT(p, ",\"currency_code\":");
    ad_sim_put_str(p, a->currency[0] ? ad_str_c(a->currency) : AD_STR_NONE);
}

static const struct ad_sim_prop currency_props[] = {
    { "currency_value", AD_SIM_KIND_NUMBER, OPS_ORDER, get_int },
    { 0 },
};

static bool parse_rating(const struct ad_sim_parse *p, const struct ad_json *in,
                         struct ad_sim_value *out)
{
    out->type = AD_SIM_RATING;
    if (!ad_json_i64(unwrap(in, "value"), &out->u.i) || out->u.i < 0 || out->u.i > 5) {
        return invalid(p);
    }
    return true;
}

static void print_rating(struct ad_sim_pen *p, const struct ad_sim_value *v,
                         const struct ad_sim_attr *a)
{
    (void)a;
    AD_SIM_PUT(p, "\"value\":");
    ad_sim_put_i64(p, v->u.i);
}

static const struct ad_sim_prop rating_props[] = {
    { "value", AD_SIM_KIND_WHOLE, OPS_ORDER, get_int }, { 0 }
};

static bool parse_checkbox(const struct ad_sim_parse *p, const struct ad_json *in,
                           struct ad_sim_value *out)
{
    const struct ad_json *v = unwrap(in, "value");
    bool on = false;
    out->type = AD_SIM_CHECKBOX;
    if (ad_json_bool(v, &on)) {
        out->u.i = on;
        return true;
    }
    struct ad_str s = ad_json_str(v);
    out->u.i = ad_str_eq(s, AD_STR("true"));
    return out->u.i || ad_str_eq(s, AD_STR("false")) || invalid(p);
}

static void print_checkbox(struct ad_sim_pen *p, const struct ad_sim_value *v,
                           const struct ad_sim_attr *a)
{
    (void)a;
    ad_sim_put(p, v->u.i ? AD_STR("\"value\":true") : AD_STR("\"value\":false"));
}

static const struct ad_sim_prop checkbox_props[] = {
    { "value", AD_SIM_KIND_BOOL, OPS_SAME, get_int }, { 0 }
};

/* --- date, timestamp --- */

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

static bool parse_date(const struct ad_sim_parse *p, const struct ad_json *in,
                       struct ad_sim_value *out)
{
    struct ad_str s = ad_json_str(unwrap(in, "value"));
    out->type = AD_SIM_DATE;
    return (s.p && ad_sim_date_loose(s, &out->u.i)) || invalid(p);
}

static void print_date(struct ad_sim_pen *p, const struct ad_sim_value *v,
                       const struct ad_sim_attr *a)
{
    (void)a;
    AD_SIM_PUT(p, "\"value\":");
    ad_sim_put_date(p, v->u.i);
}

static const struct ad_sim_prop date_props[] = { { "value", AD_SIM_KIND_DATE, OPS_ORDER, get_int },
                                                 { 0 } };

static bool parse_timestamp(const struct ad_sim_parse *p, const struct ad_json *in,
                            struct ad_sim_value *out)
{
    struct ad_str s = ad_json_str(unwrap(in, "value"));
    out->type = AD_SIM_TIMESTAMP;
    return (s.p && ad_sim_time_loose(s, &out->u.i)) || invalid(p);
}

static void print_timestamp(struct ad_sim_pen *p, const struct ad_sim_value *v,
                            const struct ad_sim_attr *a)
{
    (void)a;
    AD_SIM_PUT(p, "\"value\":");
    ad_sim_put_time(p, v->u.i);
}

static const struct ad_sim_prop timestamp_props[] = {
    { "value", AD_SIM_KIND_TIME, OPS_ORDER, get_int }, { 0 }
};

/* --- select, status --- */

static bool parse_option(const struct ad_sim_parse *p, const struct ad_json *in,
                         struct ad_sim_value *out)
{
    bool status = p->attr->type == AD_SIM_STATUS;
    struct ad_str ref = ad_json_str(unwrap(in, status ? "status" : "option"));
    if (!ref.p) {
        return invalid(p);
    }
    struct ad_sim_option *option = ad_sim_option_find(p->attr, ref);
    if (!option) {
        return refuse(p, "value_not_found",
                      status ? "Cannot find status attribute with status option title \"%.*s\"."
                             : "Cannot find select attribute with select option title \"%.*s\".",
                      AD_FMT(ref));
    }
    out->type = (uint8_t)p->attr->type;
    out->u.option = option;
    return true;
}

static void print_option(struct ad_sim_pen *p, const struct ad_sim_value *v,
                         const struct ad_sim_attr *a)
{
    ad_sim_put(p, a->type == AD_SIM_STATUS ? AD_STR("\"status\":") : AD_STR("\"option\":"));
    ad_sim_put(p, ad_str_c(v->u.option->json));
}

static void get_option(const struct ad_sim_value *v, struct ad_sim_key *out)
{
    out->s = ad_str_c(v->u.option->title);
    ad_sim_uuid_text(v->u.option->id, out->room);
}

#define OPS_FROM (AD_SIM_LT | AD_SIM_LTE | AD_SIM_GT | AD_SIM_GTE)

static const struct ad_sim_prop select_props[] = {
    { "option", AD_SIM_KIND_OPTION, OPS_REF, get_option },
    { "title", AD_SIM_KIND_OPTION, OPS_REF, get_option },
    { "id", AD_SIM_KIND_OPTION, OPS_REF, get_option },
    { "active_from", AD_SIM_KIND_TIME, OPS_FROM, get_from },
    { 0 },
};

static const struct ad_sim_prop status_props[] = {
    { "status", AD_SIM_KIND_OPTION, OPS_REF, get_option },
    { "title", AD_SIM_KIND_OPTION, OPS_REF, get_option },
    { "id", AD_SIM_KIND_OPTION, OPS_REF, get_option },
    { "active_from", AD_SIM_KIND_TIME, OPS_FROM, get_from },
    { 0 },
};

/* --- record-reference --- */

static bool is_allowed(const struct ad_sim_attr *a, const struct ad_sim_object *o)
{
    for (size_t i = 0; i < a->allowed_n; i++) {
        if (a->allowed[i] == o) {
            return true;
        }
    }
    return a->allowed_n == 0;
}

/* The attribute that a plain string names a record of a standard object by. */
static struct ad_sim_attr *plain_match(const struct ad_sim_object *o)
{
    static const struct {
        const char *object, *attr;
    } by[] = {
        { "companies", "domains" },
        { "people", "email_addresses" },
        { "users", "user_id" },
        { "workspaces", "workspace_id" },
    };
    for (size_t i = 0; i < AD_LEN(by); i++) {
        if (o->slug && strcmp(o->slug, by[i].object) == 0) {
            return ad_sim_attr_find(o, ad_str_c(by[i].attr));
        }
    }
    return NULL;
}

/* The one record whose unique attribute holds the value written in `in`. */
static struct ad_sim_record *match_record(const struct ad_sim_parse *p, struct ad_sim_attr *by,
                                          const struct ad_json *in)
{
    struct ad_sim_parse inner = {
        .store = p->store, .attr = by, .arena = p->arena, .refusal = p->refusal
    };
    struct ad_sim_value v = { 0 };
    struct ad_sim_key room;
    if (in && in->type == AD_JSON_ARRAY) {
        in = in->count == 1 ? in->child : NULL;
    }
    if (!in || !by->unique || by->type == AD_SIM_REFERENCE ||
        !ad_sim_types[by->type].parse(&inner, in, &v)) {
        return NULL;
    }
    struct ad_sim_record *found = ad_sim_unique_find(by, ad_sim_value_unique(&v, &room));
    ad_sim_value_free(&v);
    return found;
}

static bool set_reference(const struct ad_sim_parse *p, struct ad_sim_record *target,
                          struct ad_sim_value *out)
{
    if (!target) {
        return refuse(
            p, "value_not_found",
            "Could not find exactly one record for the value passed to attribute with slug \"%s\".",
            p->attr->slug);
    }
    out->type = AD_SIM_REFERENCE;
    out->u.record = target;
    return true;
}

static bool parse_plain_reference(const struct ad_sim_parse *p, const struct ad_json *in,
                                  struct ad_sim_value *out)
{
    struct ad_sim_object *o = p->attr->allowed_n == 1 ? p->attr->allowed[0] : NULL;
    struct ad_sim_attr *by = o ? plain_match(o) : NULL;
    return by ? set_reference(p, match_record(p, by, in), out) : invalid(p);
}

static bool parse_reference_by_match(const struct ad_sim_parse *p, const struct ad_json *in,
                                     struct ad_sim_object *o, struct ad_sim_value *out)
{
    AD_JSON_FOREACH (it, in) {
        if (ad_str_eq(it->key, AD_STR("target_object"))) {
            continue;
        }
        struct ad_sim_attr *by = ad_sim_attr_find(o, it->key);
        return by ? set_reference(p, match_record(p, by, it), out) : invalid(p);
    }
    return invalid(p);
}

static bool parse_reference(const struct ad_sim_parse *p, const struct ad_json *in,
                            struct ad_sim_value *out)
{
    uint8_t id[16];
    if (in->type == AD_JSON_STRING) {
        return parse_plain_reference(p, in, out);
    }
    struct ad_str object = ad_json_str(ad_json_get(in, "target_object"));
    if (!object.p) {
        return invalid(p);
    }
    struct ad_sim_object *o = ad_sim_object_find(p->store, object);
    if (!o || !is_allowed(p->attr, o)) {
        return refuse(p, "value_not_found", "Object with slug/ID \"%.*s\" not found.",
                      AD_FMT(object));
    }
    const struct ad_json *by_id = ad_json_get(in, "target_record_id");
    if (!by_id) {
        return parse_reference_by_match(p, in, o, out);
    }
    struct ad_str text = ad_json_str(by_id);
    if (!text.p || !ad_sim_uuid_parse(text, id)) {
        return invalid(p);
    }
    struct ad_sim_record *target = ad_sim_record_find(o, id);
    if (!target) {
        return refuse(p, "value_not_found", "Record with ID \"%.*s\" not found.", AD_FMT(text));
    }
    return set_reference(p, target, out);
}

static void print_reference(struct ad_sim_pen *p, const struct ad_sim_value *v,
                            const struct ad_sim_attr *a)
{
    (void)a;
    AD_SIM_PUT(p, "\"target_object\":");
    ad_sim_put_str(p, ad_str_c(v->u.record->object->slug));
    AD_SIM_PUT(p, ",\"target_record_id\":");
    ad_sim_put_uuid(p, v->u.record->id);
}

static void get_target_id(const struct ad_sim_value *v, struct ad_sim_key *out)
{
    ad_sim_uuid_text(v->u.record->id, out->room);
    out->s = ad_str_n(out->room, 36);
}

static void get_target_object(const struct ad_sim_value *v, struct ad_sim_key *out)
{
    ad_sim_uuid_text(v->u.record->object->id, out->room);
    out->s = ad_str_c(v->u.record->object->slug);
}

static const struct ad_sim_prop reference_props[] = {
    { "target_record_id", AD_SIM_KIND_UUID, OPS_REF, get_target_id },
    { "target_object", AD_SIM_KIND_OBJECT, OPS_REF, get_target_object },
    { 0 },
};

/* --- actor-reference --- */

static bool parse_actor(const struct ad_sim_parse *p, const struct ad_json *in,
                        struct ad_sim_value *out)
{
    struct ad_str email = ad_json_str(unwrap(in, "workspace_member_email_address"));
    struct ad_str id =
        ad_json_str(in->type == AD_JSON_OBJECT ? ad_json_get(in, "referenced_actor_id") : NULL);
    struct ad_str type =
        ad_json_str(in->type == AD_JSON_OBJECT ? ad_json_get(in, "referenced_actor_type") : NULL);
    uint8_t wanted[16] = { 0 };
    if (!email.p &&
        (!ad_str_eq(type, AD_STR("workspace-member")) || !id.p || !ad_sim_uuid_parse(id, wanted))) {
        return invalid(p);
    }
    for (size_t i = 0; i < AD_SIM_MEMBERS; i++) {
        const struct ad_sim_member *m = &p->store->members[i];
        if (email.p ? ad_str_eq_nocase(email, ad_str_c(m->email))
                    : memcmp(wanted, m->id, 16) == 0) {
            out->type = AD_SIM_ACTOR;
            out->aux = m->actor;
            return true;
        }
    }
    return refuse(p, "value_not_found", "Workspace member with %s \"%.*s\" not found.",
                  email.p ? "email address" : "ID", AD_FMT(email.p ? email : id));
}

static void print_actor(struct ad_sim_pen *p, const struct ad_sim_value *v,
                        const struct ad_sim_attr *a)
{
    const struct ad_sim_actor *actor = &a->object->store->actors[v->aux];
    AD_SIM_PUT(p, "\"referenced_actor_type\":");
    ad_sim_put_str(p, ad_str_c(actor->type));
    AD_SIM_PUT(p, ",\"referenced_actor_id\":");
    if (actor->has_id) {
        ad_sim_put_uuid(p, actor->id);
    } else {
        AD_SIM_PUT(p, "null");
    }
}

static void get_actor_id(const struct ad_sim_value *v, struct ad_sim_key *out)
{
    const struct ad_sim_actor *actor = &out->store->actors[v->aux];
    out->none = !actor->has_id;
    ad_sim_uuid_text(actor->id, out->room);
    out->s = ad_str_n(out->room, 36);
}

static void get_actor_type(const struct ad_sim_value *v, struct ad_sim_key *out)
{
    out->s = ad_str_c(out->store->actors[v->aux].type);
}

static const struct ad_sim_prop actor_props[] = {
    { "referenced_actor_id", AD_SIM_KIND_UUID, OPS_SAME, get_actor_id },
    { "referenced_actor_type", AD_SIM_KIND_TEXT, OPS_SAME, get_actor_type },
    { 0 },
};

/* --- location --- */

static const char *const location_parts[] = { "line_1",   "line_2",   "line_3",   "line_4",
                                              "locality", "region",   "postcode", "country_code",
                                              "latitude", "longitude" };
#define LOCATION_PARTS AD_LEN(location_parts)

static bool parse_location(const struct ad_sim_parse *p, const struct ad_json *in,
                           struct ad_sim_value *out)
{
    struct ad_str parts[LOCATION_PARTS] = { { 0 } };
    if (in->type == AD_JSON_STRING) {
        parts[0] = in->str; /* Attio would take the address apart; we keep it in one line */
    } else {
        for (size_t i = 0; i < LOCATION_PARTS; i++) {
            const struct ad_json *v = ad_json_get(in, location_parts[i]);
            if (!v || (v->type != AD_JSON_STRING && v->type != AD_JSON_NULL)) {
                return invalid(p);
            }
            parts[i] = ad_json_str(v);
        }
    }
    out->type = AD_SIM_LOCATION;
    out->u.pack = ad_sim_pack_new(parts, LOCATION_PARTS);
    return true;
}

static void print_location(struct ad_sim_pen *p, const struct ad_sim_value *v,
                           const struct ad_sim_attr *a)
{
    (void)a;
    for (uint32_t i = 0; i < LOCATION_PARTS; i++) {
        ad_sim_put(p, i ? AD_STR(",\"") : AD_STR("\""));
        ad_sim_put(p, ad_str_c(location_parts[i]));
        AD_SIM_PUT(p, "\":");
        print_part(p, v, i);
    }
}

#define LOCATION_GET(i)                                                                \
    static void get_location_##i(const struct ad_sim_value *v, struct ad_sim_key *out) \
    {                                                                                  \
        get_part(v, i, out);                                                           \
    }
LOCATION_GET(3)
LOCATION_GET(4)
LOCATION_GET(5)
LOCATION_GET(6)
LOCATION_GET(7)

#define OPS_PLACE (OPS_TEXT & ~(unsigned)AD_SIM_IN)
static const struct ad_sim_prop location_props[] = {
    { "line_1", AD_SIM_KIND_TEXT, OPS_PLACE, get_0 },
    { "line_2", AD_SIM_KIND_TEXT, OPS_PLACE, get_1 },
    { "line_3", AD_SIM_KIND_TEXT, OPS_PLACE, get_2 },
    { "line_4", AD_SIM_KIND_TEXT, OPS_PLACE, get_location_3 },
    { "locality", AD_SIM_KIND_TEXT, OPS_PLACE, get_location_4 },
    { "region", AD_SIM_KIND_TEXT, OPS_PLACE, get_location_5 },
    { "postcode", AD_SIM_KIND_TEXT, OPS_PLACE, get_location_6 },
    { "country_code", AD_SIM_KIND_TEXT, AD_SIM_EQ | AD_SIM_STARTS | AD_SIM_NOT_EMPTY,
      get_location_7 },
    { 0 },
};

/* --- domain, e-mail address --- */

/* The last two labels, three behind the best-known second-level registries. */
static struct ad_str root_of(struct ad_str domain)
{
    static const char *const second[] = { ".co.uk", ".com.au", ".co.jp",
                                          ".co.nz", ".com.br", ".co.in" };
    unsigned labels = 2;
    for (size_t i = 0; i < AD_LEN(second); i++) {
        labels += ad_str_ends(domain, ad_str_c(second[i]));
    }
    size_t at = domain.n;
    while (at > 0) {
        if (domain.p[at - 1] == '.' && --labels == 0) {
            break;
        }
        at--;
    }
    return ad_str_n(domain.p + at, domain.n - at);
}

static bool is_label_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

/* Labels of letters, digits and hyphens, at least two. */
static bool is_domain(struct ad_str s)
{
    size_t label = 0;
    unsigned dots = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '.') {
            if (label == 0) {
                return false;
            }
            dots++;
            label = 0;
        } else if (!is_label_char(s.p[i])) {
            return false;
        } else {
            label++;
        }
    }
    return dots > 0 && label > 0 && s.n <= 253;
}

static struct ad_str lower(struct ad_str s, char *room)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        room[i] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    }
    return ad_str_n(room, s.n);
}

static struct ad_str behind(struct ad_str s, struct ad_str mark)
{
    return ad_str_starts(s, mark) ? ad_str_n(s.p + mark.n, s.n - mark.n) : s;
}

static bool parse_domain(const struct ad_sim_parse *p, const struct ad_json *in,
                         struct ad_sim_value *out)
{
    char room[256];
    struct ad_str s = ad_json_str(unwrap(in, "domain"));
    s = behind(behind(s, AD_STR("https://")), AD_STR("http://"));
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '/' || s.p[i] == '?' || s.p[i] == '#') {
            s.n = i;
        }
    }
    if (!s.p || s.n > sizeof(room) || !is_domain(lower(s, room))) {
        return invalid(p);
    }
    *out = ad_sim_make_text(AD_SIM_DOMAIN, lower(s, room));
    return true;
}

static void print_domain(struct ad_sim_pen *p, const struct ad_sim_value *v,
                         const struct ad_sim_attr *a)
{
    (void)a;
    AD_SIM_PUT(p, "\"domain\":");
    print_part(p, v, 0);
    AD_SIM_PUT(p, ",\"root_domain\":");
    ad_sim_put_str(p, root_of(ad_sim_pack_get(v->u.pack, 0)));
}

static void get_root_domain(const struct ad_sim_value *v, struct ad_sim_key *out)
{
    out->s = root_of(ad_sim_pack_get(v->u.pack, 0));
}

#define OPS_DOMAIN (OPS_TEXT & ~(unsigned)AD_SIM_IN)
static const struct ad_sim_prop domain_props[] = {
    { "domain", AD_SIM_KIND_TEXT, OPS_DOMAIN, get_0 },
    { "root_domain", AD_SIM_KIND_TEXT, OPS_DOMAIN, get_root_domain },
    { 0 },
};

#define EMAIL_MAX 320

struct ad_sim_value ad_sim_make_email(struct ad_str s)
{
    char room[EMAIL_MAX];
    struct ad_str parts[] = { s, lower(s, room) };
    return (struct ad_sim_value){ .type = AD_SIM_EMAIL, .u.pack = ad_sim_pack_new(parts, 2) };
}

static bool is_local_part(struct ad_str s)
{
    static const char allowed[] = "!#$%&'*+-/=?^_`{|}~.";
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!letter && !memchr(allowed, c, sizeof(allowed) - 1)) {
            return false;
        }
    }
    return s.n > 0 && s.n <= 64 && s.p[0] != '.' && s.p[s.n - 1] != '.';
}

static bool parse_email(const struct ad_sim_parse *p, const struct ad_json *in,
                        struct ad_sim_value *out)
{
    char room[EMAIL_MAX];
    const struct ad_json *v = unwrap(in, "email_address");
    struct ad_str s = ad_json_str(v ? v : unwrap(in, "original_email_address"));
    if (!s.p || s.n > sizeof(room)) {
        return invalid(p);
    }
    struct ad_str domain = lower(s, room);
    struct ad_str local = ad_str_cut(&domain, '@');
    if (!domain.p || !is_local_part(local) || !is_domain(domain)) {
        return invalid(p);
    }
    *out = ad_sim_make_email(s);
    return true;
}

static void get_email_domain(const struct ad_sim_value *v, struct ad_sim_key *out)
{
    out->s = ad_sim_pack_get(v->u.pack, 1);
    AD_IGNORE(ad_str_cut(&out->s, '@').n, "only what is behind it is wanted");
}

static void get_email_root(const struct ad_sim_value *v, struct ad_sim_key *out)
{
    get_email_domain(v, out);
    out->s = root_of(out->s);
}

static void get_email_local(const struct ad_sim_value *v, struct ad_sim_key *out)
{
    struct ad_str s = ad_sim_pack_get(v->u.pack, 1);
    out->s = ad_str_cut(&s, '@');
}

static void print_email(struct ad_sim_pen *p, const struct ad_sim_value *v,
                        const struct ad_sim_attr *a)
{
    struct ad_sim_key key = { 0 };
    (void)a;
    AD_SIM_PUT(p, "\"original_email_address\":");
    print_part(p, v, 0);
    AD_SIM_PUT(p, ",\"email_address\":");
    print_part(p, v, 1);
    AD_SIM_PUT(p, ",\"email_domain\":");
    get_email_domain(v, &key);
    ad_sim_put_str(p, key.s);
    AD_SIM_PUT(p, ",\"email_root_domain\":");
    ad_sim_put_str(p, root_of(key.s));
    AD_SIM_PUT(p, ",\"email_local_specifier\":");
    get_email_local(v, &key);
    ad_sim_put_str(p, key.s);
}

#define OPS_EMAIL (AD_SIM_EQ | AD_SIM_NOT_EMPTY | AD_SIM_CONTAINS | AD_SIM_STARTS | AD_SIM_ENDS)
static const struct ad_sim_prop email_props[] = {
    { "email_address", AD_SIM_KIND_TEXT, OPS_EMAIL, get_1 },
    { "email_domain", AD_SIM_KIND_TEXT, OPS_EMAIL, get_email_domain },
    { "email_root_domain", AD_SIM_KIND_TEXT, OPS_EMAIL, get_email_root },
    { "email_local_specifier", AD_SIM_KIND_TEXT, OPS_EMAIL, get_email_local },
    { 0 },
};

/* --- phone number --- */

static uint32_t country_code(const char c[2])
{
    return ((uint32_t)(uint8_t)c[0] << 8) | (uint8_t)c[1];
}

struct ad_sim_value ad_sim_make_phone(struct ad_str original, struct ad_str e164,
                                      const char country[2])
{
    struct ad_str parts[] = { original, e164 };
    return (struct ad_sim_value){ .type = AD_SIM_PHONE,
                                  .aux = country_code(country),
                                  .u.pack = ad_sim_pack_new(parts, 2) };
}

static const struct {
    const char *prefix, *country;
} dial_codes[] = {
    { "+1", "US" },  { "+44", "GB" }, { "+49", "DE" },  { "+33", "FR" },  { "+34", "ES" },
    { "+39", "IT" }, { "+31", "NL" }, { "+32", "BE" },  { "+41", "CH" },  { "+43", "AT" },
    { "+45", "DK" }, { "+46", "SE" }, { "+47", "NO" },  { "+48", "PL" },  { "+61", "AU" },
    { "+64", "NZ" }, { "+81", "JP" }, { "+91", "IN" },  { "+353", "IE" }, { "+55", "BR" },
    { "+52", "MX" }, { "+65", "SG" }, { "+351", "PT" }, { "+358", "FI" },
};

static const char *dial_prefix(struct ad_str country)
{
    for (size_t i = 0; i < AD_LEN(dial_codes); i++) {
        if (ad_str_eq(country, ad_str_c(dial_codes[i].country))) {
            return dial_codes[i].prefix;
        }
    }
    return ad_str_eq(country, AD_STR("CA")) ? "+1" : NULL;
}

static const char *dial_country(struct ad_str e164)
{
    for (size_t i = 0; i < AD_LEN(dial_codes); i++) {
        if (ad_str_starts(e164, ad_str_c(dial_codes[i].prefix))) {
            return dial_codes[i].country;
        }
    }
    return "US";
}

/* Digits of `s` behind a plus or behind the country's prefix, without the punctuation people
 * use. */
static bool normalise_phone(struct ad_str s, const char *prefix, struct ad_buf *out)
{
    if (s.n > 0 && s.p[0] == '+') {
        ad_buf_putc(out, '+');
    } else if (prefix) {
        ad_buf_put(out, ad_str_c(prefix));
    } else {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] >= '0' && s.p[i] <= '9') {
            ad_buf_putc(out, s.p[i]);
        } else if (ad_str_find(AD_STR("+-. ()"), s.p[i]) == 6) {
            return false;
        }
    }
    return ad_buf_len(out) >= 7 && ad_buf_len(out) <= 16 && ad_buf_status(out) == AD_OK;
}

static bool parse_phone(const struct ad_sim_parse *p, const struct ad_json *in,
                        struct ad_sim_value *out)
{
    const struct ad_json *v = unwrap(in, "original_phone_number");
    struct ad_str s = ad_json_str(v ? v : unwrap(in, "phone_number"));
    struct ad_str country =
        ad_json_str(in->type == AD_JSON_OBJECT ? ad_json_get(in, "country_code") : NULL);
    struct ad_buf e164;
    ad_buf_init(&e164, 64);
    bool ok = s.p && normalise_phone(s, country.p ? dial_prefix(country) : NULL, &e164);
    if (ok) {
        struct ad_str number = ad_buf_str(&e164);
        *out = ad_sim_make_phone(s, number,
                                 country.p && country.n == 2 ? country.p : dial_country(number));
    }
    ad_buf_fini(&e164);
    return ok || invalid(p);
}

static void get_country(const struct ad_sim_value *v, struct ad_sim_key *out)
{
    out->room[0] = (char)(v->aux >> 8);
    out->room[1] = (char)(v->aux & 255);
    out->s = ad_str_n(out->room, 2);
}

static void print_phone(struct ad_sim_pen *p, const struct ad_sim_value *v,
                        const struct ad_sim_attr *a)
{
    struct ad_sim_key key = { 0 };
    (void)a;
    AD_SIM_PUT(p, "\"original_phone_number\":");
    print_part(p, v, 0);
    AD_SIM_PUT(p, ",\"country_code\":");
    get_country(v, &key);
    ad_sim_put_str(p, key.s);
    AD_SIM_PUT(p, ",\"phone_number\":");
    print_part(p, v, 1);
}

static const struct ad_sim_prop phone_props[] = {
    { "phone_number", AD_SIM_KIND_TEXT, OPS_EMAIL, get_1 },
    { "country_code", AD_SIM_KIND_TEXT, OPS_SAME, get_country },
    { 0 },
};

/* --- interaction --- */

static const char *const interactions[AD_SIM_INTERACTIONS] = {
    "email", "calendar-event", "call", "chat-thread", "in-person-meeting", "meeting"
};

struct ad_sim_value ad_sim_make_interaction(unsigned kind, int64_t at_ns, uint8_t owner_actor)
{
    return (struct ad_sim_value){ .type = AD_SIM_INTERACTION,
                                  .aux = kind | ((uint32_t)owner_actor << 8),
                                  .u.i = at_ns };
}

static bool parse_interaction(const struct ad_sim_parse *p, const struct ad_json *in,
                              struct ad_sim_value *out)
{
    (void)in;
    (void)out;
    return invalid(p);
}

static void print_interaction(struct ad_sim_pen *p, const struct ad_sim_value *v,
                              const struct ad_sim_attr *a)
{
    AD_SIM_PUT(p, "\"interaction_type\":");
    ad_sim_put_str(p, ad_str_c(interactions[v->aux & 255]));
    AD_SIM_PUT(p, ",\"interacted_at\":");
    ad_sim_put_time(p, v->u.i);
    AD_SIM_PUT(p, ",\"owner_actor\":");
    ad_sim_put(p, a->object->store->actors[v->aux >> 8].json);
}

static void get_interaction(const struct ad_sim_value *v, struct ad_sim_key *out)
{
    out->s = ad_str_c(interactions[v->aux & 255]);
}

static void get_owner(const struct ad_sim_value *v, struct ad_sim_key *out)
{
    ad_sim_uuid_text(out->store->actors[v->aux >> 8].id, out->room);
    out->s = ad_str_n(out->room, 36);
}

static const struct ad_sim_prop interaction_props[] = {
    { "interacted_at", AD_SIM_KIND_TIME, OPS_ORDER, get_int },
    { "interaction_type", AD_SIM_KIND_TEXT, OPS_SAME, get_interaction },
    { "owner_member_id", AD_SIM_KIND_UUID, OPS_SAME, get_owner },
    { 0 },
};

/* --- personal name --- */

struct ad_sim_value ad_sim_make_name(struct ad_str first, struct ad_str last, struct ad_str full)
{
    struct ad_str parts[] = { first, last, full };
    return (struct ad_sim_value){ .type = AD_SIM_NAME, .u.pack = ad_sim_pack_new(parts, 3) };
}

/* "Last, First": without a comma all of it is the first name. */
static bool name_from_text(const struct ad_sim_parse *p, struct ad_str s, struct ad_sim_value *out)
{
    struct ad_str rest = s;
    struct ad_str last = ad_str_cut(&rest, ',');
    struct ad_str first = rest.p ? ad_str_trim(rest) : ad_str_trim(last);
    last = rest.p ? ad_str_trim(last) : AD_STR("");
    struct ad_str full = ad_arena_fmt(p->arena, "%.*s%s%.*s", AD_FMT(first),
                                      first.n && last.n ? " " : "", AD_FMT(last));
    AD_ASSERT(full.p);
    *out = ad_sim_make_name(first, last, full);
    return true;
}

static bool parse_name(const struct ad_sim_parse *p, const struct ad_json *in,
                       struct ad_sim_value *out)
{
    static const char *const keys[] = { "first_name", "last_name", "full_name" };
    struct ad_str parts[3];
    if (in->type == AD_JSON_STRING) {
        return name_from_text(p, in->str, out);
    }
    for (size_t i = 0; i < AD_LEN(keys); i++) {
        parts[i] = ad_json_str(ad_json_get(in, keys[i]));
        if (!parts[i].p) {
            return invalid(p);
        }
    }
    *out = ad_sim_make_name(parts[0], parts[1], parts[2]);
    return true;
}

static void print_name(struct ad_sim_pen *p, const struct ad_sim_value *v,
                       const struct ad_sim_attr *a)
{
    (void)a;
    AD_SIM_PUT(p, "\"first_name\":");
    print_part(p, v, 0);
    AD_SIM_PUT(p, ",\"last_name\":");
    print_part(p, v, 1);
    AD_SIM_PUT(p, ",\"full_name\":");
    print_part(p, v, 2);
}

static const struct ad_sim_prop name_props[] = {
    { "full_name", AD_SIM_KIND_TEXT, OPS_EMAIL, get_2 },
    { "first_name", AD_SIM_KIND_TEXT, OPS_EMAIL, get_0 },
    { "last_name", AD_SIM_KIND_TEXT, OPS_EMAIL, get_1 },
    { 0 },
};

/* --- The table --- */

const struct ad_sim_type ad_sim_types[AD_SIM_TYPES] = {
    [AD_SIM_TEXT] = { "text", text_props, parse_text, print_text, true, true },
    [AD_SIM_NUMBER] = { "number", number_props, parse_number, print_number, false, true },
    [AD_SIM_CHECKBOX] = { "checkbox", checkbox_props, parse_checkbox, print_checkbox, false, true },
    [AD_SIM_CURRENCY] = { "currency", currency_props, parse_currency, print_currency, false, true },
    [AD_SIM_DATE] = { "date", date_props, parse_date, print_date, false, true },
    [AD_SIM_TIMESTAMP] = { "timestamp", timestamp_props, parse_timestamp, print_timestamp, false,
                           true },
    [AD_SIM_RATING] = { "rating", rating_props, parse_rating, print_rating, false, true },
    [AD_SIM_STATUS] = { "status", status_props, parse_option, print_option, false, true },
    [AD_SIM_SELECT] = { "select", select_props, parse_option, print_option, false, true },
    [AD_SIM_REFERENCE] = { "record-reference", reference_props, parse_reference, print_reference,
                           false, true },
    [AD_SIM_ACTOR] = { "actor-reference", actor_props, parse_actor, print_actor, false, true },
    [AD_SIM_LOCATION] = { "location", location_props, parse_location, print_location, true, true },
    [AD_SIM_DOMAIN] = { "domain", domain_props, parse_domain, print_domain, true, true },
    [AD_SIM_EMAIL] = { "email-address", email_props, parse_email, print_email, true, true },
    [AD_SIM_PHONE] = { "phone-number", phone_props, parse_phone, print_phone, true, true },
    [AD_SIM_INTERACTION] = { "interaction", interaction_props, parse_interaction, print_interaction,
                             false, false },
    [AD_SIM_NAME] = { "personal-name", name_props, parse_name, print_name, true, false },
};

enum ad_sim_type_id ad_sim_type_find(struct ad_str name)
{
    unsigned i = 0;
    while (i < AD_SIM_TYPES && !ad_str_eq(name, ad_str_c(ad_sim_types[i].name))) {
        i++;
    }
    return (enum ad_sim_type_id)i;
}

const struct ad_sim_prop *ad_sim_props(const struct ad_sim_attr *a)
{
    return a->made == AD_SIM_MADE_ID ? ad_sim_id_props : ad_sim_types[a->type].props;
}

const struct ad_sim_prop *ad_sim_prop_find(const struct ad_sim_attr *a, struct ad_str name)
{
    for (const struct ad_sim_prop *p = ad_sim_props(a); p->name; p++) {
        if (ad_str_eq(name, ad_str_c(p->name))) {
            return p;
        }
    }
    return NULL;
}

/* --- Values in general --- */

static bool packs_equal(const struct ad_sim_pack *a, const struct ad_sim_pack *b)
{
    if (a->n != b->n || memcmp(a->len, b->len, a->n * sizeof(a->len[0])) != 0) {
        return false;
    }
    size_t bytes = 0;
    for (uint32_t i = 0; i < a->n; i++) {
        bytes += a->len[i] == UINT32_MAX ? 0 : a->len[i];
    }
    return memcmp(&a->len[a->n], &b->len[b->n], bytes) == 0;
}

/* Addresses and numbers are the same when their normal form is. */
bool ad_sim_value_equal(const struct ad_sim_value *a, const struct ad_sim_value *b)
{
    if (a->type != b->type || a->aux != b->aux) {
        return false;
    }
    if (!ad_sim_types[a->type].packed) {
        return a->u.i == b->u.i;
    }
    if (a->type == AD_SIM_EMAIL || a->type == AD_SIM_PHONE) {
        return ad_str_eq(ad_sim_pack_get(a->u.pack, 1), ad_sim_pack_get(b->u.pack, 1));
    }
    return packs_equal(a->u.pack, b->u.pack);
}

struct ad_str ad_sim_value_unique(const struct ad_sim_value *v, struct ad_sim_key *room)
{
    if (v->type == AD_SIM_EMAIL || v->type == AD_SIM_PHONE) {
        return ad_sim_pack_get(v->u.pack, 1);
    }
    if (ad_sim_types[v->type].packed) {
        return ad_sim_pack_get(v->u.pack, 0);
    }
    memcpy(room->room, &v->u, sizeof(v->u));
    return ad_str_n(room->room, sizeof(v->u));
}

void ad_sim_value_free(struct ad_sim_value *v)
{
    if (ad_sim_types[v->type].packed) {
        ad_free(v->u.pack);
    }
}

struct ad_sim_value ad_sim_value_copy(const struct ad_sim_value *v)
{
    struct ad_sim_value c = *v;
    if (ad_sim_types[v->type].packed && v->u.pack) {
        struct ad_str parts[LOCATION_PARTS];
        AD_ASSERT(v->u.pack->n <= AD_LEN(parts));
        for (uint32_t i = 0; i < v->u.pack->n; i++) {
            parts[i] = ad_sim_pack_get(v->u.pack, i);
        }
        c.u.pack = ad_sim_pack_new(parts, v->u.pack->n);
    }
    return c;
}
