/* An object's columns, names and statements, worked out from the schema.
 *
 * Everything here is a function of the schema and of the order in which its parts were first seen;
 * so is the digest, which tells whether the database is in that shape already. */
#include "attio/mirror.h"

#include "base/buf.h"
#include "base/mem.h"
#include "infra/crypto.h"
#include "mirror_private.h"

#include <stdio.h>

#define ARENA_MAX ((size_t)16 << 20)
#define SQL_MAX ((size_t)1 << 20) /* SQLite takes no longer statement */
/* PostgreSQL cuts longer names; the same names in both. */
#define NAME_MAX_BYTES 63
/* SQLite's limit is 2000 for a table, with ours. Past this an attribute has its own column only. */
#define COLUMNS_MAX 1900

void ad__sql_ident(struct ad_buf *b, struct ad_str name)
{
    ad_buf_putc(b, '"');
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] == '"') {
            ad_buf_putc(b, '"');
        }
        ad_buf_putc(b, name.p[i]);
    }
    ad_buf_putc(b, '"');
}

void ad__sql_text(struct ad_buf *b, struct ad_str text)
{
    ad_buf_putc(b, '\'');
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '\'') {
            ad_buf_putc(b, '\'');
        }
        ad_buf_putc(b, text.p[i]);
    }
    ad_buf_putc(b, '\'');
}

/* --- Names --- */

/* Names taken so far, lower-cased: SQLite does not tell A from a. */
struct names {
    struct ad_arena *arena;
    struct ad_map map;
};

struct taken {
    struct ad_map_node node;
};

static struct ad_str lower(struct ad_arena *arena, struct ad_str s)
{
    char *p = ad_arena_alloc(arena, s.n + 1);
    if (!p) {
        return AD_STR_NONE;
    }
    for (size_t i = 0; i < s.n; i++) {
        p[i] = (char)(s.p[i] >= 'A' && s.p[i] <= 'Z' ? s.p[i] + ('a' - 'A') : s.p[i]);
    }
    p[s.n] = '\0';
    return ad_str_n(p, s.n);
}

enum claim { CLAIMED, TAKEN, NO_MEMORY };

static enum claim claim(struct names *names, struct ad_str name)
{
    struct ad_str key = lower(names->arena, name);
    struct taken *t = ad_arena_zalloc(names->arena, sizeof(*t));
    if (!key.p || !t) {
        return NO_MEMORY;
    }
    if (ad_map_get(&names->map, key)) {
        return TAKEN;
    }
    ad_map_put(&names->map, &t->node, key);
    return CLAIMED;
}

/* At most n bytes, and no half character at the end. */
static struct ad_str cut(struct ad_str s, size_t n)
{
    if (s.n <= n) {
        return s;
    }
    while (n > 0 && ((unsigned char)s.p[n] & 0xc0) == 0x80) {
        n--;
    }
    return ad_str_n(s.p, n);
}

/* The wanted name, or the first free of name__2, name__3, ... Absent on no memory. */
static struct ad_str name_for(struct names *names, struct ad_str wanted, bool reserved)
{
    struct ad_str name = ad_arena_str(names->arena, wanted);
    enum claim c = NO_MEMORY;
    if (name.p) {
        bool fits = wanted.n > 0 && wanted.n <= NAME_MAX_BYTES && !reserved;
        c = fits ? claim(names, name) : TAKEN;
    }
    for (unsigned i = 2; c == TAKEN; i++) {
        struct ad_str head = cut(wanted, NAME_MAX_BYTES - 6); /* room for "__9999" */
        name = ad_arena_fmt(names->arena, "%.*s__%u", AD_FMT(head), i);
        c = name.p ? claim(names, name) : NO_MEMORY;
    }
    return c == CLAIMED ? name : AD_STR_NONE;
}

/* attiod_ is ours. SQLite refuses whatever begins with sqlite_. */
static bool is_ours(struct ad_str name)
{
    return name.n >= 7 && ad_str_eq_nocase(ad_str_n(name.p, 7), AD_STR("attiod_"));
}

