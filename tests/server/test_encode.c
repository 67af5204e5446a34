/* test_encode.c: answers compressed with gzip or zstd, for clients that ask for it. */
#include "test_support.h"

#include <stdlib.h>
#include <string.h>

#include "server/decode.h"
#include "server/encode.h"

static void test_encode_reads_accept_encoding(void **state)
{
    (void)state;
    static const struct {
        const char *accept;
        enum body_encoding best;
    } cases[] = {
        {"", ENCODING_IDENTITY},           {"gzip", ENCODING_GZIP},
        {"identity", ENCODING_IDENTITY},   {"gzip, deflate, br", ENCODING_GZIP},
        {"deflate,gzip", ENCODING_GZIP},   {"br ,\tgzip ;q=0.5", ENCODING_GZIP},
        {"gzip;q=0", ENCODING_IDENTITY},   {"gzip; q=0.000, br", ENCODING_IDENTITY},
        {"gzip;q=", ENCODING_GZIP},        {"gzip;Q=0.", ENCODING_IDENTITY},
        {"x-gzip", ENCODING_GZIP},         {"gzipx", ENCODING_IDENTITY},
        {"*", ENCODING_IDENTITY},          {",,gzip", ENCODING_GZIP},
        {"zstd", ENCODING_ZSTD},           {"gzip, deflate, br, zstd", ENCODING_ZSTD},
        {"zstd;q=0, gzip", ENCODING_GZIP}, {"zstd, gzip;q=0", ENCODING_ZSTD},
        {"zst", ENCODING_IDENTITY},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (encode_choose(span_str(cases[i].accept)) != cases[i].best)
            fail_msg("Accept-Encoding: %s", cases[i].accept);
    assert_int_equal(encode_choose(span_of(NULL, 0)), ENCODING_IDENTITY);
}

static enum dp_status append_decoded(void *ctx, struct span bytes, struct dp_error *error)
{
    (void)error;
    buffer_append(ctx, bytes);
    return DP_OK;
}

/* Fills a buffer with `len` bytes: repeated words, or bytes that do not compress. */
static void fill_body(struct buffer *body, size_t len, bool random)
{
    uint32_t x = 1;
    while (body->len < len) {
        x = x * 1664525 + 1013904223;
        buffer_u8(body, random ? (uint8_t)(x >> 24) : (uint8_t) "0123456789abcdef"[x >> 28]);
    }
}

static void test_encode_makes_what_a_decoder_reads(void **state)
{
    (void)state;
    static const size_t sizes[] = {1 << 10, 100000, 3000000};
    struct dp_error error;
    for (size_t i = 0; i < 2 * sizeof sizes / sizeof sizes[0]; i++) {
        const enum body_encoding encoding = i % 2 ? ENCODING_ZSTD : ENCODING_GZIP;
        const size_t size = sizes[i / 2];
        struct buffer body, plain, read;
        buffer_init(&body, 8 << 20);
        buffer_init(&plain, 8 << 20);
        buffer_init(&read, 8 << 20);
        fill_body(&body, size, false);
        buffer_append(&plain, buffer_span(&body));
        assert_true(encode_body(encoding, &body));
        assert_true(body.len < size);
        struct decoder *decoder = decoder_new(encoding);
        assert_non_null(decoder);
        assert_int_equal(decoder_feed(decoder, buffer_span(&body), append_decoded, &read, &error), DP_OK);
        assert_int_equal(decoder_end(decoder, &error), DP_OK);
        assert_true(span_equal(buffer_span(&read), buffer_span(&plain)));
        decoder_free(decoder);
        buffer_deinit(&body);
        buffer_deinit(&plain);
        buffer_deinit(&read);
    }
}

static void assert_left_alone(enum body_encoding encoding)
{
    struct buffer body;
    buffer_init(&body, 1 << 20);
    assert_false(encode_body(encoding, &body));
    fill_body(&body, 5000, true);
    assert_false(encode_body(encoding, &body));
    assert_int_equal(body.len, 5000);
    buffer_clear(&body);
    fill_body(&body, 5000, false);
    assert_false(encode_body(ENCODING_IDENTITY, &body));
    for (size_t n = 1;; n++) {
        test_alloc_fail_at(n);
        const bool done = encode_body(encoding, &body), fired = test_alloc_fired();
        test_alloc_fail_at(0);
        assert_true(done != fired);
        if (done)
            break;
        assert_int_equal(body.len, 5000);
    }
    buffer_deinit(&body);
}

/* encode_body() leaves a body as it is if its stream would not be shorter, or if memory is short. */
static void test_encode_leaves_a_body_alone(void **state)
{
    (void)state;
    assert_left_alone(ENCODING_GZIP);
    assert_left_alone(ENCODING_ZSTD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_encode_reads_accept_encoding),
        cmocka_unit_test(test_encode_makes_what_a_decoder_reads),
        cmocka_unit_test(test_encode_leaves_a_body_alone),
    };
    return test_finish(cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL));
}
