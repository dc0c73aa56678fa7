#include "api_private.h"

#include "service/changes.h"

struct ask {
    struct ad_changes_query c;
    struct ad_buf out;
    struct ad_exchange *x;
};

/* The feed never ends: there is always a cursor to come back with. One that is too old is 410, so
 * that nobody takes it for a wrong address. */
static void on_read(struct ad_service_query *q)
{
    struct ask *ask = q->data;
    if (q->err == AD_ERR_NOTFOUND) {
        ad_buf_fini(&ask->out);
        ad__api_problem_as(ask->x, 410, q->err, q->info.msg);
    } else {
        ad__api_answer(ask->x, q, 200, ask->c.next);
    }
}

static enum ad_err read_params(struct ask *ask)
{
    static const char *const known[] = { "object", "limit", "cursor", NULL };
    struct ad_changes_query *c = &ask->c;
    bool bad = false;
    int64_t limit = 100;
    enum ad_err err = ad__api_only_params(ask->x, known, &c->q.info);
    if (err) {
        return err;
    }
    c->object = ad_query_get(ask->x, "object", &bad);
    bool latest = ad_str_eq(ad_query_get(ask->x, "cursor", &bad), AD_STR("latest"));
    if (bad || (c->object.p && !ad_utf8_valid(c->object))) {
        return ad_fail(&c->q.info, AD_ERR_INVALID, "a parameter is repeated or badly escaped");
    }
    err = ad__api_number(ask->x, "limit", 1, 500, &limit, &c->q.info);
    c->limit = (unsigned)limit;
    c->after = latest ? -1 : 0;
    return err || latest ? err
                         : ad__api_number(ask->x, "cursor", 0, INT64_MAX, &c->after, &c->q.info);
}

void ad__api_changes(void *ctx, struct ad_exchange *x)
{
    struct ad_api *a = ctx;
    struct ask *ask = ad_arena_zalloc(x->arena, sizeof(*ask));
    if (!ask) {
        ad__api_problem(x, AD_ERR_NOMEM, NULL);
        return;
    }
    ad_buf_init(&ask->out, AD__API_ANSWER_MAX);
    ask->x = x;
    ask->c.q = (struct ad_service_query){ .out = &ask->out, .cb = on_read, .data = ask };
    enum ad_err err = read_params(ask);
    err = err ? err : ad_service_changes(a->o.service, &ask->c);
    if (err) {
        ask->c.q.err = err;
        ad__api_answer(x, &ask->c.q, 200, AD__API_NO_CURSOR);
    }
}
