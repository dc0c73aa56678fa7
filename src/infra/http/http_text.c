#include "http/http_text.h"

enum {
    /* One size line with its extensions, and one trailer line. */
    LINE_MAX_BYTES = 1024,
    /* Small chunks: framing may outweigh the data, within reason. */
    FRAMING_BASE = 64 * 1024,
    FRAMING_RATIO = 16,
};

static bool is_token_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

size_t ad__http_token_length(struct ad_str s)
{
    size_t n = 0;
    while (n < s.n && is_token_char(s.p[n])) {
        n++;
    }
    return n;
}

bool ad__http_is_field_value(struct ad_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            return false;
        }
    }
    return true;
}

bool ad__http_split_field(struct ad_str line, struct ad_http_header *out)
{
    size_t n = ad__http_token_length(line);
    if (n == 0 || n == line.n || line.p[n] != ':') {
        return false;
    }
    struct ad_str value = ad_str_trim(ad_str_n(line.p + n + 1, line.n - n - 1));
    if (!ad__http_is_field_value(value)) {
        return false;
    }
    *out = (struct ad_http_header){ ad_str_n(line.p, n), value };
    return true;
}

/* --- chunks --- */

void ad__http_chunks_size(struct ad__http_chunks *c, uint64_t size)
{
    c->left = size;
}

bool ad__http_chunks_data(struct ad__http_chunks *c, size_t n)
{
    if (c->at != AD__CHUNKS_LINE || c->line_n > 0 || n > c->left) {
        return false;
    }
    c->left -= n;
    c->data_n += n;
    if (c->left == 0) {
        c->at = AD__CHUNKS_DATA_CR;
    }
    return true;
}

static bool is_line_byte(struct ad__http_chunks *c, char b)
{
    if (b == ' ' || b == '\t') {
        return c->blank_ok;
    }
    c->blank_ok |= b == ';' || b == ':';
    return (unsigned char)b >= 0x20 && b != 0x7f;
}

static bool framing_byte(struct ad__http_chunks *c, char b)
{
    switch (c->at) {
    case AD__CHUNKS_DATA_CR:
        c->at = AD__CHUNKS_DATA_LF;
        return b == '\r';
    case AD__CHUNKS_DATA_LF:
    case AD__CHUNKS_LINE_LF:
        c->at = AD__CHUNKS_LINE;
        c->line_n = 0;
        c->blank_ok = false;
        return b == '\n';
    case AD__CHUNKS_LINE:
        break;
    }
    if (b == '\r') {
        c->at = AD__CHUNKS_LINE_LF;
        return true;
    }
    return is_line_byte(c, b) && ++c->line_n <= LINE_MAX_BYTES;
}

bool ad__http_chunks_framing(struct ad__http_chunks *c, struct ad_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!framing_byte(c, s.p[i])) {
            return false;
        }
    }
    c->framing_n += s.n;
    return c->framing_n <= FRAMING_BASE + FRAMING_RATIO * c->data_n;
}
