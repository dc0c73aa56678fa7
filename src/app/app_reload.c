/* Changing the graph while it runs: first all that can fail, made ready beside what is in use;
 * then all of it is put in place, which cannot. */
#include "app/app_private.h"

struct change {
    struct ad_tokens *tokens;
    struct ad_client_change *client;
    size_t secrets_n; /* of the new configuration's that were added */
};

static enum ad_err add_secrets(struct ad_app *a, const struct ad_config *to, struct change *ch)
{
    enum ad_err err = AD_OK;
    while (!err && to->webhook_secrets && to->webhook_secrets[ch->secrets_n]) {
        err = ad_webhook_secrets_add(a->secrets, ad_str_c(to->webhook_secrets[ch->secrets_n]));
        ch->secrets_n += !err;
    }
    return err;
}

static void remove_secrets(struct ad_app *a, const struct ad_config *c, size_t n)
{
    for (size_t i = 0; i < n && c->webhook_secrets && c->webhook_secrets[i]; i++) {
        ad_webhook_secrets_remove(a->secrets, ad_str_c(c->webhook_secrets[i]));
    }
}

static enum ad_err prepare_client(struct ad_app *a, const struct ad_config *to, struct change *ch,
                                  struct ad_errinfo *info)
{
    const struct ad_client_settings settings = {
        .api_key = ad_str_c(to->api_key),
        .writes_enabled = to->writes_enabled,
        .concurrency = (unsigned)to->concurrency,
        .interval_cap = (unsigned)to->interval_cap,
        .interval_ms = (unsigned)to->interval_ms,
        .reads_per_s = (unsigned)to->reads_per_s,
        .writes_per_s = (unsigned)to->writes_per_s,
    };
    return ad_client_prepare(a->client, &settings, &ch->client, info);
}

static void undo(struct ad_app *a, const struct ad_config *to, struct change *ch)
{
    remove_secrets(a, to, ch->secrets_n);
    ad_tokens_free(ch->tokens);
    if (ch->client) {
        ad_client_drop(ch->client);
    }
}

static void put_in_place(struct ad_app *a, const struct ad_config *from, const struct ad_config *to,
                         struct change *ch)
{
    const struct ad_api_admission admission = { ad_tokens_identify, ch->tokens, to->allowed_hosts };
    ad_api_set_admission(a->api, &admission);
    ad_tokens_free(a->tokens);
    a->tokens = ch->tokens;
    remove_secrets(a, from, SIZE_MAX); /* what both have was added once more and stays */
    ad_schema_set_ttl(a->schema, (unsigned)to->schema_ttl_ms);
    if (ad_client_commit(a->client, ch->client)) {
        ad_account_key_changed(a->account);
    }
}

enum ad_err ad_app_reload(struct ad_app *a, const struct ad_config *from,
                          const struct ad_config *to, struct ad_errinfo *info)
{
    struct change ch = { .secrets_n = 0 };
    enum ad_err err = ad_tokens_new(to->access, &ch.tokens);
    err = err ? err : add_secrets(a, to, &ch);
    if (err) {
        err = ad_fail(info, err, "%s", ad_err_text(err));
    }
    err = err ? err : prepare_client(a, to, &ch, info);
    if (!err && a->tls) { /* the last that may fail, because it cannot be undone */
        err = ad_tls_server_reload(a->tls, info);
    }
    if (err) {
        undo(a, to, &ch);
        return err;
    }
    put_in_place(a, from, to, &ch);
    return AD_OK;
}

void ad_app_note_reload(struct ad_app *a, bool ok, struct ad_str names)
{
    a->reloads[ok]->v++;
    ad_audit_note(a->audit, AD_STR("signal"), AD_STR("reload"), names, ok ? "ok" : "invalid");
}
