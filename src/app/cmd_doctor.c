#include "app/doctor.h"

#include "base/json_write.h"

#include <stdarg.h>
#include <stdio.h>

#define OUT_MAX ((size_t)64 << 10)

static const char *const words[] = {
    [AD_FINDING_OK] = "ok",
    [AD_FINDING_SKIPPED] = "skipped",
    [AD_FINDING_WARNING] = "warning",
    [AD_FINDING_FAILED] = "failed",
};

void ad_doctor_say(struct ad_doctor *d, const char *layer, enum ad_finding finding,
                   enum ad_exit failed, const char *fmt, ...)
{
    va_list ap;
    uint64_t now = ad_mono_ms(ad_loop_clock(d->loop));
    AD_ASSERT(d->checks_n < AD_DOCTOR_CHECKS_MAX);
    struct ad_doctor_check *c = &d->checks[d->checks_n++];
    *c = (struct ad_doctor_check){ .layer = layer, .finding = finding, .ms = now - d->since_ms };
    va_start(ap, fmt);
    (void)vsnprintf(c->detail, sizeof(c->detail), fmt, ap);
    va_end(ap);
    d->since_ms = now;
    if (finding == AD_FINDING_FAILED && (d->exit == AD_EXIT_OK || d->exit == AD_EXIT_PARTLY)) {
        d->exit = failed;
    } else if (finding == AD_FINDING_WARNING && d->exit == AD_EXIT_OK) {
        d->exit = AD_EXIT_PARTLY;
    }
}

static void write_check(struct ad_json_writer *w, const struct ad_doctor_check *c)
{
    ad_json_obj(w);
    ad_json_f_cstr(w, "layer", c->layer);
    ad_json_f_cstr(w, "finding", words[c->finding]);
    ad_json_f_i64(w, "ms", (int64_t)c->ms);
    ad_json_f_cstr(w, "detail", c->detail);
    ad_json_end(w);
}

static int print_json(const struct ad_doctor *d)
{
    struct ad_buf b;
    struct ad_json_writer w;
    ad_buf_init(&b, OUT_MAX);
    ad_json_write_init(&w, &b);
    ad_json_write_pretty(&w);
    ad_json_obj(&w);
    ad_json_f_bool(&w, "ok", d->exit == AD_EXIT_OK);
    ad_json_key(&w, "checks");
    ad_json_arr(&w);
    for (unsigned i = 0; i < d->checks_n; i++) {
        write_check(&w, &d->checks[i]);
    }
    ad_json_end(&w);
    ad_json_end(&w);
    int code = ad_cli_print_json(ad_json_write_done(&w), &b);
    return code ? code : (int)d->exit;
}

static int print_text(const struct ad_doctor *d)
{
    for (unsigned i = 0; i < d->checks_n; i++) {
        const struct ad_doctor_check *c = &d->checks[i];
        (void)printf("%-26s %-8s %6llu ms  %s\n", c->layer, words[c->finding],
                     (unsigned long long)c->ms, c->detail);
    }
    return (int)d->exit;
}

static void examine(struct ad_doctor *d, int loaded)
{
    const struct ad_config *c = d->config;
    if (loaded) {
        ad_doctor_say(d, "configuration", AD_FINDING_FAILED, AD_EXIT_CONFIG,
                      "attiod check lists what is wrong: %u mistake%s", c->errors_n,
                      c->errors_n == 1 ? "" : "s");
        return;
    }
    ad_doctor_say(d, "configuration", AD_FINDING_OK, AD_EXIT_CONFIG, "%s%s", c->env,
                  ad_list_empty(&c->warnings) ? "" : "; attiod check has warnings");
    ad_doctor_local(d);
    ad_doctor_attio(d);
}

int ad_cmd_doctor(const struct ad_cli *cli)
{
    struct ad_config c;
    struct ad_doctor d = { .cli = cli, .config = &c };
    int code = ad_cli_load(cli, true, &c);
    if (code == AD_EXIT_FAILED || ad_loop_open(&d.loop)) {
        ad_cli_complain("no memory to look at anything");
        ad_config_fini(&c);
        return AD_EXIT_FAILED;
    }
    d.since_ms = ad_mono_ms(ad_loop_clock(d.loop));
    examine(&d, code);
    code = cli->json ? print_json(&d) : print_text(&d);
    AD_IGNORE(ad_loop_close(d.loop), "the command ends here anyway");
    ad_config_fini(&c);
    return code;
}
