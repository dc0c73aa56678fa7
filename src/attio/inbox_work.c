/* The dispatcher's side of the inbox: load and settle. */
#include "attio/inbox.h"

#include "base/json_write.h"
#include "base/log.h"
#include "base/mem.h"
#include "inbox_private.h"

/* One load: a thousand events decoded. Their text stays in the store's rows. */
#define LOAD_ARENA_MAX ((size_t)64 << 20)
/* 5000 attempts with their errors. */
#define SETTLE_JSON_MAX ((size_t)16 << 20)

/* --- Load --- */

enum { LOAD_SEQ, LOAD_RECEIVED_AT, LOAD_BODY, LOAD_ATTEMPTS };

static const struct ad_sql load_sql = {
    .sqlite = "SELECT seq, received_at, body, CASE state WHEN 1 THEN"
              " (SELECT json_group_array(json_array(handler, state, attempts, next_at, error))"
              " FROM attiod_attempt a WHERE a.seq = i.seq) END"
              " FROM attiod_inbox i INDEXED BY attiod_inbox_open"
              " WHERE seq > $1 AND state < 2 ORDER BY seq LIMIT $2",
};
static const struct ad_sql bad_sql = {
    .sqlite = "UPDATE attiod_inbox NOT INDEXED"
              " SET state = 4, reason = 'this program cannot decode it'"
              " WHERE seq IN (SELECT value FROM json_each($1)) AND state < 2",
};

struct load {
    struct ad_inbox *in;
    struct ad_inbox_load *l;
    struct ad_arena arena;
    struct ad_event *events;
    size_t events_n;
    struct ad_attempt *attempts;
    size_t attempts_n, attempts_cap;
    int64_t *bad;
    size_t bad_n;
    struct ad_buf bad_json;
    struct ad_value values[2];
    struct ad_step step;
    struct ad_store_req req;
};

static void load_free(struct load *w)
{
    ad_arena_fini(&w->arena);
    ad_buf_fini(&w->bad_json);
    ad_free(w);
}

static void load_end(struct load *w, enum ad_err err, const struct ad_errinfo *info, bool more)
{
    struct ad_inbox_load *l = w->l;
    l->err = err;
    if (err) {
        l->info = *info;
    }
    l->events = err ? NULL : w->events;
    l->events_n = err ? 0 : w->events_n;
    l->attempts = err ? NULL : w->attempts;
    l->attempts_n = err ? 0 : w->attempts_n;
    l->more = more;
    l->cb(l);
    load_free(w);
}

static enum ad_err load_read(struct load *w);

static void load_failed(struct load *w, enum ad_err err)
{
    struct ad_errinfo info = { 0 };
    ad_fail(&info, err, "cannot load events: %s", ad_err_text(err));
    load_end(w, err, &info, false);
}

static struct ad_attempt *attempt_add(struct load *w)
{
    if (w->attempts_n == w->attempts_cap) {
        size_t cap = w->attempts_cap ? 2 * w->attempts_cap : 64;
        struct ad_attempt *more = ad_arena_array(&w->arena, cap, sizeof(*more));
        if (!more) {
            return NULL;
        }
        if (w->attempts_n) {
            memcpy(more, w->attempts, w->attempts_n * sizeof(*more));
        }
        w->attempts = more;
        w->attempts_cap = cap;
    }
    return &w->attempts[w->attempts_n++];
}

static enum ad_err read_attempts(struct load *w, int64_t seq, struct ad_str json)
{
    const struct ad_json *list = NULL;
    enum ad_err err = ad_json_parse(&w->arena, json, NULL, &list, NULL);
    AD_JSON_FOREACH (v, list) {
        int64_t state = 0;
        int64_t attempts = 0;
        int64_t next_ns = 0;
        struct ad_attempt *a = attempt_add(w);
        if (!a) {
            return AD_ERR_NOMEM;
        }
        AD_IGNORE(!ad_json_i64(ad_json_at(v, 1), &state), "we wrote it");
        AD_IGNORE(!ad_json_i64(ad_json_at(v, 2), &attempts), "we wrote it");
        AD_IGNORE(!ad_json_i64(ad_json_at(v, 3), &next_ns), "we wrote it");
        *a = (struct ad_attempt){ .seq = seq,
                                  .handler = ad_json_str(ad_json_at(v, 0)),
                                  .state = (enum ad_event_state)state,
                                  .attempts = (unsigned)attempts,
                                  .next_ns = next_ns,
                                  .error = ad_json_str(ad_json_at(v, 4)) };
    }
    return err;
}

/* PARSE: not an event to this program. */
static enum ad_err read_event(struct load *w, const struct ad_value *row, struct ad_event *e)
{
    const struct ad_json *doc;
    struct ad_str body = row[LOAD_BODY].type == AD_VALUE_TEXT ? row[LOAD_BODY].str : AD_STR("");
    enum ad_err err = ad_json_parse(&w->arena, body, NULL, &doc, NULL);
    err = err ? err : ad_event_decode(&w->arena, doc, e, NULL);
    if (err) {
        return err == AD_ERR_NOMEM ? err : AD_ERR_PARSE;
    }
    e->seq = row[LOAD_SEQ].i64;
    e->received_ns = row[LOAD_RECEIVED_AT].i64;
    return row[LOAD_ATTEMPTS].str.p ? read_attempts(w, e->seq, row[LOAD_ATTEMPTS].str) : AD_OK;
}

