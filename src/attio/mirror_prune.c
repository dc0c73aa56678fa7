/* Old tombstones go, and entries of the change feed with them. */
#include "attio/mirror.h"

#include "base/mem.h"
#include "mirror_private.h"

#define PRUNE_MAX 1000

struct prune {
    struct ad_mirror_work work;
    struct ad_mirror *mirror;
    struct ad_mirror_prune *p;
    char before[AD_TIME_MAX];
    struct ad_value values[2];
    struct ad_step steps[3];
    struct ad_store_req req;
};

/* Entries stand in order of time, nearly: those before the first that is young enough. The newest stays,
 * so that its number is not used again. */
static const struct ad_sql mark_sql = {
    .sqlite =
        "INSERT INTO attiod_meta (key, value) SELECT 'changes_pruned', upper FROM (SELECT"
        " coalesce(min(CASE WHEN at >= $1 THEN seq END) - 1, max(seq)) AS upper FROM (SELECT"
        " seq, at FROM attiod_change WHERE seq < (SELECT max(seq) FROM attiod_change) ORDER BY"
        " seq LIMIT $2)) WHERE upper IS NOT NULL ON CONFLICT (key) DO UPDATE SET value ="
        " excluded.value",
};
static const struct ad_sql entries_sql = {
    .sqlite =
        "DELETE FROM attiod_change WHERE seq <= (SELECT CAST(value AS INTEGER) FROM attiod_meta"
        " WHERE key = 'changes_pruned')",
};

static void prune_finish(struct ad_mirror_work *work, enum ad_err err,
                         const struct ad_errinfo *info)
{
    struct prune *w = ad_container_of(work, struct prune, work);
    struct ad_mirror_prune *p = w->p;
    p->err = err;
    p->info = *info;
    p->removed = err ? 0 : w->steps[0].changes + w->steps[2].changes;
    ad_free(w);
    p->cb(p);
}

static void on_pruned(struct ad_store_req *req)
{
    struct prune *w = ad_container_of(req, struct prune, req);
    ad__work_end(&w->work, req->err, &req->info);
}

static enum ad_err prune_run(struct ad_mirror_work *work)
{
    struct prune *w = ad_container_of(work, struct prune, work);
    w->values[0] = AD_V_TEXT(ad_time_format(w->p->before_ns, 3, w->before));
    w->values[1] = AD_V_I64(w->p->max);
    w->steps[0] = (struct ad_step){ .sql = &work->table->shape->sql[AD_SHAPE_PRUNE],
                                    .values = w->values,
                                    .values_n = 2 };
    w->steps[1] = (struct ad_step){ .sql = &mark_sql, .values = w->values, .values_n = 2 };
    w->steps[2] = (struct ad_step){ .sql = &entries_sql };
    w->req = (struct ad_store_req){
        .steps = w->steps, .steps_n = 3, .cls = AD_STORE_BULK, .cb = on_pruned
    };
    return ad_store_write(w->mirror->o.store, &w->req);
}

enum ad_err ad_mirror_prune(struct ad_mirror *m, struct ad_mirror_prune *p)
{
    if (!p->object || p->max == 0 || p->max > PRUNE_MAX) {
        return ad_fail(&p->info, AD_ERR_INVALID, "prune: an argument is wrong");
    }
    struct prune *w = ad_zalloc(sizeof(*w));
    if (!w) {
        return ad_fail(&p->info, AD_ERR_NOMEM, "no memory to prune");
    }
    w->mirror = m;
    w->p = p;
    w->work.run = prune_run;
    w->work.finish = prune_finish;
    enum ad_err err = ad__work_submit(m, p->object, &w->work);
    if (err) {
        ad_free(w);
        return ad_fail(&p->info, err, "%s", ad_err_text(err));
    }
    return AD_OK;
}
