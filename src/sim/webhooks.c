#include "webhooks.h"

#include <stdlib.h>

#include "base/mem.h"
#include "call.h"
#include "sim.h"

static const char *const event_types[] = {
    "call-recording.created",
    "comment.created",
    "comment.resolved",
    "comment.unresolved",
    "comment.deleted",
    "list.created",
    "list.updated",
    "list.deleted",
    "list-attribute.created",
    "list-attribute.updated",
    "list-entry.created",
    "list-entry.updated",
    "list-entry.deleted",
    "object-attribute.created",
    "object-attribute.updated",
    "note.created",
    "note-content.updated",
    "note.updated",
    "note.deleted",
    "record.created",
    "record.merged",
    "record.updated",
    "record.deleted",
    "task.created",
    "task.updated",
    "task.deleted",
    "workspace-member.created",
};

static const char *known_event(struct ad_str type)
{
    for (size_t i = 0; i < AD_LEN(event_types); i++) {
        if (ad_str_eq(type, ad_str_c(event_types[i]))) {
            return event_types[i];
        }
    }
    return NULL;
}

/* --- Filters on events --- */

static struct ad_str event_field(const struct ad_sim_store *s, const struct ad_sim_event *e,
                                 struct ad_str field, char room[37])
{
    const struct ad_sim_actor *actor = &s->actors[e->actor];
    if (ad_str_eq(field, AD_STR("event_type"))) {
        return ad_str_c(e->type);
    }
    if (ad_str_eq(field, AD_STR("actor.type"))) {
        return ad_str_c(actor->type);
    }
    const uint8_t *id = ad_str_eq(field, AD_STR("actor.id")) && actor->has_id ? actor->id : NULL;
    for (unsigned i = 0; i < e->n; i++) {
        id = ad_str_eq(field, ad_str_c(e->ids[i].key)) ? e->ids[i].id : id;
    }
    if (!id) {
        return AD_STR_NONE;
    }
    ad_sim_uuid_text(id, room);
    return ad_str_n(room, 36);
}

static bool cond_holds(const struct ad_sim_store *s, const struct ad_sim_webhook_cond *c,
                       const struct ad_sim_event *e)
{
    char room[37];
    struct ad_str found = event_field(s, e, ad_str_c(c->field), room);
    return (found.p && ad_str_eq_nocase(found, ad_str_c(c->value))) != c->negated;
}

static bool passes(const struct ad_sim_store *s, const struct ad_sim_subscription *sub,
                   const struct ad_sim_event *e)
{
    if (strcmp(sub->event_type, e->type) != 0) {
        return false;
    }
    if (!sub->filter) {
        return true;
    }
    for (size_t i = 0; i < sub->conds_n; i++) {
        if (cond_holds(s, &sub->conds[i], e) == sub->any) {
            return sub->any;
        }
    }
    return !sub->any;
}

static void write_event(struct ad_sim_pen *p, const struct ad_sim_store *s,
                        const struct ad_sim_event *e)
{
    bool some = false;
    AD_SIM_PUT(p, "{\"event_type\":\"");
    ad_sim_put(p, ad_str_c(e->type));
    AD_SIM_PUT(p, "\",\"id\":{");
    for (unsigned pass = 0; pass < 2; pass++) {
        for (unsigned i = 0; i < e->n; i++) {
            bool own = strncmp(e->ids[i].key, "id.", 3) == 0;
            if (own != (pass == 0)) {
                continue;
            }
            ad_sim_put(p, some || !own ? AD_STR(",\"") : AD_STR("\""));
            ad_sim_put(p, ad_str_c(e->ids[i].key + (own ? 3 : 0)));
            AD_SIM_PUT(p, "\":");
            if (e->ids[i].id) {
                ad_sim_put_uuid(p, e->ids[i].id);
            } else {
                AD_SIM_PUT(p, "null");
            }
            some = true;
        }
        if (pass == 0) {
            AD_SIM_PUT(p, "}");
        }
    }
    AD_SIM_PUT(p, ",\"actor\":");
    ad_sim_put(p, s->actors[e->actor].json);
    AD_SIM_PUT(p, "}");
}

