#include "api_private.h"

#include "base/json_write.h"
#include "service/sync.h"

#define JSON_TYPE "application/json"
#define PROBLEM_TYPE "application/problem+json"

static const struct ad_http_header retry_after[] = { { { "Retry-After", 11 }, { "5", 1 } } };
static const struct ad_http_header no_store[] = { { { "Cache-Control", 13 }, { "no-store", 8 } } };

static void set_headers(struct ad_reply *reply)
{
    bool later = reply->status == 503 || reply->status == 429;
    reply->headers = later ? retry_after : no_store;
    reply->headers_n = 1;
}

void ad__api_bare(struct ad_exchange *x, unsigned status)
{
    struct ad_reply reply = { .status = status };
    if (status == 503) {
        set_headers(&reply);
    }
    ad_reply(x, &reply);
}

void ad__api_text(struct ad_exchange *x, unsigned status, const char *text)
{
    struct ad_reply reply = { .status = status,
                              .content_type = "text/plain; charset=utf-8",
                              .body = ad_str_c(text) };
    set_headers(&reply);
    ad_reply(x, &reply);
}

void ad__api_buf(struct ad_exchange *x, unsigned status, const char *type, struct ad_buf *b)
{
    struct ad_reply reply = { .status = status, .content_type = type };
    bool ok = ad_buf_status(b) == AD_OK;
    if (ok) {
        reply.body = ad_arena_str(x->arena, ad_buf_str(b));
        ok = reply.body.p != NULL;
    }
    ad_buf_fini(b);
    if (!ok) {
        ad__api_bare(x, 503);
        return;
    }
    set_headers(&reply);
    ad_reply(x, &reply);
}

/* "STORE_BUSY" -> "store_busy" */
static void lower(const char *name, char *out, size_t cap)
{
    size_t n = 0;
    for (; name[n] && n + 1 < cap; n++) {
        out[n] = name[n];
        if (name[n] >= 'A' && name[n] <= 'Z') {
            out[n] = (char)(name[n] - 'A' + 'a');
        }
    }
    out[n] = '\0';
}

/* The text of a problem on the exchange's arena; absent without memory, or for a detail that is
 * no text. */
static struct ad_str problem_text(struct ad_exchange *x, unsigned status, enum ad_err err,
                                  const char *detail)
{
    char code[32];
    struct ad_buf b;
    struct ad_json_writer w;
    struct ad_str text = AD_STR_NONE;
    lower(ad_err_name(err), code, sizeof(code));
    ad_buf_init(&b, 4096);
    ad_json_write_init(&w, &b);
    ad_json_obj(&w);
    ad_json_f_cstr(&w, "type", "about:blank");
    ad_json_f_cstr(&w, "title", ad_http_reason(status));
    ad_json_f_i64(&w, "status", status);
    ad_json_f_cstr(&w, "code", code);
    ad_json_f_cstr(&w, "detail", detail && *detail ? detail : ad_err_text(err));
    ad_json_end(&w);
    if (!ad_json_write_done(&w)) {
        text = ad_arena_str(x->arena, ad_buf_str(&b));
    }
    ad_buf_fini(&b);
    return text;
}

void ad__api_problem_with(struct ad_exchange *x, unsigned status, enum ad_err err,
                          const char *detail, const struct ad_http_header *header)
{
    struct ad_http_header headers[2];
    struct ad_reply reply = { .status = status };
    reply.body = problem_text(x, status, err, detail);
    reply.content_type = reply.body.p ? PROBLEM_TYPE : NULL;
    set_headers(&reply);
    headers[0] = reply.headers[0];
    if (header) {
        headers[1] = *header;
        reply.headers_n = 2;
    }
    reply.headers = headers;
    ad_reply(x, &reply);
}

void ad__api_problem_as(struct ad_exchange *x, unsigned status, enum ad_err err, const char *detail)
{
    ad__api_problem_with(x, status, err, detail, NULL);
}

void ad__api_problem(struct ad_exchange *x, enum ad_err err, const char *detail)
{
    ad__api_problem_as(x, ad_err_http(err), err, detail);
}

/* What the server itself refused, in the same words as we do. */
void ad_api_explain(void *ctx, struct ad_exchange *x, struct ad_reply *reply)
{
    static const struct {
        unsigned status;
        enum ad_err err;
        const char *detail;
    } rows[] = {
        { 404, AD_ERR_NOTFOUND, "there is no such route" },
        { 405, AD_ERR_INVALID, "this route does not take that method; Allow names those it does" },
        { 408, AD_ERR_TIMEOUT, "the request came too slowly" },
        { 413, AD_ERR_TOOLARGE, "the body is larger than this route takes" },
        { 414, AD_ERR_TOOLARGE, "the target is too long" },
        { 431, AD_ERR_TOOLARGE, "the header section is too large" },
        { 503, AD_ERR_BUSY, NULL },
    };
    enum ad_err err = reply->status < 500 ? AD_ERR_INVALID : AD_ERR_INTERNAL;
    const char *detail = reply->status < 500 ? "the request is malformed" : NULL;
    (void)ctx;
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        if (rows[i].status == reply->status) {
            err = rows[i].err;
            detail = rows[i].detail;
        }
    }
    reply->body = problem_text(x, reply->status, err, detail);
    reply->content_type = reply->body.p ? PROBLEM_TYPE : NULL;
}

static void write_pagination(struct ad_json_writer *w, int64_t next_cursor)
{
    ad_json_key(w, "pagination");
    ad_json_obj(w);
    ad_json_key(w, "next_cursor");
    if (next_cursor > 0) {
        char text[24];
        struct ad_buf digits;
        ad_buf_init(&digits, sizeof(text));
        ad_buf_put_i64(&digits, next_cursor);
        ad_json_w_str(w, ad_buf_str(&digits)); /* opaque to callers, as Attio's are: text */
        ad_buf_fini(&digits);
    } else {
        ad_json_w_null(w);
    }
    ad_json_end(w);
}

void ad__api_data(struct ad_exchange *x, unsigned status, struct ad_str json, int64_t next_cursor)
{
    struct ad_buf b;
    struct ad_json_writer w;
    ad_buf_init(&b, AD__API_ANSWER_MAX + 4096);
    ad_json_write_init(&w, &b);
    ad_json_obj(&w);
    ad_json_key(&w, "data");
    ad_json_w_raw(&w, json);
    if (next_cursor != AD__API_NO_CURSOR) {
        write_pagination(&w, next_cursor);
    }
    ad_json_end(&w);
    if (ad_json_write_done(&w)) {
        ad_buf_fini(&b);
        ad__api_bare(x, 503);
        return;
    }
    ad__api_buf(x, status, JSON_TYPE, &b);
}

void ad__api_answer(struct ad_exchange *x, const struct ad_service_query *q, unsigned status,
                    int64_t next_cursor)
{
    struct ad_buf out = *q->out; /* q may be on the arena, which the reply gives back */
    if (q->err) {
        ad__api_problem(x, q->err, q->info.msg);
    } else {
        ad__api_data(x, status, ad_buf_str(&out), next_cursor);
    }
    ad_buf_fini(&out);
}
