/* Text to document: yajl's events, put on an arena.
 *
 * What yajl leaves to its caller, and where it is done here:
 *   depth, number of values          node_add, enter: limits
 *   malloc that returns NULL         yajl never looks: `scratch` leaves by longjmp instead
 *   UTF-8                            yajl's check lets overlong forms through: ours, once, up front
 *   lone surrogates                  yajl writes a '?': surrogates_pair reads the source again
 *   form feed, vertical tab          blanks for yajl, not in JSON: token_start
 *   duplicate keys                   key_is_new, keys_differ
 *   where a value is in the text     token_start and `at`; yajl knows only where a token ends */
#include "base/json.h"

#include <setjmp.h>
#include <string.h>

#include <yajl/yajl_parse.h>

#include "base/list.h"
#include "base/mem.h"

enum {
    BYTES_MAX = 16 << 20,
    NODES_MAX = 1000000,
    /* What yajl takes for a text without long escaped strings: 2 KiB to unescape, and its
     * structs. */
    SCRATCH_BYTES = 3072,
    /* The first chunk of a page's arena, which stays from element to element: holds the usual
     * element whole. A heap that grows and shrinks for each of them costs as much as parsing it. */
    EACH_CHUNK = 48 << 10,
    /* Up to here a new key is compared with its elder siblings, beyond all are hashed at the
     * end. */
    SIBLINGS_COMPARED = 64,
};

/* Memory that yajl asked for past the scratch. */
struct block {
    _Alignas(16) struct ad_list link;
    size_t size;
};

/* An object or array that is open. */
struct level {
    struct ad_json *node;
    struct ad_json **tail; /* where the next child is linked */
    uint64_t seen;         /* a bit for each key, by key_bit */
};

struct parser {
    struct ad_arena *arena;
    struct ad_str text;
    struct ad_json_limits limits;
    struct ad_errinfo *info;
    enum ad_err err;
    yajl_handle yajl;
    const char *at; /* behind the last token */

    struct ad_json *root;
    struct ad_str key; /* waits for its value */
    size_t nodes;
    unsigned outside; /* brackets around the document: a page and its array */
    unsigned depth;
    struct level levels[AD_JSON_DEPTH_MAX];

    jmp_buf no_memory;
    struct ad_list blocks;
    size_t scratch_used;
    _Alignas(16) char scratch[SCRATCH_BYTES];
};

/* --- Memory for yajl --- */

static void *scratch_alloc(void *ctx, size_t size)
{
    struct parser *p = ctx;
    size_t rounded = (size + 15) / 16 * 16;
    if (rounded >= size && rounded <= sizeof(p->scratch) - p->scratch_used) {
        void *at = p->scratch + p->scratch_used;
        p->scratch_used += rounded;
        return at;
    }
    struct block *b = rounded >= size ? ad_alloc(sizeof(*b) + size) : NULL;
    if (!b) {
        longjmp(p->no_memory, 1);
    }
    b->size = size;
    ad_list_push(&p->blocks, &b->link);
    return b + 1;
}

static bool is_scratch(const struct parser *p, const void *at)
{
    uintptr_t offset = (uintptr_t)at - (uintptr_t)p->scratch;
    return offset < sizeof(p->scratch);
}

static void scratch_free(void *ctx, void *at)
{
    struct parser *p = ctx;
    if (at && !is_scratch(p, at)) {
        struct block *b = (struct block *)at - 1;
        ad_list_remove(&b->link);
        ad_free(b);
    }
}

/* Old sizes in the scratch are not kept: what is behind the piece is copied too, which is
 * harmless. */
static void *scratch_resize(void *ctx, void *at, size_t size)
{
    struct parser *p = ctx;
    void *moved = scratch_alloc(p, size);
    if (at) {
        size_t old = is_scratch(p, at) ? (size_t)(p->scratch + sizeof(p->scratch) - (char *)at)
                                       : ((struct block *)at - 1)->size;
        memmove(moved, at, old < size ? old : size);
        scratch_free(p, at);
    }
    return moved;
}

static void scratch_fini(struct parser *p)
{
    struct ad_list *l;
    while ((l = ad_list_pop(&p->blocks)) != NULL) {
        ad_free(ad_container_of(l, struct block, link));
    }
}

/* --- Tokens --- */

/* For a callback: stops yajl. */
static int refuse(struct parser *p, enum ad_err err, const char *what, const char *where)
{
    p->err = ad_fail(p->info, err, "%s at byte %zu", what, (size_t)(where - p->text.p));
    return 0;
}

