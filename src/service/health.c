#include "service/health.h"

#include "base/json_write.h"
#include "service_private.h"

/* Health may be asked by anybody as often as they like; Attio is asked this often at most. */
#define PROBE_MS 15000
/* An answer this old says nothing about now. */
#define ATTIO_FRESH_MS 60000

bool ad_service_ready(const struct ad_service *s, const char **why)
{
    if (s->draining) {
        *why = "draining";
        return false;
    }
    if (s->o.store_failing(s->o.store_ctx)) {
        *why = "database unusable";
        return false;
    }
    *why = "ready";
    return true;
}

static void on_probed(struct ad_account_op *op)
{
    struct ad_service *s = op->data;
    s->probing = false;
    s->probe_err = op->err;
    if (s->closing) {
        ad__part_closed(s);
    }
}

static void probe(struct ad_service *s)
{
    uint64_t now = ad_mono_ms(s->o.clock);
    if (s->probing || s->closing || !ad_client_enabled(s->o.client) ||
        (s->probed_ms && now - s->probed_ms < PROBE_MS)) {
        return;
    }
    s->probe = (struct ad_account_op){ .cb = on_probed, .data = s };
    s->probing = true;
    s->probed_ms = now;
    enum ad_err err = ad_account_identify(s->o.account, &s->probe);
    if (err) {
        s->probing = false;
        s->probe_err = err;
    }
}

static const char *health_name(enum ad_health h)
{
    static const char *const names[] = { "ok", "degraded", "down" };
    return names[h];
}

static enum ad_health attio_state(struct ad_service *s, const struct ad_client_health *c)
{
    uint64_t now = ad_mono_ms(s->o.clock);
    if (!ad_client_enabled(s->o.client) || s->probe_err) {
        return AD_HEALTH_DEGRADED;
    }
    bool failing = c->last_fail_ms > c->last_ok_ms;
    bool stale = c->last_ok_ms == 0 || now - c->last_ok_ms > ATTIO_FRESH_MS;
    return failing || (stale && c->calls > 0) ? AD_HEALTH_DEGRADED : AD_HEALTH_OK;
}

static void write_attio(struct ad_service *s, struct ad_json_writer *w, enum ad_health h,
                        const struct ad_client_health *c)
{
    uint64_t now = ad_mono_ms(s->o.clock);
    ad_json_key(w, "attio");
    ad_json_obj(w);
    ad_json_f_cstr(w, "state", ad_client_enabled(s->o.client) ? health_name(h) : "disabled");
    ad_json_f_i64(w, "latency_ms", c->last_latency_ms);
    ad_json_key(w, "age_ms");
    if (c->last_ok_ms) {
        ad_json_w_u64(w, now - c->last_ok_ms);
    } else {
        ad_json_w_null(w);
    }
    if (c->last_err) {
        ad_json_f_cstr(w, "last_error", ad_err_name(c->last_err));
    }
    ad_json_end(w);
}

enum ad_health ad_service_health(struct ad_service *s, struct ad_buf *out)
{
    probe(s);
    struct ad_client_health c;
    ad_client_health(s->o.client, &c);
    bool sql = !s->o.store_failing(s->o.store_ctx);
    enum ad_health attio = attio_state(s, &c);
    enum ad_health all = sql ? attio : AD_HEALTH_DOWN;
    if (all == AD_HEALTH_OK && !ad__watch_is_well(s->watch)) {
        all = AD_HEALTH_DEGRADED;
    }
    struct ad_json_writer w;
    ad_json_write_init(&w, out);
    ad_json_obj(&w);
    ad_json_f_cstr(&w, "status", health_name(all));
    ad_json_key(&w, "dependencies");
    ad_json_obj(&w);
    ad_json_key(&w, "database");
    ad_json_obj(&w);
    ad_json_f_cstr(&w, "state", sql ? "ok" : "down");
    ad_json_f_i64(&w, "pending_events", ad_inbox_pending(s->o.inbox));
    ad_json_end(&w);
    write_attio(s, &w, attio, &c);
    ad_json_key(&w, "webhook");
    ad__watch_write(s->watch, &w);
    ad_json_end(&w);
    ad_json_end(&w);
    AD_IGNORE(ad_json_write_done(&w), "the caller sees out->failed");
    return all;
}

/* ---- status ------------------------------------------------------------------------------ */

struct status {
    struct ad_service *s;
    struct ad_service_query *q;
    struct ad_json_writer w;
    struct ad_mirror_count count;
    struct ad_timer begin;
    struct ad_list *at; /* the object being counted */
};

