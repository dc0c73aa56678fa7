/* Entries of lists: create, assert by parent, read, update, delete. Queries are in pages.c. */
#include "write.h"

static void answer(struct ad_sim_call *c, const struct ad_sim_record *r)
{
    struct ad_sim_pen p;
    ad_sim_pen_init(&p, c->out);
    AD_SIM_PUT(&p, "{\"data\":");
    ad_sim_render_record(&p, c->store, r);
    AD_SIM_PUT(&p, "}");
    ad_sim_pen_done(&p);
}

/* The parent a body names; NULL: an error has been set. */
static struct ad_sim_record *parent_of(struct ad_sim_call *c, const struct ad_sim_object *list)
{
    uint8_t id[16];
    struct ad_str object = ad_json_str(ad_json_path(c->body, "data.parent_object"));
    struct ad_str record = ad_json_str(ad_json_path(c->body, "data.parent_record_id"));
    struct ad_sim_object *o = ad_sim_object_find(c->store, object);
    if (o != list->parent) {
        ad_sim_bad(c, "value_not_found", "Parent object with slug/ID \"%.*s\" not found.",
                   AD_FMT(object));
        return NULL;
    }
    struct ad_sim_record *r = ad_sim_uuid_parse(record, id) ? ad_sim_record_find(o, id) : NULL;
    if (!r) {
        ad_sim_bad(c, "value_not_found", "Parent record with slug/ID \"%.*s\" not found.",
                   AD_FMT(record));
    }
    return r;
}

static bool parse_body(struct ad_sim_write *w)
{
    static const struct ad_sim_field fields[] = {
        { "data", AD_SIM_IS(OBJECT), true },
        { "data.parent_record_id", AD_SIM_IS(STRING), true },
        { "data.parent_object", AD_SIM_IS(STRING), true },
        { "data.entry_values", AD_SIM_IS(OBJECT), true },
    };
    ad_sim_check(w->call, w->call->body, "", fields, AD_LEN(fields));
    return ad_sim_body_ok(w->call) && ad_sim_write_parse(w);
}

static void insert(struct ad_sim_write *w, struct ad_sim_record *parent)
{
    if (ad_sim_write_may_insert(w)) {
        struct ad_sim_entry *e = ad_sim_entry_create(w->call->store, w->object, parent, w->drafts,
                                                     w->n, AD_SIM_ACTOR_TOKEN);
        answer(w->call, &e->record);
    }
}

static void update(struct ad_sim_write *w, struct ad_sim_record *r)
{
    if (ad_sim_write_may_update(w, r)) {
        AD_IGNORE(ad_sim_record_write(w->call->store, r, w->drafts, w->n, AD_SIM_ACTOR_TOKEN),
                  "nothing to tell");
        answer(w->call, r);
    }
}

/* --- Creating --- */

static void create_entry(struct ad_sim_call *c)
{
    struct ad_str ref = c->x->params[0];
    struct ad_sim_write w = { .call = c, .object = ad_sim_list_find(c->store, ref) };
    if (!w.object) {
        ad_sim_missing(c, "Could not find list with slug/ID \"%.*s\".", AD_FMT(ref));
    } else if (parse_body(&w)) {
        struct ad_sim_record *parent = parent_of(c, w.object);
        if (parent) {
            insert(&w, parent);
        }
    }
    ad_sim_write_drop(&w);
}

/* The entries of `parent` in this list: how many, and the first. */
static size_t entries_in(const struct ad_sim_store *s, const struct ad_sim_object *list,
                         const struct ad_sim_record *parent, struct ad_sim_record **first)
{
    size_t n = 0;
    for (struct ad_sim_entry *e = ad_sim_entries_of(s, parent); e; e = e->next) {
        if (e->record.object == list && n++ == 0) {
            *first = &e->record;
        }
    }
    return n;
}

static void assert_parsed(struct ad_sim_write *w, struct ad_sim_record *parent)
{
    struct ad_sim_record *r = NULL;
    size_t n = entries_in(w->call->store, w->object, parent, &r);
    if (n > 1) {
        ad_sim_bad(w->call, "multiple_match_results",
                   "Multiple entries were founds for the given parent record. Please remove "
                   "duplicates or use the update or create entry endpoints instead.");
    } else if (n == 1) {
        update(w, r);
    } else {
        insert(w, parent);
    }
}

static void assert_entry(struct ad_sim_call *c)
{
    struct ad_str ref = c->x->params[0];
    struct ad_sim_write w = { .call = c, .object = ad_sim_list_find(c->store, ref) };
    if (!w.object) {
        ad_sim_missing(c, "List with slug/ID \"%.*s\" was not found.", AD_FMT(ref));
    } else if (parse_body(&w)) {
        struct ad_sim_record *parent = parent_of(c, w.object);
        if (parent) {
            assert_parsed(&w, parent);
        }
    }
    ad_sim_write_drop(&w);
}

/* --- One entry --- */

