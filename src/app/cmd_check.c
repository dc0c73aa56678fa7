#include "app/cli.h"

#include "base/json_write.h"

#include <stdio.h>
#include <string.h>

#define OUT_MAX ((size_t)1 << 20)

/* "/etc/attiod/attio.production.json:12: rateLimit.concurrency: must be ..." */
static void print_error(FILE *to, const char *word, const struct ad_config_error *e)
{
    bool file = strcmp(e->at.what, "environment") != 0 && strcmp(e->at.what, "built in") != 0 &&
                strcmp(e->at.what, "flag") != 0;
    (void)fprintf(to, "%s", word);
    if (file && e->at.line) {
        (void)fprintf(to, "%s:%u: ", e->at.what, e->at.line);
    } else if (file) {
        (void)fprintf(to, "%s: ", e->at.what);
    }
    (void)fprintf(to, "%s%s%s\n", e->key, *e->key ? ": " : "", e->message);
}

static void print_all(FILE *to, const struct ad_config *c)
{
    AD_LIST_FOREACH (it, &c->warnings) {
        print_error(to, "warning: ", ad_container_of(it, struct ad_config_error, link));
    }
    AD_LIST_FOREACH (it, &c->errors) {
        print_error(to, "", ad_container_of(it, struct ad_config_error, link));
    }
    if (c->errors_n) {
        (void)fprintf(to, "%u error%s in the configuration\n", c->errors_n,
                      c->errors_n == 1 ? "" : "s");
    }
}

int ad_cli_load(const struct ad_cli *cli, bool serve, struct ad_config *c)
{
    const struct ad_config_input in = {
        .environ = cli->environ,
        .file = cli->config_file,
        .flags = cli->flags,
        .flags_n = cli->flags_n,
        .etc_dir = "/etc/attiod",
        .source_dir = ad_cli_source_dir(),
        .serve = serve,
    };
    enum ad_err err = ad_config_load(c, &in);
    if (err == AD_ERR_NOMEM) {
        return AD_EXIT_FAILED;
    }
    return err ? AD_EXIT_CONFIG : AD_EXIT_OK;
}

int ad_cli_config(const struct ad_cli *cli, bool serve, struct ad_config *c)
{
    int code = ad_cli_load(cli, serve, c);
    if (code == AD_EXIT_CONFIG) {
        ad_cli_show_errors(c);
    } else if (code) {
        ad_cli_complain("no memory for the configuration");
    }
    return code;
}

int ad_cli_config_quiet(const struct ad_cli *cli, struct ad_config *c)
{
    return ad_cli_load(cli, false, c);
}

void ad_cli_show_errors(const struct ad_config *c)
{
    print_all(stderr, c);
}

/* --- check -------------------------------------------------------------------------------- */

static void write_origin(struct ad_json_writer *w, const struct ad_config_origin *at)
{
    ad_json_f_cstr(w, "origin", at->what);
    if (at->line) {
        ad_json_f_i64(w, "line", at->line);
    }
}

static void write_list(struct ad_json_writer *w, const char *name, const struct ad_list *list)
{
    ad_json_key(w, name);
    ad_json_arr(w);
    AD_LIST_FOREACH (it, list) {
        const struct ad_config_error *e = ad_container_of(it, struct ad_config_error, link);
        ad_json_obj(w);
        write_origin(w, &e->at);
        ad_json_f_cstr(w, "key", e->key);
        ad_json_f_cstr(w, "message", e->message);
        ad_json_end(w);
    }
    ad_json_end(w);
}

static void write_values(struct ad_json_writer *w, struct ad_config *c)
{
    ad_json_key(w, "values");
    ad_json_obj(w);
    for (size_t i = 0; i < ad_config_keys_n; i++) {
        const struct ad_config_key *key = &ad_config_keys[i];
        ad_json_key(w, key->file ? key->file : ad_config_name(key));
        ad_json_obj(w);
        ad_json_f_cstr(w, "value", ad_config_show(c, key));
        write_origin(w, &c->origin[i]);
        ad_json_end(w);
    }
    ad_json_end(w);
}

static int print_json(struct ad_config *c, bool values)
{
    struct ad_buf b;
    struct ad_json_writer w;
    ad_buf_init(&b, OUT_MAX);
    ad_json_write_init(&w, &b);
    ad_json_write_pretty(&w);
    ad_json_obj(&w);
    ad_json_f_bool(&w, "ok", c->errors_n == 0);
    ad_json_f_cstr(&w, "env", c->env);
    write_list(&w, "errors", &c->errors);
    write_list(&w, "warnings", &c->warnings);
    if (values) {
        write_values(&w, c);
    }
    ad_json_end(&w);
    return ad_cli_print_json(ad_json_write_done(&w), &b);
}

static void print_values(struct ad_config *c)
{
    for (size_t i = 0; i < ad_config_keys_n; i++) {
        const struct ad_config_key *key = &ad_config_keys[i];
        const char *value = ad_config_show(c, key);
        (void)printf("%-28s %-28s %s", key->file ? key->file : ad_config_name(key),
                     value ? *value ? value : "(all)" : "(unset)", c->origin[i].what);
        if (c->origin[i].line) {
            (void)printf(":%u", c->origin[i].line);
        }
        (void)printf("\n");
    }
}

static void print_text(struct ad_config *c, bool values)
{
    print_all(stdout, c);
    if (values) {
        print_values(c);
    } else if (c->errors_n == 0) {
        (void)printf("the configuration is good (%s)\n", c->env);
    }
}

int ad_cmd_check(const struct ad_cli *cli)
{
    struct ad_config c;
    int code = ad_cli_load(cli, true, &c);
    if (code == AD_EXIT_FAILED) {
        ad_cli_complain("no memory for the configuration");
    } else if (cli->json) {
        int printed = print_json(&c, cli->print);
        code = printed ? printed : code;
    } else {
        print_text(&c, cli->print);
    }
    ad_config_fini(&c);
    return code;
}
