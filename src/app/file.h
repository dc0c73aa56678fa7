/* Files that are read whole at start: configuration and mounted secrets. */
#ifndef AD_APP_FILE_H
#define AD_APP_FILE_H

#include "base/arena.h"
#include "base/err.h"

/* The content, NUL behind it, on the arena. NOTFOUND, TOOLARGE past max, NOMEM, INVALID
 * otherwise; `info->os` is errno. */
AD_MUST_CHECK enum ad_err ad_file_read(struct ad_arena *arena, const char *path, size_t max,
                                       struct ad_str *out, struct ad_errinfo *info);
/* Makes the folder that `path` lies in, and those above it, 0700, where missing. */
AD_MUST_CHECK enum ad_err ad_file_make_parent(const char *path, struct ad_errinfo *info);

/* Where the database of a DATABASE_URL is: sqlite:var/x.db, sqlite:/path, sqlite:///path. */
const char *ad_file_of_database(const char *url);

#endif
