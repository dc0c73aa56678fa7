/* Comments and the threads they make: model and routes. */
#include "activity.h"
#include "base/mem.h"
#include "call.h"

static struct ad_sim_comment *of(struct ad_sim_item *item)
{
    return (struct ad_sim_comment *)item;
}

static const struct ad_sim_shelf *shelf_of(const struct ad_sim_store *s)
{
    return ad_sim_shelf(s, AD_SIM_COMMENTS);
}

static void emit(struct ad_sim_store *s, const char *type, const struct ad_sim_comment *comment,
                 uint8_t actor)
{
    struct ad_sim_event event = { .type = type, .actor = actor };
    const struct ad_sim_record *entry = comment->entry;
    ad_sim_event_id(&event, "id.workspace_id", s->workspace_id);
    ad_sim_event_id(&event, "id.comment_id", comment->item.id);
    ad_sim_event_id(&event, "thread_id", comment->head->item.id);
    ad_sim_event_id(&event, "object_id", comment->record->object->id);
    ad_sim_event_id(&event, "record_id", comment->record->id);
    ad_sim_event_id(&event, "list_id", entry ? entry->object->id : NULL);
    ad_sim_event_id(&event, "entry_id", entry ? entry->id : NULL);
    ad_sim_emit(s, &event);
}

struct ad_sim_comment *ad_sim_comment_add(struct ad_sim_store *s, struct ad_sim_comment *head,
                                          struct ad_sim_record *on, struct ad_str content,
                                          int64_t created_ns, uint8_t author)
{
    struct ad_sim_comment *comment = ad_sim_alloc(sizeof(*comment));
    bool entry = !head && ad_sim_is_entry(on);
    comment->head = head ? head : comment;
    comment->entry = head ? head->entry : entry ? on : NULL;
    comment->record = head ? head->record : entry ? ad_sim_parent(on) : on;
    comment->content = ad_sim_text(content);
    comment->author = author;
    ad_sim_shelf_put(ad_sim_shelf(s, AD_SIM_COMMENTS), &comment->item, created_ns);
    emit(s, "comment.created", comment, author);
    return comment;
}

bool ad_sim_comment_resolve(struct ad_sim_store *s, struct ad_sim_comment *comment, bool resolved,
                            uint8_t actor)
{
    if (resolved == (comment->resolved_ns != 0)) {
        return false;
    }
    comment->resolved_ns = resolved ? ad_sim_now(s) : 0;
    comment->resolved_by = actor;
    emit(s, resolved ? "comment.resolved" : "comment.unresolved", comment, actor);
    return true;
}

static void free_comment(struct ad_sim_item *item)
{
    ad_sim_text_free(of(item)->content);
    ad_free(item);
}

static void remove_one(struct ad_sim_store *s, struct ad_sim_item *item, uint8_t actor)
{
    ad_sim_shelf_take(ad_sim_shelf(s, AD_SIM_COMMENTS), item);
    emit(s, "comment.deleted", of(item), actor);
    free_comment(item);
}

/* The thread goes with its first comment, each with an event of its own. */
static void remove_comment(struct ad_sim_store *s, struct ad_sim_item *item, uint8_t actor)
{
    const struct ad_sim_shelf *shelf = shelf_of(s);
    struct ad_sim_comment *head = of(item);
    for (size_t i = shelf->n; head->head == head && i-- > 0;) {
        struct ad_sim_comment *other = of(shelf->sorted[i]);
        if (other->head == head && other != head) {
            remove_one(s, &other->item, actor);
        }
    }
    remove_one(s, item, actor);
}

static void leave(struct ad_sim_store *s, struct ad_sim_item *item, struct ad_sim_record *record,
                  struct ad_sim_record *to, uint8_t actor)
{
    struct ad_sim_comment *comment = of(item);
    bool here = comment->record == record || comment->entry == record;
    if (here && !to) {
        remove_comment(s, item, actor);
    } else if (comment->record == record) {
        comment->record = to;
    } else if (here) {
        comment->entry = to;
    }
}

/* --- Reading --- */

