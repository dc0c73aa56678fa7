/* A read-only JSON document on an arena.
 *
 * yajl's event parser builds it within limits on bytes, depth and nodes. Strings carry a length,
 * are unescaped and may hold NUL; numbers keep their text until asked for, so no decimal or 64-bit
 * value is ever lost; each value also knows the slice of the source it came from. Duplicate keys
 * are an error. The text must outlive the document: raw slices, and strings without escapes, point
 * into it.
 *
 * A missing key, a wrong type, an index past the end give NULL or false, and every function takes
 * NULL as "absent", so that a path of lookups needs one check at its end. */
#ifndef AD_BASE_JSON_H
#define AD_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

enum ad_json_type {
    AD_JSON_NULL,
    AD_JSON_BOOL,
    AD_JSON_NUMBER,
    AD_JSON_STRING,
    AD_JSON_ARRAY,
    AD_JSON_OBJECT,
};

/* One value; children of arrays and objects are linked in the order of the text. */
struct ad_json {
    enum ad_json_type type;
    bool boolean;
    uint32_t count;        /* children of an array or object */
    struct ad_str str;     /* string: unescaped; number: its text */
    struct ad_str key;     /* unescaped, when the parent is an object */
    struct ad_str raw;     /* the value's own text in the source */
    struct ad_json *child; /* first child */
    struct ad_json *next;  /* next sibling */
};

struct ad_json_limits {
    size_t bytes_max;
    unsigned depth_max; /* at most AD_JSON_DEPTH_MAX */
    size_t nodes_max;
};

#define AD_JSON_DEPTH_MAX 64 /* deeper than anything Attio sends, far from any stack limit */

/* Parses `text` (a whole document, nothing behind it but white space). PARSE with the byte offset
 * in info->msg, TOOLARGE past a limit, NOMEM. `limits` may be NULL: 16 MiB, depth 64, one million
 * nodes. */
AD_MUST_CHECK enum ad_err ad_json_parse(struct ad_arena *arena, struct ad_str text,
                                        const struct ad_json_limits *limits,
                                        const struct ad_json **out, struct ad_errinfo *info);

/* Reads a large answer piece by piece: calls `each` for every element of the array at top-level key
 * `key` ("data"), with a document of that element alone on `arena`, which is reset after each call;
 * so memory holds one element, not the page. All other top-level values are skipped: their syntax
 * is checked, but not that their keys differ. `each` returning an error stops and is returned. When
 * key is absent, given twice or not an array: PARSE. A mistake late in the text is found after the
 * elements before it were handed over. The limit on nodes counts each element for itself. An arena
 * that is still empty gets a first chunk for a usual element. */
typedef enum ad_err (*ad_json_each_cb)(void *ctx, const struct ad_json *element);
AD_MUST_CHECK enum ad_err ad_json_each(struct ad_arena *arena, struct ad_str text,
                                       struct ad_str key, const struct ad_json_limits *limits,
                                       ad_json_each_cb each, void *ctx, struct ad_errinfo *info);

/* Cuts the same array into its elements without reading them: `each` gets every element's text, a
 * slice of `text`. Ten times as fast, because only strings and brackets are looked at; whether an
 * element is JSON at all is for ad_json_parse to say, or for being equal to one that was parsed.
 * PARSE as above, and for a text that ends inside; after some elements, perhaps. */
typedef enum ad_err (*ad_json_cut_cb)(void *ctx, struct ad_str element);
AD_MUST_CHECK enum ad_err ad_json_cut(struct ad_str text, struct ad_str key, ad_json_cut_cb each,
                                      void *ctx, struct ad_errinfo *info);
/* The text of the value at a path (as of ad_json_path) of such an unread text; absent when there is
 * none, or it cannot be told so easily (keys with escapes). Strings come with their quotes. */
struct ad_str ad_json_peek(struct ad_str text, const char *path);

const struct ad_json *ad_json_get(const struct ad_json *object, const char *key);
const struct ad_json *ad_json_get_str(const struct ad_json *object, struct ad_str key);
const struct ad_json *ad_json_at(const struct ad_json *array, size_t i);
/* Dotted path with indices: "data.id.record_id", "values.name[0].full_name". */
const struct ad_json *ad_json_path(const struct ad_json *v, const char *path);

/* NOLINTBEGIN(bugprone-macro-parentheses): a name that is declared takes none */
#define AD_JSON_FOREACH(it, parent) \
    for (const struct ad_json *it = (parent) ? (parent)->child : NULL; it; it = it->next)
/* NOLINTEND(bugprone-macro-parentheses) */

bool ad_json_is(const struct ad_json *v, enum ad_json_type type);
/* Absent slice (p == NULL) unless it is a string. */
struct ad_str ad_json_str(const struct ad_json *v);
/* A string without NUL inside, such as an identifier. */
AD_MUST_CHECK bool ad_json_ident(const struct ad_json *v, struct ad_str *out);
/* Whole numbers in range only: 1.0 and 1e0 are not. */
AD_MUST_CHECK bool ad_json_i64(const struct ad_json *v, int64_t *out);
/* Of at most 127 characters, and not so large that it is infinite. */
AD_MUST_CHECK bool ad_json_f64(const struct ad_json *v, double *out);
AD_MUST_CHECK bool ad_json_bool(const struct ad_json *v, bool *out);

/* The JSON library's version, 20100 for 2.1.0. */
unsigned ad_json_library_version(void);

#endif