static struct ad_str view_wish(struct ad_arena *arena, const struct ad_object *o)
{
    const struct ad_kind_shape *kind = ad__kind_shape(o->kind);
    struct ad_str slug = o->slug;
    bool sqlite = slug.n >= 7 && ad_str_eq_nocase(ad_str_n(slug.p, 7), AD_STR("sqlite_"));
    if (!kind->many) {
        return ad_str_c(kind->view);
    }
    return ad_arena_fmt(arena, "%s%.*s", sqlite && !*kind->view ? "o_" : kind->view, AD_FMT(slug));
}

/* The names of all views: the built-in ones, then in order of first sight; those of this one are
 * kept. What is gone claims nothing and has none. */
static enum ad_err view_names(const struct ad_schema *schema, const struct ad_object *o,
                              struct ad_shape *shape)
{
    struct ad_arena arena;
    struct names names = { .arena = &arena };
    enum ad_err err = AD_OK;
    ad_arena_init(&arena, ARENA_MAX);
    ad_map_init(&names.map);
    const struct ad_object *other = NULL;
    shape->view = shape->live_view = shape->view_wish = AD_STR("");
    while ((other = ad_schema_next(schema, other))) {
        if (other->gone) {
            continue;
        }
        struct ad_str wish = view_wish(&arena, other);
        struct ad_str view = wish.p ? name_for(&names, wish, is_ours(wish)) : AD_STR_NONE;
        struct ad_str live_wish =
            view.p ? ad_arena_fmt(&arena, "%.*s_live", AD_FMT(view)) : AD_STR_NONE;
        struct ad_str live = live_wish.p ? name_for(&names, live_wish, false) : AD_STR_NONE;
        if (!live.p) {
            err = AD_ERR_NOMEM;
            break;
        }
        if (other == o && !o->gone) {
            shape->view = ad_arena_str(&shape->arena, view);
            shape->live_view = ad_arena_str(&shape->arena, live);
            shape->view_wish = ad_arena_str(&shape->arena, wish);
            bool all = shape->view.p && shape->live_view.p && shape->view_wish.p;
            err = all ? AD_OK : AD_ERR_NOMEM;
        }
    }
    ad_map_fini(&names.map);
    ad_arena_fini(&arena);
    return err;
}

/* --- Columns --- */

/* "41252299-f8c7-..." -> "a_41252299_f8c7_...", "..__2" for its first revision */
static struct ad_str physical(struct ad_arena *arena, const char *prefix, struct ad_str id,
                              unsigned revision, const char *property)
{
    char again[16] = "";
    if (revision) {
        (void)snprintf(again, sizeof(again), "__%u", revision + 1);
    }
    struct ad_str s = ad_arena_fmt(arena, "%s%.*s%s%s%s", prefix, AD_FMT(id), again,
                                   property ? "__" : "", property ? property : "");
    if (!s.p) {
        return s;
    }
    char *p = ad_arena_alloc(arena, s.n + 1);
    if (!p) {
        return AD_STR_NONE;
    }
    for (size_t i = 0; i <= s.n; i++) {
        p[i] = (char)(s.p[i] == '-' ? '_' : s.p[i]);
    }
    return ad_str_n(p, s.n);
}

/* Its own key and time of creation, which Attio lists as attributes too. */
static bool is_system_column(const struct ad_shape *shape, const struct ad_attribute *a)
{
    return ad_str_eq(a->slug, ad_str_c(shape->kind->key)) ||
           ad_str_eq(a->slug, AD_STR("created_at"));
}

static bool has_columns(const struct ad_shape *shape, const struct ad_attribute *a)
{
    return !a->archived && !is_system_column(shape, a);
}

static enum ad_column_kind main_kind(const struct ad_attribute *a)
{
    return a->multiselect ? AD_COLUMN_JSON : ad__type_shape(a->type)->main.kind;
}

static bool add_column(struct ad_shape *shape, const struct ad_attribute *a,
                       const struct ad_property *p)
{
    struct ad_column *c = &shape->columns[shape->columns_n++];
    c->attribute = a;
    c->property = p;
    c->kind = p ? p->kind : main_kind(a);
    c->physical = physical(&shape->arena, "a_", a->id, a->revision, p ? p->name : NULL);
    return c->physical.p != NULL;
}

