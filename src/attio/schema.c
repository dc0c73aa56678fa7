#include "attio/schema.h"

#include "base/log.h"
#include "base/mem.h"
#include "schema_private.h"

/* Objects, attributes and their texts; texts that changed stay. */
#define ARENA_MAX ((size_t)64 << 20)
#define ROWS_MAX 100000

static const char *const type_names[] = {
    [AD_ATTR_TEXT] = "text",
    [AD_ATTR_NUMBER] = "number",
    [AD_ATTR_CHECKBOX] = "checkbox",
    [AD_ATTR_CURRENCY] = "currency",
    [AD_ATTR_DATE] = "date",
    [AD_ATTR_TIMESTAMP] = "timestamp",
    [AD_ATTR_RATING] = "rating",
    [AD_ATTR_STATUS] = "status",
    [AD_ATTR_SELECT] = "select",
    [AD_ATTR_RECORD_REFERENCE] = "record-reference",
    [AD_ATTR_ACTOR_REFERENCE] = "actor-reference",
    [AD_ATTR_LOCATION] = "location",
    [AD_ATTR_DOMAIN] = "domain",
    [AD_ATTR_EMAIL_ADDRESS] = "email-address",
    [AD_ATTR_PHONE_NUMBER] = "phone-number",
    [AD_ATTR_INTERACTION] = "interaction",
    [AD_ATTR_PERSONAL_NAME] = "personal-name",
};

const char *ad_attr_type_name(enum ad_attr_type t)
{
    return (size_t)t < AD_LEN(type_names) ? type_names[t] : "unknown";
}

enum ad_attr_type ad_attr_type_parse(struct ad_str s)
{
    for (size_t i = 0; i < AD_LEN(type_names); i++) {
        if (ad_str_eq(s, ad_str_c(type_names[i]))) {
            return (enum ad_attr_type)i;
        }
    }
    return AD_ATTR_UNKNOWN;
}

const char *ad_kind_name(enum ad_kind kind)
{
    static const char *const names[AD_KINDS] = {
        [AD_KIND_OBJECT] = "object",   [AD_KIND_LIST] = "list",
        [AD_KIND_NOTE] = "note",       [AD_KIND_TASK] = "task",
        [AD_KIND_COMMENT] = "comment", [AD_KIND_MEMBER] = "workspace-member",
    };
    return names[kind];
}

/* --- What we know --- */

struct ad_schema_object *ad__schema_find(const struct ad_schema *s, struct ad_str id)
{
    struct ad_map_node *node = ad_map_get(&s->by_id, id);
    return node ? ad_container_of(node, struct ad_schema_object, by_id) : NULL;
}

static const struct ad_object *of_kind(const struct ad_schema *s, enum ad_kind kind,
                                       struct ad_str id_or_slug)
{
    struct ad_schema_object *o = ad__schema_find(s, id_or_slug);
    if (o && o->pub.kind == kind) {
        return &o->pub;
    }
    struct ad_map_node *node = ad_map_get(&s->by_slug[kind], id_or_slug);
    return node ? &ad_container_of(node, struct ad_schema_object, by_slug)->pub : NULL;
}

const struct ad_object *ad_schema_object(const struct ad_schema *s, struct ad_str id_or_slug)
{
    return of_kind(s, AD_KIND_OBJECT, id_or_slug);
}

const struct ad_object *ad_schema_list(const struct ad_schema *s, struct ad_str id_or_slug)
{
    return of_kind(s, AD_KIND_LIST, id_or_slug);
}

const struct ad_object *ad_schema_builtin(const struct ad_schema *s, enum ad_kind kind)
{
    AD_ASSERT(kind >= AD_KIND_NOTE && kind < AD_KINDS);
    return &s->builtin[kind];
}

const struct ad_object *ad_schema_find(const struct ad_schema *s, struct ad_str name)
{
    static const struct ad_str prefix = { .p = "list_", .n = 5 };
    const struct ad_object *o = ad_schema_object(s, name);
    struct ad_schema_object *list = o ? NULL : ad__schema_find(s, name);
    o = list ? &list->pub : o;
    if (!o && name.n > prefix.n && ad_str_eq(ad_str_n(name.p, prefix.n), prefix)) {
        o = ad_schema_list(s, ad_str_n(name.p + prefix.n, name.n - prefix.n));
    }
    for (unsigned kind = AD_KIND_NOTE; !o && kind < AD_KINDS; kind++) {
        o = ad_str_eq(name, s->builtin[kind].id) ? &s->builtin[kind] : NULL;
    }
    return o;
}

