/* Attio's schema as we know it: objects and lists with their attributes, by id and by slug; and the
 * four kinds of things that have no schema, so that whoever mirrors, syncs or counts treats all six
 * kinds alike.
 *
 * Kept in SQL, so a restart knows it without asking. Refreshed from Attio when somebody asks (at
 * start, for an unknown object id, on attribute events) and, once it was, whenever it is older than
 * the TTL. A refresh is single-flight: everyone who asks meanwhile is answered by the same one. It
 * replaces what we know as a whole or, when any part of it failed, not at all.
 *
 * A token without the scope for lists (403) knows none; what was known of them before stays.
 *
 * Objects, lists and attributes are never removed, only marked; pointers stay valid until close. */
#ifndef AD_ATTIO_SCHEMA_H
#define AD_ATTIO_SCHEMA_H

#include "attio/client.h"
#include "base/map.h"

struct ad_store;
struct ad_schema; /* opaque */

enum ad_attr_type {
    AD_ATTR_TEXT,
    AD_ATTR_NUMBER,
    AD_ATTR_CHECKBOX,
    AD_ATTR_CURRENCY,
    AD_ATTR_DATE,
    AD_ATTR_TIMESTAMP,
    AD_ATTR_RATING,
    AD_ATTR_STATUS,
    AD_ATTR_SELECT,
    AD_ATTR_RECORD_REFERENCE,
    AD_ATTR_ACTOR_REFERENCE,
    AD_ATTR_LOCATION,
    AD_ATTR_DOMAIN,
    AD_ATTR_EMAIL_ADDRESS,
    AD_ATTR_PHONE_NUMBER,
    AD_ATTR_INTERACTION,
    AD_ATTR_PERSONAL_NAME,
    AD_ATTR_UNKNOWN, /* a type Attio added since: kept as JSON */
};
const char *ad_attr_type_name(enum ad_attr_type t); /* "record-reference"; "unknown" */
enum ad_attr_type ad_attr_type_parse(struct ad_str s);

/* What an Attio thing is. The first two are described by Attio and may be many; each of the others is
 * one built-in "object" without attributes, whose columns are fixed. */
enum ad_kind {
    AD_KIND_OBJECT, /* its records: id.record_id, values */
    AD_KIND_LIST,   /* its entries: id.entry_id, entry_values, parent_object, parent_record_id */
    AD_KIND_NOTE,
    AD_KIND_TASK,
    AD_KIND_COMMENT,
    AD_KIND_MEMBER,
    AD_KINDS
};
const char *ad_kind_name(enum ad_kind kind); /* "object", "list", "note", ..., "workspace-member" */

/* Texts end with NUL and live as long as the schema. */
struct ad_attribute {
    struct ad_str id, slug, title;
    enum ad_attr_type type;
    struct ad_str type_name; /* as Attio said it */
    bool multiselect, writable, required, unique, system;
    bool archived;     /* or no longer listed */
    bool many_targets; /* a reference to records of more than one object */
    unsigned revision; /* rises when its values change their form: its columns are new ones then */
    unsigned position; /* order of first sight: column order; never reused */
    struct ad_list link; /* object->attributes */
};

struct ad_object {
    enum ad_kind kind;
    struct ad_str id;   /* built-in: "notes", "tasks", "comments", "workspace_members" */
    struct ad_str slug; /* its id while Attio names none */
    struct ad_str singular, plural, workspace_id; /* a list's name is its plural */
    struct ad_str parents;     /* LIST: slugs of the objects it may hold, JSON: ["people"] */
    bool gone;                 /* no longer listed: switched off, or deleted, in Attio */
    unsigned position;         /* order of first sight, objects and lists together */
    struct ad_list attributes; /* by position, archived ones too */
    unsigned attributes_n;
    uint64_t generation; /* rises when anything of it changed: the mirror then looks at its table */
    struct ad_list link;
};

struct ad_schema_opts {
    struct ad_store *store;
    struct ad_client *client;
    const struct ad_clock *clock;
    struct ad_timers *timers;
    struct ad_metrics *metrics;
    unsigned ttl_ms; /* 0: only when asked */
};

/* Loads what SQL knows (synchronous, start-up). */
AD_MUST_CHECK enum ad_err ad_schema_open(const struct ad_schema_opts *opts, struct ad_schema **out,
                                         struct ad_errinfo *info);
/* Waits that are left get CANCELED, before done. The client must still be there. */
/* Another age, counted from now. */
void ad_schema_set_ttl(struct ad_schema *s, unsigned ttl_ms);
void ad_schema_close(struct ad_schema *s, void (*done)(void *ctx), void *ctx);

/* NULL when unknown. A slug is that of the object which had it at the last refresh; lists have
 * slugs of their own. */
const struct ad_object *ad_schema_object(const struct ad_schema *s, struct ad_str id_or_slug);
const struct ad_object *ad_schema_list(const struct ad_schema *s, struct ad_str id_or_slug);
/* `kind` is one of the last four. Never NULL, never gone. */
const struct ad_object *ad_schema_builtin(const struct ad_schema *s, enum ad_kind kind);
/* By a name that an operator types: an object's id or slug, a list's id or "list_<slug>", "notes",
 * "tasks", "comments", "workspace_members". The first that fits, in this order. */
const struct ad_object *ad_schema_find(const struct ad_schema *s, struct ad_str name);
/* Also archived ones, when no other has that slug. */
const struct ad_attribute *ad_object_attribute(const struct ad_object *o, struct ad_str id_or_slug);
/* All objects, or all lists, in order of first sight: AD_LIST_FOREACH over ->link. */
const struct ad_list *ad_schema_objects(const struct ad_schema *s);
const struct ad_list *ad_schema_lists(const struct ad_schema *s);
/* All six kinds one after the other: the built-in ones, then objects and lists in order of first
 * sight. `after` NULL gives the first; NULL ends. */
const struct ad_object *ad_schema_next(const struct ad_schema *s, const struct ad_object *after);
/* Rises when a slug moved, or an object or a list came or went: names in SQL may be others then. */
uint64_t ad_schema_names_generation(const struct ad_schema *s);
bool ad_schema_known(const struct ad_schema *s); /* at least one refresh ever succeeded */

/* Called after each refresh that changed something, before those who wait for it; NULL: no more.
 * There is one. It must not close the schema. */
void ad_schema_on_change(struct ad_schema *s, void (*changed)(void *ctx), void *ctx);

struct ad_schema_wait;
typedef void (*ad_schema_cb)(struct ad_schema_wait *w);
/* Caller-owned from refresh to callback or cancel. */
struct ad_schema_wait {
    /* set by the caller */
    ad_schema_cb cb;
    void *data;
    /* result */
    enum ad_err err; /* the client's, the store's; PROTOCOL: an answer that makes no sense; NOMEM */
    struct ad_errinfo info;
    /* private */
    struct ad_list link;
};
/* Fetches objects, lists and their attributes, archived ones too, stores them, calls back. Joins a refresh
 * under way only if that one has not yet sent its first request; else waits for the next. OK: cb
 * comes exactly once, later. CLOSED, DISABLED, NOMEM: it does not. */
AD_MUST_CHECK enum ad_err ad_schema_refresh(struct ad_schema *s, enum ad_priority priority,
                                            struct ad_schema_wait *w);
/* No callback comes. Harmless on one that was zeroed or called back. */
void ad_schema_wait_cancel(struct ad_schema *s, struct ad_schema_wait *w);
/* Age of the last success in ms, UINT64_MAX: never in this process. */
uint64_t ad_schema_age_ms(const struct ad_schema *s);

#endif
