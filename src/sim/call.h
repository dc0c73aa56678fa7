/* One call of Attio's API (or of /_sim/): decoded request in, reply out. Handlers answer at once,
 * into `out`. */
#ifndef AD_SIM_CALL_H
#define AD_SIM_CALL_H

#include "base/http.h"
#include "base/json_write.h"
#include "model.h"

struct ad_sim;
struct ad_sim_call;

enum ad_sim_lane { AD_SIM_READ, AD_SIM_WRITE, AD_SIM_LANES };

struct ad_sim_route {
    unsigned methods;
    const char *pattern;
    void (*handler)(struct ad_sim_call *c);
    enum ad_sim_lane lane;
    bool takes_body;
};

#define AD_SIM_ISSUES_MAX 8

/* One entry of validation_errors. */
struct ad_sim_issue {
    struct ad_str path; /* dotted; numbers are indices */
    const char *expected, *received;
};

struct ad_sim_call {
    struct ad_sim *sim;
    struct ad_sim_store *store;
    struct ad_exchange *x;
    const struct ad_sim_route *route;
    struct ad_arena *arena;
    const struct ad_json *body; /* parsed, when the route takes one */
    uint64_t stale_since_ms;    /* reads answer as of then; 0: now */
    /* the reply */
    struct ad_buf *out; /* empty at first */
    unsigned status;
    struct ad_str (*more)(void *ctx); /* instead of `out`: as in struct ad_reply */
    void *more_ctx;
    bool scored; /* gets x-attio-record-query-score */
    int64_t score;
    int64_t retry_after_s; /* Retry-After as the time when this wall clock second begins; 0: none */
    struct ad_sim_issue issues[AD_SIM_ISSUES_MAX];
    size_t issues_n;
};

/* Errors. Each sets the whole reply; the last one wins. */
void ad_sim_fail(struct ad_sim_call *c, unsigned status, const char *type, const char *code,
                 const char *fmt, ...) AD_PRINTF(5, 6);
/* 400 invalid_request_error with a code. */
#define ad_sim_bad(c, code, ...) ad_sim_fail(c, 400, "invalid_request_error", code, __VA_ARGS__)
/* 429, to be tried again with the next second of the clock; counted by the trace. */
void ad_sim_refuse_rate(struct ad_sim_call *c);
/* 404 not_found. */
#define ad_sim_missing(c, ...) \
    ad_sim_fail(c, 404, "invalid_request_error", "not_found", __VA_ARGS__)

/* What a body must look like: types are a set of 1 << enum ad_json_type. */
struct ad_sim_field {
    const char *path;
    unsigned types;
    bool required;
};
#define AD_SIM_IS(type) (1u << AD_JSON_##type)

/* Notes each field that does not fit; paths in the errors are `prefix` and the field's path. */
void ad_sim_check(struct ad_sim_call *c, const struct ad_json *in, const char *prefix,
                  const struct ad_sim_field *fields, size_t n);
/* `received` may be NULL: undefined. */
void ad_sim_issue(struct ad_sim_call *c, const char *expected, const char *received,
                  const char *path_fmt, ...) AD_PRINTF(4, 5);
/* What a JSON value is called there; NULL for an absent one. */
const char *ad_sim_type_name(const struct ad_json *v);
/* True when nothing was noted; else replies `Body payload validation error.` */
bool ad_sim_body_ok(struct ad_sim_call *c);
/* `Query params validation error.` likewise. */
bool ad_sim_query_ok(struct ad_sim_call *c);

/* {"data": ...}: between them the caller writes one value. */
void ad_sim_data_begin(struct ad_sim_call *c, struct ad_json_writer *w);
void ad_sim_data_end(struct ad_sim_call *c, struct ad_json_writer *w);

/* The record as a read of this call sees it: now, or as it was when the answer is to be stale. NULL:
 * it did not exist. */
const struct ad_sim_record *ad_sim_as_of(const struct ad_sim_call *c,
                                         const struct ad_sim_record *r);

