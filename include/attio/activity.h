/* Pages of what is neither record nor entry: notes, tasks, comments, workspace members. One of them by
 * its id is ad_records_get; operation, version, cancel and errors are records.h's.
 *
 * These pages go by offset over live data, and Attio promises no order but that of tasks: whoever
 * walks through them must expect to see one twice or not at all. A page with fewer `items` than
 * `limit` is the last. */
#ifndef AD_ATTIO_ACTIVITY_H
#define AD_ATTIO_ACTIVITY_H

#include "attio/records.h"

/* Attio's highest limits; that of tasks is its default, a highest one is not documented. */
#define AD_ACTIVITY_NOTES_MAX 50
#define AD_ACTIVITY_TASKS_MAX 500
#define AD_ACTIVITY_THREADS_MAX 50

struct ad_activity_page {
    unsigned limit, offset; /* limit: 1 up to the above; members have no pages: not looked at */
};

/* GET /v2/notes, /v2/tasks (oldest first) or /v2/workspace_members (all of them), by the kind of
 * op->object. INVALID: another kind, or a limit out of range. */
AD_MUST_CHECK enum ad_err ad_activity_page(struct ad_records *r, struct ad_records_op *op,
                                           const struct ad_activity_page *page);

/* GET /v2/threads of the record or entry `id` of `in` (an object or a list): Attio lists comments in
 * no other way. op->response is not Attio's text but its comments, {"data": [comment, ...]};
 * op->items counts the threads. op->object: that of comments. INVALID: `in` or `id` is none, a
 * limit out of range. */
AD_MUST_CHECK enum ad_err ad_activity_threads(struct ad_records *r, struct ad_records_op *op,
                                              const struct ad_object *in, struct ad_str id,
                                              const struct ad_activity_page *page);

#endif
