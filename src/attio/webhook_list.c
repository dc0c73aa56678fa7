/* Which webhooks there are: those whose secret SQL holds, and those that Attio lists. */
#include "attio/account.h"

#include "attio/event.h"
#include "base/json_write.h"
#include "base/mem.h"
#include "infra/crypto.h"

#include "account_private.h"

#include <stdio.h>

/* Attio's largest page; and pages until we believe that the listing never ends. */
enum { PAGE = 100, PAGES_MAX = 50 };

static const char *const status_names[AD_WEBHOOK_STATUSES] = {
    [AD_WEBHOOK_UNCHECKED] = "unchecked",
    [AD_WEBHOOK_ACTIVE] = "active",
    [AD_WEBHOOK_DEGRADED] = "degraded",
    [AD_WEBHOOK_INACTIVE] = "inactive",
    [AD_WEBHOOK_ALTERED] = "altered",
    [AD_WEBHOOK_MISSING] = "missing",
    [AD_WEBHOOK_SECRET_UNKNOWN] = "secret_unknown",
};

const char *ad_webhook_status_name(enum ad_webhook_status s)
{
    return s < AD_WEBHOOK_STATUSES ? status_names[s] : "unchecked";
}

/* --- What we know --- */

struct ad_known_webhook *ad__webhook_known(const struct ad_account *a, struct ad_str id)
{
    AD_LIST_FOREACH (it, &a->known) {
        struct ad_known_webhook *k = ad_container_of(it, struct ad_known_webhook, link);
        if (ad_str_eq_nocase(ad_str_c(k->id), id)) {
            return k;
        }
    }
    return NULL;
}

void ad__known_free(struct ad_known_webhook *k)
{
    if (k && k->secret) {
        ad_wipe(k->secret, strlen(k->secret));
        ad_free(k->secret);
    }
    ad_free(k);
}

void ad__webhook_forget(struct ad_account *a, struct ad_known_webhook *k)
{
    ad_webhook_secrets_remove(a->secrets, ad_str_c(k->secret));
    ad_list_remove(&k->link);
    ad__known_free(k);
}

/* --- Where they may be --- */

bool ad__webhook_slot(const struct ad_account_op *op, unsigned i, char out[AD_URL_BYTES])
{
    static const char *const suffixes[] = { "", "/a", "/b" };
    if (i >= AD_LEN(suffixes)) {
        return false;
    }
    int n = snprintf(out, AD_URL_BYTES, "%.*s%s", AD_FMT(op->url), suffixes[i]);
    return n > 0 && n < AD_URL_BYTES;
}

static bool is_slot(const struct ad_account_op *op, struct ad_str target)
{
    char slot[AD_URL_BYTES];
    for (unsigned i = 0; ad__webhook_slot(op, i, slot); i++) {
        if (ad_str_eq(target, ad_str_c(slot))) {
            return true;
        }
    }
    return false;
}

static bool is_under(struct ad_str target, struct ad_str url)
{
    return ad_str_starts(target, url) && (target.n == url.n || target.p[url.n] == '/');
}

/* --- What they are subscribed to --- */

const char *ad__webhook_event(const struct ad_account_op *op, size_t i)
{
    if (op->events) {
        return op->events[i];
    }
    return i < ad_event_types_n ? ad_event_types[i].name : NULL;
}

static bool is_wanted(const struct ad_account_op *op, struct ad_str type)
{
    for (size_t i = 0; ad__webhook_event(op, i); i++) {
        if (ad_str_eq(ad_str_c(ad__webhook_event(op, i)), type)) {
            return true;
        }
    }
    return false;
}

static size_t wanted_n(const struct ad_account_op *op)
{
    size_t n = 0;
    while (ad__webhook_event(op, n)) {
        n++;
    }
    return n;
}

/* Attio lets no type come twice without filters, so equal numbers and one containing the other are
 * equal sets. */