/* Between two tokens yajl has seen only blanks, commas and colons, so the next one begins at the
 * first byte that is none of them. */
static const char *token_start(struct parser *p)
{
    const char *s = p->at;
    while (*s == ',' || *s == ' ' || *s == ':' || *s == '\n' || *s == '\r' || *s == '\t') {
        s++;
    }
    if (*s == '\f' || *s == '\v') {
        (void)refuse(p, AD_ERR_PARSE, "malformed JSON", s);
        return NULL;
    }
    return s;
}

/* A token of n bytes. */
static bool take(struct parser *p, size_t n, struct ad_str *raw)
{
    const char *start = token_start(p);
    if (!start) {
        return false;
    }
    *raw = ad_str_n(start, n);
    p->at = start + n;
    return true;
}

static unsigned hex4(const char *s)
{
    uint8_t bytes[2] = { 0, 0 };
    AD_IGNORE(!ad_hex_decode(ad_str_n(s, 4), bytes, 2), "yajl has checked the digits");
    return bytes[0] * 256u + bytes[1];
}

/* Every \uD800..\uDBFF of a string's source is followed by a \uDC00..\uDFFF, which is nowhere
 * else. */
static bool surrogates_pair(struct ad_str raw)
{
    bool want_low = false;
    for (size_t i = 0; i < raw.n; i++) {
        bool escape = raw.p[i] == '\\';
        unsigned code = escape && raw.p[i + 1] == 'u' ? hex4(raw.p + i + 2) : 0;
        bool low = code >= 0xdc00 && code <= 0xdfff;
        if (low != want_low) {
            return false;
        }
        want_low = code >= 0xd800 && code <= 0xdbff;
        if (escape) {
            i += code ? 5 : 1; /* \u0000 leaves its digits, which do no harm */
        }
    }
    return !want_low;
}

/* yajl points into the text unless it had to unescape. */
static bool take_string(struct parser *p, const unsigned char *s, size_t n, struct ad_str *raw,
                        bool *escaped)
{
    const char *start = token_start(p);
    if (!start) {
        return false;
    }
    *escaped = (const char *)s != start + 1;
    p->at = *escaped ? p->text.p + yajl_get_bytes_consumed(p->yajl) : start + n + 2;
    *raw = ad_str_n(start, (size_t)(p->at - start));
    if (*escaped && !surrogates_pair(*raw)) {
        (void)refuse(p, AD_ERR_PARSE, "lone surrogate in the string", start);
        return false;
    }
    return true;
}

/* --- Tree --- */

static bool enter(struct parser *p, const char *where)
{
    if (p->outside + p->depth >= p->limits.depth_max) {
        (void)refuse(p, AD_ERR_TOOLARGE, "JSON nested too deeply", where);
        return false;
    }
    return true;
}

static struct ad_json *node_add(struct parser *p, enum ad_json_type type, struct ad_str raw)
{
    if (p->nodes++ >= p->limits.nodes_max) {
        (void)refuse(p, AD_ERR_TOOLARGE, "too many JSON values", raw.p);
        return NULL;
    }
    struct ad_json *node = ad_arena_alloc(p->arena, sizeof(*node));
    if (!node) {
        (void)refuse(p, AD_ERR_NOMEM, "out of memory for JSON", raw.p);
        return NULL;
    }
    *node = (struct ad_json){ .type = type, .raw = raw, .key = p->key };
    p->key = AD_STR_NONE;
    if (p->depth == 0) {
        p->root = node;
    } else {
        struct level *l = &p->levels[p->depth - 1];
        *l->tail = node;
        l->tail = &node->next;
        l->node->count++;
    }
    return node;
}

static int open_level(struct parser *p, enum ad_json_type type)
{
    struct ad_str raw;
    if (!take(p, 1, &raw) || !enter(p, raw.p)) {
        return 0;
    }
    struct ad_json *node = node_add(p, type, raw);
    if (node) {
        p->levels[p->depth++] = (struct level){ .node = node, .tail = &node->child };
    }
    return node != NULL;
}

static struct ad_json *close_level(struct parser *p)
{
    struct ad_str raw;
    if (!take(p, 1, &raw)) {
        return NULL;
    }
    struct ad_json *node = p->levels[--p->depth].node;
    node->raw.n = (size_t)(p->at - node->raw.p);
    return node;
}

