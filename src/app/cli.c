#include "app/cli.h"

#include "base/json_bind.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define AT(member) offsetof(struct ad_cli, member)

#define SERVE_OPTIONS                                                                 \
    { "--no-webhooks", NULL, AD_CLI_FLAG,                                             \
      "no webhook receiver: the mirror follows by sync alone" },                      \
        { "--listen", "HOST:PORT", AD_CLI_FLAG, "public listener (ATTIOD_LISTEN)" },  \
        { "--internal-listen", "HOST:PORT", AD_CLI_FLAG,                              \
          "internal listener (ATTIOD_INTERNAL_LISTEN)" },                             \
    {                                                                                 \
        "--log-level", "LEVEL", AD_CLI_FLAG, "debug, info, warn or error (LOG_LEVEL)" \
    }

static const struct ad_cli_option serve_options[] = {
    SERVE_OPTIONS,
    { NULL, NULL, 0, NULL },
};

static const struct ad_cli_option check_options[] = {
    { "--print", NULL, AT(print), "show every value and where it comes from; secrets are masked" },
    SERVE_OPTIONS,
    { NULL, NULL, 0, NULL },
};

#define URL_OPTION                                                           \
    {                                                                        \
        "--url", "URL", AD_CLI_FLAG,                                         \
            "the running server (ATTIOD_URL); default the internal listener" \
    }

static const struct ad_cli_option doctor_options[] = {
    SERVE_OPTIONS,
    URL_OPTION,
    { NULL, NULL, 0, NULL },
};

static const struct ad_cli_option sync_options[] = {
    { "--all", NULL, AT(all), "all that is configured" },
    { "--dry-run", NULL, AT(dry_run),
      "say what would be created, updated and deleted; change nothing" },
    { "--no-wait", NULL, AT(no_wait), "start it and return" },
    URL_OPTION,
    { NULL, NULL, 0, NULL },
};

static const struct ad_cli_option webhooks_options[] = {
    { "--replace", NULL, AT(replace),
      "ensure, rotate: another one takes the place of ours whose secret is unknown" },
    URL_OPTION,
    { NULL, NULL, 0, NULL },
};

static const struct ad_cli_option events_options[] = {
    { "--state", "STATE", AT(state), "pending, retry, dead, done, quarantined or discarded" },
    { "--type", "TYPE", AT(type), "record.updated, or a family: record.*" },
    { "--subject", "SUBJECT", AT(subject), "record:<record_id>" },
    { "--since", "TIME", AT(since), "received since (RFC 3339)" },
    { "--limit", "N", AT(limit), "list: how many, at most 500" },
    { "--cursor", "CURSOR", AT(cursor), "list: where the page before ended" },
    { "--dry-run", NULL, AT(dry_run), "replay, discard: only count" },
    URL_OPTION,
    { NULL, NULL, 0, NULL },
};

static const struct ad_cli_option erase_options[] = {
    { "--force", NULL, AT(force), "without asking Attio whether the record is gone there" },
    URL_OPTION,
    { NULL, NULL, 0, NULL },
};

static const struct ad_cli_option migrate_options[] = {
    { "--dry-run", NULL, AT(dry_run), "only say what would be done" },
    { NULL, NULL, 0, NULL },
};

static const struct ad_cli_option url_options[] = {
    URL_OPTION,
    { NULL, NULL, 0, NULL },
};

static const struct ad_cli_option no_options[] = { { NULL, NULL, 0, NULL } };

static const struct ad_cli_option global_options[] = {
    { "--config", "FILE", AT(config_file), "read this file too, over attio.<env>.json" },
    { "--output", "text|json", 0, "json when stdout is no terminal" },
    { "--help", NULL, 0, "this" },
    { "--version", NULL, 0, "the version" },
    { NULL, NULL, 0, NULL },
};

const struct ad_command ad_commands[] = {
    { "serve", "", "the server: receives webhooks, keeps the mirror", 0, 0, serve_options,
      ad_cmd_serve },
    { "check", "", "loads the configuration and lists all that is wrong with it", 0, 0,
      check_options, ad_cmd_check },
    { "doctor", "", "asks every layer, from the configuration to Attio, how it is", 0, 0,
      doctor_options, ad_cmd_doctor },
    { "sync", "OBJECT | --all [--dry-run]", "full sync; waits for its end", 0, 1, sync_options,
      ad_cmd_sync },
    { "schema", "show | plan", "the mirror's views and columns; what of them is still to be done",
      1, 1, url_options, ad_cmd_schema },
    { "webhooks", "list | ensure | rotate | delete ID", "our webhooks at Attio", 1, 2,
      webhooks_options, ad_cmd_webhooks },
    { "events", "list | show ID | replay [ID] | discard [ID]", "the inbox", 1, 2, events_options,
      ad_cmd_events },
    { "dlq", "list | show ID | replay [ID] | discard [ID]", "the same of dead events only", 1, 2,
      events_options, ad_cmd_dlq },
    { "backup", "FILE", "a copy of the database into a new file, while it is in use", 1, 1,
      url_options, ad_cmd_backup },
    { "erase", "OBJECT RECORD",
      "one record's data out of everything; then the file is written anew", 2, 2, erase_options,
      ad_cmd_erase },
    { "migrate", "", "our own tables to this program's version, without a server", 0, 0,
      migrate_options, ad_cmd_migrate },
    { "restored", "", "after a backup was put in place: numbers leap, everything is synced", 0, 0,
      url_options, ad_cmd_restored },
    { "version", "", "version, build, libraries", 0, 0, no_options, ad_cmd_version },
    { NULL, NULL, NULL, 0, 0, NULL, NULL },
};

