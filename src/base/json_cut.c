/* JSON cut into pieces without being read: strings and brackets, nothing else.
 *
 * Nested values are passed over 64 bytes at a time: which quotes are escaped, what lies between
 * quotes, and how many brackets open and close outside of them, each as a bit a byte. */
#include "base/json.h"

#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

struct cursor {
    const char *p, *end;
};

static void blanks(struct cursor *c)
{
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\n' || *c->p == '\r' || *c->p == '\t')) {
        c->p++;
    }
}

/* The next one that is no blank; 0 at the end. */
static char peek(struct cursor *c)
{
    blanks(c);
    if (c->p == c->end) {
        return '\0';
    }
    return *c->p;
}

static bool take(struct cursor *c, char what)
{
    bool is = peek(c) == what && c->p < c->end;
    c->p += is;
    return is;
}

/* At a quote. `inside`: what is between them. */
static bool pass_string(struct cursor *c, struct ad_str *inside)
{
    const char *start = c->p + 1;
    const char *s = start;
    for (;;) {
        const char *quote = s < c->end ? memchr(s, '"', (size_t)(c->end - s)) : NULL;
        if (!quote) {
            return false;
        }
        const char *back = quote;
        while (back > s && back[-1] == '\\') {
            back--;
        }
        s = quote + 1;
        if ((quote - back) % 2 == 0) {
            break;
        }
    }
    c->p = s;
    *inside = ad_str_n(start, (size_t)(s - 1 - start));
    return true;
}

static bool opens(char c)
{
    return c == '{' || c == '[';
}

static bool closes(char c)
{
    return c == '}' || c == ']';
}

#ifdef __SSE2__
/* What a block of 64 bytes hands on to the next. */
struct carry {
    uint64_t in_string; /* all ones or none */
    uint64_t escaped;   /* 1: its first byte */
};

struct masks {
    uint64_t quote, back, open, close;
};

static struct masks masks_of(const char *p)
{
    struct masks m = { 0, 0, 0, 0 };
    const __m128i lower =
        _mm_set1_epi8(0x20); /* makes '[' of '{', ']' of '}', and of nothing else */
    for (unsigned at = 0; at < 64; at += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + at));
        __m128i w = _mm_or_si128(v, lower);
        __m128i quote = _mm_cmpeq_epi8(v, _mm_set1_epi8('"'));
        __m128i back = _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'));
        __m128i open = _mm_cmpeq_epi8(w, _mm_set1_epi8('{'));
        __m128i close = _mm_cmpeq_epi8(w, _mm_set1_epi8('}'));
        m.quote |= (uint64_t)(unsigned)_mm_movemask_epi8(quote) << at;
        m.back |= (uint64_t)(unsigned)_mm_movemask_epi8(back) << at;
        m.open |= (uint64_t)(unsigned)_mm_movemask_epi8(open) << at;
        m.close |= (uint64_t)(unsigned)_mm_movemask_epi8(close) << at;
    }
    return m;
}

/* The bytes behind a backslash that is not itself escaped. Backslashes are rare. */
static uint64_t escaped_of(uint64_t back, struct carry *carry)
{
    uint64_t escaped = carry->escaped;
    carry->escaped = 0;
    back &= ~escaped;
    while (back) {
        unsigned at = (unsigned)__builtin_ctzll(back);
        if (at == 63) {
            carry->escaped = 1;
            break;
        }
        escaped |= UINT64_C(2) << at;
        back &= ~(UINT64_C(3) << at);
    }
    return escaped;
}

/* Bit i: an odd number of bits up to i. */
static uint64_t parity(uint64_t x)
{
    for (unsigned n = 1; n < 64; n *= 2) {
        x ^= x << n;
    }
    return x;
}

/* The bit behind which the depth is 0, or 64. */
static unsigned end_in(struct masks m, size_t *depth)
{
    for (uint64_t both = m.open | m.close; both; both &= both - 1) {
        unsigned at = (unsigned)__builtin_ctzll(both);
        *depth += m.open >> at & 1 ? 1 : SIZE_MAX;
        if (*depth == 0) {
            return at;
        }
    }
    return 64;
}

/* Whole blocks; true when the value ended in one. */
static bool pass_blocks(struct cursor *c, size_t *depth, struct carry *carry)
{
    for (; c->end - c->p >= 64; c->p += 64) {
        struct masks m = masks_of(c->p);
        uint64_t in = parity(m.quote & ~escaped_of(m.back, carry)) ^ carry->in_string;
        carry->in_string = in >> 63 ? UINT64_MAX : 0;
        m.open &= ~in;
        m.close &= ~in;
        unsigned at = end_in(m, depth);
        if (at < 64) {
            c->p += at + 1;
            return true;
        }
    }
    return false;
}
#endif

