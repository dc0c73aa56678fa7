#include "contract/store_fixture.h"

#include <dirent.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static sqlite3 *other;

static void create(void)
{
    text_of(f.dir, sizeof(f.dir), "/tmp/attiod-store-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(f.dir));
    text_of(f.path, sizeof(f.path), "%s/test.db", f.dir);
    text_of(f.url, sizeof(f.url), "sqlite:%s", f.path);
}

static void destroy(void)
{
    DIR *dir = opendir(f.dir);
    ck_assert_ptr_nonnull(dir);
    struct dirent *entry;
    while ((entry = readdir(dir))) {
        char path[512];
        text_of(path, sizeof(path), "%s/%s", f.dir, entry->d_name);
        unlink(path); /* fails for "." and "..", as it should */
    }
    closedir(dir);
    ck_assert_int_eq(rmdir(f.dir), 0);
}

static void lock(void)
{
    ck_assert_int_eq(sqlite3_open(f.path, &other), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
}

static void unlock(void)
{
    ck_assert_int_eq(sqlite3_close(other), SQLITE_OK); /* rolls back */
    other = NULL;
}

const struct store_backend sqlite_backend = { "sqlite", create, destroy, lock, unlock, false };

const struct store_backend sqlite_on_loop_backend = {
    "sqlite on the loop", create, destroy, lock, unlock, true
};
