#include "base/str.h"

#include <stdio.h>

#include "support/run.h"

START_TEST(comparing_works_with_absent_and_empty_slices)
{
    ck_assert(ad_str_eq(AD_STR_NONE, AD_STR("")));
    ck_assert(ad_str_eq(AD_STR("abc"), AD_STR("abc")));
    ck_assert(!ad_str_eq(AD_STR("abc"), AD_STR("abd")));
    ck_assert(!ad_str_eq(AD_STR("abc"), AD_STR("ab")));
    ck_assert(ad_str_eq_nocase(AD_STR("Content-Type"), AD_STR("cONTENT-tYPE")));
    ck_assert(!ad_str_eq_nocase(AD_STR("@"), AD_STR("`")));
    /* Every pair of characters, alone and at each place of a long name. */
    for (int c = 0; c < 256 * 256; c++) {
        char x[] = "attio-signature-xyz";
        char y[] = "ATTIO-SIGNATURE-XYZ";
        char p = (char)(c / 256);
        char q = (char)(c % 256);
        bool same = p == q || (p >= 'A' && p <= 'Z' && q == p + 32) ||
                    (q >= 'A' && q <= 'Z' && p == q + 32);
        x[c % 19] = p;
        y[c % 19] = q;
        ck_assert_int_eq(ad_str_eq_nocase(ad_str_n(&p, 1), ad_str_n(&q, 1)), same);
        ck_assert_int_eq(ad_str_eq_nocase(ad_str_n(x, 19), ad_str_n(y, 19)), same);
    }
    ck_assert(!ad_str_eq_nocase(AD_STR("\xc3\x84"), AD_STR("\xc3\xa4")));
    ck_assert_int_lt(ad_str_cmp(AD_STR("a"), AD_STR("ab")), 0);
    ck_assert_int_gt(ad_str_cmp(AD_STR("b"), AD_STR("ab")), 0);
    ck_assert_int_gt(ad_str_cmp(AD_STR("\xff"), AD_STR("a")), 0);
    ck_assert_int_eq(ad_str_cmp(AD_STR(""), AD_STR_NONE), 0);
}
END_TEST

START_TEST(searching_works_with_absent_and_empty_slices)
{
    ck_assert(ad_str_starts(AD_STR("record.updated"), AD_STR("record.")));
    ck_assert(!ad_str_starts(AD_STR("rec"), AD_STR("record")));
    ck_assert(ad_str_starts(AD_STR_NONE, AD_STR("")));
    ck_assert(ad_str_ends(AD_STR("a.json"), AD_STR(".json")));
    ck_assert(ad_str_ends(AD_STR_NONE, AD_STR_NONE));
    ck_assert(!ad_str_ends(AD_STR("n"), AD_STR("json")));
    ck_assert_uint_eq(ad_str_find(AD_STR("abc"), 'c'), 2);
    ck_assert_uint_eq(ad_str_find(AD_STR("abc"), 'x'), 3);
    ck_assert_uint_eq(ad_str_find(AD_STR_NONE, 'x'), 0);
    ck_assert(ad_str_contains(AD_STR("abcd"), AD_STR("bc")));
    ck_assert(!ad_str_contains(AD_STR("abcd"), AD_STR("ca")));
    ck_assert(ad_str_contains(AD_STR_NONE, AD_STR("")));
    ck_assert(!ad_str_contains(AD_STR_NONE, AD_STR("a")));
}
END_TEST

START_TEST(trim_takes_blanks_and_tabs_at_both_ends)
{
    assert_str(ad_str_trim(AD_STR(" \t a b\t ")), "a b");
    assert_str(ad_str_trim(AD_STR("   ")), "");
    assert_str(ad_str_trim(AD_STR_NONE), "");
    assert_str(ad_str_trim(AD_STR("\na\n")), "\na\n");
}
END_TEST

START_TEST(cut_walks_all_parts_and_ends)
{
    struct ad_str rest = AD_STR("a,,b,");
    const char *parts[] = { "a", "", "b", "" };
    size_t n = 0;
    while (rest.p) {
        ck_assert_uint_lt(n, AD_LEN(parts));
        assert_str(ad_str_cut(&rest, ','), parts[n]);
        n++;
    }
    ck_assert_uint_eq(n, AD_LEN(parts));
    rest = AD_STR_NONE;
    ck_assert_ptr_null(ad_str_cut(&rest, ',').p);
}
END_TEST