static void add_fixed_columns(struct ad_shape *shape)
{
    for (unsigned i = 0; i < shape->kind->fixed_n; i++) {
        const struct ad_property *p = &shape->kind->fixed[i];
        shape->columns[shape->columns_n++] = (struct ad_column){
            .property = p,
            .kind = p->kind,
            .physical = ad_str_c(p->name),
            .name = ad_str_c(p->name),
            .wish = ad_str_c(p->name),
        };
    }
}

static enum ad_err make_columns(struct ad_shape *shape, const struct ad_object *o)
{
    size_t most = shape->kind->fixed_n + (size_t)o->attributes_n * (1 + AD_PROPERTIES_MAX) + 1;
    shape->columns = ad_arena_array(&shape->arena, most, sizeof(*shape->columns));
    shape->slots = ad_arena_array(&shape->arena, o->attributes_n + 1u, sizeof(*shape->slots));
    bool ok = shape->columns && shape->slots;
    if (ok) {
        add_fixed_columns(shape);
    }
    unsigned left = o->attributes_n;
    AD_LIST_FOREACH (l, &o->attributes) {
        const struct ad_attribute *a = ad_container_of(l, struct ad_attribute, link);
        const struct ad_type_shape *type = ad__type_shape(a->type);
        left--;
        if (!ok || !has_columns(shape, a)) {
            continue;
        }
        struct ad_slot *slot = &shape->slots[shape->slots_n++];
        slot->attribute = a;
        slot->slug = a->slug;
        slot->first = shape->columns_n;
        ok = add_column(shape, a, NULL);
        bool room = shape->columns_n + type->properties_n + left < COLUMNS_MAX;
        for (unsigned i = 0; ok && room && i < type->properties_n; i++) {
            ok = add_column(shape, a, &type->properties[i]);
        }
        slot->n = shape->columns_n - slot->first;
    }
    return ok ? AD_OK : AD_ERR_NOMEM;
}

static const char *const own_names[] = { "created_at", "_workspace_id", "_version", "_accurate_at",
                                         "_synced_at", "_deleted_at",   "_raw" };

/* Ours and the kind's. */
static bool claim_own_names(const struct ad_shape *shape, struct names *names)
{
    bool ok = claim(names, ad_str_c(shape->kind->key)) != NO_MEMORY;
    for (size_t i = 0; ok && i < AD_LEN(own_names); i++) {
        ok = claim(names, ad_str_c(own_names[i])) != NO_MEMORY;
    }
    for (unsigned i = 0; ok && i < shape->kind->fixed_n; i++) {
        ok = claim(names, shape->columns[i].name) != NO_MEMORY;
    }
    return ok;
}

/* Attributes' own names come before those of properties: a slug stays what it is. */
static bool name_columns(struct ad_shape *shape, struct names *names)
{
    if (!claim_own_names(shape, names)) {
        return false;
    }
    for (unsigned i = 0; i < shape->columns_n; i++) {
        struct ad_column *c = &shape->columns[i];
        if (!c->property) {
            c->wish = c->attribute->slug;
            c->name = name_for(names, c->wish, false);
            if (!c->name.p) {
                return false;
            }
        }
    }
    for (unsigned i = 0; i < shape->columns_n; i++) {
        struct ad_column *c = &shape->columns[i];
        if (c->property && c->attribute) {
            c->wish = ad_arena_fmt(names->arena, "%.*s_%s", AD_FMT(c->attribute->slug),
                                   c->property->name);
            c->name = c->wish.p ? name_for(names, c->wish, false) : AD_STR_NONE;
            if (!c->name.p) {
                return false;
            }
        }
    }
    return true;
}

