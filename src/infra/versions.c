#include "infra/versions.h"

#include <llhttp.h>
#include <mbedtls/version.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

static void put(struct ad_library *l, const char *name, const char *version)
{
    l->name = name;
    (void)snprintf(l->version, sizeof(l->version), "%s", version);
}

size_t ad_infra_libraries(struct ad_library *out, size_t max)
{
    char mbedtls[24] = "";
    char llhttp[24];
    mbedtls_version_get_string(mbedtls);
    (void)snprintf(llhttp, sizeof(llhttp), "%d.%d.%d", LLHTTP_VERSION_MAJOR, LLHTTP_VERSION_MINOR,
                   LLHTTP_VERSION_PATCH);
    struct ad_library all[4];
    put(&all[0], "libuv", uv_version_string());
    put(&all[1], "llhttp", llhttp);
    put(&all[2], "mbedTLS", mbedtls);
    put(&all[3], "SQLite", sqlite3_libversion());
    size_t n = max < 4 ? max : 4;
    memcpy(out, all, n * sizeof(all[0]));
    return n;
}
