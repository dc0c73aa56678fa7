#include "call.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "types.h"

static void write_path(struct ad_json_writer *w, struct ad_str path)
{
    ad_json_key(w, "path");
    ad_json_arr(w);
    struct ad_str rest = path.n ? path : AD_STR_NONE;
    while (rest.p) {
        struct ad_str part = ad_str_cut(&rest, '.');
        int64_t index = 0;
        if (ad_str_i64(part, 0, 1 << 20, &index)) {
            ad_json_w_i64(w, index);
        } else {
            ad_json_w_str(w, part);
        }
    }
    ad_json_end(w);
}

static void write_issue(struct ad_json_writer *w, const struct ad_sim_issue *issue)
{
    ad_json_obj(w);
    ad_json_f_cstr(w, "code", "invalid_type");
    ad_json_f_cstr(w, "expected", issue->expected);
    ad_json_f_cstr(w, "received", issue->received ? issue->received : "undefined");
    write_path(w, issue->path);
    char message[160];
    AD_IGNORE(snprintf(message, sizeof(message), "Expected %s, received %s", issue->expected,
                       issue->received ? issue->received : "undefined") < 0,
              "cut is fine");
    ad_json_f_cstr(w, "message", issue->received ? message : "Required");
    ad_json_end(w);
}

static void write_issues(struct ad_json_writer *w, const struct ad_sim_call *c)
{
    if (c->issues_n == 0) {
        return;
    }
    ad_json_key(w, "validation_errors");
    ad_json_arr(w);
    for (size_t i = 0; i < c->issues_n; i++) {
        write_issue(w, &c->issues[i]);
    }
    ad_json_end(w);
}

void ad_sim_fail(struct ad_sim_call *c, unsigned status, const char *type, const char *code,
                 const char *fmt, ...)
{
    char message[512];
    va_list args;
    va_start(args, fmt);
    AD_IGNORE(vsnprintf(message, sizeof(message), fmt, args) < 0, "cut is fine");
    va_end(args);
    size_t n = strlen(message);
    while (n > 0 && !ad_utf8_valid(ad_str_n(message, n))) {
        message[--n] = '\0'; /* cut within a character, or not text at all */
    }
    struct ad_json_writer w;
    ad_buf_clear(c->out);
    c->status = status;
    ad_json_write_init(&w, c->out);
    ad_json_obj(&w);
    ad_json_f_i64(&w, "status_code", status);
    ad_json_f_cstr(&w, "type", type);
    ad_json_f_cstr(&w, "code", code);
    ad_json_f_cstr(&w, "message", message);
    write_issues(&w, c);
    ad_json_end(&w);
    AD_ASSERT(ad_json_write_done(&w) == AD_OK);
}

void ad_sim_issue(struct ad_sim_call *c, const char *expected, const char *received,
                  const char *path_fmt, ...)
{
    char path[256];
    va_list args;
    if (c->issues_n == AD_SIM_ISSUES_MAX) {
        return;
    }
    va_start(args, path_fmt);
    AD_IGNORE(vsnprintf(path, sizeof(path), path_fmt, args) < 0, "cut is fine");
    va_end(args);
    c->issues[c->issues_n++] =
        (struct ad_sim_issue){ ad_arena_str(c->arena, ad_str_c(path)), expected, received };
}

static const char *const type_names[] = {
    "null", "boolean", "number", "string", "array", "object"
};

const char *ad_sim_type_name(const struct ad_json *v)
{
    return v ? type_names[v->type] : NULL;
}

static const char *first_type(unsigned types)
{
    for (size_t i = 1; i < AD_LEN(type_names); i++) {
        if (types & (1u << i)) {
            return type_names[i];
        }
    }
    return type_names[0];
}

void ad_sim_check(struct ad_sim_call *c, const struct ad_json *in, const char *prefix,
                  const struct ad_sim_field *fields, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct ad_json *v = ad_json_path(in, fields[i].path);
        if (v ? (fields[i].types & (1u << v->type)) != 0 : !fields[i].required) {
            continue;
        }
        ad_sim_issue(c, first_type(fields[i].types), ad_sim_type_name(v), "%s%s%s", prefix,
                     *prefix ? "." : "", fields[i].path);
    }
}

