#include "api_private.h"

void ad__api_metrics(void *ctx, struct ad_exchange *x)
{
    struct ad_api *a = ctx;
    struct ad_buf b;
    if (a->o.refresh) {
        a->o.refresh(a->o.refresh_ctx);
    }
    ad_buf_init(&b, AD__API_ANSWER_MAX);
    ad_metrics_write(a->o.metrics, &b);
    ad__api_buf(x, 200, "text/plain; version=0.0.4; charset=utf-8", &b);
}
