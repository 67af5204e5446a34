/* test_keys.c: the form of keys, their hashes and digests, months and dates, rights. */
#include "test_support.h"

#include <string.h>

#include "account/key.h"
#include "account/records.h"
#include "account/siphash.h"
#include "base/hex.h"

/* The test vectors of the reference code: key 00 01 … 0f, input 00 01 … (n−1). */
static void test_keys_siphash_gives_the_reference_vectors(void **state)
{
    (void)state;
    static const struct {
        size_t len;
        const char *digest;
    } vectors[] = {{0, "a3817f04ba25a8e66df67214c7550293"},  {1, "da87c1d86b99af44347659119b22fc45"},
                   {7, "a1f1ebbed8dbc153c0b84aa61ff08239"},  {8, "3b62a9ba6258f5610f83e264f31497b4"},
                   {15, "5493e99933b0a8117e08ec0f97cfc3d9"}, {63, "5150d1772f50834a503e069a973fbd7c"}};
    uint8_t key[SIPHASH_BYTES], bytes[64], digest[SIPHASH_BYTES];
    char hex[2 * SIPHASH_BYTES + 1];
    for (uint8_t i = 0; i < 64; i++)
        bytes[i] = i;
    memcpy(key, bytes, sizeof key);
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        siphash128(key, span_of(bytes, vectors[i].len), digest);
        hex_encode(span_of(digest, sizeof digest), hex);
        assert_string_equal(hex, vectors[i].digest);
    }
}

