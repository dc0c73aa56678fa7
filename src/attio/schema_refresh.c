/* Asking Attio for the schema:
 *
 *   GET /v2/objects -> for each: GET its attributes, page by page -> the same with /v2/lists
 *   -> compare with what we know -> store the difference -> into memory
 *
 * Everything new is prepared before it is stored, so that after the commit nothing can fail. */
#include "attio/schema.h"

#include "base/buf.h"
#include "base/json_bind.h"
#include "base/mem.h"
#include "schema_private.h"

/* Documented as limit and offset; no largest limit is documented. */
#define PAGE 500
/* More attributes than any object can have, or a server that ignores the offset. */
#define PAGES_MAX 20
#define ARENA_MAX ((size_t)64 << 20)

enum { OBJECT_VALUES = 7, LIST_VALUES = 7, ATTRIBUTE_VALUES = 14 };

static const struct ad_sql object_sql = {
    .sqlite = "INSERT INTO attiod_object"
              " (object_id, workspace_id, position, slug, singular, plural, gone)"
              " VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (object_id) DO UPDATE SET"
              " workspace_id = excluded.workspace_id, slug = excluded.slug,"
              " singular = excluded.singular, plural = excluded.plural, gone = excluded.gone",
};
static const struct ad_sql list_sql = {
    .sqlite = "INSERT INTO attiod_list (list_id, workspace_id, position, slug, name, parents, gone)"
              " VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (list_id) DO UPDATE SET"
              " workspace_id = excluded.workspace_id, slug = excluded.slug, name = excluded.name,"
              " parents = excluded.parents, gone = excluded.gone",
};
static const struct ad_sql attribute_sql = {
    .sqlite = "INSERT INTO attiod_attribute"
              " (object_id, attribute_id, position, slug, title, type, multiselect, writable,"
              " required, is_unique, archived, system, many_targets,"
              " revision)"
              " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"
              " ON CONFLICT (object_id, attribute_id) DO UPDATE SET slug = excluded.slug,"
              " title = excluded.title, type = excluded.type, multiselect = excluded.multiselect,"
              " writable = excluded.writable, required = excluded.required,"
              " is_unique = excluded.is_unique, archived = excluded.archived,"
              " system = excluded.system, many_targets = excluded.many_targets,"
              " revision = excluded.revision",
};

/* An object or a list as Attio listed it. */
struct listed {
    struct ad_list link;
    struct ad_object object; /* with what it was listed with */
    bool opaque;             /* its attributes may not be read: those known stay */
};

struct ad_refresh {
    struct ad_schema *s;
    struct ad_arena arena;  /* what was listed, the difference, the statements */
    struct ad_list objects; /* then lists */
    struct ad_list *at;     /* whose attributes are being asked for */
    unsigned pages;
    bool lists_asked, lists_known; /* false when we may not see lists */
    enum ad_priority priority;
    bool sent, canceled;
    struct ad_call call;
    struct ad_buf path;
    struct ad_arena doc_arena;
    const struct ad_json *doc; /* the last answer, when it makes sense */
    struct ad_list changes;
    unsigned changes_n;
    struct ad_store_req req;
};

bool ad__refresh_is_sent(const struct ad_refresh *r)
{
    return r->sent;
}

static void refresh_free(struct ad_refresh *r)
{
    ad_arena_fini(&r->arena);
    ad_arena_fini(&r->doc_arena);
    ad_buf_fini(&r->path);
    ad_free(r);
}

static void refresh_end(struct ad_refresh *r, enum ad_err err, const struct ad_errinfo *info)
{
    struct ad_schema *s = r->s;
    struct ad_errinfo kept = { .code = err };
    if (err && info) {
        kept = *info;
    } else if (err) {
        ad_fail(&kept, err, "schema: %s", ad_err_text(err));
    }
    bool changed = !err && r->changes_n > 0;
    refresh_free(r);
    ad__schema_refreshed(s, err, &kept, changed);
}

/* --- The difference --- */

static struct ad_schema_change *change_new(struct ad_refresh *r, struct ad_schema_object *o)
{
    struct ad_schema_change *c = ad_arena_zalloc(&r->arena, sizeof(*c));
    if (c) {
        c->object = o;
        ad_list_push(&r->changes, &c->link);
        r->changes_n++;
    }
    return c;
}

