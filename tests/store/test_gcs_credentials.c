/* test_gcs_credentials.c: the sources of tokens for Google Cloud Storage, their requests, and how they are renewed.
 *
 * Shapes of requests: "Using OAuth 2.0 for Server to Server Applications", AIP-4112, AIP-4117, "Create short-lived
 * credentials for a service account", "Access VM metadata". The signature is tested against RFC 7515, appendix A.2. */
#include "test_support.h"

#include <stdio.h>

#include "base/base64.h"
#include "http_server.h"
#include "os/file.h"
#include "store/auth/jwt.h"
#include "store/gcs/credentials.h"
#include "store/gcs/credentials_file.h"

enum { NEVER_MS = 60000, MINUTE = 60000 };

/* The time at which each test begins, 2026-01-01T00:00:00Z, and the clock, which the tests move. */
static const int64_t BEGIN_MS = 1767225600000;
static _Atomic int64_t clock_ms;

static int64_t test_clock(void)
{
    return clock_ms;
}

struct fixture {
    struct arena arena;
    struct call call;
    struct http_server *server;
    struct gcs_settings settings;
    struct gcs_credentials *credentials;
    const char *folder;
};

static int set_up(void **state)
{
    static struct fixture f;
    f = (struct fixture){.folder = test_tmpdir()};
    arena_init(&f.arena, 16 << 20);
    call_init(&f.call, &f.arena);
    call_limit_ms(&f.call, NEVER_MS);
    f.server = http_server_start(NULL);
    f.settings.home = f.folder;
    f.settings.metadata_disabled = true;
    clock_ms = BEGIN_MS;
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    gcs_credentials_free(f->credentials);
    http_server_stop(f->server);
    arena_deinit(&f->arena);
    return 0;
}

/* Makes the next call read the settings and the files anew. */
static void forget(struct fixture *f)
{
    gcs_credentials_free(f->credentials);
    f->credentials = NULL;
    http_server_reset(f->server);
}

static enum dp_status get(struct fixture *f, struct bearer_token **token)
{
    if (!f->credentials && gcs_credentials_new(&f->settings, test_clock, &f->credentials, &f->call.error) != DP_OK)
        fail_msg("%s", f->call.error.message);
    dp_error_clear(&f->call.error);
    return gcs_credentials_get(&f->call, f->credentials, token);
}

static void expect_token(struct fixture *f, const char *want)
{
    struct bearer_token *token;
    if (get(f, &token) != DP_OK)
        fail_msg("%s", f->call.error.message);
    if (!span_equal_str(token->text, want))
        fail_msg("%.*s is not %s", SPAN_FMT(token->text), want);
    secret_release(&token->base);
}

static void expect_failure(struct fixture *f, enum dp_status want, const char *says)
{
    struct bearer_token *token;
    enum dp_status status = get(f, &token);
    if (status != want || !strstr(f->call.error.message, says))
        fail_msg("%s: %s", dp_status_name(status), f->call.error.message);
    assert_null(token);
    assert_null(strstr(f->call.error.message, "hush"));
}

/* Writes a file below the fixture's folder. Returns its path, in the arena. */
static const char *file(struct fixture *f, const char *name, const char *text)
{
    const char *path = arena_printf(&f->arena, "%s/%s", f->folder, name);
    if (os_write_file(path, span_str(text), &f->call.error) != DP_OK)
        fail_msg("%s", f->call.error.message);
    return path;
}

static void use_file(struct fixture *f, const char *text)
{
    forget(f);
    f->settings.credentials_file = file(f, "key.json", text);
}

static void answer(struct fixture *f, const char *match, int code, const char *text)
{
    http_server_script(f->server,
                       (struct http_act){.kind = HTTP_ACT_STATUS, .code = code, .match = match, .text = text});
}

static void answer_token(struct fixture *f, const char *match, const char *token)
{
    answer(
        f, match, 200,
        arena_printf(&f->arena, "{\"access_token\":\"%s\",\"expires_in\":3600,\"token_type\":\"Bearer\"}", token));
}

static const char *url(struct fixture *f, const char *path)
{
    return (const char *)arena_copy(&f->arena, span_str(http_server_url(f->server, path))).data;
}

