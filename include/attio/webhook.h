/* A webhook delivery: is it genuine, and what does it hold.
 *
 * The signature is the hex HMAC-SHA-256 of the raw body under the secret's own text (not
 * hex-decoded). Nothing else is signed: there is no timestamp, and the Idempotency-Key is outside
 * it, so a captured delivery can be sent again under a new key. Therefore handlers must be harmless
 * when repeated. It is verified on the raw bytes before any parsing. */
#ifndef AD_ATTIO_WEBHOOK_H
#define AD_ATTIO_WEBHOOK_H

#include "attio/event.h"
#include "base/http.h"

/* Where deliveries arrive, below our public URL. */
#define AD_WEBHOOK_PATH "/webhooks/attio"

/* All secrets that are accepted now. Loop thread only. */
struct ad_webhook_secrets;

AD_MUST_CHECK enum ad_err ad_webhook_secrets_new(struct ad_webhook_secrets **out);
void ad_webhook_secrets_free(struct ad_webhook_secrets *s); /* wipes */
/* INVALID for an empty one: an HMAC under an empty key is anybody's. Also hides it from the log.
 * Adding a known one only counts it once more. They are tried in the order of being added. */
AD_MUST_CHECK enum ad_err ad_webhook_secrets_add(struct ad_webhook_secrets *s,
                                                 struct ad_str secret);
/* Takes one adding back; not accepted any more, and wiped, when it was the last. Harmless for an
 * unknown one. The log goes on hiding it. */
void ad_webhook_secrets_remove(struct ad_webhook_secrets *s, struct ad_str secret);
size_t ad_webhook_secrets_count(const struct ad_webhook_secrets *s);

enum ad_webhook_verdict {
    AD_WEBHOOK_GENUINE,
    AD_WEBHOOK_NO_SIGNATURE,
    AD_WEBHOOK_BAD_SIGNATURE,  /* not 64 hex digits, or the wrong ones */
    AD_WEBHOOK_TWO_SIGNATURES, /* signature headers that differ: which one is meant? */
};
/* `Attio-Signature` or `X-Attio-Signature`, 64 hex digits of either case, compared in constant time
 * with every secret. Both, or one several times, are taken when they are equal. */
enum ad_webhook_verdict ad_webhook_verify(const struct ad_webhook_secrets *s,
                                          const struct ad_http_header *headers, size_t n,
                                          struct ad_str body);

#define AD_WEBHOOK_KEY_MAX 255

/* `Idempotency-Key`: absent is fine (no dedupe, and never by a body hash: two genuine deliveries
 * may be equal byte for byte). INVALID when repeated, empty, longer than AD_WEBHOOK_KEY_MAX
 * bytes, or not text. */
AD_MUST_CHECK enum ad_err ad_webhook_idempotency_key(const struct ad_http_header *headers, size_t n,
                                                     struct ad_str *out, struct ad_errinfo *info);

struct ad_delivery {
    struct ad_str webhook_id;
    struct ad_str key; /* idempotency key, or absent; set by the caller */
    struct ad_event *events;
    size_t events_n;
};
/* Values in one delivery. Attio sends about twelve; at most some megabytes of arena hold these. */
#define AD_DELIVERY_NODES_MAX 20000

/* The envelope {webhook_id, events: [...]}. Slices point into `body` or onto `arena`; what only
 * parsing needs goes to `scratch`, which may be reset afterwards: with one for all deliveries an
 * exchange that waits for the disk holds no document. PARSE names the path, "events[2]:
 * id.record_id: required": the caller quarantines. One event that is wrong makes the delivery
 * wrong. No events at all is well-formed. NOMEM. */
AD_MUST_CHECK enum ad_err ad_webhook_decode(struct ad_arena *scratch, struct ad_arena *arena,
                                            struct ad_str body, struct ad_delivery *out,
                                            struct ad_errinfo *info);

#endif