static bool is_subscribed(const struct ad_account_op *op, const struct ad_listed_webhook *w)
{
    bool same = !w->filtered && w->events_n == wanted_n(op);
    for (size_t i = 0; same && i < w->events_n; i++) {
        same = is_wanted(op, w->events[i]);
    }
    return same;
}

enum ad_webhook_status ad__webhook_status(const struct ad_account_op *op,
                                          const struct ad_listed_webhook *w)
{
    if (ad_str_eq(w->status, AD_STR("inactive"))) {
        return AD_WEBHOOK_INACTIVE;
    }
    if (!is_subscribed(op, w)) {
        return AD_WEBHOOK_ALTERED;
    }
    return ad_str_eq(w->status, AD_STR("degraded")) ? AD_WEBHOOK_DEGRADED : AD_WEBHOOK_ACTIVE;
}

/* --- Listing --- */

static struct ad_str keep_str(struct ad_account_impl *impl, const struct ad_json *v)
{
    struct ad_str s = ad_json_str(v);
    return s.p ? ad_arena_str(&impl->keep, s) : AD_STR("");
}

/* Whoever answers null with an object without conditions means the same. */
static bool has_conditions(const struct ad_json *filter)
{
    AD_JSON_FOREACH (part, filter) {
        if (!ad_json_is(part, AD_JSON_ARRAY) || part->count > 0) {
            return true;
        }
    }
    return filter && !ad_json_is(filter, AD_JSON_NULL) && !ad_json_is(filter, AD_JSON_OBJECT);
}

static bool read_events(struct ad_account_impl *impl, const struct ad_json *subscriptions,
                        struct ad_listed_webhook *w)
{
    size_t n = subscriptions ? subscriptions->count : 0;
    w->events = ad_arena_array(&impl->keep, n + 1, sizeof(*w->events));
    if (!w->events) {
        return false;
    }
    AD_JSON_FOREACH (s, subscriptions) {
        w->filtered = w->filtered || has_conditions(ad_json_get(s, "filter"));
        w->events[w->events_n] = keep_str(impl, ad_json_get(s, "event_type"));
        if (!w->events[w->events_n++].p) {
            return false;
        }
    }
    return true;
}

enum ad_err ad__webhook_read(struct ad_account_impl *impl, const struct ad_json *v,
                             struct ad_listed_webhook **out)
{
    struct ad_str id;
    const struct ad_account *a = impl->account;
    if (!ad_json_ident(ad_json_path(v, "id.webhook_id"), &id) || !ad_str_is_uuid(id)) {
        return AD_ERR_PROTOCOL;
    }
    struct ad_listed_webhook *w = ad_arena_zalloc(&impl->keep, sizeof(*w));
    if (!w) {
        return AD_ERR_NOMEM;
    }
    w->id = ad_arena_str(&impl->keep, id);
    w->target_url = keep_str(impl, ad_json_get(v, "target_url"));
    w->status = keep_str(impl, ad_json_get(v, "status"));
    w->created_at = keep_str(impl, ad_json_get(v, "created_at"));
    if (!w->id.p || !w->target_url.p || !w->status.p || !w->created_at.p ||
        !read_events(impl, ad_json_get(v, "subscriptions"), w)) {
        return AD_ERR_NOMEM;
    }
    w->known = ad__webhook_known(a, w->id) != NULL;
    w->ours = impl->op->url.p && is_under(w->target_url, impl->op->url);
    w->in_slot = impl->op->url.p && is_slot(impl->op, w->target_url);
    w->lost = w->in_slot && !w->known && ad_str_eq(ad_str_c(a->creating), w->target_url);
    ad_list_init(&w->link);
    *out = w;
    return AD_OK;
}

void ad__account_end_with(struct ad_account_impl *impl, enum ad_err err, const char *what)
{
    impl->op->err = ad_fail(&impl->op->info, err, "%s", what);
    ad__account_finish(impl);
}