bool ad_sim_body_ok(struct ad_sim_call *c)
{
    if (c->issues_n > 0) {
        ad_sim_bad(c, "validation_type", "Body payload validation error.");
    }
    return c->issues_n == 0;
}

bool ad_sim_query_ok(struct ad_sim_call *c)
{
    if (c->issues_n > 0) {
        ad_sim_bad(c, "validation_type", "Query params validation error.");
    }
    return c->issues_n == 0;
}

void ad_sim_data_begin(struct ad_sim_call *c, struct ad_json_writer *w)
{
    ad_json_write_init(w, c->out);
    ad_json_obj(w);
    ad_json_key(w, "data");
}

void ad_sim_data_end(struct ad_sim_call *c, struct ad_json_writer *w)
{
    (void)c;
    ad_json_end(w);
    AD_ASSERT(ad_json_write_done(w) == AD_OK);
}

const struct ad_sim_record *ad_sim_as_of(const struct ad_sim_call *c, const struct ad_sim_record *r)
{
    return c->stale_since_ms ? ad_sim_record_was(c->store, r, c->stale_since_ms) : r;
}

struct ad_sim_object *ad_sim_call_object(struct ad_sim_call *c, unsigned param)
{
    struct ad_str ref = c->x->params[param];
    struct ad_sim_object *o = ad_sim_object_find(c->store, ref);
    if (!o) {
        ad_sim_missing(c, "Object with slug/ID \"%.*s\" not found.", AD_FMT(ref));
    }
    return o;
}

struct ad_sim_object *ad_sim_call_list(struct ad_sim_call *c, unsigned param)
{
    struct ad_str ref = c->x->params[param];
    struct ad_sim_object *o = ad_sim_list_find(c->store, ref);
    if (!o) {
        ad_sim_missing(c, "List with slug/ID \"%.*s\" not found.", AD_FMT(ref));
    }
    return o;
}

struct ad_sim_object *ad_sim_call_set(struct ad_sim_call *c, unsigned param)
{
    bool list = ad_str_starts(ad_str_c(c->route->pattern), AD_STR("/v2/lists/"));
    return list ? ad_sim_call_list(c, param) : ad_sim_call_object(c, param);
}

struct ad_sim_attr *ad_sim_call_attr(struct ad_sim_call *c, const struct ad_sim_object *o,
                                     unsigned param)
{
    struct ad_str ref = c->x->params[param];
    struct ad_sim_attr *a = ad_sim_attr_find(o, ref);
    if (!a || a->hidden) {
        a = NULL;
        ad_sim_missing(c, "Attribute with slug/ID \"%.*s\" not found.", AD_FMT(ref));
    }
    return a;
}

bool ad_sim_is_busy(struct ad_sim_call *c, const struct ad_sim_record *r)
{
    bool entry = ad_sim_is_entry(r);
    bool read = c->route->lane == AD_SIM_READ;
    bool busy = entry ? !read && ad_sim_parent(r)->merging : r->merging;
    if (busy) {
        char id[37];
        ad_sim_uuid_text(entry ? ad_sim_parent(r)->id : r->id, id);
        ad_sim_fail(c, read ? 404 : 400, "invalid_request_error", "merge_in_progress",
                    "The merge of record with ID \"%s\" is still being applied.", id);
    }
    return busy;
}

struct ad_sim_record *ad_sim_call_record(struct ad_sim_call *c, const struct ad_sim_object *o,
                                         unsigned param)
{
    uint8_t id[16];
    struct ad_str ref = c->x->params[param];
    struct ad_sim_record *r = ad_sim_uuid_parse(ref, id) ? ad_sim_record_find(o, id) : NULL;
    if (!r) {
        ad_sim_missing(c, "%s with ID \"%.*s\" not found.",
                       o->kind == AD_SIM_LIST ? "Entry" : "Record", AD_FMT(ref));
    }
    return r && ad_sim_is_busy(c, r) ? NULL : r;
}