static void deliver_event(struct ad_sim_webhook *hook, const struct ad_sim_event *e)
{
    struct ad_buf b;
    struct ad_sim_pen p;
    ad_buf_init(&b, 1 << 20);
    ad_sim_pen_init(&p, &b);
    AD_SIM_PUT(&p, "{\"webhook_id\":");
    ad_sim_put_uuid(&p, hook->id);
    AD_SIM_PUT(&p, ",\"events\":[");
    write_event(&p, hook->all->store, e);
    AD_SIM_PUT(&p, "]}");
    ad_sim_pen_done(&p);
    struct ad_sim_fate fate = ad_sim_faults_fate(hook->all->faults, ad_str_c(e->type));
    ad_sim_deliver(hook, ad_buf_str(&b), &fate);
    ad_buf_fini(&b);
}

void ad_sim_webhooks_on_event(void *ctx, const struct ad_sim_event *event)
{
    struct ad_sim_webhooks *ws = ctx;
    AD_LIST_FOREACH (it, &ws->list) {
        struct ad_sim_webhook *hook = ad_container_of(it, struct ad_sim_webhook, link);
        bool wanted = false;
        size_t n = ad_sim_webhook_is(hook, "inactive") ? 0 : hook->subscriptions_n;
        for (size_t i = 0; i < n; i++) {
            wanted = wanted || passes(ws->store, &hook->subscriptions[i], event);
        }
        if (wanted) {
            deliver_event(hook, event);
        }
    }
}

/* --- Subscriptions as they are written --- */

static void free_subscriptions(struct ad_sim_subscription *subs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < subs[i].conds_n; k++) {
            ad_free(subs[i].conds[k].field);
            ad_free(subs[i].conds[k].value);
        }
        ad_free(subs[i].filter);
        ad_free(subs[i].canonical);
    }
    ad_free(subs);
}

static int compare_conds(const void *a, const void *b)
{
    const struct ad_sim_webhook_cond *x = a;
    const struct ad_sim_webhook_cond *y = b;
    int order = strcmp(x->field, y->field);
    order = order ? order : strcmp(x->value, y->value);
    return order ? order : (int)x->negated - (int)y->negated;
}

/* Filters that differ only in the order of keys or conditions are the same. */
static char *canonical(struct ad_sim_subscription *sub)
{
    struct ad_buf b;
    ad_buf_init(&b, 1 << 20);
    ad_buf_put(&b, ad_str_c(!sub->filter ? "null" : sub->any ? "or" : "and"));
    qsort(sub->conds, sub->conds_n, sizeof(sub->conds[0]), compare_conds);
    for (size_t i = 0; i < sub->conds_n; i++) {
        ad_buf_fmt(&b, "|%s|%d|%s", sub->conds[i].field, sub->conds[i].negated,
                   sub->conds[i].value);
    }
    char *text = ad_sim_copy(ad_buf_str(&b));
    ad_buf_fini(&b);
    return text;
}

static bool parse_cond(struct ad_sim_call *c, const struct ad_json *in,
                       struct ad_sim_subscription *sub, const char *path)
{
    static const struct ad_sim_field fields[] = {
        { "field", AD_SIM_IS(STRING), true },
        { "operator", AD_SIM_IS(STRING), true },
        { "value", AD_SIM_IS(STRING), true },
    };
    struct ad_str op = ad_json_str(ad_json_get(in, "operator"));
    ad_sim_check(c, in, path, fields, AD_LEN(fields));
    bool negated = ad_str_eq(op, AD_STR("not_equals"));
    if (op.p && !negated && !ad_str_eq(op, AD_STR("equals"))) {
        ad_sim_issue(c, "equals or not_equals", "string", "%s.operator", path);
    }
    if (sub->conds_n == AD_SIM_WEBHOOK_CONDS) {
        ad_sim_issue(c, "fewer conditions", "array", "%s", path);
    }
    if (c->issues_n > 0) {
        return false;
    }
    sub->conds[sub->conds_n++] = (struct ad_sim_webhook_cond){
        .field = ad_sim_copy(ad_json_str(ad_json_get(in, "field"))),
        .value = ad_sim_copy(ad_json_str(ad_json_get(in, "value"))),
        .negated = negated,
    };
    return true;
}

