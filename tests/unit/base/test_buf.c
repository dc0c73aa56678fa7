#include "base/buf.h"

#include <stdint.h>

#include "support/heap.h"
#include "support/run.h"
#include "support/torture.h"

static struct ad_buf buf;

static void setup(void)
{
    heap_install();
    ad_buf_init(&buf, 1000);
}

static void teardown(void)
{
    ad_buf_fini(&buf);
    ck_assert_uint_eq(heap_uninstall(), 0);
}

START_TEST(appends_follow_each_other)
{
    ad_buf_put(&buf, AD_STR("a"));
    ad_buf_putc(&buf, 'b');
    ad_buf_put_u64(&buf, UINT64_MAX);
    ad_buf_putc(&buf, ' ');
    ad_buf_put_u64(&buf, 0);
    ad_buf_put_i64(&buf, INT64_MIN);
    ad_buf_fmt(&buf, "<%s>", "x");
    ad_buf_put(&buf, AD_STR_NONE);
    assert_str(ad_buf_str(&buf), "ab18446744073709551615 0-9223372036854775808<x>");
    ck_assert_int_eq(ad_buf_status(&buf), AD_OK);
}
END_TEST

START_TEST(nothing_is_allocated_before_the_first_byte)
{
    ad_buf_put(&buf, AD_STR(""));
    ck_assert_uint_eq(heap_requests(), 0);
    ck_assert_uint_eq(ad_buf_str(&buf).n, 0);
}
END_TEST

START_TEST(an_append_past_the_maximum_appends_nothing_and_sticks)
{
    char text[1001] = { 0 };
    ad_buf_put(&buf, ad_str_n(text, 999));
    ad_buf_put(&buf, AD_STR("ab"));
    ck_assert_uint_eq(ad_buf_len(&buf), 999);
    ck_assert_int_eq(ad_buf_status(&buf), AD_ERR_TOOLARGE);
    ad_buf_putc(&buf, 'a');
    ck_assert_uint_eq(ad_buf_len(&buf), 999);
    ck_assert_ptr_null(ad_buf_reserve(&buf, 0));
    ad_buf_clear(&buf);
    ck_assert_int_eq(ad_buf_status(&buf), AD_OK);
    ad_buf_put(&buf, ad_str_n(text, 1000));
    ck_assert_int_eq(ad_buf_status(&buf), AD_OK);
    ck_assert_ptr_null(ad_buf_reserve(&buf, SIZE_MAX));
}
END_TEST

START_TEST(formatting_fills_a_buffer_to_its_last_byte)
{
    ad_buf_fmt(&buf, "%*d", 990, 1);
    ad_buf_fmt(&buf, "%s", "0123456789");
    ck_assert_uint_eq(ad_buf_len(&buf), 1000);
    ck_assert_int_eq(ad_buf_status(&buf), AD_OK);
    ad_buf_fmt(&buf, "%s", "");
    ck_assert_int_eq(ad_buf_status(&buf), AD_OK);
    ad_buf_fmt(&buf, "x");
    ck_assert_int_eq(ad_buf_status(&buf), AD_ERR_TOOLARGE);
    ck_assert_uint_eq(ad_buf_len(&buf), 1000);
}
END_TEST

START_TEST(no_memory_sticks_and_is_told_apart)
{
    heap_fail(0, 1);
    ad_buf_put(&buf, AD_STR("a"));
    ck_assert_int_eq(ad_buf_status(&buf), AD_ERR_NOMEM);
    ad_buf_put(&buf, AD_STR("a"));
    ck_assert_uint_eq(ad_buf_len(&buf), 0);
    ad_buf_clear(&buf);
    ad_buf_put(&buf, AD_STR("a"));
    heap_fail(0, 1);
    ad_buf_fmt(&buf, "%300d", 1);
    ck_assert_int_eq(ad_buf_status(&buf), AD_ERR_NOMEM);
    assert_str(ad_buf_str(&buf), "a");
}
END_TEST

