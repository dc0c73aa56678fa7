#include "attio/sync_state.h"

#include "base/json.h"
#include "fixture.h"
#include "support/run.h"

#include <stdio.h>

static struct attio_fixture f;
static struct ad_sync_state *st;

static void setup(void)
{
    fixture_open(&f);
    ck_assert_int_eq(ad_sync_state_open(f.store, &st), AD_OK);
}

static void teardown(void)
{
    ad_sync_state_close(st);
    fixture_close(&f);
}

static struct ad_sync_run run_of(int64_t id, const char *object, enum ad_sync_phase phase)
{
    return (struct ad_sync_run){ .id = id,
                                 .object_id = ad_str_c(object),
                                 .object_slug = AD_STR("people"),
                                 .phase = phase,
                                 .key = "2026-01-01T00:00:00.000000001Z",
                                 .offset = 7,
                                 .version = 9,
                                 .started_ns = INT64_C(1767225600000000000),
                                 .pages = 1,
                                 .seen = 2,
                                 .created = 3,
                                 .updated = 4,
                                 .unchanged = 5,
                                 .deleted = 6,
                                 .calls = 8,
                                 .error = "why" };
}

static void on_saved(struct ad_sync_save *s)
{
    *(bool *)s->data = true;
}

static enum ad_err save(const struct ad_sync_run *run)
{
    bool done = false;
    struct ad_sync_run copy = *run;
    struct ad_sync_save s = { .run = &copy, .cb = on_saved, .data = &done };
    enum ad_err err = ad_sync_save(st, &s);
    if (err) {
        return err;
    }
    copy.pages = 99; /* taken already */
    ck_assert(!done);
    world_until_true(&f.w, &done);
    return s.err;
}

START_TEST(a_run_is_saved_and_found_as_it_was)
{
    struct ad_arena arena;
    struct ad_sync_run got;
    struct ad_sync_run run = run_of(5, "o1", AD_SYNC_TAIL);
    ad_arena_init(&arena, 4096);
    ck_assert_int_eq(ad_sync_newest(st, AD_STR("o1"), &arena, &got), AD_ERR_NOTFOUND);
    ck_assert_int_eq(save(&run), AD_OK);
    ck_assert_int_eq(ad_sync_newest(st, AD_STR("o1"), &arena, &got), AD_OK);
    assert_str(got.object_id, "o1");
    assert_str(got.object_slug, "people");
    ck_assert_str_eq(got.key, run.key);
    ck_assert_str_eq(got.error, run.error);
    got.object_id = run.object_id;
    got.object_slug = run.object_slug;
    ck_assert_int_eq(got.id, 5);
    ck_assert_int_eq(got.phase, AD_SYNC_TAIL);
    ck_assert_uint_eq(got.offset, 7);
    ck_assert_int_eq(got.version, 9);
    ck_assert_int_eq(got.started_ns, run.started_ns);
    ck_assert_int_eq(got.finished_ns, 0);
    ck_assert_int_eq(got.pages, 1);
    ck_assert_int_eq(got.seen, 2);
    ck_assert_int_eq(got.created, 3);
    ck_assert_int_eq(got.updated, 4);
    ck_assert_int_eq(got.unchanged, 5);
    ck_assert_int_eq(got.deleted, 6);
    ck_assert_int_eq(got.calls, 8);
    ad_arena_fini(&arena);
}
END_TEST

START_TEST(saving_again_moves_the_checkpoint_and_the_newest_run_counts)
{
    struct ad_arena arena;
    struct ad_sync_run got;
    struct ad_sync_run run = run_of(5, "o1", AD_SYNC_WALK);
    ad_arena_init(&arena, 4096);
    ck_assert_int_eq(save(&run), AD_OK);
    run.phase = AD_SYNC_DONE;
    run.pages = 12;
    ck_assert_int_eq(save(&run), AD_OK);
    struct ad_sync_run other = run_of(6, "o2", AD_SYNC_FAILED);
    ck_assert_int_eq(save(&other), AD_OK);
    ck_assert_int_eq(ad_sync_newest(st, AD_STR("o1"), &arena, &got), AD_OK);
    ck_assert_int_eq(got.phase, AD_SYNC_DONE);
    ck_assert_int_eq(got.pages, 12);
    run = run_of(8, "o1", AD_SYNC_IDLE);
    ck_assert_int_eq(save(&run), AD_OK);
    ck_assert_int_eq(ad_sync_newest(st, AD_STR("o1"), &arena, &got), AD_OK);
    ck_assert_int_eq(got.id, 8);
    ad_arena_fini(&arena);
}
END_TEST

