/* Two connected in-memory streams with faults, for tests without sockets.
 *
 * Each end behaves as a TCP stream does: bytes written at one end come out at the other on a
 * later turn; a write ends when its last byte is in the other end's window (64 KiB, as a socket
 * buffer); an end that does not read fills its window and holds the writer up. Each end is an
 * ad_stream with its own owner, who closes it. Closing one gives the other an orderly end behind
 * what was sent. */
#ifndef AD_TEST_PAIR_H
#define AD_TEST_PAIR_H

#include "infra/loop.h"
#include "infra/stream.h"

/* Faults of one end, changed at any time; call pair_poke after lifting one. Zero is no fault. */
struct pair_faults {
    size_t chop;          /* at most this many bytes a read */
    size_t read_fails_at; /* NETWORK instead of the byte after so many */
    size_t write_fails_at;
    size_t window;    /* bytes this end holds unread; 0: 64 KiB */
    size_t try_max;   /* bytes one try_write takes */
    bool try_refused; /* try_write takes nothing */
    bool stall;       /* delivers nothing and ends no write */
    bool no_memory;   /* write and shutdown are refused with NOMEM */
    const char *peer; /* what ad_stream_peer says; NULL: "pair:a", "pair:b" */
};

void pair_open(struct ad_loop *loop, struct ad_stream **a, struct ad_stream **b);
/* Memory for a whole window now, so that the pair needs none while a test lets it fail. */
void pair_reserve(struct ad_stream *s);
struct pair_faults *pair_faults(struct ad_stream *s);
void pair_poke(struct ad_stream *s);
/* Cuts: both ends see NETWORK, unread bytes are lost. Neither is closed by it. */
void pair_reset(struct ad_stream *s);
/* Bytes that `s` has not read yet, and bytes it was given so far. */
size_t pair_unread(const struct ad_stream *s);
size_t pair_delivered(const struct ad_stream *s);

#endif
