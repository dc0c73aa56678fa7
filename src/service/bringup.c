#include "service/sync.h"
#include "service_private.h"

/* The steps in order; each is retried until it succeeds, so `serve` never waits for Attio and an
 * outage at start heals by itself. */
enum step { IDENTIFY, SCHEMA, WEBHOOK, SYNC, DONE };
static const char *const step_names[] = { "identity", "schema", "webhook", "sync" };

#define RETRY_BASE_MS 1000
#define RETRY_CAP_MS 60000

struct ad_bringup {
    struct ad_service *s;
    enum step step;
    unsigned failures;
    struct ad_errinfo last; /* why the last try of this step failed */
    struct ad_timer timer;
    struct ad_account_op op;
    struct ad_schema_wait wait;
    struct ad_rand rand;
    struct ad_buf out;
    bool waiting; /* for an account call */
    bool refreshing, closing;
    void (*done)(void *ctx);
    void *done_ctx;
};

static void step_run(struct ad_bringup *b);

static void on_timer(struct ad_timer *t)
{
    step_run(ad_container_of(t, struct ad_bringup, timer));
}

static void finish_close(struct ad_bringup *b)
{
    void (*done)(void *ctx) = b->done;
    void *ctx = b->done_ctx;
    ad_buf_fini(&b->out);
    ad_free(b);
    done(ctx);
}

static void step_failed(struct ad_bringup *b, enum ad_err err, const char *detail)
{
    unsigned shift = b->failures < 6 ? b->failures : 6;
    uint64_t cap = (uint64_t)RETRY_BASE_MS << shift;
    cap = cap < RETRY_CAP_MS ? cap : RETRY_CAP_MS;
    uint64_t wait = cap / 2 + ad_rand_below(&b->rand, cap / 2 + 1);
    b->failures++;
    AD_IGNORE(ad_fail(&b->last, err, "%s", detail), "kept for whoever asks");
    ad_log(AD_LOG_WARN, "bringup_failed", AD_KC("step", step_names[b->step]), AD_KE("error", err),
           AD_KC("detail", detail), AD_KI("retry_in_ms", wait));
    ad_timer_start(b->s->o.timers, &b->timer, wait, on_timer);
}

static void step_done(struct ad_bringup *b)
{
    b->failures = 0;
    b->last.code = AD_OK;
    b->step = b->s->o.offline && b->step == SCHEMA ? DONE : b->step + 1;
    ad_timer_start(b->s->o.timers, &b->timer, 0, on_timer);
}

static void on_identified(struct ad_account_op *op)
{
    struct ad_bringup *b = op->data;
    if (b->closing) {
        finish_close(b);
        return;
    }
    b->waiting = false;
    if (op->err) {
        step_failed(b, op->err, op->info.msg);
        return;
    }
    ad_log(AD_LOG_INFO, "identified",
           AD_KS("workspace", ad_account_workspace_slug(b->s->o.account)),
           AD_KS("workspace_id", ad_account_workspace_id(b->s->o.account)));
    step_done(b);
}

static void on_schema(struct ad_schema_wait *w)
{
    struct ad_bringup *b = w->data;
    b->refreshing = false;
    if (w->err) {
        step_failed(b, w->err, w->info.msg);
        return;
    }
    step_done(b);
}

static void on_webhook(struct ad_account_op *op)
{
    struct ad_bringup *b = op->data;
    if (b->closing) {
        finish_close(b);
        return;
    }
    b->waiting = false;
    ad__watch_saw(b->s->watch, op);
    bool off = op->err == AD_ERR_DISABLED && !ad_client_writes_enabled(b->s->o.client);
    if (off || (op->err && op->err != AD_ERR_UNAUTHORIZED && !ad_err_retryable(op->err))) {
        /* An operator must act: a webhook of unknown secret, a missing scope, a URL that Attio does
         * not take, writes that are switched off. The sync does not wait for that, and live events
         * arrive all the same if the configured secret is the right one. */
        ad_log(AD_LOG_ERROR, "webhook_not_ready", AD_KE("error", op->err),
               AD_KC("detail", op->info.msg));
    } else if (op->err) {
        step_failed(b, op->err, op->info.msg);
        return;
    } else {
        ad_log(AD_LOG_INFO, "webhook_ready", AD_KB("created", op->created));
    }
    step_done(b);
}

