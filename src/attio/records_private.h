/* One operation of records.h or activity.h on its way: what both files share. */
#ifndef AD_ATTIO_RECORDS_PRIVATE_H
#define AD_ATTIO_RECORDS_PRIVATE_H

#include "attio/records.h"
#include "base/buf.h"

/* What data must be for an answer to be one. */
enum answer_shape {
    SHAPE_MANY,    /* an array of objects */
    SHAPE_PAGE,    /* left to who reads it */
    SHAPE_ONE,     /* an object */
    SHAPE_THREADS, /* an array of objects with an array "comments" of objects */
};

struct op_impl {
    struct ad_records *records;
    struct ad_records_op *op;
    struct ad_call call;
    struct ad_buf path, body;
    size_t ids_n; /* of by_ids */
    enum answer_shape shape;
    size_t items;           /* elements of the answer's data */
    struct ad_buf comments; /* SHAPE_THREADS: the answer made a page of comments */
};

/* A reading call without path, body and method, or NULL: no memory. */
struct op_impl *ad__records_op_new(struct ad_records *r, struct ad_records_op *op);
/* Sends what was written; on an error it is freed. */
AD_MUST_CHECK enum ad_err ad__records_op_start(struct op_impl *impl);
/* activity.c: each element of SHAPE_THREADS. */
AD_MUST_CHECK enum ad_err ad__thread_check(void *ctx, const struct ad_json *thread);
/* activity.c: impl->comments from the answer, whose shape is known to be right. */
AD_MUST_CHECK enum ad_err ad__threads_flatten(struct op_impl *impl, struct ad_str response);

#endif
