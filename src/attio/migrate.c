#include "attio/migrate.h"

#include "base/buf.h"
#include "base/log.h"
#include "infra/store.h"

/* attiod_inbox
 *   seq      never used twice, because the newest row is never pruned
 *   dedupe   the delivery's key, `part` the event's index in it; unique where there is a key.
 *            NULLs differ from each other, so events without a key are all different
 *   open     what a start has to load, in its order
 *   failed   what operators look for among millions that are done
 * attiod_attempt
 *   the fate of one handler's work on an event that some handler failed */
static const char inbox_tables[] =
    "CREATE TABLE attiod_inbox ("
    " seq INTEGER PRIMARY KEY,"
    " dedupe TEXT,"
    " part INTEGER NOT NULL,"
    " received_at INTEGER NOT NULL," /* nanoseconds since 1970 */
    " state INTEGER NOT NULL,"       /* enum ad_event_state */
    " workspace_id TEXT,"
    " type TEXT,"
    " subject TEXT,"
    " body TEXT,"
    " reason TEXT);"
    "CREATE UNIQUE INDEX attiod_inbox_dedupe ON attiod_inbox (dedupe, part)"
    " WHERE dedupe IS NOT NULL;"
    "CREATE INDEX attiod_inbox_open ON attiod_inbox (seq, state) WHERE state < 2;"
    "CREATE INDEX attiod_inbox_failed ON attiod_inbox (state, seq) WHERE state > 1 AND state <> 3;"
    "CREATE TABLE attiod_attempt ("
    " seq INTEGER NOT NULL REFERENCES attiod_inbox (seq) ON DELETE CASCADE,"
    " handler TEXT NOT NULL,"
    " state INTEGER NOT NULL,"
    " attempts INTEGER NOT NULL,"
    " next_at INTEGER NOT NULL,"
    " error TEXT,"
    " PRIMARY KEY (seq, handler)) WITHOUT ROWID;";

/* position: order of first sight, never reused; so columns and names keep their places. */
static const char schema_tables[] = "CREATE TABLE attiod_object ("
                                    " object_id TEXT PRIMARY KEY,"
                                    " workspace_id TEXT,"
                                    " position INTEGER NOT NULL,"
                                    " slug TEXT NOT NULL,"
                                    " singular TEXT,"
                                    " plural TEXT,"
                                    " gone INTEGER NOT NULL) WITHOUT ROWID;"
                                    "CREATE TABLE attiod_attribute ("
                                    " object_id TEXT NOT NULL,"
                                    " attribute_id TEXT NOT NULL,"
                                    " position INTEGER NOT NULL,"
                                    " slug TEXT NOT NULL,"
                                    " title TEXT,"
                                    " type TEXT NOT NULL,"
                                    " multiselect INTEGER NOT NULL,"
                                    " writable INTEGER NOT NULL,"
                                    " required INTEGER NOT NULL,"
                                    " is_unique INTEGER NOT NULL,"
                                    " archived INTEGER NOT NULL,"
                                    " system INTEGER NOT NULL,"
                                    " PRIMARY KEY (object_id, attribute_id)) WITHOUT ROWID;"
                                    /* The shape an object's table and views have now. */
                                    "CREATE TABLE attiod_shape ("
                                    " object_id TEXT PRIMARY KEY,"
                                    " digest TEXT NOT NULL,"
                                    " view TEXT NOT NULL,"
                                    " live_view TEXT NOT NULL) WITHOUT ROWID;";

static const char sync_tables[] =
    "CREATE TABLE attiod_sync_run ("
    " id INTEGER PRIMARY KEY,"
    " object_id TEXT NOT NULL,"
    " object_slug TEXT NOT NULL,"
    " phase INTEGER NOT NULL," /* enum ad_sync_phase */
    " key TEXT NOT NULL,"
    " key_offset INTEGER NOT NULL,"
    " version INTEGER NOT NULL,"
    " started_at INTEGER NOT NULL," /* nanoseconds since 1970 */
    " finished_at INTEGER NOT NULL,"
    " pages INTEGER NOT NULL,"
    " seen INTEGER NOT NULL,"
    " created INTEGER NOT NULL,"
    " updated INTEGER NOT NULL,"
    " unchanged INTEGER NOT NULL,"
    " deleted INTEGER NOT NULL,"
    " calls INTEGER NOT NULL,"
    " error TEXT NOT NULL);"
    "CREATE INDEX attiod_sync_run_object ON attiod_sync_run (object_id, id);";

