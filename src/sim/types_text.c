/* Text, and what all text is made of: values of several parts. */
#include <stdarg.h>
#include <stdio.h>

#include "types_private.h"

bool ad__sim_refuse(const struct ad_sim_parse *p, const char *code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    p->refusal->code = code;
    AD_IGNORE(vsnprintf(p->refusal->message, sizeof(p->refusal->message), fmt, args) < 0,
              "cut is fine");
    va_end(args);
    return false;
}

bool ad__sim_invalid(const struct ad_sim_parse *p)
{
    return ad__sim_refuse(p, "validation_type",
                          "An invalid value was passed to attribute with slug \"%s\".",
                          p->attr->slug);
}

/* The value itself, or its property: 5 and {"value":5} say the same. */
const struct ad_json *ad__sim_unwrap(const struct ad_json *in, const char *key)
{
    return in->type == AD_JSON_OBJECT ? ad_json_get(in, key) : in;
}

/* --- Text of several parts --- */

void ad__sim_get_part(const struct ad_sim_value *v, uint32_t i, struct ad_sim_key *out)
{
    out->s = ad_sim_pack_get(v->u.pack, i);
    out->none = !out->s.p;
}

void ad__sim_get_0(const struct ad_sim_value *v, struct ad_sim_key *out)
{
    ad__sim_get_part(v, 0, out);
}

void ad__sim_get_1(const struct ad_sim_value *v, struct ad_sim_key *out)
{
    ad__sim_get_part(v, 1, out);
}

void ad__sim_get_2(const struct ad_sim_value *v, struct ad_sim_key *out)
{
    ad__sim_get_part(v, 2, out);
}

void ad__sim_get_int(const struct ad_sim_value *v, struct ad_sim_key *out)
{
    out->i = v->u.i;
}

void ad__sim_get_from(const struct ad_sim_value *v, struct ad_sim_key *out)
{
    out->i = v->from_ns;
}

struct ad_sim_value ad_sim_make_text(enum ad_sim_type_id type, struct ad_str s)
{
    return (struct ad_sim_value){ .type = (uint8_t)type, .u.pack = ad_sim_pack_new(&s, 1) };
}

void ad__sim_print_part(struct ad_sim_pen *p, const struct ad_sim_value *v, uint32_t i)
{
    ad_sim_put_str(p, ad_sim_pack_get(v->u.pack, i));
}

/* --- text --- */

#define TEXT_MAX (10u << 20)

bool ad__sim_parse_text(const struct ad_sim_parse *p, const struct ad_json *in,
                        struct ad_sim_value *out)
{
    struct ad_str s = ad_json_str(ad__sim_unwrap(in, "value"));
    if (!s.p || s.n > TEXT_MAX) {
        return ad__sim_invalid(p);
    }
    *out = ad_sim_make_text(AD_SIM_TEXT, s);
    return true;
}

void ad__sim_print_text(struct ad_sim_pen *p, const struct ad_sim_value *v,
                        const struct ad_sim_attr *a)
{
    AD_SIM_PUT(p, "\"value\":");
    if (a->made == AD_SIM_MADE_ID) {
        ad_sim_put_uuid(p, v->u.id);
    } else {
        ad__sim_print_part(p, v, 0);
    }
}

const struct ad_sim_prop ad__sim_text_props[] = {
    { "value", AD_SIM_KIND_TEXT, AD__SIM_OPS_TEXT, ad__sim_get_0 }, { 0 }
};

static void get_own_id(const struct ad_sim_value *v, struct ad_sim_key *out)
{
    ad_sim_uuid_text(v->u.id, out->room);
    out->s = ad_str_n(out->room, 36);
}

const struct ad_sim_prop ad_sim_id_props[] = {
    { "value", AD_SIM_KIND_UUID, AD__SIM_OPS_REF, get_own_id },
    { "record_id", AD_SIM_KIND_UUID, AD__SIM_OPS_REF, get_own_id },
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

bool ad__sim_parse_name(const struct ad_sim_parse *p, const struct ad_json *in,
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
            return ad__sim_invalid(p);
        }
    }
    *out = ad_sim_make_name(parts[0], parts[1], parts[2]);
    return true;
}

void ad__sim_print_name(struct ad_sim_pen *p, const struct ad_sim_value *v,
                        const struct ad_sim_attr *a)
{
    (void)a;
    AD_SIM_PUT(p, "\"first_name\":");
    ad__sim_print_part(p, v, 0);
    AD_SIM_PUT(p, ",\"last_name\":");
    ad__sim_print_part(p, v, 1);
    AD_SIM_PUT(p, ",\"full_name\":");
    ad__sim_print_part(p, v, 2);
}

const struct ad_sim_prop ad__sim_name_props[] = {
    { "full_name", AD_SIM_KIND_TEXT, AD__SIM_OPS_PART, ad__sim_get_2 },
    { "first_name", AD_SIM_KIND_TEXT, AD__SIM_OPS_PART, ad__sim_get_0 },
    { "last_name", AD_SIM_KIND_TEXT, AD__SIM_OPS_PART, ad__sim_get_1 },
    { 0 },
};
