/* What time it is, as an interface, and times as text.
 *
 * Two clocks: `mono` (milliseconds, never goes back, for delays and deadlines) and `wall`
 * (nanoseconds since 1970 UTC, for what people and Attio read). The loop implements it; tests turn
 * it by hand. */
#ifndef AD_BASE_CLOCK_H
#define AD_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"

#define AD_NS_PER_S INT64_C(1000000000)
#define AD_NS_PER_MS INT64_C(1000000)

struct ad_clock {
    uint64_t (*mono_ms)(const struct ad_clock *clock); /* cached once a loop turn */
    int64_t (*wall_ns)(const struct ad_clock *clock);
};

static inline uint64_t ad_mono_ms(const struct ad_clock *c)
{
    return c->mono_ms(c);
}

static inline int64_t ad_wall_ns(const struct ad_clock *c)
{
    return c->wall_ns(c);
}

static inline int64_t ad_wall_ms(const struct ad_clock *c)
{
    return c->wall_ns(c) / AD_NS_PER_MS;
}

/* RFC 3339 with 0 to 9 fractional digits and `Z` or an offset; years 1678 to 2261 (int64
 * nanoseconds). Leap seconds (":60") are refused here and below: our clocks know none. */
AD_MUST_CHECK bool ad_time_parse(struct ad_str s, int64_t *ns);
/* "2026-04-01T10:20:30.123456789Z" with `digits` (0, 3, 6, 9) fractional digits; at most 31 bytes
 * with the NUL. */
#define AD_TIME_MAX 32
struct ad_str ad_time_format(int64_t ns, int digits, char out[AD_TIME_MAX]);

/* HTTP date: IMF-fixdate, and the two obsolete forms of RFC 9110 section 5.6.7 (a two-digit year is
 * the latest that is at most 50 years after `now_s`). The day of the week must be the right one. */
AD_MUST_CHECK bool ad_http_date_parse(struct ad_str s, int64_t now_s, int64_t *unix_s);
/* "Sun, 06 Nov 1994 08:49:37 GMT", 29 bytes and a NUL. */
struct ad_str ad_http_date_format(int64_t unix_s, char out[AD_TIME_MAX]);

#endif