/* ---- service accounts ------------------------------------------------------------------------------------ */

/* Returns the key of RFC 7515 as the string of a JSON file. */
static const char *json_key(struct fixture *f)
{
    struct span pem = test_data("jwt/rfc7515_a2_key.pem");
    struct buffer b;
    buffer_init(&b, 1 << 16);
    for (size_t i = 0; i < pem.len; i++)
        if (pem.data[i] == '\n')
            buffer_append_str(&b, "\\n");
        else
            buffer_u8(&b, pem.data[i]);
    const char *text = arena_printf(&f->arena, "%.*s", SPAN_FMT(buffer_span(&b)));
    buffer_deinit(&b);
    return text;
}

static const char *service_account(struct fixture *f)
{
    return arena_printf(
        &f->arena,
        "{\"type\":\"service_account\",\"project_id\":\"p\",\"private_key_id\":\"kid1\",\"private_key\":"
        "\"%s\",\"client_email\":\"me@p.iam.gserviceaccount.com\",\"client_id\":\"1\",\"token_uri\":\"%s\"}",
        json_key(f), url(f, "/token"));
}

static void test_store_gcs_jwt_is_that_of_rfc_7515(void **state)
{
    struct fixture *f = *state;
    struct span want = test_data("jwt/rfc7515_a2.jws");
    struct buffer b;
    buffer_init(&b, 1 << 16);
    assert_int_equal(jwt_sign_rs256("the key", test_data("jwt/rfc7515_a2_key.pem"),
                                    span_str("{\"alg\":\"RS256\"}"),
                                    span_str("{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n "
                                             "\"http://example.com/is_root\":true}"),
                                    &b, &f->call.error),
                     DP_OK);
    assert_true(span_equal(buffer_span(&b), want));
    buffer_deinit(&b);
    const char *const bad[] = {
        "", "hush", "-----BEGIN PRIVATE KEY-----\nhush\n-----END PRIVATE KEY-----\n",
        /* a key of an elliptic curve */
        "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgqNVhhCQG0se4tPVy\n"
        "yN7FW22bcLGOw/nFCnoLyWD9xzahRANCAAQfTKqt+E29zTnGBTULvTeGyZZzVTqN\n"
        "HraRS9ggaL3N2yrMT/YQDN9DEl7alk1VSb69pS9KLb70mnGCzPsXirLe\n-----END PRIVATE KEY-----\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        buffer_init(&b, 1 << 16);
        assert_int_equal(
            jwt_sign_rs256("key.json", span_str(bad[i]), span_str("{}"), span_str("{}"), &b, &f->call.error),
            DP_INVALID);
        assert_string_equal(f->call.error.message, "key.json: the private key is not an RSA key in PEM");
        buffer_deinit(&b);
    }
}

/* Decodes a part of a token. */
static const char *decode_part(struct fixture *f, const char *part)
{
    size_t len = strcspn(part, ".");
    uint8_t *out = arena_alloc(&f->arena, len + 4);
    char *copy = (char *)arena_alloc(&f->arena, len + 1);
    for (size_t i = 0; i < len; i++)
        copy[i] = part[i] == '-' ? '+' : part[i] == '_' ? '/' : part[i];
    assert_true(base64_decode(span_of(copy, len), out, &len));
    out[len] = '\0';
    return (const char *)out;
}

static void test_store_gcs_service_account(void **state)
{
    struct fixture *f = *state;
    static const char FORM[] = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";
    use_file(f, service_account(f));
    answer_token(f, "POST /token ", "ya29.t");
    expect_token(f, "ya29.t");
    struct http_seen seen = http_server_seen(f->server, 0);
    assert_non_null(strstr(seen.head, "Content-Type: application/x-www-form-urlencoded\r\n"));
    assert_true(span_starts_with(span_str(seen.body), span_str(FORM)));
    const char *assertion = seen.body + sizeof FORM - 1;
    assert_string_equal(decode_part(f, assertion), "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"kid1\"}");
    assert_string_equal(
        decode_part(f, strchr(assertion, '.') + 1),
        arena_printf(&f->arena,
                     "{\"iss\":\"me@p.iam.gserviceaccount.com\",\"scope\":\"https://www.googleapis.com/"
                     "auth/devstorage.read_write\",\"aud\":\"%s\",\"iat\":1767225600,\"exp\":1767229200}",
                     url(f, "/token")));
    expect_token(f, "ya29.t");
    assert_int_equal(http_server_count(f->server), 1);
}

