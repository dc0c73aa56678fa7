#include "attio/webhook.h"

#include "base/log.h"
#include "base/mem.h"
#include "infra/crypto.h"

struct secret {
    struct ad_hmac_key *key;
    char *text;
    size_t n;
    unsigned added; /* how often */
};

struct ad_webhook_secrets {
    struct secret *list;
    size_t n;
};

enum ad_err ad_webhook_secrets_new(struct ad_webhook_secrets **out)
{
    struct ad_webhook_secrets *s = ad_zalloc(sizeof(*s));
    if (!s) {
        return AD_ERR_NOMEM;
    }
    *out = s;
    return AD_OK;
}

static void secret_fini(struct secret *secret)
{
    ad_hmac_key_free(secret->key);
    if (secret->text) {
        ad_wipe(secret->text, secret->n);
        ad_free(secret->text);
    }
}

void ad_webhook_secrets_free(struct ad_webhook_secrets *s)
{
    if (!s) {
        return;
    }
    for (size_t i = 0; i < s->n; i++) {
        secret_fini(&s->list[i]);
    }
    ad_free(s->list);
    ad_free(s);
}

static struct secret *find(const struct ad_webhook_secrets *s, struct ad_str text)
{
    for (size_t i = 0; i < s->n; i++) {
        if (ad_str_eq(ad_str_n(s->list[i].text, s->list[i].n), text)) {
            return &s->list[i];
        }
    }
    return NULL;
}

static enum ad_err secret_init(struct secret *secret, struct ad_str text)
{
    enum ad_err err = ad_hmac_key_new(text, &secret->key);
    secret->text = err ? NULL : ad_alloc(text.n);
    if (!secret->text) {
        return err ? err : AD_ERR_NOMEM;
    }
    memcpy(secret->text, text.p, text.n);
    secret->n = text.n;
    err = ad_log_hide(text);
    return err == AD_ERR_INVALID ? AD_OK : err; /* too short to be masked in a line */
}

enum ad_err ad_webhook_secrets_add(struct ad_webhook_secrets *s, struct ad_str secret)
{
    if (secret.n == 0) {
        return AD_ERR_INVALID;
    }
    struct secret *known = find(s, secret);
    if (known) {
        known->added++;
        return AD_OK;
    }
    struct secret *list = ad_resize(s->list, (s->n + 1) * sizeof(*list));
    if (!list) {
        return AD_ERR_NOMEM;
    }
    s->list = list;
    list[s->n] = (struct secret){ .added = 1 };
    enum ad_err err = secret_init(&list[s->n], secret);
    if (err) {
        secret_fini(&list[s->n]);
        return err;
    }
    s->n++;
    return AD_OK;
}

void ad_webhook_secrets_remove(struct ad_webhook_secrets *s, struct ad_str secret)
{
    struct secret *known = find(s, secret);
    if (!known || --known->added > 0) {
        return;
    }
    secret_fini(known);
    size_t after = s->n - (size_t)(known - s->list) - 1;
    memmove(known, known + 1, after * sizeof(*known));
    s->n--;
}

size_t ad_webhook_secrets_count(const struct ad_webhook_secrets *s)
{
    return s->n;
}

static bool is_signature(struct ad_str name)
{
    return ad_str_eq_nocase(name, AD_STR("attio-signature")) ||
           ad_str_eq_nocase(name, AD_STR("x-attio-signature"));
}

/* The one signature of the headers, decoded. */
static enum ad_webhook_verdict find_signature(const struct ad_http_header *headers, size_t n,
                                              uint8_t out[AD_SHA256_SIZE])
{
    struct ad_str found = AD_STR_NONE;
    for (size_t i = 0; i < n; i++) {
        if (!is_signature(headers[i].name)) {
            continue;
        }
        if (found.p && !ad_str_eq_nocase(found, headers[i].value)) {
            return AD_WEBHOOK_TWO_SIGNATURES;
        }
        found = headers[i].value.p ? headers[i].value : AD_STR("");
    }
    if (!found.p) {
        return AD_WEBHOOK_NO_SIGNATURE;
    }
    return ad_hex_decode(found, out, AD_SHA256_SIZE) ? AD_WEBHOOK_GENUINE
                                                     : AD_WEBHOOK_BAD_SIGNATURE;
}

enum ad_webhook_verdict ad_webhook_verify(const struct ad_webhook_secrets *s,
                                          const struct ad_http_header *headers, size_t n,
                                          struct ad_str body)
{
    uint8_t given[AD_SHA256_SIZE];
    uint8_t right[AD_SHA256_SIZE];
    enum ad_webhook_verdict verdict = find_signature(headers, n, given);
    if (verdict != AD_WEBHOOK_GENUINE) {
        return verdict;
    }
    for (size_t i = 0; i < s->n; i++) {
        ad_hmac(s->list[i].key, body, right);
        if (ad_equal_constant_time(given, right, sizeof(right))) {
            return AD_WEBHOOK_GENUINE;
        }
    }
    return AD_WEBHOOK_BAD_SIGNATURE;
}

