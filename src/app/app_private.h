/* Inside the graph: app.c opens and closes it, app_reload.c changes it while it runs. */
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
    bool offline, attio;
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

    unsigned opened;  /* stages */
    unsigned pending; /* parts of a stage, or servers that drain */
    struct ad_post post;
    void (*drained)(void *ctx);
    void *drained_ctx;
    void (*done)(void *ctx);
    void *done_ctx;
};

#endif
