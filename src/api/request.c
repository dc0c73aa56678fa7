#include "api_private.h"

#include "base/json_bind.h"

bool ad__api_is_json(const struct ad_exchange *x)
{
    struct ad_str type = ad_http_header(x->headers, x->headers_n, "content-type");
    if (!type.p || ad_http_header_count(x->headers, x->headers_n, "content-type") > 1) {
        return false;
    }
    return ad_str_eq_nocase(ad_str_trim(ad_str_cut(&type, ';')), AD_STR("application/json"));
}

static bool is_known(struct ad_str name, const char *const *known)
{
    for (; *known; known++) {
        if (ad_str_eq(name, ad_str_c(*known))) {
            return true;
        }
    }
    return false;
}

enum ad_err ad__api_only_params(struct ad_exchange *x, const char *const *known,
                                struct ad_errinfo *info)
{
    struct ad_str rest = x->query;
    while (rest.p) {
        struct ad_str pair = ad_str_cut(&rest, '&');
        struct ad_str name = ad_str_cut(&pair, '=');
        if (name.n == 0 || is_known(name, known)) {
            continue;
        }
        if (!ad_utf8_valid(name) || name.n > 64) {
            return ad_fail(info, AD_ERR_INVALID, "unknown parameter");
        }
        const char *near = ad_did_you_mean(name, known);
        return ad_fail(info, AD_ERR_INVALID, "unknown parameter \"%.*s\"%s%s%s", AD_FMT(name),
                       near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    }
    return AD_OK;
}

enum ad_err ad__api_number(struct ad_exchange *x, const char *name, int64_t min, int64_t max,
                           int64_t *out, struct ad_errinfo *info)
{
    bool bad = false;
    struct ad_str s = ad_query_get(x, name, &bad);
    if (bad || (s.p && !ad_str_i64(s, min, max, out))) {
        return ad_fail(info, AD_ERR_INVALID, "%s must be a number between %lld and %lld", name,
                       (long long)min, (long long)max);
    }
    return AD_OK;
}

enum ad_err ad__api_body(struct ad_exchange *x, const char *const *known,
                         const struct ad_json **out, struct ad_errinfo *info)
{
    static const struct ad_json_limits limits = { AD__API_BODY_MAX, 16, 1000 };
    struct ad_str text = ad_str_trim(x->body).n ? x->body : AD_STR("{}");
    const struct ad_json *doc;
    enum ad_err err = ad_json_parse(x->arena, text, &limits, &doc, info);
    if (err) {
        return err;
    }
    if (!ad_json_is(doc, AD_JSON_OBJECT)) {
        return ad_fail(info, AD_ERR_INVALID, "the body must be a JSON object");
    }
    err = ad_json_only(doc, known, info);
    if (!err) {
        *out = doc;
    }
    return err;
}
