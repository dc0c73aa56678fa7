/* What the fetcher's sources share: jobs and wants (pull.c), asking Attio (pull_source.c). */
#ifndef AD_SERVICE_PULL_PRIVATE_H
#define AD_SERVICE_PULL_PRIVATE_H

#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/timer.h"
#include "dispatch.h"
#include "pull.h"

/* One id to look at. Gathers until its collection's query is sent; events that arrive later make a
 * new one. */
struct want {
    struct ad_map_node node; /* source->gathering while waiting, ->flight while asked for */
    struct ad_list link;     /* source->waiting, ->batch, ->confirm or ->gone */
    struct ad_list claims;
    bool deleted, seen;
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
    const char *id;   /* its own, in source; the first event's */
    struct want *own; /* while its events are followed */
    unsigned open;
    size_t followed; /* events */
    unsigned named;  /* source->serial of the transaction that names its events as done */
    const char *why; /* it cannot succeed: the dispatcher runs it again after a pause */
};

/* Where the things of one collection come from. */
struct source {
    struct ad_list link; /* pull->sources */
    struct ad_pull *pull;
    const struct ad_object *object;
    struct ad_map gathering, flight;
    struct ad_list waiting, batch, confirm, gone;
    size_t ids_max;
    struct ad_timer timer; /* pacing and backoff */
    unsigned failures;
    bool busy; /* a query, a confirmation or a mirror transaction is under way */
    struct ad_records_op op;
    struct ad_mirror_op apply;
    struct want *confirming;
    bool merging;    /* some record is to be asked after again, but not at once */
    unsigned serial; /* of the mirror transaction */
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
    struct ad_counter *c_queries, *c_gets, *c_foreign, *c_unknown, *c_coalesced;
    void (*done)(void *ctx);
    void *done_ctx;
    struct ad_timer close_timer;
};

/* pull.c */
void ad__pull_maybe_closed(struct ad_pull *p);
/* All claims on a want end with it, and with its last one a job. */
void ad__want_end(struct source *s, struct want *w);
/* At close: their events stay pending. */
void ad__wants_give_up(struct ad_list *wants);
/* Takes in the events of the jobs that claim `w` as their own and that arrived meanwhile. */
void ad__want_absorb(struct want *w);

/* pull_source.c */
struct source *ad__source_get(struct ad_pull *p, const struct ad_object *o);
void ad__source_soon(struct source *s, uint64_t delay_ms);
/* Nothing is under way; what waits is given up. */
void ad__source_free(struct source *s);

#endif
