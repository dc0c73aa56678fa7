/* LD_PRELOAD: the disk under one directory of a real process, as a test wants it. tests/support/disk.py
 * is the other half: it arms failures, and works out what a power cut would have left.
 *
 *   DISK_DIR      absolute; files below it are followed, all others are left alone
 *   DISK_CONTROL  a file of struct control, mapped by both sides
 *   DISK_JOURNAL  appended to: what was done to those files, in the order in which it was done
 *
 * Nothing is really synced: whether it would be there after a power cut is for the journal to say,
 * and a record of a sync is in it before the call returns, so before anybody can be told. One lock
 * is held over each call and its record. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum call { OPEN, READ, WRITE, SYNC, TRUNCATE, UNLINK, LINK, STAT, LOCK, MAP, CALLS };

/* From the n-th of these calls from now, `times` in a row fail with `error`, on files whose name ends
 * in `only`; error 0: a write takes half of what it was given, other calls go through. Letting go of a
 * lock never fails. */
struct control {
    uint32_t call, n, times;
    int32_t error;
    char only[8];
    uint32_t failed, made[CALLS];
};

/* "oOwtsFulS": opened, created, written, cut to `at`, synced, sync failed, unlinked, linked,
 * directory synced. Then `path_n` bytes of the path and `n` of data (of a link, its new name). */
struct record {
    uint32_t op, path_n, n, pad;
    uint64_t ino, at;
};

enum { FDS = 1024 };
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct control *control;
static const char *root;
static int journal = -1;
static struct {
    bool followed, is_directory;
    char end[8]; /* of its name */
} files[FDS];

static __attribute__((constructor)) void start(void)
{
    const char *path = getenv("DISK_CONTROL");
    root = getenv("DISK_DIR");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0 || !root) {
        _exit(120);
    }
    void *map = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (map == MAP_FAILED) {
        _exit(121);
    }
    path = getenv("DISK_JOURNAL");
    journal = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    control = map;
}

/* Defines the C library's function `name`, under a name of ours in this file: its own declaration has
 * other names for the arguments. */
#define SHIM(type, name, ...)                            \
    extern type shim_##name(__VA_ARGS__) __asm__(#name); \
    type shim_##name(__VA_ARGS__)

/* The C library's own. */
#define REAL(type, name, ...)                                  \
    static type (*real)(__VA_ARGS__);                          \
    if (!real) {                                               \
        *(void **)(uintptr_t)&real = dlsym(RTLD_NEXT, (name)); \
    }

