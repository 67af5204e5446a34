/* test_fastembed.c: requests, answers and errors of the FastEmbed dialect. */
#include "api_fixture.h"

#include <math.h>
#include <stdio.h>

static double norm(const float *v)
{
    double sum = 0;
    for (size_t i = 0; i < TINY_DIM; i++)
        sum += (double)v[i] * (double)v[i];
    return sqrt(sum);
}

static void test_fastembed_answers_one_text(void **state)
{
    (void)state;
    float pooled[TINY_DIM + 1], unit[TINY_DIM];
    const struct answer *a = ask(api_service, fastembed_embed, NULL, "{\"text\":\"cat dog\"}");
    assert_answer(a, 200, "\"model\":\"tiny\",\"tokens\":4,\"cached\":false,\"latency_ms\":");
    assert_int_equal(answer_floats(a, "embedding", pooled, TINY_DIM + 1), TINY_DIM);
    assert_null(strstr(a->body, "truncated"));
    a = ask(api_service, fastembed_embed, NULL, "{\"normalize\":true,\"text\":\"cat dog\"}");
    answer_floats(a, "embedding", unit, TINY_DIM);
    assert_true(fabs(norm(unit) - 1) < 1e-5);
    for (size_t i = 0; i < TINY_DIM; i++)
        assert_true(fabs((double)pooled[i] / norm(pooled) - (double)unit[i]) < 1e-6);
}

/* Counts the commas before `end`. */
static size_t count_commas(const char *from, const char *end)
{
    size_t count = 0;
    for (const char *stop = strstr(from, end); from < stop; from++)
        count += *from == ',';
    return count;
}

static void test_fastembed_answers_several_texts(void **state)
{
    (void)state;
    const struct answer *a = ask(api_service, fastembed_embed, NULL, "{\"texts\":[\"cat\",\"dog wing\"]}");
    assert_answer(a, 200, "{\"embeddings\":[[");
    assert_answer(a, 200, "]],\"model\":\"tiny\",\"tokens\":7,");
    a = ask(api_service, fastembed_embed, NULL, "{\"texts\":[\"cat\",\"dog\"],\"dimensions\":2}");
    const char *second = strstr(strstr(a->body, "[["), "],[");
    assert_non_null(second);
    assert_int_equal(count_commas(strstr(a->body, "[["), "]]"), 3);
}

static void test_fastembed_says_which_texts_it_cut(void **state)
{
    (void)state;
    char body[600] = "{\"texts\":[\"cat\",\"";
    for (int i = 0; i < 40; i++)
        strcat(body, "dog ");
    strcat(body, "\"]}");
    assert_answer(ask(api_service, fastembed_embed, NULL, body), 200, "\"truncated\":[1]");
    strcpy(body + strlen(body) - 1, ",\"truncate\":false}");
    const struct answer *a = ask(api_service, fastembed_embed, NULL, body);
    assert_answer(a, 400, "{\"error\":\"text_too_long\",\"message\":\"a text of 42 tokens");
    assert_answer(a, 400, "\"max_tokens\":24}");
}

static void test_fastembed_refuses_bad_requests(void **state)
{
    (void)state;
    static const struct refusal refusals[] = {
        {"", 400, "expected an object, found the end"},
        {"x", 400, "invalid_request"},
        {"[]", 400, "the request must be an object, not an array"},
        {"{}", 400, "\\\"text\\\" (or \\\"texts\\\") is missing"},
        {"{\"text\":\"\"}", 400, "empty"},
        {"{\"text\":7}", 400, "\\\"text\\\" must be a string, not a number"},
        {"{\"text\":null}", 400, "must be a string, not null"},
        {"{\"text\":[\"cat\"]}", 400, "must be a string, not an array"},
        {"{\"texts\":\"cat\"}", 400, "\\\"texts\\\" must be an array"},
        {"{\"texts\":[]}", 400, "1 to 2048"},
        {"{\"texts\":[\"cat\",7]}", 400, "each of \\\"texts\\\" must be a string"},
        {"{\"texts\":[\"cat\",\"\"]}", 400, "place 1 is empty"},
        {"{\"text\":\"cat\",\"texts\":[\"cat\"]}", 400, "exclude each other"},
        {"{\"text\":\"cat\",\"normalize\":1}", 400, "\\\"normalize\\\" must be"},
        {"{\"text\":\"cat\",\"colour\":1}", 400, "unknown field \\\"colour\\\""},
        {"{\"text\":\"cat\",\"text\":\"dog\"}", 400, "given twice"},
        {"{\"text\":\"cat\",\"dimensions\":0}", 400, "an integer from 1 to"},
        {"{\"text\":\"cat\",\"dimensions\":1e3}", 400, "an integer from 1 to"},
        {"{\"text\":\"cat\",\"dimensions\":99999999999999999999}", 400, "an integer from 1 to"},
        {"{\"text\":\"cat\",\"dimensions\":17}", 400, "17 dimensions"},
        {"{\"text\":\"cat\"} x", 400, "at byte"},
        {"{\"text\":\"cat\"", 400, "at byte"},
        {"{\"text\":\"c\xff\"}", 400, "UTF-8"},
        {"{\"text\":\"\\ud800\"}", 400, "surrogate"},
        {"{\"text\":NaN}", 400, "at byte"},
    };
    assert_refusals(api_service, fastembed_embed, NULL, refusals, sizeof refusals / sizeof refusals[0]);
}