const struct ad_object *ad_schema_next(const struct ad_schema *s, const struct ad_object *after)
{
    if (!after) {
        return &s->builtin[AD_KIND_NOTE];
    }
    if (after->kind >= AD_KIND_NOTE && after->kind + 1 < AD_KINDS) {
        return &s->builtin[after->kind + 1];
    }
    const struct ad_list *l = &s->all;
    if (after->kind < AD_KIND_NOTE) {
        l = &ad__schema_find(s, after->id)->all_link;
    }
    return l->next == &s->all ? NULL
                              : &ad_container_of(l->next, struct ad_schema_object, all_link)->pub;
}

const struct ad_attribute *ad_object_attribute(const struct ad_object *o, struct ad_str id_or_slug)
{
    const struct ad_attribute *archived = NULL;
    AD_LIST_FOREACH (l, &o->attributes) {
        const struct ad_attribute *a = ad_container_of(l, struct ad_attribute, link);
        if (ad_str_eq(a->id, id_or_slug)) {
            return a;
        }
        if (ad_str_eq(a->slug, id_or_slug)) {
            if (!a->archived) {
                return a;
            }
            archived = a;
        }
    }
    return archived;
}

const struct ad_list *ad_schema_objects(const struct ad_schema *s)
{
    return &s->objects;
}

const struct ad_list *ad_schema_lists(const struct ad_schema *s)
{
    return &s->lists;
}

uint64_t ad_schema_names_generation(const struct ad_schema *s)
{
    return s->names_generation;
}

bool ad_schema_known(const struct ad_schema *s)
{
    return s->known;
}

uint64_t ad_schema_age_ms(const struct ad_schema *s)
{
    return s->refreshed_ms ? ad_mono_ms(s->o.clock) - s->refreshed_ms : UINT64_MAX;
}

struct ad_schema_object *ad__schema_new_object(struct ad_schema *s)
{
    struct ad_schema_object *o = ad_arena_zalloc(&s->arena, sizeof(*o));
    if (o) {
        ad_list_init(&o->pub.attributes);
        ad_list_init(&o->pub.link);
        ad_list_init(&o->all_link);
    }
    return o;
}

/* Whoever had the slug before was renamed or is gone, and is found by its id. */
static void name(struct ad_schema *s, struct ad_schema_object *o)
{
    struct ad_map *by_slug = &s->by_slug[o->pub.kind];
    struct ad_map_node *node = ad_map_get(by_slug, o->pub.slug);
    if (node) {
        ad_container_of(node, struct ad_schema_object, by_slug)->has_slug = false;
        ad_map_remove(by_slug, node);
    }
    ad_map_put(by_slug, &o->by_slug, o->pub.slug);
    o->has_slug = true;
}

static void unname(struct ad_schema *s, struct ad_schema_object *o)
{
    if (o->has_slug) {
        ad_map_remove(&s->by_slug[o->pub.kind], &o->by_slug);
        o->has_slug = false;
    }
}

/* Behind all that were seen before it; objects are loaded before lists. */
static void enlist(struct ad_schema *s, struct ad_schema_object *o)
{
    struct ad_list *at = &s->all;
    while (at->prev != &s->all &&
           ad_container_of(at->prev, struct ad_schema_object, all_link)->pub.position >
               o->pub.position) {
        at = at->prev;
    }
    ad_list_push(at, &o->all_link);
    ad_list_push(o->pub.kind == AD_KIND_LIST ? &s->lists : &s->objects, &o->pub.link);
    ad_map_put(&s->by_id, &o->by_id, o->pub.id);
}

static void apply_object(struct ad_schema *s, const struct ad_schema_change *c)
{
    struct ad_object *o = &c->object->pub;
    bool renamed = c->is_new || !ad_str_eq(o->slug, c->to.slug) || o->gone != c->to.gone;
    s->names_generation += renamed;
    unname(s, c->object);
    o->slug = c->to.slug;
    o->singular = c->to.singular;
    o->plural = c->to.plural;
    o->workspace_id = c->to.workspace_id;
    o->parents = c->to.parents;
    o->gone = c->to.gone;
    if (c->is_new) {
        o->kind = c->to.kind;
        o->id = c->to.id;
        o->position = c->to.position;
        enlist(s, c->object);
    }
    if (!o->gone) {
        name(s, c->object);
    }
}

