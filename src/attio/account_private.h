/* Inside of the account: account.c (life, SQL, identify) and webhook_admin.c (the webhook calls).
 *
 * An operation is a chain of steps, each one call to Attio or one write to SQL; `then` says what
 * comes after the step under way. Whatever ends the chain calls ad__account_finish. */
#ifndef AD_ATTIO_ACCOUNT_PRIVATE_H
#define AD_ATTIO_ACCOUNT_PRIVATE_H

#include "attio/account.h"

#include "base/json.h"
#include "infra/store.h"

/* A UUID with its NUL; the longest slug and URL we keep. */
enum { AD_ID_BYTES = 37, AD_SLUG_BYTES = 128, AD_URL_BYTES = 2048 };

/* A webhook whose secret SQL holds. */
struct ad_known_webhook {
    struct ad_list link;
    char id[AD_ID_BYTES];
};

struct ad_account {
    struct ad_store *store;
    struct ad_client *client;
    struct ad_webhook_secrets *secrets;
    char expected_id[AD_ID_BYTES];
    char workspace_id[AD_ID_BYTES];
    char workspace_slug[AD_SLUG_BYTES];
    /* Target of a webhook that we were about to create when we were stopped, or "". */
    char creating[AD_URL_BYTES];
    struct ad_list known;
    size_t open; /* operations of others */
    /* Our own question who we are, after a 401 and while the latch is closed. */
    struct ad_account_op check;
    struct ad_timer recheck;
    bool checking, after_401, closed;
    bool unproven, check_again; /* the key is another; the question under way is of the old one */
    uint64_t well_ms; /* when such a question after a 401 was last answered well, 0: never */
};

/* A webhook that Attio listed, on impl->keep. */
struct ad_listed_webhook {
    struct ad_list link;
    struct ad_str id, target_url, status, created_at;
    struct ad_str *events;
    size_t events_n;
    bool filtered; /* some subscription has a filter */
    bool known, ours;
};

struct ad_account_impl {
    struct ad_account *account;
    struct ad_account_op *op;
    void (*then)(struct ad_account_impl *impl);
    /* a call */
    struct ad_call call;
    struct ad_buf path, body;
    struct ad_arena arena; /* the answer as a document */
    const struct ad_json *doc;
    /* a write; its values point into this struct or onto keep */
    struct ad_store_req req;
    struct ad_step steps[3];
    struct ad_value values[6];
    /* what lives through the whole operation */
    struct ad_arena keep;
    bool asked_twice; /* identify */
    bool ensuring;    /* or only listing */
    struct ad_list listed;
    unsigned offset;
    struct ad_listed_webhook *kept;
    struct ad_known_webhook *fresh; /* memory for the webhook being made */
    struct ad_str secret;
    struct ad_str workspace_id, workspace_slug;
};

AD_MUST_CHECK enum ad_err ad__account_begin(struct ad_account *a, struct ad_account_op *op,
                                            struct ad_account_impl **out);
/* Ends an operation whose first step could not be started: no callback. */
enum ad_err ad__account_drop(struct ad_account_impl *impl, enum ad_err err);
/* Calls the owner; frees. */
void ad__account_finish(struct ad_account_impl *impl);

/* Prepares impl->call, its buffers emptied; the caller fills path and body. */
void ad__account_request(struct ad_account_impl *impl, const char *method, const char *route);
/* Sends it; `then` looks at impl->call and impl->doc. */
AD_MUST_CHECK enum ad_err ad__account_send(struct ad_account_impl *impl,
                                           void (*then)(struct ad_account_impl *impl));
/* One more statement of the write that ad__account_write then submits; at most 3, of 6 values. */
void ad__account_sql(struct ad_account_impl *impl, const struct ad_sql *sql,
                     const struct ad_value *values, unsigned n);
AD_MUST_CHECK enum ad_err ad__account_write(struct ad_account_impl *impl,
                                            void (*then)(struct ad_account_impl *impl));
/* For a later step: what could not be started ends the operation. */
void ad__account_or_finish(struct ad_account_impl *impl, enum ad_err err);
/* Copies the outcome of the step into the operation; true when it failed. */
bool ad__account_call_failed(struct ad_account_impl *impl);
bool ad__account_write_failed(struct ad_account_impl *impl);

/* Copies a slice into a fixed text; false when it does not fit. */
bool ad__account_copy(char *out, size_t cap, struct ad_str s);

#endif
