/* What hangs on records besides their values: notes, tasks, comments.
 *
 * Each kind is a shelf: items by id and in the order of their creation. Functions that change an item
 * emit Attio's events; nothing is an event that changes nothing. Records are named by pointer: a
 * deleted one is forgotten by all shelves before it goes. */
#ifndef AD_SIM_ACTIVITY_H
#define AD_SIM_ACTIVITY_H

#include "base/json_write.h"
#include "model.h"

struct ad_sim_shelf;

struct ad_sim_item {
    struct ad_map_node node;
    uint8_t id[16];
    int64_t created_ns;
    uint64_t serial; /* in the order of arrival */
};

/* What the shelves differ in. */
struct ad_sim_item_ops {
    const char *name; /* "notes" */
    /* As Attio shows it. */
    void (*write)(struct ad_json_writer *w, const struct ad_sim_store *s,
                  const struct ad_sim_item *item);
    /* With its events. */
    void (*remove)(struct ad_sim_store *s, struct ad_sim_item *item, uint8_t actor);
    /* Without. */
    void (*free)(struct ad_sim_item *item);
    /* The record is about to be deleted (`to` NULL) or to become `to`. */
    void (*leave)(struct ad_sim_store *s, struct ad_sim_item *item, struct ad_sim_record *record,
                  struct ad_sim_record *to, uint8_t actor);
};

struct ad_sim_shelf {
    const struct ad_sim_item_ops *ops;
    struct ad_map by_id;
    struct ad_sim_item **sorted; /* by creation, then serial */
    size_t n, cap;
    uint64_t serial;
    struct ad_rand rand; /* ids and contents */
};

enum ad_sim_shelf_id { AD_SIM_NOTES, AD_SIM_TASKS, AD_SIM_COMMENTS, AD_SIM_SHELVES };

struct ad_sim_activity {
    struct ad_sim_shelf shelves[AD_SIM_SHELVES];
};

struct ad_sim_activity *ad_sim_activity_new(uint64_t seed);
void ad_sim_activity_free(struct ad_sim_activity *a);
/* A record or entry is about to be deleted: its notes and comments go, tasks lose the link. */
void ad_sim_activity_forget(struct ad_sim_store *s, struct ad_sim_record *r, uint8_t actor);
/* After a merge: what hung on `from` hangs on `to`. No events but task.updated. */
void ad_sim_activity_move(struct ad_sim_store *s, struct ad_sim_record *from,
                          struct ad_sim_record *to, uint8_t actor);

/* NULL: no shelf is called so. */
struct ad_sim_shelf *ad_sim_shelf_named(const struct ad_sim_store *s, struct ad_str name);
struct ad_sim_shelf *ad_sim_shelf(const struct ad_sim_store *s, enum ad_sim_shelf_id which);
/* Gives the item its id and place. */
void ad_sim_shelf_put(struct ad_sim_shelf *shelf, struct ad_sim_item *item, int64_t created_ns);
void ad_sim_shelf_take(struct ad_sim_shelf *shelf, struct ad_sim_item *item);
struct ad_sim_item *ad_sim_shelf_find(const struct ad_sim_shelf *shelf, struct ad_str ref);

/* Bytes of their own; freed by ad_sim_text_free. */
struct ad_str ad_sim_text(struct ad_str s);
void ad_sim_text_free(struct ad_str s);

/* --- Notes --- */

struct ad_sim_note {
    struct ad_sim_item item; /* first */
    struct ad_sim_record *parent;
    struct ad_str title, content;
    bool markdown; /* of the content */
    uint8_t actor;
};

extern const struct ad_sim_item_ops ad_sim_note_ops;
struct ad_sim_note *ad_sim_note_add(struct ad_sim_store *s, struct ad_sim_record *parent,
                                    struct ad_str title, struct ad_str content, bool markdown,
                                    int64_t created_ns, uint8_t actor);
/* An absent title or content stays. True when something changed. */
bool ad_sim_note_change(struct ad_sim_store *s, struct ad_sim_note *note, struct ad_str title,
                        struct ad_str content, bool markdown, uint8_t actor);

/* --- Tasks --- */

struct ad_sim_task {
    struct ad_sim_item item; /* first */
    struct ad_str content;
    bool completed;
    int64_t completed_ns;
    int64_t deadline_ns; /* INT64_MIN: none */
    struct ad_sim_record **links;
    size_t links_n;
    uint8_t assignees[AD_SIM_MEMBERS_MAX]; /* actors */
    size_t assignees_n;
    uint8_t actor;
};

extern const struct ad_sim_item_ops ad_sim_task_ops;
/* A task takes over `links` (from ad_sim_alloc) and all else of `as` but id and content; without a
 * completed_ns a completed one was completed now. */
struct ad_sim_task *ad_sim_task_add(struct ad_sim_store *s, const struct ad_sim_task *as,
                                    struct ad_str content);
bool ad_sim_task_change(struct ad_sim_store *s, struct ad_sim_task *task,
                        const struct ad_sim_task *as, uint8_t actor);

/* --- Comments --- */

struct ad_sim_comment {
    struct ad_sim_item item;     /* first */
    struct ad_sim_comment *head; /* of its thread; itself for the first one */
    struct ad_str content;
    struct ad_sim_record *record; /* of an entry: the parent */
    struct ad_sim_record *entry;  /* or NULL */
    int64_t resolved_ns;          /* 0: it is not */
    uint8_t resolved_by, author;  /* actors */
};

extern const struct ad_sim_item_ops ad_sim_comment_ops;
/* `on`: a record or an entry; ignored when there is a head to answer to. */
struct ad_sim_comment *ad_sim_comment_add(struct ad_sim_store *s, struct ad_sim_comment *head,
                                          struct ad_sim_record *on, struct ad_str content,
                                          int64_t created_ns, uint8_t author);
bool ad_sim_comment_resolve(struct ad_sim_store *s, struct ad_sim_comment *comment, bool resolved,
                            uint8_t actor);

#endif
