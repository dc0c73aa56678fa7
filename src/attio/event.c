#include "attio/event.h"

#define RECORD(verb)                                            \
    {                                                           \
        "record." verb, AD_EVENT_RECORD, "record_id", "record", \
        {                                                       \
            "object_id"                                         \
        }                                                       \
    }
#define ENTRY(verb)                                                   \
    {                                                                 \
        "list-entry." verb, AD_EVENT_LIST_ENTRY, "entry_id", "entry", \
        {                                                             \
            "list_id"                                                 \
        }                                                             \
    }
#define NOTE(type)                              \
    {                                           \
        type, AD_EVENT_NOTE, "note_id", "note", \
        {                                       \
            NULL                                \
        }                                       \
    }
#define TASK(verb)                                      \
    {                                                   \
        "task." verb, AD_EVENT_TASK, "task_id", "task", \
        {                                               \
            NULL                                        \
        }                                               \
    }
#define COMMENT(verb)                                               \
    {                                                               \
        "comment." verb, AD_EVENT_COMMENT, "comment_id", "comment", \
        {                                                           \
            NULL                                                    \
        }                                                           \
    }
#define LIST(verb)                                      \
    {                                                   \
        "list." verb, AD_EVENT_LIST, "list_id", "list", \
        {                                               \
            NULL                                        \
        }                                               \
    }

/* Attio's guide to webhooks */
const struct ad_event_type ad_event_types[] = {
    RECORD("created"),
    { "record.updated", AD_EVENT_RECORD, "record_id", "record", { "object_id", "attribute_id" } },
    RECORD("deleted"),
    RECORD("merged"),
    ENTRY("created"),
    { "list-entry.updated",
      AD_EVENT_LIST_ENTRY,
      "entry_id",
      "entry",
      { "list_id", "attribute_id" } },
    ENTRY("deleted"),
    NOTE("note.created"),
    NOTE("note.updated"),
    NOTE("note.deleted"),
    NOTE("note-content.updated"),
    TASK("created"),
    TASK("updated"),
    TASK("deleted"),
    COMMENT("created"),
    COMMENT("resolved"),
    COMMENT("unresolved"),
    COMMENT("deleted"),
    LIST("created"),
    LIST("updated"),
    LIST("deleted"),
    { "list-attribute.created",
      AD_EVENT_LIST_ATTRIBUTE,
      "attribute_id",
      "attribute",
      { "list_id" } },
    { "list-attribute.updated",
      AD_EVENT_LIST_ATTRIBUTE,
      "attribute_id",
      "attribute",
      { "list_id" } },
    { "object-attribute.created",
      AD_EVENT_OBJECT_ATTRIBUTE,
      "attribute_id",
      "attribute",
      { "object_id" } },
    { "object-attribute.updated",
      AD_EVENT_OBJECT_ATTRIBUTE,
      "attribute_id",
      "attribute",
      { "object_id" } },
    { "workspace-member.created",
      AD_EVENT_WORKSPACE_MEMBER,
      "workspace_member_id",
      "workspace-member",
      { NULL } },
    { "call-recording.created",
      AD_EVENT_CALL_RECORDING,
      "call_recording_id",
      "call-recording",
      { "meeting_id" } },
};
const size_t ad_event_types_n = AD_LEN(ad_event_types);

const struct ad_event_type *ad_event_type_find(struct ad_str name)
{
    for (size_t i = 0; i < ad_event_types_n; i++) {
        if (ad_str_eq(name, ad_str_c(ad_event_types[i].name))) {
            return &ad_event_types[i];
        }
    }
    return NULL;
}

