/* Records: Attio's calls about them, typed, with the version each answer carries.
 *
 * Answers are delivered element by element as parsed documents (attio/mirror.h takes them), never as one document of a page. */
#ifndef AD_ATTIO_RECORDS_H
#define AD_ATTIO_RECORDS_H

#include "attio/client.h"
#include "attio/schema.h"
#include "attio/version.h"

struct ad_records; /* opaque: client + versions */

AD_MUST_CHECK enum ad_err ad_records_open(struct ad_client *client, struct ad_versions *versions, struct ad_records **out);
void ad_records_close(struct ad_records *r); /* every operation must have called back */

struct ad_records_op;
typedef void (*ad_records_cb)(struct ad_records_op *op);

struct ad_records_op {
    /* set by the caller */
    const struct ad_object *object;
    enum ad_priority priority;
    ad_records_cb cb;
    void *data;
    /* result */
    enum ad_err err; /* as ad_call; TOOLARGE when Attio finds the query too complex or too long (halve it) */
    struct ad_errinfo info;
    int64_t version;       /* taken when the answered try was sent */
    uint64_t sent_ms;      /* monotonic, same moment */
    int64_t accurate_ns;
    struct ad_str response; /* whole answer text, valid during cb: hand it to ad_mirror_apply_page, or read with ad_json_each(…, "data") */
    unsigned status;
    /* private */
    void *impl;
};

/* POST /v2/objects/{object}/records/query, filter record_id $in; ids need not live past the call. At most 500 ids. */
AD_MUST_CHECK enum ad_err ad_records_by_ids(struct ad_records *r, struct ad_records_op *op, const struct ad_str *ids, size_t n);

/* A page in the order of creation: created_at >= from (absent: from the beginning), ascending. */
struct ad_records_page {
    struct ad_str from; /* RFC 3339, as Attio gave it */
    unsigned limit, offset;
};
AD_MUST_CHECK enum ad_err ad_records_page(struct ad_records *r, struct ad_records_op *op, const struct ad_records_page *page);
/* GET one; the answer is {"data": record}. NOTFOUND, MERGING. */
AD_MUST_CHECK enum ad_err ad_records_get(struct ad_records *r, struct ad_records_op *op, struct ad_str record_id);
void ad_records_cancel(struct ad_records *r, struct ad_records_op *op);

#endif
