/* Open, close, the queue of operations on each object, and the reads. */
#include "attio/mirror.h"

#include "base/mem.h"
#include "mirror_private.h"

#define LATE_MS 120000
/* At Attio's pace more than are shown in that time. */
#define UNCHANGED_MAX (256U << 10)

/* --- The queue --- */

static bool in_shape(const struct ad_mirror_table *t)
{
    return t->shape && t->shape->generation == t->object->generation &&
           t->shape->names_generation == ad_schema_names_generation(t->mirror->o.schema);
}

/* Starts the first one, unless one is under way. Those that cannot start go to `failed`. */
static void pump(struct ad_mirror_table *t, struct ad_list *failed)
{
    while (!t->busy && !ad_list_empty(&t->queue)) {
        struct ad_mirror_work *w = ad_container_of(t->queue.next, struct ad_mirror_work, link);
        t->busy = true;
        w->err = in_shape(t) ? w->run(w) : ad__table_ensure(t);
        if (w->err) {
            t->busy = false;
            ad_fail(&w->info, w->err, "%s", ad_err_text(w->err));
            ad_list_remove(&w->link);
            ad_list_push(failed, &w->link);
        }
    }
}

/* Calls the users, who may do anything, close the mirror too: only the list is touched. */
static void finish_all(struct ad_list *ended)
{
    for (struct ad_list *l = ad_list_pop(ended); l; l = ad_list_pop(ended)) {
        struct ad_mirror_work *w = ad_container_of(l, struct ad_mirror_work, link);
        struct ad_errinfo info = w->info;
        w->table->mirror->works--;
        w->finish(w, w->err, &info);
    }
}

static void end_first(struct ad_mirror_table *t, enum ad_err err, const struct ad_errinfo *info)
{
    struct ad_mirror_work *w = ad_container_of(t->queue.next, struct ad_mirror_work, link);
    struct ad_list ended;
    ad_list_init(&ended);
    w->err = err;
    if (err && info) {
        w->info = *info;
    } else if (err) {
        ad_fail(&w->info, err, "%s", ad_err_text(err));
    }
    ad_list_remove(&w->link);
    ad_list_push(&ended, &w->link);
    t->busy = false;
    pump(t, &ended);
    finish_all(&ended);
}

void ad__work_end(struct ad_mirror_work *w, enum ad_err err, const struct ad_errinfo *info)
{
    end_first(w->table, err, info);
}

void ad__work_again(struct ad_mirror_work *w)
{
    struct ad_mirror_table *t = w->table;
    struct ad_list failed;
    ad_list_init(&failed);
    ad_list_remove(&w->link);
    ad_list_push(&t->queue, &w->link);
    t->busy = false;
    pump(t, &failed);
    finish_all(&failed);
}

void ad__table_ready(struct ad_mirror_table *t, enum ad_err err, const struct ad_errinfo *info)
{
    struct ad_mirror_work *w = ad_container_of(t->queue.next, struct ad_mirror_work, link);
    err = err ? err : w->run(w);
    if (err) {
        end_first(t, err, info && info->code ? info : NULL);
    }
}

static struct ad_mirror_table *table_of(struct ad_mirror *m, const struct ad_object *o)
{
    struct ad_map_node *node = ad_map_get(&m->tables, o->id);
    if (node) {
        return ad_container_of(node, struct ad_mirror_table, node);
    }
    struct ad_mirror_table *t = ad_zalloc(sizeof(*t));
    if (t) {
        t->mirror = m;
        t->object = o;
        ad_list_init(&t->queue);
        ad_list_init(&t->unchanged);
        ad_map_put(&m->tables, &t->node, o->id);
    }
    return t;
}

enum ad_err ad__work_submit(struct ad_mirror *m, const struct ad_object *o,
                            struct ad_mirror_work *w)
{
    struct ad_list failed;
    struct ad_mirror_table *t = table_of(m, o);
    if (!t) {
        return AD_ERR_NOMEM;
    }
    ad_list_init(&failed);
    w->table = t;
    ad_list_push(&t->queue, &w->link);
    m->works++;
    pump(t, &failed);
    if (ad_list_empty(&failed)) {
        return AD_OK;
    }
    m->works--; /* the queue was empty: it is the new one that could not start */
    return w->err;
}

