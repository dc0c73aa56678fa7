/* Inside the graph.
 *
 *   app.c           the order of opening and closing; the database and the attio and service layers
 *   app_api.c       who may ask, routes, servers, listeners
 *   app_metrics.c   what the process knows about itself
 *   app_reload.c    what changes while it runs */
#ifndef AD_APP_PRIVATE_H
#define AD_APP_PRIVATE_H

#include "app/app.h"

#include "api/api.h"
#include "app/tokens.h"
#include "attio/account.h"
#include "attio/audit.h"
#include "attio/inbox.h"
#include "attio/merges.h"
#include "attio/mirror.h"
#include "attio/records.h"
#include "attio/schema.h"
#include "attio/sync_state.h"
#include "attio/version.h"
#include "infra/store.h"
#include "infra/tls.h"
#include "service/service.h"

struct ad_app {
    struct ad_loop *loop;
    const struct ad_config *c;
    uint64_t seed;
    bool offline, attio, simulated;
    struct ad_dialer *dialer;
    const struct ad_clock *clock;
    struct ad_timers *timers;

    /* in the order of opening */
    struct ad_metrics *metrics;
    struct ad_store *store;
    struct ad_audit *audit;
    struct ad_tls_client *trust; /* NULL: Attio is reached without TLS, or not at all */
    struct ad_tls_server *tls;   /* NULL: plain listeners */
    struct ad_webhook_secrets *secrets;
    struct ad_client *client;
    struct ad_versions *versions;
    struct ad_schema *schema;
    struct ad_account *account;
    struct ad_inbox *inbox;
    struct ad_mirror *mirror;
    struct ad_merges *merges;
    struct ad_records *records;
    struct ad_sync_state *sync_state;
    struct ad_registry *events;
    struct ad_service *service;
    struct ad_tokens *tokens;
    struct ad_api *api;
    struct ad_registry *public_routes, *internal_routes;
    struct ad_http_server *public_server, *internal_server;
    char public_address[300], internal_address[300];
    struct ad_arena arena;
    struct ad_gauge *lag, *resident, *writes_waiting;
    struct ad_counter *log_dropped, *reloads[2]; /* refused, ok */
    struct ad_log_fd *log;                       /* NULL: not our log */

    unsigned opened;  /* stages */
    unsigned pending; /* parts of a stage, or servers that drain */
    struct ad_post post;
    void (*drained)(void *ctx);
    void *drained_ctx;
    void (*done)(void *ctx);
    void *done_ctx;
};

/* The parts of a stage that are closed, one by one. */
void ad__app_part_closed(void *ctx);
void ad__app_service_closed(void *ctx);

/* Stages (see app.c). */
enum ad_err ad__app_open_metrics(struct ad_app *a, struct ad_errinfo *info);
bool ad__app_close_metrics(struct ad_app *a);
enum ad_err ad__app_open_api(struct ad_app *a, struct ad_errinfo *info);
bool ad__app_close_api(struct ad_app *a);
enum ad_err ad__app_open_routes(struct ad_app *a, struct ad_errinfo *info);
bool ad__app_close_routes(struct ad_app *a);
enum ad_err ad__app_open_public(struct ad_app *a, struct ad_errinfo *info);
bool ad__app_close_public(struct ad_app *a);
enum ad_err ad__app_open_internal(struct ad_app *a, struct ad_errinfo *info);
bool ad__app_close_internal(struct ad_app *a);
enum ad_err ad__app_open_listeners(struct ad_app *a, struct ad_errinfo *info);
enum ad_err ad__app_open_work(struct ad_app *a, struct ad_errinfo *info);

/* Sets the gauges that are only looked at when somebody asks. */
void ad__app_refresh(void *ctx);

#endif
