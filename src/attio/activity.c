#include "attio/activity.h"

#include "base/json_write.h"
#include "records_private.h"

/* One thread as a document. */
#define THREAD_ARENA_MAX ((size_t)64 << 20)

static struct op_impl *get_new(struct ad_records *r, struct ad_records_op *op, const char *route)
{
    struct op_impl *impl = ad__records_op_new(r, op);
    if (impl) {
        impl->call.method = "GET";
        impl->call.route = route;
        ad_buf_put(&impl->path, ad_str_c(route));
    }
    return impl;
}

static void write_page(struct op_impl *impl, const struct ad_activity_page *page)
{
    ad_buf_fmt(&impl->path, "limit=%u&offset=%u", page->limit, page->offset);
}

static const struct listing {
    const char *route, *query;
    unsigned limit_max; /* 0: no pages */
} listings[] = {
    [AD_KIND_NOTE] = { "/v2/notes", "?", AD_ACTIVITY_NOTES_MAX },
    [AD_KIND_TASK] = { "/v2/tasks", "?sort=created_at:asc&", AD_ACTIVITY_TASKS_MAX },
    [AD_KIND_COMMENT] = { NULL, NULL, 0 },
    [AD_KIND_MEMBER] = { "/v2/workspace_members", NULL, 0 },
};

enum ad_err ad_activity_page(struct ad_records *r, struct ad_records_op *op,
                             const struct ad_activity_page *page)
{
    const struct listing *l = &listings[op->object->kind];
    bool in_range = l->limit_max == 0 || (page->limit > 0 && page->limit <= l->limit_max);
    if (!l->route || !in_range) {
        return AD_ERR_INVALID;
    }
    struct op_impl *impl = get_new(r, op, l->route);
    if (!impl) {
        return AD_ERR_NOMEM;
    }
    if (l->query) {
        ad_buf_put(&impl->path, ad_str_c(l->query));
        write_page(impl, page);
    }
    return ad__records_op_start(impl);
}

/* --- Threads --- */

enum ad_err ad_activity_threads(struct ad_records *r, struct ad_records_op *op,
                                const struct ad_object *in, struct ad_str id,
                                const struct ad_activity_page *page)
{
    bool list = in->kind == AD_KIND_LIST;
    if ((!list && in->kind != AD_KIND_OBJECT) || !ad_str_is_uuid(id) || page->limit == 0 ||
        page->limit > AD_ACTIVITY_THREADS_MAX) {
        return AD_ERR_INVALID;
    }
    struct op_impl *impl = get_new(r, op, "/v2/threads");
    if (!impl) {
        return AD_ERR_NOMEM;
    }
    impl->shape = SHAPE_THREADS;
    ad_buf_fmt(&impl->path, "?%s=%.*s&%s=%.*s&", list ? "list" : "object", AD_FMT(in->id),
               list ? "entry_id" : "record_id", AD_FMT(id));
    write_page(impl, page);
    return ad__records_op_start(impl);
}

enum ad_err ad__thread_check(void *ctx, const struct ad_json *thread)
{
    struct op_impl *impl = ctx;
    const struct ad_json *comments = ad_json_get(thread, "comments");
    impl->items++;
    if (!ad_json_is(comments, AD_JSON_ARRAY)) {
        return AD_ERR_PARSE;
    }
    AD_JSON_FOREACH (c, comments) {
        if (!ad_json_is(c, AD_JSON_OBJECT)) {
            return AD_ERR_PARSE;
        }
    }
    return AD_OK;
}

static enum ad_err flatten_one(void *ctx, const struct ad_json *thread)
{
    struct ad_json_writer *w = ctx;
    AD_JSON_FOREACH (c, ad_json_get(thread, "comments")) {
        ad_json_w_raw(w, c->raw);
    }
    return AD_OK;
}

enum ad_err ad__threads_flatten(struct op_impl *impl, struct ad_str response)
{
    struct ad_arena arena;
    struct ad_json_writer w;
    ad_arena_init(&arena, THREAD_ARENA_MAX);
    ad_json_write_init(&w, &impl->comments);
    ad_json_obj(&w);
    ad_json_key(&w, "data");
    ad_json_arr(&w);
    enum ad_err err =
        ad_json_each(&arena, response, AD_STR("data"), NULL, flatten_one, &w, &impl->op->info);
    ad_json_end(&w);
    ad_json_end(&w);
    enum ad_err written = ad_json_write_done(&w);
    ad_arena_fini(&arena);
    return err ? err : written;
}
