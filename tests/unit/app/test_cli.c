#include "app/cli.h"

#include <string.h>
#include <unistd.h>

#include "support/run.h"

static struct ad_cli cli;

/* Parses a line of words; what is printed goes nowhere. */
static int parse(const char *line)
{
    static char text[512];
    char *argv[24];
    int argc = 0;
    (void)memcpy(text, line, strlen(line) + 1);
    for (char *at = text; *at;) {
        argv[argc++] = at;
        char *end = strchr(at, ' ');
        if (!end) {
            break;
        }
        *end = '\0';
        at = end + 1;
    }
    argv[argc] = NULL;
    return ad_cli_parse(argc, argv, &cli);
}

START_TEST(every_command_is_found_with_its_words)
{
    static const struct {
        const char *line, *command;
        unsigned words;
    } rows[] = {
        { "attiod serve", "serve", 0 },
        { "attiod serve --no-webhooks", "serve", 0 },
        { "attiod check --print", "check", 0 },
        { "attiod sync people", "sync", 1 },
        { "attiod sync --all --no-wait", "sync", 0 },
        { "attiod webhooks ensure --replace", "webhooks", 1 },
        { "attiod webhooks delete x", "webhooks", 2 },
        { "attiod events list --state dead", "events", 1 },
        { "attiod --output json events show 7", "events", 2 },
        { "attiod doctor --url http://127.0.0.1:1", "doctor", 0 },
        { "attiod dlq replay --type record.*", "dlq", 1 },
        { "attiod schema plan", "schema", 1 },
        { "attiod version", "version", 0 },
        { "attiod events show -- --7", "events", 2 },
    };
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        ck_assert_msg(parse(rows[i].line) == AD_EXIT_OK, "%s", rows[i].line);
        ck_assert_str_eq(cli.command->name, rows[i].command);
        ck_assert_uint_eq(cli.words_n, rows[i].words);
    }
}
END_TEST

START_TEST(options_take_values_in_both_forms)
{
    ck_assert_int_eq(parse("attiod events list --state=dead --type record.* --limit 5 --dry-run"),
                     AD_EXIT_OK);
    ck_assert_str_eq(cli.state, "dead");
    ck_assert_str_eq(cli.type, "record.*");
    ck_assert_str_eq(cli.limit, "5");
    ck_assert(cli.dry_run);
    ck_assert_int_eq(parse("attiod serve --listen 127.0.0.1:0 --config /x.json"), AD_EXIT_OK);
    ck_assert_uint_eq(cli.flags_n, 1);
    ck_assert_str_eq(cli.flags[0].flag, "--listen");
    ck_assert_str_eq(cli.flags[0].value, "127.0.0.1:0");
    ck_assert_str_eq(cli.config_file, "/x.json");
    ck_assert_int_eq(parse("attiod --output text version"), AD_EXIT_OK);
    ck_assert(!cli.json);
    ck_assert_int_eq(parse("attiod version --output=json"), AD_EXIT_OK);
    ck_assert(cli.json);
}
END_TEST

START_TEST(what_does_not_fit_is_usage_and_runs_nothing)
{
    static const char *const lines[] = {
        "attiod",
        "attiod srve",
        "attiod serve now",
        "attiod serve --no-webhook",
        "attiod serve --print",
        "attiod serve --listen",
        "attiod serve --no-webhooks=yes",
        "attiod sync people deals",
        "attiod events",
        "attiod webhooks",
        "attiod version --output xml",
        "attiod --frobnicate",
        "attiod sync x --url=a --url=b --url=c --url=d --url=e --url=f --url=g --url=h --url=i",
    };
    for (size_t i = 0; i < AD_LEN(lines); i++) {
        ck_assert_msg(parse(lines[i]) == AD_EXIT_USAGE, "%s", lines[i]);
        ck_assert_ptr_null(cli.command);
    }
}
END_TEST

START_TEST(help_and_version_end_well)
{
    static const char *const lines[] = { "attiod --help", "attiod -h", "attiod serve --help",
                                         "attiod --version", "attiod events --help" };
    for (size_t i = 0; i < AD_LEN(lines); i++) {
        ck_assert_msg(parse(lines[i]) == AD_EXIT_OK, "%s", lines[i]);
        ck_assert_ptr_null(cli.command);
    }
}
END_TEST

START_TEST(every_flag_of_a_command_is_in_the_configuration_table)
{
    for (const struct ad_command *c = ad_commands; c->name; c++) {
        for (const struct ad_cli_option *o = c->options; o->name; o++) {
            bool found = o->at != AD_CLI_FLAG;
            for (size_t i = 0; i < ad_config_keys_n; i++) {
                found = found ||
                        (ad_config_keys[i].flag && strcmp(ad_config_keys[i].flag, o->name) == 0);
            }
            ck_assert_msg(found, "%s %s", c->name, o->name);
        }
    }
}
END_TEST

START_TEST(errors_end_with_the_codes_of_the_manual)
{
    static const struct {
        enum ad_err err;
        int code;
    } rows[] = {
        { AD_OK, 0 },          { AD_ERR_INTERNAL, 1 }, { AD_ERR_NOTFOUND, 1 },
        { AD_ERR_INVALID, 2 }, { AD_ERR_CONFIG, 3 },   { AD_ERR_NETWORK, 4 },
        { AD_ERR_DNS, 4 },     { AD_ERR_UPSTREAM, 4 }, { AD_ERR_UNAUTHORIZED, 5 },
        { AD_ERR_STORE, 6 },   { AD_ERR_CORRUPT, 6 },  { AD_ERR_STORE_BUSY, 6 },
    };
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        ck_assert_int_eq(ad_cli_exit(rows[i].err), rows[i].code);
    }
}
END_TEST

static Suite *cli_suite(void)
{
    const TTest *const tests[] = {
        every_command_is_found_with_its_words,
        options_take_values_in_both_forms,
        what_does_not_fit_is_usage_and_runs_nothing,
        help_and_version_end_well,
        every_flag_of_a_command_is_in_the_configuration_table,
        errors_end_with_the_codes_of_the_manual,
    };
    return suite_of("cli", tests, AD_LEN(tests));
}

RUN_SUITE(cli_suite)
