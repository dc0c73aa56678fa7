/* Where somebody is reached: domains, e-mail addresses, places. */
#include "types_private.h"

/* --- location --- */

static const char *const location_parts[] = { "line_1",   "line_2",   "line_3",   "line_4",
                                              "locality", "region",   "postcode", "country_code",
                                              "latitude", "longitude" };
#define LOCATION_PARTS AD_LEN(location_parts)

bool ad__sim_parse_location(const struct ad_sim_parse *p, const struct ad_json *in,
                            struct ad_sim_value *out)
{
    struct ad_str parts[LOCATION_PARTS] = { { 0 } };
    if (in->type == AD_JSON_STRING) {
        parts[0] = in->str; /* Attio would take the address apart; we keep it in one line */
    } else {
        for (size_t i = 0; i < LOCATION_PARTS; i++) {
            const struct ad_json *v = ad_json_get(in, location_parts[i]);
            if (!v || (v->type != AD_JSON_STRING && v->type != AD_JSON_NULL)) {
                return ad__sim_invalid(p);
            }
            parts[i] = ad_json_str(v);
        }
    }
    out->type = AD_SIM_LOCATION;
    out->u.pack = ad_sim_pack_new(parts, LOCATION_PARTS);
    return true;
}

void ad__sim_print_location(struct ad_sim_pen *p, const struct ad_sim_value *v,
                            const struct ad_sim_attr *a)
{
    (void)a;
    for (uint32_t i = 0; i < LOCATION_PARTS; i++) {
        ad_sim_put(p, i ? AD_STR(",\"") : AD_STR("\""));
        ad_sim_put(p, ad_str_c(location_parts[i]));
        AD_SIM_PUT(p, "\":");
        ad__sim_print_part(p, v, i);
    }
}

#define LOCATION_GET(i)                                                                \
    static void get_location_##i(const struct ad_sim_value *v, struct ad_sim_key *out) \
    {                                                                                  \
        ad__sim_get_part(v, i, out);                                                   \
    }
LOCATION_GET(3)
LOCATION_GET(4)
LOCATION_GET(5)
LOCATION_GET(6)
LOCATION_GET(7)

const struct ad_sim_prop ad__sim_location_props[] = {
    { "line_1", AD_SIM_KIND_TEXT, AD__SIM_OPS_PART, ad__sim_get_0 },
    { "line_2", AD_SIM_KIND_TEXT, AD__SIM_OPS_PART, ad__sim_get_1 },
    { "line_3", AD_SIM_KIND_TEXT, AD__SIM_OPS_PART, ad__sim_get_2 },
    { "line_4", AD_SIM_KIND_TEXT, AD__SIM_OPS_PART, get_location_3 },
    { "locality", AD_SIM_KIND_TEXT, AD__SIM_OPS_PART, get_location_4 },
    { "region", AD_SIM_KIND_TEXT, AD__SIM_OPS_PART, get_location_5 },
    { "postcode", AD_SIM_KIND_TEXT, AD__SIM_OPS_PART, get_location_6 },
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

bool ad__sim_parse_domain(const struct ad_sim_parse *p, const struct ad_json *in,
                          struct ad_sim_value *out)
{
    char room[256];
    struct ad_str s = ad_json_str(ad__sim_unwrap(in, "domain"));
    s = behind(behind(s, AD_STR("https://")), AD_STR("http://"));
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '/' || s.p[i] == '?' || s.p[i] == '#') {
            s.n = i;
        }
    }
    if (!s.p || s.n > sizeof(room) || !is_domain(lower(s, room))) {
        return ad__sim_invalid(p);
    }
    *out = ad_sim_make_text(AD_SIM_DOMAIN, lower(s, room));
    return true;
}

void ad__sim_print_domain(struct ad_sim_pen *p, const struct ad_sim_value *v,
                          const struct ad_sim_attr *a)
{
    (void)a;
    AD_SIM_PUT(p, "\"domain\":");
    ad__sim_print_part(p, v, 0);
    AD_SIM_PUT(p, ",\"root_domain\":");
    ad_sim_put_str(p, root_of(ad_sim_pack_get(v->u.pack, 0)));
}

static void get_root_domain(const struct ad_sim_value *v, struct ad_sim_key *out)
{
    out->s = root_of(ad_sim_pack_get(v->u.pack, 0));
}

const struct ad_sim_prop ad__sim_domain_props[] = {
    { "domain", AD_SIM_KIND_TEXT, AD__SIM_OPS_PART, ad__sim_get_0 },
    { "root_domain", AD_SIM_KIND_TEXT, AD__SIM_OPS_PART, get_root_domain },
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

bool ad__sim_parse_email(const struct ad_sim_parse *p, const struct ad_json *in,
                         struct ad_sim_value *out)
{
    char room[EMAIL_MAX];
    const struct ad_json *v = ad__sim_unwrap(in, "email_address");
    struct ad_str s = ad_json_str(v ? v : ad__sim_unwrap(in, "original_email_address"));
    if (!s.p || s.n > sizeof(room)) {
        return ad__sim_invalid(p);
    }
    struct ad_str domain = lower(s, room);
    struct ad_str local = ad_str_cut(&domain, '@');
    if (!domain.p || !is_local_part(local) || !is_domain(domain)) {
        return ad__sim_invalid(p);
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

void ad__sim_print_email(struct ad_sim_pen *p, const struct ad_sim_value *v,
                         const struct ad_sim_attr *a)
{
    struct ad_sim_key key = { 0 };
    (void)a;
    AD_SIM_PUT(p, "\"original_email_address\":");
    ad__sim_print_part(p, v, 0);
    AD_SIM_PUT(p, ",\"email_address\":");
    ad__sim_print_part(p, v, 1);
    AD_SIM_PUT(p, ",\"email_domain\":");
    get_email_domain(v, &key);
    ad_sim_put_str(p, key.s);
    AD_SIM_PUT(p, ",\"email_root_domain\":");
    ad_sim_put_str(p, root_of(key.s));
    AD_SIM_PUT(p, ",\"email_local_specifier\":");
    get_email_local(v, &key);
    ad_sim_put_str(p, key.s);
}

const struct ad_sim_prop ad__sim_email_props[] = {
    { "email_address", AD_SIM_KIND_TEXT, AD__SIM_OPS_PART, ad__sim_get_1 },
    { "email_domain", AD_SIM_KIND_TEXT, AD__SIM_OPS_PART, get_email_domain },
    { "email_root_domain", AD_SIM_KIND_TEXT, AD__SIM_OPS_PART, get_email_root },
    { "email_local_specifier", AD_SIM_KIND_TEXT, AD__SIM_OPS_PART, get_email_local },
    { 0 },
};
