/* Bringing an object's table and views to the shape that the schema asks for:
 *
 *   work out the shape -> what stands in attiod_shape? the same: done
 *                      -> which columns has the table? -> as what were its rows written?
 *                      -> one script: table or missing columns, views anew, the shape noted, what
 *                         its rows lack now -> give the old statements back
 *
 * The table has all columns that any schema ever asked for; they are never dropped. */
#include "attio/mirror.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/map.h"
#include "mirror_private.h"

#define SCRIPT_MAX ((size_t)4 << 20)
#define COLUMNS_MAX 4000
/* Since when a full sync is needed: not; one at any time, as nothing is there yet; or a time. */
enum { NEVER = -1, EVER = 0 };

static const struct ad_sql noted_sql = {
    /* A name that we had before may be another's by now: then its view stays. */
    .sqlite = "SELECT digest, view, live_view, backfill, EXISTS (SELECT 1 FROM attiod_shape o WHERE"
              " o.object_id <> s.object_id AND (o.view = s.view COLLATE NOCASE OR o.live_view ="
              " s.view COLLATE NOCASE)), EXISTS (SELECT 1 FROM attiod_shape o WHERE o.object_id <>"
              " s.object_id AND (o.view = s.live_view COLLATE NOCASE OR o.live_view = s.live_view"
              " COLLATE NOCASE)) FROM attiod_shape s WHERE object_id = $1",
};
static const struct ad_sql columns_sql = {
    .sqlite = "SELECT name FROM pragma_table_info($1)",
};

static const struct ad_sql slots_sql = {
    .sqlite = "SELECT attribute_id, slug, revision, type, current FROM attiod_slot"
              " WHERE object_id = $1",
};

static void end(struct ad_mirror_table *t, enum ad_err err, const struct ad_errinfo *info)
{
    struct ad_errinfo kept = { .code = err };
    if (err && info) {
        kept = *info;
    } else if (err) {
        ad_fail(&kept, err, "%s", ad_err_text(err));
    }
    if (err) {
        ad__shape_free(t->next);
        ad__backfill_free(t->next_backfill);
    } else {
        ad__shape_drop(t->shape, t->mirror->o.store);
        ad__backfill_free(t->backfill);
        t->shape = t->next;
        t->backfill = t->next_backfill;
    }
    t->next = NULL;
    t->next_backfill = NULL;
    ad_buf_fini(&t->script);
    ad_arena_fini(&t->arena);
    ad__table_ready(t, err, &kept);
}

static enum ad_err read_rows(struct ad_mirror_table *t, const struct ad_sql *sql,
                             struct ad_str value, ad_store_cb cb)
{
    t->value = AD_V_TEXT(value);
    t->step = (struct ad_step){ .sql = sql, .values = &t->value, .values_n = 1 };
    t->req =
        (struct ad_store_req){ .steps = &t->step, .steps_n = 1, .rows_max = COLUMNS_MAX, .cb = cb };
    return ad_store_read(t->mirror->o.store, &t->req);
}

/* --- The script --- */

static void put(struct ad_buf *b, const char *text)
{
    ad_buf_put(b, ad_str_c(text));
}

static const char *sql_type(enum ad_column_kind kind)
{
    static const char *const names[] = {
        [AD_COLUMN_TEXT] = " TEXT",
        [AD_COLUMN_NUMBER] = " NUMERIC",
        [AD_COLUMN_BOOL] = " INTEGER",
        [AD_COLUMN_JSON] = " TEXT",
    };
    return names[kind];
}

static void put_table(struct ad_buf *b, const struct ad_shape *shape)
{
    put(b, "CREATE TABLE ");
    ad__sql_ident(b, shape->table);
    ad_buf_fmt(b, " (_workspace_id TEXT NOT NULL, %s TEXT NOT NULL,", shape->kind->key);
    put(b, " created_at TEXT, _created_ns INTEGER, _version INTEGER NOT NULL, _accurate_at TEXT,"
           " _synced_at TEXT NOT NULL, _deleted_at TEXT, _raw TEXT");
    for (unsigned i = 0; i < shape->columns_n; i++) {
        put(b, ", ");
        ad__sql_ident(b, shape->columns[i].physical);
        put(b, sql_type(shape->columns[i].kind));
    }
    ad_buf_fmt(b, ", PRIMARY KEY (_workspace_id, %s));\n", shape->kind->key);
    ad_buf_fmt(b, "CREATE INDEX \"%.*s_created\" ON \"%.*s\" (_created_ns);\n",
               AD_FMT(shape->table), AD_FMT(shape->table));
    ad_buf_fmt(b,
               "CREATE INDEX \"%.*s_deleted\" ON \"%.*s\" (_deleted_at)"
               " WHERE _deleted_at IS NOT NULL;\n",
               AD_FMT(shape->table), AD_FMT(shape->table));
    if (shape->kind->parent) {
        ad_buf_fmt(b, "CREATE INDEX \"%.*s_parent\" ON \"%.*s\" (%s);\n", AD_FMT(shape->table),
                   AD_FMT(shape->table), shape->kind->parent);
    }
}

