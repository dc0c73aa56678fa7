/* What the mirror's sources share:
 *
 *   mirror_kind.c    what each kind of thing is in SQL: names of table, view and key, fixed columns
 *   mirror_value.c   what each attribute type is in SQL; values out of a record
 *   mirror_feed.c    the change feed's triggers and fields; reading it: mirror_change.c
 *   mirror_shape.c   an object's columns, names and statements, worked out from the schema
 *   mirror_table.c   bringing table and views to that shape
 *   mirror_backfill.c  and the rows that were there before
 *   mirror_describe.c  all of that for people
 *   mirror_apply.c   answers and deletes into rows; with mirror_answer.c, mirror_late.c and
 *                    mirror_chunk.c, of which mirror_apply_private.h tells
 *   mirror_settle.c  events settled with no row
 *   mirror.c         open, close, the queue of operations, reads */
#ifndef AD_ATTIO_MIRROR_PRIVATE_H
#define AD_ATTIO_MIRROR_PRIVATE_H

#include "attio/mirror.h"
#include "base/arena.h"
#include "base/json_write.h"
#include "infra/store.h"

/* --- Types --- */

enum ad_column_kind { AD_COLUMN_TEXT, AD_COLUMN_NUMBER, AD_COLUMN_BOOL, AD_COLUMN_JSON };

/* A property of a value: its name in SQL and its path in Attio's JSON. */
struct ad_property {
    const char *name, *path;
    enum ad_column_kind kind;
};
#define AD_PROPERTIES_MAX 10
struct ad_type_shape {
    struct ad_property main; /* path NULL: an object of all properties */
    struct ad_property properties[AD_PROPERTIES_MAX];
    unsigned properties_n;
};
const struct ad_type_shape *ad__type_shape(enum ad_attr_type t);

/* --- Kinds --- */

struct ad_kind_shape {
    const char *table, *view;   /* before the id and the slug where there are many; or all of it */
    const char *key, *key_path; /* its own id: the column, and where it stands in Attio's JSON */
    const char *values;         /* key of the values by slug; NULL: it has none */
    const char *created_at;     /* where the time stands that it is sorted by, else "created_at" */
    const char *parent;         /* column with the record it hangs on; NULL: on none or many */
    const struct ad_property *fixed; /* columns that need no attribute */
    unsigned fixed_n;
    bool many;
};
const struct ad_kind_shape *ad__kind_shape(enum ad_kind kind);

/* --- Shape --- */

struct ad_column {
    const struct ad_attribute *attribute; /* NULL: one of the kind's fixed columns */
    const struct ad_property *property;   /* NULL: the attribute's own column */
    enum ad_column_kind kind;
    struct ad_str physical; /* "a_41252299_..." */
    struct ad_str name;     /* in the view */
    struct ad_str wish;     /* what it would be called if nothing else had that name */
};

/* Columns of one attribute: its own, then its properties. */
struct ad_slot {
    const struct ad_attribute *attribute;
    struct ad_str slug; /* as it was when the shape was made */
    unsigned first, n;
};

enum {
    AD_SHAPE_UPSERT,
    AD_SHAPE_INSERT, /* of what is held to be new: changes nothing where it is not */
    AD_SHAPE_TOMBSTONE,
    AD_SHAPE_EXISTING,
    AD_SHAPE_EXISTING_RANGE,
    AD_SHAPE_SCAN,
    AD_SHAPE_SCAN_RANGE,
    AD_SHAPE_TOMBSTONES,
    AD_SHAPE_CHILDREN, /* of kinds with a parent */
    AD_SHAPE_COUNT,
    AD_SHAPE_BACKFILL,
    AD_SHAPE_ROWS,
    AD_SHAPE_PRUNE,
    AD_SHAPE_FEED_VALUES,
    AD_SHAPE_STATEMENTS
};
/* Values of upsert and insert before those of the columns. */
enum {
    AD_UP_WORKSPACE,
    AD_UP_RECORD,
    AD_UP_CREATED_AT,
    AD_UP_CREATED_NS,
    AD_UP_VERSION,
    AD_UP_ACCURATE_AT,
    AD_UP_SYNCED_AT,
    AD_UP_RAW,
    AD_UP_FIXED
};
/* Values of the backfill before the flags of the slots and the values of their columns. */
enum { AD_BACK_ROW, AD_BACK_VERSION, AD_BACK_DOUBT, AD_BACK_FIXED };

struct ad_shape {
    struct ad_arena arena;
    uint64_t generation, names_generation; /* of the object and the schema it was made from */
    const struct ad_kind_shape *kind;
    struct ad_str object_id;
    struct ad_str table; /* "attiod_o_..." */
    struct ad_str view, live_view, view_wish;
    struct ad_column *columns; /* the kind's fixed ones first */
    unsigned columns_n;
    struct ad_slot *slots;
    unsigned slots_n;
    struct ad_sql sql[AD_SHAPE_STATEMENTS];
    struct ad_buf views; /* CREATE VIEW ...; both */
    struct ad_buf triggers;
    char digest[65]; /* of all of it: equal means that table and views are as they should be */
    /* giving the statements back */
    struct ad_store *store;
    unsigned forgotten;
    struct ad_store_req req;
};
AD_MUST_CHECK enum ad_err ad__shape_new(const struct ad_schema *schema, const struct ad_object *o,
                                        struct ad_shape **out);
