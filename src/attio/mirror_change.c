/* Reading the change feed: entries, then what the ADDED ones show, object by object, then JSON.
 *
 *   heads -> entries -> values of the first object's added records -> of the next ... -> written */
#include "attio/changes.h"

#include "base/json_write.h"
#include "base/mem.h"
#include "mirror_private.h"

#define ARENA_MAX ((size_t)64 << 20)
/* Enough for a page; more is left to the next. */
#define BYTES_MAX ((size_t)1 << 20)

static const struct ad_sql heads_sql = {
    .sqlite = "SELECT (SELECT max(seq) FROM attiod_change), (SELECT CAST(value AS INTEGER) FROM"
              " attiod_meta WHERE key = 'changes_pruned')",
};
static const struct ad_sql entries_sql = {
    .sqlite = "SELECT seq, object_id, record_id, at, change, fields, merged_into FROM attiod_change"
              " WHERE seq > $1 AND ($2 IS NULL OR object_id = $2) ORDER BY seq LIMIT $3",
};
enum { COL_SEQ, COL_OBJECT, COL_RECORD, COL_AT, COL_CHANGE, COL_FIELDS, COL_MERGED };

struct entry {
    int64_t seq, change;
    const struct ad_object *object; /* NULL: not known any more */
    struct ad_str object_id, id, at, fields, merged_into;
    bool looked_up; /* an ADDED one: fields are the row's */
};

struct list {
    struct ad_mirror_work work; /* of the object whose values are read */
    struct ad_mirror *mirror;
    struct ad_changes_list *l;
    struct ad_arena arena;
    struct entry *entries;
    size_t n;
    struct ad_buf ids;
    struct ad_value values[3];
    struct ad_step step;
    struct ad_store_req req;
};

static void finish(struct list *w, enum ad_err err, const struct ad_errinfo *info)
{
    struct ad_changes_list *l = w->l;
    l->err = err;
    if (err && info && info->code) {
        l->info = *info;
    } else if (err) {
        ad_fail(&l->info, err, "%s", ad_err_text(err));
    }
    w->mirror->works--;
    ad_buf_fini(&w->ids);
    ad_arena_fini(&w->arena);
    ad_free(w);
    l->cb(l);
}

static enum ad_err read_rows(struct list *w, const struct ad_sql *sql, unsigned values_n,
                             size_t rows_max, ad_store_cb cb)
{
    w->step = (struct ad_step){ .sql = sql, .values = w->values, .values_n = values_n };
    w->req =
        (struct ad_store_req){ .steps = &w->step, .steps_n = 1, .rows_max = rows_max, .cb = cb };
    return ad_store_read(w->mirror->o.store, &w->req);
}

/* --- Writing --- */

static const char *change_name(int64_t change)
{
    switch (change) {
    case AD_CHANGE_ADDED:
        return "ADDED";
    case AD_CHANGE_UPDATED:
        return "UPDATED";
    case AD_CHANGE_DELETED:
        return "DELETED";
    default:
        return "MERGED";
    }
}

static bool write_values(struct ad_json_writer *j, const struct entry *e)
{
    ad_json_key(j, "values");
    if (e->looked_up) {
        return ad__feed_write(j, e->fields, false);
    }
    ad_json_w_null(j);
    return true;
}

static enum ad_err write_entry(struct ad_json_writer *j, const struct entry *e)
{
    bool ok = true;
    ad_json_obj(j);
    ad_json_f_i64(j, "seq", e->seq);
    ad_json_f_cstr(j, "change", change_name(e->change));
    ad_json_f_cstr(j, "kind", e->object ? ad_kind_name(e->object->kind) : NULL);
    ad_json_f_str(j, "object", e->object ? e->object->slug : AD_STR_NONE);
    ad_json_f_str(j, "object_id", e->object_id);
    ad_json_f_str(j, "id", e->id);
    ad_json_f_str(j, "at", e->at);
    if (e->change == AD_CHANGE_ADDED) {
        ok = write_values(j, e);
    } else if (e->change == AD_CHANGE_UPDATED) {
        ad_json_key(j, "fields");
        ok = ad__feed_write(j, e->fields, true);
    } else if (e->change == AD_CHANGE_MERGED) {
        ad_json_f_str(j, "merged_into", e->merged_into);
    }
    ad_json_end(j);
    return ok ? AD_OK : AD_ERR_CORRUPT;
}

