#include "http/http_client_private.h"

#include "base/mem.h"

/* A connection is on one list at a time: dialing -> idle <-> busy -> closing. Failure modes:
 *
 * - the dial fails: the first in line is told (each dial was begun for one in line), the others keep waiting for
 *   connections that are being made;
 * - the peer closes or speaks while idle: closed, nobody is told;
 * - it ends while busy: the task is told; `reused` says whether it may just have been too old. */

static void move(struct ad__http_conn *conn, struct ad_list *to)
{
    ad_list_remove(&conn->link);
    ad_list_push_front(to, &conn->link);
}

static void free_conn(struct ad__http_conn *conn)
{
    struct ad_http_client *c = conn->client;
    ad_list_remove(&conn->link);
    c->conns--;
    ad_free(conn);
    ad__http_client_maybe_closed(c);
}

static void on_closed(struct ad_stream *s)
{
    free_conn(s->data);
}

static void close_conn(struct ad__http_conn *conn)
{
    if (conn->closing) {
        return;
    }
    conn->closing = true;
    conn->client->open--;
    move(conn, &conn->client->closing_conns);
    ad_timer_stop(ad_loop_timers(conn->client->loop), &conn->idle);
    ad_stream_close(conn->stream, on_closed);
}

/* --- idle --- */

static void on_idle_too_long(struct ad_timer *timer)
{
    close_conn(ad_container_of(timer, struct ad__http_conn, idle));
}

static void make_idle(struct ad__http_conn *conn)
{
    struct ad_http_client *c = conn->client;
    move(conn, &c->idle);
    ad_timer_start(ad_loop_timers(c->loop), &conn->idle, c->opts.idle_ms, on_idle_too_long);
}

/* --- busy: reading --- */

/* Bytes behind the response make the next one doubtful. */
static void on_response(struct ad__http_task *t, bool rest)
{
    t->reusable = t->response.keep_alive && !rest;
    t->conn->served++;
    ad__http_task_end(t, AD_OK);
}

static void on_peer_ended(struct ad__http_task *t, enum ad_err err)
{
    struct ad__http_conn *conn = t->conn;
    if (err == AD_ERR_CLOSED) {
        err = ad__http_response_end(&t->response);
        if (!err) {
            on_response(t, true);
            return;
        }
    } else {
        err = ad_fail(&t->call->info, AD_ERR_NETWORK, "response: the connection was reset");
    }
    t->call->reused = conn->served > 0 && !t->response.any;
    ad__http_task_end(t, err);
}

static void on_read(struct ad_stream *s, enum ad_err err, const char *p, size_t n)
{
    struct ad__http_conn *conn = s->data;
    struct ad__http_task *t = conn->task;
    if (!t) {
        close_conn(conn);
        return;
    }
    if (err) {
        on_peer_ended(t, err);
        return;
    }
    size_t used = 0;
    err = ad__http_response_feed(&t->response, p, n, &used);
    if (err) {
        ad__http_task_end(t, err);
    } else if (t->response.phase == AD__RESPONSE_DONE) {
        on_response(t, used < n);
    }
}

/* --- busy: writing --- */

/* A failed write is not the end: the peer may have answered before it stopped reading. Reading
 * will tell. */
static void on_written(struct ad_write *w, enum ad_err err)
{
    struct ad__http_conn *conn = ad_container_of(w, struct ad__http_conn, write);
    struct ad__http_task *parked = conn->parked;
    (void)err;
    conn->writing = false;
    conn->parked = NULL;
    if (parked) {
        ad__http_task_finish(parked);
    }
}

static void skip(struct ad_str bufs[2], size_t n)
{
    for (unsigned i = 0; i < 2; i++) {
        size_t step = n < bufs[i].n ? n : bufs[i].n;
        bufs[i].p += step;
        bufs[i].n -= step;
        n -= step;
    }
}

static enum ad_err write_request(struct ad__http_conn *conn, struct ad__http_task *t)
{
    struct ad_str bufs[2] = { t->head,
                              ad_str_n(t->call->body.p ? t->call->body.p : "", t->call->body.n) };
    size_t n = ad_stream_try_write(conn->stream, bufs, 2);
    if (n == bufs[0].n + bufs[1].n) {
        t->call->sent = true;
        return AD_OK;
    }
    skip(bufs, n);
    enum ad_err err = ad_stream_write(conn->stream, &conn->write, bufs, 2, on_written);
    /* Once queued, nobody can say that none of it went out. */
    t->call->sent = n > 0 || !err;
    conn->writing = !err;
    return err;
}

