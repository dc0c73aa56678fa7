/* The webhook calls of attio/account.h.
 *
 * ensure, in steps:
 *
 *   list all pages -> delete what must not be at our URL -> subscriptions differ? change them
 *                                                        -> none is left? note in SQL that one is
 *                                                           about to be made, make it, store its
 *                                                           secret and drop the note
 *
 * The note is for the time between Attio's making it and our storing the secret. Whoever finds it
 * later knows that a webhook of unknown secret at this URL is our own, lost one. */
#include "attio/account.h"

#include "attio/event.h"
#include "base/json_write.h"
#include "base/log.h"
#include "base/mem.h"

#include "account_private.h"

/* Attio's largest page; and pages until we believe that the listing never ends. */
enum { PAGE = 100, PAGES_MAX = 50 };

static const struct ad_sql note_sql = {
    .sqlite = "INSERT INTO attiod_meta (key, value) VALUES ('webhook_creating', $1)"
              " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
};
static const struct ad_sql drop_note_sql = {
    .sqlite = "DELETE FROM attiod_meta WHERE key = 'webhook_creating'",
};
static const struct ad_sql insert_sql = {
    .sqlite = "INSERT INTO attiod_webhook (webhook_id, target_url, secret, created_at)"
              " VALUES ($1, $2, $3, $4)",
};
static const struct ad_sql delete_sql = {
    .sqlite = "DELETE FROM attiod_webhook WHERE webhook_id = $1",
};

/* --- What we know --- */

static struct ad_known_webhook *find_known(const struct ad_account *a, struct ad_str id)
{
    AD_LIST_FOREACH (it, &a->known) {
        struct ad_known_webhook *k = ad_container_of(it, struct ad_known_webhook, link);
        if (ad_str_eq_nocase(ad_str_c(k->id), id)) {
            return k;
        }
    }
    return NULL;
}

static void forget(struct ad_account *a, struct ad_str id)
{
    struct ad_known_webhook *k = find_known(a, id);
    if (k) {
        ad_list_remove(&k->link);
        ad_free(k);
    }
}

static bool is_under(struct ad_str target, struct ad_str url)
{
    return ad_str_starts(target, url) && (target.n == url.n || target.p[url.n] == '/');
}

/* The event types wanted, by number; NULL behind the last. */
static const char *wanted(const struct ad_account_op *op, size_t i)
{
    if (op->events) {
        return op->events[i];
    }
    return i < ad_event_types_n ? ad_event_types[i].name : NULL;
}

static bool is_wanted(const struct ad_account_op *op, struct ad_str type)
{
    for (size_t i = 0; wanted(op, i); i++) {
        if (ad_str_eq(ad_str_c(wanted(op, i)), type)) {
            return true;
        }
    }
    return false;
}

static size_t wanted_n(const struct ad_account_op *op)
{
    size_t n = 0;
    while (wanted(op, n)) {
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

/* --- Listing --- */

static struct ad_str keep_str(struct ad_account_impl *impl, const struct ad_json *v)
{
    struct ad_str s = ad_json_str(v);
    return s.p ? ad_arena_str(&impl->keep, s) : AD_STR("");
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
        const struct ad_json *filter = ad_json_get(s, "filter");
        w->filtered = w->filtered || (filter && !ad_json_is(filter, AD_JSON_NULL));
        w->events[w->events_n] = keep_str(impl, ad_json_get(s, "event_type"));
        if (!w->events[w->events_n++].p) {
            return false;
        }
    }
    return true;
}

/* One webhook of an answer onto `keep`. PROTOCOL when it has no id, NOMEM. */
static enum ad_err read_webhook(struct ad_account_impl *impl, const struct ad_json *v,
                                struct ad_listed_webhook **out)
{
    struct ad_str id;
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
    w->known = find_known(impl->account, w->id) != NULL;
    w->ours = impl->op->url.p && is_under(w->target_url, impl->op->url);
    ad_list_init(&w->link);
    *out = w;
    return AD_OK;
}

static void end_with(struct ad_account_impl *impl, enum ad_err err, const char *what)
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
        enum ad_err err = read_webhook(impl, v, &w);
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

static enum ad_err send_page(struct ad_account_impl *impl);
static void on_listed(struct ad_account_impl *impl);
static void ensure_listed(struct ad_account_impl *impl);
static void list_listed(struct ad_account_impl *impl);

static void on_page(struct ad_account_impl *impl)
{
    size_t n = 0;
    if (ad__account_call_failed(impl)) {
        ad__account_finish(impl);
        return;
    }
    enum ad_err err = read_page(impl, &n);
    if (err) {
        end_with(impl, err, "Attio's list of webhooks makes no sense");
    } else if (n < PAGE) {
        on_listed(impl);
    } else if (impl->offset / PAGE >= PAGES_MAX) {
        end_with(impl, AD_ERR_PROTOCOL, "Attio's list of webhooks has no end");
    } else {
        impl->offset += PAGE;
        ad__account_or_finish(impl, send_page(impl));
    }
}

static enum ad_err send_page(struct ad_account_impl *impl)
{
    ad__account_request(impl, "GET", "/v2/webhooks");
    ad_buf_fmt(&impl->path, "/v2/webhooks?limit=%d&offset=%u", PAGE, impl->offset);
    return ad__account_send(impl, on_page);
}

static enum ad_err begin_listing(struct ad_account *a, struct ad_account_op *op, bool ensure)
{
    struct ad_account_impl *impl;
    enum ad_err err = ad__account_begin(a, op, &impl);
    if (err) {
        return err;
    }
    impl->ensuring = ensure;
    err = send_page(impl);
    return err ? ad__account_drop(impl, err) : AD_OK;
}

static void on_listed(struct ad_account_impl *impl)
{
    if (impl->ensuring) {
        ensure_listed(impl);
    } else {
        list_listed(impl);
    }
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
        end_with(impl, err, "no room for the list of webhooks");
        return;
    }
    ad__account_finish(impl);
}