static bool is_below(const char *path)
{
    if (!control || !root || !path) {
        return false;
    }
    size_t n = strlen(root);
    return strncmp(path, root, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

static bool follows(int fd)
{
    return control && fd >= 0 && fd < FDS && files[fd].followed;
}

static bool ends_in(const char *name, const char *end)
{
    size_t n = strlen(name);
    size_t m = strnlen(end, sizeof(control->only));
    return n >= m && strncmp(name + n - m, end, m) == 0;
}

/* Under the lock. */
static bool fails(enum call call, const char *name)
{
    control->made[call]++;
    if (control->call != (uint32_t)call || control->times == 0 || !ends_in(name, control->only)) {
        return false;
    }
    if (control->n > 0) {
        control->n--;
        return false;
    }
    control->times--;
    control->failed++;
    return true;
}

/* Also under the lock, for calls whose only other outcome is the real one. */
static bool refused(enum call call, const char *name)
{
    if (!fails(call, name) || control->error == 0) {
        return false;
    }
    errno = control->error;
    return true;
}

/* Takes the lock. */
static bool refused_fd(enum call call, int fd)
{
    bool no = false;
    if (follows(fd)) {
        pthread_mutex_lock(&lock);
        no = refused(call, files[fd].end);
        pthread_mutex_unlock(&lock);
    }
    return no;
}

static void note(char op, int fd, const char *path, uint64_t at, const void *data, size_t n)
{
    struct stat st = { .st_ino = 0 };
    if (journal < 0) {
        return;
    }
    int os = errno;
    if (fd >= 0) {
        (void)fstatat(fd, "", &st, AT_EMPTY_PATH);
    }
    size_t path_n = path ? strlen(path) : 0;
    struct record r = { .op = (unsigned char)op,
                        .path_n = (uint32_t)path_n,
                        .n = (uint32_t)n,
                        .ino = st.st_ino,
                        .at = at };
    struct iovec parts[] = { { &r, sizeof(r) },
                             { (void *)(uintptr_t)path, path_n },
                             { (void *)(uintptr_t)data, n } };
    if (writev(journal, parts, 3) != (ssize_t)(sizeof(r) + path_n + n)) {
        _exit(122);
    }
    errno = os;
}

/* --- names --- */

static void follow(int fd, const char *path)
{
    struct stat st;
    size_t n = strlen(path);
    size_t cut = n >= sizeof(files[fd].end) ? n - sizeof(files[fd].end) + 1 : 0;
    files[fd].followed = true;
    files[fd].is_directory = fstatat(fd, "", &st, AT_EMPTY_PATH) == 0 && S_ISDIR(st.st_mode);
    memcpy(files[fd].end, path + cut, n - cut + 1);
}

static int open_followed(int (*real)(const char *, int, ...), const char *path, int flags,
                         mode_t mode)
{
    if (!is_below(path)) {
        return real(path, flags, mode);
    }
    pthread_mutex_lock(&lock);
    bool existed = faccessat(AT_FDCWD, path, F_OK, 0) == 0;
    int fd = refused(OPEN, path) ? -1 : real(path, flags, mode);
    if (fd >= 0 && fd < FDS) {
        follow(fd, path);
        note(existed ? 'o' : 'O', fd, path, 0, NULL, 0);
        if (flags & O_TRUNC) {
            note('t', fd, NULL, 0, NULL, 0);
        }
    }
    pthread_mutex_unlock(&lock);
    return fd;
}

static mode_t mode_of(int flags, va_list args)
{
    return flags & O_CREAT ? (mode_t)va_arg(args, int) : 0;
}

#define OPENS(name)                                    \
    SHIM(int, name, const char *path, int flags, ...)  \
    {                                                  \
        REAL(int, #name, const char *, int, ...)       \
        va_list args;                                  \
        va_start(args, flags);                         \
        mode_t mode = mode_of(flags, args);            \
        va_end(args);                                  \
        return open_followed(real, path, flags, mode); \
    }
OPENS(open)
OPENS(open64)

/* What -D_FORTIFY_SOURCE makes of an open without a mode. */
SHIM(int, __open_2, const char *path, int flags)
{
    return shim_open(path, flags);
}

SHIM(int, close, int fd)
{
    REAL(int, "close", int)
    if (follows(fd)) {
        pthread_mutex_lock(&lock);
        files[fd].followed = false;
        pthread_mutex_unlock(&lock);
    }
    return real(fd);
}

SHIM(int, unlink, const char *path)
{
    REAL(int, "unlink", const char *)
    if (!is_below(path)) {
        return real(path);
    }
    pthread_mutex_lock(&lock);
    int status = refused(UNLINK, path) ? -1 : real(path);
    if (status == 0) {
        note('u', -1, path, 0, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    return status;
}

SHIM(int, link, const char *from, const char *to)
{
    REAL(int, "link", const char *, const char *)
    if (!is_below(to)) {
        return real(from, to);
    }
    pthread_mutex_lock(&lock);
    int status = refused(LINK, to) ? -1 : real(from, to);
    if (status == 0) {
        note('l', -1, from, 0, to, strlen(to));
    }
    pthread_mutex_unlock(&lock);
    return status;
}

#define STATS(name, type)                              \
    SHIM(int, name, const char *path, struct type *st) \
    {                                                  \
        REAL(int, #name, const char *, struct type *)  \
        bool no = false;                               \
        if (is_below(path)) {                          \
            pthread_mutex_lock(&lock);                 \
            no = refused(STAT, path);                  \
            pthread_mutex_unlock(&lock);               \
        }                                              \
        return no ? -1 : real(path, st);               \
    }                                                  \
    SHIM(int, f##name, int fd, struct type *st)        \
    {                                                  \
        REAL(int, "f" #name, int, struct type *)       \
        bool no = refused_fd(STAT, fd);                \
        return no ? -1 : real(fd, st);                 \
    }
STATS(stat, stat)
STATS(stat64, stat64)

/* --- bytes --- */

static ssize_t write_followed(ssize_t (*real)(int, const void *, size_t, off_t), int fd,
                              const void *data, size_t n, off_t at)
{
    if (!follows(fd)) {
        return real(fd, data, n, at);
    }
    pthread_mutex_lock(&lock);
    bool no = fails(WRITE, files[fd].end);
    ssize_t written = -1;
    if (no && control->error) {
        errno = control->error;
    } else {
        written = real(fd, data, no && n > 1 ? n / 2 : n, at);
    }
    if (written > 0) {
        note('w', fd, NULL, (uint64_t)at, data, (size_t)written);
    }
    pthread_mutex_unlock(&lock);
    return written;
}

static ssize_t read_followed(ssize_t (*real)(int, void *, size_t, off_t), int fd, void *data,
                             size_t n, off_t at)
{
    return refused_fd(READ, fd) ? -1 : real(fd, data, n, at);
}

static int truncate_followed(int (*real)(int, off_t), int fd, off_t size)
{
    if (!follows(fd)) {
        return real(fd, size);
    }
    pthread_mutex_lock(&lock);
    int status = refused(TRUNCATE, files[fd].end) ? -1 : real(fd, size);
    if (status == 0) {
        note('t', fd, NULL, (uint64_t)size, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    return status;
}

static int sync_followed(int (*real)(int), int fd)
{
    if (!follows(fd)) {
        return real(fd);
    }
    pthread_mutex_lock(&lock);
    int status = refused(SYNC, files[fd].end) ? -1 : 0;
    if (files[fd].is_directory) {
        note(status ? 'f' : 'S', fd, NULL, 0, NULL, 0);
    } else {
        note(status ? 'F' : 's', fd, NULL, 0, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    return status;
}

/* off_t has 64 bits here in either family. */
#define BYTES(suffix)                                                                             \
    SHIM(ssize_t, pwrite##suffix, int fd, const void *data, size_t n, off_t at)                   \
    {                                                                                             \
        REAL(ssize_t, "pwrite" #suffix, int, const void *, size_t, off_t)                         \
        return write_followed(real, fd, data, n, at);                                             \
    }                                                                                             \
    SHIM(ssize_t, pread##suffix, int fd, void *data, size_t n, off_t at)                          \
    {                                                                                             \
        REAL(ssize_t, "pread" #suffix, int, void *, size_t, off_t)                                \
        return read_followed(real, fd, data, n, at);                                              \
    }                                                                                             \
    SHIM(int, ftruncate##suffix, int fd, off_t size)                                              \
    {                                                                                             \
        REAL(int, "ftruncate" #suffix, int, off_t)                                                \
        return truncate_followed(real, fd, size);                                                 \
    }                                                                                             \
    SHIM(void *, mmap##suffix, void *p, size_t n, int prot, int flags, int fd, off_t at)          \
    {                                                                                             \
        REAL(void *, "mmap" #suffix, void *, size_t, int, int, int, off_t)                        \
        return refused_fd(MAP, fd) ? MAP_FAILED : real(p, n, prot, flags, fd, at);                \
    }                                                                                             \
    SHIM(int, fcntl##suffix, int fd, int what, ...)                                               \
    {                                                                                             \
        REAL(int, "fcntl" #suffix, int, int, ...)                                                 \
        va_list args;                                                                             \
        va_start(args, what);                                                                     \
        void *arg = va_arg(args, void *);                                                         \
        va_end(args);                                                                             \
        bool locks =                                                                              \
            (what == F_SETLK || what == F_OFD_SETLK) && ((struct flock *)arg)->l_type != F_UNLCK; \
        return locks && refused_fd(LOCK, fd) ? -1 : real(fd, what, arg);                          \
    }
BYTES()
BYTES(64)

SHIM(int, fsync, int fd)
{
    REAL(int, "fsync", int)
    return sync_followed(real, fd);
}

SHIM(int, fdatasync, int fd)
{
    REAL(int, "fdatasync", int)
    return sync_followed(real, fd);
}