/* Keys of different bits differ. */
static uint64_t key_bit(struct ad_str key)
{
    uint32_t first = key.n ? (unsigned char)key.p[0] : 0;
    uint32_t last = key.n ? (unsigned char)key.p[key.n - 1] : 0;
    uint32_t mix = (uint32_t)key.n * 0x9e3779b1u + first * 0x85ebca77u + last * 0xc2b2ae3du;
    return UINT64_C(1) << (mix >> 26);
}

static bool key_is_new(struct level *l, struct ad_str key)
{
    uint64_t bit = key_bit(key);
    bool maybe_known = l->seen & bit;
    l->seen |= bit;
    return !maybe_known || l->node->count > SIBLINGS_COMPARED || !ad_json_get_str(l->node, key);
}

/* For large objects: all keys through an open-addressed table, in time linear to their number
 * whatever they are, because the hash is keyed. */
static int keys_differ(struct parser *p, const struct ad_json *object)
{
    size_t slots = (size_t)SIBLINGS_COMPARED * 2;
    while (slots < (size_t)object->count * 2) {
        slots *= 2;
    }
    const struct ad_json **table = ad_alloc_array(slots, sizeof(struct ad_json *));
    if (!table) {
        return refuse(p, AD_ERR_NOMEM, "out of memory for JSON", object->raw.p);
    }
    const struct ad_json *twice = NULL;
    AD_JSON_FOREACH (it, object) {
        size_t i = ad_hash(it->key) & (slots - 1);
        while (table[i] && !ad_str_eq(table[i]->key, it->key)) {
            i = (i + 1) & (slots - 1);
        }
        if (table[i]) {
            twice = it;
            break;
        }
        table[i] = it;
    }
    ad_free(table);
    return twice ? refuse(p, AD_ERR_PARSE, "duplicate JSON key before the value", twice->raw.p) : 1;
}

/* --- yajl's events, for a document --- */

static int on_null(void *ctx)
{
    struct parser *p = ctx;
    struct ad_str raw;
    return take(p, 4, &raw) && node_add(p, AD_JSON_NULL, raw);
}

static int on_boolean(void *ctx, int value)
{
    struct parser *p = ctx;
    struct ad_str raw;
    struct ad_json *node = take(p, value ? 4 : 5, &raw) ? node_add(p, AD_JSON_BOOL, raw) : NULL;
    if (node) {
        node->boolean = value != 0;
    }
    return node != NULL;
}

/* The text is found by its place: a number that ends the document reaches us as a copy. */
static int on_number(void *ctx, const char *s, size_t n)
{
    (void)s;
    struct parser *p = ctx;
    struct ad_str raw;
    struct ad_json *node = take(p, n, &raw) ? node_add(p, AD_JSON_NUMBER, raw) : NULL;
    if (node) {
        node->str = raw;
    }
    return node != NULL;
}

/* A string's value: from the text, or unescaped onto the arena. */
static bool string_value(struct parser *p, const unsigned char *s, size_t n, struct ad_str *raw,
                         struct ad_str *value)
{
    bool escaped;
    if (!take_string(p, s, n, raw, &escaped)) {
        return false;
    }
    *value = ad_str_n((const char *)s, n);
    if (escaped) {
        *value = ad_arena_str(p->arena, *value);
        if (!value->p) {
            (void)refuse(p, AD_ERR_NOMEM, "out of memory for JSON", raw->p);
            return false;
        }
    }
    return true;
}

static int on_string(void *ctx, const unsigned char *s, size_t n)
{
    struct parser *p = ctx;
    struct ad_str raw;
    struct ad_str value;
    struct ad_json *node =
        string_value(p, s, n, &raw, &value) ? node_add(p, AD_JSON_STRING, raw) : NULL;
    if (node) {
        node->str = value;
    }
    return node != NULL;
}

static int on_start_map(void *ctx)
{
    return open_level(ctx, AD_JSON_OBJECT);
}

static int on_map_key(void *ctx, const unsigned char *s, size_t n)
{
    struct parser *p = ctx;
    struct ad_str raw;
    if (!string_value(p, s, n, &raw, &p->key)) {
        return 0;
    }
    if (!key_is_new(&p->levels[p->depth - 1], p->key)) {
        return refuse(p, AD_ERR_PARSE, "duplicate JSON key", raw.p);
    }
    return 1;
}

static int on_end_map(void *ctx)
{
    struct parser *p = ctx;
    struct ad_json *node = close_level(p);
    return node && (node->count <= SIBLINGS_COMPARED || keys_differ(p, node));
}

static int on_start_array(void *ctx)
{
    return open_level(ctx, AD_JSON_ARRAY);
}

static int on_end_array(void *ctx)
{
    return close_level(ctx) != NULL;
}

