#include "infra/loop.h"

#include "base/log.h"
#include "base/mem.h"

#include "loop/uv_private.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <time.h>

enum {
    INPUT_BYTES = 64 * 1024,
    PROBE_MS = 100,
    TIMERS_MIN = 64,
    /* A closing handle needs a turn or two; the rest is for callbacks that close further
     * handles. */
    CLOSE_TURNS_MAX = 1000,
    /* What a name server that does not answer may delay the end of the process. */
    CLOSE_WAIT_MS = 3000,
};

struct ad_loop {
    uv_loop_t uv;
    uv_timer_t deadline; /* wakes the loop for the earliest of `timers` */
    uv_timer_t wait;     /* wakes ad_loop_turn */
    uv_timer_t probe;    /* measures how late the loop is */
    uv_idle_t nowait;    /* while active, libuv does not sleep */
    struct ad_clock system;
    const struct ad_clock *clock;
    struct ad_timers timers;
    uint64_t armed_ms; /* what `deadline` is set to */
    struct ad_list posts, hooks;
    uint64_t probe_due_ms;
    unsigned lag_ms;
    struct ad_histogram *lag; /* NULL: nobody looks */
    bool stopping;
    char input[INPUT_BYTES];
};

/* --- clock --- */

static uint64_t system_mono_ms(const struct ad_clock *clock)
{
    const void *loop = (const char *)clock - offsetof(struct ad_loop, system);
    return uv_now(&((const struct ad_loop *)loop)->uv);
}

static int64_t system_wall_ns(const struct ad_clock *clock)
{
    (void)clock;
    struct timespec now = { 0 };
    AD_IGNORE(clock_gettime(CLOCK_REALTIME, &now), "cannot fail for this clock");
    return (int64_t)now.tv_sec * AD_NS_PER_S + now.tv_nsec;
}

/* --- libuv's callbacks only wake: work is done by turn(), in one order whatever libuv's version
 * --- */

static void keep_awake(uv_idle_t *idle)
{
    (void)idle;
}

/* A timer may be due before libuv polls; without this it would then sleep although there is
 * work. */
static void on_wake(uv_timer_t *timer)
{
    struct ad_loop *loop =
        ad_container_of(uv_handle_get_loop((uv_handle_t *)timer), struct ad_loop, uv);
    uv_idle_start(&loop->nowait, keep_awake);
}

static void on_deadline(uv_timer_t *timer)
{
    struct ad_loop *loop = ad_container_of(timer, struct ad_loop, deadline);
    loop->armed_ms = UINT64_MAX;
    on_wake(timer);
}

static void on_probe(uv_timer_t *timer)
{
    struct ad_loop *loop = ad_container_of(timer, struct ad_loop, probe);
    uint64_t now = uv_hrtime() / 1000000;
    unsigned late = now > loop->probe_due_ms ? (unsigned)(now - loop->probe_due_ms) : 0;
    loop->lag_ms = late > loop->lag_ms ? late : loop->lag_ms;
    if (loop->lag) {
        ad_histogram_observe_ms(loop->lag, late);
    }
    loop->probe_due_ms = now + PROBE_MS;
    uv_timer_start(&loop->probe, on_probe, PROBE_MS, 0);
}

/* --- opening --- */

static void init_handles(struct ad_loop *loop)
{
    uv_timer_init(&loop->uv, &loop->deadline);
    uv_timer_init(&loop->uv, &loop->wait);
    uv_timer_init(&loop->uv, &loop->probe);
    uv_idle_init(&loop->uv, &loop->nowait);
    uv_unref((uv_handle_t *)&loop->probe);
    uv_unref((uv_handle_t *)&loop->nowait);
}

static void ignore_sigpipe(void)
{
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    AD_IGNORE(sigaction(SIGPIPE, &ignore, NULL), "cannot fail for this signal");
}

enum ad_err ad_loop_open_on(const struct ad_clock *clock, struct ad_loop **out)
{
    struct ad_loop *loop = ad_zalloc(sizeof(*loop));
    if (!loop) {
        return AD_ERR_NOMEM;
    }
    loop->system = (struct ad_clock){ system_mono_ms, system_wall_ns };
    loop->clock = clock ? clock : &loop->system;
    ad_timers_init(&loop->timers, loop->clock, NULL);
    enum ad_err err = ad_timers_reserve(&loop->timers, TIMERS_MIN);
    if (!err) {
        err = ad__uv_err(uv_loop_init(&loop->uv));
    }
    if (err) {
        ad_timers_fini(&loop->timers);
        ad_free(loop);
        return err;
    }
    ignore_sigpipe();
    init_handles(loop);
    loop->armed_ms = UINT64_MAX;
    ad_list_init(&loop->posts);
    ad_list_init(&loop->hooks);
    if (!clock) {
        loop->probe_due_ms = uv_hrtime() / 1000000 + PROBE_MS;
        uv_timer_start(&loop->probe, on_probe, PROBE_MS, 0);
    }
    *out = loop;
    return AD_OK;
}

