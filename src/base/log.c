#include "base/log.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

enum {
    LINE_MAX_BYTES = 8192,
    VALUE_MAX_BYTES = 512,
    SECRET_MIN_BYTES = 8,
    /* Kept free for the end of a line that is too long. */
    TAIL_BYTES = 32,
};

/* --- Where lines go --- */

struct target {
    ad_log_sink sink;
    void *ctx;
    const struct ad_clock *clock;
    enum ad_log_format format;
};

/* The one that is not in use is filled and then made current, so that a thread in the middle of
 * a line never sees half of a target. */
static struct target targets[2];
static _Atomic(struct target *) current;
static atomic_int least_level = AD_LOG_INFO;

void ad_log_install(ad_log_sink sink, void *ctx, const struct ad_clock *clock,
                    enum ad_log_format format)
{
    struct target *t = atomic_load(&current) == &targets[0] ? &targets[1] : &targets[0];
    *t = (struct target){ .sink = sink, .ctx = ctx, .clock = clock, .format = format };
    atomic_store(&current, sink ? t : NULL);
}

void ad_log_set_level(enum ad_log_level level)
{
    atomic_store(&least_level, (int)level);
}

bool ad_log_wants(enum ad_log_level level)
{
    return (int)level >= atomic_load_explicit(&least_level, memory_order_relaxed) &&
           atomic_load_explicit(&current, memory_order_relaxed) != NULL;
}

/* --- Secrets to hide --- */

/* Only ever added to, at the front, by the loop thread; so other threads may walk it at any
 * time. */
struct secret {
    struct secret *next;
    size_t n;
    char bytes[];
};

static _Atomic(struct secret *) secrets;

enum ad_err ad_log_hide(struct ad_str secret)
{
    if (secret.n < SECRET_MIN_BYTES) {
        return AD_ERR_INVALID;
    }
    struct secret *first = atomic_load(&secrets);
    for (struct secret *s = first; s; s = s->next) {
        if (ad_str_eq(ad_str_n(s->bytes, s->n), secret)) {
            return AD_OK;
        }
    }
    struct secret *s = ad_alloc(sizeof(*s) + secret.n);
    if (!s) {
        return AD_ERR_NOMEM;
    }
    s->next = first;
    s->n = secret.n;
    memcpy(s->bytes, secret.p, secret.n);
    atomic_store(&secrets, s);
    return AD_OK;
}

void ad_log_forget_all(void)
{
    struct secret *s = atomic_exchange(&secrets, NULL);
    while (s) {
        struct secret *next = s->next;
        explicit_bzero(s->bytes, s->n);
        ad_free(s);
        s = next;
    }
}

/* Length of the longest secret at the front of s, or 0. */
static size_t secret_length(struct ad_str s)
{
    size_t longest = 0;
    for (struct secret *it = atomic_load(&secrets); it; it = it->next) {
        if (it->n > longest && it->n <= s.n && memcmp(it->bytes, s.p, it->n) == 0) {
            longest = it->n;
        }
    }
    return longest;
}

/* --- What else must not be seen --- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Of an e-mail address's domain; bytes of other scripts count. */
static bool is_domain_char(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '.' || (unsigned char)c >= 0x80;
}

static bool is_local_char(char c)
{
    return is_domain_char(c) || (c && strchr("!#$%&'*+/=?^_`{|}~", c));
}

/* Length of the e-mail address at the front of s, or 0. *run is the length of what looks like
 * the part before an '@', also when none follows: no address begins inside it either. */
static size_t email_length(struct ad_str s, size_t *run)
{
    size_t n = 0;
    while (n < s.n && is_local_char(s.p[n])) {
        n++;
    }
    *run = n;
    if (n == 0 || n + 1 >= s.n || s.p[n] != '@' || !is_domain_char(s.p[n + 1])) {
        return 0;
    }
    n++;
    while (n < s.n && is_domain_char(s.p[n])) {
        n++;
    }
    return n;
}

