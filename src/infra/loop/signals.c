#include "base/mem.h"

#include "loop/uv_private.h"

#include <signal.h>

struct ad_signals {
    uv_signal_t sigint, sigterm, sighup;
    void (*stop)(void *ctx, int signum);
    void (*reload)(void *ctx);
    void *ctx;
    unsigned open; /* handles not closed yet */
};

static void on_sigint(uv_signal_t *h, int signum)
{
    struct ad_signals *s = ad_container_of(h, struct ad_signals, sigint);
    s->stop(s->ctx, signum);
}

static void on_sigterm(uv_signal_t *h, int signum)
{
    struct ad_signals *s = ad_container_of(h, struct ad_signals, sigterm);
    s->stop(s->ctx, signum);
}

static void on_sighup(uv_signal_t *h, int signum)
{
    (void)signum;
    struct ad_signals *s = ad_container_of(h, struct ad_signals, sighup);
    s->reload(s->ctx);
}

/* --- closing --- */

static void maybe_free(struct ad_signals *s)
{
    if (--s->open == 0) {
        ad_free(s);
    }
}

static void on_sigint_closed(uv_handle_t *h)
{
    maybe_free(ad_container_of((uv_signal_t *)h, struct ad_signals, sigint));
}

static void on_sigterm_closed(uv_handle_t *h)
{
    maybe_free(ad_container_of((uv_signal_t *)h, struct ad_signals, sigterm));
}

static void on_sighup_closed(uv_handle_t *h)
{
    maybe_free(ad_container_of((uv_signal_t *)h, struct ad_signals, sighup));
}

void ad_signals_close(struct ad_signals *s)
{
    uv_close((uv_handle_t *)&s->sigint, on_sigint_closed);
    uv_close((uv_handle_t *)&s->sigterm, on_sigterm_closed);
    uv_close((uv_handle_t *)&s->sighup, on_sighup_closed);
}

/* --- opening --- */

/* Waiting for a signal is no reason to go on running: unreferenced. */
static int watch(struct ad_signals *s, uv_signal_t *h, uv_signal_cb cb, int signum)
{
    ad__label(h, "signals");
    uv_unref((uv_handle_t *)h);
    s->open++;
    return uv_signal_start(h, cb, signum);
}

static int init_all(struct ad_loop *loop, struct ad_signals *s)
{
    uv_loop_t *uv = ad__loop_uv(loop);
    int status =
        uv_signal_init(uv, &s->sigint); /* the first of a loop may fail, then none is open */
    if (status == 0) {
        uv_signal_init(uv, &s->sigterm);
        uv_signal_init(uv, &s->sighup);
    }
    return status;
}

enum ad_err ad_signals_open(struct ad_loop *loop, void (*stop)(void *ctx, int signum),
                            void (*reload)(void *ctx), void *ctx, struct ad_signals **out)
{
    struct ad_signals *s = ad_zalloc(sizeof(*s));
    if (!s) {
        return AD_ERR_NOMEM;
    }
    *s = (struct ad_signals){ .stop = stop, .reload = reload, .ctx = ctx };
    int status = init_all(loop, s);
    if (status) {
        ad_free(s);
        return ad__uv_err(status);
    }
    int failed = watch(s, &s->sigint, on_sigint, SIGINT);
    failed = watch(s, &s->sigterm, on_sigterm, SIGTERM) ? -1 : failed;
    failed = watch(s, &s->sighup, on_sighup, SIGHUP) ? -1 : failed;
    if (failed) {
        ad_signals_close(s);
        return AD_ERR_INTERNAL;
    }
    *out = s;
    return AD_OK;
}
