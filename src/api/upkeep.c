#include "api_private.h"

#include "base/json_bind.h"
#include "service/backup.h"
#include "service/erase.h"

/* --- Backup --- */

static void answer_backup(struct ad_api *a, struct ad_exchange *x, unsigned status)
{
    struct ad_buf out;
    ad_buf_init(&out, AD__API_ANSWER_MAX);
    enum ad_err err = ad_service_backup_status(a->o.service, &out);
    if (err) {
        ad__api_problem(x, err, NULL);
    } else {
        ad__api_data(x, status, ad_buf_str(&out), AD__API_NO_CURSOR);
    }
    ad_buf_fini(&out);
}

void ad__api_backup_status(void *ctx, struct ad_exchange *x)
{
    answer_backup(ctx, x, 200);
}

void ad__api_backup(void *ctx, struct ad_exchange *x)
{
    static const char *const known[] = { "file", NULL };
    struct wish {
        struct ad_str file;
    } wish = { AD_STR_NONE };
    static const struct ad_json_field fields[] = {
        AD_FIELD(STR, struct wish, file, "file", AD_REQUIRED),
    };
    struct ad_api *a = ctx;
    struct ad_errinfo info = { .code = AD_OK };
    const struct ad_json *doc;
    enum ad_err err = ad__api_body(x, known, &doc, &info);
    err = err ? err : ad_json_bind(doc, fields, AD_LEN(fields), &wish, &info);
    ad__api_audit_target(x, "%.*s", AD_FMT(wish.file));
    err = err ? err : ad_service_backup_start(a->o.service, wish.file, &info);
    if (err) {
        ad__api_problem(x, err, info.msg);
        return;
    }
    answer_backup(a, x, 202);
}

/* --- After a restore --- */

struct ask {
    struct ad_service_query q;
    struct ad_buf out;
};

static void on_answer(struct ad_service_query *q)
{
    ad__api_answer(q->data, q, 202, AD__API_NO_CURSOR);
}

void ad__api_restored(void *ctx, struct ad_exchange *x)
{
    static const char *const known[] = { NULL };
    struct ad_api *a = ctx;
    struct ask *ask = ad_arena_zalloc(x->arena, sizeof(*ask));
    const struct ad_json *doc;
    if (!ask) {
        ad__api_problem(x, AD_ERR_NOMEM, NULL);
        return;
    }
    ad_buf_init(&ask->out, AD__API_ANSWER_MAX);
    ask->q = (struct ad_service_query){ .out = &ask->out, .cb = on_answer, .data = x };
    ask->q.err = ad__api_body(x, known, &doc, &ask->q.info);
    ask->q.err = ask->q.err ? ask->q.err : ad_service_restored(a->o.service, &ask->q);
    if (ask->q.err) {
        ad__api_answer(x, &ask->q, 202, AD__API_NO_CURSOR);
    }
}

/* --- Erasing --- */

struct ask_erase {
    struct ad_erase_query e;
    struct ad_buf out;
};

static void on_erased(struct ad_service_query *q)
{
    ad__api_answer(q->data, q, 200, AD__API_NO_CURSOR);
}

void ad__api_erase(void *ctx, struct ad_exchange *x)
{
    static const char *const known[] = { "object", "record_id", "force", NULL };
    static const struct ad_json_field fields[] = {
        AD_FIELD(STR, struct ad_erase_query, object, "object", AD_REQUIRED),
        AD_FIELD(STR, struct ad_erase_query, record_id, "record_id", AD_REQUIRED),
        AD_FIELD(BOOL, struct ad_erase_query, force, "force", AD_OPTIONAL),
    };
    struct ad_api *a = ctx;
    struct ask_erase *ask = ad_arena_zalloc(x->arena, sizeof(*ask));
    const struct ad_json *doc;
    if (!ask) {
        ad__api_problem(x, AD_ERR_NOMEM, NULL);
        return;
    }
    struct ad_service_query *q = &ask->e.q;
    ad_buf_init(&ask->out, AD__API_ANSWER_MAX);
    *q = (struct ad_service_query){ .out = &ask->out, .cb = on_erased, .data = x };
    enum ad_err err = ad__api_body(x, known, &doc, &q->info);
    err = err ? err : ad_json_bind(doc, fields, AD_LEN(fields), &ask->e, &q->info);
    err = err ? err : ad_service_erase(a->o.service, &ask->e);
    if (err) {
        q->err = err;
        ad__api_answer(x, q, 200, AD__API_NO_CURSOR);
    }
}