/* A copy that lives as long as the schema; what is known already is not copied again. */
static bool keep(struct ad_schema *s, struct ad_str *text, struct ad_str known)
{
    if (!text->p || (known.p && ad_str_eq(*text, known))) {
        *text = text->p ? known : AD_STR_NONE;
        return true;
    }
    *text = ad_arena_str(&s->arena, *text);
    return text->p != NULL;
}

static bool same_str(struct ad_str a, struct ad_str b)
{
    return (a.p != NULL) == (b.p != NULL) && ad_str_eq(a, b);
}

static bool same_object(const struct ad_object *a, const struct ad_object *b)
{
    return same_str(a->slug, b->slug) && same_str(a->singular, b->singular) &&
           same_str(a->plural, b->plural) && same_str(a->workspace_id, b->workspace_id) &&
           same_str(a->parents, b->parents) && a->gone == b->gone;
}

static bool same_attribute(const struct ad_attribute *a, const struct ad_attribute *b)
{
    return same_str(a->slug, b->slug) && same_str(a->title, b->title) &&
           same_str(a->type_name, b->type_name) && a->multiselect == b->multiselect &&
           a->writable == b->writable && a->required == b->required && a->unique == b->unique &&
           a->archived == b->archived && a->system == b->system &&
           a->many_targets == b->many_targets;
}

static bool change_object(struct ad_refresh *r, struct ad_schema_object *o,
                          const struct ad_object *to, bool is_new)
{
    struct ad_schema *s = r->s;
    struct ad_schema_change *c = change_new(r, o);
    if (!c) {
        return false;
    }
    c->is_new = is_new;
    c->to = *to;
    return keep(s, &c->to.id, o->pub.id) && keep(s, &c->to.slug, o->pub.slug) &&
           keep(s, &c->to.singular, o->pub.singular) && keep(s, &c->to.plural, o->pub.plural) &&
           keep(s, &c->to.workspace_id, o->pub.workspace_id) &&
           keep(s, &c->to.parents, o->pub.parents);
}

static bool change_attribute(struct ad_refresh *r, struct ad_schema_object *o,
                             struct ad_attribute *known, const struct ad_attribute *to)
{
    static const struct ad_attribute nothing = { .position = 0 };
    struct ad_schema *s = r->s;
    const struct ad_attribute *old = known ? known : &nothing;
    struct ad_schema_change *c = change_new(r, o);
    if (!c) {
        return false;
    }
    c->is_new_attribute = !known;
    c->attribute = known ? known : ad_arena_zalloc(&s->arena, sizeof(*c->attribute));
    c->to_attribute = *to;
    return c->attribute && keep(s, &c->to_attribute.id, old->id) &&
           keep(s, &c->to_attribute.slug, old->slug) &&
           keep(s, &c->to_attribute.title, old->title) &&
           keep(s, &c->to_attribute.type_name, old->type_name);
}

static struct ad_attribute *find_attribute(const struct ad_object *o, struct ad_str id)
{
    AD_LIST_FOREACH (l, &o->attributes) {
        struct ad_attribute *a = ad_container_of(l, struct ad_attribute, link);
        if (ad_str_eq(a->id, id)) {
            return a;
        }
    }
    return NULL;
}

/* One more than the highest in use. */
static unsigned next_position(const struct ad_object *o)
{
    unsigned next = 0;
    AD_LIST_FOREACH (l, &o->attributes) {
        const struct ad_attribute *a = ad_container_of(l, struct ad_attribute, link);
        next = a->position >= next ? a->position + 1 : next;
    }
    return next;
}

/* What a value is in SQL. */
static bool same_form(const struct ad_attribute *a, const struct ad_attribute *b)
{
    return same_str(a->type_name, b->type_name) && a->multiselect == b->multiselect &&
           (!a->multiselect || a->many_targets == b->many_targets);
}

static bool diff_attributes(struct ad_refresh *r, struct ad_schema_object *o,
                            const struct ad_object *listed)
{
    unsigned position = next_position(&o->pub);
    AD_LIST_FOREACH (l, &listed->attributes) {
        struct ad_attribute *a = ad_container_of(l, struct ad_attribute, link);
        struct ad_attribute *known = find_attribute(&o->pub, a->id);
        a->position = known ? known->position : position++;
        a->revision = known ? known->revision + !same_form(known, a) : 0;
        if (!(known && same_attribute(known, a)) && !change_attribute(r, o, known, a)) {
            return false;
        }
    }
    AD_LIST_FOREACH (l, &o->pub.attributes) { /* what is listed no more is archived */
        struct ad_attribute *a = ad_container_of(l, struct ad_attribute, link);
        if (!a->archived && !find_attribute(listed, a->id)) {
            struct ad_attribute to = *a;
            to.archived = true;
            if (!change_attribute(r, o, a, &to)) {
                return false;
            }
        }
    }
    return true;
}

