/* What the six kinds of things are in SQL. */
#include "mirror_private.h"

#define TEXT(name, path)           \
    {                              \
        name, path, AD_COLUMN_TEXT \
    }
#define BOOL(name, path)           \
    {                              \
        name, path, AD_COLUMN_BOOL \
    }
#define JSON(name, path)           \
    {                              \
        name, path, AD_COLUMN_JSON \
    }

/* As Attio's API reference names them. */
static const struct ad_property entry_columns[] = {
    TEXT("parent_object", "parent_object"),
    TEXT("parent_record_id", "parent_record_id"),
};
static const struct ad_property note_columns[] = {
    TEXT("parent_object", "parent_object"),
    TEXT("parent_record_id", "parent_record_id"),
    TEXT("title", "title"),
    TEXT("meeting_id", "meeting_id"),
    TEXT("content_plaintext", "content_plaintext"),
    TEXT("content_markdown", "content_markdown"),
    JSON("tags", "tags"),
    TEXT("created_by_actor_type", "created_by_actor.type"),
    TEXT("created_by_actor_id", "created_by_actor.id"),
};
static const struct ad_property task_columns[] = {
    TEXT("content_plaintext", "content_plaintext"),
    TEXT("deadline_at", "deadline_at"),
    BOOL("is_completed", "is_completed"),
    TEXT("completed_at", "completed_at"),
    JSON("linked_records", "linked_records"),
    JSON("assignees", "assignees"),
    TEXT("created_by_actor_type", "created_by_actor.type"),
    TEXT("created_by_actor_id", "created_by_actor.id"),
};
static const struct ad_property comment_columns[] = {
    TEXT("thread_id", "thread_id"),           TEXT("content_plaintext", "content_plaintext"),
    TEXT("object_id", "record.object_id"),    TEXT("record_id", "record.record_id"),
    TEXT("list_id", "entry.list_id"),         TEXT("entry_id", "entry.entry_id"),
    TEXT("author_type", "author.type"),       TEXT("author_id", "author.id"),
    TEXT("resolved_at", "resolved_at"),       TEXT("resolved_by_type", "resolved_by.type"),
    TEXT("resolved_by_id", "resolved_by.id"),
};
static const struct ad_property member_columns[] = {
    TEXT("first_name", "first_name"),       TEXT("last_name", "last_name"),
    TEXT("email_address", "email_address"), TEXT("avatar_url", "avatar_url"),
    TEXT("access_level", "access_level"),
};

static const struct ad_kind_shape kinds[AD_KINDS] = {
    [AD_KIND_OBJECT] = { .table = "attiod_o_",
                         .view = "",
                         .many = true,
                         .key = "record_id",
                         .key_path = "id.record_id",
                         .values = "values",
                         .created_at = "values.created_at[0].value" },
    [AD_KIND_LIST] = { .table = "attiod_l_",
                       .view = "list_",
                       .many = true,
                       .key = "entry_id",
                       .key_path = "id.entry_id",
                       .values = "entry_values",
                       .created_at = "entry_values.created_at[0].value",
                       .parent = "parent_record_id",
                       .fixed = entry_columns,
                       .fixed_n = AD_LEN(entry_columns) },
    [AD_KIND_NOTE] = { .table = "attiod_notes",
                       .view = "notes",
                       .key = "note_id",
                       .key_path = "id.note_id",
                       .parent = "parent_record_id",
                       .fixed = note_columns,
                       .fixed_n = AD_LEN(note_columns) },
    [AD_KIND_TASK] = { .table = "attiod_tasks",
                       .view = "tasks",
                       .key = "task_id",
                       .key_path = "id.task_id",
                       .fixed = task_columns,
                       .fixed_n = AD_LEN(task_columns) },
    [AD_KIND_COMMENT] = { .table = "attiod_comments",
                          .view = "comments",
                          .key = "comment_id",
                          .key_path = "id.comment_id",
                          .parent = "record_id",
                          .fixed = comment_columns,
                          .fixed_n = AD_LEN(comment_columns) },
    [AD_KIND_MEMBER] = { .table = "attiod_workspace_members",
                         .view = "workspace_members",
                         .key = "workspace_member_id",
                         .key_path = "id.workspace_member_id",
                         .fixed = member_columns,
                         .fixed_n = AD_LEN(member_columns) },
};

const struct ad_kind_shape *ad__kind_shape(enum ad_kind kind)
{
    return &kinds[kind];
}
