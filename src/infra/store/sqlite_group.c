#include "store/sqlite_group.h"

enum {
    BUSY_GRACE_MS = 100,
    /* As many times bulk_max statements share one commit when nobody else waits. */
    BULK_CHUNKS = 10,
};

/* --- a group: who is in it --- */

void store_queues_init(struct store_queues *q)
{
    for (size_t i = 0; i < STORE_CLASSES; i++) {
        ad_list_init(&q->of[i]);
    }
    ad_list_init(&q->barriers);
}

static struct ad_list *queue_of(struct store_queues *q, const struct ad_store_req *req)
{
    return req->kind == STORE_WRITE ? &q->of[req->cls] : &q->barriers;
}

bool store_queues_empty(const struct store_queues *q)
{
    bool empty = ad_list_empty(&q->barriers);
    for (size_t i = 0; i < STORE_CLASSES; i++) {
        empty = empty && ad_list_empty(&q->of[i]);
    }
    return empty;
}

void store_queues_sort_in(struct store_queues *q, struct ad_list *taken)
{
    struct ad_list *link;
    while ((link = ad_list_pop(taken))) {
        ad_list_push(queue_of(q, store_req_of(link)), link);
    }
}

static bool barrier_is_due(const struct store_queues *q)
{
    const struct ad_store_req *barrier = store_first_of(&q->barriers);
    bool due = barrier != NULL;
    for (size_t i = 0; i < STORE_CLASSES && due; i++) {
        const struct ad_store_req *first = store_first_of(&q->of[i]);
        due = !first || first->order > barrier->order;
    }
    return due;
}

/* Moves up to n requests; gives how many. */
static unsigned take(struct store_group *g, struct ad_list *queue, unsigned n)
{
    unsigned taken = 0;
    struct ad_list *link;
    while (taken < n && (link = ad_list_pop(queue))) {
        uint64_t since_ms = store_req_of(link)->since_ms;
        g->oldest_ms = since_ms < g->oldest_ms ? since_ms : g->oldest_ms;
        ad_list_push(&g->reqs, link);
        taken++;
    }
    g->n += taken;
    return taken;
}

/* Bulk is counted in statements, because one request is a page's chunk; at least one request, or it
 * would never come to its turn. */
static bool take_bulk(struct store_group *g, struct ad_list *queue, unsigned steps_max)
{
    const struct ad_store_req *req = store_first_of(queue);
    bool fits = req && (g->bulk == 0 || g->bulk + req->steps_n <= steps_max);
    if (fits) {
        g->bulk += req->steps_n;
        take(g, queue, 1);
    }
    return fits;
}

void store_group_form(struct store_group *g, struct store_queues *q,
                      const struct ad_store_opts *opts)
{
    *g = (struct store_group){ .oldest_ms = UINT64_MAX, .err = AD_OK };
    ad_list_init(&g->reqs);
    if (barrier_is_due(q)) {
        g->alone = true;
        take(g, &q->barriers, 1);
        return;
    }
    /* An eighth is kept for normal requests, so that ingest cannot starve them. */
    unsigned kept = ad_list_empty(&q->of[AD_STORE_NORMAL]) ? 0 : opts->group_max / 8 + 1;
    unsigned ingest_max = opts->group_max > kept ? opts->group_max - kept : 1;
    unsigned taken = take(g, &q->of[AD_STORE_INGEST], ingest_max);
    unsigned left = opts->group_max > taken ? opts->group_max - taken : 1;
    taken += take(g, &q->of[AD_STORE_NORMAL], left);
    g->urgent = taken > 0;
    while (take_bulk(g, &q->of[AD_STORE_BULK], opts->bulk_max)) {
    }
}

/* However long it waited for other reasons, a lock gets some time to go away. */
uint64_t store_group_deadline(const struct store_group *g, unsigned busy_ms)
{
    uint64_t grace = store_now_ms() + BUSY_GRACE_MS;
    uint64_t due = g->oldest_ms + busy_ms;
    return due > grace ? due : grace;
}

/* The database stayed locked until the oldest request's time was up. Whose time is not up yet goes
 * back to the front of its queue; whose is, wherever it waits, joins the failed group. */
void store_group_keep_expired(struct store_group *g, struct store_queues *q, unsigned busy_ms)
{
    uint64_t now = store_now_ms();
    struct ad_list all;
    ad_list_init(&all);
    ad_list_move(&all, &g->reqs);
    while (!ad_list_empty(&all)) { /* from the end, so that the fronts stay in order */
        struct ad_list *link = all.prev;
        struct ad_store_req *req = store_req_of(link);
        ad_list_remove(link);
        req->barred = false;
        ad_list_push_front(queue_of(q, req), link);
    }
    for (size_t i = 0; i <= STORE_CLASSES; i++) {
        struct ad_list *queue = i < STORE_CLASSES ? &q->of[i] : &q->barriers;
        struct ad_store_req *req;
        while ((req = store_first_of(queue)) && req->since_ms + busy_ms <= now) {
            take(g, queue, 1);
        }
    }
}

/* --- a group: what becomes of it --- */