static bool is_listed(const struct ad_refresh *r, struct ad_str id)
{
    AD_LIST_FOREACH (l, &r->objects) {
        if (ad_str_eq(ad_container_of(l, struct listed, link)->object.id, id)) {
            return true;
        }
    }
    return false;
}

static bool diff_gone(struct ad_refresh *r)
{
    AD_LIST_FOREACH (l, &r->s->all) {
        struct ad_schema_object *known = ad_container_of(l, struct ad_schema_object, all_link);
        const struct ad_object *o = &known->pub;
        bool asked = o->kind == AD_KIND_OBJECT || r->lists_known;
        if (asked && !o->gone && !is_listed(r, o->id)) {
            struct ad_object to = *o;
            to.gone = true;
            if (!change_object(r, known, &to, false)) {
                return false;
            }
        }
    }
    return true;
}

static unsigned objects_n(const struct ad_schema *s)
{
    return ad_list_empty(&s->all)
               ? 0
               : ad_container_of(s->all.prev, struct ad_schema_object, all_link)->pub.position + 1;
}

static bool diff(struct ad_refresh *r)
{
    unsigned position = objects_n(r->s);
    bool ok = diff_gone(r);
    AD_LIST_FOREACH (l, &r->objects) {
        const struct listed *n = ad_container_of(l, struct listed, link);
        struct ad_object *listed = &ad_container_of(l, struct listed, link)->object;
        struct ad_schema_object *o = ad__schema_find(r->s, listed->id);
        bool is_new = !o;
        o = o ? o : ad__schema_new_object(r->s);
        listed->position = is_new ? position++ : o->pub.position;
        if (!ok || !o ||
            ((is_new || !same_object(&o->pub, listed)) && !change_object(r, o, listed, is_new))) {
            return false;
        }
        ok = n->opaque || diff_attributes(r, o, listed);
    }
    return ok;
}

/* --- Storing it --- */

static void object_values(const struct ad_schema_change *c, struct ad_value *v)
{
    const struct ad_object *o = &c->to;
    v[0] = AD_V_TEXT(o->id);
    v[1] = AD_V_TEXT(o->workspace_id);
    v[2] = AD_V_I64(o->position);
    v[3] = AD_V_TEXT(o->slug);
    v[4] = AD_V_TEXT(o->singular);
    v[5] = AD_V_TEXT(o->plural);
    v[6] = AD_V_I64(o->gone);
}

static void list_values(const struct ad_schema_change *c, struct ad_value *v)
{
    const struct ad_object *o = &c->to;
    v[0] = AD_V_TEXT(o->id);
    v[1] = AD_V_TEXT(o->workspace_id);
    v[2] = AD_V_I64(o->position);
    v[3] = AD_V_TEXT(o->slug);
    v[4] = AD_V_TEXT(o->plural);
    v[5] = AD_V_TEXT(o->parents);
    v[6] = AD_V_I64(o->gone);
}

static void attribute_values(struct ad_str object_id, const struct ad_attribute *a,
                             struct ad_value *v)
{
    v[0] = AD_V_TEXT(object_id);
    v[1] = AD_V_TEXT(a->id);
    v[2] = AD_V_I64(a->position);
    v[3] = AD_V_TEXT(a->slug);
    v[4] = AD_V_TEXT(a->title);
    v[5] = AD_V_TEXT(a->type_name);
    v[6] = AD_V_I64(a->multiselect);
    v[7] = AD_V_I64(a->writable);
    v[8] = AD_V_I64(a->required);
    v[9] = AD_V_I64(a->unique);
    v[10] = AD_V_I64(a->archived);
    v[11] = AD_V_I64(a->system);
    v[12] = AD_V_I64(a->many_targets);
    v[13] = AD_V_I64(a->revision);
}

static void on_stored(struct ad_store_req *req)
{
    struct ad_refresh *r = ad_container_of(req, struct ad_refresh, req);
    if (!req->err) {
        ad__schema_apply(r->s, &r->changes);
    }
    refresh_end(r, req->err, &req->info);
}

