#include "base/arena.h"
#include "base/log.h"
#include "base/mem.h"
#include "infra/http_client.h"
#include "infra/loop.h"
#include "webhooks.h"

#define TRY_MS 5000    /* Attio waits no longer for an answer */
#define CONNECTIONS 64 /* tries under way to one target */
#define RESPONSE_MAX (1u << 20)

/* Seconds before the 1st, 2nd ... repetition; about three days in all. */
static const uint32_t retry_s[] = { 10, 30, 120, 480, 1800, 7200, 18000, 43200, 86400, 100800 };

struct ad_sim_target {
    struct ad_list link;
    struct ad_sim_webhooks *all;
    char *url;
    struct ad_str path;
    struct ad_http_client *client; /* NULL: cannot be reached by us */
    struct ad_list queue;          /* messages whose time has come */
    unsigned flying;
    uint64_t next_us; /* when the next may leave */
    struct ad_timer timer;
};

/* One try under way. */
struct flight {
    struct ad_http_call call;
    struct ad_arena arena;
    struct ad_buf response;
};

struct message {
    struct ad_list link; /* target's queue, or all->waiting, or all->held */
    struct ad_timer timer;
    uint64_t due_ms;
    struct ad_sim_webhook *hook;
    struct ad_sim_target *target;
    struct flight *flight;
    unsigned tries;
    uint64_t overtakers; /* of a held one: 0 waits for the time alone */
    char key[37];
    char signature[2 * AD_SHA256_SIZE];
    struct ad_http_header headers[5];
    size_t n;
    char body[];
};

/* --- URLs --- */

bool ad_sim_url_parse(struct ad_str url, bool *tls, struct ad_endpoint *to, struct ad_str *path)
{
    *tls = ad_str_starts(url, AD_STR("https://"));
    if (!*tls && !ad_str_starts(url, AD_STR("http://"))) {
        return false;
    }
    size_t skip = *tls ? 8 : 7;
    struct ad_str host = ad_str_n(url.p + skip, url.n - skip);
    size_t slash = ad_str_find(host, '/');
    *path = slash < host.n ? ad_str_n(host.p + slash, host.n - slash) : AD_STR("/");
    host.n = slash;
    char room[300];
    struct ad_buf b;
    ad_buf_init(&b, sizeof(room));
    ad_buf_put(&b, host);
    bool has_port = ad_str_find(host, ':') < host.n;
    ad_buf_put(&b, has_port ? AD_STR("") : *tls ? AD_STR(":443") : AD_STR(":80"));
    bool ok = host.n > 0 && ad_buf_status(&b) == AD_OK &&
              ad_endpoint_parse(ad_buf_str(&b), to) == AD_OK && to->host[0];
    ad_buf_fini(&b);
    return ok;
}

static struct ad_http_client *open_client(struct ad_sim_webhooks *ws, struct ad_sim_target *t)
{
    bool tls = false;
    struct ad_http_client_opts opts = { .connections_max = CONNECTIONS,
                                        .idle_ms = 30000,
                                        .connect_ms = TRY_MS,
                                        .response_max = RESPONSE_MAX,
                                        .headers_max = 65536 };
    struct ad_http_client *client = NULL;
    if (!ad_sim_url_parse(ad_str_c(t->url), &tls, &opts.origin, &t->path) || (tls && !ws->dialer)) {
        return NULL;
    }
    opts.dialer = tls ? ws->dialer : ws->plain;
    AD_ASSERT(ad_http_client_open(ws->loop, &opts, &client) == AD_OK);
    ws->clients_open++;
    return client;
}

struct ad_sim_target *ad_sim_target_get(struct ad_sim_webhooks *ws, struct ad_str url)
{
    AD_LIST_FOREACH (it, &ws->targets) {
        struct ad_sim_target *t = ad_container_of(it, struct ad_sim_target, link);
        if (ad_str_eq(url, ad_str_c(t->url))) {
            return t;
        }
    }
    struct ad_sim_target *t = ad_sim_alloc(sizeof(*t));
    t->all = ws;
    t->url = ad_sim_copy(url);
    t->client = open_client(ws, t);
    ad_list_init(&t->queue);
    ad_list_push(&ws->targets, &t->link);
    return t;
}

