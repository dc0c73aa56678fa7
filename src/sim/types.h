/* The 17 attribute types as a table: how a value is parsed, printed, compared, and which of its
 * properties can be filtered by. */
#ifndef AD_SIM_TYPES_H
#define AD_SIM_TYPES_H

#include "base/json.h"
#include "model.h"

/* What a property of a value is, for filters and sorts. */
struct ad_sim_key {
    const struct ad_sim_store *store; /* set by the caller: whose actors */
    bool none;
    struct ad_str s; /* text kinds; points into the value or into `room` */
    int64_t i;       /* the others */
    char room[40];
};

enum ad_sim_kind {
    AD_SIM_KIND_TEXT,
    AD_SIM_KIND_NUMBER, /* ten-thousandths */
    AD_SIM_KIND_WHOLE,
    AD_SIM_KIND_BOOL,
    AD_SIM_KIND_DATE,
    AD_SIM_KIND_TIME,
    AD_SIM_KIND_OPTION, /* title or id */
    AD_SIM_KIND_OBJECT, /* slug or id of an object */
    AD_SIM_KIND_UUID
};

enum ad_sim_op {
    AD_SIM_EQ = 1 << 0,
    AD_SIM_IN = 1 << 1,
    AD_SIM_NOT_EMPTY = 1 << 2,
    AD_SIM_CONTAINS = 1 << 3,
    AD_SIM_STARTS = 1 << 4,
    AD_SIM_ENDS = 1 << 5,
    AD_SIM_LT = 1 << 6,
    AD_SIM_LTE = 1 << 7,
    AD_SIM_GT = 1 << 8,
    AD_SIM_GTE = 1 << 9
};

struct ad_sim_prop {
    const char *name;
    enum ad_sim_kind kind;
    unsigned ops; /* set of enum ad_sim_op */
    void (*get)(const struct ad_sim_value *v, struct ad_sim_key *out);
};

/* Why a written value was refused. */
struct ad_sim_refusal {
    const char *code; /* validation_type, value_not_found */
    char message[256];
};

struct ad_sim_parse {
    struct ad_sim_store *store;
    struct ad_sim_attr *attr;
    struct ad_arena *arena;
    struct ad_sim_refusal *refusal;
};

struct ad_sim_type {
    const char *name;
    /* The first is the main one, that shorthand means. NULL-ended by name. */
    const struct ad_sim_prop *props;
    /* One element of what was written. False: refusal is filled. */
    bool (*parse)(const struct ad_sim_parse *p, const struct ad_json *in, struct ad_sim_value *out);
    /* `"value":"x"`: the properties without braces. */
    void (*print)(struct ad_sim_pen *p, const struct ad_sim_value *v, const struct ad_sim_attr *a);
    bool packed;    /* u.pack is owned */
    bool creatable; /* over the API */
};

extern const struct ad_sim_type ad_sim_types[AD_SIM_TYPES];
/* record_id: text on the outside, 16 bytes within. */
extern const struct ad_sim_prop ad_sim_id_props[];

/* AD_SIM_TYPES when unknown. */
enum ad_sim_type_id ad_sim_type_find(struct ad_str name);
const struct ad_sim_prop *ad_sim_props(const struct ad_sim_attr *a);
const struct ad_sim_prop *ad_sim_prop_find(const struct ad_sim_attr *a, struct ad_str name);
bool ad_sim_value_equal(const struct ad_sim_value *a, const struct ad_sim_value *b);
/* What two records may not share; points into the value or `room`. */
struct ad_str ad_sim_value_unique(const struct ad_sim_value *v, struct ad_sim_key *room);
void ad_sim_value_free(struct ad_sim_value *v);
struct ad_sim_value ad_sim_value_copy(const struct ad_sim_value *v);

/* Times and numbers as people write them. */
AD_MUST_CHECK bool ad_sim_time_loose(struct ad_str s, int64_t *ns);
AD_MUST_CHECK bool ad_sim_date_loose(struct ad_str s, int64_t *days);
AD_MUST_CHECK bool ad_sim_fixed_parse(struct ad_str s, int64_t *out);

/* In any case of letters. */
bool ad_sim_contains(struct ad_str s, struct ad_str part);

/* Parts that seeding uses as well. */
struct ad_sim_value ad_sim_make_text(enum ad_sim_type_id type, struct ad_str s);
struct ad_sim_value ad_sim_make_name(struct ad_str first, struct ad_str last, struct ad_str full);
struct ad_sim_value ad_sim_make_email(struct ad_str s);
struct ad_sim_value ad_sim_make_phone(struct ad_str original, struct ad_str e164,
                                      const char country[2]);
struct ad_sim_value ad_sim_make_interaction(unsigned kind, int64_t at_ns, uint8_t owner_actor);
#define AD_SIM_INTERACTIONS 6

#endif
