/* What the sources share that bring an answer to SQL:
 *
 *   mirror_answer.c  the answer's text into refs: id, creation time, raw text
 *   mirror_late.c    what unchanged answers showed, which their rows do not tell
 *   mirror_chunk.c   rows that are news into statements, a chunk at a time; written and counted
 *   mirror_apply.c   the way of an answer through all of them, batch after batch
 *
 *   text -> refs -> batch: what stands in SQL? -> new, changed, unchanged or stale
 *        -> chunks of the new and changed ones, written -> next batch -> counts
 *
 * Only what will be written is parsed, a chunk at a time; of the rest no more is read than id and
 * time, because it equals what was parsed once. */
#ifndef AD_ATTIO_MIRROR_APPLY_PRIVATE_H
#define AD_ATTIO_MIRROR_APPLY_PRIVATE_H

#include "mirror_private.h"

/* All of a sync page go together, unless they are large. */
#define CHUNKS 10

/* From CREATED on: to be written. */
enum fate {
    FATE_STALE,
    FATE_BEHIND, /* stale, and not because somebody asked later: Attio had shown a later state before */
    FATE_UNCHANGED,
    FATE_CREATED,
    FATE_UPDATED,
    FATE_DELETED
};

/* A record of the answer. */
struct ref {
    struct ad_map_node node; /* apply->batch */
    struct ad_str id, created_at, raw;
    int64_t created_ns;
    bool timed; /* created_ns is known */
    enum fate fate;
    unsigned step; /* of the chunk that writes it */
    bool again;    /* held to be new and was not */
};

/* --- Answer --- */

struct answer {
    enum ad_kind kind;
    struct ad_errinfo *info; /* the operation's */
    char *text;              /* our copy, unless it was lent */
    struct ad_arena arena;   /* ids and times that do not lie in the text as they are */
    struct ad_arena doc;     /* a record while it is parsed, here or for its chunk */
    struct ref *refs;
    size_t n, cap;
};
void ad__answer_init(struct answer *a, enum ad_kind kind, struct ad_errinfo *info);
void ad__answer_fini(struct answer *a);
/* The refs of {"data": [record, ...]} or {"data": record}; `lent`: they point into the text, not
 * into a copy. PARSE, NOMEM; both in info. */
AD_MUST_CHECK enum ad_err ad__answer_read(struct answer *a, struct ad_str text, bool lent);
/* An empty one at the end, until the next is added. NULL: no memory. */
struct ref *ad__answer_add(struct answer *a);

/* --- Late answers --- */

/* The answer is older than what was forgotten early: any record may have been shown since, as it
 * stands in SQL. */
bool ad__late_refuses(const struct ad_mirror_table *t, const struct ad_mirror_op *op);
/* A later answer, or one of a later state, has shown this record as it stands in SQL: STALE, BEHIND;
 * else UPDATED. */
enum fate ad__late_fate(const struct ad_mirror_table *t, const struct ad_mirror_op *op,
                        struct ad_str id);
/* Takes note of those that are unchanged, and forgets what is old or too much. NOMEM. */
AD_MUST_CHECK enum ad_err ad__late_remember(struct ad_mirror_table *t,
                                            const struct ad_mirror_op *op, const struct ref *refs,
                                            size_t n);

/* --- Chunks --- */

struct apply;

/* Rows on their way to SQL. */
struct chunk {
    struct apply *apply;
    struct ad_arena arena; /* steps and values, but for those that lie in the answer */
    struct ad_step *steps;
    unsigned steps_n;
    size_t from, to;  /* the refs */
    bool settles;     /* its last step settles op->done */
    bool ready, busy; /* to be handed over; handed over */
    struct ad_store_req req;
};

struct apply {
    struct ad_mirror_work work;
    struct ad_mirror *mirror;
    struct ad_mirror_op *op;
    bool deletes;
    struct answer answer;
    size_t batch_from, batch_to, batch_max, at; /* refs; `at`: the first one without a chunk */
    bool by_id;                                 /* the batch is not looked for by its interval */
    struct ad_map batch;
    struct ad_value values[3];
    struct ad_step step;
    struct chunk chunks[CHUNKS];
    unsigned busy;      /* chunks on their way */
    bool looking;       /* for what stands in SQL */
    bool settled;       /* op->done is in a chunk */
    size_t again;       /* refs to be looked for by id */
    struct ad_buf json; /* ids looked for, or events settled */
    char accurate_at[AD_TIME_MAX], now[AD_TIME_MAX];
    struct ad_store_req req;
    enum ad_err err; /* the first failure: it ends when nothing is under way */
    struct ad_errinfo info;
};
void ad__chunks_init(struct apply *w);
void ad__chunks_fini(struct apply *w);
/* The batch has refs without a chunk, or there are none at all and events to settle. */
bool ad__chunks_want_more(const struct apply *w);
/* Makes chunks ready of what the batch still has, as many as may go together. Refs of which nothing
 * is to be written are counted. */
AD_MUST_CHECK enum ad_err ad__chunks_gather(struct apply *w);
/* Hands over those that are ready; each calls ad__apply_go_on when it is written. On error those
 * before the one that failed do so all the same. */
AD_MUST_CHECK enum ad_err ad__chunks_submit(struct apply *w);

/* Something that was under way has ended so; info may be empty. Called last: it may be the end of
 * all. */
void ad__apply_go_on(struct apply *w, enum ad_err err, const struct ad_errinfo *info);

#endif
