/* Changing our webhook at Attio: the calls of attio/account.h but the list.
 *
 * ensure and rotate look at the list and then do the first of these that is due, again and again:
 *
 *   one made by us, its secret lost with a crash: delete
 *   none that may stay, or rotating: note in SQL that one is about to be made (and the gap, if there
 *     may be one), make it in a free slot, store its secret and drop the note, accept its secret
 *   others in our slots: delete there, retire here (of a rotation after a while, in which the old one
 *     may deliver what it has under way)
 *   other subscriptions: change them
 *   stored ones that Attio does not list: retire; retired long enough: forget
 *
 * So a new one is there before an old one goes, and whatever step we are stopped in, the next look
 * finds what is left to do. The note is for the time between Attio's making one and our storing its
 * secret: whoever finds it knows that a webhook of unknown secret in that slot is our own, lost
 * one. */
#include "attio/account.h"

#include "base/json_write.h"
#include "base/log.h"
#include "base/mem.h"

#include "account_private.h"
#include "client_private.h"
#include "gap_private.h"

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
static const struct ad_sql retire_sql = {
    .sqlite = "UPDATE attiod_webhook SET retired_at = $2"
              " WHERE webhook_id = $1 AND retired_at IS NULL",
};
static const struct ad_sql expire_sql = {
    .sqlite = "DELETE FROM attiod_webhook WHERE retired_at < $1",
};
static const struct ad_sql delete_sql = {
    .sqlite = "DELETE FROM attiod_webhook WHERE webhook_id = $1",
};

/* Why there may be a gap, by how the webhook was found. */
static const char *const gaps[AD_WEBHOOK_STATUSES] = {
    [AD_WEBHOOK_DEGRADED] = "the webhook was degraded: deliveries were given up",
    [AD_WEBHOOK_INACTIVE] = "the webhook was inactive",
    [AD_WEBHOOK_ALTERED] = "the webhook had other subscriptions",
    [AD_WEBHOOK_MISSING] = "the webhook was missing",
    [AD_WEBHOOK_SECRET_UNKNOWN] = "the webhook's secret was not known",
};

static void next(struct ad_account_impl *impl);

static int64_t now_ns(const struct ad_account_impl *impl)
{
    return ad_wall_ns(impl->account->client->opts.clock);
}

/* With a webhook go the deliveries that it would have repeated: also when it was well. */
static void add_gap(struct ad_account_impl *impl)
{
    static const char rotated[] = "the webhook was rotated: what it had yet to repeat is gone";
    const char *why = gaps[impl->op->found] ? gaps[impl->op->found] : impl->rotate ? rotated : NULL;
    if (why) {
        struct ad_value value = AD_V_TEXT(ad_str_c(why));
        ad__account_sql(impl, &ad__gap_unarm_sql, NULL, 0);
        ad__account_sql(impl, &ad__gap_note_sql, &value, 1);
    }
}

/* --- The end --- */

static enum ad_err write_ensured(struct ad_account_impl *impl)
{
    struct ad_json_writer w;
    ad_json_write_init(&w, impl->op->out);
    ad_json_obj(&w);
    ad_json_key(&w, "data");
    ad_json_obj(&w);
    ad_json_f_str(&w, "id", impl->kept->id);
    ad_json_f_str(&w, "target_url", impl->kept->target_url);
    ad_json_f_str(&w, "status", impl->kept->status);
    ad_json_f_bool(&w, "created", impl->op->created);
    ad_json_f_cstr(&w, "found", ad_webhook_status_name(impl->op->found));
    ad_json_end(&w);
    ad_json_end(&w);
    return ad_json_write_done(&w);
}

static void ensured(struct ad_account_impl *impl)
{
    AD_ASSERT(impl->kept);
    enum ad_err err = impl->op->out ? write_ensured(impl) : AD_OK;
    impl->op->status =
        impl->op->created ? AD_WEBHOOK_ACTIVE : ad__webhook_status(impl->op, impl->kept);
    if (err) {
        ad__account_end_with(impl, err, "no room for the answer");
        return;
    }
    ad__account_finish(impl);
}

/* --- Deleting there, retiring here --- */

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

static void note_retired(struct ad_account_impl *impl, struct ad_str id)
{
    struct ad_known_webhook *k = ad__webhook_known(impl->account, id);
    if (k && !k->retired_ns) {
        k->retired_ns = now_ns(impl);
        ad_log(AD_LOG_INFO, "webhook_retired", AD_KS("webhook_id", id));
    }
}