/* --- The end of a message --- */

static void message_free(struct message *m)
{
    struct ad_sim_webhook *hook = m->hook;
    ad_list_remove(&m->link);
    ad_timer_stop(hook->all->timers, &m->timer);
    ad_free(m);
    hook->pending--;
    if (hook->deleted && hook->pending == 0) {
        ad_sim_webhook_free(hook);
    }
}

static uint64_t scaled_ms(const struct ad_sim_webhooks *ws, double seconds)
{
    return (uint64_t)(seconds * 1000.0 / ws->factor);
}

static void degrade(struct ad_sim_webhook *hook)
{
    if (ad_sim_webhook_is(hook, "active")) {
        ad_sim_webhook_set_status(hook, "degraded");
        ad_log(AD_LOG_WARN, "webhook_degraded", AD_KI("failed", hook->failed));
    }
}

/* --- Sending --- */

static void pump(struct ad_sim_target *t);

static void on_due(struct ad_timer *timer)
{
    struct message *m = ad_container_of(timer, struct message, timer);
    struct ad_sim_target *t = m->target;
    ad_list_remove(&m->link);
    ad_list_push(&t->queue, &m->link);
    pump(t);
}

static void wait_for_retry(struct message *m)
{
    struct ad_sim_webhooks *ws = m->hook->all;
    uint64_t delay_ms = scaled_ms(ws, retry_s[m->tries - 1]);
    m->hook->retried++;
    m->due_ms = ad_mono_ms(ws->timers->clock) + delay_ms;
    ad_list_push(&ws->waiting, &m->link);
    ad_timer_start(ws->timers, &m->timer, delay_ms, on_due);
}

static void settle(struct message *m, bool ok)
{
    m->tries++;
    if (ok) {
        m->hook->delivered++;
        if (ad_sim_webhook_is(m->hook, "degraded")) {
            ad_sim_webhook_set_status(m->hook, "active");
        }
        message_free(m);
    } else if (ad_sim_webhook_is(m->hook, "inactive")) {
        m->hook->failed++;
        message_free(m);
    } else if (m->hook->deleted || m->hook->all->closing) {
        message_free(m);
    } else if (m->tries > AD_LEN(retry_s)) {
        m->hook->failed++;
        degrade(m->hook);
        message_free(m);
    } else {
        wait_for_retry(m);
    }
}

static void flight_free(struct flight *f)
{
    ad_buf_fini(&f->response);
    ad_arena_fini(&f->arena);
    ad_free(f);
}

static void on_answer(struct ad_http_call *call)
{
    struct message *m = call->data;
    struct ad_sim_target *t = m->target;
    bool ok = call->err == AD_OK && call->status >= 200 && call->status < 300;
    flight_free(m->flight);
    m->flight = NULL;
    t->flying--;
    settle(m, ok);
    pump(t);
}

static bool take_off(struct message *m)
{
    struct flight *f = ad_sim_alloc(sizeof(*f));
    ad_arena_init(&f->arena, 1u << 20);
    ad_buf_init(&f->response, RESPONSE_MAX);
    f->call = (struct ad_http_call){ .method = "POST",
                                     .path = m->target->path,
                                     .headers = m->headers,
                                     .headers_n = AD_LEN(m->headers),
                                     .body = ad_str_n(m->body, m->n),
                                     .timeout_ms = TRY_MS,
                                     .arena = &f->arena,
                                     .response = &f->response,
                                     .cb = on_answer,
                                     .data = m };
    m->flight = f;
    if (ad_http_call_start(m->target->client, &f->call) != AD_OK) {
        flight_free(f);
        m->flight = NULL;
        return false;
    }
    m->target->flying++;
    return true;
}

static void on_slot(struct ad_timer *timer)
{
    pump(ad_container_of(timer, struct ad_sim_target, timer));
}