/* An attribute's object stands before it among the changes, when it is new. */
static struct ad_str object_id_of(const struct ad_refresh *r, const struct ad_schema_change *c)
{
    AD_LIST_FOREACH (l, &r->changes) {
        const struct ad_schema_change *other = ad_container_of(l, struct ad_schema_change, link);
        if (!other->attribute && other->object == c->object) {
            return other->to.id;
        }
    }
    return c->object->pub.id;
}

static enum ad_err store(struct ad_refresh *r)
{
    struct ad_step *steps = ad_arena_array(&r->arena, r->changes_n, sizeof(*steps));
    struct ad_value(*values)[ATTRIBUTE_VALUES] =
        ad_arena_array(&r->arena, r->changes_n, sizeof(*values));
    unsigned n = 0;
    if (!steps || !values) {
        return AD_ERR_NOMEM;
    }
    AD_LIST_FOREACH (l, &r->changes) {
        const struct ad_schema_change *c = ad_container_of(l, struct ad_schema_change, link);
        steps[n].values = values[n];
        if (c->attribute) {
            steps[n].sql = &attribute_sql;
            steps[n].values_n = ATTRIBUTE_VALUES;
            attribute_values(object_id_of(r, c), &c->to_attribute, values[n]);
        } else if (c->to.kind == AD_KIND_LIST) {
            steps[n].sql = &list_sql;
            steps[n].values_n = LIST_VALUES;
            list_values(c, values[n]);
        } else {
            steps[n].sql = &object_sql;
            steps[n].values_n = OBJECT_VALUES;
            object_values(c, values[n]);
        }
        n++;
    }
    r->req = (struct ad_store_req){
        .steps = steps, .steps_n = n, .cls = AD_STORE_NORMAL, .cb = on_stored
    };
    return ad_store_write(r->s->o.store, &r->req);
}

static void finish(struct ad_refresh *r)
{
    enum ad_err err = diff(r) ? AD_OK : AD_ERR_NOMEM;
    if (!err && r->changes_n > 0) {
        err = store(r);
        if (!err) {
            return;
        }
    }
    refresh_end(r, err, NULL);
}

/* --- Asking --- */

static enum ad_err keep_listed(struct ad_refresh *r, struct ad_str *text)
{
    if (text->p) {
        *text = ad_arena_str(&r->arena, *text);
        return text->p ? AD_OK : AD_ERR_NOMEM;
    }
    return AD_OK;
}

static const struct ad_json_field object_fields[] = {
    AD_FIELD(UUID, struct ad_object, id, "id.object_id", AD_REQUIRED),
    AD_FIELD(UUID, struct ad_object, workspace_id, "id.workspace_id", AD_OPTIONAL),
    AD_FIELD(STR, struct ad_object, slug, "api_slug", AD_OPTIONAL),
    AD_FIELD(STR, struct ad_object, singular, "singular_noun", AD_OPTIONAL),
    AD_FIELD(STR, struct ad_object, plural, "plural_noun", AD_OPTIONAL),
};
static const struct ad_json_field list_fields[] = {
    AD_FIELD(UUID, struct ad_object, id, "id.list_id", AD_REQUIRED),
    AD_FIELD(UUID, struct ad_object, workspace_id, "id.workspace_id", AD_OPTIONAL),
    AD_FIELD(STR, struct ad_object, slug, "api_slug", AD_OPTIONAL),
    AD_FIELD(STR, struct ad_object, plural, "name", AD_OPTIONAL),
};

static enum ad_err read_object(struct ad_refresh *r, enum ad_kind kind, const struct ad_json *v)
{
    bool list = kind == AD_KIND_LIST;
    struct listed *n = ad_arena_zalloc(&r->arena, sizeof(*n));
    if (!n) {
        return AD_ERR_NOMEM;
    }
    struct ad_object *o = &n->object;
    o->kind = kind;
    ad_list_init(&o->attributes);
    if (ad_json_bind(v, list ? list_fields : object_fields,
                     list ? AD_LEN(list_fields) : AD_LEN(object_fields), o, NULL)) {
        return AD_ERR_PROTOCOL;
    }
    const struct ad_json *parents = list ? ad_json_get(v, "parent_object") : NULL;
    o->parents = parents && ad_json_is(parents, AD_JSON_ARRAY) ? parents->raw : AD_STR_NONE;
    o->slug = o->slug.n ? o->slug : o->id;
    enum ad_err err = keep_listed(r, &o->id);
    err = err ? err : keep_listed(r, &o->workspace_id);
    err = err ? err : keep_listed(r, &o->slug);
    err = err ? err : keep_listed(r, &o->singular);
    err = err ? err : keep_listed(r, &o->plural);
    err = err ? err : keep_listed(r, &o->parents);
    if (!err && !is_listed(r, o->id)) {
        ad_list_push(&r->objects, &n->link);
    }
    return err;
}

