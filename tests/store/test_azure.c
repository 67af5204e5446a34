/* test_azure.c: the Azure store against the scripted server: roots, where secrets go, the meaning of answers, and writes
 * whose answers are lost. test_azure_signing.c compares its requests with those of Azure's client; the contract suite
 * runs over it in test_contract.c. */
#include "remote_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "azure_dialect.h"
#include "store/azure/azure.h"

static struct azure_settings settings;

static int set_up_azure(void **state)
{
    remote_set_up(state);
    struct remote_fixture *f = *state;
    http_server_stop(f->server);
    f->server = http_server_start(&(struct http_server_options){.dialect = &AZURE_DIALECT});
    settings = (struct azure_settings){.account_key = "aHVzaA==", /* "hush" */
                                       .endpoint = http_server_url(f->server, "/account")};
    return 0;
}
#define AZURE_CASE(name) cmocka_unit_test_setup_teardown(name, set_up_azure, remote_tear_down)

static enum dp_status open_root(struct remote_fixture *f, const char *root)
{
    const struct store_options options = {.transport = f->transport, .settings = {{"az", &settings}}};
    store_free(f->store);
    f->store = NULL;
    dp_error_clear(&f->call.error);
    return store_open_with(&f->call, span_str(root), &options, &f->store);
}

/* Opens a root, and lets the store's first write be over. */
static void must_open(struct remote_fixture *f, const char *root)
{
    if (open_root(f, root) != DP_OK)
        fail_msg("%s", f->call.error.message);
}

static void open_for_writes(struct remote_fixture *f)
{
    must_open(f, "az://container");
    assert_int_equal(remote_put(&f->call, f->store, "first", "asks for conditions", STORE_ANY, NULL), DP_OK);
    http_server_reset(f->server);
}

static void expect_says(const struct remote_fixture *f, const char *says)
{
    if (!strstr(f->call.error.message, says))
        fail_msg("\"%s\" does not contain \"%s\"", f->call.error.message, says);
    assert_null(strstr(f->call.error.message, "aHVzaA"));
    assert_null(strstr(f->call.error.message, "sig=s3cret"));
}

static enum dp_status read_key(struct remote_fixture *f, const char *key, const char *want)
{
    struct store_read_req req = {.key = span_str(key), .len = STORE_TO_END};
    dp_error_clear(&f->call.error);
    enum dp_status status = store_read(&f->call, f->store, &req, 1);
    if (status == DP_OK && !span_equal_str(req.bytes.span, want))
        fail_msg("%s is \"%.*s\"", key, SPAN_FMT(req.bytes.span));
    store_read_release(&req, 1);
    return status;
}

static void answer_error(struct remote_fixture *f, const char *match, int code, const char *name)
{
    remote_answer(f, match, code,
                  arena_printf(&f->arena,
                               "<?xml version=\"1.0\"?><Error><Code>%s</Code><Message>words</Message></Error>",
                               name));
}

/* ---- opening ---------------------------------------------------------------------------------------- */

