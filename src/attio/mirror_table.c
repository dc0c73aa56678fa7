/* Bringing an object's table and views to the shape that the schema asks for:
 *
 *   work out the shape -> what stands in attiod_shape? the same: done
 *                      -> which columns has the table? -> one script: table or missing columns,
 *                         views anew, the shape noted -> give the old statements back
 *
 * The table has all columns that any schema ever asked for; they are never dropped. */
#include "attio/mirror.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/map.h"
#include "mirror_private.h"

#define SCRIPT_MAX ((size_t)2 << 20)
#define COLUMNS_MAX 4000

static const struct ad_sql noted_sql = {
    /* A name that we had before may be another's by now: then its view stays. */
    .sqlite = "SELECT digest, view, live_view, EXISTS (SELECT 1 FROM attiod_shape o WHERE"
              " o.object_id <> s.object_id AND (o.view = s.view COLLATE NOCASE OR o.live_view ="
              " s.view COLLATE NOCASE)), EXISTS (SELECT 1 FROM attiod_shape o WHERE o.object_id <>"
              " s.object_id AND (o.view = s.live_view COLLATE NOCASE OR o.live_view = s.live_view"
              " COLLATE NOCASE)) FROM attiod_shape s WHERE object_id = $1",
};
static const struct ad_sql columns_sql = {
    .sqlite = "SELECT name FROM pragma_table_info($1)",
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
    } else {
        ad__shape_drop(t->shape, t->mirror->o.store);
        t->shape = t->next;
    }
    t->next = NULL;
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
    drop_view(b, shape->live_view);
    drop_view(b, shape->view);
    ad_buf_put(b, ad_buf_str(&shape->views));
}

static void put_note(struct ad_buf *b, const struct ad_mirror_table *t)
{
    const struct ad_shape *shape = t->next;
    put(b, "INSERT INTO attiod_shape (object_id, digest, view, live_view) VALUES (");
    ad__sql_text(b, t->object->id);
    ad_buf_fmt(b, ", '%s', ", shape->digest);
    ad__sql_text(b, shape->view);
    put(b, ", ");
    ad__sql_text(b, shape->live_view);
    put(b, ") ON CONFLICT (object_id) DO UPDATE SET digest = excluded.digest,"
           " view = excluded.view, live_view = excluded.live_view;\n");
}

/* --- The steps --- */

static void on_shaped(struct ad_store_req *req)
{
    struct ad_mirror_table *t = ad_container_of(req, struct ad_mirror_table, req);
    if (!req->err) {
        t->mirror->c_shapes->v++;
        ad_log(AD_LOG_INFO, "mirror_shaped", AD_KS("object", t->object->slug),
               AD_KS("view", t->next->view), AD_KI("columns", t->next->columns_n));
    }
    end(t, req->err, &req->info);
}

static void on_columns(struct ad_store_req *req)
{
    struct ad_mirror_table *t = ad_container_of(req, struct ad_mirror_table, req);
    struct ad_buf *b = &t->script;
    if (req->err) {
        end(t, req->err, &req->info);
        return;
    }
    if (req->rows.rows == 0) {
        put_table(b, t->next);
    } else {
        put_missing_columns(b, t->next, &req->rows);
    }
    put_views(b, t);
    put_note(b, t);
    enum ad_err err = ad_buf_status(b);
    t->req = (struct ad_store_req){ .cb = on_shaped };
    err = err ? err : ad_store_exec(t->mirror->o.store, &t->req, ad_buf_str(b));
    if (err) {
        end(t, err, NULL);
    }
}

static bool keep_old_names(struct ad_mirror_table *t, const struct ad_value *row)
{
    bool ok = true;
    if (!row[3].i64) {
        t->old_view = ad_arena_str(&t->arena, row[1].str);
        ok = t->old_view.p != NULL;
    }
    if (!row[4].i64) {
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
        if (ad_str_eq(row[0].str, ad_str_c(t->next->digest))) {
            end(t, AD_OK, NULL);
            return;
        }
        err = keep_old_names(t, row) ? AD_OK : AD_ERR_NOMEM;
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
