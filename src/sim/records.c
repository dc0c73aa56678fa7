/* Records: create, assert, read, update, delete, query. */
#include "call.h"
#include "filter.h"
#include "types.h"

#define PAGE_DEFAULT 500
/* Attio names no maximum; a larger page is refused rather than cut, so that nobody relies on it. */
#define PAGE_MAX 500

/* --- Values as they are written --- */

struct write {
    struct ad_sim_call *call;
    struct ad_sim_object *object;
    struct ad_sim_draft *drafts;
    size_t n;
};

static void drop(struct write *w)
{
    for (size_t i = 0; i < w->n; i++) {
        ad_sim_draft_drop(&w->drafts[i]);
    }
    w->n = 0;
}

/* Attio names the three parts of a name that are not there. */
static void note_name(struct ad_sim_call *c, const struct ad_sim_attr *a, const struct ad_json *v)
{
    static const char *const parts[] = { "first_name", "last_name", "full_name" };
    for (size_t i = 0; a->type == AD_SIM_NAME && i < AD_LEN(parts); i++) {
        if (!ad_json_get(v, parts[i])) {
            ad_sim_issue(c, "string", NULL, "%s", parts[i]);
        }
    }
}

static bool parse_one(struct write *w, struct ad_sim_draft *d, const struct ad_json *in)
{
    struct ad_sim_call *c = w->call;
    struct ad_sim_refusal refusal = { 0 };
    struct ad_sim_parse parse = {
        .store = c->store, .attr = d->attr, .arena = c->arena, .refusal = &refusal
    };
    struct ad_sim_value v = { .attr = d->attr->place };
    if (ad_sim_types[d->attr->type].parse(&parse, in, &v)) {
        v.attr = d->attr->place;
        ad_sim_draft_add(d, v);
        return true;
    }
    note_name(c, d->attr, in);
    ad_sim_bad(c, refusal.code, "%s", refusal.message);
    return false;
}

static bool parse_list(struct write *w, struct ad_sim_draft *d, const struct ad_json *in)
{
    if (in->type == AD_JSON_NULL && d->attr->type != AD_SIM_CHECKBOX) {
        return true;
    }
    if (in->type != AD_JSON_ARRAY) {
        if (!d->attr->multi) {
            return parse_one(w, d, in);
        }
        ad_sim_issue(w->call, "array", "string", "data.values.%s", d->attr->slug);
    } else if (in->count > 1 && !d->attr->multi) {
        ad_sim_issue(w->call, "one value", "array", "data.values.%s", d->attr->slug);
    }
    if (w->call->issues_n > 0) {
        ad_sim_bad(w->call, "validation_type",
                   "An invalid value was passed to attribute with slug \"%s\".", d->attr->slug);
        return false;
    }
    AD_JSON_FOREACH (it, in) {
        if (!parse_one(w, d, it)) {
            return false;
        }
    }
    return true;
}

static bool parse_member(struct write *w, const struct ad_json *member)
{
    struct ad_sim_attr *a = ad_sim_attr_find(w->object, member->key);
    if (!a) {
        ad_sim_bad(w->call, "value_not_found", "Cannot find attribute with slug/ID \"%.*s\".",
                   AD_FMT(member->key));
        return false;
    }
    if (!a->writable) {
        ad_sim_bad(w->call, "validation_type", "Attribute with slug \"%s\" is not writable.",
                   a->slug);
        return false;
    }
    w->drafts[w->n] = (struct ad_sim_draft){ .attr = a };
    return parse_list(w, &w->drafts[w->n++], member);
}

static bool parse_values(struct write *w)
{
    static const struct ad_sim_field fields[] = {
        { "data", AD_SIM_IS(OBJECT), true },
        { "data.values", AD_SIM_IS(OBJECT), true },
    };
    struct ad_sim_call *c = w->call;
    ad_sim_check(c, c->body, "", fields, AD_LEN(fields));
    if (!ad_sim_body_ok(c)) {
        return false;
    }
    const struct ad_json *values = ad_json_path(c->body, "data.values");
    w->drafts = ad_arena_array(c->arena, values->count + 1, sizeof(w->drafts[0]));
    AD_ASSERT(w->drafts);
    AD_JSON_FOREACH (it, values) {
        if (!parse_member(w, it)) {
            return false;
        }
    }
    return true;
}