/* Three lives of a token; the endpoint is down when the second renewal is due, and answers again before the token expires. */
static void test_store_gcs_tokens_over_three_expiries(void **state)
{
    struct fixture *f = *state;
    use_file(f, service_account(f));
    answer_token(f, NULL, "one");
    expect_token(f, "one");
    clock_ms = BEGIN_MS + 55 * MINUTE;
    answer_token(f, NULL, "two");
    expect_token(f, "two");
    clock_ms = BEGIN_MS + 110 * MINUTE;
    for (int i = 0; i < 5; i++)
        answer(f, NULL, 500, "");
    expect_token(f, "two");
    expect_token(f, "two"); /* the endpoint is not asked again at once */
    http_server_reset(f->server);
    clock_ms = BEGIN_MS + 114 * MINUTE;
    answer_token(f, NULL, "three");
    expect_token(f, "three");
    clock_ms = BEGIN_MS + 114 * MINUTE + 60 * MINUTE;
    answer_token(f, NULL, "four");
    expect_token(f, "four");
    assert_int_equal(http_server_count(f->server), 2);
}

static void test_store_gcs_service_account_refused(void **state)
{
    struct fixture *f = *state;
    use_file(f, service_account(f));
    answer(
        f, NULL, 400,
        "{\"error\":\"invalid_grant\",\"error_description\":\"Invalid JWT: Token must be a short-lived token (60 "
        "minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.\"}");
    expect_failure(f, DP_DENIED, "perhaps this machine's clock is wrong");
    forget(f);
    answer(f, NULL, 200, "hush");
    expect_failure(f, DP_IO, "does not answer with JSON");
}

static void test_store_gcs_refused_tokens_are_replaced(void **state)
{
    struct fixture *f = *state;
    struct bearer_token *one;
    use_file(f, service_account(f));
    answer_token(f, NULL, "one");
    answer_token(f, NULL, "two");
    assert_int_equal(get(f, &one), DP_OK);
    gcs_credentials_refused(f->credentials, one->base.serial);
    expect_token(f, "two");
    secret_release(&one->base);
}

/* ---- users ----------------------------------------------------------------------------------------------- */

static const char *user(struct fixture *f)
{
    return arena_printf(
        &f->arena,
        "{\"type\":\"authorized_user\",\"client_id\":\"id\",\"client_secret\":\"s\",\"refresh_token\":"
        "\"1//r\",\"token_uri\":\"%s\",\"quota_project_id\":\"p\"}",
        url(f, "/token"));
}

static void test_store_gcs_login_of_gcloud(void **state)
{
    struct fixture *f = *state;
    static const char FORM[] = "grant_type=refresh_token&client_id=id&client_secret=s&refresh_token=1%2F%2Fr";
    file(f, "application_default_credentials.json", user(f));
    f->settings.config_folder = f->folder;
    answer_token(f, "POST /token ", "u");
    expect_token(f, "u");
    assert_string_equal(http_server_seen(f->server, 0).body, FORM);
    forget(f);
    const char *folder = arena_printf(&f->arena, "%s/.config/gcloud", f->folder);
    assert_int_equal(os_make_dirs(folder, &f->call.error), DP_OK);
    file(f, ".config/gcloud/application_default_credentials.json", user(f));
    f->settings.config_folder = "";
    answer_token(f, "POST /token ", "v");
    expect_token(f, "v");
}

/* ---- workload identity ----------------------------------------------------------------------------------- */

static const char *external_account(struct fixture *f, const char *source, const char *more)
{
    return arena_printf(&f->arena,
                        "{\"type\":\"external_account\",\"audience\":\"//iam.googleapis.com/projects/1/x\","
                        "\"subject_token_type\":\"urn:ietf:params:oauth:token-type:jwt\",\"token_url\":\"%s\","
                        "\"credential_source\":%s%s}",
                        url(f, "/sts"), source, more);
}

