/* Inside the configuration: what its files share.
 *
 *   config.c         errors, the table by name, loading in order
 *   config_keys.c    the table
 *   config_value.c   one value: from text, from JSON, shown
 *   config_file.c    a JSON file, key by key
 *   config_env.c     variables, their _FILE forms, flags
 *   config_rules.c   what holds between keys */
#ifndef AD_APP_CONFIG_PRIVATE_H
#define AD_APP_CONFIG_PRIVATE_H

#include "app/config.h"
#include "base/json.h"

#define AD__CONFIG_ENVIRONMENT "environment"

void ad__config_fail_at(struct ad_config *c, struct ad_config_origin at, const char *key,
                        const char *fmt, ...) AD_PRINTF(4, 5);
/* A copy on the arena, NULL without memory. */
const char *ad__config_keep(struct ad_config *c, struct ad_str s);
size_t ad__config_place(const struct ad_config_key *key);
void *ad__config_member(struct ad_config *c, const struct ad_config_key *key);

/* config_value.c. What does not fit is an error of the key; then the old value stays. */
bool ad__config_is_choice(const char *choices, struct ad_str word);
void ad__config_set_text(struct ad_config *c, const struct ad_config_key *key,
                         struct ad_config_origin at, struct ad_str s);
void ad__config_set_json(struct ad_config *c, const struct ad_config_key *key,
                         struct ad_config_origin at, const struct ad_json *v);
const char *ad__config_type_name(const struct ad_json *v);

/* config_file.c. NOMEM only: the rest is an error in the list. */
AD_MUST_CHECK enum ad_err ad__config_read_file(struct ad_config *c, const char *path);

/* config_env.c */
void ad__config_choose_env(struct ad_config *c, const struct ad_config_input *in);
void ad__config_read_variable(struct ad_config *c, const struct ad_config_input *in,
                              const struct ad_config_key *key);
void ad__config_read_variables(struct ad_config *c, const struct ad_config_input *in);
void ad__config_read_flags(struct ad_config *c, const struct ad_config_input *in);
/* Variables of a later release, and names that are nearly ours. */
void ad__config_check_names(struct ad_config *c, const struct ad_config_input *in);

#endif
