/* HMAC-SHA-256, SHA-256, constant-time comparison and secure random bytes, by mbedTLS and the
 * kernel. We write no cryptography. */
#ifndef AD_INFRA_CRYPTO_H
#define AD_INFRA_CRYPTO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

#define AD_SHA256_SIZE 32

/* A key with both padded key blocks hashed once, so that each message costs its own blocks only. */
struct ad_hmac_key;
AD_MUST_CHECK enum ad_err ad_hmac_key_new(struct ad_str key,
                                          struct ad_hmac_key **out); /* INVALID when empty */
void ad_hmac_key_free(struct ad_hmac_key *k);                        /* wipes */
void ad_hmac(const struct ad_hmac_key *k, struct ad_str msg, uint8_t out[AD_SHA256_SIZE]);

void ad_sha256(struct ad_str msg, uint8_t out[AD_SHA256_SIZE]);
/* Time depends on n only. */
bool ad_equal_constant_time(const void *a, const void *b, size_t n);
/* From getrandom(2); for secrets, seeds and ids. */
AD_MUST_CHECK enum ad_err ad_random_bytes(void *out, size_t n);
/* Cannot be optimised away. */
void ad_wipe(void *p, size_t n);

#endif
