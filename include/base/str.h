/* Slices: a pointer and a length, not owned, not NUL-terminated; plus pure helpers on them. */
#ifndef AD_BASE_STR_H
#define AD_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/attr.h"

struct ad_str {
    const char *p; /* may be NULL when n is 0; NULL also says "absent" where a header says so */
    size_t n;
};

#define AD_STR(literal) ((struct ad_str){ "" literal, sizeof(literal) - 1 })
#define AD_STR_NONE ((struct ad_str){ NULL, 0 })
/* For "%.*s". */
#define AD_FMT(s) (int)(s).n, (s).p ? (s).p : ""

static inline struct ad_str ad_str_n(const char *p, size_t n)
{
    return (struct ad_str){ p, n };
}

static inline struct ad_str ad_str_c(const char *cstr)
{
    return (struct ad_str){ cstr, cstr ? strlen(cstr) : 0 };
}

bool ad_str_eq(struct ad_str a, struct ad_str b);
bool ad_str_eq_nocase(struct ad_str a, struct ad_str b); /* ASCII only */
bool ad_str_starts(struct ad_str s, struct ad_str prefix);
bool ad_str_ends(struct ad_str s, struct ad_str suffix);
int ad_str_cmp(struct ad_str a, struct ad_str b); /* bytewise; shorter first when one is a prefix */
/* Position of c, or s.n. */
size_t ad_str_find(struct ad_str s, char c);
bool ad_str_contains(struct ad_str s, struct ad_str part);
/* Without blanks and tabs at both ends. */
struct ad_str ad_str_trim(struct ad_str s);
/* Cuts `*s` at the first `c`: returns what was before it and leaves the rest after it in *s.
 * Without a c returns all and leaves *s absent (p == NULL), so a loop `while (s.p)` ends. */
struct ad_str ad_str_cut(struct ad_str *s, char c);

/* Whole-slice decimal numbers within [min, max]; false on anything else (sign only where min < 0,
 * no blanks, no overflow), *out untouched then. */
AD_MUST_CHECK bool ad_str_i64(struct ad_str s, int64_t min, int64_t max, int64_t *out);
AD_MUST_CHECK bool ad_str_u64(struct ad_str s, uint64_t max, uint64_t *out);
/* The decimal digits of v, no NUL; returns how many. */
#define AD_U64_DIGITS 20
size_t ad_u64_format(uint64_t v, char out[AD_U64_DIGITS]);

/* 36 characters of a UUID in either case. */
bool ad_str_is_uuid(struct ad_str s);
/* Exactly 2 * n hex digits of either case into n bytes. */
AD_MUST_CHECK bool ad_hex_decode(struct ad_str hex, uint8_t *out, size_t n);
/* 2 * n lower-case digits; no NUL. */
void ad_hex_encode(const uint8_t *in, size_t n, char *out);
/* Valid UTF-8 (no surrogates, no overlong forms, at most U+10FFFF). */
bool ad_utf8_valid(struct ad_str s);

/* 64-bit hash for maps; keyed by a process-wide seed that app sets from a random source (tests
 * leave it 0), so nobody outside can build collisions. */
uint64_t ad_hash(struct ad_str s);
void ad_hash_seed(uint64_t seed);

#endif
