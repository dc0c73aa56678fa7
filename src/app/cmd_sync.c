/* sync: starts runs on the server and follows them to their end. */
#include "app/remote.h"

#include "base/http.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define POLL_MS 500
#define BAR 30U
#define LISTED 50 /* runs that the server lists, those under way first */

struct follow {
    const struct ad_cli *cli;
    struct ad_remote *r;
    int64_t run_id; /* one run; 0: all that are newer than `after`, and those joined */
    int64_t after;
    int64_t joined[LISTED];
    size_t joined_n;
    int64_t expected; /* runs */
    uint64_t began_ms;
    bool bar; /* on a terminal */
    unsigned running, done, failed;
    int64_t seen, expected_records; /* -1: some run does not know */
    int64_t budget;                 /* percent of the window used */
    struct ad_buf waits;            /* what a run waits for */
};

static int64_t number(const struct ad_json *o, const char *key)
{
    int64_t v = 0;
    return ad_json_i64(ad_json_get(o, key), &v) ? v : 0;
}

static bool has_phase(const struct ad_json *run, const char *phase)
{
    return ad_str_eq(ad_json_str(ad_json_get(run, "phase")), ad_str_c(phase));
}

static bool is_over(const struct ad_json *run)
{
    return has_phase(run, "done") || has_phase(run, "failed");
}

static bool is_followed(const struct follow *f, const struct ad_json *run)
{
    int64_t id = number(run, "id");
    for (size_t i = 0; i < f->joined_n; i++) {
        if (f->joined[i] == id) {
            return true;
        }
    }
    return f->run_id ? id == f->run_id : id > f->after;
}

static void print_run(const struct follow *f, const struct ad_json *run)
{
    struct ad_str object = ad_json_str(ad_json_get(run, "object"));
    struct ad_str phase = ad_json_str(ad_json_get(run, "phase"));
    struct ad_str error = ad_json_str(ad_json_get(run, "error"));
    bool dry_run = false;
    dry_run = ad_json_bool(ad_json_get(run, "dry_run"), &dry_run) && dry_run;
    const char *would = dry_run ? " to be" : "";
    (void)printf("%-20.*s %-8.*s %lld seen, %lld%s created, %lld%s updated, %lld unchanged, %lld%s "
                 "deleted, %lld calls, %.1f s%s%.*s\n",
                 AD_FMT(object), AD_FMT(phase), (long long)number(run, "seen"),
                 (long long)number(run, "created"), would, (long long)number(run, "updated"), would,
                 (long long)number(run, "unchanged"), (long long)number(run, "deleted"), would,
                 (long long)number(run, "calls"),
                 (double)(ad_remote_now_ms(f->r) - f->began_ms) / 1000.0, error.n ? ": " : "",
                 AD_FMT(error));
}

/* How many records there will be, the last complete run tells. The first time nobody knows: then
 * the bar walks, and the numbers are what counts. */
static void fill_bar(const struct follow *f, uint64_t ms, char bar[BAR + 1])
{
    memset(bar, '.', BAR);
    bar[BAR] = '\0';
    if (f->expected_records > 0) {
        int64_t part = f->seen < f->expected_records ? f->seen : f->expected_records;
        memset(bar, '=', (size_t)(part * (int64_t)BAR / f->expected_records));
        return;
    }
    const unsigned there_and_back = 2 * (BAR - 3);
    unsigned at = (unsigned)(ms / 200 % there_and_back);
    at = at < BAR - 3 ? at : there_and_back - at;
    memset(bar + at, '=', 3);
}

static void draw_bar(const struct follow *f)
{
    uint64_t ms = ad_remote_now_ms(f->r) - f->began_ms;
    double rate = ms ? (double)f->seen * 1000.0 / (double)ms : 0.0;
    char bar[BAR + 1];
    char eta[32] = "";
    fill_bar(f, ms, bar);
    if (f->expected_records > f->seen && rate > 0.0) {
        (void)snprintf(eta, sizeof(eta), "  ETA %.0f s",
                       (double)(f->expected_records - f->seen) / rate);
    }
    (void)printf(
        "\r[%s] %u running, %u done  %lld records  %.0f/s%s  budget %lld %%  %llu s  %.*s\033[K",
        bar, f->running, f->done + f->failed, (long long)f->seen, rate, eta, (long long)f->budget,
        (unsigned long long)(ms / 1000), AD_FMT(ad_buf_str(&f->waits)));
    (void)fflush(stdout);
}

static void count_run(struct follow *f, const struct ad_json *run)
{
    int64_t expected = 0;
    bool knows = ad_json_i64(ad_json_get(run, "expected"), &expected);
    int64_t seen = number(run, "seen");
    f->done += has_phase(run, "done");
    f->failed += has_phase(run, "failed");
    f->running += !is_over(run);
    f->seen += seen;
    expected = is_over(run) ? seen : expected;
    if (f->expected_records >= 0) {
        f->expected_records = knows || is_over(run) ? f->expected_records + expected : -1;
    }
    struct ad_str error = ad_json_str(ad_json_get(run, "error"));
    if (!is_over(run) && error.n && ad_buf_str(&f->waits).n == 0) {
        ad_buf_fmt(&f->waits, "(waits: %.*s)", (int)(error.n < 40 ? error.n : 40), error.p);
    }
}

