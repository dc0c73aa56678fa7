/* A webhook event as data: what kind it is, what it is about, and its own text.
 *
 * Attio sends ids only: no values, no slugs, no time. The set of types is open: a type we do not
 * know is kept, counted and handed to whoever registered for it.
 *
 *   subject   what the event is about, "record:<record_id>": order is kept per (handler, subject).
 *             A merge counts for the surviving record; a note's title and its text are one subject */
#ifndef AD_ATTIO_EVENT_H
#define AD_ATTIO_EVENT_H

#include "base/err.h"
#include "base/json.h"
#include "base/str.h"

enum ad_event_family {
    AD_EVENT_UNKNOWN,
    AD_EVENT_RECORD,
    AD_EVENT_LIST_ENTRY,
    AD_EVENT_LIST,
    AD_EVENT_LIST_ATTRIBUTE,
    AD_EVENT_OBJECT_ATTRIBUTE,
    AD_EVENT_NOTE, /* note and note-content */
    AD_EVENT_TASK,
    AD_EVENT_COMMENT,
    AD_EVENT_WORKSPACE_MEMBER,
    AD_EVENT_CALL_RECORDING,
};

/* Slices point into the document it was decoded from, or onto the arena of that. Ids are lower-case
 * UUIDs; those that the type does not carry are absent. */
struct ad_event {
    int64_t seq;         /* place in the inbox, rising in order of arrival; 0 before it is stored */
    int64_t received_ns; /* wall clock; 0 before it is stored */
    enum ad_event_family family;
    struct ad_str type; /* "record.updated" */
    struct ad_str subject;
    struct ad_str workspace_id;
    struct ad_str object_id, record_id, attribute_id, list_id, entry_id;
    struct ad_str primary_id; /* the event's own id: record, entry, note, task, comment, list,
                                 attribute, member, recording; of an unknown type: its last id */
    struct ad_str duplicate_record_id; /* record.merged */
    struct ad_str actor_type, actor_id;
    struct ad_str body; /* the event's own JSON text */
};

/* Longest event_type that is taken: the documented ones have at most 24 bytes. */
#define AD_EVENT_TYPE_MAX 128

#define AD_EVENT_REQUIRED_MAX 4
/* The 27 documented types, each with its family and required ids. */
struct ad_event_type {
    const char *name;
    enum ad_event_family family;
    const char *primary;                         /* key in `id` that names the subject */
    const char *subject_prefix;                  /* "record" */
    const char *required[AD_EVENT_REQUIRED_MAX]; /* further keys in `id`, NULL-ended */
};
extern const struct ad_event_type ad_event_types[];
extern const size_t ad_event_types_n;
/* NULL for others. */
const struct ad_event_type *ad_event_type_find(struct ad_str name);

/* One element of `events`. PARSE with the path when event_type is missing or too long; for a
 * documented type also when id.workspace_id or an id it must have is missing, or an id is no UUID.
 * An unknown type needs only its event_type: of its ids those are taken that are UUIDs; its subject
 * is the last of them, else its type. NOMEM. */
AD_MUST_CHECK enum ad_err ad_event_decode(struct ad_arena *arena, const struct ad_json *element,
                                          struct ad_event *out, struct ad_errinfo *info);

#endif
