/* The change feed: what became of the mirror's rows, in order.
 *
 * Each entry is written by the transaction that changed the row, whoever did (an event, a full sync, a
 * tombstone, rows completed after the schema changed), so there is one exactly when the row is
 * different: a row written again as it was makes none. Sequence numbers rise in the order of commits;
 * entries about one record are in the order of its changes. A number is never used twice.
 *
 * Fields are the columns of the mirror's view, under their names at the time of the entry: the kind's
 * fixed columns, each attribute, and properties that its own column does not tell. Following the feed
 * from its first entry gives the mirror's rows: an ADDED entry shows the record as it is *now*, later
 * entries repeat what led there, and end with the same.
 *
 * Entries are kept as long as tombstones (ad_mirror_prune). Who comes back later is told that they
 * are gone, reads the mirror's views, and follows from `latest`. */
#ifndef AD_ATTIO_CHANGES_H
#define AD_ATTIO_CHANGES_H

#include "attio/mirror.h"
#include "base/buf.h"

/* As they stand in SQL. */
enum ad_change { AD_CHANGE_ADDED = 1, AD_CHANGE_UPDATED, AD_CHANGE_DELETED, AD_CHANGE_MERGED };

#define AD_CHANGES_MAX 500

/* Caller-owned until cb; zero it first. */
struct ad_changes_list {
    /* set by the caller */
    int64_t after;                  /* entries with a higher number; below 0: none, only `latest` */
    const struct ad_object *object; /* of it only; NULL: of all */
    unsigned max;                   /* 1 to AD_CHANGES_MAX; fewer come when they are large */
    /* A JSON array is appended, an entry being
     *   {"seq", "change": "ADDED", "kind": "object", "object": slug, "object_id", "id", "at",
     *    "values": {name: value}   ADDED; null when the record is deleted by now
     *    "fields": {name: {"old", "new"}}   UPDATED
     *    "merged_into": id}   MERGED */
    struct ad_buf *out;
    void (*cb)(struct ad_changes_list *l);
    void *data;
    /* result */
    enum ad_err err; /* NOTFOUND: some entries behind `after` are gone; TOOLARGE; the store's */
    struct ad_errinfo info;
    int64_t last;   /* number of the last one appended, else `after`: where to go on */
    int64_t latest; /* the newest there is; 0: there is none */
    bool more;
    /* private */
    void *impl;
};
/* OK: cb comes exactly once, later. INVALID, NOMEM, CLOSED: it does not. */
AD_MUST_CHECK enum ad_err ad_changes_list(struct ad_mirror *m, struct ad_changes_list *l);

#endif
