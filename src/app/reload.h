/* SIGHUP: the configuration is read again as a whole, files and NAME_FILEs, and checked as at the
 * start. When anything is wrong nothing changes, and the log names all of it. Otherwise what is
 * marked as reloadable takes effect at once; what else differs is named as waiting for a restart.
 * The environment and the flags of a running process do not change: a variable that should is given
 * as NAME_FILE. */
#ifndef AD_APP_RELOAD_H
#define AD_APP_RELOAD_H

#include "app/app.h"

struct ad_reload {
    const struct ad_cli *cli;
    const struct ad_config *start; /* what the process was started with, and still is */
    struct ad_config now;          /* what was taken over last */
    bool taken;                    /* something was */
};

void ad_reload_init(struct ad_reload *r, const struct ad_cli *cli, const struct ad_config *start);
/* Every outcome is in the log and in the audit log. */
void ad_reload_run(struct ad_reload *r, struct ad_app *app);
/* When nothing of the app is left. Wipes. */
void ad_reload_fini(struct ad_reload *r);

#endif
