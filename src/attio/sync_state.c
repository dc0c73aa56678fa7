#include "attio/sync_state.h"

#include "base/json_write.h"
#include "base/mem.h"
#include "infra/store.h"

#define DRY_MAX 16
#define NAME_MAX_BYTES 256

struct dry {
    struct ad_sync_run run;
    char object_id[40], object_slug[NAME_MAX_BYTES];
};

struct ad_sync_state {
    struct ad_store *store;
    struct dry dry[DRY_MAX]; /* newest last, by id */
    size_t dry_n;
};

static const char *const phase_names[] = {
    [AD_SYNC_IDLE] = "waiting", [AD_SYNC_WALK] = "walk",     [AD_SYNC_TAIL] = "tail",
    [AD_SYNC_DONE] = "done",    [AD_SYNC_FAILED] = "failed",
};

const char *ad_sync_phase_name(enum ad_sync_phase p)
{
    return (size_t)p < AD_LEN(phase_names) && phase_names[p] ? phase_names[p] : "unknown";
}

/* --- Columns --- */

enum {
    COL_ID,
    COL_OBJECT_ID,
    COL_OBJECT_SLUG,
    COL_PHASE,
    COL_KEY,
    COL_OFFSET,
    COL_VERSION,
    COL_STARTED_AT,
    COL_FINISHED_AT,
    COL_PAGES,
    COL_SEEN,
    COL_CREATED,
    COL_UPDATED,
    COL_UNCHANGED,
    COL_DELETED,
    COL_CALLS,
    COL_ERROR,
    COLUMNS
};

#define COLUMN_NAMES                                                                        \
    "id, object_id, object_slug, phase, key, key_offset, version, started_at, finished_at," \
    " pages, seen, created, updated, unchanged, deleted, calls, error"

static const struct ad_sql save_sql = {
    .sqlite = "INSERT INTO attiod_sync_run (" COLUMN_NAMES ") VALUES"
              " ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)"
              " ON CONFLICT (id) DO UPDATE SET object_slug = excluded.object_slug,"
              " phase = excluded.phase, key = excluded.key, key_offset = excluded.key_offset,"
              " version = excluded.version, started_at = excluded.started_at,"
              " finished_at = excluded.finished_at, pages = excluded.pages, seen = excluded.seen,"
              " created = excluded.created, updated = excluded.updated,"
              " unchanged = excluded.unchanged, deleted = excluded.deleted,"
              " calls = excluded.calls, error = excluded.error",
};
static const struct ad_sql newest_sql = {
    .sqlite = "SELECT " COLUMN_NAMES " FROM attiod_sync_run WHERE object_id = $1"
              " ORDER BY id DESC LIMIT 1",
};
#define COL_EXPECTED COLUMNS /* one more, of the list */
static const struct ad_sql list_sql = {
    .sqlite = "SELECT " COLUMN_NAMES ", (SELECT d.seen FROM attiod_sync_run d WHERE d.object_id ="
              " r.object_id AND d.id < r.id AND d.phase = 4 ORDER BY d.id DESC LIMIT 1)"
              " FROM attiod_sync_run r ORDER BY id DESC LIMIT 50",
};

static void values_of(const struct ad_sync_run *r, struct ad_value v[COLUMNS])
{
    v[COL_ID] = AD_V_I64(r->id);
    v[COL_OBJECT_ID] = AD_V_TEXT(r->object_id);
    v[COL_OBJECT_SLUG] = AD_V_TEXT(r->object_slug);
    v[COL_PHASE] = AD_V_I64(r->phase);
    v[COL_KEY] = AD_V_TEXT(ad_str_c(r->key));
    v[COL_OFFSET] = AD_V_I64(r->offset);
    v[COL_VERSION] = AD_V_I64(r->version);
    v[COL_STARTED_AT] = AD_V_I64(r->started_ns);
    v[COL_FINISHED_AT] = AD_V_I64(r->finished_ns);
    v[COL_PAGES] = AD_V_I64(r->pages);
    v[COL_SEEN] = AD_V_I64(r->seen);
    v[COL_CREATED] = AD_V_I64(r->created);
    v[COL_UPDATED] = AD_V_I64(r->updated);
    v[COL_UNCHANGED] = AD_V_I64(r->unchanged);
    v[COL_DELETED] = AD_V_I64(r->deleted);
    v[COL_CALLS] = AD_V_I64(r->calls);
    v[COL_ERROR] = AD_V_TEXT(ad_str_c(r->error));
}

static void set_text(char *to, size_t size, struct ad_str from)
{
    size_t n = from.n < size ? from.n : size - 1;
    if (n) {
        memcpy(to, from.p, n);
    }
    to[n] = '\0';
}

