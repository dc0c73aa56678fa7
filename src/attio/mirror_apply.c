/* Answers and deletes into rows: the way through refs, batches and chunks.
 *
 * A sync page is in the order of creation: what stands in SQL for a batch of it is one interval of
 * the index on that, not a hundred places of another. A row that is there and not in the interval (a
 * tombstone of a record never seen) is found by inserting: what was there already is looked for by
 * id in the end. */
#include "attio/mirror.h"

#include "base/json_write.h"
#include "base/mem.h"
#include "mirror_apply_private.h"

/* Of one look at what stands in SQL: what it brings is small enough to be kept and used again. An
 * interval may have a few more, of records that the page does not show any more. */
#define BATCH_MAX 100
#define LOOK_MAX 150
#define BATCH_BYTES ((size_t)4 << 20)
#define JSON_MAX ((size_t)16 << 20)

/* --- Batches --- */

static void on_existing(struct ad_store_req *req);

static enum ad_err write_ids(struct apply *w)
{
    struct ad_json_writer j;
    ad_buf_clear(&w->json);
    ad_json_write_init(&j, &w->json);
    ad_json_arr(&j);
    for (size_t i = w->batch_from; i < w->batch_to; i++) {
        ad_json_w_str(&j, w->answer.refs[i].id);
    }
    ad_json_end(&j);
    return ad_json_write_done(&j);
}

/* The batch as an interval of creation times, if it is one. */
static bool is_interval(const struct apply *w)
{
    bool is = w->op->bulk && !w->by_id && w->batch_to - w->batch_from > 1;
    for (size_t i = w->batch_from; is && i < w->batch_to; i++) {
        const struct ref *r = &w->answer.refs[i];
        is = r->timed && (i == w->batch_from || r->created_ns >= r[-1].created_ns);
    }
    return is;
}

static void look_by_interval(struct apply *w)
{
    w->values[1] = AD_V_I64(w->answer.refs[w->batch_from].created_ns);
    w->values[2] = AD_V_I64(w->answer.refs[w->batch_to - 1].created_ns);
    w->step = (struct ad_step){ .sql = &w->work.table->shape->sql[AD_SHAPE_EXISTING_RANGE],
                                .values = w->values,
                                .values_n = 3 };
}

static enum ad_err look_by_id(struct apply *w)
{
    enum ad_err err = write_ids(w);
    w->by_id = true;
    w->values[1] = AD_V_TEXT(ad_buf_str(&w->json));
    w->step = (struct ad_step){ .sql = &w->work.table->shape->sql[AD_SHAPE_EXISTING],
                                .values = w->values,
                                .values_n = 2 };
    return err;
}

/* Asks what stands in SQL for the records from batch_from on. */
static enum ad_err look(struct apply *w)
{
    size_t bytes = 0;
    enum ad_err err = AD_OK;
    w->batch_to = w->batch_from;
    while (w->batch_to < w->answer.n && w->batch_to - w->batch_from < w->batch_max &&
           (bytes == 0 || bytes + w->answer.refs[w->batch_to].raw.n <= BATCH_BYTES)) {
        bytes += w->answer.refs[w->batch_to++].raw.n;
    }
    w->values[0] = AD_V_TEXT(w->op->workspace_id);
    if (is_interval(w)) {
        look_by_interval(w);
    } else {
        err = look_by_id(w);
    }
    w->req = (struct ad_store_req){
        .steps = &w->step, .steps_n = 1, .rows_max = LOOK_MAX, .cb = on_existing
    };
    err = err ? err : ad_store_read(w->mirror->o.store, &w->req);
    w->looking = err == AD_OK;
    return err;
}

enum { COL_ID, COL_VERSION, COL_ACCURATE_AT, COL_DELETED, COL_RAW };

