#include "attio/error.h"

#include <ctype.h>

#include "base/json.h"

/* The text of `key` when it is one short word, else "". What comes from outside and goes into our
 * messages must not carry sentences, which could hold what people typed. */
static void read_word(const struct ad_json *doc, const char *key, char *out, size_t cap)
{
    struct ad_str s = ad_json_str(ad_json_get(doc, key));
    bool good = s.p && s.n < cap;
    for (size_t i = 0; good && i < s.n; i++) {
        good = isalnum((unsigned char)s.p[i]) || s.p[i] == '_' || s.p[i] == '-' || s.p[i] == '.';
    }
    size_t n = good ? s.n : 0;
    for (size_t i = 0; i < n; i++) {
        out[i] = s.p[i];
    }
    out[n] = '\0';
}

void ad_attio_error_read(struct ad_arena *arena, struct ad_str body, struct ad_attio_error *out)
{
    static const struct ad_json_limits limits = {
        .bytes_max = AD_ATTIO_ERROR_BODY_MAX,
        .depth_max = AD_JSON_DEPTH_MAX,
        .nodes_max = 2000,
    };
    const struct ad_json *doc = NULL;
    *out = (struct ad_attio_error){ .message = AD_STR_NONE };
    if (body.n == 0 || ad_json_parse(arena, body, &limits, &doc, NULL)) {
        return;
    }
    read_word(doc, "type", out->type, sizeof(out->type));
    read_word(doc, "code", out->code, sizeof(out->code));
    out->message = ad_json_str(ad_json_get(doc, "message"));
}

static bool is_code(const struct ad_attio_error *error, const char *code)
{
    return strcmp(error->code, code) == 0;
}

static bool is_conflict(const struct ad_attio_error *error)
{
    return is_code(error, "uniqueness_conflict") || is_code(error, "multiple_match_results") ||
           is_code(error, "slug_conflict");
}

static enum ad_err class_of_404(const struct ad_attio_error *error)
{
    return error->type[0] || error->code[0] ? AD_ERR_NOTFOUND : AD_ERR_UPSTREAM;
}

enum ad_err ad_attio_error_class(unsigned status, const struct ad_attio_error *error)
{
    if (status >= 200 && status < 300) {
        return AD_OK;
    }
    if (status < 400) {
        return AD_ERR_PROTOCOL; /* Attio sends nobody elsewhere; whoever answers this is not it */
    }
    if (status >= 500) {
        return AD_ERR_UPSTREAM;
    }
    if (is_code(error, "merge_in_progress")) {
        return AD_ERR_MERGING;
    }
    switch (status) {
    case 401:
        return AD_ERR_UNAUTHORIZED;
    case 403:
        return AD_ERR_FORBIDDEN;
    case 404:
        return class_of_404(error);
    case 408:
        return AD_ERR_UPSTREAM;
    case 409:
        return AD_ERR_CONFLICT;
    case 413:
    case 414:
        return AD_ERR_TOOLARGE;
    case 429:
        return AD_ERR_RATELIMITED;
    default:
        return is_conflict(error) ? AD_ERR_CONFLICT : AD_ERR_UPSTREAM_REJECTED;
    }
}

bool ad_attio_error_asks_again(const struct ad_attio_error *error)
{
    return is_code(error, "concurrent_write_conflict");
}

bool ad_attio_error_is_refusal(unsigned status)
{
    return status >= 400 && status < 500 && status != 408;
}
