#include "app/remote.h"

#include "base/http.h"
#include "base/json_write.h"

#include <stdio.h>
#include <string.h>

#define PATH_MAX_BYTES 4096

static void print_answer(const struct ad_remote_answer *a)
{
    (void)printf("%.*s\n", AD_FMT(a->text));
}

static struct ad_str text_of(const struct ad_json *o, const char *key)
{
    const struct ad_json *v = ad_json_get(o, key);
    struct ad_str s = ad_json_str(v);
    return s.p ? s : v && !ad_json_is(v, AD_JSON_NULL) ? v->raw : AD_STR("-");
}

/* --- list --------------------------------------------------------------------------------- */

static void add_param(struct ad_buf *b, const char *name, const char *value)
{
    if (value) {
        ad_buf_putc(b, memchr(b->p, '?', b->end) ? '&' : '?');
        ad_buf_put(b, ad_str_c(name));
        ad_buf_putc(b, '=');
        ad_percent_encode(b, ad_str_c(value));
    }
}

static void print_list(const struct ad_remote_answer *a)
{
    (void)printf("%-10s %-12s %-28s %-44s %s\n", "ID", "STATE", "TYPE", "SUBJECT", "RECEIVED");
    AD_JSON_FOREACH (it, a->data) {
        (void)printf("%-10.*s %-12.*s %-28.*s %-44.*s %.*s\n", AD_FMT(text_of(it, "id")),
                     AD_FMT(text_of(it, "state")), AD_FMT(text_of(it, "event_type")),
                     AD_FMT(text_of(it, "subject")), AD_FMT(text_of(it, "received_at")));
    }
    struct ad_str next = ad_json_str(ad_json_path(a->doc, "pagination.next_cursor"));
    if (next.p) {
        (void)printf("more: --cursor %.*s\n", AD_FMT(next));
    }
}

static int list(const struct ad_cli *cli, struct ad_remote *r)
{
    struct ad_buf path;
    struct ad_remote_answer a;
    ad_buf_init(&path, PATH_MAX_BYTES);
    ad_buf_put(&path, AD_STR("/api/v1/events"));
    add_param(&path, "state", cli->state);
    add_param(&path, "type", cli->type);
    add_param(&path, "subject", cli->subject);
    add_param(&path, "since", cli->since);
    add_param(&path, "limit", cli->limit);
    add_param(&path, "cursor", cli->cursor);
    ad_buf_putc(&path, '\0');
    int code = AD_EXIT_USAGE;
    if (ad_buf_status(&path)) {
        ad_cli_complain("the filter is too long");
    } else {
        code = ad_remote_call(r, "GET", path.p, AD_STR_NONE, &a);
    }
    if (code == AD_EXIT_OK && cli->json) {
        print_answer(&a);
    } else if (code == AD_EXIT_OK) {
        print_list(&a);
    }
    ad_buf_fini(&path);
    return code;
}

/* --- show, replay, discard ---------------------------------------------------------------- */

/* "/api/v1/events/17" + suffix; false when the id is none. */
static bool event_path(char *out, size_t cap, const char *id, const char *suffix)
{
    int64_t number;
    if (!ad_str_i64(ad_str_c(id), 1, INT64_MAX, &number)) {
        ad_cli_complain("\"%s\" is no event's id", id);
        return false;
    }
    (void)snprintf(out, cap, "/api/v1/events/%lld%s", (long long)number, suffix);
    return true;
}

static int show(const struct ad_cli *cli, struct ad_remote *r)
{
    char path[64];
    struct ad_remote_answer a;
    if (cli->words_n < 2 || !event_path(path, sizeof(path), cli->words[1], "")) {
        return AD_EXIT_USAGE;
    }
    int code = ad_remote_call(r, "GET", path, AD_STR_NONE, &a);
    if (code == AD_EXIT_OK) {
        print_answer(&a);
    }
    return code;
}

static enum ad_err write_filter(const struct ad_cli *cli, bool by_filter, struct ad_buf *b)
{
    struct ad_json_writer w;
    const char *const fields[][2] = { { "state", cli->state },
                                      { "type", cli->type },
                                      { "subject", cli->subject },
                                      { "since", cli->since } };
    ad_json_write_init(&w, b);
    ad_json_obj(&w);
    for (size_t i = 0; by_filter && i < AD_LEN(fields); i++) {
        if (fields[i][1]) {
            ad_json_f_cstr(&w, fields[i][0], fields[i][1]);
        }
    }
    ad_json_f_bool(&w, "dry_run", cli->dry_run);
    ad_json_end(&w);
    return ad_json_write_done(&w);
}

static int change(const struct ad_cli *cli, struct ad_remote *r, const char *what)
{
    char path[64];
    char suffix[16];
    struct ad_buf body;
    struct ad_remote_answer a;
    bool one = cli->words_n > 1;
    (void)snprintf(suffix, sizeof(suffix), "/%s", what);
    (void)snprintf(path, sizeof(path), "/api/v1/events/%s", what);
    if (one && !event_path(path, sizeof(path), cli->words[1], suffix)) {
        return AD_EXIT_USAGE;
    }
    ad_buf_init(&body, 65536);
    int code = AD_EXIT_USAGE;
    if (write_filter(cli, !one, &body)) {
        ad_cli_complain("the filter is no text");
    } else {
        code = ad_remote_call(r, "POST", path, ad_buf_str(&body), &a);
    }
    ad_buf_fini(&body);
    if (code == AD_EXIT_OK && cli->json) {
        print_answer(&a);
    } else if (code == AD_EXIT_OK) {
        (void)printf("%s%s: %.*s events\n", what, cli->dry_run ? " (dry run)" : "",
                     AD_FMT(text_of(a.data, "events")));
    }
    return code;
}

int ad_cmd_events(const struct ad_cli *cli)
{
    const char *word = cli->words[0];
    bool known = !strcmp(word, "list") || !strcmp(word, "show") || !strcmp(word, "replay") ||
                 !strcmp(word, "discard");
    struct ad_remote *r;
    if (!known) {
        ad_cli_complain("%s list, show, replay or discard; not \"%s\"", cli->command->name, word);
        return AD_EXIT_USAGE;
    }
    int code = ad_remote_open(cli, AD_NEED_DATABASE, &r);
    if (code) {
        return code;
    }
    code = word[0] == 'l' ? list(cli, r) : word[0] == 's' ? show(cli, r) : change(cli, r, word);
    ad_remote_close(r);
    return code;
}

/* The dead letter queue is the events that are dead. */
int ad_cmd_dlq(const struct ad_cli *cli)
{
    struct ad_cli dead = *cli;
    if (cli->state && strcmp(cli->state, "dead") != 0) {
        ad_cli_complain("dlq is about dead events; events --state %s about those", cli->state);
        return AD_EXIT_USAGE;
    }
    dead.state = "dead";
    return ad_cmd_events(&dead);
}