static void test_store_azure_where_requests_go(void **state)
{
    struct remote_fixture *f = *state;
    static const char EMULATOR[] = "http://127.0.0.1:10000/devstoreaccount1";
    static const struct {
        const char *root;
        struct azure_settings settings;
        const char *endpoint, *base;
        enum azure_credential credential;
    } cases[] = {
        {"az://con/a/b/",
         {.account = "acc", .account_key = "aHVzaA=="},
         "https://acc.blob.core.windows.net",
         "/con/",
         AZURE_SHARED_KEY},
        {"abfss://con@acc.dfs.core.windows.net",
         {.anonymous = true},
         "https://acc.blob.core.windows.net",
         "/con/",
         AZURE_ANONYMOUS},
        {"abfs://con@acc.blob.core.windows.net/a",
         {.sas_token = "?sv=1&sig=x"},
         "https://acc.blob.core.windows.net",
         "/con/",
         AZURE_SAS},
        {"az://con@acc.dfs.core.chinacloudapi.cn",
         {0},
         "https://acc.blob.core.chinacloudapi.cn",
         "/con/",
         AZURE_TOKEN},
        {"abfss://con@acc.z12.dfs.storage.azure.net",
         {0},
         "https://acc.z12.blob.storage.azure.net",
         "/con/",
         AZURE_TOKEN},
        {"abfss://con@onelake.dfs.fabric.microsoft.com",
         {0},
         "https://onelake.blob.fabric.microsoft.com",
         "/con/",
         AZURE_TOKEN},
        {"az://con",
         {.connection_string = "DefaultEndpointsProtocol=https;AccountName=acc;AccountKey=aHVzaA==;EndpointSuffix="
                               "core.usgovcloudapi.net"},
         "https://acc.blob.core.usgovcloudapi.net",
         "/con/",
         AZURE_SHARED_KEY},
        {"az://con",
         {.connection_string =
              " accountname = acc ;\nBlobEndpoint=https://blobs.example/x/?sv=1&sig=y;QueueEndpoint=z;"},
         "https://blobs.example/x",
         "/x/con/",
         AZURE_SAS},
        {"az://con",
         {.connection_string = "BlobEndpoint=https://acc.blob.core.windows.net/;SharedAccessSignature=sv=1&sig=y"},
         "https://acc.blob.core.windows.net",
         "/con/",
         AZURE_SAS},
        {"az://con",
         {.connection_string = "UseDevelopmentStorage=true"},
         EMULATOR,
         "/devstoreaccount1/con/",
         AZURE_SHARED_KEY},
        {"abfss://con@devstoreaccount1.dfs.core.windows.net",
         {.connection_string = "UseDevelopmentStorage=true"},
         EMULATOR,
         "/devstoreaccount1/con/",
         AZURE_SHARED_KEY},
        {"az://$web/a", {.account = "acc"}, "https://acc.blob.core.windows.net", "/$web/", AZURE_TOKEN},
        {"abfss://con@blobs.example",
         {.endpoint = "https://blobs.example", .account = "acc", .account_key = "aHVzaA=="},
         "https://blobs.example",
         "/con/",
         AZURE_SHARED_KEY},
        /* A key and a SAS token belong to the account that the settings name, and never go to another. */
        {"abfss://con@other.dfs.core.windows.net",
         {.account = "acc", .account_key = "aHVzaA=="},
         "https://other.blob.core.windows.net",
         "/con/",
         AZURE_TOKEN},
        {"abfss://con@other.dfs.core.windows.net",
         {.account = "acc", .sas_token = "sig=x"},
         "https://other.blob.core.windows.net",
         "/con/",
         AZURE_TOKEN},
        {"abfss://con@other.dfs.core.windows.net",
         {.connection_string = "UseDevelopmentStorage=true"},
         "https://other.blob.core.windows.net",
         "/con/",
         AZURE_TOKEN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        settings = cases[i].settings;
        must_open(f, cases[i].root);
        const struct azure_store *azure = azure_of(f->store);
        if (!span_equal_str(azure->connection.endpoint, cases[i].endpoint) ||
            !span_equal_str(azure->base_path, cases[i].base) ||
            azure->connection.credential != cases[i].credential)
            fail_msg("case %zu: %.*s %.*s %d", i, SPAN_FMT(azure->connection.endpoint), SPAN_FMT(azure->base_path),
                     (int)azure->connection.credential);
    }
    assert_int_equal(http_server_count(f->server), 0);
}

static void test_store_azure_refuses_bad_roots_and_settings(void **state)
{
    struct remote_fixture *f = *state;
    static const struct {
        const char *root;
        struct azure_settings settings;
        const char *says;
    } cases[] = {
        {"az://", {.account = "acc"}, "is not a container's name"},
        {"az:///k", {.account = "acc"}, "is not a container's name"},
        {"az://Con", {.account = "acc"}, "is not a container's name"},
        {"az://co", {.account = "acc"}, "is not a container's name"},
        {"az://-con", {.account = "acc"}, "is not a container's name"},
        {"az://con\x01", {.account = "acc"}, "is not a container's name"},
        {"az://con//a", {.account = "acc"}, "the prefix has an empty"},
        {"az://con/../a", {.account = "acc"}, "the prefix has an empty"},
        {"az://con/.dipper", {.account = "acc"}, "the prefix has an empty"},
        {"az://con?sv=1&sig=s3cret", {.account = "acc"}, "set AZURE_STORAGE_SAS_TOKEN"},
        {"az://con/a?sv=1&sig=s3cret", {.account = "acc"}, "set AZURE_STORAGE_SAS_TOKEN"},
        {"az://con@", {.account = "acc"}, "a host's name follows the '@'"},
        {"az://con@HOST!", {.account = "acc"}, "a host's name follows the '@'"},
        {"az://con@evil.example", {.account = "acc"}, "is not one of Azure's"},
        {"az://con@acc.dfs.core.windows.net.evil.example", {.account = "acc"}, "is not one of Azure's"},
        {"az://con@dfs.core.windows.net", {.account = "acc"}, "is not one of Azure's"},
        {"az://con", {0}, "set AZURE_STORAGE_ACCOUNT"},
        {"az://con", {.account = "a/c"}, "is not a storage account's name"},
        {"az://con", {.account = "acc", .account_key = "not base 64"}, "is not base 64"},
        {"az://con", {.account = "acc", .sas_token = "sv=1"}, "is not a SAS token"},
        {"az://con", {.account = "acc", .sas_token = "sv=1&sig=a b"}, "is not a SAS token"},
        {"az://con", {.account = "acc", .endpoint = "127.0.0.1:1"}, "AZURE_STORAGE_BLOB_ENDPOINT"},
        {"az://con", {.account = "acc", .endpoint = "ftp://h"}, "AZURE_STORAGE_BLOB_ENDPOINT"},
        {"az://con", {.account = "acc", .endpoint = "https://u:p@h"}, "AZURE_STORAGE_BLOB_ENDPOINT"},
        {"az://con", {.account = "acc", .endpoint = "https://h/a%41"}, "AZURE_STORAGE_BLOB_ENDPOINT"},
        {"az://con", {.account = "acc", .endpoint = "https://h:0"}, "AZURE_STORAGE_BLOB_ENDPOINT"},
        {"az://con", {.connection_string = "aHVzaA=="}, "is not known"},
        {"az://con", {.connection_string = "aHVzaA"}, "write Name=value"},
        {"az://con",
         {.account = "acc", .endpoint = "http://blobs.example/acc"},
         "a token may travel by https only"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        settings = cases[i].settings;
        if (open_root(f, cases[i].root) != DP_INVALID)
            fail_msg("case %zu: %s was accepted", i, cases[i].root);
        assert_null(f->store);
        expect_says(f, cases[i].says);
    }
}

/* ---- what requests carry ---------------------------------------------------------------------------- */

static void test_store_azure_sends_a_sas_token_in_the_url(void **state)
{
    struct remote_fixture *f = *state;
    settings.account_key = NULL;
    settings.sas_token = "?sv=2021-12-02&sig=s3cret%3D";
    http_server_put(f->server, "/account/container/k", span_str("found"));
    must_open(f, "az://container");
    assert_int_equal(read_key(f, "k", "found"), DP_OK);
    struct http_seen seen = remote_last_seen(f);
    assert_string_equal(seen.target, "/account/container/k?sv=2021-12-02&sig=s3cret%3D");
    assert_null(strcasestr(seen.head, "authorization"));
    struct store_listing listing;
    assert_int_equal(store_list(&f->call, f->store, span_str(""), span_str(""), false, 10, &listing), DP_OK);
    seen = remote_last_seen(f);
    assert_non_null(strstr(seen.target, "?restype=container&comp=list&"));
    assert_non_null(strstr(seen.target, "&sv=2021-12-02&sig=s3cret%3D"));
    answer_error(f, "GET ", 403, "AuthenticationFailed");
    assert_int_equal(read_key(f, "k", ""), DP_DENIED);
    expect_says(f, "the SAS token is not valid for this container");
}

static void test_store_azure_sends_nothing_when_anonymous(void **state)
{
    struct remote_fixture *f = *state;
    settings.anonymous = true;
    http_server_put(f->server, "/account/container/k", span_str("public"));
    must_open(f, "az://container");
    assert_int_equal(read_key(f, "k", "public"), DP_OK);
    struct http_seen seen = remote_last_seen(f);
    assert_null(strcasestr(seen.head, "authorization"));
}

static void test_store_azure_fetches_a_new_token_when_it_is_refused(void **state)
{
    struct remote_fixture *f = *state;
    settings.account_key = NULL;
    settings.metadata_endpoint = http_server_url(f->server, "");
    http_server_put(f->server, "/account/container/k", span_str("found"));
    must_open(f, "az://container");
    remote_answer(f, "GET /metadata/identity", 200, "{\"access_token\":\"one\",\"expires_in\":\"3599\"}");
    assert_int_equal(read_key(f, "k", "found"), DP_OK);
    struct http_seen seen = remote_last_seen(f);
    assert_non_null(strstr(seen.head, "Authorization: Bearer one\r\n"));
    assert_int_equal(http_server_count(f->server), 2);
    /* A refusal so soon after the fetch has another cause than the token's age. */
    answer_error(f, "GET /account", 401, "InvalidAuthenticationInfo");
    assert_int_equal(read_key(f, "k", ""), DP_DENIED);
    expect_says(f, "the store refuses the token");
    assert_int_equal(http_server_count(f->server), 3);
}

/* ---- errors ----------------------------------------------------------------------------------------- */

static void test_store_azure_tells_what_to_do(void **state)
{
    struct remote_fixture *f = *state;
    static const struct {
        int code;
        const char *name;
        enum dp_status status;
        const char *says;
    } cases[] = {
        {404, "BlobNotFound", DP_NOT_FOUND, "az://container/pre/k: there is no such object"},
        {404, "ContainerNotFound", DP_INVALID, "there is no container \"container\" at http://127.0.0.1:"},
        {403, "AuthenticationFailed", DP_DENIED, "the key is not one of the storage account \"account\""},
        {403, "AuthorizationFailure", DP_DENIED, "or the account's firewall refuses this client"},
        {403, "AuthorizationPermissionMismatch", DP_DENIED, "Storage Blob Data Contributor"},
        {403, "KeyBasedAuthenticationNotPermitted", DP_DENIED, "use an identity"},
        {409, "BlobArchived", DP_UNSUPPORTED, "archive tier"},
        {400, "InvalidBlobType", DP_UNSUPPORTED, "is not a block blob"},
        {400, "Odd", DP_IO, "the store answers 400 Odd: words"},
        {302, "Found", DP_UNSUPPORTED, "a redirect (302)"},
        {418, "", DP_IO, "answers 418"},
    };
    must_open(f, "az://container/pre");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (*cases[i].name)
            answer_error(f, "GET ", cases[i].code, cases[i].name);
        else
            remote_answer(f, "GET ", cases[i].code, "no XML");
        enum dp_status status = read_key(f, "k", "");
        if (status != cases[i].status)
            fail_msg("case %zu: %s: %s", i, dp_status_name(status), f->call.error.message);
        expect_says(f, cases[i].says);
    }
    /* The answer to a HEAD has no body; a header has the name. */
    struct store_info info;
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_STATUS,
                                                    .code = 404,
                                                    .lines = "x-ms-error-code: ContainerNotFound\r\n",
                                                    .match = "HEAD "});
    assert_int_equal(store_head(&f->call, f->store, span_str("k"), &info), DP_INVALID);
    expect_says(f, "there is no container");
}

