/* Answers and deletes into rows.
 *
 *   text -> refs (id, raw text) -> batch: what stands in SQL? -> new, changed, unchanged or stale
 *        -> chunks of the new and changed ones, written -> next batch -> counts
 *
 * Only what will be written is parsed, a chunk at a time; of the rest no more is read than id and
 * time, because it equals what was parsed once.
 *
 * A sync page is in the order of creation: what stands in SQL for a batch of it is one interval of
 * the index on that, not a hundred places of another. A row that is there and not in the interval (a
 * tombstone of a record never seen) is found by inserting: what was there already is looked for by
 * id in the end. And its chunks are handed over together, so that they share a commit. */
#include "attio/mirror.h"

#include "base/json_write.h"
#include "base/mem.h"
#include "inbox_private.h"
#include "mirror_private.h"

#define REFS_ARENA_MAX ((size_t)64 << 20)
/* A chunk of large records' values. */
#define CHUNK_ARENA_MAX ((size_t)256 << 20)
#define CHUNK_BULK 50
#define CHUNK 100
/* All of a sync page go together, unless they are large. */
#define CHUNKS 10
#define CHUNKS_BYTES ((size_t)4 << 20)
/* Of a row, beside its values: those that do not lie in the answer, lists and objects. */
#define ROW_EXTRA ((size_t)1024)
/* One record as a document, and what is kept for the next one. */
#define DOC_ARENA_MAX ((size_t)256 << 20)
#define DOC_ARENA_KEPT ((size_t)48 << 10)
/* Of one look at what stands in SQL: what it brings is small enough to be kept and used again. An
 * interval may have a few more, of records that the page does not show any more. */
#define BATCH_MAX 100
#define LOOK_MAX 150
#define BATCH_BYTES ((size_t)4 << 20)
#define JSON_MAX ((size_t)16 << 20)

enum fate {
    FATE_STALE,
    FATE_BEHIND, /* stale, and not because somebody asked later: Attio had shown a later state before */
    FATE_UNCHANGED,
    FATE_CREATED,
    FATE_UPDATED,
    FATE_DELETED
};

/* A record of the answer. */
struct ref {
    struct ad_map_node node; /* apply->batch */
    struct ad_str id, created_at, raw;
    int64_t created_ns;
    bool timed; /* created_ns is known */
    enum fate fate;
    unsigned step; /* of the chunk that writes it */
    bool again;    /* held to be new and was not */
};

struct apply;

/* Rows on their way to SQL. */
struct chunk {
    struct apply *apply;
    struct ad_arena arena; /* steps and values, but for those that lie in the answer */
    struct ad_step *steps;
    unsigned steps_n;
    size_t from, to;  /* the refs */
    bool settles;     /* its last step settles op->done */
    bool ready, busy; /* to be handed over; handed over */
    struct ad_store_req req;
};

struct apply {
    struct ad_mirror_work work;
    struct ad_mirror *mirror;
    struct ad_mirror_op *op;
    bool deletes;
    char *text; /* our copy of the answer, unless it was lent */
    struct ad_arena refs_arena;
    struct ref *refs;
    size_t n, cap;
    size_t batch_from, batch_to, batch_max, at;
    bool by_id; /* the batch is not looked for by its interval */
    struct ad_map batch;
    struct ad_arena doc; /* a record while it is parsed */
    struct ad_value values[3];
    struct ad_step step;
    struct chunk chunks[CHUNKS];
    unsigned busy;      /* chunks on their way */
    bool looking;       /* for what stands in SQL */
    bool settled;       /* op->done is in a chunk */
    size_t again;       /* refs to be looked for by id */
    struct ad_buf json; /* ids looked for, or events settled */
    char accurate_at[AD_TIME_MAX], now[AD_TIME_MAX];
    struct ad_store_req req;
    enum ad_err err; /* the first failure: it ends when nothing is under way */
    struct ad_errinfo info;
};

/* --- Reading the answer --- */

static struct ref *ref_add(struct apply *w)
{
    if (w->n == w->cap) {
        size_t cap = w->cap ? 2 * w->cap : 16;
        struct ref *more = ad_resize(w->refs, cap * sizeof(*more));
        if (!more) {
            return NULL;
        }
        w->refs = more;
        w->cap = cap;
    }
    struct ref *r = &w->refs[w->n++];
    *r = (struct ref){ .fate = FATE_STALE };
    return r;
}

