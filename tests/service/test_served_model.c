/* test_served_model.c: the names, limits and lifetime of a served model. */
#include "service_fixture.h"

#include "service/service_impl.h"

static struct model *tiny(void)
{
    struct model *model;
    struct dp_error error;
    if (model_open_dir(fixture_model(), MODEL_INT8, &model, &error) != DP_OK)
        fail_msg("%s", error.message);
    return model;
}

static void test_served_model_knows_its_names(void **state)
{
    (void)state;
    const struct span aliases[] = {span_str("mini"), span_str("org/small")};
    const struct served_options options = {
        .model = tiny(), .aliases = aliases, .alias_count = sizeof aliases / sizeof *aliases};
    struct served_model *m;
    assert_int_equal(served_model_new(&options, &m, NULL), DP_OK);
    assert_true(served_model_is(m, span_str("tiny")));
    assert_true(served_model_is(m, span_str("sentence-transformers/tiny")));
    assert_true(served_model_is(m, span_str("mini")));
    assert_true(served_model_is(m, span_str("org/small")));
    assert_false(served_model_is(m, span_str("small")));
    assert_false(served_model_is(m, span_str("")));
    assert_int_equal(m->special_count, 2);
    assert_int_equal(m->special_before, 1);
    served_model_release(m);
}

static void test_served_model_has_the_name_that_the_operator_gave(void **state)
{
    (void)state;
    const struct served_options options = {.model = tiny(), .name = span_str("small")};
    struct served_model *m;
    assert_int_equal(served_model_new(&options, &m, NULL), DP_OK);
    assert_true(span_equal_str(m->facts.name, "small"));
    assert_true(served_model_is(m, span_str("small")));
    assert_true(served_model_is(m, span_str("tiny")));
    served_model_release(m);
}

static void test_served_model_lives_until_its_last_reference(void **state)
{
    (void)state;
    struct service *s = fixture_service(NULL, true);
    struct served_model *m = models_try(&s->models, span_of(NULL, 0));
    const struct embed_input input = {.text = span_str("cat")};
    const struct embed_request request = {.inputs = &input, .count = 1, .normalize = true};
    struct embed_response answer;
    served_model_release(s->models.slots[0].current); /* as if the service closed its model */
    s->models.slots[0].current = NULL;
    assert_null(models_try(&s->models, span_of(NULL, 0)));
    assert_int_equal(service_embed_by(fixture_call(), s, m, &request, &answer), DP_OK);
    assert_int_equal(answer.dim, TINY_DIM);
    fixture_call_end();
    served_model_release(m);
    served_model_release(NULL);
    assert_null(served_model_retain(NULL));
    service_free(s);
}

static void test_served_model_refuses_limits_without_room(void **state)
{
    (void)state;
    struct model *model = tiny();
    struct dp_error error;
    struct served_model *m;
    const struct served_options borrowed = {.borrowed_model = model, .max_tokens = 2};
    assert_int_equal(served_model_new(&borrowed, &m, &error), DP_INVALID);
    assert_non_null(strstr(error.message, "have no room beside the model's 2 special tokens"));
    assert_null(m);
    const struct served_options owned = {.model = model, .max_tokens = 2};
    assert_int_equal(served_model_new(&owned, &m, &error), DP_INVALID); /* frees the model too */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_served_model_knows_its_names),
        cmocka_unit_test(test_served_model_has_the_name_that_the_operator_gave),
        cmocka_unit_test(test_served_model_lives_until_its_last_reference),
        cmocka_unit_test(test_served_model_refuses_limits_without_room),
    };
    return test_run(tests);
}
