/* An HTTP server on the in-memory pair: routes that do one thing each, and clients that speak
 * raw bytes. */
#ifndef AD_TEST_HTTP_FIXTURE_H
#define AD_TEST_HTTP_FIXTURE_H

#include "base/http.h"
#include "base/metric.h"
#include "base/registry.h"
#include "infra/http_server.h"

#include "support/pair.h"
#include "support/world.h"

#define OWED_MAX 8

struct http_fixture {
    struct world w;
    struct ad_registry *registry;
    struct ad_metrics *metrics;
    struct ad_http_server *server;
    struct ad_http_limits limits;       /* what the server is opened with */
    struct ad_exchange *owed[OWED_MAX]; /* exchanges of /later, oldest first */
    unsigned owed_n;
    unsigned handled, gone, pieces_asked;
    bool reply_when_gone, close_in_handler;
    unsigned admit_status; /* 0: admits all */
    bool explains;         /* refusals of the server's carry "404: /path" */
    struct ad_str last_body;
    char last_peer[64];
    bool drained, closed;
};

struct http_client {
    struct http_fixture *f;
    struct ad_stream *stream, *server_end;
    struct ad_buf in;
    struct ad_buf out; /* what the window did not take yet */
    struct ad_write w;
    size_t out_busy;
    bool ended, closed;
    enum ad_err end;
};

void fixture_open(struct http_fixture *f);
/* NOMEM when memory fails; for torture. */
enum ad_err fixture_try_open(struct http_fixture *f);
void fixture_close(struct http_fixture *f);
/* Answers the oldest exchange of /later. */
void fixture_reply(struct http_fixture *f, unsigned status, const char *text);
uint64_t fixture_metric(struct http_fixture *f, const char *series);

/* Connects; `chop` bytes a read at the server's end, 0 for as they come. `deaf` clients never
 * read. */
void client_open(struct http_client *c, struct http_fixture *f, size_t chop);
/* In two steps: the pair, then the server's adopting it. */
void client_prepare(struct http_client *c, struct http_fixture *f);
void client_join(struct http_client *c);
void client_open_deaf(struct http_client *c, struct http_fixture *f);
void client_send(struct http_client *c, struct ad_str raw);
#define client_say(c, text) client_send(c, AD_STR(text))
void client_close(struct http_client *c);
/* "200,404" of the whole replies received so far; fails the test when they are no HTTP. */
const char *client_statuses(const struct http_client *c);
bool client_got(const struct http_client *c, const char *text);

#endif
