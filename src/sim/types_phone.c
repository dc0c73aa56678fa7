/* Phone numbers. */
#include <stdio.h>

#include "types_private.h"

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

/* ISO 3166 country and the code it is called by. Of several countries with one code the first is
 * what a number alone is taken for. */
static const struct {
    char country[3];
    uint16_t code;
} dial_codes[] = {
    /* clang-format off */
    { "US", 1 }, { "CA", 1 }, { "RU", 7 }, { "KZ", 7 }, { "EG", 20 }, { "ZA", 27 },
    { "GR", 30 }, { "NL", 31 }, { "BE", 32 }, { "FR", 33 }, { "ES", 34 }, { "HU", 36 },
    { "IT", 39 }, { "VA", 39 }, { "RO", 40 }, { "CH", 41 }, { "AT", 43 }, { "GB", 44 },
    { "GG", 44 }, { "JE", 44 }, { "IM", 44 }, { "DK", 45 }, { "SE", 46 }, { "NO", 47 },
    { "SJ", 47 }, { "PL", 48 }, { "DE", 49 }, { "PE", 51 }, { "MX", 52 }, { "CU", 53 },
    { "AR", 54 }, { "BR", 55 }, { "CL", 56 }, { "CO", 57 }, { "VE", 58 }, { "MY", 60 },
    { "AU", 61 }, { "CC", 61 }, { "CX", 61 }, { "ID", 62 }, { "PH", 63 }, { "NZ", 64 },
    { "SG", 65 }, { "TH", 66 }, { "JP", 81 }, { "KR", 82 }, { "VN", 84 }, { "CN", 86 },
    { "TR", 90 }, { "IN", 91 }, { "PK", 92 }, { "AF", 93 }, { "LK", 94 }, { "MM", 95 },
    { "IR", 98 }, { "SS", 211 }, { "MA", 212 }, { "EH", 212 }, { "DZ", 213 }, { "TN", 216 },
    { "LY", 218 }, { "GM", 220 }, { "SN", 221 }, { "MR", 222 }, { "ML", 223 }, { "GN", 224 },
    { "CI", 225 }, { "BF", 226 }, { "NE", 227 }, { "TG", 228 }, { "BJ", 229 }, { "MU", 230 },
    { "LR", 231 }, { "SL", 232 }, { "GH", 233 }, { "NG", 234 }, { "TD", 235 }, { "CF", 236 },
    { "CM", 237 }, { "CV", 238 }, { "ST", 239 }, { "GQ", 240 }, { "GA", 241 }, { "CG", 242 },
    { "CD", 243 }, { "AO", 244 }, { "GW", 245 }, { "IO", 246 }, { "AC", 247 }, { "SC", 248 },
    { "SD", 249 }, { "RW", 250 }, { "ET", 251 }, { "SO", 252 }, { "DJ", 253 }, { "KE", 254 },
    { "TZ", 255 }, { "UG", 256 }, { "BI", 257 }, { "MZ", 258 }, { "ZM", 260 }, { "MG", 261 },
    { "RE", 262 }, { "YT", 262 }, { "ZW", 263 }, { "NA", 264 }, { "MW", 265 }, { "LS", 266 },
    { "BW", 267 }, { "SZ", 268 }, { "KM", 269 }, { "SH", 290 }, { "ER", 291 }, { "AW", 297 },
    { "FO", 298 }, { "GL", 299 }, { "GI", 350 }, { "PT", 351 }, { "LU", 352 }, { "IE", 353 },
    { "IS", 354 }, { "AL", 355 }, { "MT", 356 }, { "CY", 357 }, { "FI", 358 }, { "AX", 358 },
    { "BG", 359 }, { "LT", 370 }, { "LV", 371 }, { "EE", 372 }, { "MD", 373 }, { "AM", 374 },
    { "BY", 375 }, { "AD", 376 }, { "MC", 377 }, { "SM", 378 }, { "UA", 380 }, { "RS", 381 },
    { "ME", 382 }, { "XK", 383 }, { "HR", 385 }, { "SI", 386 }, { "BA", 387 }, { "MK", 389 },
    { "CZ", 420 }, { "SK", 421 }, { "LI", 423 }, { "FK", 500 }, { "BZ", 501 }, { "GT", 502 },
    { "SV", 503 }, { "HN", 504 }, { "NI", 505 }, { "CR", 506 }, { "PA", 507 }, { "PM", 508 },
    { "HT", 509 }, { "GP", 590 }, { "BL", 590 }, { "MF", 590 }, { "BO", 591 }, { "GY", 592 },
    { "EC", 593 }, { "GF", 594 }, { "PY", 595 }, { "MQ", 596 }, { "SR", 597 }, { "UY", 598 },
    { "CW", 599 }, { "BQ", 599 }, { "TL", 670 }, { "NF", 672 }, { "BN", 673 }, { "NR", 674 },
    { "PG", 675 }, { "TO", 676 }, { "SB", 677 }, { "VU", 678 }, { "FJ", 679 }, { "PW", 680 },
    { "WF", 681 }, { "CK", 682 }, { "NU", 683 }, { "WS", 685 }, { "KI", 686 }, { "NC", 687 },
    { "TV", 688 }, { "PF", 689 }, { "TK", 690 }, { "FM", 691 }, { "MH", 692 }, { "KP", 850 },
    { "HK", 852 }, { "MO", 853 }, { "KH", 855 }, { "LA", 856 }, { "BD", 880 }, { "TW", 886 },
    { "MV", 960 }, { "LB", 961 }, { "JO", 962 }, { "SY", 963 }, { "IQ", 964 }, { "KW", 965 },
    { "SA", 966 }, { "YE", 967 }, { "OM", 968 }, { "PS", 970 }, { "AE", 971 }, { "IL", 972 },
    { "BH", 973 }, { "QA", 974 }, { "BT", 975 }, { "MN", 976 }, { "NP", 977 }, { "TJ", 992 },
    { "TM", 993 }, { "AZ", 994 }, { "GE", 995 }, { "KG", 996 }, { "UZ", 998 }, { "AG", 1 },
    { "AI", 1 }, { "AS", 1 }, { "BB", 1 }, { "BM", 1 }, { "BS", 1 }, { "DM", 1 }, { "DO", 1 },
    { "GD", 1 }, { "GU", 1 }, { "JM", 1 }, { "KN", 1 }, { "KY", 1 }, { "LC", 1 }, { "MP", 1 },
    { "MS", 1 }, { "PR", 1 }, { "SX", 1 }, { "TC", 1 }, { "TT", 1 }, { "VC", 1 }, { "VG", 1 },
    { "VI", 1 },
    /* clang-format on */
};

