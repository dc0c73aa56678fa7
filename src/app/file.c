#include "app/file.h"

#include "infra/crypto.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum ad_err fail_os(struct ad_errinfo *info, const char *path, int os)
{
    if (info) {
        info->os = os;
    }
    return ad_fail(info, os == ENOENT ? AD_ERR_NOTFOUND : AD_ERR_INVALID, "%s: %s", path,
                   strerror(os));
}

static enum ad_err read_all(int fd, char *p, size_t cap, size_t *n)
{
    *n = 0;
    while (*n < cap) {
        ssize_t got = read(fd, p + *n, cap - *n);
        if (got == 0) {
            return AD_OK;
        }
        if (got > 0) {
            *n += (size_t)got;
        } else if (errno != EINTR) {
            return AD_ERR_INVALID;
        }
    }
    return AD_ERR_TOOLARGE;
}

/* Mounted secrets may be pipes or report no size, so the size is not asked for. */
static enum ad_err read_open(struct ad_arena *arena, int fd, size_t max, struct ad_str *out)
{
    struct ad_arena scratch; /* what is left over would stay on the caller's */
    ad_arena_init(&scratch, max + 4096);
    size_t n = 0;
    enum ad_err err = AD_ERR_NOMEM;
    char *p = ad_arena_alloc(&scratch, max + 1);
    if (p) {
        err = read_all(fd, p, max + 1, &n);
    }
    if (!err) {
        struct ad_str copy = ad_arena_str(arena, ad_str_n(p, n));
        err = copy.p ? AD_OK : AD_ERR_NOMEM;
        if (!err) {
            *out = copy;
        }
    }
    if (p) {
        ad_wipe(p, n); /* it may have been a secret */
    }
    ad_arena_fini(&scratch);
    return err;
}

enum ad_err ad_file_read(struct ad_arena *arena, const char *path, size_t max, struct ad_str *out,
                         struct ad_errinfo *info)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return fail_os(info, path, errno);
    }
    enum ad_err err = read_open(arena, fd, max, out);
    int os = errno;
    (void)close(fd);
    switch (err) {
    case AD_OK:
        return AD_OK;
    case AD_ERR_INVALID:
        return fail_os(info, path, os);
    case AD_ERR_TOOLARGE:
        return ad_fail(info, err, "%s: larger than %zu bytes", path, max);
    default:
        return ad_fail(info, err, "%s: no memory", path);
    }
}

enum ad_err ad_file_make_parent(const char *path, struct ad_errinfo *info)
{
    char folder[4096];
    size_t n = strlen(path);
    if (n >= sizeof(folder)) {
        return ad_fail(info, AD_ERR_INVALID, "the path is too long");
    }
    for (size_t i = 1; i < n; i++) {
        if (path[i] != '/') {
            continue;
        }
        memcpy(folder, path, i);
        folder[i] = '\0';
        if (mkdir(folder, 0700) != 0 && errno != EEXIST && errno != EROFS && errno != EACCES) {
            return fail_os(info, folder, errno);
        }
    }
    return AD_OK; /* a parent that exists but may not be written shows when the file is opened */
}

const char *ad_file_of_database(const char *url)
{
    const char *path = url + strlen("sqlite:");
    return strncmp(path, "///", 3) == 0 ? path + 2 : path;
}
