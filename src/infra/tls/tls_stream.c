/* One TLS connection.
 *
 *   SILENT --first byte--> HANDSHAKE --> OPEN --> closed
 *      (a server's)             \          \
 *                                +----------+--> FAILED: the owner is told, and closes
 *
 * `step` is the heart: whenever the lower stream moved, or the owner asked for something, it takes
 * the handshake, the writes and the reading as far as they go. mbedTLS's two callbacks take bytes
 * from what has come in and append to what goes out, and say "not now" when there is none, or no
 * room.
 *
 * The owner is called from `tell` only, which runs in callbacks of the lower stream, posts and
 * timers, never inside a call of the owner's; those post. After each such call the owner may have
 * closed: the memory stays until the lower stream is closed, on a later turn.
 *
 * How it ends, and what the owner reads:
 *   close_notify                            CLOSED; the other direction stays open
 *   the lower stream ends without one       NETWORK (somebody may have cut it)
 *   a bad record, a fatal alert             TLS, and nothing can be written any more
 *   the handshake fails or is late          TLS, NETWORK, TIMEOUT; pending writes end with NETWORK
 *   no memory                               NOMEM, the same */
#include "tls/tls_private.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

enum {
    RECORD = MBEDTLS_SSL_OUT_CONTENT_LEN, /* plain bytes of the largest record */
    RECORD_ROOM = RECORD + 1024,          /* the same as sent, generously */
    IN_MAX = 256 << 10,                   /* what one read of a lower stream brings, at the most */
    OUT_MAX = 64 << 10,
    FIRST_BYTE_OF_TLS = 0x16,
};

struct mark {
    uint64_t at; /* over when so many bytes are taken */
    bool shutdown;
};
_Static_assert(sizeof(struct mark) <= sizeof(((struct ad_write *)0)->impl), "a mark fits");

static struct mark *mark_of(struct ad_write *w)
{
    return (struct mark *)(void *)&w->impl;
}

static struct ad__tls *of(struct ad_stream *s)
{
    return ad_container_of(s, struct ad__tls, stream);
}

static void step(struct ad__tls *t);
static void wake(struct ad__tls *t);

/* --- mbedTLS's view of the world --- */

static int on_recv(void *ctx, unsigned char *p, size_t n)
{
    struct ad__tls *t = ctx;
    bool kept = ad_buf_len(&t->in) > 0;
    struct ad_str from = kept ? ad_buf_str(&t->in) : t->fresh;
    if (!from.p || from.n == 0) {
        return t->lower_end ? 0 : MBEDTLS_ERR_SSL_WANT_READ;
    }
    n = n < from.n ? n : from.n;
    memcpy(p, from.p, n);
    if (kept) {
        ad_buf_consume(&t->in, n);
    } else {
        t->fresh = ad_str_n(t->fresh.p + n, t->fresh.n - n);
    }
    return (int)n;
}

static int on_send(void *ctx, const unsigned char *p, size_t n)
{
    struct ad__tls *t = ctx;
    size_t room = OUT_MAX - ad_buf_len(&t->out);
    n = n < room ? n : room;
    if (n == 0) {
        return MBEDTLS_ERR_SSL_WANT_WRITE;
    }
    ad_buf_put(&t->out, ad_str_n((const char *)p, n));
    if (ad_buf_status(&t->out)) {
        return MBEDTLS_ERR_SSL_ALLOC_FAILED;
    }
    t->made += n;
    return (int)n;
}

static bool is_later(int code)
{
    return code == MBEDTLS_ERR_SSL_WANT_READ || code == MBEDTLS_ERR_SSL_WANT_WRITE;
}

static size_t left_over(const struct ad__tls *t)
{
    return ad_buf_len(&t->in) + t->fresh.n;
}

/* mbedTLS says "later" also after a message of TLS's own, with more behind it: of `before` bytes it
 * took some, and has to be asked again, because nobody else will. */
static bool is_again(const struct ad__tls *t, int code, size_t before)
{
    return is_later(code) && left_over(t) > 0 && left_over(t) < before;
}

/* --- records out --- */

static void on_lower_written(struct ad_write *w, enum ad_err err)
{
    struct ad__tls *t = ad_container_of(w, struct ad__tls, lower_write);
    t->lower_busy = false;
    t->broken |= err != AD_OK;
    t->taken += err ? 0 : ad_buf_len(&t->flying);
    ad_buf_fini(&t->flying);
    if (!t->stream.closing) {
        step(t);
    }
}

