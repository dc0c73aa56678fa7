/* What the fetcher's sources share:
 *
 *   pull.c           jobs and wants; collections we do not know; the handlers
 *   pull_source.c    one collection: the query, and the way back for whatever fails
 *   pull_confirm.c   what the query did not show
 *   pull_merge.c     what a merge means beyond that */
#ifndef AD_SERVICE_PULL_PRIVATE_H
#define AD_SERVICE_PULL_PRIVATE_H

#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/timer.h"
#include "dispatch.h"
#include "pull.h"

/* Attio's page size; a query with that many ids is known to work, more is not known. */
#define IDS_MAX 500

/* One id to look at. Gathers until its collection's query is sent; events that arrive later make a
 * new one. */
struct want {
    struct ad_map_node node; /* source->gathering while waiting, ->flight while asked for */
    struct ad_list link;     /* one of the source's lists */
    struct ad_list claims;
    bool deleted;   /* Attio's event says so */
    bool seen;      /* by the query */
    bool behind;    /* but as it was before what we know */
    bool dead;      /* it carries a tombstone already */
    bool inherited; /* its claims extend to what it was merged into */
    char id[37];
};

struct claim {
    struct ad_list link; /* want->claims */
    struct ad_pull_job *job;
};

/* One invocation and what it still waits for. */
struct ad_pull_job {
    struct ad_list link; /* pull->unknown while its collection is not known */
    struct ad_pull *pull;
    const struct ad_pull_family *family;
    struct ad_invocation *inv;
    struct source *source;
    const struct ad_handler_event *event; /* tells source and id */
    const char *id;                       /* its own */
    struct want *own;                     /* while its events are followed */
    unsigned open;                        /* claims and merges */
    bool shown;                           /* the own id was looked at */
    struct ad_list merges;                /* that wait for it */
    size_t followed;                      /* events */
    uint64_t named;  /* source->serial of the transaction that names its events as done */
    const char *why; /* it cannot succeed: the dispatcher runs it again after a pause */
};

/* Where the things of one collection, or of a part of it, come from. A want goes
 *
 *   waiting -> batch -> unseen -> confirm -> gone
 *
 * and ends after batch (the query shows it), confirm (the GET does) or gone (neither). `later` leads
 * back to waiting, as does every failure. */
struct source {
    struct ad_list link; /* pull->sources */
    struct ad_pull *pull;
    const struct ad_object *object;
    unsigned part; /* of its ids */
    struct ad_map gathering, flight;
    struct ad_list waiting, batch, unseen, confirm, gone, later;
    size_t ids_max;
    bool by_get;           /* cannot be queried by id: one after the other */
    struct ad_timer timer; /* pacing and backoff */
    unsigned failures;
    struct ad_timer later_timer;
    unsigned later_rounds;
    bool busy; /* anything of the following is under way */
    struct ad_records_op op;
    struct ad_mirror_op apply;
    struct ad_mirror_look look;
    struct ad_merge_find find;
    struct ad_schema_wait schema;
    bool schema_asked;
    struct want *confirming;
    uint64_t serial; /* of its mirror transaction; no other of any source has the same */
    int64_t *done;
    size_t done_n, done_cap;
};

/* A family's handler: what the dispatcher knows. */
struct family {
    struct ad_pull *pull;
    const struct ad_pull_family *f;
    struct ad_handler handler;
};

struct ad_pull {
    struct ad_pull_opts o;
    struct family families[AD_PULL_FAMILIES_MAX];
    size_t families_n;
    struct ad_rand rand;
    struct ad_list sources;
    /* jobs whose collection is not known; asked: of the refresh under way */
    struct ad_list unknown, asked;
    struct ad_timer unknown_timer;
    struct ad_schema_wait refresh;
    bool refreshing, closing;
    uint64_t last_query_ms, last_refresh_ms;
    size_t last_query_ids; /* how many the last query asked for */
    size_t lookups;        /* of merges, in SQL, under way */
    uint64_t serial;       /* the highest of all sources */
    struct ad_counter *c_queries, *c_gets, *c_behind, *c_foreign, *c_unknown, *c_gone,
        *c_unmirrored, *c_coalesced, *c_known;
    void (*done)(void *ctx);
    void *done_ctx;
    struct ad_timer close_timer;
};

/* pull.c */
void ad__pull_maybe_closed(struct ad_pull *p);
/* The job also waits for `id` of `s` (NULL: no memory). NULL: the job says why. */
struct want *ad__job_claim(struct ad_pull_job *job, struct source *s, struct ad_str id);
/* One thing less to wait for; with the last one it ends. */
void ad__job_release(struct ad_pull_job *job);
/* All claims on a want end with it. */
void ad__want_end(struct source *s, struct want *w);
/* The same, and its jobs' events are tried again after a pause. */
void ad__want_give_back(struct source *s, struct want *w, const char *why);
/* At close: their events stay pending. */
void ad__wants_give_up(struct ad_list *wants);
/* Takes in the events of the jobs that claim `w` as their own and that arrived meanwhile. */
void ad__want_absorb(struct source *s, struct want *w);
/* Its jobs also wait for the one it was merged into. */
void ad__want_inherit(struct want *w, struct ad_str heir);

/* pull_merge.c */
/* The own record was looked at: on with what merges mean. */
void ad__merges_go(struct ad_pull_job *job);
/* At close: they wait no more. */
void ad__merges_drop(struct ad_pull_job *job);

/* pull_source.c */
struct source *ad__source_get(struct ad_pull *p, const struct ad_object *o, struct ad_str id);
void ad__source_soon(struct source *s, uint64_t delay_ms);
/* What is under way ends soon. */
void ad__source_stop(struct source *s);
/* Nothing is under way; what waits is given up. */
void ad__source_free(struct source *s);
/* All of `from` back in line. */
void ad__source_requeue(struct source *s, struct ad_list *from);
/* Nothing of what was asked is known: all of it again, after a pause. */
void ad__source_failed(struct source *s, const char *what, enum ad_err err, const char *detail);
/* All that was asked is answered and written. */
void ad__source_rest(struct source *s);
void ad__source_flight_clear(struct source *s);
/* s->apply for an answer or a deletion of version s->op.version. */
void ad__source_prepare(struct source *s, ad_mirror_cb cb);
/* Adds to s->done the events that `w` completes, if it is the last thing their jobs wait for. */
void ad__source_collect(struct source *s, struct want *w);
static inline bool ad__is_refusal(enum ad_err err)
{
    return err == AD_ERR_TOOLARGE || err == AD_ERR_UPSTREAM_REJECTED;
}

/* pull_confirm.c */
/* s->unseen, which are in s->flight, are no more or were overlooked: ends in ad__source_rest. */
void ad__confirm(struct source *s);
/* To be asked after again in a while: what is being merged, what was deleted and is still shown, what
 * was shown as it had been. Others need not wait. */
void ad__later(struct source *s, struct want *w);
/* s->confirm, one after the other; then s->gone. */
void ad__confirm_next(struct source *s);

#endif
