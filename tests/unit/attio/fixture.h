/* A client against a scripted Attio, and a database with our tables. */
#ifndef AD_TEST_ATTIO_FIXTURE_H
#define AD_TEST_ATTIO_FIXTURE_H

#include "attio/client.h"
#include "infra/store.h"

#include "scripted.h"

struct attio_fixture {
    struct world w;
    struct scripted sv;
    struct ad_metrics *metrics;
    struct ad_client_opts opts;
    struct ad_client *client;
    struct ad_store *store;
    char folder[128];
    bool client_closed, store_closed;
};

#define FIXTURE_KEY "attio-test-key-0123456789"

void fixture_open(struct attio_fixture *f);
void fixture_close(struct attio_fixture *f);
/* The store closed, for what happens then. */
void fixture_close_store(struct attio_fixture *f);
void fixture_reopen_store(struct attio_fixture *f);
void fixture_sql(struct attio_fixture *f, const char *sql);
/* The first column of the only row, as text or number. */
int64_t fixture_i64(struct attio_fixture *f, const char *text);
bool fixture_text_is(struct attio_fixture *f, const char *text, const char *want);

#endif
