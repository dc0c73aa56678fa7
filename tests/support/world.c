#include "support/world.h"

#include "base/log.h"

#include <check.h>
#include <dirent.h>
#include <sys/stat.h>
#include <time.h>

enum {
    PATIENCE_MS = 40000, /* a busy machine is no reason to fail */
    TURN_MS = 10,
    SETTLE_TURNS = 100,
};

static uint64_t real_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

size_t world_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    ck_assert_ptr_nonnull(dir);
    size_t n = 0;
    while (readdir(dir)) {
        n++;
    }
    closedir(dir);
    return n;
}

static void capture(void *ctx, enum ad_log_level level, struct ad_str line)
{
    (void)level;
    ad_buf_put(ctx, line);
}

/* libuv keeps a few descriptors for the process from its first loop on. */
static void open_first_loop(void)
{
    struct ad_loop *loop = NULL;
    ck_assert_int_eq(ad_loop_open(&loop), AD_OK);
    ck_assert_int_eq(ad_loop_close(loop), AD_OK);
}

static void open_on(struct world *w, const struct ad_clock *clock)
{
    open_first_loop();
    w->descriptors = world_descriptors();
    heap_install();
    ad_buf_init(&w->log, 16 << 20);
    ck_assert_int_eq(ad_loop_open_on(clock, &w->loop), AD_OK);
    ad_log_install(capture, &w->log, ad_loop_clock(w->loop), AD_LOG_JSON);
}

void world_open(struct world *w)
{
    *w = (struct world){ .loop = NULL };
    vclock_init(&w->clock);
    open_on(w, &w->clock.clock);
}

void world_open_real_time(struct world *w)
{
    *w = (struct world){ .loop = NULL };
    open_on(w, NULL);
}

void world_close(struct world *w)
{
    enum ad_err closed = ad_loop_close(w->loop);
    ad_log_install(NULL, NULL, NULL, AD_LOG_JSON);
    ck_assert_msg((closed == AD_OK) != w->leftovers_expected, "the loop was not left empty:\n%.*s",
                  AD_FMT(ad_buf_str(&w->log)));
    ad_buf_fini(&w->log);
    size_t pieces = heap_uninstall();
    ck_assert_msg(pieces == 0, "%zu pieces of memory were left", pieces);
    size_t descriptors = world_descriptors();
    ck_assert_msg(descriptors == w->descriptors, "%zu descriptors before, %zu after",
                  w->descriptors, descriptors);
}

/* --- turning --- */

/* What they are at, a loop does not know. */
static bool has_threads(void)
{
    struct stat task;
    return stat("/proc/self/task", &task) != 0 || task.st_nlink > 3; /* ".", "..", and one each */
}

/* Idle twice: what a turn begins to watch, the next one looks at. */
void world_settle(struct world *w)
{
    unsigned idle = 0;
    bool blind = has_threads();
    for (unsigned i = 0; i < SETTLE_TURNS && (blind || idle < 2); i++) {
        ad_loop_turn(w->loop, 0);
        idle = ad_loop_is_idle(w->loop) ? idle + 1 : 0;
    }
}

void world_advance(struct world *w, uint64_t ms)
{
    uint64_t end = w->clock.mono_ms + ms;
    world_settle(w);
    uint64_t next;
    while ((next = ad_timers_next(ad_loop_timers(w->loop))) <= end) {
        uint64_t now = w->clock.mono_ms;
        vclock_advance(&w->clock, next > now ? next - now : 0);
        world_settle(w);
    }
    vclock_advance(&w->clock, end - w->clock.mono_ms);
    world_settle(w);
}

/* As much as libcheck takes. */
static struct ad_str log_end(const struct world *w)
{
    struct ad_str s = ad_buf_str(&w->log);
    size_t skip = s.n > 4000 ? s.n - 4000 : 0;
    return ad_str_n(s.p + skip, s.n - skip);
}

void world_until(struct world *w, bool (*cond)(void *ctx), void *ctx)
{
    uint64_t give_up = real_ms() + PATIENCE_MS;
    while (!cond(ctx)) {
        ck_assert_msg(real_ms() < give_up, "waited %d ms in vain; the log says:\n%.*s", PATIENCE_MS,
                      AD_FMT(log_end(w)));
        ad_loop_turn(w->loop, TURN_MS);
    }
}

static bool is_true(void *ctx)
{
    return *(const bool *)ctx;
}

void world_until_true(struct world *w, const bool *flag)
{
    world_until(w, is_true, (void *)(uintptr_t)flag);
}

struct goal {
    const unsigned *counter;
    unsigned n;
};

static bool is_reached(void *ctx)
{
    const struct goal *goal = ctx;
    return *goal->counter >= goal->n;
}

void world_until_count(struct world *w, const unsigned *counter, unsigned n)
{
    world_until(w, is_reached, &(struct goal){ counter, n });
}

bool world_logged(const struct world *w, const char *text)
{
    return ad_str_contains(ad_buf_str(&w->log), ad_str_c(text));
}