static void apply_attribute(const struct ad_schema_change *c)
{
    struct ad_object *o = &c->object->pub;
    struct ad_list link = c->attribute->link;
    *c->attribute = c->to_attribute;
    c->attribute->link = link;
    if (c->is_new_attribute) {
        ad_list_push(&o->attributes, &c->attribute->link);
        o->attributes_n++;
    }
}

void ad__schema_apply(struct ad_schema *s, struct ad_list *changes)
{
    AD_LIST_FOREACH (l, changes) {
        const struct ad_schema_change *c = ad_container_of(l, struct ad_schema_change, link);
        if (c->attribute) {
            apply_attribute(c);
        } else {
            apply_object(s, c);
        }
        c->object->pub.generation++;
    }
}

/* --- Waiting for a refresh --- */

static void on_ttl(struct ad_timer *t);

static void arm_ttl(struct ad_schema *s)
{
    if (s->o.ttl_ms && !s->closing) {
        ad_timer_start(s->o.timers, &s->ttl_timer, s->o.ttl_ms, on_ttl);
    }
}

/* All that wait are answered by the refresh that starts now. */
static enum ad_err start(struct ad_schema *s)
{
    ad_list_move(&s->joined, &s->waiting);
    enum ad_err err = ad__refresh_start(s);
    s->priority = AD_PRIO_BACKFILL;
    return err;
}

static void on_ttl(struct ad_timer *t)
{
    struct ad_schema *s = ad_container_of(t, struct ad_schema, ttl_timer);
    if (!s->refresh && start(s)) {
        arm_ttl(s);
    }
}

void ad_schema_set_ttl(struct ad_schema *s, unsigned ttl_ms)
{
    bool running = ad_timer_running(&s->ttl_timer);
    ad_timer_stop(s->o.timers, &s->ttl_timer);
    s->o.ttl_ms = ttl_ms;
    if (running) {
        arm_ttl(s);
    }
}

static void mark(struct ad_list *to, struct ad_list *from, enum ad_err err,
                 const struct ad_errinfo *info)
{
    AD_LIST_FOREACH (l, from) {
        struct ad_schema_wait *w = ad_container_of(l, struct ad_schema_wait, link);
        w->err = err;
        w->info = info ? *info : (struct ad_errinfo){ .code = err };
    }
    ad_list_move(to, from);
}

/* What is called may cancel others of the list, and close the schema (which goes on a later
 * turn). */
static void call_back(struct ad_list *marked)
{
    for (struct ad_list *l = ad_list_pop(marked); l; l = ad_list_pop(marked)) {
        struct ad_schema_wait *w = ad_container_of(l, struct ad_schema_wait, link);
        w->cb(w);
    }
}

static void release(struct ad_schema *s)
{
    ad_map_fini(&s->by_id);
    ad_map_fini(&s->by_slug[AD_KIND_OBJECT]);
    ad_map_fini(&s->by_slug[AD_KIND_LIST]);
    ad_arena_fini(&s->arena);
    ad_free(s);
}

static void on_closing(struct ad_timer *t)
{
    struct ad_schema *s = ad_container_of(t, struct ad_schema, close_timer);
    struct ad_list ended;
    ad_list_init(&ended);
    if (s->refresh) {
        return; /* its end comes back here */
    }
    mark(&ended, &s->joined, AD_ERR_CANCELED, NULL);
    mark(&ended, &s->waiting, AD_ERR_CANCELED, NULL);
    call_back(&ended);
    void (*done)(void *ctx) = s->done;
    void *ctx = s->done_ctx;
    release(s);
    done(ctx);
}

void ad_schema_on_change(struct ad_schema *s, void (*changed)(void *ctx), void *ctx)
{
    s->changed = changed;
    s->changed_ctx = ctx;
}