/* True when the next message may leave now; else the timer will say. */
static bool has_slot(struct ad_sim_target *t)
{
    struct ad_sim_webhooks *ws = t->all;
    uint64_t now_us = ad_mono_ms(ws->timers->clock) * 1000;
    if (ws->rate_per_url == 0) {
        return true;
    }
    if (t->next_us > now_us) {
        ad_timer_start(ws->timers, &t->timer, (t->next_us - now_us + 999) / 1000, on_slot);
        return false;
    }
    /* What the timer was late is made up for, what was idle is not. */
    uint64_t slack_us = 10000;
    uint64_t from = t->next_us + slack_us < now_us ? now_us : t->next_us;
    t->next_us = from + 1000000 / ws->rate_per_url;
    return true;
}

static void pump(struct ad_sim_target *t)
{
    if (t->all->closing || ad_timer_running(&t->timer)) {
        return;
    }
    while (!ad_list_empty(&t->queue) && t->flying < CONNECTIONS && has_slot(t)) {
        struct message *m = ad_container_of(ad_list_pop(&t->queue), struct message, link);
        if (!t->client || !take_off(m)) {
            settle(m, false);
        }
    }
}

static struct message *message_new(struct ad_sim_webhook *hook, struct ad_str body)
{
    uint8_t mac[AD_SHA256_SIZE];
    struct message *m = ad_sim_alloc(sizeof(*m) + body.n);
    m->hook = hook;
    m->target = hook->target;
    m->n = body.n;
    memcpy(m->body, body.p, body.n);
    ad_rand_uuid(&hook->all->rand, m->key);
    ad_hmac(hook->key, body, mac);
    ad_hex_encode(mac, sizeof(mac), m->signature);
    struct ad_str signature = ad_str_n(m->signature, sizeof(m->signature));
    m->headers[0] = (struct ad_http_header){ AD_STR("Content-Type"), AD_STR("application/json") };
    m->headers[1] = (struct ad_http_header){ AD_STR("Attio-Signature"), signature };
    m->headers[2] = (struct ad_http_header){ AD_STR("X-Attio-Signature"), signature };
    m->headers[3] = (struct ad_http_header){ AD_STR("Idempotency-Key"), ad_str_c(m->key) };
    m->headers[4] = (struct ad_http_header){
        AD_STR("User-Agent"), AD_STR("Attio 2.0 (https://attio.com/developers/using-webhooks)")
    };
    ad_list_init(&m->link);
    hook->pending++;
    return m;
}

static void hold(struct message *m, uint64_t hold_ms, uint64_t overtakers)
{
    struct ad_sim_webhooks *ws = m->hook->all;
    if (hold_ms == 0 && overtakers == 0) {
        ad_list_push(&m->target->queue, &m->link);
        return;
    }
    m->overtakers = overtakers;
    ad_list_push(&ws->held, &m->link);
    ad_timer_start(ws->timers, &m->timer, hold_ms, on_due);
}

/* One more is queued: those held behind it come closer, the last of them follows it. */
static void overtake(struct ad_sim_webhooks *ws, struct ad_sim_target *t)
{
    AD_LIST_FOREACH_SAFE (it, &ws->held) {
        struct message *m = ad_container_of(it, struct message, link);
        if (m->target == t && m->overtakers > 0 && --m->overtakers == 0) {
            ad_timer_stop(ws->timers, &m->timer);
            ad_list_remove(&m->link);
            ad_list_push(&t->queue, &m->link);
        }
    }
}

void ad_sim_deliver(struct ad_sim_webhook *hook, struct ad_str body, const struct ad_sim_fate *fate)
{
    if (fate->lost) {
        hook->lost++;
        return;
    }
    struct message *m = message_new(hook, body);
    struct message *copy = fate->twice ? message_new(hook, body) : NULL;
    if (fate->hold_ms == 0 && fate->overtakers == 0) {
        ad_list_push(&m->target->queue, &m->link);
        overtake(hook->all, m->target);
    } else {
        hold(m, fate->hold_ms, fate->overtakers);
    }
    if (copy) {
        memcpy(copy->key, m->key, sizeof(copy->key));
        hold(copy, fate->hold_ms + fate->copy_ms, 0);
    }
    pump(hook->target);
}

