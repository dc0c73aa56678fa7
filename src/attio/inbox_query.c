/* The operator's side of the inbox: list, show, replay, discard. */
#include "attio/inbox.h"

#include "base/json_write.h"
#include "base/mem.h"
#include "inbox_private.h"

#define ARENA_MAX ((size_t)64 << 20)
#define ACT_ROWS 500
/* Quarantined bodies may be large and hold many events. */
#define ACT_ROWS_QUARANTINED 20
#define ACT_JSON_MAX ((size_t)1 << 20)

/* --- Statements ---
 *
 * By state, three ways to the rows: open ones and failed ones over their indexes, any over the
 * table. $1 the seq to go on from, $2 state or -1, $3..$6 filter, $7 rows. */

#define FILTER                                              \
    " AND ($3 IS NULL OR type = $3)"                        \
    " AND ($4 IS NULL OR substr(type, 1, length($4)) = $4)" \
    " AND ($5 IS NULL OR subject = $5) AND received_at >= $6"
#define FROM_ANY " FROM attiod_inbox i NOT INDEXED WHERE ($2 < 0 OR state = $2)"
#define FROM_OPEN " FROM attiod_inbox i INDEXED BY attiod_inbox_open WHERE state < 2 AND state = $2"
#define FROM_FAILED                                                                      \
    " FROM attiod_inbox i INDEXED BY attiod_inbox_failed WHERE state > 1 AND state <> 3" \
    " AND state = $2"

#define SHOWN                                                                         \
    "SELECT seq, dedupe, type, subject, state, received_at, reason,"                  \
    " (SELECT json_group_array(json_array(handler, state, attempts, next_at, error))" \
    " FROM attiod_attempt a WHERE a.seq = i.seq)"
#define NEWEST FILTER " AND seq < $1 ORDER BY seq DESC LIMIT $7"

#define CONCERNED "SELECT seq, state, CASE state WHEN 4 THEN body END, dedupe"
#define OLDEST FILTER " AND seq > $1 ORDER BY seq LIMIT $7"

enum way { WAY_ANY, WAY_OPEN, WAY_FAILED, WAYS };

static const struct ad_sql list_sql[WAYS] = {
    [WAY_ANY] = { .sqlite = SHOWN FROM_ANY NEWEST },
    [WAY_OPEN] = { .sqlite = SHOWN FROM_OPEN NEWEST },
    [WAY_FAILED] = { .sqlite = SHOWN FROM_FAILED NEWEST },
};
static const struct ad_sql concerned_sql[WAYS] = {
    [WAY_ANY] = { .sqlite = CONCERNED FROM_ANY OLDEST },
    [WAY_OPEN] = { .sqlite = CONCERNED FROM_OPEN OLDEST },
    [WAY_FAILED] = { .sqlite = CONCERNED FROM_FAILED OLDEST },
};
static const struct ad_sql show_sql = {
    .sqlite = SHOWN ", body FROM attiod_inbox i WHERE seq = $1",
};
static const struct ad_sql one_sql = { .sqlite = CONCERNED " FROM attiod_inbox WHERE seq = $1" };

#define OF_LIST " WHERE seq IN (SELECT value FROM json_each($1))"
static const struct ad_sql forget_attempts_sql = { .sqlite = "DELETE FROM attiod_attempt" OF_LIST };
static const struct ad_sql retry_now_sql = {
    .sqlite = "UPDATE attiod_inbox NOT INDEXED SET state = 0" OF_LIST " AND state = 1",
};
static const struct ad_sql reopen_sql = {
    .sqlite = "UPDATE attiod_inbox NOT INDEXED SET state = 0, reason = NULL" OF_LIST
              " AND state IN (2, 3, 5) AND body IS NOT NULL",
};
static const struct ad_sql discard_open_sql = {
    .sqlite = "UPDATE attiod_inbox NOT INDEXED SET state = 5" OF_LIST " AND state < 2",
};
static const struct ad_sql discard_failed_sql = {
    .sqlite = "UPDATE attiod_inbox NOT INDEXED SET state = 5" OF_LIST " AND state IN (2, 4)",
};
static const struct ad_sql release_sql = {
    .sqlite = "UPDATE attiod_inbox NOT INDEXED SET state = 0, reason = NULL, workspace_id = $2,"
              " type = $3, subject = $4, body = $5 WHERE seq = $1 AND state = 4",
};

