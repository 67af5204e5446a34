/* test_openai.c: requests, answers and errors of the OpenAI dialect. */
#include "api_fixture.h"

#include <math.h>
#include <stdio.h>

#include "base/base64.h"

static int set_up(void **state)
{
    fixture_token_input = true;
    return api_set_up(state);
}

static void test_openai_answers_a_string(void **state)
{
    (void)state;
    float v[TINY_DIM + 1];
    const struct answer *a =
        ask(api_service, openai_embeddings, NULL, "{\"model\":\"tiny\",\"input\":\"cat dog\"}");
    assert_answer(a, 200, "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"index\":0,\"embedding\":[");
    assert_answer(a, 200, "\"model\":\"tiny\",\"usage\":{\"prompt_tokens\":4,\"total_tokens\":4}}");
    assert_int_equal(answer_floats(a, "embedding", v, TINY_DIM + 1), TINY_DIM);
    double sum = 0;
    for (size_t i = 0; i < TINY_DIM; i++)
        sum += (double)v[i] * (double)v[i];
    assert_true(fabs(sum - 1) < 1e-5);
}

static void test_openai_takes_null_for_a_missing_field(void **state)
{
    (void)state;
    const struct answer *a = ask(api_service, openai_embeddings, NULL,
                                 "{\"model\":\"tiny\",\"input\":\"cat dog\",\"dimensions\":null,\"user\":null,"
                                 "\"encoding_format\":null}");
    assert_answer(a, 200, "\"embedding\":[");
    a = ask(api_service, openai_embeddings, NULL, "{\"model\":null,\"input\":\"cat\"}");
    assert_answer(a, 400, "\"param\":\"model\"");
}

/* All forms of input that mean "cat" give one vector, equal in each bit and in both encodings. */
static void test_openai_takes_every_form_of_input(void **state)
{
    (void)state;
    static const char *const inputs[] = {"\"cat\"", "[\"cat\"]", "[57]", "[[57]]", "[2,57,3]", "[[2,57,3]]"};
    float first[TINY_DIM], v[TINY_DIM];
    char body[200];
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        snprintf(body, sizeof body, "{\"input\":%s,\"model\":\"sentence-transformers/tiny\",\"user\":\"u\"}",
                 inputs[i]);
        const struct answer *a = ask(api_service, openai_embeddings, NULL, body);
        assert_answer(a, 200, "\"prompt_tokens\":3");
        assert_int_equal(answer_floats(a, "embedding", v, TINY_DIM), TINY_DIM);
        if (i == 0)
            memcpy(first, v, sizeof v);
        assert_memory_equal(first, v, sizeof v);

        snprintf(body, sizeof body, "{\"input\":%s,\"model\":\"tiny\",\"encoding_format\":\"base64\"}", inputs[i]);
        a = ask(api_service, openai_embeddings, NULL, body);
        const char *text = strstr(a->body, "\"embedding\":\"");
        assert_non_null(text);
        text += strlen("\"embedding\":\"");
        uint8_t bytes[200];
        size_t len;
        assert_true(base64_decode(span_of(text, strcspn(text, "\"")), bytes, &len));
        assert_int_equal(len, sizeof first);
        assert_memory_equal(bytes, first, sizeof first);
    }
    const struct answer *a = ask(api_service, openai_embeddings, NULL,
                                 "{\"input\":[\"cat\",[57,58]],\"model\":\"tiny\",\"dimensions\":2}");
    assert_answer(a, 200, "\"index\":1");
    assert_int_equal(answer_floats(a, "embedding", v, TINY_DIM), 2);
}

/* The server would embed another model's token ids as its own, so it refuses token ids unless a setting allows
 * them. */
static void test_openai_refuses_token_ids_unless_told(void **state)
{
    (void)state;
    static const struct refusal refusals[] = {
        {"{\"input\":[57],\"model\":\"tiny\"}", 400, "check_embedding_ctx_length=False"},
        {"{\"input\":[[57,58]],\"model\":\"tiny\"}", 400, "--allow-token-input"},
        {"{\"input\":[\"cat\",[57]],\"model\":\"tiny\"}", 400, "\"param\":\"input\""},
        {"{\"input\":[[99999]],\"model\":\"tiny\",\"dimensions\":2}", 400, "holds token ids"},
    };
    fixture_token_input = false;
    struct service *plain = fixture_service(NULL, true), *cached = fixture_cached_service(10);
    fixture_token_input = true;
    assert_refusals(plain, openai_embeddings, NULL, refusals, sizeof refusals / sizeof refusals[0]);
    assert_refusals(cached, openai_embeddings, NULL, refusals, sizeof refusals / sizeof refusals[0]);
    assert_answer(ask(plain, openai_embeddings, NULL, "{\"input\":[\"cat\"],\"model\":\"tiny\"}"), 200,
                  "\"embedding\"");
    ask_end();
    service_free(plain);
    service_free(cached);
}

static void test_openai_counts_cut_tokens(void **state)
{
    (void)state;
    char body[400] = "{\"model\":\"tiny\",\"input\":\"";
    for (int i = 0; i < 40; i++)
        strcat(body, "dog ");
    strcat(body, "\"}");
    const struct answer *a = ask(api_service, openai_embeddings, NULL, body);
    assert_answer(a, 200, "\"prompt_tokens\":24");
    assert_string_equal(answer_header(a, "X-Dipper-Truncated"), "1");
}