/* Nothing goes any further in either direction; the owner reads why. */
static void break_off(struct ad__tls *t, enum ad_err err)
{
    t->phase = AD__TLS_FAILED;
    t->end = t->end ? t->end : err;
    t->broken = true;
    ad_timer_stop(ad_loop_timers(t->side->loop), &t->deadline);
    wake(t);
}

/* What one attempt leaves is written by the lower stream in its own time. */
static void flush(struct ad__tls *t)
{
    struct ad_str out = ad_buf_str(&t->out);
    if (t->lower_busy || t->broken || out.n == 0) {
        return;
    }
    size_t n = ad_stream_try_write(t->lower, &out, 1);
    t->taken += n;
    ad_buf_consume(&t->out, n);
    if (n == out.n) {
        ad_buf_fini(&t->out);
        return;
    }
    t->flying = t->out;
    ad_buf_init(&t->out, OUT_MAX);
    out = ad_buf_str(&t->flying);
    enum ad_err err = ad_stream_write(t->lower, &t->lower_write, &out, 1, on_lower_written);
    t->lower_busy = !err;
    if (err) {
        break_off(t, err == AD_ERR_NOMEM ? err : AD_ERR_NETWORK);
    }
}

static bool has_room(const struct ad__tls *t)
{
    return t->phase == AD__TLS_OPEN && !t->broken && OUT_MAX - ad_buf_len(&t->out) >= RECORD_ROOM;
}

/* The slices as one run of bytes, as many as a record holds: small ones share a record. */
static struct ad_str gather(const struct ad_str *bufs, unsigned n, char room[RECORD])
{
    size_t used = 0;
    if (n == 1 || bufs[0].n >= RECORD) {
        return ad_str_n(bufs[0].p, bufs[0].n < RECORD ? bufs[0].n : RECORD);
    }
    for (unsigned i = 0; i < n && used < RECORD; i++) {
        size_t take = bufs[i].n < RECORD - used ? bufs[i].n : RECORD - used;
        if (take) {
            memcpy(room + used, bufs[i].p, take);
        }
        used += take;
    }
    return ad_str_n(room, used);
}

/* One record's worth of the slices; how many bytes that was, 0 when it cannot be. */
static size_t encrypt(struct ad__tls *t, const struct ad_str *bufs, unsigned n)
{
    char room[RECORD];
    struct ad_str plain = gather(bufs, n, room);
    if (plain.n == 0 || !has_room(t)) {
        return 0;
    }
    int done = mbedtls_ssl_write(&t->ssl, (const unsigned char *)plain.p, plain.n);
    if (done < 0) { /* there was room, so this is no "later" */
        break_off(t, ad__tls_is_no_memory(done) ? AD_ERR_NOMEM : AD_ERR_TLS);
        return 0;
    }
    return (size_t)done;
}

static void skip(struct ad_str *bufs, unsigned n, size_t done)
{
    for (unsigned i = 0; i < n; i++) {
        size_t take = bufs[i].n < done ? bufs[i].n : done;
        bufs[i] = ad_str_n(bufs[i].p + take, bufs[i].n - take);
        done -= take;
    }
}

static size_t total(const struct ad_str *bufs, unsigned n)
{
    size_t sum = 0;
    for (unsigned i = 0; i < n; i++) {
        sum += bufs[i].n;
    }
    return sum;
}

static void notify(struct ad__tls *t)
{
    if (!t->notified && t->phase == AD__TLS_OPEN && !t->broken) {
        t->notified = true;
        t->broken |= mbedtls_ssl_close_notify(&t->ssl) != 0;
    }
}

static void on_lower_shut(struct ad_write *w, enum ad_err err)
{
    struct ad__tls *t = ad_container_of(w, struct ad__tls, lower_write);
    t->lower_busy = false;
    t->broken |= err != AD_OK;
    if (t->stream.closing) {
        return;
    }
    struct ad_write *shutdown = ad_container_of(t->writes.next, struct ad_write, link);
    ad_list_remove(&shutdown->link);
    mark_of(shutdown)->at = t->taken;
    ad_list_push(&t->sent, &shutdown->link);
    step(t);
}

