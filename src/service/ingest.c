#include "service/ingest.h"

#include "service_private.h"

#define SAY_EVERY_MS 1000
/* The largest document of AD_DELIVERY_NODES_MAX values and a body within its limit. */
#define SCRATCH_MAX ((size_t)64 << 20)

struct work {
    struct ad_inbox_append append;
    struct ad_delivery delivery;
    struct ad_service *s;
    struct ad_ingest *in;
    uint64_t began_ms;
};

static struct ad_counter *outcome(struct ad_service *s, const char *label)
{
    return ad_metric_counter(s->o.metrics, "attiod_webhook_deliveries_total", label,
                             "Webhook deliveries by outcome.");
}

void ad__ingest_close(struct ad_service *s)
{
    ad_arena_fini(&s->ingest.scratch);
}

void ad__ingest_open(struct ad_service *s)
{
    s->ingest = (struct ad_ingest_state){
        .accepted = outcome(s, "outcome=\"accepted\""),
        .duplicate = outcome(s, "outcome=\"duplicate\""),
        .bad_signature = outcome(s, "outcome=\"bad_signature\""),
        .malformed = outcome(s, "outcome=\"malformed\""),
        .bad_key = outcome(s, "outcome=\"bad_key\""),
        .unavailable = outcome(s, "outcome=\"unavailable\""),
        .no_secret = outcome(s, "outcome=\"no_secret\""),
        .events = ad_metric_counter(s->o.metrics, "attiod_events_accepted_total", NULL,
                                    "Events made durable."),
        .ack = ad_metric_histogram(s->o.metrics, "attiod_webhook_ack_seconds", NULL,
                                   "From a whole request until its events were durable."),
    };
    ad_arena_init(&s->ingest.scratch, SCRATCH_MAX);
}

static void on_durable(struct ad_inbox_append *a)
{
    struct work *w = a->data;
    struct ad_service *s = w->s;
    struct ad_ingest *in = w->in;
    in->err = a->err;
    if (a->err) {
        in->info = a->info;
    }
    in->accepted = a->accepted;
    in->duplicate = a->duplicate;
    if (a->err) {
        s->ingest.unavailable->v++;
    } else if (!in->quarantined) {
        (a->accepted || !a->duplicate ? s->ingest.accepted : s->ingest.duplicate)->v++;
        s->ingest.events->v += a->accepted;
        ad_dispatch_push(s->dispatch, w->delivery.events, w->delivery.events_n);
    } else {
        in->accepted = 0;
    }
    ad_histogram_observe_ms(s->ingest.ack, (double)(ad_mono_ms(s->o.clock) - w->began_ms));
    in->cb(in);
    ad__question_end(s);
}

static enum ad_err refuse(struct ad_ingest *in, struct ad_counter *c, enum ad_err err)
{
    c->v++;
    in->err = err;
    in->info.code = err;
    return err;
}

/* At most once a second: a change of Attio's shapes must not fill the log. */
static void say_quarantined(struct ad_service *s, const char *reason)
{
    uint64_t now = ad_mono_ms(s->o.clock);
    s->ingest.unsaid++;
    if (now < s->ingest.say_ms) {
        return;
    }
    ad_log(AD_LOG_WARN, "delivery_quarantined", AD_KC("reason", reason),
           AD_KI("deliveries", s->ingest.unsaid));
    s->ingest.say_ms = now + SAY_EVERY_MS;
    s->ingest.unsaid = 0;
}

static enum ad_err quarantine(struct work *w)
{
    struct ad_ingest *in = w->in;
    struct ad_service *s = w->s;
    s->ingest.malformed->v++;
    in->quarantined = true;
    say_quarantined(s, in->info.msg);
    struct ad_str reason = ad_arena_str(in->arena, ad_str_c(in->info.msg));
    return ad_inbox_quarantine(s->o.inbox, &w->append, in->body, reason);
}

enum ad_err ad_ingest(struct ad_service *s, struct ad_ingest *in)
{
    if (s->closing) {
        return refuse(in, s->ingest.unavailable, AD_ERR_CLOSED);
    }
    /* Without any secret nothing can be told genuine; Attio tries again for three days. */
    if (ad_webhook_secrets_count(s->o.secrets) == 0) {
        return refuse(in, s->ingest.no_secret, AD_ERR_BUSY);
    }
    if (ad_webhook_verify(s->o.secrets, in->headers, in->headers_n, in->body) !=
        AD_WEBHOOK_GENUINE) {
        return refuse(in, s->ingest.bad_signature, AD_ERR_UNAUTHORIZED);
    }
    struct work *w = ad_arena_alloc(in->arena, sizeof(*w));
    if (!w) {
        return refuse(in, s->ingest.unavailable, AD_ERR_NOMEM);
    }
    *w = (struct work){
        .append = { .delivery = &w->delivery, .arena = in->arena, .cb = on_durable, .data = w },
        .s = s,
        .in = in,
        .began_ms = ad_mono_ms(s->o.clock),
    };
    struct ad_str key;
    if (ad_webhook_idempotency_key(in->headers, in->headers_n, &key, &in->info)) {
        return refuse(in, s->ingest.bad_key, AD_ERR_INVALID);
    }
    enum ad_err err =
        ad_webhook_decode(&s->ingest.scratch, in->arena, in->body, &w->delivery, &in->info);
    ad_arena_reset(&s->ingest.scratch);
    w->delivery.key = key;
    if (err == AD_ERR_NOMEM) {
        return refuse(in, s->ingest.unavailable, err);
    }
    err = err ? quarantine(w) : ad_inbox_append(s->o.inbox, &w->append);
    if (err) {
        return refuse(in, s->ingest.unavailable, err);
    }
    ad__question_begin(s);
    return AD_OK;
}
