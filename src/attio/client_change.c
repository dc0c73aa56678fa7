/* The client's key, and the settings that may change while it runs: prepared first, so that taking
 * them over cannot fail half way. */
#include "attio/client.h"

#include "base/log.h"
#include "base/mem.h"
#include "infra/crypto.h"

#include "client_private.h"

/* --- The key ------------------------------------------------------------------------------ */

/* A key with a line break would be a header of its own; one with a blank was pasted badly. */
static enum ad_err check_key(struct ad_str key, struct ad_errinfo *info)
{
    if (key.n < 8 || key.n > 512) {
        return ad_fail(info, AD_ERR_CONFIG, "the API key has %zu characters, not 8 to 512", key.n);
    }
    for (size_t i = 0; i < key.n; i++) {
        if (key.p[i] <= ' ' || key.p[i] > '~') {
            return ad_fail(info, AD_ERR_CONFIG,
                           "the API key holds a blank, a line break or another character that "
                           "does not belong there");
        }
    }
    return AD_OK;
}

enum ad_err ad__client_key_new(struct ad_str api_key, struct ad_client_key **out,
                               struct ad_errinfo *info)
{
    static const struct ad_str scheme = { "Bearer ", 7 };
    enum ad_err err = check_key(api_key, info);
    if (err) {
        return err;
    }
    struct ad_client_key *key = ad_alloc(sizeof(*key) + scheme.n + api_key.n);
    if (!key || ad_log_hide(api_key)) {
        ad_free(key);
        return ad_fail(info, AD_ERR_NOMEM, "no memory for the API key");
    }
    *key = (struct ad_client_key){ .users = 1, .n = scheme.n + api_key.n };
    memcpy(key->text, scheme.p, scheme.n);
    memcpy(key->text + scheme.n, api_key.p, api_key.n);
    *out = key;
    return AD_OK;
}

void ad__client_key_put(struct ad_client_key *key)
{
    if (key && --key->users == 0) {
        ad_wipe(key->text, key->n);
        ad_free(key);
    }
}

static bool is_same(const struct ad_client_key *a, const struct ad_client_key *b)
{
    return a->n == b->n && ad_equal_constant_time(a->text, b->text, a->n);
}

/* --- Changing ----------------------------------------------------------------------------- */

struct ad_client_change {
    struct ad_client_key *key;
    struct ad_sched_change sched;
    bool writes_enabled;
};

static size_t timers_of(const struct ad_client *c, unsigned concurrency)
{
    return (size_t)c->opts.queue_max + concurrency + 256;
}

enum ad_err ad_client_prepare(struct ad_client *c, const struct ad_client_settings *settings,
                              struct ad_client_change **out, struct ad_errinfo *info)
{
    const struct ad_sched_opts limits = {
        .concurrency = settings->concurrency,
        .interval_cap = settings->interval_cap,
        .interval_ms = settings->interval_ms,
        .per_s = { settings->reads_per_s, settings->writes_per_s },
    };
    struct ad_client_change *change = ad_zalloc(sizeof(*change));
    if (!change || ad_timers_reserve(c->opts.timers, timers_of(c, settings->concurrency))) {
        ad_free(change);
        return ad_fail(info, AD_ERR_NOMEM, "no memory for the settings");
    }
    change->writes_enabled = settings->writes_enabled;
    enum ad_err err = ad__client_key_new(settings->api_key, &change->key, info);
    err = err ? err : ad_sched_prepare(&c->sched, &limits, &change->sched, info);
    if (err) {
        ad_client_drop(change);
        return err;
    }
    *out = change;
    return AD_OK;
}

void ad_client_drop(struct ad_client_change *change)
{
    ad__client_key_put(change->key);
    ad_sched_drop(&change->sched);
    ad_free(change);
}

/* Those that wait; what is under way cannot be called back. */
static void end_writes(struct ad_client *c)
{
    AD_LIST_FOREACH_SAFE (it, &c->calls) {
        struct ad_call_impl *impl = ad_container_of(it, struct ad_call_impl, link);
        if (impl->state == AD_CALL_WAITING && impl->call->lane == AD_LANE_WRITE) {
            ad__call_end_later(impl, AD_ERR_DISABLED);
        }
    }
}

bool ad_client_commit(struct ad_client *c, struct ad_client_change *change)
{
    const struct ad_sched_opts limits = change->sched.opts;
    bool other = !is_same(c->key, change->key);
    ad_sched_commit(&c->sched, &change->sched, ad_mono_ms(c->opts.clock));
    change->sched = (struct ad_sched_change){ .window = NULL };
    c->opts.concurrency = limits.concurrency;
    c->opts.interval_cap = limits.interval_cap;
    c->opts.interval_ms = limits.interval_ms;
    c->opts.reads_per_s = limits.per_s[AD_LANE_READ];
    c->opts.writes_per_s = limits.per_s[AD_LANE_WRITE];
    c->opts.writes_enabled = change->writes_enabled;
    ad_http_client_set_connections_max(c->http, limits.concurrency);
    if (other) {
        struct ad_client_key *old = c->key;
        c->key = change->key;
        change->key = old;
        ad_sched_hold(&c->sched, true);
    }
    if (!c->opts.writes_enabled) {
        end_writes(c);
    }
    ad_client_drop(change);
    ad__client_kick(c);
    return other;
}

void ad_client_trust(struct ad_client *c)
{
    ad_sched_hold(&c->sched, false);
    ad__client_kick(c);
}
