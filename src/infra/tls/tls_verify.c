#include "tls/tls_private.h"

#include <arpa/inet.h>
#include <mbedtls/oid.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* mbedTLS builds and checks the chain and, for names, the name. Two things are done here: addresses
 * (2.28 knows none in certificates), and putting what is wrong into words. */

/* Kinds of names in a certificate (RFC 5280, section 4.2.1.6). */
enum { SAN_DNS = 2, SAN_IP = 7 };

/* What is worth telling first. A certificate nobody vouches for says nothing about names and
 * times. */
enum { RANK_OTHER = 1, RANK_NAME, RANK_TIME, RANK_TRUST, RANK_PIN };

void ad__tls_peer_init(struct ad__tls_peer *peer, const char *host, const mbedtls_x509_crt *pin)
{
    *peer = (struct ad__tls_peer){ .pin = pin };
    (void)snprintf(peer->host, sizeof(peer->host), "%s", host);
    if (inet_pton(AF_INET, host, peer->address) == 1) {
        peer->address_n = 4;
    } else if (inet_pton(AF_INET6, host, peer->address) == 1) {
        peer->address_n = 16;
    }
}

/* --- the certificate's names --- */

static bool is_kind(const mbedtls_x509_sequence *san, int kind)
{
    return (san->buf.tag & MBEDTLS_ASN1_TAG_VALUE_MASK) == kind;
}

static bool has_address(const struct ad__tls_peer *peer, const mbedtls_x509_crt *cert)
{
    for (const mbedtls_x509_sequence *san = &cert->subject_alt_names; san; san = san->next) {
        if (is_kind(san, SAN_IP) && san->buf.len == peer->address_n &&
            memcmp(san->buf.p, peer->address, peer->address_n) == 0) {
            return true;
        }
    }
    return false;
}

/* What came over the wire is shown as plain text only. */
static void put_text(char *out, size_t cap, const unsigned char *p, size_t n)
{
    size_t i = 0;
    for (; i < n && i + 1 < cap; i++) {
        out[i] = (char)(p[i] >= ' ' && p[i] <= '~' ? p[i] : '?');
    }
    out[i] = '\0';
}

/* A name to call it by: the first of its alternative names, else the common name. */
static void put_name(const mbedtls_x509_crt *cert, char *out, size_t cap)
{
    for (const mbedtls_x509_sequence *san = &cert->subject_alt_names; san; san = san->next) {
        if (is_kind(san, SAN_DNS) && san->buf.len) {
            put_text(out, cap, san->buf.p, san->buf.len);
            return;
        }
        if (is_kind(san, SAN_IP) && san->buf.len == 4) {
            inet_ntop(AF_INET, san->buf.p, out, (socklen_t)cap);
            return;
        }
    }
    for (const mbedtls_x509_name *n = &cert->subject; n; n = n->next) {
        if (n->oid.p && MBEDTLS_OID_CMP(MBEDTLS_OID_AT_CN, &n->oid) == 0) {
            put_text(out, cap, n->val.p, n->val.len);
            return;
        }
    }
    (void)snprintf(out, cap, "nobody");
}

/* --- in words --- */

static void say(struct ad__tls_peer *peer, int rank, const char *fmt, ...) AD_PRINTF(3, 4);

static void say(struct ad__tls_peer *peer, int rank, const char *fmt, ...)
{
    if (rank > peer->rank) {
        va_list args;
        va_start(args, fmt);
        (void)vsnprintf(peer->why, sizeof(peer->why), fmt, args);
        va_end(args);
        peer->rank = rank;
    }
}

static void say_time(struct ad__tls_peer *peer, const char *whose, const char *verb,
                     const mbedtls_x509_time *at)
{
    say(peer, RANK_TIME, "certificate of %.80s %s %04d-%02d-%02d %02d:%02d UTC", whose, verb,
        at->year, at->mon, at->day, at->hour, at->min);
}

static bool is_self_signed(const mbedtls_x509_crt *cert)
{
    return cert->issuer_raw.len == cert->subject_raw.len &&
           memcmp(cert->issuer_raw.p, cert->subject_raw.p, cert->issuer_raw.len) == 0;
}

static void explain(struct ad__tls_peer *peer, const mbedtls_x509_crt *cert, int depth,
                    uint32_t flags)
{
    char name[80];
    put_name(cert, name, sizeof(name));
    const char *whose = depth == 0 ? peer->host : name;
    if (flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED) {
        say(peer, RANK_TRUST,
            depth == 0 && is_self_signed(cert)
                ? "certificate of %.80s is self-signed"
                : "certificate of %.80s is not signed by a known authority",
            peer->host);
    }
    if (flags & MBEDTLS_X509_BADCERT_EXPIRED) {
        say_time(peer, whose, "expired on", &cert->valid_to);
    }
    if (flags & MBEDTLS_X509_BADCERT_FUTURE) {
        say_time(peer, whose, "is not valid before", &cert->valid_from);
    }
    if (flags & MBEDTLS_X509_BADCERT_CN_MISMATCH) {
        say(peer, RANK_NAME, "certificate is for %s, not for %.60s", name, peer->host);
    }
    char text[128] = "";
    mbedtls_x509_crt_verify_info(text, sizeof(text), "", flags);
    text[strcspn(text, "\n")] = '\0';
    say(peer, RANK_OTHER, "certificate of %.60s: %.90s", whose, text);
}

static bool is_pinned(const struct ad__tls_peer *peer, const mbedtls_x509_crt *cert)
{
    return cert->raw.len == peer->pin->raw.len &&
           memcmp(cert->raw.p, peer->pin->raw.p, cert->raw.len) == 0;
}

/* Called for each certificate of the chain, the authority first, the server's own (depth 0)
 * last. */
int ad__tls_on_certificate(void *ctx, mbedtls_x509_crt *cert, int depth, uint32_t *flags)
{
    struct ad__tls_peer *peer = ctx;
    peer->asked = true;
    if (peer->pin) {
        *flags = 0;
        if (depth == 0 && !is_pinned(peer, cert)) {
            *flags = MBEDTLS_X509_BADCERT_NOT_TRUSTED;
            say(peer, RANK_PIN, "certificate of %.80s is another than the configured one",
                peer->host);
        }
        return 0;
    }
    if (depth == 0 && peer->address_n && !has_address(peer, cert)) {
        *flags |= MBEDTLS_X509_BADCERT_CN_MISMATCH;
    }
    if (*flags) {
        explain(peer, cert, depth, *flags);
    }
    return 0;
}
