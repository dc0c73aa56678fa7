#include "infra/log_sink.h"

#include "base/mem.h"

#include "loop/uv_private.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* The descriptor belongs to others too (a terminal, a pipe shared with the parent), so it is not
 * switched to non-blocking mode. A pipe or terminal that poll(2) calls writable takes 4 KiB
 * without blocking; a socket is asked not to block by each send; a plain file does not block.
 *
 * While the ring holds anything, exactly one of post, async and retry is on its way to flush it. */

enum {
    RING = 1 << 20, /* a power of two */
    PIPE_CHUNK = 4096,
    RETRY_MS = 50,
    CLOSE_MS = 200,
};

struct ad_log_fd {
    struct ad_loop *loop;
    uv_thread_t loop_thread;
    uv_async_t async; /* wakes from other threads */
    struct ad_post post;
    struct ad_timer retry;
    int fd;
    mode_t type;

    uv_mutex_t lock; /* over all below */
    char *ring;
    size_t put, taken;    /* bytes since the start; the difference is in the ring */
    uint64_t dropped;     /* not reported yet */
    uint64_t dropped_all; /* ever */
};

/* --- ring --- */

static bool ring_put(struct ad_log_fd *l, struct ad_str line)
{
    if (RING - (l->put - l->taken) < line.n) {
        l->dropped++;
        l->dropped_all++;
        return false;
    }
    for (size_t done = 0; done < line.n;) {
        size_t at = (l->put + done) % RING;
        size_t n = line.n - done < RING - at ? line.n - done : RING - at;
        memcpy(l->ring + at, line.p + done, n);
        done += n;
    }
    l->put += line.n;
    return true;
}

/* The oldest bytes in one piece. They stay until taken, so they may be read without the lock. */
static struct ad_str ring_front(struct ad_log_fd *l)
{
    uv_mutex_lock(&l->lock);
    size_t at = l->taken % RING;
    size_t n = l->put - l->taken;
    uv_mutex_unlock(&l->lock);
    return ad_str_n(l->ring + at, n < RING - at ? n : RING - at);
}

static void ring_take(struct ad_log_fd *l, size_t n)
{
    uv_mutex_lock(&l->lock);
    l->taken += n;
    uv_mutex_unlock(&l->lock);
}

static uint64_t take_dropped(struct ad_log_fd *l)
{
    uv_mutex_lock(&l->lock);
    uint64_t dropped = l->dropped;
    l->dropped = 0;
    uv_mutex_unlock(&l->lock);
    return dropped;
}

uint64_t ad_log_fd_dropped(struct ad_log_fd *l)
{
    uv_mutex_lock(&l->lock);
    uint64_t dropped = l->dropped_all;
    uv_mutex_unlock(&l->lock);
    return dropped;
}

/* --- descriptor --- */

static bool is_writable(const struct ad_log_fd *l, int wait_ms)
{
    struct pollfd p = { .fd = l->fd, .events = POLLOUT };
    return poll(&p, 1, wait_ms) == 1 && (p.revents & POLLOUT);
}

static ssize_t write_once(const struct ad_log_fd *l, struct ad_str s)
{
    if (l->type == S_IFSOCK) {
        return send(l->fd, s.p, s.n, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    if (l->type == S_IFREG) {
        return write(l->fd, s.p, s.n);
    }
    return is_writable(l, 0) ? write(l->fd, s.p, s.n < PIPE_CHUNK ? s.n : PIPE_CHUNK) : 0;
}

/* How many bytes went out; 0 when the descriptor takes nothing, for whatever reason. */
static size_t write_some(const struct ad_log_fd *l, struct ad_str s)
{
    ssize_t n;
    do {
        n = write_once(l, s);
    } while (n < 0 && errno == EINTR);
    return n > 0 ? (size_t)n : 0;
}

/* True when nothing is left. */
static bool drain(struct ad_log_fd *l)
{
    for (;;) {
        struct ad_str s = ring_front(l);
        if (s.n == 0) {
            return true;
        }
        size_t n = write_some(l, s);
        if (n == 0) {
            return false;
        }
        ring_take(l, n);
    }
}

/* --- flushing --- */

static void on_retry(struct ad_timer *timer);

static void flush(struct ad_log_fd *l)
{
    if (!drain(l)) {
        ad_timer_start(ad_loop_timers(l->loop), &l->retry, RETRY_MS, on_retry);
        return;
    }
    uint64_t dropped = take_dropped(l);
    if (dropped > 0) {
        ad_log(AD_LOG_WARN, "log_dropped", AD_KI("lines", dropped));
    }
}

static void on_retry(struct ad_timer *timer)
{
    flush(ad_container_of(timer, struct ad_log_fd, retry));
}

static void on_post(struct ad_post *post)
{
    flush(ad_container_of(post, struct ad_log_fd, post));
}

static void on_async(uv_async_t *async)
{
    flush(ad_container_of(async, struct ad_log_fd, async));
}

static void on_line(void *ctx, enum ad_log_level level, struct ad_str line)
{
    (void)level;
    struct ad_log_fd *l = ctx;
    uv_mutex_lock(&l->lock);
    bool was_empty = l->put == l->taken;
    bool kept = ring_put(l, line);
    uv_mutex_unlock(&l->lock);
    if (!was_empty || !kept) {
        return;
    }
    uv_thread_t self = uv_thread_self();
    if (uv_thread_equal(&self, &l->loop_thread)) {
        ad_loop_post(l->loop, &l->post, on_post);
    } else {
        uv_async_send(&l->async);
    }
}

/* --- opening and closing --- */

static mode_t type_of(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 ? st.st_mode & S_IFMT : 0;
}

enum ad_err ad_log_fd_open(struct ad_loop *loop, int fd, enum ad_log_format format,
                           struct ad_log_fd **out)
{
    struct ad_log_fd *l = ad_zalloc(sizeof(*l));
    char *ring = ad_alloc(RING); /* not zeroed: pages never used are never real */
    if (!l || !ring || uv_mutex_init(&l->lock)) {
        goto fail_memory;
    }
    if (uv_async_init(ad__loop_uv(loop), &l->async, on_async)) {
        goto fail_mutex;
    }
    ad__label(&l->async, "log");
    uv_unref((uv_handle_t *)&l->async);
    l->loop = loop;
    l->loop_thread = uv_thread_self();
    l->fd = fd;
    l->type = type_of(fd);
    l->ring = ring;
    ad_log_install(on_line, l, ad_loop_clock(loop), format);
    *out = l;
    return AD_OK;

fail_mutex:
    uv_mutex_destroy(&l->lock);
fail_memory:
    ad_free(ring);
    ad_free(l);
    return AD_ERR_NOMEM;
}

static void on_closed(uv_handle_t *h)
{
    struct ad_log_fd *l = ad_container_of((uv_async_t *)h, struct ad_log_fd, async);
    uv_mutex_destroy(&l->lock);
    ad_free(l->ring);
    ad_free(l);
}

static void drain_for(struct ad_log_fd *l, uint64_t ms)
{
    uint64_t end = uv_hrtime() / 1000000 + ms;
    while (!drain(l)) {
        uint64_t now = uv_hrtime() / 1000000;
        if (now >= end || !is_writable(l, (int)(end - now))) {
            return;
        }
    }
}

void ad_log_fd_close(struct ad_log_fd *l)
{
    ad_log_install(NULL, NULL, NULL, AD_LOG_JSON);
    ad_loop_unpost(&l->post);
    ad_timer_stop(ad_loop_timers(l->loop), &l->retry);
    drain_for(l, CLOSE_MS);
    uv_close((uv_handle_t *)&l->async, on_closed);
}
