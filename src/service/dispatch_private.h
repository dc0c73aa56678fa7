/* What the three sources of the dispatcher share: taking in (dispatch.c), running
 * (dispatch_run.c), settling (dispatch_settle.c). */
#ifndef AD_SERVICE_DISPATCH_PRIVATE_H
#define AD_SERVICE_DISPATCH_PRIVATE_H

#include <limits.h>

#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "dispatch.h"

/* Loads are small enough to leave the read connection free between them, large enough to keep up
 * with a full ingest rate. */
#define LOAD_MAX 1000
/* No room while an operator's change is looked for: not in a hurry. */
#define CHECK_RETRY_MS 1000
/* One settle is one UPDATE over a JSON array; more wait for the next. */
#define SETTLE_MAX 5000
#define RETRY_CAP_MS 3600000u
/* A settle that failed (database locked or full) is tried again after this; the events stay held
 * meanwhile. */
#define SETTLE_RETRY_MS 500

struct handler_state;

struct item {
    struct ad_list link; /* lane->items */
    struct held *event;
    struct handler_state *handler;
    struct lane *lane; /* while open */
    struct ad_invocation *inv;
    enum ad_event_state state; /* PENDING, RETRY, DONE, DEAD */
    unsigned attempts;
    int64_t next_ns;
    char why[96]; /* of the last failure, for operators */
    bool written; /* a row of this state stands in SQL */
    bool last;    /* named by ad_invocation_last_seqs */
    bool waits;   /* open, but its handler needs Attio, which is switched off: in no lane */
};

struct held {
    struct ad_map_node node; /* d->held, by seq */
    char seq_key[sizeof(int64_t)];
    struct ad_handler_event view;
    struct ad_list link;    /* d->to_settle or d->in_settle while there is news of it */
    unsigned items_n, open; /* open: items PENDING or RETRY that are in a lane */
    unsigned waits;         /* items that are open and in none */
    bool failed;            /* some item is or was RETRY or DEAD: items have rows */
    bool dead;
    bool recorded;  /* a handler's own transaction made it done */
    bool settling;  /* on d->in_settle */
    bool dirty;     /* changed again meanwhile */
    bool shown;     /* by the load under way */
    bool discarded; /* while a handler ran: it may still end well, but is not tried again */
    struct item items[];
};

struct lane {
    struct ad_map_node node; /* handler->lanes, by subject */
    struct handler_state *handler;
    struct ad_list items;
    struct ad_list link; /* handler->ready */
    struct ad_timer timer;
    struct ad_invocation *running;
    char *subject;
};

enum inv_state {
    INV_FREE,
    INV_RUNNING,
    INV_ABANDONED, /* its time was over, or the dispatcher's is: the handler may still end it */
    INV_ORPHAN,    /* the dispatcher is gone: freed by the handler's end */
};

/* Never given back to the heap while the dispatcher lives: a late second ad_invocation_done must
 * find valid memory. One that its handler has not ended yet outlives the dispatcher. */
struct ad_invocation {
    struct ad_list link; /* d->inv_free or d->inv_running */
    enum inv_state state;
    struct ad_dispatch *d;
    struct lane *lane;
    struct item **items;
    size_t n, cap;
    struct ad_timer timer;
    void *data;
};

struct handler_state {
    struct ad_dispatch *d;
    const struct ad_handler *h;
    struct ad_map lanes;
    struct ad_list ready;
    unsigned running, concurrency, timeout_ms, max_attempts, retry_base_ms;
    struct ad_counter *done, *retried, *died;
};

struct ad_dispatch {
    struct ad_dispatch_opts o;
    struct ad_rand rand;
    struct handler_state handlers[AD__HANDLERS_MAX]; /* in order of first sight */
    size_t handlers_n;
    struct ad_map held;
    struct ad_list to_settle, in_settle;
    struct ad_list inv_free, inv_running;
    struct ad_timer pump_timer, settle_timer, load_timer, close_timer;
    int64_t loaded_to; /* every pending event with seq <= this is held or finished */
    int64_t seen_to;   /* the highest seq that was ever pushed */
    int64_t load_seen; /* seen_to when the load under way was submitted */
    bool reload;       /* an operator moved loaded_to back meanwhile */
    bool check;        /* what is held may not be what SQL says: an operator was there */
    bool hold, behind, loading, settling, closing;
    bool without_attio;
    size_t running, retrying;
    struct ad_inbox_load load;
    struct ad_inbox_settle settle;
    int64_t *settle_done, *settle_dead;
    struct ad_attempt *settle_attempts;
    struct ad_gauge *g_held, *g_running, *g_retrying;
    struct ad_counter *c_late, *c_timeout, *c_unhandled;
    struct ad_histogram *age;
    void (*done)(void *ctx);
    void *done_ctx;
};

/* dispatch.c */
void ad__held_free(struct ad_dispatch *d, struct held *h);
void ad__dispatch_maybe_closed(struct ad_dispatch *d);
/* The same on a later turn: for what is called by handlers. */
void ad__dispatch_closed_soon(struct ad_dispatch *d);
static inline bool item_open(const struct item *it)
{
    return it->state == AD_EVENT_PENDING || it->state == AD_EVENT_RETRY;
}

/* dispatch_run.c */
struct lane *ad__lane_get(struct handler_state *hs, const char *subject);
void ad__lane_insert(struct lane *l, struct item *it);
void ad__lane_schedule(struct lane *l);
void ad__lane_drop_if_empty(struct lane *l);
/* The item leaves its lane; the next one may go. */
void ad__lane_leave(struct item *it);
void ad__pump_soon(struct ad_dispatch *d);
void ad__inv_abandon_all(struct ad_dispatch *d);

/* dispatch_settle.c */
void ad__settle_soon(struct ad_dispatch *d, struct held *h);

#endif
