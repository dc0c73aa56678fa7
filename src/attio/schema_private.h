/* What schema.c (what we know) and schema_refresh.c (asking Attio) share. */
#ifndef AD_ATTIO_SCHEMA_PRIVATE_H
#define AD_ATTIO_SCHEMA_PRIVATE_H

#include "attio/schema.h"
#include "base/arena.h"
#include "infra/store.h"

struct ad_schema_object {
    struct ad_object pub;
    struct ad_list all_link; /* schema->all */
    struct ad_map_node by_id, by_slug;
    bool has_slug; /* by_slug is in the map */
};

struct ad_refresh;

struct ad_schema {
    struct ad_schema_opts o;
    struct ad_arena arena;              /* objects, attributes and their texts */
    struct ad_object builtin[AD_KINDS]; /* from NOTE on */
    struct ad_list objects, lists;
    struct ad_list all;                      /* both, by position */
    struct ad_map by_id;                     /* of both */
    struct ad_map by_slug[AD_KIND_LIST + 1]; /* of each */
    uint64_t names_generation;
    bool known;
    uint64_t refreshed_ms;  /* 0: never in this process */
    struct ad_list waiting; /* for the next refresh */
    struct ad_list joined;  /* to the one under way */
    struct ad_refresh *refresh;
    enum ad_priority priority; /* of the next refresh: the most urgent of those waiting */
    struct ad_timer ttl_timer, close_timer;
    bool closing;
    void (*done)(void *ctx);
    void *done_ctx;
    void (*changed)(void *ctx);
    void *changed_ctx;
    struct ad_counter *c_refreshes, *c_failures;
};

/* Copies of what is new or different, ready to take the place of what we know. */
struct ad_schema_change {
    struct ad_list link;
    struct ad_schema_object *object; /* known, or made for this */
    bool is_new;
    struct ad_object to;            /* fields only; an attribute's change: `attribute` is set */
    struct ad_attribute *attribute; /* known, or made for this */
    bool is_new_attribute;
    struct ad_attribute to_attribute;
};

/* An object or a list. */
struct ad_schema_object *ad__schema_find(const struct ad_schema *s, struct ad_str id);
struct ad_schema_object *ad__schema_new_object(struct ad_schema *s); /* NULL on no memory */
/* Into memory, in order; cannot fail. */
void ad__schema_apply(struct ad_schema *s, struct ad_list *changes);

/* Starts a refresh for all that wait. */
AD_MUST_CHECK enum ad_err ad__refresh_start(struct ad_schema *s);
bool ad__refresh_is_sent(const struct ad_refresh *r); /* its first request */
void ad__refresh_cancel(struct ad_refresh *r);
/* The refresh is over; ad_schema.refresh is none any more. `changed`: it applied something. */
void ad__schema_refreshed(struct ad_schema *s, enum ad_err err, const struct ad_errinfo *info,
                          bool changed);

#endif