/* A list that changes between two pages may show one twice. */
static bool is_listed(const struct ad_account_impl *impl, struct ad_str id)
{
    AD_LIST_FOREACH (it, &impl->listed) {
        if (ad_str_eq(ad_container_of(it, struct ad_listed_webhook, link)->id, id)) {
            return true;
        }
    }
    return false;
}

static enum ad_err read_page(struct ad_account_impl *impl, size_t *n)
{
    const struct ad_json *data = ad_json_get(impl->doc, "data");
    if (!ad_json_is(data, AD_JSON_ARRAY)) {
        return AD_ERR_PROTOCOL;
    }
    AD_JSON_FOREACH (v, data) {
        struct ad_listed_webhook *w;
        enum ad_err err = ad__webhook_read(impl, v, &w);
        if (err) {
            return err;
        }
        if (!is_listed(impl, w->id)) {
            ad_list_push(&impl->listed, &w->link);
        }
    }
    *n = data->count;
    return AD_OK;
}

static void on_page(struct ad_account_impl *impl)
{
    size_t n = 0;
    if (ad__account_call_failed(impl)) {
        ad__account_finish(impl);
        return;
    }
    enum ad_err err = read_page(impl, &n);
    if (err) {
        ad__account_end_with(impl, err, "Attio's list of webhooks makes no sense");
    } else if (n < PAGE) {
        impl->listed_then(impl);
    } else if (impl->offset / PAGE >= PAGES_MAX) {
        ad__account_end_with(impl, AD_ERR_PROTOCOL, "Attio's list of webhooks has no end");
    } else {
        impl->offset += PAGE;
        ad__account_or_finish(impl, ad__webhooks_ask(impl));
    }
}

enum ad_err ad__webhooks_ask(struct ad_account_impl *impl)
{
    ad__account_request(impl, "GET", "/v2/webhooks");
    ad_buf_fmt(&impl->path, "/v2/webhooks?limit=%d&offset=%u", PAGE, impl->offset);
    return ad__account_send(impl, on_page);
}

/* --- For people --- */

static void write_webhook(struct ad_json_writer *w, const struct ad_listed_webhook *l)
{
    ad_json_obj(w);
    ad_json_f_str(w, "id", l->id);
    ad_json_f_str(w, "target_url", l->target_url);
    ad_json_f_str(w, "status", l->status);
    ad_json_f_str(w, "created_at", l->created_at);
    ad_json_key(w, "events");
    ad_json_arr(w);
    for (size_t i = 0; i < l->events_n; i++) {
        ad_json_w_str(w, l->events[i]);
    }
    ad_json_end(w);
    ad_json_f_bool(w, "ours", l->ours);
    ad_json_f_bool(w, "secret_known", l->known);
    ad_json_end(w);
}

static enum ad_err write_list(struct ad_account_impl *impl)
{
    struct ad_json_writer w;
    ad_json_write_init(&w, impl->op->out);
    ad_json_obj(&w);
    ad_json_key(&w, "data");
    ad_json_arr(&w);
    AD_LIST_FOREACH (it, &impl->listed) {
        write_webhook(&w, ad_container_of(it, struct ad_listed_webhook, link));
    }
    ad_json_end(&w);
    ad_json_end(&w);
    return ad_json_write_done(&w);
}

static void list_listed(struct ad_account_impl *impl)
{
    enum ad_err err = impl->op->out ? write_list(impl) : AD_OK;
    if (err) {
        ad__account_end_with(impl, err, "no room for the list of webhooks");
        return;
    }
    ad__account_finish(impl);
}

enum ad_err ad_account_webhook_list(struct ad_account *a, struct ad_account_op *op)
{
    struct ad_account_impl *impl;
    enum ad_err err = ad__account_begin(a, op, &impl);
    if (err) {
        return err;
    }
    impl->listed_then = list_listed;
    err = ad__webhooks_ask(impl);
    return err ? ad__account_drop(impl, err) : AD_OK;
}
