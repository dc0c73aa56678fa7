/* Comments: Attio lists them for single records and entries only. So a run walks through all of those
 * that the mirror has, collection after collection, by their ids, and asks for the threads of each:
 *
 *   batch of places -> threads of each, page by page -> mirror (bulk) -> checkpoint -> next batch ...
 *        -> what is in the mirror and no place showed, one by one -> done
 *
 * The place of the run is the collection's position (state.offset) and the last id that was asked
 * for (state.key). That is a call for each record and entry: where others wait, they go first after
 * each batch. Comments that come and go meanwhile have their events. */
#include "sync_private.h"

/* Failed ones are asked for again, so a batch is small. */
#define BATCH 50

static void places_go(struct ad__sync_run *r);

/* ---- one place --------------------------------------------------------------------------- */

static void on_threads(struct ad_records_op *op);

static void place_ask(struct ad__sync_check *c)
{
    struct ad__sync_run *r = c->run;
    const struct ad_activity_page page = { .limit = r->limit, .offset = c->offset };
    c->op = (struct ad_records_op){
        .object = r->object, .priority = AD_PRIO_BACKFILL, .cb = on_threads, .data = c
    };
    r->state.calls++;
    enum ad_err err =
        ad_activity_threads(r->sync->s->o.records, &c->op, r->places.in, ad_str_c(c->id), &page);
    ad__sync_note(r, err, NULL);
    c->busy = !err;
    r->ops += !err;
}

static void place_ended(struct ad__sync_check *c, enum ad_err err, const char *detail)
{
    struct ad__sync_run *r = c->run;
    c->busy = false;
    if (ad__sync_op_ended(r, err, detail)) {
        places_go(r);
    }
}

static void on_comment(struct ad_mirror_op *op, struct ad_str comment_id, struct ad_str created_at)
{
    struct ad__sync_check *c = op->data;
    struct ad__sync_run *r = c->run;
    struct ad__sync_id id;
    (void)created_at;
    if (ad__sync_id_of(comment_id, &id) && !ad__sync_ids_has(&r->boundary, &id)) {
        ad__sync_note(r, ad__sync_ids_add(&r->boundary, &id), NULL);
        r->total++;
    }
}

static void on_applied(struct ad_mirror_op *op)
{
    struct ad__sync_check *c = op->data;
    struct ad__sync_run *r = c->run;
    r->created += op->created;
    r->updated += op->updated;
    if (op->err || c->threads < r->limit) {
        place_ended(c, op->err, op->info.msg);
        return;
    }
    c->offset += c->threads;
    r->ops--;
    place_ask(c);
    if (!c->busy) { /* it is noted why */
        r->ops++;
        place_ended(c, AD_OK, NULL);
    }
}

static void on_threads(struct ad_records_op *op)
{
    struct ad__sync_check *c = op->data;
    struct ad__sync_run *r = c->run;
    if (op->err == AD_ERR_NOTFOUND || (!op->err && op->items == 0)) { /* gone, or silent */
        place_ended(c, AD_OK, NULL);
        return;
    }
    if (op->err) {
        place_ended(c, op->err, op->info.msg);
        return;
    }
    c->threads = (unsigned)op->items;
    c->apply = (struct ad_mirror_op){
        .object = r->object,
        .version = op->version,
        .accurate_ns = op->accurate_ns,
        .workspace_id = ad_account_workspace_id(r->sync->s->o.account),
        .bulk = true,
        .dry = r->state.dry_run,
        .on_record = on_comment,
        .cb = on_applied,
        .data = c,
    };
    enum ad_err err = ad_mirror_apply(r->sync->s->o.mirror, &c->apply, op->response);
    if (err) {
        place_ended(c, err, c->apply.info.msg);
    }
}

/* ---- a batch of them --------------------------------------------------------------------- */