static enum ad_err read_rows(struct load *w, const struct ad_rows *rows)
{
    w->events_n = w->attempts_n = w->attempts_cap = w->bad_n = 0;
    w->events = ad_arena_array(&w->arena, rows->rows + 1, sizeof(*w->events));
    w->bad = ad_arena_array(&w->arena, rows->rows + 1, sizeof(*w->bad));
    enum ad_err err = w->events && w->bad ? AD_OK : AD_ERR_NOMEM;
    for (size_t i = 0; !err && i < rows->rows; i++) {
        const struct ad_value *row = ad_row(rows, i);
        err = read_event(w, row, &w->events[w->events_n]);
        if (err == AD_ERR_PARSE) {
            w->bad[w->bad_n++] = row[LOAD_SEQ].i64;
            err = AD_OK;
        } else {
            w->events_n++;
        }
    }
    return err;
}

static void on_bad_stored(struct ad_store_req *req)
{
    struct load *w = ad_container_of(req, struct load, req);
    if (req->err) {
        load_end(w, req->err, &req->info, false);
        return;
    }
    ad_log(AD_LOG_ERROR, "events_quarantined_on_load", AD_KI("events", w->step.changes));
    ad__inbox_count(w->in, -w->step.changes);
    enum ad_err err = load_read(w);
    if (err) {
        load_failed(w, err);
    }
}

static enum ad_err store_bad(struct load *w)
{
    ad_buf_clear(&w->bad_json);
    enum ad_err err = ad__inbox_write_seqs(&w->bad_json, w->bad, w->bad_n);
    if (err) {
        return err;
    }
    w->values[0] = AD_V_TEXT(ad_buf_str(&w->bad_json));
    w->step = (struct ad_step){ .sql = &bad_sql, .values = w->values, .values_n = 1 };
    w->req = (struct ad_store_req){
        .steps = &w->step, .steps_n = 1, .cls = AD_STORE_NORMAL, .cb = on_bad_stored
    };
    return ad_store_write(w->in->o.store, &w->req);
}

static void on_loaded(struct ad_store_req *req)
{
    struct load *w = ad_container_of(req, struct load, req);
    if (req->err) {
        load_end(w, req->err, &req->info, false);
        return;
    }
    enum ad_err err = read_rows(w, &req->rows);
    if (!err && w->bad_n == 0) {
        load_end(w, AD_OK, NULL, req->more);
        return;
    }
    err = err ? err : store_bad(w);
    if (err) {
        load_failed(w, err);
    }
}

static enum ad_err load_read(struct load *w)
{
    ad_arena_reset(&w->arena);
    w->values[0] = AD_V_I64(w->l->after);
    w->values[1] = AD_V_I64((int64_t)w->l->max + 1);
    w->step = (struct ad_step){ .sql = &load_sql, .values = w->values, .values_n = 2 };
    w->req = (struct ad_store_req){
        .steps = &w->step, .steps_n = 1, .rows_max = w->l->max, .cb = on_loaded
    };
    return ad_store_read(w->in->o.store, &w->req);
}

enum ad_err ad_inbox_load(struct ad_inbox *in, struct ad_inbox_load *l)
{
    if (l->max == 0 || l->max > AD_INBOX_LOAD_MAX) {
        return ad_fail(&l->info, AD_ERR_INVALID, "1 to %d events at once", AD_INBOX_LOAD_MAX);
    }
    struct load *w = ad_zalloc(sizeof(*w));
    if (!w) {
        return ad_fail(&l->info, AD_ERR_NOMEM, "no memory to load events");
    }
    w->in = in;
    w->l = l;
    ad_arena_init(&w->arena, LOAD_ARENA_MAX);
    ad_buf_init(&w->bad_json, SETTLE_JSON_MAX);
    enum ad_err err = load_read(w);
    if (err) {
        load_free(w);
        return ad_fail(&l->info, err, "cannot load events: %s", ad_err_text(err));
    }
    return AD_OK;
}

/* --- Settle --- */

/* NOT INDEXED: by rowid, not through the index of open events, however few those look. */
const struct ad_sql ad__inbox_done_sql = {
    .sqlite = "UPDATE attiod_inbox NOT INDEXED SET state = 3"
              " WHERE seq IN (SELECT value FROM json_each($1)) AND state < 2",
};
static const struct ad_sql dead_sql = {
    .sqlite = "UPDATE attiod_inbox NOT INDEXED SET state = 2"
              " WHERE seq IN (SELECT value FROM json_each($1)) AND state < 2",
};
static const struct ad_sql retry_sql = {
    .sqlite = "UPDATE attiod_inbox NOT INDEXED SET state = 1"
              " WHERE seq IN (SELECT value ->> 0 FROM json_each($1)) AND state = 0",
};
static const struct ad_sql attempts_sql = {
    .sqlite = "INSERT INTO attiod_attempt (seq, handler, state, attempts, next_at, error)"
              " SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5"
              " FROM json_each($1) WHERE (value ->> 0) IN (SELECT seq FROM attiod_inbox)"
              " ON CONFLICT (seq, handler) DO UPDATE SET state = excluded.state,"
              " attempts = excluded.attempts, next_at = excluded.next_at, error = excluded.error",
};