/* Exactly one of {"$and":[...]} and {"$or":[...]}, no nesting; null passes everything. */
static void parse_filter(struct ad_sim_call *c, const struct ad_json *filter,
                         struct ad_sim_subscription *sub, const char *path)
{
    if (filter->type == AD_JSON_NULL) {
        return;
    }
    const struct ad_json *list =
        filter->type == AD_JSON_OBJECT && filter->count == 1 ? filter->child : NULL;
    sub->any = list && ad_str_eq(list->key, AD_STR("$or"));
    if (!list || list->type != AD_JSON_ARRAY ||
        !(sub->any || ad_str_eq(list->key, AD_STR("$and")))) {
        ad_sim_issue(c, "object", "object", "%s", path);
        return;
    }
    sub->filter = ad_sim_copy(filter->raw);
    AD_JSON_FOREACH (it, list) {
        if (!parse_cond(c, it, sub, path)) {
            return;
        }
    }
}

static void parse_subscription(struct ad_sim_call *c, const struct ad_json *in, size_t i,
                               struct ad_sim_subscription *sub)
{
    char path[64];
    struct ad_buf b;
    ad_buf_init(&b, sizeof(path));
    ad_buf_fmt(&b, "data.subscriptions.%zu", i);
    struct ad_str at = ad_arena_str(c->arena, ad_buf_str(&b));
    ad_buf_fini(&b);
    const struct ad_json *type = ad_json_get(in, "event_type");
    const struct ad_json *filter = ad_json_get(in, "filter");
    sub->event_type = known_event(ad_json_str(type));
    if (!sub->event_type) {
        ad_sim_issue(c, "one of the event types", type ? "string" : NULL, "%s.event_type", at.p);
    }
    if (!filter) {
        ad_sim_issue(c, "object", NULL, "%s.filter", at.p);
    } else {
        struct ad_str where = ad_arena_fmt(c->arena, "%s.filter", at.p);
        parse_filter(c, filter, sub, where.p);
        sub->canonical = canonical(sub);
    }
}

/* All of "subscriptions"; NULL with an error set. */
static struct ad_sim_subscription *parse_subscriptions(struct ad_sim_call *c,
                                                       const struct ad_json *list)
{
    struct ad_sim_subscription *subs = ad_sim_alloc((list->count + 1) * sizeof(*subs));
    size_t n = 0;
    AD_JSON_FOREACH (it, list) {
        parse_subscription(c, it, n, &subs[n]);
        n++;
    }
    if (ad_sim_body_ok(c)) {
        return subs;
    }
    free_subscriptions(subs, n);
    return NULL;
}

/* --- Rules across webhooks --- */

static bool same_subscription(const struct ad_sim_subscription *a,
                              const struct ad_sim_subscription *b)
{
    return strcmp(a->event_type, b->event_type) == 0 && strcmp(a->canonical, b->canonical) == 0;
}

static bool clashes(const struct ad_sim_webhooks *ws, const char *url,
                    const struct ad_sim_subscription *sub, const struct ad_sim_webhook *except)
{
    AD_LIST_FOREACH (it, &ws->list) {
        const struct ad_sim_webhook *other = ad_container_of(it, struct ad_sim_webhook, link);
        if (other == except || strcmp(other->url, url) != 0) {
            continue;
        }
        for (size_t i = 0; i < other->subscriptions_n; i++) {
            if (same_subscription(sub, &other->subscriptions[i])) {
                return true;
            }
        }
    }
    return false;
}

/* A filter may only name lists that exist. */
static bool lists_ok(const struct ad_sim_store *s, const struct ad_sim_subscription *sub)
{
    for (size_t i = 0; i < sub->conds_n; i++) {
        if (strcmp(sub->conds[i].field, "id.list_id") == 0 &&
            !(ad_str_is_uuid(ad_str_c(sub->conds[i].value)) &&
              ad_sim_list_find(s, ad_str_c(sub->conds[i].value)))) {
            return false;
        }
    }
    return true;
}

