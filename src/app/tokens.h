/* The bearer tokens of the internal listener (ATTIOD_TOKENS), by digest: the text itself is not
 * kept. How long a look takes depends neither on which token was meant nor on how much of it was
 * right. */
#ifndef AD_APP_TOKENS_H
#define AD_APP_TOKENS_H

#include "api/api.h"
#include "app/config.h"

struct ad_tokens; /* opaque */

/* `list` is ended by a NULL name and copied; NULL: no tokens are configured, and everybody is
 * "local" with the role operate (the listener is on loopback then). Hides the tokens from the
 * log. */
AD_MUST_CHECK enum ad_err ad_tokens_new(const struct ad_config_token *list, struct ad_tokens **out);
void ad_tokens_free(struct ad_tokens *t); /* wipes; NULL is fine */
/* For ad_api_admission: ctx is the tokens. */
bool ad_tokens_identify(void *ctx, struct ad_str token, struct ad_api_who *who);

#endif