/* Behind everything else: our close_notify, then the end of the lower stream's direction. */
static void shut_down(struct ad__tls *t)
{
    notify(t);
    flush(t);
    if (!t->lower_busy && !t->broken && ad_buf_len(&t->out) == 0) {
        t->lower_busy = ad_stream_shutdown(t->lower, &t->lower_write, on_lower_shut) == AD_OK;
        t->broken = !t->lower_busy;
    }
}

/* Pending writes into records, as far as there is room. */
static void encrypt_writes(struct ad__tls *t)
{
    while (!ad_list_empty(&t->writes) && has_room(t)) {
        struct ad_write *w = ad_container_of(t->writes.next, struct ad_write, link);
        if (mark_of(w)->shutdown) {
            shut_down(t);
            return;
        }
        if (total(w->bufs, w->n) > 0) {
            skip(w->bufs, w->n, encrypt(t, w->bufs, w->n));
        } else {
            mark_of(w)->at = t->made;
            ad_list_remove(&w->link);
            ad_list_push(&t->sent, &w->link);
        }
    }
}

/* Until all is handed on, or the lower stream has something to call back for. */
static void work_writes(struct ad__tls *t)
{
    do {
        encrypt_writes(t);
        flush(t);
    } while (!ad_list_empty(&t->writes) && has_room(t) && !t->lower_busy);
}

/* --- the handshake --- */

static void count(struct ad__tls *t, enum ad__tls_outcome outcome)
{
    t->side->outcomes[outcome]->v++;
}

static void fail(struct ad__tls *t, enum ad_err err)
{
    flush(t); /* mbedTLS's alert says why */
    break_off(t, err);
}

static struct ad_errinfo *info_of(struct ad__tls *t)
{
    return t->peer ? &t->peer->info : NULL;
}

static const char *host_of(const struct ad__tls *t)
{
    return t->peer ? t->peer->host : "the peer";
}

static void on_deadline(struct ad_timer *timer)
{
    struct ad__tls *t = ad_container_of(timer, struct ad__tls, deadline);
    count(t, AD__TLS_timeout);
    fail(t, ad_fail(info_of(t), AD_ERR_TIMEOUT, "TLS handshake with %s: timed out", host_of(t)));
    step(t);
}

/* mbedTLS 2.28 and 3.6 call the same thing by different names. */
#if AD__MBEDTLS_3
#define WRONG_VERSION MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION
#else
#define WRONG_VERSION MBEDTLS_ERR_SSL_BAD_HS_PROTOCOL_VERSION
#endif

static enum ad_err explain(struct ad__tls *t, int code, enum ad__tls_outcome *outcome)
{
    struct ad_errinfo *info = info_of(t);
    const char *host = host_of(t);
    char text[100];
    *outcome = AD__TLS_failed;
    if (t->peer && t->peer->why[0]) {
        *outcome = AD__TLS_refused;
        return ad_fail(info, AD_ERR_TLS, "%s", t->peer->why);
    }
    if (ad__tls_is_no_memory(code)) {
        return ad_fail(info, AD_ERR_NOMEM, "TLS handshake with %s: no memory", host);
    }
    switch (code) {
    case MBEDTLS_ERR_SSL_CONN_EOF:
        *outcome = AD__TLS_cut;
        return ad_fail(info, AD_ERR_NETWORK, "TLS handshake: %s ended the connection", host);
    case MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE:
        *outcome = AD__TLS_refused;
        return ad_fail(info, AD_ERR_TLS, "TLS handshake: refused by %s with an alert", host);
    case WRONG_VERSION:
        return ad_fail(info, AD_ERR_TLS, "%s speaks no TLS that is new enough (1.2 or 1.3)", host);
    case MBEDTLS_ERR_SSL_INVALID_RECORD:
        return ad_fail(info, AD_ERR_TLS, "what answers at %s does not speak TLS", host);
    default:
        ad__tls_error_text(code, text, sizeof(text));
        return ad_fail(info, AD_ERR_TLS, "TLS handshake with %s: %s (-0x%04x)", host, text,
                       (unsigned)-code);
    }
}

static void opened(struct ad__tls *t)
{
    t->phase = AD__TLS_OPEN;
    ad_timer_stop(ad_loop_timers(t->side->loop), &t->deadline);
    if (t->peer) {
        t->resumed = !t->peer->asked;
    }
    count(t, t->resumed ? AD__TLS_resumed : AD__TLS_full);
    if (t->on_session) {
        t->on_session(t);
    }
}

