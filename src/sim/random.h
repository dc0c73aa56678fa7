/* Random content for whatever there is: records of made-up objects, entries, notes, tasks, comments.
 *
 * Standard objects have a maker that knows what their attributes mean (seed.h); here everything comes
 * from an attribute's type. As a user of the workspace would do it: with events. */
#ifndef AD_SIM_RANDOM_H
#define AD_SIM_RANDOM_H

#include "activity.h"

/* A record of an object, or an entry of a random parent. NULL: not possible now. */
struct ad_sim_record *ad_sim_random_put(struct ad_sim_store *s, struct ad_sim_object *set,
                                        struct ad_rand *rand);
/* One attribute of it that is no side of a relationship gets another value. False: it has the same
 * by chance, or this one cannot change. */
bool ad_sim_random_change(struct ad_sim_store *s, struct ad_sim_record *r, struct ad_rand *rand);
/* Drafts for the attributes of a set, each with a likelihood of `percent`, required ones always;
 * from ad_sim_alloc. */
struct ad_sim_draft *ad_sim_random_drafts(struct ad_sim_store *s, const struct ad_sim_object *set,
                                          struct ad_rand *rand, unsigned percent, size_t *n);

/* An attribute that is not Attio's own is made, renamed, archived, restored or of another type.
 * False: nothing happened. */
bool ad_sim_random_schema(struct ad_sim_store *s, struct ad_sim_object *set, struct ad_rand *rand);

/* Any record; NULL when there is none. */
struct ad_sim_record *ad_sim_random_record(const struct ad_sim_store *s, struct ad_rand *rand);
/* One more item, or a change or the end of a random one; false: nothing happened. */
bool ad_sim_random_add(struct ad_sim_store *s, struct ad_sim_shelf *shelf, struct ad_rand *rand,
                       int64_t created_ns);
bool ad_sim_random_touch(struct ad_sim_store *s, struct ad_sim_shelf *shelf, struct ad_rand *rand);
bool ad_sim_random_remove(struct ad_sim_store *s, struct ad_sim_shelf *shelf, struct ad_rand *rand);

#endif
