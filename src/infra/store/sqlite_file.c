#include "store/sqlite_file.h"

#include "base/mem.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SUFFIX_MAX = 8,  /* "-wal", "-shm", ".lock" */
    SHOWN_MAX = 100, /* of a path, so that a message has room for what happened */
    CHUNK = 32 * 1024,
};

static enum ad_err fail_errno(struct ad_errinfo *info, const char *name, const char *what)
{
    int os = errno;
    char text[64];
    if (info) {
        info->os = os;
    }
    bool full = os == ENOSPC || os == EDQUOT;
    return ad_fail(info, full ? AD_ERR_STORE_FULL : AD_ERR_STORE, "%s: %s: %s", name, what,
                   strerror_r(os, text, sizeof(text)));
}

/* --- where --- */

/* sqlite:rel, sqlite:/abs, sqlite:///abs; NULL says why in info (CONFIG). */
static const char *parse_url(const char *url, struct ad_errinfo *info)
{
    const size_t scheme = sizeof("sqlite:") - 1;
    if (!url || strncmp(url, "sqlite:", scheme) != 0) {
        ad_fail(info, AD_ERR_CONFIG, "database url: only sqlite:<path> is supported");
        return NULL;
    }
    const char *p = url + scheme;
    bool authority = strncmp(p, "//", 2) == 0;
    p += authority ? 2 : 0;
    if (authority && *p != '/') {
        ad_fail(info, AD_ERR_CONFIG, "database url: sqlite:///<path> has three slashes");
        return NULL;
    }
    if (*p == '\0' || *p == ':' || strchr(p, '?')) {
        ad_fail(info, AD_ERR_CONFIG, "database url: sqlite:<path> of a file, no options");
        return NULL;
    }
    if (strlen(p) + SUFFIX_MAX >= PATH_MAX) {
        ad_fail(info, AD_ERR_CONFIG, "database url: the path is too long");
        return NULL;
    }
    return p;
}

/* The absolute path of a file that need not exist yet, in a directory that must. */
static bool resolve_new(const char *path, char out[PATH_MAX])
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) + 1 : 0;
    memcpy(dir, path, n);
    memcpy(dir + n, ".", 2);
    if (!realpath(dir, out)) {
        return false;
    }
    const char *name = slash ? slash + 1 : path;
    n = strlen(out);
    if (n + strlen(name) + SUFFIX_MAX >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return false;
    }
    int written = snprintf(out + n, PATH_MAX - n, "%s%s", n > 1 ? "/" : "", name);
    return written > 0;
}

static enum ad_err resolve(struct store_file *f, const char *path, struct ad_errinfo *info)
{
    char real[PATH_MAX];
    if (!realpath(path, real) && (errno != ENOENT || !resolve_new(path, real))) {
        return fail_errno(info, path, "cannot be found");
    }
    size_t n = strlen(real);
    f->path = ad_alloc(n + 1);
    if (!f->path) {
        return ad_fail(info, AD_ERR_NOMEM, "%s: no memory", path);
    }
    memcpy(f->path, real, n + 1);
    f->shown = f->path + (n > SHOWN_MAX ? n - SHOWN_MAX : 0);
    return AD_OK;
}

static void beside(const struct store_file *f, const char *suffix, char out[PATH_MAX])
{
    AD_IGNORE(snprintf(out, PATH_MAX, "%s%s", f->path, suffix) < 0, "resolve left room");
}

/* --- who --- */

static enum ad_err take_lock(struct store_file *f, struct ad_errinfo *info)
{
    char path[PATH_MAX];
    beside(f, ".lock", path);
    f->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (f->lock < 0) {
        return fail_errno(info, f->shown, "cannot open its .lock file");
    }
    /* Of the open file, not of the process: a second store in this process is kept out as well. */
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    if (fcntl(f->lock, F_OFD_SETLK, &lock) == 0) {
        return AD_OK;
    }
    if (errno == EAGAIN || errno == EACCES) {
        return ad_fail(info, AD_ERR_BUSY, "%s: another attiod has this database open", f->shown);
    }
    return fail_errno(info, f->shown, "cannot lock its .lock file");
}

