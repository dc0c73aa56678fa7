#include "base/arena.h"

#include <stdint.h>
#include <string.h>

#include "support/heap.h"
#include "support/run.h"
#include "support/torture.h"

enum { MAX = 1 << 20 };

static struct ad_arena arena;

static void setup(void)
{
    heap_install();
    ad_arena_init(&arena, MAX);
}

static void teardown(void)
{
    ad_arena_fini(&arena);
    ck_assert_uint_eq(heap_uninstall(), 0);
}

START_TEST(a_new_arena_holds_nothing)
{
    ck_assert_uint_eq(ad_arena_used(&arena), 0);
    ck_assert_uint_eq(heap_requests(), 0);
}
END_TEST

START_TEST(pieces_are_aligned_apart_and_writable)
{
    char *pieces[2000];
    for (size_t i = 0; i < AD_LEN(pieces); i++) {
        size_t size = i % 70;
        pieces[i] = ad_arena_alloc(&arena, size);
        ck_assert_ptr_nonnull(pieces[i]);
        ck_assert_uint_eq((uintptr_t)pieces[i] % 16, 0);
        memset(pieces[i], (int)(i % 251), size);
    }
    for (size_t i = 0; i < AD_LEN(pieces); i++) {
        for (size_t at = 0; at < i % 70; at++) {
            ck_assert_int_eq((unsigned char)pieces[i][at], (int)(i % 251));
        }
    }
}
END_TEST

START_TEST(the_maximum_holds_for_all_chunks_together)
{
    size_t total = 0;
    while (ad_arena_alloc(&arena, 1000)) {
        total += 1000;
        ck_assert_uint_le(ad_arena_used(&arena), MAX);
    }
    ck_assert_uint_gt(total, MAX - MAX / 10);
    ck_assert_ptr_null(ad_arena_alloc(&arena, MAX));
    ck_assert_ptr_null(ad_arena_alloc(&arena, SIZE_MAX));
    ck_assert_ptr_null(ad_arena_alloc(&arena, SIZE_MAX - 8));
}
END_TEST

START_TEST(a_large_piece_leaves_the_rest_of_the_chunk_in_use)
{
    char *a = ad_arena_alloc(&arena, 100);
    char *filler = ad_arena_alloc(&arena, 8000);
    char *b = ad_arena_alloc(&arena, 100);
    ck_assert_ptr_nonnull(a);
    ck_assert_ptr_nonnull(filler);
    char *large = ad_arena_alloc(&arena, 300000);
    ck_assert_ptr_nonnull(large);
    memset(large, 1, 300000);
    char *c = ad_arena_alloc(&arena, 100);
    ck_assert_ptr_eq(c, b + 112);
}
END_TEST

START_TEST(reset_keeps_the_first_chunk_only)
{
    void *first = ad_arena_alloc(&arena, 100);
    size_t used = ad_arena_used(&arena);
    for (int i = 0; i < 100; i++) {
        ck_assert_ptr_nonnull(ad_arena_alloc(&arena, 5000));
    }
    ad_arena_reset(&arena);
    ck_assert_uint_eq(ad_arena_used(&arena), used);
    ck_assert_uint_eq(heap_held(), 1);
    size_t requests = heap_requests();
    ck_assert_ptr_eq(ad_arena_alloc(&arena, 100), first);
    ck_assert_uint_eq(heap_requests(), requests);
}
END_TEST

START_TEST(reset_and_fini_of_an_empty_arena_are_harmless)
{
    ad_arena_reset(&arena);
    ad_arena_fini(&arena);
    ad_arena_fini(&arena);
    ck_assert_ptr_nonnull(ad_arena_alloc(&arena, 1));
}
END_TEST

START_TEST(the_callers_memory_comes_first_and_is_not_freed)
{
    static char room[1000];
    for (size_t skew = 0; skew < 17; skew++) {
        struct ad_arena a;
        ad_arena_init_with(&a, MAX, room + skew, sizeof(room) - skew);
        char *p = ad_arena_alloc(&a, 800);
        ck_assert_ptr_nonnull(p);
        ck_assert(p > room && p + 800 <= room + sizeof(room));
        ck_assert_uint_eq(heap_requests(), 0);
        ad_arena_fini(&a);
    }
    struct ad_arena a;
    ad_arena_init_with(&a, MAX, room, sizeof(room));
    char *p = ad_arena_alloc(&a, 100);
    ck_assert_ptr_nonnull(ad_arena_alloc(&a, 5000));
    ad_arena_reset(&a);
    ck_assert_uint_eq(heap_held(), 0);
    ck_assert_ptr_eq(ad_arena_alloc(&a, 100), p);
    ad_arena_fini(&a);
    memset(room, 0, sizeof(room));
}
END_TEST

