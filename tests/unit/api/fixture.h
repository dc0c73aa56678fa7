/* Routes without a server and without a service: requests are matched, admitted and handled as
 * the server would, replies are kept; the service is a double that answers as told, now or
 * later. */
#ifndef AD_TEST_API_FIXTURE_H
#define AD_TEST_API_FIXTURE_H

#include "api/api.h"
#include "service/audit.h"
#include "service/backup.h"
#include "service/changes.h"
#include "service/describe.h"
#include "service/erase.h"
#include "service/events.h"
#include "service/health.h"
#include "service/ingest.h"
#include "service/sync.h"
#include "service/webhooks.h"

/* How the double answers the next question, and what it was asked. */
struct double_service {
    enum ad_err refuse;            /* from the call itself */
    enum ad_err fail;              /* in the callback */
    const char *message;           /* of either */
    const char *json;              /* what goes to `out` */
    bool later;                    /* the callback waits for api_answer */
    const char *asked;             /* name of the function, NULL: nothing was asked */
    struct ad_events_query events; /* as asked */
    char state[32], type[64], subject[64], since[64], object[64], id[64];
    bool replace, ready;
    bool dry_run; /* of a sync */
    enum ad_health health;
    int64_t next_before, changed;
    int64_t after; /* of a question for changes */
    unsigned limit;
    unsigned accepted, duplicate;
    enum ad_err audit_refuse, audit_fail; /* how beginning an entry ends */
    struct ad_audited *begun;
    char actor[72], action[72], target[256], outcome[32];
    char body[256];         /* of an ingest */
    void (*run)(void *ctx); /* what waits */
    void *ctx;
};
extern struct double_service the_double;

/* The last reply. */
struct got {
    unsigned n; /* replies so far */
    unsigned status;
    char type[64], retry_after[8], authenticate[64];
    char body[65536];
    size_t body_n;
    const struct ad_route *route; /* NULL: nobody would have been asked */
    unsigned allow;
};
extern struct got got;

/* Whoever sends no token, or any but "nobody's"; without a name: nobody. */
extern struct ad_api_who the_caller;

void api_setup(void);
void api_teardown(void);
/* opts for the next requests; api_setup gives the usual ones. */
void api_open(const struct ad_api_opts *opts);

/* A request to one of the listeners; headers as "Name: value\n...", NULL: the usual ones. */
void public_request(const char *method, const char *target, const char *headers, const char *body);
void internal_request(const char *method, const char *target, const char *headers,
                      const char *body);
/* The server refuses a request with this status. */
void explain(unsigned status);
/* The double's answer that waited comes now. */
void api_answer(void);
struct ad_str got_body(void);
/* status, "code" and that `part` is in "detail" of a problem. */
void assert_problem(unsigned status, const char *code, const char *part);

#endif
