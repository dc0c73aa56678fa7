#include "model.h"
#include "types.h"

void ad_sim_render_value(struct ad_sim_pen *p, const struct ad_sim_store *s,
                         const struct ad_sim_attr *a, const struct ad_sim_value *v,
                         int64_t until_ns)
{
    AD_SIM_PUT(p, "{\"active_from\":");
    ad_sim_put_time(p, v->from_ns);
    AD_SIM_PUT(p, ",\"active_until\":");
    if (until_ns) {
        ad_sim_put_time(p, until_ns);
    } else {
        AD_SIM_PUT(p, "null");
    }
    AD_SIM_PUT(p, ",\"created_by_actor\":");
    ad_sim_put(p, s->actors[v->actor].json);
    AD_SIM_PUT(p, ",");
    /* the value's own type: a shadow may be older than a change of type */
    ad_sim_types[v->type].print(p, v, a);
    ad_sim_put(p, a->tail);
}

/* A one-way reference to a record that is gone. */
static bool dangles(const struct ad_sim_value *v)
{
    return v->type == AD_SIM_REFERENCE && v->u.record->deleted;
}

static void render_attr(struct ad_sim_pen *p, const struct ad_sim_store *s,
                        const struct ad_sim_attr *a, const struct ad_sim_value *v, size_t n)
{
    bool some = false;
    ad_sim_put(p, a->open);
    for (size_t i = 0; i < n; i++) {
        if (dangles(&v[i])) {
            continue;
        }
        if (some) {
            AD_SIM_PUT(p, ",");
        }
        some = true;
        ad_sim_render_value(p, s, a, &v[i], 0);
    }
    AD_SIM_PUT(p, "]");
}

static void render_values(struct ad_sim_pen *p, const struct ad_sim_store *s,
                          const struct ad_sim_record *r)
{
    const struct ad_sim_object *o = r->object;
    bool some = false;
    uint32_t at = 0; /* values are sorted by attribute: one walk over both */
    for (size_t i = 0; i < o->attrs_n; i++) {
        const struct ad_sim_attr *a = o->attrs[i];
        struct ad_sim_value made;
        size_t n = 0;
        const struct ad_sim_value *v = r->values + at;
        if (a->made != AD_SIM_STORED) {
            v = ad_sim_values(r, a, &made, &n);
        } else {
            while (at < r->n && r->values[at].attr == a->place) {
                at++;
                n++;
            }
        }
        if (a->archived || a->hidden) {
            continue;
        }
        if (some) {
            AD_SIM_PUT(p, ",");
        }
        some = true;
        render_attr(p, s, a, v, n);
    }
}

static void render_url(struct ad_sim_pen *p, const struct ad_sim_store *s,
                       const struct ad_sim_record *r)
{
    char id[37];
    AD_SIM_PUT(p, ",\"web_url\":\"https://app.attio.com/");
    ad_sim_put_escaped(p, ad_str_c(s->slug));
    AD_SIM_PUT(p, "/");
    if (r->object->web) {
        ad_sim_put(p, ad_str_c(r->object->web));
    } else {
        ad_sim_put_escaped(p, ad_str_c(r->object->slug));
        AD_SIM_PUT(p, "/record");
    }
    AD_SIM_PUT(p, "/");
    ad_sim_uuid_text(r->id, id);
    ad_sim_put_n(p, id, 36);
    AD_SIM_PUT(p, "\"");
}

static void render_entry(struct ad_sim_pen *p, const struct ad_sim_store *s,
                         const struct ad_sim_record *r)
{
    const struct ad_sim_record *parent = ad_sim_parent(r);
    AD_SIM_PUT(p, "{\"id\":{\"workspace_id\":");
    ad_sim_put_uuid(p, s->workspace_id);
    AD_SIM_PUT(p, ",\"list_id\":");
    ad_sim_put_uuid(p, r->object->id);
    AD_SIM_PUT(p, ",\"entry_id\":");
    ad_sim_put_uuid(p, r->id);
    AD_SIM_PUT(p, "},\"parent_record_id\":");
    ad_sim_put_uuid(p, parent->id);
    AD_SIM_PUT(p, ",\"parent_object\":");
    ad_sim_put_str(p, ad_str_c(parent->object->slug));
    AD_SIM_PUT(p, ",\"created_at\":");
    ad_sim_put_time(p, r->created_ns);
    AD_SIM_PUT(p, ",\"entry_values\":{");
    render_values(p, s, r);
    AD_SIM_PUT(p, "}}");
}

void ad_sim_render_record(struct ad_sim_pen *p, const struct ad_sim_store *s,
                          const struct ad_sim_record *r)
{
    if (ad_sim_is_entry(r)) {
        render_entry(p, s, r);
        return;
    }
    AD_SIM_PUT(p, "{\"id\":{\"workspace_id\":");
    ad_sim_put_uuid(p, s->workspace_id);
    AD_SIM_PUT(p, ",\"object_id\":");
    ad_sim_put_uuid(p, r->object->id);
    AD_SIM_PUT(p, ",\"record_id\":");
    ad_sim_put_uuid(p, r->id);
    AD_SIM_PUT(p, "},\"created_at\":");
    ad_sim_put_time(p, r->created_ns);
    render_url(p, s, r);
    AD_SIM_PUT(p, ",\"values\":{");
    render_values(p, s, r);
    AD_SIM_PUT(p, "}}");
}

static void render_state_value(struct ad_sim_pen *p, const struct ad_sim_attr *a,
                               const struct ad_sim_value *v)
{
    AD_SIM_PUT(p, "{");
    ad_sim_types[a->type].print(p, v, a);
    AD_SIM_PUT(p, "}");
}

static void render_compact(struct ad_sim_pen *p, const struct ad_sim_record *r)
{
    const struct ad_sim_attr *open = NULL;
    for (uint32_t i = 0; i < r->n; i++) {
        const struct ad_sim_attr *a = r->object->attrs[r->values[i].attr];
        if (a->archived || dangles(&r->values[i])) {
            continue;
        }
        if (a == open) {
            AD_SIM_PUT(p, ",");
        } else {
            ad_sim_put(p, open ? AD_STR("],") : AD_STR(""));
            ad_sim_put(p, a->open);
            open = a;
        }
        render_state_value(p, a, &r->values[i]);
    }
    ad_sim_put(p, open ? AD_STR("]") : AD_STR(""));
}

void ad_sim_render_state(struct ad_sim_pen *p, const struct ad_sim_store *s,
                         const struct ad_sim_record *r, bool compact)
{
    bool entry = ad_sim_is_entry(r);
    ad_sim_put(p, entry ? AD_STR("{\"entry_id\":") : AD_STR("{\"record_id\":"));
    ad_sim_put_uuid(p, r->id);
    if (entry) {
        AD_SIM_PUT(p, ",\"parent_record_id\":");
        ad_sim_put_uuid(p, ad_sim_parent(r)->id);
    }
    AD_SIM_PUT(p, ",\"created_at\":");
    ad_sim_put_time(p, r->created_ns);
    AD_SIM_PUT(p, ",\"values\":{");
    if (compact) {
        render_compact(p, r);
    } else {
        render_values(p, s, r);
    }
    AD_SIM_PUT(p, "}}");
}
