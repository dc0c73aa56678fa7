/* Tasks: model and routes. */
#include "activity.h"
#include "base/mem.h"
#include "call.h"
#include "types.h"

#define CONTENT_MAX 2000 /* characters */
#define NO_DEADLINE INT64_MIN

static struct ad_sim_task *of(struct ad_sim_item *item)
{
    return (struct ad_sim_task *)item;
}

static void emit(struct ad_sim_store *s, const char *type, const struct ad_sim_task *task,
                 uint8_t actor)
{
    struct ad_sim_event event = { .type = type, .actor = actor };
    ad_sim_event_id(&event, "id.workspace_id", s->workspace_id);
    ad_sim_event_id(&event, "id.task_id", task->item.id);
    ad_sim_emit(s, &event);
}

static bool same(const struct ad_sim_task *a, const struct ad_sim_task *b)
{
    return a->completed == b->completed && a->deadline_ns == b->deadline_ns &&
           a->links_n == b->links_n && a->assignees_n == b->assignees_n &&
           memcmp(a->assignees, b->assignees, a->assignees_n) == 0 &&
           (a->links_n == 0 ||
            memcmp(a->links, b->links, a->links_n * sizeof(struct ad_sim_record *)) == 0);
}

/* What a PATCH may change. */
static void take_fields(struct ad_sim_store *s, struct ad_sim_task *task,
                        const struct ad_sim_task *as)
{
    if (as->completed != task->completed) {
        task->completed_ns = ad_sim_now(s);
    }
    task->completed = as->completed;
    task->deadline_ns = as->deadline_ns;
    if (task->links != as->links) {
        ad_free(task->links);
    }
    task->links = as->links;
    task->links_n = as->links_n;
    memcpy(task->assignees, as->assignees, sizeof(task->assignees));
    task->assignees_n = as->assignees_n;
}

struct ad_sim_task *ad_sim_task_add(struct ad_sim_store *s, const struct ad_sim_task *as,
                                    struct ad_str content)
{
    struct ad_sim_task *task = ad_sim_alloc(sizeof(*task));
    task->content = ad_sim_text(content);
    task->actor = as->actor;
    take_fields(s, task, as);
    task->completed_ns = as->completed_ns ? as->completed_ns : task->completed_ns;
    ad_sim_shelf_put(ad_sim_shelf(s, AD_SIM_TASKS), &task->item, as->item.created_ns);
    emit(s, "task.created", task, as->actor);
    return task;
}

bool ad_sim_task_change(struct ad_sim_store *s, struct ad_sim_task *task,
                        const struct ad_sim_task *as, uint8_t actor)
{
    bool changed = !same(task, as);
    take_fields(s, task, as);
    if (changed) {
        emit(s, "task.updated", task, actor);
    }
    return changed;
}

static void free_task(struct ad_sim_item *item)
{
    ad_sim_text_free(of(item)->content);
    ad_free(of(item)->links);
    ad_free(item);
}

static void remove_task(struct ad_sim_store *s, struct ad_sim_item *item, uint8_t actor)
{
    ad_sim_shelf_take(ad_sim_shelf(s, AD_SIM_TASKS), item);
    emit(s, "task.deleted", of(item), actor);
    free_task(item);
}

static bool is_linked(const struct ad_sim_task *task, const struct ad_sim_record *record)
{
    for (size_t i = 0; i < task->links_n; i++) {
        if (task->links[i] == record) {
            return true;
        }
    }
    return false;
}

static void leave(struct ad_sim_store *s, struct ad_sim_item *item, struct ad_sim_record *record,
                  struct ad_sim_record *to, uint8_t actor)
{
    struct ad_sim_task *task = of(item);
    size_t n = 0;
    if (!is_linked(task, record)) {
        return;
    }
    bool there = to && is_linked(task, to);
    for (size_t i = 0; i < task->links_n; i++) {
        struct ad_sim_record *link = task->links[i] == record ? to : task->links[i];
        if (link && !(there && task->links[i] == record)) {
            task->links[n++] = link;
        }
    }
    task->links_n = n;
    emit(s, "task.updated", task, actor);
}

/* --- Reading --- */

static void write_time(struct ad_json_writer *w, const char *key, bool some, int64_t ns)
{
    ad_json_key(w, key);
    if (some) {
        ad_json_w_time(w, ns);
    } else {
        ad_json_w_null(w);
    }
}

