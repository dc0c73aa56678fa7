/* What rows that were there before get when attributes came or changed.
 *
 * A row's _raw is keyed by the slugs of its time; what attiod_slot tells of them decides for each
 * attribute that is new, renamed, restored or of another form now:
 *
 *   _raw has it under its slug      its columns are worked out from that
 *   under the slug it had before    the same, when its columns are new ones
 *   not at all                      they stay as they are: NULL, or right already
 *
 * Three things _raw cannot tell: an attribute whose slug was another's once (`doubt`), one of another
 * type (`retyped`), one that was archived for a while. Then the object needs a full sync; rows in
 * doubt get a blank behind their _raw, so that the sync writes them anew whatever it says.
 *
 * It goes chunk by chunk in the order of rows, between the object's other operations; where it stands
 * is in attiod_shape, in the transaction of each chunk. */
#include "attio/mirror.h"

#include "attio/sync_state.h"
#include "base/json_write.h"
#include "base/mem.h"
#include "mirror_private.h"

#define ARENA_MAX ((size_t)16 << 20)
/* Of a chunk's rows, taken apart: the store returns 8 MiB of them at most. */
#define CHUNK_ARENA_MAX ((size_t)256 << 20)
/* With the note of where it stands as many statements as a bulk transaction takes. */
#define CHUNK 49

struct lack {
    unsigned slot;     /* of the shape */
    struct ad_str was; /* the slug before; absent: the same, or one that tells nothing */
    bool doubt, retyped;
};

struct ad_backfill {
    struct ad_arena arena;
    struct lack *lacks;
    unsigned n;
    int64_t after; /* rowid */
};

static struct ad_backfill *backfill_new(const struct ad_shape *shape)
{
    struct ad_backfill *b = ad_zalloc(sizeof(*b));
    if (b) {
        ad_arena_init(&b->arena, ARENA_MAX);
        b->lacks = ad_arena_array(&b->arena, shape->slots_n + 1u, sizeof(*b->lacks));
    }
    if (b && !b->lacks) {
        ad__backfill_free(b);
        b = NULL;
    }
    return b;
}

void ad__backfill_free(struct ad_backfill *b)
{
    if (b) {
        ad_arena_fini(&b->arena);
        ad_free(b);
    }
}

/* --- In SQL --- */

static bool add(struct ad_backfill *b, const struct lack *lack)
{
    struct lack *l = &b->lacks[b->n++];
    *l = *lack;
    if (lack->was.p) {
        l->was = ad_arena_str(&b->arena, lack->was);
    }
    return l->was.p || !lack->was.p;
}

static bool slot_by_id(const struct ad_shape *shape, struct ad_str id, unsigned *slot)
{
    for (unsigned i = 0; i < shape->slots_n; i++) {
        if (ad_str_eq(shape->slots[i].attribute->id, id)) {
            *slot = i;
            return true;
        }
    }
    return false;
}

static enum ad_err read_lacks(const struct ad_shape *shape, const struct ad_json *doc,
                              struct ad_backfill *b)
{
    if (!ad_json_i64(ad_json_get(doc, "after"), &b->after)) {
        return AD_ERR_CORRUPT;
    }
    AD_JSON_FOREACH (v, ad_json_get(doc, "slots")) {
        struct lack l = { .was = ad_json_str(ad_json_get(v, "was")) };
        bool known = slot_by_id(shape, ad_json_str(ad_json_get(v, "id")), &l.slot);
        if (!known || b->n == shape->slots_n) {
            continue; /* archived meanwhile */
        }
        if (!ad_json_bool(ad_json_get(v, "doubt"), &l.doubt) ||
            !ad_json_bool(ad_json_get(v, "retyped"), &l.retyped)) {
            return AD_ERR_CORRUPT;
        }
        if (!add(b, &l)) {
            return AD_ERR_NOMEM;
        }
    }
    return AD_OK;
}

enum ad_err ad__backfill_read(const struct ad_shape *shape, struct ad_str text,
                              struct ad_backfill **out)
{
    if (!text.n) {
        return AD_OK;
    }
    struct ad_backfill *b = backfill_new(shape);
    if (!b) {
        return AD_ERR_NOMEM;
    }
    struct ad_arena arena;
    const struct ad_json *doc;
    ad_arena_init(&arena, ARENA_MAX);
    enum ad_err err = ad_json_parse(&arena, text, NULL, &doc, NULL);
    err = err ? err : read_lacks(shape, doc, b);
    ad_arena_fini(&arena);
    if (err || b->n == 0) {
        ad__backfill_free(b);
        return err == AD_ERR_NOMEM ? err : err ? AD_ERR_CORRUPT : AD_OK;
    }
    *out = b;
    return AD_OK;
}