void ad__schema_refreshed(struct ad_schema *s, enum ad_err err, const struct ad_errinfo *info,
                          bool changed)
{
    struct ad_list ended;
    ad_list_init(&ended);
    s->refresh = NULL;
    if (s->closing) {
        ad_timer_start(s->o.timers, &s->close_timer, 0, on_closing);
        return;
    }
    if (err) {
        s->c_failures->v++;
        ad_log(AD_LOG_WARN, "schema_refresh_failed", AD_KE("error", err),
               AD_KC("detail", info->msg));
    } else {
        s->c_refreshes->v++;
        s->known = true;
        s->refreshed_ms = ad_mono_ms(s->o.clock);
    }
    arm_ttl(s);
    if (changed && s->changed) {
        s->changed(s->changed_ctx);
    }
    mark(&ended, &s->joined, err, info);
    if (!ad_list_empty(&s->waiting)) {
        enum ad_err next = start(s);
        if (next) {
            mark(&ended, &s->joined, next, NULL);
        }
    }
    call_back(&ended);
}

enum ad_err ad_schema_refresh(struct ad_schema *s, enum ad_priority priority,
                              struct ad_schema_wait *w)
{
    if (s->closing) {
        return AD_ERR_CLOSED;
    }
    if (s->refresh && !ad__refresh_is_sent(s->refresh)) {
        ad_list_push(&s->joined, &w->link);
        return AD_OK;
    }
    s->priority = priority < s->priority ? priority : s->priority;
    ad_list_push(&s->waiting, &w->link);
    enum ad_err err = s->refresh ? AD_OK : start(s);
    if (err) {
        ad_list_remove(&w->link);
    }
    return err;
}

void ad_schema_wait_cancel(struct ad_schema *s, struct ad_schema_wait *w)
{
    (void)s;
    if (w->link.next) {
        ad_list_remove(&w->link);
    }
}

/* --- Open and close --- */

static const struct ad_sql objects_sql = {
    .sqlite = "SELECT object_id, workspace_id, position, slug, singular, plural, gone"
              " FROM attiod_object ORDER BY position",
};
static const struct ad_sql lists_sql = {
    .sqlite = "SELECT list_id, workspace_id, position, slug, NULL, name, gone, parents"
              " FROM attiod_list ORDER BY position",
};
static const struct ad_sql attributes_sql = {
    .sqlite = "SELECT object_id, attribute_id, position, slug, title, type, multiselect, writable,"
              " required, is_unique, archived, system, many_targets, revision FROM "
              "attiod_attribute ORDER BY "
              "position",
};

static struct ad_str keep(struct ad_schema *s, const struct ad_value *v, bool *ok)
{
    if (v->type != AD_VALUE_TEXT) {
        return AD_STR_NONE;
    }
    struct ad_str kept = ad_arena_str(&s->arena, v->str);
    *ok = *ok && kept.p;
    return kept;
}

static bool load_one(struct ad_schema *s, const struct ad_value *row, enum ad_kind kind)
{
    bool ok = true;
    struct ad_schema_change c = { .object = ad__schema_new_object(s), .is_new = true };
    c.to = (struct ad_object){ .kind = kind,
                               .id = keep(s, &row[0], &ok),
                               .workspace_id = keep(s, &row[1], &ok),
                               .position = (unsigned)row[2].i64,
                               .slug = keep(s, &row[3], &ok),
                               .singular = keep(s, &row[4], &ok),
                               .plural = keep(s, &row[5], &ok),
                               .gone = row[6].i64 != 0 };
    if (kind == AD_KIND_LIST) {
        c.to.parents = keep(s, &row[7], &ok);
    }
    if (!c.object || !ok) {
        return false;
    }
    struct ad_list changes;
    ad_list_init(&changes);
    ad_list_push(&changes, &c.link);
    ad__schema_apply(s, &changes);
    return true;
}

static bool load_object(struct ad_schema *s, const struct ad_value *row)
{
    return load_one(s, row, AD_KIND_OBJECT);
}

static bool load_list(struct ad_schema *s, const struct ad_value *row)
{
    return load_one(s, row, AD_KIND_LIST);
}

