/* JSON out, into a buffer, over yajl_gen: commas, escapes and brackets are its business, failure
 * sticks.
 *
 *   struct ad_json_writer w;  ad_json_write_init(&w, &buf);
 *   ad_json_obj(&w);
 *   ad_json_key(&w, "data");
 *   ad_json_arr(&w);
 *   ad_json_w_i64(&w, 1);
 *   ad_json_end(&w);
 *   ad_json_end(&w);
 *   err = ad_json_write_done(&w);
 *
 * ad_json_write_done must be called, also after failure: it reports the first failure: TOOLARGE or
 * NOMEM of the buffer, INVALID text or numbers, INTERNAL for unbalanced brackets and other mistakes
 * in the calls. What was written of a failed document stays in the buffer. A writer must not be
 * copied while it is in use. */
#ifndef AD_BASE_JSON_WRITE_H
#define AD_BASE_JSON_WRITE_H

#include "base/buf.h"
#include "base/json.h"

struct ad_json_writer {
    /* private */
    void *gen;
    struct ad_buf *buf;
    char open[AD_JSON_DEPTH_MAX]; /* '{' or '[' per level */
    unsigned depth;
    bool keyed; /* a key waits for its value */
    enum ad_err err;
    size_t room_used;
    _Alignas(16) char room[1024]; /* all that yajl_gen allocates, so that it cannot fail */
};

void ad_json_write_init(struct ad_json_writer *w, struct ad_buf *buf);
/* Two-space indentation, for people. Call right after init. */
void ad_json_write_pretty(struct ad_json_writer *w);
AD_MUST_CHECK enum ad_err ad_json_write_done(struct ad_json_writer *w);

void ad_json_obj(struct ad_json_writer *w);
void ad_json_arr(struct ad_json_writer *w);
void ad_json_end(struct ad_json_writer *w); /* closes the innermost object or array */
void ad_json_key(struct ad_json_writer *w, const char *key);
void ad_json_key_str(struct ad_json_writer *w, struct ad_str key);

/* Values. Bytes that are not UTF-8 make the writer fail with INVALID. */
void ad_json_w_str(struct ad_json_writer *w, struct ad_str s); /* absent slice: null */
void ad_json_w_cstr(struct ad_json_writer *w, const char *s);  /* NULL: null */
void ad_json_w_i64(struct ad_json_writer *w, int64_t v);
void ad_json_w_u64(struct ad_json_writer *w, uint64_t v);
/* The shortest text that reads back equal; infinities and NaN fail with INVALID. */
void ad_json_w_f64(struct ad_json_writer *w, double v);
void ad_json_w_number(struct ad_json_writer *w, struct ad_str text); /* a JSON number's own text */
void ad_json_w_bool(struct ad_json_writer *w, bool v);
void ad_json_w_null(struct ad_json_writer *w);
/* RFC 3339 with nine digits, as Attio writes it. */
void ad_json_w_time(struct ad_json_writer *w, int64_t ns);
/* A parsed value, written again. */
void ad_json_w_value(struct ad_json_writer *w, const struct ad_json *v);
/* Text that is known to be valid JSON (it came from a parser's raw slice); not checked again. */
void ad_json_w_raw(struct ad_json_writer *w, struct ad_str json);

/* Key and value in one call, for the common case. */
void ad_json_f_str(struct ad_json_writer *w, const char *key, struct ad_str s);
void ad_json_f_cstr(struct ad_json_writer *w, const char *key, const char *s);
void ad_json_f_i64(struct ad_json_writer *w, const char *key, int64_t v);
void ad_json_f_bool(struct ad_json_writer *w, const char *key, bool v);

#endif
