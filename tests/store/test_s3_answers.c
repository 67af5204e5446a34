/* test_s3_answers.c: answers that send requests to another region, refuse a write before they have its body, or try to keep
 * the client busy for ever. */
#include "remote_fixture.h"

#include <stdio.h>
#include <stdlib.h>

static void expect_says(struct remote_fixture *f, const char *says)
{
    if (!strstr(f->call.error.message, says))
        fail_msg("\"%s\" does not say \"%s\"", f->call.error.message, says);
}

static enum dp_status read_whole(struct remote_fixture *f, const char *key)
{
    struct store_read_req req = {.key = span_str(key), .len = STORE_TO_END};
    dp_error_clear(&f->call.error);
    enum dp_status status = store_read(&f->call, f->store, &req, 1);
    store_read_release(&req, 1);
    return status;
}

/* ---- regions ---------------------------------------------------------------------------------------------- */

static void expect_region(struct remote_fixture *f, unsigned request, const char *region)
{
    const char *scope = arena_printf(&f->arena, "/%s/s3/aws4_request", region);
    if (!strstr(http_server_seen(f->server, request).head, scope))
        fail_msg("request %u is not signed for %s", request, region);
}

static void test_store_s3_follows_its_bucket_to_another_region(void **state)
{
    struct remote_fixture *f = *state;
    const struct http_act acts[] = {
        {.code = 400,
         .text = "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-3</Region></Error>"},
        {.code = 301,
         .text = "<Error><Code>PermanentRedirect</Code></Error>",
         .lines = "x-amz-bucket-region: eu-west-3\r\n"},
        {.code = 307,
         .text = "<Error><Code>TemporaryRedirect</Code></Error>",
         .lines = "x-amz-bucket-region: eu-west-3\r\nLocation: http://127.0.0.1:1/bkt/k\r\n"},
    };
    http_server_put(f->server, "/bkt/k", span_str("1234"));
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
        remote_must_open(f, "s3://bkt");
        http_server_reset(f->server);
        struct http_act act = acts[i];
        act.kind = HTTP_ACT_STATUS;
        http_server_script(f->server, act);
        assert_int_equal(read_whole(f, "k"), DP_OK);
        assert_int_equal(http_server_count(f->server), 2);
        expect_region(f, 0, "us-east-1");
        expect_region(f, 1, "eu-west-3");
        assert_int_equal(read_whole(f, "k"), DP_OK); /* it remembers */
        assert_int_equal(http_server_count(f->server), 3);
        expect_region(f, 2, "eu-west-3");
    }
}

static void test_store_s3_follows_a_head_without_a_body(void **state)
{
    struct remote_fixture *f = *state;
    struct store_info info;
    http_server_put(f->server, "/bkt/k", span_str("1234"));
    remote_must_open(f, "s3://bkt");
    http_server_script(
        f->server,
        (struct http_act){.kind = HTTP_ACT_STATUS, .code = 400, .lines = "x-amz-bucket-region: ap-south-1\r\n"});
    assert_int_equal(store_head(&f->call, f->store, span_str("k"), &info), DP_OK);
    assert_int_equal(http_server_count(f->server), 2);
    expect_region(f, 1, "ap-south-1");
}

/* A redirect carries no write out, so the outcome of the second try is clear. */
static void test_store_s3_follows_a_conditional_put(void **state)
{
    struct remote_fixture *f = *state;
    remote_must_open(f, "s3://bkt");
    assert_int_equal(remote_put(&f->call, f->store, "k", "1", STORE_IF_ABSENT, NULL), DP_OK);
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_STATUS,
                                                    .code = 307,
                                                    .lines = "x-amz-bucket-region: eu-west-3\r\n",
                                                    .match = "PUT /bkt/k "});
    assert_int_equal(remote_put(&f->call, f->store, "k", "2", STORE_IF_ABSENT, NULL), DP_EXISTS);
    assert_int_equal(remote_put(&f->call, f->store, "k2", "2", STORE_IF_ABSENT, NULL), DP_OK);
}

static void test_store_s3_follows_once(void **state)
{
    struct remote_fixture *f = *state;
    remote_must_open(f, "s3://bkt");
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_STATUS,
                                                    .code = 301,
                                                    .lines = "x-amz-bucket-region: eu-west-3\r\n",
                                                    .times = 2});
    assert_int_equal(read_whole(f, "k"), DP_INVALID);
    expect_says(f, "s3://bkt is in region eu-west-3, not us-east-1: set AWS_REGION=eu-west-3");
    assert_int_equal(http_server_count(f->server), 2);
    /* A name that is no region's is not followed. */
    http_server_reset(f->server);
    remote_must_open(f, "s3://bkt");
    remote_answer(f, NULL, 301, "<Error><Code>PermanentRedirect</Code><Region>evil.example.com/</Region></Error>");
    assert_int_equal(read_whole(f, "k"), DP_INVALID);
    assert_int_equal(http_server_count(f->server), 1);
}

