/* llhttp finds where the head ends and takes chunks apart. Everything that could be read in two
 * ways is looked at again here on the whole head: what llhttp accepts differs between its
 * versions and builds (blanks in names, bare LF, folded lines, any two bytes behind a chunk). */
#include "http/http_server_private.h"

#include <string.h>

/* One chunk-size line with its extensions, and one trailer line. */
#define CHUNK_LINE_MAX 1024
/* Framing may outweigh the body (small chunks), within reason. */
#define CHUNK_FRAMING_BASE 65536
#define CHUNK_FRAMING_RATIO 16
#define BODY_FIRST 4096
#define HEAD_FIRST 1024
/* Method, blanks and version around the target. */
#define LINE_EXTRA 64

/* tchar of RFC 9110 section 5.6.2 */
static const unsigned char token_chars[256] = {
    ['!'] = 1, ['#'] = 1, ['$'] = 1, ['%'] = 1, ['&'] = 1, ['\''] = 1, ['*'] = 1, ['+'] = 1,
    ['-'] = 1, ['.'] = 1, ['^'] = 1, ['_'] = 1, ['`'] = 1, ['|'] = 1,  ['~'] = 1, ['0'] = 1,
    ['1'] = 1, ['2'] = 1, ['3'] = 1, ['4'] = 1, ['5'] = 1, ['6'] = 1,  ['7'] = 1, ['8'] = 1,
    ['9'] = 1, ['A'] = 1, ['B'] = 1, ['C'] = 1, ['D'] = 1, ['E'] = 1,  ['F'] = 1, ['G'] = 1,
    ['H'] = 1, ['I'] = 1, ['J'] = 1, ['K'] = 1, ['L'] = 1, ['M'] = 1,  ['N'] = 1, ['O'] = 1,
    ['P'] = 1, ['Q'] = 1, ['R'] = 1, ['S'] = 1, ['T'] = 1, ['U'] = 1,  ['V'] = 1, ['W'] = 1,
    ['X'] = 1, ['Y'] = 1, ['Z'] = 1, ['a'] = 1, ['b'] = 1, ['c'] = 1,  ['d'] = 1, ['e'] = 1,
    ['f'] = 1, ['g'] = 1, ['h'] = 1, ['i'] = 1, ['j'] = 1, ['k'] = 1,  ['l'] = 1, ['m'] = 1,
    ['n'] = 1, ['o'] = 1, ['p'] = 1, ['q'] = 1, ['r'] = 1, ['s'] = 1,  ['t'] = 1, ['u'] = 1,
    ['v'] = 1, ['w'] = 1, ['x'] = 1, ['y'] = 1, ['z'] = 1,
};

static size_t token_length(const char *p, size_t n)
{
    size_t i = 0;
    while (i < n && token_chars[(unsigned char)p[i]]) {
        i++;
    }
    return i;
}

bool ad__http_is_token(struct ad_str s)
{
    return s.n > 0 && token_length(s.p, s.n) == s.n;
}

static enum ad__http_step fail(struct ad__http_request *r, unsigned status,
                               enum ad__http_reason reason)
{
    r->fail_status = status;
    r->fail_reason = reason;
    return AD__HTTP_FAIL;
}

static bool refuse(struct ad__http_request *r, unsigned status, enum ad__http_reason reason)
{
    fail(r, status, reason);
    return false;
}

/* --- Body --------------------------------------------------------------------------------- */

static bool body_grow(struct ad__http_request *r, size_t need)
{
    size_t cap = r->body_cap ? r->body_cap * 2 : BODY_FIRST;
    while (cap < need) {
        cap *= 2;
    }
    if (cap > r->body_max) {
        cap = r->body_max; /* need is within it */
    }
    char *p = ad_arena_alloc(&r->arena, cap);
    if (!p) {
        return false;
    }
    if (r->body_n) {
        memcpy(p, r->body, r->body_n);
    }
    r->body = p;
    r->body_cap = cap;
    return true;
}

static bool body_put(struct ad__http_request *r, const char *p, size_t n)
{
    if (r->discard) {
        r->body_n += n;
        return true;
    }
    if (n > r->body_max - r->body_n) {
        return refuse(r, 413, AD__HTTP_REASON_body_too_large);
    }
    if (n > r->body_cap - r->body_n && !body_grow(r, r->body_n + n)) {
        return refuse(r, 503, AD__HTTP_REASON_memory);
    }
    memcpy(r->body + r->body_n, p, n);
    r->body_n += n;
    return true;
}

