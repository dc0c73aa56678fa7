#include "base/clock.h"

#include <stdio.h>

enum { S_PER_MINUTE = 60, S_PER_HOUR = 3600, S_PER_DAY = 86400 };

static const char day_names[7][10] = {
    "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday",
};
static const char month_names[12][4] = {
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
};

struct civil {
    int64_t year;
    unsigned month, day; /* from 1 */
    unsigned hour, minute, second;
};

/* Days since 1970-01-01 in the proleptic Gregorian calendar. Counting years from March puts the
 * leap day last, so that month lengths need no table. */
static int64_t days_from_civil(int64_t year, unsigned month, unsigned day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t from_march = (month + 9) % 12;
    int64_t day_of_year = (153 * from_march + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static void civil_from_days(int64_t days, struct civil *c)
{
    int64_t shifted = days + 719468;
    int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    int64_t day_of_era = shifted - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t from_march = (5 * day_of_year + 2) / 153;
    c->day = (unsigned)(day_of_year - (153 * from_march + 2) / 5 + 1);
    c->month = (unsigned)(from_march < 10 ? from_march + 3 : from_march - 9);
    c->year = year_of_era + era * 400 + (c->month <= 2);
}

/* Division that rounds down, so that times before 1970 have a day and a second too. */
static int64_t div_floor(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static void civil_from_unix(int64_t unix_s, struct civil *c)
{
    int64_t days = div_floor(unix_s, S_PER_DAY);
    unsigned of_day = (unsigned)(unix_s - days * S_PER_DAY);
    civil_from_days(days, c);
    c->hour = of_day / S_PER_HOUR;
    c->minute = of_day / S_PER_MINUTE % 60;
    c->second = of_day % 60;
}

static int64_t unix_from_civil(const struct civil *c)
{
    return days_from_civil(c->year, c->month, c->day) * S_PER_DAY + (int64_t)c->hour * S_PER_HOUR +
           (int64_t)c->minute * S_PER_MINUTE + (int64_t)c->second;
}

static unsigned weekday_of(int64_t days)
{
    return (unsigned)(days + 4 - div_floor(days + 4, 7) * 7); /* 1970 began on a Thursday */
}

/* No leap second: the clock that stamps our times repeats a second instead of naming it 60. */
static bool civil_valid(const struct civil *c)
{
    static const unsigned char month_days[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = c->year % 4 == 0 && (c->year % 100 != 0 || c->year % 400 == 0);
    if (c->month < 1 || c->month > 12 || c->day < 1) {
        return false;
    }
    unsigned days = month_days[c->month - 1] + (c->month == 2 && leap ? 1u : 0u);
    return c->day <= days && c->hour < 24 && c->minute < 60 && c->second < 60;
}

/* A cursor over the text; each step takes what it expects or says no. */

static bool take_char(struct ad_str *s, char c)
{
    if (s->n == 0 || s->p[0] != c) {
        return false;
    }
    s->p++;
    s->n--;
    return true;
}

static bool take_text(struct ad_str *s, struct ad_str text)
{
    if (!ad_str_starts(*s, text)) {
        return false;
    }
    s->p += text.n;
    s->n -= text.n;
    return true;
}

/* Exactly n digits. */
static bool take_digits(struct ad_str *s, size_t n, unsigned *out)
{
    uint64_t v;
    if (s->n < n || !ad_str_u64(ad_str_n(s->p, n), UINT32_MAX, &v)) {
        return false;
    }
    *out = (unsigned)v;
    s->p += n;
    s->n -= n;
    return true;
}

static bool take_time_of_day(struct ad_str *s, struct civil *c)
{
    return take_digits(s, 2, &c->hour) && take_char(s, ':') && take_digits(s, 2, &c->minute) &&
           take_char(s, ':') && take_digits(s, 2, &c->second);
}

static bool take_year(struct ad_str *s, struct civil *c)
{
    unsigned year;
    if (!take_digits(s, 4, &year)) {
        return false;
    }
    c->year = year;
    return true;
}

/* ".123": 1 to 9 digits, if there is a point at all. */
static bool take_fraction(struct ad_str *s, int64_t *ns)
{
    *ns = 0;
    if (!take_char(s, '.')) {
        return true;
    }
    int64_t unit = AD_NS_PER_S;
    unsigned digit;
    while (unit > 1 && take_digits(s, 1, &digit)) {
        unit /= 10;
        *ns += digit * unit;
    }
    return unit < AD_NS_PER_S;
}

/* "Z" or "+02:00", in seconds east of Greenwich. */
static bool take_zone(struct ad_str *s, int64_t *east_s)
{
    *east_s = 0;
    if (take_char(s, 'Z') || take_char(s, 'z')) {
        return true;
    }
    bool west = take_char(s, '-');
    unsigned hours;
    unsigned minutes;
    if ((!west && !take_char(s, '+')) || !take_digits(s, 2, &hours) || !take_char(s, ':') ||
        !take_digits(s, 2, &minutes) || hours > 23 || minutes > 59) {
        return false;
    }
    *east_s = (int64_t)hours * S_PER_HOUR + (int64_t)minutes * S_PER_MINUTE;
    *east_s = west ? -*east_s : *east_s;
    return true;
}

bool ad_time_parse(struct ad_str s, int64_t *ns)
{
    struct civil c = { 0 };
    int64_t fraction;
    int64_t east_s;
    if (!take_year(&s, &c) || !take_char(&s, '-') || !take_digits(&s, 2, &c.month) ||
        !take_char(&s, '-') || !take_digits(&s, 2, &c.day) ||
        !(take_char(&s, 'T') || take_char(&s, 't')) || !take_time_of_day(&s, &c) ||
        !take_fraction(&s, &fraction) || !take_zone(&s, &east_s) || s.n != 0) {
        return false;
    }
    if (!civil_valid(&c) || c.year < 1678 || c.year > 2261) {
        return false;
    }
    *ns = (unix_from_civil(&c) - east_s) * AD_NS_PER_S + fraction;
    return true;
}

/* Every time fits its buffer. */
static struct ad_str printed(char *out, int n)
{
    AD_ASSERT(n > 0 && n < AD_TIME_MAX);
    return ad_str_n(out, (size_t)n);
}

struct ad_str ad_time_format(int64_t ns, int digits, char out[AD_TIME_MAX])
{
    static const int64_t units[] = { 1000000000, 0, 0, 1000000, 0, 0, 1000, 0, 0, 1 };
    AD_ASSERT(digits == 0 || digits == 3 || digits == 6 || digits == 9);
    int64_t unix_s = div_floor(ns, AD_NS_PER_S);
    int64_t of_second = ns % AD_NS_PER_S;
    of_second += of_second < 0 ? AD_NS_PER_S : 0;
    long fraction = (long)(of_second / units[digits]);
    struct civil c;
    civil_from_unix(unix_s, &c);
    int n = snprintf(out, AD_TIME_MAX, "%04d-%02u-%02uT%02u:%02u:%02u", (int)c.year, c.month, c.day,
                     c.hour, c.minute, c.second);
    AD_ASSERT(n == 19);
    n += digits ? snprintf(out + n, (size_t)(AD_TIME_MAX - n), ".%0*ldZ", digits, fraction)
                : snprintf(out + n, (size_t)(AD_TIME_MAX - n), "Z");
    return printed(out, n);
}

static bool take_month(struct ad_str *s, struct civil *c)
{
    for (unsigned i = 0; i < AD_LEN(month_names); i++) {
        if (take_text(s, ad_str_c(month_names[i]))) {
            c->month = i + 1;
            return true;
        }
    }
    return false;
}

/* A day name, whole or its first three letters. */
static bool take_day_name(struct ad_str *s, bool whole, unsigned *weekday)
{
    for (unsigned i = 0; i < AD_LEN(day_names); i++) {
        struct ad_str name = ad_str_c(day_names[i]);
        if (take_text(s, whole ? name : ad_str_n(name.p, 3))) {
            *weekday = i;
            return true;
        }
    }
    return false;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" */
static bool parse_imf(struct ad_str s, struct civil *c, unsigned *weekday)
{
    return take_day_name(&s, false, weekday) && take_text(&s, AD_STR(", ")) &&
           take_digits(&s, 2, &c->day) && take_char(&s, ' ') && take_month(&s, c) &&
           take_char(&s, ' ') && take_year(&s, c) && take_char(&s, ' ') &&
           take_time_of_day(&s, c) && ad_str_eq(s, AD_STR(" GMT"));
}

/* The latest year of those two digits that is at most 50 years ahead of now. */
static void resolve_year(struct civil *c, unsigned two_digits, int64_t now_s)
{
    struct civil now;
    civil_from_unix(now_s, &now);
    c->year = now.year - now.year % 100 + 100 + two_digits;
    for (int century = 0; century < 2; century++) {
        struct civil earlier = *c;
        earlier.year -= 50;
        if (unix_from_civil(&earlier) > now_s) {
            c->year -= 100;
        }
    }
}

/* "Sunday, 06-Nov-94 08:49:37 GMT" */
static bool parse_rfc850(struct ad_str s, int64_t now_s, struct civil *c, unsigned *weekday)
{
    unsigned year;
    if (!take_day_name(&s, true, weekday) || !take_text(&s, AD_STR(", ")) ||
        !take_digits(&s, 2, &c->day) || !take_char(&s, '-') || !take_month(&s, c) ||
        !take_char(&s, '-') || !take_digits(&s, 2, &year) || !take_char(&s, ' ') ||
        !take_time_of_day(&s, c) || !ad_str_eq(s, AD_STR(" GMT"))) {
        return false;
    }
    resolve_year(c, year, now_s);
    return true;
}

/* "Sun Nov  6 08:49:37 1994": the day is padded with a blank. */
static bool parse_asctime(struct ad_str s, struct civil *c, unsigned *weekday)
{
    if (!take_day_name(&s, false, weekday) || !take_char(&s, ' ') || !take_month(&s, c) ||
        !take_char(&s, ' ')) {
        return false;
    }
    bool day = take_char(&s, ' ') ? take_digits(&s, 1, &c->day) : take_digits(&s, 2, &c->day);
    return day && take_char(&s, ' ') && take_time_of_day(&s, c) && take_char(&s, ' ') &&
           take_year(&s, c) && s.n == 0;
}

bool ad_http_date_parse(struct ad_str s, int64_t now_s, int64_t *unix_s)
{
    struct civil c = { 0 };
    unsigned weekday;
    if (!parse_imf(s, &c, &weekday) && !parse_rfc850(s, now_s, &c, &weekday) &&
        !parse_asctime(s, &c, &weekday)) {
        return false;
    }
    if (!civil_valid(&c) || weekday != weekday_of(days_from_civil(c.year, c.month, c.day))) {
        return false;
    }
    *unix_s = unix_from_civil(&c);
    return true;
}

struct ad_str ad_http_date_format(int64_t unix_s, char out[AD_TIME_MAX])
{
    /* The form has four digits for the year. */
    const int64_t first = INT64_C(-62167219200);
    const int64_t last = INT64_C(253402300799);
    unix_s = unix_s < first ? first : unix_s > last ? last : unix_s;
    struct civil c;
    civil_from_unix(unix_s, &c);
    int n = snprintf(out, AD_TIME_MAX, "%.3s, %02u %s %04d %02u:%02u:%02u GMT",
                     day_names[weekday_of(div_floor(unix_s, S_PER_DAY))], c.day,
                     month_names[c.month - 1], (int)c.year, c.hour, c.minute, c.second);
    return printed(out, n);
}
