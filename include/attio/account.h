/* Who we are to Attio, and our webhook there: GET /v2/self and the /v2/webhooks calls, plus the secrets we store. */
#ifndef AD_ATTIO_ACCOUNT_H
#define AD_ATTIO_ACCOUNT_H

#include "attio/client.h"
#include "attio/webhook.h"

struct ad_store;
struct ad_account; /* opaque */

struct ad_account_opts {
    struct ad_store *store;
    struct ad_client *client;
    struct ad_webhook_secrets *secrets; /* what ensure creates or SQL holds is added here */
    struct ad_str expected_workspace_id; /* absent: any */
};
/* Loads workspace id and stored webhook secrets from SQL (synchronous). */
AD_MUST_CHECK enum ad_err ad_account_open(const struct ad_account_opts *opts, struct ad_account **out, struct ad_errinfo *info);
void ad_account_close(struct ad_account *a);

/* Workspace behind the token: known from SQL or from identify; absent before. Slices valid until close. */
struct ad_str ad_account_workspace_id(const struct ad_account *a);
struct ad_str ad_account_workspace_slug(const struct ad_account *a);

struct ad_account_op;
typedef void (*ad_account_cb)(struct ad_account_op *op);
struct ad_account_op {
    struct ad_str url;   /* webhooks: our public receiver, "https://hooks.example.com/webhooks/attio" */
    const char *const *events; /* NULL-ended; NULL: all 27 */
    bool replace;        /* ensure: delete and make anew a webhook of ours whose secret is unknown */
    struct ad_str id;    /* delete */
    struct ad_buf *out;  /* JSON for people: list, ensure */
    ad_account_cb cb;
    void *data;
    enum ad_err err;     /* identify: UNAUTHORIZED (active:false, or refused), CONFLICT (another workspace than expected or than SQL holds) */
    struct ad_errinfo info;
    bool created;        /* ensure */
    /* private */
    void *impl;
};
/* GET /v2/self; remembers the workspace in SQL. */
AD_MUST_CHECK enum ad_err ad_account_identify(struct ad_account *a, struct ad_account_op *op);
/* Exactly one webhook of ours at op->url, subscribed to the events; idempotent. The secret goes to SQL before the call is reported OK; a webhook at our URL whose secret is unknown:
 * CONFLICT naming --replace. A created webhook whose secret could not be stored is deleted again. */
AD_MUST_CHECK enum ad_err ad_account_webhook_ensure(struct ad_account *a, struct ad_account_op *op);
AD_MUST_CHECK enum ad_err ad_account_webhook_list(struct ad_account *a, struct ad_account_op *op);
/* Only one whose target is under op->url (our public URL): FORBIDDEN otherwise. */
AD_MUST_CHECK enum ad_err ad_account_webhook_delete(struct ad_account *a, struct ad_account_op *op);

#endif
