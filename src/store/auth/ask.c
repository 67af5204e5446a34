/* auth/ask.c: requests to the sources of secrets (see auth/ask.h). */
#include "store/auth/ask.h"

#include "base/masked_url.h"
#include "base/url.h"
#include "os/file.h"
#include "store/http/run.h"

enum { TOKEN_FILE_MAX = 64 << 10, ANSWER_MAX_BYTES = 256 << 10 };

static const struct transport_options PATIENCE[] = {
    [AUTH_NEAR] = {.direct = true,
                   .connect_timeout_ms = 1000,
                   .connect_tries = 1,
                   .stall_ms = 2000,
                   .stall_bytes = 1,
                   .tries = 4,
                   .retry_total_ms = 10000},
    [AUTH_FAR] = {.connect_timeout_ms = 5000, .connect_tries = 2, .tries = 5, .retry_total_ms = 20000},
};

enum dp_status auth_ask(struct call *call, const struct trust_settings *trust, enum auth_distance distance,
                        const char *from, struct transport_request *req, struct span *body)
{
    struct transport *transport;
    struct transport_options options = PATIENCE[distance];
    *body = (struct span){0};
    options.trust = *trust;
    enum dp_status status = transport_new(&options, &transport, &call->error);
    if (status != DP_OK)
        return status;
    req->max_body = ANSWER_MAX_BYTES;
    status = transport_run(call, transport, req, 1);
    if (status == DP_OK) {
        *body = arena_copy(call->arena, req->bytes.span);
        if (!body->data)
            status = call_nomem(call, "an answer with secrets");
    } else if (status != DP_NOMEM && status != DP_CANCELLED && status != DP_DEADLINE) {
        dp_error_prefix(&call->error, "%s", from);
    }
    transport_release(req, 1);
    transport_free(transport);
    return status;
}

bool auth_is_private(struct span url)
{
    struct url u;
    return url_split(url, &u) && (span_equal_str(u.scheme, "https") || span_equal_str(u.host, "localhost") ||
                                  span_equal_str(u.host, "127.0.0.1") || span_equal_str(u.host, "[::1]"));
}

enum dp_status auth_check_private(struct call *call, const char *from, struct span url)
{
    char shown[URL_SHOWN_MAX];
    if (auth_is_private(url))
        return DP_OK;
    return call_fail(call, DP_INVALID, "%s: a secret may travel by https only, not to %s", from,
                     url_shown(url, shown));
}

enum dp_status auth_read_token(struct call *call, const char *path, struct span *token)
{
    struct buffer b;
    buffer_init(&b, TOKEN_FILE_MAX);
    enum dp_status status = os_read_file(path, &b, &call->error);
    if (status == DP_OK) {
        struct span text = buffer_span(&b);
        while (text.len && text.data[text.len - 1] <= ' ')
            text.len--;
        while (text.len && text.data[0] <= ' ')
            text = span_of(text.data + 1, text.len - 1);
        *token = arena_copy(call->arena, text);
        if (!token->data)
            status = call_nomem(call, "a token");
        else if (token->len == 0)
            status = call_fail(call, DP_INVALID, "the token file %s is empty", path);
    }
    buffer_deinit(&b);
    return status;
}

void auth_append_field(struct buffer *form, const char *name, struct span value)
{
    buffer_printf(form, "%s%s=", form->len ? "&" : "", name);
    percent_append(form, value, false);
}
