#include "api_private.h"

/* "127.0.0.1:8081" -> "127.0.0.1", "[::1]:8081" -> "::1" */
static struct ad_str host_of(struct ad_str authority)
{
    if (authority.n && authority.p[0] == '[') {
        size_t end = ad_str_find(authority, ']');
        return end < authority.n ? ad_str_n(authority.p + 1, end - 1) : AD_STR_NONE;
    }
    return ad_str_n(authority.p, ad_str_find(authority, ':'));
}

/* 127.x.y.z in digits, and nothing that only begins like it ("127.0.0.1.example.com"). */
static bool is_loopback_v4(struct ad_str host)
{
    unsigned parts = 0;
    uint64_t number;
    if (!ad_str_starts(host, AD_STR("127."))) {
        return false;
    }
    while (host.p) {
        if (!ad_str_u64(ad_str_cut(&host, '.'), 255, &number)) {
            return false;
        }
        parts++;
    }
    return parts == 4;
}

/* In digits, of either family. Names can be made to point anywhere, addresses cannot. */
static bool is_address(struct ad_str host)
{
    uint64_t number;
    unsigned parts = 0;
    if (host.n && ad_str_find(host, ':') < host.n) {
        return true; /* only an IPv6 address in brackets still holds one */
    }
    while (host.p) {
        if (!ad_str_u64(ad_str_cut(&host, '.'), 255, &number)) {
            return false;
        }
        parts++;
    }
    return parts == 4;
}

static bool is_listed(const char *const *hosts, struct ad_str host)
{
    for (; hosts && *hosts; hosts++) {
        if (ad_str_eq_nocase(host, ad_str_c(*hosts))) {
            return true;
        }
    }
    return false;
}

static bool is_own_host(const struct ad_api *a, struct ad_str host)
{
    struct ad_str own = ad_str_c(a->o.internal_host);
    if (ad_str_eq(own, AD_STR("0.0.0.0")) || ad_str_eq(own, AD_STR("::"))) {
        return is_address(host);
    }
    return own.n > 0 && ad_str_eq_nocase(host, own);
}

static bool is_allowed_host(const struct ad_api *a, struct ad_str authority)
{
    struct ad_str host = host_of(authority);
    return host.n > 0 &&
           (ad_str_eq_nocase(host, AD_STR("localhost")) || ad_str_eq(host, AD_STR("::1")) ||
            is_loopback_v4(host) || is_own_host(a, host) || is_listed(a->o.admission.hosts, host));
}

/* Absent, or the page this server itself would have served. */
static bool is_own_origin(struct ad_str origin, struct ad_str authority)
{
    if (!origin.p) {
        return true;
    }
    static const struct ad_str schemes[] = { { "http://", 7 }, { "https://", 8 } };
    for (size_t i = 0; i < AD_LEN(schemes); i++) {
        if (ad_str_starts(origin, schemes[i]) &&
            ad_str_eq_nocase(ad_str_n(origin.p + schemes[i].n, origin.n - schemes[i].n),
                             authority)) {
            return true;
        }
    }
    return false;
}

static bool is_of_a_friend(struct ad_api *a, struct ad_exchange *x)
{
    struct ad_str host = ad_http_header(x->headers, x->headers_n, "host");
    struct ad_str origin = ad_http_header(x->headers, x->headers_n, "origin");
    if (!is_allowed_host(a, host)) {
        ad__api_note_refusal(a, a->refused.host, "host", x);
        ad__api_problem(x, AD_ERR_FORBIDDEN,
                        "this Host is not served here; server.allowedHosts can add it");
        return false;
    }
    if (ad_http_header_count(x->headers, x->headers_n, "origin") > 1 ||
        !is_own_origin(origin, host)) {
        ad__api_note_refusal(a, a->refused.origin, "origin", x);
        ad__api_problem(x, AD_ERR_FORBIDDEN, "requests of another Origin are refused");
        return false;
    }
    return true;
}

bool ad_api_admit(void *ctx, const struct ad_route *route, struct ad_exchange *x)
{
    struct ad_api *a = ctx;
    if (!is_of_a_friend(a, x) || !ad__api_authorize(a, route, x)) {
        return false;
    }
    bool writes = x->method & (AD_HTTP_POST | AD_HTTP_PUT | AD_HTTP_PATCH);
    if (writes && route->role != AD_ROLE_NONE && !ad__api_is_json(x)) {
        ad__api_problem_as(x, 415, AD_ERR_INVALID, "Content-Type must be application/json");
        return false;
    }
    return true;
}