static void test_store_s3_moves_at_amazon(void **state)
{
    struct remote_fixture *f = *state;
    f->settings.endpoint_url = NULL;
    remote_must_open(f, "s3://bkt");
    struct s3_store *s3 = s3_of(f->store);
    assert_true(s3_move(s3, span_str("eu-west-3")));
    assert_true(span_equal_str(s3_origin(s3), "https://bkt.s3.eu-west-3.amazonaws.com"));
    assert_false(s3_move(s3, span_str("eu-west-3")));
    assert_true(s3_move(s3, span_str("cn-north-1")));
    assert_true(span_equal_str(s3_origin(s3), "https://bkt.s3.cn-north-1.amazonaws.com.cn"));
    for (int i = 0; i < 10; i++) /* a store that sends requests from region to region ends somewhere */
        assert_int_equal(s3_move(s3, span_str(i % 2 ? "eu-west-1" : "eu-west-2")), i < 6);
    remote_must_open(f, "s3://a.b.c");
    assert_true(s3_move(s3_of(f->store), span_str("eu-west-3")));
    assert_true(span_equal_str(s3_origin(s3_of(f->store)), "https://s3.eu-west-3.amazonaws.com"));
}

static void test_store_s3_refuses_other_kinds_of_buckets(void **state)
{
    struct remote_fixture *f = *state;
    const struct {
        const char *root, *says;
    } cases[] = {
        {"s3://mine--use1-az4--x-s3", "a directory bucket of S3 Express One Zone"},
        {"s3://mine--use1-az4--x-s3/prefix", "a directory bucket of S3 Express One Zone"},
        {"s3://ap--use1-az4--xa-s3", "an access point of a directory bucket"},
        {"s3://mine--ol-s3", "an access point of Object Lambda"},
        {"s3://mine--op-s3", "S3 on Outposts"},
        {"s3://mfzwi23gnjvgw.mrap", "an access point of several regions"},
        {"s3://arn:aws:s3:eu-west-1:123456789012:accesspoint/ap",
         "ARNs of access points are not supported: use the"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(remote_open(f, cases[i].root, (struct store_options){0}), DP_UNSUPPORTED);
        expect_says(f, cases[i].says);
    }
    remote_must_open(f, "s3://my-ap-x1y2z3-s3alias"); /* an alias is used like a bucket */
}

/* ---- writes that are refused early ------------------------------------------------------------------------- */

static void test_store_s3_asks_before_it_sends_a_large_body(void **state)
{
    struct remote_fixture *f = *state;
    char *large = malloc((1 << 20) + 1);
    assert_non_null(large);
    memset(large, 'x', 1 << 20);
    large[1 << 20] = '\0';
    remote_must_open(f, "s3://bkt");
    assert_int_equal(remote_put(&f->call, f->store, "small", "1", STORE_IF_ABSENT, NULL), DP_OK);
    assert_null(strstr(remote_last_seen(f).head, "Expect:"));
    assert_int_equal(remote_put(&f->call, f->store, "k", large, STORE_IF_ABSENT, NULL), DP_OK);
    assert_non_null(strstr(remote_last_seen(f).head, "Expect: 100-continue\r\n"));
    assert_int_equal(remote_last_seen(f).body_len, 1 << 20);
    /* The store refuses by the head alone, and closes the connection. */
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_REFUSE, .code = 412, .match = "PUT /bkt/k "});
    assert_int_equal(remote_put(&f->call, f->store, "k", large, STORE_IF_ABSENT, NULL), DP_EXISTS);
    assert_int_equal(remote_last_seen(f).body_len, 0);
    /* A store, or a proxy before it, that does not know the question. */
    http_server_script(f->server,
                       (struct http_act){.kind = HTTP_ACT_REFUSE, .code = 417, .match = "PUT /bkt/new "});
    enum dp_status status = remote_put(&f->call, f->store, "new", large, STORE_IF_ABSENT, NULL);
    if (status != DP_OK)
        fail_msg("%s: %s", dp_status_name(status), f->call.error.message);
    assert_int_equal(remote_put(&f->call, f->store, "k", large, STORE_ANY, NULL), DP_OK);
    assert_null(strstr(remote_last_seen(f).head, "Expect:"));
    free(large);
}

/* ---- hostile answers ---------------------------------------------------------------------------------------- */

