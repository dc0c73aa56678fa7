/* Rows that are news into statements, a chunk at a time; written and counted.
 *
 * The chunks of a sync page are handed over together, so that they share a commit. */
#include "attio/mirror.h"

#include "inbox_private.h"
#include "mirror_apply_private.h"

/* A chunk of large records' values. */
#define ARENA_MAX ((size_t)256 << 20)
#define CHUNK_BULK 50
#define CHUNK 100
/* Of chunks that go together: what is larger waits for the next group. */
#define CHUNKS_BYTES ((size_t)4 << 20)
/* Of a row, beside its values: those that do not lie in the answer, lists and objects. */
#define ROW_EXTRA ((size_t)1024)

void ad__chunks_init(struct apply *w)
{
    for (size_t i = 0; i < CHUNKS; i++) {
        w->chunks[i].apply = w;
        ad_arena_init(&w->chunks[i].arena, ARENA_MAX);
    }
}

void ad__chunks_fini(struct apply *w)
{
    for (size_t i = 0; i < CHUNKS; i++) {
        ad_arena_fini(&w->chunks[i].arena);
    }
}

/* --- Statements --- */

static struct ad_value text_or_null(const char *s)
{
    return *s ? AD_V_TEXT(ad_str_c(s)) : AD_V_NULL;
}

/* What does not lie in the answer goes with the document. */
static enum ad_err keep_values(struct chunk *c, struct ad_str raw, struct ad_value *v, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (v[i].type == AD_VALUE_TEXT && (uintptr_t)v[i].str.p - (uintptr_t)raw.p > raw.n) {
            v[i].str = ad_arena_str(&c->arena, v[i].str);
            if (!v[i].str.p) {
                return AD_ERR_NOMEM;
            }
        }
    }
    return AD_OK;
}

static enum ad_err record_values(struct chunk *c, struct ad_str raw, struct ad_value *v)
{
    struct apply *w = c->apply;
    const struct ad_shape *shape = w->work.table->shape;
    const struct ad_json *record;
    enum ad_err err = ad_json_parse(&w->answer.doc, raw, NULL, &record, NULL);
    err = err ? err : ad__shape_values(shape, &w->answer.doc, record, v);
    err = err ? err : keep_values(c, raw, v, shape->columns_n);
    ad_arena_reset(&w->answer.doc);
    return err;
}

static enum ad_err upsert_step(struct chunk *c, const struct ref *r, struct ad_step *step)
{
    const struct apply *w = c->apply;
    const struct ad_shape *shape = w->work.table->shape;
    unsigned n = AD_UP_FIXED + shape->columns_n;
    struct ad_value *v = ad_arena_alloc(&c->arena, n * sizeof(*v));
    enum ad_err err = v ? record_values(c, r->raw, v + AD_UP_FIXED) : AD_ERR_NOMEM;
    if (err) {
        return err;
    }
    v[AD_UP_WORKSPACE] = AD_V_TEXT(w->op->workspace_id);
    v[AD_UP_RECORD] = AD_V_TEXT(r->id);
    v[AD_UP_CREATED_AT] = AD_V_TEXT(r->created_at);
    v[AD_UP_CREATED_NS] = r->timed ? AD_V_I64(r->created_ns) : AD_V_NULL;
    v[AD_UP_VERSION] = AD_V_I64(w->op->version);
    v[AD_UP_ACCURATE_AT] = text_or_null(w->accurate_at);
    v[AD_UP_SYNCED_AT] = AD_V_TEXT(ad_str_c(w->now));
    v[AD_UP_RAW] = AD_V_TEXT(r->raw);
    bool is_new = r->fate == FATE_CREATED;
    *step = (struct ad_step){ .sql = &shape->sql[is_new ? AD_SHAPE_INSERT : AD_SHAPE_UPSERT],
                              .values = v,
                              .values_n = n };
    return AD_OK;
}

static enum ad_err tombstone_step(struct chunk *c, const struct ref *r, struct ad_step *step)
{
    const struct apply *w = c->apply;
    struct ad_value *v = ad_arena_array(&c->arena, 5, sizeof(*v));
    if (!v) {
        return AD_ERR_NOMEM;
    }
    v[0] = AD_V_TEXT(w->op->workspace_id);
    v[1] = AD_V_TEXT(r->id);
    v[2] = AD_V_I64(w->op->version);
    v[3] = text_or_null(w->accurate_at);
    v[4] = AD_V_TEXT(ad_str_c(w->now));
    *step = (struct ad_step){ .sql = &w->work.table->shape->sql[AD_SHAPE_TOMBSTONE],
                              .values = v,
                              .values_n = 5 };
    return AD_OK;
}

static enum ad_err settle_step(struct chunk *c)
{
    struct apply *w = c->apply;
    ad_buf_clear(&w->json);
    enum ad_err err = ad__inbox_write_seqs(&w->json, w->op->done, w->op->done_n);
    w->values[0] = AD_V_TEXT(ad_buf_str(&w->json));
    c->steps[c->steps_n++] =
        (struct ad_step){ .sql = &ad__inbox_done_sql, .values = w->values, .values_n = 1 };
    c->settles = w->settled = true;
    return err;
}

/* --- Writing --- */