/* --- Words to people ---------------------------------------------------------------------- */

void ad_cli_complain(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)fputs("attiod: ", stderr);
    (void)vfprintf(stderr, fmt, ap);
    (void)fputc('\n', stderr);
    va_end(ap);
}

int ad_cli_print_json(enum ad_err err, struct ad_buf *b)
{
    struct ad_str s = ad_buf_str(b);
    if (err) {
        ad_cli_complain("cannot write the answer: %s", ad_err_text(err));
    } else {
        (void)printf("%.*s%s", AD_FMT(s), ad_str_ends(s, AD_STR("\n")) ? "" : "\n");
    }
    ad_buf_fini(b);
    return err ? AD_EXIT_FAILED : AD_EXIT_OK;
}

static void print_options(const struct ad_cli_option *o)
{
    for (; o->name; o++) {
        char left[64];
        (void)snprintf(left, sizeof(left), "%s%s%s", o->name, o->arg ? " " : "",
                       o->arg ? o->arg : "");
        (void)printf("  %-28s %s\n", left, o->doc);
    }
}

static void print_help(const struct ad_command *command)
{
    if (command) {
        (void)printf("attiod %s%s%s: %s\n\n", command->name, *command->usage ? " " : "",
                     command->usage, command->doc);
        print_options(command->options);
        print_options(global_options);
        return;
    }
    (void)printf("attiod COMMAND: between your systems and your Attio workspace\n\n");
    for (const struct ad_command *c = ad_commands; c->name; c++) {
        (void)printf("  %-28s %s\n", c->name, c->doc);
    }
    (void)printf("\n");
    print_options(global_options);
    (void)printf(
        "\nExit codes: 0 ok, 1 failed, 2 usage, 3 configuration, 4 cannot reach Attio,\n"
        "5 credential refused, 6 database, 7 partly done.\n"
        "attiod COMMAND --help tells more; attiod check --print shows the configuration.\n");
}

/* --- Parsing ------------------------------------------------------------------------------ */

struct parser {
    struct ad_cli *cli;
    char *const *args;
    int n, at;
    const char *inline_value; /* of --name=value */
    bool help, version, only_words;
};

static const struct ad_cli_option *find_option(const struct ad_cli_option *o, struct ad_str name)
{
    for (; o->name; o++) {
        if (ad_str_eq(ad_str_c(o->name), name)) {
            return o;
        }
    }
    return NULL;
}

static const char *near_option(const struct ad_command *command, struct ad_str name)
{
    const char *names[32] = { NULL };
    size_t n = 0;
    const struct ad_cli_option *lists[] = { global_options,
                                            command ? command->options : no_options };
    for (size_t i = 0; i < AD_LEN(lists); i++) {
        for (const struct ad_cli_option *o = lists[i]; o->name && n + 1 < AD_LEN(names); o++) {
            names[n++] = o->name;
        }
    }
    return ad_did_you_mean(name, names);
}

static bool take_output(struct ad_cli *cli, const char *value)
{
    if (strcmp(value, "json") != 0 && strcmp(value, "text") != 0) {
        ad_cli_complain("--output must be text or json, not \"%s\"", value);
        return false;
    }
    cli->json = value[0] == 'j';
    return true;
}

static bool take_flag(struct ad_cli *cli, const char *name, const char *value)
{
    if (cli->flags_n == AD_CLI_WORDS_MAX) {
        ad_cli_complain("too many options");
        return false;
    }
    cli->flags[cli->flags_n++] = (struct ad_config_flag){ .flag = name, .value = value };
    return true;
}

static bool take_option(struct parser *p, const struct ad_cli_option *o)
{
    const char *value = p->inline_value;
    if (!o->arg && value) {
        ad_cli_complain("%s takes no value", o->name);
        return false;
    }
    if (o->arg && !value) {
        value = p->at < p->n ? p->args[p->at++] : NULL;
    }
    if (o->arg && !value) {
        ad_cli_complain("%s needs a value: %s", o->name, o->arg);
        return false;
    }
    p->help = p->help || strcmp(o->name, "--help") == 0;
    p->version = p->version || strcmp(o->name, "--version") == 0;
    if (o->at == AD_CLI_FLAG) {
        return take_flag(p->cli, o->name, o->arg ? value : "true");
    }
    if (o->arg && strcmp(o->name, "--output") == 0) {
        return take_output(p->cli, value);
    }
    char *base = (char *)p->cli;
    if (o->arg) {
        *(const char **)(void *)(base + o->at) = value;
    } else if (o->at) {
        *(bool *)(void *)(base + o->at) = true;
    }
    return true;
}