START_TEST(consumed_room_is_used_again)
{
    for (int i = 0; i < 10000; i++) {
        ad_buf_fmt(&buf, "%07d", i);
        if (i >= 100) {
            int64_t first;
            struct ad_str front = ad_str_n(ad_buf_str(&buf).p, 7);
            ck_assert(ad_str_i64(front, 0, 10000, &first));
            ck_assert_int_eq(first, i - 100);
            ad_buf_consume(&buf, 7);
        }
    }
    ck_assert_int_eq(ad_buf_status(&buf), AD_OK);
    ck_assert_uint_eq(ad_buf_len(&buf), 700);
    ad_buf_consume(&buf, 700);
    ck_assert_uint_eq(buf.end, 0);
}
END_TEST

START_TEST(a_full_buffer_that_is_drained_a_little_accepts_as_much)
{
    char text[1000] = { 0 };
    ad_buf_put(&buf, ad_str_n(text, 1000));
    for (int i = 0; i < 100; i++) {
        ad_buf_consume(&buf, 3);
        ad_buf_put(&buf, AD_STR("abc"));
    }
    ck_assert_int_eq(ad_buf_status(&buf), AD_OK);
    ck_assert_uint_eq(ad_buf_len(&buf), 1000);
    ck_assert(ad_str_ends(ad_buf_str(&buf), AD_STR("abcabc")));
}
END_TEST

START_TEST(without_memory_to_grow_a_buffer_slides_instead)
{
    char text[256] = { 0 };
    ad_buf_put(&buf, ad_str_n(text, 256));
    ad_buf_consume(&buf, 10);
    heap_fail(0, SIZE_MAX);
    ad_buf_put(&buf, AD_STR("0123456789"));
    ck_assert_int_eq(ad_buf_status(&buf), AD_OK);
    ck_assert_uint_eq(ad_buf_len(&buf), 256);
}
END_TEST

START_TEST(reserved_room_becomes_content_by_commit)
{
    char *at = ad_buf_reserve(&buf, 600);
    ck_assert_ptr_nonnull(at);
    memset(at, 'a', 3);
    ck_assert_uint_eq(ad_buf_len(&buf), 0);
    ad_buf_commit(&buf, 3);
    assert_str(ad_buf_str(&buf), "aaa");
}
END_TEST

static enum ad_err write_much(void *ctx)
{
    (void)ctx;
    struct ad_buf b;
    ad_buf_init(&b, 100000);
    for (int i = 0; i < 1000; i++) {
        ad_buf_put_i64(&b, i);
        ad_buf_fmt(&b, "%400s", "x");
        if (ad_buf_len(&b) > 5000) {
            ad_buf_consume(&b, 4000);
        }
    }
    enum ad_err err = ad_buf_status(&b);
    ad_buf_fini(&b);
    return err;
}

START_TEST(no_memory_at_any_place_leaks_nothing)
{
    torture(write_much, NULL);
}
END_TEST

static Suite *suite(void)
{
    const TTest *const tests[] = {
        appends_follow_each_other,
        nothing_is_allocated_before_the_first_byte,
        an_append_past_the_maximum_appends_nothing_and_sticks,
        formatting_fills_a_buffer_to_its_last_byte,
        no_memory_sticks_and_is_told_apart,
        consumed_room_is_used_again,
        a_full_buffer_that_is_drained_a_little_accepts_as_much,
        without_memory_to_grow_a_buffer_slides_instead,
        reserved_room_becomes_content_by_commit,
    };
    Suite *s = suite_create("buf");
    TCase *tcase = tcase_create("buf");
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < AD_LEN(tests); i++) {
        tcase_add_test(tcase, tests[i]);
    }
    suite_add_tcase(s, tcase);
    TCase *memory = tcase_create("memory");
    tcase_add_test(memory, no_memory_at_any_place_leaks_nothing);
    suite_add_tcase(s, memory);
    return s;
}

RUN_SUITE(suite)
