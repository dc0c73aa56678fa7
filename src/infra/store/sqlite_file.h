/* The database as a file: where it is, who may have it, and what its write-ahead log holds after a
 * crash or a failed fsync. Nothing here knows SQLite.
 *
 * Never opens the database itself once it exists: closing any descriptor of a file drops all POSIX
 * locks this process has on it, SQLite's too. */
#ifndef AD_INFRA_STORE_SQLITE_FILE_H
#define AD_INFRA_STORE_SQLITE_FILE_H

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct store_file {
    char *path;        /* absolute, without symbolic links, so one database has one lock */
    const char *shown; /* its end, for messages */
    int lock;          /* descriptor that holds the lock */
    dev_t device;
    ino_t inode;
};

/* Resolves the url, takes the lock and creates the file when there is none. CONFIG, BUSY (another
 * store has it), STORE, STORE_FULL, NOMEM. */
AD_MUST_CHECK enum ad_err store_file_open(struct store_file *f, const char *url,
                                          struct ad_errinfo *info);
/* Lets go of the lock. */
void store_file_close(struct store_file *f);

/* STORE when another file, or none, is under the path now: what we write would be lost. */
AD_MUST_CHECK enum ad_err store_file_verify(const struct store_file *f, struct ad_errinfo *info);

/* Writes the log's bytes over themselves and syncs them. After an fsync failed the kernel may call
 * pages clean that never reached the disk, and a process that was killed cannot say whether that
 * happened; writing makes them dirty, so that this sync speaks for all of them. Only while holding
 * the database's write lock. */
AD_MUST_CHECK enum ad_err store_file_resync_log(const struct store_file *f,
                                                struct ad_errinfo *info);

/* Bytes of the database, 0 when it cannot be said. */
uint64_t store_file_bytes(const struct store_file *f);

#endif