static bool rules_ok(struct ad_sim_call *c, const char *url, const struct ad_sim_subscription *subs,
                     size_t n, const struct ad_sim_webhook *except)
{
    for (size_t i = 0; i < n; i++) {
        bool twice = clashes(&c->sim->webhooks, url, &subs[i], except);
        for (size_t k = 0; k < i; k++) {
            twice = twice || same_subscription(&subs[i], &subs[k]);
        }
        if (twice) {
            ad_sim_fail(c, 409, "invalid_request_error", "uniqueness_conflict",
                        "Each subscription must have a unique combination of target URL, event "
                        "type and filter.");
            return false;
        }
        if (!lists_ok(c->store, &subs[i])) {
            ad_sim_bad(c, "validation_type", "Related list not found");
            return false;
        }
    }
    return true;
}

static void check_url(struct ad_sim_call *c, struct ad_str url)
{
    bool tls = false;
    struct ad_endpoint to;
    struct ad_str path;
    if (!ad_sim_url_parse(url, &tls, &to, &path) || !(tls || ad_endpoint_is_loopback(&to))) {
        ad_sim_issue(c, "a URL matching ^https:\\/\\/.*", "string", "data.target_url");
    }
}

/* --- Answers --- */

static void write_subscriptions(struct ad_json_writer *w, const struct ad_sim_webhook *hook)
{
    ad_json_key(w, "subscriptions");
    ad_json_arr(w);
    for (size_t i = 0; i < hook->subscriptions_n; i++) {
        ad_json_obj(w);
        ad_json_f_cstr(w, "event_type", hook->subscriptions[i].event_type);
        ad_json_key(w, "filter");
        if (hook->subscriptions[i].filter) {
            ad_json_w_raw(w, ad_str_c(hook->subscriptions[i].filter));
        } else {
            ad_json_w_null(w);
        }
        ad_json_end(w);
    }
    ad_json_end(w);
}

static void write_webhook(struct ad_json_writer *w, const struct ad_sim_webhook *hook,
                          bool with_secret)
{
    ad_json_obj(w);
    ad_json_f_cstr(w, "target_url", hook->url);
    write_subscriptions(w, hook);
    ad_json_key(w, "id");
    ad_json_obj(w);
    ad_sim_w_uuid(w, "workspace_id", hook->all->store->workspace_id);
    ad_sim_w_uuid(w, "webhook_id", hook->id);
    ad_json_end(w);
    ad_json_f_cstr(w, "status", hook->status);
    ad_json_key(w, "created_at");
    ad_json_w_time(w, hook->created_ns);
    if (with_secret) {
        ad_json_f_cstr(w, "secret", hook->secret);
    }
    ad_json_end(w);
}

static void answer(struct ad_sim_call *c, const struct ad_sim_webhook *hook, bool with_secret)
{
    struct ad_json_writer w;
    ad_sim_data_begin(c, &w);
    write_webhook(&w, hook, with_secret);
    ad_sim_data_end(c, &w);
}

void ad_sim_webhook_answer(struct ad_sim_call *c, const struct ad_sim_webhook *hook)
{
    answer(c, hook, false);
}

static struct ad_sim_webhook *find(struct ad_sim_call *c)
{
    uint8_t id[16];
    if (!ad_sim_uuid_parse(c->x->params[0], id)) {
        return NULL;
    }
    AD_LIST_FOREACH (it, &c->sim->webhooks.list) {
        struct ad_sim_webhook *hook = ad_container_of(it, struct ad_sim_webhook, link);
        if (memcmp(hook->id, id, sizeof(id)) == 0) {
            return hook;
        }
    }
    return NULL;
}

struct ad_sim_webhook *ad_sim_call_webhook(struct ad_sim_call *c)
{
    struct ad_sim_webhook *hook = find(c);
    if (!hook) {
        ad_sim_missing(c, "Webhook with ID \"%.*s\" was not found.", AD_FMT(c->x->params[0]));
    }
    return hook;
}

/* --- Routes --- */

static void make_secret(struct ad_sim_webhooks *ws, struct ad_sim_webhook *hook)
{
    uint8_t bytes[32];
    for (size_t i = 0; i < sizeof(bytes); i += 8) {
        uint64_t v = ad_rand_u64(&ws->rand);
        memcpy(bytes + i, &v, sizeof(v));
    }
    ad_hex_encode(bytes, sizeof(bytes), hook->secret);
    hook->secret[64] = '\0';
    AD_ASSERT(ad_hmac_key_new(ad_str_c(hook->secret), &hook->key) == AD_OK);
}

