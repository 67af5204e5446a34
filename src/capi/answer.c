/* answer.c: asks the handlers of the HTTP API without HTTP, and keeps their answers. */
#include "capi/answer.h"

#include <string.h>

#include "base/alloc.h"
#include "base/json.h"

struct dp_answer {
    struct buffer json; /* ends with a NUL, which its length counts */
};

/* The only header that requests of the C API may have. `key` may be NULL. */
static struct span key_header(const void *key, const char *name)
{
    return key && strcmp(name, "idempotency-key") == 0 ? span_str(key) : span_of(NULL, 0);
}

/* Takes the body of the response. */
static enum dp_status keep_answer(struct call *call, struct http_response *response, struct dp_answer **out)
{
    struct dp_answer *answer = mem_calloc(1, sizeof *answer);
    enum dp_status status;

    if (!answer)
        return call_nomem(call, "the answer");
    buffer_u8(&response->body, 0);
    status = buffer_check(&response->body, "the answer", &call->error);
    answer->json = response->body;
    buffer_init(&response->body, 0);
    if (status == DP_OK)
        *out = answer;
    else
        dp_answer_free(answer);
    return status;
}

enum dp_status answer_request(struct call *call, struct dp_namespace *ns, api_handler handler, struct span body,
                              const char *key, struct dp_answer **answer)
{
    const struct api_context api = {.service = ns->service};
    const struct http_request request = {
        .method = "POST", .body = body, .args = {ns->name}, .header = key_header, .header_ctx = key};
    struct http_response response;
    enum dp_status status;

    http_response_init(&response);
    handler(call, &api, &request, &response);
    status = response.status < 300 ? DP_OK : call->error.status;
    if (status == DP_OK && response.status >= 300)
        status = call_fail(call, DP_IO, "the request failed with HTTP status %u", response.status);
    if (status == DP_OK && answer)
        status = keep_answer(call, &response, answer);
    http_response_deinit(&response);
    return status;
}

void dp_answer_free(struct dp_answer *answer)
{
    if (!answer)
        return;
    buffer_deinit(&answer->json);
    mem_free(answer);
}

const char *dp_answer_json(const struct dp_answer *answer)
{
    return answer ? (const char *)answer->json.data : "";
}

uint64_t dp_answer_number(const struct dp_answer *answer, const char *field)
{
    struct json_reader r;
    struct span key;
    uint64_t number = 0;

    if (!answer || !field)
        return 0;
    json_reader_init(&r, span_of(answer->json.data, answer->json.len - 1));
    json_enter_object(&r);
    while (json_next_key(&r, NULL, &key)) {
        if (span_equal_str(key, field))
            return json_peek(&r) == JSON_NUMBER && json_read_u64(&r, &number) ? number : 0;
        json_skip(&r);
    }
    return 0;
}
