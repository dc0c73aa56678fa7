/* The service layer as one object: what the product does. No HTTP, no SQL, no sockets.
 *
 * Data's way in one line: ingest -> inbox -> dispatch -> handlers (pull, yours) -> records ->
 * mirror. */
#ifndef AD_SERVICE_SERVICE_H
#define AD_SERVICE_SERVICE_H

#include "base/clock.h"
#include "base/metric.h"
#include "base/registry.h"
#include "base/timer.h"

struct ad_account;
struct ad_audit;
struct ad_client;
struct ad_inbox;
struct ad_merges;
struct ad_mirror;
struct ad_records;
struct ad_schema;
struct ad_store;
struct ad_sync_state;
struct ad_versions;
struct ad_webhook_secrets;

struct ad_service; /* opaque */

struct ad_service_opts {
    const struct ad_clock *clock;
    struct ad_timers *timers;
    struct ad_metrics *metrics;
    /* for event handlers: the built-in ones are registered at open; app seals it before start */
    struct ad_registry *registry;
    struct ad_client *client;
    struct ad_schema *schema;
    struct ad_records *records;
    struct ad_mirror *mirror;
    struct ad_merges *merges;
    struct ad_inbox *inbox;
    struct ad_account *account;
    struct ad_audit *audit;
    struct ad_webhook_secrets *secrets;
    struct ad_sync_state *sync_state;
    struct ad_versions *versions;
    struct ad_store *store;           /* only handed down: backup and upkeep */
    bool (*store_failing)(void *ctx); /* for readiness */
    void *store_ctx;
    uint64_t seed;
    /* from configuration */
    const char *public_url;            /* NULL: no webhook is registered by us */
    const char *const *webhook_events; /* NULL: all */
    unsigned webhook_watch_ms;         /* between two looks at our webhook; 0: 300000 */
    int64_t webhook_gap_ms;            /* nobody there for so long: events may be missing; 0: not */
    const char *const *sync_objects;   /* slugs; NULL: all objects */
    bool sync_comments; /* comments are among what is synced: a call for each record and entry */
    bool sync_on_start; /* objects never synced completely are synced, unfinished runs resumed */
    unsigned sync_period_ms; /* 0: only on demand */
    unsigned tombstone_days; /* then they are pruned; 0: never */
    unsigned window_max;     /* events held in memory by the dispatcher */
    /* A command's, without a server: coming up ends with the schema, no event is dispatched, no
     * webhook and no sync is begun by itself. */
    bool offline;
    struct ad_arena *arena; /* lives as long as the service */
};

AD_MUST_CHECK enum ad_err ad_service_open(const struct ad_service_opts *opts,
                                          struct ad_service **out, struct ad_errinfo *info);
/* Registers a handler (attiod/handler.h) before start: INVALID naming what is missing or unknown
 * in it, CONFLICT for a second one of its name. At most 64. */
AD_MUST_CHECK enum ad_err ad_service_handler(struct ad_service *s, const struct ad_handler *handler,
                                             struct ad_errinfo *info);
/* After the registry is sealed and the loop is about to run: dispatch begins; identity, schema,
 * webhook and first sync come up in the background and are retried (nothing of that when the
 * client is disabled: webhooks are stored, handlers that need Attio wait, the others run). */
void ad_service_start(struct ad_service *s);
/* True when coming up is over, or there is nothing to come up for (switched off). Until then *err is
 * why its last try failed, AD_OK when none has, and *detail says it in words, valid until the next
 * try. */
bool ad_service_is_up(const struct ad_service *s, enum ad_err *err, const char **detail);
/* Readiness drops. */
void ad_service_drain(struct ad_service *s);
/* Stops taking up work, lets what is under way end (cancelled where it waits for Attio), done
 * after the last callback. Unfinished events stay pending in SQL. Frees. */
void ad_service_close(struct ad_service *s, void (*done)(void *ctx), void *ctx);

#endif
