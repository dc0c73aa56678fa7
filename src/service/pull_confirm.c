/* What a query did not show: merged away, deleted, or overlooked. What SQL knows of it costs no call:
 * whose heirs are to be looked at instead, and what carries a tombstone already. The rest is asked
 * for one by one. */
#include "pull_private.h"

/* Merges are applied within seconds, they say. */
#define LATER_MS 2000
#define LATER_CAP_MS 60000

/* ---- what SQL knows ---------------------------------------------------------------------- */

static size_t unseen_ids(const struct source *s, struct ad_str *ids)
{
    size_t n = 0;
    AD_LIST_FOREACH (l, &s->unseen) { /* of one query: no more than IDS_MAX */
        ids[n++] = ad_str_c(ad_container_of(l, struct want, link)->id);
    }
    return n;
}

static struct want *flying(const struct source *s, struct ad_str id)
{
    struct ad_map_node *node = ad_map_get(&s->flight, id);
    return node ? ad_container_of(node, struct want, node) : NULL;
}

/* Its own deleted event, or a tombstone: nothing shows it, so nothing is left to ask. */
static void sort_unseen(struct source *s)
{
    ad__source_flight_clear(s);
    for (struct ad_list *l = ad_list_pop(&s->unseen); l; l = ad_list_pop(&s->unseen)) {
        struct want *w = ad_container_of(l, struct want, link);
        s->pull->c_known->v += w->dead;
        ad_list_push(w->deleted || w->dead ? &s->gone : &s->confirm, &w->link);
    }
    ad__confirm_next(s);
}

static void on_tombstones(struct ad_mirror_look *look)
{
    struct source *s = look->data;
    if (look->err) {
        ad__source_failed(s, "mirror_failed", look->err, look->info.msg);
        return;
    }
    for (size_t i = 0; i < look->deleted_n; i++) {
        struct want *w = flying(s, look->deleted[i]);
        if (w) {
            w->dead = true;
        }
    }
    sort_unseen(s);
}

static void ask_tombstones(struct source *s)
{
    struct ad_str ids[IDS_MAX];
    size_t n = unseen_ids(s, ids);
    s->look = (struct ad_mirror_look){
        .object = s->object,
        .workspace_id = ad_account_workspace_id(s->pull->o.account),
        .cb = on_tombstones,
        .data = s,
    };
    enum ad_err err = ad_mirror_tombstones(s->pull->o.mirror, &s->look, ids, n);
    if (err) {
        ad__source_failed(s, "mirror_failed", err, s->look.info.msg);
    }
}

static void on_heirs(struct ad_merge_find *find)
{
    struct source *s = find->data;
    if (find->err) {
        ad__source_failed(s, "mirror_failed", find->err, find->info.msg);
        return;
    }
    for (size_t i = 0; i < find->merges_n; i++) {
        struct want *w = flying(s, find->merges[i].old_id);
        if (w && !w->inherited) {
            ad__want_inherit(w, find->merges[i].new_id);
        }
    }
    ask_tombstones(s);
}

void ad__confirm(struct source *s)
{
    struct ad_str ids[IDS_MAX];
    if (s->object->kind != AD_KIND_OBJECT) { /* nothing else is merged */
        ask_tombstones(s);
        return;
    }
    size_t n = unseen_ids(s, ids);
    s->find = (struct ad_merge_find){
        .workspace_id = ad_account_workspace_id(s->pull->o.account),
        .object_id = s->object->id,
        .cb = on_heirs,
        .data = s,
    };
    enum ad_err err = ad_merges_find(s->pull->o.merges, &s->find, ids, n);
    if (err) {
        ad__source_failed(s, "mirror_failed", err, ad_err_text(err));
    }
}

/* ---- tombstones -------------------------------------------------------------------------- */

static void on_deleted(struct ad_mirror_op *op)
{
    struct source *s = op->data;
    if (op->err) {
        ad__source_failed(s, "mirror_failed", op->err, op->info.msg);
        return;
    }
    AD_LIST_FOREACH_SAFE (l, &s->gone) {
        struct want *w = ad_container_of(l, struct want, link);
        if (w->behind) { /* it was there after this answer's time */
            ad_list_remove(&w->link);
            ad__later(s, w);
        } else {
            ad__want_end(s, w);
        }
    }
    ad__source_rest(s);
}

/* All that is known to be gone, in one transaction. The tombstones' version is later than that of
 * every answer that showed them. */