static void test_store_azure_tells_a_wrong_clock_from_a_wrong_key(void **state)
{
    struct remote_fixture *f = *state;
    must_open(f, "az://container");
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_STATUS,
                                                    .code = 403,
                                                    .lines = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
                                                    .text = "<Error><Code>AuthenticationFailed</Code></Error>",
                                                    .match = "GET "});
    assert_int_equal(read_key(f, "k", ""), DP_DENIED);
    expect_says(f, "this machine's clock differs by ");
    settings.account_key = NULL;
    settings.sas_token = "se=2020-01-01T00%3A00%3A00Z&sig=s3cret";
    must_open(f, "az://container");
    answer_error(f, "GET ", 403, "AuthenticationFailed");
    assert_int_equal(read_key(f, "k", ""), DP_DENIED);
    expect_says(f, "the SAS token has expired");
}

static void test_store_azure_retries_transient_errors(void **state)
{
    struct remote_fixture *f = *state;
    http_server_put(f->server, "/account/container/k", span_str("found"));
    must_open(f, "az://container");
    answer_error(f, "GET ", 503, "ServerBusy");
    answer_error(f, "GET ", 500, "OperationTimedOut");
    answer_error(f, "GET ", 500, "InternalError");
    assert_int_equal(read_key(f, "k", "found"), DP_OK);
    assert_int_equal(http_server_count(f->server), 4);
}