static enum ad_err write_all(struct list *w)
{
    struct ad_changes_list *l = w->l;
    struct ad_json_writer j;
    size_t before = ad_buf_len(l->out);
    enum ad_err err = AD_OK;
    ad_json_write_init(&j, l->out);
    ad_json_arr(&j);
    for (size_t i = 0; !err && i < w->n; i++) {
        if (ad_buf_len(l->out) - before > BYTES_MAX) {
            l->more = true;
            break;
        }
        err = write_entry(&j, &w->entries[i]);
        l->last = w->entries[i].seq;
    }
    ad_json_end(&j);
    enum ad_err written = ad_json_write_done(&j);
    return err ? err : written;
}

/* --- Values of those that came --- */

static void values_next(struct list *w);

static void on_values(struct ad_store_req *req)
{
    struct list *w = ad_container_of(req, struct list, req);
    const struct ad_object *o = w->work.table->object;
    bool ok = true;
    for (size_t i = 0; !req->err && ok && i < w->n; i++) {
        struct entry *e = &w->entries[i];
        if (e->change != AD_CHANGE_ADDED || e->object != o) {
            continue;
        }
        e->object = o;
        for (size_t r = 0; r < req->rows.rows; r++) {
            const struct ad_value *row = ad_row(&req->rows, r);
            if (ad_str_eq(row[0].str, e->id)) {
                e->looked_up = true;
                e->fields =
                    row[1].type == AD_VALUE_TEXT ? ad_arena_str(&w->arena, row[1].str) : AD_STR("");
                ok = e->fields.p != NULL;
                break;
            }
        }
        if (req->more && !e->looked_up) { /* it did not fit: the page ends before it */
            w->n = i;
            w->l->more = true;
        }
    }
    ad__work_end(&w->work, req->err ? req->err : ok ? AD_OK : AD_ERR_NOMEM, &req->info);
}

static enum ad_err values_run(struct ad_mirror_work *work)
{
    struct list *w = ad_container_of(work, struct list, work);
    w->values[0] = AD_V_TEXT(ad_buf_str(&w->ids));
    return read_rows(w, &work->table->shape->sql[AD_SHAPE_FEED_VALUES], 1, AD_CHANGES_MAX,
                     on_values);
}

static void values_finish(struct ad_mirror_work *work, enum ad_err err,
                          const struct ad_errinfo *info)
{
    struct list *w = ad_container_of(work, struct list, work);
    w->mirror->works++; /* the work's end took ours */
    if (err) {
        finish(w, err, info);
    } else {
        values_next(w);
    }
}

/* The ids of the first object that was not looked at yet; its entries lose their mark. */
static const struct ad_object *gather(struct list *w, enum ad_err *err)
{
    const struct ad_object *o = NULL;
    struct ad_json_writer j;
    ad_buf_clear(&w->ids);
    ad_json_write_init(&j, &w->ids);
    ad_json_arr(&j);
    for (size_t i = 0; i < w->n; i++) {
        struct entry *e = &w->entries[i];
        bool due = e->change == AD_CHANGE_ADDED && !e->looked_up && e->object && e->fields.n;
        if (due && (!o || o == e->object)) {
            o = e->object;
            e->fields = AD_STR_NONE;
            ad_json_w_str(&j, e->id);
        }
    }
    ad_json_end(&j);
    *err = ad_json_write_done(&j);
    return o;
}

static void values_next(struct list *w)
{
    enum ad_err err;
    const struct ad_object *o = gather(w, &err);
    if (!err && o) {
        w->work = (struct ad_mirror_work){ .run = values_run, .finish = values_finish };
        w->mirror->works--; /* it is counted as the queue's */
        err = ad__work_submit(w->mirror, o, &w->work);
        if (!err) {
            return;
        }
        w->mirror->works++;
    } else if (!err) {
        err = write_all(w);
    }
    finish(w, err, NULL);
}

/* --- Entries --- */

