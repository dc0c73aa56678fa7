#include "attio/merges.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/json_write.h"
#include "base/mem.h"
#include "infra/store.h"

struct ad_merges {
    struct ad_store *store;
    const struct ad_clock *clock;
    size_t open;
};

static const struct ad_sql put_sql = {
    .sqlite = "INSERT INTO attiod_merge (workspace_id, object_id, old_id, new_id, merged_at)"
              " VALUES ($1, $2, $3, $4, $5)"
              " ON CONFLICT (workspace_id, object_id, old_id) DO UPDATE SET"
              " new_id = excluded.new_id WHERE new_id <> excluded.new_id",
};

/* A circle, which only garbage can make, has no end and is not found; 32 is no real chain. */
static const struct ad_sql find_sql = {
    .sqlite =
        "WITH RECURSIVE chain (old_id, new_id, n) AS ("
        " SELECT old_id, new_id, 1 FROM attiod_merge WHERE workspace_id = $1 AND object_id = $2"
        " AND old_id IN (SELECT value FROM json_each($3))"
        " UNION ALL SELECT chain.old_id, m.new_id, n + 1 FROM chain JOIN attiod_merge m ON"
        " m.workspace_id = $1 AND m.object_id = $2 AND m.old_id = chain.new_id WHERE n < 32)"
        " SELECT old_id, new_id FROM chain WHERE NOT EXISTS (SELECT 1 FROM attiod_merge m WHERE"
        " m.workspace_id = $1 AND m.object_id = $2 AND m.old_id = chain.new_id)",
};

enum ad_err ad_merges_open(struct ad_store *store, const struct ad_clock *clock,
                           struct ad_merges **out)
{
    struct ad_merges *m = ad_zalloc(sizeof(*m));
    if (!m) {
        return AD_ERR_NOMEM;
    }
    m->store = store;
    m->clock = clock;
    *out = m;
    return AD_OK;
}

void ad_merges_close(struct ad_merges *m)
{
    AD_ASSERT(m->open == 0);
    ad_free(m);
}

/* --- Put --- */

struct put {
    struct ad_merges *merges;
    struct ad_merge_put *p;
    struct ad_value values[5];
    struct ad_step step;
    struct ad_store_req req;
};

static void on_put(struct ad_store_req *req)
{
    struct put *w = ad_container_of(req, struct put, req);
    struct ad_merge_put *p = w->p;
    p->err = req->err;
    p->info = req->info;
    p->impl = NULL;
    w->merges->open--;
    ad_free(w);
    p->cb(p);
}

enum ad_err ad_merges_put(struct ad_merges *m, struct ad_merge_put *p)
{
    if (!ad_str_is_uuid(p->old_id) || !ad_str_is_uuid(p->new_id) ||
        ad_str_eq(p->old_id, p->new_id)) {
        return AD_ERR_INVALID;
    }
    struct put *w = ad_zalloc(sizeof(*w));
    if (!w) {
        return AD_ERR_NOMEM;
    }
    w->merges = m;
    w->p = p;
    w->values[0] = AD_V_TEXT(p->workspace_id);
    w->values[1] = AD_V_TEXT(p->object_id);
    w->values[2] = AD_V_TEXT(p->old_id);
    w->values[3] = AD_V_TEXT(p->new_id);
    w->values[4] = AD_V_I64(ad_wall_ns(m->clock));
    w->step = (struct ad_step){ .sql = &put_sql, .values = w->values, .values_n = 5 };
    w->req = (struct ad_store_req){
        .steps = &w->step, .steps_n = 1, .cls = AD_STORE_NORMAL, .cb = on_put
    };
    enum ad_err err = ad_store_write(m->store, &w->req);
    if (err) {
        ad_free(w);
        return err;
    }
    p->impl = w;
    m->open++;
    return AD_OK;
}

/* --- Find --- */

#define IDS_BYTES_MAX ((size_t)64 << 10)

struct find {
    struct ad_merges *merges;
    struct ad_merge_find *f;
    struct ad_buf ids;
    struct ad_value values[3];
    struct ad_step step;
    struct ad_store_req req;
    struct ad_merge found[AD_MERGES_FIND_MAX];
};

static void find_free(struct find *w)
{
    ad_buf_fini(&w->ids);
    ad_free(w);
}

static void on_found(struct ad_store_req *req)
{
    struct find *w = ad_container_of(req, struct find, req);
    struct ad_merge_find *f = w->f;
    f->err = req->err;
    f->info = req->info;
    f->merges = w->found;
    f->merges_n = 0;
    f->impl = NULL;
    for (size_t i = 0; !req->err && i < req->rows.rows && i < AD_MERGES_FIND_MAX; i++) {
        const struct ad_value *row = ad_row(&req->rows, i);
        w->found[f->merges_n++] = (struct ad_merge){ row[0].str, row[1].str };
    }
    w->merges->open--;
    f->cb(f);
    find_free(w); /* after cb: what was found is in it */
}

static enum ad_err write_ids(struct ad_buf *out, const struct ad_str *ids, size_t n)
{
    struct ad_json_writer j;
    bool sound = n <= AD_MERGES_FIND_MAX;
    ad_json_write_init(&j, out);
    ad_json_arr(&j);
    for (size_t i = 0; sound && i < n; i++) {
        sound = ad_str_is_uuid(ids[i]);
        ad_json_w_str(&j, ids[i]);
    }
    ad_json_end(&j);
    enum ad_err err = ad_json_write_done(&j);
    return sound ? err : AD_ERR_INVALID;
}

enum ad_err ad_merges_find(struct ad_merges *m, struct ad_merge_find *f, const struct ad_str *ids,
                           size_t n)
{
    struct find *w = ad_zalloc(sizeof(*w));
    if (!w) {
        return AD_ERR_NOMEM;
    }
    w->merges = m;
    w->f = f;
    ad_buf_init(&w->ids, IDS_BYTES_MAX);
    enum ad_err err = write_ids(&w->ids, ids, n);
    w->values[0] = AD_V_TEXT(f->workspace_id);
    w->values[1] = AD_V_TEXT(f->object_id);
    w->values[2] = AD_V_TEXT(ad_buf_str(&w->ids));
    w->step = (struct ad_step){ .sql = &find_sql, .values = w->values, .values_n = 3 };
    w->req = (struct ad_store_req){
        .steps = &w->step, .steps_n = 1, .rows_max = AD_MERGES_FIND_MAX, .cb = on_found
    };
    err = err ? err : ad_store_read(m->store, &w->req);
    if (err) {
        find_free(w);
        return err;
    }
    f->impl = w;
    m->open++;
    return AD_OK;
}
