/* A whole installation in one process: attio-sim and attiod on one loop, connections in memory, time
 * turned by hand, the database in step with the loop. Nothing in it depends on anything but the
 * seed, so a run can be repeated exactly.
 *
 * attiod can be killed: what was committed is kept, everything else is lost, as at kill -9. */
#ifndef AD_TEST_TOWN_H
#define AD_TEST_TOWN_H

#include "app/app.h"
#include "infra/http_client.h"
#include "sim/sim.h"
#include "support/pair_dialer.h"
#include "support/world.h"

struct town {
    struct world w;
    struct ad_sim sim;
    struct pair_dialer to_sim, to_node; /* calls, the node's and ours; deliveries */
    struct ad_config config;
    struct ad_app *node; /* NULL: down */
    char dir[64], db[96];
    unsigned lives; /* of the node so far */
    /* our own requests to the simulator */
    struct ad_http_client *client;
    struct ad_http_call call;
    struct ad_arena arena;
    struct ad_buf answer;
    bool answered, closed;
    unsigned parts_open;
};

/* sync_period_ms 0: after the first one only events tell the node what changed. */
void town_open(struct town *t, uint64_t seed, unsigned sync_period_ms);
/* Fails the test when memory, a handle, a timer or a descriptor is left. */
void town_close(struct town *t);

void town_start(struct town *t);
void town_stop(struct town *t); /* in order */
void town_kill(struct town *t);

/* The simulator's answer, as a rule with time standing still; valid until the next one. NULL, status
 * 0: none that can be read (faults under /v2/ are also ours). */
const struct ad_json *town_ask(struct town *t, const char *method, const char *path,
                               const char *body, unsigned *status);
/* As town_ask with a body made like printf's; fails the test unless it is answered 200. */
const struct ad_json *town_tell(struct town *t, const char *path, const char *fmt, ...)
    AD_PRINTF(3, 4);

/* A mirror made from nothing: the workspace as another attiod, that was never disturbed, sees it.
 * Returns its database's path. */
const char *town_fresh(struct town *t, char path[128]);

#endif