enum ad_err ad_account_webhook_list(struct ad_account *a, struct ad_account_op *op)
{
    return begin_listing(a, op, false);
}

static enum ad_err write_ensured(struct ad_account_impl *impl)
{
    struct ad_json_writer w;
    ad_json_write_init(&w, impl->op->out);
    ad_json_obj(&w);
    ad_json_key(&w, "data");
    ad_json_obj(&w);
    ad_json_f_str(&w, "id", impl->kept->id);
    ad_json_f_str(&w, "target_url", impl->op->url);
    ad_json_f_str(&w, "status", impl->kept->status);
    ad_json_f_bool(&w, "created", impl->op->created);
    ad_json_end(&w);
    ad_json_end(&w);
    return ad_json_write_done(&w);
}

static void ensured(struct ad_account_impl *impl)
{
    enum ad_err err = impl->op->out ? write_ensured(impl) : AD_OK;
    if (err) {
        end_with(impl, err, "no room for the answer");
        return;
    }
    ad__account_finish(impl);
}

/* --- Deleting --- */

/* Deleting twice and putting the same set of subscriptions twice do no more than once. */
static void may_repeat(struct ad_account_impl *impl)
{
    impl->call.reads_only = true;
}

static enum ad_err send_delete(struct ad_account_impl *impl, struct ad_str id,
                               void (*then)(struct ad_account_impl *impl))
{
    ad__account_request(impl, "DELETE", "/v2/webhooks/{webhook_id}");
    may_repeat(impl);
    ad_buf_fmt(&impl->path, "/v2/webhooks/%.*s", AD_FMT(id));
    return ad__account_send(impl, then);
}

static enum ad_err delete_row(struct ad_account_impl *impl, struct ad_str id,
                              void (*then)(struct ad_account_impl *impl))
{
    struct ad_value value = AD_V_TEXT(id);
    ad__account_sql(impl, &delete_sql, &value, 1);
    return ad__account_write(impl, then);
}

/* --- Making one --- */

static void write_subscriptions(struct ad_json_writer *w, const struct ad_account_op *op)
{
    ad_json_key(w, "subscriptions");
    ad_json_arr(w);
    for (size_t i = 0; wanted(op, i); i++) {
        ad_json_obj(w);
        ad_json_f_cstr(w, "event_type", wanted(op, i));
        ad_json_key(w, "filter");
        ad_json_w_null(w);
        ad_json_end(w);
    }
    ad_json_end(w);
}

static enum ad_err write_body(struct ad_account_impl *impl, bool with_target)
{
    struct ad_json_writer w;
    ad_json_write_init(&w, &impl->body);
    ad_json_obj(&w);
    ad_json_key(&w, "data");
    ad_json_obj(&w);
    if (with_target) {
        ad_json_f_str(&w, "target_url", impl->op->url);
    }
    write_subscriptions(&w, impl->op);
    ad_json_end(&w);
    ad_json_end(&w);
    return ad_json_write_done(&w);
}

/* The webhook whose secret could not be stored is gone again, or at least we tried; what is
 * reported is why. The note stays, so a later ensure knows what it finds. */
static void on_undone(struct ad_account_impl *impl)
{
    if (impl->call.err) {
        ad_log(AD_LOG_ERROR, "webhook_left_behind", AD_KS("webhook_id", impl->kept->id),
               AD_KE("err", impl->call.err));
    }
    ad__account_finish(impl);
}

