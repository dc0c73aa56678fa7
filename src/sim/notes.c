/* Notes: model and routes. */
#include "activity.h"
#include "base/mem.h"
#include "call.h"

#define CONTENT_MAX (1u << 20) /* Attio refuses what is too large and does not say what that is */

static struct ad_sim_note *of(struct ad_sim_item *item)
{
    return (struct ad_sim_note *)item;
}

static void emit(struct ad_sim_store *s, const char *type, const struct ad_sim_note *note,
                 uint8_t actor)
{
    struct ad_sim_event event = { .type = type, .actor = actor };
    ad_sim_event_id(&event, "id.workspace_id", s->workspace_id);
    ad_sim_event_id(&event, "id.note_id", note->item.id);
    ad_sim_event_id(&event, "parent_object_id", note->parent->object->id);
    ad_sim_event_id(&event, "parent_record_id", note->parent->id);
    ad_sim_emit(s, &event);
}

struct ad_sim_note *ad_sim_note_add(struct ad_sim_store *s, struct ad_sim_record *parent,
                                    struct ad_str title, struct ad_str content, bool markdown,
                                    int64_t created_ns, uint8_t actor)
{
    struct ad_sim_note *note = ad_sim_alloc(sizeof(*note));
    note->parent = parent;
    note->title = ad_sim_text(title);
    note->content = ad_sim_text(content);
    note->markdown = markdown;
    note->actor = actor;
    ad_sim_shelf_put(ad_sim_shelf(s, AD_SIM_NOTES), &note->item, created_ns);
    emit(s, "note.created", note, actor);
    return note;
}

static bool replace(struct ad_str *text, struct ad_str with)
{
    if (!with.p || ad_str_eq(*text, with)) {
        return false;
    }
    ad_sim_text_free(*text);
    *text = ad_sim_text(with);
    return true;
}

bool ad_sim_note_change(struct ad_sim_store *s, struct ad_sim_note *note, struct ad_str title,
                        struct ad_str content, bool markdown, uint8_t actor)
{
    bool titled = replace(&note->title, title);
    bool written = content.p && note->markdown != markdown;
    note->markdown = written ? markdown : note->markdown;
    written = replace(&note->content, content) || written;
    if (titled) {
        emit(s, "note.updated", note, actor);
    }
    if (written) {
        emit(s, "note-content.updated", note, actor);
    }
    return titled || written;
}

static void free_note(struct ad_sim_item *item)
{
    ad_sim_text_free(of(item)->title);
    ad_sim_text_free(of(item)->content);
    ad_free(item);
}

static void remove_note(struct ad_sim_store *s, struct ad_sim_item *item, uint8_t actor)
{
    ad_sim_shelf_take(ad_sim_shelf(s, AD_SIM_NOTES), item);
    emit(s, "note.deleted", of(item), actor);
    free_note(item);
}

static void leave(struct ad_sim_store *s, struct ad_sim_item *item, struct ad_sim_record *record,
                  struct ad_sim_record *to, uint8_t actor)
{
    if (of(item)->parent != record) {
        return;
    }
    if (to) {
        of(item)->parent = to;
    } else {
        remove_note(s, item, actor);
    }
}

/* --- Reading --- */

/* The few signs of Attio's Markdown that say nothing in plain text. */
static size_t sign_length(struct ad_str rest, bool at_line_start)
{
    static const char *const signs[] = { "### ", "## ", "# ", "**", "~~", "==", "*" };
    for (size_t i = 0; i < AD_LEN(signs); i++) {
        bool heading = signs[i][0] == '#';
        if (ad_str_starts(rest, ad_str_c(signs[i])) && (!heading || at_line_start)) {
            bool bullet = at_line_start && ad_str_starts(rest, AD_STR("* "));
            return bullet ? 0 : strlen(signs[i]);
        }
    }
    return 0;
}

static void write_plain(struct ad_json_writer *w, const struct ad_sim_note *note)
{
    struct ad_str in = note->content;
    char *plain = ad_sim_alloc(in.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < in.n; i++) {
        struct ad_str rest = ad_str_n(in.p + i, in.n - i);
        size_t skip = sign_length(rest, i == 0 || in.p[i - 1] == '\n');
        if (skip > 0) {
            i += skip - 1;
        } else {
            plain[n++] = in.p[i];
        }
    }
    ad_json_f_str(w, "content_plaintext", ad_str_n(plain, n));
    ad_free(plain);
}

