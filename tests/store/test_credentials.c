/* test_credentials.c: the sources of keys for S3, how threads share keys, and when they are renewed. */
#include "credentials_fixture.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "os/clock.h"
#include "os/file.h"
#include "os/log.h"
#include "store/s3/credentials_http.h"

enum { NEVER_MS = 60000, THREADS = 16 };

static void use_container(struct fixture *f)
{
    f->settings.container_full_uri = url(f, "/keys");
}

/* ---- given keys and files -------------------------------------------------------------------------------- */

static void test_store_credentials_given(void **state)
{
    struct fixture *f = *state;
    f->settings.access_key_id = "A";
    f->settings.secret_access_key = "s";
    f->settings.profile = "not-looked-at";
    expect_keys(f, "A", "s", "");
    expect_keys(f, "A", "s", "");
}

static void test_store_credentials_given_with_token(void **state)
{
    struct fixture *f = *state;
    f->settings.access_key_id = "A";
    f->settings.secret_access_key = "s";
    f->settings.session_token = "t";
    expect_keys(f, "A", "s", "t");
}

static void test_store_credentials_given_without_the_other_half(void **state)
{
    struct fixture *f = *state;
    f->settings.access_key_id = "A";
    expect_failure(f, DP_INVALID, "AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not");
    credentials_free(f->credentials);
    f->credentials = NULL;
    f->settings.access_key_id = "";
    f->settings.secret_access_key = "hush";
    expect_failure(f, DP_INVALID, "AWS_SECRET_ACCESS_KEY is set, but AWS_ACCESS_KEY_ID is not");
    assert_null(strstr(f->call.error.message, "hush"));
}

static void test_store_credentials_none_needed(void **state)
{
    struct fixture *f = *state;
    struct aws_keys *keys;
    f->settings.unsigned_requests = true;
    f->settings.access_key_id = "A";
    assert_int_equal(get(f, &keys), DP_OK);
    assert_null(keys);
}

static void test_store_credentials_without_any_source(void **state)
{
    struct fixture *f = *state;
    expect_failure(f, DP_DENIED, "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE");
}

static void test_store_credentials_default_profile(void **state)
{
    struct fixture *f = *state;
    file(f, ".aws/credentials", "[default]\naws_access_key_id = A\naws_secret_access_key = s\n");
    file(f, ".aws/config", "[default]\naws_session_token = t\nregion = eu-west-3\n");
    expect_keys(f, "A", "s", ""); /* the keys of one file stay together */
}

static void test_store_credentials_named_files_and_profile(void **state)
{
    struct fixture *f = *state;
    f->settings.profile = "work";
    f->settings.credentials_file = file(f, "keys",
                                        "[default]\naws_access_key_id = D\n"
                                        "[work]\naws_access_key_id = W\naws_secret_access_key = w\n");
    f->settings.config_file = file(f, "conf", "");
    expect_keys(f, "W", "w", "");
}

static void test_store_credentials_missing_profile(void **state)
{
    struct fixture *f = *state;
    f->settings.profile = "nobody";
    file(f, ".aws/credentials", "[default]\naws_access_key_id = A\naws_secret_access_key = s\n");
    expect_failure(f, DP_DENIED, "AWS_PROFILE names \"nobody\", which is neither in ");
    assert_non_null(strstr(f->call.error.message, "/.aws/credentials nor in "));
}

static void test_store_credentials_malformed_profile(void **state)
{
    struct fixture *f = *state;
    file(f, ".aws/credentials", "[default]\naws_access_key_id\n");
    expect_failure(f, DP_INVALID, "/.aws/credentials, line 2:");
}

static void test_store_credentials_profile_without_secret(void **state)
{
    struct fixture *f = *state;
    file(f, ".aws/credentials", "[default]\naws_access_key_id = A\n");
    expect_failure(f, DP_INVALID, "the AWS profile \"default\" has no secret access key");
}

/* ---- web identity ---------------------------------------------------------------------------------------- */

