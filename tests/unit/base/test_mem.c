#include "base/mem.h"

#include <stdint.h>
#include <string.h>

#include "support/heap.h"
#include "support/run.h"

START_TEST(zeroed_memory_is_zero_and_empty_memory_is_not_null)
{
    char *p = ad_zalloc(64);
    ck_assert_ptr_nonnull(p);
    for (size_t i = 0; i < 64; i++) {
        ck_assert_int_eq(p[i], 0);
    }
    ad_free(p);
    void *empty = ad_alloc(0);
    ck_assert_ptr_nonnull(empty);
    ad_free(empty);
    ad_free(NULL);
}
END_TEST

START_TEST(an_array_that_overflows_is_refused)
{
    ck_assert_ptr_null(ad_alloc_array(SIZE_MAX / 2, 3));
    ck_assert_ptr_null(ad_alloc_array(3, SIZE_MAX / 2));
    int *ints = ad_alloc_array(100, sizeof(int));
    ck_assert_ptr_nonnull(ints);
    ck_assert_int_eq(ints[99], 0);
    ad_free(ints);
    void *none = ad_alloc_array(0, 0);
    ck_assert_ptr_nonnull(none);
    ad_free(none);
}
END_TEST

START_TEST(all_calls_go_through_the_heap_that_was_set)
{
    heap_install();
    void *p = ad_alloc(10);
    void *q = ad_resize(NULL, 10);
    q = ad_resize(q, 1000);
    ck_assert_uint_eq(heap_requests(), 3);
    ck_assert_uint_eq(heap_held(), 2);
    ad_free(p);
    ad_free(q);
    ck_assert_uint_eq(heap_uninstall(), 0);
}
END_TEST

START_TEST(a_failed_resize_keeps_the_old_piece)
{
    heap_install();
    char *p = ad_alloc(4);
    ck_assert_ptr_nonnull(p);
    memcpy(p, "abc", 4);
    heap_fail(0, 1);
    ck_assert_ptr_null(ad_resize(p, 4000));
    ck_assert_str_eq(p, "abc");
    heap_fail(0, SIZE_MAX);
    ck_assert_ptr_null(ad_alloc(1));
    ck_assert_ptr_null(ad_zalloc(1));
    ad_free(p);
    ck_assert_uint_eq(heap_uninstall(), 0);
}
END_TEST

static Suite *suite(void)
{
    const TTest *const tests[] = {
        zeroed_memory_is_zero_and_empty_memory_is_not_null,
        an_array_that_overflows_is_refused,
        all_calls_go_through_the_heap_that_was_set,
        a_failed_resize_keeps_the_old_piece,
    };
    return suite_of("mem", tests, AD_LEN(tests));
}

RUN_SUITE(suite)
