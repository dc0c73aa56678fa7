/* The command line: one table of commands, each with its options; how a command ends. */
#ifndef AD_APP_CLI_H
#define AD_APP_CLI_H

#include <stdbool.h>
#include <stddef.h>

#include "app/config.h"

/* How attiod ends. Scripts rely on these. */
enum ad_exit {
    AD_EXIT_OK = 0,
    AD_EXIT_FAILED = 1,
    AD_EXIT_USAGE = 2,
    AD_EXIT_CONFIG = 3,
    AD_EXIT_UNREACHABLE = 4, /* Attio */
    AD_EXIT_CREDENTIAL = 5,
    AD_EXIT_DATABASE = 6,
    AD_EXIT_PARTLY = 7,
};

#define AD_CLI_WORDS_MAX 8

/* What was typed. Strings are those of argv. */
struct ad_cli {
    const struct ad_command *command;
    bool json; /* --output, else whether stdout is no terminal */
    const char *words[AD_CLI_WORDS_MAX];
    unsigned words_n;
    const char *config_file;
    struct ad_config_flag flags[AD_CLI_WORDS_MAX];
    unsigned flags_n;
    /* options of single commands */
    bool print, all, no_wait, replace, force, dry_run;
    const char *state, *type, *subject, *since, *limit, *cursor;
    char *const *environ;
};

struct ad_cli_option {
    const char *name; /* "--state" */
    const char *arg;  /* "STATE"; NULL: a switch */
    size_t at;        /* const char * or bool of struct ad_cli; (size_t)-1: a configuration flag */
    const char *doc;
};
#define AD_CLI_FLAG ((size_t)-1)

struct ad_command {
    const char *name;
    const char *usage; /* behind the name */
    const char *doc;
    unsigned words_min, words_max;
    const struct ad_cli_option *options; /* ended by a NULL name */
    int (*run)(const struct ad_cli *cli);
};
extern const struct ad_command ad_commands[]; /* ended by a NULL name */

/* All of main: parses, runs the command, gives the exit code. */
int ad_cli_main(int argc, char *const *argv, char *const *variables);
/* Parses only: AD_EXIT_OK and cli->command to be run; or the exit code to end with after help,
 * the version or what was wrong has been printed (cli->command NULL). */
int ad_cli_parse(int argc, char *const *argv, struct ad_cli *cli);
/* "attiod: ..." to stderr. */
void ad_cli_complain(const char *fmt, ...) AD_PRINTF(1, 2);
/* Prints the document that was written into `b`, as lines, and frees it; `err` is what the writer said
 * in the end. AD_EXIT_OK; or AD_EXIT_FAILED after a complaint. */
int ad_cli_print_json(enum ad_err err, struct ad_buf *b);
/* Loads the configuration that the command line asks for. Prints what is wrong and returns
 * AD_EXIT_CONFIG, or AD_EXIT_OK. ad_config_fini is owed in both cases. */
int ad_cli_config(const struct ad_cli *cli, bool serve, struct ad_config *c);
/* The same without a word: also AD_EXIT_FAILED, which is no memory. */
int ad_cli_load(const struct ad_cli *cli, bool serve, struct ad_config *c);
/* The same for commands that only want to know where the server is: says nothing;
 * ad_cli_show_errors does, to stderr, when it turns out to matter. */
int ad_cli_config_quiet(const struct ad_cli *cli, struct ad_config *c);
void ad_cli_show_errors(const struct ad_config *c);
/* config/ of the source tree when this program still lies in its build folder, else NULL. */
const char *ad_cli_source_dir(void);
/* The exit code that an error of the server's or ours ends a command with. */
int ad_cli_exit(enum ad_err err);

int ad_cmd_serve(const struct ad_cli *cli);
int ad_cmd_doctor(const struct ad_cli *cli);
int ad_cmd_backup(const struct ad_cli *cli);
int ad_cmd_erase(const struct ad_cli *cli);
int ad_cmd_migrate(const struct ad_cli *cli);
int ad_cmd_restored(const struct ad_cli *cli);
int ad_cmd_check(const struct ad_cli *cli);
int ad_cmd_schema(const struct ad_cli *cli);
int ad_cmd_sync(const struct ad_cli *cli);
int ad_cmd_webhooks(const struct ad_cli *cli);
int ad_cmd_events(const struct ad_cli *cli);
int ad_cmd_dlq(const struct ad_cli *cli);
int ad_cmd_version(const struct ad_cli *cli);

#endif