static void test_fastembed_refuses_deep_nesting_and_large_batches(void **state)
{
    (void)state;
    static char body[40000];
    strcpy(body, "{\"texts\":");
    memset(body + strlen(body), '[', 20000);
    assert_answer(ask(api_service, fastembed_embed, NULL, body), 400, "invalid_request");
    char *at = body + sprintf(body, "{\"texts\":[\"a\"");
    for (int i = 0; i < SERVICE_BATCH_MAX; i++)
        at += sprintf(at, ",\"a\"");
    strcpy(at, "]}");
    assert_answer(ask(api_service, fastembed_embed, NULL, body), 400, "2049 texts, but at most 2048");
}

static void test_fastembed_without_a_model_says_so(void **state)
{
    (void)state;
    struct service *none = fixture_service(NULL, false);
    assert_answer(ask(none, fastembed_embed, NULL, "{\"text\":\"cat\"}"), 400, "no model is loaded");
    ask_end();
    service_free(none);
}

static void test_fastembed_answers_errors_of_the_chain(void **state)
{
    (void)state;
    static const struct {
        unsigned status;
        const char *code;
        enum dp_status why;
    } cases[] = {{400, "invalid_request", DP_INVALID},
                 {404, "not_found", DP_INVALID},
                 {405, "method_not_allowed", DP_INVALID},
                 {413, "request_too_large", DP_INVALID},
                 {415, "unsupported_media_type", DP_INVALID},
                 {429, "rate_limit_exceeded", DP_INVALID},
                 {500, "internal_error", DP_INVALID},
                 {503, "overloaded", DP_OVERLOADED},
                 {503, "overloaded", DP_NOMEM},
                 {503, "unavailable", DP_UNAVAILABLE},
                 {503, "unavailable", DP_STALE},
                 {504, "timeout", DP_INVALID},
                 {418, "invalid_request", DP_INVALID},
                 {599, "internal_error", DP_INVALID}};
    struct http_response response;
    http_response_init(&response);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char wanted[64];
        snprintf(wanted, sizeof wanted, "{\"error\":\"%s\",\"message\":\"why\"}", cases[i].code);
        api_fastembed.error(&response, cases[i].status, api_error_code(cases[i].status, cases[i].why), "why");
        assert_int_equal(response.status, cases[i].status);
        assert_true(span_equal_str(buffer_span(&response.body), wanted));
    }
    http_response_deinit(&response);
}

static void test_fastembed_survives_every_failed_allocation(void **state)
{
    (void)state;
    assert_survives_failed_allocations(api_service, fastembed_embed, NULL,
                                       "{\"texts\":[\"cat\",\"d\\u006fg\"],\"normalize\":true}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fastembed_answers_one_text),
        cmocka_unit_test(test_fastembed_answers_several_texts),
        cmocka_unit_test(test_fastembed_says_which_texts_it_cut),
        cmocka_unit_test(test_fastembed_refuses_bad_requests),
        cmocka_unit_test(test_fastembed_refuses_deep_nesting_and_large_batches),
        cmocka_unit_test(test_fastembed_without_a_model_says_so),
        cmocka_unit_test(test_fastembed_answers_errors_of_the_chain),
        cmocka_unit_test(test_fastembed_survives_every_failed_allocation),
    };
    return test_finish(cmocka_run_group_tests_name(__FILE__, tests, api_set_up, api_tear_down));
}
