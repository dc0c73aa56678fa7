/* The change feed's part of an object's shape: triggers that write attiod_change in the transaction
 * of whatever changes a row, be it an answer, a tombstone or a backfill; and the statement that shows
 * a row as the feed does.
 *
 * SQL compares the columns, so a row that is written without a difference makes no entry. Fields are
 * text made by functions that SQLite trusts in a trigger, which JSON's are not, nor do those print all
 * digits of a double:
 *
 *   fields  field ...
 *   field   kind length ":" name value [value]      kind: T N B J; name as in the view; old, new
 *   value   "n" | "i" digits ";" | "r" digits ";" | "t" length ":" bytes
 */
#include "attio/changes.h"

#include "base/buf.h"
#include "base/json_write.h"
#include "mirror_private.h"

static void put(struct ad_buf *b, const char *text)
{
    ad_buf_put(b, ad_str_c(text));
}

/* Those that tell all there is: a composite's properties are in its own column, a list's are those
 * of its first value. */
static bool is_told(const struct ad_column *c)
{
    if (!c->attribute || !c->property) {
        return true;
    }
    const struct ad_property *main = &ad__type_shape(c->attribute->type)->main;
    return main->path && !c->attribute->multiselect && strcmp(main->path, c->property->path) != 0;
}

static void put_value(struct ad_buf *b, const char *column)
{
    static const char text[] =
        " || CASE typeof(@) WHEN 'null' THEN 'n' WHEN 'integer' THEN 'i' || @ || ';'"
        " WHEN 'real' THEN 'r' || printf('%!.17g', @) || ';'"
        " ELSE 't' || length(CAST(@ AS BLOB)) || ':' || @ END";
    for (const char *p = text; *p; p++) {
        if (*p == '@') {
            put(b, column);
        } else {
            ad_buf_putc(b, *p);
        }
    }
}

static const char kind_letters[] = {
    [AD_COLUMN_TEXT] = 'T', [AD_COLUMN_NUMBER] = 'N', [AD_COLUMN_BOOL] = 'B', [AD_COLUMN_JSON] = 'J'
};

/* ", ('T4:name', +OLD."x", +NEW."x")". The plus leaves the value and takes the affinity, by which a text
 * would be compared as if it were a number. Physical names are plain. */
static void put_field(struct ad_buf *b, const struct ad_column *c, bool changed)
{
    ad_buf_fmt(b, ", ('%c%zu:' || ", kind_letters[c->kind], c->name.n);
    ad__sql_text(b, c->name);
    if (changed) {
        ad_buf_fmt(b, ", +OLD.\"%.*s\", +NEW.\"%.*s\")", AD_FMT(c->physical), AD_FMT(c->physical));
    } else {
        ad_buf_fmt(b, ", +\"%.*s\", NULL)", AD_FMT(c->physical));
    }
}

/* One SQL text with the fields of all columns that changed, or that have a value; NULL: none. How a
 * value is written stands there once, because SQLite reads all triggers each time it opens the file
 * or somebody changed the shape. As VALUES, because SQLite has a limit on the terms of a UNION and
 * none on those. */
static void put_fields(struct ad_buf *b, const struct ad_shape *shape, bool changed)
{
    put(b, "(SELECT group_concat(column1");
    put_value(b, "column2");
    if (changed) {
        put_value(b, "column3");
    }
    put(b, ", '') FROM (VALUES (NULL, NULL, NULL)");
    for (unsigned i = 0; i < shape->columns_n; i++) {
        if (is_told(&shape->columns[i])) {
            put_field(b, &shape->columns[i], changed);
        }
    }
    put(b, ") WHERE column2 IS NOT column3)");
}

/* "CREATE TRIGGER <table>_<name> AFTER INSERT ON <table> WHEN ... BEGIN INSERT ... SELECT <object>,
 * <own id>, " */
static void put_trigger(struct ad_buf *b, const struct ad_shape *shape, const char *name,
                        const char *event, const char *when)
{
    ad_buf_fmt(b, "DROP TRIGGER IF EXISTS \"%.*s_%s\";\n", AD_FMT(shape->table), name);
    ad_buf_fmt(b, "CREATE TRIGGER \"%.*s_%s\" AFTER %s ON \"%.*s\" WHEN %s BEGIN",
               AD_FMT(shape->table), name, event, AD_FMT(shape->table), when);
    put(b, " INSERT INTO attiod_change (object_id, record_id, at, change, fields, merged_into)"
           " SELECT ");
    ad__sql_text(b, shape->object_id);
    ad_buf_fmt(b, ", NEW.%s, NEW._synced_at, ", shape->kind->key);
}