static const struct {
    const char *name;
    enum ad_attr_type type;
    const char *property;
} aliases[] = {
    { "email", AD_ATTR_EMAIL_ADDRESS, "email_address" },
    { "domain", AD_ATTR_DOMAIN, "domain" },
    { "first_name", AD_ATTR_PERSONAL_NAME, "first_name" },
    { "last_name", AD_ATTR_PERSONAL_NAME, "last_name" },
    { "full_name", AD_ATTR_PERSONAL_NAME, "full_name" },
};

static const struct ad_column *alias_column(const struct ad_shape *shape, size_t alias)
{
    for (unsigned i = 0; i < shape->columns_n; i++) {
        const struct ad_column *c = &shape->columns[i];
        if (c->attribute && c->attribute->type == aliases[alias].type && c->property &&
            strcmp(c->property->name, aliases[alias].property) == 0) {
            return c;
        }
    }
    return NULL;
}

/* --- Statements --- */

static void put(struct ad_buf *b, const char *text)
{
    ad_buf_put(b, ad_str_c(text));
}

static void shown_as(struct ad_buf *b, const struct ad_column *c, struct ad_str name)
{
    put(b, ", ");
    ad__sql_ident(b, c->physical);
    put(b, " AS ");
    ad__sql_ident(b, name);
}

/* What is gone has none. */
static bool make_views(struct ad_shape *shape, struct names *names)
{
    struct ad_buf *b = &shape->views;
    if (!shape->view.n) {
        return true;
    }
    put(b, "CREATE VIEW ");
    ad__sql_ident(b, shape->view);
    put(b, " AS SELECT ");
    put(b, shape->kind->key);
    for (unsigned i = 0; i < shape->columns_n; i++) {
        shown_as(b, &shape->columns[i], shape->columns[i].name);
    }
    for (size_t i = 0; i < AD_LEN(aliases); i++) {
        const struct ad_column *c = alias_column(shape, i);
        enum claim done = c ? claim(names, ad_str_c(aliases[i].name)) : TAKEN;
        if (done == NO_MEMORY) {
            return false;
        }
        if (done == CLAIMED) {
            shown_as(b, c, ad_str_c(aliases[i].name));
        }
    }
    put(b,
        ", created_at, _workspace_id, _version, _accurate_at, _synced_at, _deleted_at, _raw FROM ");
    ad__sql_ident(b, shape->table);
    put(b, ";\nCREATE VIEW ");
    ad__sql_ident(b, shape->live_view);
    put(b, " AS SELECT * FROM ");
    ad__sql_ident(b, shape->view);
    put(b, " WHERE _deleted_at IS NULL;\n");
    return true;
}

/* A later version, and not an older state than the row's. */
#define NEWER                                                                   \
    " WHERE excluded._version > _version AND (excluded._accurate_at IS NULL OR" \
    " _accurate_at IS NULL OR excluded._accurate_at >= _accurate_at)"

static void put_row(struct ad_buf *b, const struct ad_shape *shape, const char *insert)
{
    put(b, insert);
    ad__sql_ident(b, shape->table);
    ad_buf_fmt(b,
               " (_workspace_id, %s, created_at, _created_ns, _version, _accurate_at, _synced_at,"
               " _raw",
               shape->kind->key);
    for (unsigned i = 0; i < shape->columns_n; i++) {
        put(b, ", ");
        ad__sql_ident(b, shape->columns[i].physical);
    }
    put(b, ") VALUES (");
    for (unsigned i = 0; i < AD_UP_FIXED + shape->columns_n; i++) {
        ad_buf_fmt(b, "%s$%u", i ? ", " : "", i + 1);
    }
    ad_buf_fmt(b, ") ON CONFLICT (_workspace_id, %s)", shape->kind->key);
}

/* As it runs in bulk nothing else can fail: SQLite need not be ready to undo this row alone. */
static void put_insert(struct ad_buf *b, const struct ad_shape *shape)
{
    put_row(b, shape, "INSERT OR ROLLBACK INTO ");
    put(b, " DO NOTHING");
}