static void batch_done(struct ad__sync_run *r)
{
    struct ad_sync_run *st = &r->state;
    const struct ad__sync_places *p = &r->places;
    st->pages++;
    st->created += r->created;
    st->updated += r->updated;
    r->created = r->updated = 0;
    r->nonsense = 0;
    st->error[0] = '\0';
    if (p->more) {
        memcpy(st->key, p->ids[p->n - 1], sizeof(p->ids[0]));
    } else {
        st->key[0] = '\0';
        st->offset = p->in->position + 1;
    }
    ad__sync_checkpoint(r);
}

/* Starts what may start; when nothing is left under way, the batch is done. */
static void places_go(struct ad__sync_run *r)
{
    struct ad__sync_places *p = &r->places;
    for (unsigned i = 0; i < AD__SYNC_CHECKS && !r->err; i++) {
        struct ad__sync_check *c = &r->checks[i];
        if (!c->busy && p->at < p->n) {
            c->id = p->ids[p->at++];
            c->offset = 0;
            place_ask(c);
        }
    }
    if (r->ops > 0) {
        return;
    }
    if (r->err) {
        r->ops++;
        (void)ad__sync_op_ended(r, AD_OK, NULL);
    } else {
        batch_done(r);
    }
}

static void on_places(struct ad_mirror_scan *s)
{
    struct ad__sync_run *r = s->data;
    struct ad__sync_places *p = &r->places;
    p->n = p->at = 0;
    for (size_t i = 0; !s->err && i < s->ids_n; i++) {
        memcpy(p->ids[p->n], s->ids[i].p, 36);
        p->ids[p->n++][36] = '\0';
    }
    p->more = s->more && s->ids_n > 0;
    if (ad__sync_op_ended(r, s->err, s->info.msg)) {
        places_go(r);
    }
}

/* The first collection at the run's position or behind it; NULL: none is left. */
static const struct ad_object *collection_at(const struct ad_schema *schema, unsigned position)
{
    const struct ad_object *found = NULL;
    for (const struct ad_object *o = ad_schema_next(schema, NULL); o;
         o = ad_schema_next(schema, o)) {
        bool has_threads = o->kind <= AD_KIND_LIST && !o->gone && o->position >= position;
        if (has_threads && (!found || o->position < found->position)) {
            found = o;
        }
    }
    return found;
}

static enum ad_err places_find(struct ad__sync_run *r)
{
    struct ad_service *s = r->sync->s;
    struct ad__sync_places *p = &r->places;
    p->ids = p->ids ? p->ids : ad_alloc_array(BATCH, sizeof(*p->ids));
    if (!p->ids) {
        return AD_ERR_NOMEM;
    }
    if (p->in->position != r->state.offset) { /* the one it was in is gone */
        r->state.offset = p->in->position;
        r->state.key[0] = '\0';
    }
    memcpy(r->after, r->state.key, sizeof(r->after) - 1);
    r->scan = (struct ad_mirror_scan){
        .object = p->in,
        .workspace_id = ad_account_workspace_id(s->o.account),
        .version = INT64_MAX,
        .after = *r->after ? ad_str_c(r->after) : AD_STR_NONE,
        .max = BATCH,
        .cb = on_places,
        .data = r,
    };
    return ad_mirror_scan(s->o.mirror, &r->scan);
}

void ad__sync_comments_next(struct ad__sync_run *r)
{
    struct ad_service *s = r->sync->s;
    enum ad_err err = AD_OK;
    if (!r->state.version) { /* what was written since is not looked for at the end */
        r->state.version = ad_versions_next(s->o.versions);
        err = r->state.version ? AD_OK : AD_ERR_STORE;
    }
    r->places.in = collection_at(s->o.schema, r->state.offset);
    if (!err && !r->places.in) {
        r->page.version = r->state.version;
        ad__sync_deleted_begin(r);
        return;
    }
    r->ops++;
    err = err ? err : places_find(r);
    if (err) {
        (void)ad__sync_op_ended(r, err, NULL);
    }
}
