/* The signature field: lines of header fields, an empty line, the body. Genuine exactly when all the
 * signature fields are one text, and that text is the hex of the HMAC; the Idempotency-Key is one
 * short text or an error with words. */
#include "fuzz.h"

#include <string.h>

#include "attio/webhook.h"
#include "infra/crypto.h"

#define SECRET "whsec-of-the-fuzzer"
#define FIELDS_MAX 8

static size_t split(struct ad_str *in, struct ad_http_header fields[FIELDS_MAX])
{
    size_t n = 0;
    while (in->p && n < FIELDS_MAX) {
        struct ad_str line = ad_str_cut(in, '\n');
        if (line.n == 0) {
            break;
        }
        fields[n].name = ad_str_cut(&line, ':');
        fields[n].value = line;
        n++;
    }
    return n;
}

static bool is_signature(struct ad_str name)
{
    return ad_str_eq_nocase(name, AD_STR("Attio-Signature")) ||
           ad_str_eq_nocase(name, AD_STR("X-Attio-Signature"));
}

/* Worked out another way: text against text. */
static bool is_right(const struct ad_http_header *fields, size_t n, struct ad_str right)
{
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        if (is_signature(fields[i].name)) {
            any = true;
            if (!ad_str_eq_nocase(fields[i].value, right)) {
                return false;
            }
        }
    }
    return any;
}

static struct ad_str right_text(struct ad_str body, char hex[2 * AD_SHA256_SIZE])
{
    uint8_t mac[AD_SHA256_SIZE];
    struct ad_hmac_key *key;
    FUZZ_CHECK(ad_hmac_key_new(AD_STR(SECRET), &key) == AD_OK);
    ad_hmac(key, body, mac);
    ad_hmac_key_free(key);
    ad_hex_encode(mac, sizeof(mac), hex);
    return ad_str_n(hex, sizeof(mac) * 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ad_http_header fields[FIELDS_MAX + 1];
    struct ad_str body = ad_str_n((const char *)data, size);
    size_t n = split(&body, fields);
    body = body.p ? body : AD_STR("");
    char hex[2 * AD_SHA256_SIZE];
    struct ad_str right = right_text(body, hex);
    struct ad_webhook_secrets *secrets;
    FUZZ_CHECK(ad_webhook_secrets_new(&secrets) == AD_OK);
    FUZZ_CHECK(ad_webhook_secrets_add(secrets, AD_STR(SECRET)) == AD_OK);
    bool genuine = ad_webhook_verify(secrets, fields, n, body) == AD_WEBHOOK_GENUINE;
    FUZZ_CHECK(genuine == is_right(fields, n, right));
    /* The fuzzer will not find a MAC: add it. */
    fields[n] = (struct ad_http_header){ AD_STR("attio-signature"), right };
    genuine = ad_webhook_verify(secrets, fields, n + 1, body) == AD_WEBHOOK_GENUINE;
    FUZZ_CHECK(genuine == is_right(fields, n + 1, right));
    struct ad_str key = AD_STR_NONE;
    struct ad_errinfo info = { .code = AD_OK };
    enum ad_err err = ad_webhook_idempotency_key(fields, n, &key, &info);
    FUZZ_CHECK(err ? info.msg[0] != '\0' : !key.p || (key.n > 0 && key.n <= AD_WEBHOOK_KEY_MAX));
    ad_webhook_secrets_free(secrets);
    return 0;
}
