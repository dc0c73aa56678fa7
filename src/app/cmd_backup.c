/* backup: the server, or where none runs this process, writes a copy of its database. restored: it
 * is told that its database is such a copy. */
#include "app/remote.h"

#include "base/json_write.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define POLL_MS 200
#define BODY_MAX ((size_t)64 << 10)

/* The server may stand in another folder than whoever types. */
static bool write_wish(const char *file, struct ad_buf *out)
{
    char path[4096];
    struct ad_json_writer w;
    size_t n = 0;
    if (file[0] != '/') {
        if (!getcwd(path, sizeof(path))) {
            return false;
        }
        n = strlen(path);
        path[n++] = '/';
    }
    if (n + strlen(file) >= sizeof(path)) {
        return false;
    }
    memcpy(path + n, file, strlen(file) + 1);
    ad_json_write_init(&w, out);
    ad_json_obj(&w);
    ad_json_f_cstr(&w, "file", path);
    ad_json_end(&w);
    return ad_json_write_done(&w) == AD_OK;
}

static bool has_state(const struct ad_remote_answer *a, const char *state)
{
    return ad_str_eq(ad_json_str(ad_json_get(a->data, "state")), ad_str_c(state));
}

static int64_t number(const struct ad_remote_answer *a, const char *key)
{
    int64_t v = 0;
    return ad_json_i64(ad_json_get(a->data, key), &v) ? v : 0;
}

static void draw(const struct ad_remote_answer *a)
{
    int64_t all = number(a, "pages");
    (void)printf("\rbackup: %lld %% ", all ? (long long)(number(a, "pages_done") * 100 / all) : 0);
    (void)fflush(stdout);
}

static int say(const struct ad_cli *cli, const struct ad_remote_answer *a)
{
    struct ad_str file = ad_json_str(ad_json_get(a->data, "file"));
    struct ad_str error = ad_json_str(ad_json_get(a->data, "error"));
    if (cli->json) {
        (void)printf("%.*s\n", AD_FMT(a->text));
    }
    if (!has_state(a, "done")) {
        ad_cli_complain("%.*s", AD_FMT(error.p ? error : AD_STR("the backup was lost sight of")));
        return ad_remote_exit(ad_json_str(ad_json_get(a->data, "code")));
    }
    if (!cli->json) {
        (void)printf("%.*s: %lld bytes\n", AD_FMT(file), (long long)number(a, "bytes"));
    }
    return AD_EXIT_OK;
}

static int follow(const struct ad_cli *cli, struct ad_remote *r, struct ad_remote_answer *a)
{
    bool bar = !cli->json && isatty(STDOUT_FILENO);
    while (has_state(a, "running")) {
        if (bar) {
            draw(a);
        }
        ad_remote_wait(r, POLL_MS);
        int code = ad_remote_call(r, "GET", "/api/v1/backup", AD_STR_NONE, a);
        if (code) {
            return code;
        }
    }
    if (bar) {
        (void)printf("\r");
    }
    return say(cli, a);
}

int ad_cmd_backup(const struct ad_cli *cli)
{
    struct ad_remote *r;
    struct ad_remote_answer a;
    struct ad_buf body;
    int code = ad_remote_open(cli, AD_NEED_DATABASE, &r);
    if (code) {
        return code;
    }
    ad_buf_init(&body, BODY_MAX);
    if (!write_wish(cli->words[0], &body)) {
        ad_cli_complain("that is no path");
        code = AD_EXIT_USAGE;
    }
    code = code ? code : ad_remote_call(r, "POST", "/api/v1/backup", ad_buf_str(&body), &a);
    code = code ? code : follow(cli, r, &a);
    ad_buf_fini(&body);
    ad_remote_close(r);
    return code;
}

int ad_cmd_restored(const struct ad_cli *cli)
{
    struct ad_remote *r;
    struct ad_remote_answer a;
    int code = ad_remote_open(cli, AD_NEED_DATABASE, &r);
    if (code) {
        return code;
    }
    code = ad_remote_call(r, "POST", "/api/v1/restored", AD_STR("{}"), &a);
    if (code == AD_EXIT_OK && cli->json) {
        (void)printf("%.*s\n", AD_FMT(a.text));
    } else if (code == AD_EXIT_OK) {
        (void)printf("noted: a full sync of everything %s\n",
                     ad_remote_is_offline(r) ? "begins with the next attiod serve" : "begins");
    }
    ad_remote_close(r);
    return code;
}