/* ---- writes ----------------------------------------------------------------------------------------- */

/* A lease refuses with 412, as an unmet condition does. Only the latter is a conflict. */
static void test_store_azure_tells_a_lease_from_a_conflict(void **state)
{
    struct remote_fixture *f = *state;
    static const struct {
        int code;
        const char *name;
        enum store_condition condition;
        enum dp_status status;
    } cases[] = {
        {412, "ConditionNotMet", STORE_IF_VERSION, DP_CONFLICT},
        {412, "ConditionNotMet", STORE_IF_ABSENT, DP_EXISTS},
        {409, "BlobAlreadyExists", STORE_IF_ABSENT, DP_EXISTS},
        {404, "BlobNotFound", STORE_IF_VERSION, DP_CONFLICT},
        {412, "LeaseIdMissing", STORE_IF_VERSION, DP_DENIED},
        {412, "LeaseIdMissing", STORE_ANY, DP_DENIED},
        {409, "BlobImmutableDueToPolicy", STORE_ANY, DP_DENIED},
        {409, "ContainerBeingDeleted", STORE_IF_ABSENT, DP_UNAVAILABLE},
        {404, "ContainerNotFound", STORE_IF_VERSION, DP_INVALID},
    };
    open_for_writes(f);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        answer_error(f, "PUT ", cases[i].code, cases[i].name);
        enum dp_status status = remote_put(&f->call, f->store, "k", "body", cases[i].condition, "\"0x8D\"");
        if (status != cases[i].status)
            fail_msg("case %zu: %s: %s", i, dp_status_name(status), f->call.error.message);
    }
}