static struct ad_sim_webhook *add_webhook(struct ad_sim_call *c, struct ad_str url,
                                          struct ad_sim_subscription *subs, size_t n)
{
    struct ad_sim_webhooks *ws = &c->sim->webhooks;
    struct ad_sim_webhook *hook = ad_sim_alloc(sizeof(*hook));
    hook->all = ws;
    ad_sim_new_id(&ws->rand, hook->id);
    make_secret(ws, hook);
    hook->url = ad_sim_copy(url);
    hook->target = ad_sim_target_get(ws, url);
    hook->subscriptions = subs;
    hook->subscriptions_n = n;
    hook->status = "active";
    hook->created_ns = ad_sim_now(c->store);
    ad_list_push(&ws->list, &hook->link);
    return hook;
}

static void create_webhook(struct ad_sim_call *c)
{
    static const struct ad_sim_field fields[] = {
        { "data", AD_SIM_IS(OBJECT), true },
        { "data.target_url", AD_SIM_IS(STRING), true },
        { "data.subscriptions", AD_SIM_IS(ARRAY), true },
    };
    ad_sim_check(c, c->body, "", fields, AD_LEN(fields));
    struct ad_str url = ad_json_str(ad_json_path(c->body, "data.target_url"));
    const struct ad_json *list = ad_json_path(c->body, "data.subscriptions");
    if (url.p) {
        check_url(c, url);
    }
    if (!ad_sim_body_ok(c)) {
        return;
    }
    struct ad_sim_subscription *subs = parse_subscriptions(c, list);
    struct ad_str url_z = ad_arena_str(c->arena, url);
    if (!subs) {
        return;
    }
    if (!rules_ok(c, url_z.p, subs, list->count, NULL)) {
        free_subscriptions(subs, list->count);
        return;
    }
    answer(c, add_webhook(c, url, subs, list->count), true);
}

static void list_webhooks(struct ad_sim_call *c)
{
    int64_t limit = 10;
    int64_t offset = 0;
    struct ad_json_writer w;
    if (!ad_sim_paging(c, 10, 100, &limit, &offset)) {
        return;
    }
    ad_sim_data_begin(c, &w);
    ad_json_arr(&w);
    AD_LIST_FOREACH (it, &c->sim->webhooks.list) {
        if (offset-- > 0 || limit <= 0) {
            continue;
        }
        limit--;
        write_webhook(&w, ad_container_of(it, struct ad_sim_webhook, link), false);
    }
    ad_json_end(&w);
    ad_sim_data_end(c, &w);
}

static void get_webhook(struct ad_sim_call *c)
{
    struct ad_sim_webhook *hook = ad_sim_call_webhook(c);
    if (hook) {
        answer(c, hook, false);
    }
}

static void change_webhook(struct ad_sim_call *c, struct ad_sim_webhook *hook, struct ad_str url,
                           struct ad_sim_subscription *subs, size_t n)
{
    if (url.p) {
        ad_free(hook->url);
        hook->url = ad_sim_copy(url);
        hook->target = ad_sim_target_get(hook->all, url);
    }
    if (subs) {
        free_subscriptions(hook->subscriptions, hook->subscriptions_n);
        hook->subscriptions = subs;
        hook->subscriptions_n = n;
    }
    answer(c, hook, false);
}

