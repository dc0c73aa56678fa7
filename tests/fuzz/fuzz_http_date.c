/* Times as the outside writes them: HTTP dates, RFC 3339, Retry-After. What is taken reads back the
 * same from our own writing. */
#include "fuzz.h"

#include <string.h>

#include "attio/retry.h"
#include "base/clock.h"

static void http_date(struct ad_str s)
{
    int64_t at;
    int64_t again;
    char text[AD_TIME_MAX];
    if (ad_http_date_parse(s, 1767225600, &at)) {
        FUZZ_CHECK(ad_http_date_parse(ad_http_date_format(at, text), 1767225600, &again));
        FUZZ_CHECK(again == at);
    }
}

static void rfc3339(struct ad_str s)
{
    int64_t ns;
    int64_t again;
    char text[AD_TIME_MAX];
    if (ad_time_parse(s, &ns)) {
        FUZZ_CHECK(ad_time_parse(ad_time_format(ns, 9, text), &again));
        FUZZ_CHECK(again == ns);
    }
}

/* First line Retry-After, second one Date. */
static void retry_after(struct ad_str s)
{
    struct ad_str first = ad_str_cut(&s, '\n');
    const struct ad_http_header headers[] = { { AD_STR("retry-after"), first },
                                              { AD_STR("date"), s } };
    uint64_t ms;
    if (ad_retry_after_ms(headers, s.p ? 2 : 1, 1767225600, &ms)) {
        FUZZ_CHECK(ms <= AD_RETRY_AFTER_MAX_MS);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ad_str s = ad_str_n((const char *)data, size);
    http_date(s);
    rfc3339(s);
    retry_after(s);
    return 0;
}
