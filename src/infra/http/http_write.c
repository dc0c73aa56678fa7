/* A reply becomes a head composed by hand (this is in the path of every request) with a small body
 * right behind it, so that one plain write sends both; a larger body is a second slice, as it
 * lies. */
#include "http/http_server_private.h"

#include <string.h>

/* Status line, Date, Content-Length, Connection and the blank line, with room to spare. */
#define HEAD_FIXED 256

static void put(char **at, struct ad_str s)
{
    if (s.n) {
        memcpy(*at, s.p, s.n);
        *at += s.n;
    }
}

static void put_u64(char **at, uint64_t v)
{
    *at += ad_u64_format(v, *at);
}

/* "Date: ...\r\n", made anew once a second. */
static struct ad_str date_line(struct ad_http_server *s)
{
    int64_t now_s = ad_wall_ns(s->clock) / AD_NS_PER_S;
    if (now_s != s->date_s || s->date_n == 0) {
        char text[AD_TIME_MAX];
        char *at = s->date;
        s->date_s = now_s;
        put(&at, AD_STR("Date: "));
        put(&at, ad_http_date_format(now_s, text));
        put(&at, AD_STR("\r\n"));
        s->date_n = (size_t)(at - s->date);
    }
    return ad_str_n(s->date, s->date_n);
}

/* Values may come from outside; one that could forge a line does not leave. */
static bool headers_are_clean(const struct ad_reply *reply)
{
    for (size_t i = 0; i < reply->headers_n; i++) {
        struct ad_str v = reply->headers[i].value;
        if (!ad__http_is_token(reply->headers[i].name) || ad_str_find(v, '\r') < v.n ||
            ad_str_find(v, '\n') < v.n || ad_str_find(v, '\0') < v.n) {
            return false;
        }
    }
    return true;
}

static size_t head_bound(const struct ad_reply *reply)
{
    size_t n = HEAD_FIXED + (reply->content_type ? strlen(reply->content_type) : 0);
    for (size_t i = 0; i < reply->headers_n; i++) {
        n += reply->headers[i].name.n + reply->headers[i].value.n + 4;
    }
    return n;
}

static bool has_length(unsigned status)
{
    return status != 204 && status != 304;
}

static char *write_head(struct ad__http_request *r, const struct ad_reply *reply, char *at)
{
    put(&at, AD_STR("HTTP/1.1 "));
    put_u64(&at, reply->status);
    put(&at, AD_STR(" "));
    put(&at, ad_str_c(ad_http_reason(reply->status)));
    put(&at, AD_STR("\r\n"));
    put(&at, date_line(r->server));
    if (reply->content_type) {
        put(&at, AD_STR("Content-Type: "));
        put(&at, ad_str_c(reply->content_type));
        put(&at, AD_STR("\r\n"));
    }
    if (has_length(reply->status) && reply->more) {
        put(&at, r->http10 ? AD_STR("") : AD_STR("Transfer-Encoding: chunked\r\n"));
    } else if (has_length(reply->status)) {
        put(&at, AD_STR("Content-Length: "));
        put_u64(&at, reply->body.n);
        put(&at, AD_STR("\r\n"));
    }
    for (size_t i = 0; i < reply->headers_n; i++) {
        put(&at, reply->headers[i].name);
        put(&at, AD_STR(": "));
        put(&at, reply->headers[i].value);
        put(&at, AD_STR("\r\n"));
    }
    if (r->closing) {
        put(&at, AD_STR("Connection: close\r\n"));
    } else if (r->http10) {
        put(&at, AD_STR("Connection: keep-alive\r\n"));
    }
    put(&at, AD_STR("\r\n"));
    return at;
}

static bool compose(struct ad__http_request *r, const struct ad_reply *reply)
{
    size_t bound = head_bound(reply);
    char *head = r->out_first;
    if (bound > sizeof(r->out_first)) {
        head = ad_arena_alloc(&r->arena, bound);
        if (!head) {
            return false;
        }
    }
    r->closing = r->closing || (reply->more && r->http10); /* the end of the body */
    char *end = write_head(r, reply, head);
    bool wanted = has_length(reply->status) && r->x.method != AD_HTTP_HEAD;
    struct ad_str body = wanted && !reply->more ? reply->body : AD_STR_NONE;
    r->more = wanted ? reply->more : NULL;
    r->more_ctx = reply->more_ctx;
    if (head == r->out_first && body.n <= (size_t)(head + sizeof(r->out_first) - end)) {
        put(&end, body);
        body = AD_STR_NONE;
    }
    r->out[0] = ad_str_n(head, (size_t)(end - head));
    r->out[1] = body;
    return true;
}

static void count(const struct ad__http_request *r, unsigned status)
{
    r->server->requests[status / 100]->v++;
}

void ad__http_compose(struct ad__http_request *r, const struct ad_reply *reply)
{
    AD_ASSERT(reply->status >= 200 && reply->status <= 599);
    r->composed = true;
    unsigned status = reply->status;
    if (!headers_are_clean(reply)) {
        status = 500;
    } else if (!compose(r, reply)) {
        status = 503;
    }
    if (status != reply->status) {
        r->closing = true;
        AD_IGNORE(!compose(r, &(struct ad_reply){ .status = status }), "fits out_first");
    }
    count(r, status);
}

static void put_hex(char **at, size_t v)
{
    char digits[2 * sizeof(v)];
    size_t n = 0;
    do {
        digits[n++] = "0123456789abcdef"[v & 15];
        v >>= 4;
    } while (v);
    while (n > 0) {
        *(*at)++ = digits[--n];
    }
}

/* The next piece into r->out, behind the line end of the one before; false: that was all. */
static bool next_chunk(struct ad__http_request *r)
{
    if (!r->more) {
        return false;
    }
    struct ad_str piece = r->more(r->more_ctx);
    char *at = r->out_first;
    if (!r->http10) {
        put(&at, r->more_begun ? AD_STR("\r\n") : AD_STR(""));
        put_hex(&at, piece.n);
        put(&at, piece.n ? AD_STR("\r\n") : AD_STR("\r\n\r\n"));
    }
    r->more_begun = true;
    r->more = piece.n ? r->more : NULL;
    r->out[0] = ad_str_n(r->out_first, (size_t)(at - r->out_first));
    r->out[1] = piece.n ? piece : AD_STR_NONE;
    return r->out[0].n + r->out[1].n > 0;
}

bool ad__http_out_skip(struct ad__http_request *r, size_t n)
{
    for (size_t i = 0; i < AD_LEN(r->out); i++) {
        size_t part = n < r->out[i].n ? n : r->out[i].n;
        if (part) {
            r->out[i].p += part;
            r->out[i].n -= part;
            n -= part;
        }
    }
    return r->out[0].n == 0 && r->out[1].n == 0 && !next_chunk(r);
}
