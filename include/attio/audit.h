/* Who did what to this installation, and what came of it: table attiod_audit.
 *
 * An entry is begun before the action, durably, and ended after it; so nothing is done without
 * one, and an entry that stays "started" says that the process ended in between. Ending an entry
 * also writes the log line `audit`.
 *
 * Nothing personal is in it: `actor` is the name of a token or of a part of ours, `action` and
 * `outcome` are our words. `target` is ids, slugs and filters; one that holds anything but letters,
 * digits and " ._:,=*-/" is kept as "?".
 *
 * Entries older than keep_ms go when a new one comes, some at a time. */
#ifndef AD_ATTIO_AUDIT_H
#define AD_ATTIO_AUDIT_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"

struct ad_store;
struct ad_audit; /* opaque */

struct ad_audit_opts {
    struct ad_store *store;
    const struct ad_clock *clock;
    int64_t keep_ms;
};
AD_MUST_CHECK enum ad_err ad_audit_open(const struct ad_audit_opts *opts, struct ad_audit **out);
/* What was submitted is still written; begun entries must have called back. */
void ad_audit_close(struct ad_audit *a);

struct ad_audit_entry;
typedef void (*ad_audit_cb)(struct ad_audit_entry *e);

/* Caller-owned from begin to callback, and then until it was ended; zeroed first. */
struct ad_audit_entry {
    /* set by the caller; slices live as long as the entry */
    struct ad_str actor, action, target; /* target may be absent */
    ad_audit_cb cb;
    void *data;
    /* result */
    enum ad_err err;
    struct ad_errinfo info;
    int64_t id;
    /* private */
    void *impl;
};
/* OK: cb comes exactly once, later. NOMEM, CLOSED: it does not. */
AD_MUST_CHECK enum ad_err ad_audit_begin(struct ad_audit *a, struct ad_audit_entry *e);
/* Ends an entry that was begun well. `outcome`: "ok", or an error's name; `target` replaces the
 * entry's where it is not absent. Nothing waits for it; a write that fails is logged. */
void ad_audit_end(struct ad_audit *a, const struct ad_audit_entry *e, const char *outcome,
                  struct ad_str target);
/* Begun and ended at once: for what cannot wait or be refused, such as a signal. */
void ad_audit_note(struct ad_audit *a, struct ad_str actor, struct ad_str action,
                   struct ad_str target, const char *outcome);

/* Caller-owned from list to callback; zeroed first. */
struct ad_audit_query {
    /* set by the caller; slices live until the callback */
    struct ad_str actor, action; /* absent: any */
    int64_t before;              /* cursor; 0: from the newest */
    unsigned limit;              /* 1 to 500; 0: 50 */
    /* appended: [{id, at, actor, action, target, outcome, ended_at}], the newest first */
    struct ad_buf *out;
    void (*cb)(struct ad_audit_query *q);
    void *data;
    /* result */
    enum ad_err err;
    struct ad_errinfo info;
    int64_t next_before; /* 0: that was all */
    /* private */
    void *impl;
};
AD_MUST_CHECK enum ad_err ad_audit_list(struct ad_audit *a, struct ad_audit_query *q);

#endif