static void status_next(struct status *st);

static void status_end(struct status *st, enum ad_err err)
{
    struct ad_service_query *q = st->q;
    ad_json_end(&st->w);
    ad_json_end(&st->w);
    enum ad_err written = ad_json_write_done(&st->w);
    q->err = err ? err : written;
    struct ad_service *s = st->s;
    ad_free(st);
    q->cb(q);
    ad__question_end(s);
}

static void on_counted(struct ad_mirror_count *c)
{
    struct status *st = c->data;
    if (c->err) {
        st->q->info = c->info;
        status_end(st, c->err);
        return;
    }
    ad_json_key_str(&st->w, c->object->slug);
    ad_json_obj(&st->w);
    ad_json_f_str(&st->w, "object_id", c->object->id);
    ad_json_f_i64(&st->w, "live", c->live);
    ad_json_f_i64(&st->w, "deleted", c->deleted);
    ad_json_end(&st->w);
    status_next(st);
}

/* The counts are the last member, one object after the other. */
static void status_next(struct status *st)
{
    st->at = st->at ? st->at->next : ad_schema_objects(st->s->o.schema)->next;
    if (st->at == ad_schema_objects(st->s->o.schema)) {
        status_end(st, AD_OK);
        return;
    }
    st->count = (struct ad_mirror_count){
        .object = ad_container_of(st->at, struct ad_object, link),
        .cb = on_counted,
        .data = st,
    };
    enum ad_err err = ad_mirror_count(st->s->o.mirror, &st->count);
    if (err) {
        status_end(st, err);
    }
}

static void write_dispatch(struct ad_service *s, struct ad_json_writer *w)
{
    struct ad_dispatch_stats d;
    ad_dispatch_stats(s->dispatch, &d);
    ad_json_key(w, "dispatch");
    ad_json_obj(w);
    ad_json_f_i64(w, "held", (int64_t)d.held);
    ad_json_f_i64(w, "running", (int64_t)d.running);
    ad_json_f_i64(w, "subjects", (int64_t)d.lanes);
    ad_json_f_i64(w, "retrying", (int64_t)d.retrying);
    ad_json_f_bool(w, "behind", d.behind);
    ad_json_end(w);
}

static void write_client(struct ad_service *s, struct ad_json_writer *w)
{
    struct ad_client_health c;
    ad_client_health(s->o.client, &c);
    ad_json_key(w, "attio");
    ad_json_obj(w);
    ad_json_f_bool(w, "enabled", ad_client_enabled(s->o.client));
    ad_json_f_i64(w, "calls", (int64_t)c.calls);
    ad_json_f_i64(w, "in_flight", c.in_flight);
    ad_json_f_i64(w, "waiting", c.waiting);
    ad_json_f_i64(w, "window_percent", ad_client_window_percent(s->o.client));
    ad_json_end(w);
}

static void on_begin(struct ad_timer *t)
{
    status_next(ad_container_of(t, struct status, begin));
}

enum ad_err ad_service_status(struct ad_service *s, struct ad_service_query *q)
{
    if (s->closing) {
        return AD_ERR_CLOSED;
    }
    struct status *st = ad_zalloc(sizeof(*st));
    if (!st) {
        return AD_ERR_NOMEM;
    }
    st->s = s;
    st->q = q;
    struct ad_json_writer *w = &st->w;
    ad_json_write_init(w, q->out);
    ad_json_obj(w);
    const char *why;
    ad_json_f_bool(w, "ready", ad_service_ready(s, &why));
    ad_json_f_cstr(w, "readiness", why);
    ad_json_f_cstr(w, "bringup", ad__bringup_step(s->bringup));
    ad_json_f_str(w, "workspace_id", ad_account_workspace_id(s->o.account));
    ad_json_f_str(w, "workspace", ad_account_workspace_slug(s->o.account));
    ad_json_f_i64(w, "pending_events", ad_inbox_pending(s->o.inbox));
    ad_json_f_i64(w, "active_syncs", (int64_t)ad__sync_active(s->sync));
    ad_json_f_bool(w, "schema_known", ad_schema_known(s->o.schema));
    write_dispatch(s, w);
    write_client(s, w);
    ad_json_key(w, "webhook");
    ad__watch_write(s->watch, w);
    ad_json_key(w, "objects");
    ad_json_obj(w);
    ad__question_begin(s);
    ad_timer_start(s->o.timers, &st->begin, 0, on_begin); /* the callback comes later */
    return AD_OK;
}
