/* POST /v2/objects/records/search: by a few words over several objects.
 *
 * Attio calls it fuzzy and says which fields count, not how. Here every word must be part of some
 * such field, in any case; the newest records come first. What was just written is found at once. */
#include "call.h"
#include "types.h"

#define QUERY_MAX 256 /* characters */
#define RESULTS_MAX 25
#define WORDS_MAX 16

struct search {
    struct ad_sim_call *call;
    struct ad_str words[WORDS_MAX];
    size_t words_n;
    int64_t left; /* results that still may come */
    struct ad_json_writer w;
};

/* --- Fields that count --- */

static const char *const fields[] = { "name",          "domains",   "email_addresses",
                                      "phone_numbers", "twitter",   "linkedin",
                                      "facebook",      "instagram", "angellist" };

static struct ad_sim_attr *field(const struct ad_sim_object *o, const char *slug)
{
    struct ad_sim_attr *a = ad_sim_attr_find(o, ad_str_c(slug));
    return a && !a->archived && a->made == AD_SIM_STORED && ad_sim_types[a->type].packed ? a : NULL;
}

/* What a record is called by: its name, else its first text. */
static struct ad_sim_attr *label(const struct ad_sim_object *o)
{
    struct ad_sim_attr *a = field(o, "name");
    for (size_t i = 0; !a && i < o->attrs_n; i++) {
        a = o->attrs[i]->type == AD_SIM_TEXT ? field(o, o->attrs[i]->slug) : NULL;
    }
    return a;
}

static struct ad_str main_text(const struct ad_sim_attr *a, const struct ad_sim_value *v)
{
    struct ad_sim_key key = { .store = a->object->store };
    ad_sim_props(a)->get(v, &key);
    return key.none ? AD_STR_NONE : key.s;
}

static struct ad_str first_text(const struct ad_sim_record *r, const struct ad_sim_attr *a)
{
    struct ad_sim_value made;
    size_t n = 0;
    const struct ad_sim_value *v = a ? ad_sim_values(r, a, &made, &n) : NULL;
    return n > 0 ? main_text(a, v) : AD_STR_NONE;
}

/* --- Matching --- */

static bool has_word(const struct ad_sim_record *r, const struct ad_sim_attr *a, struct ad_str word)
{
    struct ad_sim_value made;
    size_t n = 0;
    const struct ad_sim_value *v = ad_sim_values(r, a, &made, &n);
    for (size_t i = 0; i < n; i++) {
        if (ad_sim_contains(main_text(a, &v[i]), word)) {
            return true;
        }
    }
    return false;
}

struct searched {
    const struct ad_sim_object *object;
    const struct ad_sim_attr *label, *fields[AD_LEN(fields) + 1];
    size_t n;
};

static struct searched searched(const struct ad_sim_object *o)
{
    struct searched s = { .object = o, .label = label(o) };
    for (size_t i = 0; i < AD_LEN(fields); i++) {
        const struct ad_sim_attr *a = field(o, fields[i]);
        if (a) {
            s.fields[s.n++] = a;
        }
    }
    if (s.n == 0 && s.label) {
        s.fields[s.n++] = s.label;
    }
    return s;
}