/* A request that failed alone leaves nothing behind. *undone: it could not be taken out without the
 * transaction, so the others have to run again. So it is with bulk, which hardly ever fails: to keep
 * each page as it was before a chunk costs as much as writing it. */
static enum ad_err run_request(struct store_conn *c, struct ad_store_req *req, bool *undone)
{
    bool many = req->steps_n > 1;
    bool saves = many && req->cls != AD_STORE_BULK;
    enum ad_err err = saves ? store_conn_control(c, STORE_SAVE, &req->info) : AD_OK;
    err = err ? err : store_conn_steps(c, req);
    if (!err && store_conn_owes_parent(c)) {
        err = ad_fail(&req->info, AD_ERR_CONFLICT, "FOREIGN KEY constraint failed");
        *undone = !saves;
    }
    if (err && (store_err_is_group(err) || !store_conn_in_transaction(c))) {
        *undone = true; /* by SQLite, or by a trigger's RAISE(ROLLBACK) */
        return err;
    }
    *undone = *undone || (err && many && !saves);
    if (!saves || *undone) {
        return err;
    }
    enum ad_err control = err ? store_conn_control(c, STORE_REVERT, NULL) : AD_OK;
    control = control ? control : store_conn_control(c, STORE_RELEASE, NULL);
    *undone = control != AD_OK;
    return err ? err : control;
}

static void run_request_anew(struct store_conn *c, struct ad_store_req *req, bool *undone)
{
    store_rows_drop(req); /* of a round that was lost, as is what it failed of then */
    ad_errinfo_clear(&req->info);
    req->err = run_request(c, req, undone);
    if (req->err) {
        store_rows_drop(req);
    }
}

/* Runs one; it is barred when the transaction was lost to it. */
static void run_member(struct store_conn *c, struct store_group *g, struct ad_store_req *req)
{
    bool undone = false;
    run_request_anew(c, req, &undone);
    if (store_err_is_group(req->err)) {
        g->err = req->err;
        g->info = req->info;
    } else {
        req->barred = undone;
    }
}

/* Runs who is not barred; false when the transaction was lost to one who now is. */
static bool run_all(struct store_conn *c, struct store_group *g)
{
    AD_LIST_FOREACH (it, &g->reqs) {
        struct ad_store_req *req = store_req_of(it);
        if (req->barred) {
            continue;
        }
        run_member(c, g, req);
        if (g->err || req->barred) {
            return g->err != AD_OK;
        }
    }
    return true;
}

/* Each round that has to begin again bars one more request, so the rounds end. */
void store_group_transact(struct store_conn *c, struct store_group *g)
{
    bool through = false;
    while (!through && !g->err) {
        g->err = store_conn_control(c, STORE_BEGIN, &g->info);
        if (g->err) {
            return;
        }
        through = run_all(c, g);
        if (!through) {
            store_conn_rollback(c);
        }
    }
}

bool store_group_grow(struct store_conn *c, struct store_group *g, struct store_queues *q,
                      const struct ad_store_opts *opts)
{
    bool others = !ad_list_empty(&q->of[AD_STORE_INGEST]) ||
                  !ad_list_empty(&q->of[AD_STORE_NORMAL]) || !ad_list_empty(&q->barriers);
    if (g->err || g->alone || g->urgent || others ||
        !take_bulk(g, &q->of[AD_STORE_BULK], BULK_CHUNKS * opts->bulk_max)) {
        return false;
    }
    struct ad_store_req *req = store_req_of(g->reqs.prev);
    run_member(c, g, req);
    if (req->barred) {
        store_conn_rollback(c);
        store_group_transact(c, g);
    }
    return !g->err;
}

void store_group_script(struct store_conn *c, struct store_group *g)
{
    struct ad_store_req *req = store_first_of(&g->reqs);
    g->err = store_conn_control(c, STORE_BEGIN, &g->info);
    if (g->err) {
        return;
    }
    req->err = req->kind == STORE_PROBE ? store_conn_probe(c, &req->info)
                                        : store_conn_script(c, req->script, &req->info);
    if (store_err_is_group(req->err)) {
        g->err = req->err;
        g->info = req->info;
    } else if (req->err) {
        store_conn_rollback(c);
    }
}

/* Whatever a COMMIT fails of, none of the group may be called done. */
void store_group_commit(struct store_conn *c, struct store_group *g)
{
    if (!g->err && store_conn_in_transaction(c)) {
        g->err = store_conn_control(c, STORE_COMMIT, &g->info);
        if (g->err && !store_err_is_group(g->err)) {
            g->err = AD_ERR_STORE;
        }
        g->committed = !g->err;
    }
    store_conn_rollback(c); /* when something failed; nothing otherwise */
}

/* Failed as one, even those who had failed alone: what they failed of may have been another request
 * of this group, which is now gone. */
void store_group_fail(struct store_group *g)
{
    AD_LIST_FOREACH (it, &g->reqs) {
        struct ad_store_req *req = store_req_of(it);
        store_rows_drop(req);
        req->err = g->err;
        req->info = g->info;
    }
}
