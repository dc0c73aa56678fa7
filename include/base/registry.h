/* The handler registry: one table, two uses. `(method, path pattern) -> route` and `event type ->
 * event handlers`.
 *
 * api and service fill it, app hands it to the HTTP server and the event dispatcher: callbacks are
 * the only way up through the layers. Everything is registered before ad_registry_seal; mistakes
 * (two routes for the same requests, the same handler twice for a type, a bad pattern) are refused
 * by register and named in info. After seal the table is read-only. Routes are copied, the strings
 * in them are not: they are constants or live as long as the registry.
 *
 * Which route takes a request: of all whose pattern matches the path and whose methods hold the
 * request's, the one that is more literal at the first part where they differ: a literal beats
 * {name}, {name} beats "**". Two patterns that match exactly the same paths ({a} and {b} are the
 * same) and share a method are a CONFLICT. */
#ifndef AD_BASE_REGISTRY_H
#define AD_BASE_REGISTRY_H

#include "base/err.h"
#include "base/http.h"

typedef void (*ad_route_cb)(void *ctx, struct ad_exchange *x);

struct ad_route {
    unsigned methods;  /* set of enum ad_http_method; HEAD follows GET by itself */
    enum ad_role role; /* that it takes */
    /* "/api/v1/records/{object}/{id}": a part is a literal or a whole {name}, which is never empty;
     * a last "**" takes the rest of the path, which may be. At most AD_ROUTE_PARAMS_MAX of both. A
     * last '/' counts: "/a" and "/a/" are two. Literals are compared with the path as it was
     * sent. */
    const char *pattern;
    ad_route_cb handler;
    void *ctx;
    size_t body_max; /* larger bodies are 413 before they are read */
};

struct ad_handler; /* attiod/handler.h; the registry only keeps the pointer */

struct ad_registry;

AD_MUST_CHECK enum ad_err ad_registry_new(struct ad_registry **out);
void ad_registry_free(struct ad_registry *r);

AD_MUST_CHECK enum ad_err ad_registry_route(struct ad_registry *r, const struct ad_route *route,
                                            struct ad_errinfo *info);
/* `types` is an exact type ("record.updated"), a family ("record.*") or "*"; call again for
 * several. Order of registration is kept. */
AD_MUST_CHECK enum ad_err ad_registry_on(struct ad_registry *r, const char *types,
                                         const struct ad_handler *handler, struct ad_errinfo *info);
AD_MUST_CHECK enum ad_err ad_registry_seal(struct ad_registry *r, struct ad_errinfo *info);

/* The route for a request, filling params (slices of path, still percent-encoded; the others are
 * absent). NULL: *allow is 0 for an unknown path, else the set of methods it knows. */
const struct ad_route *ad_registry_match(const struct ad_registry *r, enum ad_http_method method,
                                         struct ad_str path,
                                         struct ad_str params[AD_ROUTE_PARAMS_MAX],
                                         unsigned *allow);
/* Handlers for an event type, at most `max`, each once, in order; returns how many. */
size_t ad_registry_handlers(const struct ad_registry *r, struct ad_str type,
                            const struct ad_handler **out, size_t max);

#endif