enum ad_err ad__http_body_begin(struct ad__http_request *r, size_t body_max)
{
    r->body_max = body_max;
    if (r->chunked || r->discard || r->content_length == 0) {
        return AD_OK;
    }
    if (r->content_length > body_max) {
        return AD_ERR_TOOLARGE;
    }
    r->body = ad_arena_alloc(&r->arena, (size_t)r->content_length);
    r->body_cap = (size_t)r->content_length;
    return r->body ? AD_OK : AD_ERR_NOMEM;
}

static enum ad__http_step message_done(struct ad__http_request *r)
{
    r->complete = true;
    r->x.body = r->body_n && !r->discard ? ad_str_n(r->body, r->body_n) : AD_STR_NONE;
    return AD__HTTP_MESSAGE_DONE;
}

static enum ad__http_step parse_length_body(struct ad__http_request *r, const char *p, size_t n,
                                            size_t *used)
{
    size_t left = (size_t)r->content_length - r->body_n;
    *used = n < left ? n : left;
    if (!body_put(r, p, *used)) {
        return AD__HTTP_FAIL;
    }
    return *used == left ? message_done(r) : AD__HTTP_MORE;
}

/* True when `b` is the last byte of a line's "content-length:". llhttp 8 drops that among the
 * trailers, 9 refuses it, as we do: whoever sends it hopes that somebody obeys. */
static bool names_length(struct ad__http_request *r, char b)
{
    static const char name[] = "content-length:";
    int lower = b >= 'A' && b <= 'Z' ? b + ('a' - 'A') : b;
    if (r->chunk_name_n == r->chunk_line_n && lower == name[r->chunk_name_n]) {
        r->chunk_name_n++;
    }
    return r->chunk_name_n == sizeof(name) - 1;
}

/* Looks at the bytes that are not data: each line ends with CRLF and nothing else, holds no
 * control character, no blank before the first ';' or ':' (so none around a size), is not a
 * length and not too long; behind data there is exactly CRLF. */
static bool chunk_lint_byte(struct ad__http_request *r, char b)
{
    switch (r->chunk) {
    case AD__CHUNK_DATA_CR:
        r->chunk = AD__CHUNK_DATA_LF;
        return b == '\r';
    case AD__CHUNK_DATA_LF:
    case AD__CHUNK_LINE_LF:
        r->chunk = AD__CHUNK_LINE;
        r->chunk_line_n = r->chunk_name_n = 0;
        r->chunk_blank_ok = false;
        return b == '\n';
    case AD__CHUNK_LINE:
        break;
    }
    if (b == '\r') {
        r->chunk = AD__CHUNK_LINE_LF;
        return true;
    }
    if (b == ' ' || b == '\t') {
        if (!r->chunk_blank_ok) {
            return false;
        }
    } else if ((unsigned char)b < 0x20 || b == 0x7f) {
        return false;
    } else if (b == ';' || b == ':') {
        r->chunk_blank_ok = true;
    }
    return !names_length(r, b) && ++r->chunk_line_n <= CHUNK_LINE_MAX;
}

/* Everything since the last data (or the start of this piece) up to `end` was framing. */
static bool chunk_lint(struct ad__http_request *r, const char *end)
{
    r->chunk_framing_n += (size_t)(end - r->chunk_gap);
    for (const char *p = r->chunk_gap; p < end; p++) {
        if (!chunk_lint_byte(r, *p)) {
            return false;
        }
    }
    r->chunk_gap = end;
    return r->chunk_framing_n <= CHUNK_FRAMING_BASE + CHUNK_FRAMING_RATIO * r->body_n;
}

static int on_chunk_header(llhttp_t *parser)
{
    struct ad__http_request *r = ad_container_of(parser, struct ad__http_request, llhttp);
    r->chunk_left = parser->content_length;
    if (r->chunk_left > r->body_max - r->body_n) {
        fail(r, 413, AD__HTTP_REASON_body_too_large);
        return HPE_USER;
    }
    return 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t n)
{
    struct ad__http_request *r = ad_container_of(parser, struct ad__http_request, llhttp);
    if (n == 0) {
        return 0;
    }
    if (!chunk_lint(r, at) || n > r->chunk_left) {
        fail(r, 400, AD__HTTP_REASON_chunk);
        return HPE_USER;
    }
    r->chunk_left -= n;
    r->chunk_gap = at + n;
    if (r->chunk_left == 0) {
        r->chunk = AD__CHUNK_DATA_CR;
    }
    return body_put(r, at, n) ? 0 : HPE_USER;
}

