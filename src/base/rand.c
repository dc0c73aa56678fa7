#include "base/rand.h"

#include "base/attr.h"
#include "base/str.h"

/* xoshiro256++, seeded through splitmix64 as its authors advise. */

__extension__ typedef unsigned __int128 uint128;

void ad_rand_seed(struct ad_rand *r, uint64_t seed)
{
    for (size_t i = 0; i < AD_LEN(r->s); i++) {
        seed += UINT64_C(0x9e3779b97f4a7c15);
        uint64_t z = seed;
        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        r->s[i] = z ^ (z >> 31);
    }
}

static uint64_t rotate(uint64_t v, unsigned bits)
{
    return (v << bits) | (v >> (64 - bits));
}

uint64_t ad_rand_u64(struct ad_rand *r)
{
    uint64_t *s = r->s;
    uint64_t result = rotate(s[0] + s[3], 23) + s[0];
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

/* The high half of the product is even over [0, n) once the few low halves that would occur once
 * too often are drawn again. */
uint64_t ad_rand_below(struct ad_rand *r, uint64_t n)
{
    AD_ASSERT(n > 0);
    uint64_t surplus = (0 - n) % n;
    uint128 product;
    do {
        product = (uint128)ad_rand_u64(r) * n;
    } while ((uint64_t)product < surplus);
    return (uint64_t)(product >> 64);
}

void ad_rand_uuid(struct ad_rand *r, char out[37])
{
    uint8_t bytes[16];
    for (size_t i = 0; i < sizeof(bytes); i += 8) {
        uint64_t v = ad_rand_u64(r);
        memcpy(bytes + i, &v, 8);
    }
    bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40);
    bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
    static const struct {
        size_t from, n, to;
    } groups[] = { { 0, 4, 0 }, { 4, 2, 9 }, { 6, 2, 14 }, { 8, 2, 19 }, { 10, 6, 24 } };
    memset(out, '-', 36);
    for (size_t i = 0; i < AD_LEN(groups); i++) {
        ad_hex_encode(bytes + groups[i].from, groups[i].n, out + groups[i].to);
    }
    out[36] = '\0';
}
