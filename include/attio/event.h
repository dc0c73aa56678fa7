/* A webhook event as data: what kind it is, what it is about, and its own text.
 *
 * Attio sends ids only: no values, no slugs, no time. Shapes: facts.md sections 18 and 19. The set of types is open: a type we do not know is kept,
 * counted and handed to whoever registered for it. */
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
    AD_EVENT_NOTE,
    AD_EVENT_TASK,
    AD_EVENT_COMMENT,
    AD_EVENT_WORKSPACE_MEMBER,
    AD_EVENT_CALL_RECORDING,
};

/* Slices point into the document it was decoded from. Ids that the type does not carry are absent. */
struct ad_event {
    int64_t seq;             /* place in the inbox, rising in order of arrival; 0 before it is stored */
    int64_t received_ns;     /* wall clock */
    enum ad_event_family family;
    struct ad_str type;      /* "record.updated" */
    struct ad_str subject;   /* "record:<record_id>": order is kept per (handler, subject); a merge counts for the surviving id */
    struct ad_str workspace_id;
    struct ad_str object_id, record_id, attribute_id, list_id, entry_id;
    struct ad_str primary_id;          /* the event's own id: record, entry, note, task, comment, list, attribute, member, recording */
    struct ad_str duplicate_record_id; /* record.merged */
    struct ad_str actor_type, actor_id;
    struct ad_str body;      /* the event's own JSON text; absent when it was pruned */
};

/* The 27 documented types, each with its family and required ids; NULL for others. */
struct ad_event_type {
    const char *name;
    enum ad_event_family family;
    const char *primary;        /* key in `id` that names the subject */
    const char *subject_prefix; /* "record" */
    const char *required[4];    /* further keys in `id`, NULL-ended */
};
const struct ad_event_type *ad_event_type_find(struct ad_str name);
extern const struct ad_event_type ad_event_types[];
extern const size_t ad_event_types_n;

/* One element of `events`. The subject is built on `arena`. PARSE with the path when a documented type lacks an id it must have, or event_type or
 * id.workspace_id is missing, or an id is not a UUID; an unknown type needs only event_type, and its subject is its last id, else its type. */
AD_MUST_CHECK enum ad_err ad_event_decode(struct ad_arena *arena, const struct ad_json *element, struct ad_event *out,
                                          struct ad_errinfo *info);

#endif
