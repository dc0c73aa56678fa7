/* A page: asking for it, reading it, handing it to the mirror. While the mirror is at it the next
 * one is asked for already, where its place is known: behind a full page that does not end inside
 * the tie it began with. */
#include "sync_private.h"

/* An answer is put to use soon or not at all: the mirror remembers for 120 s what later ones said. */
#define AHEAD_MAX_MS 30000
/* Of an answer: two of them are in memory at once. What is longer is asked for again with fewer
 * records, until there are no fewer. */
#define PAGE_BYTES_MAX ((size_t)4 << 20)
#define LAST_BYTES_MAX ((size_t)16 << 20)

static bool is_flat(const struct ad__sync_run *r)
{
    return r->object->kind > AD_KIND_LIST;
}

/* The next place on the page; NULL: no memory. */
static struct ad__sync_seen *item_new(struct ad__sync_page *p)
{
    if (p->n == p->cap) {
        unsigned cap = p->cap ? 2 * p->cap : AD__SYNC_PAGE;
        struct ad__sync_seen *more = ad_resize(p->items, cap * sizeof(*more));
        if (!more) {
            return NULL;
        }
        p->items = more;
        p->cap = cap;
    }
    return &p->items[p->n];
}

static const char *fault_of(const struct ad__sync_run *r, const struct ad__sync_seen *s)
{
    const struct ad__sync_page *p = &r->page;
    if (s->ns < (p->n ? p->items[p->n - 1].ns : r->key_ns)) {
        return "Attio's answer is not in the order of creation";
    }
    return ad__sync_ids_has(&p->ids, &s->id) ? "Attio's answer shows a record twice" : NULL;
}

static void on_record(struct ad_mirror_op *op, struct ad_str record_id, struct ad_str created_at)
{
    struct ad__sync_run *r = op->data;
    struct ad__sync_page *p = &r->page;
    if (p->fault || p->n == r->limit) {
        p->fault = p->fault ? p->fault : "Attio's answer is longer than was asked for";
        return;
    }
    struct ad__sync_seen *s = item_new(p);
    if (!s) {
        ad__sync_note(r, AD_ERR_NOMEM, NULL); /* told when it has been applied */
        return;
    }
    s->ns = INT64_MIN;
    if (!ad__sync_id_of(record_id, &s->id) || (!is_flat(r) && !ad_time_parse(created_at, &s->ns))) {
        p->fault = "Attio's answer has a record without a time of creation";
        return;
    }
    p->fault = fault_of(r, s);
    ad__sync_note(r, ad__sync_ids_add(&p->ids, &s->id), NULL);
    bool again = ad__sync_ids_has(&r->boundary, &s->id);
    p->shuffled = p->shuffled || (again && r->state.offset > 0 && p->again < p->n);
    p->mismatch = p->shuffled || (p->n == 0 ? r->state.offset > 0 && !again : p->mismatch);
    p->again += again;
    p->n++;
}

static void on_applied(struct ad_mirror_op *op)
{
    struct ad__sync_run *r = op->data;
    r->created += op->created;
    r->updated += op->updated;
    if (!ad__sync_op_ended(r, op->err, op->info.msg)) {
        return;
    }
    if (r->page.fault) {
        ad__sync_page_nonsense(r, r->page.fault);
    } else {
        ad__sync_deleted_begin(r);
    }
}

static int64_t end_of(const struct ad__sync_page *p)
{
    return p->n ? p->items[p->n - 1].ns : INT64_MIN;
}

static void ahead_start(struct ad__sync_run *r);

/* The answer is in r->text. */
static void page_arrived(struct ad__sync_run *r, const struct ad_records_op *op)
{
    struct ad_service *s = r->sync->s;
    if (r->state.version == 0) {
        r->state.version = op->version;
    }
    r->page.version = op->version;
    r->page.n = r->page.again = 0;
    r->page.fault = NULL;
    r->page.shuffled = false;
    r->page.mismatch = r->state.offset > 0; /* until the first record proves otherwise */
    ad__sync_ids_clear(&r->page.ids);
    r->apply = (struct ad_mirror_op){
        .object = r->object,
        .version = op->version,
        .accurate_ns = op->accurate_ns,
        .workspace_id = ad_account_workspace_id(s->o.account),
        .bulk = true,
        .lent = true,
        .dry = r->state.dry_run,
        .on_record = on_record,
        .cb = on_applied,
        .data = r,
    };
    r->ops++;
    enum ad_err err = ad_mirror_apply(s->o.mirror, &r->apply, ad_buf_str(&r->text));
    if (err) {
        (void)ad__sync_op_ended(r, err, r->apply.info.msg);
    } else {
        ahead_start(r);
    }
}

