/* The simulated workspace: objects, lists, attributes, records, values.
 *
 *   workspace -> objects and lists -> attributes -> options and statuses
 *                                  -> records -> values, sorted by attribute
 *
 * A list is a `struct ad_sim_object` of kind AD_SIM_LIST and its entries are its records: attributes,
 * values, filters, sorts, history and events are one code for both. What an entry has besides is its
 * parent record.
 *
 * A record holds an array of 24-byte values; text lies in packs behind them. Records of an object
 * are found by id (hash), by unique value (hash) and in the order of their creation (sorted array).
 *
 * A simulator without memory is of no use to anybody: allocation failures end it. */
#ifndef AD_SIM_MODEL_H
#define AD_SIM_MODEL_H

#include "base/clock.h"
#include "base/list.h"
#include "base/map.h"
#include "base/rand.h"
#include "pen.h"

void *ad_sim_alloc(size_t size);         /* zeroed, never NULL */
void *ad_sim_grow(void *p, size_t size); /* never NULL */
char *ad_sim_copy(struct ad_str s);      /* NUL-terminated; NULL for an absent one */

/* So many workspace members there are at first, and so many there can be. */
#define AD_SIM_MEMBERS 5
#define AD_SIM_MEMBERS_MAX 64

struct ad_sim_object;
struct ad_sim_attr;
struct ad_sim_record;

enum ad_sim_type_id {
    AD_SIM_TEXT,
    AD_SIM_NUMBER,
    AD_SIM_CHECKBOX,
    AD_SIM_CURRENCY,
    AD_SIM_DATE,
    AD_SIM_TIMESTAMP,
    AD_SIM_RATING,
    AD_SIM_STATUS,
    AD_SIM_SELECT,
    AD_SIM_REFERENCE,
    AD_SIM_ACTOR,
    AD_SIM_LOCATION,
    AD_SIM_DOMAIN,
    AD_SIM_EMAIL,
    AD_SIM_PHONE,
    AD_SIM_INTERACTION,
    AD_SIM_NAME,
    AD_SIM_TYPES
};

/* Strings of one value, one after another: lengths first. */
struct ad_sim_pack {
    uint32_t n;
    uint32_t len[]; /* UINT32_MAX: null */
};

struct ad_sim_pack *ad_sim_pack_new(const struct ad_str *parts, uint32_t n);
struct ad_str ad_sim_pack_get(const struct ad_sim_pack *p, uint32_t i);
struct ad_sim_pack *ad_sim_pack_copy(const struct ad_sim_pack *p);
bool ad_sim_pack_equal(const struct ad_sim_pack *a, const struct ad_sim_pack *b);

struct ad_sim_option {
    uint8_t id[16];
    char *title;
    bool archived, celebrates;
    char *target_time; /* ISO duration or NULL; statuses only */
    char *json;        /* the whole object as it is read */
};

struct ad_sim_value {
    uint16_t attr; /* place of the attribute in its object */
    uint8_t actor; /* who wrote it: place in the workspace's actors */
    uint8_t type;  /* enum ad_sim_type_id */
    uint32_t aux;  /* place of the actor; country of a phone; kind and owner of an interaction */
    int64_t from_ns;
    union {
        int64_t i; /* number, currency: ten-thousandths; date: days; times: ns; rating; checkbox */
        struct ad_sim_pack *pack;
        struct ad_sim_option *option;
        struct ad_sim_record *record;
        const uint8_t *id; /* the record's own id, in the made-up attribute record_id */
    } u;
};

/* A value that was replaced. */
struct ad_sim_past {
    struct ad_sim_past *next; /* older */
    struct ad_sim_value value;
    int64_t until_ns;
};

struct ad_sim_record {
    struct ad_map_node node; /* by id */
    uint8_t id[16];
    int64_t created_ns;
    struct ad_sim_object *object;
    struct ad_sim_value *values;
    uint32_t n, cap;
    struct ad_sim_past *past; /* newest first */
    uint8_t actor;            /* who created it */
    bool deleted;             /* kept while something still points here */
    bool merging;             /* made by a merge that is still being applied: cannot be read */
};

/* What a record of a list is. */
struct ad_sim_entry {
    struct ad_sim_record record; /* first: one pointer is both */
    struct ad_sim_record *parent;
    struct ad_sim_entry *next; /* of the same parent, oldest first, over all lists */
};

/* What an attribute without stored values answers from. */
enum ad_sim_made {
    AD_SIM_STORED,
    AD_SIM_MADE_ID,
    AD_SIM_MADE_CREATED_AT,
    AD_SIM_MADE_CREATED_BY,
    AD_SIM_MADE_PARENT /* parent_record of an entry */
};

