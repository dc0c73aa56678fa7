#include "mirror_fixture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

struct attio_fixture f;
struct ad_inbox *in;
struct ad_schema *schema;
struct ad_mirror *m;
unsigned late_ms, unchanged_max;

void attribute(const char *object, const char *id, int position, const char *slug, const char *type,
               bool multi, bool archived)
{
    char sql[900];
    (void)snprintf(sql, sizeof(sql),
                   "INSERT INTO attiod_attribute VALUES ('%s', '%s', %d, '%s', 'T', '%s', %d, 1, 0,"
                   " 0, %d, 1, 0, 0) ON CONFLICT DO UPDATE SET slug = excluded.slug, archived ="
                   " excluded.archived, multiselect = excluded.multiselect",
                   object, id, position, slug, type, multi, archived);
    fixture_sql(&f, sql);
}

void object(const char *id, int position, const char *slug)
{
    char sql[400];
    (void)snprintf(sql, sizeof(sql),
                   "INSERT INTO attiod_object VALUES ('%s', '" WS "', %d, '%s', NULL, NULL, 0)"
                   " ON CONFLICT DO UPDATE SET slug = excluded.slug",
                   id, position, slug);
    fixture_sql(&f, sql);
}

void list(const char *id, int position, const char *slug)
{
    char sql[400];
    (void)snprintf(sql, sizeof(sql),
                   "INSERT INTO attiod_list VALUES ('%s', '" WS "', %d, '%s', 'A list',"
                   " '[\"people\"]', 0) ON CONFLICT DO UPDATE SET slug = excluded.slug",
                   id, position, slug);
    fixture_sql(&f, sql);
}

static void on_closed(void *ctx)
{
    *(bool *)ctx = true;
}

void layers_close(void)
{
    bool closed = false;
    ad_mirror_close(m);
    ad_schema_close(schema, on_closed, &closed);
    world_until_true(&f.w, &closed);
}

/* The schema as SQL has it now: as after a restart, or a refresh. */
void layers_open(void)
{
    struct ad_errinfo info = { 0 };
    struct ad_schema_opts so = { .store = f.store,
                                 .client = f.client,
                                 .clock = ad_loop_clock(f.w.loop),
                                 .timers = ad_loop_timers(f.w.loop),
                                 .metrics = f.metrics };
    ck_assert_int_eq(ad_schema_open(&so, &schema, &info), AD_OK);
    struct ad_mirror_opts mo = { .store = f.store,
                                 .schema = schema,
                                 .inbox = in,
                                 .clock = ad_loop_clock(f.w.loop),
                                 .metrics = f.metrics,
                                 .late_ms = late_ms,
                                 .unchanged_max = unchanged_max };
    ck_assert_int_eq(ad_mirror_open(&mo, &m, &info), AD_OK);
}

void reopen(void)
{
    layers_close();
    layers_open();
}

void mirror_setup(void)
{
    fixture_open(&f);
    struct ad_errinfo info = { 0 };
    struct ad_inbox_opts io = { .store = f.store,
                                .clock = ad_loop_clock(f.w.loop),
                                .timers = ad_loop_timers(f.w.loop),
                                .metrics = f.metrics,
                                .pending_max = 1000,
                                .body_ms = 1000000000,
                                .key_ms = 1000000000 };
    ck_assert_int_eq(ad_inbox_open(&io, &in, &info), AD_OK);
    object(O, 0, "people");
    attribute(O, ATTR(01), 1, "job_title", "text", false, false);
    late_ms = unchanged_max = 0;
    layers_open();
}

void mirror_teardown(void)
{
    layers_close();
    ad_inbox_close(in);
    fixture_close(&f);
}

/* --- Operations --- */

static void on_op(struct ad_mirror_op *op)
{
    *(bool *)op->data = true;
}

const struct ad_object *the_object(void)
{
    const struct ad_object *o = ad_schema_object(schema, AD_STR(O));
    ck_assert_ptr_nonnull(o);
    return o;
}

void prepare(struct ad_mirror_op *op, int64_t version, bool *done)
{
    *done = false;
    op->object = op->object ? op->object : the_object();
    op->version = version;
    op->workspace_id = AD_STR(WS);
    op->cb = on_op;
    op->data = done;
}

void apply_op(struct ad_mirror_op *op, int64_t version, const char *text)
{
    bool done;
    prepare(op, version, &done);
    char *copy = strdup(text);
    enum ad_err err = ad_mirror_apply(m, op, ad_str_c(copy));
    free(copy); /* the text may go */
    ck_assert_msg(err == AD_OK, "%s", op->info.msg);
    ck_assert(!done);
    world_until_true(&f.w, &done);
    ck_assert_msg(op->err == AD_OK, "%s", op->info.msg);
}

struct ad_mirror_op apply(int64_t version, const char *text)
{
    struct ad_mirror_op op = { .bulk = version % 2 };
    apply_op(&op, version, text);
    return op;
}

struct ad_mirror_op apply_to(const struct ad_object *o, int64_t version, const char *text)
{
    struct ad_mirror_op op = { .object = o };
    apply_op(&op, version, text);
    return op;
}

struct ad_mirror_op apply_at(int64_t version, int64_t accurate_ns, const char *text)
{
    struct ad_mirror_op op = { .accurate_ns = accurate_ns };
    apply_op(&op, version, text);
    return op;
}

struct ad_mirror_op delete_at(int64_t version, const char *id)
{
    struct ad_mirror_op op = { .bulk = false };
    bool done;
    struct ad_str ids[] = { ad_str_c(id) };
    prepare(&op, version, &done);
    ck_assert_int_eq(ad_mirror_delete(m, &op, ids, 1), AD_OK);
    ck_assert(!done);
    world_until_true(&f.w, &done);
    ck_assert_msg(op.err == AD_OK, "%s", op.info.msg);
    return op;
}

void assert_counts(struct ad_mirror_op op, unsigned created, unsigned updated, unsigned unchanged,
                   unsigned stale)
{
    ck_assert_msg(op.created == created && op.updated == updated && op.unchanged == unchanged &&
                      op.stale == stale,
                  "%u created, %u updated, %u unchanged, %u stale", op.created, op.updated,
                  op.unchanged, op.stale);
}

void assert_text(const char *sql, const char *want)
{
    ck_assert_msg(fixture_text_is(&f, sql, want), "%s is not %s", sql, want);
}