static void set_created(struct ref *r, struct ad_str created_at)
{
    r->created_at = created_at;
    r->timed = created_at.p && ad_time_parse(created_at, &r->created_ns);
}

/* Among the values it is what can be filtered and sorted by; the other is the same time. */
static struct ad_str created_at_of(const struct ad_kind_shape *kind, const struct ad_json *record)
{
    struct ad_str s =
        kind->created_at ? ad_json_str(ad_json_path(record, kind->created_at)) : AD_STR_NONE;
    return s.p ? s : ad_json_str(ad_json_get(record, "created_at"));
}

static enum ad_err add_record(struct apply *w, const struct ad_json *record)
{
    const struct ad_kind_shape *kind = ad__kind_shape(w->op->object->kind);
    struct ad_errinfo *info = &w->op->info;
    struct ad_str id;
    if (!ad_json_ident(ad_json_path(record, kind->key_path), &id) || !ad_str_is_uuid(id)) {
        return ad_fail(info, AD_ERR_PARSE, "data[%zu].%s: required, a UUID", w->n, kind->key_path);
    }
    struct ad_str created_at = created_at_of(kind, record);
    struct ref *r = ref_add(w);
    if (!r) {
        return ad_fail(info, AD_ERR_NOMEM, "no memory for the answer");
    }
    r->raw = record->raw;
    r->id = ad_arena_str(&w->refs_arena, id);
    set_created(r, created_at.p ? ad_arena_str(&w->refs_arena, created_at) : AD_STR_NONE);
    bool ok = r->id.p && (r->created_at.p || !created_at.p);
    return ok ? AD_OK : ad_fail(info, AD_ERR_NOMEM, "no memory for the answer");
}

static enum ad_err add_comments(void *ctx, const struct ad_json *element)
{
    struct apply *w = ctx;
    const struct ad_json *thread = ad_json_get(element, "comments");
    enum ad_err err = AD_OK;
    if (!thread) {
        return add_record(w, element);
    }
    AD_JSON_FOREACH (comment, thread) {
        err = err ? err : add_record(w, comment);
    }
    return err;
}

/* A string as it stands in the text: absent unless it is one, and one without escapes. */
static struct ad_str plain_string(struct ad_str raw)
{
    bool plain = raw.n >= 2 && raw.p[0] == '"' && !memchr(raw.p, '\\', raw.n);
    return plain ? ad_str_n(raw.p + 1, raw.n - 2) : AD_STR_NONE;
}

/* What must be known of a record to look whether it is news; only then is it parsed. One that is
 * written in an unusual way is parsed at once. */
static enum ad_err on_cut(void *ctx, struct ad_str raw)
{
    struct apply *w = ctx;
    const struct ad_kind_shape *kind = ad__kind_shape(w->op->object->kind);
    struct ad_str id = plain_string(ad_json_peek(raw, kind->key_path));
    struct ad_str created_at =
        kind->created_at ? plain_string(ad_json_peek(raw, kind->created_at)) : AD_STR_NONE;
    created_at = created_at.p ? created_at : plain_string(ad_json_peek(raw, "created_at"));
    if (!ad_str_is_uuid(id) || !created_at.p) {
        const struct ad_json *record;
        enum ad_err err = ad_json_parse(&w->doc, raw, NULL, &record, &w->op->info);
        err = err ? err : add_record(w, record);
        ad_arena_reset(&w->doc);
        return err;
    }
    struct ref *r = ref_add(w);
    if (!r) {
        return ad_fail(&w->op->info, AD_ERR_NOMEM, "no memory for the answer");
    }
    r->raw = raw;
    r->id = id;
    set_created(r, created_at);
    return AD_OK;
}

static enum ad_err read_one(struct apply *w, struct ad_str text)
{
    const struct ad_json *doc;
    enum ad_err err = ad_json_parse(&w->doc, text, NULL, &doc, &w->op->info);
    const struct ad_json *data = err ? NULL : ad_json_get(doc, "data");
    if (!err && !ad_json_is(data, AD_JSON_OBJECT)) {
        err = ad_fail(&w->op->info, AD_ERR_PARSE, "data: required, an array or an object");
    }
    return err ? err : add_comments(w, data);
}

static enum ad_err read_many(struct apply *w, struct ad_str text)
{
    struct ad_errinfo *info = &w->op->info;
    if (w->op->object->kind == AD_KIND_COMMENT) {
        return ad_json_each(&w->doc, text, AD_STR("data"), NULL, add_comments, w, info);
    }
    return ad_json_cut(text, AD_STR("data"), on_cut, w, info);
}

