/* One table of errors: code, text, HTTP status, retryable.
 *
 * Functions that can fail return `enum ad_err` (0 is success); results go out by pointer and are
 * untouched on failure. Detail travels in `struct ad_errinfo`; each layer may prefix once. An error
 * is logged where it is handled, once, never where it passes. */
#ifndef AD_BASE_ERR_H
#define AD_BASE_ERR_H

#include <stdbool.h>

#include "base/attr.h"

/* X(name, text, HTTP status our API answers with, a later try may help) */
#define AD_ERR_LIST(X)                                                \
    X(NOMEM, "out of memory", 503, true)                              \
    X(INVALID, "invalid argument", 400, false)                        \
    X(NOTFOUND, "not found", 404, false)                              \
    X(CONFLICT, "conflict", 409, false)                               \
    X(UNAUTHORIZED, "credential refused", 401, false)                 \
    X(FORBIDDEN, "not permitted", 403, false)                         \
    X(TOOLARGE, "too large", 413, false)                              \
    X(RATELIMITED, "rate limited", 429, true)                         \
    X(BUSY, "busy", 503, true)                                        \
    X(TIMEOUT, "timed out", 504, true)                                \
    X(CANCELED, "canceled", 503, false)                               \
    X(CLOSED, "closed", 503, true)                                    \
    X(NETWORK, "network error", 502, true)                            \
    X(DNS, "name resolution failed", 502, true)                       \
    X(TLS, "TLS failure", 502, false)                                 \
    X(PROTOCOL, "protocol violation", 502, true)                      \
    X(PARSE, "malformed data", 400, false)                            \
    X(UPSTREAM, "upstream failed", 502, true)                         \
    X(UPSTREAM_REJECTED, "upstream rejected the request", 422, false) \
    X(MERGING, "a merge is still being applied", 503, true)           \
    X(DISABLED, "switched off", 503, true)                            \
    X(STORE, "database failed", 503, true)                            \
    X(STORE_FULL, "database is full", 503, true)                      \
    X(STORE_BUSY, "database is locked", 503, true)                    \
    X(CORRUPT, "data is corrupt", 500, false)                         \
    X(CONFIG, "configuration error", 500, false)                      \
    X(INTERNAL, "internal error", 500, false)

enum ad_err {
    AD_OK = 0,
#define AD_ERR_ENUM(name, text, http, retry) AD_ERR_##name,
    AD_ERR_LIST(AD_ERR_ENUM)
#undef AD_ERR_ENUM
};

/* Detail of a failure, filled by whoever first saw it. `sent` answers the retry question: could the
 * peer have acted on what we sent? */
struct ad_errinfo {
    enum ad_err code;
    int os;        /* errno-like or library code, 0 when none */
    bool sent;     /* at least one byte of the request may have reached the peer */
    char msg[192]; /* for people; holds no secret and no personal data */
};

/* To OK, without writing the whole text: this is in the path of every request. */
static inline void ad_errinfo_clear(struct ad_errinfo *info)
{
    info->code = AD_OK;
    info->os = 0;
    info->sent = false;
    info->msg[0] = '\0';
}

/* "NOTFOUND", "not found", 404, false. Unknown values give the texts of INTERNAL. */
const char *ad_err_name(enum ad_err err);
const char *ad_err_text(enum ad_err err);
unsigned ad_err_http(enum ad_err err);
bool ad_err_retryable(enum ad_err err);

/* Sets `info` (may be NULL) to code and a formatted message, and returns `code`, so that
 *     return ad_fail(info, AD_ERR_PARSE, "line %d", n);
 * reads as one thought. Keeps `os` and `sent`. */
enum ad_err ad_fail(struct ad_errinfo *info, enum ad_err code, const char *fmt, ...)
    AD_PRINTF(3, 4);

/* Puts "prefix: " in front of the message; drops the tail that no longer fits. */
void ad_errinfo_prefix(struct ad_errinfo *info, const char *fmt, ...) AD_PRINTF(2, 3);

#endif