static const struct ad_object *object_of(const struct ad_mirror *m, struct ad_str id)
{
    const struct ad_object *o = NULL;
    while ((o = ad_schema_next(m->o.schema, o))) {
        if (ad_str_eq(o->id, id)) {
            return o;
        }
    }
    return NULL;
}

static bool keep(struct list *w, struct ad_str *to, const struct ad_value *v)
{
    *to = v->type == AD_VALUE_TEXT ? ad_arena_str(&w->arena, v->str) : AD_STR_NONE;
    return to->p || v->type != AD_VALUE_TEXT;
}

static bool keep_entry(struct list *w, const struct ad_value *row)
{
    struct entry *e = &w->entries[w->n++];
    *e = (struct entry){ .seq = row[COL_SEQ].i64,
                         .change = row[COL_CHANGE].i64,
                         .object = object_of(w->mirror, row[COL_OBJECT].str) };
    bool ok = keep(w, &e->object_id, &row[COL_OBJECT]) && keep(w, &e->id, &row[COL_RECORD]) &&
              keep(w, &e->at, &row[COL_AT]) && keep(w, &e->fields, &row[COL_FIELDS]) &&
              keep(w, &e->merged_into, &row[COL_MERGED]);
    if (e->change == AD_CHANGE_ADDED) {
        e->fields = AD_STR("due"); /* until gather took it up */
    }
    return ok;
}

static void on_entries(struct ad_store_req *req)
{
    struct list *w = ad_container_of(req, struct list, req);
    enum ad_err err = req->err;
    w->l->more = req->more;
    w->entries = err ? NULL : ad_arena_array(&w->arena, req->rows.rows + 1, sizeof(*w->entries));
    err = err ? err : w->entries ? AD_OK : AD_ERR_NOMEM;
    for (size_t i = 0; !err && i < req->rows.rows; i++) {
        err = keep_entry(w, ad_row(&req->rows, i)) ? AD_OK : AD_ERR_NOMEM;
    }
    if (err) {
        finish(w, err, &req->info);
    } else {
        values_next(w);
    }
}

static void on_heads(struct ad_store_req *req)
{
    struct list *w = ad_container_of(req, struct list, req);
    struct ad_changes_list *l = w->l;
    enum ad_err err = req->err;
    struct ad_errinfo info = req->info;
    if (!err) {
        l->latest = ad_row(&req->rows, 0)[0].i64;
        int64_t pruned = ad_row(&req->rows, 0)[1].i64;
        if (l->after >= 0 && l->after < pruned) {
            err = ad_fail(&info, AD_ERR_NOTFOUND,
                          "changes up to %lld are kept no longer: read the mirror, then go on from"
                          " its latest",
                          (long long)pruned);
        }
    }
    if (!err && l->after >= 0) {
        w->values[0] = AD_V_I64(l->after);
        w->values[1] = l->object ? AD_V_TEXT(l->object->id) : AD_V_NULL;
        w->values[2] = AD_V_I64((int64_t)l->max + 1);
        err = read_rows(w, &entries_sql, 3, l->max, on_entries);
        if (!err) {
            return;
        }
    } else if (!err) {
        l->last = l->latest;
        err = write_all(w);
    }
    finish(w, err, &info);
}

enum ad_err ad_changes_list(struct ad_mirror *m, struct ad_changes_list *l)
{
    if (l->max == 0 || l->max > AD_CHANGES_MAX || !l->out) {
        return ad_fail(&l->info, AD_ERR_INVALID, "changes: an argument is wrong");
    }
    struct list *w = ad_zalloc(sizeof(*w));
    if (!w) {
        return ad_fail(&l->info, AD_ERR_NOMEM, "no memory to list changes");
    }
    w->mirror = m;
    w->l = l;
    l->last = l->after;
    l->more = false;
    ad_arena_init(&w->arena, ARENA_MAX);
    ad_buf_init(&w->ids, (size_t)64 << 10);
    enum ad_err err = read_rows(w, &heads_sql, 0, 1, on_heads);
    if (err) {
        ad_buf_fini(&w->ids);
        ad_arena_fini(&w->arena);
        ad_free(w);
        return ad_fail(&l->info, err, "%s", ad_err_text(err));
    }
    m->works++;
    return AD_OK;
}
