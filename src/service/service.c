#include "service/service.h"

#include "handlers/handlers.h"
#include "service_private.h"

/* ---- handlers ---------------------------------------------------------------------------- */

static const char *handler_fault(const struct ad_handler *h)
{
    if (h->abi != AD_HANDLER_ABI) {
        return "was built for another version of attiod/handler.h";
    }
    if (!h->name || !*h->name || strlen(h->name) > 64) {
        return "needs a name of at most 64 characters";
    }
    if (!h->run) {
        return "has no run function";
    }
    if (!h->types || !h->types[0]) {
        return "names no event types";
    }
    return h->mode == AD_HANDLER_EACH || h->mode == AD_HANDLER_LATEST ? NULL : "has no such mode";
}

enum ad_err ad_service_handler(struct ad_service *s, const struct ad_handler *h,
                               struct ad_errinfo *info)
{
    const char *fault = handler_fault(h);
    if (fault) {
        return ad_fail(info, AD_ERR_INVALID, "handler %s %s", h->name ? h->name : "without a name",
                       fault);
    }
    if (s->handlers_n == AD__HANDLERS_MAX) {
        return ad_fail(info, AD_ERR_INVALID, "handler %s: more than %d handlers", h->name,
                       AD__HANDLERS_MAX);
    }
    for (unsigned i = 0; i < s->handlers_n; i++) { /* failures are kept in SQL by name */
        if (strcmp(s->handlers[i]->name, h->name) == 0) {
            return ad_fail(info, AD_ERR_CONFLICT, "two handlers are named %s", h->name);
        }
    }
    for (const char *const *t = h->types; *t; t++) {
        enum ad_err err = ad_registry_on(s->o.registry, *t, h, info);
        if (err) {
            return err;
        }
    }
    s->handlers[s->handlers_n++] = h;
    ad_dispatch_meet(s->dispatch, h);
    return AD_OK;
}

/* ---- open -------------------------------------------------------------------------------- */

/* Where api receives (api/webhook.c) and Attio is told to send. */
static enum ad_err receiver_url(struct ad_service *s)
{
    if (!s->o.public_url) {
        return AD_OK;
    }
    struct ad_str base = ad_str_c(s->o.public_url);
    while (ad_str_ends(base, AD_STR("/"))) {
        base.n--;
    }
    s->receiver = ad_alloc(base.n + sizeof(AD_WEBHOOK_PATH));
    if (!s->receiver) {
        return AD_ERR_NOMEM;
    }
    memcpy(s->receiver, base.p, base.n);
    memcpy(s->receiver + base.n, AD_WEBHOOK_PATH, sizeof(AD_WEBHOOK_PATH));
    return AD_OK;
}

static enum ad_err open_parts(struct ad_service *s)
{
    const struct ad_service_opts *o = &s->o;
    const struct ad_dispatch_opts d = {
        .inbox = o->inbox,
        .schema = o->schema,
        .registry = o->registry,
        .clock = o->clock,
        .timers = o->timers,
        .metrics = o->metrics,
        .seed = o->seed ^ 0xd15,
        .window_max = o->window_max ? o->window_max : 20000,
    };
    static const struct ad_pull_family *const families[] = { &ad__record_family, &ad__entry_family,
                                                             &ad__activity_family, NULL };
    const struct ad_pull_opts p = {
        .families = families,
        .client = o->client,
        .schema = o->schema,
        .records = o->records,
        .mirror = o->mirror,
        .merges = o->merges,
        .account = o->account,
        .versions = o->versions,
        .clock = o->clock,
        .timers = o->timers,
        .metrics = o->metrics,
        .seed = o->seed ^ 0x9011,
    };
    enum ad_err err = ad_dispatch_open(&d, &s->dispatch);
    err = err ? err : ad_pull_open(&p, &s->pull);
    err = err ? err : ad__schema_watch_open(s, &s->schema_watch);
    err = err ? err : ad__sync_open(s, &s->sync);
    err = err ? err : ad__backups_open(s, &s->backups);
    err = err ? err : ad__watch_open(s, &s->watch);
    return err ? err : ad__bringup_open(s, &s->bringup);
}