static void test_store_gcs_workload_identity_of_a_file(void **state)
{
    struct fixture *f = *state;
    const char *path = file(f, "subject", "eyJ.own.token\n");
    use_file(f, external_account(f, arena_printf(&f->arena, "{\"file\":\"%s\"}", path), ""));
    answer_token(f, "POST /sts ", "federated");
    expect_token(f, "federated");
    assert_string_equal(
        http_server_seen(f->server, 0).body,
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange"
        "&audience=%2F%2Fiam.googleapis.com%2Fprojects%2F1%2Fx"
        "&scope=https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fcloud-platform"
        "&requested_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token"
        "&subject_token=eyJ.own.token&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt");
}

static void test_store_gcs_workload_identity_of_a_url_that_becomes_an_account(void **state)
{
    struct fixture *f = *state;
    const char *source =
        arena_printf(&f->arena,
                     "{\"url\":\"%s\",\"headers\":{\"X-Own\":\"yes\"},\"format\":{\"type\":\"json\","
                     "\"subject_token_field_name\":\"token\"}}",
                     url(f, "/own"));
    const char *more =
        arena_printf(&f->arena,
                     ",\"service_account_impersonation_url\":\"%s\",\"service_account_impersonation\":"
                     "{\"token_lifetime_seconds\":1800}",
                     url(f, "/iam"));
    use_file(f, external_account(f, source, more));
    answer(f, "GET /own ", 200, "{\"token\":\"subject\"}");
    answer_token(f, "POST /sts ", "federated");
    answer(f, "POST /iam ", 200, "{\"accessToken\":\"ya29.account\",\"expireTime\":\"2026-01-01T00:30:00Z\"}");
    expect_token(f, "ya29.account");
    assert_non_null(strstr(http_server_seen(f->server, 0).head, "X-Own: yes\r\n"));
    assert_non_null(strstr(http_server_seen(f->server, 1).body, "&subject_token=subject&"));
    struct http_seen seen = http_server_seen(f->server, 2);
    assert_non_null(strstr(seen.head, "Authorization: Bearer federated\r\n"));
    assert_string_equal(
        seen.body,
        "{\"scope\":[\"https://www.googleapis.com/auth/devstorage.read_write\"],\"lifetime\":\"1800s\"}");
    answer(f, "GET /own ", 200, "{\"other\":\"hush\"}");
    clock_ms += 30 * MINUTE;
    expect_failure(f, DP_IO, "has no text \"token\"");
}

static void test_store_gcs_workload_identity_failures(void **state)
{
    struct fixture *f = *state;
    use_file(f, external_account(f, "{\"file\":\"/nowhere/token\"}", ""));
    expect_failure(f, DP_NOT_FOUND, "/nowhere/token");
    use_file(f, external_account(f, "{\"environment_id\":\"aws1\",\"url\":\"http://169.254.169.254\"}", ""));
    expect_failure(f, DP_UNSUPPORTED, "takes its token from AWS");
    use_file(f, external_account(f, "{\"executable\":{\"command\":\"/bin/hush\"}}", ""));
    expect_failure(f, DP_UNSUPPORTED, "takes its token from an executable");
    use_file(f, external_account(f, arena_printf(&f->arena, "{\"file\":\"%s\"}", file(f, "s", "x")), ""));
    answer(f, NULL, 403, "{\"error\":\"unauthorized_client\",\"error_description\":\"no\"}");
    expect_failure(f, DP_DENIED, "workload identity) gives no token: it answered 403 unauthorized_client: no");
}

static void test_store_gcs_impersonated_service_account(void **state)
{
    struct fixture *f = *state;
    use_file(
        f, arena_printf(&f->arena,
                        "{\"type\":\"impersonated_service_account\",\"service_account_impersonation_url\":\"%s\","
                        "\"delegates\":[\"d@p\"],\"source_credentials\":%s}",
                        url(f, "/iam"), user(f)));
    answer_token(f, "POST /token ", "person");
    answer(f, "POST /iam ", 200, "{\"accessToken\":\"account\",\"expireTime\":\"2026-01-01T01:00:00Z\"}");
    expect_token(f, "account");
    assert_non_null(strstr(http_server_seen(f->server, 1).head, "Authorization: Bearer person\r\n"));
    assert_non_null(strstr(http_server_seen(f->server, 1).body, "\"delegates\":[\"d@p\"]"));
}

