/* A copy of the database, made beside its use, in libuv's pool:
 *
 *   FILE.part made (0600) -> pages copied as of one moment -> one self-contained file, checked
 *                         -> synced -> linked as FILE, .part unlinked, directory synced
 *
 * The source connection keeps one read transaction open from the first page to the last. So writes
 * meanwhile neither change what is copied nor make SQLite begin anew, as they otherwise would with
 * each commit; they cost log, which cannot be copied into the database before the end. */
#include "infra/store.h"

#include "base/mem.h"
#include "infra/loop.h"

#include "loop/uv_private.h"
#include "store/sqlite_conn.h"
#include "store/store_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    STEP_PAGES = 64, /* 256 KiB between two looks at `cancel` */
    PAUSE_MS = 1,    /* after each: the disk is also somebody else's */
    PROGRESS_OPS = 10000,
};

struct job {
    uv_work_t work;
    struct ad_store_backup *b;
    struct store_conn from;
    sqlite3 *to;
    char path[PATH_MAX], part[PATH_MAX];
    atomic_bool cancel;
    atomic_uint pages, pages_done;
    bool made; /* the .part file is ours */
    enum ad_err err;
    struct ad_errinfo info;
    uint64_t bytes;
};

static enum ad_err fail_errno(struct job *j, const char *what)
{
    int os = errno;
    char text[64];
    j->info.os = os;
    bool full = os == ENOSPC || os == EDQUOT;
    return ad_fail(&j->info, full ? AD_ERR_STORE_FULL : AD_ERR_INVALID, "the backup file: %s: %s",
                   what, strerror_r(os, text, sizeof(text)));
}

static enum ad_err fail_copy(struct job *j, int rc)
{
    if (atomic_load(&j->cancel)) {
        return ad_fail(&j->info, AD_ERR_CANCELED, "the backup was cancelled");
    }
    int os = sqlite3_system_errno(j->to);
    bool full = (rc & 0xff) == SQLITE_FULL || os == ENOSPC || os == EDQUOT;
    return ad_fail(&j->info,
                   rc == SQLITE_NOMEM ? AD_ERR_NOMEM
                   : full             ? AD_ERR_STORE_FULL
                                      : AD_ERR_STORE,
                   "the backup file: %s (code %d)", sqlite3_errmsg(j->to), rc);
}

/* --- before --- */

static enum ad_err refuse_existing(struct job *j)
{
    struct stat st;
    if (lstat(j->path, &st) == 0) {
        return ad_fail(&j->info, AD_ERR_CONFLICT, "the backup file is there already");
    }
    return errno == ENOENT ? AD_OK : fail_errno(j, "cannot be looked at");
}

static enum ad_err make_part(struct job *j)
{
    int fd = open(j->part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST) {
        return ad_fail(&j->info, AD_ERR_CONFLICT,
                       "its .part file is there already: of a backup under way, or of one that was "
                       "cut off and may be removed");
    }
    if (fd < 0) {
        return fail_errno(j, "cannot be created");
    }
    close(fd);
    j->made = true;
    return AD_OK;
}

static int on_progress(void *ctx)
{
    struct job *j = ctx;
    return atomic_load(&j->cancel);
}

static enum ad_err open_to(struct job *j)
{
    int rc = sqlite3_open_v2(
        j->part, &j->to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (!rc) {
        sqlite3_progress_handler(j->to, PROGRESS_OPS, on_progress, j);
        /* Synced once, at the end; a copy that is cut off is worth nothing anyway. */
        rc = sqlite3_exec(j->to, "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;", NULL, NULL,
                          NULL);
    }
    return rc ? fail_copy(j, rc) : AD_OK;
}

/* From here on the source shows one moment. */
static enum ad_err open_from(struct job *j)
{
    enum ad_err err = store_conn_open(&j->from, &j->info);
    if (err) {
        return err;
    }
    int rc =
        sqlite3_exec(j->from.db, "BEGIN; SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL);
    return rc ? store_conn_fail(&j->from, rc, &j->info) : AD_OK;
}

/* --- copying --- */

static enum ad_err copy(struct job *j)
{
    sqlite3_backup *copying = sqlite3_backup_init(j->to, "main", j->from.db, "main");
    if (!copying) {
        return fail_copy(j, sqlite3_extended_errcode(j->to));
    }
    int rc = SQLITE_OK;
    while (rc == SQLITE_OK && !atomic_load(&j->cancel)) {
        rc = sqlite3_backup_step(copying, STEP_PAGES);
        unsigned all = (unsigned)sqlite3_backup_pagecount(copying);
        atomic_store(&j->pages, all);
        atomic_store(&j->pages_done, all - (unsigned)sqlite3_backup_remaining(copying));
        sqlite3_sleep(PAUSE_MS);
    }
    int ended = sqlite3_backup_finish(copying);
    return rc == SQLITE_DONE ? AD_OK : fail_copy(j, ended ? ended : rc);
}

/* The copy says of itself that it has a write-ahead log beside it; it shall need nothing beside it.
 * Exclusive, so that it does not get one while we look. */
static enum ad_err settle(struct job *j)
{
    int rc = sqlite3_exec(j->to, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=DELETE;", NULL,
                          NULL, NULL);
    return rc ? fail_copy(j, rc) : AD_OK;
}

/* A backup that nobody ever looked at is none. */
static enum ad_err check(struct job *j)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(j->to, "PRAGMA quick_check(1)", -1, &stmt, NULL);
    rc = rc ? rc : sqlite3_step(stmt);
    enum ad_err err = AD_OK;
    const char *said = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(stmt, 0) : NULL;
    if (rc != SQLITE_ROW) {
        err = fail_copy(j, rc);
    } else if (!said || strcmp(said, "ok") != 0) {
        err = ad_fail(&j->info, AD_ERR_CORRUPT, "the copy is damaged: %s", said ? said : "");
    }
    sqlite3_finalize(stmt);
    return err;
}

/* --- after --- */

static enum ad_err sync_path(struct job *j, const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0 || fsync(fd)) {
        enum ad_err err = fail_errno(j, "cannot be synced");
        if (fd >= 0) {
            close(fd);
        }
        return err;
    }
    struct stat st;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        j->bytes = (uint64_t)st.st_size;
    }
    close(fd);
    return AD_OK;
}

