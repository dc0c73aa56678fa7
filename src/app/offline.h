/* The API without a server: where none runs, a command opens the same graph in its own process,
 * without listeners, and asks the same routes. The database's lock is its for that time, so a server
 * started meanwhile is refused, and one that runs refuses it.
 *
 * Nothing begins by itself: no event is dispatched, no webhook made, no sync begun or resumed. What
 * a command changes, the next server takes up. */
#ifndef AD_APP_OFFLINE_H
#define AD_APP_OFFLINE_H

#include "app/cli.h"
#include "base/buf.h"
#include "infra/loop.h"

struct ad_offline; /* opaque */

/* What a command works on. */
enum ad_need {
    AD_NEED_DATABASE, /* nothing of it calls Attio; no API key has to be there */
    AD_NEED_ATTIO,    /* waits for identity and schema first */
    AD_NEED_SERVER,   /* only a server that runs (app/remote.h) */
};

/* Returns an exit code and has said why. */
AD_MUST_CHECK int ad_offline_open(const struct ad_cli *cli, struct ad_loop *loop, enum ad_need need,
                                  struct ad_offline **out);
/* Closes everything, turning the loop. */
void ad_offline_close(struct ad_offline *o);

/* One request and its reply, waited for; *out gets the body. Slices of the request live until it
 * returns. The status, or 0 when there is no memory. */
AD_MUST_CHECK unsigned ad_offline_call(struct ad_offline *o, const char *method, const char *path,
                                       struct ad_str body, struct ad_buf *out);

#endif
