#include "attio/audit.h"

#include "base/json_write.h"
#include "base/log.h"
#include "base/mem.h"
#include "infra/store.h"

#include <string.h>

/* Long enough for two UUIDs and a filter. */
#define TARGET_MAX 192
#define WORD_MAX 72

struct ad_audit {
    struct ad_audit_opts o;
};

enum ad_err ad_audit_open(const struct ad_audit_opts *opts, struct ad_audit **out)
{
    struct ad_audit *a = ad_zalloc(sizeof(*a));
    if (!a) {
        return AD_ERR_NOMEM;
    }
    a->o = *opts;
    *out = a;
    return AD_OK;
}

void ad_audit_close(struct ad_audit *a)
{
    ad_free(a);
}

/* --- Writing ------------------------------------------------------------------------------ */

static const struct ad_sql begin_sql = {
    .sqlite = "INSERT INTO attiod_audit (at, actor, action, target, outcome, ended_at)"
              " VALUES ($1, $2, $3, $4, $5, $6)",
};
static const struct ad_sql end_sql = {
    .sqlite = "UPDATE attiod_audit SET outcome = $2, ended_at = $3, target = coalesce($4, target)"
              " WHERE id = $1",
};
static const struct ad_sql prune_sql = {
    .sqlite = "DELETE FROM attiod_audit WHERE id IN"
              " (SELECT id FROM attiod_audit WHERE at < $1 ORDER BY id LIMIT 20)",
};

enum { VALUES_MAX = 6 };

/* One write of ours. Its words are copied, so that whoever asked may go. */
struct work {
    struct ad_audit_entry *e; /* NULL: nobody waits */
    char actor[WORD_MAX], action[WORD_MAX], outcome[WORD_MAX], target[TARGET_MAX];
    struct ad_value values[VALUES_MAX], limit;
    struct ad_step steps[2];
    struct ad_store_req req;
};

static struct ad_str keep(char *to, size_t size, struct ad_str s)
{
    size_t n = s.n < size ? s.n : size;
    if (n && s.p) {
        memcpy(to, s.p, n);
    }
    return ad_str_n(s.p ? to : NULL, n);
}

static bool is_plain(struct ad_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              (c && strchr(" ._:,=*-/", c)))) {
            return false;
        }
    }
    return s.n <= TARGET_MAX;
}

static struct ad_str clean(struct ad_str target)
{
    return is_plain(target) ? target : AD_STR("?");
}

static void on_written(struct ad_store_req *req)
{
    struct work *w = ad_container_of(req, struct work, req);
    struct ad_audit_entry *e = w->e;
    if (e) {
        e->err = req->err;
        e->info = req->info;
        e->id = w->steps[0].id;
        e->impl = NULL;
    } else if (req->err) {
        ad_log(AD_LOG_ERROR, "audit_write_failed", AD_KE("error", req->err),
               AD_KC("detail", req->info.msg));
    }
    ad_free(w);
    if (e) {
        e->cb(e);
    }
}

static enum ad_err submit(struct ad_audit *a, struct work *w, unsigned steps_n)
{
    w->req = (struct ad_store_req){
        .steps = w->steps, .steps_n = steps_n, .cls = AD_STORE_NORMAL, .cb = on_written
    };
    enum ad_err err = ad_store_write(a->o.store, &w->req);
    if (err) {
        ad_free(w);
    }
    return err;
}

static enum ad_err insert(struct ad_audit *a, const struct ad_audit_entry *from,
                          struct ad_audit_entry *waits, const char *outcome)
{
    struct work *w = ad_zalloc(sizeof(*w));
    if (!w) {
        return AD_ERR_NOMEM;
    }
    int64_t now = ad_wall_ns(a->o.clock);
    w->e = waits;
    w->values[0] = AD_V_I64(now);
    w->values[1] = AD_V_TEXT(keep(w->actor, sizeof(w->actor), from->actor));
    w->values[2] = AD_V_TEXT(keep(w->action, sizeof(w->action), from->action));
    w->values[3] = AD_V_TEXT(keep(w->target, sizeof(w->target), clean(from->target)));
    w->values[4] = AD_V_TEXT(keep(w->outcome, sizeof(w->outcome), ad_str_c(outcome)));
    w->values[5] = waits ? AD_V_NULL : AD_V_I64(now);
    w->limit = AD_V_I64(now - a->o.keep_ms * AD_NS_PER_MS);
    w->steps[0] =
        (struct ad_step){ .sql = &begin_sql, .values = w->values, .values_n = VALUES_MAX };
    w->steps[1] = (struct ad_step){ .sql = &prune_sql, .values = &w->limit, .values_n = 1 };
    return submit(a, w, 2);
}

enum ad_err ad_audit_begin(struct ad_audit *a, struct ad_audit_entry *e)
{
    enum ad_err err = insert(a, e, e, "started");
    return err ? ad_fail(&e->info, err, "%s", ad_err_text(err)) : AD_OK;
}

static void log_end(const struct ad_audit_entry *e, struct ad_str target, const char *outcome)
{
    ad_log(AD_LOG_INFO, "audit", AD_KI("id", e->id), AD_KS("actor", e->actor),
           AD_KS("action", e->action), AD_KS("target", clean(target)), AD_KC("outcome", outcome));
}

