#include "api_private.h"

#include "base/json_write.h"
#include "service/sync.h"

struct ask {
    struct ad_service_query q;
    struct ad_buf out;
};

static void on_listed(struct ad_service_query *q)
{
    ad__api_answer(q->data, q, 200, AD__API_NO_CURSOR);
}

void ad__api_sync_list(void *ctx, struct ad_exchange *x)
{
    struct ad_api *a = ctx;
    struct ask *ask = ad_arena_zalloc(x->arena, sizeof(*ask));
    if (!ask) {
        ad__api_problem(x, AD_ERR_NOMEM, NULL);
        return;
    }
    ad_buf_init(&ask->out, AD__API_ANSWER_MAX);
    ask->q = (struct ad_service_query){ .out = &ask->out, .cb = on_listed, .data = x };
    ask->q.err = ad_service_sync_list(a->o.service, &ask->q);
    if (ask->q.err) {
        ad__api_answer(x, &ask->q, 200, AD__API_NO_CURSOR);
    }
}

/* 202 {"data": {key: value, "object": ...}}: it runs from here on; GET /api/v1/sync tells how
 * far. */
static void accepted(struct ad_exchange *x, const char *key, int64_t value, struct ad_str object)
{
    struct ad_buf b;
    struct ad_json_writer w;
    ad_buf_init(&b, 4096);
    ad_json_write_init(&w, &b);
    ad_json_obj(&w);
    ad_json_f_i64(&w, key, value);
    if (object.p) {
        ad_json_f_str(&w, "object", object);
    }
    ad_json_end(&w);
    enum ad_err err = ad_json_write_done(&w);
    if (err) {
        ad__api_problem(x, err, NULL);
    } else {
        ad__api_data(x, 202, ad_buf_str(&b), AD__API_NO_CURSOR);
    }
    ad_buf_fini(&b);
}

static enum ad_err dry_run_of(const struct ad_json *doc, bool *dry_run, struct ad_errinfo *info)
{
    const struct ad_json *v = ad_json_get(doc, "dry_run");
    return !v || ad_json_bool(v, dry_run)
               ? AD_OK
               : ad_fail(info, AD_ERR_INVALID, "dry_run: expected true or false");
}

void ad__api_sync_start(void *ctx, struct ad_exchange *x)
{
    static const char *const known[] = { "dry_run", NULL };
    struct ad_api *a = ctx;
    struct ad_errinfo info = { .code = AD_OK };
    const struct ad_json *doc;
    int64_t run_id = 0;
    struct ad_str object = x->params[0];
    bool dry_run = false;
    enum ad_err err = ad__api_body(x, known, &doc, &info);
    err = err ? err : dry_run_of(doc, &dry_run, &info);
    if (!err && !ad_utf8_valid(object)) {
        err = ad_fail(&info, AD_ERR_NOTFOUND, "there is no such object");
    }
    err = err ? err : ad_service_sync_start(a->o.service, object, dry_run, &run_id, &info);
    if (err) {
        ad__api_problem(x, err, info.msg);
    } else {
        accepted(x, "run_id", run_id, object);
    }
}

/* {"all": true} spells out what an empty POST could only mean by accident. */
void ad__api_sync_all(void *ctx, struct ad_exchange *x)
{
    static const char *const known[] = { "all", "dry_run", NULL };
    struct ad_api *a = ctx;
    struct ad_errinfo info = { .code = AD_OK };
    const struct ad_json *doc = NULL;
    unsigned runs = 0;
    bool all = false;
    bool dry_run = false;
    enum ad_err err = ad__api_body(x, known, &doc, &info);
    if (!err && (!ad_json_bool(ad_json_get(doc, "all"), &all) || !all)) {
        err = ad_fail(&info, AD_ERR_INVALID,
                      "say {\"all\": true}, or name an object: POST /api/v1/sync/people");
    }
    ad__api_audit_target(x, "all");
    err = err ? err : dry_run_of(doc, &dry_run, &info);
    err = err ? err : ad_service_sync_all(a->o.service, dry_run, &runs, &info);
    if (err) {
        ad__api_problem(x, err, info.msg);
    } else {
        accepted(x, "runs", runs, AD_STR_NONE);
    }
}
