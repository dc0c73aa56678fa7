#include "support/pair.h"

#include "base/buf.h"
#include "base/mem.h"

#include <stdio.h>

enum {
    WINDOW = 64 * 1024,
    BUF_MAX = 64 << 20,
};

/* One end. Everything it has to say to its owner goes through one post, one callback at a time,
 * so that calling the owner is always the last thing done. */
struct end {
    struct ad_stream stream;
    struct ad_loop *loop;
    struct end *peer; /* NULL after it was closed */
    struct ad_post post;
    struct ad_buf in;      /* sent by the peer, not read yet */
    struct ad_list writes; /* begun, in order; a shutdown is one without slices */
    struct pair_faults faults;
    size_t delivered, sent;
    const char *name;
    bool reading, in_ended, was_reset, reported, out_ended;
};

static const struct ad_stream_ops pair_ops;

static struct end *of(const struct ad_stream *s)
{
    return (struct end *)((uintptr_t)s - offsetof(struct end, stream));
}

static void on_post(struct ad_post *post);

static void wake(struct end *e)
{
    if (e && !e->post.cb) {
        ad_loop_post(e->loop, &e->post, on_post);
    }
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* --- sending --- */

static size_t room(const struct end *e)
{
    if (!e->peer || e->faults.stall) {
        return 0;
    }
    size_t window = e->peer->faults.window ? e->peer->faults.window : WINDOW;
    size_t used = ad_buf_len(&e->peer->in);
    size_t n = window > used ? window - used : 0;
    return e->faults.write_fails_at ? least(n, e->faults.write_fails_at - e->sent) : n;
}

static bool is_broken(const struct end *e)
{
    return e->was_reset || !e->peer || e->out_ended ||
           (e->faults.write_fails_at && e->sent >= e->faults.write_fails_at);
}

static size_t send_some(struct end *e, struct ad_str *slice)
{
    size_t n = least(slice->n, room(e));
    if (n > 0) {
        ad_buf_put(&e->peer->in, ad_str_n(slice->p, n));
        slice->p += n;
        slice->n -= n;
        e->sent += n;
        wake(e->peer);
    }
    return n;
}

/* True when all slices are gone. */
static bool send_slices(struct end *e, struct ad_write *w)
{
    for (unsigned i = 0; i < w->n; i++) {
        send_some(e, &w->bufs[i]);
        if (w->bufs[i].n > 0) {
            return false;
        }
    }
    return true;
}

static void end_output(struct end *e)
{
    e->out_ended = true;
    e->peer->in_ended = true;
    wake(e->peer);
}

static bool is_shutdown(const struct ad_write *w)
{
    return w->impl.align != NULL;
}

/* The first write that has ended, taken off; NULL while none has. */
static struct ad_write *ended_write(struct end *e, enum ad_err *err)
{
    if (ad_list_empty(&e->writes) || (e->faults.stall && !e->stream.closing)) {
        return NULL;
    }
    struct ad_write *w = ad_container_of(e->writes.next, struct ad_write, link);
    if (e->stream.closing) {
        *err = AD_ERR_CANCELED;
    } else if (is_broken(e)) {
        *err = AD_ERR_NETWORK;
    } else if (!send_slices(e, w)) {
        if (!is_broken(e)) {
            return NULL;
        }
        *err = AD_ERR_NETWORK;
    } else {
        *err = AD_OK;
        if (is_shutdown(w)) {
            end_output(e);
        }
    }
    ad_list_remove(&w->link);
    return w;
}

/* --- telling the owner --- */

static void finish_close(struct end *e)
{
    ad_buf_fini(&e->in);
    if (e->stream.on_closed) {
        e->stream.on_closed(&e->stream);
    }
    ad_free(e);
}

static void report_end(struct end *e, enum ad_err err)
{
    e->reported = true;
    e->reading = false;
    e->stream.on_read(&e->stream, err, NULL, 0);
}

static size_t readable(const struct end *e)
{
    size_t n = ad_buf_len(&e->in);
    if (e->faults.chop) {
        n = least(n, e->faults.chop);
    }
    return e->faults.read_fails_at ? least(n, e->faults.read_fails_at - e->delivered) : n;
}

static void deliver(struct end *e, size_t n)
{
    char bytes
        [WINDOW]; /* valid during the call only, like a socket's: a test that keeps them is found */
    n = least(n, sizeof(bytes));
    memcpy(bytes, ad_buf_str(&e->in).p, n);
    ad_buf_consume(&e->in, n);
    e->delivered += n;
    wake(e);
    wake(e->peer); /* there is room */
    e->stream.on_read(&e->stream, AD_OK, bytes, n);
}

static void read_next(struct end *e)
{
    if (!e->reading || e->faults.stall || e->reported) {
        return;
    }
    bool failed =
        e->was_reset || (e->faults.read_fails_at && e->delivered >= e->faults.read_fails_at);
    size_t n = failed ? 0 : readable(e);
    if (failed) {
        report_end(e, AD_ERR_NETWORK);
    } else if (n > 0) {
        deliver(e, n);
    } else if (e->in_ended) {
        report_end(e, AD_ERR_CLOSED);
    }
}

static void on_post(struct ad_post *post)
{
    struct end *e = ad_container_of(post, struct end, post);
    enum ad_err err = AD_OK;
    struct ad_write *w = ended_write(e, &err);
    if (w) {
        wake(e);
        w->cb(w, err);
    } else if (e->stream.closing) {
        finish_close(e);
    } else {
        read_next(e);
    }
}

/* --- the stream's functions --- */

static enum ad_err pair_read_start(struct ad_stream *s)
{
    struct end *e = of(s);
    if (e->reported) {
        return AD_ERR_CLOSED;
    }
    e->reading = true;
    wake(e);
    return AD_OK;
}

static void pair_read_stop(struct ad_stream *s)
{
    of(s)->reading = false;
}

static size_t pair_try_write(struct ad_stream *s, const struct ad_str *bufs, unsigned n)
{
    struct end *e = of(s);
    size_t done = 0;
    if (e->faults.try_refused || is_broken(e) || !ad_list_empty(&e->writes)) {
        return 0;
    }
    size_t left = e->faults.try_max ? e->faults.try_max : SIZE_MAX;
    for (unsigned i = 0; i < n && left > 0; i++) {
        struct ad_str slice = ad_str_n(bufs[i].p, least(bufs[i].n, left));
        size_t took = send_some(e, &slice);
        done += took;
        left -= took;
        if (took < bufs[i].n) {
            break;
        }
    }
    return done;
}

static enum ad_err begin(struct end *e, struct ad_write *w, bool shutdown)
{
    if (e->faults.no_memory) {
        return AD_ERR_NOMEM;
    }
    w->impl.align = shutdown ? e : NULL;
    ad_list_push(&e->writes, &w->link);
    wake(e);
    return AD_OK;
}

static enum ad_err pair_write(struct ad_stream *s, struct ad_write *w)
{
    return begin(of(s), w, false);
}

static enum ad_err pair_shutdown(struct ad_stream *s, struct ad_write *w)
{
    struct end *e = of(s);
    return e->out_ended ? AD_ERR_NETWORK : begin(e, w, true);
}

/* The other end learns of it behind the bytes it has not read yet. */
static void pair_close(struct ad_stream *s)
{
    struct end *e = of(s);
    if (e->peer) {
        e->peer->in_ended = true;
        e->peer->peer = NULL;
        wake(e->peer);
        e->peer = NULL;
    }
    wake(e);
}

static size_t pair_peer(struct ad_stream *s, char *out, size_t cap)
{
    const struct end *e = of(s);
    int n = snprintf(out, cap, "%s", e->faults.peer ? e->faults.peer : e->name);
    return least((size_t)n, cap - 1);
}

static const struct ad_stream_ops pair_ops = {
    .read_start = pair_read_start,
    .read_stop = pair_read_stop,
    .try_write = pair_try_write,
    .write = pair_write,
    .shutdown = pair_shutdown,
    .close = pair_close,
    .peer = pair_peer,
};

/* --- for the test --- */

static struct end *new_end(struct ad_loop *loop, const char *name)
{
    struct end *e = ad_zalloc(sizeof(*e));
    AD_ASSERT(e);
    e->stream.ops = &pair_ops;
    e->loop = loop;
    e->name = name;
    ad_buf_init(&e->in, BUF_MAX);
    ad_list_init(&e->writes);
    return e;
}

void pair_open(struct ad_loop *loop, struct ad_stream **a, struct ad_stream **b)
{
    struct end *one = new_end(loop, "pair:b");
    struct end *two = new_end(loop, "pair:a");
    one->peer = two;
    two->peer = one;
    *a = &one->stream;
    *b = &two->stream;
}

void pair_reserve(struct ad_stream *s)
{
    AD_ASSERT(ad_buf_reserve(&of(s)->in, WINDOW));
}

struct pair_faults *pair_faults(struct ad_stream *s)
{
    return &of(s)->faults;
}

void pair_poke(struct ad_stream *s)
{
    wake(of(s));
}

static void cut(struct end *e)
{
    if (e) {
        e->was_reset = true;
        wake(e);
    }
}

void pair_reset(struct ad_stream *s)
{
    cut(of(s)->peer);
    cut(of(s));
}

size_t pair_unread(const struct ad_stream *s)
{
    return ad_buf_len(&of(s)->in);
}

size_t pair_delivered(const struct ad_stream *s)
{
    return of(s)->delivered;
}
