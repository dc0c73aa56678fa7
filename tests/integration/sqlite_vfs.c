#include "integration/sqlite_vfs.h"

#include "contract/store_fixture.h"

#include <check.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILES_MAX = 8, SECTOR = 512, PATH_BYTES = 160 };

/* One write, or the cutting to a size when data is NULL. */
struct change {
    struct change *next;
    sqlite3_int64 at;
    size_t n;
    unsigned char *data;
};

struct bytes {
    unsigned char *p;
    size_t n, cap;
};

struct image {
    char path[PATH_BYTES];
    struct bytes synced;
    struct change *first, **last;
};

struct shim_file {
    sqlite3_file base;
    struct image *image;
    char name[PATH_BYTES];
    sqlite3_file *real;
};

static sqlite3_vfs shim;
static sqlite3_vfs *real_vfs;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool watching;
static struct image images[FILES_MAX];

static struct {
    enum vfs_op op;
    char suffix[16];
    unsigned skip, times, failed, seen;
    int code;
} plan;

static sqlite3_file *real_of(sqlite3_file *file)
{
    return ((struct shim_file *)file)->real;
}

/* --- failing --- */

void vfs_fail(enum vfs_op op, const char *suffix, unsigned n, unsigned times, int code)
{
    pthread_mutex_lock(&lock);
    plan.op = op;
    text_of(plan.suffix, sizeof(plan.suffix), "%s", suffix);
    plan.skip = n;
    plan.times = times;
    plan.failed = plan.seen = 0;
    plan.code = code;
    pthread_mutex_unlock(&lock);
}

unsigned vfs_failed(void)
{
    pthread_mutex_lock(&lock);
    unsigned n = plan.failed;
    pthread_mutex_unlock(&lock);
    return n;
}

unsigned vfs_seen(void)
{
    pthread_mutex_lock(&lock);
    unsigned n = plan.seen;
    pthread_mutex_unlock(&lock);
    return n;
}

/* Under the lock. */
static bool must_fail(const struct shim_file *file, enum vfs_op op)
{
    size_t n = strlen(file->name);
    size_t suffix = strlen(plan.suffix);
    if (plan.op != op || n < suffix || strcmp(file->name + n - suffix, plan.suffix) != 0) {
        return false;
    }
    plan.seen++;
    if (plan.times == 0 || plan.skip > 0) {
        plan.skip -= plan.skip > 0;
        return false;
    }
    plan.times--;
    plan.failed++;
    return true;
}

/* --- images --- */

static void *must_have(void *p)
{
    ck_assert_ptr_nonnull(p);
    return p;
}

static struct image *image_of(const char *path)
{
    struct image *unused = NULL;
    for (size_t i = 0; i < FILES_MAX; i++) {
        if (strcmp(images[i].path, path) == 0) {
            return &images[i];
        }
        unused = images[i].path[0] ? unused : &images[i];
    }
    ck_assert_ptr_nonnull(unused);
    text_of(unused->path, sizeof(unused->path), "%s", path);
    unused->last = &unused->first;
    return unused;
}

static void note(struct image *image, sqlite3_int64 at, const void *data, size_t n)
{
    struct change *change = must_have(calloc(1, sizeof(*change)));
    change->at = at;
    change->n = n;
    if (data) {
        change->data = must_have(malloc(n));
        memcpy(change->data, data, n);
    }
    *image->last = change;
    image->last = &change->next;
}

static void resize(struct bytes *b, size_t n)
{
    if (n >= b->cap) {
        b->cap = 2 * n + 1;
        b->p = must_have(realloc(b->p, b->cap));
    }
    if (n > b->n) {
        memset(b->p + b->n, 0, n - b->n);
    }
    b->n = n;
}

static void put(struct bytes *b, size_t at, const unsigned char *data, size_t n)
{
    if (at + n > b->n) {
        resize(b, at + n);
    }
    memcpy((unsigned char *)must_have(b->p) + at, data, n);
}

static void drop_changes(struct image *image)
{
    while (image->first) {
        struct change *change = image->first;
        image->first = change->next;
        free(change->data);
        free(change);
    }
    image->last = &image->first;
}

static void settle(struct image *image)
{
    for (struct change *c = image->first; c; c = c->next) {
        if (c->data) {
            put(&image->synced, (size_t)c->at, c->data, c->n);
        } else {
            resize(&image->synced, (size_t)c->at);
        }
    }
    drop_changes(image);
}

static void clear(struct image *image)
{
    drop_changes(image);
    free(image->synced.p);
    *image = (struct image){ .first = NULL };
}

void vfs_watch(void)
{
    watching = true;
}

void vfs_forget(void)
{
    watching = false;
    for (size_t i = 0; i < FILES_MAX; i++) {
        clear(&images[i]);
    }
}

static void apply_some(struct bytes *b, const struct change *c, bool all, unsigned *seed)
{
    for (size_t done = 0; c->data && done < c->n; done += SECTOR) {
        size_t part = c->n - done < SECTOR ? c->n - done : SECTOR;
        if (all || rand_r(seed) % 2) {
            put(b, (size_t)c->at + done, c->data + done, part);
        }
    }
}

/* What was synced, and of the rest nothing, all, or any part. */
static void cut(const struct image *image, FILE *out, unsigned *seed)
{
    struct bytes left = { NULL, 0, 0 };
    unsigned mood = (unsigned)rand_r(seed) % 3;
    if (image->synced.n > 0) {
        put(&left, 0, image->synced.p, image->synced.n);
    }
    for (const struct change *c = image->first; c && mood > 0; c = c->next) {
        apply_some(&left, c, mood == 1, seed);
    }
    ck_assert_uint_eq(fwrite(left.p ? left.p : (unsigned char *)"", 1, left.n, out), left.n);
    free(left.p);
}

