#include "app/cli.h"

#include "base/json_write.h"
#include "infra/versions.h"

#include <stdio.h>

#define LIBRARIES_MAX 16

static size_t libraries(struct ad_library *all)
{
    size_t n = ad_infra_libraries(all, LIBRARIES_MAX - 1);
    unsigned yajl = ad_json_library_version();
    all[n].name = "yajl";
    (void)snprintf(all[n].version, sizeof(all[n].version), "%u.%u.%u", yajl / 10000,
                   yajl / 100 % 100, yajl % 100);
    return n + 1;
}

static int print_json(const struct ad_library *all, size_t n)
{
    struct ad_buf b;
    struct ad_json_writer w;
    ad_buf_init(&b, 65536);
    ad_json_write_init(&w, &b);
    ad_json_obj(&w);
    ad_json_f_cstr(&w, "version", ATTIOD_VERSION);
    ad_json_f_cstr(&w, "build", ATTIOD_BUILD);
    ad_json_key(&w, "libraries");
    ad_json_obj(&w);
    for (size_t i = 0; i < n; i++) {
        ad_json_f_cstr(&w, all[i].name, all[i].version);
    }
    ad_json_end(&w);
    ad_json_end(&w);
    return ad_cli_print_json(ad_json_write_done(&w), &b);
}

int ad_cmd_version(const struct ad_cli *cli)
{
    struct ad_library all[LIBRARIES_MAX];
    size_t n = libraries(all);
    if (cli->json) {
        return print_json(all, n);
    }
    (void)printf("attiod %s (%s)\n", ATTIOD_VERSION, ATTIOD_BUILD);
    for (size_t i = 0; i < n; i++) {
        (void)printf("  %-10s %s\n", all[i].name, all[i].version);
    }
    return AD_EXIT_OK;
}