static void write_place(struct ad_json_writer *w, const struct ad_sim_comment *comment)
{
    ad_json_key(w, "entry");
    if (comment->entry) {
        ad_json_obj(w);
        ad_sim_w_uuid(w, "entry_id", comment->entry->id);
        ad_sim_w_uuid(w, "list_id", comment->entry->object->id);
        ad_json_end(w);
    } else {
        ad_json_w_null(w);
    }
    ad_json_key(w, "record");
    ad_json_obj(w);
    ad_sim_w_uuid(w, "record_id", comment->record->id);
    ad_sim_w_uuid(w, "object_id", comment->record->object->id);
    ad_json_end(w);
}

static void write_comment(struct ad_json_writer *w, const struct ad_sim_store *s,
                          const struct ad_sim_item *item)
{
    const struct ad_sim_comment *comment = (const struct ad_sim_comment *)item;
    ad_json_obj(w);
    ad_sim_w_id(w, s, "comment_id", item->id);
    ad_sim_w_uuid(w, "thread_id", comment->head->item.id);
    ad_json_f_str(w, "content_plaintext", comment->content);
    write_place(w, comment);
    if (comment->resolved_ns) {
        ad_json_key(w, "resolved_at");
        ad_json_w_time(w, comment->resolved_ns);
        ad_sim_w_actor(w, s, "resolved_by", comment->resolved_by);
    } else {
        ad_json_f_cstr(w, "resolved_at", NULL);
        ad_json_f_cstr(w, "resolved_by", NULL);
    }
    ad_json_key(w, "created_at");
    ad_json_w_time(w, item->created_ns);
    ad_sim_w_actor(w, s, "author", comment->author);
    ad_json_end(w);
}

const struct ad_sim_item_ops ad_sim_comment_ops = { .name = "comments",
                                                    .write = write_comment,
                                                    .remove = remove_comment,
                                                    .free = free_comment,
                                                    .leave = leave };

static void write_thread(struct ad_json_writer *w, const struct ad_sim_store *s,
                         const struct ad_sim_comment *head)
{
    const struct ad_sim_shelf *shelf = shelf_of(s);
    ad_json_obj(w);
    ad_sim_w_id(w, s, "thread_id", head->item.id);
    ad_json_key(w, "comments");
    ad_json_arr(w);
    for (size_t i = 0; i < shelf->n; i++) {
        if (of(shelf->sorted[i])->head == head) {
            write_comment(w, s, shelf->sorted[i]);
        }
    }
    ad_json_end(w);
    ad_json_key(w, "created_at");
    ad_json_w_time(w, head->item.created_ns);
    ad_json_end(w);
}

static void answer(struct ad_sim_call *c, const struct ad_sim_comment *comment)
{
    struct ad_json_writer w;
    ad_sim_data_begin(c, &w);
    write_comment(&w, c->store, &comment->item);
    ad_sim_data_end(c, &w);
}

/* --- Comments --- */

static struct ad_sim_comment *find(struct ad_sim_call *c, struct ad_str ref)
{
    struct ad_sim_item *item = ad_sim_shelf_find(shelf_of(c->store), ref);
    return item ? of(item) : NULL;
}

/* An entry named in a body or a query string; NULL: a 404 has been set. */
static struct ad_sim_record *named_entry(struct ad_sim_call *c, struct ad_str list,
                                         struct ad_str entry)
{
    uint8_t id[16];
    struct ad_sim_object *o = ad_sim_list_find(c->store, list);
    struct ad_sim_record *r = o && ad_sim_uuid_parse(entry, id) ? ad_sim_record_find(o, id) : NULL;
    if (!o) {
        ad_sim_missing(c, "List with slug/ID \"%.*s\" not found.", AD_FMT(list));
    } else if (!r) {
        ad_sim_missing(c, "Entry with ID \"%.*s\" not found.", AD_FMT(entry));
    }
    return r;
}

/* Exactly one of thread_id, record, entry says where it belongs. */
static void check_place(struct ad_sim_call *c, const struct ad_json *data)
{
    static const struct ad_sim_field fields[][2] = {
        { { "record.object", AD_SIM_IS(STRING), true },
          { "record.record_id", AD_SIM_IS(STRING), true } },
        { { "entry.list", AD_SIM_IS(STRING), true },
          { "entry.entry_id", AD_SIM_IS(STRING), true } },
    };
    const struct ad_json *record = ad_json_get(data, "record");
    const struct ad_json *entry = ad_json_get(data, "entry");
    int places = (ad_json_get(data, "thread_id") != NULL) + (record != NULL) + (entry != NULL);
    if (places != 1) {
        ad_sim_issue(c, "one of thread_id, record and entry", places ? "object" : NULL, "data");
    } else if (record || entry) {
        ad_sim_check(c, data, "data", fields[entry != NULL], 2);
    }
}