static void write_links(struct ad_json_writer *w, const struct ad_sim_task *task)
{
    ad_json_key(w, "linked_records");
    ad_json_arr(w);
    for (size_t i = 0; i < task->links_n; i++) {
        ad_json_obj(w);
        ad_json_f_cstr(w, "target_object_id", task->links[i]->object->slug);
        ad_sim_w_uuid(w, "target_record_id", task->links[i]->id);
        ad_json_end(w);
    }
    ad_json_end(w);
}

static void write_assignees(struct ad_json_writer *w, const struct ad_sim_store *s,
                            const struct ad_sim_task *task)
{
    ad_json_key(w, "assignees");
    ad_json_arr(w);
    for (size_t i = 0; i < task->assignees_n; i++) {
        const struct ad_sim_actor *actor = &s->actors[task->assignees[i]];
        ad_json_obj(w);
        ad_json_f_cstr(w, "referenced_actor_type", actor->type);
        ad_sim_w_uuid(w, "referenced_actor_id", actor->id);
        ad_json_end(w);
    }
    ad_json_end(w);
}

static void write_task(struct ad_json_writer *w, const struct ad_sim_store *s,
                       const struct ad_sim_item *item)
{
    const struct ad_sim_task *task = (const struct ad_sim_task *)item;
    ad_json_obj(w);
    ad_sim_w_id(w, s, "task_id", item->id);
    ad_json_f_str(w, "content_plaintext", task->content);
    write_time(w, "deadline_at", task->deadline_ns != NO_DEADLINE, task->deadline_ns);
    ad_json_f_bool(w, "is_completed", task->completed);
    write_time(w, "completed_at", task->completed, task->completed_ns);
    write_links(w, task);
    write_assignees(w, s, task);
    ad_sim_w_actor(w, s, "created_by_actor", task->actor);
    ad_json_key(w, "created_at");
    ad_json_w_time(w, item->created_ns);
    ad_json_end(w);
}

const struct ad_sim_item_ops ad_sim_task_ops = {
    .name = "tasks", .write = write_task, .remove = remove_task, .free = free_task, .leave = leave
};

static void answer(struct ad_sim_call *c, const struct ad_sim_task *task)
{
    struct ad_json_writer w;
    ad_sim_data_begin(c, &w);
    write_task(&w, c->store, &task->item);
    ad_sim_data_end(c, &w);
}

/* --- Writing --- */

/* {"target_object":"people","email_addresses":[{"email_address":"a@b.example"}]} */
static struct ad_sim_record *matching_record(struct ad_sim_call *c, const struct ad_json *in,
                                             struct ad_sim_object *o)
{
    const struct ad_json *by = in->child;
    while (by && ad_str_eq(by->key, AD_STR("target_object"))) {
        by = by->next;
    }
    struct ad_sim_attr *a = by ? ad_sim_attr_find(o, by->key) : NULL;
    if (!a || !a->unique || a->made != AD_SIM_STORED) {
        ad_sim_bad(c, "value_not_found",
                   "No attribute was found for matching_attribute slug/ID \"%.*s\".",
                   AD_FMT(by ? by->key : AD_STR("")));
        return NULL;
    }
    struct ad_sim_refusal refusal = { 0 };
    struct ad_sim_parse parse = {
        .store = c->store, .attr = a, .arena = c->arena, .refusal = &refusal
    };
    struct ad_sim_value v = { .attr = a->place };
    const struct ad_json *one = by->type == AD_JSON_ARRAY ? by->child : by;
    if (!one || !ad_sim_types[a->type].parse(&parse, one, &v)) {
        ad_sim_bad(c, one ? refusal.code : "validation_type", "%s",
                   one ? refusal.message : "No value to match by was given.");
        return NULL;
    }
    struct ad_sim_key room;
    struct ad_sim_record *r = ad_sim_unique_find(a, ad_sim_value_unique(&v, &room));
    ad_sim_value_free(&v);
    if (!r) {
        ad_sim_missing(c, "Record matching attribute \"%s\" not found.", a->slug);
    }
    return r;
}

static struct ad_sim_record *parse_link(struct ad_sim_call *c, const struct ad_json *in)
{
    struct ad_str object = ad_json_str(ad_json_get(in, "target_object"));
    const struct ad_json *record = ad_json_get(in, "target_record_id");
    struct ad_sim_object *o = ad_sim_object_find(c->store, object);
    if (!o && ad_sim_list_find(c->store, object)) {
        ad_sim_bad(c, "validation_type",
                   "Only standard or custom object records can be linked to.");
        return NULL;
    }
    if (o && !record) {
        return matching_record(c, in, o);
    }
    return ad_sim_named_record(c, object, ad_json_str(record));
}