static const yajl_callbacks document_events = {
    .yajl_null = on_null,
    .yajl_boolean = on_boolean,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_start_map,
    .yajl_map_key = on_map_key,
    .yajl_end_map = on_end_map,
    .yajl_start_array = on_start_array,
    .yajl_end_array = on_end_array,
};

/* --- Running yajl --- */

static void init(struct parser *p, struct ad_arena *arena, struct ad_str text,
                 const struct ad_json_limits *limits, struct ad_errinfo *info)
{
    /* Not as one initializer: that would clear the scratch and the levels each time. */
    p->arena = arena;
    p->text = text;
    p->limits =
        limits ? *limits : (struct ad_json_limits){ BYTES_MAX, AD_JSON_DEPTH_MAX, NODES_MAX };
    if (p->limits.depth_max > AD_JSON_DEPTH_MAX) {
        p->limits.depth_max = AD_JSON_DEPTH_MAX;
    }
    p->info = info;
    p->err = AD_OK;
    p->yajl = NULL;
    p->at = text.p;
    p->root = NULL;
    p->key = AD_STR_NONE;
    p->nodes = 0;
    p->outside = p->depth = 0;
    ad_list_init(&p->blocks);
    p->scratch_used = 0;
}

static void feed(struct parser *p, const yajl_callbacks *events, void *ctx)
{
    yajl_alloc_funcs memory = {
        .malloc = scratch_alloc,
        .realloc = scratch_resize,
        .free = scratch_free,
        .ctx = p,
    };
    p->yajl = yajl_alloc(events, &memory, ctx);
    (void)yajl_config(p->yajl, yajl_dont_validate_strings, 1); /* done already, and better */
    yajl_status status = yajl_parse(p->yajl, (const unsigned char *)p->text.p, p->text.n);
    const char *where = p->text.p + yajl_get_bytes_consumed(p->yajl);
    if (status == yajl_status_ok) {
        status = yajl_complete_parse(p->yajl);
        where = p->text.p + p->text.n;
    }
    if (status == yajl_status_error) {
        (void)refuse(p, AD_ERR_PARSE, "malformed JSON", where);
    }
}

/* Behind the document yajl has seen only blanks; but its blanks are not all JSON's. */
static void check_tail(struct parser *p)
{
    for (const char *s = p->at; s < p->text.p + p->text.n; s++) {
        if (*s == '\f' || *s == '\v') {
            (void)refuse(p, AD_ERR_PARSE, "malformed JSON", s);
            return;
        }
    }
}

static enum ad_err run(struct parser *p, const yajl_callbacks *events, void *ctx)
{
    if (p->text.n > p->limits.bytes_max) {
        return ad_fail(p->info, AD_ERR_TOOLARGE, "JSON of %zu bytes, at most %zu are allowed",
                       p->text.n, p->limits.bytes_max);
    }
    if (!ad_utf8_valid(p->text)) {
        return ad_fail(p->info, AD_ERR_PARSE, "malformed JSON: not UTF-8");
    }
    /* All that yajl holds is in p, so jumping over its frames loses nothing; nor does not freeing
     * its handle. */
    if (setjmp(p->no_memory) == 0) {
        feed(p, events, ctx);
    } else {
        p->err = ad_fail(p->info, AD_ERR_NOMEM, "out of memory for JSON");
    }
    scratch_fini(p);
    if (!p->err) {
        check_tail(p);
    }
    return p->err;
}

enum ad_err ad_json_parse(struct ad_arena *arena, struct ad_str text,
                          const struct ad_json_limits *limits, const struct ad_json **out,
                          struct ad_errinfo *info)
{
    struct parser p;
    init(&p, arena, text, limits, info);
    enum ad_err err = run(&p, &document_events, &p);
    if (!err) {
        *out = p.root;
    }
    return err;
}

/* --- yajl's events, for a page of documents --- */

/* Outside the wanted array events only move the place in the text; inside they go to the ones
 * above, for which every element is a document. */
struct pager {
    struct parser p;
    struct ad_str key;
    ad_json_each_cb each;
    void *ctx;
    bool armed;  /* the next value is the wanted one */
    bool inside; /* its array is open */
    bool found;
};

/* Hands over an element when it is complete. */
static int delivered(struct pager *g)
{
    if (g->p.depth > 0) {
        return 1;
    }
    enum ad_err err = g->each(g->ctx, g->p.root);
    g->p.root = NULL;
    g->p.nodes = 0;
    ad_arena_reset(g->p.arena);
    if (err) {
        g->p.err = err;
    }
    return err == AD_OK;
}

