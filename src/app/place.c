/* Where the source tree's configuration lies, for a build that runs in place. */
#include "app/cli.h"

#include <string.h>
#include <unistd.h>

/* An installed copy must not read the files of whoever built it, so the program has to lie in
 * its build folder still. */
const char *ad_cli_source_dir(void)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self));
    struct ad_str build = AD_STR(ATTIOD_BINARY_DIR "/");
    bool in_place = n > 0 && ad_str_starts(ad_str_n(self, (size_t)n), build);
    return in_place ? ATTIOD_SOURCE_CONFIG_DIR : NULL;
}
