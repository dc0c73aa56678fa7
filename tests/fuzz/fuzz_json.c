/* The JSON reader and writer. A document that is taken, written and read again is the same text from
 * then on; the piecewise reader agrees with the whole one; memory stays within the arena's bound. */
#include "fuzz.h"

#include <string.h>

#include "base/json.h"
#include "base/json_write.h"

#define MEMORY_MAX ((size_t)32 << 20)

static const struct ad_json_limits limits = { .bytes_max = (size_t)1 << 20,
                                              .depth_max = AD_JSON_DEPTH_MAX,
                                              .nodes_max = 10000 };

static const struct ad_json *read_text(struct ad_arena *arena, struct ad_str text)
{
    const struct ad_json *doc;
    struct ad_errinfo info = { .code = AD_OK };
    ad_arena_init(arena, MEMORY_MAX);
    enum ad_err err = ad_json_parse(arena, text, &limits, &doc, &info);
    FUZZ_CHECK(err == info.code);
    FUZZ_CHECK(err == AD_OK || info.msg[0]);
    FUZZ_CHECK(err != AD_ERR_NOMEM);
    return err ? NULL : doc;
}

static void write_text(struct ad_buf *out, const struct ad_json *doc)
{
    struct ad_json_writer w;
    ad_buf_init(out, MEMORY_MAX);
    ad_json_write_init(&w, out);
    ad_json_w_value(&w, doc);
    FUZZ_CHECK(ad_json_write_done(&w) == AD_OK);
}

static enum ad_err count_one(void *ctx, const struct ad_json *element)
{
    FUZZ_CHECK(element != NULL);
    ++*(size_t *)ctx;
    return AD_OK;
}

/* {"data": [...]}, one element at a time. */
static void piece_by_piece(struct ad_str text, const struct ad_json *doc)
{
    struct ad_arena arena;
    size_t n = 0;
    ad_arena_init(&arena, MEMORY_MAX);
    enum ad_err err = ad_json_each(&arena, text, AD_STR("data"), &limits, count_one, &n, NULL);
    const struct ad_json *data = ad_json_get(doc, "data");
    if (ad_json_is(doc, AD_JSON_OBJECT) && ad_json_is(data, AD_JSON_ARRAY)) {
        FUZZ_CHECK(err == AD_OK && n == data->count);
    } else if (doc) {
        FUZZ_CHECK(err != AD_OK);
    }
    ad_arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ad_arena first_arena;
    struct ad_arena second_arena;
    struct ad_buf first;
    struct ad_buf second;
    struct ad_str text = ad_str_n((const char *)data, size);
    const struct ad_json *doc = read_text(&first_arena, text);
    piece_by_piece(text, doc);
    if (doc) {
        write_text(&first, doc);
        const struct ad_json *again = read_text(&second_arena, ad_buf_str(&first));
        FUZZ_CHECK(again != NULL);
        write_text(&second, again);
        FUZZ_CHECK(ad_str_eq(ad_buf_str(&first), ad_buf_str(&second)));
        ad_buf_fini(&first);
        ad_buf_fini(&second);
        ad_arena_fini(&second_arena);
    }
    ad_arena_fini(&first_arena);
    return 0;
}
