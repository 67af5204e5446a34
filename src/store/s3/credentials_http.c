/* credentials_http.c: fetches keys from the container's endpoint and the instance's metadata service. Answers may hold
 * keys, so no message quotes them.
 */
#include "store/s3/credentials_http.h"

#include <stdio.h>

#include "base/url.h"
#include "store/auth/ask.h"

enum { URL_MAX_BYTES = 4096 };

static const char CONTAINER_HOST[] = "http://169.254.170.2";
static const char METADATA_HOST[] = "http://169.254.169.254";

enum dp_status credentials_refusal(struct call *call, const char *from, const struct transport_request *req,
                                   struct span body)
{
    struct aws_error e;
    enum dp_status status = req->code >= 500 || req->code == 429 ? DP_UNAVAILABLE : DP_DENIED;
    if (aws_error_parse(body, call->arena, &e))
        return call_fail(call, status, "%s gives no keys: %.*s: %.*s", from, SPAN_FMT(e.code),
                         SPAN_FMT(e.message));
    return call_fail(call, status, "%s gives no keys: it answered %d", from, req->code);
}

/* ---- the container's endpoint ------------------------------------------------------------------------ */

bool credentials_container_uri_allowed(struct span url)
{
    static const char *const HOSTS[] = {"localhost", "[::1]", "169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"};
    struct url parts;
    url_split(url, &parts);
    if (span_equal_str(parts.scheme, "https"))
        return true;
    if (!span_equal_str(parts.scheme, "http"))
        return false;
    struct span host = parts.host;
    for (size_t i = 0; i < sizeof HOSTS / sizeof *HOSTS; i++)
        if (span_equal_str(host, HOSTS[i]))
            return true;
    /* 127.0.0.0/8, only digits and dots: "127.example.com" is another host. */
    for (size_t i = 0; i < host.len; i++)
        if (host.data[i] != '.' && (host.data[i] < '0' || host.data[i] > '9'))
            return false;
    return span_starts_with(host, span_str("127."));
}

enum dp_status credentials_from_container(struct call *call, const struct s3_settings *s, struct aws_keys **out)
{
    static const char FROM[] = "the container's credentials endpoint";
    char url[URL_MAX_BYTES];
    struct span token = span_str(setting_is_set(s->container_token) ? s->container_token : ""), body;
    enum dp_status status = DP_OK;
    if (setting_is_set(s->container_relative_uri))
        snprintf(url, sizeof url, "%s%s",
                 setting_is_set(s->container_endpoint) ? s->container_endpoint : CONTAINER_HOST,
                 s->container_relative_uri);
    else
        snprintf(url, sizeof url, "%s", s->container_full_uri);
    if (!setting_is_set(s->container_relative_uri) && !credentials_container_uri_allowed(span_str(url)))
        return call_fail(
            call, DP_INVALID,
            "AWS_CONTAINER_CREDENTIALS_FULL_URI must be https, or http on this host: keys are not fetched "
            "from elsewhere");
    if (setting_is_set(s->container_token_file))
        status = auth_read_token(call, s->container_token_file, &token);
    if (status != DP_OK)
        return status;
    const struct transport_header headers[] = {{span_str("Accept"), span_str("application/json")},
                                               {span_str("Authorization"), token}};
    struct transport_request req = {
        .method = HTTP_GET, .url = span_str(url), .headers = headers, .header_count = token.len ? 2 : 1};
    status = auth_ask(call, &s->trust, AUTH_NEAR, FROM, &req, &body);
    if (status != DP_OK)
        return status;
    return req.code == 200 ? aws_keys_from_json(FROM, body, call->arena, out, &call->error)
                           : credentials_refusal(call, FROM, &req, body);
}

/* ---- the instance's metadata service ----------------------------------------------------------------- */

static const char METADATA[] = "the instance's metadata service";
static const char ROLES[] = "/latest/meta-data/iam/security-credentials/";

static const char *metadata_url(const struct s3_settings *s, const char *path, struct span more,
                                char out[URL_MAX_BYTES])
{
    const char *host = setting_is_set(s->metadata_endpoint) ? s->metadata_endpoint : METADATA_HOST;
    size_t len = strlen(host);
    while (len && host[len - 1] == '/')
        len--;
    snprintf(out, URL_MAX_BYTES, "%.*s%s%.*s", (int)len, host, path, SPAN_FMT(more));
    return out;
}

/* Gets a token for the next requests. Dipper uses version 2 of the service only; version 1 has no tokens. */
static enum dp_status metadata_token(struct call *call, const struct s3_settings *s, struct span *token)
{
    char url[URL_MAX_BYTES];
    const struct transport_header headers[] = {{span_str("X-aws-ec2-metadata-token-ttl-seconds"), span_str("60")}};
    struct transport_request req = {.method = HTTP_PUT,
                                    .url = span_str(metadata_url(s, "/latest/api/token", span_str(""), url)),
                                    .headers = headers,
                                    .header_count = 1};
    enum dp_status status = auth_ask(call, &s->trust, AUTH_NEAR, METADATA, &req, token);
    if (status == DP_UNKNOWN) /* a second token does no harm */
        status = call_restatus(call, DP_UNAVAILABLE);
    if (status == DP_OK && (req.code != 200 || token->len == 0))
        status = credentials_refusal(call, METADATA, &req, *token);
    return status;
}

static enum dp_status metadata_get(struct call *call, const struct s3_settings *s, struct span token,
                                   struct span role, struct span *body)
{
    char url[URL_MAX_BYTES];
    const struct transport_header headers[] = {{span_str("X-aws-ec2-metadata-token"), token}};
    struct transport_request req = {.method = HTTP_GET,
                                    .url = span_str(metadata_url(s, ROLES, role, url)),
                                    .headers = headers,
                                    .header_count = 1};
    enum dp_status status = auth_ask(call, &s->trust, AUTH_NEAR, METADATA, &req, body);
    if (status == DP_OK && req.code == 404)
        return call_fail(call, DP_UNAVAILABLE, "this machine has no role");
    if (status == DP_OK && req.code != 200)
        status = credentials_refusal(call, METADATA, &req, *body);
    return status;
}

enum dp_status credentials_from_metadata(struct call *call, const struct s3_settings *s, struct aws_keys **out)
{
    struct span token, role, body;
    enum dp_status status = metadata_token(call, s, &token);
    if (status == DP_OK)
        status = metadata_get(call, s, token, span_str(""), &role);
    if (status != DP_OK)
        return status;
    /* The answer has a role on each line, and an instance has one role. Its name goes into a URL. */
    struct buffer escaped;
    size_t len = 0;
    while (len < role.len && role.data[len] > ' ')
        len++;
    role.len = len;
    if (role.len == 0)
        return call_fail(call, DP_UNAVAILABLE, "this machine has no role");
    buffer_init(&escaped, URL_MAX_BYTES);
    percent_append(&escaped, role, false);
    status = buffer_check(&escaped, "a role's name", &call->error);
    if (status == DP_OK)
        status = metadata_get(call, s, token, buffer_span(&escaped), &body);
    buffer_deinit(&escaped);
    return status == DP_OK ? aws_keys_from_json(METADATA, body, call->arena, out, &call->error) : status;
}