static enum ad_err write_at(const struct ad_shape *shape, const struct ad_backfill *b,
                            int64_t after, struct ad_buf *out)
{
    struct ad_json_writer w;
    ad_json_write_init(&w, out);
    ad_json_obj(&w);
    ad_json_f_i64(&w, "after", after);
    ad_json_key(&w, "slots");
    ad_json_arr(&w);
    for (unsigned i = 0; i < b->n; i++) {
        const struct lack *l = &b->lacks[i];
        ad_json_obj(&w);
        ad_json_f_str(&w, "id", shape->slots[l->slot].attribute->id);
        ad_json_f_str(&w, "was", l->was);
        ad_json_f_bool(&w, "doubt", l->doubt);
        ad_json_f_bool(&w, "retyped", l->retyped);
        ad_json_end(&w);
    }
    ad_json_end(&w);
    ad_json_end(&w);
    return ad_json_write_done(&w);
}

enum ad_err ad__backfill_write(const struct ad_shape *shape, const struct ad_backfill *b,
                               struct ad_buf *out)
{
    return write_at(shape, b, b->after, out);
}

/* --- What is lacking --- */

enum { COL_ID, COL_SLUG, COL_REVISION, COL_TYPE, COL_CURRENT };

/* Some other attribute has, or had, this slug: then _raw does not tell whose value it is. */
static bool is_anothers(const struct ad_shape *shape, const struct ad_rows *rows,
                        struct ad_str slug, struct ad_str id)
{
    for (size_t i = 0; i < rows->rows; i++) {
        const struct ad_value *row = ad_row(rows, i);
        if (ad_str_eq(row[COL_SLUG].str, slug) && !ad_str_eq(row[COL_ID].str, id)) {
            return true;
        }
    }
    for (unsigned i = 0; i < shape->slots_n; i++) {
        if (ad_str_eq(shape->slots[i].slug, slug) &&
            !ad_str_eq(shape->slots[i].attribute->id, id)) {
            return true;
        }
    }
    return false;
}

/* False: rows have what the slot asks for. */
static bool lacks(const struct ad_shape *shape, const struct ad_rows *rows, struct lack *l,
                  bool *resync)
{
    const struct ad_slot *slot = &shape->slots[l->slot];
    struct ad_str id = slot->attribute->id;
    const struct ad_value *current = NULL;
    bool seen = false;
    for (size_t i = 0; i < rows->rows; i++) {
        const struct ad_value *row = ad_row(rows, i);
        if (ad_str_eq(row[COL_ID].str, id)) {
            seen = true;
            current = row[COL_CURRENT].i64 ? row : current;
        }
    }
    bool revised = current && current[COL_REVISION].i64 != slot->attribute->revision;
    bool renamed = current && !ad_str_eq(current[COL_SLUG].str, slot->slug);
    if (current && !revised && !renamed) {
        return false;
    }
    l->retyped = revised && !ad_str_eq(current[COL_TYPE].str, slot->attribute->type_name);
    l->doubt = is_anothers(shape, rows, slot->slug, id);
    if (revised && renamed && !is_anothers(shape, rows, current[COL_SLUG].str, id)) {
        l->was = current[COL_SLUG].str;
    }
    *resync = *resync || l->retyped || l->doubt || (seen && !current);
    return true;
}

static const struct lack *lack_of(const struct ad_backfill *b, unsigned slot)
{
    for (unsigned i = 0; b && i < b->n; i++) {
        if (b->lacks[i].slot == slot) {
            return &b->lacks[i];
        }
    }
    return NULL;
}

enum ad_err ad__backfill_new(const struct ad_shape *shape, const struct ad_rows *slots,
                             const struct ad_backfill *before, struct ad_backfill **out,
                             bool *resync)
{
    struct ad_backfill *b = backfill_new(shape);
    bool ok = b != NULL;
    for (unsigned i = 0; ok && i < shape->slots_n; i++) {
        const struct lack *old = lack_of(before, i);
        struct lack l = { .slot = i };
        if (lacks(shape, slots, &l, resync)) {
            l.doubt = l.doubt || (old && old->doubt);
            ok = add(b, &l);
        } else if (old) {
            ok = add(b, old);
        }
    }
    if (!ok || b->n == 0) {
        ad__backfill_free(b);
        return ok ? AD_OK : AD_ERR_NOMEM;
    }
    *out = b;
    return AD_OK;
}

/* --- Chunks --- */

