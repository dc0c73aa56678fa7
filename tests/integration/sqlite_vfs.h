/* The disk under SQLite, as a test wants it: a VFS that fails on demand and knows what a power cut
 * would leave. Becomes the process's default VFS; the files themselves are real.
 *
 * For the power cut it keeps, of each file but the shared memory, an image of what was synced and
 * the writes since. A cut leaves the image and of those writes any 512-byte sectors. */
#ifndef AD_TEST_SQLITE_VFS_H
#define AD_TEST_SQLITE_VFS_H

#include <stdbool.h>
#include <stddef.h>

void vfs_install(void);
/* Files opened from now on do not promise that a write leaves the rest of its sector as it was. */
void vfs_spoils_sectors(bool yes);

enum vfs_op { VFS_SYNC, VFS_WRITE };
/* From the n-th call from now (0: the next) on, `times` in a row fail with SQLite's `code`, on
 * files whose name ends in `suffix`. times 0 lifts it. */
void vfs_fail(enum vfs_op op, const char *suffix, unsigned n, unsigned times, int code);
/* How many have failed since, and how many there were at all. */
unsigned vfs_failed(void);
unsigned vfs_seen(void);

/* Keeps images from now on; no file may be open. */
void vfs_watch(void);
/* Writes to `dir` what a power cut now would leave; `seed` chooses the sectors. */
void vfs_power_cut(const char *dir, unsigned seed);
void vfs_forget(void);

#endif
