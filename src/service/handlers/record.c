/* record.*: the record is fetched. Of a merge Attio tells the surviving record and one that gave way to
 * it; where two originals give way to a new one there are two such events. Both ends are looked at,
 * in whatever order they come; later events about an old one lead to what it became. */
#include "handlers.h"

static const char *const types[] = { "record.*", NULL };

static const struct ad_object *collection(const struct ad_schema *schema,
                                          const struct ad_handler_event *e)
{
    const struct ad_object *o = ad_schema_object(schema, ad_str_c(e->object_id));
    return o && !o->gone ? o : NULL;
}

static const char *id(const struct ad_handler_event *e)
{
    return e->record_id; /* "": of a type that this version does not know */
}

static void follow(struct ad_pull_job *job, const struct ad_handler_event *e)
{
    if (strcmp(e->type, "record.deleted") == 0) {
        ad_pull_said_gone(job);
    }
    if (*e->duplicate_record_id) {
        ad_pull_merged(job, e->duplicate_record_id);
    }
}

const struct ad_pull_family ad__record_family = {
    .handler = "mirror",
    .types = types,
    .collection = collection,
    .id = id,
    .follow = follow,
};