static void stop_in(struct ad_list *messages, const struct ad_sim_webhook *hook)
{
    AD_LIST_FOREACH_SAFE (it, messages) {
        struct message *m = ad_container_of(it, struct message, link);
        if (m->hook == hook) {
            m->hook->failed++;
            message_free(m);
        }
    }
}

void ad_sim_deliver_stop(struct ad_sim_webhook *hook)
{
    struct ad_sim_webhooks *ws = hook->all;
    stop_in(&ws->waiting, hook);
    stop_in(&ws->held, hook);
    AD_LIST_FOREACH (it, &ws->targets) { /* a changed URL leaves messages with the old one */
        stop_in(&ad_container_of(it, struct ad_sim_target, link)->queue, hook);
    }
}

void ad_sim_webhooks_set_factor(struct ad_sim_webhooks *ws, double factor)
{
    uint64_t now_ms = ad_mono_ms(ws->timers->clock);
    AD_LIST_FOREACH (it, &ws->waiting) {
        struct message *m = ad_container_of(it, struct message, link);
        uint64_t left_ms = m->due_ms > now_ms ? m->due_ms - now_ms : 0;
        left_ms = (uint64_t)((double)left_ms * ws->factor / factor);
        m->due_ms = now_ms + left_ms;
        ad_timer_start(ws->timers, &m->timer, left_ms, on_due);
    }
    AD_LIST_FOREACH (it, &ws->list) {
        ad_sim_webhook_rescale(ad_container_of(it, struct ad_sim_webhook, link), factor);
    }
    ws->factor = factor;
}

/* --- Opening and closing --- */

void ad_sim_webhooks_open(struct ad_sim_webhooks *ws, struct ad_loop *loop,
                          struct ad_sim_store *store, uint64_t seed)
{
    *ws = (struct ad_sim_webhooks){ .store = store,
                                    .loop = loop,
                                    .timers = ad_loop_timers(loop),
                                    .rate_per_url = 25,
                                    .factor = 1.0 };
    ad_rand_seed(&ws->rand, seed ^ UINT64_C(0x77656268)); /* a stream of its own */
    ad_list_init(&ws->list);
    ad_list_init(&ws->targets);
    ad_list_init(&ws->waiting);
    ad_list_init(&ws->held);
}

static void drop_all(struct ad_list *messages)
{
    AD_LIST_FOREACH_SAFE (it, messages) {
        message_free(ad_container_of(it, struct message, link));
    }
}

static void finish(struct ad_sim_webhooks *ws)
{
    AD_LIST_FOREACH_SAFE (it, &ws->targets) {
        struct ad_sim_target *t = ad_container_of(it, struct ad_sim_target, link);
        ad_list_remove(&t->link);
        ad_free(t->url);
        ad_free(t);
    }
    AD_LIST_FOREACH_SAFE (it, &ws->list) {
        ad_list_remove(it);
        ad_sim_webhook_free(ad_container_of(it, struct ad_sim_webhook, link));
    }
    ws->closed(ws->closed_ctx);
}

static void on_client_closed(void *ctx)
{
    struct ad_sim_webhooks *ws = ctx;
    if (--ws->clients_open == 0) {
        finish(ws);
    }
}

void ad_sim_webhooks_close(struct ad_sim_webhooks *ws, void (*done)(void *ctx), void *ctx)
{
    ws->closing = true;
    ws->closed = done;
    ws->closed_ctx = ctx;
    drop_all(&ws->waiting);
    drop_all(&ws->held);
    ws->clients_open++; /* so that the last of them cannot come before the loop below is through */
    AD_LIST_FOREACH (it, &ws->targets) {
        struct ad_sim_target *t = ad_container_of(it, struct ad_sim_target, link);
        ad_timer_stop(ws->timers, &t->timer);
        drop_all(&t->queue);
        if (t->client) {
            ad_http_client_close(t->client, on_client_closed, ws);
        }
    }
    on_client_closed(ws);
}