static enum way way_of(int state)
{
    switch (state) {
    case AD_EVENT_PENDING:
    case AD_EVENT_RETRY:
        return WAY_OPEN;
    case AD_EVENT_DEAD:
    case AD_EVENT_QUARANTINED:
    case AD_EVENT_DISCARDED:
        return WAY_FAILED;
    default:
        return WAY_ANY;
    }
}

enum { FILTER_VALUES = 7 };

static void filter_values(const struct ad_inbox_filter *f, int state, int64_t from, unsigned rows,
                          struct ad_value v[FILTER_VALUES])
{
    bool family = ad_str_ends(f->type, AD_STR(".*"));
    struct ad_str prefix = family ? ad_str_n(f->type.p, f->type.n - 1) : AD_STR_NONE;
    v[0] = AD_V_I64(from);
    v[1] = AD_V_I64(state);
    v[2] = family ? AD_V_NULL : AD_V_TEXT(f->type);
    v[3] = AD_V_TEXT(prefix);
    v[4] = AD_V_TEXT(f->subject);
    v[5] = AD_V_I64(f->since_ns ? f->since_ns : INT64_MIN);
    v[6] = AD_V_I64(rows);
}

/* --- Listing --- */

enum {
    COL_SEQ,
    COL_KEY,
    COL_TYPE,
    COL_SUBJECT,
    COL_STATE,
    COL_RECEIVED_AT,
    COL_REASON,
    COL_ATTEMPTS,
    COL_BODY
};

struct listing {
    struct ad_inbox_query *q;
    struct ad_arena arena;
    struct ad_value values[FILTER_VALUES];
    struct ad_step step;
    struct ad_store_req req;
};

static struct listing *listing_new(struct ad_inbox_query *q, const struct ad_sql *sql)
{
    struct listing *w = ad_zalloc(sizeof(*w));
    if (w) {
        w->q = q;
        ad_arena_init(&w->arena, ARENA_MAX);
        w->step = (struct ad_step){ .sql = sql, .values = w->values };
        w->req = (struct ad_store_req){ .steps = &w->step, .steps_n = 1 };
    }
    return w;
}

static void listing_free(struct listing *w)
{
    ad_arena_fini(&w->arena);
    ad_free(w);
}

static void write_attempt(struct ad_json_writer *j, const struct ad_json *v)
{
    int64_t state = -1;
    int64_t attempts = 0;
    int64_t next_ns = 0;
    AD_IGNORE(!ad_json_i64(ad_json_at(v, 1), &state), "we wrote it");
    AD_IGNORE(!ad_json_i64(ad_json_at(v, 2), &attempts), "we wrote it");
    AD_IGNORE(!ad_json_i64(ad_json_at(v, 3), &next_ns), "we wrote it");
    ad_json_obj(j);
    ad_json_f_str(j, "handler", ad_json_str(ad_json_at(v, 0)));
    ad_json_f_cstr(j, "state", ad_event_state_name((enum ad_event_state)state));
    ad_json_f_i64(j, "attempts", attempts);
    ad_json_key(j, "next_at");
    if (state == AD_EVENT_RETRY) {
        ad_json_w_time(j, next_ns);
    } else {
        ad_json_w_null(j);
    }
    ad_json_f_str(j, "error", ad_json_str(ad_json_at(v, 4)));
    ad_json_end(j);
}

static enum ad_err write_attempts(struct listing *w, struct ad_json_writer *j, struct ad_str json)
{
    const struct ad_json *list = NULL;
    enum ad_err err = ad_json_parse(&w->arena, json, NULL, &list, NULL);
    ad_json_key(j, "attempts");
    ad_json_arr(j);
    AD_JSON_FOREACH (v, list) {
        write_attempt(j, v);
    }
    ad_json_end(j);
    ad_arena_reset(&w->arena);
    return err;
}

