#include "api_private.h"

#include "service/health.h"

/* That this runs at all is the answer. */
void ad__api_healthz(void *ctx, struct ad_exchange *x)
{
    (void)ctx;
    ad__api_text(x, 200, "ok\n");
}

void ad__api_readyz(void *ctx, struct ad_exchange *x)
{
    struct ad_api *a = ctx;
    const char *why;
    bool ready = ad_service_ready(a->o.service, &why);
    ad__api_text(x, ready ? 200 : 503, ready ? "ready\n" : "not ready\n");
}

/* Not wrapped in "data": monitors know this shape. Whoever shows no token learns the one word. */
void ad__api_health(void *ctx, struct ad_exchange *x)
{
    static const char *const bare[] = {
        [AD_HEALTH_OK] = "{\"status\":\"ok\"}",
        [AD_HEALTH_DEGRADED] = "{\"status\":\"degraded\"}",
        [AD_HEALTH_DOWN] = "{\"status\":\"down\"}",
    };
    struct ad_api *a = ctx;
    struct ad_buf b;
    ad_buf_init(&b, AD__API_ANSWER_MAX);
    enum ad_health h = ad_service_health(a->o.service, &b);
    if (x->role < AD_ROLE_METRICS) {
        ad_buf_clear(&b);
        ad_buf_put(&b, ad_str_c(bare[h]));
    }
    ad__api_buf(x, h == AD_HEALTH_DOWN ? 503 : 200, "application/json", &b);
}