static enum ad__http_step parse_chunked_body(struct ad__http_request *r, const char *p, size_t n,
                                             size_t *used)
{
    if (!r->parser_running) {
        llhttp_resume(&r->llhttp);
        r->parser_running = true;
    }
    r->chunk_gap = p;
    enum llhttp_errno e = llhttp_execute(&r->llhttp, p, n);
    *used = e == HPE_PAUSED ? (size_t)(llhttp_get_error_pos(&r->llhttp) - p) : n;
    if (r->fail_status) {
        return AD__HTTP_FAIL;
    }
    if ((e != HPE_OK && e != HPE_PAUSED) || !chunk_lint(r, p + *used)) {
        return fail(r, 400, AD__HTTP_REASON_chunk);
    }
    return e == HPE_PAUSED ? message_done(r) : AD__HTTP_MORE;
}

/* --- Head: fields ------------------------------------------------------------------------- */

/* unreserved / pct-encoded / sub-delims of RFC 3986 but ',' (a list of hosts), plus "[...]"
 * literals. No userinfo, path or blank. */
static bool is_host_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-._~%!$&'()*+;=", c) != NULL);
}

static size_t host_name_length(struct ad_str s)
{
    size_t i = 0;
    if (s.n && s.p[0] == '[') {
        for (i = 1; i < s.n && (is_host_char(s.p[i]) || s.p[i] == ':'); i++) {
        }
        return i > 1 && i < s.n && s.p[i] == ']' ? i + 1 : 0;
    }
    while (i < s.n && is_host_char(s.p[i])) {
        i++;
    }
    return i;
}

static bool host_is_valid(struct ad_str s)
{
    size_t name = host_name_length(s);
    if (name == 0 || name == s.n) {
        return name != 0;
    }
    if (s.p[name] != ':') {
        return false;
    }
    struct ad_str port = ad_str_n(s.p + name + 1, s.n - name - 1);
    uint64_t unused;
    return port.n == 0 || ad_str_u64(port, 65535, &unused);
}

/* What the fields say about framing, while they are split. */
struct seen {
    unsigned hosts, lengths, codings, expects;
    struct ad_str host;
    bool close, keep;
};

static void take_connection(struct seen *seen, struct ad_str value)
{
    while (value.p) {
        struct ad_str token = ad_str_trim(ad_str_cut(&value, ','));
        seen->close |= ad_str_eq_nocase(token, AD_STR("close"));
        seen->keep |= ad_str_eq_nocase(token, AD_STR("keep-alive"));
    }
}

static bool take_length(struct ad__http_request *r, struct seen *seen, struct ad_str value)
{
    /* Digits only, and no more of them than any honest length has. */
    return ++seen->lengths == 1 && value.n <= 19 &&
           ad_str_u64(value, INT64_MAX, &r->content_length);
}

static bool take_field(struct ad__http_request *r, struct seen *seen,
                       const struct ad_http_header *h)
{
    switch (h->name.n) {
    case 4:
        if (ad_str_eq_nocase(h->name, AD_STR("host"))) {
            seen->hosts++;
            seen->host = h->value;
        }
        break;
    case 6:
        if (ad_str_eq_nocase(h->name, AD_STR("expect"))) {
            seen->expects++;
            r->expect = ad_str_eq_nocase(h->value, AD_STR("100-continue"));
        }
        break;
    case 10:
        if (ad_str_eq_nocase(h->name, AD_STR("connection"))) {
            take_connection(seen, h->value);
        }
        break;
    case 14:
        if (ad_str_eq_nocase(h->name, AD_STR("content-length"))) {
            return take_length(r, seen, h->value);
        }
        break;
    case 17:
        if (ad_str_eq_nocase(h->name, AD_STR("transfer-encoding"))) {
            r->chunked = true;
            return ++seen->codings == 1 && ad_str_eq_nocase(h->value, AD_STR("chunked"));
        }
        break;
    default:
        break;
    }
    return true;
}