static void shake_hands(struct ad__tls *t)
{
    size_t before;
    int code;
    t->side->ticket_taken = false;
    do {
        before = left_over(t);
        code = mbedtls_ssl_handshake(&t->ssl);
    } while (is_again(t, code, before));
    t->resumed |= t->side->ticket_taken;
    if (code == 0) {
        opened(t);
    } else if (!is_later(code)) {
        enum ad__tls_outcome outcome;
        enum ad_err err = explain(t, code, &outcome);
        count(t, outcome);
        fail(t, err);
    }
    flush(t);
}

/* Somebody took the port for one without TLS. One who speaks HTTP can be told. */
static void answer_plain(struct ad__tls *t, char first)
{
    struct ad_str answer =
        AD_STR("HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 33\r\n"
               "Connection: close\r\n\r\nThis port speaks TLS: use https.\n");
    if (first >= 'A' && first <= 'Z') {
        ad_stream_try_write(t->lower, &answer, 1);
    }
    count(t, AD__TLS_plain);
    fail(t, AD_ERR_TLS);
}

/* A server hears the first byte, or the end. */
static void listen_up(struct ad__tls *t)
{
    if (t->fresh.n == 0) {
        if (t->lower_end) {
            fail(t, t->lower_end); /* nobody tried to speak TLS: nothing to count */
        }
    } else if (t->fresh.p[0] != FIRST_BYTE_OF_TLS) {
        answer_plain(t, t->fresh.p[0]);
    } else if (ad__tls_setup(t)) {
        count(t, AD__TLS_failed);
        fail(t, AD_ERR_NOMEM);
    } else {
        t->phase = AD__TLS_HANDSHAKE;
    }
}

/* --- telling the owner --- */

static struct ad_write *ended_write(struct ad__tls *t, enum ad_err *err)
{
    struct ad_list *from = ad_list_empty(&t->sent) ? &t->writes : &t->sent;
    if (ad_list_empty(from)) {
        return NULL;
    }
    struct ad_write *w = ad_container_of(from->next, struct ad_write, link);
    bool done = from == &t->sent && mark_of(w)->at <= t->taken;
    if (!done && !t->broken) {
        return NULL;
    }
    *err = done ? AD_OK : AD_ERR_NETWORK;
    ad_list_remove(&w->link);
    return w;
}

static void tell_writes(struct ad__tls *t)
{
    enum ad_err err = AD_OK;
    struct ad_write *w;
    while (!t->stream.closing && (w = ended_write(t, &err))) {
        w->cb(w, err);
    }
}

static void read_failed(struct ad__tls *t, int code)
{
    if (code == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY) {
        t->end = AD_ERR_CLOSED;
    } else if (code == 0 || code == MBEDTLS_ERR_SSL_CONN_EOF) {
        t->end = AD_ERR_NETWORK; /* 0 is no orderly end: mbedTLS says so for a mere end below */
    } else {
        fail(t, ad__tls_is_no_memory(code) ? AD_ERR_NOMEM : AD_ERR_TLS);
    }
}

/* One record to the owner; false when there is none, or nothing more will come. */
static bool read_one(struct ad__tls *t)
{
    unsigned char plain[RECORD];
    size_t before = left_over(t);
    int n = mbedtls_ssl_read(&t->ssl, plain, sizeof(plain));
    if (n > 0) {
        t->stream.on_read(&t->stream, AD_OK, (const char *)plain, (size_t)n);
        return true;
    }
#if AD__MBEDTLS_3
    if (n == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET) {
        if (t->on_session) {
            t->on_session(t);
        }
        return true;
    }
#endif
    if (!is_later(n)) {
        read_failed(t, n);
    }
    flush(t);
    return is_again(t, n, before);
}

static bool wants_plain(const struct ad__tls *t)
{
    return t->reading && !t->stream.closing && !t->reported;
}

static void tell_reading(struct ad__tls *t)
{
    while (wants_plain(t) && t->phase == AD__TLS_OPEN && !t->end && read_one(t)) {
    }
    if (wants_plain(t) && t->end) {
        t->reported = true;
        t->reading = false;
        t->stream.on_read(&t->stream, t->end, NULL, 0);
    }
}

static void tell(struct ad__tls *t)
{
    if (t->on_ready && t->phase >= AD__TLS_OPEN) {
        void (*cb)(struct ad__tls *, enum ad_err) = t->on_ready;
        t->on_ready = NULL;
        cb(t, t->phase == AD__TLS_OPEN ? AD_OK : t->end);
    }
    tell_writes(t);
    tell_reading(t);
    tell_writes(t); /* a failed read breaks them too */
}

