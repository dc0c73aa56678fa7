/* A byte stream as a table of functions: TCP, TLS over another stream, and in-memory pairs
 * behind the same words.
 *
 * Lifetime: whoever was handed an open stream owns it and owes one ad_stream_close; memory goes
 * after on_closed. All callbacks come on the loop thread, never from inside the call that causes
 * them except on_read from within ad_stream_read_start's later turns. After ad_stream_close only
 * on_closed and the callbacks of pending writes (with CANCELED) come. */
#ifndef AD_INFRA_STREAM_H
#define AD_INFRA_STREAM_H

#include "base/err.h"
#include "base/list.h"
#include "base/str.h"

struct ad_loop;
struct ad_stream;
struct ad_write;

/* `err` OK: n bytes at p, valid during the call only. Otherwise the end, and nothing follows:
 * CLOSED for an orderly one, NETWORK for a reset; over TLS also what infra/tls.h says. */
typedef void (*ad_read_cb)(struct ad_stream *s, enum ad_err err, const char *p, size_t n);
typedef void (*ad_write_cb)(struct ad_write *w, enum ad_err err);
typedef void (*ad_closed_cb)(struct ad_stream *s);

struct ad_write {
    /* private */
    ad_write_cb cb;
    struct ad_stream *stream;
    struct ad_list link;
    struct ad_str bufs[4];
    unsigned n;
    union {
        void *align;
        char room[256]; /* the implementation's request (checked by it) */
    } impl;
};

struct ad_stream_ops {
    enum ad_err (*read_start)(struct ad_stream *s);
    void (*read_stop)(struct ad_stream *s);
    size_t (*try_write)(struct ad_stream *s, const struct ad_str *bufs, unsigned n);
    enum ad_err (*write)(struct ad_stream *s, struct ad_write *w);
    enum ad_err (*shutdown)(struct ad_stream *s, struct ad_write *w);
    void (*close)(struct ad_stream *s);
    size_t (*peer)(struct ad_stream *s, char *out, size_t cap);
};

struct ad_stream {
    const struct ad_stream_ops *ops;
    ad_read_cb on_read;
    ad_closed_cb on_closed;
    bool closing;
    bool abrupt; /* set by the owner: a close resets the connection (TCP, and TLS over it) */
    void *data;  /* the owner's */
};

AD_MUST_CHECK enum ad_err ad_stream_read_start(struct ad_stream *s, ad_read_cb on_read);
void ad_stream_read_stop(struct ad_stream *s);
/* Writes now what fits; returns how many bytes that was (0: nothing, would block or broken; the
 * error shows on write or read). At most 4 slices. */
size_t ad_stream_try_write(struct ad_stream *s, const struct ad_str *bufs, unsigned n);
/* Queues all slices; bytes must stay valid until cb, which comes exactly once when OK was
 * returned. At most 4 slices. */
AD_MUST_CHECK enum ad_err ad_stream_write(struct ad_stream *s, struct ad_write *w,
                                          const struct ad_str *bufs, unsigned n, ad_write_cb cb);
/* Ends our direction after pending writes; `w` as for write. */
AD_MUST_CHECK enum ad_err ad_stream_shutdown(struct ad_stream *s, struct ad_write *w,
                                             ad_write_cb cb);
/* Idempotent. Pending writes end with CANCELED before on_closed, in which the owner frees the
 * memory of the stream's holder; the stream's own memory is released by the implementation right
 * after on_closed. on_closed may be NULL. */
void ad_stream_close(struct ad_stream *s, ad_closed_cb on_closed);
/* "127.0.0.1:40312" into out, cut to cap, NUL-terminated; returns its length. */
size_t ad_stream_peer(struct ad_stream *s, char *out, size_t cap);

#endif
