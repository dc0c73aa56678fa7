/* Answers and deletes into rows.
 *
 *   text -> refs (id, raw text) -> batch: what stands in SQL? -> new, changed, unchanged or stale
 *        -> chunks of the new and changed ones, written -> next batch -> counts
 *
 * Only what will be written is parsed, a chunk at a time; of the rest no more is read than id and
 * time, because it equals what was parsed once. */
#include "attio/mirror.h"

#include "base/json_write.h"
#include "base/mem.h"
#include "inbox_private.h"
#include "mirror_private.h"

#define REFS_ARENA_MAX ((size_t)64 << 20)
/* A chunk of large records, taken apart. */
#define CHUNK_ARENA_MAX ((size_t)256 << 20)
#define CHUNK_BULK 50
#define CHUNK 100
/* Of one look at what stands in SQL: well below what the store returns at once. For sync, less: what
 * it brings is small enough to be kept and used again. */
#define BATCH_MAX 500
#define BATCH_BULK 100
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
    enum fate fate;
    unsigned step; /* of the chunk that writes it */
};

struct apply {
    struct ad_mirror_work work;
    struct ad_mirror *mirror;
    struct ad_mirror_op *op;
    bool deletes;
    char *text; /* our copy of the answer */
    struct ad_arena refs_arena;
    struct ref *refs;
    size_t n, cap;
    size_t batch_from, batch_to, batch_max, at;
    struct ad_map batch;
    struct ad_arena arena; /* of the chunk, or of the look */
    struct ad_value values[2];
    struct ad_step step;
    struct ad_step *steps;
    unsigned steps_n;
    size_t chunk_from;
    bool settles;       /* this chunk's last step settles op->done */
    struct ad_buf json; /* ids looked for, or events settled */
    char accurate_at[AD_TIME_MAX], now[AD_TIME_MAX];
    struct ad_store_req req;
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
    r->created_at = created_at.p ? ad_arena_str(&w->refs_arena, created_at) : AD_STR_NONE;
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
        enum ad_err err = ad_json_parse(&w->arena, raw, NULL, &record, &w->op->info);
        err = err ? err : add_record(w, record);
        ad_arena_reset(&w->arena);
        return err;
    }
    struct ref *r = ref_add(w);
    if (!r) {
        return ad_fail(&w->op->info, AD_ERR_NOMEM, "no memory for the answer");
    }
    r->raw = raw;
    r->id = id;
    r->created_at = created_at;
    return AD_OK;
}

static enum ad_err read_one(struct apply *w, struct ad_str text)
{
    const struct ad_json *doc;
    enum ad_err err = ad_json_parse(&w->arena, text, NULL, &doc, &w->op->info);
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
        return ad_json_each(&w->arena, text, AD_STR("data"), NULL, add_comments, w, info);
    }
    return ad_json_cut(text, AD_STR("data"), on_cut, w, info);
}

