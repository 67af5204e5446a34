/* test_azure_tokens.c: the sources of tokens for Azure: what each is asked, and how tokens are renewed. */
#include "test_support.h"

#include <stdio.h>

#include "http_server.h"
#include "os/file.h"
#include "store/azure/tokens.h"

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
    struct azure_settings settings;
    struct azure_tokens *tokens;
};

static int set_up(void **state)
{
    static struct fixture f;
    f = (struct fixture){0};
    arena_init(&f.arena, 16 << 20);
    call_init(&f.call, &f.arena);
    call_limit_ms(&f.call, NEVER_MS);
    f.server = http_server_start(NULL);
    clock_ms = BEGIN_MS;
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    azure_tokens_free(f->tokens);
    http_server_stop(f->server);
    arena_deinit(&f->arena);
    return 0;
}

static enum dp_status get(struct fixture *f, struct bearer_token **token)
{
    if (!f->tokens &&
        azure_tokens_new(&f->settings, span_str("acc"), test_clock, &f->tokens, &f->call.error) != DP_OK)
        fail_msg("%s", f->call.error.message);
    dp_error_clear(&f->call.error);
    return azure_tokens_get(&f->call, f->tokens, token);
}

static void expect_token(struct fixture *f, const char *want)
{
    struct bearer_token *token;
    if (get(f, &token) != DP_OK)
        fail_msg("%s", f->call.error.message);
    if (!span_equal_str(token->text, want))
        fail_msg("the token is %.*s, not %s", SPAN_FMT(token->text), want);
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

static void answer(struct fixture *f, int code, const char *text)
{
    http_server_script(f->server,
                       (struct http_act){.kind = HTTP_ACT_STATUS,
                                         .code = code,
                                         .text = (const char *)arena_copy(&f->arena, span_str(text)).data});
}

static const char *base(struct fixture *f)
{
    return http_server_url(f->server, "");
}

static void expect_seen(struct fixture *f, const char *method, const char *target, const char *head,
                        const char *body)
{
    struct http_seen seen = http_server_seen(f->server, http_server_count(f->server) - 1);
    assert_string_equal(seen.method, method);
    assert_string_equal(seen.target, target);
    if (!strstr(seen.head, head))
        fail_msg("%s", seen.head);
    assert_string_equal(seen.body, body);
}

static void test_store_azure_token_of_a_secret(void **state)
{
    struct fixture *f = *state;
    f->settings = (struct azure_settings){
        .client_id = "app", .client_secret = "hu+sh", .tenant_id = "ten/ant", .authority = base(f)};
    answer(f, 200,
           "{\"token_type\":\"Bearer\",\"expires_in\":3599,\"ext_expires_in\":3599,\"access_token\":\"one\"}");
    expect_token(f, "one");
    expect_seen(f, "POST", "/ten%2Fant/oauth2/v2.0/token", "Content-Type: application/x-www-form-urlencoded",
                "client_id=app&scope=https%3A%2F%2Fstorage.azure.com%2F.default&grant_type=client_credentials&"
                "client_secret=hu%2Bsh");
    expect_token(f, "one");
    assert_int_equal(http_server_count(f->server), 1);
}

static void test_store_azure_token_of_a_workload_identity(void **state)
{
    struct fixture *f = *state;
    const char *path = arena_printf(&f->arena, "%s/token", test_tmpdir());
    f->settings = (struct azure_settings){
        .client_id = "app", .federated_token_file = path, .tenant_id = "tenant", .authority = base(f)};
    for (int i = 0; i < 2; i++) { /* the file is read anew each time */
        const char *text = arena_printf(&f->arena, " signed.%d\n", i);
        const char *token = arena_printf(&f->arena, "t%d", i);
        assert_int_equal(os_write_file(path, span_str(text), &f->call.error), DP_OK);
        answer(f, 200, arena_printf(&f->arena, "{\"expires_in\":3599,\"access_token\":\"%s\"}", token));
        expect_token(f, token);
        expect_seen(f, "POST", "/tenant/oauth2/v2.0/token", "HTTP/1.1",
                    arena_printf(&f->arena,
                                 "client_id=app&scope=https%%3A%%2F%%2Fstorage.azure.com%%2F.default&grant_type="
                                 "client_credentials&client_assertion_type=urn%%3Aietf%%3Aparams%%3Aoauth%%3A"
                                 "client-assertion-type%%3Ajwt-bearer&client_assertion=signed.%d",
                                 i));
        clock_ms += 3600 * 1000;
    }
}

static void test_store_azure_token_of_app_service(void **state)
{
    struct fixture *f = *state;
    f->settings = (struct azure_settings){.identity_endpoint = http_server_url(f->server, "/msi/token"),
                                          .identity_header = "hush",
                                          .client_id = "an identity"};
    answer(f, 200,
           "{\"access_token\":\"one\",\"expires_on\":\"1767229200\",\"resource\":\"https://storage.azure.com/\"}");
    expect_token(f, "one");
    expect_seen(
        f, "GET",
        "/msi/token?api-version=2019-08-01&resource=https%3A%2F%2Fstorage.azure.com%2F&client_id=an%20identity",
        "X-IDENTITY-HEADER: hush\r\n", "");
}

static void test_store_azure_token_of_the_metadata_service(void **state)
{
    struct fixture *f = *state;
    f->settings = (struct azure_settings){.metadata_endpoint = http_server_url(f->server, "/")};
    answer(
        f, 200,
        "{\"access_token\":\"one\",\"refresh_token\":\"\",\"expires_in\":\"3599\",\"expires_on\":\"1767229199\"}");
    expect_token(f, "one");
    expect_seen(
        f, "GET",
        "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fstorage.azure.com%2F",
        "Metadata: true\r\n", "");
}

static void test_store_azure_sources_that_give_no_token(void **state)
{
    struct fixture *f = *state;
    f->settings = (struct azure_settings){.client_secret = "hush", .tenant_id = "t"};
    expect_failure(f, DP_INVALID, "needs AZURE_CLIENT_ID too");
    azure_tokens_free(f->tokens);
    f->tokens = NULL;
    f->settings = (struct azure_settings){.client_id = "a", .federated_token_file = "/none"};
    expect_failure(f, DP_INVALID, "needs AZURE_TENANT_ID too");
    azure_tokens_free(f->tokens);
    f->tokens = NULL;
    f->settings = (struct azure_settings){
        .client_id = "app", .client_secret = "hush", .tenant_id = "t", .authority = base(f)};
    answer(f, 401,
           "{\"error\":\"invalid_client\",\"error_description\":\"AADSTS7000215: Invalid client "
           "secret.\\r\\nTrace\"}");
    expect_failure(f, DP_DENIED, "AADSTS7000215: Invalid client secret.");
    answer(f, 200, "hush");
    expect_failure(f, DP_IO, "does not answer with JSON");
    azure_tokens_free(f->tokens);
    f->tokens = NULL;
    f->settings = (struct azure_settings){.metadata_endpoint = base(f)};
    answer(f, 400, "{\"error\":\"invalid_request\",\"error_description\":\"Identity not found\"}");
    expect_failure(f, DP_DENIED,
                   "there are no credentials for the storage account \"acc\": set AZURE_STORAGE_KEY");
    expect_failure(f, DP_DENIED, "it answered 404"); /* another cloud's metadata service */
}

/* A client's secret travels by https only, or within this host. A host without a scheme means https. */
static void test_store_azure_sends_no_secret_in_clear_text(void **state)
{
    struct fixture *f = *state;
    f->settings = (struct azure_settings){
        .client_id = "app", .client_secret = "hush", .tenant_id = "t", .authority = "http://entra.example"};
    expect_failure(f, DP_INVALID, "a secret may travel by https only, not to http://entra.example/t/oauth2");
    azure_tokens_free(f->tokens);
    f->tokens = NULL;
    f->settings.authority = "127.0.0.1:1";
    expect_failure(f, DP_UNAVAILABLE, "https://127.0.0.1:1/t/oauth2/v2.0/token");
}

/* A token of an hour is renewed over three expiries. The source is down for the second. */
static void test_store_azure_tokens_over_three_expiries(void **state)
{
    struct fixture *f = *state;
    f->settings = (struct azure_settings){.metadata_endpoint = base(f)};
    answer(f, 200, "{\"access_token\":\"one\",\"expires_in\":\"3600\"}");
    expect_token(f, "one");
    clock_ms += 54 * MINUTE;
    expect_token(f, "one");
    assert_int_equal(http_server_count(f->server), 1);
    clock_ms += 2 * MINUTE; /* four minutes are left: it is renewed early */
    answer(f, 200, "{\"access_token\":\"two\",\"expires_in\":\"3600\"}");
    expect_token(f, "two");
    clock_ms += 56 * MINUTE;
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_STATUS, .code = 500, .times = 4});
    expect_token(f, "two"); /* the source is down, and the old token is valid */
    unsigned asked = http_server_count(f->server);
    expect_token(f, "two"); /* it is not asked again at once */
    assert_int_equal(http_server_count(f->server), asked);
    clock_ms += MINUTE;
    answer(f, 200, "{\"access_token\":\"three\",\"expires_in\":\"3600\"}");
    expect_token(f, "three");
    clock_ms += 61 * MINUTE; /* nobody asked meanwhile: it has expired */
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_STATUS, .code = 500, .times = 4});
    expect_failure(f, DP_DENIED, "answers 500");
    answer(f, 200, "{\"access_token\":\"four\",\"expires_in\":\"3600\"}");
    expect_token(f, "four");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_store_azure_token_of_a_secret, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_store_azure_token_of_a_workload_identity, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_store_azure_token_of_app_service, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_store_azure_token_of_the_metadata_service, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_store_azure_sources_that_give_no_token, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_store_azure_sends_no_secret_in_clear_text, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_store_azure_tokens_over_three_expiries, set_up, tear_down),
    };
    return test_finish(cmocka_run_group_tests(tests, NULL, NULL));
}
