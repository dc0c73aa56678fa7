#include "base/str.h"

bool ad_str_eq(struct ad_str a, struct ad_str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static unsigned char lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

/* Eight characters at once: the bit 0x20 is set where there is a capital letter. */
static uint64_t lower8(const char *p)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t x;
    memcpy(&x, p, sizeof(x));
    uint64_t low = x & (ones * 0x7f);
    uint64_t from_a = low + ones * (0x80 - 'A');
    uint64_t above_z = low + ones * (0x7f - 'Z');
    return x | (((from_a & ~above_z & ~x) & (ones * 0x80)) >> 2);
}

/* Every header's name goes through this several times. */
bool ad_str_eq_nocase(struct ad_str a, struct ad_str b)
{
    if (a.n != b.n) {
        return false;
    }
    if (a.n >= 8) {
        for (size_t i = 0; i + 8 < a.n; i += 8) {
            if (lower8(a.p + i) != lower8(b.p + i)) {
                return false;
            }
        }
        return lower8(a.p + a.n - 8) == lower8(b.p + b.n - 8);
    }
    for (size_t i = 0; i < a.n; i++) {
        if (lower(a.p[i]) != lower(b.p[i])) {
            return false;
        }
    }
    return true;
}

bool ad_str_starts(struct ad_str s, struct ad_str prefix)
{
    return prefix.n <= s.n && ad_str_eq(ad_str_n(s.p, prefix.n), prefix);
}

bool ad_str_ends(struct ad_str s, struct ad_str suffix)
{
    if (suffix.n == 0) {
        return true;
    }
    return suffix.n <= s.n && ad_str_eq(ad_str_n(s.p + (s.n - suffix.n), suffix.n), suffix);
}

int ad_str_cmp(struct ad_str a, struct ad_str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n ? memcmp(a.p, b.p, n) : 0;
    return order ? order : (a.n > b.n) - (a.n < b.n);
}

size_t ad_str_find(struct ad_str s, char c)
{
    const char *at = s.n ? memchr(s.p, c, s.n) : NULL;
    return at ? (size_t)(at - s.p) : s.n;
}

