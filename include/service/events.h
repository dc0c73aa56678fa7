/* The inbox as operators see it. Thin on purpose: the queue itself is the attio layer's; after a
 * replay the dispatcher looks again. */
#ifndef AD_SERVICE_EVENTS_H
#define AD_SERVICE_EVENTS_H

#include "service/sync.h"

/* Filter words as they come from people: state and type names are checked here (INVALID with
 * "did you mean"). */
struct ad_events_query {
    struct ad_service_query q;
    struct ad_str state, type, subject, since; /* absent: any; since is RFC 3339 */
    int64_t id;                                /* show, replay, discard: one; 0: by filter */
    int64_t before;                            /* list: cursor */
    unsigned limit;                            /* 1..500; 0: 50 */
    bool dry_run;
    int64_t next_before, changed; /* result */
    void *impl;
};
AD_MUST_CHECK enum ad_err ad_service_events_list(struct ad_service *s, struct ad_events_query *e);
AD_MUST_CHECK enum ad_err ad_service_events_show(struct ad_service *s, struct ad_events_query *e);
AD_MUST_CHECK enum ad_err ad_service_events_replay(struct ad_service *s, struct ad_events_query *e);
AD_MUST_CHECK enum ad_err ad_service_events_discard(struct ad_service *s,
                                                    struct ad_events_query *e);

#endif
