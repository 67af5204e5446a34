/* test_encode.c: answers compressed with gzip, for clients that ask for it. */
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
        bool wanted;
    } cases[] = {
        {"", false},
        {"gzip", true},
        {"identity", false},
        {"gzip, deflate, br", true},
        {"deflate,gzip", true},
        {"br ,\tgzip ;q=0.5", true},
        {"gzip;q=0", false},
        {"gzip; q=0.000, br", false},
        {"gzip;q=", true},
        {"gzip;Q=0.", false},
        {"x-gzip", false},
        {"gzipx", false},
        {"*", false},
        {",,gzip", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (encode_is_wanted(span_str(cases[i].accept)) != cases[i].wanted)
            fail_msg("Accept-Encoding: %s", cases[i].accept);
    assert_false(encode_is_wanted(span_of(NULL, 0)));
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
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct buffer body, plain, read;
        buffer_init(&body, 8 << 20);
        buffer_init(&plain, 8 << 20);
        buffer_init(&read, 8 << 20);
        fill_body(&body, sizes[i], false);
        buffer_append(&plain, buffer_span(&body));
        assert_true(encode_gzip(&body));
        assert_true(body.len < sizes[i]);
        struct decoder *decoder = decoder_new(ENCODING_GZIP);
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

/* encode_gzip() leaves a body as it is if its stream would not be shorter, or if memory is short. */
static void test_encode_leaves_a_body_alone(void **state)
{
    (void)state;
    struct buffer body;
    buffer_init(&body, 1 << 20);
    assert_false(encode_gzip(&body));
    fill_body(&body, 5000, true);
    assert_false(encode_gzip(&body));
    assert_int_equal(body.len, 5000);
    buffer_clear(&body);
    fill_body(&body, 5000, false);
    for (size_t n = 1;; n++) {
        test_alloc_fail_at(n);
        const bool done = encode_gzip(&body), fired = test_alloc_fired();
        test_alloc_fail_at(0);
        assert_true(done != fired);
        if (done)
            break;
        assert_int_equal(body.len, 5000);
    }
    buffer_deinit(&body);
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