/* Where the comment goes. False: an error has been set. */
static bool find_place(struct ad_sim_call *c, const struct ad_json *data,
                       struct ad_sim_comment **head, struct ad_sim_record **on)
{
    const struct ad_json *thread = ad_json_get(data, "thread_id");
    const struct ad_json *entry = ad_json_get(data, "entry");
    if (thread) {
        *head = find(c, ad_json_str(thread));
        if (!*head || (*head)->head != *head) {
            ad_sim_bad(c, "value_not_found",
                       "The referenced Thread could not be found, it might have been deleted.");
            return false;
        }
        return true;
    }
    *on = entry ? named_entry(c, ad_json_str(ad_json_get(entry, "list")),
                              ad_json_str(ad_json_get(entry, "entry_id")))
                : ad_sim_named_record(c, ad_json_str(ad_json_path(data, "record.object")),
                                      ad_json_str(ad_json_path(data, "record.record_id")));
    return *on != NULL;
}

static void check_words(struct ad_sim_call *c, const struct ad_json *data)
{
    struct ad_str format = ad_json_str(ad_json_get(data, "format"));
    struct ad_str type = ad_json_str(ad_json_path(data, "author.type"));
    if (format.p && !ad_str_eq(format, AD_STR("plaintext"))) {
        ad_sim_issue(c, "plaintext", "string", "data.format");
    }
    if (type.p && !ad_str_eq(type, AD_STR("workspace-member"))) {
        ad_sim_issue(c, "workspace-member", "string", "data.author.type");
    }
}

static const struct ad_sim_member *find_author(struct ad_sim_call *c, const struct ad_json *data)
{
    struct ad_str id = ad_json_str(ad_json_path(data, "author.id"));
    const struct ad_sim_member *author =
        ad_str_is_uuid(id) ? ad_sim_member_find(c->store, id) : NULL;
    if (!author) {
        ad_sim_bad(c, "value_not_found", "Workspace member with ID \"%.*s\" not found.",
                   AD_FMT(id));
    }
    return author;
}

static void create_comment(struct ad_sim_call *c)
{
    static const struct ad_sim_field fields[] = {
        { "data", AD_SIM_IS(OBJECT), true },
        { "data.format", AD_SIM_IS(STRING), true },
        { "data.content", AD_SIM_IS(STRING), true },
        { "data.author", AD_SIM_IS(OBJECT), true },
        { "data.author.type", AD_SIM_IS(STRING), true },
        { "data.author.id", AD_SIM_IS(STRING), true },
        { "data.thread_id", AD_SIM_IS(STRING), false },
        { "data.record", AD_SIM_IS(OBJECT), false },
        { "data.entry", AD_SIM_IS(OBJECT), false },
    };
    struct ad_sim_comment *head = NULL;
    struct ad_sim_record *on = NULL;
    ad_sim_check(c, c->body, "", fields, AD_LEN(fields));
    const struct ad_json *data = ad_json_get(c->body, "data");
    int64_t created_ns = ad_sim_created_at(c, data);
    check_words(c, data);
    check_place(c, data);
    if (!ad_sim_body_ok(c)) {
        return;
    }
    const struct ad_sim_member *author = find_author(c, data);
    if (author && find_place(c, data, &head, &on)) {
        answer(c, ad_sim_comment_add(c->store, head, on, ad_json_str(ad_json_get(data, "content")),
                                     created_ns, author->actor));
    }
}

static void get_comment(struct ad_sim_call *c)
{
    const struct ad_sim_comment *comment = find(c, c->x->params[0]);
    if (comment) {
        answer(c, comment);
    } else {
        ad_sim_missing(c, "Comment with ID \"%.*s\" was not found.", AD_FMT(c->x->params[0]));
    }
}

static void delete_comment(struct ad_sim_call *c)
{
    struct ad_sim_comment *comment = find(c, c->x->params[0]);
    if (comment) {
        remove_comment(c->store, &comment->item, AD_SIM_ACTOR_TOKEN);
        ad_buf_put(c->out, AD_STR("{}"));
    } else {
        ad_sim_missing(c, "Could not find Comment with ID \"%.*s\".", AD_FMT(c->x->params[0]));
    }
}