static void report_conflict(struct ad_sim_call *c, const struct ad_sim_attr *a,
                            const struct ad_sim_value *v, const struct ad_sim_record *holder)
{
    struct ad_sim_key key = { .store = c->store };
    char attr_id[37];
    char record_id[37];
    const struct ad_sim_prop *prop = ad_sim_props(a);
    prop->get(v, &key);
    ad_sim_uuid_text(a->id, attr_id);
    ad_sim_uuid_text(holder->id, record_id);
    struct ad_str text = key.s.p ? key.s : AD_STR("");
    /* The message holds JSON within a string: quotes are escaped twice on the wire. */
    ad_sim_bad(c, "uniqueness_conflict",
               "The value \"{\\\"%s\\\":\\\"%.*s\\\"}\" provided for attribute with ID \"%s\" "
               "conflicts with one already in "
               "the system. Conflicting record IDs: %s",
               prop->name, AD_FMT(text), attr_id, record_id);
}

/* No other record holds what is unique. */
static bool unique_ok(struct write *w, const struct ad_sim_record *self)
{
    for (size_t i = 0; i < w->n; i++) {
        const struct ad_sim_draft *d = &w->drafts[i];
        for (size_t k = 0; d->attr->unique && k < d->n; k++) {
            struct ad_sim_key room;
            struct ad_sim_record *holder =
                ad_sim_unique_find(d->attr, ad_sim_value_unique(&d->values[k], &room));
            if (holder && holder != self) {
                report_conflict(w->call, d->attr, &d->values[k], holder);
                return false;
            }
        }
    }
    return true;
}

static void report_required(struct ad_sim_call *c, const struct ad_sim_attr *a)
{
    char id[37];
    ad_sim_uuid_text(a->id, id);
    ad_sim_bad(c, "missing_value", "Required value for attribute with ID \"%s\" was not provided.",
               id);
}

static const struct ad_sim_draft *draft_of(const struct write *w, const struct ad_sim_attr *a)
{
    for (size_t i = 0; i < w->n; i++) {
        if (w->drafts[i].attr == a) {
            return &w->drafts[i];
        }
    }
    return NULL;
}

/* Required attributes have a value: all of them on a new record, those written on another. */
static bool required_ok(struct write *w, bool all)
{
    for (size_t i = 0; i < w->object->attrs_n; i++) {
        const struct ad_sim_attr *a = w->object->attrs[i];
        const struct ad_sim_draft *d = draft_of(w, a);
        if (a->required && !a->archived && (d ? d->n == 0 : all)) {
            report_required(w->call, a);
            return false;
        }
    }
    return true;
}

/* --- Answers --- */

static void answer(struct ad_sim_call *c, const struct ad_sim_record *r)
{
    struct ad_sim_pen p;
    ad_sim_pen_init(&p, c->out);
    AD_SIM_PUT(&p, "{\"data\":");
    ad_sim_render_record(&p, c->store, r);
    AD_SIM_PUT(&p, "}");
    ad_sim_pen_done(&p);
}

static const struct ad_sim_record *as_of(const struct ad_sim_call *c, const struct ad_sim_record *r)
{
    return c->stale_since_ms ? ad_sim_record_was(c->store, r, c->stale_since_ms) : r;
}

/* --- Writing --- */

static void insert(struct write *w)
{
    if (required_ok(w, true) && unique_ok(w, NULL)) {
        struct ad_sim_record *r =
            ad_sim_record_create(w->call->store, w->object, w->drafts, w->n, AD_SIM_ACTOR_TOKEN);
        answer(w->call, r);
    }
}

static void update(struct write *w, struct ad_sim_record *r)
{
    if (required_ok(w, false) && unique_ok(w, r)) {
        AD_IGNORE(ad_sim_record_write(w->call->store, r, w->drafts, w->n, AD_SIM_ACTOR_TOKEN),
                  "nothing to tell");
        answer(w->call, r);
    }
}