START_TEST(whole_numbers_are_read_within_their_range)
{
    static const struct {
        const char *text;
        int64_t min, max;
        bool ok;
        int64_t value;
    } rows[] = {
        { "0", 0, 10, true, 0 },
        { "-0", -1, 1, true, 0 },
        { "10", 0, 10, true, 10 },
        { "11", 0, 10, false, 0 },
        { "-1", 0, 10, false, 0 },
        { "-1", -1, 10, true, -1 },
        { "-2", -1, 10, false, 0 },
        { "007", 0, 10, true, 7 },
        { "", 0, 10, false, 0 },
        { "-", -5, 5, false, 0 },
        { "+1", -5, 5, false, 0 },
        { "--1", -5, 5, false, 0 },
        { " 1", 0, 5, false, 0 },
        { "1 ", 0, 5, false, 0 },
        { "1.0", 0, 5, false, 0 },
        { "0x1", 0, 5, false, 0 },
        { "9223372036854775807", INT64_MIN, INT64_MAX, true, INT64_MAX },
        { "9223372036854775808", INT64_MIN, INT64_MAX, false, 0 },
        { "-9223372036854775808", INT64_MIN, INT64_MAX, true, INT64_MIN },
        { "-9223372036854775809", INT64_MIN, INT64_MAX, false, 0 },
        { "99999999999999999999999", INT64_MIN, INT64_MAX, false, 0 },
    };
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        int64_t v = 77;
        bool ok = ad_str_i64(ad_str_c(rows[i].text), rows[i].min, rows[i].max, &v);
        ck_assert_msg(ok == rows[i].ok, "\"%s\"", rows[i].text);
        ck_assert_int_eq(v, ok ? rows[i].value : 77);
    }
    uint64_t u = 77;
    ck_assert(ad_str_u64(AD_STR("18446744073709551615"), UINT64_MAX, &u));
    ck_assert(u == UINT64_MAX);
    ck_assert(!ad_str_u64(AD_STR("18446744073709551616"), UINT64_MAX, &u));
    ck_assert(!ad_str_u64(AD_STR("-1"), UINT64_MAX, &u));
    ck_assert(!ad_str_u64(AD_STR_NONE, UINT64_MAX, &u));
}
END_TEST

START_TEST(a_uuid_is_36_hex_digits_and_dashes_in_place)
{
    ck_assert(ad_str_is_uuid(AD_STR("bf071e1f-6035-429d-b874-d83ea64ea13b")));
    ck_assert(ad_str_is_uuid(AD_STR("BF071E1F-6035-429D-B874-D83EA64EA13B")));
    ck_assert(!ad_str_is_uuid(AD_STR("bf071e1f-6035-429d-b874-d83ea64ea13")));
    ck_assert(!ad_str_is_uuid(AD_STR("bf071e1f-6035-429d-b874-d83ea64ea13bb")));
    ck_assert(!ad_str_is_uuid(AD_STR("bf071e1f06035-429d-b874-d83ea64ea13b")));
    ck_assert(!ad_str_is_uuid(AD_STR("bf071e1f-6035-429d-b874-d83ea64ea13g")));
    ck_assert(!ad_str_is_uuid(AD_STR("bf071e1f-6035-429d-b874-d83ea64-a13b")));
    ck_assert(!ad_str_is_uuid(AD_STR_NONE));
}
END_TEST

START_TEST(hex_goes_there_and_back)
{
    uint8_t bytes[4] = { 9, 9, 9, 9 };
    ck_assert(ad_hex_decode(AD_STR("00fFA57e"), bytes, 4));
    ck_assert_mem_eq(bytes, "\x00\xff\xa5\x7e", 4);
    char text[8];
    ad_hex_encode(bytes, 4, text);
    ck_assert_mem_eq(text, "00ffa57e", 8);
    ck_assert(!ad_hex_decode(AD_STR("00fFA57"), bytes, 4));
    ck_assert(!ad_hex_decode(AD_STR("00fFA57g"), bytes, 4));
    ck_assert(!ad_hex_decode(AD_STR("00fFA57e00"), bytes, 4));
    ck_assert_mem_eq(bytes, "\x00\xff\xa5\x7e", 4);
    ck_assert(ad_hex_decode(AD_STR(""), bytes, 0));
}
END_TEST