static void test_openai_refuses_bad_requests(void **state)
{
    (void)state;
    static const struct refusal refusals[] = {
        {"", 400, "{\"error\":{\"message\":\"expected an object"},
        {"{\"model\":\"tiny\"}", 400, "\"param\":\"input\""},
        {"{\"input\":\"cat\"}", 400, "\"param\":\"model\""},
        {"{\"input\":\"cat\",\"model\":7}", 400, "\"param\":\"model\""},
        {"{\"input\":7,\"model\":\"tiny\"}", 400, "'input' must be an array"},
        {"{\"input\":null,\"model\":\"tiny\"}", 400, "\"param\":\"input\""},
        {"{\"input\":\"\",\"model\":\"tiny\"}", 400, "\"param\":\"input\""},
        {"{\"input\":[],\"model\":\"tiny\"}", 400, "1 to 2048 inputs, not 0"},
        {"{\"input\":[\"cat\",\"\"],\"model\":\"tiny\"}", 400, "place 1 is empty"},
        {"{\"input\":[[]],\"model\":\"tiny\"}", 400, "empty array of tokens"},
        {"{\"input\":[[1],7],\"model\":\"tiny\"}", 400, "each of 'input' must be a string or an array"},
        {"{\"input\":[1,\"x\"],\"model\":\"tiny\"}", 400, "a token of 'input' must be a number"},
        {"{\"input\":[1.5],\"model\":\"tiny\"}", 400, "must be an integer"},
        {"{\"input\":[-1],\"model\":\"tiny\"}", 400, "must be an integer"},
        {"{\"input\":[69],\"model\":\"tiny\"}", 400, "69 is not a token of the model"},
        {"{\"input\":[99999999999],\"model\":\"tiny\"}", 400, "must be an integer"},
        {"{\"input\":\"cat\",\"model\":\"tiny\",\"encoding_format\":\"hex\"}", 400,
         "\"param\":\"encoding_format\""},
        {"{\"input\":\"cat\",\"model\":\"tiny\",\"dimensions\":17}", 400, "\"param\":\"dimensions\""},
        {"{\"input\":\"cat\",\"model\":\"tiny\",\"dimensions\":0}", 400, "\"param\":\"dimensions\""},
        {"{\"input\":\"cat\",\"model\":\"tiny\",\"stream\":true}", 400, "unknown field \\\"stream\\\""},
        {"{\"input\":\"cat\",\"model\":\"text-embedding-3-small\"}", 404, "\"code\":\"model_not_found\"}}"},
    };
    assert_refusals(api_service, openai_embeddings, NULL, refusals, sizeof refusals / sizeof refusals[0]);
}

static void test_openai_lists_its_models(void **state)
{
    (void)state;
    assert_answer(ask(api_service, openai_models, NULL, ""), 200,
                  "{\"object\":\"list\",\"data\":[{\"id\":\"tiny\",\"object\":\"model\",\"created\":");
    assert_answer(ask(api_service, openai_model, "sentence-transformers/tiny", ""), 200,
                  "{\"id\":\"sentence-transformers/tiny\",\"object\":\"model\"");
    assert_answer(ask(api_service, openai_model, "gpt-4", ""), 404, "The model `gpt-4` does not exist");
    struct service *none = fixture_service(NULL, false);
    assert_answer(ask(none, openai_models, NULL, ""), 200, "\"data\":[]");
    assert_answer(ask(none, openai_embeddings, NULL, "{\"input\":\"cat\",\"model\":\"tiny\"}"), 404,
                  "model_not_found");
    ask_end();
    service_free(none);
}

static void test_openai_answers_errors_of_the_chain(void **state)
{
    (void)state;
    struct http_response response;
    http_response_init(&response);
    api_openai.error(&response, 503, "overloaded", "later");
    assert_true(span_equal_str(buffer_span(&response.body),
                               "{\"error\":{\"message\":\"later\",\"type\":\"server_error\",\"param\":null,"
                               "\"code\":\"overloaded\"}}"));
    http_response_deinit(&response);
}

static void test_openai_survives_every_failed_allocation(void **state)
{
    (void)state;
    assert_survives_failed_allocations(
        api_service, openai_embeddings, NULL,
        "{\"input\":[\"c\\u0061t\",[57]],\"model\":\"tiny\",\"encoding_format\":\"base64\",\"dimensions\":8}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_openai_answers_a_string),
        cmocka_unit_test(test_openai_takes_null_for_a_missing_field),
        cmocka_unit_test(test_openai_takes_every_form_of_input),
        cmocka_unit_test(test_openai_refuses_token_ids_unless_told),
        cmocka_unit_test(test_openai_counts_cut_tokens),
        cmocka_unit_test(test_openai_refuses_bad_requests),
        cmocka_unit_test(test_openai_lists_its_models),
        cmocka_unit_test(test_openai_answers_errors_of_the_chain),
        cmocka_unit_test(test_openai_survives_every_failed_allocation),
    };
    return test_finish(cmocka_run_group_tests_name(__FILE__, tests, set_up, api_tear_down));
}