static const struct ad_sql note_sql = {
    .sqlite = "UPDATE attiod_shape SET backfill = $2 WHERE object_id = $1",
};
static const struct ad_sql resync_sql = {
    .sqlite = "SELECT resync_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM attiod_sync_run r WHERE"
              " r.object_id = s.object_id AND r.phase = $2 AND r.started_at > s.resync_at),"
              " resync_at = 0 FROM attiod_shape s WHERE object_id = $1",
};

struct follow {
    struct ad_mirror_work work;
    struct ad_mirror *mirror;
    struct ad_mirror_follow *f;
    struct ad_arena arena; /* of the chunk */
    struct ad_value values[2];
    struct ad_step step;
    struct ad_step *steps;
    unsigned steps_n;
    int64_t after;
    bool last;
    struct ad_buf note;
    struct ad_store_req req;
};

static const struct ad_json *list_of(const struct ad_slot *slot, const struct lack *l,
                                     const struct ad_json *values)
{
    const struct ad_json *list = ad_json_get_str(values, slot->slug);
    if (!list && l->was.p) {
        list = ad_json_get_str(values, l->was);
    }
    struct ad_str type = ad_json_str(ad_json_get(ad_json_at(list, 0), "attribute_type"));
    bool other = l->retyped && type.p && !ad_str_eq(type, slot->attribute->type_name);
    return other ? NULL : list;
}

/* v: flags of the slots, then values of the columns. */
static enum ad_err fill(const struct ad_mirror_table *t, struct ad_arena *arena,
                        const struct ad_json *record, struct ad_value *v, bool *any)
{
    const struct ad_shape *shape = t->shape;
    const struct ad_json *values = ad_json_get(record, shape->kind->values);
    /* A column's place is counted from the first that is an attribute's. */
    struct ad_value *columns = ad_arena_array(arena, shape->columns_n + 1u, sizeof(*columns));
    enum ad_err err = columns ? AD_OK : AD_ERR_NOMEM;
    for (unsigned i = 0; !err && i < t->backfill->n; i++) {
        const struct lack *l = &t->backfill->lacks[i];
        const struct ad_slot *slot = &shape->slots[l->slot];
        const struct ad_json *list = list_of(slot, l, values);
        if (!list) {
            continue;
        }
        *any = true;
        if (l->doubt) {
            v[AD_BACK_DOUBT] = AD_V_I64(1);
            continue;
        }
        err = ad__slot_values(shape, slot, arena, list, columns);
        v[AD_BACK_FIXED + l->slot] = AD_V_I64(1);
        for (unsigned c = slot->first; c < slot->first + slot->n; c++) {
            v[AD_BACK_FIXED + shape->slots_n + c - shape->kind->fixed_n] = columns[c];
        }
    }
    return err;
}

static enum ad_err add_row(struct follow *w, const struct ad_value *row)
{
    const struct ad_mirror_table *t = w->work.table;
    const struct ad_shape *shape = t->shape;
    unsigned n = AD_BACK_FIXED + shape->slots_n + shape->columns_n - shape->kind->fixed_n;
    struct ad_value *v = ad_arena_array(&w->arena, n, sizeof(*v));
    const struct ad_json *record;
    bool any = false;
    if (row[2].type != AD_VALUE_TEXT) {
        return AD_OK; /* a tombstone of a record that was never seen */
    }
    struct ad_str raw = ad_arena_str(&w->arena, row[2].str);
    enum ad_err err =
        v && raw.p ? ad_json_parse(&w->arena, raw, NULL, &record, NULL) : AD_ERR_NOMEM;
    if (err) {
        return err;
    }
    v[AD_BACK_ROW] = row[0];
    v[AD_BACK_VERSION] = row[1];
    v[AD_BACK_DOUBT] = AD_V_I64(0);
    err = fill(t, &w->arena, record, v, &any);
    if (!err && any) {
        w->steps[w->steps_n++] =
            (struct ad_step){ .sql = &shape->sql[AD_SHAPE_BACKFILL], .values = v, .values_n = n };
    }
    return err;
}

static enum ad_err add_note(struct follow *w)
{
    const struct ad_mirror_table *t = w->work.table;
    enum ad_err err = AD_OK;
    ad_buf_clear(&w->note);
    if (!w->last) {
        err = write_at(t->shape, t->backfill, w->after, &w->note);
    }
    w->values[0] = AD_V_TEXT(t->object->id);
    w->values[1] = w->last ? AD_V_NULL : AD_V_TEXT(ad_buf_str(&w->note));
    w->steps[w->steps_n++] =
        (struct ad_step){ .sql = &note_sql, .values = w->values, .values_n = 2 };
    return err;
}

