#include "attio/erase.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "infra/store.h"

#include <stdio.h>

#define SCRIPT_MAX ((size_t)8 << 20)
#define OBJECT_TABLE "attiod_o_"

/* Every table of the mirror, by its _raw: its name, its own id's column, and the assignments that
 * empty all of a row that may be empty. */
static const struct ad_sql tables_sql = {
    .sqlite = "SELECT s.name, (SELECT k.name FROM pragma_table_info(s.name) AS k"
              " WHERE k.pk > 0 AND k.name <> '_workspace_id'),"
              " group_concat('\"' || c.name || '\" = NULL', ', ')"
              " FROM sqlite_schema AS s, pragma_table_info(s.name) AS c"
              " WHERE s.type = 'table' AND substr(s.name, 1, 7) = 'attiod_'"
              " AND EXISTS (SELECT 1 FROM pragma_table_info(s.name) AS r WHERE r.name = '_raw')"
              " AND c.\"notnull\" = 0 AND c.pk = 0 AND c.name <> '_deleted_at' GROUP BY s.name",
};

struct erasing {
    struct ad_erase *e;
    struct ad_store *store;
    struct ad_store_req req;
    struct ad_step step;
    struct ad_buf script;
    bool mirrored;
};

static void end(struct erasing *w, enum ad_err err, const struct ad_errinfo *info)
{
    struct ad_erase *e = w->e;
    e->err = err;
    if (info) {
        e->info = *info;
    } else if (err) {
        AD_IGNORE(ad_fail(&e->info, err, "%s", ad_err_text(err)), "it is returned");
    }
    e->impl = NULL;
    ad_buf_fini(&w->script);
    ad_free(w);
    e->cb(e);
}

/* --- The script. Ids are UUIDs, so they may stand in SQL; names are our own. --- */

static bool is_own_table(const struct erasing *w, struct ad_str name)
{
    const struct ad_str prefix = AD_STR(OBJECT_TABLE);
    struct ad_str id = w->e->object_id;
    bool same = ad_str_starts(name, prefix) && name.n == prefix.n + id.n;
    for (size_t i = 0; same && i < id.n; i++) { /* in a name '-' is '_' */
        char c = name.p[prefix.n + i];
        same = c == id.p[i] || (c == '_' && id.p[i] == '-');
    }
    return same;
}

/* Other objects' records only point at it. */
static bool may_name_it(struct ad_str name)
{
    return !ad_str_starts(name, AD_STR(OBJECT_TABLE));
}

static void put_table(struct erasing *w, const struct ad_value *row, const char *now)
{
    struct ad_buf *b = &w->script;
    struct ad_str name = row[0].str;
    struct ad_str id = w->e->record_id;
    bool own = is_own_table(w, name);
    if (!own && !may_name_it(name)) {
        return;
    }
    w->mirrored = w->mirrored || own;
    ad_buf_fmt(b, "INSERT INTO attiod_erasing SELECT \"%.*s\" FROM \"%.*s\" WHERE ",
               AD_FMT(row[1].str), AD_FMT(name));
    if (own) {
        ad_buf_fmt(b, "\"%.*s\" = '%.*s';", AD_FMT(row[1].str), AD_FMT(id));
    } else {
        ad_buf_fmt(b, "instr(_raw, '%.*s') > 0;", AD_FMT(id));
    }
    ad_buf_fmt(b, "UPDATE \"%.*s\" SET ", AD_FMT(name));
    ad_buf_put(b, row[2].str);
    ad_buf_fmt(b,
               ", _deleted_at = coalesce(_deleted_at, '%s')"
               " WHERE \"%.*s\" IN (SELECT id FROM attiod_erasing);",
               now, AD_FMT(row[1].str));
}

