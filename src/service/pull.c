#include "pull_private.h"

#include <limits.h>

/* An unknown collection asks for the schema at most this often: test deliveries carry random ids. */
#define UNKNOWN_REFRESH_MS 5000

/* ---- jobs and wants ---------------------------------------------------------------------- */

static void job_end(struct ad_pull_job *job, enum ad_outcome outcome, const char *why)
{
    struct ad_invocation *inv = job->inv;
    ad_list_remove(&job->link);
    ad_free(job);
    ad_invocation_done(inv, outcome, why);
}

void ad__job_release(struct ad_pull_job *job)
{
    if (--job->open == 0) {
        job_end(job, job->why ? AD_OUTCOME_RETRY : AD_OUTCOME_DONE, job->why);
    }
}

static bool is_own(const struct source *s, const struct want *w, const struct ad_pull_job *job)
{
    return job->source == s && strcmp(w->id, job->id) == 0;
}

void ad__want_end(struct source *s, struct want *w)
{
    ad_list_remove(&w->link);
    for (struct ad_list *l = ad_list_pop(&w->claims); l; l = ad_list_pop(&w->claims)) {
        struct claim *c = ad_container_of(l, struct claim, link);
        struct ad_pull_job *job = c->job;
        ad_free(c);
        if (is_own(s, w, job)) {
            ad__merges_go(job);
        }
        if (job->open == 1 && job->named == s->serial) {
            ad_invocation_recorded(job->inv);
        }
        ad__job_release(job);
    }
    ad_free(w);
}

void ad__want_give_back(struct source *s, struct want *w, const char *why)
{
    AD_LIST_FOREACH (l, &w->claims) {
        ad_container_of(l, struct claim, link)->job->why = why;
    }
    ad__want_end(s, w);
}

/* The one of that id that gathers. */
static struct want *want_get(struct source *s, struct ad_str id)
{
    struct ad_map_node *node = ad_map_get(&s->gathering, id);
    if (node) {
        s->pull->c_coalesced->v++;
        return ad_container_of(node, struct want, node);
    }
    struct want *w = ad_zalloc(sizeof(*w));
    if (!w || !id.p || id.n >= sizeof(w->id)) {
        ad_free(w);
        return NULL;
    }
    memcpy(w->id, id.p, id.n);
    ad_list_init(&w->claims);
    ad_list_push(&s->waiting, &w->link);
    ad_map_put(&s->gathering, &w->node, ad_str_n(w->id, id.n));
    return w;
}

struct want *ad__job_claim(struct ad_pull_job *job, struct source *s, struct ad_str id)
{
    struct claim *c = s ? ad_zalloc(sizeof(*c)) : NULL;
    struct want *w = c ? want_get(s, id) : NULL;
    if (!w) {
        ad_free(c);
        job->why = "no memory";
        return NULL;
    }
    c->job = job;
    ad_list_push(&w->claims, &c->link);
    job->open++;
    ad__source_soon(s, 0);
    return w;
}

/* What the events not yet looked at ask for; `own` is the want of the job's own id. */
static void job_follow(struct ad_pull_job *job, struct want *own)
{
    job->own = own;
    for (; job->followed < ad_invocation_count(job->inv); job->followed++) {
        job->family->follow(job, ad_invocation_event(job->inv, job->followed));
    }
    job->own = NULL;
}

void ad_pull_said_gone(struct ad_pull_job *job)
{
    job->own->deleted = true;
}

void ad__want_inherit(struct want *w, struct ad_str heir)
{
    w->inherited = true;
    AD_LIST_FOREACH (l, &w->claims) {
        struct ad_pull_job *job = ad_container_of(l, struct claim, link)->job;
        if (!ad_str_eq(ad_str_c(job->id), heir)) { /* its own merge: it has asked already */
            AD_IGNORE(ad__job_claim(job, job->source, heir), "the job says why");
        }
    }
}

/* Events that arrived since the invocation began are about the job's own id. */
void ad__want_absorb(struct source *s, struct want *w)
{
    AD_LIST_FOREACH (l, &w->claims) {
        struct ad_pull_job *job = ad_container_of(l, struct claim, link)->job;
        if (is_own(s, w, job)) {
            ad_invocation_absorb(job->inv);
            job_follow(job, w);
        }
    }
}

static void job_begin(struct ad_pull_job *job, const struct ad_object *o)
{
    struct ad_str id = ad_str_c(job->id);
    job->source = ad__source_get(job->pull, o, id);
    struct want *own = ad__job_claim(job, job->source, id);
    if (own) {
        job_follow(job, own);
    } else {
        job_end(job, AD_OUTCOME_RETRY, job->why);
    }
}

/* ---- collections we do not know yet ------------------------------------------------------- */