static void create_record(struct ad_sim_call *c)
{
    struct write w = { .call = c, .object = ad_sim_call_object(c, 0) };
    if (w.object && parse_values(&w)) {
        insert(&w);
    }
    drop(&w);
}

/* The one record that holds a value of the draft. False when there are several: an error has been
 * set. */
static bool find_match(struct write *w, const struct ad_sim_draft *d, struct ad_sim_record **out)
{
    *out = NULL;
    for (size_t i = 0; i < d->n; i++) {
        struct ad_sim_key room;
        struct ad_sim_record *r =
            ad_sim_unique_find(d->attr, ad_sim_value_unique(&d->values[i], &room));
        if (r && *out && r != *out) {
            ad_sim_bad(w->call, "multiple_match_results",
                       "Several records match the values of attribute with slug \"%s\".",
                       d->attr->slug);
            return false;
        }
        *out = r ? r : *out;
    }
    return true;
}

static struct ad_sim_attr *matching_attr(struct ad_sim_call *c, const struct ad_sim_object *o)
{
    bool bad = false;
    struct ad_str ref = ad_query_get(c->x, "matching_attribute", &bad);
    if (!ref.p || bad) {
        ad_sim_issue(c, "string", NULL, "matching_attribute");
        AD_IGNORE(ad_sim_query_ok(c), "it is not");
        return NULL;
    }
    struct ad_sim_attr *a = ad_sim_attr_find(o, ref);
    if (!a || !a->unique || a->made != AD_SIM_STORED) {
        ad_sim_bad(c, "value_not_found",
                   "No attribute was found for matching_attribute slug/ID \"%.*s\".", AD_FMT(ref));
        return NULL;
    }
    return a;
}

/* Found: update, where only the matching attribute keeps its other values. Not found: create. */
static void assert_parsed(struct write *w, struct ad_sim_attr *by)
{
    struct ad_sim_record *r = NULL;
    const struct ad_sim_draft *d = draft_of(w, by);
    if (!d || d->n == 0) {
        report_required(w->call, by);
        return;
    }
    if (!find_match(w, d, &r)) {
        return;
    }
    for (size_t i = 0; i < w->n; i++) {
        w->drafts[i].prepend = w->drafts[i].attr == by && by->multi;
    }
    if (r) {
        update(w, r);
    } else {
        insert(w);
    }
}

static void assert_record(struct ad_sim_call *c)
{
    struct write w = { .call = c, .object = ad_sim_call_object(c, 0) };
    struct ad_sim_attr *by = w.object ? matching_attr(c, w.object) : NULL;
    if (by && parse_values(&w)) {
        assert_parsed(&w, by);
    }
    drop(&w);
}

static void write_record(struct ad_sim_call *c, bool append)
{
    struct write w = { .call = c, .object = ad_sim_call_object(c, 0) };
    struct ad_sim_record *r = w.object ? ad_sim_call_record(c, w.object, 1) : NULL;
    if (r && parse_values(&w)) {
        for (size_t i = 0; i < w.n; i++) {
            w.drafts[i].prepend = append && w.drafts[i].attr->multi;
        }
        update(&w, r);
    }
    drop(&w);
}

static void patch_record(struct ad_sim_call *c)
{
    write_record(c, true);
}

static void put_record(struct ad_sim_call *c)
{
    write_record(c, false);
}

static void delete_record(struct ad_sim_call *c)
{
    struct ad_sim_object *o = ad_sim_call_object(c, 0);
    struct ad_sim_record *r = o ? ad_sim_call_record(c, o, 1) : NULL;
    if (r) {
        ad_sim_record_delete(c->store, r, AD_SIM_ACTOR_TOKEN);
        ad_buf_put(c->out, AD_STR("{}"));
    }
}

/* --- Reading --- */

static void get_record(struct ad_sim_call *c)
{
    uint8_t id[16];
    struct ad_sim_object *o = ad_sim_call_object(c, 0);
    if (!o) {
        return;
    }
    bool ok = ad_sim_uuid_parse(c->x->params[1], id);
    const struct ad_sim_record *r = ok ? ad_sim_record_find(o, id) : NULL;
    if (r) {
        r = as_of(c, r);
    } else if (ok && c->stale_since_ms) {
        r = ad_sim_deleted_was(c->store, o, id, c->stale_since_ms);
    }
    if (r) {
        answer(c, r);
    } else {
        ad_sim_missing(c, "Record with ID \"%.*s\" not found.", AD_FMT(c->x->params[1]));
    }
}

