#include "infra/stream.h"

enum ad_err ad_stream_read_start(struct ad_stream *s, ad_read_cb on_read)
{
    if (s->closing) {
        return AD_ERR_CLOSED;
    }
    s->on_read = on_read;
    return s->ops->read_start(s);
}

void ad_stream_read_stop(struct ad_stream *s)
{
    if (!s->closing) {
        s->ops->read_stop(s);
    }
}

size_t ad_stream_try_write(struct ad_stream *s, const struct ad_str *bufs, unsigned n)
{
    AD_ASSERT(n <= AD_LEN(((struct ad_write *)NULL)->bufs));
    return s->closing || n == 0 ? 0 : s->ops->try_write(s, bufs, n);
}

enum ad_err ad_stream_write(struct ad_stream *s, struct ad_write *w, const struct ad_str *bufs,
                            unsigned n, ad_write_cb cb)
{
    AD_ASSERT(n <= AD_LEN(w->bufs));
    if (s->closing) {
        return AD_ERR_CLOSED;
    }
    w->cb = cb;
    w->stream = s;
    w->n = 0;
    ad_list_init(&w->link);
    for (unsigned i = 0; i < n; i++) {
        if (bufs[i].n > 0) {
            w->bufs[w->n++] = bufs[i];
        }
    }
    return s->ops->write(s, w);
}

enum ad_err ad_stream_shutdown(struct ad_stream *s, struct ad_write *w, ad_write_cb cb)
{
    if (s->closing) {
        return AD_ERR_CLOSED;
    }
    w->cb = cb;
    w->stream = s;
    w->n = 0;
    ad_list_init(&w->link);
    return s->ops->shutdown(s, w);
}

void ad_stream_close(struct ad_stream *s, ad_closed_cb on_closed)
{
    if (s->closing) {
        return;
    }
    s->closing = true;
    s->on_closed = on_closed;
    s->ops->close(s);
}

size_t ad_stream_peer(struct ad_stream *s, char *out, size_t cap)
{
    return s->ops->peer(s, out, cap);
}
