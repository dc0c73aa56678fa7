#include "http/http_client_private.h"

/* llhttp finds the end of the head and takes chunks apart; everything that could be read in two
 * ways is looked at again here, on the whole head and on each byte between chunks (http_text.h). */

enum {
    FIELDS_MAX = 256,
    INTERIMS_MAX = 8, /* 100, 102 and 103 in a row; more is a peer that never answers */
};

static struct ad__http_response *of(llhttp_t *llhttp)
{
    return ad_container_of(llhttp, struct ad__http_response, llhttp);
}

static enum ad_err refuse(struct ad__http_response *r, enum ad_err err, const char *why)
{
    r->err = ad_fail(&r->call->info, err, "response: %s", why);
    return r->err;
}

static enum ad_err broken(struct ad__http_response *r, const char *why)
{
    return refuse(r, AD_ERR_PROTOCOL, why);
}

/* --- body --- */

static size_t body_room(const struct ad__http_response *r)
{
    size_t room = r->body_max - r->body_n;
    const struct ad_buf *out = r->call->response;
    if (out) {
        size_t left = out->max - ad_buf_len(out);
        room = left < room ? left : room;
    }
    return room;
}

static enum ad_err put_body(struct ad__http_response *r, const char *p, size_t n)
{
    if (n > body_room(r)) {
        return refuse(r, AD_ERR_TOOLARGE, "body too large");
    }
    r->body_n += n;
    if (!r->call->response) {
        return AD_OK;
    }
    ad_buf_put(r->call->response, ad_str_n(p, n));
    enum ad_err err = ad_buf_status(r->call->response);
    return err ? refuse(r, err, "no room for the body") : AD_OK;
}

static int on_chunk_header(llhttp_t *llhttp)
{
    struct ad__http_response *r = of(llhttp);
    if (llhttp->content_length > body_room(r)) {
        AD_IGNORE(refuse(r, AD_ERR_TOOLARGE, "body too large"), "kept in r->err");
        return HPE_USER;
    }
    ad__http_chunks_size(&r->chunks, llhttp->content_length);
    return 0;
}

static bool check_gap(struct ad__http_response *r, const char *end)
{
    bool ok = ad__http_chunks_framing(&r->chunks, ad_str_n(r->gap, (size_t)(end - r->gap)));
    r->gap = end;
    return ok;
}

static int on_body(llhttp_t *llhttp, const char *p, size_t n)
{
    struct ad__http_response *r = of(llhttp);
    if (n == 0) {
        return 0;
    }
    if (!check_gap(r, p) || !ad__http_chunks_data(&r->chunks, n)) {
        AD_IGNORE(broken(r, "bad chunk"), "kept in r->err");
        return HPE_USER;
    }
    r->gap = p + n;
    return put_body(r, p, n) ? HPE_USER : 0;
}

static enum ad_err feed_chunks(struct ad__http_response *r, const char *p, size_t n, size_t *used)
{
    r->gap = p;
    enum llhttp_errno e = llhttp_execute(&r->llhttp, p, n);
    *used = e == HPE_OK ? n : (size_t)(llhttp_get_error_pos(&r->llhttp) - p);
    if (r->err) {
        return r->err;
    }
    if ((e != HPE_OK && e != HPE_PAUSED) || !check_gap(r, p + *used)) {
        return broken(r, "bad chunk");
    }
    if (e == HPE_PAUSED) {
        r->phase = AD__RESPONSE_DONE;
    }
    return AD_OK;
}

static enum ad_err feed_length(struct ad__http_response *r, const char *p, size_t n, size_t *used)
{
    *used = n < r->length ? n : (size_t)r->length;
    r->length -= *used;
    if (r->length == 0) {
        r->phase = AD__RESPONSE_DONE;
    }
    return put_body(r, p, *used);
}

/* --- head: fields --- */

static void take_connection(struct ad__http_response *r, struct ad_str value)
{
    while (value.p) {
        struct ad_str token = ad_str_trim(ad_str_cut(&value, ','));
        r->close |= ad_str_eq_nocase(token, AD_STR("close"));
        r->keep |= ad_str_eq_nocase(token, AD_STR("keep-alive"));
    }
}