/* Pending events stay as they are, and hold ids only: their handling finds nothing. */
static void put_rest(struct erasing *w)
{
    struct ad_buf *b = &w->script;
    ad_buf_put(b, AD_STR("UPDATE attiod_attempt SET error = NULL WHERE seq IN (SELECT seq FROM"
                         " attiod_inbox WHERE subject IN (SELECT 'record:' || id FROM"
                         " attiod_erasing));"));
    ad_buf_fmt(b,
               "UPDATE attiod_inbox SET body = NULL, reason = NULL,"
               " state = CASE WHEN state IN (2, 4) THEN 5 ELSE state END"
               " WHERE state > 1 AND body IS NOT NULL AND instr(body, CASE typeof(body)"
               " WHEN 'blob' THEN CAST('%.*s' AS BLOB) ELSE '%.*s' END) > 0;",
               AD_FMT(w->e->record_id), AD_FMT(w->e->record_id));
    ad_buf_put(b, AD_STR("UPDATE attiod_change SET fields = NULL WHERE record_id IN"
                         " (SELECT id FROM attiod_erasing);"
                         "DROP TABLE attiod_erasing;"));
}

/* --- The steps --- */

static void on_rewritten(struct ad_store_req *req)
{
    struct erasing *w = ad_container_of(req, struct erasing, req);
    struct ad_errinfo info = req->info;
    if (!req->err && !w->mirrored) {
        enum ad_err err = ad_fail(&info, AD_ERR_NOTFOUND, "that object is not mirrored");
        end(w, err, &info);
        return;
    }
    end(w, req->err, &info);
}

static void on_erased(struct ad_store_req *req)
{
    struct erasing *w = ad_container_of(req, struct erasing, req);
    if (req->err) {
        end(w, req->err, &req->info);
        return;
    }
    w->req = (struct ad_store_req){ .cb = on_rewritten };
    enum ad_err err = ad_store_rewrite(w->store, &w->req);
    if (err) {
        end(w, err, NULL);
    }
}

static void on_tables(struct ad_store_req *req)
{
    struct erasing *w = ad_container_of(req, struct erasing, req);
    char now[AD_TIME_MAX];
    if (req->err) {
        end(w, req->err, &req->info);
        return;
    }
    ad_time_format(w->e->now_ns, 3, now);
    ad_buf_put(&w->script, AD_STR("CREATE TABLE attiod_erasing (id TEXT);"));
    ad_buf_fmt(&w->script, "INSERT INTO attiod_erasing VALUES ('%.*s');", AD_FMT(w->e->record_id));
    for (size_t i = 0; i < req->rows.rows; i++) {
        put_table(w, ad_row(&req->rows, i), now);
    }
    put_rest(w);
    enum ad_err err = ad_buf_status(&w->script);
    w->req = (struct ad_store_req){ .cb = on_erased };
    err = err ? err : ad_store_exec(w->store, &w->req, ad_buf_str(&w->script));
    if (err) {
        end(w, err, NULL);
    }
}

static enum ad_err ask(struct erasing *w, const struct ad_sql *sql, ad_store_cb cb)
{
    w->step = (struct ad_step){ .sql = sql };
    w->req = (struct ad_store_req){ .steps = &w->step, .steps_n = 1, .cb = cb };
    return ad_store_read(w->store, &w->req);
}

enum ad_err ad_erase_start(struct ad_store *store, struct ad_erase *e)
{
    if (!ad_str_is_uuid(e->object_id) || !ad_str_is_uuid(e->record_id)) {
        return ad_fail(&e->info, AD_ERR_INVALID, "no record id");
    }
    struct erasing *w = ad_zalloc(sizeof(*w));
    if (!w) {
        return ad_fail(&e->info, AD_ERR_NOMEM, "no memory");
    }
    w->e = e;
    w->store = store;
    ad_buf_init(&w->script, SCRIPT_MAX);
    e->impl = w;
    enum ad_err err = ask(w, &tables_sql, on_tables);
    if (err) {
        e->impl = NULL;
        ad_buf_fini(&w->script);
        ad_free(w);
        return ad_fail(&e->info, err, "%s", ad_err_text(err));
    }
    return AD_OK;
}
