/* Inside TLS: what its files share.
 *
 *   tls_stream.c   one connection: records in, records out, handshake, end; knows no files
 *   tls_conf.c     what connections share: algorithms, certificates, keys; reading files
 *   tls_verify.c   is that the host we wanted? and what to tell people when it is not
 *   tls_client.c   trust, sessions kept for each origin, dialling
 *   tls_server.c   our certificate, tickets, reloading, wrapping accepted streams
 *
 * mbedTLS sees no socket and no loop. Its names and error codes end here. */
#ifndef AD_INFRA_TLS_TLS_PRIVATE_H
#define AD_INFRA_TLS_TLS_PRIVATE_H

#include "infra/tls.h"

#include "base/buf.h"
#include "base/timer.h"
#include "infra/loop.h"

#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>

#define AD__MBEDTLS_3 (MBEDTLS_VERSION_NUMBER >= 0x03000000)

/* X(outcome): how a handshake ended; the label of a counter. */
#define AD__TLS_OUTCOME_LIST(X) \
    X(full)                     \
    X(resumed)                  \
    X(refused)                  \
    X(plain)                    \
    X(timeout)                  \
    X(cut)                      \
    X(failed)

enum ad__tls_outcome {
#define AD__TLS_OUTCOME_ENUM(name) AD__TLS_##name,
    AD__TLS_OUTCOME_LIST(AD__TLS_OUTCOME_ENUM)
#undef AD__TLS_OUTCOME_ENUM
        AD__TLS_OUTCOMES
};

/* --- tls_conf.c --- */

/* A configuration of mbedTLS with what it points to. Every connection made from it holds a
 * reference, because a server's may be replaced while connections are open. */
struct ad__tls_conf {
    mbedtls_ssl_config ssl;
    mbedtls_x509_crt certs; /* a server's own chain, a client's authorities */
    mbedtls_pk_context key;
    unsigned refs;
};

/* NOMEM. `endpoint` is MBEDTLS_SSL_IS_CLIENT or MBEDTLS_SSL_IS_SERVER. */
AD_MUST_CHECK enum ad_err ad__tls_conf_new(int endpoint, struct ad__tls_conf **out);
void ad__tls_conf_unref(struct ad__tls_conf *conf);
/* All certificates of a PEM file; those that mbedTLS does not understand are left out, as long as
 * one remains. */
AD_MUST_CHECK enum ad_err ad__tls_read_certs(mbedtls_x509_crt *to, const char *file,
                                             struct ad_errinfo *info);
/* A certificate and its key, which must belong together. */
AD_MUST_CHECK enum ad_err ad__tls_read_pair(struct ad__tls_conf *conf, const char *cert_file,
                                            const char *key_file, struct ad_errinfo *info);
/* The kernel's randomness, as mbedTLS asks for it. */
int ad__tls_random(void *ctx, unsigned char *out, size_t n);
bool ad__tls_is_no_memory(int code);
/* mbedTLS's text for a code of its own, for people. */
void ad__tls_error_text(int code, char *out, size_t cap);

/* --- tls_verify.c --- */

/* Whom a client expects; lives until the handshake is over. */
struct ad__tls_peer {
    char host[sizeof(((struct ad_endpoint *)0)->host)];
    unsigned char address[16]; /* when host is a literal */
    size_t address_n;          /* 4, 16, or 0 for a name */
    const mbedtls_x509_crt *pin;
    bool asked; /* a certificate came: this is no resumed session */
    char why[160];
    int rank; /* of what `why` says: the worst is told */
    struct ad_errinfo info;
};

void ad__tls_peer_init(struct ad__tls_peer *peer, const char *host, const mbedtls_x509_crt *pin);
/* mbedTLS's verify callback; ctx is a struct ad__tls_peer. */
int ad__tls_on_certificate(void *ctx, mbedtls_x509_crt *cert, int depth, uint32_t *flags);

/* --- tls_stream.c --- */

/* What connections of one client or server have in common. */
struct ad__tls_side {
    struct ad_loop *loop;
    bool ticket_taken; /* by the handshake that is running right now (server) */
    struct ad_counter *outcomes[AD__TLS_OUTCOMES];
    struct ad_counter scrap;
};

void ad__tls_side_init(struct ad__tls_side *side, struct ad_loop *loop, const char *name,
                       struct ad_metrics *metrics);

enum ad__tls_phase {
    AD__TLS_SILENT, /* a server's, before the peer's first byte: no memory of mbedTLS yet */
    AD__TLS_HANDSHAKE,
    AD__TLS_OPEN,
    AD__TLS_FAILED, /* `end` says how; mbedTLS is not called again */
};

struct ad__tls {
    struct ad_stream stream; /* the owner's */
    struct ad_stream *lower;
    struct ad__tls_side *side;
    struct ad__tls_conf *conf;
    struct ad__tls_peer *peer; /* a client's, until the handshake is over */
    void (*on_ready)(struct ad__tls *t,
                     enum ad_err err);     /* once, after the handshake; may be NULL */
    void (*on_session)(struct ad__tls *t); /* a session to keep can be had; may be NULL */
    void *ready_ctx, *session_ctx;
    mbedtls_ssl_context ssl;
    enum ad__tls_phase phase;
    enum ad_err end;       /* how reading ends, once that is known */
    enum ad_err lower_end; /* the lower stream's */
    struct ad_str fresh;   /* records in the lower stream's hands, during its callback only */
    struct ad_buf in;      /* records that nobody wanted to read yet */
    struct ad_buf out;     /* records made */
    struct ad_buf flying;  /* records that the lower stream is writing */
    struct ad_write lower_write;
    uint64_t made, taken;  /* bytes put to `out`, bytes the lower stream has taken, ever */
    struct ad_list writes; /* not in records yet, in order; a shutdown is the last */
    struct ad_list sent;   /* in records; over once these are taken */
    struct ad_post post;
    struct ad_timer deadline;
    bool ssl_ready, reading, lower_reading, lower_busy, reported, resumed;
    bool broken; /* nothing can be written any more */
    bool shut, notified;
};

/* A stream over `lower`, which it owns from now on. NOMEM: it does not. A client's begins to speak
 * with ad__tls_begin. */
AD_MUST_CHECK enum ad_err ad__tls_new(struct ad__tls_side *side, struct ad__tls_conf *conf,
                                      struct ad_stream *lower, unsigned handshake_ms,
                                      struct ad__tls **out);
/* mbedTLS's part of it. NOMEM. */
AD_MUST_CHECK enum ad_err ad__tls_setup(struct ad__tls *t);
void ad__tls_begin(struct ad__tls *t);

#endif