static void write_note(struct ad_json_writer *w, const struct ad_sim_store *s,
                       const struct ad_sim_item *item)
{
    const struct ad_sim_note *note = (const struct ad_sim_note *)item;
    ad_json_obj(w);
    ad_sim_w_id(w, s, "note_id", item->id);
    ad_json_f_cstr(w, "parent_object", note->parent->object->slug);
    ad_sim_w_uuid(w, "parent_record_id", note->parent->id);
    ad_json_f_str(w, "title", note->title);
    ad_json_f_cstr(w, "meeting_id", NULL);
    if (note->markdown) {
        write_plain(w, note);
    } else {
        ad_json_f_str(w, "content_plaintext", note->content);
    }
    ad_json_f_str(w, "content_markdown", note->content);
    ad_json_key(w, "tags");
    ad_json_arr(w);
    ad_json_end(w);
    ad_sim_w_actor(w, s, "created_by_actor", note->actor);
    ad_json_key(w, "created_at");
    ad_json_w_time(w, item->created_ns);
    ad_json_end(w);
}

const struct ad_sim_item_ops ad_sim_note_ops = {
    .name = "notes", .write = write_note, .remove = remove_note, .free = free_note, .leave = leave
};

/* --- Routes --- */

static void answer(struct ad_sim_call *c, const struct ad_sim_note *note)
{
    struct ad_json_writer w;
    ad_sim_data_begin(c, &w);
    write_note(&w, c->store, &note->item);
    ad_sim_data_end(c, &w);
}

static struct ad_sim_note *call_note(struct ad_sim_call *c)
{
    struct ad_str ref = c->x->params[0];
    struct ad_sim_item *item = ad_sim_shelf_find(ad_sim_shelf(c->store, AD_SIM_NOTES), ref);
    if (!item) {
        ad_sim_missing(c, "Note with ID \"%.*s\" was not found.", AD_FMT(ref));
        return NULL;
    }
    return of(item);
}

/* "plaintext" or "markdown"; else the issue is noted. */
static bool is_markdown(struct ad_sim_call *c, const struct ad_json *data)
{
    struct ad_str format = ad_json_str(ad_json_get(data, "format"));
    bool markdown = ad_str_eq(format, AD_STR("markdown"));
    if (format.p && !markdown && !ad_str_eq(format, AD_STR("plaintext"))) {
        ad_sim_issue(c, "plaintext or markdown", "string", "data.format");
    }
    return markdown;
}

static bool fits(struct ad_sim_call *c, struct ad_str content)
{
    if (content.n > CONTENT_MAX) {
        ad_sim_fail(c, 413, "invalid_request_error", "validation_type",
                    "The content of the note is too large.");
        return false;
    }
    return true;
}

/* There are no meetings here to belong to. */
static bool meeting_ok(struct ad_sim_call *c, const struct ad_json *data)
{
    struct ad_str meeting = ad_json_str(ad_json_get(data, "meeting_id"));
    if (meeting.p) {
        ad_sim_missing(c, "Meeting with ID \"%.*s\" not found.", AD_FMT(meeting));
    }
    return !meeting.p;
}

static void create_note(struct ad_sim_call *c)
{
    static const struct ad_sim_field fields[] = {
        { "data", AD_SIM_IS(OBJECT), true },
        { "data.parent_object", AD_SIM_IS(STRING), true },
        { "data.parent_record_id", AD_SIM_IS(STRING), true },
        { "data.title", AD_SIM_IS(STRING), true },
        { "data.format", AD_SIM_IS(STRING), true },
        { "data.content", AD_SIM_IS(STRING), true },
        { "data.meeting_id", AD_SIM_IS(STRING) | AD_SIM_IS(NULL), false },
    };
    ad_sim_check(c, c->body, "", fields, AD_LEN(fields));
    const struct ad_json *data = ad_json_get(c->body, "data");
    struct ad_str content = ad_json_str(ad_json_get(data, "content"));
    bool markdown = is_markdown(c, data);
    int64_t created_ns = ad_sim_created_at(c, data);
    if (!ad_sim_body_ok(c) || !fits(c, content) || !meeting_ok(c, data)) {
        return;
    }
    struct ad_sim_record *parent =
        ad_sim_named_record(c, ad_json_str(ad_json_get(data, "parent_object")),
                            ad_json_str(ad_json_get(data, "parent_record_id")));
    if (parent) {
        answer(c, ad_sim_note_add(c->store, parent, ad_json_str(ad_json_get(data, "title")),
                                  content, markdown, created_ns, AD_SIM_ACTOR_TOKEN));
    }
}

