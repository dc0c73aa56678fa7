#include "base/metric.h"

#include <math.h>
#include <signal.h>

#include "support/heap.h"
#include "support/run.h"
#include "support/torture.h"

static struct ad_metrics *metrics;
static struct ad_buf out;

static void setup(void)
{
    heap_install();
    ck_assert_int_eq(ad_metrics_new(&metrics), AD_OK);
    ad_buf_init(&out, 1 << 20);
}

static void teardown(void)
{
    ad_metrics_free(metrics);
    ad_buf_fini(&out);
    ck_assert_uint_eq(heap_uninstall(), 0);
}

START_TEST(series_are_written_sorted_with_one_head_a_name)
{
    ad_metric_gauge(metrics, "z_open", NULL, "Open things")->v = -3;
    ad_metric_counter(metrics, "a_total", "outcome=\"refused\"", "Things")->v = 1;
    ad_metric_counter(metrics, "a_total", "outcome=\"accepted\"", "Things")->v += 2;
    ad_metric_counter(metrics, "a_total", NULL, "Things")->v = UINT64_MAX;
    ad_metrics_write(metrics, &out);
    assert_str(ad_buf_str(&out), "# HELP a_total Things\n"
                                 "# TYPE a_total counter\n"
                                 "a_total 18446744073709551615\n"
                                 "a_total{outcome=\"accepted\"} 2\n"
                                 "a_total{outcome=\"refused\"} 1\n"
                                 "# HELP z_open Open things\n"
                                 "# TYPE z_open gauge\n"
                                 "z_open -3\n");
}
END_TEST

START_TEST(the_same_name_and_labels_give_the_same_series)
{
    struct ad_counter *a = ad_metric_counter(metrics, "a_total", "x=\"1\"", "A");
    ck_assert_ptr_eq(ad_metric_counter(metrics, "a_total", "x=\"1\"", "B"), a);
    ck_assert_ptr_ne(ad_metric_counter(metrics, "a_total", "x=\"2\"", "A"), a);
    ck_assert_ptr_eq(ad_metric_counter(metrics, "b_total", "", "A"),
                     ad_metric_counter(metrics, "b_total", NULL, "A"));
}
END_TEST

START_TEST(one_name_of_two_types_aborts)
{
    (void)ad_metric_counter(metrics, "a", NULL, "A");
    (void)ad_metric_gauge(metrics, "a", NULL, "A");
}
END_TEST

START_TEST(a_histogram_counts_up_to_each_bound)
{
    struct ad_histogram *h = ad_metric_histogram(metrics, "t_seconds", NULL, "Time");
    static const double values[] = { 0, 0.5, 0.6, 5, 30000, 30001 };
    for (size_t i = 0; i < AD_LEN(values); i++) {
        ad_histogram_observe_ms(h, values[i]);
    }
    ad_histogram_observe_ms(h, NAN);
    ad_histogram_observe_ms(h, INFINITY);
    ad_histogram_observe_ms(h, -1);
    ad_metrics_write(metrics, &out);
    assert_str(ad_buf_str(&out), "# HELP t_seconds Time\n"
                                 "# TYPE t_seconds histogram\n"
                                 "t_seconds_bucket{le=\"0.0005\"} 2\n"
                                 "t_seconds_bucket{le=\"0.001\"} 3\n"
                                 "t_seconds_bucket{le=\"0.002\"} 3\n"
                                 "t_seconds_bucket{le=\"0.005\"} 4\n"
                                 "t_seconds_bucket{le=\"0.01\"} 4\n"
                                 "t_seconds_bucket{le=\"0.02\"} 4\n"
                                 "t_seconds_bucket{le=\"0.05\"} 4\n"
                                 "t_seconds_bucket{le=\"0.1\"} 4\n"
                                 "t_seconds_bucket{le=\"0.25\"} 4\n"
                                 "t_seconds_bucket{le=\"0.5\"} 4\n"
                                 "t_seconds_bucket{le=\"1\"} 4\n"
                                 "t_seconds_bucket{le=\"2.5\"} 4\n"
                                 "t_seconds_bucket{le=\"5\"} 4\n"
                                 "t_seconds_bucket{le=\"10\"} 4\n"
                                 "t_seconds_bucket{le=\"30\"} 5\n"
                                 "t_seconds_bucket{le=\"+Inf\"} 6\n"
                                 "t_seconds_sum 60.0071\n"
                                 "t_seconds_count 6\n");
}
END_TEST

START_TEST(labels_come_before_the_bound_and_help_is_escaped)
{
    (void)ad_metric_histogram(metrics, "t", "op=\"get\"", "One\\two\nthree");
    ad_metrics_write(metrics, &out);
    struct ad_str text = ad_buf_str(&out);
    ck_assert(ad_str_starts(text, AD_STR("# HELP t One\\\\two\\nthree\n# TYPE t histogram\n")));
    ck_assert(ad_str_contains(text, AD_STR("\nt_bucket{op=\"get\",le=\"+Inf\"} 0\n")));
    ck_assert(ad_str_ends(text, AD_STR("\nt_sum{op=\"get\"} 0\nt_count{op=\"get\"} 0\n")));
}
END_TEST

START_TEST(without_memory_all_share_a_scrap_that_is_not_written)
{
    heap_fail(0, SIZE_MAX);
    struct ad_counter *c = ad_metric_counter(metrics, "a_total", NULL, "A");
    struct ad_histogram *h = ad_metric_histogram(metrics, "t", NULL, "T");
    ck_assert_ptr_eq((void *)c, (void *)h);
    c->v++;
    ad_histogram_observe_ms(h, 1);
    heap_fail(0, 0);
    ad_metrics_write(metrics, &out);
    ck_assert_uint_eq(ad_buf_len(&out), 0);
}
END_TEST

static enum ad_err use(void *ctx)
{
    (void)ctx;
    struct ad_metrics *m;
    enum ad_err err = ad_metrics_new(&m);
    if (err) {
        return err;
    }
    ad_metric_counter(m, "a", NULL, "A")->v++;
    ad_metric_counter(m, "b", NULL, "B")->v++;
    struct ad_buf text;
    ad_buf_init(&text, 1000);
    ad_metrics_write(m, &text);
    err = ad_buf_status(&text);
    ad_buf_fini(&text);
    ad_metrics_free(m);
    return err;
}

START_TEST(no_memory_at_any_place_leaks_nothing)
{
    torture(use, NULL);
    ad_metrics_free(NULL);
}
END_TEST

static Suite *suite(void)
{
    const TTest *const tests[] = {
        series_are_written_sorted_with_one_head_a_name,
        the_same_name_and_labels_give_the_same_series,
        a_histogram_counts_up_to_each_bound,
        labels_come_before_the_bound_and_help_is_escaped,
        without_memory_all_share_a_scrap_that_is_not_written,
    };
    Suite *s = suite_create("metric");
    TCase *tcase = tcase_create("metric");
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < AD_LEN(tests); i++) {
        tcase_add_test(tcase, tests[i]);
    }
    tcase_add_test_raise_signal(tcase, one_name_of_two_types_aborts, SIGABRT);
    suite_add_tcase(s, tcase);
    TCase *memory = tcase_create("memory");
    tcase_add_test(memory, no_memory_at_any_place_leaks_nothing);
    suite_add_tcase(s, memory);
    return s;
}

RUN_SUITE(suite)
