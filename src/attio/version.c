#include "attio/version.h"

#include "base/log.h"
#include "base/mem.h"
#include "infra/store.h"

static const struct ad_sql reserve_sql = {
    .sqlite = "INSERT INTO attiod_sequence (name, value) VALUES ('version', $1)"
              " ON CONFLICT (name) DO UPDATE SET value = value + $1 RETURNING value",
};

struct ad_versions {
    struct ad_store *store;
    int64_t next, end;             /* the rest of the block in use: [next, end) */
    int64_t spare_next, spare_end; /* the one after it, when reserved */
    bool reserving, closed;
    struct ad_value size;
    struct ad_step step;
    struct ad_store_req req;
};

static void prepare(struct ad_versions *v)
{
    v->size = AD_V_I64(AD_VERSION_BLOCK);
    v->step = (struct ad_step){ .sql = &reserve_sql, .values = &v->size, .values_n = 1 };
    v->req = (struct ad_store_req){ .steps = &v->step, .steps_n = 1, .cls = AD_STORE_NORMAL };
}

/* The row holds the last number of the block just reserved. */
static enum ad_err read_block(const struct ad_store_req *req, int64_t *next, int64_t *end)
{
    if (req->rows.rows != 1 || req->rows.columns != 1) {
        return AD_ERR_STORE;
    }
    int64_t last = ad_row(&req->rows, 0)[0].i64;
    if (last < AD_VERSION_BLOCK) {
        return AD_ERR_CORRUPT;
    }
    *next = last - AD_VERSION_BLOCK + 1;
    *end = last + 1;
    return AD_OK;
}

static void on_reserved(struct ad_store_req *req)
{
    struct ad_versions *v = ad_container_of(req, struct ad_versions, req);
    v->reserving = false;
    if (v->closed) {
        ad_free(v);
        return;
    }
    enum ad_err err = req->err ? req->err : read_block(req, &v->spare_next, &v->spare_end);
    if (err) {
        ad_log(AD_LOG_WARN, "version_block_not_reserved", AD_KE("err", err),
               AD_KI("left", v->end - v->next));
    }
}

/* A failure is tried again when the next number is taken. */
static void reserve(struct ad_versions *v)
{
    prepare(v);
    v->req.cb = on_reserved;
    v->reserving = ad_store_write(v->store, &v->req) == AD_OK;
}

int64_t ad_versions_next(struct ad_versions *v)
{
    if (v->next == v->end && v->spare_end) {
        v->next = v->spare_next;
        v->end = v->spare_end;
        v->spare_end = 0;
    }
    if (!v->reserving && !v->spare_end && v->end - v->next <= AD_VERSION_BLOCK / 2) {
        reserve(v);
    }
    return v->next < v->end ? v->next++ : 0;
}

/* --- After a restore --- */

/* The newest entry moves; whoever had read it reads it once more. */
static const struct ad_sql feed_leap_sql = {
    .sqlite = "UPDATE attiod_change SET seq = seq + $1"
              " WHERE seq = (SELECT max(seq) FROM attiod_change)",
};

struct leaping {
    struct ad_versions *v;
    struct ad_versions_leap *leap;
    struct ad_value size;
    struct ad_step steps[2];
    struct ad_store_req req;
};

static void on_leapt(struct ad_store_req *req)
{
    struct leaping *l = ad_container_of(req, struct leaping, req);
    struct ad_versions_leap *leap = l->leap;
    struct ad_versions *v = l->v;
    int64_t from = 0;
    int64_t end = 0;
    leap->info = req->info;
    leap->err = req->err ? req->err : read_block(req, &from, &end);
    if (!leap->err) { /* what is left of the block in use is below */
        v->next = from;
        v->end = end;
        v->spare_next = v->spare_end = 0;
    }
    leap->impl = NULL;
    ad_free(l);
    leap->cb(leap);
}

enum ad_err ad_versions_leap(struct ad_versions *v, struct ad_versions_leap *leap)
{
    struct leaping *l = ad_zalloc(sizeof(*l));
    if (!l) {
        return AD_ERR_NOMEM;
    }
    l->v = v;
    l->leap = leap;
    l->size = AD_V_I64(AD_VERSION_LEAP);
    l->steps[0] = (struct ad_step){ .sql = &feed_leap_sql, .values = &l->size, .values_n = 1 };
    l->steps[1] = (struct ad_step){ .sql = &reserve_sql, .values = &l->size, .values_n = 1 };
    l->req = (struct ad_store_req){
        .steps = l->steps, .steps_n = 2, .cls = AD_STORE_NORMAL, .cb = on_leapt
    };
    leap->impl = l;
    enum ad_err err = ad_store_write(v->store, &l->req);
    if (err) {
        leap->impl = NULL;
        ad_free(l);
    }
    return err;
}

static enum ad_err reserve_now(struct ad_versions *v, struct ad_errinfo *info)
{
    prepare(v);
    enum ad_err err = ad_store_write_now(v->store, &v->req);
    if (err) {
        err = ad_fail(info, err, "cannot reserve versions: %s", v->req.info.msg);
    } else if ((err = read_block(&v->req, &v->next, &v->end))) {
        err = ad_fail(info, err, "attiod_sequence holds no sound version");
    }
    ad_store_rows_free(&v->req);
    return err;
}

enum ad_err ad_versions_open(struct ad_store *store, struct ad_versions **out,
                             struct ad_errinfo *info)
{
    struct ad_versions *v = ad_zalloc(sizeof(*v));
    if (!v) {
        return ad_fail(info, AD_ERR_NOMEM, "no memory for the versions");
    }
    v->store = store;
    enum ad_err err = reserve_now(v, info);
    if (err) {
        ad_free(v);
        return err;
    }
    *out = v;
    return AD_OK;
}

void ad_versions_close(struct ad_versions *v)
{
    if (v->reserving) {
        v->closed = true;
        return;
    }
    ad_free(v);
}
