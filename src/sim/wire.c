/* A stream that passes everything on until it is told to misbehave.
 *
 * To misbehave it refuses try_write, so that the whole reply arrives as one write; of that it takes
 * a copy, spoils it, sends what is left of it in its own time, and then answers the server's
 * write. */
#include "base/mem.h"
#include "infra/stream.h"
#include "sim.h"

#define SLOW_MS 20
#define REPLY_MAX (1ull << 32)

struct wire {
    struct ad_stream outer; /* what the server holds */
    struct ad_stream *inner;
    struct ad_sim_wires *all;
    struct ad_list link;
    char peer[64];
    struct ad_sim_harm harm;
    struct ad_write *waiting; /* the server's write that we hold back */
    enum ad_err outcome;      /* what it will be told */
    struct ad_buf bytes;      /* still to send of it */
    struct ad_timer timer;
};

static struct wire *of(struct ad_stream *s)
{
    return ad_container_of(s, struct wire, outer);
}

static void on_inner_read(struct ad_stream *inner, enum ad_err err, const char *p, size_t n)
{
    struct wire *w = inner->data;
    w->outer.on_read(&w->outer, err, p, n);
}

static enum ad_err read_start(struct ad_stream *s)
{
    return ad_stream_read_start(of(s)->inner, on_inner_read);
}

static void read_stop(struct ad_stream *s)
{
    ad_stream_read_stop(of(s)->inner);
}

static size_t peer(struct ad_stream *s, char *out, size_t cap)
{
    return ad_stream_peer(of(s)->inner, out, cap);
}

static size_t try_write(struct ad_stream *s, const struct ad_str *bufs, unsigned n)
{
    struct wire *w = of(s);
    return w->harm.kind == AD_SIM_FAULT_NONE ? ad_stream_try_write(w->inner, bufs, n) : 0;
}

static enum ad_err shutdown_stream(struct ad_stream *s, struct ad_write *w)
{
    return ad_stream_shutdown(of(s)->inner, w, w->cb);
}

/* --- Misbehaving --- */

static void answer_waiting(struct wire *w, enum ad_err err)
{
    struct ad_write *waiting = w->waiting;
    w->waiting = NULL;
    if (waiting) {
        waiting->cb(waiting, err);
    }
}

static void on_timer(struct ad_timer *timer);

static void send_some(struct wire *w)
{
    size_t n = ad_buf_len(&w->bytes);
    bool slow = w->harm.kind == AD_SIM_FAULT_SLOW;
    if (slow && n > w->harm.at) {
        n = w->harm.at ? (size_t)w->harm.at : 1;
    }
    struct ad_str part = ad_str_n(ad_buf_str(&w->bytes).p, n);
    size_t sent = n > 0 ? ad_stream_try_write(w->inner, &part, 1) : 0;
    ad_buf_consume(&w->bytes, sent);
    bool pause = slow || sent < n;
    ad_timer_start(w->all->timers, &w->timer, pause ? SLOW_MS : 0, on_timer);
}

static void on_timer(struct ad_timer *timer)
{
    struct wire *w = ad_container_of(timer, struct wire, timer);
    if (ad_buf_len(&w->bytes) > 0) {
        send_some(w);
        return;
    }
    if (w->harm.kind == AD_SIM_FAULT_SLOW) {
        w->harm.kind = AD_SIM_FAULT_NONE;
    }
    answer_waiting(w, w->outcome);
}

/* Where the head of a reply ends. */
static size_t head_length(struct ad_str reply)
{
    for (size_t i = 0; i + 4 <= reply.n; i++) {
        if (memcmp(reply.p + i, "\r\n\r\n", 4) == 0) {
            return i + 4;
        }
    }
    return 0;
}

static void keep(struct ad_buf *b, size_t n)
{
    if (ad_buf_len(b) > n) {
        b->end = b->start + n;
    }
}

static void spoil(struct wire *w)
{
    static const char garbage[] = "\x16\x03\x01 this is not HTTP \xff\xfe\r\n\r\n{{{";
    struct ad_str reply = ad_buf_str(&w->bytes);
    size_t head = head_length(reply);
    w->outcome = AD_ERR_NETWORK;
    switch (w->harm.kind) {
    case AD_SIM_FAULT_GARBAGE:
        ad_buf_clear(&w->bytes);
        ad_buf_put(&w->bytes, ad_str_n(garbage, sizeof(garbage) - 1));
        break;
    case AD_SIM_FAULT_HALF:
        keep(&w->bytes, head + (reply.n - head) / 2);
        break;
    case AD_SIM_FAULT_RESET:
        keep(&w->bytes, (size_t)w->harm.at);
        w->inner->abrupt = true;
        break;
    case AD_SIM_FAULT_SILENCE:
        ad_buf_clear(&w->bytes);
        w->outcome = AD_OK;
        break;
    default:
        w->outcome = AD_OK;
        break;
    }
}

static enum ad_err write_stream(struct ad_stream *s, struct ad_write *write)
{
    struct wire *w = of(s);
    if (w->harm.kind == AD_SIM_FAULT_NONE) {
        return ad_stream_write(w->inner, write, write->bufs, write->n, write->cb);
    }
    AD_ASSERT(!w->waiting);
    w->waiting = write;
    ad_buf_clear(&w->bytes);
    for (unsigned i = 0; i < write->n; i++) {
        ad_buf_put(&w->bytes, write->bufs[i]);
    }
    spoil(w);
    send_some(w);
    return AD_OK;
}

/* --- Closing --- */

static void on_inner_closed(struct ad_stream *inner)
{
    struct wire *w = inner->data;
    ad_list_remove(&w->link);
    answer_waiting(w, AD_ERR_CANCELED);
    ad_buf_fini(&w->bytes);
    if (w->outer.on_closed) {
        w->outer.on_closed(&w->outer);
    }
    ad_free(w);
}

static void close_stream(struct ad_stream *s)
{
    struct wire *w = of(s);
    ad_timer_stop(w->all->timers, &w->timer);
    ad_stream_close(w->inner, on_inner_closed);
}

static const struct ad_stream_ops ops = {
    .read_start = read_start,
    .read_stop = read_stop,
    .try_write = try_write,
    .write = write_stream,
    .shutdown = shutdown_stream,
    .close = close_stream,
    .peer = peer,
};

struct ad_stream *ad_sim_wire_new(struct ad_sim_wires *ws, struct ad_stream *inner)
{
    struct wire *w = ad_sim_alloc(sizeof(*w));
    w->outer.ops = &ops;
    w->inner = inner;
    w->all = ws;
    inner->data = w;
    ad_buf_init(&w->bytes, REPLY_MAX);
    ad_list_push(&ws->list, &w->link);
    AD_IGNORE(ad_stream_peer(inner, w->peer, sizeof(w->peer)), "empty when unknown");
    return &w->outer;
}

void ad_sim_wire_harm(struct ad_sim_wires *ws, struct ad_str peer_name,
                      const struct ad_sim_harm *harm)
{
    AD_LIST_FOREACH (it, &ws->list) {
        struct wire *w = ad_container_of(it, struct wire, link);
        if (ad_str_eq(peer_name, ad_str_c(w->peer))) {
            w->harm = *harm;
        }
    }
}