static bool parse_links(struct ad_sim_call *c, const struct ad_json *list, struct ad_sim_task *task)
{
    task->links = ad_sim_alloc((list->count + 1) * sizeof(struct ad_sim_record *));
    task->links_n = 0;
    AD_JSON_FOREACH (it, list) {
        struct ad_sim_record *r = parse_link(c, it);
        if (!r) {
            return false;
        }
        if (!is_linked(task, r)) {
            task->links[task->links_n++] = r;
        }
    }
    return true;
}

static bool parse_assignees(struct ad_sim_call *c, const struct ad_json *list,
                            struct ad_sim_task *task)
{
    task->assignees_n = 0;
    AD_JSON_FOREACH (it, list) {
        struct ad_str email = ad_json_str(ad_json_get(it, "workspace_member_email_address"));
        struct ad_str ref = email.p ? email : ad_json_str(ad_json_get(it, "referenced_actor_id"));
        const struct ad_sim_member *m = ad_sim_member_find(c->store, ref);
        if (!m) {
            ad_sim_bad(c, "value_not_found", "Workspace member with %s \"%.*s\" not found.",
                       email.p ? "email address" : "ID", AD_FMT(ref));
            return false;
        }
        if (!memchr(task->assignees, m->actor, task->assignees_n)) {
            task->assignees[task->assignees_n++] = m->actor;
        }
    }
    return true;
}

/* Every element names what it must, so that what follows need not ask. */
static void check_elements(struct ad_sim_call *c, const struct ad_json *data)
{
    size_t i = 0;
    AD_JSON_FOREACH (it, ad_json_get(data, "linked_records")) {
        const struct ad_json *record = ad_json_get(it, "target_record_id");
        if (!ad_json_str(ad_json_get(it, "target_object")).p) {
            ad_sim_issue(c, "string", NULL, "data.linked_records.%zu.target_object", i);
        } else if (record ? !ad_str_is_uuid(ad_json_str(record)) : it->count < 2) {
            ad_sim_issue(c, "uuid", ad_sim_type_name(record),
                         "data.linked_records.%zu.target_record_id", i);
        }
        i++;
    }
    i = 0;
    AD_JSON_FOREACH (it, ad_json_get(data, "assignees")) {
        struct ad_str type = ad_json_str(ad_json_get(it, "referenced_actor_type"));
        struct ad_str id = ad_json_str(ad_json_get(it, "referenced_actor_id"));
        bool named = ad_str_eq(type, AD_STR("workspace-member")) && ad_str_is_uuid(id);
        if (!named && !ad_json_str(ad_json_get(it, "workspace_member_email_address")).p) {
            ad_sim_issue(c, "object", ad_sim_type_name(it), "data.assignees.%zu", i);
        }
        i++;
    }
}

/* What the body says over what the task has. `fresh` has links of its own when the body names
 * some. */
static bool parse_fields(struct ad_sim_call *c, const struct ad_json *data,
                         struct ad_sim_task *fresh)
{
    const struct ad_json *deadline = ad_json_get(data, "deadline_at");
    const struct ad_json *links = ad_json_get(data, "linked_records");
    const struct ad_json *assignees = ad_json_get(data, "assignees");
    check_elements(c, data);
    if (ad_json_is(deadline, AD_JSON_STRING) &&
        !ad_sim_time_loose(deadline->str, &fresh->deadline_ns)) {
        ad_sim_issue(c, "a time", "string", "data.deadline_at");
    } else if (ad_json_is(deadline, AD_JSON_NULL)) {
        fresh->deadline_ns = NO_DEADLINE;
    }
    ad_sim_set_flag(&fresh->completed, ad_json_get(data, "is_completed"));
    return ad_sim_body_ok(c) && (!assignees || parse_assignees(c, assignees, fresh)) &&
           (!links || parse_links(c, links, fresh));
}

static size_t characters(struct ad_str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        n += ((uint8_t)s.p[i] & 0xc0) != 0x80;
    }
    return n;
}

static void check_content(struct ad_sim_call *c, const struct ad_json *data)
{
    if (characters(ad_json_str(ad_json_get(data, "content"))) > CONTENT_MAX) {
        ad_sim_issue(c, "at most 2000 characters", "string", "data.content");
    }
    struct ad_str format = ad_json_str(ad_json_get(data, "format"));
    if (format.p && !ad_str_eq(format, AD_STR("plaintext"))) {
        ad_sim_issue(c, "plaintext", "string", "data.format");
    }
}