static void put_upsert(struct ad_buf *b, const struct ad_shape *shape)
{
    put_row(b, shape, "INSERT INTO ");
    put(b, " DO UPDATE SET created_at = excluded.created_at,"
           " _created_ns = excluded._created_ns, _version = excluded._version,"
           " _accurate_at = excluded._accurate_at, _synced_at = excluded._synced_at,"
           " _deleted_at = NULL, _raw = excluded._raw");
    for (unsigned i = 0; i < shape->columns_n; i++) {
        put(b, ", ");
        ad__sql_ident(b, shape->columns[i].physical);
        put(b, " = excluded.");
        ad__sql_ident(b, shape->columns[i].physical);
    }
    put(b, NEWER);
}

static void put_tombstone(struct ad_buf *b, const struct ad_shape *shape)
{
    put(b, "INSERT INTO ");
    ad__sql_ident(b, shape->table);
    ad_buf_fmt(b,
               " (_workspace_id, %s, _version, _accurate_at, _synced_at, _deleted_at)"
               " VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT (_workspace_id, %s) DO UPDATE SET",
               shape->kind->key, shape->kind->key);
    put(b, " _version = excluded._version,"
           " _accurate_at = coalesce(excluded._accurate_at, _accurate_at),"
           " _synced_at = excluded._synced_at,"
           " _deleted_at = coalesce(_deleted_at, excluded._deleted_at)" NEWER);
}

static void put_stands(struct ad_buf *b, const struct ad_shape *shape)
{
    ad_buf_fmt(b, "SELECT %s, _version, _accurate_at, _deleted_at IS NOT NULL, _raw FROM ",
               shape->kind->key);
    ad__sql_ident(b, shape->table);
}

static void put_existing_range(struct ad_buf *b, const struct ad_shape *shape)
{
    put_stands(b, shape);
    ad_buf_fmt(b,
               " INDEXED BY \"%.*s_created\" WHERE _workspace_id = $1 AND _created_ns >= $2 AND"
               " _created_ns <= $3",
               AD_FMT(shape->table));
}

static void put_existing(struct ad_buf *b, const struct ad_shape *shape)
{
    const char *key = shape->kind->key;
    put_stands(b, shape);
    ad_buf_fmt(b, " WHERE _workspace_id = $1 AND %s IN (SELECT value FROM json_each($2))", key);
}

#define SCANNED " WHERE _workspace_id = $1 AND _version < $2 AND _deleted_at IS NULL AND %s > $3"

static void put_scan(struct ad_buf *b, const struct ad_shape *shape)
{
    const char *key = shape->kind->key;
    ad_buf_fmt(b, "SELECT %s FROM ", key);
    ad__sql_ident(b, shape->table);
    ad_buf_fmt(b, SCANNED " ORDER BY %s LIMIT $4", key, key);
}

static void put_scan_range(struct ad_buf *b, const struct ad_shape *shape)
{
    const char *key = shape->kind->key;
    ad_buf_fmt(b, "SELECT %s FROM ", key);
    ad__sql_ident(b, shape->table);
    ad_buf_fmt(b, " INDEXED BY \"%.*s_created\"", AD_FMT(shape->table));
    ad_buf_fmt(b, SCANNED " AND _created_ns >= $5 AND _created_ns < $6 ORDER BY %s LIMIT $4", key,
               key);
}

static void put_tombstones(struct ad_buf *b, const struct ad_shape *shape)
{
    const char *key = shape->kind->key;
    ad_buf_fmt(b, "SELECT %s FROM ", key);
    ad__sql_ident(b, shape->table);
    ad_buf_fmt(b,
               " WHERE _workspace_id = $1 AND %s IN (SELECT value FROM json_each($2))"
               " AND _deleted_at IS NOT NULL",
               key);
}

/* Of each slot a flag tells whether its columns get a value; $3 whether _raw is to look different
 * from whatever Attio will send, so that the next answer is written though it says nothing new. A
 * row that was written meanwhile is right already. */
