/* A webhook's body. An event that is taken has a type, a subject and lower-case ids that lie in the
 * body or on the arena, never in the document that was parsed for it; and its own text can be read
 * again alone, as the inbox does at the next start. */
#include "fuzz.h"

#include <string.h>

#include "attio/webhook.h"

static void check_id(struct ad_str id)
{
    if (!id.p) {
        return;
    }
    FUZZ_CHECK(ad_str_is_uuid(id));
    for (size_t i = 0; i < id.n; i++) {
        FUZZ_CHECK(id.p[i] < 'A' || id.p[i] > 'Z');
    }
}

static void check_event(const struct ad_event *e)
{
    FUZZ_CHECK(e->type.n > 0 && e->type.n <= AD_EVENT_TYPE_MAX);
    FUZZ_CHECK(e->subject.n > 0 && e->body.n > 0);
    check_id(e->workspace_id);
    check_id(e->object_id);
    check_id(e->record_id);
    check_id(e->attribute_id);
    check_id(e->list_id);
    check_id(e->entry_id);
    check_id(e->primary_id);
    check_id(e->duplicate_record_id);
    const struct ad_event_type *type = ad_event_type_find(e->type);
    FUZZ_CHECK((type != NULL) == (e->family != AD_EVENT_UNKNOWN));
    FUZZ_CHECK(!type || (e->workspace_id.p && e->primary_id.p));
}

static void read_alone(const struct ad_event *e)
{
    struct ad_arena arena;
    struct ad_event again;
    const struct ad_json *doc;
    ad_arena_init(&arena, (size_t)64 << 20);
    FUZZ_CHECK(ad_json_parse(&arena, e->body, NULL, &doc, NULL) == AD_OK);
    FUZZ_CHECK(ad_event_decode(&arena, doc, &again, NULL) == AD_OK);
    FUZZ_CHECK(ad_str_eq(again.subject, e->subject) && ad_str_eq(again.type, e->type));
    ad_arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ad_arena scratch;
    struct ad_arena arena;
    struct ad_delivery d = { .events_n = 0 };
    struct ad_errinfo info = { .code = AD_OK };
    ad_arena_init(&scratch, (size_t)64 << 20);
    ad_arena_init(&arena, (size_t)64 << 20);
    enum ad_err err =
        ad_webhook_decode(&scratch, &arena, ad_str_n((const char *)data, size), &d, &info);
    ad_arena_fini(&scratch);
    FUZZ_CHECK(err == AD_OK || (err == AD_ERR_PARSE && info.msg[0]));
    for (size_t i = 0; !err && i < d.events_n; i++) {
        check_event(&d.events[i]);
        read_alone(&d.events[i]);
    }
    ad_arena_fini(&arena);
    return 0;
}
