/* This side: does a server run here, and is the database well. Where a server has the database, it is
 * asked; else the database is opened as the server would, and one transaction made durable. */
#include "app/doctor.h"

#include "app/file.h"
#include "app/remote.h"
#include "attio/migrate.h"
#include "infra/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TURN_MS 1000

/* --- The server ------------------------------------------------------------------------------- */

static struct ad_str state_of(const struct ad_remote_answer *a, const char *path)
{
    struct ad_str s = ad_json_str(ad_json_path(a->doc, path));
    return s.p ? s : AD_STR("not told without ATTIOD_TOKEN");
}

static void judge_server(struct ad_doctor *d, const struct ad_remote_answer *a)
{
    struct ad_str status = ad_json_str(ad_json_get(a->doc, "status"));
    struct ad_str database = ad_json_str(ad_json_path(a->doc, "dependencies.database.state"));
    bool ok = ad_str_eq(status, AD_STR("ok"));
    bool down = ad_str_eq(status, AD_STR("down"));
    ad_doctor_say(d, "server",
                  ok     ? AD_FINDING_OK
                  : down ? AD_FINDING_FAILED
                         : AD_FINDING_WARNING,
                  AD_EXIT_DATABASE, "%.*s (attio: %.*s, webhook: %.*s)", AD_FMT(status),
                  AD_FMT(state_of(a, "dependencies.attio.state")),
                  AD_FMT(state_of(a, "dependencies.webhook.state")));
    down = ad_str_eq(database, AD_STR("down"));
    ad_doctor_say(d, "database",
                  !database.p ? AD_FINDING_SKIPPED
                  : down      ? AD_FINDING_FAILED
                              : AD_FINDING_OK,
                  AD_EXIT_DATABASE, "the server has it: %.*s",
                  AD_FMT(state_of(a, "dependencies.database.state")));
}

/* True: there is one, and it was judged. */
static bool ask_server(struct ad_doctor *d)
{
    struct ad_remote *r;
    struct ad_remote_answer a = { .status = 0 };
    if (ad_remote_open(d->cli, AD_NEED_SERVER, &r)) {
        ad_doctor_say(d, "server", AD_FINDING_FAILED, AD_EXIT_CONFIG, "cannot be asked");
        return false;
    }
    int code = ad_remote_call(r, "GET", "/health", AD_STR_NONE, &a);
    bool told = ad_json_str(ad_json_get(a.doc, "status")).p != NULL;
    if (told) {
        judge_server(d, &a);
    } else if (code && ad_remote_is_absent(r)) {
        ad_doctor_say(d, "server", AD_FINDING_SKIPPED, AD_EXIT_OK, "none runs here");
    } else {
        ad_doctor_say(d, "server", AD_FINDING_FAILED, AD_EXIT_FAILED, "%s",
                      code ? ad_remote_why(r) : "what answers there is no attiod");
    }
    ad_remote_close(r);
    return told;
}

/* --- The database ----------------------------------------------------------------------------- */

static void fail_database(struct ad_doctor *d, const char *why)
{
    ad_doctor_say(d, "database", AD_FINDING_FAILED, AD_EXIT_DATABASE, "%s", why);
}

/* The place of one that is not there yet: the nearest folder above it must take files. */
static void judge_place(struct ad_doctor *d, const char *path)
{
    char folder[1024];
    size_t n = strlen(path);
    n = n < sizeof(folder) ? n : 0;
    memcpy(folder, path, n);
    do {
        while (n > 0 && folder[n - 1] != '/') {
            n--;
        }
        n -= n > 1; /* "/a/b" -> "/a"; "/" stays */
        folder[n] = '\0';
    } while (n > 1 && access(folder, F_OK) != 0 && errno == ENOENT);
    if (access(n ? folder : ".", W_OK | X_OK) == 0) {
        ad_doctor_say(d, "database", AD_FINDING_OK, AD_EXIT_OK, "none yet; serve makes %s", path);
    } else {
        ad_doctor_say(d, "database", AD_FINDING_FAILED, AD_EXIT_DATABASE,
                      "%s cannot be made: %s: %s", path, n ? folder : ".", strerror(errno));
    }
}

static void judge_tables(struct ad_doctor *d, struct ad_store *store)
{
    int from = -1;
    int to = -1;
    char script[64];
    struct ad_errinfo info = { .code = AD_OK };
    enum ad_err err = ad_migrate(store, true, &from, &to, &info);
    if (err && from >= to) {
        fail_database(d, info.msg);
        return;
    }
    (void)snprintf(script, sizeof(script), "PRAGMA user_version = %d", from); /* as it is */
    if (ad_store_exec_now(store, ad_str_c(script), &info)) {
        fail_database(d, info.msg);
    } else if (err) {
        ad_doctor_say(d, "database", AD_FINDING_WARNING, AD_EXIT_OK,
                      "tables of version %d; serve (or attiod migrate) brings them to %d", from,
                      to);
    } else {
        ad_doctor_say(d, "database", AD_FINDING_OK, AD_EXIT_OK,
                      "tables of version %d, a transaction was made durable", from);
    }
}

static void on_closed(void *ctx)
{
    *(bool *)ctx = true;
}

static void close_store(struct ad_doctor *d, struct ad_store *store)
{
    bool closed = false;
    ad_store_close(store, on_closed, &closed);
    while (!closed) {
        ad_loop_turn(d->loop, TURN_MS);
    }
}

static void open_database(struct ad_doctor *d)
{
    struct ad_store *store;
    struct ad_errinfo info = { .code = AD_OK };
    const struct ad_store_opts opts = { .url = d->config->database_url };
    enum ad_err err = ad_store_open(d->loop, &opts, &store, &info);
    if (err == AD_ERR_BUSY) {
        ad_doctor_say(d, "database", AD_FINDING_FAILED, AD_EXIT_DATABASE,
                      "%s; that server does not answer where it is asked (ATTIOD_URL, "
                      "ATTIOD_INTERNAL_LISTEN)",
                      info.msg);
    } else if (err) {
        fail_database(d, info.msg);
    } else {
        judge_tables(d, store);
        close_store(d, store);
    }
}

void ad_doctor_local(struct ad_doctor *d)
{
    const char *path = ad_file_of_database(d->config->database_url);
    if (ask_server(d)) {
        return;
    }
    if (access(path, F_OK) != 0 && errno == ENOENT) {
        judge_place(d, path);
    } else {
        open_database(d);
    }
}