static enum ad_err begin(struct ad__http_conn *conn, struct ad__http_task *t)
{
    ad_timer_stop(ad_loop_timers(conn->client->loop), &conn->idle);
    move(conn, &conn->client->busy);
    conn->task = t;
    t->conn = conn;
    enum ad_err err = ad_stream_read_start(conn->stream, on_read);
    return err ? err : write_request(conn, t);
}

/* --- dialing --- */

static struct ad__http_task *pop_line(struct ad_http_client *c)
{
    struct ad_list *link = ad_list_pop(&c->line);
    if (!link) {
        return NULL;
    }
    c->waiting--;
    return ad_container_of(link, struct ad__http_task, link);
}

static void drop_dial(struct ad__http_conn *conn)
{
    conn->client->open--;
    free_conn(conn);
}

static void on_dial_failed(struct ad__http_conn *conn, enum ad_err err)
{
    struct ad_http_client *c = conn->client;
    struct ad_errinfo info = conn->dial.info;
    drop_dial(conn);
    struct ad__http_task *t = pop_line(c);
    if (t) {
        t->call->info = info;
        ad__http_task_end(t, err);
    }
}

static void on_dial(struct ad_dial *dial, enum ad_err err, struct ad_stream *s)
{
    struct ad__http_conn *conn = ad_container_of(dial, struct ad__http_conn, dial);
    conn->client->dials--;
    if (err) {
        on_dial_failed(conn, err);
        return;
    }
    conn->stream = s;
    s->data = conn;
    ad__http_pool_release(conn, ad_stream_read_start(s, on_read) == AD_OK);
    ad__http_pool_pump(conn->client);
}

static enum ad_err dial(struct ad_http_client *c)
{
    struct ad__http_conn *conn = ad_zalloc(sizeof(*conn));
    if (!conn) {
        return AD_ERR_NOMEM;
    }
    conn->client = c;
    conn->dial.last = &c->last;
    enum ad_err err = c->opts.dialer->start(c->opts.dialer, c->loop, &conn->dial, &c->opts.origin,
                                            c->opts.connect_ms, on_dial);
    if (err) {
        ad_free(conn);
        return err;
    }
    ad_list_push(&c->dialing, &conn->link);
    c->dials++;
    c->open++;
    c->conns++;
    return AD_OK;
}

/* --- from outside --- */

static void serve_from_idle(struct ad_http_client *c)
{
    while (!ad_list_empty(&c->idle) && c->waiting > 0) {
        struct ad__http_conn *conn = ad_container_of(c->idle.next, struct ad__http_conn, link);
        struct ad__http_task *t = pop_line(c);
        enum ad_err err = begin(conn, t);
        if (err) {
            ad__http_task_end_later(t, ad_fail(&t->call->info, err, "request: cannot be written"));
        }
    }
}

void ad__http_pool_pump(struct ad_http_client *c)
{
    if (c->closing) {
        return;
    }
    serve_from_idle(c);
    while (c->waiting > c->dials && c->open < c->opts.connections_max) {
        enum ad_err err = dial(c);
        if (err) {
            struct ad__http_task *t = pop_line(c);
            ad__http_task_end_later(t, ad_fail(&t->call->info, err, "connect: cannot start"));
        }
    }
}

void ad__http_pool_release(struct ad__http_conn *conn, bool keep)
{
    struct ad_http_client *c = conn->client;
    if (keep && !c->closing) {
        make_idle(conn);
    } else {
        close_conn(conn);
    }
}

void ad__http_pool_close(struct ad_http_client *c)
{
    while (!ad_list_empty(&c->idle)) {
        close_conn(ad_container_of(c->idle.next, struct ad__http_conn, link));
    }
    AD_LIST_FOREACH (it, &c->dialing) {
        struct ad__http_conn *conn = ad_container_of(it, struct ad__http_conn, link);
        c->opts.dialer->cancel(c->opts.dialer, &conn->dial);
    }
}