/* What is no text is made one: these are bytes that nobody could decode. */
static enum ad_err write_bytes(struct listing *w, struct ad_json_writer *j, struct ad_str s)
{
    if (ad_utf8_valid(s)) {
        ad_json_w_str(j, s);
        return AD_OK;
    }
    char *text = ad_arena_alloc(&w->arena, s.n);
    if (!text) {
        return AD_ERR_NOMEM;
    }
    for (size_t i = 0; i < s.n; i++) {
        text[i] = (char)((unsigned char)s.p[i] < 0x80 ? s.p[i] : '?');
    }
    ad_json_w_str(j, ad_str_n(text, s.n));
    return AD_OK;
}

static enum ad_err write_body(struct listing *w, struct ad_json_writer *j, const struct ad_value *v)
{
    ad_json_key(j, "body");
    switch (v->type) {
    case AD_VALUE_TEXT:
        ad_json_w_raw(j, v->str);
        return AD_OK;
    case AD_VALUE_BLOB:
        return write_bytes(w, j, v->str);
    default:
        ad_json_w_null(j);
        return AD_OK;
    }
}

static enum ad_err write_event(struct listing *w, struct ad_json_writer *j,
                               const struct ad_value *row, bool body)
{
    ad_json_obj(j);
    ad_json_f_i64(j, "id", row[COL_SEQ].i64);
    ad_json_f_str(j, "idempotency_key", row[COL_KEY].str);
    ad_json_f_str(j, "event_type", row[COL_TYPE].str);
    ad_json_f_str(j, "subject", row[COL_SUBJECT].str);
    ad_json_f_cstr(j, "state", ad_event_state_name((enum ad_event_state)row[COL_STATE].i64));
    ad_json_key(j, "received_at");
    ad_json_w_time(j, row[COL_RECEIVED_AT].i64);
    ad_json_f_str(j, "reason", row[COL_REASON].str);
    enum ad_err err = write_attempts(w, j, row[COL_ATTEMPTS].str);
    if (!err && body) {
        err = write_body(w, j, &row[COL_BODY]);
    }
    ad_json_end(j);
    return err;
}

static enum ad_err write_rows(struct listing *w, bool one)
{
    const struct ad_rows *rows = &w->req.rows;
    struct ad_json_writer j;
    enum ad_err err = AD_OK;
    ad_json_write_init(&j, w->q->out);
    if (!one) {
        ad_json_arr(&j);
    }
    for (size_t i = 0; !err && i < rows->rows; i++) {
        err = write_event(w, &j, ad_row(rows, i), one);
    }
    if (!one) {
        ad_json_end(&j);
    }
    enum ad_err written = ad_json_write_done(&j);
    return err ? err : written;
}

static void on_rows(struct ad_store_req *req)
{
    struct listing *w = ad_container_of(req, struct listing, req);
    struct ad_inbox_query *q = w->q;
    bool one = w->step.sql == &show_sql;
    q->err = req->err;
    q->info = req->info;
    if (!q->err && one && req->rows.rows == 0) {
        q->err = ad_fail(&q->info, AD_ERR_NOTFOUND, "no event %lld", (long long)q->seq);
    }
    if (!q->err) {
        q->err = write_rows(w, one);
        q->info.code = q->err;
    }
    if (!q->err && !one) {
        q->next_before = req->more ? ad_row(&req->rows, req->rows.rows - 1)[COL_SEQ].i64 : 0;
    }
    listing_free(w);
    q->cb(q);
}

static enum ad_err read_listing(struct ad_inbox *in, struct listing *w)
{
    struct ad_inbox_query *q = w->q;
    w->req.cb = on_rows;
    enum ad_err err = ad_store_read(in->o.store, &w->req);
    if (err) {
        listing_free(w);
        return ad_fail(&q->info, err, "cannot read events: %s", ad_err_text(err));
    }
    return AD_OK;
}

