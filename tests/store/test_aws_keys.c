/* test_aws_keys.c: tests the parsers of answers with keys and of error answers. */
#include "test_support.h"

#include <stdio.h>

#include "store/s3/keys.h"

static void expect_span(struct span got, const char *want)
{
    if (!span_equal_str(got, want))
        fail_msg("\"%.*s\" is not \"%s\"", SPAN_FMT(got), want);
}

/* ---- answers -------------------------------------------------------------------------------------------- */

static void test_store_aws_time(void **state)
{
    (void)state;
    int64_t ms;
    assert_true(secret_time_parse(span_str("1970-01-01T00:00:00Z"), &ms));
    assert_int_equal(ms, 0);
    assert_true(secret_time_parse(span_str("2026-02-28T23:59:59Z"), &ms));
    assert_int_equal(ms, 1772323199000);
    assert_true(secret_time_parse(span_str("2024-02-29T12:00:00.123456789Z"), &ms));
    assert_int_equal(ms, 1709208000000);
    assert_true(secret_time_parse(span_str("2024-02-29T12:00:00UTC"), &ms));
    assert_int_equal(ms, 1709208000000);
    assert_true(secret_time_parse(span_str("2024-02-29T14:30:00.5+02:30"), &ms));
    assert_int_equal(ms, 1709208000000);
    assert_true(secret_time_parse(span_str("2024-02-29T04:00:00-0800"), &ms));
    assert_int_equal(ms, 1709208000000);
    const char *const bad[] = {"",
                               "Z",
                               "2026-02-28T23:59:59",
                               "2026-02-28 23:59:59Z",
                               "2026-13-01T00:00:00Z",
                               "2026-00-01T00:00:00Z",
                               "2026-01-32T00:00:00Z",
                               "2026-01-01T24:00:00Z",
                               "2026-01-01T00:00:00+1:00",
                               "2026-01-01T00:00:00+01:0x",
                               "2026-01-01T00:00:00+25:00",
                               "2026-01-01T00:00:00.5",
                               "2026-01-01T00:00:00xZ",
                               "2026-01-01T00:00:00.xZ",
                               "1969-12-31T23:59:59Z",
                               "20260101T000000Z"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (secret_time_parse(span_str(bad[i]), &ms))
            fail_msg("\"%s\" is accepted as a time", bad[i]);
}

typedef enum dp_status parse_function(const char *, struct span, struct arena *, struct aws_keys **,
                                      struct dp_error *);

static enum dp_status parse(parse_function *function, const char *text, struct aws_keys **keys,
                            struct dp_error *error)
{
    struct arena arena;
    arena_init(&arena, 1 << 20);
    *error = (struct dp_error){0};
    enum dp_status status = function("the peer", span_str(text), &arena, keys, error);
    assert_true((status == DP_OK) == (*keys != NULL));
    assert_true((status == DP_OK) == (error->message[0] == '\0'));
    arena_deinit(&arena);
    return status;
}

static void refuse(parse_function *function, const char *text, enum dp_status want, const char *says)
{
    struct aws_keys *keys;
    struct dp_error error;
    enum dp_status status = parse(function, text, &keys, &error);
    if (status != want || !strstr(error.message, says))
        fail_msg("%s: %d, \"%s\"", text, status, error.message);
    assert_null(strstr(error.message, "SECRET"));
}

static void test_store_keys_from_json(void **state)
{
    (void)state;
    struct aws_keys *keys;
    struct dp_error error;
    assert_int_equal(
        parse(aws_keys_from_json,
              "{\"Code\":\"Success\",\"Type\":\"AWS-HMAC\",\"LastUpdated\":null,\"AccessKeyId\":\"A\","
              "\"SecretAccessKey\":\"s\\/x\",\"Token\":\"t\",\"Expiration\":\"2026-01-01T00:00:00Z\","
              "\"More\":{\"AccessKeyId\":\"no\"}}",
              &keys, &error),
        DP_OK);
    expect_span(keys->access_key_id, "A");
    expect_span(keys->secret_access_key, "s/x");
    expect_span(keys->session_token, "t");
    assert_int_equal(keys->base.expires_ms, 1767225600000);
    aws_keys_release(aws_keys_retain(keys));
    aws_keys_release(keys);
    assert_int_equal(parse(aws_keys_from_json, "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\",\"Token\":null}",
                           &keys, &error),
                     DP_OK);
    assert_int_equal(keys->session_token.len, 0);
    assert_true(keys->base.expires_ms == INT64_MAX);
    aws_keys_release(keys);
    aws_keys_release(NULL);

    refuse(aws_keys_from_json, "", DP_IO, "the peer does not answer with JSON");
    refuse(aws_keys_from_json, "<html>", DP_IO, "does not answer with JSON");
    refuse(aws_keys_from_json, "[]", DP_IO, "does not answer with JSON");
    refuse(aws_keys_from_json, "{\"SecretAccessKey\":\"SECRET\"", DP_IO, "does not answer with JSON");
    refuse(aws_keys_from_json, "{}", DP_IO, "has no access key id");
    refuse(aws_keys_from_json, "{\"AccessKeyId\":\"A\"}", DP_IO, "has no secret access key");
    refuse(aws_keys_from_json, "{\"AccessKeyId\":5,\"SecretAccessKey\":\"SECRET\"}", DP_IO,
           "has no access key id");
    refuse(aws_keys_from_json, "{\"Code\":\"Failed\",\"Message\":\"no role\"}", DP_UNAVAILABLE, "Failed: no role");
    refuse(aws_keys_from_json,
           "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"SECRET\",\"Expiration\":\"tomorrow\"}", DP_IO,
           "tomorrow");
    refuse(aws_keys_from_json, "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"SECRET\\r\\nX-Header: 1\"}", DP_IO,
           "a character that a header cannot have (byte 7)");
    refuse(aws_keys_from_json, "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\",\"Token\":\"\\u00e9\"}", DP_IO,
           "session token");
}

static void test_store_keys_from_sts(void **state)
{
    (void)state;
    struct aws_keys *keys;
    struct dp_error error;
    assert_int_equal(
        parse(aws_keys_from_sts,
              "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n"
              "  <AssumeRoleWithWebIdentityResult><Audience>x</Audience>\n"
              "    <AssumedRoleUser><Arn>a</Arn></AssumedRoleUser>\n"
              "    <Credentials><SessionToken>t</SessionToken><SecretAccessKey>s</SecretAccessKey>"
              "<Expiration>2026-01-01T00:00:00Z</Expiration><AccessKeyId>A</AccessKeyId></Credentials>\n"
              "  </AssumeRoleWithWebIdentityResult>\n"
              "  <ResponseMetadata><RequestId>r</RequestId></ResponseMetadata>\n"
              "</AssumeRoleWithWebIdentityResponse>",
              &keys, &error),
        DP_OK);
    expect_span(keys->access_key_id, "A");
    expect_span(keys->secret_access_key, "s");
    expect_span(keys->session_token, "t");
    assert_int_equal(keys->base.expires_ms, 1767225600000);
    aws_keys_release(keys);
    refuse(aws_keys_from_sts, "", DP_IO, "does not answer with XML");
    refuse(aws_keys_from_sts, "<R/>", DP_IO, "has no access key id");
    refuse(aws_keys_from_sts, "<R><Credentials><AccessKeyId>A</AccessKeyId></Credentials></R>", DP_IO,
           "has no access key id");
    refuse(aws_keys_from_sts, "<R><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>A</AccessKeyId>",
           DP_IO, "does not answer with XML (it ends");
}

static void test_store_keys_failed_allocations(void **state)
{
    (void)state;
    static const char text[] = "{\"AccessKeyId\":\"A\\u0041\",\"SecretAccessKey\":\"s\",\"Token\":\"t\"}";
    for (size_t n = 1;; n = test_alloc_next(n)) {
        struct aws_keys *keys;
        struct dp_error error;
        size_t before = test_alloc_live();
        test_alloc_fail_at(n);
        enum dp_status status = parse(aws_keys_from_json, text, &keys, &error);
        bool fired = test_alloc_fired();
        test_alloc_fail_at(0);
        aws_keys_release(keys);
        assert_int_equal(test_alloc_live(), before);
        if (!fired) {
            assert_int_equal(status, DP_OK);
            break;
        }
        assert_int_equal(status, DP_NOMEM);
    }
}

static void test_store_error_answers(void **state)
{
    (void)state;
    struct arena arena;
    struct aws_error e;
    arena_init(&arena, 1 << 20);
    assert_true(aws_error_parse(span_str("<?xml version=\"1.0\"?>\n<Error><Code>NoSuchBucket</Code><Message>The "
                                         "bucket &quot;b&quot; is gone</Message><BucketName>b</BucketName>"
                                         "<Region>eu-west-1</Region><Deep><Code>no</Code></Deep></Error>"),
                                &arena, &e));
    expect_span(e.code, "NoSuchBucket");
    expect_span(e.message, "The bucket \"b\" is gone");
    expect_span(e.bucket, "b");
    expect_span(e.region, "eu-west-1");
    assert_true(aws_error_parse(
        span_str("<ErrorResponse><Error><Type>Sender</Type><Code>ExpiredTokenException</Code>"
                 "<Message>gone\n\x1b[31mred</Message></Error><RequestId>r</RequestId></ErrorResponse>"),
        &arena, &e));
    expect_span(e.code, "ExpiredTokenException");
    expect_span(e.message, "gone"); /* the message ends before the first control character */
    const char *const none[] = {"",
                                "<Error>",
                                "<Error/>",
                                "<Error><Code/></Error>",
                                "<html><Error><Code>x</Code></Error></html>",
                                "<Error><Code>x</Code>",
                                "{}"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        if (aws_error_parse(span_str(none[i]), &arena, &e))
            fail_msg("\"%s\" is accepted as an error", none[i]);
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store_aws_time),      cmocka_unit_test(test_store_keys_from_json),
        cmocka_unit_test(test_store_keys_from_sts), cmocka_unit_test(test_store_keys_failed_allocations),
        cmocka_unit_test(test_store_error_answers),
    };
    return test_run(tests);
}