bool ad_str_contains(struct ad_str s, struct ad_str part)
{
    return part.n == 0 || (s.n && memmem(s.p, s.n, part.p, part.n));
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct ad_str ad_str_trim(struct ad_str s)
{
    while (s.n && is_blank(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n && is_blank(s.p[s.n - 1])) {
        s.n--;
    }
    return s;
}

struct ad_str ad_str_cut(struct ad_str *s, char c)
{
    struct ad_str all = *s;
    size_t at = ad_str_find(all, c);
    *s = at == all.n ? AD_STR_NONE : ad_str_n(all.p + at + 1, all.n - at - 1);
    return ad_str_n(all.p, at);
}

bool ad_str_u64(struct ad_str s, uint64_t max, uint64_t *out)
{
    uint64_t v = 0;
    if (s.n == 0) {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        unsigned digit = (unsigned)(unsigned char)s.p[i] - '0';
        if (digit > 9 || v > (UINT64_MAX - digit) / 10) {
            return false;
        }
        v = v * 10 + digit;
    }
    if (v > max) {
        return false;
    }
    *out = v;
    return true;
}

bool ad_str_i64(struct ad_str s, int64_t min, int64_t max, int64_t *out)
{
    bool negative = min < 0 && s.n && s.p[0] == '-';
    if (negative) {
        s.p++;
        s.n--;
    }
    uint64_t magnitude;
    if (!ad_str_u64(s, (uint64_t)INT64_MAX + (negative ? 1 : 0), &magnitude)) {
        return false;
    }
    /* By way of unsigned, because -INT64_MIN has no int64_t. */
    int64_t v = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    if (v < min || v > max) {
        return false;
    }
    *out = v;
    return true;
}

size_t ad_u64_format(uint64_t v, char out[AD_U64_DIGITS])
{
    char digits[AD_U64_DIGITS];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    memcpy(out, digits + at, sizeof(digits) - at);
    return sizeof(digits) - at;
}

/* Value of a hex digit plus one; 0 for everything else. A table, because signatures and ids are
 * read in the path of every webhook. */
static const uint8_t hex_values[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

static unsigned hex_value(char c)
{
    return hex_values[(unsigned char)c];
}

bool ad_str_is_uuid(struct ad_str s)
{
    static const uint8_t groups[] = { 8, 4, 4, 4, 12 };
    if (s.n != 36) {
        return false;
    }
    const char *p = s.p;
    for (size_t g = 0; g < sizeof(groups); g++) {
        if (g > 0 && *p++ != '-') {
            return false;
        }
        for (unsigned i = 0; i < groups[g]; i++) {
            if (!hex_value(*p++)) {
                return false;
            }
        }
    }
    return true;
}

bool ad_hex_decode(struct ad_str hex, uint8_t *out, size_t n)
{
    if (hex.n % 2 != 0 || hex.n / 2 != n) {
        return false;
    }
    for (size_t i = 0; i < hex.n; i++) {
        if (!hex_value(hex.p[i])) {
            return false; /* before anything is written */
        }
    }
    for (size_t i = 0; i < n; i++) {
        out[i] = (uint8_t)((hex_value(hex.p[2 * i]) - 1) * 16 + hex_value(hex.p[2 * i + 1]) - 1);
    }
    return true;
}

void ad_hex_encode(const uint8_t *in, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[in[i] >> 4];
        out[2 * i + 1] = digits[in[i] & 15];
    }
}

/* Length of the valid character at p (n bytes left), 0 when there is none. */
static size_t utf8_char(const unsigned char *p, size_t n)
{
    unsigned char lead = p[0];
    /* The second byte's range carries all the special cases: overlong, surrogate, too large. */
    unsigned char low = 0x80;
    unsigned char high = 0xbf;
    size_t len;
    if (lead < 0x80) {
        return 1;
    }
    if (lead >= 0xc2 && lead <= 0xdf) {
        len = 2;
    } else if (lead >= 0xe0 && lead <= 0xef) {
        len = 3;
        low = lead == 0xe0 ? 0xa0 : low;
        high = lead == 0xed ? 0x9f : high;
    } else if (lead >= 0xf0 && lead <= 0xf4) {
        len = 4;
        low = lead == 0xf0 ? 0x90 : low;
        high = lead == 0xf4 ? 0x8f : high;
    } else {
        return 0;
    }
    if (len > n || p[1] < low || p[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return len;
}

/* Whether n bytes (a multiple of 8) are all ASCII. */
static bool is_ascii(const unsigned char *p, size_t n)
{
    uint64_t all = 0;
    for (size_t i = 0; i < n; i += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, p + i, sizeof(word));
        all |= word;
    }
    return (all & UINT64_C(0x8080808080808080)) == 0;
}

bool ad_utf8_valid(struct ad_str s)
{
    enum { BLOCK = 64 }; /* most text is ASCII, and this loop is made of vectors */
    const unsigned char *p = (const unsigned char *)s.p;
    size_t i = 0;
    while (i < s.n) {
        if (s.n - i >= BLOCK && is_ascii(p + i, BLOCK)) {
            i += BLOCK;
            continue;
        }
        if (s.n - i >= sizeof(uint64_t) && is_ascii(p + i, sizeof(uint64_t))) {
            i += sizeof(uint64_t);
            continue;
        }
        size_t len = utf8_char(p + i, s.n - i);
        if (len == 0) {
            return false;
        }
        i += len;
    }
    return true;
}

/* The hash multiplies keyed words and folds the 128-bit product. All four keys come from the seed:
 * with a constant among them an outsider could choose a word that makes a product zero, and with
 * that collisions under any seed. */
__extension__ typedef unsigned __int128 uint128;

static uint64_t hash_keys[4] = {
    UINT64_C(0xe220a8397b1dcdaf),
    UINT64_C(0x6e789e6aa1b965f4),
    UINT64_C(0x06c45d188009454f),
    UINT64_C(0xf88bb8a8724c81ec),
};

void ad_hash_seed(uint64_t seed)
{
    for (size_t i = 0; i < AD_LEN(hash_keys); i++) {
        seed += UINT64_C(0x9e3779b97f4a7c15);
        uint64_t z = seed;
        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        hash_keys[i] = z ^ (z >> 31);
    }
}

static uint64_t fold(uint64_t a, uint64_t b)
{
    uint128 product = (uint128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Up to 8 bytes as one number. */
static uint64_t word_at(const char *p, size_t n)
{
    uint64_t w = 0;
    memcpy(&w, p, n < sizeof(w) ? n : sizeof(w));
    return w;
}

uint64_t ad_hash(struct ad_str s)
{
    uint64_t state = hash_keys[0] ^ s.n;
    const char *p = s.p;
    size_t n = s.n;
    while (n > 16) {
        state = fold(word_at(p, 8) ^ hash_keys[1], word_at(p + 8, 8) ^ state);
        p += 16;
        n -= 16;
    }
    uint64_t a = n ? word_at(p, n) : 0;
    uint64_t b = n > 8 ? word_at(p + 8, n - 8) : 0;
    state = fold(a ^ hash_keys[1], b ^ state);
    return fold(state ^ hash_keys[2], hash_keys[3]);
}
