/* erase: one record's data. */
#include "app/remote.h"

#include "base/json_write.h"

#include <stdio.h>

#define BODY_MAX ((size_t)64 << 10)

static enum ad_err write_wish(const struct ad_cli *cli, struct ad_buf *out)
{
    struct ad_json_writer w;
    ad_json_write_init(&w, out);
    ad_json_obj(&w);
    ad_json_f_cstr(&w, "object", cli->words[0]);
    ad_json_f_cstr(&w, "record_id", cli->words[1]);
    ad_json_f_bool(&w, "force", cli->force);
    ad_json_end(&w);
    return ad_json_write_done(&w);
}

int ad_cmd_erase(const struct ad_cli *cli)
{
    struct ad_remote *r;
    struct ad_remote_answer a;
    struct ad_buf body;
    int code = ad_remote_open(cli, cli->force ? AD_NEED_DATABASE : AD_NEED_ATTIO, &r);
    if (code) {
        return code;
    }
    ad_buf_init(&body, BODY_MAX);
    if (write_wish(cli, &body)) {
        ad_cli_complain("that is no object and record");
        code = AD_EXIT_USAGE;
    }
    code = code ? code : ad_remote_call(r, "POST", "/api/v1/erase", ad_buf_str(&body), &a);
    ad_buf_fini(&body);
    if (code == AD_EXIT_OK && cli->json) {
        (void)printf("%.*s\n", AD_FMT(a.text));
    } else if (code == AD_EXIT_OK) {
        (void)printf("erased: %s %s\n", cli->words[0], cli->words[1]);
    }
    ad_remote_close(r);
    return code;
}