static void put_backfill(struct ad_buf *b, const struct ad_shape *shape)
{
    put(b, "UPDATE ");
    ad__sql_ident(b, shape->table);
    put(b, " SET _raw = CASE WHEN $3 THEN _raw || ' ' ELSE _raw END");
    for (unsigned i = 0; i < shape->slots_n; i++) {
        const struct ad_slot *slot = &shape->slots[i];
        for (unsigned c = slot->first; c < slot->first + slot->n; c++) {
            put(b, ", ");
            ad__sql_ident(b, shape->columns[c].physical);
            ad_buf_fmt(b, " = CASE WHEN $%u THEN $%u ELSE ", AD_BACK_FIXED + i + 1,
                       AD_BACK_FIXED + shape->slots_n + c - shape->kind->fixed_n + 1);
            ad__sql_ident(b, shape->columns[c].physical);
            put(b, " END");
        }
    }
    put(b, " WHERE rowid = $1 AND _version = $2");
}

static void put_rows(struct ad_buf *b, const struct ad_shape *shape)
{
    put(b, "SELECT rowid, _version, _raw FROM ");
    ad__sql_ident(b, shape->table);
    put(b, " WHERE rowid > $1 ORDER BY rowid LIMIT $2");
}

static void put_children(struct ad_buf *b, const struct ad_shape *shape)
{
    const struct ad_kind_shape *kind = shape->kind;
    if (!kind->parent) {
        put(b, "SELECT NULL WHERE 0");
        return;
    }
    ad_buf_fmt(b, "SELECT %s FROM ", kind->key);
    ad__sql_ident(b, shape->table);
    ad_buf_fmt(b,
               " WHERE _workspace_id = $1 AND %s = $2 AND %s > $3 AND _deleted_at IS NULL"
               " ORDER BY %s LIMIT $4",
               kind->parent, kind->key, kind->key);
}

/* As text: both are written the same way. */
static void put_prune(struct ad_buf *b, const struct ad_shape *shape)
{
    put(b, "DELETE FROM ");
    ad__sql_ident(b, shape->table);
    put(b, " WHERE rowid IN (SELECT rowid FROM ");
    ad__sql_ident(b, shape->table);
    put(b, " WHERE _deleted_at IS NOT NULL AND _deleted_at < $1 LIMIT $2)");
}

/* Each over an index: a row is some kilobytes. */
static void put_count(struct ad_buf *b, const struct ad_shape *shape)
{
    put(b, "SELECT (SELECT count(*) FROM ");
    ad__sql_ident(b, shape->table);
    put(b, "), (SELECT count(*) FROM ");
    ad__sql_ident(b, shape->table);
    put(b, " WHERE _deleted_at IS NOT NULL)");
}

static enum ad_err make_statements(struct ad_shape *shape)
{
    static void (*const makers[AD_SHAPE_STATEMENTS])(struct ad_buf * b,
                                                     const struct ad_shape *shape) = {
        [AD_SHAPE_UPSERT] = put_upsert,           [AD_SHAPE_INSERT] = put_insert,
        [AD_SHAPE_TOMBSTONE] = put_tombstone,     [AD_SHAPE_EXISTING_RANGE] = put_existing_range,
        [AD_SHAPE_EXISTING] = put_existing,       [AD_SHAPE_SCAN] = put_scan,
        [AD_SHAPE_SCAN_RANGE] = put_scan_range,   [AD_SHAPE_TOMBSTONES] = put_tombstones,
        [AD_SHAPE_CHILDREN] = put_children,       [AD_SHAPE_COUNT] = put_count,
        [AD_SHAPE_BACKFILL] = put_backfill,       [AD_SHAPE_ROWS] = put_rows,
        [AD_SHAPE_FEED_VALUES] = ad__feed_values, [AD_SHAPE_PRUNE] = put_prune,
    };
    struct ad_buf b;
    enum ad_err err = AD_OK;
    ad_buf_init(&b, SQL_MAX);
    for (size_t i = 0; !err && i < AD_SHAPE_STATEMENTS; i++) {
        ad_buf_clear(&b);
        makers[i](&b, shape);
        err = ad_buf_status(&b);
        struct ad_str text = err ? AD_STR_NONE : ad_arena_str(&shape->arena, ad_buf_str(&b));
        shape->sql[i].sqlite = text.p;
        err = err ? err : text.p ? AD_OK : AD_ERR_NOMEM;
    }
    ad_buf_fini(&b);
    return err;
}