static void create_task(struct ad_sim_call *c)
{
    static const struct ad_sim_field fields[] = {
        { "data", AD_SIM_IS(OBJECT), true },
        { "data.content", AD_SIM_IS(STRING), true },
        { "data.format", AD_SIM_IS(STRING), true },
        { "data.deadline_at", AD_SIM_IS(STRING) | AD_SIM_IS(NULL), true },
        { "data.is_completed", AD_SIM_IS(BOOL), true },
        { "data.linked_records", AD_SIM_IS(ARRAY), true },
        { "data.assignees", AD_SIM_IS(ARRAY), true },
    };
    struct ad_sim_task fresh = { .actor = AD_SIM_ACTOR_TOKEN, .deadline_ns = NO_DEADLINE };
    ad_sim_check(c, c->body, "", fields, AD_LEN(fields));
    const struct ad_json *data = ad_json_get(c->body, "data");
    check_content(c, data);
    if (!ad_sim_body_ok(c) || !parse_fields(c, data, &fresh)) {
        ad_free(fresh.links);
        return;
    }
    fresh.item.created_ns = ad_sim_now(c->store);
    answer(c, ad_sim_task_add(c->store, &fresh, ad_json_str(ad_json_get(data, "content"))));
}

static struct ad_sim_task *call_task(struct ad_sim_call *c)
{
    struct ad_str ref = c->x->params[0];
    struct ad_sim_item *item = ad_sim_shelf_find(ad_sim_shelf(c->store, AD_SIM_TASKS), ref);
    if (!item) {
        ad_sim_missing(c, "Could not find Task with ID \"%.*s\".", AD_FMT(ref));
        return NULL;
    }
    return of(item);
}

static void patch_task(struct ad_sim_call *c)
{
    static const struct ad_sim_field fields[] = {
        { "data", AD_SIM_IS(OBJECT), true },
        { "data.deadline_at", AD_SIM_IS(STRING) | AD_SIM_IS(NULL), false },
        { "data.is_completed", AD_SIM_IS(BOOL), false },
        { "data.linked_records", AD_SIM_IS(ARRAY), false },
        { "data.assignees", AD_SIM_IS(ARRAY), false },
    };
    struct ad_sim_task *task = call_task(c);
    if (!task) {
        return;
    }
    ad_sim_check(c, c->body, "", fields, AD_LEN(fields));
    const struct ad_json *data = ad_json_get(c->body, "data");
    if (!ad_sim_body_ok(c)) {
        return;
    }
    bool some = false;
    for (size_t i = 1; i < AD_LEN(fields); i++) {
        some = some || ad_json_path(c->body, fields[i].path);
    }
    if (!some) {
        ad_sim_empty_payload(c);
        return;
    }
    struct ad_sim_task fresh = *task;
    if (!parse_fields(c, data, &fresh)) {
        if (fresh.links != task->links) {
            ad_free(fresh.links);
        }
        return;
    }
    AD_IGNORE(!ad_sim_task_change(c->store, task, &fresh, AD_SIM_ACTOR_TOKEN),
              "the same again is fine");
    answer(c, task);
}

static void get_task(struct ad_sim_call *c)
{
    const struct ad_sim_task *task = call_task(c);
    if (task) {
        answer(c, task);
    }
}

static void delete_task(struct ad_sim_call *c)
{
    struct ad_sim_task *task = call_task(c);
    if (task) {
        remove_task(c->store, &task->item, AD_SIM_ACTOR_TOKEN);
        ad_buf_put(c->out, AD_STR("{}"));
    }
}

/* --- The list --- */

struct wanted {
    const struct ad_sim_record *linked;
    bool by_assignee, by_completed, completed;
    const struct ad_sim_member *assignee; /* NULL: nobody */
    bool by_completion, descending;
    int64_t limit, offset;
};

static bool parse_sort(struct ad_sim_call *c, struct wanted *w)
{
    static const char *const sorts[] = { "created_at:asc", "created_at:desc", "completed_at:asc",
                                         "completed_at:desc" };
    struct ad_str sort = ad_sim_param(c, "sort");
    for (size_t i = 0; i < AD_LEN(sorts); i++) {
        if (!sort.p || ad_str_eq(sort, ad_str_c(sorts[i]))) {
            w->by_completion = sort.p && i >= 2;
            w->descending = sort.p && i % 2;
            return true;
        }
    }
    ad_sim_issue(c, "created_at:asc or created_at:desc", "string", "sort");
    return false;
}