START_TEST(utf8_is_checked_to_the_letter)
{
    static const struct {
        const char *text;
        bool valid;
    } rows[] = {
        { "", true },
        { "plain ascii that is longer than eight bytes", true },
        { "\xc3\xa4", true },
        { "\xe2\x82\xac", true },
        { "\xf0\x9f\x98\x80", true },
        { "\xf4\x8f\xbf\xbf", true },
        { "\xf4\x90\x80\x80", false }, /* beyond U+10FFFF */
        { "\xf5\x80\x80\x80", false },
        { "\xc0\x80", false }, /* overlong */
        { "\xc1\xbf", false },
        { "\xe0\x9f\xbf", false },
        { "\xf0\x8f\xbf\xbf", false },
        { "\xed\x9f\xbf", true },
        { "\xed\xa0\x80", false }, /* surrogates */
        { "\xed\xbf\xbf", false },
        { "\xee\x80\x80", true },
        { "\x80", false },
        { "\xc3", false },
        { "\xe2\x82", false },
        { "\xf0\x9f\x98", false },
        { "\xe2\x28\xa1", false },
        { "\xff", false },
    };
    for (size_t i = 0; i < AD_LEN(rows); i++) {
        /* At every place relative to the blocks that are checked at once. */
        for (size_t shift = 0; shift < 80; shift++) {
            char text[160];
            memset(text, 'x', sizeof(text));
            size_t n = strlen(rows[i].text);
            memcpy(text + shift, rows[i].text, n);
            ck_assert_msg(ad_utf8_valid(ad_str_n(text, shift + n)) == rows[i].valid, "%zu", i);
            ck_assert_msg(ad_utf8_valid(ad_str_n(text, sizeof(text))) == rows[i].valid, "%zu", i);
        }
    }
}
END_TEST

START_TEST(the_hash_depends_on_every_byte_the_length_and_the_seed)
{
    char text[64] = { 0 };
    for (size_t n = 0; n <= sizeof(text); n++) {
        uint64_t h = ad_hash(ad_str_n(text, n));
        ck_assert(n == 0 || h != ad_hash(ad_str_n(text, n - 1)));
        for (size_t i = 0; i < n; i++) {
            text[i] = 1;
            ck_assert(h != ad_hash(ad_str_n(text, n)));
            text[i] = 0;
        }
    }
    uint64_t before = ad_hash(AD_STR("key"));
    ck_assert(before == ad_hash(AD_STR("key")));
    ad_hash_seed(1);
    ck_assert(before != ad_hash(AD_STR("key")));
    ad_hash_seed(0);
    ck_assert(before == ad_hash(AD_STR("key")));
}
END_TEST

START_TEST(the_hash_spreads_numbered_keys_evenly)
{
    enum { KEYS = 64000, SLOTS = 64 };
    size_t slots[SLOTS] = { 0 };
    for (int i = 0; i < KEYS; i++) {
        char key[32];
        int n = snprintf(key, sizeof(key), "record-%d", i);
        slots[ad_hash(ad_str_n(key, (size_t)n)) % SLOTS]++;
    }
    for (size_t i = 0; i < SLOTS; i++) { /* 1000 expected, deviation about 32 */
        ck_assert_uint_gt(slots[i], 800);
        ck_assert_uint_lt(slots[i], 1200);
    }
}
END_TEST

static Suite *suite(void)
{
    const TTest *const tests[] = {
        comparing_works_with_absent_and_empty_slices,
        searching_works_with_absent_and_empty_slices,
        trim_takes_blanks_and_tabs_at_both_ends,
        cut_walks_all_parts_and_ends,
        whole_numbers_are_read_within_their_range,
        a_uuid_is_36_hex_digits_and_dashes_in_place,
        hex_goes_there_and_back,
        utf8_is_checked_to_the_letter,
        the_hash_depends_on_every_byte_the_length_and_the_seed,
        the_hash_spreads_numbered_keys_evenly,
    };
    return suite_of("str", tests, AD_LEN(tests));
}

RUN_SUITE(suite)