enum ad_err ad__inbox_write_seqs(struct ad_buf *out, const int64_t *seqs, size_t n)
{
    struct ad_json_writer w;
    ad_json_write_init(&w, out);
    ad_json_arr(&w);
    for (size_t i = 0; i < n; i++) {
        ad_json_w_i64(&w, seqs[i]);
    }
    ad_json_end(&w);
    return ad_json_write_done(&w);
}

static enum ad_err write_attempts(struct ad_buf *out, const struct ad_attempt *list, size_t n)
{
    struct ad_json_writer w;
    ad_json_write_init(&w, out);
    ad_json_arr(&w);
    for (size_t i = 0; i < n; i++) {
        ad_json_arr(&w);
        ad_json_w_i64(&w, list[i].seq);
        ad_json_w_str(&w, list[i].handler);
        ad_json_w_i64(&w, list[i].state);
        ad_json_w_i64(&w, list[i].attempts);
        ad_json_w_i64(&w, list[i].next_ns);
        ad_json_w_str(&w, list[i].error);
        ad_json_end(&w);
    }
    ad_json_end(&w);
    return ad_json_write_done(&w);
}

enum { SETTLE_ATTEMPTS, SETTLE_DEAD, SETTLE_DONE, SETTLE_PARTS };

struct settle {
    struct ad_inbox *in;
    struct ad_inbox_settle *s;
    struct ad_buf json[SETTLE_PARTS];
    struct ad_value values[SETTLE_PARTS];
    struct ad_step steps[SETTLE_PARTS + 1];
    struct ad_store_req req;
};

static void settle_free(struct settle *w)
{
    for (size_t i = 0; i < SETTLE_PARTS; i++) {
        ad_buf_fini(&w->json[i]);
    }
    ad_free(w);
}

static void on_settled(struct ad_store_req *req)
{
    struct settle *w = ad_container_of(req, struct settle, req);
    struct ad_inbox_settle *s = w->s;
    s->err = req->err;
    s->info = req->info;
    for (size_t i = 0; !req->err && i < req->steps_n; i++) {
        if (w->steps[i].sql == &dead_sql || w->steps[i].sql == &ad__inbox_done_sql) {
            ad__inbox_count(w->in, -w->steps[i].changes);
        }
    }
    settle_free(w);
    s->cb(s);
}

static void settle_step(struct settle *w, const struct ad_sql *sql, unsigned part)
{
    w->values[part] = AD_V_TEXT(ad_buf_str(&w->json[part]));
    w->steps[w->req.steps_n++] =
        (struct ad_step){ .sql = sql, .values = &w->values[part], .values_n = 1 };
}

static enum ad_err settle_steps(struct settle *w)
{
    const struct ad_inbox_settle *s = w->s;
    enum ad_err err = AD_OK;
    if (s->attempts_n) {
        err = write_attempts(&w->json[SETTLE_ATTEMPTS], s->attempts, s->attempts_n);
        settle_step(w, &attempts_sql, SETTLE_ATTEMPTS);
        settle_step(w, &retry_sql, SETTLE_ATTEMPTS);
    }
    if (!err && s->dead_n) {
        err = ad__inbox_write_seqs(&w->json[SETTLE_DEAD], s->dead, s->dead_n);
        settle_step(w, &dead_sql, SETTLE_DEAD);
    }
    if (!err && s->done_n) {
        err = ad__inbox_write_seqs(&w->json[SETTLE_DONE], s->done, s->done_n);
        settle_step(w, &ad__inbox_done_sql, SETTLE_DONE);
    }
    return err;
}

enum ad_err ad_inbox_settle(struct ad_inbox *in, struct ad_inbox_settle *s)
{
    if (s->done_n + s->attempts_n + s->dead_n == 0) {
        return ad_fail(&s->info, AD_ERR_INVALID, "nothing to record");
    }
    struct settle *w = ad_zalloc(sizeof(*w));
    if (!w) {
        return ad_fail(&s->info, AD_ERR_NOMEM, "no memory to settle events");
    }
    w->in = in;
    w->s = s;
    for (size_t i = 0; i < SETTLE_PARTS; i++) {
        ad_buf_init(&w->json[i], SETTLE_JSON_MAX);
    }
    w->req = (struct ad_store_req){ .steps = w->steps, .cls = AD_STORE_NORMAL, .cb = on_settled };
    enum ad_err err = settle_steps(w);
    err = err ? err : ad_store_write(in->o.store, &w->req);
    if (err) {
        settle_free(w);
        return ad_fail(&s->info, err, "cannot settle events: %s", ad_err_text(err));
    }
    return AD_OK;
}