static enum ad_err copy_text(struct apply *w, struct ad_str *text)
{
    w->text = ad_alloc(text->n + 1);
    if (!w->text) {
        return ad_fail(&w->op->info, AD_ERR_NOMEM, "no memory for the answer");
    }
    memcpy(w->text, text->p, text->n);
    text->p = w->text;
    return AD_OK;
}

static enum ad_err read_answer(struct apply *w, struct ad_str text)
{
    enum ad_err err = w->op->lent ? AD_OK : copy_text(w, &text);
    if (!err && ad_arena_alloc(&w->doc, DOC_ARENA_KEPT)) {
        ad_arena_reset(&w->doc);
    }
    err = err ? err : read_many(w, text);
    ad_arena_reset(&w->doc);
    if (err == AD_ERR_PARSE && w->n == 0) { /* then data may be one record */
        w->op->info = (struct ad_errinfo){ .code = AD_OK };
        err = read_one(w, text);
        ad_arena_reset(&w->doc);
    }
    return err;
}

/* --- Late answers --- */

static void uuid_bytes(struct ad_str uuid, uint8_t out[16])
{
    char digits[32];
    size_t n = 0;
    for (size_t i = 0; i < uuid.n && n < sizeof(digits); i++) {
        if (uuid.p[i] != '-') {
            digits[n++] = uuid.p[i];
        }
    }
    if (!ad_hex_decode(ad_str_n(digits, n), out, 16)) {
        memset(out, 0, 16); /* it was checked: not reached */
    }
}

static bool unchanged_has(const struct ad_unchanged *u, const uint8_t id[16])
{
    for (size_t i = 0; i < u->n; i++) {
        if (memcmp(u->ids[i], id, 16) == 0) {
            return true;
        }
    }
    return false;
}

/* A later answer, or one of a later state, has shown this record as it stands in SQL: STALE, BEHIND;
 * else UPDATED. Answers mostly come in order: then nothing is searched. */
static enum fate overtaken(const struct apply *w, struct ad_str id)
{
    const struct ad_mirror_table *t = w->work.table;
    int64_t version = w->op->version;
    int64_t accurate = w->op->accurate_ns;
    if (version > t->unchanged_version && (accurate == 0 || accurate >= t->unchanged_accurate_ns)) {
        return FATE_UPDATED;
    }
    enum fate fate = FATE_UPDATED;
    uint8_t bytes[16];
    uuid_bytes(id, bytes);
    AD_LIST_FOREACH (l, &t->unchanged) {
        const struct ad_unchanged *u = ad_container_of(l, struct ad_unchanged, link);
        bool later = u->version > version || (accurate != 0 && u->accurate_ns > accurate);
        if (later && unchanged_has(u, bytes)) {
            fate = u->version > version ? FATE_STALE : FATE_BEHIND;
        }
        if (fate == FATE_STALE) {
            break;
        }
    }
    return fate;
}

