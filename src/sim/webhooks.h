/* Webhook subscriptions and the signed deliveries they cause.
 *
 * Each event that a subscription lets through becomes one message: body, Idempotency-Key and
 * signature stay the same over all its tries. Messages to one target URL leave smoothed at the
 * given rate; a try that is not answered 2xx within 5 s is repeated up to ten times over about
 * three days of simulated time; then the webhook is degraded, and seven simulated days later
 * inactive. A delivery that arrives makes it active again (Attio does not say how that happens).
 *
 * http: targets are taken on loopback only; Attio takes none. https: targets are taken, but this
 * program knows no TLS yet: their deliveries fail. */
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
    uint64_t pending, delivered, failed, retried;
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

/* deliver.c, for webhooks.c */
struct ad_sim_target *ad_sim_target_get(struct ad_sim_webhooks *ws, struct ad_str url);
void ad_sim_deliver(struct ad_sim_webhook *hook, struct ad_str body);
void ad_sim_webhook_free(struct ad_sim_webhook *hook);

/* http://host:port/path taken apart. False: not a URL. */
AD_MUST_CHECK bool ad_sim_url_parse(struct ad_str url, bool *tls, struct ad_endpoint *to,
                                    struct ad_str *path);

#endif