enum ad_err ad_inbox_list(struct ad_inbox *in, struct ad_inbox_query *q)
{
    const struct ad_inbox_filter *f = &q->filter;
    if (f->limit < 1 || f->limit > 500) {
        return ad_fail(&q->info, AD_ERR_INVALID, "limit: 1 to 500");
    }
    struct listing *w = listing_new(q, &list_sql[way_of(f->state)]);
    if (!w) {
        return ad_fail(&q->info, AD_ERR_NOMEM, "no memory to list events");
    }
    q->next_before = 0;
    filter_values(f, f->state, f->before > 0 ? f->before : INT64_MAX, f->limit + 1, w->values);
    w->step.values_n = FILTER_VALUES;
    w->req.rows_max = f->limit;
    return read_listing(in, w);
}

enum ad_err ad_inbox_show(struct ad_inbox *in, struct ad_inbox_query *q)
{
    struct listing *w = listing_new(q, &show_sql);
    if (!w) {
        return ad_fail(&q->info, AD_ERR_NOMEM, "no memory to show an event");
    }
    w->values[0] = AD_V_I64(q->seq);
    w->step.values_n = 1;
    return read_listing(in, w);
}

/* --- Replay and discard ---
 *
 * A loop of read (whom does it concern) and write, in pieces, so that neither holds the database
 * up; for each state in turn. */

enum { RELEASE_VALUES = 5, STATES_MAX = 2 };

struct act {
    struct ad_inbox *in;
    struct ad_inbox_query *q;
    bool replay;
    int states[STATES_MAX];
    unsigned states_n, state;
    int64_t from;
    bool more;
    struct ad_arena arena;
    struct ad_buf seqs;
    struct ad_value values[FILTER_VALUES];
    struct ad_value seqs_value;
    struct ad_step read_step;
    struct ad_step *steps;
    unsigned steps_n, steps_cap;
    int64_t would; /* change, by what was read */
    struct ad_store_req req;
};

static void act_end(struct act *w, enum ad_err err, const struct ad_errinfo *info)
{
    struct ad_inbox_query *q = w->q;
    q->err = err;
    if (err && info) {
        q->info = *info;
    } else if (err) {
        ad_fail(&q->info, err, "%s", ad_err_text(err));
    }
    ad_arena_fini(&w->arena);
    ad_buf_fini(&w->seqs);
    ad_free(w);
    q->cb(q);
}

static struct ad_step *step_add(struct act *w, const struct ad_sql *sql,
                                const struct ad_value *values, unsigned n)
{
    if (w->steps_n == w->steps_cap) {
        unsigned cap = w->steps_cap ? 2 * w->steps_cap : 64;
        struct ad_step *more = ad_arena_array(&w->arena, cap, sizeof(*more));
        if (!more) {
            return NULL;
        }
        if (w->steps_n) {
            memcpy(more, w->steps, w->steps_n * sizeof(*more));
        }
        w->steps = more;
        w->steps_cap = cap;
    }
    struct ad_step *s = &w->steps[w->steps_n++];
    *s = (struct ad_step){ .sql = sql, .values = values, .values_n = n };
    return s;
}

/* A quarantined body is a delivery, or one event. */
static enum ad_err decode_again(struct act *w, struct ad_str body, struct ad_delivery *d)
{
    struct ad_event *e = ad_arena_zalloc(&w->arena, sizeof(*e));
    const struct ad_json *doc;
    enum ad_err err = e ? ad_json_parse(&w->arena, body, NULL, &doc, NULL) : AD_ERR_NOMEM;
    if (err || ad_json_get(doc, "events")) {
        return err ? err : ad_webhook_decode(&w->arena, &w->arena, body, d, NULL);
    }
    *d = (struct ad_delivery){ .events = e, .events_n = 1 };
    return ad_event_decode(&w->arena, doc, e, NULL);
}