enum ad_err ad_loop_open(struct ad_loop **out)
{
    return ad_loop_open_on(NULL, out);
}

/* --- turning --- */

/* Only what was posted before this turn's pass: a callback that posts again does not starve I/O. */
static void run_posts(struct ad_loop *loop)
{
    struct ad_list batch;
    ad_list_init(&batch);
    ad_list_move(&batch, &loop->posts);
    struct ad_list *link;
    while ((link = ad_list_pop(&batch))) {
        struct ad_post *post = ad_container_of(link, struct ad_post, link);
        void (*cb)(struct ad_post * post) = post->cb;
        post->cb = NULL;
        cb(post);
    }
}

/* Each goes back on the list before it runs, so that it may remove itself or any other. */
static void run_hooks(struct ad_loop *loop)
{
    struct ad_list batch;
    ad_list_init(&batch);
    ad_list_move(&batch, &loop->hooks);
    struct ad_list *link;
    while ((link = ad_list_pop(&batch))) {
        ad_list_push(&loop->hooks, link);
        struct ad_loop_hook *hook = ad_container_of(link, struct ad_loop_hook, link);
        hook->cb(hook);
    }
}

static bool is_due(const struct ad_loop *loop)
{
    return !ad_list_empty(&loop->posts) || ad_timers_next(&loop->timers) <= ad_mono_ms(loop->clock);
}

static void arm_deadline(struct ad_loop *loop)
{
    uint64_t next = loop->clock == &loop->system ? ad_timers_next(&loop->timers) : UINT64_MAX;
    if (next == loop->armed_ms) {
        return;
    }
    loop->armed_ms = next;
    if (next == UINT64_MAX) {
        uv_timer_stop(&loop->deadline);
        return;
    }
    uint64_t now = uv_now(&loop->uv);
    uv_timer_start(&loop->deadline, on_deadline, next > now ? next - now : 0, 0);
}

static void turn(struct ad_loop *loop, uv_run_mode mode)
{
    uv_update_time(&loop->uv);
    arm_deadline(loop);
    uv_run(&loop->uv, is_due(loop) ? UV_RUN_NOWAIT : mode);
    uv_idle_stop(&loop->nowait);
    uv_update_time(&loop->uv);
    ad_timers_run(&loop->timers);
    run_posts(loop);
    run_hooks(loop);
}

static bool is_alive(const struct ad_loop *loop)
{
    return uv_loop_alive(&loop->uv) || !ad_list_empty(&loop->posts) ||
           ad_timers_next(&loop->timers) != UINT64_MAX;
}

/* The first turn does not wait: hooks may have work from before the loop ran. */
void ad_loop_run(struct ad_loop *loop)
{
    turn(loop, UV_RUN_NOWAIT);
    while (!loop->stopping && is_alive(loop)) {
        turn(loop, UV_RUN_ONCE);
    }
    loop->stopping = false;
}

void ad_loop_stop(struct ad_loop *loop)
{
    loop->stopping = true;
}

/* The timer also makes libuv poll when only unreferenced handles are open (signals). */
void ad_loop_turn(struct ad_loop *loop, unsigned wait_ms)
{
    uv_update_time(&loop->uv);
    uv_timer_start(&loop->wait, on_wake, wait_ms, 0);
    turn(loop, wait_ms ? UV_RUN_ONCE : UV_RUN_NOWAIT);
    uv_timer_stop(&loop->wait);
}

/* libuv does not wait where nothing keeps it alive, although it has nothing to do either. */
bool ad_loop_is_idle(struct ad_loop *loop)
{
    bool waits = !uv_loop_alive(&loop->uv) || uv_backend_timeout(&loop->uv) != 0;
    struct pollfd ready = { .fd = uv_backend_fd(&loop->uv), .events = POLLIN };
    return !is_due(loop) && waits && poll(&ready, 1, 0) == 0;
}

/* --- closing --- */

struct survey {
    struct ad_loop *loop;
    size_t closing, left;
    bool report, close;
};

static bool is_own(const struct ad_loop *loop, const uv_handle_t *h)
{
    return h == (const uv_handle_t *)&loop->deadline || h == (const uv_handle_t *)&loop->wait ||
           h == (const uv_handle_t *)&loop->probe || h == (const uv_handle_t *)&loop->nowait;
}

static void log_leftover(const char *type, const char *owner)
{
    ad_log(AD_LOG_ERROR, "loop_leftover", AD_KC("type", type),
           AD_KC("owner", owner ? owner : "unknown"));
}

static void on_walk(uv_handle_t *h, void *arg)
{
    struct survey *s = arg;
    if (uv_is_closing(h)) {
        s->closing++;
        return;
    }
    if (!is_own(s->loop, h)) {
        s->left++;
        if (s->report) {
            log_leftover(uv_handle_type_name(uv_handle_get_type(h)), uv_handle_get_data(h));
        }
    }
    if (s->report) {
        uv_unref(h);
    }
    if (s->close) {
        uv_close(h, NULL);
    }
}