static void on_listed(struct ad_sync_list *l)
{
    *(bool *)l->data = true;
}

static enum ad_err list(struct ad_buf *out)
{
    bool done = false;
    struct ad_sync_list l = { .out = out, .cb = on_listed, .data = &done };
    enum ad_err err = ad_sync_list(st, &l);
    if (err) {
        return err;
    }
    ck_assert(!done);
    world_until_true(&f.w, &done);
    return l.err;
}

START_TEST(the_newest_fifty_are_listed)
{
    struct ad_buf out;
    struct ad_arena arena;
    const struct ad_json *doc;
    for (int64_t id = 1; id <= 60; id++) {
        struct ad_sync_run run = run_of(id, "o1", AD_SYNC_DONE);
        run.finished_ns = run.started_ns + 1;
        run.error[0] = '\0';
        ck_assert_int_eq(save(&run), AD_OK);
    }
    ad_buf_init(&out, 1 << 20);
    ad_arena_init(&arena, 1 << 20);
    ck_assert_int_eq(list(&out), AD_OK);
    ck_assert_int_eq(ad_json_parse(&arena, ad_buf_str(&out), NULL, &doc, NULL), AD_OK);
    ck_assert_uint_eq(doc->count, 50);
    assert_str(ad_json_get(doc->child, "id")->raw, "60");
    assert_str(ad_json_str(ad_json_get(doc->child, "phase")), "done");
    assert_str(ad_json_str(ad_json_get(doc->child, "object")), "people");
    assert_str(ad_json_str(ad_json_get(doc->child, "finished_at")),
               "2026-01-01T00:00:00.000000001Z");
    assert_str(ad_json_get(doc->child, "error")->raw, "null");
    ad_arena_fini(&arena);
    ad_buf_fini(&out);
}
END_TEST

START_TEST(no_memory_is_reported)
{
    struct ad_sync_run run = run_of(5, "o1", AD_SYNC_DONE);
    for (size_t n = 0; n < 8; n++) {
        struct ad_buf out;
        ad_buf_init(&out, 1 << 16);
        heap_fail(n, 1);
        enum ad_err err = save(&run);
        heap_fail(0, 0);
        ck_assert(err == AD_OK || err == AD_ERR_NOMEM);
        heap_fail(n, 1);
        err = list(&out);
        heap_fail(0, 0);
        ck_assert(err == AD_OK || err == AD_ERR_NOMEM);
        ad_buf_fini(&out);
    }
}
END_TEST

START_TEST(phases_have_names)
{
    ck_assert_str_eq(ad_sync_phase_name(AD_SYNC_WALK), "walk");
    ck_assert_str_eq(ad_sync_phase_name(AD_SYNC_FAILED), "failed");
    ck_assert_str_eq(ad_sync_phase_name((enum ad_sync_phase)77), "unknown");
}
END_TEST

static Suite *sync_state_suite(void)
{
    const TTest *const tests[] = {
        a_run_is_saved_and_found_as_it_was,
        saving_again_moves_the_checkpoint_and_the_newest_run_counts,
        the_newest_fifty_are_listed,
        no_memory_is_reported,
        phases_have_names,
    };
    Suite *suite = suite_create("sync_state");
    TCase *tcase = tcase_create("sync_state");
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < AD_LEN(tests); i++) {
        tcase_add_test(tcase, tests[i]);
    }
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITE(sync_state_suite)