/* --- the one function that runs it all --- */

static void on_lower_read(struct ad_stream *lower, enum ad_err err, const char *p, size_t n);

/* Reads the lower stream while somebody can use what comes: mbedTLS, or the owner. */
static void steer(struct ad__tls *t)
{
    bool want = !t->lower_end && !t->end && (t->phase < AD__TLS_OPEN || t->reading);
    if (want && !t->lower_reading) {
        t->lower_reading = ad_stream_read_start(t->lower, on_lower_read) == AD_OK;
        if (!t->lower_reading) {
            t->lower_end = AD_ERR_NETWORK;
            wake(t);
        }
    } else if (!want && t->lower_reading) {
        t->lower_reading = false;
        ad_stream_read_stop(t->lower);
    }
}

/* The lower stream wants its memory back. */
static void keep_fresh(struct ad__tls *t)
{
    if (t->fresh.n > 0 && !t->end) {
        ad_buf_put(&t->in, t->fresh);
        if (ad_buf_status(&t->in)) {
            fail(t, AD_ERR_NOMEM);
        }
    } else if (ad_buf_len(&t->in) == 0) {
        ad_buf_fini(&t->in);
    }
    t->fresh = AD_STR_NONE;
}

static void step(struct ad__tls *t)
{
    if (t->phase == AD__TLS_SILENT) {
        listen_up(t);
    }
    if (t->phase == AD__TLS_HANDSHAKE) {
        shake_hands(t);
    }
    work_writes(t);
    tell(t);
    if (t->stream.closing) {
        return;
    }
    keep_fresh(t);
    steer(t);
}

static void on_post(struct ad_post *post)
{
    step(ad_container_of(post, struct ad__tls, post));
}

static void wake(struct ad__tls *t)
{
    if (!t->post.cb) {
        ad_loop_post(t->side->loop, &t->post, on_post);
    }
}

static void on_lower_read(struct ad_stream *lower, enum ad_err err, const char *p, size_t n)
{
    struct ad__tls *t = lower->data;
    if (err) {
        t->lower_end = err;
        t->lower_reading = false;
    } else {
        t->fresh = ad_str_n(p, n);
    }
    step(t);
}

/* --- the stream's functions --- */

static enum ad_err tls_read_start(struct ad_stream *s)
{
    struct ad__tls *t = of(s);
    if (t->reported) {
        return AD_ERR_CLOSED;
    }
    t->reading = true;
    wake(t);
    return AD_OK;
}

static void tls_read_stop(struct ad_stream *s)
{
    struct ad__tls *t = of(s);
    t->reading = false;
    wake(t);
}

/* Record by record, and the next one only when the lower stream has taken the last: what is taken
 * here and not there is at most one record. */
static size_t tls_try_write(struct ad_stream *s, const struct ad_str *in, unsigned n)
{
    struct ad__tls *t = of(s);
    struct ad_str bufs[AD_LEN(((struct ad_write *)0)->bufs)];
    size_t done = 0;
    size_t step_n = 1;
    memcpy(bufs, in, n * sizeof(bufs[0]));
    while (step_n && !t->shut && ad_list_empty(&t->writes) && !t->lower_busy &&
           ad_buf_len(&t->out) == 0) {
        step_n = encrypt(t, bufs, n);
        skip(bufs, n, step_n);
        done += step_n;
        flush(t);
    }
    return done;
}

static enum ad_err begin_write(struct ad__tls *t, struct ad_write *w, bool shutdown)
{
    if (t->shut) {
        return AD_ERR_NETWORK;
    }
    t->shut = shutdown;
    *mark_of(w) = (struct mark){ .shutdown = shutdown };
    ad_list_push(&t->writes, &w->link);
    work_writes(t);
    wake(t);
    return AD_OK;
}

static enum ad_err tls_write(struct ad_stream *s, struct ad_write *w)
{
    return begin_write(of(s), w, false);
}

static enum ad_err tls_shutdown(struct ad_stream *s, struct ad_write *w)
{
    return begin_write(of(s), w, true);
}

static void cancel_writes(struct ad_list *list)
{
    struct ad_list *link;
    while ((link = ad_list_pop(list))) {
        struct ad_write *w = ad_container_of(link, struct ad_write, link);
        w->cb(w, AD_ERR_CANCELED);
    }
}

