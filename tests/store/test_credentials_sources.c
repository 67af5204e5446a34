/* test_credentials_sources.c: keys from roles, SSO and programs that a profile names. */
#include "credentials_fixture.h"

#include <stdlib.h>
#include <stdio.h>
#include <sys/stat.h>

#include "os/file.h"
#include "os/process.h"

/* ---- roles ------------------------------------------------------------------------------------------------ */

/* STS's answer to AssumeRole, with keys that expire an hour after the test's beginning. */
static const char *role_answer(struct fixture *f, const char *id)
{
    return arena_printf(
        &f->arena,
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>"
        "<Credentials><AccessKeyId>%s</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"
        "<SessionToken>t</SessionToken><Expiration>2026-01-01T01:00:00Z</Expiration></Credentials>"
        "</AssumeRoleResult></AssumeRoleResponse>",
        id);
}

static void test_store_credentials_role(void **state)
{
    struct fixture *f = *state;
    f->settings.profile = "work";
    file(f, ".aws/credentials", "[base]\naws_access_key_id = BASE\naws_secret_access_key = b\n");
    file(f, ".aws/config",
         arena_printf(&f->arena,
                      "[profile work]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = base\n"
                      "external_id = x 1\nduration_seconds = 900\nendpoint_url = %s\n",
                      url(f, "")));
    answer(f, "POST / ", 200, role_answer(f, "ROLE"));
    expect_keys(f, "ROLE", "s", "t");
    struct http_seen seen = http_server_seen(f->server, 0);
    assert_string_equal(seen.body,
                        "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr&"
                        "RoleSessionName=dipper&ExternalId=x%201&DurationSeconds=900");
    assert_non_null(strstr(seen.head, "Authorization: AWS4-HMAC-SHA256 Credential=BASE/"));
    assert_non_null(
        strstr(seen.head, "/eu-west-1/sts/aws4_request, SignedHeaders=content-type;host;x-amz-date, "));
    assert_null(strstr(seen.head, "X-Amz-Security-Token"));
}

static void test_store_credentials_chain_of_roles(void **state)
{
    struct fixture *f = *state;
    f->settings.profile = "a";
    f->settings.sts_endpoint_url = url(f, "/sts");
    file(f, ".aws/credentials", "[base]\naws_access_key_id = BASE\naws_secret_access_key = b\n");
    file(f, ".aws/config",
         "[profile a]\nrole_arn = role-a\nsource_profile = b\n[profile b]\nrole_arn = role-b\nsource_profile = "
         "base\n");
    answer(f, "POST /sts ", 200, role_answer(f, "FIRST"));
    answer(f, "POST /sts ", 200, role_answer(f, "SECOND"));
    expect_keys(f, "SECOND", "s", "t");
    assert_non_null(strstr(http_server_seen(f->server, 0).body, "RoleArn=role-b"));
    assert_non_null(strstr(http_server_seen(f->server, 1).body, "RoleArn=role-a"));
    assert_non_null(strstr(http_server_seen(f->server, 1).head, "Credential=FIRST/"));
    assert_non_null(strstr(http_server_seen(f->server, 1).head, "X-Amz-Security-Token: t\r\n"));
}

static void test_store_credentials_role_of_the_container(void **state)
{
    struct fixture *f = *state;
    f->settings.sts_endpoint_url = url(f, "/sts");
    f->settings.container_full_uri = url(f, "/keys");
    file(f, ".aws/config", "[default]\nrole_arn = r\ncredential_source = EcsContainer\n");
    answer(f, "GET /keys ", 200, keys_json(f, "CONTAINER", 60));
    answer(f, "POST /sts ", 200, role_answer(f, "ROLE"));
    expect_keys(f, "ROLE", "s", "t");
    assert_non_null(strstr(http_server_seen(f->server, 1).head, "Credential=CONTAINER/"));
}

static void test_store_credentials_role_without_its_source(void **state)
{
    struct fixture *f = *state;
    f->settings.sts_endpoint_url = url(f, "/");
    const char *const sources[] = {"Environment", "EcsContainer", "Ec2InstanceMetadata"};
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        file(f, ".aws/config",
             arena_printf(&f->arena, "[default]\nrole_arn = r\ncredential_source = %s\n", sources[i]));
        expect_failure(f, DP_DENIED, "there are no keys in its credential_source");
    }
    assert_int_equal(http_server_count(f->server), 0);
}