static void count(struct apply *w, enum fate fate)
{
    struct ad_mirror_op *op = w->op;
    const struct ad_mirror *m = w->mirror;
    const struct {
        unsigned *of_op;
        struct ad_counter *metric;
    } counts[] = {
        [FATE_STALE] = { &op->stale, m->c_stale },
        [FATE_BEHIND] = { &op->stale, m->c_stale },
        [FATE_UNCHANGED] = { &op->unchanged, m->c_unchanged },
        [FATE_CREATED] = { &op->created, m->c_created },
        [FATE_UPDATED] = { &op->updated, m->c_updated },
        [FATE_DELETED] = { &op->updated, m->c_deleted },
    };
    (*counts[fate].of_op)++;
    counts[fate].metric->v += !op->dry;
}

static void count_chunk(struct chunk *c)
{
    struct apply *w = c->apply;
    for (size_t i = c->from; i < c->to; i++) {
        struct ref *r = &w->answer.refs[i];
        bool refused = r->fate >= FATE_CREATED && !w->op->dry && c->steps[r->step].changes == 0;
        r->again = refused && r->fate == FATE_CREATED;
        w->again += r->again;
        if (!r->again) {
            count(w, refused ? FATE_STALE : r->fate); /* SQL knew better */
        }
    }
}

static void on_written(struct ad_store_req *req)
{
    struct chunk *c = ad_container_of(req, struct chunk, req);
    struct apply *w = c->apply;
    c->busy = false;
    w->busy--;
    if (!req->err) {
        count_chunk(c);
        if (c->settles) {
            ad_inbox_note_done(w->mirror->o.inbox, c->steps[c->steps_n - 1].changes);
        }
    }
    ad__apply_go_on(w, req->err, &req->info);
}

/* In one piece, as most chunks need it. */
static void chunk_make_room(struct chunk *c, unsigned rows)
{
    const struct ad_shape *shape = c->apply->work.table->shape;
    size_t row =
        sizeof(struct ad_step) + (AD_UP_FIXED + shape->columns_n) * sizeof(struct ad_value);
    if (ad_arena_used(&c->arena) == 0) {
        AD_IGNORE(!ad_arena_alloc(&c->arena, rows * (row + ROW_EXTRA)), "then it grows in steps");
    }
    ad_arena_reset(&c->arena);
}

/* The next rows of the batch, up to `max` that are to be written; with the last of all, the
 * events. */
static enum ad_err chunk_gather(struct chunk *c)
{
    struct apply *w = c->apply;
    unsigned max = w->op->bulk ? CHUNK_BULK : CHUNK;
    enum ad_err err = AD_OK;
    chunk_make_room(c, max);
    c->steps = ad_arena_array(&c->arena, max + 1u, sizeof(*c->steps));
    c->steps_n = 0;
    c->settles = false;
    c->from = w->at;
    if (!c->steps) {
        return AD_ERR_NOMEM;
    }
    for (; !err && w->at < w->batch_to && c->steps_n < max; w->at++) {
        struct ref *r = &w->answer.refs[w->at];
        if (r->fate >= FATE_CREATED && !w->op->dry) {
            r->step = c->steps_n;
            struct ad_step *step = &c->steps[c->steps_n++];
            err = w->deletes ? tombstone_step(c, r, step) : upsert_step(c, r, step);
        }
    }
    c->to = w->at;
    return err || w->at < w->answer.n || w->op->done_n == 0 ? err : settle_step(c);
}

static enum ad_err chunk_submit(struct chunk *c)
{
    struct apply *w = c->apply;
    c->req = (struct ad_store_req){ .steps = c->steps,
                                    .steps_n = c->steps_n,
                                    .cls = w->op->bulk ? AD_STORE_BULK : AD_STORE_NORMAL,
                                    .cb = on_written };
    enum ad_err err = ad_store_write(w->mirror->o.store, &c->req);
    c->ready = false;
    c->busy = err == AD_OK;
    w->busy += c->busy;
    return err;
}

/* The next one, while none is under way. Events are settled by the last chunk, which no other may go
 * with: one that failed alone would not hold it back. */
static struct chunk *chunk_free(struct apply *w)
{
    size_t most = w->op->bulk && w->op->done_n == 0 ? CHUNKS : 1;
    size_t bytes = 0;
    for (size_t i = 0; i < most && w->busy == 0 && bytes <= CHUNKS_BYTES; i++) {
        struct chunk *c = &w->chunks[i];
        if (!c->ready) {
            return c;
        }
        bytes += ad_arena_used(&c->arena);
    }
    return NULL;
}

bool ad__chunks_want_more(const struct apply *w)
{
    return w->at < w->batch_to || (w->answer.n == 0 && w->op->done_n > 0 && !w->settled);
}

enum ad_err ad__chunks_gather(struct apply *w)
{
    enum ad_err err = AD_OK;
    struct chunk *c = NULL;
    while (!err && ad__chunks_want_more(w) && (c = chunk_free(w))) {
        err = chunk_gather(c);
        c->ready = c->steps_n > 0;
        if (!err && !c->ready) {
            count_chunk(c);
        }
    }
    return err;
}

/* In the order of the answer: the first of them is the first of the array. */
enum ad_err ad__chunks_submit(struct apply *w)
{
    enum ad_err err = AD_OK;
    for (size_t i = 0; i < CHUNKS && !err; i++) {
        err = w->chunks[i].ready ? chunk_submit(&w->chunks[i]) : AD_OK;
    }
    return err;
}
