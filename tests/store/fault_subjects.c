/* fault_subjects.c: the stores of the fault matrix. */
#include "fault_subjects.h"

#include <stdio.h>
#include <string.h>

#include "azure_dialect.h"
#include "gcs_dialect.h"
#include "s3_dialect.h"
#include "store/azure_settings.h"
#include "store/gcs_settings.h"
#include "store/s3_settings.h"

enum { MIB = 1 << 20 };

static enum dp_status open_with(struct call *call, const char *root, struct transport *transport,
                                struct store_settings settings, struct store **out)
{
    const struct store_options options = {.transport = transport, .settings = {settings}};
    return store_open_with(call, span_str(root), &options, out);
}

static enum dp_status open_web(struct call *call, const char *endpoint, struct transport *transport,
                               struct store **out)
{
    char root[256];
    snprintf(root, sizeof root, "%s/folder?signature=" FAULT_SECRET, endpoint);
    return open_with(call, root, transport, (struct store_settings){0}, out);
}

static enum dp_status open_s3(struct call *call, const char *endpoint, struct transport *transport,
                              struct store **out)
{
    const struct s3_settings settings = {.access_key_id = "AKID",
                                         .secret_access_key = FAULT_SECRET,
                                         .metadata_disabled = true,
                                         .endpoint_url = endpoint};
    return open_with(call, "s3://bkt", transport, (struct store_settings){"s3", &settings}, out);
}

static enum dp_status open_azure(struct call *call, const char *endpoint, struct transport *transport,
                                 struct store **out)
{
    char account[256];
    snprintf(account, sizeof account, "%s/account", endpoint);
    const struct azure_settings settings = {.sas_token = "sv=2025-01-05&sig=" FAULT_SECRET, .endpoint = account};
    return open_with(call, "az://bkt", transport, (struct store_settings){"az", &settings}, out);
}

/* Tokens come from the metadata server, which is the same scripted server. It speaks no TLS, so requests over TLS carry
 * no token. */
static enum dp_status open_gcs(struct call *call, const char *endpoint, struct transport *transport,
                               struct store **out)
{
    const struct gcs_settings settings = {.endpoint_url = endpoint,
                                          .anonymous = strncmp(endpoint, "https", 5) == 0,
                                          .config_folder = "/nonexistent",
                                          .home = "/nonexistent",
                                          .metadata_host = strstr(endpoint, "://") + 3};
    return open_with(call, "gs://bkt", transport, (struct store_settings){"gs", &settings}, out);
}

static void answer_gcs(struct http_objects *all, const struct http_request *request, struct http_answer *answer)
{
    if (strncmp(request->path, "/computeMetadata/", 17) != 0) {
        GCS_DIALECT.answer(all, request, answer);
        return;
    }
    answer->code = 200;
    http_answer_line(answer, "Metadata-Flavor: Google");
    http_answer_text(answer,
                     "{\"access_token\":\"" FAULT_SECRET "\",\"expires_in\":3599,\"token_type\":\"Bearer\"}");
}

static void name_gcs(const struct http_request *request, char out[HTTP_NAME_MAX])
{
    GCS_DIALECT.name(request, out);
}

static const struct http_dialect GCS_WITH_TOKENS = {.answer = answer_gcs, .name = name_gcs};

#define S3_ERROR(name) "<Error><Code>" name "</Code><Message>scripted</Message></Error>"

/* Azure has one error for both; the answer's detail and its date tell them apart. */
#define AZURE_UNAUTHENTIC(detail)                                                                           \
    "<Error><Code>AuthenticationFailed</Code><Message>scripted</Message><AuthenticationErrorDetail>" detail \
    "</AuthenticationErrorDetail></Error>"
#define AZURE_CODE "x-ms-error-code: AuthenticationFailed\r\n"

const struct fault_subject FAULT_SUBJECTS[FAULT_SUBJECT_COUNT] = {
    {
        .name = "http(s)",
        .dialect = &HTTP_PLAIN,
        .open = open_web,
        .object = "/folder/" FAULT_KEY,
        .matches = {[FAULT_READ] = ("/" FAULT_KEY), [FAULT_HEAD] = "/" FAULT_KEY},
        .expired = {.kind = HTTP_ACT_STATUS,
                    .code = 403,
                    .text = "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"},
        .skewed = {.kind = HTTP_ACT_STATUS, .code = 403, .text = S3_ERROR("RequestTimeTooSkewed")},
    },
    {
        .name = "s3",
        .dialect = &S3_DIALECT,
        .open = open_s3,
        .object = "/bkt/" FAULT_KEY,
        .matches = {[FAULT_READ] = ("/bkt/" FAULT_KEY),
                    [FAULT_HEAD] = ("/bkt/" FAULT_KEY),
                    [FAULT_LIST] = "list-type=2",
                    [FAULT_PUT] = ("PUT /bkt/" FAULT_KEY),
                    [FAULT_PUT_IF] = ("PUT /bkt/" FAULT_KEY),
                    [FAULT_UPLOAD] = ("POST /bkt/" FAULT_KEY "?uploadId="),
                    [FAULT_REMOVE] = ("DELETE /bkt/" FAULT_KEY)},
        .upload_bytes = 8 * MIB,
        .ends_slowly = true,
        .expired = {.kind = HTTP_ACT_STATUS, .code = 400, .text = S3_ERROR("ExpiredToken")},
        .skewed = {.kind = HTTP_ACT_STATUS, .code = 403, .text = S3_ERROR("RequestTimeTooSkewed")},
    },
    {
        .name = "az",
        .dialect = &AZURE_DIALECT,
        .open = open_azure,
        .object = "/account/bkt/" FAULT_KEY,
        .matches = {[FAULT_READ] = ("/account/bkt/" FAULT_KEY),
                    [FAULT_HEAD] = ("/account/bkt/" FAULT_KEY),
                    [FAULT_LIST] = "comp=list",
                    [FAULT_PUT] = ("PUT /account/bkt/" FAULT_KEY),
                    [FAULT_PUT_IF] = ("PUT /account/bkt/" FAULT_KEY),
                    [FAULT_UPLOAD] = "comp=blocklist",
                    [FAULT_REMOVE] = ("DELETE /account/bkt/" FAULT_KEY)},
        .upload_bytes = 8 * MIB,
        .ends_slowly = true,
        .expired = {.kind = HTTP_ACT_STATUS,
                    .code = 403,
                    .lines = AZURE_CODE,
                    .text = AZURE_UNAUTHENTIC("Signature not valid in the specified time frame")},
        .skewed = {.kind = HTTP_ACT_STATUS,
                   .code = 403,
                   .lines = AZURE_CODE "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
                   .text = AZURE_UNAUTHENTIC("")},
    },
    {
        .name = "gs",
        .dialect = &GCS_WITH_TOKENS,
        .open = open_gcs,
        .object = "/bkt/" FAULT_KEY,
        .matches = {[FAULT_READ] = ("/o/" FAULT_KEY),
                    [FAULT_HEAD] = ("/o/" FAULT_KEY),
                    [FAULT_LIST] = "GET /storage/v1/b/bkt/o?",
                    [FAULT_PUT] = "uploadType=media",
                    [FAULT_PUT_IF] = "uploadType=media",
                    [FAULT_UPLOAD] = "bytes 8388608-",
                    [FAULT_REMOVE] = ("DELETE /storage/v1/b/bkt/o/" FAULT_KEY)},
        .upload_bytes = 8 * MIB,
        .expired = {.kind = HTTP_ACT_STATUS,
                    .code = 401,
                    .text = "{\"error\":{\"code\":401,\"message\":\"the token has expired\"}}"},
    },
};
