#include "attio/base_url.h"

#include <stdio.h>

#include "infra/net.h"

static bool cut_prefix(struct ad_str *s, struct ad_str prefix)
{
    if (s->n < prefix.n || !ad_str_eq_nocase(ad_str_n(s->p, prefix.n), prefix)) {
        return false;
    }
    *s = ad_str_n(s->p + prefix.n, s->n - prefix.n);
    return true;
}

static void cut_suffix(struct ad_str *s, struct ad_str suffix)
{
    if (ad_str_ends(*s, suffix)) {
        s->n -= suffix.n;
    }
}

static enum ad_err bad(struct ad_errinfo *info, const char *why)
{
    return ad_fail(info, AD_ERR_CONFIG, "the base URL of Attio %s", why);
}

static enum ad_err check_characters(struct ad_str s, struct ad_errinfo *info)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == '\\') {
            return bad(info, "holds a blank or another character that does not belong there");
        }
        if (s.p[i] == '@') {
            return bad(info, "must not hold a user name or password");
        }
        if (s.p[i] == '?' || s.p[i] == '#') {
            return bad(info, "must not have a query or a fragment");
        }
    }
    return AD_OK;
}

/* "host", "host:port", "[v6]" or "[v6]:port". */
static enum ad_err read_host(struct ad_str s, struct ad_base_url *u, struct ad_errinfo *info)
{
    struct ad_str host = s;
    struct ad_str port = AD_STR_NONE;
    if (s.n && s.p[0] == '[') {
        size_t end = ad_str_find(s, ']');
        host = ad_str_n(s.p + 1, end < s.n ? end - 1 : 0);
        port = end < s.n ? ad_str_n(s.p + end + 1, s.n - end - 1) : port;
        if (port.n && port.p[0] != ':') {
            return bad(info, "has something behind the address");
        }
        port = port.n ? ad_str_n(port.p + 1, port.n - 1) : AD_STR_NONE;
    } else if (ad_str_find(s, ':') < s.n) {
        host = ad_str_cut(&s, ':');
        port = s;
    }
    uint64_t number = u->tls ? 443 : 80;
    if (host.n == 0 || host.n >= sizeof(u->host)) {
        return bad(info, "names no host");
    }
    if (port.p && (!ad_str_u64(port, 65535, &number) || number == 0)) {
        return bad(info, "has a port that is none");
    }
    memcpy(u->host, host.p, host.n);
    u->port = (unsigned)number;
    return AD_OK;
}

static void write_origin(struct ad_base_url *u)
{
    bool v6 = ad_str_find(ad_str_c(u->host), ':') < strlen(u->host);
    bool named = u->port != (u->tls ? 443U : 80U);
    char port[8] = "";
    if (named) {
        (void)snprintf(port, sizeof(port), ":%u", u->port);
    }
    (void)snprintf(u->origin, sizeof(u->origin), "%s%s%s%s", v6 ? "[" : "", u->host, v6 ? "]" : "",
                   port);
}

static bool is_loopback(const struct ad_base_url *u)
{
    struct ad_endpoint e = { .port = u->port };
    memcpy(e.host, u->host, sizeof(e.host));
    return ad_endpoint_is_loopback(&e);
}

enum ad_err ad_base_url_parse(struct ad_str s, bool allow_plain, struct ad_base_url *out,
                              struct ad_errinfo *info)
{
    struct ad_base_url u = { .tls = true };
    enum ad_err err = check_characters(s, info);
    if (err) {
        return err;
    }
    if (!cut_prefix(&s, AD_STR("https://"))) {
        if (!cut_prefix(&s, AD_STR("http://"))) {
            return bad(info, "must begin with https://");
        }
        u.tls = false;
    }
    size_t slash = ad_str_find(s, '/');
    struct ad_str prefix = ad_str_n(s.p + slash, s.n - slash);
    cut_suffix(&prefix, AD_STR("/"));
    cut_suffix(&prefix, AD_STR("/v2"));
    cut_suffix(&prefix, AD_STR("/"));
    if (prefix.n >= sizeof(u.prefix)) {
        return bad(info, "has too long a path");
    }
    memcpy(u.prefix, prefix.p, prefix.n);
    err = read_host(ad_str_n(s.p, slash), &u, info);
    if (err) {
        return err;
    }
    write_origin(&u);
    u.loopback = is_loopback(&u);
    if (!u.tls && !u.loopback && !allow_plain) {
        return bad(info, "must be https, or lead to this machine");
    }
    *out = u;
    return AD_OK;
}