/* False for framing that is said twice or not understood. */
static bool take_field(struct ad__http_response *r, const struct ad_http_header *h)
{
    if (ad_str_eq_nocase(h->name, AD_STR("connection"))) {
        take_connection(r, h->value);
    } else if (ad_str_eq_nocase(h->name, AD_STR("content-length"))) {
        bool again = r->has_length;
        r->has_length = true;
        return !again && ad_str_u64(h->value, INT64_MAX, &r->length);
    } else if (ad_str_eq_nocase(h->name, AD_STR("transfer-encoding"))) {
        bool again = r->chunked;
        r->chunked = true;
        return !again && ad_str_eq_nocase(h->value, AD_STR("chunked"));
    }
    return true;
}

/* Cuts one line off, which must end with CRLF. */
static bool cut_line(struct ad_str *rest, struct ad_str *line)
{
    size_t lf = ad_str_find(*rest, '\n');
    if (lf == rest->n || lf == 0 || rest->p[lf - 1] != '\r') {
        return false;
    }
    *line = ad_str_n(rest->p, lf - 1);
    *rest = ad_str_n(rest->p + lf + 1, rest->n - lf - 1);
    return true;
}

static size_t count_lines(struct ad_str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        n += s.p[i] == '\n';
    }
    return n;
}

/* `rest` ends with the empty line. */
static enum ad_err split_fields(struct ad__http_response *r, struct ad_str rest)
{
    size_t lines = count_lines(rest);
    if (lines > FIELDS_MAX) {
        return refuse(r, AD_ERR_TOOLARGE, "too many fields");
    }
    struct ad_http_header *h = ad_arena_array(r->call->arena, lines, sizeof(*h));
    if (!h) {
        return refuse(r, AD_ERR_NOMEM, "no memory for its head");
    }
    size_t n = 0;
    for (; n < lines; n++) {
        struct ad_str line;
        if (!cut_line(&rest, &line)) {
            return broken(r, "bad line in the head");
        }
        if (line.n == 0) {
            break;
        }
        if (!ad__http_split_field(line, &h[n])) {
            return broken(r, "bad field");
        }
        if (!take_field(r, &h[n])) {
            return broken(r, "unclear length");
        }
    }
    r->call->response_headers = h;
    r->call->response_headers_n = n;
    return rest.n == 0 && n + 1 == lines ? AD_OK : broken(r, "bad line in the head");
}

/* --- head: the whole --- */

/* "HTTP/1.1 200 OK"; the reason may be missing. */
static bool take_status_line(struct ad__http_response *r, struct ad_str line)
{
    struct ad_str version = ad_str_cut(&line, ' ');
    struct ad_str code = ad_str_cut(&line, ' ');
    uint64_t status = 0;
    r->http10 = ad_str_eq(version, AD_STR("HTTP/1.0"));
    if (!r->http10 && !ad_str_eq(version, AD_STR("HTTP/1.1"))) {
        return false;
    }
    if (code.n != 3 || !ad_str_u64(code, 599, &status) || status < 100) {
        return false;
    }
    r->call->status = (unsigned)status;
    return ad__http_is_field_value(line);
}

/* RFC 9112 section 6.3, without its guesses. */
static enum ad_err choose_body(struct ad__http_response *r)
{
    unsigned status = r->call->status;
    if (r->chunked && (r->has_length || r->http10)) {
        return broken(r, "unclear length");
    }
    r->keep_alive = !r->close && (!r->http10 || r->keep);
    if (status == 204 || status == 304 || strcmp(r->call->method, "HEAD") == 0) {
        r->phase = AD__RESPONSE_DONE;
        return AD_OK;
    }
    if (r->chunked) {
        r->phase = AD__RESPONSE_CHUNKED;
        llhttp_resume(&r->llhttp);
        return AD_OK;
    }
    if (!r->has_length) {
        r->phase = AD__RESPONSE_UNTIL_END;
        r->keep_alive = false;
        return AD_OK;
    }
    r->phase = r->length ? AD__RESPONSE_LENGTH : AD__RESPONSE_DONE;
    return r->length > body_room(r) ? refuse(r, AD_ERR_TOOLARGE, "body too large") : AD_OK;
}

