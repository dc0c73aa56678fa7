/* What each attribute type is in SQL, and values out of a record. */
#include "attio/mirror.h"

#include "base/json_write.h"
#include "mirror_private.h"

/* One attribute's column as JSON: a text of ten megabytes is Attio's own largest. */
#define JSON_MAX ((size_t)16 << 20)

#define TEXT(name, path)           \
    {                              \
        name, path, AD_COLUMN_TEXT \
    }
#define NUMBER(name, path)           \
    {                                \
        name, path, AD_COLUMN_NUMBER \
    }
#define OBJECT                     \
    {                              \
        NULL, NULL, AD_COLUMN_JSON \
    }

/* As Attio's guide to attribute types shows them. */
static const struct ad_type_shape types[] = {
    [AD_ATTR_TEXT] = { .main = TEXT(NULL, "value") },
    [AD_ATTR_NUMBER] = { .main = NUMBER(NULL, "value") },
    [AD_ATTR_CHECKBOX] = { .main = { NULL, "value", AD_COLUMN_BOOL } },
    [AD_ATTR_CURRENCY] = { .main = NUMBER(NULL, "currency_value"),
                           .properties = { NUMBER("currency_value", "currency_value"),
                                           TEXT("currency_code", "currency_code") },
                           .properties_n = 2 },
    [AD_ATTR_DATE] = { .main = TEXT(NULL, "value") },
    [AD_ATTR_TIMESTAMP] = { .main = TEXT(NULL, "value") },
    [AD_ATTR_RATING] = { .main = NUMBER(NULL, "value") },
    [AD_ATTR_STATUS] = { .main = TEXT(NULL, "status.title"),
                         .properties = { TEXT("title", "status.title"),
                                         TEXT("id", "status.id.status_id") },
                         .properties_n = 2 },
    [AD_ATTR_SELECT] = { .main = TEXT(NULL, "option.title"),
                         .properties = { TEXT("title", "option.title"),
                                         TEXT("id", "option.id.option_id") },
                         .properties_n = 2 },
    [AD_ATTR_RECORD_REFERENCE] = { .main = TEXT(NULL, "target_record_id"),
                                   .properties = { TEXT("target_object", "target_object"),
                                                   TEXT("target_record_id", "target_record_id") },
                                   .properties_n = 2 },
    [AD_ATTR_ACTOR_REFERENCE] = { .main = TEXT(NULL, "referenced_actor_id"),
                                  .properties = { TEXT("referenced_actor_type",
                                                       "referenced_actor_type"),
                                                  TEXT("referenced_actor_id",
                                                       "referenced_actor_id") },
                                  .properties_n = 2 },
    [AD_ATTR_LOCATION] = { .main = OBJECT,
                           .properties = { TEXT("line_1", "line_1"), TEXT("line_2", "line_2"),
                                           TEXT("line_3", "line_3"), TEXT("line_4", "line_4"),
                                           TEXT("locality", "locality"), TEXT("region", "region"),
                                           TEXT("postcode", "postcode"),
                                           TEXT("country_code", "country_code"),
                                           TEXT("latitude", "latitude"),
                                           TEXT("longitude", "longitude") },
                           .properties_n = 10 },
    [AD_ATTR_DOMAIN] = { .main = TEXT(NULL, "domain"),
                         .properties = { TEXT("domain", "domain"),
                                         TEXT("root_domain", "root_domain") },
                         .properties_n = 2 },
    [AD_ATTR_EMAIL_ADDRESS] = { .main = TEXT(NULL, "email_address"),
                                .properties = { TEXT("original_email_address",
                                                     "original_email_address"),
                                                TEXT("email_address", "email_address"),
                                                TEXT("email_domain", "email_domain"),
                                                TEXT("email_root_domain", "email_root_domain"),
                                                TEXT("email_local_specifier",
                                                     "email_local_specifier") },
                                .properties_n = 5 },
    [AD_ATTR_PHONE_NUMBER] = { .main = TEXT(NULL, "phone_number"),
                               .properties = { TEXT("original_phone_number",
                                                    "original_phone_number"),
                                               TEXT("phone_number", "phone_number"),
                                               TEXT("country_code", "country_code") },
                               .properties_n = 3 },
    [AD_ATTR_INTERACTION] = { .main = OBJECT,
                              .properties = { TEXT("interaction_type", "interaction_type"),
                                              TEXT("interacted_at", "interacted_at"),
                                              TEXT("owner_actor_type", "owner_actor.type"),
                                              TEXT("owner_actor_id", "owner_actor.id") },
                              .properties_n = 4 },
    [AD_ATTR_PERSONAL_NAME] = { .main = OBJECT,
                                .properties = { TEXT("first_name", "first_name"),
                                                TEXT("last_name", "last_name"),
                                                TEXT("full_name", "full_name") },
                                .properties_n = 3 },
    [AD_ATTR_UNKNOWN] = { .main = OBJECT },
};

const struct ad_type_shape *ad__type_shape(enum ad_attr_type t)
{
    return &types[(size_t)t < AD_LEN(types) ? t : AD_ATTR_UNKNOWN];
}

/* --- One value --- */

static bool is_null(const struct ad_json *v)
{
    return !v || ad_json_is(v, AD_JSON_NULL);
}

static struct ad_value number(const struct ad_json *v)
{
    int64_t whole;
    double real;
    if (ad_json_i64(v, &whole)) {
        return AD_V_I64(whole);
    }
    return ad_json_f64(v, &real) ? AD_V_F64(real) : AD_V_TEXT(v->str);
}