static void check_number(struct ad_sim_call *c, const char *name, int64_t min, int64_t max,
                         int64_t *out)
{
    bool bad = false;
    struct ad_str s = ad_query_get(c->x, name, &bad);
    if (bad || (s.p && !ad_str_i64(s, min, max, out))) {
        ad_sim_issue(c, "number", "string", "%s", name);
    }
}

bool ad_sim_paging(struct ad_sim_call *c, int64_t min, int64_t max, int64_t *limit, int64_t *offset)
{
    check_number(c, "limit", min, max, limit);
    check_number(c, "offset", 0, INT64_MAX, offset);
    return ad_sim_query_ok(c);
}

bool ad_sim_query_flag(struct ad_sim_call *c, const char *name)
{
    bool bad = false;
    return ad_str_eq(ad_query_get(c->x, name, &bad), AD_STR("true"));
}

void ad_sim_w_uuid(struct ad_json_writer *w, const char *key, const uint8_t id[16])
{
    char text[37];
    ad_sim_uuid_text(id, text);
    ad_json_f_cstr(w, key, text);
}

void ad_sim_w_id(struct ad_json_writer *w, const struct ad_sim_store *s, const char *key,
                 const uint8_t id[16])
{
    ad_json_key(w, "id");
    ad_json_obj(w);
    ad_sim_w_uuid(w, "workspace_id", s->workspace_id);
    ad_sim_w_uuid(w, key, id);
    ad_json_end(w);
}

void ad_sim_w_actor(struct ad_json_writer *w, const struct ad_sim_store *s, const char *key,
                    uint8_t actor)
{
    ad_json_key(w, key);
    ad_json_w_raw(w, s->actors[actor].json);
}

void ad_sim_empty_payload(struct ad_sim_call *c)
{
    ad_sim_bad(c, "validation_type",
               "You passed an empty payload. Please ensure you are updating at least one property "
               "in your request.");
}

struct ad_str ad_sim_param(struct ad_sim_call *c, const char *name)
{
    bool bad = false;
    struct ad_str s = ad_query_get(c->x, name, &bad);
    if (bad) {
        ad_sim_issue(c, "string", "string", "%s", name);
    }
    return s;
}

struct ad_sim_record *ad_sim_named_record(struct ad_sim_call *c, struct ad_str object,
                                          struct ad_str record)
{
    uint8_t id[16];
    struct ad_sim_object *o = ad_sim_object_find(c->store, object);
    struct ad_sim_record *r = o && ad_sim_uuid_parse(record, id) ? ad_sim_record_find(o, id) : NULL;
    if (!o) {
        ad_sim_missing(c, "Object with slug/ID \"%.*s\" not found.", AD_FMT(object));
    } else if (!r) {
        ad_sim_missing(c, "Record with ID \"%.*s\" not found.", AD_FMT(record));
    }
    return r;
}

int64_t ad_sim_created_at(struct ad_sim_call *c, const struct ad_json *data)
{
    const struct ad_json *v = ad_json_get(data, "created_at");
    int64_t now_ns = ad_sim_now(c->store);
    int64_t ns = now_ns;
    if (v &&
        (!ad_json_str(v).p || !ad_sim_time_loose(ad_json_str(v), &ns) || ns < 0 || ns > now_ns)) {
        ad_sim_issue(c, "a time from 1970 to now", ad_sim_type_name(v), "data.created_at");
    }
    return ns;
}

void ad_sim_set_text(char **to, const struct ad_json *v)
{
    if (v) {
        ad_free(*to);
        *to = ad_sim_copy(ad_json_str(v));
    }
}

void ad_sim_set_flag(bool *to, const struct ad_json *v)
{
    AD_IGNORE(v && !ad_json_bool(v, to), "ad_sim_check saw a boolean");
}