static void test_store_azure_writes_whose_answers_are_lost(void **state)
{
    struct remote_fixture *f = *state;
    open_for_writes(f);
    /* The first try lands, so the second finds an object: nobody can tell whose. */
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_LOSE, .match = "PUT "});
    assert_int_equal(remote_put(&f->call, f->store, "a", "ours", STORE_IF_ABSENT, NULL), DP_UNKNOWN);
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_DROP, .match = "PUT "});
    assert_int_equal(remote_put(&f->call, f->store, "b", "ours", STORE_IF_ABSENT, NULL), DP_OK);
    assert_int_equal(read_key(f, "b", "ours"), DP_OK);
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_LOSE, .match = "DELETE "});
    assert_int_equal(store_remove(&f->call, f->store, span_str("b")), DP_OK);
    assert_int_equal(read_key(f, "b", ""), DP_NOT_FOUND);
}

static void test_store_azure_writes_nothing_where_conditions_are_ignored(void **state)
{
    struct remote_fixture *f = *state;
    static const struct {
        const char *match;
        int code;
        const char *says;
    } cases[] = {{"If-None-Match", 201, "ignores If-None-Match"},
                 {"If-Match", 201, "ignores If-Match"},
                 {"If-None-Match", 501, "does not take If-None-Match"},
                 {"If-Match", 501, "does not take If-Match"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        must_open(f, "az://container");
        http_server_reset(f->server);
        http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_STATUS,
                                                        .code = cases[i].code,
                                                        .lines = "ETag: \"v\"\r\n",
                                                        .match = cases[i].match,
                                                        .times = 2});
        assert_int_equal(remote_put(&f->call, f->store, "k", "body", STORE_ANY, NULL), DP_UNSUPPORTED);
        expect_says(f, cases[i].says);
        assert_int_equal(remote_put(&f->call, f->store, "k", "body", STORE_ANY, NULL), DP_UNSUPPORTED);
        assert_false(http_server_has(f->server, "/account/container/k"));
    }
}

