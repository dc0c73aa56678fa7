/* What the mirror's tables and views should be by the schema as it is known, and what of it is there. */
#include "attio/mirror.h"

#include "base/mem.h"
#include "mirror_private.h"

#define ARENA_MAX ((size_t)64 << 20)
#define ROWS_MAX 100000

/* One row an object that has a table: as what it was made, and what its rows still lack. */
static const struct ad_sql shapes_sql = {
    .sqlite = "SELECT object_id, digest, backfill IS NOT NULL FROM attiod_shape",
};
static const struct ad_sql all_columns_sql = {
    .sqlite =
        "SELECT s.name || '.' || c.name FROM sqlite_schema AS s, pragma_table_info(s.name) AS c"
        " WHERE s.type = 'table' AND s.name GLOB 'attiod_[olntcw]*'",
};

/* "attiod_o_....a_41252299_..." or an object's id */
struct known {
    struct ad_map_node node;
    const char *digest;
    bool lacking;
};

struct describe {
    struct ad_mirror *mirror;
    struct ad_mirror_describe *d;
    struct ad_arena arena;
    struct ad_map known;
    struct ad_step step;
    struct ad_store_req req;
};

static void finish(struct describe *w, enum ad_err err, const struct ad_errinfo *info)
{
    struct ad_mirror_describe *d = w->d;
    d->err = err;
    if (err && info->code) {
        d->info = *info;
    } else if (err) {
        ad_fail(&d->info, err, "%s", ad_err_text(err));
    }
    ad_map_fini(&w->known);
    ad_arena_fini(&w->arena);
    w->mirror->works--;
    ad_free(w);
    d->cb(d);
}

static enum ad_err ask(struct describe *w, const struct ad_sql *sql, ad_store_cb cb)
{
    w->step = (struct ad_step){ .sql = sql };
    w->req = (struct ad_store_req){
        .steps = &w->step, .steps_n = 1, .rows_max = ROWS_MAX, .cb = cb, .data = w
    };
    return ad_store_read(w->mirror->o.store, &w->req);
}

static struct known *remember(struct describe *w, struct ad_str name)
{
    struct known *k = ad_arena_zalloc(&w->arena, sizeof(*k));
    struct ad_str kept = ad_arena_str(&w->arena, name);
    if (!k || !kept.p) {
        return NULL;
    }
    ad_map_put(&w->known, &k->node, kept);
    return k;
}

static const struct known *known_of(const struct describe *w, struct ad_str name)
{
    struct ad_map_node *n = ad_map_get(&w->known, name);
    return n ? ad_container_of(n, struct known, node) : NULL;
}

/* --- Writing ---------------------------------------------------------------------------------- */

static const char *kind_name(enum ad_column_kind kind)
{
    static const char *const names[] = {
        [AD_COLUMN_TEXT] = "text",
        [AD_COLUMN_NUMBER] = "number",
        [AD_COLUMN_BOOL] = "boolean",
        [AD_COLUMN_JSON] = "json",
    };
    return names[kind];
}

static enum ad_err write_column(struct describe *w, struct ad_json_writer *j,
                                const struct ad_shape *shape, const struct ad_column *c)
{
    struct ad_str place =
        ad_arena_fmt(&w->arena, "%.*s.%.*s", AD_FMT(shape->table), AD_FMT(c->physical));
    if (!place.p) {
        return AD_ERR_NOMEM;
    }
    ad_json_obj(j);
    ad_json_f_str(j, "name", c->name);
    if (!ad_str_eq(c->name, c->wish)) {
        ad_json_f_str(j, "instead_of", c->wish);
    }
    ad_json_f_cstr(j, "type", kind_name(c->kind));
    ad_json_f_str(j, "column", c->physical);
    ad_json_f_str(j, "attribute", c->attribute ? c->attribute->slug : AD_STR_NONE);
    ad_json_f_bool(j, "missing", !known_of(w, place));
    ad_json_end(j);
    return AD_OK;
}

static const char *state_of(const struct known *k, const struct ad_shape *shape)
{
    bool same = k && strcmp(k->digest, shape->digest) == 0;
    return !k ? "new" : same ? "same" : "changed";
}