static void on_page(struct ad_records_op *op)
{
    struct ad__sync_run *r = op->data;
    if (ad__sync_op_ended(r, op->err, op->info.msg)) {
        page_arrived(r, op);
    }
}

static enum ad_err page_ask(struct ad__sync_run *r, struct ad_records_op *op, int64_t key_ns,
                            unsigned offset)
{
    struct ad_records *records = r->sync->s->o.records;
    bool fewer = !is_flat(r) && r->limit > AD__SYNC_LIMIT_MIN;
    size_t max = fewer ? PAGE_BYTES_MAX : LAST_BYTES_MAX;
    char text[AD_TIME_MAX];
    r->state.calls++;
    if (op->into->max != max) {
        ad_buf_fini(op->into);
        ad_buf_init(op->into, max);
    }
    if (is_flat(r)) {
        const struct ad_activity_page page = { .limit = r->limit, .offset = offset };
        return ad_activity_page(records, op, &page);
    }
    const struct ad_records_page page = {
        .from = key_ns == INT64_MIN ? AD_STR_NONE : ad_time_format(key_ns, 9, text),
        .limit = r->limit,
        .offset = offset,
    };
    return ad_records_page(records, op, &page);
}

/* ---- the next one ------------------------------------------------------------------------ */

void ad__sync_ahead_drop(struct ad__sync_run *r)
{
    struct ad__sync_ahead *a = &r->ahead;
    ad_records_cancel(r->sync->s->o.records, &a->op);
    a->valid = false;
}

static void ahead_is_next(struct ad__sync_run *r)
{
    struct ad_buf text = r->text;
    r->text = r->ahead.text;
    r->ahead.text = text;
    r->ahead.valid = false;
}

/* The answer waits for the page before it, or the page before it waits for the answer; or the run
 * has come to its end, and waits for the last callback. */
static void on_ahead(struct ad_records_op *op)
{
    struct ad__sync_run *r = op->data;
    struct ad__sync_ahead *a = &r->ahead;
    bool wanted = a->wanted;
    a->busy = a->wanted = false;
    if (wanted && a->valid) {
        ahead_is_next(r);
        on_page(op);
    } else if (wanted) {
        r->ops--;
        ad__sync_run_end(r);
    } else {
        a->valid = a->valid && !op->err;
        if (r->sync->closing) {
            ad__sync_maybe_closed(r->sync);
        }
    }
}

static void ahead_start(struct ad__sync_run *r)
{
    struct ad__sync_ahead *a = &r->ahead;
    const struct ad__sync_page *p = &r->page;
    if (a->busy || a->valid || r->err || p->fault || p->mismatch || p->n < r->limit ||
        end_of(p) == r->key_ns || is_flat(r)) {
        return;
    }
    a->op = (struct ad_records_op){
        .object = r->object,
        .priority = AD_PRIO_BACKFILL,
        .into = &a->text,
        .cb = on_ahead,
        .data = r,
    };
    a->key_ns = end_of(p);
    a->limit = r->limit;
    a->busy = a->valid = page_ask(r, &a->op, a->key_ns, 0) == AD_OK;
}

/* True when the page that is next was asked for already. */
static bool ahead_take(struct ad__sync_run *r)
{
    struct ad__sync_ahead *a = &r->ahead;
    bool fits = a->valid && a->key_ns == r->key_ns && a->limit == r->limit && !r->state.offset;
    if (fits && a->busy) {
        a->wanted = true;
        r->ops++;
        return true;
    }
    uint64_t now_ms = ad_mono_ms(r->sync->s->o.clock);
    if (!fits || now_ms - a->op.sent_ms > AHEAD_MAX_MS) {
        ad__sync_ahead_drop(r);
        return false;
    }
    ahead_is_next(r);
    page_arrived(r, &a->op);
    return true;
}

void ad__sync_page_next(struct ad__sync_run *r)
{
    enum ad_err err = r->object->gone ? AD_ERR_NOTFOUND : AD_OK;
    r->err = AD_OK;
    if (r->object->kind == AD_KIND_COMMENT) {
        ad__sync_comments_next(r);
        return;
    }
    if (!err && ahead_take(r)) {
        return;
    }
    r->op = (struct ad_records_op){
        .object = r->object,
        .priority = AD_PRIO_BACKFILL,
        .into = &r->text,
        .cb = on_page,
        .data = r,
    };
    r->ops++;
    err = err ? err : page_ask(r, &r->op, r->key_ns, r->state.offset);
    if (err) {
        (void)ad__sync_op_ended(r, err, NULL);
    }
}