/* Listed twice: the pages moved under us. */
static enum ad_err read_attribute(struct ad_refresh *r, struct ad_object *o,
                                  const struct ad_json *v)
{
    static const struct ad_json_field fields[] = {
        AD_FIELD(UUID, struct ad_attribute, id, "id.attribute_id", AD_REQUIRED),
        AD_FIELD(STR, struct ad_attribute, slug, "api_slug", AD_REQUIRED),
        AD_FIELD(STR, struct ad_attribute, title, "title", AD_OPTIONAL),
        AD_FIELD(STR, struct ad_attribute, type_name, "type", AD_REQUIRED),
        AD_FIELD(BOOL, struct ad_attribute, multiselect, "is_multiselect", AD_OPTIONAL),
        AD_FIELD(BOOL, struct ad_attribute, writable, "is_writable", AD_OPTIONAL),
        AD_FIELD(BOOL, struct ad_attribute, required, "is_required", AD_OPTIONAL),
        AD_FIELD(BOOL, struct ad_attribute, unique, "is_unique", AD_OPTIONAL),
        AD_FIELD(BOOL, struct ad_attribute, archived, "is_archived", AD_OPTIONAL),
        AD_FIELD(BOOL, struct ad_attribute, system, "is_system_attribute", AD_OPTIONAL),
    };
    struct ad_attribute *a = ad_arena_zalloc(&r->arena, sizeof(*a));
    if (!a) {
        return AD_ERR_NOMEM;
    }
    if (ad_json_bind(v, fields, AD_LEN(fields), a, NULL)) {
        return AD_ERR_PROTOCOL;
    }
    a->type = ad_attr_type_parse(a->type_name);
    if (a->type == AD_ATTR_RECORD_REFERENCE) { /* null: to records of any object */
        const struct ad_json *allowed =
            ad_json_path(v, "config.record_reference.allowed_object_ids");
        a->many_targets = !ad_json_is(allowed, AD_JSON_ARRAY) || allowed->count != 1;
    }
    enum ad_err err = keep_listed(r, &a->id);
    err = err ? err : keep_listed(r, &a->slug);
    err = err ? err : keep_listed(r, &a->title);
    err = err ? err : keep_listed(r, &a->type_name);
    if (!err && !find_attribute(o, a->id)) {
        ad_list_push(&o->attributes, &a->link);
        o->attributes_n++;
    }
    return err;
}

static void on_send(struct ad_call *call)
{
    ad_container_of(call, struct ad_refresh, call)->sent = true;
}

/* Garbage counts as a failed try and is asked for again. */
static enum ad_err on_check(struct ad_call *call)
{
    struct ad_refresh *r = ad_container_of(call, struct ad_refresh, call);
    ad_arena_reset(&r->doc_arena);
    enum ad_err err = ad_json_parse(&r->doc_arena, call->response, NULL, &r->doc, NULL);
    return err                                                      ? err
           : ad_json_is(ad_json_get(r->doc, "data"), AD_JSON_ARRAY) ? AD_OK
                                                                    : AD_ERR_PARSE;
}

static enum ad_err ask(struct ad_refresh *r, const char *route, ad_call_cb cb)
{
    enum ad_err err = ad_buf_status(&r->path);
    r->call = (struct ad_call){ .method = "GET",
                                .path = ad_buf_str(&r->path),
                                .route = route,
                                .lane = AD_LANE_READ,
                                .priority = r->priority,
                                .reads_only = true,
                                .on_send = on_send,
                                .on_check = on_check,
                                .cb = cb };
    return err ? err : ad_call_start(r->s->o.client, &r->call);
}

static void attributes_next(struct ad_refresh *r);

/* We may not read a list, or it was deleted meanwhile. */
static bool is_closed_list(const struct ad_object *o, enum ad_err err)
{
    return o->kind == AD_KIND_LIST && (err == AD_ERR_FORBIDDEN || err == AD_ERR_NOTFOUND);
}