static bool is_text(struct ad_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f) {
            return false;
        }
    }
    return ad_utf8_valid(s);
}

enum ad_err ad_webhook_idempotency_key(const struct ad_http_header *headers, size_t n,
                                       struct ad_str *out, struct ad_errinfo *info)
{
    struct ad_str key = AD_STR_NONE;
    for (size_t i = 0; i < n; i++) {
        if (!ad_str_eq_nocase(headers[i].name, AD_STR("idempotency-key"))) {
            continue;
        }
        if (key.p) {
            return ad_fail(info, AD_ERR_INVALID, "Idempotency-Key: given twice");
        }
        key = headers[i].value.p ? headers[i].value : AD_STR("");
    }
    if (key.p && (key.n == 0 || key.n > AD_WEBHOOK_KEY_MAX || !is_text(key))) {
        return ad_fail(info, AD_ERR_INVALID, "Idempotency-Key: not 1 to %d bytes of text",
                       AD_WEBHOOK_KEY_MAX);
    }
    *out = key;
    return AD_OK;
}

/* Members of an event that may point into the parsed document. */
static const size_t from_document[] = {
    offsetof(struct ad_event, type),         offsetof(struct ad_event, workspace_id),
    offsetof(struct ad_event, object_id),    offsetof(struct ad_event, record_id),
    offsetof(struct ad_event, attribute_id), offsetof(struct ad_event, list_id),
    offsetof(struct ad_event, entry_id),     offsetof(struct ad_event, primary_id),
    offsetof(struct ad_event, actor_type),   offsetof(struct ad_event, actor_id),
    offsetof(struct ad_event, subject),      offsetof(struct ad_event, duplicate_record_id),
};

/* A string that had escapes lies in the document, not in the body. */
static bool keep(struct ad_arena *arena, struct ad_str body, struct ad_str *s)
{
    if (!s->p || (s->p >= body.p && s->p < body.p + body.n)) {
        return true;
    }
    *s = ad_arena_str(arena, *s);
    return s->p != NULL;
}

static bool keep_event(struct ad_arena *arena, struct ad_str body, struct ad_event *e)
{
    for (size_t i = 0; i < AD_LEN(from_document); i++) {
        if (!keep(arena, body, (struct ad_str *)(void *)((char *)e + from_document[i]))) {
            return false;
        }
    }
    return true;
}

static enum ad_err no_memory(struct ad_errinfo *info)
{
    return ad_fail(info, AD_ERR_NOMEM, "no memory for the delivery");
}

static enum ad_err decode_events(struct ad_arena *scratch, struct ad_arena *arena,
                                 struct ad_str body, const struct ad_json *list,
                                 struct ad_delivery *d, struct ad_errinfo *info)
{
    d->events = ad_arena_array(arena, list->count + 1, sizeof(*d->events));
    if (!d->events) {
        return no_memory(info);
    }
    AD_JSON_FOREACH (v, list) {
        struct ad_event *e = &d->events[d->events_n];
        enum ad_err err = ad_event_decode(scratch, v, e, info);
        if (err) {
            ad_errinfo_prefix(info, "events[%zu]", d->events_n);
            return err;
        }
        if (!keep_event(arena, body, e)) {
            return no_memory(info);
        }
        d->events_n++;
    }
    return AD_OK;
}

enum ad_err ad_webhook_decode(struct ad_arena *scratch, struct ad_arena *arena, struct ad_str body,
                              struct ad_delivery *out, struct ad_errinfo *info)
{
    static const struct ad_json_limits limits = { .bytes_max = (size_t)16 << 20,
                                                  .depth_max = AD_JSON_DEPTH_MAX,
                                                  .nodes_max = AD_DELIVERY_NODES_MAX };
    const struct ad_json *doc;
    struct ad_delivery d = { .webhook_id = AD_STR_NONE };
    enum ad_err err = ad_json_parse(scratch, body, &limits, &doc, info);
    if (err) {
        err = err == AD_ERR_TOOLARGE ? AD_ERR_PARSE : err;
        if (info) {
            info->code = err;
        }
        return err;
    }
    if (!ad_json_ident(ad_json_get(doc, "webhook_id"), &d.webhook_id)) {
        return ad_fail(info, AD_ERR_PARSE, "webhook_id: required, a string");
    }
    if (!keep(arena, body, &d.webhook_id)) {
        return no_memory(info);
    }
    const struct ad_json *list = ad_json_get(doc, "events");
    if (!ad_json_is(list, AD_JSON_ARRAY)) {
        return ad_fail(info, AD_ERR_PARSE, "events: required, an array");
    }
    err = decode_events(scratch, arena, body, list, &d, info);
    if (!err) {
        *out = d;
    }
    return err;
}