static bool query_number(struct ad_sim_call *c, const char *key, int64_t min, int64_t max,
                         size_t *out)
{
    const struct ad_json *v = ad_json_get(c->body, key);
    int64_t n = 0;
    if (!v) {
        return true;
    }
    if (!ad_json_i64(v, &n) || n < min || n > max) {
        ad_sim_issue(c, "number", "number", "%s", key);
        return false;
    }
    *out = (size_t)n;
    return true;
}

static bool query_sorts(struct ad_sim_call *c, struct ad_sim_query *q)
{
    AD_JSON_FOREACH (it, ad_json_get(c->body, "sorts")) {
        if (q->sorts_n == AD_SIM_SORTS_MAX ||
            !ad_sim_sort_compile(c->store, q->object, it, &q->sorts[q->sorts_n++])) {
            ad_sim_issue(c, "object", "object", "sorts.%zu", q->sorts_n ? q->sorts_n - 1 : 0);
            return ad_sim_body_ok(c);
        }
    }
    return true;
}

static bool query_parse(struct ad_sim_call *c, struct ad_sim_query *q)
{
    static const struct ad_sim_field fields[] = {
        { "filter", AD_SIM_IS(OBJECT), false },
        { "filter_view_id", AD_SIM_IS(STRING), false },
        { "sorts", AD_SIM_IS(ARRAY), false },
    };
    q->limit = PAGE_DEFAULT;
    ad_sim_check(c, c->body, "", fields, AD_LEN(fields));
    bool numbers = query_number(c, "limit", 1, PAGE_MAX, &q->limit) &&
                   query_number(c, "offset", 0, INT64_MAX, &q->offset);
    const struct ad_json *filter = ad_json_get(c->body, "filter");
    if (ad_json_get(c->body, "filter_view_id")) {
        ad_sim_issue(c, "no filter_view_id", "string",
                     "filter_view_id"); /* there are no views here */
    }
    if (!ad_sim_body_ok(c) || !numbers || !query_sorts(c, q)) {
        return false;
    }
    if (!ad_sim_filter_compile(c->store, q->object, filter, c->arena, &q->filter)) {
        ad_sim_bad(c, "filter_error", "Error in filter.");
        return false;
    }
    return true;
}

static void answer_page(struct ad_sim_call *c, const struct ad_sim_record **page, size_t n)
{
    struct ad_sim_pen p;
    bool some = false;
    ad_sim_pen_init(&p, c->out);
    AD_SIM_PUT(&p, "{\"data\":[");
    for (size_t i = 0; i < n; i++) {
        const struct ad_sim_record *r = as_of(c, page[i]);
        if (!r) {
            continue;
        }
        if (some) {
            AD_SIM_PUT(&p, ",");
        }
        some = true;
        ad_sim_render_record(&p, c->store, r);
    }
    AD_SIM_PUT(&p, "]}");
    ad_sim_pen_done(&p);
}

static void query_records(struct ad_sim_call *c)
{
    struct ad_str ref = c->x->params[0];
    struct ad_sim_query q = { .store = c->store,
                              .object = ad_sim_object_find(c->store, ref),
                              .arena = c->arena };
    c->scored = true;
    if (!q.object) {
        ad_sim_missing(c, "Object with slug/ID \"%.*s\" not found.", AD_FMT(ref));
        return;
    }
    if (query_parse(c, &q)) {
        size_t n = 0;
        const struct ad_sim_record **page = ad_sim_query_run(&q, &n);
        answer_page(c, page, n);
    }
}

/* --- One attribute's values, with history --- */

struct past_list {
    const struct ad_sim_value **values;
    int64_t *until;
    size_t n;
};