struct ad_sim_attr {
    uint8_t id[16];
    uint16_t place;
    enum ad_sim_type_id type;
    enum ad_sim_made made;
    char *slug, *title, *description;
    bool system, writable, required, unique, multi, archived;
    bool enriched; /* from the interaction index: no history */
    bool hidden;   /* only a step of a path: neither listed nor read */
    bool default_enabled;
    char *default_json; /* as given, or NULL */
    int64_t created_ns;
    struct ad_sim_object *object;
    struct ad_sim_attr *partner; /* other side of a relationship */
    struct ad_sim_option **options;
    size_t options_n;
    struct ad_sim_object **allowed;
    size_t allowed_n;
    char currency[4];
    const char *display;      /* of a currency */
    struct ad_map uniques;    /* normalised value -> struct ad_sim_unique */
    struct ad_str open, tail; /* ,"slug":[ and ,"attribute_type":"text"} */
};

struct ad_sim_unique {
    struct ad_map_node node;
    struct ad_sim_record *record;
    char key[];
};

enum ad_sim_set_kind { AD_SIM_OBJECT, AD_SIM_LIST };

/* Who may use a list. Levels are full-access, read-and-write, read-only. */
struct ad_sim_sharing {
    const char *workspace; /* NULL: nobody but those granted below */
    struct {
        uint8_t actor; /* the member's */
        const char *level;
    } grants[AD_SIM_MEMBERS_MAX];
    size_t n;
    uint8_t actor; /* who made the list */
};

/* An object or a list: a set of attributes and of records that have them. */
struct ad_sim_object {
    struct ad_sim_store *store;
    enum ad_sim_set_kind kind;
    bool gone; /* a deleted list */
    uint8_t id[16];
    char *slug, *singular, *plural; /* a list's name is `plural` */
    struct ad_sim_object *parent;   /* of a list: whose records it takes */
    struct ad_sim_sharing *sharing; /* of a list */
    const char *web;                /* path part of web_url, NULL: /slug/record/ */
    int64_t created_ns;
    struct ad_sim_attr **attrs;
    size_t attrs_n;
    struct ad_map by_id;
    struct ad_sim_record **sorted; /* by created_ns, then in the order of arrival */
    size_t n, cap;
    struct ad_rand rand; /* ids and contents of its records */
    uint64_t serial;     /* how many were ever generated */
};

struct ad_sim_actor {
    const char *type; /* workspace-member, api-token, system */
    uint8_t id[16];
    bool has_id;
    struct ad_str json; /* {"type":...,"id":...} */
};

struct ad_sim_member {
    uint8_t id[16];
    char *first, *last, *email;
    const char *level;
    int64_t created_ns;
    uint8_t actor;
};

enum {
    AD_SIM_ACTOR_SYSTEM,
    AD_SIM_ACTOR_TOKEN,
    AD_SIM_ACTOR_MEMBERS,
    AD_SIM_ACTORS = 2 + AD_SIM_MEMBERS_MAX
};

/* Something that happened. Ids only, as Attio sends it. */
struct ad_sim_event {
    const char *type;
    struct {
        const char *key; /* "id.record_id", "duplicate_record_id" */
        const uint8_t *id;
    } ids[8]; /* an id may be NULL: the key is there and null */
    unsigned n;
    uint8_t actor;
};
/* One id more. */
void ad_sim_event_id(struct ad_sim_event *event, const char *key, const uint8_t *id);
typedef void (*ad_sim_event_cb)(void *ctx, const struct ad_sim_event *event);

/* A record as it was before a change, for stale reads. */
#define AD_SIM_SHADOWS 1024
struct ad_sim_shadow {
    struct ad_sim_record *record; /* whose */
    struct ad_sim_record *was;    /* a copy; NULL: it did not exist */
    uint64_t at_ms;
};

/* How records are merged (merge.c). Attio's meaning changed in 2026. Old: the secondary's values go
 * into the primary, which survives; one record.merged. New: both become a third record; two events,
 * each naming one original. Either way the primary's values come first; relationships, list entries,
 * notes and comments move along; what refers to an original, tasks too, follows, each with its own
 * event. */
struct ad_sim_merge_rules {
    bool old;
    uint64_t apply_ms; /* how long the result cannot be read */
};

struct ad_sim_merging {
    struct ad_sim_record *record;
    uint64_t until_ms;
};

