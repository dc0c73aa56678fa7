#include "attio/webhook.h"

#include "base/log.h"
#include "infra/crypto.h"
#include "support/run.h"
#include "support/torture.h"

/* The vector of webhook-events.json: the key is the text of the secret, not what its hex digits
 * say. */
#define SECRET "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
#define SIGNATURE "65517190b78a23034fdd81b9c4425deabc4d9b467b193cbe63a0c4ed690fec5f"
#define SIGNATURE_UPPER "65517190B78A23034FDD81B9C4425DEABC4D9B467B193CBE63A0C4ED690FEC5F"
#define IF_HEX_DECODED "1bce28125c574b7dc5112e7586051c2147e3b88c499554776e5df48c94237c6d"
#define EVENT                                                                             \
    "{\"event_type\":\"record.updated\",\"id\":{\"workspace_id\":"                        \
    "\"14beef7a-99f7-4534-a87e-70b564330a4c\",\"object_id\":"                             \
    "\"97052eb9-e65e-443f-a297-f2d9a4a7f795\",\"record_id\":"                             \
    "\"bf071e1f-6035-429d-b874-d83ea64ea13b\",\"attribute_id\":"                          \
    "\"41252299-f8c7-4b5e-99c9-4ff8321d2f96\"},\"actor\":{\"type\":\"workspace-member\"," \
    "\"id\":\"50cf242c-7fa3-4cad-87d0-75b1af71c57b\"}}"
#define WEBHOOK "{\"webhook_id\":\"23e42eaf-323a-41da-b5bb-fd67eebda553\",\"events\":["
static const char body[] = WEBHOOK EVENT "]}";

static struct ad_webhook_secrets *secrets_of(const char *first, const char *second)
{
    struct ad_webhook_secrets *s = NULL;
    ck_assert_int_eq(ad_webhook_secrets_new(&s), AD_OK);
    ck_assert_int_eq(ad_webhook_secrets_add(s, ad_str_c(first)), AD_OK);
    if (second) {
        ck_assert_int_eq(ad_webhook_secrets_add(s, ad_str_c(second)), AD_OK);
    }
    return s;
}

static enum ad_webhook_verdict verdict(const struct ad_webhook_secrets *s, const char *text,
                                       const char *signature)
{
    struct ad_http_header h[] = { { AD_STR("Host"), AD_STR("x") },
                                  { AD_STR("Attio-Signature"), ad_str_c(signature) } };
    return ad_webhook_verify(s, h, AD_LEN(h), ad_str_c(text));
}

START_TEST(the_documented_vector_is_genuine)
{
    struct ad_webhook_secrets *s = secrets_of(SECRET, NULL);
    ck_assert_uint_eq(strlen(body), 393);
    ck_assert_int_eq(verdict(s, body, SIGNATURE), AD_WEBHOOK_GENUINE);
    ck_assert_int_eq(verdict(s, body, SIGNATURE_UPPER), AD_WEBHOOK_GENUINE);
    ck_assert_int_eq(verdict(s, body, IF_HEX_DECODED), AD_WEBHOOK_BAD_SIGNATURE);
    ad_webhook_secrets_free(s);
    ad_log_forget_all();
}
END_TEST

START_TEST(one_bit_makes_it_bad)
{
    struct ad_webhook_secrets *s = secrets_of(SECRET, NULL);
    char text[sizeof(body)];
    for (size_t i = 0; i < sizeof(body) - 1; i++) {
        memcpy(text, body, sizeof(body));
        text[i] = (char)(text[i] ^ 1);
        ck_assert_int_eq(verdict(s, text, SIGNATURE), AD_WEBHOOK_BAD_SIGNATURE);
    }
    char signature[] = SIGNATURE;
    for (size_t i = 0; i < 64; i++) {
        char right = signature[i];
        signature[i] = right == '0' ? '1' : '0';
        ck_assert_int_eq(verdict(s, body, signature), AD_WEBHOOK_BAD_SIGNATURE);
        signature[i] = right;
    }
    ad_webhook_secrets_free(s);
    ad_log_forget_all();
}
END_TEST

START_TEST(what_is_not_64_hex_digits_is_bad)
{
    struct ad_webhook_secrets *s = secrets_of(SECRET, NULL);
    static const char *const rows[] = {
        "",
        "6",
        SIGNATURE "0",
        "sha256=" SIGNATURE,
        "z5517190b78a23034fdd81b9c4425deabc4d9b467b193",
        " " SIGNATURE,
        "t=1,v1=" SIGNATURE,
        "g5517190b78a23034fdd81b9c4425deabc4d9b467b193cbe63a0c4ed690fec5f",
    };
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        ck_assert_int_eq(verdict(s, body, rows[i]), AD_WEBHOOK_BAD_SIGNATURE);
    }
    ad_webhook_secrets_free(s);
    ad_log_forget_all();
}
END_TEST

