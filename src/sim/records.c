/* Records: create, assert, read, update, delete. */
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

/* --- Writing --- */

static void insert(struct ad_sim_write *w)
{
    if (ad_sim_write_may_insert(w)) {
        struct ad_sim_record *r =
            ad_sim_record_create(w->call->store, w->object, w->drafts, w->n, AD_SIM_ACTOR_TOKEN);
        answer(w->call, r);
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

static void create_record(struct ad_sim_call *c)
{
    struct ad_sim_write w = { .call = c, .object = ad_sim_call_object(c, 0) };
    if (w.object && ad_sim_write_parse(&w)) {
        insert(&w);
    }
    ad_sim_write_drop(&w);
}

/* The one record that holds a value of the draft. False when there are several: an error has been
 * set. */
static bool find_match(struct ad_sim_write *w, const struct ad_sim_draft *d,
                       struct ad_sim_record **out)
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
static void assert_parsed(struct ad_sim_write *w, struct ad_sim_attr *by)
{
    struct ad_sim_record *r = NULL;
    const struct ad_sim_draft *d = ad_sim_write_draft(w, by);
    if (!d || d->n == 0) {
        ad_sim_report_required(w->call, by);
        return;
    }
    if (!find_match(w, d, &r)) {
        return;
    }
    for (size_t i = 0; i < w->n; i++) {
        w->drafts[i].prepend = w->drafts[i].attr == by && by->multi;
    }
    if (r && !ad_sim_is_busy(w->call, r)) {
        update(w, r);
    } else if (!r) {
        insert(w);
    }
}

static void assert_record(struct ad_sim_call *c)
{
    struct ad_sim_write w = { .call = c, .object = ad_sim_call_object(c, 0) };
    struct ad_sim_attr *by = w.object ? matching_attr(c, w.object) : NULL;
    if (by && ad_sim_write_parse(&w)) {
        assert_parsed(&w, by);
    }
    ad_sim_write_drop(&w);
}

static void write_record(struct ad_sim_call *c, bool append)
{
    struct ad_sim_write w = { .call = c, .object = ad_sim_call_object(c, 0) };
    struct ad_sim_record *r = w.object ? ad_sim_call_record(c, w.object, 1) : NULL;
    if (r && ad_sim_write_parse(&w)) {
        for (size_t i = 0; i < w.n; i++) {
            w.drafts[i].prepend = append && w.drafts[i].attr->multi;
        }
        update(&w, r);
    }
    ad_sim_write_drop(&w);
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
    if (r && ad_sim_is_busy(c, r)) {
        return;
    }
    if (r) {
        r = ad_sim_as_of(c, r);
    } else if (ok && c->stale_since_ms) {
        r = ad_sim_deleted_was(c->store, o, id, c->stale_since_ms);
    }
    if (r) {
        answer(c, r);
    } else {
        ad_sim_missing(c, "Record with ID \"%.*s\" not found.", AD_FMT(c->x->params[1]));
    }
}

#define RECORDS "/v2/objects/{object}/records"
const struct ad_sim_route ad_sim_record_routes[] = {
    { AD_HTTP_POST, RECORDS, create_record, AD_SIM_WRITE, true },
    { AD_HTTP_PUT, RECORDS, assert_record, AD_SIM_WRITE, true },
    { AD_HTTP_GET, RECORDS "/{record}", get_record, AD_SIM_READ, false },
    { AD_HTTP_PATCH, RECORDS "/{record}", patch_record, AD_SIM_WRITE, true },
    { AD_HTTP_PUT, RECORDS "/{record}", put_record, AD_SIM_WRITE, true },
    { AD_HTTP_DELETE, RECORDS "/{record}", delete_record, AD_SIM_WRITE, false },
    { 0, NULL, NULL, AD_SIM_READ, false },
};
