/* Who is behind a connection: the peer itself, or whom a proxy that we trust names.
 *
 * A proxy appends the address of its own peer to X-Forwarded-For, so the list is read from its
 * end: the first address that is no trusted proxy is the client, and all before it is hearsay. */
#ifndef AD_APP_PROXIES_H
#define AD_APP_PROXIES_H

#include "base/err.h"
#include "base/http.h"

struct ad_net {
    uint8_t bytes[16]; /* IPv4 as ::ffff:a.b.c.d */
    unsigned bits;     /* of 128 */
};

/* "10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "::1". INVALID otherwise. */
AD_MUST_CHECK enum ad_err ad_net_parse(struct ad_str s, struct ad_net *out);
/* `address` in digits, without port. */
bool ad_net_holds(const struct ad_net *net, struct ad_str address);

/* The client's address: of the peer (with its port), or what a chain of trusted proxies says
 * (as they wrote it). `trusted` is a NULL-ended list that ad_net_parse takes, or NULL. A slice of the
 * exchange. */
struct ad_str ad_client_of(const char *const *trusted, const struct ad_exchange *x);

#endif