/* Slices point into the row. */
static void run_of(const struct ad_value v[COLUMNS], struct ad_sync_run *r)
{
    *r = (struct ad_sync_run){ .id = v[COL_ID].i64,
                               .object_id = v[COL_OBJECT_ID].str,
                               .object_slug = v[COL_OBJECT_SLUG].str,
                               .phase = (enum ad_sync_phase)v[COL_PHASE].i64,
                               .offset = (unsigned)v[COL_OFFSET].i64,
                               .version = v[COL_VERSION].i64,
                               .started_ns = v[COL_STARTED_AT].i64,
                               .finished_ns = v[COL_FINISHED_AT].i64,
                               .pages = v[COL_PAGES].i64,
                               .seen = v[COL_SEEN].i64,
                               .created = v[COL_CREATED].i64,
                               .updated = v[COL_UPDATED].i64,
                               .unchanged = v[COL_UNCHANGED].i64,
                               .deleted = v[COL_DELETED].i64,
                               .calls = v[COL_CALLS].i64 };
    set_text(r->key, sizeof(r->key), v[COL_KEY].str);
    set_text(r->error, sizeof(r->error), v[COL_ERROR].str);
}

/* --- Save --- */

struct save {
    struct ad_sync_save *s;
    struct ad_sync_run run;
    struct ad_value values[COLUMNS];
    struct ad_step step;
    struct ad_store_req req;
};

static void on_saved(struct ad_store_req *req)
{
    struct save *w = ad_container_of(req, struct save, req);
    struct ad_sync_save *s = w->s;
    s->err = req->err;
    s->info = req->info;
    s->impl = NULL;
    ad_free(w);
    s->cb(s);
}

enum ad_err ad_sync_save(struct ad_sync_state *st, struct ad_sync_save *s)
{
    struct save *w = ad_zalloc(sizeof(*w));
    if (!w) {
        return ad_fail(&s->info, AD_ERR_NOMEM, "no memory for a sync's checkpoint");
    }
    w->s = s;
    w->run = *s->run;
    values_of(&w->run, w->values);
    w->step = (struct ad_step){ .sql = &save_sql, .values = w->values, .values_n = COLUMNS };
    w->req = (struct ad_store_req){
        .steps = &w->step, .steps_n = 1, .cls = AD_STORE_NORMAL, .cb = on_saved
    };
    enum ad_err err = ad_store_write(st->store, &w->req);
    if (err) {
        ad_free(w);
        return ad_fail(&s->info, err, "%s", ad_err_text(err));
    }
    return AD_OK;
}

/* --- Dry runs --- */

void ad_sync_keep_dry(struct ad_sync_state *st, const struct ad_sync_run *run)
{
    size_t at = 0;
    while (at < st->dry_n && st->dry[at].run.id != run->id) {
        at++;
    }
    if (at == DRY_MAX) {
        memmove(st->dry, st->dry + 1, (DRY_MAX - 1) * sizeof(st->dry[0]));
        at = --st->dry_n;
    }
    st->dry_n = at < st->dry_n ? st->dry_n : at + 1;
    struct dry *d = &st->dry[at];
    set_text(d->object_id, sizeof(d->object_id), run->object_id);
    set_text(d->object_slug, sizeof(d->object_slug), run->object_slug);
    d->run = *run;
}

/* --- Newest --- */

static enum ad_err copy_run(const struct ad_value *row, struct ad_arena *arena,
                            struct ad_sync_run *out)
{
    struct ad_sync_run r;
    run_of(row, &r);
    r.object_id = ad_arena_str(arena, r.object_id);
    r.object_slug = ad_arena_str(arena, r.object_slug);
    if (!r.object_id.p || !r.object_slug.p) {
        return AD_ERR_NOMEM;
    }
    *out = r;
    return AD_OK;
}

enum ad_err ad_sync_newest(struct ad_sync_state *st, struct ad_str object_id,
                           struct ad_arena *arena, struct ad_sync_run *out)
{
    struct ad_value value = AD_V_TEXT(object_id);
    struct ad_step step = { .sql = &newest_sql, .values = &value, .values_n = 1 };
    struct ad_store_req req = { .steps = &step, .steps_n = 1, .rows_max = 1 };
    enum ad_err err = ad_store_read_now(st->store, &req);
    if (!err) {
        err = req.rows.rows ? copy_run(ad_row(&req.rows, 0), arena, out) : AD_ERR_NOTFOUND;
    }
    ad_store_rows_free(&req);
    return err;
}

/* --- List --- */

struct listing {
    const struct ad_sync_state *st;
    struct ad_sync_list *l;
    struct ad_step step;
    struct ad_store_req req;
};

static void write_time(struct ad_json_writer *w, const char *key, int64_t ns)
{
    ad_json_key(w, key);
    if (ns) {
        ad_json_w_time(w, ns);
    } else {
        ad_json_w_null(w);
    }
}

