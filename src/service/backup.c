#include "service/backup.h"

#include "attio/backup.h"
#include "base/json_write.h"
#include "service_private.h"

#define PATH_BYTES 4096

struct ad_backups {
    struct ad_service *s;
    struct ad_backup b;
    bool running, any;
    int64_t started_ns, finished_ns;
    char path[PATH_BYTES];
    void (*done)(void *ctx); /* closing waits for the end of a running one */
    void *done_ctx;
    struct ad_counter *c_done, *c_failed;
    struct ad_gauge *g_last;
};

static void finish_close(struct ad_backups *k)
{
    void (*done)(void *ctx) = k->done;
    void *ctx = k->done_ctx;
    ad_free(k);
    done(ctx);
}

static void on_copied(struct ad_backup *b)
{
    struct ad_backups *k = b->data;
    k->running = false;
    k->finished_ns = ad_wall_ns(k->s->o.clock);
    if (b->err) {
        k->c_failed->v++;
        ad_log(AD_LOG_ERROR, "backup_failed", AD_KE("error", b->err), AD_KC("detail", b->info.msg));
    } else {
        k->c_done->v++;
        k->g_last->v = k->finished_ns / AD_NS_PER_S;
        ad_log(AD_LOG_INFO, "backup_done", AD_KI("bytes", b->bytes),
               AD_KI("ms", (k->finished_ns - k->started_ns) / AD_NS_PER_MS));
    }
    if (k->done) {
        finish_close(k);
    }
}

enum ad_err ad_service_backup_start(struct ad_service *s, struct ad_str path,
                                    struct ad_errinfo *info)
{
    struct ad_backups *k = s->backups;
    if (s->closing) {
        return ad_fail(info, AD_ERR_CLOSED, "closing");
    }
    if (k->running) {
        return ad_fail(info, AD_ERR_BUSY, "a backup is under way");
    }
    if (path.n == 0 || path.n >= sizeof(k->path) || memchr(path.p, '\0', path.n)) {
        return ad_fail(info, AD_ERR_INVALID, "the backup file must be an absolute path");
    }
    memcpy(k->path, path.p, path.n);
    k->path[path.n] = '\0';
    k->b = (struct ad_backup){ .path = k->path, .cb = on_copied, .data = k };
    enum ad_err err = ad_backup_start(s->o.store, &k->b);
    if (err) {
        k->b.err = err;
        return ad_fail(info, err, "%s", k->b.info.msg);
    }
    k->running = k->any = true;
    k->started_ns = ad_wall_ns(s->o.clock);
    k->finished_ns = 0;
    return AD_OK;
}

static void write_time(struct ad_json_writer *w, const char *key, int64_t ns)
{
    char text[AD_TIME_MAX];
    if (ns) {
        ad_time_format(ns, 3, text);
    }
    ad_json_f_cstr(w, key, ns ? text : NULL);
}

enum ad_err ad_service_backup_status(struct ad_service *s, struct ad_buf *out)
{
    const struct ad_backups *k = s->backups;
    const char *state = !k->any ? "none" : k->running ? "running" : k->b.err ? "failed" : "done";
    unsigned done;
    unsigned all;
    struct ad_json_writer w;
    ad_backup_progress(&k->b, &done, &all);
    ad_json_write_init(&w, out);
    ad_json_obj(&w);
    ad_json_f_cstr(&w, "state", state);
    ad_json_f_cstr(&w, "file", k->any ? k->path : NULL);
    ad_json_f_i64(&w, "pages", all);
    ad_json_f_i64(&w, "pages_done", done);
    ad_json_f_i64(&w, "bytes", (int64_t)k->b.bytes);
    write_time(&w, "started_at", k->started_ns);
    write_time(&w, "finished_at", k->finished_ns);
    bool failed = k->any && !k->running && k->b.err;
    ad_json_f_cstr(&w, "code", failed ? ad_err_name(k->b.err) : NULL);
    ad_json_f_cstr(&w, "error", failed ? k->b.info.msg : NULL);
    ad_json_end(&w);
    return ad_json_write_done(&w);
}

enum ad_err ad__backups_open(struct ad_service *s, struct ad_backups **out)
{
    struct ad_backups *k = ad_zalloc(sizeof(*k));
    if (!k) {
        return AD_ERR_NOMEM;
    }
    k->s = s;
    struct ad_metrics *m = s->o.metrics;
    k->c_done = ad_metric_counter(m, "attiod_backups_total", "outcome=\"done\"",
                                  "Backups of the database.");
    k->c_failed = ad_metric_counter(m, "attiod_backups_total", "outcome=\"failed\"",
                                    "Backups of the database.");
    k->g_last = ad_metric_gauge(m, "attiod_backup_last_timestamp_seconds", NULL,
                                "When this process last made a backup, 0: never.");
    *out = k;
    return AD_OK;
}

void ad__backups_close(struct ad_backups *k, void (*done)(void *ctx), void *ctx)
{
    k->done = done;
    k->done_ctx = ctx;
    if (k->running) {
        ad_backup_cancel(&k->b);
    } else {
        finish_close(k);
    }
}
