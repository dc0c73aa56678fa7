/* Counters, gauges and histograms, and their Prometheus text.
 *
 * A set owns its series; a series is a name and at most one fixed label value set, registered once
 * at open (so label sets are bounded) and then touched through a pointer: an increment is one
 * addition. Loop thread only. Names follow attiod_<thing>_<unit>[_total]. Registering the same name
 * and labels again gives the same series. Without memory the set hands out one shared scrap series,
 * so callers never check. One name with two types is our bug (AD_ASSERT). */
#ifndef AD_BASE_METRIC_H
#define AD_BASE_METRIC_H

#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"

struct ad_metrics;

struct ad_counter {
    uint64_t v;
};

struct ad_gauge {
    int64_t v;
};

struct ad_histogram; /* upper bounds in seconds, fixed at registration */

AD_MUST_CHECK enum ad_err ad_metrics_new(struct ad_metrics **out);
void ad_metrics_free(struct ad_metrics *m);

/* `labels` is NULL or ready text such as `outcome="accepted"`; name, help and labels are copied. */
struct ad_counter *ad_metric_counter(struct ad_metrics *m, const char *name, const char *labels,
                                     const char *help);
struct ad_gauge *ad_metric_gauge(struct ad_metrics *m, const char *name, const char *labels,
                                 const char *help);
struct ad_histogram *ad_metric_histogram(struct ad_metrics *m, const char *name, const char *labels,
                                         const char *help);
/* Milliseconds in, seconds out. Buckets 0.5 1 2 5 10 20 50 100 250 500 1000 2500 5000 10000 30000
 * ms. */
void ad_histogram_observe_ms(struct ad_histogram *h, double ms);

/* Appends all series in the text exposition format 0.0.4, sorted by name. */
void ad_metrics_write(const struct ad_metrics *m, struct ad_buf *out);

#endif
