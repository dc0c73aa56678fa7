#include "base/str.h"

#include "loop/uv_private.h"

#include <netinet/in.h>
#include <string.h>

/* --- endpoints as text --- */

static bool is_name_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
           c == '-' || c == '_';
}

static bool is_name(struct ad_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!is_name_char(s.p[i])) {
            return false;
        }
    }
    return true;
}

/* "[...]" around an IPv6 address: taken off. */
static bool unbracket(struct ad_str *host)
{
    if (host->n < 2 || host->p[0] != '[' || host->p[host->n - 1] != ']') {
        return false;
    }
    *host = ad_str_n(host->p + 1, host->n - 2);
    return true;
}

static bool is_ipv6(const char *host)
{
    struct sockaddr_in6 in6;
    return uv_ip6_addr(host, 0, &in6) == 0;
}

/* The colon before the port; s.n when the whole is a port. */
static size_t find_port(struct ad_str s)
{
    for (size_t i = s.n; i > 0; i--) {
        if (s.p[i - 1] == ':') {
            return i - 1;
        }
    }
    return s.n;
}

enum ad_err ad_endpoint_parse(struct ad_str s, struct ad_endpoint *out)
{
    size_t colon = find_port(s);
    struct ad_str host = colon == s.n ? AD_STR("") : ad_str_n(s.p, colon);
    struct ad_str digits = colon == s.n ? s : ad_str_n(s.p + colon + 1, s.n - colon - 1);
    struct ad_endpoint e = { .port = 0 };
    uint64_t port = 0;
    if (!ad_str_u64(digits, 65535, &port)) {
        return AD_ERR_INVALID;
    }
    bool v6 = unbracket(&host);
    if (host.n >= sizeof(e.host) || (!v6 && !is_name(host))) {
        return AD_ERR_INVALID;
    }
    if (host.n > 0) {
        memcpy(e.host, host.p, host.n);
    }
    if (v6 && (strlen(e.host) != host.n || !is_ipv6(e.host))) {
        return AD_ERR_INVALID;
    }
    e.port = (unsigned)port;
    *out = e;
    return AD_OK;
}

/* --- addresses --- */

bool ad__literal_address(const struct ad_endpoint *e, struct sockaddr_storage *out)
{
    *out = (struct sockaddr_storage){ 0 };
    return uv_ip4_addr(e->host, (int)e->port, (struct sockaddr_in *)out) == 0 ||
           uv_ip6_addr(e->host, (int)e->port, (struct sockaddr_in6 *)out) == 0;
}

static bool is_loopback_v4(const struct sockaddr_in *in)
{
    return ntohl(in->sin_addr.s_addr) >> 24 == 127;
}

bool ad_endpoint_is_loopback(const struct ad_endpoint *e)
{
    struct sockaddr_storage sa;
    if (!ad__literal_address(e, &sa)) {
        return ad_str_eq_nocase(ad_str_c(e->host), AD_STR("localhost"));
    }
    return sa.ss_family == AF_INET ? is_loopback_v4((struct sockaddr_in *)&sa)
                                   : IN6_IS_ADDR_LOOPBACK(&((struct sockaddr_in6 *)&sa)->sin6_addr);
}
