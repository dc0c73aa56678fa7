/* Deletions: a row in the page's interval of creation times that the page does not show, and that
 * is older than it, may be gone. No more than may: a record can also be under way in a merge, or
 * have been left out by an answer that was not whole. So each is read by itself, and only Attio's
 * "there is none" makes it a tombstone, with the version of that read. One that is there after all
 * is mirrored by the way. */
#include "sync_private.h"

/* As often a page waits for a merge; then the record is left as it is, to the merge's events. */
#define MERGING_MAX 5

static void check_next(struct ad__sync_run *r);
static void scan(struct ad__sync_run *r);

/* ---- confirming -------------------------------------------------------------------------- */

static void check_ended(struct ad__sync_check *c, enum ad_err err, const char *detail)
{
    struct ad__sync_run *r = c->run;
    c->busy = false;
    if (ad__sync_op_ended(r, err, detail)) {
        check_next(r);
    }
}

static void on_deleted(struct ad_mirror_op *op)
{
    struct ad__sync_check *c = op->data;
    c->run->state.deleted += op->updated;
    c->run->sync->c_deleted->v += op->updated;
    check_ended(c, op->err, op->info.msg);
}

static void on_alive(struct ad_mirror_op *op)
{
    struct ad__sync_check *c = op->data;
    c->run->state.updated += op->created + op->updated;
    check_ended(c, op->err, op->info.msg);
}

static void to_mirror(struct ad__sync_check *c, bool gone)
{
    struct ad__sync_run *r = c->run;
    struct ad_service *s = r->sync->s;
    struct ad_str id = ad_str_c(c->id);
    if (r->state.dry_run) {
        r->state.deleted += gone;
        check_ended(c, AD_OK, NULL);
        return;
    }
    c->apply = (struct ad_mirror_op){
        .object = r->object,
        .version = c->op.version,
        .accurate_ns = c->op.accurate_ns,
        .workspace_id = ad_account_workspace_id(s->o.account),
        .bulk = true,
        .cb = gone ? on_deleted : on_alive,
        .data = c,
    };
    enum ad_err err = gone ? ad_mirror_delete(s->o.mirror, &c->apply, &id, 1)
                           : ad_mirror_apply(s->o.mirror, &c->apply, c->op.response);
    if (err) {
        check_ended(c, err, c->apply.info.msg);
    }
}

static void on_checked(struct ad_records_op *op)
{
    struct ad__sync_check *c = op->data;
    struct ad__sync_run *r = c->run;
    if (op->err == AD_OK || op->err == AD_ERR_NOTFOUND) {
        to_mirror(c, op->err != AD_OK);
    } else if (op->err == AD_ERR_MERGING && r->merging >= MERGING_MAX) {
        ad_log(AD_LOG_WARN, "sync_merge_left", AD_KC("object", r->name));
        check_ended(c, AD_OK, NULL);
    } else {
        check_ended(c, op->err, op->info.msg);
    }
}

static void check_start(struct ad__sync_check *c, const char *id)
{
    struct ad__sync_run *r = c->run;
    c->id = id;
    c->op = (struct ad_records_op){
        .object = r->object, .priority = AD_PRIO_BACKFILL, .cb = on_checked, .data = c
    };
    c->apply = (struct ad_mirror_op){ .object = NULL };
    r->state.calls++;
    r->sync->c_checks->v++;
    enum ad_err err = ad_records_get(r->sync->s->o.records, &c->op, ad_str_c(id));
    ad__sync_note(r, err, NULL);
    c->busy = !err;
    r->ops += !err;
}

/* Starts what may start; when nothing is left under way, looks further. */
static void check_next(struct ad__sync_run *r)
{
    for (unsigned i = 0; i < AD__SYNC_CHECKS && !r->err; i++) {
        if (!r->checks[i].busy && r->candidates_at < r->candidates_n) {
            check_start(&r->checks[i], r->candidates[r->candidates_at++]);
        }
    }
    if (r->ops > 0) {
        return;
    }
    if (r->err) {
        r->ops++;
        (void)ad__sync_op_ended(r, AD_OK, NULL);
    } else if (r->more) {
        scan(r);
    } else {
        ad__sync_page_done(r);
    }
}

/* ---- looking ----------------------------------------------------------------------------- */

/* In a tie the pages before this one showed their part of it. */
static bool was_shown(const struct ad__sync_run *r, struct ad_str record_id)
{
    struct ad__sync_id id;
    return !ad__sync_id_of(record_id, &id) || ad__sync_ids_has(&r->page.ids, &id) ||
           (r->state.offset > 0 && ad__sync_ids_has(&r->boundary, &id));
}

static void on_scanned(struct ad_mirror_scan *s)
{
    struct ad__sync_run *r = s->data;
    for (size_t i = 0; !s->err && i < s->ids_n; i++) {
        if (!was_shown(r, s->ids[i])) {
            char *to = r->candidates[r->candidates_n++];
            memcpy(to, s->ids[i].p, 36);
            to[36] = '\0';
        }
    }
    r->more = !s->err && s->more && s->ids_n > 0;
    if (r->more) {
        memcpy(r->after, s->ids[s->ids_n - 1].p, 36);
        r->after[36] = '\0';
    }
    if (ad__sync_op_ended(r, s->err, s->info.msg)) {
        check_next(r);
    }
}

static struct ad_str time_or_open(int64_t ns, int64_t open, char text[AD_TIME_MAX])
{
    return ns == open ? AD_STR_NONE : ad_time_format(ns, 9, text);
}

static void scan(struct ad__sync_run *r)
{
    struct ad_service *s = r->sync->s;
    r->candidates_n = r->candidates_at = 0;
    r->scan = (struct ad_mirror_scan){
        .object = r->object,
        .workspace_id = ad_account_workspace_id(s->o.account),
        .version = r->page.version,
        .from = time_or_open(r->page.from_ns, INT64_MIN, r->from),
        .to = time_or_open(r->page.to_ns, INT64_MAX, r->to),
        .after = *r->after ? ad_str_c(r->after) : AD_STR_NONE,
        .max = AD__SYNC_CANDIDATES,
        .cb = on_scanned,
        .data = r,
    };
    r->ops++;
    enum ad_err err = ad_mirror_scan(s->o.mirror, &r->scan);
    if (err) {
        (void)ad__sync_op_ended(r, err, r->scan.info.msg);
    }
}

void ad__sync_deleted_begin(struct ad__sync_run *r)
{
    struct ad__sync_page *p = &r->page;
    p->from_ns = r->key_ns;
    p->to_ns = p->n < r->limit ? INT64_MAX : p->items[p->n - 1].ns;
    if (p->mismatch || p->from_ns == p->to_ns) { /* inside a tie: it is shown when it ends */
        ad__sync_page_done(r);
        return;
    }
    r->candidates =
        r->candidates ? r->candidates : ad_alloc_array(AD__SYNC_CANDIDATES, sizeof(*r->candidates));
    r->after[0] = '\0';
    if (r->candidates) {
        scan(r);
    } else {
        r->ops++;
        (void)ad__sync_op_ended(r, AD_ERR_NOMEM, NULL);
    }
}