static enum ad_err retire(struct ad_account_impl *impl, struct ad_str id, bool drop_note,
                          void (*then)(struct ad_account_impl *impl))
{
    struct ad_value values[2] = { AD_V_TEXT(id), AD_V_I64(now_ns(impl)) };
    ad__account_sql(impl, &retire_sql, values, 2);
    if (drop_note) {
        ad__account_sql(impl, &drop_note_sql, NULL, 0);
    }
    return ad__account_write(impl, then);
}

static void on_doomed_retired(struct ad_account_impl *impl)
{
    struct ad_listed_webhook *w = impl->doomed;
    if (ad__account_write_failed(impl)) {
        ad__account_finish(impl);
        return;
    }
    note_retired(impl, w->id);
    if (w->lost) {
        impl->account->creating[0] = '\0';
    }
    w->gone = true;
    next(impl);
}

static void on_doomed_deleted(struct ad_account_impl *impl)
{
    struct ad_listed_webhook *w = impl->doomed;
    if (impl->call.err != AD_ERR_NOTFOUND && ad__account_call_failed(impl)) {
        ad__account_finish(impl);
        return;
    }
    ad__account_or_finish(impl, retire(impl, w->id, w->lost, on_doomed_retired));
}

static enum ad_err doom(struct ad_account_impl *impl, struct ad_listed_webhook *w)
{
    impl->doomed = w;
    ad_log(AD_LOG_INFO, "webhook_deleted", AD_KS("webhook_id", w->id),
           AD_KB("secret_known", w->known));
    return send_delete(impl, w->id, on_doomed_deleted);
}

/* --- Making one --- */

static void write_subscriptions(struct ad_json_writer *w, const struct ad_account_op *op)
{
    ad_json_key(w, "subscriptions");
    ad_json_arr(w);
    for (size_t i = 0; ad__webhook_event(op, i); i++) {
        ad_json_obj(w);
        ad_json_f_cstr(w, "event_type", ad__webhook_event(op, i));
        ad_json_key(w, "filter");
        ad_json_w_null(w);
        ad_json_end(w);
    }
    ad_json_end(w);
}

