/* Randomness for jitter and ids: seedable, so that a test replays exactly. Not for secrets
 * (infra/crypto.h is). */
#ifndef AD_BASE_RAND_H
#define AD_BASE_RAND_H

#include <stdint.h>

struct ad_rand {
    uint64_t s[4];
};

void ad_rand_seed(struct ad_rand *r, uint64_t seed);
uint64_t ad_rand_u64(struct ad_rand *r);
/* Even over [0, n); n > 0. */
uint64_t ad_rand_below(struct ad_rand *r, uint64_t n);
/* A version 4 UUID in lower case, 36 bytes and a NUL. */
void ad_rand_uuid(struct ad_rand *r, char out[37]);

#endif
