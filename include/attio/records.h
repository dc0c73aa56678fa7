/* Attio's calls about records and whatever else the mirror holds, typed, with the version each answer
 * carries. What is asked follows from the kind of `object`: records of an object, entries of a list,
 * and one by one also notes, tasks, comments and workspace members (attio/activity.h has their
 * pages).
 *
 * An answer is checked before it is handed out: the whole of it is well-formed JSON and has "data"
 * of the right kind, so a caller may read it piece by piece and never stops in the middle of a
 * page. Garbage counts as a failed try and is asked for again. A page of records or entries is not
 * checked: ad_mirror_apply says PARSE. */
#ifndef AD_ATTIO_RECORDS_H
#define AD_ATTIO_RECORDS_H

#include "attio/client.h"
#include "attio/schema.h"
#include "attio/version.h"

struct ad_records; /* opaque: client + versions */

/* Ids of one query: what a page holds by default. */
#define AD_RECORDS_IDS_MAX 500

AD_MUST_CHECK enum ad_err ad_records_open(struct ad_client *client, struct ad_versions *versions,
                                          struct ad_records **out);
void ad_records_close(struct ad_records *r); /* every operation must have called back */

struct ad_records_op;
typedef void (*ad_records_cb)(struct ad_records_op *op);

/* Caller-owned from start to callback; zero it first. */
struct ad_records_op {
    /* set by the caller */
    const struct ad_object *object; /* the collection */
    enum ad_priority priority;
    struct ad_buf *into; /* as of ad_call */
    ad_records_cb cb;
    void *data;
    /* result */
    /* As ad_call. TOOLARGE: ask for less at once (the query is too complex or too long, the answer
     * too big; by_ids of several ids also when Attio said 400). STORE: no version could be had. */
    enum ad_err err;
    struct ad_errinfo info;
    int64_t version;     /* taken when the answered try was sent */
    uint64_t sent_ms;    /* monotonic, same moment */
    int64_t accurate_ns; /* x-accurate-at, 0 when absent */
    /* The whole answer, valid during cb or as long as `into` is: for ad_mirror_apply, or ad_json_each(..., "data"). */
    struct ad_str response;
    size_t items; /* elements of its data; threads: threads; 0 of get and of ad_records_page */
    unsigned status;
    /* private */
    void *impl;
};

/* POST /v2/objects/{object}/records/query, filter record_id $in; of a list entries/query and
 * entry_id, which Attio does not document as a filter: it may be refused, and then each is to be
 * got. ids need not live past the call. INVALID: none, more than AD_RECORDS_IDS_MAX, one that is no
 * UUID, or neither an object nor a list. All of these as ad_call_start: an error means that no
 * callback comes. */
AD_MUST_CHECK enum ad_err ad_records_by_ids(struct ad_records *r, struct ad_records_op *op,
                                            const struct ad_str *ids, size_t n);

/* A page of records or entries in the order of creation: created_at >= from (absent: from the
 * beginning), ascending. INVALID: neither an object nor a list. */
struct ad_records_page {
    struct ad_str from; /* RFC 3339, as Attio gave it */
    unsigned limit, offset;
    bool unsorted; /* in Attio's own order, which is not documented */
};
AD_MUST_CHECK enum ad_err ad_records_page(struct ad_records *r, struct ad_records_op *op,
                                          const struct ad_records_page *page);
/* GET one, of any kind; the answer is {"data": {...}}. NOTFOUND; MERGING (records). */
AD_MUST_CHECK enum ad_err ad_records_get(struct ad_records *r, struct ad_records_op *op,
                                         struct ad_str id);
/* The callback comes with CANCELED on a later turn. Harmless on an op that was zeroed or ended. */
void ad_records_cancel(struct ad_records *r, struct ad_records_op *op);

#endif