/* Gives the statements back to the store, then frees. */
void ad__shape_drop(struct ad_shape *shape, struct ad_store *store);
void ad__shape_free(struct ad_shape *shape);

/* The script that makes the triggers anew; the statement that gives (own id, fields) of those of the
 * ids in $1 that are not deleted. Failure sticks to the buffer. */
void ad__feed_triggers(const struct ad_shape *shape, struct ad_buf *b);
void ad__feed_values(struct ad_buf *b, const struct ad_shape *shape);
/* Fields as a JSON object: name to value, or to {"old", "new"}. False: they are not what the triggers
 * write. */
AD_MUST_CHECK bool ad__feed_write(struct ad_json_writer *w, struct ad_str fields, bool changed);

/* Quoted for SQL: identifier "x", literal 'x'. */
void ad__sql_ident(struct ad_buf *b, struct ad_str name);
void ad__sql_text(struct ad_buf *b, struct ad_str text);

/* The columns' values out of a record; `values` has room for shape->columns_n. Slices point into
 * the document or onto the arena. NOMEM. */
AD_MUST_CHECK enum ad_err ad__shape_values(const struct ad_shape *shape, struct ad_arena *arena,
                                           const struct ad_json *record, struct ad_value *values);

/* Those of one slot, out of the list of its values; `values` are NULLs. */
AD_MUST_CHECK enum ad_err ad__slot_values(const struct ad_shape *shape, const struct ad_slot *slot,
                                          struct ad_arena *arena, const struct ad_json *list,
                                          struct ad_value *values);

/* --- Table --- */

struct ad_mirror_work;

struct ad_mirror_table {
    struct ad_map_node node; /* mirror->tables, by object id */
    struct ad_mirror *mirror;
    const struct ad_object *object;
    struct ad_list queue; /* the first one runs */
    bool busy;
    struct ad_shape *shape, *next; /* in use; being brought about */
    struct ad_backfill *backfill,
        *next_backfill;       /* of each; NULL: all rows are as they should be */
    struct ad_list unchanged; /* oldest first */
    int64_t unchanged_version, unchanged_accurate_ns; /* the highest of them */
    int64_t forgotten_version, forgotten_accurate_ns; /* the highest that had to go early */
    /* while the table is brought to a shape */
    struct ad_arena arena;
    struct ad_str old_view, old_live_view; /* those of them that are still its own */
    struct ad_value value;
    struct ad_step step;
    struct ad_store_req req;
    struct ad_buf script;
};

struct ad_mirror {
    struct ad_mirror_opts o;
    struct ad_map tables;
    size_t works;
    struct ad_list unchanged; /* of all tables, oldest first */
    size_t unchanged_n;       /* records in them */
    struct ad_counter *c_created, *c_updated, *c_unchanged, *c_stale, *c_deleted, *c_shapes;
};

/* One operation in a table's queue. */
struct ad_mirror_work {
    struct ad_list link;
    struct ad_mirror_table *table;
    /* Starts it, with the table in shape: its end comes later, by ad__work_end. */
    enum ad_err (*run)(struct ad_mirror_work *w);
    /* Puts the result where the caller sees it, frees the work, calls back. */
    void (*finish)(struct ad_mirror_work *w, enum ad_err err, const struct ad_errinfo *info);
    enum ad_err err;
    struct ad_errinfo info;
};
AD_MUST_CHECK enum ad_err ad__work_submit(struct ad_mirror *m, const struct ad_object *o,
                                          struct ad_mirror_work *w);
/* The running work goes on behind those that wait; run is called again. Nothing may follow. */
void ad__work_again(struct ad_mirror_work *w);
/* The running work is over. Calls the user: nothing may follow. */
void ad__work_end(struct ad_mirror_work *w, enum ad_err err, const struct ad_errinfo *info);

/* What late answers to this table would be held against (mirror_late.c). */
void ad__late_forget(struct ad_mirror_table *t);

/* --- Backfill --- */

/* What existing rows lack after a change. Of one shape; the rows' schema outlives it. */
struct ad_backfill;
/* Out of attiod_shape; *out is NULL when there is nothing to do, or nothing that the shape has. */
AD_MUST_CHECK enum ad_err ad__backfill_read(const struct ad_shape *shape, struct ad_str text,
                                            struct ad_backfill **out);
/* What `slots`, rows of attiod_slot (attribute_id, slug, revision, type, current), do not say of the
 * shape, and what was still to be done before; *out NULL: nothing. `resync`: more than _raw tells. */
AD_MUST_CHECK enum ad_err ad__backfill_new(const struct ad_shape *shape,
                                           const struct ad_rows *slots,
                                           const struct ad_backfill *before,
                                           struct ad_backfill **out, bool *resync);
AD_MUST_CHECK enum ad_err ad__backfill_write(const struct ad_shape *shape,
                                             const struct ad_backfill *b, struct ad_buf *out);
void ad__backfill_free(struct ad_backfill *b);

/* Brings the table to the schema; calls ad__table_ready. */
AD_MUST_CHECK enum ad_err ad__table_ensure(struct ad_mirror_table *t);
void ad__table_ready(struct ad_mirror_table *t, enum ad_err err, const struct ad_errinfo *info);

#endif
