/* credentials_sts.c: asks STS for the keys of a role. Answers hold keys, so no message quotes them.
 *
 * Source: "AssumeRole" and "AssumeRoleWithWebIdentity", AWS Security Token Service API Reference.
 */
#include "store/s3/credentials_sts.h"

#include <stdio.h>

#include "base/checksum.h"
#include "base/hex.h"
#include "base/url.h"
#include "os/clock.h"
#include "store/auth/ask.h"
#include "store/s3/credentials_http.h"
#include "store/s3/endpoint.h"
#include "store/s3/sigv4.h"

enum { FORM_MAX_BYTES = 256 << 10, STS_URL_MAX = 4096, AUTHORIZATION_MAX = 8 << 10 };

static const char FORM_TYPE[] = "application/x-www-form-urlencoded";

static void append_role(struct buffer *form, const struct sts_role *role)
{
    auth_append_field(form, "RoleArn", role->arn);
    auth_append_field(form, "RoleSessionName", role->session.len ? role->session : span_str("dipper"));
}

static enum dp_status sts_url(struct call *call, const struct s3_settings *s, const char *region, struct span *url)
{
    const char *text = setting_is_set(s->sts_endpoint_url)
                           ? arena_printf(call->arena, "%s", s->sts_endpoint_url)
                           : arena_printf(call->arena, "https://sts.%s.%s/", region, aws_domain(span_str(region)));
    if (!text)
        return call_nomem(call, "a URL");
    struct url parts;
    *url = span_str(text);
    if (strlen(text) <= STS_URL_MAX && url_split(*url, &parts) && parts.path.len)
        return DP_OK;
    text = arena_printf(call->arena, "%s/", text);
    if (!text)
        return call_nomem(call, "a URL");
    *url = span_str(text);
    return DP_OK;
}

/* Sends a form, and takes the keys from the answer. */
static enum dp_status ask_sts(struct call *call, const struct s3_settings *s, const char *from, struct span url,
                              const struct transport_header *headers, size_t count, struct span form,
                              struct aws_keys **out)
{
    struct span body;
    struct transport_request req = {
        .method = HTTP_POST, .url = url, .headers = headers, .header_count = count, .body = form};
    enum dp_status status = auth_ask(call, &s->trust, AUTH_FAR, from, &req, &body);
    if (status != DP_OK)
        return status;
    return req.code == 200 ? aws_keys_from_sts(from, body, call->arena, out, &call->error)
                           : credentials_refusal(call, from, &req, body);
}

enum dp_status credentials_from_web_identity(struct call *call, const struct s3_settings *s, const char *region,
                                             const struct sts_role *role, const char *token_file,
                                             struct aws_keys **out)
{
    const struct transport_header headers[] = {{span_str("Content-Type"), span_str(FORM_TYPE)}};
    struct span token, url;
    struct buffer form;
    enum dp_status status = auth_read_token(call, token_file, &token);
    if (status == DP_OK)
        status = sts_url(call, s, region, &url);
    if (status != DP_OK)
        return status;
    buffer_init(&form, FORM_MAX_BYTES);
    buffer_append_str(&form, "Action=AssumeRoleWithWebIdentity&Version=2011-06-15");
    append_role(&form, role);
    auth_append_field(&form, "WebIdentityToken", token);
    status = buffer_check(&form, "a request to STS", &call->error);
    if (status == DP_OK)
        status = ask_sts(call, s, "STS (AssumeRoleWithWebIdentity)", url, headers, 1, buffer_span(&form), out);
    buffer_deinit(&form);
    return status;
}

/* ---- with other keys --------------------------------------------------------------------------------- */

/* Signs the form and sends it. */
static enum dp_status ask_signed(struct call *call, const struct s3_settings *s, const char *region,
                                 const char *from, struct span form, const struct aws_keys *source,
                                 struct aws_keys **out)
{
    struct span url;
    struct url parts;
    struct buffer authorization;
    uint8_t digest[32];
    char hash[2 * sizeof digest + 1];
    struct sigv4_signer signer = {.access_key_id = source->access_key_id,
                                  .secret_access_key = source->secret_access_key,
                                  .region = span_str(region),
                                  .service = span_str("sts")};
    enum dp_status status = sts_url(call, s, region, &url);
    if (status != DP_OK)
        return status;
    url_split(url, &parts);
    sha256(form, digest);
    hex_encode(span_of(digest, sizeof digest), hash);
    sigv4_date(os_wall_ms(), signer.date);
    const struct sigv4_pair signed_headers[] = {{span_str("Host"), url_host_header(url)},
                                                {span_str("Content-Type"), span_str(FORM_TYPE)},
                                                {span_str("X-Amz-Date"), span_str(signer.date)},
                                                {span_str("X-Amz-Security-Token"), source->session_token}};
    size_t count = source->session_token.len ? 4 : 3;
    struct sigv4_request request = {.method = span_str("POST"),
                                    .path = parts.path,
                                    .headers = signed_headers,
                                    .header_count = count,
                                    .payload_hash = span_str(hash),
                                    .normalize_path = true};
    buffer_init(&authorization, AUTHORIZATION_MAX);
    status = sigv4_authorization(&signer, &request, call->arena, &authorization, &call->error);
    if (status == DP_OK)
        status = buffer_check(&authorization, "a signature", &call->error);
    if (status == DP_OK) {
        const struct transport_header headers[] = {{signed_headers[1].name, signed_headers[1].value},
                                                   {span_str("Authorization"), buffer_span(&authorization)},
                                                   {signed_headers[2].name, signed_headers[2].value},
                                                   {signed_headers[3].name, signed_headers[3].value}};
        status = ask_sts(call, s, from, url, headers, count, form, out);
    }
    buffer_deinit(&authorization);
    return status;
}

enum dp_status credentials_from_role(struct call *call, const struct s3_settings *s, const char *region,
                                     const struct sts_role *role, const struct aws_keys *source,
                                     struct aws_keys **out)
{
    struct buffer form;
    const char *from = arena_printf(call->arena, "STS (AssumeRole of %.*s)", SPAN_FMT(role->arn));
    if (!from)
        return call_nomem(call, "a request to STS");
    buffer_init(&form, FORM_MAX_BYTES);
    buffer_append_str(&form, "Action=AssumeRole&Version=2011-06-15");
    append_role(&form, role);
    if (role->external_id.len)
        auth_append_field(&form, "ExternalId", role->external_id);
    if (role->duration_seconds)
        buffer_printf(&form, "&DurationSeconds=%u", role->duration_seconds);
    enum dp_status status = buffer_check(&form, "a request to STS", &call->error);
    if (status == DP_OK)
        status = ask_signed(call, s, region, from, buffer_span(&form), source, out);
    buffer_deinit(&form);
    return status;
}