static int on_headers_complete(llhttp_t *llhttp);
static int on_message_complete(llhttp_t *llhttp);

static const llhttp_settings_t settings = {
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_chunk_header = on_chunk_header,
    .on_message_complete = on_message_complete,
};

static int on_headers_complete(llhttp_t *llhttp)
{
    llhttp->upgrade = 0; /* never asked for */
    return HPE_PAUSED;
}

static int on_message_complete(llhttp_t *llhttp)
{
    (void)llhttp;
    return HPE_PAUSED;
}

static void begin_head(struct ad__http_response *r)
{
    llhttp_init(&r->llhttp, HTTP_RESPONSE, &settings);
    ad_buf_clear(&r->head);
    r->http10 = r->chunked = r->has_length = r->close = r->keep = false;
    r->length = 0;
    r->call->response_headers = NULL;
    r->call->response_headers_n = 0;
}

static enum ad_err check_head(struct ad__http_response *r)
{
    struct ad_str rest = ad_arena_str(r->call->arena, ad_buf_str(&r->head));
    if (!rest.p) {
        return refuse(r, AD_ERR_NOMEM, "no memory for its head");
    }
    struct ad_str line;
    if (!cut_line(&rest, &line) || !take_status_line(r, line)) {
        return broken(r, "bad status line");
    }
    enum ad_err err = split_fields(r, rest);
    if (err) {
        return err;
    }
    if (r->call->status >= 200) {
        return choose_body(r);
    }
    if (r->call->status == 101 || ++r->interims > INTERIMS_MAX) {
        return broken(r, "unexpected interim response");
    }
    begin_head(r);
    return AD_OK;
}

static enum ad_err feed_head(struct ad__http_response *r, const char *p, size_t n, size_t *used)
{
    enum llhttp_errno e = llhttp_execute(&r->llhttp, p, n);
    *used = e == HPE_OK ? n : (size_t)(llhttp_get_error_pos(&r->llhttp) - p);
    if (e != HPE_OK && e != HPE_PAUSED) {
        return broken(r, "not HTTP");
    }
    ad_buf_put(&r->head, ad_str_n(p, *used));
    enum ad_err err = ad_buf_status(&r->head);
    if (err) {
        return refuse(r, err, "head too large");
    }
    return e == HPE_PAUSED ? check_head(r) : AD_OK;
}

/* --- from outside --- */

void ad__http_response_init(struct ad__http_response *r, struct ad_http_call *call, size_t head_max,
                            size_t body_max)
{
    *r = (struct ad__http_response){ .call = call, .head_max = head_max, .body_max = body_max };
    ad_buf_init(&r->head, head_max);
    begin_head(r);
}

void ad__http_response_fini(struct ad__http_response *r)
{
    ad_buf_fini(&r->head);
}

static enum ad_err feed_phase(struct ad__http_response *r, const char *p, size_t n, size_t *used)
{
    switch (r->phase) {
    case AD__RESPONSE_HEAD:
        return feed_head(r, p, n, used);
    case AD__RESPONSE_LENGTH:
        return feed_length(r, p, n, used);
    case AD__RESPONSE_CHUNKED:
        return feed_chunks(r, p, n, used);
    default:
        *used = n;
        return put_body(r, p, n);
    }
}

enum ad_err ad__http_response_feed(struct ad__http_response *r, const char *p, size_t n,
                                   size_t *used)
{
    r->any = true;
    *used = 0;
    enum ad_err err = AD_OK;
    while (!err && *used < n && r->phase != AD__RESPONSE_DONE) {
        size_t step = 0;
        err = feed_phase(r, p + *used, n - *used, &step);
        *used += step;
    }
    return err;
}

enum ad_err ad__http_response_end(struct ad__http_response *r)
{
    if (r->phase == AD__RESPONSE_UNTIL_END) {
        r->phase = AD__RESPONSE_DONE;
        return AD_OK;
    }
    if (!r->any) {
        return refuse(r, AD_ERR_NETWORK, "the connection ended before it");
    }
    return broken(r, "the connection ended inside it");
}
