/* The set of ids that full sync tells pages apart with. */
#include "service/sync_ids.h"

#include <stdio.h>

#include "support/heap.h"
#include "support/run.h"

static struct ad__sync_ids ids;

static void setup(void)
{
    heap_install();
    ids = (struct ad__sync_ids){ .slots = NULL };
}

static void teardown(void)
{
    ad__sync_ids_fini(&ids);
    ck_assert_uint_eq(heap_uninstall(), 0);
}

static struct ad__sync_id numbered(unsigned n)
{
    char text[37];
    struct ad__sync_id id;
    (void)snprintf(text, sizeof(text), "00000000-0000-4000-8000-%012u", n);
    ck_assert(ad__sync_id_of(ad_str_c(text), &id));
    return id;
}

START_TEST(what_was_added_is_there_and_nothing_else)
{
    for (unsigned i = 0; i < 5000; i += 2) {
        struct ad__sync_id id = numbered(i);
        ck_assert_int_eq(ad__sync_ids_add(&ids, &id), AD_OK);
        ck_assert_int_eq(ad__sync_ids_add(&ids, &id), AD_OK);
    }
    ck_assert_uint_eq(ids.n, 2500);
    for (unsigned i = 0; i < 5000; i++) {
        struct ad__sync_id id = numbered(i);
        ck_assert_int_eq(ad__sync_ids_has(&ids, &id), i % 2 == 0);
    }
    ad__sync_ids_clear(&ids);
    for (unsigned i = 0; i < 5000; i++) {
        struct ad__sync_id id = numbered(i);
        ck_assert(!ad__sync_ids_has(&ids, &id));
    }
}
END_TEST

START_TEST(only_uuids_are_ids_and_the_empty_one_is_no_exception)
{
    struct ad__sync_id id;
    ck_assert(!ad__sync_id_of(AD_STR("people"), &id));
    ck_assert(!ad__sync_id_of(AD_STR_NONE, &id));
    ck_assert(ad__sync_id_of(AD_STR("00000000-0000-0000-0000-000000000000"), &id));
    ck_assert(!ad__sync_ids_has(&ids, &id));
    ck_assert_int_eq(ad__sync_ids_add(&ids, &id), AD_OK);
    ck_assert(ad__sync_ids_has(&ids, &id));
}
END_TEST

START_TEST(without_memory_the_set_stays_as_it_was)
{
    unsigned refused = 0;
    for (unsigned i = 0; i < 2000; i++) {
        struct ad__sync_id id = numbered(i);
        heap_fail(i % 3, 1);
        if (ad__sync_ids_add(&ids, &id)) {
            refused++;
            ck_assert(!ad__sync_ids_has(&ids, &id));
            ck_assert_uint_eq(ids.n, i);
            heap_fail(0, 0);
            ck_assert_int_eq(ad__sync_ids_add(&ids, &id), AD_OK);
        }
        heap_fail(0, 0);
    }
    ck_assert_uint_gt(refused, 0);
    ck_assert_uint_eq(ids.n, 2000);
}
END_TEST

static Suite *sync_ids_suite(void)
{
    const TTest *const tests[] = {
        what_was_added_is_there_and_nothing_else,
        only_uuids_are_ids_and_the_empty_one_is_no_exception,
        without_memory_the_set_stays_as_it_was,
    };
    Suite *suite = suite_create("sync_ids");
    TCase *tcase = tcase_create("sync_ids");
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < AD_LEN(tests); i++) {
        tcase_add_test(tcase, tests[i]);
    }
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITE(sync_ids_suite)
