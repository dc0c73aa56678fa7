/* Erasing a record without memory: it fails and can be repeated, or nothing of the record is left. */
#include "sync_fixture.h"

#include "service/erase.h"
#include "support/sqlite_heap.h"

#include <dirent.h>

#define TABLE "attiod_o_97052eb9_e65e_443f_a297_f2d9a4a7f795"

static void setup_failing_memory(void)
{
    sqlite_heap_install();
    setup();
}

/* --- the record and what is left of it --- */

static char word[32]; /* what its row says, another one each time */

static void put_back(size_t n)
{
    char sql[400];
    (void)snprintf(word, sizeof(word), "erase-me-%zu-", n);
    (void)snprintf(sql, sizeof(sql),
                   "UPDATE " TABLE " SET _deleted_at = NULL, _raw = '{\"name\":\"%s\"}'"
                   " WHERE record_id = '%s'",
                   word, record_id(1));
    fixture_sql(&s.f, sql);
}

static bool is_empty(void)
{
    char sql[200];
    (void)snprintf(sql, sizeof(sql),
                   "SELECT _raw IS NULL AND _deleted_at IS NOT NULL FROM " TABLE
                   " WHERE record_id = '%s'",
                   record_id(1));
    return fixture_i64(&s.f, sql) == 1;
}

static bool file_holds(const char *name, const char *text)
{
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/%s", s.f.folder, name);
    FILE *file = fopen(path, "rb");
    ck_assert_ptr_nonnull(file);
    static char content[4 << 20];
    size_t n = fread(content, 1, sizeof(content), file);
    ck_assert_uint_lt(n, sizeof(content));
    (void)fclose(file);
    return memmem(content, n, text, strlen(text)) != NULL;
}

/* In the database, its log, or what else there is. */
static bool disk_holds(const char *text)
{
    bool holds = false;
    DIR *dir = opendir(s.f.folder);
    ck_assert_ptr_nonnull(dir);
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        holds = holds || (e->d_name[0] != '.' && file_holds(e->d_name, text));
    }
    closedir(dir);
    return holds;
}

/* --- erasing it --- */

static bool asked;

static void on_erased(struct ad_service_query *q)
{
    (void)q;
    asked = true;
}

static bool is_asked(void *ctx)
{
    (void)ctx;
    return asked;
}

/* What Attio answers is not under test: it is erased by force. */
static enum ad_err erase(bool force, struct ad_errinfo *info)
{
    static char id[37];
    struct ad_buf out;
    ad_buf_init(&out, 1 << 16);
    (void)snprintf(id, sizeof(id), "%s", record_id(1));
    struct ad_erase_query e = { .q = { .out = &out, .cb = on_erased },
                                .object = AD_STR("people"),
                                .record_id = ad_str_c(id),
                                .force = force };
    asked = false;
    enum ad_err err = ad_service_erase(s.service, &e);
    if (!err) {
        pass_until(&s, is_asked, NULL);
        err = e.q.err;
    }
    *info = e.q.info;
    ad_buf_fini(&out);
    return err;
}

static void must_erase(void)
{
    struct ad_errinfo info = { .code = AD_OK };
    enum ad_err err = erase(true, &info);
    ck_assert_msg(err == AD_OK, "%s: %s", ad_err_name(err), info.msg);
}

/* --- tests --- */

/* The file is written anew each time, which costs: in every run memory is missing once only. */
START_TEST(allocation_that_fails_anywhere_fails_the_erasing_and_it_can_be_repeated)
{
    int kind = torture_takes_each() ? _i : 2 * _i;
    records_add(2);
    up();
    sync_all_of(2);
    ck_assert_int_eq(ad_timers_reserve(ad_loop_timers(s.f.w.loop), 64), AD_OK);
    ck_assert_ptr_nonnull(ad_buf_reserve(&s.f.w.log, 1 << 20)); /* kept when it is cleared */
    bool failed = true;
    for (size_t n = 0; failed; n = memory_next(kind, n)) {
        struct ad_errinfo info = { .code = AD_OK };
        put_back(n);
        ad_buf_clear(&s.f.w.log);
        memory_fail(kind, n);
        enum ad_err err = erase(true, &info);
        failed = memory_back();
        ck_assert_msg(err == AD_OK || err == AD_ERR_NOMEM, "request %zu: %s: %s", n,
                      ad_err_name(err), info.msg);
        ck_assert(err == AD_OK || failed);
        if (err) {
            must_erase();
        }
        ck_assert(is_empty());
        ck_assert_msg(!disk_holds(word), "request %zu: it is still on the disk", n);
    }
    ck_assert_int_eq(mirror_count(&s, "_raw IS NOT NULL"), 1);
}
END_TEST

/* The same where Attio is asked first: a call is in between. When only the answer to who asked cannot be
 * written, it is erased. */
START_TEST(allocation_that_fails_while_attio_is_asked_fails_the_erasing)
{
    records_add(2);
    up();
    sync_all_of(2);
    ck_assert_int_eq(ad_timers_reserve(ad_loop_timers(s.f.w.loop), 64), AD_OK);
    record_of(&s, 0, 1)->state = REC_GONE;
    bool failed = true;
    for (size_t n = 0; failed; n = torture_next(n)) {
        struct ad_errinfo info = { .code = AD_OK };
        put_back(n);
        ad_buf_clear(&s.f.w.log);
        heap_fail(n, 1);
        enum ad_err err = erase(false, &info);
        failed = heap_failed();
        heap_fail(0, 0);
        ck_assert_msg(err == AD_OK || failed, "request %zu: %s: %s", n, ad_err_name(err), info.msg);
        ck_assert_msg(err || is_empty(), "request %zu: not erased", n);
        s.f.sv.n = 0;
    }
}
END_TEST

static Suite *erase_suite(void)
{
    Suite *suite = suite_create("erase");
    TCase *tcase = tcase_create("without memory");
    tcase_add_checked_fixture(tcase, setup_failing_memory, teardown);
    tcase_set_timeout(tcase, 0); /* ctest has a limit */
    tcase_add_loop_test(tcase,
                        allocation_that_fails_anywhere_fails_the_erasing_and_it_can_be_repeated, 0,
                        torture_takes_each() ? MEMORY_KINDS : MEMORY_KINDS / 2);
    tcase_add_test(tcase, allocation_that_fails_while_attio_is_asked_fails_the_erasing);
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITE(erase_suite)
