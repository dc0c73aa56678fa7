#include "base/mem.h"
#include "types_private.h"

const struct ad_sim_type ad_sim_types[AD_SIM_TYPES] = {
    [AD_SIM_TEXT] = { "text", ad__sim_text_props, ad__sim_parse_text, ad__sim_print_text, true,
                      true },
    [AD_SIM_NUMBER] = { "number", ad__sim_number_props, ad__sim_parse_number, ad__sim_print_number,
                        false, true },
    [AD_SIM_CHECKBOX] = { "checkbox", ad__sim_checkbox_props, ad__sim_parse_checkbox,
                          ad__sim_print_checkbox, false, true },
    [AD_SIM_CURRENCY] = { "currency", ad__sim_currency_props, ad__sim_parse_currency,
                          ad__sim_print_currency, false, true },
    [AD_SIM_DATE] = { "date", ad__sim_date_props, ad__sim_parse_date, ad__sim_print_date, false,
                      true },
    [AD_SIM_TIMESTAMP] = { "timestamp", ad__sim_timestamp_props, ad__sim_parse_timestamp,
                           ad__sim_print_timestamp, false, true },
    [AD_SIM_RATING] = { "rating", ad__sim_rating_props, ad__sim_parse_rating, ad__sim_print_rating,
                        false, true },
    [AD_SIM_STATUS] = { "status", ad__sim_status_props, ad__sim_parse_option, ad__sim_print_option,
                        false, true },
    [AD_SIM_SELECT] = { "select", ad__sim_select_props, ad__sim_parse_option, ad__sim_print_option,
                        false, true },
    [AD_SIM_REFERENCE] = { "record-reference", ad__sim_reference_props, ad__sim_parse_reference,
                           ad__sim_print_reference, false, true },
    [AD_SIM_ACTOR] = { "actor-reference", ad__sim_actor_props, ad__sim_parse_actor,
                       ad__sim_print_actor, false, true },
    [AD_SIM_LOCATION] = { "location", ad__sim_location_props, ad__sim_parse_location,
                          ad__sim_print_location, true, true },
    [AD_SIM_DOMAIN] = { "domain", ad__sim_domain_props, ad__sim_parse_domain, ad__sim_print_domain,
                        true, true },
    [AD_SIM_EMAIL] = { "email-address", ad__sim_email_props, ad__sim_parse_email,
                       ad__sim_print_email, true, true },
    [AD_SIM_PHONE] = { "phone-number", ad__sim_phone_props, ad__sim_parse_phone,
                       ad__sim_print_phone, true, true },
    [AD_SIM_INTERACTION] = { "interaction", ad__sim_interaction_props, ad__sim_parse_interaction,
                             ad__sim_print_interaction, false, false },
    [AD_SIM_NAME] = { "personal-name", ad__sim_name_props, ad__sim_parse_name, ad__sim_print_name,
                      true, false },
};

enum ad_sim_type_id ad_sim_type_find(struct ad_str name)
{
    unsigned i = 0;
    while (i < AD_SIM_TYPES && !ad_str_eq(name, ad_str_c(ad_sim_types[i].name))) {
        i++;
    }
    return (enum ad_sim_type_id)i;
}

const struct ad_sim_prop *ad_sim_props(const struct ad_sim_attr *a)
{
    return a->made == AD_SIM_MADE_ID ? ad_sim_id_props : ad_sim_types[a->type].props;
}

const struct ad_sim_prop *ad_sim_prop_find(const struct ad_sim_attr *a, struct ad_str name)
{
    for (const struct ad_sim_prop *p = ad_sim_props(a); p->name; p++) {
        if (ad_str_eq(name, ad_str_c(p->name))) {
            return p;
        }
    }
    return NULL;
}

/* --- Values in general --- */

/* Addresses and numbers are the same when their normal form is. */
bool ad_sim_value_equal(const struct ad_sim_value *a, const struct ad_sim_value *b)
{
    if (a->type != b->type || a->aux != b->aux) {
        return false;
    }
    if (!ad_sim_types[a->type].packed) {
        return a->u.i == b->u.i;
    }
    if (a->type == AD_SIM_EMAIL || a->type == AD_SIM_PHONE) {
        return ad_str_eq(ad_sim_pack_get(a->u.pack, 1), ad_sim_pack_get(b->u.pack, 1));
    }
    return ad_sim_pack_equal(a->u.pack, b->u.pack);
}

struct ad_str ad_sim_value_unique(const struct ad_sim_value *v, struct ad_sim_key *room)
{
    if (v->type == AD_SIM_EMAIL || v->type == AD_SIM_PHONE) {
        return ad_sim_pack_get(v->u.pack, 1);
    }
    if (ad_sim_types[v->type].packed) {
        return ad_sim_pack_get(v->u.pack, 0);
    }
    memcpy(room->room, &v->u, sizeof(v->u));
    return ad_str_n(room->room, sizeof(v->u));
}

void ad_sim_value_free(struct ad_sim_value *v)
{
    if (ad_sim_types[v->type].packed) {
        ad_free(v->u.pack);
    }
}

struct ad_sim_value ad_sim_value_copy(const struct ad_sim_value *v)
{
    struct ad_sim_value c = *v;
    if (ad_sim_types[v->type].packed && v->u.pack) {
        c.u.pack = ad_sim_pack_copy(v->u.pack);
    }
    return c;
}
