/* A record's values, {"values": {"<type>": [value, ...], "<type>_many": [...]}}, as the mirror makes
 * columns of them, of each type with one value and with several. Whatever Attio sends becomes
 * something SQL can hold: text where the column is text, in a number's column never a number that is
 * none, JSON that can be read again in a JSON column, one element a value. */
#include "fuzz.h"

#include <math.h>
#include <string.h>

#include "attio/mirror_private.h"

enum { TYPES = AD_ATTR_UNKNOWN + 1, FORMS = 3 }; /* one; several; several, of several objects */
enum { COLUMNS_MAX = TYPES * FORMS * (1 + AD_PROPERTIES_MAX) };

static struct ad_attribute attributes[TYPES * FORMS];
static char slugs[TYPES * FORMS][40];
static struct ad_column columns[COLUMNS_MAX];
static struct ad_slot slots[TYPES * FORMS];
static struct ad_shape shape;

static void add_column(const struct ad_attribute *a, const struct ad_property *p)
{
    const struct ad_property *main = &ad__type_shape(a->type)->main;
    bool json = !main->path || a->multiselect;
    columns[shape.columns_n++] = (struct ad_column){ .attribute = a,
                                                     .property = p,
                                                     .kind = p      ? p->kind
                                                             : json ? AD_COLUMN_JSON
                                                                    : main->kind };
}

static void add_slot(unsigned type, unsigned form)
{
    static const char *const forms[FORMS] = { "", "_many", "_any" };
    unsigned i = shape.slots_n++;
    struct ad_attribute *a = &attributes[i];
    (void)snprintf(slugs[i], sizeof(slugs[i]), "%s%s", ad_attr_type_name(type), forms[form]);
    *a = (struct ad_attribute){
        .slug = ad_str_c(slugs[i]), .type = type, .multiselect = form > 0, .many_targets = form > 1
    };
    const struct ad_type_shape *t = ad__type_shape(type);
    slots[i] = (struct ad_slot){
        .attribute = a, .slug = a->slug, .first = shape.columns_n, .n = 1 + t->properties_n
    };
    add_column(a, NULL);
    for (unsigned p = 0; p < t->properties_n; p++) {
        add_column(a, &t->properties[p]);
    }
}

static void setup(void)
{
    shape.kind = ad__kind_shape(AD_KIND_OBJECT);
    shape.columns = columns;
    shape.slots = slots;
    for (unsigned type = 0; type < TYPES; type++) {
        for (unsigned form = 0; form < FORMS; form++) {
            add_slot(type, form);
        }
    }
}

static void check_json(const struct ad_attribute *a, struct ad_str text, size_t count)
{
    struct ad_arena arena;
    const struct ad_json *doc;
    ad_arena_init(&arena, (size_t)64 << 20);
    FUZZ_CHECK(ad_json_parse(&arena, text, NULL, &doc, NULL) == AD_OK);
    if (a->multiselect) {
        FUZZ_CHECK(ad_json_is(doc, AD_JSON_ARRAY) && doc->count == count);
    }
    ad_arena_fini(&arena);
}

static void check_column(const struct ad_column *c, const struct ad_value *v, size_t count)
{
    if (v->type == AD_VALUE_NULL) {
        return;
    }
    FUZZ_CHECK(count > 0);
    FUZZ_CHECK(v->type != AD_VALUE_BLOB && (v->type != AD_VALUE_F64 || isfinite(v->f64)));
    FUZZ_CHECK(v->type != AD_VALUE_TEXT || v->str.p);
    if (c->kind == AD_COLUMN_TEXT) {
        FUZZ_CHECK(v->type == AD_VALUE_TEXT);
    } else if (c->kind == AD_COLUMN_BOOL) {
        FUZZ_CHECK(v->type == AD_VALUE_TEXT || (v->type == AD_VALUE_I64 && (v->i64 | 1) == 1));
    } else if (c->kind == AD_COLUMN_JSON) {
        FUZZ_CHECK(v->type == AD_VALUE_TEXT);
        check_json(c->attribute, v->str, count);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ad_value values[COLUMNS_MAX];
    struct ad_arena arena;
    const struct ad_json *record;
    if (shape.slots_n == 0) {
        setup();
    }
    ad_arena_init(&arena, (size_t)256 << 20);
    if (ad_json_parse(&arena, ad_str_n((const char *)data, size), NULL, &record, NULL) == AD_OK &&
        ad__shape_values(&shape, &arena, record, values) == AD_OK) {
        const struct ad_json *lists = ad_json_get(record, "values");
        for (unsigned i = 0; i < shape.slots_n; i++) {
            const struct ad_json *list = ad_json_get(lists, slugs[i]);
            size_t count = ad_json_is(list, AD_JSON_ARRAY) ? list->count : 0;
            for (unsigned c = slots[i].first; c < slots[i].first + slots[i].n; c++) {
                check_column(&columns[c], &values[c], count);
            }
        }
    }
    ad_arena_fini(&arena);
    return 0;
}