/* One line without its CRLF. */
static bool split_field(struct ad_str line, struct ad_http_header *out)
{
    size_t name = token_length(line.p, line.n);
    if (name == 0 || name == line.n || line.p[name] != ':' || memchr(line.p, '\r', line.n) ||
        memchr(line.p, '\0', line.n)) {
        return false;
    }
    out->name = ad_str_n(line.p, name);
    out->value = ad_str_trim(ad_str_n(line.p + name + 1, line.n - name - 1));
    return true;
}

static size_t count_lines(const char *p, const char *end)
{
    size_t n = 0;
    while (p < end && (p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
        n++;
        p++;
    }
    return n;
}

/* `p` is behind the request line; the last line is the empty one. */
static bool split_fields(struct ad__http_request *r, const char *p, const char *end,
                         struct seen *seen)
{
    size_t lines = count_lines(p, end);
    if (lines == 0 || lines - 1 > r->server->opts.limits.headers_n_max) {
        return refuse(r, lines ? 431 : 400,
                      lines ? AD__HTTP_REASON_head_too_large : AD__HTTP_REASON_header);
    }
    struct ad_http_header *h = ad_arena_alloc(&r->arena, lines * sizeof(*h));
    if (!h) {
        return refuse(r, 503, AD__HTTP_REASON_memory);
    }
    r->x.headers = h;
    for (size_t i = 0; i < lines; i++) {
        const char *lf = memchr(p, '\n', (size_t)(end - p));
        if (lf == p || lf[-1] != '\r') {
            return refuse(r, 400, AD__HTTP_REASON_header);
        }
        struct ad_str line = ad_str_n(p, (size_t)(lf - 1 - p));
        p = lf + 1;
        if (i + 1 == lines) {
            return line.n == 0 || refuse(r, 400, AD__HTTP_REASON_header);
        }
        if (!split_field(line, &h[i])) {
            return refuse(r, 400, AD__HTTP_REASON_header);
        }
        if (!take_field(r, seen, &h[i])) {
            return refuse(r, 400, AD__HTTP_REASON_framing);
        }
        r->x.headers_n++;
    }
    return refuse(r, 400, AD__HTTP_REASON_header);
}

/* --- Head: request line ------------------------------------------------------------------- */

static enum ad_http_method method_of(const llhttp_t *parser)
{
    switch (parser->method) {
    case HTTP_GET:
        return AD_HTTP_GET;
    case HTTP_HEAD:
        return AD_HTTP_HEAD;
    case HTTP_POST:
        return AD_HTTP_POST;
    case HTTP_PUT:
        return AD_HTTP_PUT;
    case HTTP_PATCH:
        return AD_HTTP_PATCH;
    case HTTP_DELETE:
        return AD_HTTP_DELETE;
    case HTTP_OPTIONS:
        return AD_HTTP_OPTIONS;
    default:
        return AD_HTTP_OTHER;
    }
}

static bool target_is_clean(struct ad_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c <= 0x20 || c >= 0x7f || c == '#') {
            return false;
        }
    }
    return s.n > 0;
}

/* "http://authority/path" down to its path, when the authority is the one of Host. */
static bool strip_absolute(struct ad_str *target, struct ad_str host)
{
    struct ad_str t = *target;
    size_t scheme = 0;
    if (t.n > 7 && ad_str_eq_nocase(ad_str_n(t.p, 7), AD_STR("http://"))) {
        scheme = 7;
    } else if (t.n > 8 && ad_str_eq_nocase(ad_str_n(t.p, 8), AD_STR("https://"))) {
        scheme = 8;
    } else {
        return false;
    }
    size_t end = scheme;
    while (end < t.n && t.p[end] != '/' && t.p[end] != '?') {
        end++;
    }
    *target = ad_str_n(t.p + end, t.n - end);
    return ad_str_eq_nocase(ad_str_n(t.p + scheme, end - scheme), host);
}

static bool take_target(struct ad__http_request *r, struct ad_str target, struct ad_str host)
{
    if (target.p[0] != '/' && !(r->x.method == AD_HTTP_OPTIONS && ad_str_eq(target, AD_STR("*"))) &&
        !strip_absolute(&target, host)) {
        return refuse(r, 400, AD__HTTP_REASON_target);
    }
    size_t path = ad_str_find(target, '?');
    r->x.path = path ? ad_str_n(target.p, path) : AD_STR("/");
    if (path < target.n) {
        r->x.query = ad_str_n(target.p + path + 1, target.n - path - 1);
    }
    return true;
}