static bool matches(const struct search *s, const struct searched *in,
                    const struct ad_sim_record *r)
{
    for (size_t i = 0; i < s->words_n; i++) {
        bool found = false;
        for (size_t k = 0; !found && k < in->n; k++) {
            found = has_word(r, in->fields[k], s->words[i]);
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

/* --- Results --- */

static void write_texts(struct search *s, const struct ad_sim_record *r, const char *slug)
{
    struct ad_sim_attr *a = field(r->object, slug);
    struct ad_sim_value made;
    size_t n = 0;
    const struct ad_sim_value *v = a ? ad_sim_values(r, a, &made, &n) : NULL;
    ad_json_key(&s->w, slug);
    ad_json_arr(&s->w);
    for (size_t i = 0; i < n; i++) {
        ad_json_w_str(&s->w, main_text(a, &v[i]));
    }
    ad_json_end(&s->w);
}

static void write_result(struct search *s, const struct searched *in, const struct ad_sim_record *r)
{
    const struct ad_sim_object *o = in->object;
    struct ad_str text = first_text(r, in->label);
    struct ad_sim_attr *image = field(o, "avatar_url");
    image = image ? image : field(o, "logo_url");
    ad_json_obj(&s->w);
    ad_json_key(&s->w, "id");
    ad_json_obj(&s->w);
    ad_sim_w_uuid(&s->w, "workspace_id", s->call->store->workspace_id);
    ad_sim_w_uuid(&s->w, "object_id", o->id);
    ad_sim_w_uuid(&s->w, "record_id", r->id);
    ad_json_end(&s->w);
    ad_json_f_str(&s->w, "record_text", text.p ? text : AD_STR(""));
    ad_json_f_str(&s->w, "record_image", first_text(r, image));
    ad_json_f_cstr(&s->w, "object_slug", o->slug);
    if (ad_sim_is_standard(o, "people")) {
        write_texts(s, r, "email_addresses");
        write_texts(s, r, "phone_numbers");
    } else if (ad_sim_is_standard(o, "companies")) {
        write_texts(s, r, "domains");
    }
    ad_json_end(&s->w);
}

static void search_object(struct search *s, const struct ad_sim_object *o)
{
    struct searched in = searched(o);
    for (size_t i = o->n; i-- > 0 && s->left > 0;) {
        if (matches(s, &in, o->sorted[i])) {
            s->left--;
            write_result(s, &in, o->sorted[i]);
        }
    }
}

/* --- The call --- */

/* As whom: the whole workspace, or a member by id or address. */
static bool request_as_ok(struct ad_sim_call *c, const struct ad_json *as)
{
    struct ad_str kind = ad_json_str(ad_json_get(as, "type"));
    const struct ad_json *member = ad_json_get(as, "workspace_member_id");
    member = member ? member : ad_json_get(as, "email_address");
    struct ad_str ref = ad_json_str(member);
    if (ad_str_eq(kind, AD_STR("workspace"))) {
        return true;
    }
    if (!ad_str_eq(kind, AD_STR("workspace-member")) || !ref.p) {
        ad_sim_issue(c, "workspace or a workspace-member", ad_sim_type_name(as), "request_as");
        return ad_sim_body_ok(c);
    }
    if (!ad_sim_member_find(c->store, ref)) {
        ad_sim_bad(c, "value_not_found", "Workspace member with ID \"%.*s\" not found.",
                   AD_FMT(ref));
        return false;
    }
    return true;
}

static bool objects_ok(struct ad_sim_call *c, const struct ad_json *objects)
{
    if (objects->count == 0) {
        ad_sim_issue(c, "at least one object", "array", "objects");
        return ad_sim_body_ok(c);
    }
    AD_JSON_FOREACH (it, objects) {
        struct ad_str ref = ad_json_str(it);
        if (!ref.p || !ad_sim_object_find(c->store, ref)) {
            ad_sim_bad(c, "value_not_found", "Object with slug/ID \"%.*s\" not found.",
                       AD_FMT(ref));
            return false;
        }
    }
    return true;
}

static size_t characters(struct ad_str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    }
    return n;
}

static bool parse(struct ad_sim_call *c, struct search *s)
{
    static const struct ad_sim_field wanted[] = {
        { "query", AD_SIM_IS(STRING), true },
        { "objects", AD_SIM_IS(ARRAY), true },
        { "request_as", AD_SIM_IS(OBJECT), true },
    };
    ad_sim_check(c, c->body, "", wanted, AD_LEN(wanted));
    struct ad_str query = ad_json_str(ad_json_get(c->body, "query"));
    const struct ad_json *limit = ad_json_get(c->body, "limit");
    s->left = RESULTS_MAX;
    if (characters(query) > QUERY_MAX) {
        ad_sim_issue(c, "at most 256 characters", "string", "query");
    }
    if (limit && (!ad_json_i64(limit, &s->left) || s->left < 1 || s->left > RESULTS_MAX)) {
        ad_sim_issue(c, "1 to 25", ad_sim_type_name(limit), "limit");
    }
    if (!ad_sim_body_ok(c)) {
        return false;
    }
    while (query.p && s->words_n < WORDS_MAX) {
        struct ad_str word = ad_str_cut(&query, ' ');
        if (word.n > 0) {
            s->words[s->words_n++] = word;
        }
    }
    return request_as_ok(c, ad_json_get(c->body, "request_as")) &&
           objects_ok(c, ad_json_get(c->body, "objects"));
}

static void post_search(struct ad_sim_call *c)
{
    struct search s = { .call = c };
    if (!parse(c, &s)) {
        return;
    }
    ad_sim_data_begin(c, &s.w);
    ad_json_arr(&s.w);
    AD_JSON_FOREACH (it, ad_json_get(c->body, "objects")) {
        search_object(&s, ad_sim_object_find(c->store, ad_json_str(it)));
    }
    ad_json_end(&s.w);
    ad_sim_data_end(c, &s.w);
}

const struct ad_sim_route ad_sim_search_routes[] = {
    { AD_HTTP_POST, "/v2/objects/records/search", post_search, AD_SIM_READ, true },
    { 0, NULL, NULL, AD_SIM_READ, false },
};
