/* The fetcher: what events ask about becomes mirror rows by asking Attio once for many.
 *
 *   invocation -> job -> wants (ids, gathering per collection) -> one query by ids in flight
 *              -> mirror rows and the events they complete, in one transaction
 *
 * collection   an object, a list, or one of the built-in kinds: an ad_object
 * family       events of one sort, and how they are followed: a handler; handlers/ has them
 * job          one invocation: the events of one subject, and what they wait for
 * want         one id of one collection; jobs that want the same share it
 *
 * What the query does not show is confirmed by a GET (or by its own deleted event) and becomes a
 * tombstone; if it was merged away, what it became is looked at too. Notes, tasks, comments and
 * members cannot be queried by id: each is a GET. While Attio cannot be reached jobs simply wait, with growing pauses: an outage is not
 * the event's fault and leaves no failure rows. Answers older than what the mirror holds are refused
 * there, by version. What Attio refuses to show (a scope is missing) is tried again by the dispatcher,
 * and dead in the end; events of an object or list that is gone are done, and counted. */
#ifndef AD_SERVICE_PULL_H
#define AD_SERVICE_PULL_H

#include "attio/account.h"
#include "attio/merges.h"
#include "attio/mirror.h"
#include "attio/records.h"
#include "attiod/handler.h"
#include "base/rand.h"

struct ad_pull;
struct ad_pull_job;

/* All events of a subject are about the same id of the same collection: its own. */
struct ad_pull_family {
    const char *handler;      /* its name: stands in the database */
    const char *const *types; /* as in ad_handler */
    /* NULL: not known, or no more; asked again after a refresh of the schema. */
    const struct ad_object *(*collection)(const struct ad_schema *schema,
                                          const struct ad_handler_event *e);
    /* The own id; "" when the event is about nothing that is mirrored: it is done then. */
    const char *(*id)(const struct ad_handler_event *e);
    /* What this event means beyond "look at it": calls the functions below. */
    void (*follow)(struct ad_pull_job *job, const struct ad_handler_event *e);
};

/* Attio says that the own id is gone: a query that does not show it needs no GET. */
void ad_pull_said_gone(struct ad_pull_job *job);
/* Another id of the same collection was merged into the own one: that is remembered, then the job
 * also waits for the other's end. */
void ad_pull_merged(struct ad_pull_job *job, const char *old_id);

struct ad_pull_opts {
    const struct ad_pull_family *const *families; /* NULL-ended, at most AD_PULL_FAMILIES_MAX */
    struct ad_client *client;
    struct ad_schema *schema;
    struct ad_records *records;
    struct ad_mirror *mirror;
    struct ad_merges *merges;
    struct ad_account *account;
    struct ad_versions *versions;
    const struct ad_clock *clock;
    struct ad_timers *timers;
    struct ad_metrics *metrics;
    uint64_t seed;
};
#define AD_PULL_FAMILIES_MAX 4

AD_MUST_CHECK enum ad_err ad_pull_open(const struct ad_pull_opts *opts, struct ad_pull **out);
/* For registration: that of the i-th family; NULL when there are no more. */
const struct ad_handler *ad_pull_handler(const struct ad_pull *p, size_t i);
/* Gives up what waits (the events stay pending), lets store work end; done after the last
 * callback. Frees. */
void ad_pull_close(struct ad_pull *p, void (*done)(void *ctx), void *ctx);

#endif
