#include "service/events.h"

#include "base/json_bind.h"
#include "service_private.h"

struct work {
    struct ad_inbox_query inbox;
    struct ad_service *s;
    struct ad_events_query *e;
    bool acts; /* replay or discard */
};

static const char *const state_names[] = { "pending",     "retry",     "dead", "done",
                                           "quarantined", "discarded", NULL };

static void on_answer(struct ad_inbox_query *q)
{
    struct work *w = q->data;
    struct ad_events_query *e = w->e;
    if (w->acts && !q->err && q->changed > 0 && !q->dry_run) {
        ad_dispatch_reload(w->s->dispatch, q->lowest);
    }
    e->q.err = q->err;
    e->q.info = q->info;
    e->next_before = q->next_before;
    e->changed = q->changed;
    struct ad_service *s = w->s;
    ad_free(w);
    e->q.cb(&e->q);
    ad__question_end(s);
}

static enum ad_err filter(const struct ad_events_query *e, struct ad_inbox_filter *f,
                          struct ad_errinfo *info)
{
    enum ad_event_state state;
    *f = (struct ad_inbox_filter){ .state = -1,
                                   .type = e->type,
                                   .subject = e->subject,
                                   .before = e->before,
                                   .limit = e->limit ? e->limit : 50 };
    if (e->state.p) {
        if (!ad_event_state_parse(e->state, &state)) {
            const char *near = ad_did_you_mean(e->state, state_names);
            return ad_fail(info, AD_ERR_INVALID, "state: unknown '%.*s'%s%s%s", AD_FMT(e->state),
                           near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
        }
        f->state = (int)state;
    }
    if (e->since.p && !ad_time_parse(e->since, &f->since_ns)) {
        return ad_fail(info, AD_ERR_INVALID, "since: not an RFC 3339 time");
    }
    if (e->limit > 500) {
        return ad_fail(info, AD_ERR_INVALID, "limit: at most 500");
    }
    return AD_OK;
}

typedef enum ad_err (*inbox_fn)(struct ad_inbox *in, struct ad_inbox_query *q);

static enum ad_err start(struct ad_service *s, struct ad_events_query *e, inbox_fn fn)
{
    if (s->closing) {
        return ad_fail(&e->q.info, AD_ERR_CLOSED, "closing");
    }
    struct work *w = ad_zalloc(sizeof(*w));
    if (!w) {
        return ad_fail(&e->q.info, AD_ERR_NOMEM, "no memory");
    }
    w->s = s;
    w->e = e;
    w->acts = fn == ad_inbox_replay || fn == ad_inbox_discard;
    enum ad_err err = filter(e, &w->inbox.filter, &e->q.info);
    if (!err) {
        w->inbox.seq = e->id;
        w->inbox.dry_run = e->dry_run;
        w->inbox.out = e->q.out;
        w->inbox.cb = on_answer;
        w->inbox.data = w;
        err = fn(s->o.inbox, &w->inbox);
        e->q.info = w->inbox.info;
    }
    if (err) {
        ad_free(w);
    } else {
        ad__question_begin(s);
    }
    return err;
}

enum ad_err ad_service_events_list(struct ad_service *s, struct ad_events_query *e)
{
    return start(s, e, ad_inbox_list);
}

enum ad_err ad_service_events_show(struct ad_service *s, struct ad_events_query *e)
{
    return start(s, e, ad_inbox_show);
}

enum ad_err ad_service_events_replay(struct ad_service *s, struct ad_events_query *e)
{
    return start(s, e, ad_inbox_replay);
}

enum ad_err ad_service_events_discard(struct ad_service *s, struct ad_events_query *e)
{
    return start(s, e, ad_inbox_discard);
}
