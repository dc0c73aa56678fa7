/* list-entry.*: the entry is fetched. */
#include "handlers.h"

static const char *const types[] = { "list-entry.*", NULL };

static const struct ad_object *collection(const struct ad_schema *schema,
                                          const struct ad_handler_event *e)
{
    const struct ad_object *o = ad_schema_list(schema, ad_str_c(e->list_id));
    return o && !o->gone ? o : NULL;
}

static const char *id(const struct ad_handler_event *e)
{
    return e->entry_id; /* "": of a type that this version does not know */
}

static void follow(struct ad_pull_job *job, const struct ad_handler_event *e)
{
    if (strcmp(e->type, "list-entry.deleted") == 0) {
        ad_pull_said_gone(job);
    }
}

const struct ad_pull_family ad__entry_family = {
    .handler = "mirror-entries",
    .types = types,
    .collection = collection,
    .id = id,
    .follow = follow,
};
