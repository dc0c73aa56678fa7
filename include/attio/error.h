/* What an answer of Attio means: its error body read, and status and code put into one class.
 *
 * Attio's words are {"status_code", "type", "code", "message"}. The status decides, then the code;
 * a code nobody knows changes nothing. The body may be anything: HTML of a proxy, empty, cut
 * off. */
#ifndef AD_ATTIO_ERROR_H
#define AD_ATTIO_ERROR_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

/* Longer error bodies are not looked at: Attio's have a few hundred bytes. */
#define AD_ATTIO_ERROR_BODY_MAX ((size_t)64 << 10)

struct ad_attio_error {
    char type[32]; /* words of letters, digits, '_', '-', '.'; "" when the body has no such word */
    char code[48];
    struct ad_str message; /* on the arena; may hold personal data: never log it */
};
/* Never fails: what cannot be read is "" and absent. */
void ad_attio_error_read(struct ad_arena *arena, struct ad_str body, struct ad_attio_error *out);

/* Class of an answer:
 *   OK                 2xx
 *   UNAUTHORIZED       401
 *   FORBIDDEN          403
 *   NOTFOUND           404 in Attio's own words. A 404 without them is a proxy's or a wrong base
 *                      URL's and must delete nothing: UPSTREAM
 *   MERGING            merge_in_progress, whatever the status
 *   CONFLICT           409, uniqueness_conflict, multiple_match_results, slug_conflict
 *   TOOLARGE           413, 414
 *   RATELIMITED        429
 *   UPSTREAM           5xx, 408
 *   PROTOCOL           below 400: Attio sends nobody elsewhere
 *   UPSTREAM_REJECTED  every other status */
enum ad_err ad_attio_error_class(unsigned status, const struct ad_attio_error *error);
/* Attio refused, did nothing, and asks to try again (concurrent_write_conflict). */
bool ad_attio_error_asks_again(const struct ad_attio_error *error);
/* True when Attio certainly did nothing: 4xx, but for 408. */
bool ad_attio_error_is_refusal(unsigned status);

#endif
