/* Select options and statuses of attributes: one life, two names. */
#include "base/mem.h"
#include "call.h"
#include "types.h"

static void answer_option(struct ad_sim_call *c, const struct ad_sim_option *option)
{
    struct ad_json_writer w;
    ad_sim_data_begin(c, &w);
    ad_json_w_raw(&w, ad_str_c(option->json));
    ad_sim_data_end(c, &w);
}

static bool is_status_route(const struct ad_sim_call *c)
{
    return ad_str_contains(ad_str_c(c->route->pattern), AD_STR("/statuses"));
}

/* The attribute in the path when it is of the route's type; else an error has been set. */
static struct ad_sim_attr *option_attr(struct ad_sim_call *c)
{
    struct ad_sim_object *o = ad_sim_call_set(c, 0);
    struct ad_sim_attr *a = o ? ad_sim_call_attr(c, o, 1) : NULL;
    bool status = is_status_route(c);
    if (a && a->type != (status ? AD_SIM_STATUS : AD_SIM_SELECT)) {
        ad_sim_bad(c, "validation_type", "This attribute is not a %s attribute.",
                   status ? "status" : "select");
        return NULL;
    }
    return a;
}

static void list_options(struct ad_sim_call *c)
{
    struct ad_sim_attr *a = option_attr(c);
    struct ad_json_writer w;
    if (!a) {
        return;
    }
    bool archived = ad_sim_query_flag(c, "show_archived");
    ad_sim_data_begin(c, &w);
    ad_json_arr(&w);
    for (size_t i = 0; i < a->options_n; i++) {
        if (archived || !a->options[i]->archived) {
            ad_json_w_raw(&w, ad_str_c(a->options[i]->json));
        }
    }
    ad_json_end(&w);
    ad_sim_data_end(c, &w);
}

static bool title_free(struct ad_sim_call *c, const struct ad_sim_attr *a, struct ad_str title,
                       const struct ad_sim_option *except)
{
    struct ad_sim_option *same = ad_sim_option_find(a, title);
    if (!same || same == except) {
        return true;
    }
    ad_sim_fail(c, 409, "invalid_request_error", "slug_conflict",
                "There is already another %s with the title \"%.*s\".",
                is_status_route(c) ? "status" : "select option", AD_FMT(title));
    return false;
}

static void set_option(struct ad_sim_option *option, const struct ad_json *data)
{
    ad_sim_set_flag(&option->celebrates, ad_json_get(data, "celebration_enabled"));
    ad_sim_set_flag(&option->archived, ad_json_get(data, "is_archived"));
    ad_sim_set_text(&option->target_time, ad_json_get(data, "target_time_in_status"));
}

static const struct ad_sim_field option_fields[] = {
    { "data", AD_SIM_IS(OBJECT), true },
    { "data.title", AD_SIM_IS(STRING), false },
    { "data.is_archived", AD_SIM_IS(BOOL), false },
    { "data.celebration_enabled", AD_SIM_IS(BOOL), false },
    { "data.target_time_in_status", AD_SIM_IS(STRING) | AD_SIM_IS(NULL), false },
};

static void create_option(struct ad_sim_call *c)
{
    struct ad_sim_attr *a = option_attr(c);
    if (!a) {
        return;
    }
    struct ad_str title = ad_json_str(ad_json_path(c->body, "data.title"));
    ad_sim_check(c, c->body, "", option_fields, AD_LEN(option_fields));
    if (c->issues_n == 0 && title.n == 0) {
        ad_sim_issue(c, "string", NULL, "data.title");
    }
    if (!ad_sim_body_ok(c) || !title_free(c, a, title, NULL)) {
        return;
    }
    struct ad_sim_option *option = ad_sim_option_add(c->store, a, title);
    set_option(option, ad_json_get(c->body, "data"));
    ad_sim_option_render(c->store, a, option);
    answer_option(c, option);
}

static void patch_option(struct ad_sim_call *c)
{
    struct ad_sim_attr *a = option_attr(c);
    if (!a) {
        return;
    }
    struct ad_str ref = c->x->params[2];
    struct ad_sim_option *option = ad_sim_option_find(a, ref);
    const char *word = is_status_route(c) ? "status" : "select";
    if (!option) {
        ad_sim_bad(c, "value_not_found", "Cannot find %s attribute with %s option title \"%.*s\".",
                   word, word, AD_FMT(ref));
        return;
    }
    ad_sim_check(c, c->body, "", option_fields, AD_LEN(option_fields));
    const struct ad_json *data = ad_json_get(c->body, "data");
    const struct ad_json *title = ad_json_get(data, "title");
    if (!ad_sim_body_ok(c) || (title && !title_free(c, a, title->str, option))) {
        return;
    }
    ad_sim_set_text(&option->title, title);
    set_option(option, data);
    ad_sim_option_render(c->store, a, option);
    answer_option(c, option);
}

#define ROUTES(set, word)                                                                         \
    { AD_HTTP_GET, set "/attributes/{attribute}/" word, list_options, AD_SIM_READ, false },       \
        { AD_HTTP_POST, set "/attributes/{attribute}/" word, create_option, AD_SIM_WRITE, true }, \
    {                                                                                             \
        AD_HTTP_PATCH, set "/attributes/{attribute}/" word "/{option}", patch_option,             \
            AD_SIM_WRITE, true                                                                    \
    }
const struct ad_sim_route ad_sim_option_routes[] = {
    ROUTES("/v2/objects/{object}", "options"), ROUTES("/v2/objects/{object}", "statuses"),
    ROUTES("/v2/lists/{list}", "options"),     ROUTES("/v2/lists/{list}", "statuses"),
    { 0, NULL, NULL, AD_SIM_READ, false },
};
