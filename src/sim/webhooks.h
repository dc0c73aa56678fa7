/* Webhook subscriptions and the signed deliveries they cause.
 *
 * Each event that a subscription lets through becomes one message: body, Idempotency-Key and
 * signature stay the same over all its tries. Messages to one target URL leave smoothed at the
 * given rate; a try that is not answered 2xx within 5 s is repeated up to ten times over about
 * three days of simulated time; then the webhook is degraded, and seven simulated days later
 * inactive: what was still on its way is given up. A delivery that arrives makes a degraded one
 * active again; an inactive one stays so until /_sim/ says otherwise (Attio does not say how that
 * happens).
 *
 * http: targets are taken on loopback only; Attio takes none. https: targets are taken; deliveries
 * to them fail unless somebody was named who vouches for them. */
#ifndef AD_SIM_WEBHOOKS_H
#define AD_SIM_WEBHOOKS_H

#include "base/json_write.h"
#include "base/timer.h"
#include "infra/crypto.h"
#include "infra/net.h"
#include "model.h"

#define AD_SIM_WEBHOOK_CONDS 16

struct ad_sim_webhook_cond {
    char *field, *value;
    bool negated;
};

struct ad_sim_subscription {
    const char *event_type;
    char *filter;    /* as given; NULL passes everything */
    char *canonical; /* to compare filters by */
    bool any;        /* $or */
    struct ad_sim_webhook_cond conds[AD_SIM_WEBHOOK_CONDS];
    size_t conds_n;
};

struct ad_sim_target;
struct ad_sim_faults;

/* What befalls one delivery on request, besides its tries. */
struct ad_sim_fate {
    bool lost;           /* never sent */
    bool twice;          /* a second one with the same key, copy_ms later */
    uint64_t overtakers; /* held until so many later ones were sent to the same URL... */
    uint64_t hold_ms;    /* ...or so long; without overtakers: so long */
    uint64_t copy_ms;
};

struct ad_sim_webhook {
    struct ad_list link;
    struct ad_sim_webhooks *all;
    uint8_t id[16];
    char secret[65];
    struct ad_hmac_key *key;
    char *url;
    struct ad_sim_target *target;
    struct ad_sim_subscription *subscriptions;
    size_t subscriptions_n;
    const char *status;
    int64_t created_ns;
    bool deleted;          /* gone for the API; freed when its last message is */
    struct ad_timer timer; /* degraded to inactive */
    uint64_t due_ms;       /* of that timer */
    uint64_t pending, delivered, failed, retried, lost;
};

struct ad_sim_webhooks {
    struct ad_sim_store *store;
    struct ad_loop *loop;
    struct ad_timers *timers;
    uint64_t rate_per_url; /* per second; 0: no limit */
    double factor;         /* simulated seconds per second */
    struct ad_rand rand;   /* ids, secrets, keys */
    struct ad_list list;
    struct ad_list targets;
    struct ad_list waiting; /* messages between two tries */
    struct ad_list held;    /* messages that a fault holds back */
    struct ad_sim_faults *faults;
    struct ad_dialer *dialer; /* to https: targets; NULL: their deliveries fail */
    struct ad_dialer *plain;  /* to http: targets; NULL: TCP */
    bool closing;
    size_t clients_open;
    void (*closed)(void *ctx);
    void *closed_ctx;
};

void ad_sim_webhooks_open(struct ad_sim_webhooks *ws, struct ad_loop *loop,
                          struct ad_sim_store *store, uint64_t seed);
/* Cuts deliveries; `done` when nothing is open any more. */
void ad_sim_webhooks_close(struct ad_sim_webhooks *ws, void (*done)(void *ctx), void *ctx);
/* ad_sim_event_cb. */
void ad_sim_webhooks_on_event(void *ctx, const struct ad_sim_event *event);
/* Waits under way shrink or grow with it. */
void ad_sim_webhooks_set_factor(struct ad_sim_webhooks *ws, double factor);
/* {"pending":...,"delivered":...,"failed":...,"retried":...,"webhooks":[...]} */
void ad_sim_webhooks_report(const struct ad_sim_webhooks *ws, struct ad_json_writer *w);

/* webhook_state.c: "active", "degraded" or "inactive". */
void ad_sim_webhook_set_status(struct ad_sim_webhook *hook, const char *status);
bool ad_sim_webhook_is(const struct ad_sim_webhook *hook, const char *status);
/* The week of a degraded webhook runs by the new factor from now on. */
void ad_sim_webhook_rescale(struct ad_sim_webhook *hook, double factor);
/* POST and DELETE /_sim/webhooks/{id}. */
struct ad_sim_call;
void ad_sim_webhook_control(struct ad_sim_call *c);
void ad_sim_webhook_remove(struct ad_sim_call *c);

/* webhooks.c: the one named in the path, or NULL with the 404 set. */
struct ad_sim_webhook *ad_sim_call_webhook(struct ad_sim_call *c);
/* Gone for the API at once; nothing more of it is sent. */
void ad_sim_webhook_delete(struct ad_sim_webhook *hook);
void ad_sim_webhook_answer(struct ad_sim_call *c, const struct ad_sim_webhook *hook);

/* deliver.c, for webhooks.c */
struct ad_sim_target *ad_sim_target_get(struct ad_sim_webhooks *ws, struct ad_str url);
void ad_sim_deliver(struct ad_sim_webhook *hook, struct ad_str body,
                    const struct ad_sim_fate *fate);
/* Gives up what waits; what is on its way ends by itself. May free a deleted webhook. */
void ad_sim_deliver_stop(struct ad_sim_webhook *hook);
void ad_sim_webhook_free(struct ad_sim_webhook *hook);

/* http://host:port/path taken apart. False: not a URL. */
AD_MUST_CHECK bool ad_sim_url_parse(struct ad_str url, bool *tls, struct ad_endpoint *to,
                                    struct ad_str *path);

#endif
