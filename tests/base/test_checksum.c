/* test_checksum.c: checksums and fingerprints against published values. */
#include "test_support.h"

#include <string.h>

#include "base/checksum.h"
#include "base/hex.h"

static void assert_digest(const uint8_t digest[32], const char *expected)
{
    char text[65];
    hex_encode(span_of(digest, 32), text);
    assert_string_equal(text, expected);
}

/* FIPS 180-2, appendix B, and the digest of the empty text. */
static const char EMPTY[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
static const char ABC[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

static void test_base_sha256_of_known_texts(void **state)
{
    (void)state;
    uint8_t digest[32];
    sha256(span_of(NULL, 0), digest);
    assert_digest(digest, EMPTY);
    sha256(span_str("abc"), digest);
    assert_digest(digest, ABC);
}

/* RFC 4231, test cases 1, 2 and 6 (a key longer than a block). */
static void test_base_hmac_of_known_texts(void **state)
{
    (void)state;
    uint8_t digest[32], key[131];
    memset(key, 0x0b, 20);
    assert_true(hmac_sha256(span_of(key, 20), span_str("Hi There"), digest));
    assert_digest(digest, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    assert_true(hmac_sha256(span_str("Jefe"), span_str("what do ya want for nothing?"), digest));
    assert_digest(digest, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof key);
    assert_true(hmac_sha256(span_of(key, sizeof key),
                            span_str("Test Using Larger Than Block-Size Key - Hash Key First"), digest));
    assert_digest(digest, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    /* An empty key is a key. */
    assert_true(hmac_sha256(span_of(NULL, 0), span_of(NULL, 0), digest));
    assert_digest(digest, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void test_base_sha256_in_pieces_gives_the_digest_of_the_whole(void **state)
{
    (void)state;
    uint8_t digest[32];
    struct sha256_state s, copy;
    sha256_begin(&s);
    sha256_update(&s, span_str("a"));
    sha256_update(&s, span_of(NULL, 0));
    copy = s;
    sha256_update(&s, span_str("bc"));
    sha256_end(&s, digest);
    assert_digest(digest, ABC);
    sha256_update(&copy, span_str("b")); /* a copy of the state is independent */
    sha256_update(&copy, span_str("c"));
    sha256_end(&copy, digest);
    assert_digest(digest, ABC);
}

/* From xxHash's self-test (xxhsum): XXH3-64 with seed 0 of the empty input. Stored bytes depend on this hash. */
static void test_base_checksum64_is_xxh3(void **state)
{
    (void)state;
    assert_true(checksum64(span_of(NULL, 0)) == 0x2d06800538d394c2);
    assert_true(checksum64(span_str("abc")) == 0x78af5f94892f3950);
}

static void test_base_hex_is_lower_case(void **state)
{
    (void)state;
    char text[9] = "x";
    hex_encode(span_of("\x00\x9f\xfe\x10", 4), text);
    assert_string_equal(text, "009ffe10");
    hex_encode(span_of(NULL, 0), text);
    assert_string_equal(text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base_sha256_of_known_texts),
        cmocka_unit_test(test_base_hmac_of_known_texts),
        cmocka_unit_test(test_base_sha256_in_pieces_gives_the_digest_of_the_whole),
        cmocka_unit_test(test_base_checksum64_is_xxh3),
        cmocka_unit_test(test_base_hex_is_lower_case),
    };
    return test_run(tests);
}
