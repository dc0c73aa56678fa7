#include "support/pair_dialer.h"

#include <stdio.h>

#include "base/mem.h"

/* One dial under way. */
struct dial {
    struct ad_post post;
    struct pair_dialer *by;
    struct ad_dial *d;
    enum ad_err err;
};

static void on_turn(struct ad_post *post)
{
    struct dial *dial = ad_container_of(post, struct dial, post);
    struct pair_dialer *by = dial->by;
    struct ad_dial *d = dial->d;
    struct ad_stream *near = NULL;
    struct ad_stream *far = NULL;
    enum ad_err err = dial->err;
    ad_free(dial);
    d->impl = NULL;
    if (err) {
        AD_IGNORE(ad_fail(&d->info, err, "no connection"), "it is handed on below");
        d->cb(d, err, NULL);
        return;
    }
    char *name = by->names[by->dials % AD_LEN(by->names)];
    static unsigned serial; /* of all dialers */
    (void)snprintf(name, sizeof(by->names[0]), "pair:%u", ++serial);
    pair_open(by->loop, &near, &far);
    pair_faults(far)->peer = name;
    by->accept(by->ctx, far);
    d->cb(d, AD_OK, near);
}

static enum ad_err start(struct ad_dialer *self, struct ad_loop *loop, struct ad_dial *d,
                         const struct ad_endpoint *to, unsigned timeout_ms, ad_dial_cb cb)
{
    struct pair_dialer *by = (struct pair_dialer *)self;
    struct dial *dial = ad_zalloc(sizeof(*dial));
    (void)to;
    (void)timeout_ms;
    if (!dial) {
        return AD_ERR_NOMEM;
    }
    dial->by = by;
    dial->d = d;
    dial->err = by->refuses ? AD_ERR_NETWORK : AD_OK;
    by->dials++;
    d->cb = cb;
    d->info = (struct ad_errinfo){ .code = AD_OK };
    d->impl = dial;
    ad_loop_post(loop, &dial->post, on_turn);
    return AD_OK;
}

static void cancel(struct ad_dialer *self, struct ad_dial *d)
{
    struct dial *dial = d->impl;
    (void)self;
    if (dial) {
        dial->err = AD_ERR_CANCELED;
    }
}

void pair_dialer_init(struct pair_dialer *d, struct ad_loop *loop,
                      void (*accept)(void *ctx, struct ad_stream *far_end), void *ctx)
{
    *d = (struct pair_dialer){ .loop = loop, .accept = accept, .ctx = ctx };
    d->dialer.start = start;
    d->dialer.cancel = cancel;
}
