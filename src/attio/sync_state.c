#include "attio/sync_state.h"

#include "base/arena.h"
#include "base/json_write.h"
#include "base/mem.h"
#include "infra/store.h"

/* How many runs a listing shows. */
#define LIST_MAX 50

struct ad_sync_state {
    struct ad_store *store;
};

static const char *const phase_names[] = {
    "waiting", "walking", "tail", "sweep", "done", "failed"
};

const char *ad_sync_phase_name(enum ad_sync_phase p)
{
    return phase_names[p];
}

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

void ad_sync_state_close(struct ad_sync_state *st)
{
    ad_free(st);
}

/* ---- save -------------------------------------------------------------------------------- */

static const struct ad_sql save_sql = {
    .sqlite = "INSERT INTO attiod_sync_run (id, object_id, object_slug, phase, key, key_offset,"
              " version, started_at, finished_at, pages, seen, created, updated, unchanged,"
              " deleted, calls, error) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,"
              " $13, $14, $15, $16, $17) ON CONFLICT (id) DO UPDATE SET phase = excluded.phase,"
              " key = excluded.key, key_offset = excluded.key_offset, version = excluded.version,"
              " finished_at = excluded.finished_at, pages = excluded.pages, seen = excluded.seen,"
              " created = excluded.created, updated = excluded.updated,"
              " unchanged = excluded.unchanged, deleted = excluded.deleted,"
              " calls = excluded.calls, error = excluded.error",
};
#define SAVE_VALUES 17

struct save {
    struct ad_store_req req;
    struct ad_step step;
    struct ad_value values[SAVE_VALUES];
    struct ad_sync_save *s;
};

static void on_saved(struct ad_store_req *req)
{
    struct ad_sync_save *s = ((struct save *)req->data)->s;
    s->err = req->err;
    s->info = req->info;
    ad_free(req->data);
    s->cb(s);
}

/* BULK like the page before it: behind that page's rows, never before them. */
enum ad_err ad_sync_save(struct ad_sync_state *st, struct ad_sync_save *s)
{
    const struct ad_sync_run *r = s->run;
    struct save *p = ad_zalloc(sizeof(*p));
    if (!p) {
        return ad_fail(&s->info, AD_ERR_NOMEM, "no memory");
    }
    const struct ad_value values[SAVE_VALUES] = {
        AD_V_I64(r->id),
        AD_V_TEXT(r->object_id),
        AD_V_TEXT(r->object_slug),
        AD_V_I64(r->phase),
        AD_V_TEXT(ad_str_c(r->key)),
        AD_V_I64(r->offset),
        AD_V_I64(r->version),
        AD_V_I64(r->started_ns),
        AD_V_I64(r->finished_ns),
        AD_V_I64(r->pages),
        AD_V_I64(r->seen),
        AD_V_I64(r->created),
        AD_V_I64(r->updated),
        AD_V_I64(r->unchanged),
        AD_V_I64(r->deleted),
        AD_V_I64(r->calls),
        AD_V_TEXT(ad_str_c(r->error)),
    };
    memcpy(p->values, values, sizeof(values));
    p->s = s;
    p->step = (struct ad_step){ .sql = &save_sql, .values = p->values, .values_n = SAVE_VALUES };
    p->req = (struct ad_store_req){
        .steps = &p->step, .steps_n = 1, .cls = AD_STORE_BULK, .cb = on_saved, .data = p
    };
    enum ad_err err = ad_store_write(st->store, &p->req);
    if (err) {
        ad_free(p);
    }
    return err;
}

/* ---- read -------------------------------------------------------------------------------- */

#define RUN_COLUMNS                                                                         \
    "id, object_id, object_slug, phase, key, key_offset, version, started_at, finished_at," \
    " pages, seen, created, updated, unchanged, deleted, calls, error"

static const struct ad_sql newest_sql = {
    .sqlite = "SELECT " RUN_COLUMNS " FROM attiod_sync_run WHERE object_id = $1"
              " ORDER BY id DESC LIMIT 1",
};
static const struct ad_sql list_sql = {
    .sqlite = "SELECT " RUN_COLUMNS " FROM attiod_sync_run"
              " ORDER BY (phase IN (4, 5)), id DESC LIMIT 50",
};

static void copy_text(char *to, size_t cap, struct ad_str from)
{
    size_t n = from.n < cap ? from.n : cap - 1;
    if (n > 0) {
        memcpy(to, from.p, n);
    }
    to[n] = '\0';
}