/* Ids that have a place in the struct, wherever an event carries them: in `id`, or beside it. */
#define PLACE(key)                                                 \
    {                                                              \
        { #key, sizeof(#key) - 1 }, offsetof(struct ad_event, key) \
    }
static const struct {
    struct ad_str key;
    size_t offset;
} places[] = {
    PLACE(workspace_id), PLACE(object_id), PLACE(record_id),           PLACE(attribute_id),
    PLACE(list_id),      PLACE(entry_id),  PLACE(duplicate_record_id),
};
#undef PLACE

static struct ad_str *place_of(struct ad_event *e, struct ad_str key)
{
    for (size_t i = 0; i < AD_LEN(places); i++) {
        if (ad_str_eq(key, places[i].key)) {
            return (struct ad_str *)(void *)((char *)e + places[i].offset);
        }
    }
    return NULL;
}

/* Of a UUID, whose 36 bytes are read as words, two of them overlapping: the bit that lower-case
 * letters, digits and dashes have, and capitals lack. */
static bool has_upper(struct ad_str uuid)
{
    static const size_t words[] = { 0, 8, 16, 24, 28 };
    uint64_t all = UINT64_C(0x2020202020202020);
    for (size_t i = 0; i < AD_LEN(words); i++) {
        uint64_t word;
        memcpy(&word, uuid.p + words[i], sizeof(word));
        all &= word;
    }
    return all != UINT64_C(0x2020202020202020);
}

/* A UUID in lower case: ids are compared with those of Attio's answers. PARSE when it is none. */
static enum ad_err read_uuid(struct ad_arena *arena, const struct ad_json *v, struct ad_str *out)
{
    struct ad_str s;
    if (!ad_json_ident(v, &s) || !ad_str_is_uuid(s)) {
        return AD_ERR_PARSE;
    }
    *out = s;
    if (!has_upper(s)) {
        return AD_OK;
    }
    char *p = ad_arena_alloc(arena, s.n);
    if (!p) {
        return AD_ERR_NOMEM;
    }
    for (size_t i = 0; i < s.n; i++) {
        p[i] = (char)(s.p[i] >= 'A' && s.p[i] <= 'F' ? s.p[i] + ('a' - 'A') : s.p[i]);
    }
    *out = ad_str_n(p, s.n);
    return AD_OK;
}

/* Takes the ids among the members of `from` that have a place. `strict`: one that is no UUID (null
 * is none at all) is an error that names it. */
static enum ad_err read_ids(struct ad_arena *arena, const struct ad_json *from, bool strict,
                            struct ad_event *e, struct ad_errinfo *info)
{
    AD_JSON_FOREACH (v, from) {
        struct ad_str *place = place_of(e, v->key);
        if (!place || place->p || ad_json_is(v, AD_JSON_NULL)) {
            continue; /* what stands in `id` counts before what stands beside it */
        }
        enum ad_err err = read_uuid(arena, v, place);
        if (err == AD_ERR_NOMEM) {
            return ad_fail(info, err, "no memory for an event");
        }
        if (err && strict) {
            return ad_fail(info, err, "%s%.*s: not a UUID",
                           ad_str_eq(from->key, AD_STR("id")) ? "id." : "", AD_FMT(v->key));
        }
    }
    return AD_OK;
}

static enum ad_err required(const struct ad_json *id, const char *key, struct ad_errinfo *info)
{
    const struct ad_json *v = ad_json_get(id, key);
    if (v && !ad_json_is(v, AD_JSON_NULL)) {
        return AD_OK;
    }
    return ad_fail(info, AD_ERR_PARSE, "id.%s: required", key);
}

static enum ad_err all_required(const struct ad_event_type *type, const struct ad_json *id,
                                struct ad_errinfo *info)
{
    enum ad_err err = required(id, "workspace_id", info);
    err = err ? err : required(id, type->primary, info);
    for (size_t i = 0; !err && i < AD_EVENT_REQUIRED_MAX && type->required[i]; i++) {
        err = required(id, type->required[i], info);
    }
    return err;
}

static enum ad_err set_subject(struct ad_arena *arena, struct ad_str prefix, struct ad_event *e,
                               struct ad_errinfo *info)
{
    size_t n = prefix.n + 1 + e->primary_id.n;
    char *p = ad_arena_alloc(arena, n);
    if (!p) {
        return ad_fail(info, AD_ERR_NOMEM, "no memory for an event");
    }
    memcpy(p, prefix.p, prefix.n);
    p[prefix.n] = ':';
    memcpy(p + prefix.n + 1, e->primary_id.p, e->primary_id.n);
    e->subject = ad_str_n(p, n);
    return AD_OK;
}

static enum ad_err decode_known(struct ad_arena *arena, const struct ad_event_type *type,
                                const struct ad_json *element, struct ad_event *e,
                                struct ad_errinfo *info)
{
    const struct ad_json *id = ad_json_get(element, "id");
    e->family = type->family;
    enum ad_err err = all_required(type, id, info);
    err = err ? err : read_ids(arena, id, true, e, info);
    err = err ? err : read_ids(arena, element, true, e, info);
    if (!err && (err = read_uuid(arena, ad_json_get(id, type->primary), &e->primary_id))) {
        err = ad_fail(info, err, "id.%s: not a UUID", type->primary);
    }
    return err ? err : set_subject(arena, ad_str_c(type->subject_prefix), e, info);
}

static bool is_id_key(struct ad_str key)
{
    return key.n <= AD_EVENT_TYPE_MAX && ad_str_ends(key, AD_STR("_id"));
}

/* "activity_id" -> "activity" */
static struct ad_str without_id(struct ad_str key)
{
    return ad_str_n(key.p, key.n - AD_STR("_id").n);
}

static enum ad_err decode_unknown(struct ad_arena *arena, const struct ad_json *element,
                                  struct ad_event *e, struct ad_errinfo *info)
{
    const struct ad_json *id = ad_json_get(element, "id");
    struct ad_str prefix = AD_STR_NONE;
    enum ad_err err = read_ids(arena, id, false, e, info);
    err = err ? err : read_ids(arena, element, false, e, info);
    AD_JSON_FOREACH (v, id) {
        bool own = is_id_key(v->key) && !ad_str_eq(v->key, AD_STR("workspace_id"));
        if (!err && own && read_uuid(arena, v, &e->primary_id) == AD_OK) {
            prefix = without_id(v->key);
        }
    }
    if (err || prefix.p) {
        return err ? err : set_subject(arena, prefix, e, info);
    }
    e->subject = e->type;
    return AD_OK;
}

static enum ad_err read_type(const struct ad_json *element, struct ad_str *out,
                             struct ad_errinfo *info)
{
    if (!ad_json_ident(ad_json_get(element, "event_type"), out) || out->n == 0) {
        return ad_fail(info, AD_ERR_PARSE, "event_type: required, a string");
    }
    if (out->n > AD_EVENT_TYPE_MAX) {
        return ad_fail(info, AD_ERR_PARSE, "event_type: longer than %d bytes", AD_EVENT_TYPE_MAX);
    }
    return AD_OK;
}

enum ad_err ad_event_decode(struct ad_arena *arena, const struct ad_json *element,
                            struct ad_event *out, struct ad_errinfo *info)
{
    struct ad_event e = { .body = element ? element->raw : AD_STR_NONE };
    enum ad_err err = read_type(element, &e.type, info);
    if (err) {
        return err;
    }
    const struct ad_event_type *type = ad_event_type_find(e.type);
    err = type ? decode_known(arena, type, element, &e, info)
               : decode_unknown(arena, element, &e, info);
    if (err) {
        return err;
    }
    AD_IGNORE(!ad_json_ident(ad_json_path(element, "actor.type"), &e.actor_type), "optional");
    AD_IGNORE(!ad_json_ident(ad_json_path(element, "actor.id"), &e.actor_id), "null for system");
    *out = e;
    return AD_OK;
}