static int not_an_array(struct pager *g, const char *where)
{
    return refuse(&g->p, AD_ERR_PARSE, "array expected", where);
}

static int skip_scalar(struct pager *g, size_t n)
{
    struct ad_str raw;
    return take(&g->p, n, &raw) && (!g->armed || not_an_array(g, raw.p));
}

static int skip_open(struct pager *g)
{
    struct ad_str raw;
    if (!take(&g->p, 1, &raw) || !enter(&g->p, raw.p)) {
        return 0;
    }
    g->p.outside++;
    return 1;
}

static int skip_close(struct pager *g)
{
    struct ad_str raw;
    g->p.outside--;
    return take(&g->p, 1, &raw);
}

static int on_page_null(void *ctx)
{
    struct pager *g = ctx;
    return g->inside ? on_null(&g->p) && delivered(g) : skip_scalar(g, 4);
}

static int on_page_boolean(void *ctx, int value)
{
    struct pager *g = ctx;
    return g->inside ? on_boolean(&g->p, value) && delivered(g) : skip_scalar(g, value ? 4 : 5);
}

static int on_page_number(void *ctx, const char *s, size_t n)
{
    struct pager *g = ctx;
    return g->inside ? on_number(&g->p, s, n) && delivered(g) : skip_scalar(g, n);
}

static int on_page_string(void *ctx, const unsigned char *s, size_t n)
{
    struct pager *g = ctx;
    struct ad_str raw;
    bool escaped;
    if (g->inside) {
        return on_string(&g->p, s, n) && delivered(g);
    }
    return take_string(&g->p, s, n, &raw, &escaped) && (!g->armed || not_an_array(g, raw.p));
}

static int on_page_start_map(void *ctx)
{
    struct pager *g = ctx;
    if (g->inside) {
        return on_start_map(&g->p);
    }
    return g->armed ? not_an_array(g, g->p.at) : skip_open(g);
}

static int on_page_map_key(void *ctx, const unsigned char *s, size_t n)
{
    struct pager *g = ctx;
    struct ad_str raw;
    bool escaped;
    if (g->inside) {
        return on_map_key(&g->p, s, n);
    }
    if (!take_string(&g->p, s, n, &raw, &escaped)) {
        return 0;
    }
    g->armed = g->p.outside == 1 && ad_str_eq(g->key, ad_str_n((const char *)s, n));
    if (g->armed && g->found) {
        return refuse(&g->p, AD_ERR_PARSE, "duplicate JSON key", raw.p);
    }
    return 1;
}

static int on_page_end_map(void *ctx)
{
    struct pager *g = ctx;
    return g->inside ? on_end_map(&g->p) && delivered(g) : skip_close(g);
}

static int on_page_start_array(void *ctx)
{
    struct pager *g = ctx;
    if (g->inside) {
        return on_start_array(&g->p);
    }
    if (g->armed) {
        g->inside = g->found = true;
        g->armed = false;
    }
    return skip_open(g);
}

static int on_page_end_array(void *ctx)
{
    struct pager *g = ctx;
    if (g->inside && g->p.depth > 0) {
        return on_end_array(&g->p) && delivered(g);
    }
    g->inside = false;
    return skip_close(g);
}

static const yajl_callbacks page_events = {
    .yajl_null = on_page_null,
    .yajl_boolean = on_page_boolean,
    .yajl_number = on_page_number,
    .yajl_string = on_page_string,
    .yajl_start_map = on_page_start_map,
    .yajl_map_key = on_page_map_key,
    .yajl_end_map = on_page_end_map,
    .yajl_start_array = on_page_start_array,
    .yajl_end_array = on_page_end_array,
};

enum ad_err ad_json_each(struct ad_arena *arena, struct ad_str text, struct ad_str key,
                         const struct ad_json_limits *limits, ad_json_each_cb each, void *ctx,
                         struct ad_errinfo *info)
{
    struct pager g;
    if (ad_arena_used(arena) == 0 && ad_arena_alloc(arena, EACH_CHUNK)) {
        ad_arena_reset(arena);
    }
    init(&g.p, arena, text, limits, info);
    g.key = key;
    g.each = each;
    g.ctx = ctx;
    g.armed = g.inside = g.found = false;
    enum ad_err err = run(&g.p, &page_events, &g);
    if (!err && !g.found) {
        return ad_fail(info, AD_ERR_PARSE, "no array \"%.*s\" in the JSON", AD_FMT(key));
    }
    return err;
}