static void test_store_credentials_role_refused(void **state)
{
    struct fixture *f = *state;
    f->settings.sts_endpoint_url = url(f, "/");
    file(f, ".aws/credentials", "[default]\naws_access_key_id = A\naws_secret_access_key = hush\n");
    file(f, ".aws/config", "[default]\nrole_arn = arn:r\nsource_profile = default\n");
    answer(f, NULL, 403,
           "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not "
           "authorized</Message></Error></ErrorResponse>");
    expect_failure(f, DP_DENIED, "STS (AssumeRole of arn:r) gives no keys: AccessDenied: not authorized");
    assert_null(strstr(f->call.error.message, "hush"));
    file(f, ".aws/config", "[default]\nrole_arn = r\nsource_profile = default\nmfa_serial = arn:mfa/me\n");
    expect_failure(f, DP_UNSUPPORTED, "a role with mfa_serial needs a person");
}

/* Each profile of a long chain names the next one. */
static void test_store_credentials_long_chain(void **state)
{
    struct fixture *f = *state;
    struct buffer text;
    buffer_init(&text, 1 << 20);
    f->settings.profile = "p0";
    for (int i = 0; i < 40; i++)
        buffer_printf(&text, "[profile p%d]\nrole_arn = r\nsource_profile = p%d\n", i, i + 1);
    buffer_u8(&text, 0);
    file(f, ".aws/config", (const char *)text.data);
    expect_failure(f, DP_INVALID, "its chain of roles is too long; it ends at \"p16\"");
    buffer_deinit(&text);
}

/* ---- SSO -------------------------------------------------------------------------------------------------- */

static void use_sso(struct fixture *f)
{
    f->settings.profile = "corp";
    file(f, ".aws/config",
         arena_printf(&f->arena,
                      "[profile corp]\nsso_session = my corp\nsso_account_id = 123\nsso_role_name = Read/All\n"
                      "services = here\n[sso-session \"my corp\"]\nsso_start_url = https://x/start\n"
                      "sso_region = eu-west-1\n[services here]\nsso =\n  endpoint_url = %s\nsso_oidc =\n"
                      "  endpoint_url = %s\n",
                      url(f, "/portal"), url(f, "/oidc")));
}

/* The token's file of the session "my corp": sha1("my corp").json. */
static const char SSO_FILE[] = ".aws/sso/cache/2603e49e9877a1061664a5a7f900ffb84f872d49.json";

static const char *token_file(struct fixture *f, const char *token, const char *expires)
{
    struct dp_error error;
    assert_int_equal(os_make_dirs(arena_printf(&f->arena, "%s/.aws/sso/cache", f->folder), &error), DP_OK);
    return file(f, SSO_FILE,
                arena_printf(&f->arena,
                             "{\"startUrl\":\"https://x/start\",\"region\":\"eu-west-1\",\"accessToken\":\"%s\","
                             "\"expiresAt\":\"%s\",\"clientId\":\"id\",\"clientSecret\":\"cs\","
                             "\"refreshToken\":\"r1\",\"registrationExpiresAt\":\"2026-03-01T00:00:00Z\"}",
                             token, expires));
}

/* The portal's answer, with keys that expire an hour after the test's beginning. */
static const char *sso_answer(struct fixture *f, const char *id)
{
    return arena_printf(&f->arena,
                        "{\"roleCredentials\":{\"accessKeyId\":\"%s\",\"secretAccessKey\":\"s\","
                        "\"sessionToken\":\"t\",\"expiration\":%lld}}",
                        id, (long long)BEGIN_MS + 60 * (long long)MINUTE);
}

static void test_store_credentials_sso(void **state)
{
    struct fixture *f = *state;
    use_sso(f);
    token_file(f, "bearer", "2026-01-01T08:00:00UTC");
    answer(f, "GET /portal/federation/credentials?role_name=Read%2FAll&account_id=123 ", 200,
           sso_answer(f, "SSO"));
    expect_keys(f, "SSO", "s", "t");
    assert_non_null(strstr(http_server_seen(f->server, 0).head, "x-amz-sso_bearer_token: bearer\r\n"));
}