static bool has_column(const struct ad_rows *rows, struct ad_str name)
{
    for (size_t i = 0; i < rows->rows; i++) {
        if (ad_str_eq(ad_row(rows, i)[0].str, name)) {
            return true;
        }
    }
    return false;
}

static void put_missing_columns(struct ad_buf *b, const struct ad_shape *shape,
                                const struct ad_rows *rows)
{
    for (unsigned i = 0; i < shape->columns_n; i++) {
        const struct ad_column *c = &shape->columns[i];
        if (has_column(rows, c->physical)) {
            continue;
        }
        put(b, "ALTER TABLE ");
        ad__sql_ident(b, shape->table);
        put(b, " ADD COLUMN ");
        ad__sql_ident(b, c->physical);
        put(b, sql_type(c->kind));
        put(b, ";\n");
    }
}

static void drop_view(struct ad_buf *b, struct ad_str name)
{
    put(b, "DROP VIEW IF EXISTS ");
    ad__sql_ident(b, name);
    put(b, ";\n");
}

static void put_views(struct ad_buf *b, const struct ad_mirror_table *t)
{
    const struct ad_shape *shape = t->next;
    if (t->old_live_view.p) {
        drop_view(b, t->old_live_view);
    }
    if (t->old_view.p) {
        drop_view(b, t->old_view);
    }
    if (shape->view.n) {
        drop_view(b, shape->live_view);
        drop_view(b, shape->view);
    }
    ad_buf_put(b, ad_buf_str(&shape->views));
}

static void put_value(struct ad_buf *b, struct ad_str text)
{
    put(b, ", ");
    ad__sql_text(b, text);
}

static void put_slots(struct ad_buf *b, const struct ad_mirror_table *t)
{
    put(b, "UPDATE attiod_slot SET current = 0 WHERE current = 1 AND object_id = ");
    ad__sql_text(b, t->object->id);
    put(b, ";\n");
    for (unsigned i = 0; i < t->next->slots_n; i++) {
        const struct ad_slot *slot = &t->next->slots[i];
        put(b, "INSERT INTO attiod_slot (object_id, attribute_id, slug, type, revision, current)"
               " VALUES (");
        ad__sql_text(b, t->object->id);
        put_value(b, slot->attribute->id);
        put_value(b, slot->slug);
        put_value(b, slot->attribute->type_name);
        ad_buf_fmt(b, ", %u, 1) ON CONFLICT (object_id, attribute_id, slug) DO UPDATE SET",
                   slot->attribute->revision);
        put(b, " revision = excluded.revision, type = excluded.type, current = 1;\n");
    }
}

static enum ad_err put_note(struct ad_buf *b, const struct ad_mirror_table *t, int64_t resync_at)
{
    const struct ad_shape *shape = t->next;
    struct ad_buf lacking;
    ad_buf_init(&lacking, SCRIPT_MAX);
    enum ad_err err =
        t->next_backfill ? ad__backfill_write(shape, t->next_backfill, &lacking) : AD_OK;
    put(b, "INSERT INTO attiod_shape (object_id, digest, view, live_view, backfill, resync_at)"
           " VALUES (");
    ad__sql_text(b, t->object->id);
    put_value(b, ad_str_c(shape->digest));
    put_value(b, shape->view);
    put_value(b, shape->live_view);
    if (t->next_backfill) {
        put_value(b, ad_buf_str(&lacking));
    } else {
        put(b, ", NULL");
    }
    if (resync_at >= 0) {
        ad_buf_fmt(b, ", %lld", (long long)resync_at);
    } else {
        put(b, ", NULL");
    }
    put(b, ") ON CONFLICT (object_id) DO UPDATE SET digest = excluded.digest,"
           " view = excluded.view, live_view = excluded.live_view, backfill = excluded.backfill,"
           " resync_at = coalesce(excluded.resync_at, resync_at);\n");
    ad_buf_fini(&lacking);
    return err;
}

