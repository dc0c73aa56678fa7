/* HMAC and SHA-256 against published vectors. */
#include "infra/crypto.h"

#include "support/heap.h"
#include "support/run.h"

/* AD_STR where C wants a constant */
#define TEXT(literal)                   \
    {                                   \
        "" literal, sizeof(literal) - 1 \
    }
#define REPEAT_20(x) x x x x x x x x x x x x x x x x x x x x

/* RFC 4231, test cases 1 to 7 (5 is cut to 128 bits there), and one of Attio's shape: the key is
 * the secret's ASCII text, not its bytes. */
static const struct {
    struct ad_str key, msg;
    const char *hex;
    size_t hex_n;
} vectors[] = {
    { TEXT(REPEAT_20("\x0b")), TEXT("Hi There"),
      "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7", 64 },
    { TEXT("Jefe"), TEXT("what do ya want for nothing?"),
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", 64 },
    { TEXT(REPEAT_20("\xaa")),
      TEXT(REPEAT_20("\xdd") REPEAT_20("\xdd") "\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd"),
      "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe", 64 },
    { TEXT("\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14"
           "\x15\x16\x17\x18\x19"),
      TEXT(REPEAT_20("\xcd") REPEAT_20("\xcd") "\xcd\xcd\xcd\xcd\xcd\xcd\xcd\xcd\xcd\xcd"),
      "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b", 64 },
    { TEXT(REPEAT_20("\x0c")), TEXT("Test With Truncation"), "a3b6167473100ee06e0c796c2955552b",
      32 },
    { TEXT(REPEAT_20("\xaa") REPEAT_20("\xaa") REPEAT_20("\xaa") REPEAT_20("\xaa") REPEAT_20("\xaa")
               REPEAT_20("\xaa") "\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa"),
      TEXT("Test Using Larger Than Block-Size Key - Hash Key First"),
      "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54", 64 },
    { TEXT(REPEAT_20("\xaa") REPEAT_20("\xaa") REPEAT_20("\xaa") REPEAT_20("\xaa") REPEAT_20("\xaa")
               REPEAT_20("\xaa") "\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa"),
      TEXT("This is a test using a larger than block-size key and a larger than block-size data. "
           "The key needs to be hashed before being used by the HMAC algorithm."),
      "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2", 64 },
    { TEXT("ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"),
      TEXT("{\"webhook_id\":\"23e42eaf-323a-41da-b5bb-fd67eebda553\",\"events\":[{\"event_type\":"
           "\"record.updated\",\"id\":{\"workspace_id\":\"14beef7a-99f7-4534-a87e-70b564330a4c\","
           "\"object_id\":\"97052eb9-e65e-443f-a297-f2d9a4a7f795\",\"record_id\":"
           "\"bf071e1f-6035-429d-b874-d83ea64ea13b\",\"attribute_id\":"
           "\"41252299-f8c7-4b5e-99c9-4ff8321d2f96\"},\"actor\":{\"type\":\"workspace-member\","
           "\"id\":\"50cf242c-7fa3-4cad-87d0-75b1af71c57b\"}}]}"),
      "65517190b78a23034fdd81b9c4425deabc4d9b467b193cbe63a0c4ed690fec5f", 64 },
};

START_TEST(hmac_gives_the_published_digests)
{
    struct ad_hmac_key *k = NULL;
    uint8_t digest[AD_SHA256_SIZE];
    char hex[2 * AD_SHA256_SIZE];
    ck_assert_int_eq(ad_hmac_key_new(vectors[_i].key, &k), AD_OK);
    for (unsigned round = 0; round < 2; round++) { /* a key serves many messages */
        ad_hmac(k, vectors[_i].msg, digest);
        ad_hex_encode(digest, sizeof(digest), hex);
        assert_str(ad_str_n(hex, vectors[_i].hex_n), vectors[_i].hex);
    }
    ad_hmac_key_free(k);
}
END_TEST

/* The definition, with no key prepared. */
static void hmac_by_definition(struct ad_str key, struct ad_str msg, uint8_t out[AD_SHA256_SIZE])
{
    char inner[64 + 512] = { 0 };
    char outer[64 + AD_SHA256_SIZE] = { 0 };
    uint8_t digest[AD_SHA256_SIZE];
    memcpy(inner, key.p, key.n);
    memcpy(outer, key.p, key.n);
    for (size_t i = 0; i < 64; i++) {
        inner[i] = (char)(inner[i] ^ 0x36);
        outer[i] = (char)(outer[i] ^ 0x5c);
    }
    if (msg.n > 0) {
        memcpy(inner + 64, msg.p, msg.n);
    }
    ad_sha256(ad_str_n(inner, 64 + msg.n), digest);
    memcpy(outer + 64, digest, sizeof(digest));
    ad_sha256(ad_str_n(outer, sizeof(outer)), out);
}

START_TEST(every_length_around_the_block_size_follows_the_definition)
{
    char text[512];
    memset(text, 'm', sizeof(text));
    for (size_t key_n = 1; key_n <= 64; key_n += 21) {
        struct ad_hmac_key *k = NULL;
        ck_assert_int_eq(ad_hmac_key_new(ad_str_n(text, key_n), &k), AD_OK);
        for (size_t n = 0; n <= 200; n++) {
            uint8_t ours[AD_SHA256_SIZE];
            uint8_t theirs[AD_SHA256_SIZE];
            ad_hmac(k, ad_str_n(n ? text : NULL, n), ours);
            hmac_by_definition(ad_str_n(text, key_n), ad_str_n(text, n), theirs);
            ck_assert(ad_equal_constant_time(ours, theirs, sizeof(ours)));
        }
        ad_hmac_key_free(k);
    }
}
END_TEST

START_TEST(sha256_gives_the_published_digests)
{
    static const struct {
        struct ad_str msg;
        const char *hex;
    } cases[] = {
        { { NULL, 0 }, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
        { TEXT("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
        { TEXT("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
    };
    for (size_t i = 0; i < AD_LEN(cases); i++) {
        uint8_t digest[AD_SHA256_SIZE];
        char hex[2 * AD_SHA256_SIZE];
        ad_sha256(cases[i].msg, digest);
        ad_hex_encode(digest, sizeof(digest), hex);
        assert_str(ad_str_n(hex, sizeof(hex)), cases[i].hex);
    }
}
END_TEST

START_TEST(an_empty_key_is_refused)
{
    struct ad_hmac_key *k = NULL;
    ck_assert_int_eq(ad_hmac_key_new(AD_STR(""), &k), AD_ERR_INVALID);
    ck_assert_ptr_null(k);
    ad_hmac_key_free(NULL);
}
END_TEST

START_TEST(no_memory_for_a_key_is_an_error)
{
    struct ad_hmac_key *k = NULL;
    heap_install();
    heap_fail(0, 1);
    ck_assert_int_eq(ad_hmac_key_new(AD_STR("key"), &k), AD_ERR_NOMEM);
    ck_assert_uint_eq(heap_uninstall(), 0);
}
END_TEST

START_TEST(comparison_sees_every_bit)
{
    uint8_t a[AD_SHA256_SIZE] = { 0 };
    uint8_t b[AD_SHA256_SIZE] = { 0 };
    ck_assert(ad_equal_constant_time(a, b, sizeof(a)));
    ck_assert(ad_equal_constant_time(a, b, 0));
    for (size_t bit = 0; bit < 8 * sizeof(a); bit++) {
        b[bit / 8] = (uint8_t)(1U << (bit % 8));
        ck_assert(!ad_equal_constant_time(a, b, sizeof(a)));
        b[bit / 8] = 0;
    }
}
END_TEST

START_TEST(random_bytes_fill_all_and_differ)
{
    uint8_t a[512] = { 0 };
    uint8_t b[512] = { 0 };
    ck_assert_int_eq(ad_random_bytes(a, sizeof(a)), AD_OK);
    ck_assert_int_eq(ad_random_bytes(b, sizeof(b)), AD_OK);
    ck_assert(memcmp(a, b, sizeof(a)) != 0);
    for (size_t i = 0; i < sizeof(a); i += 16) {
        static const uint8_t zero[16];
        ck_assert(memcmp(a + i, zero, 16) != 0);
    }
}
END_TEST

START_TEST(wiped_memory_is_zero)
{
    char secret[8] = "secret!";
    ad_wipe(secret, sizeof(secret));
    for (size_t i = 0; i < sizeof(secret); i++) {
        ck_assert_int_eq(secret[i], 0);
    }
    ad_wipe(NULL, 0);
}
END_TEST

static Suite *crypto_suite(void)
{
    Suite *suite = suite_create("crypto");
    TCase *tcase = tcase_create("crypto");
    tcase_add_loop_test(tcase, hmac_gives_the_published_digests, 0, (int)AD_LEN(vectors));
    tcase_add_test(tcase, every_length_around_the_block_size_follows_the_definition);
    tcase_add_test(tcase, sha256_gives_the_published_digests);
    tcase_add_test(tcase, an_empty_key_is_refused);
    tcase_add_test(tcase, no_memory_for_a_key_is_an_error);
    tcase_add_test(tcase, comparison_sees_every_bit);
    tcase_add_test(tcase, random_bytes_fill_all_and_differ);
    tcase_add_test(tcase, wiped_memory_is_zero);
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITE(crypto_suite)