/* --- Scan --- */

enum { SCAN_VALUES = 6, SCAN_VALUES_OPEN = 4, SCAN_MAX = 1000 };

struct scan {
    struct ad_mirror_work work;
    struct ad_mirror *mirror;
    struct ad_mirror_scan *s;
    int64_t from_ns, to_ns;
    struct ad_value values[SCAN_VALUES];
    struct ad_step step;
    struct ad_store_req req;
    struct ad_str ids[SCAN_MAX];
};

static void scan_finish(struct ad_mirror_work *work, enum ad_err err, const struct ad_errinfo *info)
{
    struct scan *w = ad_container_of(work, struct scan, work);
    struct ad_mirror_scan *s = w->s;
    s->err = err;
    s->info = *info;
    s->ids = w->ids;
    s->cb(s);
    ad_free(w); /* after cb: the ids are in it */
}

static void on_scanned(struct ad_store_req *req)
{
    struct scan *w = ad_container_of(req, struct scan, req);
    struct ad_mirror_scan *s = w->s;
    s->ids_n = 0;
    s->more = req->more;
    for (size_t i = 0; !req->err && i < req->rows.rows; i++) {
        w->ids[s->ids_n++] = ad_row(&req->rows, i)[0].str;
    }
    ad__work_end(&w->work, req->err, &req->info);
}

static enum ad_err scan_run(struct ad_mirror_work *work)
{
    struct scan *w = ad_container_of(work, struct scan, work);
    const struct ad_mirror_scan *s = w->s;
    bool ranged = s->from.p || s->to.p;
    w->values[0] = AD_V_TEXT(s->workspace_id);
    w->values[1] = AD_V_I64(s->version);
    w->values[2] = AD_V_TEXT(s->after.p ? s->after : AD_STR(""));
    w->values[3] = AD_V_I64((int64_t)s->max + 1);
    w->values[4] = AD_V_I64(w->from_ns);
    w->values[5] = AD_V_I64(w->to_ns);
    w->step = (struct ad_step){
        .sql = &work->table->shape->sql[ranged ? AD_SHAPE_SCAN_RANGE : AD_SHAPE_SCAN],
        .values = w->values,
        .values_n = ranged ? SCAN_VALUES : SCAN_VALUES_OPEN,
    };
    w->req = (struct ad_store_req){
        .steps = &w->step, .steps_n = 1, .rows_max = s->max, .cb = on_scanned
    };
    return ad_store_read(w->mirror->o.store, &w->req);
}

enum ad_err ad_mirror_scan(struct ad_mirror *m, struct ad_mirror_scan *s)
{
    int64_t from = INT64_MIN;
    int64_t to = INT64_MAX;
    if (!s->object || s->max == 0 || s->max > SCAN_MAX || !s->workspace_id.p ||
        (s->from.p && !ad_time_parse(s->from, &from)) || (s->to.p && !ad_time_parse(s->to, &to))) {
        return ad_fail(&s->info, AD_ERR_INVALID, "scan: an argument is wrong");
    }
    struct scan *w = ad_zalloc(sizeof(*w));
    if (!w) {
        return ad_fail(&s->info, AD_ERR_NOMEM, "no memory to look for deleted records");
    }
    w->mirror = m;
    w->s = s;
    s->ids_n = 0;
    w->from_ns = from;
    w->to_ns = to;
    w->work.run = scan_run;
    w->work.finish = scan_finish;
    enum ad_err err = ad__work_submit(m, s->object, &w->work);
    if (err) {
        ad_free(w);
        return ad_fail(&s->info, err, "%s", ad_err_text(err));
    }
    return AD_OK;
}

/* --- Count --- */

