/* The SQL copy of Attio's data: typed tables named by id, views named by slug. "Record" below stands
 * for each of the six kinds of things (attio/schema.h), which all operations treat alike:
 *
 *   kind     table                      view                its own id            fixed columns
 *   object   attiod_o_<object_id>       <slug>              record_id
 *   list     attiod_l_<list_id>         list_<slug>         entry_id              parent_object,
 *                                                                                 parent_record_id
 *   note     attiod_notes               notes               note_id               those of
 *   task     attiod_tasks               tasks               task_id               mirror_kind.c
 *   comment  attiod_comments            comments            comment_id
 *   member   attiod_workspace_members   workspace_members   workspace_member_id
 *
 * A table has the key (_workspace_id, <own id>), the fixed columns, created_at, the system columns
 * _version _accurate_at _synced_at _deleted_at _raw, and columns a_<attribute_id>[__<property>].
 *
 * A view has its own id, the fixed columns, every attribute under its slug, its properties as
 * <slug>_<property>, created_at, the system columns, and the aliases email, domain, first_name,
 * last_name, full_name (of the first attribute of that type) where nothing else has the name.
 * <view>_live is the same without deleted rows. A name that is taken, longer than 63 bytes, or one
 * of ours gets "__2"; built-in views are first to be named, then objects and lists in the order they
 * were first seen. What an attribute is in SQL:
 *
 *   text, date, timestamp, select and status (title), references (id), domain, email-address,
 *   phone-number                       TEXT
 *   number, rating, currency (amount)  NUMERIC
 *   checkbox                           0 or 1
 *   location, personal-name, interaction and unknown types: JSON object
 *   any type that holds several values: JSON array of the above; its properties are those of the
 *   first value. Several references to records of more than one object: array of objects
 *   {"target_object", "target_record_id"}
 *
 * Table and views follow the schema while running: before an operation on an object whose generation
 * changed, columns are added and views made anew. A renamed attribute keeps its columns; one whose
 * values change their form (type, single or multi) gets new ones; an archived one leaves the views,
 * its columns stay and are written again when it is restored; an object or a list that is gone has no
 * views. Rows that were there before are completed by ad_mirror_follow, from _raw where that tells.
 *
 * No value is NULL. Times are Attio's own text, to the nanosecond. A number is an integer where it
 * is whole and within 64 bits, else the nearest double; a decimal that no double holds has its exact
 * text in _raw. _raw is the record as Attio sent it, whole.
 *
 * The rule of versions: a row is replaced only by an answer with a higher version whose x-accurate-at
 * is not older than the row's; tombstones keep their version. It is checked in SQL.
 *
 * Unchanged rows (_raw is equal) cost no write at all, so their row keeps its older version. An
 * answer older than the one that showed them unchanged could then slip in: for `late_ms`, longer than
 * any answer can be under way, the mirror remembers which records which answer showed unchanged, and
 * holds late ones against that too. It remembers `unchanged_max` of them; an answer that is older than what
 * had to be forgotten for that is refused (BUSY): ask again. Answers under way do not outlive the process, and one database
 * has one writing process; with several (PostgreSQL) the version will have to be written.
 *
 * Operations on one object run one after the other, in the order they were submitted. */
#ifndef AD_ATTIO_MIRROR_H
#define AD_ATTIO_MIRROR_H

#include "attio/inbox.h"
#include "attio/schema.h"

struct ad_mirror; /* opaque */

struct ad_mirror_opts {
    struct ad_store *store;
    struct ad_schema *schema; /* names of the other objects; outlives the mirror */
    struct ad_inbox *inbox;   /* told what the mirror's transactions settled */
    const struct ad_clock *clock;
    struct ad_metrics *metrics;
    unsigned late_ms;       /* 0: 120000, the client's longest call */
    unsigned unchanged_max; /* 0: 262144 records remembered as unchanged, 16 bytes each */
};
AD_MUST_CHECK enum ad_err ad_mirror_open(const struct ad_mirror_opts *opts, struct ad_mirror **out,
                                         struct ad_errinfo *info);
/* Every operation must have called back. Before the store's close: statements are given back. */
void ad_mirror_close(struct ad_mirror *m);

struct ad_mirror_op;
typedef void (*ad_mirror_cb)(struct ad_mirror_op *op);