/* A scalar as its column's kind has it; what does not fit is kept as text rather than lost. A text
 * that is a number becomes one in a numeric column: SQL's affinity sees to it. */
static struct ad_value scalar(const struct ad_json *v, enum ad_column_kind kind)
{
    bool yes;
    if (is_null(v)) {
        return AD_V_NULL;
    }
    if (kind != AD_COLUMN_TEXT && ad_json_bool(v, &yes)) {
        return AD_V_I64(yes);
    }
    if (kind == AD_COLUMN_NUMBER && ad_json_is(v, AD_JSON_NUMBER)) {
        return number(v);
    }
    return AD_V_TEXT(ad_json_is(v, AD_JSON_STRING) ? v->str : v->raw);
}

/* Of several references an id alone would not tell whose. */
static bool is_object(const struct ad_attribute *a)
{
    return !ad__type_shape(a->type)->main.path || (a->multiselect && a->many_targets);
}

static void write_value(struct ad_json_writer *w, const struct ad_attribute *a,
                        const struct ad_json *v)
{
    const struct ad_type_shape *type = ad__type_shape(a->type);
    if (!is_object(a)) {
        const struct ad_json *main = ad_json_path(v, type->main.path);
        if (main) {
            ad_json_w_value(w, main);
        } else {
            ad_json_w_null(w);
        }
        return;
    }
    if (type->properties_n == 0) {
        ad_json_w_value(w, v);
        return;
    }
    ad_json_obj(w);
    for (unsigned i = 0; i < type->properties_n; i++) {
        const struct ad_json *p = ad_json_path(v, type->properties[i].path);
        ad_json_key(w, type->properties[i].name);
        if (p) {
            ad_json_w_value(w, p);
        } else {
            ad_json_w_null(w);
        }
    }
    ad_json_end(w);
}

/* The whole list, or its only value, as JSON on the arena. */
static enum ad_err json(struct ad_arena *arena, const struct ad_attribute *a,
                        const struct ad_json *list, struct ad_value *out)
{
    struct ad_json_writer w;
    struct ad_buf b;
    ad_buf_init(&b, JSON_MAX);
    ad_json_write_init(&w, &b);
    if (a->multiselect) {
        ad_json_arr(&w);
        AD_JSON_FOREACH (v, list) {
            write_value(&w, a, v);
        }
        ad_json_end(&w);
    } else {
        write_value(&w, a, list->child);
    }
    enum ad_err err = ad_json_write_done(&w);
    struct ad_str text = err ? AD_STR_NONE : ad_arena_str(arena, ad_buf_str(&b));
    ad_buf_fini(&b);
    *out = AD_V_TEXT(text);
    return text.p ? AD_OK : AD_ERR_NOMEM;
}

enum ad_err ad__slot_values(const struct ad_shape *shape, const struct ad_slot *slot,
                            struct ad_arena *arena, const struct ad_json *list,
                            struct ad_value *values)
{
    if (!ad_json_is(list, AD_JSON_ARRAY) || list->count == 0) {
        return AD_OK; /* NULL already */
    }
    for (unsigned i = slot->first; i < slot->first + slot->n; i++) {
        const struct ad_column *c = &shape->columns[i];
        if (c->kind == AD_COLUMN_JSON) {
            enum ad_err err = json(arena, slot->attribute, list, &values[i]);
            if (err) {
                return err;
            }
        } else {
            const struct ad_property *p =
                c->property ? c->property : &ad__type_shape(slot->attribute->type)->main;
            values[i] = scalar(ad_json_path(list->child, p->path), c->kind);
        }
    }
    return AD_OK;
}

/* --- A record ---
 *
 * Attio sends the attributes of all records of a page in the same order, so the slot after the last
 * one found is mostly the next. */

static const struct ad_slot *find_slot(const struct ad_shape *shape, struct ad_str slug,
                                       unsigned *hint)
{
    for (unsigned i = 0; i < shape->slots_n; i++) {
        unsigned at = (*hint + i) % shape->slots_n;
        if (ad_str_eq(shape->slots[at].slug, slug)) {
            *hint = at + 1;
            return &shape->slots[at];
        }
    }
    return NULL;
}

/* Plain values, not lists of what was and is. */
static struct ad_value fixed_value(const struct ad_property *p, const struct ad_json *record)
{
    const struct ad_json *v = ad_json_path(record, p->path);
    if (p->kind != AD_COLUMN_JSON || is_null(v)) {
        return scalar(v, p->kind);
    }
    return ad_json_is(v, AD_JSON_ARRAY) && v->count == 0 ? AD_V_NULL : AD_V_TEXT(v->raw);
}

enum ad_err ad__shape_values(const struct ad_shape *shape, struct ad_arena *arena,
                             const struct ad_json *record, struct ad_value *values)
{
    unsigned hint = 0;
    for (unsigned i = 0; i < shape->columns_n; i++) {
        bool fixed = i < shape->kind->fixed_n;
        values[i] = fixed ? fixed_value(&shape->kind->fixed[i], record) : AD_V_NULL;
    }
    if (!shape->kind->values) {
        return AD_OK;
    }
    AD_JSON_FOREACH (list, ad_json_get(record, shape->kind->values)) {
        const struct ad_slot *slot = find_slot(shape, list->key, &hint);
        enum ad_err err = slot ? ad__slot_values(shape, slot, arena, list, values) : AD_OK;
        if (err) {
            return err;
        }
    }
    return AD_OK;
}