static void gather_past(struct ad_sim_call *c, const struct ad_sim_record *r,
                        const struct ad_sim_attr *a, struct past_list *list)
{
    size_t count = 0;
    for (const struct ad_sim_past *past = r->past; past; past = past->next) {
        count += past->value.attr == a->place;
    }
    list->values = ad_arena_array(c->arena, count + 1, sizeof(struct ad_sim_value *));
    list->until = ad_arena_array(c->arena, count + 1, sizeof(list->until[0]));
    AD_ASSERT(list->values && list->until);
    list->n = count;
    for (const struct ad_sim_past *past = r->past; past; past = past->next) {
        if (past->value.attr == a->place) {
            list->values[--count] = &past->value; /* the chain is newest first */
            list->until[count] = past->until_ns;
        }
    }
}

struct page {
    struct ad_sim_pen pen;
    int64_t offset, limit;
    bool some;
};

static void put_value(struct ad_sim_call *c, struct page *page, const struct ad_sim_attr *a,
                      const struct ad_sim_value *v, int64_t until_ns)
{
    if (page->offset > 0) {
        page->offset--;
        return;
    }
    if (page->limit-- <= 0) {
        return;
    }
    if (page->some) {
        AD_SIM_PUT(&page->pen, ",");
    }
    page->some = true;
    ad_sim_render_value(&page->pen, c->store, a, v, until_ns);
}

static void get_values(struct ad_sim_call *c)
{
    struct page page = { .limit = INT64_MAX };
    struct past_list past = { 0 };
    struct ad_sim_object *o = ad_sim_call_object(c, 0);
    struct ad_sim_record *r = o ? ad_sim_call_record(c, o, 1) : NULL;
    struct ad_sim_attr *a = r ? ad_sim_call_attr(c, o, 2) : NULL;
    bool historic = ad_sim_query_flag(c, "show_historic");
    if (!a || !ad_sim_paging(c, 1, INT64_MAX, &page.limit, &page.offset)) {
        return;
    }
    if (historic && a->enriched) {
        ad_sim_bad(c, "validation_type",
                   "Cannot set show_historic param to true when querying a COMINT attribute.");
        return;
    }
    if (historic) {
        gather_past(c, r, a, &past);
    }
    struct ad_sim_value made;
    size_t n = 0;
    const struct ad_sim_value *v = ad_sim_values(r, a, &made, &n);
    ad_sim_pen_init(&page.pen, c->out);
    AD_SIM_PUT(&page.pen, "{\"data\":[");
    for (size_t i = 0; i < past.n; i++) {
        put_value(c, &page, a, past.values[i], past.until[i]);
    }
    for (size_t i = 0; i < n; i++) {
        put_value(c, &page, a, &v[i], 0);
    }
    AD_SIM_PUT(&page.pen, "]}");
    ad_sim_pen_done(&page.pen);
}

static void get_entries(struct ad_sim_call *c)
{
    int64_t limit = 100;
    int64_t offset = 0;
    struct ad_sim_object *o = ad_sim_call_object(c, 0);
    if (o && ad_sim_call_record(c, o, 1) && ad_sim_paging(c, 1, 1000, &limit, &offset)) {
        ad_buf_put(c->out, AD_STR("{\"data\":[]}")); /* there are no lists yet */
    }
}

#define RECORDS "/v2/objects/{object}/records"
const struct ad_sim_route ad_sim_record_routes[] = {
    { AD_HTTP_POST, RECORDS, create_record, AD_SIM_WRITE, true },
    { AD_HTTP_PUT, RECORDS, assert_record, AD_SIM_WRITE, true },
    { AD_HTTP_POST, RECORDS "/query", query_records, AD_SIM_READ, true },
    { AD_HTTP_GET, RECORDS "/{record}", get_record, AD_SIM_READ, false },
    { AD_HTTP_PATCH, RECORDS "/{record}", patch_record, AD_SIM_WRITE, true },
    { AD_HTTP_PUT, RECORDS "/{record}", put_record, AD_SIM_WRITE, true },
    { AD_HTTP_DELETE, RECORDS "/{record}", delete_record, AD_SIM_WRITE, false },
    { AD_HTTP_GET, RECORDS "/{record}/attributes/{attribute}/values", get_values, AD_SIM_READ,
      false },
    { AD_HTTP_GET, RECORDS "/{record}/entries", get_entries, AD_SIM_READ, false },
    { 0, NULL, NULL, AD_SIM_READ, false },
};