static enum ad_err read_answer(struct apply *w, struct ad_str text)
{
    w->text = ad_alloc(text.n + 1);
    if (!w->text) {
        return ad_fail(&w->op->info, AD_ERR_NOMEM, "no memory for the answer");
    }
    memcpy(w->text, text.p, text.n);
    struct ad_str copy = ad_str_n(w->text, text.n);
    enum ad_err err = read_many(w, copy);
    ad_arena_reset(&w->arena);
    if (err == AD_ERR_PARSE && w->n == 0) { /* then data may be one record */
        w->op->info = (struct ad_errinfo){ .code = AD_OK };
        err = read_one(w, copy);
        ad_arena_reset(&w->arena);
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

static void forget_unchanged(struct ad_mirror_table *t)
{
    uint64_t now = ad_mono_ms(t->mirror->o.clock);
    while (!ad_list_empty(&t->unchanged)) {
        struct ad_unchanged *u = ad_container_of(t->unchanged.next, struct ad_unchanged, link);
        if (now - u->at_ms < t->mirror->o.late_ms) {
            return;
        }
        ad_list_remove(&u->link);
        ad_free(u);
    }
    t->unchanged_version = t->unchanged_accurate_ns = 0;
}

static enum ad_err remember_unchanged(const struct apply *w)
{
    struct ad_mirror_table *t = w->work.table;
    size_t n = 0;
    for (size_t i = w->batch_from; i < w->batch_to; i++) {
        n += w->refs[i].fate == FATE_UNCHANGED;
    }
    forget_unchanged(t);
    if (n == 0) {
        return AD_OK;
    }
    struct ad_unchanged *u = ad_alloc(sizeof(*u) + n * sizeof(u->ids[0]));
    if (!u) {
        return AD_ERR_NOMEM;
    }
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
    t->unchanged_version = u->version > t->unchanged_version ? u->version : t->unchanged_version;
    t->unchanged_accurate_ns =
        u->accurate_ns > t->unchanged_accurate_ns ? u->accurate_ns : t->unchanged_accurate_ns;
    return AD_OK;
}

/* --- Chunks --- */

static void apply_free(struct apply *w)
{
    ad_map_fini(&w->batch);
    ad_arena_fini(&w->refs_arena);
    ad_arena_fini(&w->arena);
    ad_buf_fini(&w->json);
    ad_free(w->refs);
    ad_free(w->text);
    ad_free(w);
}

static struct ad_value text_or_null(const char *s)
{
    return *s ? AD_V_TEXT(ad_str_c(s)) : AD_V_NULL;
}

static enum ad_err upsert_step(struct apply *w, const struct ref *r, struct ad_step *step)
{
    const struct ad_shape *shape = w->work.table->shape;
    const struct ad_json *record;
    unsigned n = AD_UP_FIXED + shape->columns_n;
    int64_t created_ns;
    struct ad_value *v = ad_arena_array(&w->arena, n, sizeof(*v));
    enum ad_err err = v ? ad_json_parse(&w->arena, r->raw, NULL, &record, NULL) : AD_ERR_NOMEM;
    err = err ? err : ad__shape_values(shape, &w->arena, record, v + AD_UP_FIXED);
    if (err) {
        return err;
    }
    v[AD_UP_WORKSPACE] = AD_V_TEXT(w->op->workspace_id);
    v[AD_UP_RECORD] = AD_V_TEXT(r->id);
    v[AD_UP_CREATED_AT] = AD_V_TEXT(r->created_at);
    v[AD_UP_CREATED_NS] =
        ad_time_parse(r->created_at, &created_ns) ? AD_V_I64(created_ns) : AD_V_NULL;
    v[AD_UP_VERSION] = AD_V_I64(w->op->version);
    v[AD_UP_ACCURATE_AT] = text_or_null(w->accurate_at);
    v[AD_UP_SYNCED_AT] = AD_V_TEXT(ad_str_c(w->now));
    v[AD_UP_RAW] = AD_V_TEXT(r->raw);
    *step = (struct ad_step){ .sql = &shape->sql[AD_SHAPE_UPSERT], .values = v, .values_n = n };
    return AD_OK;
}

static enum ad_err tombstone_step(struct apply *w, const struct ref *r, struct ad_step *step)
{
    struct ad_value *v = ad_arena_array(&w->arena, 5, sizeof(*v));
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

static enum ad_err settle_step(struct apply *w)
{
    ad_buf_clear(&w->json);
    enum ad_err err = ad__inbox_write_seqs(&w->json, w->op->done, w->op->done_n);
    w->values[0] = AD_V_TEXT(ad_buf_str(&w->json));
    w->steps[w->steps_n++] =
        (struct ad_step){ .sql = &ad__inbox_done_sql, .values = w->values, .values_n = 1 };
    w->settles = true;
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

static void count_chunk(struct apply *w)
{
    for (size_t i = w->chunk_from; i < w->at; i++) {
        const struct ref *r = &w->refs[i];
        bool refused = r->fate >= FATE_CREATED && !w->op->dry && w->steps[r->step].changes == 0;
        count(w, refused ? FATE_STALE : r->fate); /* SQL knew better */
    }
}

static void on_written(struct ad_store_req *req)
{
    struct apply *w = ad_container_of(req, struct apply, req);
    if (req->err) {
        ad__work_end(&w->work, req->err, &req->info);
        return;
    }
    count_chunk(w);
    if (w->settles) {
        ad_inbox_note_done(w->mirror->o.inbox, w->steps[w->steps_n - 1].changes);
    }
    advance(w);
}

/* The next rows of the batch, up to `max` that are to be written; with the last of all, the
 * events. */
static enum ad_err gather_chunk(struct apply *w)
{
    unsigned max = w->op->bulk ? CHUNK_BULK : CHUNK;
    enum ad_err err = AD_OK;
    ad_arena_reset(&w->arena);
    w->steps = ad_arena_array(&w->arena, max + 1u, sizeof(*w->steps));
    w->steps_n = 0;
    w->settles = false;
    w->chunk_from = w->at;
    if (!w->steps) {
        return AD_ERR_NOMEM;
    }
    for (; !err && w->at < w->batch_to && w->steps_n < max; w->at++) {
        struct ref *r = &w->refs[w->at];
        if (r->fate >= FATE_CREATED && !w->op->dry) {
            r->step = w->steps_n;
            struct ad_step *step = &w->steps[w->steps_n++];
            err = w->deletes ? tombstone_step(w, r, step) : upsert_step(w, r, step);
        }
    }
    bool last = w->at == w->n;
    return err || !last || w->op->done_n == 0 ? err : settle_step(w);
}

static enum ad_err chunk_submit(struct apply *w)
{
    w->req = (struct ad_store_req){ .steps = w->steps,
                                    .steps_n = w->steps_n,
                                    .cls = w->op->bulk ? AD_STORE_BULK : AD_STORE_NORMAL,
                                    .cb = on_written };
    return ad_store_write(w->mirror->o.store, &w->req);
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

/* Asks what stands in SQL for the records from batch_from on. */
static enum ad_err look(struct apply *w)
{
    size_t bytes = 0;
    w->batch_to = w->batch_from;
    while (w->batch_to < w->n && w->batch_to - w->batch_from < w->batch_max &&
           (bytes == 0 || bytes + w->refs[w->batch_to].raw.n <= BATCH_BYTES)) {
        bytes += w->refs[w->batch_to++].raw.n;
    }
    enum ad_err err = write_ids(w);
    w->values[0] = AD_V_TEXT(w->op->workspace_id);
    w->values[1] = AD_V_TEXT(ad_buf_str(&w->json));
    w->step = (struct ad_step){ .sql = &w->work.table->shape->sql[AD_SHAPE_EXISTING],
                                .values = w->values,
                                .values_n = 2 };
    w->req = (struct ad_store_req){
        .steps = &w->step, .steps_n = 1, .rows_max = BATCH_MAX, .cb = on_existing
    };
    return err ? err : ad_store_read(w->mirror->o.store, &w->req);
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

static void on_existing(struct ad_store_req *req)
{
    struct apply *w = ad_container_of(req, struct apply, req);
    enum ad_err err = AD_OK;
    if (req->err) {
        ad__work_end(&w->work, req->err, &req->info);
        return;
    }
    if (req->more && w->batch_max > 1) { /* the rows are much larger than the answer */
        w->batch_max = (w->batch_to - w->batch_from + 1) / 2;
        err = look(w);
    } else {
        set_fates(w, &req->rows);
        tell_behind(w);
        err = remember_unchanged(w);
        if (!err) {
            advance(w);
            return;
        }
    }
    if (err) {
        ad__work_end(&w->work, err, NULL);
    }
}

/* On to the next chunk that has something to write, the next batch, or the end. Called last. */
static void advance(struct apply *w)
{
    enum ad_err err = AD_OK;
    bool first = w->at == w->batch_from;
    while (!err && (w->at < w->batch_to || (first && w->n == 0 && !w->settles))) {
        first = false;
        err = gather_chunk(w);
        if (!err && w->steps_n > 0) {
            err = chunk_submit(w);
            if (!err) {
                return;
            }
        }
        if (!err) {
            count_chunk(w);
        }
    }
    if (!err && w->at < w->n) {
        w->batch_from = w->batch_to;
        err = look(w);
        if (!err) {
            return;
        }
    }
    ad__work_end(&w->work, err, NULL);
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
    return look(ad_container_of(work, struct apply, work));
}

static struct apply *apply_new(struct ad_mirror *m, struct ad_mirror_op *op)
{
    struct apply *w = ad_zalloc(sizeof(*w));
    if (!w) {
        return NULL;
    }
    w->mirror = m;
    w->op = op;
    w->batch_max = op->bulk ? BATCH_BULK : BATCH_MAX;
    w->work.run = apply_run;
    w->work.finish = apply_finish;
    ad_arena_init(&w->refs_arena, REFS_ARENA_MAX);
    ad_arena_init(&w->arena, CHUNK_ARENA_MAX);
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
