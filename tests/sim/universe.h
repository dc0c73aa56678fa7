/* attiod's service and Attio's simulator on one loop: connections in memory, a clock turned by hand,
 * the database on the loop's own thread. Nothing in it depends on the machine, so that a schedule made
 * from a seed runs the same each time.
 *
 *   universe_open(&u, &opts);  universe_start(&u);  universe_rest(&u, 3600);
 *   universe_ask(&u, "POST", "/_sim/edit", "{...}", NULL);
 *   universe_pass(&u, 5000);
 *   universe_crash(&u);        what was not committed is gone; it runs again
 *   universe_differences(&u, text);
 *   universe_close(&u); */
#ifndef AD_TEST_UNIVERSE_H
#define AD_TEST_UNIVERSE_H

#include "attio/client.h"
#include "base/json.h"
#include "infra/http_client.h"
#include "infra/http_server.h"
#include "infra/store.h"
#include "service/service.h"
#include "sim/sim.h"
#include "support/pair_dialer.h"
#include "support/world.h"

struct universe {
    struct world w;
    uint64_t seed;
    /* Attio */
    struct ad_sim sim;
    struct ad_sim_opts sim_opts;
    struct pair_dialer to_sim;   /* attiod's calls; `refuses` is an outage */
    struct ad_http_client *hand; /* the test's own calls */
    struct pair_dialer by_hand;
    /* attiod */
    struct pair_dialer to_hook; /* deliveries; refused while nobody is there */
    struct ad_http_server *hook;
    struct ad_registry *hook_routes;
    char folder[128];
    unsigned lives; /* each has its own file in the folder */
    struct ad_metrics *metrics;
    struct ad_store *store;
    struct ad_client *client;
    struct ad_versions *versions;
    struct ad_records *records;
    struct ad_webhook_secrets *secrets;
    struct ad_schema *schema;
    struct ad_inbox *inbox;
    struct ad_mirror *mirror;
    struct ad_merges *merges;
    struct ad_account *account;
    struct ad_sync_state *sync_state;
    struct ad_registry *handlers;
    struct ad_arena arena;
    struct ad_service *service;
};

/* `opts` of the simulator: dialer, key and slug are set here. */
void universe_open(struct universe *u, uint64_t seed, const struct ad_sim_opts *opts);
/* attiod comes up; returns at once. */
void universe_start(struct universe *u);
/* kill -9 at this instant, and a start from what was durable. */
void universe_crash(struct universe *u);
void universe_close(struct universe *u);

void universe_pass(struct universe *u, uint64_t ms);
/* Until nothing is on its way or pending, at most so many seconds of its time; false: something still
 * is. */
bool universe_rest(struct universe *u, unsigned seconds);
/* Runs a full sync of everything; false: it was refused. */
bool universe_sync(struct universe *u);

/* The status of the answer to a call of ours, 0 when there was none (faults spare only /_sim/); the body
 * into `out` unless that is NULL. */
unsigned universe_ask(struct universe *u, const char *method, const char *path, const char *body,
                      struct ad_buf *out);
/* How many rows and items are not equal in mirror and workspace; what they are into `out`. */
unsigned universe_differences(struct universe *u, struct ad_buf *out);

#endif