static bool parse_assignee(struct ad_sim_call *c, struct wanted *w)
{
    struct ad_str ref = ad_sim_param(c, "assignee");
    w->by_assignee = ref.p != NULL;
    if (!ref.p || ref.n == 0 || ad_str_eq(ref, AD_STR("null"))) {
        return true;
    }
    w->assignee = ad_sim_member_find(c->store, ref);
    if (!w->assignee) {
        ad_sim_bad(c, "value_not_found", "Workspace member with %s \"%.*s\" not found.",
                   ad_str_is_uuid(ref) ? "ID" : "email address", AD_FMT(ref));
    }
    return w->assignee != NULL;
}

/* False: an error has been set. */
static bool parse_wanted(struct ad_sim_call *c, struct wanted *w)
{
    struct ad_str object = ad_sim_param(c, "linked_object");
    struct ad_str record = ad_sim_param(c, "linked_record_id");
    struct ad_str completed = ad_sim_param(c, "is_completed");
    w->by_completed = completed.p != NULL;
    w->completed = ad_str_eq(completed, AD_STR("true"));
    if (completed.p && !w->completed && !ad_str_eq(completed, AD_STR("false"))) {
        ad_sim_issue(c, "boolean", "string", "is_completed");
    }
    if (!object.p != !record.p) {
        ad_sim_issue(c, "string", NULL, "%s", object.p ? "linked_record_id" : "linked_object");
    }
    AD_IGNORE(!parse_sort(c, w), "noted");
    if (!ad_sim_paging(c, 1, INT64_MAX, &w->limit, &w->offset) || !parse_assignee(c, w)) {
        return false;
    }
    w->linked = object.p ? ad_sim_named_record(c, object, record) : NULL;
    return !object.p || w->linked;
}

static bool is_wanted(const struct wanted *w, const struct ad_sim_task *task)
{
    bool assigned = w->assignee
                        ? memchr(task->assignees, w->assignee->actor, task->assignees_n) != NULL
                        : task->assignees_n == 0;
    return (!w->by_assignee || assigned) && (!w->by_completed || task->completed == w->completed) &&
           (!w->linked || is_linked(task, w->linked));
}

/* Open tasks come last in either direction. */
static bool comes_before(const struct ad_sim_task *a, const struct ad_sim_task *b, bool descending)
{
    if (!a->completed || !b->completed) {
        return a->completed && !b->completed;
    }
    return descending ? a->completed_ns > b->completed_ns : a->completed_ns < b->completed_ns;
}

static void sort_by_completion(const struct ad_sim_task **tasks, size_t n, bool descending)
{
    for (size_t i = 1; i < n; i++) { /* stable; few are as many as that */
        const struct ad_sim_task *t = tasks[i];
        size_t k = i;
        for (; k > 0 && comes_before(t, tasks[k - 1], descending); k--) {
            tasks[k] = tasks[k - 1];
        }
        tasks[k] = t;
    }
}

static void list_tasks(struct ad_sim_call *c)
{
    struct wanted want = { .limit = 500 };
    const struct ad_sim_shelf *shelf = ad_sim_shelf(c->store, AD_SIM_TASKS);
    struct ad_json_writer w;
    size_t n = 0;
    if (!parse_wanted(c, &want)) {
        return;
    }
    const struct ad_sim_task **found =
        ad_arena_alloc(c->arena, (shelf->n + 1) * sizeof(struct ad_sim_task *));
    AD_ASSERT(found);
    for (size_t i = 0; i < shelf->n; i++) {
        bool reverse = want.descending && !want.by_completion;
        const struct ad_sim_task *task = of(shelf->sorted[reverse ? shelf->n - 1 - i : i]);
        if (is_wanted(&want, task)) {
            found[n++] = task;
        }
    }
    if (want.by_completion) {
        sort_by_completion(found, n, want.descending);
    }
    ad_sim_data_begin(c, &w);
    ad_json_arr(&w);
    for (size_t i = 0; i < n && want.limit > 0; i++) {
        if (want.offset-- <= 0) {
            want.limit--;
            write_task(&w, c->store, &found[i]->item);
        }
    }
    ad_json_end(&w);
    ad_sim_data_end(c, &w);
}

const struct ad_sim_route ad_sim_task_routes[] = {
    { AD_HTTP_GET, "/v2/tasks", list_tasks, AD_SIM_READ, false },
    { AD_HTTP_POST, "/v2/tasks", create_task, AD_SIM_WRITE, true },
    { AD_HTTP_GET, "/v2/tasks/{task}", get_task, AD_SIM_READ, false },
    { AD_HTTP_PATCH, "/v2/tasks/{task}", patch_task, AD_SIM_WRITE, true },
    { AD_HTTP_DELETE, "/v2/tasks/{task}", delete_task, AD_SIM_WRITE, false },
    { 0, NULL, NULL, AD_SIM_READ, false },
};