static size_t survey(struct survey s, size_t *closing)
{
    uv_walk(&s.loop->uv, on_walk, &s);
    *closing = s.closing;
    return s.left;
}

static void finish_closing(struct ad_loop *loop)
{
    size_t closing = 1;
    for (unsigned i = 0; i < CLOSE_TURNS_MAX && closing; i++) {
        turn(loop, UV_RUN_NOWAIT);
        survey((struct survey){ .loop = loop }, &closing);
        closing += ad_list_empty(&loop->posts) ? 0 : 1;
    }
}

static size_t report_leftovers(struct ad_loop *loop)
{
    size_t closing;
    size_t left = survey((struct survey){ .loop = loop, .report = true }, &closing);
    for (; loop->timers.count > 0; left++) {
        log_leftover("deadline", NULL);
        ad_timer_stop(&loop->timers, loop->timers.heap[0]);
    }
    for (; ad_list_pop(&loop->hooks); left++) {
        log_leftover("hook", NULL);
    }
    return left;
}

/* Requests cannot always be cancelled (a name being resolved): everything else is unreferenced
 * by now, so the loop is alive as long as one is under way. */
static void await_requests(struct ad_loop *loop)
{
    uint64_t end = uv_hrtime() / 1000000 + CLOSE_WAIT_MS;
    while (uv_loop_alive(&loop->uv) && uv_hrtime() / 1000000 < end) {
        ad_loop_turn(loop, PROBE_MS);
    }
}

enum ad_err ad_loop_close(struct ad_loop *loop)
{
    finish_closing(loop);
    size_t left = report_leftovers(loop);
    await_requests(loop);
    size_t closing;
    survey((struct survey){ .loop = loop, .close = true }, &closing);
    for (unsigned i = 0; i < CLOSE_TURNS_MAX && uv_loop_alive(&loop->uv); i++) {
        uv_run(&loop->uv, UV_RUN_NOWAIT);
    }
    ad_timers_fini(&loop->timers);
    if (uv_loop_close(&loop->uv)) {
        log_leftover("request", NULL); /* its thread still writes there: the loop's memory stays */
        return AD_ERR_INTERNAL;
    }
    ad_free(loop);
    return left ? AD_ERR_INTERNAL : AD_OK;
}

/* --- the rest --- */

const struct ad_clock *ad_loop_clock(const struct ad_loop *loop)
{
    return loop->clock;
}

struct ad_timers *ad_loop_timers(struct ad_loop *loop)
{
    return &loop->timers;
}

void ad_loop_post(struct ad_loop *loop, struct ad_post *post, void (*cb)(struct ad_post *post))
{
    AD_ASSERT(!post->cb);
    post->cb = cb;
    ad_list_push(&loop->posts, &post->link);
}

void ad_loop_unpost(struct ad_post *post)
{
    if (post->cb) {
        post->cb = NULL;
        ad_list_remove(&post->link);
    }
}

void ad_loop_hook_add(struct ad_loop *loop, struct ad_loop_hook *hook)
{
    ad_list_push(&loop->hooks, &hook->link);
}

void ad_loop_hook_remove(struct ad_loop_hook *hook)
{
    ad_list_remove(&hook->link);
}

unsigned ad_loop_lag_ms(struct ad_loop *loop)
{
    unsigned lag = loop->lag_ms;
    loop->lag_ms = 0;
    return lag;
}

void ad_loop_observe_lag(struct ad_loop *loop, struct ad_histogram *lag)
{
    loop->lag = lag;
}

uv_loop_t *ad__loop_uv(struct ad_loop *loop)
{
    return &loop->uv;
}

uv_buf_t ad__loop_input(uv_loop_t *uv)
{
    struct ad_loop *loop = ad_container_of(uv, struct ad_loop, uv);
    return uv_buf_init(loop->input, sizeof(loop->input));
}

/* --- errors --- */

enum ad_err ad__uv_err(int status)
{
    switch (status) {
    case 0:
        return AD_OK;
    case UV_ENOMEM:
    case UV_EAI_MEMORY:
        return AD_ERR_NOMEM;
    case UV_ECANCELED:
    case UV_EAI_CANCELED:
        return AD_ERR_CANCELED;
    case UV_EOF:
        return AD_ERR_CLOSED;
    default:
        return status <= UV_EAI_ADDRFAMILY && status >= UV_EAI_PROTOCOL ? AD_ERR_DNS
                                                                        : AD_ERR_NETWORK;
    }
}

enum ad_err ad__uv_fail(struct ad_errinfo *info, int status, const char *what)
{
    char text[128];
    uv_strerror_r(status, text, sizeof(text));
    if (info) {
        info->os = -status;
    }
    return ad_fail(info, ad__uv_err(status), "%s: %s", what, text);
}
