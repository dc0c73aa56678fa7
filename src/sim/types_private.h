/* Between the files of the types (types*.c): each knows how to parse, print and compare some. */
#ifndef AD_SIM_TYPES_PRIVATE_H
#define AD_SIM_TYPES_PRIVATE_H

#include "types.h"

/* Sets of operators. */
#define AD__SIM_OPS_TEXT \
    (AD_SIM_EQ | AD_SIM_IN | AD_SIM_NOT_EMPTY | AD_SIM_CONTAINS | AD_SIM_STARTS | AD_SIM_ENDS)
#define AD__SIM_OPS_PART (AD__SIM_OPS_TEXT & ~(unsigned)AD_SIM_IN)
#define AD__SIM_OPS_ORDER \
    (AD_SIM_EQ | AD_SIM_NOT_EMPTY | AD_SIM_LT | AD_SIM_LTE | AD_SIM_GT | AD_SIM_GTE)
#define AD__SIM_OPS_SAME (AD_SIM_EQ | AD_SIM_NOT_EMPTY)
#define AD__SIM_OPS_REF (AD_SIM_EQ | AD_SIM_IN | AD_SIM_NOT_EMPTY)

/* Refusals, for `return`: always false. */
bool ad__sim_refuse(const struct ad_sim_parse *p, const char *code, const char *fmt, ...)
    AD_PRINTF(3, 4);
/* An invalid value was passed to attribute ... */
bool ad__sim_invalid(const struct ad_sim_parse *p);
/* The value itself, or its property: 5 and {"value":5} say the same. */
const struct ad_json *ad__sim_unwrap(const struct ad_json *in, const char *key);

/* Parts of a pack, and other ways to read a value. */
void ad__sim_get_part(const struct ad_sim_value *v, uint32_t i, struct ad_sim_key *out);
void ad__sim_get_0(const struct ad_sim_value *v, struct ad_sim_key *out);
void ad__sim_get_1(const struct ad_sim_value *v, struct ad_sim_key *out);
void ad__sim_get_2(const struct ad_sim_value *v, struct ad_sim_key *out);
void ad__sim_get_int(const struct ad_sim_value *v, struct ad_sim_key *out);
void ad__sim_get_from(const struct ad_sim_value *v, struct ad_sim_key *out);
void ad__sim_print_part(struct ad_sim_pen *p, const struct ad_sim_value *v, uint32_t i);

/* One set a type; a select and a status differ in their properties alone. */
#define AD__SIM_TYPE(name)                                                            \
    bool ad__sim_parse_##name(const struct ad_sim_parse *p, const struct ad_json *in, \
                              struct ad_sim_value *out);                              \
    void ad__sim_print_##name(struct ad_sim_pen *p, const struct ad_sim_value *v,     \
                              const struct ad_sim_attr *a)
AD__SIM_TYPE(text);
AD__SIM_TYPE(number);
AD__SIM_TYPE(currency);
AD__SIM_TYPE(rating);
AD__SIM_TYPE(checkbox);
AD__SIM_TYPE(date);
AD__SIM_TYPE(timestamp);
AD__SIM_TYPE(option);
AD__SIM_TYPE(reference);
AD__SIM_TYPE(actor);
AD__SIM_TYPE(location);
AD__SIM_TYPE(domain);
AD__SIM_TYPE(email);
AD__SIM_TYPE(phone);
AD__SIM_TYPE(interaction);
AD__SIM_TYPE(name);

extern const struct ad_sim_prop ad__sim_text_props[];
extern const struct ad_sim_prop ad__sim_number_props[];
extern const struct ad_sim_prop ad__sim_currency_props[];
extern const struct ad_sim_prop ad__sim_rating_props[];
extern const struct ad_sim_prop ad__sim_checkbox_props[];
extern const struct ad_sim_prop ad__sim_date_props[];
extern const struct ad_sim_prop ad__sim_timestamp_props[];
extern const struct ad_sim_prop ad__sim_select_props[];
extern const struct ad_sim_prop ad__sim_status_props[];
extern const struct ad_sim_prop ad__sim_reference_props[];
extern const struct ad_sim_prop ad__sim_actor_props[];
extern const struct ad_sim_prop ad__sim_location_props[];
extern const struct ad_sim_prop ad__sim_domain_props[];
extern const struct ad_sim_prop ad__sim_email_props[];
extern const struct ad_sim_prop ad__sim_phone_props[];
extern const struct ad_sim_prop ad__sim_interaction_props[];
extern const struct ad_sim_prop ad__sim_name_props[];

#endif
