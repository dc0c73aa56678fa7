/* Which requests share a transaction, and what becomes of each when something fails. The writer
 * thread's; no thread and no loop here. */
#ifndef AD_INFRA_STORE_SQLITE_GROUP_H
#define AD_INFRA_STORE_SQLITE_GROUP_H

#include "store/sqlite_conn.h"
#include "store/store_sqlite.h"

enum { STORE_CLASSES = AD_STORE_BULK + 1 };

/* The writer's: what it took from the loop and has not done yet. */
struct store_queues {
    struct ad_list of[STORE_CLASSES]; /* each in the order of submitting */
    struct ad_list barriers; /* scripts, forgets, probes: they wait for all that is older */
};

struct store_group {
    struct ad_list reqs;
    unsigned n;         /* of them; more while others join */
    uint64_t oldest_ms; /* when the first of them was submitted */
    bool alone;         /* one script, forget or probe */
    unsigned bulk;      /* statements of bulk requests in it */
    bool urgent;        /* and there are others */
    bool committed;     /* otherwise it failed, or came to nothing */
    enum ad_err err;
    struct ad_errinfo info;
};

static inline struct ad_store_req *store_req_of(struct ad_list *link)
{
    return ad_container_of(link, struct ad_store_req, link);
}

static inline struct ad_store_req *store_first_of(const struct ad_list *list)
{
    return ad_list_empty(list) ? NULL : store_req_of(list->next);
}

void store_queues_init(struct store_queues *q);
bool store_queues_empty(const struct store_queues *q);
/* Takes all off `taken`. */
void store_queues_sort_in(struct store_queues *q, struct ad_list *taken);

/* Takes the next group off the queues, which are not empty. */
void store_group_form(struct store_group *g, struct store_queues *q,
                      const struct ad_store_opts *opts);
/* Until when it may wait for a lock: the oldest request's submitting plus busy_ms, or a little. */
uint64_t store_group_deadline(const struct store_group *g, unsigned busy_ms);

/* Begin a transaction and run the group's requests, or its one script or probe; g->err says
 * whether all of it failed. To be followed by commit. */
void store_group_transact(struct store_conn *c, struct store_group *g);
void store_group_script(struct store_conn *c, struct store_group *g);
/* Adds the next bulk request to a group that was run and has not failed, and runs it: as long as
 * nobody else is in it or waits, several share a commit. False: it is time for that. */
bool store_group_grow(struct store_conn *c, struct store_group *g, struct store_queues *q,
                      const struct ad_store_opts *opts);
/* Makes it durable, or rolls it back. */
void store_group_commit(struct store_conn *c, struct store_group *g);

/* After STORE_BUSY: leaves in the group only those whose time is up, from the queues, too. */
void store_group_keep_expired(struct store_group *g, struct store_queues *q, unsigned busy_ms);
/* Gives every request of it the group's error. */
void store_group_fail(struct store_group *g);

#endif
