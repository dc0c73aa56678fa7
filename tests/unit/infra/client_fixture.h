/* For tests of the HTTP client: a client, and the server it talks to, played by hand over TCP or
 * over in-memory pairs. */
#ifndef AD_TEST_CLIENT_FIXTURE_H
#define AD_TEST_CLIENT_FIXTURE_H

#include "infra/http_client.h"

#include "support/pair.h"
#include "support/run.h"
#include "support/world.h"

enum { PEERS_MAX = 32, PEER_BYTES = 256 * 1024 };

/* One connection, seen from the server. */
struct peer {
    struct ad_stream *s;
    char got[PEER_BYTES];
    size_t got_n;
    bool over;
    struct ad_write write;
};

/* One call with everything it needs. */
struct call {
    struct ad_http_call c;
    struct ad_arena arena;
    struct ad_buf response;
    unsigned calls;
    void (*then)(struct call *call); /* run in the callback */
};

enum dial_mode { DIAL_OK, DIAL_FAILS, DIAL_HANGS, DIAL_REFUSED };

struct client_fixture {
    struct world w;
    struct ad_http_client *client;
    struct ad_http_client_opts opts; /* changed before open */
    bool closed;
    /* the server */
    bool tcp;
    struct ad_listener *listener;
    struct peer *peers[PEERS_MAX];
    unsigned peers_n;
    /* how pairs are dialed */
    struct ad_dialer dialer;
    enum dial_mode dial_mode;
    size_t chop;
    unsigned dials, dial_timeout_ms;
};

extern struct client_fixture f;

/* Opens world and server; the client comes with client_open. */
void fixture_open_pair(void);
void fixture_open_tcp(void);
void client_open(void);
/* Closes what the test has not closed. */
void fixture_close(void);
void client_close(void);

void call_init(struct call *call, const char *method, const char *path);
void call_fini(struct call *call);
void call_start(struct call *call);
void call_until_done(struct call *call);
/* init, start, and until the server has seen the whole request on peer i */
void call_until_asked(struct call *call, unsigned i);

void peer_until_asked(unsigned i);
void peer_send(unsigned i, struct ad_str bytes);
void peer_close(unsigned i);
void peer_reset(unsigned i);
unsigned peers_open(void);

#endif
