#include "app/tokens.h"

#include "base/log.h"
#include "base/mem.h"
#include "infra/crypto.h"

#include <string.h>

struct entry {
    uint8_t digest[AD_SHA256_SIZE];
    enum ad_role role;
    char name[65];
};

struct ad_tokens {
    bool open; /* none are configured */
    size_t n;
    struct entry list[];
};

static enum ad_err fill(struct entry *e, const struct ad_config_token *from)
{
    struct ad_str token = ad_str_c(from->token);
    size_t n = strlen(from->name);
    AD_ASSERT(n < sizeof(e->name)); /* config_rules.c has looked */
    memcpy(e->name, from->name, n + 1);
    e->role = from->role;
    ad_sha256(token, e->digest);
    return ad_log_hide(token);
}

enum ad_err ad_tokens_new(const struct ad_config_token *list, struct ad_tokens **out)
{
    size_t n = 0;
    while (list && list[n].name) {
        n++;
    }
    struct ad_tokens *t = ad_zalloc(sizeof(*t) + n * sizeof(t->list[0]));
    if (!t) {
        return AD_ERR_NOMEM;
    }
    t->open = n == 0;
    for (; t->n < n; t->n++) {
        enum ad_err err = fill(&t->list[t->n], &list[t->n]);
        if (err) {
            ad_tokens_free(t);
            return err;
        }
    }
    *out = t;
    return AD_OK;
}

void ad_tokens_free(struct ad_tokens *t)
{
    if (t) {
        ad_wipe(t->list, t->n * sizeof(t->list[0]));
        ad_free(t);
    }
}

bool ad_tokens_identify(void *ctx, struct ad_str token, struct ad_api_who *who)
{
    const struct ad_tokens *t = ctx;
    const struct entry *found = NULL;
    uint8_t digest[AD_SHA256_SIZE];
    if (t->open) {
        *who = (struct ad_api_who){ "local", AD_ROLE_OPERATE };
        return true;
    }
    ad_sha256(token, digest);
    for (size_t i = 0; i < t->n; i++) { /* all of them, found or not */
        if (ad_equal_constant_time(digest, t->list[i].digest, sizeof(digest))) {
            found = &t->list[i];
        }
    }
    if (!found || !token.p) {
        return false;
    }
    *who = (struct ad_api_who){ found->name, found->role };
    return true;
}
