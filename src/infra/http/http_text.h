/* HTTP/1.1 syntax that does not depend on who speaks: tokens, field lines, and what is between
 * chunks. */
#ifndef AD_INFRA_HTTP_TEXT_H
#define AD_INFRA_HTTP_TEXT_H

#include "base/http.h"

/* Length of the token (RFC 9110 section 5.6.2) at the start of s. */
size_t ad__http_token_length(struct ad_str s);
/* "Name: value" without its CRLF; false for anything that could be read in two ways: a blank in
 * the name or before the colon, a folded line, a control character. */
bool ad__http_split_field(struct ad_str line, struct ad_http_header *out);
/* No control character but tab: what may stand in a value. */
bool ad__http_is_field_value(struct ad_str s);

/* Watches the framing of a chunked body. llhttp finds the data; how strictly it reads the rest
 * depends on its version and build (Debian 12's takes any two bytes behind a chunk), so each
 * byte that is not data passes here: lines end with CRLF and nothing else, hold no control
 * character, and are bounded; behind data is exactly CRLF. Zeroed to begin. */
struct ad__http_chunks {
    enum { AD__CHUNKS_LINE, AD__CHUNKS_LINE_LF, AD__CHUNKS_DATA_CR, AD__CHUNKS_DATA_LF } at;
    bool blank_ok;    /* behind the first ';' or ':' of a line */
    size_t line_n;    /* bytes of this line */
    size_t framing_n; /* bytes that were no data */
    uint64_t left;    /* data of this chunk still to come */
    uint64_t data_n;  /* data so far */
};

/* llhttp's three events: a size line was read, data, and the framing before and after it. False:
 * refuse. */
void ad__http_chunks_size(struct ad__http_chunks *c, uint64_t size);
bool ad__http_chunks_data(struct ad__http_chunks *c, size_t n);
bool ad__http_chunks_framing(struct ad__http_chunks *c, struct ad_str s);

#endif