/* At a bracket. That it is closed by its like is not looked at. */
static bool pass_nested(struct cursor *c)
{
    size_t depth = 0;
    bool in_string = false;
    bool escaped = false;
#ifdef __SSE2__
    struct carry carry = { 0, 0 };
    if (pass_blocks(c, &depth, &carry)) {
        return true;
    }
    in_string = carry.in_string != 0;
    escaped = carry.escaped != 0;
#endif
    for (; c->p < c->end; c->p++) {
        in_string ^= *c->p == '"' && !escaped;
        escaped = *c->p == '\\' && !escaped;
        if (!in_string && opens(*c->p)) {
            depth++;
        } else if (!in_string && closes(*c->p) && --depth == 0) {
            c->p++;
            return true;
        }
    }
    return false;
}

static bool pass_scalar(struct cursor *c)
{
    static const char ends[] = ",:]}[{\" \t\r\n";
    const char *start = c->p;
    while (c->p < c->end && *c->p && !strchr(ends, *c->p)) {
        c->p++;
    }
    return c->p > start;
}

static bool pass_value(struct cursor *c, struct ad_str *raw)
{
    struct ad_str inside;
    char first = peek(c);
    const char *start = c->p;
    bool ok = opens(first)   ? pass_nested(c)
              : first == '"' ? pass_string(c, &inside)
                             : pass_scalar(c);
    *raw = ad_str_n(start, (size_t)(c->p - start));
    return ok;
}

/* The next key of an object and its colon; *more false: it ends here. */
static bool next_key(struct cursor *c, bool first, struct ad_str *key, bool *more)
{
    *more = !take(c, '}');
    if (!*more) {
        return true;
    }
    return (first || take(c, ',')) && peek(c) == '"' && pass_string(c, key) && take(c, ':');
}

static enum ad_err fail(struct ad_errinfo *info, const struct cursor *c, struct ad_str text)
{
    return ad_fail(info, AD_ERR_PARSE, "malformed JSON at byte %zu", (size_t)(c->p - text.p));
}

static enum ad_err cut_array(struct cursor *c, struct ad_str text, ad_json_cut_cb each, void *ctx,
                             struct ad_errinfo *info)
{
    struct ad_str element;
    enum ad_err err = AD_OK;
    if (!take(c, '[')) {
        return ad_fail(info, AD_ERR_PARSE, "array expected at byte %zu", (size_t)(c->p - text.p));
    }
    for (bool first = true; !err && !take(c, ']'); first = false) {
        if ((!first && !take(c, ',')) || !pass_value(c, &element)) {
            return fail(info, c, text);
        }
        err = each(ctx, element);
    }
    return err;
}

enum ad_err ad_json_cut(struct ad_str text, struct ad_str key, ad_json_cut_cb each, void *ctx,
                        struct ad_errinfo *info)
{
    struct cursor c = { text.p, text.p + text.n };
    struct ad_str name;
    struct ad_str value;
    bool found = false;
    bool more = take(&c, '{');
    if (!more) {
        return fail(info, &c, text);
    }
    for (bool first = true;; first = false) {
        if (!next_key(&c, first, &name, &more)) {
            return fail(info, &c, text);
        }
        if (!more) {
            break;
        }
        bool wanted = ad_str_eq(name, key);
        if ((wanted && found) || (!wanted && !pass_value(&c, &value))) {
            return fail(info, &c, text);
        }
        enum ad_err err = wanted ? cut_array(&c, text, each, ctx, info) : AD_OK;
        if (err) {
            return err;
        }
        found = found || wanted;
    }
    if (peek(&c) || c.p < c.end) {
        return fail(info, &c, text);
    }
    return found ? AD_OK
                 : ad_fail(info, AD_ERR_PARSE, "no array \"%.*s\" in the JSON", AD_FMT(key));
}

/* ---- one value --------------------------------------------------------------------------- */

/* At an object: on to the value of that key. What the object is after it is not looked at. */
static bool to_member(struct cursor *c, struct ad_str key)
{
    struct ad_str name;
    struct ad_str value;
    bool more = take(c, '{');
    for (bool first = true; more; first = false) {
        if (!next_key(c, first, &name, &more) || !more) {
            return false;
        }
        if (ad_str_eq(name, key)) {
            return true;
        }
        more = pass_value(c, &value);
    }
    return false;
}

static bool to_element(struct cursor *c, size_t index)
{
    struct ad_str value;
    bool more = take(c, '[');
    for (size_t i = 0; more && i < index; i++) {
        more = peek(c) != ']' && pass_value(c, &value) && take(c, ',');
    }
    return more && peek(c) != ']';
}

struct ad_str ad_json_peek(struct ad_str text, const char *path)
{
    struct cursor c = { text.p, text.p + text.n };
    struct ad_str value;
    bool found = true;
    while (*path && found) {
        if (*path == '[') {
            size_t index = 0;
            for (path++; *path >= '0' && *path <= '9'; path++) {
                index = 10 * index + (size_t)(*path - '0');
            }
            path += *path == ']';
            found = to_element(&c, index);
        } else {
            path += *path == '.';
            size_t n = strcspn(path, ".[");
            found = to_member(&c, ad_str_n(path, n));
            path += n;
        }
    }
    return found && pass_value(&c, &value) ? value : AD_STR_NONE;
}
