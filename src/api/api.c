/* api.c: error codes, which all dialects share. */
#include "api/api.h"

const char *api_error_code(unsigned status, enum dp_status why)
{
    switch (status) {
    case 400: return "invalid_request";
    case 401: return "invalid_api_key";
    case 403: return "permission_denied";
    case 404: return "not_found";
    case 405: return "method_not_allowed";
    case 408: return "request_timeout";
    case 409: return "conflict";
    case 413: return "request_too_large";
    case 415: return "unsupported_media_type";
    case 429: return "rate_limit_exceeded";
    case 499: return "client_closed_request";
    case 502: return "bad_gateway";
    case 503: return why == DP_OVERLOADED || why == DP_NOMEM ? "overloaded" : "unavailable";
    case 504: return "timeout";
    default: return status < 500 ? "invalid_request" : "internal_error";
    }
}

void api_fail(const struct call *call, const struct api_dialect *dialect, struct http_response *response)
{
    /* A failure never looks like a success, whatever lost its error. */
    const bool lost = call->error.status == DP_OK;
    const enum dp_status why = lost ? DP_UNKNOWN : call->error.status;
    const unsigned status = http_status_of(why);
    dialect->error(response, status, api_error_code(status, why),
                   lost ? "the request failed, and the server does not know why" : call->error.message);
    response->outcome = why;
    if (status == 503)
        http_add_retry(response, call->arena, call->retry_ns);
}

void api_finish(struct call *call, const struct api_dialect *dialect, struct http_response *response)
{
    response->content_type = "application/json";
    if (buffer_check(&response->body, "the answer", &call->error) != DP_OK)
        api_fail(call, dialect, response);
}
