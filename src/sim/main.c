/* attio-sim: a workspace that behaves like Attio's, for tests and demonstrations. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "infra/log_sink.h"
#include "sim.h"

static const char usage[] =
    "usage: attio-sim [options]\n"
    "  --listen ADDRESS        loopback address, default 127.0.0.1:4010; port 0 picks one\n"
    "  --api-key KEY           the one token that is right, default sim-key\n"
    "  --people N --companies N --deals N --users N --workspaces N   made-up records, default 0;\n"
    "                          users and workspaces are objects only when there are any\n"
    "  --lists N --entries N --notes N --tasks N --comments N   likewise; entries in all lists\n"
    "  --seed S                same seed, same workspace; default 1\n"
    "  --ties N                so many of the oldest people share one created_at\n"
    "  --rate-per-url N        webhook deliveries per second and target URL, default 25, 0: no "
    "limit\n"
    "  --tls-cert FILE --tls-key FILE   speak TLS with these, in PEM form\n"
    "  --tls-ca FILE           who vouches for https: targets of webhooks; without, they fail\n"
    "  --merge old|new         what merging two records does: into the first, or into a third\n"
    "  --limits on|off         Attio's 100 reads and 25 writes per second\n"
    "  --workspace-slug SLUG   default sim\n"
    "  --log-level debug|info|warn|error\n"
    "  --help, --version\n"
    "Control is under /_sim/: faults clock edit requests state deliveries.\n";

struct arguments {
    struct ad_sim_opts sim;
    enum ad_log_level level;
    bool help, version;
};

static bool take_u64(const char *s, uint64_t *out)
{
    return ad_str_u64(ad_str_c(s), UINT64_C(1) << 62, out);
}

static bool take_level(const char *s, enum ad_log_level *out)
{
    static const char *const names[] = { "debug", "info", "warn", "error" };
    for (size_t i = 0; i < AD_LEN(names); i++) {
        if (strcmp(s, names[i]) == 0) {
            *out = (enum ad_log_level)i;
            return true;
        }
    }
    return false;
}

static bool take_limits(const char *s, bool *out)
{
    *out = strcmp(s, "on") == 0;
    return *out || strcmp(s, "off") == 0;
}

static bool take_merge(const char *s, bool *old)
{
    *old = strcmp(s, "old") == 0;
    return *old || strcmp(s, "new") == 0;
}

static bool take_listen(const char *s, struct ad_endpoint *out)
{
    return ad_endpoint_parse(ad_str_c(s), out) == AD_OK && ad_endpoint_is_loopback(out);
}

static bool take_text(const char *s, const char **out)
{
    *out = s;
    return *s != '\0';
}

static bool take_tls(const char *what, const char *value, struct ad_sim_opts *out)
{
    const char **to = strcmp(what, "cert") == 0  ? &out->tls_cert
                      : strcmp(what, "key") == 0 ? &out->tls_key
                      : strcmp(what, "ca") == 0  ? &out->tls_ca
                                                 : NULL;
    return to && take_text(value, to);
}

static bool take(struct arguments *a, const char *name, const char *value)
{
    struct {
        const char *name;
        uint64_t *to;
    } numbers[] = { { "--people", &a->sim.sizes.people },
                    { "--companies", &a->sim.sizes.companies },
                    { "--deals", &a->sim.sizes.deals },
                    { "--users", &a->sim.sizes.users },
                    { "--workspaces", &a->sim.sizes.workspaces },
                    { "--lists", &a->sim.sizes.lists },
                    { "--entries", &a->sim.sizes.entries },
                    { "--notes", &a->sim.sizes.notes },
                    { "--tasks", &a->sim.sizes.tasks },
                    { "--comments", &a->sim.sizes.comments },
                    { "--ties", &a->sim.sizes.ties },
                    { "--seed", &a->sim.seed },
                    { "--rate-per-url", &a->sim.rate_per_url } };
    for (size_t i = 0; i < AD_LEN(numbers); i++) {
        if (strcmp(name, numbers[i].name) == 0) {
            return take_u64(value, numbers[i].to);
        }
    }
    if (strcmp(name, "--listen") == 0) {
        return take_listen(value, &a->sim.listen);
    }
    if (strncmp(name, "--tls-", 6) == 0) {
        return take_tls(name + 6, value, &a->sim);
    }
    if (strcmp(name, "--api-key") == 0) {
        return take_text(value, &a->sim.api_key);
    }
    if (strcmp(name, "--workspace-slug") == 0) {
        return take_text(value, &a->sim.slug);
    }
    if (strcmp(name, "--merge") == 0) {
        return take_merge(value, &a->sim.merge_old);
    }
    if (strcmp(name, "--limits") == 0) {
        return take_limits(value, &a->sim.limits);
    }
    return strcmp(name, "--log-level") == 0 && take_level(value, &a->level);
}

static bool parse(int argc, char **argv, struct arguments *a)
{
    *a = (struct arguments){ .level = AD_LOG_INFO };
    a->sim = (struct ad_sim_opts){
        .api_key = "sim-key", .slug = "sim", .seed = 1, .rate_per_url = 25, .limits = true
    };
    AD_IGNORE(!take_listen("127.0.0.1:4010", &a->sim.listen), "it is one");
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            a->help = true;
        } else if (strcmp(argv[i], "--version") == 0) {
            a->version = true;
        } else if (i + 1 == argc || !take(a, argv[i], argv[i + 1])) {
            AD_IGNORE(fprintf(stderr, "attio-sim: %s%s%s is not understood; --help\n", argv[i],
                              i + 1 < argc ? " " : "", i + 1 < argc ? argv[i + 1] : "") < 0,
                      "stderr is all there is");
            return false;
        } else {
            i++;
        }
    }
    if (!a->sim.tls_cert != !a->sim.tls_key) {
        AD_IGNORE(fputs("attio-sim: --tls-cert and --tls-key belong together\n", stderr) < 0,
                  "stderr is all there is");
        return false;
    }
    return true;
}

struct program {
    struct ad_loop *loop;
    struct ad_signals *signals;
    struct ad_sim sim;
    bool closing;
};

static void on_closed(void *ctx)
{
    struct program *p = ctx;
    ad_signals_close(p->signals);
}

static void close_down(struct program *p)
{
    if (!p->closing) {
        p->closing = true;
        ad_sim_close(&p->sim, on_closed, p);
    }
}

static void on_stop(void *ctx, int signum)
{
    (void)signum;
    close_down(ctx);
}

static bool start(struct program *p, const struct arguments *a)
{
    struct ad_errinfo info = { 0 };
    ad_sim_init(&p->sim, p->loop, &a->sim);
    AD_ASSERT(ad_signals_open(p->loop, on_stop, NULL, p, &p->signals) == AD_OK);
    if (ad_sim_listen(&p->sim, &a->sim, &info) == AD_OK) {
        return true;
    }
    ad_log(AD_LOG_ERROR, "cannot_listen", AD_KC("reason", info.msg));
    return false;
}

/* The loop ends by itself once the last handle is closed. */
static int serve(const struct arguments *a)
{
    struct program *p = ad_sim_alloc(sizeof(*p));
    struct ad_log_fd *log = NULL;
    AD_ASSERT(ad_loop_open(&p->loop) == AD_OK);
    AD_ASSERT(ad_log_fd_open(p->loop, STDOUT_FILENO, AD_LOG_JSON, &log) == AD_OK);
    ad_log_set_level(a->level);
    AD_IGNORE(ad_log_hide(ad_str_c(a->sim.api_key)), "a short key cannot be told from other words");
    int code = 0;
    if (!start(p, a)) {
        code = 1;
        close_down(p);
    }
    ad_loop_run(p->loop);
    ad_sim_fini(&p->sim);
    ad_log_fd_close(log);
    code = ad_loop_close(p->loop) == AD_OK ? code : 1;
    ad_log_forget_all();
    ad_free(p);
    return code;
}

int main(int argc, char **argv)
{
    struct arguments a;
    if (!parse(argc, argv, &a)) {
        return 2;
    }
    if (a.help || a.version) {
        return fputs(a.help ? usage : "attio-sim " ATTIOD_VERSION "\n", stdout) < 0;
    }
    return serve(&a);
}