/* Length of '+' and 7 or more digits, which blanks and the like may group, or 0. */
static size_t phone_length(struct ad_str s)
{
    size_t digits = 0;
    size_t end = 0;
    if (s.n == 0 || s.p[0] != '+') {
        return 0;
    }
    for (size_t i = 1; i < s.n && i - end <= 2; i++) {
        if (is_digit(s.p[i])) {
            digits++;
            end = i;
        } else if (!strchr(" -.()/", s.p[i]) || s.p[i] == '\0') {
            break;
        }
    }
    return digits >= 7 ? end + 1 : 0;
}

static bool names_secret(const char *key)
{
    static const char *const words[] = {
        "token", "secret", "signature", "authorization", "password", "api_key",
    };
    for (size_t i = 0; i < AD_LEN(words); i++) {
        if (strcasestr(key, words[i])) {
            return true;
        }
    }
    return false;
}

/* --- A line --- */

struct line {
    char *p;
    size_t n;
    bool full; /* something did not fit */
    enum ad_log_format format;
};

static void put(struct line *l, struct ad_str s)
{
    if (l->full || s.n > LINE_MAX_BYTES - TAIL_BYTES - l->n) {
        l->full = true;
        return;
    }
    memcpy(l->p + l->n, s.p, s.n);
    l->n += s.n;
}

/* Length of the UTF-8 character at the front of s when it may be written as it is, else 0. The
 * controls of U+0080 to U+009F move a terminal's cursor just as the first 32 do. */
static size_t plain_length(struct ad_str s)
{
    unsigned char c = (unsigned char)s.p[0];
    if (c < 0x80) {
        return c >= ' ' && c != 0x7f && c != '"' && c != '\\';
    }
    size_t n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    bool control = c == 0xc2 && s.n > 1 && (unsigned char)s.p[1] < 0xa0;
    return n <= s.n && !control && ad_utf8_valid(ad_str_n(s.p, n)) ? n : 0;
}

/* One character, escaped as JSON does it; returns how many bytes of s it took. */
static size_t put_char(struct line *l, struct ad_str s)
{
    size_t n = plain_length(s);
    if (n) {
        put(l, ad_str_n(s.p, n));
        return n;
    }
    unsigned char c = (unsigned char)s.p[0];
    char text[8];
    if (c == '"' || c == '\\') {
        put(l, ad_str_n((char[]){ '\\', s.p[0] }, 2));
    } else if (c < 0x80) {
        put(l, ad_str_n(text, (size_t)snprintf(text, sizeof(text), "\\u%04x", c)));
    } else if (c == 0xc2 && s.n > 1 && ((unsigned char)s.p[1] & 0xe0) == 0x80) {
        unsigned control = (unsigned char)s.p[1];
        put(l, ad_str_n(text, (size_t)snprintf(text, sizeof(text), "\\u%04x", control)));
        return 2;
    } else {
        put(l, AD_STR("\\ufffd"));
    }
    return 1;
}

/* Length of what must not be seen at the front of s, or 0. */
static size_t hidden_length(struct ad_str s, bool email, size_t *run)
{
    size_t n = secret_length(s);
    *run = 0;
    if (n) {
        return n;
    }
    n = email ? email_length(s, run) : 0;
    n = n ? n : phone_length(s);
    /* An address may end inside a secret, whose rest must not be left over. */
    for (size_t i = 1; i < n; i++) {
        size_t more = secret_length(ad_str_n(s.p + i, s.n - i));
        n = i + more > n ? i + more : n;
    }
    return n;
}

/* A string value with all that is to be hidden masked. Looking before cutting, so that the cut
 * never leaves half of a secret that is then not recognized. */
static void put_masked(struct line *l, struct ad_str s)
{
    size_t no_email_before = 0;
    size_t written = 0;
    for (size_t i = 0; i < s.n;) {
        struct ad_str rest = ad_str_n(s.p + i, s.n - i);
        size_t run;
        size_t hidden = hidden_length(rest, i >= no_email_before, &run);
        no_email_before = run ? i + run : no_email_before;
        if (written >= VALUE_MAX_BYTES) {
            put(l, AD_STR("..."));
            return;
        }
        size_t took = hidden ? hidden : put_char(l, rest);
        written += hidden ? 3 : took;
        i += took;
        if (hidden) {
            put(l, AD_STR("***"));
        }
    }
}

