#include "pen.h"

#include "base/mem.h"

#define ROOM_MIN 65536

void ad_sim_pen_init(struct ad_sim_pen *p, struct ad_buf *buf)
{
    *p = (struct ad_sim_pen){ .buf = buf, .last_s = INT64_MIN };
}

void ad_sim_pen_done(struct ad_sim_pen *p)
{
    if (p->at) {
        ad_buf_commit(p->buf, (size_t)(p->at - (p->buf->p + p->buf->end)));
    }
    p->at = p->end = NULL;
}

void ad_sim_pen_room(struct ad_sim_pen *p, size_t n)
{
    ad_sim_pen_done(p);
    size_t want = n > ROOM_MIN ? n : ROOM_MIN;
    p->at = ad_buf_reserve(p->buf, want);
    AD_ASSERT(p->at); /* a simulator without memory has no answer to give */
    p->end = p->at + want;
}

static const char hex[] = "0123456789abcdef";

static void put_escape(struct ad_sim_pen *p, unsigned char c)
{
    static const char short_form[] = { ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r',
                                       ['\t'] = 't', ['"'] = '"',  ['\\'] = '\\' };
    if (c < sizeof(short_form) && short_form[c]) {
        ad_sim_put_n(p, (const char[]){ '\\', short_form[c] }, 2);
        return;
    }
    ad_sim_put_n(p, (const char[]){ '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] }, 6);
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c != '"' && c != '\\';
}

void ad_sim_put_escaped(struct ad_sim_pen *p, struct ad_str s)
{
    size_t from = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (is_plain((unsigned char)s.p[i])) {
            continue;
        }
        ad_sim_put_n(p, s.p + from, i - from);
        put_escape(p, (unsigned char)s.p[i]);
        from = i + 1;
    }
    if (from < s.n) {
        ad_sim_put_n(p, s.p + from, s.n - from);
    }
}

void ad_sim_put_str(struct ad_sim_pen *p, struct ad_str s)
{
    if (!s.p) {
        AD_SIM_PUT(p, "null");
        return;
    }
    AD_SIM_PUT(p, "\"");
    ad_sim_put_escaped(p, s);
    AD_SIM_PUT(p, "\"");
}

int64_t ad_sim_days(int64_t year, unsigned month, unsigned day)
{
    /* Years counted from March, so that the leap day is the last of its year. */
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * ((int64_t)month + (month > 2 ? -3 : 9)) + 2) / 5 + (int64_t)day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

void ad_sim_civil(int64_t days, int64_t *year, unsigned *month, unsigned *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t of_era = days - era * 146097;
    int64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * y + y / 4 - y / 100);
    int64_t m = (5 * of_year + 2) / 153;
    *day = (unsigned)(of_year - (153 * m + 2) / 5 + 1);
    *month = (unsigned)(m < 10 ? m + 3 : m - 9);
    *year = y + era * 400 + (*month <= 2);
}

static void digits(char *out, uint64_t v, unsigned n)
{
    while (n > 0) {
        out[--n] = (char)('0' + v % 10);
        v /= 10;
    }
}

static void date_text(char out[10], int64_t days)
{
    int64_t year = 0;
    unsigned month = 0;
    unsigned day = 0;
    ad_sim_civil(days, &year, &month, &day);
    digits(out, (uint64_t)year, 4);
    out[4] = '-';
    digits(out + 5, month, 2);
    out[7] = '-';
    digits(out + 8, day, 2);
}

static void second_text(struct ad_sim_pen *p, int64_t s)
{
    int64_t days = s / 86400;
    int64_t rest = s % 86400;
    if (rest < 0) {
        rest += 86400;
        days--;
    }
    char *t = p->last_text;
    t[0] = '"';
    date_text(t + 1, days);
    t[11] = 'T';
    digits(t + 12, (uint64_t)rest / 3600, 2);
    t[14] = ':';
    digits(t + 15, (uint64_t)rest / 60 % 60, 2);
    t[17] = ':';
    digits(t + 18, (uint64_t)rest % 60, 2);
    t[20] = '.';
    p->last_s = s;
}

void ad_sim_put_time(struct ad_sim_pen *p, int64_t ns)
{
    int64_t s = ns / AD_NS_PER_S;
    int64_t fraction = ns % AD_NS_PER_S;
    if (fraction < 0) {
        fraction += AD_NS_PER_S;
        s--;
    }
    if (s != p->last_s) {
        second_text(p, s);
    }
    char text[32];
    memcpy(text, p->last_text, 21);
    digits(text + 21, (uint64_t)fraction, 9);
    text[30] = 'Z';
    text[31] = '"';
    ad_sim_put_n(p, text, sizeof(text));
}

void ad_sim_put_date(struct ad_sim_pen *p, int64_t days)
{
    char text[12] = "\"";
    date_text(text + 1, days);
    text[11] = '"';
    ad_sim_put_n(p, text, sizeof(text));
}

void ad_sim_put_i64(struct ad_sim_pen *p, int64_t v)
{
    char text[24];
    size_t at = sizeof(text);
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    do {
        text[--at] = (char)('0' + u % 10);
        u /= 10;
    } while (u > 0);
    if (v < 0) {
        text[--at] = '-';
    }
    ad_sim_put_n(p, text + at, sizeof(text) - at);
}

void ad_sim_put_fixed(struct ad_sim_pen *p, int64_t v)
{
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    if (v < 0) {
        AD_SIM_PUT(p, "-");
    }
    ad_sim_put_i64(p, (int64_t)(u / 10000));
    char text[5] = ".";
    digits(text + 1, u % 10000, 4);
    size_t n = sizeof(text);
    while (n > 1 && text[n - 1] == '0') {
        n--;
    }
    if (n > 1) {
        ad_sim_put_n(p, text, n);
    }
}

void ad_sim_uuid_text(const uint8_t id[16], char out[37])
{
    char *to = out;
    for (unsigned i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *to++ = '-';
        }
        *to++ = hex[id[i] >> 4];
        *to++ = hex[id[i] & 15];
    }
    *to = '\0';
}

void ad_sim_put_uuid(struct ad_sim_pen *p, const uint8_t id[16])
{
    char text[39];
    text[0] = '"';
    ad_sim_uuid_text(id, text + 1);
    text[37] = '"';
    ad_sim_put_n(p, text, 38);
}

bool ad_sim_uuid_parse(struct ad_str s, uint8_t out[16])
{
    if (!ad_str_is_uuid(s)) {
        return false;
    }
    char packed[32];
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '-') {
            packed[n++] = s.p[i];
        }
    }
    return ad_hex_decode(ad_str_n(packed, sizeof(packed)), out, 16);
}