struct count {
    struct ad_mirror_work work;
    struct ad_mirror *mirror;
    struct ad_mirror_count *c;
    struct ad_step step;
    struct ad_store_req req;
};

static void count_finish(struct ad_mirror_work *work, enum ad_err err,
                         const struct ad_errinfo *info)
{
    struct count *w = ad_container_of(work, struct count, work);
    struct ad_mirror_count *c = w->c;
    c->err = err;
    c->info = *info;
    ad_free(w);
    c->cb(c);
}

static void on_counted(struct ad_store_req *req)
{
    struct count *w = ad_container_of(req, struct count, req);
    if (!req->err) {
        w->c->deleted = ad_row(&req->rows, 0)[1].i64;
        w->c->live = ad_row(&req->rows, 0)[0].i64 - w->c->deleted;
    }
    ad__work_end(&w->work, req->err, &req->info);
}

static enum ad_err count_run(struct ad_mirror_work *work)
{
    struct count *w = ad_container_of(work, struct count, work);
    w->step = (struct ad_step){ .sql = &work->table->shape->sql[AD_SHAPE_COUNT] };
    w->req = (struct ad_store_req){ .steps = &w->step, .steps_n = 1, .cb = on_counted };
    return ad_store_read(w->mirror->o.store, &w->req);
}

enum ad_err ad_mirror_count(struct ad_mirror *m, struct ad_mirror_count *c)
{
    struct count *w = c->object ? ad_zalloc(sizeof(*w)) : NULL;
    if (!w) {
        return ad_fail(&c->info, c->object ? AD_ERR_NOMEM : AD_ERR_INVALID, "cannot count");
    }
    w->mirror = m;
    w->c = c;
    w->work.run = count_run;
    w->work.finish = count_finish;
    enum ad_err err = ad__work_submit(m, c->object, &w->work);
    if (err) {
        ad_free(w);
        return ad_fail(&c->info, err, "%s", ad_err_text(err));
    }
    return AD_OK;
}

/* --- Open and close --- */

static struct ad_counter *counter(const struct ad_mirror_opts *o, const char *labels)
{
    return ad_metric_counter(o->metrics, "attiod_mirror_records_total", labels,
                             "Records brought to the mirror, by what became of them.");
}

enum ad_err ad_mirror_open(const struct ad_mirror_opts *opts, struct ad_mirror **out,
                           struct ad_errinfo *info)
{
    struct ad_mirror *m = ad_zalloc(sizeof(*m));
    if (!m) {
        return ad_fail(info, AD_ERR_NOMEM, "no memory for the mirror");
    }
    m->o = *opts;
    m->o.late_ms = opts->late_ms ? opts->late_ms : LATE_MS;
    m->o.unchanged_max = opts->unchanged_max ? opts->unchanged_max : UNCHANGED_MAX;
    ad_map_init(&m->tables);
    ad_list_init(&m->unchanged);
    m->c_created = counter(opts, "outcome=\"created\"");
    m->c_updated = counter(opts, "outcome=\"updated\"");
    m->c_unchanged = counter(opts, "outcome=\"unchanged\"");
    m->c_stale = counter(opts, "outcome=\"stale\"");
    m->c_deleted = counter(opts, "outcome=\"deleted\"");
    m->c_shapes = ad_metric_counter(opts->metrics, "attiod_mirror_shapes_total", NULL,
                                    "Tables and views brought to a changed schema.");
    *out = m;
    return AD_OK;
}

static void table_free(void *ctx, struct ad_map_node *node)
{
    struct ad_mirror *m = ctx;
    struct ad_mirror_table *t = ad_container_of(node, struct ad_mirror_table, node);
    ad__late_forget(t);
    ad__shape_drop(t->shape, m->o.store);
    ad__backfill_free(t->backfill);
    ad_map_remove(&m->tables, node);
    ad_free(t);
}

void ad_mirror_close(struct ad_mirror *m)
{
    AD_ASSERT(m->works == 0);
    ad_map_each(&m->tables, table_free, m);
    ad_map_fini(&m->tables);
    ad_free(m);
}
