/* Field tables: a document bound to a struct, with errors that name the path.
 *
 *   static const struct ad_json_field fields[] = {
 *       AD_FIELD(STR, struct contact, id, "id.record_id", AD_REQUIRED),
 *       AD_FIELD(I64, struct contact, limit, "limit", AD_OPTIONAL),
 *   };
 *   err = ad_json_bind(doc, fields, AD_LEN(fields), &contact, &info);
 *   info.msg: "id.record_id: expected string, got number"
 *
 * Slices point into the document. Optional fields that are absent or null leave their member
 * untouched. */
#ifndef AD_BASE_JSON_BIND_H
#define AD_BASE_JSON_BIND_H

#include "base/json.h"

enum ad_field_type {
    AD_FIELD_STR,  /* struct ad_str, without NUL inside */
    AD_FIELD_UUID, /* struct ad_str, a UUID */
    AD_FIELD_I64,  /* int64_t */
    AD_FIELD_BOOL, /* bool */
    AD_FIELD_TIME, /* int64_t, nanoseconds since 1970, from RFC 3339 text */
    AD_FIELD_JSON, /* const struct ad_json *, any type (objects, arrays) */
};

enum ad_field_need { AD_OPTIONAL, AD_REQUIRED };

struct ad_json_field {
    const char *path; /* as ad_json_path */
    size_t offset;
    enum ad_field_type type;
    enum ad_field_need need;
};

#define AD_FIELD(kind, struct_type, member, where, must)                                   \
    {                                                                                      \
        .path = (where), .offset = offsetof(struct_type, member), .type = AD_FIELD_##kind, \
        .need = (must)                                                                     \
    }

/* PARSE with the path in info->msg at the first field that does not fit. */
AD_MUST_CHECK enum ad_err ad_json_bind(const struct ad_json *doc,
                                       const struct ad_json_field *fields, size_t n, void *out,
                                       struct ad_errinfo *info);
/* PARSE naming the first key of `object` that is not in `known` (NULL-ended), with "did you mean"
 * for a near one. */
AD_MUST_CHECK enum ad_err ad_json_only(const struct ad_json *object, const char *const *known,
                                       struct ad_errinfo *info);
/* The near one among NULL-ended candidates (edit distance at most a third of its length), or
 * NULL. */
const char *ad_did_you_mean(struct ad_str word, const char *const *candidates);

#endif
