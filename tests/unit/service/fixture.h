/* The whole service over a real database, against a small Attio on loopback.
 *
 *   static struct service_fixture s;
 *   setup: service_fixture_open(&s);   (change s.opts, then) service_fixture_start(&s);
 *   record_put(&s, 0, 7, "ada");       what Attio holds
 *   event_send(&s, "record.updated", 0, 7, 0);
 *   pass_until(&s, nothing_pending, &s);
 *
 * Objects and records are numbers here; ids are made of them. */
#ifndef AD_TEST_SERVICE_FIXTURE_H
#define AD_TEST_SERVICE_FIXTURE_H

#include "attio/account.h"
#include "attio/inbox.h"
#include "attio/merges.h"
#include "attio/mirror.h"
#include "attio/records.h"
#include "attio/sync_state.h"
#include "attiod/handler.h"
#include "base/registry.h"
#include "service/events.h"
#include "service/health.h"
#include "service/ingest.h"
#include "service/service.h"
#include "service/sync.h"
#include "service/webhooks.h"
#include "support/run.h"
#include "unit/attio/fixture.h"

#define WORKSPACE "14beef7a-99f7-4534-a87e-70b564330a4c"
#define SECRET "0c4f7f1b5a9e8d3c2b1a0f9e8d7c6b5a"

enum { NOTES = 100 }; /* as the object of a record */
enum { OBJECTS_MAX = 3, RECORDS_MAX = 3200, FAULTS_MAX = 8, ANSWERS = 8, ANSWER_MAX = 1 << 19 };

enum record_state {
    REC_LIVE,
    REC_GONE,
    REC_MERGING, /* GET says merge_in_progress */
    REC_HIDDEN,  /* only a GET shows it */
    REC_STALE,   /* gone, but a query still shows it */
};

struct record {
    unsigned object, n;
    enum record_state state;
    int64_t created_ns;
    char name[32];
};

/* What a request whose line or body matches is answered with, so many times; UINT_MAX: always. */
struct fault {
    const char *match;
    struct answer answer;
    unsigned times;
};

struct asked_ids {
    unsigned object, n;
};

struct service_fixture {
    struct attio_fixture f;
    /* Attio */
    struct record records[RECORDS_MAX]; /* in the order of creation */
    unsigned records_n, objects_n;
    struct fault faults[FAULTS_MAX];
    unsigned faults_n;
    const char *self_body;
    void (*before)(struct service_fixture *s, const struct request *r); /* each answer */
    /* Asked before the fixture itself answers; false: it shall. */
    bool (*other)(struct service_fixture *s, const struct request *r, struct answer *a);
    struct asked_ids asked[256];
    unsigned queries, gets, pages, selfs, schemas, hooks_made;
    unsigned delay_ms;   /* of every answer */
    const char *headers; /* of every answer that has none of its own */
    bool ignore_from;    /* pages begin with the first record, whatever was asked */
    char answers[ANSWERS][ANSWER_MAX];
    unsigned answers_n;
    /* us */
    struct ad_service_opts opts;
    struct ad_registry *registry;
    struct ad_schema *schema;
    struct ad_versions *versions;
    struct ad_records *rec;
    struct ad_inbox *inbox;
    struct ad_mirror *mirror;
    struct ad_merges *merges;
    struct ad_account *account;
    struct ad_webhook_secrets *secrets;
    struct ad_sync_state *sync_state;
    struct ad_arena arena;
    struct ad_service *service;
    unsigned keys;
    bool store_failing, no_secret;
    struct ad_str expected_workspace_id;
    const struct ad_handler *handler; /* one more */
};

void service_fixture_open(struct service_fixture *s);
/* Opens the service, so that handlers can be registered. */
void service_fixture_open_only(struct service_fixture *s);
/* The same, the n-th allocation failing; whether it was opened. */
bool service_fixture_try_open(struct service_fixture *s, unsigned n);
/* Opens and starts the service; returns at once. */
void service_fixture_start(struct service_fixture *s);
/* The same, and waits until bringup is over. */
void service_fixture_up(struct service_fixture *s);
/* The service closed and everything under it, the database kept: as a process ends. */
void service_fixture_stop(struct service_fixture *s);
/* What is left to do for a test that closed the service itself. */
void service_fixture_closed(struct service_fixture *s);
void service_fixture_close(struct service_fixture *s);

/* Replaces or adds. */
struct record *record_put(struct service_fixture *s, unsigned object, unsigned n, const char *name);
struct record *record_of(struct service_fixture *s, unsigned object, unsigned n);
struct answer *fault_add(struct service_fixture *s, const char *match, unsigned times,
                         unsigned status);
const char *object_id(unsigned object);
const char *record_id(unsigned n); /* in a static buffer: one at a time */

/* One genuine delivery of one event (duplicate 0: none), or of `n` alike, acknowledged. */
void event_send(struct service_fixture *s, const char *type, unsigned object, unsigned record,
                unsigned duplicate);
void events_send(struct service_fixture *s, const char *type, unsigned object, unsigned record,
                 unsigned n);
/* A delivery as it is; `headers` may be NULL: signed, with a new key. Returns what ingest said in
 * the end; *in has the rest. */
enum ad_err deliver(struct service_fixture *s, const char *body,
                    const struct ad_http_header *headers, size_t headers_n, struct ad_ingest *in);
void sign(const char *body, char hex[65]);

/* As world_until, with time passing. */
void pass_until(struct service_fixture *s, bool (*cond)(void *ctx), void *ctx);
bool nothing_pending(void *s); /* nor held */
int64_t pending(struct service_fixture *s);
int64_t mirror_count(struct service_fixture *s, const char *where);
bool name_is(struct service_fixture *s, unsigned record, const char *name);
bool is_tombstone(struct service_fixture *s, unsigned record);

#endif