static const char STS_ANSWER[] =
    "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>W</AccessKeyId>"
    "<SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2026-01-01T01:00:00Z</"
    "Expiration>"
    "</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>";

static void use_web_identity(struct fixture *f)
{
    f->settings.sts_endpoint_url = url(f, "/");
    f->settings.role_arn = "arn:aws:iam::1:role/r";
    f->settings.web_identity_token_file = file(f, "token", "jwt.with+chars=\n");
}

static void test_store_credentials_web_identity(void **state)
{
    struct fixture *f = *state;
    use_web_identity(f);
    answer(f, "POST / ", 200, STS_ANSWER);
    expect_keys(f, "W", "s", "t");
    struct http_seen seen = http_server_seen(f->server, 0);
    assert_string_equal(seen.body,
                        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1"
                        "%3Arole%2Fr&RoleSessionName=dipper&WebIdentityToken=jwt.with%2Bchars%3D");
    assert_non_null(strstr(seen.head, "Content-Type: application/x-www-form-urlencoded\r\n"));
    assert_null(strstr(seen.head, "Authorization"));
}

static void test_store_credentials_web_identity_of_a_profile(void **state)
{
    struct fixture *f = *state;
    f->settings.sts_endpoint_url = url(f, "/");
    const char *token = file(f, "token", "jwt");
    file(f, ".aws/config",
         arena_printf(&f->arena, "[default]\nrole_arn = a\nrole_session_name = me\nweb_identity_token_file = %s\n",
                      token));
    answer(f, "POST / ", 200, STS_ANSWER);
    expect_keys(f, "W", "s", "t");
    assert_non_null(
        strstr(http_server_seen(f->server, 0).body, "RoleArn=a&RoleSessionName=me&WebIdentityToken=jwt"));
}

static void test_store_credentials_web_identity_refused(void **state)
{
    struct fixture *f = *state;
    use_web_identity(f);
    answer(f, NULL, 400,
           "<ErrorResponse><Error><Code>InvalidIdentityToken</Code><Message>No OpenIDConnect provider found"
           "</Message></Error></ErrorResponse>");
    expect_failure(f, DP_DENIED, "STS (AssumeRoleWithWebIdentity) gives no keys: InvalidIdentityToken: No OpenID");
    f->settings.web_identity_token_file = file(f, "token", " \n");
    expect_failure(f, DP_INVALID, "is empty");
}

static void test_store_credentials_web_identity_without_file(void **state)
{
    struct fixture *f = *state;
    use_web_identity(f);
    f->settings.web_identity_token_file = "/nowhere/token";
    expect_failure(f, DP_DENIED, "/nowhere/token"); /* must not look like a missing object */
}

/* ---- containers ------------------------------------------------------------------------------------------ */

static void test_store_credentials_container(void **state)
{
    struct fixture *f = *state;
    use_container(f);
    f->settings.container_token = "Bearer 1";
    answer(f, "GET /keys ", 200, keys_json(f, "C", 60));
    expect_keys(f, "C", "s", "t");
    assert_non_null(strstr(http_server_seen(f->server, 0).head, "Authorization: Bearer 1\r\n"));
}

static void test_store_credentials_container_relative(void **state)
{
    struct fixture *f = *state;
    f->settings.container_endpoint = url(f, "");
    f->settings.container_relative_uri = "/v2/credentials/1";
    f->settings.container_full_uri = "http://example.com/";
    f->settings.container_token = "not this";
    f->settings.container_token_file = file(f, "token", "this\n");
    answer(f, "GET /v2/credentials/1 ", 200, "{\"AccessKeyId\":\"C\",\"SecretAccessKey\":\"s\"}");
    expect_keys(f, "C", "s", "");
    assert_non_null(strstr(http_server_seen(f->server, 0).head, "Authorization: this\r\n"));
}