static void get_note(struct ad_sim_call *c)
{
    const struct ad_sim_note *note = call_note(c);
    if (note) {
        answer(c, note);
    }
}

static void patch_note(struct ad_sim_call *c)
{
    static const struct ad_sim_field fields[] = {
        { "data", AD_SIM_IS(OBJECT), true },
        { "data.title", AD_SIM_IS(STRING), false },
        { "data.format", AD_SIM_IS(STRING), false },
        { "data.content", AD_SIM_IS(STRING), false },
    };
    struct ad_sim_note *note = call_note(c);
    if (!note) {
        return;
    }
    ad_sim_check(c, c->body, "", fields, AD_LEN(fields));
    const struct ad_json *data = ad_json_get(c->body, "data");
    struct ad_str title = ad_json_str(ad_json_get(data, "title"));
    struct ad_str content = ad_json_str(ad_json_get(data, "content"));
    bool markdown = is_markdown(c, data);
    if (content.p && !ad_json_get(data, "format")) {
        ad_sim_issue(c, "plaintext or markdown", NULL, "data.format");
    }
    if (!ad_sim_body_ok(c) || !fits(c, content)) {
        return;
    }
    if (!title.p && !content.p) {
        ad_sim_empty_payload(c);
        return;
    }
    AD_IGNORE(!ad_sim_note_change(c->store, note, title, content, markdown, AD_SIM_ACTOR_TOKEN),
              "the same again is fine");
    answer(c, note);
}

static void delete_note(struct ad_sim_call *c)
{
    struct ad_sim_note *note = call_note(c);
    if (note) {
        remove_note(c->store, &note->item, AD_SIM_ACTOR_TOKEN);
        ad_buf_put(c->out, AD_STR("{}"));
    }
}

/* What the list is restricted to: an object, or one record of it. False: an error has been set. */
static bool scope(struct ad_sim_call *c, struct ad_sim_object **object,
                  struct ad_sim_record **record)
{
    struct ad_str o = ad_sim_param(c, "parent_object");
    struct ad_str r = ad_sim_param(c, "parent_record_id");
    if (r.p && !o.p) {
        ad_sim_issue(c, "string", NULL, "parent_object");
    }
    if (r.p && !ad_str_is_uuid(r)) {
        ad_sim_issue(c, "uuid", "string", "parent_record_id");
    }
    if (!ad_sim_query_ok(c)) {
        return false;
    }
    *object = o.p ? ad_sim_object_find(c->store, o) : NULL;
    if (o.p && !*object) {
        ad_sim_missing(c, "Object with slug/ID \"%.*s\" not found.", AD_FMT(o));
        return false;
    }
    *record = r.p ? ad_sim_named_record(c, o, r) : NULL;
    return !r.p || *record;
}

static void list_notes(struct ad_sim_call *c)
{
    int64_t limit = 10;
    int64_t offset = 0;
    struct ad_sim_object *object = NULL;
    struct ad_sim_record *record = NULL;
    const struct ad_sim_shelf *shelf = ad_sim_shelf(c->store, AD_SIM_NOTES);
    struct ad_json_writer w;
    if (!ad_sim_paging(c, 1, 50, &limit, &offset) || !scope(c, &object, &record)) {
        return;
    }
    ad_sim_data_begin(c, &w);
    ad_json_arr(&w);
    for (size_t i = 0; i < shelf->n && limit > 0; i++) {
        const struct ad_sim_note *note = of(shelf->sorted[i]);
        if ((object && note->parent->object != object) || (record && note->parent != record) ||
            offset-- > 0) {
            continue;
        }
        limit--;
        write_note(&w, c->store, &note->item);
    }
    ad_json_end(&w);
    ad_sim_data_end(c, &w);
}

const struct ad_sim_route ad_sim_note_routes[] = {
    { AD_HTTP_GET, "/v2/notes", list_notes, AD_SIM_READ, false },
    { AD_HTTP_POST, "/v2/notes", create_note, AD_SIM_WRITE, true },
    { AD_HTTP_GET, "/v2/notes/{note}", get_note, AD_SIM_READ, false },
    { AD_HTTP_PATCH, "/v2/notes/{note}", patch_note, AD_SIM_WRITE, true },
    { AD_HTTP_DELETE, "/v2/notes/{note}", delete_note, AD_SIM_WRITE, false },
    { 0, NULL, NULL, AD_SIM_READ, false },
};