static bool load_attribute(struct ad_schema *s, const struct ad_value *row)
{
    bool ok = true;
    struct ad_schema_change c = { .object = ad__schema_find(s, row[0].str),
                                  .attribute = ad_arena_zalloc(&s->arena, sizeof(*c.attribute)),
                                  .is_new_attribute = true };
    if (!c.object) {
        return true; /* of an object that is not there: nobody's */
    }
    c.to_attribute = (struct ad_attribute){ .id = keep(s, &row[1], &ok),
                                            .position = (unsigned)row[2].i64,
                                            .slug = keep(s, &row[3], &ok),
                                            .title = keep(s, &row[4], &ok),
                                            .type_name = keep(s, &row[5], &ok),
                                            .type = ad_attr_type_parse(row[5].str),
                                            .multiselect = row[6].i64 != 0,
                                            .writable = row[7].i64 != 0,
                                            .required = row[8].i64 != 0,
                                            .unique = row[9].i64 != 0,
                                            .archived = row[10].i64 != 0,
                                            .system = row[11].i64 != 0,
                                            .many_targets = row[12].i64 != 0,
                                            .revision = (unsigned)row[13].i64 };
    if (!c.attribute || !ok) {
        return false;
    }
    struct ad_list changes;
    ad_list_init(&changes);
    ad_list_push(&changes, &c.link);
    ad__schema_apply(s, &changes);
    return true;
}

static enum ad_err load(struct ad_schema *s, const struct ad_sql *sql,
                        bool (*each)(struct ad_schema *s, const struct ad_value *row),
                        struct ad_errinfo *info)
{
    struct ad_step step = { .sql = sql };
    struct ad_store_req req = { .steps = &step, .steps_n = 1, .rows_max = ROWS_MAX };
    enum ad_err err = ad_store_read_now(s->o.store, &req);
    if (err) {
        err = ad_fail(info, err, "cannot load the schema: %s", req.info.msg);
    } else if (req.more) {
        err = ad_fail(info, AD_ERR_TOOLARGE, "the stored schema has too many attributes");
    }
    for (size_t i = 0; !err && i < req.rows.rows; i++) {
        if (!each(s, ad_row(&req.rows, i))) {
            err = ad_fail(info, AD_ERR_NOMEM, "no memory for the schema");
        }
    }
    ad_store_rows_free(&req);
    return err;
}

static void make_builtin(struct ad_schema *s)
{
    static const char *const slugs[AD_KINDS] = {
        [AD_KIND_NOTE] = "notes",
        [AD_KIND_TASK] = "tasks",
        [AD_KIND_COMMENT] = "comments",
        [AD_KIND_MEMBER] = "workspace_members",
    };
    for (unsigned kind = AD_KIND_NOTE; kind < AD_KINDS; kind++) {
        struct ad_object *o = &s->builtin[kind];
        o->kind = (enum ad_kind)kind;
        o->id = o->slug = ad_str_c(slugs[kind]);
        ad_list_init(&o->attributes);
        ad_list_init(&o->link);
    }
}

enum ad_err ad_schema_open(const struct ad_schema_opts *opts, struct ad_schema **out,
                           struct ad_errinfo *info)
{
    struct ad_schema *s = ad_zalloc(sizeof(*s));
    if (!s) {
        return ad_fail(info, AD_ERR_NOMEM, "no memory for the schema");
    }
    s->o = *opts;
    s->priority = AD_PRIO_BACKFILL;
    ad_arena_init(&s->arena, ARENA_MAX);
    ad_list_init(&s->objects);
    ad_list_init(&s->lists);
    ad_list_init(&s->all);
    ad_list_init(&s->waiting);
    ad_list_init(&s->joined);
    ad_map_init(&s->by_id);
    ad_map_init(&s->by_slug[AD_KIND_OBJECT]);
    ad_map_init(&s->by_slug[AD_KIND_LIST]);
    make_builtin(s);
    enum ad_err err = load(s, &objects_sql, load_object, info);
    err = err ? err : load(s, &lists_sql, load_list, info);
    err = err ? err : load(s, &attributes_sql, load_attribute, info);
    if (err) {
        release(s);
        return err;
    }
    s->known = !ad_list_empty(&s->objects);
    s->c_refreshes = ad_metric_counter(opts->metrics, "attiod_schema_refreshes_total",
                                       "outcome=\"ok\"", "Schema refreshes by outcome.");
    s->c_failures = ad_metric_counter(opts->metrics, "attiod_schema_refreshes_total",
                                      "outcome=\"failed\"", "Schema refreshes by outcome.");
    *out = s;
    return AD_OK;
}

void ad_schema_close(struct ad_schema *s, void (*done)(void *ctx), void *ctx)
{
    s->closing = true;
    s->done = done;
    s->done_ctx = ctx;
    ad_timer_stop(s->o.timers, &s->ttl_timer);
    if (s->refresh) {
        ad__refresh_cancel(s->refresh);
        return;
    }
    ad_timer_start(s->o.timers, &s->close_timer, 0, on_closing);
}