static void test_keys_have_a_form(void **state)
{
    (void)state;
    struct span fe = span_str("fe_");
    char key[KEY_TEXT_MAX + 1] = "", other[KEY_TEXT_MAX + 1] = "";
    struct dp_error error;
    assert_int_equal(key_generate(fe, key, &error), DP_OK);
    assert_int_equal(key_generate(fe, other, &error), DP_OK);
    assert_int_equal(strlen(key), 67);
    assert_string_not_equal(key, other);
    assert_true(key_is_well_formed(fe, span_str(key)));
    assert_false(key_is_well_formed(span_str("sk-"), span_str(key)));
    assert_false(key_is_well_formed(fe, span_of(key, 66)));
    assert_true(span_equal(key_prefix(fe, span_str(key)), span_of(key + 3, 8)));
    for (size_t i = 0; i < 67; i++) {
        char broken[KEY_TEXT_MAX + 1];
        memcpy(broken, key, sizeof broken);
        broken[i] = i < 3 ? 'F' : "GA' \n\x7f"[i % 6];
        assert_false(key_is_well_formed(fe, span_str(broken)));
    }
    static const char *const bad[] = {"", "123456789", "a b", "fe\xc3\xa9", "a'b", "fe$"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(key_check_scheme(span_str(bad[i]), &error), DP_INVALID);
    assert_int_equal(key_check_scheme(span_str("A-Za-z_9"), &error), DP_OK);
}

static bool verifies(const char *key, const char *hash)
{
    bool matches;
    struct dp_error error;
    assert_int_equal(key_verify(span_str(key), span_str(hash), &matches, &error), DP_OK);
    return matches;
}

/* Python's bcrypt 5.0 made the hashes of the second part. */
static void test_keys_are_hashed_by_bcrypt(void **state)
{
    (void)state;
    char hash[KEY_HASH_MAX + 1];
    struct dp_error error;
    static const char key[] = "fe_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    assert_int_equal(key_hash(span_str(key), KEY_COST_TESTS, hash, &error), DP_OK);
    assert_int_equal(strncmp(hash, "$2b$04$", 7), 0);
    assert_true(verifies(key, hash));
    char other[sizeof key];
    memcpy(other, key, sizeof other);
    other[66] = 'e'; /* bcrypt also reads the last digit */
    assert_false(verifies(other, hash));
    /* bcrypt reads at most 72 bytes, which is the length of the longest key. */
    char longest[KEY_TEXT_MAX + 2];
    memset(longest, 'a', sizeof longest);
    longest[KEY_TEXT_MAX] = '\0';
    assert_int_equal(key_hash(span_str(longest), KEY_COST_TESTS, hash, &error), DP_OK);
    assert_true(verifies(longest, hash));
    longest[KEY_TEXT_MAX - 1] = 'b';
    assert_false(verifies(longest, hash));
    longest[KEY_TEXT_MAX] = 'a';
    assert_int_equal(key_hash(span_of(longest, KEY_TEXT_MAX + 1), KEY_COST_TESTS, hash, &error), DP_INVALID);

    assert_true(verifies(key, "$2b$04$IbMR1pc1jk/tuGfWQOn3W.CSGpooEu9yTiUpo.0R3jjMPsbwPvCnK"));
    assert_false(verifies(other, "$2b$04$IbMR1pc1jk/tuGfWQOn3W.CSGpooEu9yTiUpo.0R3jjMPsbwPvCnK"));
    assert_true(verifies(key, "$2a$04$kqaUymAdYW5FuCLs6m5pZeP.1U8p.utn.Isp5MmhRxNA3hSZ5uLMi"));
    assert_false(verifies(other, "$2a$04$kqaUymAdYW5FuCLs6m5pZeP.1U8p.utn.Isp5MmhRxNA3hSZ5uLMi"));
}

static void test_keys_have_digests(void **state)
{
    (void)state;
    char digest[KEY_DIGEST_LEN + 1];
    key_digest(span_str("abc"), digest); /* FIPS 180-2, appendix B.1 */
    assert_string_equal(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_true(key_digest_matches(span_str("abc"), span_str(digest)));
    assert_false(key_digest_matches(span_str("abd"), span_str(digest)));
    assert_false(key_digest_matches(span_str("abc"), span_of(digest, KEY_DIGEST_LEN - 1)));
    assert_false(key_digest_matches(span_str("abc"), span_of(NULL, 0)));
}

static void test_keys_refuse_malformed_and_costly_hashes(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "$2b$04$",
        "plain",
        "$1$abcdefgh$0123456789012345678901",
        "$2x$04$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuuabcdefghijk",
        "$2b$31$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuuabcdefghijk",
        "$2b$16$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuuabcdefghij",
        "$2b$03$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuuabcdefghij",
        "$2b$x4$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuuabcdefghij",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(verifies("fe_", bad[i]));
}

static void test_keys_hashing_survives_failed_allocations(void **state)
{
    (void)state;
    char hash[KEY_HASH_MAX + 1];
    struct dp_error error;
    bool matches;
    test_alloc_fail_at(1);
    assert_int_equal(key_hash(span_str("k"), KEY_COST_TESTS, hash, &error), DP_NOMEM);
    test_alloc_fail_at(0);
    assert_int_equal(key_hash(span_str("k"), KEY_COST_TESTS, hash, &error), DP_OK);
    test_alloc_fail_at(1);
    assert_int_equal(key_verify(span_str("k"), span_str(hash), &matches, &error), DP_NOMEM);
    assert_false(matches);
    test_alloc_fail_at(0);
}

static void test_keys_months_follow_the_calendar(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *month;
    } cases[] = {{0, "1970-01"},
                 {951782399999, "2000-02"},  /* 2000-02-28T23:59:59.999Z */
                 {951868800000, "2000-03"},  /* 2000-03-01T00:00:00Z */
                 {951868799999, "2000-02"},  /* the last day of February in a leap year */
                 {1767225599999, "2025-12"}, /* 2025-12-31T23:59:59.999Z */
                 {1767225600000, "2026-01"}};
    char text[16];
    int64_t month;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        month_print(month_of(cases[i].ms), text);
        assert_string_equal(text, cases[i].month);
        assert_true(month_parse(span_str(text), &month));
        assert_int_equal(month, month_of(cases[i].ms));
        assert_true(month_begins_ms(month) <= cases[i].ms && cases[i].ms < month_begins_ms(month + 1));
    }
    static const char *const bad[] = {"",       "2026",     "2026-13", "2026-00",
                                      "2026-1", "2026-011", "20260-1", "1969-12"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(month_parse(span_str(bad[i]), &month));
    int64_t ms;
    assert_true(date_parse(span_str("2026-01-01"), &ms));
    assert_int_equal(ms, 1767225600000);
    assert_true(date_parse(span_str("2028-02-29T23:59:59Z"), &ms));
    assert_int_equal(ms, month_begins_ms(2028 * 12 + 2) - 1000);
    static const char *const bad_dates[] = {"",
                                            "2026-02-29",
                                            "2026-02-00",
                                            "2026-04-31",
                                            "2026-01-01T24:00:00Z",
                                            "2026-01-01T00:00:00",
                                            "2026-01-01 ",
                                            "tomorrow"};
    for (size_t i = 0; i < sizeof bad_dates / sizeof *bad_dates; i++)
        assert_false(date_parse(span_str(bad_dates[i]), &ms));
}

static void test_keys_rights_and_namespaces(void **state)
{
    (void)state;
    unsigned rights;
    struct dp_error error;
    assert_true(rights_parse(span_str("embed"), &rights) && rights == RIGHT_EMBED);
    assert_true(rights_parse(span_str("write,read"), &rights) && rights == (RIGHT_READ | RIGHT_WRITE));
    assert_string_equal(rights_print(rights), "read,write");
    assert_false(rights_parse(span_str(""), &rights));
    assert_false(rights_parse(span_str("embed,"), &rights));
    assert_false(rights_parse(span_str("root"), &rights));
    assert_true(namespaces_allow(span_str(""), span_str("any")));
    assert_true(namespaces_allow(span_str("a,team-"), span_str("team-notes")));
    assert_false(namespaces_allow(span_str("team-"), span_str("team")));
    assert_false(namespaces_allow(span_str("team-"), span_str("")));
    assert_int_equal(namespaces_check(span_str("a,b.c,d_e-9"), &error), DP_OK);
    assert_int_equal(namespaces_check(span_str(""), &error), DP_OK);
    static const char *const bad[] = {",", "a,", ",a", "a b", ".a", "_a", "a/b", "a'", "a,,b"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(namespaces_check(span_str(bad[i]), &error), DP_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_siphash_gives_the_reference_vectors),
        cmocka_unit_test(test_keys_have_a_form),
        cmocka_unit_test(test_keys_are_hashed_by_bcrypt),
        cmocka_unit_test(test_keys_have_digests),
        cmocka_unit_test(test_keys_refuse_malformed_and_costly_hashes),
        cmocka_unit_test(test_keys_hashing_survives_failed_allocations),
        cmocka_unit_test(test_keys_months_follow_the_calendar),
        cmocka_unit_test(test_keys_rights_and_namespaces),
    };
    return test_run(tests);
}