static void delete_gone(struct source *s)
{
    struct ad_str ids[IDS_MAX];
    size_t n = 0;
    s->op.version = ad_versions_next(s->pull->o.versions);
    if (s->op.version == 0) {
        ad__source_failed(s, "pull_failed", AD_ERR_STORE, "no version number could be had");
        return;
    }
    ad__source_prepare(s, on_deleted);
    AD_LIST_FOREACH (l, &s->gone) { /* of one query: no more than IDS_MAX */
        struct want *w = ad_container_of(l, struct want, link);
        w->seen = true; /* to be no more */
        ad__source_collect(s, w);
        ids[n++] = ad_str_c(w->id);
    }
    s->apply.done = s->done;
    s->apply.done_n = s->done_n;
    enum ad_err err = ad_mirror_delete(s->pull->o.mirror, &s->apply, ids, n);
    if (err) {
        ad__source_failed(s, "mirror_failed", err, s->apply.info.msg);
    }
}

/* ---- one by one -------------------------------------------------------------------------- */

static void on_confirmed_applied(struct ad_mirror_op *op)
{
    struct source *s = op->data;
    if (op->err) {
        ad__source_failed(s, "mirror_failed", op->err, op->info.msg);
        return;
    }
    struct want *w = s->confirming;
    s->confirming = NULL;
    ad__source_flight_clear(s);
    if (!w->seen) {
        ad_log(AD_LOG_WARN, "pull_other_shown", AD_KS("object", s->object->slug),
               AD_KC("asked_for", w->id));
    }
    if (w->behind || !w->seen) {
        ad__later(s, w);
    } else {
        ad__want_end(s, w);
    }
    ad__confirm_next(s);
}

static void confirmed(struct source *s, const struct ad_records_op *op)
{
    ad__source_prepare(s, on_confirmed_applied);
    ad_map_put(&s->flight, &s->confirming->node, ad_str_c(s->confirming->id));
    enum ad_err err = ad_mirror_apply(s->pull->o.mirror, &s->apply, op->response);
    if (err) {
        ad__source_failed(s, "mirror_failed", err, s->apply.info.msg);
    }
}

static void on_later(struct ad_timer *t)
{
    struct source *s = ad_container_of(t, struct source, later_timer);
    s->later_rounds++;
    ad__source_requeue(s, &s->later);
    ad__source_soon(s, 0);
}

void ad__later(struct source *s, struct want *w)
{
    unsigned shift = s->later_rounds < 5 ? s->later_rounds : 5;
    uint64_t wait = (uint64_t)LATER_MS << shift;
    w->deleted = w->dead = w->seen = w->behind = false;
    ad_list_push(&s->later, &w->link);
    if (!ad_timer_running(&s->later_timer)) {
        ad_timer_start(s->pull->o.timers, &s->later_timer,
                       wait < LATER_CAP_MS ? wait : LATER_CAP_MS, on_later);
    }
}

static void on_confirmed(struct ad_records_op *op)
{
    struct source *s = op->data;
    struct want *w = s->confirming;
    bool doubtful = !op->err && w->deleted;
    if (!op->err && !doubtful) {
        confirmed(s, op);
        return;
    }
    s->confirming = NULL;
    if (op->err == AD_ERR_NOTFOUND) {
        ad_list_push(&s->gone, &w->link);
    } else if (op->err == AD_ERR_MERGING || doubtful) {
        ad__later(s, w);
    } else if (op->err == AD_ERR_FORBIDDEN || ad__is_refusal(op->err)) {
        ad__want_give_back(s, w, "Attio refused to show it");
    } else {
        s->confirming = w;
        ad__source_failed(s, "pull_failed", op->err, op->info.msg);
        return;
    }
    ad__confirm_next(s);
}

void ad__confirm_next(struct source *s)
{
    if (s->pull->closing) {
        ad__source_failed(s, "closing", AD_OK, "");
        return;
    }
    struct ad_list *l = ad_list_pop(&s->confirm);
    if (!l && !ad_list_empty(&s->gone)) {
        delete_gone(s);
        return;
    }
    if (!l) {
        ad__source_rest(s);
        return;
    }
    s->confirming = ad_container_of(l, struct want, link);
    s->op = (struct ad_records_op){
        .object = s->object, .priority = AD_PRIO_PULL, .cb = on_confirmed, .data = s
    };
    s->pull->c_gets->v++;
    enum ad_err err = ad_records_get(s->pull->o.records, &s->op, ad_str_c(s->confirming->id));
    if (err) {
        ad__source_failed(s, "pull_failed", err, s->op.info.msg);
    }
}