static enum fate fate_of(const struct apply *w, const struct ref *r, const struct ad_value *row)
{
    bool older = *w->accurate_at && row[COL_ACCURATE_AT].str.p &&
                 ad_str_cmp(ad_str_c(w->accurate_at), row[COL_ACCURATE_AT].str) < 0;
    enum fate fate = row[COL_VERSION].i64 >= w->op->version
                         ? FATE_STALE
                         : ad__late_fate(w->work.table, w->op, r->id);
    if (fate == FATE_STALE || fate == FATE_BEHIND || older) {
        return fate == FATE_STALE ? FATE_STALE : FATE_BEHIND;
    }
    if (w->deletes) {
        return FATE_DELETED;
    }
    bool same = !row[COL_DELETED].i64 && ad_str_eq(row[COL_RAW].str, r->raw);
    return same ? FATE_UNCHANGED : FATE_UPDATED;
}

/* Everything is new, but for what SQL has. */
static void set_fates(struct apply *w, const struct ad_rows *rows)
{
    ad_map_init(&w->batch);
    for (size_t i = w->batch_from; i < w->batch_to; i++) {
        struct ref *r = &w->answer.refs[i];
        r->fate = FATE_STALE; /* listed twice: the first one counts */
        if (!ad_map_get(&w->batch, r->id)) {
            r->fate = w->deletes ? FATE_DELETED : FATE_CREATED;
            ad_map_put(&w->batch, &r->node, r->id);
        }
    }
    for (size_t i = 0; i < rows->rows; i++) {
        const struct ad_value *row = ad_row(rows, i);
        struct ad_map_node *node = ad_map_get(&w->batch, row[COL_ID].str);
        if (node) {
            struct ref *r = ad_container_of(node, struct ref, node);
            r->fate = fate_of(w, r, row);
        }
    }
    ad_map_fini(&w->batch);
}

static void tell_behind(struct apply *w)
{
    for (size_t i = w->batch_from; w->op->on_behind && i < w->batch_to; i++) {
        if (w->answer.refs[i].fate == FATE_BEHIND) {
            w->op->on_behind(w->op, w->answer.refs[i].id);
        }
    }
}

/* There were more rows than could be had at once: of an interval, or because they are much larger
 * than the answer. */
static enum ad_err look_again(struct apply *w)
{
    if (w->by_id) {
        w->batch_max = (w->batch_to - w->batch_from + 1) / 2;
    }
    w->by_id = true;
    return look(w);
}

static void on_existing(struct ad_store_req *req)
{
    struct apply *w = ad_container_of(req, struct apply, req);
    enum ad_err err = req->err;
    w->looking = false;
    if (!err && req->more && (!w->by_id || w->batch_max > 1)) {
        err = look_again(w);
    } else if (!err) {
        set_fates(w, &req->rows);
        tell_behind(w);
        err = ad__late_remember(w->work.table, w->op, &w->answer.refs[w->batch_from],
                                w->batch_to - w->batch_from);
    }
    ad__apply_go_on(w, err, &req->info);
}

/* Those that were held to be new, from their beginning. */
static enum ad_err again(struct apply *w)
{
    size_t n = 0;
    for (size_t i = 0; i < w->answer.n; i++) {
        if (w->answer.refs[i].again) {
            w->answer.refs[n] = w->answer.refs[i];
            w->answer.refs[n++].again = false;
        }
    }
    w->answer.n = n;
    w->again = w->at = w->batch_from = 0;
    w->by_id = true;
    return look(w);
}

/* On to the next chunks that have something to write, or the next batch. */
static enum ad_err next(struct apply *w)
{
    enum ad_err err = ad__chunks_gather(w);
    if (err || w->busy > 0) {
        return err;
    }
    if (!ad__chunks_want_more(w) && w->at < w->answer.n) {
        w->batch_from = w->batch_to;
        w->by_id = false;
        return look(w);
    }
    err = ad__chunks_submit(w);
    return err || w->busy > 0 || w->again == 0 ? err : again(w);
}

void ad__apply_go_on(struct apply *w, enum ad_err err, const struct ad_errinfo *info)
{
    if (err && !w->err) {
        w->err = err;
        w->info = *info;
    }
    if (!w->err && !w->looking) {
        w->err = next(w);
    }
    if (w->busy == 0 && !w->looking) {
        ad__work_end(&w->work, w->err, w->info.code ? &w->info : NULL);
    }
}