/* expected: -1 is unknown */
static void write_run(struct ad_json_writer *w, const struct ad_sync_run *r, int64_t expected)
{
    ad_json_obj(w);
    ad_json_f_i64(w, "id", r->id);
    ad_json_f_str(w, "object", r->object_slug);
    ad_json_f_str(w, "object_id", r->object_id);
    ad_json_f_cstr(w, "phase", ad_sync_phase_name(r->phase));
    ad_json_f_bool(w, "dry_run", r->dry_run);
    write_time(w, "started_at", r->started_ns);
    write_time(w, "finished_at", r->finished_ns);
    ad_json_f_i64(w, "pages", r->pages);
    ad_json_f_i64(w, "seen", r->seen);
    ad_json_key(w, "expected");
    if (expected >= 0) {
        ad_json_w_i64(w, expected);
    } else {
        ad_json_w_null(w);
    }
    ad_json_f_i64(w, "created", r->created);
    ad_json_f_i64(w, "updated", r->updated);
    ad_json_f_i64(w, "unchanged", r->unchanged);
    ad_json_f_i64(w, "deleted", r->deleted);
    ad_json_f_i64(w, "calls", r->calls);
    ad_json_f_cstr(w, "position", *r->key ? r->key : NULL);
    ad_json_f_cstr(w, "error", *r->error ? r->error : NULL);
    ad_json_end(w);
}

static int64_t expected_of(const struct ad_value *row)
{
    return row[COL_EXPECTED].type == AD_VALUE_I64 ? row[COL_EXPECTED].i64 : -1;
}

/* As many as the newest complete run of the same object saw. */
static void write_dry(struct ad_json_writer *w, const struct dry *dry, const struct ad_rows *rows)
{
    struct ad_sync_run run = dry->run;
    int64_t expected = -1;
    run.object_id = ad_str_c(dry->object_id);
    run.object_slug = ad_str_c(dry->object_slug);
    for (size_t i = 0; i < rows->rows && expected < 0; i++) {
        struct ad_sync_run r;
        run_of(ad_row(rows, i), &r);
        if (r.phase == AD_SYNC_DONE && ad_str_eq(r.object_id, run.object_id)) {
            expected = r.seen;
        }
    }
    write_run(w, &run, expected);
}

/* Both newest first. */
static enum ad_err write_runs(const struct ad_sync_state *st, struct ad_buf *out,
                              const struct ad_rows *rows)
{
    struct ad_json_writer w;
    size_t dry = st->dry_n;
    ad_json_write_init(&w, out);
    ad_json_arr(&w);
    for (size_t i = 0; i < rows->rows; i++) {
        struct ad_sync_run r;
        run_of(ad_row(rows, i), &r);
        for (; dry > 0 && st->dry[dry - 1].run.id > r.id; dry--) {
            write_dry(&w, &st->dry[dry - 1], rows);
        }
        write_run(&w, &r, expected_of(ad_row(rows, i)));
    }
    for (; dry > 0; dry--) {
        write_dry(&w, &st->dry[dry - 1], rows);
    }
    ad_json_end(&w);
    return ad_json_write_done(&w);
}

static void on_listed(struct ad_store_req *req)
{
    struct listing *w = ad_container_of(req, struct listing, req);
    struct ad_sync_list *l = w->l;
    l->err = req->err;
    l->info = req->info;
    if (!l->err) {
        l->err = l->info.code = write_runs(w->st, l->out, &req->rows);
    }
    l->impl = NULL;
    ad_free(w);
    l->cb(l);
}

enum ad_err ad_sync_list(struct ad_sync_state *st, struct ad_sync_list *l)
{
    struct listing *w = ad_zalloc(sizeof(*w));
    if (!w) {
        return ad_fail(&l->info, AD_ERR_NOMEM, "no memory to list syncs");
    }
    w->st = st;
    w->l = l;
    w->step = (struct ad_step){ .sql = &list_sql };
    w->req = (struct ad_store_req){ .steps = &w->step, .steps_n = 1, .cb = on_listed };
    enum ad_err err = ad_store_read(st->store, &w->req);
    if (err) {
        ad_free(w);
        return ad_fail(&l->info, err, "%s", ad_err_text(err));
    }
    return AD_OK;
}

/* --- Open and close --- */

enum ad_err ad_sync_state_open(struct ad_store *store, struct ad_sync_state **out)
{
    struct ad_sync_state *st = ad_zalloc(sizeof(*st));
    if (!st) {
        return AD_ERR_NOMEM;
    }
    st->store = store;
    *out = st;
    return AD_OK;
}

void ad_sync_state_close(struct ad_sync_state *s)
{
    ad_free(s);
}