static int64_t higher(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static void forget(struct ad_mirror *m, struct ad_unchanged *u, bool early)
{
    struct ad_mirror_table *t = u->table;
    if (early) {
        t->forgotten_version = higher(t->forgotten_version, u->version);
        t->forgotten_accurate_ns = higher(t->forgotten_accurate_ns, u->accurate_ns);
    }
    ad_list_remove(&u->link);
    ad_list_remove(&u->aged);
    m->unchanged_n -= u->n;
    ad_free(u);
    if (ad_list_empty(&t->unchanged)) {
        t->unchanged_version = t->unchanged_accurate_ns = 0;
    }
}

static void forget_unchanged(struct ad_mirror *m)
{
    uint64_t now = ad_mono_ms(m->o.clock);
    while (!ad_list_empty(&m->unchanged)) {
        struct ad_unchanged *u = ad_container_of(m->unchanged.next, struct ad_unchanged, aged);
        bool old = now - u->at_ms >= m->o.late_ms;
        if (!old && m->unchanged_n <= m->o.unchanged_max) {
            return;
        }
        forget(m, u, !old);
    }
}

/* Later answers may have shown any record of this one as it stands, and it is not known which. */
static bool is_too_late(const struct apply *w)
{
    const struct ad_mirror_table *t = w->work.table;
    return w->op->version < t->forgotten_version ||
           (w->op->accurate_ns != 0 && w->op->accurate_ns < t->forgotten_accurate_ns);
}

static enum ad_err remember_unchanged(const struct apply *w)
{
    struct ad_mirror_table *t = w->work.table;
    size_t n = 0;
    for (size_t i = w->batch_from; i < w->batch_to; i++) {
        n += w->refs[i].fate == FATE_UNCHANGED;
    }
    forget_unchanged(t->mirror);
    if (n == 0) {
        return AD_OK;
    }
    struct ad_unchanged *u = ad_alloc(sizeof(*u) + n * sizeof(u->ids[0]));
    if (!u) {
        return AD_ERR_NOMEM;
    }
    u->table = t;
    u->version = w->op->version;
    u->accurate_ns = w->op->accurate_ns;
    u->at_ms = ad_mono_ms(t->mirror->o.clock);
    u->n = 0;
    for (size_t i = w->batch_from; i < w->batch_to; i++) {
        if (w->refs[i].fate == FATE_UNCHANGED) {
            uuid_bytes(w->refs[i].id, u->ids[u->n++]);
        }
    }
    ad_list_push(&t->unchanged, &u->link);
    ad_list_push(&t->mirror->unchanged, &u->aged);
    t->mirror->unchanged_n += u->n;
    t->unchanged_version = higher(t->unchanged_version, u->version);
    t->unchanged_accurate_ns = higher(t->unchanged_accurate_ns, u->accurate_ns);
    return AD_OK;
}

/* --- Chunks --- */

static void apply_free(struct apply *w)
{
    for (size_t i = 0; i < CHUNKS; i++) {
        ad_arena_fini(&w->chunks[i].arena);
    }
    ad_map_fini(&w->batch);
    ad_arena_fini(&w->refs_arena);
    ad_arena_fini(&w->doc);
    ad_buf_fini(&w->json);
    ad_free(w->refs);
    ad_free(w->text);
    ad_free(w);
}

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
    enum ad_err err = ad_json_parse(&w->doc, raw, NULL, &record, NULL);
    err = err ? err : ad__shape_values(shape, &w->doc, record, v);
    err = err ? err : keep_values(c, raw, v, shape->columns_n);
    ad_arena_reset(&w->doc);
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

static void advance(struct apply *w);

static void count_chunk(struct chunk *c)
{
    struct apply *w = c->apply;
    for (size_t i = c->from; i < c->to; i++) {
        struct ref *r = &w->refs[i];
        bool refused = r->fate >= FATE_CREATED && !w->op->dry && c->steps[r->step].changes == 0;
        r->again = refused && r->fate == FATE_CREATED;
        w->again += r->again;
        if (!r->again) {
            count(w, refused ? FATE_STALE : r->fate); /* SQL knew better */
        }
    }
}

static void keep_failure(struct apply *w, enum ad_err err, const struct ad_errinfo *info)
{
    if (err && !w->err) {
        w->err = err;
        w->info = info ? *info : (struct ad_errinfo){ .code = AD_OK };
    }
}

static void on_written(struct ad_store_req *req)
{
    struct chunk *c = ad_container_of(req, struct chunk, req);
    struct apply *w = c->apply;
    c->busy = false;
    w->busy--;
    keep_failure(w, req->err, &req->info);
    if (!req->err) {
        count_chunk(c);
        if (c->settles) {
            ad_inbox_note_done(w->mirror->o.inbox, c->steps[c->steps_n - 1].changes);
        }
    }
    advance(w);
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
        struct ref *r = &w->refs[w->at];
        if (r->fate >= FATE_CREATED && !w->op->dry) {
            r->step = c->steps_n;
            struct ad_step *step = &c->steps[c->steps_n++];
            err = w->deletes ? tombstone_step(c, r, step) : upsert_step(c, r, step);
        }
    }
    c->to = w->at;
    return err || w->at < w->n || w->op->done_n == 0 ? err : settle_step(c);
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

/* In the order of the answer: the first of them is the first of the array. */
static enum ad_err submit_ready(struct apply *w)
{
    enum ad_err err = AD_OK;
    for (size_t i = 0; i < CHUNKS && !err; i++) {
        err = w->chunks[i].ready ? chunk_submit(&w->chunks[i]) : AD_OK;
    }
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

/* --- Batches --- */

static void on_existing(struct ad_store_req *req);

static enum ad_err write_ids(struct apply *w)
{
    struct ad_json_writer j;
    ad_buf_clear(&w->json);
    ad_json_write_init(&j, &w->json);
    ad_json_arr(&j);
    for (size_t i = w->batch_from; i < w->batch_to; i++) {
        ad_json_w_str(&j, w->refs[i].id);
    }
    ad_json_end(&j);
    return ad_json_write_done(&j);
}

/* The batch as an interval of creation times, if it is one. */
static bool is_interval(const struct apply *w)
{
    bool is = w->op->bulk && !w->by_id && w->batch_to - w->batch_from > 1;
    for (size_t i = w->batch_from; is && i < w->batch_to; i++) {
        const struct ref *r = &w->refs[i];
        is = r->timed && (i == w->batch_from || r->created_ns >= r[-1].created_ns);
    }
    return is;
}

static void look_by_interval(struct apply *w)
{
    w->values[1] = AD_V_I64(w->refs[w->batch_from].created_ns);
    w->values[2] = AD_V_I64(w->refs[w->batch_to - 1].created_ns);
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
    while (w->batch_to < w->n && w->batch_to - w->batch_from < w->batch_max &&
           (bytes == 0 || bytes + w->refs[w->batch_to].raw.n <= BATCH_BYTES)) {
        bytes += w->refs[w->batch_to++].raw.n;
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
    enum fate fate = row[COL_VERSION].i64 >= w->op->version ? FATE_STALE : overtaken(w, r->id);
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
        struct ref *r = &w->refs[i];
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
        if (w->refs[i].fate == FATE_BEHIND) {
            w->op->on_behind(w->op, w->refs[i].id);
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
    w->looking = false;
    keep_failure(w, req->err, &req->info);
    if (!w->err && req->more && (!w->by_id || w->batch_max > 1)) {
        keep_failure(w, look_again(w), NULL);
    } else if (!w->err) {
        set_fates(w, &req->rows);
        tell_behind(w);
        keep_failure(w, remember_unchanged(w), NULL);
    }
    advance(w);
}

/* Those that were held to be new, from their beginning. */
static enum ad_err again(struct apply *w)
{
    size_t n = 0;
    for (size_t i = 0; i < w->n; i++) {
        if (w->refs[i].again) {
            w->refs[n] = w->refs[i];
            w->refs[n++].again = false;
        }
    }
    w->n = n;
    w->again = w->at = w->batch_from = 0;
    w->by_id = true;
    return look(w);
}

static bool batch_has_more(const struct apply *w)
{
    return w->at < w->batch_to || (w->n == 0 && w->op->done_n > 0 && !w->settled);
}

static enum ad_err gather_chunks(struct apply *w)
{
    enum ad_err err = AD_OK;
    struct chunk *c = NULL;
    while (!err && batch_has_more(w) && (c = chunk_free(w))) {
        err = chunk_gather(c);
        c->ready = c->steps_n > 0;
        if (!err && !c->ready) {
            count_chunk(c);
        }
    }
    return err;
}

/* On to the next chunks that have something to write, or the next batch. */
static enum ad_err go_on(struct apply *w)
{
    enum ad_err err = gather_chunks(w);
    if (err || w->busy > 0) {
        return err;
    }
    if (!batch_has_more(w) && w->at < w->n) {
        w->batch_from = w->batch_to;
        w->by_id = false;
        return look(w);
    }
    err = submit_ready(w);
    return err || w->busy > 0 || w->again == 0 ? err : again(w);
}

/* Called last: it may be the end. */
static void advance(struct apply *w)
{
    if (!w->err && !w->looking) {
        keep_failure(w, go_on(w), NULL);
    }
    if (w->busy == 0 && !w->looking) {
        ad__work_end(&w->work, w->err, w->info.code ? &w->info : NULL);
    }
}

/* --- The operations --- */

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
    return is_too_late(w) ? AD_ERR_BUSY : look(w);
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
    ad_arena_init(&w->refs_arena, REFS_ARENA_MAX);
    ad_arena_init(&w->doc, DOC_ARENA_MAX);
    for (size_t i = 0; i < CHUNKS; i++) {
        w->chunks[i].apply = w;
        ad_arena_init(&w->chunks[i].arena, CHUNK_ARENA_MAX);
    }
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
    op->seen = (unsigned)w->n;
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
    err = read_answer(w, response);
    if (err) {
        apply_free(w);
        return err;
    }
    for (size_t i = 0; op->on_record && i < w->n; i++) {
        op->on_record(op, w->refs[i].id, w->refs[i].created_at);
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
        struct ref *r = ad_str_is_uuid(ids[i]) ? ref_add(w) : NULL;
        if (r) {
            r->id = ad_arena_str(&w->refs_arena, ids[i]);
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

/* --- Settle only --- */

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
