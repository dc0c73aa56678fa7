/* The built-in handlers, a file each family of events: which events, about what, which fetch. */
#ifndef AD_SERVICE_HANDLERS_H
#define AD_SERVICE_HANDLERS_H

#include "pull.h"

extern const struct ad_pull_family ad__record_family;   /* record.c */
extern const struct ad_pull_family ad__entry_family;    /* entry.c */
extern const struct ad_pull_family ad__activity_family; /* activity.c */

#endif
