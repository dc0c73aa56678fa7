/* The pull handler: record events become mirror rows by asking Attio once for many.
 *
 *   invocation -> job -> wants (record ids, gathering per object) -> one query by ids in flight
 *              -> mirror rows and the events they complete, in one transaction
 *
 * A record that the query does not show is confirmed by a GET (or by its own record.deleted
 * event) and becomes a tombstone. While Attio cannot be reached jobs simply wait, with growing
 * pauses: an outage is not the event's fault and leaves no failure rows. Answers older than what
 * the mirror holds are refused there, by version. */
#ifndef AD_SERVICE_PULL_H
#define AD_SERVICE_PULL_H

#include "attio/account.h"
#include "attio/mirror.h"
#include "attio/records.h"
#include "attiod/handler.h"
#include "base/rand.h"

struct ad_pull;

struct ad_pull_opts {
    struct ad_client *client;
    struct ad_schema *schema;
    struct ad_records *records;
    struct ad_mirror *mirror;
    struct ad_account *account;
    struct ad_versions *versions;
    const struct ad_clock *clock;
    struct ad_timers *timers;
    struct ad_metrics *metrics;
    uint64_t seed;
};

AD_MUST_CHECK enum ad_err ad_pull_open(const struct ad_pull_opts *opts, struct ad_pull **out);
/* For registration: "mirror", on record.*. */
const struct ad_handler *ad_pull_handler(const struct ad_pull *p);
/* Gives up what waits (the events stay pending), lets store work end; done after the last
 * callback. Frees. */
void ad_pull_close(struct ad_pull *p, void (*done)(void *ctx), void *ctx);

#endif
