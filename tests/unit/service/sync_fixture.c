#include "sync_fixture.h"

struct service_fixture s;

void setup(void)
{
    static const char *const people[] = { "people", NULL };
    service_fixture_open(&s);
    s.opts.sync_objects = people;
}

void teardown(void)
{
    service_fixture_close(&s);
}

void up(void)
{
    service_fixture_up(&s);
    s.pages = 0;
}

void records_add(unsigned n)
{
    for (unsigned i = 1; i <= n; i++) {
        record_put(&s, 0, i, "x");
    }
}

void tie(unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        s.records[i].created_ns = s.records[from - 1].created_ns;
    }
}

int64_t start(void)
{
    struct ad_errinfo info = { .code = AD_OK };
    int64_t id = 0;
    enum ad_err err = ad_service_sync_start(s.service, AD_STR("people"), false, &id, &info);
    ck_assert_msg(err == AD_OK, "%s", info.msg);
    ck_assert_int_gt(id, 0);
    return id;
}

int64_t newest(const char *column)
{
    char sql[160];
    (void)snprintf(sql, sizeof(sql), "SELECT %s FROM attiod_sync_run ORDER BY id DESC LIMIT 1",
                   column);
    return fixture_i64(&s.f, sql);
}

bool is_over(void *ctx)
{
    (void)ctx;
    return world_logged(&s.f.w, "sync_done") || world_logged(&s.f.w, "sync_failed");
}

void done(unsigned n)
{
    pass_until(&s, is_over, NULL);
    ck_assert_msg(newest("phase") == AD_SYNC_DONE, "%.*s", AD_FMT(ad_buf_str(&s.f.w.log)));
    ck_assert_int_eq(newest("seen"), n);
    ad_buf_clear(&s.f.w.log);
}

void sync_all_of(unsigned n)
{
    start();
    done(n);
    ck_assert_int_eq(mirror_count(&s, "_deleted_at IS NULL"), n);
}
