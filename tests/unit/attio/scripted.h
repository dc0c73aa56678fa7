/* A server on loopback that answers as a script says, and remembers what it was asked.
 *
 *   scripted_open(&sv, &w);
 *   scripted_say(&sv, 200, "{\"data\":{}}");           the first request
 *   scripted_say(&sv, 429, "{}")->headers = "Retry-After: 3\r\n";
 *   sv.decide = on_request;                             or a function that decides each answer
 *
 * The last line of the script answers everything that follows. */
#ifndef AD_TEST_SCRIPTED_H
#define AD_TEST_SCRIPTED_H

#include "base/str.h"
#include "infra/net.h"

#include "support/world.h"

enum act {
    ACT_ANSWER,
    ACT_HANG,       /* reads the request and says nothing */
    ACT_HANG_UP,    /* reads the request and closes */
    ACT_HALF,       /* half of the answer, then closes */
    ACT_GARBAGE,    /* bytes that are no HTTP */
    ACT_RAW,        /* `body` as it is */
    ACT_THEN_CLOSE, /* a whole answer that promises to stay, then closes */
};

struct answer {
    enum act act;
    unsigned status;
    const char *headers; /* more lines, each ended; NULL: none */
    const char *body;
    unsigned delay_ms;
};

enum { REQUESTS_MAX = 512, SCRIPT_MAX = 64, REQUEST_BYTES = 8192 };

struct request {
    char line[256]; /* "GET /v2/self" */
    char body[REQUEST_BYTES];
    char head[1024];
    uint64_t at_ms;
    unsigned connection;
};

struct scripted {
    struct world *w;
    struct ad_listener *listener;
    char url[64]; /* "http://127.0.0.1:40217" */
    struct ad_list connections;
    struct answer script[SCRIPT_MAX];
    unsigned script_n;
    void (*decide)(struct scripted *sv, const struct request *r, struct answer *out);
    void *data;
    struct request *requests; /* REQUESTS_MAX */
    unsigned n;               /* requests so far */
    unsigned accepted;
    unsigned in_flight, most_in_flight;
};

void scripted_open(struct scripted *sv, struct world *w);
void scripted_close(struct scripted *sv);
struct answer *scripted_say(struct scripted *sv, unsigned status, const char *body);
struct answer *scripted_do(struct scripted *sv, enum act act);
/* Closes all connections, as a server does that restarts. */
void scripted_drop(struct scripted *sv);
/* Stops listening: connections are refused from now on. */
void scripted_refuse(struct scripted *sv);

#endif
