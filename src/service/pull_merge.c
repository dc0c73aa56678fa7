/* What a merge means beyond two records to look at:
 *
 *   remembered (old -> new) -> the old record is wanted, too; a tombstone never comes before that
 *   the new record is shown -> what hung on the old one hangs on it: entries, notes and comments of
 *                              which Attio sends no events are wanted, list by list
 *
 * The job ends when all of that has ended. */
#include "pull_private.h"

struct merge {
    struct ad_list link; /* job->merges while the own record is not shown */
    struct ad_pull_job *job;
    struct ad_merge_put put;
    struct ad_mirror_children children;
    const struct ad_object *in; /* where children are looked for */
    char old_id[37], after[37];
};

static void merge_end(struct merge *m, const char *why)
{
    struct ad_pull_job *job = m->job;
    job->why = why ? why : job->why;
    ad_list_remove(&m->link);
    ad_free(m);
    ad__job_release(job);
}

/* ---- children ---------------------------------------------------------------------------- */

static bool has_children(const struct ad_object *o)
{
    return !o->gone &&
           (o->kind == AD_KIND_LIST || o->kind == AD_KIND_NOTE || o->kind == AD_KIND_COMMENT);
}

static void on_children(struct ad_mirror_children *c);

/* From m->after on in m->in. */
static void children_ask(struct merge *m)
{
    struct ad_pull *p = m->job->pull;
    m->children = (struct ad_mirror_children){
        .object = m->in,
        .workspace_id = ad_account_workspace_id(p->o.account),
        .record_id = ad_str_c(m->old_id),
        .after = ad_str_c(m->after),
        .cb = on_children,
        .data = m,
    };
    if (ad_mirror_children(p->o.mirror, &m->children)) {
        merge_end(m, "what hangs on it could not be looked for");
        return;
    }
    p->lookups++;
}

static void children_next(struct merge *m)
{
    const struct ad_schema *schema = m->job->pull->o.schema;
    do {
        m->in = ad_schema_next(schema, m->in);
    } while (m->in && !has_children(m->in));
    m->after[0] = '\0';
    if (m->in) {
        children_ask(m);
    } else {
        merge_end(m, NULL);
    }
}

static void on_children(struct ad_mirror_children *c)
{
    struct merge *m = c->data;
    struct ad_pull *p = m->job->pull;
    p->lookups--;
    if (c->err || p->closing) {
        merge_end(m, p->closing ? "closing" : "what hangs on it could not be looked for");
        ad__pull_maybe_closed(p);
        return;
    }
    for (size_t i = 0; i < c->ids_n; i++) {
        AD_IGNORE(ad__job_claim(m->job, ad__source_get(p, m->in, c->ids[i]), c->ids[i]),
                  "the job says why");
    }
    if (!c->more) {
        children_next(m);
        return;
    }
    struct ad_str last = c->ids[c->ids_n - 1];
    memcpy(m->after, last.p, last.n); /* a key: it was a UUID when it was written */
    children_ask(m);
}

void ad__merges_go(struct ad_pull_job *job)
{
    job->shown = true;
    for (struct ad_list *l = ad_list_pop(&job->merges); l; l = ad_list_pop(&job->merges)) {
        struct merge *m = ad_container_of(l, struct merge, link);
        if (job->why) {
            merge_end(m, NULL);
        } else {
            children_next(m);
        }
    }
}

void ad__merges_drop(struct ad_pull_job *job)
{
    for (struct ad_list *l = ad_list_pop(&job->merges); l; l = ad_list_pop(&job->merges)) {
        ad_free(ad_container_of(l, struct merge, link));
        job->open--; /* the caller's claim is still open */
    }
}

/* ---- remembering ------------------------------------------------------------------------- */

static void on_put(struct ad_merge_put *put)
{
    struct merge *m = put->data;
    struct ad_pull_job *job = m->job;
    struct ad_pull *p = job->pull;
    p->lookups--;
    if (put->err || p->closing) {
        merge_end(m, p->closing ? "closing" : "the merge could not be remembered");
        ad__pull_maybe_closed(p);
        return;
    }
    AD_IGNORE(ad__job_claim(job, job->source, ad_str_c(m->old_id)), "the job says why");
    if (job->shown) {
        children_next(m);
    } else {
        ad_list_push(&job->merges, &m->link);
    }
}

void ad_pull_merged(struct ad_pull_job *job, const char *old_id)
{
    struct ad_pull *p = job->pull;
    struct ad_str old = ad_str_c(old_id);
    struct merge *m = old.n < sizeof(m->old_id) ? ad_zalloc(sizeof(*m)) : NULL;
    if (!m) {
        job->why = "no memory";
        return;
    }
    memcpy(m->old_id, old.p, old.n);
    m->job = job;
    ad_list_init(&m->link);
    m->put = (struct ad_merge_put){
        .workspace_id = ad_account_workspace_id(p->o.account),
        .object_id = job->source->object->id,
        .old_id = ad_str_n(m->old_id, old.n),
        .new_id = ad_str_c(job->id),
        .cb = on_put,
        .data = m,
    };
    enum ad_err err = ad_merges_put(p->o.merges, &m->put);
    if (err) {
        ad_free(m);
        job->why = err == AD_ERR_INVALID ? job->why : "the merge could not be remembered";
        return;
    }
    p->lookups++;
    job->open++;
}
