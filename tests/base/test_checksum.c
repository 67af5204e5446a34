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
        cmocka_unit_test(test_base_sha256_in_pieces_gives_the_digest_of_the_whole),
        cmocka_unit_test(test_base_checksum64_is_xxh3),
        cmocka_unit_test(test_base_hex_is_lower_case),
    };
    return test_run(tests);
}
