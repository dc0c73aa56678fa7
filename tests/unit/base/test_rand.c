#include "base/rand.h"

#include <string.h>

#include "support/run.h"

START_TEST(the_same_seed_gives_the_same_numbers)
{
    struct ad_rand a;
    struct ad_rand b;
    struct ad_rand c;
    ad_rand_seed(&a, 42);
    ad_rand_seed(&b, 42);
    ad_rand_seed(&c, 43);
    int same = 0;
    for (int i = 0; i < 100; i++) {
        uint64_t v = ad_rand_u64(&a);
        ck_assert(v == ad_rand_u64(&b));
        same += v == ad_rand_u64(&c);
    }
    ck_assert_int_eq(same, 0);
}
END_TEST

START_TEST(below_stays_below_and_spreads_evenly)
{
    struct ad_rand r;
    ad_rand_seed(&r, 1);
    size_t seen[10] = { 0 };
    for (int i = 0; i < 100000; i++) {
        seen[ad_rand_below(&r, 10)]++;
        ck_assert(ad_rand_below(&r, 1) == 0);
        ck_assert(ad_rand_below(&r, UINT64_MAX) < UINT64_MAX);
    }
    for (size_t i = 0; i < AD_LEN(seen); i++) { /* 10000 expected, deviation about 95 */
        ck_assert_uint_gt(seen[i], 9500);
        ck_assert_uint_lt(seen[i], 10500);
    }
}
END_TEST

START_TEST(uuids_are_of_version_4_and_differ)
{
    struct ad_rand r;
    ad_rand_seed(&r, 1);
    char last[37] = "";
    for (int i = 0; i < 1000; i++) {
        char uuid[37];
        ad_rand_uuid(&r, uuid);
        ck_assert_uint_eq(strlen(uuid), 36);
        ck_assert(ad_str_is_uuid(ad_str_c(uuid)));
        ck_assert_int_eq(uuid[14], '4');
        ck_assert_ptr_nonnull(strchr("89ab", uuid[19]));
        ck_assert_str_ne(uuid, last);
        memcpy(last, uuid, sizeof(last));
    }
}
END_TEST

static Suite *suite(void)
{
    const TTest *const tests[] = {
        the_same_seed_gives_the_same_numbers,
        below_stays_below_and_spreads_evenly,
        uuids_are_of_version_4_and_differ,
    };
    return suite_of("rand", tests, AD_LEN(tests));
}

RUN_SUITE(suite)
