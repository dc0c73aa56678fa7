#include "attio/records.h"

#include "base/json.h"
#include "base/json_write.h"
#include "base/mem.h"
#include "records_private.h"

struct ad_records {
    struct ad_client *client;
    struct ad_versions *versions;
    size_t open;
};

/* Our longest body is 500 ids of 39 bytes. */
#define BODY_MAX ((size_t)64 << 10)
/* Of several records asked for by their ids: what is longer is TOOLARGE, to be asked for in parts. */
#define MANY_BYTES_MAX ((size_t)4 << 20)
#define PATH_BYTES_MAX ((size_t)512)
/* No more than the client takes of an answer. */
#define COMMENTS_MAX ((size_t)16 << 20)
/* One record as a document while an answer is checked. */
#define CHECK_ARENA_MAX ((size_t)64 << 20)

enum ad_err ad_records_open(struct ad_client *client, struct ad_versions *versions,
                            struct ad_records **out)
{
    struct ad_records *r = ad_zalloc(sizeof(*r));
    if (!r) {
        return AD_ERR_NOMEM;
    }
    r->client = client;
    r->versions = versions;
    *out = r;
    return AD_OK;
}

void ad_records_close(struct ad_records *r)
{
    AD_ASSERT(r->open == 0);
    ad_free(r);
}

/* --- The call's callbacks --- */

static void on_send(struct ad_call *call)
{
    struct op_impl *impl = ad_container_of(call, struct op_impl, call);
    impl->op->version = ad_versions_next(impl->records->versions);
    impl->op->sent_ms = call->sent_ms;
}

static enum ad_err count(void *ctx, const struct ad_json *element)
{
    struct op_impl *impl = ctx;
    impl->items++;
    return ad_json_is(element, AD_JSON_OBJECT) ? AD_OK : AD_ERR_PARSE;
}

static enum ad_err check_one(struct ad_arena *arena, struct ad_str text)
{
    const struct ad_json *doc = NULL;
    enum ad_err err = ad_json_parse(arena, text, NULL, &doc, NULL);
    if (err) {
        return err;
    }
    return ad_json_is(ad_json_get(doc, "data"), AD_JSON_OBJECT) ? AD_OK : AD_ERR_PARSE;
}

/* Pages are large and mostly known: they are not read only to see that they could be. */
static enum ad_err check_answer(struct op_impl *impl, struct ad_arena *arena)
{
    struct ad_str text = impl->call.response;
    ad_json_each_cb each = impl->shape == SHAPE_THREADS ? ad__thread_check : count;
    switch (impl->shape) {
    case SHAPE_ONE:
        return check_one(arena, text);
    case SHAPE_PAGE:
        return AD_OK;
    default:
        return ad_json_each(arena, text, AD_STR("data"), NULL, each, impl, NULL);
    }
}

static enum ad_err on_check(struct ad_call *call)
{
    struct op_impl *impl = ad_container_of(call, struct op_impl, call);
    struct ad_arena arena;
    ad_arena_init(&arena, CHECK_ARENA_MAX);
    impl->items = 0;
    enum ad_err err = check_answer(impl, &arena);
    ad_arena_fini(&arena);
    return err;
}

static void impl_free(struct op_impl *impl)
{
    ad_buf_fini(&impl->path);
    ad_buf_fini(&impl->body);
    ad_buf_fini(&impl->comments);
    ad_free(impl);
}

static void set_result(struct op_impl *impl)
{
    struct ad_records_op *op = impl->op;
    const struct ad_call *call = &impl->call;
    op->err = call->err;
    op->info = call->info;
    op->status = call->status;
    op->response = call->response;
    op->items = call->err ? 0 : impl->items;
    op->accurate_ns = call->accurate_ns;
    if (op->err == AD_OK && op->version == 0) {
        op->err =
            ad_fail(&op->info, AD_ERR_STORE, "no version for the answer: the database is away");
    }
    /* The query is ours and sound, so what Attio does not take is its length. */
    if (op->err == AD_ERR_UPSTREAM_REJECTED && op->status == 400 && impl->ids_n > 1) {
        op->err = op->info.code = AD_ERR_TOOLARGE;
    }
    if (op->err == AD_OK && impl->shape == SHAPE_THREADS) {
        op->err = ad__threads_flatten(impl, call->response);
        op->response = ad_buf_str(&impl->comments);
    }
}

