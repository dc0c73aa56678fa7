/* Where Attio is: "https://api.attio.com" taken apart, once, at start. */
#ifndef AD_ATTIO_BASE_URL_H
#define AD_ATTIO_BASE_URL_H

#include "base/err.h"
#include "base/str.h"

struct ad_base_url {
    bool tls;
    bool loopback;    /* a literal loopback address or localhost */
    char host[256];   /* without the brackets of an IPv6 address */
    unsigned port;    /* 443 or 80 when the URL names none */
    char origin[280]; /* "host" or "host:port", as the Host header has it */
    char prefix[256]; /* path before "/v2", "" or "/proxy/attio"; never ends in '/' */
};

/* A trailing "/v2", "/" or "/v2/" is dropped: every path names /v2 itself. CONFIG naming what is
 * wrong: no http or https, no host, a bad port, user info (a secret in a URL ends in logs), a
 * query, a fragment, or characters that do not belong there. Plain http, which shows the token to
 * everybody on the way, is CONFIG too, unless `allow_plain` or to a loopback address. */
AD_MUST_CHECK enum ad_err ad_base_url_parse(struct ad_str s, bool allow_plain,
                                            struct ad_base_url *out, struct ad_errinfo *info);

#endif
