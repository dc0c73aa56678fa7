/* Which record became which, and which are gone. */
#include "attio/merges.h"

#include <stdio.h>

#include "mirror_fixture.h"
#include "support/run.h"

static struct ad_merges *merges;
static char found[1 << 15]; /* "old>new " ..., in order of old */
static struct ad_merge_find find;
static struct ad_mirror_look look;
static bool done;

static void setup(void)
{
    mirror_setup();
    ck_assert_int_eq(ad_merges_open(f.store, ad_loop_clock(f.w.loop), &merges), AD_OK);
}

static void teardown(void)
{
    ad_merges_close(merges);
    mirror_teardown();
}

static void on_put(struct ad_merge_put *p)
{
    *(bool *)p->data = true;
}

static enum ad_err put_in(const char *object, const char *old, const char *new)
{
    struct ad_merge_put p = { .workspace_id = AD_STR(WS),
                              .object_id = ad_str_c(object),
                              .old_id = ad_str_c(old),
                              .new_id = ad_str_c(new),
                              .cb = on_put,
                              .data = &done };
    done = false;
    enum ad_err err = ad_merges_put(merges, &p);
    if (!err) {
        ck_assert(!done);
        world_until_true(&f.w, &done);
        err = p.err;
    }
    return err;
}

static void put(const char *old, const char *new)
{
    ck_assert_int_eq(put_in(O, old, new), AD_OK);
}

static void on_found(struct ad_merge_find *x)
{
    size_t at = 0;
    found[0] = '\0';
    for (size_t i = 0; i < x->merges_n; i++) {
        at += (size_t)snprintf(found + at, sizeof(found) - at, "%.*s>%.*s ",
                               AD_FMT(x->merges[i].old_id), AD_FMT(x->merges[i].new_id));
    }
    done = true;
}

static enum ad_err start_find(size_t n)
{
    struct ad_str ids[] = { AD_STR(R(1)), AD_STR(R(2)), AD_STR(R(3)), AD_STR(R(4)) };
    find = (struct ad_merge_find){ .workspace_id = AD_STR(WS),
                                   .object_id = AD_STR(O),
                                   .cb = on_found };
    done = false;
    return ad_merges_find(merges, &find, ids, n);
}

static const char *find_first(size_t n)
{
    ck_assert_int_eq(start_find(n), AD_OK);
    ck_assert(!done);
    world_until_true(&f.w, &done);
    ck_assert_int_eq(find.err, AD_OK);
    return found;
}

START_TEST(what_was_merged_is_found_again)
{
    ck_assert_str_eq(find_first(4), "");
    put(R(1), R(9));
    put(R(2), R(9));
    ck_assert_str_eq(find_first(4), R(1) ">" R(9) " " R(2) ">" R(9) " ");
    ck_assert_str_eq(find_first(1), R(1) ">" R(9) " ");
    ck_assert_int_eq(fixture_i64(&f, "SELECT min(merged_at) > 0 FROM attiod_merge"), 1);
}
END_TEST

START_TEST(merges_of_merges_are_followed_to_their_end_whatever_came_first)
{
    put(R(9), R(8));
    put(R(1), R(9));
    put(R(8), R(7));
    ck_assert_str_eq(find_first(1), R(1) ">" R(7) " ");
}
END_TEST

START_TEST(a_later_word_counts_and_the_same_word_changes_nothing)
{
    put(R(1), R(9));
    put(R(1), R(9));
    put(R(1), R(8));
    ck_assert_str_eq(find_first(1), R(1) ">" R(8) " ");
    ck_assert_int_eq(fixture_i64(&f, "SELECT count(*) FROM attiod_merge"), 1);
}
END_TEST

START_TEST(a_circle_has_no_end)
{
    put(R(1), R(2));
    put(R(2), R(1));
    put(R(3), R(9));
    ck_assert_str_eq(find_first(4), R(3) ">" R(9) " ");
}
END_TEST

START_TEST(objects_do_not_mix)
{
    ck_assert_int_eq(put_in(O2, R(1), R(9)), AD_OK);
    ck_assert_str_eq(find_first(1), "");
}
END_TEST

START_TEST(ids_that_are_none_are_refused)
{
    static struct ad_str many[AD_MERGES_FIND_MAX + 1];
    for (size_t i = 0; i < AD_LEN(many); i++) {
        many[i] = AD_STR(R(1));
    }
    struct ad_str none = AD_STR("none");
    ck_assert_int_eq(put_in(O, R(1), "x"), AD_ERR_INVALID);
    ck_assert_int_eq(put_in(O, "", R(1)), AD_ERR_INVALID);
    ck_assert_int_eq(put_in(O, R(1), R(1)), AD_ERR_INVALID);
    ck_assert_int_eq(ad_merges_find(merges, &find, &none, 1), AD_ERR_INVALID);
    ck_assert_int_eq(ad_merges_find(merges, &find, many, AD_LEN(many)), AD_ERR_INVALID);
}
END_TEST

