/* What a fresh workspace holds: the standard objects with their attributes, and made-up records.
 *
 * Everything comes from the seed: same seed, same ids, names and times. */
#ifndef AD_SIM_SEED_H
#define AD_SIM_SEED_H

#include "model.h"

struct ad_sim_sizes {
    uint64_t people, companies, deals, users, workspaces;
    uint64_t lists, entries, notes, tasks, comments; /* entries in all lists together */
    uint64_t ties; /* so many of the oldest people share one created_at */
};

/* Objects people, companies, deals; members; options. */
void ad_sim_seed_schema(struct ad_sim_store *s);
/* A standard object that is optional (users, workspaces), with its relationships; no harm when it is
 * there already. NULL: there is no such standard object. */
struct ad_sim_object *ad_sim_activate(struct ad_sim_store *s, struct ad_str slug);
/* Makes users and workspaces active when there are to be any. */
void ad_sim_seed_records(struct ad_sim_store *s, const struct ad_sim_sizes *sizes);

/* Lists, entries, notes, tasks, comments (seed_activity.c). */
void ad_sim_seed_activity(struct ad_sim_store *s, const struct ad_sim_sizes *sizes);

/* One made-up record or change, as a user of the workspace would make it: with events. False when
 * nothing changed; `alone`: no relationship is touched, so that no other record changes with it. */
struct ad_sim_record *ad_sim_random_insert(struct ad_sim_store *s, struct ad_sim_object *o);
bool ad_sim_random_edit(struct ad_sim_store *s, struct ad_sim_record *r, struct ad_rand *rand,
                        bool alone);

#endif
