/* What the inbox's sources share: inbox.c (append, prune), inbox_work.c (load, settle),
 * inbox_query.c (operators); and the one statement that the mirror puts into its own
 * transactions. */
#ifndef AD_ATTIO_INBOX_PRIVATE_H
#define AD_ATTIO_INBOX_PRIVATE_H

#include "attio/inbox.h"
#include "infra/store.h"

/* One walk over old rows, from the oldest on. */
struct ad_inbox_pass {
    const struct ad_sql *sql;
    int64_t age_ns;
    int64_t seq; /* all up to this one were looked at */
    int64_t to;
    struct ad_counter *changed;
};

struct ad_inbox {
    struct ad_inbox_opts o;
    int64_t pending;   /* in SQL */
    int64_t appending; /* submitted, not yet answered */
    struct ad_gauge *g_pending;
    struct ad_timer prune_timer;
    struct ad_inbox_pass passes[2];
    unsigned pass;
    uint64_t rewound_ms;
    bool pruning, closed;
    struct ad_value values[2];
    struct ad_step step;
    struct ad_store_req req;
};

/* INSERT of one event. */
enum { AD_INBOX_INSERT_VALUES = 9 };
extern const struct ad_sql ad__inbox_insert_sql;
struct ad_inbox_row {
    struct ad_str key;
    size_t part;
    int64_t received_ns;
    enum ad_event_state state;
    const struct ad_event *event; /* NULL: body and reason below */
    struct ad_str body, reason;
};
void ad__inbox_insert_values(const struct ad_inbox_row *row,
                             struct ad_value values[AD_INBOX_INSERT_VALUES]);

/* $1: JSON array of seqs; all of them that are pending or in retry become done. */
extern const struct ad_sql ad__inbox_done_sql;
/* Appends [1,2,3]. The buffer's status tells of failure. */
AD_MUST_CHECK enum ad_err ad__inbox_write_seqs(struct ad_buf *out, const int64_t *seqs, size_t n);

void ad__inbox_count(struct ad_inbox *in, int64_t change);

#endif