/* The answer is the client's until this returns, so op's owner is called from here. */
static void on_done(struct ad_call *call)
{
    struct op_impl *impl = ad_container_of(call, struct op_impl, call);
    struct ad_records_op *op = impl->op;
    set_result(impl);
    op->impl = NULL;
    impl->records->open--;
    op->cb(op);
    impl_free(impl);
}

/* --- Asking --- */

struct op_impl *ad__records_op_new(struct ad_records *r, struct ad_records_op *op)
{
    struct op_impl *impl = ad_zalloc(sizeof(*impl));
    if (!impl) {
        return NULL;
    }
    impl->records = r;
    impl->op = op;
    ad_buf_init(&impl->path, PATH_BYTES_MAX);
    ad_buf_init(&impl->body, BODY_MAX);
    ad_buf_init(&impl->comments, COMMENTS_MAX);
    impl->call = (struct ad_call){
        .lane = AD_LANE_READ,
        .priority = op->priority,
        .reads_only = true,
        .into = op->into,
        .on_send = on_send,
        .on_check = on_check,
        .cb = on_done,
    };
    return impl;
}

enum ad_err ad__records_op_start(struct op_impl *impl)
{
    struct ad_records_op *op = impl->op;
    struct ad_records *r = impl->records;
    enum ad_err err = ad_buf_status(&impl->path);
    err = err ? err : ad_buf_status(&impl->body);
    impl->call.path = ad_buf_str(&impl->path);
    err = err ? err : ad_call_start(r->client, &impl->call);
    if (err) {
        impl_free(impl);
        return err;
    }
    op->impl = impl;
    op->version = 0;
    op->sent_ms = 0;
    r->open++;
    return AD_OK;
}

/* Where each kind lives. */
static const struct place {
    const char *get_route;
    const char *in; /* before the collection's id; NULL: the path names no collection */
    const char *items;
    const char *query_route, *id; /* NULL: cannot be asked for by query */
} places[] = {
    [AD_KIND_OBJECT] = { "/v2/objects/{object}/records/{record_id}", "/v2/objects/", "/records/",
                         "/v2/objects/{object}/records/query", "record_id" },
    [AD_KIND_LIST] = { "/v2/lists/{list}/entries/{entry_id}", "/v2/lists/", "/entries/",
                       "/v2/lists/{list}/entries/query", "entry_id" },
    [AD_KIND_NOTE] = { .get_route = "/v2/notes/{note_id}", .items = "/v2/notes/" },
    [AD_KIND_TASK] = { .get_route = "/v2/tasks/{task_id}", .items = "/v2/tasks/" },
    [AD_KIND_COMMENT] = { .get_route = "/v2/comments/{comment_id}", .items = "/v2/comments/" },
    [AD_KIND_MEMBER] = { .get_route = "/v2/workspace_members/{workspace_member_id}",
                         .items = "/v2/workspace_members/" },
};

static void write_path(struct op_impl *impl, struct ad_str last)
{
    const struct ad_object *o = impl->op->object;
    const struct place *at = &places[o->kind];
    if (at->in) {
        ad_buf_fmt(&impl->path, "%s%.*s", at->in, AD_FMT(o->id));
    }
    ad_buf_fmt(&impl->path, "%s%.*s", at->items, AD_FMT(last));
}

static void begin_query(struct op_impl *impl, struct ad_json_writer *w)
{
    impl->call.method = "POST";
    impl->call.route = places[impl->op->object->kind].query_route;
    write_path(impl, AD_STR("query"));
    ad_json_write_init(w, &impl->body);
    ad_json_obj(w);
}

