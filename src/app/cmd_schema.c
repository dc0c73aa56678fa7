/* schema: what the mirror looks like (show), and what of that is not there yet (plan). */
#include "app/remote.h"

#include "base/json_write.h"

#include <stdio.h>
#include <string.h>

#define OUT_MAX ((size_t)32 << 20)

static struct ad_str text_of(const struct ad_json *o, const char *key)
{
    struct ad_str s = ad_json_str(ad_json_get(o, key));
    return s.p ? s : AD_STR("");
}

static bool is_true(const struct ad_json *o, const char *key)
{
    bool v = false;
    return ad_json_bool(ad_json_get(o, key), &v) && v;
}

/* "  (instead of people: that name is taken, or too long)" */
static void print_clash(const struct ad_json *o)
{
    if (ad_json_get(o, "instead_of")) {
        (void)printf("  (instead of %.*s: taken, too long or ours)",
                     AD_FMT(text_of(o, "instead_of")));
    }
    (void)printf("\n");
}

static void print_shape(const struct ad_json *o)
{
    (void)printf("%.*s", AD_FMT(text_of(o, "view")));
    print_clash(o);
    AD_JSON_FOREACH (c, ad_json_get(o, "columns")) {
        (void)printf("    %-40.*s %-8.*s", AD_FMT(text_of(c, "name")), AD_FMT(text_of(c, "type")));
        print_clash(c);
    }
}

static bool is_as_planned(const struct ad_json *o)
{
    return ad_str_eq(text_of(o, "state"), AD_STR("same")) && !is_true(o, "rows_lacking");
}

static void print_plan(const struct ad_json *o)
{
    bool same = ad_str_eq(text_of(o, "state"), AD_STR("same"));
    (void)printf("%.*s: %s%s", AD_FMT(text_of(o, "view")),
                 same                                                ? ""
                 : ad_str_eq(text_of(o, "state"), AD_STR("changed")) ? "table or views change"
                                                                     : "is made",
                 is_true(o, "rows_lacking") ? " rows are being completed" : "");
    print_clash(o);
    AD_JSON_FOREACH (c, ad_json_get(o, "columns")) {
        if (!same && is_true(c, "missing")) {
            (void)printf("    + %-38.*s %-8.*s", AD_FMT(text_of(c, "name")),
                         AD_FMT(text_of(c, "type")));
            print_clash(c);
        }
    }
}

static void print_text(const struct ad_json *data, bool plan)
{
    unsigned n = 0;
    AD_JSON_FOREACH (o, data) {
        if (!plan) {
            print_shape(o);
        } else if (!is_as_planned(o)) {
            print_plan(o);
            n++;
        }
    }
    if (plan && n == 0) {
        (void)printf("the mirror is as the schema asks for\n");
    }
}

static enum ad_err write_json(const struct ad_json *data, bool plan, struct ad_buf *out)
{
    struct ad_json_writer w;
    ad_json_write_init(&w, out);
    ad_json_obj(&w);
    ad_json_key(&w, "data");
    ad_json_arr(&w);
    AD_JSON_FOREACH (o, data) {
        if (!plan || !is_as_planned(o)) {
            ad_json_w_raw(&w, o->raw);
        }
    }
    ad_json_end(&w);
    ad_json_end(&w);
    return ad_json_write_done(&w);
}

static int print_json(const struct ad_json *data, bool plan)
{
    struct ad_buf b;
    ad_buf_init(&b, OUT_MAX);
    return ad_cli_print_json(write_json(data, plan, &b), &b);
}

/* Without a server a plan begins with Attio's schema of now; with one, it has that already. */
int ad_cmd_schema(const struct ad_cli *cli)
{
    bool plan = strcmp(cli->words[0], "plan") == 0;
    struct ad_remote *r;
    struct ad_remote_answer a;
    if (!plan && strcmp(cli->words[0], "show") != 0) {
        ad_cli_complain("schema show or plan; not \"%s\"", cli->words[0]);
        return AD_EXIT_USAGE;
    }
    int code = ad_remote_open(cli, plan ? AD_NEED_ATTIO : AD_NEED_DATABASE, &r);
    if (code) {
        return code;
    }
    code = ad_remote_call(r, "GET", "/api/v1/schema", AD_STR_NONE, &a);
    if (code == AD_EXIT_OK && cli->json) {
        code = print_json(a.data, plan);
    } else if (code == AD_EXIT_OK) {
        print_text(a.data, plan);
    }
    ad_remote_close(r);
    return code;
}
