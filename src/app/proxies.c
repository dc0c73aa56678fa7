#include "app/proxies.h"

#include <arpa/inet.h>
#include <string.h>

/* Room for the longest address in digits. */
#define ADDRESS_MAX 64

static bool parse_address(struct ad_str s, uint8_t out[16], bool *v4)
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
    char text[ADDRESS_MAX];
    if (s.n == 0 || s.n >= sizeof(text)) {
        return false;
    }
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    *v4 = inet_pton(AF_INET, text, out + 12) == 1;
    if (*v4) {
        memcpy(out, mapped, sizeof(mapped));
        return true;
    }
    return inet_pton(AF_INET6, text, out) == 1;
}

enum ad_err ad_net_parse(struct ad_str s, struct ad_net *out)
{
    struct ad_net net = { .bits = 128 };
    struct ad_str bits = s;
    struct ad_str address = ad_str_cut(&bits, '/');
    bool v4;
    uint64_t n;
    if (!parse_address(address, net.bytes, &v4)) {
        return AD_ERR_INVALID;
    }
    if (bits.p) {
        if (!ad_str_u64(bits, v4 ? 32 : 128, &n)) {
            return AD_ERR_INVALID;
        }
        net.bits = (unsigned)n + (v4 ? 96 : 0);
    }
    *out = net;
    return AD_OK;
}

bool ad_net_holds(const struct ad_net *net, struct ad_str address)
{
    uint8_t bytes[16];
    bool v4;
    unsigned whole = net->bits / 8;
    if (!parse_address(address, bytes, &v4) || memcmp(bytes, net->bytes, whole) != 0) {
        return false;
    }
    uint8_t mask = (uint8_t)(0xff00U >> net->bits % 8);
    return whole == sizeof(bytes) || ((bytes[whole] ^ net->bytes[whole]) & mask) == 0;
}

static bool is_trusted(const char *const *trusted, struct ad_str address)
{
    struct ad_net net;
    for (; trusted && *trusted; trusted++) {
        if (!ad_net_parse(ad_str_c(*trusted), &net) && ad_net_holds(&net, address)) {
            return true;
        }
    }
    return false;
}

/* "127.0.0.1:40312", "[::1]:40312" */
static struct ad_str without_port(struct ad_str peer)
{
    if (peer.n && peer.p[0] == '[') {
        return ad_str_n(peer.p + 1, ad_str_find(peer, ']') - 1);
    }
    return ad_str_n(peer.p, ad_str_find(peer, ':'));
}

/* Cuts the last address off the list. */
static struct ad_str cut_last(struct ad_str *list)
{
    size_t at = list->n;
    while (at > 0 && list->p[at - 1] != ',') {
        at--;
    }
    struct ad_str last = ad_str_trim(ad_str_n(list->p + at, list->n - at));
    list->n = at ? at - 1 : 0;
    return last;
}

struct ad_str ad_client_of(const char *const *trusted, const struct ad_exchange *x)
{
    struct ad_str client = x->peer;
    struct ad_str address = without_port(x->peer);
    size_t field = x->headers_n;
    struct ad_str list = AD_STR_NONE;
    uint8_t bytes[16];
    bool v4;
    while (is_trusted(trusted, address)) {
        while (list.n == 0 && field > 0) { /* several fields are one list */
            const struct ad_http_header *h = &x->headers[--field];
            list = ad_str_eq_nocase(h->name, AD_STR("x-forwarded-for")) ? h->value : AD_STR_NONE;
        }
        address = cut_last(&list);
        if (!parse_address(address, bytes, &v4)) {
            break; /* a trusted proxy wrote no address: it is the last we know */
        }
        client = address;
    }
    return client;
}
