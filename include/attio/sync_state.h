/* Where each object's full sync stands, in SQL: checkpoint per page, history of runs. */
#ifndef AD_ATTIO_SYNC_STATE_H
#define AD_ATTIO_SYNC_STATE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct ad_store;
struct ad_sync_state; /* opaque */

enum ad_sync_phase {
    AD_SYNC_IDLE,
    AD_SYNC_WALK,
    AD_SYNC_TAIL,
    AD_SYNC_DONE = 4, /* as it is in SQL; 3 was a phase that is no more */
    AD_SYNC_FAILED
};
const char *ad_sync_phase_name(enum ad_sync_phase p);

/* One run. `key` and `offset` are the place of the walk: the last created_at seen, and how far
 * into a tie. */
struct ad_sync_run {
    int64_t id; /* given by the caller, from ad_versions_next: unique and rising */
    struct ad_str object_id, object_slug;
    enum ad_sync_phase phase;
    char key[40];
    unsigned offset;
    int64_t version; /* of the first page */
    int64_t started_ns, finished_ns;
    int64_t pages, seen, created, updated, unchanged, deleted, calls;
    char error[192]; /* why it failed, or what it waits for */
    bool dry_run;    /* kept in memory only: SQL is as if it had never been */
};

AD_MUST_CHECK enum ad_err ad_sync_state_open(struct ad_store *store, struct ad_sync_state **out);
void ad_sync_state_close(struct ad_sync_state *s);

struct ad_sync_save;
struct ad_sync_save {
    /* set by the caller */
    struct ad_sync_run *run; /* copied, but for object_id and object_slug, which live until cb */
    void (*cb)(struct ad_sync_save *s);
    void *data;
    /* result */
    enum ad_err err;
    struct ad_errinfo info;
    /* private */
    void *impl;
};
/* Inserts or updates the run by its id: the checkpoint. Asked for when the page's rows have been
 * reported written, it never claims more than is there. OK: cb comes exactly once, later. */
AD_MUST_CHECK enum ad_err ad_sync_save(struct ad_sync_state *st, struct ad_sync_save *s);
/* The same for a dry run: at once, and without SQL; the newest 16 are kept. */
void ad_sync_keep_dry(struct ad_sync_state *st, const struct ad_sync_run *run);
/* The newest run of an object, whatever its phase: to resume it, or to know that it was complete
 * (synchronous, start-up). NOTFOUND when there is none. Slices go to arena. */
AD_MUST_CHECK enum ad_err ad_sync_newest(struct ad_sync_state *st, struct ad_str object_id,
                                         struct ad_arena *arena, struct ad_sync_run *out);

struct ad_sync_list {
    /* set by the caller */
    /* A JSON array of the newest 50 runs is appended: id, object, object_id, phase, dry_run,
     * started_at, finished_at, pages, seen, expected (as many as the last complete run saw, or
     * null), created, updated, unchanged, deleted, calls, position, error */
    struct ad_buf *out;
    void (*cb)(struct ad_sync_list *l);
    void *data;
    /* result */
    enum ad_err err;
    struct ad_errinfo info;
    /* private */
    void *impl;
};
AD_MUST_CHECK enum ad_err ad_sync_list(struct ad_sync_state *st, struct ad_sync_list *l);

#endif