START_TEST(either_header_counts_and_both_when_equal)
{
    struct ad_webhook_secrets *s = secrets_of(SECRET, NULL);
    struct ad_str b = ad_str_c(body);
    struct ad_http_header h[] = { { AD_STR("attio-signature"), AD_STR(SIGNATURE) },
                                  { AD_STR("X-Attio-Signature"), AD_STR(SIGNATURE_UPPER) },
                                  { AD_STR("X-ATTIO-SIGNATURE"), AD_STR(SIGNATURE) } };
    ck_assert_int_eq(ad_webhook_verify(s, NULL, 0, b), AD_WEBHOOK_NO_SIGNATURE);
    ck_assert_int_eq(ad_webhook_verify(s, h, 1, b), AD_WEBHOOK_GENUINE);
    ck_assert_int_eq(ad_webhook_verify(s, h + 1, 1, b), AD_WEBHOOK_GENUINE);
    ck_assert_int_eq(ad_webhook_verify(s, h, 3, b), AD_WEBHOOK_GENUINE);
    h[2].value = AD_STR(IF_HEX_DECODED);
    ck_assert_int_eq(ad_webhook_verify(s, h, 3, b), AD_WEBHOOK_TWO_SIGNATURES);
    h[2].value = AD_STR_NONE;
    ck_assert_int_eq(ad_webhook_verify(s, h, 3, b), AD_WEBHOOK_TWO_SIGNATURES);
    ck_assert_int_eq(ad_webhook_verify(s, h + 2, 1, b), AD_WEBHOOK_BAD_SIGNATURE);
    ad_webhook_secrets_free(s);
    ad_log_forget_all();
}
END_TEST

START_TEST(every_secret_is_accepted_and_none_is_known_twice)
{
    struct ad_webhook_secrets *s = secrets_of("another secret", SECRET);
    ck_assert_uint_eq(ad_webhook_secrets_count(s), 2);
    ck_assert_int_eq(ad_webhook_secrets_add(s, AD_STR(SECRET)), AD_OK);
    ck_assert_uint_eq(ad_webhook_secrets_count(s), 2);
    ck_assert_int_eq(verdict(s, body, SIGNATURE), AD_WEBHOOK_GENUINE);
    ad_webhook_secrets_free(s);
    ad_log_forget_all();
}
END_TEST

START_TEST(an_empty_secret_is_refused_and_without_secrets_nothing_is_genuine)
{
    struct ad_webhook_secrets *s = NULL;
    ck_assert_int_eq(ad_webhook_secrets_new(&s), AD_OK);
    ck_assert_int_eq(ad_webhook_secrets_add(s, AD_STR("")), AD_ERR_INVALID);
    ck_assert_int_eq(ad_webhook_secrets_add(s, AD_STR_NONE), AD_ERR_INVALID);
    ck_assert_uint_eq(ad_webhook_secrets_count(s), 0);
    ck_assert_int_eq(verdict(s, body, SIGNATURE), AD_WEBHOOK_BAD_SIGNATURE);
    ck_assert_int_eq(ad_webhook_secrets_add(s, AD_STR("short")), AD_OK);
    ad_webhook_secrets_free(s);
    ad_log_forget_all();
}
END_TEST

START_TEST(a_secret_is_accepted_until_its_last_adding_is_taken_back)
{
    struct ad_webhook_secrets *s = secrets_of("first secret", SECRET);
    ck_assert_int_eq(ad_webhook_secrets_add(s, AD_STR(SECRET)), AD_OK);
    ck_assert_int_eq(ad_webhook_secrets_add(s, AD_STR("third secret")), AD_OK);
    ad_webhook_secrets_remove(s, AD_STR("never added"));
    ad_webhook_secrets_remove(s, AD_STR(SECRET));
    ck_assert_int_eq(verdict(s, body, SIGNATURE), AD_WEBHOOK_GENUINE);
    ad_webhook_secrets_remove(s, AD_STR("first secret"));
    ck_assert_uint_eq(ad_webhook_secrets_count(s), 2);
    ck_assert_int_eq(verdict(s, body, SIGNATURE), AD_WEBHOOK_GENUINE);
    ad_webhook_secrets_remove(s, AD_STR(SECRET));
    ck_assert_int_eq(verdict(s, body, SIGNATURE), AD_WEBHOOK_BAD_SIGNATURE);
    ck_assert_uint_eq(ad_webhook_secrets_count(s), 1);
    ck_assert_int_eq(ad_webhook_secrets_add(s, AD_STR(SECRET)), AD_OK);
    ck_assert_int_eq(verdict(s, body, SIGNATURE), AD_WEBHOOK_GENUINE);
    ad_webhook_secrets_free(s);
    ad_log_forget_all();
}
END_TEST