static enum ad_err release_steps(struct act *w, int64_t seq, const struct ad_delivery *d)
{
    struct ad_value *v = ad_arena_array(&w->arena, RELEASE_VALUES, sizeof(*v));
    if (!v || !step_add(w, &release_sql, v, RELEASE_VALUES)) {
        return AD_ERR_NOMEM;
    }
    v[0] = AD_V_I64(seq);
    v[1] = AD_V_TEXT(d->events[0].workspace_id);
    v[2] = AD_V_TEXT(d->events[0].type);
    v[3] = AD_V_TEXT(d->events[0].subject);
    v[4] = AD_V_TEXT(d->events[0].body);
    for (size_t i = 1; i < d->events_n; i++) {
        v = ad_arena_array(&w->arena, AD_INBOX_INSERT_VALUES, sizeof(*v));
        if (!v || !step_add(w, &ad__inbox_insert_sql, v, AD_INBOX_INSERT_VALUES)) {
            return AD_ERR_NOMEM;
        }
        ad__inbox_insert_values(&(struct ad_inbox_row){ .key = d->key,
                                                        .part = i,
                                                        .received_ns = ad_wall_ns(w->in->o.clock),
                                                        .event = &d->events[i] },
                                v);
    }
    return AD_OK;
}

/* What still cannot be decoded stays. */
static enum ad_err release(struct act *w, const struct ad_value *row)
{
    struct ad_delivery d = { .events_n = 0 };
    struct ad_str body = ad_arena_str(&w->arena, row[2].str);
    struct ad_str key = row[3].str.p ? ad_arena_str(&w->arena, row[3].str) : AD_STR_NONE;
    if (!body.p || (row[3].str.p && !key.p)) {
        return AD_ERR_NOMEM;
    }
    enum ad_err err = decode_again(w, body, &d);
    if (err == AD_ERR_NOMEM) {
        return err;
    }
    if (err || d.events_n == 0) {
        return AD_OK;
    }
    d.key = key;
    w->would += (int64_t)d.events_n;
    return w->q->dry_run ? AD_OK : release_steps(w, row[0].i64, &d);
}

static bool concerns(const struct act *w, int64_t state)
{
    if (w->replay) {
        return state != AD_EVENT_PENDING && state != AD_EVENT_QUARANTINED;
    }
    return state != AD_EVENT_DONE && state != AD_EVENT_DISCARDED;
}

static enum ad_err collect(struct act *w, const struct ad_rows *rows, int64_t *seqs, size_t *n)
{
    enum ad_err err = AD_OK;
    *n = 0;
    for (size_t i = 0; !err && i < rows->rows; i++) {
        const struct ad_value *row = ad_row(rows, i);
        w->from = row[0].i64;
        if (w->replay && row[1].i64 == AD_EVENT_QUARANTINED) {
            err = release(w, row);
        } else if (concerns(w, row[1].i64)) {
            seqs[(*n)++] = row[0].i64;
            w->would++;
        } else {
            continue;
        }
        if (w->would && !w->q->lowest) {
            w->q->lowest = row[0].i64;
        }
    }
    return err;
}

static enum ad_err list_steps(struct act *w, const int64_t *seqs, size_t n)
{
    ad_buf_clear(&w->seqs);
    enum ad_err err = ad__inbox_write_seqs(&w->seqs, seqs, n);
    if (err) {
        return err;
    }
    w->seqs_value = AD_V_TEXT(ad_buf_str(&w->seqs));
    bool ok = w->replay ? step_add(w, &forget_attempts_sql, &w->seqs_value, 1) &&
                              step_add(w, &retry_now_sql, &w->seqs_value, 1) &&
                              step_add(w, &reopen_sql, &w->seqs_value, 1)
                        : step_add(w, &discard_open_sql, &w->seqs_value, 1) &&
                              step_add(w, &discard_failed_sql, &w->seqs_value, 1);
    return ok ? AD_OK : AD_ERR_NOMEM;
}

static enum ad_err act_read(struct act *w);

/* The next piece, the next state, or the end. */
static void act_on(struct act *w)
{
    if (!w->more) {
        w->state++;
        w->from = 0;
    }
    if (w->state == w->states_n) {
        if (w->q->changed == 0) {
            w->q->lowest = 0;
        }
        act_end(w, AD_OK, NULL);
        return;
    }
    enum ad_err err = act_read(w);
    if (err) {
        act_end(w, err, NULL);
    }
}

/* How many events a step made pending (or, discarding, took away from those). */
static int64_t opened_by(const struct ad_step *s)
{
    bool opens = s->sql == &reopen_sql || s->sql == &release_sql || s->sql == &ad__inbox_insert_sql;
    return opens ? s->changes : s->sql == &discard_open_sql ? -s->changes : 0;
}