START_TEST(a_database_that_cannot_is_reported)
{
    fixture_sql(&f, "DROP TABLE attiod_merge");
    ck_assert_int_ne(put_in(O, R(1), R(2)), AD_OK);
    ck_assert_int_eq(start_find(1), AD_OK);
    world_until_true(&f.w, &done);
    ck_assert_int_ne(find.err, AD_OK);
    ck_assert_uint_eq(find.merges_n, 0);
}
END_TEST

START_TEST(no_memory_at_any_place)
{
    put(R(1), R(9));
    for (size_t n = 0; n < 12; n++) {
        heap_fail(n, 1);
        enum ad_err err = put_in(O, R(2), R(9));
        heap_fail(n, 1);
        enum ad_err found_err = start_find(2);
        if (!found_err) {
            world_until_true(&f.w, &done);
            found_err = find.err;
        }
        heap_fail(0, 0);
        ck_assert_msg(err == AD_OK || err == AD_ERR_NOMEM || err == AD_ERR_STORE, "%zu", n);
        ck_assert_msg(found_err == AD_OK || found_err == AD_ERR_NOMEM || found_err == AD_ERR_STORE,
                      "%zu", n);
    }
}
END_TEST

/* --- Tombstones --- */

static void on_looked(struct ad_mirror_look *l)
{
    size_t at = 0;
    found[0] = '\0';
    for (size_t i = 0; i < l->deleted_n; i++) {
        at += (size_t)snprintf(found + at, sizeof(found) - at, "%.*s ", AD_FMT(l->deleted[i]));
    }
    done = true;
}

static enum ad_err start_look(size_t n)
{
    struct ad_str ids[] = { AD_STR(R(1)), AD_STR(R(2)), AD_STR(R(3)) };
    look = (struct ad_mirror_look){ .object = the_object(),
                                    .workspace_id = AD_STR(WS),
                                    .cb = on_looked };
    done = false;
    return ad_mirror_tombstones(m, &look, ids, n);
}

START_TEST(tombstones_are_told_from_rows_and_from_nothing)
{
    apply(1, PAGE(RECORD(R(1), "a") "," RECORD(R(2), "b")));
    delete_at(2, R(2));
    delete_at(2, R(4));
    ck_assert_int_eq(start_look(3), AD_OK);
    ck_assert(!done);
    world_until_true(&f.w, &done);
    ck_assert_int_eq(look.err, AD_OK);
    ck_assert_str_eq(found, R(2) " ");
    look.object = NULL;
    ck_assert_int_eq(ad_mirror_tombstones(m, &look, NULL, 0), AD_ERR_INVALID);
}
END_TEST

START_TEST(looking_without_memory)
{
    apply(1, PAGE(RECORD(R(1), "a")));
    delete_at(2, R(1));
    for (size_t n = 0; n < 12; n++) {
        heap_fail(n, 1);
        enum ad_err err = start_look(1);
        if (!err) {
            world_until_true(&f.w, &done);
            err = look.err;
        }
        heap_fail(0, 0);
        ck_assert_msg(err == AD_OK || err == AD_ERR_NOMEM || err == AD_ERR_STORE, "%zu: %s", n,
                      ad_err_name(err));
    }
}
END_TEST

/* --- What hangs on a record --- */

#define N_ID(id, record)                                                                           \
    "{\"id\":{\"note_id\":\"" id "\"},\"parent_object\":\"people\",\"parent_record_id\":\"" record \
    "\",\"created_at\":\"2026-01-01T00:00:00.000000001Z\"}"

static struct ad_mirror_children children;

static void on_children(struct ad_mirror_children *c)
{
    size_t at = 0;
    found[0] = '\0';
    for (size_t i = 0; i < c->ids_n; i++) {
        at += (size_t)snprintf(found + at, sizeof(found) - at, "%.*s ", AD_FMT(c->ids[i]));
    }
    done = true;
}

static enum ad_err start_children(const struct ad_object *o, struct ad_str after)
{
    children = (struct ad_mirror_children){ .object = o,
                                            .workspace_id = AD_STR(WS),
                                            .record_id = AD_STR(R(8)),
                                            .after = after,
                                            .cb = on_children };
    done = false;
    enum ad_err err = ad_mirror_children(m, &children);
    if (!err) {
        world_until_true(&f.w, &done);
        err = children.err;
    }
    return err;
}

