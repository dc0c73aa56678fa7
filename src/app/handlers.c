/* The event handlers compiled into this server: one line declares yours, one lists it.
 * src/handlers/README.md shows how to write one. */
#include "app/app.h"

#include "attiod/handler.h"

/* extern const struct ad_handler example_log; */

const struct ad_handler *const ad_user_handlers[] = {
    /* &example_log, */
    NULL,
};