struct ad_sim_store {
    const struct ad_clock *clock;
    uint8_t workspace_id[16];
    char *slug, *name;
    struct ad_rand rand;                             /* ids of everything but records */
    struct ad_sim_object **objects, **lists, **gone; /* gone: deleted lists */
    size_t objects_n, lists_n, gone_n;
    struct ad_map listed; /* records that are in a list, by id: listed.c */
    struct ad_sim_actor actors[AD_SIM_ACTORS];
    struct ad_sim_member members[AD_SIM_MEMBERS_MAX];
    size_t members_n;
    struct ad_sim_activity *activity; /* notes, tasks, comments: activity.h */
    ad_sim_event_cb on_event;
    void *on_event_ctx;
    struct ad_sim_record *graves; /* deleted records, chained through their nodes */
    int64_t last_ns;              /* time stamps never go back */
    struct ad_sim_merge_rules merge;
    struct ad_sim_merging *merging; /* merges still being applied */
    size_t merging_n;
    bool shadowing;
    struct ad_sim_shadow shadows[AD_SIM_SHADOWS]; /* ring */
    size_t shadows_n;
};

void ad_sim_store_init(struct ad_sim_store *s, const struct ad_clock *clock, uint64_t seed,
                       const char *slug);
void ad_sim_store_fini(struct ad_sim_store *s);
/* Now, in whole milliseconds as Attio stamps. */
int64_t ad_sim_now(struct ad_sim_store *s);
/* The next id from a generator, as 16 bytes. */
void ad_sim_new_id(struct ad_rand *r, uint8_t out[16]);
void ad_sim_emit(struct ad_sim_store *s, const struct ad_sim_event *event);

/* Members are never removed. NULL: no room for more. Emits nothing. */
struct ad_sim_member *ad_sim_member_add(struct ad_sim_store *s, struct ad_str first,
                                        struct ad_str last, struct ad_str email, const char *level);
/* By id or e-mail address. */
const struct ad_sim_member *ad_sim_member_find(const struct ad_sim_store *s, struct ad_str ref);

/* Objects and attributes. References are slug or id. */
struct ad_sim_object *ad_sim_object_add(struct ad_sim_store *s, struct ad_str slug,
                                        struct ad_str singular, struct ad_str plural);
/* People or companies themselves, not something that goes by their slug. */
bool ad_sim_is_standard(const struct ad_sim_object *o, const char *slug);
struct ad_sim_object *ad_sim_object_find(const struct ad_sim_store *s, struct ad_str ref);
/* A list of records of `parent`, with the made-up attributes of a list. */
struct ad_sim_object *ad_sim_list_add(struct ad_sim_store *s, struct ad_str slug,
                                      struct ad_str name, struct ad_sim_object *parent);
struct ad_sim_object *ad_sim_list_find(const struct ad_sim_store *s, struct ad_str ref);
/* Gone with its entries, of which no event tells: list.deleted does. */
void ad_sim_list_delete(struct ad_sim_store *s, struct ad_sim_object *list, uint8_t actor);
void ad_sim_list_emit(struct ad_sim_store *s, const char *type, const struct ad_sim_object *list,
                      uint8_t actor);
/* Whichever of both has that slug or id; objects first. */
struct ad_sim_object *ad_sim_set_find(const struct ad_sim_store *s, struct ad_str ref);
/* An attribute with slug, title and type set and nothing else; becomes the set's last. */
struct ad_sim_attr *ad_sim_attr_add(struct ad_sim_store *s, struct ad_sim_object *o,
                                    struct ad_str slug, struct ad_str title,
                                    enum ad_sim_type_id type);
struct ad_sim_attr *ad_sim_attr_find(const struct ad_sim_object *o, struct ad_str ref);
void ad_sim_attr_rename(struct ad_sim_attr *a, struct ad_str slug);
/* With what hangs on it: the currency, the text that is read. Values are the caller's concern. */
void ad_sim_attr_set_type(struct ad_sim_attr *a, enum ad_sim_type_id type);
/* The record_id, created_at and created_by that every object has; entry_id instead of record_id,
 * and the hidden parent_record, on a list. */
void ad_sim_object_made(struct ad_sim_store *s, struct ad_sim_object *o);
struct ad_sim_option *ad_sim_option_add(struct ad_sim_store *s, struct ad_sim_attr *a,
                                        struct ad_str title);
struct ad_sim_option *ad_sim_option_find(const struct ad_sim_attr *a, struct ad_str ref);
/* After a change of its fields. */
void ad_sim_option_render(struct ad_sim_store *s, struct ad_sim_attr *a,
                          struct ad_sim_option *option);
void ad_sim_relate(struct ad_sim_attr *a, struct ad_sim_attr *b);
void ad_sim_allow(struct ad_sim_attr *a, struct ad_sim_object *target);

/* Records. */
struct ad_sim_record *ad_sim_record_find(const struct ad_sim_object *o, const uint8_t id[16]);
/* The values of one attribute, in order. `made` is room for the one value of a made-up
 * attribute. */
const struct ad_sim_value *ad_sim_values(const struct ad_sim_record *r, const struct ad_sim_attr *a,
                                         struct ad_sim_value *made, size_t *n);