static void on_written(struct ad_store_req *req)
{
    struct act *w = ad_container_of(req, struct act, req);
    if (req->err) {
        act_end(w, req->err, &req->info);
        return;
    }
    for (unsigned i = 0; i < w->steps_n; i++) {
        ad__inbox_count(w->in, opened_by(&w->steps[i]));
        if (w->steps[i].sql != &forget_attempts_sql) {
            w->q->changed += w->steps[i].changes;
        }
    }
    act_on(w);
}

static void on_concerned(struct ad_store_req *req)
{
    struct act *w = ad_container_of(req, struct act, req);
    int64_t seqs[ACT_ROWS];
    size_t n = 0;
    enum ad_err err = req->err;
    w->more = req->more;
    w->would = 0;
    if (!err && w->q->seq && req->rows.rows == 0) {
        err = ad_fail(&req->info, AD_ERR_NOTFOUND, "no event %lld", (long long)w->q->seq);
    }
    if (err) {
        act_end(w, err, &req->info);
        return;
    }
    err = collect(w, &req->rows, seqs, &n);
    if (!err && w->q->dry_run) {
        w->q->changed += w->would;
        act_on(w);
        return;
    }
    if (!err && n) {
        err = list_steps(w, seqs, n);
    }
    if (!err && w->steps_n == 0) {
        act_on(w);
        return;
    }
    w->req = (struct ad_store_req){
        .steps = w->steps, .steps_n = w->steps_n, .cls = AD_STORE_NORMAL, .cb = on_written
    };
    err = err ? err : ad_store_write(w->in->o.store, &w->req);
    if (err) {
        act_end(w, err, NULL);
    }
}

static enum ad_err act_read(struct act *w)
{
    const struct ad_inbox_query *q = w->q;
    int state = w->states[w->state];
    unsigned rows = state == AD_EVENT_QUARANTINED ? ACT_ROWS_QUARANTINED : ACT_ROWS;
    ad_arena_reset(&w->arena);
    w->steps = NULL;
    w->steps_n = w->steps_cap = 0;
    filter_values(&q->filter, state, w->from, rows + 1, w->values);
    w->read_step = (struct ad_step){ .sql = &concerned_sql[way_of(state)],
                                     .values = w->values,
                                     .values_n = FILTER_VALUES };
    if (q->seq) {
        w->values[0] = AD_V_I64(q->seq);
        w->read_step.sql = &one_sql;
        w->read_step.values_n = 1;
    }
    w->req = (struct ad_store_req){
        .steps = &w->read_step, .steps_n = 1, .rows_max = rows, .cb = on_concerned
    };
    return ad_store_read(w->in->o.store, &w->req);
}

static enum ad_err act_start(struct ad_inbox *in, struct ad_inbox_query *q, bool replay)
{
    struct act *w = ad_zalloc(sizeof(*w));
    if (!w) {
        return ad_fail(&q->info, AD_ERR_NOMEM, "no memory for this");
    }
    w->in = in;
    w->q = q;
    w->replay = replay;
    w->states[0] = q->filter.state;
    w->states_n = 1;
    if (q->filter.state < 0 && !q->seq) {
        w->states[0] = AD_EVENT_DEAD;
        w->states[1] = AD_EVENT_QUARANTINED;
        w->states_n = 2;
    }
    q->changed = q->lowest = 0;
    ad_arena_init(&w->arena, ARENA_MAX);
    ad_buf_init(&w->seqs, ACT_JSON_MAX);
    enum ad_err err = act_read(w);
    if (err) {
        ad_arena_fini(&w->arena);
        ad_buf_fini(&w->seqs);
        ad_free(w);
        return ad_fail(&q->info, err, "%s", ad_err_text(err));
    }
    return AD_OK;
}

enum ad_err ad_inbox_replay(struct ad_inbox *in, struct ad_inbox_query *q)
{
    return act_start(in, q, true);
}

enum ad_err ad_inbox_discard(struct ad_inbox *in, struct ad_inbox_query *q)
{
    return act_start(in, q, false);
}