/* "HTTP/1.1" and "HTTP/1.0" are ours; another digit.digit is 505. */
static bool take_version(struct ad__http_request *r, struct ad_str v)
{
    if (v.n != 8 || memcmp(v.p, "HTTP/", 5) != 0 || v.p[5] < '0' || v.p[5] > '9' || v.p[6] != '.' ||
        v.p[7] < '0' || v.p[7] > '9') {
        return refuse(r, 400, AD__HTTP_REASON_version);
    }
    if (v.p[5] != '1' || (v.p[7] != '0' && v.p[7] != '1')) {
        return refuse(r, 505, AD__HTTP_REASON_version);
    }
    r->http10 = v.p[7] == '0';
    return true;
}

/* method SP target SP version, nothing else; `line` is without CRLF. */
static bool split_line(struct ad__http_request *r, struct ad_str line, struct ad_str *target)
{
    struct ad_str rest = line;
    struct ad_str method = ad_str_cut(&rest, ' ');
    *target = ad_str_cut(&rest, ' ');
    if (!ad_str_eq(method, ad_str_c(llhttp_method_name(r->llhttp.method)))) {
        return refuse(r, 400, AD__HTTP_REASON_method);
    }
    if (!target_is_clean(*target)) {
        return refuse(r, 400, AD__HTTP_REASON_target);
    }
    if (target->n > r->server->opts.limits.target_max) {
        return refuse(r, 414, AD__HTTP_REASON_head_too_large);
    }
    r->x.method = method_of(&r->llhttp);
    return take_version(r, rest);
}

/* --- Head: the whole ---------------------------------------------------------------------- */

static bool check_host(struct ad__http_request *r, const struct seen *seen)
{
    if (seen->hosts > 1 || (seen->hosts == 0 && !r->http10) ||
        (seen->hosts == 1 && !host_is_valid(seen->host))) {
        return refuse(r, 400, AD__HTTP_REASON_host);
    }
    return true;
}

static bool check_framing(struct ad__http_request *r, const struct seen *seen)
{
    if (r->chunked && (seen->lengths || r->http10)) {
        return refuse(r, 400, AD__HTTP_REASON_framing);
    }
    if (seen->expects && !r->http10 && (seen->expects > 1 || !r->expect)) {
        return refuse(r, 417, AD__HTTP_REASON_expect);
    }
    r->expect = r->expect && !r->http10 && (r->chunked || r->content_length > 0);
    r->keep_alive = !seen->close && (!r->http10 || seen->keep);
    return true;
}

static bool check_head(struct ad__http_request *r)
{
    const char *p = r->head;
    const char *end = p + r->head_n;
    if (r->head_n > 2 && p[0] == '\r' && p[1] == '\n') {
        p += 2; /* one empty line in front is tolerated, as RFC 9112 section 2.2 asks */
    }
    const char *lf = memchr(p, '\n', (size_t)(end - p));
    if (!lf || lf == p || lf[-1] != '\r') {
        return refuse(r, 400, AD__HTTP_REASON_version);
    }
    struct ad_str target;
    struct seen seen = { 0 };
    if ((size_t)(end - lf) > r->server->opts.limits.headers_max) {
        return refuse(r, 431, AD__HTTP_REASON_head_too_large);
    }
    return split_line(r, ad_str_n(p, (size_t)(lf - 1 - p)), &target) &&
           split_fields(r, lf + 1, end, &seen) && check_host(r, &seen) && check_framing(r, &seen) &&
           take_target(r, target, seen.host);
}

static bool head_grow(struct ad__http_request *r, size_t need, bool last)
{
    size_t cap = last ? need : need * 2; /* exact when it comes at once, as it mostly does */
    if (!last && cap < HEAD_FIRST) {
        cap = HEAD_FIRST;
    }
    char *head = ad_arena_alloc(&r->arena, cap);
    if (!head) {
        return refuse(r, 503, AD__HTTP_REASON_memory);
    }
    if (r->head_n) {
        memcpy(head, r->head, r->head_n);
    }
    r->head = head;
    r->head_cap = cap;
    return true;
}

static bool head_put(struct ad__http_request *r, struct ad_str s, bool last)
{
    if (s.n == 0) {
        return true;
    }
    if (s.n > r->head_cap - r->head_n && !head_grow(r, r->head_n + s.n, last)) {
        return false;
    }
    memcpy(r->head + r->head_n, s.p, s.n);
    r->head_n += s.n;
    return true;
}