/* POST /_sim/comments/{id} {"resolved":true}: Attio's API cannot, its users can. */
static void resolve_comment(struct ad_sim_call *c)
{
    bool resolved = false;
    struct ad_sim_comment *comment = find(c, c->x->params[0]);
    const struct ad_json *v = ad_json_get(c->body, "resolved");
    if (!comment) {
        ad_sim_missing(c, "Comment with ID \"%.*s\" was not found.", AD_FMT(c->x->params[0]));
    } else if (!v || !ad_json_bool(v, &resolved)) {
        ad_sim_issue(c, "boolean", ad_sim_type_name(v), "resolved");
        AD_IGNORE(ad_sim_body_ok(c), "it is not");
    } else {
        AD_IGNORE(!ad_sim_comment_resolve(c->store, comment, resolved, AD_SIM_ACTOR_MEMBERS),
                  "the same again is fine");
        answer(c, comment);
    }
}

/* --- Threads --- */

/* The record or the entry whose threads are asked for; NULL: an error has been set. Attio does not
 * say what a request without either gets. */
static struct ad_sim_record *thread_place(struct ad_sim_call *c)
{
    struct ad_str record = ad_sim_param(c, "record_id");
    struct ad_str object = ad_sim_param(c, "object");
    struct ad_str entry = ad_sim_param(c, "entry_id");
    struct ad_str list = ad_sim_param(c, "list");
    bool by_record = record.p && object.p;
    bool by_entry = entry.p && list.p;
    if (!record.p != !object.p || (!by_record && !by_entry)) {
        ad_sim_issue(c, "string", NULL, "%s", record.p ? "object" : "record_id");
    }
    if (!entry.p != !list.p || (by_record && by_entry)) {
        ad_sim_issue(c, "string", NULL, "%s", entry.p ? "list" : "entry_id");
    }
    if (!ad_sim_query_ok(c)) {
        return NULL;
    }
    return by_record ? ad_sim_named_record(c, object, record) : named_entry(c, list, entry);
}

static void list_threads(struct ad_sim_call *c)
{
    int64_t limit = 10;
    int64_t offset = 0;
    const struct ad_sim_shelf *shelf = shelf_of(c->store);
    struct ad_json_writer w;
    if (!ad_sim_paging(c, 1, 50, &limit, &offset)) {
        return;
    }
    const struct ad_sim_record *on = thread_place(c);
    if (!on) {
        return;
    }
    ad_sim_data_begin(c, &w);
    ad_json_arr(&w);
    for (size_t i = 0; i < shelf->n && limit > 0; i++) {
        const struct ad_sim_comment *head = of(shelf->sorted[i]);
        const struct ad_sim_record *place = head->entry ? head->entry : head->record;
        if (head->head != head || place != on || offset-- > 0) {
            continue;
        }
        limit--;
        write_thread(&w, c->store, head);
    }
    ad_json_end(&w);
    ad_sim_data_end(c, &w);
}

static void get_thread(struct ad_sim_call *c)
{
    struct ad_json_writer w;
    const struct ad_sim_comment *head = find(c, c->x->params[0]);
    if (!head || head->head != head) {
        ad_sim_missing(c, "Thread with ID \"%.*s\" was not found.", AD_FMT(c->x->params[0]));
        return;
    }
    ad_sim_data_begin(c, &w);
    write_thread(&w, c->store, head);
    ad_sim_data_end(c, &w);
}

const struct ad_sim_route ad_sim_comment_routes[] = {
    { AD_HTTP_POST, "/v2/comments", create_comment, AD_SIM_WRITE, true },
    { AD_HTTP_GET, "/v2/comments/{comment}", get_comment, AD_SIM_READ, false },
    { AD_HTTP_DELETE, "/v2/comments/{comment}", delete_comment, AD_SIM_WRITE, false },
    { AD_HTTP_POST, "/_sim/comments/{comment}", resolve_comment, AD_SIM_READ, true },
    { AD_HTTP_GET, "/v2/threads", list_threads, AD_SIM_READ, false },
    { AD_HTTP_GET, "/v2/threads/{thread}", get_thread, AD_SIM_READ, false },
    { 0, NULL, NULL, AD_SIM_READ, false },
};