static enum dp_status list_all(struct remote_fixture *f, struct store_listing *out)
{
    dp_error_clear(&f->call.error);
    return store_list(&f->call, f->store, span_str(""), span_str(""), false, 100, out);
}

static void test_store_s3_listing_in_a_circle(void **state)
{
    struct remote_fixture *f = *state;
    struct store_listing listing;
    remote_must_open(f, "s3://bkt");
    for (int i = 0; i < 2002; i++)
        remote_answer(
            f, "list-type", 200,
            i % 2 ? "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>a"
                    "</NextContinuationToken><Contents><Key>k</Key><Size>1</Size></Contents></ListBucketResult>"
                  : "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>b"
                    "</NextContinuationToken></ListBucketResult>");
    assert_int_equal(list_all(f, &listing), DP_IO);
    expect_says(f, "s3://bkt: the store's listing does not go on: 1000 pages brought no new name");
}

static void test_store_s3_hostile_bodies(void **state)
{
    struct remote_fixture *f = *state;
    struct store_listing listing;
    static char deep[8192];
    for (size_t i = 0; i + 4 < sizeof deep; i += 3)
        memcpy(deep + i, "<a>", 4);
    const struct {
        const char *body, *says;
    } cases[] = {
        {"<?xml version=\"1.0\"?><!DOCTYPE lolz [<!ENTITY lol \"lol\"><!ENTITY lol2 \"&lol;&lol;&lol;&lol;\">]>"
         "<ListBucketResult><Contents><Key>&lol2;</Key></Contents></ListBucketResult>",
         "document types are not supported"},
        {"<ListBucketResult><Contents><Key>&lol;</Key></Contents></ListBucketResult>",
         "unknown character reference"},
        {deep, "<a>"},
        {"<ListBucketResult><Contents><Key>b</Key></Contents><Contents><Key>a", "it ends inside"},
        {"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>", "has no token"},
        {"<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>%zz</Key></Contents></"
         "ListBucketResult>",
         "not percent-encoded"},
        {"<ListBucketResult><Contents><Key>a</Key><Size>99999999999999999999</Size></Contents></ListBucketResult>",
         "a number is expected"},
    };
    remote_must_open(f, "s3://bkt");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        remote_answer(f, "list-type", 200, cases[i].body);
        assert_int_equal(list_all(f, &listing), DP_IO);
        expect_says(f, cases[i].says);
    }
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_ENDLESS, .match = "list-type"});
    assert_int_equal(list_all(f, &listing), DP_TOO_LARGE);
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_HUGE_HEAD, .match = "list-type"});
    assert_int_equal(list_all(f, &listing), DP_TOO_LARGE);
}

/* Names beside the root, in a wrong order, and names that cannot be keys. */
static void test_store_s3_listing_of_strange_names(void **state)
{
    struct remote_fixture *f = *state;
    struct store_listing listing;
    remote_must_open(f, "s3://bkt/pre");
    remote_answer(
        f, "list-type", 200,
        "<ListBucketResult><Contents><Key>pre/z</Key><Size>1</Size></Contents>"
        "<Contents><Key>other/a</Key><Size>1</Size></Contents><Contents><Key>pre</Key></Contents>"
        "<Contents><Key>pre/</Key></Contents><Contents><Key>pre//a</Key></Contents>"
        "<Contents><Key>pre/a//b</Key></Contents><Contents><Key>pre/../a</Key></Contents>"
        "<Contents><Key>pre/.dipper/x</Key></Contents><Contents><Key>pre/a</Key><Size>2</Size></Contents>"
        "</ListBucketResult>");
    assert_int_equal(list_all(f, &listing), DP_OK);
    assert_int_equal(listing.count, 2);
    assert_true(span_equal_str(listing.entries[0].key, "a") && listing.entries[0].size == 2);
    assert_true(span_equal_str(listing.entries[1].key, "z"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        REMOTE_CASE(test_store_s3_follows_its_bucket_to_another_region),
        REMOTE_CASE(test_store_s3_follows_a_head_without_a_body),
        REMOTE_CASE(test_store_s3_follows_a_conditional_put),
        REMOTE_CASE(test_store_s3_follows_once),
        REMOTE_CASE(test_store_s3_moves_at_amazon),
        REMOTE_CASE(test_store_s3_refuses_other_kinds_of_buckets),
        REMOTE_CASE(test_store_s3_asks_before_it_sends_a_large_body),
        REMOTE_CASE(test_store_s3_listing_in_a_circle),
        REMOTE_CASE(test_store_s3_hostile_bodies),
        REMOTE_CASE(test_store_s3_listing_of_strange_names),
    };
    return test_run(tests);
}
