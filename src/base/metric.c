#include "base/metric.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/list.h"
#include "base/mem.h"

/* Upper bounds, as they are observed and as they are written. */
static const struct {
    double ms;
    const char *le;
} buckets[] = {
    { 0.5, "0.0005" }, { 1, "0.001" },  { 2, "0.002" }, { 5, "0.005" },  { 10, "0.01" },
    { 20, "0.02" },    { 50, "0.05" },  { 100, "0.1" }, { 250, "0.25" }, { 500, "0.5" },
    { 1000, "1" },     { 2500, "2.5" }, { 5000, "5" },  { 10000, "10" }, { 30000, "30" },
};

struct ad_histogram {
    uint64_t in[AD_LEN(buckets) + 1]; /* not cumulative; the last is beyond all bounds */
    uint64_t count;
    double sum_s;
};

enum type { COUNTER, GAUGE, HISTOGRAM };

union value {
    struct ad_counter counter;
    struct ad_gauge gauge;
    struct ad_histogram histogram;
};

struct series {
    struct ad_list link; /* by name, then labels */
    enum type type;
    const char *name, *labels, *help; /* in `text` */
    union value value;
    char text[];
};

struct ad_metrics {
    struct ad_list series;
    union value scrap; /* what those get whose series found no memory; never written */
};

enum ad_err ad_metrics_new(struct ad_metrics **out)
{
    struct ad_metrics *m = ad_zalloc(sizeof(*m));
    if (!m) {
        return AD_ERR_NOMEM;
    }
    ad_list_init(&m->series);
    *out = m;
    return AD_OK;
}

void ad_metrics_free(struct ad_metrics *m)
{
    if (!m) {
        return;
    }
    AD_LIST_FOREACH_SAFE (it, &m->series) {
        ad_free(ad_container_of(it, struct series, link));
    }
    ad_free(m);
}

/* Appends a C string with its NUL to *at, and moves *at behind it. */
static const char *keep(char **at, const char *s)
{
    size_t n = strlen(s) + 1;
    char *copy = memcpy(*at, s, n);
    *at += n;
    return copy;
}

static struct series *series_new(enum type type, const char *name, const char *labels,
                                 const char *help)
{
    struct series *s = ad_zalloc(sizeof(*s) + strlen(name) + strlen(labels) + strlen(help) + 3);
    if (s) {
        char *at = s->text;
        s->type = type;
        s->name = keep(&at, name);
        s->labels = keep(&at, labels);
        s->help = keep(&at, help);
    }
    return s;
}

static union value *find_or_add(struct ad_metrics *m, enum type type, const char *name,
                                const char *labels, const char *help)
{
    struct ad_list *before = &m->series;
    labels = labels ? labels : "";
    AD_LIST_FOREACH (it, &m->series) {
        struct series *s = ad_container_of(it, struct series, link);
        int order = strcmp(s->name, name);
        AD_ASSERT(order != 0 || s->type == type);
        order = order ? order : strcmp(s->labels, labels);
        if (order == 0) {
            return &s->value;
        }
        if (order > 0) {
            before = it;
            break;
        }
    }
    struct series *s = series_new(type, name, labels, help);
    if (!s) {
        return &m->scrap;
    }
    ad_list_push(before, &s->link);
    return &s->value;
}

struct ad_counter *ad_metric_counter(struct ad_metrics *m, const char *name, const char *labels,
                                     const char *help)
{
    return &find_or_add(m, COUNTER, name, labels, help)->counter;
}

struct ad_gauge *ad_metric_gauge(struct ad_metrics *m, const char *name, const char *labels,
                                 const char *help)
{
    return &find_or_add(m, GAUGE, name, labels, help)->gauge;
}

struct ad_histogram *ad_metric_histogram(struct ad_metrics *m, const char *name, const char *labels,
                                         const char *help)
{
    return &find_or_add(m, HISTOGRAM, name, labels, help)->histogram;
}

void ad_histogram_observe_ms(struct ad_histogram *h, double ms)
{
    if (!isfinite(ms) || ms < 0) {
        return; /* one such value would spoil the sum for good */
    }
    size_t i = 0;
    while (i < AD_LEN(buckets) && ms > buckets[i].ms) {
        i++;
    }
    h->in[i]++;
    h->count++;
    h->sum_s += ms / 1000;
}

/* --- Text --- */

static void write_head(struct ad_buf *out, const struct series *s)
{
    static const char *const types[] = { "counter", "gauge", "histogram" };
    ad_buf_fmt(out, "# HELP %s ", s->name);
    for (const char *p = s->help; *p; p++) {
        if (*p == '\n') {
            ad_buf_put(out, AD_STR("\\n"));
        } else if (*p == '\\') {
            ad_buf_put(out, AD_STR("\\\\"));
        } else {
            ad_buf_putc(out, *p);
        }
    }
    ad_buf_fmt(out, "\n# TYPE %s %s\n", s->name, types[s->type]);
}

/* name_suffix{labels,le="bound"} and a blank. */
static void write_name(struct ad_buf *out, const struct series *s, const char *suffix,
                       const char *le)
{
    ad_buf_fmt(out, "%s%s", s->name, suffix);
    if (*s->labels || le) {
        ad_buf_fmt(out, "{%s", s->labels);
        if (le) {
            ad_buf_fmt(out, "%sle=\"%s\"", *s->labels ? "," : "", le);
        }
        ad_buf_putc(out, '}');
    }
    ad_buf_putc(out, ' ');
}

static void write_count(struct ad_buf *out, const struct series *s, const char *suffix,
                        const char *le, uint64_t v)
{
    write_name(out, s, suffix, le);
    ad_buf_put_u64(out, v);
    ad_buf_putc(out, '\n');
}

static void write_histogram(struct ad_buf *out, const struct series *s)
{
    const struct ad_histogram *h = &s->value.histogram;
    uint64_t up_to = 0;
    for (size_t i = 0; i < AD_LEN(buckets); i++) {
        up_to += h->in[i];
        write_count(out, s, "_bucket", buckets[i].le, up_to);
    }
    write_count(out, s, "_bucket", "+Inf", h->count);
    write_name(out, s, "_sum", NULL);
    ad_buf_fmt(out, "%.9g\n", h->sum_s);
    write_count(out, s, "_count", NULL, h->count);
}

void ad_metrics_write(const struct ad_metrics *m, struct ad_buf *out)
{
    const char *name = "";
    AD_LIST_FOREACH (it, &m->series) {
        const struct series *s = ad_container_of(it, struct series, link);
        if (strcmp(name, s->name) != 0) {
            write_head(out, s);
            name = s->name;
        }
        switch (s->type) {
        case COUNTER:
            write_count(out, s, "", NULL, s->value.counter.v);
            break;
        case GAUGE:
            write_name(out, s, "", NULL);
            ad_buf_put_i64(out, s->value.gauge.v);
            ad_buf_putc(out, '\n');
            break;
        case HISTOGRAM:
            write_histogram(out, s);
            break;
        }
    }
}