static void on_written(struct ad_store_req *req)
{
    struct follow *w = ad_container_of(req, struct follow, req);
    struct ad_mirror_table *t = w->work.table;
    if (req->err) {
        ad__work_end(&w->work, req->err, &req->info);
        return;
    }
    for (unsigned i = 0; i + 1 < w->steps_n; i++) {
        w->f->rows += (uint64_t)w->steps[i].changes;
    }
    t->backfill->after = w->after;
    if (w->last) {
        ad__backfill_free(t->backfill);
        t->backfill = NULL;
    }
    if (w->f->stop) {
        ad__work_end(&w->work, AD_ERR_CANCELED, NULL);
    } else {
        ad__work_again(&w->work);
    }
}

static enum ad_err write_chunk(struct follow *w, const struct ad_rows *rows)
{
    enum ad_err err = AD_OK;
    ad_arena_reset(&w->arena);
    w->steps = ad_arena_array(&w->arena, CHUNK + 1, sizeof(*w->steps));
    w->steps_n = 0;
    err = w->steps ? AD_OK : AD_ERR_NOMEM;
    for (size_t i = 0; !err && i < rows->rows; i++) {
        w->after = ad_row(rows, i)[0].i64;
        err = add_row(w, ad_row(rows, i));
    }
    err = err ? err : add_note(w);
    w->req = (struct ad_store_req){
        .steps = w->steps, .steps_n = w->steps_n, .cls = AD_STORE_BULK, .cb = on_written
    };
    return err ? err : ad_store_write(w->mirror->o.store, &w->req);
}

static void on_rows(struct ad_store_req *req)
{
    struct follow *w = ad_container_of(req, struct follow, req);
    w->last = !req->more && req->rows.rows < CHUNK;
    enum ad_err err = req->err ? req->err : write_chunk(w, &req->rows);
    if (err) {
        ad__work_end(&w->work, err, req->err ? &req->info : NULL);
    }
}

static void on_resync(struct ad_store_req *req)
{
    struct follow *w = ad_container_of(req, struct follow, req);
    if (!req->err && req->rows.rows == 1) {
        w->f->resync = ad_row(&req->rows, 0)[0].i64 != 0;
        w->f->fresh = w->f->resync && ad_row(&req->rows, 0)[1].i64 != 0;
    }
    ad__work_end(&w->work, req->err, &req->info);
}

/* The next chunk; behind the last one, what remains to be told. */
static enum ad_err follow_run(struct ad_mirror_work *work)
{
    struct follow *w = ad_container_of(work, struct follow, work);
    const struct ad_mirror_table *t = work->table;
    bool more = t->backfill != NULL;
    w->after = more ? t->backfill->after : 0;
    w->values[0] = more ? AD_V_I64(w->after) : AD_V_TEXT(t->object->id);
    w->values[1] = AD_V_I64(more ? CHUNK : AD_SYNC_DONE);
    w->step = (struct ad_step){ .sql = more ? &t->shape->sql[AD_SHAPE_ROWS] : &resync_sql,
                                .values = w->values,
                                .values_n = 2 };
    w->req = (struct ad_store_req){
        .steps = &w->step, .steps_n = 1, .rows_max = CHUNK, .cb = more ? on_rows : on_resync
    };
    return ad_store_read(w->mirror->o.store, &w->req);
}

static void follow_finish(struct ad_mirror_work *work, enum ad_err err,
                          const struct ad_errinfo *info)
{
    struct follow *w = ad_container_of(work, struct follow, work);
    struct ad_mirror_follow *f = w->f;
    f->err = err;
    f->info = *info;
    ad_arena_fini(&w->arena);
    ad_buf_fini(&w->note);
    ad_free(w);
    f->cb(f);
}

enum ad_err ad_mirror_follow(struct ad_mirror *m, struct ad_mirror_follow *f)
{
    struct follow *w = f->object ? ad_zalloc(sizeof(*w)) : NULL;
    if (!w) {
        return ad_fail(&f->info, f->object ? AD_ERR_NOMEM : AD_ERR_INVALID, "cannot follow");
    }
    w->mirror = m;
    w->f = f;
    f->rows = 0;
    f->resync = f->fresh = false;
    ad_arena_init(&w->arena, CHUNK_ARENA_MAX);
    ad_buf_init(&w->note, (size_t)1 << 20);
    w->work.run = follow_run;
    w->work.finish = follow_finish;
    enum ad_err err = ad__work_submit(m, f->object, &w->work);
    if (err) {
        ad_arena_fini(&w->arena);
        ad_buf_fini(&w->note);
        ad_free(w);
        return ad_fail(&f->info, err, "%s", ad_err_text(err));
    }
    return AD_OK;
}