static void on_stored(struct ad_account_impl *impl)
{
    struct ad_account *a = impl->account;
    if (ad__account_write_failed(impl)) {
        if (send_delete(impl, impl->kept->id, on_undone)) {
            ad__account_finish(impl);
        }
        return;
    }
    a->creating[0] = '\0';
    ad_list_push(&a->known, &impl->fresh->link);
    impl->fresh = NULL;
    impl->op->created = true;
    impl->op->err = ad_webhook_secrets_add(a->secrets, impl->secret);
    if (impl->op->err) {
        end_with(impl, impl->op->err, "the new webhook's secret is stored, but not in use yet");
        return;
    }
    ensured(impl);
}

static enum ad_err store_secret(struct ad_account_impl *impl)
{
    int64_t created_ns = 0;
    if (!ad_time_parse(impl->kept->created_at, &created_ns)) {
        created_ns = 0;
    }
    struct ad_value row[4] = { AD_V_TEXT(impl->kept->id), AD_V_TEXT(impl->op->url),
                               AD_V_TEXT(impl->secret), AD_V_I64(created_ns) };
    ad__account_sql(impl, &insert_sql, row, 4);
    ad__account_sql(impl, &drop_note_sql, NULL, 0);
    return ad__account_write(impl, on_stored);
}

static enum ad_err read_created(struct ad_account_impl *impl)
{
    const struct ad_json *data = ad_json_get(impl->doc, "data");
    enum ad_err err = read_webhook(impl, data, &impl->kept);
    if (err) {
        return err;
    }
    struct ad_str secret;
    if (!ad_json_ident(ad_json_get(data, "secret"), &secret) || secret.n == 0) {
        return AD_ERR_PROTOCOL;
    }
    impl->secret = ad_arena_str(&impl->keep, secret);
    (void)ad__account_copy(impl->fresh->id, sizeof(impl->fresh->id), impl->kept->id);
    return impl->secret.p ? AD_OK : AD_ERR_NOMEM;
}

static void on_created(struct ad_account_impl *impl)
{
    if (ad__account_call_failed(impl)) {
        ad__account_finish(impl);
        return;
    }
    enum ad_err err = read_created(impl);
    if (err) {
        end_with(impl, err, "Attio's answer names no id and secret of the new webhook");
        return;
    }
    ad__account_or_finish(impl, store_secret(impl));
}

static enum ad_err send_create(struct ad_account_impl *impl)
{
    ad__account_request(impl, "POST", "/v2/webhooks");
    ad_buf_put(&impl->path, AD_STR("/v2/webhooks"));
    enum ad_err err = write_body(impl, true);
    return err ? err : ad__account_send(impl, on_created);
}

static void on_noted(struct ad_account_impl *impl)
{
    struct ad_account *a = impl->account;
    if (ad__account_write_failed(impl)) {
        ad__account_finish(impl);
        return;
    }
    (void)ad__account_copy(a->creating, sizeof(a->creating), impl->op->url);
    ad__account_or_finish(impl, send_create(impl));
}

static enum ad_err create(struct ad_account_impl *impl)
{
    impl->fresh = ad_zalloc(sizeof(*impl->fresh));
    if (!impl->fresh) {
        return AD_ERR_NOMEM;
    }
    ad_list_init(&impl->fresh->link);
    struct ad_value url = AD_V_TEXT(impl->op->url);
    ad__account_sql(impl, &note_sql, &url, 1);
    return ad__account_write(impl, on_noted);
}

/* --- Ensure --- */

static void on_changed(struct ad_account_impl *impl)
{
    if (ad__account_call_failed(impl)) {
        ad__account_finish(impl);
        return;
    }
    ensured(impl);
}

static enum ad_err change(struct ad_account_impl *impl)
{
    ad__account_request(impl, "PATCH", "/v2/webhooks/{webhook_id}");
    may_repeat(impl);
    ad_buf_fmt(&impl->path, "/v2/webhooks/%.*s", AD_FMT(impl->kept->id));
    enum ad_err err = write_body(impl, false);
    return err ? err : ad__account_send(impl, on_changed);
}

/* The next one at our URL that must go: all but the one we keep. */
static struct ad_listed_webhook *next_doomed(const struct ad_account_impl *impl)
{
    AD_LIST_FOREACH (it, &impl->listed) {
        struct ad_listed_webhook *w = ad_container_of(it, struct ad_listed_webhook, link);
        if (w != impl->kept && ad_str_eq(w->target_url, impl->op->url)) {
            return w;
        }
    }
    return NULL;
}

static void ensure_next(struct ad_account_impl *impl);

