/* The graph: everything that `serve` consists of, opened from the bottom up, closed from the top
 * down.
 *
 * Opening is synchronous and stops at the first failure, saying which stage it was. Closing is
 * one path for all cases, also after half an opening: each stage that was opened is closed, and
 * the next one below begins when it is through. */
#ifndef AD_APP_APP_H
#define AD_APP_APP_H

#include "app/cli.h"
#include "app/config.h"
#include "infra/http_server.h"
#include "infra/loop.h"

struct ad_app; /* opaque */

struct ad_app_opts {
    struct ad_loop *loop;
    struct ad_log_fd *log;          /* to count what it drops; may be NULL */
    const struct ad_config *config; /* lives as long as the app */
    uint64_t seed;
    /* A command's, in its own process: no listeners. `attio`: identity and schema come up. */
    bool offline, attio;
    /* A simulation's: Attio is reached by `dialer`, nothing listens (ad_app_adopt), and the database
     * works on the loop. */
    bool simulated;
    struct ad_dialer *dialer;
};

/* What failed to open, for the log and the exit code. */
struct ad_app_failure {
    const char *stage;
    enum ad_exit exit;
    struct ad_errinfo info;
};

/* Opens everything but the log. On failure what was opened is closed again, turning the loop. */
AD_MUST_CHECK enum ad_err ad_app_open(const struct ad_app_opts *opts, struct ad_app **out,
                                      struct ad_app_failure *failure);
/* Takes over what is marked as reloadable in the table of keys (but the log's level, which is not
 * the app's) and differs between `from`, which was taken over before, and `to`; and the
 * certificate's files, if there are any, are read again. All of it or, on failure, nothing. `to`
 * must live until the next one. */
AD_MUST_CHECK enum ad_err ad_app_reload(struct ad_app *a, const struct ad_config *from,
                                        const struct ad_config *to, struct ad_errinfo *info);
/* A reload ended: for the audit log and the metrics. `names`: what was changed. */
void ad_app_note_reload(struct ad_app *a, bool ok, struct ad_str names);
/* A connection to the public listener; takes the stream over. */
void ad_app_adopt(struct ad_app *a, struct ad_stream *stream);
/* /readyz says no from here on. */
void ad_app_unready(struct ad_app *a);
/* Stops listening and waits for requests under way, at most deadline_ms. */
void ad_app_drain(struct ad_app *a, unsigned deadline_ms, void (*done)(void *ctx), void *ctx);
/* Closes everything and frees; done comes when nothing of it is on the loop any more. */
void ad_app_close(struct ad_app *a, void (*done)(void *ctx), void *ctx);
/* The internal listener's routes. */
const struct ad_registry *ad_app_routes(const struct ad_app *a);
/* As ad_service_is_up. */
bool ad_app_is_up(const struct ad_app *a, enum ad_err *err, const char **detail);
/* The stage that is being closed, for whoever waits for it. */
const char *ad_app_stage(const struct ad_app *a);
/* Bound addresses, "127.0.0.1:40217". */
const char *ad_app_public_address(const struct ad_app *a);
const char *ad_app_internal_address(const struct ad_app *a);

/* handlers.c: the user's own event handlers, NULL-ended. */
struct ad_handler;
extern const struct ad_handler *const ad_user_handlers[];

#endif
