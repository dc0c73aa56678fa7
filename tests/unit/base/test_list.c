#include "base/list.h"

#include "support/run.h"

struct item {
    int value;
    struct ad_list link;
};

static struct item items[6];
static struct ad_list list;

static void setup(void)
{
    ad_list_init(&list);
    for (size_t i = 0; i < AD_LEN(items); i++) {
        items[i].value = (int)i;
        ad_list_init(&items[i].link);
    }
}

static int value_of(struct ad_list *l)
{
    return ad_container_of(l, struct item, link)->value;
}

/* The values in order, as digits of one number. */
static int digits(void)
{
    int n = 0;
    AD_LIST_FOREACH (it, &list) {
        n = n * 10 + value_of(it);
    }
    return n;
}

START_TEST(elements_come_in_the_order_of_pushing)
{
    ck_assert(ad_list_empty(&list));
    ad_list_push(&list, &items[1].link);
    ad_list_push(&list, &items[2].link);
    ad_list_push_front(&list, &items[3].link);
    ck_assert_int_eq(digits(), 312);
    ck_assert(!ad_list_empty(&list));
}
END_TEST

START_TEST(removing_twice_is_harmless)
{
    ad_list_push(&list, &items[1].link);
    ad_list_push(&list, &items[2].link);
    ck_assert(ad_list_linked(&items[1].link));
    ad_list_remove(&items[1].link);
    ad_list_remove(&items[1].link);
    ck_assert(!ad_list_linked(&items[1].link));
    ck_assert_int_eq(digits(), 2);
}
END_TEST

START_TEST(pop_takes_from_the_front_until_empty)
{
    ad_list_push(&list, &items[4].link);
    ad_list_push(&list, &items[5].link);
    ck_assert_int_eq(value_of(ad_list_pop(&list)), 4);
    ck_assert_int_eq(value_of(ad_list_pop(&list)), 5);
    ck_assert_ptr_null(ad_list_pop(&list));
}
END_TEST

START_TEST(move_appends_all_and_empties_the_other)
{
    struct ad_list other;
    ad_list_init(&other);
    ad_list_push(&list, &items[1].link);
    ad_list_push(&other, &items[2].link);
    ad_list_push(&other, &items[3].link);
    ad_list_move(&list, &other);
    ck_assert_int_eq(digits(), 123);
    ck_assert(ad_list_empty(&other));
    ad_list_move(&list, &other);
    ck_assert_int_eq(digits(), 123);
}
END_TEST

START_TEST(the_safe_loop_may_remove_the_current_element)
{
    for (size_t i = 1; i < AD_LEN(items); i++) {
        ad_list_push(&list, &items[i].link);
    }
    AD_LIST_FOREACH_SAFE (it, &list) {
        if (value_of(it) % 2 == 0) {
            ad_list_remove(it);
        }
    }
    ck_assert_int_eq(digits(), 135);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("list");
    TCase *tcase = tcase_create("list");
    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, elements_come_in_the_order_of_pushing);
    tcase_add_test(tcase, removing_twice_is_harmless);
    tcase_add_test(tcase, pop_takes_from_the_front_until_empty);
    tcase_add_test(tcase, move_appends_all_and_empties_the_other);
    tcase_add_test(tcase, the_safe_loop_may_remove_the_current_element);
    suite_add_tcase(s, tcase);
    return s;
}

RUN_SUITE(suite)
