/* The public C API for event handlers: what an outsider includes to act on Attio events inside
 * attiod.
 *
 * A handler is registered before the server runs (src/handlers/README.md shows one from first
 * line to last). attiod calls `run` on its loop thread with an invocation: one event
 * (AD_HANDLER_EACH), or all pending events of one subject (AD_HANDLER_LATEST). The handler must
 * not block; it finishes by calling ad_invocation_done exactly once, in `run` or at any later
 * time on the loop thread. Events and their strings are valid until then.
 *
 * Handlers run at least once: after a crash, or a replay by an operator, the same event comes
 * again; ids tell. Order holds per (handler, subject): a failing event holds back this handler's
 * later events of that subject and nothing else. */
#ifndef ATTIOD_HANDLER_H
#define ATTIOD_HANDLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Rises when this file changes incompatibly. */
#define AD_HANDLER_ABI 2

/* Strings end with NUL and are never NULL; ids that the event type does not carry are "". */
struct ad_handler_event {
    int64_t id;          /* place in the inbox: unique, rising with arrival */
    int64_t received_ns; /* wall clock, nanoseconds since 1970 */
    unsigned attempt;    /* 1 on the first try of this handler */
    const char *type;    /* "record.updated" */
    const char *subject; /* "record:<record_id>" */
    const char *workspace_id;
    const char *object_id;
    const char *object; /* slug of object_id, "" while unknown */
    const char *record_id;
    const char *duplicate_record_id; /* record.merged */
    const char *attribute_id;
    const char *list_id;
    const char *entry_id;
    const char *primary_id; /* the event's own id, whatever its kind */
    const char *actor_type; /* "workspace-member", "api-token", "system", "app" */
    const char *actor_id;
    const char *body; /* the event's JSON as Attio sent it */
    size_t body_n;
};

struct ad_invocation; /* opaque */

enum ad_handler_mode {
    AD_HANDLER_EACH,   /* one event a call */
    AD_HANDLER_LATEST, /* all pending events of a subject in one call, completed together */
};

enum ad_outcome {
    AD_OUTCOME_DONE,
    AD_OUTCOME_RETRY, /* again after a growing pause, until max_attempts: then dead */
    AD_OUTCOME_DEAD,  /* never again unless an operator replays it */
};

struct ad_handler {
    unsigned abi; /* AD_HANDLER_ABI */
    enum ad_handler_mode mode;
    const char *name; /* unique; stands in logs, metrics and the database: do not rename lightly */
    const char *const *types; /* "record.updated", "record.*", "*"; NULL-ended */
    /* Predicates; NULL: any. An event that does not match is none of this handler's. */
    const char *object; /* slug or id */
    const char *list_id;
    const char *attribute_id;
    const char *actor_type;
    unsigned concurrency; /* invocations at once; 0: 16 */
    /* A call that is not done by then counts as RETRY, and its events are no longer valid; 0: 30000;
     * UINT_MAX: none. Shutdown waits 3 s for calls under way; then it is the same. */
    unsigned timeout_ms;
    unsigned max_attempts; /* 0: 8; UINT_MAX: no end */
    /* First pause, doubled each time with full jitter up to an hour; 0: 1000. */
    unsigned retry_base_ms;
    void (*run)(void *ctx, struct ad_invocation *inv);
    void *ctx;
    /* It can do nothing without Attio: its events wait while ATTIO_ENABLED is false. The others go
     * on. */
    bool needs_attio;
};

/* What the invocation is about. */
size_t ad_invocation_count(const struct ad_invocation *inv);
const struct ad_handler_event *ad_invocation_event(const struct ad_invocation *inv, size_t i);
/* The handler's own pointer for the time of the invocation. */
void ad_invocation_set_data(struct ad_invocation *inv, void *data);
void *ad_invocation_data(const struct ad_invocation *inv);
/* Ends it; `why` (may be NULL) is shown to operators with a retry or dead event: no personal
 * data in it. A second call for the same invocation is ignored and counted, as is one after the
 * time-out. */
void ad_invocation_done(struct ad_invocation *inv, enum ad_outcome outcome, const char *why);

#endif