/* --- The steps --- */

static void on_shaped(struct ad_store_req *req)
{
    struct ad_mirror_table *t = ad_container_of(req, struct ad_mirror_table, req);
    if (!req->err) {
        t->mirror->c_shapes->v++;
        ad_log(AD_LOG_INFO, "mirror_shaped", AD_KS("object", t->object->slug),
               AD_KS("view", t->next->view), AD_KI("columns", t->next->columns_n),
               AD_KB("backfill", t->next_backfill != NULL));
    }
    end(t, req->err, &req->info);
}

/* The table is there, or the script begins with it. */
static enum ad_err submit_script(struct ad_mirror_table *t, int64_t resync_at)
{
    struct ad_buf *b = &t->script;
    put_views(b, t);
    ad_buf_put(b, ad_buf_str(&t->next->triggers));
    put_slots(b, t);
    enum ad_err err = put_note(b, t, resync_at);
    err = err ? err : ad_buf_status(b);
    t->req = (struct ad_store_req){ .cb = on_shaped };
    return err ? err : ad_store_exec(t->mirror->o.store, &t->req, ad_buf_str(b));
}

static void on_slots(struct ad_store_req *req)
{
    struct ad_mirror_table *t = ad_container_of(req, struct ad_mirror_table, req);
    struct ad_backfill *made = NULL;
    bool resync = false;
    enum ad_err err = req->err;
    if (!err) {
        err = ad__backfill_new(t->next, &req->rows, t->next_backfill, &made, &resync);
    }
    if (!err) {
        ad__backfill_free(t->next_backfill);
        t->next_backfill = made;
        err = submit_script(t, resync ? ad_wall_ns(t->mirror->o.clock) : NEVER);
    }
    if (err) {
        end(t, err, req->err ? &req->info : NULL);
    }
}

static void on_columns(struct ad_store_req *req)
{
    struct ad_mirror_table *t = ad_container_of(req, struct ad_mirror_table, req);
    enum ad_err err = req->err;
    if (err) {
        end(t, err, &req->info);
        return;
    }
    if (req->rows.rows == 0) {
        put_table(&t->script, t->next);
        err = submit_script(t, EVER);
    } else {
        put_missing_columns(&t->script, t->next, &req->rows);
        err = read_rows(t, &slots_sql, t->object->id, on_slots);
    }
    if (err) {
        end(t, err, NULL);
    }
}

static bool keep_old_names(struct ad_mirror_table *t, const struct ad_value *row)
{
    bool ok = true;
    if (!row[4].i64) {
        t->old_view = ad_arena_str(&t->arena, row[1].str);
        ok = t->old_view.p != NULL;
    }
    if (!row[5].i64) {
        t->old_live_view = ad_arena_str(&t->arena, row[2].str);
        ok = ok && t->old_live_view.p != NULL;
    }
    return ok;
}

static void on_noted(struct ad_store_req *req)
{
    struct ad_mirror_table *t = ad_container_of(req, struct ad_mirror_table, req);
    enum ad_err err = req->err;
    if (!err && req->rows.rows == 1) {
        const struct ad_value *row = ad_row(&req->rows, 0);
        err = ad__backfill_read(t->next, row[3].str, &t->next_backfill);
        if (!err && ad_str_eq(row[0].str, ad_str_c(t->next->digest))) {
            end(t, AD_OK, NULL);
            return;
        }
        err = err ? err : keep_old_names(t, row) ? AD_OK : AD_ERR_NOMEM;
    }
    if (req->err) {
        end(t, err, &req->info);
        return;
    }
    err = err ? err : read_rows(t, &columns_sql, t->next->table, on_columns);
    if (err) {
        end(t, err, NULL);
    }
}

enum ad_err ad__table_ensure(struct ad_mirror_table *t)
{
    enum ad_err err = ad__shape_new(t->mirror->o.schema, t->object, &t->next);
    if (err) {
        return err;
    }
    ad_arena_init(&t->arena, 4096);
    ad_buf_init(&t->script, SCRIPT_MAX);
    t->old_view = t->old_live_view = AD_STR_NONE;
    err = read_rows(t, &noted_sql, t->object->id, on_noted);
    if (err) {
        ad_arena_fini(&t->arena);
        ad_buf_fini(&t->script);
        ad__shape_free(t->next);
        t->next = NULL;
    }
    return err;
}