START_TEST(what_hangs_on_a_record_is_found)
{
    const struct ad_object *notes = ad_schema_builtin(schema, AD_KIND_NOTE);
    apply_to(notes, 1,
             PAGE(N_ID(R(1), R(8)) "," N_ID(R(2), R(9)) "," N_ID(R(3), R(8)) "," N_ID(R(4), R(8))));
    struct ad_mirror_op gone = { .object = notes };
    struct ad_str id = AD_STR(R(4));
    bool deleted;
    prepare(&gone, 2, &deleted);
    ck_assert_int_eq(ad_mirror_delete(m, &gone, &id, 1), AD_OK);
    world_until_true(&f.w, &deleted);
    ck_assert_int_eq(start_children(notes, AD_STR_NONE), AD_OK);
    ck_assert_str_eq(found, R(1) " " R(3) " ");
    ck_assert(!children.more);
    ck_assert_int_eq(start_children(notes, AD_STR(R(1))), AD_OK);
    ck_assert_str_eq(found, R(3) " ");
    ck_assert_int_eq(start_children(ad_schema_builtin(schema, AD_KIND_COMMENT), AD_STR_NONE),
                     AD_OK);
    ck_assert_str_eq(found, "");
    ck_assert_int_eq(start_children(the_object(), AD_STR_NONE), AD_ERR_INVALID);
    ck_assert_int_eq(start_children(ad_schema_builtin(schema, AD_KIND_TASK), AD_STR_NONE),
                     AD_ERR_INVALID);
    ck_assert_int_eq(fixture_i64(&f, "SELECT count(*) FROM pragma_index_list('attiod_notes')"
                                     " WHERE name = 'attiod_notes_parent'"),
                     1);
}
END_TEST

START_TEST(more_than_one_look_can_hold_is_said)
{
    static char page[AD_MIRROR_LOOK_MAX * 256];
    const struct ad_object *notes = ad_schema_builtin(schema, AD_KIND_NOTE);
    size_t at = (size_t)snprintf(page, sizeof(page), "{\"data\":[");
    for (unsigned i = 0; i <= AD_MIRROR_LOOK_MAX; i++) {
        at += (size_t)snprintf(page + at, sizeof(page) - at,
                               "%s{\"id\":{\"note_id\":\"10000000-0000-4000-8000-%012u\"},"
                               "\"parent_record_id\":\"" R(8) "\"}",
                               i ? "," : "", i);
    }
    (void)snprintf(page + at, sizeof(page) - at, "]}");
    apply_to(notes, 1, page);
    ck_assert_int_eq(start_children(notes, AD_STR_NONE), AD_OK);
    ck_assert(children.more);
    ck_assert_uint_eq(children.ids_n, AD_MIRROR_LOOK_MAX);
}
END_TEST

/* --- Answers of an earlier state --- */

static unsigned behind;

static void on_behind(struct ad_mirror_op *op, struct ad_str id)
{
    ck_assert(ad_str_eq(id, AD_STR(R(1))));
    op->done_n = 0;
    behind++;
}

static unsigned behind_at(int64_t version, int64_t accurate_ns, const char *text)
{
    struct ad_mirror_op op = { .object = the_object(),
                               .accurate_ns = accurate_ns,
                               .on_behind = on_behind };
    behind = 0;
    apply_op(&op, version, text);
    ck_assert_int_eq(op.err, AD_OK);
    return behind;
}

START_TEST(answer_of_an_earlier_state_is_told_unless_somebody_asked_later)
{
    const char *one = PAGE(RECORD(R(1), "a") "," RECORD(R(2), "b"));
    ck_assert_uint_eq(behind_at(10, 5000, PAGE(RECORD(R(1), "a"))), 0);
    ck_assert_uint_eq(behind_at(11, 4000, one), 1); /* the row knows better */
    ck_assert_uint_eq(behind_at(12, 0, one), 0);    /* not known: as any later one */
    ck_assert_uint_eq(behind_at(13, 6000, one), 0); /* unchanged: the row stays */
    ck_assert_uint_eq(behind_at(14, 5500, PAGE(RECORD(R(1), "b"))), 1);
    ck_assert_uint_eq(behind_at(9, 4000, one), 0); /* asked before the row's: that one counts */
    ck_assert_uint_eq(behind_at(15, 7000, PAGE(RECORD(R(1), "c"))), 0);
    assert_text("SELECT job_title FROM people WHERE record_id = '" R(1) "'", "c");
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("merges");
    TCase *tc = tcase_create("merges");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, what_was_merged_is_found_again);
    tcase_add_test(tc, merges_of_merges_are_followed_to_their_end_whatever_came_first);
    tcase_add_test(tc, a_later_word_counts_and_the_same_word_changes_nothing);
    tcase_add_test(tc, a_circle_has_no_end);
    tcase_add_test(tc, objects_do_not_mix);
    tcase_add_test(tc, ids_that_are_none_are_refused);
    tcase_add_test(tc, a_database_that_cannot_is_reported);
    tcase_add_test(tc, no_memory_at_any_place);
    tcase_add_test(tc, tombstones_are_told_from_rows_and_from_nothing);
    tcase_add_test(tc, looking_without_memory);
    tcase_add_test(tc, what_hangs_on_a_record_is_found);
    tcase_add_test(tc, more_than_one_look_can_hold_is_said);
    tcase_add_test(tc, answer_of_an_earlier_state_is_told_unless_somebody_asked_later);
    suite_add_tcase(suite, tc);
    return suite;
}

RUN_SUITE(suite)