static enum ad_err write_shape(struct describe *w, struct ad_json_writer *j,
                               const struct ad_object *o, const struct ad_shape *shape)
{
    const struct known *k = known_of(w, o->id);
    enum ad_err err = AD_OK;
    ad_json_obj(j);
    ad_json_f_str(j, "slug", o->slug);
    ad_json_f_cstr(j, "kind", ad_kind_name(o->kind));
    ad_json_f_str(j, "id", o->id);
    ad_json_f_str(j, "view", shape->view);
    if (!ad_str_eq(shape->view, shape->view_wish)) {
        ad_json_f_str(j, "instead_of", shape->view_wish);
    }
    ad_json_f_str(j, "live_view", shape->live_view);
    ad_json_f_str(j, "table", shape->table);
    ad_json_f_cstr(j, "state", state_of(k, shape));
    ad_json_f_bool(j, "rows_lacking", k && k->lacking);
    ad_json_key(j, "columns");
    ad_json_arr(j);
    for (unsigned i = 0; i < shape->columns_n && !err; i++) {
        err = write_column(w, j, shape, &shape->columns[i]);
    }
    ad_json_end(j);
    ad_json_end(j);
    return err;
}

static enum ad_err write_all(struct describe *w)
{
    const struct ad_schema *schema = w->mirror->o.schema;
    struct ad_json_writer j;
    enum ad_err err = AD_OK;
    ad_json_write_init(&j, w->d->out);
    ad_json_arr(&j);
    for (const struct ad_object *o = ad_schema_next(schema, NULL); o && !err;
         o = ad_schema_next(schema, o)) {
        struct ad_shape *shape;
        err = o->gone ? AD_OK : ad__shape_new(schema, o, &shape);
        if (!err && !o->gone) {
            err = write_shape(w, &j, o, shape);
            ad__shape_free(shape);
        }
    }
    ad_json_end(&j);
    enum ad_err written = ad_json_write_done(&j);
    return err ? err : written;
}

/* --- Reading ---------------------------------------------------------------------------------- */

static void on_columns(struct ad_store_req *req)
{
    struct describe *w = req->data;
    enum ad_err err = req->err;
    for (size_t i = 0; !err && i < req->rows.rows; i++) {
        err = remember(w, ad_row(&req->rows, i)[0].str) ? AD_OK : AD_ERR_NOMEM;
    }
    err = err ? err : write_all(w);
    finish(w, err, &req->info);
}

static void on_shapes(struct ad_store_req *req)
{
    struct describe *w = req->data;
    enum ad_err err = req->err;
    for (size_t i = 0; !err && i < req->rows.rows; i++) {
        const struct ad_value *row = ad_row(&req->rows, i);
        struct known *k = remember(w, row[0].str);
        err = k ? AD_OK : AD_ERR_NOMEM;
        if (k) {
            k->digest = ad_arena_str(&w->arena, row[1].str).p;
            k->lacking = row[2].i64 != 0;
            err = k->digest ? AD_OK : AD_ERR_NOMEM;
        }
    }
    err = err ? err : ask(w, &all_columns_sql, on_columns);
    if (err) {
        finish(w, err, &req->info);
    }
}

enum ad_err ad_mirror_describe(struct ad_mirror *m, struct ad_mirror_describe *d)
{
    struct describe *w = ad_zalloc(sizeof(*w));
    if (!w) {
        return ad_fail(&d->info, AD_ERR_NOMEM, "no memory to describe the mirror");
    }
    w->mirror = m;
    w->d = d;
    d->err = AD_OK;
    ad_arena_init(&w->arena, ARENA_MAX);
    ad_map_init(&w->known);
    enum ad_err err = ask(w, &shapes_sql, on_shapes);
    if (err) {
        ad_map_fini(&w->known);
        ad_arena_fini(&w->arena);
        ad_free(w);
        return ad_fail(&d->info, err, "%s", ad_err_text(err));
    }
    m->works++;
    return AD_OK;
}