/* Rises when the table's own columns or what is put into them change with the program. */
#define LAYOUT "layout 1\n"

static enum ad_err make_digest(struct ad_shape *shape)
{
    struct ad_buf b;
    uint8_t sum[AD_SHA256_SIZE];
    ad_buf_init(&b, 3 * SQL_MAX);
    put(&b, LAYOUT);
    put_upsert(&b, shape);
    for (unsigned i = 0; i < shape->columns_n; i++) {
        const struct ad_column *c = &shape->columns[i];
        bool many = c->attribute && c->attribute->many_targets;
        ad_buf_fmt(&b, " %d%s", (int)c->kind, many ? "+" : "");
    }
    ad_buf_put(&b, ad_buf_str(&shape->views));
    ad_buf_put(&b, ad_buf_str(&shape->triggers));
    enum ad_err err = ad_buf_status(&b);
    if (!err) {
        ad_sha256(ad_buf_str(&b), sum);
        ad_hex_encode(sum, sizeof(sum), shape->digest);
    }
    ad_buf_fini(&b);
    return err;
}

/* --- All of it --- */

static enum ad_err make_names(struct ad_shape *shape)
{
    struct names names = { .arena = &shape->arena };
    ad_map_init(&names.map);
    bool ok = name_columns(shape, &names) && make_views(shape, &names);
    ad_map_fini(&names.map);
    return ok ? ad_buf_status(&shape->views) : AD_ERR_NOMEM;
}

enum ad_err ad__shape_new(const struct ad_schema *schema, const struct ad_object *o,
                          struct ad_shape **out)
{
    struct ad_shape *shape = ad_zalloc(sizeof(*shape));
    if (!shape) {
        return AD_ERR_NOMEM;
    }
    ad_arena_init(&shape->arena, ARENA_MAX);
    ad_buf_init(&shape->views, SQL_MAX);
    ad_buf_init(&shape->triggers, SQL_MAX);
    shape->generation = o->generation;
    shape->names_generation = ad_schema_names_generation(schema);
    shape->kind = ad__kind_shape(o->kind);
    shape->object_id = o->id;
    shape->table = shape->kind->many ? physical(&shape->arena, shape->kind->table, o->id, 0, NULL)
                                     : ad_str_c(shape->kind->table);
    enum ad_err err = shape->table.p ? AD_OK : AD_ERR_NOMEM;
    err = err ? err : view_names(schema, o, shape);
    err = err ? err : make_columns(shape, o);
    err = err ? err : make_names(shape);
    if (!err) {
        ad__feed_triggers(shape, &shape->triggers);
        err = ad_buf_status(&shape->triggers);
    }
    err = err ? err : make_statements(shape);
    err = err ? err : make_digest(shape);
    if (err) {
        ad__shape_free(shape);
        return err;
    }
    *out = shape;
    return AD_OK;
}

void ad__shape_free(struct ad_shape *shape)
{
    if (shape) {
        ad_arena_fini(&shape->arena);
        ad_buf_fini(&shape->views);
        ad_buf_fini(&shape->triggers);
        ad_free(shape);
    }
}

/* --- Giving the statements back, one by one --- */

static void forget_next(struct ad_shape *shape);

static void on_forgotten(struct ad_store_req *req)
{
    forget_next(ad_container_of(req, struct ad_shape, req));
}

static void forget_next(struct ad_shape *shape)
{
    if (shape->forgotten < AD_SHAPE_STATEMENTS) {
        shape->req = (struct ad_store_req){ .cb = on_forgotten };
        const struct ad_sql *sql = &shape->sql[shape->forgotten++];
        if (!ad_store_forget(shape->store, sql, &shape->req)) {
            return;
        }
    }
    ad__shape_free(shape); /* or the store is closing, and drops them all */
}

void ad__shape_drop(struct ad_shape *shape, struct ad_store *store)
{
    if (shape) {
        shape->store = store;
        forget_next(shape);
    }
}
