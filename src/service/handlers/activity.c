/* Notes, tasks, comments, workspace members: each is fetched by itself. Call recordings are not
 * mirrored. */
#include "handlers.h"

static const char *const types[] = { "note.*",    "note-content.*",     "task.*",
                                     "comment.*", "workspace-member.*", "call-recording.*",
                                     NULL };

/* What Attio documents; of other types we do not know which of their ids is the thing's. */
static const struct what {
    const char *type;
    enum ad_kind kind;
    bool gone;
} known[] = {
    { "note.created", AD_KIND_NOTE, false },
    { "note.updated", AD_KIND_NOTE, false }, /* its title */
    { "note-content.updated", AD_KIND_NOTE, false },
    { "note.deleted", AD_KIND_NOTE, true },
    { "task.created", AD_KIND_TASK, false },
    { "task.updated", AD_KIND_TASK, false },
    { "task.deleted", AD_KIND_TASK, true },
    { "comment.created", AD_KIND_COMMENT, false },
    { "comment.resolved", AD_KIND_COMMENT, false },
    { "comment.unresolved", AD_KIND_COMMENT, false },
    { "comment.deleted", AD_KIND_COMMENT, true },
    { "workspace-member.created", AD_KIND_MEMBER, false },
};

static const struct what *what_of(const struct ad_handler_event *e)
{
    for (size_t i = 0; i < AD_LEN(known); i++) {
        if (strcmp(known[i].type, e->type) == 0) {
            return &known[i];
        }
    }
    return NULL;
}

static const struct ad_object *collection(const struct ad_schema *schema,
                                          const struct ad_handler_event *e)
{
    return ad_schema_builtin(schema, what_of(e)->kind);
}

static const char *id(const struct ad_handler_event *e)
{
    return what_of(e) ? e->primary_id : "";
}

static void follow(struct ad_pull_job *job, const struct ad_handler_event *e)
{
    const struct what *what = what_of(e);
    if (what && what->gone) {
        ad_pull_said_gone(job);
    }
}

const struct ad_pull_family ad__activity_family = {
    .handler = "mirror-activity",
    .types = types,
    .collection = collection,
    .id = id,
    .follow = follow,
};
