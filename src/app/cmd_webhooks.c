#include "app/remote.h"

#include <stdio.h>
#include <string.h>

static struct ad_str text_of(const struct ad_json *o, const char *key)
{
    struct ad_str s = ad_json_str(ad_json_get(o, key));
    return s.p ? s : AD_STR("-");
}

static bool is(const struct ad_json *o, const char *key, bool absent)
{
    bool v = absent;
    return ad_json_bool(ad_json_get(o, key), &v) ? v : absent;
}

static void print_one(const struct ad_json *w)
{
    (void)printf("%.*s  %-8.*s %s%s%s  %.*s\n", AD_FMT(text_of(w, "id")),
                 AD_FMT(text_of(w, "status")), is(w, "ours", true) ? "ours" : "not ours",
                 is(w, "secret_known", true) ? "" : ", secret unknown",
                 is(w, "created", false) ? ", created" : "", AD_FMT(text_of(w, "target_url")));
}

static void print_text(const struct ad_json *data)
{
    if (ad_json_is(data, AD_JSON_ARRAY)) {
        AD_JSON_FOREACH (it, data) {
            print_one(it);
        }
        if (!data->count) {
            (void)printf("none\n");
        }
    } else if (ad_json_get(data, "id")) {
        print_one(data);
    } else {
        (void)printf("done\n");
    }
}

static int call(const struct ad_cli *cli, struct ad_remote *r, struct ad_remote_answer *a)
{
    const char *word = cli->words[0];
    if (word[0] == 'l') {
        return ad_remote_call(r, "GET", "/api/v1/webhooks", AD_STR_NONE, a);
    }
    if (word[0] == 'e' || word[0] == 'r') {
        return ad_remote_call(
            r, "POST", word[0] == 'e' ? "/api/v1/webhooks" : "/api/v1/webhooks/rotate",
            cli->replace ? AD_STR("{\"replace\":true}") : AD_STR("{\"replace\":false}"), a);
    }
    char path[80];
    if (cli->words_n < 2 || !ad_str_is_uuid(ad_str_c(cli->words[1]))) {
        ad_cli_complain("webhooks delete needs a webhook's id");
        return AD_EXIT_USAGE;
    }
    (void)snprintf(path, sizeof(path), "/api/v1/webhooks/%s", cli->words[1]);
    return ad_remote_call(r, "DELETE", path, AD_STR_NONE, a);
}

int ad_cmd_webhooks(const struct ad_cli *cli)
{
    const char *word = cli->words[0];
    struct ad_remote *r;
    struct ad_remote_answer a;
    if (strcmp(word, "list") != 0 && strcmp(word, "ensure") != 0 && strcmp(word, "rotate") != 0 &&
        strcmp(word, "delete") != 0) {
        ad_cli_complain("webhooks list, ensure, rotate or delete; not \"%s\"", word);
        return AD_EXIT_USAGE;
    }
    int code = ad_remote_open(cli, AD_NEED_ATTIO, &r);
    if (code) {
        return code;
    }
    code = call(cli, r, &a);
    if (code == AD_EXIT_OK && cli->json) {
        (void)printf("%.*s\n", AD_FMT(a.text));
    } else if (code == AD_EXIT_OK) {
        print_text(a.data);
    }
    ad_remote_close(r);
    return code;
}
