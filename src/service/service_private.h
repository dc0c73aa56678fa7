/* The service layer's inside: what its sources share. Each part owns its state; this is the list
 * of them. */
#ifndef AD_SERVICE_PRIVATE_H
#define AD_SERVICE_PRIVATE_H

#include "attio/account.h"
#include "attio/gap.h"
#include "attio/inbox.h"
#include "attio/mirror.h"
#include "attio/records.h"
#include "attio/schema.h"
#include "attio/sync_state.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "dispatch.h"
#include "pull.h"
#include "service/service.h"

struct ad_sync;
struct ad_bringup;
struct ad_schema_watch;
struct ad_backups;
struct ad_watch;
struct ad_json_writer;

struct ad_ingest_state {
    struct ad_counter *accepted, *duplicate, *bad_signature, *malformed, *bad_key, *unavailable,
        *no_secret, *events;
    struct ad_histogram *ack;
    uint64_t say_ms;         /* quarantined deliveries: not logged before */
    unsigned unsaid;         /* and how many that were not */
    struct ad_arena scratch; /* of the delivery that is being decoded */
};

struct ad_service {
    struct ad_service_opts o;
    struct ad_dispatch *dispatch;
    struct ad_pull *pull;
    struct ad_schema_watch *schema_watch;
    struct ad_sync *sync;
    struct ad_bringup *bringup;
    struct ad_backups *backups;
    struct ad_watch *watch;
    struct ad_ingest_state ingest;
    char *receiver; /* public_url and the webhook's path; NULL without a public URL */
    const struct ad_handler *handlers[AD__HANDLERS_MAX];
    unsigned handlers_n;
    bool draining, closing;
    /* health's probe of Attio */
    struct ad_account_op probe;
    bool probing;
    uint64_t probed_ms;
    enum ad_err probe_err;
    void (*done)(void *ctx);
    void *done_ctx;
    unsigned closing_parts;
    unsigned questions; /* of the api's, under way: close waits for them */
};

/* bringup.c: identity, schema, webhook and first syncs, in the background, retried until they
 * succeed. */
AD_MUST_CHECK enum ad_err ad__bringup_open(struct ad_service *s, struct ad_bringup **out);
void ad__bringup_start(struct ad_bringup *b);
void ad__bringup_close(struct ad_bringup *b, void (*done)(void *ctx), void *ctx);
/* NULL when done; else what it is at, for status. */
const char *ad__bringup_step(const struct ad_bringup *b);

/* backup.c */
AD_MUST_CHECK enum ad_err ad__backups_open(struct ad_service *s, struct ad_backups **out);
void ad__backups_close(struct ad_backups *k, void (*done)(void *ctx), void *ctx);

/* webhook_watch.c */
AD_MUST_CHECK enum ad_err ad__watch_open(struct ad_service *s, struct ad_watch **out);
/* When bringup is over. */
void ad__watch_start(struct ad_watch *w);
void ad__watch_close(struct ad_watch *w, void (*done)(void *ctx), void *ctx);
/* What came of an ensure or rotate of somebody else. This one and the next not once the service is
 * closing: the watch does not wait for the questions that are under way. */
void ad__watch_saw(struct ad_watch *w, const struct ad_account_op *op);
/* Somebody noted a gap. */
void ad__watch_look(struct ad_watch *w);
/* The webhook is as it should be, and no events are missing, as far as we know. */
bool ad__watch_is_well(const struct ad_watch *w);
/* {"state", "status", "age_ms", "gap"} */
void ad__watch_write(const struct ad_watch *w, struct ad_json_writer *out);

/* handlers/schema.c: events that say that the schema changed; what follows when it did. */
AD_MUST_CHECK enum ad_err ad__schema_watch_open(struct ad_service *s, struct ad_schema_watch **out);
const struct ad_handler *ad__schema_watch_handler(const struct ad_schema_watch *w);
/* Once workspace and schema are known. */
void ad__schema_watch_start(struct ad_schema_watch *w);
void ad__schema_watch_close(struct ad_schema_watch *o, void (*done)(void *ctx), void *ctx);

/* sync.c */
AD_MUST_CHECK enum ad_err ad__sync_open(struct ad_service *s, struct ad_sync **out);
/* Before the loop runs: what SQL knows of earlier runs. */
void ad__sync_load(struct ad_sync *y);
/* Once the schema is known: resumes unfinished runs and starts objects that never had a complete
 * one, where configured; and the period begins. */
void ad__sync_on_start(struct ad_sync *y);
/* The mirror says that a full sync of it is needed. False: it is none that we sync. */
bool ad__sync_wanted(struct ad_sync *y, const struct ad_object *o);
void ad__sync_close(struct ad_sync *y, void (*done)(void *ctx), void *ctx);
size_t ad__sync_active(const struct ad_sync *y);

/* ingest.c */
void ad__ingest_open(struct ad_service *s);
void ad__ingest_close(struct ad_service *s);
/* service.c: a question that the api asked is under way until its callback has returned. None may
 * begin once the service is closing: CLOSED. */
static inline void ad__question_begin(struct ad_service *s)
{
    AD_ASSERT(!s->closing);
    s->questions++;
}
void ad__question_end(struct ad_service *s);
/* service.c: one of those that ad_service_close waits for has ended. */
void ad__part_closed(void *ctx);

#endif