static void on_doomed_forgotten(struct ad_account_impl *impl)
{
    struct ad_listed_webhook *w = next_doomed(impl);
    if (ad__account_write_failed(impl)) {
        ad__account_finish(impl);
        return;
    }
    forget(impl->account, w->id);
    ad_list_remove(&w->link);
    ensure_next(impl);
}

static void on_doomed_deleted(struct ad_account_impl *impl)
{
    if (impl->call.err != AD_ERR_NOTFOUND && ad__account_call_failed(impl)) {
        ad__account_finish(impl);
        return;
    }
    ad__account_or_finish(impl, delete_row(impl, next_doomed(impl)->id, on_doomed_forgotten));
}

static void ensure_next(struct ad_account_impl *impl)
{
    struct ad_listed_webhook *w = next_doomed(impl);
    if (w) {
        ad_log(AD_LOG_WARN, "webhook_replaced", AD_KS("webhook_id", w->id));
        ad__account_or_finish(impl, send_delete(impl, w->id, on_doomed_deleted));
    } else if (!impl->kept) {
        ad__account_or_finish(impl, create(impl));
    } else if (!is_subscribed(impl->op, impl->kept)) {
        ad__account_or_finish(impl, change(impl));
    } else {
        ensured(impl);
    }
}

/* The webhook to keep, and one at our URL that nobody knows the secret of. */
static struct ad_listed_webhook *sort_out(struct ad_account_impl *impl)
{
    struct ad_listed_webhook *unknown = NULL;
    AD_LIST_FOREACH (it, &impl->listed) {
        struct ad_listed_webhook *w = ad_container_of(it, struct ad_listed_webhook, link);
        if (!ad_str_eq(w->target_url, impl->op->url)) {
            continue;
        }
        if (!w->known) {
            unknown = w;
        } else if (!impl->kept) {
            impl->kept = w;
        }
    }
    return unknown;
}

static void ensure_listed(struct ad_account_impl *impl)
{
    const struct ad_listed_webhook *unknown = sort_out(impl);
    bool lost = ad_str_eq(ad_str_c(impl->account->creating), impl->op->url);
    if (unknown && !lost && !impl->op->replace) {
        impl->op->err = ad_fail(&impl->op->info, AD_ERR_CONFLICT,
                                "the secret of webhook %.*s at our URL is not known here: "
                                "`webhooks ensure --replace` makes it anew",
                                AD_FMT(unknown->id));
        ad__account_finish(impl);
        return;
    }
    ensure_next(impl);
}

enum ad_err ad_account_webhook_ensure(struct ad_account *a, struct ad_account_op *op)
{
    if (op->url.n == 0 || op->url.n >= AD_URL_BYTES) {
        return AD_ERR_INVALID;
    }
    return begin_listing(a, op, true);
}

/* --- Delete --- */

/* Reports what the call to Attio said, unless the row could not be deleted. */
static void on_row_deleted(struct ad_account_impl *impl)
{
    enum ad_err said = impl->call.err;
    if (!ad__account_write_failed(impl)) {
        forget(impl->account, impl->op->id);
        impl->op->err = said;
        impl->op->info = impl->call.info;
    }
    ad__account_finish(impl);
}

static void on_deleted(struct ad_account_impl *impl)
{
    if (ad__account_call_failed(impl) && impl->call.err != AD_ERR_NOTFOUND) {
        ad__account_finish(impl);
        return;
    }
    ad__account_or_finish(impl, delete_row(impl, impl->op->id, on_row_deleted));
}

static void on_got(struct ad_account_impl *impl)
{
    struct ad_listed_webhook *w;
    if (impl->call.err) {
        on_deleted(impl); /* not there: only our row is left to delete; anything else: fails */
        return;
    }
    enum ad_err err = read_webhook(impl, ad_json_get(impl->doc, "data"), &w);
    if (err) {
        end_with(impl, err, "Attio's answer makes no sense");
    } else if (!w->ours) {
        end_with(impl, AD_ERR_FORBIDDEN, "that webhook leads elsewhere and is not ours");
    } else {
        ad__account_or_finish(impl, send_delete(impl, impl->op->id, on_deleted));
    }
}

enum ad_err ad_account_webhook_delete(struct ad_account *a, struct ad_account_op *op)
{
    struct ad_account_impl *impl;
    if (op->url.n == 0 || !ad_str_is_uuid(op->id)) {
        return AD_ERR_INVALID;
    }
    enum ad_err err = ad__account_begin(a, op, &impl);
    if (err) {
        return err;
    }
    ad__account_request(impl, "GET", "/v2/webhooks/{webhook_id}");
    ad_buf_fmt(&impl->path, "/v2/webhooks/%.*s", AD_FMT(op->id));
    err = ad__account_send(impl, on_got);
    return err ? ad__account_drop(impl, err) : AD_OK;
}
