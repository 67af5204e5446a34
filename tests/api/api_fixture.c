/* api_fixture.c: calls handlers without sockets. */
#include "api_fixture.h"

#include <stdlib.h>

#include "base/json.h"

struct service *api_service;

static struct answer the_answer;
static bool answered;

static struct span no_header(const void *ctx, const char *name)
{
    (void)ctx;
    (void)name;
    return span_of(NULL, 0);
}

void ask_end(void)
{
    if (answered) {
        http_response_deinit(&the_answer.response);
        free(the_answer.body);
        fixture_call_end();
    }
    answered = false;
}

int api_set_up(void **state)
{
    (void)state;
    api_service = fixture_service(NULL, true);
    return 0;
}

int api_tear_down(void **state)
{
    (void)state;
    ask_end();
    service_free(api_service);
    return 0;
}

struct answer *ask_bytes(struct service *service, api_handler handler, const char *argument, const char *query,
                         struct span body)
{
    ask_end();
    struct call *call = fixture_call();
    struct api_context api = {.service = service};
    struct http_request request = {
        .method = "POST", .query = span_str(query ? query : ""), .body = body, .header = no_header};
    if (argument)
        request.args[0] = span_str(argument);
    the_answer = (struct answer){.status = 0};
    http_response_init(&the_answer.response);
    answered = true;
    handler(call, &api, &request, &the_answer.response);
    struct buffer *out = &the_answer.response.body;
    the_answer.status = the_answer.response.status;
    the_answer.type = the_answer.response.content_type;
    the_answer.body = malloc(out->len + 1);
    assert_non_null(the_answer.body);
    if (out->len)
        memcpy(the_answer.body, out->data, out->len);
    the_answer.body[out->len] = '\0';
    return &the_answer;
}

struct answer *ask(struct service *service, api_handler handler, const char *argument, const char *body)
{
    return ask_bytes(service, handler, argument, NULL, span_str(body));
}

static bool is_json(const char *text)
{
    struct json_reader r;
    json_reader_init(&r, span_str(text));
    return json_skip(&r) && json_end(&r);
}

void assert_answer(const struct answer *a, unsigned status, const char *holds)
{
    if (a->status != status || !a->type || strcmp(a->type, "application/json") != 0 || !is_json(a->body) ||
        !strstr(a->body, holds))
        fail_msg("expected %u with %s, but the answer is %u: %.600s", status, holds, a->status, a->body);
}

const char *answer_header(const struct answer *a, const char *name)
{
    for (size_t i = 0; i < a->response.header_count; i++)
        if (strcmp(a->response.headers[i].name, name) == 0)
            return a->response.headers[i].value;
    return NULL;
}

size_t answer_floats(const struct answer *a, const char *name, float *out, size_t max)
{
    char key[64];
    size_t count = 0;
    snprintf(key, sizeof key, "\"%s\":[", name);
    const char *at = strstr(a->body, key);
    assert_non_null(at);
    for (at += strlen(key); count < max && *at != ']'; count++) {
        char *end;
        out[count] = strtof(at, &end);
        at = *end == ',' ? end + 1 : end;
    }
    return count;
}

void assert_refusals(struct service *service, api_handler handler, const char *argument,
                     const struct refusal *refusals, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct answer *a = ask(service, handler, argument, refusals[i].body);
        if (a->status != refusals[i].status || !is_json(a->body) || !strstr(a->body, refusals[i].says))
            fail_msg("%s\nmust be refused with %u and \"%s\", but the answer is %u: %s", refusals[i].body,
                     refusals[i].status, refusals[i].says, a->status, a->body);
        assert_int_not_equal(a->response.outcome, DP_OK);
    }
    ask_end();
}

void assert_survives_failed_allocations(struct service *service, api_handler handler, const char *argument,
                                        const char *body)
{
    unsigned usual = ask(service, handler, argument, body)->status;
    for (size_t n = 1;; n++) {
        ask_end();
        test_alloc_fail_at(n);
        const struct answer *a = ask(service, handler, argument, body);
        bool fired = test_alloc_fired();
        test_alloc_fail_at(0);
        assert_true(a->status == usual || a->status == 503);
        if (!fired) {
            assert_int_equal(a->status, usual);
            break;
        }
    }
    ask_end();
}