/* --- The operations --- */

static void apply_free(struct apply *w)
{
    ad__chunks_fini(w);
    ad__answer_fini(&w->answer);
    ad_map_fini(&w->batch);
    ad_buf_fini(&w->json);
    ad_free(w);
}

static void apply_finish(struct ad_mirror_work *work, enum ad_err err,
                         const struct ad_errinfo *info)
{
    struct apply *w = ad_container_of(work, struct apply, work);
    struct ad_mirror_op *op = w->op;
    op->err = err;
    op->info = *info;
    op->impl = NULL;
    apply_free(w);
    op->cb(op);
}

static enum ad_err apply_run(struct ad_mirror_work *work)
{
    struct apply *w = ad_container_of(work, struct apply, work);
    return ad__late_refuses(work->table, w->op) ? AD_ERR_BUSY : look(w);
}

static struct apply *apply_new(struct ad_mirror *m, struct ad_mirror_op *op)
{
    struct apply *w = ad_zalloc(sizeof(*w));
    if (!w) {
        return NULL;
    }
    w->mirror = m;
    w->op = op;
    w->batch_max = BATCH_MAX;
    w->work.run = apply_run;
    w->work.finish = apply_finish;
    ad__answer_init(&w->answer, op->object->kind, &op->info);
    ad__chunks_init(w);
    ad_buf_init(&w->json, JSON_MAX);
    (void)ad_time_format(ad_wall_ns(m->o.clock), 3, w->now);
    if (op->accurate_ns) {
        (void)ad_time_format(op->accurate_ns, 9, w->accurate_at); /* compared as text in SQL */
    }
    op->err = AD_OK;
    op->seen = op->created = op->updated = op->unchanged = op->stale = 0;
    return w;
}

static enum ad_err check(struct ad_mirror_op *op)
{
    if (!op->object || op->version <= 0 || !op->workspace_id.n) {
        return ad_fail(&op->info, AD_ERR_INVALID, "the mirror needs object, version, workspace");
    }
    return AD_OK;
}

static enum ad_err submit(struct apply *w)
{
    struct ad_mirror_op *op = w->op;
    op->seen = (unsigned)w->answer.n;
    enum ad_err err = ad__work_submit(w->mirror, op->object, &w->work);
    if (err) {
        ad_fail(&op->info, err, "mirror: %s", ad_err_text(err));
        apply_free(w);
    }
    return err;
}

enum ad_err ad_mirror_apply(struct ad_mirror *m, struct ad_mirror_op *op, struct ad_str response)
{
    enum ad_err err = check(op);
    struct apply *w = err ? NULL : apply_new(m, op);
    if (!w) {
        return err ? err : ad_fail(&op->info, AD_ERR_NOMEM, "no memory for the answer");
    }
    err = ad__answer_read(&w->answer, response, op->lent);
    if (err) {
        apply_free(w);
        return err;
    }
    for (size_t i = 0; op->on_record && i < w->answer.n; i++) {
        op->on_record(op, w->answer.refs[i].id, w->answer.refs[i].created_at);
    }
    return submit(w);
}

enum ad_err ad_mirror_delete(struct ad_mirror *m, struct ad_mirror_op *op, const struct ad_str *ids,
                             size_t n)
{
    enum ad_err err = check(op);
    struct apply *w = err ? NULL : apply_new(m, op);
    if (!w) {
        return err ? err : ad_fail(&op->info, AD_ERR_NOMEM, "no memory to delete");
    }
    w->deletes = true;
    for (size_t i = 0; !err && i < n; i++) {
        struct ref *r = ad_str_is_uuid(ids[i]) ? ad__answer_add(&w->answer) : NULL;
        if (r) {
            r->id = ad_arena_str(&w->answer.arena, ids[i]);
        }
        if (!r || !r->id.p) {
            err = ad_str_is_uuid(ids[i]) ? AD_ERR_NOMEM : AD_ERR_INVALID;
            ad_fail(&op->info, err, "cannot delete record %zu", i);
        }
    }
    if (err) {
        apply_free(w);
        return err;
    }
    return submit(w);
}
