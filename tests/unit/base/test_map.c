#include "base/map.h"

#include <stdbool.h>
#include <stdio.h>

#include "base/rand.h"
#include "support/heap.h"
#include "support/run.h"
#include "support/torture.h"

enum { MANY = 5000 };

struct item {
    struct ad_map_node node;
    char key[16];
    bool in;
    int seen;
};

static struct item items[MANY];
static struct ad_map map;

static struct ad_str key_of(size_t i)
{
    int n = snprintf(items[i].key, sizeof(items[i].key), "k%zu", i);
    return ad_str_n(items[i].key, (size_t)n);
}

static void setup(void)
{
    heap_install();
    ad_map_init(&map);
}

static void teardown(void)
{
    ad_map_fini(&map);
    ck_assert_uint_eq(heap_uninstall(), 0);
}

START_TEST(an_empty_map_has_nothing)
{
    ck_assert_ptr_null(ad_map_get(&map, AD_STR("x")));
    ck_assert_ptr_null(ad_map_any(&map));
}
END_TEST

START_TEST(a_small_map_allocates_nothing)
{
    for (size_t i = 0; i < 8; i++) {
        ad_map_put(&map, &items[i].node, key_of(i));
    }
    ck_assert_uint_eq(heap_requests(), 0);
    ad_map_put(&map, &items[8].node, key_of(8));
    ck_assert_uint_eq(heap_requests(), 1);
}
END_TEST

START_TEST(a_random_history_matches_a_plain_array)
{
    struct ad_rand r;
    ad_rand_seed(&r, 1);
    size_t count = 0;
    for (int step = 0; step < 100000; step++) {
        size_t i = ad_rand_below(&r, MANY);
        struct ad_map_node *found = ad_map_get(&map, key_of(i));
        ck_assert_ptr_eq(found, items[i].in ? &items[i].node : NULL);
        if (items[i].in) {
            ad_map_remove(&map, &items[i].node);
            count--;
        } else {
            ad_map_put(&map, &items[i].node, key_of(i));
            count++;
        }
        items[i].in = !items[i].in;
        ck_assert_uint_eq(map.count, count);
    }
}
END_TEST

START_TEST(any_empties_a_map)
{
    for (size_t i = 0; i < MANY; i++) {
        ad_map_put(&map, &items[i].node, key_of(i));
    }
    size_t n = 0;
    struct ad_map_node *node;
    while ((node = ad_map_any(&map)) != NULL) {
        ad_map_remove(&map, node);
        n++;
        if (n == MANY / 2) { /* one that lands before the place any had reached */
            ad_map_put(&map, node, node->key);
            ad_map_remove(&map, node);
        }
    }
    ck_assert_uint_eq(n, MANY);
    ad_map_put(&map, &items[0].node, key_of(0));
    ck_assert_ptr_eq(ad_map_any(&map), &items[0].node);
}
END_TEST

static void see_and_remove_even(void *ctx, struct ad_map_node *node)
{
    struct ad_map *m = ctx;
    struct item *item = ad_container_of(node, struct item, node);
    item->seen++;
    if ((item - items) % 2 == 0) {
        ad_map_remove(m, node);
    }
}

START_TEST(each_visits_all_once_and_may_remove_the_current)
{
    for (size_t i = 0; i < 1000; i++) {
        ad_map_put(&map, &items[i].node, key_of(i));
    }
    ad_map_each(&map, see_and_remove_even, &map);
    ck_assert_uint_eq(map.count, 500);
    for (size_t i = 0; i < 1000; i++) {
        ck_assert_int_eq(items[i].seen, 1);
        ck_assert_int_eq(ad_map_get(&map, key_of(i)) != NULL, i % 2);
    }
}
END_TEST

START_TEST(keys_may_hold_any_bytes_and_be_empty)
{
    ad_map_put(&map, &items[0].node, ad_str_n("a\0b", 3));
    ad_map_put(&map, &items[1].node, ad_str_n("a\0c", 3));
    ad_map_put(&map, &items[2].node, AD_STR_NONE);
    ck_assert_ptr_eq(ad_map_get(&map, ad_str_n("a\0c", 3)), &items[1].node);
    ck_assert_ptr_eq(ad_map_get(&map, AD_STR("")), &items[2].node);
    ck_assert_ptr_null(ad_map_get(&map, AD_STR("a")));
}
END_TEST

static enum ad_err fill_and_look(void *ctx)
{
    (void)ctx;
    struct ad_map m;
    ad_map_init(&m);
    for (size_t i = 0; i < 200; i++) {
        ad_map_put(&m, &items[i].node, key_of(i));
    }
    for (size_t i = 0; i < 200; i++) {
        ck_assert_ptr_eq(ad_map_get(&m, key_of(i)), &items[i].node);
    }
    ad_map_fini(&m);
    return AD_OK;
}

START_TEST(without_memory_a_map_goes_on_with_longer_chains)
{
    torture(fill_and_look, NULL);
}
END_TEST

static Suite *suite(void)
{
    const TTest *const tests[] = {
        an_empty_map_has_nothing,
        a_small_map_allocates_nothing,
        a_random_history_matches_a_plain_array,
        any_empties_a_map,
        each_visits_all_once_and_may_remove_the_current,
        keys_may_hold_any_bytes_and_be_empty,
    };
    Suite *s = suite_create("map");
    TCase *tcase = tcase_create("map");
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < AD_LEN(tests); i++) {
        tcase_add_test(tcase, tests[i]);
    }
    suite_add_tcase(s, tcase);
    TCase *memory = tcase_create("memory");
    tcase_add_test(memory, without_memory_a_map_goes_on_with_longer_chains);
    suite_add_tcase(s, memory);
    return s;
}

RUN_SUITE(suite)
