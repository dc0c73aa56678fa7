#include "infra/crypto.h"

#include "base/mem.h"

#include <mbedtls/sha256.h>
#include <mbedtls/version.h>

#include <errno.h>
#include <string.h>
#include <sys/random.h>

enum { BLOCK = 64 };

/* Each state has eaten one padded key block; a message starts from copies of both. */
struct ad_hmac_key {
    mbedtls_sha256_context inner, outer;
};

/* The three calls are what 3.0 renamed. They fail only with an accelerator in hardware; a digest
 * that silently is none must never leave here. */
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
#define SHA(call, ...) AD_ASSERT(mbedtls_sha256_##call(__VA_ARGS__) == 0)
#else
#define SHA(call, ...) AD_ASSERT(mbedtls_sha256_##call##_ret(__VA_ARGS__) == 0)
#endif

static void update(mbedtls_sha256_context *c, struct ad_str s)
{
    if (s.n > 0) {
        SHA(update, c, (const unsigned char *)s.p, s.n);
    }
}

/* The digest, and the state is gone. */
static void finish(mbedtls_sha256_context *c, uint8_t out[AD_SHA256_SIZE])
{
    SHA(finish, c, out);
    mbedtls_sha256_free(c);
}

void ad_sha256(struct ad_str msg, uint8_t out[AD_SHA256_SIZE])
{
    mbedtls_sha256_context c;
    mbedtls_sha256_init(&c);
    SHA(starts, &c, 0);
    update(&c, msg);
    finish(&c, out);
}

static void start_padded(mbedtls_sha256_context *c, const uint8_t key[BLOCK], uint8_t pad)
{
    uint8_t block[BLOCK];
    for (size_t i = 0; i < BLOCK; i++) {
        block[i] = key[i] ^ pad;
    }
    mbedtls_sha256_init(c);
    SHA(starts, c, 0);
    SHA(update, c, block, BLOCK);
    ad_wipe(block, sizeof(block));
}

enum ad_err ad_hmac_key_new(struct ad_str key, struct ad_hmac_key **out)
{
    if (key.n == 0) {
        return AD_ERR_INVALID;
    }
    struct ad_hmac_key *k = ad_alloc(sizeof(*k));
    if (!k) {
        return AD_ERR_NOMEM;
    }
    uint8_t block[BLOCK] = { 0 };
    if (key.n > BLOCK) {
        ad_sha256(key, block);
    } else {
        memcpy(block, key.p, key.n);
    }
    start_padded(&k->inner, block, 0x36);
    start_padded(&k->outer, block, 0x5c);
    ad_wipe(block, sizeof(block));
    *out = k;
    return AD_OK;
}

void ad_hmac_key_free(struct ad_hmac_key *k)
{
    if (!k) {
        return;
    }
    mbedtls_sha256_free(&k->inner);
    mbedtls_sha256_free(&k->outer);
    ad_wipe(k, sizeof(*k));
    ad_free(k);
}

static void finish_from(const mbedtls_sha256_context *start, struct ad_str msg,
                        uint8_t out[AD_SHA256_SIZE])
{
    mbedtls_sha256_context c;
    mbedtls_sha256_init(&c);
    mbedtls_sha256_clone(&c, start);
    update(&c, msg);
    finish(&c, out);
}

void ad_hmac(const struct ad_hmac_key *k, struct ad_str msg, uint8_t out[AD_SHA256_SIZE])
{
    uint8_t inner[AD_SHA256_SIZE];
    finish_from(&k->inner, msg, inner);
    finish_from(&k->outer, ad_str_n((const char *)inner, sizeof(inner)), out);
    ad_wipe(inner, sizeof(inner));
}

/* `volatile`: a compiler that sees the result settled early may not stop reading. */
bool ad_equal_constant_time(const void *a, const void *b, size_t n)
{
    const volatile uint8_t *x = a;
    const volatile uint8_t *y = b;
    uint8_t diff = 0;
    for (size_t i = 0; i < n; i++) {
        diff |= (uint8_t)(x[i] ^ y[i]);
    }
    return diff == 0;
}

enum ad_err ad_random_bytes(void *out, size_t n)
{
    size_t done = 0;
    while (done < n) {
        ssize_t got = getrandom((char *)out + done, n - done, 0);
        if (got < 0 && errno != EINTR) {
            return AD_ERR_INTERNAL;
        }
        done += got > 0 ? (size_t)got : 0;
    }
    return AD_OK;
}

void ad_wipe(void *p, size_t n)
{
    if (n > 0) {
        explicit_bzero(p, n);
    }
}
