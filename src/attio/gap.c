#include "attio/gap.h"

#include "attio/sync_state.h"
#include "base/mem.h"
#include "base/str.h"
#include "gap_private.h"

#include <stdio.h>

const struct ad_sql ad__gap_note_sql = {
    .sqlite = "INSERT INTO attiod_meta (key, value)"
              " SELECT 'gap_why', $1 WHERE EXISTS (SELECT 1 FROM attiod_sync_run)"
              " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
};
const struct ad_sql ad__gap_unarm_sql = {
    .sqlite = "DELETE FROM attiod_meta WHERE key = 'gap_after'",
};
/* $1: why, $2: what counts as silent. The unarming goes by the same condition, so it comes first. */
#define IS_SILENT \
    "EXISTS (SELECT 1 FROM attiod_meta WHERE key = 'alive_at' AND CAST(value AS INTEGER) < "
static const struct ad_sql silent_unarm_sql = {
    .sqlite = "DELETE FROM attiod_meta WHERE key = 'gap_after' AND " IS_SILENT "$1)",
};
static const struct ad_sql silent_note_sql = {
    .sqlite = "INSERT INTO attiod_meta (key, value)"
              " SELECT 'gap_why', $1 WHERE EXISTS (SELECT 1 FROM attiod_sync_run)"
              " AND " IS_SILENT "$2)"
              " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
};
static const struct ad_sql alive_sql = {
    .sqlite = "INSERT INTO attiod_meta (key, value) VALUES ('alive_at', $1)"
              " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
};
/* $1: the number of the phase "done". What never had a complete run (a scope is missing) need not
 * have one now; but some run must be complete. */
static const struct ad_sql close_sql = {
    .sqlite =
        "DELETE FROM attiod_meta WHERE key IN ('gap_why', 'gap_after') AND EXISTS ("
        " SELECT 1 FROM attiod_meta AS m WHERE m.key = 'gap_after'"
        " AND EXISTS (SELECT 1 FROM attiod_sync_run AS r WHERE r.id > CAST(m.value AS INTEGER)"
        " AND r.phase = $1)"
        " AND NOT EXISTS (SELECT 1 FROM attiod_sync_run AS r WHERE r.id > CAST(m.value AS INTEGER)"
        " GROUP BY r.object_id HAVING max(r.phase = $1) = 0 AND EXISTS (SELECT 1"
        " FROM attiod_sync_run AS o WHERE o.object_id = r.object_id AND o.phase = $1)))",
};
static const struct ad_sql arm_sql = {
    .sqlite = "INSERT INTO attiod_meta (key, value) SELECT 'gap_after', $1"
              " WHERE EXISTS (SELECT 1 FROM attiod_meta WHERE key = 'gap_why')"
              " ON CONFLICT (key) DO NOTHING",
};
static const struct ad_sql look_sql = {
    .sqlite = "SELECT w.value, (SELECT CAST(value AS INTEGER) FROM attiod_meta"
              " WHERE key = 'gap_after')"
              " FROM attiod_meta AS w WHERE w.key = 'gap_why'",
};

static const char silence[] = "nothing of attiod ran for longer than Attio repeats deliveries";

enum { STEPS = 9, VALUES = 10 };

struct look {
    struct ad_gap *g;
    struct ad_store_req req;
    struct ad_step steps[STEPS];
    struct ad_value values[VALUES];
    unsigned steps_n, values_n;
    const struct ad_step *closing;
};

static void add(struct look *l, const struct ad_sql *sql, const struct ad_value *values, unsigned n)
{
    AD_ASSERT(l->steps_n < STEPS && l->values_n + n <= VALUES);
    for (unsigned i = 0; i < n; i++) {
        l->values[l->values_n + i] = values[i];
    }
    l->steps[l->steps_n++] =
        (struct ad_step){ .sql = sql, .values = l->values + l->values_n, .values_n = n };
    l->values_n += n;
}

static void take_rows(struct ad_gap *g, const struct ad_rows *rows)
{
    g->open = rows->rows == 1;
    if (g->open) {
        const struct ad_value *after = &ad_row(rows, 0)[1];
        g->after = after->type == AD_VALUE_I64 ? after->i64 : 0;
        (void)snprintf(g->why, sizeof(g->why), "%.*s", AD_FMT(ad_row(rows, 0)[0].str));
    }
}

static void on_looked(struct ad_store_req *req)
{
    struct look *l = ad_container_of(req, struct look, req);
    struct ad_gap *g = l->g;
    g->err = req->err;
    g->info = req->info;
    if (!req->err) {
        take_rows(g, &req->rows);
        g->closed = l->closing->changes > 0;
    }
    g->impl = NULL;
    ad_free(l);
    g->cb(g);
}

static void add_silent(struct look *l, const struct ad_gap *g)
{
    struct ad_value limit = AD_V_I64(g->now_ns - g->silent_ns);
    struct ad_value note[2] = { AD_V_TEXT(ad_str_c(silence)), limit };
    add(l, &silent_unarm_sql, &limit, 1);
    add(l, &silent_note_sql, note, 2);
}

enum ad_err ad_gap_look(struct ad_store *store, struct ad_gap *g)
{
    struct look *l = ad_zalloc(sizeof(*l));
    if (!l) {
        return ad_fail(&g->info, AD_ERR_NOMEM, "no memory");
    }
    struct ad_value now = AD_V_I64(g->now_ns);
    struct ad_value done = AD_V_I64(AD_SYNC_DONE);
    struct ad_value version = AD_V_I64(g->version);
    if (g->note) {
        struct ad_value why = AD_V_TEXT(ad_str_c(g->note));
        add(l, &ad__gap_unarm_sql, NULL, 0);
        add(l, &ad__gap_note_sql, &why, 1);
    }
    if (g->silent_ns) {
        add_silent(l, g);
    }
    add(l, &alive_sql, &now, 1);
    l->closing = &l->steps[l->steps_n];
    add(l, &close_sql, &done, 1);
    if (g->well) {
        add(l, &arm_sql, &version, 1);
    }
    add(l, &look_sql, NULL, 0);
    l->g = g;
    l->req = (struct ad_store_req){
        .steps = l->steps, .steps_n = l->steps_n, .cls = AD_STORE_NORMAL, .cb = on_looked
    };
    g->open = g->closed = false;
    g->after = 0;
    g->why[0] = '\0';
    g->impl = l;
    enum ad_err err = ad_store_write(store, &l->req);
    if (err) {
        g->impl = NULL;
        ad_free(l);
        return ad_fail(&g->info, err, "%s", ad_err_text(err));
    }
    return AD_OK;
}