static void test_store_azure_uploads_whose_answers_are_lost(void **state)
{
    struct remote_fixture *f = *state;
    static uint8_t bytes[2 * AZURE_BLOCK_BYTES + 1];
    static const struct {
        enum http_act_kind kind;
        const char *match;
        enum dp_status status;
    } cases[] = {{HTTP_ACT_LOSE, "comp=block&", DP_OK},
                 {HTTP_ACT_DROP, "comp=block&", DP_OK},
                 {HTTP_ACT_DROP, "comp=blocklist", DP_OK},
                 {HTTP_ACT_LOSE, "comp=blocklist", DP_UNKNOWN}};
    open_for_writes(f);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct store_upload *upload;
        struct store_version version;
        const char *key = arena_printf(&f->arena, "u%zu", i);
        assert_int_equal(store_upload_begin(&f->call, f->store, span_str(key), &upload), DP_OK);
        http_server_script(f->server, (struct http_act){.kind = cases[i].kind, .match = cases[i].match});
        assert_int_equal(store_upload_write(&f->call, upload, span_of(bytes, sizeof bytes)), DP_OK);
        enum dp_status status = store_upload_finish(&f->call, upload, &version);
        if (status != cases[i].status)
            fail_msg("case %zu: %s: %s", i, dp_status_name(status), f->call.error.message);
        assert_true(http_server_has(f->server, arena_printf(&f->arena, "/account/container/%s", key)));
        assert_int_equal(http_server_unused(f->server), 0);
    }
}

/* ---- listings --------------------------------------------------------------------------------------- */

static void test_store_azure_lists_what_keys_can_be(void **state)
{
    struct remote_fixture *f = *state;
    static const char PAGE[] =
        "\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults "
        "ServiceEndpoint=\"x\"><Prefix>p/</Prefix>"
        "<Blobs><BlobPrefix><Name>p/d/</Name></BlobPrefix>"
        "<Blob><Name>p/c</Name><Properties><Content-Length>3</Content-Length><ResourceType>file</ResourceType></"
        "Properties></Blob>"
        "<Blob><Name>p/folder</Name><Properties><Content-Length>0</Content-Length>"
        "<ResourceType>directory</ResourceType></Properties></Blob>"
        "<Blob><Name "
        "Encoded=\"true\">p/%EF%BF%BE</Name><Properties><Content-Length>4</Content-Length></Properties></Blob>"
        "<Blob><Name>p/a//b</Name></Blob><Blob><Name>q/other</Name></Blob><Blob><Name>p/.dipper/x</Name></Blob>"
        "<Blob><Name>p/a &amp; b</Name><Properties><Content-Length>5</Content-Length></Properties></Blob>"
        "</Blobs><NextMarker/></EnumerationResults>";
    static const struct {
        const char *key;
        uint64_t size;
    } want[] = {{"a & b", 5}, {"c", 3}, {"d/", 0}, {"\xef\xbf\xbe", 4}};
    must_open(f, "az://container/p");
    remote_answer(f, "comp=list", 200, PAGE);
    struct store_listing listing;
    if (store_list(&f->call, f->store, span_str(""), span_str(""), true, 10, &listing) != DP_OK)
        fail_msg("%s", f->call.error.message);
    assert_int_equal(listing.count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_true(span_equal_str(listing.entries[i].key, want[i].key));
        assert_int_equal(listing.entries[i].size, want[i].size);
    }
}

