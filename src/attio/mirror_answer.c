/* The answer's text into refs. */
#include "attio/mirror.h"

#include "base/mem.h"
#include "mirror_apply_private.h"

#define ARENA_MAX ((size_t)64 << 20)
/* One record as a document, and what is kept for the next one. */
#define DOC_ARENA_MAX ((size_t)256 << 20)
#define DOC_ARENA_KEPT ((size_t)48 << 10)

void ad__answer_init(struct answer *a, enum ad_kind kind, struct ad_errinfo *info)
{
    *a = (struct answer){ .kind = kind, .info = info };
    ad_arena_init(&a->arena, ARENA_MAX);
    ad_arena_init(&a->doc, DOC_ARENA_MAX);
}

void ad__answer_fini(struct answer *a)
{
    ad_arena_fini(&a->arena);
    ad_arena_fini(&a->doc);
    ad_free(a->refs);
    ad_free(a->text);
}

struct ref *ad__answer_add(struct answer *a)
{
    if (a->n == a->cap) {
        size_t cap = a->cap ? 2 * a->cap : 16;
        struct ref *more = ad_resize(a->refs, cap * sizeof(*more));
        if (!more) {
            return NULL;
        }
        a->refs = more;
        a->cap = cap;
    }
    struct ref *r = &a->refs[a->n++];
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

static enum ad_err add_record(struct answer *a, const struct ad_json *record)
{
    const struct ad_kind_shape *kind = ad__kind_shape(a->kind);
    struct ad_errinfo *info = a->info;
    struct ad_str id;
    if (!ad_json_ident(ad_json_path(record, kind->key_path), &id) || !ad_str_is_uuid(id)) {
        return ad_fail(info, AD_ERR_PARSE, "data[%zu].%s: required, a UUID", a->n, kind->key_path);
    }
    struct ad_str created_at = created_at_of(kind, record);
    struct ref *r = ad__answer_add(a);
    if (!r) {
        return ad_fail(info, AD_ERR_NOMEM, "no memory for the answer");
    }
    r->raw = record->raw;
    r->id = ad_arena_str(&a->arena, id);
    set_created(r, created_at.p ? ad_arena_str(&a->arena, created_at) : AD_STR_NONE);
    bool ok = r->id.p && (r->created_at.p || !created_at.p);
    return ok ? AD_OK : ad_fail(info, AD_ERR_NOMEM, "no memory for the answer");
}

static enum ad_err add_comments(void *ctx, const struct ad_json *element)
{
    struct answer *a = ctx;
    const struct ad_json *thread = ad_json_get(element, "comments");
    enum ad_err err = AD_OK;
    if (!thread) {
        return add_record(a, element);
    }
    AD_JSON_FOREACH (comment, thread) {
        err = err ? err : add_record(a, comment);
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
    struct answer *a = ctx;
    const struct ad_kind_shape *kind = ad__kind_shape(a->kind);
    struct ad_str id = plain_string(ad_json_peek(raw, kind->key_path));
    struct ad_str created_at =
        kind->created_at ? plain_string(ad_json_peek(raw, kind->created_at)) : AD_STR_NONE;
    created_at = created_at.p ? created_at : plain_string(ad_json_peek(raw, "created_at"));
    if (!ad_str_is_uuid(id) || !created_at.p) {
        const struct ad_json *record;
        enum ad_err err = ad_json_parse(&a->doc, raw, NULL, &record, a->info);
        err = err ? err : add_record(a, record);
        ad_arena_reset(&a->doc);
        return err;
    }
    struct ref *r = ad__answer_add(a);
    if (!r) {
        return ad_fail(a->info, AD_ERR_NOMEM, "no memory for the answer");
    }
    r->raw = raw;
    r->id = id;
    set_created(r, created_at);
    return AD_OK;
}

static enum ad_err read_one(struct answer *a, struct ad_str text)
{
    const struct ad_json *doc;
    enum ad_err err = ad_json_parse(&a->doc, text, NULL, &doc, a->info);
    const struct ad_json *data = err ? NULL : ad_json_get(doc, "data");
    if (!err && !ad_json_is(data, AD_JSON_OBJECT)) {
        err = ad_fail(a->info, AD_ERR_PARSE, "data: required, an array or an object");
    }
    return err ? err : add_comments(a, data);
}

static enum ad_err read_many(struct answer *a, struct ad_str text)
{
    struct ad_errinfo *info = a->info;
    if (a->kind == AD_KIND_COMMENT) {
        return ad_json_each(&a->doc, text, AD_STR("data"), NULL, add_comments, a, info);
    }
    return ad_json_cut(text, AD_STR("data"), on_cut, a, info);
}

static enum ad_err copy_text(struct answer *a, struct ad_str *text)
{
    a->text = ad_alloc(text->n + 1);
    if (!a->text) {
        return ad_fail(a->info, AD_ERR_NOMEM, "no memory for the answer");
    }
    memcpy(a->text, text->p, text->n);
    text->p = a->text;
    return AD_OK;
}

enum ad_err ad__answer_read(struct answer *a, struct ad_str text, bool lent)
{
    enum ad_err err = lent ? AD_OK : copy_text(a, &text);
    if (!err && ad_arena_alloc(&a->doc, DOC_ARENA_KEPT)) {
        ad_arena_reset(&a->doc);
    }
    err = err ? err : read_many(a, text);
    ad_arena_reset(&a->doc);
    if (err == AD_ERR_PARSE && a->n == 0) { /* then data may be one record */
        *a->info = (struct ad_errinfo){ .code = AD_OK };
        err = read_one(a, text);
        ad_arena_reset(&a->doc);
    }
    return err;
}