static void on_attributes(struct ad_call *call)
{
    struct ad_refresh *r = ad_container_of(call, struct ad_refresh, call);
    struct listed *n = ad_container_of(r->at, struct listed, link);
    struct ad_object *o = &n->object;
    enum ad_err err = call->err;
    if (!r->canceled && is_closed_list(o, err)) {
        n->opaque = true;
        r->at = r->at->next;
        r->pages = 0;
        attributes_next(r);
        return;
    }
    if (err || r->canceled) {
        refresh_end(r, err ? err : AD_ERR_CANCELED, err ? &call->info : NULL);
        return;
    }
    const struct ad_json *data = ad_json_get(r->doc, "data");
    AD_JSON_FOREACH (v, data) {
        err = err ? err : read_attribute(r, o, v);
    }
    if (!err && data->count >= PAGE && ++r->pages >= PAGES_MAX) {
        err = AD_ERR_PROTOCOL;
    }
    if (err) {
        refresh_end(r, err, NULL);
        return;
    }
    if (data->count < PAGE) {
        r->at = r->at->next;
        r->pages = 0;
    }
    attributes_next(r);
}

static void on_lists(struct ad_call *call);

static void attributes_next(struct ad_refresh *r)
{
    enum ad_err err;
    ad_buf_clear(&r->path);
    if (r->at != &r->objects) {
        const struct ad_object *o = &ad_container_of(r->at, struct listed, link)->object;
        bool list = o->kind == AD_KIND_LIST;
        ad_buf_fmt(&r->path, "/v2/%s/%.*s/attributes?limit=%d&offset=%u&show_archived=true",
                   list ? "lists" : "objects", AD_FMT(o->id), PAGE, r->pages * PAGE);
        err = ask(r, list ? "/v2/lists/{list}/attributes" : "/v2/objects/{object}/attributes",
                  on_attributes);
    } else if (!r->lists_asked) {
        r->lists_asked = true;
        ad_buf_put(&r->path, AD_STR("/v2/lists"));
        err = ask(r, "/v2/lists", on_lists);
    } else {
        finish(r);
        return;
    }
    if (err) {
        refresh_end(r, err, NULL);
    }
}

static void on_lists(struct ad_call *call)
{
    struct ad_refresh *r = ad_container_of(call, struct ad_refresh, call);
    enum ad_err err = call->err;
    struct ad_list *last = r->objects.prev;
    r->lists_known = !err;
    if (err == AD_ERR_FORBIDDEN) {
        err = AD_OK; /* the scope is missing: what is known of lists stays */
    } else if (!err) {
        AD_JSON_FOREACH (v, ad_json_get(r->doc, "data")) {
            err = err ? err : read_object(r, AD_KIND_LIST, v);
        }
    }
    if (err || r->canceled) {
        refresh_end(r, err ? err : AD_ERR_CANCELED, call->err ? &call->info : NULL);
        return;
    }
    r->at = last->next;
    attributes_next(r);
}

static void on_objects(struct ad_call *call)
{
    struct ad_refresh *r = ad_container_of(call, struct ad_refresh, call);
    enum ad_err err = call->err;
    if (err || r->canceled) {
        refresh_end(r, err ? err : AD_ERR_CANCELED, err ? &call->info : NULL);
        return;
    }
    AD_JSON_FOREACH (v, ad_json_get(r->doc, "data")) {
        err = err ? err : read_object(r, AD_KIND_OBJECT, v);
    }
    if (err) {
        refresh_end(r, err, NULL);
        return;
    }
    r->at = r->objects.next;
    attributes_next(r);
}

enum ad_err ad__refresh_start(struct ad_schema *s)
{
    struct ad_refresh *r = ad_zalloc(sizeof(*r));
    if (!r) {
        return AD_ERR_NOMEM;
    }
    r->s = s;
    r->priority = s->priority;
    ad_arena_init(&r->arena, ARENA_MAX);
    ad_arena_init(&r->doc_arena, ARENA_MAX);
    ad_buf_init(&r->path, 512);
    ad_list_init(&r->objects);
    ad_list_init(&r->changes);
    ad_buf_put(&r->path, AD_STR("/v2/objects"));
    enum ad_err err = ask(r, "/v2/objects", on_objects);
    if (err) {
        refresh_free(r);
        return err;
    }
    s->refresh = r;
    return AD_OK;
}

void ad__refresh_cancel(struct ad_refresh *r)
{
    r->canceled = true;
    ad_call_cancel(r->s->o.client, &r->call);
}
