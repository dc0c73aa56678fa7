/* What follows when Attio's schema changed.
 *
 *   object-attribute.*, list-attribute.*, list.*   -> the schema is asked for anew; the events are
 *                                                     done with that
 *   the schema changed, for whatever reason        -> a walk over all objects and lists: table, views
 *                                                     and the rows that are there follow it; what
 *                                                     only Attio can tell is asked for by a full sync
 *
 * One refresh answers all events that arrived before it was asked for. The walk is in the background;
 * it also is the first thing after start-up, because it may have been cut short before, and comes back
 * once a minute while something failed or a sync it asked for is not complete. */
#include "service_private.h"

#define AGAIN_MS 60000

struct waiting {
    struct ad_list link;
    struct ad_invocation *inv;
    struct ad_schema_wait wait;
};

struct ad_schema_watch {
    struct ad_service *s;
    struct ad_handler handler;
    struct ad_list waiting;
    /* the walk */
    struct ad_mirror_follow follow;
    struct ad_timer timer;
    bool started, walking, changed; /* while it walks: from the first again */
    bool unfinished;                /* something is to be looked at again, later */
    bool closing;
    void (*done)(void *ctx);
    void *done_ctx;
};

/* ---- the walk ---------------------------------------------------------------------------- */

static void walk(struct ad_schema_watch *w, const struct ad_object *o);

static void on_timer(struct ad_timer *t)
{
    struct ad_schema_watch *w = ad_container_of(t, struct ad_schema_watch, timer);
    if (w->closing) {
        void (*done)(void *ctx) = w->done;
        void *ctx = w->done_ctx;
        ad_free(w);
        done(ctx);
    } else if (!w->walking) {
        w->changed = w->unfinished = false;
        w->walking = true;
        walk(w, ad_schema_next(w->s->o.schema, NULL));
    }
}

static void soon(struct ad_schema_watch *w, uint64_t delay_ms)
{
    ad_timer_start(w->s->o.timers, &w->timer, delay_ms, on_timer);
}

static void walk_end(struct ad_schema_watch *w)
{
    w->walking = false;
    if (w->closing || w->changed) {
        soon(w, 0);
    } else if (w->unfinished) {
        soon(w, AGAIN_MS);
    }
}

static void on_followed(struct ad_mirror_follow *f)
{
    struct ad_schema_watch *w = f->data;
    const struct ad_object *o = f->object;
    if (f->err && f->err != AD_ERR_CANCELED) {
        ad_log(AD_LOG_WARN, "mirror_not_following", AD_KS("object", o->slug),
               AD_KE("error", f->err), AD_KC("detail", f->info.msg));
    } else if (f->rows > 0) {
        ad_log(AD_LOG_INFO, "mirror_followed", AD_KS("object", o->slug), AD_KI("rows", f->rows));
    }
    bool wanted = f->resync && (!f->fresh || w->s->o.sync_on_start);
    bool again = !w->closing && (f->err || (wanted && ad__sync_wanted(w->s->sync, o)));
    w->unfinished = w->unfinished || again;
    walk(w, w->closing || w->changed ? NULL : ad_schema_next(w->s->o.schema, o));
}

/* A change while it walks begins it anew: what is done already costs a look each. */
static void walk(struct ad_schema_watch *w, const struct ad_object *o)
{
    if (o) {
        w->follow = (struct ad_mirror_follow){ .object = o, .cb = on_followed, .data = w };
        enum ad_err err = ad_mirror_follow(w->s->o.mirror, &w->follow);
        if (!err) {
            return;
        }
        ad_log(AD_LOG_WARN, "mirror_not_following", AD_KS("object", o->slug), AD_KE("error", err));
        w->unfinished = true;
    }
    walk_end(w);
}

static void on_changed(void *ctx)
{
    struct ad_schema_watch *w = ctx;
    w->changed = true;
    if (w->started && !w->walking) {
        soon(w, 0);
    }
}

void ad__schema_watch_start(struct ad_schema_watch *w)
{
    w->started = true;
    soon(w, 0);
}

/* ---- events ------------------------------------------------------------------------------ */

static void on_refreshed(struct ad_schema_wait *wait)
{
    struct waiting *w = wait->data;
    struct ad_invocation *inv = w->inv;
    enum ad_err err = wait->err;
    ad_list_remove(&w->link);
    ad_free(w);
    ad_invocation_done(inv, err ? AD_OUTCOME_RETRY : AD_OUTCOME_DONE, ad_err_text(err));
}

static void run(void *ctx, struct ad_invocation *inv)
{
    struct ad_schema_watch *o = ctx;
    struct waiting *w = ad_zalloc(sizeof(*w));
    if (w) {
        w->inv = inv;
        w->wait = (struct ad_schema_wait){ .cb = on_refreshed, .data = w };
        ad_list_push(&o->waiting, &w->link);
        if (!ad_schema_refresh(o->s->o.schema, AD_PRIO_PULL, &w->wait)) {
            return;
        }
        ad_list_remove(&w->link);
        ad_free(w);
    }
    ad_invocation_done(inv, AD_OUTCOME_RETRY, "schema refresh could not start");
}

static const char *const types[] = { "object-attribute.*", "list-attribute.*", "list.*", NULL };

const struct ad_handler *ad__schema_watch_handler(const struct ad_schema_watch *w)
{
    return &w->handler;
}

/* ---- open and close ---------------------------------------------------------------------- */

enum ad_err ad__schema_watch_open(struct ad_service *s, struct ad_schema_watch **out)
{
    struct ad_schema_watch *o = ad_zalloc(sizeof(*o));
    if (!o) {
        return AD_ERR_NOMEM;
    }
    o->s = s;
    ad_list_init(&o->waiting);
    o->handler = (struct ad_handler){
        .abi = AD_HANDLER_ABI,
        .name = "schema",
        .types = types,
        .mode = AD_HANDLER_LATEST,
        .concurrency = 100,
        .timeout_ms = 300000,
        .max_attempts = 50,
        .needs_attio = true,
        .run = run,
        .ctx = o,
    };
    ad_schema_on_change(s->o.schema, on_changed, o);
    *out = o;
    return AD_OK;
}

void ad__schema_watch_close(struct ad_schema_watch *o, void (*done)(void *ctx), void *ctx)
{
    o->closing = true;
    o->done = done;
    o->done_ctx = ctx;
    o->follow.stop = true;
    ad_schema_on_change(o->s->o.schema, NULL, NULL);
    for (struct ad_list *l = ad_list_pop(&o->waiting); l; l = ad_list_pop(&o->waiting)) {
        struct waiting *w = ad_container_of(l, struct waiting, link);
        ad_schema_wait_cancel(o->s->o.schema, &w->wait);
        ad_invocation_done(w->inv, AD_OUTCOME_RETRY, "closing");
        ad_free(w);
    }
    if (!o->walking) {
        soon(o, 0);
    }
}
