/* The simulator's queries, {"filter": ..., "sorts": [...]}, over a small workspace. The page that the
 * indexes find is the page that asking every record finds. */
#include "fuzz.h"

#include <string.h>

#include "sim/filter.h"
#include "sim/seed.h"
#include "support/vclock.h"

#define PEOPLE 40
#define LIMIT 7

static struct ad_sim_store store;
static struct ad_sim_object *people;
static struct vclock vclock;

static void setup(void)
{
    const struct ad_sim_sizes sizes = { .people = PEOPLE, .companies = 5, .deals = 5, .ties = 8 };
    vclock_init(&vclock);
    ad_sim_store_init(&store, &vclock.clock, 1, "fuzz");
    ad_sim_seed_schema(&store);
    ad_sim_seed_records(&store, &sizes);
    people = ad_sim_object_find(&store, AD_STR("people"));
    FUZZ_CHECK(people && people->n == PEOPLE);
}

static size_t matching(const struct ad_sim_filter *f)
{
    size_t n = 0;
    for (size_t i = 0; i < people->n; i++) {
        n += ad_sim_filter_match(f, people->sorted[i]);
    }
    return n;
}

static bool compile(struct ad_sim_query *q, const struct ad_json *doc)
{
    if (!ad_sim_filter_compile(&store, people, ad_json_get(doc, "filter"), q->arena, &q->filter)) {
        return false;
    }
    AD_JSON_FOREACH (sort, ad_json_get(doc, "sorts")) {
        if (q->sorts_n == AD_SIM_SORTS_MAX ||
            !ad_sim_sort_compile(&store, people, sort, &q->sorts[q->sorts_n])) {
            return false;
        }
        q->sorts_n++;
    }
    return true;
}

/* All pages together hold every match once. */
static void walk(struct ad_sim_query *q)
{
    size_t expected = matching(q->filter);
    size_t seen = 0;
    size_t n;
    FUZZ_CHECK(ad_sim_query_points(q) < SIZE_MAX);
    do {
        const struct ad_sim_record **page = ad_sim_query_run(q, &n);
        FUZZ_CHECK(n <= q->limit);
        for (size_t i = 0; i < n; i++) {
            FUZZ_CHECK(ad_sim_filter_match(q->filter, page[i]));
        }
        seen += n;
        q->offset += n;
    } while (n == q->limit);
    FUZZ_CHECK(seen == expected);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ad_arena arena;
    const struct ad_json *doc;
    static bool ready;
    if (!ready) {
        setup();
        ready = true;
    }
    ad_arena_init(&arena, (size_t)256 << 20);
    uint64_t looked_at = 0;
    struct ad_sim_query q = {
        .store = &store, .object = people, .limit = LIMIT, .arena = &arena, .looked_at = &looked_at
    };
    if (ad_json_parse(&arena, ad_str_n((const char *)data, size), NULL, &doc, NULL) == AD_OK &&
        compile(&q, doc)) {
        walk(&q);
    }
    ad_arena_fini(&arena);
    return 0;
}