/* Who holds this unique value, or NULL. */
struct ad_sim_record *ad_sim_unique_find(const struct ad_sim_attr *a, struct ad_str key);

/* New content of one attribute. Owns its values' packs until applied or dropped. */
struct ad_sim_draft {
    struct ad_sim_attr *attr;
    struct ad_sim_value *values;
    size_t n;
    bool prepend; /* in front of what is there; else instead of it */
};
void ad_sim_draft_add(struct ad_sim_draft *d, struct ad_sim_value v);
void ad_sim_draft_drop(struct ad_sim_draft *d);

/* Makes a record; drafts are taken over. Emits record.created. Unique clashes have been checked. */
struct ad_sim_record *ad_sim_record_create(struct ad_sim_store *s, struct ad_sim_object *o,
                                           struct ad_sim_draft *drafts, size_t n, uint8_t actor);
/* The same for an entry: list-entry.created. */
struct ad_sim_entry *ad_sim_entry_create(struct ad_sim_store *s, struct ad_sim_object *list,
                                         struct ad_sim_record *parent, struct ad_sim_draft *drafts,
                                         size_t n, uint8_t actor);
/* Writes; emits one record.updated for each attribute that changed, also on the other side of
 * relationships. Returns how many changed here. */
size_t ad_sim_record_write(struct ad_sim_store *s, struct ad_sim_record *r,
                           struct ad_sim_draft *drafts, size_t n, uint8_t actor);
/* Record or entry; entries, notes and comments of a record go with it, each with its event, and
 * tasks lose their link to it. */
void ad_sim_record_delete(struct ad_sim_store *s, struct ad_sim_record *r, uint8_t actor);
/* A record without events, created at a given time: for seeding. */
struct ad_sim_record *ad_sim_record_seed(struct ad_sim_object *o, int64_t created_ns,
                                         uint8_t actor);
struct ad_sim_entry *ad_sim_entry_seed(struct ad_sim_object *list, struct ad_sim_record *parent,
                                       int64_t created_ns, uint8_t actor);

/* The surviving or new record. Both are of one object, not the same, and neither is merging. */
struct ad_sim_record *ad_sim_merge(struct ad_sim_store *s, struct ad_sim_record *primary,
                                   struct ad_sim_record *secondary, uint8_t actor);
/* Makes readable what has been applied by now. Called before each request. */
void ad_sim_merges_settle(struct ad_sim_store *s);

/* Which entries a record has (listed.c). */
static inline bool ad_sim_is_entry(const struct ad_sim_record *r)
{
    return r->object->kind == AD_SIM_LIST;
}
/* The record an entry is about. Only of entries. */
struct ad_sim_record *ad_sim_parent(const struct ad_sim_record *r);
struct ad_sim_entry *ad_sim_entries_of(const struct ad_sim_store *s, const struct ad_sim_record *r);
void ad_sim_listed_put(struct ad_sim_store *s, struct ad_sim_entry *e);
void ad_sim_listed_remove(struct ad_sim_store *s, struct ad_sim_entry *e);
void ad_sim_listed_fini(struct ad_sim_store *s);
/* Adds a value at the end of its attribute; keeps the index of unique values. No events, no
 * relationship. */
void ad_sim_value_append(struct ad_sim_record *r, struct ad_sim_value v);
/* First place at or after which created_ns >= ns. */
size_t ad_sim_sorted_from(const struct ad_sim_object *o, int64_t ns);
/* The record as it was `ms` ago as far as that is remembered; NULL: it did not exist. */
const struct ad_sim_record *ad_sim_record_was(const struct ad_sim_store *s,
                                              const struct ad_sim_record *r, uint64_t since_ms);
const struct ad_sim_record *ad_sim_deleted_was(const struct ad_sim_store *s,
                                               const struct ad_sim_object *o, const uint8_t id[16],
                                               uint64_t since_ms);

/* {"id":...,"created_at":...,"web_url":...,"values":{...}}, or an entry as Attio shows it. */
void ad_sim_render_record(struct ad_sim_pen *p, const struct ad_sim_store *s,
                          const struct ad_sim_record *r);
/* One value with its four general properties. `until_ns` 0: active. */
void ad_sim_render_value(struct ad_sim_pen *p, const struct ad_sim_store *s,
                         const struct ad_sim_attr *a, const struct ad_sim_value *v,
                         int64_t until_ns);
/* {"record_id":...,"created_at":...,"values":{...}}, of an entry {"entry_id":...,
 * "parent_record_id":...,"created_at":...,"values":{...}}: the values exactly as they are read, or
 * compact: only attributes with values, without the four general properties, so that two runs can
 * be compared. */
void ad_sim_render_state(struct ad_sim_pen *p, const struct ad_sim_store *s,
                         const struct ad_sim_record *r, bool compact);

#endif