/* Refuses early what will be too large, before it is all here. */
static bool check_growth(struct ad__http_request *r, size_t new_n)
{
    const struct ad_http_limits *l = &r->server->opts.limits;
    if (!r->line_n && r->head_n > 2) {
        size_t from = r->head_n - new_n;
        from = from < 2 ? 2 : from; /* past an empty line in front */
        const char *lf = memchr(r->head + from, '\n', r->head_n - from);
        if (lf) {
            r->line_n = (size_t)(lf - r->head) + 1;
        }
        if ((lf ? r->line_n - 1 : r->head_n) > l->target_max + LINE_EXTRA) {
            return refuse(r, 414, AD__HTTP_REASON_head_too_large);
        }
    }
    if (r->line_n && r->head_n - r->line_n > l->headers_max) {
        return refuse(r, 431, AD__HTTP_REASON_head_too_large);
    }
    return true;
}

/* llhttp stopped at `at`: which answer says best why? An unknown method is 501, a well-formed
 * foreign version 505; decided from the bytes up to there, so that it does not depend on how
 * they were cut. */
static enum ad__http_step head_failed(struct ad__http_request *r, enum llhttp_errno e,
                                      const char *at, const char *end)
{
    size_t skip = r->head_n >= 2 && memcmp(r->head, "\r\n", 2) == 0 ? 2 : 0;
    struct ad_str got = ad_str_n(skip ? r->head + skip : r->head, r->head_n - skip);
    switch (e) {
    case HPE_PAUSED_H2_UPGRADE:
        return fail(r, 505, AD__HTTP_REASON_version);
    case HPE_INVALID_METHOD:
        if (at < end && token_chars[(unsigned char)*at] && token_length(got.p, got.n) == got.n) {
            return fail(r, 501, AD__HTTP_REASON_method);
        }
        return fail(r, 400, AD__HTTP_REASON_method);
    case HPE_INVALID_VERSION:
        if (got.n > 9 && got.p[got.n - 9] == ' ' &&
            !take_version(r, ad_str_n(got.p + got.n - 8, 8))) {
            return AD__HTTP_FAIL;
        }
        return fail(r, 400, AD__HTTP_REASON_version);
    case HPE_INVALID_URL:
        return fail(r, 400, AD__HTTP_REASON_target);
    case HPE_INVALID_CONTENT_LENGTH:
    case HPE_UNEXPECTED_CONTENT_LENGTH:
    case HPE_INVALID_TRANSFER_ENCODING:
        return fail(r, 400, AD__HTTP_REASON_framing);
    default:
        return fail(r, 400, AD__HTTP_REASON_header);
    }
}

static int on_headers_complete(llhttp_t *parser)
{
    parser->upgrade = 0; /* we never do; RFC 9110 section 7.8 lets a server ignore it */
    return HPE_PAUSED;
}

static int on_message_complete(llhttp_t *parser)
{
    (void)parser;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_chunk_header = on_chunk_header,
    .on_message_complete = on_message_complete,
};

static enum ad__http_step parse_head(struct ad__http_request *r, const char *p, size_t n,
                                     size_t *used)
{
    if (r->head_n == 0) {
        llhttp_init(&r->llhttp, HTTP_REQUEST, &settings);
    }
    enum llhttp_errno e = llhttp_execute(&r->llhttp, p, n);
    const char *stop = e == HPE_OK ? p + n : llhttp_get_error_pos(&r->llhttp);
    *used = (size_t)(stop - p);
    if (!head_put(r, ad_str_n(p, *used), e != HPE_OK) || !check_growth(r, *used)) {
        return AD__HTTP_FAIL;
    }
    if (e == HPE_OK) {
        return AD__HTTP_MORE;
    }
    if (e != HPE_PAUSED) {
        return head_failed(r, e, stop, p + n);
    }
    return check_head(r) ? AD__HTTP_HEAD_DONE : AD__HTTP_FAIL;
}

enum ad__http_step ad__http_parse(struct ad__http_request *r, const char *p, size_t n, size_t *used)
{
    if (r->phase == AD__HTTP_HEAD) {
        return parse_head(r, p, n, used);
    }
    return r->chunked ? parse_chunked_body(r, p, n, used) : parse_length_body(r, p, n, used);
}
