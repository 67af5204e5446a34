/* test_capi_default.c: dp_model_open_default in a program that carries the model. tests/scripts/test_install.py tests
 * the places where the library looks. */
#include <dipper/dipper.h>

#include <string.h>

#include "embed/embedded_model.h"
#include "test_support.h"

static void test_capi_default_model_is_the_linked_one(void **state)
{
    (void)state;
    const struct dp_runtime_options one = {.size = sizeof one, .threads = 1};
    struct dp_runtime *runtime;
    struct dp_model *model;
    struct dp_error error;
    if (embedded_model_bytes().len == 0)
        fail_msg("this build carries no model: run scripts/fetch-model");
    assert_int_equal(dp_runtime_new(&one, &runtime, &error), DP_OK);
    if (dp_model_open_default(runtime, NULL, &model, &error) != DP_OK)
        fail_msg("%s", error.message);
    assert_string_equal(dp_model_name(model), "all-MiniLM-L6-v2");
    assert_int_equal(dp_model_dim(model), 384);
    dp_model_close(model);

    struct dp_model_options options = {.size = sizeof options, .precision = DP_PRECISION_FP32};
    assert_int_equal(dp_model_open_default(runtime, &options, &model, &error), DP_UNSUPPORTED);
    assert_non_null(strstr(error.message, "int8 weights only"));
    assert_null(model);
    options = (struct dp_model_options){.size = sizeof options, .bytes = &options, .bytes_len = 64};
    assert_int_equal(dp_model_open_default(runtime, &options, &model, &error), DP_INVALID);
    assert_non_null(strstr(error.message, "dp_model_open takes it"));
    options = (struct dp_model_options){.size = sizeof options, .query_prompt = "query: "};
    assert_int_equal(dp_model_open_default(runtime, &options, &model, &error), DP_OK);
    dp_model_close(model);
    dp_runtime_free(runtime);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_capi_default_model_is_the_linked_one)};
    return test_run(tests);
}
