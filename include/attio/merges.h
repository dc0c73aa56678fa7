/* Which record became which, as events said: table attiod_merge, kept for good.
 *
 * Attio has merged in two ways: the duplicate's data moved into a survivor; or both originals gave
 * way to a new record, with an event for each. Both are "old -> new" here. A new record may be
 * merged again: what is found is the end of the chain. */
#ifndef AD_ATTIO_MERGES_H
#define AD_ATTIO_MERGES_H

#include "base/err.h"
#include "base/str.h"

struct ad_clock;
struct ad_store;
struct ad_merges; /* opaque */

/* Ids looked for at once. */
#define AD_MERGES_FIND_MAX 500

AD_MUST_CHECK enum ad_err ad_merges_open(struct ad_store *store, const struct ad_clock *clock,
                                         struct ad_merges **out);
void ad_merges_close(struct ad_merges *m); /* every operation must have called back */

struct ad_merge_put;
typedef void (*ad_merge_put_cb)(struct ad_merge_put *p);
/* Caller-owned from start to callback, as are the slices. */
struct ad_merge_put {
    /* set by the caller */
    struct ad_str workspace_id, object_id;
    struct ad_str old_id, new_id;
    ad_merge_put_cb cb;
    void *data;
    /* result */
    enum ad_err err; /* the store's */
    struct ad_errinfo info;
    /* private */
    void *impl;
};
/* Durable when cb says OK; saying it again changes nothing, a later word about the same old record
 * counts. OK: cb comes exactly once, later. INVALID (an id that is none, or old is new), NOMEM,
 * CLOSED: it does not. */
AD_MUST_CHECK enum ad_err ad_merges_put(struct ad_merges *m, struct ad_merge_put *p);

struct ad_merge {
    struct ad_str old_id, new_id;
};
struct ad_merge_find;
typedef void (*ad_merge_find_cb)(struct ad_merge_find *f);
struct ad_merge_find {
    /* set by the caller; slices live until cb */
    struct ad_str workspace_id, object_id;
    ad_merge_find_cb cb;
    void *data;
    /* result */
    enum ad_err err;
    struct ad_errinfo info;
    const struct ad_merge *merges; /* of those ids that were merged away; valid during cb */
    size_t merges_n;
    /* private */
    void *impl;
};
/* `ids` need not live past the call. INVALID: more than AD_MERGES_FIND_MAX, or one that is none. */
AD_MUST_CHECK enum ad_err ad_merges_find(struct ad_merges *m, struct ad_merge_find *f,
                                         const struct ad_str *ids, size_t n);

#endif
