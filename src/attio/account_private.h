/* Inside of the account: account.c (life, SQL, identify), webhook_list.c (which webhooks there are,
 * here and there) and webhook_admin.c (changing that).
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
    int64_t retired_ns; /* 0: it is ours now */
    char *secret;
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
    /* Operations that change webhooks: one at a time, the others in line. */
    bool changing;
    struct ad_list waiting;
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
    bool known, ours, in_slot;
    bool lost; /* made by us, its secret lost with a crash */
    bool gone; /* deleted meanwhile */
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
    struct ad_step steps[4];
    struct ad_value values[8];
    /* what lives through the whole operation */
    struct ad_arena keep;
    bool asked_twice; /* identify */
    void (*listed_then)(struct ad_account_impl *impl);
    bool rotate;
    struct ad_timer timer; /* its turn comes; the overlap of a rotation */
    bool turn;             /* among those that change webhooks */
    enum ad_err (*start)(struct ad_account_impl *impl);
    struct ad_list link; /* account->waiting */
    struct ad_list listed;
    unsigned offset;
    struct ad_listed_webhook *kept;   /* the one that is ours in the end */
    struct ad_listed_webhook *doomed; /* being deleted */
    char target[AD_URL_BYTES];        /* of the one being made */
    struct ad_known_webhook *fresh;   /* memory for the webhook being made */
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
/* One more statement of the write that ad__account_write then submits; at most 4, of 8 values. */
void ad__account_sql(struct ad_account_impl *impl, const struct ad_sql *sql,
                     const struct ad_value *values, unsigned n);
AD_MUST_CHECK enum ad_err ad__account_write(struct ad_account_impl *impl,
                                            void (*then)(struct ad_account_impl *impl));
/* For a later step: what could not be started ends the operation. */
void ad__account_or_finish(struct ad_account_impl *impl, enum ad_err err);
/* Copies the outcome of the step into the operation; true when it failed. */
bool ad__account_call_failed(struct ad_account_impl *impl);
bool ad__account_write_failed(struct ad_account_impl *impl);

/* Starts the operation, or puts it in line behind one that changes webhooks. */
AD_MUST_CHECK enum ad_err ad__account_change(struct ad_account_impl *impl,
                                             enum ad_err (*start)(struct ad_account_impl *impl));

/* webhook_list.c */
struct ad_known_webhook *ad__webhook_known(const struct ad_account *a, struct ad_str id);
/* Its secret is not accepted any more. */
void ad__webhook_forget(struct ad_account *a, struct ad_known_webhook *k);
void ad__known_free(struct ad_known_webhook *k);
/* GET /v2/webhooks, all pages, into impl->listed; then impl->listed_then. */
AD_MUST_CHECK enum ad_err ad__webhooks_ask(struct ad_account_impl *impl);
/* One webhook of an answer onto `keep`. PROTOCOL when it has no id, NOMEM. */
AD_MUST_CHECK enum ad_err ad__webhook_read(struct ad_account_impl *impl, const struct ad_json *v,
                                           struct ad_listed_webhook **out);
enum ad_webhook_status ad__webhook_status(const struct ad_account_op *op,
                                          const struct ad_listed_webhook *w);
/* The event types wanted, by number; NULL behind the last. */
const char *ad__webhook_event(const struct ad_account_op *op, size_t i);
/* The targets that are slots, by number; false behind the last, or when it is too long. */
bool ad__webhook_slot(const struct ad_account_op *op, unsigned i, char out[AD_URL_BYTES]);
/* Ends the operation with what was wrong. */
void ad__account_end_with(struct ad_account_impl *impl, enum ad_err err, const char *what);

/* Copies a slice into a fixed text; false when it does not fit. */
bool ad__account_copy(char *out, size_t cap, struct ad_str s);

#endif