static enum ad_err sync_directory(struct job *j)
{
    char dir[PATH_MAX];
    memcpy(dir, j->path, sizeof(dir));
    char *slash = strrchr(dir, '/');
    slash[slash == dir ? 1 : 0] = '\0';
    return sync_path(j, dir, O_RDONLY | O_DIRECTORY);
}

/* link, unlike rename, never replaces a file that came into being meanwhile. */
static enum ad_err publish(struct job *j)
{
    enum ad_err err = sync_path(j, j->part, O_RDONLY);
    if (err) {
        return err;
    }
    if (link(j->part, j->path)) {
        return errno == EEXIST
                   ? ad_fail(&j->info, AD_ERR_CONFLICT, "the backup file is there already")
                   : fail_errno(j, "cannot be given its name");
    }
    if (unlink(j->part)) {
        return fail_errno(j, "its .part name cannot be removed");
    }
    j->made = false;
    return sync_directory(j);
}

static void close_both(struct job *j)
{
    if (j->from.db) {
        AD_IGNORE(sqlite3_exec(j->from.db, "COMMIT", NULL, NULL, NULL), "it only read");
    }
    store_conn_fini(&j->from);
    AD_IGNORE(sqlite3_close(j->to), "no statement of ours is left");
    j->to = NULL;
}

static void run(uv_work_t *work)
{
    struct job *j = ad_container_of(work, struct job, work);
    enum ad_err err = refuse_existing(j);
    err = err ? err : make_part(j);
    err = err ? err : open_to(j);
    err = err ? err : open_from(j);
    err = err ? err : copy(j);
    err = err ? err : settle(j);
    err = err ? err : check(j);
    close_both(j);
    j->err = err ? err : publish(j);
    if (j->made) {
        AD_IGNORE(unlink(j->part), "it stays and will be named");
    }
}

/* --- the loop's side --- */

static void on_done(uv_work_t *work, int status)
{
    struct job *j = ad_container_of(work, struct job, work);
    struct ad_store_backup *b = j->b;
    if (status) { /* never begun */
        j->err = ad_fail(&j->info, AD_ERR_CANCELED, "the backup was cancelled");
        store_conn_fini(&j->from);
    }
    b->err = j->err;
    b->info = j->info;
    b->bytes = j->bytes;
    b->impl = NULL;
    ad_free(j);
    b->cb(b);
}

static bool set_path(struct job *j, const char *path)
{
    int n = snprintf(j->path, sizeof(j->path), "%s", path);
    int m = snprintf(j->part, sizeof(j->part), "%s.part", path);
    return path[0] == '/' && n > 1 && path[n - 1] != '/' && m > 0 && (size_t)m < sizeof(j->part);
}

enum ad_err store_sqlite_backup(struct ad_loop *loop, const struct store_file *file,
                                struct ad_store_backup *b)
{
    struct job *j = ad_zalloc(sizeof(*j));
    if (!j) {
        return ad_fail(&b->info, AD_ERR_NOMEM, "no memory for the backup");
    }
    if (!b->path || !b->cb || !set_path(j, b->path)) {
        ad_free(j);
        return ad_fail(&b->info, AD_ERR_INVALID, "the backup file must be an absolute path");
    }
    store_conn_init(&j->from, file, true);
    j->from.deadline_ms = UINT64_MAX; /* ended by `cancel` alone */
    j->b = b;
    b->err = AD_OK;
    b->info = (struct ad_errinfo){ .code = AD_OK };
    b->bytes = 0;
    b->impl = j;
    AD_IGNORE(uv_queue_work(ad__loop_uv(loop), &j->work, run, on_done),
              "fails for no callback only");
    return AD_OK;
}

void ad_store_backup_cancel(struct ad_store_backup *b)
{
    struct job *j = b->impl;
    if (j) {
        atomic_store(&j->cancel, true);
        AD_IGNORE(uv_cancel((uv_req_t *)&j->work), "under way already: it looks at `cancel`");
    }
}

void ad_store_backup_progress(const struct ad_store_backup *b, unsigned *done, unsigned *all)
{
    const struct job *j = b->impl;
    *done = j ? atomic_load(&j->pages_done) : 0;
    *all = j ? atomic_load(&j->pages) : 0;
}