static enum ad_err write_body(struct ad_account_impl *impl, const char *target)
{
    struct ad_json_writer w;
    ad_json_write_init(&w, &impl->body);
    ad_json_obj(&w);
    ad_json_key(&w, "data");
    ad_json_obj(&w);
    if (target) {
        ad_json_f_cstr(&w, "target_url", target);
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

static void on_overlap(struct ad_timer *timer)
{
    next(ad_container_of(timer, struct ad_account_impl, timer));
}

static void on_stored(struct ad_account_impl *impl)
{
    struct ad_account *a = impl->account;
    if (ad__account_write_failed(impl)) {
        ad_webhook_secrets_remove(a->secrets, ad_str_c(impl->fresh->secret));
        if (send_delete(impl, impl->kept->id, on_undone)) {
            ad__account_finish(impl);
        }
        return;
    }
    a->creating[0] = '\0';
    ad_list_push(&a->known, &impl->fresh->link);
    impl->fresh = NULL;
    impl->op->created = true;
    ad_log(AD_LOG_INFO, "webhook_made", AD_KS("webhook_id", impl->kept->id),
           AD_KC("target_url", impl->target));
    if (impl->rotate) {
        ad_timer_start(a->client->opts.timers, &impl->timer, AD_WEBHOOK_OVERLAP_MS, on_overlap);
    } else {
        next(impl);
    }
}

static enum ad_err store_secret(struct ad_account_impl *impl)
{
    int64_t created_ns = 0;
    if (!ad_time_parse(impl->kept->created_at, &created_ns)) {
        created_ns = 0;
    }
    struct ad_value row[4] = { AD_V_TEXT(impl->kept->id), AD_V_TEXT(ad_str_c(impl->target)),
                               AD_V_TEXT(ad_str_c(impl->fresh->secret)), AD_V_I64(created_ns) };
    ad__account_sql(impl, &insert_sql, row, 4);
    ad__account_sql(impl, &drop_note_sql, NULL, 0);
    return ad__account_write(impl, on_stored);
}

static enum ad_err read_created(struct ad_account_impl *impl)
{
    const struct ad_json *data = ad_json_get(impl->doc, "data");
    enum ad_err err = ad__webhook_read(impl, data, &impl->kept);
    if (err) {
        return err;
    }
    struct ad_str secret;
    if (!ad_json_ident(ad_json_get(data, "secret"), &secret) || secret.n == 0) {
        return AD_ERR_PROTOCOL;
    }
    impl->fresh->secret = ad_zalloc(secret.n + 1);
    if (!impl->fresh->secret) {
        return AD_ERR_NOMEM;
    }
    memcpy(impl->fresh->secret, secret.p, secret.n);
    (void)ad__account_copy(impl->fresh->id, sizeof(impl->fresh->id), impl->kept->id);
    /* Accepted before it is stored: its first delivery may be here already, and what is stored must
     * be accepted. */
    return ad_webhook_secrets_add(impl->account->secrets, secret);
}

static void on_created(struct ad_account_impl *impl)
{
    if (ad__account_call_failed(impl)) {
        ad__account_finish(impl);
        return;
    }
    enum ad_err err = read_created(impl);
    if (err) {
        ad__account_end_with(impl, err, "Attio's answer names no id and secret of the new webhook");
        return;
    }
    ad__account_or_finish(impl, store_secret(impl));
}

static enum ad_err send_create(struct ad_account_impl *impl)
{
    ad__account_request(impl, "POST", "/v2/webhooks");
    ad_buf_put(&impl->path, AD_STR("/v2/webhooks"));
    enum ad_err err = write_body(impl, impl->target);
    return err ? err : ad__account_send(impl, on_created);
}

static void on_noted(struct ad_account_impl *impl)
{
    struct ad_account *a = impl->account;
    if (ad__account_write_failed(impl)) {
        ad__account_finish(impl);
        return;
    }
    (void)ad__account_copy(a->creating, sizeof(a->creating), ad_str_c(impl->target));
    ad__account_or_finish(impl, send_create(impl));
}

static enum ad_err create(struct ad_account_impl *impl)
{
    impl->fresh = ad_zalloc(sizeof(*impl->fresh));
    if (!impl->fresh) {
        return AD_ERR_NOMEM;
    }
    ad_list_init(&impl->fresh->link);
    struct ad_value target = AD_V_TEXT(ad_str_c(impl->target));
    ad__account_sql(impl, &note_sql, &target, 1);
    add_gap(impl);
    return ad__account_write(impl, on_noted);
}

/* --- Changing one --- */

static void on_changed(struct ad_account_impl *impl)
{
    struct ad_listed_webhook *w;
    if (ad__account_call_failed(impl)) {
        ad__account_finish(impl);
        return;
    }
    enum ad_err err = ad__webhook_read(impl, ad_json_get(impl->doc, "data"), &w);
    if (!err && ad__webhook_status(impl->op, w) == AD_WEBHOOK_ALTERED) {
        err = AD_ERR_PROTOCOL;
    }
    if (err) {
        ad__account_end_with(impl, err,
                             "Attio's answer shows other subscriptions than it was given");
        return;
    }
    impl->kept = w;
    ensured(impl);
}

static enum ad_err send_change(struct ad_account_impl *impl)
{
    ad__account_request(impl, "PATCH", "/v2/webhooks/{webhook_id}");
    may_repeat(impl);
    ad_buf_fmt(&impl->path, "/v2/webhooks/%.*s", AD_FMT(impl->kept->id));
    enum ad_err err = write_body(impl, NULL);
    return err ? err : ad__account_send(impl, on_changed);
}

static void on_change_noted(struct ad_account_impl *impl)
{
    if (ad__account_write_failed(impl)) {
        ad__account_finish(impl);
        return;
    }
    ad__account_or_finish(impl, send_change(impl));
}

static enum ad_err change(struct ad_account_impl *impl)
{
    add_gap(impl);
    return ad__account_write(impl, on_change_noted);
}

/* --- Tidying --- */

static bool is_listed(const struct ad_account_impl *impl, struct ad_str id)
{
    AD_LIST_FOREACH (it, &impl->listed) {
        if (ad_str_eq_nocase(ad_container_of(it, struct ad_listed_webhook, link)->id, id)) {
            return true;
        }
    }
    return impl->kept && ad_str_eq_nocase(impl->kept->id, id);
}

static struct ad_known_webhook *next_stale(const struct ad_account_impl *impl)
{
    AD_LIST_FOREACH (it, &impl->account->known) {
        struct ad_known_webhook *k = ad_container_of(it, struct ad_known_webhook, link);
        if (!k->retired_ns && !is_listed(impl, ad_str_c(k->id))) {
            return k;
        }
    }
    return NULL;
}

static struct ad_known_webhook *next_expired(const struct ad_account_impl *impl)
{
    AD_LIST_FOREACH (it, &impl->account->known) {
        struct ad_known_webhook *k = ad_container_of(it, struct ad_known_webhook, link);
        if (k->retired_ns && k->retired_ns < now_ns(impl) - AD_WEBHOOK_RETIRED_MS * AD_NS_PER_MS) {
            return k;
        }
    }
    return NULL;
}

static void on_stale_retired(struct ad_account_impl *impl)
{
    const struct ad_known_webhook *k = next_stale(impl);
    if (ad__account_write_failed(impl)) {
        ad__account_finish(impl);
        return;
    }
    note_retired(impl, ad_str_c(k->id));
    next(impl);
}

static void on_expired(struct ad_account_impl *impl)
{
    struct ad_known_webhook *k;
    if (ad__account_write_failed(impl)) {
        ad__account_finish(impl);
        return;
    }
    while ((k = next_expired(impl))) {
        ad__webhook_forget(impl->account, k);
    }
    next(impl);
}

static enum ad_err expire(struct ad_account_impl *impl)
{
    struct ad_value before = AD_V_I64(now_ns(impl) - AD_WEBHOOK_RETIRED_MS * AD_NS_PER_MS);
    ad__account_sql(impl, &expire_sql, &before, 1);
    return ad__account_write(impl, on_expired);
}

/* --- What is due --- */

static bool is_free(const struct ad_account_impl *impl, const char *slot)
{
    AD_LIST_FOREACH (it, &impl->listed) {
        const struct ad_listed_webhook *w = ad_container_of(it, struct ad_listed_webhook, link);
        if (!w->gone && ad_str_eq(w->target_url, ad_str_c(slot))) {
            return false;
        }
    }
    return true;
}

/* A lost one first. */
static struct ad_listed_webhook *next_doomed(const struct ad_account_impl *impl)
{
    struct ad_listed_webhook *doomed = NULL;
    AD_LIST_FOREACH (it, &impl->listed) {
        struct ad_listed_webhook *w = ad_container_of(it, struct ad_listed_webhook, link);
        if (w->in_slot && !w->gone && w != impl->kept) {
            if (w->lost) {
                return w;
            }
            doomed = doomed ? doomed : w;
        }
    }
    return doomed;
}

/* The first one goes to the receiver itself, others to "/a" and "/b" in turn. */
static bool find_slot(struct ad_account_impl *impl)
{
    unsigned from = impl->kept || next_doomed(impl) ? 1 : 0;
    for (unsigned i = from; ad__webhook_slot(impl->op, i, impl->target); i++) {
        if (is_free(impl, impl->target)) {
            return true;
        }
    }
    return ad__webhook_slot(impl->op, 0, impl->target) && is_free(impl, impl->target);
}

static bool needs_new(const struct ad_account_impl *impl)
{
    return !impl->op->created && (!impl->kept || impl->rotate ||
                                  ad__webhook_status(impl->op, impl->kept) == AD_WEBHOOK_INACTIVE);
}

static enum ad_err do_next(struct ad_account_impl *impl)
{
    struct ad_listed_webhook *doomed = next_doomed(impl);
    struct ad_known_webhook *stale = next_stale(impl);
    if (doomed && doomed->lost) { /* before its note makes room for another */
        return doom(impl, doomed);
    }
    if (needs_new(impl) && find_slot(impl)) {
        return create(impl);
    }
    if (doomed) {
        return doom(impl, doomed);
    }
    if (stale) {
        return retire(impl, ad_str_c(stale->id), false, on_stale_retired);
    }
    if (next_expired(impl)) {
        return expire(impl);
    }
    if (!impl->op->created && ad__webhook_status(impl->op, impl->kept) == AD_WEBHOOK_ALTERED) {
        return change(impl);
    }
    ensured(impl);
    return AD_OK;
}

static void next(struct ad_account_impl *impl)
{
    enum ad_err err = do_next(impl);
    if (err) {
        ad__account_or_finish(impl, err);
    }
}

/* --- Looking --- */

static bool is_better(const struct ad_account_impl *impl, const struct ad_listed_webhook *w)
{
    int64_t its = 0;
    int64_t kept = 0;
    bool idle = ad_str_eq(w->status, AD_STR("inactive"));
    if (!impl->kept || idle != ad_str_eq(impl->kept->status, AD_STR("inactive"))) {
        return !impl->kept || !idle;
    }
    return ad_time_parse(w->created_at, &its) && ad_time_parse(impl->kept->created_at, &kept) &&
           its > kept;
}

/* The newest known one stays. Two of them: what a rotation left to do. */
static struct ad_listed_webhook *sort_out(struct ad_account_impl *impl)
{
    struct ad_listed_webhook *unknown = NULL;
    unsigned known = 0;
    AD_LIST_FOREACH (it, &impl->listed) {
        struct ad_listed_webhook *w = ad_container_of(it, struct ad_listed_webhook, link);
        if (!w->in_slot) {
            continue;
        }
        if (w->known) {
            known++;
            impl->kept = is_better(impl, w) ? w : impl->kept;
        } else if (!w->lost) {
            unknown = w;
        }
    }
    impl->rotate = impl->rotate && known < 2;
    return unknown;
}

static void on_listed(struct ad_account_impl *impl)
{
    struct ad_account_op *op = impl->op;
    const struct ad_listed_webhook *unknown = sort_out(impl);
    op->found = impl->kept ? ad__webhook_status(op, impl->kept)
                : unknown  ? AD_WEBHOOK_SECRET_UNKNOWN
                           : AD_WEBHOOK_MISSING;
    if (unknown && !op->replace) {
        op->status = op->found;
        op->err = ad_fail(&op->info, AD_ERR_CONFLICT,
                          "the secret of webhook %.*s at our URL is not known here: "
                          "`webhooks ensure --replace` makes it anew",
                          AD_FMT(unknown->id));
        ad__account_finish(impl);
        return;
    }
    next(impl);
}

static enum ad_err begin(struct ad_account *a, struct ad_account_op *op, bool rotate)
{
    struct ad_account_impl *impl;
    if (op->url.n == 0 || op->url.n + sizeof("/a") > AD_URL_BYTES) {
        return AD_ERR_INVALID;
    }
    enum ad_err err = ad__account_begin(a, op, &impl);
    if (err) {
        return err;
    }
    impl->rotate = rotate;
    impl->listed_then = on_listed;
    err = ad__account_change(impl, ad__webhooks_ask);
    return err ? ad__account_drop(impl, err) : AD_OK;
}

enum ad_err ad_account_webhook_ensure(struct ad_account *a, struct ad_account_op *op)
{
    return begin(a, op, false);
}

enum ad_err ad_account_webhook_rotate(struct ad_account *a, struct ad_account_op *op)
{
    return begin(a, op, true);
}

/* --- Delete --- */

/* Reports what the call to Attio said, unless the row could not be deleted. */
static void on_row_deleted(struct ad_account_impl *impl)
{
    enum ad_err said = impl->call.err;
    if (!ad__account_write_failed(impl)) {
        struct ad_known_webhook *k = ad__webhook_known(impl->account, impl->op->id);
        if (k) {
            ad__webhook_forget(impl->account, k);
        }
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
    struct ad_value id = AD_V_TEXT(impl->op->id);
    ad__account_sql(impl, &delete_sql, &id, 1);
    ad__account_or_finish(impl, ad__account_write(impl, on_row_deleted));
}

static void on_got(struct ad_account_impl *impl)
{
    struct ad_listed_webhook *w;
    if (impl->call.err) {
        on_deleted(impl); /* not there: only our row is left to delete; anything else: fails */
        return;
    }
    enum ad_err err = ad__webhook_read(impl, ad_json_get(impl->doc, "data"), &w);
    if (err) {
        ad__account_end_with(impl, err, "Attio's answer makes no sense");
    } else if (!w->ours) {
        ad__account_end_with(impl, AD_ERR_FORBIDDEN,
                             "that webhook leads elsewhere and is not ours");
    } else {
        ad__account_or_finish(impl, send_delete(impl, impl->op->id, on_deleted));
    }
}

static enum ad_err send_get(struct ad_account_impl *impl)
{
    ad__account_request(impl, "GET", "/v2/webhooks/{webhook_id}");
    ad_buf_fmt(&impl->path, "/v2/webhooks/%.*s", AD_FMT(impl->op->id));
    return ad__account_send(impl, on_got);
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
    err = ad__account_change(impl, send_get);
    return err ? ad__account_drop(impl, err) : AD_OK;
}
