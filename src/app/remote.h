/* Commands that talk to the running server, or where none runs do it themselves (app/offline.h): one
 * request after the other, each waited for. */
#ifndef AD_APP_REMOTE_H
#define AD_APP_REMOTE_H

#include "app/offline.h"
#include "base/json.h"

struct ad_remote; /* opaque */

/* What the server said, valid until the next call. */
struct ad_remote_answer {
    unsigned status;
    struct ad_str text;         /* the whole body */
    const struct ad_json *doc;  /* parsed; NULL: no body */
    const struct ad_json *data; /* its "data" */
};

/* The server of --url or ATTIOD_URL; it must be there. Else the internal listener of the
 * configuration or, when nothing listens there, the database itself: `need` says for what. `cli`
 * lives until close. Returns an exit code and has said why. */
AD_MUST_CHECK int ad_remote_open(const struct ad_cli *cli, enum ad_need need,
                                 struct ad_remote **out);
void ad_remote_close(struct ad_remote *r);

/* AD_EXIT_OK for a 2xx answer; otherwise the exit code that the problem means, having said what
 * it is. `body` is JSON or absent. */
AD_MUST_CHECK int ad_remote_call(struct ad_remote *r, const char *method, const char *path,
                                 struct ad_str body, struct ad_remote_answer *out);
/* The exit code for an error named in an answer ("store_full", in either case). */
int ad_remote_exit(struct ad_str code);
/* No server answered the last call; this process did. */
bool ad_remote_is_offline(const struct ad_remote *r);
/* With AD_NEED_SERVER failed calls say nothing, but keep why here: somebody wants to know how the
 * server is. */
const char *ad_remote_why(const struct ad_remote *r);
/* No server was named, and nothing listened where the last call went. */
bool ad_remote_is_absent(const struct ad_remote *r);
/* Lets time pass. */
void ad_remote_wait(struct ad_remote *r, unsigned ms);
uint64_t ad_remote_now_ms(const struct ad_remote *r);

#endif
