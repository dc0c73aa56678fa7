#include "fixture.h"

#include "attio/migrate.h"
#include "base/log.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void on_closed(void *ctx)
{
    *(bool *)ctx = true;
}

void fixture_reopen_store(struct attio_fixture *f)
{
    char url[200];
    struct ad_errinfo info = { .code = AD_OK };
    (void)snprintf(url, sizeof(url), "sqlite:%s/test.db", f->folder);
    struct ad_store_opts opts = { .url = url, .metrics = f->metrics };
    enum ad_err err = ad_store_open(f->w.loop, &opts, &f->store, &info);
    ck_assert_msg(err == AD_OK, "%s", info.msg);
    f->store_closed = false;
}

void fixture_open(struct attio_fixture *f)
{
    struct ad_errinfo info = { .code = AD_OK };
    const char *tmp = getenv("TMPDIR");
    *f = (struct attio_fixture){ .client = NULL };
    (void)snprintf(f->folder, sizeof(f->folder), "%s/attiod-XXXXXX", tmp ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(f->folder));
    world_open(&f->w);
    scripted_open(&f->sv, &f->w);
    ck_assert_int_eq(ad_metrics_new(&f->metrics), AD_OK);
    fixture_reopen_store(f);
    enum ad_err err = ad_migrate(f->store, false, NULL, NULL, &info);
    ck_assert_msg(err == AD_OK, "%s", info.msg);
    f->opts = (struct ad_client_opts){
        .base_url = ad_str_c(f->sv.url),
        .api_key = AD_STR(FIXTURE_KEY),
        .clock = ad_loop_clock(f->w.loop),
        .timers = ad_loop_timers(f->w.loop),
        .metrics = f->metrics,
        .seed = 1,
        .enabled = true,
        .writes_enabled = true,
        .concurrency = 4,
        .interval_cap = 1000,
        .interval_ms = 1000,
        .reads_per_s = 1000,
        .writes_per_s = 1000,
        .attempts_max = 2,
        .retry_base_ms = 1,
    };
    err = ad_client_open(f->w.loop, &f->opts, &f->client, &info);
    ck_assert_msg(err == AD_OK, "%s", info.msg);
}

void fixture_close_store(struct attio_fixture *f)
{
    if (!f->store_closed) {
        ad_store_close(f->store, on_closed, &f->store_closed);
        world_until_true(&f->w, &f->store_closed);
    }
}

static void remove_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *e;
    ck_assert_ptr_nonnull(dir);
    while ((e = readdir(dir))) {
        char path[512];
        (void)snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
        if (e->d_name[0] != '.') {
            ck_assert_int_eq(unlink(path), 0);
        }
    }
    closedir(dir);
    ck_assert_int_eq(rmdir(folder), 0);
}

void fixture_close(struct attio_fixture *f)
{
    if (f->client) {
        ad_client_close(f->client, on_closed, &f->client_closed);
        world_until_true(&f->w, &f->client_closed);
    }
    fixture_close_store(f);
    scripted_close(&f->sv);
    ad_metrics_free(f->metrics);
    ad_log_forget_all();
    world_close(&f->w);
    remove_folder(f->folder);
}

void fixture_sql(struct attio_fixture *f, const char *sql)
{
    struct ad_errinfo info = { .code = AD_OK };
    enum ad_err err = ad_store_exec_now(f->store, ad_str_c(sql), &info);
    ck_assert_msg(err == AD_OK, "%s: %s", sql, info.msg);
}

static void query(struct attio_fixture *f, const char *text, struct ad_sql *sql,
                  struct ad_store_req *req)
{
    static struct ad_step step;
    *sql = (struct ad_sql){ .sqlite = text };
    step = (struct ad_step){ .sql = sql };
    *req = (struct ad_store_req){ .steps = &step, .steps_n = 1 };
    enum ad_err err = ad_store_read_now(f->store, req);
    ck_assert_msg(err == AD_OK, "%s: %s", text, req->info.msg);
}

struct wait {
    bool done;
};

static void on_forgotten(struct ad_store_req *req)
{
    ((struct wait *)req->data)->done = true;
}

static void forget(struct attio_fixture *f, const struct ad_sql *sql)
{
    struct wait wait = { .done = false };
    struct ad_store_req req = { .cb = on_forgotten, .data = &wait };
    ck_assert_int_eq(ad_store_forget(f->store, sql, &req), AD_OK);
    world_until_true(&f->w, &wait.done);
}

int64_t fixture_i64(struct attio_fixture *f, const char *text)
{
    struct ad_store_req req;
    struct ad_sql sql;
    query(f, text, &sql, &req);
    ck_assert_uint_eq(req.rows.rows, 1);
    int64_t v = ad_row(&req.rows, 0)[0].i64;
    ad_store_rows_free(&req);
    forget(f, &sql);
    return v;
}

bool fixture_text_is(struct attio_fixture *f, const char *text, const char *want)
{
    struct ad_store_req req;
    struct ad_sql sql;
    query(f, text, &sql, &req);
    bool same = req.rows.rows == 1 && ad_str_eq(ad_row(&req.rows, 0)[0].str, ad_str_c(want));
    ad_store_rows_free(&req);
    forget(f, &sql);
    return same;
}