static void patch_webhook(struct ad_sim_call *c)
{
    static const struct ad_sim_field fields[] = {
        { "data", AD_SIM_IS(OBJECT), true },
        { "data.target_url", AD_SIM_IS(STRING), false },
        { "data.subscriptions", AD_SIM_IS(ARRAY), false },
    };
    struct ad_sim_webhook *hook = ad_sim_call_webhook(c);
    if (!hook) {
        return;
    }
    ad_sim_check(c, c->body, "", fields, AD_LEN(fields));
    struct ad_str url =
        ad_arena_str(c->arena, ad_json_str(ad_json_path(c->body, "data.target_url")));
    const struct ad_json *list = ad_json_path(c->body, "data.subscriptions");
    bool has_url = ad_json_path(c->body, "data.target_url") != NULL;
    if (has_url && c->issues_n == 0) {
        check_url(c, url);
    }
    if (!ad_sim_body_ok(c)) {
        return;
    }
    struct ad_sim_subscription *subs = list ? parse_subscriptions(c, list) : NULL;
    if (list && !subs) {
        return;
    }
    size_t n = list ? list->count : hook->subscriptions_n;
    if (!rules_ok(c, has_url ? url.p : hook->url, subs ? subs : hook->subscriptions, n, hook)) {
        if (subs) {
            free_subscriptions(subs, n);
        }
        return;
    }
    change_webhook(c, hook, has_url ? url : AD_STR_NONE, subs, n);
}

void ad_sim_webhook_free(struct ad_sim_webhook *hook)
{
    ad_timer_stop(hook->all->timers, &hook->timer);
    free_subscriptions(hook->subscriptions, hook->subscriptions_n);
    ad_hmac_key_free(hook->key);
    ad_free(hook->url);
    ad_free(hook);
}

void ad_sim_webhook_delete(struct ad_sim_webhook *hook)
{
    ad_list_remove(&hook->link);
    hook->deleted = true;
    hook->pending++; /* so that the last message does not free it under our hands */
    ad_sim_deliver_stop(hook);
    if (--hook->pending == 0) {
        ad_sim_webhook_free(hook);
    }
}

static void delete_webhook(struct ad_sim_call *c)
{
    struct ad_sim_webhook *hook = find(c);
    if (!hook) {
        ad_sim_missing(c, "Webhook not found");
        return;
    }
    ad_sim_webhook_delete(hook);
    ad_buf_put(c->out, AD_STR("{}"));
}

static void write_counts(struct ad_json_writer *w, const struct ad_sim_webhook *sum)
{
    ad_json_f_i64(w, "pending", (int64_t)sum->pending);
    ad_json_f_i64(w, "delivered", (int64_t)sum->delivered);
    ad_json_f_i64(w, "failed", (int64_t)sum->failed);
    ad_json_f_i64(w, "retried", (int64_t)sum->retried);
    ad_json_f_i64(w, "lost", (int64_t)sum->lost);
}

void ad_sim_webhooks_report(const struct ad_sim_webhooks *ws, struct ad_json_writer *w)
{
    struct ad_sim_webhook sum = { 0 };
    AD_LIST_FOREACH (it, &ws->list) {
        const struct ad_sim_webhook *hook = ad_container_of(it, struct ad_sim_webhook, link);
        sum.pending += hook->pending;
        sum.delivered += hook->delivered;
        sum.failed += hook->failed;
        sum.retried += hook->retried;
        sum.lost += hook->lost;
    }
    ad_json_obj(w);
    write_counts(w, &sum);
    ad_json_key(w, "webhooks");
    ad_json_arr(w);
    AD_LIST_FOREACH (it, &ws->list) {
        const struct ad_sim_webhook *hook = ad_container_of(it, struct ad_sim_webhook, link);
        ad_json_obj(w);
        ad_sim_w_uuid(w, "webhook_id", hook->id);
        ad_json_f_cstr(w, "status", hook->status);
        write_counts(w, hook);
        ad_json_end(w);
    }
    ad_json_end(w);
    ad_json_end(w);
}

const struct ad_sim_route ad_sim_webhook_routes[] = {
    { AD_HTTP_GET, "/v2/webhooks", list_webhooks, AD_SIM_READ, false },
    { AD_HTTP_POST, "/v2/webhooks", create_webhook, AD_SIM_WRITE, true },
    { AD_HTTP_GET, "/v2/webhooks/{webhook}", get_webhook, AD_SIM_READ, false },
    { AD_HTTP_PATCH, "/v2/webhooks/{webhook}", patch_webhook, AD_SIM_WRITE, true },
    { AD_HTTP_DELETE, "/v2/webhooks/{webhook}", delete_webhook, AD_SIM_WRITE, false },
    { 0, NULL, NULL, AD_SIM_READ, false },
};
