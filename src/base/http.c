#include "base/http.h"

static const struct {
    enum ad_http_method method;
    struct ad_str name;
} methods[] = {
    { AD_HTTP_GET, { "GET", 3 } },         { AD_HTTP_HEAD, { "HEAD", 4 } },
    { AD_HTTP_POST, { "POST", 4 } },       { AD_HTTP_PUT, { "PUT", 3 } },
    { AD_HTTP_PATCH, { "PATCH", 5 } },     { AD_HTTP_DELETE, { "DELETE", 6 } },
    { AD_HTTP_OPTIONS, { "OPTIONS", 7 } },
};

const char *ad_http_method_name(enum ad_http_method m)
{
    for (size_t i = 0; i < AD_LEN(methods); i++) {
        if (methods[i].method == m) {
            return methods[i].name.p;
        }
    }
    return "OTHER";
}

enum ad_http_method ad_http_method_parse(struct ad_str s)
{
    for (size_t i = 0; i < AD_LEN(methods); i++) {
        if (ad_str_eq(methods[i].name, s)) {
            return methods[i].method;
        }
    }
    return AD_HTTP_OTHER;
}

static const struct ad_str roles[] = {
    [AD_ROLE_NONE] = { "none", 4 },       [AD_ROLE_METRICS] = { "metrics", 7 },
    [AD_ROLE_READ] = { "read", 4 },       [AD_ROLE_WRITE] = { "write", 5 },
    [AD_ROLE_OPERATE] = { "operate", 7 },
};

const char *ad_role_name(enum ad_role role)
{
    return (size_t)role < AD_LEN(roles) ? roles[role].p : "unknown";
}

bool ad_role_parse(struct ad_str s, enum ad_role *out)
{
    for (size_t i = AD_ROLE_METRICS; i < AD_LEN(roles); i++) {
        if (ad_str_eq(roles[i], s)) {
            *out = (enum ad_role)i;
            return true;
        }
    }
    return false;
}

const char *ad_http_reason(unsigned status)
{
    static const struct {
        unsigned status;
        const char *reason;
    } reasons[] = {
        { 100, "Continue" },
        { 101, "Switching Protocols" },
        { 200, "OK" },
        { 201, "Created" },
        { 202, "Accepted" },
        { 204, "No Content" },
        { 206, "Partial Content" },
        { 301, "Moved Permanently" },
        { 302, "Found" },
        { 303, "See Other" },
        { 304, "Not Modified" },
        { 307, "Temporary Redirect" },
        { 308, "Permanent Redirect" },
        { 400, "Bad Request" },
        { 401, "Unauthorized" },
        { 403, "Forbidden" },
        { 404, "Not Found" },
        { 405, "Method Not Allowed" },
        { 406, "Not Acceptable" },
        { 408, "Request Timeout" },
        { 409, "Conflict" },
        { 410, "Gone" },
        { 411, "Length Required" },
        { 412, "Precondition Failed" },
        { 413, "Content Too Large" },
        { 414, "URI Too Long" },
        { 415, "Unsupported Media Type" },
        { 417, "Expectation Failed" },
        { 421, "Misdirected Request" },
        { 422, "Unprocessable Content" },
        { 426, "Upgrade Required" },
        { 428, "Precondition Required" },
        { 429, "Too Many Requests" },
        { 431, "Request Header Fields Too Large" },
        { 500, "Internal Server Error" },
        { 501, "Not Implemented" },
        { 502, "Bad Gateway" },
        { 503, "Service Unavailable" },
        { 504, "Gateway Timeout" },
        { 505, "HTTP Version Not Supported" },
    };
    for (size_t i = 0; i < AD_LEN(reasons); i++) {
        if (reasons[i].status == status) {
            return reasons[i].reason;
        }
    }
    return "Unknown";
}

struct ad_str ad_http_header(const struct ad_http_header *h, size_t n, const char *name)
{
    struct ad_str wanted = ad_str_c(name);
    for (size_t i = 0; i < n; i++) {
        if (ad_str_eq_nocase(h[i].name, wanted)) {
            /* Present and empty is not absent. */
            return h[i].value.p ? h[i].value : AD_STR("");
        }
    }
    return AD_STR_NONE;
}

size_t ad_http_header_count(const struct ad_http_header *h, size_t n, const char *name)
{
    struct ad_str wanted = ad_str_c(name);
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        count += ad_str_eq_nocase(h[i].name, wanted);
    }
    return count;
}

void ad_reply(struct ad_exchange *x, const struct ad_reply *reply)
{
    AD_ASSERT(!x->replied);
    x->replied = true;
    x->ops->reply(x, reply);
}

static bool is_coded(struct ad_str s, bool plus_is_blank)
{
    return ad_str_find(s, '%') < s.n || (plus_is_blank && ad_str_find(s, '+') < s.n);
}

bool ad_percent_decode(struct ad_arena *a, struct ad_str s, bool plus_is_blank, struct ad_str *out)
{
    if (!is_coded(s, plus_is_blank)) {
        if (ad_str_find(s, '\0') < s.n) {
            return false;
        }
        *out = s;
        return true;
    }
    char *decoded = ad_arena_alloc(a, s.n);
    if (!decoded) {
        return false;
    }
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '%') {
            uint8_t byte;
            if (s.n - i < 3 || !ad_hex_decode(ad_str_n(s.p + i + 1, 2), &byte, 1)) {
                return false;
            }
            c = (char)byte;
            i += 2;
        } else if (c == '+' && plus_is_blank) {
            c = ' ';
        }
        if (c == '\0') {
            return false;
        }
        decoded[n++] = c;
    }
    *out = ad_str_n(decoded, n);
    return true;
}

struct ad_str ad_query_get(struct ad_exchange *x, const char *name, bool *bad)
{
    struct ad_str wanted = ad_str_c(name);
    struct ad_str found = AD_STR_NONE;
    struct ad_str rest = x->query;
    while (rest.p) {
        struct ad_str value = ad_str_cut(&rest, '&');
        struct ad_str key = ad_str_cut(&value, '=');
        if (!ad_percent_decode(x->arena, key, true, &key)) {
            *bad = true;
            return AD_STR_NONE;
        }
        if (!ad_str_eq(key, wanted)) {
            continue;
        }
        value = value.p ? value : AD_STR("");
        if (found.p || !ad_percent_decode(x->arena, value, true, &found)) {
            *bad = true;
            return AD_STR_NONE;
        }
    }
    return found;
}

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

void ad_percent_encode(struct ad_buf *out, struct ad_str s)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.n; i++) {
        unsigned char byte = (unsigned char)s.p[i];
        if (is_unreserved(s.p[i])) {
            ad_buf_putc(out, s.p[i]);
        } else {
            ad_buf_put(out, ad_str_n((char[]){ '%', digits[byte >> 4], digits[byte & 15] }, 3));
        }
    }
}