static enum ad_err send_query(struct op_impl *impl, struct ad_json_writer *w)
{
    ad_json_end(w);
    enum ad_err err = ad_json_write_done(w);
    if (err) {
        impl_free(impl);
        return err;
    }
    impl->call.body = ad_buf_str(&impl->body);
    return ad__records_op_start(impl);
}

static bool are_uuids(const struct ad_str *ids, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!ad_str_is_uuid(ids[i])) {
            return false;
        }
    }
    return true;
}

enum ad_err ad_records_by_ids(struct ad_records *r, struct ad_records_op *op,
                              const struct ad_str *ids, size_t n)
{
    const char *key = places[op->object->kind].id;
    if (!key || n == 0 || n > AD_RECORDS_IDS_MAX || !are_uuids(ids, n)) {
        return AD_ERR_INVALID;
    }
    struct op_impl *impl = ad__records_op_new(r, op);
    if (!impl) {
        return AD_ERR_NOMEM;
    }
    struct ad_json_writer w;
    impl->ids_n = n;
    impl->call.response_max = n > 1 ? MANY_BYTES_MAX : 0;
    begin_query(impl, &w);
    ad_json_key(&w, "filter");
    ad_json_obj(&w);
    ad_json_key(&w, key);
    ad_json_obj(&w);
    ad_json_key(&w, "$in");
    ad_json_arr(&w);
    for (size_t i = 0; i < n; i++) {
        ad_json_w_str(&w, ids[i]);
    }
    ad_json_end(&w);
    ad_json_end(&w);
    ad_json_end(&w);
    ad_json_f_i64(&w, "limit", (int64_t)n);
    return send_query(impl, &w);
}

static void write_from(struct ad_json_writer *w, struct ad_str from)
{
    ad_json_key(w, "filter");
    ad_json_obj(w);
    ad_json_key(w, "created_at");
    ad_json_obj(w);
    ad_json_f_str(w, "$gte", from);
    ad_json_end(w);
    ad_json_end(w);
}

static void write_sorts(struct ad_json_writer *w)
{
    ad_json_key(w, "sorts");
    ad_json_arr(w);
    ad_json_obj(w);
    ad_json_f_cstr(w, "attribute", "created_at");
    ad_json_f_cstr(w, "direction", "asc");
    ad_json_end(w);
    ad_json_end(w);
}

enum ad_err ad_records_page(struct ad_records *r, struct ad_records_op *op,
                            const struct ad_records_page *page)
{
    if (!places[op->object->kind].query_route) {
        return AD_ERR_INVALID;
    }
    struct op_impl *impl = ad__records_op_new(r, op);
    if (!impl) {
        return AD_ERR_NOMEM;
    }
    struct ad_json_writer w;
    impl->shape = SHAPE_PAGE;
    begin_query(impl, &w);
    if (page->from.p) {
        write_from(&w, page->from);
    }
    if (!page->unsorted) {
        write_sorts(&w);
    }
    ad_json_f_i64(&w, "limit", page->limit);
    ad_json_f_i64(&w, "offset", page->offset);
    return send_query(impl, &w);
}

enum ad_err ad_records_get(struct ad_records *r, struct ad_records_op *op, struct ad_str id)
{
    if (!ad_str_is_uuid(id)) {
        return AD_ERR_INVALID;
    }
    struct op_impl *impl = ad__records_op_new(r, op);
    if (!impl) {
        return AD_ERR_NOMEM;
    }
    impl->shape = SHAPE_ONE;
    impl->call.method = "GET";
    impl->call.route = places[op->object->kind].get_route;
    write_path(impl, id);
    return ad__records_op_start(impl);
}

void ad_records_cancel(struct ad_records *r, struct ad_records_op *op)
{
    struct op_impl *impl = op->impl;
    if (impl) {
        ad_call_cancel(r->client, &impl->call);
    }
}