/* Things named in the path; on NULL the 404 has been set. */
struct ad_sim_object *ad_sim_call_object(struct ad_sim_call *c, unsigned param);
struct ad_sim_object *ad_sim_call_list(struct ad_sim_call *c, unsigned param);
/* The one or the other, by the route: /v2/lists/{} or /v2/objects/{}. */
struct ad_sim_object *ad_sim_call_set(struct ad_sim_call *c, unsigned param);
struct ad_sim_attr *ad_sim_call_attr(struct ad_sim_call *c, const struct ad_sim_object *o,
                                     unsigned param);
struct ad_sim_record *ad_sim_call_record(struct ad_sim_call *c, const struct ad_sim_object *o,
                                         unsigned param);
/* True: the record, or the one an entry is about, is still being merged and this call may not have
 * it; 404 for reads and 400 for writes has been set. Entries can be read all the time. */
bool ad_sim_is_busy(struct ad_sim_call *c, const struct ad_sim_record *r);

/* limit and offset of a query string. False: the 400 has been set. */
bool ad_sim_paging(struct ad_sim_call *c, int64_t min, int64_t max, int64_t *limit,
                   int64_t *offset);
/* A boolean of a query string. */
bool ad_sim_query_flag(struct ad_sim_call *c, const char *name);

/* A field of a PATCH: replaced when it was given, NULL when that is null. */
void ad_sim_set_text(char **to, const struct ad_json *v);
void ad_sim_set_flag(bool *to, const struct ad_json *v);

void ad_sim_w_uuid(struct ad_json_writer *w, const char *key, const uint8_t id[16]);
/* "id":{"workspace_id":...,key:...} */
void ad_sim_w_id(struct ad_json_writer *w, const struct ad_sim_store *s, const char *key,
                 const uint8_t id[16]);
/* key:{"type":...,"id":...} */
void ad_sim_w_actor(struct ad_json_writer *w, const struct ad_sim_store *s, const char *key,
                    uint8_t actor);
/* All workspace members, as an array (members.c). */
void ad_sim_members_write(struct ad_json_writer *w, const struct ad_sim_store *s);
/* 400: nothing to change was given. */
void ad_sim_empty_payload(struct ad_sim_call *c);
/* A parameter of the query string; false only on broken escapes, with the issue noted. */
struct ad_str ad_sim_param(struct ad_sim_call *c, const char *name);
/* A record named in a body or a query string; NULL: a 404 has been set. */
struct ad_sim_record *ad_sim_named_record(struct ad_sim_call *c, struct ad_str object,
                                          struct ad_str record);
/* `created_at` of a body: not before 1970, not in the future; absent: now. What is wrong is noted. */
int64_t ad_sim_created_at(struct ad_sim_call *c, const struct ad_json *data);

/* Route tables, each ended by a NULL pattern. */
extern const struct ad_sim_route ad_sim_object_routes[];
extern const struct ad_sim_route ad_sim_attribute_routes[];
extern const struct ad_sim_route ad_sim_option_routes[];
extern const struct ad_sim_route ad_sim_record_routes[];
extern const struct ad_sim_route ad_sim_page_routes[];
extern const struct ad_sim_route ad_sim_merge_routes[];
extern const struct ad_sim_route ad_sim_search_routes[];
extern const struct ad_sim_route ad_sim_history_routes[];
extern const struct ad_sim_route ad_sim_workspace_routes[];
extern const struct ad_sim_route ad_sim_member_routes[];
extern const struct ad_sim_route ad_sim_list_routes[];
extern const struct ad_sim_route ad_sim_entry_routes[];
extern const struct ad_sim_route ad_sim_note_routes[];
extern const struct ad_sim_route ad_sim_task_routes[];
extern const struct ad_sim_route ad_sim_comment_routes[];
extern const struct ad_sim_route ad_sim_state_routes[];
extern const struct ad_sim_route ad_sim_webhook_routes[];
extern const struct ad_sim_route ad_sim_control_routes[];

#endif