static bool take_dashed(struct parser *p, const char *arg)
{
    const struct ad_command *command = p->cli->command;
    struct ad_str name = ad_str_c(arg);
    struct ad_str rest = name;
    name = ad_str_cut(&rest, '=');
    p->inline_value = rest.p;
    if (ad_str_eq(name, AD_STR("-h"))) {
        name = AD_STR("--help");
    }
    const struct ad_cli_option *o = find_option(global_options, name);
    if (!o && command) {
        o = find_option(command->options, name);
    }
    if (!o) {
        const char *near = near_option(command, name);
        ad_cli_complain("unknown option %.*s%s%s%s", AD_FMT(name), near ? "; did you mean " : "",
                        near ? near : "", near ? "?" : "");
        return false;
    }
    return take_option(p, o);
}

static bool take_command(struct ad_cli *cli, const char *word)
{
    const char *names[AD_CLI_WORDS_MAX * 2] = { NULL };
    size_t n = 0;
    for (const struct ad_command *c = ad_commands; c->name; c++) {
        names[n++] = c->name;
        if (strcmp(c->name, word) == 0) {
            cli->command = c;
            return true;
        }
    }
    const char *near = ad_did_you_mean(ad_str_c(word), names);
    ad_cli_complain("unknown command %s%s%s%s", word, near ? "; did you mean " : "",
                    near ? near : "", near ? "?" : "");
    return false;
}

static bool take_word(struct ad_cli *cli, const char *word)
{
    if (!cli->command) {
        return take_command(cli, word);
    }
    if (cli->words_n == cli->command->words_max) {
        ad_cli_complain("%s: unexpected \"%s\"", cli->command->name, word);
        return false;
    }
    cli->words[cli->words_n++] = word;
    return true;
}

static int usage_error(struct ad_cli *cli)
{
    const struct ad_command *c = cli->command;
    (void)fprintf(stderr, "usage: attiod %s%s%s\n", c ? c->name : "COMMAND [OPTION...]",
                  c && *c->usage ? " " : "", c ? c->usage : "; attiod --help lists them");
    cli->command = NULL;
    return AD_EXIT_USAGE;
}

int ad_cli_parse(int argc, char *const *argv, struct ad_cli *cli)
{
    struct parser p = { .cli = cli, .args = argv, .n = argc, .at = 1 };
    *cli = (struct ad_cli){ .json = !isatty(STDOUT_FILENO) };
    while (p.at < p.n) {
        const char *arg = p.args[p.at++];
        bool dashed = !p.only_words && arg[0] == '-' && arg[1];
        if (dashed && strcmp(arg, "--") == 0) {
            p.only_words = true;
        } else if (!(dashed ? take_dashed(&p, arg) : take_word(cli, arg))) {
            return usage_error(cli);
        }
    }
    if (p.help) {
        print_help(cli->command);
        cli->command = NULL;
        return AD_EXIT_OK;
    }
    if (p.version) {
        (void)printf("attiod %s\n", ATTIOD_VERSION);
        cli->command = NULL;
        return AD_EXIT_OK;
    }
    if (!cli->command || cli->words_n < cli->command->words_min) {
        return usage_error(cli);
    }
    return AD_EXIT_OK;
}

int ad_cli_main(int argc, char *const *argv, char *const *variables)
{
    struct ad_cli cli;
    int code = ad_cli_parse(argc, argv, &cli);
    if (!cli.command) {
        return code;
    }
    cli.environ = variables;
    code = cli.command->run(&cli);
    if (fflush(stdout) != 0 && code == AD_EXIT_OK) {
        code = AD_EXIT_FAILED; /* what was asked for could not be printed */
    }
    return code;
}

int ad_cli_exit(enum ad_err err)
{
    switch (err) {
    case AD_OK:
        return AD_EXIT_OK;
    case AD_ERR_INVALID:
        return AD_EXIT_USAGE;
    case AD_ERR_CONFIG:
        return AD_EXIT_CONFIG;
    case AD_ERR_UNAUTHORIZED:
    case AD_ERR_FORBIDDEN:
        return AD_EXIT_CREDENTIAL;
    case AD_ERR_NETWORK:
    case AD_ERR_DNS:
    case AD_ERR_TLS:
    case AD_ERR_TIMEOUT:
    case AD_ERR_PROTOCOL:
    case AD_ERR_UPSTREAM:
    case AD_ERR_RATELIMITED:
        return AD_EXIT_UNREACHABLE;
    case AD_ERR_STORE:
    case AD_ERR_STORE_BUSY:
    case AD_ERR_STORE_FULL:
    case AD_ERR_CORRUPT:
        return AD_EXIT_DATABASE;
    default:
        return AD_EXIT_FAILED;
    }
}
