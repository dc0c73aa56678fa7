/* The fast way to write JSON: straight into a buffer.
 *
 * Pages of 500 records are most of what the simulator sends, so records and values are written by
 * this pen; everything else goes through base/json_write.h. The caller places brackets, commas and
 * keys; strings are escaped here. */
#ifndef AD_SIM_PEN_H
#define AD_SIM_PEN_H

#include <string.h>

#include "base/buf.h"
#include "base/clock.h"

struct ad_sim_pen {
    char *at, *end; /* free room */
    struct ad_buf *buf;
    /* the second written last and its text: most times of a record are equal */
    int64_t last_s;
    char last_text[24];
};

void ad_sim_pen_init(struct ad_sim_pen *p, struct ad_buf *buf);
/* Makes the buffer's length true. Call before anybody else looks at it. */
void ad_sim_pen_done(struct ad_sim_pen *p);
void ad_sim_pen_room(struct ad_sim_pen *p, size_t n);

static inline void ad_sim_put_n(struct ad_sim_pen *p, const char *s, size_t n)
{
    if ((size_t)(p->end - p->at) < n) {
        ad_sim_pen_room(p, n);
    }
    memcpy(p->at, s, n);
    p->at += n;
}

static inline void ad_sim_put(struct ad_sim_pen *p, struct ad_str s)
{
    if (s.n > 0) {
        ad_sim_put_n(p, s.p, s.n);
    }
}

/* A literal. */
#define AD_SIM_PUT(pen, text) ad_sim_put_n(pen, "" text, sizeof(text) - 1)

/* Escaped, without quotes. */
void ad_sim_put_escaped(struct ad_sim_pen *p, struct ad_str s);
/* Quoted and escaped; absent: null. */
void ad_sim_put_str(struct ad_sim_pen *p, struct ad_str s);
/* "2026-04-01T10:20:30.123456789Z", quoted. */
void ad_sim_put_time(struct ad_sim_pen *p, int64_t ns);
/* "2026-04-01", quoted. */
void ad_sim_put_date(struct ad_sim_pen *p, int64_t days);
void ad_sim_put_i64(struct ad_sim_pen *p, int64_t v);
/* v in ten-thousandths, without trailing zeros. */
void ad_sim_put_fixed(struct ad_sim_pen *p, int64_t v);
/* 16 bytes as a quoted UUID. */
void ad_sim_put_uuid(struct ad_sim_pen *p, const uint8_t id[16]);

/* The 36 characters of a UUID and a NUL. */
void ad_sim_uuid_text(const uint8_t id[16], char out[37]);
/* False unless s is a UUID. */
AD_MUST_CHECK bool ad_sim_uuid_parse(struct ad_str s, uint8_t out[16]);

/* Days since 1970 of a civil date, and back. */
int64_t ad_sim_days(int64_t year, unsigned month, unsigned day);
void ad_sim_civil(int64_t days, int64_t *year, unsigned *month, unsigned *day);

#endif