static const char other_tables[] =
    "CREATE TABLE attiod_meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "CREATE TABLE attiod_sequence (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "INSERT INTO attiod_sequence VALUES ('version', 0);"
    "CREATE TABLE attiod_webhook ("
    " webhook_id TEXT PRIMARY KEY,"
    " target_url TEXT NOT NULL,"
    " secret TEXT NOT NULL,"
    " created_at INTEGER NOT NULL) WITHOUT ROWID;";

/* --- Version 2: everything only adds, so a program of version 1 may run on these tables --- */

/* retired_at: nanoseconds since 1970 when the webhook was deleted at Attio; its secret is accepted
 * for a while longer. */
static const char webhook_columns[] = "ALTER TABLE attiod_webhook ADD COLUMN retired_at INTEGER;";

static const char compatible_2[] = "INSERT INTO attiod_meta VALUES ('compatible:2', 1);";

/* Lists are not in attiod_object, where a program of version 1 would take them for objects. Their
 * attributes are in attiod_attribute, where it does not see them. `parents`: JSON, slugs. */
static const char list_table[] = "CREATE TABLE attiod_list ("
                                 " list_id TEXT PRIMARY KEY,"
                                 " workspace_id TEXT,"
                                 " position INTEGER NOT NULL,"
                                 " slug TEXT NOT NULL,"
                                 " name TEXT,"
                                 " parents TEXT,"
                                 " gone INTEGER NOT NULL) WITHOUT ROWID;";

/* attiod_attribute: NULL until the next refresh, the same as 0.
 * attiod_slot: under which slugs and as what rows were written, `current` the one they are written
 *   under now. A program of version 1 does not write it: then more is worked out anew.
 * attiod_shape: what existing rows still lack (mirror_backfill.c), and since when, in nanoseconds,
 *   they need a full sync, which ends with the first complete one that began later; 0: any will do. */
static const char mirror_columns[] = "ALTER TABLE attiod_attribute ADD COLUMN many_targets INTEGER;"
                                     "ALTER TABLE attiod_attribute ADD COLUMN revision INTEGER;"
                                     "CREATE TABLE attiod_slot ("
                                     " object_id TEXT NOT NULL,"
                                     " attribute_id TEXT NOT NULL,"
                                     " slug TEXT NOT NULL,"
                                     " revision INTEGER NOT NULL,"
                                     " type TEXT NOT NULL,"
                                     " current INTEGER NOT NULL,"
                                     " PRIMARY KEY (object_id, attribute_id, slug)) WITHOUT ROWID;"
                                     "ALTER TABLE attiod_shape ADD COLUMN backfill TEXT;"
                                     "ALTER TABLE attiod_shape ADD COLUMN resync_at INTEGER;";

/* at, ended_at: nanoseconds since 1970; ended_at NULL while outcome is "started". */
static const char audit_table[] = "CREATE TABLE attiod_audit ("
                                  " id INTEGER PRIMARY KEY,"
                                  " at INTEGER NOT NULL,"
                                  " actor TEXT NOT NULL,"
                                  " action TEXT NOT NULL,"
                                  " target TEXT,"
                                  " outcome TEXT NOT NULL,"
                                  " ended_at INTEGER);";

/* attio/merges.h. merged_at: nanoseconds since 1970 when we were told first. */
static const char merge_table[] = "CREATE TABLE attiod_merge ("
                                  " workspace_id TEXT NOT NULL,"
                                  " object_id TEXT NOT NULL,"
                                  " old_id TEXT NOT NULL,"
                                  " new_id TEXT NOT NULL,"
                                  " merged_at INTEGER NOT NULL,"
                                  " PRIMARY KEY (workspace_id, object_id, old_id)) WITHOUT ROWID;";

/* seq is never used twice, because the newest row is never pruned. `change`: enum ad_change; `at`: the
 * row's _synced_at; `fields` of UPDATED: mirror_feed.c. Written by triggers on the tables. */
static const char change_table[] = "CREATE TABLE attiod_change ("
                                   " seq INTEGER PRIMARY KEY,"
                                   " object_id TEXT NOT NULL,"
                                   " record_id TEXT NOT NULL,"
                                   " at TEXT NOT NULL,"
                                   " change INTEGER NOT NULL,"
                                   " fields TEXT,"
                                   " merged_into TEXT);";

/* One row a version; each part of it is a constant script. */
#define PARTS_MAX 12
static const char *const migrations[][PARTS_MAX] = {
    { other_tables, inbox_tables, schema_tables, sync_tables },
    { compatible_2, webhook_columns, list_table, mirror_columns, change_table, audit_table,
      merge_table },
};
#define CURRENT ((int)AD_LEN(migrations))

static const struct ad_sql version_sql = { .sqlite =
                                               "SELECT user_version FROM pragma_user_version" };
static const struct ad_sql compatible_sql = {
    .sqlite = "SELECT CAST(value AS INTEGER) FROM attiod_meta WHERE key = 'compatible:' || $1",
};

/* One number, or *out untouched when there is no row. */
static enum ad_err read_number(struct ad_store *store, const struct ad_sql *sql,
                               const struct ad_value *values, unsigned values_n, int *out,
                               struct ad_errinfo *info)
{
    struct ad_step step = { .sql = sql, .values = values, .values_n = values_n };
    struct ad_store_req req = { .steps = &step, .steps_n = 1, .rows_max = 1 };
    enum ad_err err = ad_store_read_now(store, &req);
    if (err && info) {
        *info = req.info;
    }
    if (!err && req.rows.rows == 1 && req.rows.values[0].type == AD_VALUE_I64) {
        *out = (int)req.rows.values[0].i64;
    }
    ad_store_rows_free(&req);
    return err;
}

/* Tables of a later program: did it say that we may run on them? */
static enum ad_err newer(struct ad_store *store, int have, struct ad_errinfo *info)
{
    struct ad_value version = AD_V_I64(have);
    int oldest = have;
    AD_IGNORE(read_number(store, &compatible_sql, &version, 1, &oldest, NULL), "then it did not");
    if (oldest <= CURRENT) {
        ad_log(AD_LOG_WARN, "tables_newer_than_program", AD_KI("tables", have),
               AD_KI("program", CURRENT));
        return AD_OK;
    }
    return ad_fail(info, AD_ERR_CONFLICT,
                   "the database has tables of version %d, this program knows up to %d", have,
                   CURRENT);
}

/* All parts in one transaction with the number. */
static enum ad_err step_up(struct ad_store *store, int version, struct ad_errinfo *info)
{
    struct ad_buf script;
    ad_buf_init(&script, (size_t)1 << 20);
    for (size_t i = 0; i < PARTS_MAX && migrations[version - 1][i]; i++) {
        ad_buf_put(&script, ad_str_c(migrations[version - 1][i]));
    }
    ad_buf_fmt(&script, "PRAGMA user_version = %d;", version);
    enum ad_err err = ad_buf_status(&script);
    if (!err) {
        err = ad_store_exec_now(store, ad_buf_str(&script), info);
    }
    ad_buf_fini(&script);
    if (err) {
        ad_errinfo_prefix(info, "migration to version %d", version);
    }
    return err;
}

enum ad_err ad_migrate(struct ad_store *store, bool check_only, int *from, int *to,
                       struct ad_errinfo *info)
{
    int have = 0;
    enum ad_err err = read_number(store, &version_sql, NULL, 0, &have, info);
    if (err) {
        return err;
    }
    if (from) {
        *from = have;
    }
    if (to) {
        *to = have > CURRENT ? have : CURRENT;
    }
    if (have > CURRENT) {
        return newer(store, have, info);
    }
    if (check_only && have < CURRENT) {
        return ad_fail(info, AD_ERR_CONFLICT,
                       "the database has tables of version %d, this program needs %d", have,
                       CURRENT);
    }
    for (int version = have + 1; !err && version <= CURRENT; version++) {
        err = step_up(store, version, info);
    }
    return err;
}