static void unknown_next(struct ad_pull *p);

static const struct ad_object *collection_of(const struct ad_pull_job *job)
{
    return job->family->collection(job->pull->o.schema, job->event);
}

static void on_unknown_timer(struct ad_timer *t)
{
    unknown_next(ad_container_of(t, struct ad_pull, unknown_timer));
}

static void unknown_later(struct ad_pull *p, uint64_t delay_ms)
{
    ad_timer_start(p->o.timers, &p->unknown_timer, delay_ms, on_unknown_timer);
}

/* Back in line, before those that came meanwhile. */
static void asked_back(struct ad_pull *p)
{
    ad_list_move(&p->asked, &p->unknown);
    ad_list_move(&p->unknown, &p->asked);
}

static void on_refreshed(struct ad_schema_wait *w)
{
    struct ad_pull *p = w->data;
    p->refreshing = false;
    p->last_refresh_ms = ad_mono_ms(p->o.clock);
    if (w->err) {
        asked_back(p);
        unknown_later(p, UNKNOWN_REFRESH_MS);
        return;
    }
    for (struct ad_list *l = ad_list_pop(&p->asked); l; l = ad_list_pop(&p->asked)) {
        struct ad_pull_job *job = ad_container_of(l, struct ad_pull_job, link);
        const struct ad_object *o = collection_of(job);
        if (o) {
            job_begin(job, o);
        } else {
            p->c_unknown->v++;
            job_end(job, AD_OUTCOME_DONE, NULL); /* Attio has none: a test delivery */
        }
    }
    unknown_next(p);
}

/* A refresh answers only for those that waited when it was asked for: an object may be younger
 * than the list that does not show it. */
static void unknown_next(struct ad_pull *p)
{
    if (p->refreshing || p->closing || ad_list_empty(&p->unknown)) {
        return;
    }
    uint64_t since = ad_mono_ms(p->o.clock) - p->last_refresh_ms;
    if (p->last_refresh_ms && since < UNKNOWN_REFRESH_MS) {
        unknown_later(p, UNKNOWN_REFRESH_MS - since);
        return;
    }
    p->refresh = (struct ad_schema_wait){ .cb = on_refreshed, .data = p };
    if (ad_schema_refresh(p->o.schema, AD_PRIO_PULL, &p->refresh)) {
        unknown_later(p, UNKNOWN_REFRESH_MS);
        return;
    }
    p->refreshing = true;
    ad_list_move(&p->asked, &p->unknown);
}

/* ---- the handlers ------------------------------------------------------------------------ */

/* The first one that says what it is about: a type that we do not know may not. */
static const struct ad_handler_event *telling(const struct ad_pull_family *f,
                                              const struct ad_invocation *inv)
{
    for (size_t i = 0; i < ad_invocation_count(inv); i++) {
        const struct ad_handler_event *e = ad_invocation_event(inv, i);
        if (*f->id(e)) {
            return e;
        }
    }
    return NULL;
}

static void run(void *ctx, struct ad_invocation *inv)
{
    struct family *f = ctx;
    struct ad_pull *p = f->pull;
    const struct ad_handler_event *e = ad_invocation_event(inv, 0);
    if (!ad_str_eq(ad_str_c(e->workspace_id), ad_account_workspace_id(p->o.account))) {
        p->c_foreign->v++;
        ad_invocation_done(inv, AD_OUTCOME_DONE, NULL);
        return;
    }
    e = telling(f->f, inv);
    if (!e) {
        p->c_unmirrored->v += ad_invocation_count(inv);
        ad_invocation_done(inv, AD_OUTCOME_DONE, NULL);
        return;
    }
    struct ad_pull_job *job = p->closing ? NULL : ad_zalloc(sizeof(*job));
    if (!job) {
        ad_invocation_done(inv, AD_OUTCOME_RETRY, p->closing ? "closing" : "no memory");
        return;
    }
    *job = (struct ad_pull_job){
        .pull = p, .family = f->f, .inv = inv, .event = e, .id = f->f->id(e)
    };
    ad_list_init(&job->link);
    ad_list_init(&job->merges);
    const struct ad_object *o = collection_of(job);
    if (o) {
        job_begin(job, o);
        return;
    }
    ad_list_push(&p->unknown, &job->link);
    unknown_next(p);
}

static void family_open(struct ad_pull *p, const struct ad_pull_family *family)
{
    struct family *f = &p->families[p->families_n++];
    f->pull = p;
    f->f = family;
    f->handler = (struct ad_handler){
        .abi = AD_HANDLER_ABI,
        .name = family->handler,
        .types = family->types,
        .mode = AD_HANDLER_LATEST,
        .concurrency = 5000,    /* invocations only wait here, in one query's line */
        .timeout_ms = UINT_MAX, /* an outage may last */
        /* Only what Attio refuses is tried so often: for about four days. */
        .max_attempts = 100,
        .needs_attio = true,
        .run = run,
        .ctx = f,
    };
}