/* Everybody who asks for work first; then the dispatcher, which heard their last words. */
void ad__part_closed(void *ctx)
{
    struct ad_service *s = ctx;
    if (--s->closing_parts > 0) {
        return;
    }
    if (s->dispatch) {
        struct ad_dispatch *d = s->dispatch;
        s->dispatch = NULL;
        s->closing_parts = 1;
        ad_dispatch_close(d, ad__part_closed, s);
        return;
    }
    void (*done)(void *ctx) = s->done;
    void *done_ctx = s->done_ctx;
    ad__ingest_close(s);
    ad_free(s->receiver);
    ad_free(s);
    done(done_ctx);
}

void ad__question_end(struct ad_service *s)
{
    s->questions--;
    if (s->closing) {
        ad__part_closed(s);
    }
}

void ad_service_close(struct ad_service *s, void (*done)(void *ctx), void *ctx)
{
    s->closing = s->draining = true;
    s->done = done;
    s->done_ctx = ctx;
    s->closing_parts = 1 + (s->probing ? 1U : 0U) + s->questions;
    ad_client_stop(s->o.client);
    if (s->dispatch) {
        ad_dispatch_stop(s->dispatch);
    }
    if (s->schema_watch) {
        s->closing_parts++;
        ad__schema_watch_close(s->schema_watch, ad__part_closed, s);
    }
    if (s->pull) {
        s->closing_parts++;
        ad_pull_close(s->pull, ad__part_closed, s);
    }
    if (s->sync) {
        s->closing_parts++;
        ad__sync_close(s->sync, ad__part_closed, s);
    }
    if (s->watch) {
        s->closing_parts++;
        ad__watch_close(s->watch, ad__part_closed, s);
    }
    if (s->backups) {
        s->closing_parts++;
        ad__backups_close(s->backups, ad__part_closed, s);
    }
    if (s->bringup) {
        s->closing_parts++;
        ad__bringup_close(s->bringup, ad__part_closed, s);
    }
    ad__part_closed(s);
}

static void nothing(void *ctx)
{
    (void)ctx;
}

enum ad_err ad_service_open(const struct ad_service_opts *opts, struct ad_service **out,
                            struct ad_errinfo *info)
{
    struct ad_service *s = ad_zalloc(sizeof(*s));
    if (!s) {
        return ad_fail(info, AD_ERR_NOMEM, "no memory");
    }
    s->o = *opts;
    s->o.webhook_watch_ms = opts->webhook_watch_ms ? opts->webhook_watch_ms : 300000;
    ad__ingest_open(s);
    enum ad_err err = receiver_url(s);
    err = err ? err : open_parts(s);
    if (err) {
        ad_fail(info, err, "service: %s", ad_err_text(err));
    }
    for (size_t i = 0; !err && ad_pull_handler(s->pull, i); i++) {
        err = ad_service_handler(s, ad_pull_handler(s->pull, i), info);
    }
    err = err ? err : ad_service_handler(s, ad__schema_watch_handler(s->schema_watch), info);
    if (err) {
        ad_service_close(s, nothing, NULL);
        return err;
    }
    *out = s;
    return AD_OK;
}

/* Webhooks are stored. Where nobody could do anything with them, nothing more is done than that. */
static void start_without_attio(struct ad_service *s)
{
    unsigned run = 0;
    for (unsigned i = 0; i < s->handlers_n; i++) {
        run += !s->handlers[i]->needs_attio;
    }
    ad_log(AD_LOG_WARN, "attio_disabled", AD_KC("effect", "no calls; webhooks are stored"),
           AD_KI("handlers_that_run", run), AD_KI("handlers_that_wait", s->handlers_n - run));
    if (run > 0) {
        ad_dispatch_without_attio(s->dispatch);
        ad_dispatch_hold(s->dispatch, false);
    }
}

void ad_service_start(struct ad_service *s)
{
    if (s->o.offline) {
        ad__bringup_start(s->bringup);
    } else if (!ad_client_enabled(s->o.client)) {
        start_without_attio(s);
    } else {
        ad__sync_load(s->sync);
        ad__bringup_start(s->bringup);
    }
}

void ad_service_drain(struct ad_service *s)
{
    s->draining = true;
}