/* Caller-owned from start to callback; zero it first. */
struct ad_mirror_op {
    /* set by the caller */
    const struct ad_object *object;
    int64_t version;     /* above 0 */
    int64_t accurate_ns; /* 0: unknown */
    struct ad_str workspace_id;
    /* Events whose handling these rows complete: their settling shares the last chunk's transaction.
     * on_record and on_behind may still change these two; else they stay until cb. */
    const int64_t *done;
    size_t done_n;
    ad_mirror_cb cb;
    void *data;
    bool bulk; /* sync: chunks of 50 rows, behind everything else; else of 100 */
    bool lent; /* the answer's text stays as it is until cb: it is not copied */
    bool dry;  /* only counts what would become of them; nothing is written (no `done` then) */
    /* result. On error some chunks may be in SQL: the same answer may be applied again, unless it is
     * BUSY (too old). */
    enum ad_err err;
    struct ad_errinfo info;
    unsigned seen, created, updated, unchanged, stale; /* of the records given; delete: updated are
                                                          rows that carry a tombstone now */
    /* Set by the caller or NULL: called from inside ad_mirror_apply for every record of the answer,
     * once all have been told apart. Its arguments are valid during the call; created_at is absent
     * when the record has none. */
    void (*on_record)(struct ad_mirror_op *op, struct ad_str record_id, struct ad_str created_at);
    /* Set by the caller or NULL: called, before anything is settled, for every record of which the
     * answer is stale although nobody asked later: Attio had shown a later state before
     * (x-accurate-at), so this answer says nothing about what happened since, and must complete no
     * events. */
    void (*on_behind)(struct ad_mirror_op *op, struct ad_str record_id);
    /* private */
    void *impl;
};

/* All records of an answer's text, {"data": [record, ...]} or {"data": record}; where comments are
 * expected, a thread stands for all of its comments. The text is copied unless it is lent. In one turn
 * of the loop no more than 100 records are compared with SQL, and parsed where they are news.
 * OK: cb comes exactly once, later. PARSE: no such text, or a record without an id; INVALID: no
 * object, version or workspace; NOMEM, CLOSED, BUSY (too old): it does not. After on_record was called
 * only these three can come. A record is parsed when it turns out to be news: if it then is no JSON, which
 * somebody should have checked who minds, op->err is PARSE. */
AD_MUST_CHECK enum ad_err ad_mirror_apply(struct ad_mirror *m, struct ad_mirror_op *op,
                                          struct ad_str response);
/* Marks records deleted at `version`; ids need not live past the call. Unknown ids get a tombstone
 * row too, so that a late older answer cannot bring them back. */
AD_MUST_CHECK enum ad_err ad_mirror_delete(struct ad_mirror *m, struct ad_mirror_op *op,
                                           const struct ad_str *ids, size_t n);
/* Only settles op->done (the record's object is not mirrored, or nothing is to be written); `object`
 * may be NULL. INVALID when there is nothing to settle. */
AD_MUST_CHECK enum ad_err ad_mirror_settle(struct ad_mirror *m, struct ad_mirror_op *op);

struct ad_mirror_scan;
typedef void (*ad_mirror_scan_cb)(struct ad_mirror_scan *s);
/* Live rows whose version is below `version` with created_at in [from, to), by record_id. A row that
 * was shown unchanged has kept its older version and is among them: the caller takes away the ids it
 * saw. */
struct ad_mirror_scan {
    /* set by the caller; slices live until cb */
    const struct ad_object *object;
    struct ad_str workspace_id;
    int64_t version;
    struct ad_str from, to; /* RFC 3339; absent: open */
    struct ad_str after;    /* record_id; absent: from the first */
    unsigned max;           /* 1 to 1000 */
    ad_mirror_scan_cb cb;
    void *data;
    /* result */
    enum ad_err err;
    struct ad_errinfo info;
    const struct ad_str *ids; /* valid during cb */
    size_t ids_n;
    bool more;
    /* private */
    void *impl;
};
AD_MUST_CHECK enum ad_err ad_mirror_scan(struct ad_mirror *m, struct ad_mirror_scan *s);

/* Ids looked for at once. */
#define AD_MIRROR_LOOK_MAX 500