static void test_store_credentials_container_refuses(void **state)
{
    struct fixture *f = *state;
    use_container(f);
    answer(f, NULL, 403, "{\"secret\":\"hush\"}");
    expect_failure(f, DP_DENIED, "the container's credentials endpoint gives no keys: it answered 403");
    answer(f, NULL, 200, "<html>hush</html>");
    expect_failure(f, DP_IO, "does not answer with JSON");
    answer(f, NULL, 302, "");
    expect_failure(f, DP_DENIED, "it answered 302");
    assert_null(strstr(f->call.error.message, "hush"));
}

static void test_store_credentials_container_uris(void **state)
{
    (void)state;
    const char *const good[] = {"https://example.com/x",    "http://127.0.0.1/x",
                                "http://127.0.0.1:80/x",    "http://127.9.8.7",
                                "http://localhost/",        "http://localhost:8080",
                                "http://[::1]:1/x",         "http://169.254.170.2",
                                "http://169.254.170.23/v1", "http://[fd00:ec2::23]/v1/keys"};
    const char *const bad[] = {"http://example.com/x",
                               "http://127.example.com/",
                               "http://localhost.x/",
                               "http://127.0.0.1@evil/x",
                               "http://169.254.169.254/",
                               "http://[::2]/",
                               "file:///etc/passwd",
                               "ftp://127.0.0.1/",
                               "",
                               "http://",
                               "http://evil?http://127.0.0.1",
                               "HTTPX://127.0.0.1"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (!credentials_container_uri_allowed(span_str(good[i])))
            fail_msg("%s was refused", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (credentials_container_uri_allowed(span_str(bad[i])))
            fail_msg("%s was accepted", bad[i]);
}

/* The sources of keys are on this host or beside it, so no proxy may see the keys. */
static void test_store_credentials_take_no_proxy(void **state)
{
    struct fixture *f = *state;
    use_container(f);
    setenv("http_proxy", "http://127.0.0.1:9", 1);
    answer(f, "GET /keys ", 200, keys_json(f, "C", 60));
    expect_keys(f, "C", "s", "t");
    unsetenv("http_proxy");
}

static void test_store_credentials_container_on_another_host(void **state)
{
    struct fixture *f = *state;
    f->settings.container_full_uri = "http://example.com/keys";
    expect_failure(f, DP_INVALID, "AWS_CONTAINER_CREDENTIALS_FULL_URI must be https");
}

/* ---- instances ------------------------------------------------------------------------------------------- */

static void use_metadata(struct fixture *f)
{
    f->settings.metadata_disabled = false;
    f->settings.metadata_endpoint = url(f, "/");
}

static void test_store_credentials_metadata(void **state)
{
    struct fixture *f = *state;
    use_metadata(f);
    answer(f, "PUT /latest/api/token ", 200, "TOKEN==");
    answer(f, "GET /latest/meta-data/iam/security-credentials/ ", 200, "my role\nother");
    answer(f, "GET /latest/meta-data/iam/security-credentials/my ", 200, keys_json(f, "I", 60));
    expect_keys(f, "I", "s", "t");
    assert_int_equal(http_server_count(f->server), 3);
    assert_non_null(strstr(http_server_seen(f->server, 0).head, "X-aws-ec2-metadata-token-ttl-seconds: 60\r\n"));
    assert_non_null(strstr(http_server_seen(f->server, 1).head, "X-aws-ec2-metadata-token: TOKEN==\r\n"));
    assert_non_null(strstr(http_server_seen(f->server, 2).head, "X-aws-ec2-metadata-token: TOKEN==\r\n"));
}

static void test_store_credentials_metadata_without_role(void **state)
{
    struct fixture *f = *state;
    use_metadata(f);
    answer(f, "PUT ", 200, "T");
    answer(f, "GET ", 404, "");
    expect_failure(f, DP_DENIED, "there are no keys for S3: set AWS_ACCESS_KEY_ID");
    assert_non_null(strstr(f->call.error.message, "(this machine has no role)"));
    answer(f, "PUT ", 200, "T");
    answer(f, "GET ", 200, "");
    expect_failure(f, DP_DENIED, "(this machine has no role)");
}

static void test_store_credentials_metadata_refuses(void **state)
{
    struct fixture *f = *state;
    use_metadata(f);
    answer(f, "PUT ", 403, "");
    expect_failure(f, DP_DENIED, "the instance's metadata service gives no keys: it answered 403");
    answer(f, "PUT ", 200, "T");
    answer(f, "GET ", 200, "role");
    answer(f, "GET ", 200, "{\"Code\":\"AssumeRoleUnauthorizedAccess\",\"Message\":\"EC2 cannot assume\"}");
    expect_failure(f, DP_DENIED, "AssumeRoleUnauthorizedAccess: EC2 cannot assume");
}

static void test_store_credentials_without_metadata_service(void **state)
{
    struct fixture *f = *state;
    use_metadata(f);
    http_server_stop(f->server); /* nothing listens on its port any more */
    expect_failure(f, DP_DENIED, "there are no keys for S3: set AWS_ACCESS_KEY_ID");
    f->server = http_server_start(NULL);
}

static void test_store_credentials_order(void **state)
{
    struct fixture *f = *state;
    use_metadata(f);
    use_container(f);
    answer(f, "GET /keys ", 200, keys_json(f, "C", 60));
    expect_keys(f, "C", "s", "t");
    credentials_free(f->credentials);
    f->credentials = NULL;
    file(f, ".aws/credentials", "[default]\naws_access_key_id = P\naws_secret_access_key = s\n");
    expect_keys(f, "P", "s", "");
    credentials_free(f->credentials);
    f->credentials = NULL;
    use_web_identity(f);
    answer(f, "POST / ", 200, STS_ANSWER);
    expect_keys(f, "W", "s", "t");
}

/* ---- sharing and renewing -------------------------------------------------------------------------------- */

static void test_store_credentials_renewed_before_they_expire(void **state)
{
    struct fixture *f = *state;
    use_container(f);
    answer(f, NULL, 200, keys_json(f, "one", 60));
    expect_keys(f, "one", "s", "t");
    clock_ms = BEGIN_MS + 55 * MINUTE - 1;
    expect_keys(f, "one", "s", "t");
    assert_int_equal(http_server_count(f->server), 1);
    clock_ms = BEGIN_MS + 55 * MINUTE;
    answer(f, NULL, 200, keys_json(f, "two", 115));
    expect_keys(f, "two", "s", "t");
    expect_keys(f, "two", "s", "t");
    assert_int_equal(http_server_count(f->server), 2);
}

/* Keys that live for less than ten minutes are renewed after half of their life, not at each use. */
static void test_store_credentials_that_expire_soon_are_renewed_at_half_life(void **state)
{
    struct fixture *f = *state;
    use_container(f);
    answer(f, NULL, 200, keys_json(f, "one", 2));
    expect_keys(f, "one", "s", "t");
    clock_ms = BEGIN_MS + MINUTE - 1;
    expect_keys(f, "one", "s", "t");
    clock_ms = BEGIN_MS + MINUTE;
    answer(f, NULL, 200, keys_json(f, "two", 3));
    expect_keys(f, "two", "s", "t");
    assert_int_equal(http_server_count(f->server), 2);
}

static void test_store_credentials_fetched_expired(void **state)
{
    struct fixture *f = *state;
    use_container(f);
    answer(f, NULL, 200, keys_json(f, "old", -1));
    expect_failure(f, DP_DENIED, "the keys for S3: what was fetched has expired already");
}

static void test_store_credentials_outlive_a_failed_renewal(void **state)
{
    struct fixture *f = *state;
    use_container(f);
    answer(f, NULL, 200, keys_json(f, "one", 60));
    expect_keys(f, "one", "s", "t");
    clock_ms = BEGIN_MS + 56 * MINUTE;
    answer(f, NULL, 403, "");
    expect_keys(f, "one", "s", "t");
    expect_keys(f, "one", "s", "t"); /* the source is not asked again at once */
    assert_int_equal(http_server_count(f->server), 2);
    clock_ms = BEGIN_MS + 60 * MINUTE;
    answer(f, NULL, 403, "");
    expect_failure(f, DP_DENIED, "it answered 403");
    answer(f, NULL, 200, keys_json(f, "two", 120));
    expect_keys(f, "two", "s", "t");
}

static void test_store_credentials_refused_by_the_store(void **state)
{
    struct fixture *f = *state;
    struct aws_keys *one, *two;
    use_container(f);
    answer(f, NULL, 200, keys_json(f, "one", 60));
    answer(f, NULL, 200, keys_json(f, "two", 60));
    assert_int_equal(get(f, &one), DP_OK);
    credentials_refused(f->credentials, one->base.serial);
    assert_int_equal(get(f, &two), DP_OK);
    assert_true(span_equal_str(two->access_key_id, "two"));
    credentials_refused(f->credentials, one->base.serial); /* these keys are not in use any more */
    expect_keys(f, "two", "s", "t");
    assert_int_equal(http_server_count(f->server), 2);
    aws_keys_release(one);
    aws_keys_release(two);
}

/* Doubted keys stay in use while new ones are fetched, at most once in ten seconds. If the source has no new
 * keys, they stay in use afterwards too. */
static void test_store_credentials_doubted(void **state)
{
    struct fixture *f = *state;
    struct aws_keys *one;
    use_container(f);
    answer(f, NULL, 200, keys_json(f, "one", 60));
    assert_int_equal(get(f, &one), DP_OK);
    assert_false(credentials_doubted(f->credentials, one->base.serial)); /* these keys have just been fetched */
    clock_ms += 10 * 1000;
    assert_true(credentials_doubted(f->credentials, one->base.serial));
    answer(f, NULL, 500, "");
    answer(f, NULL, 500, "");
    answer(f, NULL, 500, "");
    answer(f, NULL, 500, "");
    expect_keys(f, "one", "s", "t"); /* the source is down, and the old keys are still valid */
    for (int i = 0; i < 5; i++)
        assert_false(credentials_doubted(f->credentials, one->base.serial));
    http_server_reset(f->server);
    clock_ms += 10 * 1000;
    assert_true(credentials_doubted(f->credentials, one->base.serial));
    answer(f, NULL, 200, keys_json(f, "two", 60));
    expect_keys(f, "two", "s", "t");
    assert_true(credentials_doubted(f->credentials, one->base.serial)); /* newer keys are already there */
    expect_keys(f, "two", "s", "t");
    assert_int_equal(http_server_count(f->server), 1);
    aws_keys_release(one);
}

struct getter {
    pthread_t thread;
    struct credentials *credentials;
    enum dp_status status;
    const char *id;
};

static void *get_keys(void *context)
{
    struct getter *g = context;
    struct arena arena;
    struct call call;
    struct aws_keys *keys;
    arena_init(&arena, 1 << 20);
    call_init(&call, &arena);
    call_limit_ms(&call, NEVER_MS);
    g->status = credentials_get(&call, g->credentials, &keys);
    if (keys && !span_equal_str(keys->access_key_id, g->id))
        g->status = DP_CORRUPT;
    aws_keys_release(keys);
    arena_deinit(&arena);
    return NULL;
}

static void get_on_many_threads(struct fixture *f, const char *id, enum dp_status want)
{
    struct getter getters[THREADS];
    if (!f->credentials)
        assert_int_equal(credentials_new(&f->settings, "eu-west-1", test_clock, &f->credentials, &f->call.error),
                         DP_OK);
    for (int i = 0; i < THREADS; i++) {
        getters[i] = (struct getter){.credentials = f->credentials, .id = id};
        assert_int_equal(pthread_create(&getters[i].thread, NULL, get_keys, &getters[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(getters[i].thread, NULL);
        assert_int_equal(getters[i].status, want);
    }
}

static void test_store_credentials_fetched_once_for_many(void **state)
{
    struct fixture *f = *state;
    use_container(f);
    answer(f, NULL, 200, keys_json(f, "one", 60));
    get_on_many_threads(f, "one", DP_OK);
    assert_int_equal(http_server_count(f->server), 1);
    clock_ms = BEGIN_MS + 60 * MINUTE;
    answer(f, NULL, 200, keys_json(f, "two", 120));
    get_on_many_threads(f, "two", DP_OK);
    assert_int_equal(http_server_count(f->server), 2);
}

/* A call that gives up does not fail the others, and a waiting call can be cancelled. */
static void test_store_credentials_waiting_ends_with_the_call(void **state)
{
    struct fixture *f = *state;
    struct aws_keys *keys;
    use_container(f);
    assert_int_equal(credentials_new(&f->settings, "eu-west-1", test_clock, &f->credentials, &f->call.error),
                     DP_OK);
    static _Atomic bool cancelled;
    cancelled = true;
    f->call.cancelled = &cancelled;
    assert_int_equal(get(f, &keys), DP_CANCELLED);
    f->call.cancelled = NULL;
    answer(f, NULL, 200, keys_json(f, "one", 60));
    expect_keys(f, "one", "s", "t");
}

static void test_store_credentials_failed_allocations(void **state)
{
    struct fixture *f = *state;
    file(f, ".aws/credentials", "[default]\naws_access_key_id = A\naws_secret_access_key = s\n");
    size_t before = test_alloc_live();
    for (size_t n = 1;; n = test_alloc_next(n)) {
        struct credentials *c = NULL;
        struct aws_keys *keys = NULL;
        struct arena arena;
        struct call call;
        arena_init(&arena, 1 << 20);
        call_init(&call, &arena);
        test_alloc_fail_at(n);
        enum dp_status status = credentials_new(&f->settings, "eu-west-1", NULL, &c, &call.error);
        if (status == DP_OK)
            status = credentials_get(&call, c, &keys);
        bool fired = test_alloc_fired();
        test_alloc_fail_at(0);
        aws_keys_release(keys);
        credentials_free(c);
        arena_deinit(&arena);
        assert_int_equal(test_alloc_live(), before);
        if (!fired) {
            assert_int_equal(status, DP_OK);
            break;
        }
        assert_int_equal(status, DP_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_store_credentials_given),
        CASE(test_store_credentials_given_with_token),
        CASE(test_store_credentials_given_without_the_other_half),
        CASE(test_store_credentials_none_needed),
        CASE(test_store_credentials_without_any_source),
        CASE(test_store_credentials_default_profile),
        CASE(test_store_credentials_named_files_and_profile),
        CASE(test_store_credentials_missing_profile),
        CASE(test_store_credentials_malformed_profile),
        CASE(test_store_credentials_profile_without_secret),
        CASE(test_store_credentials_web_identity),
        CASE(test_store_credentials_web_identity_of_a_profile),
        CASE(test_store_credentials_web_identity_refused),
        CASE(test_store_credentials_web_identity_without_file),
        CASE(test_store_credentials_container),
        CASE(test_store_credentials_container_relative),
        CASE(test_store_credentials_container_refuses),
        CASE(test_store_credentials_container_uris),
        CASE(test_store_credentials_take_no_proxy),
        CASE(test_store_credentials_container_on_another_host),
        CASE(test_store_credentials_metadata),
        CASE(test_store_credentials_metadata_without_role),
        CASE(test_store_credentials_metadata_refuses),
        CASE(test_store_credentials_without_metadata_service),
        CASE(test_store_credentials_order),
        CASE(test_store_credentials_renewed_before_they_expire),
        CASE(test_store_credentials_that_expire_soon_are_renewed_at_half_life),
        CASE(test_store_credentials_fetched_expired),
        CASE(test_store_credentials_outlive_a_failed_renewal),
        CASE(test_store_credentials_refused_by_the_store),
        CASE(test_store_credentials_doubted),
        CASE(test_store_credentials_fetched_once_for_many),
        CASE(test_store_credentials_waiting_ends_with_the_call),
        CASE(test_store_credentials_failed_allocations),
    };
    return test_run(tests);
}
