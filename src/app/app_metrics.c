/* What the process knows about itself. The rest of the metrics belong to those whose work they
 * count. */
#include "app/app_private.h"

#include "base/metric.h"
#include "infra/log_sink.h"

#include <fcntl.h>
#include <unistd.h>

enum ad_err ad__app_open_metrics(struct ad_app *a, struct ad_errinfo *info)
{
    (void)info;
    enum ad_err err = ad_metrics_new(&a->metrics);
    if (err) {
        return err;
    }
    struct ad_metrics *m = a->metrics;
    a->lag = ad_metric_gauge(m, "attiod_loop_lag_milliseconds", NULL,
                             "Most that the event loop was late since the last scrape.");
    a->resident = ad_metric_gauge(m, "attiod_process_resident_bytes", NULL, "Resident memory.");
    a->writes_waiting = ad_metric_gauge(m, "attiod_store_writes_waiting", NULL,
                                        "Writes submitted to the database and not done.");
    a->log_dropped = ad_metric_counter(m, "attiod_log_dropped_lines_total", NULL,
                                       "Lines that nobody took in time.");
    a->reloads[false] = ad_metric_counter(m, "attiod_reloads_total", "outcome=\"refused\"",
                                          "Configurations read again on a signal, by outcome.");
    a->reloads[true] = ad_metric_counter(m, "attiod_reloads_total", "outcome=\"ok\"",
                                         "Configurations read again on a signal, by outcome.");
    ad_metric_gauge(m, "attiod_process_start_time_seconds", NULL, "Unix time of the start.")->v =
        ad_wall_ms(a->clock) / 1000;
    ad_metric_gauge(m, "attiod_build_info", "version=\"" ATTIOD_VERSION "\"", "Always 1.")->v = 1;
    ad_loop_observe_lag(
        a->loop, ad_metric_histogram(m, "attiod_loop_lag_seconds", NULL,
                                     "How late the event loop was, looked at ten times a second."));
    return AD_OK;
}

bool ad__app_close_metrics(struct ad_app *a)
{
    ad_loop_observe_lag(a->loop, NULL);
    ad_metrics_free(a->metrics);
    return true;
}

static int64_t resident_bytes(void)
{
    char text[128];
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
    if (fd >= 0) {
        (void)close(fd);
    }
    struct ad_str s = ad_str_n(text, n > 0 ? (size_t)n : 0);
    int64_t pages = 0;
    (void)ad_str_cut(&s, ' ');
    return s.p && ad_str_i64(ad_str_cut(&s, ' '), 0, INT64_MAX / 65536, &pages)
               ? pages * sysconf(_SC_PAGESIZE)
               : 0;
}

void ad__app_refresh(void *ctx)
{
    struct ad_app *a = ctx;
    a->lag->v = ad_loop_lag_ms(a->loop);
    a->resident->v = resident_bytes();
    a->writes_waiting->v = (int64_t)ad_store_pending(a->store);
    a->log_dropped->v = a->log ? ad_log_fd_dropped(a->log) : 0;
}
