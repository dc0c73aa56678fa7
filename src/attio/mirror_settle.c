/* Events settled with no row. */
#include "attio/mirror.h"

#include "base/mem.h"
#include "inbox_private.h"
#include "mirror_private.h"

#define JSON_MAX ((size_t)16 << 20)

struct settle {
    struct ad_mirror *mirror;
    struct ad_mirror_op *op;
    struct ad_buf json;
    struct ad_value value;
    struct ad_step step;
    struct ad_store_req req;
};

static void on_settled(struct ad_store_req *req)
{
    struct settle *w = ad_container_of(req, struct settle, req);
    struct ad_mirror_op *op = w->op;
    op->err = req->err;
    op->info = req->info;
    if (!req->err) {
        ad_inbox_note_done(w->mirror->o.inbox, w->step.changes);
    }
    w->mirror->works--;
    ad_buf_fini(&w->json);
    ad_free(w);
    op->cb(op);
}

enum ad_err ad_mirror_settle(struct ad_mirror *m, struct ad_mirror_op *op)
{
    if (op->done_n == 0) {
        return ad_fail(&op->info, AD_ERR_INVALID, "nothing to settle");
    }
    struct settle *w = ad_zalloc(sizeof(*w));
    if (!w) {
        return ad_fail(&op->info, AD_ERR_NOMEM, "no memory to settle events");
    }
    w->mirror = m;
    w->op = op;
    op->seen = op->created = op->updated = op->unchanged = op->stale = 0;
    ad_buf_init(&w->json, JSON_MAX);
    enum ad_err err = ad__inbox_write_seqs(&w->json, op->done, op->done_n);
    w->value = AD_V_TEXT(ad_buf_str(&w->json));
    w->step = (struct ad_step){ .sql = &ad__inbox_done_sql, .values = &w->value, .values_n = 1 };
    w->req = (struct ad_store_req){
        .steps = &w->step, .steps_n = 1, .cls = AD_STORE_NORMAL, .cb = on_settled
    };
    err = err ? err : ad_store_write(m->o.store, &w->req);
    if (err) {
        ad_buf_fini(&w->json);
        ad_free(w);
        return ad_fail(&op->info, err, "mirror: %s", ad_err_text(err));
    }
    m->works++;
    return AD_OK;
}