static void metrics_open(struct ad_pull *p)
{
    struct ad_metrics *m = p->o.metrics;
    p->c_queries = ad_metric_counter(m, "attiod_pull_queries_total", NULL, "Queries by id.");
    p->c_gets = ad_metric_counter(m, "attiod_pull_confirmations_total", NULL,
                                  "Single reads of what a query did not show.");
    p->c_coalesced = ad_metric_counter(m, "attiod_pull_coalesced_total", NULL,
                                       "Requests for an id that was already asked for.");
    p->c_behind = ad_metric_counter(m, "attiod_pull_behind_total", NULL,
                                    "What was shown as it had been before what we know.");
    p->c_known = ad_metric_counter(m, "attiod_pull_known_deleted_total", NULL,
                                   "What a query did not show and is known to be deleted.");
    p->c_gone = ad_metric_counter(m, "attiod_pull_collection_gone_total", NULL,
                                  "Ids not looked at: their object or list is gone.");
    p->c_unmirrored = ad_metric_counter(m, "attiod_events_unmirrored_total", NULL,
                                        "Events about what no mirror row answers to.");
    p->c_foreign = ad_metric_counter(m, "attiod_events_foreign_workspace_total", NULL,
                                     "Events of another workspace, not followed.");
    p->c_unknown = ad_metric_counter(m, "attiod_events_unknown_object_total", NULL,
                                     "Events of an object or list that Attio does not list.");
}

enum ad_err ad_pull_open(const struct ad_pull_opts *opts, struct ad_pull **out)
{
    struct ad_pull *p = ad_zalloc(sizeof(*p));
    if (!p) {
        return AD_ERR_NOMEM;
    }
    p->o = *opts;
    ad_rand_seed(&p->rand, opts->seed);
    ad_list_init(&p->sources);
    ad_list_init(&p->unknown);
    ad_list_init(&p->asked);
    metrics_open(p);
    for (const struct ad_pull_family *const *f = opts->families; *f; f++) {
        AD_ASSERT(p->families_n < AD_PULL_FAMILIES_MAX);
        family_open(p, *f);
    }
    *out = p;
    return AD_OK;
}

const struct ad_handler *ad_pull_handler(const struct ad_pull *p, size_t i)
{
    return i < p->families_n ? &p->families[i].handler : NULL;
}

/* ---- close ------------------------------------------------------------------------------- */

void ad__wants_give_up(struct ad_list *wants)
{
    while (!ad_list_empty(wants)) {
        struct want *w = ad_container_of(wants->next, struct want, link);
        ad_list_remove(&w->link);
        for (struct ad_list *l = ad_list_pop(&w->claims); l; l = ad_list_pop(&w->claims)) {
            struct claim *c = ad_container_of(l, struct claim, link);
            struct ad_pull_job *job = c->job;
            ad_free(c);
            job->why = "closing";
            ad__merges_drop(job);
            ad__job_release(job);
        }
        ad_free(w);
    }
}

void ad__pull_maybe_closed(struct ad_pull *p)
{
    if (!p->closing || p->lookups > 0) {
        return;
    }
    AD_LIST_FOREACH (l, &p->sources) {
        if (ad_container_of(l, struct source, link)->busy) {
            return;
        }
    }
    ad_timer_stop(p->o.timers, &p->close_timer);
    while (!ad_list_empty(&p->sources)) {
        ad__source_free(ad_container_of(p->sources.next, struct source, link));
    }
    while (!ad_list_empty(&p->unknown)) {
        job_end(ad_container_of(p->unknown.next, struct ad_pull_job, link), AD_OUTCOME_RETRY,
                "closing");
    }
    void (*done)(void *ctx) = p->done;
    void *ctx = p->done_ctx;
    ad_free(p);
    done(ctx);
}

static void on_close_timer(struct ad_timer *t)
{
    ad__pull_maybe_closed(ad_container_of(t, struct ad_pull, close_timer));
}

void ad_pull_close(struct ad_pull *p, void (*done)(void *ctx), void *ctx)
{
    p->closing = true;
    p->done = done;
    p->done_ctx = ctx;
    ad_timer_stop(p->o.timers, &p->unknown_timer);
    if (p->refreshing) {
        ad_schema_wait_cancel(p->o.schema, &p->refresh);
        p->refreshing = false;
        asked_back(p);
    }
    AD_LIST_FOREACH (l, &p->sources) {
        ad__source_stop(ad_container_of(l, struct source, link));
    }
    ad_timer_start(p->o.timers, &p->close_timer, 0, on_close_timer);
}