/* ---- files that are wrong -------------------------------------------------------------------------------- */

static void test_store_gcs_malformed_files(void **state)
{
    struct fixture *f = *state;
    const struct {
        const char *text;
        enum dp_status status;
        const char *says;
    } cases[] = {
        {"", DP_INVALID, "key.json is not a JSON file of credentials (byte 0)"},
        {"{\"private_key\":\"hush", DP_INVALID, "is not a JSON file of credentials"},
        {"{}", DP_UNSUPPORTED, "key.json has no \"type\", so it holds no credentials"},
        {"{\"installed\":{\"client_id\":\"a\"}}", DP_UNSUPPORTED, "an OAuth client's file is not one of them"},
        {"{\"type\":\"gdch_service_account\"}", DP_UNSUPPORTED, "of the type \"gdch_service_account\""},
        {"{\"type\":\"service_account\",\"private_key\":\"hush\"}", DP_INVALID, "has no \"client_email\""},
        {"{\"type\":\"service_account\",\"client_email\":\"a\"}", DP_INVALID, "has no \"private_key\""},
        {"{\"type\":\"service_account\",\"client_email\":\"a\",\"private_key\":\"hush\"}", DP_INVALID,
         "the private key is not an RSA key in PEM"},
        {"{\"type\":\"authorized_user\",\"client_id\":\"a\",\"client_secret\":\"hush\"}", DP_INVALID,
         "has no \"refresh_token\""},
        {"{\"type\":\"external_account\",\"audience\":\"a\"}", DP_INVALID, "has no \"subject_token_type\""},
        {"{\"type\":\"impersonated_service_account\",\"service_account_impersonation_url\":\"u\","
         "\"source_credentials\":{\"type\":\"impersonated_service_account\",\"service_account_impersonation_url\":"
         "\"u\","
         "\"source_credentials\":{}}}",
         DP_UNSUPPORTED, "are impersonated themselves"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        use_file(f, cases[i].text);
        expect_failure(f, cases[i].status, cases[i].says);
    }
    forget(f);
    f->settings.credentials_file = "/nowhere/key.json";
    expect_failure(f, DP_DENIED, "GOOGLE_APPLICATION_CREDENTIALS");
}

static void answer_machine(struct fixture *f, int code, const char *lines, const char *text)
{
    http_server_script(f->server,
                       (struct http_act){.kind = HTTP_ACT_STATUS, .code = code, .lines = lines, .text = text});
}

/* Refresh tokens, assertions and tokens travel by https only, or within this host. */
static void test_store_gcs_sends_no_secret_in_clear_text(void **state)
{
    struct fixture *f = *state;
    static const char FAR[] = "http://tokens.example/t";
    const char *const files[] = {
        arena_printf(
            &f->arena,
            "{\"type\":\"service_account\",\"private_key\":\"%s\",\"client_email\":\"a\",\"token_uri\":\"%s\"}",
            json_key(f), FAR),
        arena_printf(
            &f->arena,
            "{\"type\":\"external_account\",\"audience\":\"a\",\"subject_token_type\":\"t\",\"token_url\":\"%s\","
            "\"credential_source\":{\"url\":\"%s\"}}",
            FAR, url(f, "/subject")),
        arena_printf(&f->arena,
                     "{\"type\":\"impersonated_service_account\",\"service_account_impersonation_url\":\"%s\","
                     "\"source_credentials\":%s}",
                     FAR, service_account(f)),
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        use_file(f, files[i]);
        answer_machine(f, 200, NULL,
                       "{\"access_token\":\"own\",\"expires_in\":3600}"); /* of the files' own sources */
        expect_failure(f, DP_INVALID, "a secret may travel by https only, not to http://tokens.example/t");
    }
}

/* ---- machines -------------------------------------------------------------------------------------------- */

static void use_metadata(struct fixture *f)
{
    f->settings.metadata_disabled = false;
    f->settings.metadata_host = url(f, "") + strlen("http://");
}

static void test_store_gcs_metadata_server(void **state)
{
    struct fixture *f = *state;
    use_metadata(f);
    answer_machine(f, 200, "Metadata-Flavor: Google\r\n",
                   "{\"access_token\":\"m\",\"expires_in\":3599,\"token_type\":\"Bearer\"}");
    expect_token(f, "m");
    struct http_seen seen = http_server_seen(f->server, 0);
    assert_string_equal(seen.target, "/computeMetadata/v1/instance/service-accounts/default/token");
    assert_non_null(strstr(seen.head, "Metadata-Flavor: Google\r\n"));
    forget(f);
    answer_machine(f, 200, NULL, "{\"access_token\":\"m\"}");
    expect_failure(f, DP_DENIED, "(this machine has no metadata server of Google's)");
    forget(f);
    answer_machine(f, 404, "Metadata-Flavor: Google\r\n", "");
    expect_failure(f, DP_DENIED, "(this machine has no service account)");
    forget(f);
    http_server_stop(f->server); /* nothing listens on its port any more */
    expect_failure(f, DP_DENIED, "there are no credentials for Google Cloud Storage: set GOOGLE_APPLICATION");
    f->server = http_server_start(NULL);
}

static void test_store_gcs_no_source(void **state)
{
    struct fixture *f = *state;
    struct bearer_token *token;
    expect_failure(f, DP_DENIED, "DIPPER_GCS_ANONYMOUS=true for a public bucket)");
    forget(f);
    f->settings.anonymous = true;
    assert_int_equal(get(f, &token), DP_OK);
    assert_null(token);
    assert_int_equal(http_server_count(f->server), 0);
}

static void test_store_gcs_credentials_failed_allocations(void **state)
{
    struct fixture *f = *state;
    const char *path = file(f, "key.json", service_account(f));
    f->settings.credentials_file = path;
    for (size_t n = 1;; n = test_alloc_next(n)) {
        struct gcs_credentials *c = NULL;
        struct bearer_token *token = NULL;
        struct arena arena;
        struct call call;
        arena_init(&arena, 1 << 20);
        call_init(&call, &arena);
        call_limit_ms(&call, NEVER_MS);
        http_server_reset(f->server);
        answer_token(f, NULL, "t");
        size_t before = test_alloc_live();
        test_alloc_fail_at(n);
        enum dp_status status = gcs_credentials_new(&f->settings, test_clock, &c, &call.error);
        if (status == DP_OK)
            status = gcs_credentials_get(&call, c, &token);
        bool fired = test_alloc_fired();
        test_alloc_fail_at(0);
        secret_release(token ? &token->base : NULL);
        gcs_credentials_free(c);
        arena_deinit(&arena);
        assert_int_equal(test_alloc_live(), before);
        if (!fired) {
            assert_int_equal(status, DP_OK);
            break;
        }
        if (status != DP_OK && status != DP_NOMEM)
            fail_msg("%s: %s", dp_status_name(status), call.error.message);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_store_gcs_jwt_is_that_of_rfc_7515),
        CASE(test_store_gcs_service_account),
        CASE(test_store_gcs_tokens_over_three_expiries),
        CASE(test_store_gcs_service_account_refused),
        CASE(test_store_gcs_refused_tokens_are_replaced),
        CASE(test_store_gcs_login_of_gcloud),
        CASE(test_store_gcs_workload_identity_of_a_file),
        CASE(test_store_gcs_workload_identity_of_a_url_that_becomes_an_account),
        CASE(test_store_gcs_workload_identity_failures),
        CASE(test_store_gcs_impersonated_service_account),
        CASE(test_store_gcs_malformed_files),
        CASE(test_store_gcs_sends_no_secret_in_clear_text),
        CASE(test_store_gcs_metadata_server),
        CASE(test_store_gcs_no_source),
        CASE(test_store_gcs_credentials_failed_allocations),
    };
    return test_run(tests);
}
