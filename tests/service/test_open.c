/* test_open.c: opens a model and a service from settings, without the program. */
#include "service_fixture.h"

#include <stdio.h>

#include "base/buffer.h"
#include "service/open.h"

/* Returns settings made from `count` flags. */
static struct config settings(char **flags, int count)
{
    struct config config;
    struct dp_error error;
    const struct config_sources sources = {.argc = count, .argv = flags, .toml_path = "/dev/null"};
    if (config_load(&sources, &config, &error) != DP_OK)
        fail_msg("%s", error.message);
    return config;
}

static void assert_refused(enum dp_status expected, const char *part, enum dp_status status,
                           const struct dp_error *error)
{
    assert_int_equal(status, expected);
    if (!strstr(error->message, part))
        fail_msg("\"%s\" lacks \"%s\"", error->message, part);
}

static void test_service_open_takes_the_linked_model(void **state)
{
    (void)state;
    struct config config = settings(NULL, 0);
    struct open_inputs in = {.config = &config};
    struct model *model;
    struct dp_error error;
    struct buffer packed;
    buffer_init(&packed, 1 << 24);
    assert_int_equal(model_pack(fixture_model(), &packed, &error), DP_OK);

    assert_refused(DP_NOT_FOUND, "this build carries no model", open_model(in, MODEL_INT8, &model, &error),
                   &error);
    in.linked_model = buffer_span(&packed);
    assert_int_equal(open_model(in, MODEL_INT8, &model, &error), DP_OK);
    assert_string_equal(model_info(model)->name, "tiny");
    model_free(model);
    assert_refused(DP_UNSUPPORTED, "int8 weights only", open_model(in, MODEL_FP32, &model, &error), &error);
    assert_null(model);
    config_deinit(&config);
    buffer_deinit(&packed);
}

static void test_service_open_prefers_the_named_model(void **state)
{
    (void)state;
    char *flags[] = {"--model", (char *)(uintptr_t)fixture_model()};
    struct config config = settings(flags, 2);
    const struct open_inputs in = {.config = &config, .linked_model = span_str("not a packed model")};
    struct model *model;
    struct dp_error error;
    assert_int_equal(open_model(in, MODEL_FP32, &model, &error), DP_OK);
    assert_string_equal(model_info(model)->name, "tiny");
    model_free(model);
    config_deinit(&config);
}

static void test_service_open_has_the_asked_parts(void **state)
{
    (void)state;
    char *flags[] = {"--model",       (char *)(uintptr_t)fixture_model(),
                     "--root",        (char *)(uintptr_t)test_tmpdir(),
                     "--model-alias", " mini , small"};
    struct config config = settings(flags, 6);
    const struct open_inputs in = {.config = &config};
    struct service_model facts;
    struct arena *arena = fixture_call()->arena;
    struct service *s;
    struct dp_error error;

    assert_int_equal(open_service(in, OPEN_MODEL, &s, &error), DP_OK);
    assert_true(service_model(s, arena, &facts));
    assert_false(service_model_at(s, 1, arena, &facts));
    assert_true(service_model_named(s, span_str("mini"), arena, &facts));
    assert_true(service_model_named(s, span_str("small"), arena, &facts));
    assert_null(service_store(s));
    service_free(s);

    assert_int_equal(open_service(in, OPEN_STORE, &s, &error), DP_OK);
    assert_false(service_model(s, arena, &facts));
    assert_false(service_has_model(s));
    assert_non_null(service_store(s));
    service_free(s);
    config_deinit(&config);
    fixture_call_end();
}

static void test_service_open_says_what_is_missing(void **state)
{
    (void)state;
    struct config config = settings(NULL, 0);
    const struct open_inputs in = {.config = &config};
    struct service *s;
    struct dp_error error;
    config.root = "";
    assert_refused(DP_INVALID, "--root", open_service(in, OPEN_STORE, &s, &error), &error);
    assert_null(s);
    config.root = "/nowhere/at/all";
    assert_refused(DP_NOT_FOUND, "dipper index --root", open_service(in, OPEN_STORE, &s, &error), &error);
    assert_null(s);
    assert_refused(DP_NOT_FOUND, "this build carries no model", open_service(in, OPEN_MODEL, &s, &error), &error);
    config_deinit(&config);
}

static void test_service_open_limits_aliases(void **state)
{
    (void)state;
    struct config config = settings(NULL, 0);
    const struct open_inputs in = {.config = &config};
    char list[2 * 65 + 1] = "";
    struct service *s;
    struct dp_error error;
    for (size_t i = 0; i < 65; i++)
        memcpy(list + 2 * i, "a,", 3);
    config.model_aliases = list;
    assert_refused(DP_INVALID, "setting model.aliases: at most 64", open_service(in, 0, &s, &error), &error);
    config_deinit(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_service_open_takes_the_linked_model),
        cmocka_unit_test(test_service_open_prefers_the_named_model),
        cmocka_unit_test(test_service_open_has_the_asked_parts),
        cmocka_unit_test(test_service_open_says_what_is_missing),
        cmocka_unit_test(test_service_open_limits_aliases),
    };
    return test_run(tests);
}
