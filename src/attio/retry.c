#include "attio/retry.h"

enum ad_retry ad_retry_decide(const struct ad_retry_try *t)
{
    switch (t->err) {
    case AD_ERR_NETWORK:
    case AD_ERR_DNS:
    case AD_ERR_TIMEOUT:
    case AD_ERR_PROTOCOL:
    case AD_ERR_UPSTREAM:
        break;
    default:
        return t->asks_again ? AD_RETRY_LATER : AD_RETRY_NO;
    }
    if (t->sent && !t->reads_only && !t->asks_again) {
        return AD_RETRY_NO;
    }
    return t->reused ? AD_RETRY_AT_ONCE : AD_RETRY_LATER;
}

uint64_t ad_retry_backoff_ms(struct ad_rand *rand, unsigned failures, unsigned base_ms,
                             unsigned cap_ms)
{
    uint64_t most = base_ms;
    for (unsigned i = 1; i < failures && most < cap_ms; i++) {
        most *= 2;
    }
    most = most < cap_ms ? most : cap_ms;
    return ad_rand_below(rand, most + 1);
}

/* Seconds from the answer's Date to its Retry-After. */
static bool date_wait(const struct ad_http_header *h, size_t n, int64_t wall_s, int64_t *seconds)
{
    int64_t date;
    int64_t after;
    if (!ad_http_date_parse(ad_http_header(h, n, "Date"), wall_s, &date) ||
        !ad_http_date_parse(ad_http_header(h, n, "Retry-After"), date, &after)) {
        return false;
    }
    *seconds = after - date; /* both within 9999 years: no overflow */
    return true;
}

bool ad_retry_after_ms(const struct ad_http_header *h, size_t n, int64_t wall_s, uint64_t *out_ms)
{
    int64_t seconds;
    if (!ad_str_i64(ad_http_header(h, n, "Retry-After"), 0, INT64_MAX, &seconds) &&
        !date_wait(h, n, wall_s, &seconds)) {
        return false;
    }
    if (seconds <= 0) {
        *out_ms = AD_RETRY_AFTER_MIN_MS;
    } else if (seconds >= AD_RETRY_AFTER_MAX_MS / 1000) {
        *out_ms = AD_RETRY_AFTER_MAX_MS;
    } else {
        *out_ms = (uint64_t)seconds * 1000;
    }
    return true;
}

uint64_t ad_retry_default_ms(struct ad_rand *rand)
{
    return 1000 + ad_rand_below(rand, 251);
}