static void test_store_credentials_sso_renews_its_token(void **state)
{
    struct fixture *f = *state;
    struct buffer text;
    struct stat info;
    use_sso(f);
    const char *path = token_file(f, "old", "2026-01-01T00:10:00Z");
    answer(f, "POST /oidc/token ", 200,
           "{\"accessToken\":\"new\",\"tokenType\":\"Bearer\",\"expiresIn\":28800,\"refreshToken\":\"r2\"}");
    answer(f, "GET /portal/", 200, sso_answer(f, "SSO"));
    expect_keys(f, "SSO", "s", "t");
    assert_string_equal(http_server_seen(f->server, 0).body,
                        "{\"clientId\":\"id\",\"clientSecret\":\"cs\",\"grantType\":\"refresh_token\","
                        "\"refreshToken\":\"r1\"}");
    assert_non_null(strstr(http_server_seen(f->server, 1).head, "x-amz-sso_bearer_token: new\r\n"));
    buffer_init(&text, 1 << 20);
    assert_int_equal(os_read_file(path, &text, &f->call.error), DP_OK);
    assert_true(span_equal_str(
        buffer_span(&text), "{\"startUrl\":\"https://x/start\",\"region\":\"eu-west-1\",\"accessToken\":\"new\","
                            "\"expiresAt\":\"2026-01-01T08:00:00Z\",\"clientId\":\"id\",\"clientSecret\":\"cs\","
                            "\"registrationExpiresAt\":\"2026-03-01T00:00:00Z\",\"refreshToken\":\"r2\"}"));
    buffer_deinit(&text);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
}

static void test_store_credentials_sso_needs_a_login(void **state)
{
    struct fixture *f = *state;
    use_sso(f);
    expect_failure(f, DP_DENIED, "uses SSO, but there is no token yet: run `aws sso login --profile corp`");
    token_file(f, "old", "2025-12-31T00:00:00Z"); /* expired, and the renewal is refused */
    answer(f, "POST /oidc/token ", 400, "{\"error\":\"invalid_grant\"}");
    expect_failure(f, DP_DENIED, "its token has expired: run `aws sso login");
    token_file(f, "good", "2026-01-01T08:00:00Z");
    answer(f, "GET /portal/", 401, "{\"message\":\"Session token not found or invalid\"}");
    expect_failure(f, DP_DENIED, "does not take its token any more: run `aws sso login");
    file(f, SSO_FILE, "{\"accessToken\":\"hush\"");
    expect_failure(f, DP_DENIED, "file is damaged");
    assert_null(strstr(f->call.error.message, "hush"));
}

/* A token that is valid for some minutes yet serves while it cannot be renewed. */
static void test_store_credentials_sso_uses_its_old_token(void **state)
{
    struct fixture *f = *state;
    use_sso(f);
    token_file(f, "old", "2026-01-01T00:10:00Z");
    answer(f, "POST /oidc/token ", 400, "{}");
    answer(f, "GET /portal/", 200, sso_answer(f, "SSO"));
    expect_keys(f, "SSO", "s", "t");
    assert_non_null(strstr(http_server_seen(f->server, 1).head, "x-amz-sso_bearer_token: old\r\n"));
}

/* ---- programs --------------------------------------------------------------------------------------------- */

/* Makes a profile that runs a shell script. */
static void use_program(struct fixture *f, const char *script)
{
    const char *path = file(f, "my keys.sh", script);
    file(f, ".aws/config",
         arena_printf(&f->arena, "[default]\ncredential_process = sh \"%s\" 'a  b' $HOME `id` # c\n", path));
}

static void test_store_credentials_program(void **state)
{
    struct fixture *f = *state;
    use_program(
        f, "test $# = 5 && test \"$1\" = 'a  b' && test \"$2\" = '$HOME' && test \"$3\" = '`id`' || exit 9\n"
           "read nothing\n"
           "printf '{\"Version\":1,\"AccessKeyId\":\"%s\",\"SecretAccessKey\":\"s\",\"SessionToken\":\"t\",' P\n"
           "echo '\"Expiration\":\"2026-01-01T02:00:00+01:00\"}'\n");
    expect_keys(f, "P", "s", "t");
    struct aws_keys *keys;
    assert_int_equal(get(f, &keys), DP_OK);
    assert_int_equal(keys->base.expires_ms, BEGIN_MS + 60 * MINUTE);
    aws_keys_release(keys);
}

