/* doctor: asks every layer how it is, in the order in which they rest on each other, and says what
 * each answered and how long that took.
 *
 *   configuration, server, database | dns, tcp, tls, attio, token, scopes, clock, webhook
 *
 * What rests on a layer that failed is skipped. It changes nothing: Attio is asked who we are and for
 * its webhooks, past the running server's scheduler, because the way there is what is looked at;
 * the database gets a transaction that leaves it as it was, and only where no server has it. */
#ifndef AD_APP_DOCTOR_H
#define AD_APP_DOCTOR_H

#include "app/cli.h"
#include "infra/loop.h"

enum ad_finding {
    AD_FINDING_OK,
    AD_FINDING_SKIPPED, /* could not be asked, or need not */
    AD_FINDING_WARNING, /* works, but not all of it */
    AD_FINDING_FAILED,
};

struct ad_doctor_check {
    const char *layer; /* "tcp"; a constant */
    enum ad_finding finding;
    uint64_t ms;
    char detail[384];
};

#define AD_DOCTOR_CHECKS_MAX 32

struct ad_doctor {
    /* set by the command */
    const struct ad_cli *cli;
    const struct ad_config *config;
    struct ad_loop *loop;
    /* result, in the order of asking */
    struct ad_doctor_check checks[AD_DOCTOR_CHECKS_MAX];
    unsigned checks_n;
    enum ad_exit exit; /* of the first failure, else PARTLY after a warning, else OK */
    /* private */
    uint64_t since_ms; /* when the check at hand began */
};

/* One finding; its time runs from the one before. `failed` is the exit code should it be FAILED. */
void ad_doctor_say(struct ad_doctor *d, const char *layer, enum ad_finding finding,
                   enum ad_exit failed, const char *fmt, ...) AD_PRINTF(5, 6);

/* doctor_local.c: the server that runs here, and the database. */
void ad_doctor_local(struct ad_doctor *d);
/* doctor_attio.c: the way to Attio, and what it says there. */
void ad_doctor_attio(struct ad_doctor *d);

#endif
