/* Preloaded into a program under test (release builds: sanitizers have their own ideas of malloc): the wall clock
 * leaps, and libuv finds no memory, when the test writes so into the file that ATTIOD_SHIM names. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* What lies in the file. */
static volatile struct control {
    int64_t leap_s;
    int64_t no_memory_for_libuv;
} none, *control = &none;

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t size);

__attribute__((constructor)) static void attach(void)
{
    int fd = open(getenv("ATTIOD_SHIM"), O_RDONLY | O_CLOEXEC);
    void *map = mmap(NULL, sizeof(none), PROT_READ, MAP_SHARED, fd, 0);
    if (map != MAP_FAILED) {
        control = map;
    }
    close(fd);
}

int clock_gettime(clockid_t id, struct timespec *t)
{
    int rc = (int)syscall(SYS_clock_gettime, id, t);
    if (rc == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
        t->tv_sec += control->leap_s;
    }
    return rc;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
    struct timespec t;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &t);
    out->tv_sec = t.tv_sec;
    out->tv_usec = t.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    if (out) {
        *out = t.tv_sec;
    }
    return t.tv_sec;
}

static int refuses(void *caller)
{
    Dl_info info;
    return control->no_memory_for_libuv && dladdr(caller, &info) && strstr(info.dli_fname, "libuv");
}

void *malloc(size_t size)
{
    return refuses(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    return refuses(__builtin_return_address(0)) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
    return refuses(__builtin_return_address(0)) ? NULL : __libc_realloc(p, size);
}