START_TEST(verifying_allocates_nothing)
{
    heap_install();
    struct ad_webhook_secrets *s = secrets_of(SECRET, "another secret");
    size_t before = heap_requests();
    ck_assert_int_eq(verdict(s, body, SIGNATURE), AD_WEBHOOK_GENUINE);
    ck_assert_int_eq(verdict(s, body, IF_HEX_DECODED), AD_WEBHOOK_BAD_SIGNATURE);
    ck_assert_uint_eq(heap_requests(), before);
    ad_webhook_secrets_free(s);
    ad_log_forget_all();
    ck_assert_uint_eq(heap_uninstall(), 0);
}
END_TEST

static enum ad_err key_of(const char *first, const char *second, struct ad_str *key)
{
    struct ad_http_header h[] = { { AD_STR("idempotency-KEY"), ad_str_c(first) },
                                  { AD_STR("Idempotency-Key"), ad_str_c(second) } };
    return ad_webhook_idempotency_key(h, second ? 2 : 1, key, NULL);
}

START_TEST(the_key_is_one_short_text_or_absent)
{
    char longest[AD_WEBHOOK_KEY_MAX + 2];
    struct ad_str key;
    ck_assert_int_eq(ad_webhook_idempotency_key(NULL, 0, &key, NULL), AD_OK);
    ck_assert_ptr_null(key.p);
    ck_assert_int_eq(key_of("abc", NULL, &key), AD_OK);
    assert_str(key, "abc");
    ck_assert_int_eq(key_of("abc", "abc", &key), AD_ERR_INVALID);
    ck_assert_int_eq(key_of("", NULL, &key), AD_ERR_INVALID);
    ck_assert_int_eq(key_of("a\x01", NULL, &key), AD_ERR_INVALID);
    ck_assert_int_eq(key_of("a\xff", NULL, &key), AD_ERR_INVALID);
    memset(longest, 'k', sizeof(longest));
    longest[AD_WEBHOOK_KEY_MAX + 1] = '\0';
    ck_assert_int_eq(key_of(longest, NULL, &key), AD_ERR_INVALID);
    longest[AD_WEBHOOK_KEY_MAX] = '\0';
    ck_assert_int_eq(key_of(longest, NULL, &key), AD_OK);
}
END_TEST

static enum ad_err decode(struct ad_arena *arena, const char *text, struct ad_delivery *d,
                          struct ad_errinfo *info)
{
    struct ad_arena scratch;
    ad_arena_init(arena, (size_t)16 << 20);
    ad_arena_init(&scratch, (size_t)16 << 20);
    enum ad_err err = ad_webhook_decode(&scratch, arena, ad_str_c(text), d, info);
    ad_arena_fini(&scratch); /* nothing of the delivery may be there */
    return err;
}

START_TEST(a_delivery_holds_its_events)
{
    struct ad_arena arena;
    struct ad_delivery d;
    ck_assert_int_eq(decode(&arena, WEBHOOK EVENT "," EVENT "]}", &d, NULL), AD_OK);
    assert_str(d.webhook_id, "23e42eaf-323a-41da-b5bb-fd67eebda553");
    ck_assert_uint_eq(d.events_n, 2);
    assert_str(d.events[1].type, "record.updated");
    assert_str(d.events[1].body, EVENT);
    ck_assert_ptr_null(d.key.p);
    ad_arena_fini(&arena);
    ck_assert_int_eq(decode(&arena, WEBHOOK "]}", &d, NULL), AD_OK);
    ck_assert_uint_eq(d.events_n, 0);
    ad_arena_fini(&arena);
}
END_TEST

