/* The SQL copy of Attio's records: typed tables named by object id, views named by slug (spec.md section 8).
 *
 * attiod_o_<object_id> holds one typed column per attribute id, the key (_workspace_id, record_id), created_at and the system columns _version _accurate_at _synced_at
 * _deleted_at _raw; the view <slug> shows columns by slug, with flattened columns and aliases; <slug>_live hides deleted rows. Table and views follow the schema
 * while running.
 *
 * The rule of versions, in SQL: a row is replaced only by an answer with a higher version whose x-accurate-at is not older than the row's; tombstones keep their
 * version. Unchanged rows cost no write beyond their version (nothing at all when `_raw` is equal: then only the events are settled). */
#ifndef AD_ATTIO_MIRROR_H
#define AD_ATTIO_MIRROR_H

#include "attio/inbox.h"
#include "attio/schema.h"

struct ad_mirror; /* opaque */

struct ad_mirror_opts {
    struct ad_store *store;
    struct ad_schema *schema;
    struct ad_inbox *inbox; /* told what its transactions settled */
    const struct ad_clock *clock;
    struct ad_metrics *metrics;
};
AD_MUST_CHECK enum ad_err ad_mirror_open(const struct ad_mirror_opts *opts, struct ad_mirror **out, struct ad_errinfo *info);
void ad_mirror_close(struct ad_mirror *m); /* every operation must have called back */

struct ad_mirror_op;
typedef void (*ad_mirror_cb)(struct ad_mirror_op *op);

/* Caller-owned from start to callback. Brings the object's table up to the schema first, when its generation changed. */
struct ad_mirror_op {
    /* set by the caller */
    const struct ad_object *object;
    int64_t version;
    int64_t accurate_ns;      /* 0: unknown */
    struct ad_str workspace_id;
    bool bulk;                /* sync: chunks of 50 rows, behind everything else */
    /* Events whose handling these rows complete: their settling shares the transaction. With several chunks, the last one carries them. */
    const int64_t *done;
    size_t done_n;
    ad_mirror_cb cb;
    void *data;
    /* result */
    enum ad_err err;
    struct ad_errinfo info;
    unsigned seen, created, updated, unchanged, stale; /* of the records given */
    /* Called for every record of the page before it is queued; may be NULL. id and created_at are valid during the call. */
    void (*on_record)(struct ad_mirror_op *op, struct ad_str record_id, struct ad_str created_at);
    /* private */
    void *impl;
};

/* All records of an answer text {"data": [record, ...]} or {"data": record}. The text is copied as far as needed: it may go after the call returns. */
AD_MUST_CHECK enum ad_err ad_mirror_apply(struct ad_mirror *m, struct ad_mirror_op *op, struct ad_str response);
/* Marks records deleted at `version` (kept 30 days); ids need not live past the call. Unknown ids get a tombstone row too, so that a late older answer cannot bring them back. */
AD_MUST_CHECK enum ad_err ad_mirror_delete(struct ad_mirror *m, struct ad_mirror_op *op, const struct ad_str *ids, size_t n);
/* Only settles op->done (the record's object is not mirrored, or nothing is to be written). */
AD_MUST_CHECK enum ad_err ad_mirror_settle(struct ad_mirror *m, struct ad_mirror_op *op);

struct ad_mirror_scan;
typedef void (*ad_mirror_scan_cb)(struct ad_mirror_scan *s);
/* Live rows older than `version` with created_at in [from, to): candidates for deletion after a sync page that did not show them. Keyset by record_id. */
struct ad_mirror_scan {
    const struct ad_object *object;
    struct ad_str workspace_id;
    int64_t version;
    struct ad_str from, to; /* RFC 3339 as stored; absent: open */
    struct ad_str after;    /* record_id; absent: from the first */
    unsigned max;
    ad_mirror_scan_cb cb;
    void *data;
    enum ad_err err;
    struct ad_errinfo info;
    const struct ad_str *ids; /* valid during cb */
    size_t ids_n;
    bool more;
    /* private */
    void *impl;
};
AD_MUST_CHECK enum ad_err ad_mirror_scan(struct ad_mirror *m, struct ad_mirror_scan *s);

struct ad_mirror_count {
    const struct ad_object *object;
    void (*cb)(struct ad_mirror_count *c);
    void *data;
    enum ad_err err;
    struct ad_errinfo info;
    int64_t live, deleted;
    void *impl;
};
AD_MUST_CHECK enum ad_err ad_mirror_count(struct ad_mirror *m, struct ad_mirror_count *c);

#endif
