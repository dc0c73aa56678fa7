#include "tls/tls_private.h"

#include "base/mem.h"
#include "infra/crypto.h"

#include <errno.h>
#include <mbedtls/asn1.h>
#include <mbedtls/bignum.h>
#include <mbedtls/cipher.h>
#include <mbedtls/ecp.h>
#include <mbedtls/error.h>
#include <mbedtls/md.h>
#include <mbedtls/pem.h>
#include <stdio.h>
#include <string.h>

#if AD__MBEDTLS_3
#include <psa/crypto.h>
#endif

/* Forward secrecy and authenticated encryption only: what every peer of the last ten years has. */
static const int suites[] = {
#if AD__MBEDTLS_3
    MBEDTLS_TLS1_3_AES_256_GCM_SHA384,
    MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
#endif
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    0,
};

static const char *alpn[] = { "http/1.1", NULL };

/* The kernel's generator: nothing of ours to seed, to fork or to lose. */
int ad__tls_random(void *ctx, unsigned char *out, size_t n)
{
    (void)ctx;
    return ad_random_bytes(out, n) ? MBEDTLS_ERR_SSL_INTERNAL_ERROR : 0;
}

/* mbedTLS 3 keeps the keys of TLS 1.3 in a store of its own. */
static bool start_library(void)
{
#if AD__MBEDTLS_3
    return psa_crypto_init() == PSA_SUCCESS;
#else
    return true;
#endif
}

static void at_least_1_2(mbedtls_ssl_config *conf)
{
#if AD__MBEDTLS_3
    mbedtls_ssl_conf_min_tls_version(conf, MBEDTLS_SSL_VERSION_TLS1_2);
#else
    mbedtls_ssl_conf_min_version(conf, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
#endif
}

static void conf_free(struct ad__tls_conf *conf)
{
    mbedtls_ssl_config_free(&conf->ssl);
    mbedtls_x509_crt_free(&conf->certs);
    mbedtls_pk_free(&conf->key);
    ad_free(conf);
}

enum ad_err ad__tls_conf_new(int endpoint, struct ad__tls_conf **out)
{
    struct ad__tls_conf *conf = ad_zalloc(sizeof(*conf));
    if (!conf) {
        return AD_ERR_NOMEM;
    }
    mbedtls_ssl_config_init(&conf->ssl);
    mbedtls_x509_crt_init(&conf->certs);
    mbedtls_pk_init(&conf->key);
    conf->refs = 1;
    if (!start_library() ||
        mbedtls_ssl_config_defaults(&conf->ssl, endpoint, MBEDTLS_SSL_TRANSPORT_STREAM,
                                    MBEDTLS_SSL_PRESET_DEFAULT) ||
        mbedtls_ssl_conf_alpn_protocols(&conf->ssl, alpn)) {
        conf_free(conf);
        return AD_ERR_NOMEM;
    }
    at_least_1_2(&conf->ssl);
    mbedtls_ssl_conf_ciphersuites(&conf->ssl, suites);
    mbedtls_ssl_conf_rng(&conf->ssl, ad__tls_random, NULL);
    mbedtls_ssl_conf_renegotiation(&conf->ssl, MBEDTLS_SSL_RENEGOTIATION_DISABLED);
    *out = conf;
    return AD_OK;
}

void ad__tls_conf_unref(struct ad__tls_conf *conf)
{
    if (conf && --conf->refs == 0) {
        conf_free(conf);
    }
}

/* A code may be two: what failed, and below it why. */
bool ad__tls_is_no_memory(int code)
{
    static const int codes[] = {
        MBEDTLS_ERR_SSL_ALLOC_FAILED,  MBEDTLS_ERR_X509_ALLOC_FAILED,
        MBEDTLS_ERR_PK_ALLOC_FAILED,   MBEDTLS_ERR_ECP_ALLOC_FAILED,
        MBEDTLS_ERR_MD_ALLOC_FAILED,   MBEDTLS_ERR_CIPHER_ALLOC_FAILED,
        MBEDTLS_ERR_PEM_ALLOC_FAILED,  MBEDTLS_ERR_MPI_ALLOC_FAILED,
        MBEDTLS_ERR_ASN1_ALLOC_FAILED,
    };
    int high = -(-code & 0x7f80);
    int low = -(-code & 0x7f);
    for (size_t i = 0; i < AD_LEN(codes); i++) {
        if (code < 0 && (codes[i] == high || codes[i] == low)) {
            return true;
        }
    }
    return false;
}

void ad__tls_error_text(int code, char *out, size_t cap)
{
    mbedtls_strerror(code, out, cap);
}

/* --- files --- */

/* Why a file could not be opened is known only by trying. */
static enum ad_err check_readable(const char *file, struct ad_errinfo *info)
{
    char byte;
    errno = 0;
    FILE *f = fopen(file, "rbe");
    size_t n = f ? fread(&byte, 1, 1, f) : 0;
    int os = errno;
    if (f) {
        (void)fclose(f);
    }
    if (n == 1) {
        return AD_OK;
    }
    return ad_fail(info, AD_ERR_CONFIG, "%s: %s", file, os ? strerror(os) : "the file is empty");
}

static enum ad_err refuse(struct ad_errinfo *info, const char *file, int code, const char *what)
{
    if (ad__tls_is_no_memory(code)) {
        return ad_fail(info, AD_ERR_NOMEM, "%s: no memory", file);
    }
    return ad_fail(info, AD_ERR_CONFIG, "%s: %s", file, what);
}

enum ad_err ad__tls_read_certs(mbedtls_x509_crt *to, const char *file, struct ad_errinfo *info)
{
    enum ad_err err = check_readable(file, info);
    if (err) {
        return err;
    }
    int code = mbedtls_x509_crt_parse_file(to, file);
    if (code == MBEDTLS_ERR_X509_ALLOC_FAILED || code < 0 || to->raw.len == 0) {
        return refuse(info, file, code, "holds no certificate in PEM form that can be used");
    }
    return AD_OK;
}

static int parse_key(mbedtls_pk_context *key, const char *file)
{
#if AD__MBEDTLS_3
    return mbedtls_pk_parse_keyfile(key, file, NULL, ad__tls_random, NULL);
#else
    return mbedtls_pk_parse_keyfile(key, file, NULL);
#endif
}

static int check_pair(const struct ad__tls_conf *conf)
{
#if AD__MBEDTLS_3
    return mbedtls_pk_check_pair(&conf->certs.pk, &conf->key, ad__tls_random, NULL);
#else
    return mbedtls_pk_check_pair(&conf->certs.pk, &conf->key);
#endif
}

enum ad_err ad__tls_read_pair(struct ad__tls_conf *conf, const char *cert_file,
                              const char *key_file, struct ad_errinfo *info)
{
    enum ad_err err = ad__tls_read_certs(&conf->certs, cert_file, info);
    err = err ? err : check_readable(key_file, info);
    if (err) {
        return err;
    }
    int code = parse_key(&conf->key, key_file);
    if (code == MBEDTLS_ERR_PK_PASSWORD_REQUIRED) {
        return refuse(info, key_file, code, "the key is encrypted: give one without a passphrase");
    }
    if (code) {
        return refuse(info, key_file, code, "holds no private key in PEM form that can be used");
    }
    if (check_pair(conf)) {
        return ad_fail(info, AD_ERR_CONFIG, "%s is not the key of the certificate %s", key_file,
                       cert_file);
    }
    code = mbedtls_ssl_conf_own_cert(&conf->ssl, &conf->certs, &conf->key);
    return code ? refuse(info, cert_file, code, "cannot be used as a server's certificate") : AD_OK;
}