static enum ad_err ask(struct ad_bringup *b)
{
    struct ad_service *s = b->s;
    ad_buf_clear(&b->out);
    b->op = (struct ad_account_op){ .data = b, .out = &b->out };
    if (b->step == IDENTIFY) {
        b->op.cb = on_identified;
        return ad_account_identify(s->o.account, &b->op);
    }
    b->op.cb = on_webhook;
    b->op.url = ad_str_c(s->receiver);
    b->op.events = s->o.webhook_events;
    return ad_account_webhook_ensure(s->o.account, &b->op);
}

/* Dispatch may begin as soon as it is known whose events these are: at a restart SQL knows. */
static void release(struct ad_service *s)
{
    if (!s->o.offline && ad_account_workspace_id(s->o.account).n && ad_schema_known(s->o.schema)) {
        ad_dispatch_hold(s->dispatch, false);
    }
}

static void step_run(struct ad_bringup *b)
{
    struct ad_service *s = b->s;
    enum ad_err err = AD_OK;
    release(s);
    switch (b->step) {
    case IDENTIFY:
        b->waiting = true;
        err = ask(b);
        break;
    case SCHEMA:
        b->wait = (struct ad_schema_wait){ .cb = on_schema, .data = b };
        b->refreshing = true;
        err = ad_schema_refresh(s->o.schema, AD_PRIO_INTERACTIVE, &b->wait);
        break;
    case WEBHOOK:
        if (!s->receiver) {
            step_done(b);
            return;
        }
        b->waiting = true;
        err = ask(b);
        break;
    case SYNC:
        ad__sync_on_start(s->sync);
        ad__schema_watch_start(s->schema_watch); /* behind it: a sync begun before is resumed */
        step_done(b);
        return;
    case DONE:
        if (!s->o.offline) {
            ad__watch_start(s->watch);
        }
        ad_log(AD_LOG_INFO, "attio_ready",
               AD_KS("workspace_id", ad_account_workspace_id(s->o.account)));
        return;
    }
    if (err) {
        b->waiting = b->refreshing = false;
        step_failed(b, err, ad_err_text(err));
    }
}

enum ad_err ad__bringup_open(struct ad_service *s, struct ad_bringup **out)
{
    struct ad_bringup *b = ad_zalloc(sizeof(*b));
    if (!b) {
        return AD_ERR_NOMEM;
    }
    b->s = s;
    ad_rand_seed(&b->rand, s->o.seed ^ 0xb21);
    ad_buf_init(&b->out, (size_t)256 * 1024);
    *out = b;
    return AD_OK;
}

void ad__bringup_start(struct ad_bringup *b)
{
    ad_timer_start(b->s->o.timers, &b->timer, 0, on_timer);
}

const char *ad__bringup_step(const struct ad_bringup *b)
{
    return b->step == DONE ? NULL : step_names[b->step];
}

bool ad_service_is_up(const struct ad_service *s, enum ad_err *err, const char **detail)
{
    const struct ad_bringup *b = s->bringup;
    *err = b->last.code;
    *detail = b->last.msg;
    return b->step == DONE || !ad_client_enabled(s->o.client);
}

static void on_close_timer(struct ad_timer *t)
{
    finish_close(ad_container_of(t, struct ad_bringup, timer));
}

void ad__bringup_close(struct ad_bringup *b, void (*done)(void *ctx), void *ctx)
{
    b->closing = true;
    b->done = done;
    b->done_ctx = ctx;
    ad_timer_stop(b->s->o.timers, &b->timer);
    if (b->refreshing) {
        ad_schema_wait_cancel(b->s->o.schema, &b->wait);
    }
    if (!b->waiting) {
        ad_timer_start(b->s->o.timers, &b->timer, 0, on_close_timer);
    }
    /* else the account call ends: the client was stopped */
}