void ad__feed_triggers(const struct ad_shape *shape, struct ad_buf *b)
{
    put_trigger(b, shape, "added", "INSERT", "NEW._deleted_at IS NULL");
    ad_buf_fmt(b, "%d, NULL, NULL; END;\n", AD_CHANGE_ADDED);
    put_trigger(b, shape, "changed", "UPDATE",
                "OLD._deleted_at IS NULL AND NEW._deleted_at IS NULL");
    ad_buf_fmt(b, "%d, f, NULL FROM (SELECT ", AD_CHANGE_UPDATED);
    put_fields(b, shape, true);
    put(b, " AS f) WHERE f IS NOT NULL; END;\n");
    put_trigger(b, shape, "ended", "UPDATE",
                "(OLD._deleted_at IS NULL) <> (NEW._deleted_at IS NULL)");
    ad_buf_fmt(b,
               "CASE WHEN NEW._deleted_at IS NULL THEN %d WHEN m IS NULL THEN %d ELSE %d END, NULL,"
               " CASE WHEN NEW._deleted_at IS NOT NULL THEN m END FROM (SELECT (SELECT new_id FROM"
               " attiod_merge WHERE workspace_id = NEW._workspace_id AND old_id = NEW.%s AND"
               " object_id = ",
               AD_CHANGE_ADDED, AD_CHANGE_DELETED, AD_CHANGE_MERGED, shape->kind->key);
    ad__sql_text(b, shape->object_id);
    put(b, ") AS m); END;\n");
}

void ad__feed_values(struct ad_buf *b, const struct ad_shape *shape)
{
    ad_buf_fmt(b, "SELECT %s, ", shape->kind->key);
    put_fields(b, shape, false);
    ad_buf_fmt(b,
               " FROM \"%.*s\" WHERE _deleted_at IS NULL AND %s IN (SELECT value FROM"
               " json_each($1))",
               AD_FMT(shape->table), shape->kind->key);
}

/* --- Reading fields --- */

/* Up to `end`, which is taken too. */
static bool take_until(struct ad_str *s, char end, struct ad_str *out)
{
    const char *at = s->n ? memchr(s->p, end, s->n) : NULL;
    if (!at) {
        return false;
    }
    *out = ad_str_n(s->p, (size_t)(at - s->p));
    *s = ad_str_n(at + 1, s->n - out->n - 1);
    return true;
}

static bool take_text(struct ad_str *s, struct ad_str *out)
{
    struct ad_str digits;
    int64_t n;
    if (!take_until(s, ':', &digits) || !ad_str_i64(digits, 0, (int64_t)s->n, &n)) {
        return false;
    }
    *out = ad_str_n(s->p, (size_t)n);
    *s = ad_str_n(s->p + n, s->n - (size_t)n);
    return true;
}

static bool take_char(struct ad_str *s, char *c)
{
    if (s->n == 0) {
        return false;
    }
    *c = *s->p;
    *s = ad_str_n(s->p + 1, s->n - 1);
    return true;
}

static bool write_number(struct ad_json_writer *w, char kind, struct ad_str text)
{
    bool is_bool = kind == kind_letters[AD_COLUMN_BOOL];
    if (is_bool && (ad_str_eq(text, AD_STR("0")) || ad_str_eq(text, AD_STR("1")))) {
        ad_json_w_bool(w, *text.p == '1');
    } else if (text.n && strchr("-0123456789", *text.p) && !memchr(text.p, 'I', text.n)) {
        ad_json_w_number(w, text);
    } else {
        ad_json_w_str(w, text); /* Inf: larger than a double */
    }
    return true;
}

static bool write_value(struct ad_json_writer *w, char kind, struct ad_str *s)
{
    char tag;
    struct ad_str text;
    if (!take_char(s, &tag)) {
        return false;
    }
    switch (tag) {
    case 'n':
        ad_json_w_null(w);
        return true;
    case 'i':
    case 'r':
        return take_until(s, ';', &text) && write_number(w, kind, text);
    case 't':
        if (!take_text(s, &text)) {
            return false;
        }
        if (kind == kind_letters[AD_COLUMN_JSON]) {
            ad_json_w_raw(w, text);
        } else {
            ad_json_w_str(w, text);
        }
        return true;
    default:
        return false;
    }
}

bool ad__feed_write(struct ad_json_writer *w, struct ad_str fields, bool changed)
{
    bool ok = true;
    ad_json_obj(w);
    while (ok && fields.n > 0) {
        char kind;
        struct ad_str name;
        ok = take_char(&fields, &kind) && take_text(&fields, &name);
        if (!ok) {
            break;
        }
        ad_json_key_str(w, name);
        if (changed) {
            ad_json_obj(w);
            ad_json_key(w, "old");
            ok = write_value(w, kind, &fields);
            ad_json_key(w, "new");
        }
        ok = ok && write_value(w, kind, &fields);
        if (changed) {
            ad_json_end(w);
        }
    }
    ad_json_end(w);
    return ok;
}