/* A new name is durable only once its directory is. */
static int sync_directory(const struct store_file *f)
{
    char dir[PATH_MAX];
    beside(f, "", dir);
    char *slash = strrchr(dir, '/');
    slash[slash == dir ? 1 : 0] = '\0';
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    int status = fsync(fd);
    close(fd);
    return status;
}

static enum ad_err create(const struct store_file *f, struct ad_errinfo *info)
{
    int fd = open(f->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return fail_errno(info, f->shown, "cannot be created");
    }
    close(fd);
    return sync_directory(f) ? fail_errno(info, f->shown, "cannot sync its directory") : AD_OK;
}

static enum ad_err identify(struct store_file *f, struct ad_errinfo *info)
{
    struct stat st;
    if (stat(f->path, &st)) {
        if (errno != ENOENT) {
            return fail_errno(info, f->shown, "cannot be looked at");
        }
        enum ad_err err = create(f, info);
        if (err) {
            return err;
        }
        if (stat(f->path, &st)) {
            return fail_errno(info, f->shown, "cannot be looked at");
        }
    }
    if (!S_ISREG(st.st_mode)) {
        return ad_fail(info, AD_ERR_CONFIG, "%s: is not a plain file", f->shown);
    }
    f->device = st.st_dev;
    f->inode = st.st_ino;
    return AD_OK;
}

enum ad_err store_file_open(struct store_file *f, const char *url, struct ad_errinfo *info)
{
    *f = (struct store_file){ .lock = -1 };
    const char *path = parse_url(url, info);
    if (!path) {
        return AD_ERR_CONFIG;
    }
    enum ad_err err = resolve(f, path, info);
    err = err ? err : take_lock(f, info);
    err = err ? err : identify(f, info);
    if (err) {
        store_file_close(f);
    }
    return err;
}

/* The lock file stays: removing it would let two others each lock a file of that name. */
void store_file_close(struct store_file *f)
{
    if (f->lock >= 0) {
        close(f->lock);
    }
    ad_free(f->path);
    *f = (struct store_file){ .lock = -1 };
}

enum ad_err store_file_verify(const struct store_file *f, struct ad_errinfo *info)
{
    struct stat st;
    if (stat(f->path, &st)) {
        return fail_errno(info, f->shown, "is gone");
    }
    if (st.st_dev != f->device || st.st_ino != f->inode) {
        return ad_fail(info, AD_ERR_STORE, "%s: was replaced by another file", f->shown);
    }
    return AD_OK;
}

uint64_t store_file_bytes(const struct store_file *f)
{
    struct stat st;
    return stat(f->path, &st) ? 0 : (uint64_t)st.st_size;
}

/* --- the log --- */

static bool write_all(int fd, const char *p, size_t n, off_t at)
{
    while (n > 0) {
        ssize_t written = pwrite(fd, p, n, at);
        if (written < 0 && errno != EINTR) {
            return false;
        }
        if (written > 0) {
            p += written;
            at += written;
            n -= (size_t)written;
        }
    }
    return true;
}

static bool rewrite(int fd)
{
    char chunk[CHUNK];
    off_t at = 0;
    for (;;) {
        ssize_t n = pread(fd, chunk, sizeof(chunk), at);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n == 0 && fsync(fd) == 0;
        }
        if (!write_all(fd, chunk, (size_t)n, at)) {
            return false;
        }
        at += n;
    }
}

enum ad_err store_file_resync_log(const struct store_file *f, struct ad_errinfo *info)
{
    char path[PATH_MAX];
    beside(f, "-wal", path);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? AD_OK : fail_errno(info, f->shown, "cannot open its log");
    }
    enum ad_err err = rewrite(fd) ? AD_OK : fail_errno(info, f->shown, "cannot write its log");
    close(fd);
    return err;
}
