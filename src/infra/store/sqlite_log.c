#include "store/sqlite_log.h"

#include <sqlite3.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

/* Some thirty pages: a larger one saves no more calls worth counting. */
#define GATHER_BYTES ((size_t)128 << 10)

struct log_file {
    sqlite3_file base;
    sqlite3_int64 at; /* where bytes[0] belongs */
    size_t n;
    int rc;              /* a piece was lost: nothing of this transaction may be called written */
    uint8_t *bytes;      /* GATHER_BYTES; allocated with the first write */
    sqlite3_file *below; /* behind this one, in the same allocation */
};

static struct log_file *log_of(sqlite3_file *f)
{
    return (struct log_file *)(void *)f;
}

static sqlite3_file *below(sqlite3_file *f)
{
    return log_of(f)->below;
}

static int flush(sqlite3_file *f)
{
    struct log_file *l = log_of(f);
    if (!l->rc && l->n) {
        l->rc = l->below->pMethods->xWrite(l->below, l->bytes, (int)l->n, l->at);
        l->n = 0;
    }
    return l->rc;
}

static int log_write(sqlite3_file *f, const void *bytes, int n, sqlite3_int64 at)
{
    struct log_file *l = log_of(f);
    size_t len = (size_t)n;
    bool follows = l->n > 0 && at == l->at + (sqlite3_int64)l->n && len <= GATHER_BYTES - l->n;
    int rc = follows ? SQLITE_OK : flush(f);
    if (!l->bytes) {
        l->bytes = sqlite3_malloc64(GATHER_BYTES);
    }
    if (rc || !l->bytes || len > GATHER_BYTES) {
        return rc ? rc : l->below->pMethods->xWrite(l->below, bytes, n, at);
    }
    if (!follows) {
        l->at = at;
    }
    memcpy(l->bytes + l->n, bytes, len);
    l->n += len;
    return SQLITE_OK;
}

/* What is still gathered was never committed. */
static int log_close(sqlite3_file *f)
{
    int rc = below(f)->pMethods->xClose(below(f));
    sqlite3_free(log_of(f)->bytes);
    return rc;
}

static int log_read(sqlite3_file *f, void *to, int n, sqlite3_int64 at)
{
    int rc = flush(f);
    return rc ? rc : below(f)->pMethods->xRead(below(f), to, n, at);
}

static int log_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    int rc = flush(f);
    return rc ? rc : below(f)->pMethods->xTruncate(below(f), size);
}

static int log_sync(sqlite3_file *f, int flags)
{
    int rc = flush(f);
    return rc ? rc : below(f)->pMethods->xSync(below(f), flags);
}

static int log_size(sqlite3_file *f, sqlite3_int64 *size)
{
    int rc = flush(f);
    return rc ? rc : below(f)->pMethods->xFileSize(below(f), size);
}

static int log_lock(sqlite3_file *f, int level)
{
    return below(f)->pMethods->xLock(below(f), level);
}

static int log_unlock(sqlite3_file *f, int level)
{
    return below(f)->pMethods->xUnlock(below(f), level);
}

static int log_reserved(sqlite3_file *f, int *out)
{
    return below(f)->pMethods->xCheckReservedLock(below(f), out);
}

static int log_control(sqlite3_file *f, int op, void *arg)
{
    return below(f)->pMethods->xFileControl(below(f), op, arg);
}

static int log_sector(sqlite3_file *f)
{
    return below(f)->pMethods->xSectorSize(below(f));
}

static int log_device(sqlite3_file *f)
{
    return below(f)->pMethods->xDeviceCharacteristics(below(f));
}

static const sqlite3_io_methods log_methods = {
    .iVersion = 1,
    .xClose = log_close,
    .xRead = log_read,
    .xWrite = log_write,
    .xTruncate = log_truncate,
    .xSync = log_sync,
    .xFileSize = log_size,
    .xLock = log_lock,
    .xUnlock = log_unlock,
    .xCheckReservedLock = log_reserved,
    .xFileControl = log_control,
    .xSectorSize = log_sector,
    .xDeviceCharacteristics = log_device,
};

void store_log_rolled_back(void *db)
{
    sqlite3_file *f = NULL;
    AD_IGNORE(sqlite3_file_control(db, NULL, SQLITE_FCNTL_JOURNAL_POINTER, &f), "f is NULL then");
    if (f && f->pMethods == &log_methods) {
        log_of(f)->n = 0;
        log_of(f)->rc = SQLITE_OK;
    }
}

static sqlite3_vfs vfs, *under;
static atomic_bool ends_with_sync; /* the last that SQLite does to a log before a commit is seen */

/* Without the promise that a write spoils nothing beside it, SQLite fills the last sector of a commit
 * after the sync. */
static int open_database(const char *name, sqlite3_file *f, int flags, int *flags_out)
{
    int rc = under->xOpen(under, name, f, flags, flags_out);
    if (!rc) {
        int device = f->pMethods->xDeviceCharacteristics(f);
        atomic_store(&ends_with_sync, (device & SQLITE_IOCAP_POWERSAFE_OVERWRITE) != 0);
    }
    return rc;
}

static int vfs_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *flags_out)
{
    (void)v;
    if (flags & SQLITE_OPEN_MAIN_DB) {
        return open_database(name, f, flags, flags_out);
    }
    if (!(flags & SQLITE_OPEN_WAL) || !atomic_load(&ends_with_sync)) {
        return under->xOpen(under, name, f, flags, flags_out);
    }
    struct log_file *l = log_of(f);
    *l = (struct log_file){ .below = (sqlite3_file *)(void *)(l + 1) };
    int rc = under->xOpen(under, name, l->below, flags, flags_out);
    l->base.pMethods = rc ? NULL : &log_methods;
    return rc;
}

bool store_log_register(void)
{
    sqlite3_vfs *now = sqlite3_vfs_find(NULL);
    if (!now || now == under) {
        return now != NULL;
    }
    sqlite3_vfs_unregister(&vfs);
    under = now;
    vfs = *under;
    vfs.zName = STORE_LOG_VFS;
    vfs.pNext = NULL;
    vfs.szOsFile += (int)sizeof(struct log_file);
    vfs.xOpen = vfs_open;
    return sqlite3_vfs_register(&vfs, 0) == SQLITE_OK;
}
