/* TLS 1.2 and 1.3 as a stream over a stream: whoever holds one writes and reads plain bytes.
 *
 *   owner <-- plain --> TLS stream <-- records --> lower stream (TCP, or a pair in tests)
 *
 * The TLS stream owns the lower one. What infra/stream.h promises holds, with two things more to
 * know. The peer's close_notify is the orderly end (CLOSED); a connection that ends without it was
 * cut and reads as NETWORK, a damaged or forged record as TLS. And bytes that a write took are
 * handed on as records; closing sends our close_notify, but waits for nobody to take it.
 *
 * Handshakes are bounded in time, their buffers in bytes. Records need about 34 KiB a connection
 * while it lives (mbedTLS keeps two buffers of the largest record); the buffers on our side of it
 * are given back whenever they run empty, and a connection to a server that has not said anything
 * yet costs none of this.
 *
 * Renegotiation is off; forward secrecy and authenticated ciphers only.
 *
 * Metrics: attiod_tls_handshakes_total{side="client"|"server",outcome}: full, resumed, refused (the
 * peer's certificate, or ours by the peer's alert), plain (no TLS at all), timeout, cut (the
 * connection ended in it), failed (the rest). */
#ifndef AD_INFRA_TLS_H
#define AD_INFRA_TLS_H

#include "base/metric.h"
#include "infra/net.h"

/* --- client --- */

/* Trust and remembered sessions for outgoing connections. */
struct ad_tls_client; /* opaque */

/* Debian's, kept by its package ca-certificates. */
#define AD_TLS_TRUST_FILE "/etc/ssl/certs/ca-certificates.crt"

struct ad_tls_client_opts {
    const char
        *trust_file; /* PEM certificates of authorities, read once; NULL: AD_TLS_TRUST_FILE */
    /* A PEM certificate: exactly this one is believed, whatever name it has, and nothing else. For
     * programs that talk to themselves. Then trust_file is not read. May be NULL. */
    const char *pin_file;
    struct ad_metrics *metrics; /* may be NULL */
    struct ad_dialer *below;    /* how to connect; NULL: TCP */
};

/* CONFIG, naming the file, when it is missing, unreadable or holds no certificate; NOMEM. */
AD_MUST_CHECK enum ad_err ad_tls_client_open(struct ad_loop *loop,
                                             const struct ad_tls_client_opts *opts,
                                             struct ad_tls_client **out, struct ad_errinfo *info);
/* Wipes the sessions. No dial may be under way, no stream of it open. NULL is allowed. */
void ad_tls_client_close(struct ad_tls_client *c);

/* Dials as infra/net.h says, hand shake included: the time allowed covers both, the stream handed
 * over is ready, nothing was sent on it. The server must show a certificate for the host dialled
 * (by name, or by address when that is one), now valid, and signed by an authority of the trust
 * file. Otherwise TLS, with what is wrong in info:
 *
 *   certificate of api.example.com expired on 2026-01-31
 *   certificate is for *.example.net, not for api.example.com
 *   certificate of api.example.com is self-signed
 *   certificate of api.example.com is not signed by a known authority
 *
 * NETWORK when the connection ended in the handshake, TIMEOUT, NOMEM.
 *
 * A session is kept for each origin (up to 8, an hour at most) and offered again, which spares the
 * next connection the expensive half of the handshake. */
struct ad_dialer *ad_tls_client_dialer(struct ad_tls_client *c);

/* --- server --- */

/* A certificate with its key, and the keys of session tickets. */
struct ad_tls_server; /* opaque */

struct ad_tls_server_opts {
    const char
        *cert_file; /* PEM: the server's certificate first, then what leads to its authority */
    const char *key_file;       /* PEM, unencrypted */
    unsigned handshake_ms;      /* 0: 7500. From the connection on; one that is later is cut */
    struct ad_metrics *metrics; /* may be NULL */
};

/* CONFIG, naming the file: missing, unreadable, not PEM, encrypted, or a key that is another
 * certificate's. NOMEM. The names of the files are copied. */
AD_MUST_CHECK enum ad_err ad_tls_server_open(struct ad_loop *loop,
                                             const struct ad_tls_server_opts *opts,
                                             struct ad_tls_server **out, struct ad_errinfo *info);
/* Reads both files again. New connections get the new certificate, open ones keep the one they
 * have. On any failure everything stays as it was. */
AD_MUST_CHECK enum ad_err ad_tls_server_reload(struct ad_tls_server *s, struct ad_errinfo *info);
/* No stream of it may be open. NULL is allowed. */
void ad_tls_server_close(struct ad_tls_server *s);

/* A TLS stream over an accepted one, at once: the owner starts to read, and the handshake happens
 * below it; one that fails or is late ends the stream (TLS, NETWORK, TIMEOUT). A peer that speaks
 * plain HTTP is told so in a plain 400. NOMEM: `lower` is the caller's still. */
AD_MUST_CHECK enum ad_err ad_tls_server_wrap(struct ad_tls_server *s, struct ad_stream *lower,
                                             struct ad_stream **out);

/* What is wrong, or will soon be, with a certificate and its key, without keeping them. */
struct ad_tls_check {
    bool key_open;   /* others than owner and group may read the key */
    int64_t until_s; /* end of the certificate's validity, Unix time */
    bool expired;
};
/* CONFIG as ad_tls_server_open. `info` names the file. */
AD_MUST_CHECK enum ad_err ad_tls_check_files(const char *cert_file, const char *key_file,
                                             struct ad_tls_check *out, struct ad_errinfo *info);
/* CONFIG when there is no certificate to be read in it. */
AD_MUST_CHECK enum ad_err ad_tls_check_trust(const char *trust_file, struct ad_errinfo *info);

#endif
