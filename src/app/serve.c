/* serve: opens the graph, runs the loop, winds down in order.
 *
 *   signal -> not ready -> drainDelayMs -> listeners close, requests under way end (drainMs)
 *          -> everything closes from the top down -> the loop is empty -> exit 0
 *
 * A second signal ends the process at once. Being killed at any instant loses nothing that was
 * acknowledged, so no step of this is needed for safety; it is there so that nobody sees an
 * error. */
#include "app/reload.h"

#include "base/log.h"
#include "infra/crypto.h"
#include "infra/log_sink.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* For closing, once draining is over; then something hangs, and the process ends without it. */
#define CLOSE_MS 4000

struct server {
    const struct ad_config *c;
    struct ad_loop *loop;
    struct ad_log_fd *log;
    struct ad_signals *signals;
    struct ad_app *app;
    struct ad_reload reload;
    struct ad_timer delay, watchdog;
    uint64_t stop_ms; /* when the first signal came */
    bool stopping;
};

/* Before the log sink is there, and after: straight to stdout. */
static void plain_sink(void *ctx, enum ad_log_level level, struct ad_str line)
{
    (void)ctx;
    (void)level;
    while (line.n) {
        ssize_t n = write(STDOUT_FILENO, line.p, line.n);
        if (n < 0 && errno != EINTR) {
            return;
        }
        n = n < 0 ? 0 : n;
        line = ad_str_n(line.p + n, line.n - (size_t)n);
    }
}

static enum ad_log_format log_format(const struct ad_config *c)
{
    return strcmp(c->log_format, "text") == 0 ? AD_LOG_TEXT : AD_LOG_JSON;
}

/* --- Winding down ------------------------------------------------------------------------- */

static void on_closed(void *ctx)
{
    struct server *s = ctx;
    s->app = NULL;
    ad_timer_stop(ad_loop_timers(s->loop), &s->watchdog);
    ad_signals_close(s->signals);
    ad_log(AD_LOG_INFO, "stopped",
           AD_KI("after_ms", ad_mono_ms(ad_loop_clock(s->loop)) - s->stop_ms));
    ad_log_fd_close(s->log); /* the loop has nothing left and returns */
}

static void on_drained(void *ctx)
{
    struct server *s = ctx;
    ad_app_close(s->app, on_closed, s);
}

static void on_delay_over(struct ad_timer *t)
{
    struct server *s = ad_container_of(t, struct server, delay);
    ad_app_drain(s->app, (unsigned)s->c->drain_ms, on_drained, s);
}

static void end_now(struct server *s)
{
    ad_log_fd_close(s->log);
    _exit(AD_EXIT_FAILED);
}

static void on_stuck(struct ad_timer *t)
{
    struct server *s = ad_container_of(t, struct server, watchdog);
    ad_log(AD_LOG_ERROR, "shutdown_stuck", AD_KC("stage", ad_app_stage(s->app)));
    end_now(s);
}

static void on_stop(void *ctx, int signum)
{
    struct server *s = ctx;
    if (s->stopping) {
        ad_log(AD_LOG_WARN, "stopped_at_once", AD_KI("signal", signum));
        end_now(s);
    }
    s->stopping = true;
    s->stop_ms = ad_mono_ms(ad_loop_clock(s->loop));
    ad_log(AD_LOG_INFO, "stopping", AD_KI("signal", signum));
    ad_app_unready(s->app);
    uint64_t delay_ms = (uint64_t)s->c->drain_delay_ms;
    ad_timer_start(ad_loop_timers(s->loop), &s->delay, delay_ms, on_delay_over);
    ad_timer_start(ad_loop_timers(s->loop), &s->watchdog,
                   delay_ms + (uint64_t)s->c->drain_ms + CLOSE_MS, on_stuck);
}

static void on_reload(void *ctx)
{
    struct server *s = ctx;
    if (s->app && !s->stopping) { /* else there is nothing that could change any more, or yet */
        ad_reload_run(&s->reload, s->app);
    }
}

/* --- Starting ----------------------------------------------------------------------------- */

static void log_start(const struct server *s)
{
    const struct ad_config *c = s->c;
    ad_log(AD_LOG_INFO, "start", AD_KC("version", ATTIOD_VERSION), AD_KC("build", ATTIOD_BUILD),
           AD_KC("env", c->env), AD_KC("config_dir", c->config_dir),
           AD_KI("concurrency", c->concurrency), AD_KI("interval_cap", c->interval_cap),
           AD_KB("attio_enabled", c->enabled), AD_KB("writes_enabled", c->writes_enabled),
           AD_KB("webhooks", !c->no_webhooks));
    AD_LIST_FOREACH (it, &c->warnings) {
        const struct ad_config_error *w = ad_container_of(it, struct ad_config_error, link);
        ad_log(AD_LOG_WARN, "configuration", AD_KC("name", w->key), AD_KC("message", w->message));
    }
}

static int say_failure(const struct ad_app_failure *f)
{
    ad_log(AD_LOG_ERROR, "start_failed", AD_KC("stage", f->stage), AD_KE("code", f->info.code),
           AD_KC("message", f->info.msg));
    ad_cli_complain("%s: %s", f->stage, f->info.msg);
    return (int)f->exit;
}

static int run(struct server *s)
{
    struct ad_app_opts opts = { .loop = s->loop, .log = s->log, .config = s->c };
    struct ad_app_failure failure;
    if (ad_random_bytes(&opts.seed, sizeof(opts.seed)) ||
        ad_signals_open(s->loop, on_stop, on_reload, s, &s->signals)) {
        ad_cli_complain("cannot start: %s", ad_err_text(AD_ERR_NOMEM));
        ad_log_fd_close(s->log);
        return AD_EXIT_FAILED;
    }
    log_start(s);
    if (ad_app_open(&opts, &s->app, &failure)) {
        int code = say_failure(&failure);
        ad_signals_close(s->signals);
        ad_log_fd_close(s->log);
        return code;
    }
    ad_loop_run(s->loop);
    return AD_EXIT_OK;
}

static int serve(const struct ad_cli *cli, const struct ad_config *c)
{
    struct server s = { .c = c };
    ad_reload_init(&s.reload, cli, c);
    uint64_t seed;
    if (ad_random_bytes(&seed, sizeof(seed)) || ad_loop_open(&s.loop)) {
        ad_cli_complain("cannot start the event loop");
        return AD_EXIT_FAILED;
    }
    ad_hash_seed(seed);
    ad_log_set_level(ad_config_log_level(c));
    int code = AD_EXIT_FAILED;
    if (ad_log_fd_open(s.loop, STDOUT_FILENO, log_format(c), &s.log)) {
        ad_cli_complain("no memory for the log");
    } else {
        code = run(&s);
    }
    ad_log_install(plain_sink, NULL, ad_loop_clock(s.loop), log_format(c));
    if (ad_loop_close(s.loop) && code == AD_EXIT_OK) {
        code = AD_EXIT_FAILED; /* the loop has named what was left open */
    }
    ad_log_install(NULL, NULL, NULL, AD_LOG_JSON);
    ad_log_forget_all();
    ad_reload_fini(&s.reload);
    return code;
}

int ad_cmd_serve(const struct ad_cli *cli)
{
    struct ad_config c;
    int code = ad_cli_config(cli, true, &c);
    if (code == AD_EXIT_OK) {
        code = serve(cli, &c);
    }
    ad_config_fini(&c);
    return code;
}