void ad_audit_end(struct ad_audit *a, const struct ad_audit_entry *e, const char *outcome,
                  struct ad_str target)
{
    log_end(e, target.p ? target : e->target, outcome);
    struct work *w = ad_zalloc(sizeof(*w));
    enum ad_err err = w ? AD_OK : AD_ERR_NOMEM;
    if (w) {
        w->values[0] = AD_V_I64(e->id);
        w->values[1] = AD_V_TEXT(keep(w->outcome, sizeof(w->outcome), ad_str_c(outcome)));
        w->values[2] = AD_V_I64(ad_wall_ns(a->o.clock));
        w->values[3] = AD_V_TEXT(keep(w->target, sizeof(w->target), clean(target)));
        w->values[3] = target.p ? w->values[3] : AD_V_NULL;
        w->steps[0] = (struct ad_step){ .sql = &end_sql, .values = w->values, .values_n = 4 };
        err = submit(a, w, 1);
    }
    if (err) {
        ad_log(AD_LOG_ERROR, "audit_write_failed", AD_KE("error", err), AD_KI("id", e->id));
    }
}

void ad_audit_note(struct ad_audit *a, struct ad_str actor, struct ad_str action,
                   struct ad_str target, const char *outcome)
{
    const struct ad_audit_entry e = { .actor = actor, .action = action, .target = target };
    log_end(&e, target, outcome);
    enum ad_err err = insert(a, &e, NULL, outcome);
    if (err) {
        ad_log(AD_LOG_ERROR, "audit_write_failed", AD_KE("error", err), AD_KS("action", action));
    }
}

/* --- Listing ------------------------------------------------------------------------------ */

enum { COL_ID, COL_AT, COL_ACTOR, COL_ACTION, COL_TARGET, COL_OUTCOME, COL_ENDED_AT };

static const struct ad_sql list_sql = {
    .sqlite = "SELECT id, at, actor, action, target, outcome, ended_at FROM attiod_audit"
              " WHERE id < $1 AND ($2 IS NULL OR actor = $2) AND ($3 IS NULL OR action = $3)"
              " ORDER BY id DESC LIMIT $4",
};

struct listing {
    struct ad_audit_query *q;
    unsigned limit;
    struct ad_value values[4];
    struct ad_step step;
    struct ad_store_req req;
};

static void write_time(struct ad_json_writer *w, const char *key, const struct ad_value *v)
{
    ad_json_key(w, key);
    if (v->type == AD_VALUE_I64) {
        ad_json_w_time(w, v->i64);
    } else {
        ad_json_w_null(w);
    }
}

static void write_text(struct ad_json_writer *w, const char *key, const struct ad_value *v)
{
    ad_json_f_str(w, key, v->type == AD_VALUE_TEXT ? v->str : AD_STR_NONE);
}

static enum ad_err write_entries(struct ad_buf *out, const struct ad_rows *rows, size_t n)
{
    struct ad_json_writer w;
    ad_json_write_init(&w, out);
    ad_json_arr(&w);
    for (size_t i = 0; i < n; i++) {
        const struct ad_value *v = ad_row(rows, i);
        ad_json_obj(&w);
        ad_json_f_i64(&w, "id", v[COL_ID].i64);
        write_time(&w, "at", &v[COL_AT]);
        write_text(&w, "actor", &v[COL_ACTOR]);
        write_text(&w, "action", &v[COL_ACTION]);
        write_text(&w, "target", &v[COL_TARGET]);
        write_text(&w, "outcome", &v[COL_OUTCOME]);
        write_time(&w, "ended_at", &v[COL_ENDED_AT]);
        ad_json_end(&w);
    }
    ad_json_end(&w);
    return ad_json_write_done(&w);
}

static void on_listed(struct ad_store_req *req)
{
    struct listing *w = ad_container_of(req, struct listing, req);
    struct ad_audit_query *q = w->q;
    size_t n = req->rows.rows < w->limit ? req->rows.rows : w->limit;
    q->err = req->err;
    q->info = req->info;
    if (!q->err) {
        q->next_before = req->rows.rows > n ? ad_row(&req->rows, n - 1)[COL_ID].i64 : 0;
        q->err = q->info.code = write_entries(q->out, &req->rows, n);
    }
    q->impl = NULL;
    ad_free(w);
    q->cb(q);
}

enum ad_err ad_audit_list(struct ad_audit *a, struct ad_audit_query *q)
{
    struct listing *w = ad_zalloc(sizeof(*w));
    if (!w) {
        return ad_fail(&q->info, AD_ERR_NOMEM, "no memory to list the audit log");
    }
    w->q = q;
    w->limit = q->limit ? q->limit : 50;
    w->values[0] = AD_V_I64(q->before ? q->before : INT64_MAX);
    w->values[1] = AD_V_TEXT(q->actor);
    w->values[2] = AD_V_TEXT(q->action);
    w->values[3] = AD_V_I64((int64_t)w->limit + 1);
    w->step = (struct ad_step){ .sql = &list_sql, .values = w->values, .values_n = 4 };
    w->req = (struct ad_store_req){ .steps = &w->step, .steps_n = 1, .cb = on_listed };
    enum ad_err err = ad_store_read(a->o.store, &w->req);
    if (err) {
        ad_free(w);
        return ad_fail(&q->info, err, "%s", ad_err_text(err));
    }
    return AD_OK;
}