struct ad_mirror_look;
typedef void (*ad_mirror_look_cb)(struct ad_mirror_look *l);
/* Which of some records carry a tombstone; after the operations submitted before. */
struct ad_mirror_look {
    /* set by the caller */
    const struct ad_object *object;
    struct ad_str workspace_id; /* lives until cb */
    ad_mirror_look_cb cb;
    void *data;
    /* result */
    enum ad_err err;
    struct ad_errinfo info;
    const struct ad_str *deleted; /* ids, valid during cb */
    size_t deleted_n;
    /* private */
    void *impl;
};
/* ids need not live past the call. INVALID: no object or workspace, or too many. */
AD_MUST_CHECK enum ad_err ad_mirror_tombstones(struct ad_mirror *m, struct ad_mirror_look *l,
                                               const struct ad_str *ids, size_t n);

struct ad_mirror_prune;
typedef void (*ad_mirror_prune_cb)(struct ad_mirror_prune *p);
/* Takes away up to `max` of the object's tombstones that are older than `before_ns`, and as many old
 * entries of the change feed, behind everything else. */
struct ad_mirror_prune {
    /* set by the caller */
    const struct ad_object *object;
    int64_t before_ns;
    unsigned max; /* 1 to 1000 */
    ad_mirror_prune_cb cb;
    void *data;
    /* result */
    enum ad_err err;
    struct ad_errinfo info;
    int64_t removed; /* of both; fewer than max: there are no more */
    /* private */
    void *impl;
};
AD_MUST_CHECK enum ad_err ad_mirror_prune(struct ad_mirror *m, struct ad_mirror_prune *p);

/* Brings an object's table and views to the schema, then the rows that were there before: chunk by
 * chunk, other operations on the object go in between. What was left undone, by a stop or by a kill,
 * is done by the next one, so call it for every object at start and whenever the schema changed. */
struct ad_mirror_follow {
    /* set by the caller */
    const struct ad_object *object;
    bool stop; /* may be set until cb: no further chunk, CANCELED */
    void (*cb)(struct ad_mirror_follow *f);
    void *data;
    /* result */
    enum ad_err err;
    struct ad_errinfo info;
    uint64_t rows; /* completed now */
    /* A full sync that begins from now on is needed, because _raw did not tell all; `fresh`: any one,
     * because there never was a complete one. Until it was, each call says so again. */
    bool resync, fresh;
    /* private */
    void *impl;
};
AD_MUST_CHECK enum ad_err ad_mirror_follow(struct ad_mirror *m, struct ad_mirror_follow *f);

struct ad_mirror_children;
typedef void (*ad_mirror_children_cb)(struct ad_mirror_children *c);
/* Live entries, notes or comments that hang on a record, by their own ids. */
struct ad_mirror_children {
    /* set by the caller; slices live until cb */
    const struct ad_object *object; /* a list, notes or comments */
    struct ad_str workspace_id, record_id;
    struct ad_str after; /* own id; absent: from the first */
    ad_mirror_children_cb cb;
    void *data;
    /* result */
    enum ad_err err;
    struct ad_errinfo info;
    const struct ad_str *ids; /* at most AD_MIRROR_LOOK_MAX, valid during cb */
    size_t ids_n;
    bool more;
    /* private */
    void *impl;
};
/* INVALID: an argument is missing, or things of that kind hang on no record. */
AD_MUST_CHECK enum ad_err ad_mirror_children(struct ad_mirror *m, struct ad_mirror_children *c);

struct ad_mirror_count {
    /* set by the caller */
    const struct ad_object *object;
    void (*cb)(struct ad_mirror_count *c);
    void *data;
    /* result */
    enum ad_err err;
    struct ad_errinfo info;
    int64_t live, deleted;
    /* private */
    void *impl;
};
AD_MUST_CHECK enum ad_err ad_mirror_count(struct ad_mirror *m, struct ad_mirror_count *c);

/* What all tables and views should be by the schema, and what of it is there. */
struct ad_mirror_describe {
    /* set by the caller */
    /* A JSON array is appended: slug, kind, id, view, live_view, table, state, rows_lacking, columns:
     * [{name, type, column, attribute, missing}]. "instead_of": what the view or column would be
     * called if the name were free and short enough. state: "new" (no table yet), "changed" (the
     * next operation changes table or views), "same"; rows_lacking: rows that were there before a
     * change are being completed. */
    struct ad_buf *out;
    void (*cb)(struct ad_mirror_describe *d);
    void *data;
    /* result */
    enum ad_err err;
    struct ad_errinfo info;
};
AD_MUST_CHECK enum ad_err ad_mirror_describe(struct ad_mirror *m, struct ad_mirror_describe *d);

#endif