static void on_lower_closed(struct ad_stream *lower)
{
    struct ad__tls *t = lower->data;
    cancel_writes(&t->sent);
    cancel_writes(&t->writes);
    if (t->stream.on_closed) {
        t->stream.on_closed(&t->stream);
    }
    if (t->ssl_ready) {
        mbedtls_ssl_free(&t->ssl);
    }
    ad__tls_conf_unref(t->conf);
    ad_buf_fini(&t->in);
    ad_buf_fini(&t->out);
    ad_buf_fini(&t->flying);
    ad_free(t);
}

/* As far as one attempt goes: nobody waits for it. */
static void say_goodbye(struct ad__tls *t)
{
    notify(t);
    if (!t->lower_busy && !t->broken && ad_buf_len(&t->out)) {
        struct ad_str out = ad_buf_str(&t->out);
        ad_stream_try_write(t->lower, &out, 1);
    }
}

static void tls_close(struct ad_stream *s)
{
    struct ad__tls *t = of(s);
    if (t->phase == AD__TLS_HANDSHAKE) {
        count(t, AD__TLS_cut);
    }
    ad_timer_stop(ad_loop_timers(t->side->loop), &t->deadline);
    ad_loop_unpost(&t->post);
    t->lower->abrupt = s->abrupt;
    if (!s->abrupt) {
        say_goodbye(t);
    }
    ad_stream_close(t->lower, on_lower_closed);
}

static size_t tls_peer(struct ad_stream *s, char *out, size_t cap)
{
    return ad_stream_peer(of(s)->lower, out, cap);
}

static const struct ad_stream_ops tls_ops = {
    .read_start = tls_read_start,
    .read_stop = tls_read_stop,
    .try_write = tls_try_write,
    .write = tls_write,
    .shutdown = tls_shutdown,
    .close = tls_close,
    .peer = tls_peer,
};

/* --- making one --- */

enum ad_err ad__tls_setup(struct ad__tls *t)
{
    mbedtls_ssl_init(&t->ssl);
    t->ssl_ready = true;
    if (mbedtls_ssl_setup(&t->ssl, &t->conf->ssl)) {
        return AD_ERR_NOMEM;
    }
    mbedtls_ssl_set_bio(&t->ssl, t, on_send, on_recv, NULL);
    return AD_OK;
}

enum ad_err ad__tls_new(struct ad__tls_side *side, struct ad__tls_conf *conf,
                        struct ad_stream *lower, unsigned handshake_ms, struct ad__tls **out)
{
    struct ad__tls *t = ad_zalloc(sizeof(*t));
    if (!t) {
        return AD_ERR_NOMEM;
    }
    t->stream.ops = &tls_ops;
    t->lower = lower;
    t->side = side;
    t->conf = conf;
    conf->refs++;
    lower->data = t;
    ad_buf_init(&t->in, IN_MAX);
    ad_buf_init(&t->out, OUT_MAX);
    ad_buf_init(&t->flying, OUT_MAX);
    ad_list_init(&t->writes);
    ad_list_init(&t->sent);
    ad_timer_start(ad_loop_timers(side->loop), &t->deadline, handshake_ms, on_deadline);
    *out = t;
    return AD_OK;
}

void ad__tls_begin(struct ad__tls *t)
{
    t->phase = t->ssl_ready ? AD__TLS_HANDSHAKE : AD__TLS_SILENT;
    wake(t);
}

void ad__tls_side_init(struct ad__tls_side *side, struct ad_loop *loop, const char *name,
                       struct ad_metrics *metrics)
{
    static const char *const outcomes[] = {
#define OUTCOME_TEXT(outcome) #outcome,
        AD__TLS_OUTCOME_LIST(OUTCOME_TEXT)
#undef OUTCOME_TEXT
    };
    *side = (struct ad__tls_side){ .loop = loop };
    for (size_t i = 0; i < AD_LEN(outcomes); i++) {
        char labels[64];
        (void)snprintf(labels, sizeof(labels), "side=\"%s\",outcome=\"%s\"", name, outcomes[i]);
        side->outcomes[i] = metrics ? ad_metric_counter(metrics, "attiod_tls_handshakes_total",
                                                        labels, "TLS handshakes, by how they ended")
                                    : &side->scrap;
    }
}