/* 0: no such country. */
static unsigned dial_code(struct ad_str country)
{
    for (size_t i = 0; i < AD_LEN(dial_codes); i++) {
        if (ad_str_eq(country, ad_str_c(dial_codes[i].country))) {
            return dial_codes[i].code;
        }
    }
    return 0;
}

/* NULL: no country has such numbers. */
static const char *dial_country(struct ad_str e164)
{
    for (size_t i = 0; i < AD_LEN(dial_codes); i++) {
        char prefix[8];
        AD_IGNORE(snprintf(prefix, sizeof(prefix), "+%u", dial_codes[i].code) < 0, "fits");
        if (ad_str_starts(e164, ad_str_c(prefix))) {
            return dial_codes[i].country;
        }
    }
    return NULL;
}

static bool put_digits(struct ad_str s, struct ad_buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] >= '0' && s.p[i] <= '9') {
            ad_buf_putc(out, s.p[i]);
        } else if (ad_str_find(AD_STR("-. ()"), s.p[i]) == 5) {
            return false;
        }
    }
    return ad_buf_len(out) >= 7 && ad_buf_len(out) <= 16 && ad_buf_status(out) == AD_OK;
}

/* Behind a plus as it is; else behind the country's code, without the 0 that most countries put in
 * front at home. */
static bool normalise_phone(struct ad_str s, unsigned code, struct ad_buf *out)
{
    if (s.n > 0 && s.p[0] == '+') {
        ad_buf_putc(out, '+');
        return put_digits(ad_str_n(s.p + 1, s.n - 1), out);
    }
    if (code == 0) {
        return false;
    }
    ad_buf_fmt(out, "+%u", code);
    bool trunk = s.n > 0 && s.p[0] == '0' && code != 39;
    return put_digits(trunk ? ad_str_n(s.p + 1, s.n - 1) : s, out);
}

bool ad__sim_parse_phone(const struct ad_sim_parse *p, const struct ad_json *in,
                         struct ad_sim_value *out)
{
    const struct ad_json *v = ad__sim_unwrap(in, "original_phone_number");
    struct ad_str s = ad_json_str(v ? v : ad__sim_unwrap(in, "phone_number"));
    struct ad_str country =
        ad_json_str(in->type == AD_JSON_OBJECT ? ad_json_get(in, "country_code") : NULL);
    unsigned code = country.p ? dial_code(country) : 0;
    struct ad_buf e164;
    if (!s.p || (country.p && code == 0)) {
        return ad__sim_invalid(p);
    }
    ad_buf_init(&e164, 64);
    bool ok = normalise_phone(s, code, &e164);
    const char *of = country.p ? country.p : ok ? dial_country(ad_buf_str(&e164)) : NULL;
    ok = ok && of;
    if (ok) {
        *out = ad_sim_make_phone(s, ad_buf_str(&e164), of);
    }
    ad_buf_fini(&e164);
    return ok || ad__sim_invalid(p);
}

static void get_country(const struct ad_sim_value *v, struct ad_sim_key *out)
{
    out->room[0] = (char)(v->aux >> 8);
    out->room[1] = (char)(v->aux & 255);
    out->s = ad_str_n(out->room, 2);
}

void ad__sim_print_phone(struct ad_sim_pen *p, const struct ad_sim_value *v,
                         const struct ad_sim_attr *a)
{
    struct ad_sim_key key = { 0 };
    (void)a;
    AD_SIM_PUT(p, "\"original_phone_number\":");
    ad__sim_print_part(p, v, 0);
    AD_SIM_PUT(p, ",\"country_code\":");
    get_country(v, &key);
    ad_sim_put_str(p, key.s);
    AD_SIM_PUT(p, ",\"phone_number\":");
    ad__sim_print_part(p, v, 1);
}

const struct ad_sim_prop ad__sim_phone_props[] = {
    { "phone_number", AD_SIM_KIND_TEXT, AD__SIM_OPS_PART, ad__sim_get_1 },
    { "country_code", AD_SIM_KIND_TEXT, AD__SIM_OPS_SAME, get_country },
    { 0 },
};
