/* A TLS client and a TLS server, joined by a pair of streams in memory. */
#ifndef AD_TEST_TLS_FIXTURE_H
#define AD_TEST_TLS_FIXTURE_H

#include "infra/tls.h"

#include "support/certs.h"
#include "support/pair.h"
#include "support/world.h"

struct tls_end {
    struct ad_stream *s; /* the TLS stream; NULL: none, or closed */
    struct ad_buf got;
    bool over;
    enum ad_err end;
    struct ad_write w;
    bool leaves; /* closes when it reads the end, as owners do */
};

struct tls_fixture {
    struct world w;
    struct ad_metrics *metrics;
    struct ad_tls_client *client;
    struct ad_tls_server *server;
    struct ad_dialer below; /* makes a pair: one end for the client, one for the server */
    struct ad_dial *asked;
    struct ad_post post;
    bool no_server; /* the server's end stays plain, for the test to play the peer */
    bool fork;      /* the lower dial does not answer */
    void (*on_pair)(struct tls_fixture *f); /* may set faults before the first byte */
    struct ad_stream *lower[2];             /* pair ends: client's, server's */
    size_t fail_at, fail_times;             /* see tls_fail_from_pair */
    bool fails;
    bool accepted; /* by tls_accept: the client's end is the test's */

    struct ad_dial dial;
    unsigned dialed; /* callbacks of the dial */
    enum ad_err err;
    struct tls_end c, s;
};

extern struct tls_fixture f;

/* With the certificate <name>.pem and its key on the server; the client trusts ca.pem. */
void tls_open(const char *name);
void tls_close_all(void);
/* Closes both streams and runs until they are gone, so that one can dial again. */
void tls_hang_up(void);
void tls_new_client(const struct ad_tls_client_opts *opts);
void tls_new_server(const char *cert, const char *key);
/* Begins to connect to `host`, port 443, and does not wait. */
void tls_dial(const char *host, unsigned timeout_ms);
/* The same and waits for the callback. */
enum ad_err tls_connect(const char *host);
/* A connection to the server whose other end, lower[0], is the test's. */
void tls_accept(void);
/* `text` is a constant; what was said before has gone out. */
void tls_say(struct tls_end *from, const char *text);
/* The same, where that may fail. */
void tls_try_to_say(struct tls_end *from, const char *text);
/* heap_fail, from the moment on that the next pair is there. */
void tls_fail_from_pair(size_t n, size_t times);
void tls_until_got(struct tls_end *at, const char *text);
/* The counter of handshakes. */
uint64_t tls_count(const char *side, const char *outcome);

#endif
