/* Whether a webhook gets its deliveries: active, degraded for a week, inactive. */
#include "call.h"
#include "sim.h"
#include "webhooks.h"

#define INACTIVE_S (7 * 86400)

bool ad_sim_webhook_is(const struct ad_sim_webhook *hook, const char *status)
{
    return strcmp(hook->status, status) == 0;
}

static void on_week(struct ad_timer *timer)
{
    ad_sim_webhook_set_status(ad_container_of(timer, struct ad_sim_webhook, timer), "inactive");
}

static void start_week(struct ad_sim_webhook *hook, uint64_t left_ms)
{
    struct ad_timers *timers = hook->all->timers;
    hook->due_ms = ad_mono_ms(timers->clock) + left_ms;
    ad_timer_start(timers, &hook->timer, left_ms, on_week);
}

void ad_sim_webhook_set_status(struct ad_sim_webhook *hook, const char *status)
{
    ad_timer_stop(hook->all->timers, &hook->timer);
    hook->status = status;
    if (ad_sim_webhook_is(hook, "degraded")) {
        start_week(hook, (uint64_t)(INACTIVE_S * 1000.0 / hook->all->factor));
    } else if (ad_sim_webhook_is(hook, "inactive")) {
        ad_sim_deliver_stop(hook);
    }
}

void ad_sim_webhook_rescale(struct ad_sim_webhook *hook, double factor)
{
    uint64_t now_ms = ad_mono_ms(hook->all->timers->clock);
    if (ad_timer_running(&hook->timer)) {
        uint64_t left_ms = hook->due_ms > now_ms ? hook->due_ms - now_ms : 0;
        start_week(hook, (uint64_t)((double)left_ms * hook->all->factor / factor));
    }
}

/* --- Control --- */

void ad_sim_webhook_control(struct ad_sim_call *c)
{
    static const char *const statuses[] = { "active", "degraded", "inactive" };
    struct ad_sim_webhook *hook = ad_sim_call_webhook(c);
    struct ad_str status = ad_json_str(ad_json_get(c->body, "status"));
    if (!hook) {
        return;
    }
    for (size_t i = 0; i < AD_LEN(statuses); i++) {
        if (ad_str_eq(status, ad_str_c(statuses[i]))) {
            ad_sim_webhook_set_status(hook, statuses[i]);
            ad_sim_webhook_answer(c, hook);
            return;
        }
    }
    ad_sim_issue(c, "active, degraded or inactive", status.p ? "string" : NULL, "status");
    AD_IGNORE(ad_sim_body_ok(c), "it is not");
}

void ad_sim_webhook_remove(struct ad_sim_call *c)
{
    struct ad_sim_webhook *hook = ad_sim_call_webhook(c);
    if (hook) {
        ad_sim_webhook_delete(hook);
        ad_buf_put(c->out, AD_STR("{}"));
    }
}