static void run_of(const struct ad_value *v, struct ad_sync_run *r)
{
    *r = (struct ad_sync_run){
        .id = v[0].i64,
        .object_id = v[1].str,
        .object_slug = v[2].str,
        .phase = (enum ad_sync_phase)v[3].i64,
        .offset = (unsigned)v[5].i64,
        .version = v[6].i64,
        .started_ns = v[7].i64,
        .finished_ns = v[8].i64,
        .pages = v[9].i64,
        .seen = v[10].i64,
        .created = v[11].i64,
        .updated = v[12].i64,
        .unchanged = v[13].i64,
        .deleted = v[14].i64,
        .calls = v[15].i64,
    };
    copy_text(r->key, sizeof(r->key), v[4].str);
    copy_text(r->error, sizeof(r->error), v[16].str);
}

enum ad_err ad_sync_newest(struct ad_sync_state *st, struct ad_str object_id,
                           struct ad_arena *arena, struct ad_sync_run *out)
{
    const struct ad_value value = AD_V_TEXT(object_id);
    struct ad_step step = { .sql = &newest_sql, .values = &value, .values_n = 1 };
    struct ad_store_req req = { .steps = &step, .steps_n = 1, .rows_max = 1 };
    enum ad_err err = ad_store_read_now(st->store, &req);
    if (!err && req.rows.rows == 0) {
        err = AD_ERR_NOTFOUND;
    }
    if (!err) {
        struct ad_sync_run r;
        run_of(ad_row(&req.rows, 0), &r);
        r.object_id = ad_arena_str(arena, r.object_id);
        r.object_slug = ad_arena_str(arena, r.object_slug);
        err = r.object_id.p && r.object_slug.p ? AD_OK : AD_ERR_NOMEM;
        if (!err) {
            *out = r;
        }
    }
    ad_store_rows_free(&req);
    return err;
}

/* ---- list -------------------------------------------------------------------------------- */

struct list {
    struct ad_store_req req;
    struct ad_step step;
    struct ad_sync_list *l;
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

static void write_run(struct ad_json_writer *w, const struct ad_sync_run *r)
{
    ad_json_obj(w);
    ad_json_f_i64(w, "id", r->id);
    ad_json_f_str(w, "object", r->object_slug);
    ad_json_f_str(w, "object_id", r->object_id);
    ad_json_f_cstr(w, "phase", ad_sync_phase_name(r->phase));
    write_time(w, "started_at", r->started_ns);
    write_time(w, "finished_at", r->finished_ns);
    ad_json_f_i64(w, "pages", r->pages);
    ad_json_f_i64(w, "seen", r->seen);
    ad_json_f_i64(w, "created", r->created);
    ad_json_f_i64(w, "updated", r->updated);
    ad_json_f_i64(w, "unchanged", r->unchanged);
    ad_json_f_i64(w, "deleted", r->deleted);
    ad_json_f_i64(w, "calls", r->calls);
    ad_json_f_cstr(w, "error", *r->error ? r->error : NULL);
    ad_json_end(w);
}

static void on_listed(struct ad_store_req *req)
{
    struct list *p = req->data;
    struct ad_sync_list *l = p->l;
    struct ad_json_writer w;
    ad_json_write_init(&w, l->out);
    ad_json_arr(&w);
    for (size_t i = 0; i < req->rows.rows; i++) {
        struct ad_sync_run r;
        run_of(ad_row(&req->rows, i), &r);
        write_run(&w, &r);
    }
    ad_json_end(&w);
    enum ad_err written = ad_json_write_done(&w);
    l->err = req->err ? req->err : written;
    l->info = req->info;
    ad_free(p);
    l->cb(l);
}

enum ad_err ad_sync_list(struct ad_sync_state *st, struct ad_sync_list *l)
{
    struct list *p = ad_zalloc(sizeof(*p));
    if (!p) {
        return ad_fail(&l->info, AD_ERR_NOMEM, "no memory");
    }
    p->l = l;
    p->step = (struct ad_step){ .sql = &list_sql };
    p->req = (struct ad_store_req){
        .steps = &p->step, .steps_n = 1, .rows_max = LIST_MAX, .cb = on_listed, .data = p
    };
    enum ad_err err = ad_store_read(st->store, &p->req);
    if (err) {
        ad_free(p);
    }
    return err;
}
