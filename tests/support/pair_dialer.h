/* A dialer without a network: each connection is a pair in memory, whose other end is handed to
 * whoever stands for the far side, a turn later as a socket would be.
 *
 *   struct pair_dialer d;
 *   pair_dialer_init(&d, loop, on_stream, ctx);
 *   client_opts.dialer = &d.dialer;
 *
 * The pairs belong to the two ends; the dialer may go once no dial is under way. */
#ifndef AD_TEST_PAIR_DIALER_H
#define AD_TEST_PAIR_DIALER_H

#include "infra/net.h"
#include "support/pair.h"

struct pair_dialer {
    struct ad_dialer dialer; /* first */
    struct ad_loop *loop;
    void (*accept)(void *ctx, struct ad_stream *far_end); /* takes it over */
    void *ctx;
    bool refuses;       /* dials fail with NETWORK */
    unsigned dials;     /* made so far */
    char names[64][16]; /* of the near ends, as the far ones see them: no two at once are alike */
};

void pair_dialer_init(struct pair_dialer *d, struct ad_loop *loop,
                      void (*accept)(void *ctx, struct ad_stream *far_end), void *ctx);

#endif