START_TEST(too_little_memory_of_the_caller_is_not_used)
{
    char room[20];
    struct ad_arena a;
    ad_arena_init_with(&a, MAX, room, sizeof(room));
    ck_assert_ptr_nonnull(ad_arena_alloc(&a, 8));
    ck_assert_uint_eq(heap_requests(), 1);
    ad_arena_fini(&a);
}
END_TEST

START_TEST(arrays_are_zeroed_and_checked_for_overflow)
{
    memset(ad_arena_alloc(&arena, 1000), 0xff, 1000);
    ad_arena_reset(&arena);
    int *ints = ad_arena_array(&arena, 100, sizeof(int));
    ck_assert_ptr_nonnull(ints);
    for (size_t i = 0; i < 100; i++) {
        ck_assert_int_eq(ints[i], 0);
    }
    ck_assert_ptr_null(ad_arena_array(&arena, SIZE_MAX / 2, 4));
}
END_TEST

START_TEST(copies_and_formats_end_with_nul)
{
    struct ad_str copy = ad_arena_str(&arena, ad_str_n("abcdef", 3));
    assert_str(copy, "abc");
    ck_assert_int_eq(copy.p[3], '\0');
    struct ad_str empty = ad_arena_str(&arena, AD_STR_NONE);
    ck_assert_ptr_nonnull(empty.p);
    ck_assert_uint_eq(empty.n, 0);
    assert_str(ad_arena_fmt(&arena, "%s-%d", "x", 12), "x-12");
    struct ad_str wide = ad_arena_fmt(&arena, "%5000d", 7);
    ck_assert_uint_eq(wide.n, 5000);
    ck_assert_int_eq(wide.p[5000], '\0');
}
END_TEST

START_TEST(without_room_copies_and_formats_are_absent)
{
    struct ad_arena a;
    ad_arena_init(&a, 16);
    ck_assert_ptr_null(ad_arena_str(&a, AD_STR("x")).p);
    ck_assert_ptr_null(ad_arena_fmt(&a, "%d", 1).p);
    ad_arena_fini(&a);
}
END_TEST

static enum ad_err fill_and_reset(void *ctx)
{
    (void)ctx;
    struct ad_arena a;
    ad_arena_init(&a, MAX);
    enum ad_err err = AD_OK;
    for (size_t i = 0; i < 60; i++) {
        if (!ad_arena_zalloc(&a, 64 + i * 100)) {
            err = AD_ERR_NOMEM;
        }
        if (i == 30) {
            ad_arena_reset(&a);
        }
    }
    ad_arena_fini(&a);
    return err;
}

START_TEST(no_memory_is_reported_and_leaks_nothing)
{
    torture(fill_and_reset, NULL);
}
END_TEST

static Suite *suite(void)
{
    const TTest *const tests[] = {
        a_new_arena_holds_nothing,
        pieces_are_aligned_apart_and_writable,
        the_maximum_holds_for_all_chunks_together,
        a_large_piece_leaves_the_rest_of_the_chunk_in_use,
        reset_keeps_the_first_chunk_only,
        reset_and_fini_of_an_empty_arena_are_harmless,
        the_callers_memory_comes_first_and_is_not_freed,
        too_little_memory_of_the_caller_is_not_used,
        arrays_are_zeroed_and_checked_for_overflow,
        copies_and_formats_end_with_nul,
        without_room_copies_and_formats_are_absent,
    };
    Suite *s = suite_create("arena");
    TCase *tcase = tcase_create("arena");
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < AD_LEN(tests); i++) {
        tcase_add_test(tcase, tests[i]);
    }
    suite_add_tcase(s, tcase);
    TCase *memory = tcase_create("memory");
    tcase_add_test(memory, no_memory_is_reported_and_leaks_nothing);
    suite_add_tcase(s, memory);
    return s;
}

RUN_SUITE(suite)
