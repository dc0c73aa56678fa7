#include "attio/version.h"
#include "base/json_write.h"
#include "service/backup.h"
#include "service_private.h"

static const char why[] = "the database was restored from a backup";

struct work {
    struct ad_versions_leap leap;
    struct ad_gap gap;
    struct ad_service *s;
    struct ad_service_query *q;
};

static void end(struct work *k, enum ad_err err, const struct ad_errinfo *info)
{
    struct ad_service *s = k->s;
    struct ad_service_query *q = k->q;
    q->err = err;
    q->info = *info;
    ad_free(k);
    q->cb(q);
    ad__question_end(s);
}

static enum ad_err write_gap(struct ad_buf *out)
{
    struct ad_json_writer w;
    ad_json_write_init(&w, out);
    ad_json_obj(&w);
    ad_json_f_cstr(&w, "gap", why);
    ad_json_end(&w);
    return ad_json_write_done(&w);
}

/* Durable: from here on a crash costs nothing. */
static void on_noted(struct ad_gap *g)
{
    struct work *k = g->data;
    struct ad_service *s = k->s;
    enum ad_err err = g->err;
    if (!err) {
        ad_log(AD_LOG_WARN, "restored", AD_KC("effect", "everything will be synced"));
        err = write_gap(k->q->out);
        if (!s->closing) { /* else the next start finds it */
            ad__watch_look(s->watch);
        }
    }
    end(k, err, &g->info);
}

static void on_leapt(struct ad_versions_leap *leap)
{
    struct work *k = leap->data;
    if (leap->err) {
        end(k, leap->err, &leap->info);
        return;
    }
    k->gap = (struct ad_gap){
        .note = why,
        .now_ns = ad_wall_ns(k->s->o.clock),
        .cb = on_noted,
        .data = k,
    };
    enum ad_err err = ad_gap_look(k->s->o.store, &k->gap);
    if (err) {
        end(k, err, &k->gap.info);
    }
}

enum ad_err ad_service_restored(struct ad_service *s, struct ad_service_query *q)
{
    if (s->closing) {
        return ad_fail(&q->info, AD_ERR_CLOSED, "closing");
    }
    struct work *k = ad_zalloc(sizeof(*k));
    if (!k) {
        return ad_fail(&q->info, AD_ERR_NOMEM, "no memory");
    }
    k->s = s;
    k->q = q;
    k->leap = (struct ad_versions_leap){ .cb = on_leapt, .data = k };
    enum ad_err err = ad_versions_leap(s->o.versions, &k->leap);
    if (err) {
        ad_free(k);
        return ad_fail(&q->info, err, "%s", ad_err_text(err));
    }
    ad__question_begin(s);
    return AD_OK;
}