static void test_store_azure_listings_that_make_no_progress(void **state)
{
    struct remote_fixture *f = *state;
    static const char *const pages[][3] = {
        {"<EnumerationResults><Blobs/><NextMarker>m</NextMarker></EnumerationResults>",
         "<EnumerationResults><Blobs/><NextMarker>m</NextMarker></EnumerationResults>",
         "names itself as the next one"},
        {"<EnumerationResults><Blobs><Blob><Name>b</Name></Blob></Blobs><NextMarker>m</NextMarker></"
         "EnumerationResults>",
         "<EnumerationResults><Blobs><Blob><Name>a</Name></Blob></Blobs><NextMarker/></EnumerationResults>",
         "have no order"},
        {"<EnumerationResults><Blobs/><NextMarker>m</NextMarker></EnumerationResults>", "<ListBucketResult/>",
         "answers a listing with <ListBucketResult>"},
        {"<EnumerationResults><Blobs/><NextMarker>m</NextMarker></EnumerationResults>",
         "<!DOCTYPE a [<!ENTITY b 'c'>]><EnumerationResults/>", "document types are not supported"},
        {"<EnumerationResults><Blobs/><NextMarker>m</NextMarker></EnumerationResults>",
         "<EnumerationResults><Blobs><Blob><Name Encoded='true'>%zz</Name></Blob></Blobs></EnumerationResults>",
         "not percent-encoded"},
    };
    must_open(f, "az://container");
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
        struct store_listing listing;
        http_server_reset(f->server);
        remote_answer(f, "comp=list", 200, pages[i][0]);
        remote_answer(f, "marker=m", 200, pages[i][1]);
        dp_error_clear(&f->call.error);
        assert_int_equal(store_list(&f->call, f->store, span_str(""), span_str(""), false, 10, &listing), DP_IO);
        expect_says(f, pages[i][2]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        AZURE_CASE(test_store_azure_where_requests_go),
        AZURE_CASE(test_store_azure_refuses_bad_roots_and_settings),
        AZURE_CASE(test_store_azure_sends_a_sas_token_in_the_url),
        AZURE_CASE(test_store_azure_sends_nothing_when_anonymous),
        AZURE_CASE(test_store_azure_fetches_a_new_token_when_it_is_refused),
        AZURE_CASE(test_store_azure_tells_what_to_do),
        AZURE_CASE(test_store_azure_tells_a_wrong_clock_from_a_wrong_key),
        AZURE_CASE(test_store_azure_retries_transient_errors),
        AZURE_CASE(test_store_azure_tells_a_lease_from_a_conflict),
        AZURE_CASE(test_store_azure_writes_whose_answers_are_lost),
        AZURE_CASE(test_store_azure_writes_nothing_where_conditions_are_ignored),
        AZURE_CASE(test_store_azure_uploads_whose_answers_are_lost),
        AZURE_CASE(test_store_azure_lists_what_keys_can_be),
        AZURE_CASE(test_store_azure_listings_that_make_no_progress),
    };
    return test_finish(cmocka_run_group_tests(tests, NULL, NULL));
}