static void test_store_credentials_program_fails(void **state)
{
    struct fixture *f = *state;
    const struct {
        const char *script;
        enum dp_status status;
        const char *says;
    } cases[] = {
        {"echo 'session expired' >&2; echo more >&2; exit 3", DP_DENIED, "ended with status 3: session expired"},
        {"kill -9 $$", DP_DENIED, "was ended by a signal"},
        {"echo hush", DP_IO, "does not answer with JSON"},
        {"echo '{\"Version\":2}'", DP_UNSUPPORTED, "prints keys of version 2"},
        {"echo '{\"Version\":1,\"AccessKeyId\":\"A\"}'", DP_IO, "has no secret access key"},
        {"while :; do echo hushhushhushhushhushhush; done", DP_DENIED, "sh printed more than 262144 bytes"},
        {"while :; do echo hushhushhushhushhushhush >&2; test -e /nothing; done & sleep 0.05; kill $!; exit 4",
         DP_DENIED, "ended with status 4: hushhush"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        use_program(f, cases[i].script);
        expect_failure(f, cases[i].status, cases[i].says);
        if (i < 6)
            assert_null(strstr(f->call.error.message, "hush"));
    }
    file(f, ".aws/config", "[default]\ncredential_process = /nowhere/keys --secret hush\n");
    expect_failure(f, DP_DENIED, "credential_process of the AWS profile \"default\": cannot run /nowhere/keys");
    assert_null(strstr(f->call.error.message, "hush"));
    file(f, ".aws/config", "[default]\ncredential_process = 'keys\n");
    expect_failure(f, DP_INVALID, "credential_process of the AWS profile \"default\": a quote does not end");
    file(f, ".aws/config", "[default]\ncredential_process =\n");
    expect_failure(f, DP_INVALID, "it is empty");
}

/* A program that does not end is killed with its children when the call's time is up. */
static void test_store_credentials_program_hangs(void **state)
{
    struct fixture *f = *state;
    const char *const argv[] = {"sh", "-c", "sleep 1000 & echo $!; sleep 1000", NULL};
    struct buffer out, err;
    struct process_end end;
    struct call call;
    int child;
    buffer_init(&out, 4096);
    buffer_init(&err, 4096);
    call_init(&call, &f->arena);
    assert_int_equal(process_run(&call, argv, 200, &out, &err, &end), DP_UNAVAILABLE);
    assert_non_null(strstr(call.error.message, "sh did not end within"));
    buffer_u8(&out, 0);
    child = (int)strtol((const char *)out.data, NULL, 10);
    assert_true(child > 1);
    char path[64], state_of = 'Z';
    snprintf(path, sizeof path, "/proc/%d/stat", child);
    FILE *stat = fopen(path, "r");
    if (stat) { /* a zombie until init reaps it */
        assert_int_equal(fscanf(stat, "%*d %*s %c", &state_of), 1);
        fclose(stat);
    }
    assert_int_equal(state_of, 'Z');
    buffer_deinit(&out);
    buffer_deinit(&err);
}

static void test_store_credentials_login_is_refused(void **state)
{
    struct fixture *f = *state;
    file(f, ".aws/config", "[default]\nlogin_session = arn:aws:iam::1:user/me\n");
    expect_failure(f, DP_UNSUPPORTED, "gets its keys by `aws login`");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_store_credentials_role),
        CASE(test_store_credentials_chain_of_roles),
        CASE(test_store_credentials_role_of_the_container),
        CASE(test_store_credentials_role_without_its_source),
        CASE(test_store_credentials_role_refused),
        CASE(test_store_credentials_long_chain),
        CASE(test_store_credentials_sso),
        CASE(test_store_credentials_sso_renews_its_token),
        CASE(test_store_credentials_sso_needs_a_login),
        CASE(test_store_credentials_sso_uses_its_old_token),
        CASE(test_store_credentials_program),
        CASE(test_store_credentials_program_fails),
        CASE(test_store_credentials_program_hangs),
        CASE(test_store_credentials_login_is_refused),
    };
    return test_run(tests);
}