static void count(struct follow *f, const struct ad_json *runs)
{
    f->running = f->done = f->failed = 0;
    f->seen = f->expected_records = 0;
    ad_buf_clear(&f->waits);
    AD_JSON_FOREACH (run, runs) {
        if (is_followed(f, run)) {
            count_run(f, run);
        }
    }
    /* A run that has only begun is listed with its first checkpoint. */
    unsigned listed = f->running + f->done + f->failed;
    if (listed < f->expected) {
        f->running += (unsigned)f->expected - listed;
        f->expected_records = -1;
    }
}

static void print_runs(const struct follow *f, const struct ad_json *runs)
{
    AD_JSON_FOREACH (run, runs) {
        if (!is_followed(f, run)) {
            continue;
        }
        if (f->cli->json) {
            (void)printf("%.*s\n", AD_FMT(run->raw));
        } else if (f->running == 0) {
            print_run(f, run);
        }
    }
    (void)fflush(stdout);
}

/* How much of the rate limit's window is used just now. */
static int ask_budget(struct follow *f)
{
    struct ad_remote_answer a;
    int code = ad_remote_call(f->r, "GET", "/api/v1/status", AD_STR_NONE, &a);
    if (code == AD_EXIT_OK) {
        f->budget = number(ad_json_get(a.data, "attio"), "window_percent");
    }
    return code;
}

/* To the end of all runs that are followed. */
static int follow(struct follow *f)
{
    struct ad_remote_answer a;
    for (;;) {
        int code = f->bar ? ask_budget(f) : AD_EXIT_OK;
        code = code ? code : ad_remote_call(f->r, "GET", "/api/v1/sync", AD_STR_NONE, &a);
        if (code) {
            return code;
        }
        count(f, a.data);
        if (f->bar) {
            draw_bar(f);
        }
        if (f->running == 0 || f->cli->json) {
            if (f->bar) {
                (void)printf("\n");
            }
            print_runs(f, a.data);
        }
        if (f->running == 0) {
            return f->failed ? AD_EXIT_PARTLY : AD_EXIT_OK;
        }
        ad_remote_wait(f->r, POLL_MS);
    }
}

/* Before the start: which runs are none of ours, and which we join. */
static int look_around(struct follow *f)
{
    struct ad_remote_answer a;
    int code = ad_remote_call(f->r, "GET", "/api/v1/sync", AD_STR_NONE, &a);
    if (code) {
        return code;
    }
    AD_JSON_FOREACH (run, a.data) {
        int64_t id = number(run, "id");
        if (!is_over(run) && f->joined_n < AD_LEN(f->joined)) {
            f->joined[f->joined_n++] = id;
        }
        f->after = id > f->after ? id : f->after;
    }
    return AD_EXIT_OK;
}

static int start_all(struct follow *f)
{
    struct ad_remote_answer a;
    int code = look_around(f);
    code = code ? code
                : ad_remote_call(f->r, "POST", "/api/v1/sync",
                                 f->cli->dry_run ? AD_STR("{\"all\":true,\"dry_run\":true}")
                                                 : AD_STR("{\"all\":true}"),
                                 &a);
    if (code == AD_EXIT_OK) {
        int64_t runs = number(a.data, "runs");
        f->expected = runs < LISTED ? runs : LISTED;
    }
    return code;
}

static int start(struct follow *f)
{
    char path[300];
    struct ad_buf encoded;
    struct ad_remote_answer a;
    if (f->cli->all) {
        return start_all(f);
    }
    ad_buf_init(&encoded, 200);
    ad_percent_encode(&encoded, ad_str_c(f->cli->words[0]));
    (void)snprintf(path, sizeof(path), "/api/v1/sync/%.*s", AD_FMT(ad_buf_str(&encoded)));
    bool fits = ad_buf_status(&encoded) == AD_OK;
    ad_buf_fini(&encoded);
    if (!fits) {
        ad_cli_complain("there is no object of that name");
        return AD_EXIT_FAILED;
    }
    int code = ad_remote_call(f->r, "POST", path,
                              f->cli->dry_run ? AD_STR("{\"dry_run\":true}") : AD_STR("{}"), &a);
    if (code == AD_EXIT_OK) {
        f->run_id = number(a.data, "run_id");
        f->expected = 1;
    }
    return code;
}

int ad_cmd_sync(const struct ad_cli *cli)
{
    struct follow f = { .cli = cli, .bar = !cli->json && isatty(STDOUT_FILENO) };
    if (cli->all == (cli->words_n == 1)) {
        ad_cli_complain("sync OBJECT, or sync --all");
        return AD_EXIT_USAGE;
    }
    int code = ad_remote_open(cli, AD_NEED_ATTIO, &f.r);
    if (code) {
        return code;
    }
    ad_buf_init(&f.waits, 128);
    f.began_ms = ad_remote_now_ms(f.r);
    code = start(&f);
    if (code == AD_EXIT_OK && !cli->no_wait) {
        code = follow(&f);
    }
    ad_buf_fini(&f.waits);
    ad_remote_close(f.r);
    return code;
}
