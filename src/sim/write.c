#include "write.h"

void ad_sim_write_drop(struct ad_sim_write *w)
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

static bool parse_one(struct ad_sim_write *w, struct ad_sim_draft *d, const struct ad_json *in)
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

bool ad_sim_write_list(struct ad_sim_write *w, struct ad_sim_draft *d, const struct ad_json *in)
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

static bool parse_member(struct ad_sim_write *w, const struct ad_json *member)
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
    return ad_sim_write_list(w, &w->drafts[w->n++], member);
}

bool ad_sim_write_parse(struct ad_sim_write *w)
{
    const struct ad_sim_field fields[] = {
        { "data", AD_SIM_IS(OBJECT), true },
        { w->object->kind == AD_SIM_LIST ? "data.entry_values" : "data.values", AD_SIM_IS(OBJECT),
          true },
    };
    struct ad_sim_call *c = w->call;
    ad_sim_check(c, c->body, "", fields, AD_LEN(fields));
    if (!ad_sim_body_ok(c)) {
        return false;
    }
    const struct ad_json *values = ad_json_path(c->body, fields[1].path);
    /* room for every default as well */
    w->drafts = ad_arena_array(c->arena, values->count + w->object->attrs_n, sizeof(w->drafts[0]));
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
static bool unique_ok(struct ad_sim_write *w, const struct ad_sim_record *self)
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

void ad_sim_report_required(struct ad_sim_call *c, const struct ad_sim_attr *a)
{
    char id[37];
    ad_sim_uuid_text(a->id, id);
    ad_sim_bad(c, "missing_value", "Required value for attribute with ID \"%s\" was not provided.",
               id);
}

struct ad_sim_draft *ad_sim_write_draft(const struct ad_sim_write *w, const struct ad_sim_attr *a)
{
    for (size_t i = 0; i < w->n; i++) {
        if (w->drafts[i].attr == a) {
            return &w->drafts[i];
        }
    }
    return NULL;
}

/* Required attributes have a value: all of them on a new record, those written on another. */
static bool required_ok(struct ad_sim_write *w, bool all)
{
    for (size_t i = 0; i < w->object->attrs_n; i++) {
        const struct ad_sim_attr *a = w->object->attrs[i];
        const struct ad_sim_draft *d = ad_sim_write_draft(w, a);
        if (a->required && !a->archived && (d ? d->n == 0 : all)) {
            ad_sim_report_required(w->call, a);
            return false;
        }
    }
    return true;
}

bool ad_sim_write_may_insert(struct ad_sim_write *w)
{
    return ad_sim_defaults_add(w) && required_ok(w, true) && unique_ok(w, NULL);
}

bool ad_sim_write_may_update(struct ad_sim_write *w, const struct ad_sim_record *r)
{
    return required_ok(w, false) && unique_ok(w, r);
}