/* In text lines, values that are one plain word need no quotes. */
static bool is_word(struct ad_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c <= ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '=') {
            return false;
        }
    }
    return s.n > 0;
}

static void put_string(struct line *l, const char *key, struct ad_str s)
{
    bool quoted = l->format == AD_LOG_JSON || !is_word(s);
    bool secret = names_secret(key);
    put(l, quoted ? AD_STR("\"") : AD_STR(""));
    if (secret) {
        put(l, AD_STR("***"));
    } else {
        put_masked(l, s);
    }
    put(l, quoted ? AD_STR("\"") : AD_STR(""));
}

static void put_value(struct line *l, const struct ad_kv *kv)
{
    char digits[24];
    switch (kv->type) {
    case AD_KV_STR:
        if (kv->str.p) {
            put_string(l, kv->key, kv->str);
        } else {
            put(l, l->format == AD_LOG_JSON ? AD_STR("null") : AD_STR("\"\""));
        }
        break;
    case AD_KV_I64:
        put(l, ad_str_n(digits, (size_t)snprintf(digits, sizeof(digits), "%" PRId64, kv->i64)));
        break;
    case AD_KV_BOOL:
        put(l, kv->i64 ? AD_STR("true") : AD_STR("false"));
        break;
    }
}

/* Wholly or not at all: half a pair would break the line's JSON. */
static void put_pair(struct line *l, const struct ad_kv *kv)
{
    size_t before = l->n;
    bool json = l->format == AD_LOG_JSON;
    put(l, json ? AD_STR(",\"") : AD_STR(" "));
    put(l, ad_str_c(kv->key));
    put(l, json ? AD_STR("\":") : AD_STR("="));
    put_value(l, kv);
    if (l->full) {
        l->n = before;
    }
}

static void put_head(struct line *l, const struct target *t, enum ad_log_level level,
                     const char *event)
{
    static const char *const names[] = { "debug", "info", "warn", "error" };
    bool json = l->format == AD_LOG_JSON;
    char time[AD_TIME_MAX];
    put(l, json ? AD_STR("{\"time\":\"") : AD_STR(""));
    put(l, ad_time_format(ad_wall_ns(t->clock), 3, time));
    put(l, json ? AD_STR("\",\"level\":\"") : AD_STR(" "));
    put(l, ad_str_c(names[level]));
    put(l, json ? AD_STR("\",\"event\":\"") : AD_STR(" "));
    put(l, ad_str_c(event));
    put(l, json ? AD_STR("\"") : AD_STR(""));
}

/* Into the room that `put` keeps free. */
static void put_tail(struct line *l)
{
    bool json = l->format == AD_LOG_JSON;
    struct ad_str cut = json ? AD_STR(",\"truncated\":true") : AD_STR(" truncated=true");
    struct ad_str end = json ? AD_STR("}\n") : AD_STR("\n");
    if (l->full) {
        memcpy(l->p + l->n, cut.p, cut.n);
        l->n += cut.n;
    }
    memcpy(l->p + l->n, end.p, end.n);
    l->n += end.n;
}

void ad_log_write(enum ad_log_level level, const char *event, const struct ad_kv *kvs)
{
    static _Thread_local char room[LINE_MAX_BYTES];
    static _Thread_local bool busy; /* a sink that logs would overwrite the line it was given */
    struct target *t = atomic_load(&current);
    if (!t || busy) {
        return;
    }
    busy = true;
    struct line l = { .p = room, .format = t->format };
    put_head(&l, t, level, event);
    for (; kvs->key; kvs++) {
        put_pair(&l, kvs);
    }
    put_tail(&l);
    t->sink(t->ctx, level, ad_str_n(l.p, l.n));
    busy = false;
}