void vfs_power_cut(const char *dir, unsigned seed)
{
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < FILES_MAX; i++) {
        char path[2 * PATH_BYTES];
        if (!images[i].path[0]) {
            continue;
        }
        text_of(path, sizeof(path), "%s%s", dir, strrchr(images[i].path, '/'));
        FILE *out = must_have(fopen(path, "w"));
        cut(&images[i], out, &seed);
        ck_assert_int_eq(fclose(out), 0);
    }
    pthread_mutex_unlock(&lock);
}

/* --- the methods that matter --- */

static int shim_write(sqlite3_file *file, const void *data, int n, sqlite3_int64 at)
{
    struct shim_file *own = (struct shim_file *)file;
    pthread_mutex_lock(&lock);
    int rc =
        must_fail(own, VFS_WRITE) ? plan.code : own->real->pMethods->xWrite(own->real, data, n, at);
    if (!rc && own->image) {
        note(own->image, at, data, (size_t)n);
    }
    pthread_mutex_unlock(&lock);
    return rc;
}

static int shim_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    struct shim_file *own = (struct shim_file *)file;
    pthread_mutex_lock(&lock);
    int rc = own->real->pMethods->xTruncate(own->real, size);
    if (!rc && own->image) {
        note(own->image, size, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    return rc;
}

/* The kernel syncs before the image does: what is in the image is safe for sure. */
static int shim_sync(sqlite3_file *file, int flags)
{
    struct shim_file *own = (struct shim_file *)file;
    pthread_mutex_lock(&lock);
    int rc = must_fail(own, VFS_SYNC) ? plan.code : own->real->pMethods->xSync(own->real, flags);
    if (!rc && own->image) {
        settle(own->image);
    }
    pthread_mutex_unlock(&lock);
    return rc;
}

/* --- the others --- */

static int shim_close(sqlite3_file *file)
{
    struct shim_file *own = (struct shim_file *)file;
    int rc = own->real->pMethods->xClose(own->real);
    free(own->real);
    return rc;
}

static int shim_read(sqlite3_file *file, void *data, int n, sqlite3_int64 at)
{
    return real_of(file)->pMethods->xRead(real_of(file), data, n, at);
}

static int shim_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return real_of(file)->pMethods->xFileSize(real_of(file), size);
}

static int shim_lock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int shim_unlock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int shim_reserved(sqlite3_file *file, int *out)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), out);
}

static int shim_control(sqlite3_file *file, int op, void *arg)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), op, arg);
}

static int shim_sector(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static bool spoils_sectors;

void vfs_spoils_sectors(bool yes)
{
    spoils_sectors = yes;
}

static int shim_device(sqlite3_file *file)
{
    int device = real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
    return spoils_sectors ? device & ~SQLITE_IOCAP_POWERSAFE_OVERWRITE : device;
}

static int shim_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **out)
{
    return real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, out);
}

static int shim_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    return real_of(file)->pMethods->xShmLock(real_of(file), offset, n, flags);
}

static void shim_shm_barrier(sqlite3_file *file)
{
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int shim_shm_unmap(sqlite3_file *file, int remove)
{
    return real_of(file)->pMethods->xShmUnmap(real_of(file), remove);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = shim_close,
    .xRead = shim_read,
    .xWrite = shim_write,
    .xTruncate = shim_truncate,
    .xSync = shim_sync,
    .xFileSize = shim_size,
    .xLock = shim_lock,
    .xUnlock = shim_unlock,
    .xCheckReservedLock = shim_reserved,
    .xFileControl = shim_control,
    .xSectorSize = shim_sector,
    .xDeviceCharacteristics = shim_device,
    .xShmMap = shim_shm_map,
    .xShmLock = shim_shm_lock,
    .xShmBarrier = shim_shm_barrier,
    .xShmUnmap = shim_shm_unmap,
};

static int shim_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags,
                     int *out_flags)
{
    (void)vfs;
    struct shim_file *own = (struct shim_file *)file;
    *own = (struct shim_file){ .base = { NULL } };
    own->real = must_have(calloc(1, (size_t)real_vfs->szOsFile));
    int rc = real_vfs->xOpen(real_vfs, name, own->real, flags, out_flags);
    if (rc) {
        free(own->real);
        return rc;
    }
    text_of(own->name, sizeof(own->name), "%s", name ? name : "");
    pthread_mutex_lock(&lock);
    own->image = watching && name && !(flags & SQLITE_OPEN_DELETEONCLOSE) ? image_of(name) : NULL;
    pthread_mutex_unlock(&lock);
    own->base.pMethods = &methods;
    return SQLITE_OK;
}

static int shim_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    (void)vfs;
    int rc = real_vfs->xDelete(real_vfs, name, sync);
    pthread_mutex_lock(&lock);
    if (!rc && watching) {
        clear(image_of(name));
    }
    pthread_mutex_unlock(&lock);
    return rc;
}

void vfs_install(void)
{
    real_vfs = sqlite3_vfs_find(NULL);
    shim = *real_vfs;
    shim.zName = "shim";
    shim.szOsFile = sizeof(struct shim_file);
    shim.xOpen = shim_open;
    shim.xDelete = shim_delete;
    ck_assert_int_eq(sqlite3_vfs_register(&shim, 1), SQLITE_OK);
}
