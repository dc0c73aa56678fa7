/* Who we are to Attio, and our webhook there: GET /v2/self and the /v2/webhooks calls, plus the
 * secrets we store.
 *
 *   ours      a webhook whose target is our public receiver, or lies under it (".../attio/a");
 *             all others are another program's and never touched
 *   slot      one of three targets: the receiver itself, "/a" and "/b" under it. One webhook of ours
 *             is there at a time, but while one takes another's place: the new one is made in a free
 *             slot before the old one is deleted, so that no delivery finds nobody
 *   known     a webhook whose secret is in attiod_webhook. Attio names a secret once, in the answer
 *             that created the webhook: one that did not reach SQL is lost, and with it the webhook
 *
 *   retired   was known and is deleted at Attio: what it still had under way is accepted for
 *             AD_WEBHOOK_RETIRED_MS more
 *
 * Two known ones mean that somebody was stopped between making the new one and deleting the old
 * one; whoever comes next, ensure or rotate, finishes that. Operations that change webhooks run one
 * after the other.
 *
 * A 401 that any call got makes us ask, once, who we are: valid tokens are refused now and then
 * under load. What the answer says counts, and so does a 401 to a call sent within
 * AD_ACCOUNT_TRUST_MS after the answer was good. While the latch is closed we ask again every
 * AD_ACCOUNT_RECHECK_MS.
 *
 * identify keeps the client's latch: a token that is dead, or that belongs to another workspace
 * than expected or than the database's, stops outgoing calls until a later identify finds it
 * well. */
#ifndef AD_ATTIO_ACCOUNT_H
#define AD_ATTIO_ACCOUNT_H

#include "attio/client.h"
#include "attio/webhook.h"

struct ad_store;
struct ad_account; /* opaque */

#define AD_ACCOUNT_TRUST_MS 60000
#define AD_ACCOUNT_RECHECK_MS 30000
#define AD_WEBHOOK_RETIRED_MS INT64_C(3600000)
/* Both are there, in a rotation, before the old one is deleted. */
#define AD_WEBHOOK_OVERLAP_MS 2000

struct ad_account_opts {
    struct ad_store *store;
    struct ad_client *client;
    struct ad_webhook_secrets *secrets;  /* what ensure creates or SQL holds is added here */
    struct ad_str expected_workspace_id; /* absent: any; copied */
};
/* Loads workspace id and stored webhook secrets from SQL (synchronous). */
AD_MUST_CHECK enum ad_err ad_account_open(const struct ad_account_opts *opts,
                                          struct ad_account **out, struct ad_errinfo *info);
/* Every operation must have called back. Before the client and the store are closed. */
void ad_account_close(struct ad_account *a);

/* Workspace behind the token: known from SQL or from identify; absent before. Valid until the next
 * identify calls back. */
struct ad_str ad_account_workspace_id(const struct ad_account *a);
struct ad_str ad_account_workspace_slug(const struct ad_account *a);

/* The client has another key: asks who it belongs to. Until that is answered the client holds its
 * other calls back; where Attio gives no answer they go, and it is asked again. */
void ad_account_key_changed(struct ad_account *a);

/* How our webhook stands: what Attio says of it, or what is wrong with it. */
enum ad_webhook_status {
    AD_WEBHOOK_UNCHECKED, /* never asked */
    AD_WEBHOOK_ACTIVE,
    AD_WEBHOOK_DEGRADED, /* receives, but gave up deliveries */
    AD_WEBHOOK_INACTIVE, /* receives nothing */
    AD_WEBHOOK_ALTERED,  /* other subscriptions than ours */
    AD_WEBHOOK_MISSING,
    AD_WEBHOOK_SECRET_UNKNOWN,
    AD_WEBHOOK_STATUSES,
};
const char *ad_webhook_status_name(enum ad_webhook_status s); /* "active" */

struct ad_account_op;
typedef void (*ad_account_cb)(struct ad_account_op *op);

/* Caller-owned from start to callback; zero it first. */
struct ad_account_op {
    /* set by the caller; slices live until the callback */
    struct ad_str
        url; /* webhooks: our public receiver, "https://hooks.example.com/webhooks/attio" */
    const char *const *events; /* ensure: NULL-ended; NULL: all 27 */
    bool replace; /* ensure: delete a webhook at our URL whose secret is unknown, make one anew */
    struct ad_str id;   /* delete: the webhook's */
    struct ad_buf *out; /* list, ensure: JSON for people is appended; may be NULL */
    ad_account_cb cb;
    void *data;
    /* result */
    enum ad_err err;
    struct ad_errinfo info;
    bool created;                  /* ensure, rotate */
    enum ad_webhook_status found;  /* ensure, rotate: as it was */
    enum ad_webhook_status status; /* and is now; UNCHECKED when that could not be learnt */
    /* private */
    void *impl;
};
/* All of these: as ad_call_start (OK: cb comes exactly once, later). INVALID: no url or id where
 * one is needed. */

/* GET /v2/self, also through a closed latch; remembers the workspace in SQL. UNAUTHORIZED: the
 * token is dead (active:false, or refused). CONFLICT: another workspace than expected or than SQL
 * holds. Both close the latch, OK opens it. */
AD_MUST_CHECK enum ad_err ad_account_identify(struct ad_account *a, struct ad_account_op *op);
/* Exactly one webhook of ours in a slot of op->url, subscribed to the events without filters;
 * idempotent. Missing: made. Inactive: another one takes its place. Other subscriptions: changed.
 * Degraded: left as it is. A new one's secret is in SQL and in use before this goes on; when it
 * cannot be stored, the webhook is deleted again. In a slot, its secret unknown: CONFLICT naming
 * --replace, or with op->replace another one takes its place. (Without being asked when SQL holds
 * the note that we were about to create it: then its secret was lost with us.) What may have cost
 * events is noted as a gap (attio/gap.h) before it is healed. */
AD_MUST_CHECK enum ad_err ad_account_webhook_ensure(struct ad_account *a, struct ad_account_op *op);
/* As ensure, but another one takes its place in any case, unless it only has to finish what a
 * rotation before it began. No delivery is refused meanwhile, and what the old one had under way
 * arrives; only what it would have repeated later goes with it, so a gap is noted. Harmless to
 * repeat after a crash in any step. */
AD_MUST_CHECK enum ad_err ad_account_webhook_rotate(struct ad_account *a, struct ad_account_op *op);
/* {"data": [{id, target_url, status, created_at, events, ours, secret_known}]}, all of the
 * token's. */
AD_MUST_CHECK enum ad_err ad_account_webhook_list(struct ad_account *a, struct ad_account_op *op);
/* Deletes op->id there and its secret here. Only one of ours: FORBIDDEN otherwise. NOTFOUND: Attio
 * does not know it; its secret is deleted nevertheless. */
AD_MUST_CHECK enum ad_err ad_account_webhook_delete(struct ad_account *a, struct ad_account_op *op);

#endif