static struct ad_sim_record *call_entry(struct ad_sim_call *c, struct ad_sim_object **list)
{
    *list = ad_sim_call_list(c, 0);
    return *list ? ad_sim_call_record(c, *list, 1) : NULL;
}

/* The parent may be named again, but not another. */
static bool parent_stays(struct ad_sim_call *c, const struct ad_sim_record *r)
{
    const struct ad_sim_record *parent = ad_sim_parent(r);
    struct ad_str record = ad_json_str(ad_json_path(c->body, "data.parent_record_id"));
    struct ad_str object = ad_json_str(ad_json_path(c->body, "data.parent_object"));
    uint8_t id[16];
    bool same =
        (!record.p || (ad_sim_uuid_parse(record, id) && memcmp(id, parent->id, sizeof(id)) == 0)) &&
        (!object.p || ad_sim_object_find(c->store, object) == parent->object);
    if (!same) {
        ad_sim_bad(c, "immutable_value",
                   "The parent record for a list entry cannot be updated once created.");
    }
    return same;
}

static void write_entry(struct ad_sim_call *c, bool append)
{
    struct ad_sim_write w = { .call = c };
    struct ad_sim_record *r = call_entry(c, &w.object);
    if (r && parent_stays(c, r) && ad_sim_write_parse(&w)) {
        for (size_t i = 0; i < w.n; i++) {
            w.drafts[i].prepend = append && w.drafts[i].attr->multi;
        }
        update(&w, r);
    }
    ad_sim_write_drop(&w);
}

static void patch_entry(struct ad_sim_call *c)
{
    write_entry(c, true);
}

static void put_entry(struct ad_sim_call *c)
{
    write_entry(c, false);
}

static void delete_entry(struct ad_sim_call *c)
{
    struct ad_sim_object *list = NULL;
    struct ad_sim_record *r = call_entry(c, &list);
    if (r) {
        ad_sim_record_delete(c->store, r, AD_SIM_ACTOR_TOKEN);
        ad_buf_put(c->out, AD_STR("{}"));
    }
}

static void get_entry(struct ad_sim_call *c)
{
    uint8_t id[16];
    struct ad_sim_object *list = ad_sim_call_list(c, 0);
    if (!list) {
        return;
    }
    bool ok = ad_sim_uuid_parse(c->x->params[1], id);
    const struct ad_sim_record *r = ok ? ad_sim_record_find(list, id) : NULL;
    if (r) {
        r = ad_sim_as_of(c, r);
    } else if (ok && c->stale_since_ms) {
        r = ad_sim_deleted_was(c->store, list, id, c->stale_since_ms);
    }
    if (r) {
        answer(c, r);
    } else {
        ad_sim_missing(c, "Entry with ID \"%.*s\" not found.", AD_FMT(c->x->params[1]));
    }
}

/* --- The entries of a record --- */

static void write_membership(struct ad_json_writer *w, const struct ad_sim_record *r)
{
    ad_json_obj(w);
    ad_sim_w_uuid(w, "list_id", r->object->id);
    ad_json_f_cstr(w, "list_api_slug", r->object->slug);
    ad_sim_w_uuid(w, "entry_id", r->id);
    ad_json_key(w, "created_at");
    ad_json_w_time(w, r->created_ns);
    ad_json_end(w);
}

static void list_memberships(struct ad_sim_call *c)
{
    int64_t limit = 100;
    int64_t offset = 0;
    struct ad_json_writer w;
    struct ad_sim_object *o = ad_sim_call_object(c, 0);
    const struct ad_sim_record *r = o ? ad_sim_call_record(c, o, 1) : NULL;
    if (!r || !ad_sim_paging(c, 1, 1000, &limit, &offset)) {
        return;
    }
    ad_sim_data_begin(c, &w);
    ad_json_arr(&w);
    for (const struct ad_sim_entry *e = ad_sim_entries_of(c->store, r); e && limit > 0;
         e = e->next) {
        if (offset-- <= 0) {
            limit--;
            write_membership(&w, &e->record);
        }
    }
    ad_json_end(&w);
    ad_sim_data_end(c, &w);
}

#define ENTRIES "/v2/lists/{list}/entries"
const struct ad_sim_route ad_sim_entry_routes[] = {
    { AD_HTTP_POST, ENTRIES, create_entry, AD_SIM_WRITE, true },
    { AD_HTTP_PUT, ENTRIES, assert_entry, AD_SIM_WRITE, true },
    { AD_HTTP_GET, ENTRIES "/{entry}", get_entry, AD_SIM_READ, false },
    { AD_HTTP_PATCH, ENTRIES "/{entry}", patch_entry, AD_SIM_WRITE, true },
    { AD_HTTP_PUT, ENTRIES "/{entry}", put_entry, AD_SIM_WRITE, true },
    { AD_HTTP_DELETE, ENTRIES "/{entry}", delete_entry, AD_SIM_WRITE, false },
    { AD_HTTP_GET, "/v2/objects/{object}/records/{record}/entries", list_memberships, AD_SIM_READ,
      false },
    { 0, NULL, NULL, AD_SIM_READ, false },
};