START_TEST(a_malformed_delivery_names_the_place)
{
    static const struct {
        const char *text, *msg;
    } rows[] = {
        { "[]", "webhook_id: required, a string" },
        { "{\"webhook_id\":\"x\"}", "events: required, an array" },
        { "{\"webhook_id\":\"x\",\"events\":{}}", "events: required, an array" },
        { WEBHOOK EVENT ",{}]}", "events[1]: event_type: required, a string" },
        { WEBHOOK "null]}", "events[0]: event_type: required, a string" },
        { "{\"webhook_id\":\"x\",\"events\":[],\"events\":[]}", NULL },
        { "", NULL },
        { "{", NULL },
    };
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        struct ad_arena arena;
        struct ad_delivery d;
        struct ad_errinfo info = { 0 };
        ck_assert_int_eq(decode(&arena, rows[i].text, &d, &info), AD_ERR_PARSE);
        ck_assert_int_eq(info.code, AD_ERR_PARSE);
        ck_assert(!rows[i].msg || strcmp(info.msg, rows[i].msg) == 0);
        ad_arena_fini(&arena);
    }
}
END_TEST

START_TEST(a_delivery_of_too_many_values_is_malformed_not_expensive)
{
    struct ad_buf b;
    struct ad_arena arena;
    struct ad_delivery d;
    ad_buf_init(&b, 1 << 20);
    ad_buf_put(&b, AD_STR(WEBHOOK "0"));
    for (size_t i = 0; i < AD_DELIVERY_NODES_MAX; i++) {
        ad_buf_put(&b, AD_STR(",0"));
    }
    ad_buf_put(&b, AD_STR("]}"));
    ad_buf_putc(&b, '\0');
    ck_assert_int_eq(decode(&arena, b.p, &d, NULL), AD_ERR_PARSE);
    ck_assert_uint_lt(ad_arena_used(&arena), (size_t)4 << 20);
    ad_arena_fini(&arena);
    ad_buf_fini(&b);
}
END_TEST

static enum ad_err whole(void *ctx)
{
    (void)ctx;
    struct ad_webhook_secrets *s = NULL;
    struct ad_arena arena;
    struct ad_delivery d;
    enum ad_err err = ad_webhook_secrets_new(&s);
    err = err ? err : ad_webhook_secrets_add(s, AD_STR(SECRET));
    err = err ? err : ad_webhook_secrets_add(s, AD_STR("another secret"));
    struct ad_arena scratch;
    ad_arena_init(&arena, 1 << 20);
    ad_arena_init(&scratch, 1 << 20);
    err = err ? err : ad_webhook_decode(&scratch, &arena, ad_str_c(body), &d, NULL);
    ad_arena_fini(&scratch);
    ad_arena_fini(&arena);
    ad_webhook_secrets_free(s);
    ad_log_forget_all();
    return err;
}

START_TEST(what_had_escapes_outlives_the_document)
{
    struct ad_arena arena;
    struct ad_delivery d;
    ck_assert_int_eq(
        decode(&arena,
               "{\"webhook_id\":\"w\\u0031\",\"events\":[{\"event_type\":\"task\\u002ecreated\","
               "\"id\":"
               "{\"workspace_id\":\"14beef7a\\u002d99f7-4534-a87e-70b564330a4c\",\"task_id\":"
               "\"649E34F4-C39a-4F4d-99ef-48a36bef8f0\\u0034\"},\"actor\":{\"type\":"
               "\"system\\u0021\",\"id\":null}}]}",
               &d, NULL),
        AD_OK);
    assert_str(d.webhook_id, "w1");
    assert_str(d.events[0].type, "task.created");
    assert_str(d.events[0].workspace_id, "14beef7a-99f7-4534-a87e-70b564330a4c");
    assert_str(d.events[0].primary_id, "649e34f4-c39a-4f4d-99ef-48a36bef8f04");
    assert_str(d.events[0].subject, "task:649e34f4-c39a-4f4d-99ef-48a36bef8f04");
    assert_str(d.events[0].actor_type, "system!");
    ad_arena_fini(&arena);
}
END_TEST

START_TEST(no_memory_is_reported)
{
    torture(whole, NULL);
}
END_TEST

static Suite *webhook_suite(void)
{
    const TTest *const tests[] = {
        the_documented_vector_is_genuine,
        one_bit_makes_it_bad,
        what_is_not_64_hex_digits_is_bad,
        either_header_counts_and_both_when_equal,
        every_secret_is_accepted_and_none_is_known_twice,
        an_empty_secret_is_refused_and_without_secrets_nothing_is_genuine,
        a_secret_is_accepted_until_its_last_adding_is_taken_back,
        verifying_allocates_nothing,
        the_key_is_one_short_text_or_absent,
        a_delivery_holds_its_events,
        a_malformed_delivery_names_the_place,
        a_delivery_of_too_many_values_is_malformed_not_expensive,
        what_had_escapes_outlives_the_document,
        no_memory_is_reported,
    };
    return suite_of("webhook", tests, AD_LEN(tests));
}

RUN_SUITE(webhook_suite)
