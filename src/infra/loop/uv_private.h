/* What files of infra share about libuv. Nothing above infra sees it.
 *
 * Rules: handles are embedded in their owner and found again with ad_container_of; `handle.data`
 * holds the owner's label (ad__label), which ad_loop_close prints for a handle somebody forgot.
 * A handle that was initialised is owed a uv_close, and its memory goes only in the close
 * callback. */
#ifndef AD_INFRA_LOOP_UV_PRIVATE_H
#define AD_INFRA_LOOP_UV_PRIVATE_H

#include <uv.h>

#include "infra/loop.h"
#include "infra/net.h"
#include "infra/stream.h"

uv_loop_t *ad__loop_uv(struct ad_loop *loop);
/* Where every stream of the loop reads into: content is valid during the read callback only, so
 * one buffer serves all connections and an idle connection holds none. */
uv_buf_t ad__loop_input(uv_loop_t *uv);

/* `label` is a constant: "listener", "store". */
static inline void ad__label(void *handle, const char *label)
{
    uv_handle_set_data(handle, (void *)(uintptr_t)label);
}

/* libuv's status as ours: NETWORK for what networks do, NOMEM, CANCELED, CLOSED for an orderly
 * end, DNS for the resolver's. 0 is OK. */
enum ad_err ad__uv_err(int status);
/* Fills info (may be NULL) with "what: text" and the errno, and returns ad__uv_err(status). */
enum ad_err ad__uv_fail(struct ad_errinfo *info, int status, const char *what);

/* --- TCP streams (net/tcp.c) --- */

struct ad__tcp {
    struct ad_stream stream;
    uv_tcp_t uv;
    bool ended; /* the end was reported; nothing may follow */
};

/* Not yet connected: to be filled by uv_accept or uv_tcp_connect. The stream is the caller's. */
struct ad__tcp *ad__tcp_new(struct ad_loop *loop);
/* Socket options, once connected. */
void ad__tcp_connected(struct ad__tcp *tcp);

/* "127.0.0.1:80", "[::1]:80"; an IPv4 address inside IPv6 is written as IPv4. */
size_t ad__address_text(const struct sockaddr *sa, char *out, size_t cap);

/* --- names (net/resolve.c) --- */

/* Fills `out` when host is a literal address; false for a name. */
bool ad__literal_address(const struct ad_endpoint *e, struct sockaddr_storage *out);

#endif
