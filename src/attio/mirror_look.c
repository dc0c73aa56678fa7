/* Which records carry a tombstone; what hangs on a record. */
#include "attio/mirror.h"

#include "base/json_write.h"
#include "base/mem.h"
#include "mirror_private.h"

#define IDS_BYTES_MAX ((size_t)64 << 10)

struct look {
    struct ad_mirror_work work;
    struct ad_mirror *mirror;
    struct ad_mirror_look *l;
    struct ad_buf ids;
    struct ad_value values[2];
    struct ad_step step;
    struct ad_store_req req;
    struct ad_str deleted[AD_MIRROR_LOOK_MAX];
};

static void look_free(struct look *w)
{
    ad_buf_fini(&w->ids);
    ad_free(w);
}

static void look_finish(struct ad_mirror_work *work, enum ad_err err, const struct ad_errinfo *info)
{
    struct look *w = ad_container_of(work, struct look, work);
    struct ad_mirror_look *l = w->l;
    l->err = err;
    l->info = *info;
    l->deleted = w->deleted;
    l->cb(l);
    look_free(w); /* after cb: the ids are in it */
}

static void on_looked(struct ad_store_req *req)
{
    struct look *w = ad_container_of(req, struct look, req);
    for (size_t i = 0; !req->err && i < req->rows.rows; i++) {
        w->deleted[w->l->deleted_n++] = ad_row(&req->rows, i)[0].str;
    }
    ad__work_end(&w->work, req->err, &req->info);
}

static enum ad_err look_run(struct ad_mirror_work *work)
{
    struct look *w = ad_container_of(work, struct look, work);
    w->values[0] = AD_V_TEXT(w->l->workspace_id);
    w->values[1] = AD_V_TEXT(ad_buf_str(&w->ids));
    w->step = (struct ad_step){ .sql = &work->table->shape->sql[AD_SHAPE_TOMBSTONES],
                                .values = w->values,
                                .values_n = 2 };
    w->req = (struct ad_store_req){
        .steps = &w->step, .steps_n = 1, .rows_max = AD_MIRROR_LOOK_MAX, .cb = on_looked
    };
    return ad_store_read(w->mirror->o.store, &w->req);
}

static enum ad_err write_ids(struct ad_buf *out, const struct ad_str *ids, size_t n)
{
    struct ad_json_writer j;
    ad_json_write_init(&j, out);
    ad_json_arr(&j);
    for (size_t i = 0; i < n; i++) {
        ad_json_w_str(&j, ids[i]);
    }
    ad_json_end(&j);
    return ad_json_write_done(&j);
}

enum ad_err ad_mirror_tombstones(struct ad_mirror *m, struct ad_mirror_look *l,
                                 const struct ad_str *ids, size_t n)
{
    if (!l->object || !l->workspace_id.n || n > AD_MIRROR_LOOK_MAX) {
        return ad_fail(&l->info, AD_ERR_INVALID, "look: an argument is wrong");
    }
    struct look *w = ad_zalloc(sizeof(*w));
    if (!w) {
        return ad_fail(&l->info, AD_ERR_NOMEM, "no memory to look for tombstones");
    }
    w->mirror = m;
    w->l = l;
    l->deleted_n = 0;
    w->work.run = look_run;
    w->work.finish = look_finish;
    ad_buf_init(&w->ids, IDS_BYTES_MAX);
    enum ad_err err = write_ids(&w->ids, ids, n);
    err = err ? err : ad__work_submit(m, l->object, &w->work);
    if (err) {
        look_free(w);
        return ad_fail(&l->info, err, "%s", ad_err_text(err));
    }
    return AD_OK;
}

/* --- Children --- */

struct children {
    struct ad_mirror_work work;
    struct ad_mirror *mirror;
    struct ad_mirror_children *c;
    struct ad_value values[4];
    struct ad_step step;
    struct ad_store_req req;
    struct ad_str ids[AD_MIRROR_LOOK_MAX];
};

static void children_finish(struct ad_mirror_work *work, enum ad_err err,
                            const struct ad_errinfo *info)
{
    struct children *w = ad_container_of(work, struct children, work);
    struct ad_mirror_children *c = w->c;
    c->err = err;
    c->info = *info;
    c->ids = w->ids;
    c->cb(c);
    ad_free(w); /* after cb: the ids are in it */
}

static void on_children(struct ad_store_req *req)
{
    struct children *w = ad_container_of(req, struct children, req);
    w->c->more = req->more;
    for (size_t i = 0; !req->err && i < req->rows.rows; i++) {
        w->ids[w->c->ids_n++] = ad_row(&req->rows, i)[0].str;
    }
    ad__work_end(&w->work, req->err, &req->info);
}

static enum ad_err children_run(struct ad_mirror_work *work)
{
    struct children *w = ad_container_of(work, struct children, work);
    const struct ad_mirror_children *c = w->c;
    w->values[0] = AD_V_TEXT(c->workspace_id);
    w->values[1] = AD_V_TEXT(c->record_id);
    w->values[2] = AD_V_TEXT(c->after.p ? c->after : AD_STR(""));
    w->values[3] = AD_V_I64(AD_MIRROR_LOOK_MAX + 1);
    w->step = (struct ad_step){ .sql = &work->table->shape->sql[AD_SHAPE_CHILDREN],
                                .values = w->values,
                                .values_n = 4 };
    w->req = (struct ad_store_req){
        .steps = &w->step, .steps_n = 1, .rows_max = AD_MIRROR_LOOK_MAX, .cb = on_children
    };
    return ad_store_read(w->mirror->o.store, &w->req);
}

enum ad_err ad_mirror_children(struct ad_mirror *m, struct ad_mirror_children *c)
{
    if (!c->object || !ad__kind_shape(c->object->kind)->parent || !c->workspace_id.n ||
        !c->record_id.n) {
        return ad_fail(&c->info, AD_ERR_INVALID, "children: an argument is wrong");
    }
    struct children *w = ad_zalloc(sizeof(*w));
    if (!w) {
        return ad_fail(&c->info, AD_ERR_NOMEM, "no memory to look for what hangs on a record");
    }
    w->mirror = m;
    w->c = c;
    c->ids_n = 0;
    c->more = false;
    w->work.run = children_run;
    w->work.finish = children_finish;
    enum ad_err err = ad__work_submit(m, c->object, &w->work);
    if (err) {
        ad_free(w);
        return ad_fail(&c->info, err, "%s", ad_err_text(err));
    }
    return AD_OK;
}
